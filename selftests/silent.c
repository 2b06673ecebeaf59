// SPDX-License-Identifier: GPL-2.0
/*
 * Drops of which the peer hears nothing: not one segment leaves because of
 * them, the owner is told as ever, and its socket can be used anew.  What the
 * peer sends later is answered as any segment for no connection, and is none of
 * this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const char * const loopback[FAMILIES] = {
	[IPV4] = "127.0.0.1", [IPV6] = "::1", [DUAL] = "::ffff:127.0.0.1",
};

/*
 * What is seen of a drop: resets from before it on, and all segments from its
 * end on, since until then a target may have had something to send again.
 */
struct watch {
	int resets;
	int all;
	struct ends ends;
};

static void watch_begin(struct __test_metadata *_metadata, struct watch *watch,
			const struct ends *ends)
{
	watch->ends = *ends;
	watch->resets = capture_open();
	watch->all = capture_open_all();
	ASSERT_LE(0, watch->resets);
	ASSERT_LE(0, watch->all);
}

/* The drop is done. Returns what had been sent before. */
static int watch_rest(struct watch *watch)
{
	return capture_segments(watch->all, &watch->ends);
}

/* For a moment in which a timer that was left would have sent something. */
static int watch_end(struct watch *watch)
{
	pause_ms(300);
	return capture_segments(watch->all, &watch->ends);
}

static bool ends_in_state(const struct ends *ends, int state)
{
	const struct entry *entry;
	struct table table;
	bool found;

	if (table_read(&table))
		return false;
	entry = table_find(&table, ends);
	found = entry && entry->state == state;
	table_free(&table);
	return found;
}

static int commit_one(const struct rule *rule)
{
	int ret = rule_commit(rule);

	if (ret)
		return ret;
	return rule_result(rule, "dropped") == 1 && !rule_result(rule, "failed") ? 0 : -EPROTO;
}

/* What a socket has been muted by is no matter any more. */
static int sock_unmute(int fd)
{
	int none = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) &&
	       errno != ENOENT ? -errno : 0;
}

/* A socket that was dropped carries data again once it is connected anew. */
static int sock_anew(int fd, enum family family)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct end to;
	int listener, server, ret;

	listener = sock_listen(family, loopback[family], 0);
	if (listener < 0)
		return listener;
	ret = end_of(listener, &to);
	if (!ret)
		ret = sock_unmute(fd);
	if (!ret && connect(fd, &none, sizeof(none)))
		ret = -errno;
	if (!ret)
		ret = sock_connect(fd, family, &to);
	if (ret == -EINPROGRESS)
		ret = 0;
	server = ret ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (!ret && !(WAIT_UNTIL(sock_state(fd) == TCP_ESTABLISHED) && sock_talks(fd, server)))
		ret = -EPROTO;
	close(server);
	close(listener);
	return ret;
}

FIXTURE(silent)
{
	struct conn conn;
	struct conn other;
	struct rule rule;
	struct watch watch;
};

FIXTURE_VARIANT(silent)
{
	enum kind kind;
	enum family family;
};

#define SILENT_VARIANT(_kind)						\
	FIXTURE_VARIANT_ADD(silent, _kind##_ipv4) { .kind = _kind, .family = IPV4 }; \
	FIXTURE_VARIANT_ADD(silent, _kind##_ipv6) { .kind = _kind, .family = IPV6 }; \
	FIXTURE_VARIANT_ADD(silent, _kind##_dual) { .kind = _kind, .family = DUAL }

SILENT_VARIANT(SYN_SENT);
SILENT_VARIANT(SYN_RCVD_REQUEST);
SILENT_VARIANT(SYN_RCVD_FULL);
SILENT_VARIANT(ESTABLISHED);
SILENT_VARIANT(NOT_ACCEPTED);
SILENT_VARIANT(CLOSE_WAIT);
SILENT_VARIANT(FIN_WAIT_1);
SILENT_VARIANT(FIN_WAIT_1_ORPHAN);
SILENT_VARIANT(FIN_WAIT_2);
SILENT_VARIANT(FIN_WAIT_2_ORPHAN);
SILENT_VARIANT(FIN_WAIT_2_MINISOCK);
SILENT_VARIANT(CLOSING);
SILENT_VARIANT(CLOSING_ORPHAN);
SILENT_VARIANT(LAST_ACK);
SILENT_VARIANT(LAST_ACK_ORPHAN);
SILENT_VARIANT(TIME_WAIT);

/* A target that may have something to send again until it is dropped. */
static bool has_timer(enum kind kind)
{
	switch (conn_state(kind)) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT2:
	case TCP_TIME_WAIT:
		return false;
	default:
		return true;
	}
}

FIXTURE_SETUP(silent)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, variant->kind, variant->family));
	ASSERT_EQ(0, conn_make(&self->other, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "silent"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", state_name(conn_state(variant->kind))));
	watch_begin(_metadata, &self->watch, &self->conn.ends);
}

FIXTURE_TEARDOWN(silent)
{
	EXPECT_EQ(0, rule_clear_ends(&self->rule));
	EXPECT_EQ(0, rule_set(&self->rule, "state", "all"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(silent, a_drop_sends_nothing_and_leaves_a_socket_that_works)
{
	int before, fd, peer_state = self->conn.peer < 0 ? 0 : sock_state(self->conn.peer);

	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, commit_one(&self->rule));
	before = watch_rest(&self->watch);

	EXPECT_EQ(0, capture_resets(self->watch.resets, &self->conn.ends));
	if (!has_timer(variant->kind))
		EXPECT_EQ(0, before);
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	if (self->conn.peer >= 0) {
		EXPECT_EQ(peer_state, sock_state(self->conn.peer));
		EXPECT_EQ(0, sock_error(self->conn.peer));
	}

	if (variant->kind == NOT_ACCEPTED)
		self->conn.fd = accept4(self->conn.listener, NULL, NULL, SOCK_CLOEXEC);
	fd = self->conn.fd;
	if (fd >= 0) {
		EXPECT_EQ(ECONNABORTED, sock_error(fd));
		EXPECT_EQ(TCP_CLOSE, sock_state(fd));
	}
	EXPECT_EQ(0, watch_end(&self->watch));
	if (fd >= 0)
		EXPECT_EQ(0, sock_anew(fd, variant->family));
	EXPECT_TRUE(sock_talks(self->other.fd, self->other.peer));
}

TEST_F(silent, a_dropped_socket_is_closed_without_a_word)
{
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, commit_one(&self->rule));
	watch_rest(&self->watch);
	/* Of the listener as well, and with it of what it has. */
	if (self->conn.fd >= 0)
		close(self->conn.fd);
	if (self->conn.listener >= 0)
		close(self->conn.listener);
	self->conn.fd = -1;
	self->conn.listener = -1;
	EXPECT_EQ(0, watch_end(&self->watch));
	EXPECT_EQ(0, capture_resets(self->watch.resets, &self->conn.ends));
	EXPECT_TRUE(sock_talks(self->other.fd, self->other.peer));
}

/* So that the silence is known to be one. */
TEST_F(silent, the_same_drop_is_heard_with_a_reset)
{
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "yes"));
	ASSERT_EQ(0, commit_one(&self->rule));

	EXPECT_EQ(conn_sends_reset(variant->kind),
		  !!capture_resets(self->watch.resets, &self->conn.ends));
	if (conn_sends_reset(variant->kind))
		EXPECT_LE(1, watch_rest(&self->watch));
	EXPECT_TRUE(sock_talks(self->other.fd, self->other.peer));
}

/*
 * A listener with children, which the kernel ends with it.
 */
#define CHILDREN 100

FIXTURE(listener)
{
	struct rule rule;
	struct watch watch[CHILDREN];
	int client[CHILDREN];
	int listener;
};

FIXTURE_VARIANT(listener)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(listener, ipv4) { .family = IPV4 };

FIXTURE_VARIANT_ADD(listener, ipv6) { .family = IPV6 };

FIXTURE_VARIANT_ADD(listener, dual) { .family = DUAL };

FIXTURE_SETUP(listener)
{
	struct ends ends;
	struct end to;
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	self->listener = sock_listen(variant->family, loopback[variant->family], 0);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, end_of(self->listener, &to));
	for (i = 0; i < CHILDREN; i++) {
		self->client[i] = sock_new(variant->family);
		ASSERT_LE(0, self->client[i]);
		ASSERT_EQ(0, sock_connect(self->client[i], variant->family, &to));
		ASSERT_EQ(0, ends_of(self->client[i], &ends));
		ends = ends_swap(&ends);
		ASSERT_TRUE(WAIT_UNTIL(ends_in_state(&ends, TCP_ESTABLISHED)));
		watch_begin(_metadata, &self->watch[i], &ends);
	}
	ASSERT_EQ(0, rule_new(&self->rule, "silent"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", to.port));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
}

FIXTURE_TEARDOWN(listener)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(listener, goes_with_its_children_and_none_of_them_says_so)
{
	struct pair pair;
	int i;

	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, commit_one(&self->rule));

	for (i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(0, watch_rest(&self->watch[i]));
		EXPECT_EQ(TCP_ESTABLISHED, sock_state(self->client[i]));
		EXPECT_FALSE(ends_in_table(&self->watch[i].ends));
	}
	EXPECT_EQ(ECONNABORTED, sock_error(self->listener));
	ASSERT_EQ(0, listen(self->listener, 1));
	ASSERT_EQ(0, sock_pair(self->listener, variant->family, loopback[variant->family], 0,
			       &pair));
	EXPECT_TRUE(sock_talks(pair.client, pair.server));
}

TEST_F(listener, goes_with_its_children_and_all_of_them_are_reset)
{
	int i;

	ASSERT_EQ(0, commit_one(&self->rule));
	for (i = 0; i < CHILDREN; i++)
		EXPECT_LE(1, watch_rest(&self->watch[i]));
}

/* Children go, in the ownership of their listener, which lives on. */
TEST_F(listener, stays_where_its_children_go_in_silence)
{
	int i, fd;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(CHILDREN, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	for (i = 0; i < CHILDREN; i++) {
		fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(ECONNABORTED, sock_error(fd));
		if (!i)
			EXPECT_EQ(0, sock_anew(fd, variant->family));
		close(fd);
	}
	for (i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(0, watch_rest(&self->watch[i]));
		EXPECT_EQ(TCP_ESTABLISHED, sock_state(self->client[i]));
	}
}

/*
 * An owner that does not pause.
 */
static void *send_on(void *arg)
{
	int *fd = arg;

	while (send(*fd, "x", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN)
		;
	return (void *)(long)errno;
}

TEST_F(silent, busy_owners_lose_their_connection_in_silence)
{
	int fd = self->other.fd;
	pthread_t sender;
	struct watch watch;
	void *err;

	if (variant->kind != ESTABLISHED)
		return;
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->other.ends));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, sock_nonblock(fd));
	watch_begin(_metadata, &watch, &self->other.ends);
	ASSERT_EQ(0, pthread_create(&sender, NULL, send_on, &fd));

	EXPECT_EQ(0, commit_one(&self->rule));
	watch_rest(&watch);

	ASSERT_EQ(0, pthread_join(sender, &err));
	EXPECT_EQ(ECONNABORTED, (long)err);
	EXPECT_EQ(0, capture_resets(watch.resets, &watch.ends));
	EXPECT_EQ(0, watch_end(&watch));
	EXPECT_EQ(0, sock_anew(fd, variant->family));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
}

/*
 * kTLS: its socket has functions of its own in place of some of TCP's.
 */
static int set_tls(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {
			.version = TLS_1_2_VERSION,
			.cipher_type = TLS_CIPHER_AES_GCM_128,
		},
	};

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3) ||
	    setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info)) ||
	    setsockopt(fd, SOL_TLS, TLS_RX, &info, sizeof(info)))
		return -errno;
	return 0;
}

TEST_F(silent, ktls_is_no_exception)
{
	struct conn *other = &self->other;
	struct watch watch;
	int ret;

	if (variant->kind != ESTABLISHED)
		return;
	ret = set_tls(other->fd);
	if (ret == -ENOENT)
		KERNEL_HAS_NO("kTLS");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, set_tls(other->peer));
	ASSERT_TRUE(sock_talks(other->fd, other->peer));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &other->ends));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	watch_begin(_metadata, &watch, &other->ends);

	ASSERT_EQ(0, commit_one(&self->rule));

	EXPECT_FALSE(ends_in_table(&other->ends));
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(other->peer));
	EXPECT_EQ(ECONNABORTED, sock_error(other->fd));
	close(other->fd);
	other->fd = -1;
	EXPECT_EQ(0, capture_resets(watch.resets, &watch.ends));
	watch_rest(&watch);
	EXPECT_EQ(0, watch_end(&watch));
}

/*
 * MPTCP: its subflows have operations of their own.
 */
FIXTURE(mptcp)
{
	struct rule rule;
	struct watch watch;
	int target;
	int peer;
};

FIXTURE_VARIANT(mptcp)
{
	enum family family;
	bool reset;
};

FIXTURE_VARIANT_ADD(mptcp, ipv4) { .family = IPV4, .reset = false };

FIXTURE_VARIANT_ADD(mptcp, ipv6) { .family = IPV6, .reset = false };

FIXTURE_VARIANT_ADD(mptcp, dual) { .family = DUAL, .reset = false };

FIXTURE_VARIANT_ADD(mptcp, ipv4_reset) { .family = IPV4, .reset = true };

FIXTURE_SETUP(mptcp)
{
	int domain = variant->family == IPV4 ? AF_INET : AF_INET6;
	struct ends ends;
	struct end to;
	int listener;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	listener = socket(domain, SOCK_STREAM, IPPROTO_MPTCP);
	if (listener < 0 && errno == EPROTONOSUPPORT)
		KERNEL_HAS_NO("MPTCP");
	ASSERT_LE(0, listener);
	self->target = socket(domain, SOCK_STREAM, IPPROTO_MPTCP);
	ASSERT_LE(0, self->target);
	ASSERT_EQ(0, sock_bind(listener, variant->family, loopback[variant->family], 0));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, end_of(listener, &to));
	ASSERT_EQ(0, sock_connect(self->target, variant->family, &to));
	self->peer = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->peer);
	ASSERT_TRUE(sock_talks(self->target, self->peer));
	ASSERT_EQ(0, ends_of(self->target, &ends));
	ASSERT_EQ(0, rule_new(&self->rule, "silent"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	watch_begin(_metadata, &self->watch, &ends);
}

FIXTURE_TEARDOWN(mptcp)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(mptcp, subflows_are_reset_or_go_in_silence)
{
	ASSERT_EQ(0, rule_set(&self->rule, "reset", variant->reset ? "yes" : "no"));
	ASSERT_EQ(0, commit_one(&self->rule));
	watch_rest(&self->watch);

	EXPECT_FALSE(ends_in_table(&self->watch.ends));
	EXPECT_EQ(0, watch_end(&self->watch));
	EXPECT_EQ(variant->reset, !!capture_resets(self->watch.resets, &self->watch.ends));
}

TEST_HARNESS_MAIN
