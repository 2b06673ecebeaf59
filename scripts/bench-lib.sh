# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables for the other files, and of theirs
# What the benchmarks in a guest share. Each has a directory of its own for its samples, $work.

set -euo pipefail

module=${TCPDROP_KO:-/payload/tcpdrop.ko}
rules=/sys/kernel/config/tcpdrop
rule=$rules/bench
PATH=$(dirname "$0"):${module%/*}:$PATH

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# make_room NUMBER: for so many connections and as many in TIME_WAIT, several times over. No port that a
# connection is given is one that is looked for.
make_room()
{
	sysctl -qw fs.nr_open=$((4 * $1 + 1048576)) fs.file-max=$((8 * $1 + 1048576)) \
		net.ipv4.ip_local_port_range="20000 65535" \
		net.ipv4.tcp_max_tw_buckets=$((4 * $1 + 262144)) \
		net.ipv4.tcp_max_orphans=$((4 * $1 + 262144)) net.ipv4.tcp_tw_reuse=0
}

make_rule()
{
	grep -q '^tcpdrop ' /proc/modules || insmod "$module"
	mkdir "$rule"
}

# open_connections STATE NUMBER PORT [FIRST]: sets opener, who has them open.
open_connections()
{
	local ready

	exec {ready}< <(exec bench-pairs "$@")
	opener=$!
	read -r -u "$ready" || die "no connections"
	exec {ready}<&-
}

close_connections()
{
	kill "$opener"
	wait "$opener" || true
}

# in_use KIND: sets used, how many sockets there are in this namespace as the kernel counts them: KIND
# is inuse or tw, those in TIME_WAIT.
in_use()
{
	local word words

	while read -ra words; do
		[ "${words[0]}" != TCP: ] || break
	done </proc/net/sockstat
	for word in "${!words[@]}"; do
		[ "${words[word]}" != "$1" ] || used=${words[word + 1]}
	done
}

# set_rule ATTRIBUTE=VALUE...: these and no others.
set_rule()
{
	local word

	for word in saddr=any daddr=any sport=any dport=any state=all "$@"; do
		echo "${word#*=}" >"$rule/${word%%=*}"
	done
}

# sample FIGURE NUMBER
sample()
{
	[ -n "$2" ] || die "$1: nothing was measured"
	echo "$2" >>"$work/$1"
}

# What a median, least and greatest of a figure is, on one line.
summary()
{
	sort -g "$work/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'
}

median()
{
	summary "$1" | cut -d' ' -f1
}

# in_turn ROUND NAME...: the names, the other way around every second time.
in_turn()
{
	local round=$1
	shift

	if [ $((round % 2)) = 1 ]; then
		echo "$@"
	else
		printf '%s\n' "$@" | tac | xargs
	fi
}

# begin_table FILE: the figures go there as well, for programs.
begin_table()
{
	csv=$1
	echo "figure,ours,ours_min,ours_max,rival,theirs,theirs_min,theirs_max,ratio,goal,met" >"$csv"
}

# row TITLE OURS RIVAL THEIRS GOAL: a line of the table.  The goal is ">= N" for the ratio of theirs to
# ours, "<= N" for that of ours to theirs, "<= N each" for ours itself.  Without a rival THEIRS is "-".
row()
{
	local title=$1 name=$2 rival=$3 theirs=$4 goal=$5 ours others="- - -"

	ours=$(summary "$name")
	if [ -e "$work/$theirs" ]; then
		others=$(summary "$theirs")
	else
		rival=
		[[ $goal == *each ]] || goal=-
	fi
	# Another rival of the same figure.
	[ -n "$rival$title" ] || return 0
	echo "$ours $others" | awk -v name="$name" -v title="$title" -v rival="$rival" \
		-v goal="$goal" -v csv="$csv" "$row_program"
}

# shellcheck disable=SC2016 # fields of awk
row_program='
function spread(middle, least, greatest) {
	return middle == "-" ? "" : sprintf("%.1f%%", (greatest - least) * 100 / middle)
}
function verdict(value, limit) {
	if (goal == "-")
		return ""
	return (goal ~ /^>/ ? value >= limit : value <= limit) ? "met" : "MISSED"
}
{
	split(goal, part, " ")
	ratio = $4 == "-" ? "-" : sprintf("%.2f", goal ~ /^<= [0-9.]*$/ ? $1 / $4 : $4 / $1)
	met = verdict(goal ~ /each/ ? $1 : ratio + 0, part[2] + 0)
	printf "%-36s %10s %6s  %-14s %10s %6s %6s  %-11s %s\n", title, $1, spread($1, $2, $3), rival,
		$4, spread($4, $5, $6), ratio, goal, met
	printf "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", name, $1, $2, $3, rival, $4, $5, $6, ratio,
		goal, met >>csv
}'
