// SPDX-License-Identifier: GPL-2.0
/*
 * Everybody at once, by IPv4, IPv6 and IPv4 on sockets of IPv6, of TCP and, where
 * the kernel has it, MPTCP: processes that connect, accept, close, listen, commit,
 * write attributes and lines, read, make and remove rules, namespaces, cgroups
 * and protections, exit, and are killed, interrupted, stopped or frozen half way.
 * What they do is drawn from a seed. At the end whom no rule means is alive, and
 * nothing is left. So it is once more with the module itself coming and going,
 * under those who use it.
 *
 * TCPDROP_SEED is the seed, TCPDROP_SECONDS how long it goes on, and a third of
 * that the second time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_host.h"
#include "tcpdrop_util.h"

#define SECONDS 20
#define BYSTANDERS 60
#define RULES_DIR "/sys/kernel/config/tcpdrop"
#define CGROUPS "/sys/fs/cgroup"
#define NAMES 4

/* Where each family's sockets are, those of DUAL at addresses of IPv4. */
static const struct {
	const char *listener;
	const char *target;
	const char *bystander;
	const char *closed;	/* a listener that goes */
} places[FAMILIES] = {
	[IPV4] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4" },
	[IPV6] = { "fd00::1", "fd00::2", "fd00::3", "fd00::4" },
	[DUAL] = { "::ffff:127.0.0.1", "::ffff:127.0.0.2", "::ffff:127.0.0.3",
		   "::ffff:127.0.0.4" },
};

/*
 * What rules are about. Names of rules are shared, so a rule may be made anew
 * between two writes to it: each of these alone has to leave the bystanders out.
 */
#define TARGETS "127.0.0.2,fd00::2"

static const char *const selectors[][2] = {
	{ "saddr", TARGETS },
	{ "daddr", "127.0.0.2/32,192.0.2.0/24,fd00::2/128,2001:db8::/32" },
	{ "state", "!ESTABLISHED" },
	{ "state", "CLOSE_WAIT,TIME_WAIT,FIN_WAIT_2" },
	{ "uid", "4000000000" },
	{ "idle", "1d" },
	{ "orphan", "yes" },
};

static const char *const options[][2] = {
	{ "netns", "self" },
	{ "netns", "all" },
	{ "max", "0" },
	{ "max", "7" },
	{ "rate", "0" },
	{ "rate", "20000" },
	{ "reset", "no" },
	{ "reset", "yes" },
	{ "kernel", "no" },
};

/* Where clients connect to by and by, -1 where the kernel has no such. */
struct listener {
	int fd;
	struct end end;
};

enum { TCP, MPTCP, PROTOCOLS };

/* What the processes share; the rest is each one's own. */
struct world {
	struct listener listener[PROTOCOLS][FAMILIES];
	bool has_mptcp;
	int64_t stop_ms;
	atomic_long steps[32];
	atomic_long commits, dropped, listed, frozen;
	atomic_long removed, interrupted;	/* in the middle of a commit */
	atomic_long unloads, refusals, in_vain;
	atomic_long lines[FAMILIES];
};

static struct world *world;

/* What has not happened in a storm may still do so for a while. */
static bool is_over_for_long(void)
{
	return clock_ms() > world->stop_ms + DEADLINE_MS;
}

static unsigned int drawn;

/* Of the clients and listeners that a process makes, which is its actor's. */
static int protocol;

/* A rule that a process makes, and has its children commit. */
static struct rule its_parents;

/* xorshift32: the same for the same seed everywhere. */
static unsigned int draw(unsigned int below)
{
	drawn ^= drawn << 13;
	drawn ^= drawn >> 17;
	drawn ^= drawn << 5;
	return drawn % below;
}

static void rule_by_number(struct rule *rule, unsigned int number)
{
	snprintf(rule->path, sizeof(rule->path), RULES_DIR "/races.%u", number);
}

static int draw_rule(struct rule *rule)
{
	rule_by_number(rule, draw(NAMES));
	return mkdir(rule->path, 0755) && errno != EEXIST ? -errno : 0;
}

static void draw_write(const struct rule *rule, const char *const (*from)[2], size_t count)
{
	size_t i = draw(count);

	rule_set(rule, from[i][0], from[i][1]);
}

static enum family draw_family(void)
{
	return draw(FAMILIES);
}

/* A client of @to from the targets' address, which does not wait for long; -1: none. */
static int connect_target(enum family family, const struct end *to)
{
	struct pollfd out = { .events = POLLOUT };
	int fd = sock_new_by(protocol, family);

	if (fd < 0 || sock_bind(fd, family, places[family].target, 0) || sock_nonblock(fd)) {
		close(fd);
		return -1;
	}
	sock_connect(fd, family, to);
	out.fd = fd;
	poll(&out, 1, 50);
	return fd;
}

/* Of the one protocol or the other, whatever that of its clients. */
static const struct listener *draw_listener(enum family family)
{
	return &world->listener[world->has_mptcp && draw(2) ? MPTCP : TCP][family];
}

static int draw_target(void)
{
	enum family family = draw_family();

	return connect_target(family, &draw_listener(family)->end);
}

/* By FIN, by RST, one direction first, or by an owner that goes on. */
static void draw_close(int fd)
{
	struct linger reset = { .l_onoff = 1 };
	char text[64];

	switch (draw(4)) {
	case 0:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		break;
	case 1:
		shutdown(fd, SHUT_WR);
		recv(fd, text, sizeof(text), MSG_DONTWAIT);
		break;
	case 2:
		send(fd, "hello", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	}
	close(fd);
}

static int step_connect(void)
{
	int fd = draw_target();

	if (fd >= 0) {
		pause_ms(draw(3));
		draw_close(fd);
	}
	return 0;
}

static int step_accept(void)
{
	const struct listener *all = &world->listener[0][0];
	struct pollfd in[PROTOCOLS * FAMILIES];
	int i, first = draw(ARRAY_LEN(in)), fd = -1;

	for (i = 0; i < ARRAY_LEN(in); i++)
		in[i] = (struct pollfd){ .fd = all[i].fd, .events = POLLIN };
	poll(in, ARRAY_LEN(in), 20);
	for (i = 0; i < ARRAY_LEN(in) && fd < 0; i++)
		fd = accept4(in[(first + i) % ARRAY_LEN(in)].fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		pause_ms(draw(3));
		draw_close(fd);
	}
	return 0;
}

/* A listener that goes while connections wait to be accepted. */
static int step_listen(void)
{
	int fd[8], i, listener, count = draw(8);
	enum family family = draw_family();
	struct end end;

	listener = sock_listen_by(protocol, family, places[family].closed, 0);
	if (listener < 0 || sock_nonblock(listener) || end_of(listener, &end))
		return -EPROTO;
	for (i = 0; i < count; i++)
		fd[i] = connect_target(family, &end);
	if (draw(2))
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	for (i = 0; i < count; i++)
		if (fd[i] >= 0)
			draw_close(fd[i]);
	return 0;
}

static int commit(const struct rule *rule)
{
	long dropped;
	int ret = rule_commit(rule);

	atomic_fetch_add(&world->commits, !ret);
	dropped = rule_result(rule, "dropped");
	if (!ret && dropped > 0)
		atomic_fetch_add(&world->dropped, dropped);
	return ret;
}

static int step_commit(void)
{
	struct rule rule;

	if (draw_rule(&rule))
		return -EPROTO;
	draw_write(&rule, selectors, ARRAY_LEN(selectors));
	draw_write(&rule, options, ARRAY_LEN(options));
	commit(&rule);
	if (!draw(4))
		rmdir(rule.path);
	return 0;
}

/* A rule that nobody else has, so that it has to do what it is told. */
static int step_own_commit(void)
{
	struct rule rule;
	int ret, left;

	ret = rule_new(&rule, "races");
	if (ret)
		return ret;
	ret = rule_set(&rule, "daddr", TARGETS);
	if (!ret)
		ret = rule_set(&rule, "netns", draw(2) ? "self" : "all");
	if (!ret)
		ret = commit(&rule);
	left = rule_remove(&rule);
	return ret ? ret : left;
}

static int step_files(void)
{
	struct rule_files files;
	struct rule rule;
	char text[4096];
	size_t i;

	if (draw_rule(&rule))
		return -EPROTO;
	if (rule_files(&rule, 0400, &files) || !files.count)
		return 0;
	i = draw(files.count);
	rule_get(&rule, files.name[i], text, sizeof(text));
	switch (draw(4)) {
	case 0:
		draw_write(&rule, selectors, ARRAY_LEN(selectors));
		break;
	case 1:
		draw_write(&rule, options, ARRAY_LEN(options));
		break;
	case 2:
		free(rule_list(&rule));
		break;
	case 3:
		rmdir(rule.path);
		break;
	}
	return 0;
}

/* Addresses of IPv6 are known without brackets, too. */
static void strip_brackets(char *line)
{
	char *to = line;

	for (; *line; line++)
		if (!strchr("[]", *line))
			*to++ = *line;
	*to = '\0';
}

/* Of the line of a connection the last characters may be missing. */
static int write_line(int fd, enum family family, const struct ends *ends)
{
	char line[128];
	ssize_t len, written;

	ends_print(ends, 1, line, sizeof(line) - 1);
	if (draw(2))
		strip_brackets(line);
	strcat(line, "\n");
	len = strlen(line) - draw(2) * draw(8);
	written = write(fd, line, len);
	atomic_fetch_add(&world->lines[family], written == len && line[len - 1] == '\n');
	return written == len ? 0 : written < 0 ? -errno : -EIO;
}

static int step_lines(void)
{
	static const char once[] = "daddr=" TARGETS " max=9\n";
	enum family family = draw_family();
	struct ends ends;
	int fd, client;
	char text[4096];

	fd = open(PROC_FILE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	client = connect_target(family, &draw_listener(family)->end);
	if (draw(2))
		atomic_fetch_add(&world->listed, read(fd, text, 1 + draw(sizeof(text))) > 0);
	if (client >= 0 && !ends_of(client, &ends))
		write_line(fd, family, &ends);
	else
		write(fd, once, strlen(once));
	close(fd);
	if (client >= 0)
		close(client);
	return 0;
}

/* What a child does, and how it ends. It draws numbers of its own, the same ones each time. */
static int with_child(int (*work)(void), int kill_after_us, pid_t *pid)
{
	unsigned int its = draw(UINT_MAX) + 1;

	*pid = fork();
	if (!*pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		drawn = its;
		_exit(work() ? 1 : 0);
	}
	if (*pid < 0)
		return -errno;
	if (kill_after_us) {
		usleep(kill_after_us);
		kill(*pid, SIGKILL);
	}
	return 0;
}

/* Some are killed before they have done their work. */
static int wait_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return 0;
	return status ? -ECHILD : 0;
}

/* On a loopback device that has none of IPv6 but its own. */
static int add_places(void)
{
	return netns_add_addr6(places[IPV6].listener) ?:
	       netns_add_addr6(places[IPV6].target) ?:
	       netns_add_addr6(places[IPV6].bystander) ?:
	       netns_add_addr6(places[IPV6].closed);
}

/* One that dies with sockets and files open, in a namespace that dies with it. */
static int in_namespace(void)
{
	static const char line[] = "saddr=" TARGETS "\nsaddr=";
	enum family family = draw_family();
	int fd, ret = netns_new();
	struct rule rule;
	struct end end;

	if (!ret && family == IPV6)
		ret = add_places();
	if (ret)
		return ret;
	fd = sock_listen(family, places[family].listener, 0);
	if (fd < 0 || sock_nonblock(fd) || end_of(fd, &end))
		return -EPROTO;
	/* Somebody may drop the request when its client has been answered: nobody comes then. */
	connect_target(family, &end);
	accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	fd = open(PROC_FILE, O_RDWR);
	if (draw(2)) {
		write(fd, line, strlen(line) - draw(7));
	} else if (!draw_rule(&rule)) {
		rule_set(&rule, "saddr", TARGETS);
		commit(&rule);
	}
	pause_ms(draw(5));
	return 0;
}

/* The next namespace that is made has a table of its own, where the kernel knows of such. */
static int step_netns(void)
{
	pid_t pid;

	file_write("/proc/sys/net/ipv4/tcp_child_ehash_entries", draw(2) ? "64" : "0");
	if (with_child(in_namespace, draw(2) ? 1 + draw(20000) : 0, &pid))
		return -EPROTO;
	return wait_child(pid);
}

static int draw_connection(void)
{
	protocol = world->has_mptcp && draw(2) ? IPPROTO_MPTCP : IPPROTO_TCP;
	return draw_target();
}

static int hold_connection(void)
{
	int fd = draw_connection();

	pause_ms(draw(10));
	close(fd);
	return 0;
}

/* A rule for a process that exits while it is looked up. */
static int step_pid(void)
{
	struct rule rule;
	pid_t pid;
	int ret;

	if (with_child(hold_connection, 0, &pid))
		return -EPROTO;
	ret = rule_new(&rule, "races");
	if (ret)
		return ret;
	if (!rule_setf(&rule, "pid", "%d", pid))
		commit(&rule);
	if (wait_child(pid))
		return -EPROTO;
	return rule_remove(&rule);
}

/* A control group that a process has for its children. */
struct cgroup {
	char path[64];
};

static int cgroup_new(struct cgroup *cgroup)
{
	snprintf(cgroup->path, sizeof(cgroup->path), CGROUPS "/races.%d", getpid());
	return mkdir(cgroup->path, 0755) ? -errno : 0;
}

/* It can be removed some time after the last process that was in it has ended. */
static int cgroup_remove(const struct cgroup *cgroup)
{
	return WAIT_UNTIL(!rmdir(cgroup->path) || errno != EBUSY) ? 0 : -EBUSY;
}

static int cgroup_enter(void)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/races.%d", getppid());
	return cgroup_set(path, "cgroup.procs", "0");
}

static int in_cgroup(void)
{
	return cgroup_enter() ?: hold_connection();
}

static int cgroup_leave(void)
{
	return cgroup_set(CGROUPS, "cgroup.procs", "0");
}

/* The group can be removed then, and the connection is still its own. */
static int hold_connection_and_leave(void)
{
	int fd = draw_connection(), ret = draw(2) ? cgroup_leave() : 0;

	pause_ms(draw(20));
	close(fd);
	return ret;
}

/* Begun in the group, which may be gone before the child has its first turn. */
static int with_child_of(const struct cgroup *cgroup, int (*work)(void), int kill_after_us,
			 pid_t *pid)
{
	int ret = cgroup_set(cgroup->path, "cgroup.procs", "0");

	if (!ret)
		ret = with_child(work, kill_after_us, pid);
	return cgroup_leave() ?: ret;
}

/* Commits, before the group is removed, meanwhile and afterwards. */
static int commit_until_removed(void)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), CGROUPS "/races.%d", getppid());
	do {
		ret = commit(&its_parents);
		atomic_fetch_add(&world->removed, !ret && access(path, F_OK));
	} while (!ret);
	return ret == -ENOENT ? 0 : ret;
}

static int remove_while_committed(const struct cgroup *cgroup)
{
	int ret;
	pid_t pid;

	if (with_child(commit_until_removed, 0, &pid))
		return -EPROTO;
	usleep(draw(5000));
	ret = cgroup_remove(cgroup);
	if (ret)
		kill(pid, SIGKILL);
	return wait_child(pid) ?: ret;
}

static int make_and_remove_cgroup(void)
{
	struct cgroup cgroup;
	int ret, left;
	pid_t pid;

	ret = cgroup_new(&cgroup) ?: rule_new(&its_parents, "races");
	if (ret)
		return ret;
	if (with_child_of(&cgroup, hold_connection_and_leave, draw(2) ? 1 + draw(5000) : 0, &pid))
		return -EPROTO;
	ret = rule_setf(&its_parents, "cgroup", "/races.%d", getpid());
	if (!ret)
		ret = remove_while_committed(&cgroup);
	if (wait_child(pid))
		ret = -EPROTO;
	left = rule_remove(&its_parents);
	return ret ? ret : left;
}

/* It goes on until one has been removed in the middle of a commit. */
static int step_cgroup(void)
{
	int ret;

	do {
		ret = make_and_remove_cgroup();
	} while (!ret && !atomic_load(&world->removed) && !is_over_for_long());
	return ret;
}

static int commit_in_cgroup(void)
{
	return cgroup_enter() ?: step_own_commit();
}

static int wait_frozen(const struct cgroup *cgroup)
{
	if (!WAIT_UNTIL(cgroup_says(cgroup->path, "frozen 1")))
		return -ETIMEDOUT;
	atomic_fetch_add(&world->frozen, cgroup_says(cgroup->path, "populated 1"));
	return 0;
}

/* For a moment, which may be over before the process has come to know. */
static int freeze_group(const struct cgroup *cgroup, const struct rule *rule)
{
	int ret = cgroup_set(cgroup->path, "cgroup.freeze", "1");

	if (!ret && draw(2))
		ret = wait_frozen(cgroup);
	usleep(draw(1000));
	if (!ret && rule)
		ret = commit(rule);
	return ret ?: cgroup_set(cgroup->path, "cgroup.freeze", "0");
}

/* As long as the process is there. */
static int freeze_child(const struct cgroup *cgroup, const struct rule *rule, pid_t pid)
{
	int status = 0, ret = 0;

	while (!ret && !waitpid(pid, &status, WNOHANG)) {
		usleep(draw(3000));
		ret = freeze_group(cgroup, rule);
	}
	return ret ?: status ? -ECHILD : 0;
}

/* A commit, or an owner of what is dropped meanwhile, is none the worse for it. */
static int step_freeze(void)
{
	bool is_owner = draw(2);
	struct cgroup cgroup;
	struct rule rule;
	int ret, left;
	pid_t pid;

	ret = cgroup_new(&cgroup) ?: rule_new(&rule, "races");
	if (!ret)
		ret = rule_setf(&rule, "cgroup", "/races.%d", getpid());
	if (!ret)
		ret = with_child(is_owner ? in_cgroup : commit_in_cgroup, 0, &pid);
	if (!ret)
		ret = freeze_child(&cgroup, is_owner ? &rule : NULL, pid);
	left = cgroup_remove(&cgroup) ?: rule_remove(&rule);
	return ret ?: left;
}

/* What is protected comes and goes; nobody commits this rule. */
static int step_protect(void)
{
	struct rule rule;
	int ret, left;

	ret = rule_new(&rule, "races");
	if (ret)
		return ret;
	ret = rule_setf(&rule, "sport", "%u-%u", 32768 + draw(9000), 50000);
	if (!ret)
		ret = rule_set(&rule, "saddr", TARGETS);
	if (!ret)
		ret = rule_set(&rule, "protect", "yes");
	pause_ms(draw(4));
	if (!ret && draw(2))
		ret = rule_set(&rule, "protect", "no");
	left = rule_remove(&rule);
	return ret ? ret : left;
}

/* A commit, or what comes before and after, that is killed or stopped for a while. */
static int step_kill(void)
{
	pid_t pid;

	if (with_child(step_commit, 0, &pid))
		return -EPROTO;
	usleep(draw(5000));
	kill(pid, SIGSTOP);
	usleep(draw(2000));
	kill(pid, SIGCONT);
	if (draw(2))
		kill(pid, SIGKILL);
	return wait_child(pid);
}

static void on_signal(int signal)
{
}

static int commit_until_interrupted(void)
{
	int ret;

	do {
		ret = commit(&its_parents);
	} while (!ret && !is_over_for_long());
	atomic_fetch_add(&world->interrupted, ret == -EINTR);
	return ret == -EINTR ? 0 : ret;
}

/* A signal comes again and again, until it has met a commit. */
static int step_interrupt(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	int ret, left, status;
	pid_t pid;

	ret = rule_new(&its_parents, "races");
	if (ret)
		return ret;
	/* The child must not be without the handler for a moment. */
	if (sigaction(SIGUSR1, &action, NULL))
		ret = -errno;
	if (!ret)
		ret = rule_set(&its_parents, "daddr", TARGETS) ?:
		      rule_set(&its_parents, "netns", draw(2) ? "self" : "all") ?:
		      with_child(commit_until_interrupted, 0, &pid);
	if (!ret) {
		do {
			usleep(draw(3000));
			kill(pid, SIGUSR1);
		} while (!waitpid(pid, &status, WNOHANG));
		ret = status ? -ECHILD : 0;
	}
	left = rule_remove(&its_parents);
	return ret ?: left;
}

static const struct actor {
	const char *name;
	int (*step)(void);
	int count;
	int protocol;
} everybody[] = {
	{ "connect", step_connect, 3, IPPROTO_TCP },
	{ "connect by MPTCP", step_connect, 2, IPPROTO_MPTCP },
	{ "accept", step_accept, 3, IPPROTO_TCP },
	{ "listen", step_listen, 1, IPPROTO_TCP },
	{ "listen by MPTCP", step_listen, 1, IPPROTO_MPTCP },
	{ "commit", step_commit, 2, IPPROTO_TCP },
	{ "own commit", step_own_commit, 1, IPPROTO_TCP },
	{ "files", step_files, 2, IPPROTO_TCP },
	{ "lines", step_lines, 2, IPPROTO_TCP },
	{ "lines by MPTCP", step_lines, 1, IPPROTO_MPTCP },
	{ "netns", step_netns, 1, IPPROTO_TCP },
	{ "pid", step_pid, 1, IPPROTO_TCP },
	{ "cgroup", step_cgroup, 1, IPPROTO_TCP },
	{ "freeze", step_freeze, 1, IPPROTO_TCP },
	{ "protect", step_protect, 1, IPPROTO_TCP },
	{ "kill", step_kill, 1, IPPROTO_TCP },
	{ "interrupt", step_interrupt, 1, IPPROTO_TCP },
};

/*
 * What follows is done while the module comes and goes. It is away for who is told
 * just these errors, the second of them when it is about to go; and who has one of
 * its files or a rule keeps it.
 */
#define AWAY 1

static int away_or_error(int err, int going)
{
	return err == ENOENT || err == going ? AWAY : -err;
}

/* The less often it can be removed, the more seldom it is used, so that it can. */
static void make_room(void)
{
	pause_ms(draw(1 + atomic_load(&world->in_vain)));
}

static int expect_kept(long unloads)
{
	return atomic_load(&world->unloads) == unloads ? 0 : -ESTALE;
}

static int with_file(const char *path, int flags, int going, int (*work)(int fd))
{
	long unloads;
	int fd, ret;

	make_room();
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return away_or_error(errno, going);
	unloads = atomic_load(&world->unloads);
	ret = work(fd);
	pause_ms(draw(3));
	if (!ret)
		ret = expect_kept(unloads);
	close(fd);
	return ret;
}

static int read_some(int fd)
{
	char text[4096];

	return read(fd, text, 1 + draw(sizeof(text))) < 0 ? -errno : 0;
}

static int use_lines(int fd)
{
	enum family family = draw_family();
	int client = connect_target(family, &draw_listener(family)->end);
	struct ends ends;
	int ret = 0;

	if (draw(2))
		ret = read_some(fd);
	if (!ret && client >= 0 && !ends_of(client, &ends))
		ret = write_line(fd, family, &ends);
	if (client >= 0)
		close(client);
	return ret == -ESRCH || ret == -EBUSY ? 0 : ret;
}

static int open_lines(void)
{
	return with_file(PROC_FILE, O_RDWR, ENXIO, use_lines);
}

static int open_stats(void)
{
	return with_file(RULES_DIR "/stats", O_RDONLY, ENODEV, read_some);
}

static int step_open(void)
{
	int ret = draw(4) ? open_lines() : open_stats();

	return ret == AWAY ? 0 : ret;
}

/* The file of a rule that was removed keeps it, too. */
static int remove_with_file(const struct rule *rule, long unloads)
{
	int fd = rule_open(rule, draw(2) ? "list" : "rule", O_RDONLY);
	int ret = rule_remove(rule);
	char byte;

	if (fd < 0 || ret)
		return fd < 0 ? fd : ret;
	pause_ms(draw(20));
	if (read(fd, &byte, 1) != -1 || errno != ENOENT)
		ret = -EPROTO;
	close(fd);
	return ret ?: expect_kept(unloads);
}

static int use_rule(const struct rule *rule)
{
	int ret = rule_set(rule, draw(2) ? "saddr" : "daddr", TARGETS);
	char *list;

	if (!ret)
		ret = commit(rule);
	if (ret || draw(2))
		return ret;
	list = rule_list(rule);
	ret = list ? 0 : -errno;
	free(list);
	return ret;
}

static int step_rule(void)
{
	struct rule rule;
	long unloads;
	int ret, left;

	make_room();
	ret = rule_new(&rule, "races");
	if (ret)
		return away_or_error(-ret, EINVAL) == AWAY ? 0 : ret;
	unloads = atomic_load(&world->unloads);
	ret = use_rule(&rule);
	if (!ret)
		ret = expect_kept(unloads);
	left = draw(2) ? remove_with_file(&rule, unloads) : rule_remove(&rule);
	return ret ?: left;
}

/* Who has the directory open keeps nothing, and finds nothing in it once it is away. */
static int step_directory(void)
{
	DIR *dir = opendir(RULES_DIR);
	int fd, ret = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	pause_ms(draw(10));
	errno = 0;
	while (readdir(dir))
		;
	if (errno && errno != ENOENT)
		ret = -errno;
	fd = openat(dirfd(dir), "stats", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && away_or_error(errno, ENODEV) != AWAY)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	closedir(dir);
	return ret;
}

static int open_in_namespace(void)
{
	int ret = netns_new() ?: step_open();

	pause_ms(draw(5));
	return ret;
}

/* One that dies with what it has open may do so at any moment. */
static int step_die(void)
{
	int kill_after_us = draw(2) ? 1 + draw(20000) : 0, status;
	pid_t pid;

	if (with_child(draw(2) ? open_in_namespace : step_open, kill_after_us, &pid) ||
	    waitpid(pid, &status, 0) != pid)
		return -EPROTO;
	return status && !(kill_after_us && WIFSIGNALED(status)) ? -ECHILD : 0;
}

static int open_of_removed_rule(const char *attr)
{
	struct rule rule;
	int fd, ret = rule_new(&rule, "races");

	if (ret)
		return ret;
	fd = rule_open(&rule, attr, O_RDONLY);
	ret = rule_remove(&rule);
	return ret ?: fd;
}

/* Whatever the others do, a file that is open is in the way. */
static int unload_in_vain(int fd)
{
	int ret;

	if (fd < 0)
		return -EPROTO;
	ret = module_unload();
	close(fd);
	if (ret != -EWOULDBLOCK)
		return ret ?: -ESTALE;
	atomic_fetch_add(&world->refusals, 1);
	return 0;
}

/* There is nobody else who does, so that it goes at last, if only when all others have ended. */
static int step_unload(void)
{
	int ret;

	ret = unload_in_vain(open(PROC_FILE, O_RDONLY | O_CLOEXEC)) ?:
	      unload_in_vain(open(RULES_DIR "/stats", O_RDONLY | O_CLOEXEC)) ?:
	      unload_in_vain(open_of_removed_rule("list")) ?:
	      unload_in_vain(open_of_removed_rule("rule"));
	if (ret)
		return ret;
	while ((ret = module_unload()) == -EWOULDBLOCK) {
		if (is_over_for_long())
			return -ETIMEDOUT;
		atomic_fetch_add(&world->in_vain, 1);
		atomic_fetch_add(&world->refusals, 1);
		usleep(draw(1000));
	}
	if (ret)
		return ret;
	atomic_fetch_add(&world->unloads, 1);
	atomic_store(&world->in_vain, 0);
	usleep(draw(10000));
	ret = module_load(getenv("TCPDROP_KO"));
	pause_ms(draw(20));
	return ret;
}

static const struct actor who_opens[] = {
	{ "unload", step_unload, 1, IPPROTO_TCP },
	{ "connect", step_connect, 1, IPPROTO_TCP },
	{ "connect by MPTCP", step_connect, 1, IPPROTO_MPTCP },
	{ "accept", step_accept, 1, IPPROTO_TCP },
	{ "open", step_open, 2, IPPROTO_TCP },
	{ "rule", step_rule, 2, IPPROTO_TCP },
	{ "directory", step_directory, 1, IPPROTO_TCP },
	{ "die", step_die, 2, IPPROTO_TCP },
};

static bool can_act(const struct actor *actor)
{
	return actor->protocol == IPPROTO_TCP || world->has_mptcp;
}

/* What it has open, a rule by its process means, so the bystanders are not its own. */
static void act(const struct actor *actor, atomic_long *steps, unsigned int seed,
		const struct pair *bystander)
{
	long done = 0;
	int i, ret = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < BYSTANDERS; i++) {
		close(bystander[i].client);
		close(bystander[i].server);
	}
	drawn = seed;
	protocol = actor->protocol;
	while (!ret && clock_ms() < world->stop_ms) {
		ret = actor->step();
		done++;
	}
	atomic_fetch_add(steps, done);
	if (ret)
		printf("# %s: step %ld: %s\n", actor->name, done, strerror(-ret));
	fflush(stdout);
	_exit(ret ? 1 : 0);
}

static long setting(const char *name, long unset)
{
	const char *text = getenv(name);

	return text ? atol(text) : unset;
}

/* The number after a word of a line of /proc/net/sockstat or its like. */
static long sockstat(const char *path, const char *line, const char *word)
{
	char text[1024], *at;

	if (file_read(path, text, sizeof(text)))
		return -1;
	at = strstr(text, line);
	at = at ? strstr(at, word) : NULL;
	return at ? atol(at + strlen(word)) : -1;
}

/* Of both families together. */
static long tcp_sockstat(const char *word)
{
	return sockstat("/proc/thread-self/net/sockstat", "TCP:", word);
}

static long tcp_inuse(void)
{
	return tcp_sockstat(" inuse ") +
	       sockstat("/proc/thread-self/net/sockstat6", "TCP6:", " inuse ");
}

static int listen_at(int by, enum family family, struct listener *listener)
{
	listener->fd = sock_listen_by(by, family, places[family].listener, 0);
	if (listener->fd < 0)
		return listener->fd;
	return sock_nonblock(listener->fd) ?: end_of(listener->fd, &listener->end);
}

/*
 * A namespace with bystanders.
 */
FIXTURE(races)
{
	struct pair bystander[BYSTANDERS];
	long orphans;
	long inuse;
	struct living living;
};

FIXTURE_SETUP(races)
{
	int i, listener[FAMILIES];
	enum family family;

	REQUIRE_TCPDROP();
	ASSERT_NE(NULL, getenv("TCPDROP_KO")) {
		TH_LOG("TCPDROP_KO does not say where the module is");
	}
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, add_places());
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	ASSERT_NE(MAP_FAILED, world);
	for (family = 0; family < FAMILIES; family++) {
		listener[family] = sock_listen(family, places[family].listener, 0);
		ASSERT_LE(0, listener[family]);
	}
	for (i = 0; i < BYSTANDERS; i++) {
		family = i % FAMILIES;
		ASSERT_EQ(0, sock_pair(listener[family], family, places[family].bystander, 0,
				       &self->bystander[i]));
	}
	world->has_mptcp = kernel_has_mptcp();
	for (family = 0; family < FAMILIES; family++) {
		close(listener[family]);
		ASSERT_EQ(0, listen_at(IPPROTO_TCP, family, &world->listener[TCP][family]));
		world->listener[MPTCP][family].fd = -1;
		if (world->has_mptcp)
			ASSERT_EQ(0, listen_at(IPPROTO_MPTCP, family,
					       &world->listener[MPTCP][family]));
	}
	self->orphans = tcp_sockstat(" orphan ");
	self->inuse = tcp_inuse();
	ASSERT_EQ(0, living_read(&self->living));
	if (self->living.nets < 0)
		TH_LOG("this kernel does not say what is in memory");
}

FIXTURE_TEARDOWN(races)
{
	if (!tcpdrop_loaded())
		module_load(getenv("TCPDROP_KO"));
}

static bool all_talk(const struct pair *pair)
{
	int i;

	for (i = 0; i < BYSTANDERS; i++)
		if (!sock_talks(pair[i].client, pair[i].server))
			return false;
	return true;
}

/* Whoever is left of the targets goes. */
static bool sweep(void)
{
	const struct listener *all = &world->listener[0][0];
	struct rule rule;
	bool clean;
	int fd, i;

	for (i = 0; i < PROTOCOLS * FAMILIES; i++)
		while ((fd = accept4(all[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			close(fd);
	if (rule_new(&rule, "races"))
		return false;
	clean = !rule_set(&rule, "saddr", TARGETS) && !rule_commit(&rule) &&
		!rule_set(&rule, "saddr", "any") && !rule_set(&rule, "daddr", TARGETS) &&
		!rule_commit(&rule);
	return !rule_remove(&rule) && clean;
}

/* What is counted in all namespaces together others may have less of, but not more. */
static bool nothing_is_left(const FIXTURE_DATA(races) * self)
{
	struct living now;

	return sweep() && tcp_sockstat(" tw ") == 0 && tcp_sockstat(" orphan ") <= self->orphans &&
	       tcp_inuse() == self->inuse && !living_read(&now) &&
	       now.nets <= self->living.nets && now.socks <= self->living.socks;
}

static bool has_ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/* They all begin, and all end when their time is over. */
static void storm(struct __test_metadata *_metadata, FIXTURE_DATA(races) * self,
		  const struct actor *actors, size_t nr, long seconds)
{
	long seed = setting("TCPDROP_SEED", 1);
	const struct actor *who[64];
	int i, count = 0, status;
	pid_t pid[64];
	size_t a;

	TH_LOG("TCPDROP_SEED=%ld, %ld seconds", seed, seconds);
	for (a = 0; a < nr; a++)
		if (!can_act(&actors[a]))
			TH_LOG("%s: this kernel has no MPTCP", actors[a].name);
	fflush(stdout);
	world->stop_ms = clock_ms() + seconds * 1000;
	for (a = 0; a < nr; a++) {
		for (i = 0; i < actors[a].count && can_act(&actors[a]); i++) {
			who[count] = &actors[a];
			pid[count] = fork();
			ASSERT_LE(0, pid[count]);
			if (!pid[count])
				act(&actors[a], &world->steps[a], seed * 1000 + count + 1,
				    self->bystander);
			count++;
		}
	}
	for (i = 0; i < count; i++) {
		/* What an actor waits for itself may be late as well. */
		EXPECT_TRUE(WAIT_FOR_MS(has_ended(pid[i], &status),
					seconds * 1000 + 2 * DEADLINE_MS)) {
			TH_LOG("%s does not end", who[i]->name);
			kill(pid[i], SIGKILL);
			waitpid(pid[i], &status, 0);
		}
		EXPECT_EQ(0, status) {
			TH_LOG("%s", who[i]->name);
		}
	}
	for (a = 0; a < nr; a++)
		EXPECT_EQ(can_act(&actors[a]), atomic_load(&world->steps[a]) > 0) {
			TH_LOG("%s", actors[a].name);
		}
}

static void expect_nothing_is_left(struct __test_metadata *_metadata, FIXTURE_DATA(races) * self)
{
	struct living now;

	EXPECT_TRUE(all_talk(self->bystander));
	ASSERT_TRUE(tcpdrop_loaded());
	/* MPTCP keeps what is closed for up to a minute. */
	EXPECT_TRUE(WAIT_FOR_MS(nothing_is_left(self), 2 * DEADLINE_MS)) {
		TH_LOG("inuse %ld, was %ld, orphan %ld, was %ld, tw %ld",
		       tcp_inuse(), self->inuse, tcp_sockstat(" orphan "),
		       self->orphans, tcp_sockstat(" tw "));
	}
	EXPECT_EQ(0, living_read(&now));
	TH_LOG("in memory %ld namespaces, there were %ld, and %ld sockets, there were %ld",
	       now.nets, self->living.nets, now.socks, self->living.socks);
	EXPECT_TRUE(all_talk(self->bystander));
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(getenv("TCPDROP_KO")));
}

TEST_F_TIMEOUT(races, leave_the_bystanders_and_nothing_else, 3600)
{
	struct rule rule;
	int i;

	storm(_metadata, self, everybody, ARRAY_LEN(everybody),
	      setting("TCPDROP_SECONDS", SECONDS));

	EXPECT_LT(0, atomic_load(&world->commits));
	EXPECT_LT(0, atomic_load(&world->dropped));
	for (i = 0; i < FAMILIES; i++)
		EXPECT_LT(0, atomic_load(&world->lines[i]));
	EXPECT_LT(0, atomic_load(&world->listed));
	EXPECT_LT(0, atomic_load(&world->frozen));
	EXPECT_LT(0, atomic_load(&world->removed));
	EXPECT_LT(0, atomic_load(&world->interrupted));
	TH_LOG("%ld commits, %ld dropped, %ld, %ld and %ld lines, %ld times frozen",
	       atomic_load(&world->commits), atomic_load(&world->dropped),
	       atomic_load(&world->lines[IPV4]), atomic_load(&world->lines[IPV6]),
	       atomic_load(&world->lines[DUAL]), atomic_load(&world->frozen));
	TH_LOG("%ld cgroups removed and %ld signals come in a commit",
	       atomic_load(&world->removed), atomic_load(&world->interrupted));
	for (i = 0; i < NAMES; i++) {
		rule_by_number(&rule, i);
		EXPECT_TRUE(!rmdir(rule.path) || errno == ENOENT);
	}
	expect_nothing_is_left(_metadata, self);
}

TEST_F_TIMEOUT(races, leave_the_module_to_come_and_go, 3600)
{
	storm(_metadata, self, who_opens, ARRAY_LEN(who_opens),
	      (setting("TCPDROP_SECONDS", SECONDS) + 2) / 3);

	EXPECT_LT(0, atomic_load(&world->unloads));
	EXPECT_LT(0, atomic_load(&world->refusals));
	TH_LOG("unloaded %ld times, refused %ld times, %ld commits, %ld dropped",
	       atomic_load(&world->unloads), atomic_load(&world->refusals),
	       atomic_load(&world->commits), atomic_load(&world->dropped));
	expect_nothing_is_left(_metadata, self);
}

TEST_HARNESS_MAIN
