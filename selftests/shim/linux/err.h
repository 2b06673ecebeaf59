/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_SHIM_ERR_H
#define TCPDROP_SHIM_ERR_H

#include <stdbool.h>

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= (unsigned long)-4095;
}

static inline int PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? (long)ptr : 0;
}

#endif /* TCPDROP_SHIM_ERR_H */
