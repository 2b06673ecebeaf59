/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The attributes of a rule, a line each, for whoever defines SELECTOR and
 * OPTION before including this; no guard, since several do.
 *
 * SELECTOR(NAME, name, type): a list of items that are of struct item_type
 * type_items.  OPTION(NAME, name): anything else, with name_store() and
 * name_show().  Both make RULE_NAME and the file "name".
 */
SELECTOR(SADDR, saddr, addr)
SELECTOR(DADDR, daddr, addr)
SELECTOR(SPORT, sport, port)
SELECTOR(DPORT, dport, port)
SELECTOR(PORT, port, port)
SELECTOR(STATE, state, state)
SELECTOR(CONGESTION, congestion, name)
SELECTOR(ULP, ulp, name)

OPTION(NETNS, netns)
OPTION(MAX, max)

#undef SELECTOR
#undef OPTION
