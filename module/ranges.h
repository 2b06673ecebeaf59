/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of ranges over 128-bit keys: what every list attribute of a rule is
 * kept as.  Plain data, no locks: the owner of a set serialises its use.
 */
#ifndef TCPDROP_RANGES_H
#define TCPDROP_RANGES_H

#include <linux/types.h>

/**
 * struct range_key - a point that a range starts or ends at
 * @space: keeps apart what must never be compared (IPv4 and IPv6); 0 elsewhere
 * @hi: upper 64 bits, host byte order
 * @lo: lower 64 bits, host byte order
 */
struct range_key {
	u32 space;
	u64 hi;
	u64 lo;
};

/**
 * struct key_range - the keys from @first to @last, both included, of one space
 * @first: the lowest key
 * @last: the highest key
 */
struct key_range {
	struct range_key first;
	struct range_key last;
};

/**
 * struct ranges - a set of ranges; all zero is the empty set
 * @v: the ranges, owned by the set
 * @nr: ranges in use
 * @cap: ranges that fit in @v
 * @unsorted: appended to since the last ranges_sort()
 */
struct ranges {
	struct key_range *v;
	size_t nr;
	size_t cap;
	bool unsorted;
};

static inline int range_key_cmp(const struct range_key *a,
				const struct range_key *b)
{
	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return 0;
}

static inline bool range_is_single(const struct key_range *r)
{
	return !range_key_cmp(&r->first, &r->last);
}

int ranges_reserve(struct ranges *set, size_t more);
int ranges_add(struct ranges *set, const struct key_range *r);
void ranges_append(struct ranges *set, const struct ranges *other);
void ranges_sort(struct ranges *set);
bool ranges_find(const struct ranges *set, const struct range_key *key);
int ranges_copy(struct ranges *dst, const struct ranges *src);
void ranges_free(struct ranges *set);

/**
 * ranges_contain() - is a key in a set?
 * @set: the set, sorted; most are empty, which is seen without a call
 * @key: the key
 *
 * Context: any.
 * Return: true if one of the ranges holds @key.
 */
static inline bool ranges_contain(const struct ranges *set, const struct range_key *key)
{
	return set->nr && ranges_find(set, key);
}

#endif /* TCPDROP_RANGES_H */
