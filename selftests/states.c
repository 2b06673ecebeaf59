// SPDX-License-Identifier: GPL-2.0
/*
 * What a drop does to a socket in each state, of each address family, with and
 * without an owner: to the socket, to its owner, to its peer, and to no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

/* A connection of every kind and family, and what the tables say of them. */
struct world {
	struct conn conn[FAMILIES][KINDS];
	struct table table;
};

/* Ends that have to be missing from the tables. */
struct gone {
	struct ends ends[2 * FAMILIES * KINDS];
	size_t count;
};

/* Call @each for all connections until one returns true. */
static struct conn *world_find(struct world *world,
			       bool (*each)(struct world *world, struct conn *conn))
{
	int family, kind;

	for (family = 0; family < FAMILIES; family++)
		for (kind = 0; kind < KINDS; kind++)
			if (each(world, &world->conn[family][kind]))
				return &world->conn[family][kind];
	return NULL;
}

static bool is_not_ready(struct world *world, struct conn *conn)
{
	return !conn_is_ready(conn, &world->table);
}

/* Read the tables and see whether every target is as it should be. */
static bool world_is_ready(struct world *world)
{
	table_free(&world->table);
	return !table_read(&world->table) && !world_find(world, is_not_ready);
}

static void world_make(struct __test_metadata *_metadata, struct world *world)
{
	char line[128];
	int family, kind;

	for (family = 0; family < FAMILIES; family++)
		for (kind = 0; kind < KINDS; kind++)
			ASSERT_EQ(0, conn_start(&world->conn[family][kind], kind, family)) {
				TH_LOG("kind %d, family %d", kind, family);
			}
	ASSERT_TRUE(WAIT_UNTIL(world_is_ready(world))) {
		struct conn *conn = world_find(world, is_not_ready);

		ends_print(&conn->ends, conn_state(conn->kind), line, sizeof(line));
		TH_LOG("kind %d: no %s", conn->kind, line);
	}
}

/* A target that is dropped goes, and its peer with it if it is told. */
static void gone_add(struct gone *gone, const struct conn *conn)
{
	gone->ends[gone->count++] = conn->ends;
	if (conn_sends_reset(conn->kind))
		gone->ends[gone->count++] = ends_swap(&conn->ends);
}

static bool gone_has(const struct gone *gone, const struct ends *ends)
{
	size_t i;

	for (i = 0; i < gone->count; i++)
		if (!ends_cmp(&gone->ends[i], ends))
			return true;
	return false;
}

static bool all_gone(const struct gone *gone)
{
	struct table table;
	bool found = false;
	size_t i;

	if (table_read(&table))
		return false;
	for (i = 0; i < gone->count && !found; i++)
		found = table_find(&table, &gone->ends[i]);
	table_free(&table);
	return !found;
}

static void log_entry(struct __test_metadata *_metadata, const char *what,
		      const struct entry *entry)
{
	char line[128];

	ends_print(&entry->ends, entry->state, line, sizeof(line));
	TH_LOG("%s: %s", what, line);
}

static size_t count_left(const struct world *world, const struct gone *gone)
{
	size_t i, left = 0;

	for (i = 0; i < world->table.count; i++)
		left += !gone_has(gone, &world->table.entry[i].ends);
	return left;
}

/* Reads anew into @table. */
static bool table_has(struct table *table, size_t count)
{
	table_free(table);
	return !table_read(table) && table->count == count;
}

/*
 * The tables have what they had before, unchanged, except for @gone. The kernel's listing is read
 * in pieces, of which one may lack a socket, if one before it in its bucket has gone meanwhile.
 */
static void expect_only_gone(struct __test_metadata *_metadata,
			     const struct world *world, const struct gone *gone)
{
	size_t i, left = count_left(world, gone);
	const struct entry *was, *is;
	struct table table = { 0 };

	EXPECT_TRUE(WAIT_UNTIL(all_gone(gone)));
	EXPECT_TRUE(WAIT_UNTIL(table_has(&table, left)));
	for (i = 0; i < world->table.count; i++) {
		was = &world->table.entry[i];
		is = table_find(&table, &was->ends);
		if (gone_has(gone, &was->ends)) {
			EXPECT_EQ(NULL, is) log_entry(_metadata, "still there", is);
			continue;
		}
		EXPECT_TRUE(is && is->state == was->state && is->inode == was->inode &&
			    is->minisock == was->minisock) {
			log_entry(_metadata, "was", was);
			log_entry(_metadata, "is", is ? is : &(struct entry){ 0 });
		}
	}
	EXPECT_EQ(left, table.count);
	table_free(&table);
}

/* Established connections that were not meant still carry data both ways. */
static void expect_others_talk(struct __test_metadata *_metadata,
			       struct world *world, const struct gone *gone)
{
	struct conn *conn;
	int family;

	for (family = 0; family < FAMILIES; family++) {
		conn = &world->conn[family][ESTABLISHED];
		if (!gone_has(gone, &conn->ends))
			EXPECT_TRUE(sock_talks(conn->fd, conn->peer));
	}
}

/* Orphans outlive the process and its namespace, and count in sockstat. */
static void drop_all(struct __test_metadata *_metadata, const struct rule *rule)
{
	EXPECT_EQ(0, rule_clear_ends(rule));
	EXPECT_EQ(0, rule_set(rule, "state", "all"));
	EXPECT_EQ(0, rule_commit(rule));
	EXPECT_EQ(0, rule_remove(rule));
}

/* A commit found so many, dropped them all and left none. */
static void expect_dropped(struct __test_metadata *_metadata, const struct rule *rule,
			   long count, struct rule_result *result)
{
	ASSERT_EQ(0, rule_result_read(rule, result));
	EXPECT_EQ(count, result->matched);
	EXPECT_EQ(count, result->dropped);
	EXPECT_EQ(0, result->failed);
	EXPECT_EQ(0, result->remaining);
}

/* Of the dropped, all were in this state. */
static void expect_dropped_in(struct __test_metadata *_metadata, const struct rule *rule,
			      int state, long count)
{
	struct rule_result result;
	char line[64];

	expect_dropped(_metadata, rule, count, &result);
	snprintf(line, sizeof(line), "%s %ld", state_name(state), count);
	EXPECT_STREQ(line, result.states);
}

static void set_state(struct __test_metadata *_metadata, const struct rule *rule,
		      int state)
{
	ASSERT_EQ(0, rule_set(rule, "state", state_name(state)));
}

/* The rule means this socket and no other. */
static void set_exactly(struct __test_metadata *_metadata, const struct rule *rule,
			const struct conn *conn)
{
	ASSERT_EQ(0, rule_set_ends(rule, &conn->ends));
	set_state(_metadata, rule, conn_state(conn->kind));
}

/* The owner reads in SO_ERROR what the kernel gives an aborted socket. */
static void expect_owner_told(struct __test_metadata *_metadata, struct conn *conn)
{
	if (conn->kind == NOT_ACCEPTED) {
		conn->fd = accept(conn->listener, NULL, NULL);
		ASSERT_LE(0, conn->fd);
	}
	if (conn->fd < 0)
		return;
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd));
	EXPECT_EQ(TCP_CLOSE, sock_state(conn->fd));
}

/* A pending request is not told of until its client sends a segment. */
static void expect_next_segment_reset(struct __test_metadata *_metadata, int client)
{
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(client));
	EXPECT_EQ(1, send(client, "x", 1, MSG_NOSIGNAL));
	EXPECT_TRUE(WAIT_UNTIL(sock_state(client) == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, sock_error(client));
}

/* The peer hears of the drop where TCP tells it, and nothing where not. */
static void expect_peer_told(struct __test_metadata *_metadata, const struct conn *conn,
			     int resets)
{
	if (!conn_sends_reset(conn->kind)) {
		EXPECT_EQ(0, resets);
		EXPECT_TRUE(conn->peer < 0 || !sock_error(conn->peer));
		return;
	}
	EXPECT_LE(1, resets);
	EXPECT_TRUE(WAIT_UNTIL(sock_state(conn->peer) == TCP_CLOSE));
	EXPECT_EQ(conn_state(conn->kind) == TCP_FIN_WAIT2 ? EPIPE : ECONNRESET,
		  sock_error(conn->peer));
}

/*
 * One socket of each kind.
 */
FIXTURE(drop)
{
	struct world world;
	struct rule rule;
	struct conn *conn;
};

FIXTURE_VARIANT(drop)
{
	enum kind kind;
	enum family family;
};

#define DROP_VARIANT(_kind)						\
	FIXTURE_VARIANT_ADD(drop, _kind##_ipv4) { .kind = _kind, .family = IPV4 }; \
	FIXTURE_VARIANT_ADD(drop, _kind##_ipv6) { .kind = _kind, .family = IPV6 }; \
	FIXTURE_VARIANT_ADD(drop, _kind##_dual) { .kind = _kind, .family = DUAL }

DROP_VARIANT(SYN_SENT);
DROP_VARIANT(SYN_RCVD_REQUEST);
DROP_VARIANT(SYN_RCVD_FULL);
DROP_VARIANT(ESTABLISHED);
DROP_VARIANT(NOT_ACCEPTED);
DROP_VARIANT(CLOSE_WAIT);
DROP_VARIANT(FIN_WAIT_1);
DROP_VARIANT(FIN_WAIT_1_ORPHAN);
DROP_VARIANT(FIN_WAIT_2);
DROP_VARIANT(FIN_WAIT_2_ORPHAN);
DROP_VARIANT(FIN_WAIT_2_MINISOCK);
DROP_VARIANT(CLOSING);
DROP_VARIANT(CLOSING_ORPHAN);
DROP_VARIANT(LAST_ACK);
DROP_VARIANT(LAST_ACK_ORPHAN);
DROP_VARIANT(TIME_WAIT);

FIXTURE_SETUP(drop)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	world_make(_metadata, &self->world);
	self->conn = &self->world.conn[variant->family][variant->kind];
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
}

FIXTURE_TEARDOWN(drop)
{
	drop_all(_metadata, &self->rule);
}

TEST_F(drop, exact_ends_drop_this_socket_and_no_other)
{
	struct gone gone = { .count = 0 };
	int capture, resets;

	set_exactly(_metadata, &self->rule, self->conn);
	capture = capture_open();
	ASSERT_LE(0, capture);

	ASSERT_EQ(0, rule_commit(&self->rule));

	resets = capture_resets(capture, &self->conn->ends);
	EXPECT_FALSE(ends_in_table(&self->conn->ends));
	expect_dropped_in(_metadata, &self->rule, conn_state(variant->kind), 1);
	gone_add(&gone, self->conn);
	expect_only_gone(_metadata, &self->world, &gone);
	expect_owner_told(_metadata, self->conn);
	expect_peer_told(_metadata, self->conn, resets);
	if (variant->kind == SYN_RCVD_REQUEST)
		expect_next_segment_reset(_metadata, self->conn->peer);
	expect_others_talk(_metadata, &self->world, &gone);
}

/*
 * Rules that match more than one socket. Each names the targets of a family by
 * their prefix, and so spares the other ends, whatever state these are in.
 */
FIXTURE(select)
{
	struct world world;
	struct rule rule;
};

FIXTURE_VARIANT(select)
{
	const char *state;	/* as written to the rule; NULL: not at all */
	unsigned int states;	/* which states that is, one bit each */
};

#define ALL_STATES (0xffe & ~(1 << TCP_CLOSE | 1 << TCP_LISTEN))

#define SELECT_VARIANT(_name, _state, _states)				\
	FIXTURE_VARIANT_ADD(select, _name) { .state = _state, .states = _states }

SELECT_VARIANT(syn_sent, "SYN_SENT", 1 << TCP_SYN_SENT);
SELECT_VARIANT(syn_rcvd, "SYN_RCVD", 1 << TCP_SYN_RECV);
SELECT_VARIANT(established, "ESTABLISHED", 1 << TCP_ESTABLISHED);
SELECT_VARIANT(close_wait, "CLOSE_WAIT", 1 << TCP_CLOSE_WAIT);
SELECT_VARIANT(fin_wait_1, "FIN_WAIT_1", 1 << TCP_FIN_WAIT1);
SELECT_VARIANT(fin_wait_2, "FIN_WAIT_2", 1 << TCP_FIN_WAIT2);
SELECT_VARIANT(closing, "CLOSING", 1 << TCP_CLOSING);
SELECT_VARIANT(last_ack, "LAST_ACK", 1 << TCP_LAST_ACK);
SELECT_VARIANT(time_wait, "TIME_WAIT", 1 << TCP_TIME_WAIT);
SELECT_VARIANT(two_states, "fin-wait-1,time-wait", 1 << TCP_FIN_WAIT1 | 1 << TCP_TIME_WAIT);
SELECT_VARIANT(all, "all", ALL_STATES);
SELECT_VARIANT(connected, "connected", ALL_STATES);
SELECT_VARIANT(synchronized, "synchronized", ALL_STATES & ~(1 << TCP_SYN_SENT));
SELECT_VARIANT(bucket, "bucket", 1 << TCP_SYN_RECV | 1 << TCP_TIME_WAIT);
SELECT_VARIANT(big, "big", ALL_STATES & ~(1 << TCP_SYN_RECV | 1 << TCP_TIME_WAIT));
SELECT_VARIANT(not_established, "!ESTABLISHED", ALL_STATES & ~(1 << TCP_ESTABLISHED));
SELECT_VARIANT(unset, NULL, ALL_STATES);

FIXTURE_SETUP(select)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	world_make(_metadata, &self->world);
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
}

FIXTURE_TEARDOWN(select)
{
	drop_all(_metadata, &self->rule);
}

/* Note the targets of a family in one of @states; returns how many there are. */
static long select_targets(struct world *world, enum family family,
			   unsigned int states, struct gone *gone)
{
	long count = 0;
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		if (!(states & 1 << conn_state(kind)))
			continue;
		gone_add(gone, &world->conn[family][kind]);
		count++;
	}
	return count;
}

/* The line of each state says how many targets in that state there were. */
static void expect_states(struct __test_metadata *_metadata,
			  const struct rule_result *result, unsigned int states)
{
	long count[TCP_CLOSING + 1] = { 0 };
	int kind, state;

	for (kind = 0; kind < KINDS; kind++)
		count[conn_state(kind)]++;
	for (state = TCP_ESTABLISHED; state <= TCP_CLOSING; state++)
		EXPECT_EQ(states & 1 << state ? count[state] : 0,
			  result_state(result, state_name(state))) {
			TH_LOG("state %s of:\n%s", state_name(state), result->states);
		}
}

TEST_F(select, state_and_prefix_drop_every_such_socket_and_no_other)
{
	struct gone gone = { .count = 0 };
	struct rule_result result;
	enum family family;
	long count;

	if (variant->state)
		ASSERT_EQ(0, rule_set(&self->rule, "state", variant->state));

	for (family = 0; family < FAMILIES; family++) {
		count = select_targets(&self->world, family, variant->states, &gone);
		ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(family)));
		EXPECT_EQ(count, rule_count(&self->rule));

		ASSERT_EQ(0, rule_commit(&self->rule));

		expect_dropped(_metadata, &self->rule, count, &result);
		expect_states(_metadata, &result, variant->states);
		EXPECT_EQ(0, rule_count(&self->rule));
	}
	expect_only_gone(_metadata, &self->world, &gone);
	expect_others_talk(_metadata, &self->world, &gone);
}

/*
 * What the owner of a dropped socket gets from its next call. Sockets without
 * an owner are none of its business.
 */
FIXTURE(owner)
{
	struct conn conn;
	struct rule rule;
};

FIXTURE_VARIANT(owner)
{
	enum kind kind;
	enum family family;
	bool eof;	/* has read the end of the peer's data, and keeps to that */
};

#define OWNER_VARIANT(_kind, _eof)					\
	FIXTURE_VARIANT_ADD(owner, _kind##_ipv4) {			\
		.kind = _kind, .family = IPV4, .eof = _eof		\
	};								\
	FIXTURE_VARIANT_ADD(owner, _kind##_ipv6) {			\
		.kind = _kind, .family = IPV6, .eof = _eof		\
	};								\
	FIXTURE_VARIANT_ADD(owner, _kind##_dual) {			\
		.kind = _kind, .family = DUAL, .eof = _eof		\
	}

OWNER_VARIANT(SYN_SENT, false);
OWNER_VARIANT(SYN_RCVD_FULL, false);
OWNER_VARIANT(ESTABLISHED, false);
OWNER_VARIANT(NOT_ACCEPTED, false);
OWNER_VARIANT(CLOSE_WAIT, true);
OWNER_VARIANT(FIN_WAIT_1, false);
OWNER_VARIANT(FIN_WAIT_2, false);
OWNER_VARIANT(CLOSING, true);
OWNER_VARIANT(LAST_ACK, true);

FIXTURE_SETUP(owner)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, variant->kind, variant->family));
	if (variant->kind == SYN_RCVD_FULL) {
		char byte;

		/* The byte that came with the SYN would be read first. */
		ASSERT_EQ(1, recv(self->conn.fd, &byte, 1, 0));
	}
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
	set_exactly(_metadata, &self->rule, &self->conn);
}

FIXTURE_TEARDOWN(owner)
{
	drop_all(_metadata, &self->rule);
}

/* The drop, and for a child that waits for it the accept(). */
static void drop_owned(struct __test_metadata *_metadata, const struct rule *rule,
		       struct conn *conn)
{
	ASSERT_EQ(0, rule_commit(rule));
	ASSERT_EQ(1, rule_result(rule, "dropped"));
	if (conn->kind == NOT_ACCEPTED)
		conn->fd = accept(conn->listener, NULL, NULL);
	ASSERT_LE(0, conn->fd);
}

TEST_F(owner, recv_says_ECONNABORTED_once_and_then_EOF)
{
	char byte;

	drop_owned(_metadata, &self->rule, &self->conn);
	if (variant->eof) {
		/* The end of what the peer has sent comes first, and SO_ERROR has the error. */
		EXPECT_EQ(0, recv(self->conn.fd, &byte, 1, 0));
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
	} else {
		EXPECT_EQ(-1, recv(self->conn.fd, &byte, 1, 0));
		EXPECT_EQ(ECONNABORTED, errno);
	}
	EXPECT_EQ(0, sock_error(self->conn.fd));
	EXPECT_EQ(0, recv(self->conn.fd, &byte, 1, 0));
	EXPECT_EQ(0, recv(self->conn.fd, &byte, 1, 0));
}

TEST_F(owner, send_says_ECONNABORTED_and_then_EPIPE)
{
	drop_owned(_metadata, &self->rule, &self->conn);
	EXPECT_EQ(-1, send(self->conn.fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_EQ(-1, send(self->conn.fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

TEST_F(owner, poll_says_error_and_hangup)
{
	struct pollfd event = { .events = POLLIN | POLLOUT };

	drop_owned(_metadata, &self->rule, &self->conn);
	event.fd = self->conn.fd;
	EXPECT_EQ(1, poll(&event, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, event.revents & (POLLERR | POLLHUP));
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
	EXPECT_EQ(0, sock_error(self->conn.fd));
}

/* All that poll() has to say. */
static short poll_all(int fd)
{
	struct pollfd event = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	return poll(&event, 1, 0) < 0 ? -1 : event.revents;
}

/* Have the other end reset a connection; as after a drop, a child is then accepted. */
static int reset_by_peer(struct conn *conn)
{
	struct linger now = { .l_onoff = 1 };
	const struct ends ends = conn->ends;

	if (setsockopt(conn->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) ||
	    close(conn->peer))
		return -errno;
	conn->peer = -1;
	if (!WAIT_UNTIL(!ends_in_table(&ends)))
		return -ETIMEDOUT;
	if (conn->kind == NOT_ACCEPTED)
		conn->fd = accept(conn->listener, NULL, NULL);
	return conn->fd < 0 ? -errno : 0;
}

/*
 * What a drop looks like from its owner, beside a reset by the other end.
 */
FIXTURE(reset)
{
	struct conn dropped;
	struct conn reset;
	struct rule rule;
};

FIXTURE_VARIANT(reset)
{
	enum kind kind;
	enum family family;
};

#define RESET_VARIANT(_kind)						\
	FIXTURE_VARIANT_ADD(reset, _kind##_ipv4) { .kind = _kind, .family = IPV4 };	\
	FIXTURE_VARIANT_ADD(reset, _kind##_ipv6) { .kind = _kind, .family = IPV6 };	\
	FIXTURE_VARIANT_ADD(reset, _kind##_dual) { .kind = _kind, .family = DUAL }

RESET_VARIANT(ESTABLISHED);
RESET_VARIANT(NOT_ACCEPTED);
RESET_VARIANT(CLOSE_WAIT);
RESET_VARIANT(FIN_WAIT_2);

FIXTURE_SETUP(reset)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->dropped, variant->kind, variant->family));
	ASSERT_EQ(0, conn_make(&self->reset, variant->kind, variant->family));
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
	set_exactly(_metadata, &self->rule, &self->dropped);
}

FIXTURE_TEARDOWN(reset)
{
	drop_all(_metadata, &self->rule);
}

TEST_F(reset, and_drop_are_the_same_to_poll)
{
	int dropped, reset;

	drop_owned(_metadata, &self->rule, &self->dropped);
	ASSERT_EQ(0, reset_by_peer(&self->reset));
	dropped = self->dropped.fd;
	reset = self->reset.fd;
	EXPECT_NE(0, poll_all(reset) & POLLERR);
	EXPECT_EQ(poll_all(reset), poll_all(dropped));
	EXPECT_NE(0, sock_error(reset));
	EXPECT_NE(0, sock_error(dropped));
	EXPECT_EQ(poll_all(reset), poll_all(dropped));
}

/*
 * Listeners, which only their own state selects.
 */
FIXTURE(listener)
{
	struct conn conn;	/* with a child that waits to be accepted */
	struct end end;
	struct rule rule;
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
	char addr[INET6_ADDRSTRLEN];

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, NOT_ACCEPTED, variant->family));
	ASSERT_EQ(0, end_of(self->conn.listener, &self->end));
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr",
			      end_addr(&self->end, addr, sizeof(addr))));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", self->end.port));
}

FIXTURE_TEARDOWN(listener)
{
	drop_all(_metadata, &self->rule);
}

TEST_F(listener, is_dropped_when_its_state_is_named)
{
	set_state(_metadata, &self->rule, TCP_LISTEN);
	EXPECT_EQ(1, rule_count(&self->rule));

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_dropped_in(_metadata, &self->rule, TCP_LISTEN, 1);
	EXPECT_EQ(TCP_CLOSE, sock_state(self->conn.listener));
	EXPECT_EQ(-1, accept(self->conn.listener, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(ECONNABORTED, sock_error(self->conn.listener));
}

TEST_F(listener, takes_its_children_along)
{
	set_state(_metadata, &self->rule, TCP_LISTEN);

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_TRUE(WAIT_UNTIL(sock_state(self->conn.peer) == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, sock_error(self->conn.peer));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

TEST_F(listener, survives_whatever_does_not_name_it)
{
	static const char * const states[] = {
		"any", "all", "connected", "synchronized", "bucket", "big",
		"ESTABLISHED", "!ESTABLISHED", "!TIME_WAIT",
	};
	int client;
	size_t i;

	for (i = 0; i < ARRAY_LEN(states); i++) {
		ASSERT_EQ(0, rule_set(&self->rule, "state", states[i]));
		ASSERT_EQ(0, rule_commit(&self->rule)) TH_LOG("state %s", states[i]);
		EXPECT_EQ(TCP_LISTEN, sock_state(self->conn.listener)) {
			TH_LOG("state %s", states[i]);
		}
	}
	client = sock_new(variant->family);
	EXPECT_EQ(0, sock_connect(client, variant->family, &self->end));
}

TEST_F(listener, lets_its_address_be_bound_again_when_dropped)
{
	struct sockaddr_storage ss;
	socklen_t len = end_to_sockaddr(&self->end, variant->family, &ss);
	int fd = sock_new(variant->family);

	set_state(_metadata, &self->rule, TCP_LISTEN);
	ASSERT_EQ(0, rule_commit(&self->rule));
	close(self->conn.listener);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&ss, len));
	EXPECT_EQ(0, listen(fd, 1));
}

/*
 * What a drop gives back.
 */
FIXTURE(after)
{
	struct rule rule;
};

FIXTURE_SETUP(after)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "states"));
}

FIXTURE_TEARDOWN(after)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Bind a socket of its own to @end, without SO_REUSEADDR. */
static int bind_anew(const struct end *end)
{
	struct sockaddr_storage ss;
	socklen_t len = end_to_sockaddr(end, IPV4, &ss);
	int fd = sock_new(IPV4);
	int ret;

	ret = bind(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
	close(fd);
	return ret;
}

TEST_F(after, the_port_of_a_TIME_WAIT_can_be_bound_again)
{
	struct conn conn;

	ASSERT_EQ(0, conn_make(&conn, TIME_WAIT, IPV4));
	ASSERT_EQ(-EADDRINUSE, bind_anew(&conn.ends.local));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "TIME_WAIT"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(0, bind_anew(&conn.ends.local));
}

/* Numbers of the line "TCP:" of /proc/net/sockstat. */
struct sockstat {
	int inuse;
	int orphan;
	int tw;
};

static int sockstat_read(struct sockstat *stat)
{
	char text[512], *line;
	int ret;

	ret = file_read("/proc/thread-self/net/sockstat", text, sizeof(text));
	if (ret)
		return ret;
	line = strstr(text, "TCP: inuse");
	if (!line || sscanf(line, "TCP: inuse %d orphan %d tw %d",
			    &stat->inuse, &stat->orphan, &stat->tw) != 3)
		return -EPROTO;
	return 0;
}

/*
 * No more orphans than @orphan.  They are counted for the whole machine, where
 * others that there were may go meanwhile, and none comes but from here.
 */
static bool orphans_went(int orphan)
{
	struct sockstat stat;

	return !sockstat_read(&stat) && stat.orphan <= orphan;
}

TEST_F(after, sockets_without_an_owner_leave_nothing_in_sockstat)
{
	static const enum kind orphans[] = {
		FIN_WAIT_1_ORPHAN, FIN_WAIT_2_ORPHAN, FIN_WAIT_2_MINISOCK,
		CLOSING_ORPHAN, LAST_ACK_ORPHAN, TIME_WAIT,
	};
	enum { KINDS_OF_ORPHAN = ARRAY_LEN(orphans), EACH = 8, FULL = 4 * EACH, MINI = 2 * EACH };
	struct conn conn[KINDS_OF_ORPHAN][EACH];
	struct sockstat none, all, left;
	int i, j;

	ASSERT_EQ(0, sockstat_read(&none));
	for (i = 0; i < KINDS_OF_ORPHAN; i++)
		for (j = 0; j < EACH; j++)
			ASSERT_EQ(0, conn_make(&conn[i][j], orphans[i], IPV4));
	ASSERT_EQ(0, sockstat_read(&all));
	ASSERT_GE(none.orphan + FULL, all.orphan);
	ASSERT_EQ(none.tw + MINI, all.tw);
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(IPV4)));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(FULL + MINI, rule_result(&self->rule, "dropped"));
	EXPECT_TRUE(WAIT_UNTIL(orphans_went(none.orphan)));
	ASSERT_EQ(0, sockstat_read(&left));
	EXPECT_EQ(none.tw, left.tw);

	/* Their peers go the same way, and then nothing is left. */
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "any"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	for (i = 0; i < KINDS_OF_ORPHAN; i++)
		for (j = 0; j < EACH; j++)
			conn_close(&conn[i][j]);
	ASSERT_EQ(0, sockstat_read(&left));
	EXPECT_EQ(none.inuse, left.inuse);
	EXPECT_GE(none.orphan, left.orphan);
	EXPECT_EQ(none.tw, left.tw);
}

TEST_HARNESS_MAIN
