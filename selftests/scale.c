// SPDX-License-Identifier: GPL-2.0
/*
 * Thousands of sockets: listed and dropped exactly, by lists of thousands.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define PAIRS 2600

/* No two clients have the same port, and none that of the server. */
#define SERVER_PORT 7000
#define FIRST_PORT 10000
#define LINE_LEN 128

static struct pair pairs[PAIRS];

/* Every fifth connection is IPv6. */
static enum family pair_family(int i)
{
	return i % 5 ? IPV4 : IPV6;
}

static int pair_make(struct pair *pair, int i, const int listener[FAMILIES])
{
	enum family family = pair_family(i);
	char addr[INET6_ADDRSTRLEN] = "::1";

	if (family == IPV4)
		snprintf(addr, sizeof(addr), "127.2.%d.1", i % 100);
	return sock_pair(listener[family], family, addr, FIRST_PORT + i, pair);
}

FIXTURE(scale)
{
	struct rule rule;
};

FIXTURE_SETUP(scale)
{
	struct rlimit files = { 20000, 20000 };
	int listener[FAMILIES];
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, netns_new());
	listener[IPV4] = sock_listen(IPV4, "127.0.0.1", SERVER_PORT);
	listener[IPV6] = sock_listen(IPV6, "::1", SERVER_PORT);
	for (i = 0; i < PAIRS; i++) {
		ASSERT_EQ(0, pair_make(&pairs[i], i, listener));
	}
	ASSERT_EQ(0, rule_new(&self->rule, "scale"));
}

FIXTURE_TEARDOWN(scale)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static bool pair_lives(const struct pair *pair)
{
	return sock_talks(pair->client, pair->server);
}

/* The client was dropped: it is told so, and its peer was reset. */
static bool pair_is_dropped(const struct pair *pair)
{
	return sock_error(pair->client) == ECONNABORTED &&
	       WAIT_UNTIL(sock_state(pair->server) == TCP_CLOSE);
}

/*
 * The first pair that is not what it should be: dropped where @meant says so,
 * alive elsewhere. PAIRS if there is none.
 */
static int first_wrong_pair(bool (*meant)(int i))
{
	int i;

	for (i = 0; i < PAIRS; i++)
		if (!(meant(i) ? pair_is_dropped(&pairs[i]) : pair_lives(&pairs[i])))
			break;
	return i;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sorted lines that a listing of all ends should have. */
static char **lines_expected(void)
{
	char **line = calloc(2 * PAIRS, sizeof(*line));
	struct ends other;
	int i;

	for (i = 0; i < 2 * PAIRS; i++) {
		other = ends_swap(&pairs[i / 2].ends);
		line[i] = calloc(1, LINE_LEN);
		ends_print(i % 2 ? &other : &pairs[i / 2].ends, TCP_ESTABLISHED,
			   line[i], LINE_LEN);
		line[i][strcspn(line[i], "\n")] = '\0';
	}
	qsort(line, 2 * PAIRS, sizeof(*line), compare_lines);
	return line;
}

/* The sorted lines of a text, which is cut up; @count is set to how many. */
static char **lines_of(char *text, int *count)
{
	char **line = calloc(4 * PAIRS, sizeof(*line));
	char *next;

	for (*count = 0; (next = strsep(&text, "\n")) && *next;)
		line[(*count)++] = next;
	qsort(line, *count, sizeof(*line), compare_lines);
	return line;
}

TEST_F(scale, list_and_count_have_every_socket_once)
{
	char **expected = lines_expected(), **line;
	char *text;
	int count, i;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	EXPECT_EQ(2 * PAIRS, rule_count(&self->rule));
	text = rule_list(&self->rule);
	ASSERT_NE(NULL, text);
	line = lines_of(text, &count);
	ASSERT_EQ(2 * PAIRS, count);
	for (i = 0; i < count; i++) {
		ASSERT_STREQ(expected[i], line[i]);
	}
}

static bool has_even_port(int i)
{
	return (FIRST_PORT + i) % 2 == 0;
}

TEST_F(scale, a_list_of_thousands_of_ports_drops_just_these)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		if (!has_even_port(i))
			continue;
		ASSERT_EQ(0, rule_setf(&self->rule, "sport", "+%u", FIRST_PORT + i));
	}
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(PAIRS / 2, rule_result(&self->rule, "matched"));
	EXPECT_EQ(PAIRS / 2, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(PAIRS, first_wrong_pair(has_even_port));
}

static bool has_even_address(int i)
{
	return pair_family(i) == IPV4 && i % 100 % 2 == 0;
}

TEST_F(scale, a_list_of_30000_addresses_drops_just_these)
{
	long expected = 0;
	char text[4096];
	int i, len = 0;

	/* Even third bytes of 127.2, and many that nobody has. */
	for (i = 0; i < 30000; i++) {
		len += snprintf(text + len, sizeof(text) - len, "%s%d.2.%d.1",
				len ? "," : "+", (127 + i / 128) % 255, i % 128 * 2);
		if (len > 4000 || i == 29999) {
			ASSERT_EQ(0, rule_set(&self->rule, "saddr", text));
			len = 0;
		}
	}
	for (i = 0; i < PAIRS; i++)
		expected += has_even_address(i);
	EXPECT_EQ(expected, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(expected, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(PAIRS, first_wrong_pair(has_even_address));
}

static bool is_victim(int i)
{
	return i == 0 || i == 1 || i == PAIRS / 2 || i == PAIRS - 1;
}

TEST_F(scale, exact_ends_drop_one_of_all)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		if (!is_victim(i))
			continue;
		ASSERT_EQ(0, rule_set_ends(&self->rule, &pairs[i].ends));
		ASSERT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(1, rule_result(&self->rule, "matched"));
		EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	}
	EXPECT_EQ(PAIRS, first_wrong_pair(is_victim));
}

static bool is_ipv4(int i)
{
	return pair_family(i) == IPV4;
}

static bool is_none(int i)
{
	return false;
}

TEST_F(scale, more_than_max_are_counted_and_none_is_dropped)
{
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.2.0.0/16,::1"));
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", "127.0.0.1"));
	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", PAIRS / 5 * 4 - 1));
	EXPECT_EQ(-E2BIG, rule_commit(&self->rule));
	EXPECT_EQ(PAIRS / 5 * 4, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(PAIRS / 5 * 4, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(PAIRS, first_wrong_pair(is_none));

	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", PAIRS / 5 * 4));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(PAIRS / 5 * 4, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(PAIRS, first_wrong_pair(is_ipv4));
}

/*
 * 97 listeners share one bucket of the listeners' table, after buckets with
 * few matches: what was collected has to grow from there.
 */
TEST_F(scale, many_listeners_of_one_port_are_dropped)
{
	int fd[97], one = 1, i;
	struct end end;

	fd[0] = sock_new(IPV4);
	ASSERT_EQ(0, setsockopt(fd[0], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	ASSERT_EQ(0, sock_bind(fd[0], IPV4, "127.3.0.1", 0));
	ASSERT_EQ(0, end_of(fd[0], &end));
	for (i = 0; i < 97; i++) {
		if (i) {
			fd[i] = sock_new(IPV4);
			ASSERT_EQ(0, setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &one,
						sizeof(one)));
			ASSERT_EQ(0, sock_bind(fd[i], IPV4, "127.3.0.1", end.port));
		}
		ASSERT_EQ(0, listen(fd[i], 1));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.3.0.1,127.2.0.0/16"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(97 + PAIRS / 5 * 4, rule_result(&self->rule, "dropped"));
	for (i = 0; i < 97; i++) {
		EXPECT_EQ(TCP_CLOSE, sock_state(fd[i]));
	}
}

TEST_HARNESS_MAIN
