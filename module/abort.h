/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The abort of one socket, with the same outcome on every kernel.
 */
#ifndef TCPDROP_ABORT_H
#define TCPDROP_ABORT_H

struct batch_entry;
struct walk;

/**
 * enum abort_verdict - what became of a socket that had matched
 * @ABORT_DONE: dropped
 * @ABORT_GONE: not there any more, or not as it matched
 * @ABORT_BUSY: somebody else has it at this moment, its owner or another commit
 * @ABORT_FAILED: still there
 */
enum abort_verdict {
	ABORT_DONE,
	ABORT_GONE,
	ABORT_BUSY,
	ABORT_FAILED,
};

int abort_init(void);
enum abort_verdict abort_sock(const struct walk *walk, struct batch_entry *entry);

#endif /* TCPDROP_ABORT_H */
