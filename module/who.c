// SPDX-License-Identifier: GPL-2.0
/*
 * Whose sockets a rule is about.
 *
 * A rule names a cgroup by its path, since it must keep nothing alive.  What the
 * name stands for is looked up in the copy that a commit, count or list works
 * on, once, before the tables are walked: so all of a walk is about one moment.
 */
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/kernel.h>

#include "cgroup.h"
#include "rule.h"
#include "who.h"

/**
 * tcpdrop_who_find() - look up what the names of a rule stand for
 * @rule: a copy made by tcpdrop_rule_copy(); to be given to tcpdrop_who_put(),
 *        also if this fails
 *
 * Until then a rule that has such names matches nothing.
 *
 * Context: process context of who commits, counts or lists; may sleep.
 * Return: 0; -ENOENT if the cgroup does not exist any more.
 */
int tcpdrop_who_find(struct tcpdrop_rule *rule)
{
	struct cgroup *cgroup;

	if (!rule->cgroup_path)
		return 0;
	cgroup = tcpdrop_cgroup_get(rule->cgroup_path);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);

	rule->cgroup = cgroup;
	rule->asks &= ~BIT(RULE_CGROUP);
	return 0;
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
