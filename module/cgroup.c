// SPDX-License-Identifier: GPL-2.0
/*
 * Control groups.
 *
 * A rule has a path and no reference, so that it keeps no cgroup; what the path
 * names is looked up for each commit, count and list.  A socket keeps the
 * cgroup in which it was made, be that removed meanwhile.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <net/sock.h>

#include "cgroup.h"

#ifdef CONFIG_SOCK_CGROUP_DATA
/**
 * tcpdrop_cgroup_get() - look up a cgroup
 * @path: its path in the hierarchy of cgroup v2, as the kernel takes it: since
 *        6.1 from the root of the caller's cgroup namespace, before from the
 *        root of the hierarchy
 *
 * A cgroup can be removed while the caller has it.
 *
 * Context: may sleep.
 * Return: the cgroup, to be given back by tcpdrop_cgroup_put(); -ENOENT if there
 * is none; -EOPNOTSUPP if the kernel does not know the cgroup of a socket.
 */
struct cgroup *tcpdrop_cgroup_get(const char *path)
{
	struct cgroup *cgroup = cgroup_get_from_path(path);

	/* The files in a cgroup's directory are none. */
	return cgroup == ERR_PTR(-ENOTDIR) ? ERR_PTR(-ENOENT) : cgroup;
}

/**
 * tcpdrop_cgroup_hold() - take one more reference on a cgroup
 * @cgroup: the cgroup, which the caller has; to be given back as well
 *
 * Context: any.
 */
void tcpdrop_cgroup_hold(struct cgroup *cgroup)
{
	css_get(&cgroup->self);
}

/**
 * tcpdrop_cgroup_put() - give back a cgroup
 * @cgroup: the cgroup, or NULL
 *
 * Context: any.
 */
void tcpdrop_cgroup_put(struct cgroup *cgroup)
{
	if (cgroup)
		cgroup_put(cgroup);
}

/**
 * tcpdrop_cgroup_has() - is a socket in a cgroup or in one below it?
 * @cgroup: the cgroup
 * @sk: a full socket, linked or held, so that it still holds its cgroup
 *
 * Context: any.
 * Return: true if it is.
 */
bool tcpdrop_cgroup_has(struct cgroup *cgroup, const struct sock *sk)
{
	struct sock_cgroup_data *data = (struct sock_cgroup_data *)&sk->sk_cgrp_data;

	return cgroup_is_descendant(sock_cgroup_ptr(data), cgroup);
}
#else
struct cgroup *tcpdrop_cgroup_get(const char *path)
{
	return ERR_PTR(-EOPNOTSUPP);
}

void tcpdrop_cgroup_hold(struct cgroup *cgroup)
{
}

void tcpdrop_cgroup_put(struct cgroup *cgroup)
{
}

bool tcpdrop_cgroup_has(struct cgroup *cgroup, const struct sock *sk)
{
	return false;
}
#endif
