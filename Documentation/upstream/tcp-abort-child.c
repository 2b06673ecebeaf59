// SPDX-License-Identifier: GPL-2.0
/*
 * tcp_abort() of connections that nobody has accepted, against the close of
 * their listener: see tcp-abort-child.rst. Needs CAP_NET_ADMIN and
 * CONFIG_INET_DIAG_DESTROY; for virtual machines only.
 *
 *	gcc -O2 -pthread tcp-abort-child.c && ./a.out [SECONDS]
 */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN 100
#define KILLERS 2

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
};

static struct sockaddr_in address = { .sin_family = AF_INET };
static time_t end;

static void ask(int fd, int type, int flags, const struct inet_diag_sockid *id)
{
	struct request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.diag = {
			.sdiag_family = AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1 << TCP_ESTABLISHED,
			.id = *id,
		},
	};

	send(fd, &request, sizeof(request), 0);
}

/* What "ss -K sport = PORT" does, in a loop. */
static void *kill_children(void *unused)
{
	int dump = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	int destroy = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	static const struct inet_diag_sockid all;
	char buf[32768];

	while (time(NULL) < end) {
		int more = 1;

		ask(dump, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &all);
		while (more) {
			ssize_t len = recv(dump, buf, sizeof(buf), 0);
			struct nlmsghdr *header;

			if (len <= 0)
				exit(1);
			for (header = (void *)buf; NLMSG_OK(header, len);
			     header = NLMSG_NEXT(header, len)) {
				struct inet_diag_msg *diag = NLMSG_DATA(header);

				if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY) {
					more = 0;
					break;
				}
				if (diag->id.idiag_sport == address.sin_port)
					ask(destroy, SOCK_DESTROY, 0, &diag->id);
			}
		}
	}
	return unused;
}

/* A listener that is closed while connections wait to be accepted. */
static void listen_and_close(void)
{
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd[CHILDREN], one = 1, i;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&address, len) || listen(listener, CHILDREN) ||
	    getsockname(listener, (void *)&address, &len))
		exit(1);
	for (i = 0; i < CHILDREN; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		connect(fd[i], (void *)&address, len);
	}
	close(listener);
	for (i = 0; i < CHILDREN; i++)
		close(fd[i]);
}

int main(int argc, char **argv)
{
	pthread_t killer[KILLERS];
	int i;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	for (i = 0; i < KILLERS; i++)
		pthread_create(&killer[i], NULL, kill_children, NULL);
	while (time(NULL) < end)
		listen_and_close();
	for (i = 0; i < KILLERS; i++)
		pthread_join(killer[i], NULL);
	return 0;
}
