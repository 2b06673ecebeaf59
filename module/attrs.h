/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The attributes of a rule, a line each, for whoever defines SELECTOR and
 * OPTION before including this; no guard, since several do.
 *
 * SELECTOR(NAME, name, type): a list of items, or a value, of struct item_type
 * type_items.  LIST(NAME, name, type): such a list too, but one that selects no
 * sockets; an OPTION to who does not define it.  OPTION(NAME, name): what else
 * selects nothing by itself, with name_store() and name_show().  All make
 * RULE_NAME and the file "name".
 */
#ifndef LIST
#define LIST(NAME, name, ...) OPTION(NAME, name)
#endif

SELECTOR(SADDR, saddr, addr)
SELECTOR(DADDR, daddr, addr)
SELECTOR(SPORT, sport, port)
SELECTOR(DPORT, dport, port)
SELECTOR(PORT, port, port)
SELECTOR(STATE, state, state)
SELECTOR(CONGESTION, congestion, name)
SELECTOR(ULP, ulp, name)
SELECTOR(DEV, dev, name)
SELECTOR(MARK, mark, mark)
SELECTOR(UID, uid, uid)
SELECTOR(IDLE, idle, duration)
SELECTOR(RETRANS, retrans, least)
SELECTOR(SENDQ, sendq, least)
SELECTOR(RECVQ, recvq, least)
SELECTOR(ORPHAN, orphan, yesno)
SELECTOR(CGROUP, cgroup, path)
SELECTOR(PID, pid, pid)

LIST(NETNS, netns, netns)

OPTION(MAX, max)
OPTION(RATE, rate)
OPTION(RESET, reset)
OPTION(KERNEL, kernel)
OPTION(PROTECT, protect)

#undef SELECTOR
#undef LIST
#undef OPTION
