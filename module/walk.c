// SPDX-License-Identifier: GPL-2.0
/*
 * Looking through TCP's tables.
 *
 * Every bucket is read under its lock.  A reader under RCU alone could miss a
 * socket at the moment when a time-wait minisock takes its place, and under
 * the lock whatever is linked cannot be freed.  A connection keeps its bucket,
 * which is given by its ends, so one pass over the buckets sees each that
 * lives as long as the pass, and sees it once.  (One in SYN_SENT whose address
 * ip_dynaddr changes is another connection to us.)
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/tcp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "conn.h"
#include "nets.h"
#include "protect.h"
#include "rule.h"
#include "sock.h"
#include "text.h"
#include "walk.h"

/* How many buckets are looked through at most between two chances to reschedule. */
#define BUCKETS_AT_ONCE	512

/*
 * How many of them with bottom halves off, which have to wait meanwhile, but for empty
 * ones; a chain after so many sockets is the last.
 */
#define BUCKETS_IN_A_ROW 64
#define SOCKETS_IN_A_ROW 256U

/* How many buckets are looked through under one lock; a chain after so many sockets is the last. */
#define GROUP_MAX	32U
#define SOCKETS_AT_A_LOCK 32U

/* One within a rule's bounds takes as long as so many that are not. */
#define SOCKETS_A_MATCH	8U

/* After how many matching sockets no more buckets are noted together with theirs. */
#define NOTED_TOGETHER	32

/* How many buckets tell how full a table is. */
#define SAMPLE		256U

/* As many as fit into a page of 4 KiB. */
#define BATCH_MIN	56

static_assert(BATCH_MIN * sizeof(struct tcpdrop_batch_entry) <= 4096);

static unsigned int ehash_size(const struct inet_hashinfo *hashinfo)
{
	return hashinfo->ehash_mask + 1;
}

static u32 ends_hash(const struct net *net, const struct tcpdrop_conn *ends)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct in6_addr saddr, daddr;

	if (ends->saddr.space == CONN_IPV6) {
		saddr = tcpdrop_conn_ipv6_addr(&ends->saddr);
		daddr = tcpdrop_conn_ipv6_addr(&ends->daddr);
		return inet6_ehashfn(net, &saddr, ends->sport, &daddr,
				     htons(ends->dport));
	}
#endif
	return inet_ehashfn(net, htonl(ends->saddr.lo), ends->sport,
			    htonl(ends->daddr.lo), htons(ends->dport));
}

static const struct tcpdrop_part *walk_parts(const struct tcpdrop_walk *walk)
{
	return walk->parts ? walk->parts : walk->own;
}

/* The part that a bucket is of, which there has to be. */
static const struct tcpdrop_part *walk_part(const struct tcpdrop_walk *walk,
					    unsigned long bucket)
{
	const struct tcpdrop_part *parts = walk_parts(walk);
	size_t low = 0, high = walk->nr_parts;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (parts[mid].start <= bucket)
			low = mid;
		else
			high = mid;
	}
	return parts + low;
}

static unsigned long part_end(const struct tcpdrop_walk *walk,
			      const struct tcpdrop_part *part)
{
	const struct tcpdrop_part *next = part + 1;

	return next < walk_parts(walk) + walk->nr_parts ? min(next->start, walk->end) :
							  walk->end;
}

static bool is_empty(const struct inet_ehash_bucket *head)
{
	/* Tested in place, unlike by READ_ONCE(): half of what an empty bucket costs. */
	return is_a_nulls(data_race(head->chain.first));
}

/* Is every fourth bucket in use?  They are used at random, so the first of them tell. */
static bool is_crowded(const struct inet_hashinfo *hashinfo)
{
	unsigned int i, used = 0, nr = min(ehash_size(hashinfo), SAMPLE);

	for (i = 0; i < nr; i++)
		used += !is_empty(&hashinfo->ehash[i]);
	return used >= nr / 4;
}

/*
 * A large established table has fewer locks than buckets: each lock is that of every so
 * many-th bucket.  Where most of them have to be taken a walk takes each once for up to
 * GROUP_MAX of its buckets, which follow each other in the walk's numbers, and are done
 * block by block of the table, so that each lock has one such group in a block.  Else
 * the buckets are best looked at one by one, as a CPU fetches ahead of.
 */
static void group_buckets(struct tcpdrop_part *part)
{
	unsigned int locks = part->hashinfo->ehash_locks_mask + 1;

	if (locks == ehash_size(part->hashinfo))
		return;
	if (ehash_has_gap() || is_crowded(part->hashinfo)) {
		part->stride = locks;
		part->group = min(ehash_size(part->hashinfo) / locks, GROUP_MAX);
	}
}

/* A bucket of the established table by its number, counted from the first of the part. */
static struct inet_ehash_bucket *established_bucket(const struct tcpdrop_part *part,
						    unsigned int number)
{
	unsigned int in_group = number & (part->group - 1);
	unsigned int in_block = number & (part->stride * part->group - 1);

	return part->hashinfo->ehash + part->first + (number - in_block) +
	       in_block / part->group + in_group * part->stride;
}

/* Where a namespace has its connections, or may have those with given ends. */
static struct tcpdrop_part part_of(const struct net *net, const struct tcpdrop_conn *ends)
{
	struct inet_hashinfo *hashinfo = net_hashinfo(net);

	return (struct tcpdrop_part){
		.hashinfo = hashinfo,
		.net = net,
		.first = ends ? ends_hash(net, ends) & hashinfo->ehash_mask : 0,
		.stride = 1,
		.group = 1,
	};
}

static int by_table(const void *a, const void *b)
{
	const struct tcpdrop_part *x = a, *y = b;

	return x->hashinfo < y->hashinfo ? -1 : x->hashinfo > y->hashinfo;
}

/* Of namespaces that share a table, one part. */
static void merge_parts(struct tcpdrop_walk *walk)
{
	struct tcpdrop_part *parts = walk->parts;
	size_t i, nr = 0;

	sort(parts, walk->nr_parts, sizeof(*parts), by_table, NULL);
	for (i = 0; i < walk->nr_parts; i++) {
		if (nr && parts[nr - 1].hashinfo == parts[i].hashinfo)
			parts[nr - 1].net = NULL;
		else
			parts[nr++] = parts[i];
	}
	walk->nr_parts = nr;
}

static int make_parts(struct tcpdrop_walk *walk, const struct tcpdrop_conn *ends)
{
	const struct tcpdrop_nets *nets = &walk->nets;
	size_t i;

	/* One more for the listeners. */
	walk->parts = kvmalloc_array(nets->nr + 1, sizeof(*walk->parts),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!walk->parts)
		return -ENOMEM;

	for (i = 0; i < nets->nr; i++)
		walk->parts[i] = part_of(nets->v[i], ends);
	walk->nr_parts = nets->nr;
	if (!ends)
		merge_parts(walk);
	return 0;
}

/* @parts are those of @walk. */
static void number_parts(struct tcpdrop_walk *walk, struct tcpdrop_part *parts,
			 const struct tcpdrop_conn *ends)
{
	size_t i;

	for (i = 0; i < walk->nr_parts; i++) {
		parts[i].start = walk->end;
		walk->end += ends ? 1 : ehash_size(parts[i].hashinfo);
		if (!ends)
			group_buckets(&parts[i]);
	}
}

static void look_at(struct tcpdrop_walk *walk, struct net *net,
		    const struct tcpdrop_conn *ends)
{
	walk->own[0] = part_of(net, ends);
	walk->nr_parts = 1;
	number_parts(walk, walk->own, ends);
}

static int look_at_several(struct tcpdrop_walk *walk, const struct tcpdrop_conn *ends)
{
	int ret;

	ret = make_parts(walk, ends);
	if (!ret)
		number_parts(walk, walk->parts, ends);
	return ret;
}

/*
 * All namespaces share the listeners' table, those too that have an established
 * table of their own.
 */
static void look_at_listeners(struct tcpdrop_walk *walk)
{
	struct tcpdrop_part *parts = walk->parts ? walk->parts : walk->own;
	struct tcpdrop_part *part = &parts[walk->nr_parts++];

	*part = (struct tcpdrop_part){
		.hashinfo = parts->hashinfo,
		.net = walk->nets.net,
		.start = walk->end,
		.listeners = true,
	};
	walk->end += listen_table_size(part->hashinfo);
}

static int look_at_nets(struct tcpdrop_walk *walk, const struct tcpdrop_conn *ends)
{
	if (walk->nets.net)
		look_at(walk, walk->nets.net, ends);
	else if (walk->nets.nr)
		return look_at_several(walk, ends);
	return 0;
}

/* Cannot fail for a single namespace. */
static int find_parts(struct tcpdrop_walk *walk)
{
	const struct tcpdrop_rule *rule = walk->rule;
	struct tcpdrop_conn ends;
	bool exact = tcpdrop_rule_exact(rule, &ends);
	int ret;

	ret = look_at_nets(walk, exact ? &ends : NULL);
	if (!ret && walk->nr_parts && !exact && rule->states & TCPF_LISTEN)
		look_at_listeners(walk);
	return ret;
}

/**
 * tcpdrop_walk_init() - prepare to look for what a rule means
 * @walk: the walk, to be given back by tcpdrop_walk_exit() if this succeeds
 * @rule: a rule made by tcpdrop_rule_copy(); must outlive the walk
 *
 * The namespaces are those that the rule is about at this moment.  Each table is
 * walked once, however many of them share it.
 *
 * Context: process context; may sleep.
 * Return: 0, the error of tcpdrop_nets_get(), or -ENOMEM.
 */
int tcpdrop_walk_init(struct tcpdrop_walk *walk, const struct tcpdrop_rule *rule)
{
	int ret;

	*walk = (struct tcpdrop_walk){ .rule = rule };
	ret = tcpdrop_nets_get(&walk->nets, rule);
	if (ret)
		return ret;

	ret = find_parts(walk);
	if (ret)
		tcpdrop_nets_put(&walk->nets);
	return ret;
}

/**
 * tcpdrop_walk_init_rule() - prepare to look for what a rule matches in one namespace
 * @walk: the walk; nothing has to be given back
 * @net: the namespace, on which the caller has a reference for as long as the
 *       walk lasts
 * @rule: a rule made by tcpdrop_rule_copy(); must outlive the walk; which
 *        namespaces it is about does not matter
 *
 * Who may look is up to the caller.
 *
 * Context: any.
 */
void tcpdrop_walk_init_rule(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_rule *rule)
{
	*walk = (struct tcpdrop_walk){ .rule = rule, .nets.net = net };
	find_parts(walk);
}

static const struct tcpdrop_rule everything = {
	.states = CONN_STATES_ALL,
	.bounds = RULE_NO_BOUNDS,
};

static void init_everything(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_conn *ends)
{
	*walk = (struct tcpdrop_walk){ .rule = &everything, .ends = ends, .nets.net = net };
	look_at(walk, net, ends);
}

/**
 * tcpdrop_walk_init_net() - prepare to look for all connections of a namespace
 * @walk: the walk; nothing has to be given back
 * @net: the namespace, on which the caller has a reference for as long as the
 *       walk lasts
 *
 * Who may look is up to the caller.
 *
 * Context: any.
 */
void tcpdrop_walk_init_net(struct tcpdrop_walk *walk, struct net *net)
{
	init_everything(walk, net, NULL);
}

/**
 * tcpdrop_walk_init_ends() - prepare to look for the sockets with given ends
 * @walk: the walk; nothing has to be given back
 * @net: as for tcpdrop_walk_init_net()
 * @ends: the ends; must outlive the walk
 *
 * As tcpdrop_walk_init_net(), but all that can match is in one bucket.
 *
 * Context: any.
 */
void tcpdrop_walk_init_ends(struct tcpdrop_walk *walk, struct net *net,
			    const struct tcpdrop_conn *ends)
{
	init_everything(walk, net, ends);
}

/**
 * tcpdrop_walk_exit() - give back what tcpdrop_walk_init() took
 * @walk: the walk
 */
void tcpdrop_walk_exit(struct tcpdrop_walk *walk)
{
	kvfree(walk->parts);
	tcpdrop_nets_put(&walk->nets);
}

/**
 * tcpdrop_walk_init_whole() - prepare to look for all connections of another walk's namespaces
 * @walk: the walk, to be given back by tcpdrop_walk_exit_whole() if this succeeds
 * @of: the other walk, which holds the namespaces; must outlive this one
 *
 * Those too that are not to be dropped.
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int tcpdrop_walk_init_whole(struct tcpdrop_walk *walk, const struct tcpdrop_walk *of)
{
	*walk = (struct tcpdrop_walk){ .rule = &everything, .exempt = true, .nets = of->nets };
	return look_at_nets(walk, NULL);
}

/**
 * tcpdrop_walk_exit_whole() - give back what tcpdrop_walk_init_whole() took
 * @walk: the walk
 */
void tcpdrop_walk_exit_whole(struct tcpdrop_walk *walk)
{
	kvfree(walk->parts);
}

/*
 * Protection comes last, which takes a match for each rule that protects.  Inline,
 * or the compiler makes it a call for each socket that matches.
 */
static __always_inline bool is_exempt(const struct tcpdrop_walk *walk, const struct sock *sk,
				      unsigned int state)
{
	return tcpdrop_sock_is_exempt(sk, walk->rule->options.kernel) ||
	       tcpdrop_protected(sk, state);
}

static bool is_of_walk(const struct tcpdrop_walk *walk, const struct tcpdrop_part *part,
		       const struct net *net)
{
	return part->net ? net == part->net : tcpdrop_nets_have(&walk->nets, net);
}

/**
 * struct look - what is done with the sockets of a part
 * @walk: the walk
 * @part: the part
 * @visit: called for each socket that matches
 * @arg: passed on to @visit
 */
struct look {
	const struct tcpdrop_walk *walk;
	const struct tcpdrop_part *part;
	tcpdrop_walk_visit_t visit;
	void *arg;
};

/* Few are, of those within the bounds of a long list, and to match takes far longer. */
static noinline bool may_be_listed(const struct tcpdrop_rule *rule, const struct sock *sk)
{
	return sk->sk_family != AF_INET ||
	       tcpdrop_rule_may_have_ipv4(rule, ntohl(sk->sk_rcv_saddr), ntohl(sk->sk_daddr));
}

/* What was within the bounds; returns whether the walk is to end with this bucket. */
static noinline bool visit_match(const struct look *look, struct sock *sk, unsigned int state,
				 unsigned int number)
{
	const struct tcpdrop_walk *walk = look->walk;

	if (!is_of_walk(walk, look->part, sock_net(sk)))
		return false;
	if (walk->ends && !tcpdrop_sock_has_ends(sk, walk->ends))
		return false;
	if (!tcpdrop_sock_match_inside(walk->rule, sk, state))
		return false;
	if (!walk->exempt && is_exempt(walk, sk, state))
		return false;
	return look->visit(sk, state, look->part->start + number, look->arg);
}

/*
 * Visits what matches; returns whether the walk is to end.  Counts in @seen what it has
 * looked at, by what that takes.  Most sockets get no further than to the bounds, for which
 * little more than their struct sock_common is read, and all that this takes is in registers.
 */
static __always_inline bool walk_chain(const struct look *look,
				       const struct tcpdrop_rule *rule,
				       struct hlist_nulls_head *chain, unsigned int number,
				       unsigned int *seen)
{
	struct hlist_nulls_node *node;
	unsigned int state;
	bool done = false;
	struct sock *sk;

	sk_nulls_for_each(sk, node, chain) {
		++*seen;
		state = tcpdrop_sock_state_locked(sk);
		if (unlikely(tcpdrop_sock_may_match(rule, sk, state)) &&
		    (rule->bounds.tight || may_be_listed(rule, sk))) {
			done |= visit_match(look, sk, state, number);
			*seen += SOCKETS_A_MATCH - 1;
		}
	}
	return done;
}

/*
 * Bottom halves stay on, as everywhere that the kernel takes this lock: on
 * PREEMPT_RT turning them off is a lock too, which ranks below this one.
 */
static bool walk_listeners(const struct look *look, unsigned int number)
{
	struct inet_listen_hashbucket *listeners = listen_bucket(look->part->hashinfo, number);
	unsigned int seen = 0;
	bool done;

	spin_lock(&listeners->lock);
	done = walk_chain(look, look->walk->rule, &listeners->nulls_head, number, &seen);
	spin_unlock(&listeners->lock);
	return done;
}

/**
 * struct cursor - a place in the established table
 * @number: the walk's number of the bucket, counted from the first of the part
 * @bucket: the bucket
 */
struct cursor {
	unsigned int number;
	struct inet_ehash_bucket *bucket;
};

/* One past the last bucket that has the lock of a given one and follows it. */
static unsigned int group_end(unsigned int group, unsigned int number, unsigned int end)
{
	return min(end, (number | (group - 1)) + 1);
}

/* Behind a group comes that of the next lock or, behind the last of a block, the next block. */
static struct inet_ehash_bucket *behind_group(struct inet_ehash_bucket *bucket,
					      unsigned int stride, unsigned int group,
					      unsigned int number)
{
	unsigned int block = stride * group;

	if (number & (group - 1))
		return bucket;
	return bucket + 1 - (number & (block - 1) ? block : stride);
}

/*
 * Several at a time, since most of a large table is empty.  Where an empty bucket may be
 * none every lock has to be taken.
 */
static __always_inline struct cursor skip_empty(const struct tcpdrop_part *part,
						struct cursor at, unsigned int end)
{
	const unsigned int group = part->group;
	const size_t stride = part->stride;
	unsigned int stop;

	while (at.number != end && !ehash_has_gap()) {
		stop = group > 1 ? group_end(group, at.number, end) : end;
		while (stop - at.number >= 4 && is_empty(at.bucket) &&
		       is_empty(at.bucket + stride) && is_empty(at.bucket + 2 * stride) &&
		       is_empty(at.bucket + 3 * stride)) {
			at.number += 4;
			at.bucket += 4 * stride;
		}
		for (; at.number != stop; at.number++, at.bucket += stride)
			if (!is_empty(at.bucket))
				return at;
		at.bucket = behind_group(at.bucket, stride, group, at.number);
	}
	return at;
}

/*
 * Looks through buckets of one lock, with bottom halves off.  Returns one past the last of
 * them; sets @done if the walk is to end with that.
 */
static __always_inline struct cursor walk_group(const struct look *look, struct cursor at,
						unsigned int end, unsigned int *seen, bool *done)
{
	const struct tcpdrop_part *part = look->part;
	const struct tcpdrop_rule *rule = look->walk->rule;
	spinlock_t *lock = inet_ehash_lockp(part->hashinfo, at.bucket - part->hashinfo->ehash);
	unsigned int stop = group_end(part->group, at.number, end);
	unsigned int enough = min(*seen + SOCKETS_AT_A_LOCK, SOCKETS_IN_A_ROW);
	size_t stride = part->stride;

	spin_lock(lock);
	for (; at.number != stop && !*done; at.number++, at.bucket += stride) {
		if (is_empty(at.bucket))
			continue;
		*done = walk_chain(look, rule, &at.bucket->chain, at.number, seen);
		if (*seen >= enough)
			stop = at.number + 1;
	}
	spin_unlock(lock);
	at.bucket = behind_group(at.bucket, stride, part->group, at.number);
	return at;
}

/*
 * They return the bucket with which the walk is to end, or @end; the numbers are the walk's,
 * but counted from the first of the part.
 */

static noinline unsigned int established_next(const struct look *look, unsigned int number,
					      unsigned int end)
{
	const struct tcpdrop_part *part = look->part;
	struct cursor at = { number, established_bucket(part, number) };
	unsigned int last, seen;
	bool done = false;

	at = skip_empty(part, at, end);
	while (at.number != end && !done) {
		cond_resched();
		last = min(end, at.number + BUCKETS_IN_A_ROW);
		seen = 0;
		local_bh_disable();
		while (at.number < last && !done && seen < SOCKETS_IN_A_ROW) {
			at = walk_group(look, at, last, &seen, &done);
			/* A whole group is seldom empty where there are groups. */
			if (!done && part->group == 1)
				at = skip_empty(part, at, end);
		}
		local_bh_enable();
	}
	return done ? at.number - 1 : end;
}

static unsigned int listeners_next(const struct look *look, unsigned int number,
				   unsigned int end)
{
	struct hlist_nulls_head *chain;

	for (; number < end; number++) {
		chain = &listen_bucket(look->part->hashinfo, number)->nulls_head;
		if (hlist_nulls_empty(chain))
			continue;
		cond_resched();
		if (walk_listeners(look, number))
			break;
	}
	return number;
}

static unsigned int part_next(const struct tcpdrop_walk *walk,
			      const struct tcpdrop_part *part, unsigned int number,
			      unsigned int end, tcpdrop_walk_visit_t visit, void *arg)
{
	const struct look look = { walk, part, visit, arg };

	return part->listeners ? listeners_next(&look, number, end) :
				 established_next(&look, number, end);
}

/**
 * tcpdrop_walk_bucket() - visit the matching sockets of one bucket
 * @walk: the walk
 * @bucket: its number, from @walk->first to below @walk->end
 * @visit: called for each of them; what it returns does not matter
 * @arg: passed on to @visit
 *
 * Context: may sleep; takes the bucket's lock, unless it is empty for certain.
 */
void tcpdrop_walk_bucket(const struct tcpdrop_walk *walk, unsigned long bucket,
			 tcpdrop_walk_visit_t visit, void *arg)
{
	const struct tcpdrop_part *part = walk_part(walk, bucket);
	unsigned int number = bucket - part->start;

	part_next(walk, part, number, number + 1, visit, arg);
}

/**
 * tcpdrop_walk_next() - visit the matching sockets of the next buckets
 * @walk: the walk
 * @bucket: where to begin; @walk->first, or one past the bucket just done
 * @visit: called for each of them; tells when to end
 * @arg: passed on to @visit
 *
 * Many buckets are empty, and where that is certain most are passed without their
 * locks: what comes into one now is younger than the walk.
 *
 * Context: may sleep, to let others run; takes the buckets' locks.
 * Return: the number of the bucket with which it was to end, all of which has been visited,
 * or @walk->end if none is left.
 */
unsigned long tcpdrop_walk_next(const struct tcpdrop_walk *walk, unsigned long bucket,
				tcpdrop_walk_visit_t visit, void *arg)
{
	const struct tcpdrop_part *part;
	unsigned int first, next, nr;

	for (; bucket != walk->end; bucket += nr) {
		cond_resched();
		part = walk_part(walk, bucket);
		nr = min(part_end(walk, part) - bucket, (unsigned long)BUCKETS_AT_ONCE);
		first = bucket - part->start;
		next = part_next(walk, part, first, first + nr, visit, arg);
		if (next < first + nr)
			return bucket + (next - first);
	}
	return bucket;
}

/* Where children of a listener wait to be accepted; empty while the rest is. */
static bool has_children(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_accept_queue.rskq_accept_head);
}

static void pin_parents(const struct tcpdrop_walk *walk, struct hlist_nulls_head *chain,
			struct tcpdrop_batch *parents)
{
	struct hlist_nulls_node *node;
	struct sock *sk;

	sk_nulls_for_each(sk, node, chain)
		if (tcpdrop_nets_have(&walk->nets, sock_net(sk)) && has_children(sk) &&
		    tcpdrop_batch_add(parents, sk, TCP_LISTEN, 0))
			sock_hold(sk);
}

static void unpin(struct tcpdrop_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->nr; i++)
		sock_put(batch->v[i].sk);
}

/**
 * tcpdrop_walk_parents() - pin the listeners that have children
 * @walk: the walk
 * @bucket: of the listeners' table, below tcpdrop_walk_nr_parents()
 * @parents: filled with them, without their bucket; the caller has a reference on each
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with @parents empty.
 */
int tcpdrop_walk_parents(const struct tcpdrop_walk *walk, unsigned int bucket,
			 struct tcpdrop_batch *parents)
{
	struct inet_listen_hashbucket *listeners;
	int ret;

	parents->nr = 0;
	listeners = listen_bucket(walk_parts(walk)->hashinfo, bucket);
	if (hlist_nulls_empty(&listeners->nulls_head))
		return 0;

	do {
		unpin(parents);
		ret = parents->missed || !parents->cap ? tcpdrop_batch_grow(parents, SIZE_MAX) : 0;
		if (ret)
			return ret;
		spin_lock(&listeners->lock);
		pin_parents(walk, &listeners->nulls_head, parents);
		spin_unlock(&listeners->lock);
	} while (parents->missed);
	return 0;
}

/**
 * tcpdrop_walk_nr_parents() - how many buckets the listeners' table has
 * @walk: the walk
 *
 * Return: their number.
 */
unsigned int tcpdrop_walk_nr_parents(const struct tcpdrop_walk *walk)
{
	return walk->nr_parts ? listen_table_size(walk_parts(walk)->hashinfo) : 0;
}

/**
 * tcpdrop_walk_has_exempt() - is there a socket that matches, but is not to be dropped?
 * @walk: the walk, for given ends
 *
 * Context: process context; takes the lock of the only bucket.
 * Return: true if one has these ends that belongs to the kernel, is in
 * TCP_REPAIR or is protected.
 */
bool tcpdrop_walk_has_exempt(const struct tcpdrop_walk *walk)
{
	const struct tcpdrop_part *part = walk_parts(walk);
	spinlock_t *lock = inet_ehash_lockp(part->hashinfo, part->first);
	struct hlist_nulls_node *node;
	bool found = false;
	struct sock *sk;

	spin_lock_bh(lock);
	sk_nulls_for_each(sk, node, &part->hashinfo->ehash[part->first].chain) {
		if (!net_eq(sock_net(sk), part->net))
			continue;
		found = found || (tcpdrop_sock_has_ends(sk, walk->ends) &&
				  is_exempt(walk, sk, tcpdrop_sock_state(sk)));
	}
	spin_unlock_bh(lock);
	return found;
}

/**
 * tcpdrop_walk_has_successor() - did another socket take over a connection?
 * @sk: a socket of the established table, on which the caller has a reference,
 *      and whose namespace a walk holds
 * @conn: its facts
 *
 * Context: process context; takes the bucket's lock.
 * Return: true if another socket is linked that has the same ends and device.
 */
bool tcpdrop_walk_has_successor(const struct sock *sk, const struct tcpdrop_conn *conn)
{
	const struct net *net = sock_net(sk);
	struct inet_hashinfo *hashinfo = net_hashinfo(net);
	u32 hash = ends_hash(net, conn);
	spinlock_t *lock = inet_ehash_lockp(hashinfo, hash);
	struct hlist_nulls_node *node;
	bool found = false;
	struct sock *osk;

	spin_lock_bh(lock);
	sk_nulls_for_each(osk, node, &inet_ehash_bucket(hashinfo, hash)->chain) {
		if (osk == sk || !net_eq(sock_net(osk), net) ||
		    osk->sk_bound_dev_if != sk->sk_bound_dev_if)
			continue;
		found = found || tcpdrop_sock_has_ends(osk, conn);
	}
	spin_unlock_bh(lock);
	return found;
}

/**
 * tcpdrop_walk_rematch() - does a socket that matched still do so?
 * @walk: the walk
 * @sk: the socket, on which the caller has a reference
 * @conn: its facts when it matched; its state is brought up to date
 *
 * Between the match and the drop it may have been closed, and even connected
 * anew to somebody else. Requests and minisocks are what they are.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if it is still linked, has the same ends, and matches in
 * everything else that the rule asks for.
 */
bool tcpdrop_walk_rematch(const struct tcpdrop_walk *walk, struct sock *sk,
			  struct tcpdrop_conn *conn)
{
	bool match;

	if (sk_fullsock(sk) && !tcpdrop_sock_has_ends(sk, conn))
		return false;

	conn->state = tcpdrop_sock_state(sk);
	rcu_read_lock();
	match = tcpdrop_sock_is_linked(sk) &&
		tcpdrop_sock_rematch(walk->rule, sk, conn->state) &&
		!is_exempt(walk, sk, conn->state);
	rcu_read_unlock();
	return match;
}

static void note_entry(struct tcpdrop_batch_entry *entry, struct sock *sk, unsigned int state,
		       unsigned long bucket)
{
	entry->sk = sk;
	entry->bucket = bucket;
	tcpdrop_sock_conn(&entry->conn, sk, state);
}

/**
 * tcpdrop_batch_empty() - forget all that was noted
 * @batch: the batch, which keeps its room
 *
 * Context: any.
 */
void tcpdrop_batch_empty(struct tcpdrop_batch *batch)
{
	batch->nr = 0;
	batch->missed = 0;
	batch->first = 0;
}

/**
 * tcpdrop_batch_add() - note a matching socket
 * @batch: the batch
 * @sk: the socket; whether it is pinned is up to the caller
 * @state: its state, by tcpdrop_sock_state()
 * @bucket: the walk's number of its bucket
 *
 * Context: any.
 * Return: false if there was no room.
 */
bool tcpdrop_batch_add(struct tcpdrop_batch *batch, struct sock *sk, unsigned int state,
		       unsigned long bucket)
{
	if (batch->nr == batch->cap) {
		batch->missed++;
		return false;
	}
	note_entry(&batch->v[batch->nr++], sk, state, bucket);
	return true;
}

/**
 * tcpdrop_batch_push() - note a matching socket, if need be instead of the first
 * @batch: the batch, in which the last that were noted stay
 * @sk: the socket; whether it is pinned is up to the caller
 * @state: its state, by tcpdrop_sock_state()
 * @bucket: the walk's number of its bucket
 *
 * Context: any.
 * Return: the socket for which there is no room, which may be @sk; or NULL.
 */
struct sock *tcpdrop_batch_push(struct tcpdrop_batch *batch, struct sock *sk,
				unsigned int state, unsigned long bucket)
{
	struct tcpdrop_batch_entry *first;
	struct sock *out;

	if (tcpdrop_batch_add(batch, sk, state, bucket))
		return NULL;
	if (!batch->cap)
		return sk;
	first = &batch->v[batch->first];
	batch->first = (batch->first + 1) % batch->cap;
	out = first->sk;
	note_entry(first, sk, state, bucket);
	return out;
}

/**
 * tcpdrop_batch_free() - give back the memory of a batch
 * @batch: the batch, emptied by that
 *
 * Context: may sleep.
 */
void tcpdrop_batch_free(struct tcpdrop_batch *batch)
{
	kvfree(batch->v);
	*batch = (struct tcpdrop_batch){};
}

/**
 * tcpdrop_batch_grow() - make room for what was missed
 * @batch: the batch, emptied by that
 * @most: for how many sockets, at most
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with the room that it had.
 */
int tcpdrop_batch_grow(struct tcpdrop_batch *batch, size_t most)
{
	size_t cap = clamp_t(size_t, 2 * (batch->cap + batch->missed), BATCH_MIN, most);
	struct tcpdrop_batch_entry *v;

	tcpdrop_batch_empty(batch);
	v = kvmalloc_array(cap, sizeof(*v), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!v)
		return -ENOMEM;

	kvfree(batch->v);
	batch->v = v;
	batch->cap = cap;
	return 0;
}

/**
 * tcpdrop_batch_shrink() - give back what only a long chain takes
 * @batch: the batch, emptied by that
 *
 * Context: may sleep.
 */
void tcpdrop_batch_shrink(struct tcpdrop_batch *batch)
{
	tcpdrop_batch_empty(batch);
	if (batch->cap > 2 * BATCH_MIN)
		tcpdrop_batch_free(batch);
}

static bool note_visit(struct sock *sk, unsigned int state, unsigned long bucket, void *arg)
{
	struct tcpdrop_batch *batch = arg;

	return !tcpdrop_batch_add(batch, sk, state, bucket) || batch->nr >= NOTED_TOGETHER;
}

/* Forgets those of the last bucket, which is given. */
static void forget_last(struct tcpdrop_batch *batch, unsigned long bucket)
{
	while (batch->nr && batch->v[batch->nr - 1].bucket == bucket)
		batch->nr--;
}

/* What did not fit is noted alone. */
static int note_bucket(const struct tcpdrop_walk *walk, unsigned long bucket,
		       struct tcpdrop_batch *batch)
{
	int ret;

	while (batch->missed) {
		ret = tcpdrop_batch_grow(batch, SIZE_MAX);
		if (ret)
			return ret;
		tcpdrop_walk_bucket(walk, bucket, note_visit, batch);
	}
	return 0;
}

/**
 * tcpdrop_walk_note() - note the matching sockets of the next buckets that have any
 * @walk: the walk
 * @bucket: where to begin, as for tcpdrop_walk_next(); set to where to go on, or to
 *          @walk->end
 * @batch: filled with their facts, and those of no others; nothing is pinned.
 *         Empty if no bucket is left
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with @batch empty and @bucket as it was.
 */
int tcpdrop_walk_note(const struct tcpdrop_walk *walk, unsigned long *bucket,
		      struct tcpdrop_batch *batch)
{
	unsigned long last;
	int ret;

	tcpdrop_batch_empty(batch);
	last = tcpdrop_walk_next(walk, *bucket, note_visit, batch);
	if (batch->missed) {
		forget_last(batch, last);
		if (batch->nr) {
			*bucket = last;
			return 0;
		}
	}
	ret = note_bucket(walk, last, batch);
	if (!ret)
		*bucket = last == walk->end ? last : last + 1;
	return ret;
}

/**
 * tcpdrop_walk_all() - visit all sockets that match
 * @walk: the walk
 * @visit: called for each of them; returns false
 * @arg: passed on to @visit
 *
 * Context: may sleep; takes the buckets' locks.
 */
void tcpdrop_walk_all(const struct tcpdrop_walk *walk, tcpdrop_walk_visit_t visit, void *arg)
{
	tcpdrop_walk_next(walk, walk->first, visit, arg);
}

static bool count_visit(struct sock *sk, unsigned int state, unsigned long bucket, void *arg)
{
	u64 *count = arg;

	++*count;
	return false;
}

/**
 * tcpdrop_walk_count() - how many sockets match
 * @walk: the walk
 *
 * Signals do not end it: the longest table takes a fraction of a second.
 *
 * Context: may sleep.
 * Return: their number.
 */
u64 tcpdrop_walk_count(const struct tcpdrop_walk *walk)
{
	u64 count = 0;

	tcpdrop_walk_all(walk, count_visit, &count);
	return count;
}

static int list_batch(const struct tcpdrop_batch *batch, struct tcpdrop_text *text)
{
	size_t i;
	int ret;

	ret = tcpdrop_text_reserve(text, batch->nr * CONN_LINE_MAX);
	if (ret)
		return ret;
	for (i = 0; i < batch->nr; i++)
		text->len += tcpdrop_conn_print(text->buf + text->len, &batch->v[i].conn);
	return 0;
}

/**
 * tcpdrop_walk_list() - list the sockets that match, a line each
 * @walk: the walk
 * @most: how many bytes there may be
 * @list: set to the text, to be freed by kvfree(); NULL if there are none
 * @len: set to its length
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM, -EFBIG if the text came to more than @most, or to 1 GiB, or
 * -EINTR if the process was killed meanwhile.
 */
int tcpdrop_walk_list(const struct tcpdrop_walk *walk, size_t most, char **list, size_t *len)
{
	unsigned long bucket = walk->first;
	struct tcpdrop_batch batch = {};
	struct tcpdrop_text text = {};
	int ret = 0;

	while (bucket != walk->end && !ret) {
		ret = tcpdrop_walk_note(walk, &bucket, &batch);
		if (!ret)
			ret = list_batch(&batch, &text) ?: text.len > most ? -EFBIG : 0;
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
	}

	tcpdrop_batch_free(&batch);
	if (ret) {
		kvfree(text.buf);
		return ret;
	}
	*list = text.buf;
	*len = text.len;
	return 0;
}
