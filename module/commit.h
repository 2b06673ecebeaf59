/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_COMMIT_H
#define TCPDROP_COMMIT_H

struct drop_result;
struct rule;

int commit_rule(const struct rule *rule, struct drop_result *result);
int commit_init(void);
void commit_exit(void);

#endif /* TCPDROP_COMMIT_H */
