/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections of which one end is in a given state and stays there.
 *
 * That end is the target: what a test drops. It has its address in the targets'
 * prefix of its family and the other end has its own in the peers' prefix, so a
 * rule for a prefix meets the targets alone.
 */
#ifndef TCPDROP_CONN_H
#define TCPDROP_CONN_H

#include "tcpdrop_util.h"

/* What the kernel keeps, which is more than there are states. */
enum kind {
	SYN_SENT,
	SYN_RCVD_REQUEST,
	SYN_RCVD_FULL,
	ESTABLISHED,
	NOT_ACCEPTED,
	CLOSE_WAIT,
	FIN_WAIT_1,
	FIN_WAIT_1_ORPHAN,
	FIN_WAIT_2,
	FIN_WAIT_2_ORPHAN,
	FIN_WAIT_2_MINISOCK,
	CLOSING,
	CLOSING_ORPHAN,
	LAST_ACK,
	LAST_ACK_ORPHAN,
	TIME_WAIT,
	KINDS
};

struct conn {
	enum kind kind;
	enum family family;
	struct ends ends;	/* as the target sees them */
	int fd;			/* the target, -1 where no process holds it */
	int peer;		/* the other end, -1 where there is none */
	int listener;		/* what the passive end comes from, -1 when closed */
};

int conn_state(enum kind kind);
bool conn_is_owned(enum kind kind);
bool conn_sends_reset(enum kind kind);
const char *conn_targets(enum family family);
int conn_setup(void);
void conn_prepare_by(int (*prepare)(int fd));
int conn_start(struct conn *conn, enum kind kind, enum family family);
bool conn_is_ready(const struct conn *conn, const struct table *table);
int conn_make(struct conn *conn, enum kind kind, enum family family);
void conn_close(struct conn *conn);

#endif
