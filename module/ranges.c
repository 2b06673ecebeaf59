// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of ranges, searched in logarithmic time.
 *
 * A set is sorted as it grows, so that whoever uses it need not: what is new is
 * sorted by itself, and merged with what came in lately, which is merged with the
 * rest when it has grown to a certain part of that.  So each range is moved a few
 * dozen times, however long a list is that is written in thousands of pieces.
 *
 * A copy shares the ranges with what it is a copy of, until one of them is added to: so
 * a commit, or a look, copies no list, however long.  By an index, if there is one, a key
 * is found with a look at a range or two, unless they are all in a few places.
 */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "ranges.h"

/* As many as fit into 256 bytes. */
#define RANGES_MIN	5

/* What came in lately is no more than this part of the rest. */
#define LATE_PART	16

/* What an index spares a shorter list is less than it takes. */
#define INDEX_MIN	16

/**
 * struct range_index - where to look among ranges that differ in the lower part only
 * @first: the lowest of their keys, by its lower part
 * @span: how far the highest is above it
 * @shift: a slot is so many keys, as a power of two
 * @start: for each slot, and the one behind them, how many ranges end before it, or rather
 *         one less if that is all
 */
struct range_index {
	u64 first;
	u64 span;
	unsigned int shift;
	u32 start[];
};

/* Where ranges are: those that are shared are in order, and only those have an index. */
struct range_array {
	refcount_t users;
	struct range_index *index;
	struct tcpdrop_key_range v[];
};

static struct range_array *array_of(const struct tcpdrop_ranges *set)
{
	return container_of(set->v, struct range_array, v[0]);
}

/* A set that is alone stays so, and what it does comes after all that others have read. */
static bool is_shared(const struct tcpdrop_ranges *set)
{
	return set->nr && refcount_read(&array_of(set)->users) > 1;
}

static void drop_index(struct range_array *array)
{
	kvfree(array->index);
	array->index = NULL;
}

static void array_put(struct tcpdrop_ranges *set)
{
	if (set->v && refcount_dec_and_test(&array_of(set)->users)) {
		drop_index(array_of(set));
		kvfree(array_of(set));
	}
}

static int range_cmp(const void *a, const void *b)
{
	const struct tcpdrop_key_range *x = a, *y = b;
	int ret;

	ret = tcpdrop_range_key_cmp(&x->first, &y->first);
	return ret ? ret : tcpdrop_range_key_cmp(&x->last, &y->last);
}

/*
 * Ranges that overlap become one; ranges that only touch stay apart, so that a reader
 * finds the items as they were written.  Returns how many are left.
 */
static size_t fold(struct tcpdrop_key_range *v, size_t nr)
{
	size_t i, last = 0;

	for (i = 1; i < nr; i++) {
		if (tcpdrop_range_key_cmp(&v[i].first, &v[last].last) > 0) {
			if (++last < i)
				v[last] = v[i];
		} else if (tcpdrop_range_key_cmp(&v[i].last, &v[last].last) > 0) {
			v[last].last = v[i].last;
		}
	}
	return min(nr, last + 1);
}

/* How many of some ranges in order come before another. */
static size_t rank(const struct tcpdrop_key_range *v, size_t nr,
		   const struct tcpdrop_key_range *r)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (range_cmp(&v[mid], r) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * Puts ranges in order into others, behind which there is room for them and which are
 * somewhere else: from the last on, with all that comes behind it.  Returns how many
 * there are then.
 */
static size_t insert(struct tcpdrop_key_range *v, size_t nr,
		     const struct tcpdrop_key_range *more, size_t nr_more)
{
	size_t i, pos, end = nr;

	for (i = nr_more; i; i--) {
		pos = rank(v, end, &more[i - 1]);
		memmove(&v[pos + i], &v[pos], (end - pos) * sizeof(*v));
		v[pos + i - 1] = more[i - 1];
		end = pos;
	}
	return fold(v, nr + nr_more);
}

static void sort_all(struct tcpdrop_ranges *set)
{
	sort(set->v, set->nr, sizeof(*set->v), range_cmp, NULL);
	set->nr = fold(set->v, set->nr);
}

/* Without memory to put the late ones aside it takes longer. */
static void insert_late(struct tcpdrop_ranges *set)
{
	size_t nr = set->nr - set->sorted;
	struct tcpdrop_key_range *late;

	late = kvmalloc_array(nr, sizeof(*late), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!late) {
		sort_all(set);
		return;
	}
	memcpy(late, set->v + set->sorted, nr * sizeof(*late));
	set->nr = insert(set->v, set->sorted, late, nr);
	kvfree(late);
}

/**
 * tcpdrop_ranges_sort() - bring a set into canonical order
 * @set: the set
 *
 * Ranges that overlap become one.
 *
 * Context: may sleep.
 */
void tcpdrop_ranges_sort(struct tcpdrop_ranges *set)
{
	if (set->unsorted)
		sort_all(set);
	else if (set->sorted && set->sorted < set->nr)
		insert_late(set);
	set->sorted = set->nr;
	set->unsorted = false;
}

/**
 * tcpdrop_ranges_reserve() - make room for more ranges
 * @set: the set, which no longer shares its ranges with others if @more is not 0
 * @more: how many ranges shall fit besides those it has
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with the set as it was.
 */
int tcpdrop_ranges_reserve(struct tcpdrop_ranges *set, size_t more)
{
	struct range_array *array;
	size_t cap;

	if (!more)
		return 0;
	if (set->cap - set->nr >= more && !is_shared(set)) {
		drop_index(array_of(set));
		return 0;
	}

	cap = max3(set->nr + more, set->nr * 2, (size_t)RANGES_MIN);
	if (cap > INT_MAX / sizeof(*set->v))
		return -ENOMEM;
	array = kvmalloc(struct_size(array, v, cap), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!array)
		return -ENOMEM;

	refcount_set(&array->users, 1);
	array->index = NULL;
	if (set->nr)
		memcpy(array->v, set->v, set->nr * sizeof(*set->v));
	array_put(set);
	set->v = array->v;
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

	if (set->sorted == set->nr &&
	    (!set->nr || tcpdrop_range_key_cmp(&set->v[set->nr - 1].last, &r->first) < 0))
		set->sorted++;
	else
		set->unsorted = true;
	set->v[set->nr++] = *r;
	return 0;
}

/**
 * tcpdrop_ranges_merge() - add all ranges of another set
 * @set: the set, which nothing but this has added to since it was sorted; the caller
 *       has reserved room for them
 * @other: the ranges to add, copied; sorted by that
 *
 * Context: may sleep.
 */
void tcpdrop_ranges_merge(struct tcpdrop_ranges *set, struct tcpdrop_ranges *other)
{
	size_t late;

	if (!other->nr)
		return;

	tcpdrop_ranges_sort(other);
	late = insert(set->v + set->sorted, set->nr - set->sorted, other->v, other->nr);
	set->nr = set->sorted + late;
	if (late > set->sorted / LATE_PART)
		tcpdrop_ranges_sort(set);
}

static bool is_upper_part_equal(const struct tcpdrop_range_key *a,
				const struct tcpdrop_range_key *b)
{
	return a->space == b->space && a->hi == b->hi;
}

/*
 * How many ranges, from the first on, differ in the lower part only; 0 if the last of them
 * ends elsewhere.
 */
static size_t nr_alike(const struct tcpdrop_ranges *set)
{
	const struct tcpdrop_range_key *first = &set->v[0].first;
	size_t low = 1, high = set->nr;

	if (is_upper_part_equal(&set->v[high - 1].last, first))
		return high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (is_upper_part_equal(&set->v[mid].first, first))
			low = mid + 1;
		else
			high = mid;
	}
	return is_upper_part_equal(&set->v[low - 1].last, first) ? low : 0;
}

/* About as many slots as ranges.  Without memory a search takes longer, and that is all. */
static struct range_index *index_new(const struct tcpdrop_key_range *v, size_t nr)
{
	u64 first = v[0].first.lo, span = v[nr - 1].last.lo - first;
	unsigned int shift = max(fls64(span) - ilog2(nr), 0);
	size_t i, last, slot = 0, nr_slots = (span >> shift) + 1;
	struct range_index *index;

	index = kvmalloc(struct_size(index, start, nr_slots + 1),
			 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!index)
		return NULL;

	index->first = first;
	index->span = span;
	index->shift = shift;
	for (i = 0; i < nr; i++)
		for (last = (v[i].last.lo - first) >> shift; slot <= last; slot++)
			index->start[slot] = i;
	index->start[nr_slots] = nr - 1;
	return index;
}

/* Of keys of which only the lower part differs, in ranges of which that at @high is the last. */
static bool find_lower_part(const struct tcpdrop_key_range *v, size_t low, size_t high, u64 lo)
{
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v[mid].last.lo < lo)
			low = mid + 1;
		else
			high = mid;
	}
	return v[low].first.lo <= lo && lo <= v[low].last.lo;
}

static bool find_by_index(const struct tcpdrop_key_range *v, const struct range_index *index,
			  u64 lo)
{
	size_t slot = (lo - index->first) >> index->shift;

	return lo - index->first <= index->span &&
	       find_lower_part(v, index->start[slot], index->start[slot + 1], lo);
}

/**
 * tcpdrop_ranges_find() - is a key in a set? For tcpdrop_ranges_contain() only.
 * @set: the set, sorted, and not empty
 * @key: the key
 *
 * Context: any.
 * Return: true if one of the ranges holds @key.
 */
bool tcpdrop_ranges_find(const struct tcpdrop_ranges *set,
			 const struct tcpdrop_range_key *key)
{
	const struct range_index *index = array_of(set)->index;
	size_t low = 0, high = set->nr;

	/* As it is in all lists but those that have addresses of IPv6. */
	if (is_upper_part_equal(&set->v[0].first, key)) {
		if (index)
			return find_by_index(set->v, index, key->lo);
		if (is_upper_part_equal(&set->v[set->nr - 1].last, key))
			return find_lower_part(set->v, 0, set->nr - 1, key->lo);
	}

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
 * @dst: an empty set; gets the copy, which is sorted, to be freed by
 *       tcpdrop_ranges_free()
 * @src: the set to copy; sorted by that, and not changed if it was so
 *
 * The ranges are shared, until one of the two is added to.
 *
 * Context: may sleep.
 */
void tcpdrop_ranges_copy(struct tcpdrop_ranges *dst, struct tcpdrop_ranges *src)
{
	if (!src->nr)
		return;
	if (src->sorted < src->nr || src->unsorted)
		tcpdrop_ranges_sort(src);
	refcount_inc(&array_of(src)->users);
	*dst = *src;
}

/**
 * tcpdrop_ranges_index() - have keys be found in about the same time however many ranges
 * @set: the set, which nobody else looks at; sorted by that
 *
 * Lasts until the set is added to, and is shared with copies made after this.  Of use to
 * long sets whose lowest ranges, and most of all, are in one space and differ in their
 * lower 64 bits, and are spread over it.  Without memory there is none.
 *
 * Context: may sleep.
 */
void tcpdrop_ranges_index(struct tcpdrop_ranges *set)
{
	size_t nr;

	if (set->nr < INDEX_MIN || is_shared(set) || array_of(set)->index)
		return;
	tcpdrop_ranges_sort(set);
	nr = nr_alike(set);
	if (nr >= INDEX_MIN)
		array_of(set)->index = index_new(set->v, nr);
}

/**
 * tcpdrop_ranges_free() - empty a set and give back its memory
 * @set: the set, usable again afterwards
 */
void tcpdrop_ranges_free(struct tcpdrop_ranges *set)
{
	array_put(set);
	*set = (struct tcpdrop_ranges){};
}
