// SPDX-License-Identifier: GPL-2.0
/*
 * The abort of one socket.
 *
 * The kernel's own abort, the one behind ss -K, does most of it.  What that
 * leaves undone on some kernels is done here, so that on all of them every
 * kind of socket goes, with an owner or without, and nothing is left of it.
 */
#include <linux/bottom_half.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/hash.h>
#include <linux/in.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/tcp.h>
#include <net/inet_timewait_sock.h>
#include <net/mptcp.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "abort.h"
#include "compat.h"
#include "walk.h"

/*
 * Does tcp_abort() tell a socket that had been closed before from one that it
 * closes?  Before 6.12 (6.1.132 in that series) it does not, and of a socket
 * without an owner it empties the queue, says that all is well, and leaves
 * the socket where it is, for ever.  Set once, at load.
 */
static bool abort_is_exact __ro_after_init;

/*
 * The sockets that are being aborted.  Most aborts do not tell whether the
 * socket had been gone already, so only one task at a time may look, abort and
 * look again: no two of them then count the same socket.
 */
struct claim {
	struct hlist_node node;
	const struct sock *sk;
};

/* Workers on different sockets seldom meet in the same list. */
#define CLAIM_BITS	6

static struct claim_list {
	spinlock_t lock; /* protects head; a leaf */
	struct hlist_head head;
} claims[1 << CLAIM_BITS];

static struct claim_list *claim_list(const struct claim *claim)
{
	return &claims[hash_ptr(claim->sk, CLAIM_BITS)];
}

static bool claim_take(struct claim *claim)
{
	struct claim_list *list = claim_list(claim);
	const struct claim *other;
	bool taken = false;

	spin_lock(&list->lock);
	hlist_for_each_entry(other, &list->head, node)
		taken = taken || other->sk == claim->sk;
	if (!taken)
		hlist_add_head(&claim->node, &list->head);
	spin_unlock(&list->lock);
	return !taken;
}

static void claim_drop(struct claim *claim)
{
	struct claim_list *list = claim_list(claim);

	spin_lock(&list->lock);
	hlist_del(&claim->node);
	spin_unlock(&list->lock);
}

/* The protocol's own function: MPTCP subflows have one of theirs. */
static int kernel_abort(struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->diag_destroy(sk, ECONNABORTED);
}

/* What tcp_abort() does from 6.1.132 and 6.12 on; 5.10 refuses minisocks. */
static enum abort_verdict abort_time_wait(struct sock *sk)
{
	struct inet_timewait_sock *tw = inet_twsk(sk);

	refcount_inc(&tw->tw_refcnt);
	local_bh_disable();
	inet_twsk_deschedule_put(tw);
	local_bh_enable();
	return walk_is_linked(sk) ? ABORT_FAILED : ABORT_DONE;
}

/* A request that is gone may have become a connection instead. */
static enum abort_verdict abort_request(const struct walk *walk,
					const struct batch_entry *entry)
{
	kernel_abort(entry->sk);
	if (walk_is_linked(entry->sk))
		return ABORT_FAILED;
	return walk_has_successor(walk, entry->sk, &entry->conn) ? ABORT_GONE : ABORT_DONE;
}

/*
 * Still linked after an abort that succeeded: either the owner has connected
 * the socket anew, which is not our business, or it has no owner and was
 * spared.  Both locks, as in tcp_abort(): one against close(), one against the
 * listener of a child that nobody has accepted.
 */
static enum abort_verdict abort_orphan(struct sock *sk)
{
	bool destroyed = true;

	lock_sock(sk);
	local_bh_disable();
	bh_lock_sock(sk);
	if (sock_flag(sk, SOCK_DEAD) && sk->sk_state != TCP_CLOSE)
		destroyed = destroy_orphan(sk);
	bh_unlock_sock(sk);
	local_bh_enable();
	release_sock(sk);
	return destroyed ? ABORT_DONE : ABORT_FAILED;
}

/*
 * A connection that waits to be accepted.  Not MPTCP's, whose socket for the
 * application is another one.
 */
static bool is_child(const struct sock *sk)
{
	return !READ_ONCE(sk->sk_socket) && !sock_flag(sk, SOCK_DEAD) && !sk_is_mptcp(sk);
}

/*
 * An aborted socket remembers its peer and what it has received, and cannot be
 * connected anew; a disconnected one does not and can.
 */
static bool disconnect_child(struct sock *sk)
{
	u32 copied_seq = tcp_sk(sk)->copied_seq;
	__be16 dport = sk->sk_dport;
	struct sk_buff_head received;
	int ret;

	__skb_queue_head_init(&received);
	skb_queue_splice_init(&sk->sk_receive_queue, &received);
	sk->sk_userlocks |= SOCK_BINDADDR_LOCK;
	ret = sk->sk_prot->disconnect(sk, O_NONBLOCK);
	skb_queue_splice(&received, &sk->sk_receive_queue);
	if (ret)
		return false;

	WRITE_ONCE(tcp_sk(sk)->copied_seq, copied_seq);
	sk->sk_dport = dport;
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	WRITE_ONCE(sk->sk_err, ECONNABORTED);
	return true;
}

/*
 * A listener that is closed ends its children under their spinlock, whoever
 * owns them: it warns of an owner, and tcp_abort(), which becomes one, would
 * then destroy the child once more.  So we do as the listener does, and own
 * nothing.
 */
static enum abort_verdict abort_child(struct sock *sk)
{
	enum abort_verdict verdict = ABORT_BUSY;

	local_bh_disable();
	bh_lock_sock(sk);
	if (sk->sk_state == TCP_CLOSE)
		verdict = ABORT_GONE;
	else if (is_child(sk) && !sock_owned_by_user(sk))
		verdict = disconnect_child(sk) ? ABORT_DONE : ABORT_FAILED;
	bh_unlock_sock(sk);
	local_bh_enable();
	return verdict;
}

static bool is_closed(struct sock *sk)
{
	bool closed;

	lock_sock(sk);
	closed = sk->sk_state == TCP_CLOSE;
	release_sock(sk);
	return closed;
}

/*
 * An abort that is not exact must not reach a socket that is closed, whose
 * error it would overwrite; and in the moment that is left between the two, a
 * minisock may have taken the socket's place.
 */
static enum abort_verdict abort_full(const struct walk *walk,
				     const struct batch_entry *entry)
{
	struct sock *sk = entry->sk;
	int ret;

	if (!abort_is_exact && is_closed(sk))
		return ABORT_GONE;

	ret = kernel_abort(sk);
	if (ret == -ENOENT)
		return ABORT_GONE;
	if (ret)
		return ABORT_FAILED;
	if (walk_is_linked(sk))
		return abort_orphan(sk);
	if (!abort_is_exact && walk_has_successor(walk, sk, &entry->conn))
		return ABORT_GONE;
	return ABORT_DONE;
}

static enum abort_verdict abort_claimed(const struct walk *walk,
					struct batch_entry *entry)
{
	struct sock *sk = entry->sk;

	if (!walk_rematch(walk, sk, &entry->conn))
		return ABORT_GONE;

	switch (inet_sk_state_load(sk)) {
	case TCP_TIME_WAIT:
		return abort_time_wait(sk);
	case TCP_NEW_SYN_RECV:
		return abort_request(walk, entry);
	default:
		/* To lock it would mean to sleep, deaf to signals, till it is let go. */
		if (sock_owned_by_user_nocheck(sk))
			return ABORT_BUSY;
		return is_child(sk) ? abort_child(sk) : abort_full(walk, entry);
	}
}

/**
 * abort_sock() - drop a socket that had matched
 * @walk: the walk that found it
 * @entry: the socket, on which the caller has a reference and keeps it, and its
 *         facts when it matched; its state is brought up to date
 *
 * Context: process context; may sleep.
 * Return: what became of it.
 */
enum abort_verdict abort_sock(const struct walk *walk, struct batch_entry *entry)
{
	struct claim claim = { .sk = entry->sk };
	enum abort_verdict verdict;

	if (!claim_take(&claim))
		return ABORT_BUSY;
	verdict = abort_claimed(walk, entry);
	claim_drop(&claim);
	return verdict;
}

/**
 * abort_init() - prepare, and find out what the kernel's abort can do
 *
 * A stable release may bring a new tcp_abort() under an old version, so it is
 * tried on a socket that was never connected.
 *
 * Context: process context, when the module is loaded.
 * Return: 0, or a negative errno if no socket could be made.
 */
int __init abort_init(void)
{
	struct socket *sock;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(claims); i++)
		spin_lock_init(&claims[i].lock);

	ret = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (ret)
		return ret;

	abort_is_exact = kernel_abort(sock->sk) == -ENOENT;
	sock_release(sock);
	return 0;
}
