// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/net/tcp_drop as programs use it: every kind of connection, writes that
 * are cut, interrupted or broken off, reads that go back, and files that
 * keep their namespace and the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

/* The line of a connection, as the listing has it. */
static const char *line_of(const struct conn *conn, char *line, size_t size)
{
	ends_print(&conn->ends, conn_state(conn->kind), line, size - 1);
	strcat(line, "\n");
	return line;
}

/* One write(2): 0, or a negative errno. */
static int put(const char *text)
{
	size_t len = strlen(text);
	int fd = open(PROC_FILE, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = errno ? -errno : -EIO;
	close(fd);
	return ret;
}

/* How often a line is in the listing. */
static int count_lines(const char *line)
{
	char *text = file_read_all(PROC_FILE);
	const char *p = text;
	int count = 0;

	for (; p && (p = strstr(p, line)); p++)
		count += p == text || p[-1] == '\n';
	free(text);
	return count;
}

FIXTURE(line)
{
	struct conn conn;
	struct conn bystander;
	char text[256];
};

FIXTURE_VARIANT(line)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(line, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(line, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(line, dual) { .family = DUAL };

FIXTURE_SETUP(line)
{
	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, variant->family));
}

FIXTURE_TEARDOWN(line)
{
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
}

TEST_F(line, of_every_kind_is_listed_and_drops_it_once)
{
	enum kind kind;

	for (kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, conn_make(&self->conn, kind, variant->family));
		line_of(&self->conn, self->text, sizeof(self->text));
		EXPECT_EQ(1, count_lines(self->text)) TH_LOG("%d: %s", kind, self->text);
		EXPECT_EQ(0, put(self->text)) TH_LOG("%d: %s", kind, self->text);
		EXPECT_FALSE(ends_in_table(&self->conn.ends));
		EXPECT_EQ(-ESRCH, put(self->text)) TH_LOG("%d: %s", kind, self->text);
		if (conn_is_owned(kind))
			EXPECT_EQ(ECONNABORTED, sock_error(self->conn.fd));
		conn_close(&self->conn);
	}
}

TEST_F(line, cut_anywhere_drops)
{
	size_t cut, len;
	int fd;

	for (cut = 0; cut < 16; cut++) {
		ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
		line_of(&self->conn, self->text, sizeof(self->text));
		len = strlen(self->text);
		fd = open(PROC_FILE, O_WRONLY);
		ASSERT_LE(0, fd);
		EXPECT_EQ(len * cut / 15, write(fd, self->text, len * cut / 15));
		EXPECT_EQ(cut != 15, ends_in_table(&self->conn.ends));
		EXPECT_EQ(len - len * cut / 15,
			  write(fd, self->text + len * cut / 15, len - len * cut / 15));
		EXPECT_FALSE(ends_in_table(&self->conn.ends));
		close(fd);
		conn_close(&self->conn);
	}
}

/* A writer that a signal kills has written a piece of a line, perhaps. */
TEST_F(line, broken_off_by_a_signal_is_not_carried_out)
{
	int ready[2], status;
	pid_t pid;
	char byte;
	int fd;

	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	line_of(&self->conn, self->text, sizeof(self->text));
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = open(PROC_FILE, O_WRONLY);
		if (write(fd, self->text, strlen(self->text) - 1) < 0 ||
		    write(ready[1], "x", 1) < 0)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kill(pid, SIGTERM));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = open(PROC_FILE, O_WRONLY);
		_exit(write(fd, self->text, strlen(self->text) - 1) < 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

TEST_F(line, with_a_zone_means_the_same)
{
	char local[64], remote[64];

	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	end_addr(&self->conn.ends.local, local, sizeof(local));
	end_addr(&self->conn.ends.remote, remote, sizeof(remote));
	if (variant->family == IPV6)
		snprintf(self->text, sizeof(self->text), "[%s]%%eth0:%d\t[%s%%lo]:%d\n",
			 local, self->conn.ends.local.port,
			 remote, self->conn.ends.remote.port);
	else
		snprintf(self->text, sizeof(self->text), "%s%%eth0:%d %s%%lo:%d\n",
			 local, self->conn.ends.local.port,
			 remote, self->conn.ends.remote.port);
	EXPECT_EQ(0, put(self->text)) TH_LOG("%s", self->text);
	EXPECT_FALSE(ends_in_table(&self->conn.ends));
}

#define MANY 60

FIXTURE(many)
{
	struct conn conn[MANY];
};

FIXTURE_SETUP(many)
{
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, i % 2 ? IPV4 : IPV6));
}

FIXTURE_TEARDOWN(many)
{
}

TEST_F(many, are_listed_again_from_the_start)
{
	char first[4096], again[4096], rest[64];
	int fd, len;

	fd = open(PROC_FILE, O_RDONLY);
	ASSERT_LE(0, fd);
	len = read(fd, first, sizeof(first));
	ASSERT_LT(1000, len);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(len, read(fd, again, sizeof(again)));
	EXPECT_EQ(0, memcmp(first, again, len));
	EXPECT_EQ(sizeof(rest), pread(fd, rest, sizeof(rest), 700));
	EXPECT_EQ(0, memcmp(first + 700, rest, sizeof(rest)));
	EXPECT_EQ(sizeof(rest), pread(fd, rest, sizeof(rest), 7));
	EXPECT_EQ(0, memcmp(first + 7, rest, sizeof(rest)));
	close(fd);
}

/* A file that is both read and written does not lose its place by the writes. */
TEST_F(many, are_dropped_as_they_are_read)
{
	char buf[8192], *line;
	FILE *in;
	int fd, n = 0;

	fd = open(PROC_FILE, O_RDWR);
	ASSERT_LE(0, fd);
	in = fdopen(dup(fd), "r");
	ASSERT_NE(NULL, in);
	setvbuf(in, buf, _IOFBF, 100);
	line = malloc(256);
	while (fgets(line, 256, in)) {
		n++;
		if (write(fd, line, strlen(line)) < 0)
			EXPECT_EQ(ESRCH, errno);
	}
	EXPECT_LE(MANY, n);
	free(line);
	fclose(in);
	close(fd);
	line = file_read_all(PROC_FILE);
	EXPECT_STREQ("", line);
	free(line);
}

static void on_alarm(int signal)
{
}

/* What a signal leaves undone the caller is told by the count. */
TEST_F(many, writes_tell_how_far_they_came_when_a_signal_comes)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = {
		.it_value = { .tv_usec = 20000 }, .it_interval = { .tv_usec = 20000 },
	};
	struct itimerval never = {};
	size_t lines = 2000000, size = lines * 20, i;
	char *text = malloc(size + 256);
	ssize_t ret;
	int fd;

	ASSERT_NE(NULL, text);
	for (i = 0; i < lines; i++)
		memcpy(text + 20 * i, "1.9.9.9:1 1.9.9.9:2\n", 20);
	line_of(&self->conn[0], text + size, 256);
	fd = open(PROC_FILE, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	/* One that comes before the first line leaves it all undone. */
	do {
		ret = write(fd, text, size + strlen(text + size));
	} while (ret < 0 && errno == EINTR);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	EXPECT_LT(0, ret);
	EXPECT_GT(size, ret);
	/* Whole lines, or whole pages: the line between two is kept until its end comes. */
	EXPECT_TRUE(ret % 20 == 0 || ret % getpagesize() == 0) TH_LOG("%zd bytes", ret);
	EXPECT_TRUE(ends_in_table(&self->conn[0].ends));
	if (ret % 20)
		EXPECT_EQ(20 - ret % 20, write(fd, text + ret, 20 - ret % 20));
	EXPECT_EQ(strlen(text + size), write(fd, text + size, strlen(text + size)));
	EXPECT_FALSE(ends_in_table(&self->conn[0].ends));
	close(fd);
	free(text);
}

/*
 * Files that are open when what they are about would go.
 */

/* The file of a namespace whose last process has ended by then. */
static int open_in_ended_namespace(char *line, size_t size)
{
	int pair[2], status, fd = -1;
	struct conn conn;
	char path[64];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return -errno;
	pid = fork();
	if (!pid) {
		if (conn_setup() || conn_make(&conn, ESTABLISHED, IPV4))
			_exit(1);
		line_of(&conn, line, size);
		_exit(send(pair[1], line, strlen(line) + 1, 0) < 0 ||
		      recv(pair[1], line, size, 0) < 0);
	}
	if (recv(pair[0], line, size, 0) > 0) {
		snprintf(path, sizeof(path), "/proc/%d/net/tcp_drop", pid);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	send(pair[0], "", 1, 0);
	waitpid(pid, &status, 0);
	close(pair[0]);
	close(pair[1]);
	return fd;
}

TEST(a_file_keeps_its_namespace_and_works_in_it)
{
	char line[256], text[256];
	int i, fd;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < 4; i++) {
		fd = open_in_ended_namespace(line, sizeof(line));
		ASSERT_LE(0, fd);
		/* One that ends later than the other, and is waited for. */
		ASSERT_EQ(0, netns_leave(netns_new, NULL, NULL));
		EXPECT_LE(0, pread(fd, text, sizeof(text), 0)) TH_LOG("%s", strerror(errno));
		/* In TIME_WAIT, if anything is left of the connection. */
		if (write(fd, line, strlen(line)) < 0)
			EXPECT_EQ(ESRCH, errno);
		EXPECT_EQ(-1, write(fd, line, strlen(line)));
		EXPECT_EQ(ESRCH, errno);
		close(fd);
	}
}

static int unload(void)
{
	return syscall(SYS_delete_module, "tcpdrop", O_NONBLOCK) ? -errno : 0;
}

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;

	close(fd);
	return ret;
}

TEST(a_file_keeps_the_module_and_is_in_namespaces_that_were_there_before)
{
	const char *path = getenv("TCPDROP_KO");
	char line[256], byte;
	struct conn conn;
	int fd;

	REQUIRE_TCPDROP();
	if (!path)
		SKIP(return, "TCPDROP_KO does not say where the module is");
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&conn, ESTABLISHED, IPV4));
	line_of(&conn, line, sizeof(line));
	fd = open(PROC_FILE, O_RDWR);
	ASSERT_LE(0, fd);

	EXPECT_EQ(-EWOULDBLOCK, unload());
	EXPECT_EQ(1, count_lines(line));
	EXPECT_EQ(sizeof(byte), pread(fd, &byte, sizeof(byte), 0));
	close(fd);

	if (tcpdrop_loaded())
		EXPECT_EQ(0, unload());
	EXPECT_EQ(-ENOENT, put(line));
	ASSERT_EQ(0, load(path));
	EXPECT_EQ(1, count_lines(line));
	EXPECT_EQ(0, put(line));
	EXPECT_FALSE(ends_in_table(&conn.ends));
}

/* Each writes so many lines, and goes on until all have. */
#define WRITES 200

/* Readers and writers of one open file, and of many. */
struct crowd {
	int fd;
	bool stop;
	int odd;
};

/* One of them and its line, which no other has. */
struct member {
	struct crowd *crowd;
	pthread_t thread;
	char text[256];
	int written;
};

static void *crowd_main(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	char buf[512];

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		if (write(crowd->fd, member->text, strlen(member->text)) >= 0 || errno != ESRCH)
			__atomic_fetch_add(&crowd->odd, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&member->written, 1, __ATOMIC_RELAXED);
		if (pread(crowd->fd, buf, sizeof(buf), 0) < 0)
			__atomic_fetch_add(&crowd->odd, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool all_have_written(const struct member *member, int count)
{
	while (count--)
		if (__atomic_load_n(&member[count].written, __ATOMIC_RELAXED) < WRITES)
			return false;
	return true;
}

static long lines_carried_out(void)
{
	char text[1024], *line;

	if (file_read("/sys/kernel/config/tcpdrop/stats", text, sizeof(text)))
		return -1;
	line = strstr(text, "lines ");
	return line ? atol(line + strlen("lines ")) : -1;
}

/* The beginning of one with the end of another would be the bystander, or nothing at all. */
TEST(threads_that_share_an_open_file_do_not_mix_lines)
{
	char local[64], remote[64];
	struct member member[4] = {};
	struct crowd crowd = {};
	struct conn bystander;
	long lines, written = 0;
	int i;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&bystander, ESTABLISHED, IPV4));
	crowd.fd = open(PROC_FILE, O_RDWR);
	ASSERT_LE(0, crowd.fd);
	snprintf(member[0].text, sizeof(member[0].text), "%s:%d 10.9.9.9:2\n",
		 end_addr(&bystander.ends.local, local, sizeof(local)),
		 bystander.ends.local.port);
	snprintf(member[1].text, sizeof(member[1].text), "10.99.99.199:50001  %s:%d ESTABLISHED\n",
		 end_addr(&bystander.ends.remote, remote, sizeof(remote)),
		 bystander.ends.remote.port);
	strcpy(member[2].text, "10.9.9.9:1 10.9.9.9:2\n");
	strcpy(member[3].text, "[2001:db8::1:2:3:4]:50000 [2001:db8::a:b:c:d]:60000 LAST_ACK\n");
	lines = lines_carried_out();
	for (i = 0; i < 4; i++) {
		member[i].crowd = &crowd;
		ASSERT_EQ(0, pthread_create(&member[i].thread, NULL, crowd_main, &member[i]));
	}
	EXPECT_TRUE(WAIT_UNTIL(all_have_written(member, 4)));
	__atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 4; i++) {
		pthread_join(member[i].thread, NULL);
		written += member[i].written;
	}
	EXPECT_EQ(0, crowd.odd);
	EXPECT_EQ(written, lines_carried_out() - lines);
	EXPECT_TRUE(sock_talks(bystander.fd, bystander.peer));
	close(crowd.fd);
}

TEST_HARNESS_MAIN
