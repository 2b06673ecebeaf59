// SPDX-License-Identifier: GPL-2.0
/*
 * The rule model in user space: what the kernel compiles, under the address
 * and undefined-behaviour sanitizers, and with allocations that fail.
 */
#include "model.h"

#include "grammar_cases.h"
#include "kselftest_harness.h"

/* See tcpdrop_util.h. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

static bool match(const struct tcpdrop_rule *rule, const struct tcpdrop_conn *conn)
{
	return match_sock(rule, &(struct sock){ .conn = conn });
}

FIXTURE(model) {
	struct tcpdrop_rule rule;
	struct tcpdrop_rule_error error;
	char text[4096];
};

FIXTURE_SETUP(model)
{
	tcpdrop_rule_init(&self->rule);
	self->error.text[0] = '\0';
}

FIXTURE_TEARDOWN(model)
{
	tcpdrop_rule_destroy(&self->rule);
	EXPECT_EQ(0, shim_allocated);
}

TEST_F(model, takes_and_refuses_what_the_grammar_says)
{
	const struct grammar_case *c;
	struct tcpdrop_rule rule;

	for (c = grammar_cases; c < grammar_cases + ARRAY_SIZE(grammar_cases); c++) {
		tcpdrop_rule_init(&rule);
		if (c->first)
			ASSERT_EQ(0, store(&rule, c->attr, c->first, &self->error));
		EXPECT_EQ(-c->err, store(&rule, c->attr, c->write, &self->error))
			TH_LOG("%s: %s", c->attr, c->write);
		if (c->err) {
			snprintf(self->text, sizeof(self->text), "%s: %s", c->attr, c->error);
			EXPECT_STREQ(self->text, self->error.text);
		} else {
			EXPECT_STREQ(c->read, show(&rule, c->attr, self->text));
		}
		tcpdrop_rule_destroy(&rule);
	}
}

TEST_F(model, reads_back_what_it_takes)
{
	const struct grammar_case *c;
	char again[4096];

	for (c = grammar_cases; c < grammar_cases + ARRAY_SIZE(grammar_cases); c++) {
		if (c->err)
			continue;
		ASSERT_EQ(0, store(&self->rule, c->attr, "any", &self->error));
		ASSERT_EQ(0, store(&self->rule, c->attr, c->write, &self->error));
		show(&self->rule, c->attr, self->text);
		EXPECT_EQ(0, store(&self->rule, c->attr, self->text, &self->error))
			TH_LOG("%s: %s", c->attr, self->text);
		EXPECT_STREQ(self->text, show(&self->rule, c->attr, again));
	}
}

TEST_F(model, without_memory_refuses_and_stays_as_it_was)
{
	long allocations;
	int ret = -ENOMEM;

	ASSERT_EQ(0, store(&self->rule, "saddr", "10.0.0.1,!10.0.0.2", &self->error));
	for (allocations = 0; ret == -ENOMEM; allocations++) {
		ASSERT_GT(100, allocations);
		shim_allocations = allocations;
		ret = store(&self->rule, "saddr",
			    "+::1,::2,::3,::4,::5,!::6,!::7,!::8,!::9,!::10", &self->error);
		shim_allocations = -1;
		if (!ret)
			break;
		EXPECT_STREQ("10.0.0.1,!10.0.0.2", show(&self->rule, "saddr", self->text));
		EXPECT_NE(NULL, strstr(self->error.text, ": out of memory"));
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(2, allocations);
}

TEST_F(model, prints_nothing_if_nothing_is_set)
{
	char *text = print_whole(&self->rule);

	EXPECT_STREQ("", text);
	free(text);
}

TEST_F(model, prints_all_that_is_set_and_takes_it_back)
{
	const struct grammar_case *c;
	struct tcpdrop_rule again;
	char *text, *twice;

	for (c = grammar_cases; c < grammar_cases + ARRAY_SIZE(grammar_cases); c++) {
		if (c->err || !strcmp(c->read, "any"))
			continue;
		ASSERT_EQ(0, store(&self->rule, c->attr, c->first ? c->first : "any",
				   &self->error));
		ASSERT_EQ(0, store(&self->rule, c->attr, c->write, &self->error))
			TH_LOG("%s: %s", c->attr, c->write);
	}
	ASSERT_EQ(0, store(&self->rule, "state", "closing", &self->error));
	text = print_whole(&self->rule);
	ASSERT_NE(NULL, text);
	EXPECT_NE(NULL, strstr(text, "\nstate = CLOSING\n"));
	twice = strdup(text);
	ASSERT_EQ(0, store_lines(&again, twice, &self->error)) TH_LOG("%s", self->error.text);
	free(twice);
	twice = print_whole(&again);
	EXPECT_STREQ(text, twice);
	free(twice);
	free(text);
	tcpdrop_rule_destroy(&again);
}

TEST_F(model, prints_lists_line_by_line_in_canonical_form)
{
	char *text;

	ASSERT_EQ(0, store(&self->rule, "sport", "443 80,!8080", &self->error));
	ASSERT_EQ(0, store(&self->rule, "saddr", "2001:db8::/32,!10.9.8.0/24,10.0.0.0/8",
			   &self->error));
	ASSERT_EQ(0, store(&self->rule, "cgroup", "!/a, b", &self->error));
	ASSERT_EQ(0, store(&self->rule, "idle", "3600", &self->error));
	ASSERT_EQ(0, store(&self->rule, "max", "7", &self->error));
	ASSERT_EQ(0, store(&self->rule, "reset", "no", &self->error));
	text = print_whole(&self->rule);
	EXPECT_STREQ("saddr = 10.0.0.0/8,2001:db8::/32,!10.9.8.0/24\n"
		     "sport = 80,443,!8080\n"
		     "idle = 1h\n"
		     "cgroup = !/a, b\n"
		     "max = 7\n"
		     "reset = no\n", text);
	free(text);
}

TEST_F(model, prints_all_of_a_long_list_in_lines_that_are_not)
{
	struct tcpdrop_rule again;
	char *text, *twice, *line, *save;
	unsigned int i;
	char item[64];

	for (i = 0; i < 5000; i++) {
		snprintf(item, sizeof(item), "+%s2001:db8:%x::/48,10.%u.%u.0/24", i % 3 ? "" : "!",
			 i + 1, i >> 7, i << 1 & 255);
		ASSERT_EQ(0, store(&self->rule, "daddr", item, &self->error));
	}
	text = print_whole(&self->rule);
	ASSERT_NE(NULL, text);
	twice = strdup(text);
	for (line = strtok_r(twice, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ASSERT_GE(76, strlen(line));
		ASSERT_EQ(0, strncmp(line, "daddr = ", 8));
	}
	free(twice);
	twice = strdup(text);
	ASSERT_EQ(0, store_lines(&again, twice, &self->error)) TH_LOG("%s", self->error.text);
	free(twice);
	EXPECT_EQ(10000, again.sel[RULE_DADDR].yes.nr + again.sel[RULE_DADDR].no.nr);
	twice = print_whole(&again);
	EXPECT_STREQ(text, twice);
	free(twice);
	free(text);
	tcpdrop_rule_destroy(&again);
}

TEST_F(model, without_memory_prints_nothing)
{
	struct tcpdrop_text text;
	long allocations = 0;
	unsigned int i;
	char item[32];
	int ret;

	for (i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "+%u", 2 * i + 1);
		ASSERT_EQ(0, store(&self->rule, "sport", item, &self->error));
	}
	do {
		shim_allocations = allocations++;
		ret = tcpdrop_rule_print(&self->rule, &text);
		shim_allocations = -1;
		kvfree(text.buf);
		ASSERT_TRUE(!ret || ret == -ENOMEM);
	} while (ret);
	EXPECT_LT(2, allocations);
}

TEST_F(model, copies_lists_without_memory)
{
	struct tcpdrop_rule copy;

	ASSERT_EQ(0, store(&self->rule, "sport", "80,!22", &self->error));
	ASSERT_EQ(0, store(&self->rule, "daddr", "10.0.0.1", &self->error));
	shim_allocations = 0;
	EXPECT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	shim_allocations = -1;
	EXPECT_STREQ("80,!22", show(&copy, "sport", self->text));
	EXPECT_STREQ("10.0.0.1", show(&copy, "daddr", self->text));
	tcpdrop_rule_destroy(&copy);
}

/* What is added to one is not added to the other, and not by half without memory. */
static void add_to_one(struct __test_metadata *_metadata, struct tcpdrop_rule *one,
		       struct tcpdrop_rule *other, const char *item, const char *before,
		       const char *after)
{
	struct tcpdrop_rule_error error;
	long allocations = 0;
	char text[4096];
	int ret;

	do {
		EXPECT_STREQ(before, show(one, "daddr", text));
		EXPECT_STREQ(before, show(other, "daddr", text));
		shim_allocations = allocations++;
		ret = store(one, "daddr", item, &error);
		shim_allocations = -1;
	} while (ret == -ENOMEM);
	ASSERT_EQ(0, ret);
	EXPECT_STREQ(after, show(one, "daddr", text));
	EXPECT_STREQ(before, show(other, "daddr", text));
}

TEST_F(model, adds_to_a_copy_or_to_the_rule_alone)
{
	struct tcpdrop_rule copy, second;

	ASSERT_EQ(0, store(&self->rule, "daddr", "10.0.0.1,!10.0.0.9", &self->error));
	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	add_to_one(_metadata, &self->rule, &copy, "+10.0.0.3,!10.0.0.8", "10.0.0.1,!10.0.0.9",
		   "10.0.0.1,10.0.0.3,!10.0.0.8,!10.0.0.9");
	ASSERT_EQ(0, tcpdrop_rule_copy(&second, &self->rule));
	add_to_one(_metadata, &second, &self->rule, "+10.0.0.2",
		   "10.0.0.1,10.0.0.3,!10.0.0.8,!10.0.0.9",
		   "10.0.0.1,10.0.0.2,10.0.0.3,!10.0.0.8,!10.0.0.9");

	/* A copy outlives what it is of. */
	ASSERT_EQ(0, store(&self->rule, "daddr", "any", &self->error));
	EXPECT_STREQ("10.0.0.1,!10.0.0.9", show(&copy, "daddr", self->text));
	EXPECT_STREQ("10.0.0.1,10.0.0.2,10.0.0.3,!10.0.0.8,!10.0.0.9",
		     show(&second, "daddr", self->text));
	tcpdrop_rule_destroy(&copy);
	tcpdrop_rule_destroy(&second);
	tcpdrop_rule_destroy(&self->rule);
	tcpdrop_rule_init(&self->rule);
	EXPECT_EQ(0, shim_allocated);
}

static int items_before(const char *text, const char *end)
{
	int items = 1;

	for (; text < end; text++)
		items += *text == ',';
	return items;
}

TEST_F(model, shows_what_fits_of_a_long_list_and_matches_all_of_it)
{
	struct tcpdrop_conn conn = { .state = TCP_ESTABLISHED, .sport = 1, .dport = 1 };
	struct tcpdrop_rule copy;
	const char *more;
	unsigned int i;
	char item[64];
	size_t len;

	for (i = 0; i < 50000; i++) {
		snprintf(item, sizeof(item), "+10.%u.%u.%u", i >> 15, i >> 7 & 255,
			 i << 1 & 255);
		ASSERT_EQ(0, store(&self->rule, "daddr", item, &self->error));
	}
	show(&self->rule, "daddr", self->text);
	len = strlen(self->text);
	EXPECT_GT(4094, len);
	EXPECT_LT(4000, len);
	more = strstr(self->text, " ... ");
	ASSERT_NE(NULL, more);
	snprintf(item, sizeof(item), " ... %d more", 50000 - items_before(self->text, more));
	EXPECT_STREQ(item, more);
	EXPECT_EQ(-EINVAL, store(&self->rule, "daddr", self->text, &self->error));
	EXPECT_STREQ("daddr: \"...\": not an address", self->error.text);

	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	EXPECT_EQ(50000, copy.sel[RULE_DADDR].yes.nr);
	for (i = 0; i < 100000; i++) {
		conn.daddr = tcpdrop_conn_ipv4_key(htonl(10U << 24 | i));
		conn.saddr = conn.daddr;
		ASSERT_EQ(i % 2 == 0, match(&copy, &conn));
	}
	tcpdrop_rule_destroy(&copy);
}

#define PIECES_HOSTS	16384

/* Adds ten ranges, some of which overlap, and marks what they have. */
static void write_piece(struct __test_metadata *_metadata, struct tcpdrop_rule *rule, u32 *seed,
			bool *has)
{
	struct tcpdrop_rule_error error;
	char piece[512] = "+", *p = piece + 1;
	unsigned int i, host, first, last;

	for (i = 0; i < 10; i++) {
		*seed = *seed * 1103515245 + 12345;
		first = (*seed >> 8) % (PIECES_HOSTS - 8);
		last = first + (*seed >> 24 & 7);
		for (host = first; host <= last; host++)
			has[host] = true;
		p += sprintf(p, "10.0.%u.%u-10.0.%u.%u ", first >> 8, first & 255, last >> 8,
			     last & 255);
	}
	ASSERT_EQ(0, store(rule, "daddr", piece, &error));
}

static void expect_hosts(struct __test_metadata *_metadata, struct tcpdrop_rule *rule,
			 const bool *has)
{
	struct tcpdrop_conn conn = { .state = TCP_ESTABLISHED, .sport = 1, .dport = 1 };
	struct tcpdrop_rule copy;
	unsigned int host;

	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, rule));
	for (host = 0; host < PIECES_HOSTS; host++) {
		conn.daddr = tcpdrop_conn_ipv4_key(htonl(10U << 24 | host));
		conn.saddr = conn.daddr;
		ASSERT_EQ(has[host], match(&copy, &conn));
	}
	tcpdrop_rule_destroy(&copy);
}

/* Now and then it is read when there is no memory to put it in order the quick way. */
TEST_F(model, matches_what_was_written_in_pieces_and_in_no_order)
{
	static bool has[PIECES_HOSTS];
	unsigned int piece;
	u32 seed = 1;

	memset(has, 0, sizeof(has));
	for (piece = 0; piece < 300; piece++) {
		write_piece(_metadata, &self->rule, &seed, has);
		if (piece % 7 == 0) {
			shim_allocations = 0;
			show(&self->rule, "daddr", self->text);
			shim_allocations = -1;
		}
		if (piece % 5 == 0)
			expect_hosts(_metadata, &self->rule, has);
	}
}

static u32 random_number(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed ^ *seed >> 16;
}

/* Far apart, close together and at both ends of all that there are; every eighth is of IPv6. */
static void write_scattered(struct __test_metadata *_metadata, struct tcpdrop_rule *rule,
			    unsigned int nr, u32 *seed)
{
	struct tcpdrop_rule_error error;
	u32 addr, mask = *seed & 1 ? U32_MAX : 0xfff;
	char item[64];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		addr = i == 2 ? U32_MAX : i ? random_number(seed) & mask : 0;
		if (i % 8 == 7)
			sprintf(item, "+2001:db8::%x", addr & 0xffff);
		else
			sprintf(item, "+%u.%u.%u.%u/%u", addr >> 24, addr >> 16 & 255,
				addr >> 8 & 255, addr & 255, i > 2 ? 24 + *seed % 9 : 32);
		ASSERT_EQ(0, store(rule, "daddr", item, &error));
	}
}

static void expect_addr(struct __test_metadata *_metadata, const struct tcpdrop_rule *rule,
			const struct tcpdrop_range_key *addr)
{
	const struct tcpdrop_ranges *set = &rule->sel[RULE_DADDR].yes;
	struct tcpdrop_conn conn = { .state = TCP_ESTABLISHED, .daddr = *addr };
	bool has = false;
	size_t i;

	for (i = 0; i < set->nr; i++)
		has = has || (tcpdrop_range_key_cmp(&set->v[i].first, addr) <= 0 &&
			      tcpdrop_range_key_cmp(addr, &set->v[i].last) <= 0);
	ASSERT_EQ(has, match(rule, &conn)) TH_LOG("%llx", (unsigned long long)addr->lo);
	if (addr->space == CONN_IPV4)
		ASSERT_EQ(has, tcpdrop_rule_may_have_ipv4(rule, 0, addr->lo));
}

/* The last begins like the others. */
TEST_F(model, finds_what_is_in_a_range_that_ends_in_another_network)
{
	struct tcpdrop_conn conn = { .state = TCP_ESTABLISHED };
	struct tcpdrop_rule copy;
	char item[64];
	unsigned int i;

	for (i = 0; i < 100; i++) {
		sprintf(item, "+2001:db8::%x", 2 * i);
		ASSERT_EQ(0, store(&self->rule, "daddr", item, &self->error));
	}
	ASSERT_EQ(0, store(&self->rule, "daddr", "+2001:db8::1000-2001:db8:0:1::5", &self->error));
	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	conn.daddr = copy.sel[RULE_DADDR].yes.v[100].first;
	EXPECT_TRUE(match(&copy, &conn));
	conn.daddr.lo += 77;
	EXPECT_TRUE(match(&copy, &conn));
	conn.daddr = copy.sel[RULE_DADDR].yes.v[100].last;
	EXPECT_TRUE(match(&copy, &conn));
	conn.daddr.lo++;
	EXPECT_FALSE(match(&copy, &conn));
	tcpdrop_rule_destroy(&copy);
}

/* Each range is tried where it begins and ends, right beside that, and with what is in none. */
TEST_F(model, finds_what_a_list_of_any_length_has)
{
	unsigned int i, round, nr;
	struct tcpdrop_rule copy;
	struct tcpdrop_range_key addr;
	u32 seed = 1;

	for (round = 0; round < 60; round++) {
		nr = 3 + (round < 40 ? round : 100 + 20 * round);
		tcpdrop_rule_destroy(&self->rule);
		tcpdrop_rule_init(&self->rule);
		seed = round + 2;
		write_scattered(_metadata, &self->rule, nr, &seed);
		shim_allocations = round % 5 ? -1 : 0;
		ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
		shim_allocations = -1;
		for (i = 0; i < copy.sel[RULE_DADDR].yes.nr; i++) {
			addr = copy.sel[RULE_DADDR].yes.v[i].first;
			expect_addr(_metadata, &copy, &addr);
			if (addr.lo--)
				expect_addr(_metadata, &copy, &addr);
			addr = copy.sel[RULE_DADDR].yes.v[i].last;
			expect_addr(_metadata, &copy, &addr);
			if (addr.lo++ != U32_MAX)
				expect_addr(_metadata, &copy, &addr);
			addr = tcpdrop_conn_ipv4_key(random_number(&seed));
			expect_addr(_metadata, &copy, &addr);
		}
		tcpdrop_rule_destroy(&copy);
	}
}

/* A list that grows to twice what a line holds, by an item of every length. */
TEST_F(model, counts_what_does_not_fit_whatever_the_length)
{
	const char *more;
	int items, shown;
	char item[64];
	size_t len;

	for (items = 1; items <= 1500; items++) {
		snprintf(item, sizeof(item), "%s%d",
			 items % 3 ? "+" : "+!", items % 7 ? 10000 + 2 * items : 2 * items);
		ASSERT_EQ(0, store(&self->rule, "sport", item, &self->error));
		show(&self->rule, "sport", self->text);
		len = strlen(self->text);
		ASSERT_GT(4094, len);
		more = strstr(self->text, " ... ");
		shown = items_before(self->text, more ? more : self->text + len);
		if (more) {
			snprintf(item, sizeof(item), " ... %d more", items - shown);
			ASSERT_STREQ(item, more);
			ASSERT_LT(4094 - 40, len);
		} else {
			ASSERT_EQ(items, shown);
		}
		ASSERT_EQ(more ? -EINVAL : 0,
			  store(&self->rule, "dport", self->text, &self->error));
	}
	EXPECT_NE(NULL, more);
}

/* 682 items of five digits and that one: 4094 bytes with the newline, if it is of one digit. */
static void store_long_list(struct __test_metadata *_metadata, FIXTURE_DATA(model) * self,
			    const char *first)
{
	char item[16];
	int port;

	ASSERT_EQ(0, store(&self->rule, "sport", first, &self->error));
	for (port = 10000; port < 10000 + 2 * 681; port += 2) {
		snprintf(item, sizeof(item), "+%d", port);
		ASSERT_EQ(0, store(&self->rule, "sport", item, &self->error));
	}
	ASSERT_EQ(0, store(&self->rule, "sport", "+20000", &self->error));
}

TEST_F(model, shows_a_list_that_just_fits)
{
	store_long_list(_metadata, self, "5");
	EXPECT_EQ(4093, strlen(show(&self->rule, "sport", self->text)));
	EXPECT_EQ(NULL, strstr(self->text, "..."));
	EXPECT_EQ(0, store(&self->rule, "sport", self->text, &self->error));

	ASSERT_EQ(0, store(&self->rule, "sport", "+6", &self->error));
	EXPECT_NE(NULL, strstr(show(&self->rule, "sport", self->text), " ... "));
}

TEST_F(model, shows_no_list_that_is_one_too_long)
{
	store_long_list(_metadata, self, "55");
	show(&self->rule, "sport", self->text);
	EXPECT_NE(NULL, strstr(self->text, " more"));
	EXPECT_GT(4093, strlen(self->text));
}

TEST_F(model, takes_no_item_that_is_too_long)
{
	char item[200];
	size_t len;

	for (len = 1; len < sizeof(item); len++) {
		memset(item, '0', len);
		item[len] = '\0';
		ASSERT_EQ(-EINVAL, store(&self->rule, "sport", item, &self->error));
		ASSERT_EQ(len > 111, !!strstr(self->error.text, ": too long an item"));
	}
}

TEST_F(model, does_not_grow_by_what_it_has)
{
	unsigned int i;

	for (i = 0; i < 100000; i++)
		ASSERT_EQ(0, store(&self->rule, "sport", i % 2 ? "+80" : "+443",
				   &self->error));
	EXPECT_GT(16, self->rule.sel[RULE_SPORT].yes.cap);
	EXPECT_STREQ("80,443", show(&self->rule, "sport", self->text));
}

TEST_F(model, refuses_a_nul)
{
	EXPECT_EQ(-EINVAL,
		  tcpdrop_rule_store(&self->rule, RULE_SPORT, "80\0x", 4, &self->error));
	EXPECT_STREQ("any", show(&self->rule, "sport", self->text));
}

TEST_F(model, quotes_one_line_whatever_was_written)
{
	char junk[4000];

	memset(junk, '\x1b', sizeof(junk));
	EXPECT_EQ(-EINVAL, tcpdrop_rule_store(&self->rule, RULE_SADDR, junk, sizeof(junk),
					      &self->error));
	EXPECT_EQ(NULL, strpbrk(self->error.text, "\n\x1b"));
	EXPECT_NE(NULL, strstr(self->error.text, "too long an item"));
}

/* A connection from text; @state is TCP_*. */
static struct tcpdrop_conn conn_of(const char *saddr, u16 sport, const char *daddr,
				   u16 dport, u8 state)
{
	struct tcpdrop_conn conn = { .sport = sport, .dport = dport, .state = state };
	char text[CONN_ADDR_MAX];

	strcpy(text, saddr);
	tcpdrop_conn_parse_addr(text, &conn.saddr);
	strcpy(text, daddr);
	tcpdrop_conn_parse_addr(text, &conn.daddr);
	return conn;
}

/* 10.0.0.1:1000 to 10.0.0.2:80; [2001:db8::1]:443 to [2001:db8::2]:22 */
static const struct match_case {
	const char *attr, *items;
	bool v4, v6;
} match_cases[] = {
	{ "saddr", "10.0.0.1", true, false },
	{ "saddr", "10.0.0.2", false, false },
	{ "saddr", "0.0.0.0/0", true, false },
	{ "saddr", "::/0", false, true },
	{ "saddr", "!::/0", true, false },
	{ "saddr", "!10.0.0.0/8", false, true },
	{ "saddr", "::ffff:10.0.0.1", true, false },
	{ "saddr", "10.0.0.0/8,!10.0.0.1", false, false },
	{ "saddr", "10.0.0.0/8,2001:db8::/32", true, true },
	{ "saddr", "10.0.0.0/8,2001:db8::1:0:1", true, false },
	{ "saddr", "10.0.0.0-10.0.0.1", true, false },
	{ "saddr", "10.0.0.2-10.0.0.9", false, false },
	{ "daddr", "10.0.0.2,2001:db8::2", true, true },
	{ "daddr", "::-2001:db8::1", false, false },
	{ "daddr", "2001:db8::2-ffff::", false, true },
	{ "sport", "1000", true, false },
	{ "sport", "1-1000", true, true },
	{ "sport", "!1000", false, true },
	{ "dport", "80", true, false },
	{ "dport", "1000", false, false },
	{ "port", "80", true, false },
	{ "port", "443", false, true },
	{ "port", "!80", false, true },
	{ "port", "!22,!1000", false, false },
	{ "port", "1-65535,!22", true, false },
	{ "state", "ESTAB", true, false },
	{ "state", "TIME_WAIT", false, true },
	{ "state", "!TIME_WAIT", true, false },
	{ "state", "LISTEN", false, false },
	{ "state", "all", true, true },
	{ "state", "bucket", false, true },
};

/* Whether a rule of two cases, which may be the same, matches the two connections. */
static void expect_match(struct __test_metadata *_metadata, const struct match_case *a,
			 const struct match_case *b)
{
	struct tcpdrop_conn v4 = conn_of("10.0.0.1", 1000, "10.0.0.2", 80, TCP_ESTABLISHED);
	struct tcpdrop_conn v6 =
		conn_of("2001:db8::1", 443, "2001:db8::2", 22, TCP_TIME_WAIT);
	struct tcpdrop_rule_error error;
	struct tcpdrop_rule rule, copy;

	tcpdrop_rule_init(&rule);
	ASSERT_EQ(0, store(&rule, a->attr, a->items, &error));
	ASSERT_EQ(0, store(&rule, b->attr, b->items, &error));
	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &rule));
	EXPECT_EQ(a->v4 && b->v4, match(&copy, &v4)) {
		TH_LOG("IPv4, %s: %s, %s: %s", a->attr, a->items, b->attr, b->items);
	}
	EXPECT_EQ(a->v6 && b->v6, match(&copy, &v6)) {
		TH_LOG("IPv6, %s: %s, %s: %s", a->attr, a->items, b->attr, b->items);
	}
	EXPECT_TRUE(tcpdrop_rule_selects(&copy));
	tcpdrop_rule_destroy(&copy);
	tcpdrop_rule_destroy(&rule);
}

TEST_F(model, matches_what_the_contract_says)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(match_cases); i++)
		expect_match(_metadata, &match_cases[i], &match_cases[i]);
}

TEST_F(model, matches_by_two_lists_what_both_match)
{
	const struct match_case *a, *b;

	for (a = match_cases; a < match_cases + ARRAY_SIZE(match_cases); a++)
		for (b = match_cases; b < match_cases + ARRAY_SIZE(match_cases); b++)
			if (strcmp(a->attr, b->attr))
				expect_match(_metadata, a, b);
}

/* A rule as it is written matches only when it has been copied. */
static bool copy_matches(struct tcpdrop_rule *rule, const struct sock *sk)
{
	struct tcpdrop_rule copy;
	bool matches;

	if (tcpdrop_rule_copy(&copy, rule))
		abort();
	matches = match_sock(&copy, sk);
	tcpdrop_rule_destroy(&copy);
	return matches;
}

/* Whether @rule matches a connection that has what @list says. */
static bool matches(struct tcpdrop_rule *rule, const struct list_attr *list, bool minisock)
{
	struct tcpdrop_conn conn =
		conn_of("127.0.0.1", 7001, "127.0.0.2", 7002, TCP_ESTABLISHED);
	struct sock sk = {
		.conn = &conn, .name = list->has, .minisock = minisock,
		.number = strtoull(list->has, NULL, 0),
	};

	return copy_matches(rule, &sk);
}

TEST_F(model, does_with_every_list_what_the_contract_says)
{
	const struct list_attr *list;
	const struct list_case *c;
	char text[256];

	for (list = list_attrs; list < list_attrs + ARRAY_SIZE(list_attrs); list++) {
		for (c = list_cases; c < list_cases + ARRAY_SIZE(list_cases); c++) {
			list_text(list, c->before, text, sizeof(text));
			ASSERT_EQ(0, store(&self->rule, list->attr, text, &self->error));
			list_text(list, c->write, text, sizeof(text));
			EXPECT_EQ(0, store(&self->rule, list->attr, text, &self->error))
				TH_LOG("%s: %s, %s", list->attr, c->before, text);
			list_text(list, c->read, text, sizeof(text));
			EXPECT_STREQ(text, show(&self->rule, list->attr, self->text));
			EXPECT_EQ(list_matches(list, c), matches(&self->rule, list, false))
				TH_LOG("%s: %s", list->attr, text);
			EXPECT_EQ(!!strcmp(text, "any"), tcpdrop_rule_selects(&self->rule));
		}
		ASSERT_EQ(0, store(&self->rule, list->attr, "any", &self->error));
	}
	EXPECT_EQ(RULE_NR_SELECTORS, ARRAY_SIZE(list_attrs) + ARRAY_SIZE(value_attrs));
	EXPECT_EQ(RULE_NR_ATTRS, RULE_NR_SELECTORS + ARRAY_SIZE(option_attrs));
}

/* What a socket lacks that is no more than its ends and its state. */
static bool is_lacked(const char *attr)
{
	enum tcpdrop_rule_attr id = attr_by_name(attr);

	return id != RULE_STATE && !(RULE_OF_ENDS & BIT(id));
}

TEST_F(model, matches_nothing_by_what_it_lacks_be_it_excluded)
{
	const struct list_attr *list;
	const struct list_case *c;
	char text[256];

	for (list = list_attrs; list < list_attrs + ARRAY_SIZE(list_attrs); list++) {
		if (!is_lacked(list->attr))
			continue;
		for (c = list_cases; c < list_cases + ARRAY_SIZE(list_cases); c++) {
			list_text(list, c->read, text, sizeof(text));
			ASSERT_EQ(0, store(&self->rule, list->attr, text, &self->error));
			EXPECT_EQ(!strcmp(text, "any"), matches(&self->rule, list, true))
				TH_LOG("%s: %s", list->attr, text);
		}
	}
}

/* Of a socket that has @number of everything that is a number. */
static bool matches_number(struct tcpdrop_rule *rule, u64 number, bool minisock)
{
	struct tcpdrop_conn conn = { .state = TCP_ESTABLISHED, .sport = 1, .dport = 1 };
	struct sock sk = { .conn = &conn, .number = number, .minisock = minisock };

	return copy_matches(rule, &sk);
}

TEST_F(model, matches_from_a_value_on)
{
	static const struct {
		const char *attr;
		const char *value;
		u64 least;
	} cases[] = {
		{ "retrans", "3", 3 }, { "sendq", "1000", 1000 }, { "recvq", "1", 1 },
		{ "idle", "1ms", 1 }, { "idle", "2", 2000 }, { "idle", "3s", 3000 },
		{ "idle", "4m", 240000 }, { "idle", "5h", 18000000 },
		{ "idle", "6d", 518400000 }, { "sendq", "18446744073709551615", U64_MAX },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, store(&self->rule, cases[i].attr, cases[i].value, &self->error));
		EXPECT_FALSE(matches_number(&self->rule, cases[i].least - 1, false));
		EXPECT_TRUE(matches_number(&self->rule, cases[i].least, false));
		EXPECT_TRUE(matches_number(&self->rule, U64_MAX, false));
		EXPECT_FALSE(matches_number(&self->rule, U64_MAX, true));
		EXPECT_TRUE(tcpdrop_rule_selects(&self->rule));
		ASSERT_EQ(0, store(&self->rule, cases[i].attr, "any", &self->error));
		EXPECT_TRUE(matches_number(&self->rule, 0, true));
		EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
	}
}

/* 0 is a value as well, which not everything has. */
TEST_F(model, matches_from_nothing_on_whatever_has_any)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(value_attrs); i++) {
		if (!strcmp(value_attrs[i].attr, "orphan") ||
		    !strcmp(value_attrs[i].attr, "cgroup"))
			continue;
		ASSERT_EQ(0, store(&self->rule, value_attrs[i].attr, "0", &self->error));
		EXPECT_TRUE(matches_number(&self->rule, 0, false));
		EXPECT_FALSE(matches_number(&self->rule, 0, true));
		ASSERT_EQ(0, store(&self->rule, value_attrs[i].attr, "any", &self->error));
	}
}

TEST_F(model, matches_one_of_yes_and_no)
{
	ASSERT_EQ(0, store(&self->rule, "orphan", "yes", &self->error));
	EXPECT_TRUE(matches_number(&self->rule, 1, false));
	EXPECT_FALSE(matches_number(&self->rule, 0, false));
	EXPECT_FALSE(matches_number(&self->rule, 1, true));
	ASSERT_EQ(0, store(&self->rule, "orphan", "no", &self->error));
	EXPECT_FALSE(matches_number(&self->rule, 1, false));
	EXPECT_TRUE(matches_number(&self->rule, 0, false));
	EXPECT_FALSE(matches_number(&self->rule, 0, true));
}

TEST_F(model, matches_the_bits_under_a_mask)
{
	static const struct {
		const char *list;
		u32 mark;
		bool match;
	} cases[] = {
		{ "0x10/0xf0", 0x10, true }, { "0x10/0xf0", 0xffffff1f, true },
		{ "0x10/0xf0", 0x11, true }, { "0x10/0xf0", 0x20, false },
		{ "0x10/0xf0", 0, false }, { "0x1ff/0xf0", 0xf7, true },
		{ "0/0", 0, true }, { "0/0", 0xffffffff, true },
		{ "!0/0", 0, false }, { "!0x1/0x1", 2, true }, { "!0x1/0x1", 3, false },
		{ "0x1/0x1,!3", 1, true }, { "0x1/0x1,!3", 3, false }, { "0x1/0x1,!3", 2, false },
		{ "0x80000000/0x80000000,4,2/3", 4, true },
		{ "0x80000000/0x80000000,4,2/3", 6, true },
		{ "0x80000000/0x80000000,4,2/3", 0x80000001, true },
		{ "0x80000000/0x80000000,4,2/3", 5, false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, store(&self->rule, "mark", cases[i].list, &self->error));
		EXPECT_EQ(cases[i].match, matches_number(&self->rule, cases[i].mark, false))
			TH_LOG("%s: %#x", cases[i].list, cases[i].mark);
	}
}

TEST_F(model, takes_the_numbers_of_users_as_ranges)
{
	ASSERT_EQ(0, store(&self->rule, "uid", "1000-1999,!1500", &self->error));
	EXPECT_TRUE(matches_number(&self->rule, 1000, false));
	EXPECT_TRUE(matches_number(&self->rule, 1999, false));
	EXPECT_FALSE(matches_number(&self->rule, 1500, false));
	EXPECT_FALSE(matches_number(&self->rule, 0, false));
	/* from_kuid() of nobody. */
	EXPECT_FALSE(matches_number(&self->rule, U32_MAX, false));
}

TEST_F(model, has_one_path_written_the_shortest_way)
{
	static const struct {
		const char *write, *read;
	} cases[] = {
		{ "/some/where", "/some/where" },
		{ "!/some/where\n", "!/some/where" },
		{ "//some///where//", "/some/where" },
		{ "///", "/" },
		{ " /a, b ", "/a, b" },
	};
	struct tcpdrop_rule copy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(0, store(&self->rule, "cgroup", cases[i].write, &self->error));
		ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
		EXPECT_STREQ(cases[i].read, show(&copy, "cgroup", self->text));
		EXPECT_TRUE(tcpdrop_rule_selects(&copy));
		EXPECT_EQ(*cases[i].read != '!', copy.sel[RULE_CGROUP].yes.nr);
		EXPECT_EQ(*cases[i].read == '!', copy.sel[RULE_CGROUP].no.nr);
		EXPECT_EQ(BIT(RULE_CGROUP), copy.asks);
		tcpdrop_rule_destroy(&copy);
	}
	EXPECT_EQ(-ENOENT, store(&self->rule, "cgroup", "/some/thing", &self->error));
	EXPECT_STREQ("cgroup: \"/some/thing\": no such cgroup", self->error.text);
	EXPECT_EQ(-EOPNOTSUPP, store(&self->rule, "cgroup", "/nowhere", &self->error));
	EXPECT_STREQ("cgroup: \"/nowhere\": not on this kernel", self->error.text);
	EXPECT_STREQ("/a, b", show(&self->rule, "cgroup", self->text));
	ASSERT_EQ(0, store(&self->rule, "cgroup", "any", &self->error));
	EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
	EXPECT_EQ(0, cgroups_held);
}

TEST_F(model, takes_no_path_that_does_not_fit_a_line)
{
	char path[4095];

	memset(path, '/', sizeof(path));
	path[4093] = '\0';
	EXPECT_EQ(0, store(&self->rule, "cgroup", path, &self->error));
	EXPECT_STREQ("/", show(&self->rule, "cgroup", self->text));
	path[4093] = '/';
	path[4094] = '\0';
	EXPECT_EQ(-EINVAL, store(&self->rule, "cgroup", path, &self->error));
	EXPECT_NE(NULL, strstr(self->error.text, "too long a path"));
}

TEST_F(model, has_a_path_completely_or_not_at_all)
{
	struct tcpdrop_rule copy;
	long allocations;

	ASSERT_EQ(0, store(&self->rule, "cgroup", "/some", &self->error));
	for (allocations = 0; allocations < 2; allocations++) {
		shim_allocations = allocations;
		EXPECT_EQ(-ENOMEM, store(&self->rule, "cgroup", "!/some/where", &self->error));
		EXPECT_STREQ("cgroup: \"!/some/where\": out of memory", self->error.text);
		shim_allocations = -1;
		EXPECT_STREQ("/some", show(&self->rule, "cgroup", self->text));
	}
	shim_allocations = 0;
	EXPECT_EQ(-ENOMEM, tcpdrop_rule_copy(&copy, &self->rule));
	shim_allocations = -1;
	EXPECT_EQ(0, cgroups_held);
}

/* As tcpdrop_who_find() adds them, to a process or to none that exists. */
TEST_F(model, matches_no_socket_by_processes_without_sockets)
{
	static const struct tcpdrop_key_range socket = {
		{ RULE_SOCKET, 5, 1 }, { RULE_SOCKET, 5, 1 },
	};
	struct tcpdrop_selector *pid = &self->rule.sel[RULE_PID];
	struct tcpdrop_range_key key = socket.first;

	ASSERT_EQ(0, store(&self->rule, "pid", "1,5", &self->error));
	EXPECT_FALSE(tcpdrop_selector_match(pid, &key, 1));
	ASSERT_EQ(0, tcpdrop_ranges_add(&pid->yes, &socket));
	tcpdrop_ranges_sort(&pid->yes);
	EXPECT_EQ(1, pid->yes.v[0].first.lo);
	EXPECT_EQ(5, pid->yes.v[1].first.lo);
	EXPECT_TRUE(tcpdrop_selector_match(pid, &key, 1));
	EXPECT_FALSE(tcpdrop_selector_match(pid, &key, 0));
	key.lo = 2;
	EXPECT_FALSE(tcpdrop_selector_match(pid, &key, 1));
}

/* As a directory does: writes @text and notes what became of it. */
static int write_attr(struct tcpdrop_rule *rule, struct tcpdrop_rule_refusals *refusals,
		      const char *attr, const char *text)
{
	struct tcpdrop_rule_error error = {};
	int ret;

	ret = store(rule, attr, text, &error);
	tcpdrop_rule_written(refusals, attr_by_name(attr), text, strlen(text),
			     ret ? &error : NULL);
	return ret;
}

TEST_F(model, refused_something_is_not_committed)
{
	struct tcpdrop_rule_refusals refusals = {};

	EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_EQ(0, write_attr(&self->rule, &refusals, "state", "ESTAB"));
	EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_STREQ("", self->error.text);

	EXPECT_EQ(-EINVAL, write_attr(&self->rule, &refusals, "state", "timewait"));
	EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_STREQ("commit: \"1\": state was refused: \"timewait\": not a TCP state",
		     self->error.text);

	EXPECT_EQ(0, write_attr(&self->rule, &refusals, "sport", "80"));
	EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_EQ(0, write_attr(&self->rule, &refusals, "state", "time-wait"));
	EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error));
}

TEST_F(model, refused_an_item_is_made_up_for_by_the_whole_list_alone)
{
	static const char *const whole[] = { "80", "any", "", "\n", " 80", "!80" };
	struct tcpdrop_rule_refusals refusals = {};
	const struct list_attr *list;
	char text[256];
	size_t i;

	for (list = list_attrs; list < list_attrs + ARRAY_SIZE(list_attrs); list++) {
		EXPECT_EQ(-EINVAL, write_attr(&self->rule, &refusals, list->attr, "+,"));
		snprintf(text, sizeof(text), "+%s", list->first);
		EXPECT_EQ(0, write_attr(&self->rule, &refusals, list->attr, text));
		EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error)) TH_LOG("%s", list->attr);
		EXPECT_EQ(0, write_attr(&self->rule, &refusals, list->attr, list->second));
		EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error))
			TH_LOG("%s", list->attr);
	}
	for (i = 0; i < ARRAY_SIZE(whole); i++) {
		EXPECT_EQ(-EINVAL, write_attr(&self->rule, &refusals, "sport", "+80x"));
		EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
		EXPECT_EQ(0, write_attr(&self->rule, &refusals, "sport", whole[i]));
		EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error))
			TH_LOG("'%s'", whole[i]);
	}
}

TEST_F(model, refused_several_things_needs_each_of_them_mended)
{
	struct tcpdrop_rule_refusals refusals = {};
	unsigned int attr;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++)
		EXPECT_EQ(-EINVAL, write_attr(&self->rule, &refusals,
					      tcpdrop_rule_attr_name(attr), "?,"));
	for (attr = 0; attr < RULE_NR_ATTRS; attr++) {
		EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
		EXPECT_NE(NULL, strstr(self->error.text, tcpdrop_rule_attr_name(attr)))
			TH_LOG("%s", self->error.text);
		EXPECT_EQ(0, write_attr(&self->rule, &refusals,
					tcpdrop_rule_attr_name(attr), "any"));
	}
	EXPECT_FALSE(tcpdrop_rule_refused(&refusals, &self->error));
}

/* Neither a long item nor what says that there is no memory is lost. */
TEST_F(model, refused_anything_says_all_of_why)
{
	struct tcpdrop_rule_refusals refusals = {};
	char junk[4000];

	memset(junk, 'x', sizeof(junk) - 1);
	junk[sizeof(junk) - 1] = '\0';
	EXPECT_EQ(-EINVAL, write_attr(&self->rule, &refusals, "congestion", junk));
	EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_NE(NULL, strstr(self->error.text, "congestion was refused: \"xxx"));
	EXPECT_NE(NULL, strstr(self->error.text, "...\": too long an item"));
	EXPECT_EQ(0, write_attr(&self->rule, &refusals, "congestion", "any"));

	shim_allocations = 0;
	EXPECT_EQ(-ENOMEM, write_attr(&self->rule, &refusals, "sport", "80"));
	shim_allocations = -1;
	EXPECT_TRUE(tcpdrop_rule_refused(&refusals, &self->error));
	EXPECT_NE(NULL, strstr(self->error.text, "sport was refused: "));
	EXPECT_NE(NULL, strstr(self->error.text, ": out of memory"));
}

TEST_F(model, means_a_listener_only_where_it_is_named)
{
	struct tcpdrop_conn listener = conn_of("0.0.0.0", 80, "0.0.0.0", 0, TCP_LISTEN);
	const struct sock sk = { .conn = &listener };

	EXPECT_FALSE(copy_matches(&self->rule, &sk));
	ASSERT_EQ(0, store(&self->rule, "state", "all", &self->error));
	EXPECT_FALSE(copy_matches(&self->rule, &sk));
	ASSERT_EQ(0, store(&self->rule, "state", "!ESTAB", &self->error));
	EXPECT_FALSE(copy_matches(&self->rule, &sk));
	ASSERT_EQ(0, store(&self->rule, "state", "ESTAB,LISTEN", &self->error));
	EXPECT_TRUE(copy_matches(&self->rule, &sk));
	ASSERT_EQ(0, store(&self->rule, "state", "any", &self->error));
	EXPECT_FALSE(copy_matches(&self->rule, &sk));
}

/* Of a socket that cannot have any the name is NULL. */
static bool match_name(const struct tcpdrop_rule *rule, const char *name)
{
	struct tcpdrop_conn conn =
		conn_of("127.0.0.1", 7001, "127.0.0.2", 7002, TCP_ESTABLISHED);

	return match_sock(rule, &(struct sock){ .conn = &conn, .name = name, .minisock = !name });
}

TEST_F(model, matches_names_as_the_contract_says)
{
	static const struct {
		const char *items;
		bool reno, cubic, none;
	} cases[] = {
		{ "reno", true, false, false },
		{ "reno,cubic", true, true, false },
		{ "!reno", false, true, true },
		{ "cubic,!reno", false, true, false },
		{ "ren", false, false, false },
		{ "renoreno", false, false, false },
		{ "RENO", false, false, false },
	};
	struct tcpdrop_rule copy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, store(&self->rule, "ulp", cases[i].items, &self->error));
		ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
		EXPECT_EQ(cases[i].reno, match_name(&copy, "reno"))
			TH_LOG("reno: %s", cases[i].items);
		EXPECT_EQ(cases[i].cubic, match_name(&copy, "cubic"))
			TH_LOG("cubic: %s", cases[i].items);
		EXPECT_EQ(cases[i].none, match_name(&copy, ""))
			TH_LOG("none: %s", cases[i].items);
		EXPECT_FALSE(match_name(&copy, NULL))
			TH_LOG("no such thing: %s", cases[i].items);
		EXPECT_EQ(BIT(RULE_ULP), copy.asks);
		EXPECT_TRUE(tcpdrop_rule_selects(&copy));
		tcpdrop_rule_destroy(&copy);
	}
}

TEST_F(model, selects_by_lists_alone)
{
	EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "max", "5", &self->error));
	ASSERT_EQ(0, store(&self->rule, "rate", "5", &self->error));
	ASSERT_EQ(0, store(&self->rule, "reset", "no", &self->error));
	ASSERT_EQ(0, store(&self->rule, "netns", "self", &self->error));
	ASSERT_EQ(0, store(&self->rule, "protect", "yes", &self->error));
	EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "netns", "4026531840", &self->error));
	EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "state", "all", &self->error));
	EXPECT_TRUE(tcpdrop_rule_selects(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "state", "any", &self->error));
	EXPECT_FALSE(tcpdrop_rule_selects(&self->rule));
}

/* A copy is what protects, so it has to say so. */
TEST_F(model, protects_if_it_says_so)
{
	struct tcpdrop_rule copy;

	EXPECT_FALSE(self->rule.options.protect);
	ASSERT_EQ(0, store(&self->rule, "protect", "yes", &self->error));
	EXPECT_EQ(-EINVAL, store(&self->rule, "protect", "nope", &self->error));
	EXPECT_STREQ("protect: \"nope\": neither yes nor no", self->error.text);
	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	EXPECT_TRUE(copy.options.protect);
	EXPECT_FALSE(copy.options.kernel);
	tcpdrop_rule_destroy(&copy);
	ASSERT_EQ(0, store(&self->rule, "protect", "any", &self->error));
	EXPECT_FALSE(self->rule.options.protect);
}

/* Which namespaces a rule is about is the walk's to ask, and no reader's. */
TEST_F(model, is_about_the_namespaces_that_it_names)
{
	struct tcpdrop_rule copy;

	EXPECT_EQ(NETNS_SELF, tcpdrop_rule_netns(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "netns", "self", &self->error));
	EXPECT_EQ(NETNS_SELF, tcpdrop_rule_netns(&self->rule));
	ASSERT_EQ(0, store(&self->rule, "netns", "all", &self->error));
	EXPECT_EQ(NETNS_ALL, tcpdrop_rule_netns(&self->rule));

	ASSERT_EQ(0, store(&self->rule, "netns", "9,net:[5]", &self->error));
	ASSERT_EQ(0, store(&self->rule, "netns", "+7", &self->error));
	ASSERT_EQ(0, tcpdrop_rule_copy(&copy, &self->rule));
	EXPECT_EQ(NETNS_LISTED, tcpdrop_rule_netns(&copy));
	EXPECT_EQ(0, copy.asks);
	EXPECT_TRUE(tcpdrop_rule_lists_netns(&copy, 5));
	EXPECT_TRUE(tcpdrop_rule_lists_netns(&copy, 7));
	EXPECT_TRUE(tcpdrop_rule_lists_netns(&copy, 9));
	EXPECT_FALSE(tcpdrop_rule_lists_netns(&copy, 0));
	EXPECT_FALSE(tcpdrop_rule_lists_netns(&copy, 6));
	EXPECT_FALSE(tcpdrop_rule_lists_netns(&copy, 10));
	tcpdrop_rule_destroy(&copy);
}

TEST_F(model, is_exact_with_both_ends_given)
{
	struct tcpdrop_conn ends;

	ASSERT_EQ(0, store(&self->rule, "saddr", "::1", &self->error));
	ASSERT_EQ(0, store(&self->rule, "sport", "80", &self->error));
	ASSERT_EQ(0, store(&self->rule, "daddr", "::2", &self->error));
	EXPECT_FALSE(tcpdrop_rule_exact(&self->rule, &ends));
	ASSERT_EQ(0, store(&self->rule, "dport", "90-91", &self->error));
	EXPECT_FALSE(tcpdrop_rule_exact(&self->rule, &ends));
	ASSERT_EQ(0, store(&self->rule, "dport", "90", &self->error));
	EXPECT_TRUE(tcpdrop_rule_exact(&self->rule, &ends));
	EXPECT_EQ(80, ends.sport);
	EXPECT_EQ(90, ends.dport);
	EXPECT_EQ(1, ends.saddr.lo);
	EXPECT_EQ(2, ends.daddr.lo);
	ASSERT_EQ(0, store(&self->rule, "daddr", "10.0.0.1", &self->error));
	EXPECT_FALSE(tcpdrop_rule_exact(&self->rule, &ends));
	ASSERT_EQ(0, store(&self->rule, "daddr", "::2,::3", &self->error));
	EXPECT_FALSE(tcpdrop_rule_exact(&self->rule, &ends));
	ASSERT_EQ(0, store(&self->rule, "daddr", "!::2", &self->error));
	EXPECT_FALSE(tcpdrop_rule_exact(&self->rule, &ends));
}

TEST(frees_a_set_that_can_be_used_again)
{
	struct tcpdrop_key_range r = {};
	struct tcpdrop_ranges set = {};

	ASSERT_EQ(0, tcpdrop_ranges_add(&set, &r));
	tcpdrop_ranges_free(&set);
	EXPECT_EQ(0, set.nr);
	tcpdrop_ranges_free(&set);
	ASSERT_EQ(0, tcpdrop_ranges_add(&set, &r));
	EXPECT_EQ(1, set.nr);
	tcpdrop_ranges_free(&set);
	EXPECT_EQ(0, shim_allocated);
}

TEST(prints_connections_as_listings_have_them)
{
	struct tcpdrop_conn conn = conn_of("10.31.1.141", 51436, "192.168.0.1", 143,
					   TCP_ESTABLISHED);
	char line[CONN_LINE_MAX];
	int len;

	len = tcpdrop_conn_print(line, &conn);
	EXPECT_EQ((int)strlen(line), len);
	EXPECT_STREQ("10.31.1.141:51436 192.168.0.1:143 ESTABLISHED\n", line);

	conn = conn_of("2001:db8::1", 22, "2001:db8::2", 50000, TCP_TIME_WAIT);
	tcpdrop_conn_print(line, &conn);
	EXPECT_STREQ("[2001:db8::1]:22 [2001:db8::2]:50000 TIME_WAIT\n", line);

	conn = conn_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, TCP_ESTABLISHED);
	EXPECT_GT(CONN_LINE_MAX - 1, tcpdrop_conn_print(line, &conn));
	EXPECT_EQ('\n', line[strlen(line) - 1]);
}

TEST(parses_the_ends_that_a_line_names)
{
	static const struct {
		const char *line, *ends;
	} cases[] = {
		{ "10.31.1.141:51436 192.168.0.1:143", "10.31.1.141:51436 192.168.0.1:143" },
		{ " \t10.0.0.1:1\t \t10.0.0.2:2\tESTABLISHED [\r", "10.0.0.1:1 10.0.0.2:2" },
		{ "10.0.0.1:065535 10.0.0.2:1 ", "10.0.0.1:65535 10.0.0.2:1" },
		{ "::1:34717 ::1:22", "[::1]:34717 [::1]:22" },
		{ "[::1]:34717 2001:DB8:0:0::1:22", "[::1]:34717 [2001:db8::1]:22" },
		{ ":::22 ::1:1", "[::]:22 [::1]:1" },
		{ "::ffff:10.0.0.1:80 [::ffff:a00:2]:81", "10.0.0.1:80 10.0.0.2:81" },
		{ "[fe80::1]%eth0:22 [fe80::2%eth0]:1", "[fe80::1]:22 [fe80::2]:1" },
		{ "fe80::1%eth0.7:22 fe80::2:1", "[fe80::1]:22 [fe80::2]:1" },
		{ "127.0.0.1%lo:80 127.0.0.1:81", "127.0.0.1:80 127.0.0.1:81" },
		{ "10.0.0.1:80 [::ffff:10.0.0.2]:81", "10.0.0.1:80 10.0.0.2:81" },
		{ "10.0.0.1:80 10.0.0.2:81\r", "10.0.0.1:80 10.0.0.2:81" },
		{ "[::1]:80 ::2:81\r", "[::1]:80 [::2]:81" },
		{ "[0:0:1::ffff:1.2.3.4]:1 ::2:81", "[::1:0:0:ffff:102:304]:1 [::2]:81" },
		{ "[::fffe:1.2.3.4]:1 ::2:81", "[::fffe:102:304]:1 [::2]:81" },

		/* ss, netstat, lsof, the listing */
		{ "ESTAB 0 0 192.0.2.1:35065 192.0.2.55:12865 users:((\"nginx\",pid=41,fd=9))",
		  "192.0.2.1:35065 192.0.2.55:12865" },
		{ "ESTAB 0 0 192.0.2.1:35065 192.0.2.55:12865 timer:(keepalive,4min,0)",
		  "192.0.2.1:35065 192.0.2.55:12865" },
		{ "tcp   FIN-WAIT-1 0      1      192.0.2.1:18016   192.0.2.55:18016  ",
		  "192.0.2.1:18016 192.0.2.55:18016" },
		{ "SYN-SENT   0      1     192.0.2.1%eth0:40110   203.0.113.9:443       ",
		  "192.0.2.1:40110 203.0.113.9:443" },
		{ "ESTAB 0 0 [::ffff:192.0.2.1]:8000 [::ffff:198.51.100.8]:51500 users:((\"a b\"",
		  "192.0.2.1:8000 198.51.100.8:51500" },
		{ "tcp        0      0 192.0.2.1:8000   198.51.100.7:51436      ESTABLISHED -",
		  "192.0.2.1:8000 198.51.100.7:51436" },
		{ "tcp6       0      0 2001:db8::1:8000     2001:db8::2:50000    TIME_WAIT  \r",
		  "[2001:db8::1]:8000 [2001:db8::2]:50000" },
		{ "java 1 app 87u IPv6 8 0t0 TCP 192.0.2.1:8080->198.51.100.7:51999 (CLOSE_WAIT)",
		  "192.0.2.1:8080 198.51.100.7:51999" },
		{ "TCP [2001:db8::1]:8080->[2001:db8::2]:51999",
		  "[2001:db8::1]:8080 [2001:db8::2]:51999" },
		{ "192.0.2.1:8080->198.51.100.7:51999", "192.0.2.1:8080 198.51.100.7:51999" },
		{ "192.0.2.1:8080 -> 198.51.100.7:51999", "192.0.2.1:8080 198.51.100.7:51999" },
		{ "a-b->c - 192.0.2.1:8080->198.51.100.7:51999->192.0.2.9:1",
		  "192.0.2.1:8080 198.51.100.7:51999" },
		{ "[fe80::1]%a-b:22 [fe80::2]%a-b:1", "[fe80::1]:22 [fe80::2]:1" },
		{ "10.0.0.1:80 10.0.0.2:81 *:* 10.0.0.3:8x", "10.0.0.1:80 10.0.0.2:81" },
		{ "mptcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:81", "10.0.0.1:80 10.0.0.2:81" },

		/* A program's name with a colon in lsof. */
		{ "gunicorn: 2013 root 7u IPv6 81 0t0 TCP [::1]:51000->[::2]:443 (ESTABLISHED)",
		  "[::1]:51000 [::2]:443" },
		{ "puma:\\x20 13 u 7u IPv4 81 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (CLOSE_WAIT)",
		  "10.0.0.1:80 10.0.0.2:81" },

		{ "ESTAB 0 0 10.0.0.1:80 10.0.0.2:81 users:((\"x TCP a:b\",pid=1,fd=3))",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "tcp 0 0 10.0.0.1:80 10.0.0.2:81 ESTABLISHED 9/x TCP a:b",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "web nl 10.0.0.1:80 10.0.0.2:81", "10.0.0.1:80 10.0.0.2:81" },

		/* And one that is called like a protocol. */
		{ "nl 9 root 4u IPv4 10 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (ESTABLISHED)",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "UDP 9 root 4u IPv4 10 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (ESTABLISHED)",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "udp 9 root 4u IPv6 10 0t0 TCP [::1]:80->[::2]:81 (CLOSE_WAIT)",
		  "[::1]:80 [::2]:81" },

		/* Of a thread, and what SELinux has. */
		{ "ceph-osd 9 45 rocksdb:low ceph 34u IPv4 1 0t0 TCP 10.0.0.1:80->10.0.0.2:81",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "ruby:web 9 root 4u IPv4 1 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (ESTABLISHED)",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "sshd 9 a_u:b_r:sshd_t:s0-s0:c0.c1 root 4u IPv6 1 0t0 TCP [::1]:22->[::2]:81",
		  "[::1]:22 [::2]:81" },
		{ "gunicorn: 9 a_u:b_r:c_t:s0 root 4u IPv4 1 0t0 TCP 10.0.0.1:80->10.0.0.2:81",
		  "10.0.0.1:80 10.0.0.2:81" },

		/* One like a path, which perl has, and users of such names. */
		{ "/usr/bin/x 13 u 7u IPv4 81 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (CLOSE_WAIT)",
		  "10.0.0.1:80 10.0.0.2:81" },
		{ "nc 13 unix 7u IPv4 81 0t0 TCP 10.0.0.1:80->10.0.0.2:81 (CLOSE_WAIT)",
		  "10.0.0.1:80 10.0.0.2:81" },

		/* As long as what netstat has cut, but it has not, or it is not netstat's. */
		{ "tcp6 0 0 2001:db8:85a3::8a2e:443 2001:db8:85a3::8a2e:50000 ESTABLISHED",
		  "[2001:db8:85a3::8a2e]:443 [2001:db8:85a3::8a2e]:50000" },
		{ "2001:db8:85a3::8a2e:443 2001:db8::1:50000",
		  "[2001:db8:85a3::8a2e]:443 [2001:db8::1]:50000" },
		{ "tcp ESTAB 0 0 [2001:db8:85a3::8]:50000 [2001:db8::1]:50000",
		  "[2001:db8:85a3::8]:50000 [2001:db8::1]:50000" },
		{ "tcp ESTAB 0 0 192.0.2.100%eth100:4012 192.0.2.1:401",
		  "192.0.2.100:4012 192.0.2.1:401" },

		/* Those of busybox, and of an ss without brackets, cut nothing. */
		{ "tcp        0      0 ::ffff:10.0.0.1:443     ::ffff:10.0.0.200:51436 ESTABLISHED",
		  "10.0.0.1:443 10.0.0.200:51436" },
		{ "tcp ESTAB 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000",
		  "[2001:db8:85a3::8a2e]:443 [2001:db8::1]:50000" },
	};
	char line[CONN_LINE_MAX], expected[CONN_LINE_MAX];
	struct tcpdrop_conn ends = { .state = TCP_ESTABLISHED };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(0, tcpdrop_conn_parse_ends(cases[i].line, &ends))
			TH_LOG("'%s'", cases[i].line);
		tcpdrop_conn_print(line, &ends);
		snprintf(expected, sizeof(expected), "%s ESTABLISHED\n", cases[i].ends);
		EXPECT_STREQ(expected, line);
	}
}

TEST(refuses_lines_that_name_a_connection_wrongly)
{
	static const char *const lines[] = {
		"10.0.0.1:80", "10.0.0.1:80 ",
		"10.0.0.1:80 10.0.0.2", "10.0.0.1 10.0.0.2:80", ":80 :80",
		"10.0.0.1:0 10.0.0.2:80", "10.0.0.1:65536 10.0.0.2:80",
		"10.0.0.1:80 10.0.0.2:0", "10.0.0.1:80 10.0.0.2:0 ESTABLISHED",
		"10.0.0.1:+1 10.0.0.2:80", "10.0.0.1:-1 10.0.0.2:80",
		"10.0.0.1:0x1 10.0.0.2:80", "10.0.0.1:80, 10.0.0.2:80",
		"10.0.0.1:80,10.0.0.2:80", "10.0.0:80 10.0.0.2:80",
		"010.0.0.1:80 10.0.0.2:80", "[10.0.0.1]:80 10.0.0.2:80",
		"10.0.0.1:80 [::1]:80", "[::1]:80 10.0.0.2:80", "[::1:80 [::1]:80",
		"::1]:80 [::1]:80", "[::1]80 [::1]:80", "[]:80 [::1]:80",
		"[fe80::1]%:22 [fe80::2]:1", "[fe80::1%]:22 [fe80::2]:1",
		"%eth0:22 [fe80::2]:1", "fe80::1%eth0]:22 fe80::2:1",
		"*:80 10.0.0.2:80",

		/* Another connection must not be found in them. */
		"10.0.0.1:8x0 10.0.0.2:80", "10.0.0.1:8x0 10.0.0.2:80 10.0.0.3:80",
		"10.0.0.1: 10.0.0.2:80 10.0.0.3:80", "10.0.0.1:80 x 10.0.0.2:80",
		"10.0.0.1:http 10.0.0.2:80 10.0.0.3:80", "04:29:17 10.0.0.1:80 10.0.0.2:80",
		"sshd: 10.0.0.1:80 10.0.0.2:80", "users:((\"x\",pid=1)) 10.0.0.1:80 10.0.0.2:80",
		"10.0.0.1:80 - 10.0.0.2:80", "10.0.0.1:80>10.0.0.2:80", "10.0.0.1:80-10.0.0.2:80",
		"0:0:1::ffff:1.2.3.4:80 10.0.0.2:80", "[0:0:1::ffff:1.2.3.4]:80 10.0.0.2:80",
		"10.0.0.1:80 10.0.0.2 10.0.0.3:*", "x 10.0.0.1:80 LISTEN",
		"10.0.0.1%eth0:8x0:443 10.0.0.2:80", "10.0.0.1:80 10.0.0.2%eth0:1:443",
		"10.0.0.1:8x0 10.0.0.2:80 TCP 10.0.0.3:80 10.0.0.4:80",
		"10.0.0.1:8x0 TCP 10.0.0.3:80->10.0.0.4:80", "::x TCP 10.0.0.3:80->10.0.0.4:80",
		"db.lan:8x0 TCP 10.0.0.3:80->10.0.0.4:80",
		"cafe:8x0 TCP 10.0.0.3:80->10.0.0.4:80",
		"ESTAB 0 0 10.0.0.1:8x0 TCP 10.0.0.3:80->10.0.0.4:80",
		"x 9 root 10.0.0.1:8x0 TCP 10.0.0.3:80->10.0.0.4:80",
		"gunicorn: 2013 root 7u IPv6 81 0t0 TCP 10.0.0.3:80",
		"gunicorn: 2013 root 7u IPv6 81 0t0 tcp 10.0.0.3:80 10.0.0.4:80",
		"a:b c:d *:*", "10.0.0.1:8x 10.0.0.2:8x 0.0.0.0:*",
		/* What somebody has logged, or called a socket. */
		"2026-11-30T21:43:45.123456+00:00 host eve: TCP 10.0.0.1:22->10.0.0.2:5555",
		"0000000086449a5c: 00000002 00000000 00010000 0001 01 1243262 x TCP 10.0.0.1:22 10.0.0.2:5",
		"host1: u_str LISTEN 0 128 x TCP 10.0.0.1:22 10.0.0.2:5555 y 1 * 0",
		"host1: unix 2 [ ACC ] STREAM LISTENING 11 x TCP 10.0.0.1:22 10.0.0.2:5555 y",
		/* Of a program that is called like a connection. */
		"::1:80->::1:443 9 root 4u IPv4 10 0t0 TCP 10.0.0.3:80->10.0.0.4:80 (ESTABLISHED)",
		/* What netstat cuts without -W. */
		"tcp6 0 0 2001:db8:85a3:123:44300 2001:db8:85a3:123:52111 ESTABLISHED",
		"tcp6 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000 ESTABLISHED",
		"tcp6 0 0 2001:db8::1:50000 2001:db8:85a3::8a2e:443 ESTABLISHED",
		"tcp6 0 0 ::ffff:10.10.10.1:51234 ::ffff:10.10.10.5:80 ESTABLISHED",
		/* The same, numbered and quoted. */
		"3\ttcp6 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000 ESTABLISHED",
		"tcp6 2001:db8:85a3::8a2e:443 2001:db8::1:50000",
		"\"tcp6\" \"0\" \"0\" 2001:db8:85a3::8a2e:443 2001:db8::1:50000",
		"tcp6| 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000 ESTABLISHED",
		"> tcp6 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000 ESTABLISHED",
		"+tcp6 0 0 2001:db8:85a3::8a2e:443 2001:db8::1:50000 ESTABLISHED",
		/* What ss has below a connection, with -i. */
		"\t cubic rto:204 cwnd:10",
		/* A rule is none. */
		"daddr=10.0.0.1", "sport=80 state=all", "=", " x=y 10.0.0.1:80 10.0.0.2:80",
		"saddr = 2001:db8::10:1 2001:db8::10:2", "saddr =2001:db8::10:1, 2001:db8::10:2",
	};
	struct tcpdrop_conn ends;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		EXPECT_EQ(-EINVAL, tcpdrop_conn_parse_ends(lines[i], &ends)) TH_LOG("line %zu", i);
}

/* In which names may be that anybody has chosen. */
TEST(tells_rows_of_other_programs)
{
	static const char *const rows[] = {
		"ESTAB 0 0 10.0.0.1:80 10.0.0.2:81 users:((\"", "0 0 10.0.0.1:80 10.0.0.2:81",
		"tcp 0 0 10.0.0.1:80 10.0.0.2:81 ESTABLISHED 9/", "10.0.0.1:80 10.0.0.2:81 9/",
		"10.0.0.1:80 10.0.0.2:81 ESTABLISHED 9/", "u_str LISTEN 0 128 @",
		"udp 0 0 *:68 *:*", "LISTEN 0 128 *:22 *:*", "vi 77 eve 4r REG 8,1 0 99 /tmp/a",
		"unix  2      [ ACC ]     STREAM     LISTENING     1171317 @", "x 10.0.0.1:8x *:*",
	};
	static const char *const others[] = {
		"10.0.0.1:80 10.0.0.2:81", "[::1]:80->[::2]:81\r",
		"10.0.0.1:80 10.0.0.2:81 ESTABLISHED", "10.0.0.1:80 10.0.0.2:81 # the web",
		"[::1]:80 [::2]:81\tFIN_WAIT_1 \r", "Local Address:Port Peer Address:Port", "x", "",
		"10.0.0.1:8x 10.0.0.2:81", "daddr=10.0.0.1",
	};
	struct tcpdrop_conn ends;
	bool row;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		tcpdrop_conn_parse_row(rows[i], &ends, &row);
		EXPECT_TRUE(row) TH_LOG("row %zu", i);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		tcpdrop_conn_parse_row(others[i], &ends, &row);
		EXPECT_FALSE(row) TH_LOG("line %zu", i);
	}
}

TEST(tells_lines_that_are_plainly_no_connection)
{
	static const char *const lines[] = {
		"", " ", "x", "x y", ": :", "->", "10.0.0.1: 10.0.0.2:",
		"127.0.0.1 80 127.0.0.2 81",
		"10.0.0.1:http 10.0.0.2:8x", ":", "a:b:c",

		/* Headings of ss, netstat of net-tools and of busybox, lsof; columns of them. */
		"State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess",
		"State      Recv-Q Send-Q     Local Address:Port      Peer Address:Port  Process",
		"Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\r",
		"Local Address:Port", "Address:Port Peer",
		"Active Internet connections (servers and established)",
		"Active Internet connections (w/o servers)", "(w/o servers)", "(servers and",
		"Proto Recv-Q Send-Q Local Address           Foreign Address         State      ",
		"Proto Recv-Q Send-Q Local Address  Foreign Address  State  PID/Program name    ",
		"Local Address", "COMMAND  PID USER   FD   TYPE DEVICE SIZE/OFF NODE NAME",
		"Active UNIX domain sockets (servers and established)",
		"unix  3      [ ]         STREAM     CONNECTED     644      @/tmp/.X11-unix/X0",
		"u_str ESTAB  0      0                  * 644              * 645        ",
		"java 123 app 5u sock 0,8 0t0 812345 protocol: TCP",

		/* Listeners. */
		"LISTEN     0      128              0.0.0.0:22             0.0.0.0:*           ",
		"LISTEN     0      511                 [::]:80                [::]:*           ",
		"LISTEN 0 128 *:22 *:* users:((\"sshd\",pid=1,fd=3))",
		"LISTEN 0 128 127.0.0.53%lo:53 0.0.0.0:*", "0.0.0.0:22 0.0.0.0:*", ":::80 :::*",
		"tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN     ",
		"tcp6       0      0 :::80                   :::*                    LISTEN     \r",
		"0.0.0.0:443 0.0.0.0:0 LISTEN", "[::]:443 [::]:0 LISTEN",
		"0.0.0.0:* 10.0.0.1:80", "0.0.0.0:*", "udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*",

		/* Other protocols. */
		"udp   ESTAB  0      0      192.0.2.1:5060     10.10.10.5:5060",
		"     3\tudp   ESTAB  0      0      192.0.2.1:5060     10.10.10.5:5060",
		"> udp ESTAB 0 0 192.0.2.1:5060 10.10.10.5:5060",
		"\"udp\", 192.0.2.1:5060 10.10.10.5:5060",
		"udp46      0      0 ::1.123                 ::2:123                 ",
		"udp        0      0 192.0.2.1:5060          10.10.10.5:5060         ESTABLISHED",
		"udp6       0      0 ::1:123                 ::2:123                 ESTABLISHED",
		"ntpd 812 ntp 20u IPv4 81234 0t0 UDP 192.0.2.1:123->198.51.100.7:123",
		"chronyd 9 ntp 5u IPv4 812 0t0 UDP 127.0.0.1:323",
		"sctp ESTAB 0 0 192.0.2.1:5060 10.10.10.5:5060", "nl UNCONN 0 0 0:0 *",
		"raw 0 0 192.0.2.1:1 10.10.10.5:5060 7", "ti_st ESTAB 0 0 1:2 3:4",

		"x 9 eve 12u IPv4 1243472 0t0 UDPLITE 127.0.0.1:34567->127.0.0.1:443",
		"vi 77 eve 4r REG 8,1 0 99 /tmp/a:b TCP 10.0.0.1:22->10.0.0.9:5000",
		"udp 77 eve 4r REG 8,1 0 99 /memfd:x TCP 10.0.0.1:22->10.0.0.9:5000",

		/* UNIX domain sockets, by names that anybody may give them. */
		"u_str LISTEN 0 128 x TCP 10.0.0.1:22 10.0.0.2:5555 y 1171317 * 0",
		"u_str 0 128 x TCP 10.0.0.1:22 10.0.0.2:5555 y 1171317 * 0",
		"unix  2      [ ACC ]     STREAM     LISTENING     1171317 x TCP 10.0.0.1:22 10.0.0.2:55",
		"unix  2      [ ]         DGRAM                    1171317 x TCP 10.0.0.1:22 10.0.0.2:55",
		"nl UNCONN 0 0 rtnl:x TCP 10.0.0.1:22 10.0.0.2:5555",

		/* Files, by names that anybody may give them, as lsof lists them. */
		"vi 77 eve 4r REG 8,1 0 99 /tmp/x 10.0.0.1:22->10.0.0.9:5000",
		"vi 77 eve 4r REG 8,1 0 99 / 10.0.0.1:22->10.0.0.9:5000",
		"vi 77 eve 4u unix 0x0000000000000000 0t0 812 @x 10.0.0.1:22->10.0.0.9:5000",
		"vi 77 eve 4u unix 0x0000000000000000 0t0 812 10.0.0.1:22->10.0.0.9:5000",
		"u_str ESTAB 0 0 @ 10.0.0.1:22 10.0.0.9:5000",
		"e: 77 eve 4r REG 8,1 0 99 /tmp/ TCP 10.0.0.1:22->10.0.0.9:5000",
		"e: 77 eve 4u unix 0x0 0t0 812 TCP 10.0.0.1:22->10.0.0.9:5000",
		"gunicorn: 13 root 4u IPv4 15292 0t0 UDP 10.0.0.1:80->10.0.0.9:5000",
		"sshd     1 root    3u  IPv4  15290      0t0  TCP *:22 (LISTEN)",
		"sshd     1 root    4u  IPv6  15292      0t0  TCP [::1]:22 (LISTEN)",
		"sshd     1 root    4u  IPv6  15292      0t0  TCP [::1]:22 (LISTEN QR=0 QS=0)",
		"gunicorn: 13 root  4u  IPv6  15292      0t0  TCP 10.0.0.1:80 (LISTEN)",
	};
	struct tcpdrop_conn ends;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		EXPECT_EQ(-ENODATA, tcpdrop_conn_parse_ends(lines[i], &ends)) TH_LOG("line %zu", i);
}

TEST(refuses_ends_that_are_too_long)
{
	char line[1000];
	size_t len;

	for (len = 1; len < 900; len++) {
		snprintf(line, sizeof(line), "10.0.0.1:%0*d 10.0.0.2:80", (int)len, 80);
		tcpdrop_conn_parse_ends(line, &(struct tcpdrop_conn){});
		snprintf(line, sizeof(line), "10.0.0.1:80 ::%0*d:80", (int)len, 80);
		EXPECT_EQ(-EINVAL, tcpdrop_conn_parse_ends(line, &(struct tcpdrop_conn){}));
		memset(line, ':', len);
		line[len] = '\0';
		EXPECT_EQ(-ENODATA, tcpdrop_conn_parse_ends(line, &(struct tcpdrop_conn){}));
		snprintf(line + len, sizeof(line) - len, ":1 ::1:1");
		EXPECT_EQ(len == 2 ? 0 : -EINVAL,
			  tcpdrop_conn_parse_ends(line, &(struct tcpdrop_conn){}));
	}
}

TEST_HARNESS_MAIN
