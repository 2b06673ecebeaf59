/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was done since the module was loaded.
 */
#ifndef TCPDROP_STATS_H
#define TCPDROP_STATS_H

#include <linux/types.h>

struct tcpdrop_drop_result;

void tcpdrop_stats_commit(const struct tcpdrop_drop_result *result);
void tcpdrop_stats_refused(void);
void tcpdrop_stats_lines(size_t lines, const struct tcpdrop_drop_result *result);
int tcpdrop_stats_print(char *buf, size_t size);

#endif /* TCPDROP_STATS_H */
