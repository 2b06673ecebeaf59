// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of what is deferred.  No locks: a set belongs to one task at a time.
 */
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "deferred.h"

/* Of the hash table at first; thousands of children may wait to be accepted. */
#define DEFERRED_BITS	10

/* How many sockets there may be for each of its lists before there are more lists. */
#define DEFERRED_CROWD	4

static struct hlist_head *hash_list(const struct tcpdrop_deferred_set *set,
				    const struct sock *sk)
{
	return &set->hash[hash_ptr(sk, set->bits)];
}

/**
 * tcpdrop_deferred_init() - make a set with nothing in it
 * @set: the set, whatever it held
 */
void tcpdrop_deferred_init(struct tcpdrop_deferred_set *set)
{
	*set = (struct tcpdrop_deferred_set){ .list = LIST_HEAD_INIT(set->list) };
}

static void hash_anew(struct tcpdrop_deferred_set *set)
{
	struct tcpdrop_deferred *it;

	list_for_each_entry(it, &set->list, list)
		if (it->entry.sk)
			hlist_add_head(&it->hash, hash_list(set, it->entry.sk));
}

static int use_bits(struct tcpdrop_deferred_set *set, unsigned int bits, gfp_t gfp)
{
	struct hlist_head *hash;

	hash = kvcalloc(1UL << bits, sizeof(*hash), GFP_KERNEL_ACCOUNT | __GFP_NOWARN | gfp);
	if (!hash)
		return -ENOMEM;
	kvfree(set->hash);
	set->hash = hash;
	set->bits = bits;
	hash_anew(set);
	return 0;
}

/* Sees to a table for @nr sockets; without memory for more lists they are crowded. */
static int make_hash(struct tcpdrop_deferred_set *set, size_t nr)
{
	if (!set->hash && use_bits(set, DEFERRED_BITS, 0))
		return -ENOMEM;
	if (nr >> set->bits >= DEFERRED_CROWD)
		use_bits(set, fls_long(nr), __GFP_RETRY_MAYFAIL);
	return 0;
}

static struct tcpdrop_deferred *new_deferred(struct tcpdrop_deferred_set *set)
{
	struct tcpdrop_deferred *it;

	it = kzalloc(sizeof(*it), GFP_KERNEL_ACCOUNT);
	if (!it)
		return NULL;
	INIT_LIST_HEAD(&it->subflow);
	list_add_tail(&it->list, &set->list);
	return it;
}

/**
 * tcpdrop_deferred_sock() - defer a socket
 * @set: the set
 * @entry: the socket, its facts and its bucket, copied; the set takes a reference of its own
 *
 * Context: may sleep.
 * Return: what was added, or what there was of this socket, which may be of another
 * connection now; NULL for want of memory.
 */
struct tcpdrop_deferred *tcpdrop_deferred_sock(struct tcpdrop_deferred_set *set,
					       const struct tcpdrop_batch_entry *entry)
{
	struct tcpdrop_deferred *it;

	if (make_hash(set, set->nr + 1))
		return NULL;
	it = tcpdrop_deferred_find(set, entry->sk);
	if (it) {
		it->entry.conn = entry->conn;
		it->entry.bucket = entry->bucket;
		return it;
	}
	it = new_deferred(set);
	if (!it)
		return NULL;

	it->entry = *entry;
	refcount_inc(&entry->sk->sk_refcnt);
	hlist_add_head(&it->hash, hash_list(set, entry->sk));
	set->nr++;
	return it;
}

/**
 * tcpdrop_deferred_bucket() - defer a bucket
 * @set: the set
 * @bucket: its number
 * @ends: what to look for in it, copied; NULL for all that matches
 *
 * Context: may sleep.
 * Return: what was added, NULL for want of memory.
 */
struct tcpdrop_deferred *tcpdrop_deferred_bucket(struct tcpdrop_deferred_set *set,
						 unsigned long bucket,
						 const struct tcpdrop_conn *ends)
{
	struct tcpdrop_deferred *it;

	it = new_deferred(set);
	if (!it)
		return NULL;
	it->entry.bucket = bucket;
	if (ends) {
		it->entry.conn = *ends;
		it->exact = true;
	}
	return it;
}

/**
 * tcpdrop_deferred_find() - is a socket deferred?
 * @set: the set
 * @sk: the socket; only its address counts
 *
 * Context: any.
 * Return: what there is of it, or NULL.
 */
struct tcpdrop_deferred *tcpdrop_deferred_find(const struct tcpdrop_deferred_set *set,
					       const struct sock *sk)
{
	struct tcpdrop_deferred *it;

	if (!set->hash)
		return NULL;
	hlist_for_each_entry(it, hash_list(set, sk), hash)
		if (it->entry.sk == sk)
			return it;
	return NULL;
}

/**
 * tcpdrop_deferred_merge() - take over what another set holds
 * @set: the set
 * @from: emptied by that; has no socket that @set has, too
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM with both as they were.
 */
int tcpdrop_deferred_merge(struct tcpdrop_deferred_set *set,
			   struct tcpdrop_deferred_set *from)
{
	struct tcpdrop_deferred *it;

	if (from->nr && make_hash(set, set->nr + from->nr))
		return -ENOMEM;

	list_for_each_entry(it, &from->list, list) {
		if (!it->entry.sk)
			continue;
		hlist_del(&it->hash);
		hlist_add_head(&it->hash, hash_list(set, it->entry.sk));
	}
	list_splice_tail_init(&from->list, &set->list);
	set->nr += from->nr;
	from->nr = 0;
	return 0;
}

/**
 * tcpdrop_deferred_remove() - take one out of its set, and free it
 * @set: the set
 * @it: what to remove; its socket is put, and let go of if it was caught
 *
 * Context: may sleep.
 */
void tcpdrop_deferred_remove(struct tcpdrop_deferred_set *set, struct tcpdrop_deferred *it)
{
	list_del(&it->list);
	list_del(&it->subflow);
	if (it->entry.sk) {
		tcpdrop_owner_unwatch(&it->catch);
		hlist_del(&it->hash);
		set->nr--;
		sock_gen_put(it->entry.sk);
	}
	kfree(it);
}

/**
 * tcpdrop_deferred_free() - empty a set and give back its memory
 * @set: the set, usable again afterwards
 *
 * Context: may sleep.
 */
void tcpdrop_deferred_free(struct tcpdrop_deferred_set *set)
{
	struct tcpdrop_deferred *it, *next;

	list_for_each_entry_safe(it, next, &set->list, list)
		tcpdrop_deferred_remove(set, it);
	kvfree(set->hash);
	set->hash = NULL;
}
