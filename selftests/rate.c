// SPDX-License-Identifier: GPL-2.0
/*
 * Commits that keep to a rate.  That they are not too fast is certain on any
 * machine; that they are fast enough is not asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_stuck.h"

#define TRACING "/sys/kernel/tracing"
#define CLIENTS "127.6.0.2"
#define SERVER "127.6.0.1"
#define MANY 400

/* How late a drop may be and the next still have its time. */
#define SLACK_US 1000

/* The clients of a server, and a connection that no rule means. */
FIXTURE(rate)
{
	struct pair pair[MANY];
	struct pair other;
	struct rule rule;
	int listener;
	int count;
};

FIXTURE_SETUP(rate)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	self->listener = sock_listen(IPV4, SERVER, 7000);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.6.0.3", 0, &self->other));
	ASSERT_EQ(0, rule_new(&self->rule, "rate"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", CLIENTS));
	self->count = 0;
}

FIXTURE_TEARDOWN(rate)
{
	EXPECT_TRUE(sock_talks(self->other.client, self->other.server));
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void add_clients(struct __test_metadata *_metadata, FIXTURE_DATA(rate) * self, int count)
{
	struct rlimit files = { 2 * MANY + 200, 2 * MANY + 200 };
	int i;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (i = 0; i < count; i++)
		ASSERT_EQ(0, sock_pair(self->listener, IPV4, CLIENTS, 0,
				       &self->pair[self->count + i]));
	self->count += count;
}

/* Children that nobody accepts; a commit comes to them at its end. */
static void add_children(struct __test_metadata *_metadata, FIXTURE_DATA(rate) * self,
			 int count)
{
	struct end to;
	int i, fd;

	ASSERT_EQ(0, end_of(self->listener, &to));
	for (i = 0; i < count; i++) {
		fd = sock_new(IPV4);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, sock_bind(fd, IPV4, "127.6.0.4", 0));
		ASSERT_EQ(0, sock_connect(fd, IPV4, &to));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "+" SERVER));
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", "!127.6.0.2,!127.6.0.3"));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) >= count));
}

/* So many drops have taken their time. */
static void expect_took_its_time(struct __test_metadata *_metadata, const struct rule *rule,
				 long rate)
{
	struct rule_result result;

	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_LE((result.dropped - 1) * 1000000 / rate, result.elapsed_us)
		TH_LOG("%ld dropped", result.dropped);
}

static void expect_all_dropped(struct __test_metadata *_metadata,
			       const FIXTURE_DATA(rate) * self)
{
	int i;

	EXPECT_EQ(self->count, rule_result(&self->rule, "matched"));
	EXPECT_EQ(self->count, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	for (i = 0; i < self->count; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->pair[i].client));
}

/* Times in microseconds of the drops that a tracer has seen; how many there are. */
static int drop_times(const char *path, int64_t *us, int max)
{
	char *text = file_read_all(path), *line, *save, *at;
	long sec, usec;
	int count = 0;

	if (!text)
		return -errno;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, ": tcpdrop_drop: ");
		if (!at || count == max)
			continue;
		while (at > line && at[-1] != ' ')
			at--;
		if (sscanf(at, "%ld.%ld:", &sec, &usec) == 2)
			us[count++] = sec * 1000000LL + usec;
	}
	free(text);
	return count;
}

static const struct {
	long rate;
	int count;
} rates[] = {
	{ 2, 4 },
	{ 20, 20 },
	{ 500, 200 },
	{ 20000, MANY },
};

TEST_F(rate, drops_keep_their_distance)
{
	char dir[128], path[256];
	int64_t us[MANY];
	int r, i, j, fd, count;

	snprintf(dir, sizeof(dir), TRACING "/instances/tcpdrop-%d", getpid());
	ASSERT_EQ(0, mkdir(dir, 0700));
	snprintf(path, sizeof(path), "%s/trace_clock", dir);
	ASSERT_EQ(0, file_write(path, "mono"));
	snprintf(path, sizeof(path), "%s/events/tcpdrop/tcpdrop_drop/enable", dir);
	ASSERT_EQ(0, file_write(path, "1"));
	snprintf(path, sizeof(path), "%s/trace", dir);
	for (r = 0; r < ARRAY_LEN(rates); r++) {
		self->count = 0;
		add_clients(_metadata, self, rates[r].count);
		ASSERT_EQ(0, rule_setf(&self->rule, "rate", "%ld", rates[r].rate));
		/* That empties it. */
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		ASSERT_LE(0, fd);
		close(fd);

		EXPECT_EQ(0, rule_commit(&self->rule));

		expect_all_dropped(_metadata, self);
		expect_took_its_time(_metadata, &self->rule, rates[r].rate);
		count = drop_times(path, us, MANY);
		EXPECT_EQ(self->count, count);
		for (i = 0; i < count; i++)
			for (j = i + 1; j < count; j++)
				ASSERT_LE((j - i) * 1000000 / rates[r].rate - SLACK_US - 1,
					  us[j] - us[i]) {
					TH_LOG("%d and %d of %ld a second", i, j,
					       rates[r].rate);
				}
		for (i = 0; i < self->count; i++) {
			close(self->pair[i].client);
			close(self->pair[i].server);
		}
	}
	EXPECT_EQ(0, rmdir(dir));
}

/* Of a process, as its stat has it. */
static char state_of(pid_t pid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, text, sizeof(text)))
		return '?';
	end = strrchr(text, ')');
	return end ? end[2] : '?';
}

static long children_cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* At one a second this takes minutes, unless a signal ends it. */
TEST_F(rate, commits_sleep_between_drops_and_a_signal_ends_them)
{
	long seen, last = 0, elapsed, dropped, cpu = children_cpu_us();
	int64_t start = clock_ms();
	pid_t pid;

	add_clients(_metadata, self, MANY);
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "1"));
	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);

	while (last < 3) {
		seen = rule_result(&self->rule, "dropped");
		ASSERT_LE(last, seen);
		ASSERT_GE((clock_ms() - start) / 1000 + 1, seen);
		last = seen;
		pause_ms(10);
	}
	EXPECT_TRUE(WAIT_UNTIL(state_of(pid) == 'S'));
	EXPECT_EQ(-EBUSY, rule_set(&self->rule, "rate", "any"));
	ASSERT_EQ(0, kill(pid, SIGTERM));

	EXPECT_EQ(-EINTR, rule_commit_end(pid));
	elapsed = rule_result(&self->rule, "elapsed_us");
	dropped = rule_result(&self->rule, "dropped");
	EXPECT_LE(3, dropped);
	EXPECT_GE(elapsed / 1000000 + 1, dropped);
	EXPECT_EQ(MANY - dropped, rule_result(&self->rule, "remaining"));
	EXPECT_GT(elapsed / 4, children_cpu_us() - cpu);

	ASSERT_EQ(0, rule_set(&self->rule, "rate", "0"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(MANY - dropped, rule_result(&self->rule, "dropped"));
}

/* A stop waits for the end of the commit, which waits without using a CPU. */
TEST_F(rate, a_stopped_process_keeps_to_the_rate_and_sleeps)
{
	long cpu = children_cpu_us();
	int status;
	pid_t pid;

	add_clients(_metadata, self, 8);
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "2"));
	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") >= 1));
	ASSERT_EQ(0, kill(pid, SIGSTOP));

	EXPECT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") == 8));
	ASSERT_EQ(0, kill(pid, SIGCONT));

	EXPECT_EQ(0, rule_commit_end(pid));
	expect_all_dropped(_metadata, self);
	expect_took_its_time(_metadata, &self->rule, 2);
	EXPECT_GT(rule_result(&self->rule, "elapsed_us") / 4, children_cpu_us() - cpu);
}

#define FREEZER "/tmp/tcpdrop-freezer"

static bool is_frozen(void)
{
	char state[16];

	return !file_read(FREEZER "/it/freezer.state", state, sizeof(state)) &&
	       !strcmp(state, "FROZEN");
}

/* The freezer of cgroup v1 freezes as a suspend does, which fails if it cannot. */
static void make_freezer(struct __test_metadata *_metadata)
{
	ASSERT_TRUE(!mkdir(FREEZER, 0700) || errno == EEXIST);
	ASSERT_EQ(0, mount("none", FREEZER, "cgroup", 0, "freezer"));
	ASSERT_EQ(0, mkdir(FREEZER "/it", 0700));
}

static void freeze(struct __test_metadata *_metadata, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	EXPECT_EQ(0, file_write(FREEZER "/it/cgroup.procs", text));
	EXPECT_EQ(0, file_write(FREEZER "/it/freezer.state", "FROZEN"));
	EXPECT_TRUE(WAIT_UNTIL(is_frozen()));
}

static void thaw(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, file_write(FREEZER "/it/freezer.state", "THAWED"));
}

/* When the process has ended. */
static void remove_freezer(struct __test_metadata *_metadata)
{
	EXPECT_TRUE(WAIT_UNTIL(!rmdir(FREEZER "/it") || errno != EBUSY));
	EXPECT_EQ(0, umount(FREEZER));
}

TEST_F(rate, commits_do_not_hold_up_a_suspend)
{
	long dropped;
	pid_t pid;

	add_clients(_metadata, self, MANY);
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "1"));
	make_freezer(_metadata);
	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") >= 1));

	freeze(_metadata, pid);
	dropped = rule_result(&self->rule, "dropped");
	pause_ms(1500);
	EXPECT_EQ(dropped, rule_result(&self->rule, "dropped"));
	thaw(_metadata);

	EXPECT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") > dropped));
	ASSERT_EQ(0, kill(pid, SIGTERM));
	EXPECT_EQ(-EINTR, rule_commit_end(pid));
	expect_took_its_time(_metadata, &self->rule, 1);
	remove_freezer(_metadata);
}

TEST_F(rate, children_keep_to_it_and_accept_does_not_wait)
{
	pid_t pid;
	int fd;

	add_children(_metadata, self, MANY / 2);
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "1"));
	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") >= 1));
	EXPECT_TRUE(WAIT_UNTIL(state_of(pid) == 'S'));
	fd = accept(self->listener, NULL, NULL);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, kill(pid, SIGTERM));
	EXPECT_EQ(-EINTR, rule_commit_end(pid));
	EXPECT_GT(MANY / 2, rule_result(&self->rule, "dropped"));
	expect_took_its_time(_metadata, &self->rule, 1);

	ASSERT_EQ(0, rule_set(&self->rule, "rate", "400"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	expect_took_its_time(_metadata, &self->rule, 400);
}

/*
 * A stuck owner has two seconds, and those that the rate takes are not his: he
 * lets go when a commit has been at its last drops for longer.  Each sleep is as
 * long as what would count of it at most.
 */
#define SLEEPS_A_SECOND 25
#define SLEEPS (5 * SLEEPS_A_SECOND / 2)

TEST_F(rate, owners_have_all_their_time)
{
	struct sender sender;
	int64_t start;
	char *page;
	int faults;
	pid_t pid;

	add_clients(_metadata, self, 1);
	faults = stuck_pages(&page, 1);
	ASSERT_LE(0, faults);
	ASSERT_EQ(0, sender_start(&sender, self->pair[0].client, page, faults));
	add_children(_metadata, self, SLEEPS + 5);
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", SERVER ",127.6.0.4"));
	ASSERT_EQ(0, rule_setf(&self->rule, "rate", "%d", SLEEPS_A_SECOND));

	start = clock_ms();
	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") > SLEEPS));
	EXPECT_LE(SLEEPS * 1000 / SLEEPS_A_SECOND, clock_ms() - start);
	EXPECT_EQ(0, sender_let_go(&sender, faults));

	EXPECT_EQ(0, rule_commit_end(pid));
	EXPECT_EQ(1 + SLEEPS + 5, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->pair[0].client));
	expect_took_its_time(_metadata, &self->rule, SLEEPS_A_SECOND);
}

/* Of the clients, the one that a walk comes to first. */
static int first_of(const FIXTURE_DATA(rate) * self)
{
	char *text = rule_list(&self->rule), line[128], *at, *first = NULL;
	int i, found = -1;

	for (i = 0; text && i < self->count; i++) {
		ends_print(&self->pair[i].ends, TCP_ESTABLISHED, line, sizeof(line));
		at = strstr(text, line);
		if (at && (!first || at < first)) {
			first = at;
			found = i;
		}
	}
	free(text);
	return found;
}

#define STUCK 9
#define WAITING 4

/*
 * A commit that has come to its last drops, as the children that it begins them with tell, lets go
 * of whomever it has been waiting for while it sleeps; and it can be held asleep.
 */
TEST_F(rate, owners_go_on_while_a_commit_sleeps)
{
	struct sender sender[STUCK];
	int i, first, faults, status;
	struct pair *pair;
	char *pages;
	pid_t pid, owner;

	add_clients(_metadata, self, STUCK);
	first = first_of(self);
	ASSERT_LE(0, first);
	faults = stuck_pages(&pages, STUCK);
	ASSERT_LE(0, faults);
	for (i = 0; i < STUCK; i++)
		ASSERT_EQ(0, sender_start(&sender[i], self->pair[i].client,
					  pages + i * getpagesize(), faults));
	add_children(_metadata, self, WAITING);
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", SERVER ",127.6.0.4"));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "1"));
	make_freezer(_metadata);

	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") >= 1));
	for (i = 0; i < STUCK; i++)
		if (i != first)
			EXPECT_EQ(0, sender_let_go(&sender[i], faults));
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") > WAITING));
	freeze(_metadata, pid);
	EXPECT_GT(STUCK + WAITING - 1, rule_result(&self->rule, "dropped"));

	EXPECT_EQ(0, sender_let_go(&sender[first], faults));
	pair = &self->pair[first];
	owner = fork();
	ASSERT_LE(0, owner);
	if (!owner)
		_exit(recv(pair->server, &status, 1, 0) != 1 ||
		      !sock_talks(pair->client, pair->server));
	EXPECT_TRUE(WAIT_UNTIL(waitpid(owner, &status, WNOHANG) == owner));
	EXPECT_EQ(0, status);
	thaw(_metadata);

	EXPECT_EQ(0, rule_commit_end(pid));
	remove_freezer(_metadata);
	EXPECT_EQ(STUCK + WAITING, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(ECONNABORTED, sock_error(pair->client));
}

/* A stuck owner uses up no time of the others, nor a drop. */
TEST_F(rate, stuck_owners_fail_and_all_others_go)
{
	struct sender sender[2];
	char *pages, byte;
	int i, faults;

	add_clients(_metadata, self, 20);
	faults = stuck_pages(&pages, 2);
	ASSERT_LE(0, faults);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, sender_start(&sender[i], self->pair[i].client,
					  pages + i * getpagesize(), faults));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "10"));

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(18, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(2, rule_result(&self->rule, "failed"));
	expect_took_its_time(_metadata, &self->rule, 10);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, sender_let_go(&sender[i], faults));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, recv(self->pair[i].server, &byte, 1, 0));
		EXPECT_TRUE(sock_talks(self->pair[i].server, self->pair[i].client));
	}
	for (; i < 20; i++)
		EXPECT_EQ(ECONNABORTED, sock_error(self->pair[i].client));
}

TEST_F(rate, max_goes_with_it)
{
	add_clients(_metadata, self, 6);
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "20"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "5"));
	EXPECT_EQ(-E2BIG, rule_commit(&self->rule));
	EXPECT_EQ(6, rule_count(&self->rule));

	ASSERT_EQ(0, rule_set(&self->rule, "max", "6"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	expect_all_dropped(_metadata, self);
	expect_took_its_time(_metadata, &self->rule, 20);
}

#define REQUESTS 8

/* Who has been accepted by now. */
static int accept_all(int listener)
{
	int count = 0;

	while (accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0)
		count++;
	return count;
}

/*
 * Their clients wait for nothing but to send, which they do after the first drop.  Each is dropped
 * as a request or becomes a connection, and never both.  Returns how many did become one.
 */
static int drop_requests(struct __test_metadata *_metadata, FIXTURE_DATA(rate) * self,
			 const char *rate)
{
	int seconds = 60, client[REQUESTS], i, accepted = 0;
	struct end to;
	pid_t pid;

	ASSERT_EQ(0, sock_nonblock(self->listener));
	ASSERT_EQ(0, setsockopt(self->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
				sizeof(seconds)));
	ASSERT_EQ(0, end_of(self->listener, &to));
	for (i = 0; i < REQUESTS; i++) {
		client[i] = sock_new(IPV4);
		ASSERT_EQ(0, sock_connect(client[i], IPV4, &to));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", SERVER));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "SYN_RECV"));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", rate));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == REQUESTS));

	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") > 0));
	for (i = 0; i < REQUESTS; i++)
		send(client[i], "x", 1, MSG_NOSIGNAL);
	EXPECT_EQ(0, rule_commit_end(pid));

	EXPECT_TRUE(WAIT_UNTIL((accepted += accept_all(self->listener)) +
			       rule_result(&self->rule, "dropped") >= REQUESTS));
	EXPECT_EQ(REQUESTS, accepted + rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	return accepted;
}

/* One at least has been found as a request, and waits for the time of its drop. */
TEST_F(rate, requests_that_are_connections_when_their_time_comes_stay)
{
	EXPECT_LT(0, drop_requests(_metadata, self, "1"));
}

TEST_F(rate, requests_that_become_connections_as_they_are_dropped_count_once)
{
	drop_requests(_metadata, self, "0");
}

/*
 * Children are known from the beginning, and have their times one after another.  What is
 * accepted and closed meanwhile has a minisock in its place.
 */
TEST_F(rate, children_that_are_minisocks_when_their_time_comes_are_dropped)
{
	int client[REQUESTS], i, fd;
	struct end to;
	pid_t pid;

	ASSERT_EQ(0, sock_nonblock(self->listener));
	ASSERT_EQ(0, end_of(self->listener, &to));
	for (i = 0; i < REQUESTS; i++) {
		client[i] = sock_new(IPV4);
		ASSERT_EQ(0, sock_bind(client[i], IPV4, CLIENTS, 0));
		ASSERT_EQ(0, sock_connect(client[i], IPV4, &to));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", SERVER));
	ASSERT_EQ(0, rule_set(&self->rule, "daddr", CLIENTS));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "2"));
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == REQUESTS));

	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") > 0));
	/* They come in the order in which they have connected. */
	for (i = 0; (fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; i++)
		sock_finish(fd, client[i]);
	EXPECT_EQ(0, rule_commit_end(pid));

	EXPECT_EQ(REQUESTS, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
}

#define BUSY 5
#define IDLE 4

/* Nobody who lets go of them then is seen to do so: the commit has not come back to them yet. */
TEST_F(rate, owners_that_let_go_before_the_commit_is_back_lose_their_connection)
{
	struct sender sender[BUSY];
	int i, faults;
	char *pages;
	pid_t pid;

	add_clients(_metadata, self, IDLE + BUSY);
	faults = stuck_pages(&pages, BUSY);
	ASSERT_LE(0, faults);
	for (i = 0; i < BUSY; i++)
		ASSERT_EQ(0, sender_start(&sender[i], self->pair[IDLE + i].client,
					  pages + i * getpagesize(), faults));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "2"));

	pid = rule_commit_elsewhere(&self->rule);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(WAIT_UNTIL(rule_result(&self->rule, "dropped") >= IDLE - 1));
	for (i = 0; i < BUSY; i++)
		EXPECT_EQ(0, sender_let_go(&sender[i], faults));
	EXPECT_EQ(0, rule_commit_end(pid));

	expect_all_dropped(_metadata, self);
}

/*
 * Clients who come and go while a commit waits for the time of its next drop: of what a
 * look finds in a bucket much has closed by then, so no look settles it.
 */
#define CHURNERS 4
#define AT_A_TIME 32

FIXTURE(churn)
{
	struct rule rule;
	struct pair bystander;
	pid_t churner[CHURNERS];
};

static void come_and_go(void)
{
	struct linger reset = { .l_onoff = 1 };
	struct pair pair[AT_A_TIME];
	int i, nr, listener;

	listener = sock_listen(IPV4, SERVER, 0);
	for (;;) {
		/* One may be dropped before it is complete. */
		for (nr = 0; nr < AT_A_TIME;)
			nr += !sock_pair(listener, IPV4, CLIENTS, 0, &pair[nr]);
		usleep(1000);
		for (i = 0; i < AT_A_TIME; i++) {
			setsockopt(pair[i].client, SOL_SOCKET, SO_LINGER, &reset,
				   sizeof(reset));
			close(pair[i].client);
			close(pair[i].server);
		}
	}
}

FIXTURE_SETUP(churn)
{
	int i, listener;

	REQUIRE_TCPDROP();
	if (access("/proc/sys/net/ipv4/tcp_child_ehash_entries", F_OK))
		KERNEL_HAS_NO("tables of a namespace's own");
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "2"));
	ASSERT_EQ(0, netns_new());
	listener = sock_listen(IPV4, SERVER, 7000);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.6.0.3", 0, &self->bystander));
	ASSERT_EQ(0, rule_new(&self->rule, "churn"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", CLIENTS));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "established"));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "100"));
	for (i = 0; i < CHURNERS; i++) {
		self->churner[i] = fork();
		ASSERT_LE(0, self->churner[i]);
		if (!self->churner[i])
			come_and_go();
	}
	ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) > 0));
}

FIXTURE_TEARDOWN(churn)
{
	int i;

	for (i = 0; i < CHURNERS; i++) {
		if (self->churner[i] <= 0)
			continue;
		kill(self->churner[i], SIGKILL);
		waitpid(self->churner[i], NULL, 0);
	}
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Eight looks at each of two buckets, all of which may have to wait for their time: up to 20 s. */
#define PATIENCE 4

TEST_F(churn, of_clients_does_not_keep_a_commit_at_work)
{
	pid_t pid = rule_commit_elsewhere(&self->rule);
	bool ended = false;
	int i, status;

	ASSERT_LT(0, pid);
	for (i = 0; i < PATIENCE && !ended; i++)
		ended = WAIT_UNTIL(waitpid(pid, &status, WNOHANG) == pid);
	if (!ended) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		ASSERT_TRUE(false) TH_LOG("the commit goes on and on");
	}
	EXPECT_EQ(0, status);
	EXPECT_LT(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
	TH_LOG("%ld ms", rule_result(&self->rule, "elapsed_us") / 1000);
}

TEST_HARNESS_MAIN
