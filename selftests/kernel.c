// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets of the kernel's own are never matched: here the one with which an
 * NFS client connects, and the one on which NFS 4.0 listens for calls of the
 * server. The server is this test; a mount that it never lets succeed keeps
 * the client busy.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define ADDR "127.0.0.1"
#define SERVER_PORT 7000

/* RFC 5531: the mark of a record that is the last, REPLY. */
#define RPC_LAST 0x80000000
#define RPC_REPLY 1

FIXTURE(kernel)
{
	struct rule rule;
	struct end server;	/* where the test listens */
	struct ends ends;	/* the connection as the kernel sees it */
	pid_t mounter;
	int listener;
	int accepted;		/* the server's end of it */
	uint32_t call;		/* the kernel's first, not yet answered */
};

/* Try to mount what this test serves, for as long as it lets. */
static pid_t mount_elsewhere(void)
{
	char options[128];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(options, sizeof(options),
		 "vers=4.0,proto=tcp,port=%d,addr=" ADDR ",clientaddr=" ADDR, SERVER_PORT);
	if (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		mount(ADDR ":/", "/tmp", "nfs", 0, options);
	perror("mount");
	_exit(1);
}

/* Accept a connection, or -errno. */
static int accept_soon(int listener)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&ready, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	fd = accept(listener, NULL, NULL);
	return fd < 0 ? -errno : fd;
}

static bool read_soon(int fd, void *data, size_t size)
{
	struct timeval deadline = { .tv_sec = DEADLINE_MS / 1000 };

	return !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) &&
	       recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* Take the next call off the wire. Returns what an answer names it by. */
static int rpc_receive(int fd, uint32_t *call)
{
	uint32_t mark, body[256];
	size_t len;

	if (!read_soon(fd, &mark, sizeof(mark)))
		return -ETIMEDOUT;
	len = ntohl(mark) & ~RPC_LAST;
	if (len < sizeof(*call) || len > sizeof(body) || !read_soon(fd, body, len))
		return -EPROTO;
	*call = body[0];
	return 0;
}

/* Answer a call that has no result: accepted, by nobody in particular, done. */
static int rpc_reply(int fd, uint32_t call)
{
	uint32_t reply[7] = { htonl(RPC_LAST | 24), call, htonl(RPC_REPLY) };

	return send(fd, reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply) ? 0 : -EIO;
}

FIXTURE_SETUP(kernel)
{
	struct ends ends;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, netns_new());
	self->listener = sock_listen(IPV4, ADDR, SERVER_PORT);
	ASSERT_EQ(0, end_of(self->listener, &self->server));
	self->mounter = mount_elsewhere();
	ASSERT_LT(0, self->mounter);
	self->accepted = accept_soon(self->listener);
	ASSERT_LE(0, self->accepted);
	ASSERT_EQ(0, ends_of(self->accepted, &ends));
	self->ends = ends_swap(&ends);
	ASSERT_EQ(0, rpc_receive(self->accepted, &self->call));
	ASSERT_EQ(0, rule_new(&self->rule, "kernel"));
}

FIXTURE_TEARDOWN(kernel)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
	EXPECT_EQ(0, kill(self->mounter, SIGKILL));
	EXPECT_EQ(self->mounter, waitpid(self->mounter, NULL, 0));
}

/* The kernel's connection carries data both ways: its next call comes. */
static void expect_kernel_goes_on(struct __test_metadata *_metadata, int fd, uint32_t call)
{
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(fd));
	EXPECT_EQ(0, sock_error(fd));
	ASSERT_EQ(0, rpc_reply(fd, call));
	EXPECT_EQ(0, rpc_receive(fd, &call));
}

/* The rule means nothing that there is, whether it looks or drops. */
static void expect_none(struct __test_metadata *_metadata, const struct rule *rule)
{
	char list[256];

	EXPECT_EQ(0, rule_count(rule));
	ASSERT_EQ(0, rule_get(rule, "list", list, sizeof(list)));
	EXPECT_STREQ("", list);
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(0, rule_result(rule, "matched"));
	EXPECT_EQ(0, rule_result(rule, "remaining"));
}

/* The rule means this socket and nothing else, and drops it. What is there then is another. */
static void expect_dropped(struct __test_metadata *_metadata, const struct rule *rule,
			   const struct ends *ends, int state)
{
	char line[128], list[256];

	EXPECT_EQ(1, rule_count(rule));
	ASSERT_EQ(0, rule_get(rule, "list", list, sizeof(list)));
	ends_print(ends, state, line, sizeof(line));
	EXPECT_STREQ(line, list);
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(1, rule_result(rule, "matched"));
	EXPECT_EQ(1, rule_result(rule, "dropped"));
}

/* The same where nobody connects anew. */
static void expect_only(struct __test_metadata *_metadata, const struct rule *rule,
			const struct ends *ends, int state)
{
	expect_dropped(_metadata, rule, ends, state);
	EXPECT_EQ(0, rule_result(rule, "remaining"));
}

TEST_F(kernel, a_rule_for_all_clients_of_a_server_spares_the_kernels)
{
	struct ends ends;
	int client;

	client = sock_new(IPV4);
	ASSERT_EQ(0, sock_connect(client, IPV4, &self->server));
	ASSERT_EQ(0, ends_of(client, &ends));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "%d", SERVER_PORT));

	expect_only(_metadata, &self->rule, &ends, TCP_ESTABLISHED);

	EXPECT_EQ(ECONNABORTED, sock_error(client));
	expect_kernel_goes_on(_metadata, self->accepted, self->call);
}

TEST_F(kernel, exact_ends_mean_the_users_end_of_a_connection_only)
{
	struct ends ends = ends_swap(&self->ends);

	ASSERT_EQ(TCP_ESTABLISHED, sock_state(self->accepted));
	ASSERT_TRUE(ends_in_table(&self->ends));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->ends));
	expect_none(_metadata, &self->rule);
	expect_kernel_goes_on(_metadata, self->accepted, self->call);

	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	expect_dropped(_metadata, &self->rule, &ends, TCP_ESTABLISHED);
	EXPECT_EQ(ECONNABORTED, sock_error(self->accepted));
}

/* Write the lines of these sockets at once: all good ones are carried out. */
static int write_lines(const struct ends *ends, int count)
{
	char lines[512] = "";
	size_t len = 0;

	while (count--) {
		ends_print(ends++, TCP_ESTABLISHED, lines + len, sizeof(lines) - len - 1);
		strcat(lines, "\n");
		len = strlen(lines);
	}
	return file_write("/proc/thread-self/net/tcp_drop", lines);
}

/* It is there, which is not to be mistaken for "no such connection". */
TEST_F(kernel, a_line_for_the_kernels_end_is_refused_with_EPERM)
{
	struct ends user = ends_swap(&self->ends), nobody = self->ends;
	char *list;

	nobody.remote.port++;
	EXPECT_EQ(-ESRCH, write_lines(&nobody, 1));
	EXPECT_EQ(-EPERM, write_lines(&self->ends, 1));

	EXPECT_TRUE(ends_in_table(&self->ends));
	list = file_read_all("/proc/thread-self/net/tcp_drop");
	ASSERT_NE(NULL, list);
	EXPECT_EQ(1, text_count(list, "\n"));
	free(list);
	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	EXPECT_EQ(0, write_lines(&user, 1));
	EXPECT_EQ(ECONNABORTED, sock_error(self->accepted));
}

TEST_F(kernel, a_line_among_several_for_the_kernels_end_is_no_error)
{
	struct ends ends[3] = { self->ends };
	int client;

	client = sock_new(IPV4);
	ASSERT_EQ(0, sock_connect(client, IPV4, &self->server));
	ASSERT_EQ(0, ends_of(client, &ends[1]));
	ends[2] = ends[0];

	EXPECT_EQ(0, write_lines(ends, 3));

	EXPECT_EQ(ECONNABORTED, sock_error(client));
	EXPECT_EQ(0, write_lines(&ends[1], 2));
	expect_kernel_goes_on(_metadata, self->accepted, self->call);
}

/*
 * The kernel listens by the time that it has said hello and makes its second
 * call. Finds where, over IPv4.
 */
static int find_callback(struct end *end)
{
	const struct entry *entry;
	struct table table;
	int ret;

	ret = table_read(&table);
	if (ret)
		return ret;
	ret = -ENOENT;
	for (entry = table.entry; entry < table.entry + table.count; entry++) {
		if (entry->state != TCP_LISTEN || entry->ends.local.v6 ||
		    entry->ends.local.port == SERVER_PORT)
			continue;
		if (end_parse(end, ADDR, entry->ends.local.port))
			continue;
		ret = 0;
	}
	table_free(&table);
	return ret;
}

/* A socket that is about to connect to where the kernel listens. */
static int callback_client(struct __test_metadata *_metadata, struct end *callback,
			   struct ends *ends)
{
	int client = sock_new(IPV4);

	ASSERT_EQ(0, find_callback(callback));
	ASSERT_EQ(0, sock_bind(client, IPV4, ADDR, 0));
	ASSERT_EQ(0, end_of(client, &ends->local));
	ends->remote = *callback;
	return client;
}

TEST_F(kernel, a_rule_for_listeners_spares_the_kernels)
{
	struct ends ends, mine = { .local = self->server };
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));

	expect_only(_metadata, &self->rule, &mine, TCP_LISTEN);

	EXPECT_EQ(TCP_CLOSE, sock_state(self->listener));
	EXPECT_EQ(0, sock_connect(client, IPV4, &callback));
}

TEST_F(kernel, what_connects_to_a_listener_of_the_kernels_is_the_kernels)
{
	struct ends ends, swapped;
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, sock_connect(client, IPV4, &callback));
	swapped = ends_swap(&ends);
	ASSERT_TRUE(ends_in_table(&swapped));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", callback.port));

	expect_none(_metadata, &self->rule);

	EXPECT_EQ(TCP_ESTABLISHED, sock_state(client));
	EXPECT_EQ(0, sock_error(client));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	expect_only(_metadata, &self->rule, &ends, TCP_ESTABLISHED);
	EXPECT_EQ(ECONNABORTED, sock_error(client));
}

/* The client does not hear the answer, so that it stays a request. */
TEST_F(kernel, a_request_to_a_listener_of_the_kernels_is_the_kernels)
{
	struct ends ends, swapped;
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, sock_mute(client));
	ASSERT_EQ(0, sock_nonblock(client));
	ASSERT_EQ(-EINPROGRESS, sock_connect(client, IPV4, &callback));
	swapped = ends_swap(&ends);
	ASSERT_TRUE(WAIT_UNTIL(ends_in_table(&swapped)));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", callback.port));

	expect_none(_metadata, &self->rule);

	EXPECT_TRUE(ends_in_table(&swapped));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	expect_only(_metadata, &self->rule, &ends, TCP_SYN_SENT);
}

/* The rule for the kernel's own: of the two ends of a connection one, and no user's. */
TEST_F(kernel, a_rule_for_the_kernels_own_spares_the_users)
{
	struct ends ends;
	int client, fd;
	char c;

	client = sock_new(IPV4);
	ASSERT_EQ(0, sock_connect(client, IPV4, &self->server));
	fd = accept_soon(self->listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ends_of(client, &ends));
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	EXPECT_EQ(-EINVAL, rule_commit(&self->rule));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &ends));
	expect_none(_metadata, &self->rule);
	ASSERT_EQ(0, rule_clear_ends(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));

	expect_dropped(_metadata, &self->rule, &self->ends, TCP_ESTABLISHED);

	EXPECT_EQ(-1, recv(self->accepted, &c, 1, 0));
	EXPECT_EQ(ECONNRESET, errno);
	EXPECT_TRUE(sock_talks(client, fd));
}

/* One that the client has made while the commit was running may have gone with the first. */
static int accept_lasting(int listener)
{
	int fd;

	do
		fd = accept_soon(listener);
	while (fd >= 0 && sock_state(fd) != TCP_ESTABLISHED && !close(fd));
	return fd;
}

/* No more is lost than the connection: the client makes another, and goes on in it. */
TEST_F(kernel, its_client_that_loses_its_connection_connects_anew)
{
	uint32_t call;
	int fd;

	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	ASSERT_EQ(0, rule_setf(&self->rule, "dport", "%d", SERVER_PORT));
	expect_dropped(_metadata, &self->rule, &self->ends, TCP_ESTABLISHED);

	fd = accept_lasting(self->listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rpc_receive(fd, &call));
	expect_kernel_goes_on(_metadata, fd, call);
}

/* A listener and what comes to it, before and after it is accepted, are the kernel's. */
TEST_F(kernel, what_connects_to_it_is_dropped_by_a_rule_for_its_own)
{
	struct ends ends, swapped;
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, sock_connect(client, IPV4, &callback));
	swapped = ends_swap(&ends);
	ASSERT_TRUE(ends_in_table(&swapped));
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", callback.port));

	expect_only(_metadata, &self->rule, &swapped, TCP_ESTABLISHED);

	EXPECT_TRUE(WAIT_UNTIL(sock_error(client) == ECONNRESET));
	EXPECT_TRUE(ends_in_table(&self->ends));
	close(client);
	client = callback_client(_metadata, &callback, &ends);
	EXPECT_EQ(0, sock_connect(client, IPV4, &callback));
}

TEST_F(kernel, a_request_to_it_is_dropped_by_a_rule_for_its_own)
{
	struct ends ends, swapped;
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, sock_mute(client));
	ASSERT_EQ(0, sock_nonblock(client));
	ASSERT_EQ(-EINPROGRESS, sock_connect(client, IPV4, &callback));
	swapped = ends_swap(&ends);
	ASSERT_TRUE(WAIT_UNTIL(ends_in_table(&swapped)));
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", callback.port));

	expect_only(_metadata, &self->rule, &swapped, TCP_SYN_RECV);

	EXPECT_TRUE(ends_in_table(&ends));
	EXPECT_TRUE(ends_in_table(&self->ends));
}

TEST_F(kernel, a_listener_of_its_own_is_dropped_where_it_is_named)
{
	struct ends ends;
	struct end callback;
	int client;

	expect_kernel_goes_on(_metadata, self->accepted, self->call);
	client = callback_client(_metadata, &callback, &ends);
	ASSERT_EQ(0, rule_set(&self->rule, "kernel", "yes"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%u", callback.port));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "0.0.0.0"));

	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));

	EXPECT_EQ(-ECONNREFUSED, sock_connect(client, IPV4, &callback));
	EXPECT_NE(TCP_CLOSE, sock_state(self->listener));
	EXPECT_TRUE(ends_in_table(&self->ends));
}

TEST_HARNESS_MAIN
