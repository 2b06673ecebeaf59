// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/net/tcp_drop, a file in each network namespace: reading lists its
 * connections, writing drops those whose ends are written, a line each.
 *
 * An open file does not hold the namespace, which is that of the path by which
 * it was opened.  procfs counts the calls that are in it, though, and a
 * namespace that is torn down waits for them when its file is removed, which
 * is before TCP leaves it; after that a file that is still open fails with
 * EIO.  So the namespace is there for as long as any function here runs, and
 * walk_init_net() takes a reference where its sockets are touched.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "compat.h"
#include "conn.h"
#include "drop.h"
#include "procfs.h"
#include "walk.h"

/* The longest line, its newline not counted. */
#define LINE_LIMIT	256

/* How many connections of one write may wait for their owners. */
#define BUSY_MAX	32

/**
 * struct reader - where a listing is
 * @walk: the walk; holds the namespace from start to stop only
 * @batch: the connections of the bucket that is being listed
 * @next: the first of them that has not been listed
 * @bucket: the bucket to list after it
 *
 * A connection keeps its bucket, and each is looked at once, so that a listing
 * that is read in many pieces has every connection that lasts, once.
 */
struct reader {
	struct walk walk;
	struct batch batch;
	size_t next;
	unsigned int bucket;
};

/**
 * struct writer - a line that is being written, and those that wait
 * @lock: protects all the others; held while what is written is carried out
 * @line: what there is of a line whose end has not been written yet
 * @len: its length; LINE_LIMIT + 1 if it is too long and was not kept
 * @room: for drop_ends()
 * @busy: connections whose owners were in a system call
 * @nr_busy: how many there are, none between two writes
 */
struct writer {
	struct mutex lock; /* see above */
	char line[LINE_LIMIT + 1];
	size_t len;
	struct batch room;
	struct conn busy[BUSY_MAX];
	size_t nr_busy;
};

/* What an open file has; seq_file serialises the use of @reader. */
struct proc_file {
	struct net *net;
	struct reader reader;
	struct writer writer;
};

/**
 * struct tally - what one write does
 * @lines: how many lines counted
 * @malformed: how many of them were none
 * @failed: what became of the last one that still stands
 * @fate: what became of the last one
 * @deadline: when to give up on sockets that are busy, in jiffies; 0 if none
 *            has been yet
 * @deaf: signals do not end it
 */
struct tally {
	size_t lines;
	size_t malformed;
	int failed;
	int fate;
	unsigned long deadline;
	bool deaf;
};

/* Reading */

/* The connection that is to be listed next. */
static struct batch_entry *next_entry(struct reader *reader)
{
	int ret;

	while (reader->next == reader->batch.nr) {
		if (reader->bucket == reader->walk.end)
			return NULL;
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);

		reader->next = 0;
		ret = walk_note(&reader->walk, reader->bucket, &reader->batch);
		if (ret)
			return ERR_PTR(ret);
		reader->bucket = walk_next(&reader->walk, reader->bucket + 1);
	}
	return &reader->batch.v[reader->next];
}

/*
 * seq_file goes on where it was, or begins again at 0: to go back it starts
 * over and skips.
 */
static void *list_start(struct seq_file *seq, loff_t *pos)
{
	struct proc_file *pf = seq->private;
	struct reader *reader = &pf->reader;

	if (walk_init_net(&reader->walk, pf->net))
		return NULL;
	if (!*pos) {
		reader->batch.nr = 0;
		reader->next = 0;
		reader->bucket = walk_next(&reader->walk, reader->walk.first);
	}
	return next_entry(reader);
}

static void *list_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct proc_file *pf = seq->private;

	++*pos;
	pf->reader.next++;
	return next_entry(&pf->reader);
}

static void list_stop(struct seq_file *seq, void *v)
{
	struct proc_file *pf = seq->private;

	if (pf->reader.walk.net)
		walk_exit(&pf->reader.walk);
}

static int list_show(struct seq_file *seq, void *v)
{
	const struct batch_entry *entry = v;
	char line[CONN_LINE_MAX];

	return seq_write(seq, line, conn_print(line, sizeof(line), &entry->conn));
}

static const struct seq_operations list_ops = {
	.start	= list_start,
	.next	= list_next,
	.stop	= list_stop,
	.show	= list_show,
};

/* Writing */

static bool is_interrupted(const struct tally *tally)
{
	if (tally->deaf)
		return fatal_signal_pending(current);
	return signal_pending(current);
}

/* Notes a fate; -ESRCH is one that only a single line reports. */
static void note_fate(struct tally *tally, int fate)
{
	tally->fate = fate;
	if (fate && fate != -ESRCH)
		tally->failed = fate;
}

/* One more attempt at each connection that waits. */
static void try_busy(struct proc_file *pf, struct tally *tally, bool last)
{
	struct writer *writer = &pf->writer;
	size_t i, left = 0;
	int ret;

	for (i = 0; i < writer->nr_busy; i++) {
		ret = drop_ends(pf->net, &writer->busy[i], &writer->room, tally->deadline);
		if (ret == -EBUSY && !last)
			writer->busy[left++] = writer->busy[i];
		else
			note_fate(tally, ret);
	}
	writer->nr_busy = left;
}

/*
 * Owners that are stuck delay nobody but those who wait as well, and all of
 * them together no longer than the timeout.
 */
static void settle_busy(struct proc_file *pf, struct tally *tally)
{
	if (pf->writer.nr_busy && !tally->deadline)
		tally->deadline = drop_deadline();

	while (pf->writer.nr_busy) {
		schedule_timeout_killable(1);
		try_busy(pf, tally, is_interrupted(tally) ||
			 time_after(jiffies, tally->deadline));
	}
}

static bool is_skipped(const char *line)
{
	return *line == '#' || !line[strspn(line, " \t\v\f\r")];
}

static int take_malformed(struct tally *tally)
{
	tally->lines++;
	tally->malformed++;
	tally->fate = -EINVAL;
	return 0;
}

/*
 * Carries out the line at hand, which is complete. Returns 0, or an error if
 * it has to be written again.
 */
static int take_line(struct proc_file *pf, struct tally *tally)
{
	struct writer *writer = &pf->writer;
	struct conn ends;
	int ret;

	if (writer->len > LINE_LIMIT)
		return take_malformed(tally);

	writer->line[writer->len] = '\0';
	if (is_skipped(writer->line))
		return 0;
	if (memchr(writer->line, '\0', writer->len) ||
	    conn_parse_ends(writer->line, &ends))
		return take_malformed(tally);

	if (writer->nr_busy == BUSY_MAX)
		settle_busy(pf, tally);
	ret = drop_ends(pf->net, &ends, &writer->room, 0);
	if (ret == -ENOMEM)
		return ret;

	tally->lines++;
	if (ret == -EBUSY)
		writer->busy[writer->nr_busy++] = ends;
	else
		note_fate(tally, ret);
	return 0;
}

static void append(struct writer *writer, const char *text, size_t len)
{
	if (writer->len + len > LINE_LIMIT) {
		writer->len = LINE_LIMIT + 1;
		return;
	}
	memcpy(writer->line + writer->len, text, len);
	writer->len += len;
}

/*
 * Takes what it can of a piece of text; what there was of a line before is as
 * it was if the line cannot be taken. Returns how many bytes it took.
 */
static size_t take_text(struct proc_file *pf, struct tally *tally,
			const char *text, size_t len, int *err)
{
	struct writer *writer = &pf->writer;
	const char *p = text, *end = text + len;
	const char *newline;
	size_t before;

	while ((newline = memchr(p, '\n', end - p))) {
		cond_resched();
		before = writer->len;
		append(writer, p, newline - p);
		*err = is_interrupted(tally) ? -ERESTARTSYS : take_line(pf, tally);
		if (*err) {
			writer->len = before;
			return p - text;
		}
		writer->len = 0;
		p = newline + 1;
	}
	append(writer, p, end - p);
	return len;
}

/* Of a single line its fate, of several whether all that could be done was. */
static int verdict(const struct tally *tally)
{
	if (tally->lines == 1)
		return tally->fate;
	return tally->malformed ? -EINVAL : tally->failed;
}

static ssize_t take_write(struct proc_file *pf, const char __user *ubuf,
			  size_t count, char *page)
{
	struct tally tally = {};
	size_t taken = 0;
	int err = 0;

	while (taken < count && !err) {
		size_t len = min_t(size_t, count - taken, PAGE_SIZE);

		if (copy_from_user(page, ubuf + taken, len))
			err = -EFAULT;
		else
			taken += take_text(pf, &tally, page, len, &err);
	}
	settle_busy(pf, &tally);

	if (err)
		return taken ? taken : err;
	err = verdict(&tally);
	return err ? err : count;
}

/* Who opened the file has been looked at then; the writer may be another. */
static ssize_t proc_file_write(struct file *file, const char __user *ubuf,
			       size_t count, loff_t *ppos)
{
	struct proc_file *pf = ((struct seq_file *)file->private_data)->private;
	ssize_t ret = -ERESTARTSYS;
	char *page;

	if (!ns_capable(pf->net->user_ns, CAP_NET_ADMIN))
		return -EPERM;

	page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	if (!mutex_lock_interruptible(&pf->writer.lock)) {
		ret = take_write(pf, ubuf, count, page);
		mutex_unlock(&pf->writer.lock);
	}
	kfree(page);
	return ret;
}

/*
 * The last line may have no newline. If a signal has killed the writer it is
 * a piece of one, though, and might name another connection.
 */
static void take_last_line(struct proc_file *pf)
{
	struct tally tally = { .deaf = true };

	if (current->flags & PF_EXITING && current->exit_code & 0x7f)
		return;

	mutex_lock(&pf->writer.lock);
	take_line(pf, &tally);
	settle_busy(pf, &tally);
	mutex_unlock(&pf->writer.lock);
}

static int proc_file_open(struct inode *inode, struct file *file)
{
	struct net *net = pde_data(inode);
	struct proc_file *pf;

	if (!ns_capable(net->user_ns, CAP_NET_ADMIN))
		return -EPERM;

	pf = __seq_open_private(file, &list_ops, sizeof(*pf));
	if (!pf)
		return -ENOMEM;
	pf->net = net;
	mutex_init(&pf->writer.lock);
	return 0;
}

static int proc_file_release(struct inode *inode, struct file *file)
{
	struct proc_file *pf = ((struct seq_file *)file->private_data)->private;

	take_last_line(pf);
	batch_free(&pf->reader.batch);
	batch_free(&pf->writer.room);
	mutex_destroy(&pf->writer.lock);
	return seq_release_private(inode, file);
}

static const struct proc_ops proc_file_ops = {
	.proc_open	= proc_file_open,
	.proc_read_iter	= seq_read_iter,
	.proc_write	= proc_file_write,
	.proc_lseek	= seq_lseek,
	.proc_release	= proc_file_release,
};

/* Namespaces */

/* The file of a namespace, and whether its owner is known. */
struct proc_net {
	struct proc_dir_entry *entry;
	bool owned;
};

static unsigned int proc_net_id;

/*
 * The file belongs to root of the user namespace that owns the network. Who
 * that is may come to be known only after the namespaces are made: unshare(1)
 * makes both in one call and writes the map of users then. Until then the file
 * belongs to the real root, as everything in that /proc/net does for ever.
 */
static void set_owner(struct net *net)
{
	struct proc_net *pn = net_generic(net, proc_net_id);
	kuid_t uid = make_kuid(net->user_ns, 0);
	kgid_t gid = make_kgid(net->user_ns, 0);

	if (pn->owned || !uid_valid(uid) || !gid_valid(gid))
		return;
	proc_set_user(pn->entry, uid, gid);
	pn->owned = true;
}

/*
 * There is no word of a user namespace that gets its map, but there can be no
 * connection before a device is up. Devices come after proc_net_init() and go
 * before proc_net_exit(), since these are a subsystem's and theirs a device's;
 * and the lock of all devices serialises this.
 */
static int device_event(struct notifier_block *nb, unsigned long event, void *info)
{
	set_owner(dev_net(netdev_notifier_info_to_dev(info)));
	return NOTIFY_DONE;
}

static struct notifier_block device_notifier = {
	.notifier_call	= device_event,
};

static int __net_init proc_net_init(struct net *net)
{
	struct proc_net *pn = net_generic(net, proc_net_id);

	pn->entry = proc_create_data("tcp_drop", 0600, net->proc_net,
				     &proc_file_ops, net);
	if (!pn->entry)
		return -ENOMEM;
	set_owner(net);
	return 0;
}

static void __net_exit proc_net_exit(struct net *net)
{
	struct proc_net *pn = net_generic(net, proc_net_id);

	proc_remove(pn->entry);
}

static struct pernet_operations proc_net_ops = {
	.init	= proc_net_init,
	.exit	= proc_net_exit,
	.id	= &proc_net_id,
	.size	= sizeof(struct proc_net),
};

/**
 * tcpdrop_procfs_init() - make /proc/net/tcp_drop in every network namespace
 *
 * Context: process context, when the module is loaded.
 * Return: 0 or a negative errno.
 */
int __init tcpdrop_procfs_init(void)
{
	int ret;

	ret = register_pernet_subsys(&proc_net_ops);
	if (ret)
		return ret;

	ret = register_netdevice_notifier(&device_notifier);
	if (ret)
		unregister_pernet_subsys(&proc_net_ops);
	return ret;
}

/**
 * tcpdrop_procfs_exit() - take /proc/net/tcp_drop away
 *
 * Files that are open fail from now on; a call that runs is waited for.
 *
 * Context: process context, when the module is unloaded or failed to load.
 */
void tcpdrop_procfs_exit(void)
{
	unregister_netdevice_notifier(&device_notifier);
	unregister_pernet_subsys(&proc_net_ops);
}
