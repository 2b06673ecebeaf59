// SPDX-License-Identifier: GPL-2.0
/*
 * A last line without a newline: carried out when its writer closes the file or
 * exits, and by no other end of the file, because more of it might have come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define PROC_FILE "/proc/thread-self/net/tcp_drop"

FIXTURE(unfinished)
{
	struct conn conn;
	struct conn bystander;
	char text[256];		/* the ends of the connection, no newline */
	int link[2];		/* between a process and its child */
	int fd;
};

FIXTURE_SETUP(unfinished)
{
	struct rlimit none = {};

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	ends_print(&self->conn.ends, TCP_ESTABLISHED, self->text, sizeof(self->text));
	*strstr(self->text, " ESTABLISHED") = '\0';
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, self->link));
	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &none));
	self->fd = -1;
}

FIXTURE_TEARDOWN(unfinished)
{
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
}

static int open_file(void)
{
	return open(PROC_FILE, O_RDWR | O_CLOEXEC);
}

static bool put(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == strlen(text);
}

static bool say(int fd)
{
	return write(fd, "x", 1) == 1;
}

static bool hear(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1;
}

static int send_file(int link, int fd)
{
	char byte = 'f', control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(link, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_file(int link)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(link, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void expect_dropped(struct __test_metadata *_metadata, const struct conn *conn)
{
	EXPECT_FALSE(ends_in_table(&conn->ends));
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd));
}

static void expect_alive(struct __test_metadata *_metadata, const struct conn *conn)
{
	EXPECT_TRUE(sock_talks(conn->fd, conn->peer));
}

static void expect_exit(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(unfinished, is_carried_out_when_its_writer_closes)
{
	self->fd = open_file();
	ASSERT_TRUE(put(self->fd, self->text));
	expect_alive(_metadata, &self->conn);
	ASSERT_EQ(0, close(self->fd));
	expect_dropped(_metadata, &self->conn);
}

/* A child that has the file as well, as what a program starts has, but did not write. */
TEST_F(unfinished, is_carried_out_when_its_writer_closes_after_all_others)
{
	pid_t pid;

	self->fd = open_file();
	ASSERT_TRUE(put(self->fd, self->text));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(0);
	expect_exit(_metadata, pid);
	expect_alive(_metadata, &self->conn);
	ASSERT_EQ(0, close(self->fd));
	expect_dropped(_metadata, &self->conn);
}

/* As what a shell starts has its standard output: opened by one, written by another. */
TEST_F(unfinished, is_carried_out_when_its_writer_who_did_not_open_it_exits)
{
	pid_t pid;

	self->fd = open_file();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!hear(self->link[1]) || !put(self->fd, self->text));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_TRUE(say(self->link[0]));
	expect_exit(_metadata, pid);
	expect_dropped(_metadata, &self->conn);
}

static void *put_main(void *arg)
{
	struct _test_data_unfinished *self = arg;

	return put(self->fd, self->text) ? self : NULL;
}

static void *put_and_wait_main(void *arg)
{
	struct _test_data_unfinished *self = arg;

	if (put(self->fd, self->text))
		say(self->link[0]);
	for (;;)
		pause();
	return NULL;
}

static int write_by_thread(struct _test_data_unfinished *self, void *(*main)(void *), bool join)
{
	pthread_t thread;
	void *ret = self;

	self->fd = open_file();
	if (pthread_create(&thread, NULL, main, self))
		return 1;
	if (join)
		return pthread_join(thread, &ret) || !ret;
	return !hear(self->link[1]);
}

/* Threads are one writer. */
TEST_F(unfinished, is_carried_out_when_another_thread_closes)
{
	ASSERT_EQ(0, write_by_thread(self, put_main, true));
	expect_alive(_metadata, &self->conn);
	ASSERT_EQ(0, close(self->fd));
	expect_dropped(_metadata, &self->conn);
}

TEST_F(unfinished, is_carried_out_when_another_thread_exits)
{
	int wait;

	for (wait = 0; wait < 2; wait++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(write_by_thread(self, wait ? put_and_wait_main : put_main, !wait));
		expect_exit(_metadata, pid);
		expect_dropped(_metadata, &self->conn);
		if (wait)
			break;
		conn_close(&self->conn);
		ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, IPV4));
		ends_print(&self->conn.ends, TCP_ESTABLISHED, self->text, sizeof(self->text));
		*strstr(self->text, " ESTABLISHED") = '\0';
	}
}

/*
 * The thread that wrote waits, or has ended: pthread_join() returns before it
 * has given up the files, so that it may be the last to do so, and nobody has
 * killed that thread.
 */
static void kill_writer(struct __test_metadata *_metadata, struct _test_data_unfinished *self,
			int signal, bool threads)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (write_by_thread(self, threads ? put_and_wait_main : put_main, !threads) ||
		    !say(self->link[1]))
			_exit(1);
		pause();
	}
	ASSERT_TRUE(hear(self->link[0]));
	ASSERT_EQ(0, kill(pid, signal));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_TRUE(sock_talks(self->conn.fd, self->conn.peer)) {
		TH_LOG("signal %d, the writer %s", signal, threads ? "waits" : "has ended");
	}
}

TEST_F(unfinished, is_not_carried_out_when_its_writer_is_killed)
{
	static const int signals[] = { SIGTERM, SIGKILL, SIGPIPE, SIGSEGV, SIGABRT };
	int i;

	for (i = 0; i < 10 * ARRAY_LEN(signals); i++)
		kill_writer(_metadata, self, signals[i % ARRAY_LEN(signals)], i % 2);
}

/* The writer exits in peace, but somebody else has the file for longer. */
static pid_t write_elsewhere(struct _test_data_unfinished *self)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	_exit(!put(self->fd, self->text));
}

TEST_F(unfinished, is_not_carried_out_when_its_writers_parent_closes)
{
	self->fd = open_file();
	expect_exit(_metadata, write_elsewhere(self));
	expect_alive(_metadata, &self->conn);
	ASSERT_EQ(0, close(self->fd));
	expect_alive(_metadata, &self->conn);
}

TEST_F(unfinished, is_not_carried_out_when_a_killed_writers_parent_closes)
{
	int status;
	pid_t pid;

	self->fd = open_file();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		put(self->fd, self->text);
		raise(SIGKILL);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, close(self->fd));
	expect_alive(_metadata, &self->conn);
}

/* A child that has the file, and ends it by closing it or by its exit. */
TEST_F(unfinished, is_not_carried_out_when_its_writers_child_closes_or_exits)
{
	int closes;

	for (closes = 0; closes < 2; closes++) {
		pid_t pid;

		self->fd = open_file();
		ASSERT_TRUE(put(self->fd, self->text));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(!hear(self->link[1]) || (closes && close(self->fd)));
		ASSERT_EQ(0, close(self->fd));
		ASSERT_TRUE(say(self->link[0]));
		expect_exit(_metadata, pid);
		expect_alive(_metadata, &self->conn);
	}
}

TEST_F(unfinished, is_not_carried_out_when_who_was_given_the_file_closes)
{
	pid_t pid;
	int fd;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		self->fd = open_file();
		_exit(!put(self->fd, self->text) || send_file(self->link[1], self->fd));
	}
	fd = receive_file(self->link[0]);
	ASSERT_LE(0, fd);
	expect_exit(_metadata, pid);
	expect_alive(_metadata, &self->conn);
	ASSERT_EQ(0, close(fd));
	expect_alive(_metadata, &self->conn);
}

/* Nothing of it arrives. */
static bool fails_to_put(int fd)
{
	const struct iovec nowhere = { .iov_len = 1 };

	return writev(fd, &nowhere, 1) < 0 && errno == EFAULT;
}

/* More of the line may have been in it. */
TEST_F(unfinished, is_not_carried_out_after_a_write_that_failed)
{
	self->fd = open_file();
	ASSERT_TRUE(put(self->fd, self->text));
	ASSERT_TRUE(fails_to_put(self->fd));
	close(self->fd);
	expect_alive(_metadata, &self->conn);
}

TEST_F(unfinished, is_carried_out_after_a_write_that_failed_and_was_done_again)
{
	self->fd = open_file();
	ASSERT_TRUE(put(self->fd, self->text));
	ASSERT_TRUE(fails_to_put(self->fd));
	ASSERT_TRUE(put(self->fd, " "));
	close(self->fd);
	expect_dropped(_metadata, &self->conn);
}

/* Who takes over and finishes the line has written it. */
TEST_F(unfinished, is_carried_out_when_another_has_written_its_newline)
{
	self->fd = open_file();
	expect_exit(_metadata, write_elsewhere(self));
	expect_alive(_metadata, &self->conn);
	EXPECT_TRUE(put(self->fd, "\n"));
	expect_dropped(_metadata, &self->conn);
	ASSERT_EQ(0, close(self->fd));
}

/* Wherever they stand, also where what is left is blank or a comment. */
TEST_F(unfinished, or_whole_with_a_nul_is_malformed)
{
	static const struct {
		const char *text;
		size_t len;
	} lines[] = {
		{ "\0\0\n", 3 }, { "\0\n", 2 }, { " \0\n", 3 }, { "\t\0 \n", 4 }, { "#\0\n", 3 },
	};
	char line[300];
	size_t i, len = strlen(self->text);

	self->fd = open_file();
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		EXPECT_EQ(-1, write(self->fd, lines[i].text, lines[i].len)) TH_LOG("%zu", i);
		EXPECT_EQ(EINVAL, errno);
	}
	memcpy(line, self->text, len);
	memcpy(line + len, "\0\n", 2);
	EXPECT_EQ(-1, write(self->fd, line, len + 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, line, len + 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, close(self->fd));
	expect_alive(_metadata, &self->conn);
}

TEST_HARNESS_MAIN
