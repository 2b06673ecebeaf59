// SPDX-License-Identifier: GPL-2.0
/*
 * Rules, the module and network namespaces that come and go, while files are
 * open, others write, and commits run.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"

#define RULES_DIR "/sys/kernel/config/tcpdrop"

/* A file of a rule, or a directory in it. */
static const char *path_in(const struct rule *rule, const char *name)
{
	static __thread char path[1024];

	snprintf(path, sizeof(path), "%s/%s", rule->path, name);
	return path;
}

/* A rule by exactly this name. */
static int rule_new_exact(struct rule *rule, const char *name)
{
	snprintf(rule->path, sizeof(rule->path), RULES_DIR "/%s", name);
	return mkdir(rule->path, 0755) ? -errno : 0;
}

/* How many rules there are, of all or of this name; negative: an errno. */
static int count_rules(const char *name)
{
	DIR *dir = opendir(RULES_DIR);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		count += entry->d_type == DT_DIR &&
			 (name ? !strcmp(entry->d_name, name) : entry->d_name[0] != '.');
	closedir(dir);
	return count;
}

/*
 * A rule and its files.
 */
FIXTURE(rule_files)
{
	struct rule rule;
	struct conn conn;
	int taint;
};

FIXTURE_SETUP(rule_files)
{
	REQUIRE_TCPDROP();
	self->taint = kernel_taint();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_new(&self->rule, "lifecycle"));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
}

FIXTURE_TEARDOWN(rule_files)
{
	rule_remove(&self->rule);
	EXPECT_EQ(self->taint, kernel_taint());
}

/* All files with these bits, by names that are there while they are open. */
static void open_all(struct __test_metadata *_metadata, const struct rule *rule,
		     mode_t mode, int flags, struct rule_files *files, int *fd)
{
	size_t i;

	ASSERT_EQ(0, rule_files(rule, mode, files));
	for (i = 0; i < files->count; i++) {
		fd[i] = open(path_in(rule, files->name[i]), flags);
		ASSERT_LE(0, fd[i]) {
			TH_LOG("%s", files->name[i]);
		}
	}
}

TEST_F(rule_files, held_open_cannot_be_read_once_the_rule_is_gone)
{
	int fd[ARRAY_LEN(((struct rule_files *)0)->name)];
	struct rule_files files;
	char text[4096];
	size_t i;

	open_all(_metadata, &self->rule, 0400, O_RDONLY, &files, fd);
	ASSERT_LE(19, files.count);
	ASSERT_EQ(0, rule_remove(&self->rule));

	for (i = 0; i < files.count; i++) {
		EXPECT_EQ(-1, read(fd[i], text, sizeof(text))) {
			TH_LOG("%s", files.name[i]);
		}
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(0, close(fd[i]));
	}
}

TEST_F(rule_files, held_open_cannot_be_written_once_the_rule_is_gone)
{
	int fd[ARRAY_LEN(((struct rule_files *)0)->name)];
	struct rule_files files;
	size_t i;

	open_all(_metadata, &self->rule, 0200, O_WRONLY, &files, fd);
	ASSERT_LE(11, files.count);
	ASSERT_EQ(0, rule_remove(&self->rule));

	for (i = 0; i < files.count; i++) {
		EXPECT_EQ(-1, write(fd[i], "1", 1)) {
			TH_LOG("%s", files.name[i]);
		}
		EXPECT_EQ(ENOENT, errno);
		EXPECT_EQ(0, close(fd[i]));
	}
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
}

TEST_F(rule_files, held_open_do_not_reach_a_new_rule_of_that_name)
{
	int fd = open(path_in(&self->rule, "commit"), O_WRONLY);
	struct rule rule;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rule_remove(&self->rule));
	ASSERT_EQ(0, rule_new(&rule, "lifecycle"));
	ASSERT_EQ(0, rule_set_ends(&rule, &self->conn.ends));

	EXPECT_EQ(-1, write(fd, "1", 1));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, rule_result(&rule, "matched"));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
}

TEST_F(rule_files, a_list_read_half_is_read_to_its_end)
{
	char whole[256], half[256];
	ssize_t len, rest;
	int fd;

	ASSERT_EQ(0, rule_get(&self->rule, "list", whole, sizeof(whole)));
	fd = open(path_in(&self->rule, "list"), O_RDONLY);
	ASSERT_EQ(10, read(fd, half, 10));
	ASSERT_EQ(0, rule_remove(&self->rule));

	len = strlen(whole);
	rest = read(fd, half + 10, sizeof(half) - 10);
	EXPECT_EQ(len + 1, rest + 10);
	EXPECT_EQ(0, memcmp(whole, half, len));
	EXPECT_EQ(0, close(fd));
}

TEST_F(rule_files, result_cannot_be_removed)
{
	EXPECT_EQ(-1, rmdir(path_in(&self->rule, "result")));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
}

TEST_F(rule_files, nothing_is_made_inside_a_rule)
{
	EXPECT_EQ(-1, mkdir(path_in(&self->rule, "inner"), 0755));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, mkdir(path_in(&self->rule, "result/inner"), 0755));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, open(path_in(&self->rule, "file"), O_CREAT | O_WRONLY, 0644));
	EXPECT_EQ(-1, unlink(path_in(&self->rule, "saddr")));
	EXPECT_EQ(-1, rename(path_in(&self->rule, "saddr"), RULES_DIR "/saddr"));
}

TEST_F(rule_files, a_name_is_taken_once)
{
	EXPECT_EQ(-1, mkdir(self->rule.path, 0755));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(1, rule_count(&self->rule));
}

/*
 * Names of rules.
 */
TEST(rules_take_any_name)
{
	static const char * const names[] = {
		"two words", " ", "-rf", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\xa5", "%s%n%s%n%99999d",
		"a\nb", "\t", "...", "\\", "\"'`$(reboot)", "\x01\xff\xfe", "commit",
	};
	char longest[256];
	struct rule rule;
	size_t i;

	REQUIRE_TCPDROP();
	memset(longest, 'x', 255);
	longest[255] = '\0';
	for (i = 0; i <= ARRAY_LEN(names); i++) {
		const char *name = i < ARRAY_LEN(names) ? names[i] : longest;

		ASSERT_EQ(0, rule_new_exact(&rule, name)) TH_LOG("%s", name);
		EXPECT_EQ(1, count_rules(name));
		EXPECT_EQ(0, rule_set(&rule, "daddr", "192.0.2.1"));
		EXPECT_EQ(0, rule_commit(&rule));
		EXPECT_EQ(0, rule_result(&rule, "matched"));
		EXPECT_EQ(0, rule_remove(&rule));
		EXPECT_EQ(0, count_rules(name));
	}
}

TEST(rules_take_no_name_too_long)
{
	char name[257];
	struct rule rule;

	REQUIRE_TCPDROP();
	memset(name, 'x', 256);
	name[256] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, rule_new_exact(&rule, name));
}

/*
 * Many rules.
 */
#define MANY 1000

static void many_path(struct rule *rule, int i)
{
	snprintf(rule->path, sizeof(rule->path), RULES_DIR "/many-%d", i);
}

/* Numbers that differ from rule to rule. */
static void many_text(int i, char *daddr, char *sport, size_t size)
{
	snprintf(daddr, size, "10.0.%d.%d", i / 250, i % 250);
	snprintf(sport, size, "%d-%d", i + 1, i + 2000);
}

static void expect_many(struct __test_metadata *_metadata, int i)
{
	char daddr[64], sport[64], text[64];
	struct rule rule;

	many_path(&rule, i);
	many_text(i, daddr, sport, sizeof(daddr));
	ASSERT_EQ(0, rule_get(&rule, "daddr", text, sizeof(text)));
	EXPECT_STREQ(daddr, text);
	ASSERT_EQ(0, rule_get(&rule, "sport", text, sizeof(text)));
	EXPECT_STREQ(sport, text);
	EXPECT_EQ(0, rule_result(&rule, "dropped"));
}

TEST(a_thousand_rules_keep_what_each_was_told)
{
	char daddr[64], sport[64];
	struct rule rule;
	int i;

	REQUIRE_TCPDROP();
	for (i = 0; i < MANY; i++) {
		many_path(&rule, i);
		many_text(i, daddr, sport, sizeof(daddr));
		ASSERT_EQ(0, mkdir(rule.path, 0755));
		ASSERT_EQ(0, rule_set(&rule, "daddr", daddr));
		ASSERT_EQ(0, rule_set(&rule, "sport", sport));
	}
	EXPECT_LE(MANY, count_rules(NULL));
	for (i = 0; i < MANY; i++)
		expect_many(_metadata, i);
	for (i = MANY - 1; i >= 0; i--) {
		many_path(&rule, i);
		ASSERT_EQ(0, rule_remove(&rule));
	}
	EXPECT_EQ(0, count_rules("many-0"));
}

/*
 * The module, which is not to be in use by anybody else.
 */
FIXTURE(module)
{
	const char *path;
	int taint;
};

FIXTURE_SETUP(module)
{
	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->path);
	self->taint = kernel_taint();
	ASSERT_EQ(0, count_rules(NULL));
	ASSERT_EQ(0, conn_setup());
}

FIXTURE_TEARDOWN(module)
{
	if (!tcpdrop_loaded())
		module_load(self->path);
	EXPECT_EQ(self->taint, kernel_taint());
}

TEST_F(module, stays_while_there_is_a_rule)
{
	struct rule rule;
	char text[64];

	ASSERT_EQ(0, rule_new(&rule, "lifecycle"));
	ASSERT_EQ(0, rule_set(&rule, "sport", "22"));

	EXPECT_EQ(-EWOULDBLOCK, module_unload());

	ASSERT_EQ(0, rule_get(&rule, "sport", text, sizeof(text)));
	EXPECT_STREQ("22", text);
	EXPECT_EQ(0, rule_commit(&rule));
	EXPECT_EQ(0, rule_remove(&rule));
}

/* Any of them alone. */
TEST_F(module, stays_while_a_file_of_a_removed_rule_is_open)
{
	struct rule_files files;
	struct rule rule;
	size_t i = 0;
	char byte;
	int fd;

	do {
		ASSERT_EQ(0, rule_new(&rule, "lifecycle"));
		ASSERT_EQ(0, rule_files(&rule, 0400, &files));
		ASSERT_LE(19, files.count);
		fd = open(path_in(&rule, files.name[i]), O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, rule_remove(&rule));

		EXPECT_EQ(-EWOULDBLOCK, module_unload()) {
			TH_LOG("%s", files.name[i]);
		}

		EXPECT_EQ(-1, read(fd, &byte, 1));
		EXPECT_EQ(ENOENT, errno);
		close(fd);
	} while (++i < files.count);
	EXPECT_EQ(0, module_unload());
	EXPECT_EQ(0, module_load(self->path));
}

TEST_F(module, is_loaded_once)
{
	EXPECT_EQ(-EEXIST, module_load(self->path));
	EXPECT_TRUE(tcpdrop_loaded());
}

/* Drop one connection, so that what is unloaded has done something. */
static void drop_a_connection(struct __test_metadata *_metadata, enum kind kind)
{
	struct conn conn;
	struct rule rule;

	ASSERT_EQ(0, conn_make(&conn, kind, IPV4));
	ASSERT_EQ(0, rule_new(&rule, "lifecycle"));
	ASSERT_EQ(0, rule_set_ends(&rule, &conn.ends));
	ASSERT_EQ(0, rule_commit(&rule));
	EXPECT_EQ(1, rule_result(&rule, "dropped"));
	conn_close(&conn);
	ASSERT_EQ(0, rule_remove(&rule));
}

TEST_F(module, comes_and_goes_and_connections_stay)
{
	struct conn live, waiting;
	int i;

	ASSERT_EQ(0, conn_make(&live, ESTABLISHED, IPV6));
	ASSERT_EQ(0, conn_make(&waiting, TIME_WAIT, DUAL));
	for (i = 0; i < 10; i++) {
		drop_a_connection(_metadata, i % KINDS);
		ASSERT_EQ(0, module_unload());
		EXPECT_FALSE(tcpdrop_loaded());
		EXPECT_TRUE(sock_talks(live.fd, live.peer));
		ASSERT_EQ(0, module_load(self->path));
		EXPECT_TRUE(tcpdrop_loaded());
		EXPECT_TRUE(sock_talks(live.fd, live.peer));
		EXPECT_TRUE(ends_in_table(&waiting.ends));
	}
}

/*
 * Several at once.
 */
#define WRITERS 4
#define WRITES 200

/* Lists long enough that a mixture of two would show. */
struct writers {
	struct rule rule;
	pthread_t thread[WRITERS];
	char text[WRITERS][1024];
	int next;
	int done;
	int failed;
};

FIXTURE(together)
{
	struct writers writers;
	int taint;
};

FIXTURE_SETUP(together)
{
	REQUIRE_TCPDROP();
	self->taint = kernel_taint();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->writers.rule, "lifecycle"));
}

FIXTURE_TEARDOWN(together)
{
	rule_remove(&self->writers.rule);
	EXPECT_EQ(self->taint, kernel_taint());
}

static void *writer_main(void *arg)
{
	struct writers *writers = arg;
	int self = __atomic_fetch_add(&writers->next, 1, __ATOMIC_RELAXED);
	int i;

	for (i = 0; i < WRITES; i++)
		if (rule_set(&writers->rule, "sport", writers->text[self]))
			__atomic_fetch_add(&writers->failed, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&writers->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The list of one writer, as it is read back. */
static void writer_text(char *text, size_t size, int writer)
{
	size_t len = 0;
	int i;

	for (i = 0; i < 100; i++)
		len += snprintf(text + len, size - len, "%s%d", i ? "," : "",
				10000 + writer * 1000 + 2 * i);
}

static bool is_one_of(struct writers *writers, const char *text)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		if (!strcmp(text, writers->text[i]))
			return true;
	return false;
}

TEST_F(together, writers_leave_what_one_of_them_wrote)
{
	struct writers *writers = &self->writers;
	char text[4097];
	int i, reads = 0, mixed = 0;

	for (i = 0; i < WRITERS; i++)
		writer_text(writers->text[i], sizeof(writers->text[i]), i);
	ASSERT_EQ(0, rule_set(&writers->rule, "sport", writers->text[0]));
	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(0, pthread_create(&writers->thread[i], NULL, writer_main, writers));
	do {
		ASSERT_EQ(0, rule_get(&writers->rule, "sport", text, sizeof(text)));
		mixed += !is_one_of(writers, text);
		reads++;
	} while (__atomic_load_n(&writers->done, __ATOMIC_ACQUIRE) < WRITERS);
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers->thread[i], NULL);
	ASSERT_EQ(0, rule_get(&writers->rule, "sport", text, sizeof(text)));
	EXPECT_TRUE(is_one_of(writers, text));
	EXPECT_EQ(0, mixed) TH_LOG("%d of %d reads", mixed, reads);
	EXPECT_EQ(0, writers->failed);
}

TEST_F(together, writers_that_add_lose_nothing)
{
	struct writers *writers = &self->writers;
	char text[4097], want[1024];
	int i;

	for (i = 0; i < WRITERS; i++)
		snprintf(writers->text[i], sizeof(writers->text[i]), "+%d", 10 * i + 5);
	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(0, pthread_create(&writers->thread[i], NULL, writer_main, writers));
	for (i = 0; i < WRITERS; i++)
		pthread_join(writers->thread[i], NULL);
	ASSERT_EQ(0, rule_get(&writers->rule, "sport", text, sizeof(text)));
	snprintf(want, sizeof(want), "%d,%d,%d,%d", 5, 15, 25, 35);
	EXPECT_STREQ(want, text);
	EXPECT_EQ(0, writers->failed);
}

/* Commit until the rule is gone; what is neither success nor ENOENT is kept. */
struct committer {
	struct rule rule;
	pthread_t thread;
	int commits;
	int error;
};

static void *committer_main(void *arg)
{
	struct committer *committer = arg;
	int ret;

	for (;;) {
		ret = rule_commit(&committer->rule);
		if (ret)
			break;
		__atomic_fetch_add(&committer->commits, 1, __ATOMIC_RELEASE);
	}
	committer->error = ret;
	return NULL;
}

TEST_F(together, a_rule_is_removed_while_it_is_committed)
{
	struct committer committer;
	int i;

	for (i = 0; i < 50; i++) {
		memset(&committer, 0, sizeof(committer));
		ASSERT_EQ(0, rule_new(&committer.rule, "lifecycle-removed"));
		ASSERT_EQ(0, rule_set(&committer.rule, "state", "all"));
		ASSERT_EQ(0, pthread_create(&committer.thread, NULL, committer_main, &committer));
		ASSERT_TRUE(WAIT_UNTIL(__atomic_load_n(&committer.commits, __ATOMIC_ACQUIRE)));
		ASSERT_EQ(0, rule_remove(&committer.rule));
		ASSERT_EQ(0, pthread_join(committer.thread, NULL));
		EXPECT_EQ(-ENOENT, committer.error);
	}
}

/*
 * Network namespaces that end.
 */

/* In a namespace of its own, whose last process this is. */
static int commit_and_leave(const struct rule *rule)
{
	struct conn conn[KINDS];
	int i, ret;

	ret = conn_setup();
	for (i = 0; i < KINDS && !ret; i++)
		ret = conn_start(&conn[i], i, IPV4);
	if (!ret)
		ret = rule_commit(rule);
	return ret;
}

static void expect_end(struct __test_metadata *_metadata, const struct rule *rule)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(commit_and_leave(rule) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* The one commit meets all, the other leaves the kernel the rest to tidy up. */
TEST_F(together, a_namespace_ends_right_after_a_commit_in_it)
{
	const struct rule *rule = &self->writers.rule;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, rule_set(rule, "state", i % 2 ? "all" : "ESTABLISHED"));
		expect_end(_metadata, rule);
		EXPECT_LT(0, rule_result(rule, "dropped"));
		EXPECT_EQ(0, rule_result(rule, "failed"));
	}
}

static int count_and_commit(const void *rule)
{
	int ret = rule_count(rule);

	return ret < 0 ? ret : rule_commit(rule);
}

TEST_F(together, neither_rule_nor_commit_keeps_a_namespace)
{
	const struct rule *rule = &self->writers.rule;

	ASSERT_EQ(0, rule_set(rule, "state", "all"));

	EXPECT_EQ(0, netns_leave(conn_setup, count_and_commit, rule));
}

#define KILLS 20
#define TO_KILL 200
#define WATCHED 10

static int count_aborted(const struct pair *pair, int count)
{
	int i, aborted = 0;

	for (i = 0; i < count; i++)
		aborted += sock_error(pair[i].client) == ECONNABORTED;
	return aborted;
}

/* Kill the commit of all of @pair when it comes to the first of the @watched. */
static void kill_commit(struct __test_metadata *_metadata, const struct rule *rule,
			const struct pair *pair, const struct pair *watched)
{
	struct rule_result result;
	struct hold hold;
	int status;

	ASSERT_EQ(0, rule_set(rule, "saddr", "127.4.0.1"));
	ASSERT_EQ(0, rule_setf(rule, "max", "%d", TO_KILL));
	ASSERT_EQ(0, commit_hold(&hold, rule, watched, WATCHED));
	ASSERT_EQ(0, kill(hold.pid, SIGKILL));
	commit_let_go(&hold);
	ASSERT_EQ(hold.pid, waitpid(hold.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));

	ASSERT_EQ(0, rule_result_read(rule, &result));
	EXPECT_LT(0, result.dropped);
	EXPECT_GT(TO_KILL, result.dropped);
	EXPECT_EQ(result.dropped, result.matched);
	EXPECT_EQ(TO_KILL - result.dropped, result.remaining);
	EXPECT_EQ(result.dropped, count_aborted(pair, TO_KILL));
	EXPECT_EQ(result.remaining, rule_count(rule));

	/* Nothing of it is left that would be in the way of the next. */
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(result.remaining, rule_result(rule, "dropped"));
}

/* At another moment of it every time, as chance has it. */
TEST_F(together, a_commit_is_running_when_its_process_is_killed)
{
	int listener = sock_listen(IPV4, "127.0.0.1", 0);
	struct pair pair[TO_KILL];
	struct rule rule;
	int i, j;

	ASSERT_LE(0, listener);
	for (i = 0; i < KILLS; i++) {
		for (j = 0; j < TO_KILL; j++)
			ASSERT_EQ(0, sock_pair(listener, IPV4, "127.4.0.1", 0, &pair[j]));
		ASSERT_EQ(0, rule_new(&rule, "lifecycle-killed"));
		kill_commit(_metadata, &rule, pair, &pair[i]);
		ASSERT_EQ(0, rule_remove(&rule));
		for (j = 0; j < TO_KILL; j++) {
			close(pair[j].client);
			close(pair[j].server);
		}
	}
}

TEST_HARNESS_MAIN
