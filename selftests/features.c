// SPDX-License-Identifier: GPL-2.0
/*
 * What not every kernel or not every program has: hash tables of a namespace's
 * own, kTLS, two ends that open at once, a listener that is closed while its
 * children are being dropped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static bool is_linked(const struct ends *ends)
{
	struct ends other = ends_swap(ends);

	return ends_in_table(ends) || ends_in_table(&other);
}

/*
 * A namespace with a table of its own, made by one that asks for that; the
 * latter has a connection with the same ends.
 */
FIXTURE(private_table)
{
	struct conn outside;
	struct rule rule;
};

FIXTURE_VARIANT(private_table)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(private_table, ipv4) { .family = IPV4 };

FIXTURE_VARIANT_ADD(private_table, ipv6) { .family = IPV6 };

FIXTURE_VARIANT_ADD(private_table, dual) { .family = DUAL };

#define PRIVATE_BUCKETS "64"

FIXTURE_SETUP(private_table)
{
	char buckets[32];
	int ret;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->outside, ESTABLISHED, variant->family));
	ret = file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", PRIVATE_BUCKETS);
	if (ret == -ENOENT)
		KERNEL_HAS_NO("tables of a namespace's own");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, file_read("/proc/sys/net/ipv4/tcp_ehash_entries", buckets,
			       sizeof(buckets)));
	ASSERT_EQ(atoi(PRIVATE_BUCKETS), atoi(buckets));
	ASSERT_EQ(0, rule_new(&self->rule, "features"));
}

FIXTURE_TEARDOWN(private_table)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(private_table, has_sockets_of_every_kind_dropped_and_none_outside)
{
	struct conn conn[KINDS];
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, conn_make(&conn[kind], kind, variant->family)) {
			TH_LOG("kind %d", kind);
		}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
	EXPECT_EQ(KINDS, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(KINDS, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	for (kind = 0; kind < KINDS; kind++)
		EXPECT_FALSE(ends_in_table(&conn[kind].ends)) TH_LOG("kind %d", kind);
	EXPECT_TRUE(sock_talks(self->outside.fd, self->outside.peer));
}

TEST_F(private_table, is_where_exact_ends_are_looked_for)
{
	struct conn conn, other;

	ASSERT_EQ(0, conn_make(&conn, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make(&other, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &conn.ends));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(conn.fd));
	EXPECT_TRUE(sock_talks(other.fd, other.peer));
	EXPECT_TRUE(sock_talks(self->outside.fd, self->outside.peer));
}

/*
 * kTLS: the kernel's TLS has its own functions in place of some of TCP's.
 */
FIXTURE(ktls)
{
	struct conn conn;
	struct rule rule;
};

FIXTURE_VARIANT(ktls)
{
	bool keys;		/* or the ULP alone */
};

FIXTURE_VARIANT_ADD(ktls, without_keys) { .keys = false };

FIXTURE_VARIANT_ADD(ktls, with_keys) { .keys = true };

static int set_keys(int fd, int direction)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {
			.version = TLS_1_2_VERSION,
			.cipher_type = TLS_CIPHER_AES_GCM_128,
		},
	};

	return setsockopt(fd, SOL_TLS, direction, &info, sizeof(info)) ? -errno : 0;
}

FIXTURE_SETUP(ktls)
{
	int i, fd[2];

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
	fd[0] = self->conn.fd;
	fd[1] = self->conn.peer;
	for (i = 0; i < 2; i++) {
		if (setsockopt(fd[i], IPPROTO_TCP, TCP_ULP, "tls", 3)) {
			ASSERT_EQ(ENOENT, errno);
			KERNEL_HAS_NO("kTLS");
		}
		if (!variant->keys)
			continue;
		ASSERT_EQ(0, set_keys(fd[i], TLS_TX));
		ASSERT_EQ(0, set_keys(fd[i], TLS_RX));
	}
	ASSERT_EQ(0, rule_new(&self->rule, "features"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
}

FIXTURE_TEARDOWN(ktls)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(ktls, sockets_are_dropped_like_any_other)
{
	char byte;

	if (variant->keys)
		ASSERT_TRUE(sock_talks(self->conn.fd, self->conn.peer));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_TRUE(WAIT_UNTIL(!is_linked(&self->conn.ends)));
	EXPECT_EQ(-1, recv(self->conn.fd, &byte, 1, 0));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_TRUE(WAIT_UNTIL(sock_error(self->conn.peer) == ECONNRESET));
}

TEST_F(ktls, sockets_without_an_owner_are_dropped_with_what_they_had_to_send)
{
	ASSERT_EQ(0, sock_stuff(self->conn.fd));
	close(self->conn.fd);
	ASSERT_TRUE(ends_in_table(&self->conn.ends));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

/*
 * Simultaneous open: two sockets that connect to each other. The target has got
 * the other's SYN and waits in SYN_RCVD, a socket that no listener has made.
 */
FIXTURE(simultaneous)
{
	struct ends ends;
	struct rule rule;
	int target;
	int peer;
};

FIXTURE_VARIANT(simultaneous)
{
	enum family family;
	const char *target;
	const char *peer;
};

FIXTURE_VARIANT_ADD(simultaneous, ipv4) {
	.family = IPV4, .target = "127.10.0.1", .peer = "127.11.0.1",
};

FIXTURE_VARIANT_ADD(simultaneous, ipv6) {
	.family = IPV6, .target = "fd00:a::1", .peer = "fd00:b::1",
};

FIXTURE_VARIANT_ADD(simultaneous, dual) {
	.family = DUAL, .target = "::ffff:127.20.0.1", .peer = "::ffff:127.21.0.1",
};

static int open_end(enum family family, const char *addr, struct end *end)
{
	int fd = sock_new(family);

	if (fd < 0 || sock_bind(fd, family, addr, 0) || end_of(fd, end) || sock_nonblock(fd))
		return -1;
	return fd;
}

FIXTURE_SETUP(simultaneous)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	self->target = open_end(variant->family, variant->target, &self->ends.local);
	self->peer = open_end(variant->family, variant->peer, &self->ends.remote);
	ASSERT_LE(0, self->target);
	ASSERT_LE(0, self->peer);
	/* Neither the RST that answers its SYN nor the last ACK reaches it. */
	ASSERT_EQ(0, sock_only_syn(self->target));
	ASSERT_EQ(-EINPROGRESS,
		  sock_connect(self->target, variant->family, &self->ends.remote));
	ASSERT_EQ(TCP_SYN_SENT, sock_state(self->target));
	ASSERT_EQ(-EINPROGRESS,
		  sock_connect(self->peer, variant->family, &self->ends.local));
	ASSERT_TRUE(WAIT_UNTIL(sock_state(self->target) == TCP_SYN_RECV));
	ASSERT_EQ(0, rule_new(&self->rule, "features"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "SYN_RCVD"));
}

FIXTURE_TEARDOWN(simultaneous)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(simultaneous, open_is_dropped_in_SYN_RCVD_and_both_ends_told)
{
	EXPECT_EQ(1, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(TCP_CLOSE, sock_state(self->target));
	EXPECT_EQ(ECONNABORTED, sock_error(self->target));
	EXPECT_TRUE(WAIT_UNTIL(sock_state(self->peer) == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, sock_error(self->peer));
	EXPECT_FALSE(is_linked(&self->ends));
}

/* As ss shows it, which has no time of the last data then either. */
TEST_F(simultaneous, open_has_not_been_idle)
{
	ASSERT_EQ(0, rule_set(&self->rule, "idle", "1ms"));
	EXPECT_EQ(0, rule_count(&self->rule));
}

/*
 * Children that nobody has accepted, dropped while their listener is closed:
 * both want to end the same sockets.
 */
FIXTURE(children)
{
	struct rule rule;
	struct end end;
	int listener;
	int64_t close_ms;
};

enum { CHILDREN = 400, ROUNDS = 8 };

FIXTURE_SETUP(children)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "features"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.10.0.1"));
}

FIXTURE_TEARDOWN(children)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(children, are_accepted_with_their_ends_and_what_they_had_received)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct end end, remote;
	struct conn conn;
	char byte;

	ASSERT_EQ(0, conn_make(&conn, NOT_ACCEPTED, IPV4));
	ASSERT_EQ(1, send(conn.peer, "x", 1, 0));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &conn.ends));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	conn.fd = accept(conn.listener, (struct sockaddr *)&ss, &len);
	ASSERT_LE(0, conn.fd);
	end_from_sockaddr(&remote, &ss);
	EXPECT_EQ(0, memcmp(&remote, &conn.ends.remote, sizeof(remote)));
	EXPECT_EQ(0, end_of(conn.fd, &end));
	EXPECT_EQ(0, memcmp(&end, &conn.ends.local, sizeof(end)));
	EXPECT_EQ(1, recv(conn.fd, &byte, 1, 0));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(-1, recv(conn.fd, &byte, 1, 0));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_EQ(0, recv(conn.fd, &byte, 1, 0));
}

/* A child of Fast Open is queued in SYN_RCVD, and is still a request as well. */
static int fast_open(struct ends *ends, int *listener)
{
	struct sockaddr_storage ss;
	int client, queue = 16;
	socklen_t len;

	*listener = sock_listen(IPV4, "127.10.0.1", 0);
	client = sock_new(IPV4);
	if (*listener < 0 || client < 0 || end_of(*listener, &ends->local) ||
	    setsockopt(*listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) ||
	    sock_only_syn(*listener) || sock_bind(client, IPV4, "127.11.0.1", 0) ||
	    end_of(client, &ends->remote))
		return -1;
	len = end_to_sockaddr(&ends->local, IPV4, &ss);
	if (sendto(client, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&ss, len) != 1)
		return -1;
	return client;
}

TEST_F(children, of_fast_open_are_dropped_and_then_accepted_or_not)
{
	int client, fd, listener, accepted;
	struct ends ends;
	char byte;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "SYN_RCVD"));
	for (accepted = 0; accepted < 2; accepted++) {
		client = fast_open(&ends, &listener);
		ASSERT_LE(0, client);
		ASSERT_TRUE(WAIT_UNTIL(ends_in_table(&ends)));

		ASSERT_EQ(0, rule_commit(&self->rule));

		EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
		EXPECT_FALSE(ends_in_table(&ends));
		EXPECT_TRUE(WAIT_UNTIL(sock_state(client) == TCP_CLOSE));
		EXPECT_EQ(ECONNRESET, sock_error(client));
		if (accepted) {
			fd = accept(listener, NULL, NULL);
			ASSERT_LE(0, fd);
			EXPECT_EQ(1, recv(fd, &byte, 1, 0));
			EXPECT_EQ(ECONNABORTED, sock_error(fd));
			close(fd);
		}
		close(listener);
		close(client);
	}
}

/* Returns how many connected and are in the listener's queue. */
static int fill_queue(int listener, int client[CHILDREN])
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct end end;
	int i;

	if (end_of(listener, &end))
		return 0;
	for (i = 0; i < CHILDREN; i++) {
		client[i] = sock_new(IPV4);
		if (client[i] < 0 || sock_bind(client[i], IPV4, "127.11.0.1", 0) ||
		    sock_connect(client[i], IPV4, &end))
			break;
	}
	/* Of a listener these are its queue's length and limit. */
	while (!getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_unacked < i)
		pause_ms(1);
	return i;
}

static void *close_listener(void *arg)
{
	struct _test_data_children *self = arg;
	int64_t before = clock_ms();

	close(self->listener);
	self->close_ms = clock_ms() - before;
	return NULL;
}

static bool all_are_reset(const int client[CHILDREN])
{
	int i;

	for (i = 0; i < CHILDREN; i++)
		if (sock_state(client[i]) != TCP_CLOSE)
			return false;
	return true;
}

TEST_F(children, all_end_when_their_listener_is_closed_during_the_walk)
{
	int client[CHILDREN];
	pthread_t thread;
	int i, round;

	for (round = 0; round < ROUNDS; round++) {
		self->listener = sock_listen(IPV4, "127.10.0.1", 0);
		ASSERT_LE(0, self->listener);
		ASSERT_EQ(CHILDREN, fill_queue(self->listener, client));
		ASSERT_EQ(CHILDREN, rule_count(&self->rule));

		ASSERT_EQ(0, pthread_create(&thread, NULL, close_listener, self));
		ASSERT_EQ(0, rule_commit(&self->rule));
		ASSERT_EQ(0, pthread_join(thread, NULL));

		/* Of owners that take longer a commit can tell no better. */
		if (self->close_ms < PATIENCE_MS) {
			EXPECT_EQ(0, rule_result(&self->rule, "failed"));
		}
		EXPECT_EQ(0, rule_count(&self->rule));
		EXPECT_TRUE(WAIT_UNTIL(all_are_reset(client)));
		for (i = 0; i < CHILDREN; i++)
			close(client[i]);
	}
}

TEST_HARNESS_MAIN
