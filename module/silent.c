// SPDX-License-Identifier: GPL-2.0
/*
 * Aborts of which the peer hears nothing.
 *
 * Whatever a full socket sends goes through its icsk_af_ops.  For as long as
 * the kernel aborts it, it has a copy of those whose queue_xmit() frees what it
 * is given: TCP does all that it does, and no segment leaves.
 *
 * Whoever reads or changes icsk_af_ops owns the socket or has its spinlock, but
 * for setsockopt() and getsockopt(), which take the pointer without a lock.  So
 * the copies stay for as long as the module does.
 *
 * Where tcp_abort() has to take the ownership that we give up for it, anybody can
 * come first in that moment.  What is sent then is lost as well, on a
 * connection that is about to be; and the operations that a socket is given
 * then, because it connects anew, it keeps.
 */
#include <linux/bottom_half.h>
#include <linux/compiler.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <net/dst.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "silent.h"

/* TCP has three kinds of operations, MPTCP three and SMC two more; and some to spare. */
#define MAX_COPIES	16

/* How many places of an accept queue are looked at with bottom halves off. */
#define CHILDREN_AT_ONCE 64

static DEFINE_SPINLOCK(copies_lock); /* protects what follows; a leaf */
static struct inet_connection_sock_af_ops copies[MAX_COPIES];
static unsigned int nr_copies;

static int silent_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl)
{
	kfree_skb(skb);
	return 0;
}

/* The SYN has not been heard. */
static int silent_conn_request(struct sock *sk, struct sk_buff *skb)
{
	return 0;
}

/*
 * A child would have the operations of its listener, and keep them.  Who brings a route, as
 * a cookie does, leaves it to this function whatever becomes of the child.
 */
static struct sock *silent_syn_recv_sock(SYN_RECV_SOCK_ARGS)
{
	dst_release(dst);
	return NULL;
}

/*
 * By content, not by place: SMC has its operations in each of its sockets.
 * Bytewise, padding included, so memcpy() instead of an assignment.
 */
static const struct inet_connection_sock_af_ops *
copy_of(const struct inet_connection_sock_af_ops *ops)
{
	struct inet_connection_sock_af_ops copy;
	unsigned int i;

	memcpy(&copy, ops, sizeof(copy));
	copy.queue_xmit = silent_xmit;
	copy.conn_request = silent_conn_request;
	copy.syn_recv_sock = silent_syn_recv_sock;

	spin_lock_bh(&copies_lock);
	for (i = 0; i < nr_copies; i++)
		if (!memcmp(&copies[i], &copy, sizeof(copy)))
			break;
	if (i == nr_copies && i < MAX_COPIES) {
		memcpy(&copies[i], &copy, sizeof(copy));
		nr_copies++;
	}
	spin_unlock_bh(&copies_lock);
	return i < MAX_COPIES ? &copies[i] : NULL;
}

/* The caller owns the socket, or has its spinlock while nobody can own it. */
static int mute(struct tcpdrop_silent_sock *s, struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	s->sk = sk;
	s->was = icsk->icsk_af_ops;
	s->now = copy_of(s->was);
	if (!s->now)
		return -ENOSPC;
	WRITE_ONCE(icsk->icsk_af_ops, s->now);
	return 0;
}

/* Whoever owns it may have given it others, which it keeps. */
static void unmute(const struct tcpdrop_silent_sock *s)
{
	if (s->now)
		cmpxchg(&inet_csk(s->sk)->icsk_af_ops, s->now, s->was);
}

/* A child that was made of a listener when that had been muted has its operations. */
static void give_back_inherited(const struct tcpdrop_silence *silence, struct sock *child)
{
	cmpxchg(&inet_csk(child)->icsk_af_ops, silence->own.now, silence->own.was);
}

/*
 * Who adds to the queue holds its lock, who takes from it owns the listener,
 * as our caller does: so a place in it lasts.  What there is no room for sends
 * what it would.
 */
static void note_children(struct tcpdrop_silence *silence, struct sock *listener,
			  unsigned int max)
{
	struct request_sock_queue *queue = &inet_csk(listener)->icsk_accept_queue;
	struct request_sock *req, *place = NULL;
	unsigned int looked;

	do {
		spin_lock_bh(&queue->rskq_lock);
		req = place ? place->dl_next : queue->rskq_accept_head;
		for (looked = 0; req && looked < CHILDREN_AT_ONCE; looked++) {
			give_back_inherited(silence, req->sk);
			if (silence->nr < max) {
				sock_hold(req->sk);
				silence->children[silence->nr++].sk = req->sk;
			}
			place = req;
			req = req->dl_next;
		}
		spin_unlock_bh(&queue->rskq_lock);
	} while (req);
}

/*
 * The kernel resets the children of a listener that it closes.  The listener
 * makes no new ones: whoever looked before what to call, to make one, does so
 * as a reader of RCU, and has put it into the queue when that has come to its end.
 */
static int mute_children(struct tcpdrop_silence *silence, struct sock *listener)
{
	struct sock *child;
	unsigned int i, max;
	int ret = 0;

	synchronize_rcu();
	max = READ_ONCE(listener->sk_ack_backlog);
	silence->children = kvcalloc(max, sizeof(*silence->children),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!silence->children) {
		note_children(silence, listener, 0);
		return -ENOMEM;
	}

	note_children(silence, listener, max);
	for (i = 0; i < silence->nr && !ret; i++) {
		child = silence->children[i].sk;
		spin_lock_bh(&child->sk_lock.slock);
		ret = mute(&silence->children[i], child);
		spin_unlock_bh(&child->sk_lock.slock);
	}
	return ret;
}

/**
 * tcpdrop_silence_begin() - have a socket send nothing
 * @silence: to be ended by tcpdrop_silence_end(), also if this fails
 * @sk: a full socket that the caller owns, on which it has a reference and keeps it
 *
 * Of a listener the children too, since they end with it.
 *
 * Context: process context; may sleep.
 * Return: 0; -ENOMEM; -ENOSPC if there are more kinds of sockets than are known;
 * -EOPNOTSUPP for a listener of MPTCP.
 */
int tcpdrop_silence_begin(struct tcpdrop_silence *silence, struct sock *sk)
{
	int ret;

	*silence = (struct tcpdrop_silence){};
	/* The kernel ends none of MPTCP, and of their children those that join are in no queue. */
	if (sk->sk_state == TCP_LISTEN && sk_is_mptcp(sk))
		return -EOPNOTSUPP;
	ret = mute(&silence->own, sk);
	if (!ret && sk->sk_state == TCP_LISTEN)
		ret = mute_children(silence, sk);
	return ret;
}

/**
 * tcpdrop_silence_end() - let a socket send again, if it ever does
 * @silence: of tcpdrop_silence_begin(), or all zero; all zero afterwards
 *
 * Context: process context; does not sleep. The caller need not own the socket.
 */
void tcpdrop_silence_end(struct tcpdrop_silence *silence)
{
	unsigned int i;

	unmute(&silence->own);
	for (i = 0; i < silence->nr; i++) {
		unmute(&silence->children[i]);
		sock_put(silence->children[i].sk);
	}
	kvfree(silence->children);
	*silence = (struct tcpdrop_silence){};
}

/**
 * tcpdrop_silent_exit() - wait until nobody uses a copy any more
 *
 * No socket has one, but a task may have been preempted in setsockopt() between
 * taking the pointer and looking there.  Such a task has not slept since.
 *
 * Context: process context, when nothing can be aborted any more; sleeps.
 */
void tcpdrop_silent_exit(void)
{
	if (nr_copies)
		synchronize_rcu_tasks();
}
