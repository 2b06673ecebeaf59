/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A rule that is written as a line, committed once and forgotten.
 */
#ifndef TCPDROP_ONCE_H
#define TCPDROP_ONCE_H

#include <linux/types.h>

struct net;
struct task_struct;
struct tcpdrop_drop_result;

/* The longest line that is a rule, its newline not counted. */
#define ONCE_LINE_LIMIT	4094

bool tcpdrop_once_is_rule(const char *line, size_t len);
int tcpdrop_once_commit(struct net *net, const char *line, struct task_struct *task,
			struct tcpdrop_drop_result *result);

#endif /* TCPDROP_ONCE_H */
