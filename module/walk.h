/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables: which buckets there are, and which of their sockets a rule means.
 */
#ifndef TCPDROP_WALK_H
#define TCPDROP_WALK_H

#include <linux/types.h>

#include "conn.h"
#include "nets.h"

struct inet_hashinfo;
struct net;
struct tcpdrop_rule;
struct sock;

/**
 * struct tcpdrop_part - buckets in a row of one table
 * @hashinfo: the table
 * @net: the only namespace whose sockets count there, NULL for all that are held
 * @start: the number by which the walk knows the first of them
 * @first: the number by which the table knows it
 * @stride: of the established table, how far apart there are those that follow each other
 *          and have one lock
 * @group: how many they are, a power of two
 * @listeners: they are of the listeners' table
 */
struct tcpdrop_part {
	struct inet_hashinfo *hashinfo;
	const struct net *net;
	unsigned long start;
	unsigned int first;
	unsigned int stride;
	unsigned int group;
	bool listeners;
};

/**
 * struct tcpdrop_walk - what to look through
 * @rule: the rule that chooses the sockets, made by tcpdrop_rule_copy()
 * @ends: the only ends that match, NULL for any
 * @exempt: what is not to be dropped matches as well
 * @nets: the namespaces, held by the walk or by its user
 * @own: the parts, if @parts is NULL
 * @parts: the parts, in the order of their numbers
 * @nr_parts: how many there are
 * @first: the first bucket to look through
 * @end: one past the last
 *
 * The buckets are numbered through, those of one part after those of another.
 * A copy may narrow @first and @end; it borrows all that pointers lead to.
 */
struct tcpdrop_walk {
	const struct tcpdrop_rule *rule;
	const struct tcpdrop_conn *ends;
	bool exempt;
	struct tcpdrop_nets nets;
	struct tcpdrop_part own[2];
	struct tcpdrop_part *parts;
	size_t nr_parts;
	unsigned long first;
	unsigned long end;
};

/**
 * typedef tcpdrop_walk_visit_t - what to do with a matching socket
 * @sk: the socket, of any kind, linked while the call lasts; a request or a
 *      time-wait minisock may have a reference count of 0 yet
 * @state: its state, by tcpdrop_sock_state()
 * @bucket: the walk's number of the bucket that it is in
 * @arg: as given to tcpdrop_walk_bucket()
 *
 * Context: under the bucket's lock.
 * Return: true if the walk is to end with this bucket, all of whose matching sockets
 * are visited.
 */
typedef bool (*tcpdrop_walk_visit_t)(struct sock *sk, unsigned int state,
				     unsigned long bucket, void *arg);

/**
 * struct tcpdrop_batch_entry - a socket that matched
 * @sk: the socket
 * @conn: its facts when it matched
 * @bucket: the walk's number of the bucket that it was in
 */
struct tcpdrop_batch_entry {
	struct sock *sk;
	struct tcpdrop_conn conn;
	unsigned long bucket;
};

/**
 * struct tcpdrop_batch - matching sockets of a bucket, or of several; all zero is an empty one
 * @v: the sockets
 * @nr: how many there are
 * @cap: how many fit
 * @missed: how many did not
 * @first: which of them was noted first, if there are as many as fit
 */
struct tcpdrop_batch {
	struct tcpdrop_batch_entry *v;
	size_t nr;
	size_t cap;
	size_t missed;
	size_t first;
};

void tcpdrop_batch_empty(struct tcpdrop_batch *batch);
bool tcpdrop_batch_add(struct tcpdrop_batch *batch, struct sock *sk, unsigned int state,
		       unsigned long bucket);
struct sock *tcpdrop_batch_push(struct tcpdrop_batch *batch, struct sock *sk,
				unsigned int state, unsigned long bucket);
int tcpdrop_batch_grow(struct tcpdrop_batch *batch, size_t most);
void tcpdrop_batch_shrink(struct tcpdrop_batch *batch);
void tcpdrop_batch_free(struct tcpdrop_batch *batch);

int tcpdrop_walk_init(struct tcpdrop_walk *walk, const struct tcpdrop_rule *rule);
void tcpdrop_walk_init_rule(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_rule *rule);
void tcpdrop_walk_init_net(struct tcpdrop_walk *walk, struct net *net);
void tcpdrop_walk_init_ends(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_conn *ends);
void tcpdrop_walk_exit(struct tcpdrop_walk *walk);
int tcpdrop_walk_init_whole(struct tcpdrop_walk *walk, const struct tcpdrop_walk *of);
void tcpdrop_walk_exit_whole(struct tcpdrop_walk *walk);
void tcpdrop_walk_bucket(const struct tcpdrop_walk *walk, unsigned long bucket,
			 tcpdrop_walk_visit_t visit, void *arg);
unsigned int tcpdrop_walk_nr_parents(const struct tcpdrop_walk *walk);
int tcpdrop_walk_parents(const struct tcpdrop_walk *walk, unsigned int bucket,
			 struct tcpdrop_batch *parents);
bool tcpdrop_walk_has_exempt(const struct tcpdrop_walk *walk);
bool tcpdrop_walk_has_successor(const struct sock *sk, const struct tcpdrop_conn *conn);
bool tcpdrop_walk_rematch(const struct tcpdrop_walk *walk, struct sock *sk,
			  struct tcpdrop_conn *conn);
unsigned long tcpdrop_walk_next(const struct tcpdrop_walk *walk, unsigned long bucket,
				tcpdrop_walk_visit_t visit, void *arg);
void tcpdrop_walk_all(const struct tcpdrop_walk *walk, tcpdrop_walk_visit_t visit, void *arg);
int tcpdrop_walk_note(const struct tcpdrop_walk *walk, unsigned long *bucket,
		      struct tcpdrop_batch *batch);
u64 tcpdrop_walk_count(const struct tcpdrop_walk *walk);
int tcpdrop_walk_list(const struct tcpdrop_walk *walk, size_t most, char **list, size_t *len);

#endif /* TCPDROP_WALK_H */
