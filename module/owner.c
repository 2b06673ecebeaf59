// SPDX-License-Identifier: GPL-2.0
/*
 * Ownership of sockets.
 *
 * lock_sock() makes its caller the owner of a socket, and sleeps for as long
 * as there is another.  An owner that is stuck (a page fault in the middle of
 * a send that nobody serves) would hold up the caller for ever, so a commit
 * never waits in lock_sock() for an owner that it knows of.  To look now and
 * then whether the socket is free does not do either: a process that sends
 * without a pause is preempted with its socket locked, and whoever it wakes as
 * it unlocks comes too late.  So the socket is taken in the waker's own
 * context: release_sock() wakes its waiters under the socket's spinlock, right
 * after it has given up the ownership, and our wake function takes it there.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <net/mptcp.h>
#include <net/sock.h>

#include "owner.h"
#include "sock.h"

/**
 * tcpdrop_owner_try() - become the owner of a socket if it has none
 * @sk: the socket, on which the caller has a reference
 * @subclass: as for lock_sock_nested(): 0, or OWNER_LISTENER
 *
 * Context: process context; does not sleep.
 * Return: true if the caller owns it now, until release_sock() or
 * tcpdrop_owner_pass(); false if it has another owner.
 */
bool tcpdrop_owner_try(struct sock *sk, unsigned int subclass)
{
	bool taken;

	spin_lock_bh(&sk->sk_lock.slock);
	taken = !sock_owned_by_user_nocheck(sk);
	if (taken)
		sk->sk_lock.owned = 1;
	spin_unlock_bh(&sk->sk_lock.slock);
	if (taken)
		mutex_acquire(&sk->sk_lock.dep_map, subclass, 1, _RET_IP_);
	return taken;
}

/**
 * tcpdrop_owner_pass() - stop to own a socket, and wake nobody
 * @sk: the socket
 *
 * For the owner that calls what takes the ownership anew: those who sleep
 * until the socket is free do not get in between.  What came for the socket
 * meanwhile stays in its backlog for the next release_sock().
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_owner_pass(struct sock *sk)
{
	cond_resched();
	spin_lock_bh(&sk->sk_lock.slock);
	sock_release_ownership(sk);
	spin_unlock_bh(&sk->sk_lock.slock);
}

/**
 * tcpdrop_owner_wake() - wake those who wait to own a socket
 * @sk: the socket, on which the caller has a reference
 *
 * To be called at some time after tcpdrop_owner_pass(), in case that what was called
 * after it has not locked the socket and so woken them.
 *
 * Context: any.
 */
void tcpdrop_owner_wake(struct sock *sk)
{
	spin_lock_bh(&sk->sk_lock.slock);
	if (!sock_owned_by_user_nocheck(sk))
		wake_up(&sk->sk_lock.wq);
	spin_unlock_bh(&sk->sk_lock.slock);
}

/**
 * tcpdrop_owner_net_init() - prepare to catch sockets
 * @net: what the catches share
 */
void tcpdrop_owner_net_init(struct tcpdrop_owner_net *net)
{
	init_waitqueue_head(&net->wait);
	atomic_set(&net->caught, 0);
	net->closed = 0;
}

/**
 * tcpdrop_owner_net_close() - catch nothing for a moment
 * @net: what the catches share, open
 *
 * For the task that is about to give up a socket by tcpdrop_owner_pass() and may
 * have to sleep in lock_sock() for it.  Two such tasks could each catch, from an
 * owner that came in between, the socket that the other sleeps for.  But who
 * catches it finds under its spinlock that the net is open: after the one task has
 * given it up, so after that one's net was closed, and before the other's is.  Each
 * would have to have closed its net before the other.
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_owner_net_close(struct tcpdrop_owner_net *net)
{
	/* Before tcpdrop_owner_pass(); pairs with the look in take_if_free(). */
	smp_store_mb(net->closed, 1);
}

/**
 * tcpdrop_owner_net_open() - catch again
 * @net: what the catches share; what was free meanwhile is tried by
 *       tcpdrop_owner_caught()
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_owner_net_open(struct tcpdrop_owner_net *net)
{
	WRITE_ONCE(net->closed, 0);
}

/*
 * MPTCP, when it closes a listener, owns each subflow in the queue and turns it
 * into a socket of TCP, which the listener ends soon after: so that one stays
 * as it is until then.  Nobody is woken when that has happened.
 */
static bool is_turned(const struct sock *sk)
{
	return tcpdrop_sock_is_child(sk) && !sk_is_mptcp(sk);
}

static void take_if_free(struct tcpdrop_owner_catch *c)
{
	lockdep_assert_held(&c->sk->sk_lock.slock);

	if (c->caught || sock_owned_by_user_nocheck(c->sk))
		return;
	WRITE_ONCE(c->missed, READ_ONCE(c->net->closed) || is_turned(c->sk));
	if (c->missed)
		return;
	c->sk->sk_lock.owned = 1;
	WRITE_ONCE(c->caught, 1);
	atomic_inc(&c->net->caught);
	wake_up(&c->net->wait);
}

/* Called by release_sock() with the socket's spinlock held, and by tcpdrop_owner_wake(). */
static int catch_wake(struct wait_queue_entry *entry, unsigned int mode, int flags,
		      void *key)
{
	take_if_free(container_of(entry, struct tcpdrop_owner_catch, entry));
	return 0;
}

/**
 * tcpdrop_owner_net_wait() - sleep until a socket has been caught, for a tick at most
 * @net: what the catches share
 *
 * Context: process context; sleeps.
 */
void tcpdrop_owner_net_wait(struct tcpdrop_owner_net *net)
{
	DEFINE_WAIT(wait);

	prepare_to_wait(&net->wait, &wait, TASK_IDLE);
	if (!atomic_read(&net->caught))
		schedule_timeout(1);
	finish_wait(&net->wait, &wait);
}

static void look_now(struct tcpdrop_owner_catch *c)
{
	spin_lock_bh(&c->sk->sk_lock.slock);
	take_if_free(c);
	spin_unlock_bh(&c->sk->sk_lock.slock);
}

/**
 * tcpdrop_owner_watch() - catch a socket as soon as it has no owner
 * @c: the catch; must stay where it is until tcpdrop_owner_unwatch(), unless the
 *     socket is found to be caught before
 * @net: told when that has happened
 * @sk: a full socket, on which the caller has a reference and keeps it
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_owner_watch(struct tcpdrop_owner_catch *c, struct tcpdrop_owner_net *net,
			 struct sock *sk)
{
	*c = (struct tcpdrop_owner_catch){ .sk = sk, .net = net };
	init_waitqueue_func_entry(&c->entry, catch_wake);
	add_wait_queue(&sk->sk_lock.wq, &c->entry);
	look_now(c);
}

/* Waits for a wake function that runs, so that it is the owner or it is not. */
static bool stop_watching(struct tcpdrop_owner_catch *c)
{
	struct sock *sk = c->sk;

	remove_wait_queue(&sk->sk_lock.wq, &c->entry);
	c->sk = NULL;
	if (!c->caught)
		return false;
	atomic_dec(&c->net->caught);
	mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return true;
}

/**
 * tcpdrop_owner_caught() - has a socket been caught?
 * @c: the catch, watching
 *
 * Context: process context; does not sleep.
 * Return: true if the caller owns the socket now, until release_sock() or
 * tcpdrop_owner_pass(), and @c does not watch any more.
 */
bool tcpdrop_owner_caught(struct tcpdrop_owner_catch *c)
{
	if (READ_ONCE(c->missed))
		look_now(c);
	return READ_ONCE(c->caught) && stop_watching(c);
}

/**
 * tcpdrop_owner_unwatch() - give up on a socket
 * @c: the catch, watching or not; lets go of the socket if it has been caught
 *
 * Context: process context; may sleep.
 */
void tcpdrop_owner_unwatch(struct tcpdrop_owner_catch *c)
{
	struct sock *sk = c->sk;

	if (sk && stop_watching(c))
		release_sock(sk);
}
