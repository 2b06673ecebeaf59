#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a plain user gets a privileged program to write, or to read: a setuid one whose output, or
# input, is one of our files.
# shellcheck disable=SC2317 # the functions are called by claims
# shellcheck disable=SC2016 # scripts for other shells

. "$(dirname "$(readlink -f "$0")")/lib.sh"

# A client of port 7001, the target, another one, and in line the first one's ends.
begin()
{
	ask connect target 127.0.0.1 7001
	# shellcheck disable=SC2086 # into words
	line=$(as_line $answer)
	ask connect bystander 127.0.0.1 7002
	chmod 755 "$tmp"
	cp /bin/echo "$tmp/deputy"
	chmod 4755 "$tmp/deputy"
}

make_rule()
{
	mkdir "$rules/deputy"
	defer rmdir "$rules/deputy"
	echo 7001 >"$rules/deputy/dport"
}

# The deputy is what it is said to be.
is_setuid()
{
	begin
	cp /usr/bin/id "$tmp/deputy"
	expect_equal "the user that it runs as" "$("${nobody[@]}" "$tmp/deputy" -u)" 0
}

opens_nothing()
{
	local file

	begin
	make_rule
	for file in "$proc" "$rules"/deputy/{commit,dport,max}; do
		run "${nobody[@]}" sh -c 'exec "$0" 1 >"$1"' "$tmp/deputy" "$file"
		expect_exit 2
		expect_err_like '*Permission denied'
	done
	expect_alive target
	expect_alive bystander
}

# The user's namespace has a connection with the very same ends.
drops_in_own_namespace()
{
	local ends

	begin
	start_puppet container "${nobody[@]}" \
		unshare --user --map-root-user --net sh -c 'ip link set lo up && exec "$@"' sh
	defer kill "${puppet_pid[container]}"
	ends=${line%% *}
	ask_of container connect target 127.0.0.1 7001 "sport=${ends##*:}"
	ask_of container connect bystander 127.0.0.1 7002
	run "${nobody[@]}" sh -c 'exec "$0" "$1" >"/proc/$2/net/tcp_drop"' "$tmp/deputy" "$line" \
		"${puppet_pid[container]}"
	expect_exit 0
	ask_of container fate target client
	expect_equal "the fate in the user's namespace" "$answer" ECONNABORTED
	ask_of container alive bystander
	expect_equal "those alive there" "$answer" 1
	expect_alive target
	expect_alive bystander
}

# list and count judge who reads: where that matters, root leaves nobody else to open them.
reads_what_root_leaves_open()
{
	local file

	begin
	cp /bin/cat "$tmp/deputy"
	make_rule
	for file in "$rules"/deputy/{count,list}; do
		run "${nobody[@]}" cat "$file"
		expect_exit 1
		expect_err_like '*Operation not permitted'
		run "${nobody[@]}" sh -c 'exec "$0" <"$1"' "$tmp/deputy" "$file"
		expect_exit 0
		[ -s "$tmp/out" ]
		chmod 0400 "$file"
		run "${nobody[@]}" sh -c 'exec "$0" <"$1"' "$tmp/deputy" "$file"
		expect_exit 2
		expect_err_like '*Permission denied'
	done
	expect_equal "what root counts" "$(<"$rules/deputy/count")" 1
}

# A lost capability does not come back with the user id.
is_refused_without_capability()
{
	local file

	begin
	make_rule
	for file in "$proc" "$rules/deputy/commit"; do
		run setpriv --bounding-set -net_admin --inh-caps -net_admin \
			sh -c 'exec "$0" 1 >"$1"' "$tmp/deputy" "$file"
		[ "$status" != 0 ]
		expect_err_like '*Operation not permitted'
	done
	expect_alive target
	expect_alive bystander
}

# A file of configfs does not know who opened it: what root has opened and handed on is as good as
# root's own word, but for a privileged program only.
trusts_writer_of_commit()
{
	begin
	make_rule
	exec 7>"$rules/deputy/commit"
	run "${nobody[@]}" sh -c 'echo 1 >&7'
	[ "$status" != 0 ]
	expect_alive target
	run "${nobody[@]}" sh -c 'exec "$0" 1 >&7' "$tmp/deputy"
	exec 7>&-
	expect_exit 0
	expect_aborted target client
	expect_alive bystander
}

in_own_namespaces "$@"
claim "the deputy of these tests is setuid" is_setuid
claim "a plain user can open nothing for it" opens_nothing
claim "it lists what a plain user may not, unless root has closed the file" \
	reads_what_root_leaves_open
claim "what it writes to the file of a user's own namespace drops there only" drops_in_own_namespace
claim "root that has lost CAP_NET_ADMIN does not get it back by it" is_refused_without_capability
claim "it commits what root has opened and handed on" trusts_writer_of_commit
run_claims
