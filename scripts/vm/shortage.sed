# SPDX-License-Identifier: GPL-2.0
# A kernel log without the traces of calls by which the kernel tells, at length and each time, that a
# control group has no memory left, while a selftest makes sure of that.
/tcpdrop: memory of a cgroup is short/,/tcpdrop: memory of a cgroup is there again/ {
	/Call Trace/d
}
