// SPDX-License-Identifier: GPL-2.0
/* Owners that are stuck in a system call, for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcpdrop_stuck.h"
#include "tcpdrop_util.h"

/* @count pages that only userfaultfd brings. Returns its file, or -errno. */
int pages_make(char **pages, int count)
{
	size_t len = count * getpagesize();
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (unsigned long)*pages;
	reg.range.len = len;
	if (*pages == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return fd;
}

/* Bring one page, and so let go of who waits for it. */
int page_bring(int faults, const char *page)
{
	struct uffdio_zeropage zero = {
		.range.start = (unsigned long)page,
		.range.len = getpagesize(),
	};

	return ioctl(faults, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
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
	struct pollfd fault = { .fd = faults, .events = POLLIN };
	struct uffd_msg msg;

	sender->fd = fd;
	sender->page = page;
	if (pthread_create(&sender->thread, NULL, sender_main, sender))
		return -EAGAIN;
	if (poll(&fault, 1, DEADLINE_MS) != 1 || read(faults, &msg, sizeof(msg)) != sizeof(msg))
		return -ETIMEDOUT;
	return msg.arg.pagefault.address == (unsigned long)page ? 0 : -EPROTO;
}

/* Let the thread go on, and wait for its end. */
int sender_let_go(struct sender *sender, int faults)
{
	int ret = page_bring(faults, sender->page);

	return ret ? ret : -pthread_join(sender->thread, NULL);
}
