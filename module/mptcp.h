/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections of MPTCP, which are in no table: found by way of their subflows,
 * which are.
 */
#ifndef TCPDROP_MPTCP_H
#define TCPDROP_MPTCP_H

#include <linux/list.h>
#include <linux/types.h>

#include "owner.h"

struct sock;
struct tcpdrop_deferred;
struct tcpdrop_walk;

/**
 * struct tcpdrop_mptcp - a connection of which subflows are to be dropped
 * @hash: in the set's hash
 * @list: in the set's list
 * @sk: MPTCP's socket, which the application has; the set has a reference
 * @subflows: those that are deferred
 * @live: how many subflows it had when they were last counted
 * @dropped: a subflow was dropped by itself
 * @ended: ended by us
 * @open: to be looked at, as soon as it has no owner
 * @catch: watches the socket's owner
 */
struct tcpdrop_mptcp {
	struct hlist_node hash;
	struct list_head list;
	struct sock *sk;
	struct list_head subflows;
	unsigned int live;
	bool dropped;
	bool ended;
	bool open;
	struct tcpdrop_owner_catch catch;
};

/**
 * struct tcpdrop_mptcp_set - connections, by their sockets
 * @list: in the order in which they came
 * @hash: NULL as long as there has been none
 */
struct tcpdrop_mptcp_set {
	struct list_head list;
	struct hlist_head *hash;
};

void tcpdrop_mptcp_init(struct tcpdrop_mptcp_set *set);
void tcpdrop_mptcp_free(struct tcpdrop_mptcp_set *set);
bool tcpdrop_mptcp_has(const struct sock *sk);
int tcpdrop_mptcp_note(struct tcpdrop_mptcp_set *set, struct tcpdrop_deferred *it);
int tcpdrop_mptcp_count(struct tcpdrop_mptcp_set *set, const struct tcpdrop_walk *walk);
bool tcpdrop_mptcp_own(struct tcpdrop_mptcp *conn, struct tcpdrop_owner_net *net);
bool tcpdrop_mptcp_is_up(const struct tcpdrop_mptcp *conn);
bool tcpdrop_mptcp_end(struct tcpdrop_mptcp *conn);

#endif /* TCPDROP_MPTCP_H */
