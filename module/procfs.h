/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_PROCFS_H
#define TCPDROP_PROCFS_H

int tcpdrop_procfs_init(void);
void tcpdrop_procfs_exit(void);

#endif /* TCPDROP_PROCFS_H */
