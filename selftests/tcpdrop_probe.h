/* SPDX-License-Identifier: GPL-2.0 */
/* What root does on a machine that somebody attacks, and whether it is held up. */
#ifndef TCPDROP_PROBE_H
#define TCPDROP_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tcpdrop_conn.h"

struct probe {
	int step;
	int ret;
	int slowest;		/* the step that took longest so far, */
	int64_t slowest_ms;	/* and how long that was */
};

struct probe *probe_new(void);
pid_t probe_start(struct probe *probe, const struct conn conn[2]);
bool probe_takes_step(const struct probe *probe, int64_t ms);
int probe_wait(const struct probe *probe, pid_t pid);
const char *probe_step(const struct probe *probe);
const char *probe_slowest(const struct probe *probe);

#endif
