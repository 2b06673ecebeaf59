// SPDX-License-Identifier: GPL-2.0
/*
 * The selectors that look at more than ends and states: which sockets they
 * match, of all that the kernel keeps, and that no other is dropped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define ADDR "127.0.0.1"
#define SERVER_PORT 7000

#define MARK 0x1234
#define USER 1000

/* Sets of kinds. */
#define ALL ((1U << KINDS) - 1)
#define MINISOCKS (1U << FIN_WAIT_2_MINISOCK | 1U << TIME_WAIT)
#define FULL (ALL & ~(MINISOCKS | 1U << SYN_RCVD_REQUEST))
#define ORPHANS (1U << FIN_WAIT_1_ORPHAN | 1U << FIN_WAIT_2_ORPHAN | \
		 1U << CLOSING_ORPHAN | 1U << LAST_ACK_ORPHAN)

/* A connection of each kind. */
FIXTURE(kinds)
{
	struct rule rule;
	struct conn conn[KINDS];
};

FIXTURE_VARIANT(kinds)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(kinds, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(kinds, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(kinds, dual) { .family = DUAL };

FIXTURE_SETUP(kinds)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "kinds"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
}

FIXTURE_TEARDOWN(kinds)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void make_kinds(struct __test_metadata *_metadata, struct conn *conn,
		       enum family family, int (*prepare)(int fd))
{
	int kind;

	conn_prepare_by(prepare);
	for (kind = 0; kind < KINDS; kind++)
		ASSERT_EQ(0, conn_make(&conn[kind], kind, family)) TH_LOG("kind %d", kind);
}

/* Which of them the rule lists. */
static unsigned int kinds_listed(const struct rule *rule, const struct conn *conn)
{
	char *list = rule_list(rule), line[128];
	unsigned int listed = 0;
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		ends_print(&conn[kind].ends, conn_state(kind), line, sizeof(line));
		if (list && strstr(list, line))
			listed |= 1U << kind;
	}
	free(list);
	return listed;
}

static unsigned int kinds_in_table(const struct conn *conn)
{
	unsigned int there = 0;
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		if (ends_in_table(&conn[kind].ends))
			there |= 1U << kind;
	return there;
}

/* With @attr set to @value, the rule matches these kinds and nothing else. */
static void expect_kinds(struct __test_metadata *_metadata, const struct rule *rule,
			 const struct conn *conn, const char *attr, const char *value,
			 unsigned int kinds)
{
	ASSERT_EQ(0, rule_set(rule, attr, value)) TH_LOG("%s %s", attr, value);
	EXPECT_EQ(kinds, kinds_listed(rule, conn)) TH_LOG("%s %s", attr, value);
	EXPECT_EQ(__builtin_popcount(kinds), rule_count(rule)) TH_LOG("%s %s", attr, value);
	ASSERT_EQ(0, rule_set(rule, attr, "any"));
}

/* Drops what expect_kinds() has named. */
static void drop_kinds(struct __test_metadata *_metadata, const struct rule *rule,
		       const struct conn *conn, const char *attr, const char *value,
		       unsigned int kinds)
{
	ASSERT_EQ(ALL, kinds_in_table(conn));
	ASSERT_EQ(0, rule_set(rule, attr, value));
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(__builtin_popcount(kinds), rule_result(rule, "matched"));
	EXPECT_EQ(__builtin_popcount(kinds), rule_result(rule, "dropped"));
	EXPECT_EQ(0, rule_result(rule, "remaining"));
	EXPECT_EQ(ALL & ~kinds, kinds_in_table(conn)) TH_LOG("%s %s", attr, value);
	ASSERT_EQ(0, rule_set(rule, attr, "any"));
}

static int as_it_is(int fd)
{
	return 0;
}

static int set_mark(int fd)
{
	int mark = MARK;

	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ? -errno : 0;
}

TEST_F(kinds, everything_has_a_mark)
{
	make_kinds(_metadata, self->conn, variant->family, set_mark);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "0x1234", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "0x4/0xf,1", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "!0x1235", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "!0x1234", 0);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "0x1235,0,0x3/0xf", 0);
	drop_kinds(_metadata, &self->rule, self->conn, "mark", "0x1230/0xfff0", ALL);
}

TEST_F(kinds, no_mark_is_the_mark_0)
{
	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "0", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "!0", 0);
	expect_kinds(_metadata, &self->rule, self->conn, "mark", "1", 0);
}

static int bind_to_lo(int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) ? -errno : 0;
}

TEST_F(kinds, everything_that_is_bound_has_a_device)
{
	make_kinds(_metadata, self->conn, variant->family, bind_to_lo);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "lo", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "eth0,lo", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "!eth0", ALL);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "!lo", 0);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "eth0,l,lo0", 0);
	drop_kinds(_metadata, &self->rule, self->conn, "dev", "lo", ALL);
}

TEST_F(kinds, what_is_bound_to_none_is_on_no_device)
{
	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "lo", 0);
	expect_kinds(_metadata, &self->rule, self->conn, "dev", "!lo", ALL);
}

/* Whose the files are that are made from now on, sockets among them. */
static int make_files_as(uid_t uid)
{
	setfsuid(uid);
	return setfsuid(-1) == (int)uid ? 0 : -EPERM;
}

TEST_F(kinds, a_user_owns_what_is_full_and_the_requests_to_his_listener)
{
	unsigned int owned = ALL & ~MINISOCKS;

	ASSERT_EQ(0, make_files_as(USER));
	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	ASSERT_EQ(0, make_files_as(0));
	expect_kinds(_metadata, &self->rule, self->conn, "uid", "1000", owned);
	expect_kinds(_metadata, &self->rule, self->conn, "uid", "500-1000,!999", owned);
	expect_kinds(_metadata, &self->rule, self->conn, "uid", "!0", owned);
	expect_kinds(_metadata, &self->rule, self->conn, "uid", "0,1001-4294967294", 0);
	expect_kinds(_metadata, &self->rule, self->conn, "uid", "!1000", 0);
	drop_kinds(_metadata, &self->rule, self->conn, "uid", "1000", owned);
}

TEST_F(kinds, an_orphan_is_what_a_process_has_closed)
{
	unsigned int held = FULL & ~ORPHANS;

	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	expect_kinds(_metadata, &self->rule, self->conn, "orphan", "no", held);
	expect_kinds(_metadata, &self->rule, self->conn, "orphan", "yes", ORPHANS);
	drop_kinds(_metadata, &self->rule, self->conn, "orphan", "yes", ORPHANS);
}

TEST_F(kinds, what_is_no_orphan_is_dropped)
{
	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	drop_kinds(_metadata, &self->rule, self->conn, "orphan", "no", FULL & ~ORPHANS);
}

TEST_F(kinds, what_is_full_has_queues)
{
	static const char *const attrs[] = { "sendq", "recvq" };
	size_t i;

	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	for (i = 0; i < ARRAY_LEN(attrs); i++) {
		expect_kinds(_metadata, &self->rule, self->conn, attrs[i], "0", FULL);
		expect_kinds(_metadata, &self->rule, self->conn, attrs[i], "1000000000", 0);
	}
	drop_kinds(_metadata, &self->rule, self->conn, "sendq", "0", FULL);
}

TEST_F(kinds, what_is_full_and_requests_have_retransmissions)
{
	unsigned int have = ALL & ~MINISOCKS;

	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	expect_kinds(_metadata, &self->rule, self->conn, "retrans", "0", have);
	expect_kinds(_metadata, &self->rule, self->conn, "retrans", "1000000000", 0);
	drop_kinds(_metadata, &self->rule, self->conn, "retrans", "0", have);
}

TEST_F(kinds, what_has_been_established_is_idle_for_some_time)
{
	unsigned int idle = FULL & ~(1U << SYN_SENT);

	make_kinds(_metadata, self->conn, variant->family, as_it_is);
	expect_kinds(_metadata, &self->rule, self->conn, "idle", "0", idle);
	expect_kinds(_metadata, &self->rule, self->conn, "idle", "1d", 0);
	drop_kinds(_metadata, &self->rule, self->conn, "idle", "0ms", idle);
}

/* Some connections between two ends of this test. */
FIXTURE(pairs)
{
	struct rule rule;
	int listener;
	struct pair one;
	struct pair other;
};

FIXTURE_SETUP(pairs)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(IPV4, ADDR, SERVER_PORT);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, ADDR, 0, &self->one));
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, ADDR, 0, &self->other));
	ASSERT_EQ(0, rule_new(&self->rule, "pairs"));
}

FIXTURE_TEARDOWN(pairs)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Whether the rule matches with this value, and then this socket alone. */
static bool matches_only(const struct rule *rule, const char *attr, unsigned long value,
			 const struct ends *ends)
{
	char *list, line[128];
	bool only;

	ends_print(ends, TCP_ESTABLISHED, line, sizeof(line));
	if (rule_setf(rule, attr, "%lu", value))
		return false;
	list = rule_list(rule);
	only = list && !strncmp(list, line, strlen(line)) && text_count(list, "\n") == 1;
	free(list);
	return only;
}

static long count_with(const struct rule *rule, const char *attr, unsigned long value)
{
	int ret = rule_setf(rule, attr, "%lu", value);

	return ret ? ret : rule_count(rule);
}

static int queued(int fd, int which)
{
	int bytes;

	return ioctl(fd, which, &bytes) ? -errno : bytes;
}

TEST_F(pairs, recvq_is_what_has_not_been_read)
{
	struct ends server = ends_swap(&self->one.ends);
	char text[1000] = "";

	ASSERT_EQ(sizeof(text), send(self->one.client, text, sizeof(text), 0));
	ASSERT_EQ(1, send(self->other.client, text, 1, 0));
	ASSERT_TRUE(WAIT_UNTIL(queued(self->one.server, SIOCINQ) == sizeof(text)));
	ASSERT_TRUE(WAIT_UNTIL(queued(self->other.server, SIOCINQ) == 1));

	EXPECT_EQ(2, count_with(&self->rule, "recvq", 1));
	EXPECT_TRUE(matches_only(&self->rule, "recvq", 2, &server));
	EXPECT_EQ(0, count_with(&self->rule, "recvq", sizeof(text) + 1));
	EXPECT_TRUE(matches_only(&self->rule, "recvq", sizeof(text), &server));

	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.server));
	EXPECT_EQ(1, recv(self->other.server, text, sizeof(text), 0));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* The other end does not hear it, and so cannot acknowledge. */
TEST_F(pairs, sendq_is_what_has_not_been_acknowledged)
{
	ASSERT_EQ(0, sock_mute(self->one.server));
	ASSERT_EQ(5, send(self->one.client, "stuck", 5, 0));
	ASSERT_EQ(5, queued(self->one.client, SIOCOUTQ));

	EXPECT_TRUE(matches_only(&self->rule, "sendq", 1, &self->one.ends));
	EXPECT_EQ(0, count_with(&self->rule, "sendq", 6));
	EXPECT_TRUE(matches_only(&self->rule, "sendq", 5, &self->one.ends));

	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.client));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* As ss(8) has it: how many wait to be accepted, and how many may. */
TEST_F(pairs, the_queues_of_a_listener_are_its_backlog)
{
	int client = sock_new(IPV4), fd;
	struct end server;

	ASSERT_EQ(0, end_of(self->listener, &server));
	ASSERT_EQ(0, listen(self->listener, 77));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	EXPECT_EQ(0, count_with(&self->rule, "recvq", 1));
	ASSERT_EQ(0, sock_connect(client, IPV4, &server));
	EXPECT_TRUE(WAIT_UNTIL(count_with(&self->rule, "recvq", 1) == 1));
	EXPECT_EQ(0, count_with(&self->rule, "recvq", 2));

	ASSERT_EQ(0, rule_set(&self->rule, "recvq", "any"));
	EXPECT_EQ(1, count_with(&self->rule, "sendq", 77));
	EXPECT_EQ(0, count_with(&self->rule, "sendq", 78));
	ASSERT_EQ(0, rule_set(&self->rule, "sendq", "any"));
	EXPECT_EQ(0, count_with(&self->rule, "idle", 0));

	fd = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(sock_talks(client, fd));
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info;
}

/* A client that hears nothing does not answer. */
TEST_F(pairs, retrans_of_a_request_is_how_often_its_syn_ack_was_sent_again)
{
	int client = sock_new(IPV4);
	struct end end;

	ASSERT_LE(0, client);
	ASSERT_EQ(0, sock_nonblock(client));
	ASSERT_EQ(0, sock_mute(client));
	ASSERT_EQ(0, end_of(self->listener, &end));
	sock_connect(client, IPV4, &end);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "SYN_RCVD"));
	ASSERT_TRUE(WAIT_UNTIL(count_with(&self->rule, "retrans", 2) == 1));
	EXPECT_EQ(0, count_with(&self->rule, "retrans", 100));

	ASSERT_EQ(0, rule_set(&self->rule, "retrans", "2"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_TRUE(sock_talks(self->one.client, self->one.server));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
	close(client);
}

TEST_F(pairs, retrans_is_how_often_a_segment_was_sent_again)
{
	int times;

	ASSERT_EQ(0, sock_mute(self->one.server));
	ASSERT_EQ(5, send(self->one.client, "stuck", 5, 0));
	ASSERT_TRUE(WAIT_UNTIL(info_of(self->one.client).tcpi_retransmits >= 2));
	times = info_of(self->one.client).tcpi_retransmits;

	EXPECT_TRUE(matches_only(&self->rule, "retrans", 1, &self->one.ends));
	EXPECT_EQ(0, count_with(&self->rule, "retrans", times + 20));
	EXPECT_TRUE(matches_only(&self->rule, "retrans", times, &self->one.ends));

	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.client));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* How long nothing has come or gone, in milliseconds. */
static unsigned int idle_ms(int fd)
{
	struct tcp_info info = info_of(fd);

	return info.tcpi_last_data_sent < info.tcpi_last_data_recv ?
	       info.tcpi_last_data_sent : info.tcpi_last_data_recv;
}

/*
 * Whether, while @other talks, all of the sockets that have been idle for as
 * long as @one, and no others, are those of @one. Time goes on meanwhile, so
 * that counts only if the others were idle for less both before and after.
 */
static bool idle_tells_apart(const struct rule *rule, const struct pair *one,
			     const struct pair *other, bool *right)
{
	unsigned int ms = idle_ms(one->client), server = idle_ms(one->server);
	long count;

	if (server < ms)
		ms = server;
	if (!sock_talks(other->client, other->server) || rule_setf(rule, "idle", "%ums", ms))
		return false;
	count = rule_count(rule);
	if (idle_ms(other->client) >= ms || idle_ms(other->server) >= ms)
		return false;
	*right = count == 2;
	return true;
}

TEST_F(pairs, idle_is_since_the_last_data_in_either_direction)
{
	bool right = false;

	ASSERT_TRUE(sock_talks(self->one.client, self->one.server));
	ASSERT_TRUE(WAIT_UNTIL(idle_tells_apart(&self->rule, &self->one, &self->other,
						&right)));
	EXPECT_TRUE(right);

	ASSERT_EQ(0, rule_set(&self->rule, "idle", "1h"));
	EXPECT_EQ(0, rule_count(&self->rule));
}

/* Who only receives is not idle, nor who only sends. */
static bool one_way_counts(const struct rule *rule, const struct pair *pair, bool *right)
{
	unsigned int quiet = info_of(pair->server).tcpi_last_data_sent;
	long count;

	if (info_of(pair->client).tcpi_last_data_recv < quiet)
		quiet = info_of(pair->client).tcpi_last_data_recv;
	if (!quiet || send(pair->client, "x", 1, 0) != 1 || rule_setf(rule, "idle", "%ums", quiet))
		return false;
	if (!WAIT_UNTIL(!queued(pair->client, SIOCOUTQ)))
		return false;
	count = rule_count(rule);
	if (idle_ms(pair->server) >= quiet || idle_ms(pair->client) >= quiet)
		return false;
	*right = !count;
	return true;
}

TEST_F(pairs, data_in_one_direction_is_enough_not_to_be_idle)
{
	bool right = false;

	ASSERT_EQ(0, rule_setf(&self->rule, "port", "%u", self->one.ends.local.port));
	ASSERT_TRUE(WAIT_UNTIL(one_way_counts(&self->rule, &self->one, &right)));
	EXPECT_TRUE(right);
}

/* An application that sends nothing, but has the kernel look for the other end. */
TEST_F(pairs, keepalive_is_no_data)
{
	static const int one = 1, many = 100;
	unsigned int ms;

	ASSERT_TRUE(sock_talks(self->one.client, self->one.server));
	ASSERT_EQ(0, setsockopt(self->one.client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	ASSERT_EQ(0, setsockopt(self->one.client, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	ASSERT_EQ(0, setsockopt(self->one.client, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one)));
	ASSERT_EQ(0, setsockopt(self->one.client, IPPROTO_TCP, TCP_KEEPCNT, &many, sizeof(many)));
	/* The answer to the question comes when 1 s has passed. */
	ASSERT_TRUE(WAIT_UNTIL(idle_ms(self->one.client) > 2500 &&
			       info_of(self->one.client).tcpi_last_ack_recv <
			       idle_ms(self->one.client)));
	ms = idle_ms(self->one.client);
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", self->one.ends.local.port));
	ASSERT_EQ(0, rule_setf(&self->rule, "idle", "%ums", ms));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.client));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* What ss(8) says of a socket. */
struct said {
	unsigned long recvq;
	unsigned long sendq;
	char local[128];
	char text[4096];
};

/* Whether it says anything of the one with this local port. */
static bool ss_says(struct said *said, uint16_t port)
{
	FILE *ss = popen("ss -HtneiopO state connected", "r");
	char line[sizeof(said->text)], end[16];
	bool found = false;
	size_t len;

	if (!ss)
		return false;
	len = snprintf(end, sizeof(end), ":%u", port);
	while (fgets(line, sizeof(line), ss)) {
		if (found || sscanf(line, "%*s %lu %lu %127s", &said->recvq, &said->sendq,
				    said->local) != 3)
			continue;
		found = strlen(said->local) > len &&
			!strcmp(said->local + strlen(said->local) - len, end);
		strcpy(said->text, line);
	}
	return !pclose(ss) && found;
}

/* The number behind @label; ULONG_MAX if it does not say. */
static unsigned long number_said(const struct said *said, const char *label)
{
	const char *at = strstr(said->text, label);

	return at ? strtoul(at + strlen(label), NULL, 0) : ULONG_MAX;
}

/* As in timer:(on,1.2sec,2). */
static unsigned long retransmits_said(const struct said *said)
{
	const char *at = strstr(said->text, "timer:(on,");

	at = at ? strchr(at + strlen("timer:(on,"), ',') : NULL;
	return at ? strtoul(at + 1, NULL, 10) : ULONG_MAX;
}

TEST_F(pairs, what_ss_says_of_a_socket_is_what_it_matches_by)
{
	static const int mark = MARK;
	struct said said;

	ASSERT_EQ(0, setsockopt(self->one.client, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	ASSERT_EQ(0, setsockopt(self->one.client, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	ASSERT_EQ(0, fchown(self->one.client, USER, -1));
	ASSERT_EQ(3, send(self->one.server, "abc", 3, 0));
	ASSERT_TRUE(WAIT_UNTIL(queued(self->one.client, SIOCINQ) == 3));
	ASSERT_EQ(0, sock_mute(self->one.server));
	ASSERT_EQ(5, send(self->one.client, "stuck", 5, 0));
	ASSERT_TRUE(WAIT_UNTIL(info_of(self->one.client).tcpi_retransmits >= 2));
	if (!ss_says(&said, self->one.ends.local.port))
		SKIP(return, "no ss");
	/* There is no timer while it is being handled. */
	ASSERT_TRUE(WAIT_UNTIL(ss_says(&said, self->one.ends.local.port) &&
			       retransmits_said(&said) != ULONG_MAX));

	EXPECT_EQ(0, strncmp(said.local, "127.0.0.1%lo:", 13)) TH_LOG("%s", said.text);
	EXPECT_EQ(3, said.recvq) TH_LOG("%s", said.text);
	EXPECT_EQ(5, said.sendq) TH_LOG("%s", said.text);
	EXPECT_LE(2, retransmits_said(&said)) TH_LOG("%s", said.text);
	EXPECT_TRUE(matches_only(&self->rule, "retrans", retransmits_said(&said),
				 &self->one.ends)) TH_LOG("%s", said.text);
	EXPECT_TRUE(matches_only(&self->rule, "recvq", said.recvq, &self->one.ends));
	EXPECT_TRUE(matches_only(&self->rule, "sendq", said.sendq, &self->one.ends));
	EXPECT_TRUE(matches_only(&self->rule, "mark", number_said(&said, "fwmark:"),
				 &self->one.ends)) TH_LOG("%s", said.text);
	EXPECT_TRUE(matches_only(&self->rule, "uid", number_said(&said, "uid:"),
				 &self->one.ends)) TH_LOG("%s", said.text);
	EXPECT_EQ(0, rule_set(&self->rule, "dev", "lo"));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.client));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* Of a quiet one, since what is sent again is data too. */
TEST_F(pairs, what_ss_says_of_a_quiet_socket_is_how_long_it_is_idle)
{
	unsigned long sent, received, idle;
	struct said said;

	ASSERT_TRUE(sock_talks(self->one.client, self->one.server));
	pause_ms(20);
	if (!ss_says(&said, self->one.ends.local.port))
		SKIP(return, "no ss");
	sent = number_said(&said, "lastsnd:");
	received = number_said(&said, "lastrcv:");
	idle = sent < received ? sent : received;
	EXPECT_LT(0, idle) TH_LOG("%s", said.text);
	ASSERT_NE(ULONG_MAX, idle) TH_LOG("%s", said.text);

	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", self->one.ends.local.port));
	ASSERT_EQ(0, rule_setf(&self->rule, "idle", "%lums", idle));
	EXPECT_EQ(1, rule_count(&self->rule)) TH_LOG("%s", said.text);
	ASSERT_EQ(0, rule_setf(&self->rule, "idle", "%lums", idle + 3600000));
	EXPECT_EQ(0, rule_count(&self->rule)) TH_LOG("%s", said.text);
}

/* All selectors together: each can make the one socket that matches none. */
TEST_F(pairs, every_selector_has_to_match)
{
	static const char *const set[][3] = {
		{ "mark", "0x1234", "1" }, { "dev", "lo", "!lo" }, { "uid", "0", "1" },
		{ "orphan", "no", "yes" }, { "idle", "0", "1d" }, { "sendq", "0", "1" },
		{ "recvq", "3", "4" }, { "retrans", "0", "255" }, { "kernel", "no", "yes" },
	};
	struct ends server = ends_swap(&self->one.ends);
	size_t i;

	ASSERT_EQ(0, set_mark(self->one.server));
	ASSERT_EQ(0, bind_to_lo(self->one.server));
	ASSERT_EQ(3, send(self->one.client, "abc", 3, 0));
	ASSERT_TRUE(WAIT_UNTIL(queued(self->one.server, SIOCINQ) == 3));
	for (i = 0; i < ARRAY_LEN(set); i++)
		ASSERT_EQ(0, rule_set(&self->rule, set[i][0], set[i][1]));
	EXPECT_EQ(1, rule_count(&self->rule));
	for (i = 0; i < ARRAY_LEN(set); i++) {
		ASSERT_EQ(0, rule_set(&self->rule, set[i][0], set[i][2]));
		EXPECT_EQ(0, rule_count(&self->rule)) TH_LOG("%s", set[i][0]);
		ASSERT_EQ(0, rule_set(&self->rule, set[i][0], set[i][1]));
	}
	EXPECT_TRUE(matches_only(&self->rule, "recvq", 3, &server));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->one.server));
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
}

/* A device can have another name from one moment to the next. */
TEST_F(pairs, a_device_goes_by_the_name_that_it_has)
{
	ASSERT_EQ(0, bind_to_lo(self->one.client));
	ASSERT_EQ(0, rule_set(&self->rule, "dev", "loop"));
	EXPECT_EQ(0, rule_count(&self->rule));
	ASSERT_EQ(0, system("ip link set lo down && ip link set lo name loop"));
	ASSERT_EQ(0, system("ip link set loop up"));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "dev", "lo"));
	EXPECT_EQ(0, rule_count(&self->rule));
}

TEST_HARNESS_MAIN
