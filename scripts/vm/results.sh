# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # variables of lib.sh and of its users
# Results of scripts that test what no selftest can: a line each, "N passed, N failed, N skipped" last.

passed=0
failed=0

# passes NAME COMMAND...: one result. What the command printed, into $work/log, tells why it failed.
passes()
{
	local name=$1 status
	shift

	set +e
	(set -e; "$@") >"$work/log" 2>&1 </dev/null
	status=$?
	set -e
	if [ $status = 0 ]; then
		passed=$((passed + 1))
		echo "ok      $name"
	else
		failed=$((failed + 1))
		echo "FAILED  $name: status $status"
		sed 's/^/	/' "$work/log"
	fi
}

# The last command of such a script.
print_results()
{
	echo "$passed passed, $failed failed, 0 skipped"
	[ "$failed" = 0 ]
}
