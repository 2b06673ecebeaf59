// SPDX-License-Identifier: GPL-2.0
/*
 * The attributes of a rule as the kernel has them: what they take, what they
 * refuse, and that a refused write changes nothing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grammar_cases.h"
#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define TEXT_MAX 4097
#define ATTRS_MAX 64

/* The attributes of a rule, whichever there are: what can be read and written. */
static struct {
	char name[ATTRS_MAX][NAME_MAX + 1];
	size_t nr;
} attrs;

/* What every attribute holds. */
struct snapshot {
	char text[ATTRS_MAX][TEXT_MAX];
};

static mode_t mode_of(const struct rule *rule, const char *name)
{
	char path[1024];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", rule->path, name);
	return stat(path, &st) ? 0 : st.st_mode;
}

static int find_attrs(const struct rule *rule)
{
	DIR *dir = opendir(rule->path);
	struct dirent *entry;

	attrs.nr = 0;
	while (dir && (entry = readdir(dir)) && attrs.nr < ATTRS_MAX) {
		if (mode_of(rule, entry->d_name) == (S_IFREG | 0644))
			snprintf(attrs.name[attrs.nr++], sizeof(attrs.name[0]), "%s",
				 entry->d_name);
	}
	if (!dir || closedir(dir))
		return -errno;
	return attrs.nr ? 0 : -ENOENT;
}

FIXTURE(grammar) {
	struct rule rule;
	struct pair pair;
	char text[TEXT_MAX];
};

/* With a connection from 127.0.0.1:7001 to 127.0.0.2:7002, see list_attrs. */
FIXTURE_SETUP(grammar)
{
	int listener;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, rule_new(&self->rule, "grammar"));
	ASSERT_EQ(0, find_attrs(&self->rule));
	listener = sock_listen(IPV4, "127.0.0.2", 7002);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 7001, &self->pair));
	ASSERT_EQ(0, close(listener));
}

FIXTURE_TEARDOWN(grammar)
{
	rule_remove(&self->rule);
	close(self->pair.client);
	close(self->pair.server);
}

static void take_snapshot(const struct rule *rule, struct snapshot *snapshot)
{
	size_t i;

	memset(snapshot, 0, sizeof(*snapshot));
	for (i = 0; i < attrs.nr; i++)
		rule_get(rule, attrs.name[i], snapshot->text[i], TEXT_MAX);
}

/* Without the newline. */
static const char *get(const struct rule *rule, const char *attr, char *text)
{
	if (rule_get(rule, attr, text, TEXT_MAX) < 0)
		return "(not read)";
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static const char *last_error(const struct rule *rule)
{
	static char text[TEXT_MAX];

	return get(rule, "last_error", text);
}

static bool has_cases(const char *attr, bool good)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(grammar_cases); i++)
		if (!strcmp(grammar_cases[i].attr, attr) && !grammar_cases[i].err == good)
			return true;
	return false;
}

static bool is_list(const char *attr)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(list_attrs); i++)
		if (!strcmp(list_attrs[i].attr, attr))
			return true;
	return false;
}

static bool is_value(const char *attr)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(value_attrs); i++)
		if (!strcmp(value_attrs[i].attr, attr))
			return true;
	return false;
}

/* What an attribute is in a new rule. */
static const char *unset_value(const char *attr)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(option_attrs); i++)
		if (!strcmp(option_attrs[i].attr, attr))
			return option_attrs[i].value;
	return is_list(attr) || is_value(attr) ? "any" : NULL;
}

TEST_F(grammar, knows_every_attribute_that_a_rule_has)
{
	size_t i;

	for (i = 0; i < attrs.nr; i++) {
		EXPECT_TRUE(has_cases(attrs.name[i], true)) TH_LOG("%s", attrs.name[i]);
		EXPECT_TRUE(has_cases(attrs.name[i], false)) TH_LOG("%s", attrs.name[i]);
		EXPECT_NE(NULL, unset_value(attrs.name[i])) TH_LOG("%s", attrs.name[i]);
	}
	EXPECT_EQ(attrs.nr, ARRAY_LEN(list_attrs) + ARRAY_LEN(value_attrs) +
		  ARRAY_LEN(option_attrs));
	for (i = 0; i < ARRAY_LEN(list_attrs); i++)
		EXPECT_EQ(S_IFREG | 0644, mode_of(&self->rule, list_attrs[i].attr))
			TH_LOG("list %zu", i);
}

TEST_F(grammar, a_new_rule_has_nothing_set)
{
	size_t i;

	for (i = 0; i < attrs.nr; i++)
		EXPECT_STREQ(unset_value(attrs.name[i]),
			     get(&self->rule, attrs.name[i], self->text))
			TH_LOG("%s", attrs.name[i]);
	EXPECT_STREQ("", get(&self->rule, "last_error", self->text));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(0, rule_result(&self->rule, "elapsed_us"));
	EXPECT_STREQ("", get(&self->rule, "result/states", self->text));
}

static bool is_among(const char *name, const char *const *names, size_t nr)
{
	while (nr--)
		if (!strcmp(name, names[nr]))
			return true;
	return false;
}

/* Every file is an attribute or one of these. */
TEST_F(grammar, files_have_the_modes_that_they_should)
{
	static const char *const read_only[] = {
		"count", "list", "rule", "last_error", "result/matched", "result/dropped",
		"result/failed", "result/remaining", "result/elapsed_us", "result/states",
	};
	DIR *dir = opendir(self->rule.path);
	struct dirent *entry;
	size_t i;

	for (i = 0; i < ARRAY_LEN(read_only); i++)
		EXPECT_EQ(S_IFREG | (strcmp(read_only[i], "rule") ? 0444 : 0400),
			  mode_of(&self->rule, read_only[i]))
			TH_LOG("file %zu", i);
	EXPECT_EQ(S_IFREG | 0200, mode_of(&self->rule, "commit"));

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (entry->d_type == DT_DIR || !strcmp(entry->d_name, "commit") ||
		    is_among(entry->d_name, read_only, ARRAY_LEN(read_only)))
			continue;
		EXPECT_EQ(S_IFREG | 0644, mode_of(&self->rule, entry->d_name))
			TH_LOG("%s", entry->d_name);
	}
	closedir(dir);
}

TEST_F(grammar, files_belong_to_root)
{
	struct stat st;
	char path[1024];
	size_t i;

	for (i = 0; i < attrs.nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", self->rule.path, attrs.name[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0, st.st_uid);
	}
	snprintf(path, sizeof(path), "%s/commit", self->rule.path);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0, st.st_uid);
}

static void run_case(struct __test_metadata *_metadata, const struct rule *rule,
		     const struct grammar_case *c)
{
	struct snapshot before, after;
	char text[TEXT_MAX], error[256];

	ASSERT_EQ(0, rule_set(rule, c->attr, c->first ? c->first : "any"));
	take_snapshot(rule, &before);
	EXPECT_EQ(-c->err, rule_set(rule, c->attr, c->write))
		TH_LOG("%s: %s", c->attr, c->write);
	if (c->err) {
		snprintf(error, sizeof(error), "%s: %s", c->attr, c->error);
		EXPECT_STREQ(error, get(rule, "last_error", text));
		take_snapshot(rule, &after);
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	} else {
		EXPECT_STREQ("", get(rule, "last_error", text));
		EXPECT_STREQ(c->read, get(rule, c->attr, text));
		EXPECT_EQ(0, rule_set(rule, c->attr, text));
		EXPECT_STREQ(c->read, get(rule, c->attr, text));
	}
	ASSERT_EQ(0, rule_set(rule, c->attr, "any"));
}

TEST_F(grammar, attributes_take_and_refuse_what_they_should)
{
	const struct grammar_case *c;

	for (c = grammar_cases; c < grammar_cases + ARRAY_LEN(grammar_cases); c++)
		run_case(_metadata, &self->rule, c);
}

/* Is the client's end among the connections that the rule lists? */
static bool lists_client(const struct rule *rule)
{
	char *text = rule_list(rule);
	bool listed;

	listed = text && strstr(text, "127.0.0.1:7001 127.0.0.2:7002 ");
	free(text);
	return listed;
}

/*
 * The client has what @list says; but it has no ULP and belongs to neither of
 * the processes, of which "!" is true.
 */
static bool client_matches(const struct list_attr *list, const struct list_case *c)
{
	if (!strcmp(list->attr, "ulp") || !strcmp(list->attr, "pid"))
		return *c->read == '!' || !strcmp(c->read, "any");
	return list_matches(list, c);
}

TEST_F(grammar, every_list_does_what_it_should)
{
	const struct list_attr *list;
	const struct list_case *c;
	char text[256];
	int mark = 0x10;

	ASSERT_EQ(0, setsockopt(self->pair.client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	ASSERT_EQ(0, setsockopt(self->pair.client, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	ASSERT_EQ(0, setsockopt(self->pair.client, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	for (list = list_attrs; list < list_attrs + ARRAY_LEN(list_attrs); list++) {
		for (c = list_cases; c < list_cases + ARRAY_LEN(list_cases); c++) {
			list_text(list, c->before, text, sizeof(text));
			ASSERT_EQ(0, rule_set(&self->rule, list->attr, text));
			list_text(list, c->write, text, sizeof(text));
			EXPECT_EQ(0, rule_set(&self->rule, list->attr, text))
				TH_LOG("%s: %s, %s", list->attr, c->before, text);
			list_text(list, c->read, text, sizeof(text));
			EXPECT_STREQ(text, get(&self->rule, list->attr, self->text));
			EXPECT_EQ(client_matches(list, c), lists_client(&self->rule))
				TH_LOG("%s: %s", list->attr, text);
		}
		ASSERT_EQ(0, rule_set(&self->rule, list->attr, "any"));
	}
}

/* Has @ends become a minisock, and is the other end gone? */
static bool is_finished(const struct ends *ends)
{
	struct ends other = ends_swap(ends);
	const struct entry *entry;
	struct table table;
	bool finished;

	if (table_read(&table))
		return false;
	entry = table_find(&table, ends);
	finished = entry && entry->minisock && !table_find(&table, &other);
	table_free(&table);
	return finished;
}

/* The server's end of the pair, which is closed first, is in TIME_WAIT then. */
static int close_pair(struct pair *pair)
{
	struct ends server = ends_swap(&pair->ends);
	int ret;

	ret = sock_finish(pair->server, pair->client);
	pair->server = -1;
	pair->client = -1;
	if (ret)
		return ret;
	return WAIT_UNTIL(is_finished(&server)) ? 0 : -ETIMEDOUT;
}

/* Commits a rule of names: drops those of @mine, neither @other's nor a minisock. */
static void commit_names(struct __test_metadata *_metadata, const struct rule *rule,
			 const char *attr, const char *names, const struct pair *mine,
			 const struct pair *other)
{
	ASSERT_EQ(0, rule_set(rule, attr, names));
	EXPECT_EQ(2, rule_count(rule));
	EXPECT_EQ(0, rule_commit(rule));
	EXPECT_LT(0, rule_result(rule, "dropped"));
	EXPECT_EQ(0, rule_result(rule, "remaining"));
	EXPECT_FALSE(ends_in_table(&mine->ends));
	if (other)
		EXPECT_TRUE(sock_talks(other->client, other->server));
	ASSERT_EQ(0, rule_set(rule, attr, "any"));
}

static int set_congestion(const struct pair *pair, const char *name)
{
	if (setsockopt(pair->client, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)) ||
	    setsockopt(pair->server, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)))
		return -errno;
	return 0;
}

TEST_F(grammar, names_are_committed_and_match_no_minisock)
{
	struct ends finished = ends_swap(&self->pair.ends);
	struct pair reno, cubic;
	int listener;

	listener = sock_listen(IPV4, "127.0.0.2", 7003);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, close_pair(&self->pair));
	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 0, &cubic));
	ASSERT_EQ(0, set_congestion(&cubic, "cubic"));

	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 0, &reno));
	ASSERT_EQ(0, set_congestion(&reno, "reno"));
	commit_names(_metadata, &self->rule, "congestion", "reno", &reno, &cubic);

	ASSERT_EQ(0, sock_pair(listener, IPV4, "127.0.0.1", 0, &reno));
	ASSERT_EQ(0, set_congestion(&reno, "reno"));
	commit_names(_metadata, &self->rule, "congestion", "!cubic", &reno, &cubic);

	ASSERT_EQ(0, rule_set(&self->rule, "ulp", "tls"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_TRUE(sock_talks(cubic.client, cubic.server));
	commit_names(_metadata, &self->rule, "ulp", "!tls", &cubic, NULL);
	EXPECT_TRUE(ends_in_table(&finished));
}

/* One write(2) of @len bytes. */
static int write_raw(const struct rule *rule, const char *attr, const char *text,
		     size_t len)
{
	char path[1024];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", rule->path, attr);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, len);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

TEST_F(grammar, a_write_too_long_is_refused_and_never_cut)
{
	static const size_t too_long[] = { 4095, 4096, 5000, 100000 };
	char *text = malloc(100000);
	size_t i;

	ASSERT_NE(NULL, text);
	memset(text, ' ', 100000);
	memcpy(text, "22", 2);
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "80"));
	for (i = 0; i < ARRAY_LEN(too_long); i++) {
		EXPECT_EQ(-EFBIG, write_raw(&self->rule, "sport", text, too_long[i]));
		EXPECT_EQ(-EFBIG, write_raw(&self->rule, "commit", text, too_long[i]));
		EXPECT_STREQ("80", get(&self->rule, "sport", self->text));
	}
	EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
			       "too long for one write"));
	EXPECT_EQ(4094, write_raw(&self->rule, "sport", text, 4094));
	EXPECT_STREQ("22", get(&self->rule, "sport", self->text));
	EXPECT_STREQ("", get(&self->rule, "last_error", self->text));
	free(text);
}

TEST_F(grammar, a_nul_is_refused)
{
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "80"));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "sport", "22\0", 3));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "sport", "22\0x", 4));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "max", "2\0", 2));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "commit", "1\0", 2));
	EXPECT_STREQ("80", get(&self->rule, "sport", self->text));
}

TEST_F(grammar, an_item_too_long_is_refused)
{
	char text[1000];

	memset(text, '1', sizeof(text));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "saddr", text, sizeof(text)));
	EXPECT_STREQ("any", get(&self->rule, "saddr", self->text));
	EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
			       "too long an item"));
}

TEST_F(grammar, a_list_beyond_one_page_shows_what_fits_and_how_many_do_not)
{
	int i, shown;
	char *rest;
	long more;

	for (i = 0; i < 2000; i++)
		ASSERT_EQ(0, rule_setf(&self->rule, "daddr", "+%s10.1.%d.%d",
				       i % 2 ? "!" : "", i / 100, i % 100 * 2));
	get(&self->rule, "daddr", self->text);
	EXPECT_LT(4000, strlen(self->text));
	EXPECT_GT(4094, strlen(self->text));
	EXPECT_EQ(0, strncmp(self->text, "10.1.0.0,10.1.0.4,10.1.0.8,", 27));

	rest = strstr(self->text, " ... ");
	ASSERT_NE(NULL, rest);
	shown = text_count(self->text, ",") + 1;
	more = strtol(rest + strlen(" ... "), &rest, 10);
	EXPECT_EQ(2000, shown + more);
	EXPECT_STREQ(" more", rest);

	EXPECT_EQ(-EINVAL, rule_set(&self->rule, "daddr", self->text));
	EXPECT_STREQ("daddr: \"...\": not an address", last_error(&self->rule));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
}

/* The file "rule": all that is set, as lines of a rule file, whatever their number. */
TEST_F(grammar, a_rule_reads_as_a_whole)
{
	char path[1024], *text, *at;
	int i;

	snprintf(path, sizeof(path), "%s/rule", self->rule.path);
	text = file_read_all(path);
	EXPECT_STREQ("", text);
	free(text);

	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "10.0.0.1 !10.0.0.2"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "closing"));
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "500"));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "0"));
	text = file_read_all(path);
	EXPECT_STREQ("saddr = 10.0.0.1,!10.0.0.2\nstate = CLOSING\nnetns = all\n"
		     "rate = 500\nreset = no\n", text);
	free(text);

	for (i = 0; i < 5000; i++)
		ASSERT_EQ(0, rule_setf(&self->rule, "sport", "+%d", 1 + 2 * i));
	text = file_read_all(path);
	ASSERT_NE(NULL, text);
	at = strstr(text, "sport = ");
	for (i = 0; i < 5000 && at; i++) {
		at = strpbrk(at, "=,");
		ASSERT_NE(NULL, at);
		ASSERT_EQ(1 + 2 * i, strtol(at + 1, &at, 10));
	}
	ASSERT_NE(NULL, at);
	EXPECT_STREQ("\nstate = CLOSING\nnetns = all\nrate = 500\nreset = no\n", at);
	free(text);
}

TEST_F(grammar, a_full_line_is_taken_back)
{
	char again[TEXT_MAX];
	int port;

	/* 682 items of five digits, with commas: as much as a write carries. */
	for (port = 10000; port < 10000 + 2 * 681; port += 2)
		ASSERT_EQ(0, rule_setf(&self->rule, "sport", "+%d", port));
	get(&self->rule, "sport", self->text);
	EXPECT_EQ(NULL, strstr(self->text, "..."));
	EXPECT_LT(4080, (long)strlen(self->text));
	EXPECT_EQ(0, rule_set(&self->rule, "sport", self->text));
	EXPECT_STREQ(self->text, get(&self->rule, "sport", again));
}

TEST_F(grammar, commit_takes_one_and_nothing_else)
{
	static const char *const good[] = {
		"1", "1\n", "1 ", "1\t", "1 \t \n", "1\r", "1\r\n", "1 \r\n",
	};
	static const char *const bad[] = {
		"0", "2", "11", "1x", "yes", "-1", "\n", " ", "\r\n", " 1", "+1", "01",
		"1 1", "1,", "1 x", "1\n1", "1\n\n", "1\n ", "\t1", "1\v", "1\001",
	};
	size_t i;

	/* A rule that selects something, lest it be refused for another reason. */
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "192.0.2.1"));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_EQ(-EINVAL, rule_set(&self->rule, "commit", bad[i]))
			TH_LOG("commit: %s", bad[i]);
		EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
				       "commit: \""));
		EXPECT_NE(NULL, strstr(self->text, "only 1 can be written"));
	}
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "commit", "1\0", 2));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "commit", "1 \0\n", 4));
	for (i = 0; i < ARRAY_LEN(good); i++) {
		EXPECT_EQ(0, rule_set(&self->rule, "commit", good[i])) TH_LOG("good %zu", i);
		EXPECT_STREQ("", last_error(&self->rule));
		EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.0.0.1"));
	EXPECT_EQ(0, rule_set(&self->rule, "commit", "1 \r\n"));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
}

/* The script that forgot its "set -e". */
TEST_F(grammar, a_rule_that_was_refused_something_drops_nothing)
{
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "7001"));
	EXPECT_EQ(-EINVAL, rule_set(&self->rule, "state", "timewait"));
	EXPECT_STREQ("state: \"timewait\": not a TCP state", last_error(&self->rule));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_STREQ("commit: \"1\": state was refused: \"timewait\": not a TCP state",
		     last_error(&self->rule));
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));

	/* Looking goes on, and another attribute changes nothing. */
	EXPECT_EQ(1, rule_count(&self->rule));
	EXPECT_TRUE(lists_client(&self->rule));
	EXPECT_STREQ("any", get(&self->rule, "state", self->text));
	EXPECT_EQ(0, rule_set(&self->rule, "dport", "7002"));
	EXPECT_STREQ("", last_error(&self->rule));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_EQ(-EINVAL, rule_set(&self->rule, "commit", "2"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_STREQ("commit: \"1\": state was refused: \"timewait\": not a TCP state",
		     last_error(&self->rule));
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));

	EXPECT_EQ(0, rule_set(&self->rule, "state", "any"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_STREQ("", last_error(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->pair.client));
}

/* Refuses @attr something, and mends it by @whole; a list not by adding to it. */
static void refuse_and_mend(struct __test_metadata *_metadata, const struct rule *rule,
			    const char *attr, const char *whole)
{
	char error[256];

	EXPECT_EQ(-EINVAL, rule_set(rule, attr, "?,")) TH_LOG("%s", attr);
	snprintf(error, sizeof(error), "commit: \"1\": %s was refused: ", attr);
	EXPECT_EQ(-EINVAL, rule_commit(rule)) TH_LOG("%s", attr);
	EXPECT_EQ(0, strncmp(error, last_error(rule), strlen(error)))
		TH_LOG("%s", last_error(rule));
	if (is_list(attr) || !strcmp(attr, "netns")) {
		EXPECT_EQ(0, rule_setf(rule, attr, "+%s", whole)) TH_LOG("%s", attr);
		EXPECT_EQ(-EINVAL, rule_commit(rule)) TH_LOG("%s", attr);
	}
	EXPECT_EQ(0, rule_set(rule, attr, whole)) TH_LOG("%s", attr);
	EXPECT_EQ(0, rule_commit(rule)) TH_LOG("%s", attr);
	EXPECT_EQ(-EINVAL, rule_set(rule, attr, "+?,")) TH_LOG("%s", attr);
	EXPECT_EQ(-EINVAL, rule_commit(rule)) TH_LOG("%s", attr);
	EXPECT_EQ(0, rule_set(rule, attr, "\n")) TH_LOG("%s", attr);
	EXPECT_EQ(0, rule_commit(rule)) TH_LOG("%s", attr);
}

TEST_F(grammar, every_attribute_that_was_refused_something_has_to_be_written_anew)
{
	size_t i;

	/* What matches nothing, by the one attribute or by the other. */
	for (i = 0; i < ARRAY_LEN(list_attrs); i++) {
		ASSERT_EQ(0, rule_set(&self->rule, "saddr", "192.0.2.1"));
		ASSERT_EQ(0, rule_set(&self->rule, "daddr", "192.0.2.1"));
		refuse_and_mend(_metadata, &self->rule, list_attrs[i].attr,
				list_attrs[i].first);
	}
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "192.0.2.1"));
	for (i = 0; i < ARRAY_LEN(value_attrs); i++)
		refuse_and_mend(_metadata, &self->rule, value_attrs[i].attr,
				value_attrs[i].value);
	for (i = 0; i < ARRAY_LEN(option_attrs); i++)
		refuse_and_mend(_metadata, &self->rule, option_attrs[i].attr,
				option_attrs[i].value);
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

TEST_F(grammar, all_that_was_refused_has_to_be_mended)
{
	size_t i;

	ASSERT_EQ(0, rule_set(&self->rule, "sport", "9"));
	for (i = 0; i < attrs.nr; i++)
		EXPECT_EQ(-EINVAL, rule_set(&self->rule, attrs.name[i], "?,"));
	for (i = 0; i < attrs.nr; i++) {
		EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
		EXPECT_EQ(0, rule_set(&self->rule, attrs.name[i],
				      strcmp(attrs.name[i], "sport") ? "any" : "9"));
	}
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_TRUE(sock_talks(self->pair.client, self->pair.server));
}

TEST_F(grammar, a_refusal_counts_for_whatever_reason)
{
	char *text = malloc(5000);

	ASSERT_NE(NULL, text);
	memset(text, ' ', 5000);
	memcpy(text, "7001", 4);
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "7001"));

	EXPECT_EQ(-EFBIG, write_raw(&self->rule, "sport", text, 5000));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_NE(NULL, strstr(last_error(&self->rule), "sport was refused: \"7001"));
	EXPECT_NE(NULL, strstr(last_error(&self->rule), "too long for one write"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "7001"));

	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "state", "all\0", 4));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_NE(NULL, strstr(last_error(&self->rule), "state was refused: "));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));

	/* A commit that was refused is no refused attribute. */
	EXPECT_EQ(-EFBIG, write_raw(&self->rule, "commit", text, 5000));
	EXPECT_EQ(-EINVAL, write_raw(&self->rule, "commit", "x", 1));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	free(text);
}

TEST_F(grammar, a_refusal_is_another_rule_s_matter)
{
	struct rule other;

	ASSERT_EQ(0, rule_new(&other, "other"));
	EXPECT_EQ(-EINVAL, rule_set(&other, "state", "timewait"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "7001"));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_remove(&other));
}

TEST_F(grammar, commit_of_an_empty_rule_is_refused)
{
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
			       "no selector is set"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "5"));
	ASSERT_EQ(0, rule_set(&self->rule, "rate", "5"));
	ASSERT_EQ(0, rule_set(&self->rule, "reset", "no"));
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "no"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "80"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "any"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
}

TEST_HARNESS_MAIN
