// SPDX-License-Identifier: GPL-2.0
/*
 * bench-bystander - how long an answer takes over loopback, for the benchmark
 *
 * usage: bench-bystander
 *
 * Says "ready" and has two processes send a byte back and forth until a SIGTERM
 * comes; prints then, a line each, how long that took at the median, at the 99th
 * percentile and at most, in microseconds, of the last four millions.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX	4000000

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	stopped = 1;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void talk_at_once(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		err(1, "TCP_NODELAY");
}

static void connect_both(int *client, int *server)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	*client = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || *client < 0 || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		err(1, "socket");
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(*client, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "connect");
	*server = accept(listener, NULL, NULL);
	if (*server < 0)
		err(1, "accept");
	close(listener);
	talk_at_once(*client);
	talk_at_once(*server);
}

/* Until the other has closed its end. */
static void answer(int fd)
{
	char byte;

	while (read(fd, &byte, 1) == 1)
		if (write(fd, &byte, 1) != 1)
			err(1, "write");
}

static size_t ask(int fd, float *sample)
{
	char byte = 0;
	double start;
	size_t n;

	for (n = 0; !stopped; n++) {
		start = now();
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			err(1, "the other end");
		sample[n % SAMPLES_MAX] = now() - start;
	}
	return n < SAMPLES_MAX ? n : SAMPLES_MAX;
}

static int by_size(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(void)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };
	float *sample = calloc(SAMPLES_MAX, sizeof(*sample));
	int client, server;
	size_t n;

	if (!sample)
		err(1, "%d samples", SAMPLES_MAX);
	connect_both(&client, &server);
	if (!fork()) {
		close(client);
		answer(server);
		return 0;
	}
	close(server);
	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	n = ask(client, sample);
	if (!n)
		errx(1, "no time");
	qsort(sample, n, sizeof(*sample), by_size);
	printf("p50 %.0f\np99 %.0f\nmax %.0f\n", sample[n / 2], sample[n * 99 / 100],
	       sample[n - 1]);
	return 0;
}
