/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ownership of sockets, which lock_sock() takes and waits for without end:
 * taken only if it is free, or caught when the owner lets go.
 */
#ifndef TCPDROP_OWNER_H
#define TCPDROP_OWNER_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/wait.h>

struct sock;

/* lock_sock_nested()'s subclass for a listener, below which its children are locked. */
#define OWNER_LISTENER	2

/**
 * struct tcpdrop_owner_net - what the catches of one task share
 * @wait: woken when a socket has been caught
 * @caught: how many have been
 * @closed: nothing more is to be caught now
 */
struct tcpdrop_owner_net {
	wait_queue_head_t wait;
	atomic_t caught;
	int closed;
};

/**
 * struct tcpdrop_owner_catch - a socket that is to be caught
 * @entry: in the queue of those who wait for the socket
 * @sk: the socket, NULL if none is waited for
 * @net: whom to tell
 * @caught: the socket is the catcher's; set under the socket's spinlock
 * @missed: it was free but could not be caught, so it is tried again; under the same lock
 */
struct tcpdrop_owner_catch {
	struct wait_queue_entry entry;
	struct sock *sk;
	struct tcpdrop_owner_net *net;
	int caught;
	int missed;
};

bool tcpdrop_owner_try(struct sock *sk, unsigned int subclass);
void tcpdrop_owner_pass(struct sock *sk);
void tcpdrop_owner_wake(struct sock *sk);

void tcpdrop_owner_net_init(struct tcpdrop_owner_net *net);
void tcpdrop_owner_net_close(struct tcpdrop_owner_net *net);
void tcpdrop_owner_net_open(struct tcpdrop_owner_net *net);
void tcpdrop_owner_net_wait(struct tcpdrop_owner_net *net);
void tcpdrop_owner_watch(struct tcpdrop_owner_catch *c, struct tcpdrop_owner_net *net,
			 struct sock *sk);
bool tcpdrop_owner_caught(struct tcpdrop_owner_catch *c);
void tcpdrop_owner_unwatch(struct tcpdrop_owner_catch *c);

#endif /* TCPDROP_OWNER_H */
