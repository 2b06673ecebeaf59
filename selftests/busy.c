// SPDX-License-Identifier: GPL-2.0
/*
 * A busy owner is not a stuck one: a process that sends or receives without a
 * pause, on a machine with more runnable tasks than CPUs, loses its connection
 * as surely as an idle one. The time that each drop took is printed, not judged.
 *
 * TCPDROP_DROPS=1000	how many drops each test makes, instead of a few
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_stuck.h"
#include "tcpdrop_uring.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define LARGE (1 << 20)
#define SMALL (64 << 10)

/* Both are busy by the time that so much has passed between them. */
#define BUSY_BYTES (4 << 20)

#define DROPS 3		/* of each way to talk, number of hogs and way to drop */
#define CROWD 50
#define STUCK 2

/* Over all drops of a test, whatever their number. */
#define TIMEOUT 1800

static int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Talking */

static char large[LARGE];

/* What a process that talks has. */
struct talker {
	int fd;
	int file;
	int pipe[2];
	size_t piped;		/* how much is in the pipe */
	struct uring ring;
};

static ssize_t talk_send_large(struct talker *talker)
{
	return send(talker->fd, large, LARGE, MSG_NOSIGNAL);
}

static ssize_t talk_send_small(struct talker *talker)
{
	return send(talker->fd, large, SMALL, MSG_NOSIGNAL);
}

static ssize_t talk_recv(struct talker *talker)
{
	ssize_t got = recv(talker->fd, large, SMALL, 0);

	if (!got)
		errno = EPIPE;
	return got ? got : -1;
}

static ssize_t talk_sendfile(struct talker *talker)
{
	off_t offset = 0;

	return sendfile(talker->fd, talker->file, &offset, LARGE);
}

static ssize_t talk_splice(struct talker *talker)
{
	loff_t offset = 0;
	ssize_t len;

	if (!talker->piped) {
		len = splice(talker->file, &offset, talker->pipe[1], NULL, LARGE, 0);
		if (len < 0)
			return len;
		talker->piped = len;
	}
	len = splice(talker->pipe[0], NULL, talker->fd, NULL, talker->piped, 0);
	talker->piped -= len > 0 ? len : 0;
	return len;
}

/* Pages are given back over the queue of errors, of which there is only so much. */
static ssize_t talk_zerocopy(struct talker *talker)
{
	char control[128];
	struct msghdr msg = { .msg_control = control };
	ssize_t len;

	do {
		msg.msg_controllen = sizeof(control);
		while (recvmsg(talker->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
			msg.msg_controllen = sizeof(control);
		len = send(talker->fd, large, LARGE, MSG_NOSIGNAL | MSG_ZEROCOPY);
	} while (len < 0 && errno == ENOBUFS);
	return len;
}

/* One by a worker thread of the kernel's, one in the system call, and so on. */
static ssize_t talk_io_uring(struct talker *talker)
{
	static int calls;
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SEND,
		.flags = ++calls & 1 ? IOSQE_ASYNC : 0,
		.fd = talker->fd,
		.addr = (unsigned long)large,
		.len = LARGE,
		.msg_flags = MSG_NOSIGNAL,
	};
	int res = uring_submit(&talker->ring, &sqe);

	if (!res)
		res = uring_wait(&talker->ring);
	errno = res < 0 ? -res : 0;
	return res < 0 ? -1 : res;
}

enum way { SEND_LARGE, SEND_SMALL, SENDFILE, SPLICE, ZEROCOPY, IO_URING, RECV, WAYS };

static const struct {
	const char *name;
	ssize_t (*talk)(struct talker *talker);
} ways[WAYS] = {
	[SEND_LARGE] = { "send of 1 MB", talk_send_large },
	[SEND_SMALL] = { "send of 64 KB", talk_send_small },
	[SENDFILE] = { "sendfile", talk_sendfile },
	[SPLICE] = { "splice", talk_splice },
	[ZEROCOPY] = { "MSG_ZEROCOPY", talk_zerocopy },
	[IO_URING] = { "io_uring", talk_io_uring },
	[RECV] = { "recv", talk_recv },
};

static int talker_open(struct talker *talker, int fd)
{
	int one = 1;

	talker->fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	talker->file = memfd_create("tcpdrop", 0);
	if (talker->file < 0 || write(talker->file, large, LARGE) != LARGE ||
	    pipe(talker->pipe) || fcntl(talker->pipe[1], F_SETPIPE_SZ, LARGE) < 0)
		return -errno;
	return 0;
}

/* Processes, and what is known of them */

/* Shared with the process: how much it has sent or received, and how that ended. */
struct report {
	atomic_long bytes;
	atomic_int err;
	atomic_llong ended_us;
};

static struct report *reports_new(int count)
{
	void *reports = mmap(NULL, count * sizeof(struct report), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return reports == MAP_FAILED ? NULL : reports;
}

static int talk_until_error(struct report *report, enum way way, int fd)
{
	struct talker talker = { 0 };
	int ret = talker_open(&talker, fd);
	ssize_t len;

	if (!ret && way == IO_URING)
		ret = uring_make(&talker.ring);
	if (ret)
		return -ret;
	while ((len = ways[way].talk(&talker)) > 0)
		atomic_fetch_add(&report->bytes, len);
	return errno;
}

/* A process that ends with the test, whatever becomes of that. */
static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static pid_t talk_elsewhere(struct report *report, enum way way, int fd)
{
	pid_t pid = fork_bound();
	int err;

	if (pid)
		return pid;
	signal(SIGPIPE, SIG_IGN);
	err = talk_until_error(report, way, fd);
	atomic_store(&report->ended_us, clock_us());
	atomic_store(&report->err, err);
	_exit(0);
}

static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A connection of two processes. The first, whose end is the target, talks as @way says. */
struct talk {
	struct ends ends;
	enum way way;
	struct report *target;
	struct report *peer;
	pid_t pid[2];
};

static bool is_talking(const struct report *report)
{
	return atomic_load(&report->bytes) >= BUSY_BYTES || atomic_load(&report->err);
}

static int talk_start(struct talk *talk, enum way way, int target, int peer)
{
	struct report *reports = reports_new(2);

	talk->way = way;
	talk->target = &reports[0];
	talk->peer = &reports[1];
	if (!reports || ends_of(target, &talk->ends))
		return -EINVAL;
	talk->pid[0] = talk_elsewhere(talk->target, way, target);
	talk->pid[1] = talk_elsewhere(talk->peer, way == RECV ? SEND_LARGE : RECV, peer);
	close(target);
	close(peer);
	return 0;
}

/* Both processes are in the midst of it. */
static int talk_wait(const struct talk *talk)
{
	if (!WAIT_UNTIL(is_talking(talk->target) && is_talking(talk->peer)))
		return -ETIMEDOUT;
	return -atomic_load(&talk->target->err) ?: -atomic_load(&talk->peer->err);
}

static void talk_end(struct talk *talk)
{
	int i;

	for (i = 0; i < 2; i++)
		end_process(talk->pid[i]);
	if (talk->target)
		munmap(talk->target, 2 * sizeof(struct report));
	memset(talk, 0, sizeof(*talk));
}

/* @family: the place of the target, so that a rule for the targets meets it. */
static int talk_make(struct talk *talk, enum way way, enum family family)
{
	struct conn conn;
	int ret = conn_make(&conn, ESTABLISHED, family);

	return ret ? ret : talk_start(talk, way, conn.fd, conn.peer);
}

static bool talk_is_over(const struct talk *talk)
{
	return atomic_load(&talk->target->err) && atomic_load(&talk->peer->err);
}

/* The owner is told that it was aborted, the peer that it was reset. */
static void expect_over(struct __test_metadata *_metadata, const struct talk *talk)
{
	int err;

	EXPECT_FALSE(ends_in_table(&talk->ends));
	ASSERT_TRUE(WAIT_UNTIL(talk_is_over(talk)));
	err = atomic_load(&talk->target->err);
	EXPECT_TRUE(err == ECONNABORTED || err == EPIPE) TH_LOG("%s", strerror(err));
	err = atomic_load(&talk->peer->err);
	EXPECT_TRUE(err == ECONNRESET || err == EPIPE) TH_LOG("%s", strerror(err));
}

static void expect_goes_on(struct __test_metadata *_metadata, const struct report *report)
{
	long bytes = atomic_load(&report->bytes);

	EXPECT_TRUE(WAIT_UNTIL(atomic_load(&report->bytes) > bytes));
	EXPECT_EQ(0, atomic_load(&report->err));
}

/* Two idle sockets that nobody drops. */
static int bystander_make(struct pair *pair)
{
	int listener = sock_listen(IPV4, "127.5.0.1", 0);
	int ret;

	if (listener < 0)
		return listener;
	ret = sock_pair(listener, IPV4, "127.5.0.2", 0, pair);
	close(listener);
	return ret;
}

/* Dropping. Each returns 0, or -errno: -EBUSY if the connection still stands. */

static int drop_by_rule(const struct rule *rule, const struct ends *ends)
{
	int ret = rule_set_ends(rule, ends);

	if (!ret)
		ret = rule_commit(rule);
	if (ret)
		return ret;
	if (rule_result(rule, "failed"))
		return -EBUSY;
	return rule_result(rule, "dropped") == 1 ? 0 : -ESRCH;
}

static int write_lines(const char *lines)
{
	return file_write("/proc/thread-self/net/tcp_drop", lines);
}

static void add_line(char *lines, const struct ends *ends)
{
	char *line = lines + strlen(lines);

	ends_print(ends, TCP_ESTABLISHED, line, 159);
	strcat(line, "\n");
}

static int drop_by_line(const struct rule *rule, const struct ends *ends)
{
	char line[160];

	ends_print(ends, TCP_ESTABLISHED, line, sizeof(line) - 1);
	return write_lines(strcat(line, "\n"));
}

/* scripts/tcpdrop of this tree, or of the one that it is installed next to. */
static const char *find_command(void)
{
	static const char * const places[] = { "../scripts/tcpdrop", "../../scripts/tcpdrop" };
	static char path[PATH_MAX + 32];
	char self[PATH_MAX] = "";
	size_t i;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	dirname(self);
	for (i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", self, places[i]);
		if (!access(path, X_OK))
			return path;
	}
	return NULL;
}

static int drop_by_command(const struct rule *rule, const struct ends *ends)
{
	char laddr[INET6_ADDRSTRLEN], faddr[INET6_ADDRSTRLEN], command[PATH_MAX + 256];

	end_addr(&ends->local, laddr, sizeof(laddr));
	end_addr(&ends->remote, faddr, sizeof(faddr));
	snprintf(command, sizeof(command), "%s %s %u %s %u >/dev/null", find_command(),
		 laddr, ends->local.port, faddr, ends->remote.port);
	return system(command) ? -EBUSY : 0;
}

/* Measuring */

struct times {
	int64_t *us;
	int count;
	int failed;
};

static int number_of_drops(void)
{
	const char *drops = getenv("TCPDROP_DROPS");

	return drops ? atoi(drops) : DROPS;
}

static int time_cmp(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print_times(struct __test_metadata *_metadata, struct times *times,
			enum way way, int hogs)
{
	qsort(times->us, times->count, sizeof(*times->us), time_cmp);
	TH_LOG("%s, %d hogs: median %lld us, max %lld us, %d of %d failed", ways[way].name, hogs,
	       (long long)times->us[times->count / 2],
	       (long long)times->us[times->count - 1], times->failed, times->count);
}

static pid_t hog_start(void)
{
	pid_t pid = fork_bound();

	if (pid)
		return pid;
	for (;;)
		;
}

#define HOGS 8

/* A busy owner, and processes that want the CPUs as well. */
FIXTURE(busy)
{
	struct rule rule;
	struct pair bystander;
	struct talk talk;
	pid_t hog[HOGS];
};

FIXTURE_VARIANT(busy)
{
	enum way way;
	int hogs;
};

#define VARIANTS(name, value)						\
	FIXTURE_VARIANT_ADD(busy, name) { .way = value, .hogs = 0 };	\
	FIXTURE_VARIANT_ADD(busy, name##_and_2_hogs) { .way = value, .hogs = 2 }; \
	FIXTURE_VARIANT_ADD(busy, name##_and_8_hogs) { .way = value, .hogs = 8 }

VARIANTS(send_large, SEND_LARGE);
VARIANTS(send_small, SEND_SMALL);
VARIANTS(sendfile, SENDFILE);
VARIANTS(splice, SPLICE);
VARIANTS(zerocopy, ZEROCOPY);
VARIANTS(io_uring, IO_URING);
VARIANTS(recv, RECV);

static bool has_io_uring(void)
{
	struct uring ring;
	int ret = uring_make(&ring);

	if (!ret)
		close(ring.fd);
	return !ret;
}

FIXTURE_SETUP(busy)
{
	int i;

	REQUIRE_TCPDROP();
	if (variant->way == IO_URING && !has_io_uring())
		KERNEL_HAS_NO("io_uring");
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, bystander_make(&self->bystander));
	ASSERT_EQ(0, rule_new(&self->rule, "busy"));
	for (i = 0; i < variant->hogs; i++)
		self->hog[i] = hog_start();
}

FIXTURE_TEARDOWN(busy)
{
	int i;

	talk_end(&self->talk);
	for (i = 0; i < HOGS; i++)
		end_process(self->hog[i]);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Drop connections of busy owners one after the other: not one may be left. */
static void drop_each(struct __test_metadata *_metadata, FIXTURE_DATA(busy) * self,
		      const FIXTURE_VARIANT(busy) * variant,
		      int (*drop)(const struct rule *rule, const struct ends *ends))
{
	struct times times = { .count = number_of_drops() };
	int64_t start;
	int i, ret;

	times.us = calloc(times.count, sizeof(*times.us));
	ASSERT_NE(NULL, times.us);
	for (i = 0; i < times.count; i++) {
		ASSERT_EQ(0, talk_make(&self->talk, variant->way, i % FAMILIES));
		ASSERT_EQ(0, talk_wait(&self->talk));
		start = clock_us();
		ret = drop(&self->rule, &self->talk.ends);
		times.us[i] = clock_us() - start;
		times.failed += ret != 0;
		if (!ret)
			expect_over(_metadata, &self->talk);
		talk_end(&self->talk);
	}
	print_times(_metadata, &times, variant->way, variant->hogs);
	EXPECT_EQ(0, times.failed);
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
	free(times.us);
}

TEST_F_TIMEOUT(busy, owners_are_dropped_by_a_rule, TIMEOUT)
{
	drop_each(_metadata, self, variant, drop_by_rule);
}

TEST_F_TIMEOUT(busy, owners_are_dropped_by_a_line, TIMEOUT)
{
	drop_each(_metadata, self, variant, drop_by_line);
}

/* A few at a time, the first line for one that there is not. */
TEST_F_TIMEOUT(busy, owners_are_dropped_by_lines_of_one_write, TIMEOUT)
{
	char lines[DROPS * 160 + 160] = "127.0.0.1:1 127.0.0.1:1\n";
	struct talk talk[DROPS];
	int i, ret;

	for (i = 0; i < DROPS; i++) {
		ASSERT_EQ(0, talk_make(&talk[i], variant->way, i % FAMILIES));
		add_line(lines, &talk[i].ends);
	}
	for (i = 0; i < DROPS; i++)
		ASSERT_EQ(0, talk_wait(&talk[i]));

	ret = write_lines(lines);

	EXPECT_EQ(0, ret);
	for (i = 0; i < DROPS; i++) {
		if (!ret)
			expect_over(_metadata, &talk[i]);
		talk_end(&talk[i]);
	}
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
}

TEST_F_TIMEOUT(busy, owners_are_dropped_by_the_command, TIMEOUT)
{
	if (!find_command())
		SKIP(return, "no scripts/tcpdrop");
	drop_each(_metadata, self, variant, drop_by_command);
}

/*
 * Many busy owners, of all sorts, and one that nobody drops. Small buffers, or
 * there would not be the memory.
 */
FIXTURE(crowd)
{
	struct rule rule;
	struct talk talk[CROWD];
	struct talk bystander;
	struct sender sender[STUCK];
	struct pair idle;
	struct report *dropper;
	int faults;
	char *lines;		/* all that are to be dropped */
};

#define SMALL_BUFFERS "4096 65536 262144"

FIXTURE_SETUP(crowd)
{
	bool io_uring = has_io_uring();
	struct pair pair;
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, file_write("/proc/sys/net/ipv4/tcp_rmem", SMALL_BUFFERS));
	ASSERT_EQ(0, file_write("/proc/sys/net/ipv4/tcp_wmem", SMALL_BUFFERS));
	ASSERT_EQ(0, bystander_make(&self->idle));
	ASSERT_EQ(0, bystander_make(&pair));
	ASSERT_EQ(0, talk_start(&self->bystander, SEND_LARGE, pair.client, pair.server));
	self->dropper = reports_new(1);
	ASSERT_NE(NULL, self->dropper);
	self->lines = calloc(CROWD + STUCK, 160);
	ASSERT_NE(NULL, self->lines);
	for (i = 0; i < CROWD; i++) {
		enum way way = i % WAYS;

		if (way == IO_URING && !io_uring)
			way = SEND_LARGE;
		ASSERT_EQ(0, talk_make(&self->talk[i], way, i % FAMILIES));
	}
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, talk_wait(&self->talk[i]));
	ASSERT_EQ(0, rule_new(&self->rule, "busy"));
	ASSERT_EQ(0, rule_setf(&self->rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
}

FIXTURE_TEARDOWN(crowd)
{
	int i;

	talk_end(&self->bystander);
	for (i = 0; i < CROWD; i++)
		talk_end(&self->talk[i]);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void expect_crowd_over(struct __test_metadata *_metadata, FIXTURE_DATA(crowd) * self)
{
	int i;

	for (i = 0; i < CROWD; i++)
		expect_over(_metadata, &self->talk[i]);
	expect_goes_on(_metadata, self->bystander.target);
	expect_goes_on(_metadata, self->bystander.peer);
	EXPECT_TRUE(sock_talks(self->idle.client, self->idle.server));
}

TEST_F_TIMEOUT(crowd, of_busy_owners_is_dropped_by_one_commit, TIMEOUT)
{
	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(CROWD, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	TH_LOG("a commit for %d: %ld us", CROWD, rule_result(&self->rule, "elapsed_us"));
	expect_crowd_over(_metadata, self);
}

TEST_F_TIMEOUT(crowd, of_busy_owners_is_dropped_by_one_write, TIMEOUT)
{
	int64_t start;
	int i;

	for (i = 0; i < CROWD; i++)
		add_line(self->lines, &self->talk[i].ends);
	start = clock_us();
	EXPECT_EQ(0, write_lines(self->lines));
	TH_LOG("a write of %d lines: %lld us", CROWD, (long long)(clock_us() - start));
	expect_crowd_over(_metadata, self);
}

/* Stuck owners, whose lines come first. */
static void add_stuck(struct __test_metadata *_metadata, FIXTURE_DATA(crowd) * self)
{
	struct conn conn;
	char *pages;
	int i;

	self->faults = stuck_pages(&pages, STUCK);
	ASSERT_LE(0, self->faults);
	for (i = 0; i < STUCK; i++) {
		ASSERT_EQ(0, conn_make(&conn, ESTABLISHED, i % FAMILIES));
		add_line(self->lines, &conn.ends);
		ASSERT_EQ(0, sender_start(&self->sender[i], conn.fd,
					  pages + i * getpagesize(), self->faults));
	}
}

/* The busy owners were told while those who dropped them still waited for the stuck. */
static void expect_order(struct __test_metadata *_metadata, FIXTURE_DATA(crowd) * self)
{
	int i, late = 0;

	expect_crowd_over(_metadata, self);
	for (i = 0; i < CROWD; i++)
		late += atomic_load(&self->talk[i].target->ended_us) >=
			atomic_load(&self->dropper->ended_us);
	/* Some may come to say so late. */
	EXPECT_GT(CROWD / 2, late);
	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(0, sender_let_go(&self->sender[i], self->faults));
}

/* Drop in a process of its own, which notes when it was done. */
static int drop_elsewhere(struct report *report, const struct rule *rule, const char *lines)
{
	pid_t pid = fork_bound();
	int status;

	if (!pid) {
		int ret = lines ? write_lines(lines) : rule_commit(rule);

		atomic_store(&report->ended_us, clock_us());
		_exit(-ret);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

TEST_F_TIMEOUT(crowd, is_held_up_by_no_stuck_owner_in_a_commit, TIMEOUT)
{
	add_stuck(_metadata, self);

	EXPECT_EQ(0, drop_elsewhere(self->dropper, &self->rule, NULL));

	EXPECT_EQ(CROWD, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(STUCK, rule_result(&self->rule, "failed"));
	expect_order(_metadata, self);
}

TEST_F_TIMEOUT(crowd, is_held_up_by_no_stuck_owner_in_a_write, TIMEOUT)
{
	int i;

	add_stuck(_metadata, self);
	for (i = 0; i < CROWD; i++)
		add_line(self->lines, &self->talk[i].ends);

	EXPECT_EQ(-EBUSY, drop_elsewhere(self->dropper, NULL, self->lines));

	expect_order(_metadata, self);
}

/* The stuck are settled before the rule, and the busy after it. */
TEST_F_TIMEOUT(crowd, behind_a_rule_is_held_up_by_no_stuck_owner_before_it, TIMEOUT)
{
	int i;

	add_stuck(_metadata, self);
	strcat(self->lines, "dport=9 state=time-wait\n");
	for (i = 0; i < CROWD; i++)
		add_line(self->lines, &self->talk[i].ends);

	EXPECT_EQ(-EBUSY, write_lines(self->lines));

	expect_crowd_over(_metadata, self);
}

TEST_HARNESS_MAIN
