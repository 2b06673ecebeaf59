// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that open files of /proc/net/tcp_drop take is charged to their
 * user's cgroup, and is given back once they have been read to their end.  What
 * a commit takes does not depend on how much is in a bucket.
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
#define CHAIN 8000
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

static int cgroup_set(const char *cgroup, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return file_write(path, text);
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

TEST_F_TIMEOUT(memory, of_open_files_is_charged_and_given_back, 300)
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
TEST_F_TIMEOUT(chain, is_dropped_whole_in_little_memory, 300)
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
	for (i = 0; i < CHAIN; i++) {
		ASSERT_EQ(TCP_CLOSE, sock_state(crowd[i].client));
		ASSERT_TRUE(WAIT_UNTIL(sock_state(crowd[i].server) == TCP_CLOSE));
	}
	EXPECT_TRUE(bystanders_live(self));
	EXPECT_LT(0, charged_at_most(self->cgroup));
	EXPECT_GT(CHARGE_MAX, charged_at_most(self->cgroup));
	TH_LOG("%ld KiB at most", charged_at_most(self->cgroup) / 1024);
	free(crowd);
}

/* More than that wait for their listener, so each look meets those again who do. */
TEST_F_TIMEOUT(chain, of_children_is_dropped_whole, 300)
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

TEST_HARNESS_MAIN
