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

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* In which a timer that was left would have sent something again. */
#define A_WHILE_MS 300

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

/* What has been sent since the last look. */
static int watch_rest(struct watch *watch)
{
	return capture_segments(watch->all, &watch->ends);
}

/* The same after a moment. */
static int watch_end(struct watch *watch)
{
	pause_ms(A_WHILE_MS);
	return watch_rest(watch);
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

static int sock_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(fd, &none, sizeof(none)) ? -errno : 0;
}

/* Connect a socket to a listener, and see that they carry data. */
static int sock_meets(int fd, enum family family, int listener)
{
	struct end to;
	int server, ret;

	ret = end_of(listener, &to);
	if (!ret)
		ret = sock_nonblock(fd);
	if (!ret)
		ret = sock_connect(fd, family, &to);
	if (ret && ret != -EINPROGRESS)
		return ret;
	if (!WAIT_UNTIL(sock_state(fd) == TCP_ESTABLISHED))
		return -ETIMEDOUT;
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ret = server >= 0 && sock_talks(fd, server) ? 0 : -EPROTO;
	close(server);
	return ret;
}

/* A socket that was dropped carries data again once it is connected anew. */
static int sock_anew(int fd, enum family family)
{
	int listener, ret;

	listener = sock_listen(family, loopback[family], 0);
	if (listener < 0)
		return listener;
	ret = sock_unmute(fd);
	if (!ret)
		ret = sock_disconnect(fd);
	if (!ret)
		ret = sock_meets(fd, family, listener);
	close(listener);
	return ret;
}

/*
 * A connection of every kind, each dropped by a commit of its own.
 */
FIXTURE(silent)
{
	struct conn conn[KINDS];
	struct watch watch[KINDS];
	struct conn other;
	struct rule rule;
};

FIXTURE_VARIANT(silent)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(silent, ipv4) { .family = IPV4 };

FIXTURE_VARIANT_ADD(silent, ipv6) { .family = IPV6 };

FIXTURE_VARIANT_ADD(silent, dual) { .family = DUAL };

/* A target that may have something to send until it is dropped, again or an ACK. */
static bool may_send(enum kind kind)
{
	return conn_state(kind) != TCP_ESTABLISHED && conn_state(kind) != TCP_FIN_WAIT2;
}

FIXTURE_SETUP(silent)
{
	int kind;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, conn_make(&self->conn[kind], kind, variant->family)) {
			TH_LOG("kind %d", kind);
		}
	ASSERT_EQ(0, conn_make(&self->other, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "silent"));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
}

FIXTURE_TEARDOWN(silent)
{
	EXPECT_TRUE(sock_talks(self->other.fd, self->other.peer));
	EXPECT_EQ(0, rule_clear_ends(&self->rule));
	EXPECT_EQ(0, rule_set(&self->rule, "state", "all"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void drop_watched(struct __test_metadata *_metadata, const struct rule *rule,
			 const struct conn *conn, struct watch *watch)
{
	watch_begin(_metadata, watch, &conn->ends);
	ASSERT_EQ(0, rule_set_ends(rule, &conn->ends));
	ASSERT_EQ(0, rule_set(rule, "state", state_name(conn_state(conn->kind))));
	EXPECT_EQ(0, commit_one(rule)) TH_LOG("kind %d", conn->kind);
	EXPECT_FALSE(ends_in_table(&conn->ends)) TH_LOG("kind %d", conn->kind);
}

static void drop_in_silence(struct __test_metadata *_metadata, const struct rule *rule,
			    const struct conn *conn, struct watch *watch)
{
	int sent;

	drop_watched(_metadata, rule, conn, watch);
	sent = watch_rest(watch);
	if (!may_send(conn->kind))
		EXPECT_EQ(0, sent) TH_LOG("kind %d", conn->kind);
	EXPECT_EQ(0, capture_resets(watch->resets, &conn->ends)) TH_LOG("kind %d", conn->kind);
}

/* The owner gets what it would have got, and can use its socket anew. */
static void expect_works_anew(struct __test_metadata *_metadata, struct conn *conn)
{
	if (conn->kind == NOT_ACCEPTED)
		conn->fd = accept4(conn->listener, NULL, NULL, SOCK_CLOEXEC);
	if (conn->kind == NOT_ACCEPTED || conn_is_owned(conn->kind))
		ASSERT_LE(0, conn->fd);
	if (conn->fd < 0)
		return;
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd)) TH_LOG("kind %d", conn->kind);
	EXPECT_EQ(TCP_CLOSE, sock_state(conn->fd)) TH_LOG("kind %d", conn->kind);
	EXPECT_EQ(0, sock_anew(conn->fd, conn->family)) TH_LOG("kind %d", conn->kind);
}

TEST_F(silent, drops_send_nothing_and_leave_sockets_that_work)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		drop_in_silence(_metadata, &self->rule, &self->conn[kind], &self->watch[kind]);
	pause_ms(A_WHILE_MS);
	for (kind = 0; kind < KINDS; kind++)
		EXPECT_EQ(0, watch_rest(&self->watch[kind])) TH_LOG("kind %d", kind);
	for (kind = 0; kind < KINDS; kind++)
		expect_works_anew(_metadata, &self->conn[kind]);
}

/* Nor do their owners send anything as they close them, or their listeners. */
TEST_F(silent, dropped_sockets_are_closed_without_a_word)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		drop_in_silence(_metadata, &self->rule, &self->conn[kind], &self->watch[kind]);
		close(self->conn[kind].fd);
		close(self->conn[kind].listener);
	}
	pause_ms(A_WHILE_MS);
	for (kind = 0; kind < KINDS; kind++)
		EXPECT_EQ(0, watch_rest(&self->watch[kind])) TH_LOG("kind %d", kind);
}

/* Peers that have nothing to send do not notice. */
TEST_F(silent, peers_go_on_as_if_nothing_had_been)
{
	static const enum kind kinds[] = {
		SYN_RCVD_REQUEST, ESTABLISHED, NOT_ACCEPTED, FIN_WAIT_2, FIN_WAIT_2_ORPHAN,
	};
	int i, state;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		struct conn *conn = &self->conn[kinds[i]];

		state = sock_state(conn->peer);
		drop_in_silence(_metadata, &self->rule, conn, &self->watch[kinds[i]]);
		EXPECT_EQ(state, sock_state(conn->peer)) TH_LOG("kind %d", kinds[i]);
		EXPECT_EQ(0, sock_error(conn->peer)) TH_LOG("kind %d", kinds[i]);
	}
}

/* So that the silence is known to be one. */
TEST_F(silent, the_same_drops_are_heard_with_a_reset)
{
	struct watch *watch;
	int kind;

	ASSERT_EQ(0, rule_set(&self->rule, "reset", "yes"));
	for (kind = 0; kind < KINDS; kind++) {
		watch = &self->watch[kind];
		drop_watched(_metadata, &self->rule, &self->conn[kind], watch);
		EXPECT_EQ(conn_sends_reset(kind), !!capture_resets(watch->resets, &watch->ends))
			TH_LOG("kind %d", kind);
		if (conn_sends_reset(kind))
			EXPECT_LE(1, watch_rest(watch)) TH_LOG("kind %d", kind);
	}
}

/*
 * A listener with children, which the kernel ends with it.  They are so few that
 * none of the captures, which see all of them, overflows.
 */
#define CHILDREN 10

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
	int i, fd;

	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, commit_one(&self->rule));

	for (i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(0, watch_rest(&self->watch[i]));
		EXPECT_EQ(TCP_ESTABLISHED, sock_state(self->client[i]));
		EXPECT_FALSE(ends_in_table(&self->watch[i].ends));
	}
	EXPECT_EQ(ECONNABORTED, sock_error(self->listener));
	/* What it had been told of its end would be its children's otherwise. */
	ASSERT_EQ(0, sock_disconnect(self->listener));
	ASSERT_EQ(0, listen(self->listener, 1));
	fd = sock_new(variant->family);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, sock_meets(fd, variant->family, self->listener));
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
 * One connection that is not idle, or not plain.
 */
FIXTURE(single)
{
	struct conn conn;
	struct watch watch;
	struct rule rule;
};

FIXTURE_VARIANT(single)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(single, ipv4) { .family = IPV4 };

FIXTURE_VARIANT_ADD(single, ipv6) { .family = IPV6 };

FIXTURE_VARIANT_ADD(single, dual) { .family = DUAL };

FIXTURE_SETUP(single)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "silent"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	watch_begin(_metadata, &self->watch, &self->conn.ends);
}

FIXTURE_TEARDOWN(single)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void *send_on(void *arg)
{
	int *fd = arg;

	while (send(*fd, "x", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN)
		;
	return (void *)(long)errno;
}

TEST_F(single, busy_owners_lose_their_connection_in_silence)
{
	pthread_t sender;
	void *err;

	ASSERT_EQ(0, sock_nonblock(self->conn.fd));
	ASSERT_EQ(0, pthread_create(&sender, NULL, send_on, &self->conn.fd));

	EXPECT_EQ(0, commit_one(&self->rule));
	watch_rest(&self->watch);

	ASSERT_EQ(0, pthread_join(sender, &err));
	EXPECT_EQ(ECONNABORTED, (long)err);
	EXPECT_EQ(0, capture_resets(self->watch.resets, &self->watch.ends));
	EXPECT_EQ(0, watch_end(&self->watch));
	EXPECT_EQ(0, sock_anew(self->conn.fd, variant->family));
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

TEST_F(single, ktls_is_no_exception)
{
	struct conn *conn = &self->conn;
	int ret;

	ret = set_tls(conn->fd);
	if (ret == -ENOENT)
		KERNEL_HAS_NO("kTLS");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, set_tls(conn->peer));
	ASSERT_TRUE(sock_talks(conn->fd, conn->peer));
	watch_rest(&self->watch);

	ASSERT_EQ(0, commit_one(&self->rule));

	EXPECT_FALSE(ends_in_table(&conn->ends));
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(conn->peer));
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd));
	watch_rest(&self->watch);
	close(conn->fd);
	EXPECT_EQ(0, capture_resets(self->watch.resets, &self->watch.ends));
	EXPECT_EQ(0, watch_end(&self->watch));
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
