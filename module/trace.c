// SPDX-License-Identifier: GPL-2.0
/*
 * What is behind the tracepoints.
 */
#include <linux/string.h>
#include <net/ipv6.h>

/* sparse takes offence at the kernel's macros. */
#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#endif
#include "trace.h"

/**
 * tcpdrop_trace_addr() - an address as the kernel's own events of TCP have it
 * @addr: the address
 * @v4: 4 bytes: an IPv4 address, 0 for others
 * @v6: 16 bytes: an IPv6 address, v4-mapped for IPv4
 *
 * Context: any.
 */
void tcpdrop_trace_addr(const struct tcpdrop_range_key *addr, u8 *v4, u8 *v6)
{
	struct in6_addr in6;
	__be32 in4 = 0;

	if (addr->space == CONN_IPV6) {
		in6 = tcpdrop_conn_ipv6_addr(addr);
	} else {
		in4 = htonl(addr->lo);
		ipv6_addr_set_v4mapped(in4, &in6);
	}
	memcpy(v4, &in4, sizeof(in4));
	memcpy(v6, &in6, sizeof(in6));
}
