// SPDX-License-Identifier: GPL-2.0
/*
 * The attributes of a rule as the kernel has them: what they take, what they
 * refuse, and that a refused write changes nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grammar_cases.h"
#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define TEXT_MAX 4097

static const char *const attrs[] = {
	"saddr", "daddr", "sport", "dport", "port", "state", "netns", "max",
};

/* What every attribute holds. */
struct snapshot {
	char text[ARRAY_LEN(attrs)][TEXT_MAX];
};

FIXTURE(grammar) {
	struct rule rule;
	char text[TEXT_MAX];
};

FIXTURE_SETUP(grammar)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, rule_new(&self->rule, "grammar"));
}

FIXTURE_TEARDOWN(grammar)
{
	rule_remove(&self->rule);
}

static void take_snapshot(const struct rule *rule, struct snapshot *snapshot)
{
	size_t i;

	memset(snapshot, 0, sizeof(*snapshot));
	for (i = 0; i < ARRAY_LEN(attrs); i++)
		rule_get(rule, attrs[i], snapshot->text[i], TEXT_MAX);
}

/* Without the newline. */
static const char *get(const struct rule *rule, const char *attr, char *text)
{
	if (rule_get(rule, attr, text, TEXT_MAX) < 0)
		return "(not read)";
	text[strcspn(text, "\n")] = '\0';
	return text;
}

TEST_F(grammar, a_new_rule_has_nothing_set)
{
	EXPECT_STREQ("any", get(&self->rule, "saddr", self->text));
	EXPECT_STREQ("any", get(&self->rule, "daddr", self->text));
	EXPECT_STREQ("any", get(&self->rule, "sport", self->text));
	EXPECT_STREQ("any", get(&self->rule, "dport", self->text));
	EXPECT_STREQ("any", get(&self->rule, "port", self->text));
	EXPECT_STREQ("any", get(&self->rule, "state", self->text));
	EXPECT_STREQ("self", get(&self->rule, "netns", self->text));
	EXPECT_STREQ("0", get(&self->rule, "max", self->text));
	EXPECT_STREQ("", get(&self->rule, "last_error", self->text));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_EQ(0, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(0, rule_result(&self->rule, "elapsed_us"));
	EXPECT_STREQ("", get(&self->rule, "result/states", self->text));
}

static void expect_mode(struct __test_metadata *_metadata, const struct rule *rule,
			const char *name, mode_t mode)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", rule->path, name);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(mode, st.st_mode & 07777)
		TH_LOG("%s", name);
	EXPECT_EQ(0, st.st_uid);
}

TEST_F(grammar, files_have_the_modes_that_they_should)
{
	static const char *const read_only[] = {
		"count", "list", "last_error", "result/matched", "result/dropped",
		"result/failed", "result/remaining", "result/elapsed_us", "result/states",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(attrs); i++)
		expect_mode(_metadata, &self->rule, attrs[i], 0644);
	for (i = 0; i < ARRAY_LEN(read_only); i++)
		expect_mode(_metadata, &self->rule, read_only[i], 0444);
	expect_mode(_metadata, &self->rule, "commit", 0200);
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

/* One write(2) of @len bytes. */
static int write_raw(const struct rule *rule, const char *attr, const char *text,
		     size_t len)
{
	char path[600];
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

TEST_F(grammar, a_list_beyond_one_page_shows_what_fits)
{
	size_t len;
	int i;

	for (i = 0; i < 2000; i++)
		ASSERT_EQ(0, rule_setf(&self->rule, "daddr", "+10.1.%d.%d",
				       i / 100, i % 100 * 2));
	get(&self->rule, "daddr", self->text);
	len = strlen(self->text);
	EXPECT_LT(4000, len);
	EXPECT_GT(4095, len);
	EXPECT_STREQ(" ...", self->text + len - 4);
	EXPECT_EQ(0, strncmp(self->text, "10.1.0.0,10.1.0.2,10.1.0.4,", 27));
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
	static const char *const bad[] = { "0", "2", "11", "1x", "yes", "-1", "\n" };
	size_t i;

	/* A rule that selects something, lest it be refused for another reason. */
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "192.0.2.1"));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_EQ(-EINVAL, rule_set(&self->rule, "commit", bad[i]))
			TH_LOG("commit: %s", bad[i]);
		EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
				       "commit: \""));
	}
	EXPECT_EQ(0, rule_set(&self->rule, "commit", "1\n"));
	EXPECT_EQ(0, rule_set(&self->rule, "commit", "1"));
	EXPECT_STREQ("", get(&self->rule, "last_error", self->text));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
}

TEST_F(grammar, commit_of_an_empty_rule_is_refused)
{
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	EXPECT_NE(NULL, strstr(get(&self->rule, "last_error", self->text),
			       "no selector is set"));
	ASSERT_EQ(0, rule_set(&self->rule, "max", "5"));
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "80"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "any"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
}

TEST_HARNESS_MAIN
