# SPDX-License-Identifier: GPL-2.0
# A kernel log without what the module has no part in.

# That a control group has no memory left, while a selftest makes sure of it, is told at length and each
# time, with a trace of calls.
/tcpdrop: memory of a cgroup is short/,/tcpdrop: memory of a cgroup is there again/ {
	/Call Trace/d
}

# Data races of the kernel's own, which it names by the functions that race.
/BUG: KCSAN: / {
	/\[tcpdrop\]/!d
}
