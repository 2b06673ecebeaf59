/* SPDX-License-Identifier: GPL-2.0 */
/* What is read from a struct sock. */
#ifndef TCPDROP_SOCK_H
#define TCPDROP_SOCK_H

#include <linux/types.h>
#include <net/inet_timewait_sock.h>
#include <net/sock.h>

#include "rule.h"

struct socket;
struct tcpdrop_conn;

void tcpdrop_sock_conn(struct tcpdrop_conn *conn, const struct sock *sk, unsigned int state);
bool tcpdrop_sock_has_ends(const struct sock *sk, const struct tcpdrop_conn *ends);
bool tcpdrop_sock_is_exempt(const struct sock *sk, bool kernel);
bool tcpdrop_sock_file_key(struct tcpdrop_range_key *key, struct socket *socket);
bool tcpdrop_sock_is_linked(const struct sock *sk);
bool tcpdrop_sock_is_child(const struct sock *sk);
bool tcpdrop_sock_match_inside(const struct tcpdrop_rule *rule, const struct sock *sk,
			       unsigned int state);
bool tcpdrop_sock_rematch(const struct tcpdrop_rule *rule, const struct sock *sk,
			  unsigned int state);

/**
 * tcpdrop_sock_state_of() - the state of a socket, from what its state field says
 * @sk: a socket of any kind
 * @state: the field
 *
 * Context: as for who has read the field.
 * Return: as tcpdrop_sock_state().
 */
static inline unsigned int tcpdrop_sock_state_of(const struct sock *sk, unsigned int state)
{
	if (state == TCP_TIME_WAIT)
		return READ_ONCE(inet_twsk(sk)->tw_substate);
	if (state == TCP_NEW_SYN_RECV)
		return TCP_SYN_RECV;
	return state;
}

/**
 * tcpdrop_sock_state() - in which state is a socket?
 * @sk: a socket of any kind, on which the caller has a reference or the lock of
 *      its bucket
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: its TCP_* state, that of a time-wait minisock and of a request as ss
 * shows them.
 */
static inline unsigned int tcpdrop_sock_state(const struct sock *sk)
{
	return tcpdrop_sock_state_of(sk, inet_sk_state_load(sk));
}

/**
 * tcpdrop_sock_state_locked() - the same, under the lock of the socket's bucket
 * @sk: a socket of any kind
 *
 * What makes a socket one of its kind was written before it was linked under that lock.
 *
 * Context: with that lock held.
 * Return: as tcpdrop_sock_state().
 */
static inline unsigned int tcpdrop_sock_state_locked(const struct sock *sk)
{
	return tcpdrop_sock_state_of(sk, READ_ONCE(sk->sk_state));
}

/**
 * tcpdrop_sock_may_match() - are the state and the ends of a socket within a rule's bounds?
 * @rule: as for tcpdrop_sock_match()
 * @sk: as for tcpdrop_sock_state()
 * @state: its state, by that
 *
 * Inline, and reads little, and nothing but what is in struct sock_common: a walk
 * asks this of each socket, and most of them match nothing.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: false if the socket does not match; if true,
 * tcpdrop_sock_match_inside() can tell.
 */
static __always_inline bool tcpdrop_sock_may_match(const struct tcpdrop_rule *rule,
						   const struct sock *sk,
						   unsigned int state)
{
	const struct tcpdrop_bounds *bounds = &rule->bounds;

	if (!(rule->states & BIT(state)) ||
	    !tcpdrop_bounds_have_ports(bounds, sk->sk_num, ntohs(sk->sk_dport)))
		return false;
	return sk->sk_family != AF_INET ||
	       tcpdrop_bounds_have_ipv4(bounds, ntohl(sk->sk_rcv_saddr), ntohl(sk->sk_daddr));
}

/**
 * tcpdrop_sock_match() - does a socket match a rule?
 * @rule: a rule made by tcpdrop_rule_copy(), and known to tcpdrop_who_find()
 * @sk: the socket
 * @state: its state, by tcpdrop_sock_state()
 *
 * Context: any, with the lock of the socket's bucket held.
 * Return: true if it does; whether it is exempt is another question.
 */
static inline bool tcpdrop_sock_match(const struct tcpdrop_rule *rule, const struct sock *sk,
				      unsigned int state)
{
	return tcpdrop_sock_may_match(rule, sk, state) &&
	       tcpdrop_sock_match_inside(rule, sk, state);
}

#endif /* TCPDROP_SOCK_H */
