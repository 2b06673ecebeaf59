// SPDX-License-Identifier: GPL-2.0
/*
 * Whose sockets: those of a cgroup, and those of a process, in every kind of
 * socket that the kernel has; and what ss(8) says of the same sockets.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#ifndef AF_SMC
#define AF_SMC 43
#endif

#define CGROUPS "/sys/fs/cgroup"

/* Whether a target of this kind is a socket of its own, and no minisock. */
static bool is_minisock(enum kind kind)
{
	return kind == TIME_WAIT || kind == FIN_WAIT_2_MINISOCK;
}

/* How many lines ss(8) prints that have @part, or -1 if there is no ss. */
static int ss_count(const char *command, const char *part)
{
	FILE *ss = popen(command, "r");
	char line[65536];
	int count = 0;

	if (!ss)
		return -1;
	while (fgets(line, sizeof(line), ss))
		count += !!strstr(line, part);
	return pclose(ss) ? -1 : count;
}

/* Cgroups: sockets are made in that of their process, and stay in it. */

static int enter(const char *cgroup)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	return file_write(path, "0");
}

FIXTURE(cgroup)
{
	char base[64];
	char in[80];
	char below[96];
	char beside[80];	/* whose name begins as the other's */
	const char *in_path;
	struct rule rule;
};

FIXTURE_VARIANT(cgroup)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(cgroup, ipv4)
{
	.family = IPV4,
};

FIXTURE_VARIANT_ADD(cgroup, ipv6)
{
	.family = IPV6,
};

FIXTURE_VARIANT_ADD(cgroup, dual)
{
	.family = DUAL,
};

FIXTURE_SETUP(cgroup)
{
	REQUIRE_TCPDROP();
	snprintf(self->base, sizeof(self->base), CGROUPS "/tcpdrop-%d", getpid());
	snprintf(self->in, sizeof(self->in), "%s/in", self->base);
	snprintf(self->below, sizeof(self->below), "%s/below", self->in);
	snprintf(self->beside, sizeof(self->beside), "%s/inn", self->base);
	self->in_path = self->in + strlen(CGROUPS);
	if (access(CGROUPS "/cgroup.procs", W_OK))
		SKIP(return, "no cgroup v2 in " CGROUPS);
	ASSERT_EQ(0, mkdir(self->base, 0755));
	ASSERT_EQ(0, mkdir(self->in, 0755));
	ASSERT_EQ(0, mkdir(self->below, 0755));
	ASSERT_EQ(0, mkdir(self->beside, 0755));
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "who-cgroup"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", self->in_path));
}

FIXTURE_TEARDOWN(cgroup)
{
	rule_remove(&self->rule);
	EXPECT_EQ(0, enter(CGROUPS));
	rmdir(self->below);
	rmdir(self->beside);
	rmdir(self->in);
	EXPECT_EQ(0, rmdir(self->base));
}

/* A connection both ends of which are made in @cgroup; the process leaves it. */
static int conn_make_in(struct conn *conn, const char *cgroup, enum kind kind,
			enum family family)
{
	int ret;

	ret = enter(cgroup);
	if (!ret)
		ret = conn_make(conn, kind, family);
	if (!ret)
		ret = enter(CGROUPS);
	return ret;
}

static long count_cgroup(const struct rule *rule, const char *prefix, const char *dir)
{
	int ret = rule_setf(rule, "cgroup", "%s%s", prefix, dir + strlen(CGROUPS));

	return ret ? ret : rule_count(rule);
}

TEST_F(cgroup, has_every_socket_made_in_it_but_no_minisock)
{
	struct conn conn, bystander;
	enum kind kind;
	int expected;

	ASSERT_EQ(0, conn_make_in(&bystander, self->beside, ESTABLISHED, variant->family));
	for (kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, conn_make_in(&conn, self->in, kind, variant->family))
			TH_LOG("kind %d", kind);
		expected = !is_minisock(kind);
		EXPECT_EQ(0, count_cgroup(&self->rule, "!", self->base))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(expected + 1, count_cgroup(&self->rule, "", self->base))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(expected, count_cgroup(&self->rule, "!", self->beside))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(0, count_cgroup(&self->rule, "", self->below))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(expected, count_cgroup(&self->rule, "", self->in))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(expected, rule_result(&self->rule, "dropped"))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(!expected, ends_in_table(&conn.ends)) TH_LOG("kind %d", kind);
		EXPECT_TRUE(sock_talks(bystander.fd, bystander.peer))
			TH_LOG("kind %d", kind);
		conn_close(&conn);
	}
	conn_close(&bystander);
}

TEST_F(cgroup, has_those_below_it_and_not_those_beside_or_above)
{
	struct conn above, below, beside;

	ASSERT_EQ(0, conn_make_in(&above, self->base, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make_in(&below, self->below, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make_in(&beside, self->beside, ESTABLISHED, variant->family));
	EXPECT_EQ(3, count_cgroup(&self->rule, "", self->base));
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->below));
	EXPECT_EQ(2, count_cgroup(&self->rule, "!", self->in));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", "/"));
	EXPECT_EQ(3, rule_count(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", "!/"));
	EXPECT_EQ(0, rule_count(&self->rule));

	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", self->in_path));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(below.fd));
	EXPECT_TRUE(sock_talks(above.fd, above.peer));
	EXPECT_TRUE(sock_talks(beside.fd, beside.peer));
}

TEST_F(cgroup, keeps_the_sockets_of_a_process_that_leaves)
{
	struct conn conn;

	ASSERT_EQ(0, conn_make_in(&conn, self->in, ESTABLISHED, variant->family));
	ASSERT_EQ(0, enter(self->beside));
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->in));
	EXPECT_EQ(0, count_cgroup(&self->rule, "", self->beside));
}

TEST_F(cgroup, that_is_removed_is_not_found_and_nothing_is_dropped)
{
	struct conn conn;
	char text[256];

	ASSERT_EQ(0, conn_make_in(&conn, self->in, ESTABLISHED, variant->family));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rmdir(self->below));
	ASSERT_EQ(0, rmdir(self->in));

	EXPECT_EQ(-ENOENT, rule_count(&self->rule));
	EXPECT_EQ(-ENOENT, rule_get(&self->rule, "list", text, sizeof(text)));
	EXPECT_EQ(-ENOENT, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	ASSERT_EQ(0, rule_get(&self->rule, "last_error", text, sizeof(text)));
	EXPECT_STREQ("commit: \"1\": the cgroup does not exist any more", text);
	EXPECT_EQ(-ENOENT, rule_set(&self->rule, "cgroup", self->in_path));
	ASSERT_EQ(0, rule_get(&self->rule, "cgroup", text, sizeof(text)));
	EXPECT_EQ(0, strncmp(self->in_path, text, strlen(self->in_path)));
	EXPECT_TRUE(sock_talks(conn.fd, conn.peer));

	/* Its sockets are where they were; what has its name now is another. */
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->base));
	ASSERT_EQ(0, mkdir(self->in, 0755));
	EXPECT_EQ(0, count_cgroup(&self->rule, "", self->in));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_TRUE(sock_talks(conn.fd, conn.peer));
}

/* Those that were removed and that somebody still refers to. */
static long dying_cgroups(const char *dir)
{
	const char *key = "nr_dying_descendants ";
	char path[128], text[1024];
	const char *line;

	snprintf(path, sizeof(path), "%s/cgroup.stat", dir);
	if (file_read(path, text, sizeof(text)))
		return -1;
	line = strstr(text, key);
	return line ? atol(line + strlen(key)) : -1;
}

TEST_F(cgroup, is_kept_by_nobody_who_has_looked_it_up)
{
	char other[96];

	snprintf(other, sizeof(other), "%s/other", self->base);
	ASSERT_EQ(0, mkdir(other, 0755));
	EXPECT_EQ(0, count_cgroup(&self->rule, "", other));
	EXPECT_EQ(0, count_cgroup(&self->rule, "!", other));
	EXPECT_EQ(0, rule_set(&self->rule, "cgroup", other + strlen(CGROUPS)));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_set(&self->rule, "protect", "yes"));
	EXPECT_EQ(0, rule_set(&self->rule, "protect", "no"));
	ASSERT_EQ(0, rmdir(other));

	EXPECT_TRUE(WAIT_UNTIL(!dying_cgroups(self->base)));
}

/* ss shows requests and minisocks by themselves, and none below a cgroup. */
TEST_F(cgroup, has_what_ss_shows)
{
	static const enum kind kinds[] = {
		SYN_SENT, SYN_RCVD_FULL, ESTABLISHED, NOT_ACCEPTED, CLOSE_WAIT,
		FIN_WAIT_1_ORPHAN, FIN_WAIT_2, TIME_WAIT,
	};
	struct conn conn[ARRAY_LEN(kinds)];
	char command[256];
	size_t i;
	int lines;

	for (i = 0; i < ARRAY_LEN(kinds); i++)
		ASSERT_EQ(0, conn_make_in(&conn[i], self->in, kinds[i], variant->family))
			TH_LOG("kind %d", kinds[i]);
	snprintf(command, sizeof(command), "ss -Htn state connected cgroup %s", self->in);
	lines = ss_count(command, "");
	if (lines < 0)
		SKIP(return, "no ss that knows cgroups");
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "any"));
	EXPECT_LE(2 * (int)ARRAY_LEN(kinds) - 4, lines);
	EXPECT_EQ(lines, rule_count(&self->rule));
}

/*
 * Processes: what they have open at the moment.  Where both ends of a connection
 * match, the one that is dropped first mostly takes the other along.
 */

FIXTURE(pid)
{
	struct rule rule;
	int listener;
	struct pair pair;	/* of this process */
};

FIXTURE_SETUP(pid)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "who-pid"));
	self->listener = sock_listen(IPV4, "127.0.0.1", 0);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.1", 0, &self->pair));
}

FIXTURE_TEARDOWN(pid)
{
	rule_remove(&self->rule);
}

static long count_pid(const struct rule *rule, const char *prefix, int pid)
{
	int ret = rule_setf(rule, "pid", "%s%d", prefix, pid);

	return ret ? ret : rule_count(rule);
}

/* A process that has what this one has, until it is told to end. */
struct helper {
	pid_t pid;
	int told;	/* to write to, or to close */
	int tells;	/* to read from */
};

/* What a helper does when it has been forked; @arg is the caller's. */
typedef void (*helper_t)(const struct helper *helper, void *arg);

static int helper_start(struct helper *helper, helper_t what, void *arg)
{
	int told[2], tells[2];
	char ready;

	if (pipe(told) || pipe(tells))
		return -errno;
	helper->pid = fork();
	if (!helper->pid) {
		close(told[1]);
		close(tells[0]);
		helper->told = told[0];
		helper->tells = tells[1];
		what(helper, arg);
		_exit(0);
	}
	close(told[0]);
	close(tells[1]);
	helper->told = told[1];
	helper->tells = tells[0];
	return helper->pid > 0 && read(tells[0], &ready, 1) == 1 ? 0 : -ECHILD;
}

static int helper_end(const struct helper *helper)
{
	int status;

	close(helper->told);
	close(helper->tells);
	if (waitpid(helper->pid, &status, 0) != helper->pid)
		return -errno;
	return status ? -ECHILD : 0;
}

static void helper_ready(const struct helper *helper)
{
	if (write(helper->tells, "", 1) != 1)
		_exit(1);
}

static void helper_wait(const struct helper *helper)
{
	char end;

	while (read(helper->told, &end, 1) > 0)
		;
}

static void just_wait(const struct helper *helper, void *arg)
{
	helper_ready(helper);
	helper_wait(helper);
}

TEST_F(pid, has_what_it_has_open_in_every_kind_and_nothing_that_nobody_has)
{
	struct conn conn;
	enum family family;
	enum kind kind;
	bool owned;

	for (family = 0; family < FAMILIES; family++) {
		ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(family)));
		for (kind = 0; kind < KINDS; kind++) {
			ASSERT_EQ(0, conn_make(&conn, kind, family))
				TH_LOG("kind %d", kind);
			owned = conn_is_owned(kind);
			EXPECT_EQ(0, count_pid(&self->rule, "!", getpid()))
				TH_LOG("kind %d", kind);
			EXPECT_EQ(owned, count_pid(&self->rule, "!", getppid()))
				TH_LOG("kind %d", kind);
			EXPECT_EQ(0, count_pid(&self->rule, "", getppid()))
				TH_LOG("kind %d", kind);
			EXPECT_EQ(owned, count_pid(&self->rule, "", getpid()))
				TH_LOG("kind %d", kind);
			EXPECT_EQ(0, rule_commit(&self->rule));
			EXPECT_EQ(owned, rule_result(&self->rule, "dropped"))
				TH_LOG("kind %d", kind);
			EXPECT_EQ(!owned, ends_in_table(&conn.ends))
				TH_LOG("kind %d", kind);
			conn_close(&conn);
		}
	}
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

TEST_F(pid, that_nobody_has_matches_nothing)
{
	struct helper gone;

	ASSERT_EQ(0, helper_start(&gone, just_wait, NULL));
	ASSERT_EQ(0, helper_end(&gone));
	EXPECT_EQ(0, count_pid(&self->rule, "", gone.pid));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, count_pid(&self->rule, "", 2147483647));
	EXPECT_EQ(2, count_pid(&self->rule, "!", gone.pid));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,%d", gone.pid, getpid()));
	EXPECT_EQ(2, rule_count(&self->rule));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,!%d", getpid(), gone.pid));
	EXPECT_EQ(2, rule_count(&self->rule));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,!%d", getpid(), getpid()));
	EXPECT_EQ(0, rule_count(&self->rule));
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

TEST_F(pid, has_a_listener_where_the_state_is_named)
{
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	EXPECT_EQ(1, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(0, count_pid(&self->rule, "", getppid()));
}

TEST_F(pid, shares_what_it_has_inherited)
{
	struct helper heir;
	int copy = dup(self->pair.client);

	ASSERT_LE(0, copy);
	ASSERT_EQ(0, helper_start(&heir, just_wait, NULL));
	EXPECT_EQ(2, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(2, count_pid(&self->rule, "", heir.pid));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d %d", getpid(), heir.pid));
	EXPECT_EQ(2, rule_count(&self->rule));

	close(copy);
	EXPECT_EQ(2, count_pid(&self->rule, "", getpid()));
	close(self->pair.client);
	EXPECT_EQ(1, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(2, count_pid(&self->rule, "", heir.pid));
	EXPECT_EQ(1, count_pid(&self->rule, "!", getpid()));

	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_FALSE(ends_in_table(&self->pair.ends));
	EXPECT_EQ(0, helper_end(&heir));
}

static void close_client(const struct helper *helper, void *arg)
{
	close(*(int *)arg);
	just_wait(helper, arg);
}

TEST_F(pid, drops_its_own_and_spares_those_of_others)
{
	struct helper half;
	struct pair other;

	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.1", 0, &other));
	ASSERT_EQ(0, helper_start(&half, close_client, &self->pair.client));
	close(self->pair.server);
	close(self->listener);
	EXPECT_EQ(3, count_pid(&self->rule, "", half.pid));
	EXPECT_EQ(3, count_pid(&self->rule, "", getpid()));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,%d", getpid(), half.pid));
	EXPECT_EQ(4, rule_count(&self->rule));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "!%d", half.pid));
	EXPECT_EQ(1, rule_count(&self->rule));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->pair.client));
	EXPECT_TRUE(sock_talks(other.client, other.server));
	EXPECT_EQ(0, helper_end(&half));
}

#define THREADS 3

/* A process of several threads. */
struct crew {
	const struct helper *helper;
	int listener;
	bool leave;		/* the first thread ends, the others go on */
	int started;
	pthread_attr_t detached;
	pthread_barrier_t made;
};

static void crew_run(struct crew *crew, void *(*thread)(void *crew))
{
	pthread_t id;
	int i;

	pthread_barrier_init(&crew->made, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&id, NULL, thread, crew))
			_exit(1);
	pthread_barrier_wait(&crew->made);
	helper_ready(crew->helper);
	if (crew->leave)
		syscall(SYS_exit, 0);
	helper_wait(crew->helper);
}

/* In a table of open files that no other thread has. */
static void *be_apart(void *arg)
{
	struct crew *crew = arg;
	struct pair pair;

	if (unshare(CLONE_FILES) || sock_pair(crew->listener, IPV4, "127.0.0.1", 0, &pair))
		_exit(1);
	pthread_barrier_wait(&crew->made);
	helper_wait(crew->helper);
	_exit(0);
}

static void split_up(const struct helper *helper, void *arg)
{
	struct crew *crew = arg;

	crew->helper = helper;
	crew_run(crew, be_apart);
}

/* Whether the first thread has ended, which stays a zombie as long as others run. */
static bool first_has_left(pid_t pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
	return !file_read(path, text, sizeof(text)) && strstr(text, ") Z ");
}

/* The number of threads of @pid that are found by their own ids, besides the first. */
static int threads_found(const struct rule *rule, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int tid, found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		tid = atoi(entry->d_name);
		if (tid && tid != pid)
			found += count_pid(rule, "", tid) != 0;
	}
	return !dir || closedir(dir) ? -1 : found;
}

TEST_F(pid, has_what_each_of_its_threads_has)
{
	struct crew crew = { .listener = self->listener };
	struct helper helper;

	for (crew.leave = false;; crew.leave = true) {
		ASSERT_EQ(0, helper_start(&helper, split_up, &crew));
		ASSERT_TRUE(!crew.leave || WAIT_UNTIL(first_has_left(helper.pid)));
		EXPECT_EQ(2 + 2 * THREADS, count_pid(&self->rule, "", helper.pid));
		EXPECT_EQ(2, count_pid(&self->rule, "", getpid()));
		EXPECT_EQ(2 * THREADS, count_pid(&self->rule, "!", getpid()));
		EXPECT_EQ(0, threads_found(&self->rule, helper.pid));

		ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,!%d", helper.pid, getpid()));
		EXPECT_EQ(0, rule_commit(&self->rule));
		EXPECT_LE(THREADS, rule_result(&self->rule, "dropped"));
		EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
		EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
		EXPECT_EQ(0, helper_end(&helper));
		if (crew.leave)
			break;
	}
}

static void *copy_files(void *arg)
{
	unshare(CLONE_FILES);
	return NULL;
}

/* A thread that starts its like and ends. */
static void *run_on(void *arg)
{
	const pthread_attr_t *detached = arg;
	pthread_t id;

	while (pthread_create(&id, detached, run_on, arg))
		sched_yield();
	return NULL;
}

/* One goes on to start threads that end with a copy of the files, the others end. */
static void *come_and_go(void *arg)
{
	struct crew *crew = arg;
	bool stays = !__atomic_fetch_add(&crew->started, 1, __ATOMIC_RELAXED);
	pthread_t id;

	pthread_barrier_wait(&crew->made);
	while (stays)
		if (!pthread_create(&id, NULL, copy_files, NULL))
			pthread_join(id, NULL);
	return run_on(&crew->detached);
}

static void churn(const struct helper *helper, void *arg)
{
	struct crew *crew = arg;

	crew->helper = helper;
	pthread_attr_init(&crew->detached);
	pthread_attr_setdetachstate(&crew->detached, PTHREAD_CREATE_DETACHED);
	crew_run(crew, come_and_go);
	_exit(0);
}

TEST_F(pid, has_the_same_however_fast_its_threads_come_and_go)
{
	struct crew crew = {};
	struct helper helper;
	int i, status;

	for (crew.leave = false;; crew.leave = true) {
		ASSERT_EQ(0, helper_start(&helper, churn, &crew));
		for (i = 0; i < 300; i++)
			ASSERT_EQ(2, count_pid(&self->rule, "", helper.pid));
		kill(helper.pid, SIGKILL);
		ASSERT_EQ(helper.pid, waitpid(helper.pid, &status, 0));
		close(helper.told);
		close(helper.tells);
		if (crew.leave)
			break;
	}
}

TEST_F(pid, may_end_while_it_is_looked_at)
{
	struct pair pair;
	int i, status;
	long count;
	pid_t pid;

	for (i = 0; i < 200; i++) {
		pid = fork();
		if (!pid)
			_exit(sock_pair(self->listener, IPV4, "127.0.0.1", 0, &pair));
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d", pid));
		do {
			count = rule_count(&self->rule);
			ASSERT_LE(0, count);
			ASSERT_GE(4, count);
		} while (!waitpid(pid, &status, WNOHANG));
		ASSERT_EQ(0, status);
		ASSERT_EQ(0, rule_count(&self->rule));
	}
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

/* What the first process of a namespace of its own finds. */
static int look_as_first(const struct rule *rule, pid_t outer)
{
	if (getpid() != 1 || count_pid(rule, "", outer))
		return 1;
	if (count_pid(rule, "", 1) != 2 || count_pid(rule, "!", 1))
		return 2;
	if (rule_set(rule, "pid", "1") || rule_commit(rule))
		return 3;
	return rule_result(rule, "dropped") && !rule_result(rule, "remaining") ? 0 : 4;
}

TEST_F(pid, is_an_id_as_who_commits_sees_it)
{
	pid_t outer = getpid(), pid;
	int status;

	EXPECT_EQ(0, count_pid(&self->rule, "", 1));
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(9);
		pid = fork();
		if (!pid)
			_exit(look_as_first(&self->rule, outer));
		if (waitpid(pid, &status, 0) != pid)
			_exit(8);
		_exit(WEXITSTATUS(status));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_FALSE(ends_in_table(&self->pair.ends));
}

#define MANY_FILES 100000
#define MANY_PAIRS 1000

TEST_F(pid, may_have_a_hundred_thousand_files)
{
	struct rlimit limit = { 2 * MANY_FILES, 2 * MANY_FILES };
	struct pair pair;
	int i, ret;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < MANY_FILES; i++) {
		if (i < MANY_PAIRS)
			ret = sock_pair(self->listener, IPV4, "127.0.0.1", 0, &pair);
		ASSERT_EQ(0, ret);
		ASSERT_LE(0, dup(i % 2 ? self->pair.client : pair.server));
	}
	EXPECT_EQ(2 + 2 * MANY_PAIRS, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(0, count_pid(&self->rule, "!", getpid()));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d", getpid()));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_LE(1 + MANY_PAIRS, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
}

/* Send @fd away, in a message that nobody has read yet. */
static int send_file(int to, int fd)
{
	union {
		char text[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec data = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control.text, .msg_controllen = sizeof(control.text),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(to, &msg, 0) == 1 ? 0 : -errno;
}

TEST_F(pid, does_not_have_what_is_on_its_way_to_somebody)
{
	int way[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, way));
	ASSERT_EQ(0, send_file(way[0], self->pair.client));
	EXPECT_EQ(2, count_pid(&self->rule, "", getpid()));
	close(self->pair.client);
	EXPECT_EQ(1, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(1, count_pid(&self->rule, "!", getpid()));
	EXPECT_EQ(2, count_pid(&self->rule, "!", getppid()));
}

TEST_F(pid, has_in_another_namespace_what_it_has_there)
{
	int here = open("/proc/self/ns/net", O_RDONLY);
	int listener;
	struct pair pair;

	ASSERT_LE(0, here);
	ASSERT_EQ(0, netns_new());
	EXPECT_EQ(0, count_pid(&self->rule, "", getpid()));
	listener = sock_listen(IPV4, "127.0.0.1", 0);
	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 0, &pair));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_LE(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_count(&self->rule));
	ASSERT_EQ(0, setns(here, CLONE_NEWNET));
	EXPECT_EQ(2, rule_count(&self->rule));
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

TEST_F(pid, has_what_ss_shows)
{
	static const enum kind kinds[] = {
		SYN_SENT, SYN_RCVD_REQUEST, ESTABLISHED, NOT_ACCEPTED, CLOSE_WAIT,
		FIN_WAIT_1_ORPHAN, FIN_WAIT_2, TIME_WAIT,
	};
	struct conn conn[ARRAY_LEN(kinds)];
	struct helper heir;
	char user[32];
	size_t i;
	int lines;

	ASSERT_EQ(0, helper_start(&heir, close_client, &self->pair.client));
	for (i = 0; i < ARRAY_LEN(kinds); i++)
		ASSERT_EQ(0, conn_make(&conn[i], kinds[i], i % FAMILIES))
			TH_LOG("kind %d", kinds[i]);
	snprintf(user, sizeof(user), "pid=%d,", getpid());
	lines = ss_count("ss -Htnp state connected", user);
	if (lines < 0)
		SKIP(return, "no ss");
	EXPECT_LE(ARRAY_LEN(kinds), lines);
	EXPECT_EQ(lines, count_pid(&self->rule, "", getpid()));
	snprintf(user, sizeof(user), "pid=%d,", heir.pid);
	EXPECT_EQ(1, ss_count("ss -Htnp state connected", user));
	EXPECT_EQ(1, count_pid(&self->rule, "", heir.pid));
	EXPECT_EQ(0, helper_end(&heir));
}

/* Sockets that are made of others: what is in the tables belongs to somebody else. */

FIXTURE(made)
{
	struct rule rule;
};

FIXTURE_VARIANT(made)
{
	int family;
	int listener;
	int client;
};

FIXTURE_VARIANT_ADD(made, of_mptcp)
{
	.family = AF_INET, .listener = IPPROTO_MPTCP, .client = IPPROTO_MPTCP,
};

FIXTURE_VARIANT_ADD(made, of_mptcp_without_a_peer)
{
	.family = AF_INET, .listener = 0, .client = IPPROTO_MPTCP,
};

FIXTURE_VARIANT_ADD(made, of_mptcp_with_a_peer_of_tcp)
{
	.family = AF_INET, .listener = IPPROTO_MPTCP, .client = 0,
};

FIXTURE_VARIANT_ADD(made, of_smc)
{
	.family = AF_SMC, .listener = 0, .client = 0,
};

FIXTURE_SETUP(made)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, rule_new(&self->rule, "who-made"));
	ASSERT_EQ(0, rule_set(&self->rule, "port", "7000"));
}

FIXTURE_TEARDOWN(made)
{
	rule_remove(&self->rule);
}

/* To be accepted, once where the other end asks twice. */
TEST_F(made, belong_to_who_has_the_whole)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(7000),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct sockaddr *to = (struct sockaddr *)&addr;
	int listener, client, server;
	struct helper heir;

	listener = socket(variant->family, SOCK_STREAM, variant->listener);
	client = socket(variant->family, SOCK_STREAM, variant->client);
	if (listener < 0 || client < 0)
		KERNEL_HAS_NO("such sockets");
	ASSERT_EQ(0, bind(listener, to, sizeof(addr)));
	ASSERT_EQ(0, listen(listener, 8));
	ASSERT_EQ(0, connect(client, to, sizeof(addr)));
	EXPECT_EQ(1, count_pid(&self->rule, "", getpid()));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(2, count_pid(&self->rule, "", getpid()));
	EXPECT_EQ(0, count_pid(&self->rule, "!", getpid()));
	EXPECT_EQ(0, count_pid(&self->rule, "", getppid()));

	ASSERT_EQ(0, helper_start(&heir, close_client, &client));
	EXPECT_EQ(1, count_pid(&self->rule, "", heir.pid));
	ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d,!%d", getpid(), heir.pid));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, helper_end(&heir));
}

TEST_HARNESS_MAIN
