/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of ranges over 128-bit keys: what every list attribute of a rule is
 * kept as.  Plain data, no locks: the owner of a set serialises its use.
 */
#ifndef TCPDROP_RANGES_H
#define TCPDROP_RANGES_H

#include <linux/types.h>

/**
 * struct tcpdrop_range_key - a point that a range starts or ends at
 * @space: keeps apart what must never be compared (IPv4 and IPv6); 0 elsewhere
 * @hi: upper 64 bits, host byte order
 * @lo: lower 64 bits, host byte order
 */
struct tcpdrop_range_key {
	u32 space;
	u64 hi;
	u64 lo;
};

/**
 * struct tcpdrop_key_range - the keys from @first to @last, both included, of one space
 * @first: the lowest key
 * @last: the highest key
 */
struct tcpdrop_key_range {
	struct tcpdrop_range_key first;
	struct tcpdrop_range_key last;
};

/**
 * struct tcpdrop_ranges - a set of ranges; all zero is the empty set
 * @v: the ranges, which its copies may share
 * @nr: ranges in use
 * @cap: ranges that fit in @v
 * @sorted: how many of them are in order from the first on; the others, which came in
 *          later, are in an order of their own
 * @unsorted: neither is so
 */
struct tcpdrop_ranges {
	struct tcpdrop_key_range *v;
	size_t nr;
	size_t cap;
	size_t sorted;
	bool unsorted;
};

static inline int tcpdrop_range_key_cmp(const struct tcpdrop_range_key *a,
					const struct tcpdrop_range_key *b)
{
	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return 0;
}

static inline bool tcpdrop_range_is_single(const struct tcpdrop_key_range *r)
{
	return !tcpdrop_range_key_cmp(&r->first, &r->last);
}

int tcpdrop_ranges_reserve(struct tcpdrop_ranges *set, size_t more);
int tcpdrop_ranges_add(struct tcpdrop_ranges *set, const struct tcpdrop_key_range *r);
void tcpdrop_ranges_merge(struct tcpdrop_ranges *set, struct tcpdrop_ranges *other);
void tcpdrop_ranges_sort(struct tcpdrop_ranges *set);
bool tcpdrop_ranges_find(const struct tcpdrop_ranges *set,
			 const struct tcpdrop_range_key *key);
void tcpdrop_ranges_index(struct tcpdrop_ranges *set);
void tcpdrop_ranges_copy(struct tcpdrop_ranges *dst, struct tcpdrop_ranges *src);
void tcpdrop_ranges_free(struct tcpdrop_ranges *set);

/**
 * tcpdrop_ranges_contain() - is a key in a set?
 * @set: the set, sorted; most are empty, which is seen without a call
 * @key: the key
 *
 * Context: any.
 * Return: true if one of the ranges holds @key.
 */
static inline bool tcpdrop_ranges_contain(const struct tcpdrop_ranges *set,
					  const struct tcpdrop_range_key *key)
{
	return set->nr && tcpdrop_ranges_find(set, key);
}

#endif /* TCPDROP_RANGES_H */
