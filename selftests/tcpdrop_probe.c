// SPDX-License-Identifier: GPL-2.0
/* What root does on a machine that somebody attacks, for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tcpdrop_host.h"
#include "tcpdrop_probe.h"

enum step { NETNS, DEVICE, DRIVER, CONNECT, COMMIT, LINE, LIST, UNLOAD, STEPS };

static const char * const step_names[] = {
	[NETNS] = "a namespace is made and ends",
	[DEVICE] = "a device is made and removed",
	[DRIVER] = "a driver is unloaded and loaded",
	[CONNECT] = "a client connects and is heard",
	[COMMIT] = "a rule is committed",
	[LINE] = "a line is written",
	[LIST] = "the file is read",
	[UNLOAD] = "the module is said to be in use",
	[STEPS] = "all is done",
};

static int connect_one(void)
{
	int listener = sock_listen(IPV4, "127.6.0.1", 0);
	struct pair pair;
	int ret;

	if (listener < 0)
		return listener;
	ret = sock_pair(listener, IPV4, "127.6.0.2", 0, &pair);
	close(listener);
	if (ret)
		return ret;
	ret = sock_talks(pair.client, pair.server) ? 0 : -EPROTO;
	close(pair.client);
	close(pair.server);
	return ret;
}

static int commit_one(const struct ends *ends)
{
	struct rule rule;
	int ret;

	ret = rule_new(&rule, "probe");
	if (!ret)
		ret = rule_set_ends(&rule, ends);
	if (!ret)
		ret = rule_commit(&rule);
	if (!ret && rule_result(&rule, "dropped") != 1)
		ret = -EPROTO;
	rule_remove(&rule);
	return ret;
}

static int read_list(void)
{
	char *text = file_read_all(PROC_FILE);

	free(text);
	return text ? 0 : -errno;
}

static int take_step(enum step step, const struct conn conn[2])
{
	switch (step) {
	case NETNS:
		return netns_leave(netns_new, NULL, NULL);
	case DEVICE:
		return system("ip link add tcpdrop9 type dummy && ip link del tcpdrop9");
	case DRIVER:
		return system("modprobe -r dummy; modprobe dummy");
	case CONNECT:
		return connect_one();
	case COMMIT:
		return commit_one(&conn[0].ends);
	case LINE:
		return ends_drop(&conn[1].ends);
	case LIST:
		return read_list();
	default:
		return module_unload() == -EWOULDBLOCK ? 0 : -EPROTO;
	}
}

/* In memory that is shared with the process of the probe. */
struct probe *probe_new(void)
{
	struct probe *probe = mmap(NULL, sizeof(*probe), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return probe == MAP_FAILED ? NULL : probe;
}

static int take_time(struct probe *probe, const struct conn conn[2])
{
	int64_t start = clock_ms();
	int ret = take_step(probe->step, conn);
	int64_t ms = clock_ms() - start;

	if (ms > probe->slowest_ms) {
		probe->slowest_ms = ms;
		probe->slowest = probe->step;
	}
	return ret;
}

/* In another process because it may hang. It drops both connections. */
pid_t probe_start(struct probe *probe, const struct conn conn[2])
{
	pid_t pid;

	*probe = (struct probe){};
	pid = fork();
	if (pid)
		return pid;
	for (; probe->step < STEPS && !probe->ret; probe->step += !probe->ret)
		probe->ret = take_time(probe, conn);
	_exit(0);
}

static int step_of(const struct probe *probe)
{
	return __atomic_load_n(&probe->step, __ATOMIC_ACQUIRE);
}

/*
 * Whether a step is taken from its beginning to its end, none for longer than @ms: one that is
 * taken already does not count.
 */
bool probe_takes_step(const struct probe *probe, int64_t ms)
{
	int step = step_of(probe);

	if (!WAIT_FOR_MS(step_of(probe) != step, ms))
		return false;
	step = step_of(probe);
	return step < STEPS && WAIT_FOR_MS(step_of(probe) != step, ms);
}

/* 0 if all was done, -ETIMEDOUT if a step of it hangs, else how a step failed. */
int probe_wait(const struct probe *probe, pid_t pid)
{
	bool ended = false;
	int step;

	do {
		step = step_of(probe);
		WAIT_UNTIL((ended = waitpid(pid, NULL, WNOHANG) == pid) ||
			   step_of(probe) != step);
	} while (!ended && step_of(probe) != step);
	if (!ended)
		return -ETIMEDOUT;
	return probe->step == STEPS ? 0 : probe->ret ?: -ECHILD;
}

/* What it was about to do when it ended or hung. */
const char *probe_step(const struct probe *probe)
{
	return step_names[step_of(probe)];
}

/* The step that took longest, of those that have ended. */
const char *probe_slowest(const struct probe *probe)
{
	return step_names[probe->slowest];
}
