// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that are blocked in a system call on a socket when it is dropped:
 * every one returns, and with what it returns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

/*
 * A thread that makes one call on @fd. Its @tid is there right before the call,
 * and @done right after it; the thread sleeps nowhere else in between.
 */
struct waiter {
	long (*call)(struct waiter *waiter);
	int fd;
	const struct conn *conn;
	int pipe[2];
	short events;
	pthread_t thread;
	pid_t tid;
	bool done;
	long ret;
	int err;
};

static long call_recv(struct waiter *waiter)
{
	char byte;

	return recv(waiter->fd, &byte, 1, 0);
}

static long call_recv_all(struct waiter *waiter)
{
	char text[64];

	return recv(waiter->fd, text, sizeof(text), MSG_WAITALL);
}

static long call_send(struct waiter *waiter)
{
	static const char chunk[4096];

	return send(waiter->fd, chunk, sizeof(chunk), MSG_NOSIGNAL);
}

static long call_accept(struct waiter *waiter)
{
	return accept(waiter->fd, NULL, NULL);
}

static long call_connect(struct waiter *waiter)
{
	int ret = sock_connect(waiter->fd, waiter->conn->family, &waiter->conn->ends.remote);

	errno = -ret;
	return ret ? -1 : 0;
}

static long call_poll(struct waiter *waiter)
{
	struct pollfd event = { .fd = waiter->fd, .events = POLLIN };
	int ret = poll(&event, 1, -1);

	waiter->events = event.revents;
	return ret;
}

static long call_epoll(struct waiter *waiter)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int ret;

	epoll_ctl(epoll, EPOLL_CTL_ADD, waiter->fd, &event);
	ret = epoll_wait(epoll, &event, 1, -1);
	waiter->events = event.events;
	close(epoll);
	return ret;
}

static long call_select(struct waiter *waiter)
{
	fd_set readable;
	int ret;

	FD_ZERO(&readable);
	FD_SET(waiter->fd, &readable);
	ret = select(waiter->fd + 1, &readable, NULL, NULL, NULL);
	waiter->events = FD_ISSET(waiter->fd, &readable) ? POLLIN : 0;
	return ret;
}

static long call_splice_from(struct waiter *waiter)
{
	return splice(waiter->fd, NULL, waiter->pipe[1], NULL, 4096, 0);
}

static long call_splice_to(struct waiter *waiter)
{
	return splice(waiter->pipe[0], NULL, waiter->fd, NULL, 4096, 0);
}

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;

	__atomic_store_n(&waiter->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	waiter->ret = waiter->call(waiter);
	waiter->err = waiter->ret < 0 ? errno : 0;
	__atomic_store_n(&waiter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool waiter_returned(const struct waiter *waiter)
{
	return __atomic_load_n(&waiter->done, __ATOMIC_ACQUIRE);
}

/* Whether the thread sleeps, so that a signal would wake it. */
static bool waiter_sleeps(const struct waiter *waiter)
{
	pid_t tid = __atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE);
	char path[64], text[1024], *state;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (file_read(path, text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	return state && !strncmp(state, ") S", 3) && !waiter_returned(waiter);
}

FIXTURE(blocked)
{
	struct rule rule;
	struct conn conn;
	struct waiter waiter;
};

FIXTURE_VARIANT(blocked)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(blocked, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(blocked, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(blocked, dual) { .family = DUAL };

FIXTURE_SETUP(blocked)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, pipe(self->waiter.pipe));
	ASSERT_EQ(0, rule_new(&self->rule, "blocked"));
	self->waiter.conn = &self->conn;
}

FIXTURE_TEARDOWN(blocked)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Have a thread make the call on @fd, until it is blocked. */
static void block_in(struct __test_metadata *_metadata, struct waiter *waiter,
		     long (*call)(struct waiter *waiter), int fd)
{
	waiter->call = call;
	waiter->fd = fd;
	ASSERT_EQ(0, pthread_create(&waiter->thread, NULL, waiter_main, waiter));
	ASSERT_TRUE(WAIT_UNTIL(waiter_sleeps(waiter)));
}

static void expect_return(struct __test_metadata *_metadata, struct waiter *waiter)
{
	ASSERT_TRUE(WAIT_UNTIL(waiter_returned(waiter)));
	EXPECT_EQ(0, pthread_join(waiter->thread, NULL));
}

/* Drop the one socket in this state, and have the thread back. */
static void drop_blocked(struct __test_metadata *_metadata, const struct rule *rule,
			 const char *state, struct waiter *waiter)
{
	ASSERT_EQ(0, rule_set(rule, "state", state));
	ASSERT_EQ(1, rule_count(rule));
	ASSERT_TRUE(waiter_sleeps(waiter));
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(1, rule_result(rule, "dropped"));
	expect_return(_metadata, waiter);
	EXPECT_EQ(TCP_CLOSE, sock_state(waiter->fd));
}

/* The rule matches this end of the connection only. */
static void make_target(struct __test_metadata *_metadata, const struct rule *rule,
			struct conn *conn, enum family family)
{
	ASSERT_EQ(0, conn_make(conn, ESTABLISHED, family));
	ASSERT_EQ(0, rule_set_ends(rule, &conn->ends));
}

static void expect_error(struct __test_metadata *_metadata, const struct waiter *waiter)
{
	EXPECT_EQ(-1, waiter->ret);
	EXPECT_EQ(ECONNABORTED, waiter->err);
}

TEST_F(blocked, recv_returns_ECONNABORTED)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_recv, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error(_metadata, &self->waiter);
	EXPECT_EQ(0, sock_error(self->conn.fd));
}

TEST_F(blocked, recv_returns_first_what_it_has)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	ASSERT_EQ(5, send(self->conn.peer, "first", 5, 0));
	block_in(_metadata, &self->waiter, call_recv_all, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	EXPECT_EQ(5, self->waiter.ret);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
}

/*
 * Fill the send buffer, then wait for room in it. The peer is deaf, so nothing
 * is acknowledged and no room appears.
 */
static void block_for_room(struct __test_metadata *_metadata, struct waiter *waiter,
			   long (*call)(struct waiter *waiter), const struct conn *conn)
{
	static const char chunk[4096];

	ASSERT_EQ(0, sock_mute(conn->peer));
	while (send(conn->fd, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	ASSERT_EQ(EAGAIN, errno);
	block_in(_metadata, waiter, call, conn->fd);
}

TEST_F(blocked, send_returns_ECONNABORTED)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_for_room(_metadata, &self->waiter, call_send, &self->conn);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error(_metadata, &self->waiter);
}

TEST_F(blocked, splice_from_a_socket_returns_ECONNABORTED)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_splice_from, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error(_metadata, &self->waiter);
}

TEST_F(blocked, splice_to_a_socket_returns_ECONNABORTED)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	ASSERT_EQ(1, write(self->waiter.pipe[1], "x", 1));
	block_for_room(_metadata, &self->waiter, call_splice_to, &self->conn);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error(_metadata, &self->waiter);
}

TEST_F(blocked, connect_returns_ECONNABORTED)
{
	/* Take the listener that hears nothing, and connect to it anew. */
	ASSERT_EQ(0, conn_make(&self->conn, SYN_SENT, variant->family));
	close(self->conn.fd);
	self->conn.fd = sock_new(variant->family);
	ASSERT_LE(0, self->conn.fd);
	block_in(_metadata, &self->waiter, call_connect, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "SYN_SENT", &self->waiter);

	expect_error(_metadata, &self->waiter);
}

TEST_F(blocked, accept_returns_EINVAL)
{
	int child;

	ASSERT_EQ(0, conn_make(&self->conn, NOT_ACCEPTED, variant->family));
	child = accept(self->conn.listener, NULL, NULL);
	ASSERT_LE(0, child);
	block_in(_metadata, &self->waiter, call_accept, self->conn.listener);

	drop_blocked(_metadata, &self->rule, "LISTEN", &self->waiter);

	EXPECT_EQ(-1, self->waiter.ret);
	EXPECT_EQ(EINVAL, self->waiter.err);
	EXPECT_TRUE(sock_talks(child, self->conn.peer));
}

static void expect_error_event(struct __test_metadata *_metadata,
			       const struct waiter *waiter, short events)
{
	EXPECT_EQ(1, waiter->ret);
	EXPECT_EQ(events, waiter->events & events);
	EXPECT_EQ(ECONNABORTED, sock_error(waiter->fd));
}

TEST_F(blocked, poll_returns_error_and_hangup)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_poll, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error_event(_metadata, &self->waiter, POLLERR);
}

TEST_F(blocked, epoll_wait_returns_error)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_epoll, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error_event(_metadata, &self->waiter, EPOLLERR);
}

TEST_F(blocked, select_returns_readable)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_select, self->conn.fd);

	drop_blocked(_metadata, &self->rule, "ESTABLISHED", &self->waiter);

	expect_error_event(_metadata, &self->waiter, POLLIN);
}

TEST_F(blocked, poll_on_a_listener_returns_error)
{
	ASSERT_EQ(0, conn_make(&self->conn, NOT_ACCEPTED, variant->family));
	ASSERT_LE(0, accept(self->conn.listener, NULL, NULL));
	block_in(_metadata, &self->waiter, call_poll, self->conn.listener);

	drop_blocked(_metadata, &self->rule, "LISTEN", &self->waiter);

	expect_error_event(_metadata, &self->waiter, POLLERR);
}

TEST_F(blocked, the_peer_returns_ECONNRESET)
{
	make_target(_metadata, &self->rule, &self->conn, variant->family);
	block_in(_metadata, &self->waiter, call_recv, self->conn.peer);
	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_return(_metadata, &self->waiter);

	EXPECT_EQ(-1, self->waiter.ret);
	EXPECT_EQ(ECONNRESET, self->waiter.err);
}

/* One of them is told of the error, the others of the end. */
TEST_F(blocked, every_thread_on_the_same_socket_returns)
{
	struct waiter waiter[8] = { 0 };
	int told = 0;
	size_t i;

	make_target(_metadata, &self->rule, &self->conn, variant->family);
	for (i = 0; i < ARRAY_LEN(waiter); i++)
		block_in(_metadata, &waiter[i], call_recv, self->conn.fd);

	ASSERT_EQ(0, rule_commit(&self->rule));

	for (i = 0; i < ARRAY_LEN(waiter); i++) {
		expect_return(_metadata, &waiter[i]);
		told += waiter[i].err == ECONNABORTED;
		if (!waiter[i].err)
			EXPECT_EQ(0, waiter[i].ret);
	}
	EXPECT_EQ(1, told);
}

TEST_HARNESS_MAIN
