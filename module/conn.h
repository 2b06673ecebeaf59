/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connection as plain data: what a rule looks at and what a listing prints.
 */
#ifndef TCPDROP_CONN_H
#define TCPDROP_CONN_H

#include <linux/in6.h>
#include <linux/types.h>
#include <net/tcp_states.h>

#include "ranges.h"

/* The spaces of address keys; IPv4 sorts first. */
enum tcpdrop_conn_space {
	CONN_IPV4 = 4,
	CONN_IPV6 = 6,
};

/**
 * struct tcpdrop_conn - a TCP connection as seen from one end
 * @saddr: local address
 * @daddr: remote address, of the same space
 * @sport: local port, host byte order
 * @dport: remote port, host byte order; 0 for a listener
 * @state: TCP_ESTABLISHED to TCP_CLOSING; TCP_SYN_RECV for a request, the
 *         state that it stands for (TCP_FIN_WAIT2, TCP_TIME_WAIT) for a
 *         time-wait minisock
 */
struct tcpdrop_conn {
	struct tcpdrop_range_key saddr;
	struct tcpdrop_range_key daddr;
	u16 sport;
	u16 dport;
	u8 state;
};

/* "[ADDR]:PORT" twice, a state, blanks, newline and NUL, with room left. */
#define CONN_LINE_MAX	128
#define CONN_ADDR_MAX	48

/* One more than the highest state that struct tcpdrop_conn knows. */
#define CONN_STATE_MAX	(TCP_CLOSING + 1)

/* The nine states of a connection, LISTEN not among them, as bits. */
#define CONN_STATES_ALL	(TCPF_SYN_SENT | TCPF_SYN_RECV | TCPF_ESTABLISHED | \
			 TCPF_CLOSE_WAIT | TCPF_FIN_WAIT1 | TCPF_CLOSING | \
			 TCPF_LAST_ACK | TCPF_FIN_WAIT2 | TCPF_TIME_WAIT)

/* How many names tcpdrop_conn_state_by_rank() knows. */
#define CONN_STATE_RANKS	10

static inline struct tcpdrop_range_key tcpdrop_conn_ipv4_key(__be32 addr)
{
	return (struct tcpdrop_range_key){ CONN_IPV4, 0, ntohl(addr) };
}

struct tcpdrop_range_key tcpdrop_conn_ipv6_key(const struct in6_addr *addr);
struct in6_addr tcpdrop_conn_ipv6_addr(const struct tcpdrop_range_key *key);

const char *tcpdrop_conn_state_name(unsigned int state);
unsigned int tcpdrop_conn_state_by_rank(unsigned int rank);
unsigned int tcpdrop_conn_states_by_name(const char *name);

int tcpdrop_conn_parse_addr(char *text, struct tcpdrop_range_key *key);
int tcpdrop_conn_parse_port(const char *text, u16 *port);
int tcpdrop_conn_parse_row(const char *line, struct tcpdrop_conn *ends, bool *row);
int tcpdrop_conn_parse_ends(const char *line, struct tcpdrop_conn *ends);

int tcpdrop_conn_print_addr(char *buf, const struct tcpdrop_range_key *addr);
int tcpdrop_conn_print(char *buf, const struct tcpdrop_conn *conn);

#endif /* TCPDROP_CONN_H */
