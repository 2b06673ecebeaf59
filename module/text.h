/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Texts that grow.
 */
#ifndef TCPDROP_TEXT_H
#define TCPDROP_TEXT_H

#include <linux/types.h>

/**
 * struct tcpdrop_text - a text that grows; all zero is an empty one
 * @buf: where it is, to be freed by kvfree(); NULL if there is none
 * @len: its length; what fits behind it is up to the owner to write, and to count here
 * @cap: how much fits in @buf
 */
struct tcpdrop_text {
	char *buf;
	size_t len;
	size_t cap;
};

/* Does a character part the words of a line? */
static inline bool tcpdrop_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\n');
}

int tcpdrop_text_reserve(struct tcpdrop_text *text, size_t more);

#endif /* TCPDROP_TEXT_H */
