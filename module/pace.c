// SPDX-License-Identifier: GPL-2.0
/*
 * The pace of a commit.
 *
 * The drops have their times, an interval apart.  One that is late does not put
 * off those after it by as much, or the rate would sink by what a timer and the
 * scheduler take; but no more is made up for than SLACK, so that a commit that
 * was held up for long does not drop all at once what it has missed.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/time64.h>

#include "pace.h"
#include "signals.h"

/* How late a drop may be and the next still have its time. */
#define SLACK		NSEC_PER_MSEC

/* How often a task looks for signals that nothing wakes it for. */
#define LOOK		(10 * NSEC_PER_MSEC)

/**
 * tcpdrop_pace_init() - begin, with the first drop due now
 * @pace: the pace
 * @rate: drops a second, 0 for as fast as possible
 *
 * Context: any.
 */
void tcpdrop_pace_init(struct tcpdrop_pace *pace, u64 rate)
{
	*pace = (struct tcpdrop_pace){};
	if (!rate)
		return;
	/* Rounded up: at most so many. */
	pace->interval = div64_u64(NSEC_PER_SEC - 1, rate) + 1;
	pace->due = ktime_get_ns();
}

/**
 * tcpdrop_pace_is_due() - is it time for a drop?
 * @pace: the pace
 *
 * Context: any.
 * Return: true if it is; it stays so until tcpdrop_pace_spend().
 */
bool tcpdrop_pace_is_due(const struct tcpdrop_pace *pace)
{
	return !pace->interval || ktime_get_ns() >= pace->due;
}

/*
 * A suspend that cannot freeze a process gives up, and a commit may sleep for
 * hours.  Not try_to_freeze(), which warns of the locks that are held: those of
 * the rule and of configfs, and who waits for them has always held up a suspend.
 */
static bool freeze_if_asked(void)
{
	return freezing(current) && __refrigerator(false);
}

/*
 * With a signal pending that the task does not see, because it is being frozen
 * or traced, an interruptible sleep would end at once; so it looks again and
 * again.
 */
static void sleep_until(u64 due)
{
	bool deaf = signal_pending(current);
	ktime_t end = ns_to_ktime(deaf ? min(due, ktime_get_ns() + LOOK) : due);

	set_current_state(deaf ? TASK_IDLE : TASK_INTERRUPTIBLE);
	schedule_hrtimeout_range(&end, 0, HRTIMER_MODE_ABS);
}

/**
 * tcpdrop_pace_wait() - sleep until it is time for a drop
 * @pace: the pace
 *
 * Context: process context; sleeps, for long: the caller must own no socket and
 * hold no lock that others wait for. Returns before the time if there is a
 * signal that the task sees.
 */
void tcpdrop_pace_wait(struct tcpdrop_pace *pace)
{
	unsigned long before = jiffies;

	while (!tcpdrop_pace_is_due(pace) && !tcpdrop_signal_seen(current))
		if (!freeze_if_asked())
			sleep_until(pace->due);
	pace->slept += jiffies - before;
}

/**
 * tcpdrop_pace_spend() - there was a drop
 * @pace: the pace
 *
 * Context: any.
 */
void tcpdrop_pace_spend(struct tcpdrop_pace *pace)
{
	if (pace->interval)
		pace->due = max(pace->due, ktime_get_ns() - SLACK) + pace->interval;
}
