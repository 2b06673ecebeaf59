// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

#include "abort.h"
#include "claim.h"
#include "commit.h"
#include "configfs.h"
#include "procfs.h"
#include "protect.h"
#include "silent.h"

static int __init tcpdrop_init(void)
{
	int ret;

	tcpdrop_claim_init();
	ret = tcpdrop_abort_init();
	if (ret)
		return ret;

	ret = tcpdrop_protect_init();
	if (ret)
		return ret;

	ret = tcpdrop_commit_init();
	if (ret)
		goto undo_protect;

	ret = tcpdrop_procfs_init();
	if (ret)
		goto undo_commit;

	ret = tcpdrop_configfs_init();
	if (ret)
		goto undo_procfs;
	return 0;

undo_procfs:
	tcpdrop_procfs_exit();
undo_commit:
	tcpdrop_commit_exit();
undo_protect:
	tcpdrop_protect_exit();
	return ret;
}

static void __exit tcpdrop_exit(void)
{
	tcpdrop_configfs_exit();
	tcpdrop_procfs_exit();
	tcpdrop_commit_exit();
	tcpdrop_protect_exit();
	tcpdrop_silent_exit();
}

module_init(tcpdrop_init);
module_exit(tcpdrop_exit);

MODULE_AUTHOR("The tcpdrop maintainers");
MODULE_DESCRIPTION("Drop TCP connections by rule");
MODULE_VERSION("1.0");
MODULE_LICENSE("GPL");
