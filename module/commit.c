// SPDX-License-Identifier: GPL-2.0
/*
 * The commit of a rule: drop every matching socket.
 *
 * To abort a connection takes far longer than to find it, and a table may be
 * long, so several CPUs share the work: each worker claims a part of the buckets
 * after another.  A bucket belongs to one worker, and all that drop.c says of it
 * holds.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>

#include "commit.h"
#include "drop.h"
#include "rule.h"
#include "stats.h"
#include "trace.h"
#include "walk.h"

/* How many buckets a worker claims at a time. */
#define PART_BUCKETS	1024

/* How many sockets the committing task drops before it calls for help. */
#define ENOUGH_FOR_ONE	256

/* How many parts it looks through before it does: a fraction of a millisecond. */
#define PARTS_FOR_ONE	8

/* More workers would take the machine away from what it is there for. */
#define MAX_WORKERS	8U

struct worker;

/**
 * struct commit - what the workers on a commit share
 * @name: of the rule
 * @walk: what to look through
 * @task: a signal to whom ends it; NULL if none does
 * @result: what was done so far
 * @do_part: what is done now to one part after another; false if there is none left
 * @next: the first bucket that nobody has claimed, counted from the first of
 *        @walk; runs on past the last
 * @err: why all have to stop before the end, or 0
 */
struct commit {
	const char *name;
	struct tcpdrop_walk walk;
	struct task_struct *task;
	struct tcpdrop_drop_result *result;
	bool (*do_part)(struct worker *worker);
	atomic_long_t next;
	int err;
};

/**
 * struct worker - one of those who work on a commit
 * @commit: the commit
 * @work: runs it, unless it is the committing task's own
 * @dropper: drops what is in the buckets that it has claimed
 * @count: how many matching sockets it has counted
 * @lock: protects @task and @urgent
 * @task: who runs @work at this moment
 * @urgent: the committing task waits for it
 */
struct worker {
	struct commit *commit;
	struct work_struct work;
	struct tcpdrop_dropper dropper;
	u64 count;
	spinlock_t lock; /* see above */
	struct task_struct *task;
	bool urgent;
};

/* Its CPUs are the administrator's to choose, see WQ_SYSFS. */
static struct workqueue_struct *commit_wq;

/* Claims buckets that nobody has claimed yet; false if there are none. */
static bool claim_part(struct worker *worker)
{
	const struct tcpdrop_walk *whole = &worker->commit->walk;
	struct tcpdrop_walk *part = &worker->dropper.walk;
	unsigned long next = atomic_long_fetch_add(PART_BUCKETS, &worker->commit->next);

	if (next >= whole->end - whole->first)
		return false;

	part->first = whole->first + next;
	part->end = min(part->first + PART_BUCKETS, whole->end);
	return true;
}

static bool drop_part(struct worker *worker)
{
	if (tcpdrop_drop_is_done(&worker->dropper) || !claim_part(worker))
		return false;
	tcpdrop_drop_buckets(&worker->dropper);
	return true;
}

static bool count_part(struct worker *worker)
{
	if (!claim_part(worker))
		return false;
	worker->count += tcpdrop_walk_count(&worker->dropper.walk);
	return true;
}

/*
 * Who helps takes what the CPU has to spare, so that whatever runs on it is not held up, unless
 * the administrator has said at which priority he is to.  Where the locks of the kernel can be
 * preempted, others would wait for them that long.
 */
static bool may_be_low(const struct worker *worker)
{
	return !IS_ENABLED(CONFIG_PREEMPT_RT) && !task_nice(current) && !worker->urgent;
}

static void work_on(struct work_struct *work)
{
	struct worker *worker = container_of(work, struct worker, work);
	int nice = task_nice(current);

	spin_lock(&worker->lock);
	worker->task = current;
	if (may_be_low(worker))
		set_user_nice(current, MAX_NICE);
	spin_unlock(&worker->lock);

	while (worker->commit->do_part(worker))
		;

	spin_lock(&worker->lock);
	worker->task = NULL;
	set_user_nice(current, nice);
	spin_unlock(&worker->lock);
}

/* From now on the committing task waits for it, so its priority counts. */
static void hurry(struct worker *worker)
{
	spin_lock(&worker->lock);
	worker->urgent = true;
	if (worker->task && task_nice(worker->task) > task_nice(current))
		set_user_nice(worker->task, task_nice(current));
	spin_unlock(&worker->lock);
}

static unsigned long nr_parts(const struct tcpdrop_walk *walk)
{
	return DIV_ROUND_UP(walk->end - walk->first, PART_BUCKETS);
}

static unsigned int nr_workers(const struct tcpdrop_walk *walk)
{
	return clamp_t(unsigned long, nr_parts(walk), 1, min(num_online_cpus(), MAX_WORKERS));
}

/* Where there is a limit the committing task drops alone. */
static bool may_share_drop(const struct tcpdrop_walk *walk)
{
	return !walk->rule->options.max && !walk->rule->options.rate;
}

static struct worker *workers_new(struct commit *commit, unsigned int nr)
{
	struct worker *workers;
	unsigned int i;

	workers = kcalloc(nr, sizeof(*workers), GFP_KERNEL_ACCOUNT);
	if (!workers)
		return NULL;

	for (i = 0; i < nr; i++) {
		workers[i].commit = commit;
		INIT_WORK(&workers[i].work, work_on);
		spin_lock_init(&workers[i].lock);
		tcpdrop_dropper_init(&workers[i].dropper, commit->name, &commit->walk,
				     commit->result, &commit->err);
		/* A signal to the committing task stops the others too: it waits for them. */
		workers[i].dropper.task = commit->task;
	}
	return workers;
}

static void workers_free(struct worker *workers, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		tcpdrop_dropper_exit(&workers[i].dropper);
	kfree(workers);
}

static void call_workers(struct worker *workers, unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		queue_work(commit_wq, &workers[i].work);
}

static bool is_enough_for_one(const struct commit *commit, unsigned int parts, long dropped)
{
	return parts >= PARTS_FOR_ONE ||
	       atomic_long_read(&commit->result->dropped) - dropped >= ENOUGH_FOR_ONE;
}

/*
 * Does something to all parts.  The first worker is the committing task; those who have
 * not started by its end are cancelled.
 */
static void share(struct commit *commit, struct worker *workers, unsigned int nr,
		  bool (*do_part)(struct worker *worker))
{
	long dropped = atomic_long_read(&commit->result->dropped);
	bool alone = true;
	unsigned int i;

	commit->do_part = do_part;
	atomic_long_set(&commit->next, 0);
	for (i = 1; do_part(&workers[0]); i++) {
		if (alone && is_enough_for_one(commit, i, dropped)) {
			/* No more of them than there are parts left. */
			call_workers(workers, min_t(unsigned long, nr,
						    1 + nr_parts(&commit->walk) - i));
			alone = false;
		}
	}
	for (i = 1; i < nr; i++)
		hurry(&workers[i]);
	for (i = 1; i < nr; i++) {
		cancel_work_sync(&workers[i].work);
		workers[i].urgent = false;
	}
}

/* All that any of them has deferred has the same time left. */
static void settle_workers(struct worker *workers, unsigned int nr)
{
	struct tcpdrop_dropper *first = &workers[0].dropper;
	unsigned long patience = DROP_OWNER_PATIENCE;
	unsigned int i;
	int ret;

	for (i = 1; i < nr; i++) {
		ret = tcpdrop_deferred_merge(&first->deferred,
					     &workers[i].dropper.deferred);
		if (ret)
			tcpdrop_drop_stop(first, ret);
	}
	tcpdrop_drop_settle(first, &patience);
}

static int drop_all(struct commit *commit, struct worker *workers, unsigned int nr)
{
	if (!may_share_drop(&commit->walk))
		nr = 1;
	share(commit, workers, nr, drop_part);
	settle_workers(workers, nr);
	return commit->err;
}

static u64 count_all(struct commit *commit, struct worker *workers, unsigned int nr)
{
	u64 count = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		workers[i].count = 0;
	share(commit, workers, nr, count_part);
	for (i = 0; i < nr; i++)
		count += workers[i].count;
	return count;
}

static void reset_result(struct tcpdrop_drop_result *result)
{
	unsigned int i;

	atomic_long_set(&result->matched, 0);
	atomic_long_set(&result->dropped, 0);
	atomic_long_set(&result->failed, 0);
	atomic_long_set(&result->remaining, 0);
	atomic_long_set(&result->elapsed_us, 0);
	for (i = 0; i < ARRAY_SIZE(result->states); i++)
		atomic_long_set(&result->states[i], 0);
}

static int check_limit(struct commit *commit, struct worker *workers, unsigned int nr)
{
	u64 max = commit->walk.rule->options.max;
	u64 count;

	if (!max)
		return 0;

	count = count_all(commit, workers, nr);
	if (count <= max)
		return 0;

	atomic_long_set(&commit->result->matched, count);
	return -E2BIG;
}

/* What others work and allocate is charged to nobody, so the root of a container works alone. */
static bool may_call_workers(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN);
}

/* Counts what remains as well. */
static int work_together(struct commit *commit)
{
	unsigned int nr = may_call_workers() ? nr_workers(&commit->walk) : 1;
	struct worker *workers = workers_new(commit, nr);
	int ret;

	if (!workers) {
		atomic_long_set(&commit->result->remaining, tcpdrop_walk_count(&commit->walk));
		return -ENOMEM;
	}

	ret = check_limit(commit, workers, nr);
	if (!ret)
		ret = drop_all(commit, workers, nr);
	atomic_long_set(&commit->result->remaining, count_all(commit, workers, nr));
	workers_free(workers, nr);
	return ret;
}

/**
 * tcpdrop_commit_refused() - account for a commit that was refused before it began
 * @name: of the rule
 * @err: why
 *
 * Context: process context; does not sleep.
 */
void tcpdrop_commit_refused(const char *name, int err)
{
	static const struct tcpdrop_drop_result nothing;

	tcpdrop_stats_refused();
	trace_tcpdrop_commit(name, 0, &nothing, err);
}

/* Adds a commit to the totals, which has dropped nothing if it was refused for max. */
static void count_commit(const struct commit *commit, int err)
{
	if (err == -E2BIG)
		tcpdrop_stats_refused();
	else
		tcpdrop_stats_commit(commit->result);
}

/* The walk is ready. */
static int commit_walk(struct commit *commit, ktime_t start)
{
	int ret;

	reset_result(commit->result);
	ret = work_together(commit);
	atomic_long_set(&commit->result->elapsed_us, ktime_us_delta(ktime_get(), start));
	trace_tcpdrop_commit(commit->name, tcpdrop_nets_nr(&commit->walk.nets),
			     commit->result, ret);
	return ret;
}

/**
 * tcpdrop_commit_rule() - drop every socket that matches a rule
 * @name: of the rule, for those who trace
 * @rule: a rule made by tcpdrop_rule_copy(); must not change meanwhile
 * @result: told what was done, as it is done; not touched on -EPERM and
 *          -EOPNOTSUPP
 *
 * The commit is in the totals and has its event at the end, however it ends.
 *
 * Context: process context; may sleep, for long if there is much to drop.
 * Return: 0, however many sockets matched; the error of tcpdrop_walk_init();
 * -E2BIG if more matched than the rule allows, and none was dropped; -EINTR if
 * a signal came before the end; -ENOMEM. In the last two cases @result tells
 * how far it came.
 */
int tcpdrop_commit_rule(const char *name, const struct tcpdrop_rule *rule,
			struct tcpdrop_drop_result *result)
{
	struct commit commit = { .name = name, .task = current, .result = result };
	ktime_t start = ktime_get();
	int ret;

	ret = tcpdrop_walk_init(&commit.walk, rule);
	if (ret) {
		tcpdrop_commit_refused(name, ret);
		return ret;
	}

	ret = commit_walk(&commit, start);
	count_commit(&commit, ret);
	tcpdrop_walk_exit(&commit.walk);
	return ret;
}

/**
 * tcpdrop_commit_net() - drop every socket of one namespace that matches a rule
 * @name: as for tcpdrop_commit_rule()
 * @rule: likewise; the namespaces that it is about do not matter
 * @net: the namespace, on which the caller has a reference
 * @task: a signal to whom ends it; NULL if none does
 * @result: told what was done, as it is done
 *
 * Who may is up to the caller, and so are the totals.
 *
 * Context: process context; may sleep, for long if there is much to drop.
 * Return: as tcpdrop_commit_rule(), but no error of tcpdrop_walk_init().
 */
int tcpdrop_commit_net(const char *name, const struct tcpdrop_rule *rule, struct net *net,
		       struct task_struct *task, struct tcpdrop_drop_result *result)
{
	struct commit commit = { .name = name, .task = task, .result = result };
	ktime_t start = ktime_get();

	tcpdrop_walk_init_rule(&commit.walk, net, rule);
	return commit_walk(&commit, start);
}

/**
 * tcpdrop_commit_init() - prepare for commits
 *
 * Context: process context, when the module is loaded.
 * Return: 0 or -ENOMEM.
 */
int __init tcpdrop_commit_init(void)
{
	commit_wq = alloc_workqueue("tcpdrop", WQ_UNBOUND | WQ_SYSFS, 0);
	return commit_wq ? 0 : -ENOMEM;
}

/**
 * tcpdrop_commit_exit() - undo tcpdrop_commit_init()
 *
 * Context: process context, when no commit can run any more.
 */
void tcpdrop_commit_exit(void)
{
	destroy_workqueue(commit_wq);
}
