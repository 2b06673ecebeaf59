// SPDX-License-Identifier: GPL-2.0
/*
 * An unprivileged user who is root in namespaces of its own has one chain of the
 * table grow as long as its files allow, with sockets that talk to nobody: each has
 * the same ends, and is bound to a device of its own once it is connected.
 *
 * TCPDROP_CHAIN is how many there are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_conn.h"
#include "tcpdrop_host.h"
#include "tcpdrop_probe.h"

#define USER 1000
#define CHAIN 10000
#define CLIENT_PORT 7001
#define SERVER_PORT 7000

/* Binding by index does not ask whether there is such a device. */
#define FIRST_DEVICE 1000

/* What the attacker does, in memory that is shared with it. */
struct attack {
	int made;
	int rounds;
	int err;
	int stop;
};

static int get(const int *of)
{
	return __atomic_load_n(of, __ATOMIC_ACQUIRE);
}

static void set(int *of, int to)
{
	__atomic_store_n(of, to, __ATOMIC_RELEASE);
}

static int chain_length(void)
{
	const char *text = getenv("TCPDROP_CHAIN");

	return text ? atoi(text) : CHAIN;
}

static int set_repair(int fd, int mode)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof(mode)) ? -errno : 0;
}

/* Under repair a socket is connected by saying so. */
static int add_socket(const struct end *to, int device)
{
	int fd = sock_new(IPV4);
	int ret = fd < 0 ? fd : set_repair(fd, TCP_REPAIR_ON);

	if (!ret)
		ret = sock_connect(fd, IPV4, to);
	if (!ret && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device, sizeof(device)))
		ret = -errno;
	return ret ? ret : set_repair(fd, TCP_REPAIR_OFF_NO_WP);
}

static int make_chain(struct attack *attack, int length)
{
	char ports[32];
	struct end to;
	int ret;

	ret = end_parse(&to, "127.0.0.1", SERVER_PORT);
	if (ret)
		return ret;
	snprintf(ports, sizeof(ports), "%d %d", CLIENT_PORT, CLIENT_PORT);
	ret = file_write("/proc/sys/net/ipv4/ip_local_port_range", ports);
	for (; !ret && attack->made < length; set(&attack->made, attack->made + 1))
		ret = add_socket(&to, FIRST_DEVICE + attack->made);
	return ret;
}

/* All are listed, and a rule looks at each and means none. */
static int look_at_chain(int length)
{
	char *text = file_read_all(PROC_FILE);
	int listed;

	if (!text)
		return -errno;
	listed = text_count(text, "127.0.0.1:7001 127.0.0.1:7000 ESTABLISHED\n");
	free(text);
	if (listed != length)
		return -EPROTO;
	return file_write(PROC_FILE, "state=close_wait\n") == -ESRCH ? 0 : -EPROTO;
}

static void attacker_main(struct attack *attack, int length)
{
	struct rlimit files = { length + 100, length + 100 };
	int ret = setrlimit(RLIMIT_NOFILE, &files) ? -errno : user_become(USER);

	if (!ret)
		ret = netns_new();
	if (!ret)
		ret = make_chain(attack, length);
	while (!ret && !get(&attack->stop)) {
		ret = look_at_chain(length);
		set(&attack->rounds, attack->rounds + 1);
	}
	set(&attack->err, ret);
	set(&attack->stop, 2);
	for (;;)
		pause();
}

FIXTURE(chain)
{
	struct attack *attack;
	struct conn conn[2];
	struct conn bystander;
	struct probe *probe;
	struct rule rule;
	const char *module;
	int length;
	pid_t pid;
};

static bool grows(const struct attack *attack, int *seen)
{
	int made = get(&attack->made);
	bool more = made > *seen;

	*seen = made;
	return more;
}

FIXTURE_SETUP(chain)
{
	int i, seen = 0;

	REQUIRE_TCPDROP();
	REQUIRE_MODULE(self->module);
	self->length = chain_length();
	self->attack = mmap(NULL, sizeof(*self->attack), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->attack);
	self->probe = probe_new();
	ASSERT_NE(NULL, self->probe);
	ASSERT_EQ(0, conn_setup());
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, conn_make(&self->conn[i], ESTABLISHED, i ? IPV6 : IPV4));
	ASSERT_EQ(0, conn_make(&self->bystander, ESTABLISHED, IPV4));
	ASSERT_EQ(0, rule_new(&self->rule, "chain"));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		attacker_main(self->attack, self->length);
	while (get(&self->attack->made) < self->length && !get(&self->attack->err))
		ASSERT_TRUE(WAIT_UNTIL(grows(self->attack, &seen) || get(&self->attack->err)));
	ASSERT_EQ(0, get(&self->attack->err));
}

static void attacker_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

FIXTURE_TEARDOWN(chain)
{
	attacker_end(&self->pid);
	rule_remove(&self->rule);
	if (!tcpdrop_loaded())
		module_load(self->module);
}

TEST_F_TIMEOUT(chain, holds_up_nobody_and_goes_whole, 3600)
{
	struct attack *attack = self->attack;
	int before = get(&attack->rounds), ret;
	pid_t pid;

	/* While its owner reads it again and again. */
	pid = probe_start(self->probe, self->conn);
	ASSERT_LE(0, pid);
	ret = probe_wait(self->probe, pid);
	EXPECT_EQ(0, ret) TH_LOG("%s, or not", probe_step(self->probe));
	if (ret == -ETIMEDOUT) {
		attacker_end(&self->pid);
		waitpid(pid, NULL, 0);
	}
	ASSERT_EQ(0, ret);
	ASSERT_TRUE(WAIT_UNTIL(get(&attack->rounds) > before || get(&attack->err)));
	ASSERT_EQ(0, get(&attack->err));
	TH_LOG("%d sockets; the slowest: %s, %lld ms", self->length,
	       probe_slowest(self->probe), (long long)self->probe->slowest_ms);

	/* Nobody else's rule means it, but where it says so. */
	ASSERT_EQ(0, rule_setf(&self->rule, "sport", "%d", CLIENT_PORT));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(0, rule_result(&self->rule, "matched"));
	set(&attack->stop, 1);
	ASSERT_TRUE(WAIT_UNTIL(get(&attack->stop) == 2));
	ASSERT_EQ(0, get(&attack->err));
	ASSERT_EQ(0, rule_set(&self->rule, "netns", "all"));
	EXPECT_EQ(self->length, rule_count(&self->rule));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(self->length, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(0, rule_result(&self->rule, "failed"));
	EXPECT_EQ(0, rule_result(&self->rule, "remaining"));
	EXPECT_EQ(0, rule_count(&self->rule));
	TH_LOG("%ld ms to drop them", rule_result(&self->rule, "elapsed_us") / 1000);
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));

	attacker_end(&self->pid);
	EXPECT_EQ(0, rule_remove(&self->rule));
	EXPECT_TRUE(WAIT_UNTIL(!module_unload()));
	EXPECT_EQ(0, module_load(self->module));
	EXPECT_TRUE(sock_talks(self->bystander.fd, self->bystander.peer));
}

TEST_HARNESS_MAIN
