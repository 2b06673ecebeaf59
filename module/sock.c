// SPDX-License-Identifier: GPL-2.0
/*
 * What is read from a struct sock: of which kind it is, whether anybody may
 * drop it, and by the read_*() at the end what each selector looks at.
 */
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/tcp.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <net/inet_timewait_sock.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "cgroup.h"
#include "conn.h"
#include "rule.h"
#include "sock.h"

static_assert(RULE_NAME_MAX >= TCP_CA_NAME_MAX && RULE_NAME_MAX >= TCP_ULP_NAME_MAX);

#if IS_ENABLED(CONFIG_IPV6)
/*
 * A socket of family AF_INET6 that talks IPv4 is an IPv4 socket; only the
 * IPv4 fields count then.  In a time-wait minisock of family AF_INET the IPv6
 * fields hold junk, hence the family first.
 */
static bool sock_is_ipv6(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 &&
	       !ipv6_addr_v4mapped(&sk->sk_v6_daddr) &&
	       !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr);
}
#endif

static struct tcpdrop_range_key local_addr(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sock_is_ipv6(sk))
		return tcpdrop_conn_ipv6_key(&sk->sk_v6_rcv_saddr);
#endif
	return tcpdrop_conn_ipv4_key(sk->sk_rcv_saddr);
}

static struct tcpdrop_range_key foreign_addr(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sock_is_ipv6(sk))
		return tcpdrop_conn_ipv6_key(&sk->sk_v6_daddr);
#endif
	return tcpdrop_conn_ipv4_key(sk->sk_daddr);
}

/**
 * tcpdrop_sock_conn() - the connection that a socket is of
 * @conn: filled
 * @sk: as for tcpdrop_sock_state()
 * @state: its state, by that
 *
 * Reads nothing but what sockets of every kind have in struct sock_common.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 */
void tcpdrop_sock_conn(struct tcpdrop_conn *conn, const struct sock *sk, unsigned int state)
{
	conn->state = state;
	conn->sport = sk->sk_num;
	conn->dport = ntohs(sk->sk_dport);
	conn->saddr = local_addr(sk);
	conn->daddr = foreign_addr(sk);
}

/**
 * tcpdrop_sock_has_ends() - is a socket one of a connection?
 * @sk: as for tcpdrop_sock_state()
 * @ends: the ends of the connection; its state does not count
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if it has these ends.
 */
bool tcpdrop_sock_has_ends(const struct sock *sk, const struct tcpdrop_conn *ends)
{
	struct tcpdrop_conn conn;

	if (sk->sk_num != ends->sport || ntohs(sk->sk_dport) != ends->dport)
		return false;
	if (sk->sk_family == AF_INET)
		return ends->saddr.space == CONN_IPV4 &&
		       ntohl(sk->sk_rcv_saddr) == ends->saddr.lo &&
		       ntohl(sk->sk_daddr) == ends->daddr.lo;
	tcpdrop_sock_conn(&conn, sk, 0);
	return !tcpdrop_range_key_cmp(&conn.saddr, &ends->saddr) &&
	       !tcpdrop_range_key_cmp(&conn.daddr, &ends->daddr);
}

/*
 * Does a part of the kernel use the socket for itself?  Those that do leave
 * their mark in sk_user_data, except for NBD and those who have no struct file
 * to be told from.  Marks of BPF and of SMC, which has fallen back to TCP on
 * behalf of an application, say that they are not to be copied.
 */
static bool has_kernel_mark(const struct sock *sk)
{
	uintptr_t data = (uintptr_t)READ_ONCE(sk->sk_user_data);

	return data && !(data & ~SK_USER_DATA_PTRMASK);
}

/*
 * Sockets of the kernel's own (NFS, SMB, NVMe and the like) are not the
 * user's to drop, which are those that no process can have as a file.  Neither
 * sk_kern_sock nor sk_net_refcnt tells: sock_create() makes the kernel's as it
 * makes the user's, and SMC and MPTCP make the user's as if they were the
 * kernel's.  Some users in the kernel have a file for their socket that they
 * alone hold; a file that user space holds as well is user space's.  Block
 * devices over TCP, such as NBD, may use the memory that is kept for emergencies.
 *
 * 9P opens a file of its own for a socket of its own.  Of those that are made for
 * the kernel SMC's have that of another socket, and no others have one.
 */
static bool socket_is_kernel(const struct sock *sk, struct socket *socket)
{
	struct file *file = READ_ONCE(socket->file);

	if (!file)
		return true;
	if (!sk->sk_net_refcnt && file_inode(file) == SOCK_INODE(socket))
		return true;
	return (has_kernel_mark(sk) || sock_flag(sk, SOCK_MEMALLOC)) && file_count(file) == 1;
}

/*
 * Without a struct socket it is an orphan, which nobody has any more, or a
 * child that nobody has accepted: that is its listener's, whose mark it has.
 */
static bool sock_is_kernel(const struct sock *sk)
{
	struct socket *socket;
	bool kernel;

	if (sk_is_mptcp(sk))
		return !sk->sk_net_refcnt;

	rcu_read_lock();
	socket = READ_ONCE(sk->sk_socket);
	if (socket)
		kernel = socket_is_kernel(sk, socket);
	else
		kernel = !sk->sk_net_refcnt || (!sock_flag(sk, SOCK_DEAD) &&
						(sk->sk_kern_sock || has_kernel_mark(sk)));
	rcu_read_unlock();
	return kernel;
}

/* A request has no owner but its listener, on which it holds a reference. */
static const struct sock *listener_of(const struct sock *sk)
{
	return inet_sk_state_load(sk) == TCP_NEW_SYN_RECV ? inet_reqsk(sk)->rsk_listener : sk;
}

/**
 * tcpdrop_sock_is_exempt() - is a socket none that may be dropped?
 * @sk: as for tcpdrop_sock_state()
 * @kernel: those of the kernel may be, and no others
 *
 * A request is as exempt as its listener.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if it belongs to the kernel and is not to, or the other way
 * round, or is in TCP_REPAIR.
 */
bool tcpdrop_sock_is_exempt(const struct sock *sk, bool kernel)
{
	sk = listener_of(sk);
	if (!sk_fullsock(sk))
		return kernel;
	return sock_is_kernel(sk) != kernel || tcp_sk(sk)->repair;
}

/**
 * tcpdrop_sock_is_child() - may a connection wait to be accepted?
 * @sk: a full socket, on which the caller has a reference
 *
 * A subflow of MPTCP looks the same when its connection was closed, or when it
 * has joined one that nobody has accepted: it waits if a listener has it in its
 * queue.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if no process has it, nor, but for MPTCP, had.
 */
bool tcpdrop_sock_is_child(const struct sock *sk)
{
	return !READ_ONCE(sk->sk_socket) && !sock_flag(sk, SOCK_DEAD);
}

/**
 * tcpdrop_sock_is_linked() - is a socket in its table?
 * @sk: the socket, on which the caller has a reference
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if it is.
 */
bool tcpdrop_sock_is_linked(const struct sock *sk)
{
	return !hlist_nulls_unhashed_lockless(&sk->sk_nulls_node);
}

/* The readers, a tcpdrop_reader_t for each selector. */

static unsigned int read_saddr(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = local_addr(sk);
	return 1;
}

static unsigned int read_daddr(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = foreign_addr(sk);
	return 1;
}

static unsigned int read_sport(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = (struct tcpdrop_range_key){ .lo = sk->sk_num };
	return 1;
}

static unsigned int read_dport(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	keys[0] = (struct tcpdrop_range_key){ .lo = ntohs(sk->sk_dport) };
	return 1;
}

static unsigned int read_port(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	return read_sport(sk, keys) + read_dport(sk, keys + 1);
}

/* Which states match is known before, see struct tcpdrop_rule. */
static unsigned int read_state(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	return 0;
}

/*
 * Under the bucket's lock, which is also a read side of RCU, the name may be
 * read, or later in a read side of RCU in which the socket was found linked: a
 * socket that is linked holds the module of its congestion control and
 * of its ULP, or is just about to exchange one for another, which happens
 * under RCU as well; and they are unregistered by way of a grace period. (A
 * ULP leaves a socket that is linked only where MPTCP falls back to TCP, and
 * MPTCP is no module.)
 */
static unsigned int read_congestion(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	const struct tcp_congestion_ops *ops;

	if (!sk_fullsock(sk))
		return 0;
	ops = READ_ONCE(inet_csk(sk)->icsk_ca_ops);
	keys[0] = tcpdrop_name_key(ops ? ops->name : "");
	return 1;
}

static unsigned int read_ulp(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	const struct tcp_ulp_ops *ops;

	if (!sk_fullsock(sk))
		return 0;
	ops = READ_ONCE(inet_csk(sk)->icsk_ulp_ops);
	keys[0] = tcpdrop_name_key(ops ? ops->name : "");
	return 1;
}

/*
 * The name of the device, which the namespace of the socket keeps; whoever
 * renames it meanwhile finds the one name or the other.
 */
static unsigned int read_dev(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	int index = READ_ONCE(sk->sk_bound_dev_if);
	const struct net_device *dev;

	rcu_read_lock();
	dev = index ? dev_get_by_index_rcu(sock_net(sk), index) : NULL;
	keys[0] = tcpdrop_name_key(dev ? dev->name : "");
	rcu_read_unlock();
	return 1;
}

static unsigned int read_mark(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	unsigned int state = inet_sk_state_load(sk);
	u32 mark;

	if (state == TCP_TIME_WAIT)
		mark = inet_twsk(sk)->tw_mark;
	else if (state == TCP_NEW_SYN_RECV)
		mark = inet_rsk(inet_reqsk(sk))->ir_mark;
	else
		mark = READ_ONCE(sk->sk_mark);
	keys[0] = (struct tcpdrop_range_key){ .lo = mark };
	return 1;
}

/* Not by the inode, which an orphan has lost. */
static unsigned int read_uid(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	sk = listener_of(sk);
	if (!sk_fullsock(sk))
		return 0;
	keys[0] = (struct tcpdrop_range_key){
		.lo = from_kuid(&init_user_ns, READ_ONCE(sk->sk_uid)),
	};
	return 1;
}

/*
 * Since the last data in either direction, in milliseconds.  Neither a listener
 * nor who has had no answer yet has seen any, nor has one of two that connect to
 * each other, of which neither time is set before the last ACK.  The clock wraps
 * after 49 days or more.
 */
static unsigned int read_idle(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	u32 sent, received, now;

	if (!sk_fullsock(sk) || BIT(sk->sk_state) & (TCPF_SYN_SENT | TCPF_LISTEN))
		return 0;
	sent = READ_ONCE(tcp_sk(sk)->lsndtime);
	received = READ_ONCE(inet_csk(sk)->icsk_ack.lrcvtime);
	if (sk->sk_state == TCP_SYN_RECV && !sent && !received)
		return 0;
	smp_rmb(); /* or else one might be later than now */
	now = tcp_jiffies32;
	keys[0] = (struct tcpdrop_range_key){
		.lo = jiffies64_to_msecs(min(now - sent, now - received)),
	};
	return 1;
}

/* As ss(8) has them: of a request those of the SYN-ACK. */
static unsigned int read_retrans(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	unsigned int times;

	if (inet_sk_state_load(sk) == TCP_NEW_SYN_RECV)
		times = READ_ONCE(inet_reqsk(sk)->num_retrans);
	else if (sk_fullsock(sk))
		times = READ_ONCE(inet_csk(sk)->icsk_retransmits);
	else
		return 0;
	keys[0] = (struct tcpdrop_range_key){ .lo = times };
	return 1;
}

/* Both queues as ss(8) has them, of a listener what waits for accept() and may. */
static unsigned int read_sendq(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 queued;

	if (!sk_fullsock(sk))
		return 0;
	if (sk->sk_state == TCP_LISTEN)
		queued = READ_ONCE(sk->sk_max_ack_backlog);
	else
		queued = READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_una);
	keys[0] = (struct tcpdrop_range_key){ .lo = queued };
	return 1;
}

static unsigned int read_recvq(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	int queued;

	if (!sk_fullsock(sk))
		return 0;
	if (sk->sk_state == TCP_LISTEN)
		queued = READ_ONCE(sk->sk_ack_backlog);
	else
		queued = READ_ONCE(tp->rcv_nxt) - READ_ONCE(tp->copied_seq);
	keys[0] = (struct tcpdrop_range_key){ .lo = max(queued, 0) };
	return 1;
}

static unsigned int read_orphan(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	if (!sk_fullsock(sk))
		return 0;
	keys[0] = (struct tcpdrop_range_key){ .lo = sock_flag(sk, SOCK_DEAD) };
	return 1;
}

/*
 * A socket of a process, by the address and the number of its inode.  Nothing is
 * held until the key is looked at, so the address alone could be that of another
 * socket by then; the number alone is not unique for ever.  A subflow of MPTCP
 * may have an inode of its own, which has the number of its connection's.
 *
 * The caller is in a read side of RCU, by way of which inodes are freed, or
 * keeps the file of the socket open.
 */
static struct tcpdrop_range_key inode_key(struct socket *socket, bool mptcp)
{
	const struct inode *inode = SOCK_INODE(socket);

	return (struct tcpdrop_range_key){
		.space = RULE_SOCKET,
		.hi = mptcp ? 0 : (uintptr_t)inode,
		.lo = inode->i_ino,
	};
}

/**
 * tcpdrop_sock_file_key() - the key by which a socket that a process has is known
 * @key: filled
 * @socket: the socket, whose file stays open meanwhile
 *
 * It is what the reader of RULE_PID finds for the socket in the tables.
 *
 * Context: any.
 * Return: true if it is one of TCP or MPTCP, others are not in the tables.
 */
bool tcpdrop_sock_file_key(struct tcpdrop_range_key *key, struct socket *socket)
{
	const struct sock *sk = READ_ONCE(socket->sk);

	if (!sk || (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP))
		return false;
	*key = inode_key(socket, sk->sk_protocol == IPPROTO_MPTCP);
	return true;
}

/* Children that nobody has accepted and orphans have none. */
static unsigned int read_pid(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	struct socket *socket;

	if (!sk_fullsock(sk))
		return 0;
	rcu_read_lock();
	socket = READ_ONCE(sk->sk_socket);
	if (socket)
		keys[0] = inode_key(socket, sk_is_mptcp(sk));
	rcu_read_unlock();
	return !!socket;
}

/* That it takes the rule to tell, see match_cgroup(); without that nothing matches. */
static unsigned int read_cgroup(const struct sock *sk, struct tcpdrop_range_key *keys)
{
	return 0;
}

static const tcpdrop_reader_t readers[] = {
#define SELECTOR(NAME, name, ...) \
	[RULE_##NAME] = read_##name,
#define OPTION(...)
#include "attrs.h"
};

/* A request is in the cgroup of its listener; a minisock is in none. */
static bool match_cgroup(const struct tcpdrop_rule *rule, const struct sock *sk)
{
	struct tcpdrop_range_key key = {};

	sk = listener_of(sk);
	if (!sk_fullsock(sk))
		return false;
	key.lo = tcpdrop_cgroup_has(rule->cgroup, sk);
	return tcpdrop_selector_match(&rule->sel[RULE_CGROUP], &key, 1);
}

static noinline bool match_selectors(const struct tcpdrop_rule *rule, unsigned long but,
				     const struct sock *sk, unsigned int state)
{
	return tcpdrop_rule_match(rule, but, state, sk, readers) &&
	       (!rule->cgroup || match_cgroup(rule, sk));
}

/* Most rules ask for nothing else, which does not take all the registers that selectors take. */
static bool match_all(const struct tcpdrop_rule *rule, unsigned long but,
		      const struct sock *sk, unsigned int state)
{
	if (!(rule->asks & ~but) && !rule->cgroup)
		return rule->states & BIT(state);
	return match_selectors(rule, but, sk, state);
}

/**
 * tcpdrop_sock_match_inside() - does a socket within a rule's bounds match it?
 * @rule: as for tcpdrop_sock_match()
 * @sk: the socket, of which tcpdrop_sock_may_match() was true
 * @state: its state, by tcpdrop_sock_state()
 *
 * Context: any, with the lock of the socket's bucket held.
 * Return: true if it does; whether it is exempt is another question.
 */
bool tcpdrop_sock_match_inside(const struct tcpdrop_rule *rule, const struct sock *sk,
			       unsigned int state)
{
	bool ends_match = rule->bounds.tight && sk->sk_family == AF_INET;

	return match_all(rule, ends_match ? RULE_OF_ENDS : 0, sk, state);
}

/**
 * tcpdrop_sock_rematch() - does a socket that matched, and has the same ends, still match?
 * @rule: as for tcpdrop_sock_match()
 * @sk: the socket, on which the caller has a reference; linked after the caller
 *      has entered the read side of RCU that it is in, see read_congestion()
 * @state: its state, by tcpdrop_sock_state()
 *
 * Context: any, in a read side of RCU.
 * Return: true if it does; whether it is exempt is another question.
 */
bool tcpdrop_sock_rematch(const struct tcpdrop_rule *rule, const struct sock *sk,
			  unsigned int state)
{
	return match_all(rule, RULE_OF_ENDS, sk, state);
}
