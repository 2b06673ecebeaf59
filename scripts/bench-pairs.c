// SPDX-License-Identifier: GPL-2.0
/*
 * bench-pairs - TCP connections over loopback, for the benchmark
 *
 * usage: bench-pairs established|time-wait NUMBER PORT [FIRST]
 *
 * Opens NUMBER connections to PORT, 1000 to each of the addresses from FIRST
 * on, which is 127.2.0.1 by default, says "ready" and stays until it is killed.
 * Both ends of "established" are open then; of "time-wait" the connecting end
 * was closed first and is in TIME_WAIT, where it stays for a minute: all are
 * opened before the first is closed, so that they are there together.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PER_ADDRESS	1000
#define ADDRESSES	250	/* in the last byte */

struct pair {
	int client;
	int server;
};

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static int listen_on(in_port_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, fd = tcp_socket();

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16))
		err(1, "port %u", port);
	return fd;
}

static struct sockaddr_in nth_address(in_addr_t first, unsigned long n, in_port_t port)
{
	unsigned long block = n / PER_ADDRESS;

	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(first + (block / ADDRESSES << 8) + block % ADDRESSES),
	};
}

static struct pair open_pair(int listener, const struct sockaddr_in *to)
{
	struct pair pair = { .client = tcp_socket() };

	if (connect(pair.client, (const struct sockaddr *)to, sizeof(*to)))
		err(1, "connect to %s", inet_ntoa(to->sin_addr));
	pair.server = accept(listener, NULL, NULL);
	if (pair.server < 0)
		err(1, "accept");
	return pair;
}

/* The other end waits for the FIN, or both could go to TIME_WAIT. */
static void close_pair(const struct pair *pair)
{
	char none;

	close(pair->client);
	if (read(pair->server, &none, 1))
		err(1, "read");
	close(pair->server);
}

static void allow_files(unsigned long number)
{
	struct rlimit limit = { number, number };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "%lu open files", number);
}

int main(int argc, char **argv)
{
	unsigned long n, number;
	struct pair *pairs;
	in_addr_t first;
	in_port_t port;
	int listener;

	if (argc != 4 && argc != 5)
		errx(1, "usage: bench-pairs established|time-wait NUMBER PORT [FIRST]");
	number = strtoul(argv[2], NULL, 10);
	port = strtoul(argv[3], NULL, 10);
	first = ntohl(inet_addr(argc == 5 ? argv[4] : "127.2.0.1"));

	allow_files(2 * number + 64);
	pairs = calloc(number, sizeof(*pairs));
	if (!pairs)
		err(1, "%lu connections", number);

	listener = listen_on(port);
	for (n = 0; n < number; n++) {
		struct sockaddr_in to = nth_address(first, n, port);

		pairs[n] = open_pair(listener, &to);
	}
	close(listener);
	if (!strcmp(argv[1], "time-wait"))
		for (n = 0; n < number; n++)
			close_pair(&pairs[n]);

	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
