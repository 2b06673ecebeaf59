// SPDX-License-Identifier: GPL-2.0
/*
 * Children that nobody has accepted: what accept() yields of one that was
 * dropped is just what it yields of one that the kernel's own abort has ended,
 * the one behind ss -K. And listeners with many children, or closed meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

/* linux/tcp.h has all of TCP_INFO but no states, and does not go with netinet/tcp.h. */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
};

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif

/* The kernel's own abort */

struct destroy {
	struct nlmsghdr header;
	struct inet_diag_req_v2 req;
};

static int destroy_send(int fd, const struct ends *ends)
{
	struct destroy msg = {
		.header = {
			.nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DESTROY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.req = {
			.sdiag_family = ends->local.v6 ? AF_INET6 : AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1,
			.id = {
				.idiag_sport = htons(ends->local.port),
				.idiag_dport = htons(ends->remote.port),
				.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
			},
		},
	};

	memcpy(msg.req.id.idiag_src, ends->local.addr, sizeof(ends->local.addr));
	memcpy(msg.req.id.idiag_dst, ends->remote.addr, sizeof(ends->remote.addr));
	return send(fd, &msg, sizeof(msg), 0) == sizeof(msg) ? 0 : -errno;
}

/* Drop the socket with these ends as ss -K does. */
static int kernel_abort(const struct ends *ends)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr err;
		char request[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int ret;

	if (fd < 0)
		return -errno;
	ret = destroy_send(fd, ends);
	if (!ret && recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.header))
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	return answer.header.nlmsg_type == NLMSG_ERROR ? answer.err.error : -EPROTO;
}

/* Children of every shape */

struct child {
	enum family family;
	int listener;
	int client;
	bool only_syn;
	struct ends ends;	/* as the child sees them */
};

struct shape {
	int level;		/* an option of the listener's */
	int option;
	int value;
	int state;
	bool fast_open;
	bool only_syn;		/* of Fast Open: the last ACK of the handshake is lost */
	const char *data;
	const char *urgent;	/* its last byte is the urgent one */
	const char *more;
	bool fin;
};

static const char * const target_addr[FAMILIES] = {
	[IPV4] = "127.10.0.1", [IPV6] = "fd00:a::1", [DUAL] = "::ffff:127.20.0.1",
};

static const char * const client_addr[FAMILIES] = {
	[IPV4] = "127.11.0.1", [IPV6] = "fd00:b::1", [DUAL] = "::ffff:127.21.0.1",
};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Everything that was sent has been acknowledged. */
static bool is_acked(int fd)
{
	int queued;

	return !ioctl(fd, SIOCOUTQ, &queued) && !queued;
}

/* Each segment has arrived before the next is sent, so that all children have the same. */
static int send_text(const struct child *child, const char *text, int flags)
{
	if (!text)
		return 0;
	if (send(child->client, text, strlen(text), flags) != (ssize_t)strlen(text))
		return -errno;
	return WAIT_UNTIL(is_acked(child->client)) ? 0 : -ETIMEDOUT;
}

static int send_fin(const struct child *child)
{
	if (shutdown(child->client, SHUT_WR))
		return -errno;
	return WAIT_UNTIL(sock_state(child->client) == TCP_FIN_WAIT2) ? 0 : -ETIMEDOUT;
}

static int connect_fast(struct child *child, const struct shape *shape)
{
	struct sockaddr_storage ss;
	socklen_t len = end_to_sockaddr(&child->ends.local, child->family, &ss);
	ssize_t sent;

	sent = sendto(child->client, shape->data, strlen(shape->data), MSG_FASTOPEN,
		      (struct sockaddr *)&ss, len);
	return sent == (ssize_t)strlen(shape->data) ? 0 : -EPROTO;
}

static int listen_for(struct child *child, const struct shape *shape)
{
	int ret = 0;

	child->listener = sock_listen(child->family, target_addr[child->family], 0);
	if (child->listener < 0)
		return child->listener;
	if (shape->option)
		ret = set_option(child->listener, shape->level, shape->option, shape->value);
	if (!ret && shape->fast_open)
		ret = set_option(child->listener, IPPROTO_TCP, TCP_FASTOPEN, 16);
	if (!ret && shape->only_syn)
		ret = sock_only_syn(child->listener);
	return ret ? ret : end_of(child->listener, &child->ends.local);
}

static int connect_to(struct child *child, const struct shape *shape)
{
	int ret;

	child->client = sock_new(child->family);
	ret = sock_bind(child->client, child->family, client_addr[child->family], 0);
	if (!ret)
		ret = end_of(child->client, &child->ends.remote);
	if (!ret && shape->fast_open)
		return connect_fast(child, shape);
	if (!ret)
		ret = sock_connect(child->client, child->family, &child->ends.local);
	return ret ? ret : send_text(child, shape->data, 0);
}

/* Whether the child is in the tables, in this state, and belongs to nobody. */
static bool child_is_ready(const struct child *child, int state)
{
	const struct entry *entry;
	struct table table;
	bool ready;

	if (table_read(&table))
		return false;
	entry = table_find(&table, &child->ends);
	ready = entry && entry->state == state && !entry->inode;
	table_free(&table);
	return ready;
}

static int child_make(struct child *child, const struct shape *shape, enum family family)
{
	int ret;

	*child = (struct child){
		.family = family, .listener = -1, .client = -1, .only_syn = shape->only_syn,
	};
	ret = listen_for(child, shape);
	if (!ret)
		ret = connect_to(child, shape);
	if (!ret)
		ret = send_text(child, shape->urgent, MSG_OOB);
	if (!ret)
		ret = send_text(child, shape->more, 0);
	if (!ret && shape->fin)
		ret = send_fin(child);
	if (ret)
		return ret;
	return WAIT_UNTIL(child_is_ready(child, shape->state)) ? 0 : -ETIMEDOUT;
}

static void child_close(struct child *child)
{
	close(child->client);
	close(child->listener);
}

/* Everything that an application can find out, as lines of text */

struct notes {
	char text[1 << 18];
	size_t len;
};

__attribute__((format(printf, 2, 3)))
static void note(struct notes *notes, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	notes->len += vsnprintf(notes->text + notes->len, sizeof(notes->text) - notes->len,
				fmt, args);
	va_end(args);
	if (notes->len >= sizeof(notes->text))
		abort();
}

static void note_bytes(struct notes *notes, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		note(notes, "%02x", byte[i]);
	note(notes, "\n");
}

/* What a call has returned, and why not. */
static void note_call(struct notes *notes, const char *call, long ret)
{
	note(notes, "%s: %ld %s\n", call, ret, ret < 0 ? strerrorname_np(errno) : "");
}

/* Ends are noted as what they should be or as something else: ports differ. */
static void note_end(struct notes *notes, const char *call, int ret,
		     const struct sockaddr_storage *ss, socklen_t len, const struct end *want)
{
	struct end end;
	int err = errno;

	memset(&end, 0, sizeof(end));
	if (!ret)
		end_from_sockaddr(&end, ss);
	errno = err;
	note_call(notes, call, ret);
	note(notes, "%s: family %d, len %u, address %s, port %s\n", call, ss->ss_family, len,
	     memcmp(end.addr, want->addr, sizeof(end.addr)) ? "other" : "right",
	     end.port == want->port ? "right" : end.port ? "other" : "0");
}

static void note_ends(struct notes *notes, int fd, const struct ends *ends)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int ret;

	ret = getsockname(fd, (struct sockaddr *)&ss, &len);
	note_end(notes, "getsockname", ret, &ss, len, &ends->local);
	memset(&ss, 0, sizeof(ss));
	len = sizeof(ss);
	ret = getpeername(fd, (struct sockaddr *)&ss, &len);
	note_end(notes, "getpeername", ret, &ss, len, &ends->remote);
}

static void note_queues(struct notes *notes, int fd)
{
	static const struct {
		const char *name;
		unsigned long request;
	} queues[] = {
		{ "FIONREAD", FIONREAD }, { "SIOCATMARK", SIOCATMARK },
		{ "SIOCOUTQ", SIOCOUTQ }, { "SIOCOUTQNSD", SIOCOUTQNSD },
	};
	size_t i;
	int value;

	for (i = 0; i < ARRAY_LEN(queues); i++) {
		value = -1;
		note_call(notes, queues[i].name, ioctl(fd, queues[i].request, &value));
		note(notes, "%s: value %d\n", queues[i].name, value);
	}
}

static void note_poll(struct notes *notes, int fd)
{
	struct pollfd event = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
	int ret = poll(&event, 1, 0);

	note(notes, "poll: %d, events %x\n", ret, event.revents);
}

/*
 * Of these only whether they are 0: they tell how fast the machine was, and
 * whether the peer took it for a segment that was lost.
 */
#define TIMING(field) { offsetof(struct tcp_info, tcpi_##field), \
			sizeof(((struct tcp_info *)NULL)->tcpi_##field) }

static const struct {
	size_t offset;
	size_t size;
} timing[] = {
	TIMING(rto), TIMING(ato), TIMING(last_data_sent), TIMING(last_ack_sent),
	TIMING(last_data_recv), TIMING(last_ack_recv), TIMING(rtt), TIMING(rttvar),
	TIMING(rcv_rtt), TIMING(pacing_rate), TIMING(min_rtt), TIMING(delivery_rate),
	TIMING(busy_time), TIMING(rwnd_limited), TIMING(sndbuf_limited),
	TIMING(segs_in), TIMING(segs_out), TIMING(data_segs_in), TIMING(dsack_dups),
};

static bool is_timing(size_t offset)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(timing); i++)
		if (offset >= timing[i].offset && offset < timing[i].offset + timing[i].size)
			return true;
	return false;
}

static bool is_set(const unsigned char *bytes, size_t offset, size_t size)
{
	while (size--)
		if (bytes[offset + size])
			return true;
	return false;
}

/*
 * Word by word, those too that only the kernel knows. A round trip and a
 * time-out are there or not: nothing else that was measured is sure to be.
 */
static void note_tcp_info(struct notes *notes, int fd)
{
	unsigned char info[512] = { 0 };
	socklen_t len = sizeof(info);
	size_t offset;

	note_call(notes, "TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len));
	for (offset = 0; offset < len; offset += 4) {
		if (is_timing(offset))
			continue;
		note(notes, "TCP_INFO byte %zu: ", offset);
		note_bytes(notes, info + offset, 4);
	}
	note(notes, "TCP_INFO: rtt %d, rto %d\n",
	     is_set(info, offsetof(struct tcp_info, tcpi_rtt), 4),
	     is_set(info, offsetof(struct tcp_info, tcpi_rto), 4));
}

/*
 * Options that differ between any two sockets, that tell of time (TCP_QUICKACK of
 * whether the timer of an ACK has fired) or of a CPU, or that are changed by being
 * read, which are noted elsewhere.
 */
static bool is_exempt(int level, int option)
{
	if (level == SOL_SOCKET)
		return option == SO_ERROR || option == SO_INCOMING_CPU ||
		       option == SO_INCOMING_NAPI_ID || option == SO_COOKIE;
	if (level == IPPROTO_TCP)
		return option == TCP_INFO || option == TCP_SAVED_SYN ||
		       option == TCP_TIMESTAMP || option == TCP_ZEROCOPY_RECEIVE ||
		       option == TCP_QUICKACK;
	return false;
}

/* What IP_PROTOCOL is said to be for TCP is the port, which may be there or not. */
#ifndef IP_PROTOCOL
#define IP_PROTOCOL 52
#endif

/*
 * In SO_MEMINFO, how many segments were thrown away: what a peer took for lost
 * comes once more. Its number is SK_MEMINFO_DROPS in linux/sock_diag.h.
 */
#define MEMINFO_DROPS (8 * sizeof(int))

/* All options that there are or may come to be; from 64 on are those of netfilter. */
static void note_options(struct notes *notes, int fd)
{
	static const struct {
		const char *name;
		int level;
		int last;
	} levels[] = {
		{ "SOL_SOCKET", SOL_SOCKET, 90 }, { "IPPROTO_TCP", IPPROTO_TCP, 60 },
		{ "IPPROTO_IP", IPPROTO_IP, 63 }, { "IPPROTO_IPV6", IPPROTO_IPV6, 63 },
	};
	unsigned char value[256];
	socklen_t len;
	size_t i;
	int option, ret;

	for (i = 0; i < ARRAY_LEN(levels); i++) {
		for (option = 1; option <= levels[i].last; option++) {
			if (is_exempt(levels[i].level, option))
				continue;
			memset(value, 0, sizeof(value));
			len = sizeof(value);
			ret = getsockopt(fd, levels[i].level, option, value, &len);
			if (levels[i].level == IPPROTO_IP && option == IP_PROTOCOL)
				*(int *)value = is_set(value, 0, sizeof(int));
			if (levels[i].level == SOL_SOCKET && option == SO_MEMINFO)
				memset(value + MEMINFO_DROPS, 0, sizeof(int));
			note(notes, "%s %d: %d %s ", levels[i].name, option, ret,
			     ret ? strerrorname_np(errno) : "");
			note_bytes(notes, value, ret ? 0 : len < 64 ? len : 64);
		}
	}
}

/* Addresses' family and what the segment was; ports and sequence numbers differ. */
static void note_saved_syn(struct notes *notes, int fd)
{
	unsigned char syn[256] = { 0 };
	socklen_t len = sizeof(syn);

	note_call(notes, "TCP_SAVED_SYN", getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	note(notes, "TCP_SAVED_SYN: len %u, version %d, flags %x\n", len, syn[0] >> 4,
	     syn[(syn[0] >> 4 == 6 ? 40 : 20) + 13]);
}

static void note_error(struct notes *notes, int fd)
{
	note(notes, "SO_ERROR: %d\n", sock_error(fd));
}

static void note_recv(struct notes *notes, int fd, int flags)
{
	char data[64] = "";
	ssize_t got = recv(fd, data, 3, flags | MSG_DONTWAIT);
	int err = errno;

	note(notes, "recv with %x: ", flags);
	errno = err;
	note_call(notes, "recv", got);
	note_bytes(notes, data, got > 0 ? got : 0);
}

/* Until the end, and beyond. */
static void note_stream(struct notes *notes, int fd)
{
	int i;

	for (i = 0; i < 6; i++) {
		note_recv(notes, fd, 0);
		note_queues(notes, fd);
	}
}

static void note_look(struct notes *notes, int fd, const struct ends *ends)
{
	note_poll(notes, fd);
	note_ends(notes, fd, ends);
	note_queues(notes, fd);
	note_tcp_info(notes, fd);
	note_options(notes, fd);
}

/* A connection anew; one that inherited a filter does not hear the answer. */
static void note_connect(struct notes *notes, int fd, const struct child *child)
{
	int ret;

	sock_nonblock(fd);
	ret = sock_connect(fd, child->family, &child->ends.local);
	note(notes, "connect: %d\n", ret == -EINPROGRESS ? 0 : ret);
	if (!child->only_syn && (!ret || ret == -EINPROGRESS))
		note(notes, "connected: %d\n", WAIT_UNTIL(sock_state(fd) == TCP_ESTABLISHED));
}

/* May it be bound, connected, shut down? Without the end of the connection, and with it. */
static void note_reuse(struct notes *notes, int fd, const struct child *child)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int ret;

	note_connect(notes, fd, child);
	ret = sock_bind(fd, child->family, target_addr[child->family], 0);
	note(notes, "bind: %d\n", ret);
	note_call(notes, "listen", listen(fd, 1));
	note_call(notes, "shutdown", shutdown(fd, SHUT_RDWR));
	note_call(notes, "disconnect", connect(fd, &nobody, sizeof(nobody)));
	note_look(notes, fd, &child->ends);
	note_stream(notes, fd);
	ret = sock_bind(fd, child->family, target_addr[child->family], 0);
	note(notes, "bind: %d\n", ret);
	note_connect(notes, fd, child);
}

/* What is done first, of what changes the rest. */
enum order { RECV_FIRST, PEEK_FIRST, OOB_FIRST, ERROR_FIRST, SEND_FIRST, REUSE_FIRST, ORDERS };

static const char * const order_names[ORDERS] = {
	"recv first", "peek first", "MSG_OOB first", "SO_ERROR first", "send first",
	"reuse first",
};

static void note_first(struct notes *notes, int fd, enum order order)
{
	if (order == PEEK_FIRST) {
		note_recv(notes, fd, MSG_PEEK);
		note_recv(notes, fd, MSG_PEEK);
	} else if (order == OOB_FIRST) {
		note_recv(notes, fd, MSG_OOB | MSG_PEEK);
		note_recv(notes, fd, MSG_OOB);
		note_recv(notes, fd, MSG_OOB);
	} else if (order == ERROR_FIRST) {
		note_error(notes, fd);
		note_poll(notes, fd);
	} else if (order == SEND_FIRST) {
		note_call(notes, "send", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
		note_call(notes, "send", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	}
}

static void note_all(struct notes *notes, int fd, const struct child *child, enum order order)
{
	note_look(notes, fd, &child->ends);
	note_saved_syn(notes, fd);
	note_first(notes, fd, order);
	if (order != REUSE_FIRST) {
		note_stream(notes, fd);
		note_recv(notes, fd, MSG_OOB);
		note_error(notes, fd);
		note_call(notes, "send", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
		note_look(notes, fd, &child->ends);
	}
	note_reuse(notes, fd, child);
}

/* How many lines of the two differ; the first few are printed. */
static int notes_compare(struct __test_metadata *_metadata, struct notes *ours,
			 struct notes *kernels, enum order order)
{
	char *save[2], *a = strtok_r(ours->text, "\n", &save[0]);
	char *b = strtok_r(kernels->text, "\n", &save[1]);
	int differ = 0;

	while (a && b) {
		if (strcmp(a, b) && differ++ < 8)
			TH_LOG("%s: tcpdrop \"%s\", kernel \"%s\"", order_names[order], a, b);
		a = strtok_r(NULL, "\n", &save[0]);
		b = strtok_r(NULL, "\n", &save[1]);
	}
	return differ + (a || b);
}

FIXTURE(child)
{
	struct rule rule;
};

FIXTURE_VARIANT(child)
{
	enum family family;
	struct shape shape;
};

#define VARIANTS(name, ...)						\
	FIXTURE_VARIANT_ADD(child, name##_ipv4) {			\
		.family = IPV4, .shape = { __VA_ARGS__ } };		\
	FIXTURE_VARIANT_ADD(child, name##_ipv6) {			\
		.family = IPV6, .shape = { __VA_ARGS__ } };		\
	FIXTURE_VARIANT_ADD(child, name##_dual) {			\
		.family = DUAL, .shape = { __VA_ARGS__ } }

VARIANTS(idle, .state = TCP_ESTABLISHED);
VARIANTS(with_data, .state = TCP_ESTABLISHED, .data = "abcd");
VARIANTS(in_close_wait, .state = TCP_CLOSE_WAIT, .fin = true);
VARIANTS(in_close_wait_with_data, .state = TCP_CLOSE_WAIT, .data = "abcd", .fin = true);
VARIANTS(with_urgent_data, .state = TCP_ESTABLISHED, .data = "ab", .urgent = "cd", .more = "ef");
VARIANTS(with_an_urgent_byte, .state = TCP_ESTABLISHED, .urgent = "!");
VARIANTS(in_close_wait_with_urgent_data, .state = TCP_CLOSE_WAIT, .data = "ab", .urgent = "c",
	 .more = "d", .fin = true);
VARIANTS(with_urgent_data_inline, .state = TCP_ESTABLISHED, .level = SOL_SOCKET,
	 .option = SO_OOBINLINE, .value = 1, .data = "ab", .urgent = "c", .more = "d");
VARIANTS(with_saved_syn, .state = TCP_ESTABLISHED, .level = IPPROTO_TCP, .option = TCP_SAVE_SYN,
	 .value = 1, .data = "abcd");
VARIANTS(with_peek_offset, .state = TCP_ESTABLISHED, .level = SOL_SOCKET, .option = SO_PEEK_OFF,
	 .value = 1, .data = "abcd");
VARIANTS(of_fast_open, .state = TCP_ESTABLISHED, .fast_open = true, .data = "abcd");
VARIANTS(of_fast_open_in_close_wait, .state = TCP_CLOSE_WAIT, .fast_open = true, .data = "abcd",
	 .fin = true);
VARIANTS(of_fast_open_in_syn_rcvd, .state = TCP_SYN_RECV, .fast_open = true, .only_syn = true,
	 .data = "abcd");

/* Where SO_PEEK_OFF came to TCP late, the listener refuses it. */
static bool has_option(const struct shape *shape)
{
	int ret, fd = sock_new(IPV4);

	ret = !shape->option ? 0 : set_option(fd, shape->level, shape->option, shape->value);
	close(fd);
	return !ret;
}

FIXTURE_SETUP(child)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	if (!has_option(&variant->shape))
		KERNEL_HAS_NO("SO_PEEK_OFF for TCP");
	ASSERT_EQ(0, rule_new(&self->rule, "children"));
}

FIXTURE_TEARDOWN(child)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Accept the child, gone from the tables, and note all there is to it. */
static void note_accepted(struct __test_metadata *_metadata, struct notes *notes,
			  struct child *child, enum order order)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int fd;

	EXPECT_FALSE(ends_in_table(&child->ends));
	ASSERT_TRUE(WAIT_UNTIL(sock_state(child->client) == TCP_CLOSE));
	note(notes, "the client: SO_ERROR %d\n", sock_error(child->client));
	ASSERT_EQ(0, sock_nonblock(child->listener));
	fd = accept(child->listener, (struct sockaddr *)&ss, &len);
	ASSERT_LE(0, fd);
	note_end(notes, "accept", 0, &ss, len, &child->ends.remote);
	note_all(notes, fd, child, order);
	close(fd);
}

typedef int (*abort_fn)(const struct rule *rule, const struct ends *ends);

static int abort_by_rule(const struct rule *rule, const struct ends *ends)
{
	int ret = rule_set_ends(rule, ends);

	if (!ret)
		ret = rule_commit(rule);
	return ret ? ret : rule_result(rule, "dropped") == 1 ? 0 : -ESRCH;
}

static int abort_by_line(const struct rule *rule, const struct ends *ends)
{
	return ends_drop(ends);
}

static int abort_by_kernel(const struct rule *rule, const struct ends *ends)
{
	return kernel_abort(ends);
}

static void note_child(struct __test_metadata *_metadata, struct notes *notes,
		       enum family family, const struct shape *shape, enum order order,
		       abort_fn abort_child, const struct rule *rule)
{
	struct child child;

	ASSERT_EQ(0, child_make(&child, shape, family));
	ASSERT_EQ(0, abort_child(rule, &child.ends));
	note_accepted(_metadata, notes, &child, order);
	child_close(&child);
}

/* What differs each time, and not because a timer of one of the two has fired, is a difference. */
#define COMPARISONS 5

static void compare(struct __test_metadata *_metadata, const FIXTURE_DATA(child) * self,
		    const FIXTURE_VARIANT(child) * variant, enum order order, abort_fn ours)
{
	struct notes *notes;
	int i, differ = 1;

	for (i = 0; i < COMPARISONS && differ; i++) {
		notes = calloc(2, sizeof(*notes));
		ASSERT_NE(NULL, notes);
		note_child(_metadata, &notes[0], variant->family, &variant->shape, order, ours,
			   &self->rule);
		note_child(_metadata, &notes[1], variant->family, &variant->shape, order,
			   abort_by_kernel, &self->rule);
		differ = notes_compare(_metadata, &notes[0], &notes[1], order);
		free(notes);
	}
	EXPECT_EQ(0, differ);
}

TEST_F(child, is_accepted_as_after_the_kernels_own_abort)
{
	int order;

	for (order = 0; order < ORDERS; order++)
		compare(_metadata, self, variant, order, order & 1 ? abort_by_line : abort_by_rule);
}

/* What is compared is the same whenever the kernel does it, and tells if it did not. */
TEST_F(child, that_the_kernel_aborts_is_always_the_same_and_like_no_other)
{
	struct notes *notes = calloc(2, sizeof(*notes));
	struct child child;
	int fd;

	compare(_metadata, self, variant, RECV_FIRST, abort_by_kernel);
	ASSERT_NE(NULL, notes);
	ASSERT_EQ(0, child_make(&child, &variant->shape, variant->family));
	fd = accept(child.listener, NULL, NULL);
	ASSERT_LE(0, fd);
	note_look(&notes[0], fd, &child.ends);
	ASSERT_EQ(0, kernel_abort(&child.ends));
	note_look(&notes[1], fd, &child.ends);
	EXPECT_TRUE(strcmp(notes[0].text, notes[1].text));
	close(fd);
	child_close(&child);
	free(notes);
}

/*
 * One listener and a crowd of children, more than those who are deferred have lists for at first.
 */
#define CROWD 4500

FIXTURE(crowd)
{
	struct rule rule;
	int listener;
	int client[CROWD];
};

/* Of a listener these are its queue's length and limit. */
static bool queue_has(int listener, unsigned int children)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_unacked >= children;
}

/* Connect @count clients; their children are all in the queue. */
static int fill_queue(int listener, int *client, int count)
{
	struct end end;
	int i, ret;

	ret = end_of(listener, &end);
	for (i = 0; i < count && !ret; i++) {
		client[i] = sock_new(IPV4);
		ret = client[i] < 0 ? client[i] : sock_connect(client[i], IPV4, &end);
	}
	if (ret)
		return ret;
	return WAIT_UNTIL(queue_has(listener, count)) ? 0 : -ETIMEDOUT;
}

FIXTURE_SETUP(crowd)
{
	struct rlimit files = { 2 * CROWD + 1000, 2 * CROWD + 1000 };

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, file_write("/proc/sys/net/core/somaxconn", "8192"));
	self->listener = sock_listen(IPV4, "127.10.0.1", 0);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, listen(self->listener, 2 * CROWD));
	ASSERT_EQ(0, fill_queue(self->listener, self->client, CROWD));
	ASSERT_EQ(0, rule_new(&self->rule, "children"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.10.0.1"));
}

FIXTURE_TEARDOWN(crowd)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(crowd, of_children_is_dropped_and_the_listener_lives)
{
	struct pair pair;
	int i, fd;

	ASSERT_EQ(0, rule_commit(&self->rule));

	EXPECT_EQ(CROWD, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	for (i = 0; i < CROWD; i++)
		ASSERT_TRUE(WAIT_UNTIL(sock_error(self->client[i]) == ECONNRESET));
	for (i = 0; i < CROWD; i++) {
		fd = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, fd);
		ASSERT_EQ(ECONNABORTED, sock_error(fd));
		close(fd);
	}
	ASSERT_EQ(0, sock_pair(self->listener, IPV4, "127.11.0.1", 0, &pair));
	EXPECT_TRUE(sock_talks(pair.client, pair.server));
}

#define FEW 10

/* Children of a listener, and then the listener with others. */
static int drop_children(const void *unused)
{
	int client[FEW], listener, ret;
	struct rule rule;

	ret = rule_new(&rule, "leave");
	if (ret)
		return ret;
	listener = sock_listen(IPV4, "127.10.0.1", 0);
	ret = listen(listener, 2 * FEW) ? -errno : fill_queue(listener, client, FEW);
	if (!ret)
		ret = rule_set(&rule, "saddr", "127.10.0.1") ?: rule_commit(&rule);
	if (!ret && rule_result(&rule, "dropped") != FEW)
		ret = -EPROTO;
	if (!ret)
		ret = fill_queue(listener, client, FEW - 1);
	if (!ret)
		ret = rule_set(&rule, "state", "LISTEN") ?: rule_set(&rule, "reset", "no");
	if (!ret)
		ret = rule_commit(&rule);
	if (!ret && rule_result(&rule, "dropped") != 1)
		ret = -EPROTO;
	rule_remove(&rule);
	return ret;
}

TEST(nothing_holds_a_listener_or_its_children)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());

	EXPECT_EQ(0, netns_leave(conn_setup, drop_children, NULL));
}

/*
 * A storm: commits and lines drop children while their listener is closed. The
 * kernel does not warn, and nothing is lost.
 */
#define BATCH 32
#define MOST_CHILDREN 256
#define STORM_MS 4000

FIXTURE(storm)
{
	struct rule rule;
	char lines[BATCH * 64];	/* those of the batch at hand */
	pthread_mutex_t lock;	/* protects @lines */
	bool over;
	int commit_err;		/* the last that there should not have been */
	int write_err;
	long failed;
	long dropped;
};

/* MPTCP does more before its listeners end what waits. */
FIXTURE_VARIANT(storm)
{
	int protocol;
	int children;
};

FIXTURE_VARIANT_ADD(storm, of_tcp) { .protocol = IPPROTO_TCP, .children = BATCH };
FIXTURE_VARIANT_ADD(storm, of_mptcp) {
	.protocol = IPPROTO_MPTCP, .children = MOST_CHILDREN,
};

FIXTURE_SETUP(storm)
{
	int fd;

	REQUIRE_TCPDROP();
	fd = socket(AF_INET, SOCK_STREAM, variant->protocol);
	if (fd < 0)
		KERNEL_HAS_NO("MPTCP");
	close(fd);
	ASSERT_EQ(0, kernel_has_warned());
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, pthread_mutex_init(&self->lock, NULL));
	ASSERT_EQ(0, rule_new(&self->rule, "children"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "127.10.0.1"));
}

FIXTURE_TEARDOWN(storm)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static bool is_over(const FIXTURE_DATA(storm) * self)
{
	return __atomic_load_n(&self->over, __ATOMIC_ACQUIRE);
}

static void *commit_all_the_time(void *arg)
{
	FIXTURE_DATA(storm) * self = arg;

	while (!is_over(self)) {
		int ret = rule_commit(&self->rule);

		if (ret)
			self->commit_err = ret;
		self->failed += rule_result(&self->rule, "failed");
		self->dropped += rule_result(&self->rule, "dropped");
	}
	return NULL;
}

static void *write_all_the_time(void *arg)
{
	FIXTURE_DATA(storm) * self = arg;
	char lines[sizeof(self->lines)];
	int ret;

	while (!is_over(self)) {
		pthread_mutex_lock(&self->lock);
		memcpy(lines, self->lines, sizeof(lines));
		pthread_mutex_unlock(&self->lock);
		ret = *lines ? file_write("/proc/thread-self/net/tcp_drop", lines) : 0;
		/* Of one line that has gone: there is none. */
		if (ret && ret != -ESRCH)
			self->write_err = ret;
	}
	return NULL;
}

static void storm_tell(FIXTURE_DATA(storm) * self, const int *client)
{
	char lines[sizeof(self->lines)] = "";
	struct ends ends;
	size_t len = 0;
	int i;

	for (i = 0; i < BATCH; i++) {
		if (ends_of(client[i], &ends))
			continue;
		ends = ends_swap(&ends);
		ends_print(&ends, TCP_ESTABLISHED, lines + len, sizeof(lines) - len - 1);
		strcat(lines, "\n");
		len = strlen(lines);
	}
	pthread_mutex_lock(&self->lock);
	memcpy(self->lines, lines, sizeof(lines));
	pthread_mutex_unlock(&self->lock);
}

/* MPTCP's clients wait for another subflow, so they are not waited for. */
static bool has_ended(int client, int protocol)
{
	return protocol == IPPROTO_MPTCP || sock_state(client) == TCP_CLOSE;
}

/* A listener that is within the storm's rule, and its end, or a negative errno. */
static int listener_new(int protocol, int children, struct end *end)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	int ret;

	if (listener < 0)
		return -errno;
	ret = sock_bind(listener, IPV4, "127.10.0.1", 0);
	if (!ret && listen(listener, children))
		ret = -errno;
	if (!ret)
		ret = end_of(listener, end);
	return ret ? ret : listener;
}

/* Nothing is left of it once it is closed. */
static int client_new(int protocol)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	struct linger reset = { .l_onoff = 1 };

	if (client >= 0)
		setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return client;
}

/* Children of one listener, some of which may be gone again before the others come. */
static void storm_round(struct __test_metadata *_metadata, FIXTURE_DATA(storm) * self,
			const FIXTURE_VARIANT(storm) * variant)
{
	int listener, client[MOST_CHILDREN], i, ret;
	struct end end;

	listener = listener_new(variant->protocol, variant->children, &end);
	ASSERT_LE(0, listener);
	for (i = 0; i < variant->children; i++) {
		client[i] = client_new(variant->protocol);
		ASSERT_LE(0, client[i]);
		ret = sock_connect(client[i], IPV4, &end);
		ASSERT_TRUE(!ret || ret == -ECONNRESET || ret == -ECONNABORTED) {
			TH_LOG("%d", ret);
		}
	}
	storm_tell(self, client);
	close(listener);
	for (i = 0; i < variant->children; i++) {
		EXPECT_TRUE(WAIT_UNTIL(has_ended(client[i], variant->protocol)));
		close(client[i]);
	}
}

/* TCP sockets that the kernel counts: in use here, and without an owner or at all anywhere. */
struct counts {
	long inuse;
	long orphan;
	long alloc;
};

static int counts_read(struct counts *counts)
{
	char text[1024], *line;

	if (file_read("/proc/thread-self/net/sockstat", text, sizeof(text)))
		return -EIO;
	line = strstr(text, "TCP: ");
	return line && sscanf(line, "TCP: inuse %ld orphan %ld tw %*d alloc %ld", &counts->inuse,
			      &counts->orphan, &counts->alloc) == 3 ? 0 : -EPROTO;
}

static bool counts_are_back(const struct counts *before)
{
	struct counts now;

	return !counts_read(&now) && now.inuse <= before->inuse &&
	       now.orphan <= before->orphan && now.alloc <= before->alloc;
}

TEST_F(storm, of_drops_and_closed_listeners_leaves_nothing)
{
	int64_t end = clock_ms() + STORM_MS;
	pthread_t committer, writer;
	struct counts before;

	ASSERT_EQ(0, counts_read(&before));
	ASSERT_EQ(0, pthread_create(&committer, NULL, commit_all_the_time, self));
	ASSERT_EQ(0, pthread_create(&writer, NULL, write_all_the_time, self));
	while (clock_ms() < end)
		storm_round(_metadata, self, variant);
	__atomic_store_n(&self->over, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(committer, NULL));
	ASSERT_EQ(0, pthread_join(writer, NULL));
	EXPECT_EQ(0, self->commit_err);
	EXPECT_EQ(0, self->failed);
	EXPECT_LT(0, self->dropped);
	EXPECT_EQ(0, self->write_err);
	EXPECT_TRUE(WAIT_UNTIL(counts_are_back(&before)));
	EXPECT_EQ(0, kernel_has_warned());
}

/* Rounds in which a commit begins with the end of a listener, a bit later in each round. */
#define ROUNDS 24

struct closing {
	pthread_barrier_t together;
	int listener;
	int client[MOST_CHILDREN];
};

static void *close_listener(void *arg)
{
	struct closing *closing = arg;

	pthread_barrier_wait(&closing->together);
	close(closing->listener);
	return NULL;
}

/* Each of them resets what waits to be accepted. */
static void *close_clients(void *arg)
{
	struct closing *closing = arg;
	int i;

	pthread_barrier_wait(&closing->together);
	for (i = 0; i < MOST_CHILDREN; i++)
		close(closing->client[i]);
	return NULL;
}

TEST_F(storm, of_ends_of_a_listener_and_its_children_holds_up_no_commit)
{
	pthread_t listener, clients;
	struct closing closing;
	struct end end;
	int i, round;

	ASSERT_EQ(0, pthread_barrier_init(&closing.together, NULL, 3));
	for (round = 0; round < ROUNDS; round++) {
		closing.listener = listener_new(variant->protocol, MOST_CHILDREN, &end);
		ASSERT_LE(0, closing.listener);
		for (i = 0; i < MOST_CHILDREN; i++) {
			closing.client[i] = client_new(variant->protocol);
			ASSERT_LE(0, closing.client[i]);
			ASSERT_EQ(0, sock_connect(closing.client[i], IPV4, &end));
		}
		ASSERT_EQ(0, pthread_create(&listener, NULL, close_listener, &closing));
		ASSERT_EQ(0, pthread_create(&clients, NULL, close_clients, &closing));
		pthread_barrier_wait(&closing.together);
		spin_us(round * 250);
		EXPECT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(0, rule_result(&self->rule, "failed")) TH_LOG("round %d", round);
		ASSERT_EQ(0, pthread_join(listener, NULL));
		ASSERT_EQ(0, pthread_join(clients, NULL));
	}
	EXPECT_EQ(0, kernel_has_warned());
}

TEST_HARNESS_MAIN
