// SPDX-License-Identifier: GPL-2.0
/*
 * Whose sockets: those of a cgroup, and those of a process, in every kind of
 * socket that the kernel has; and what ss(8) says of the same sockets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define CGROUPS "/sys/fs/cgroup"

/* Whether a target of this kind is a socket of its own, and no minisock. */
static bool is_minisock(enum kind kind)
{
	return kind == TIME_WAIT || kind == FIN_WAIT_2_MINISOCK;
}

/* How many lines ss(8) prints that have @part, or -1 if there is no ss. */
static int ss_count(const char *command, const char *part)
{
	FILE *ss = popen(command, "r");
	char line[65536];
	int count = 0;

	if (!ss)
		return -1;
	while (fgets(line, sizeof(line), ss))
		count += !!strstr(line, part);
	return pclose(ss) ? -1 : count;
}

/* Cgroups: sockets are made in that of their process, and stay in it. */

static int enter(const char *cgroup)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	return file_write(path, "0");
}

FIXTURE(cgroup)
{
	char base[64];
	char in[80];
	char below[96];
	char beside[80];	/* whose name begins as the other's */
	const char *in_path;
	struct rule rule;
};

FIXTURE_VARIANT(cgroup)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(cgroup, ipv4)
{
	.family = IPV4,
};

FIXTURE_VARIANT_ADD(cgroup, ipv6)
{
	.family = IPV6,
};

FIXTURE_VARIANT_ADD(cgroup, dual)
{
	.family = DUAL,
};

FIXTURE_SETUP(cgroup)
{
	REQUIRE_TCPDROP();
	snprintf(self->base, sizeof(self->base), CGROUPS "/tcpdrop-%d", getpid());
	snprintf(self->in, sizeof(self->in), "%s/in", self->base);
	snprintf(self->below, sizeof(self->below), "%s/below", self->in);
	snprintf(self->beside, sizeof(self->beside), "%s/inn", self->base);
	self->in_path = self->in + strlen(CGROUPS);
	if (access(CGROUPS "/cgroup.procs", W_OK))
		SKIP(return, "no cgroup v2 in " CGROUPS);
	ASSERT_EQ(0, mkdir(self->base, 0755));
	ASSERT_EQ(0, mkdir(self->in, 0755));
	ASSERT_EQ(0, mkdir(self->below, 0755));
	ASSERT_EQ(0, mkdir(self->beside, 0755));
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "who-cgroup"));
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", conn_targets(variant->family)));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", self->in_path));
}

FIXTURE_TEARDOWN(cgroup)
{
	rule_remove(&self->rule);
	EXPECT_EQ(0, enter(CGROUPS));
	rmdir(self->below);
	rmdir(self->beside);
	rmdir(self->in);
	EXPECT_EQ(0, rmdir(self->base));
}

/* A connection both ends of which are made in @cgroup; the process leaves it. */
static int conn_make_in(struct conn *conn, const char *cgroup, enum kind kind,
			enum family family)
{
	int ret;

	ret = enter(cgroup);
	if (!ret)
		ret = conn_make(conn, kind, family);
	if (!ret)
		ret = enter(CGROUPS);
	return ret;
}

static long count_cgroup(const struct rule *rule, const char *prefix, const char *dir)
{
	int ret = rule_setf(rule, "cgroup", "%s%s", prefix, dir + strlen(CGROUPS));

	return ret ? ret : rule_count(rule);
}

TEST_F(cgroup, has_every_socket_made_in_it_but_no_minisock)
{
	struct conn conn, bystander;
	enum kind kind;
	int expected;

	ASSERT_EQ(0, conn_make_in(&bystander, self->beside, ESTABLISHED, variant->family));
	for (kind = 0; kind < KINDS; kind++) {
		ASSERT_EQ(0, conn_make_in(&conn, self->in, kind, variant->family))
			TH_LOG("kind %d", kind);
		expected = !is_minisock(kind);
		EXPECT_EQ(0, count_cgroup(&self->rule, "!", self->base)) TH_LOG("kind %d", kind);
		EXPECT_EQ(expected + 1, count_cgroup(&self->rule, "", self->base))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(expected, count_cgroup(&self->rule, "!", self->beside))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(0, count_cgroup(&self->rule, "", self->below))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(expected, count_cgroup(&self->rule, "", self->in))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(0, rule_commit(&self->rule));
		EXPECT_EQ(expected, rule_result(&self->rule, "dropped"))
			TH_LOG("kind %d", kind);
		EXPECT_EQ(!expected, ends_in_table(&conn.ends)) TH_LOG("kind %d", kind);
		EXPECT_TRUE(sock_talks(bystander.fd, bystander.peer)) TH_LOG("kind %d", kind);
		conn_close(&conn);
	}
	conn_close(&bystander);
}

TEST_F(cgroup, has_those_below_it_and_not_those_beside_or_above)
{
	struct conn above, below, beside;

	ASSERT_EQ(0, conn_make_in(&above, self->base, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make_in(&below, self->below, ESTABLISHED, variant->family));
	ASSERT_EQ(0, conn_make_in(&beside, self->beside, ESTABLISHED, variant->family));
	EXPECT_EQ(3, count_cgroup(&self->rule, "", self->base));
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->below));
	EXPECT_EQ(2, count_cgroup(&self->rule, "!", self->in));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", "/"));
	EXPECT_EQ(3, rule_count(&self->rule));
	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", "!/"));
	EXPECT_EQ(0, rule_count(&self->rule));

	ASSERT_EQ(0, rule_set(&self->rule, "cgroup", self->in_path));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(below.fd));
	EXPECT_TRUE(sock_talks(above.fd, above.peer));
	EXPECT_TRUE(sock_talks(beside.fd, beside.peer));
}

TEST_F(cgroup, keeps_the_sockets_of_a_process_that_leaves)
{
	struct conn conn;

	ASSERT_EQ(0, conn_make_in(&conn, self->in, ESTABLISHED, variant->family));
	ASSERT_EQ(0, enter(self->beside));
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->in));
	EXPECT_EQ(0, count_cgroup(&self->rule, "", self->beside));
}

TEST_F(cgroup, that_is_removed_is_not_found_and_nothing_is_dropped)
{
	struct conn conn;
	char text[256];

	ASSERT_EQ(0, conn_make_in(&conn, self->in, ESTABLISHED, variant->family));
	EXPECT_EQ(1, rule_count(&self->rule));
	ASSERT_EQ(0, rmdir(self->below));
	ASSERT_EQ(0, rmdir(self->in));

	EXPECT_EQ(-ENOENT, rule_count(&self->rule));
	EXPECT_EQ(-ENOENT, rule_get(&self->rule, "list", text, sizeof(text)));
	EXPECT_EQ(-ENOENT, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	ASSERT_EQ(0, rule_get(&self->rule, "last_error", text, sizeof(text)));
	EXPECT_STREQ("commit: \"1\": the cgroup does not exist any more", text);
	EXPECT_EQ(-ENOENT, rule_set(&self->rule, "cgroup", self->in_path));
	ASSERT_EQ(0, rule_get(&self->rule, "cgroup", text, sizeof(text)));
	EXPECT_EQ(0, strncmp(self->in_path, text, strlen(self->in_path)));
	EXPECT_TRUE(sock_talks(conn.fd, conn.peer));

	/* Its sockets are where they were; what has its name now is another. */
	EXPECT_EQ(1, count_cgroup(&self->rule, "", self->base));
	ASSERT_EQ(0, mkdir(self->in, 0755));
	EXPECT_EQ(0, count_cgroup(&self->rule, "", self->in));
	EXPECT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_TRUE(sock_talks(conn.fd, conn.peer));
}

/* ss shows requests and minisocks by themselves, and none below a cgroup. */
TEST_F(cgroup, has_what_ss_shows)
{
	static const enum kind kinds[] = {
		SYN_SENT, SYN_RCVD_FULL, ESTABLISHED, NOT_ACCEPTED, CLOSE_WAIT,
		FIN_WAIT_1_ORPHAN, FIN_WAIT_2, TIME_WAIT,
	};
	struct conn conn[ARRAY_LEN(kinds)];
	char command[256];
	size_t i;
	int lines;

	for (i = 0; i < ARRAY_LEN(kinds); i++)
		ASSERT_EQ(0, conn_make_in(&conn[i], self->in, kinds[i], variant->family))
			TH_LOG("kind %d", kinds[i]);
	snprintf(command, sizeof(command), "ss -Htn state connected cgroup %s", self->in);
	lines = ss_count(command, "");
	if (lines < 0)
		SKIP(return, "no ss that knows cgroups");
	ASSERT_EQ(0, rule_set(&self->rule, "saddr", "any"));
	EXPECT_LE(2 * (int)ARRAY_LEN(kinds) - 4, lines);
	EXPECT_EQ(lines, rule_count(&self->rule));
}

TEST_HARNESS_MAIN
