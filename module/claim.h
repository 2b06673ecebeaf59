/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which sockets are being dropped.
 */
#ifndef TCPDROP_CLAIM_H
#define TCPDROP_CLAIM_H

#include <linux/types.h>

struct sock;

/**
 * struct tcpdrop_claim - a socket that is being dropped; all zero is none
 * @node: among those with the same hash
 * @sk: the socket, on which the claimant has a reference; NULL if it is not claimed
 */
struct tcpdrop_claim {
	struct hlist_node node;
	const struct sock *sk;
};

/**
 * typedef tcpdrop_claim_concerns_t - does a socket that is being dropped concern the caller?
 * @sk: the socket, referenced and of a namespace that is held
 * @arg: as given to tcpdrop_claim_wait()
 *
 * Context: with a spinlock held.
 * Return: true if it does.
 */
typedef bool (*tcpdrop_claim_concerns_t)(const struct sock *sk, const void *arg);

void tcpdrop_claim_init(void);
bool tcpdrop_claim_take(struct tcpdrop_claim *claim, const struct sock *sk);
void tcpdrop_claim_drop(struct tcpdrop_claim *claim);
int tcpdrop_claim_wait(tcpdrop_claim_concerns_t concerns, const void *arg);

#endif /* TCPDROP_CLAIM_H */
