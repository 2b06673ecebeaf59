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

/* Part of what befalls it; 0, or a negative errno if that could not be had. */
typedef int (*part_t)(struct worker *worker, const char *cgroup);

struct event {
	void (*prepare)(struct worker *worker);
	part_t begin;
	part_t end;		/* in which the process takes part, when it has done its work */
};

/* One connection to drop, one after it, and one that holds both up for two seconds. */
struct scene {
	struct conn first;
	struct conn last;
	struct conn stuck;
	struct pages pages;
	pthread_t sender;
	struct rule rule;
	char cgroup[128];
	struct worker *worker;
	int64_t start;		/* of what the process does, or somewhat before */
};

static int freeze_it(struct worker *worker, const char *cgroup)
{
	return cgroup_set(cgroup, "cgroup.freeze", "1");
}

/* Frozen it is when it has come back from the kernel. */
static int thaw(struct worker *worker, const char *cgroup)
{
	bool frozen = WAIT_UNTIL(cgroup_says(cgroup, "frozen 1"));

	return cgroup_set(cgroup, "cgroup.freeze", "0") ?: frozen ? 0 : -ETIMEDOUT;
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

/* As strace -p does. */
static int seize(struct worker *worker, const char *cgroup)
{
	return ptrace(PTRACE_SEIZE, worker->pid, 0, 0) ||
	       ptrace(PTRACE_INTERRUPT, worker->pid, 0, 0) ? -errno : 0;
}

/* As gdb -p does. */
static int attach(struct worker *worker, const char *cgroup)
{
	return ptrace(PTRACE_ATTACH, worker->pid, 0, 0) ? -errno : 0;
}

/* What a process ignores, its tracer sees. */
static int signal_traced(struct worker *worker, const char *cgroup)
{
	return ptrace(PTRACE_SEIZE, worker->pid, 0, 0) || kill(worker->pid, worker->signal) ?
		-errno : 0;
}

/* Stopped it is when it has come back from the kernel. */
static int detach(struct worker *worker, const char *cgroup)
{
	int status;

	if (!WAIT_UNTIL(waitpid(worker->pid, &status, WNOHANG) == worker->pid))
		return -ETIMEDOUT;
	if (!WIFSTOPPED(status))
		return -ECHILD;
	return ptrace(PTRACE_DETACH, worker->pid, 0, 0) ? -errno : 0;
}

static int signal_usr1(struct worker *worker, const char *cgroup)
{
	return kill(worker->pid, SIGUSR1) ? -errno : 0;
}

/* Whatever it is that the process is told, what it blocks it does not see. */
static int signal_usr1_and_freeze(struct worker *worker, const char *cgroup)
{
	return signal_usr1(worker, cgroup) ?: freeze_it(worker, cgroup);
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

/* The kernel puts this task on hold with the socket locked. */
static void *send_missing(void *arg)
{
	struct scene *scene = arg;

	send(scene->stuck.fd, pages_get(&scene->pages, 0), 1, MSG_NOSIGNAL);
	return NULL;
}

static void scene_make(struct __test_metadata *_metadata, struct scene *scene)
{
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&scene->stuck, ESTABLISHED, IPV4));
	scene->worker = mmap(NULL, sizeof(*scene->worker), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, scene->worker);
	snprintf(scene->cgroup, sizeof(scene->cgroup), CGROUPS "/tcpdrop-%d", getpid());
	ASSERT_EQ(0, mkdir(scene->cgroup, 0755)) TH_LOG("needs cgroup v2 in " CGROUPS);
	ASSERT_EQ(0, pages_make(&scene->pages, 1));
	ASSERT_EQ(0, pthread_create(&scene->sender, NULL, send_missing, scene));
	ASSERT_TRUE(pages_wait(&scene->pages));
	ASSERT_EQ(0, rule_new(&scene->rule, "frozen"));
	ASSERT_EQ(0, rule_set(&scene->rule, "saddr", conn_targets(IPV4)));
}

static void scene_leave(struct scene *scene)
{
	rule_remove(&scene->rule);
	rmdir(scene->cgroup);
}

static void let_go(struct __test_metadata *_metadata, struct scene *scene)
{
	EXPECT_EQ(0, page_bring(&scene->pages, 0));
	EXPECT_EQ(0, pthread_join(scene->sender, NULL));
}

/* Have a process do it in the cgroup. */
static int worker_start(struct scene *scene, const struct event *event,
			int (*work)(struct scene *scene))
{
	struct worker *worker = scene->worker;
	pid_t pid;

	worker->event = eventfd(0, EFD_CLOEXEC);
	pid = worker->event < 0 ? -1 : fork();
	if (pid) {
		worker->pid = pid;
		return pid < 0 ? -errno : 0;
	}
	worker->pid = getpid();
	if (cgroup_set(scene->cgroup, "cgroup.procs", "0"))
		_exit(1);
	if (event->prepare)
		event->prepare(worker);
	worker->ret = work(scene);
	_exit(0);
}

static int worker_end(struct worker *worker)
{
	int status;

	close(worker->event);
	if (!WAIT_UNTIL(waitpid(worker->pid, &status, WNOHANG) == worker->pid)) {
		kill(worker->pid, SIGKILL);
		waitpid(worker->pid, &status, 0);
		return -ETIMEDOUT;
	}
	return status ? -ECHILD : worker->ret;
}

/* Whatever became of it. */
static void worker_kill(struct scene *scene)
{
	struct worker *worker = scene->worker;
	int status;

	close(worker->event);
	kill(worker->pid, SIGKILL);
	cgroup_set(scene->cgroup, "cgroup.freeze", "0");
	while (waitpid(worker->pid, &status, 0) == worker->pid && WIFSTOPPED(status))
		;
}

/* What a process does, and whether it has come to where the event is to meet it. */
struct work {
	int (*work)(struct scene *scene);
	bool (*has_come)(const struct scene *scene);
};

/*
 * Whether the event came before the process could have done with the owner that is stuck. If it
 * did not, the machine stood still for that long.
 */
static bool comes_in_time(struct __test_metadata *_metadata, struct scene *scene,
			  const struct event *event, const struct work *work)
{
	int ret;

	ASSERT_EQ(0, conn_make(&scene->first, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&scene->last, ESTABLISHED, IPV4));
	scene->start = clock_ms();
	ASSERT_EQ(0, worker_start(scene, event, work->work));
	ASSERT_TRUE(WAIT_UNTIL(work->has_come(scene)));
	ret = event->begin(scene->worker, scene->cgroup);
	if (patience_is_over(scene->start))
		return false;
	EXPECT_EQ(0, ret);
	return true;
}

/* Once more, if it was too late. */
static void begin_in_time(struct __test_metadata *_metadata, struct scene *scene,
			  const struct event *event, const struct work *work)
{
	int64_t start = clock_ms();

	while (!comes_in_time(_metadata, scene, event, work)) {
		ASSERT_GT(DEADLINE_MS, clock_ms() - start) TH_LOG("never in time");
		worker_kill(scene);
		conn_close(&scene->first);
		conn_close(&scene->last);
	}
}

static int commit_work(struct scene *scene)
{
	return rule_commit(&scene->rule);
}

static bool has_dropped_both(const struct scene *scene)
{
	return !ends_in_table(&scene->first.ends) && !ends_in_table(&scene->last.ends);
}

static const struct work commits = { commit_work, has_dropped_both };

static size_t add_line(char *text, size_t len, const struct conn *conn)
{
	ends_print(&conn->ends, TCP_ESTABLISHED, text + len, 128);
	strcat(text, "\n");
	return strlen(text);
}

static int write_work(struct scene *scene)
{
	char *text = calloc(STUCK_LINES + 2, 128);
	size_t len = 0;
	int64_t before;
	ssize_t ret;
	int i, fd;

	fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	if (!text || fd < 0)
		return -ENOMEM;
	len = add_line(text, len, &scene->first);
	for (i = 0; i < STUCK_LINES; i++)
		len = add_line(text, len, &scene->stuck);
	len = add_line(text, len, &scene->last);
	before = clock_ms();
	ret = write(fd, text, len);
	if (ret == len || (ret < 0 && errno == EBUSY && clock_ms() - before >= PATIENCE_MS))
		return 0;
	return ret < 0 ? -errno : -EINTR;
}

static bool has_dropped_first(const struct scene *scene)
{
	return !ends_in_table(&scene->first.ends);
}

static const struct work writes = { write_work, has_dropped_first };

/* What a process goes on after. */
FIXTURE(frozen)
{
	struct scene scene;
};

FIXTURE_VARIANT(frozen)
{
	struct event event;
};

FIXTURE_VARIANT_ADD(frozen, and_thawed) {
	.event = { .begin = freeze_it, .end = thaw },
};

FIXTURE_VARIANT_ADD(frozen, again_and_again) {
	.event = { .begin = freeze_again_and_again },
};

FIXTURE_VARIANT_ADD(frozen, by_strace) {
	.event = { .begin = seize, .end = detach },
};

FIXTURE_VARIANT_ADD(frozen, by_gdb) {
	.event = { .begin = attach, .end = detach },
};

FIXTURE_VARIANT_ADD(frozen, by_a_signal_for_its_tracer) {
	.event = { .prepare = leave_winch, .begin = signal_traced, .end = detach },
};

FIXTURE_VARIANT_ADD(frozen, by_an_ignored_signal_for_its_tracer) {
	.event = { .prepare = ignore_usr1, .begin = signal_traced, .end = detach },
};

FIXTURE_VARIANT_ADD(frozen, by_io_uring) {
	.event = { .prepare = poll_by_ring, .begin = complete_poll },
};

FIXTURE_VARIANT_ADD(frozen, not_by_a_blocked_signal) {
	.event = { .prepare = block_usr1, .begin = signal_usr1 },
};

FIXTURE_VARIANT_ADD(frozen, with_a_blocked_signal_and_thawed) {
	.event = { .prepare = block_usr1, .begin = signal_usr1_and_freeze, .end = thaw },
};

FIXTURE_VARIANT_ADD(frozen, not_by_an_ignored_signal) {
	.event = { .prepare = ignore_usr1, .begin = signal_usr1 },
};

FIXTURE_VARIANT_ADD(frozen, not_by_its_terminal_changing_size) {
	.event = { .begin = signal_winch },
};

FIXTURE_VARIANT_ADD(frozen, not_by_the_end_of_its_child) {
	.event = { .prepare = catch_child, .begin = signal_child },
};

FIXTURE_SETUP(frozen)
{
	REQUIRE_TCPDROP();
	scene_make(_metadata, &self->scene);
}

FIXTURE_TEARDOWN(frozen)
{
	scene_leave(&self->scene);
}

static int end(const struct scene *scene, const struct event *event)
{
	return event->end ? event->end(scene->worker, scene->cgroup) : 0;
}

static void expect_dropped(struct __test_metadata *_metadata, const struct scene *scene)
{
	EXPECT_EQ(2, rule_result(&scene->rule, "dropped"));
	EXPECT_EQ(1, rule_result(&scene->rule, "remaining"));
	EXPECT_EQ(ECONNABORTED, sock_error(scene->first.fd));
	EXPECT_EQ(ECONNABORTED, sock_error(scene->last.fd));
}

TEST_F(frozen, commits)
{
	struct scene *scene = &self->scene;

	begin_in_time(_metadata, scene, &variant->event, &commits);
	EXPECT_EQ(0, end(scene, &variant->event));

	EXPECT_EQ(0, worker_end(scene->worker));
	EXPECT_EQ(1, rule_result(&scene->rule, "failed"));
	expect_dropped(_metadata, scene);
	let_go(_metadata, scene);
}

/* An owner that is let go then is dropped, if there is time left, and not lost sight of. */
TEST_F(frozen, commits_go_on_afterwards)
{
	struct scene *scene = &self->scene;
	bool late;

	begin_in_time(_metadata, scene, &variant->event, &commits);
	let_go(_metadata, scene);
	late = patience_is_over(scene->start);
	EXPECT_EQ(0, end(scene, &variant->event));

	EXPECT_EQ(0, worker_end(scene->worker));
	EXPECT_EQ(3, rule_result(&scene->rule, "matched"));
	EXPECT_EQ(3, rule_result(&scene->rule, "dropped") + rule_result(&scene->rule, "failed"));
	EXPECT_GE(late, rule_result(&scene->rule, "failed"));
}

/*
 * That a connection could not be dropped is said only if its owner had the time
 * that it is given.
 */
TEST_F(frozen, writes_of_many_lines)
{
	struct scene *scene = &self->scene;

	begin_in_time(_metadata, scene, &variant->event, &writes);
	EXPECT_EQ(0, end(scene, &variant->event));

	EXPECT_EQ(0, worker_end(scene->worker));
	EXPECT_EQ(ECONNABORTED, sock_error(scene->last.fd));
	let_go(_metadata, scene);
}

/* What ends it. */
FIXTURE(ended)
{
	struct scene scene;
};

FIXTURE_SETUP(ended)
{
	REQUIRE_TCPDROP();
	scene_make(_metadata, &self->scene);
}

FIXTURE_TEARDOWN(ended)
{
	scene_leave(&self->scene);
}

static const struct event handled = { .prepare = catch_usr1, .begin = signal_usr1 };

TEST_F(ended, commits)
{
	begin_in_time(_metadata, &self->scene, &handled, &commits);

	EXPECT_EQ(-EINTR, worker_end(self->scene.worker));
	expect_dropped(_metadata, &self->scene);
	let_go(_metadata, &self->scene);
}

/* When all lines have been taken there is nothing to end. */
TEST_F(ended, writes_of_many_lines)
{
	int ret;

	begin_in_time(_metadata, &self->scene, &handled, &writes);

	ret = worker_end(self->scene.worker);
	if (ret != -EINTR) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(ECONNABORTED, sock_error(self->scene.last.fd));
	}
	let_go(_metadata, &self->scene);
}

TEST_HARNESS_MAIN
