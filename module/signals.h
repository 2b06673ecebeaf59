/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_SIGNALS_H
#define TCPDROP_SIGNALS_H

#include <linux/types.h>

struct task_struct;

bool tcpdrop_signal_seen(const struct task_struct *task);

#endif /* TCPDROP_SIGNALS_H */
