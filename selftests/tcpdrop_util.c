// SPDX-License-Identifier: GPL-2.0
/* Time, files, namespaces and rules for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tcpdrop_util.h"

/* Bits of /proc/sys/kernel/tainted. */
#define TAINT_DIE (1 << 7)
#define TAINT_WARN (1 << 9)

#define RULES_DIR "/sys/kernel/config/tcpdrop"

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"

/* Milliseconds of a clock that only goes forward. */
int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* In milliseconds, but no more than @max; @then becomes now. */
int64_t time_since(int64_t *then, int64_t max)
{
	int64_t now = clock_ms(), since = now - *then;

	*then = now;
	return since < max ? since : max;
}

/*
 * Did a commit or a write that has not begun before @start have the time that it
 * gives to owners?  On a busy machine that may be over before a test gets on.
 */
bool patience_is_over(int64_t start)
{
	return clock_ms() - start >= PATIENCE_MS;
}

/* Do without CAP_NET_ADMIN from now on; all other capabilities stay. */
int net_admin_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~CAP_TO_MASK(CAP_NET_ADMIN);
	data[0].permitted &= ~CAP_TO_MASK(CAP_NET_ADMIN);
	data[0].inheritable &= ~CAP_TO_MASK(CAP_NET_ADMIN);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* Take the CPU for so many microseconds. */
void spin_us(int us)
{
	struct timespec now, then;

	clock_gettime(CLOCK_MONOTONIC, &then);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - then.tv_sec) * 1000000 + (now.tv_nsec - then.tv_nsec) / 1000 < us);
}

/* Leave the processor to others between two looks at a condition. */
void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* Write @text with one write(2), as one store of an attribute. */
int file_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	ssize_t written;
	int ret = 0;
	int fd;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	written = write(fd, text, len);
	if (written < 0)
		ret = -errno;
	else if ((size_t)written != len)
		ret = -EIO;
	close(fd);
	return ret;
}

/* Read up to @size - 1 bytes and cut the newline at the end. */
int file_read(const char *path, char *text, size_t size)
{
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0) {
		len = -errno;
		close(fd);
		return len;
	}
	close(fd);
	if (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return 0;
}

/*
 * Read a file of any length to its end through one open file.
 * Returns text for the caller to free, or NULL with errno set.
 */
char *file_read_all(const char *path)
{
	size_t size = 0, len = 0;
	char *text = NULL;
	ssize_t got = 1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (got > 0) {
		if (size - len < 65536) {
			size += 1 << 20;
			text = realloc(text, size);
			if (!text)
				break;
		}
		got = read(fd, text + len, size - len - 1);
		len += got > 0 ? got : 0;
	}
	close(fd);
	if (got < 0) {
		free(text);
		return NULL;
	}
	if (text)
		text[len] = '\0';
	return text;
}

/* How many times @part is in @text. */
int text_count(const char *text, const char *part)
{
	int count = 0;

	while ((text = strstr(text, part))) {
		count++;
		text += strlen(part);
	}
	return count;
}

/* An address can be bound some time after it has been given to a device. */
static bool addr6_can_be_bound(const struct in6_addr *addr)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = *addr };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return false;
	ret = bind(fd, (struct sockaddr *)&sin6, sizeof(sin6));
	close(fd);
	return !ret;
}

/* Give an IPv6 address to the loopback device. */
int netns_add_addr6(const char *text)
{
	struct {
		struct in6_addr addr;
		uint32_t prefixlen;
		int ifindex;
	} req = { .prefixlen = 128 };
	int ret = 0;
	int fd;

	if (inet_pton(AF_INET6, text, &req.addr) != 1)
		return -EINVAL;
	req.ifindex = if_nametoindex("lo");
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFADDR, &req))
		ret = -errno;
	else if (!WAIT_UNTIL(addr6_can_be_bound(&req.addr)))
		ret = -ETIMEDOUT;
	close(fd);
	return ret;
}

/* Bring the loopback device of this namespace up. */
static int netns_lo_up(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int ret = 0;
	int fd;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFFLAGS, &req))
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Move to a new network namespace whose loopback device is up, so that a rule
 * for the own namespace meets nothing but what the test case made.
 */
int netns_new(void)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	return netns_lo_up();
}

/* The inode number by which a rule names the namespace of this thread. */
unsigned long netns_inode(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

/*
 * Give the namespace of @pid a device that goes when this one ends: of a pair
 * of devices, it takes the other end along.
 */
int netns_tie(const char *device, pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "ip link add inside type veth peer name %s netns %d", device, pid);
	return system(command) ? -EIO : 0;
}

/*
 * Have a namespace made by @setup, @work (or nothing) done in it with @with, and
 * it left by its last process. The caller's namespace is to have no device that
 * is called "outside".
 *
 * Return: 0; the error of the two; -ECHILD if the process was killed; -ETIMEDOUT
 * if something holds the namespace.
 */
int netns_leave(int (*setup)(void), int (*work)(const void *with), const void *with)
{
	pid_t pid, parent = getpid();
	int status, ret;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		ret = setup();
		if (!ret)
			ret = netns_tie("outside", parent);
		if (!ret && work)
			ret = work(with);
		_exit(-ret);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	if (WEXITSTATUS(status))
		return -WEXITSTATUS(status);
	return WAIT_UNTIL(!if_nametoindex("outside")) ? 0 : -ETIMEDOUT;
}

/* Whether there is a module to test. */
bool tcpdrop_loaded(void)
{
	return !access(RULES_DIR, F_OK);
}

/* Where @attr of @rule is; static per thread, good until the next call. */
static const char *rule_path(const struct rule *rule, const char *attr)
{
	static __thread char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", rule->path, attr);
	return path;
}

/* Make a rule; the process id keeps @name apart from what others made. */
int rule_new(struct rule *rule, const char *name)
{
	snprintf(rule->path, sizeof(rule->path), RULES_DIR "/%s-%d", name, getpid());
	return mkdir(rule->path, 0755) ? -errno : 0;
}

/* For who does more with an attribute than rule_set() and rule_get(). */
int rule_open(const struct rule *rule, const char *attr, int flags)
{
	int fd = open(rule_path(rule, attr), flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int rule_set(const struct rule *rule, const char *attr, const char *value)
{
	return file_write(rule_path(rule, attr), value);
}

int rule_setf(const struct rule *rule, const char *attr, const char *fmt, ...)
{
	char value[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	return rule_set(rule, attr, value);
}

int rule_get(const struct rule *rule, const char *attr, char *value, size_t size)
{
	return file_read(rule_path(rule, attr), value, size);
}

/* What the rule matches, as text to be freed. */
char *rule_list(const struct rule *rule)
{
	return file_read_all(rule_path(rule, "list"));
}

int rule_commit(const struct rule *rule)
{
	return rule_set(rule, "commit", "1");
}

static void on_signal(int signal)
{
}

/*
 * Commit in a process of its own, which SIGTERM interrupts but does not end. It
 * has no sockets: what this process closes meanwhile is closed.
 */
pid_t rule_commit_elsewhere(const struct rule *rule)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction before;
	pid_t pid;

	/* The child must not be without the handler for a moment. */
	sigaction(SIGTERM, &action, &before);
	pid = fork();
	if (!pid) {
		syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
		_exit(-rule_commit(rule));
	}
	sigaction(SIGTERM, &before, NULL);
	return pid < 0 ? -errno : pid;
}

/* Wait for the end of that process. Returns what the commit did. */
int rule_commit_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EPROTO;
	return -WEXITSTATUS(status);
}

/* A number that changes when the kernel warns of something, for the first time. */
int kernel_taint(void)
{
	char text[64];

	return file_read("/proc/sys/kernel/tainted", text, sizeof(text)) ? -1 : atoi(text);
}

/* Not 0 once it has warned or died, or if that is not known. */
int kernel_has_warned(void)
{
	return kernel_taint() & (TAINT_DIE | TAINT_WARN);
}

/* One whole number of the rule; negative: an errno, or -EPROTO for no number. */
static long rule_number(const struct rule *rule, const char *attr)
{
	char value[64], *end;
	long number;
	int ret;

	ret = rule_get(rule, attr, value, sizeof(value));
	if (ret)
		return ret;
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno || end == value || *end || number < 0)
		return -EPROTO;
	return number;
}

long rule_count(const struct rule *rule)
{
	return rule_number(rule, "count");
}

long rule_result(const struct rule *rule, const char *attr)
{
	char path[64];

	snprintf(path, sizeof(path), "result/%s", attr);
	return rule_number(rule, path);
}

/* All that the last commit reported. */
int rule_result_read(const struct rule *rule, struct rule_result *result)
{
	result->matched = rule_result(rule, "matched");
	result->dropped = rule_result(rule, "dropped");
	result->failed = rule_result(rule, "failed");
	result->remaining = rule_result(rule, "remaining");
	result->elapsed_us = rule_result(rule, "elapsed_us");
	if (result->matched < 0 || result->dropped < 0 || result->failed < 0 ||
	    result->remaining < 0 || result->elapsed_us < 0)
		return -EPROTO;
	return rule_get(rule, "result/states", result->states, sizeof(result->states));
}

/* How many sockets in @state the commit dropped: its line of result/states. */
long result_state(const struct rule_result *result, const char *state)
{
	size_t len = strlen(state);
	const char *line;

	for (line = result->states; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, state, len) && line[len] == ' ')
			return atol(line + len);
	}
	return 0;
}

int rule_remove(const struct rule *rule)
{
	return rmdir(rule->path) ? -errno : 0;
}

/* Add the files in @dir of the rule, "" its own, that have all bits of @mode. */
static int add_files(const struct rule *rule, const char *dir, mode_t mode,
		     struct rule_files *files)
{
	DIR *stream = opendir(rule_path(rule, dir));
	struct dirent *entry;
	struct stat st;
	int ret = 0;

	if (!stream)
		return -errno;
	while (!ret && (entry = readdir(stream))) {
		if (fstatat(dirfd(stream), entry->d_name, &st, 0))
			ret = -errno;
		else if (!S_ISREG(st.st_mode) || (st.st_mode & mode) != mode)
			continue;
		else if (files->count == ARRAY_LEN(files->name))
			ret = -ENOSPC;
		else
			snprintf(files->name[files->count++], sizeof(files->name[0]),
				 "%s%.50s", dir, entry->d_name);
	}
	closedir(stream);
	return ret;
}

/*
 * What there is in the directory of a rule, so that no test can forget one:
 * the files that have all bits of @mode.
 */
int rule_files(const struct rule *rule, mode_t mode, struct rule_files *files)
{
	int ret;

	files->count = 0;
	ret = add_files(rule, "", mode, files);
	return ret ? ret : add_files(rule, "result/", mode, files);
}

/* What an attribute that is written takes; NULL: nobody has said so here. */
const char *rule_value(const char *attr)
{
	static const struct {
		const char *attr;
		const char *value;
	} values[] = {
		{ "saddr", "192.0.2.1" },
		{ "daddr", "192.0.2.1" },
		{ "sport", "1" },
		{ "dport", "1" },
		{ "port", "1" },
		{ "state", "TIME_WAIT" },
		{ "congestion", "reno" },
		{ "ulp", "tls" },
		{ "dev", "eth0" },
		{ "mark", "0x1" },
		{ "uid", "1" },
		{ "idle", "1d" },
		{ "retrans", "1" },
		{ "sendq", "1" },
		{ "recvq", "1" },
		{ "orphan", "yes" },
		{ "cgroup", "/" },
		{ "pid", "1" },
		{ "netns", "all" },
		{ "max", "1" },
		{ "rate", "1" },
		{ "reset", "no" },
		{ "kernel", "yes" },
		{ "protect", "yes" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(values); i++)
		if (!strcmp(attr, values[i].attr))
			return values[i].value;
	return NULL;
}

/*
 * Be on this CPU only, and there before all others. Real-time tasks have to leave others 50 ms
 * of each second, which pass on a slow machine, or on a virtual one that has been stopped.
 */
static int come_first(struct hold *hold)
{
	struct sched_param first = { .sched_priority = 2 };
	cpu_set_t here;
	int ret;

	ret = file_read(RT_RUNTIME, hold->runtime, sizeof(hold->runtime));
	if (ret)
		return ret;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_getaffinity(0, sizeof(hold->cpus), &hold->cpus) ||
	    sched_setaffinity(0, sizeof(here), &here) ||
	    sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		return -errno;
	return file_write(RT_RUNTIME, "-1");
}

/* And this process right after it: from 6.12 on it is the others who get 50 ms of each second. */
static int come_second(pid_t pid)
{
	struct sched_param second = { .sched_priority = 1 };

	return sched_setscheduler(pid, SCHED_FIFO, &second) ? -errno : 0;
}

/* Wait until one of these sockets has been dropped. Nothing else happens to them. */
static int wait_for_drop(const struct pair *pair, int count)
{
	struct pollfd *event = calloc(count, sizeof(*event));
	int i, ret;

	if (!event)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		event[i].fd = pair[i].client;
	ret = poll(event, count, DEADLINE_MS);
	free(event);
	return ret > 0 ? 0 : -ETIMEDOUT;
}

/* The commit goes on, wherever there is room for it. */
void commit_let_go(const struct hold *hold)
{
	struct sched_param other = { .sched_priority = 0 };

	sched_setscheduler(0, SCHED_OTHER, &other);
	sched_setaffinity(0, sizeof(hold->cpus), &hold->cpus);
	file_write(RT_RUNTIME, hold->runtime);
}

/*
 * Commit in another process, and come back when it drops the first client of
 * @pair. What it does wakes this thread, and so no timer has to be in time. To
 * be followed by commit_let_go() and rule_commit_end().
 */
int commit_hold(struct hold *hold, const struct rule *rule, const struct pair *pair,
		int count)
{
	int ret;

	ret = come_first(hold);
	if (ret)
		return ret;
	hold->pid = rule_commit_elsewhere(rule);
	ret = hold->pid < 0 ? hold->pid : come_second(hold->pid);
	if (!ret)
		ret = wait_for_drop(pair, count);
	if (ret)
		commit_let_go(hold);
	return ret;
}
