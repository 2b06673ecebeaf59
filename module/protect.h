/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protection: sockets that are not to be dropped, by rules with protect = yes.
 */
#ifndef TCPDROP_PROTECT_H
#define TCPDROP_PROTECT_H

#include <linux/list.h>
#include <linux/types.h>

#include "rule.h"

struct sock;
struct tcpdrop_protection;

/* For tcpdrop_protected() only. */
extern struct list_head tcpdrop_protections;

int tcpdrop_protect_update(struct tcpdrop_protection **held, struct tcpdrop_rule *rule,
			   enum tcpdrop_rule_attr attr);
void tcpdrop_protect_end(struct tcpdrop_protection **held);
bool tcpdrop_protect_find(const struct sock *sk, unsigned int state);
bool tcpdrop_protect_find_linked(const struct sock *sk);
int tcpdrop_protect_init(void);
void tcpdrop_protect_exit(void);

/**
 * tcpdrop_protected() - does a rule protect a socket?
 * @sk: the socket, of a namespace that is held; linked, with the lock of its
 *      bucket held or in the read side of RCU in which that was seen
 * @state: its state, by tcpdrop_sock_state()
 *
 * Costs next to nothing as long as no rule protects, and a match for each that does.
 *
 * Context: any.
 * Return: true if one does.
 */
static inline bool tcpdrop_protected(const struct sock *sk, unsigned int state)
{
	return !list_empty(&tcpdrop_protections) && tcpdrop_protect_find(sk, state);
}

#endif /* TCPDROP_PROTECT_H */
