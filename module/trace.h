/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints.  What is in TP_fast_assign() runs only while somebody
 * traces; until then a tracepoint is an instruction that does nothing.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tcpdrop

#if !defined(TCPDROP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TCPDROP_TRACE_H

#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uidgid.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "conn.h"
#include "drop.h"

/* Programs that read the format of an event know no names of ours. */
TRACE_DEFINE_ENUM(TCP_ESTABLISHED);
TRACE_DEFINE_ENUM(TCP_SYN_SENT);
TRACE_DEFINE_ENUM(TCP_SYN_RECV);
TRACE_DEFINE_ENUM(TCP_FIN_WAIT1);
TRACE_DEFINE_ENUM(TCP_FIN_WAIT2);
TRACE_DEFINE_ENUM(TCP_TIME_WAIT);
TRACE_DEFINE_ENUM(TCP_CLOSE_WAIT);
TRACE_DEFINE_ENUM(TCP_LAST_ACK);
TRACE_DEFINE_ENUM(TCP_LISTEN);
TRACE_DEFINE_ENUM(TCP_CLOSING);

#define show_state(state)				\
	__print_symbolic(state,				\
		{ TCP_LISTEN,		"LISTEN" },	\
		{ TCP_SYN_SENT,		"SYN_SENT" },	\
		{ TCP_SYN_RECV,		"SYN_RCVD" },	\
		{ TCP_ESTABLISHED,	"ESTABLISHED" },\
		{ TCP_CLOSE_WAIT,	"CLOSE_WAIT" },	\
		{ TCP_FIN_WAIT1,	"FIN_WAIT_1" },	\
		{ TCP_CLOSING,		"CLOSING" },	\
		{ TCP_LAST_ACK,		"LAST_ACK" },	\
		{ TCP_FIN_WAIT2,	"FIN_WAIT_2" },	\
		{ TCP_TIME_WAIT,	"TIME_WAIT" })

#define show_family(family)				\
	__print_symbolic(family,			\
		{ AF_INET,		"AF_INET" },	\
		{ AF_INET6,		"AF_INET6" })

#define show_result(result)				\
	__print_symbolic(result,			\
		{ 0,			"dropped" },	\
		{ 1,			"failed" })

void tcpdrop_trace_addr(const struct tcpdrop_range_key *addr, u8 *v4, u8 *v6);

/*
 * A socket has been dropped, or could not be.
 *
 * The caller has a reference on the socket, and its namespace, of whatever kind
 * it is, is one that the walk holds: no others are looked at.  The name is that
 * of a rule that is being committed, which does not change.
 */
TRACE_EVENT(tcpdrop_drop,

	TP_PROTO(const struct tcpdrop_dropper *dropper,
		 const struct tcpdrop_batch_entry *sock, bool failed),

	TP_ARGS(dropper, sock, failed),

	TP_STRUCT__entry(
		__dynamic_array(char, rule, strlen(dropper->name) + 1)
		__field(__u32, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__field(__u16, dport)
		__field(__u8, state)
		__field(__u8, result)
		__array(__u8, saddr, 4)
		__array(__u8, daddr, 4)
		__array(__u8, saddr_v6, 16)
		__array(__u8, daddr_v6, 16)
	),

	TP_fast_assign(
		strscpy(__get_str(rule), dropper->name, strlen(dropper->name) + 1);
		__entry->netns = sock_net(sock->sk)->ns.inum;
		__entry->family = sock->conn.saddr.space == CONN_IPV6 ? AF_INET6 : AF_INET;
		__entry->sport = sock->conn.sport;
		__entry->dport = sock->conn.dport;
		__entry->state = sock->conn.state;
		__entry->result = failed;
		tcpdrop_trace_addr(&sock->conn.saddr, __entry->saddr, __entry->saddr_v6);
		tcpdrop_trace_addr(&sock->conn.daddr, __entry->daddr, __entry->daddr_v6);
	),

	TP_printk("rule=%s netns=%u family=%s sport=%u dport=%u saddr=%pI4 daddr=%pI4 saddrv6=%pI6c daddrv6=%pI6c state=%s result=%s",
		  __get_str(rule), __entry->netns, show_family(__entry->family),
		  __entry->sport, __entry->dport, __entry->saddr, __entry->daddr,
		  __entry->saddr_v6, __entry->daddr_v6, show_state(__entry->state),
		  show_result(__entry->result))
);

/* A commit has ended, or was refused: then @result is all zero, or what was found. */
TRACE_EVENT(tcpdrop_commit,

	TP_PROTO(const char *name, unsigned int namespaces,
		 const struct tcpdrop_drop_result *done, int error),

	TP_ARGS(name, namespaces, done, error),

	TP_STRUCT__entry(
		__dynamic_array(char, rule, strlen(name) + 1)
		__field(__u32, uid)
		__field(__u32, namespaces)
		__field(__u64, matched)
		__field(__u64, dropped)
		__field(__u64, failed)
		__field(__u64, remaining)
		__field(__u64, elapsed_us)
		__field(int, error)
	),

	TP_fast_assign(
		strscpy(__get_str(rule), name, strlen(name) + 1);
		__entry->uid = from_kuid_munged(&init_user_ns, current_uid());
		__entry->namespaces = namespaces;
		__entry->matched = atomic_long_read(&done->matched);
		__entry->dropped = atomic_long_read(&done->dropped);
		__entry->failed = atomic_long_read(&done->failed);
		__entry->remaining = atomic_long_read(&done->remaining);
		__entry->elapsed_us = atomic_long_read(&done->elapsed_us);
		__entry->error = error;
	),

	TP_printk("rule=%s uid=%u namespaces=%u matched=%llu dropped=%llu failed=%llu remaining=%llu elapsed_us=%llu error=%d",
		  __get_str(rule), __entry->uid, __entry->namespaces, __entry->matched,
		  __entry->dropped, __entry->failed, __entry->remaining,
		  __entry->elapsed_us, __entry->error)
);

#endif /* TCPDROP_TRACE_H */

/* Kbuild has this directory among those to look in for it. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
