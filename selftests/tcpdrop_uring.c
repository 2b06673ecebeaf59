// SPDX-License-Identifier: GPL-2.0
/* io_uring for the selftests of tcpdrop. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcpdrop_uring.h"

#define ENTRIES 8

static void *map(int fd, size_t size, off_t offset)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

/* Returns -EOPNOTSUPP where there is no io_uring to be had. */
int uring_make(struct uring *ring)
{
	struct io_uring_params params = {};
	char *sq, *cq;

	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring->fd < 0)
		return -EOPNOTSUPP;
	sq = map(ring->fd, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		 IORING_OFF_SQ_RING);
	cq = map(ring->fd, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	ring->sqes = map(ring->fd, params.sq_entries * sizeof(struct io_uring_sqe),
			 IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;
	ring->sq_tail = (void *)(sq + params.sq_off.tail);
	ring->sq_mask = (void *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + params.sq_off.array);
	ring->cq_head = (void *)(cq + params.cq_off.head);
	ring->cq_tail = (void *)(cq + params.cq_off.tail);
	ring->cq_mask = (void *)(cq + params.cq_off.ring_mask);
	ring->cqes = (void *)(cq + params.cq_off.cqes);
	return 0;
}

bool uring_exists(void)
{
	struct uring ring;

	if (uring_make(&ring))
		return false;
	close(ring.fd);
	return true;
}

/* Hand one request over; its result is for uring_wait(). */
int uring_submit(struct uring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring->sq_tail, index = tail & *ring->sq_mask;

	ring->sqes[index] = *sqe;
	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) != 1)
		return errno ? -errno : -EIO;
	return 0;
}

/* The result of the next request that is done. */
int uring_wait(struct uring *ring)
{
	unsigned int head = *ring->cq_head;
	int ret;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS,
			    NULL, 0) < 0 && errno != EINTR)
			return -errno;
	ret = ring->cqes[head & *ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return ret;
}

/* A read or write from the start of a file: what it returns. */
int uring_rw(struct uring *ring, int op, int fd, void *buf, unsigned int len, int flags)
{
	struct io_uring_sqe sqe = {
		.opcode = op,
		.flags = flags,
		.fd = fd,
		.addr = (unsigned long)buf,
		.len = len,
	};
	int ret = uring_submit(ring, &sqe);

	return ret ? ret : uring_wait(ring);
}
