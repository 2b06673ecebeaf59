// SPDX-License-Identifier: GPL-2.0
/*
 * Whose sockets a rule is about.
 *
 * A rule names a cgroup by its path and a process by its number, since it must
 * keep nothing alive.  What the names stand for is looked up in the copy that a
 * commit, count or list works on, once, before the tables are walked; and in the
 * one that protects, when that begins.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "cgroup.h"
#include "compat.h"
#include "rule.h"
#include "sock.h"
#include "who.h"

/* How many open files are looked at with their table locked. */
#define FILES_AT_ONCE	1024

/*
 * for_each_thread() for readers of RCU.  That one looks under PROVE_RCU whether
 * tasklist_lock is held as well, which is not exported.
 */
#define for_each_thread_rcu(leader, thread) \
	list_for_each_entry_rcu(thread, &(leader)->signal->thread_head, thread_node)

/**
 * struct scan - on its way through a table of open files
 * @into: where the sockets go, with room for @left of them
 * @fd: the next descriptor
 * @left: how many files may still be looked at
 */
struct scan {
	struct tcpdrop_ranges *into;
	unsigned int fd;
	unsigned int left;
};

/* Under the lock of the table, so nothing here allocates. */
static int scan_file(const void *arg, struct file *file, unsigned int fd)
{
	struct scan *scan = (struct scan *)arg;
	struct socket *socket = file_socket(file);
	struct tcpdrop_key_range r;

	if (socket && tcpdrop_sock_file_key(&r.first, socket)) {
		r.last = r.first;
		tcpdrop_ranges_add(scan->into, &r);
	}
	scan->fd = fd + 1;
	return !--scan->left;
}

/*
 * Looks at some files of the table @files, by way of a thread that has it: a
 * module cannot hold the table itself, but while the thread's lock is held the
 * thread keeps it.  Any thread of the process will do, since some may end before
 * the others.  Returns whether there may be more.
 */
static bool scan_files(struct pid *pid, struct files_struct *files, struct scan *scan)
{
	struct task_struct *leader, *thread;
	bool found = false, more = false;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	if (!leader)
		goto unlock;
	for_each_thread_rcu(leader, thread) {
		if (READ_ONCE(thread->files) != files)
			continue;
		task_lock(thread);
		found = thread->files == files;
		if (found)
			more = iterate_fd(files, scan->fd, scan_file, scan);
		task_unlock(thread);
		if (found)
			break;
	}
unlock:
	rcu_read_unlock();
	return more;
}

/*
 * The table of open files that comes next by its address among those that the
 * threads of a process have; nearly all have one.  Not to be dereferenced.
 */
static struct files_struct *next_files(struct pid *pid, const struct files_struct *last)
{
	struct task_struct *leader, *thread;
	struct files_struct *files, *next = NULL;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	if (!leader)
		goto unlock;
	for_each_thread_rcu(leader, thread) {
		files = READ_ONCE(thread->files);
		if (files > last && (!next || files < next))
			next = files;
	}
unlock:
	rcu_read_unlock();
	return next;
}

/* Only a signal that kills ends it: what has been looked up is not in vain otherwise. */
static int add_sockets_of(struct pid *pid, struct tcpdrop_ranges *into)
{
	struct files_struct *files = NULL;
	struct scan scan = { .into = into };
	bool more;
	int ret;

	while ((files = next_files(pid, files))) {
		scan.fd = 0;
		do {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
			ret = tcpdrop_ranges_reserve(into, FILES_AT_ONCE);
			if (ret)
				return ret;
			scan.left = FILES_AT_ONCE;
			more = scan_files(pid, files, &scan);
		} while (more);
	}
	return 0;
}

/*
 * Adds to a set of processes the sockets that they have.  The processes stay in
 * it, as the first, where they match no socket: so a set that had some never
 * becomes empty, which would mean everything.
 */
static int find_sockets(struct tcpdrop_ranges *set)
{
	size_t i, nr = set->nr;
	struct pid *pid;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		cond_resched();
		pid = find_get_pid(set->v[i].first.lo);
		if (pid)
			ret = add_sockets_of(pid, set);
		put_pid(pid);
	}
	tcpdrop_ranges_sort(set);
	return ret;
}

static void set_cgroup(struct tcpdrop_rule *rule, struct cgroup *cgroup)
{
	rule->cgroup = cgroup;
	rule->asks &= ~BIT(RULE_CGROUP);
}

static int find_cgroup(struct tcpdrop_rule *rule)
{
	struct cgroup *cgroup;

	if (!rule->cgroup_path)
		return 0;
	cgroup = tcpdrop_cgroup_get(rule->cgroup_path);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);

	set_cgroup(rule, cgroup);
	return 0;
}

/**
 * tcpdrop_who_find() - look up what the names of a rule stand for
 * @rule: a copy made by tcpdrop_rule_copy(); to be given to tcpdrop_who_put(),
 *        also if this fails
 *
 * Until then a rule that has a cgroup matches nothing, and one that has processes
 * neither matches nor excludes anything by them.  Their numbers are those of the
 * calling process's pid namespace.
 *
 * Context: process context of who commits, counts or lists; may sleep.
 * Return: 0; -ENOENT if the cgroup does not exist any more; -EINTR if the process
 * was killed meanwhile; -ENOMEM.
 */
int tcpdrop_who_find(struct tcpdrop_rule *rule)
{
	struct tcpdrop_selector *pid = &rule->sel[RULE_PID];
	int ret;

	ret = find_cgroup(rule);
	if (!ret)
		ret = find_sockets(&pid->yes);
	if (!ret)
		ret = find_sockets(&pid->no);
	return ret;
}

/**
 * tcpdrop_who_keep() - take over the cgroup that another copy of a rule has
 * @rule: a copy with the same cgroup and without processes, instead of being given
 *        to tcpdrop_who_find()
 * @from: one that was given to it
 *
 * So it is still the same if another has its path by now, or none.
 *
 * Context: any.
 */
void tcpdrop_who_keep(struct tcpdrop_rule *rule, const struct tcpdrop_rule *from)
{
	if (!from->cgroup)
		return;
	tcpdrop_cgroup_hold(from->cgroup);
	set_cgroup(rule, from->cgroup);
}

/**
 * tcpdrop_who_put() - give back what tcpdrop_who_find() took
 * @rule: the copy, to be freed by tcpdrop_rule_destroy() then
 *
 * Context: process context.
 */
void tcpdrop_who_put(struct tcpdrop_rule *rule)
{
	tcpdrop_cgroup_put(rule->cgroup);
	rule->cgroup = NULL;
}
