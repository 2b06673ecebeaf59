// SPDX-License-Identifier: GPL-2.0
/*
 * Texts that grow.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "text.h"

/* The least to allocate, in bytes. */
#define TEXT_MIN	4096

/**
 * tcpdrop_text_reserve() - make room at the end of a text
 * @text: the text
 * @more: for so many bytes
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM, or -EFBIG if it came to 1 GiB; the text is as it was then.
 */
int tcpdrop_text_reserve(struct tcpdrop_text *text, size_t more)
{
	size_t cap;
	char *buf;

	if (text->cap - text->len >= more)
		return 0;

	cap = max_t(size_t, TEXT_MIN, 2 * (text->len + more));
	if (cap > INT_MAX)
		return -EFBIG;
	buf = kvmalloc_array(cap, 1, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!buf)
		return -ENOMEM;

	if (text->len)
		memcpy(buf, text->buf, text->len);
	kvfree(text->buf);
	text->buf = buf;
	text->cap = cap;
	return 0;
}
