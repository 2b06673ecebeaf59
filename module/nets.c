// SPDX-License-Identifier: GPL-2.0
/*
 * Held namespaces.
 *
 * A socket does not hold its namespace in every state, so nobody may touch one
 * of a namespace that is not held: a time-wait minisock uses its namespace when
 * it is killed.  Which namespace a socket is of is told by the pointer alone.
 */
#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

#include "nets.h"

/**
 * tcpdrop_nets_permitted() - may the calling process look and drop?
 *
 * A worker of io_uring has the namespaces that its process had when the worker
 * was made, which may not be those that it has now.
 *
 * Context: process context.
 * Return: 0; -EPERM if it lacks CAP_NET_ADMIN over its network namespace;
 * -EOPNOTSUPP if nobody can tell which that is.
 */
int tcpdrop_nets_permitted(void)
{
	if (current->flags & PF_IO_WORKER)
		return -EOPNOTSUPP;
	return ns_capable(current->nsproxy->net_ns->user_ns, CAP_NET_ADMIN) ? 0 : -EPERM;
}

/**
 * tcpdrop_nets_get() - hold the namespace of the calling process
 * @nets: filled, to be given back by tcpdrop_nets_put() if this succeeds
 *
 * Context: process context.
 * Return: 0, or the error of tcpdrop_nets_permitted().
 */
int tcpdrop_nets_get(struct tcpdrop_nets *nets)
{
	int ret;

	ret = tcpdrop_nets_permitted();
	if (!ret)
		*nets = (struct tcpdrop_nets){ .net = get_net(current->nsproxy->net_ns) };
	return ret;
}

/**
 * tcpdrop_nets_put() - give back what tcpdrop_nets_get() took
 * @nets: the namespaces
 *
 * Context: process context.
 */
void tcpdrop_nets_put(struct tcpdrop_nets *nets)
{
	put_net(nets->net);
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
