// SPDX-License-Identifier: GPL-2.0
/*
 * MPTCP: what is in the tables are the subflows, and with the last of them the
 * connection has to end, for those who wait for it too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"

/*
 * A kernel that is told of the last subflow's end alone gives the connection up
 * after a minute, or after what close_timeout says.
 */
#define AT_ONCE_MS 20000

#define WAIT_AT_ONCE(cond) WAIT_FOR_MS(cond, AT_ONCE_MS)

static bool is_linked(const struct ends *ends)
{
	struct ends other = ends_swap(ends);

	return ends_in_table(ends) || ends_in_table(&other);
}

static bool poll_says(int fd, short events)
{
	struct pollfd event = { .fd = fd };

	return poll(&event, 1, 0) == 1 && (event.revents & events) == events;
}

/* A namespace in which nothing ends by MPTCP's own time-out, if that can be chosen. */
static int net_setup(void)
{
	int ret = netns_new();

	if (!ret)
		file_write("/proc/sys/net/mptcp/close_timeout", "3600");
	return ret;
}

static int listen_by(int protocol, struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM, protocol);
	socklen_t len = sizeof(*sin);

	*sin = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)sin, sizeof(*sin)) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)sin, &len))
		return -1;
	return fd;
}

static int connect_by(int protocol, const struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM, protocol);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sin, sizeof(*sin)))
		return -1;
	return fd;
}

/* Only with data in both directions is it decided what they speak. */
static int pair_by(int protocol, int listener, const struct sockaddr_in *sin, int fd[2])
{
	fd[0] = connect_by(protocol, sin);
	if (fd[0] < 0)
		return -1;
	fd[1] = accept(listener, NULL, NULL);
	return fd[1] >= 0 && sock_talks(fd[0], fd[1]) ? 0 : -1;
}

/* A thread that waits in one call. */
struct waiter {
	int (*call)(int fd, short *events);
	pthread_t thread;
	pid_t tid;
	int fd;
	int ret;
	int err;
	short events;
	bool done;
};

static int call_recv(int fd, short *events)
{
	char byte;

	return recv(fd, &byte, 1, 0);
}

static int call_poll(int fd, short *events)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	int ret = poll(&event, 1, -1);

	*events = event.revents;
	return ret;
}

static int call_send(int fd, short *events)
{
	static const char chunk[65536];

	while (send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
		;
	return -1;
}

static int call_accept(int fd, short *events)
{
	return accept(fd, NULL, NULL);
}

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;

	__atomic_store_n(&waiter->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	waiter->ret = waiter->call(waiter->fd, &waiter->events);
	waiter->err = waiter->ret < 0 ? errno : 0;
	__atomic_store_n(&waiter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool has_returned(const struct waiter *waiter)
{
	return __atomic_load_n(&waiter->done, __ATOMIC_ACQUIRE);
}

static bool waits(const struct waiter *waiter)
{
	pid_t tid = __atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE);

	return tid && thread_sleeps(tid);
}

static int waiter_start(struct waiter *waiter, int fd, int (*call)(int fd, short *events))
{
	*waiter = (struct waiter){ .call = call, .fd = fd };
	if (pthread_create(&waiter->thread, NULL, waiter_main, waiter))
		return -1;
	return WAIT_UNTIL(waits(waiter)) ? 0 : -1;
}

/* As for a socket of TCP: each is told why once, and then that there is no more. */
static void expect_end(struct __test_metadata *_metadata, int fd, int why)
{
	char byte;

	EXPECT_TRUE(WAIT_AT_ONCE(poll_says(fd, POLLERR | POLLHUP)));
	EXPECT_EQ(-1, recv(fd, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(why, errno);
	EXPECT_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	EXPECT_EQ(EPIPE, errno);
}

/* How many MP_FASTCLOSE this namespace has received. */
static int fastcloses(void)
{
	char *text = file_read_all("/proc/net/netstat"), *names, *numbers, *name, *number;
	char *save[2];
	int count = -1;

	names = text ? strstr(text, "MPTcpExt:") : NULL;
	numbers = names ? strstr(names + 1, "MPTcpExt:") : NULL;
	if (numbers) {
		numbers[-1] = '\0';
		name = strtok_r(names, " ", &save[0]);
		number = strtok_r(numbers, " \n", &save[1]);
		while (name && number && strcmp(name, "MPFastcloseRx")) {
			name = strtok_r(NULL, " ", &save[0]);
			number = strtok_r(NULL, " \n", &save[1]);
		}
		if (name && number)
			count = atoi(number);
	}
	free(text);
	return count;
}

/*
 * Where one of the ends does not speak MPTCP, the connection falls back to TCP.
 * The target is an end that does.
 */
FIXTURE(mptcp)
{
	struct sockaddr_in sin;
	struct rule rule;
	struct ends ends;
	int listener;
	int target;
	int peer;
	int bystander[2];
};

FIXTURE_VARIANT(mptcp)
{
	int listener;
	int client;
	bool passive;		/* the target is the end that the listener made */
};

FIXTURE_VARIANT_ADD(mptcp, both_ends) {
	.listener = IPPROTO_MPTCP, .client = IPPROTO_MPTCP, .passive = false,
};

FIXTURE_VARIANT_ADD(mptcp, both_ends_at_the_server) {
	.listener = IPPROTO_MPTCP, .client = IPPROTO_MPTCP, .passive = true,
};

FIXTURE_VARIANT_ADD(mptcp, client_falls_back) {
	.listener = 0, .client = IPPROTO_MPTCP, .passive = false,
};

FIXTURE_VARIANT_ADD(mptcp, server_falls_back) {
	.listener = IPPROTO_MPTCP, .client = 0, .passive = true,
};

FIXTURE_SETUP(mptcp)
{
	int fd[2];

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, net_setup());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");
	self->listener = listen_by(variant->listener, &self->sin);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, pair_by(variant->client, self->listener, &self->sin, fd));
	ASSERT_EQ(0, pair_by(variant->client, self->listener, &self->sin, self->bystander));

	self->target = fd[variant->passive];
	self->peer = fd[!variant->passive];
	ASSERT_EQ(0, ends_of(self->target, &self->ends));
	ASSERT_EQ(0, rule_new(&self->rule, "mptcp"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
}

FIXTURE_TEARDOWN(mptcp)
{
	EXPECT_TRUE(sock_talks(self->bystander[0], self->bystander[1]));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(mptcp, subflows_are_dropped_and_their_peers_told)
{
	EXPECT_EQ(1, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "matched"));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_TRUE(WAIT_UNTIL(!is_linked(&self->ends)));
}

TEST_F(mptcp, connections_end_at_once_at_both_ends)
{
	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_end(_metadata, self->target, ECONNABORTED);
	expect_end(_metadata, self->peer, ECONNRESET);
	EXPECT_EQ(variant->listener && variant->client, fastcloses());
}

TEST_F(mptcp, who_waits_in_recv_is_told_at_both_ends)
{
	struct waiter target, peer;

	ASSERT_EQ(0, waiter_start(&target, self->target, call_recv));
	ASSERT_EQ(0, waiter_start(&peer, self->peer, call_recv));

	ASSERT_EQ(0, rule_commit(&self->rule));

	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&target)));
	EXPECT_EQ(-1, target.ret);
	EXPECT_EQ(ECONNABORTED, target.err);
	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&peer)));
	EXPECT_EQ(-1, peer.ret);
	EXPECT_EQ(ECONNRESET, peer.err);
}

/* Whoever is woken by the error may look before the state follows. */
TEST_F(mptcp, who_waits_in_poll_is_told_at_both_ends)
{
	struct waiter target, peer;

	ASSERT_EQ(0, waiter_start(&target, self->target, call_poll));
	ASSERT_EQ(0, waiter_start(&peer, self->peer, call_poll));

	ASSERT_EQ(0, rule_commit(&self->rule));

	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&target)));
	EXPECT_EQ(1, target.ret);
	EXPECT_NE(0, target.events & (POLLERR | POLLHUP));
	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&peer)));
	EXPECT_EQ(1, peer.ret);
	EXPECT_NE(0, peer.events & (POLLERR | POLLHUP));
	expect_end(_metadata, self->target, ECONNABORTED);
	expect_end(_metadata, self->peer, ECONNRESET);
}

/* Its peer does not read, so it waits for room. */
TEST_F(mptcp, who_waits_in_send_is_told)
{
	struct waiter target;

	ASSERT_EQ(0, waiter_start(&target, self->target, call_send));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&target)));
	EXPECT_TRUE(target.err == ECONNABORTED || target.err == EPIPE);
	EXPECT_FALSE(ends_in_table(&self->ends));
}

static void *read_all(void *arg)
{
	static char chunk[65536];

	while (recv(*(int *)arg, chunk, sizeof(chunk), 0) > 0)
		;
	return NULL;
}

/* Its peer reads, so it has the socket nearly all the time. */
TEST_F(mptcp, who_is_busy_sending_is_told)
{
	struct waiter target = { .call = call_send, .fd = self->target };
	pthread_t reader;

	ASSERT_EQ(0, pthread_create(&reader, NULL, read_all, &self->peer));
	ASSERT_EQ(0, pthread_create(&target.thread, NULL, waiter_main, &target));
	ASSERT_TRUE(WAIT_UNTIL(__atomic_load_n(&target.tid, __ATOMIC_ACQUIRE)));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&target)));
	EXPECT_TRUE(target.err == ECONNABORTED || target.err == EPIPE);
}

TEST_F(mptcp, applications_can_close_what_was_dropped_and_use_the_port_again)
{
	int fd[2];

	ASSERT_EQ(0, rule_commit(&self->rule));
	close(self->target);
	close(self->peer);

	ASSERT_EQ(0, pair_by(variant->client, self->listener, &self->sin, fd));
	EXPECT_TRUE(sock_talks(fd[0], fd[1]));
}

/* It has more to send than there is room for at its peer, which does not read. */
TEST_F(mptcp, closed_connections_are_dropped)
{
	short unused;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	ASSERT_EQ(0, sock_nonblock(self->target));
	call_send(self->target, &unused);
	ASSERT_EQ(EAGAIN, errno);
	close(self->target);
	ASSERT_EQ(1, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_FALSE(ends_in_table(&self->ends));
}

TEST_F(mptcp, lines_of_tcp_drop_end_connections_too)
{
	char line[256];

	ends_print(&self->ends, TCP_ESTABLISHED, line, sizeof(line));

	ASSERT_EQ(0, file_write("/proc/net/tcp_drop", line));

	expect_end(_metadata, self->target, ECONNABORTED);
	expect_end(_metadata, self->peer, ECONNRESET);
}

/* Of MPTCP its kernel refuses that: the subflow is not all that a listener has. */
TEST_F(mptcp, listeners_are_dropped_if_plain_and_else_counted_as_failed)
{
	bool plain = !variant->listener;
	int client;

	ASSERT_EQ(0, rule_clear_ends(&self->rule));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", ntohs(self->sin.sin_port)));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "matched"));
	EXPECT_EQ(plain, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(!plain, rule_result(&self->rule, "failed"));
	EXPECT_EQ(!plain, rule_result(&self->rule, "remaining"));
	client = socket(AF_INET, SOCK_STREAM, variant->client);
	ASSERT_LE(0, client);
	EXPECT_EQ(plain ? -1 : 0,
		  connect(client, (struct sockaddr *)&self->sin, sizeof(self->sin)));
	if (plain)
		EXPECT_EQ(ECONNREFUSED, errno);
	EXPECT_TRUE(sock_talks(self->target, self->peer));
}

/*
 * Two subflows: the client's path manager joins from a second address to what
 * has begun from the first.
 */
#define FIRST "127.0.0.1"
#define SECOND "127.0.0.2"

FIXTURE(subflows)
{
	struct sockaddr_in sin;
	struct rule rule;
	int listener;
	int fd[2];
};

static int join_from(const char *addr)
{
	char command[128];

	snprintf(command, sizeof(command), "ip mptcp endpoint add %s subflow", addr);
	return system(command);
}

FIXTURE_SETUP(subflows)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, net_setup());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");
	ASSERT_EQ(0, system("ip mptcp limits set subflows 8 add_addr_accepted 8"));
	self->listener = listen_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, pair_by(IPPROTO_MPTCP, self->listener, &self->sin, self->fd));
	ASSERT_EQ(0, rule_new(&self->rule, "mptcp"));
	/* A subflow that joins from another address may get the same port as the server has. */
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", FIRST));
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "%u", ntohs(self->sin.sin_port)));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	ASSERT_EQ(1, rule_count(&self->rule));
}

FIXTURE_TEARDOWN(subflows)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static bool has_joined(const struct rule *rule)
{
	return rule_count(rule) == 2;
}

static void expect_both_end(struct __test_metadata *_metadata, const int fd[2])
{
	expect_end(_metadata, fd[0], ECONNABORTED);
	expect_end(_metadata, fd[1], ECONNRESET);
}

TEST_F(subflows, all_dropped_end_their_connection)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(2, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	expect_both_end(_metadata, self->fd);
}

TEST_F(subflows, the_first_dropped_leaves_the_connection_to_the_second)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", FIRST));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", SECOND));
	EXPECT_EQ(1, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	expect_both_end(_metadata, self->fd);
}

TEST_F(subflows, the_second_dropped_leaves_the_connection_to_the_first)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", SECOND));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", FIRST));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	expect_both_end(_metadata, self->fd);
}

TEST_F(subflows, are_not_more_than_max_together)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1"));

	EXPECT_EQ(-E2BIG, rule_commit(&self->rule));

	EXPECT_EQ(2, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "2"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(2, rule_result(&self->rule, "dropped"));
	expect_both_end(_metadata, self->fd);
}

TEST_F(subflows, of_which_one_is_protected_carry_the_connection_on)
{
	struct rule protection;

	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_new(&protection, "mptcp-protection"));
	ASSERT_EQ(0, rule_set(&protection, "saddr", SECOND));
	ASSERT_EQ(0, rule_set(&protection, "protect", "yes"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_TRUE(sock_talks(self->fd[0], self->fd[1]));
	ASSERT_EQ(0, rule_remove(&protection));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	expect_both_end(_metadata, self->fd);
}

TEST_F(subflows, all_dropped_at_a_rate_end_their_connection)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "10"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(2, rule_result(&self->rule, "dropped"));
	expect_both_end(_metadata, self->fd);
}

/* The peer knows nothing of it, and has what it had. */
TEST_F(subflows, all_dropped_in_silence_end_their_connection_at_this_end)
{
	ASSERT_EQ(0, join_from(SECOND));
	ASSERT_TRUE(WAIT_UNTIL(has_joined(&self->rule)));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(2, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	expect_end(_metadata, self->fd[0], ECONNABORTED);
	EXPECT_FALSE(poll_says(self->fd[1], POLLHUP));
}

static void *join_all(void *arg)
{
	char addr[32];
	int i;

	for (i = 2; i < 8; i++) {
		snprintf(addr, sizeof(addr), "127.0.0.%d", i);
		if (join_from(addr))
			return (void *)1;
	}
	return NULL;
}

/* Whichever was first: with the last subflow the connection has ended. */
TEST_F(subflows, that_join_meanwhile_end_with_the_connection_or_carry_it_on)
{
	pthread_t thread;
	void *failed;
	int commits;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, join_all, NULL));
	pause_ms(5);
	for (commits = 0; !commits || rule_count(&self->rule); commits++)
		ASSERT_EQ(0, rule_commit(&self->rule));
	ASSERT_EQ(0, pthread_join(thread, &failed));
	ASSERT_EQ(NULL, failed);
	while (rule_count(&self->rule))
		ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_TRUE(WAIT_AT_ONCE(poll_says(self->fd[0], POLLHUP)));
	EXPECT_TRUE(WAIT_AT_ONCE(poll_says(self->fd[1], POLLHUP)));
}

/* A connection, by both of its ends. */
static int end_connection(const void *unused)
{
	struct sockaddr_in sin;
	int listener, fd[2], ret;
	struct rule rule;

	ret = rule_new(&rule, "leave");
	if (ret)
		return ret;
	listener = listen_by(IPPROTO_MPTCP, &sin);
	if (listener < 0 || pair_by(IPPROTO_MPTCP, listener, &sin, fd))
		ret = -EPROTO;
	if (!ret)
		ret = rule_setf(&rule, "port", "%u", ntohs(sin.sin_port)) ?: rule_commit(&rule);
	/* The one that is ended first may take the other along. */
	if (!ret && rule_result(&rule, "dropped") < 1)
		ret = -EPROTO;
	rule_remove(&rule);
	return ret;
}

TEST(nothing_holds_what_was_ended)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");

	EXPECT_EQ(0, netns_leave(net_setup, end_connection, NULL));
}

/* A connection begins to be joined as soon as it is up. */
static int end_joined(const struct rule *rule, int listener, const struct sockaddr_in *sin)
{
	int ret, fd[2];

	if (pair_by(IPPROTO_MPTCP, listener, sin, fd))
		return -EPROTO;
	do {
		ret = rule_commit(rule);
	} while (!ret && rule_count(rule));
	close(fd[0]);
	close(fd[1]);
	return ret;
}

static int end_what_is_joined(const void *unused)
{
	struct sockaddr_in sin;
	int listener, ret, i;
	struct rule rule;

	ret = rule_new(&rule, "leave");
	if (ret)
		return ret;
	listener = listen_by(IPPROTO_MPTCP, &sin);
	if (listener < 0 || join_all(NULL) ||
	    system("ip mptcp limits set subflows 8 add_addr_accepted 8"))
		ret = -EPROTO;
	if (!ret)
		ret = rule_setf(&rule, "port", "%u", ntohs(sin.sin_port));
	for (i = 0; i < 20 && !ret; i++)
		ret = end_joined(&rule, listener, &sin);
	rule_remove(&rule);
	return ret;
}

/* Who joins a connection that a commit owns waits for it to be let go, and ends with it. */
TEST(nothing_holds_what_joined_meanwhile)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");

	EXPECT_EQ(0, netns_leave(net_setup, end_what_is_joined, NULL));
}

/*
 * Children that nobody has accepted; the listener is who they belong to.
 */
FIXTURE(unaccepted)
{
	struct sockaddr_in sin;
	struct rule rule;
	int listener;
};

FIXTURE_SETUP(unaccepted)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, net_setup());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");
	self->listener = listen_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, rule_new(&self->rule, "mptcp"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", ntohs(self->sin.sin_port)));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
}

FIXTURE_TEARDOWN(unaccepted)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(unaccepted, children_are_accepted_and_have_ended)
{
	struct waiter waiter = { .call = call_accept, .fd = self->listener };
	int client, bystander[2];
	char byte;

	client = connect_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, client);
	ASSERT_EQ(1, send(client, "x", 1, 0));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == 1));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	ASSERT_EQ(0, pthread_create(&waiter.thread, NULL, waiter_main, &waiter));
	pause_ms(10);
	bystander[0] = connect_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, bystander[0]);
	ASSERT_TRUE(WAIT_AT_ONCE(has_returned(&waiter)));
	ASSERT_LE(0, waiter.ret);
	EXPECT_TRUE(WAIT_AT_ONCE(poll_says(waiter.ret, POLLHUP)));
	while (recv(waiter.ret, &byte, 1, 0) > 0)
		;
	bystander[1] = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, bystander[1]);
	EXPECT_TRUE(sock_talks(bystander[0], bystander[1]));
}

TEST_F(unaccepted, nobody_who_waits_in_accept_is_disturbed)
{
	struct waiter waiter;
	int fd[2], client;

	ASSERT_EQ(0, pair_by(IPPROTO_MPTCP, self->listener, &self->sin, fd));
	ASSERT_EQ(0, waiter_start(&waiter, self->listener, call_accept));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	expect_end(_metadata, fd[1], ECONNABORTED);
	expect_end(_metadata, fd[0], ECONNRESET);
	EXPECT_FALSE(has_returned(&waiter));
	client = connect_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, client);
	ASSERT_TRUE(WAIT_UNTIL(has_returned(&waiter)));
	ASSERT_LE(0, waiter.ret);
	EXPECT_TRUE(sock_talks(client, waiter.ret));
}

/*
 * Many at a time, one of them with an owner that is stuck in the middle of a
 * send.
 */
enum { STORM = 200 };

FIXTURE(storm)
{
	struct sockaddr_in sin, plain;
	struct rule rule;
	int listener;
	int fd[STORM][2];
	int bystander[2];
};

FIXTURE_SETUP(storm)
{
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, net_setup());
	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");
	self->listener = listen_by(IPPROTO_MPTCP, &self->plain);
	ASSERT_EQ(0, pair_by(IPPROTO_MPTCP, self->listener, &self->plain, self->bystander));
	self->listener = listen_by(IPPROTO_MPTCP, &self->sin);
	ASSERT_LE(0, self->listener);
	for (i = 0; i < STORM; i++)
		ASSERT_EQ(0, pair_by(IPPROTO_MPTCP, self->listener, &self->sin, self->fd[i]));
	ASSERT_EQ(0, rule_new(&self->rule, "mptcp"));
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "%u", ntohs(self->sin.sin_port)));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
}

FIXTURE_TEARDOWN(storm)
{
	EXPECT_TRUE(sock_talks(self->bystander[0], self->bystander[1]));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(storm, all_connections_end_and_no_other)
{
	int i;

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(STORM, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	for (i = 0; i < STORM; i++)
		expect_both_end(_metadata, self->fd[i]);
}

TEST_F(storm, a_stuck_owner_holds_up_no_other)
{
	struct sender sender;
	char *page;
	int faults, i;

	faults = stuck_pages(&page, 1);
	ASSERT_LE(0, faults);
	ASSERT_EQ(0, sender_start(&sender, self->fd[0][0], page, faults));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(STORM, rule_result(&self->rule, "matched"));
	EXPECT_EQ(STORM, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	for (i = 1; i < STORM; i++)
		expect_both_end(_metadata, self->fd[i]);
	EXPECT_EQ(0, sender_let_go(&sender, faults));
}

TEST_HARNESS_MAIN
