// SPDX-License-Identifier: GPL-2.0
/*
 * What was done since the module was loaded, in all namespaces.
 *
 * Whoever drops counts in a result of its own, which is added here once, when
 * it is done: so nothing is counted twice, and dropping costs no more.
 */
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/spinlock.h>

#include "conn.h"
#include "drop.h"
#include "stats.h"

/* As in struct tcpdrop_drop_result, where the names are the same. */
struct totals {
	u64 commits;
	u64 refused;
	u64 lines;
	u64 matched;
	u64 dropped;
	u64 failed;
	u64 states[CONN_STATE_MAX];
};

static struct totals totals;

/* Protects totals, so that the numbers of one reading add up; a leaf. */
static DEFINE_SPINLOCK(totals_lock);

static void add_result(const struct tcpdrop_drop_result *result)
{
	unsigned int i;

	lockdep_assert_held(&totals_lock);

	totals.matched += atomic_long_read(&result->matched);
	totals.dropped += atomic_long_read(&result->dropped);
	totals.failed += atomic_long_read(&result->failed);
	for (i = 0; i < ARRAY_SIZE(totals.states); i++)
		totals.states[i] += atomic_long_read(&result->states[i]);
}

/**
 * tcpdrop_stats_commit() - count a commit that has ended
 * @result: what it did, however it ended; nobody counts there any more
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_stats_commit(const struct tcpdrop_drop_result *result)
{
	spin_lock(&totals_lock);
	totals.commits++;
	add_result(result);
	spin_unlock(&totals_lock);
}

/**
 * tcpdrop_stats_refused() - count a commit that was refused before it began
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_stats_refused(void)
{
	spin_lock(&totals_lock);
	totals.refused++;
	spin_unlock(&totals_lock);
}

/**
 * tcpdrop_stats_lines() - count lines that were carried out
 * @lines: how many
 * @result: what they did; nobody counts there any more
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_stats_lines(size_t lines, const struct tcpdrop_drop_result *result)
{
	spin_lock(&totals_lock);
	totals.lines += lines;
	add_result(result);
	spin_unlock(&totals_lock);
}

/**
 * tcpdrop_stats_print() - all totals as text, "NAME NUMBER" a line
 * @buf: where to
 * @size: its size; a page has room for all
 *
 * Context: process context; does not sleep.
 * Return: the length of the text.
 */
int tcpdrop_stats_print(char *buf, size_t size)
{
	unsigned int rank, state;
	struct totals t;
	int len;

	spin_lock(&totals_lock);
	t = totals;
	spin_unlock(&totals_lock);

	len = scnprintf(buf, size,
			"commits %llu\ncommits_refused %llu\nlines %llu\n"
			"matched %llu\ndropped %llu\nfailed %llu\n",
			t.commits, t.refused, t.lines, t.matched, t.dropped, t.failed);
	for (rank = 0; rank < CONN_STATE_RANKS; rank++) {
		state = tcpdrop_conn_state_by_rank(rank);
		len += scnprintf(buf + len, size - len, "dropped_%s %llu\n",
				 tcpdrop_conn_state_name(state), t.states[state]);
	}
	return len;
}
