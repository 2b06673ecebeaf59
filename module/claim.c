// SPDX-License-Identifier: GPL-2.0
/*
 * Which sockets are being dropped.
 *
 * Most aborts do not tell whether the socket had been gone already, so only one
 * task at a time may look, abort and look again: no two of them then count the
 * same socket.  And who forbids a drop can wait for those that had looked before.
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <net/sock.h>

#include "claim.h"

/*
 * How long to wait for aborts that are under way, in ticks: far longer than any
 * lasts that is not for an owner who came in the last moment and got stuck.
 */
#define PATIENCE	(10 * HZ)

/* Workers on different sockets seldom meet in the same list. */
#define CLAIM_BITS	6

static struct claim_list {
	spinlock_t lock; /* protects head; a leaf */
	struct hlist_head head;
} claims[1 << CLAIM_BITS];

static struct claim_list *claim_list(const struct sock *sk)
{
	return &claims[hash_ptr(sk, CLAIM_BITS)];
}

/**
 * tcpdrop_claim_take() - be the one who drops a socket
 * @claim: not taken; stays where it is until tcpdrop_claim_drop()
 * @sk: the socket, on which the caller has a reference until then
 *
 * Context: process context; does not sleep.
 * Return: false if somebody else is that already.
 */
bool tcpdrop_claim_take(struct tcpdrop_claim *claim, const struct sock *sk)
{
	struct claim_list *list = claim_list(sk);
	const struct tcpdrop_claim *other;
	bool taken = false;

	spin_lock(&list->lock);
	hlist_for_each_entry(other, &list->head, node)
		taken = taken || other->sk == sk;
	if (!taken) {
		claim->sk = sk;
		hlist_add_head(&claim->node, &list->head);
	}
	spin_unlock(&list->lock);
	return !taken;
}

/**
 * tcpdrop_claim_drop() - be that no more
 * @claim: taken or not
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_claim_drop(struct tcpdrop_claim *claim)
{
	struct claim_list *list;

	if (!claim->sk)
		return;
	list = claim_list(claim->sk);
	spin_lock(&list->lock);
	hlist_del(&claim->node);
	spin_unlock(&list->lock);
	claim->sk = NULL;
}

static bool is_any_claimed(tcpdrop_claim_concerns_t concerns, const void *arg)
{
	const struct tcpdrop_claim *claim;
	bool found = false;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(claims) && !found; i++) {
		spin_lock(&claims[i].lock);
		hlist_for_each_entry(claim, &claims[i].head, node)
			found = found || concerns(claim->sk, arg);
		spin_unlock(&claims[i].lock);
	}
	return found;
}

/**
 * tcpdrop_claim_wait() - wait until no socket is being dropped that concerns the caller
 * @concerns: tells which do
 * @arg: passed on to it
 *
 * Whoever drops looks for the last time whether he may after he has claimed the
 * socket. So if this succeeds, all those that have not seen what the caller did
 * before it have ended.
 *
 * Context: process context; sleeps.
 * Return: 0; -EBUSY if it took too long, -EINTR if the process was killed meanwhile.
 */
int tcpdrop_claim_wait(tcpdrop_claim_concerns_t concerns, const void *arg)
{
	unsigned int ticks;

	for (ticks = 0; is_any_claimed(concerns, arg); ticks++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (ticks == PATIENCE)
			return -EBUSY;
		schedule_timeout_idle(1);
	}
	return 0;
}

/**
 * tcpdrop_claim_init() - prepare for claims
 *
 * Context: any, when the module is loaded.
 */
void __init tcpdrop_claim_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(claims); i++)
		spin_lock_init(&claims[i].lock);
}
