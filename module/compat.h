/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that tcpdrop builds for; the only place
 * with tests of what Kbuild has found in their headers.
 */
#ifndef TCPDROP_COMPAT_H
#define TCPDROP_COMPAT_H

#include <linux/bpf.h>
#include <linux/net.h>
#include <linux/proc_fs.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/sock.h>
#include <net/tcp.h>

/*
 * TCPDROP_NO_LHASH2_NULLS: lhash2 does not chain listeners by their nulls
 * node, but listening_hash does.
 * Since 5.19 lhash2 is the only table; delete with support for 5.10 and 5.15.
 */
#ifdef KERNEL_HAS_listening_hash
#define TCPDROP_NO_LHASH2_NULLS
#endif

/*
 * TCPDROP_NO_PDE_DATA: pde_data() is called PDE_DATA().
 * Renamed in 5.17; delete with support for 5.10 and 5.15.
 */
#ifndef KERNEL_HAS_pde_data
#define TCPDROP_NO_PDE_DATA
#endif

/*
 * TCPDROP_DEATH_ROW_POINTER: a namespace has a pointer to its death row, not
 * the death row itself.
 * From 5.18 to 6.0; delete with support for these.
 */
#ifdef KERNEL_HAS_death_row_pointer
#define TCPDROP_DEATH_ROW_POINTER
#endif

#ifdef TCPDROP_NO_PDE_DATA
#define pde_data(inode) PDE_DATA(inode)
#endif

/*
 * TCPDROP_SOCK_FROM_FILE_ERR: sock_from_file() tells in a second argument why a
 * file is no socket.
 * It does not since 5.11; delete with support for 5.10.
 */
#ifdef KERNEL_HAS_sock_from_file_err
#define TCPDROP_SOCK_FROM_FILE_ERR
#endif

static inline struct socket *file_socket(struct file *file)
{
#ifdef TCPDROP_SOCK_FROM_FILE_ERR
	int err;

	return sock_from_file(file, &err);
#else
	return sock_from_file(file);
#endif
}

static inline struct inet_hashinfo *net_hashinfo(const struct net *net)
{
#ifdef TCPDROP_DEATH_ROW_POINTER
	return net->ipv4.tcp_death_row->hashinfo;
#else
	return net->ipv4.tcp_death_row.hashinfo;
#endif
}

static inline unsigned int listen_table_size(const struct inet_hashinfo *hashinfo)
{
#ifdef TCPDROP_NO_LHASH2_NULLS
	return INET_LHTABLE_SIZE;
#else
	return hashinfo->lhash2_mask + 1;
#endif
}

static inline struct inet_listen_hashbucket *
listen_bucket(struct inet_hashinfo *hashinfo, unsigned int bucket)
{
#ifdef TCPDROP_NO_LHASH2_NULLS
	return &hashinfo->listening_hash[bucket];
#else
	return &hashinfo->lhash2[bucket];
#endif
}

/*
 * TCPDROP_EHASH_GAP: a child takes the place of its request in two steps, so a
 * chain of the established table can be empty between them.
 * Since 6.18 and in later stable releases of older series it is one step, by
 * sk_nulls_replace_node_init_rcu(); delete with support for kernels without it.
 */
#ifndef KERNEL_HAS_sk_nulls_replace_node_init_rcu
#define TCPDROP_EHASH_GAP
#endif

/* Nothing but the lock can tell then whether it is. */
static inline bool ehash_has_gap(void)
{
#ifdef TCPDROP_EHASH_GAP
	return true;
#else
	return false;
#endif
}

/*
 * TCPDROP_NO_ORPHAN_CALLS: a module cannot destroy a socket that has no owner.
 * Since 7.2 these functions are not exported, and since 6.12 (6.1.132 in that
 * series) tcp_abort() does it; delete, with destroy_orphan(), with support for
 * 5.10 and 6.1 before 6.1.132.
 */
#if !defined(KERNEL_EXPORTS_tcp_done) || !defined(KERNEL_EXPORTS_tcp_disconnect) || \
	!defined(KERNEL_EXPORTS_inet_csk_destroy_sock)
#define TCPDROP_NO_ORPHAN_CALLS
#endif

/*
 * TCPDROP_NO_CHILD_INIT: syn_recv_sock() is not told how to prepare a child.
 * It is in 6.12 and in later stable releases of older series; delete with
 * support for 5.10.
 */
#ifndef KERNEL_HAS_opt_child_init
#define TCPDROP_NO_CHILD_INIT
#endif

/* What icsk_af_ops->syn_recv_sock() takes. */
#define SYN_RECV_SOCK_ENDS						\
	const struct sock *sk, struct sk_buff *skb, struct request_sock *req,	\
	struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req
#ifdef TCPDROP_NO_CHILD_INIT
#define SYN_RECV_SOCK_ARGS SYN_RECV_SOCK_ENDS
#else
#define SYN_RECV_SOCK_ARGS						\
	SYN_RECV_SOCK_ENDS, void (*init)(struct sock *child, const struct sock *sk)
#endif

static inline bool can_destroy_orphan(void)
{
#ifdef TCPDROP_NO_ORPHAN_CALLS
	return false;
#else
	return true;
#endif
}

/*
 * The caller holds both locks of the socket, which has no owner and is not
 * closed; what tcp_close() and a timer do.  Returns whether it is gone.
 */
static inline bool destroy_orphan(struct sock *sk)
{
#ifdef TCPDROP_NO_ORPHAN_CALLS
	return false;
#else
	/* The peer has closed already; tcp_disconnect() might send it a RST. */
	if ((1 << sk->sk_state) & (TCPF_CLOSING | TCPF_LAST_ACK)) {
		tcp_done(sk);
		return true;
	}
	if (tcp_disconnect(sk, 0))
		return false;
	inet_csk_destroy_sock(sk);
	return true;
#endif
}

/*
 * TCPDROP_NO_BPF_RUN_CTX: a task cannot say that it is in a BPF context.
 * It can since 5.15; delete with support for 5.10.
 */
#ifndef KERNEL_HAS_bpf_set_run_ctx
#define TCPDROP_NO_BPF_RUN_CTX
#endif

#ifdef TCPDROP_NO_BPF_RUN_CTX
struct bpf_run_ctx {};

static inline struct bpf_run_ctx *bpf_set_run_ctx(struct bpf_run_ctx *new_ctx)
{
	return NULL;
}

static inline void bpf_reset_run_ctx(struct bpf_run_ctx *old_ctx)
{
}
#endif

/*
 * TCPDROP_NO_MPTCP_DISCONNECT: disconnect() of a connection of MPTCP is no end of it.
 * It is since 5.17; the timer, which came later and to 6.1 by a stable release,
 * says that it is the one with all its corrections.  Delete with support for
 * 5.10 and 5.15.
 */
#ifndef KERNEL_HAS_mptcp_tout_timer
#define TCPDROP_NO_MPTCP_DISCONNECT
#endif

static inline bool can_end_mptcp(void)
{
#ifdef TCPDROP_NO_MPTCP_DISCONNECT
	return false;
#else
	return IS_ENABLED(CONFIG_MPTCP);
#endif
}

#endif /* TCPDROP_COMPAT_H */
