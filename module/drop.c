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
 *
 * To abort a connection takes far longer than to find it, so several CPUs
 * share a large table: each worker claims a part of the buckets after another.
 * A bucket belongs to one worker, and all that is said above holds for it.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "abort.h"
#include "drop.h"
#include "rule.h"
#include "walk.h"

/*
 * A request becomes a socket, the socket becomes a minisock, and some of them
 * are linked a moment before they can be pinned.
 */
#define MAX_PASSES	8

#define RETRY_MIN	64

/* How many buckets a worker claims at a time. */
#define PART_BUCKETS	1024

/* How many sockets the committing task drops before it calls for help. */
#define ENOUGH_FOR_ONE	256

/* More workers would take the machine away from what it is there for. */
#define MAX_WORKERS	8

/**
 * struct commit - what the workers on a commit share
 * @walk: what to look through
 * @task: who commits, a signal to whom ends it; NULL if none does
 * @result: what was done so far
 * @next: the first bucket that nobody has claimed, counted from the first of
 *        @walk; runs on past the last
 * @err: why all have to stop before the end, or 0
 */
struct commit {
	struct walk walk;
	struct task_struct *task;
	struct drop_result *result;
	atomic_long_t next;
	int err;
};

/**
 * struct drop - a worker on a commit
 * @commit: the commit
 * @work: runs it, unless it is the committing task's own
 * @walk: the buckets that it has claimed; borrows from the commit's walk
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
 * @end: until when to wait for owners, in jiffies; 0 if it is not time for that
 */
struct drop {
	struct commit *commit;
	struct work_struct work;
	struct walk walk;
	struct batch batch;
	size_t kept;
	bool busy;
	bool unborn;
	unsigned int *retry;
	size_t nr_retry;
	size_t cap_retry;
	bool last;
	unsigned long end;
};

/* Its CPUs are the administrator's to choose, see WQ_SYSFS. */
static struct workqueue_struct *drop_wq;

/* The first error counts. */
static void stop_all(struct commit *commit, int err)
{
	cmpxchg(&commit->err, 0, err);
}

/* A signal to the committing task stops its workers too: it waits for them. */
static bool must_stop(const struct drop *drop)
{
	if (drop->commit->task && signal_pending(drop->commit->task))
		stop_all(drop->commit, -EINTR);
	return READ_ONCE(drop->commit->err);
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

static void count_done(const struct drop *drop, const struct batch_entry *entry)
{
	struct drop_result *result = drop->commit->result;

	atomic_long_inc(&result->matched);
	atomic_long_inc(&result->dropped);
	atomic_long_inc(&result->states[entry->conn.state]);
}

/*
 * A socket that came in after the check of max must not be one too many.  Where
 * there is a limit there is one worker.
 */
static bool limit_reached(const struct drop *drop)
{
	u64 max = drop->walk.rule->max;

	return max && atomic_long_read(&drop->commit->result->dropped) >= max;
}

/*
 * A process that sends all the time is hardly ever seen outside of a system
 * call by somebody who looks now and then, since it is inside of one that it
 * gives way to others. Who waits in the queue of the socket's lock is woken
 * when it lets go; a tick is enough to tell whether it is stuck.
 */
static void wait_for_owner(const struct drop *drop, struct sock *sk)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);

	if (!drop->end || time_after(jiffies, drop->end) || !sk_fullsock(sk))
		return;

	add_wait_queue(&sk->sk_lock.wq, &wait);
	if (sock_owned_by_user_nocheck(sk))
		wait_woken(&wait, TASK_UNINTERRUPTIBLE, 1);
	remove_wait_queue(&sk->sk_lock.wq, &wait);
}

/* Sets @again if an object was not what it had been. */
static void drop_batch(struct drop *drop, bool *again)
{
	struct batch_entry *v = drop->batch.v;
	size_t i;

	for (i = drop->kept; i < drop->batch.nr && !limit_reached(drop); i++) {
		cond_resched();
		if (must_stop(drop))
			break;

		wait_for_owner(drop, v[i].sk);
		switch (abort_sock(&drop->walk, &v[i])) {
		case ABORT_DONE:
			count_done(drop, &v[i]);
			break;
		case ABORT_GONE:
			*again = true;
			break;
		case ABORT_BUSY:
			drop->busy = true;
			fallthrough;
		case ABORT_FAILED:
			swap(v[i], v[drop->kept]);
			drop->kept++;
			break;
		}
	}
	unpin_from(drop, drop->kept);
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
		atomic_long_inc(&drop->commit->result->matched);
		atomic_long_inc(&drop->commit->result->failed);
	}
}

static void drop_bucket(struct drop *drop, unsigned int bucket)
{
	bool again = true;
	unsigned int pass;
	int ret = 0;

	drop->busy = false;
	drop->unborn = false;
	for (pass = 0; again && pass < MAX_PASSES && !must_stop(drop); pass++) {
		if (drop->unborn)
			schedule_timeout_uninterruptible(1);
		ret = collect(drop, bucket);
		again = drop->unborn;
		if (ret)
			break;
		drop_batch(drop, &again);
	}

	if (!ret && !drop->last && (again || drop->busy))
		ret = retry_later(drop, bucket);
	else if (!ret)
		count_kept(drop);
	if (ret)
		stop_all(drop->commit, ret);
	unpin_from(drop, 0);
	drop->kept = 0;
}

/* Claims buckets that nobody has claimed yet; false if there are none. */
static bool claim_part(struct drop *drop)
{
	const struct walk *whole = &drop->commit->walk;
	long next = atomic_long_fetch_add(PART_BUCKETS, &drop->commit->next);

	if (next >= whole->end - whole->first)
		return false;

	drop->walk.first = whole->first + next;
	drop->walk.end = min(drop->walk.first + PART_BUCKETS, whole->end);
	return true;
}

static bool is_done(const struct drop *drop)
{
	return must_stop(drop) || limit_reached(drop);
}

static void drop_part(struct drop *drop)
{
	const struct walk *walk = &drop->walk;
	unsigned int bucket = walk_next(walk, walk->first);

	for (; bucket != walk->end && !is_done(drop); bucket = walk_next(walk, bucket + 1))
		drop_bucket(drop, bucket);
}

static void drop_work(struct work_struct *work)
{
	struct drop *drop = container_of(work, struct drop, work);

	while (!is_done(drop) && claim_part(drop))
		drop_part(drop);
}

/* One more turn for each bucket put off; some of them may be put off again. */
static void drop_put_off(struct drop *drop)
{
	size_t i, nr = drop->nr_retry;

	drop->nr_retry = 0;
	for (i = 0; i < nr && !is_done(drop); i++)
		drop_bucket(drop, drop->retry[i]);
}

static unsigned int nr_workers(const struct walk *walk)
{
	unsigned int parts = DIV_ROUND_UP(walk->end - walk->first, PART_BUCKETS);

	return walk->rule->max ? 1 : min3(parts, num_online_cpus(), MAX_WORKERS);
}

static struct drop *workers_new(struct commit *commit, unsigned int nr)
{
	struct drop *workers;
	unsigned int i;

	workers = kcalloc(nr, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return NULL;

	for (i = 0; i < nr; i++) {
		workers[i].commit = commit;
		workers[i].walk = commit->walk;
		INIT_WORK(&workers[i].work, drop_work);
	}
	return workers;
}

static void workers_free(struct drop *workers, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		kvfree(workers[i].retry);
		batch_free(&workers[i].batch);
	}
	kfree(workers);
}

static void call_workers(struct drop *workers, unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		queue_work(drop_wq, &workers[i].work);
}

/* The first worker is the committing task. Whoever did not begin before it ended need not. */
static void run_workers(struct drop *workers, unsigned int nr)
{
	struct drop *first = &workers[0];
	const atomic_long_t *dropped = &first->commit->result->dropped;
	bool alone = true;
	unsigned int i;

	while (!is_done(first) && claim_part(first)) {
		drop_part(first);
		if (alone && atomic_long_read(dropped) >= ENOUGH_FOR_ONE) {
			call_workers(workers, nr);
			alone = false;
		}
	}
	for (i = 1; i < nr; i++)
		cancel_work_sync(&workers[i].work);
}

/* Comes back to what one worker has put off, until its owners have had their time. */
static void finish_worker(struct drop *worker, unsigned long end)
{
	worker->end = end;
	while (worker->nr_retry && !must_stop(worker)) {
		schedule_timeout_interruptible(1);
		worker->last = time_after(jiffies, end);
		drop_put_off(worker);
	}
}

static int drop_all(struct commit *commit)
{
	unsigned int i, nr = nr_workers(&commit->walk);
	struct drop *workers = workers_new(commit, nr);
	unsigned long end;

	if (!workers)
		return -ENOMEM;

	run_workers(workers, nr);
	end = drop_deadline();
	for (i = 0; i < nr; i++)
		finish_worker(&workers[i], end);
	workers_free(workers, nr);
	return commit->err;
}

static void reset_result(struct drop_result *result)
{
	unsigned int i;

	atomic_long_set(&result->matched, 0);
	atomic_long_set(&result->dropped, 0);
	atomic_long_set(&result->failed, 0);
	atomic_long_set(&result->remaining, 0);
	atomic_long_set(&result->elapsed_us, 0);
	for (i = 0; i < ARRAY_SIZE(result->states); i++)
		atomic_long_set(&result->states[i], 0);
}

static int check_limit(const struct commit *commit)
{
	u64 max = commit->walk.rule->max;
	u64 count;

	if (!max)
		return 0;

	count = walk_count(&commit->walk);
	if (count <= max)
		return 0;

	atomic_long_set(&commit->result->matched, count);
	return -E2BIG;
}

/**
 * drop_ends() - drop the sockets that have given ends
 * @net: the namespace, which cannot be freed now
 * @ends: the ends
 * @batch: room to work in, all zero or as the last call left it; to be freed
 *         by batch_free()
 * @end: until when to wait, for a tick, for an owner that is using a socket, in
 *       jiffies; 0 not to wait at all
 *
 * Goes through with what it has begun whatever signals come.
 *
 * Context: process context; may sleep.
 * Return: 0 if there were any and all of them are gone; -ESRCH if there was
 * none; -EBUSY if one still stands; -ENOMEM.
 */
int drop_ends(struct net *net, const struct conn *ends, struct batch *batch,
	      unsigned long end)
{
	struct drop_result result = {};
	struct commit commit = { .result = &result };
	struct drop drop = { .commit = &commit, .batch = *batch, .last = true, .end = end };
	int ret;

	ret = walk_init_ends(&commit.walk, net, ends);
	if (ret)
		return ret;
	drop.walk = commit.walk;
	drop_part(&drop);
	walk_exit(&commit.walk);
	*batch = drop.batch;

	if (commit.err)
		return commit.err;
	if (atomic_long_read(&result.failed))
		return -EBUSY;
	return atomic_long_read(&result.dropped) ? 0 : -ESRCH;
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
	struct commit commit = { .task = current, .result = result };
	ktime_t start = ktime_get();
	int ret;

	ret = walk_init(&commit.walk, rule);
	if (ret)
		return ret;

	reset_result(result);
	ret = check_limit(&commit);
	if (!ret)
		ret = drop_all(&commit);

	atomic_long_set(&result->remaining, walk_count(&commit.walk));
	atomic_long_set(&result->elapsed_us, ktime_us_delta(ktime_get(), start));
	walk_exit(&commit.walk);
	return ret;
}

/**
 * drop_init() - prepare for commits
 *
 * Context: process context, when the module is loaded.
 * Return: 0 or -ENOMEM.
 */
int __init drop_init(void)
{
	drop_wq = alloc_workqueue("tcpdrop", WQ_UNBOUND | WQ_SYSFS, 0);
	return drop_wq ? 0 : -ENOMEM;
}

/**
 * drop_exit() - undo drop_init()
 *
 * Context: process context, when no commit can run any more.
 */
void drop_exit(void)
{
	destroy_workqueue(drop_wq);
}
