/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commit: drop what a rule means.
 */
#ifndef TCPDROP_DROP_H
#define TCPDROP_DROP_H

#include <linux/types.h>

#include "conn.h"

struct rule;

/**
 * struct drop_result - what a commit did
 * @matched: sockets that matched when their turn came, dropped or failed; all
 *           that match if they were more than allowed
 * @dropped: those of them that have left the tables
 * @failed: those that still stand
 * @remaining: sockets that matched right after the commit
 * @elapsed_us: how long it took, in microseconds
 * @states: @dropped by TCP_* state
 *
 * Written by the committing task alone, with WRITE_ONCE(); readers see it
 * advance with READ_ONCE() and need no lock.
 */
struct drop_result {
	unsigned long matched;
	unsigned long dropped;
	unsigned long failed;
	unsigned long remaining;
	unsigned long elapsed_us;
	unsigned long states[CONN_STATE_MAX];
};

int drop_commit(const struct rule *rule, struct drop_result *result);

#endif /* TCPDROP_DROP_H */
