// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations and copies from and to user space that fail, each in its turn:
 * whoever asked gets an error, and nothing is half done. For kernels with
 * fault injection alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"
#include "tcpdrop_util.h"

#define DEBUG_DIR "/sys/kernel/debug/"
#define TRACING_DIR "/sys/kernel/tracing/"
#define TARGETS 3

/* More than any operation here has. */
#define MOST_FAULTS 20000

/* How many more chances one load of the module may have than another. */
#define SPARE_CHANCES 10

/* How often an operation is done of which chances are taken by lot, this many in a hundred. */
#define LOTS 100
#define LOT_PERCENT "5"

/*
 * The operation of a task in which the @nth chance to fail is taken, or some are
 * by lot; see the kernel's Documentation/fault-injection/fault-injection.rst.
 */
struct fault {
	int fd;
	int nth;
	bool by_lot;
	bool hit;	/* the operation had as many chances */
	int hits;
	int errors;
};

static const char *const settings[][2] = {
	{ DEBUG_DIR "failslab/ignore-gfp-wait", "N" },
	{ DEBUG_DIR "failslab/verbose", "0" },
	{ DEBUG_DIR "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUG_DIR "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUG_DIR "fail_page_alloc/min-order", "0" },
	{ DEBUG_DIR "fail_page_alloc/verbose", "0" },
	{ DEBUG_DIR "fail_usercopy/verbose", "0" },
};

static const char *const by_lot[][2] = {
	{ "task-filter", "Y" }, { "times", "-1" }, { "probability", LOT_PERCENT },
};

static int fault_begin(struct fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	fault->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fault->fd < 0 ? -errno : 0;
}

/* Of the operations of this task that come, but for the last. */
static int fault_begin_by_lot(struct fault *fault)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char path[128];
	size_t i, j;
	int ret;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		for (j = 0; j < ARRAY_LEN(by_lot); j++) {
			snprintf(path, sizeof(path), DEBUG_DIR "%s/%s", kinds[i], by_lot[j][0]);
			ret = file_write(path, by_lot[j][1]);
			if (ret)
				return ret;
		}
	}
	close(fault->fd);
	*fault = (struct fault){ .by_lot = true };
	fault->fd = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);
	return fault->fd < 0 ? -errno : 0;
}

/* For another operation, as before. */
static int fault_begin_again(struct fault *fault)
{
	return fault->by_lot ? fault_begin_by_lot(fault) : fault_begin(fault);
}

/* Is there a next chance? Not if the last operation had fewer. */
static bool fault_next(struct fault *fault)
{
	if (fault->by_lot)
		return fault->nth++ <= LOTS;
	if (fault->nth && !fault->hit) {
		close(fault->fd);
		return false;
	}
	return fault->nth++ < MOST_FAULTS;
}

/* The operation begins. */
static void fault_arm(const struct fault *fault)
{
	int value = fault->by_lot ? fault->nth <= LOTS : fault->nth;
	char text[16];

	pwrite(fault->fd, text, snprintf(text, sizeof(text), "%d", value), 0);
}

/* To say that it has ended may fail as well. Which chances were taken nobody says. */
static bool lot_end(const struct fault *fault)
{
	while (pwrite(fault->fd, "0", 1, 0) != 1)
		;
	return fault->nth <= LOTS;
}

/* The chance may have been that of this look. */
static bool nth_end(const struct fault *fault)
{
	char text[16] = "";
	bool hit = pread(fault->fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	if (!hit)
		pwrite(fault->fd, "0", 1, 0);
	return hit;
}

/* It has ended with @ret. */
static void fault_end(struct fault *fault, int ret)
{
	fault->hit = fault->by_lot ? lot_end(fault) : nth_end(fault);
	fault->hits += fault->hit;
	fault->errors += ret != 0;
}

/* What an allocation or a copy that fails may be told as. */
static bool is_clean(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}

/* The same, of an open: procfs without memory for an inode has no file. */
static bool is_clean_open(int ret)
{
	return is_clean(ret) || ret == -ENOENT;
}

/*
 * A rule for some connections, and one that it does not match.
 */
FIXTURE(faults)
{
	struct rule rule;
	struct fault fault;
	struct pair target[TARGETS];
	struct pair bystander;
	int listener;
	int other;		/* of what takes a listener of its own */
	struct sender sender;
	char *page;
	int pages;
};

FIXTURE_SETUP(faults)
{
	size_t i;

	REQUIRE_TCPDROP();
	if (access("/proc/self/fail-nth", W_OK))
		SKIP(return, "this kernel does not fail on demand");
	for (i = 0; i < ARRAY_LEN(settings); i++)
		ASSERT_EQ(0, file_write(settings[i][0], settings[i][1])) TH_LOG("setting %zu", i);
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(IPV4, "127.0.0.1", 0);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.0.0.3", 0, &self->bystander));
	ASSERT_EQ(0, fault_begin(&self->fault));
}

FIXTURE_TEARDOWN(faults)
{
	EXPECT_TRUE(sock_talks(self->bystander.client, self->bystander.server));
}

/* The clients of targets, but not what is left of those that were closed. */
static int faults_rule(struct rule *rule)
{
	int ret = rule_new(rule, "faults");

	if (!ret)
		ret = rule_set(rule, "state", "ESTABLISHED");
	return ret ? ret : rule_set(rule, "saddr", "127.0.0.2");
}

/* All that is set, as the module says it. */
static char *rule_text(const struct rule *rule)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/rule", rule->path);
	return file_read_all(path);
}

/* Some of those that fail have to be told, and those that are not have to be done. */
#define EXPECT_FAULTS(self) do {				\
	EXPECT_LT(0, (self)->fault.hits);			\
	EXPECT_LT(0, (self)->fault.errors);			\
	EXPECT_LE((self)->fault.errors, (self)->fault.hits);	\
	TH_LOG("%d faults, %d errors", (self)->fault.hits, (self)->fault.errors); \
} while (0)

static void make_rules(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self)
{
	struct stat st;
	int ret = -1;

	ASSERT_EQ(0, rule_new(&self->rule, "faults"));
	ASSERT_EQ(0, rule_remove(&self->rule));
	while (fault_next(&self->fault)) {
		fault_arm(&self->fault);
		ret = mkdir(self->rule.path, 0755) ? -errno : 0;
		fault_end(&self->fault, ret);
		if (!ret) {
			EXPECT_EQ(0, rule_remove(&self->rule));
			continue;
		}
		EXPECT_TRUE(is_clean(ret));
		EXPECT_EQ(-1, stat(self->rule.path, &st));
		EXPECT_EQ(ENOENT, errno);
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
}

TEST_F(faults, a_rule_is_made_or_not)
{
	make_rules(_metadata, self);
}

TEST_F(faults, of_which_there_are_several_leave_a_rule_made_or_not)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	make_rules(_metadata, self);
}

/* One attribute, until it is written without a fault. */
static void write_attribute(struct __test_metadata *_metadata, const struct rule *rule,
			    const char *attr, struct fault *fault)
{
	char unset[4096], shown[4096];
	char *before, *after;
	int ret = -1;

	ASSERT_NE(NULL, rule_value(attr)) {
		TH_LOG("nobody knows what %s takes", attr);
	}
	ASSERT_EQ(0, rule_get(rule, attr, unset, sizeof(unset)));
	before = rule_text(rule);
	ASSERT_NE(NULL, before);
	ASSERT_EQ(0, fault_begin_again(fault));
	while (fault_next(fault)) {
		fault_arm(fault);
		ret = rule_set(rule, attr, rule_value(attr));
		fault_end(fault, ret);
		ASSERT_EQ(0, rule_get(rule, attr, shown, sizeof(shown)));
		if (!ret) {
			EXPECT_STREQ(rule_value(attr), shown);
			EXPECT_EQ(0, rule_set(rule, attr, "any"));
			continue;
		}
		EXPECT_TRUE(is_clean(ret)) {
			TH_LOG("%s: %s", attr, strerror(-ret));
		}
		EXPECT_STREQ(unset, shown) {
			TH_LOG("%s", attr);
		}
		after = rule_text(rule);
		EXPECT_STREQ(before, after) {
			TH_LOG("%s", attr);
		}
		free(after);
	}
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(fault->errors || fault->by_lot) {
		TH_LOG("%s", attr);
	}
	free(before);
}

static void write_attributes(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self)
{
	struct rule_files files;
	int errors = 0;
	size_t i;

	ASSERT_EQ(0, rule_new(&self->rule, "faults"));
	ASSERT_EQ(0, rule_files(&self->rule, 0600, &files));
	EXPECT_LT(0, files.count);
	for (i = 0; i < files.count; i++) {
		write_attribute(_metadata, &self->rule, files.name[i], &self->fault);
		errors += self->fault.errors;
	}
	EXPECT_LT(0, errors);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(faults, an_attribute_is_written_or_not)
{
	write_attributes(_metadata, self);
}

TEST_F(faults, of_which_there_are_several_leave_an_attribute_written_or_not)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	write_attributes(_metadata, self);
}

/* A list of many items takes memory in several pieces. */
static void write_lists(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self)
{
	char list[4000], *before, *after;
	size_t len = 0;
	int i, ret = -1;

	for (i = 0; len < sizeof(list) - 20; i++)
		len += snprintf(list + len, sizeof(list) - len, "10.%d.%d.0/24,", i / 256, i % 256);
	list[len - 1] = '\0';
	ASSERT_EQ(0, faults_rule(&self->rule));
	before = rule_text(&self->rule);
	while (fault_next(&self->fault)) {
		fault_arm(&self->fault);
		ret = rule_set(&self->rule, "saddr", list);
		fault_end(&self->fault, ret);
		if (!ret) {
			EXPECT_EQ(0, rule_set(&self->rule, "saddr", "127.0.0.2"));
			continue;
		}
		EXPECT_TRUE(is_clean(ret));
		after = rule_text(&self->rule);
		EXPECT_STREQ(before, after);
		free(after);
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
	EXPECT_EQ(0, rule_remove(&self->rule));
	free(before);
}

TEST_F(faults, a_long_list_is_written_or_not)
{
	write_lists(_metadata, self);
}

TEST_F(faults, of_which_there_are_several_leave_a_long_list_written_or_not)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	write_lists(_metadata, self);
}

static int read_to_the_end(const char *path)
{
	static char text[65536];
	ssize_t len;
	int fd, ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((len = read(fd, text, sizeof(text))) > 0)
		;
	if (len < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * The kernel warns if configfs has no memory to keep a list or a rule as a
 * whole, so what is read of these is empty.
 */
static void read_files(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self)
{
	struct rule_files files;
	int ret = -1, errors = 0;
	struct rule none;
	char path[700];
	size_t i;

	ASSERT_EQ(0, rule_new(&self->rule, "faults"));
	ASSERT_EQ(0, rule_new(&none, "faults.none"));
	ASSERT_EQ(0, rule_set(&none, "sport", "1"));
	ASSERT_EQ(0, rule_files(&self->rule, 0400, &files));
	for (i = 0; i <= files.count; i++) {
		if (i == files.count)
			snprintf(path, sizeof(path), "%s", PROC_FILE);
		else if (!strcmp(files.name[i], "list"))
			snprintf(path, sizeof(path), "%s/list", none.path);
		else
			snprintf(path, sizeof(path), "%s/%s", self->rule.path, files.name[i]);
		ASSERT_EQ(0, read_to_the_end(path)) {
			TH_LOG("%s", path);
		}
		ASSERT_EQ(0, fault_begin_again(&self->fault));
		while (fault_next(&self->fault)) {
			fault_arm(&self->fault);
			ret = read_to_the_end(path);
			fault_end(&self->fault, ret);
			EXPECT_TRUE(!ret || is_clean_open(ret)) {
				TH_LOG("%s: %s", path, strerror(-ret));
			}
		}
		EXPECT_EQ(0, ret);
		EXPECT_TRUE(self->fault.errors || self->fault.by_lot) {
			TH_LOG("%s", path);
		}
		errors += self->fault.errors;
	}
	EXPECT_LT(0, errors);
	EXPECT_EQ(0, rule_remove(&self->rule));
	EXPECT_EQ(0, rule_remove(&none));
}

TEST_F(faults, a_file_is_read_or_not)
{
	read_files(_metadata, self);
}

TEST_F(faults, of_which_there_are_several_leave_a_file_read_or_not)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	read_files(_metadata, self);
}

static int make_targets(struct pair *target, int listener)
{
	int i, ret = 0;

	for (i = 0; i < TARGETS && !ret; i++)
		ret = sock_pair(listener, IPV4, "127.0.0.2", 0, &target[i]);
	return ret;
}

/* How many of them were dropped. */
static int end_targets(const struct pair *target)
{
	int i, dropped = 0;

	for (i = 0; i < TARGETS; i++) {
		dropped += !sock_talks(target[i].client, target[i].server);
		close(target[i].client);
		close(target[i].server);
	}
	return dropped;
}

/* @everywhere: whoever has the file, in whatever namespace. */
static void drop_by_commits(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self,
			    bool everywhere)
{
	int ret = -1, dropped;

	while (fault_next(&self->fault)) {
		ASSERT_EQ(0, faults_rule(&self->rule));
		if (everywhere) {
			ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
			ASSERT_EQ(0, rule_setf(&self->rule, "pid", "%d", getpid()));
		}
		ASSERT_EQ(0, make_targets(self->target, self->listener));
		fault_arm(&self->fault);
		ret = rule_commit(&self->rule);
		fault_end(&self->fault, ret);
		dropped = end_targets(self->target);
		EXPECT_EQ(dropped, rule_result(&self->rule, "dropped"));
		EXPECT_EQ(0, rule_result(&self->rule, "failed"));
		EXPECT_TRUE(ret ? is_clean(ret) : dropped == TARGETS);
		EXPECT_EQ(0, rule_remove(&self->rule));
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
}

TEST_F(faults, a_commit_tells_what_it_has_done)
{
	drop_by_commits(_metadata, self, false);
}

TEST_F(faults, a_commit_by_process_in_all_namespaces_tells_what_it_has_done)
{
	drop_by_commits(_metadata, self, true);
}

TEST_F(faults, of_which_there_are_several_in_a_commit_it_tells_what_it_has_done)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	drop_by_commits(_metadata, self, true);
}

/*
 * What a commit cannot drop as it comes to it, and so defers: made anew each time, and looked
 * at and closed afterwards.
 */
struct deferral {
	int (*make)(FIXTURE_DATA(faults) * self);
	/* Tells how many were dropped, or a negative errno. */
	int (*end)(FIXTURE_DATA(faults) * self);
	int fail;	/* so many cannot be dropped, however much memory there is */
};

/* However a commit ends: what it tells is what it has done, or nothing if it did not begin. */
static void drop_deferred(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self,
			  const struct deferral *deferral)
{
	struct rule_result result;
	int ret = -1, dropped;

	while (fault_next(&self->fault)) {
		ASSERT_EQ(0, faults_rule(&self->rule));
		/* So that it is one task that drops, with all the chances. */
		ASSERT_EQ(0, rule_setf(&self->rule, "max", "%d", TARGETS));
		ASSERT_EQ(0, deferral->make(self));
		ASSERT_TRUE(WAIT_UNTIL(rule_count(&self->rule) == TARGETS));
		fault_arm(&self->fault);
		ret = rule_commit(&self->rule);
		fault_end(&self->fault, ret);
		dropped = deferral->end(self);
		ASSERT_LE(0, dropped) {
			TH_LOG("%d: %s", self->fault.nth, strerror(-dropped));
		}
		ASSERT_EQ(0, rule_result_read(&self->rule, &result));
		EXPECT_EQ(dropped, result.dropped);
		EXPECT_EQ(result.matched, result.dropped + result.failed);
		EXPECT_TRUE(result.remaining == TARGETS - dropped ||
			    (ret && !result.remaining && !result.matched));
		if (ret) {
			EXPECT_TRUE(is_clean(ret));
			EXPECT_GE(TARGETS - dropped, result.failed);
		} else {
			EXPECT_EQ(TARGETS - deferral->fail, dropped);
			EXPECT_EQ(deferral->fail, result.failed);
		}
		ASSERT_TRUE(WAIT_UNTIL(!rule_count(&self->rule)));
		EXPECT_EQ(0, rule_remove(&self->rule));
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
}

/* They come into the queue one after another. */
static int make_children(FIXTURE_DATA(faults) * self)
{
	struct end to;
	int i, fd, ret;

	ret = end_of(self->other, &to);
	for (i = 0; i < TARGETS && !ret; i++) {
		fd = sock_new(IPV4);
		self->target[i].client = fd;
		ret = fd < 0 ? fd : sock_bind(fd, IPV4, "127.0.0.4", 0);
		if (!ret)
			ret = sock_connect(fd, IPV4, &to);
		if (!ret && !WAIT_UNTIL(rule_count(&self->rule) == i + 1))
			ret = -ETIMEDOUT;
	}
	return ret;
}

/* Dropped or not, each is still to be accepted. */
static int end_children(FIXTURE_DATA(faults) * self)
{
	int i, client, server, err, dropped = 0;

	for (i = 0; i < TARGETS; i++) {
		client = self->target[i].client;
		server = accept4(self->other, NULL, NULL, SOCK_CLOEXEC);
		if (server < 0)
			return -errno;
		err = sock_error(server);
		if (err ? err != ECONNABORTED : !sock_talks(client, server))
			return -EPROTO;
		dropped += err == ECONNABORTED;
		close(client);
		close(server);
	}
	return dropped;
}

TEST_F(faults, a_commit_of_children_that_wait_tells_what_it_has_done)
{
	static const struct deferral children = { .make = make_children, .end = end_children };

	self->other = sock_listen(IPV4, "127.0.0.2", 0);
	ASSERT_LE(0, self->other);
	drop_deferred(_metadata, self, &children);
}

/* Only with data in both directions is it decided that they speak MPTCP. */
static int connection_new(int listener, const char *addr, struct pair *pair)
{
	int ret = sock_pair_by(IPPROTO_MPTCP, listener, IPV4, addr, 0, pair);

	if (ret)
		return ret;
	return sock_talks(pair->client, pair->server) ? 0 : -EPROTO;
}

static int make_connections(FIXTURE_DATA(faults) * self)
{
	int i, ret = 0;

	for (i = 0; i < TARGETS && !ret; i++)
		ret = connection_new(self->other, "127.0.0.2", &self->target[i]);
	return ret;
}

static bool has_hung_up(int fd)
{
	struct pollfd event = { .fd = fd };

	return poll(&event, 1, 0) == 1 && event.revents & POLLHUP;
}

/* Their subflows are what is dropped, and no application waits for another one. */
static int end_connections(FIXTURE_DATA(faults) * self)
{
	int i, dropped = 0;

	for (i = 0; i < TARGETS; i++) {
		const struct pair *pair = &self->target[i];
		bool linked = ends_in_table(&pair->ends);

		if (linked ? !sock_talks(pair->client, pair->server) : !has_hung_up(pair->client))
			return -EPROTO;
		dropped += !linked;
		close(pair->client);
		close(pair->server);
	}
	return dropped;
}

TEST_F(faults, a_commit_of_mptcp_connections_tells_what_it_has_done)
{
	static const struct deferral connections = {
		.make = make_connections, .end = end_connections,
	};
	struct pair bystander;

	if (!kernel_has_mptcp())
		KERNEL_HAS_NO("MPTCP");
	self->other = sock_listen_by(IPPROTO_MPTCP, IPV4, "127.0.0.1", 0);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, connection_new(self->other, "127.0.0.3", &bystander));
	drop_deferred(_metadata, self, &connections);
	EXPECT_TRUE(sock_talks(bystander.client, bystander.server));
}

/* The first of them has an owner who does not let go of it before the commit has ended. */
static int make_owned(FIXTURE_DATA(faults) * self)
{
	int ret = make_targets(self->target, self->listener);

	if (ret)
		return ret;
	self->pages = stuck_pages(&self->page, 1);
	if (self->pages < 0)
		return self->pages;
	return sender_start(&self->sender, self->target[0].client, self->page, self->pages);
}

static int end_owned(FIXTURE_DATA(faults) * self)
{
	char byte;
	int ret = sender_let_go(&self->sender, self->pages);

	close(self->pages);
	munmap(self->page, getpagesize());
	if (!ret && (self->sender.ret != 1 || recv(self->target[0].server, &byte, 1, 0) != 1))
		ret = -EPROTO;
	return ret ? ret : end_targets(self->target);
}

TEST_F(faults, a_commit_that_waits_for_an_owner_tells_what_it_has_done)
{
	static const struct deferral owned = { .make = make_owned, .end = end_owned, .fail = 1 };

	drop_deferred(_metadata, self, &owned);
}

/* What is shown is protected, and nothing else. */
static void write_what_protects(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self)
{
	char shown[64];
	int ret = -1;

	ASSERT_EQ(0, faults_rule(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "protect", "yes"));
	while (fault_next(&self->fault)) {
		fault_arm(&self->fault);
		ret = rule_set(&self->rule, "saddr", "127.0.0.8");
		fault_end(&self->fault, ret);
		ASSERT_EQ(0, rule_get(&self->rule, "saddr", shown, sizeof(shown)));
		EXPECT_STREQ(ret ? "127.0.0.2" : "127.0.0.8", shown);
		EXPECT_TRUE(!ret || is_clean(ret));
		ASSERT_EQ(0, make_targets(self->target, self->listener));
		EXPECT_EQ(ret ? -EPERM : 0, ends_drop(&self->target[0].ends));
		EXPECT_EQ(ret ? 0 : 1, end_targets(self->target));
		ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.0.0.2"));
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(faults, what_protects_is_written_or_not)
{
	write_what_protects(_metadata, self);
}

TEST_F(faults, of_which_there_are_several_leave_what_protects_written_or_not)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	write_what_protects(_metadata, self);
}

/* Unlike file_write(), takes it for no error that only the first lines were taken. */
static int write_lines(const char *lines)
{
	int fd, ret = 0;

	fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, lines, strlen(lines)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Lines for all targets: none that failed has dropped anything, but for a rule,
 * which may have got half way.
 */
static void drop_by_lines(struct __test_metadata *_metadata, FIXTURE_DATA(faults) * self,
			  bool rule)
{
	char line[1024];
	int i, ret = -1, len, dropped;

	while (fault_next(&self->fault)) {
		ASSERT_EQ(0, make_targets(self->target, self->listener));
		len = 0;
		if (rule)
			snprintf(line, sizeof(line), "saddr=127.0.0.2\n");
		for (i = 0; i < TARGETS && !rule; i++) {
			ends_print(&self->target[i].ends, 1, line + len, sizeof(line) - len - 1);
			len = strlen(line);
			strcpy(line + len++, "\n");
		}
		fault_arm(&self->fault);
		ret = write_lines(line);
		fault_end(&self->fault, ret);
		dropped = end_targets(self->target);
		EXPECT_TRUE(!ret || (is_clean_open(ret) && (rule || !dropped))) {
			TH_LOG("%s, %d dropped", strerror(-ret), dropped);
		}
		EXPECT_TRUE(self->fault.hit || dropped == TARGETS);
	}
	EXPECT_EQ(0, ret);
	EXPECT_FAULTS(self);
}

TEST_F(faults, lines_are_carried_out_or_refused)
{
	drop_by_lines(_metadata, self, false);
}

TEST_F(faults, a_line_that_is_a_rule_is_carried_out_or_refused)
{
	drop_by_lines(_metadata, self, true);
}

TEST_F(faults, of_which_there_are_several_in_lines_leave_none_half_done)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	drop_by_lines(_metadata, self, false);
}

TEST_F(faults, of_which_there_are_several_in_a_line_that_is_a_rule_leave_none_undone)
{
	ASSERT_EQ(0, fault_begin_by_lot(&self->fault));
	drop_by_lines(_metadata, self, true);
}

/* How often a load of the module has come to its own part. */
static int count_begun(void)
{
	char *text = file_read_all(TRACING_DIR "trace"), *at = text;
	int count = 0;

	while (at && (at = strstr(at, "module_load: tcpdrop "))) {
		count++;
		at++;
	}
	free(text);
	return count;
}

/* The chances of a load that has none taken. */
static int count_chances(struct fault *fault, const char *path)
{
	char text[16] = "";

	fault->nth = MOST_FAULTS;
	fault_arm(fault);
	if (module_load(path))
		return -1;
	if (pread(fault->fd, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	pwrite(fault->fd, "0", 1, 0);
	return MOST_FAULTS - atoi(text);
}

/*
 * From the last chance down to the first that is the module's own.  What the
 * kernel does before, to link it and to make its events known, warns of faults.
 */
TEST_F(faults, the_module_is_loaded_or_not)
{
	const char *path = getenv("TCPDROP_KO");
	int ret, begun;

	ASSERT_NE(NULL, path);
	ASSERT_EQ(0, file_write(TRACING_DIR "events/module/module_load/enable", "1"));
	ASSERT_EQ(0, module_unload());
	self->fault.nth = count_chances(&self->fault, path) + SPARE_CHANCES;
	ASSERT_LT(SPARE_CHANCES, self->fault.nth);
	ASSERT_EQ(0, module_unload());
	do {
		begun = count_begun();
		fault_arm(&self->fault);
		ret = module_load(path);
		fault_end(&self->fault, ret);
		/* ENFILE is what the kernel says where there is no memory for a socket. */
		EXPECT_TRUE(!ret || is_clean(ret) || ret == -ENFILE) {
			TH_LOG("%d: %s", self->fault.nth, strerror(-ret));
		}
		EXPECT_EQ(!ret, tcpdrop_loaded());
		EXPECT_EQ(ret ? -1 : 0, access(PROC_FILE, F_OK));
		if (!ret) {
			ASSERT_EQ(0, module_unload());
		}
	} while (count_begun() > begun && --self->fault.nth);
	ASSERT_EQ(0, module_load(path));
	EXPECT_FAULTS(self);
}

TEST_HARNESS_MAIN
