# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# What the tests of tcpdrop(8) share.

usage='usage: tcpdrop local-address local-port foreign-address foreign-port
       tcpdrop local-address:local-port foreign-address:foreign-port
       tcpdrop local-address.local-port foreign-address.foreign-port
       tcpdrop [-l] -a
       tcpdrop [-l] -C cc-algo [-S stack] [-s state]
       tcpdrop [-l] [-C cc-algo] -S stack [-s state]
       tcpdrop [-l] [-C cc-algo] [-S stack] -s state
       tcpdrop [-l | -n] [-j] attribute=value ...'

# find_command NAME
find_command()
{
	local name=$1 file

	for file in "$DIR/../scripts/$name" "$DIR/../../scripts/$name" "$(command -v "$name")"; do
		[ ! -e "$file" ] || break
	done
	[ -e "$file" ] || skip_all "needs scripts/$name"
	readlink -f "$file"
}

# wants_shell SHELL: it is at hand, and one of TCPDROP_SHELLS if that is set.
wants_shell()
{
	[[ " ${TCPDROP_SHELLS:-$1} " == *" ${1%% *} "* ]] && command -v "${1%% *}" >/dev/null
}

# make_command DIR SHELL: the command, run by that shell.
make_command()
{
	mkdir -p "$1"
	sed "1s|.*|#!$(command -v "${2%% *}")${2#"${2%% *}"}|" "$the_command" >"$1/${the_command##*/}"
	chmod +x "$1/${the_command##*/}"
}

# Under a shell: its name, the directory with its tcpdrop, and a claim.
under()
{
	local name=$1 PATH=$2:$PATH
	shift 2

	export PATH
	shell=$name
	"$@"
}

# Pieces of expected output: the ends of a connection as the command prints and takes them.

reversed()
{
	# shellcheck disable=SC2086 # into words
	set -- $1
	echo "$3 $4 $1 $2"
}

dropped()
{
	printf '%s: dropped\n' "$@"
}

both_dropped()
{
	dropped "$1" "$(reversed "$1")"
}

no_such_process()
{
	printf 'tcpdrop: %s: No such process\n' "$@"
}

expect_success()
{
	expect_exit 0
	expect_err
	expect_out "$1"
}

expect_failure()
{
	expect_exit 1
	expect_out
	expect_err "$1"
}

# A command that is held where it writes more than a pipe takes, until somebody reads.

make_fifo()
{
	mkfifo "$tmp/fifo"
	defer rm "$tmp/fifo"
}

# Sets command to the process, whose group is its own. A shell's background jobs ignore some signals.
start_command()
{
	setsid env --default-signal "$@" >"$tmp/fifo" 2>"$tmp/err" &
	command=$!
}

# Read what it writes from file 9, and wait for its end.
end_command()
{
	cat <&9 >"$tmp/report"
	exec 9<&-
	status=0
	wait "$command" || status=$?
}

# A command of which the dd waits, before it drops anything for the first time, until it has been told
# to: it says so by the one of two fifos, and is told by the other. By its path, since busybox has a dd
# of its own.
hold_drop()
{
	mkdir "$tmp/held"
	mkfifo "$tmp/ready" "$tmp/go"
	defer rm -r "$tmp/held" "$tmp/ready" "$tmp/go"
	cat >"$tmp/held/dd" <<-END
		#!/bin/sh
		case "\$*" in
		*of=$proc | *of=*/commit)
			if mkdir "$tmp/held/once" 2>/dev/null; then
				echo >"$tmp/ready"
				read -r _ <"$tmp/go"
			fi
			;;
		esac
		exec $(command -v dd) "\$@"
	END
	sed "s| dd | $tmp/held/dd |" "$(command -v tcpdrop)" >"$tmp/held/tcpdrop"
	chmod +x "$tmp/held/dd" "$tmp/held/tcpdrop"
	chmod 777 "$tmp/held"
}

# await_drop PID: of such a command, which is ended whatever becomes of the claim.
await_drop()
{
	held=$1
	defer kill "$held"
	read -t 60 -r _ <>"$tmp/ready"
}

let_drop()
{
	echo >"$tmp/go"
	wait "$held"
}

sockets_are()
{
	[ "$(count_sockets)" = "$1" ]
}

expect_listed()
{
	expect_exit 0
	expect_err
	expect_out_sorted "$(printf 'tcpdrop %s\n' "$@")"
}

is_in()
{
	[ -n "$(ss -Htan state "$1")" ]
}

# A connection that its client has half closed: FIN_WAIT_2 here, CLOSE_WAIT there.
make_half_closed()
{
	ask connect half 127.0.0.1
	half_closed=$answer
	ask shut half client
	wait_for is_in fin-wait-2
	wait_for is_in close-wait
}

make_time_wait()
{
	ask connect finished 127.0.0.1
	time_wait=$answer
	ask finish finished client
	wait_for is_in time-wait
}

# writes_to_full COMMAND...: no byte of what it prints can be written.
writes_to_full()
{
	"$@" >/dev/full
}

rules_are()
{
	[ "$(rules_there)" = "$1" ]
}

# write_hosts: names that the tests look up.
write_hosts()
{
	cat >"$tmp/hosts" <<-'END'
		127.0.0.1 localhost ip4.test twice.test
		::1 localhost ip6.test
		127.1.0.1 local.test
		127.1.0.2 local.test
		127.2.0.1 foreign.test
		127.2.0.2 foreign.test
		127.0.0.1 twice.test
	END
	mount --bind "$tmp/hosts" /etc/hosts
}
