/* SPDX-License-Identifier: GPL-2.0 */
/* Whose sockets a rule is about: what its names stand for at the moment. */
#ifndef TCPDROP_WHO_H
#define TCPDROP_WHO_H

struct tcpdrop_rule;

int tcpdrop_who_find(struct tcpdrop_rule *rule);
void tcpdrop_who_keep(struct tcpdrop_rule *rule, const struct tcpdrop_rule *from);
void tcpdrop_who_put(struct tcpdrop_rule *rule);

#endif /* TCPDROP_WHO_H */
