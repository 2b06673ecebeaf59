/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C selftests of tcpdrop share.
 *
 * Functions that can fail return 0 or a negative errno, and never print: the
 * test case that calls them says what it expected.
 */
#ifndef TCPDROP_UTIL_H
#define TCPDROP_UTIL_H

#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Of the network namespace that the calling thread is in. */
#define PROC_FILE "/proc/thread-self/net/tcp_drop"

/*
 * The longest that a test waits for something that has to happen. Only a test
 * that fails ever waits that long.
 */
#define DEADLINE_MS 60000

/* How long all owners together may hold up a write or a commit, less a tick or two. */
#define PATIENCE_MS 1900

/*
 * Nor is there a reason for the harness to give up sooner: by default it gives
 * a test half a minute, which may be a second's worth on a busy machine.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/* Of the time between two looks no more counts: a virtual machine may have been stopped. */
#define STANDSTILL_MS 2000

/* Wait until @cond holds, for @ms milliseconds; evaluates to whether it did. */
#define WAIT_FOR_MS(cond, ms) ({					\
	int64_t __then = clock_ms(), __left = (ms);			\
	bool __held;							\
									\
	while (!(__held = (cond)) && __left > 0) {			\
		pause_ms(1);						\
		__left -= time_since(&__then, STANDSTILL_MS);		\
	}								\
	__held;								\
})

/* The same, before the deadline. */
#define WAIT_UNTIL(cond) WAIT_FOR_MS(cond, DEADLINE_MS)

/* tcpdrop_util.c: time */
int64_t clock_ms(void);
int64_t time_since(int64_t *then, int64_t max);
bool patience_is_over(int64_t start);
int net_admin_drop(void);
void pause_ms(int ms);
void spin_us(int us);

/* tcpdrop_util.c: files */
int file_write(const char *path, const char *text);
int file_read(const char *path, char *text, size_t size);
char *file_read_all(const char *path);
int text_count(const char *text, const char *part);

/* tcpdrop_util.c: a network namespace of one's own */
int netns_new(void);
int netns_add_addr6(const char *text);
unsigned long netns_inode(void);
int netns_tie(const char *device, pid_t pid);
int netns_leave(int (*setup)(void), int (*work)(const void *with), const void *with);

/* tcpdrop_util.c: rules */
struct rule {
	char path[512];
};

struct rule_result {
	long matched;
	long dropped;
	long failed;
	long remaining;
	long elapsed_us;
	char states[256];
};

bool tcpdrop_loaded(void);
int kernel_taint(void);
int kernel_has_warned(void);
int rule_new(struct rule *rule, const char *name);
int rule_open(const struct rule *rule, const char *attr, int flags);
int rule_set(const struct rule *rule, const char *attr, const char *value);
int rule_setf(const struct rule *rule, const char *attr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int rule_get(const struct rule *rule, const char *attr, char *value, size_t size);
char *rule_list(const struct rule *rule);
int rule_commit(const struct rule *rule);
pid_t rule_commit_elsewhere(const struct rule *rule);
int rule_commit_end(pid_t pid);
long rule_count(const struct rule *rule);
long rule_result(const struct rule *rule, const char *attr);
int rule_result_read(const struct rule *rule, struct rule_result *result);
long result_state(const struct rule_result *result, const char *state);
int rule_remove(const struct rule *rule);

/* Files of a rule by their names in its directory, "result/..." too. */
struct rule_files {
	char name[64][64];
	size_t count;
};

int rule_files(const struct rule *rule, mode_t mode, struct rule_files *files);
const char *rule_value(const char *attr);

/* First in the setup of a fixture: nothing can be said without the module. */
#define REQUIRE_TCPDROP() do {						\
	if (!tcpdrop_loaded())						\
		SKIP(return, "no rules directory: is tcpdrop loaded?");	\
} while (0)

/* A kernel that lacks what a test is about is no failure, and no success. */
#define KERNEL_HAS_NO(what) do {					\
	snprintf(_metadata->results->reason,				\
		 sizeof(_metadata->results->reason), "this kernel has no " what); \
	_metadata->exit_code = KSFT_XFAIL;				\
	return;								\
} while (0)

/* tcpdrop_sock.c: addresses and ends */
enum family { IPV4, IPV6, DUAL, FAMILIES };

/* One end of a connection. A v4-mapped address is kept as what it means. */
struct end {
	uint8_t addr[16];
	uint16_t v6;
	uint16_t port;
};

/* A connection as one of its two sockets sees it. */
struct ends {
	struct end local;
	struct end remote;
};

int end_parse(struct end *end, const char *addr, uint16_t port);
void end_from_sockaddr(struct end *end, const struct sockaddr_storage *ss);
socklen_t end_to_sockaddr(const struct end *end, enum family family,
			  struct sockaddr_storage *ss);
const char *end_addr(const struct end *end, char *text, size_t size);
int end_of(int fd, struct end *end);
int ends_of(int fd, struct ends *ends);
struct ends ends_swap(const struct ends *ends);
int ends_cmp(const struct ends *a, const struct ends *b);
void ends_print(const struct ends *ends, int state, char *line, size_t size);
const char *state_name(int state);
int ends_drop(const struct ends *ends);
int rule_set_ends(const struct rule *rule, const struct ends *ends);
int rule_clear_ends(const struct rule *rule);

/* tcpdrop_sock.c: sockets */

/* Both sockets of a connection, and how the client sees it. */
struct pair {
	int client;
	int server;
	struct ends ends;
};

bool kernel_has_mptcp(void);
int sock_new_by(int protocol, enum family family);
int sock_new(enum family family);
int sock_bind(int fd, enum family family, const char *addr, uint16_t port);
int sock_listen_by(int protocol, enum family family, const char *addr, uint16_t port);
int sock_listen(enum family family, const char *addr, uint16_t port);
int sock_connect(int fd, enum family family, const struct end *to);
int sock_pair_by(int protocol, int listener, enum family family, const char *addr,
		 uint16_t port, struct pair *pair);
int sock_pair(int listener, enum family family, const char *addr, uint16_t port,
	      struct pair *pair);
int sock_finish(int first, int last);
int sock_mute(int fd);
int sock_only_syn(int fd);
int sock_stuff(int fd);
int sock_error(int fd);
int sock_state(int fd);
int sock_nonblock(int fd);
bool sock_talks(int a, int b);

/*
 * tcpdrop_util.c: a commit that is held half way, however busy the machine is.
 * It shares a CPU with this thread, which comes first: so while the thread does
 * not sleep, the commit does not go on. A rule with a limit has one worker.
 */
struct hold {
	pid_t pid;
	cpu_set_t cpus;
	char runtime[16];
};

int commit_hold(struct hold *hold, const struct rule *rule, const struct pair *pair,
		int count);
void commit_let_go(const struct hold *hold);

/* tcpdrop_sock.c: the tables of the kernel */
struct entry {
	struct ends ends;
	int state;
	bool minisock;
	unsigned long inode;
};

struct table {
	struct entry *entry;
	size_t count;
};

int table_read(struct table *table);
void table_free(struct table *table);
const struct entry *table_find(const struct table *table, const struct ends *ends);
bool ends_in_table(const struct ends *ends);

/* tcpdrop_sock.c: what goes over the wire */
int capture_open(void);
int capture_open_all(void);
int capture_segments(int fd, const struct ends *from);
int capture_resets(int fd, const struct ends *from);

#endif
