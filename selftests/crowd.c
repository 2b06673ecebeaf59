// SPDX-License-Identifier: GPL-2.0
/*
 * Many connections with the same two ends, each bound to a device of its own:
 * they share one bucket of the table, which holds far more than a commit or a
 * listing makes room for at first.
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
#include "tcpdrop_host.h"
#include "tcpdrop_util.h"

#define SERVER_PORT 7000
#define CROWD_PORT 7001
#define OTHER_PORTS 7100
#define CROWD 150
#define MINISOCKS (CROWD / 3)

/* Far more than a CPU keeps for the next, and counts as in use. */
#define FINISHED 1000

/* Over the other buckets of the table. */
#define SPREAD 100

/* Binding by index does not ask whether there is such a device. */
#define FIRST_DEVICE 1000

FIXTURE(crowd)
{
	struct rule rule;
	int listener;
	struct pair crowd[CROWD];	/* every third a minisock in FIN_WAIT_2 */
	struct pair spread[SPREAD];
};

FIXTURE_VARIANT(crowd)
{
	enum family family;
	const char *addr;
};

FIXTURE_VARIANT_ADD(crowd, ipv4) { .family = IPV4, .addr = "127.0.0.1" };
FIXTURE_VARIANT_ADD(crowd, ipv6) { .family = IPV6, .addr = "::1" };

static bool is_minisock(int i)
{
	return i % 3 == 0;
}

/* Bind both ends to a device; 0: to none, so that they talk over any. */
static int pair_bind(const struct pair *pair, int device)
{
	if (setsockopt(pair->client, SOL_SOCKET, SO_BINDTOIFINDEX, &device, sizeof(device)) ||
	    setsockopt(pair->server, SOL_SOCKET, SO_BINDTOIFINDEX, &device, sizeof(device)))
		return -errno;
	return 0;
}

/* Close a connection's way to the server, and bind it to a device. */
static int half_close(const struct pair *pair, int device)
{
	int ret = pair_bind(pair, 0);

	if (ret)
		return ret;
	shutdown(pair->client, SHUT_WR);
	if (!WAIT_UNTIL(sock_state(pair->client) == TCP_FIN_WAIT2))
		return -ETIMEDOUT;
	return pair_bind(pair, device);
}

/* From here on the next connection can have the same ends. */
static int crowd_add(struct pair *pair, int i, int listener, enum family family,
		     const char *addr)
{
	int ret;

	ret = sock_pair(listener, family, addr, CROWD_PORT, pair);
	if (ret)
		return ret;
	ret = is_minisock(i) ? half_close(pair, FIRST_DEVICE + i) :
			       pair_bind(pair, FIRST_DEVICE + i);
	if (is_minisock(i)) {
		close(pair->client);
		pair->client = -1;
	}
	return ret;
}

static int crowd_make(struct pair *crowd, int listener, enum family family, const char *addr)
{
	int i, ret = 0;

	for (i = 0; i < CROWD && !ret; i++)
		ret = crowd_add(&crowd[i], i, listener, family, addr);
	return ret;
}

static int spread_make(struct pair *spread, int listener, enum family family, const char *addr)
{
	int i, ret = 0;

	for (i = 0; i < SPREAD && !ret; i++)
		ret = sock_pair(listener, family, addr, 0, &spread[i]);
	return ret;
}

FIXTURE_SETUP(crowd)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(variant->family, variant->addr, SERVER_PORT);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, crowd_make(self->crowd, self->listener, variant->family, variant->addr));
	ASSERT_EQ(0, spread_make(self->spread, self->listener, variant->family,
				 variant->addr));
	ASSERT_EQ(0, rule_new(&self->rule, "crowd"));
}

/* The ends that are left could not tell each other that they are closed. */
FIXTURE_TEARDOWN(crowd)
{
	EXPECT_EQ(0, rule_clear_ends(&self->rule));
	EXPECT_EQ(0, rule_set(&self->rule, "max", "0"));
	EXPECT_EQ(0, rule_set(&self->rule, "state", "all"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* All of a state were dropped, and of no other state any. */
static void expect_dropped(struct __test_metadata *_metadata, const struct rule *rule,
			   long established, long minisocks)
{
	struct rule_result result;

	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_EQ(established + minisocks, result.matched);
	EXPECT_EQ(established + minisocks, result.dropped);
	EXPECT_EQ(0, result.failed);
	EXPECT_EQ(0, result.remaining);
	EXPECT_EQ(established, result_state(&result, "ESTABLISHED"));
	EXPECT_EQ(minisocks, result_state(&result, "FIN_WAIT_2"));
}

/* How many of the crowd's open clients were dropped. */
static int crowd_dropped(const struct pair *crowd)
{
	int i, dropped = 0;

	for (i = 0; i < CROWD; i++)
		dropped += crowd[i].client >= 0 &&
			   sock_error(crowd[i].client) == ECONNABORTED;
	return dropped;
}

/* How many of the crowd's open clients still talk to their servers. */
static int crowd_talking(const struct pair *crowd)
{
	int i, talking = 0;

	for (i = 0; i < CROWD; i++) {
		if (is_minisock(i) || pair_bind(&crowd[i], 0))
			continue;
		talking += sock_talks(crowd[i].client, crowd[i].server);
		pair_bind(&crowd[i], FIRST_DEVICE + i);
	}
	return talking;
}

/* Nothing reached the other ends, which share a bucket too. */
static int servers_untouched(const struct pair *crowd)
{
	int i, untouched = 0;

	for (i = 0; i < CROWD; i++)
		untouched += sock_state(crowd[i].server) ==
			     (is_minisock(i) ? TCP_CLOSE_WAIT : TCP_ESTABLISHED);
	return untouched;
}

static int spread_talking(const struct pair *spread)
{
	int i, talking = 0;

	for (i = 0; i < SPREAD; i++)
		talking += sock_talks(spread[i].client, spread[i].server);
	return talking;
}

/* The rule lists so many of the crowd in this state. */
static int crowd_listed(const struct rule *rule, const struct pair *crowd, int state)
{
	char line[128], *list;
	int count;

	list = rule_list(rule);
	if (!list)
		return -errno;
	ends_print(&crowd->ends, state, line, sizeof(line));
	count = text_count(list, line);
	free(list);
	return count;
}

TEST_F(crowd, exact_ends_mean_all_on_whatever_device)
{
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	EXPECT_EQ(CROWD, rule_count(&self->rule));
	EXPECT_EQ(MINISOCKS, crowd_listed(&self->rule, self->crowd, TCP_FIN_WAIT2));
	EXPECT_EQ(CROWD - MINISOCKS, crowd_listed(&self->rule, self->crowd, TCP_ESTABLISHED));

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_dropped(_metadata, &self->rule, CROWD - MINISOCKS, MINISOCKS);
	EXPECT_EQ(CROWD - MINISOCKS, crowd_dropped(self->crowd));
	EXPECT_EQ(CROWD, servers_untouched(self->crowd));
	EXPECT_EQ(SPREAD, spread_talking(self->spread));
}

TEST_F(crowd, is_listed_with_all_that_is_in_other_buckets)
{
	char *list = file_read_all(PROC_FILE);

	ASSERT_NE(NULL, list);
	EXPECT_EQ(2 * (CROWD + SPREAD), text_count(list, "\n"));
	free(list);
}

TEST_F(crowd, a_state_picks_from_the_bucket)
{
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "FIN_WAIT_2"));
	EXPECT_EQ(MINISOCKS, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_dropped(_metadata, &self->rule, 0, MINISOCKS);
	EXPECT_EQ(CROWD - MINISOCKS, crowd_talking(self->crowd));

	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	EXPECT_EQ(CROWD - MINISOCKS, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_dropped(_metadata, &self->rule, CROWD - MINISOCKS, 0);
	EXPECT_EQ(CROWD - MINISOCKS, crowd_dropped(self->crowd));
	EXPECT_EQ(CROWD, servers_untouched(self->crowd));
	EXPECT_EQ(SPREAD, spread_talking(self->spread));
}

TEST_F(crowd, a_commit_through_the_table_drops_all_of_one_bucket_and_of_the_others)
{
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "%d", SERVER_PORT));
	EXPECT_EQ(CROWD + SPREAD, rule_count(&self->rule));
	EXPECT_EQ(MINISOCKS, crowd_listed(&self->rule, self->crowd, TCP_FIN_WAIT2));
	EXPECT_EQ(CROWD - MINISOCKS, crowd_listed(&self->rule, self->crowd, TCP_ESTABLISHED));

	ASSERT_EQ(0, rule_commit(&self->rule));

	expect_dropped(_metadata, &self->rule, CROWD + SPREAD - MINISOCKS, MINISOCKS);
	EXPECT_EQ(CROWD - MINISOCKS, crowd_dropped(self->crowd));
	EXPECT_EQ(CROWD, servers_untouched(self->crowd));
}

TEST_F(crowd, one_more_than_max_is_one_too_many)
{
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", CROWD - 1));
	EXPECT_EQ(-E2BIG, rule_commit(&self->rule));
	EXPECT_EQ(CROWD, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(CROWD - MINISOCKS, crowd_talking(self->crowd));

	ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", CROWD));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_dropped(_metadata, &self->rule, CROWD - MINISOCKS, MINISOCKS);
}

/*
 * A request that is dropped may have become a connection meanwhile; another
 * with its ends, which is bound to a device, is none that it has become.
 */
TEST_F(crowd, a_request_is_told_from_connections_on_other_devices)
{
	struct ends ends = ends_swap(&self->crowd[0].ends);
	struct rule_result result;
	int client, reuse = 1;

	client = sock_new(variant->family);
	ASSERT_EQ(0, setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)));
	ASSERT_EQ(0, sock_bind(client, variant->family, variant->addr, CROWD_PORT));
	ASSERT_EQ(0, sock_mute(client));
	ASSERT_EQ(0, sock_nonblock(client));
	ASSERT_EQ(-EINPROGRESS, sock_connect(client, variant->family, &self->crowd[0].ends.remote));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "SYN_RECV"));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == 1));

	ASSERT_EQ(0, rule_commit(&self->rule));

	ASSERT_EQ(0, rule_result_read(&self->rule, &result));
	EXPECT_EQ(1, result.matched);
	EXPECT_EQ(1, result.dropped);
	EXPECT_EQ(0, result.failed);
	close(client);
	EXPECT_EQ(CROWD - MINISOCKS, crowd_talking(self->crowd));
}

struct drop {
	const struct rule *rule;
	enum family family;
	const char *addr;
};

/* Another crowd and spread, of another namespace. */
static int drop_another(const void *with)
{
	struct pair crowd[CROWD], spread[SPREAD];
	const struct drop *drop = with;
	int listener, ret;

	listener = sock_listen(drop->family, drop->addr, SERVER_PORT);
	ret = crowd_make(crowd, listener, drop->family, drop->addr);
	if (!ret)
		ret = spread_make(spread, listener, drop->family, drop->addr);
	if (!ret)
		ret = rule_commit(drop->rule);
	return ret;
}

/*
 * Each socket that a commit does not let go of holds its namespace. So does an
 * end that nobody holds and whose peer cannot hear it: both ends are dropped,
 * unless the one was reset when the other went.
 */
TEST_F(crowd, nothing_holds_what_was_dropped)
{
	const struct drop drop = {
		.rule = &self->rule, .family = variant->family, .addr = variant->addr,
	};

	ASSERT_EQ(0, rule_setf(&self->rule, "port", "%d", SERVER_PORT));

	ASSERT_EQ(0, netns_leave(netns_new, drop_another, &drop));
	EXPECT_LE(2 * CROWD + SPREAD, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
}

/*
 * Of both ends of as many connections with the same ends: a commit has 672 in hand, of the first
 * of these chains it counts the rest, and of the second it takes as many once more unawares.
 */
#define LARGE 1400

static int drop_large(const void *rule)
{
	int i, listener, ret = 0;
	struct pair pair;

	listener = sock_listen(IPV4, "127.0.0.1", SERVER_PORT);
	for (i = 0; i < LARGE && !ret; i++) {
		ret = sock_pair(listener, IPV4, "127.0.0.1", CROWD_PORT, &pair);
		if (!ret)
			ret = pair_bind(&pair, FIRST_DEVICE + i);
	}
	return ret ?: rule_commit(rule);
}

TEST(nothing_holds_what_a_commit_had_no_room_for)
{
	struct rlimit files = { 2 * LARGE + 100, 2 * LARGE + 100 };
	struct rule rule;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, rule_new(&rule, "crowd"));
	ASSERT_EQ(0, rule_setf(&rule, "port", "%d", SERVER_PORT));

	EXPECT_EQ(0, netns_leave(netns_new, drop_large, &rule));
	EXPECT_EQ(2 * LARGE, rule_result(&rule, "dropped"));
	EXPECT_EQ(0, rule_result(&rule, "failed"));
	EXPECT_EQ(0, rule_remove(&rule));
}

/* Minisocks hold no namespace: what a commit does not let go of stays in memory alone. */
TEST(no_minisock_is_left_in_memory)
{
	int i, listener;
	struct rule rule;
	struct pair pair;
	long before;

	REQUIRE_TCPDROP();
	if (slab_objects("tw_sock_TCP") < 0)
		KERNEL_HAS_NO("/proc/slabinfo");
	ASSERT_EQ(0, netns_new());
	listener = sock_listen(IPV4, "127.0.0.1", SERVER_PORT);
	ASSERT_LE(0, listener);
	for (i = 0; i < FINISHED; i++) {
		ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 0, &pair));
		ASSERT_EQ(0, sock_finish(pair.client, pair.server));
	}
	ASSERT_EQ(0, rule_new(&rule, "crowd"));
	ASSERT_EQ(0, rule_set(&rule, "state", "TIME_WAIT"));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&rule) == FINISHED));
	before = slab_objects("tw_sock_TCP");
	EXPECT_LE(FINISHED / 2, before);

	ASSERT_EQ(0, rule_commit(&rule));

	EXPECT_EQ(FINISHED, rule_result(&rule, "dropped"));
	EXPECT_TRUE(WAIT_UNTIL(slab_objects("tw_sock_TCP") < before - FINISHED / 4)) {
		TH_LOG("%ld before, %ld after", before, slab_objects("tw_sock_TCP"));
	}
	EXPECT_EQ(0, rule_remove(&rule));
}

/*
 * They are all found at once, and dropped one after the other. What has got
 * another mark by then is not what the rule asks for.
 */
TEST_F(crowd, what_no_longer_matches_when_its_turn_comes_stays)
{
	int i, mark = 7, dropped;
	struct hold hold;

	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0)
			ASSERT_EQ(0, setsockopt(self->crowd[i].client, SOL_SOCKET, SO_MARK,
						&mark, sizeof(mark)));
	ASSERT_EQ(0, rule_set(&self->rule, "mark", "7"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000"));
	ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->crowd, CROWD));
	/* Longer than who comes first may have the CPU, by default. */
	spin_us(1200000);
	mark = 8;
	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0)
			ASSERT_EQ(0, setsockopt(self->crowd[i].client, SOL_SOCKET, SO_MARK,
						&mark, sizeof(mark)));
	dropped = crowd_dropped(self->crowd);
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	/* Of one the commit may have been about to call the abort. */
	EXPECT_LE(1, dropped);
	EXPECT_GE(2, dropped);
	EXPECT_LE(rule_result(&self->rule, "dropped"), dropped + 1);
	EXPECT_GE(dropped + 1, crowd_dropped(self->crowd));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	ASSERT_EQ(0, rule_set(&self->rule, "mark", "any"));
}

/* They get no further than to the end of their own, since there is no such device. */
TEST_F(crowd, what_has_left_its_state_when_its_turn_comes_stays)
{
	int i, dropped, stay = 0;
	struct hold hold;

	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "ESTABLISHED"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000"));
	ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->crowd, CROWD));
	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0)
			shutdown(self->crowd[i].client, SHUT_WR);
	dropped = crowd_dropped(self->crowd);
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	/* Of one the commit may have been about to call the abort. */
	EXPECT_LE(1, dropped);
	EXPECT_GE(2, dropped);
	for (i = 0; i < CROWD; i++)
		stay += self->crowd[i].client >= 0 &&
			sock_state(self->crowd[i].client) == TCP_FIN_WAIT1;
	EXPECT_LE(CROWD - MINISOCKS - dropped - 1, stay);
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
}

/* They are other objects then, in the same bucket. */
TEST_F(crowd, what_has_become_a_minisock_when_its_turn_comes_is_dropped)
{
	struct hold hold;
	int i;

	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0)
			ASSERT_EQ(0, half_close(&self->crowd[i], FIRST_DEVICE + i));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000"));
	ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->crowd, CROWD));
	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0)
			close(self->crowd[i].client);
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	EXPECT_EQ(CROWD, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
}

/* To a listener of its own, over whichever device. */
static int connect_anew(int client, enum family family, const char *addr, int port)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct end end;
	int any = 0;

	if (sock_listen(family, addr, port) < 0 || end_parse(&end, addr, port) ||
	    setsockopt(client, SOL_SOCKET, SO_BINDTOIFINDEX, &any, sizeof(any)) ||
	    connect(client, &nobody, sizeof(nobody)))
		return -EINVAL;
	return sock_connect(client, family, &end);
}

TEST_F(crowd, what_has_connected_anew_when_its_turn_comes_stays)
{
	struct hold hold;
	int i, anew = 0;

	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000"));
	ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->crowd, CROWD));
	for (i = 0; i < CROWD; i++)
		if (self->crowd[i].client >= 0 &&
		    sock_state(self->crowd[i].client) == TCP_ESTABLISHED)
			anew += !connect_anew(self->crowd[i].client, variant->family,
					      variant->addr, OTHER_PORTS + i);
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	EXPECT_LT(0, anew);
	for (i = 0; i < CROWD; i++)
		anew -= self->crowd[i].client >= 0 &&
			sock_state(self->crowd[i].client) == TCP_ESTABLISHED;
	/* Of one the commit may have been about to call the abort. */
	EXPECT_LE(0, anew);
	EXPECT_GE(1, anew);
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
}

TEST_F(crowd, what_another_commit_drops_before_its_turn_comes_counts_once)
{
	struct rule other;
	struct hold hold;
	long dropped;

	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000"));
	ASSERT_EQ(0, rule_new(&other, "other"));
	ASSERT_EQ(0, rule_set_ends(&other, &self->crowd[0].ends));
	ASSERT_EQ(0, rule_set(&other, "state", "FIN_WAIT_2"));
	ASSERT_EQ(0, rule_set(&other, "max", "1000"));
	ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->crowd, CROWD));
	EXPECT_EQ(0, rule_commit(&other));
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	dropped = rule_result(&other, "dropped");
	EXPECT_LT(0, dropped);
	EXPECT_EQ(CROWD - dropped, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&other, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_remove(&other));
}

TEST_HARNESS_MAIN
