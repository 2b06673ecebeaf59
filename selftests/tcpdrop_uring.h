/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring without a library, one request at a time. */
#ifndef TCPDROP_URING_H
#define TCPDROP_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

struct uring {
	int fd;
	unsigned int *sq_tail;
	unsigned int *sq_mask;
	unsigned int *sq_array;
	struct io_uring_sqe *sqes;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int *cq_mask;
	struct io_uring_cqe *cqes;
};

int uring_make(struct uring *ring);
bool uring_exists(void);
int uring_submit(struct uring *ring, const struct io_uring_sqe *sqe);
int uring_wait(struct uring *ring);
int uring_rw(struct uring *ring, int op, int fd, void *buf, unsigned int len, int flags);

#endif
