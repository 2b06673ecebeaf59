/* SPDX-License-Identifier: GPL-2.0 */
/* What is read from a struct sock. */
#ifndef TCPDROP_SOCK_H
#define TCPDROP_SOCK_H

#include <linux/types.h>

struct sock;
struct socket;
struct tcpdrop_conn;
struct tcpdrop_range_key;
struct tcpdrop_rule;

unsigned int tcpdrop_sock_state(const struct sock *sk);
void tcpdrop_sock_conn(struct tcpdrop_conn *conn, const struct sock *sk);
bool tcpdrop_sock_is_exempt(const struct sock *sk, bool kernel);
bool tcpdrop_sock_file_key(struct tcpdrop_range_key *key, struct socket *socket);
bool tcpdrop_sock_is_linked(const struct sock *sk);
bool tcpdrop_sock_is_child(const struct sock *sk);
bool tcpdrop_sock_match(const struct tcpdrop_rule *rule, const struct sock *sk,
			unsigned int state);
bool tcpdrop_sock_rematch(const struct tcpdrop_rule *rule, const struct sock *sk,
			  unsigned int state);

#endif /* TCPDROP_SOCK_H */
