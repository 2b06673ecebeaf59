/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that tcpdrop builds for; the only place
 * with tests of their version.
 */
#ifndef TCPDROP_COMPAT_H
#define TCPDROP_COMPAT_H

#include <linux/version.h>
#include <net/inet_hashtables.h>

/*
 * TCPDROP_NO_LHASH2_NULLS: lhash2 does not chain listeners by their nulls
 * node, but listening_hash does.
 * Since 5.19 lhash2 is the only table; delete with support for 5.10 and 5.15.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 19, 0)
#define TCPDROP_NO_LHASH2_NULLS
#endif

static inline unsigned int listen_table_size(const struct inet_hashinfo *hashinfo)
{
#ifdef TCPDROP_NO_LHASH2_NULLS
	return INET_LHTABLE_SIZE;
#else
	return hashinfo->lhash2_mask + 1;
#endif
}

static inline struct inet_listen_hashbucket *
listen_bucket(struct inet_hashinfo *hashinfo, unsigned int bucket)
{
#ifdef TCPDROP_NO_LHASH2_NULLS
	return &hashinfo->listening_hash[bucket];
#else
	return &hashinfo->lhash2[bucket];
#endif
}

#endif /* TCPDROP_COMPAT_H */
