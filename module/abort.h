/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The abort of one socket, with the same outcome on every kernel.
 */
#ifndef TCPDROP_ABORT_H
#define TCPDROP_ABORT_H

#include <linux/types.h>

struct batch_entry;
struct sock;
struct walk;

/**
 * enum abort_verdict - what became of a socket that had matched
 * @ABORT_DONE: dropped
 * @ABORT_GONE: not there any more, or not as it matched
 * @ABORT_BUSY: somebody else has it at this moment, its owner or another
 *              commit; or it is a child, and the caller does not own its listener
 * @ABORT_FAILED: still there
 */
enum abort_verdict {
	ABORT_DONE,
	ABORT_GONE,
	ABORT_BUSY,
	ABORT_FAILED,
};

/**
 * enum abort_owned - what the caller owns, as by lock_sock()
 * @ABORT_NOTHING: nothing
 * @ABORT_SOCK: the socket, which abort_sock() lets go of
 * @ABORT_LISTENER: the listener in whose queue the socket waits to be accepted
 */
enum abort_owned {
	ABORT_NOTHING,
	ABORT_SOCK,
	ABORT_LISTENER,
};

int abort_init(void);
bool abort_is_child(const struct sock *sk);
enum abort_verdict abort_sock(const struct walk *walk, struct batch_entry *entry,
			      enum abort_owned owned);

#endif /* TCPDROP_ABORT_H */
