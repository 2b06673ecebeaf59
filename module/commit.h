/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_COMMIT_H
#define TCPDROP_COMMIT_H

struct net;
struct task_struct;
struct tcpdrop_drop_result;
struct tcpdrop_rule;

int tcpdrop_commit_rule(const char *name, const struct tcpdrop_rule *rule,
			struct tcpdrop_drop_result *result);
int tcpdrop_commit_net(const char *name, const struct tcpdrop_rule *rule, struct net *net,
		       struct task_struct *task, struct tcpdrop_drop_result *result);
void tcpdrop_commit_refused(const char *name, int err);
int tcpdrop_commit_init(void);
void tcpdrop_commit_exit(void);

#endif /* TCPDROP_COMMIT_H */
