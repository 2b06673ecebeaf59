/* SPDX-License-Identifier: GPL-2.0 */
/* Control groups: the one that a path names, and whose sockets are in it. */
#ifndef TCPDROP_CGROUP_H
#define TCPDROP_CGROUP_H

#include <linux/types.h>

struct cgroup;
struct sock;

struct cgroup *tcpdrop_cgroup_get(const char *path);
void tcpdrop_cgroup_hold(struct cgroup *cgroup);
void tcpdrop_cgroup_put(struct cgroup *cgroup);
bool tcpdrop_cgroup_has(struct cgroup *cgroup, const struct sock *sk);

#endif /* TCPDROP_CGROUP_H */
