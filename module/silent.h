/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets that send nothing while they are being aborted.
 */
#ifndef TCPDROP_SILENT_H
#define TCPDROP_SILENT_H

#include <linux/types.h>

struct inet_connection_sock_af_ops;
struct sock;

/**
 * struct tcpdrop_silent_sock - a socket that sends nothing
 * @sk: the socket, on which there is a reference
 * @was: its operations
 * @now: what it has instead, NULL if it has its own
 */
struct tcpdrop_silent_sock {
	struct sock *sk;
	const struct inet_connection_sock_af_ops *was;
	const struct inet_connection_sock_af_ops *now;
};

/**
 * struct tcpdrop_silence - a socket that sends nothing, and all that ends with it
 * @own: the socket itself
 * @children: of a listener, those that wait to be accepted
 * @nr: how many there are
 */
struct tcpdrop_silence {
	struct tcpdrop_silent_sock own;
	struct tcpdrop_silent_sock *children;
	unsigned int nr;
};

int tcpdrop_silence_begin(struct tcpdrop_silence *silence, struct sock *sk);
void tcpdrop_silence_end(struct tcpdrop_silence *silence);
void tcpdrop_silent_exit(void);

#endif /* TCPDROP_SILENT_H */
