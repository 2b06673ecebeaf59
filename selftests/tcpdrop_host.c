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
#include <stdlib.h>
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

/*
 * How many objects of a kind the kernel has, those included that it keeps for the next. Those that
 * KASAN keeps from being taken again are let go of first, as all else that can be.
 */
long slab_objects(const char *name)
{
	char line[64], path[96], *at, *text;
	long count = -1;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	file_write(path, "1");
	text = file_read_all("/proc/slabinfo");
	snprintf(line, sizeof(line), "\n%s ", name);
	at = text ? strstr(text, line) : NULL;
	if (at)
		count = atol(at + strlen(line));
	free(text);
	return count;
}

/*
 * The kernel cleans up after namespaces in rounds, each of which has all that have ended by then,
 * and since 6.13 the memory of one round goes in the next.
 */
static int let_namespaces_go(void)
{
	return netns_leave(netns_new, NULL, NULL) ?: netns_leave(netns_new, NULL, NULL);
}

/* The last of a round may still be there for some moments after its devices have gone. */
#define LOOKS 20

/*
 * What there is in memory, whether anybody knows of it or not: by a reference that is lost it
 * stays there. Both are -1 where the kernel does not say. The caller's namespace is to have no
 * device that is called "outside".
 */
int living_read(struct living *living)
{
	static const char *const socks[] = {
		"TCP", "TCPv6", "MPTCP", "MPTCPv6", "tw_sock_TCP", "tw_sock_TCPv6",
		"request_sock_TCP", "request_sock_TCPv6", "request_sock_subflow",
		"request_sock_subflow_v4", "request_sock_subflow_v6",
	};
	long count;
	size_t i;
	int ret;

	*living = (struct living){ -1, -1 };
	if (access("/proc/slabinfo", F_OK))
		return 0;
	ret = let_namespaces_go();
	if (ret)
		return ret;
	living->nets = slab_objects("net_namespace");
	living->socks = 0;
	for (i = 0; i < LOOKS; i++) {
		pause_ms(5);
		count = slab_objects("net_namespace");
		if (count < living->nets)
			living->nets = count;
	}
	for (i = 0; i < ARRAY_LEN(socks); i++) {
		count = slab_objects(socks[i]);
		if (count > 0)
			living->socks += count;
	}
	return living->nets > 0 && living->socks > 0 ? 0 : -EPROTO;
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
