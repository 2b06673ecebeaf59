// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets of the kernel's own that look like a process's: those of NVMe/TCP,
 * host and target, which hold their namespace as a process's do, those of an
 * NFS server whose listener user space has made, that of a 9P mount, which has
 * a file, and one that was handed to NBD and closed. No rule matches them, no
 * line drops them, no listing shows them, and they go on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "tcpdrop_util.h"

#define ADDR "127.0.0.1"

static int load(const char *modules)
{
	char command[128];

	snprintf(command, sizeof(command), "modprobe -a %s 2>/dev/null", modules);
	return system(command) ? -ENOENT : 0;
}

/* The sockets that have this port at the one end or at both: all of them the kernel's. */
static int find_sockets(struct table *found, uint16_t port)
{
	size_t i, kept = 0;
	int ret = table_read(found);

	for (i = 0; i < found->count; i++)
		if (found->entry[i].ends.local.port == port ||
		    found->entry[i].ends.remote.port == port)
			found->entry[kept++] = found->entry[i];
	found->count = ret ? 0 : kept;
	return ret;
}

/* It is there, and it is not to be dropped. */
static void expect_line_refused(struct __test_metadata *_metadata, const struct ends *ends)
{
	char line[160];

	ends_print(ends, TCP_ESTABLISHED, line, sizeof(line));
	EXPECT_EQ(-EPERM, ends_drop(ends)) TH_LOG("%s", line);
	EXPECT_TRUE(ends_in_table(ends)) TH_LOG("%s", line);
}

static void expect_not_listed(struct __test_metadata *_metadata, const struct ends *ends)
{
	char *list = file_read_all(PROC_FILE);
	char line[160];

	ASSERT_NE(NULL, list);
	ends_print(ends, TCP_ESTABLISHED, line, sizeof(line));
	*strrchr(line, ' ') = '\0';
	EXPECT_EQ(0, text_count(list, line)) TH_LOG("%s", line);
	free(list);
}

/* The rule matches nothing that there is, whether it looks or drops. */
static void expect_none(struct __test_metadata *_metadata, const struct rule *rule)
{
	char *list = rule_list(rule);

	EXPECT_EQ(0, rule_count(rule));
	ASSERT_NE(NULL, list);
	EXPECT_STREQ("", list);
	free(list);
	ASSERT_EQ(0, rule_commit(rule));
	EXPECT_EQ(0, rule_result(rule, "matched"));
	EXPECT_EQ(0, rule_result(rule, "dropped"));
}

/* Neither end of the port matches, whatever its state. */
static void expect_port_spared(struct __test_metadata *_metadata, const struct rule *rule,
			       const char *port_attr, uint16_t port)
{
	ASSERT_EQ(0, rule_set(rule, "state", "all,LISTEN"));
	ASSERT_EQ(0, rule_setf(rule, port_attr, "%u", port));
	expect_none(_metadata, rule);
	ASSERT_EQ(0, rule_set(rule, port_attr, "any"));
}

/*
 * The end that the kernel has of a connection to a port is there, and it is not to be
 * dropped but by a rule for the kernel's own.
 */
static void expect_spared(struct __test_metadata *_metadata, const struct rule *rule,
			  const struct ends *ends)
{
	expect_port_spared(_metadata, rule, "dport", ends->remote.port);
	expect_not_listed(_metadata, ends);
	expect_line_refused(_metadata, ends);
	ASSERT_EQ(0, rule_setf(rule, "dport", "%u", ends->remote.port));
	ASSERT_EQ(0, rule_set(rule, "kernel", "yes"));
	EXPECT_EQ(1, rule_count(rule));
	ASSERT_EQ(0, rule_set(rule, "kernel", "no"));
	EXPECT_EQ(0, rule_count(rule));
}

/* A listener that this process has, for what the kernel connects to. */
static int listen_for_kernel(struct end *end)
{
	int listener = sock_listen(IPV4, ADDR, 0);

	return listener < 0 || end_of(listener, end) ? -errno : listener;
}

/* NVMe/TCP over loopback: the host and the target are this kernel. */

#define NVME_PORT 4420
#define NVME_PORT_TEXT "4420"
#define NQN "nqn.2024-01.test:tcpdrop"
#define NVMET "/sys/kernel/config/nvmet"
#define SUBSYSTEM NVMET "/subsystems/" NQN
#define NVMET_PORT NVMET "/ports/4420"
#define NAMESPACE_MB 8
#define BLOCK 4096
#define BLOCKS 64	/* so many more go over the wire after a drop */

FIXTURE(nvme)
{
	struct rule rule;
	char file[64];		/* what the target serves */
	char delete[96];	/* a 1 in there ends the host's controller */
	int log;
	int disk;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	atomic_long blocks;	/* that the thread has written and read */
	atomic_int err;
};

static int make_file(char *path)
{
	int ret, fd;

	strcpy(path, "/tmp/tcpdrop-nvme-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -errno;
	ret = ftruncate(fd, NAMESPACE_MB << 20) ? -errno : 0;
	close(fd);
	return ret;
}

/* A directory of configfs, which may have been there before. */
static int make_dir(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static int make_subsystem(const char *file)
{
	int ret;

	ret = make_dir(SUBSYSTEM);
	if (!ret)
		ret = file_write(SUBSYSTEM "/attr_allow_any_host", "1");
	if (!ret)
		ret = make_dir(SUBSYSTEM "/namespaces/1");
	if (!ret)
		ret = file_write(SUBSYSTEM "/namespaces/1/device_path", file);
	if (!ret)
		ret = file_write(SUBSYSTEM "/namespaces/1/buffered_io", "1");
	return ret ? ret : file_write(SUBSYSTEM "/namespaces/1/enable", "1");
}

/* The target listens, in this namespace, from the moment of the link on. */
static int make_port(void)
{
	int ret;

	ret = make_dir(NVMET_PORT);
	if (!ret)
		ret = file_write(NVMET_PORT "/addr_trtype", "tcp");
	if (!ret)
		ret = file_write(NVMET_PORT "/addr_adrfam", "ipv4");
	if (!ret)
		ret = file_write(NVMET_PORT "/addr_traddr", ADDR);
	if (!ret)
		ret = file_write(NVMET_PORT "/addr_trsvcid", NVME_PORT_TEXT);
	if (!ret && symlink(SUBSYSTEM, NVMET_PORT "/subsystems/" NQN))
		ret = -errno;
	return ret;
}

/* Have the host connect. Returns the number of its controller. */
static int host_connect(void)
{
	static const char options[] = "transport=tcp,traddr=" ADDR ",trsvcid=" NVME_PORT_TEXT
				      ",nqn=" NQN ",nr_io_queues=2";
	int fd = open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC);
	char answer[64] = "";
	int ret, instance;

	if (fd < 0)
		return -errno;
	ret = write(fd, options, strlen(options)) < 0 ? -errno : 0;
	if (!ret && read(fd, answer, sizeof(answer) - 1) < 0)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	return sscanf(answer, "instance=%d", &instance) == 1 ? instance : -EPROTO;
}

/* The disk of a controller. Its node is there a little before it can be opened. */
static int open_disk(int instance)
{
	char device[64];

	snprintf(device, sizeof(device), "/dev/nvme%dn1", instance);
	return open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
}

/* Write a block and read it back, all the time. */
static void *disk_main(void *arg)
{
	FIXTURE_DATA(nvme) * self = arg;
	char *block = aligned_alloc(BLOCK, BLOCK);
	long i;

	for (i = 0; block && !atomic_load(&self->stop); i++) {
		off_t offset = i % BLOCKS * BLOCK;

		memset(block, i, BLOCK);
		if (pwrite(self->disk, block, BLOCK, offset) != BLOCK ||
		    pread(self->disk, block, BLOCK, offset) != BLOCK || *block != (char)i) {
			atomic_store(&self->err, errno ?: EPROTO);
			break;
		}
		atomic_fetch_add(&self->blocks, 1);
	}
	free(block);
	return NULL;
}

/* Before 5.17 it waits for a workqueue that it may not wait for, and the kernel warns. */
static bool target_warns(void)
{
	struct utsname name;
	int major, minor;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return false;
	return major < 5 || (major == 5 && minor < 17);
}

FIXTURE_SETUP(nvme)
{
	int instance;

	REQUIRE_TCPDROP();
	if (target_warns())
		KERNEL_HAS_NO("NVMe/TCP target that works without a warning");
	if (load("nvmet-tcp nvme-tcp"))
		KERNEL_HAS_NO("NVMe/TCP");
	ASSERT_EQ(0, netns_new());
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
	ASSERT_EQ(0, make_file(self->file));
	ASSERT_EQ(0, make_subsystem(self->file));
	ASSERT_EQ(0, make_port());
	instance = host_connect();
	ASSERT_LE(0, instance);
	snprintf(self->delete, sizeof(self->delete),
		 "/sys/class/nvme/nvme%d/delete_controller", instance);
	ASSERT_TRUE(WAIT_UNTIL((self->disk = open_disk(instance)) >= 0));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, disk_main, self));
	self->running = true;
	ASSERT_TRUE(WAIT_UNTIL(atomic_load(&self->blocks) >= BLOCKS));
	ASSERT_EQ(0, rule_new(&self->rule, "drivers"));
}

FIXTURE_TEARDOWN(nvme)
{
	atomic_store(&self->stop, true);
	/* This ends a thread that waits for a connection that is gone. */
	if (*self->delete)
		EXPECT_EQ(0, file_write(self->delete, "1"));
	if (self->running)
		pthread_join(self->thread, NULL);
	if (self->disk > 0)
		close(self->disk);
	unlink(NVMET_PORT "/subsystems/" NQN);
	rmdir(NVMET_PORT);
	rmdir(SUBSYSTEM "/namespaces/1");
	rmdir(SUBSYSTEM);
	unlink(self->file);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* The disk answers, by the connections that there were, and the log tells of no trouble. */
static void expect_disk_goes_on(struct __test_metadata *_metadata, FIXTURE_DATA(nvme) * self)
{
	long blocks = atomic_load(&self->blocks);
	char record[8192];
	ssize_t len;

	EXPECT_TRUE(WAIT_UNTIL(atomic_load(&self->blocks) >= blocks + BLOCKS ||
			       atomic_load(&self->err)));
	EXPECT_EQ(0, atomic_load(&self->err));
	while ((len = read(self->log, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		EXPECT_EQ(NULL, strstr(record, "error recovery")) TH_LOG("%s", record);
	}
}

/* One of each end for the admin queue and for each of the others, and the listener. */
static void find_queues(struct __test_metadata *_metadata, struct table *table)
{
	ASSERT_EQ(0, find_sockets(table, NVME_PORT));
	ASSERT_LE(5, table->count);
}

static bool have_same_sockets(const struct table *before)
{
	struct table now;
	bool same = !find_sockets(&now, NVME_PORT) && now.count == before->count;
	size_t i;

	for (i = 0; same && i < now.count; i++)
		same = !ends_cmp(&now.entry[i].ends, &before->entry[i].ends);
	table_free(&now);
	return same;
}

TEST_F(nvme, host_and_target_are_spared_by_rules_for_their_ports)
{
	struct table table;

	find_queues(_metadata, &table);
	expect_port_spared(_metadata, &self->rule, "sport", NVME_PORT);
	expect_port_spared(_metadata, &self->rule, "dport", NVME_PORT);
	expect_disk_goes_on(_metadata, self);
	EXPECT_TRUE(have_same_sockets(&table));
}

TEST_F(nvme, host_and_target_are_spared_by_rules_for_their_ends)
{
	struct table table;
	size_t i;

	find_queues(_metadata, &table);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "all"));
	for (i = 0; i < table.count; i++) {
		if (table.entry[i].state == TCP_LISTEN)
			continue;
		ASSERT_EQ(0, rule_set_ends(&self->rule, &table.entry[i].ends));
		expect_none(_metadata, &self->rule);
	}
	expect_disk_goes_on(_metadata, self);
	EXPECT_TRUE(have_same_sockets(&table));
}

TEST_F(nvme, host_and_target_are_refused_to_lines_and_not_listed)
{
	struct table table;
	size_t i;

	find_queues(_metadata, &table);
	for (i = 0; i < table.count; i++) {
		if (table.entry[i].state == TCP_LISTEN)
			continue;
		expect_not_listed(_metadata, &table.entry[i].ends);
		expect_line_refused(_metadata, &table.entry[i].ends);
	}
	expect_disk_goes_on(_metadata, self);
	EXPECT_TRUE(have_same_sockets(&table));
}

/* nfsd with a listener that user space has made and closed. */

#define NFSD "/proc/fs/nfsd"
#define NFS_PROGRAM 100003
#define RPC_LAST 0x80000000

FIXTURE(nfsd)
{
	struct rule rule;
	struct end end;		/* where it listens */
	struct ends ends;	/* of the connection as nfsd sees it */
	int client;
	pid_t rpcbind;
};

static bool is_listening(const struct end *end)
{
	int fd = sock_new(IPV4);
	int ret = sock_connect(fd, IPV4, end);

	close(fd);
	return !ret;
}

/* For 5.10, where a server of version 4 alone asks for a port mapper as well. */
static pid_t start_rpcbind(void)
{
	struct end end = { .port = 111 };
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("rpcbind", "rpcbind", "-f", NULL);
		_exit(127);
	}
	inet_pton(AF_INET, ADDR, end.addr);
	if (!WAIT_UNTIL(is_listening(&end) || waitpid(pid, NULL, WNOHANG)) || !is_listening(&end))
		return -ENOENT;
	return pid;
}

static int start_nfsd(const char *listener)
{
	int ret;

	ret = file_write(NFSD "/versions", "-3 +4\n");
	if (!ret)
		ret = file_write(NFSD "/portlist", listener);
	return ret ? ret : file_write(NFSD "/threads", "1\n");
}

static int mount_nfsd(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("nfsd", NFSD, "nfsd", 0, NULL))
		return -errno;
	return 0;
}

/* Call procedure 0 and have the answer: whoever serves is there. */
static int null_call(int fd)
{
	static uint32_t xid;
	uint32_t call[11] = { htonl(RPC_LAST | 40), htonl(++xid), 0, htonl(2),
			      htonl(NFS_PROGRAM), htonl(4) };
	uint32_t reply[7];
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	if (send(fd, call, sizeof(call), MSG_NOSIGNAL) != sizeof(call))
		return -errno;
	if (poll(&ready, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	if (recv(fd, reply, sizeof(reply), MSG_WAITALL) != sizeof(reply))
		return -EPROTO;
	return reply[1] == htonl(xid) && !reply[3] ? 0 : -EPROTO;
}

FIXTURE_SETUP(nfsd)
{
	char text[16];
	int listener;

	REQUIRE_TCPDROP();
	if (load("nfsd"))
		KERNEL_HAS_NO("nfsd");
	ASSERT_EQ(0, netns_new());
	ASSERT_EQ(0, mount_nfsd());
	self->rpcbind = start_rpcbind();
	if (self->rpcbind < 0)
		SKIP(return, "no rpcbind");
	listener = sock_listen(IPV4, ADDR, 0);
	ASSERT_EQ(0, end_of(listener, &self->end));
	snprintf(text, sizeof(text), "%d\n", listener);
	ASSERT_EQ(0, start_nfsd(text));
	ASSERT_EQ(0, close(listener));
	self->client = sock_new(IPV4);
	ASSERT_EQ(0, sock_connect(self->client, IPV4, &self->end));
	ASSERT_EQ(0, null_call(self->client));
	ASSERT_EQ(0, ends_of(self->client, &self->ends));
	self->ends = ends_swap(&self->ends);
	ASSERT_TRUE(ends_in_table(&self->ends));
	ASSERT_EQ(0, rule_new(&self->rule, "drivers"));
}

FIXTURE_TEARDOWN(nfsd)
{
	file_write(NFSD "/threads", "0\n");
	kill(self->rpcbind, SIGKILL);
	waitpid(self->rpcbind, NULL, 0);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

/* Both for those that are connected and for those that will be. */
static void expect_nfsd_goes_on(struct __test_metadata *_metadata, FIXTURE_DATA(nfsd) * self)
{
	int client = sock_new(IPV4);

	EXPECT_EQ(0, null_call(self->client));
	ASSERT_EQ(0, sock_connect(client, IPV4, &self->end));
	EXPECT_EQ(0, null_call(client));
	close(client);
}

TEST_F(nfsd, server_and_its_listener_are_spared_by_a_rule_for_its_port)
{
	expect_port_spared(_metadata, &self->rule, "sport", self->end.port);
	expect_nfsd_goes_on(_metadata, self);
}

TEST_F(nfsd, listener_that_user_space_made_is_spared_where_LISTEN_is_named)
{
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "!111"));
	expect_none(_metadata, &self->rule);
	expect_nfsd_goes_on(_metadata, self);
}

/* A process has it as a file: it is its own to lose, whoever else uses it. */
TEST_F(nfsd, listener_that_user_space_keeps_is_dropped_where_LISTEN_is_named)
{
	int ret, listener = sock_listen(IPV4, ADDR, 0);
	struct end end;
	char text[16];

	ASSERT_EQ(0, end_of(listener, &end));
	snprintf(text, sizeof(text), "%d\n", listener);
	ret = file_write(NFSD "/portlist", text);
	if (ret == -EACCES)
		KERNEL_HAS_NO("nfsd that takes a second listener");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, rule_set(&self->rule, "state", "LISTEN"));
	ASSERT_EQ(0, rule_set(&self->rule, "sport", "!111"));
	ASSERT_EQ(0, rule_commit(&self->rule));
	EXPECT_EQ(1, rule_result(&self->rule, "dropped"));
	EXPECT_EQ(TCP_CLOSE, sock_state(listener));
	expect_nfsd_goes_on(_metadata, self);
	close(listener);
}

TEST_F(nfsd, server_is_refused_to_lines_and_not_listed)
{
	expect_not_listed(_metadata, &self->ends);
	expect_line_refused(_metadata, &self->ends);
	ASSERT_EQ(0, rule_set_ends(&self->rule, &self->ends));
	expect_none(_metadata, &self->rule);
	expect_nfsd_goes_on(_metadata, self);
}

/* The client's end is a process's. */
TEST_F(nfsd, client_of_user_space_is_dropped)
{
	struct ends ends = ends_swap(&self->ends);

	EXPECT_EQ(0, ends_drop(&ends));
	EXPECT_EQ(ECONNABORTED, sock_error(self->client));
}

/* A 9P mount whose server does not answer: it waits for the version. */

FIXTURE(p9)
{
	struct rule rule;
	struct ends ends;	/* as the kernel sees them */
	int server;
	pid_t mount;
};

static pid_t mount_p9(uint16_t port)
{
	pid_t pid = fork();
	char options[64];

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(options, sizeof(options), "trans=tcp,port=%u,version=9p2000.L", port);
	if (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		mount(ADDR, "/tmp", "9p", 0, options);
	_exit(0);
}

FIXTURE_SETUP(p9)
{
	struct pollfd ready = { .events = POLLIN };
	struct end end;
	char version;

	REQUIRE_TCPDROP();
	if (load("9p") || load("9pnet_fd"))
		KERNEL_HAS_NO("9P over TCP");
	ASSERT_EQ(0, netns_new());
	ready.fd = listen_for_kernel(&end);
	ASSERT_LE(0, ready.fd);
	self->mount = mount_p9(end.port);
	ASSERT_LE(0, self->mount);
	ASSERT_EQ(1, poll(&ready, 1, DEADLINE_MS));
	self->server = accept(ready.fd, NULL, NULL);
	ASSERT_LE(0, self->server);
	close(ready.fd);
	ASSERT_EQ(1, recv(self->server, &version, 1, 0));
	ASSERT_EQ(0, ends_of(self->server, &self->ends));
	self->ends = ends_swap(&self->ends);
	ASSERT_EQ(0, rule_new(&self->rule, "drivers"));
}

FIXTURE_TEARDOWN(p9)
{
	close(self->server);
	waitpid(self->mount, NULL, 0);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(p9, mount_is_spared_and_not_listed)
{
	expect_spared(_metadata, &self->rule, &self->ends);
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(self->server));
}

/* NBD, which is told by netlink of a socket that the teller may close. */

#define NBD_BYTES (1 << 20)

FIXTURE(nbd)
{
	struct rule rule;
	struct ends ends;	/* as the device sees them */
	int netlink;
	int family;
	int client;
	int server;
};

struct message {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	char attrs[1024];
};

static void message_start(struct message *msg, int family, int command)
{
	*msg = (struct message){
		.header = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = family,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.generic = { .cmd = command, .version = 1 },
	};
}

static void message_add(struct message *msg, int type, const void *value, size_t len)
{
	struct nlattr attr = { .nla_len = NLA_HDRLEN + len, .nla_type = type };
	char *end = (char *)msg + msg->header.nlmsg_len;

	memcpy(end, &attr, sizeof(attr));
	memcpy(end + NLA_HDRLEN, value, len);
	msg->header.nlmsg_len += NLA_ALIGN(attr.nla_len);
}

/* Sends it, and takes the answer, if there is one, into the same place. */
static int message_ask(int fd, struct message *msg)
{
	union {
		struct message message;
		struct {
			struct nlmsghdr header;
			struct nlmsgerr err;
		};
	} answer;

	if (send(fd, msg, msg->header.nlmsg_len, 0) != (ssize_t)msg->header.nlmsg_len)
		return -errno;
	while (recv(fd, &answer, sizeof(answer), 0) > 0) {
		if (answer.header.nlmsg_type == NLMSG_ERROR)
			return answer.err.error;
		*msg = answer.message;
	}
	return -errno;
}

/* The number of NBD's family, 0 if there is none. */
static int nbd_family(int fd)
{
	struct message msg;
	struct nlattr *attr;
	char *place;

	message_start(&msg, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	message_add(&msg, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME,
		    sizeof(NBD_GENL_FAMILY_NAME));
	if (message_ask(fd, &msg))
		return 0;
	for (place = msg.attrs; place < (char *)&msg + msg.header.nlmsg_len;
	     place += NLA_ALIGN(attr->nla_len)) {
		attr = (struct nlattr *)place;
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(uint16_t *)(place + NLA_HDRLEN);
	}
	return 0;
}

static int nbd_connect(int fd, int family, int client)
{
	struct {
		struct nlattr item;
		struct nlattr attr;
		uint32_t fd;
	} sockets = {
		.item = { sizeof(sockets), NBD_SOCK_ITEM | NLA_F_NESTED },
		.attr = { NLA_HDRLEN + sizeof(sockets.fd), NBD_SOCK_FD },
		.fd = client,
	};
	uint32_t index = 0;
	uint64_t bytes = NBD_BYTES;
	struct message msg;

	message_start(&msg, family, NBD_CMD_CONNECT);
	message_add(&msg, NBD_ATTR_INDEX, &index, sizeof(index));
	message_add(&msg, NBD_ATTR_SIZE_BYTES, &bytes, sizeof(bytes));
	message_add(&msg, NBD_ATTR_SOCKETS | NLA_F_NESTED, &sockets, sizeof(sockets));
	return message_ask(fd, &msg);
}

static int nbd_disconnect(int fd, int family)
{
	uint32_t index = 0;
	struct message msg;

	message_start(&msg, family, NBD_CMD_DISCONNECT);
	message_add(&msg, NBD_ATTR_INDEX, &index, sizeof(index));
	return message_ask(fd, &msg);
}

/* Its netlink is that of the first namespace alone. */
FIXTURE_SETUP(nbd)
{
	struct end end;
	int listener;

	REQUIRE_TCPDROP();
	if (load("nbd"))
		KERNEL_HAS_NO("nbd");
	self->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	ASSERT_LE(0, self->netlink);
	self->family = nbd_family(self->netlink);
	ASSERT_LT(0, self->family);
	ASSERT_EQ(0, netns_new());
	listener = listen_for_kernel(&end);
	ASSERT_LE(0, listener);
	self->client = sock_new(IPV4);
	ASSERT_EQ(0, sock_connect(self->client, IPV4, &end));
	ASSERT_EQ(0, ends_of(self->client, &self->ends));
	self->server = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->server);
	close(listener);
	ASSERT_EQ(0, nbd_connect(self->netlink, self->family, self->client));
	ASSERT_EQ(0, rule_new(&self->rule, "drivers"));
}

FIXTURE_TEARDOWN(nbd)
{
	EXPECT_EQ(0, nbd_disconnect(self->netlink, self->family));
	close(self->server);
	EXPECT_EQ(0, rule_remove(&self->rule));
}

TEST_F(nbd, socket_that_nobody_else_has_is_spared_and_not_listed)
{
	ASSERT_EQ(0, close(self->client));
	expect_spared(_metadata, &self->rule, &self->ends);
	EXPECT_EQ(TCP_ESTABLISHED, sock_state(self->server));
}

/* It is the process's as long as that keeps it. */
TEST_F(nbd, socket_that_a_process_keeps_is_dropped)
{
	EXPECT_TRUE(ends_in_table(&self->ends));
	EXPECT_EQ(0, ends_drop(&self->ends));
	EXPECT_FALSE(ends_in_table(&self->ends));
	EXPECT_EQ(TCP_CLOSE, sock_state(self->client));
	close(self->client);
}

TEST_HARNESS_MAIN
