// SPDX-License-Identifier: GPL-2.0
/* Owners that are stuck in a system call, for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>

#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"

/* @count pages that only userfaultfd brings. Returns its file, or -errno. */
int stuck_pages(char **at, int count)
{
	struct pages pages;
	int ret = pages_make(&pages, count);

	if (ret)
		return ret;
	*at = pages.at;
	return pages.faults;
}

static void *sender_main(void *arg)
{
	struct sender *sender = arg;

	sender->ret = send(sender->fd, sender->page, 1, MSG_NOSIGNAL);
	sender->err = sender->ret < 0 ? errno : 0;
	return NULL;
}

/* Have a thread wait for the page, with the socket locked. */
int sender_start(struct sender *sender, int fd, const char *page, int faults)
{
	struct pages pages = { .at = (char *)page, .faults = faults };

	sender->fd = fd;
	sender->page = page;
	if (pthread_create(&sender->thread, NULL, sender_main, sender))
		return -EAGAIN;
	return pages_wait(&pages) ? 0 : -ETIMEDOUT;
}

/* Let the thread go on, and wait for its end. */
int sender_let_go(struct sender *sender, int faults)
{
	struct pages pages = { .at = (char *)sender->page, .faults = faults };
	int ret = page_bring(&pages, 0);

	return ret ? ret : -pthread_join(sender->thread, NULL);
}
