/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A second reading of what rules mean, simple and slow, that shares no code
 * with the module: what is written and which sockets match, as documented.
 */
#ifndef TCPDROP_REFERENCE_H
#define TCPDROP_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned __int128 ref_number;

/* How an attribute's items are written and compared. */
enum ref_kind {
	REF_ADDR, REF_PORT, REF_STATE, REF_NAME, REF_MARK, REF_UID, REF_DURATION, REF_LEAST,
	REF_YESNO,
};

/* The attributes that it knows. */
enum ref_attr {
	REF_SADDR, REF_DADDR, REF_SPORT, REF_DPORT, REF_EITHER_PORT, REF_STATES, REF_CONGESTION,
	REF_ULP, REF_DEV, REF_MARKS, REF_UIDS, REF_IDLE, REF_RETRANS, REF_SENDQ, REF_RECVQ,
	REF_ORPHAN, REF_NR
};

/*
 * From @lo to @hi; of an address of IPv4 as if it were mapped, of states @lo
 * has a bit for each, of marks @hi is the mask.
 */
struct ref_item {
	bool excluded;
	bool ipv4;
	ref_number lo;
	ref_number hi;
	char name[16];
};

struct ref_list {
	struct ref_item *items;
	size_t nr;
};

struct ref_rule {
	struct ref_list lists[REF_NR];
};

/* An address of IPv4 is mapped; what a socket does not have it @lacks, by bit. */
struct ref_sock {
	ref_number saddr, daddr;
	unsigned int sport, dport;
	unsigned int state;
	unsigned int lacks;
	unsigned long long numbers[REF_NR];
	const char *names[REF_NR];
};

const char *ref_name(enum ref_attr attr);
enum ref_kind ref_kind(enum ref_attr attr);
bool ref_is_ipv4(ref_number addr);
bool ref_write(struct ref_rule *rule, enum ref_attr attr, const char *text, size_t len);
bool ref_match(const struct ref_rule *rule, const struct ref_sock *sk);
void ref_free(struct ref_rule *rule);

bool ref_parse_addr(const char *text, size_t len, ref_number *addr, bool *ipv4);

#endif /* TCPDROP_REFERENCE_H */
