/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_PROCFS_H
#define TCPDROP_PROCFS_H

#ifdef CONFIG_PROC_FS
int tcpdrop_procfs_init(void);
void tcpdrop_procfs_exit(void);
#else
static inline int tcpdrop_procfs_init(void)
{
	return 0;
}

static inline void tcpdrop_procfs_exit(void)
{
}
#endif

#endif /* TCPDROP_PROCFS_H */
