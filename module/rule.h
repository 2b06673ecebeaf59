/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule: which connections it means and with what limits.  A model on
 * plain data that knows neither configfs nor sockets nor locks; it compiles
 * in user space too.  Whoever owns a rule serialises its use.
 */
#ifndef TCPDROP_RULE_H
#define TCPDROP_RULE_H

#include <linux/types.h>

#include "conn.h"
#include "ranges.h"

/* The attributes; those below RULE_NR_SELECTORS are lists. */
enum rule_attr {
	RULE_SADDR,
	RULE_DADDR,
	RULE_SPORT,
	RULE_DPORT,
	RULE_PORT,
	RULE_STATE,
	RULE_CONGESTION,
	RULE_ULP,
	RULE_NR_SELECTORS,
	RULE_NETNS = RULE_NR_SELECTORS,
	RULE_MAX,
	RULE_NR_ATTRS,
};

/**
 * struct selector - a list attribute
 * @yes: the positive items; none of them means everything
 * @no: the excluded ones
 */
struct selector {
	struct ranges yes;
	struct ranges no;
};

/**
 * struct rule - a rule; all zero and rule_init() is one that has nothing set
 * @sel: the lists, by enum rule_attr
 * @states: the TCPF_* states that @sel[RULE_STATE] comes to
 * @max: the most sockets that a commit may drop, 0 for no limit
 */
struct rule {
	struct selector sel[RULE_NR_SELECTORS];
	unsigned int states;
	u64 max;
};

/* The longest name of a congestion control or a ULP, and a NUL. */
#define RULE_NAME_MAX	16

#define RULE_ERROR_MAX	160

/**
 * struct rule_error - why a write was refused, in one line
 * @text: the line without its newline, empty if nothing was refused
 */
struct rule_error {
	char text[RULE_ERROR_MAX];
};

/**
 * struct rule_refusals - what a rule has been refused; all zero is nothing
 * @of: for each attribute why the last write that was refused was, for as long
 *      as no whole write has been taken since; empty otherwise
 */
struct rule_refusals {
	struct rule_error of[RULE_NR_ATTRS];
};

void rule_init(struct rule *rule);
void rule_destroy(struct rule *rule);
int rule_copy(struct rule *dst, struct rule *src);

int rule_store(struct rule *rule, enum rule_attr attr, const char *text,
	       size_t len, struct rule_error *err);
int rule_show(struct rule *rule, enum rule_attr attr, char *buf, size_t size);

void rule_written(struct rule_refusals *refusals, enum rule_attr attr,
		  const char *text, size_t len, const struct rule_error *err);
bool rule_refused(const struct rule_refusals *refusals, struct rule_error *err);

bool rule_selects(const struct rule *rule);
bool rule_match(const struct rule *rule, const struct conn *conn);
bool rule_has(const struct rule *rule, enum rule_attr attr);
bool rule_match_name(const struct rule *rule, enum rule_attr attr, const char *name);
bool rule_exact(const struct rule *rule, struct conn *ends);

const char *rule_attr_name(enum rule_attr attr);
void rule_error_set(struct rule_error *err, const char *attr,
		    const char *item, size_t len, const char *reason);

#endif /* TCPDROP_RULE_H */
