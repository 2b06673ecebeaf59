// SPDX-License-Identifier: GPL-2.0
/* How to bring one end of a connection into a state and keep it there. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tcpdrop_conn.h"

/* Longer than any test runs, and than the minute of a time-wait minisock. */
#define LONG_SECONDS 120

/* Clients and servers of Fast Open that need no cookie, TFO_* of net/tcp.h. */
#define FASTOPEN_WITHOUT_COOKIE "519"

/* What a few writes fill: far more than one window on the side that sends. */
#define STUFF_RCVBUF 4096
#define STUFF_SNDBUF 32768

static const struct {
	const char *target;
	const char *peer;
	const char *targets;
} places[FAMILIES] = {
	[IPV4] = { "127.10.0.1", "127.11.0.1", "127.10.0.0/16" },
	[IPV6] = { "fd00:a::1", "fd00:b::1", "fd00:a::/32" },
	[DUAL] = { "::ffff:127.20.0.1", "::ffff:127.21.0.1", "127.20.0.0/16" },
};

static int shape_syn_sent(struct conn *conn);
static int shape_request(struct conn *conn);
static int shape_syn_rcvd(struct conn *conn);
static int shape_established(struct conn *conn);
static int shape_not_accepted(struct conn *conn);
static int shape_close_wait(struct conn *conn);
static int shape_fin_wait_1(struct conn *conn);
static int shape_fin_wait_2(struct conn *conn);
static int shape_closing(struct conn *conn);
static int shape_last_ack(struct conn *conn);
static int shape_time_wait(struct conn *conn);

/* @passive: the target is the end that the listener made. */
static const struct {
	int state;
	bool passive;
	bool orphan;
	bool minisock;
	int (*shape)(struct conn *conn);
} kinds[KINDS] = {
	[SYN_SENT] = { TCP_SYN_SENT, false, false, false, shape_syn_sent },
	[SYN_RCVD_REQUEST] = { TCP_SYN_RECV, true, true, false, shape_request },
	[SYN_RCVD_FULL] = { TCP_SYN_RECV, true, false, false, shape_syn_rcvd },
	[ESTABLISHED] = { TCP_ESTABLISHED, false, false, false, shape_established },
	[NOT_ACCEPTED] = { TCP_ESTABLISHED, true, true, false, shape_not_accepted },
	[CLOSE_WAIT] = { TCP_CLOSE_WAIT, false, false, false, shape_close_wait },
	[FIN_WAIT_1] = { TCP_FIN_WAIT1, false, false, false, shape_fin_wait_1 },
	[FIN_WAIT_1_ORPHAN] = { TCP_FIN_WAIT1, false, true, false, shape_fin_wait_1 },
	[FIN_WAIT_2] = { TCP_FIN_WAIT2, false, false, false, shape_fin_wait_2 },
	[FIN_WAIT_2_ORPHAN] = { TCP_FIN_WAIT2, false, true, false, shape_fin_wait_2 },
	[FIN_WAIT_2_MINISOCK] = { TCP_FIN_WAIT2, false, true, true, shape_fin_wait_2 },
	[CLOSING] = { TCP_CLOSING, false, false, false, shape_closing },
	[CLOSING_ORPHAN] = { TCP_CLOSING, false, true, false, shape_closing },
	[LAST_ACK] = { TCP_LAST_ACK, false, false, false, shape_last_ack },
	[LAST_ACK_ORPHAN] = { TCP_LAST_ACK, false, true, false, shape_last_ack },
	[TIME_WAIT] = { TCP_TIME_WAIT, false, true, true, shape_time_wait },
};

int conn_state(enum kind kind)
{
	return kinds[kind].state;
}

/* Whether a process holds the target by a file descriptor. */
bool conn_is_owned(enum kind kind)
{
	return !kinds[kind].orphan;
}

/* Whether TCP tells the peer when a target of this kind is aborted. */
bool conn_sends_reset(enum kind kind)
{
	switch (kind) {
	case SYN_RCVD_FULL:
	case ESTABLISHED:
	case NOT_ACCEPTED:
	case CLOSE_WAIT:
	case FIN_WAIT_1:
	case FIN_WAIT_1_ORPHAN:
	case FIN_WAIT_2:
	case FIN_WAIT_2_ORPHAN:
		return true;
	default:
		return false;
	}
}

/* The prefix that holds the local address of every target of a family. */
const char *conn_targets(enum family family)
{
	return places[family].targets;
}

/* Prepare a namespace, once, for connections of every kind. */
int conn_setup(void)
{
	int ret;

	ret = netns_new();
	if (!ret)
		ret = netns_add_addr6(places[IPV6].target);
	if (!ret)
		ret = netns_add_addr6(places[IPV6].peer);
	if (!ret)
		ret = file_write("/proc/sys/net/ipv4/tcp_fastopen", FASTOPEN_WITHOUT_COOKIE);
	return ret;
}

static int prepare_nothing(int fd)
{
	return 0;
}

static int (*prepare_sock)(int fd) = prepare_nothing;

/*
 * From now on, each socket that connects or listens is given to @prepare before
 * there is a connection. What a listener has, its children have as well.
 */
void conn_prepare_by(int (*prepare)(int fd))
{
	prepare_sock = prepare;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* The end that connects: the target, or its peer where the target is passive. */
static int *active_fd(struct conn *conn)
{
	return kinds[conn->kind].passive ? &conn->peer : &conn->fd;
}

static int *passive_fd(struct conn *conn)
{
	return kinds[conn->kind].passive ? &conn->fd : &conn->peer;
}

/*
 * A socket that will connect, on any port but the listener's: at another address it may get that,
 * and the ports would not tell the two ends apart.
 */
static int active_new(const struct conn *conn, const char *addr, struct ends *ends)
{
	int fd = sock_new(conn->family);
	int ret, other;

	if (fd < 0)
		return fd;
	ret = prepare_sock(fd);
	if (!ret)
		ret = sock_bind(fd, conn->family, addr, 0);
	if (!ret)
		ret = end_of(fd, &ends->local);
	if (ret || ends->local.port != ends->remote.port)
		return ret ? ret : fd;
	other = active_new(conn, addr, ends);
	close(fd);
	return other;
}

/* Make the listener, the socket that will connect to it, and name their ends. */
static int conn_prepare(struct conn *conn)
{
	bool passive = kinds[conn->kind].passive;
	const char *target = places[conn->family].target;
	const char *peer = places[conn->family].peer;
	struct ends ends;
	int *fd = active_fd(conn);
	int ret;

	conn->listener = sock_listen(conn->family, passive ? target : peer, 0);
	if (conn->listener < 0)
		return conn->listener;
	ret = prepare_sock(conn->listener);
	if (!ret)
		ret = end_of(conn->listener, &ends.remote);
	if (ret)
		return ret;
	*fd = active_new(conn, passive ? peer : target, &ends);
	if (*fd < 0)
		return *fd;
	conn->ends = passive ? ends_swap(&ends) : ends;
	return 0;
}

static int conn_connect(struct conn *conn)
{
	const struct ends *ends = &conn->ends;

	return sock_connect(*active_fd(conn), conn->family,
			    kinds[conn->kind].passive ? &ends->local : &ends->remote);
}

static int conn_accept(struct conn *conn)
{
	int fd = accept4(conn->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	*passive_fd(conn) = fd;
	return 0;
}

/* Two established ends, and no listener any more. */
static int shape_established(struct conn *conn)
{
	int ret;

	ret = conn_connect(conn);
	if (!ret)
		ret = conn_accept(conn);
	close(conn->listener);
	conn->listener = -1;
	return ret;
}

/* Nobody hears the client. */
static int shape_syn_sent(struct conn *conn)
{
	int ret;

	ret = sock_mute(conn->listener);
	if (!ret)
		ret = sock_nonblock(conn->fd);
	if (!ret)
		ret = conn_connect(conn);
	return ret == -EINPROGRESS ? 0 : -EPROTO;
}

/* The listener waits for data that the client never sends. */
static int shape_request(struct conn *conn)
{
	int ret;

	ret = set_option(conn->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, LONG_SECONDS);
	return ret ? ret : conn_connect(conn);
}

/* Fast Open makes a full socket at once, which then never hears an ACK. */
static int shape_syn_rcvd(struct conn *conn)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int ret;

	ret = set_option(conn->listener, IPPROTO_TCP, TCP_FASTOPEN, 16);
	if (!ret)
		ret = sock_only_syn(conn->listener);
	if (ret)
		return ret;
	len = end_to_sockaddr(&conn->ends.local, conn->family, &ss);
	if (sendto(conn->peer, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&ss, len) != 1)
		return -errno;
	return conn_accept(conn);
}

/* The child waits in the queue of the listener. */
static int shape_not_accepted(struct conn *conn)
{
	struct pollfd ready = { .fd = conn->listener, .events = POLLIN };
	int ret;

	ret = conn_connect(conn);
	if (ret)
		return ret;
	return poll(&ready, 1, DEADLINE_MS) == 1 ? 0 : -ETIMEDOUT;
}

static int half_close(int fd)
{
	return shutdown(fd, SHUT_WR) ? -errno : 0;
}

static int wait_for_state(int fd, int state)
{
	return WAIT_UNTIL(sock_state(fd) == state) ? 0 : -ETIMEDOUT;
}

/* The peer closes its direction, the target does not. */
static int shape_close_wait(struct conn *conn)
{
	int ret;

	ret = shape_established(conn);
	if (!ret)
		ret = half_close(conn->peer);
	if (!ret)
		ret = wait_for_state(conn->fd, TCP_CLOSE_WAIT);
	/* The ACK may be delayed. */
	return ret ? ret : wait_for_state(conn->peer, TCP_FIN_WAIT2);
}

/* The peer will take little, the target send little: small buffers fill fast. */
static int conn_prepare_stuffing(struct conn *conn)
{
	int ret;

	ret = set_option(conn->listener, SOL_SOCKET, SO_RCVBUF, STUFF_RCVBUF);
	return ret ? ret : set_option(conn->fd, SOL_SOCKET, SO_SNDBUF, STUFF_SNDBUF);
}

/* The FIN is stuck behind data that the peer has no room for. */
static int shape_fin_wait_1(struct conn *conn)
{
	int ret;

	ret = conn_prepare_stuffing(conn);
	if (!ret)
		ret = shape_established(conn);
	if (!ret)
		ret = sock_stuff(conn->fd);
	return ret ? ret : half_close(conn->fd);
}

/*
 * The peer leaves its direction open. Closed then, the target becomes a
 * minisock, unless it has been told to wait for longer than a minisock lives.
 */
static int shape_fin_wait_2(struct conn *conn)
{
	int ret;

	ret = shape_established(conn);
	if (!ret && conn->kind == FIN_WAIT_2_ORPHAN)
		ret = set_option(conn->fd, IPPROTO_TCP, TCP_LINGER2, LONG_SECONDS);
	if (!ret)
		ret = half_close(conn->fd);
	return ret ? ret : wait_for_state(conn->fd, TCP_FIN_WAIT2);
}

/* The peer hears neither data nor FIN of the target, whose FIN it crosses. */
static int shape_closing(struct conn *conn)
{
	int ret;

	ret = shape_established(conn);
	if (!ret)
		ret = sock_mute(conn->peer);
	if (!ret && send(conn->fd, "stuck", 5, 0) != 5)
		ret = -errno;
	if (!ret)
		ret = half_close(conn->fd);
	if (!ret)
		ret = half_close(conn->peer);
	return ret ? ret : wait_for_state(conn->fd, TCP_CLOSING);
}

/* Nothing that the target has sent waits for an acknowledgment. */
static bool all_is_acked(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && !info.tcpi_unacked;
}

/*
 * The peer has closed; the target too, but its FIN is stuck behind data. The
 * peer has nothing left to say: a segment of its own would be answered by a
 * reset once the target is gone.
 */
static int shape_last_ack(struct conn *conn)
{
	int ret;

	ret = conn_prepare_stuffing(conn);
	if (!ret)
		ret = shape_close_wait(conn);
	if (!ret)
		ret = sock_stuff(conn->fd);
	if (!ret && !WAIT_UNTIL(all_is_acked(conn->fd)))
		ret = -ETIMEDOUT;
	if (!ret)
		ret = sock_mute(conn->peer);
	return ret ? ret : half_close(conn->fd);
}

/* The target closes first, then the peer. */
static int shape_time_wait(struct conn *conn)
{
	int ret;

	ret = shape_fin_wait_2(conn);
	if (!ret)
		ret = close(conn->peer);
	conn->peer = -1;
	return ret;
}

/*
 * Bring the target of a new connection on its way into the state that @kind
 * stands for. It is there when conn_is_ready() says so.
 */
int conn_start(struct conn *conn, enum kind kind, enum family family)
{
	int ret;

	*conn = (struct conn){
		.kind = kind, .family = family, .fd = -1, .peer = -1, .listener = -1,
	};
	ret = conn_prepare(conn);
	if (!ret)
		ret = kinds[kind].shape(conn);
	if (!ret && kinds[kind].orphan && conn->fd >= 0) {
		close(conn->fd);
		conn->fd = -1;
	}
	return ret;
}

/* Whether the tables have the target just as it should be. */
bool conn_is_ready(const struct conn *conn, const struct table *table)
{
	const struct entry *entry = table_find(table, &conn->ends);

	return entry && entry->state == kinds[conn->kind].state &&
	       entry->minisock == kinds[conn->kind].minisock &&
	       !entry->inode == kinds[conn->kind].orphan;
}

/* Look at the tables anew. */
static bool conn_is_ready_now(const struct conn *conn)
{
	struct table table;
	bool ready;

	if (table_read(&table))
		return false;
	ready = conn_is_ready(conn, &table);
	table_free(&table);
	return ready;
}

/* For who wonders why it is not ready. */
static void print_what_there_is(const struct conn *conn)
{
	const struct entry *entry;
	struct table table;

	if (table_read(&table))
		return;
	entry = table_find(&table, &conn->ends);
	if (entry)
		printf("# it is in state %d, with inode %lu, minisock %d\n", entry->state,
		       (unsigned long)entry->inode, entry->minisock);
	else
		printf("# it is in no table, of %zu sockets\n", (size_t)table.count);
	table_free(&table);
}

/* Make a connection whose target is in the state that @kind stands for. */
int conn_make(struct conn *conn, enum kind kind, enum family family)
{
	int ret;

	ret = conn_start(conn, kind, family);
	if (ret)
		return ret;
	if (WAIT_UNTIL(conn_is_ready_now(conn)))
		return 0;
	print_what_there_is(conn);
	return -ETIMEDOUT;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void conn_close(struct conn *conn)
{
	close_fd(&conn->fd);
	close_fd(&conn->peer);
	close_fd(&conn->listener);
}
