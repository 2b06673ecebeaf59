// SPDX-License-Identifier: GPL-2.0
/*
 * Rules through io_uring, whose workers stay in the network namespace that
 * their process was in when they were made: what depends on the namespace is
 * refused there.  Some kernels read a file in the system call of the process
 * itself if they can: that has its own namespace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_uring.h"

/* Two namespaces, a connection in each, and a process that went from one to the other. */
FIXTURE(uring)
{
	struct uring ring;
	struct conn before[2];
	struct conn after;
	struct rule rule;
};

FIXTURE_VARIANT(uring)
{
	int flags;
};

FIXTURE_VARIANT_ADD(uring, at_once) { .flags = 0 };
FIXTURE_VARIANT_ADD(uring, async) { .flags = IOSQE_ASYNC };

/* A request that a worker carries out, so that there is one. */
static int make_worker(struct uring *ring)
{
	int ret, fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	char text[32];

	if (fd < 0)
		return -errno;
	ret = uring_rw(ring, IORING_OP_READ, fd, text, sizeof(text), IOSQE_ASYNC);
	close(fd);
	return ret > 0 ? 0 : -EIO;
}

FIXTURE_SETUP(uring)
{
	int ret;

	REQUIRE_TCPDROP();
	ret = uring_make(&self->ring);
	if (ret == -EOPNOTSUPP)
		KERNEL_HAS_NO("io_uring");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->before[0], ESTABLISHED, IPV4));
	ASSERT_EQ(0, conn_make(&self->before[1], ESTABLISHED, IPV4));
	ASSERT_EQ(0, make_worker(&self->ring));
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, conn_make(&self->after, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_new(&self->rule, "uring"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(IPV4)));
}

FIXTURE_TEARDOWN(uring)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

static void expect_before(struct __test_metadata *_metadata, const FIXTURE_DATA(uring) * self)
{
	int i;

	for (i = 0; i < ARRAY_LEN(self->before); i++)
		EXPECT_TRUE(sock_talks(self->before[i].fd, self->before[i].peer));
}

TEST_F(uring, commits_nothing)
{
	struct rule_result result;
	int fd;

	fd = rule_open(&self->rule, "commit", O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP,
		  uring_rw(&self->ring, IORING_OP_WRITE, fd, "1\n", 2, variant->flags));
	expect_before(_metadata, self);
	EXPECT_TRUE(sock_talks(self->after.fd, self->after.peer));
	ASSERT_EQ(0, rule_result_read(&self->rule, &result));
	EXPECT_EQ(0, result.matched);
	EXPECT_EQ(0, result.dropped);

	/* It was neither the rule nor the file. */
	EXPECT_EQ(2, write(fd, "1\n", 2));
	EXPECT_EQ(ECONNABORTED, sock_error(self->after.fd));
	expect_before(_metadata, self);
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	close(fd);
}

/* Refused, or what the process reads itself. */
static void expect_refused(struct __test_metadata *_metadata, FIXTURE_DATA(uring) * self,
			   const char *attr, int flags)
{
	char text[4096] = "", own[4096];
	int ret, fd = rule_open(&self->rule, attr, O_RDONLY);

	ASSERT_LE(0, fd);
	ret = uring_rw(&self->ring, IORING_OP_READ, fd, text, sizeof(text) - 1, flags);
	close(fd);
	if (ret < 0 || flags & IOSQE_ASYNC) {
		EXPECT_EQ(-EOPNOTSUPP, ret) TH_LOG("%s", attr);
		return;
	}
	text[strcspn(text, "\n")] = '\0';
	ASSERT_EQ(0, rule_get(&self->rule, attr, own, sizeof(own)));
	EXPECT_STREQ(own, text);
}

TEST_F(uring, neither_counts_nor_lists)
{
	char text[256], list[256];

	expect_refused(_metadata, self, "count", variant->flags);
	expect_refused(_metadata, self, "list", variant->flags);
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rule_get(&self->rule, "list", list, sizeof(list)));
	ends_print(&self->after.ends, conn_state(ESTABLISHED), text, sizeof(text));
	EXPECT_NE(NULL, strstr(list, text));
}

/* What a rule names does not depend on where the worker is. */
TEST_F(uring, commits_where_the_rule_names_the_namespace)
{
	int fd;

	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", netns_inode()));
	fd = rule_open(&self->rule, "commit", O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(2, uring_rw(&self->ring, IORING_OP_WRITE, fd, "1\n", 2, variant->flags));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(self->after.fd));
	expect_before(_metadata, self);
	close(fd);
}

/* Nobody can tell whose sockets "self" would protect. */
TEST_F(uring, protects_nothing)
{
	char text[16];
	int fd;

	fd = rule_open(&self->rule, "protect", O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP,
		  uring_rw(&self->ring, IORING_OP_WRITE, fd, "yes", 3, variant->flags));
	close(fd);
	ASSERT_EQ(0, rule_get(&self->rule, "protect", text, sizeof(text)));
	EXPECT_STREQ("no", text);
	EXPECT_EQ(1, rule_count(&self->rule));
	expect_before(_metadata, self);
}

TEST_F(uring, reads_and_writes_what_has_no_namespace)
{
	char text[64] = "";
	int fd;

	fd = rule_open(&self->rule, "sport", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(3, uring_rw(&self->ring, IORING_OP_WRITE, fd, "443", 3, variant->flags));
	ASSERT_EQ(0, rule_get(&self->rule, "sport", text, sizeof(text)));
	EXPECT_STREQ("443", text);
	close(fd);
}

TEST_HARNESS_MAIN
