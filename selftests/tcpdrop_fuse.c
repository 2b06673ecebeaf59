// SPDX-License-Identifier: GPL-2.0
/* A FUSE file system without a library, for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tcpdrop_fuse.h"

#define DEVICE "/dev/fuse"
#define FILE_NODE (FUSE_ROOT_ID + 1)
#define FILE_SIZE (1 << 20)

union answer {
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	struct fuse_attr_out attr;
	struct fuse_open_out open;
};

/* By root, who does what udev does where there is one. */
int fuse_allow(void)
{
	system("modprobe -q fuse");
	return chmod(DEVICE, 0666) ? -errno : 0;
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_NODE ? FILE_SIZE : 0,
		.mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
	};
}

/* Returns the length of the answer, or a negative errno. */
static int make_answer(const struct fuse_in_header *request, union answer *answer)
{
	*answer = (union answer){};
	switch (request->opcode) {
	case FUSE_INIT:
		/* Nothing is read ahead: each page that is missing makes a request. */
		answer->init.major = FUSE_KERNEL_VERSION;
		answer->init.minor = FUSE_KERNEL_MINOR_VERSION;
		answer->init.max_write = getpagesize();
		return sizeof(answer->init);
	case FUSE_LOOKUP:
		answer->entry.nodeid = FILE_NODE;
		answer->entry.entry_valid = INT_MAX;
		answer->entry.attr_valid = INT_MAX;
		answer->entry.attr = attr_of(FILE_NODE);
		return sizeof(answer->entry);
	case FUSE_GETATTR:
		answer->attr.attr_valid = INT_MAX;
		answer->attr.attr = attr_of(request->nodeid);
		return sizeof(answer->attr);
	case FUSE_OPEN:
		return sizeof(answer->open);
	default:
		return -EOPNOTSUPP;
	}
}

static int send_answer(int device, uint64_t unique, union answer *answer, int len)
{
	struct fuse_out_header header = {
		.unique = unique,
		.error = len < 0 ? len : 0,
		.len = sizeof(header) + (len < 0 ? 0 : len),
	};
	struct iovec iov[] = { { &header, sizeof(header) }, { answer, len < 0 ? 0 : len } };

	return writev(device, iov, 2) == header.len ? 0 : -errno;
}

static int serve(int device, const struct fuse_in_header *request, int faults)
{
	const uint64_t one = 1;
	union answer answer;

	switch (request->opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
		return write(faults, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;
	default:
		return send_answer(device, request->unique, &answer,
				   make_answer(request, &answer));
	}
}

/* It ends with the thread that has started it, and with it all that waits ends. */
static void serve_all(int device, int faults)
{
	union {
		struct fuse_in_header request;
		char bytes[2 * FUSE_MIN_READ_BUFFER];
	} in;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(device, &in, sizeof(in)) > 0)
		if (serve(device, &in.request, faults))
			break;
	_exit(1);
}

/* Who waits for the server keeps its files, so only the server may have this one. */
static int start_server(int device, int faults)
{
	pid_t pid = fork();

	if (!pid)
		serve_all(device, faults);
	close(device);
	return pid < 0 ? -errno : 0;
}

/* In a mount namespace of one's own. */
static int mount_own(int device)
{
	char options[128];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (unshare(CLONE_NEWNS) || mount("fuse", "/tmp", "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	return 0;
}

static int map_file(struct pages *pages, int count, int flags)
{
	int fd = open(FUSE_FILE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	pages->at = mmap(NULL, count * getpagesize(), PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return pages->at == MAP_FAILED ? -errno : 0;
}

/*
 * What a user without rights has for pages_make(), after user_become(): pages of
 * a file, mapped with @flags, that never arrive.  The network namespace of this
 * process is kept by its server.
 */
int fuse_pages_make(struct pages *pages, int count, int flags)
{
	int device, ret;

	pages->faults = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (pages->faults < 0 || device < 0)
		return -errno;
	ret = mount_own(device);
	if (!ret)
		ret = start_server(device, pages->faults);
	return ret ? ret : map_file(pages, count, flags);
}
