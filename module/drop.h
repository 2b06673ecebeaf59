/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dropping what matches, some sockets at a time.
 */
#ifndef TCPDROP_DROP_H
#define TCPDROP_DROP_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/types.h>

#include "conn.h"
#include "deferred.h"
#include "owner.h"
#include "pace.h"
#include "walk.h"

struct task_struct;

/**
 * struct tcpdrop_drop_result - what was done
 * @matched: sockets that matched when their turn came, dropped or failed; all
 *           that match if they were more than allowed
 * @dropped: those of them that have left the tables
 * @failed: those that still stand
 * @remaining: sockets that matched right after the commit
 * @elapsed_us: how long it took, in microseconds
 * @states: @dropped by TCP_* state
 *
 * All who work on a commit count here; readers see it advance and need no
 * lock.
 */
struct tcpdrop_drop_result {
	atomic_long_t matched;
	atomic_long_t dropped;
	atomic_long_t failed;
	atomic_long_t remaining;
	atomic_long_t elapsed_us;
	atomic_long_t states[CONN_STATE_MAX];
};

/* How long the owners of sockets may keep them in system calls, all told. */
#define DROP_OWNER_PATIENCE	(2 * HZ)

/**
 * struct tcpdrop_dropper - who drops, one task at a time
 * @name: on whose behalf, for those who trace: that of the rule, or "proc";
 *        outlives the dropper
 * @walk: what to look through; the namespaces are held by the user
 * @ends: what @walk looks for, if it looks for given ends
 * @task: a signal to whom ends it; NULL if none does
 * @fatal: only one that ends the task as well
 * @result: what was done so far
 * @err: why to stop before the end, or 0; may be shared by several droppers
 * @batch: the pinned sockets of the bucket at hand, or of several
 * @skip: how many of the next matches will not fit
 * @turns: how often the bucket at hand has had another turn
 * @unborn: the bucket, or the last of several, has a match that cannot be pinned yet
 * @deferred: what to come back to, so that one stuck owner does not hold up
 *            all the others
 * @watches: of these, some are to be caught
 * @net: what those are caught with
 * @pace: when the next drop is due; where there is a rate, nobody shares the work
 * @mptcp_patience: how long it still waits for owners of connections of MPTCP, in
 *                  jiffies
 */
struct tcpdrop_dropper {
	const char *name;
	struct tcpdrop_walk walk;
	struct tcpdrop_conn ends;
	struct task_struct *task;
	bool fatal;
	struct tcpdrop_drop_result *result;
	int *err;
	struct tcpdrop_batch batch;
	size_t skip;
	unsigned int turns;
	bool unborn;
	struct tcpdrop_deferred_set deferred;
	bool watches;
	struct tcpdrop_owner_net net;
	struct tcpdrop_pace pace;
	unsigned long mptcp_patience;
};

void tcpdrop_dropper_init(struct tcpdrop_dropper *d, const char *name,
			  const struct tcpdrop_walk *walk,
			  struct tcpdrop_drop_result *result, int *err);
void tcpdrop_dropper_exit(struct tcpdrop_dropper *d);
void tcpdrop_drop_stop(struct tcpdrop_dropper *d, int err);
bool tcpdrop_drop_is_done(const struct tcpdrop_dropper *d);
void tcpdrop_drop_buckets(struct tcpdrop_dropper *d);
void tcpdrop_drop_ends(struct tcpdrop_dropper *d, const struct tcpdrop_conn *ends);
void tcpdrop_drop_settle(struct tcpdrop_dropper *d, unsigned long *patience);

#endif /* TCPDROP_DROP_H */
