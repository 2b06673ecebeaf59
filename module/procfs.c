// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/net/tcp_drop, a file in each network namespace: reading lists its
 * connections, writing drops those whose ends are written, a line each.
 *
 * An open file holds its namespace and the module.  procfs waits for the calls
 * that are in a file before it removes it, and a call can last for as long as
 * its user likes, whose buffer may be in a page that never arrives.  Who
 * removes a namespace or a module does so with a lock that everybody needs.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/pid.h>
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
#include "once.h"
#include "procfs.h"
#include "signals.h"
#include "stats.h"
#include "text.h"
#include "walk.h"

/* The longest line that is no rule, its newline not counted. */
#define LINE_LIMIT	256

/* The length of a line that was too long and was not kept. */
#define TOO_LONG	(ONCE_LINE_LIMIT + 1)

/* Programs write texts in multiples of this. */
#define BLOCK		512

/* How many lines of one write may be deferred together. */
#define DEFERRED_MAX	1024

/**
 * struct reader - where a listing is
 * @walk: the walk
 * @batch: the connections of the buckets that are being listed
 * @next: the first of them that has not been listed
 * @bucket: where to look for the next buckets to list
 *
 * A connection keeps its bucket, and each bucket is listed once, so that a listing
 * that is read in many pieces has every connection that lasts, once.
 */
struct reader {
	struct tcpdrop_walk walk;
	struct tcpdrop_batch batch;
	size_t next;
	unsigned long bucket;
};

/**
 * struct writer - a line that is being written
 * @lock: protects all the others; held while what is written is carried out
 * @line: what there is of a line whose end has not been written yet
 * @rule: the same of one that does not fit there and is a rule; else NULL
 * @len: its length, or TOO_LONG
 * @lines: how many lines the text has had that the line goes on with
 * @malformed: how many of them did not parse and nobody has been told of
 * @refused: likewise, how many were rules that matched more than they allow
 * @failed: likewise, how many sockets still stood
 * @section: there was the heading of a section of rules
 * @listing: there was a line of another program's listing
 * @doubtful: the line may have been cut where its writer gave up
 * @owner: the process that wrote it
 */
struct writer {
	struct mutex lock; /* see above */
	char line[LINE_LIMIT + 1];
	char *rule;
	size_t len;
	size_t lines;
	size_t malformed;
	size_t refused;
	size_t failed;
	bool section;
	bool listing;
	bool doubtful;
	struct pid *owner;
};

/* What an open file has; seq_file serialises the use of @reader. */
struct proc_file {
	struct net *net;
	struct reader reader;
	struct writer writer;
};

/**
 * struct tally - what one write does
 * @dropper: drops
 * @result: what it has dropped
 * @err: why it had to stop, or 0
 * @lines: how many lines counted, those of the text before that it goes on with
 *         included
 * @malformed: how many of them did not parse
 * @refused: how many of them were rules that matched more than they allow
 * @failed: how many sockets of the text before still stood
 * @others: how many of them plainly were no connection
 * @done: how many lines of this write were carried out
 * @deferred: how many of them were deferred and are not settled
 * @patience: how long it still waits for sockets that are busy, in jiffies
 * @deaf: signals do not end it
 */
struct tally {
	struct tcpdrop_dropper dropper;
	struct tcpdrop_drop_result result;
	int err;
	size_t lines;
	size_t malformed;
	size_t refused;
	size_t failed;
	size_t others;
	size_t done;
	size_t deferred;
	unsigned long patience;
	bool deaf;
};

/* Reading */

/* The connection that is to be listed next. */
static struct tcpdrop_batch_entry *next_entry(struct reader *reader)
{
	int ret;

	while (reader->next == reader->batch.nr) {
		if (reader->bucket == reader->walk.end)
			return NULL;
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);

		reader->next = 0;
		tcpdrop_batch_shrink(&reader->batch);
		ret = tcpdrop_walk_note(&reader->walk, &reader->bucket, &reader->batch);
		if (ret)
			return ERR_PTR(ret);
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

	if (!*pos) {
		reader->batch.nr = 0;
		reader->next = 0;
		reader->bucket = reader->walk.first;
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

/* A file that has been read to its end keeps no memory for more. */
static void list_stop(struct seq_file *seq, void *v)
{
	struct proc_file *pf = seq->private;

	if (!v) {
		tcpdrop_batch_free(&pf->reader.batch);
		pf->reader.next = 0;
	}
}

static int list_show(struct seq_file *seq, void *v)
{
	const struct tcpdrop_batch_entry *entry = v;
	char line[CONN_LINE_MAX];

	return seq_write(seq, line, tcpdrop_conn_print(line, &entry->conn));
}

static const struct seq_operations list_ops = {
	.start	= list_start,
	.next	= list_next,
	.stop	= list_stop,
	.show	= list_show,
};

/* Writing */

static void tally_init(struct tally *tally, struct net *net, bool deaf)
{
	struct tcpdrop_walk walk;

	*tally = (struct tally){ .patience = DROP_OWNER_PATIENCE, .deaf = deaf };
	tcpdrop_walk_init_net(&walk, net);
	tcpdrop_dropper_init(&tally->dropper, "proc", &walk, &tally->result, &tally->err);
}

static bool is_interrupted(const struct tally *tally)
{
	return !tally->deaf && tcpdrop_signal_seen(current);
}

/*
 * Owners that are stuck delay nobody but those who wait as well, and all of
 * them together no longer than the timeout.  So this is not broken off for a
 * signal, unless nobody is left to be told: the lines have been taken, and that
 * their connections could not be dropped is said only if that was tried.  Before
 * the last of it half of the time is kept for those to come, who may just be busy.
 */
static void settle(struct tally *tally, bool last)
{
	unsigned long kept = last ? 0 : tally->patience / 2;
	unsigned long kept_mptcp = last ? 0 : tally->dropper.mptcp_patience / 2;

	tally->dropper.task = tally->deaf ? NULL : current;
	tally->dropper.fatal = true;
	tally->patience -= kept;
	tally->dropper.mptcp_patience -= kept_mptcp;
	tcpdrop_drop_settle(&tally->dropper, &tally->patience);
	tally->dropper.mptcp_patience += kept_mptcp;
	tally->patience += kept;
	tally->dropper.task = NULL;
	tally->deferred = 0;
	tally->err = 0;
}

/* The last of it; what was dropped for a line that has to be written again counts, too. */
static void tally_exit(struct tally *tally)
{
	settle(tally, true);
	tcpdrop_dropper_exit(&tally->dropper);
	tcpdrop_stats_lines(tally->done, &tally->result);
}

/* Drops what has these ends, now or in settle(). */
static int drop_line(struct tally *tally, const struct tcpdrop_conn *ends)
{
	struct tcpdrop_dropper *d = &tally->dropper;
	int ret;

	if (tally->deferred == DEFERRED_MAX)
		settle(tally, false);
	tcpdrop_drop_ends(d, ends);
	ret = tally->err;
	tally->err = 0;
	tally->deferred += !ret && !list_empty(&d->deferred.list);
	return ret;
}

/* A comment may be indented: what is commented out must not be carried out. */
static bool is_skipped(const char *line)
{
	while (tcpdrop_is_blank(*line))
		line++;
	return !*line || *line == '#' || *line == ';';
}

/* What some editors begin a file with. */
static const char *pass_mark(const char *line)
{
	static const char mark[] = "\xef\xbb\xbf";

	return strncmp(line, mark, sizeof(mark) - 1) ? line : line + sizeof(mark) - 1;
}

static int take_malformed(struct tally *tally)
{
	tally->lines++;
	tally->malformed++;
	return 0;
}

/* Of several lines a heading or a listener is no error. */
static int take_no_connection(struct tally *tally)
{
	tally->lines++;
	tally->others++;
	return 0;
}

static void add_result(struct tcpdrop_drop_result *sum, const struct tcpdrop_drop_result *part)
{
	unsigned int i;

	atomic_long_add(atomic_long_read(&part->matched), &sum->matched);
	atomic_long_add(atomic_long_read(&part->dropped), &sum->dropped);
	atomic_long_add(atomic_long_read(&part->failed), &sum->failed);
	for (i = 0; i < ARRAY_SIZE(sum->states); i++)
		atomic_long_add(atomic_long_read(&part->states[i]), &sum->states[i]);
}

/*
 * What lines before have deferred is settled first, lest it is counted twice.
 * What was dropped until a signal came counts, though the line does not.
 */
static int take_rule(const char *line, struct tally *tally)
{
	struct tcpdrop_drop_result result = {};
	int ret;

	settle(tally, false);
	ret = tcpdrop_once_commit(tally->dropper.walk.nets.net, line,
				  tally->deaf ? NULL : current, &result);
	if (ret == -EINVAL)
		return take_malformed(tally);
	if (ret == -E2BIG) {
		tally->lines++;
		tally->refused++;
		return 0;
	}
	add_result(&tally->result, &result);
	tally->lines += !ret;
	tally->done += !ret;
	return ret;
}

static char *line_of(struct writer *writer)
{
	return writer->rule ? writer->rule : writer->line;
}

/*
 * "[NAME]", as in the files of tcpdrop-rules(8): what follows are attributes of one rule, and
 * would be several here, each of which matches more.
 */
static bool is_section(const char *line)
{
	while (tcpdrop_is_blank(*line))
		line++;
	if (*line != '[')
		return false;
	line = strchr(line, ']');
	return line && is_skipped(line + 1);
}

/*
 * Not in a section, nor in a listing: there the name of a process or a socket may have a
 * newline, and behind that say whatever its user likes.
 */
static bool may_be_rule(const struct writer *writer)
{
	return !writer->section && !writer->listing;
}

/*
 * Carries out the line at hand, which is complete. Returns 0, or an error if
 * it has to be written again.
 */
static int take_line(struct writer *writer, struct tally *tally)
{
	char *text = line_of(writer);
	struct tcpdrop_conn ends;
	const char *line;
	bool row;
	int ret;

	if (writer->len == TOO_LONG || memchr(text, '\0', writer->len))
		return take_malformed(tally);

	text[writer->len] = '\0';
	line = pass_mark(text);
	if (is_skipped(line))
		return 0;
	if (is_section(line))
		writer->section = true;
	if (tcpdrop_once_is_rule(line, strlen(line)))
		return may_be_rule(writer) ? take_rule(line, tally) : take_malformed(tally);
	ret = tcpdrop_conn_parse_row(line, &ends, &row);
	writer->listing |= row;
	if (ret == -ENODATA)
		return take_no_connection(tally);
	if (ret)
		return take_malformed(tally);

	ret = drop_line(tally, &ends);
	tally->lines += !ret;
	tally->done += !ret;
	return ret;
}

/* A new line, for which a short buffer will do until it is known to be a long rule. */
static void clear_line(struct writer *writer)
{
	kfree(writer->rule);
	writer->rule = NULL;
	writer->len = 0;
}

/* Makes room for a rule; the writer's cgroup pays for it. */
static int make_room(struct writer *writer)
{
	writer->rule = kmalloc(ONCE_LINE_LIMIT + 1, GFP_KERNEL_ACCOUNT);
	if (!writer->rule)
		return -ENOMEM;
	memcpy(writer->rule, writer->line, writer->len);
	return 0;
}

/* Could what there is, together with @text, be a rule? */
static bool is_rule(struct writer *writer, const char *text, size_t len)
{
	size_t fits = min(len, LINE_LIMIT - writer->len);

	memcpy(writer->line + writer->len, text, fits);
	return tcpdrop_once_is_rule(writer->line, writer->len + fits);
}

/* Returns 0, or -ENOMEM with the line as it was. */
static int append(struct writer *writer, const char *text, size_t len)
{
	int ret;

	if (writer->len == TOO_LONG)
		return 0;
	if (writer->len + len > LINE_LIMIT && !writer->rule && is_rule(writer, text, len)) {
		ret = make_room(writer);
		if (ret)
			return ret;
	}
	if (writer->len + len > (writer->rule ? ONCE_LINE_LIMIT : LINE_LIMIT)) {
		writer->len = TOO_LONG;
		return 0;
	}
	memcpy(line_of(writer) + writer->len, text, len);
	writer->len += len;
	return 0;
}

/*
 * Takes what it can of a piece of text; what there was of a line before is as
 * it was if the line cannot be taken. Returns how many bytes it took.
 */
static size_t take_text(struct writer *writer, struct tally *tally,
			const char *text, size_t len, int *err)
{
	const char *p = text, *end = text + len;
	const char *newline;
	size_t before;

	while ((newline = memchr(p, '\n', end - p))) {
		cond_resched();
		before = writer->len;
		*err = append(writer, p, newline - p);
		if (!*err)
			*err = is_interrupted(tally) ? -ERESTARTSYS : take_line(writer, tally);
		if (*err) {
			writer->len = before;
			return p - text;
		}
		clear_line(writer);
		p = newline + 1;
	}
	*err = append(writer, p, end - p);
	return *err ? p - text : len;
}

/* Is there more of a line than blanks? */
static bool has_rest(struct writer *writer)
{
	const char *p = line_of(writer);
	size_t i;

	for (i = 0; i < writer->len; i++)
		if (writer->len == TOO_LONG || !tcpdrop_is_blank(p[i]))
			return true;
	return false;
}

/* Then the line will be malformed, and who ends what he writes with it is told. */
static bool has_nul(struct writer *writer)
{
	return writer->len != TOO_LONG && memchr(line_of(writer), '\0', writer->len);
}

/*
 * Of a single line what became of it, of several whether all that could be done
 * was.  A piece of a line is one as well: whoever writes a text in pieces is not
 * told what became of the line that a piece happens to complete.
 */
static int verdict(struct writer *writer, struct tally *tally)
{
	bool single = tally->lines == 1 && !has_rest(writer);

	if (tally->malformed || (single && tally->others))
		return -EINVAL;
	if (tally->refused)
		return -E2BIG;
	if (tally->failed || atomic_long_read(&tally->result.failed))
		return -EBUSY;
	if (!single || atomic_long_read(&tally->result.dropped))
		return 0;
	if (tally->dropper.walk.ends && tcpdrop_walk_has_exempt(&tally->dropper.walk))
		return -EPERM;
	return -ESRCH;
}

/*
 * Who is told how many bytes were taken is not told what became of the lines in
 * them: that of the rest of the text counts it.
 */
static void keep_untold(struct writer *writer, const struct tally *tally)
{
	writer->malformed = tally->malformed;
	writer->refused = tally->refused;
	writer->failed = tally->failed + atomic_long_read(&tally->result.failed);
}

static void take_untold(struct writer *writer, struct tally *tally)
{
	tally->malformed = writer->malformed;
	tally->refused = writer->refused;
	tally->failed = writer->failed;
	writer->malformed = 0;
	writer->refused = 0;
	writer->failed = 0;
}

static ssize_t take_write(struct proc_file *pf, const char __user *ubuf,
			  size_t count, char *page)
{
	struct writer *writer = &pf->writer;
	struct tally tally;
	size_t taken = 0;
	int err = 0;

	tally_init(&tally, pf->net, false);
	tally.lines = writer->lines;
	take_untold(writer, &tally);
	while (taken < count && !err) {
		size_t len = min_t(size_t, count - taken, PAGE_SIZE);

		cond_resched();
		if (is_interrupted(&tally))
			err = -ERESTARTSYS;
		else if (copy_from_user(page, ubuf + taken, len))
			err = -EFAULT;
		else
			taken += take_text(writer, &tally, page, len, &err);
	}
	tally_exit(&tally);

	writer->lines = has_rest(writer) || err ? tally.lines : 0;
	if (err) {
		keep_untold(writer, &tally);
		writer->doubtful |= taken || writer->len;
		return taken ? taken : err;
	}
	if (has_nul(writer))
		take_malformed(&tally);
	err = verdict(writer, &tally);
	writer->doubtful = err && (writer->doubtful || !(count % BLOCK));
	return err ? err : count;
}

static void note_owner(struct writer *writer)
{
	lockdep_assert_held(&writer->lock);

	put_pid(writer->owner);
	writer->owner = get_pid(task_tgid(current));
}

/* Who opened the file has been looked at then; the writer may be another. */
static ssize_t proc_file_write(struct file *file, const char __user *ubuf,
			       size_t count, loff_t *ppos)
{
	struct proc_file *pf = ((struct seq_file *)file->private_data)->private;
	ssize_t ret;
	char *page;

	if (!ns_capable(pf->net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (mutex_lock_interruptible(&pf->writer.lock))
		return -ERESTARTSYS;

	page = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (page) {
		ret = take_write(pf, ubuf, count, page);
		note_owner(&pf->writer);
		kfree(page);
	} else {
		pf->writer.doubtful |= pf->writer.len;
		ret = -ENOMEM;
	}
	mutex_unlock(&pf->writer.lock);
	return ret;
}

/*
 * Has a signal ended the current process?  The last of its threads to let go of
 * its files may be one that had come to an end of its own right before.
 */
static bool is_killed(void)
{
	const struct signal_struct *signal = current->signal;
	int code = current->exit_code;

	if (!(current->flags & PF_EXITING))
		return false;
	if (signal->flags & SIGNAL_GROUP_EXIT)
		code |= signal->group_exit_code;
	return code & 0x7f;
}

/*
 * Does the process that has written to the file close it, or has it come to its
 * end by itself?
 */
static bool is_closed_by_writer(const struct writer *writer)
{
	return writer->owner == task_tgid(current) && !is_killed();
}

/*
 * The last line may have no newline.  If it is not its writer that says so it is
 * a piece of one, though, and might name another connection. So it is if a block
 * of a longer text ended in it, and what he was told of that made him give up.
 */
static void take_last_line(struct proc_file *pf)
{
	struct writer *writer = &pf->writer;
	struct tally tally;

	mutex_lock(&writer->lock);
	if (writer->len && !writer->doubtful && is_closed_by_writer(writer)) {
		tally_init(&tally, pf->net, true);
		take_line(writer, &tally);
		tally_exit(&tally);
	}
	mutex_unlock(&writer->lock);
}

static struct proc_file *proc_file_new(struct net *net)
{
	struct proc_file *pf;

	pf = kzalloc(sizeof(*pf), GFP_KERNEL_ACCOUNT);
	if (!pf)
		return NULL;

	pf->net = net;
	tcpdrop_walk_init_net(&pf->reader.walk, net);
	mutex_init(&pf->writer.lock);
	return pf;
}

static void proc_file_free(struct proc_file *pf)
{
	tcpdrop_batch_free(&pf->reader.batch);
	kfree(pf->writer.rule);
	put_pid(pf->writer.owner);
	mutex_destroy(&pf->writer.lock);
	kfree(pf);
}

static int open_held(struct file *file, struct net *net)
{
	struct proc_file *pf;
	int ret;

	pf = proc_file_new(net);
	if (!pf)
		return -ENOMEM;
	ret = seq_open(file, &list_ops);
	if (ret)
		proc_file_free(pf);
	else
		((struct seq_file *)file->private_data)->private = pf;
	return ret;
}

/*
 * The end is wherever the file is: a text that is written has no position, and
 * to look for the end of the listing would take a walk. Programs go there when
 * they open a file to append.
 */
static loff_t proc_file_lseek(struct file *file, loff_t offset, int whence)
{
	if (whence == SEEK_END)
		return offset ? -EINVAL : file->f_pos;
	return seq_lseek(file, offset, whence);
}

static int proc_file_open(struct inode *inode, struct file *file)
{
	struct net *net = pde_data(inode);
	int ret = -ENXIO;

	if (!ns_capable(net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (!try_module_get(THIS_MODULE))
		return ret;
	if (maybe_get_net(net)) {
		ret = open_held(file, net);
		if (!ret)
			return 0;
		put_net(net);
	}
	module_put(THIS_MODULE);
	return ret;
}

/* procfs waits for this to return before it lets the module go. */
static int proc_file_release(struct inode *inode, struct file *file)
{
	struct proc_file *pf = ((struct seq_file *)file->private_data)->private;
	struct net *net = pf->net;

	take_last_line(pf);
	proc_file_free(pf);
	seq_release(inode, file);
	put_net(net);
	module_put(THIS_MODULE);
	return 0;
}

static const struct proc_ops proc_file_ops = {
	.proc_open	= proc_file_open,
	.proc_read_iter	= seq_read_iter,
	.proc_write	= proc_file_write,
	.proc_lseek	= proc_file_lseek,
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
 * None is open any more: an open file keeps the module.
 *
 * Context: process context, when the module is unloaded or failed to load.
 */
void tcpdrop_procfs_exit(void)
{
	unregister_netdevice_notifier(&device_notifier);
	unregister_pernet_subsys(&proc_net_ops);
}
