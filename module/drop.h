/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commit: drop what a rule means.
 */
#ifndef TCPDROP_DROP_H
#define TCPDROP_DROP_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/types.h>

#include "conn.h"

struct batch;
struct net;
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
 * All who work on the commit count here; readers see it advance and need no
 * lock.
 */
struct drop_result {
	atomic_long_t matched;
	atomic_long_t dropped;
	atomic_long_t failed;
	atomic_long_t remaining;
	atomic_long_t elapsed_us;
	atomic_long_t states[CONN_STATE_MAX];
};

/* How long the owners of sockets may keep them in system calls, all told. */
#define DROP_OWNER_TIMEOUT	(2 * HZ)

/**
 * drop_deadline() - until when to wait for owners, from now on
 *
 * Return: a time in jiffies, never 0.
 */
static inline unsigned long drop_deadline(void)
{
	return (jiffies + DROP_OWNER_TIMEOUT) | 1;
}

int drop_ends(struct net *net, const struct conn *ends, struct batch *batch,
	      unsigned long end);
int drop_commit(const struct rule *rule, struct drop_result *result);
int drop_init(void);
void drop_exit(void);

#endif /* TCPDROP_DROP_H */
