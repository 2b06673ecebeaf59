// SPDX-License-Identifier: GPL-2.0
/*
 * The rule: parse, print and match.
 *
 * Every list attribute is a pair of range sets over 128-bit keys, so one
 * tokenizer, one store, one show and one look-up serve them all; an attribute
 * type only turns an item into ranges and a range into an item.
 */
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "cgroup.h"
#include "rule.h"
#include "text.h"

/* The longest item: two bracketed addresses with a dash between them. */
#define ITEM_MAX	112

/* The longest line that a reader can write back; see attr_store() of configfs. */
#define LINE_LIMIT	4094

#define ITEM_QUOTE_MAX	60

/* One item of a list as it was written; refers to the written text. */
struct token {
	const char *text;
	size_t len;
};

/**
 * struct item_type - what the items of a list are
 * @single: no list, but one item, which is neither added nor excluded
 * @parse: turns an item into ranges, adding to the set; 0, -ENOMEM, or
 *         -EINVAL with the reason
 * @print: turns a range into an item, returns its length
 * @store: takes the text instead, of which blanks have been cut off, for what is
 *         no list; as tcpdrop_rule_store()
 * @show: prints it then, with a newline, and returns the length
 * @unset: how an empty list reads, if not as "any"
 * @no_exclusion: none can have a "!"
 * @alone: why an item whose key is of another space than 0 is the only one of
 *         its list; NULL if it need not be
 */
struct item_type {
	bool single;
	int (*parse)(struct tcpdrop_ranges *into, char *item, const char **reason);
	int (*print)(char *buf, size_t size, const struct tcpdrop_key_range *r);
	int (*store)(struct tcpdrop_rule *rule, const struct token *token,
		     const char **reason);
	int (*show)(const struct tcpdrop_rule *rule, char *buf, size_t size);
	const char *unset;
	bool no_exclusion;
	const char *alone;
};

/* Addresses */

/* A key whose @bits lowest bits are ones. */
static struct tcpdrop_range_key low_bits(unsigned int bits)
{
	return (struct tcpdrop_range_key){
		.hi = bits > 64 ? GENMASK_ULL(bits - 65, 0) : 0,
		.lo = bits ? GENMASK_ULL(min(bits, 64U) - 1, 0) : 0,
	};
}

static unsigned int addr_width(const struct tcpdrop_range_key *addr)
{
	return addr->space == CONN_IPV4 ? 32 : 128;
}

/* Decimal digits and nothing else: no sign, no base prefix. */
static int parse_number(const char *text, u64 max, u64 *value)
{
	if (!isdigit(*text) || kstrtou64(text, 10, value) || *value > max)
		return -EINVAL;
	return 0;
}

/* A v4-mapped address that belongs to a range of IPv6 is no IPv4 address. */
static void unmap(struct tcpdrop_range_key *addr)
{
	if (addr->space == CONN_IPV4) {
		addr->space = CONN_IPV6;
		addr->lo |= 0xffffULL << 32;
	}
}

/* Of a v4-mapped address whose prefix reaches into the IPv4 part, the IPv4 prefix. */
static int parse_prefix(char *addr, const char *prefix, struct tcpdrop_key_range *r,
			const char **reason)
{
	bool mapped = strchr(addr, ':');
	struct tcpdrop_range_key host;
	u64 len;

	*reason = "not an address";
	if (tcpdrop_conn_parse_addr(addr, &r->first))
		return -EINVAL;
	mapped = mapped && r->first.space == CONN_IPV4;

	*reason = "not a prefix length";
	if (parse_number(prefix, mapped ? 128 : addr_width(&r->first), &len))
		return -EINVAL;
	if (mapped && len >= 96)
		len -= 96;
	else if (mapped)
		unmap(&r->first);

	host = low_bits(addr_width(&r->first) - len);
	r->first.hi &= ~host.hi;
	r->first.lo &= ~host.lo;
	r->last = r->first;
	r->last.hi |= host.hi;
	r->last.lo |= host.lo;
	return 0;
}

static int parse_addr_range(char *first, char *last, struct tcpdrop_key_range *r,
			    const char **reason)
{
	bool mapped = strchr(first, ':') && strchr(last, ':');

	*reason = "not an address";
	if (tcpdrop_conn_parse_addr(first, &r->first) ||
	    tcpdrop_conn_parse_addr(last, &r->last))
		return -EINVAL;
	if (mapped && r->first.space != r->last.space) {
		unmap(&r->first);
		unmap(&r->last);
	}
	*reason = "a range of both IPv4 and IPv6";
	if (r->first.space != r->last.space)
		return -EINVAL;
	*reason = "a reversed range";
	return tcpdrop_range_key_cmp(&r->first, &r->last) > 0 ? -EINVAL : 0;
}

static int addr_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r;
	char *sep;
	int ret;

	sep = strpbrk(item, "/-");
	if (sep && *sep == '/') {
		*sep++ = '\0';
		ret = parse_prefix(item, sep, &r, reason);
	} else if (sep) {
		*sep++ = '\0';
		ret = parse_addr_range(item, sep, &r, reason);
	} else {
		*reason = "not an address";
		ret = tcpdrop_conn_parse_addr(item, &r.first);
		r.last = r.first;
	}
	return ret ? ret : tcpdrop_ranges_add(into, &r);
}

/* The prefix length of a range that is a prefix, or -1. */
static int range_prefix(const struct tcpdrop_key_range *r)
{
	u64 hi = r->first.hi ^ r->last.hi, lo = r->first.lo ^ r->last.lo;
	unsigned int bits = hweight64(hi) + hweight64(lo);
	struct tcpdrop_range_key host = low_bits(bits);

	if (host.hi != hi || host.lo != lo || r->first.hi & hi || r->first.lo & lo)
		return -1;
	return addr_width(&r->first) - bits;
}

static int addr_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	int prefix = range_prefix(r);
	int len;

	len = tcpdrop_conn_print_addr(buf, &r->first);
	if (tcpdrop_range_is_single(r))
		return len;
	if (prefix >= 0)
		return len + scnprintf(buf + len, size - len, "/%d", prefix);

	len += scnprintf(buf + len, size - len, "-");
	return len + tcpdrop_conn_print_addr(buf + len, &r->last);
}

static const struct item_type addr_items = {
	.parse = addr_parse,
	.print = addr_print,
};

/* Ports */

static int parse_port(const char *text, struct tcpdrop_range_key *key)
{
	u16 port;
	int ret;

	ret = tcpdrop_conn_parse_port(text, &port);
	if (!ret)
		*key = (struct tcpdrop_range_key){ .lo = port };
	return ret;
}

/* N or N-M; on entry @reason is what is wrong with what @parse refuses. */
static int parse_number_range(struct tcpdrop_ranges *into, char *item,
			      int (*parse)(const char *text, struct tcpdrop_range_key *key),
			      const char **reason)
{
	char *dash = strchr(item, '-');
	struct tcpdrop_key_range r;

	if (dash)
		*dash++ = '\0';
	if (parse(item, &r.first) || parse(dash ? dash : item, &r.last))
		return -EINVAL;
	*reason = "a reversed range";
	if (tcpdrop_range_key_cmp(&r.first, &r.last) > 0)
		return -EINVAL;
	return tcpdrop_ranges_add(into, &r);
}

static int port_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	*reason = "not a port number";
	return parse_number_range(into, item, parse_port, reason);
}

static int number_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	if (tcpdrop_range_is_single(r))
		return scnprintf(buf, size, "%llu", (unsigned long long)r->first.lo);
	return scnprintf(buf, size, "%llu-%llu", (unsigned long long)r->first.lo,
			 (unsigned long long)r->last.lo);
}

static const struct item_type port_items = {
	.parse = port_parse,
	.print = number_print,
};

/* States: their keys are ranks, so that they are printed in that order. */

static int state_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	unsigned int states = tcpdrop_conn_states_by_name(item);
	struct tcpdrop_key_range r = {};
	unsigned int rank;
	int ret;

	*reason = "not a TCP state";
	if (!states)
		return -EINVAL;

	for (rank = 0; rank < CONN_STATE_RANKS; rank++) {
		if (!(states & BIT(tcpdrop_conn_state_by_rank(rank))))
			continue;
		r.first.lo = rank;
		r.last.lo = rank;
		ret = tcpdrop_ranges_add(into, &r);
		if (ret)
			return ret;
	}
	return 0;
}

static int state_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	return scnprintf(buf, size, "%s",
			 tcpdrop_conn_state_name(tcpdrop_conn_state_by_rank(r->first.lo)));
}

static const struct item_type state_items = {
	.parse = state_parse,
	.print = state_print,
};

static unsigned int states_of(const struct tcpdrop_ranges *set)
{
	unsigned int states = 0;
	size_t i;

	for (i = 0; i < set->nr; i++)
		states |= BIT(tcpdrop_conn_state_by_rank(set->v[i].first.lo));
	return states;
}

/* Names: their keys are their characters, so that they are sorted as text. */

/**
 * tcpdrop_name_key() - the key that stands for a name
 * @name: the name; characters from RULE_NAME_MAX on do not count
 *
 * Context: any.
 * Return: the key, of zeros for an empty name.
 */
struct tcpdrop_range_key tcpdrop_name_key(const char *name)
{
	size_t len = strnlen(name, RULE_NAME_MAX);
	struct tcpdrop_range_key key = {};
	size_t i;

	for (i = 0; i < len; i++) {
		u64 byte = (u8)name[i];

		if (i < 8)
			key.hi |= byte << (56 - 8 * i);
		else
			key.lo |= byte << (120 - 8 * i);
	}
	return key;
}

/*
 * Which names there are changes with the modules that are loaded, so any is
 * taken that a reader can write back.
 */
static bool is_name(const char *text)
{
	const char *p;

	for (p = text; *p; p++)
		if (!isascii(*p) || !isgraph(*p))
			return false;
	return p - text < RULE_NAME_MAX && *text != '!' && *text != '+' &&
	       strcmp(text, "any") && strcmp(text, "...");
}

static int name_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r;

	*reason = "not a name";
	if (!is_name(item))
		return -EINVAL;

	r.first = tcpdrop_name_key(item);
	r.last = r.first;
	return tcpdrop_ranges_add(into, &r);
}

static int name_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	char name[RULE_NAME_MAX] = "";
	size_t i;

	for (i = 0; i < 8; i++) {
		name[i] = r->first.hi >> (56 - 8 * i);
		name[i + 8] = r->first.lo >> (56 - 8 * i);
	}
	return scnprintf(buf, size, "%s", name);
}

static const struct item_type name_items = {
	.parse = name_parse,
	.print = name_print,
};

/* Marks: a key is a value, in the space of its mask. */

/* Decimal or with 0x, and nothing else. */
static int parse_mark(const char *text, u64 *mark)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

	if (!isdigit(*text) || kstrtou64(text, hex ? 16 : 10, mark) || *mark > U32_MAX)
		return -EINVAL;
	return 0;
}

static int mark_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r = {};
	u64 value, mask = U32_MAX;
	char *slash;

	slash = strchr(item, '/');
	if (slash)
		*slash++ = '\0';
	*reason = "not a mark";
	if (parse_mark(item, &value) || (slash && parse_mark(slash, &mask)))
		return -EINVAL;

	r.first.space = mask;
	r.first.lo = value & mask;
	r.last = r.first;
	return tcpdrop_ranges_add(into, &r);
}

static int mark_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	int len = scnprintf(buf, size, "0x%llx", (unsigned long long)r->first.lo);

	if (r->first.space != U32_MAX)
		len += scnprintf(buf + len, size - len, "/0x%x", r->first.space);
	return len;
}

static const struct item_type mark_items = {
	.parse = mark_parse,
	.print = mark_print,
};

/* Users */

/* The highest number stands for nobody. */
static int parse_uid(const char *text, struct tcpdrop_range_key *key)
{
	*key = (struct tcpdrop_range_key){};
	return parse_number(text, U32_MAX - 1, &key->lo);
}

static int uid_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	*reason = "not a user id";
	return parse_number_range(into, item, parse_uid, reason);
}

static const struct item_type uid_items = {
	.parse = uid_parse,
	.print = number_print,
};

/* Processes */

/* Any that a process could have; 0 is none. */
static int pid_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r = {};

	*reason = "not a process id";
	if (parse_number(item, INT_MAX, &r.first.lo) || !r.first.lo)
		return -EINVAL;
	r.last = r.first;
	return tcpdrop_ranges_add(into, &r);
}

static const struct item_type pid_items = {
	.parse = pid_parse,
	.print = number_print,
};

/* What has to be reached: the range from there on. */

static int add_least(struct tcpdrop_ranges *into, u64 least)
{
	struct tcpdrop_key_range r = { .first.lo = least, .last.lo = U64_MAX };

	return tcpdrop_ranges_add(into, &r);
}

static int least_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	u64 least;

	*reason = "not a number";
	return parse_number(item, U64_MAX, &least) ? -EINVAL : add_least(into, least);
}

static int least_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	return scnprintf(buf, size, "%llu", (unsigned long long)r->first.lo);
}

static const struct item_type least_items = {
	.single = true,
	.parse = least_parse,
	.print = least_print,
};

/* Durations, in milliseconds; the units from the longest to the shortest. */
static const struct unit {
	const char *name;
	u32 ms;
} units[] = {
	{ "d", 24 * 60 * 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ "m", 60 * 1000 },
	{ "s", 1000 },
	{ "", 1000 },
	{ "ms", 1 },
};

static int duration_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	char *name = item + strspn(item, "0123456789");
	const struct unit *unit;
	char digits[24];
	u64 number;

	*reason = "not a duration";
	for (unit = units; strcmp(unit->name, name); unit++)
		if (unit == units + ARRAY_SIZE(units) - 1)
			return -EINVAL;
	if (name - item >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, item, name - item);
	digits[name - item] = '\0';
	if (parse_number(digits, U64_MAX / unit->ms, &number))
		return -EINVAL;
	return add_least(into, number * unit->ms);
}

static int duration_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	u64 ms = r->first.lo;
	const struct unit *unit = units;

	if (!ms)
		return scnprintf(buf, size, "0s");
	while (ms % unit->ms)
		unit++;
	return scnprintf(buf, size, "%llu%s", (unsigned long long)ms / unit->ms, unit->name);
}

static const struct item_type duration_items = {
	.single = true,
	.parse = duration_parse,
	.print = duration_print,
};

/* Yes or no: 1 or 0. */

static int parse_yesno(const char *text, bool *yes)
{
	*yes = !strcmp(text, "yes");
	return *yes || !strcmp(text, "no") ? 0 : -EINVAL;
}

static int yesno_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r = {};
	bool yes;

	*reason = "neither yes nor no";
	if (parse_yesno(item, &yes))
		return -EINVAL;
	r.first.lo = yes;
	r.last.lo = yes;
	return tcpdrop_ranges_add(into, &r);
}

static int yesno_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	static const char *const answers[] = { "no", "yes" };

	return scnprintf(buf, size, "%s", answers[r->first.lo]);
}

static const struct item_type yesno_items = {
	.single = true,
	.parse = yesno_parse,
	.print = yesno_print,
};

/*
 * Network namespaces: inode numbers, or a single word, an enum
 * tcpdrop_rule_netns in a space of its own.
 */

#define NETNS_WORDS	1
#define NETNS_ALONE	"self and all stand alone"

/* The inode number as it is, or as the link in /proc/PID/ns shows it. */
static int parse_inode(char *item, u64 *inode)
{
	char *end = strchr(item, ']');

	if (!strncmp(item, "net:[", 5) && end && !end[1]) {
		*end = '\0';
		item += 5;
	}
	return parse_number(item, U32_MAX, inode) || !*inode ? -EINVAL : 0;
}

/* Would an item not stand alone that has to?  In @set all do. */
static bool is_crowd(const struct tcpdrop_ranges *set, const struct tcpdrop_range_key *key)
{
	return set->nr && (key->space || set->v[0].first.space) &&
	       tcpdrop_range_key_cmp(&set->v[0].first, key);
}

static int netns_parse(struct tcpdrop_ranges *into, char *item, const char **reason)
{
	struct tcpdrop_key_range r = {};

	*reason = "not self, all or the inode number of a namespace";
	if (!strcmp(item, "self"))
		r.first = (struct tcpdrop_range_key){ .space = NETNS_WORDS, .lo = NETNS_SELF };
	else if (!strcmp(item, "all"))
		r.first = (struct tcpdrop_range_key){ .space = NETNS_WORDS, .lo = NETNS_ALL };
	else if (parse_inode(item, &r.first.lo))
		return -EINVAL;

	*reason = NETNS_ALONE;
	if (is_crowd(into, &r.first))
		return -EINVAL;
	r.last = r.first;
	return tcpdrop_ranges_add(into, &r);
}

static int netns_print(char *buf, size_t size, const struct tcpdrop_key_range *r)
{
	if (r->first.space == NETNS_WORDS)
		return scnprintf(buf, size, r->first.lo == NETNS_ALL ? "all" : "self");
	return number_print(buf, size, r);
}

static const struct item_type netns_items = {
	.parse = netns_parse,
	.print = netns_print,
	.unset = "self",
	.no_exclusion = true,
	.alone = NETNS_ALONE,
};

/* LISTEN is meant only where it is named, so it is not part of "everything". */
static unsigned int selected_states(const struct tcpdrop_selector *sel)
{
	unsigned int yes = states_of(&sel->yes);

	return (yes ? yes : CONN_STATES_ALL) & ~states_of(&sel->no);
}

/**
 * tcpdrop_rule_error_set() - say why a write is refused
 * @err: where to
 * @attr: the name of the file written to
 * @item: what offends, of @len characters; long ones are cut, and what does
 *        not print becomes a question mark, so that the reason stays a line
 * @len: length of @item
 * @reason: why
 */
void tcpdrop_rule_error_set(struct tcpdrop_rule_error *err, const char *attr,
			    const char *item, size_t len, const char *reason)
{
	size_t quoted = min_t(size_t, len, ITEM_QUOTE_MAX);
	char quote[ITEM_QUOTE_MAX + 1];
	size_t i;

	for (i = 0; i < quoted; i++)
		quote[i] = isascii(item[i]) && isprint(item[i]) ? item[i] : '?';
	quote[quoted] = '\0';

	scnprintf(err->text, sizeof(err->text), "%s: \"%s%s\": %s", attr, quote,
		  quoted < len ? "..." : "", reason);
}

static void selector_free(struct tcpdrop_selector *sel)
{
	tcpdrop_ranges_free(&sel->yes);
	tcpdrop_ranges_free(&sel->no);
}

static bool selector_is_set(const struct tcpdrop_selector *sel)
{
	return sel->yes.nr || sel->no.nr;
}

/* Sorts @more, if it adds that. */
static int selector_merge(struct tcpdrop_selector *sel, struct tcpdrop_selector *more)
{
	int ret;

	ret = tcpdrop_ranges_reserve(&sel->yes, more->yes.nr);
	if (ret)
		return ret;
	ret = tcpdrop_ranges_reserve(&sel->no, more->no.nr);
	if (ret)
		return ret;

	tcpdrop_ranges_merge(&sel->yes, &more->yes);
	tcpdrop_ranges_merge(&sel->no, &more->no);
	return 0;
}

static void selector_sort(struct tcpdrop_selector *sel)
{
	tcpdrop_ranges_sort(&sel->yes);
	tcpdrop_ranges_sort(&sel->no);
}

/* Empties @new, which is sorted by that. */
static void selector_replace(struct tcpdrop_selector *sel, struct tcpdrop_selector *new)
{
	selector_sort(new);
	selector_free(sel);
	*sel = *new;
	*new = (struct tcpdrop_selector){};
}

/* The kernel's isspace() takes a Latin-1 byte for one as well. */
static bool is_blank(char c)
{
	return isascii(c) && isspace(c);
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static const char *skip_item(const char *p, const char *end)
{
	while (p < end && !is_blank(*p) && *p != ',')
		p++;
	return p;
}

/* Is @text empty, or the one word that clears an attribute? */
static bool text_clears(const char *text, size_t len)
{
	const char *end = text + len;

	text = skip_blanks(text, end);
	if (text == end)
		return true;
	return end - text >= 3 && !memcmp(text, "any", 3) &&
	       skip_blanks(text + 3, end) == end;
}

static int parse_item(const struct item_type *type, struct tcpdrop_selector *sel,
		      const struct token *token, const char **reason)
{
	bool negated = !type->single && *token->text == '!';
	size_t len = token->len - negated;
	char item[ITEM_MAX];

	*reason = "an empty item";
	if (!len)
		return -EINVAL;
	*reason = "too long an item";
	if (len >= sizeof(item))
		return -EINVAL;
	*reason = "cannot be excluded";
	if (negated && type->no_exclusion)
		return -EINVAL;

	memcpy(item, token->text + negated, len);
	item[len] = '\0';
	return type->parse(negated ? &sel->no : &sel->yes, item, reason);
}

/* On failure @token is the item that was refused. */
static int parse_list(const struct item_type *type, struct tcpdrop_selector *sel,
		      const char *text, size_t len, struct token *token,
		      const char **reason)
{
	const char *end = text + len;
	const char *p = text;
	int ret;

	do {
		token->text = skip_blanks(p, end);
		p = skip_item(token->text, end);
		token->len = p - token->text;
		*reason = "an empty item";
		ret = token->len ? parse_item(type, sel, token, reason) : -EINVAL;
		if (ret)
			return ret;

		p = skip_blanks(p, end);
		if (p == end)
			return 0;
		if (*p == ',')
			p++;
	} while (true);
}

/* Cuts the blanks off both ends. */
static struct token trim(const char *text, size_t len)
{
	const char *end = text + len;

	text = skip_blanks(text, end);
	while (end > text && is_blank(end[-1]))
		end--;
	return (struct token){ text, end - text };
}

/* Copies a token as a string; false if it does not fit. */
static bool token_copy(const struct token *token, char *text, size_t size)
{
	if (token->len >= size)
		return false;
	memcpy(text, token->text, token->len);
	text[token->len] = '\0';
	return true;
}

/* A number, 0 if it is cleared. */
static int store_limit(u64 *limit, const struct token *token, const char **reason)
{
	char number[24];
	u64 value = 0;

	*reason = "not a number";
	if (!text_clears(token->text, token->len) &&
	    (!token_copy(token, number, sizeof(number)) ||
	     parse_number(number, U64_MAX, &value)))
		return -EINVAL;
	*limit = value;
	return 0;
}

static int show_limit(u64 limit, char *buf, size_t size)
{
	return scnprintf(buf, size, "%llu\n", (unsigned long long)limit);
}

/* @unset if it is cleared. */
static int store_yes_no(bool *option, bool unset, const struct token *token,
			const char **reason)
{
	bool yes = unset;
	char item[4];

	*reason = "neither yes nor no";
	if (!text_clears(token->text, token->len) &&
	    (!token_copy(token, item, sizeof(item)) || parse_yesno(item, &yes)))
		return -EINVAL;
	*option = yes;
	return 0;
}

static int show_yes_no(bool yes, char *buf, size_t size)
{
	return scnprintf(buf, size, yes ? "yes\n" : "no\n");
}

static int max_store(struct tcpdrop_rule_options *options, const struct token *token,
		     const char **reason)
{
	return store_limit(&options->max, token, reason);
}

static int max_show(const struct tcpdrop_rule_options *options, char *buf, size_t size)
{
	return show_limit(options->max, buf, size);
}

static int rate_store(struct tcpdrop_rule_options *options, const struct token *token,
		      const char **reason)
{
	return store_limit(&options->rate, token, reason);
}

static int rate_show(const struct tcpdrop_rule_options *options, char *buf, size_t size)
{
	return show_limit(options->rate, buf, size);
}

static int reset_store(struct tcpdrop_rule_options *options, const struct token *token,
		       const char **reason)
{
	bool reset;
	int ret = store_yes_no(&reset, true, token, reason);

	if (!ret)
		options->silent = !reset;
	return ret;
}

static int reset_show(const struct tcpdrop_rule_options *options, char *buf, size_t size)
{
	return show_yes_no(!options->silent, buf, size);
}

static int kernel_store(struct tcpdrop_rule_options *options, const struct token *token,
			const char **reason)
{
	return store_yes_no(&options->kernel, false, token, reason);
}

static int kernel_show(const struct tcpdrop_rule_options *options, char *buf, size_t size)
{
	return show_yes_no(options->kernel, buf, size);
}

static int protect_store(struct tcpdrop_rule_options *options, const struct token *token,
			 const char **reason)
{
	return store_yes_no(&options->protect, false, token, reason);
}

static int protect_show(const struct tcpdrop_rule_options *options, char *buf, size_t size)
{
	return show_yes_no(options->protect, buf, size);
}

/* Paths: one for a rule, of which there has to be a cgroup. */

/* One slash between two names and none behind the last. */
static void copy_path(char *path, const char *text, size_t len)
{
	char *p = path;

	for (; len; text++, len--)
		if (*text != '/' || p == path || p[-1] != '/')
			*p++ = *text;
	if (p > path + 1 && p[-1] == '/')
		p--;
	*p = '\0';
}

static int check_path(const char *path, const char **reason)
{
	struct cgroup *cgroup = tcpdrop_cgroup_get(path);
	int ret = PTR_ERR_OR_ZERO(cgroup);

	if (!ret)
		tcpdrop_cgroup_put(cgroup);
	*reason = ret == -EOPNOTSUPP ? "not on this kernel" : "no such cgroup";
	/* Names can have these, but hardly any has. */
	if (ret == -ENOENT && strpbrk(path, ", \t\r\n")) {
		*reason = "more than one path";
		return -EINVAL;
	}
	return ret;
}

/* On success @path belongs to the caller. */
static int parse_path(const struct token *token, char **path, const char **reason)
{
	int ret;

	*reason = "not an absolute path";
	if (!token->len || *token->text != '/')
		return -EINVAL;
	*path = kvmalloc_array(token->len + 1, 1, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!*path)
		return -ENOMEM;
	copy_path(*path, token->text, token->len);
	ret = check_path(*path, reason);
	if (ret)
		kvfree(*path);
	return ret;
}

static int path_set(struct tcpdrop_selector *sel, char **path, const struct token *token,
		    const char **reason)
{
	static const struct tcpdrop_key_range inside = { .first.lo = 1, .last.lo = 1 };
	bool negated = *token->text == '!';
	struct token rest = { token->text + negated, token->len - negated };
	int ret;

	*reason = "too long a path";
	if (token->len >= LINE_LIMIT)
		return -EINVAL;
	ret = parse_path(&rest, path, reason);
	if (ret)
		return ret;
	ret = tcpdrop_ranges_add(negated ? &sel->no : &sel->yes, &inside);
	if (ret)
		kvfree(*path);
	return ret;
}

static int path_store(struct tcpdrop_rule *rule, const struct token *token,
		      const char **reason)
{
	struct tcpdrop_selector new = {};
	char *path = NULL;
	int ret = 0;

	if (!text_clears(token->text, token->len))
		ret = path_set(&new, &path, token, reason);
	if (ret)
		return ret;

	selector_replace(&rule->sel[RULE_CGROUP], &new);
	kvfree(rule->cgroup_path);
	rule->cgroup_path = path;
	return 0;
}

static int path_show(const struct tcpdrop_rule *rule, char *buf, size_t size)
{
	if (!rule->cgroup_path)
		return scnprintf(buf, size, "any\n");
	return scnprintf(buf, size, "%s%s\n", rule->sel[RULE_CGROUP].no.nr ? "!" : "",
			 rule->cgroup_path);
}

static const struct item_type path_items = {
	.store = path_store,
	.show = path_show,
};

static const struct {
	const char *name;
	const struct item_type *items;
} lists[] = {
#define SELECTOR(NAME, name, type) \
	[RULE_##NAME] = { #name, &type##_items },
#define LIST SELECTOR
#define OPTION(...)
#include "attrs.h"
};

/* What an option takes, of which blanks have been cut off, and how it reads. */
static const struct option {
	const char *name;
	int (*store)(struct tcpdrop_rule_options *options, const struct token *token,
		     const char **reason);
	int (*show)(const struct tcpdrop_rule_options *options, char *buf, size_t size);
} options[] = {
#define SELECTOR(...)
#define LIST(...)
#define OPTION(NAME, name) \
	[RULE_##NAME - RULE_NR_LISTS] = { #name, name##_store, name##_show },
#include "attrs.h"
};

static const struct option *option_of(enum tcpdrop_rule_attr attr)
{
	return &options[attr - RULE_NR_LISTS];
}

/**
 * tcpdrop_rule_attr_name() - what an attribute is called
 * @attr: the attribute
 *
 * Return: its name, as that of its file.
 */
const char *tcpdrop_rule_attr_name(enum tcpdrop_rule_attr attr)
{
	return attr < RULE_NR_LISTS ? lists[attr].name : option_of(attr)->name;
}

static int add_list(const struct item_type *type, struct tcpdrop_selector *sel,
		    struct tcpdrop_selector *more, const char **reason)
{
	*reason = type->alone;
	if (type->alone && is_crowd(&sel->yes, &more->yes.v[0].first))
		return -EINVAL;
	return selector_merge(sel, more);
}

static int store_list(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
		      const char *text, size_t len, struct token *bad, const char **reason)
{
	const struct item_type *type = lists[attr].items;
	bool add = !type->single && len && *text == '+';
	struct tcpdrop_selector *sel = &rule->sel[attr];
	struct tcpdrop_selector new = {};
	int ret = 0;

	if (type->store)
		return type->store(rule, bad, reason);
	if (add) {
		text++;
		len--;
	}
	if (!add && text_clears(text, len))
		ret = 0;
	else if (type->single)
		ret = parse_item(type, &new, bad, reason);
	else
		ret = parse_list(type, &new, text, len, bad, reason);
	if (!ret && add)
		ret = add_list(type, sel, &new, reason);
	else if (!ret)
		selector_replace(sel, &new);

	selector_free(&new);
	return ret;
}

/**
 * tcpdrop_rule_store() - write an attribute
 * @rule: the rule
 * @attr: the attribute
 * @text: what is written, @len characters
 * @len: length of @text
 * @err: filled if the write is refused
 *
 * Context: may sleep.
 * Return: 0; -EINVAL if @text is not of the attribute's grammar; -ENOENT if a
 * cgroup does not exist, -EOPNOTSUPP if the kernel has none; -ENOMEM; the rule is
 * as it was then.
 */
int tcpdrop_rule_store(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
		       const char *text, size_t len, struct tcpdrop_rule_error *err)
{
	const char *reason = "not text";
	struct token token = trim(text, len);
	int ret;

	if (memchr(text, '\0', len))
		ret = -EINVAL;
	else if (attr < RULE_NR_LISTS)
		ret = store_list(rule, attr, text, len, &token, &reason);
	else
		ret = option_of(attr)->store(&rule->options, &token, &reason);

	if (ret == -ENOMEM)
		reason = "out of memory";
	if (ret)
		tcpdrop_rule_error_set(err, tcpdrop_rule_attr_name(attr), token.text,
				       token.len, reason);
	else if (attr == RULE_STATE)
		rule->states = selected_states(&rule->sel[RULE_STATE]);
	return ret;
}

/**
 * tcpdrop_rule_written() - note what became of a write to an attribute
 * @refusals: what the rule has been refused
 * @attr: the attribute
 * @text: what was written
 * @len: length of @text
 * @err: why it was refused, by whomever; NULL if it was taken
 *
 * Only a write of the whole makes up for a refusal: what is added to a list
 * leaves it without what was refused.
 */
void tcpdrop_rule_written(struct tcpdrop_rule_refusals *refusals,
			  enum tcpdrop_rule_attr attr, const char *text, size_t len,
			  const struct tcpdrop_rule_error *err)
{
	bool adds = attr < RULE_NR_LISTS && len && *text == '+';

	if (err)
		refusals->of[attr] = *err;
	else if (!adds)
		refusals->of[attr].text[0] = '\0';
}

/**
 * tcpdrop_rule_refused() - may a rule not be committed for what it has been refused?
 * @refusals: what the rule has been refused
 * @err: set to the reason if so
 *
 * Return: true if an attribute does not hold what was last written to it.
 */
bool tcpdrop_rule_refused(const struct tcpdrop_rule_refusals *refusals,
			  struct tcpdrop_rule_error *err)
{
	unsigned int attr;
	const char *text;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++) {
		text = refusals->of[attr].text;
		if (!*text)
			continue;
		/* The text goes on with a colon behind the name. */
		scnprintf(err->text, sizeof(err->text), "commit: \"1\": %s was refused%s",
			  tcpdrop_rule_attr_name(attr), strchr(text, ':'));
		return true;
	}
	return false;
}

/* A line that grows by items until it is full. */
struct line {
	char *buf;
	size_t size;
	int len;
	size_t nr;
	/* Where it was when "..." would have fitted as well. */
	int safe_len;
	size_t safe_nr;
};

/* The longest that stands for the items that did not fit. */
#define MORE_MAX	sizeof(" ... 18446744073709551615 more\n")

/* Adds an item, unless it does not fit. */
static bool line_add(struct line *line, const char *item, size_t len, bool negated)
{
	size_t need = !!line->len + negated + len;

	if (line->len + need + sizeof("\n") > line->size)
		return false;
	line->len += scnprintf(line->buf + line->len, line->size - line->len,
			       "%s%s%s", line->len ? "," : "",
			       negated ? "!" : "", item);
	line->nr++;
	if (line->len + MORE_MAX <= line->size) {
		line->safe_len = line->len;
		line->safe_nr = line->nr;
	}
	return true;
}

/* Prints one of the two sets of a list; false if not all of it fitted. */
static bool show_ranges(const struct item_type *type, const struct tcpdrop_ranges *set,
			bool negated, struct line *line)
{
	char item[ITEM_MAX];
	size_t i;
	int len;

	for (i = 0; i < set->nr; i++) {
		len = type->print(item, sizeof(item), &set->v[i]);
		if (!line_add(line, item, len, negated))
			return false;
	}
	return true;
}

static int show_list(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, char *buf,
		     size_t size)
{
	const struct item_type *type = lists[attr].items;
	struct line line = { .buf = buf, .size = min_t(size_t, size, LINE_LIMIT + 1) };
	struct tcpdrop_selector *sel = &rule->sel[attr];
	size_t more;

	if (type->show)
		return type->show(rule, buf, line.size);
	if (!selector_is_set(sel))
		return scnprintf(buf, size, "%s\n", type->unset ? type->unset : "any");

	selector_sort(sel);
	if (show_ranges(type, &sel->yes, false, &line) &&
	    show_ranges(type, &sel->no, true, &line))
		return line.len + scnprintf(buf + line.len, line.size - line.len, "\n");

	more = sel->yes.nr + sel->no.nr - line.safe_nr;
	return line.safe_len + scnprintf(buf + line.safe_len, line.size - line.safe_len,
					 " ... %zu more\n", more);
}

/**
 * tcpdrop_rule_show() - read an attribute
 * @rule: the rule; its lists are sorted by that
 * @attr: the attribute
 * @buf: where to
 * @size: of @buf
 *
 * Return: the length of the line, which tcpdrop_rule_store() takes back unless it ends
 * in " ... N more", N being how many items did not fit; "..." is no item.
 */
int tcpdrop_rule_show(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, char *buf,
		      size_t size)
{
	if (attr < RULE_NR_LISTS)
		return show_list(rule, attr, buf, size);
	return option_of(attr)->show(&rule->options, buf, size);
}

/* How long the lines are that a whole rule is printed in, for who reads or compares it. */
#define PRINT_WIDTH	76

/* The longest name of an attribute, an item, and what is around them. */
#define PRINT_ROOM	(ITEM_MAX + 48)

/* The lines of one attribute of a rule that is printed; @start is that of the last. */
struct printer {
	struct tcpdrop_text *text;
	const char *name;
	size_t start;
	bool begun;
};

/* What is added has been reserved. */
static __printf(2, 3) void print(struct tcpdrop_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->len += vscnprintf(text->buf + text->len, text->cap - text->len, format, args);
	va_end(args);
}

static int print_item(struct printer *p, const char *item, size_t len, bool negated)
{
	struct tcpdrop_text *text = p->text;
	int ret = tcpdrop_text_reserve(text, PRINT_ROOM);

	if (ret)
		return ret;
	if (p->begun && text->len - p->start + negated + len < PRINT_WIDTH) {
		print(text, ",");
	} else {
		cond_resched();
		print(text, "%s", p->begun ? "\n" : "");
		p->start = text->len;
		print(text, "%s = ", p->name);
		p->begun = true;
	}
	print(text, "%s%s", negated ? "!" : "", item);
	return 0;
}

static int print_ranges(struct printer *p, const struct item_type *type,
			const struct tcpdrop_ranges *set, bool negated)
{
	char item[ITEM_MAX];
	int len, ret = 0;
	size_t i;

	for (i = 0; i < set->nr && !ret; i++) {
		len = type->print(item, sizeof(item), &set->v[i]);
		ret = print_item(p, item, len, negated);
	}
	return ret;
}

static int print_list(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
		      struct tcpdrop_text *text)
{
	const struct item_type *type = lists[attr].items;
	struct tcpdrop_selector *sel = &rule->sel[attr];
	struct printer p = { .text = text, .name = lists[attr].name };
	int ret;

	if (!selector_is_set(sel))
		return 0;
	if (type->show) {
		ret = tcpdrop_text_reserve(text, PRINT_ROOM + LINE_LIMIT);
		if (ret)
			return ret;
		print(text, "%s = ", p.name);
		text->len += type->show(rule, text->buf + text->len, text->cap - text->len);
		return 0;
	}

	selector_sort(sel);
	ret = print_ranges(&p, type, &sel->yes, false);
	if (!ret)
		ret = print_ranges(&p, type, &sel->no, true);
	if (!ret)
		print(text, "\n");
	return ret;
}

static int print_option(const struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
			struct tcpdrop_text *text)
{
	static const struct tcpdrop_rule_options unset;
	char value[32], none[32];
	int ret;

	option_of(attr)->show(&rule->options, value, sizeof(value));
	option_of(attr)->show(&unset, none, sizeof(none));
	if (!strcmp(value, none))
		return 0;
	ret = tcpdrop_text_reserve(text, PRINT_ROOM);
	if (!ret)
		print(text, "%s = %s", tcpdrop_rule_attr_name(attr), value);
	return ret;
}

/**
 * tcpdrop_rule_print() - read all that is set of a rule
 * @rule: the rule; its lists are sorted by that
 * @text: set to the text, to be freed by kvfree() whatever becomes of this
 *
 * A line for each attribute, "name = items"; several for a long list, of which
 * nothing is left out, each a list that tcpdrop_rule_store() takes.
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM or -EFBIG.
 */
int tcpdrop_rule_print(struct tcpdrop_rule *rule, struct tcpdrop_text *text)
{
	unsigned int attr;
	int ret = 0;

	*text = (struct tcpdrop_text){};
	for (attr = 0; attr < RULE_NR_ATTRS && !ret; attr++)
		ret = attr < RULE_NR_LISTS ? print_list(rule, attr, text) :
					     print_option(rule, attr, text);
	return ret;
}

/**
 * tcpdrop_rule_init() - make a rule with nothing set
 * @rule: the rule, whatever it held
 */
void tcpdrop_rule_init(struct tcpdrop_rule *rule)
{
	*rule = (struct tcpdrop_rule){ .states = CONN_STATES_ALL };
}

/**
 * tcpdrop_rule_destroy() - give back what a rule has allocated
 * @rule: the rule, to be initialised before it is used again
 */
void tcpdrop_rule_destroy(struct tcpdrop_rule *rule)
{
	unsigned int i;

	for (i = 0; i < RULE_NR_LISTS; i++)
		selector_free(&rule->sel[i]);
	kvfree(rule->cgroup_path);
}

static int copy_cgroup_path(struct tcpdrop_rule *dst, const struct tcpdrop_rule *src)
{
	size_t size;

	if (!src->cgroup_path)
		return 0;
	size = strnlen(src->cgroup_path, LINE_LIMIT) + 1;
	dst->cgroup_path = kvmalloc_array(size, 1, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!dst->cgroup_path)
		return -ENOMEM;
	memcpy(dst->cgroup_path, src->cgroup_path, size);
	return 0;
}

/* How many of some ranges in order come before those of the spaces above one. */
static size_t nr_up_to(const struct tcpdrop_ranges *set, u32 space)
{
	size_t low = 0, high = set->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (set->v[mid].first.space <= space)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What the keys of the lowest space are within that a list may match, which is sorted. */
static struct tcpdrop_span span_of(const struct tcpdrop_selector *sel, u32 space)
{
	const struct tcpdrop_key_range *v = sel->yes.v;
	size_t nr;

	if (!sel->yes.nr)
		return (struct tcpdrop_span){ .last = U32_MAX };
	nr = nr_up_to(&sel->yes, space);
	if (!nr)
		return (struct tcpdrop_span){ .first = U32_MAX };
	return (struct tcpdrop_span){ v->first.lo, v[nr - 1].last.lo };
}

/* Is a list no more than its span? */
static bool is_span(const struct tcpdrop_selector *sel, u32 space)
{
	if (sel->no.nr || sel->yes.nr > 1)
		return false;
	return !sel->yes.nr || sel->yes.v->first.space == space;
}

static void set_bounds(struct tcpdrop_rule *rule)
{
	rule->bounds = (struct tcpdrop_bounds){
		.sport = span_of(&rule->sel[RULE_SPORT], 0),
		.dport = span_of(&rule->sel[RULE_DPORT], 0),
		.port = span_of(&rule->sel[RULE_PORT], 0),
		.saddr = span_of(&rule->sel[RULE_SADDR], CONN_IPV4),
		.daddr = span_of(&rule->sel[RULE_DADDR], CONN_IPV4),
		.tight = is_span(&rule->sel[RULE_SPORT], 0) &&
			 is_span(&rule->sel[RULE_DPORT], 0) &&
			 is_span(&rule->sel[RULE_PORT], 0) &&
			 is_span(&rule->sel[RULE_SADDR], CONN_IPV4) &&
			 is_span(&rule->sel[RULE_DADDR], CONN_IPV4),
	};
}

/**
 * tcpdrop_rule_copy() - take a snapshot of a rule, ready to match
 * @dst: whatever it held; to be freed by tcpdrop_rule_destroy() if this succeeds
 * @src: the rule; its lists are sorted by that, and shared by @dst until they change
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int tcpdrop_rule_copy(struct tcpdrop_rule *dst, struct tcpdrop_rule *src)
{
	unsigned int i;
	int ret;

	tcpdrop_rule_init(dst);
	dst->states = src->states;
	dst->options = src->options;
	ret = copy_cgroup_path(dst, src);
	if (ret)
		return ret;

	for (i = 0; i < RULE_NR_LISTS; i++) {
		if (i < RULE_NR_SELECTORS && i != RULE_STATE && selector_is_set(&src->sel[i]))
			dst->asks |= BIT(i);
		tcpdrop_ranges_index(&src->sel[i].yes);
		tcpdrop_ranges_copy(&dst->sel[i].yes, &src->sel[i].yes);
		tcpdrop_ranges_copy(&dst->sel[i].no, &src->sel[i].no);
	}
	set_bounds(dst);
	return 0;
}

/**
 * tcpdrop_rule_selects() - does a rule say which sockets it means?
 * @rule: the rule
 *
 * Return: false if it would match everything for want of a selector.
 */
bool tcpdrop_rule_selects(const struct tcpdrop_rule *rule)
{
	unsigned int i;

	for (i = 0; i < RULE_NR_SELECTORS; i++)
		if (selector_is_set(&rule->sel[i]))
			return true;
	return false;
}

/* Values with masks are few, and not in an order that would help. */
static bool has_masked(const struct tcpdrop_ranges *set, u64 value)
{
	size_t i;

	for (i = 0; i < set->nr; i++)
		if ((value & set->v[i].first.space) == set->v[i].first.lo)
			return true;
	return false;
}

/**
 * tcpdrop_rule_netns() - which network namespaces is a rule about?
 * @rule: the rule
 *
 * Return: which.
 */
enum tcpdrop_rule_netns tcpdrop_rule_netns(const struct tcpdrop_rule *rule)
{
	const struct tcpdrop_ranges *set = &rule->sel[RULE_NETNS].yes;

	if (!set->nr)
		return NETNS_SELF;
	return set->v[0].first.space == NETNS_WORDS ? set->v[0].first.lo : NETNS_LISTED;
}

/**
 * tcpdrop_rule_lists_netns() - does a rule list a network namespace?
 * @rule: a rule made by tcpdrop_rule_copy()
 * @inode: the inode number of the namespace
 *
 * Context: any.
 * Return: true if it does.
 */
bool tcpdrop_rule_lists_netns(const struct tcpdrop_rule *rule, unsigned int inode)
{
	return tcpdrop_ranges_contain(&rule->sel[RULE_NETNS].yes,
				      &(struct tcpdrop_range_key){ .lo = inode });
}

/**
 * tcpdrop_selector_match() - do a socket's keys match a list?
 * @sel: the list, of a rule made by tcpdrop_rule_copy()
 * @keys: the keys
 * @nr: how many there are
 *
 * Any of them makes a positive item match; an excluded one must be none of
 * them.
 *
 * Context: any.
 * Return: true if they do; without a key they never do.
 */
bool tcpdrop_selector_match(const struct tcpdrop_selector *sel,
			    const struct tcpdrop_range_key *keys, unsigned int nr)
{
	bool match = !sel->yes.nr;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (tcpdrop_ranges_contain(&sel->no, &keys[i]))
			return false;
		match = match || tcpdrop_ranges_contain(&sel->yes, &keys[i]);
	}
	return match && nr;
}

/**
 * tcpdrop_selector_match_masked() - the same for a list of values that have masks
 * @sel: the list, whose keys are in the space of their masks
 * @keys: the keys
 * @nr: how many there are
 *
 * Context: any.
 * Return: true if they do; without a key they never do.
 */
bool tcpdrop_selector_match_masked(const struct tcpdrop_selector *sel,
				   const struct tcpdrop_range_key *keys, unsigned int nr)
{
	if (!nr || has_masked(&sel->no, keys[0].lo))
		return false;
	return !sel->yes.nr || has_masked(&sel->yes, keys[0].lo);
}

/* A single range is the bounds. */
static bool may_have_ipv4(const struct tcpdrop_selector *sel, u32 addr)
{
	const struct tcpdrop_range_key key = { .space = CONN_IPV4, .lo = addr };

	return sel->yes.nr <= 1 || tcpdrop_ranges_find(&sel->yes, &key);
}

/**
 * tcpdrop_rule_may_have_ipv4() - are two addresses in the lists of a rule?
 * @rule: a rule made by tcpdrop_rule_copy()
 * @saddr: the local address, host byte order, within the bounds of @rule
 * @daddr: the remote one, likewise
 *
 * Few connections are, of those within the bounds of a long list.
 *
 * Context: any.
 * Return: false if no socket with them matches.
 */
bool tcpdrop_rule_may_have_ipv4(const struct tcpdrop_rule *rule, u32 saddr, u32 daddr)
{
	return may_have_ipv4(&rule->sel[RULE_SADDR], saddr) &&
	       may_have_ipv4(&rule->sel[RULE_DADDR], daddr);
}

static bool only_key(const struct tcpdrop_selector *sel, struct tcpdrop_range_key *key)
{
	if (sel->yes.nr != 1 || !tcpdrop_range_is_single(&sel->yes.v[0]))
		return false;
	*key = sel->yes.v[0].first;
	return true;
}

/**
 * tcpdrop_rule_exact() - does a rule name both ends of a single connection?
 * @rule: a rule made by tcpdrop_rule_copy()
 * @ends: filled with the addresses and ports if so
 *
 * Return: true if no other pair of ends can match.
 */
bool tcpdrop_rule_exact(const struct tcpdrop_rule *rule, struct tcpdrop_conn *ends)
{
	struct tcpdrop_range_key sport, dport;

	if (!only_key(&rule->sel[RULE_SADDR], &ends->saddr) ||
	    !only_key(&rule->sel[RULE_DADDR], &ends->daddr) ||
	    !only_key(&rule->sel[RULE_SPORT], &sport) ||
	    !only_key(&rule->sel[RULE_DPORT], &dport))
		return false;

	ends->sport = sport.lo;
	ends->dport = dport.lo;
	return ends->saddr.space == ends->daddr.space;
}
