// SPDX-License-Identifier: GPL-2.0
/*
 * SMC that has fallen back to TCP, for want of a device that both ends have: the
 * kernel has made the TCP socket, but it is the application's, and is dropped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#ifndef AF_SMC
#define AF_SMC 43
#endif

/* Where one end does not know SMC, the other falls back all by itself. */
FIXTURE(smc)
{
	struct rule rule;
	struct sockaddr_in addr;
	struct ends ends;	/* as the target sees them */
	int listener;
	int client;
	int server;
	int target;
	int peer;
};

FIXTURE_VARIANT(smc)
{
	int listener;		/* families */
	int client;
	bool accepted;		/* the target is the end that was accepted */
};

FIXTURE_VARIANT_ADD(smc, connected) {
	.listener = AF_SMC, .client = AF_SMC, .accepted = false,
};

FIXTURE_VARIANT_ADD(smc, accepted) {
	.listener = AF_SMC, .client = AF_SMC, .accepted = true,
};

FIXTURE_VARIANT_ADD(smc, connected_to_tcp) {
	.listener = AF_INET, .client = AF_SMC, .accepted = false,
};

FIXTURE_VARIANT_ADD(smc, accepted_from_tcp) {
	.listener = AF_SMC, .client = AF_INET, .accepted = true,
};

/* Both ends have to run for the handshake of SMC to come to its end. */
static void *accept_one(void *arg)
{
	FIXTURE_DATA(smc) * self = arg;

	self->server = accept(self->listener, NULL, NULL);
	return NULL;
}

FIXTURE_SETUP(smc)
{
	socklen_t len = sizeof(self->addr);
	pthread_t thread;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	self->listener = socket(AF_SMC, SOCK_STREAM, 0);
	if (self->listener < 0 && errno == EAFNOSUPPORT)
		KERNEL_HAS_NO("SMC");
	close(self->listener);
	self->addr.sin_family = AF_INET;
	self->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	self->listener = socket(variant->listener, SOCK_STREAM, 0);
	self->client = socket(variant->client, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(self->listener, (struct sockaddr *)&self->addr, len));
	ASSERT_EQ(0, listen(self->listener, 8));
	ASSERT_EQ(0, getsockname(self->listener, (struct sockaddr *)&self->addr, &len));
	ASSERT_EQ(0, pthread_create(&thread, NULL, accept_one, self));
	ASSERT_EQ(0, connect(self->client, (struct sockaddr *)&self->addr, len));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_LE(0, self->server);
	ASSERT_TRUE(sock_talks(self->client, self->server));
	self->target = variant->accepted ? self->server : self->client;
	self->peer = variant->accepted ? self->client : self->server;
	ASSERT_EQ(0, ends_of(self->target, &self->ends));
	ASSERT_TRUE(ends_in_table(&self->ends));
	ASSERT_EQ(0, rule_new(&self->rule, "smc"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->ends));
}

FIXTURE_TEARDOWN(smc)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* The whole connection is over: one end was aborted, the other is reset. */
static void expect_over(struct __test_metadata *_metadata, FIXTURE_DATA(smc) * self)
{
	struct ends ends = ends_swap(&self->ends);
	char byte;

	EXPECT_FALSE(ends_in_table(&self->ends));
	EXPECT_TRUE(WAIT_UNTIL(!ends_in_table(&ends)));
	EXPECT_EQ(-1, recv(self->target, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_EQ(-1, recv(self->peer, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(ECONNRESET, errno);
}

TEST_F(smc, that_fell_back_is_dropped_by_a_rule)
{
	char line[128], list[256];

	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	ends_print(&self->ends, TCP_ESTABLISHED, line, sizeof(line));
	EXPECT_STREQ(line, list);

	ASSERT_EQ(0, rule_commit(&self->rule));

	ASSERT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	expect_over(_metadata, self);
}

TEST_F(smc, that_fell_back_is_dropped_by_a_line)
{
	ASSERT_EQ(0, ends_drop(&self->ends));
	expect_over(_metadata, self);
}

TEST_HARNESS_MAIN
