// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

#include "configfs.h"

static int __init tcpdrop_init(void)
{
	return tcpdrop_configfs_init();
}

static void __exit tcpdrop_exit(void)
{
	tcpdrop_configfs_exit();
}

module_init(tcpdrop_init);
module_exit(tcpdrop_exit);

MODULE_DESCRIPTION("Drop TCP connections by rule");
MODULE_VERSION("0.1");
MODULE_LICENSE("GPL");
