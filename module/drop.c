// SPDX-License-Identifier: GPL-2.0
/*
 * Dropping: bucket by bucket, pin what matches under the bucket's lock, let
 * go of the lock, abort each, put each.
 *
 * A bucket is looked through again only when an object changed its kind
 * between match and abort (a request became a socket, a socket a time-wait
 * minisock), since that connection has another object then.  A connection can
 * do so only a few times, which bounds the passes; so a commit ends however
 * fast clients reconnect, and no connection that was there before is missed.
 * A bucket that is not settled in that many passes, or has a socket that its
 * owner holds, has its turn again when all the others are done.
 */
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "drop.h"
#include "rule.h"
#include "walk.h"

/*
 * A request becomes a socket, the socket becomes a minisock, and some of them
 * are linked a moment before they can be pinned.
 */
#define MAX_PASSES	8

#define RETRY_MIN	64

/* How long the owners of sockets may keep them in system calls, all told. */
#define OWNER_TIMEOUT	(2 * HZ)

/* What became of a socket that had matched. */
enum drop_verdict {
	DROP_DONE,	/* dropped */
	DROP_GONE,	/* not there any more, or not as it matched */
	DROP_BUSY,	/* its owner is in a system call */
	DROP_FAILED,	/* still there */
};

/**
 * struct drop - a commit under way
 * @walk: what to look through
 * @result: what it did so far
 * @batch: the pinned sockets of the bucket at hand; the first @kept of them
 *         were tried and still stand, and are not collected again
 * @kept: how many
 * @busy: one of these belongs to a process that is using it right now
 * @unborn: the bucket held a match that could not be pinned yet
 * @retry: buckets to come back to, so that one stuck owner does not hold up
 *         all the others
 * @nr_retry: how many there are
 * @cap_retry: how many fit in @retry
 * @last: nothing is put off any more
 */
struct drop {
	struct walk walk;
	struct drop_result *result;
	struct batch batch;
	size_t kept;
	bool busy;
	bool unborn;
	unsigned int *retry;
	size_t nr_retry;
	size_t cap_retry;
	bool last;
};

/*
 * Of requests and minisocks tcp_abort() does not tell whether they had been
 * gone already.  Under this lock only one commit at a time asks, so no two
 * of them count the same one.
 */
static DEFINE_MUTEX(minisock_lock);

static void count_up(unsigned long *counter)
{
	WRITE_ONCE(*counter, *counter + 1);
}

static bool is_kept(const struct drop *drop, const struct sock *sk)
{
	size_t i;

	for (i = 0; i < drop->kept; i++)
		if (drop->batch.v[i].sk == sk)
			return true;
	return false;
}

/*
 * A request (and up to 6.1 a minisock) is linked first and gets its references
 * right after the unlock, so a count of 0 means that it is about to have some:
 * what is linked is not being freed.
 */
static void pin_visit(struct sock *sk, const struct conn *conn, void *arg)
{
	struct drop *drop = arg;

	if (is_kept(drop, sk) || !batch_add(&drop->batch, sk, conn))
		return;
	if (!refcount_inc_not_zero(&sk->sk_refcnt)) {
		drop->batch.nr--;
		drop->unborn = true;
	}
}

static void unpin_from(struct drop *drop, size_t first)
{
	size_t i;

	for (i = first; i < drop->batch.nr; i++)
		sock_gen_put(drop->batch.v[i].sk);
	drop->batch.nr = first;
}

/* Pins every matching socket of a bucket that was not tried before. */
static int collect(struct drop *drop, unsigned int bucket)
{
	int ret;

	drop->unborn = false;
	walk_bucket(&drop->walk, bucket, pin_visit, drop);
	while (drop->batch.missed) {
		unpin_from(drop, 0);
		drop->kept = 0;
		ret = batch_grow(&drop->batch);
		if (ret)
			return ret;
		walk_bucket(&drop->walk, bucket, pin_visit, drop);
	}
	return 0;
}

/* The protocol's own function: MPTCP subflows have one of theirs. */
static int abort_any(struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->diag_destroy(sk, ECONNABORTED);
}

static enum drop_verdict abort_full(struct sock *sk)
{
	if (abort_any(sk) == -ENOENT)
		return DROP_GONE;
	return walk_is_linked(sk) ? DROP_FAILED : DROP_DONE;
}

/* A request that is gone may have become a connection instead. */
static bool was_request_taken(const struct drop *drop, const struct batch_entry *entry)
{
	return inet_sk_state_load(entry->sk) == TCP_NEW_SYN_RECV &&
	       walk_has_successor(&drop->walk, entry->sk, &entry->conn);
}

static enum drop_verdict abort_mini(const struct drop *drop,
				    const struct batch_entry *entry)
{
	enum drop_verdict verdict = DROP_GONE;

	mutex_lock(&minisock_lock);
	if (walk_is_linked(entry->sk)) {
		abort_any(entry->sk);
		if (walk_is_linked(entry->sk))
			verdict = DROP_FAILED;
		else if (!was_request_taken(drop, entry))
			verdict = DROP_DONE;
	}
	mutex_unlock(&minisock_lock);
	return verdict;
}

static enum drop_verdict drop_one(const struct drop *drop, struct batch_entry *entry)
{
	struct sock *sk = entry->sk;
	struct conn now;

	if (!walk_rematch(&drop->walk, sk, &entry->conn, &now))
		return DROP_GONE;

	entry->conn.state = now.state;
	if (!sk_fullsock(sk))
		return abort_mini(drop, entry);
	/* To lock it would mean to sleep, deaf to signals, till it is let go. */
	if (sock_owned_by_user_nocheck(sk))
		return DROP_BUSY;
	return abort_full(sk);
}

static void count_done(const struct drop *drop, const struct batch_entry *entry)
{
	count_up(&drop->result->matched);
	count_up(&drop->result->dropped);
	count_up(&drop->result->states[entry->conn.state]);
}

/* A socket that came in after the check of max must not be one too many. */
static bool limit_reached(const struct drop *drop)
{
	u64 max = drop->walk.rule->max;

	return max && drop->result->dropped >= max;
}

/* Sets @again if an object was not what it had been. */
static int drop_batch(struct drop *drop, bool *again)
{
	struct batch_entry *v = drop->batch.v;
	int ret = 0;
	size_t i;

	for (i = drop->kept; i < drop->batch.nr && !limit_reached(drop); i++) {
		cond_resched();
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}

		switch (drop_one(drop, &v[i])) {
		case DROP_DONE:
			count_done(drop, &v[i]);
			break;
		case DROP_GONE:
			*again = true;
			break;
		case DROP_BUSY:
			drop->busy = true;
			fallthrough;
		case DROP_FAILED:
			swap(v[i], v[drop->kept]);
			drop->kept++;
			break;
		}
	}
	unpin_from(drop, drop->kept);
	return ret;
}

static int retry_later(struct drop *drop, unsigned int bucket)
{
	unsigned int *retry;
	size_t cap;

	if (drop->nr_retry == drop->cap_retry) {
		cap = max_t(size_t, RETRY_MIN, 2 * drop->cap_retry);
		retry = kvmalloc_array(cap, sizeof(*retry), GFP_KERNEL);
		if (!retry)
			return -ENOMEM;
		if (drop->nr_retry)
			memcpy(retry, drop->retry, drop->nr_retry * sizeof(*retry));
		kvfree(drop->retry);
		drop->retry = retry;
		drop->cap_retry = cap;
	}
	drop->retry[drop->nr_retry++] = bucket;
	return 0;
}

/* What was tried and still stands has failed. */
static void count_kept(const struct drop *drop)
{
	size_t i;

	for (i = 0; i < drop->kept; i++) {
		count_up(&drop->result->matched);
		count_up(&drop->result->failed);
	}
}

static int drop_bucket(struct drop *drop, unsigned int bucket)
{
	bool again = true;
	unsigned int pass;
	int ret = 0;

	drop->busy = false;
	drop->unborn = false;
	for (pass = 0; again && pass < MAX_PASSES && !ret; pass++) {
		if (drop->unborn)
			schedule_timeout_uninterruptible(1);
		ret = collect(drop, bucket);
		again = drop->unborn;
		if (!ret)
			ret = drop_batch(drop, &again);
	}

	if (!ret && !drop->last && (again || drop->busy))
		ret = retry_later(drop, bucket);
	else if (!ret)
		count_kept(drop);
	unpin_from(drop, 0);
	drop->kept = 0;
	return ret;
}

/* One more turn for each bucket put off; some of them may be put off again. */
static int drop_put_off(struct drop *drop)
{
	size_t i, nr = drop->nr_retry;
	int ret = 0;

	drop->nr_retry = 0;
	for (i = 0; i < nr && !ret && !limit_reached(drop); i++)
		ret = drop_bucket(drop, drop->retry[i]);
	return ret;
}

static int drop_all(struct drop *drop)
{
	const struct walk *walk = &drop->walk;
	unsigned int bucket = walk_next(walk, walk->first);
	unsigned long end;
	int ret = 0;

	for (; bucket != walk->end; bucket = walk_next(walk, bucket + 1)) {
		if (signal_pending(current))
			return -EINTR;
		ret = drop_bucket(drop, bucket);
		if (ret || limit_reached(drop))
			return ret;
	}

	end = jiffies + OWNER_TIMEOUT;
	while (drop->nr_retry && !ret) {
		schedule_timeout_interruptible(1);
		if (signal_pending(current))
			return -EINTR;
		drop->last = time_after(jiffies, end);
		ret = drop_put_off(drop);
	}
	return ret;
}

static void reset_result(struct drop_result *result)
{
	unsigned int i;

	WRITE_ONCE(result->matched, 0);
	WRITE_ONCE(result->dropped, 0);
	WRITE_ONCE(result->failed, 0);
	WRITE_ONCE(result->remaining, 0);
	WRITE_ONCE(result->elapsed_us, 0);
	for (i = 0; i < ARRAY_SIZE(result->states); i++)
		WRITE_ONCE(result->states[i], 0);
}

static int check_limit(const struct drop *drop)
{
	u64 max = drop->walk.rule->max;
	u64 count;

	if (!max)
		return 0;

	count = walk_count(&drop->walk);
	if (count <= max)
		return 0;

	WRITE_ONCE(drop->result->matched, count);
	return -E2BIG;
}

/**
 * drop_commit() - drop every socket that a rule means
 * @rule: a rule made by rule_copy(); must not change meanwhile
 * @result: told what was done, as it is done; not touched on -EPERM
 *
 * Context: process context; may sleep, for long if there is much to drop.
 * Return: 0, however many sockets matched; -EPERM if the process lacks
 * CAP_NET_ADMIN over its namespace; -E2BIG if more matched than the rule
 * allows, and none was dropped; -EINTR if a signal came before the end;
 * -ENOMEM. In the last two cases @result tells how far it came.
 */
int drop_commit(const struct rule *rule, struct drop_result *result)
{
	struct drop drop = { .result = result };
	ktime_t start = ktime_get();
	int ret;

	ret = walk_init(&drop.walk, rule);
	if (ret)
		return ret;

	reset_result(result);
	ret = check_limit(&drop);
	if (!ret)
		ret = drop_all(&drop);

	WRITE_ONCE(result->remaining, walk_count(&drop.walk));
	WRITE_ONCE(result->elapsed_us, ktime_us_delta(ktime_get(), start));
	kvfree(drop.retry);
	batch_free(&drop.batch);
	walk_exit(&drop.walk);
	return ret;
}
