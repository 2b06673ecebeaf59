/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network namespaces that a walk is about, held while it lasts.
 */
#ifndef TCPDROP_NETS_H
#define TCPDROP_NETS_H

#include <linux/types.h>

struct net;
struct tcpdrop_rule;

/**
 * struct tcpdrop_nets - held namespaces
 * @net: the only one; NULL if there are several, or none
 * @v: several, sorted by address
 * @nr: how many @v has
 * @cap: how many fit in @v
 */
struct tcpdrop_nets {
	struct net *net;
	struct net **v;
	size_t nr;
	size_t cap;
};

int tcpdrop_nets_permitted(const struct tcpdrop_rule *rule);
int tcpdrop_nets_get(struct tcpdrop_nets *nets, const struct tcpdrop_rule *rule);
void tcpdrop_nets_put(struct tcpdrop_nets *nets);
bool tcpdrop_nets_find(const struct tcpdrop_nets *nets, const struct net *net);

/**
 * tcpdrop_nets_nr() - how many namespaces are held
 * @nets: the namespaces
 *
 * Context: any.
 * Return: their number.
 */
static inline size_t tcpdrop_nets_nr(const struct tcpdrop_nets *nets)
{
	return nets->net ? 1 : nets->nr;
}

/**
 * tcpdrop_nets_have() - is a namespace one of those held?
 * @nets: the namespaces
 * @net: any address; what is there is not looked at
 *
 * Context: any.
 * Return: true if it is.
 */
static inline bool tcpdrop_nets_have(const struct tcpdrop_nets *nets, const struct net *net)
{
	return nets->net ? net == nets->net : tcpdrop_nets_find(nets, net);
}

#endif /* TCPDROP_NETS_H */
