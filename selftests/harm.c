// SPDX-License-Identifier: GPL-2.0
/*
 * An unprivileged user who is root in namespaces of its own uses its
 * /proc/net/tcp_drop with a buffer whose page never arrives, and has the
 * namespace end meanwhile.  Nobody else notices.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_fuse.h"
#include "tcpdrop_host.h"
#include "tcpdrop_probe.h"
#include "tcpdrop_uring.h"

#define USER 1000

/* In our namespace, the other end of a device in that of the attacker. */
#define TIE "inside"

/* What a thread of the attacker does with the file; @page is missing. */
typedef ssize_t (*use_t)(int fd, char *page);

static ssize_t use_read(int fd, char *page)
{
	return read(fd, page, 1);
}

static ssize_t use_pread(int fd, char *page)
{
	return pread(fd, page, 1, 3);
}

static ssize_t use_readv(int fd, char *page)
{
	char byte;
	struct iovec iov[] = { { &byte, 1 }, { page, 1 } };

	return readv(fd, iov, 2);
}

static ssize_t use_preadv(int fd, char *page)
{
	char byte;
	struct iovec iov[] = { { &byte, 1 }, { page, 1 } };

	return preadv(fd, iov, 2, 3);
}

static ssize_t use_write(int fd, char *page)
{
	return write(fd, page, 1);
}

static ssize_t use_writev(int fd, char *page)
{
	struct iovec iov[] = { { "#\n", 2 }, { page, 1 } };

	return writev(fd, iov, 2);
}

static ssize_t use_lseek(int fd, char *page)
{
	return lseek(fd, 0, SEEK_SET);
}

/* Into a pipe that is full, and that nobody reads. */
static ssize_t use_splice(int fd, char *page)
{
	int end[2];

	if (pipe2(end, O_NONBLOCK))
		return -1;
	while (write(end[1], "x", 1) == 1)
		;
	if (fcntl(end[1], F_SETFL, 0))
		return -1;
	return splice(fd, NULL, end[1], NULL, 1, 0);
}

/* The pipe of use_vmsplice(), once its page has been asked for. */
static int pipe_end[2];

/* Hands its page to a pipe, which is locked as long as that has not arrived. */
static ssize_t use_vmsplice(int fd, char *page)
{
	struct iovec iov = { page, 1 };

	if (pipe2(pipe_end, O_CLOEXEC))
		return -1;
	return vmsplice(pipe_end[1], &iov, 1, 0);
}

static ssize_t use_splice_behind(int fd, char *page)
{
	return splice(fd, NULL, pipe_end[1], NULL, 1, 0);
}

/* The page is for a worker of io_uring, for whom the thread waits. */
static ssize_t ask_uring(int op, int fd, char *page)
{
	struct uring ring;

	if (uring_make(&ring))
		return -1;
	return uring_rw(&ring, op, fd, page, 1, IOSQE_ASYNC);
}

static ssize_t use_uring_read(int fd, char *page)
{
	return ask_uring(IORING_OP_READ, fd, page);
}

static ssize_t use_uring_write(int fd, char *page)
{
	return ask_uring(IORING_OP_WRITE, fd, page);
}

/* From a file that brings nothing, which comes before it is said that it cannot be done. */
static ssize_t use_sendfile_from(int fd, char *page)
{
	return sendfile(fd, open(FUSE_FILE, O_RDONLY | O_CLOEXEC), NULL, 1);
}

/* To a file that takes nothing. */
static ssize_t use_sendfile_to(int fd, char *page)
{
	return sendfile(open(FUSE_FILE, O_WRONLY | O_CLOEXEC), fd, NULL, 1);
}

struct user {
	pthread_t thread;
	pid_t tid;
	use_t use;
	int fd;
	char *page;
};

static void *user_main(void *arg)
{
	struct user *user = arg;

	__atomic_store_n(&user->tid, gettid(), __ATOMIC_RELEASE);
	user->use(user->fd, user->page);
	return NULL;
}

static bool user_sleeps(const struct user *user)
{
	pid_t tid = __atomic_load_n(&user->tid, __ATOMIC_ACQUIRE);

	return tid && thread_sleeps(tid);
}

/* Have a thread use the file until it waits. */
static int user_start(struct user *user, const struct pages *pages, bool faults)
{
	if (pthread_create(&user->thread, NULL, user_main, user))
		return -EAGAIN;
	if (faults)
		return pages_wait(pages) ? 0 : -ETIMEDOUT;
	return WAIT_UNTIL(user_sleeps(user)) ? 0 : -ETIMEDOUT;
}

/* The attacker and what both sides say to each other, a byte at a time. */
struct attacker {
	pid_t pid;
	int said;
	int told;
};

static void say(const struct attacker *attacker, char byte)
{
	if (write(attacker->said, &byte, 1) != 1)
		_exit(1);
}

static void await(const struct attacker *attacker)
{
	char byte;

	if (read(attacker->told, &byte, 1) != 1)
		_exit(1);
}

/* Something to list. */
static int make_pair(struct pair *pair)
{
	int listener = sock_listen(IPV4, "127.0.0.1", 0);
	int ret;

	if (listener < 0)
		return listener;
	ret = sock_pair(listener, IPV4, "127.0.0.1", 0, pair);
	close(listener);
	return ret;
}

/* A connection that is reset leaves nothing in its namespace. */
static void reset_pair(const struct pair *pair)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	setsockopt(pair->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(pair->client);
	close(pair->server);
}

/*
 * The file of the namespace that this process is in, which it then leaves: by
 * its own path or by that of a process that stays there.
 */
static int open_and_leave(bool by_path, pid_t *other)
{
	char path[64] = PROC_FILE;
	int fd;

	*other = 0;
	if (by_path) {
		*other = fork();
		if (!*other) {
			pause();
			_exit(0);
		}
		snprintf(path, sizeof(path), "/proc/%d/net/tcp_drop", *other);
		if (unshare(CLONE_NEWNET))
			return -errno;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!by_path && unshare(CLONE_NEWNET))
		return -errno;
	return fd;
}

FIXTURE_VARIANT(stuck_user)
{
	use_t use[2];		/* of one open file, at a time */
	bool faults[2];		/* whether it gets as far as the page */
	int fuse;		/* how the pages are mapped if they are of a file of the user's */
	bool by_path;		/* of another process */
	bool uring;		/* whether it takes io_uring */
};

/* By root if need be, before it becomes the user. */
static int become_user_with_pages(struct pages *pages, int fuse)
{
	int ret = fuse ? 0 : pages_make(pages, 2);

	if (!ret)
		ret = user_become(USER);
	return !ret && fuse ? fuse_pages_make(pages, 2, fuse) : ret;
}

static int attack(const struct attacker *attacker, const void *arg)
{
	const struct _fixture_variant_stuck_user *how = arg;
	struct user user[2];
	struct pages pages;
	struct pair pair;
	pid_t other;
	int i, fd;

	if (become_user_with_pages(&pages, how->fuse))
		return 2;
	if (netns_new())
		return 3;
	say(attacker, 'n');
	await(attacker);
	if (make_pair(&pair))
		return 4;
	fd = open_and_leave(how->by_path, &other);
	if (fd < 0)
		return 5;
	for (i = 0; i < 2 && how->use[i]; i++) {
		user[i] = (struct user){
			.use = how->use[i], .fd = fd, .page = pages_get(&pages, i),
		};
		if (user_start(&user[i], &pages, how->faults[i]))
			return 6;
	}
	reset_pair(&pair);
	if (other) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
	}
	say(attacker, 's');
	for (;;)
		pause();
}

static bool hear(const struct attacker *attacker, char what)
{
	char byte;

	return read(attacker->said, &byte, 1) == 1 && byte == what;
}

/* Have another process do @work with @arg, and be told of it. */
static int attacker_fork(struct attacker *attacker,
			 int (*work)(const struct attacker *attacker, const void *arg),
			 const void *arg)
{
	int said[2], told[2];

	if (pipe2(said, O_CLOEXEC) || pipe2(told, O_CLOEXEC))
		return -errno;
	attacker->pid = fork();
	if (attacker->pid < 0)
		return -errno;
	if (!attacker->pid) {
		attacker->said = said[1];
		attacker->told = told[0];
		close(said[0]);
		close(told[1]);
		_exit(work(attacker, arg));
	}
	attacker->said = said[0];
	attacker->told = told[1];
	close(said[1]);
	close(told[0]);
	return 0;
}

static int attacker_start(struct attacker *attacker, const struct _fixture_variant_stuck_user *how)
{
	int ret = attacker_fork(attacker, attack, how);

	if (ret)
		return ret;
	if (!hear(attacker, 'n'))
		return -EPROTO;
	/* The device goes when its namespace ends, and takes our end along. */
	if (netns_tie("tied", attacker->pid) || write(attacker->told, "", 1) != 1)
		return -EIO;
	return hear(attacker, 's') ? 0 : -EPROTO;
}

static void attacker_end(struct attacker *attacker)
{
	if (attacker->pid > 0) {
		kill(attacker->pid, SIGKILL);
		waitpid(attacker->pid, NULL, 0);
	}
	attacker->pid = 0;
}

FIXTURE(stuck_user)
{
	struct attacker attacker;
	struct conn conn[2];
	struct probe *probe;
	const char *module;
};

FIXTURE_VARIANT_ADD(stuck_user, reads) {
	.use = { use_read }, .faults = { true },
};

FIXTURE_VARIANT_ADD(stuck_user, preads) {
	.use = { use_pread }, .faults = { true },
};

FIXTURE_VARIANT_ADD(stuck_user, reads_vectors) {
	.use = { use_readv }, .faults = { true },
};

FIXTURE_VARIANT_ADD(stuck_user, preads_vectors) {
	.use = { use_preadv }, .faults = { true },
};

FIXTURE_VARIANT_ADD(stuck_user, writes) {
	.use = { use_write }, .faults = { true },
};

FIXTURE_VARIANT_ADD(stuck_user, writes_vectors) {
	.use = { use_writev }, .faults = { true },
};

/* pread() does not lock the position, on which the other would wait already. */
FIXTURE_VARIANT_ADD(stuck_user, reads_and_writes) {
	.use = { use_pread, use_write }, .faults = { true, true },
};

FIXTURE_VARIANT_ADD(stuck_user, seeks_behind_a_read) {
	.use = { use_pread, use_lseek }, .faults = { true, false },
};

FIXTURE_VARIANT_ADD(stuck_user, reads_behind_a_read) {
	.use = { use_pread, use_read }, .faults = { true, false },
};

FIXTURE_VARIANT_ADD(stuck_user, writes_behind_a_write) {
	.use = { use_write, use_write }, .faults = { true, false },
};

FIXTURE_VARIANT_ADD(stuck_user, splices_to_a_full_pipe) {
	.use = { use_splice },
};

FIXTURE_VARIANT_ADD(stuck_user, splices_behind_a_vmsplice) {
	.use = { use_vmsplice, use_splice_behind }, .faults = { true, false },
};

FIXTURE_VARIANT_ADD(stuck_user, has_io_uring_read) {
	.use = { use_uring_read }, .faults = { true }, .uring = true,
};

FIXTURE_VARIANT_ADD(stuck_user, has_io_uring_write) {
	.use = { use_uring_write }, .faults = { true }, .uring = true,
};

FIXTURE_VARIANT_ADD(stuck_user, reads_to_fuse) {
	.use = { use_read }, .faults = { true }, .fuse = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(stuck_user, reads_to_shared_fuse) {
	.use = { use_read }, .faults = { true }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, reads_vectors_to_fuse) {
	.use = { use_readv }, .faults = { true }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, preads_to_fuse) {
	.use = { use_pread }, .faults = { true }, .fuse = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(stuck_user, preads_vectors_to_fuse) {
	.use = { use_preadv }, .faults = { true }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, writes_from_fuse) {
	.use = { use_write }, .faults = { true }, .fuse = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(stuck_user, writes_vectors_from_fuse) {
	.use = { use_writev }, .faults = { true }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, reads_and_writes_with_fuse) {
	.use = { use_pread, use_write }, .faults = { true, true }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, splices_behind_a_vmsplice_of_fuse) {
	.use = { use_vmsplice, use_splice_behind }, .faults = { true, false }, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_user, has_io_uring_read_to_fuse) {
	.use = { use_uring_read }, .faults = { true }, .fuse = MAP_SHARED, .uring = true,
};

FIXTURE_VARIANT_ADD(stuck_user, has_io_uring_write_from_fuse) {
	.use = { use_uring_write }, .faults = { true }, .fuse = MAP_PRIVATE, .uring = true,
};

FIXTURE_VARIANT_ADD(stuck_user, sends_from_fuse) {
	.use = { use_sendfile_from }, .faults = { true }, .fuse = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(stuck_user, sends_to_fuse) {
	.use = { use_sendfile_to }, .faults = { true }, .fuse = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(stuck_user, does_nothing) { };

FIXTURE_VARIANT_ADD(stuck_user, reads_by_the_path_of_another) {
	.use = { use_read }, .faults = { true }, .by_path = true,
};

FIXTURE_VARIANT_ADD(stuck_user, writes_by_the_path_of_another) {
	.use = { use_write }, .faults = { true }, .by_path = true,
};

FIXTURE_SETUP(stuck_user)
{
	int i;

	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->module);
	if (variant->fuse && fuse_allow())
		KERNEL_HAS_NO("FUSE");
	if (variant->uring && !uring_exists())
		KERNEL_HAS_NO("io_uring");
	self->probe = probe_new();
	ASSERT_NE(NULL, self->probe);
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, i ? IPV6 : IPV4));
}

FIXTURE_TEARDOWN(stuck_user)
{
	attacker_end(&self->attacker);
	if (!tcpdrop_loaded())
		module_load(self->module);
}

/* It hangs until the attacker ends, if it does. */
static void expect_probe(struct __test_metadata *_metadata, struct probe *probe, pid_t pid,
			 struct attacker *attacker)
{
	int ret = probe_wait(probe, pid);

	EXPECT_EQ(0, ret) TH_LOG("%s, or not", probe_step(probe));
	if (ret != -ETIMEDOUT)
		return;
	attacker_end(attacker);
	waitpid(pid, NULL, 0);
}

TEST_F(stuck_user, holds_up_nobody_and_leaves_nothing)
{
	ASSERT_EQ(0, attacker_start(&self->attacker, variant));
	expect_probe(_metadata, self->probe, probe_start(self->probe, self->conn),
		     &self->attacker);
	EXPECT_NE(0, if_nametoindex(TIE)) TH_LOG("an open file does not keep its namespace");

	attacker_end(&self->attacker);
	EXPECT_TRUE(WAIT_UNTIL(!if_nametoindex(TIE)));
	/* What io_uring has in hand of a process it lets go of after that. */
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
}

/* It has no position that could be written to: so nobody waits for the page of such a write. */
TEST(a_write_at_a_position_is_refused_before_its_page_is_looked_at)
{
	struct iovec iov[] = { { "#\n", 2 }, {} };
	struct pages pages;
	int fd;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, pages_make(&pages, 1));
	iov[1] = (struct iovec){ pages_get(&pages, 0), 1 };
	fd = open(PROC_FILE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, pages_get(&pages, 0), 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pwritev(fd, iov, 2, 0));
	EXPECT_EQ(ESPIPE, errno);
	close(fd);
}

/* Nor for the pipe that text would be spliced from: it is taken by write(2) alone. */
TEST(a_splice_to_it_is_refused_before_its_pipe_is_looked_at)
{
	struct pages pages;
	struct user user;
	char byte;
	int fd;

	REQUIRE_TCPDROP();
	ASSERT_EQ(0, pages_make(&pages, 1));
	fd = open(PROC_FILE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	user = (struct user){ .use = use_vmsplice, .page = pages_get(&pages, 0) };
	ASSERT_EQ(0, user_start(&user, &pages, true));
	EXPECT_EQ(-1, splice(pipe_end[0], NULL, fd, NULL, 1, 0));
	EXPECT_EQ(EINVAL, errno);

	EXPECT_EQ(0, page_bring(&pages, 0));
	EXPECT_EQ(0, pthread_join(user.thread, NULL));
	EXPECT_EQ(-1, splice(pipe_end[0], NULL, fd, NULL, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, read(pipe_end[0], &byte, 1));
	close(fd);
}

/* Of a rule of root's, which is about the namespace of whoever reads. */
FIXTURE_VARIANT(stuck_reader)
{
	const char *attr;
	bool plain;		/* not by root, but by a user without rights */
	int fuse;		/* as for stuck_user */
};

FIXTURE(stuck_reader)
{
	struct attacker attacker;
	struct rule rule;
	const char *module;
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_list) {
	.attr = "list",
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_count) {
	.attr = "count",
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_list_without_rights) {
	.attr = "list", .plain = true,
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_count_without_rights) {
	.attr = "count", .plain = true,
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_list_to_fuse) {
	.attr = "list", .plain = true, .fuse = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(stuck_reader, of_a_count_to_fuse) {
	.attr = "count", .plain = true, .fuse = MAP_PRIVATE,
};

FIXTURE_SETUP(stuck_reader)
{
	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->module);
	if (variant->fuse && fuse_allow())
		KERNEL_HAS_NO("FUSE");
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, rule_new(&self->rule, "harm"));
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
}

FIXTURE_TEARDOWN(stuck_reader)
{
	attacker_end(&self->attacker);
	rule_remove(&self->rule);
	if (!tcpdrop_loaded())
		module_load(self->module);
}

struct look {
	const struct _fixture_variant_stuck_reader *how;
	const struct rule *rule;
};

static int look(const struct attacker *attacker, const void *arg)
{
	const struct look *look = arg;
	struct user user = { .use = use_read };
	struct pages pages;
	struct pair pair;

	if (look->how->plain ? become_user_with_pages(&pages, look->how->fuse) :
			       pages_make(&pages, 1))
		return 2;
	if (netns_new() || make_pair(&pair))
		return 3;
	user.page = pages_get(&pages, 0);
	user.fd = rule_open(look->rule, look->how->attr, O_RDONLY);
	if (user.fd < 0 || user_start(&user, &pages, true))
		return 4;
	say(attacker, 's');
	for (;;)
		pause();
}

/* Neither the removal of the rule, nor the making of others, nor who looks besides. */
TEST_F(stuck_reader, holds_up_neither_this_rule_nor_others)
{
	const struct look how = { variant, &self->rule };
	struct rule other;
	int status = -1;
	char *list;
	pid_t pid;

	ASSERT_EQ(0, attacker_fork(&self->attacker, look, &how));
	ASSERT_TRUE(hear(&self->attacker, 's'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		list = rule_list(&self->rule);
		_exit(!list || rule_count(&self->rule) || rule_new(&other, "harm-other") ||
		      rule_remove(&other) || rule_remove(&self->rule));
	}
	EXPECT_TRUE(WAIT_UNTIL(waitpid(pid, &status, WNOHANG) == pid));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());

	attacker_end(&self->attacker);
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
}

TEST_HARNESS_MAIN
