/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPDROP_CONFIGFS_H
#define TCPDROP_CONFIGFS_H

int tcpdrop_configfs_init(void);
void tcpdrop_configfs_exit(void);

#endif /* TCPDROP_CONFIGFS_H */
