/* SPDX-License-Identifier: GPL-2.0 */
/*
 * So many drops a second, evenly.
 */
#ifndef TCPDROP_PACE_H
#define TCPDROP_PACE_H

#include <linux/types.h>

/**
 * struct tcpdrop_pace - when the next drop is due
 * @interval: nanoseconds from one drop to the next, 0 for as fast as possible
 * @due: the next, by the monotonic clock in nanoseconds
 * @slept: how long it was waited for, in jiffies
 */
struct tcpdrop_pace {
	u64 interval;
	u64 due;
	unsigned long slept;
};

void tcpdrop_pace_init(struct tcpdrop_pace *pace, u64 rate);
bool tcpdrop_pace_is_due(const struct tcpdrop_pace *pace);
void tcpdrop_pace_wait(struct tcpdrop_pace *pace);
void tcpdrop_pace_spend(struct tcpdrop_pace *pace);

#endif /* TCPDROP_PACE_H */
