/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Owners that are stuck in a system call, which holds the lock of their socket
 * for as long as the test likes: a thread sends from a page that only
 * userfaultfd can bring.
 */
#ifndef TCPDROP_STUCK_H
#define TCPDROP_STUCK_H

#include <pthread.h>
#include <sys/types.h>

/* A thread that sends from @page, which is not there. */
struct sender {
	pthread_t thread;
	const char *page;
	int fd;
	ssize_t ret;
	int err;
};

int stuck_pages(char **at, int count);
int sender_start(struct sender *sender, int fd, const char *page, int faults);
int sender_let_go(struct sender *sender, int faults);

#endif
