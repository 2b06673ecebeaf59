// SPDX-License-Identifier: GPL-2.0
/*
 * Commits while connections come and go: complete, ending, and true in what
 * they report.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define OLD 200
#define BYSTANDERS 100
#define MANY 4000
#define NEWCOMERS 200
#define LATE 2
#define ROUNDS 3

/* A server of the clients that come and go, all in its own threads. */
struct churn {
	int listener;
	struct end end;
	atomic_bool stop;
	atomic_long connections;
	pthread_t server, clients[2];
};

static int pairs_make(struct pair *pair, int count, const char *addr)
{
	int listener = sock_listen(IPV4, "127.0.0.1", 0);
	int i, ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = sock_pair(listener, IPV4, addr, 0, &pair[i]);
	close(listener);
	return ret;
}

static void pairs_close(struct pair *pair, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		close(pair[i].client);
		close(pair[i].server);
	}
}

static int pairs_dropped(const struct pair *pair, int count)
{
	int i, dropped = 0;

	for (i = 0; i < count; i++)
		dropped += sock_error(pair[i].client) == ECONNABORTED;
	return dropped;
}

static bool pairs_live(const struct pair *pair, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!sock_talks(pair[i].client, pair[i].server))
			return false;
	return true;
}

static void *churn_serve(void *arg)
{
	struct churn *churn = arg;
	int fd;

	while ((fd = accept(churn->listener, NULL, NULL)) >= 0)
		close(fd);
	return NULL;
}

/* From an address that the rules mean, and closed now first here, now there. */
static void *churn_connect(void *arg)
{
	struct churn *churn = arg;
	char byte;
	int fd;

	while (!atomic_load(&churn->stop)) {
		fd = sock_new(IPV4);
		if (!sock_bind(fd, IPV4, "127.4.0.1", 0) &&
		    !sock_connect(fd, IPV4, &churn->end) &&
		    atomic_fetch_add(&churn->connections, 1) % 2)
			recv(fd, &byte, 1, 0);
		close(fd);
	}
	return NULL;
}

static void churn_start(struct __test_metadata *_metadata, struct churn *churn)
{
	size_t i;

	churn->listener = sock_listen(IPV4, "127.5.0.1", 0);
	ASSERT_EQ(0, end_of(churn->listener, &churn->end));
	ASSERT_EQ(0, pthread_create(&churn->server, NULL, churn_serve, churn));
	for (i = 0; i < ARRAY_LEN(churn->clients); i++)
		ASSERT_EQ(0, pthread_create(&churn->clients[i], NULL, churn_connect, churn));
	ASSERT_TRUE(WAIT_UNTIL(atomic_load(&churn->connections) > 100));
}

static void churn_stop(struct __test_metadata *_metadata, struct churn *churn)
{
	size_t i;

	atomic_store(&churn->stop, true);
	for (i = 0; i < ARRAY_LEN(churn->clients); i++)
		ASSERT_EQ(0, pthread_join(churn->clients[i], NULL));
	shutdown(churn->listener, SHUT_RDWR);
	ASSERT_EQ(0, pthread_join(churn->server, NULL));
	close(churn->listener);
}

FIXTURE(churn)
{
	struct rule rule;
	struct churn churn;
	struct pair old[OLD];
	struct pair bystander[BYSTANDERS];
};

FIXTURE_SETUP(churn)
{
	struct rlimit files = { 20000, 20000 };

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, rule_new(&self->rule, "churn"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.4.0.0/16"));
	ASSERT_EQ(0, pairs_make(self->bystander, BYSTANDERS, "127.6.0.1"));
	churn_start(_metadata, &self->churn);
}

FIXTURE_TEARDOWN(churn)
{
	churn_stop(_metadata, &self->churn);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* The numbers agree with each other, whatever came and went meanwhile. */
static void expect_consistent(struct __test_metadata *_metadata, const struct rule *rule,
			      long at_least)
{
	struct rule_result result;
	long sum = 0;
	int state;

	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_EQ(result.matched, result.dropped + result.failed);
	EXPECT_EQ(0, result.failed);
	EXPECT_LE(at_least, result.dropped);
	for (state = TCP_ESTABLISHED; state <= TCP_CLOSING; state++)
		sum += state == TCP_CLOSE ? 0 : result_state(&result, state_name(state));
	EXPECT_EQ(result.dropped, sum);
}

TEST_F(churn, every_old_connection_is_dropped_and_no_bystander)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, pairs_make(self->old, OLD, "127.4.1.1"));
		ASSERT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(OLD, pairs_dropped(self->old, OLD));
		expect_consistent(_metadata, &self->rule, OLD);
		pairs_close(self->old, OLD);
	}
	EXPECT_TRUE(pairs_live(self->bystander, BYSTANDERS));
}

TEST_F(churn, a_rule_for_all_states_ends_and_leaves_other_addresses_alone)
{
	int round;

	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	for (round = 0; round < 4 * ROUNDS; round++) {
		ASSERT_EQ(0, rule_commit(&self->rule));
		expect_consistent(_metadata, &self->rule, 0);
	}
	EXPECT_TRUE(pairs_live(self->bystander, BYSTANDERS));
}

/* Those that are still there become TIME_WAIT. Returns how many these are. */
static int pairs_shutdown(const struct pair *pair, int count)
{
	int i, closed = 0;

	for (i = 0; i < count; i++)
		closed += !shutdown(pair[i].client, SHUT_WR) && !shutdown(pair[i].server, SHUT_WR);
	return closed;
}

/* A thread that closes some when it is told to. */
struct closer {
	pthread_t thread;
	sem_t now;
	const struct pair *pair;
};

static void *closer_main(void *arg)
{
	struct closer *closer = arg;

	while (sem_wait(&closer->now))
		;
	pairs_shutdown(closer->pair, OLD / 2);
	return NULL;
}

static int closer_start(struct closer *closer, const struct pair *pair)
{
	closer->pair = pair;
	return sem_init(&closer->now, 0, 0) ? -errno :
	       -pthread_create(&closer->thread, NULL, closer_main, closer);
}

/* Not where the commit is, which comes before all others there, if there is another CPU. */
static int closer_tell(struct closer *closer, const struct hold *hold)
{
	cpu_set_t others = hold->cpus;

	CPU_CLR(sched_getcpu(), &others);
	if (CPU_COUNT(&others) &&
	    pthread_setaffinity_np(closer->thread, sizeof(others), &others))
		return -EINVAL;
	return sem_post(&closer->now) ? -errno : 0;
}

/* Some while the commit is between two sockets, and the others while it runs. */
TEST_F(churn, connections_that_close_meanwhile_are_gone_or_dropped)
{
	struct closer closer;
	struct table table;
	struct hold hold;
	int round, i;

	ASSERT_EQ(0, rule_set(&self->rule, "max", "1000000"));
	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, pairs_make(self->old, OLD, "127.4.1.1"));
		ASSERT_EQ(0, closer_start(&closer, self->old + OLD / 2));
		ASSERT_EQ(0, commit_hold(&hold, &self->rule, self->old, OLD));
		EXPECT_LT(0, pairs_shutdown(self->old, OLD / 2));
		EXPECT_EQ(0, closer_tell(&closer, &hold));
		commit_let_go(&hold);
		EXPECT_EQ(0, rule_commit_end(hold.pid));
		ASSERT_EQ(0, pthread_join(closer.thread, NULL));
		expect_consistent(_metadata, &self->rule, 0);
		/* What was there before is gone, in whatever state it was. */
		ASSERT_EQ(0, table_read(&table));
		for (i = 0; i < OLD; i++) {
			EXPECT_EQ(NULL, table_find(&table, &self->old[i].ends));
		}
		table_free(&table);
		pairs_close(self->old, OLD);
	}
}

TEST_F(churn, a_listing_has_every_old_connection_once)
{
	char line[128], *text;
	int round, i;

	ASSERT_EQ(0, pairs_make(self->old, OLD, "127.4.1.1"));
	for (round = 0; round < ROUNDS; round++) {
		text = rule_list(&self->rule);
		ASSERT_NE(NULL, text);
		for (i = 0; i < OLD; i++) {
			ends_print(&self->old[i].ends, TCP_ESTABLISHED, line, sizeof(line));
			ASSERT_EQ(1, text_count(text, line)) TH_LOG("%s", line);
		}
		free(text);
	}
	pairs_close(self->old, OLD);
}

/*
 * Commits that run at the same time, or are cut short.
 */
FIXTURE(many)
{
	struct rule rule[2];
	struct pair *pair;
};

FIXTURE_SETUP(many)
{
	struct rlimit files = { 20000, 20000 };
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, netns_new());
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, rule_new(&self->rule[i], i ? "many-b" : "many-a"));
		ASSERT_EQ(0, rule_set(&self->rule[i], "saddr", "127.4.0.0/16"));
	}
	self->pair = calloc(MANY, sizeof(*self->pair));
	ASSERT_EQ(0, pairs_make(self->pair, MANY, "127.4.1.1"));
}

FIXTURE_TEARDOWN(many)
{
	EXPECT_EQ(0, rule_remove(&self->rule[0]));
	EXPECT_EQ(0, rule_remove(&self->rule[1]));
}

static void *commit_thread(void *rule)
{
	return (void *)(long)rule_commit(rule);
}

/* All go, each by one of the two rules. */
static void commit_both(struct __test_metadata *_metadata, struct rule rule[2])
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, commit_thread, &rule[1]));
	EXPECT_EQ(0, rule_commit(&rule[0]));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_EQ(MANY, rule_result(&rule[0], "dropped") + rule_result(&rule[1], "dropped"));
	EXPECT_EQ(0, rule_result(&rule[0], "failed"));
	EXPECT_EQ(0, rule_result(&rule[1], "failed"));
	EXPECT_EQ(0, rule_count(&rule[0]));
}

TEST_F(many, two_rules_at_once_count_each_socket_once)
{
	commit_both(_metadata, self->rule);
	EXPECT_EQ(MANY, pairs_dropped(self->pair, MANY));
}

/* Of a minisock the kernel does not tell who ended it. */
TEST_F(many, two_rules_at_once_count_each_minisock_once)
{
	int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, sock_finish(self->pair[i].client, self->pair[i].server));
	ASSERT_EQ(MANY, rule_count(&self->rule[0]));
	commit_both(_metadata, self->rule);
}

/* Begin to commit, by one worker, and stop after some of the sockets. */
static void hold_half_way(struct __test_metadata *_metadata, const struct rule *rule,
			  const struct pair *pair, struct hold *hold)
{
	ASSERT_EQ(0, rule_setf(rule, "max", "%d", MANY));
	ASSERT_EQ(0, commit_hold(hold, rule, pair, MANY / 10));
	ASSERT_GT(MANY, rule_result(rule, "matched"));
}

TEST_F(many, a_write_during_a_commit_is_refused)
{
	const struct rule *rule = &self->rule[0];
	struct hold hold;
	char error[256];

	hold_half_way(_metadata, rule, self->pair, &hold);
	EXPECT_EQ(-EBUSY, rule_set(rule, "sport", "80"));
	EXPECT_EQ(-EBUSY, rule_commit(rule));
	ASSERT_EQ(0, rule_get(rule, "last_error", error, sizeof(error)));
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	EXPECT_NE(NULL, strstr(error, "a commit of this rule is running"));
	EXPECT_EQ(MANY, rule_result(rule, "dropped"));

	/* What was refused meanwhile has to be written anew. */
	EXPECT_EQ(-EINVAL, rule_commit(rule));
	EXPECT_EQ(0, rule_set(rule, "sport", "80"));
	EXPECT_EQ(0, rule_commit(rule));
}

TEST_F(many, a_signal_stops_a_commit_which_says_how_far_it_came)
{
	const struct rule *rule = &self->rule[0];
	struct hold hold;
	long dropped;

	hold_half_way(_metadata, rule, self->pair, &hold);
	ASSERT_EQ(0, kill(hold.pid, SIGTERM));
	commit_let_go(&hold);
	EXPECT_EQ(-EINTR, rule_commit_end(hold.pid));
	dropped = rule_result(rule, "dropped");
	EXPECT_LT(0, dropped);
	EXPECT_GT(MANY, dropped);
	EXPECT_EQ(dropped, pairs_dropped(self->pair, MANY));
	EXPECT_EQ(dropped, rule_result(rule, "matched"));
	EXPECT_EQ(MANY - dropped, rule_result(rule, "remaining"));

	/* And the next commit does the rest. */
	EXPECT_EQ(0, rule_commit(rule));
	EXPECT_EQ(MANY - dropped, rule_result(rule, "dropped"));
}

/*
 * To connect may take waiting, and then the commit goes on, and may drop what is
 * being made. Returns how many were made before that.
 */
static int newcomers_make(struct pair *newcomer)
{
	int made = 0;

	while (made < NEWCOMERS && !pairs_make(&newcomer[made], 1, "127.4.2.2"))
		made++;
	return made;
}

/*
 * They came after the look whether there are too many. What became of one whose
 * making was cut short is not known, so it may count or not; and those that came
 * after the commit had ended, since making them took waiting, are not what
 * remained.
 */
TEST_F(many, newcomers_make_a_commit_drop_no_more_than_max)
{
	const struct rule *rule = &self->rule[0];
	struct pair newcomer[NEWCOMERS], late[LATE];
	struct rule_result result;
	int made, cut, old, left;
	struct hold hold;

	hold_half_way(_metadata, rule, self->pair, &hold);
	made = newcomers_make(newcomer);
	cut = made < NEWCOMERS;
	commit_let_go(&hold);
	EXPECT_EQ(0, rule_commit_end(hold.pid));

	ASSERT_EQ(0, rule_result_read(rule, &result));
	old = pairs_dropped(self->pair, MANY);
	left = MANY + made - old - pairs_dropped(newcomer, made);
	EXPECT_GE(MANY, result.matched);
	EXPECT_EQ(result.matched, result.dropped);
	EXPECT_LE(MANY + made - left, result.dropped);
	EXPECT_GE(MANY + made - left + cut, result.dropped);
	EXPECT_LE(MANY - old, result.remaining);
	EXPECT_GE(left + cut, result.remaining);

	ASSERT_EQ(0, pairs_make(late, LATE, "127.4.2.3"));
	ASSERT_EQ(0, rule_set(rule, "max", "1"));
	EXPECT_EQ(-E2BIG, rule_commit(rule));
	EXPECT_LE(left + LATE, rule_result(rule, "matched"));
	EXPECT_GE(left + LATE + cut, rule_result(rule, "matched"));
}

TEST_HARNESS_MAIN
