// SPDX-License-Identifier: GPL-2.0
/*
 * An owner that is stuck in a system call holds the lock of its socket, for
 * as long as it likes: here a sender waits for a page that userfaultfd has to
 * bring. All other sockets are dropped meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define CONNS 20
#define STUCK 3

/* A thread that sends from @page, which is not there. */
struct sender {
	pthread_t thread;
	const char *page;
	int fd;
	ssize_t ret;
	int err;
};

FIXTURE(stuck)
{
	struct rule rule;
	struct conn conn[CONNS];	/* the first few have a stuck owner */
	struct sender sender[STUCK];
	char *pages;
	int faults;
};

/* @count pages that only userfaultfd brings. Returns its file, or -errno. */
static int pages_make(char **pages, int count)
{
	size_t len = count * getpagesize();
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (unsigned long)*pages;
	reg.range.len = len;
	if (*pages == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return fd;
}

/* Bring one page, and so let go of who waits for it. */
static int page_bring(int faults, const char *page)
{
	struct uffdio_zeropage zero = {
		.range.start = (unsigned long)page,
		.range.len = getpagesize(),
	};

	return ioctl(faults, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
}

static void *sender_main(void *arg)
{
	struct sender *sender = arg;

	sender->ret = send(sender->fd, sender->page, 1, MSG_NOSIGNAL);
	sender->err = sender->ret < 0 ? errno : 0;
	return NULL;
}

/* Have a thread wait for the page, with the socket locked. */
static int sender_start(struct sender *sender, int fd, const char *page, int faults)
{
	struct pollfd fault = { .fd = faults, .events = POLLIN };
	struct uffd_msg msg;

	sender->fd = fd;
	sender->page = page;
	if (pthread_create(&sender->thread, NULL, sender_main, sender))
		return -EAGAIN;
	if (poll(&fault, 1, DEADLINE_MS) != 1 || read(faults, &msg, sizeof(msg)) != sizeof(msg))
		return -ETIMEDOUT;
	return msg.arg.pagefault.address == (unsigned long)page ? 0 : -EPROTO;
}

FIXTURE_SETUP(stuck)
{
	int i, ret;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < CONNS; i++) {
		ret = conn_make(&self->conn[i], ESTABLISHED, i % FAMILIES);
		ASSERT_EQ(0, ret);
	}
	self->faults = pages_make(&self->pages, STUCK);
	ASSERT_LE(0, self->faults);
	for (i = 0; i < STUCK; i++) {
		ret = sender_start(&self->sender[i], self->conn[i].fd,
				   self->pages + i * getpagesize(), self->faults);
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, rule_new(&self->rule, "stuck"));
	ASSERT_EQ(0, rule_setf(&self->rule, "saddr", "%s,%s,%s", conn_targets(IPV4),
			       conn_targets(IPV6), conn_targets(DUAL)));
}

FIXTURE_TEARDOWN(stuck)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Let the stuck senders go on; what they were about to do then succeeds. */
static void let_go(struct __test_metadata *_metadata, struct sender *sender, int faults)
{
	int i;

	for (i = 0; i < STUCK; i++) {
		EXPECT_EQ(0, page_bring(faults, sender[i].page));
		EXPECT_EQ(0, pthread_join(sender[i].thread, NULL));
	}
}

static void expect_result(struct __test_metadata *_metadata, const struct rule *rule,
			  long dropped, long failed)
{
	EXPECT_EQ(dropped + failed, rule_result(rule, "matched"));
	EXPECT_EQ(dropped, rule_result(rule, "dropped"));
	EXPECT_EQ(failed, rule_result(rule, "failed"));
	EXPECT_EQ(failed, rule_result(rule, "remaining"));
}

TEST_F(stuck, a_commit_drops_all_others_and_reports_the_stuck_as_failed)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, CONNS - STUCK, STUCK);
	for (i = STUCK; i < CONNS; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	let_go(_metadata, self->sender, self->faults);
}

TEST_F(stuck, who_could_not_be_dropped_lives_on_and_can_be_dropped_later)
{
	char byte;
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));
	let_go(_metadata, self->sender, self->faults);
	for (i = 0; i < STUCK; i++) {
		EXPECT_EQ(1, self->sender[i].ret);
		EXPECT_EQ(1, recv(self->conn[i].peer, &byte, 1, 0));
		EXPECT_TRUE(sock_talks(self->conn[i].fd, self->conn[i].peer));
	}

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, STUCK, 0);
	for (i = 0; i < STUCK; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
}

static void on_signal(int signal)
{
}

/* Commit in a process of its own, with a handler for the signal. */
static pid_t commit_elsewhere(const struct rule *rule)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t pid = fork();

	if (!pid) {
		sigaction(SIGTERM, &action, NULL);
		_exit(-rule_commit(rule));
	}
	return pid;
}

/*
 * Nothing is said about how long a commit waits for owners, but a signal ends
 * that, and by then the others are gone.
 */
TEST_F(stuck, a_signal_ends_the_wait_for_the_stuck)
{
	int status;
	pid_t pid;

	pid = commit_elsewhere(&self->rule);
	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == CONNS - STUCK));
	ASSERT_EQ(0, kill(pid, SIGTERM));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_TRUE(WEXITSTATUS(status) == EINTR || !WEXITSTATUS(status));
	EXPECT_EQ(CONNS - STUCK, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(STUCK, rule_result(&self->rule, "remaining"));
	let_go(_metadata, self->sender, self->faults);
}

TEST_F(stuck, count_and_list_have_the_stuck_too)
{
	char *list, *line;
	int lines = 0;

	EXPECT_EQ(CONNS, rule_count(&self->rule));
	list = rule_list(&self->rule);
	ASSERT_NE(NULL, list);
	for (line = list; (line = strchr(line, '\n')); line++)
		lines++;
	EXPECT_EQ(CONNS, lines);
	let_go(_metadata, self->sender, self->faults);
}

TEST_HARNESS_MAIN
