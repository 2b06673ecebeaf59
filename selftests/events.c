// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints: one event for each socket and one for each commit, with
 * what the documents say, for those who ask and as long as they do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"

#define TRACING "/sys/kernel/tracing"
#define PROC "/proc/thread-self/net/tcp_drop"

/* A buffer of one's own, which no other tracer sees. */
struct tracer {
	char path[128];
};

static int tracer_set(const struct tracer *tracer, const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tracer->path, file);
	return file_write(path, value);
}

static int tracer_new(struct tracer *tracer)
{
	snprintf(tracer->path, sizeof(tracer->path), TRACING "/instances/tcpdrop-%d", getpid());
	if (mkdir(tracer->path, 0700))
		return -errno;
	return tracer_set(tracer, "events/tcpdrop/enable", "1");
}

static int tracer_remove(const struct tracer *tracer)
{
	return rmdir(tracer->path) ? -errno : 0;
}

/* All events so far as text, to be freed; they are still there afterwards. */
static char *tracer_text(const struct tracer *tracer)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/trace", tracer->path);
	return file_read_all(path);
}

/* There are so many events of sockets and of commits, and no others. */
static void expect_events(struct __test_metadata *_metadata, const struct tracer *tracer,
			  int drops, int commits)
{
	char *text = tracer_text(tracer);

	ASSERT_NE(NULL, text);
	EXPECT_EQ(drops, text_count(text, ": tcpdrop_drop: ")) TH_LOG("%s", text);
	EXPECT_EQ(commits, text_count(text, ": tcpdrop_commit: ")) TH_LOG("%s", text);
	free(text);
}

/* One event ends in exactly this. */
static void expect_event(struct __test_metadata *_metadata, const struct tracer *tracer,
			 const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void expect_event(struct __test_metadata *_metadata, const struct tracer *tracer,
			 const char *fmt, ...)
{
	char *text = tracer_text(tracer), line[1024] = ": ";
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + 2, sizeof(line) - 3, fmt, args);
	va_end(args);
	strcat(line, "\n");
	ASSERT_NE(NULL, text);
	EXPECT_EQ(1, text_count(text, line)) TH_LOG("%sin\n%s", line, text);
	free(text);
}

static void expect_drop(struct __test_metadata *_metadata, const struct tracer *tracer,
			const char *rule, unsigned long netns, const struct conn *conn,
			const char *result)
{
	const struct end *s = &conn->ends.local, *d = &conn->ends.remote;
	char saddr[64], daddr[64];

	end_addr(s, saddr, sizeof(saddr));
	end_addr(d, daddr, sizeof(daddr));
	expect_event(_metadata, tracer,
		     "tcpdrop_drop: rule=%s netns=%lu family=%s sport=%u dport=%u saddr=%s daddr=%s saddrv6=%s%s daddrv6=%s%s state=%s result=%s",
		     rule, netns, s->v6 ? "AF_INET6" : "AF_INET", s->port, d->port,
		     s->v6 ? "0.0.0.0" : saddr, d->v6 ? "0.0.0.0" : daddr,
		     s->v6 ? "" : "::ffff:", saddr, d->v6 ? "" : "::ffff:", daddr,
		     state_name(conn_state(conn->kind)), result);
}

static const char *rule_name(const struct rule *rule)
{
	return strrchr(rule->path, '/') + 1;
}

/* The event of the last commit, which did not end with a refusal. */
static void expect_commit(struct __test_metadata *_metadata, const struct tracer *tracer,
			  const struct rule *rule, int error)
{
	struct rule_result result;

	ASSERT_EQ(0, rule_result_read(rule, &result));
	expect_event(_metadata, tracer,
		     "tcpdrop_commit: rule=%s uid=0 namespaces=1 matched=%ld dropped=%ld failed=%ld remaining=%ld elapsed_us=%ld error=%d",
		     rule_name(rule), result.matched, result.dropped, result.failed,
		     result.remaining, result.elapsed_us, error);
}

static void expect_refusal(struct __test_metadata *_metadata, const struct tracer *tracer,
			   const struct rule *rule, int error)
{
	expect_event(_metadata, tracer,
		     "tcpdrop_commit: rule=%s uid=0 namespaces=0 matched=0 dropped=0 failed=0 remaining=0 elapsed_us=0 error=%d",
		     rule_name(rule), error);
}

#define CONNS (KINDS * FAMILIES)

FIXTURE(events)
{
	struct conn conn[CONNS];
	struct tracer tracer;
	struct rule rule;
};

FIXTURE_SETUP(events)
{
	int i;

	REQUIRE_TCPDROP();
	if (access(TRACING "/events", F_OK))
		SKIP(return, "no tracefs in " TRACING);
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < CONNS; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], i / FAMILIES, i % FAMILIES));
	ASSERT_EQ(0, rule_new(&self->rule, "events"));
	ASSERT_EQ(0, rule_setf(&self->rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
	ASSERT_EQ(0, tracer_new(&self->tracer));
}

FIXTURE_TEARDOWN(events)
{
	EXPECT_EQ(0, tracer_remove(&self->tracer));
	rule_remove(&self->rule);
}

TEST_F(events, of_a_commit_are_one_for_each_socket_and_one_for_the_commit)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(CONNS, rule_result(&self->rule, "dropped"));

	expect_events(_metadata, &self->tracer, CONNS, 1);
	for (i = 0; i < CONNS; i++)
		expect_drop(_metadata, &self->tracer, rule_name(&self->rule), netns_inode(),
			    &self->conn[i], "dropped");
	expect_commit(_metadata, &self->tracer, &self->rule, 0);
}

TEST_F(events, of_listeners_have_no_remote_end)
{
	int listener = sock_listen(IPV4, "127.6.0.1", 7000);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.6.0.1"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "listen"));
	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_events(_metadata, &self->tracer, 1, 1);
	expect_event(_metadata, &self->tracer,
		     "tcpdrop_drop: rule=%s netns=%lu family=AF_INET sport=7000 dport=0 saddr=127.6.0.1 daddr=0.0.0.0 saddrv6=::ffff:127.6.0.1 daddrv6=::ffff:0.0.0.0 state=LISTEN result=dropped",
		     rule_name(&self->rule), netns_inode());
}

/* Lines have no commit, and no event of their own if they drop nothing. */
TEST_F(events, of_lines_are_of_proc)
{
	char text[2 * 160] = "";
	int i;

	for (i = 0; i < 2; i++) {
		ends_print(&self->conn[i].ends, conn_state(self->conn[i].kind),
			   text + strlen(text), 150);
		strcat(text, "\n");
	}
	ASSERT_EQ(0, file_write(PROC, text));
	expect_events(_metadata, &self->tracer, 2, 0);
	for (i = 0; i < 2; i++)
		expect_drop(_metadata, &self->tracer, "proc", netns_inode(), &self->conn[i],
			    "dropped");

	ASSERT_EQ(0, file_write(PROC, text));
	expect_events(_metadata, &self->tracer, 2, 0);
}

/* One that is a rule has a commit, by the same name, unless it is malformed. */
TEST_F(events, of_lines_that_are_rules_have_a_commit)
{
	char line[160];
	int i;

	snprintf(line, sizeof(line), "saddr=%s,%s,%s\n", conn_targets(IPV4), conn_targets(IPV6),
		 conn_targets(DUAL));
	ASSERT_EQ(0, file_write(PROC, line));
	expect_events(_metadata, &self->tracer, CONNS, 1);
	for (i = 0; i < CONNS; i++)
		expect_drop(_metadata, &self->tracer, "proc", netns_inode(), &self->conn[i],
			    "dropped");
	ASSERT_EQ(-EINVAL, file_write(PROC, "state=timewait\n"));
	expect_events(_metadata, &self->tracer, CONNS, 1);
	ASSERT_EQ(-ESRCH, file_write(PROC, line));
	expect_events(_metadata, &self->tracer, CONNS, 2);
}

/* Writes to this end the number of its namespace. */
static int drop_by_line_elsewhere(int tell)
{
	unsigned long inode;
	struct conn conn;
	char line[160];
	int ret;

	ret = conn_setup();
	if (!ret)
		ret = conn_make(&conn, TIME_WAIT, IPV6);
	if (ret)
		return ret;
	inode = netns_inode();
	if (write(tell, &inode, sizeof(inode)) != sizeof(inode) ||
	    write(tell, &conn, sizeof(conn)) != sizeof(conn))
		return -EIO;
	ends_print(&conn.ends, TCP_TIME_WAIT, line, sizeof(line) - 1);
	strcat(line, "\n");
	return file_write(PROC, line);
}

TEST_F(events, say_in_which_namespace_the_socket_was)
{
	unsigned long inode = 0;
	struct conn conn;
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-drop_by_line_elsewhere(fd[1]));
	ASSERT_EQ(0, rule_commit_end(pid));
	ASSERT_EQ(sizeof(inode), read(fd[0], &inode, sizeof(inode)));
	ASSERT_EQ(sizeof(conn), read(fd[0], &conn, sizeof(conn)));
	EXPECT_NE(netns_inode(), inode);
	expect_events(_metadata, &self->tracer, 1, 0);
	expect_drop(_metadata, &self->tracer, "proc", inode, &conn, "dropped");
}

/* Returns what commit says to a process without rights. */
static int commit_without_rights(const struct rule *rule)
{
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) ? 255 : -rule_commit(rule));
	return rule_commit_end(pid);
}

TEST_F(events, of_refused_commits_say_why)
{
	const struct rule *rule = &self->rule;

	ASSERT_EQ(-EINVAL, rule_set(rule, "commit", "2"));
	expect_refusal(_metadata, &self->tracer, rule, -EINVAL);

	ASSERT_EQ(0, rule_setf(rule, "max", "%d", CONNS - 1));
	ASSERT_EQ(-E2BIG, rule_commit(rule));
	expect_commit(_metadata, &self->tracer, rule, -E2BIG);
	EXPECT_EQ(CONNS, rule_result(rule, "matched"));
	expect_events(_metadata, &self->tracer, 0, 2);

	/* What is 65534 to itself has the uid 0 to others. */
	ASSERT_EQ(-EPERM, commit_without_rights(rule));
	expect_refusal(_metadata, &self->tracer, rule, -EPERM);
	expect_events(_metadata, &self->tracer, 0, 3);
}

TEST_F(events, come_to_nobody_who_has_not_asked)
{
	ASSERT_EQ(0, tracer_set(&self->tracer, "events/tcpdrop/enable", "0"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_events(_metadata, &self->tracer, 0, 0);
	EXPECT_EQ(CONNS, rule_result(&self->rule, "dropped"));
}

/* How many of the connections are in this state. */
static int count_in(const struct conn *conn, int state)
{
	int i, count = 0;

	for (i = 0; i < CONNS; i++)
		count += conn_state(conn[i].kind) == state;
	return count;
}

TEST_F(events, are_filtered_by_state)
{
	ASSERT_EQ(0, tracer_set(&self->tracer, "events/tcpdrop/tcpdrop_drop/filter",
				"state == 6"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_events(_metadata, &self->tracer, count_in(self->conn, TCP_TIME_WAIT), 1);
}

TEST_F(events, are_filtered_by_rule_and_by_error)
{
	struct rule other;

	ASSERT_EQ(0, rule_new(&other, "other"));
	ASSERT_EQ(0, rule_set(&other, "state", "TIME_WAIT"));
	ASSERT_EQ(0, tracer_set(&self->tracer, "events/tcpdrop/tcpdrop_drop/filter",
				"rule ~ \"events-*\" && netns > 0 && result == 0"));
	ASSERT_EQ(0, tracer_set(&self->tracer, "events/tcpdrop/tcpdrop_commit/filter",
				"error != 0"));
	ASSERT_EQ(0, rule_commit(&other));
	EXPECT_LT(0, rule_result(&other, "dropped"));
	expect_events(_metadata, &self->tracer, 0, 0);

	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_events(_metadata, &self->tracer, rule_result(&self->rule, "dropped"), 0);
	ASSERT_EQ(-EINVAL, rule_set(&other, "commit", "0"));
	expect_refusal(_metadata, &self->tracer, &other, -EINVAL);
	EXPECT_EQ(0, rule_remove(&other));
}

/* What programs read that take events apart. */
TEST_F(events, have_the_fields_that_are_documented)
{
	static const struct {
		const char *event;
		const char *field;
	} fields[] = {
		{ "tcpdrop_drop", "__data_loc char[] rule" },
		{ "tcpdrop_drop", "__u32 netns" },
		{ "tcpdrop_drop", "__u16 family" },
		{ "tcpdrop_drop", "__u16 sport" },
		{ "tcpdrop_drop", "__u16 dport" },
		{ "tcpdrop_drop", "__u8 saddr[4]" },
		{ "tcpdrop_drop", "__u8 daddr[4]" },
		{ "tcpdrop_drop", "__u8 saddr_v6[16]" },
		{ "tcpdrop_drop", "__u8 daddr_v6[16]" },
		{ "tcpdrop_drop", "__u8 state" },
		{ "tcpdrop_drop", "__u8 result" },
		{ "tcpdrop_commit", "__data_loc char[] rule" },
		{ "tcpdrop_commit", "__u32 uid" },
		{ "tcpdrop_commit", "__u32 namespaces" },
		{ "tcpdrop_commit", "__u64 matched" },
		{ "tcpdrop_commit", "__u64 dropped" },
		{ "tcpdrop_commit", "__u64 failed" },
		{ "tcpdrop_commit", "__u64 remaining" },
		{ "tcpdrop_commit", "__u64 elapsed_us" },
		{ "tcpdrop_commit", "int error" },
	};
	char path[256], want[128], *text;
	size_t i;

	for (i = 0; i < ARRAY_LEN(fields); i++) {
		snprintf(path, sizeof(path), "%s/events/tcpdrop/%s/format",
			 self->tracer.path, fields[i].event);
		snprintf(want, sizeof(want), "\tfield:%s;\t", fields[i].field);
		text = file_read_all(path);
		ASSERT_NE(NULL, text);
		EXPECT_EQ(1, text_count(text, want)) TH_LOG("%s\n%s", want, text);
		/* A number that stands for a name has to be told by its number. */
		EXPECT_EQ(NULL, strstr(text, "TCP_"));
		free(text);
	}
}

TEST_F(events, have_the_whole_name_of_a_rule)
{
	struct rule rule;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(rule.path, sizeof(rule.path), "/sys/kernel/config/tcpdrop/%s", name);
	ASSERT_EQ(0, mkdir(rule.path, 0755));
	ASSERT_EQ(0, rule_set_ends(&rule, &self->conn[0].ends));
	ASSERT_EQ(0, rule_commit(&rule));
	expect_drop(_metadata, &self->tracer, name, netns_inode(), &self->conn[0], "dropped");
	expect_commit(_metadata, &self->tracer, &rule, 0);
	EXPECT_EQ(0, rule_remove(&rule));
}

/* Whichever CPUs work on the commit. */
#define CROWD 2000

TEST_F(events, of_thousands_are_one_for_each)
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
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.5.0.2"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(CROWD, rule_result(&self->rule, "dropped"));
	expect_events(_metadata, &self->tracer, CROWD, 1);
	free(crowd);
}

/*
 * Owners that are stuck, so that their sockets cannot be dropped.
 */
#define OWNED 5
#define STUCK 2

FIXTURE(events_stuck)
{
	struct conn conn[OWNED];	/* the first few have a stuck owner */
	struct sender sender[STUCK];
	struct tracer tracer;
	struct rule rule;
	int faults;
};

FIXTURE_SETUP(events_stuck)
{
	char *pages;
	int i;

	REQUIRE_TCPDROP();
	if (access(TRACING "/events", F_OK))
		SKIP(return, "no tracefs in " TRACING);
	ASSERT_EQ(0, conn_setup());
	self->faults = stuck_pages(&pages, STUCK);
	ASSERT_LE(0, self->faults);
	for (i = 0; i < OWNED; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, IPV4));
	for (i = 0; i < STUCK; i++)
		ASSERT_EQ(0, sender_start(&self->sender[i], self->conn[i].fd,
					  pages + i * getpagesize(), self->faults));
	ASSERT_EQ(0, rule_new(&self->rule, "events-stuck"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(IPV4)));
	ASSERT_EQ(0, tracer_new(&self->tracer));
}

FIXTURE_TEARDOWN(events_stuck)
{
	int i;

	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));
	EXPECT_EQ(0, tracer_remove(&self->tracer));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(events_stuck, say_who_could_not_be_dropped)
{
	const char *name = rule_name(&self->rule);
	char line[160];
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_events(_metadata, &self->tracer, OWNED, 1);
	for (i = 0; i < OWNED; i++)
		expect_drop(_metadata, &self->tracer, name, netns_inode(), &self->conn[i],
			    i < STUCK ? "failed" : "dropped");
	expect_commit(_metadata, &self->tracer, &self->rule, 0);

	ends_print(&self->conn[0].ends, TCP_ESTABLISHED, line, sizeof(line) - 1);
	strcat(line, "\n");
	ASSERT_EQ(-EBUSY, file_write(PROC, line));
	expect_events(_metadata, &self->tracer, OWNED + 1, 1);
	expect_drop(_metadata, &self->tracer, "proc", netns_inode(), &self->conn[0], "failed");
}

TEST_F(events_stuck, come_at_once_for_sockets_and_at_the_end_for_the_commit)
{
	pid_t pid = rule_commit_elsewhere(&self->rule);
	long handled;

	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == OWNED - STUCK));
	expect_events(_metadata, &self->tracer, OWNED - STUCK, 0);

	ASSERT_EQ(0, kill(pid, SIGTERM));
	ASSERT_EQ(-EINTR, rule_commit_end(pid));
	handled = rule_result(&self->rule, "matched");
	expect_events(_metadata, &self->tracer, handled, 1);
	expect_commit(_metadata, &self->tracer, &self->rule, -EINTR);
}

/*
 * The module, which is not to be in use by anybody else.
 */
TEST(module_can_go_while_its_events_are_traced)
{
	const char *path = getenv("TCPDROP_KO");
	struct tracer tracer;

	REQUIRE_TCPDROP();
	if (access(TRACING "/events", F_OK))
		SKIP(return, "no tracefs in " TRACING);
	if (!path)
		SKIP(return, "TCPDROP_KO does not say where the module is");
	ASSERT_EQ(0, tracer_new(&tracer));
	EXPECT_EQ(0, module_unload());
	EXPECT_EQ(-ENOENT, tracer_set(&tracer, "events/tcpdrop/enable", "0"));
	EXPECT_EQ(0, module_load(path));
	expect_events(_metadata, &tracer, 0, 0);
	EXPECT_EQ(0, tracer_remove(&tracer));
}

TEST_HARNESS_MAIN
