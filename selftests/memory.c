// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that open files of /proc/net/tcp_drop take is charged to their
 * user's cgroup, and is given back once they have been read to their end.  What
 * a commit takes does not depend on how much is in a bucket.  Whoever has no
 * more memory in its cgroup is told so, and nobody else notices.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"

#define CGROUPS "/sys/fs/cgroup"
#define USER 1000

#define PAIRS 3000
#define CHAIN 6000
#define BYSTANDERS 100
#define CHILDREN 2000
#define FILES 120
#define MIB (1 << 20)

/* More than what comes and goes without us, less than what the files take. */
#define NOISE (24L * MIB)

/* What a user does, and how far it has come; in shared memory. */
struct user {
	int error;
	int files;
	int failed;
};

/*
 * Less than a batch for all of a chain takes, which doubles as it grows, and more than
 * the two lots of 256 KiB that a CPU is charged with at a time.
 */
#define CHARGE_MAX (768L * 1024)

FIXTURE(memory)
{
	char cgroup[128];
	struct user *user;
	pid_t pid;
	int said[2];
	int told[2];
};

/* What the machine has left. */
static long available(void)
{
	char text[4096], *at;

	if (file_read("/proc/meminfo", text, sizeof(text)))
		return -1;
	at = strstr(text, "MemAvailable:");
	return at ? atol(at + 13) * 1024 : -1;
}

static long charged(const char *cgroup)
{
	char path[256], text[64];

	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	return file_read(path, text, sizeof(text)) ? -1 : atol(text);
}

/* A namespace whose own table has one bucket, made in one that may say so. */
static int enter_one_bucket(void)
{
	int ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1");

	return ret ? ret : netns_new();
}

static int make_crowd(void)
{
	struct pair pair;
	int i, listener, ret;

	ret = user_become(USER);
	if (ret || unshare(CLONE_NEWNET))
		return ret ? ret : -errno;
	ret = enter_one_bucket();
	if (ret)
		return ret;
	listener = sock_listen(IPV4, "127.0.0.1", 0);
	for (i = 0; i < PAIRS && !ret; i++)
		ret = sock_pair(listener, IPV4, "127.0.0.1", 0, &pair);
	return ret;
}

static void step(struct _test_data_memory *self)
{
	char byte;

	if (write(self->said[1], "x", 1) != 1 || read(self->told[0], &byte, 1) != 1)
		_exit(1);
}

static void read_to_end(int fd)
{
	static char text[65536];

	while (read(fd, text, sizeof(text)) > 0)
		;
}

static int user_main(struct _test_data_memory *self)
{
	struct user *user = self->user;
	int i, fd[FILES];
	char byte;

	user->error = cgroup_set(self->cgroup, "cgroup.procs", "0");
	if (!user->error)
		user->error = make_crowd();
	/* What a file takes for good, and the first of a kind, are no part of it. */
	for (i = 0; i < FILES && !user->error; i++) {
		fd[i] = open(PROC_FILE, O_RDONLY | O_CLOEXEC);
		if (fd[i] < 0)
			user->error = -errno;
	}
	if (!user->error)
		read_to_end(fd[0]);
	step(self);
	for (i = 1; i < FILES; i++) {
		if (read(fd[i], &byte, 1) == 1)
			user->files++;
		else
			user->failed++;
	}
	step(self);
	for (i = 1; i < FILES; i++)
		read_to_end(fd[i]);
	step(self);
	return 0;
}

static int cgroup_make(char *cgroup, size_t size)
{
	cgroup_set(CGROUPS, "cgroup.subtree_control", "+memory");
	snprintf(cgroup, size, CGROUPS "/tcpdrop-%d", getpid());
	if (mkdir(cgroup, 0755))
		return -errno;
	return charged(cgroup) < 0 ? -ENODEV : 0;
}

static void cgroup_remove(const char *cgroup)
{
	WAIT_UNTIL(!rmdir(cgroup) || errno == ENOENT);
}

FIXTURE_SETUP(memory)
{
	struct rlimit files = { 2 * PAIRS + FILES + 100, 2 * PAIRS + FILES + 100 };

	REQUIRE_TCPDROP();
	if (access("/proc/sys/net/ipv4/tcp_child_ehash_entries", F_OK))
		KERNEL_HAS_NO("tables of a namespace's own");
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup)))
		TH_LOG("needs cgroup v2 in " CGROUPS ", with the memory controller");
	self->user = mmap(NULL, sizeof(*self->user), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->user);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, pipe2(self->said, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->told, O_CLOEXEC));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		_exit(user_main(self));
	close(self->said[1]);
	close(self->told[0]);
}

FIXTURE_TEARDOWN(memory)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	cgroup_remove(self->cgroup);
}

static bool hear(struct _test_data_memory *self)
{
	char byte;

	return read(self->said[0], &byte, 1) == 1;
}

static bool tell(struct _test_data_memory *self)
{
	return write(self->told[1], "x", 1) == 1;
}

TEST_F(memory, of_open_files_is_charged_and_given_back)
{
	long left, charge, lost, billed;

	ASSERT_TRUE(hear(self));
	ASSERT_EQ(0, self->user->error);
	left = available();
	charge = charged(self->cgroup);
	ASSERT_TRUE(tell(self));

	ASSERT_TRUE(hear(self));
	EXPECT_EQ(FILES - 1, self->user->files);
	lost = left - available();
	billed = charged(self->cgroup) - charge;
	TH_LOG("%ld MiB taken by %d files, %ld MiB charged", lost / MIB, FILES - 1,
	       billed / MIB);
	EXPECT_LT(NOISE, lost) TH_LOG("so few files say nothing");
	EXPECT_LE(lost / 2, billed);
	ASSERT_TRUE(tell(self));

	/* Pages that are freed are counted some time later. */
	ASSERT_TRUE(hear(self));
	EXPECT_TRUE(WAIT_UNTIL(left - available() < NOISE)) {
		TH_LOG("%ld MiB are still taken", (left - available()) / MIB);
	}
	EXPECT_TRUE(WAIT_UNTIL(charged(self->cgroup) - charge < NOISE));
	ASSERT_TRUE(tell(self));
}

/* Sockets in a table of one bucket, some of which are to be dropped. */
FIXTURE(chain)
{
	char cgroup[128];
	struct rule rule;
	int listener;
	int other;
	struct pair bystander[BYSTANDERS];
};

FIXTURE_SETUP(chain)
{
	struct rlimit files = { 3 * CHAIN, 3 * CHAIN };

	REQUIRE_TCPDROP();
	if (access("/proc/sys/net/ipv4/tcp_child_ehash_entries", F_OK))
		KERNEL_HAS_NO("tables of a namespace's own");
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup)))
		TH_LOG("needs cgroup v2 in " CGROUPS ", with the memory controller");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, enter_one_bucket());
	ASSERT_EQ(0, file_write("/proc/sys/net/core/somaxconn", "8192"));
	self->listener = sock_listen(IPV4, "127.0.0.1", 7000);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, listen(self->listener, 2 * CHILDREN));
	self->other = sock_listen(IPV4, "127.0.0.1", 7001);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, rule_new(&self->rule, "chain"));
}

FIXTURE_TEARDOWN(chain)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
	cgroup_remove(self->cgroup);
}

static int bystander_add(struct _test_data_chain *self, int i)
{
	return sock_pair(self->other, IPV4, "127.0.0.1", 0, &self->bystander[i]);
}

static bool bystanders_live(const struct _test_data_chain *self)
{
	bool live = true;
	int i;

	for (i = 0; i < BYSTANDERS; i++)
		live = live && sock_talks(self->bystander[i].client,
					  self->bystander[i].server);
	return live;
}

/* How many were dropped, of just so many that matched. */
static void expect_dropped(struct __test_metadata *_metadata, const struct rule *rule, long nr)
{
	struct rule_result result;

	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_EQ(nr, result.matched);
	EXPECT_EQ(nr, result.dropped);
	EXPECT_EQ(0, result.failed);
	EXPECT_EQ(0, result.remaining);
}

/* On one CPU, for each has its own lot. */
static int commit_in_cgroup(const char *cgroup, const struct rule *rule)
{
	cpu_set_t cpus;
	int ret;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return -errno;
	ret = cgroup_set(cgroup, "cgroup.procs", "0");
	return ret ? ret : rule_commit(rule);
}

static long charged_at_most(const char *cgroup)
{
	char path[256], text[64];

	snprintf(path, sizeof(path), "%s/memory.peak", cgroup);
	return file_read(path, text, sizeof(text)) ? -1 : atol(text);
}

/* Far more than a commit has in hand at a time: it comes back for the rest. */
TEST_F(chain, is_dropped_whole_in_little_memory)
{
	struct pair *crowd = calloc(CHAIN, sizeof(*crowd));
	int i, status, next = 0;
	pid_t pid;

	ASSERT_NE(NULL, crowd);
	for (i = 0; i < CHAIN; i++) {
		ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.1", 0, &crowd[i]));
		if (i % (CHAIN / BYSTANDERS) == 0)
			ASSERT_EQ(0, bystander_add(self, next++));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "dport", "7000"));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(commit_in_cgroup(self->cgroup, &self->rule) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	expect_dropped(_metadata, &self->rule, CHAIN);
	/* Of so many RSTs at a time, each of which looks through the chain, some may be lost. */
	for (i = 0; i < CHAIN; i++)
		ASSERT_EQ(TCP_CLOSE, sock_state(crowd[i].client));
	EXPECT_TRUE(bystanders_live(self));
	EXPECT_LT(0, charged_at_most(self->cgroup));
	EXPECT_GT(CHARGE_MAX, charged_at_most(self->cgroup));
	TH_LOG("%ld KiB at most", charged_at_most(self->cgroup) / 1024);
	free(crowd);
}

/* More than that wait for their listener, so each look meets those again who do. */
TEST_F(chain, of_children_is_dropped_whole)
{
	int client[CHILDREN], i, next = 0;
	struct end end;

	ASSERT_EQ(0, end_of(self->listener, &end));
	for (i = 0; i < CHILDREN; i++) {
		client[i] = sock_new(IPV4);
		ASSERT_LE(0, client[i]);
		ASSERT_EQ(0, sock_connect(client[i], IPV4, &end));
		if (i % (CHILDREN / BYSTANDERS) == 0)
			ASSERT_EQ(0, bystander_add(self, next++));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "7000"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "established"));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == CHILDREN));

	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_dropped(_metadata, &self->rule, CHILDREN);
	for (i = 0; i < CHILDREN; i++)
		ASSERT_TRUE(WAIT_UNTIL(sock_error(client[i]) == ECONNRESET));
	EXPECT_TRUE(bystanders_live(self));
}

#define LIMITED_PAIRS 100
#define LIMITED_FILES 400
#define LIMITED_FDS (4 * LIMITED_PAIRS + LIMITED_FILES + 100)

/* The kernel tells of each at length, so a few will do. */
#define REFUSED_MAX 10

/* How often at most a process without room may come to its end all the same. */
#define TRIES 20

static const long rooms[] = { 0, 16L * 1024, 64L * 1024, 256L * 1024, 1024L * 1024 };

/* In memory that is shared with it, since it has none to say anything else. */
struct report {
	int refused;	/* with ENOMEM */
	int wrong;	/* neither that nor as it should be */
	int err;	/* of the last of these */
	int set;	/* which text of two the rule took last, or -1 */
	int commit;	/* what a commit returned */
};

/*
 * A process in a cgroup with no room for more than some bytes: it uses its file
 * if it is a user, and rules if it is root.  Where nobody may be killed for want
 * of memory whoever asks for it is refused.
 */
FIXTURE(limit)
{
	char cgroup[128];
	struct report *report;
	struct rule rule;
	struct rule other;
	struct pair target[LIMITED_PAIRS];
	struct pair bystander;
	const char *module;
	long room;	/* what is left for rules when all has been taken, or negative */
	int daddr;
	int commit;
	int listener;
	int said[2];
	int told[2];
	pid_t pid;
};

FIXTURE_VARIANT(limit)
{
	bool dies;
};

FIXTURE_VARIANT_ADD(limit, refuses) { };
FIXTURE_VARIANT_ADD(limit, kills) { .dies = true };

/* Text that takes some memory, whose items cannot be made one. */
static char long_list[2][4000];

static void make_lists(void)
{
	size_t len;
	int i, k;

	for (k = 0; k < 2; k++)
		for (i = len = 0; len < sizeof(long_list[k]) - 30; i++)
			len += sprintf(long_list[k] + len, "%s10.%d.%d.0/24", i ? "," : "",
				       i / 100, 2 * (i % 100) + k);
}

FIXTURE_SETUP(limit)
{
	struct rlimit files = { LIMITED_FDS, LIMITED_FDS };

	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->module);
	ASSERT_EQ(0, cgroup_make(self->cgroup, sizeof(self->cgroup)))
		TH_LOG("needs cgroup v2 in " CGROUPS ", with the memory controller");
	/* For who reads the log: the kernel tells of each such want with a trace of calls. */
	ASSERT_EQ(0, file_write("/dev/kmsg", "tcpdrop: memory of a cgroup is short\n"));
	self->report = mmap(NULL, sizeof(*self->report), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->report);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	signal(SIGPIPE, SIG_IGN);
	make_lists();
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(IPV4, "127.0.0.1", 0);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.3", 0, &self->bystander));
	ASSERT_EQ(0, rule_new(&self->rule, "limit"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.0.0.2"));
	self->daddr = rule_open(&self->rule, "daddr", O_WRONLY);
	ASSERT_LE(0, self->daddr);
	self->commit = rule_open(&self->rule, "commit", O_WRONLY);
	ASSERT_LE(0, self->commit);
	ASSERT_EQ(0, rule_new(&self->other, "limit-other"));
	ASSERT_EQ(0, rule_set(&self->other, "saddr", "127.0.0.4"));
}

FIXTURE_TEARDOWN(limit)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	rule_remove(&self->rule);
	rule_remove(&self->other);
	cgroup_remove(self->cgroup);
	if (!tcpdrop_loaded())
		module_load(self->module);
	file_write("/dev/kmsg", "tcpdrop: memory of a cgroup is there again\n");
}

/* Was it done? If not it was refused for want of memory, or something is wrong. */
static bool note(struct report *report, int ret)
{
	report->refused += ret == -ENOMEM;
	if (ret && ret != -ENOMEM) {
		report->wrong++;
		report->err = ret;
	}
	return !ret;
}

/* The whole of an open file, by memory that is there already. */
static int read_lines(int fd, int lines)
{
	static char text[65536];
	ssize_t got, len = 0;

	do {
		got = read(fd, text + len, sizeof(text) - 1 - len);
		len += got;
	} while (got > 0);
	if (got < 0)
		return -errno;
	text[len] = '\0';
	return text_count(text, "\n") == lines ? 0 : -ERANGE;
}

/* A line that is refused is not carried out, and any other is. */
static int put_line(int fd, const char *line, const struct pair *pair)
{
	ssize_t len = write(fd, line, strlen(line));
	int ret = len < 0 ? -errno : 0;

	if (ret)
		return sock_state(pair->client) == TCP_ESTABLISHED ? ret : -EPROTO;
	return len == strlen(line) && sock_state(pair->client) == TCP_CLOSE ? 0 : -EIO;
}

/* Two connections, by lines of two kinds. */
static void put_lines(struct report *report, int fd, const struct pair *pair)
{
	char line[160];

	ends_print(&pair[0].ends, TCP_ESTABLISHED, line, sizeof(line) - 1);
	strcat(line, "\n");
	note(report, put_line(fd, line, &pair[0]));
	snprintf(line, sizeof(line), "sport=%u state=established\n", pair[1].ends.local.port);
	note(report, put_line(fd, line, &pair[1]));
}

static void use_files(struct _test_data_limit *self)
{
	struct report *report = self->report;
	int i, fd, first = -1;

	for (i = 0; i < LIMITED_FILES && report->refused < REFUSED_MAX; i++) {
		fd = open(PROC_FILE, O_RDWR | O_CLOEXEC);
		if (!note(report, fd < 0 ? -errno : 0))
			continue;
		note(report, read_lines(fd, 2 * LIMITED_PAIRS));
		if (first < 0)
			first = fd;
	}
	if (first >= 0)
		put_lines(report, first, self->target);
}

static int read_rule_list(const struct rule *rule, int lines)
{
	int ret, fd = rule_open(rule, "list", O_RDONLY);

	if (fd < 0)
		return fd;
	ret = read_lines(fd, lines);
	close(fd);
	return ret;
}

/* By files that are open, for to open one takes memory as well. */
static int put(int fd, const char *text)
{
	ssize_t len = write(fd, text, strlen(text));

	return len < 0 ? -errno : len == strlen(text) ? 0 : -EIO;
}

/* Takes all that there is, a file at a time, and gives back some of it. */
static void leave_room(long room)
{
	int n = 0, fd[LIMITED_FILES];
	char byte;

	while (n < LIMITED_FILES) {
		fd[n] = open(PROC_FILE, O_RDONLY | O_CLOEXEC);
		if (fd[n] < 0 || read(fd[n++], &byte, 1) < 0)
			break;
	}
	for (; n && room > 0; room -= getpagesize())
		close(fd[--n]);
}

static void use_rules(struct _test_data_limit *self)
{
	struct report *report = self->report;
	int i;

	if (self->room >= 0)
		leave_room(self->room);
	note(report, read_rule_list(&self->rule, LIMITED_PAIRS));
	report->commit = put(self->commit, "1");
	note(report, report->commit);
	for (i = 0; i < REFUSED_MAX; i++)
		if (note(report, put(self->daddr, long_list[i % 2])))
			report->set = i % 2;
}

static int make_targets(struct _test_data_limit *self)
{
	int i, ret = 0;

	for (i = 0; i < LIMITED_PAIRS && !ret; i++)
		ret = sock_pair(self->listener, IPV4, "127.0.0.2", 0, &self->target[i]);
	return ret;
}

/* In a namespace of the user's own. */
static int make_own_targets(struct _test_data_limit *self)
{
	int ret = user_become(USER);

	if (!ret)
		ret = netns_new();
	if (ret)
		return ret;
	self->listener = sock_listen(IPV4, "127.0.0.1", 0);
	return self->listener < 0 ? self->listener : make_targets(self);
}

/* A page of its own that is missing could not be had any more, and is asked for without end. */
static int bring_all_pages(void)
{
	char stack[65536];

	explicit_bzero(stack, sizeof(stack));
	return mlockall(MCL_CURRENT) ? -errno : 0;
}

typedef void (*limited_t)(struct _test_data_limit *self);

static void limited_main(struct _test_data_limit *self, limited_t work, bool dies)
{
	char byte;

	if (cgroup_set(self->cgroup, "cgroup.procs", "0") ||
	    file_write("/proc/self/oom_score_adj", dies ? "0" : "-1000") ||
	    bring_all_pages() || (work == use_files && make_own_targets(self)))
		_exit(1);
	if (write(self->said[1], "x", 1) != 1 || read(self->told[0], &byte, 1) != 1)
		_exit(2);
	work(self);
	_exit(0);
}

/* Returns once it has all that it needs but for its work. */
static int limited_start(struct _test_data_limit *self, limited_t work, bool dies)
{
	char byte;

	*self->report = (struct report){ .set = -1, .commit = -ECANCELED };
	if (pipe2(self->said, O_CLOEXEC) || pipe2(self->told, O_CLOEXEC))
		return -errno;
	self->pid = fork();
	if (self->pid < 0)
		return -errno;
	if (!self->pid)
		limited_main(self, work, dies);
	close(self->said[1]);
	close(self->told[0]);
	return read(self->said[0], &byte, 1) == 1 ? 0 : -ECHILD;
}

/* Whether it has come to its end: 1; or has been killed: 0. */
static int limited_end(struct _test_data_limit *self)
{
	int status;
	bool ended = WAIT_UNTIL(waitpid(self->pid, &status, WNOHANG) == self->pid);

	close(self->said[0]);
	close(self->told[1]);
	if (!ended)
		return -ETIMEDOUT;
	self->pid = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return 0;
	return status ? -ECHILD : 1;
}

/* It may be killed for this already. */
static int set_room(const char *cgroup, long room)
{
	char text[32] = "max";

	if (room >= 0)
		snprintf(text, sizeof(text), "%ld", charged(cgroup) + room);
	return cgroup_set(cgroup, "memory.max", text);
}

/* While that goes on, others do as ever. */
static void expect_others(struct __test_metadata *_metadata, struct _test_data_limit *self)
{
	struct pair pair;

	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.4", 0, &pair));
	EXPECT_EQ(1, rule_count(&self->other));
	EXPECT_EQ(0, rule_commit(&self->other));
	EXPECT_EQ(1, rule_result(&self->other, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(pair.client));
	close(pair.client);
	close(pair.server);
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
}

/* Whether it was killed. */
static bool run_limited(struct __test_metadata *_metadata, struct _test_data_limit *self,
			limited_t work, long room, bool dies)
{
	int ended;

	self->room = dies ? -1 : room;
	EXPECT_EQ(0, limited_start(self, work, dies));
	EXPECT_EQ(0, set_room(self->cgroup, room));
	/* Who has been killed cannot be told to begin. */
	EXPECT_TRUE(write(self->told[1], "x", 1) == 1 || dies);
	expect_others(_metadata, self);
	ended = limited_end(self);
	EXPECT_LE(dies && room >= 0 ? 0 : 1, ended) TH_LOG("room for %ld: %d", room, ended);
	EXPECT_EQ(0, self->report->wrong) {
		TH_LOG("room for %ld: %s", room, strerror(-self->report->err));
	}
	EXPECT_EQ(0, set_room(self->cgroup, -1));
	return !ended;
}

/* Nothing is left that keeps the module. */
static void expect_reload(struct __test_metadata *_metadata, struct _test_data_limit *self)
{
	close(self->daddr);
	close(self->commit);
	EXPECT_EQ(0, rule_remove(&self->rule));
	EXPECT_EQ(0, rule_remove(&self->other));
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
}

TEST_F(limit, a_user_of_files_and_nobody_else)
{
	int i, killed = 0, refused = 0;

	for (i = 0; i < ARRAY_LEN(rooms); i++) {
		killed += run_limited(_metadata, self, use_files, rooms[i], variant->dies);
		refused += self->report->refused;
	}
	EXPECT_LT(0, variant->dies ? killed : refused);
	TH_LOG("%d refused, %d killed", refused, killed);

	EXPECT_FALSE(run_limited(_metadata, self, use_files, -1, variant->dies));
	EXPECT_EQ(0, self->report->refused);
	expect_reload(_metadata, self);
}

/* What a commit has dropped and what it has not, of those that matched. */
static void expect_commit(struct __test_metadata *_metadata, struct _test_data_limit *self)
{
	int i, live = 0;

	for (i = 0; i < LIMITED_PAIRS; i++)
		live += sock_state(self->target[i].client) == TCP_ESTABLISHED;
	if (self->report->commit != -ECANCELED)
		EXPECT_EQ(LIMITED_PAIRS - live, rule_result(&self->rule, "dropped"));
	if (!self->report->commit)
		EXPECT_EQ(0, live);
	/* What is left can be had by who has the memory. */
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", "any"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(live, rule_result(&self->rule, "dropped"));
}

/* As it was before a write that was refused, or as one that was not has left it. */
static void expect_list(struct __test_metadata *_metadata, const struct rule *rule, int set,
			bool dies)
{
	char text[4096];

	ASSERT_EQ(0, rule_get(rule, "daddr", text, sizeof(text)));
	/* Who is killed may have been so before it could note what it had set. */
	if (dies) {
		EXPECT_TRUE(!strcmp(text, "any") || !strcmp(text, long_list[0]) ||
			    !strcmp(text, long_list[1])) TH_LOG("%s", text);
	} else {
		EXPECT_STREQ(set < 0 ? "any" : long_list[set], text);
	}
}

static bool run_rules(struct __test_metadata *_metadata, struct _test_data_limit *self,
		      long room, bool dies)
{
	bool killed;
	int i;

	/* The result of a commit that does not even begin is that of the one before. */
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, make_targets(self));
	killed = run_limited(_metadata, self, use_rules, room, dies);
	expect_list(_metadata, &self->rule, self->report->set, dies);
	expect_commit(_metadata, self);
	for (i = 0; i < LIMITED_PAIRS; i++) {
		close(self->target[i].client);
		close(self->target[i].server);
	}
	return killed;
}

TEST_F(limit, root_with_rules_and_nobody_else)
{
	int i, killed = 0, refused = 0, commits = 0;

	for (i = 0; i < ARRAY_LEN(rooms); i++) {
		killed += run_rules(_metadata, self, rooms[i], variant->dies);
		refused += self->report->refused;
		commits += self->report->commit == -ENOMEM;
	}
	/* What a CPU has been charged for in advance may be enough, but not each time. */
	for (i = 0; variant->dies && !killed && i < TRIES; i++)
		killed += run_rules(_metadata, self, 0, true);
	EXPECT_LT(0, variant->dies ? killed : refused);
	TH_LOG("%d refused, of these %d commits, %d killed", refused, commits, killed);

	EXPECT_FALSE(run_rules(_metadata, self, -1, variant->dies));
	EXPECT_EQ(0, self->report->refused);
	EXPECT_EQ(0, self->report->commit);
	expect_reload(_metadata, self);
}

TEST_HARNESS_MAIN
