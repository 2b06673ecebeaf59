// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to a process in the middle of a commit or of a write to
 * /proc/net/tcp_drop, and is no signal that it would see: it goes on as if
 * nothing had been.  A signal that it handles ends a commit, and a write between
 * two lines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_uring.h"

#define CGROUPS "/sys/fs/cgroup"

/* Lines for a connection whose owner is stuck, all deferred until the last one. */
#define STUCK_LINES 40

/* A process in the middle of something, and what it has of its own. */
struct worker {
	pid_t pid;
	struct uring ring;
	int event;
	int signal;		/* that its tracer is told of */
	int ret;		/* in shared memory, with all of this */
};

/* What befalls it; 0, or a negative errno if that could not be had. */
typedef int (*event_t)(struct worker *worker, const char *cgroup);

/* One connection to drop, one after it, and one that holds both up for two seconds. */
FIXTURE(frozen)
{
	struct conn first;
	struct conn last;
	struct conn stuck;
	struct pages pages;
	pthread_t sender;
	struct rule rule;
	char cgroup[128];
	struct worker *worker;
	bool has_sender;
};

FIXTURE_VARIANT(frozen)
{
	event_t event;
	void (*prepare)(struct worker *worker);
	bool seen;		/* by the process, as a reason to end what it does */
};

/* Frozen it is when it has come back from the kernel. */
static int freeze_and_thaw(struct worker *worker, const char *cgroup)
{
	int ret = cgroup_set(cgroup, "cgroup.freeze", "1");

	if (!ret && !WAIT_UNTIL(cgroup_says(cgroup, "frozen 1")))
		ret = -ETIMEDOUT;
	cgroup_set(cgroup, "cgroup.freeze", "0");
	return ret;
}

/* As long as the process is still at it, for some moments of that. */
static int freeze_again_and_again(struct worker *worker, const char *cgroup)
{
	int i, ret = 0;

	for (i = 0; i < 20 && !ret; i++) {
		ret = cgroup_set(cgroup, "cgroup.freeze", "1");
		if (!ret)
			ret = cgroup_set(cgroup, "cgroup.freeze", "0");
	}
	return ret;
}

static int wait_stopped(pid_t pid)
{
	int status;

	return WAIT_UNTIL(waitpid(pid, &status, WNOHANG) == pid) && WIFSTOPPED(status) ?
		0 : -ETIMEDOUT;
}

/* As strace -p does. */
static int seize(struct worker *worker, const char *cgroup)
{
	if (ptrace(PTRACE_SEIZE, worker->pid, 0, 0) ||
	    ptrace(PTRACE_INTERRUPT, worker->pid, 0, 0) || wait_stopped(worker->pid))
		return -errno;
	return ptrace(PTRACE_DETACH, worker->pid, 0, 0) ? -errno : 0;
}

/* As gdb -p does. */
static int attach(struct worker *worker, const char *cgroup)
{
	if (ptrace(PTRACE_ATTACH, worker->pid, 0, 0) || wait_stopped(worker->pid))
		return -errno;
	return ptrace(PTRACE_DETACH, worker->pid, 0, 0) ? -errno : 0;
}

/* What a process ignores, its tracer sees. */
static int signal_traced(struct worker *worker, const char *cgroup)
{
	if (ptrace(PTRACE_SEIZE, worker->pid, 0, 0) || kill(worker->pid, worker->signal) ||
	    wait_stopped(worker->pid))
		return -errno;
	return ptrace(PTRACE_DETACH, worker->pid, 0, 0) ? -errno : 0;
}

static int signal_usr1(struct worker *worker, const char *cgroup)
{
	return kill(worker->pid, SIGUSR1) ? -errno : 0;
}

/* Whatever it is that the process is told, what it blocks it does not see. */
static int signal_usr1_and_freeze(struct worker *worker, const char *cgroup)
{
	return signal_usr1(worker, cgroup) ?: freeze_and_thaw(worker, cgroup);
}

static int signal_winch(struct worker *worker, const char *cgroup)
{
	return kill(worker->pid, SIGWINCH) ? -errno : 0;
}

static void block_usr1(struct worker *worker)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void ignore_usr1(struct worker *worker)
{
	signal(SIGUSR1, SIG_IGN);
	worker->signal = SIGUSR1;
}

static void leave_winch(struct worker *worker)
{
	worker->signal = SIGWINCH;
}

static void on_signal(int signal)
{
}

static void catch_usr1(struct worker *worker)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
}

/* As shells do, whose children end in the middle of whatever they do. */
static void catch_child(struct worker *worker)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGCHLD, &action, NULL);
}

static int signal_child(struct worker *worker, const char *cgroup)
{
	return kill(worker->pid, SIGCHLD) ? -errno : 0;
}

/* What the ring waits for, it is told of in the middle of whatever it does. */
static void poll_by_ring(struct worker *worker)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .fd = worker->event, .poll32_events = POLLIN,
	};

	if (!uring_make(&worker->ring) && uring_submit(&worker->ring, &sqe))
		_exit(1);
}

static int complete_poll(struct worker *worker, const char *cgroup)
{
	return eventfd_write(worker->event, 1) ? -errno : 0;
}

FIXTURE_VARIANT_ADD(frozen, and_thawed) { .event = freeze_and_thaw };
FIXTURE_VARIANT_ADD(frozen, again_and_again) { .event = freeze_again_and_again };
FIXTURE_VARIANT_ADD(frozen, by_strace) { .event = seize };
FIXTURE_VARIANT_ADD(frozen, by_gdb) { .event = attach };
FIXTURE_VARIANT_ADD(frozen, by_a_signal_for_its_tracer) {
	.event = signal_traced, .prepare = leave_winch,
};

FIXTURE_VARIANT_ADD(frozen, by_an_ignored_signal_for_its_tracer) {
	.event = signal_traced, .prepare = ignore_usr1,
};

FIXTURE_VARIANT_ADD(frozen, by_io_uring) { .event = complete_poll, .prepare = poll_by_ring };
FIXTURE_VARIANT_ADD(frozen, not_by_a_blocked_signal) {
	.event = signal_usr1, .prepare = block_usr1,
};

FIXTURE_VARIANT_ADD(frozen, with_a_blocked_signal_and_thawed) {
	.event = signal_usr1_and_freeze, .prepare = block_usr1,
};

FIXTURE_VARIANT_ADD(frozen, not_by_an_ignored_signal) {
	.event = signal_usr1, .prepare = ignore_usr1,
};

FIXTURE_VARIANT_ADD(frozen, not_by_its_terminal_changing_size) { .event = signal_winch };
FIXTURE_VARIANT_ADD(frozen, not_by_the_end_of_its_child) {
	.event = signal_child, .prepare = catch_child,
};

FIXTURE_VARIANT_ADD(frozen, ended_by_a_signal_that_it_handles) {
	.event = signal_usr1, .prepare = catch_usr1, .seen = true,
};

/* The kernel puts this task on hold with the socket locked. */
static void *send_missing(void *arg)
{
	struct _test_data_frozen *self = arg;

	send(self->stuck.fd, pages_get(&self->pages, 0), 1, MSG_NOSIGNAL);
	return NULL;
}

FIXTURE_SETUP(frozen)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->first, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->last, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->stuck, ESTABLISHED, IPV4));
	self->worker = mmap(NULL, sizeof(*self->worker), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->worker);
	self->worker->event = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->worker->event);
	snprintf(self->cgroup, sizeof(self->cgroup), CGROUPS "/tcpdrop-%d", getpid());
	ASSERT_EQ(0, mkdir(self->cgroup, 0755)) TH_LOG("needs cgroup v2 in " CGROUPS);
	ASSERT_EQ(0, pages_make(&self->pages, 1));
	ASSERT_EQ(0, pthread_create(&self->sender, NULL, send_missing, self));
	self->has_sender = true;
	ASSERT_TRUE(pages_wait(&self->pages));
	ASSERT_EQ(0, rule_new(&self->rule, "frozen"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(IPV4)));
}

FIXTURE_TEARDOWN(frozen)
{
	rule_remove(&self->rule);
	rmdir(self->cgroup);
}

static void let_go(struct __test_metadata *_metadata, struct _test_data_frozen *self)
{
	EXPECT_EQ(0, page_bring(&self->pages, 0));
	EXPECT_EQ(0, pthread_join(self->sender, NULL));
}

/* Have a process do it in the cgroup. */
static int worker_start(struct _test_data_frozen *self, void (*prepare)(struct worker *worker),
			int (*work)(struct _test_data_frozen *self))
{
	struct worker *worker = self->worker;

	worker->pid = fork();
	if (worker->pid)
		return worker->pid < 0 ? -errno : 0;
	worker->pid = getpid();
	if (cgroup_set(self->cgroup, "cgroup.procs", "0"))
		_exit(1);
	if (prepare)
		prepare(worker);
	worker->ret = work(self);
	_exit(0);
}

static int worker_end(struct worker *worker)
{
	int status;

	if (!WAIT_UNTIL(waitpid(worker->pid, &status, WNOHANG) == worker->pid)) {
		kill(worker->pid, SIGKILL);
		waitpid(worker->pid, &status, 0);
		return -ETIMEDOUT;
	}
	return status ? -ECHILD : worker->ret;
}

static int commit_work(struct _test_data_frozen *self)
{
	return rule_commit(&self->rule);
}

TEST_F(frozen, commits)
{
	ASSERT_EQ(0, worker_start(self, variant->prepare, commit_work));
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == 2));

	EXPECT_EQ(0, variant->event(self->worker, self->cgroup));

	EXPECT_EQ(variant->seen ? -EINTR : 0, worker_end(self->worker));
	EXPECT_EQ(2, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(1, rule_result(&self->rule, "remaining"));
	if (!variant->seen)
		EXPECT_EQ(1, rule_result(&self->rule, "failed"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->first.fd));
	EXPECT_EQ(ECONNABORTED, sock_error(self->last.fd));
	let_go(_metadata, self);
}

/*
 * Owners that are let go then are dropped, if the commit still waits for them,
 * and it loses sight of none.
 */
TEST_F(frozen, commits_go_on_afterwards)
{
	if (variant->seen || variant->event == freeze_and_thaw ||
	    variant->event == signal_usr1_and_freeze || variant->event == seize ||
	    variant->event == attach || variant->event == signal_traced)
		return;	/* they return when the commit has, which is too late */
	ASSERT_EQ(0, worker_start(self, variant->prepare, commit_work));
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == 2));

	EXPECT_EQ(0, variant->event(self->worker, self->cgroup));
	let_go(_metadata, self);

	EXPECT_EQ(0, worker_end(self->worker));
	EXPECT_EQ(3, rule_result(&self->rule, "matched"));
	EXPECT_EQ(3, rule_result(&self->rule, "dropped") + rule_result(&self->rule, "failed"));
}

static size_t add_line(char *text, size_t len, const struct conn *conn)
{
	ends_print(&conn->ends, TCP_ESTABLISHED, text + len, 128);
	strcat(text, "\n");
	return strlen(text);
}

static int write_work(struct _test_data_frozen *self)
{
	char *text = calloc(STUCK_LINES + 2, 128);
	size_t len = 0;
	int64_t before;
	ssize_t ret;
	int i, fd;

	fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	if (!text || fd < 0)
		return -ENOMEM;
	len = add_line(text, len, &self->first);
	for (i = 0; i < STUCK_LINES; i++)
		len = add_line(text, len, &self->stuck);
	len = add_line(text, len, &self->last);
	before = clock_ms();
	ret = write(fd, text, len);
	if (ret == len || (ret < 0 && errno == EBUSY && clock_ms() - before >= PATIENCE_MS))
		return 0;
	return ret < 0 ? -errno : -EINTR;
}

/*
 * That a connection could not be dropped is said only if its owner had the time
 * that it is given.
 */
TEST_F(frozen, writes_of_many_lines)
{
	int ret;

	ASSERT_EQ(0, worker_start(self, variant->prepare, write_work));
	ASSERT_TRUE(WAIT_UNTIL(!ends_in_table(&self->first.ends)));

	EXPECT_EQ(0, variant->event(self->worker, self->cgroup));

	/* When all lines have been taken there is nothing to end. */
	ret = worker_end(self->worker);
	if (!variant->seen || ret != -EINTR) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(ECONNABORTED, sock_error(self->last.fd));
	}
	let_go(_metadata, self);
}

TEST_HARNESS_MAIN
