# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Steps of a run, each a command that ends with a line "N passed, N failed, N skipped", or is one
# result.

set -u
passed=0
failed=0
skipped=0
besides=()
begun=()
processes=()
idle=()
took=()
log=$(mktemp)
trap 'kill -- "${processes[@]}" "${idle[@]}" 2>/dev/null; rm -f "$log" "$log".*' EXIT

# add_up STEP STATUS LOG: add up the results on its last line. A command without such a line is one
# result, and one that fails all the same is one more failure. How the log of a step that failed ended
# is kept for the end of all.
add_up()
{
	local status=$2 counts

	[ "$status" = 0 ] || {
		echo "== $1 failed:"
		tail -n 20 "$3"
	} >>"$log.failed"
	read -ra counts < <(tail -n 1 "$3" |
		sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
	[ ${#counts[@]} = 3 ] || counts=("$((status == 0))" 0 0)
	[ "$status" = 0 ] || [ "${counts[1]}" != 0 ] || [ "${counts[2]}" != 0 ] || counts[1]=1
	passed=$((passed + counts[0]))
	failed=$((failed + counts[1]))
	skipped=$((skipped + counts[2]))
}

# step COMMAND...
step()
{
	local start=$SECONDS status

	echo "== $*"
	"$@" </dev/null | tee "$log"
	status=${PIPESTATUS[0]}
	took+=("$((SECONDS - start)) s: $*")
	add_up "$*" "$status" "$log"
}

# beside COMMAND...: begin a step of which join_besides says what it said. For what keeps one CPU busy.
beside()
{
	besides+=("$*")
	begun+=("$SECONDS")
	setsid "$@" </dev/null >"$log.${#besides[@]}" 2>"$log.${#besides[@]}.err" &
	processes+=("-$!")
}

join_besides()
{
	local i status

	for i in "${!besides[@]}"; do
		echo "== ${besides[i]}"
		wait "${processes[i]#-}"
		status=$?
		cat "$log.$((i + 1)).err" "$log.$((i + 1))"
		took+=("up to $((SECONDS - begun[i])) s: ${besides[i]}")
		add_up "${besides[i]}" "$status" "$log.$((i + 1))"
	done
	besides=()
	begun=()
	processes=()
}

# meanwhile COMMAND...: have something ready for a later step, with what the others leave of the CPUs. If
# it fails, that step fails too, and says why.
meanwhile()
{
	setsid nice -n 19 "$@" </dev/null >/dev/null 2>&1 &
	idle+=("-$!")
}

# What took how long, how failed steps ended, the last line, and the exit status.
finish_steps()
{
	printf '== %s\n' "${took[@]}"
	cat "$log.failed" 2>/dev/null
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$skipped" = 0 ]
}
