// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that a commit has to pass over, and that hold up no other: those
 * whose owner is stuck in a system call, and those under TCP_REPAIR.
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
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define CONNS 20
#define STUCK 8
#define CROWD 2000	/* enough for the kernel to use several CPUs, if it has them */

/* A thread that sends from @page, which is not there. */
struct sender {
	pthread_t thread;
	const char *page;
	int fd;
	ssize_t ret;
	int err;
};

/*
 * An owner that is stuck in a system call holds the lock of its socket for as
 * long as it likes: here a sender waits for a page that userfaultfd has to
 * bring. All other sockets are dropped meanwhile.
 */
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

TEST_F(stuck, a_commit_ends_with_all_others_dropped_and_the_stuck_failed)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, CONNS - STUCK, STUCK);
	EXPECT_GT(DEADLINE_MS * 1000, rule_result(&self->rule, "elapsed_us"));
	for (i = STUCK; i < CONNS; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	let_go(_metadata, self->sender, self->faults);
}

/* Whichever CPU came upon them. */
TEST_F(stuck, a_commit_fails_just_the_stuck_among_thousands)
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
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "+127.5.0.2"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, CONNS - STUCK + CROWD, STUCK);
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(crowd[i].client));
	for (i = STUCK; i < CONNS; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn[i].fd));
	let_go(_metadata, self->sender, self->faults);
	free(crowd);
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

/* A commit in another process has come to where only the stuck are left. */
static pid_t commit_until_stuck(struct __test_metadata *_metadata, const struct rule *rule)
{
	pid_t pid = rule_commit_elsewhere(rule);

	ASSERT_LE(0, pid);
	EXPECT_TRUE(WAIT_UNTIL(rule_result(rule, "dropped") == CONNS - STUCK));
	return pid;
}

TEST_F(stuck, a_signal_ends_the_wait_for_the_stuck)
{
	pid_t pid;

	pid = commit_until_stuck(_metadata, &self->rule);
	ASSERT_EQ(0, kill(pid, SIGTERM));
	EXPECT_EQ(-EINTR, rule_commit_end(pid));
	EXPECT_EQ(CONNS - STUCK, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(STUCK, rule_result(&self->rule, "remaining"));
	let_go(_metadata, self->sender, self->faults);
}

TEST_F(stuck, who_is_let_go_while_the_commit_waits_is_dropped)
{
	pid_t pid;

	pid = commit_until_stuck(_metadata, &self->rule);
	let_go(_metadata, self->sender, self->faults);
	EXPECT_EQ(0, rule_commit_end(pid));
	expect_result(_metadata, &self->rule, CONNS, 0);
}

TEST_F(stuck, count_and_list_have_the_stuck_too)
{
	char *list;

	EXPECT_EQ(CONNS, rule_count(&self->rule));
	list = rule_list(&self->rule);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(CONNS, text_count(list, "\n"));
	free(list);
	let_go(_metadata, self->sender, self->faults);
}

/*
 * A connection under TCP_REPAIR, whose checkpoint is being taken, and one
 * beside it that the same rule means.
 */
FIXTURE(repair)
{
	struct conn conn;
	struct conn neighbour;
	struct rule rule;
};

FIXTURE_VARIANT(repair)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(repair, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(repair, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(repair, dual) { .family = DUAL };

static int set_repair(int fd, int mode)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof(mode)) ? -errno : 0;
}

FIXTURE_SETUP(repair)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make(&self->neighbour, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "repair"));
	ASSERT_EQ(0, set_repair(self->conn.fd, 1));
}

FIXTURE_TEARDOWN(repair)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* The one connection that the rule counts and lists. */
static void expect_matched(struct __test_metadata *_metadata, const struct rule *rule,
			   const struct conn *conn)
{
	char line[128], list[256];

	EXPECT_EQ(1, rule_count(rule));
	ASSERT_EQ(0, rule_get(rule, "list", list, sizeof(list)));
	ends_print(&conn->ends, TCP_ESTABLISHED, line, sizeof(line));
	EXPECT_STREQ(line, list);
}

TEST_F(repair, a_rule_for_both_means_the_neighbour_only)
{
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
	expect_matched(_metadata, &self->rule, &self->neighbour);

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->neighbour.fd));
	ASSERT_EQ(0, set_repair(self->conn.fd, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));

	expect_matched(_metadata, &self->rule, &self->conn);
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
}

TEST_F(repair, exact_ends_mean_it_only_when_repair_is_over)
{
	char list[256];

	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
	EXPECT_EQ(0, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	EXPECT_STREQ("", list);
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 0, 0);

	ASSERT_EQ(0, set_repair(self->conn.fd, 0));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_result(_metadata, &self->rule, 1, 0);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
	EXPECT_TRUE(sock_talks(self->neighbour.fd, self->neighbour.peer));
}

TEST_HARNESS_MAIN
