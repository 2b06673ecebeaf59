/* SPDX-License-Identifier: GPL-2.0 */
#include <netinet/in.h>
#ifndef s6_addr32
#define s6_addr32 __in6_u.__u6_addr32
#endif
