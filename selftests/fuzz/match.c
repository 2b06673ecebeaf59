// SPDX-License-Identifier: GPL-2.0
/*
 * A rule of several writes, and sockets near the bounds of what it names: does
 * it match those that a second reading of the same writes matches?
 *
 * Lines "attribute=what is written", up to an empty one; what follows chooses
 * the sockets.
 */
#include "fuzz.h"
#include "reference.h"

#define SOCKETS 16

/* The selectors cgroup and pid: what they match is found out when a rule is committed. */
#define NOT_COMPARED 2

static const unsigned int tcp_states[] = {
	TCP_SYN_SENT, TCP_SYN_RECV, TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_FIN_WAIT1, TCP_CLOSING,
	TCP_LAST_ACK, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_LISTEN,
};

/* By attribute of the reference, that of the module. */
static enum tcpdrop_rule_attr module_attrs[REF_NR];

/* A new selector has to be in the reference as well. */
int fuzz_init(int *argc, char ***argv)
{
	unsigned int attr;

	for (attr = 0; attr < REF_NR; attr++) {
		module_attrs[attr] = attr_by_name(ref_name(attr));
		claim(module_attrs[attr] < RULE_NR_SELECTORS, "%s", ref_name(attr));
	}
	claim(REF_NR + NOT_COMPARED == RULE_NR_SELECTORS,
	      "not all selectors are in reference.c");
	return 0;
}

/* What chooses: bytes of the input, and when these are used up numbers made of it. */
struct chooser {
	struct piece rest;
	u64 seed;
};

static u64 choose_number(struct chooser *c)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	c->seed ^= c->seed << 17;
	return c->seed;
}

static unsigned int choose(struct chooser *c, unsigned int of)
{
	if (!c->rest.len)
		return (choose_number(c) >> 32) % of;
	c->rest.len--;
	return (unsigned char)*c->rest.text++ % of;
}

static void chooser_init(struct chooser *c, struct piece rest, struct piece all)
{
	size_t i;

	c->rest = rest;
	c->seed = 0xcbf29ce484222325;
	for (i = 0; i < all.len; i++)
		c->seed = (c->seed ^ (unsigned char)all.text[i]) * 0x100000001b3;
	c->seed |= 1;
}

/* An item of a list, NULL if it has none or the sockets are not to be near it. */
static const struct ref_item *choose_item(struct chooser *c, const struct ref_list *list)
{
	return list->nr && choose(c, 8) ? &list->items[choose(c, list->nr)] : NULL;
}

/* A bound of an item, or what is just beyond. */
static ref_number choose_bound(struct chooser *c, const struct ref_item *item)
{
	switch (choose(c, 4)) {
	case 0:
		return item->lo;
	case 1:
		return item->hi;
	case 2:
		return item->lo - 1;
	default:
		return item->hi + 1;
	}
}

static ref_number choose_addr(struct chooser *c, const struct ref_list *list, bool ipv4)
{
	const struct ref_item *item = choose_item(c, list);
	ref_number addr;

	if (item)
		addr = choose_bound(c, item);
	else
		addr = (ref_number)choose_number(c) << 64 | choose_number(c);
	if (ipv4)
		return (u32)addr | (ref_number)0xffff << 32;
	/* Not to be one of IPv4, which a socket of IPv6 does not have at one end alone. */
	return ref_is_ipv4(addr) ? addr ^ (ref_number)1 << (32 + choose(c, 96)) : addr;
}

static unsigned int choose_port(struct chooser *c, const struct ref_list *list)
{
	const struct ref_item *item = choose_item(c, list);
	unsigned int port = item ? choose_bound(c, item) : choose_number(c);

	port &= 0xffff;
	return port ? port : 1;
}

static u64 choose_value(struct chooser *c, const struct ref_list *list, enum ref_kind kind)
{
	const struct ref_item *item = choose_item(c, list);
	u64 number;

	if (kind == REF_YESNO)
		return choose(c, 2);
	if (kind == REF_MARK && item)
		number = (item->lo & item->hi) | (choose_number(c) & ~item->hi);
	else if (kind == REF_UID && item)
		number = choose_bound(c, item);
	else
		number = item ? item->lo - choose(c, 3) + 1 : choose_number(c);
	if (kind == REF_MARK && !choose(c, 3))
		number ^= 1ULL << choose(c, 32);
	return kind == REF_MARK || kind == REF_UID ? (u32)number : number;
}

/* Of an item, or one character from it, or that of a socket that has none. */
static const char *choose_name(struct chooser *c, const struct ref_list *list, char name[17])
{
	const struct ref_item *item = choose_item(c, list);
	size_t len;

	strcpy(name, item ? item->name : choose(c, 2) ? "cubic" : "");
	len = strlen(name);
	switch (choose(c, 8)) {
	case 0:
		name[len ? len - 1 : 0] = '\0';
		break;
	case 1:
		if (len < 15)
			strcpy(name + len, "x");
		break;
	case 2:
		if (len)
			name[0] ^= ' ';
		break;
	}
	return name;
}

/* A socket twice: as the reference has it, and as the module does. */
struct pair {
	struct ref_sock ref;
	struct tcpdrop_conn conn;
	struct fact facts[RULE_NR_SELECTORS];
	char names[REF_NR][17];
};

static void make_ref(struct chooser *c, const struct ref_rule *rule, struct pair *pair)
{
	struct ref_sock *sk = &pair->ref;
	bool ipv4 = choose(c, 2);
	unsigned int attr;

	sk->saddr = choose_addr(c, &rule->lists[REF_SADDR], ipv4);
	sk->daddr = choose_addr(c, &rule->lists[REF_DADDR], ipv4);
	sk->sport = choose_port(c, &rule->lists[choose(c, 2) ? REF_SPORT : REF_EITHER_PORT]);
	sk->dport = choose_port(c, &rule->lists[choose(c, 2) ? REF_DPORT : REF_EITHER_PORT]);
	sk->state = choose(c, ARRAY_SIZE(tcp_states));
	sk->lacks = 0;
	for (attr = REF_CONGESTION; attr < REF_NR; attr++) {
		const struct ref_list *list = &rule->lists[attr];

		if (!choose(c, 16))
			sk->lacks |= BIT(attr);
		if (ref_kind(attr) == REF_NAME)
			sk->names[attr] = choose_name(c, list, pair->names[attr]);
		else
			sk->numbers[attr] = choose_value(c, list, ref_kind(attr));
	}
}

static struct tcpdrop_range_key key_of(ref_number addr)
{
	struct in6_addr in6;
	size_t i;

	for (i = 0; i < 16; i++)
		in6.s6_addr[i] = addr >> (120 - 8 * i);
	return tcpdrop_conn_ipv6_key(&in6);
}

static void make_pair(struct chooser *c, const struct ref_rule *rule, struct pair *pair)
{
	const struct ref_sock *ref = &pair->ref;
	unsigned int attr;

	make_ref(c, rule, pair);
	pair->conn = (struct tcpdrop_conn){
		.saddr = key_of(ref->saddr), .daddr = key_of(ref->daddr),
		.sport = ref->sport, .dport = ref->dport, .state = tcp_states[ref->state],
	};
	for (attr = REF_CONGESTION; attr < REF_NR; attr++)
		pair->facts[module_attrs[attr]] = (struct fact){
			.none = ref->lacks >> attr & 1,
			.name = ref->names[attr],
			.number = ref->numbers[attr],
		};
}

/* Writes to both, which agree on whether they take it. */
static void write_both(struct tcpdrop_rule *rule, struct ref_rule *ref, enum ref_attr attr,
		       struct piece value)
{
	struct tcpdrop_rule_error error;
	char *before = NULL, *after;
	bool failed, taken;
	int ret;

	if (value.len && *value.text == '~')
		before = whole_of(rule);
	ret = write_attr(rule, module_attrs[attr], value, &error, &failed);
	take_allocations(&value);
	if (ret == -ENOMEM) {
		after = whole_of(rule);
		claim(!strcmp(before, after), "%s was %s", after, before);
		free(after);
	} else {
		taken = ref_write(ref, attr, value.text, value.len);
		claim(taken == !ret, "%s=%.*s: %s", ref_name(attr), (int)value.len, value.text,
		      ret ? error.text : "taken");
	}
	free(before);
}

static void write_all(struct tcpdrop_rule *rule, struct ref_rule *ref, struct piece *rest)
{
	struct piece line, name;
	unsigned int attr;

	while (rest->len) {
		line = next_piece(rest, '\n');
		if (!line.len)
			break;
		name = next_piece(&line, '=');
		for (attr = 0; attr < REF_NR; attr++)
			if (name.len == strlen(ref_name(attr)) &&
			    !memcmp(name.text, ref_name(attr), name.len))
				break;
		if (attr == REF_NR)
			attr = name.len ? (unsigned char)*name.text % REF_NR : 0;
		write_both(rule, ref, attr, line);
	}
}

/* A rule that names both ends of a connection matches no other. */
static void check_exact(const struct tcpdrop_rule *copy, const struct tcpdrop_conn *conn)
{
	struct tcpdrop_conn ends;

	if (tcpdrop_rule_exact(copy, &ends))
		claim(!tcpdrop_range_key_cmp(&ends.saddr, &conn->saddr) &&
		      !tcpdrop_range_key_cmp(&ends.daddr, &conn->daddr) &&
		      ends.sport == conn->sport && ends.dport == conn->dport,
		      "another connection matches");
}

/* What the walk asks first must not say no. */
static void check_ipv4(const struct tcpdrop_rule *copy, const struct tcpdrop_conn *conn)
{
	if (conn->saddr.space == CONN_IPV4)
		claim(tcpdrop_rule_may_have_ipv4(copy, conn->saddr.lo, conn->daddr.lo),
		      "a list lacks what it matches");
}

static void check_socket(struct tcpdrop_rule *copy, struct tcpdrop_rule *printed,
			 const struct ref_rule *ref, const struct pair *pair)
{
	struct sock sk = { .conn = &pair->conn, .facts = pair->facts };
	bool matches = match_sock(copy, &sk);
	char line[CONN_LINE_MAX];

	if (matches != ref_match(ref, &pair->ref)) {
		char *whole = whole_of(copy);

		tcpdrop_conn_print(line, &pair->conn);
		claim(0, "%s %s%s", matches ? "matches" : "does not match", line, whole);
	}
	claim(match_sock(printed, &sk) == matches, "a rule that shows the same differs");
	if (matches) {
		check_exact(copy, &pair->conn);
		check_ipv4(copy, &pair->conn);
	}
}

/* The rule that another prints, ready to match. */
static void copy_printed(struct tcpdrop_rule *dst, struct tcpdrop_rule *src)
{
	struct tcpdrop_rule_error error = {};
	char *lines = whole_of(src);
	struct tcpdrop_rule again;

	claim(!store_lines(&again, lines, &error), "%s", error.text);
	claim(!tcpdrop_rule_copy(dst, &again), "out of memory");
	tcpdrop_rule_destroy(&again);
	free(lines);
}

/* Without memory there is no copy, and nothing leaks. */
static void check_memory(struct tcpdrop_rule *rule, long allocations)
{
	struct tcpdrop_rule copy;
	int ret;

	shim_allocations = allocations;
	ret = tcpdrop_rule_copy(&copy, rule);
	claim(!ret || (ret == -ENOMEM && !shim_allocations), "%d", ret);
	shim_allocations = -1;
	if (!ret)
		tcpdrop_rule_destroy(&copy);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct piece all = { (const char *)data, size }, rest = all;
	struct tcpdrop_rule rule, copy, printed;
	struct ref_rule ref = {};
	struct chooser chooser;
	struct pair pair = {};
	unsigned int i;

	tcpdrop_rule_init(&rule);
	write_all(&rule, &ref, &rest);
	check_memory(&rule, size % 8);
	claim(!tcpdrop_rule_copy(&copy, &rule), "out of memory");
	copy_printed(&printed, &rule);

	chooser_init(&chooser, rest, all);
	for (i = 0; i < SOCKETS; i++) {
		make_pair(&chooser, &ref, &pair);
		check_socket(&copy, &printed, &ref, &pair);
	}
	tcpdrop_rule_destroy(&printed);
	tcpdrop_rule_destroy(&copy);
	tcpdrop_rule_destroy(&rule);
	ref_free(&ref);
	return 0;
}
