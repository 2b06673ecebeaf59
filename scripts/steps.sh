# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Steps of a run, each a command that ends with a line "N passed, N failed, N skipped", or is one
# result.

set -u
passed=0
failed=0
skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step COMMAND...: add up the results on its last line. A command without such a line is one result,
# and one that fails all the same is one more failure.
step()
{
	local status counts

	echo "== $*"
	"$@" </dev/null | tee "$log"
	status=${PIPESTATUS[0]}
	read -ra counts < <(tail -n 1 "$log" |
		sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
	[ ${#counts[@]} = 3 ] || counts=("$((status == 0))" 0 0)
	[ "$status" = 0 ] || [ "${counts[1]}" != 0 ] || [ "${counts[2]}" != 0 ] || counts[1]=1
	passed=$((passed + counts[0]))
	failed=$((failed + counts[1]))
	skipped=$((skipped + counts[2]))
}

# The last line, and the exit status.
finish_steps()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$skipped" = 0 ]
}
