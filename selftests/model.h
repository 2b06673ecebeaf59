/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule model as a part of a program, which includes this once: what the
 * kernel compiles, with stand-ins for the sockets and cgroups that it asks for.
 */
#ifndef TCPDROP_MODEL_H
#define TCPDROP_MODEL_H

#include "shim.h"

#include "../module/conn.c"
#include "../module/ranges.c"
#include "../module/rule.c"
#include "../module/text.c"

long shim_allocations = -1;
long shim_allocated;

/* What a socket has of one attribute; a minisock has neither a name nor a number. */
struct fact {
	bool none;
	const char *name;
	u64 number;
};

/* What the readers below say: the same of all attributes unless @facts has them one by one. */
struct sock {
	const struct tcpdrop_conn *conn;
	const char *name;
	u64 number;
	bool minisock;
	const struct fact *facts;
};

static inline struct fact fact_of(const struct sock *sk, enum tcpdrop_rule_attr attr)
{
	return sk->facts ? sk->facts[attr] :
			   (struct fact){ sk->minisock, sk->name, sk->number };
}

static inline unsigned int name_of(const struct sock *sk, enum tcpdrop_rule_attr attr,
				   struct tcpdrop_range_key *keys)
{
	struct fact fact = fact_of(sk, attr);

	if (fact.none)
		return 0;
	keys[0] = tcpdrop_name_key(fact.name ? fact.name : "");
	return 1;
}

static inline unsigned int number_of(const struct sock *sk, enum tcpdrop_rule_attr attr,
				     struct tcpdrop_range_key *keys)
{
	struct fact fact = fact_of(sk, attr);

	if (fact.none)
		return 0;
	keys[0] = (struct tcpdrop_range_key){ .lo = fact.number };
	return 1;
}

static inline unsigned int read_saddr(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = sk->conn->saddr;
	return 1;
}

static inline unsigned int read_daddr(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = sk->conn->daddr;
	return 1;
}

static inline unsigned int read_sport(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = (struct tcpdrop_range_key){ .lo = sk->conn->sport };
	return 1;
}

static inline unsigned int read_dport(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = (struct tcpdrop_range_key){ .lo = sk->conn->dport };
	return 1;
}

static inline unsigned int read_port(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	return read_sport(sk, keys) + read_dport(sk, keys + 1);
}

/* Matched by the rule's states, and never asked for. */
static inline unsigned int read_state(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	abort();
}

/* Found by the rule itself, and never asked for. */
static inline unsigned int read_cgroup(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	abort();
}

#define READER(NAME, name, of)								\
static inline unsigned int read_##name(const struct sock *sk, struct tcpdrop_range_key *keys)	\
{											\
	return of(sk, RULE_##NAME, keys);						\
}

READER(CONGESTION, congestion, name_of)
READER(ULP, ulp, name_of)
READER(DEV, dev, name_of)
READER(MARK, mark, number_of)
READER(UID, uid, number_of)
READER(IDLE, idle, number_of)
READER(RETRANS, retrans, number_of)
READER(SENDQ, sendq, number_of)
READER(RECVQ, recvq, number_of)
READER(ORPHAN, orphan, number_of)
READER(PID, pid, number_of)

/* As tcpdrop_sock_may_match() does of a socket, whose family is the space of its addresses here. */
static inline bool is_within_bounds(const struct tcpdrop_rule *rule,
				    const struct tcpdrop_conn *conn)
{
	if (!(rule->states & BIT(conn->state)) ||
	    !tcpdrop_bounds_have_ports(&rule->bounds, conn->sport, conn->dport))
		return false;
	return conn->saddr.space != CONN_IPV4 ||
	       tcpdrop_bounds_have_ipv4(&rule->bounds, conn->saddr.lo, conn->daddr.lo);
}

/* Does a rule made by tcpdrop_rule_copy() match it?  What its bounds say must not be otherwise. */
static inline bool match_sock(const struct tcpdrop_rule *rule, const struct sock *sk)
{
	static const tcpdrop_reader_t readers[] = {
#define SELECTOR(NAME, name, ...) \
		[RULE_##NAME] = read_##name,
#define OPTION(...)
#include "../module/attrs.h"
	};

	bool tight = rule->bounds.tight && sk->conn->saddr.space == CONN_IPV4;
	bool match = tcpdrop_rule_match(rule, 0, sk->conn->state, sk, readers);
	bool within = is_within_bounds(rule, sk->conn);

	if (match && !within)
		abort();
	if (tight && within &&
	    match != tcpdrop_rule_match(rule, RULE_OF_ENDS, sk->conn->state, sk, readers))
		abort();
	return match;
}

/* The cgroups that there are: as many as have been got, and not put. */
static long cgroups_held;

struct cgroup *tcpdrop_cgroup_get(const char *path)
{
	static const char *const exist[] = { "/", "/some", "/some/where", "/a, b" };
	size_t i;

	if (!strcmp(path, "/nowhere"))
		return ERR_PTR(-EOPNOTSUPP);
	for (i = 0; i < ARRAY_SIZE(exist); i++) {
		if (!strcmp(path, exist[i])) {
			cgroups_held++;
			return (struct cgroup *)exist[i];
		}
	}
	return ERR_PTR(-ENOENT);
}

void tcpdrop_cgroup_put(struct cgroup *cgroup)
{
	cgroups_held--;
}

/* RULE_NR_ATTRS if there is none of that name. */
static inline enum tcpdrop_rule_attr attr_by_name(const char *name)
{
	unsigned int attr;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++)
		if (!strcmp(name, tcpdrop_rule_attr_name(attr)))
			break;
	return attr;
}

static inline int store(struct tcpdrop_rule *rule, const char *attr, const char *text,
			struct tcpdrop_rule_error *error)
{
	return tcpdrop_rule_store(rule, attr_by_name(attr), text, strlen(text), error);
}

static inline const char *show(struct tcpdrop_rule *rule, const char *attr, char text[4096])
{
	int len = tcpdrop_rule_show(rule, attr_by_name(attr), text, 4096);

	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}

/* The whole rule, as a string, to be freed; NULL if there is no memory. */
static inline char *print_whole(struct tcpdrop_rule *rule)
{
	struct tcpdrop_text text;
	char *whole = NULL;

	if (!tcpdrop_rule_print(rule, &text))
		whole = strndup(text.buf ? text.buf : "", text.len);
	kvfree(text.buf);
	return whole;
}

/* Makes a rule of the lines that another printed; a name again adds to its list. */
static inline int store_lines(struct tcpdrop_rule *rule, char *lines,
			      struct tcpdrop_rule_error *error)
{
	char *line, *save, *value, item[4096];
	const char *before = "";
	int ret = 0;

	tcpdrop_rule_init(rule);
	line = strtok_r(lines, "\n", &save);
	for (; line && !ret; line = strtok_r(NULL, "\n", &save)) {
		value = strstr(line, " = ");
		if (!value)
			return -EINVAL;
		*value = '\0';
		snprintf(item, sizeof(item), "%s%s", strcmp(before, line) ? "" : "+", value + 3);
		ret = store(rule, line, item, error);
		before = line;
	}
	return ret;
}

#endif /* TCPDROP_MODEL_H */
