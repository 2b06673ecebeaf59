// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that a commit has to pass over, and that hold up no other: those
 * whose owner is stuck in a system call, and those under TCP_REPAIR.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_stuck.h"

#define CONNS 20
#define STUCK 8
#define CROWD 2000	/* enough for the kernel to use several CPUs, if it has them */

/*
 * An owner that is stuck in a system call holds the lock of its socket for as
 * long as it likes: here a sender waits for a page that userfaultfd has to
 * bring. All other sockets are dropped meanwhile.
 */
FIXTURE(stuck)
{
	struct rule rule;
	struct conn conn[CONNS];	/* the first few have a stuck owner */
	struct sender sender[STUCK];
	char *pages;
	int faults;
};

FIXTURE_SETUP(stuck)
{
	int i, ret;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < CONNS; i++) {
		ret = conn_make(&self->conn[i], ESTABLISHED, i % FAMILIES);
		ASSERT_EQ(0, ret);
	}
	self->faults = stuck_pages(&self->pages, STUCK);
	ASSERT_LE(0, self->faults);
	for (i = 0; i < STUCK; i++) {
		ret = sender_start(&self->sender[i], self->conn[i].fd,
				   self->pages + i * getpagesize(), self->faults);
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, rule_new(&self->rule, "stuck"));
	ASSERT_EQ(0, rule_setf(&self->rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
}

FIXTURE_TEARDOWN(stuck)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Let the stuck senders go on; what they were about to do then succeeds. */
static void let_go(struct __test_metadata *_metadata, struct sender *sender, int faults)
{
	int i;

	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&sender[i], faults));
}

static void expect_result(struct __test_metadata *_metadata, const struct rule *rule,
			  long dropped, long failed)
{
	EXPECT_EQ(dropped + failed, rule_result(rule, "matched"));
	EXPECT_EQ(dropped, rule_result(rule, "dropped"));
	EXPECT_EQ(failed, rule_result(rule, "failed"));
	EXPECT_EQ(failed, rule_result(rule, "remaining"));
}

TEST_F(stuck, a_commit_ends_with_all_others_dropped_and_the_stuck_failed)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, CONNS - STUCK, STUCK);
	EXPECT_GT(DEADLINE_MS * 1000, rule_result(&self->rule, "elapsed_us"));
	for (i = STUCK; i < CONNS; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	let_go(_metadata, self->sender, self->faults);
}

/* Deferred, or caught as their owners let them go, they are where they are. */
TEST_F(stuck, a_commit_from_another_namespace_does_the_same)
{
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu,1", netns_inode()));
	ASSERT_EQ(0, netns_new());

	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, CONNS - STUCK, STUCK);
	let_go(_metadata, self->sender, self->faults);
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, STUCK, 0);
}

/* Whichever CPU came upon them. */
TEST_F(stuck, a_commit_fails_just_the_stuck_among_thousands)
{
	struct rlimit files = { 2 * CROWD + 1000, 2 * CROWD + 1000 };
	struct pair *crowd = calloc(CROWD, sizeof(*crowd));
	int i, listener;

	ASSERT_NE(NULL, crowd);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	listener = sock_listen(IPV4, "127.5.0.1", 7000);
	ASSERT_LE(0, listener);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, sock_pair(listener, IPV4, "127.5.0.2", 0, &crowd[i]));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "+127.5.0.2"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, CONNS - STUCK + CROWD, STUCK);
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(crowd[i].client));
	for (i = STUCK; i < CONNS; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	let_go(_metadata, self->sender, self->faults);
	free(crowd);
}

TEST_F(stuck, who_could_not_be_dropped_lives_on_and_can_be_dropped_later)
{
	char byte;
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));
	let_go(_metadata, self->sender, self->faults);
	for (i = 0; i < STUCK; i++) {
		EXPECT_EQ(1, self->sender[i].ret);
		EXPECT_EQ(1, recv(self->conn[i].peer, &byte, 1, 0));
		EXPECT_TRUE(sock_talks(self->conn[i].fd, self->conn[i].peer));
	}

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, STUCK, 0);
	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
}

/* A commit in another process has come to where only the stuck are left. */
static pid_t commit_until_stuck(struct __test_metadata *_metadata, const struct rule *rule)
{
	pid_t pid = rule_commit_elsewhere(rule);

	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(rule, "dropped") == CONNS - STUCK));
	return pid;
}

TEST_F(stuck, a_signal_ends_the_wait_for_the_stuck)
{
	int64_t start = clock_ms();
	bool late;
	pid_t pid;
	int ret;

	pid = commit_until_stuck(_metadata, &self->rule);
	ASSERT_EQ(0, kill(pid, SIGTERM));
	late = patience_is_over(start);
	ret = rule_commit_end(pid);
	EXPECT_TRUE(ret == -EINTR || (!ret && late)) TH_LOG("%d", ret);
	EXPECT_EQ(CONNS - STUCK, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(STUCK, rule_result(&self->rule, "remaining"));
	let_go(_metadata, self->sender, self->faults);
}

TEST_F(stuck, who_is_let_go_while_the_commit_waits_is_dropped)
{
	int64_t start = clock_ms();
	long failed = 0;
	pid_t pid;

	pid = commit_until_stuck(_metadata, &self->rule);
	let_go(_metadata, self->sender, self->faults);
	if (patience_is_over(start))
		failed = STUCK;
	EXPECT_EQ(0, rule_commit_end(pid));
	EXPECT_EQ(CONNS, rule_result(&self->rule, "matched"));
	EXPECT_GE(failed, rule_result(&self->rule, "failed"));
	EXPECT_EQ(rule_result(&self->rule, "failed"), rule_result(&self->rule, "remaining"));
}

/* Both watch the same sockets; whoever is handed one that the other drops gives it back. */
TEST_F(stuck, two_commits_that_wait_for_the_same_owners_drop_each_once)
{
	int64_t start = clock_ms();
	struct rule other;
	pid_t pid, pid_other;
	long failed = 0, left;

	ASSERT_EQ(0, rule_new(&other, "stuck_too"));
	ASSERT_EQ(0, rule_setf(&other, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
	pid = commit_until_stuck(_metadata, &self->rule);
	pid_other = rule_commit_elsewhere(&other);
	ASSERT_LE(0, pid_other);
	usleep(100000);
	let_go(_metadata, self->sender, self->faults);
	if (patience_is_over(start))
		failed = STUCK;
	EXPECT_EQ(0, rule_commit_end(pid));
	EXPECT_EQ(0, rule_commit_end(pid_other));

	left = rule_count(&self->rule);
	EXPECT_GE(failed, left);
	EXPECT_EQ(CONNS - left, rule_result(&self->rule, "dropped") +
				rule_result(&other, "dropped"));
	EXPECT_EQ(0, rule_remove(&other));
}

/*
 * Commit until it waits for the stuck, whom it does not mean any more then: whose socket it is
 * changes without the lock that its owner has.
 */
static pid_t commit_and_give_away(struct __test_metadata *_metadata, FIXTURE_DATA(stuck) * self)
{
	pid_t pid;
	int i;

	ASSERT_EQ(0, rule_setf(&self->rule, "uid", "%u", getuid()));
	pid = commit_until_stuck(_metadata, &self->rule);
	for (i = 0; i < STUCK; i++)
		ASSERT_EQ(0, fchown(self->conn[i].fd, getuid() + 1, -1));
	return pid;
}

TEST_F(stuck, who_is_let_go_and_does_not_match_by_then_lives_on)
{
	int64_t start = clock_ms();
	long failed = 0;
	char byte;
	pid_t pid;
	int i;

	pid = commit_and_give_away(_metadata, self);
	let_go(_metadata, self->sender, self->faults);
	if (patience_is_over(start))
		failed = STUCK;
	EXPECT_EQ(0, rule_commit_end(pid));

	EXPECT_EQ(CONNS - STUCK, rule_result(&self->rule, "dropped"));
	EXPECT_GE(failed, rule_result(&self->rule, "failed"));
	for (i = 0; i < STUCK; i++) {
		EXPECT_EQ(1, recv(self->conn[i].peer, &byte, 1, 0));
		EXPECT_TRUE(sock_talks(self->conn[i].fd, self->conn[i].peer));
	}
}

TEST_F(stuck, who_does_not_match_any_more_has_not_failed)
{
	int64_t start = clock_ms();
	long failed = 0;
	pid_t pid;
	int i;

	pid = commit_and_give_away(_metadata, self);
	if (patience_is_over(start))
		failed = STUCK;
	EXPECT_EQ(0, rule_commit_end(pid));

	EXPECT_EQ(CONNS - STUCK, rule_result(&self->rule, "dropped"));
	EXPECT_GE(failed, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	let_go(_metadata, self->sender, self->faults);
	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(0, sock_error(self->conn[i].fd));
}

TEST_F(stuck, count_and_list_have_the_stuck_too)
{
	char *list;

	EXPECT_EQ(CONNS, rule_count(&self->rule));
	list = rule_list(&self->rule);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(CONNS, text_count(list, "\n"));
	free(list);
	let_go(_metadata, self->sender, self->faults);
}

static void on_signal(int signal)
{
}

static pid_t write_elsewhere(const char *text)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-file_write("/proc/thread-self/net/tcp_drop", text));
	return pid;
}

/* A signal that does not end the process comes when all lines have been taken. */
TEST_F(stuck, who_is_named_in_a_line_is_waited_for_whatever_signal_comes)
{
	const struct conn *idle = &self->conn[STUCK];
	int64_t start = clock_ms();
	char text[320];
	bool late;
	pid_t pid;
	int ret;

	ends_print(&self->conn[0].ends, TCP_ESTABLISHED, text, 159);
	strcat(text, "\n");
	ends_print(&idle->ends, TCP_ESTABLISHED, text + strlen(text), 159);
	strcat(text, "\n");
	signal(SIGUSR1, on_signal);
	pid = write_elsewhere(text);
	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(sock_error(idle->fd) == ECONNABORTED));
	EXPECT_EQ(0, kill(pid, SIGUSR1));
	pause_ms(100);
	let_go(_metadata, self->sender, self->faults);
	late = patience_is_over(start);

	ret = rule_commit_end(pid);
	EXPECT_TRUE(!ret || (ret == -EBUSY && late)) TH_LOG("%d", ret);
	if (!ret)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[0].fd));
}

/*
 * More stuck owners than anybody would keep a list of, named in one write of
 * /proc/net/tcp_drop with others among them.
 */
#define LINES 200
#define LINES_STUCK 160

FIXTURE(lines)
{
	struct conn conn[LINES];
	struct sender sender[LINES_STUCK];
	char *text;
	int faults;
	pid_t pid;
};

/* The first is idle, and so is each fifth from there on. */
static bool is_idle(int i)
{
	return i % (LINES / (LINES - LINES_STUCK)) == 0;
}

FIXTURE_SETUP(lines)
{
	char *pages, *line;
	int i, stuck = 0;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	self->faults = stuck_pages(&pages, LINES_STUCK);
	ASSERT_LE(0, self->faults);
	self->text = calloc(LINES, 160);
	ASSERT_NE(NULL, self->text);
	for (i = 0, line = self->text; i < LINES; i++, line += strlen(line)) {
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, i % FAMILIES));
		ends_print(&self->conn[i].ends, TCP_ESTABLISHED, line, 159);
		strcat(line, "\n");
		if (is_idle(i))
			continue;
		ASSERT_EQ(0, sender_start(&self->sender[stuck], self->conn[i].fd,
					  pages + stuck * getpagesize(), self->faults));
		stuck++;
	}
	ASSERT_EQ(LINES_STUCK, stuck);
}

FIXTURE_TEARDOWN(lines)
{
	free(self->text);
}

static bool idle_are_gone(const FIXTURE_DATA(lines) * self)
{
	int i;

	for (i = 0; i < LINES; i++)
		if (is_idle(i) && sock_state(self->conn[i].fd) != TCP_CLOSE)
			return false;
	return true;
}

/* Nobody's time is over yet when the last line is carried out: all can be let go. */
TEST_F(lines, of_many_stuck_owners_hold_up_none_of_the_others)
{
	int64_t start = clock_ms();
	bool late;
	int i, ret;

	self->pid = write_elsewhere(self->text);
	EXPECT_TRUE(WAIT_UNTIL(idle_are_gone(self)));
	for (i = 0; i < LINES_STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));
	late = patience_is_over(start);

	ret = rule_commit_end(self->pid);
	EXPECT_TRUE(!ret || (ret == -EBUSY && late)) TH_LOG("%d", ret);
	for (i = 0; i < LINES; i++)
		if (!ret || is_idle(i))
			EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd))
				TH_LOG("line %d", i);
}

TEST_F(lines, of_many_stuck_owners_are_busy_and_all_others_dropped)
{
	int i;

	self->pid = write_elsewhere(self->text);
	EXPECT_EQ(-EBUSY, rule_commit_end(self->pid));
	EXPECT_TRUE(idle_are_gone(self));
	for (i = 0; i < LINES_STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));
	for (i = 0; i < LINES; i++)
		EXPECT_EQ(is_idle(i) ? ECONNABORTED : 0, sock_error(self->conn[i].fd));
}

TEST_F(lines, of_many_stuck_owners_fail_in_a_commit_and_go_in_the_next)
{
	struct rule rule;
	int i;

	ASSERT_EQ(0, rule_new(&rule, "stuck"));
	ASSERT_EQ(0, rule_setf(&rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
	ASSERT_EQ(0, rule_commit(&rule));
	expect_result(_metadata, &rule, LINES - LINES_STUCK, LINES_STUCK);
	EXPECT_TRUE(idle_are_gone(self));
	for (i = 0; i < LINES_STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));

	ASSERT_EQ(0, rule_commit(&rule));

	expect_result(_metadata, &rule, LINES_STUCK, 0);
	for (i = 0; i < LINES; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	EXPECT_EQ(0, rule_remove(&rule));
}

/* Connections that cannot be dropped, by a rule and by lines. */
static int fail_to_drop(const void *unused)
{
	struct sender sender[STUCK];
	struct conn conn[STUCK];
	char *pages, lines[STUCK * 160] = "";
	int i, faults, ret;
	struct rule rule;

	ret = rule_new(&rule, "leave");
	if (!ret)
		ret = rule_set(&rule, "saddr", conn_targets(IPV4));
	faults = stuck_pages(&pages, STUCK);
	for (i = 0; i < STUCK && !ret; i++) {
		ret = conn_make(&conn[i], ESTABLISHED, IPV4);
		ends_print(&conn[i].ends, TCP_ESTABLISHED, lines + strlen(lines), 159);
		strcat(lines, "\n");
		if (!ret)
			ret = sender_start(&sender[i], conn[i].fd, pages + i * getpagesize(),
					   faults);
	}
	if (!ret)
		ret = rule_commit(&rule);
	if (!ret && rule_result(&rule, "failed") != STUCK)
		ret = -EPROTO;
	if (!ret && file_write("/proc/thread-self/net/tcp_drop", lines) != -EBUSY)
		ret = -EPROTO;
	for (i = 0; i < STUCK && !ret; i++)
		ret = sender_let_go(&sender[i], faults);
	rule_remove(&rule);
	return ret;
}

/* What could not be dropped is let go of as well, or it held its namespace. */
TEST(nothing_holds_what_failed)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());

	EXPECT_EQ(0, netns_leave(conn_setup, fail_to_drop, NULL));
}

/*
 * A connection under TCP_REPAIR, whose checkpoint is being taken, and one
 * beside it that the same rule means.
 */
FIXTURE(repair)
{
	struct conn conn;
	struct conn neighbour;
	struct rule rule;
};

FIXTURE_VARIANT(repair)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(repair, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(repair, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(repair, dual) { .family = DUAL };

static int set_repair(int fd, int mode)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof(mode)) ? -errno : 0;
}

FIXTURE_SETUP(repair)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make(&self->neighbour, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "repair"));
	ASSERT_EQ(0, set_repair(self->conn.fd, 1));
}

FIXTURE_TEARDOWN(repair)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* The one connection that the rule counts and lists. */
static void expect_matched(struct __test_metadata *_metadata, const struct rule *rule,
			   const struct conn *conn)
{
	char line[128], list[256];

	EXPECT_EQ(1, rule_count(rule));
	ASSERT_EQ(0, rule_get(rule, "list", list, sizeof(list)));
	ends_print(&conn->ends, TCP_ESTABLISHED, line, sizeof(line));
	EXPECT_STREQ(line, list);
}

TEST_F(repair, a_rule_for_both_means_the_neighbour_only)
{
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
	expect_matched(_metadata, &self->rule, &self->neighbour);

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->neighbour.fd));
	ASSERT_EQ(0, set_repair(self->conn.fd, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));

	expect_matched(_metadata, &self->rule, &self->conn);
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
}

TEST_F(repair, exact_ends_mean_it_only_when_repair_is_over)
{
	char list[256];

	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
	EXPECT_EQ(0, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	EXPECT_STREQ("", list);
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 0, 0);

	ASSERT_EQ(0, set_repair(self->conn.fd, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
	EXPECT_TRUE(sock_talks(self->neighbour.fd, self->neighbour.peer));
}

/* The line of a connection, and the same for a neighbour, in one write. */
static int write_both(const struct conn *a, const struct conn *b)
{
	char text[320];

	ends_print(&a->ends, TCP_ESTABLISHED, text, sizeof(text));
	strcat(text, "\n");
	if (b) {
		ends_print(&b->ends, TCP_ESTABLISHED, text + strlen(text), 159);
		strcat(text, "\n");
	}
	return file_write("/proc/thread-self/net/tcp_drop", text);
}

TEST_F(repair, lines_are_refused_with_EPERM_until_it_is_over)
{
	EXPECT_EQ(-EPERM, write_both(&self->conn, NULL));
	EXPECT_EQ(0, write_both(&self->conn, &self->neighbour));
	EXPECT_EQ(ECONNABORTED, sock_error(self->neighbour.fd));
	ASSERT_EQ(0, set_repair(self->conn.fd, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));

	EXPECT_EQ(0, write_both(&self->conn, NULL));
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
}

TEST_HARNESS_MAIN
