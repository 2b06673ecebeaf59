// SPDX-License-Identifier: GPL-2.0
/*
 * Connections of MPTCP.
 *
 * The tables have the subflows; the connection that they belong to has a socket
 * of its own, which is the application's.  A subflow that the application's
 * process has points to the same struct socket as the connection does, and that
 * is all that a module knows of the two: net/mptcp keeps its structures to
 * itself.
 *
 * Told of nothing but its last subflow's end, MPTCP waits for another one, for a
 * minute.  So the connection is ended as a whole, by the disconnect() of its
 * protocol: that resets each subflow with MP_FASTCLOSE, by which the peer knows
 * that it is the connection that ends.
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/in.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/mptcp.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "deferred.h"
#include "mptcp.h"
#include "owner.h"
#include "walk.h"

#define MPTCP_BITS	10

/* SYN_SENT is not among them: MPTCP tells who waits in connect() by itself. */
#define MPTCP_UP	(TCPF_ESTABLISHED | TCPF_SYN_RECV | TCPF_FIN_WAIT1 | TCPF_FIN_WAIT2 | \
			 TCPF_CLOSE_WAIT | TCPF_CLOSING | TCPF_LAST_ACK)

/*
 * In a read side of RCU, by way of which a struct socket is freed; MPTCP's
 * struct sock may be another's by now, but is one of MPTCP's.  What it is made
 * with, and what is in no state to be ended, has none.
 */
static struct sock *connection_of(const struct sock *sk)
{
	struct socket *socket = READ_ONCE(sk->sk_socket);
	struct sock *conn = socket ? READ_ONCE(socket->sk) : NULL;

	if (!conn || conn->sk_protocol != IPPROTO_MPTCP)
		return NULL;
	return BIT(inet_sk_state_load(conn)) & MPTCP_UP ? conn : NULL;
}

static bool is_subflow(const struct sock *sk)
{
	return sk_fullsock(sk) && sk_is_mptcp(sk);
}

/**
 * tcpdrop_mptcp_has() - is a socket a subflow of a connection that can be ended?
 * @sk: a socket of any kind, on which the caller has a reference
 *
 * One whose connection nobody has accepted yet or that was closed is not: MPTCP
 * ends such a connection itself.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if it is.
 */
bool tcpdrop_mptcp_has(const struct sock *sk)
{
	bool has;

	if (!can_end_mptcp() || !is_subflow(sk))
		return false;
	rcu_read_lock();
	has = connection_of(sk);
	rcu_read_unlock();
	return has;
}

/* With a reference.  Who is given to another socket meanwhile is not what we looked for. */
static struct sock *connection_get(const struct sock *sk)
{
	struct sock *conn;

	rcu_read_lock();
	conn = connection_of(sk);
	if (conn && !refcount_inc_not_zero(&conn->sk_refcnt))
		conn = NULL;
	if (conn && connection_of(sk) != conn) {
		sock_put(conn);
		conn = NULL;
	}
	rcu_read_unlock();
	return conn;
}

/**
 * tcpdrop_mptcp_init() - make a set with nothing in it
 * @set: the set, whatever it held
 */
void tcpdrop_mptcp_init(struct tcpdrop_mptcp_set *set)
{
	*set = (struct tcpdrop_mptcp_set){ .list = LIST_HEAD_INIT(set->list) };
}

static void forget(struct tcpdrop_mptcp *conn)
{
	struct tcpdrop_deferred *it, *next;

	list_for_each_entry_safe(it, next, &conn->subflows, subflow) {
		list_del_init(&it->subflow);
		it->conn = NULL;
	}
	tcpdrop_owner_unwatch(&conn->catch);
	sock_put(conn->sk);
	kfree(conn);
}

/**
 * tcpdrop_mptcp_free() - empty a set and give back its memory
 * @set: the set
 *
 * What is deferred stays so, and is known to be of no connection.
 *
 * Context: may sleep; the caller owns no socket.
 */
void tcpdrop_mptcp_free(struct tcpdrop_mptcp_set *set)
{
	struct tcpdrop_mptcp *conn, *next;

	list_for_each_entry_safe(conn, next, &set->list, list)
		forget(conn);
	kvfree(set->hash);
}

static struct tcpdrop_mptcp *find(const struct tcpdrop_mptcp_set *set, const struct sock *sk)
{
	struct tcpdrop_mptcp *conn;

	hlist_for_each_entry(conn, &set->hash[hash_ptr(sk, MPTCP_BITS)], hash)
		if (conn->sk == sk)
			return conn;
	return NULL;
}

/* Takes over the reference on @sk if it succeeds. */
static struct tcpdrop_mptcp *add(struct tcpdrop_mptcp_set *set, struct sock *sk)
{
	struct tcpdrop_mptcp *conn;

	conn = kzalloc(sizeof(*conn), GFP_KERNEL_ACCOUNT);
	if (!conn)
		return NULL;
	conn->sk = sk;
	INIT_LIST_HEAD(&conn->subflows);
	list_add_tail(&conn->list, &set->list);
	hlist_add_head(&conn->hash, &set->hash[hash_ptr(sk, MPTCP_BITS)]);
	return conn;
}

static int note(struct tcpdrop_mptcp_set *set, struct tcpdrop_deferred *it, struct sock *sk)
{
	if (!set->hash)
		set->hash = kvcalloc(1 << MPTCP_BITS, sizeof(*set->hash),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!set->hash)
		return -ENOMEM;

	it->conn = find(set, sk);
	if (!it->conn) {
		it->conn = add(set, sk);
		if (!it->conn)
			return -ENOMEM;
		sock_hold(sk);
	}
	list_add_tail(&it->subflow, &it->conn->subflows);
	return 0;
}

/**
 * tcpdrop_mptcp_note() - find out which connection a deferred socket is a subflow of
 * @set: has the connection afterwards
 * @it: the socket; told, if it is a subflow and was not told before
 *
 * Context: may sleep.
 * Return: 0, also if there is no connection that could be ended; -ENOMEM.
 */
int tcpdrop_mptcp_note(struct tcpdrop_mptcp_set *set, struct tcpdrop_deferred *it)
{
	struct sock *conn;
	int ret;

	if (!can_end_mptcp() || it->conn || !it->entry.sk || !is_subflow(it->entry.sk))
		return 0;
	conn = connection_get(it->entry.sk);
	if (!conn)
		return 0;
	ret = note(set, it, conn);
	sock_put(conn);
	return ret;
}

static bool count_visit(struct sock *sk, unsigned int state, unsigned long bucket, void *arg)
{
	struct tcpdrop_mptcp_set *set = arg;
	struct tcpdrop_mptcp *conn;

	conn = is_subflow(sk) ? find(set, connection_of(sk)) : NULL;
	if (conn)
		conn->live++;
	return false;
}

/**
 * tcpdrop_mptcp_count() - count the subflows of connections
 * @set: the connections, told how many they have
 * @walk: what they were found in
 *
 * A subflow that joins later is not counted.
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int tcpdrop_mptcp_count(struct tcpdrop_mptcp_set *set, const struct tcpdrop_walk *walk)
{
	struct tcpdrop_mptcp *conn;
	struct tcpdrop_walk whole;
	int ret;

	list_for_each_entry(conn, &set->list, list)
		conn->live = 0;
	ret = tcpdrop_walk_init_whole(&whole, walk);
	if (ret)
		return ret;
	tcpdrop_walk_all(&whole, count_visit, set);
	tcpdrop_walk_exit_whole(&whole);
	return 0;
}

/**
 * tcpdrop_mptcp_own() - become the owner of a connection if it has none
 * @conn: the connection; its owner is watched otherwise, and it may be caught later
 * @net: what the catches of the caller share
 *
 * Context: process context; does not sleep.
 * Return: true if the caller owns its socket now, until release_sock().
 */
bool tcpdrop_mptcp_own(struct tcpdrop_mptcp *conn, struct tcpdrop_owner_net *net)
{
	if (!conn->catch.sk)
		tcpdrop_owner_watch(&conn->catch, net, conn->sk);
	return tcpdrop_owner_caught(&conn->catch);
}

/**
 * tcpdrop_mptcp_is_up() - is a connection one that can be ended?
 * @conn: the connection, of which the caller owns the socket
 *
 * Context: any.
 * Return: true if an application has it, and it has not ended.
 */
bool tcpdrop_mptcp_is_up(const struct tcpdrop_mptcp *conn)
{
	const struct sock *sk = conn->sk;

	return BIT(sk->sk_state) & MPTCP_UP && sk->sk_socket && !sock_flag(sk, SOCK_DEAD);
}

/*
 * A subflow that joins a connection that is owned waits for release_sock(), which has
 * disconnect() forget it (mptcp_net-next issue 629): open, in the table, and nobody's.
 */
static void take_joined(struct sock *sk)
{
	if (!sk->sk_prot->release_cb)
		return;
	spin_lock_bh(&sk->sk_lock.slock);
	sk->sk_prot->release_cb(sk);
	spin_unlock_bh(&sk->sk_lock.slock);
}

/**
 * tcpdrop_mptcp_end() - end a connection with all its subflows
 * @conn: the connection, of which the caller owns the socket and no subflow
 *
 * Its application finds it as TCP's finds a connection that was aborted:
 * ECONNABORTED, and nothing to be sent or received any more.  disconnect() waits
 * for the owners of subflows, which are none but MPTCP itself, who has the
 * connection before it has a subflow, and other aborts.
 *
 * Context: process context; sleeps.
 * Return: false if it cannot be ended at this moment.
 */
bool tcpdrop_mptcp_end(struct tcpdrop_mptcp *conn)
{
	struct sock *sk = conn->sk;
	int err;

	take_joined(sk);
	err = READ_ONCE(sk->sk_err);
	WRITE_ONCE(sk->sk_err, ECONNABORTED);
	if (sk->sk_prot->disconnect(sk, 0)) {
		WRITE_ONCE(sk->sk_err, err);
		return false;
	}
	/* disconnect() leaves a socket that may connect anew. */
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	sk->sk_state_change(sk);
	return true;
}
