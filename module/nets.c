// SPDX-License-Identifier: GPL-2.0
/*
 * Held namespaces.
 *
 * A socket does not hold its namespace in every state, so nobody may touch one
 * of a namespace that is not held: a time-wait minisock uses its namespace when
 * it is killed.  Which namespace a socket is of is told by the pointer alone.
 *
 * A rule knows namespaces by their numbers and holds none.  Whoever commits or
 * looks takes those that there are then, and whether he may is looked at after
 * they are held: so none comes in that was not looked at.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "nets.h"
#include "rule.h"

#define NETS_MIN	16

static bool is_admin(struct user_namespace *user_ns)
{
	return ns_capable(user_ns, CAP_NET_ADMIN);
}

/*
 * A worker of io_uring has the namespaces that its process had when the worker
 * was made, which may not be those that it has now.
 */
static int self_permitted(void)
{
	if (current->flags & PF_IO_WORKER)
		return -EOPNOTSUPP;
	return is_admin(current->nsproxy->net_ns->user_ns) ? 0 : -EPERM;
}

/* Who touches none has to be an administrator of something all the same. */
static int several_permitted(const struct tcpdrop_nets *nets)
{
	size_t i;

	if (!nets->nr)
		return is_admin(current_user_ns()) ? 0 : -EPERM;
	for (i = 0; i < nets->nr; i++)
		if (!is_admin(nets->v[i]->user_ns))
			return -EPERM;
	return 0;
}

static int get_self(struct tcpdrop_nets *nets)
{
	int ret;

	ret = self_permitted();
	if (!ret)
		nets->net = get_net(current->nsproxy->net_ns);
	return ret;
}

static bool is_meant(const struct tcpdrop_rule *rule, const struct net *net)
{
	return tcpdrop_rule_netns(rule) == NETNS_ALL ||
	       tcpdrop_rule_lists_netns(rule, net->ns.inum);
}

/*
 * A namespace is in the list when it is complete, and leaves it, under the same
 * lock, before anything of it goes; so what is found can be read.  One whose
 * last reference is gone is about to leave, and is passed over.  Returns how
 * many there was no room for.
 */
static size_t hold_what_fits(struct tcpdrop_nets *nets, const struct tcpdrop_rule *rule)
{
	size_t missed = 0;
	struct net *net;

	down_read(&net_rwsem);
	for_each_net(net) {
		if (!is_meant(rule, net))
			continue;
		if (nets->nr == nets->cap)
			missed++;
		else if (maybe_get_net(net))
			nets->v[nets->nr++] = net;
	}
	up_read(&net_rwsem);
	return missed;
}

static void let_go(struct tcpdrop_nets *nets)
{
	while (nets->nr) {
		cond_resched();
		put_net(nets->v[--nets->nr]);
	}
}

static int make_room(struct tcpdrop_nets *nets, size_t more)
{
	size_t cap = max_t(size_t, NETS_MIN, nets->cap + more + more / 4);

	kvfree(nets->v);
	nets->cap = 0;
	nets->v = kvmalloc_array(cap, sizeof(*nets->v), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!nets->v)
		return -ENOMEM;
	nets->cap = cap;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct net *x = *(const struct net **)a, *y = *(const struct net **)b;

	return x < y ? -1 : x > y;
}

/* The memory is asked for with the lock let go, and more namespaces may come. */
static int get_several(struct tcpdrop_nets *nets, const struct tcpdrop_rule *rule)
{
	size_t missed;
	int ret;

	while ((missed = hold_what_fits(nets, rule))) {
		let_go(nets);
		ret = make_room(nets, missed);
		if (ret)
			return ret;
	}
	ret = several_permitted(nets);
	if (ret)
		return ret;
	if (nets->nr == 1)
		nets->net = nets->v[--nets->nr];
	else
		sort(nets->v, nets->nr, sizeof(*nets->v), by_address, NULL);
	return 0;
}

/**
 * tcpdrop_nets_get() - hold the namespaces that a rule is about
 * @nets: filled, to be given back by tcpdrop_nets_put() if this succeeds
 * @rule: a rule made by tcpdrop_rule_copy(); not needed any more afterwards
 *
 * Context: process context; may sleep, takes net_rwsem.
 * Return: 0; -EPERM if the calling process lacks CAP_NET_ADMIN over one of
 * them, for all of them in the initial user namespace; -EOPNOTSUPP if nobody can
 * tell which its own is; -ENOMEM.
 */
int tcpdrop_nets_get(struct tcpdrop_nets *nets, const struct tcpdrop_rule *rule)
{
	int ret;

	*nets = (struct tcpdrop_nets){};
	if (tcpdrop_rule_netns(rule) == NETNS_SELF)
		return get_self(nets);
	if (tcpdrop_rule_netns(rule) == NETNS_ALL && !is_admin(&init_user_ns))
		return -EPERM;

	ret = get_several(nets, rule);
	if (ret)
		tcpdrop_nets_put(nets);
	return ret;
}

/**
 * tcpdrop_nets_permitted() - may the calling process look and drop?
 * @rule: as for tcpdrop_nets_get()
 *
 * Context: process context; may sleep.
 * Return: what tcpdrop_nets_get() would.
 */
int tcpdrop_nets_permitted(const struct tcpdrop_rule *rule)
{
	struct tcpdrop_nets nets;
	int ret;

	ret = tcpdrop_nets_get(&nets, rule);
	if (!ret)
		tcpdrop_nets_put(&nets);
	return ret;
}

/**
 * tcpdrop_nets_put() - give back what tcpdrop_nets_get() took
 * @nets: the namespaces
 *
 * A namespace that nobody else has any more goes then, by itself.
 *
 * Context: process context; may sleep.
 */
void tcpdrop_nets_put(struct tcpdrop_nets *nets)
{
	if (nets->net)
		put_net(nets->net);
	let_go(nets);
	kvfree(nets->v);
	*nets = (struct tcpdrop_nets){};
}

/**
 * tcpdrop_nets_find() - is a namespace among several? For tcpdrop_nets_have() only.
 * @nets: the namespaces
 * @net: any address
 *
 * Context: any.
 * Return: true if it is.
 */
bool tcpdrop_nets_find(const struct tcpdrop_nets *nets, const struct net *net)
{
	size_t low = 0, high = nets->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (nets->v[mid] < net)
			low = mid + 1;
		else
			high = mid;
	}
	return low < nets->nr && nets->v[low] == net;
}
