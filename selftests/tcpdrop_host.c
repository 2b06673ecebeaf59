// SPDX-License-Identifier: GPL-2.0
/* Missing pages, unprivileged users and the module for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcpdrop_host.h"

/*
 * Pages that only userfaultfd brings, to this process, not to its children.
 * A user without rights has fuse_pages_make() for the same; made before
 * user_become() these need neither a daemon nor a sysctl, and can be brought.
 */
int pages_make(struct pages *pages, int count)
{
	size_t len = count * getpagesize();
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	pages->faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (pages->faults < 0)
		return -errno;
	pages->at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (pages->at == MAP_FAILED)
		return -errno;
	reg.range.start = (unsigned long)pages->at;
	reg.range.len = len;
	if (ioctl(pages->faults, UFFDIO_API, &api) ||
	    ioctl(pages->faults, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

char *pages_get(const struct pages *pages, int i)
{
	return pages->at + i * getpagesize();
}

/* Wait until one more thread waits for one of the pages; poll() takes O_NONBLOCK for it. */
bool pages_wait(const struct pages *pages)
{
	struct pollfd fault = { .fd = pages->faults, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&fault, 1, DEADLINE_MS) == 1 &&
	       read(pages->faults, &msg, sizeof(msg)) > 0;
}

/* Bring a page, and so let go of who waits for it. */
int page_bring(const struct pages *pages, int i)
{
	struct uffdio_zeropage zero = {
		.range.start = (unsigned long)pages_get(pages, i),
		.range.len = getpagesize(),
	};

	return ioctl(pages->faults, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
}

static int map_to_root(const char *path, unsigned int id)
{
	char text[64];

	snprintf(text, sizeof(text), "0 %u 1", id);
	return file_write(path, text);
}

/*
 * Become a user without any capability, and then, as everybody can, root of a
 * user namespace of its own.
 */
int user_become(uid_t uid)
{
	int ret;

	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ||
	    prctl(PR_SET_DUMPABLE, 1) || unshare(CLONE_NEWUSER))
		return -errno;
	ret = map_to_root("/proc/self/uid_map", uid);
	if (!ret)
		ret = file_write("/proc/self/setgroups", "deny");
	if (!ret)
		ret = map_to_root("/proc/self/gid_map", uid);
	return ret;
}

/* Whether a thread of this process does not run: it waits for something. */
bool thread_sleeps(pid_t tid)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (file_read(path, text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	return state && (state[2] == 'S' || state[2] == 'D');
}

/* Write one of the files of a control group, whose directory is @cgroup. */
int cgroup_set(const char *cgroup, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return file_write(path, text);
}

/* Whether cgroup.events has a line, "frozen 1" (so is one without processes) or "populated 1". */
bool cgroup_says(const char *cgroup, const char *line)
{
	char path[256], text[256];

	snprintf(path, sizeof(path), "%s/cgroup.events", cgroup);
	return !file_read(path, text, sizeof(text)) && strstr(text, line);
}

int module_unload(void)
{
	return syscall(SYS_delete_module, "tcpdrop", O_NONBLOCK) ? -errno : 0;
}

int module_load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}
