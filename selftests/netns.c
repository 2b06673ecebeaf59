// SPDX-License-Identifier: GPL-2.0
/*
 * Connections with the same two ends in several network namespaces: a rule for
 * the own namespace means that of the process that commits, counts or lists;
 * one for others those that it names, and one for all every one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

/* Nobody but these tests has it, so that rules for all namespaces mean no others. */
#define ADDR "127.77.0.1"
#define SERVER_PORT 7000
#define LIVE_PORT 7001		/* the client whose connection is established */
#define WAITING_PORT 7002	/* the client that has closed, in TIME_WAIT */

/* A namespace with a listener, an established connection and a TIME_WAIT. */
struct place {
	int ns;
	unsigned long inode;
	int listener;
	struct pair live;
	struct ends waiting;
};

/* Whether the tables have a minisock of the connection whose two ends closed. */
static bool is_waiting(const struct ends *ends)
{
	const struct entry *entry;
	struct table table;
	bool waiting;

	if (table_read(&table))
		return false;
	entry = table_find(&table, ends);
	waiting = entry && entry->state == TCP_TIME_WAIT;
	table_free(&table);
	return waiting;
}

/* Go to a new namespace and fill it. */
static int place_make(struct place *place)
{
	struct pair closed;
	int ret;

	ret = netns_new();
	if (ret)
		return ret;
	place->ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	place->inode = netns_inode();
	place->listener = sock_listen(IPV4, ADDR, SERVER_PORT);
	ret = sock_pair(place->listener, IPV4, ADDR, LIVE_PORT, &place->live);
	if (!ret)
		ret = sock_pair(place->listener, IPV4, ADDR, WAITING_PORT, &closed);
	if (ret)
		return ret;
	place->waiting = closed.ends;
	ret = sock_finish(closed.client, closed.server);
	if (ret)
		return ret;
	return WAIT_UNTIL(is_waiting(&place->waiting)) ? 0 : -ETIMEDOUT;
}

FIXTURE(netns)
{
	struct place here;
	struct place there;
	struct rule rule;
};

FIXTURE_SETUP(netns)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, place_make(&self->there));
	ASSERT_EQ(0, place_make(&self->here));
	ASSERT_EQ(0, ends_cmp(&self->here.live.ends, &self->there.live.ends));
	ASSERT_EQ(0, ends_cmp(&self->here.waiting, &self->there.waiting));
	ASSERT_EQ(0, rule_new(&self->rule, "netns"));
}

FIXTURE_TEARDOWN(netns)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void go_to(struct __test_metadata *_metadata, const struct place *place)
{
	ASSERT_EQ(0, setns(place->ns, CLONE_NEWNET));
}

static void expect_untouched(struct __test_metadata *_metadata, const struct place *place)
{
	go_to(_metadata, place);
	EXPECT_EQ(TCP_LISTEN, sock_state(place->listener));
	EXPECT_TRUE(sock_talks(place->live.client, place->live.server));
	EXPECT_TRUE(is_waiting(&place->waiting));
}

static void expect_all_dropped(struct __test_metadata *_metadata,
			       const struct place *place)
{
	go_to(_metadata, place);
	EXPECT_EQ(TCP_CLOSE, sock_state(place->listener));
	EXPECT_EQ(TCP_CLOSE, sock_state(place->live.client));
	EXPECT_TRUE(WAIT_UNTIL(sock_state(place->live.server) == TCP_CLOSE));
	EXPECT_FALSE(is_waiting(&place->waiting));
}

TEST_F(netns, a_rule_for_everything_spares_the_other_namespace)
{
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	expect_all_dropped(_metadata, &self->here);
	expect_untouched(_metadata, &self->there);
}

TEST_F(netns, exact_ends_spare_the_other_namespace)
{
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->here.live.ends));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->here.live.client));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->here.waiting));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_FALSE(is_waiting(&self->here.waiting));

	expect_untouched(_metadata, &self->there);
}

TEST_F(netns, a_commit_means_the_namespace_of_its_process)
{
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
	go_to(_metadata, &self->there);

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_all_dropped(_metadata, &self->there);
	expect_untouched(_metadata, &self->here);
}

/* Two ends of the one connection, and the end that waits. */
TEST_F(netns, count_and_list_mean_the_namespace_of_their_reader)
{
	char list[512];

	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	EXPECT_EQ(3, rule_count(&self->rule));
	go_to(_metadata, &self->there);
	EXPECT_EQ(3, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	EXPECT_STREQ("", list);
	go_to(_metadata, &self->here);
	EXPECT_EQ(3, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	EXPECT_NE(NULL, strstr(list, "127.77.0.1:7001 127.77.0.1:7000 ESTABLISHED"));
	EXPECT_NE(NULL, strstr(list, "127.77.0.1:7002 127.77.0.1:7000 TIME_WAIT"));
}

/* Read a rule's list over and over in a namespace: it never is another's. */
static int read_elsewhere(const struct rule *rule, const struct place *place, int times)
{
	char own[512], list[512];
	int i, ret;

	if (setns(place->ns, CLONE_NEWNET))
		return -errno;
	ret = rule_get(rule, "list", own, sizeof(own));
	for (i = 0; i < times && !ret; i++) {
		ret = rule_get(rule, "list", list, sizeof(list));
		if (!ret && strcmp(own, list))
			ret = -EILSEQ;
	}
	return ret;
}

static pid_t reader_start(const struct rule *rule, const struct place *place)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-read_elsewhere(rule, place, 500));
	return pid;
}

TEST_F(netns, readers_of_one_list_at_a_time_have_their_own_namespaces)
{
	const struct place *places[] = { &self->here, &self->there, &self->here, &self->there };
	pid_t pid[ARRAY_LEN(places)];
	int i, status;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "TIME_WAIT"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	for (i = 0; i < ARRAY_LEN(places); i++) {
		pid[i] = reader_start(&self->rule, places[i]);
		ASSERT_LT(0, pid[i]);
	}
	for (i = 0; i < ARRAY_LEN(places); i++) {
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("%s", strerror(WEXITSTATUS(status)));
	}
}

TEST_F(netns, remaining_means_the_namespace_of_the_commit)
{
	ASSERT_EQ(0, rule_set(&self->rule, "state", "TIME_WAIT"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	expect_untouched(_metadata, &self->there);
}

/*
 * Since 6.1 a namespace can have a table of its own, smaller than the one that
 * all others share. Older kernels have no such setting, and one table for all.
 */
TEST_F(netns, a_namespace_with_a_table_of_its_own_is_none_the_less_one)
{
	const char *buckets = "/proc/sys/net/ipv4/tcp_child_ehash_entries";
	struct place own;
	int ret;

	ret = file_write(buckets, "16");
	ASSERT_TRUE(!ret || ret == -ENOENT);
	ASSERT_EQ(0, place_make(&own));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &own.live.ends));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &own.waiting));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_FALSE(is_waiting(&own.waiting));
	expect_untouched(_metadata, &self->here);
	expect_untouched(_metadata, &self->there);

	go_to(_metadata, &own);
	ASSERT_EQ(0, rule_clear_ends(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_all_dropped(_metadata, &own);
	expect_untouched(_metadata, &self->here);
	expect_untouched(_metadata, &self->there);
}

/*
 * Namespaces that a rule names, from another one. One of them has a table of its
 * own, where the kernel knows such.
 */
enum { FIRST, SECOND, PRIVATE, OTHER, PLACES };

/* In each place: the listener, the client that lives, and the one that waits. */
#define SOCKETS 3

FIXTURE(several)
{
	struct place place[PLACES];
	struct rule rule;
};

/* The child of the current namespace has a table of its own, its children do not. */
static int place_make_private(struct place *place)
{
	int ret;

	ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "16");
	return ret && ret != -ENOENT ? ret : place_make(place);
}

/* The last one made is where the tests are. */
FIXTURE_SETUP(several)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, place_make(&self->place[FIRST]));
	ASSERT_EQ(0, place_make(&self->place[SECOND]));
	ASSERT_EQ(0, place_make_private(&self->place[PRIVATE]));
	ASSERT_EQ(0, place_make(&self->place[OTHER]));
	ASSERT_EQ(0, rule_new(&self->rule, "several"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", ADDR));
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "!%d", LIVE_PORT));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
}

FIXTURE_TEARDOWN(several)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Commits from the place where the test is. */
static void expect_commit_drops(struct __test_metadata *_metadata, const struct rule *rule,
				long dropped)
{
	EXPECT_EQ(dropped, rule_count(rule));
	EXPECT_EQ(0, rule_commit(rule));
	EXPECT_EQ(dropped, rule_result(rule, "matched"));
	EXPECT_EQ(dropped, rule_result(rule, "dropped"));
	EXPECT_EQ(0, rule_result(rule, "remaining"));
	EXPECT_EQ(0, rule_count(rule));
}

TEST_F(several, a_number_names_one_and_not_the_own)
{
	int i;

	for (i = FIRST; i < OTHER; i++) {
		ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", self->place[i].inode));
		expect_commit_drops(_metadata, &self->rule, SOCKETS);
		expect_all_dropped(_metadata, &self->place[i]);
		if (i + 1 < OTHER)
			expect_untouched(_metadata, &self->place[i + 1]);
		expect_untouched(_metadata, &self->place[OTHER]);
	}
}

TEST_F(several, a_link_of_proc_is_a_number)
{
	char link[64] = "", text[64], number[64];

	go_to(_metadata, &self->place[PRIVATE]);
	ASSERT_LT(0, readlink("/proc/thread-self/ns/net", link, sizeof(link) - 1));
	go_to(_metadata, &self->place[OTHER]);
	ASSERT_EQ(0, rule_set(&self->rule, "netns", link));
	snprintf(number, sizeof(number), "%lu", self->place[PRIVATE].inode);
	ASSERT_EQ(0, rule_get(&self->rule, "netns", text, sizeof(text)));
	EXPECT_STREQ(number, text);
	expect_commit_drops(_metadata, &self->rule, SOCKETS);
	expect_all_dropped(_metadata, &self->place[PRIVATE]);
	expect_untouched(_metadata, &self->place[FIRST]);
	expect_untouched(_metadata, &self->place[OTHER]);
}

TEST_F(several, those_that_are_listed_and_no_others)
{
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "net:[%lu]", self->place[PRIVATE].inode));
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "+%lu,net:[%lu]", self->place[FIRST].inode,
			       self->place[FIRST].inode));

	expect_commit_drops(_metadata, &self->rule, 2 * SOCKETS);

	expect_all_dropped(_metadata, &self->place[FIRST]);
	expect_all_dropped(_metadata, &self->place[PRIVATE]);
	expect_untouched(_metadata, &self->place[SECOND]);
	expect_untouched(_metadata, &self->place[OTHER]);
}

/* Each has another connection as well, which the rule does not mean. */
TEST_F(several, all_are_all_whoever_has_made_them)
{
	struct pair spared[PLACES];
	int i, listener;

	for (i = 0; i < PLACES; i++) {
		go_to(_metadata, &self->place[i]);
		listener = sock_listen(IPV4, "127.0.0.1", SERVER_PORT);
		ASSERT_LE(0, listener);
		ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", LIVE_PORT, &spared[i]));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));

	expect_commit_drops(_metadata, &self->rule, PLACES * SOCKETS);

	for (i = 0; i < PLACES; i++) {
		expect_all_dropped(_metadata, &self->place[i]);
		EXPECT_TRUE(sock_talks(spared[i].client, spared[i].server));
	}
}

TEST_F(several, all_without_listen_spares_the_listeners)
{
	int i;

	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "any"));
	expect_commit_drops(_metadata, &self->rule, PLACES * (SOCKETS - 1));
	for (i = 0; i < PLACES; i++)
		EXPECT_EQ(TCP_LISTEN, sock_state(self->place[i].listener));
}

static void expect_list(struct __test_metadata *_metadata, const struct rule *rule, int times)
{
	char *list = rule_list(rule);

	ASSERT_NE(NULL, list);
	EXPECT_EQ(times, text_count(list, "127.77.0.1:7001 127.77.0.1:7000 ESTABLISHED\n"));
	EXPECT_EQ(times, text_count(list, "127.77.0.1:7002 127.77.0.1:7000 TIME_WAIT\n"));
	EXPECT_EQ(times, text_count(list, "127.77.0.1:7000 0.0.0.0:0 LISTEN\n"));
	EXPECT_EQ(times * SOCKETS, text_count(list, "\n"));
	free(list);
	EXPECT_EQ(times * SOCKETS, rule_count(rule));
}

TEST_F(several, count_and_list_have_all_that_are_named)
{
	int i;

	expect_list(_metadata, &self->rule, 1);
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	expect_list(_metadata, &self->rule, PLACES);
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu,%lu", self->place[FIRST].inode,
			       self->place[PRIVATE].inode));
	expect_list(_metadata, &self->rule, 2);
	for (i = 0; i < PLACES; i++)
		expect_untouched(_metadata, &self->place[i]);
}

TEST_F(several, exact_ends_are_looked_for_in_each)
{
	int i;

	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->place[FIRST].live.ends));
	expect_commit_drops(_metadata, &self->rule, PLACES);
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu,%lu", self->place[SECOND].inode,
			       self->place[PRIVATE].inode));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->place[FIRST].waiting));
	expect_commit_drops(_metadata, &self->rule, 2);

	for (i = 0; i < PLACES; i++) {
		go_to(_metadata, &self->place[i]);
		EXPECT_EQ(ECONNABORTED, sock_error(self->place[i].live.client));
		EXPECT_EQ(TCP_LISTEN, sock_state(self->place[i].listener));
		EXPECT_EQ(i == FIRST || i == OTHER, is_waiting(&self->place[i].waiting))
			TH_LOG("place %d", i);
	}
}

TEST_F(several, max_is_for_all_together)
{
	int i;

	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", PLACES * SOCKETS - 1));
	EXPECT_EQ(-E2BIG, rule_commit(&self->rule));
	EXPECT_EQ(PLACES * SOCKETS, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	for (i = 0; i < PLACES; i++)
		expect_untouched(_metadata, &self->place[i]);

	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", PLACES * SOCKETS));
	expect_commit_drops(_metadata, &self->rule, PLACES * SOCKETS);
	for (i = 0; i < PLACES; i++)
		expect_all_dropped(_metadata, &self->place[i]);
}

static void expect_none(struct __test_metadata *_metadata, FIXTURE_DATA(several) * self)
{
	char list[64] = "x";
	int i;

	expect_commit_drops(_metadata, &self->rule, 0);
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	EXPECT_STREQ("", list);
	for (i = 0; i < PLACES; i++)
		expect_untouched(_metadata, &self->place[i]);
}

/* The number of the initial user namespace is that of no network namespace. */
TEST_F(several, a_number_that_nobody_has_names_none)
{
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "1"));
	expect_none(_metadata, self);
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "4026531837,net:[4294967295]"));
	expect_none(_metadata, self);
	go_to(_metadata, &self->place[OTHER]);
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "+%lu", self->place[SECOND].inode));
	expect_commit_drops(_metadata, &self->rule, SOCKETS);
	expect_all_dropped(_metadata, &self->place[SECOND]);
	expect_untouched(_metadata, &self->place[FIRST]);
}

/* A namespace of a process of its own, which lasts until that is told to end. */
struct guest {
	pid_t pid;
	unsigned long inode;
	int to_guest;
};

static void guest_main(int from_host, int to_host, pid_t host)
{
	struct guest self = {};
	struct place place;
	char byte;

	if (place_make(&place) || netns_tie("outside", host))
		_exit(1);
	self.inode = place.inode;
	if (write(to_host, &self.inode, sizeof(self.inode)) != sizeof(self.inode))
		_exit(1);
	_exit(read(from_host, &byte, 1) ? 1 : 0);
}

static int guest_start(struct guest *guest)
{
	int down[2], up[2];
	pid_t host = getpid();

	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		return -errno;
	guest->pid = fork();
	if (!guest->pid) {
		close(down[1]);
		guest_main(down[0], up[1], host);
	}
	close(down[0]);
	close(up[1]);
	guest->to_guest = down[1];
	if (read(up[0], &guest->inode, sizeof(guest->inode)) != sizeof(guest->inode))
		return -EPIPE;
	close(up[0]);
	return 0;
}

static int guest_end(struct guest *guest)
{
	int status;

	close(guest->to_guest);
	return waitpid(guest->pid, &status, 0) == guest->pid && !status ? 0 : -ECHILD;
}

/* Its device in the namespace where the test is goes with it. */
TEST_F(several, a_rule_keeps_no_namespace_that_it_names)
{
	struct guest guest;

	ASSERT_EQ(0, guest_start(&guest));
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", guest.inode));
	EXPECT_EQ(SOCKETS, rule_count(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	expect_commit_drops(_metadata, &self->rule, 1);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));

	ASSERT_EQ(0, guest_end(&guest));
	EXPECT_TRUE(WAIT_UNTIL(!if_nametoindex("outside")));
	expect_none(_metadata, self);
}

TEST_F(several, an_end_of_a_namespace_ends_none_of_the_others)
{
	struct guest guest;

	ASSERT_EQ(0, guest_start(&guest));
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu,%lu", guest.inode,
			       self->place[FIRST].inode));
	EXPECT_EQ(2 * SOCKETS, rule_count(&self->rule));
	ASSERT_EQ(0, guest_end(&guest));
	EXPECT_TRUE(WAIT_UNTIL(!if_nametoindex("outside")));
	expect_commit_drops(_metadata, &self->rule, SOCKETS);
	expect_all_dropped(_metadata, &self->place[FIRST]);
	expect_untouched(_metadata, &self->place[SECOND]);
}

/* Make namespaces with sockets in them, and leave them, until killed. */
static pid_t start_mayflies(void)
{
	pid_t pid = fork(), child;

	if (pid)
		return pid;
	for (;;) {
		struct place place;

		child = fork();
		if (!child)
			_exit(place_make(&place) ? 1 : 0);
		waitpid(child, NULL, 0);
	}
}

/* None of the walks fails, and all that is there throughout is met each time. */
TEST_F_TIMEOUT(several, namespaces_come_and_go_during_walks, 240)
{
	const char *live = "127.77.0.1:7001 127.77.0.1:7000 ESTABLISHED";
	pid_t pid[2] = { start_mayflies(), start_mayflies() };
	char *list;
	int i;

	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED,LISTEN"));
	for (i = 0; i < 60; i++) {
		EXPECT_LE(PLACES * 2, rule_count(&self->rule));
		list = rule_list(&self->rule);
		ASSERT_NE(NULL, list);
		EXPECT_LE(PLACES, text_count(list, live));
		free(list);
	}
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	}
	for (i = 0; i < ARRAY_LEN(pid); i++) {
		ASSERT_LT(0, pid[i]);
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	for (i = 0; i < PLACES; i++) {
		EXPECT_EQ(TCP_CLOSE, sock_state(self->place[i].listener));
		EXPECT_EQ(TCP_CLOSE, sock_state(self->place[i].live.client));
	}
}

TEST_F(several, a_long_list_shows_what_fits_and_means_all_of_it)
{
	char text[4097], *rest;
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%s%d", i ? "+" : "", 1000000000 + i));
	for (; i < 500; i++)
		ASSERT_EQ(0, rule_setf(&self->rule, "netns", "+net:[%d]", 1000000000 + i));
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "+%lu", self->place[FIRST].inode));
	ASSERT_EQ(0, rule_get(&self->rule, "netns", text, sizeof(text)));
	EXPECT_EQ(0, strncmp(text, "1000000000,1000000001,1000000002,", 33));
	rest = strstr(text, " ... ");
	ASSERT_NE(NULL, rest);
	EXPECT_EQ(501, text_count(text, ",") + 1 + strtol(rest + 5, &rest, 10));
	EXPECT_STREQ(" more", rest);
	expect_commit_drops(_metadata, &self->rule, SOCKETS);
	expect_all_dropped(_metadata, &self->place[FIRST]);
	expect_untouched(_metadata, &self->place[SECOND]);
}

TEST_F(several, names_select_nothing_by_themselves)
{
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "any"));
	ASSERT_EQ(0, rule_set(&self->rule, "dport", "any"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "any"));
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", self->place[FIRST].inode));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	expect_untouched(_metadata, &self->place[FIRST]);
	expect_untouched(_metadata, &self->place[OTHER]);
}

/* Many, every other one with a table of its own. */
#define CROWD 48

TEST_F_TIMEOUT(several, each_of_many_is_met_once, 240)
{
	struct place *crowd = calloc(CROWD, sizeof(*crowd));
	int i, ret;

	ASSERT_NE(NULL, crowd);
	for (i = 0; i < CROWD; i++) {
		ret = i % 2 ? place_make_private(&crowd[i]) : place_make(&crowd[i]);
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	expect_commit_drops(_metadata, &self->rule, CROWD + PLACES);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "any"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &crowd[0].live.ends));
	expect_commit_drops(_metadata, &self->rule, CROWD + PLACES);
	for (i = 0; i < CROWD; i++) {
		EXPECT_EQ(TCP_CLOSE, sock_state(crowd[i].listener));
		EXPECT_EQ(ECONNABORTED, sock_error(crowd[i].live.client));
	}
	free(crowd);
}

/* Sockets of every kind in namespaces that a commit from elsewhere names. */
FIXTURE(kinds)
{
	unsigned long inode[2];
	struct conn conn[2][KINDS];
	struct conn bystander[KINDS];
	struct rule rule;
};

FIXTURE_VARIANT(kinds)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(kinds, ipv4) { .family = IPV4 };

FIXTURE_VARIANT_ADD(kinds, ipv6) { .family = IPV6 };

FIXTURE_VARIANT_ADD(kinds, dual) { .family = DUAL };

static void make_kinds(struct __test_metadata *_metadata, struct conn *conn,
		       enum family family)
{
	int kind;

	ASSERT_EQ(0, conn_setup());
	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, conn_make(&conn[kind], kind, family)) TH_LOG("kind %d", kind);
}

FIXTURE_SETUP(kinds)
{
	int ret;

	REQUIRE_TCPDROP();
	make_kinds(_metadata, self->conn[0], variant->family);
	self->inode[0] = netns_inode();
	ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "64");
	ASSERT_TRUE(!ret || ret == -ENOENT);
	make_kinds(_metadata, self->conn[1], variant->family);
	self->inode[1] = netns_inode();
	make_kinds(_metadata, self->bystander, variant->family);
	ASSERT_EQ(0, rule_new(&self->rule, "kinds"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
}

FIXTURE_TEARDOWN(kinds)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(kinds, are_all_dropped_in_what_is_named_and_stand_elsewhere)
{
	int kind;

	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu,%lu", self->inode[0], self->inode[1]));

	expect_commit_drops(_metadata, &self->rule, 2 * KINDS);

	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	for (kind = 0; kind < KINDS; kind++) {
		EXPECT_TRUE(ends_in_table(&self->bystander[kind].ends)) TH_LOG("kind %d", kind);
		if (conn_is_owned(kind))
			EXPECT_EQ(ECONNABORTED, sock_error(self->conn[1][kind].fd))
				TH_LOG("kind %d", kind);
	}
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	EXPECT_EQ(KINDS, rule_count(&self->rule));
}

TEST_HARNESS_MAIN
