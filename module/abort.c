// SPDX-License-Identifier: GPL-2.0
/*
 * The abort of one socket.
 *
 * The kernel's own abort, the one behind ss -K, does most of it.  What that
 * leaves undone on some kernels is done here, so that on all of them every
 * kind of socket goes, with an owner or without, and nothing is left of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bottom_half.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/spinlock.h>
#include <net/inet_timewait_sock.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "abort.h"
#include "claim.h"
#include "compat.h"
#include "owner.h"
#include "rule.h"
#include "silent.h"
#include "sock.h"
#include "walk.h"

/*
 * Does tcp_abort() tell a socket that had been closed before from one that it
 * closes?  Before 6.12 (6.1.132 in that series) it does not, and of a socket
 * without an owner it empties the queue, says that all is well, and leaves
 * the socket where it is, for ever.  Set once, at load.
 */
static bool abort_is_exact __ro_after_init;

/*
 * Does tcp_abort() leave the ownership of a socket to a caller in a BPF context?
 * It does since 6.5, for bpf_sock_destroy(); made use of if it is exact, too.
 * Set once, at load.
 */
static bool abort_leaves_owner __ro_after_init;

/* The protocol's own function: MPTCP subflows have one of theirs. */
static int kernel_abort(struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->diag_destroy(sk, ECONNABORTED);
}

/* In a BPF context, as for bpf_sock_destroy(). */
static int kernel_abort_in_ctx(struct sock *sk)
{
	struct bpf_run_ctx ctx = {}, *outer;
	int ret;

	outer = bpf_set_run_ctx(&ctx);
	ret = kernel_abort(sk);
	bpf_reset_run_ctx(outer);
	return ret;
}

/*
 * What tcp_abort() does from 6.1.132 and 6.12 on; 5.10 refuses minisocks.  One that is linked
 * afterwards is being ended by somebody else, who has stopped its timer.
 */
static enum tcpdrop_abort_verdict abort_time_wait(struct sock *sk)
{
	struct inet_timewait_sock *tw = inet_twsk(sk);

	refcount_inc(&tw->tw_refcnt);
	local_bh_disable();
	inet_twsk_deschedule_put(tw);
	local_bh_enable();
	return tcpdrop_sock_is_linked(sk) ? ABORT_BUSY : ABORT_DONE;
}

/* A request that is gone may have become a connection instead. */
static enum tcpdrop_abort_verdict abort_request(const struct tcpdrop_batch_entry *entry)
{
	kernel_abort(entry->sk);
	if (tcpdrop_sock_is_linked(entry->sk))
		return ABORT_FAILED;
	if (tcpdrop_walk_has_successor(entry->sk, &entry->conn))
		return ABORT_GONE;
	return ABORT_DONE;
}

/*
 * An orphan, under the lock of its owner: what an abort that is not exact
 * spares, but empties.  Both locks, as in tcp_abort(): the owner's against
 * close(), the other against timers and what comes in.
 */
static enum tcpdrop_abort_verdict abort_orphan(struct sock *sk)
{
	enum tcpdrop_abort_verdict verdict = ABORT_GONE;

	local_bh_disable();
	bh_lock_sock(sk);
	if (sk->sk_state != TCP_CLOSE)
		verdict = destroy_orphan(sk) ? ABORT_DONE : ABORT_FAILED;
	bh_unlock_sock(sk);
	local_bh_enable();
	return verdict;
}

static bool is_silent(const struct tcpdrop_walk *walk)
{
	return walk->rule->options.silent;
}

/**
 * tcpdrop_abort_may_wait() - can the abort of a socket have to wait for its owner?
 * @sk: the socket, on which the caller has a reference
 *
 * Of a listener everywhere: in a BPF context the kernel ends all its children
 * without giving up the CPU.
 *
 * Context: any.
 * Return: true if tcp_abort() has to own @sk itself, so that the owner who comes in
 * between, if one does, has to let go first.
 */
bool tcpdrop_abort_may_wait(const struct sock *sk)
{
	return !abort_leaves_owner || inet_sk_state_load(sk) == TCP_LISTEN;
}

/*
 * What the kernel's abort says of it.  One that is not exact does not tell a
 * socket that close() has made an orphan of in the moment before it, or whose
 * place a minisock has taken: the next look finds what there is.
 */
static enum tcpdrop_abort_verdict verdict_of(const struct tcpdrop_batch_entry *entry, int ret)
{
	struct sock *sk = entry->sk;

	if (ret == -ENOENT)
		return ABORT_GONE;
	if (ret)
		return ABORT_FAILED;
	if (!abort_is_exact &&
	    (tcpdrop_sock_is_linked(sk) || tcpdrop_walk_has_successor(sk, &entry->conn)))
		return ABORT_GONE;
	return ABORT_DONE;
}

/*
 * The abort of a socket that we own, or, where tcp_abort() has to own it, what
 * comes before.  Nobody can close it or connect it anew meanwhile, so this is the
 * last word on whether it matches.
 */
static enum tcpdrop_abort_verdict abort_begin(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry,
					      struct tcpdrop_silence *silence,
					      bool *passed)
{
	struct sock *sk = entry->sk;
	enum tcpdrop_abort_verdict verdict = ABORT_GONE;
	bool matches = tcpdrop_walk_rematch(walk, sk, &entry->conn);

	if (matches && is_silent(walk) && tcpdrop_silence_begin(silence, sk)) {
		verdict = ABORT_FAILED;
	} else if (matches && !tcpdrop_abort_may_wait(sk)) {
		verdict = verdict_of(entry, kernel_abort_in_ctx(sk));
	} else if (matches && (abort_is_exact || !sock_flag(sk, SOCK_DEAD))) {
		*passed = true;
		tcpdrop_owner_pass(sk);
		return ABORT_DONE;
	} else if (matches) {
		verdict = abort_orphan(sk);
	}
	tcpdrop_silence_end(silence);
	release_sock(sk);
	return verdict;
}

/**
 * tcpdrop_abort_busy() - what is there to say of a socket that has an owner?
 * @walk: the walk that found it
 * @entry: as for tcpdrop_abort_sock()
 *
 * Nobody who waits for its owner to let go has to, if it matches no more.
 *
 * Context: any; no lock is needed.
 * Return: ABORT_BUSY if it still matches, else ABORT_GONE.
 */
enum tcpdrop_abort_verdict tcpdrop_abort_busy(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry)
{
	return tcpdrop_walk_rematch(walk, entry->sk, &entry->conn) ? ABORT_BUSY : ABORT_GONE;
}

static enum tcpdrop_abort_verdict abort_full(const struct tcpdrop_walk *walk,
					     struct tcpdrop_batch_entry *entry, bool owned)
{
	struct sock *sk = entry->sk;
	struct tcpdrop_silence silence = {};
	enum tcpdrop_abort_verdict verdict;
	bool passed = false;

	if (!owned && !tcpdrop_owner_try(sk, 0))
		return tcpdrop_abort_busy(walk, entry);

	verdict = abort_begin(walk, entry, &silence, &passed);
	if (passed) {
		verdict = verdict_of(entry, kernel_abort(sk));
		tcpdrop_silence_end(&silence);
		tcpdrop_owner_wake(sk);
	}
	return verdict;
}

/*
 * A listener that is closed ends its children under their spinlock, and warns
 * if one has an owner; tcp_abort(), which becomes one, would then destroy the
 * child once more.  The listener is closed by its owner, and accept() is the
 * owner as well, so neither comes while we are.
 */
static enum tcpdrop_abort_verdict abort_child(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry,
					      enum tcpdrop_abort_owned owned)
{
	return owned == ABORT_LISTENER ? abort_full(walk, entry, false) : ABORT_BUSY;
}

static enum tcpdrop_abort_verdict abort_claimed(const struct tcpdrop_walk *walk,
						struct tcpdrop_batch_entry *entry,
						enum tcpdrop_abort_owned owned)
{
	struct sock *sk = entry->sk;

	if (owned == ABORT_SOCK)
		return abort_full(walk, entry, true);
	/* Lest others run between the looks and the lock, and it has an owner, or other ends. */
	cond_resched();
	if (sk_fullsock(sk) && !tcpdrop_sock_is_child(sk))
		return abort_full(walk, entry, false);
	if (!tcpdrop_walk_rematch(walk, sk, &entry->conn))
		return ABORT_GONE;

	switch (inet_sk_state_load(sk)) {
	case TCP_TIME_WAIT:
		return abort_time_wait(sk);
	case TCP_NEW_SYN_RECV:
		return abort_request(entry);
	default:
		return abort_child(walk, entry, owned);
	}
}

/**
 * tcpdrop_abort_sock() - drop a socket that had matched
 * @walk: the walk that found it
 * @entry: the socket, on which the caller has a reference and keeps it, and its
 *         facts when it matched; its state is brought up to date
 * @owned: what the caller owns
 *
 * Does not wait for an owner, but for one that comes in the last moment, see
 * tcpdrop_abort_may_wait().
 *
 * Context: process context; may sleep.
 * Return: what became of it.
 */
enum tcpdrop_abort_verdict tcpdrop_abort_sock(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry,
					      enum tcpdrop_abort_owned owned)
{
	struct tcpdrop_claim claim = {};
	enum tcpdrop_abort_verdict verdict;

	if (!tcpdrop_claim_take(&claim, entry->sk)) {
		if (owned == ABORT_SOCK)
			release_sock(entry->sk);
		return ABORT_BUSY;
	}
	verdict = abort_claimed(walk, entry, owned);
	tcpdrop_claim_drop(&claim);
	return verdict;
}

static int __init note_unlock(struct wait_queue_entry *entry, unsigned int mode, int flags,
			      void *key)
{
	*(bool *)entry->private = true;
	return 0;
}

/* Whoever lets go of a socket wakes those who wait for it. */
static bool __init unlocks(struct sock *sk, int (*abort)(struct sock *sk))
{
	struct wait_queue_entry entry = { .func = note_unlock };
	bool unlocked = false;

	entry.private = &unlocked;
	INIT_LIST_HEAD(&entry.entry);
	add_wait_queue(&sk->sk_lock.wq, &entry);
	abort(sk);
	remove_wait_queue(&sk->sk_lock.wq, &entry);
	return unlocked;
}

/**
 * tcpdrop_abort_init() - prepare, and find out what the kernel's abort can do
 *
 * A stable release may bring a new tcp_abort() under an old version, so it is
 * tried on a socket that was never connected.
 *
 * Context: process context, when the module is loaded.
 * Return: 0; -EOPNOTSUPP if orphans would be emptied and left for ever;
 * another negative errno if no socket could be made.
 */
int __init tcpdrop_abort_init(void)
{
	struct socket *sock;
	int ret;

	ret = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (ret)
		return ret;

	abort_is_exact = kernel_abort(sock->sk) == -ENOENT;
	abort_leaves_owner = abort_is_exact && unlocks(sock->sk, kernel_abort) &&
			     !unlocks(sock->sk, kernel_abort_in_ctx);
	sock_release(sock);
	if (!abort_is_exact && !can_destroy_orphan()) {
		pr_err("this kernel's tcp_abort() leaves orphans behind, and a module cannot end them\n");
		return -EOPNOTSUPP;
	}
	return 0;
}
