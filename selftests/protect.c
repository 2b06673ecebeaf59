// SPDX-License-Identifier: GPL-2.0
/*
 * Rules that protect: what they match stays, whoever commits what, and all
 * else goes as if they were not there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_stuck.h"

#define STATS "/sys/kernel/config/tcpdrop/stats"
#define CGROUP "/sys/fs/cgroup/tcpdrop-protect"

static const char *last_error(const struct rule *rule)
{
	static char text[512];

	return rule_get(rule, "last_error", text, sizeof(text)) ? "?" : text;
}

static void expect_value(struct __test_metadata *_metadata, const struct rule *rule,
			 const char *attr, const char *value)
{
	char text[256];

	ASSERT_EQ(0, rule_get(rule, attr, text, sizeof(text)));
	EXPECT_STREQ(value, text);
}

/* The rule has this to drop, and drops it; nothing fails and nothing is left. */
static void expect_drops(struct __test_metadata *_metadata, const struct rule *rule, long nr)
{
	struct rule_result result;
	char *list;

	EXPECT_EQ(nr, rule_count(rule));
	list = rule_list(rule);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(nr, text_count(list, "\n"));
	free(list);
	EXPECT_EQ(0, rule_commit(rule));
	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_EQ(nr, result.matched);
	EXPECT_EQ(nr, result.dropped);
	EXPECT_EQ(0, result.failed);
	EXPECT_EQ(0, result.remaining);
}

static void expect_lives(struct __test_metadata *_metadata, const struct conn *conn)
{
	EXPECT_TRUE(ends_in_table(&conn->ends)) {
		TH_LOG("kind %d", conn->kind);
	}
	if (conn->kind == ESTABLISHED)
		EXPECT_TRUE(sock_talks(conn->fd, conn->peer));
}

FIXTURE(kinds)
{
	struct conn conn[KINDS];
	struct conn bystander[KINDS];
	struct rule keep[KINDS];
	struct rule drop;
};

FIXTURE_VARIANT(kinds)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(kinds, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(kinds, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(kinds, dual) { .family = DUAL };

FIXTURE_SETUP(kinds)
{
	char name[16];
	int kind;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, conn_make(&self->conn[kind], kind, variant->family));
		ASSERT_EQ(0, conn_make(&self->bystander[kind], kind, variant->family));
		snprintf(name, sizeof(name), "keep-%d", kind);
		ASSERT_EQ(0, rule_new(&self->keep[kind], name));
		ASSERT_EQ(0, rule_set_ends(&self->keep[kind], &self->conn[kind].ends));
	}
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", conn_targets(variant->family)));
}

FIXTURE_TEARDOWN(kinds)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		EXPECT_EQ(0, rule_remove(&self->keep[kind]));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

TEST_F(kinds, stay_each_and_all_others_go)
{
	int kind;

	EXPECT_EQ(2 * KINDS, rule_count(&self->drop));
	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, rule_set(&self->keep[kind], "protect", "yes"));

	expect_drops(_metadata, &self->drop, KINDS);

	for (kind = 0; kind < KINDS; kind++) {
		expect_lives(_metadata, &self->conn[kind]);
		EXPECT_FALSE(ends_in_table(&self->bystander[kind].ends)) TH_LOG("%d", kind);
	}
	expect_drops(_metadata, &self->drop, 0);
	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, rule_set(&self->keep[kind], "protect", "no"));
	expect_drops(_metadata, &self->drop, KINDS);
}

/* One rule for all, which goes: so does what it did. */
TEST_F(kinds, are_protected_until_the_rule_is_removed)
{
	struct rule all;
	int kind;

	ASSERT_EQ(0, rule_new(&all, "keep-all"));
	ASSERT_EQ(0, rule_set(&all, "saddr", conn_targets(variant->family)));
	ASSERT_EQ(0, rule_set(&all, "protect", "yes"));

	expect_drops(_metadata, &self->drop, 0);
	for (kind = 0; kind < KINDS; kind++) {
		expect_lives(_metadata, &self->conn[kind]);
		expect_lives(_metadata, &self->bystander[kind]);
	}
	EXPECT_EQ(0, rule_remove(&all));
	expect_drops(_metadata, &self->drop, 2 * KINDS);
}

TEST_F(kinds, are_refused_as_a_line_and_passed_over_among_others)
{
	char line[128], *listing;
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, rule_set(&self->keep[kind], "protect", "yes"));
	for (kind = 0; kind < KINDS; kind++) {
		ends_print(&self->conn[kind].ends, conn_state(kind), line, sizeof(line) - 1);
		strcat(line, "\n");
		EXPECT_EQ(-EPERM, file_write(PROC_FILE, line)) TH_LOG("%s", line);
		expect_lives(_metadata, &self->conn[kind]);
	}

	listing = file_read_all(PROC_FILE);
	ASSERT_NE(NULL, listing);
	for (kind = 0; kind < KINDS; kind++) {
		ends_print(&self->conn[kind].ends, conn_state(kind), line, sizeof(line));
		EXPECT_EQ(0, text_count(listing, line)) TH_LOG("%s", line);
		ends_print(&self->bystander[kind].ends, conn_state(kind), line, sizeof(line));
		EXPECT_EQ(1, text_count(listing, line)) TH_LOG("%s", line);
	}
	free(listing);

	for (kind = 0; kind < KINDS; kind++) {
		char lines[256];
		size_t len;

		ends_print(&self->conn[kind].ends, conn_state(kind), lines, 120);
		len = strlen(lines);
		lines[len++] = '\n';
		ends_print(&self->bystander[kind].ends, conn_state(kind), lines + len, 120);
		strcat(lines, "\n");
		EXPECT_EQ(0, file_write(PROC_FILE, lines)) TH_LOG("%s", lines);
		expect_lives(_metadata, &self->conn[kind]);
		EXPECT_FALSE(ends_in_table(&self->bystander[kind].ends)) TH_LOG("%d", kind);
	}

	for (kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, rule_set(&self->keep[kind], "protect", "no"));
		ends_print(&self->conn[kind].ends, conn_state(kind), line, sizeof(line) - 1);
		strcat(line, "\n");
		EXPECT_EQ(0, file_write(PROC_FILE, line)) TH_LOG("%s", line);
		EXPECT_FALSE(ends_in_table(&self->conn[kind].ends)) TH_LOG("%d", kind);
	}
}

/* A connection to protect, another one, a rule for the first, one for both. */
FIXTURE(protect)
{
	struct conn conn;
	struct conn bystander;
	struct rule keep;
	struct rule drop;
};

FIXTURE_SETUP(protect)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_new(&self->keep, "keep"));
	ASSERT_EQ(0, rule_set_ends(&self->keep, &self->conn.ends));
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", conn_targets(IPV4)));
}

FIXTURE_TEARDOWN(protect)
{
	EXPECT_EQ(0, rule_remove(&self->keep));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

/* The rule protects the connection, and nobody but it. */
static void expect_protected(struct __test_metadata *_metadata, FIXTURE_DATA(protect) * self)
{
	struct conn other;

	ASSERT_EQ(0, conn_make(&other, ESTABLISHED, IPV4));
	EXPECT_EQ(0, rule_commit(&self->drop));
	EXPECT_LE(1, rule_result(&self->drop, "dropped"));
	EXPECT_EQ(0, rule_result(&self->drop, "remaining"));
	EXPECT_EQ(ECONNABORTED, sock_error(other.fd));
	expect_lives(_metadata, &self->conn);
	conn_close(&other);
}

static void expect_unprotected(struct __test_metadata *_metadata, FIXTURE_DATA(protect) * self)
{
	EXPECT_EQ(0, rule_commit(&self->drop));
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
}

static long stat_of(const char *name)
{
	char *text = file_read_all(STATS), *at;
	long value = -1;

	at = text ? strstr(text, name) : NULL;
	if (at)
		value = atol(at + strlen(name));
	free(text);
	return value;
}

TEST_F(protect, drops_nothing_itself)
{
	long refused = stat_of("commits_refused "), commits = stat_of("commits ");

	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_value(_metadata, &self->keep, "protect", "yes");
	EXPECT_EQ(-EPERM, rule_commit(&self->keep));
	EXPECT_EQ(0, strncmp(last_error(&self->keep), "commit: \"1\": ", 13));
	EXPECT_NE(NULL, strstr(last_error(&self->keep), "protects"));
	EXPECT_EQ(refused + 1, stat_of("commits_refused "));
	EXPECT_EQ(commits, stat_of("commits "));
	EXPECT_EQ(0, rule_result(&self->keep, "matched"));
	EXPECT_EQ(0, rule_count(&self->keep));
	expect_lives(_metadata, &self->conn);

	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	expect_drops(_metadata, &self->keep, 1);
	expect_lives(_metadata, &self->bystander);
}

TEST_F(protect, counts_for_no_limit)
{
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ASSERT_EQ(0, rule_set(&self->drop, "max", "1"));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(ECONNABORTED, sock_error(self->bystander.fd));
	expect_lives(_metadata, &self->conn);
}

/* Its commit would be refused for want of a selector; to protect it needs none. */
TEST_F(protect, without_a_selector_is_for_everything_but_listeners)
{
	int fd = sock_listen(IPV4, "127.9.9.9", 7000);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rule_clear_ends(&self->keep));
	ASSERT_EQ(0, rule_set(&self->drop, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", "any"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(-EPERM, rule_commit(&self->keep));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(TCP_CLOSE, sock_state(fd));
	expect_lives(_metadata, &self->conn);
	expect_lives(_metadata, &self->bystander);
}

TEST_F(protect, listeners_where_they_are_named)
{
	int fd = sock_listen(IPV4, "127.9.9.9", 7000);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rule_clear_ends(&self->keep));
	ASSERT_EQ(0, rule_set(&self->keep, "sport", "7000"));
	ASSERT_EQ(0, rule_set(&self->keep, "state", "LISTEN"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", "127.9.9.9"));
	ASSERT_EQ(0, rule_set(&self->drop, "state", "LISTEN"));
	expect_drops(_metadata, &self->drop, 0);
	EXPECT_EQ(TCP_LISTEN, sock_state(fd));

	ASSERT_EQ(0, rule_set(&self->keep, "state", "all"));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(TCP_CLOSE, sock_state(fd));
}

/* What a rule that drops is for is not what one that protects is for. */
TEST_F(protect, whatever_the_other_options_are)
{
	ASSERT_EQ(0, rule_set(&self->keep, "max", "1"));
	ASSERT_EQ(0, rule_set(&self->keep, "kernel", "yes"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_protected(_metadata, self);
	ASSERT_EQ(0, rule_set(&self->keep, "max", "any"));
	ASSERT_EQ(0, rule_set(&self->keep, "kernel", "no"));
	expect_protected(_metadata, self);
}

TEST_F(protect, what_is_written_at_once)
{
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ASSERT_EQ(0, rule_set(&self->keep, "state", "TIME_WAIT"));
	ASSERT_EQ(0, rule_set(&self->keep, "state", "+ESTAB"));
	expect_protected(_metadata, self);
	ASSERT_EQ(0, rule_set(&self->keep, "state", "TIME_WAIT"));
	expect_unprotected(_metadata, self);
}

TEST_F(protect, as_before_after_a_refused_write)
{
	char *text = malloc(5001);

	ASSERT_NE(NULL, text);
	memset(text, ' ', 5000);
	text[5000] = '\0';
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "state", "timewait"));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "saddr", "192.0.2.1 x"));
	EXPECT_EQ(-EFBIG, rule_set(&self->keep, "sport", text));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "netns", "self,all"));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "protect", "nope"));
	EXPECT_STREQ("protect: \"nope\": neither yes nor no", last_error(&self->keep));
	EXPECT_EQ(-ENOENT, rule_set(&self->keep, "cgroup", "/no/such/cgroup"));
	free(text);
	expect_value(_metadata, &self->keep, "protect", "yes");
	expect_value(_metadata, &self->keep, "state", "any");
	EXPECT_EQ(-EPERM, rule_commit(&self->keep));
	expect_protected(_metadata, self);
}

TEST_F(protect, not_by_processes)
{
	ASSERT_EQ(0, rule_setf(&self->keep, "pid", "%d", getpid()));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "protect", "yes"));
	EXPECT_STREQ("protect: \"yes\": protect and pid do not go together",
		     last_error(&self->keep));
	expect_value(_metadata, &self->keep, "protect", "no");
	EXPECT_EQ(-EINVAL, rule_commit(&self->keep));
	EXPECT_NE(NULL, strstr(last_error(&self->keep), "protect was refused"));

	ASSERT_EQ(0, rule_set(&self->keep, "pid", "any"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(-EINVAL, rule_set(&self->keep, "pid", "!1"));
	EXPECT_STREQ("pid: \"!1\": protect and pid do not go together",
		     last_error(&self->keep));
	expect_value(_metadata, &self->keep, "pid", "any");
	expect_protected(_metadata, self);
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	ASSERT_EQ(0, rule_set(&self->keep, "pid", "1"));
	expect_unprotected(_metadata, self);
}

static int enter(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	return file_write(path, "0");
}

/* A cgroup is what it was when its path was written, even if that is no more. */
TEST_F(protect, the_sockets_of_a_cgroup_that_has_gone)
{
	struct conn conn;

	if (access("/sys/fs/cgroup/cgroup.procs", W_OK))
		SKIP(return, "no cgroup v2 in /sys/fs/cgroup");
	ASSERT_EQ(0, mkdir(CGROUP, 0755));
	ASSERT_EQ(0, enter(CGROUP));
	ASSERT_EQ(0, conn_make(&conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, enter("/sys/fs/cgroup"));
	ASSERT_EQ(0, rule_clear_ends(&self->keep));
	ASSERT_EQ(0, rule_set(&self->keep, "cgroup", CGROUP + strlen("/sys/fs/cgroup")));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_drops(_metadata, &self->drop, 2);
	expect_lives(_metadata, &conn);

	ASSERT_EQ(0, rmdir(CGROUP));
	ASSERT_EQ(0, rule_set(&self->keep, "state", "all"));
	expect_drops(_metadata, &self->drop, 0);
	expect_lives(_metadata, &conn);
	EXPECT_EQ(-ENOENT, rule_set(&self->keep, "protect", "yes"));
	EXPECT_NE(NULL, strstr(last_error(&self->keep), "cgroup"));
	expect_drops(_metadata, &self->drop, 0);

	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(ECONNABORTED, sock_error(conn.fd));
}

/* Who may */

/* All capabilities, but over new namespaces alone. */
static int in_container(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) ? -errno : 0;
}

/* What a process gets that has become somebody else: 0 or a negative errno. */
static int set_as(int (*become)(void), const struct rule *rule, const char *attr,
		  const char *value)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(become() ? 255 : -rule_set(rule, attr, value));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

TEST_F(protect, not_by_root_without_the_capability)
{
	char number[32];

	snprintf(number, sizeof(number), "%lu", netns_inode());
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "protect", "yes"));
	EXPECT_NE(NULL, strstr(last_error(&self->keep), "protect: \"yes\": needs CAP_NET_ADMIN"));
	expect_value(_metadata, &self->keep, "protect", "no");
	EXPECT_EQ(2, rule_count(&self->drop));
	EXPECT_EQ(-EINVAL, rule_commit(&self->keep));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "protect", "no"));

	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "protect", "no"));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "netns", "self"));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "netns", "all"));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "netns", number));
	EXPECT_NE(NULL, strstr(last_error(&self->keep), "CAP_NET_ADMIN"));
	EXPECT_EQ(-EPERM, set_as(net_admin_drop, &self->keep, "netns", "1"));
	expect_value(_metadata, &self->keep, "protect", "yes");
	expect_value(_metadata, &self->keep, "netns", "self");
	EXPECT_EQ(0, set_as(net_admin_drop, &self->keep, "state", "ESTABLISHED"));
	expect_protected(_metadata, self);
}

/* Root over there is nobody here: it neither protects nor takes protection away. */
TEST_F(protect, not_by_root_of_a_container_what_is_outside)
{
	char number[32];

	snprintf(number, sizeof(number), "%lu", netns_inode());
	EXPECT_EQ(0, set_as(in_container, &self->keep, "protect", "yes"));
	EXPECT_EQ(2, rule_count(&self->drop));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	ASSERT_EQ(0, rule_set(&self->keep, "netns", number));
	EXPECT_EQ(-EPERM, set_as(in_container, &self->keep, "protect", "yes"));
	ASSERT_EQ(0, rule_set(&self->keep, "netns", "all"));
	EXPECT_EQ(-EPERM, set_as(in_container, &self->keep, "protect", "yes"));
	EXPECT_EQ(2, rule_count(&self->drop));

	ASSERT_EQ(0, rule_set(&self->keep, "netns", "self"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(-EPERM, set_as(in_container, &self->keep, "protect", "no"));
	EXPECT_EQ(-EPERM, set_as(in_container, &self->keep, "protect", "yes"));
	EXPECT_EQ(-EPERM, set_as(in_container, &self->keep, "netns", "self"));
	expect_value(_metadata, &self->keep, "protect", "yes");
	expect_protected(_metadata, self);
}

/* Namespaces */

#define ADDR "127.78.0.1"

struct place {
	int ns;
	unsigned long inode;
	struct pair pair;
};

static int place_make(struct place *place)
{
	int listener, ret;

	ret = netns_new();
	if (ret)
		return ret;
	place->ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	place->inode = netns_inode();
	listener = sock_listen(IPV4, ADDR, 7000);
	ret = sock_pair(listener, IPV4, ADDR, 7001, &place->pair);
	close(listener);
	return ret;
}

FIXTURE(places)
{
	struct place here;
	struct place there;
	struct rule keep;
	struct rule drop;
};

FIXTURE_SETUP(places)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, place_make(&self->there));
	ASSERT_EQ(0, place_make(&self->here));
	ASSERT_EQ(0, rule_new(&self->keep, "keep"));
	ASSERT_EQ(0, rule_set(&self->keep, "sport", "7001"));
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", ADDR));
	ASSERT_EQ(0, rule_set(&self->drop, "sport", "7001"));
	ASSERT_EQ(0, rule_set(&self->drop, "netns", "all"));
}

FIXTURE_TEARDOWN(places)
{
	EXPECT_EQ(0, rule_remove(&self->keep));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

static void go_to(struct __test_metadata *_metadata, const struct place *place)
{
	ASSERT_EQ(0, setns(place->ns, CLONE_NEWNET));
}

/* What a commit in this namespace alone would find. */
static long count_in(struct __test_metadata *_metadata, const struct rule *drop,
		     const struct place *place)
{
	EXPECT_EQ(0, rule_setf(drop, "netns", "%lu", place->inode));
	return rule_count(drop);
}

static void expect_place_lives(struct __test_metadata *_metadata, const struct place *place)
{
	EXPECT_TRUE(sock_talks(place->pair.client, place->pair.server));
}

TEST_F(places, self_is_where_protect_was_set)
{
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_drops(_metadata, &self->drop, 1);
	expect_place_lives(_metadata, &self->here);
	EXPECT_EQ(ECONNABORTED, sock_error(self->there.pair.client));

	/* Wherever the rule is written to afterwards. */
	go_to(_metadata, &self->there);
	ASSERT_EQ(0, rule_set(&self->keep, "state", "all"));
	expect_drops(_metadata, &self->drop, 0);
	ASSERT_EQ(0, rule_set(&self->keep, "netns", "self"));
	expect_drops(_metadata, &self->drop, 0);
	expect_place_lives(_metadata, &self->here);
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(ECONNABORTED, sock_error(self->here.pair.client));
}

TEST_F(places, all_are_those_too_that_come_later)
{
	struct place later;

	ASSERT_EQ(0, rule_set(&self->keep, "netns", "all"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ASSERT_EQ(0, place_make(&later));
	expect_drops(_metadata, &self->drop, 0);
	expect_place_lives(_metadata, &self->here);
	expect_place_lives(_metadata, &self->there);
	expect_place_lives(_metadata, &later);
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	expect_drops(_metadata, &self->drop, 3);
}

TEST_F(places, numbers_are_those_that_they_name)
{
	ASSERT_EQ(0, rule_setf(&self->keep, "netns", "%lu,1", self->there.inode));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	EXPECT_EQ(1, count_in(_metadata, &self->drop, &self->here));
	EXPECT_EQ(0, count_in(_metadata, &self->drop, &self->there));

	ASSERT_EQ(0, rule_setf(&self->keep, "netns", "+%lu", self->here.inode));
	EXPECT_EQ(0, count_in(_metadata, &self->drop, &self->here));
	EXPECT_EQ(0, count_in(_metadata, &self->drop, &self->there));

	ASSERT_EQ(0, rule_setf(&self->keep, "netns", "%lu", self->here.inode));
	EXPECT_EQ(0, count_in(_metadata, &self->drop, &self->here));
	ASSERT_EQ(0, rule_set(&self->drop, "netns", "all"));
	expect_drops(_metadata, &self->drop, 1);
	expect_place_lives(_metadata, &self->here);
	EXPECT_EQ(ECONNABORTED, sock_error(self->there.pair.client));

	ASSERT_EQ(0, rule_set(&self->keep, "netns", "1"));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(ECONNABORTED, sock_error(self->here.pair.client));
}

/*
 * Numbers that have become free are used again, the lowest first, for entries of
 * /proc as well, so whether a namespace comes to have that of another is a matter
 * of luck.
 */
static void make_stranger(struct __test_metadata *_metadata, unsigned long number)
{
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, netns_new());
		if (netns_inode() == number)
			return;
		pause_ms(10);
	}
	TH_LOG("no namespace has got the number %lu again", number);
}

TEST_F(places, the_number_of_one_that_has_gone_protects_no_stranger)
{
	unsigned long inode = self->here.inode;
	struct place stranger;
	int listener;

	ASSERT_EQ(0, rule_setf(&self->keep, "netns", "%lu", inode));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_drops(_metadata, &self->drop, 1);
	close(self->here.pair.client);
	close(self->here.pair.server);
	close(self->here.ns);
	go_to(_metadata, &self->there);

	make_stranger(_metadata, inode);
	listener = sock_listen(IPV4, ADDR, 7000);
	ASSERT_EQ(0, sock_pair(listener, IPV4, ADDR, 7001, &stranger.pair));
	expect_drops(_metadata, &self->drop, 1);
	EXPECT_EQ(ECONNABORTED, sock_error(stranger.pair.client));
	close(listener);
}

/* While others are at work */

#define CROWD 300

/*
 * All are in one bucket where a namespace can have a table of its own, so the
 * commit has found all of them before it drops the first.
 */
FIXTURE(crowd)
{
	struct pair pair[CROWD];
	struct rule keep;
	struct rule drop;
};

FIXTURE_SETUP(crowd)
{
	int i, ret, listener;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1");
	ASSERT_TRUE(!ret || ret == -ENOENT);
	ASSERT_EQ(0, netns_new());
	listener = sock_listen(IPV4, "127.0.0.1", 7000);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, sock_pair(listener, IPV4, ADDR, 0, &self->pair[i]));
	close(listener);
	ASSERT_EQ(0, rule_new(&self->keep, "keep"));
	ASSERT_EQ(0, rule_set(&self->keep, "saddr", ADDR));
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", ADDR));
	ASSERT_EQ(0, rule_setf(&self->drop, "max", "%d", CROWD));
}

FIXTURE_TEARDOWN(crowd)
{
	EXPECT_EQ(0, rule_remove(&self->keep));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

static int nr_dropped(const struct pair *pair)
{
	int i, dropped = 0;

	for (i = 0; i < CROWD; i++)
		dropped += sock_state(pair[i].client) == TCP_CLOSE;
	return dropped;
}

/* When the write has returned, a commit that runs drops no more of them. */
TEST_F(crowd, is_left_alone_by_a_commit_that_has_found_it)
{
	struct hold hold;
	int dropped, i;

	ASSERT_EQ(0, commit_hold(&hold, &self->drop, self->pair, CROWD));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	dropped = nr_dropped(self->pair);
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	EXPECT_LE(1, dropped);
	EXPECT_GT(CROWD, dropped);
	EXPECT_EQ(dropped, nr_dropped(self->pair));
	EXPECT_EQ(dropped, rule_result(&self->drop, "dropped"));
	EXPECT_EQ(dropped, rule_result(&self->drop, "matched"));
	EXPECT_EQ(0, rule_result(&self->drop, "failed"));
	EXPECT_EQ(0, rule_result(&self->drop, "remaining"));
	for (i = 0; i < CROWD; i++)
		if (sock_state(self->pair[i].client) != TCP_CLOSE)
			EXPECT_TRUE(sock_talks(self->pair[i].client, self->pair[i].server));
}

FIXTURE(stuck)
{
	struct conn conn;
	struct conn bystander;
	struct sender sender;
	struct rule keep;
	struct rule drop;
	int faults;
};

FIXTURE_SETUP(stuck)
{
	char *page;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	self->faults = stuck_pages(&page, 1);
	ASSERT_LE(0, self->faults);
	ASSERT_EQ(0, sender_start(&self->sender, self->conn.fd, page, self->faults));
	ASSERT_EQ(0, rule_new(&self->keep, "keep"));
	ASSERT_EQ(0, rule_set_ends(&self->keep, &self->conn.ends));
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", conn_targets(IPV4)));
}

FIXTURE_TEARDOWN(stuck)
{
	EXPECT_EQ(0, rule_remove(&self->keep));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

/*
 * Its drop is deferred, since its owner has it; that it is protected by then is no
 * failure.  (Where the machine is so slow that the commit has given up before, it is.)
 */
TEST_F(stuck, is_left_alone_by_a_commit_that_waits_for_its_owner)
{
	long failed;
	bool ended;
	pid_t pid;
	char byte;

	pid = rule_commit_elsewhere(&self->drop);
	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->drop, "dropped") == 1));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ended = rule_result(&self->drop, "elapsed_us");
	EXPECT_EQ(0, sender_let_go(&self->sender, self->faults));
	EXPECT_EQ(0, rule_commit_end(pid));

	failed = rule_result(&self->drop, "failed");
	EXPECT_TRUE(!failed || ended);
	EXPECT_EQ(1 + failed, rule_result(&self->drop, "matched"));
	EXPECT_EQ(1, rule_result(&self->drop, "dropped"));
	EXPECT_EQ(1, self->sender.ret);
	EXPECT_EQ(1, recv(self->conn.peer, &byte, 1, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
	EXPECT_EQ(ECONNABORTED, sock_error(self->bystander.fd));
	expect_drops(_metadata, &self->drop, 0);
}

/* Nor does an owner that is stuck hold up who protects. */
TEST_F(stuck, is_protected_all_the_same)
{
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	expect_drops(_metadata, &self->drop, 1);
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "no"));
	EXPECT_EQ(1, rule_count(&self->drop));
	EXPECT_EQ(0, sender_let_go(&self->sender, self->faults));
	expect_drops(_metadata, &self->drop, 1);
}

#define KEPT 20
#define ROUNDS 200

struct storm {
	atomic_bool stop;
	atomic_long commits;
	atomic_long bad;
	const struct rule *drop;
	pthread_t committer[2], maker;
};

/* One of them is refused while the other's commit runs. */
static void *storm_commit(void *arg)
{
	struct storm *storm = arg;
	int ret;

	while (!atomic_load(&storm->stop)) {
		ret = rule_commit(storm->drop);
		if (!ret)
			atomic_fetch_add(&storm->commits, 1);
		else if (ret != -EBUSY)
			atomic_fetch_add(&storm->bad, 1);
	}
	return NULL;
}

/* Rules that come, protect something else, drop and go. */
static void *storm_make(void *arg)
{
	struct storm *storm = arg;
	struct rule rule;

	while (!atomic_load(&storm->stop))
		if (rule_new(&rule, "other") ||
		    rule_set(&rule, "saddr", ADDR) ||
		    rule_set(&rule, "dport", "1") ||
		    rule_set(&rule, "protect", "yes") ||
		    rule_set(&rule, "dport", "2") ||
		    rule_commit(&rule) != -EPERM ||
		    rule_set(&rule, "protect", "no") ||
		    rule_set(&rule, "dport", "any") ||
		    rule_commit(&rule) ||
		    rule_remove(&rule))
			atomic_fetch_add(&storm->bad, 1);
	return NULL;
}

/*
 * Has the kernel linger where a socket has left its table and does not yet say that
 * it is closed.
 */
static int linger(const char *trigger)
{
	return file_write("/sys/kernel/tracing/events/sock/inet_sock_set_state/trigger", trigger);
}

FIXTURE(storm)
{
	struct pair pair[KEPT];
	int listener;
	struct rule keep;
	struct rule drop;
	struct storm storm;
};

FIXTURE_SETUP(storm)
{
	struct storm *storm = &self->storm;
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(IPV4, "127.0.0.1", 7000);
	for (i = 0; i < KEPT; i++)
		ASSERT_EQ(0, sock_pair(self->listener, IPV4, ADDR, 20000 + i, &self->pair[i]));
	ASSERT_EQ(0, sock_nonblock(self->listener));
	ASSERT_EQ(0, rule_new(&self->keep, "keep"));
	ASSERT_EQ(0, rule_set(&self->keep, "sport", "20000-20099"));
	ASSERT_EQ(0, rule_set(&self->keep, "protect", "yes"));
	ASSERT_EQ(0, rule_new(&self->drop, "drop"));
	ASSERT_EQ(0, rule_set(&self->drop, "saddr", ADDR));
	storm->drop = &self->drop;
	ASSERT_EQ(0, linger("stacktrace if newstate == 7"));
	for (i = 0; i < ARRAY_LEN(storm->committer); i++)
		ASSERT_EQ(0, pthread_create(&storm->committer[i], NULL, storm_commit, storm));
	ASSERT_EQ(0, pthread_create(&storm->maker, NULL, storm_make, storm));
}

FIXTURE_TEARDOWN(storm)
{
	EXPECT_EQ(0, linger("!stacktrace if newstate == 7"));
	EXPECT_EQ(0, rule_remove(&self->keep));
	EXPECT_EQ(0, rule_remove(&self->drop));
}

static void storm_end(struct __test_metadata *_metadata, struct storm *storm)
{
	int i;

	atomic_store(&storm->stop, true);
	for (i = 0; i < ARRAY_LEN(storm->committer); i++)
		ASSERT_EQ(0, pthread_join(storm->committer[i], NULL));
	ASSERT_EQ(0, pthread_join(storm->maker, NULL));
	EXPECT_LE(1, atomic_load(&storm->commits));
	EXPECT_EQ(0, atomic_load(&storm->bad));
}

/* A client that the commits mean: it may be dropped before it is connected. */
static int client_new(int listener, int port)
{
	struct end server;
	int fd = sock_new(IPV4);

	if (fd < 0 || end_of(listener, &server) || sock_bind(fd, IPV4, ADDR, port))
		return -1;
	sock_connect(fd, IPV4, &server);
	return fd;
}

/* What the server has of it may be there or not. */
static void client_close(int listener, int fd)
{
	close(fd);
	close(accept(listener, NULL, NULL));
}

/* Each of these texts covers the connections, and so does whatever is between two. */
TEST_F(storm, of_commits_while_the_rule_is_written_anew)
{
	static const struct {
		const char *attr;
		const char *value;
	} writes[] = {
		{ "sport", "20000-29999" },
		{ "saddr", ADDR },
		{ "sport", "10000-20099" },
		{ "state", "ESTABLISHED" },
		{ "saddr", "any" },
		{ "netns", "all" },
		{ "state", "!TIME_WAIT" },
		{ "protect", "yes" },
		{ "netns", "self" },
		{ "sport", "+1" },
	};
	int i, client;

	for (i = 0; i < ROUNDS; i++) {
		size_t at = i % ARRAY_LEN(writes);

		EXPECT_EQ(0, rule_set(&self->keep, writes[at].attr, writes[at].value))
			TH_LOG("%s", last_error(&self->keep));
		if (i % 20)
			continue;
		client = client_new(self->listener, 30000 + i);
		ASSERT_LE(0, client);
		EXPECT_TRUE(WAIT_UNTIL(sock_state(client) == TCP_CLOSE));
		client_close(self->listener, client);
	}
	storm_end(_metadata, &self->storm);
	for (i = 0; i < KEPT; i++)
		EXPECT_TRUE(sock_talks(self->pair[i].client, self->pair[i].server));
}

/* From when protection is set until it is taken away, nobody drops what comes. */
TEST_F(storm, of_commits_while_protection_comes_and_goes)
{
	int i, port, client, kept = 0;
	int64_t start = clock_ms();
	struct rule late;

	ASSERT_EQ(0, rule_new(&late, "late"));
	/* However rarely it is in time. */
	for (i = 0; i < ROUNDS || (!kept && clock_ms() - start < DEADLINE_MS); i++) {
		port = 30000 + i % 10000;
		ASSERT_EQ(0, rule_setf(&late, "sport", "%d", port));
		client = client_new(self->listener, port);
		ASSERT_LE(0, client);
		ASSERT_EQ(0, rule_set(&late, "protect", "yes"));
		if (sock_state(client) == TCP_ESTABLISHED) {
			int before = atomic_load(&self->storm.commits);

			kept++;
			EXPECT_TRUE(WAIT_UNTIL(atomic_load(&self->storm.commits) > before));
			EXPECT_EQ(TCP_ESTABLISHED, sock_state(client));
		}
		ASSERT_EQ(0, rule_set(&late, "protect", "no"));
		EXPECT_TRUE(WAIT_UNTIL(sock_state(client) == TCP_CLOSE));
		client_close(self->listener, client);
	}
	TH_LOG("%d of %d were protected in time", kept, i);
	EXPECT_LT(0, kept);
	storm_end(_metadata, &self->storm);
	EXPECT_EQ(0, rule_remove(&late));
	for (i = 0; i < KEPT; i++)
		EXPECT_TRUE(sock_talks(self->pair[i].client, self->pair[i].server));
}

TEST_HARNESS_MAIN
