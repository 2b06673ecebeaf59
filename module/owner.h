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
 * struct owner_net - what the catches of one task share
 * @wait: woken when a socket has been caught
 * @caught: how many have been
 */
struct owner_net {
	wait_queue_head_t wait;
	atomic_t caught;
};

/**
 * struct owner_catch - a socket that is to be caught
 * @entry: in the queue of those who wait for the socket
 * @sk: the socket, NULL if none is waited for
 * @net: whom to tell
 * @caught: the socket is the catcher's; set under the socket's spinlock
 */
struct owner_catch {
	struct wait_queue_entry entry;
	struct sock *sk;
	struct owner_net *net;
	int caught;
};

bool owner_try(struct sock *sk, unsigned int subclass);
void owner_pass(struct sock *sk);
void owner_wake(struct sock *sk);

void owner_net_init(struct owner_net *net);
void owner_net_wait(struct owner_net *net);
void owner_watch(struct owner_catch *c, struct owner_net *net, struct sock *sk);
bool owner_caught(struct owner_catch *c);
void owner_unwatch(struct owner_catch *c);

#endif /* TCPDROP_OWNER_H */
