/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the targets have in common: an input is text, cut into pieces, and what
 * has to be true of it is claimed.
 */
#ifndef TCPDROP_FUZZ_H
#define TCPDROP_FUZZ_H

#include "../model.h"

/* What libFuzzer calls: for each input, and, if there is one, once before. */
int fuzz_one(const uint8_t *data, size_t size) __asm__("LLVMFuzzerTestOneInput");
int fuzz_init(int *argc, char ***argv) __asm__("LLVMFuzzerInitialize");

/* As configfs has it. */
#define PAGE 4096

/* What a program can write at once to configfs, and what it can read back. */
#define WRITE_MAX 4094

#define claim(what, ...) do {								\
	if (!(what)) {									\
		fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #what);	\
		fprintf(stderr, __VA_ARGS__);						\
		fputc('\n', stderr);							\
		abort();								\
	}										\
} while (0)

/* A piece of the input, which is not a string. */
struct piece {
	const char *text;
	size_t len;
};

/* The piece before the next @end, or before the end; *@rest is what follows. */
static inline struct piece next_piece(struct piece *rest, char end)
{
	const char *stop = memchr(rest->text, end, rest->len);
	struct piece piece = { rest->text, stop ? stop - rest->text : rest->len };
	size_t used = piece.len + !!stop;

	rest->text += used;
	rest->len -= used;
	return piece;
}

/* As a string of its own, so that the sanitizer sees its end; to be freed. */
static inline char *string_of(struct piece piece)
{
	char *string = malloc(piece.len + 1);

	memcpy(string, piece.text, piece.len);
	string[piece.len] = '\0';
	return string;
}

/*
 * The attribute of a name; of anything else one that the first character
 * chooses, so that every piece names one.
 */
static inline enum tcpdrop_rule_attr attr_of_piece(struct piece piece)
{
	unsigned int attr;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++) {
		const char *name = tcpdrop_rule_attr_name(attr);

		if (strlen(name) == piece.len && !memcmp(name, piece.text, piece.len))
			return attr;
	}
	return piece.len ? (unsigned char)*piece.text % RULE_NR_ATTRS : 0;
}

/* "~3" before what is written: the allocation after the third fails. */
static inline long take_allocations(struct piece *piece)
{
	long allocations;

	if (piece->len < 2 || piece->text[0] != '~' || !isdigit((unsigned char)piece->text[1]))
		return -1;
	allocations = piece->text[1] - '0';
	piece->text += 2;
	piece->len -= 2;
	return allocations;
}

/* Writes to an attribute; *@failed is whether an allocation has failed. */
static inline int write_attr(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
			     struct piece piece, struct tcpdrop_rule_error *error, bool *failed)
{
	long allocations = take_allocations(&piece);
	char *text = string_of(piece);
	int ret;

	error->text[0] = '\0';
	shim_allocations = allocations;
	ret = tcpdrop_rule_store(rule, attr, text, piece.len, error);
	*failed = allocations >= 0 && !shim_allocations;
	shim_allocations = -1;
	free(text);
	claim(!cgroups_held, "%ld", cgroups_held);
	claim(ret != -ENOMEM || *failed, "%s", error->text);
	return ret;
}

/* The whole rule, which there is memory for; to be freed. */
static inline char *whole_of(struct tcpdrop_rule *rule)
{
	char *whole = print_whole(rule);

	claim(whole, "out of memory");
	return whole;
}

static inline void claim_same_ranges(struct tcpdrop_ranges *a, struct tcpdrop_ranges *b,
				     const char *name)
{
	size_t i;

	tcpdrop_ranges_sort(a);
	tcpdrop_ranges_sort(b);
	claim(a->nr == b->nr, "%s", name);
	for (i = 0; i < a->nr; i++)
		claim(!tcpdrop_range_key_cmp(&a->v[i].first, &b->v[i].first) &&
		      !tcpdrop_range_key_cmp(&a->v[i].last, &b->v[i].last), "%s", name);
}

/*
 * That two rules show the same is not to be because something is never shown.
 * An empty netns is shown as self, which is one item when it is written.
 */
static inline void claim_same_lists(struct tcpdrop_rule *a, struct tcpdrop_rule *b)
{
	unsigned int attr;

	claim(tcpdrop_rule_netns(a) == tcpdrop_rule_netns(b), "%d", tcpdrop_rule_netns(a));
	for (attr = 0; attr < RULE_NR_LISTS; attr++) {
		const char *name = tcpdrop_rule_attr_name(attr);

		if (attr == RULE_NETNS && tcpdrop_rule_netns(a) == NETNS_SELF)
			continue;
		claim_same_ranges(&a->sel[attr].yes, &b->sel[attr].yes, name);
		claim_same_ranges(&a->sel[attr].no, &b->sel[attr].no, name);
	}
	claim(a->states == b->states, "%x and %x", a->states, b->states);
}

#endif /* TCPDROP_FUZZ_H */
