// SPDX-License-Identifier: GPL-2.0
/*
 * Users without rights do all that they can do with /proc/net/tcp_drop in
 * namespaces of their own, all of it at the same time and over and over, while
 * root goes about its work: nothing of that is held up, nothing of anybody else
 * is dropped or shown, and when they are gone nothing is left of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_probe.h"
#include "tcpdrop_uring.h"

#define USER 1000

/* How often root does all of its work. */
#define ROUNDS 2

#define PAIRS 300	/* connections in a chain of an attacker's own */
#define FILES 2000	/* that one of them has open */
#define READS 10	/* and of which it reads so many, each a look at the whole table */

/* What an attacker has done, in memory that is shared with it. */
struct attack {
	pid_t pid;
	int rounds;
	int err;
};

/* One round of an attack, in a namespace of the attacker's own: 0 or a negative errno. */
typedef int (*round_t)(void);

static char buffer[65536];

/* Of what is attacked an error may come; of anything else nothing can be learnt. */
static int open_file(int flags)
{
	int fd = open(PROC_FILE, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void read_to_end(int fd)
{
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

struct stuck {
	int fd;
	char *page;
};

/* Something to list. */
static int make_pairs(int count)
{
	int ret = 0, listener = sock_listen(IPV4, "127.0.0.1", 0);
	struct pair pair;

	if (listener < 0)
		return listener;
	while (count-- && !ret)
		ret = sock_pair(listener, IPV4, "127.0.0.1", 0, &pair);
	close(listener);
	return ret;
}

static void *stuck_reader(void *arg)
{
	struct stuck *stuck = arg;

	pread(stuck->fd, stuck->page, 1, 0);
	return NULL;
}

static void *stuck_writer(void *arg)
{
	struct stuck *stuck = arg;

	write(stuck->fd, stuck->page, 1);
	return NULL;
}

/* Reads and writes that never end, until their namespace is left and they are killed. */
static int wait_for_pages(const int said[2])
{
	pthread_t thread[2];
	struct pages pages;
	struct stuck stuck[2];
	int fd;

	if (pages_make(&pages, 2) || user_become(USER) || netns_new() || make_pairs(1))
		return 1;
	fd = open_file(O_RDWR);
	if (fd < 0)
		return 2;
	stuck[0] = (struct stuck){ fd, pages_get(&pages, 0) };
	stuck[1] = (struct stuck){ fd, pages_get(&pages, 1) };
	pthread_create(&thread[0], NULL, stuck_reader, &stuck[0]);
	pthread_create(&thread[1], NULL, stuck_writer, &stuck[1]);
	if (!pages_wait(&pages) || !pages_wait(&pages) || unshare(CLONE_NEWNET))
		return 3;
	if (write(said[1], "", 1) != 1)
		return 4;
	for (;;)
		pause();
}

/* Run @work in a process, and kill it when it has said a byte. */
static int kill_when_said(int (*work)(const int said[2]))
{
	int said[2], status, ret = 0;
	char byte;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		close(said[0]);
		_exit(work(said));
	}
	close(said[1]);
	if (pid < 0 || read(said[0], &byte, 1) != 1)
		ret = -EPROTO;
	close(said[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return ret;
}

/* By root, whose process becomes the user anew each time. */
static int round_of_pages(void)
{
	return kill_when_said(wait_for_pages);
}

static int round_of_files(void)
{
	static int fd[FILES];
	int i, ret = 0;
	char byte;

	for (i = 0; i < FILES && ret >= 0; i++) {
		ret = open_file(O_RDONLY);
		fd[i] = ret;
		if (i < READS && ret >= 0 && read(fd[i], &byte, 1) < 0)
			ret = -errno;
	}
	while (i--)
		if (fd[i] >= 0)
			close(fd[i]);
	return ret < 0 ? ret : 0;
}

/* One connection after another is asked for that is not there. */
static int write_misses(int fd)
{
	char line[128];
	int i;

	for (i = 1; i <= 200; i++) {
		snprintf(line, sizeof(line), "127.0.0.1:%d 127.0.0.2:%d\n", i, i);
		if (write(fd, line, strlen(line)) >= 0 || errno != ESRCH)
			return -EPROTO;
	}
	return 0;
}

/* All of a table of one bucket are listed, and nobody else's. */
static int round_of_one_bucket(void)
{
	int ret, lines, fd;
	char *text;

	text = file_read_all(PROC_FILE);
	if (!text)
		return -errno;
	lines = text_count(text, "\n");
	free(text);
	if (lines != 2 * PAIRS)
		return -ERANGE;
	fd = open_file(O_RDWR);
	if (fd < 0)
		return fd;
	ret = write_misses(fd);
	close(fd);
	return ret;
}

static int round_of_namespaces(void)
{
	static int kept[16], n;
	int fd;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = open_file(O_RDWR);
	if (fd < 0)
		return fd;
	read_to_end(fd);
	if (kept[n % 16])
		close(kept[n % 16]);
	kept[n++ % 16] = fd;
	return 0;
}

/* Its own connections are dropped, by many lines of one write. */
static int round_of_drops(void)
{
	int i, ret, fd, listener = sock_listen(IPV4, "127.0.0.1", 0);
	struct pair pair[16];
	size_t len = 0;

	if (listener < 0)
		return listener;
	for (i = 0; i < 16; i++) {
		ret = sock_pair(listener, IPV4, "127.0.0.1", 0, &pair[i]);
		if (ret)
			return ret;
		ends_print(&pair[i].ends, TCP_ESTABLISHED, buffer + len, sizeof(buffer) - len);
		len += strlen(buffer + len);
		buffer[len++] = '\n';
	}
	fd = open_file(O_WRONLY);
	if (fd < 0)
		return fd;
	ret = write(fd, buffer, len) == len ? 0 : -errno;
	close(fd);
	for (i = 0; i < 16; i++) {
		if (!ret && sock_error(pair[i].client) != ECONNABORTED)
			ret = -EPROTO;
		close(pair[i].client);
		close(pair[i].server);
	}
	close(listener);
	return ret;
}

/* io_uring's workers carry out what it is asked for, or refuse. */
static int round_of_uring(void)
{
	static struct uring ring;
	int i, fd, ret = ring.fd ? 0 : uring_make(&ring);

	if (ret == -EOPNOTSUPP)
		return 0;
	if (ret)
		return ret;
	fd = open_file(O_RDWR);
	if (fd < 0)
		return fd;
	for (i = 0; i < 16; i++) {
		uring_rw(&ring, IORING_OP_READ, fd, buffer, sizeof(buffer), IOSQE_ASYNC);
		uring_rw(&ring, IORING_OP_WRITE, fd, "1.2.3.4:5 6.7.8.9:10\n", 21, IOSQE_ASYNC);
	}
	close(fd);
	return 0;
}

/* From the file to a pipe, from the pipe and from itself to the file. */
static int round_of_splices(void)
{
	static const char line[] = "1.2.3.4:5 6.7.8.9:10\n";
	int end[2], fd = open_file(O_RDWR);

	if (fd < 0)
		return fd;
	if (pipe2(end, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	while (splice(fd, NULL, end[1], NULL, 4096, SPLICE_F_NONBLOCK) > 0)
		;
	while (read(end[0], buffer, sizeof(buffer)) > 0)
		;
	if (write(end[1], line, strlen(line)) > 0)
		splice(end[0], NULL, fd, NULL, strlen(line), SPLICE_F_NONBLOCK);
	lseek(fd, 0, SEEK_SET);
	sendfile(fd, fd, NULL, 4096);
	sendfile(end[1], fd, NULL, 4096);
	close(end[0]);
	close(end[1]);
	close(fd);
	return 0;
}

/* Reads and writes without end. */
static int work_on(const int said[2])
{
	int fd = open_file(O_RDWR);

	if (fd < 0 || write(said[1], "", 1) != 1)
		return 1;
	for (;;) {
		lseek(fd, 0, SEEK_SET);
		read_to_end(fd);
		write_misses(fd);
	}
}

static int round_of_kills(void)
{
	return kill_when_said(work_on);
}

/* Stopped by a tracer in whatever it does, left like that for a while, and killed. */
static int trace_work(const int said[2])
{
	int status, end[2];
	char byte;
	pid_t pid;

	if (pipe2(end, O_CLOEXEC))
		return 1;
	pid = fork();
	if (!pid)
		_exit(work_on(end));
	if (pid < 0 || read(end[0], &byte, 1) != 1 ||
	    ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid)
		return 2;
	pause_ms(20);
	if (write(said[1], "", 1) != 1)
		return 3;
	for (;;)
		pause();
}

static int round_of_traces(void)
{
	return kill_when_said(trace_work);
}

enum { PAGES, FILES_OPEN, ONE_BUCKET, NAMESPACES, DROPS, URING, SPLICES, KILLS, TRACES, ATTACKS };

static const struct {
	const char *name;
	round_t round;
} attacks[ATTACKS] = {
	[PAGES] = { "pages that never arrive", round_of_pages },
	[FILES_OPEN] = { "thousands of open files", round_of_files },
	[ONE_BUCKET] = { "a table of one bucket", round_of_one_bucket },
	[NAMESPACES] = { "namespaces that come and go", round_of_namespaces },
	[DROPS] = { "drops of its own", round_of_drops },
	[URING] = { "io_uring", round_of_uring },
	[SPLICES] = { "splice and sendfile", round_of_splices },
	[KILLS] = { "kills", round_of_kills },
	[TRACES] = { "traces", round_of_traces },
};

/* A table of the namespace's own where the kernel has such. */
static int prepare_bucket(void)
{
	int ret;

	if (!access("/proc/sys/net/ipv4/tcp_child_ehash_entries", F_OK)) {
		ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1");
		if (ret)
			return ret;
	}
	ret = netns_new();
	return ret ?: make_pairs(PAIRS);
}

static int prepare(int which)
{
	struct rlimit files = { FILES + 100, FILES + 100 };
	int ret;

	if (which == PAGES)
		return 0;
	if (setrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	ret = user_become(USER);
	if (!ret)
		ret = netns_new();
	if (!ret && which == ONE_BUCKET)
		ret = prepare_bucket();
	return ret;
}

static void attack_main(int which, struct attack *attack)
{
	setpgid(0, 0);
	attack->err = prepare(which);
	while (!attack->err) {
		attack->err = attacks[which].round();
		__atomic_add_fetch(&attack->rounds, !attack->err, __ATOMIC_RELEASE);
	}
	_exit(1);
}

static int rounds_of(const struct attack *attack)
{
	return __atomic_load_n(&attack->rounds, __ATOMIC_ACQUIRE);
}

/* A connection of nobody that is attacked, and the file of this namespace. */
FIXTURE(siege)
{
	struct attack *attack;
	struct probe *probe;
	struct conn bystander;
	const char *module;
	int fd;
};

FIXTURE_SETUP(siege)
{
	pid_t pid;
	int i;

	REQUIRE_TCPDROP();
	self->module = getenv("TCPDROP_KO");
	if (!self->module)
		SKIP(return, "TCPDROP_KO does not say where the module is");
	self->attack = mmap(NULL, ATTACKS * sizeof(*self->attack), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->attack);
	self->probe = probe_new();
	ASSERT_NE(NULL, self->probe);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	self->fd = open_file(O_RDONLY);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < ATTACKS; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			attack_main(i, &self->attack[i]);
		setpgid(pid, pid);
		self->attack[i].pid = pid;
	}
}

/* And all the processes that they have made. */
static void end_attacks(struct attack *attack)
{
	int i;

	for (i = 0; i < ATTACKS; i++) {
		if (attack[i].pid <= 0)
			continue;
		kill(-attack[i].pid, SIGKILL);
		waitpid(attack[i].pid, NULL, 0);
		attack[i].pid = 0;
	}
}

FIXTURE_TEARDOWN(siege)
{
	end_attacks(self->attack);
	if (!tcpdrop_loaded())
		module_load(self->module);
}

/* Each attack does its round at least once more, or it is none. */
static void expect_attacks(struct __test_metadata *_metadata, const struct attack *attack)
{
	int before[ATTACKS], i;

	for (i = 0; i < ATTACKS; i++)
		before[i] = rounds_of(&attack[i]);
	for (i = 0; i < ATTACKS; i++) {
		ASSERT_TRUE(WAIT_UNTIL(rounds_of(&attack[i]) > before[i] || attack[i].err)) {
			TH_LOG("%s", attacks[i].name);
		}
		ASSERT_EQ(0, attack[i].err) TH_LOG("%s", attacks[i].name);
	}
}

/* Root's work on two connections of its own. */
static void expect_work(struct __test_metadata *_metadata, struct _test_data_siege *self)
{
	struct conn conn[2];
	int ret;
	pid_t pid;

	ASSERT_EQ(0, conn_make(&conn[0], ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&conn[1], ESTABLISHED, IPV6));
	pid = probe_start(self->probe, conn);
	ASSERT_LE(0, pid);
	ret = probe_wait(self->probe, pid);
	EXPECT_EQ(0, ret) TH_LOG("%s, or not", probe_step(self->probe));
	if (ret == -ETIMEDOUT) {
		end_attacks(self->attack);
		waitpid(pid, NULL, 0);
	}
	ASSERT_EQ(0, ret);
	conn_close(&conn[0]);
	conn_close(&conn[1]);
}

TEST_F_TIMEOUT(siege, holds_up_nobody_and_leaves_nothing, 600)
{
	int i;

	expect_attacks(_metadata, self->attack);
	for (i = 0; i < ROUNDS; i++) {
		expect_work(_metadata, self);
		EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
	}
	expect_attacks(_metadata, self->attack);
	for (i = 0; i < ATTACKS; i++)
		TH_LOG("%s: %d rounds", attacks[i].name, rounds_of(&self->attack[i]));

	end_attacks(self->attack);
	close(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
}

TEST_HARNESS_MAIN
