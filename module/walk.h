/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables: which buckets there are, and which of their sockets a rule means.
 */
#ifndef TCPDROP_WALK_H
#define TCPDROP_WALK_H

#include <linux/types.h>

#include "conn.h"

struct net;
struct rule;
struct sock;

/**
 * struct walk - what to look through
 * @rule: the rule that chooses the sockets, made by rule_copy()
 * @ends: the only ends that match, NULL for any
 * @net: the namespace, held by the walk or by its user
 * @first: the first bucket that can hold a match
 * @end: one past the last
 *
 * The buckets of the established table come first, numbered as the table
 * numbers them; those of the listeners follow, where the rule names LISTEN.
 */
struct walk {
	const struct rule *rule;
	const struct conn *ends;
	struct net *net;
	unsigned int first;
	unsigned int end;
};

/**
 * typedef walk_visit_t - what to do with a matching socket
 * @sk: the socket, of any kind, linked while the call lasts; a request or a
 *      time-wait minisock may have a reference count of 0 yet
 * @conn: its facts
 * @arg: as given to walk_bucket()
 *
 * Context: under the bucket's lock.
 */
typedef void (*walk_visit_t)(struct sock *sk, const struct conn *conn, void *arg);

/**
 * struct batch_entry - a socket that matched
 * @sk: the socket
 * @conn: its facts when it matched
 */
struct batch_entry {
	struct sock *sk;
	struct conn conn;
};

/**
 * struct batch - the matching sockets of a bucket; all zero is an empty one
 * @v: the sockets
 * @nr: how many there are
 * @cap: how many fit
 * @missed: how many did not
 */
struct batch {
	struct batch_entry *v;
	size_t nr;
	size_t cap;
	size_t missed;
};

bool batch_add(struct batch *batch, struct sock *sk, const struct conn *conn);
int batch_grow(struct batch *batch);
void batch_shrink(struct batch *batch);
void batch_free(struct batch *batch);

int walk_permitted(void);
int walk_init(struct walk *walk, const struct rule *rule);
void walk_init_net(struct walk *walk, struct net *net);
void walk_init_ends(struct walk *walk, struct net *net, const struct conn *ends);
void walk_exit(struct walk *walk);
void walk_bucket(const struct walk *walk, unsigned int bucket,
		 walk_visit_t visit, void *arg);
unsigned int walk_nr_parents(const struct walk *walk);
int walk_parents(const struct walk *walk, unsigned int bucket, struct batch *parents);
bool walk_has_exempt(const struct walk *walk);
bool walk_is_linked(const struct sock *sk);
bool walk_has_successor(const struct walk *walk, const struct sock *sk,
			const struct conn *conn);
bool walk_rematch(const struct walk *walk, struct sock *sk, struct conn *conn);
unsigned int walk_next(const struct walk *walk, unsigned int bucket);
int walk_note(const struct walk *walk, unsigned int bucket, struct batch *batch);
u64 walk_count(const struct walk *walk);
int walk_list(const struct walk *walk, char **list, size_t *len);

#endif /* TCPDROP_WALK_H */
