// SPDX-License-Identifier: GPL-2.0
/*
 * Names of TCP states, and connections as text.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#include "conn.h"

#define STATES_SYNCHRONIZED	(CONN_STATES_ALL & ~TCPF_SYN_SENT)
#define STATES_BUCKET		(TCPF_TIME_WAIT | TCPF_SYN_RECV)
#define STATES_BIG		(CONN_STATES_ALL & ~STATES_BUCKET)

/* In the order in which BSD numbers them, which is that of a connection's life. */
static const struct {
	const char *name;
	unsigned int state;
} state_names[CONN_STATE_RANKS] = {
	{ "LISTEN",	 TCP_LISTEN },
	{ "SYN_SENT",	 TCP_SYN_SENT },
	{ "SYN_RCVD",	 TCP_SYN_RECV },
	{ "ESTABLISHED", TCP_ESTABLISHED },
	{ "CLOSE_WAIT",	 TCP_CLOSE_WAIT },
	{ "FIN_WAIT_1",	 TCP_FIN_WAIT1 },
	{ "CLOSING",	 TCP_CLOSING },
	{ "LAST_ACK",	 TCP_LAST_ACK },
	{ "FIN_WAIT_2",	 TCP_FIN_WAIT2 },
	{ "TIME_WAIT",	 TCP_TIME_WAIT },
};

/* What else a state or a group of states is called, in ss and in Linux. */
static const struct {
	const char *name;
	unsigned int states;
} state_aliases[] = {
	{ "SYN_RECV",	  TCPF_SYN_RECV },
	{ "ESTAB",	  TCPF_ESTABLISHED },
	{ "FIN_WAIT1",	  TCPF_FIN_WAIT1 },
	{ "FIN_WAIT2",	  TCPF_FIN_WAIT2 },
	{ "ALL",	  CONN_STATES_ALL },
	{ "CONNECTED",	  CONN_STATES_ALL },
	{ "SYNCHRONIZED", STATES_SYNCHRONIZED },
	{ "BUCKET",	  STATES_BUCKET },
	{ "BIG",	  STATES_BIG },
};

/**
 * conn_ipv6_key() - the key of an IPv6 address
 * @addr: the address; one that is v4-mapped has the key of the IPv4 address
 *
 * Return: the key.
 */
struct range_key conn_ipv6_key(const struct in6_addr *addr)
{
	const __be32 *w = addr->s6_addr32;

	if (!w[0] && !w[1] && w[2] == htonl(0xffff))
		return conn_ipv4_key(w[3]);

	return (struct range_key){
		.space = CONN_IPV6,
		.hi = (u64)ntohl(w[0]) << 32 | ntohl(w[1]),
		.lo = (u64)ntohl(w[2]) << 32 | ntohl(w[3]),
	};
}

/**
 * conn_ipv6_addr() - the address that an IPv6 key stands for
 * @key: a key of space CONN_IPV6
 *
 * Return: the address.
 */
struct in6_addr conn_ipv6_addr(const struct range_key *key)
{
	struct in6_addr addr;

	addr.s6_addr32[0] = htonl(key->hi >> 32);
	addr.s6_addr32[1] = htonl((u32)key->hi);
	addr.s6_addr32[2] = htonl(key->lo >> 32);
	addr.s6_addr32[3] = htonl((u32)key->lo);
	return addr;
}

/**
 * conn_state_name() - what a state is called, in BSD's spelling
 * @state: a TCP_* state that a connection or a listener can be in
 *
 * Return: its name, or "?".
 */
const char *conn_state_name(unsigned int state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(state_names); i++)
		if (state_names[i].state == state)
			return state_names[i].name;
	return "?";
}

/**
 * conn_state_by_rank() - the states in the order in which they are printed
 * @rank: 0 to CONN_STATE_RANKS - 1
 *
 * Return: the TCP_* state of that rank.
 */
unsigned int conn_state_by_rank(unsigned int rank)
{
	return state_names[rank].state;
}

/* State names know no case, and a dash is as good as an underscore. */
static bool state_name_eq(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char c = *a == '-' ? '_' : toupper(*a);

		if (c != *b)
			return false;
	}
	return *a == *b;
}

/**
 * conn_states_by_name() - the states that a name stands for
 * @name: a state or a group of states, as ss, BSD or Linux spell it
 *
 * Return: the states as TCPF_* bits, 0 if there are none of that name.
 */
unsigned int conn_states_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(state_names); i++)
		if (state_name_eq(name, state_names[i].name))
			return 1U << state_names[i].state;
	for (i = 0; i < ARRAY_SIZE(state_aliases); i++)
		if (state_name_eq(name, state_aliases[i].name))
			return state_aliases[i].states;
	return 0;
}

/**
 * conn_print_addr() - an address as text, without brackets
 * @buf: where to
 * @size: of @buf; CONN_ADDR_MAX is enough
 * @addr: the key of an address
 *
 * Return: the characters written, the final NUL not counted.
 */
int conn_print_addr(char *buf, size_t size, const struct range_key *addr)
{
	struct in6_addr in6;
	__be32 in4;

	if (addr->space == CONN_IPV4) {
		in4 = htonl((u32)addr->lo);
		return scnprintf(buf, size, "%pI4", &in4);
	}
	in6 = conn_ipv6_addr(addr);
	return scnprintf(buf, size, "%pI6c", &in6);
}

static int print_end(char *buf, size_t size, const struct range_key *addr,
		     u16 port)
{
	char text[CONN_ADDR_MAX];

	conn_print_addr(text, sizeof(text), addr);
	if (addr->space == CONN_IPV4)
		return scnprintf(buf, size, "%s:%u", text, port);
	return scnprintf(buf, size, "[%s]:%u", text, port);
}

/**
 * conn_print() - a connection as the line that listings consist of
 * @buf: where to
 * @size: of @buf; CONN_LINE_MAX is enough
 * @conn: the connection
 *
 * Return: the characters written, with the newline, without the final NUL.
 */
int conn_print(char *buf, size_t size, const struct conn *conn)
{
	int len;

	len = print_end(buf, size, &conn->saddr, conn->sport);
	len += scnprintf(buf + len, size - len, " ");
	len += print_end(buf + len, size - len, &conn->daddr, conn->dport);
	len += scnprintf(buf + len, size - len, " %s\n",
			 conn_state_name(conn->state));
	return len;
}
