// SPDX-License-Identifier: GPL-2.0
/*
 * The totals in the file "stats": what adds to them, what does not, and that
 * they outlive whatever they have counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"

#define STATS "/sys/kernel/config/tcpdrop/stats"
#define PROC "/proc/thread-self/net/tcp_drop"

static const char * const names[] = {
	"commits", "commits_refused", "lines", "matched", "dropped", "failed",
	"dropped_LISTEN", "dropped_SYN_SENT", "dropped_SYN_RCVD", "dropped_ESTABLISHED",
	"dropped_CLOSE_WAIT", "dropped_FIN_WAIT_1", "dropped_CLOSING", "dropped_LAST_ACK",
	"dropped_FIN_WAIT_2", "dropped_TIME_WAIT",
};

#define NAMES ARRAY_LEN(names)

struct stats {
	long value[NAMES];
};

static int name_index(const char *name)
{
	size_t i;

	for (i = 0; i < NAMES; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

/* The file must have each of the names once, and nothing else. */
static int stats_read(struct stats *stats)
{
	char text[4096], name[64], *line, *save;
	long value;
	int i, ret, seen = 0;

	ret = file_read(STATS, text, sizeof(text));
	if (ret)
		return ret;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char rest;

		if (sscanf(line, "%63[^ ] %ld%c", name, &value, &rest) != 2 || value < 0)
			return -EPROTO;
		i = name_index(name);
		if (i < 0 || seen & 1 << i)
			return -EPROTO;
		seen |= 1 << i;
		stats->value[i] = value;
	}
	return seen == (1 << NAMES) - 1 ? 0 : -EPROTO;
}

/*
 * Since @before the totals have risen by what the pairs of name and number at
 * the end say, up to a NULL; what is not named is as it was.
 */
static void expect_rise(struct __test_metadata *_metadata, const struct stats *before, ...)
{
	struct stats now, want = *before;
	const char *name;
	va_list args;
	size_t i;

	va_start(args, before);
	while ((name = va_arg(args, const char *)))
		want.value[name_index(name)] += va_arg(args, int);
	va_end(args);

	ASSERT_EQ(0, stats_read(&now));
	for (i = 0; i < NAMES && want.value[i] == now.value[i]; i++)
		;
	name = i < NAMES ? names[i] : "all are right";
	EXPECT_EQ(NAMES, i) TH_LOG("%s", name);
}

/*
 * Connections in several states, each beside a bystander: its other end, or
 * another connection.
 */
static const enum kind kinds[] = {
	ESTABLISHED, ESTABLISHED, ESTABLISHED, NOT_ACCEPTED, SYN_SENT, SYN_RCVD_REQUEST,
	SYN_RCVD_FULL, CLOSE_WAIT, CLOSE_WAIT, FIN_WAIT_1, FIN_WAIT_2, FIN_WAIT_2_MINISOCK,
	CLOSING, LAST_ACK, TIME_WAIT, TIME_WAIT,
};

#define CONNS ARRAY_LEN(kinds)

FIXTURE(stats)
{
	struct conn conn[CONNS];
	struct rule rule;
	struct stats before;
};

FIXTURE_SETUP(stats)
{
	size_t i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < CONNS; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], kinds[i], i % FAMILIES));
	ASSERT_EQ(0, rule_new(&self->rule, "stats"));
	ASSERT_EQ(0, rule_setf(&self->rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
	ASSERT_EQ(0, stats_read(&self->before));
}

FIXTURE_TEARDOWN(stats)
{
	rule_remove(&self->rule);
}

TEST_F(stats, of_a_commit_are_those_of_its_result_and_outlive_the_rule)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(CONNS, rule_result(&self->rule, "dropped"));
	for (i = 0; i < 2; i++) {
		expect_rise(_metadata, &self->before, "commits", 1, "matched", CONNS,
			    "dropped", CONNS, "dropped_ESTABLISHED", 4, "dropped_SYN_SENT", 1,
			    "dropped_SYN_RCVD", 2, "dropped_CLOSE_WAIT", 2,
			    "dropped_FIN_WAIT_1", 1, "dropped_FIN_WAIT_2", 2,
			    "dropped_CLOSING", 1, "dropped_LAST_ACK", 1,
			    "dropped_TIME_WAIT", 2, NULL);
		rule_remove(&self->rule);
	}
}

/* The result of a rule, unlike them, is that of its last commit alone. */
TEST_F(stats, of_a_second_commit_add_to_those_of_the_first)
{
	struct rule_result result;
	struct conn one;

	ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(0, conn_make(&one, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_result_read(&self->rule, &result));
	EXPECT_EQ(1, result.matched);
	EXPECT_EQ(1, result.dropped);
	EXPECT_STREQ("ESTABLISHED 1", result.states);
	expect_rise(_metadata, &self->before, "commits", 2, "matched", CONNS + 1,
		    "dropped", CONNS + 1, "dropped_ESTABLISHED", 5, "dropped_SYN_SENT", 1,
		    "dropped_SYN_RCVD", 2, "dropped_CLOSE_WAIT", 2, "dropped_FIN_WAIT_1", 1,
		    "dropped_FIN_WAIT_2", 2, "dropped_CLOSING", 1, "dropped_LAST_ACK", 1,
		    "dropped_TIME_WAIT", 2, NULL);
}

TEST_F(stats, count_listeners_that_are_dropped)
{
	int listener = sock_listen(IPV4, "127.6.0.1", 7000);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.6.0.1"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "listen"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_rise(_metadata, &self->before, "commits", 1, "matched", 1, "dropped", 1,
		    "dropped_LISTEN", 1, NULL);
}

TEST_F(stats, count_a_commit_that_matches_nothing)
{
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "192.0.2.1"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_rise(_metadata, &self->before, "commits", 1, NULL);
}

TEST_F(stats, do_not_count_who_ends_by_itself_or_is_only_looked_at)
{
	char *list;
	size_t i;

	EXPECT_EQ(CONNS, rule_count(&self->rule));
	list = rule_list(&self->rule);
	EXPECT_NE(NULL, list);
	free(list);
	list = file_read_all(PROC);
	EXPECT_NE(NULL, list);
	free(list);
	for (i = 0; i < CONNS; i++)
		conn_close(&self->conn[i]);
	expect_rise(_metadata, &self->before, NULL);
}

/* What a rule is refused, in a process of its own. Returns what commit says. */
static int commit_as(const struct rule *rule, int flags)
{
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(flags) ? 255 : -rule_commit(rule));
	return rule_commit_end(pid);
}

TEST_F(stats, count_each_commit_that_is_refused_and_nothing_else)
{
	const struct rule *rule = &self->rule;

	EXPECT_EQ(-EINVAL, rule_set(rule, "commit", "2"));
	expect_rise(_metadata, &self->before, "commits_refused", 1, NULL);

	EXPECT_EQ(-EPERM, commit_as(rule, CLONE_NEWUSER));
	expect_rise(_metadata, &self->before, "commits_refused", 2, NULL);

	EXPECT_EQ(-EINVAL, rule_set(rule, "sport", "80x"));
	expect_rise(_metadata, &self->before, "commits_refused", 2, NULL);
	EXPECT_EQ(-EINVAL, rule_commit(rule));
	expect_rise(_metadata, &self->before, "commits_refused", 3, NULL);
	EXPECT_EQ(0, rule_set(rule, "sport", "any"));

	EXPECT_EQ(0, rule_set(rule, "max", "2"));
	EXPECT_EQ(-E2BIG, rule_commit(rule));
	EXPECT_EQ(CONNS, rule_result(rule, "matched"));
	expect_rise(_metadata, &self->before, "commits_refused", 4, NULL);

	EXPECT_EQ(0, rule_set(rule, "saddr", "any"));
	EXPECT_EQ(-EINVAL, rule_commit(rule));
	expect_rise(_metadata, &self->before, "commits_refused", 5, NULL);
}

TEST_F(stats, count_lines_that_are_carried_out)
{
	char line[2][160], text[1024];
	int i;

	for (i = 0; i < 2; i++)
		ends_print(&self->conn[i].ends, TCP_ESTABLISHED, line[i], sizeof(line[i]));

	ASSERT_EQ(0, file_write(PROC, line[0]));
	expect_rise(_metadata, &self->before, "lines", 1, "matched", 1, "dropped", 1,
		    "dropped_ESTABLISHED", 1, NULL);

	/* It has gone, and there is still one who asked. */
	snprintf(text, sizeof(text), "%s\n", line[0]);
	ASSERT_EQ(-ESRCH, file_write(PROC, text));
	expect_rise(_metadata, &self->before, "lines", 2, "matched", 1, "dropped", 1,
		    "dropped_ESTABLISHED", 1, NULL);

	snprintf(text, sizeof(text),
		 "# a comment\n\nState Recv-Q\n0.0.0.0:80 0.0.0.0:*\n%s\n10.0.0.1:8x 10.0.0.2:80\n%s\n",
		 line[1], line[0]);
	ASSERT_EQ(-EINVAL, file_write(PROC, text));
	expect_rise(_metadata, &self->before, "lines", 4, "matched", 2, "dropped", 2,
		    "dropped_ESTABLISHED", 2, NULL);

	EXPECT_EQ(-EINVAL, file_write(PROC, "nonsense\n"));
	expect_rise(_metadata, &self->before, "lines", 4, "matched", 2, "dropped", 2,
		    "dropped_ESTABLISHED", 2, NULL);
}

TEST_F(stats, count_a_line_in_pieces_once)
{
	char line[160], text[256];
	size_t len;
	int fd;

	ends_print(&self->conn[0].ends, TCP_ESTABLISHED, line, sizeof(line));
	snprintf(text, sizeof(text), "%s\n", line);
	len = strlen(text);
	fd = open(PROC, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(10, write(fd, text, 10));
	expect_rise(_metadata, &self->before, NULL);
	ASSERT_EQ(len - 10, write(fd, text + 10, len - 10));
	expect_rise(_metadata, &self->before, "lines", 1, "matched", 1, "dropped", 1,
		    "dropped_ESTABLISHED", 1, NULL);
	close(fd);
	expect_rise(_metadata, &self->before, "lines", 1, "matched", 1, "dropped", 1,
		    "dropped_ESTABLISHED", 1, NULL);
}

/* In a namespace that has not even its own /proc. */
static int drop_by_line_elsewhere(void)
{
	struct conn conn;
	char line[160];
	int ret;

	ret = conn_setup();
	if (!ret)
		ret = conn_make(&conn, CLOSE_WAIT, IPV6);
	if (ret)
		return ret;
	ends_print(&conn.ends, TCP_CLOSE_WAIT, line, sizeof(line));
	strcat(line, "\n");
	return file_write(PROC, line);
}

TEST_F(stats, are_of_all_namespaces)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-drop_by_line_elsewhere());
	ASSERT_EQ(0, rule_commit_end(pid));
	expect_rise(_metadata, &self->before, "lines", 1, "matched", 1, "dropped", 1,
		    "dropped_CLOSE_WAIT", 1, NULL);
	EXPECT_EQ(0, commit_as(&self->rule, CLONE_NEWNET));
	expect_rise(_metadata, &self->before, "commits", 1, "lines", 1, "matched", 1,
		    "dropped", 1, "dropped_CLOSE_WAIT", 1, NULL);
}

/*
 * Owners that are stuck, so that their sockets cannot be dropped.
 */
#define OWNED 5
#define STUCK 2

FIXTURE(stats_stuck)
{
	struct rule rule;
	struct conn conn[OWNED];	/* the first few have a stuck owner */
	struct sender sender[STUCK];
	struct stats before;
	int faults;
};

FIXTURE_SETUP(stats_stuck)
{
	char *pages;
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	self->faults = stuck_pages(&pages, STUCK);
	ASSERT_LE(0, self->faults);
	for (i = 0; i < OWNED; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, IPV4));
	for (i = 0; i < STUCK; i++)
		ASSERT_EQ(0, sender_start(&self->sender[i], self->conn[i].fd,
					  pages + i * getpagesize(), self->faults));
	ASSERT_EQ(0, rule_new(&self->rule, "stats-stuck"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(IPV4)));
	ASSERT_EQ(0, stats_read(&self->before));
}

FIXTURE_TEARDOWN(stats_stuck)
{
	int i;

	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(stats_stuck, count_who_could_not_be_dropped_as_failed)
{
	char line[160];

	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_rise(_metadata, &self->before, "commits", 1, "matched", OWNED,
		    "dropped", OWNED - STUCK, "dropped_ESTABLISHED", OWNED - STUCK,
		    "failed", STUCK, NULL);

	ends_print(&self->conn[0].ends, TCP_ESTABLISHED, line, sizeof(line));
	strcat(line, "\n");
	ASSERT_EQ(-EBUSY, file_write(PROC, line));
	expect_rise(_metadata, &self->before, "commits", 1, "lines", 1,
		    "matched", OWNED + 1, "dropped", OWNED - STUCK,
		    "dropped_ESTABLISHED", OWNED - STUCK, "failed", STUCK + 1, NULL);
}

TEST_F(stats_stuck, of_a_commit_that_runs_come_at_its_end_though_it_is_interrupted)
{
	pid_t pid = rule_commit_elsewhere(&self->rule);

	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == OWNED - STUCK));
	EXPECT_EQ(-EBUSY, rule_commit(&self->rule));
	expect_rise(_metadata, &self->before, "commits_refused", 1, NULL);

	ASSERT_EQ(0, kill(pid, SIGTERM));
	ASSERT_EQ(-EINTR, rule_commit_end(pid));
	expect_rise(_metadata, &self->before, "commits_refused", 1, "commits", 1,
		    "matched", (int)rule_result(&self->rule, "matched"),
		    "failed", (int)rule_result(&self->rule, "failed"),
		    "dropped", OWNED - STUCK, "dropped_ESTABLISHED", OWNED - STUCK, NULL);
}

/*
 * The file itself.
 */
TEST(anybody_may_read_the_file_and_nobody_write_it)
{
	struct stats stats;
	struct stat st;
	int status;
	pid_t pid;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, stat(STATS, &st));
	EXPECT_EQ(S_IFREG | 0444, st.st_mode);
	EXPECT_EQ(-1, open(STATS, O_WRONLY));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(user_become(65534) ? 255 : -stats_read(&stats));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST(no_rule_is_called_stats)
{
	struct stats stats;

	REQUIRE_TCPDROP();
	EXPECT_EQ(-1, mkdir(STATS, 0755));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, rmdir(STATS));
	EXPECT_EQ(-1, unlink(STATS));
	EXPECT_EQ(0, stats_read(&stats));
}

TEST_HARNESS_MAIN
