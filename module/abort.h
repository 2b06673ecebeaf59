/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The abort of one socket, with the same outcome on every kernel.
 */
#ifndef TCPDROP_ABORT_H
#define TCPDROP_ABORT_H

#include <linux/types.h>

struct tcpdrop_batch_entry;
struct sock;
struct tcpdrop_walk;

/**
 * enum tcpdrop_abort_verdict - what became of a socket that had matched
 * @ABORT_DONE: dropped
 * @ABORT_GONE: not there any more, or not as it matched
 * @ABORT_BUSY: somebody else has it at this moment, its owner or another
 *              commit; or it is a child, and the caller does not own its listener
 * @ABORT_FAILED: still there
 */
enum tcpdrop_abort_verdict {
	ABORT_DONE,
	ABORT_GONE,
	ABORT_BUSY,
	ABORT_FAILED,
};

/**
 * enum tcpdrop_abort_owned - what the caller owns, as by lock_sock()
 * @ABORT_NOTHING: nothing
 * @ABORT_SOCK: the socket, which tcpdrop_abort_sock() lets go of
 * @ABORT_LISTENER: the listener in whose queue the socket waits to be accepted
 */
enum tcpdrop_abort_owned {
	ABORT_NOTHING,
	ABORT_SOCK,
	ABORT_LISTENER,
};

int tcpdrop_abort_init(void);
bool tcpdrop_abort_may_wait(const struct sock *sk);
enum tcpdrop_abort_verdict tcpdrop_abort_busy(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry);
enum tcpdrop_abort_verdict tcpdrop_abort_sock(const struct tcpdrop_walk *walk,
					      struct tcpdrop_batch_entry *entry,
					      enum tcpdrop_abort_owned owned);

#endif /* TCPDROP_ABORT_H */
