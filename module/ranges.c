// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of ranges: appended to at a constant price, sorted when first used,
 * searched in logarithmic time.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "ranges.h"

#define RANGES_MIN	4

/**
 * tcpdrop_ranges_reserve() - make room for more ranges
 * @set: the set
 * @more: how many ranges shall fit besides those it has
 *
 * Before it grows a set folds its duplicates, so that writing the same items
 * again and again does not eat memory.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with the set as it was (perhaps sorted).
 */
int tcpdrop_ranges_reserve(struct tcpdrop_ranges *set, size_t more)
{
	struct tcpdrop_key_range *v;
	size_t cap;

	if (set->cap - set->nr >= more)
		return 0;

	tcpdrop_ranges_sort(set);
	if (set->cap - set->nr >= more && set->nr < set->cap / 2)
		return 0;

	cap = max3(set->nr + more, set->nr * 2, (size_t)RANGES_MIN);
	if (cap > INT_MAX / sizeof(*v))
		return -ENOMEM;
	v = kvmalloc_array(cap, sizeof(*v), GFP_KERNEL_ACCOUNT);
	if (!v)
		return -ENOMEM;

	if (set->nr)
		memcpy(v, set->v, set->nr * sizeof(*v));
	kvfree(set->v);
	set->v = v;
	set->cap = cap;
	return 0;
}

/**
 * tcpdrop_ranges_add() - add one range
 * @set: the set
 * @r: the range, copied
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with the set as it was.
 */
int tcpdrop_ranges_add(struct tcpdrop_ranges *set, const struct tcpdrop_key_range *r)
{
	int ret;

	ret = tcpdrop_ranges_reserve(set, 1);
	if (ret)
		return ret;

	set->v[set->nr++] = *r;
	set->unsorted = true;
	return 0;
}

/**
 * tcpdrop_ranges_append() - add all ranges of another set
 * @set: the set; the caller has reserved room for them
 * @other: the ranges to add, copied
 */
void tcpdrop_ranges_append(struct tcpdrop_ranges *set, const struct tcpdrop_ranges *other)
{
	if (!other->nr)
		return;

	memcpy(set->v + set->nr, other->v, other->nr * sizeof(*set->v));
	set->nr += other->nr;
	set->unsorted = true;
}

static int range_cmp(const void *a, const void *b)
{
	const struct tcpdrop_key_range *x = a, *y = b;
	int ret;

	ret = tcpdrop_range_key_cmp(&x->first, &y->first);
	return ret ? ret : tcpdrop_range_key_cmp(&x->last, &y->last);
}

/**
 * tcpdrop_ranges_sort() - bring a set into canonical order
 * @set: the set
 *
 * Ranges that overlap become one; ranges that only touch stay apart, so that
 * a reader finds the items as they were written.
 */
void tcpdrop_ranges_sort(struct tcpdrop_ranges *set)
{
	size_t i, last = 0;

	if (!set->unsorted)
		return;

	sort(set->v, set->nr, sizeof(*set->v), range_cmp, NULL);
	for (i = 1; i < set->nr; i++) {
		const struct tcpdrop_key_range *r = &set->v[i];

		if (tcpdrop_range_key_cmp(&r->first, &set->v[last].last) > 0)
			set->v[++last] = *r;
		else if (tcpdrop_range_key_cmp(&r->last, &set->v[last].last) > 0)
			set->v[last].last = r->last;
	}
	set->nr = min(set->nr, last + 1);
	set->unsorted = false;
}

/**
 * tcpdrop_ranges_find() - is a key in a set? For tcpdrop_ranges_contain() only.
 * @set: the set, sorted
 * @key: the key
 *
 * Context: any.
 * Return: true if one of the ranges holds @key.
 */
bool tcpdrop_ranges_find(const struct tcpdrop_ranges *set,
			 const struct tcpdrop_range_key *key)
{
	size_t low = 0, high = set->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tcpdrop_range_key_cmp(&set->v[mid].last, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < set->nr && tcpdrop_range_key_cmp(&set->v[low].first, key) <= 0;
}

/**
 * tcpdrop_ranges_copy() - copy a set
 * @dst: an empty set; owns the copy, to be freed by tcpdrop_ranges_free()
 * @src: the set to copy
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with @dst empty.
 */
int tcpdrop_ranges_copy(struct tcpdrop_ranges *dst, const struct tcpdrop_ranges *src)
{
	int ret;

	ret = tcpdrop_ranges_reserve(dst, src->nr);
	if (ret)
		return ret;

	tcpdrop_ranges_append(dst, src);
	dst->unsorted = src->unsorted;
	return 0;
}

/**
 * tcpdrop_ranges_free() - empty a set and give back its memory
 * @set: the set, usable again afterwards
 */
void tcpdrop_ranges_free(struct tcpdrop_ranges *set)
{
	kvfree(set->v);
	*set = (struct tcpdrop_ranges){};
}
