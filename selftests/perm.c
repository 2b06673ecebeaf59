// SPDX-License-Identifier: GPL-2.0
/*
 * Who may drop and look: what processes get that lack the user id, the
 * capability or the namespace, and that nothing happens then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"

#define NOBODY 65534

/* Of connections in another namespace. */
#define OWN_ADDR "127.30.0.1"

#define FILES ARRAY_LEN(((struct rule_files *)0)->name)

/* What a process got: 0 or more, or a negative errno. */
struct attempt {
	int become;
	int set[FILES];
	int result[FILES];
	long count;
	long list;
	int commit;
	int proc;
};

static int become_same(void)
{
	return 0;
}

static int become_nobody(void)
{
	return seteuid(NOBODY) ? -errno : 0;
}

/* Uid 0 stays, and so do all the other capabilities. */
static int become_root_without_net_admin(void)
{
	int ret = net_admin_drop();

	if (ret)
		return ret;
	return geteuid() ? -EPROTO : 0;
}

/* The other capabilities go, and CAP_NET_ADMIN stays. */
static int become_root_with_net_admin_alone(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = CAP_TO_MASK(CAP_NET_ADMIN),
		  .permitted = CAP_TO_MASK(CAP_NET_ADMIN) },
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* As a service that is given this capability: it has another user id, and rights over no file. */
static int become_nobody_with_net_admin(void)
{
	if (prctl(PR_SET_KEEPCAPS, 1) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	return become_root_with_net_admin_alone();
}

static int become_root_elsewhere(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

/* All capabilities over a new user namespace, none over the one that it is in. */
static int become_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) ? -errno : 0;
}

/* The same, and over a network namespace that belongs to it. */
static int become_container(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) ? -errno : 0;
}

static int become_container_of_nobody(void)
{
	if (setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	return become_container();
}

/* How many lines the listing has. */
static long list_lines(const struct rule *rule)
{
	char *text = rule_list(rule);
	long lines = 0;
	char *at;

	if (!text)
		return -errno;
	for (at = text; (at = strchr(at, '\n')); at++)
		lines++;
	free(text);
	return lines;
}

/* What says what the last commit did, or what is wrong; the rest looks now. */
static bool is_of_the_past(const char *name)
{
	return !strncmp(name, "result/", 7) || !strcmp(name, "last_error");
}

static int open_proc_file(void)
{
	int fd = open(PROC_FILE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void look_and_drop(struct attempt *attempt, const struct rule *rule)
{
	struct rule_files files;
	char text[4096];
	size_t i;

	attempt->count = rule_count(rule);
	attempt->list = list_lines(rule);
	attempt->commit = rule_commit(rule);
	attempt->proc = open_proc_file();
	if (rule_files(rule, 0400, &files))
		return;
	for (i = 0; i < files.count; i++)
		if (is_of_the_past(files.name[i]))
			attempt->result[i] = rule_get(rule, files.name[i], text, sizeof(text));
}

static void drop_pairs(struct attempt *attempt, const struct rule *rule)
{
	struct pair pair[2];
	int listener, ret;

	listener = sock_listen(IPV4, "127.0.0.1", 0);
	ret = sock_pair(listener, IPV4, OWN_ADDR, 0, &pair[0]);
	if (!ret)
		ret = sock_pair(listener, IPV4, OWN_ADDR, 0, &pair[1]);
	if (ret)
		attempt->become = ret;
	else
		look_and_drop(attempt, rule);
}

/* With two connections of its own, so that there is something to see. */
static void look_and_drop_own(struct attempt *attempt, const struct rule *rule)
{
	attempt->become = netns_new();
	if (!attempt->become)
		drop_pairs(attempt, rule);
}

/* The same, and the rule names the namespace that it has. */
static void look_and_drop_named(struct attempt *attempt, const struct rule *rule)
{
	attempt->become = netns_new();
	if (!attempt->become)
		attempt->become = rule_setf(rule, "netns", "%lu", netns_inode());
	if (!attempt->become)
		drop_pairs(attempt, rule);
}

/* Attributes that are written, in the order of their directory. */
static int writable_attrs(const struct rule *rule, struct rule_files *files)
{
	struct rule_files all;
	size_t i;
	int ret;

	files->count = 0;
	ret = rule_files(rule, 0600, &all);
	for (i = 0; i < all.count && !ret; i++) {
		memcpy(files->name[files->count++], all.name[i], sizeof(all.name[i]));
		if (!rule_value(all.name[i]))
			ret = -ENODATA;
	}
	return ret;
}

static void write_all(struct attempt *attempt, const struct rule *rule)
{
	struct rule_files attrs;
	size_t i;

	attempt->become = writable_attrs(rule, &attrs);
	for (i = 0; i < attrs.count && !attempt->become; i++)
		attempt->set[i] = rule_set(rule, attrs.name[i], rule_value(attrs.name[i]));
}

FIXTURE(perm)
{
	struct rule rule;
	struct conn conn;
	struct rule_result before;
	struct rule_files attrs;
	struct rule_files readable;
	struct attempt *attempt;
};

FIXTURE_VARIANT(perm)
{
	enum family family;
};

FIXTURE_VARIANT_ADD(perm, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(perm, ipv6) { .family = IPV6 };

/* Drop one of the connection's kind, so that result/ has something to lose. */
static void fill_result(struct __test_metadata *_metadata, const struct rule *rule,
			struct rule_result *result)
{
	struct conn conn;

	ASSERT_EQ(0, conn_make(&conn, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_set_ends(rule, &conn.ends));
	ASSERT_EQ(0, rule_commit(rule));
	conn_close(&conn);
	ASSERT_EQ(0, rule_result_read(rule, result));
	ASSERT_EQ(1, result->dropped);
}

FIXTURE_SETUP(perm)
{
	REQUIRE_TCPDROP();
	self->attempt = mmap(NULL, sizeof(*self->attempt), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->attempt);
	ASSERT_EQ(0, conn_setup());
	ASSERT_EQ(0, rule_new(&self->rule, "perm"));
	fill_result(_metadata, &self->rule, &self->before);
	ASSERT_EQ(0, conn_make(&self->conn, ESTABLISHED, variant->family));
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->conn.ends));
	ASSERT_EQ(0, writable_attrs(&self->rule, &self->attrs)) {
		TH_LOG("nothing to write to %s", self->attrs.name[self->attrs.count - 1]);
	}
	ASSERT_LE(10, self->attrs.count);
	ASSERT_EQ(0, rule_files(&self->rule, 0400, &self->readable));
}

FIXTURE_TEARDOWN(perm)
{
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Have a process that has become something else try it. */
static void attempt_as(struct __test_metadata *_metadata, struct attempt *attempt,
		       int (*become)(void), const struct rule *rule,
		       void (*try)(struct attempt *attempt, const struct rule *rule))
{
	int status;
	pid_t pid;

	memset(attempt, 0, sizeof(*attempt));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		attempt->become = become();
		if (!attempt->become)
			try(attempt, rule);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, attempt->become);
}

/* The connection lives, and result/ is that of the commit before. */
static void expect_nothing_happened(struct __test_metadata *_metadata,
				    const struct rule *rule, const struct conn *conn,
				    const struct rule_result *before)
{
	struct rule_result after;

	EXPECT_TRUE(sock_talks(conn->fd, conn->peer));
	ASSERT_EQ(0, rule_result_read(rule, &after));
	EXPECT_EQ(before->matched, after.matched);
	EXPECT_EQ(before->dropped, after.dropped);
	EXPECT_EQ(before->failed, after.failed);
	EXPECT_EQ(before->remaining, after.remaining);
	EXPECT_EQ(before->elapsed_us, after.elapsed_us);
	EXPECT_STREQ(before->states, after.states);
}

static void expect_last_error(struct __test_metadata *_metadata,
			      const struct rule *rule, const char *what)
{
	char text[512];

	ASSERT_EQ(0, rule_get(rule, "last_error", text, sizeof(text)));
	EXPECT_EQ(0, strncmp(text, "commit: ", 8)) {
		TH_LOG("last_error: %s", text);
	}
	EXPECT_NE(NULL, strstr(text, what)) {
		TH_LOG("last_error: %s", text);
	}
}

static void expect_dropped_by_self(struct __test_metadata *_metadata,
				   const struct rule *rule, const struct conn *conn)
{
	EXPECT_EQ(1, rule_count(rule));
	EXPECT_EQ(0, rule_commit(rule));
	EXPECT_EQ(1, rule_result(rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd));
}

TEST_F(perm, nobody_writes_no_attribute)
{
	char before[128], after[128];
	size_t i;

	for (i = 0; i < self->attrs.count; i++) {
		const char *name = self->attrs.name[i];

		ASSERT_EQ(0, rule_get(&self->rule, name, before, sizeof(before)));
		attempt_as(_metadata, self->attempt, become_nobody, &self->rule, write_all);
		EXPECT_EQ(-EACCES, self->attempt->set[i]) {
			TH_LOG("%s", name);
		}
		ASSERT_EQ(0, rule_get(&self->rule, name, after, sizeof(after)));
		EXPECT_STREQ(before, after);
	}
}

TEST_F(perm, nobody_neither_drops_nor_looks)
{
	attempt_as(_metadata, self->attempt, become_nobody, &self->rule, look_and_drop);

	EXPECT_EQ(-EACCES, self->attempt->commit);
	EXPECT_EQ(-EPERM, self->attempt->count);
	EXPECT_EQ(-EPERM, self->attempt->list);
	EXPECT_EQ(-EACCES, self->attempt->proc);
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

TEST_F(perm, nobody_reads_what_the_last_commit_did)
{
	size_t i, results = 0;

	attempt_as(_metadata, self->attempt, become_nobody, &self->rule, look_and_drop);

	for (i = 0; i < self->readable.count; i++) {
		results += is_of_the_past(self->readable.name[i]);
		EXPECT_EQ(0, self->attempt->result[i]) {
			TH_LOG("%s", self->readable.name[i]);
		}
	}
	EXPECT_LE(7, results);
}

static void expect_no_rule_made_or_removed(struct __test_metadata *_metadata,
					   const struct rule *rule, int (*become)(void))
{
	struct rule other;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!become() && rule_new(&other, "perm-nobody") == -EACCES &&
		      rule_remove(rule) == -EACCES ? 0 : 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(perm, nobody_makes_and_removes_no_rule)
{
	expect_no_rule_made_or_removed(_metadata, &self->rule, become_nobody);
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

static void expect_no_attribute_written(struct __test_metadata *_metadata,
					FIXTURE_DATA(perm) * self, int (*become)(void))
{
	size_t i;

	attempt_as(_metadata, self->attempt, become, &self->rule, write_all);
	for (i = 0; i < self->attrs.count; i++)
		EXPECT_EQ(-EACCES, self->attempt->set[i]) {
			TH_LOG("%s", self->attrs.name[i]);
		}
}

/* The capability opens no file, and no directory, of root's. */
TEST_F(perm, nobody_with_the_capability_looks_and_does_nothing_else)
{
	size_t i;

	expect_no_attribute_written(_metadata, self, become_nobody_with_net_admin);
	expect_no_rule_made_or_removed(_metadata, &self->rule, become_nobody_with_net_admin);

	attempt_as(_metadata, self->attempt, become_nobody_with_net_admin,
		   &self->rule, look_and_drop);
	EXPECT_EQ(1, self->attempt->count);
	EXPECT_EQ(1, self->attempt->list);
	EXPECT_EQ(-EACCES, self->attempt->commit);
	EXPECT_EQ(-EACCES, self->attempt->proc);
	for (i = 0; i < self->readable.count; i++)
		EXPECT_EQ(0, self->attempt->result[i]) {
			TH_LOG("%s", self->readable.name[i]);
		}
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

TEST_F(perm, root_without_the_capability_neither_drops_nor_looks)
{
	attempt_as(_metadata, self->attempt, become_root_without_net_admin,
		   &self->rule, look_and_drop);

	EXPECT_EQ(-EPERM, self->attempt->commit);
	EXPECT_EQ(-EPERM, self->attempt->count);
	EXPECT_EQ(-EPERM, self->attempt->list);
	expect_last_error(_metadata, &self->rule, "CAP_NET_ADMIN");
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

TEST_F(perm, root_without_the_capability_prepares_a_rule)
{
	size_t i;

	attempt_as(_metadata, self->attempt, become_root_without_net_admin,
		   &self->rule, write_all);

	for (i = 0; i < self->attrs.count; i++)
		EXPECT_EQ(strcmp(self->attrs.name[i], "protect") ? 0 : -EPERM,
			  self->attempt->set[i]) {
			TH_LOG("%s", self->attrs.name[i]);
		}
}

static void expect_attempt_drops(struct __test_metadata *_metadata,
				 const struct attempt *attempt,
				 const struct rule *rule, const struct conn *conn)
{
	EXPECT_EQ(1, attempt->count);
	EXPECT_EQ(1, attempt->list);
	EXPECT_EQ(0, attempt->commit);
	EXPECT_EQ(1, rule_result(rule, "dropped"));
	EXPECT_EQ(ECONNABORTED, sock_error(conn->fd));
}

TEST_F(perm, root_drops_and_looks)
{
	attempt_as(_metadata, self->attempt, become_same, &self->rule, look_and_drop);

	expect_attempt_drops(_metadata, self->attempt, &self->rule, &self->conn);
}

TEST_F(perm, root_with_the_capability_alone_drops_and_looks)
{
	attempt_as(_metadata, self->attempt, become_root_with_net_admin_alone,
		   &self->rule, look_and_drop);

	expect_attempt_drops(_metadata, self->attempt, &self->rule, &self->conn);
}

/* It is in the namespace of the connection, which belongs to its parent. */
TEST_F(perm, a_user_namespace_gives_no_right_to_the_network_it_is_in)
{
	attempt_as(_metadata, self->attempt, become_user_namespace,
		   &self->rule, look_and_drop);

	EXPECT_EQ(-EPERM, self->attempt->commit);
	EXPECT_EQ(-EPERM, self->attempt->count);
	EXPECT_EQ(-EPERM, self->attempt->list);
	expect_last_error(_metadata, &self->rule, "CAP_NET_ADMIN");
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
}

/* Let the rule mean the connection, and those that there may be elsewhere. */
static void set_both(struct __test_metadata *_metadata, const struct rule *rule,
		     const struct conn *conn)
{
	ASSERT_EQ(0, rule_clear_ends(rule));
	ASSERT_EQ(0, rule_setf(rule, "saddr", "%s,%s", conn_targets(conn->family), OWN_ADDR));
}

/* The two that it has, and nothing of the one here. */
static void expect_own_alone(struct __test_metadata *_metadata,
			     const struct attempt *attempt,
			     const struct rule *rule, const struct conn *conn)
{
	EXPECT_EQ(2, attempt->count);
	EXPECT_EQ(2, attempt->list);
	EXPECT_EQ(0, attempt->commit);
	EXPECT_EQ(2, rule_result(rule, "matched"));
	EXPECT_EQ(2, rule_result(rule, "dropped"));
	EXPECT_TRUE(sock_talks(conn->fd, conn->peer));
	expect_dropped_by_self(_metadata, rule, conn);
}

TEST_F(perm, another_network_namespace_meets_its_own_connections_only)
{
	set_both(_metadata, &self->rule, &self->conn);
	attempt_as(_metadata, self->attempt, become_root_elsewhere,
		   &self->rule, look_and_drop_own);

	expect_own_alone(_metadata, self->attempt, &self->rule, &self->conn);
}

/* Uid 0 of the host in a container: the files are still its own. */
TEST_F(perm, a_container_meets_its_own_connections_only)
{
	set_both(_metadata, &self->rule, &self->conn);
	attempt_as(_metadata, self->attempt, become_container, &self->rule, look_and_drop_own);

	expect_own_alone(_metadata, self->attempt, &self->rule, &self->conn);
}

/* With nothing that matches, it is still no error. */
TEST_F(perm, a_container_without_connections_meets_none)
{
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	attempt_as(_metadata, self->attempt, become_container, &self->rule, look_and_drop);

	EXPECT_EQ(0, self->attempt->count);
	EXPECT_EQ(0, self->attempt->list);
	EXPECT_EQ(0, self->attempt->commit);
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	EXPECT_TRUE(sock_talks(self->conn.fd, self->conn.peer));
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

TEST_F(perm, a_container_of_nobody_writes_nothing)
{
	expect_no_attribute_written(_metadata, self, become_container_of_nobody);

	/* It reads what is its own to see. */
	set_both(_metadata, &self->rule, &self->conn);
	attempt_as(_metadata, self->attempt, become_container_of_nobody,
		   &self->rule, look_and_drop_own);
	EXPECT_EQ(-EACCES, self->attempt->commit);
	EXPECT_EQ(2, self->attempt->count);
	EXPECT_EQ(2, self->attempt->list);
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
}

/* More connections than a page has room for. */
#define MANY 100

static void look_at_many(struct attempt *attempt, const struct rule *rule)
{
	struct pair pair;
	int listener, i;

	attempt->become = netns_new();
	listener = sock_listen(IPV4, "127.0.0.1", 0);
	for (i = 0; i < MANY && !attempt->become; i++)
		attempt->become = sock_pair(listener, IPV4, OWN_ADDR, 0, &pair);
	attempt->count = rule_count(rule);
	attempt->list = list_lines(rule);
}

/* What is kept of a listing while its file is open is charged to nobody. */
TEST_F(perm, a_container_lists_no_more_than_a_page)
{
	set_both(_metadata, &self->rule, &self->conn);
	attempt_as(_metadata, self->attempt, become_container_of_nobody, &self->rule,
		   look_at_many);
	EXPECT_EQ(MANY, self->attempt->count);
	EXPECT_EQ(-EFBIG, self->attempt->list);

	attempt_as(_metadata, self->attempt, become_container, &self->rule, look_at_many);
	EXPECT_EQ(-EFBIG, self->attempt->list);

	attempt_as(_metadata, self->attempt, become_root_elsewhere, &self->rule, look_at_many);
	EXPECT_EQ(MANY, self->attempt->count);
	EXPECT_EQ(MANY, self->attempt->list);

	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

/* To name namespaces gives no right over them. */

static void expect_refused(struct __test_metadata *_metadata, FIXTURE_DATA(perm) * self,
			   int (*become)(void), const char *netns)
{
	ASSERT_EQ(0, rule_set(&self->rule, "netns", netns));
	attempt_as(_metadata, self->attempt, become, &self->rule, look_and_drop);
	EXPECT_EQ(-EPERM, self->attempt->commit) TH_LOG("%s", netns);
	EXPECT_EQ(-EPERM, self->attempt->count) TH_LOG("%s", netns);
	EXPECT_EQ(-EPERM, self->attempt->list) TH_LOG("%s", netns);
	expect_last_error(_metadata, &self->rule, "CAP_NET_ADMIN");
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
}

/* Here, elsewhere, both, or a number that nobody has. */
static void expect_all_refused(struct __test_metadata *_metadata, FIXTURE_DATA(perm) * self,
			       int (*become)(void))
{
	char netns[64];

	snprintf(netns, sizeof(netns), "%lu", netns_inode());
	expect_refused(_metadata, self, become, netns);
	snprintf(netns, sizeof(netns), "1,net:[%lu]", netns_inode());
	expect_refused(_metadata, self, become, netns);
	expect_refused(_metadata, self, become, "all");
}

TEST_F(perm, root_without_the_capability_is_refused_whatever_it_names)
{
	expect_all_refused(_metadata, self, become_root_without_net_admin);
	expect_refused(_metadata, self, become_root_without_net_admin, "1");
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	expect_dropped_by_self(_metadata, &self->rule, &self->conn);
}

TEST_F(perm, a_user_namespace_gives_no_right_to_what_it_names)
{
	expect_all_refused(_metadata, self, become_user_namespace);
}

TEST_F(perm, a_container_is_refused_all_and_what_is_not_its_own)
{
	expect_all_refused(_metadata, self, become_container);
}

/* The right over its own does not help, nor over what it names besides. */
static void name_both_and_drop(struct attempt *attempt, const struct rule *rule)
{
	attempt->become = rule_setf(rule, "netns", "+%lu", netns_inode());
	if (!attempt->become)
		drop_pairs(attempt, rule);
}

static int become_container_with_lo(void)
{
	int ret = become_container();

	return ret ? ret : netns_new();
}

TEST_F(perm, a_container_is_refused_its_own_together_with_another)
{
	set_both(_metadata, &self->rule, &self->conn);
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", netns_inode()));
	attempt_as(_metadata, self->attempt, become_container_with_lo, &self->rule,
		   name_both_and_drop);
	EXPECT_EQ(-EPERM, self->attempt->commit);
	EXPECT_EQ(-EPERM, self->attempt->count);
	EXPECT_EQ(-EPERM, self->attempt->list);
	expect_nothing_happened(_metadata, &self->rule, &self->conn, &self->before);
}

TEST_F(perm, a_container_names_its_own)
{
	set_both(_metadata, &self->rule, &self->conn);
	attempt_as(_metadata, self->attempt, become_container, &self->rule,
		   look_and_drop_named);
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "self"));
	expect_own_alone(_metadata, self->attempt, &self->rule, &self->conn);
}

/* From a namespace of its own, over which it has the right as well. */
TEST_F(perm, root_names_another_than_its_own)
{
	ASSERT_EQ(0, rule_setf(&self->rule, "netns", "%lu", netns_inode()));
	attempt_as(_metadata, self->attempt, become_root_elsewhere, &self->rule, look_and_drop);
	expect_attempt_drops(_metadata, self->attempt, &self->rule, &self->conn);
}

TEST_HARNESS_MAIN
