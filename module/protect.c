// SPDX-License-Identifier: GPL-2.0
/*
 * Protection: sockets that are not to be dropped, by rules with protect = yes.
 *
 * What such a rule protects is in a copy of it, in which all names are looked up:
 * it is matched under the locks of buckets.  A write to the rule makes another
 * copy, which is published before the one that it replaces is taken away, so
 * what matches both is protected all the time.
 *
 * Whoever drops looks for protection last, after he has claimed the socket and
 * right before the abort (see claim.c).  A write that protects publishes first,
 * and waits then for the aborts of matching sockets that are claimed: one that is
 * not has yet to look, and finds what was published.
 *
 * Namespaces are known by numbers of our own, which nobody has twice: inode
 * numbers and addresses are used again, and nothing here is to hold a namespace.
 *
 * Locks: who writes to a rule holds the lock of its directory, under which
 * net_rwsem and those of the claims are taken one after another, and
 * protections_lock, a leaf.  Readers are in a read side of RCU.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/nsproxy.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "claim.h"
#include "nets.h"
#include "protect.h"
#include "ranges.h"
#include "rule.h"
#include "sock.h"
#include "who.h"

/**
 * struct tcpdrop_protection - what a rule protects; does not change once published
 * @list: in tcpdrop_protections
 * @rule: a copy of the rule, known to tcpdrop_who_find()
 * @everywhere: in all namespaces
 * @nets: otherwise the namespaces, by their numbers
 * @self: that of the process that set protect, 0 if nobody can tell
 * @work: frees it
 */
struct tcpdrop_protection {
	struct list_head list;
	struct tcpdrop_rule rule;
	bool everywhere;
	struct tcpdrop_ranges nets;
	struct tcpdrop_range_key self;
	struct rcu_work work;
};

LIST_HEAD(tcpdrop_protections);

/* Protects changes of tcpdrop_protections; a leaf. */
static DEFINE_SPINLOCK(protections_lock);

/* Frees in process context, after a grace period. */
static struct workqueue_struct *protect_wq;

static unsigned int protect_net_id;

static struct tcpdrop_range_key net_number(const struct net *net)
{
	const u64 *number = net_generic(net, protect_net_id);

	return (struct tcpdrop_range_key){ .lo = *number };
}

/* Those of a worker of io_uring may be others than its process has, see nets.c. */
static struct tcpdrop_range_key own_net_number(void)
{
	if (current->flags & PF_IO_WORKER)
		return (struct tcpdrop_range_key){};
	return net_number(current->nsproxy->net_ns);
}

static bool is_covered(const struct tcpdrop_protection *p, const struct net *net)
{
	struct tcpdrop_range_key number = net_number(net);

	return p->everywhere || tcpdrop_ranges_contain(&p->nets, &number);
}

static bool protects(const struct tcpdrop_protection *p, const struct sock *sk,
		     unsigned int state)
{
	return is_covered(p, sock_net(sk)) && tcpdrop_sock_match(&p->rule, sk, state);
}

/**
 * tcpdrop_protect_find() - look for a rule that protects a socket
 * @sk: as for tcpdrop_protected(), which is what to call
 * @state: as well
 *
 * Context: any.
 * Return: true if there is one.
 */
bool tcpdrop_protect_find(const struct sock *sk, unsigned int state)
{
	const struct tcpdrop_protection *p;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(p, &tcpdrop_protections, list) {
		found = protects(p, sk, state);
		if (found)
			break;
	}
	rcu_read_unlock();
	return found;
}

/**
 * tcpdrop_protect_find_linked() - does a rule protect a socket that may have gone?
 * @sk: the socket, on which the caller has a reference, of a namespace that is held
 *
 * Context: any.
 * Return: true if it is linked and a rule does.
 */
bool tcpdrop_protect_find_linked(const struct sock *sk)
{
	bool found;

	rcu_read_lock();
	found = tcpdrop_sock_is_linked(sk) && tcpdrop_protected(sk, tcpdrop_sock_state(sk));
	rcu_read_unlock();
	return found;
}

/*
 * Is one of these about to be dropped by who looked before it was protected?  What
 * has left its table is shown as open until its state changes right after that.
 */
static bool is_concerned(const struct sock *sk, const void *arg)
{
	bool concerned;

	rcu_read_lock();
	if (tcpdrop_sock_is_linked(sk))
		concerned = protects(arg, sk, tcpdrop_sock_state(sk));
	else
		concerned = sk_fullsock(sk) && inet_sk_state_load(sk) != TCP_CLOSE;
	rcu_read_unlock();
	return concerned;
}

/*
 * May the calling process decide on what is protected there?  Whoever touches no
 * namespace has to be an administrator of something all the same.
 */
static int check_permitted(const struct tcpdrop_protection *p)
{
	struct net *net;
	bool any = false;
	int ret = 0;

	if (p->everywhere)
		return ns_capable(&init_user_ns, CAP_NET_ADMIN) ? 0 : -EPERM;

	down_read(&net_rwsem);
	for_each_net(net) {
		if (!is_covered(p, net))
			continue;
		any = true;
		if (!ns_capable(net->user_ns, CAP_NET_ADMIN))
			ret = -EPERM;
	}
	up_read(&net_rwsem);
	if (!any && !ns_capable(current_user_ns(), CAP_NET_ADMIN))
		ret = -EPERM;
	return ret;
}

static int add_net(struct tcpdrop_ranges *nets, const struct tcpdrop_range_key *number)
{
	struct tcpdrop_key_range r = { *number, *number };

	return tcpdrop_ranges_add(nets, &r);
}

/* Those that have the inode numbers now: another one may have them later. */
static int add_listed_nets(struct tcpdrop_protection *p)
{
	struct tcpdrop_range_key number;
	const struct net *net;
	int ret = 0;

	/* Nothing is allocated under a lock for which others wait who make namespaces. */
	ret = tcpdrop_ranges_reserve(&p->nets, p->rule.sel[RULE_NETNS].yes.nr);
	if (ret)
		return ret;
	down_read(&net_rwsem);
	for_each_net(net) {
		if (!tcpdrop_rule_lists_netns(&p->rule, net->ns.inum))
			continue;
		number = net_number(net);
		ret = add_net(&p->nets, &number);
		if (ret)
			break;
	}
	up_read(&net_rwsem);
	tcpdrop_ranges_sort(&p->nets);
	return ret;
}

static int find_nets(struct tcpdrop_protection *p)
{
	int ret = 0;

	switch (tcpdrop_rule_netns(&p->rule)) {
	case NETNS_ALL:
		p->everywhere = true;
		break;
	case NETNS_SELF:
		ret = p->self.lo ? add_net(&p->nets, &p->self) : -EOPNOTSUPP;
		break;
	case NETNS_LISTED:
		ret = add_listed_nets(p);
		break;
	}
	return ret ? ret : check_permitted(p);
}

/* The old ones are in order, so copying them changes nothing that others look at. */
static void keep_nets(struct tcpdrop_protection *p, struct tcpdrop_protection *old)
{
	p->everywhere = old->everywhere;
	tcpdrop_ranges_copy(&p->nets, &old->nets);
}

/*
 * Names are looked up when they are written, or when protection begins: what
 * they stood for stays protected while something else is written.
 */
static int look_up(struct tcpdrop_protection *p, struct tcpdrop_protection *old,
		   enum tcpdrop_rule_attr attr)
{
	bool begin = attr == RULE_PROTECT;
	int ret = 0;

	p->self = begin ? own_net_number() : old->self;
	if (begin || attr == RULE_CGROUP)
		ret = tcpdrop_who_find(&p->rule);
	else
		tcpdrop_who_keep(&p->rule, &old->rule);
	if (ret)
		return ret;
	if (begin || attr == RULE_NETNS)
		return find_nets(p);
	keep_nets(p, old);
	return 0;
}

static void protection_free(struct tcpdrop_protection *p)
{
	tcpdrop_ranges_free(&p->nets);
	tcpdrop_who_put(&p->rule);
	tcpdrop_rule_destroy(&p->rule);
	kfree(p);
}

static struct tcpdrop_protection *protection_new(struct tcpdrop_rule *rule,
						 struct tcpdrop_protection *old,
						 enum tcpdrop_rule_attr attr)
{
	struct tcpdrop_protection *p;
	int ret;

	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return ERR_PTR(-ENOMEM);
	ret = tcpdrop_rule_copy(&p->rule, rule);
	if (ret) {
		kfree(p);
		return ERR_PTR(ret);
	}
	ret = look_up(p, old, attr);
	if (ret) {
		protection_free(p);
		return ERR_PTR(ret);
	}
	return p;
}

/* At the end, so that nobody who is on his way through the list misses both. */
static void publish(struct tcpdrop_protection *p)
{
	spin_lock(&protections_lock);
	list_add_tail_rcu(&p->list, &tcpdrop_protections);
	spin_unlock(&protections_lock);
}

static void free_work(struct work_struct *work)
{
	protection_free(container_of(to_rcu_work(work), struct tcpdrop_protection, work));
}

static void withdraw(struct tcpdrop_protection *p)
{
	spin_lock(&protections_lock);
	list_del_rcu(&p->list);
	spin_unlock(&protections_lock);
	INIT_RCU_WORK(&p->work, free_work);
	queue_rcu_work(protect_wq, &p->work);
}

/* What is written is up to who may write to the file, but for these two. */
static int check_write(const struct tcpdrop_protection *old, const struct tcpdrop_rule *rule,
		       enum tcpdrop_rule_attr attr)
{
	int ret = 0;

	if (attr == RULE_PROTECT)
		ret = tcpdrop_nets_permitted(rule);
	else if (attr != RULE_NETNS)
		return 0;
	if (!ret && old)
		ret = check_permitted(old);
	return ret;
}

/* @new was published; @old is withdrawn when nobody drops any more what @new has. */
static int replace(struct tcpdrop_protection *old, struct tcpdrop_protection *new)
{
	int ret = tcpdrop_claim_wait(is_concerned, new);

	if (ret)
		withdraw(new);
	else if (old)
		withdraw(old);
	return ret;
}

/**
 * tcpdrop_protect_update() - have a rule protect what it now says
 * @held: what it protects, NULL if nothing; set if this succeeds, and to be given
 *        to tcpdrop_protect_end() then
 * @rule: the rule; for RULE_PROTECT one made by tcpdrop_rule_copy()
 * @attr: what has been written of it: RULE_PROTECT, or a list of one that protects
 *
 * What matches both as it was and as it is stays protected meanwhile.
 *
 * Context: process context of who wrote, with the lock of the rule held; sleeps,
 * for some seconds where somebody is stuck.
 * Return: 0; otherwise nothing has changed: -EPERM if the process may not write
 * this; -EOPNOTSUPP if nobody can tell which its own namespace is; -EINVAL if the
 * rule has processes, whose sockets change; -ENOENT if its cgroup does not exist;
 * -EBUSY if a matching socket is being dropped and that does not end; -EINTR if
 * the process was killed meanwhile; -ENOMEM.
 */
int tcpdrop_protect_update(struct tcpdrop_protection **held, struct tcpdrop_rule *rule,
			   enum tcpdrop_rule_attr attr)
{
	struct tcpdrop_protection *new;
	int ret;

	ret = check_write(*held, rule, attr);
	if (ret)
		return ret;
	if (!rule->options.protect) {
		tcpdrop_protect_end(held);
		return 0;
	}
	if (rule->sel[RULE_PID].yes.nr || rule->sel[RULE_PID].no.nr)
		return -EINVAL;

	new = protection_new(rule, *held, attr);
	if (IS_ERR(new))
		return PTR_ERR(new);
	publish(new);
	ret = replace(*held, new);
	if (!ret)
		*held = new;
	return ret;
}

/**
 * tcpdrop_protect_end() - have a rule protect nothing any more
 * @held: what it protects, or NULL; set to NULL
 *
 * Context: process context; may sleep.
 */
void tcpdrop_protect_end(struct tcpdrop_protection **held)
{
	if (*held)
		withdraw(*held);
	*held = NULL;
}

static int __net_init protect_net_init(struct net *net)
{
	static atomic64_t last = ATOMIC64_INIT(0);
	u64 *number = net_generic(net, protect_net_id);

	*number = atomic64_inc_return(&last);
	return 0;
}

static struct pernet_operations protect_net_ops = {
	.init	= protect_net_init,
	.id	= &protect_net_id,
	.size	= sizeof(u64),
};

/**
 * tcpdrop_protect_init() - prepare to protect
 *
 * Context: process context, when the module is loaded.
 * Return: 0 or a negative errno.
 */
int __init tcpdrop_protect_init(void)
{
	int ret;

	protect_wq = alloc_workqueue("tcpdrop_protect", WQ_UNBOUND, 0);
	if (!protect_wq)
		return -ENOMEM;
	ret = register_pernet_subsys(&protect_net_ops);
	if (ret)
		destroy_workqueue(protect_wq);
	return ret;
}

/**
 * tcpdrop_protect_exit() - undo tcpdrop_protect_init()
 *
 * Context: process context, when there are no rules any more.
 */
void tcpdrop_protect_exit(void)
{
	unregister_pernet_subsys(&protect_net_ops);
	rcu_barrier(); /* what is to be freed is in the queue then */
	destroy_workqueue(protect_wq);
}
