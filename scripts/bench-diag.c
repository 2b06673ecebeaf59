// SPDX-License-Identifier: GPL-2.0
/*
 * bench-diag - drop listed IPv4 connections by sock_diag, for bench-icount
 *
 * usage: bench-diag FILE [BATCH]
 *
 * The rival of /proc/net/tcp_drop for what it takes, lines "LADDR:LPORT
 * RADDR:RPORT STATE", and as lean as we know how: one process, one socket, a
 * request for each connection by its exact ends, BATCH of them in a message, and
 * a look-up in the kernel without a walk.  Only the last of a message asks for
 * an answer: the others have one if they failed.  Prints the instructions for
 * parsing, for dropping, and how many requests failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define BATCH	"400"	/* more saves nothing: 28,800 bytes */

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
};

static const char *read_number(const char *text, unsigned int *number)
{
	*number = 0;
	while (*text >= '0' && *text <= '9')
		*number = *number * 10 + *text++ - '0';
	return text;
}

/* Reads ADDR:PORT and what separates it from the next word. */
static const char *read_end(const char *text, __be32 *addr, __be16 *port)
{
	unsigned int part, value = 0;
	int i;

	for (i = 0; i < 4; i++) {
		text = read_number(text, &part) + 1;
		value = value << 8 | part;
	}
	*addr = htonl(value);
	text = read_number(text, &part);
	*port = htons(part);
	return text + 1;
}

static void make_request(struct request *request, const char *line)
{
	struct inet_diag_sockid *id = &request->diag.id;

	request->header.nlmsg_len = sizeof(*request);
	request->header.nlmsg_type = SOCK_DESTROY;
	request->header.nlmsg_flags = NLM_F_REQUEST;
	request->diag.sdiag_family = AF_INET;
	request->diag.sdiag_protocol = IPPROTO_TCP;
	request->diag.idiag_states = ~0U;
	id->idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	line = read_end(line, &id->idiag_src[0], &id->idiag_sport);
	read_end(line, &id->idiag_dst[0], &id->idiag_dport);
}

static size_t make_requests(struct request *requests, const char *text)
{
	size_t n = 0;

	while (*text) {
		make_request(&requests[n++], text);
		text = strchrnul(text, '\n');
		text += *text != '\0';
	}
	return n;
}

/* Answers up to that to the last request; says how many were failures. */
static unsigned int read_answers(int fd)
{
	static union {
		struct nlmsghdr header;
		char bytes[1 << 16];
	} answers;
	unsigned int failed = 0;

	for (;;) {
		int length = recv(fd, &answers, sizeof(answers), 0);
		struct nlmsghdr *header = &answers.header;

		if (length < 0)
			err(1, "sock_diag");
		for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
			struct nlmsgerr *answer = NLMSG_DATA(header);

			failed += answer->error != 0;
			if (answer->msg.nlmsg_flags & NLM_F_ACK)
				return failed;
		}
	}
}

static unsigned int send_batch(int fd, struct request *requests, size_t number)
{
	size_t length = number * sizeof(*requests);

	requests[number - 1].header.nlmsg_flags |= NLM_F_ACK;
	if (send(fd, requests, length, 0) != (ssize_t)length)
		err(1, "sock_diag");
	return read_answers(fd);
}

static unsigned int destroy(struct request *requests, size_t number, size_t batch)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	unsigned int failed = 0;
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		err(1, "sock_diag");
	while (number) {
		size_t part = number < batch ? number : batch;

		failed += send_batch(fd, requests, part);
		requests += part;
		number -= part;
	}
	close(fd);
	return failed;
}

/* Memory that is used for the first time costs more than the requests do: use it before. */
static struct request *room_for_requests(size_t length)
{
	size_t size = length / strlen("1.1.1.1:1 1.1.1.1:1\n") * sizeof(struct request) + 4096;
	struct request *requests = malloc(size);

	if (!requests)
		err(1, "%zu bytes", size);
	memset(requests, 1, size);
	memset(requests, 0, size);
	return requests;
}

int main(int argc, char **argv)
{
	unsigned long long start, parsed, end;
	struct request *requests;
	unsigned int failed;
	size_t number, length, batch;
	char *text;

	if (argc != 2 && argc != 3)
		errx(1, "usage: bench-diag FILE [BATCH]");
	batch = strtoul(argc == 3 ? argv[2] : BATCH, NULL, 10);
	text = file_text(argv[1], &length);
	requests = room_for_requests(length);

	start = instructions();
	number = make_requests(requests, text);
	parsed = instructions();
	failed = destroy(requests, number, batch);
	end = instructions();
	printf("%llu %llu %u\n", parsed - start, end - parsed, failed);
	return 0;
}
