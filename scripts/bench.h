/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of bench-icount share.
 */
#ifndef BENCH_H
#define BENCH_H

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* In a guest under QEMU's -icount the time stamp counter counts instructions. */
static inline unsigned long long instructions(void)
{
	return __builtin_ia32_rdtsc();
}

static inline int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* All of a file as a string.  A file of the kernel gives a page at a time. */
static inline char *file_text(const char *path, size_t *length)
{
	int fd = open_file(path, O_RDONLY);
	struct stat stat;
	ssize_t part;
	char *text;

	if (fstat(fd, &stat))
		err(1, "%s", path);
	text = malloc(stat.st_size + 1);
	if (!text)
		err(1, "%s", path);
	for (*length = 0; *length < (size_t)stat.st_size; *length += part) {
		part = read(fd, text + *length, stat.st_size - *length);
		if (part <= 0)
			err(1, "%s", path);
	}
	text[*length] = '\0';
	close(fd);
	return text;
}

#endif
