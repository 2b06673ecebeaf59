/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as the rule model uses, on top of the C library, so
 * that the model runs in user space: under sanitizers, and with allocations
 * that fail on demand.
 */
#ifndef TCPDROP_SHIM_H
#define TCPDROP_SHIM_H

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint32_t __be32;

#include <limits.h>

#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define fls64(w) ((w) ? 64 - __builtin_clzll(w) : 0)
#define ilog2(n) (63 - __builtin_clzll(n))
#define hweight64(w) ((unsigned int)__builtin_popcountll(w))

#define min(a, b) ({			\
	__typeof__(a) __a = (a);	\
	__typeof__(a) __b = (b);	\
					\
	__a < __b ? __a : __b;		\
})
#define max(a, b) ({			\
	__typeof__(a) __a = (a);	\
	__typeof__(a) __b = (b);	\
					\
	__a > __b ? __a : __b;		\
})
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define max3(a, b, c) max(a, max(b, c))

#define GFP_KERNEL 0
#define GFP_KERNEL_ACCOUNT 0
#define __GFP_NOWARN 0

/* How many allocations succeed before one fails; negative: all do. */
extern long shim_allocations;

/* How many there are that have not been freed. */
extern long shim_allocated;

static inline void *kvmalloc_array(size_t n, size_t size, int flags)
{
	void *p;

	(void)flags;
	if (!shim_allocations)
		return NULL;
	if (shim_allocations > 0)
		shim_allocations--;
	p = reallocarray(NULL, n, size);
	shim_allocated += !!p;
	return p;
}

/* Most are of nothing, for which the sanitizer need not be asked. */
static inline void kvfree(const void *p)
{
	if (!p)
		return;
	shim_allocated--;
	free((void *)p);
}

#define kfree kvfree

#define kvmalloc(size, flags)	kvmalloc_array(size, 1, flags)
#define struct_size(p, member, n)	offsetof(__typeof__(*(p)), member[n])
#define container_of(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))

typedef struct {
	unsigned int refs;
} refcount_t;

static inline void refcount_set(refcount_t *r, unsigned int n)
{
	r->refs = n;
}

static inline unsigned int refcount_read(const refcount_t *r)
{
	return r->refs;
}

static inline void refcount_inc(refcount_t *r)
{
	r->refs++;
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	return !--r->refs;
}

static inline void *kzalloc(size_t size, int flags)
{
	void *p = kvmalloc_array(size, 1, flags);

	return p ? memset(p, 0, size) : NULL;
}

#define __printf(a, b)   __attribute__((format(printf, a, b)))

static inline void cond_resched(void)
{
}

static inline void sort(void *base, size_t num, size_t size,
			int (*cmp)(const void *, const void *), void *swap_func)
{
	(void)swap_func;
	if (num)
		qsort(base, num, size, cmp);
}

/* As the kernel does: a "+" before a number and a newline behind it are part of it. */
static inline int kstrtou64(const char *s, unsigned int base, u64 *res)
{
	u64 value = 0;
	bool over = false;
	int digits;

	s += *s == '+';
	if (base == 16 && s[0] == '0' && tolower((unsigned char)s[1]) == 'x')
		s += 2;
	for (digits = 0; isxdigit((unsigned char)*s); s++, digits++) {
		unsigned int digit = isdigit((unsigned char)*s) ?
				     *s - '0' : tolower((unsigned char)*s) - 'a' + 10;

		if (digit >= base)
			break;
		over |= __builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, digit, &value);
	}
	s += digits && *s == '\n';
	if (!digits || (*s && !over))
		return -EINVAL;
	if (over)
		return -ERANGE;
	*res = value;
	return 0;
}

static inline int match_string(const char * const *array, size_t n, const char *string)
{
	size_t i;

	for (i = 0; i < n && array[i]; i++)
		if (!strcmp(array[i], string))
			return i;
	return -EINVAL;
}

static inline int kstrtou16(const char *s, unsigned int base, u16 *res)
{
	u64 value;
	int ret;

	ret = kstrtou64(s, base, &value);
	if (ret)
		return ret;
	if (value > U16_MAX)
		return -ERANGE;
	*res = value;
	return 0;
}

static inline int in6_pton(const char *src, int len, u8 *dst, int delim,
			   const char **end)
{
	(void)len;
	(void)delim;
	*end = src + strlen(src);
	return inet_pton(AF_INET6, src, dst);
}

static inline int vscnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	int len = vsnprintf(buf, size, fmt, ap);

	return len < (int)size ? len : (int)size - 1;
}

/* Its last 32 bits are an IPv4 address, and printed as one. */
static inline bool shim_ends_in_ipv4(const u8 *addr)
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(addr, mapped, sizeof(mapped)) ||
	       ((addr[8] & ~2) == 0 && addr[9] == 0 && addr[10] == 0x5e && addr[11] == 0xfe);
}

/* As %pI6c: where the C library's differs, a reader must not notice. */
static inline int shim_print_ipv6(char *buf, size_t size, const u8 *addr)
{
	unsigned int groups = shim_ends_in_ipv4(addr) ? 6 : 8;
	unsigned int i, run, from = 0, longest = 1;
	char text[64] = "";
	size_t len = 0;

	for (i = 0; i < groups; i++) {
		for (run = 0; i + run < groups; run++)
			if (addr[2 * (i + run)] || addr[2 * (i + run) + 1])
				break;
		if (run > longest) {
			longest = run;
			from = i;
		}
	}
	for (i = 0; i < groups; i++) {
		if (longest > 1 && i == from) {
			len += snprintf(text + len, sizeof(text) - len, "::");
			i += longest - 1;
			continue;
		}
		len += snprintf(text + len, sizeof(text) - len, "%s%x",
				len && text[len - 1] != ':' ? ":" : "",
				addr[2 * i] << 8 | addr[2 * i + 1]);
	}
	if (groups == 6)
		snprintf(text + len, sizeof(text) - len, "%s%u.%u.%u.%u",
			 text[len - 1] != ':' ? ":" : "", addr[12], addr[13], addr[14], addr[15]);
	len = snprintf(buf, size, "%s", text);
	return len < size ? len : size - 1;
}

/* Knows the kernel's %pI4 and %pI6c, each alone in its format. */
static inline int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	if (!strcmp(fmt, "%pI4"))
		len = inet_ntop(AF_INET, va_arg(ap, void *), buf, size) ? strlen(buf) : 0;
	else if (!strcmp(fmt, "%pI6c"))
		len = shim_print_ipv6(buf, size, va_arg(ap, void *));
	else
		len = vscnprintf(buf, size, fmt, ap);
	va_end(ap);
	return len;
}

#endif /* TCPDROP_SHIM_H */
