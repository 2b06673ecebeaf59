// SPDX-License-Identifier: GPL-2.0
/*
 * Rules for once: lines of /proc/net/tcp_drop whose first word has a "=".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_stuck.h"

#define LINE_MAX 4094

/* One write(2) of @len bytes: 0, or a negative errno. */
static int put_bytes(const char *text, size_t len)
{
	int fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = errno ? -errno : -EIO;
	close(fd);
	return ret;
}

static int put(const char *text)
{
	return put_bytes(text, strlen(text));
}

static int putf(const char *fmt, ...)
{
	char text[16384];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return put(text);
}

/* What of a rule means this connection alone. */
static const char *ports_of(const struct conn *conn, char *text, size_t size)
{
	snprintf(text, size, "sport=%u dport=%u", conn->ends.local.port,
		 conn->ends.remote.port);
	return text;
}

FIXTURE(once)
{
	struct conn conn;
	struct conn bystander;
	char ports[64];
};

FIXTURE_VARIANT(once)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(once, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(once, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(once, dual) { .family = DUAL };

FIXTURE_SETUP(once)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	ports_of(&self->conn, self->ports, sizeof(self->ports));
}

FIXTURE_TEARDOWN(once)
{
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
}

static bool stands(const struct conn *conn)
{
	return sock_talks(conn->fd, conn->peer);
}

/* The rule's own selectors beside the ports, for each attribute that a line can have. */
static const char * const taken[] = {
	"state=established", "state=ESTAB,!TIME_WAIT", "state=all", "dev=!nonesuch", "mark=0",
	"mark=!0x7/0xff", "congestion=!nonesuch", "ulp=!nonesuch", "idle=0", "idle=0ms",
	"retrans=0", "sendq=0", "recvq=0", "orphan=no", "max=0", "max=1", "port=1-65535,!1",
	"reset=no", "reset=yes", "saddr=0.0.0.0/0,::/0", "daddr=any",
	"daddr=!192.0.2.0/24,!2001:db8:f00d::/48",
};

TEST_F(once, drops_what_matches_all_attributes_in_any_order)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(taken); i++) {
		EXPECT_EQ(0, putf(i % 2 ? "%2$s %1$s\n" : "%1$s\t %2$s \r\n", self->ports,
				  taken[i])) TH_LOG("%u", i);
		EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd)) TH_LOG("%u", i);
		EXPECT_FALSE(ends_in_table(&self->conn.ends));
		conn_close(&self->conn);
		ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
		ports_of(&self->conn, self->ports, sizeof(self->ports));
	}
}

static const char * const no_match[] = {
	"state=time-wait", "state=listen", "dev=nonesuch", "mark=7", "congestion=nonesuch",
	"ulp=nonesuch", "idle=1d", "retrans=1", "sendq=1", "recvq=1", "orphan=yes", "port=1",
	"port=!1-65535", "saddr=192.0.2.77", "daddr=192.0.2.77,2001:db8::77",
};

TEST_F(once, leaves_what_one_attribute_does_not_match)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(no_match); i++)
		EXPECT_EQ(-ESRCH, putf("%s %s\n", no_match[i], self->ports))
			TH_LOG("%u", i);
	EXPECT_TRUE(stands(&self->conn));
}

TEST_F(once, drops_connections_of_every_kind)
{
	enum kind kind;

	for (kind = 0; kind < KINDS; kind++) {
		conn_close(&self->conn);
		ASSERT_EQ(0, conn_make(&self->conn, kind, variant->family));
		ports_of(&self->conn, self->ports, sizeof(self->ports));
		EXPECT_EQ(0, putf("%s state=%s\n", self->ports, state_name(conn_state(kind))))
			TH_LOG("%d", kind);
		EXPECT_FALSE(ends_in_table(&self->conn.ends)) TH_LOG("%d", kind);
		EXPECT_EQ(-ESRCH, putf("%s state=all\n", self->ports)) TH_LOG("%d", kind);
	}
}

/* Each beside what matches. */
static const char * const malformed[] = {
	"foo=1", "Sport=1", "sports=1", "=1", "=", "sport", "x", "state", "netns=self",
	"netns=all", "netns=any", "uid=0", "pid=1", "pid=any", "cgroup=/", "kernel=yes",
	"kernel=no", "rate=1", "protect=yes", "protect=no", "commit=1", "count=1", "list=1",
	"last_error=x", "state=", "state=bogus", "state=all,", "state=,all", "state=+",
	"state=all=all", "daddr=", "daddr=x", "daddr=1.2.3", "daddr=1.2.3.4/33", "port=0",
	"port=65536", "port=2-1", "port=80x", "max=x", "max=-1", "max=", "mark=x", "orphan=maybe",
	"reset=maybe", "idle=5w", "retrans=x", "sendq=1k", "congestion=",
	"dev=averyveryverylongname",
	"state =all", "state= all", "state=all;", "state=all #", "# state=all",
};

TEST_F(once, refuses_whatever_is_wrong_with_a_line)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(malformed); i++) {
		EXPECT_EQ(-EINVAL, putf("%s %s\n", self->ports, malformed[i]))
			TH_LOG("%s", malformed[i]);
		EXPECT_EQ(-EINVAL, putf("max=9 %s %s\n", malformed[i], self->ports))
			TH_LOG("%s", malformed[i]);
	}
	EXPECT_TRUE(stands(&self->conn));
}

TEST_F(once, refuses_an_attribute_twice)
{
	unsigned int i;

	EXPECT_EQ(-EINVAL, putf("%1$s %1$s\n", self->ports));
	for (i = 0; i < ARRAY_LEN(taken); i++)
		EXPECT_EQ(-EINVAL, putf("%2$s %1$s %2$s\n", self->ports, taken[i]))
			TH_LOG("%u", i);
	EXPECT_TRUE(stands(&self->conn));
}

TEST_F(once, refuses_a_line_that_selects_nothing)
{
	EXPECT_EQ(-EINVAL, put("max=5\n"));
	EXPECT_EQ(-EINVAL, put("max=0\n"));
	EXPECT_EQ(-EINVAL, put("state=any\n"));
	EXPECT_EQ(-EINVAL, put("daddr=any saddr=any max=0\n"));
	EXPECT_TRUE(stands(&self->conn));
}

TEST_F(once, refuses_a_NUL_anywhere)
{
	char line[128];
	int i, len;

	for (i = 0; i <= strlen(self->ports); i++) {
		len = snprintf(line, sizeof(line), "%s\n", self->ports);
		memmove(line + i + 1, line + i, len - i);
		line[i] = '\0';
		EXPECT_EQ(-EINVAL, put_bytes(line, len + 1)) TH_LOG("%d", i);
	}
	EXPECT_TRUE(stands(&self->conn));
}

/* What is commented out is not carried out, however it is indented. */
TEST_F(once, is_no_comment)
{
	EXPECT_EQ(0, putf("#%s\n", self->ports));
	EXPECT_EQ(0, putf(" \t# %s\n", self->ports));
	EXPECT_TRUE(stands(&self->conn));
	EXPECT_EQ(0, putf(" \t %s\n", self->ports));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

TEST_F(once, drops_none_if_more_match_than_max)
{
	struct conn other;

	ASSERT_EQ(0, conn_make(&other, ESTABLISHED, variant->family));
	EXPECT_EQ(-E2BIG, putf("max=1 sport=%u,%u dport=%u,%u\n", self->conn.ends.local.port,
			       other.ends.local.port, self->conn.ends.remote.port,
			       other.ends.remote.port));
	EXPECT_TRUE(stands(&self->conn));
	EXPECT_TRUE(stands(&other));
	EXPECT_EQ(0, putf("max=2 sport=%u,%u dport=%u,%u\n", self->conn.ends.local.port,
			  other.ends.local.port, self->conn.ends.remote.port,
			  other.ends.remote.port));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	EXPECT_FALSE(ends_in_table(&other.ends));
}

TEST_F(once, tells_that_nothing_matches)
{
	EXPECT_EQ(0, putf("%s\n", self->ports));
	EXPECT_EQ(-ESRCH, putf("%s\n", self->ports));
	EXPECT_EQ(-ESRCH, put("state=closing\n"));
}

/* A listener goes only where the line says so. */
TEST_F(once, means_a_listener_by_its_state_alone)
{
	enum family family = variant->family == IPV6 ? IPV6 : IPV4;
	struct end end;
	int fd;

	/* No port that the kernel could have given to an end of a connection. */
	fd = sock_listen(family, family == IPV6 ? "::1" : "127.0.0.1", 7000);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, end_of(fd, &end));
	EXPECT_EQ(-ESRCH, putf("sport=%u\n", end.port));
	EXPECT_EQ(-ESRCH, putf("sport=%u state=all\n", end.port));
	EXPECT_EQ(0, putf("sport=%u state=listen\n", end.port));
	EXPECT_EQ(-ESRCH, putf("sport=%u state=listen\n", end.port));
}

/* Several lines */

/* The name of a process, with newlines, as ss has it. */
TEST_F(once, is_not_found_in_the_names_that_a_listing_has)
{
	char line[256];

	ends_print(&self->conn.ends, conn_state(ESTABLISHED), line, sizeof(line));
	EXPECT_EQ(-EINVAL, putf("ESTAB 0 0 %.*s users:((\"\nstate=all\n\",pid=7,fd=3))\n",
				(int)strcspn(line, "E"), line));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	EXPECT_EQ(-EINVAL, put("u_str LISTEN 0 128 @\nstate=all\n 7 * 0\n"));
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
	EXPECT_EQ(0, putf("sport=%u\n", self->bystander.ends.local.port));
	conn_close(&self->bystander);
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, variant->family));
}

TEST_F(once, stands_among_other_lines)
{
	char line[256];

	ends_print(&self->conn.ends, conn_state(ESTABLISHED), line, sizeof(line));
	EXPECT_EQ(0, putf("# first\n\nLocal Address Peer Address\n%s max=1\n%s\n", self->ports,
			  line));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	EXPECT_EQ(0, putf("%s\n%s\n", self->ports, self->ports));
	EXPECT_EQ(0, putf("%s\n%s\n", line, self->ports));
}

TEST_F(once, is_carried_out_beside_malformed_lines)
{
	EXPECT_EQ(-EINVAL, putf("foo=1\n%s\nstate=bogus\n", self->ports));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

TEST_F(once, beside_one_that_matches_more_than_max_is_carried_out)
{
	EXPECT_EQ(-E2BIG, putf("state=all max=1\n%s\nsport=1\n", self->ports));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	EXPECT_EQ(-EINVAL, putf("state=all max=1\nfoo=1\n"));
}

/* Pieces */

TEST_F(once, cut_anywhere_is_one_line)
{
	char line[128];
	size_t cut, len;
	int fd;

	for (cut = 0; cut <= strlen(self->ports) + 1; cut++) {
		len = snprintf(line, sizeof(line), "%s\n", self->ports);
		cut = cut < len ? cut : len;
		fd = open(PROC_FILE, O_WRONLY);
		ASSERT_LE(0, fd);
		EXPECT_EQ(cut, write(fd, line, cut));
		EXPECT_EQ(cut != len, ends_in_table(&self->conn.ends)) TH_LOG("%zu", cut);
		EXPECT_EQ(len - cut, write(fd, line + cut, len - cut));
		EXPECT_FALSE(ends_in_table(&self->conn.ends)) TH_LOG("%zu", cut);
		close(fd);
		conn_close(&self->conn);
		ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
		ports_of(&self->conn, self->ports, sizeof(self->ports));
	}
}

TEST_F(once, without_a_newline_is_carried_out_at_its_writers_close)
{
	int fd = open(PROC_FILE, O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(strlen(self->ports), write(fd, self->ports, strlen(self->ports)));
	EXPECT_TRUE(stands(&self->conn));
	close(fd);
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

TEST_F(once, broken_off_by_a_signal_is_not_carried_out)
{
	int ready[2], status;
	pid_t pid;
	char byte;
	int fd;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = open(PROC_FILE, O_WRONLY);
		if (write(fd, self->ports, strlen(self->ports)) < 0 ||
		    write(ready[1], "x", 1) < 0)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(stands(&self->conn));
}

/* Lengths */

/* A line of @len bytes that means the connection, by a list of which most means nothing. */
static char *long_line(const struct conn *conn, size_t len)
{
	char *line = malloc(len + 2);
	size_t at;

	at = sprintf(line, "sport=%u dport=%u", conn->ends.local.port, conn->ends.remote.port);
	while (at + 4 <= len)
		at += sprintf(line + at, ",1-9");
	memset(line + at, ' ', len - at);
	strcpy(line + len, "\n");
	return line;
}

TEST_F(once, has_up_to_4094_bytes)
{
	static const size_t lengths[] = { 255, 256, 257, 258, 511, 512, 4000, 4093, LINE_MAX };
	unsigned int i, piece;
	size_t at, len;
	char *line;
	int fd;

	for (i = 0; i < ARRAY_LEN(lengths) * 2; i++) {
		len = lengths[i / 2];
		piece = i % 2 ? 100 : 65536;
		line = long_line(&self->conn, len++);
		fd = open(PROC_FILE, O_WRONLY);
		ASSERT_LE(0, fd);
		for (at = 0; at < len; at += piece) {
			EXPECT_TRUE(ends_in_table(&self->conn.ends));
			EXPECT_LT(0, write(fd, line + at, len - at < piece ? len - at : piece))
				TH_LOG("%zu: %s", len, strerror(errno));
		}
		EXPECT_FALSE(ends_in_table(&self->conn.ends)) TH_LOG("%zu", len);
		close(fd);
		free(line);
		conn_close(&self->conn);
		ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	}
}

TEST_F(once, of_more_bytes_is_malformed)
{
	char *line;
	size_t len;

	for (len = LINE_MAX + 1; len < 70000; len = len * 2) {
		line = long_line(&self->conn, len);
		EXPECT_EQ(-EINVAL, put(line)) TH_LOG("%zu", len);
		line[len] = '\0';
		EXPECT_EQ(0, put(line)) TH_LOG("%zu", len);
		EXPECT_TRUE(stands(&self->conn));
		free(line);
	}
}

/* What follows such a line is as good as ever. */
TEST_F(once, follows_one_that_was_too_long)
{
	char *line = long_line(&self->conn, 5000);

	EXPECT_EQ(-EINVAL, putf("%smax=3 %s\n", line, self->ports));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
	free(line);
}

TEST_F(once, gives_no_other_line_its_length)
{
	char line[400], text[300];
	int len;

	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ends_print(&self->conn.ends, conn_state(ESTABLISHED), line, sizeof(line));
	len = strlen(line);
	EXPECT_EQ(-EINVAL, putf("%s%.*s\n", line, 257 - len, text));
	EXPECT_EQ(-EINVAL, putf("x %.*ssport=1\n", 280, text));
	EXPECT_EQ(-EINVAL, putf("#%.*ssport=1\n", 280, text));
	EXPECT_TRUE(stands(&self->conn));
	EXPECT_EQ(0, putf("%s%.*s\n", line, 256 - len, text));
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

/* Who and where */

TEST_F(once, is_about_the_namespace_of_the_file)
{
	int there[2], back[2];
	struct conn conn;
	char byte;
	pid_t pid;
	int fd;

	ASSERT_EQ(0, pipe(there));
	ASSERT_EQ(0, pipe(back));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (conn_setup() || conn_make(&conn, ESTABLISHED, variant->family))
			_exit(1);
		byte = read(back[0], &byte, write(there[1], "x", 1)) != 1 || !stands(&conn);
		_exit(byte);
	}
	ASSERT_EQ(1, read(there[0], &byte, 1));

	/* The writer is in another namespace than the file, too. */
	fd = open(PROC_FILE, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	EXPECT_LT(0, write(fd, "state=all max=4\n", 16)) TH_LOG("%s", strerror(errno));
	close(fd);
	EXPECT_FALSE(stands(&self->conn));
	EXPECT_FALSE(stands(&self->bystander));

	ASSERT_EQ(1, write(back[1], "x", 1));
	EXPECT_EQ(0, rule_commit_end(pid));

	/* It is no bystander here. */
	conn_close(&self->bystander);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, variant->family));
}

/* Root of a user namespace and of a network namespace in it. */
static int container_main(void)
{
	struct conn conn;

	if (unshare(CLONE_NEWUSER) || file_write("/proc/self/setgroups", "deny") ||
	    file_write("/proc/self/uid_map", "0 0 1") ||
	    file_write("/proc/self/gid_map", "0 0 1"))
		return 1;
	if (conn_setup() || conn_make(&conn, ESTABLISHED, IPV4))
		return 2;
	if (put("state=all kernel=yes\n") != -EINVAL || put("state=all netns=all\n") != -EINVAL)
		return 3;
	if (!stands(&conn))
		return 4;
	if (put("state=all max=1\n") != -E2BIG || put("state=established\n"))
		return 5;
	if (ends_in_table(&conn.ends))
		return 6;
	return put("state=established\n") == -ESRCH ? 0 : 7;
}

TEST_F(once, is_for_containers)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(container_main());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status >> 8);
	EXPECT_EQ(0, status & 0x7f);
	EXPECT_TRUE(stands(&self->conn));
}

TEST_F(once, needs_the_capability_when_it_is_written)
{
	int status, fd;
	pid_t pid;

	fd = open(PROC_FILE, O_WRONLY);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (user_become(65534))
			_exit(2);
		_exit(write(fd, "state=all\n", 10) >= 0 || errno != EPERM);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(fd);
	EXPECT_TRUE(stands(&self->conn));
}

/* Owners that are stuck */

static long stat_of(const char *name)
{
	char *text = file_read_all("/sys/kernel/config/tcpdrop/stats");
	size_t len = strlen(name);
	char *line = text;
	long value = -1;

	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			value = strtol(line + len, NULL, 10);
	}
	free(text);
	return value;
}

FIXTURE(once_stuck)
{
	struct conn stuck;
	struct conn idle;
	struct conn bystander;
	struct sender sender;
	char line[128];
	int faults;
};

FIXTURE_SETUP(once_stuck)
{
	char *page;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->stuck, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->idle, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	self->faults = stuck_pages(&page, 1);
	ASSERT_LE(0, self->faults);
	ASSERT_EQ(0, sender_start(&self->sender, self->stuck.fd, page, self->faults));
	snprintf(self->line, sizeof(self->line), "sport=%u,%u dport=%u,%u\n",
		 self->stuck.ends.local.port, self->idle.ends.local.port,
		 self->stuck.ends.remote.port, self->idle.ends.remote.port);
}

FIXTURE_TEARDOWN(once_stuck)
{
	EXPECT_EQ(0, sender_let_go(&self->sender, self->faults));
	EXPECT_TRUE(stands(&self->bystander));
}

TEST_F(once_stuck, are_told_of_and_hold_up_no_other)
{
	long lines = stat_of("lines"), dropped = stat_of("dropped"), failed = stat_of("failed");
	long commits = stat_of("commits");

	EXPECT_EQ(-EBUSY, put(self->line));
	EXPECT_EQ(ECONNABORTED, sock_error(self->idle.fd));
	EXPECT_TRUE(ends_in_table(&self->stuck.ends));
	EXPECT_EQ(lines + 1, stat_of("lines"));
	EXPECT_EQ(dropped + 1, stat_of("dropped"));
	EXPECT_EQ(failed + 1, stat_of("failed"));
	EXPECT_EQ(commits, stat_of("commits"));
}

TEST_F(once_stuck, are_told_of_among_several_lines)
{
	char text[512];

	snprintf(text, sizeof(text), "sport=1\n%s# last\n", self->line);
	EXPECT_EQ(-EBUSY, put(text));
	EXPECT_EQ(ECONNABORTED, sock_error(self->idle.fd));
	EXPECT_TRUE(ends_in_table(&self->stuck.ends));
}

static void on_alarm(int signal)
{
}

/* One signal after another, of which the first may come too early. */
TEST_F(once_stuck, are_not_waited_for_after_a_signal)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = {
		.it_value = { .tv_usec = 100000 }, .it_interval = { .tv_usec = 100000 },
	};

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(-EINTR, put(self->line));
	memset(&often, 0, sizeof(often));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_TRUE(ends_in_table(&self->stuck.ends));
}

/* Who is told that it was short writes the rest, and hears of all of it then, once. */
TEST_F(once_stuck, are_among_lines_of_which_a_write_that_was_cut_short_tells_later)
{
	static const char wrong[] = "127.0.0.1:8x 127.0.0.1:80\n", nothing[] = "dport=9\n";
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = {
		.it_value = { .tv_usec = 100000 }, .it_interval = { .tv_usec = 100000 },
	};
	int fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	char text[512];

	ASSERT_LE(0, fd);
	snprintf(text, sizeof(text), "%s%s", wrong, self->line);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(strlen(wrong), write(fd, text, strlen(text)));
	memset(&often, 0, sizeof(often));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(-1, write(fd, nothing, strlen(nothing)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, nothing, strlen(nothing)));
	EXPECT_EQ(ESRCH, errno);
	close(fd);
}

/* What people do with loops around ss and awk, a line each. */

struct ask {
	const char *line;
	bool waits;	/* the server's end is in TIME_WAIT */
};

static const struct ask asks[] = {
	{ "daddr=127.0.113.9", false },
	{ "daddr=127.0.113.9 dport=3333", false },
	{ "sport=3333 state=time-wait", true },
	{ "daddr=127.0.113.9 sport=3333 state=time-wait", true },
	{ "daddr=127.0.113.9 dport=3333 sport=51111", false },
};

TEST(asks_for_one_end_in_one_line)
{
	const struct ask *ask;
	struct ends target;
	struct pair pair, bystander;
	int listener, other;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	other = sock_listen(IPV4, "127.0.0.1", 4444);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, sock_pair(other, IPV4, "127.0.0.2", 0, &bystander));
	for (ask = asks; ask < asks + ARRAY_LEN(asks); ask++) {
		listener = sock_listen(IPV4, ask->waits ? "127.0.0.1" : "127.0.113.9", 3333);
		ASSERT_LE(0, listener);
		ASSERT_EQ(0, sock_pair(listener, IPV4, ask->waits ? "127.0.113.9" : "127.0.0.1",
				       51111, &pair));
		target = ask->waits ? ends_swap(&pair.ends) : pair.ends;
		if (ask->waits)
			ASSERT_EQ(0, sock_finish(pair.server, pair.client));
		EXPECT_TRUE(WAIT_UNTIL(ends_in_table(&target)));
		EXPECT_EQ(0, putf("%s\n", ask->line)) TH_LOG("%s", ask->line);
		EXPECT_FALSE(ends_in_table(&target)) TH_LOG("%s", ask->line);
		EXPECT_EQ(-ESRCH, putf("%s\n", ask->line)) TH_LOG("%s", ask->line);
		if (!ask->waits) {
			close(pair.client);
			close(pair.server);
		}
		close(listener);
	}
	EXPECT_TRUE(sock_talks(bystander.client, bystander.server));
}

TEST_HARNESS_MAIN
