// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of what is deferred.  No locks: a set belongs to one task at a time.
 */
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "deferred.h"

/* Thousands of children may wait to be accepted. */
#define DEFERRED_BITS	10

static struct hlist_head *hash_list(const struct deferred_set *set, const struct sock *sk)
{
	return &set->hash[hash_ptr(sk, DEFERRED_BITS)];
}

/**
 * deferred_init() - make a set with nothing in it
 * @set: the set, whatever it held
 */
void deferred_init(struct deferred_set *set)
{
	*set = (struct deferred_set){ .list = LIST_HEAD_INIT(set->list) };
}

static int make_hash(struct deferred_set *set)
{
	if (set->hash)
		return 0;
	set->hash = kvcalloc(1 << DEFERRED_BITS, sizeof(*set->hash), GFP_KERNEL_ACCOUNT);
	return set->hash ? 0 : -ENOMEM;
}

static struct deferred *new_deferred(struct deferred_set *set, unsigned int bucket)
{
	struct deferred *it;

	it = kzalloc(sizeof(*it), GFP_KERNEL_ACCOUNT);
	if (!it)
		return NULL;
	it->bucket = bucket;
	list_add_tail(&it->list, &set->list);
	return it;
}

/**
 * deferred_sock() - defer a socket
 * @set: the set
 * @entry: the socket and its facts, copied; the set takes a reference of its own
 * @bucket: where it was found
 *
 * Context: may sleep.
 * Return: what was added, or what there was of this socket; NULL for want of
 * memory.
 */
struct deferred *deferred_sock(struct deferred_set *set, const struct batch_entry *entry,
			       unsigned int bucket)
{
	struct deferred *it;

	if (make_hash(set))
		return NULL;
	it = deferred_find(set, entry->sk);
	if (it)
		return it;
	it = new_deferred(set, bucket);
	if (!it)
		return NULL;

	it->entry = *entry;
	refcount_inc(&entry->sk->sk_refcnt);
	hlist_add_head(&it->hash, hash_list(set, entry->sk));
	return it;
}

/**
 * deferred_bucket() - defer a bucket
 * @set: the set
 * @bucket: its number
 * @ends: what to look for in it, copied; NULL for all that matches
 *
 * Context: may sleep.
 * Return: what was added, NULL for want of memory.
 */
struct deferred *deferred_bucket(struct deferred_set *set, unsigned int bucket,
				 const struct conn *ends)
{
	struct deferred *it;

	it = new_deferred(set, bucket);
	if (it && ends) {
		it->entry.conn = *ends;
		it->exact = true;
	}
	return it;
}

/**
 * deferred_find() - is a socket deferred?
 * @set: the set
 * @sk: the socket; only its address counts
 *
 * Context: any.
 * Return: what there is of it, or NULL.
 */
struct deferred *deferred_find(const struct deferred_set *set, const struct sock *sk)
{
	struct deferred *it;

	if (!set->hash)
		return NULL;
	hlist_for_each_entry(it, hash_list(set, sk), hash)
		if (it->entry.sk == sk)
			return it;
	return NULL;
}

/**
 * deferred_merge() - take over what another set holds
 * @set: the set
 * @from: emptied by that; has no socket that @set has, too
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM with both as they were.
 */
int deferred_merge(struct deferred_set *set, struct deferred_set *from)
{
	struct deferred *it;

	if (from->hash && make_hash(set))
		return -ENOMEM;

	list_for_each_entry(it, &from->list, list) {
		if (!it->entry.sk)
			continue;
		hlist_del(&it->hash);
		hlist_add_head(&it->hash, hash_list(set, it->entry.sk));
	}
	list_splice_tail_init(&from->list, &set->list);
	return 0;
}

/**
 * deferred_remove() - take one out of its set, and free it
 * @it: what to remove; its socket is put, and let go of if it was caught
 *
 * Context: may sleep.
 */
void deferred_remove(struct deferred *it)
{
	list_del(&it->list);
	if (it->entry.sk) {
		owner_unwatch(&it->catch);
		hlist_del(&it->hash);
		sock_gen_put(it->entry.sk);
	}
	kfree(it);
}

/**
 * deferred_free() - empty a set and give back its memory
 * @set: the set, usable again afterwards
 *
 * Context: may sleep.
 */
void deferred_free(struct deferred_set *set)
{
	struct deferred *it, *next;

	list_for_each_entry_safe(it, next, &set->list, list)
		deferred_remove(it);
	kvfree(set->hash);
	set->hash = NULL;
}
