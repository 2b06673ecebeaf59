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
#define TABLES "/proc/sys/net/ipv4/tcp_child_ehash_entries"

/* How often root does all of its work. */
#define ROUNDS 2

#define LISTED 2	/* sockets of one connection, whose ends are both in the namespace */
#define PAIRS 300	/* connections in a chain of an attacker's own */
#define FILES 2000	/* that one of them has open */
#define LISTERS 24	/* threads that read the list of a rule, more than may read one at a time */
#define READS 10	/* and of which it reads so many, each a look at the whole table, or all */
#define STAY_MS 2000	/* for as long somebody is stuck while root does nothing */

/* What an attacker has done, in memory that is shared with it. */
struct attack {
	pid_t pid;
	int rounds;
	int steps;	/* of root's that it was stuck through */
	int err;
};

/* One round of an attack, in a namespace of the attacker's own: 0 or a negative errno. */
typedef int (*round_t)(void);

static char buffer[65536];

/* An address that no other attacker has, and nobody else. */
static char own_addr[32];

/* What root does meanwhile, and what this process does, if it is an attacker. */
static struct probe *probe;
static struct attack *own;

/* Of what is attacked an error may come; of anything else nothing can be learnt. */
static int open_file(int flags)
{
	int fd = open(PROC_FILE, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* How many lines a text has, or -EPERM if one of them shows any end but the attacker's own. */
static int count_own(const char *text)
{
	int lines = text_count(text, "\n");
	char end[48];

	snprintf(end, sizeof(end), "%s:", own_addr);
	return text_count(text, end) == 2 * lines ? lines : -EPERM;
}

/* 0 if just so many lines are in the buffer, in @len bytes, and nobody else's. */
static int check_own(ssize_t len, int lines)
{
	int ret;

	if (len < 0 || len == sizeof(buffer))
		return -EIO;
	buffer[len] = '\0';
	ret = count_own(buffer);
	return ret < 0 ? ret : ret == lines ? 0 : -ERANGE;
}

/* What is left of the file, to the end. */
static int read_own(int fd, int lines)
{
	ssize_t got, len = 0;

	do {
		got = read(fd, buffer + len, sizeof(buffer) - len);
		len += got;
	} while (got > 0);
	return got < 0 ? -errno : check_own(len, lines);
}

struct stuck {
	int fd;
	char *page;
};

/* Something to list. */
static int make_pairs(int count)
{
	int ret = 0, listener = sock_listen(IPV4, own_addr, 0);
	struct pair pair;

	if (listener < 0)
		return listener;
	while (count-- && !ret)
		ret = sock_pair(listener, IPV4, own_addr, 0, &pair);
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

/*
 * Run @work in a process, and kill it when it has said a byte: it does not end by itself. Before
 * that, @meanwhile.
 */
static int kill_when_said(int (*work)(const int said[2]), void (*meanwhile)(void))
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
	if (!ret && meanwhile)
		meanwhile();
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		if (!ret && WIFEXITED(status))
			ret = -EPROTO;
	}
	return ret;
}

/* If root does nothing at the time, it is no use to wait for long. */
static void stay_for_a_step(void)
{
	__atomic_add_fetch(&own->steps, probe_takes_step(probe, STAY_MS), __ATOMIC_RELEASE);
}

/* By root, whose process becomes the user anew each time. */
static int round_of_pages(void)
{
	return kill_when_said(wait_for_pages, stay_for_a_step);
}

static int round_of_files(void)
{
	static int fd[FILES], rounds;
	int i, ret = 0, reads = rounds++ % 5 ? READS : FILES;
	char byte;

	for (i = 0; i < FILES && ret >= 0; i++) {
		ret = open_file(O_RDONLY);
		fd[i] = ret;
		if (i < reads && ret >= 0 && read(fd[i], &byte, 1) != 1)
			ret = -EIO;
	}
	if (ret >= 0)
		ret = lseek(fd[0], 0, SEEK_SET) ? -EIO : read_own(fd[0], LISTED);
	while (i--)
		if (fd[i] >= 0)
			close(fd[i]);
	return ret < 0 ? ret : 0;
}

/* A connection that nobody has. */
static const char miss[] = "1.2.3.4:5 6.7.8.9:10\n";

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

/* All of a table of one bucket are listed. */
static int round_of_one_bucket(void)
{
	int ret, fd = open_file(O_RDWR);

	if (fd < 0)
		return fd;
	ret = read_own(fd, PAIRS * LISTED);
	if (!ret)
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
	if (kept[n % 16])
		close(kept[n % 16]);
	kept[n++ % 16] = fd;
	return read_own(fd, 0);
}

/* Its own connections are dropped, by many lines of one write. */
static int round_of_drops(void)
{
	int i, ret, fd, listener = sock_listen(IPV4, own_addr, 0);
	char lines[16 * 64];
	struct pair pair[16];
	size_t len = 0;

	if (listener < 0)
		return listener;
	for (i = 0; i < 16; i++) {
		ret = sock_pair(listener, IPV4, own_addr, 0, &pair[i]);
		if (ret)
			return ret;
		ends_print(&pair[i].ends, TCP_ESTABLISHED, lines + len, sizeof(lines) - len);
		len += strlen(lines + len);
		lines[len++] = '\n';
	}
	fd = open_file(O_RDWR);
	if (fd < 0)
		return fd;
	ret = read_own(fd, 16 * LISTED);
	if (!ret && write(fd, lines, len) != len)
		ret = -EIO;
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

/* io_uring's workers carry out what it is asked for, with the rights of who asked. */
static int round_of_uring(void)
{
	static struct uring ring;
	int i, fd, ret = ring.fd ? 0 : uring_make(&ring);

	if (ret)
		return ret;
	fd = open_file(O_RDWR);
	if (fd < 0)
		return fd;
	for (i = 0; i < 16 && !ret; i++) {
		ret = check_own(uring_rw(&ring, IORING_OP_READ, fd, buffer, sizeof(buffer),
					 IOSQE_ASYNC), LISTED);
		if (!ret && uring_rw(&ring, IORING_OP_WRITE, fd, (void *)miss,
				     strlen(miss), IOSQE_ASYNC) != -ESRCH)
			ret = -EPROTO;
	}
	close(fd);
	return ret;
}

/* To a pipe, by splice() and by sendfile(): what is read is what is there. */
static int splice_from(int fd, const int end[2])
{
	ssize_t len = 0, got;
	int ret;

	while ((got = splice(fd, NULL, end[1], NULL, 4096, 0)) > 0)
		len += got;
	if (got < 0 || read(end[0], buffer, sizeof(buffer)) != len)
		return -EIO;
	ret = check_own(len, LISTED);
	if (ret)
		return ret;
	if (lseek(fd, 0, SEEK_SET) || sendfile(end[1], fd, NULL, 4096) != len ||
	    read(end[0], buffer, sizeof(buffer)) != len)
		return -EIO;
	return check_own(len, LISTED);
}

static bool is_refused(ssize_t ret)
{
	return ret == -1 && errno == EINVAL;
}

/* From a pipe and from itself: it takes text by write(2) alone. */
static int splice_to(int fd, const int end[2])
{
	if (write(end[1], miss, strlen(miss)) != strlen(miss) || lseek(fd, 0, SEEK_SET))
		return -EIO;
	return is_refused(splice(end[0], NULL, fd, NULL, strlen(miss), 0)) &&
	       is_refused(sendfile(fd, fd, NULL, 4096)) ? 0 : -EPROTO;
}

static int round_of_splices(void)
{
	int ret, end[2], fd = open_file(O_RDWR);

	if (fd < 0)
		return fd;
	if (pipe2(end, O_CLOEXEC))
		return -errno;
	ret = splice_from(fd, end);
	if (!ret)
		ret = splice_to(fd, end);
	close(end[0]);
	close(end[1]);
	close(fd);
	return ret;
}

static int work_once(int fd)
{
	int ret = lseek(fd, 0, SEEK_SET) ? -EIO : read_own(fd, LISTED);

	return ret ? ret : write_misses(fd);
}

/* Reads and writes without end. */
static int work_on(const int said[2])
{
	int fd = open_file(O_RDWR);

	if (fd < 0 || work_once(fd) || write(said[1], "", 1) != 1)
		return 1;
	while (!work_once(fd))
		;
	return 2;
}

static int round_of_kills(void)
{
	return kill_when_said(work_on, NULL);
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
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid ||
	    !WIFSTOPPED(status))
		return 2;
	pause_ms(20);
	if (write(said[1], "", 1) != 1)
		return 3;
	for (;;)
		pause();
}

static int round_of_traces(void)
{
	return kill_when_said(trace_work, NULL);
}

/* A rule of root's that is about everybody's own namespace. */
static struct rule rule;

/* They may push each other aside. */
static void *read_lists(void *ret)
{
	char path[sizeof(rule.path) + 8], *text;
	int i, lines;

	snprintf(path, sizeof(path), "%s/list", rule.path);
	for (i = 0; i < 50; i++) {
		text = file_read_all(path);
		lines = text ? count_own(text) : LISTED;
		if (lines != LISTED || (!text && errno != EIO))
			__atomic_store_n((int *)ret, -EPROTO, __ATOMIC_RELAXED);
		free(text);
	}
	return NULL;
}

static int round_of_lists(void)
{
	pthread_t thread[LISTERS];
	int i, started, ret = 0;

	for (started = 0; started < LISTERS; started++)
		if (pthread_create(&thread[started], NULL, read_lists, &ret))
			break;
	for (i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	return started < LISTERS ? -EAGAIN : ret;
}

enum {
	PAGES, FILES_OPEN, ONE_BUCKET, NAMESPACES, DROPS, URING, SPLICES, KILLS, TRACES, LISTS,
	ATTACKS
};

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
	[LISTS] = { "lists of a rule", round_of_lists },
};

/* A table of the namespace's own. */
static int prepare_bucket(void)
{
	return file_write(TABLES, "1") ?: netns_new() ?: make_pairs(PAIRS);
}

static int prepare(int which)
{
	struct rlimit files = { FILES + 100, FILES + 100 };
	int ret;

	snprintf(own_addr, sizeof(own_addr), "127.9.0.%d", which + 1);
	if (which == PAGES)
		return 0;
	if (setrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	ret = user_become(USER);
	if (!ret)
		ret = netns_new();
	if (!ret && which == ONE_BUCKET)
		return prepare_bucket();
	if (!ret && which != DROPS)
		ret = make_pairs(1);
	return ret;
}

static void attack_main(int which, struct attack *attack)
{
	setpgid(0, 0);
	own = attack;
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
	bool has_uring;
	bool has_tables;
	struct conn bystander;
	const char *module;
	int fd;
};

FIXTURE_SETUP(siege)
{
	pid_t pid;
	int i;

	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->module);
	self->attack = mmap(NULL, ATTACKS * sizeof(*self->attack), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->attack);
	probe = probe_new();
	ASSERT_NE(NULL, probe);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	self->fd = open_file(O_RDONLY);
	ASSERT_LE(0, self->fd);
	self->has_uring = uring_exists();
	self->has_tables = !access(TABLES, F_OK);
	ASSERT_EQ(0, rule_new(&rule, "siege"));
	ASSERT_EQ(0, rule_set(&rule, "saddr", "127.0.0.0/8"));
	for (i = 0; i < ATTACKS; i++) {
		if ((i == URING && !self->has_uring) || (i == ONE_BUCKET && !self->has_tables))
			continue;
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
	rule_remove(&rule);
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
		if (!attack[i].pid)
			continue;
		/* They are many, and on a busy machine the last to have its turn is late. */
		ASSERT_TRUE(WAIT_FOR_MS(rounds_of(&attack[i]) > before[i] || attack[i].err,
					3 * DEADLINE_MS)) {
			TH_LOG("%s", attacks[i].name);
		}
		ASSERT_EQ(0, attack[i].err) TH_LOG("%s", attacks[i].name);
	}
}

/* Nobody takes away what root is about to read. */
static void expect_lists(struct __test_metadata *_metadata)
{
	char *text;
	int i;

	for (i = 0; i < 20; i++) {
		text = rule_list(&rule);
		ASSERT_NE(NULL, text) TH_LOG("%s", strerror(errno));
		free(text);
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
	pid = probe_start(probe, conn);
	ASSERT_LE(0, pid);
	ret = probe_wait(probe, pid);
	EXPECT_EQ(0, ret) TH_LOG("%s, or not", probe_step(probe));
	if (ret == -ETIMEDOUT) {
		end_attacks(self->attack);
		waitpid(pid, NULL, 0);
	}
	ASSERT_EQ(0, ret);
	TH_LOG("the slowest: %s, %lld ms", probe_slowest(probe),
	       (long long)probe->slowest_ms);
	conn_close(&conn[0]);
	conn_close(&conn[1]);
}

static bool was_stuck(const struct attack *attack)
{
	return __atomic_load_n(&attack[PAGES].steps, __ATOMIC_ACQUIRE);
}

TEST_F_TIMEOUT(siege, holds_up_nobody_and_leaves_nothing, 600)
{
	int64_t start;
	int i;

	expect_attacks(_metadata, self->attack);
	start = clock_ms();
	for (i = 0; i < ROUNDS ||
	     (!was_stuck(self->attack) && clock_ms() - start < DEADLINE_MS); i++) {
		expect_work(_metadata, self);
		expect_lists(_metadata);
		EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
	}
	EXPECT_TRUE(was_stuck(self->attack));
	expect_attacks(_metadata, self->attack);
	for (i = 0; i < ATTACKS; i++)
		TH_LOG("%s: %d rounds", attacks[i].name, rounds_of(&self->attack[i]));

	end_attacks(self->attack);
	close(self->fd);
	EXPECT_EQ(0, rule_remove(&rule));
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
	if (!self->has_uring && !_metadata->exit_code)
		KERNEL_HAS_NO("io_uring");
	if (!self->has_tables && !_metadata->exit_code)
		KERNEL_HAS_NO("tables of a namespace's own");
}

TEST_HARNESS_MAIN
