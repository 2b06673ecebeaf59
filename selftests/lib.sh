# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the shell selftests share.
#
# A test script sources this file and defines functions, each of which shows one thing:
#
#	claim "a sentence that is true" FUNCTION ARGUMENT...
#
# run_claims at its end runs them, each in a subshell with errexit, so the first command that fails
# fails the claim, and with no connections left over from the one before. Everything happens in a
# network and a mount namespace of the script's own.

DIR=$(dirname "$(readlink -f "$0")")

# In an installed kselftest tree the framework is next door, in this project's own it is elsewhere.
if [ -d "$DIR/../kselftest" ]; then
	framework=$DIR/../kselftest
else
	framework=${KSFT:-$("$DIR/../scripts/vm/ksft-dir")}/kselftest
fi
# shellcheck source=ktap_helpers.sh
. "$framework/ktap_helpers.sh"

# shellcheck disable=SC2034 # for the tests
proc=/proc/net/tcp_drop
# shellcheck disable=SC2034 # for the tests
rules=/sys/kernel/config/tcpdrop
# What makes a command that of a plain user.
# shellcheck disable=SC2034 # for the tests
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# kselftest makes programs write by the line. Here what is written in one piece matters.
unset LD_PRELOAD _STDBUF_O

# What is no directory there is no rule.
rules_there()
{
	find "$rules" -mindepth 1 -maxdepth 1 -type d -printf '%f\n'
}

# The program.

skip_all()
{
	ktap_print_header
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# First in every script, with its arguments: "-t TITLE" picks the claims whose titles begin so.
wanted=
in_own_namespaces()
{
	local option OPTIND=1

	while getopts t: option; do
		[ "$option" = t ] || exit 1
		wanted=$OPTARG
	done
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -d "$rules" ] || skip_all "needs the module, and configfs in /sys/kernel/config"
	[ -e "$proc" ] || skip_all "needs $proc"
	command -v python3 >/dev/null || skip_all "needs python3"
	if [ -z "${TCPDROP_OWN_NAMESPACES:-}" ]; then
		TCPDROP_OWN_NAMESPACES=1 exec unshare --net --mount "$0" "$@"
	fi
	ip link set lo up
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	start_puppet main
}

titles=()
commands=()

claim()
{
	[[ $1 == "$wanted"* ]] || return 0
	titles+=("$1")
	shift
	commands+=("$(printf '%q ' "$@")")
}

run_claims()
{
	local i

	ktap_print_header
	ktap_set_plan ${#titles[@]}
	for i in "${!titles[@]}"; do
		run_claim "${titles[i]}" "${commands[i]}"
	done
	ktap_finished
}

run_claim()
{
	local title=$1 command=$2

	(set -eE; trap run_deferred EXIT; trap 'say_where' ERR; eval "$command") >"$tmp/log" 2>&1 </dev/null
	case $? in
	0) ktap_test_pass "$title" ;;
	"$KSFT_SKIP") ktap_test_skip "$title" ;;
	"$lacking") echo "# $(<"$tmp/log")"; ktap_test_xfail "$title" ;;
	*) ktap_test_fail "$title"; sed 's/^/# /' "$tmp/log" ;;
	esac
	ask forget >"$tmp/log" || ktap_exit_fail_msg "the sockets are gone: $answer"
}

# In a claim: it cannot be shown here.
skip()
{
	echo "$*"
	exit "$KSFT_SKIP"
}

# make_dummy DEVICE ADDRESS...: in a claim, a device with that address, which goes with the claim.
make_dummy()
{
	local device=$1
	shift

	ip link add "$device" type dummy || skip "no dummy interfaces"
	defer ip link del "$device"
	ip addr add "$@" dev "$device"
	ip link set "$device" up
}

# In a claim: a client in SYN_SENT, whose peer does not exist. Sets answer to its ends.
make_syn_client()
{
	make_dummy tcpdrop0 192.0.2.1/24
	ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev tcpdrop0
	ask syn target 192.0.2.2 80 from=192.0.2.1
}

# In a claim: it is about what this kernel does not have, as the table of all kernels says.
lacking=250
lacks()
{
	echo "$*"
	exit "$lacking"
}

say_where()
{
	local i

	echo "failed: $BASH_COMMAND"
	for ((i = 1; i < ${#FUNCNAME[@]} && i < 6; i++)); do
		echo "  in ${FUNCNAME[i]}, line ${BASH_LINENO[i - 1]}"
	done
	trap - ERR
}

# Clean-up of a claim, the last deferred first.

deferred=()

defer()
{
	deferred=("$(printf '%q ' "$@")" "${deferred[@]}")
}

run_deferred()
{
	local command

	set +e
	trap - ERR
	for command in "${deferred[@]}"; do
		eval "$command"
	done
}

# A "!" before a command would hide its failure from errexit.
not()
{
	! "$@"
}

# wait_for COMMAND...: until it succeeds.
wait_for()
{
	local left=60 before=$SECONDS now

	until "$@"; do
		if [ "$left" -le 0 ]; then
			echo "never came: $*"
			ss -tan
			return 1
		fi
		sleep 0.05
		# A virtual machine may have been stopped meanwhile.
		now=$SECONDS
		left=$((left - (now - before < 2 ? now - before : 2)))
		before=$now
	done
}

# What a command says.

# run COMMAND...: what it prints and how it ends is what the expect_* functions look at.
run()
{
	status=0
	"$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# Sets text to a file, without its last newlines.
slurp()
{
	IFS= read -r -d '' text <"$1" || true
	while [[ $text == *$'\n' ]]; do
		text=${text%$'\n'}
	done
}

expect_equal()
{
	[ "$2" != "$3" ] || return 0
	printf '%s is\n%s\nand should be\n%s\n' "$1" "$2" "$3"
	return 1
}

expect_exit()
{
	expect_equal "the exit status" "$status" "$1" || {
		cat "$tmp/out" "$tmp/err"
		return 1
	}
}

# Without an argument: nothing at all.
expect_out()
{
	slurp "$tmp/out"
	expect_equal "standard output" "$text" "${1:-}"
}

expect_err()
{
	slurp "$tmp/err"
	expect_equal "standard error" "$text" "${1:-}"
}

# The lines of standard output, in any order.
expect_out_sorted()
{
	expect_equal "standard output, sorted" "$(sort "$tmp/out")" "$(printf '%s\n' "$@" | sort)"
}

expect_err_like()
{
	slurp "$tmp/err"
	# shellcheck disable=SC2053 # a pattern
	[[ $text == $1 ]] || {
		printf 'standard error is\n%s\nand should be like\n%s\n' "$text" "$1"
		return 1
	}
}

# Sockets, see puppet.py.

declare -A puppet_in puppet_out puppet_pid

# start_puppet NAME [COMMAND...]: the command runs it, elsewhere. One that a claim starts ends with it.
start_puppet()
{
	local name=$1 in out
	shift

	rm -f "$tmp/$name.in" "$tmp/$name.out"
	mkfifo "$tmp/$name.in" "$tmp/$name.out"
	"$@" python3 "$DIR/puppet.py" <"$tmp/$name.in" >"$tmp/$name.out" 2>"$tmp/$name.log" &
	# shellcheck disable=SC2034 # for the tests
	puppet_pid[$name]=$!
	exec {in}>"$tmp/$name.in" {out}<"$tmp/$name.out"
	puppet_in[$name]=$in
	puppet_out[$name]=$out
}

# start_puppet_in NAME CGROUP [COMMAND...]: in a claim, in a cgroup that is made for it, below one that
# may be there.
start_puppet_in()
{
	local name=$1 cgroup=/sys/fs/cgroup/$2 slice
	shift 2

	slice=${cgroup%/*}
	[ -w /sys/fs/cgroup/cgroup.procs ] || skip "no cgroup v2 in /sys/fs/cgroup"
	if [ ! -d "$slice" ]; then
		mkdir "$slice"
		defer rmdir "$slice"
	fi
	mkdir "$cgroup"
	defer wait_for rmdir "$cgroup"
	# shellcheck disable=SC2016 # for that shell
	start_puppet "$name" sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@"
	defer kill "${puppet_pid[$name]}"
}

# add_netns NAME DEVICE: a network namespace, with a cable from DEVICE here to eth0 there.
add_netns()
{
	ip netns add "$1"
	ip -n "$1" link set lo up
	ip link add "$2" type veth peer name eth0 netns "$1"
}

# ask_of PUPPET COMMAND...: sets answer.
ask_of()
{
	local name=$1 verdict
	shift

	echo "$*" >&"${puppet_in[$name]}"
	read -r verdict answer <&"${puppet_out[$name]}" || slurp "$tmp/$name.log"
	echo "$*: ${verdict-$text} $answer"
	[ "${verdict-}" = ok ]
}

ask()
{
	ask_of main "$@"
}

expect_answer()
{
	local expected=$1
	shift

	ask "$@"
	expect_equal "the answer to $*" "$answer" "$expected"
}

# expect_alive NAME [COUNT]
expect_alive()
{
	expect_answer "${2:-1}" alive "$1"
}

# expect_aborted NAME WHICH
expect_aborted()
{
	expect_answer ECONNABORTED fate "$1" "$2"
}

# connections FILTER...: the ends that ss shows, a line each.
connections()
{
	ss -Htn state established "$@" | awk '{ print $3, $4 }'
}

# The sockets of this namespace other than listeners, as the kernel itself shows them.
count_sockets()
{
	cat /proc/net/tcp /proc/net/tcp6 | awk '$1 ~ /^[0-9]+:$/ && $4 != "0A"' | wc -l
}

expect_sockets()
{
	expect_equal "the number of sockets" "$(count_sockets)" "$1"
}

# As a connection is written to the kernel: as_line LADDR LPORT FADDR FPORT
as_line()
{
	local ends=("$@")

	[[ $1 != *:* ]] || ends=("[$1]" "$2" "[$3]" "$4")
	printf '%s:%s %s:%s\n' "${ends[@]}"
}
