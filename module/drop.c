// SPDX-License-Identifier: GPL-2.0
/*
 * Dropping: pin what matches in some buckets, each under its lock, let go of the
 * lock, abort each, put each.
 *
 * A bucket is looked through again alone when an object changed its kind
 * between match and abort (a request became a socket, a socket a time-wait
 * minisock), since that connection has another object then.  A connection can
 * do so only a few times, which bounds the passes; so a drop ends however
 * fast clients reconnect, and no connection that was there before is missed.
 * A bucket that is not settled in that many passes is deferred until all the
 * others are done; so is a socket that somebody has at that moment.  Of a chain
 * that is longer than what is pinned at a time the end goes first, once what has
 * been pinned together with others is dropped.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <net/inet_connection_sock.h>
#include <net/inet_sock.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "abort.h"
#include "claim.h"
#include "deferred.h"
#include "drop.h"
#include "mptcp.h"
#include "owner.h"
#include "pace.h"
#include "protect.h"
#include "rule.h"
#include "signals.h"
#include "sock.h"
#include "trace.h"
#include "walk.h"

/*
 * A request becomes a socket, the socket becomes a minisock, and some of them
 * are linked a moment before they can be pinned.
 */
#define MAX_PASSES	8

/* How many more turns a bucket has that is not settled by then: clients may connect without end. */
#define MAX_TURNS	4

/* How many sockets of a bucket are pinned at a time, so that a worker takes no more than 48 KiB. */
#define PINNED_MAX	672

static_assert(PINNED_MAX * sizeof(struct tcpdrop_batch_entry) <= 48 * 1024);

/* How many of several buckets. */
#define PINNED_TOGETHER	32

/* The number of none. */
#define NO_BUCKET	ULONG_MAX

/* How many places of an accept queue are looked at with bottom halves off. */
#define CHILDREN_AT_ONCE 64

/* How many children go before accept() may have the listener again. */
#define CHILDREN_IN_A_ROW 256

/*
 * Of a longer time between two looks no more counts: a machine that does not let us look
 * gives no owner the time to let go either, be it that more wants to run than it has
 * CPUs, or that it is a virtual one that is moved or has to wait for its host.
 */
#define STANDSTILL	(DIV_ROUND_UP(HZ, 25UL))

/**
 * tcpdrop_dropper_init() - prepare to drop
 * @d: who drops, to be given back by tcpdrop_dropper_exit()
 * @name: on whose behalf; borrowed
 * @walk: what to look through, copied; borrows its namespaces and its rule
 * @result: told what is done
 * @err: set to why to stop before the end; 0 now
 */
void tcpdrop_dropper_init(struct tcpdrop_dropper *d, const char *name,
			  const struct tcpdrop_walk *walk,
			  struct tcpdrop_drop_result *result, int *err)
{
	*d = (struct tcpdrop_dropper){
		.name = name,
		.walk = *walk,
		.result = result,
		.err = err,
		.mptcp_patience = DROP_OWNER_PATIENCE,
	};
	tcpdrop_deferred_init(&d->deferred);
	tcpdrop_pace_init(&d->pace, walk->rule->options.rate);
}

/**
 * tcpdrop_dropper_exit() - give back what a dropper has
 * @d: who dropped
 *
 * Context: may sleep.
 */
void tcpdrop_dropper_exit(struct tcpdrop_dropper *d)
{
	tcpdrop_deferred_free(&d->deferred);
	tcpdrop_batch_free(&d->batch);
}

/**
 * tcpdrop_drop_stop() - have all who share the work stop
 * @d: one of them
 * @err: why; the first reason counts
 */
void tcpdrop_drop_stop(struct tcpdrop_dropper *d, int err)
{
	cmpxchg(d->err, 0, err);
}

static bool is_signalled(const struct tcpdrop_dropper *d)
{
	if (!d->task)
		return false;
	return d->fatal ? fatal_signal_pending(d->task) : tcpdrop_signal_seen(d->task);
}

static bool must_stop(const struct tcpdrop_dropper *d)
{
	if (is_signalled(d))
		cmpxchg(d->err, 0, -EINTR);
	return READ_ONCE(*d->err);
}

/*
 * A socket that came in after the check of max must not be one too many.  Where
 * there is a limit nobody shares the work.
 */
static bool limit_reached(const struct tcpdrop_dropper *d)
{
	u64 max = d->walk.rule->options.max;

	return max && atomic_long_read(&d->result->dropped) >= max;
}

/**
 * tcpdrop_drop_is_done() - is there a reason to stop before the end?
 * @d: who drops
 *
 * Return: true if there was an error or a signal, or as many were dropped as
 * the rule allows.
 */
bool tcpdrop_drop_is_done(const struct tcpdrop_dropper *d)
{
	return must_stop(d) || limit_reached(d);
}

/* Nobody waits for a socket that was caught while we sleep. */
static void let_go_of_caught(struct tcpdrop_dropper *d)
{
	struct tcpdrop_deferred *it;

	if (!d->watches)
		return;
	d->watches = false;
	list_for_each_entry(it, &d->deferred.list, list)
		tcpdrop_owner_unwatch(&it->catch);
}

/* Waits for its time. Nothing must be owned, but what was caught and is not known to be. */
static bool may_drop(struct tcpdrop_dropper *d)
{
	if (tcpdrop_drop_is_done(d))
		return false;
	if (tcpdrop_pace_is_due(&d->pace))
		return true;
	let_go_of_caught(d);
	tcpdrop_pace_wait(&d->pace);
	return !tcpdrop_drop_is_done(d);
}

/* A full socket may have connected anew, and match as another connection. */
static bool is_deferred(const struct tcpdrop_dropper *d, const struct sock *sk)
{
	const struct tcpdrop_deferred *it = tcpdrop_deferred_find(&d->deferred, sk);

	return it && (!sk_fullsock(sk) || tcpdrop_sock_has_ends(sk, &it->entry.conn));
}

/* It is filled anew then, so this look only counts. */
static bool will_be_larger(const struct tcpdrop_batch *batch)
{
	return batch->nr == batch->cap && batch->cap < PINNED_MAX;
}

/*
 * A request (and up to 6.1 a minisock) is linked first and gets its references
 * right after the unlock, so a count of 0 means that it is about to have some:
 * what is linked is not being freed, nor by us, who had another reference.
 */
static bool hold(struct tcpdrop_dropper *d, struct sock *sk)
{
	bool born = refcount_inc_not_zero(&sk->sk_refcnt);

	d->unborn |= !born;
	return born;
}

/*
 * A chain grows at its head, so those are pinned last, and stay, who have been in
 * it longest: whoever connects meanwhile is not dropped in their stead.
 */
static bool pin_visit(struct sock *sk, unsigned int state, unsigned long bucket, void *arg)
{
	struct tcpdrop_dropper *d = arg;
	struct sock *out;

	if (d->skip || will_be_larger(&d->batch)) {
		d->skip -= !!d->skip;
		d->batch.missed++;
		return true;
	}
	if (is_deferred(d, sk) || !hold(d, sk))
		return true;
	out = tcpdrop_batch_push(&d->batch, sk, state, bucket);
	if (out)
		sock_gen_put(out);
	return true;
}

/* What has to wait for its time is pinned no longer than the others of its bucket. */
static bool is_enough(const struct tcpdrop_dropper *d)
{
	return d->batch.nr >= PINNED_TOGETHER || d->walk.rule->options.rate;
}

/*
 * Of several buckets.  One that has more than fits, or what cannot be pinned yet, is the
 * last, and is looked at again alone.
 */
static bool pin_together_visit(struct sock *sk, unsigned int state, unsigned long bucket,
			       void *arg)
{
	struct tcpdrop_dropper *d = arg;

	if (is_deferred(d, sk))
		return false;
	if (d->batch.nr == d->batch.cap) {
		d->batch.missed++;
		return true;
	}
	if (!hold(d, sk))
		return true;
	tcpdrop_batch_add(&d->batch, sk, state, bucket);
	return is_enough(d);
}

static void unpin(struct tcpdrop_dropper *d)
{
	while (d->batch.nr)
		sock_gen_put(d->batch.v[--d->batch.nr].sk);
}

/* So many were there at the last look, or more: all but the last of them will not fit. */
static void expect(struct tcpdrop_dropper *d, size_t nr)
{
	d->skip = nr - min_t(size_t, nr, PINNED_MAX);
	d->unborn = false;
	tcpdrop_batch_empty(&d->batch);
}

static void pin(struct tcpdrop_dropper *d, unsigned long bucket)
{
	tcpdrop_walk_bucket(&d->walk, bucket, pin_visit, d);
	d->skip = 0;
}

/*
 * Of the matching sockets of a bucket some or all have been pinned: now all are, or the
 * last PINNED_MAX.
 */
static int pin_rest(struct tcpdrop_dropper *d, unsigned long bucket)
{
	size_t nr;
	int ret;

	while (d->batch.missed && d->batch.cap < PINNED_MAX) {
		nr = d->batch.nr + d->batch.missed;
		unpin(d);
		ret = tcpdrop_batch_grow(&d->batch, PINNED_MAX);
		if (ret)
			return ret;
		expect(d, nr);
		pin(d, bucket);
	}
	return 0;
}

static void count_done(struct tcpdrop_dropper *d, const struct tcpdrop_batch_entry *entry)
{
	atomic_long_inc(&d->result->matched);
	atomic_long_inc(&d->result->dropped);
	atomic_long_inc(&d->result->states[entry->conn.state]);
	trace_tcpdrop_drop(d, entry, false);
	tcpdrop_pace_spend(&d->pace);
}

static void count_failed(const struct tcpdrop_dropper *d,
			 const struct tcpdrop_batch_entry *entry)
{
	atomic_long_inc(&d->result->matched);
	atomic_long_inc(&d->result->failed);
	trace_tcpdrop_drop(d, entry, true);
}

static void defer_sock(struct tcpdrop_dropper *d, const struct tcpdrop_batch_entry *entry,
		       bool failed)
{
	struct tcpdrop_deferred *it = tcpdrop_deferred_sock(&d->deferred, entry);

	if (!it) {
		tcpdrop_drop_stop(d, -ENOMEM);
		return;
	}
	it->exact = d->walk.ends;
	it->failed = failed;
	it->turns = d->turns;
}

/* After @turns it is left as it is. */
static void defer_bucket(struct tcpdrop_dropper *d, unsigned long bucket,
			 const struct tcpdrop_conn *ends, unsigned int turns)
{
	struct tcpdrop_deferred *it;

	if (turns == MAX_TURNS)
		return;
	it = tcpdrop_deferred_bucket(&d->deferred, bucket, ends);
	if (it)
		it->turns = turns + 1;
	else
		tcpdrop_drop_stop(d, -ENOMEM);
}

/* The abort may sleep for an owner that comes in the last moment. */
static enum tcpdrop_abort_verdict abort_one(struct tcpdrop_dropper *d,
					    struct tcpdrop_batch_entry *entry,
					    enum tcpdrop_abort_owned owned)
{
	enum tcpdrop_abort_verdict verdict;

	if (!d->watches || !tcpdrop_abort_may_wait(entry->sk))
		return tcpdrop_abort_sock(&d->walk, entry, owned);

	tcpdrop_owner_net_close(&d->net);
	verdict = tcpdrop_abort_sock(&d->walk, entry, owned);
	tcpdrop_owner_net_open(&d->net);
	return verdict;
}

/* Ends with the bucket in which an object was not what it had been, and returns its number. */
static unsigned long drop_batch(struct tcpdrop_dropper *d)
{
	struct tcpdrop_batch_entry *v = d->batch.v;
	unsigned long again = NO_BUCKET;
	size_t i;

	for (i = 0; i < d->batch.nr && may_drop(d); i++) {
		if (again != NO_BUCKET && again != v[i].bucket)
			break;
		if (tcpdrop_mptcp_has(v[i].sk)) {
			defer_sock(d, &v[i], false);
			continue;
		}
		switch (abort_one(d, &v[i], ABORT_NOTHING)) {
		case ABORT_DONE:
			count_done(d, &v[i]);
			break;
		case ABORT_GONE:
			again = v[i].bucket;
			break;
		case ABORT_BUSY:
			defer_sock(d, &v[i], false);
			break;
		case ABORT_FAILED:
			defer_sock(d, &v[i], true);
			break;
		}
	}
	unpin(d);
	return again;
}

/*
 * Drops what has been pinned of a bucket.  Returns whether an object was not what it had
 * been, or could not be pinned.
 */
static bool drop_pinned(struct tcpdrop_dropper *d, unsigned long bucket)
{
	int ret = pin_rest(d, bucket);

	if (ret)
		tcpdrop_drop_stop(d, ret);
	return drop_batch(d) != NO_BUCKET || d->unborn;
}

/*
 * What the first pass misses takes so many more; if there are matches then, they have come
 * meanwhile, or an old one has changed its kind and so its place: a few passes more are
 * enough for that.  So many have been before.
 */
static void drop_bucket(struct tcpdrop_dropper *d, unsigned long bucket, size_t pass)
{
	size_t passes;
	bool again;

	expect(d, 0);
	pin(d, bucket);
	again = drop_pinned(d, bucket);
	passes = MAX_PASSES + DIV_ROUND_UP(d->batch.missed, PINNED_MAX);
	for (pass++; pass < passes && (again || d->batch.missed); pass++) {
		if (tcpdrop_drop_is_done(d))
			return;
		if (d->unborn)
			schedule_timeout_idle(1);
		expect(d, d->batch.missed);
		pin(d, bucket);
		again = drop_pinned(d, bucket);
	}
	if (again && !tcpdrop_drop_is_done(d))
		defer_bucket(d, bucket, d->walk.ends, d->turns);
}

/* Drops what matches in some buckets from a given one on, and returns the next. */
static unsigned long drop_next(struct tcpdrop_dropper *d, unsigned long bucket)
{
	unsigned long changed, last;
	bool again;

	expect(d, 0);
	last = tcpdrop_walk_next(&d->walk, bucket, pin_together_visit, d);
	again = d->unborn || d->batch.missed;
	changed = drop_batch(d);
	if (changed != NO_BUCKET) {
		again = true;
		last = changed;
	}
	if (again && !tcpdrop_drop_is_done(d))
		drop_bucket(d, last, 1);
	return last == d->walk.end ? last : last + 1;
}

/**
 * tcpdrop_drop_buckets() - drop the matching sockets of all buckets of a walk
 * @d: who drops
 *
 * Context: process context; may sleep.
 */
void tcpdrop_drop_buckets(struct tcpdrop_dropper *d)
{
	unsigned long bucket = d->walk.first;

	while (bucket != d->walk.end && !tcpdrop_drop_is_done(d))
		bucket = drop_next(d, bucket);
}

/* Where @ends can be. */
static void look_for(struct tcpdrop_dropper *d, const struct tcpdrop_conn *ends)
{
	d->ends = *ends;
	tcpdrop_walk_init_ends(&d->walk, d->walk.nets.net, &d->ends);
}

/**
 * tcpdrop_drop_ends() - drop the sockets that have given ends
 * @d: who drops, made of a walk for the whole namespace; tcpdrop_drop_settle() has to
 *     follow, after this or after more of its kind
 * @ends: the ends
 *
 * Context: process context; may sleep.
 */
void tcpdrop_drop_ends(struct tcpdrop_dropper *d, const struct tcpdrop_conn *ends)
{
	look_for(d, ends);
	tcpdrop_drop_buckets(d);
}

/* Counts what became of a deferred socket, and forgets it unless it stays. */
static void note_verdict(struct tcpdrop_dropper *d, struct tcpdrop_deferred *it,
			 enum tcpdrop_abort_verdict verdict)
{
	switch (verdict) {
	case ABORT_DONE:
		count_done(d, &it->entry);
		if (it->conn)
			it->conn->dropped = true;
		break;
	case ABORT_GONE:
		defer_bucket(d, it->entry.bucket, it->exact ? &it->entry.conn : NULL, it->turns);
		break;
	case ABORT_FAILED:
		it->failed = true;
		return;
	case ABORT_BUSY:
		return;
	}
	tcpdrop_deferred_remove(&d->deferred, it);
}

/* Children: from the queue of their listener, which its owner holds still. */

/* What was no child as a subflow of MPTCP may be one when it is one no more. */
static bool is_child(const struct tcpdrop_deferred *it)
{
	const struct sock *sk = it->entry.sk;

	if (!sk || !sk_fullsock(sk) || !tcpdrop_sock_is_child(sk))
		return false;
	return !it->unqueued || !sk_is_mptcp(sk);
}

/*
 * The next children of a queue that are deferred.  Who adds to it holds its
 * lock, who takes from it owns the listener, which is ours: so a place in it
 * lasts.
 */
static unsigned int next_children(const struct tcpdrop_dropper *d, struct sock *listener,
				  struct request_sock **place,
				  struct tcpdrop_deferred **found)
{
	struct request_sock_queue *queue = &inet_csk(listener)->icsk_accept_queue;
	unsigned int looked, nr = 0;
	struct request_sock *req;

	spin_lock_bh(&queue->rskq_lock);
	req = *place ? (*place)->dl_next : queue->rskq_accept_head;
	for (looked = 0; req && looked < CHILDREN_AT_ONCE; looked++) {
		found[nr] = tcpdrop_deferred_find(&d->deferred, req->sk);
		if (found[nr])
			found[nr]->unseen = false;
		nr += found[nr] && !found[nr]->failed;
		*place = req;
		req = req->dl_next;
	}
	if (!looked)
		*place = NULL;
	spin_unlock_bh(&queue->rskq_lock);
	return nr;
}

/* Owning a listener, one does not wait for the time of the next drop. */
static bool may_drop_child(const struct tcpdrop_dropper *d)
{
	return !tcpdrop_drop_is_done(d) && tcpdrop_pace_is_due(&d->pace);
}

/*
 * Returns whether there may be more, which accept() is not to wait for; @all
 * becomes false if it stopped before the end of the queue.
 */
static bool drop_some_children(struct tcpdrop_dropper *d, struct sock *listener, bool *all)
{
	struct tcpdrop_deferred *found[CHILDREN_AT_ONCE];
	struct request_sock *place = NULL;
	unsigned int i, nr, dropped = 0;
	enum tcpdrop_abort_verdict verdict;

	do {
		cond_resched();
		nr = next_children(d, listener, &place, found);
		for (i = 0; i < nr && may_drop_child(d); i++) {
			verdict = abort_one(d, &found[i]->entry, ABORT_LISTENER);
			note_verdict(d, found[i], verdict);
			dropped += verdict == ABORT_DONE;
		}
	} while (place && dropped < CHILDREN_IN_A_ROW && may_drop_child(d));
	*all = !place;
	return place && dropped;
}

/* Returns whether the whole queue has been seen. */
static bool drop_children_of(struct tcpdrop_dropper *d, struct sock *listener)
{
	bool more = true, all = false;

	while (more && may_drop(d) && tcpdrop_owner_try(listener, OWNER_LISTENER)) {
		more = drop_some_children(d, listener, &all);
		release_sock(listener);
	}
	return all;
}

static int drop_children_in(struct tcpdrop_dropper *d, unsigned int bucket,
			    struct tcpdrop_batch *parents, bool *all)
{
	size_t i;
	int ret;

	ret = tcpdrop_walk_parents(&d->walk, bucket, parents);
	for (i = 0; i < parents->nr; i++) {
		if (!drop_children_of(d, parents->v[i].sk) && sk_is_mptcp(parents->v[i].sk))
			*all = false;
		sock_put(parents->v[i].sk);
	}
	return ret;
}

/*
 * Whoever is made by a listener is linked before it is queued, and its spinlock
 * is held until it is: so who is in no queue afterwards never comes into one.
 */
static bool expect_children(struct tcpdrop_dropper *d)
{
	struct tcpdrop_deferred *it;
	bool any = false;

	list_for_each_entry(it, &d->deferred.list, list) {
		if (it->failed || !is_child(it))
			continue;
		any = true;
		if (!sk_is_mptcp(it->entry.sk))
			continue;
		spin_lock_bh(&it->entry.sk->sk_lock.slock);
		spin_unlock_bh(&it->entry.sk->sk_lock.slock);
		it->unseen = true;
	}
	return any;
}

/* @all: no listener that may have them was left out. */
static void miss_children(struct tcpdrop_dropper *d, bool all)
{
	struct tcpdrop_deferred *it;

	list_for_each_entry(it, &d->deferred.list, list) {
		it->unqueued |= it->unseen && all;
		it->unseen = false;
	}
}

static void drop_children(struct tcpdrop_dropper *d)
{
	unsigned int bucket, nr = tcpdrop_walk_nr_parents(&d->walk);
	struct tcpdrop_batch parents = {};
	bool all = true;
	int ret;

	if (!expect_children(d))
		return;
	for (bucket = 0; bucket < nr && !tcpdrop_drop_is_done(d); bucket++) {
		cond_resched();
		ret = drop_children_in(d, bucket, &parents, &all);
		if (ret)
			tcpdrop_drop_stop(d, ret);
	}
	tcpdrop_batch_free(&parents);
	miss_children(d, all && !tcpdrop_drop_is_done(d));
}

/* The time that owners have stands still while the next drop has to wait. */
static unsigned long owners_time(const struct tcpdrop_dropper *d)
{
	return jiffies - d->pace.slept;
}

/*
 * Of a longer time between two looks no more than STANDSTILL counts.  What is still to be dropped,
 * if it may be, may have to wait for its time instead.
 */
static void wait_for_owners(const struct tcpdrop_dropper *d, struct tcpdrop_owner_net *net,
			    unsigned long *before, unsigned long *patience)
{
	unsigned long now;

	if (tcpdrop_pace_is_due(&d->pace) || list_empty(&d->deferred.list) || limit_reached(d))
		tcpdrop_owner_net_wait(net);
	now = owners_time(d);
	*patience -= min3(*patience, now - *before, STANDSTILL);
	*before = now;
}

/*
 * Connections of MPTCP, whose subflows have all been deferred.  Those of which
 * every subflow is to be dropped are ended as a whole, before the subflows have
 * their turn, since MPTCP can tell the peer only as long as it has a subflow.
 * What is left then, as its owner was busy or in the middle of something, has its
 * subflows dropped, and is ended after that, if none is left; so is all that the
 * peer is not to be told of.  To end one is to wait for its subflows, so nothing
 * may have been caught meanwhile.
 */

static void note_connection(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns,
			    struct tcpdrop_deferred *it)
{
	if (tcpdrop_mptcp_note(conns, it))
		tcpdrop_drop_stop(d, -ENOMEM);
}

static void forget_subflow(struct tcpdrop_deferred *it)
{
	tcpdrop_claim_drop(&it->claim);
	list_del_init(&it->subflow);
}

/* Of what is deferred, leaves @conn those subflows that it still has. */
static bool all_match(struct tcpdrop_dropper *d, struct tcpdrop_mptcp *conn,
		      unsigned int *matched)
{
	struct tcpdrop_deferred *it, *next;

	*matched = 0;
	list_for_each_entry_safe(it, next, &conn->subflows, subflow) {
		if (!tcpdrop_sock_is_linked(it->entry.sk))
			forget_subflow(it);
		else if (tcpdrop_walk_rematch(&d->walk, it->entry.sk, &it->entry.conn))
			++*matched;
		else
			return false;
	}
	return true;
}

/* Whether a connection, which we own, is to end with what is dropped of it. */
static bool is_to_end(struct tcpdrop_dropper *d, struct tcpdrop_mptcp *conn)
{
	u64 max = d->walk.rule->options.max;
	unsigned int matched;

	if (!tcpdrop_mptcp_is_up(conn) || !all_match(d, conn, &matched))
		return false;
	if (matched && tcpdrop_drop_is_done(d))
		return false;
	if (max && atomic_long_read(&d->result->dropped) + matched > max)
		return false;
	return (matched || conn->dropped) && matched >= conn->live;
}

static void count_subflows(struct tcpdrop_dropper *d, struct tcpdrop_mptcp *conn)
{
	struct tcpdrop_deferred *it, *next;

	list_for_each_entry_safe(it, next, &conn->subflows, subflow)
		if (!tcpdrop_sock_is_linked(it->entry.sk))
			note_verdict(d, it, ABORT_DONE);
}

static void unclaim_subflows(struct tcpdrop_mptcp *conn)
{
	struct tcpdrop_deferred *it;

	list_for_each_entry(it, &conn->subflows, subflow)
		tcpdrop_claim_drop(&it->claim);
}

static bool claim_subflows(struct tcpdrop_mptcp *conn)
{
	struct tcpdrop_deferred *it;

	list_for_each_entry(it, &conn->subflows, subflow) {
		if (!tcpdrop_claim_take(&it->claim, it->entry.sk)) {
			unclaim_subflows(conn);
			return false;
		}
	}
	return true;
}

/* One of which somebody else aborts a subflow at this moment stays open. */
static void try_connection(struct tcpdrop_dropper *d, struct tcpdrop_mptcp *conn,
			   struct tcpdrop_owner_net *net)
{
	if (!tcpdrop_mptcp_own(conn, net))
		return;
	conn->open = !claim_subflows(conn);
	if (!conn->open) {
		if (is_to_end(d, conn))
			conn->ended = tcpdrop_mptcp_end(conn);
		unclaim_subflows(conn);
	}
	/* Its application may connect anew as soon as it has it back. */
	if (conn->ended)
		count_subflows(d, conn);
	release_sock(conn->sk);
}

static void unwatch_connections(struct tcpdrop_mptcp_set *conns)
{
	struct tcpdrop_mptcp *conn;

	list_for_each_entry(conn, &conns->list, list)
		tcpdrop_owner_unwatch(&conn->catch);
}

/* To end what has lost its subflows already takes no time of its own. */
static void wait_for_turn(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns,
			  const struct tcpdrop_mptcp *conn)
{
	if (list_empty(&conn->subflows) || tcpdrop_pace_is_due(&d->pace))
		return;
	unwatch_connections(conns);
	may_drop(d);
}

/* Returns whether there is any left that has an owner. */
static bool try_connections(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns,
			    struct tcpdrop_owner_net *net)
{
	struct tcpdrop_mptcp *conn;
	bool left = false;

	list_for_each_entry(conn, &conns->list, list) {
		cond_resched();
		if (!conn->open)
			continue;
		wait_for_turn(d, conns, conn);
		try_connection(d, conn, net);
		left = left || conn->open;
	}
	return left;
}

static void try_open_connections(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns)
{
	unsigned long before = owners_time(d);
	struct tcpdrop_owner_net net;

	if (tcpdrop_mptcp_count(conns, &d->walk)) {
		tcpdrop_drop_stop(d, -ENOMEM);
		return;
	}
	tcpdrop_owner_net_init(&net);
	while (try_connections(d, conns, &net) && d->mptcp_patience && !must_stop(d))
		wait_for_owners(d, &net, &before, &d->mptcp_patience);
	unwatch_connections(conns);
}

/* Half of the time for owners is kept for what is to be ended later, which may just be busy. */
static void drop_connections(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns)
{
	unsigned long kept = d->mptcp_patience / 2;
	struct tcpdrop_deferred *it;
	struct tcpdrop_mptcp *conn;

	list_for_each_entry(it, &d->deferred.list, list)
		note_connection(d, conns, it);
	if (list_empty(&conns->list) || d->walk.rule->options.silent)
		return;
	list_for_each_entry(conn, &conns->list, list)
		conn->open = true;
	d->mptcp_patience -= kept;
	try_open_connections(d, conns);
	d->mptcp_patience += kept;
}

/* Those whose subflows were dropped one by one. */
static void end_connections(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns)
{
	struct tcpdrop_mptcp *conn;
	bool any = false;

	list_for_each_entry(conn, &conns->list, list) {
		conn->open = conn->dropped && !conn->ended;
		any = any || conn->open;
	}
	if (any)
		try_open_connections(d, conns);
}

/* What was deferred has its turn again. */

/* To silence a listener takes a sleep. */
static void prepare_to_silence(struct tcpdrop_dropper *d)
{
	if (d->walk.rule->options.silent)
		let_go_of_caught(d);
}

static void look_again(struct tcpdrop_dropper *d, struct tcpdrop_deferred *it)
{
	unsigned long bucket = it->entry.bucket;

	if (it->exact)
		look_for(d, &it->entry.conn);
	d->turns = it->turns;
	tcpdrop_deferred_remove(&d->deferred, it);
	if (d->walk.rule->states & TCPF_LISTEN)
		prepare_to_silence(d);
	drop_bucket(d, bucket, 0);
	d->turns = 0;
}

static enum tcpdrop_abort_verdict catch_and_abort(struct tcpdrop_dropper *d,
						  struct tcpdrop_deferred *it)
{
	if (!it->catch.sk)
		tcpdrop_owner_watch(&it->catch, &d->net, it->entry.sk);
	d->watches = true;
	if (!tcpdrop_owner_caught(&it->catch))
		return tcpdrop_abort_busy(&d->walk, &it->entry);
	if (inet_sk_state_load(it->entry.sk) == TCP_LISTEN)
		prepare_to_silence(d);
	return abort_one(d, &it->entry, ABORT_SOCK);
}

static void try_again(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns,
		      struct tcpdrop_deferred *it)
{
	struct sock *sk = it->entry.sk;

	if (it->failed)
		return;
	if (sk && tcpdrop_protect_find_linked(sk)) {
		tcpdrop_deferred_remove(&d->deferred, it);
		return;
	}
	note_connection(d, conns, it);
	if (!sk) {
		look_again(d, it);
	} else if (sk_fullsock(sk) && !is_child(it)) {
		note_verdict(d, it, catch_and_abort(d, it));
	} else {
		/* A subflow that was watched has lost its process: MPTCP may want it. */
		tcpdrop_owner_unwatch(&it->catch);
		note_verdict(d, it, abort_one(d, &it->entry, ABORT_NOTHING));
	}
}

/*
 * Whatever is deferred meanwhile has its turn in the next round.  Returns whether there is
 * anything left to try.
 */
static bool try_all(struct tcpdrop_dropper *d, struct tcpdrop_mptcp_set *conns)
{
	struct tcpdrop_deferred *it, *next, *last;
	bool is_last, left = false;

	drop_children(d);
	last = list_last_entry(&d->deferred.list, struct tcpdrop_deferred, list);
	list_for_each_entry_safe(it, next, &d->deferred.list, list) {
		if (!may_drop(d))
			return false;
		is_last = it == last;
		try_again(d, conns, it);
		if (is_last)
			break;
	}
	list_for_each_entry(it, &d->deferred.list, list)
		left = left || !it->failed;
	return left;
}

/* A bucket has all its turns, whether there is any time left to wait for owners. */
static bool has_bucket(const struct tcpdrop_dropper *d)
{
	const struct tcpdrop_deferred *it;

	list_for_each_entry(it, &d->deferred.list, list)
		if (!it->entry.sk)
			return true;
	return false;
}

/**
 * tcpdrop_drop_settle() - come back to all that was deferred
 * @d: who drops; has nothing deferred any more then
 * @patience: how long to wait for owners, in jiffies; what was waited is taken
 *            off it
 *
 * Who is busy then, and what could not be dropped before, has failed, but for
 * what has ended by itself, or come to be protected, or matches no more.
 *
 * Context: process context; sleeps.
 */
void tcpdrop_drop_settle(struct tcpdrop_dropper *d, unsigned long *patience)
{
	unsigned long before = owners_time(d);
	struct tcpdrop_mptcp_set conns;
	struct tcpdrop_deferred *it;

	if (list_empty(&d->deferred.list))
		return;

	tcpdrop_mptcp_init(&conns);
	drop_connections(d, &conns);
	tcpdrop_owner_net_init(&d->net);
	while (try_all(d, &conns) && (*patience || has_bucket(d)))
		wait_for_owners(d, &d->net, &before, patience);

	list_for_each_entry(it, &d->deferred.list, list)
		if (it->entry.sk && !limit_reached(d) &&
		    tcpdrop_walk_rematch(&d->walk, it->entry.sk, &it->entry.conn))
			count_failed(d, &it->entry);
	tcpdrop_deferred_free(&d->deferred);
	end_connections(d, &conns);
	tcpdrop_mptcp_free(&conns);
}
