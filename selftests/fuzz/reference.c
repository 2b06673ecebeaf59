// SPDX-License-Identifier: GPL-2.0
/*
 * What rules mean, read a second time.  Lists are kept as they are written and
 * looked through from the first item to the last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* The longest item, as the module has it. */
#define LONGEST 111

/* By bit. */
static const char *const states[10] = {
	"SYN_SENT", "SYN_RCVD", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK",
	"FIN_WAIT_2", "TIME_WAIT", "LISTEN",
};

#define NINE 0x1ff

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	unsigned int states;
} more_states[] = {
	{ "SYN_RECV", 1 << 1 }, { "ESTAB", 1 << 2 }, { "FIN_WAIT1", 1 << 4 },
	{ "FIN_WAIT2", 1 << 7 }, { "ALL", NINE }, { "CONNECTED", NINE },
	{ "SYNCHRONIZED", NINE & ~1 }, { "BUCKET", 1 << 1 | 1 << 8 },
	{ "BIG", NINE & ~(1 << 1 | 1 << 8) },
};

static const struct {
	const char *name;
	enum ref_kind kind;
} attrs[REF_NR] = {
	[REF_SADDR] = { "saddr", REF_ADDR }, [REF_DADDR] = { "daddr", REF_ADDR },
	[REF_SPORT] = { "sport", REF_PORT }, [REF_DPORT] = { "dport", REF_PORT },
	[REF_EITHER_PORT] = { "port", REF_PORT }, [REF_STATES] = { "state", REF_STATE },
	[REF_CONGESTION] = { "congestion", REF_NAME }, [REF_ULP] = { "ulp", REF_NAME },
	[REF_DEV] = { "dev", REF_NAME }, [REF_MARKS] = { "mark", REF_MARK },
	[REF_UIDS] = { "uid", REF_UID }, [REF_IDLE] = { "idle", REF_DURATION },
	[REF_RETRANS] = { "retrans", REF_LEAST }, [REF_SENDQ] = { "sendq", REF_LEAST },
	[REF_RECVQ] = { "recvq", REF_LEAST }, [REF_ORPHAN] = { "orphan", REF_YESNO },
};

const char *ref_name(enum ref_attr attr)
{
	return attrs[attr].name;
}

enum ref_kind ref_kind(enum ref_attr attr)
{
	return attrs[attr].kind;
}

bool ref_is_ipv4(ref_number addr)
{
	return addr >> 32 == 0xffff;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool equals(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(text, word, len);
}

/* Nothing but digits, however many. */
static bool parse_number(const char *text, size_t len, unsigned int base, ref_number most,
			 ref_number *number)
{
	size_t i;

	*number = 0;
	for (i = 0; i < len; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0 || digit >= (int)base)
			return false;
		*number = *number * base + digit;
		if (*number > most)
			return false;
	}
	return len > 0;
}

static const char *find(const char *text, size_t len, char c)
{
	return memchr(text, c, len);
}

/* Four numbers, written the shortest way. */
static bool parse_ipv4(const char *text, size_t len, ref_number *addr)
{
	const char *end = text + len;
	ref_number byte, all = 0;
	int i;

	for (i = 0; i < 4; i++) {
		const char *dot = i < 3 ? find(text, end - text, '.') : end;

		if (!dot || !parse_number(text, dot - text, 10, 255, &byte))
			return false;
		if (*text == '0' && dot - text > 1)
			return false;
		all = all << 8 | byte;
		text = dot + 1;
	}
	*addr = all;
	return true;
}

/* Groups with colons between them, the last of which may be an IPv4 address. Returns how many. */
static int parse_groups(const char *text, size_t len, bool last, ref_number *groups)
{
	const char *end = text + len, *colon;
	ref_number group;
	int nr = 0;

	*groups = 0;
	if (!len)
		return 0;
	for (;;) {
		colon = find(text, end - text, ':');
		if (!colon && last && find(text, end - text, '.')) {
			if (!parse_ipv4(text, end - text, &group))
				return -1;
			*groups = *groups << 32 | group;
			return nr + 2;
		}
		if ((colon ? colon : end) - text > 4 ||
		    !parse_number(text, (colon ? colon : end) - text, 16, 0xffff, &group) ||
		    ++nr > 8)
			return -1;
		*groups = *groups << 16 | group;
		if (!colon)
			return nr;
		text = colon + 1;
	}
}

static bool parse_ipv6(const char *text, size_t len, ref_number *addr)
{
	ref_number left, right;
	int before, after;
	size_t i;

	for (i = 0; i + 1 < len; i++)
		if (text[i] == ':' && text[i + 1] == ':')
			break;
	if (i + 1 >= len)
		return parse_groups(text, len, true, addr) == 8;

	before = parse_groups(text, i, false, &left);
	after = parse_groups(text + i + 2, len - i - 2, true, &right);
	if (before < 0 || after < 0 || before + after > 7)
		return false;
	*addr = (before ? left << (128 - 16 * before) : 0) | right;
	return true;
}

/* Only an address of IPv6 may have brackets; @ipv4 is how it is written, not what it is. */
bool ref_parse_addr(const char *text, size_t len, ref_number *addr, bool *ipv4)
{
	*ipv4 = !find(text, len, ':');
	if (*ipv4) {
		if (!parse_ipv4(text, len, addr))
			return false;
		*addr |= (ref_number)0xffff << 32;
		return true;
	}
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
		return parse_ipv6(text + 1, len - 2, addr);
	return parse_ipv6(text, len, addr);
}

static bool parse_prefix(const char *addr, size_t len, const char *prefix, size_t prefix_len,
			 struct ref_item *item)
{
	ref_number bits, host;
	bool ipv4;

	if (!ref_parse_addr(addr, len, &item->lo, &ipv4) ||
	    !parse_number(prefix, prefix_len, 10, ipv4 ? 32 : 128, &bits))
		return false;
	if (ipv4)
		bits += 96;
	item->ipv4 = ref_is_ipv4(item->lo) && bits >= 96;
	host = bits ? ((ref_number)1 << (128 - bits)) - 1 : ~(ref_number)0;
	item->lo &= ~host;
	item->hi = item->lo | host;
	return true;
}

static bool parse_addr_range(const char *first, size_t first_len, const char *last,
			     size_t last_len, struct ref_item *item)
{
	bool first_ipv4, last_ipv4;

	if (!ref_parse_addr(first, first_len, &item->lo, &first_ipv4) ||
	    !ref_parse_addr(last, last_len, &item->hi, &last_ipv4))
		return false;
	item->ipv4 = ref_is_ipv4(item->lo) && ref_is_ipv4(item->hi);
	if (!item->ipv4 && (first_ipv4 || last_ipv4))
		return false;
	return item->lo <= item->hi;
}

static bool parse_addr_item(const char *text, size_t len, struct ref_item *item)
{
	bool ipv4;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '/')
			return parse_prefix(text, i, text + i + 1, len - i - 1, item);
		if (text[i] == '-')
			return parse_addr_range(text, i, text + i + 1, len - i - 1, item);
	}
	if (!ref_parse_addr(text, len, &item->lo, &ipv4))
		return false;
	item->hi = item->lo;
	item->ipv4 = ref_is_ipv4(item->lo);
	return true;
}

static bool parse_range(const char *text, size_t len, ref_number least, ref_number most,
			struct ref_item *item)
{
	const char *dash = find(text, len, '-');
	size_t first = dash ? (size_t)(dash - text) : len;

	if (!parse_number(text, first, 10, most, &item->lo))
		return false;
	item->hi = item->lo;
	if (dash && !parse_number(dash + 1, len - first - 1, 10, most, &item->hi))
		return false;
	return item->lo >= least && item->lo <= item->hi;
}

static bool is_state(const char *text, size_t len, const char *name)
{
	size_t i;

	for (i = 0; i < len && name[i]; i++) {
		char c = text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i];

		if ((c == '-' ? '_' : c) != name[i])
			return false;
	}
	return i == len && !name[i];
}

static bool parse_state(const char *text, size_t len, struct ref_item *item)
{
	size_t i;

	item->lo = 0;
	for (i = 0; i < 10; i++)
		if (is_state(text, len, states[i]))
			item->lo |= 1 << i;
	for (i = 0; i < ARRAY_SIZE(more_states); i++)
		if (is_state(text, len, more_states[i].name))
			item->lo |= more_states[i].states;
	return item->lo;
}

/* As long as names can be, and to be told from what has a meaning in a list. */
static bool parse_name(const char *text, size_t len, struct ref_item *item)
{
	size_t i;

	if (len > 15 || *text == '!' || *text == '+' || equals(text, len, "any") ||
	    equals(text, len, "..."))
		return false;
	for (i = 0; i < len; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	memset(item->name, 0, sizeof(item->name));
	memcpy(item->name, text, len);
	return true;
}

static bool parse_mark_number(const char *text, size_t len, ref_number *number)
{
	if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return parse_number(text + 2, len - 2, 16, 0xffffffff, number);
	return parse_number(text, len, 10, 0xffffffff, number);
}

static bool parse_mark(const char *text, size_t len, struct ref_item *item)
{
	const char *slash = find(text, len, '/');

	item->hi = 0xffffffff;
	if (slash && !parse_mark_number(slash + 1, text + len - slash - 1, &item->hi))
		return false;
	return parse_mark_number(text, slash ? (size_t)(slash - text) : len, &item->lo);
}

/* Milliseconds; up to 23 digits are enough for each of them. */
static bool parse_duration(const char *text, size_t len, struct ref_item *item)
{
	static const struct {
		const char *name;
		unsigned int ms;
	} units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
		{ "d", 86400000 },
	};
	const ref_number most = ~0ULL;
	size_t digits = 0, i;

	while (digits < len && is_digit(text[digits]))
		digits++;
	if (digits > 23)
		return false;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (!equals(text + digits, len - digits, units[i].name))
			continue;
		if (!parse_number(text, digits, 10, most, &item->lo))
			return false;
		item->lo *= units[i].ms;
		return item->lo <= most;
	}
	return false;
}

static bool parse_item(enum ref_kind kind, const char *text, size_t len, struct ref_item *item)
{
	if (!len || len > LONGEST)
		return false;
	switch (kind) {
	case REF_ADDR:
		return parse_addr_item(text, len, item);
	case REF_PORT:
		return parse_range(text, len, 1, 65535, item);
	case REF_STATE:
		return parse_state(text, len, item);
	case REF_NAME:
		return parse_name(text, len, item);
	case REF_MARK:
		return parse_mark(text, len, item);
	case REF_UID:
		return parse_range(text, len, 0, 0xfffffffe, item);
	case REF_DURATION:
		return parse_duration(text, len, item);
	case REF_LEAST:
		return parse_number(text, len, 10, ~0ULL, &item->lo);
	case REF_YESNO:
		item->lo = equals(text, len, "yes");
		return item->lo || equals(text, len, "no");
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *len)
{
	while (*len && is_blank(**text)) {
		++*text;
		--*len;
	}
	while (*len && is_blank((*text)[*len - 1]))
		--*len;
}

static void add_item(struct ref_list *list, const struct ref_item *item)
{
	list->items = realloc(list->items, (list->nr + 1) * sizeof(*item));
	if (!list->items)
		abort();
	list->items[list->nr++] = *item;
}

/* Commas with blanks around them, or blanks alone, are between two items. */
static bool parse_list(enum ref_kind kind, const char *text, size_t len, struct ref_list *list)
{
	struct ref_item item = {};
	size_t end, i = 0;

	for (;;) {
		while (i < len && is_blank(text[i]))
			i++;
		for (end = i; end < len && !is_blank(text[end]) && text[end] != ','; end++)
			;
		item.excluded = end > i && text[i] == '!';
		i += item.excluded;
		if (!parse_item(kind, text + i, end - i, &item))
			return false;
		add_item(list, &item);
		i = end;
		while (i < len && is_blank(text[i]))
			i++;
		if (i == len)
			return true;
		i += text[i] == ',';
	}
}

static bool parse_value(enum ref_kind kind, const char *text, size_t len, struct ref_list *list)
{
	struct ref_item item = {};

	if (!parse_item(kind, text, len, &item))
		return false;
	add_item(list, &item);
	return true;
}

/* Is it taken? */
bool ref_write(struct ref_rule *rule, enum ref_attr attr, const char *text, size_t len)
{
	struct ref_list *list = &rule->lists[attr], new = {};
	enum ref_kind kind = attrs[attr].kind;
	bool adds = kind < REF_DURATION && len && *text == '+';
	bool taken = true;
	size_t i;

	if (find(text, len, '\0'))
		return false;
	text += adds;
	len -= adds;
	trim(&text, &len);
	if (adds || (len && !equals(text, len, "any")))
		taken = kind < REF_DURATION ? parse_list(kind, text, len, &new) :
					      parse_value(kind, text, len, &new);
	if (taken && adds) {
		for (i = 0; i < new.nr; i++)
			add_item(list, &new.items[i]);
	} else if (taken) {
		free(list->items);
		*list = new;
		return true;
	}
	free(new.items);
	return taken;
}

static bool addr_matches(const struct ref_item *item, ref_number addr)
{
	return item->ipv4 == ref_is_ipv4(addr) && addr >= item->lo && addr <= item->hi;
}

static bool in_range(const struct ref_item *item, unsigned long long number)
{
	return number >= item->lo && number <= item->hi;
}

static bool item_matches(enum ref_attr attr, const struct ref_item *item,
			 const struct ref_sock *sk)
{
	switch (attr) {
	case REF_SADDR:
		return addr_matches(item, sk->saddr);
	case REF_DADDR:
		return addr_matches(item, sk->daddr);
	case REF_SPORT:
		return in_range(item, sk->sport);
	case REF_DPORT:
		return in_range(item, sk->dport);
	case REF_EITHER_PORT:
		return in_range(item, sk->sport) || in_range(item, sk->dport);
	case REF_STATES:
		return item->lo >> sk->state & 1;
	case REF_CONGESTION:
	case REF_ULP:
	case REF_DEV:
		return !strcmp(item->name, sk->names[attr]);
	case REF_MARKS:
		return !((sk->numbers[attr] ^ item->lo) & item->hi);
	case REF_UIDS:
		return in_range(item, sk->numbers[attr]);
	case REF_ORPHAN:
		return sk->numbers[attr] == item->lo;
	default:
		return sk->numbers[attr] >= item->lo;
	}
}

/* Any item that is no exclusion, or there is none, and none that is. */
static bool list_matches(enum ref_attr attr, const struct ref_list *list,
			 const struct ref_sock *sk)
{
	bool wanted = false, wants = false;
	size_t i;

	for (i = 0; i < list->nr; i++) {
		bool matches = item_matches(attr, &list->items[i], sk);

		if (list->items[i].excluded && matches)
			return false;
		wants |= !list->items[i].excluded;
		wanted |= !list->items[i].excluded && matches;
	}
	/* A listener is meant only where it is named. */
	if (attr == REF_STATES && !wants)
		return NINE >> sk->state & 1;
	return wanted || !wants;
}

bool ref_match(const struct ref_rule *rule, const struct ref_sock *sk)
{
	unsigned int attr;

	for (attr = 0; attr < REF_NR; attr++) {
		if (rule->lists[attr].nr && sk->lacks >> attr & 1)
			return false;
		if (!list_matches(attr, &rule->lists[attr], sk))
			return false;
	}
	return true;
}

void ref_free(struct ref_rule *rule)
{
	unsigned int attr;

	for (attr = 0; attr < REF_NR; attr++)
		free(rule->lists[attr].items);
	memset(rule, 0, sizeof(*rule));
}
