/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule: which connections it means and with what limits.  A model on
 * plain data that knows neither configfs nor sockets nor locks; it compiles
 * in user space too.  Whoever owns a rule serialises its use.
 */
#ifndef TCPDROP_RULE_H
#define TCPDROP_RULE_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>

#include "conn.h"
#include "ranges.h"

/* The attributes; those below RULE_NR_LISTS are lists. */
enum tcpdrop_rule_attr {
#define SELECTOR(NAME, ...) RULE_##NAME,
#define LIST(...)
#define OPTION(...)
#include "attrs.h"
	RULE_NR_SELECTORS,
	/* So that the others go on from there. */
	RULE_LAST_SELECTOR = RULE_NR_SELECTORS - 1,
#define SELECTOR(...)
#define LIST(NAME, ...) RULE_##NAME,
#define OPTION(...)
#include "attrs.h"
	RULE_NR_LISTS,
	RULE_LAST_LIST = RULE_NR_LISTS - 1,
#define SELECTOR(...)
#define LIST(...)
#define OPTION(NAME, ...) RULE_##NAME,
#include "attrs.h"
	RULE_NR_ATTRS,
};

/**
 * struct tcpdrop_selector - a list attribute
 * @yes: the positive items; none of them means everything
 * @no: the excluded ones
 */
struct tcpdrop_selector {
	struct tcpdrop_ranges yes;
	struct tcpdrop_ranges no;
};

/**
 * enum tcpdrop_rule_netns - the network namespaces that a rule is about
 * @NETNS_SELF: that of the process that commits or looks
 * @NETNS_ALL: all that there are then
 * @NETNS_LISTED: those whose inode numbers are listed
 */
enum tcpdrop_rule_netns {
	NETNS_SELF,
	NETNS_ALL,
	NETNS_LISTED,
};

/* The space of keys that stand for a struct socket; others are numbers of processes. */
#define RULE_SOCKET	1

struct cgroup;
struct sock;
struct tcpdrop_text;

/**
 * typedef tcpdrop_reader_t - what a socket has, by a selector
 * @sk: the socket, held still by the caller
 * @keys: filled
 *
 * Return: how many keys it has: one, or two if either will do; none if it is of
 * a kind that cannot have any, and then no list matches it.
 */
typedef unsigned int (*tcpdrop_reader_t)(const struct sock *sk,
					 struct tcpdrop_range_key keys[2]);

/**
 * struct tcpdrop_rule_options - what is no list; all zero is nothing set
 * @max: the most sockets that a commit may drop, 0 for no limit
 * @rate: the most sockets that it may drop a second, 0 for no limit
 * @silent: the peer gets no RST, nor anything else
 * @kernel: match the kernel's own sockets, and no others
 * @protect: drop nothing, and let nobody drop what matches
 */
struct tcpdrop_rule_options {
	u64 max;
	u64 rate;
	bool silent;
	bool kernel;
	bool protect;
};

/**
 * struct tcpdrop_span - numbers in a row
 * @first: the lowest
 * @last: the highest; none is in it if this is lower
 */
struct tcpdrop_span {
	u32 first;
	u32 last;
};

static inline bool tcpdrop_span_has(const struct tcpdrop_span *span, u32 number)
{
	return span->first <= number && number <= span->last;
}

/**
 * struct tcpdrop_bounds - what the ends of all sockets that match a rule are within
 * @sport: local ports
 * @dport: remote ports
 * @port: at least one port of each
 * @saddr: local addresses, host byte order, of those that have IPv4 addresses
 * @daddr: remote ones
 * @tight: of sockets that have such addresses, all inside match as far as their ends go
 *
 * What is outside does not match; of what is inside the lists have to tell, but for
 * @tight.
 */
struct tcpdrop_bounds {
	struct tcpdrop_span sport;
	struct tcpdrop_span dport;
	struct tcpdrop_span port;
	struct tcpdrop_span saddr;
	struct tcpdrop_span daddr;
	bool tight;
};

#define RULE_ANY_NUMBER	{ .first = 0, .last = U32_MAX }

/* Of a rule without lists. */
#define RULE_NO_BOUNDS	{ .sport = RULE_ANY_NUMBER, .dport = RULE_ANY_NUMBER,	\
			  .port = RULE_ANY_NUMBER,				\
			  .saddr = RULE_ANY_NUMBER, .daddr = RULE_ANY_NUMBER,	\
			  .tight = true }

static inline bool tcpdrop_bounds_have_ports(const struct tcpdrop_bounds *bounds, u16 sport,
					     u16 dport)
{
	return tcpdrop_span_has(&bounds->dport, dport) &&
	       tcpdrop_span_has(&bounds->sport, sport) &&
	       (tcpdrop_span_has(&bounds->port, dport) ||
		tcpdrop_span_has(&bounds->port, sport));
}

static inline bool tcpdrop_bounds_have_ipv4(const struct tcpdrop_bounds *bounds, u32 saddr,
					    u32 daddr)
{
	return tcpdrop_span_has(&bounds->saddr, saddr) &&
	       tcpdrop_span_has(&bounds->daddr, daddr);
}

/**
 * struct tcpdrop_rule - a rule; all zero and tcpdrop_rule_init() is one that has nothing set
 * @sel: the lists, by enum tcpdrop_rule_attr; in a copy tcpdrop_who_find() adds to
 *       the processes of @sel[RULE_PID] the sockets that they have
 * @states: the TCPF_* states that @sel[RULE_STATE] comes to
 * @asks: which other selectors have items, by bit; set by tcpdrop_rule_copy()
 * @bounds: of the ends that match; set by tcpdrop_rule_copy()
 * @cgroup_path: the path whose cgroup @sel[RULE_CGROUP] wants or excludes, a 1
 *               in either set; owned by the rule, NULL if there is none
 * @cgroup: what @cgroup_path names; set in a copy by tcpdrop_who_find(), NULL
 *          elsewhere
 * @options: the other attributes
 */
struct tcpdrop_rule {
	struct tcpdrop_selector sel[RULE_NR_LISTS];
	unsigned int states;
	unsigned long asks;
	struct tcpdrop_bounds bounds;
	char *cgroup_path;
	struct cgroup *cgroup;
	struct tcpdrop_rule_options options;
};

/* The longest name of a congestion control or a ULP, and a NUL. */
#define RULE_NAME_MAX	16

#define RULE_ERROR_MAX	160

/**
 * struct tcpdrop_rule_error - why a write was refused, in one line
 * @text: the line without its newline, empty if nothing was refused
 */
struct tcpdrop_rule_error {
	char text[RULE_ERROR_MAX];
};

/**
 * struct tcpdrop_rule_refusals - what a rule has been refused; all zero is nothing
 * @of: for each attribute why the last write that was refused was, for as long
 *      as no whole write has been taken since; empty otherwise
 */
struct tcpdrop_rule_refusals {
	struct tcpdrop_rule_error of[RULE_NR_ATTRS];
};

void tcpdrop_rule_init(struct tcpdrop_rule *rule);
void tcpdrop_rule_destroy(struct tcpdrop_rule *rule);
int tcpdrop_rule_copy(struct tcpdrop_rule *dst, struct tcpdrop_rule *src);

int tcpdrop_rule_store(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
		       const char *text, size_t len, struct tcpdrop_rule_error *err);
int tcpdrop_rule_show(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, char *buf,
		      size_t size);
int tcpdrop_rule_print(struct tcpdrop_rule *rule, struct tcpdrop_text *text);

void tcpdrop_rule_written(struct tcpdrop_rule_refusals *refusals,
			  enum tcpdrop_rule_attr attr, const char *text, size_t len,
			  const struct tcpdrop_rule_error *err);
bool tcpdrop_rule_refused(const struct tcpdrop_rule_refusals *refusals,
			  struct tcpdrop_rule_error *err);

bool tcpdrop_rule_selects(const struct tcpdrop_rule *rule);
enum tcpdrop_rule_netns tcpdrop_rule_netns(const struct tcpdrop_rule *rule);
bool tcpdrop_rule_lists_netns(const struct tcpdrop_rule *rule, unsigned int inode);
bool tcpdrop_rule_may_have_ipv4(const struct tcpdrop_rule *rule, u32 saddr, u32 daddr);
bool tcpdrop_rule_exact(const struct tcpdrop_rule *rule, struct tcpdrop_conn *ends);

struct tcpdrop_range_key tcpdrop_name_key(const char *name);
bool tcpdrop_selector_match(const struct tcpdrop_selector *sel,
			    const struct tcpdrop_range_key *keys, unsigned int nr);
bool tcpdrop_selector_match_masked(const struct tcpdrop_selector *sel,
				   const struct tcpdrop_range_key *keys, unsigned int nr);

/* The lists that look at nothing but a connection's ends. */
#define RULE_OF_ENDS	(BIT(RULE_SADDR) | BIT(RULE_DADDR) | BIT(RULE_SPORT) | \
			 BIT(RULE_DPORT) | BIT(RULE_PORT))

/**
 * tcpdrop_rule_match() - does a socket match a rule?
 * @rule: a rule made by tcpdrop_rule_copy()
 * @but: the lists, by bit, that are known to match
 * @state: its TCP_* state
 * @sk: the socket
 * @readers: by enum tcpdrop_rule_attr; what the rule does not ask for is not read
 *
 * Inline, so that the compiler knows @readers and calls each directly.
 *
 * Context: that of the readers.
 * Return: true if every attribute that is set matches.
 */
static __always_inline bool tcpdrop_rule_match(const struct tcpdrop_rule *rule,
					       unsigned long but, unsigned int state,
					       const struct sock *sk,
					       const tcpdrop_reader_t *readers)
{
	unsigned long asks = rule->asks & ~but;
	struct tcpdrop_range_key keys[2];
	unsigned int attr, nr;

	if (!(rule->states & BIT(state)))
		return false;
	if (!asks)
		return true;
#pragma GCC unroll 32
	for (attr = 0; attr < RULE_NR_SELECTORS; attr++) {
		if (!(asks & BIT(attr)))
			continue;
		nr = readers[attr](sk, keys);
		if (attr == RULE_MARK ?
		    !tcpdrop_selector_match_masked(&rule->sel[attr], keys, nr) :
		    !tcpdrop_selector_match(&rule->sel[attr], keys, nr))
			return false;
	}
	return true;
}

const char *tcpdrop_rule_attr_name(enum tcpdrop_rule_attr attr);
void tcpdrop_rule_error_set(struct tcpdrop_rule_error *err, const char *attr,
			    const char *item, size_t len, const char *reason);

#endif /* TCPDROP_RULE_H */
