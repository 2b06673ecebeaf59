/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables: which buckets there are, and which of their sockets a rule means.
 */
#ifndef TCPDROP_WALK_H
#define TCPDROP_WALK_H

#include <linux/types.h>

#include "conn.h"

struct net;
struct tcpdrop_rule;
struct sock;

/**
 * struct tcpdrop_walk - what to look through
 * @rule: the rule that chooses the sockets, made by tcpdrop_rule_copy()
 * @ends: the only ends that match, NULL for any
 * @net: the namespace, held by the walk or by its user
 * @first: the first bucket that can hold a match
 * @end: one past the last
 *
 * The buckets of the established table come first, numbered as the table
 * numbers them; those of the listeners follow, where the rule names LISTEN.
 */
struct tcpdrop_walk {
	const struct tcpdrop_rule *rule;
	const struct tcpdrop_conn *ends;
	struct net *net;
	unsigned int first;
	unsigned int end;
};

/**
 * typedef tcpdrop_walk_visit_t - what to do with a matching socket
 * @sk: the socket, of any kind, linked while the call lasts; a request or a
 *      time-wait minisock may have a reference count of 0 yet
 * @conn: its facts
 * @arg: as given to tcpdrop_walk_bucket()
 *
 * Context: under the bucket's lock.
 */
typedef void (*tcpdrop_walk_visit_t)(struct sock *sk, const struct tcpdrop_conn *conn,
				     void *arg);

/**
 * struct tcpdrop_batch_entry - a socket that matched
 * @sk: the socket
 * @conn: its facts when it matched
 */
struct tcpdrop_batch_entry {
	struct sock *sk;
	struct tcpdrop_conn conn;
};

/**
 * struct tcpdrop_batch - the matching sockets of a bucket; all zero is an empty one
 * @v: the sockets
 * @nr: how many there are
 * @cap: how many fit
 * @missed: how many did not
 */
struct tcpdrop_batch {
	struct tcpdrop_batch_entry *v;
	size_t nr;
	size_t cap;
	size_t missed;
};

bool tcpdrop_batch_add(struct tcpdrop_batch *batch, struct sock *sk,
		       const struct tcpdrop_conn *conn);
int tcpdrop_batch_grow(struct tcpdrop_batch *batch);
void tcpdrop_batch_shrink(struct tcpdrop_batch *batch);
void tcpdrop_batch_free(struct tcpdrop_batch *batch);

int tcpdrop_walk_permitted(void);
int tcpdrop_walk_init(struct tcpdrop_walk *walk, const struct tcpdrop_rule *rule);
void tcpdrop_walk_init_net(struct tcpdrop_walk *walk, struct net *net);
void tcpdrop_walk_init_ends(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_conn *ends);
void tcpdrop_walk_exit(struct tcpdrop_walk *walk);
void tcpdrop_walk_bucket(const struct tcpdrop_walk *walk, unsigned int bucket,
			 tcpdrop_walk_visit_t visit, void *arg);
unsigned int tcpdrop_walk_nr_parents(const struct tcpdrop_walk *walk);
int tcpdrop_walk_parents(const struct tcpdrop_walk *walk, unsigned int bucket,
			 struct tcpdrop_batch *parents);
bool tcpdrop_walk_has_exempt(const struct tcpdrop_walk *walk);
bool tcpdrop_walk_has_successor(const struct sock *sk, const struct tcpdrop_conn *conn);
bool tcpdrop_walk_rematch(const struct tcpdrop_walk *walk, struct sock *sk,
			  struct tcpdrop_conn *conn);
unsigned int tcpdrop_walk_next(const struct tcpdrop_walk *walk, unsigned int bucket);
int tcpdrop_walk_note(const struct tcpdrop_walk *walk, unsigned int bucket,
		      struct tcpdrop_batch *batch);
u64 tcpdrop_walk_count(const struct tcpdrop_walk *walk);
int tcpdrop_walk_list(const struct tcpdrop_walk *walk, char **list, size_t *len);

#endif /* TCPDROP_WALK_H */
