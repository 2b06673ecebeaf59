// SPDX-License-Identifier: GPL-2.0
/*
 * Connections with the same two ends in two network namespaces: a rule for the
 * own namespace means that of the process that commits, counts or lists.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define ADDR "127.0.0.1"
#define SERVER_PORT 7000
#define LIVE_PORT 7001		/* the client whose connection is established */
#define WAITING_PORT 7002	/* the client that has closed, in TIME_WAIT */

/* A namespace with a listener, an established connection and a TIME_WAIT. */
struct place {
	int ns;
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
	EXPECT_EQ(TCP_CLOSE, sock_state(place->live.server));
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
	EXPECT_NE(NULL, strstr(list, "127.0.0.1:7001 127.0.0.1:7000 ESTABLISHED"));
	EXPECT_NE(NULL, strstr(list, "127.0.0.1:7002 127.0.0.1:7000 TIME_WAIT"));
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

TEST_HARNESS_MAIN
