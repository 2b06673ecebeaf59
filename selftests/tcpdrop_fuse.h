/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A FUSE file system of a user's own, with one file of which nothing is ever
 * read and to which nothing is ever written: who tries waits.
 */
#ifndef TCPDROP_FUSE_H
#define TCPDROP_FUSE_H

#include "tcpdrop_host.h"

/* Where the file is once fuse_pages_make() has been called. */
#define FUSE_FILE "/tmp/file"

int fuse_allow(void);
int fuse_pages_make(struct pages *pages, int count, int flags);

#endif
