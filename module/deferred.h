/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a drop comes back to when it is done with all others: sockets that
 * somebody has at that moment, and buckets that did not come to rest.
 */
#ifndef TCPDROP_DEFERRED_H
#define TCPDROP_DEFERRED_H

#include <linux/list.h>
#include <linux/types.h>

#include "claim.h"
#include "owner.h"
#include "walk.h"

struct tcpdrop_mptcp;

/**
 * struct tcpdrop_deferred - a socket or a bucket to come back to
 * @list: in the set's list
 * @hash: in the set's hash of sockets
 * @entry: the socket, on which the set has a reference, its facts and its bucket; without
 *         a socket the whole bucket
 * @turns: how often its bucket has had another turn
 * @exact: the bucket was looked through for the ends of @entry alone, and is
 *         again if another object has them now
 * @failed: not to be tried again
 * @unseen: a subflow of MPTCP that none of the listeners looked at had in its queue
 * @unqueued: no listener had it, so it does not wait to be accepted
 * @catch: watches the socket's owner
 * @conn: the connection of MPTCP that it is a subflow of, if it is; not owned
 * @subflow: in the list of that
 * @claim: of the socket, while that connection is being ended
 */
struct tcpdrop_deferred {
	struct list_head list;
	struct hlist_node hash;
	struct tcpdrop_batch_entry entry;
	unsigned int turns;
	bool exact;
	bool failed;
	bool unseen;
	bool unqueued;
	struct tcpdrop_owner_catch catch;
	struct tcpdrop_mptcp *conn;
	struct list_head subflow;
	struct tcpdrop_claim claim;
};

/**
 * struct tcpdrop_deferred_set - all that is deferred; all zero and tcpdrop_deferred_init() is
 *                       an empty set
 * @list: in the order in which they came
 * @hash: the sockets, NULL as long as there has been none
 * @bits: 2 to the power of this is how many lists @hash has
 * @nr: how many sockets there are
 */
struct tcpdrop_deferred_set {
	struct list_head list;
	struct hlist_head *hash;
	unsigned int bits;
	size_t nr;
};

void tcpdrop_deferred_init(struct tcpdrop_deferred_set *set);
struct tcpdrop_deferred *tcpdrop_deferred_sock(struct tcpdrop_deferred_set *set,
					       const struct tcpdrop_batch_entry *entry);
struct tcpdrop_deferred *tcpdrop_deferred_bucket(struct tcpdrop_deferred_set *set,
						 unsigned long bucket,
						 const struct tcpdrop_conn *ends);
struct tcpdrop_deferred *tcpdrop_deferred_find(const struct tcpdrop_deferred_set *set,
					       const struct sock *sk);
int tcpdrop_deferred_merge(struct tcpdrop_deferred_set *set,
			   struct tcpdrop_deferred_set *from);
void tcpdrop_deferred_remove(struct tcpdrop_deferred_set *set, struct tcpdrop_deferred *it);
void tcpdrop_deferred_free(struct tcpdrop_deferred_set *set);

#endif /* TCPDROP_DEFERRED_H */
