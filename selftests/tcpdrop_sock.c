// SPDX-License-Identifier: GPL-2.0
/* Addresses, sockets, the socket tables and the wire, for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tcpdrop_util.h"

/* The timer that /proc/net/tcp prints for a time-wait minisock. */
#define TIMER_TIME_WAIT 3

static const char * const state_names[] = {
	[TCP_ESTABLISHED] = "ESTABLISHED",
	[TCP_SYN_SENT] = "SYN_SENT",
	[TCP_SYN_RECV] = "SYN_RCVD",
	[TCP_FIN_WAIT1] = "FIN_WAIT_1",
	[TCP_FIN_WAIT2] = "FIN_WAIT_2",
	[TCP_TIME_WAIT] = "TIME_WAIT",
	[TCP_CLOSE] = "CLOSED",
	[TCP_CLOSE_WAIT] = "CLOSE_WAIT",
	[TCP_LAST_ACK] = "LAST_ACK",
	[TCP_LISTEN] = "LISTEN",
	[TCP_CLOSING] = "CLOSING",
};

/* The name that rules and listings give to @state. */
const char *state_name(int state)
{
	if (state < 0 || (size_t)state >= ARRAY_LEN(state_names) || !state_names[state])
		return "?";
	return state_names[state];
}

/* Keep a v4-mapped address as the IPv4 address that it stands for. */
static void end_set_addr6(struct end *end, const struct in6_addr *addr)
{
	memset(end->addr, 0, sizeof(end->addr));
	end->v6 = !IN6_IS_ADDR_V4MAPPED(addr);
	if (end->v6)
		memcpy(end->addr, addr, sizeof(*addr));
	else
		memcpy(end->addr, &addr->s6_addr[12], 4);
}

/* An end from an address as text, IPv4, IPv6 or v4-mapped. */
int end_parse(struct end *end, const char *addr, uint16_t port)
{
	struct in6_addr addr6;

	memset(end, 0, sizeof(*end));
	end->port = port;
	if (inet_pton(AF_INET, addr, end->addr) == 1)
		return 0;
	if (inet_pton(AF_INET6, addr, &addr6) != 1)
		return -EINVAL;
	end_set_addr6(end, &addr6);
	return 0;
}

void end_from_sockaddr(struct end *end, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;

	memset(end, 0, sizeof(*end));
	if (ss->ss_family == AF_INET) {
		memcpy(end->addr, &sin->sin_addr, 4);
		end->port = ntohs(sin->sin_port);
	} else {
		end_set_addr6(end, &sin6->sin6_addr);
		end->port = ntohs(sin6->sin6_port);
	}
}

/* The socket address by which a socket of @family names @end. */
socklen_t end_to_sockaddr(const struct end *end, enum family family,
			  struct sockaddr_storage *ss)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (family == IPV4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(end->port);
		memcpy(&sin->sin_addr, end->addr, 4);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(end->port);
	if (end->v6) {
		memcpy(&sin6->sin6_addr, end->addr, 16);
	} else {
		sin6->sin6_addr.s6_addr[10] = 0xff;
		sin6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(&sin6->sin6_addr.s6_addr[12], end->addr, 4);
	}
	return sizeof(*sin6);
}

const char *end_addr(const struct end *end, char *text, size_t size)
{
	return inet_ntop(end->v6 ? AF_INET6 : AF_INET, end->addr, text, size);
}

/* The local end of a socket. */
int end_of(int fd, struct end *end)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	end_from_sockaddr(end, &ss);
	return 0;
}

/* Both ends of a connected socket. */
int ends_of(int fd, struct ends *ends)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	end_from_sockaddr(&ends->remote, &ss);
	return end_of(fd, &ends->local);
}

/* The same connection as the other socket sees it. */
struct ends ends_swap(const struct ends *ends)
{
	return (struct ends){ .local = ends->remote, .remote = ends->local };
}

int ends_cmp(const struct ends *a, const struct ends *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* Append "ADDR:PORT", with brackets around an IPv6 address. */
static size_t end_print(const struct end *end, char *text, size_t size)
{
	char addr[INET6_ADDRSTRLEN];

	end_addr(end, addr, sizeof(addr));
	return snprintf(text, size, end->v6 ? "[%s]:%u" : "%s:%u", addr, end->port);
}

/* The line of a listing that stands for this socket, without newline. */
void ends_print(const struct ends *ends, int state, char *line, size_t size)
{
	size_t len;

	len = end_print(&ends->local, line, size);
	line[len++] = ' ';
	len += end_print(&ends->remote, line + len, size - len);
	snprintf(line + len, size - len, " %s", state_name(state));
}

/* Drop an established connection by a line. */
int ends_drop(const struct ends *ends)
{
	char line[256];

	ends_print(ends, TCP_ESTABLISHED, line, sizeof(line) - 1);
	return file_write(PROC_FILE, strcat(line, "\n"));
}

/* Name a connection to the rule by both addresses and both ports. */
int rule_set_ends(const struct rule *rule, const struct ends *ends)
{
	char addr[INET6_ADDRSTRLEN];
	int ret;

	ret = rule_set(rule, "saddr", end_addr(&ends->local, addr, sizeof(addr)));
	if (!ret)
		ret = rule_set(rule, "daddr", end_addr(&ends->remote, addr, sizeof(addr)));
	if (!ret)
		ret = rule_setf(rule, "sport", "%u", ends->local.port);
	if (!ret)
		ret = rule_setf(rule, "dport", "%u", ends->remote.port);
	return ret;
}

/* And let the rule mean any ends again. */
int rule_clear_ends(const struct rule *rule)
{
	static const char * const ends[] = { "saddr", "sport", "daddr", "dport" };
	int ret = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(ends) && !ret; i++)
		ret = rule_set(rule, ends[i], "any");
	return ret;
}

bool kernel_has_mptcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd < 0)
		return errno != EPROTONOSUPPORT;
	close(fd);
	return true;
}

/* A socket of TCP or MPTCP, or -errno. */
int sock_new_by(int protocol, enum family family)
{
	int fd = socket(family == IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC,
			protocol);

	return fd < 0 ? -errno : fd;
}

int sock_new(enum family family)
{
	return sock_new_by(IPPROTO_TCP, family);
}

int sock_bind(int fd, enum family family, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	struct end end;
	socklen_t len;

	if (end_parse(&end, addr, port))
		return -EINVAL;
	len = end_to_sockaddr(&end, family, &ss);
	return bind(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
}

/* A listening socket, or -errno. Port 0 takes a free one. */
int sock_listen_by(int protocol, enum family family, const char *addr, uint16_t port)
{
	int fd, ret;

	fd = sock_new_by(protocol, family);
	if (fd < 0)
		return fd;
	ret = sock_bind(fd, family, addr, port);
	if (!ret && listen(fd, 4096))
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int sock_listen(enum family family, const char *addr, uint16_t port)
{
	return sock_listen_by(IPPROTO_TCP, family, addr, port);
}

int sock_connect(int fd, enum family family, const struct end *to)
{
	struct sockaddr_storage ss;
	socklen_t len = end_to_sockaddr(to, family, &ss);

	return connect(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
}

/*
 * Connect a new socket from @addr and @port to @listener, and accept it. Port 0
 * takes a free one, any other may be in use by sockets that differ otherwise.
 */
int sock_pair_by(int protocol, int listener, enum family family, const char *addr,
		 uint16_t port, struct pair *pair)
{
	struct end to;
	int ret, reuse = port != 0;

	pair->client = sock_new_by(protocol, family);
	if (pair->client < 0)
		return pair->client;
	if (setsockopt(pair->client, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)))
		return -errno;
	ret = sock_bind(pair->client, family, addr, port);
	if (!ret)
		ret = end_of(listener, &to);
	if (!ret)
		ret = sock_connect(pair->client, family, &to);
	if (ret)
		return ret;
	pair->server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return pair->server < 0 ? -errno : ends_of(pair->client, &pair->ends);
}

int sock_pair(int listener, enum family family, const char *addr, uint16_t port,
	      struct pair *pair)
{
	return sock_pair_by(IPPROTO_TCP, listener, family, addr, port, pair);
}

static int sock_filter(int fd, struct sock_filter *code, unsigned short len)
{
	struct sock_fprog prog = { .len = len, .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

/*
 * Close both ends of a connection, so that @first alone comes into TIME_WAIT:
 * were @last closed before it had the FIN of the other, both could.
 */
int sock_finish(int first, int last)
{
	int ret = 0;

	if (shutdown(first, SHUT_WR))
		ret = -errno;
	else if (!WAIT_UNTIL(sock_state(first) == TCP_FIN_WAIT2))
		ret = -ETIMEDOUT;
	close(last);
	close(first);
	return ret;
}

/* From now on nothing that is sent to this socket reaches its TCP. */
int sock_mute(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return sock_filter(fd, code, ARRAY_LEN(code));
}

/*
 * Let through only the first segment of a handshake. The sockets that a
 * listener makes inherit this, so none of them gets past SYN_RCVD.
 */
int sock_only_syn(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return sock_filter(fd, code, ARRAY_LEN(code));
}

int sock_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/*
 * Send until no more fits, so that data (and whatever will be sent after it, a
 * FIN too) is stuck on this side, behind the window of a peer that reads not.
 */
int sock_stuff(int fd)
{
	static const char chunk[4096];
	int ret, unsent;

	ret = sock_nonblock(fd);
	if (ret)
		return ret;
	while (send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
		;
	if (errno != EAGAIN || ioctl(fd, SIOCOUTQNSD, &unsent))
		return -errno;
	return unsent > (int)sizeof(chunk) ? 0 : -EPROTO;
}

/* Take the pending error of a socket: an errno, positive as SO_ERROR is. */
int sock_error(int fd)
{
	socklen_t len = sizeof(int);
	int err;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? -errno : err;
}

/* The state of an open socket, or -errno. */
int sock_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	return info.tcpi_state;
}

/* Send a byte from @from and see it arrive at @to. */
static bool sock_passes(int from, int to)
{
	struct pollfd arrival = { .fd = to, .events = POLLIN };
	char out = 'x', in = 0;

	if (send(from, &out, 1, MSG_NOSIGNAL) != 1)
		return false;
	if (poll(&arrival, 1, DEADLINE_MS) != 1)
		return false;
	return recv(to, &in, 1, 0) == 1 && in == out;
}

/* Whether two connected sockets still carry data both ways. */
bool sock_talks(int a, int b)
{
	return sock_passes(a, b) && sock_passes(b, a);
}

/* Read an address of /proc/net/tcp or tcp6: words of the machine in hex. */
static bool scan_addr(struct end *end, const char *hex, bool v6)
{
	struct in6_addr addr = { 0 };
	int i;

	for (i = 0; i < (v6 ? 4 : 1); i++)
		if (sscanf(hex + i * 8, "%8x", &addr.s6_addr32[i]) != 1)
			return false;
	if (v6)
		end_set_addr6(end, &addr);
	else
		memcpy(end->addr, &addr, 4);
	return true;
}

/* Read one line of /proc/net/tcp or tcp6. */
static bool scan_entry(struct entry *entry, const char *line, bool v6)
{
	unsigned int lport, rport, state, timer;
	char laddr[33], raddr[33];

	memset(entry, 0, sizeof(*entry));
	if (sscanf(line, " %*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*x:%*x %x:%*x %*x %*u %*d %lu",
		   laddr, &lport, raddr, &rport, &state, &timer, &entry->inode) != 7)
		return false;
	entry->ends.local.port = lport;
	entry->ends.remote.port = rport;
	entry->state = state;
	entry->minisock = timer == TIMER_TIME_WAIT;
	return scan_addr(&entry->ends.local, laddr, v6) &&
	       scan_addr(&entry->ends.remote, raddr, v6);
}

/* Add the sockets of one file to the table. */
static int table_add(struct table *table, const char *path, bool v6)
{
	char *text, *line, *save;
	struct entry entry, *grown;

	text = file_read_all(path);
	if (!text)
		return -errno;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!scan_entry(&entry, line, v6))
			continue;
		if (!(table->count & (table->count + 1))) {
			grown = realloc(table->entry,
					2 * (table->count + 1) * sizeof(*grown));
			if (!grown)
				break;
			table->entry = grown;
		}
		table->entry[table->count++] = entry;
	}
	free(text);
	return line ? -ENOMEM : 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return ends_cmp(&x->ends, &y->ends);
}

/*
 * All TCP sockets of the namespace, sorted by their ends. The file is not one
 * consistent listing: the answer is right where nothing comes or goes.
 */
int table_read(struct table *table)
{
	int ret;

	memset(table, 0, sizeof(*table));
	ret = table_add(table, "/proc/thread-self/net/tcp", false);
	if (!ret)
		ret = table_add(table, "/proc/thread-self/net/tcp6", true);
	if (ret)
		table_free(table);
	else if (table->count)
		qsort(table->entry, table->count, sizeof(*table->entry), entry_cmp);
	return ret;
}

void table_free(struct table *table)
{
	free(table->entry);
	memset(table, 0, sizeof(*table));
}

const struct entry *table_find(const struct table *table, const struct ends *ends)
{
	struct entry key = { .ends = *ends };

	return !table->count ? NULL :
	       bsearch(&key, table->entry, table->count, sizeof(key), entry_cmp);
}

bool ends_in_table(const struct ends *ends)
{
	struct table table;
	bool found;

	if (table_read(&table))
		return false;
	found = table_find(&table, ends);
	table_free(&table);
	return found;
}

/* TCP segments that have all of @flags, as a packet socket sees them. */
static int capture_filter(int fd, int flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 4),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 9),
		BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 40),
		BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, flags),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, flags, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 128),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return sock_filter(fd, code, ARRAY_LEN(code));
}

static int capture_flags(int flags)
{
	int fd, ret;

	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = capture_filter(fd, flags);
	if (!ret) {
		struct sockaddr_ll all = {
			.sll_family = AF_PACKET,
			.sll_protocol = htons(ETH_P_ALL),
		};

		ret = bind(fd, (struct sockaddr *)&all, sizeof(all)) ? -errno : 0;
	}
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Watch the loopback device for segments with RST and ACK: what a socket that
 * is aborted sends. (The answer to a segment for no socket has no ACK.)
 */
int capture_open(void)
{
	return capture_flags(TH_RST | TH_ACK);
}

/* Watch it for all segments. */
int capture_open_all(void)
{
	return capture_flags(0);
}

static const uint8_t *segment_tcp(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? ip + 40 : ip + (ip[0] & 15) * 4;
}

/* An answer to a segment for no socket, if that had an ACK, as all but a SYN have. */
static bool is_answer(const uint8_t *ip)
{
	return (segment_tcp(ip)[13] & (TH_RST | TH_ACK)) == TH_RST;
}

/* The ends of a segment as the socket that sent it sees them. */
static void segment_ends(struct ends *ends, const uint8_t *ip)
{
	bool v6 = ip[0] >> 4 == 6;
	const uint8_t *tcp = segment_tcp(ip);

	memset(ends, 0, sizeof(*ends));
	ends->local.v6 = v6;
	ends->remote.v6 = v6;
	memcpy(ends->local.addr, v6 ? ip + 8 : ip + 12, v6 ? 16 : 4);
	memcpy(ends->remote.addr, v6 ? ip + 24 : ip + 16, v6 ? 16 : 4);
	ends->local.port = tcp[0] << 8 | tcp[1];
	ends->remote.port = tcp[2] << 8 | tcp[3];
}

/*
 * Count the segments that the capture has seen leave one socket, and throw away
 * what else it has seen. A segment is seen while it is being sent, so those of
 * a commit that has returned are all there. What answers a segment for no
 * socket has not left one.
 */
int capture_segments(int fd, const struct ends *from)
{
	struct sockaddr_ll ll;
	socklen_t len = sizeof(ll);
	uint8_t segment[128];
	struct ends ends;
	int count = 0;

	while (recvfrom(fd, segment, sizeof(segment), 0, (struct sockaddr *)&ll, &len) > 0) {
		segment_ends(&ends, segment);
		if (ll.sll_pkttype == PACKET_OUTGOING && !ends_cmp(&ends, from) &&
		    !is_answer(segment))
			count++;
		len = sizeof(ll);
	}
	return count;
}

/* The same of capture_open(), which sees nothing but resets. */
int capture_resets(int fd, const struct ends *from)
{
	return capture_segments(fd, from);
}
