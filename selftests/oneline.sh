#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tcpdrop(8) with attributes for operands: a rule for once, under dash and busybox.
# shellcheck disable=SC2317 # the functions are called by claims

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/command_lib.sh"

# Two clients of port 7001, in order, and one of port 7002, the bystander.
make_clients()
{
	ask connect target 127.0.0.1 7001
	first=$answer
	ask connect target 127.0.0.1 7001
	second=$answer
	ask connect bystander 127.0.0.1 7002
}

expect_bystander()
{
	expect_alive bystander
	expect_equal "the rules" "$(rules_there)" ""
}

# What is refused.

# is_refused WHAT PATTERN OPERAND...: and no connection is touched.
is_refused()
{
	local message=$2

	echo "refused: $1"
	run tcpdrop "${@:3}"
	expect_exit 1
	expect_out
	expect_err_like "$message"
	expect_alive target 2
	expect_bystander
}

refuses_what_is_wrong()
{
	local usage_pattern=${usage//\[/\\[} attr option

	make_clients
	is_refused "no state" 'tcpdrop: state: "timewait": not a TCP state' state=timewait
	is_refused "no state behind a port" 'tcpdrop: state: "timewait": not a TCP state' \
		dport=7001 state=timewait
	is_refused "no port before a state" 'tcpdrop: dport: "70x1": not a port number' \
		dport=7001,70x1 state=all
	is_refused "no attribute" 'tcpdrop: foo: no such attribute' dport=7001 foo=1
	for attr in commit count list last_error result stats . .. ../x Dport 'd*' _ 'dport '; do
		is_refused "$attr" "tcpdrop: ${attr/\*/\\*}: no such attribute" dport=7001 "$attr=1"
	done
	is_refused "a nameless attribute" 'tcpdrop: : no such attribute' =7001
	is_refused "an attribute twice" 'tcpdrop: dport: given twice' \
		dport=7001 state=all dport=7001
	is_refused "an empty value" 'tcpdrop: daddr: no value' \
		dport=7001 daddr=
	is_refused "a value of blanks" 'tcpdrop: daddr: no value' \
		dport=7001 'daddr= 	'
	is_refused "nothing to be added" 'tcpdrop: daddr: no value' \
		dport=7001 'daddr=+ '
	is_refused "a value of two lines" 'tcpdrop: dport: a value is a single line' \
		$'dport=7001\n7002'
	is_refused "no selector" 'tcpdrop: no selector is set; state=all is everything' max=5
	is_refused "any alone" 'tcpdrop: no selector is set; state=all is everything' daddr=any
	is_refused "more than max" 'tcpdrop: more sockets match than max allows: 2' \
		max=1 dport=7001
	is_refused "a value longer than a write" 'tcpdrop: dport: "*": too long for one write' \
		"dport=$(printf '7001,%.0s' {1..1000})7001"
	is_refused "a process without TCP" 'tcpdrop: pid: "self": *' pid=self
	is_refused "an operand that is no attribute" "$usage_pattern" dport=7001 7002
	is_refused "-l and -n" "$usage_pattern" -l -n dport=7001
	is_refused "-a" "$usage_pattern" -a dport=7001
	is_refused "-s" "$usage_pattern" -s ESTABLISHED dport=7001
	is_refused "attributes behind four operands" "$usage_pattern" 127.0.0.1 1 127.0.0.1 2 dport=7001
	is_refused "an attribute behind an operand" "$usage_pattern" 127.0.0.1.1 dport=7001
	for option in -l -n -j; do
		is_refused "no state, with $option" \
			'tcpdrop: state: "timewait": not a TCP state' "$option" state=timewait
	done
}

claim_refusals()
{
	claim "what is wrong is refused, and nothing is dropped ($shell)" \
		"${under[@]}" refuses_what_is_wrong
	claim "without CAP_NET_ADMIN nothing is dropped ($shell)" "${under[@]}" refuses_weak_root
}

expect_err_matching()
{
	expect_exit 1
	expect_out
	expect_err_like "$1"
	expect_bystander
}

refuses_weak_root()
{
	local words

	make_clients
	for words in dport=7001 "-l dport=7001" "-n dport=7001" "-j dport=7001"; do
		# shellcheck disable=SC2086 # into words
		run setpriv --bounding-set -net_admin --inh-caps -net_admin tcpdrop $words
		expect_err_matching 'tcpdrop: *'
	done
	expect_alive target 2
}

# What is dropped.

claim_drops()
{
	claim "a line for each connection that was dropped ($shell)" "${under[@]}" drops_clients \
		dport=7001
	claim "attributes in any order ($shell)" "${under[@]}" drops_clients \
		max=2 state=established dport=7001 daddr=127.0.0.0/8 kernel=no
	claim "the names of ss and blanks in a list ($shell)" "${under[@]}" drops_clients \
		'daddr=127.0.0.1, ::1  192.0.2.1' state=estab 'dport=7001 !7002'
	claim "any is no selector, but may stand beside one ($shell)" "${under[@]}" drops_clients \
		daddr=any dport=7001
	claim "no match is silent ($shell)" "${under[@]}" drops_none
	claim "a connection in TIME_WAIT ($shell)" "${under[@]}" drops_time_wait
	claim "what still stands is reported, the others go ($shell)" "${under[@]}" reports_stuck
	claim "thousands in one commit ($shell)" "${under[@]}" drops_thousands
	claim "connections of another namespace ($shell)" "${under[@]}" drops_elsewhere
	claim "a listener, where it is named ($shell)" "${under[@]}" drops_listener
}

drops_clients()
{
	make_clients
	run tcpdrop "$@"
	expect_exit 0
	expect_err
	expect_out_sorted "$(dropped "$first" "$second")"
	expect_aborted target client
	expect_bystander
}

drops_none()
{
	make_clients
	run tcpdrop dport=7003
	expect_success
	run tcpdrop sport=7001 state=syn-sent
	expect_success
	expect_alive target 2
	expect_bystander
}

drops_time_wait()
{
	make_time_wait
	ask connect bystander 127.0.0.1
	run tcpdrop state=time-wait
	expect_success "$(dropped "$time_wait")"
	not is_in time-wait
	expect_bystander
}

reports_stuck()
{
	make_clients
	ask stick target client
	run tcpdrop dport=7001
	expect_exit 1
	expect_out "$(dropped "$first")"
	expect_err "tcpdrop: 1 of 2 connections could not be dropped
tcpdrop: $second: Device or resource busy"
	run tcpdrop -j dport=7001
	ask let_go
	expect_exit 1
	expect_err "tcpdrop: 1 of 1 connections could not be dropped"
	expect_json '[said[n] for n in ("matched", "dropped", "failed", "states")]' '[1, 0, 1, {}]'
	expect_bystander
}

commits()
{
	sed -n 's/^commits //p' "$rules/stats"
}

drops_thousands()
{
	local before

	ask connect target 127.0.0.1 7001 count=2000
	ask connect bystander 127.0.0.1 7002
	tcpdrop -l dport=7001 | sed 's/^tcpdrop \(.*\)/\1: dropped/' | sort >"$tmp/expected"
	before=$(commits)
	run tcpdrop dport=7001
	expect_exit 0
	expect_err
	expect_equal "standard output" "$(sort "$tmp/out")" "$(<"$tmp/expected")"
	expect_equal "the number of lines" "$(wc -l <"$tmp/out")" 2000
	expect_equal "the number of commits" $(($(commits) - before)) 1
	expect_answer 0 alive target
	expect_bystander
}

# The same ends in both namespaces, of which one goes.
drops_elsewhere()
{
	local inode

	ip netns add tcpdrop-test
	defer ip netns del tcpdrop-test
	ip -n tcpdrop-test link set lo up
	start_puppet other ip netns exec tcpdrop-test
	ask_of other connect target 127.0.0.1 7001 sport=7009
	ask connect bystander 127.0.0.1 7001 sport=7009
	inode=$(stat -L -c %i /run/netns/tcpdrop-test)

	run tcpdrop "netns=$inode" dport=7001
	expect_success "$(dropped "127.0.0.1 7009 127.0.0.1 7001")"
	ask_of other alive target
	expect_equal "those alive" "$answer" 0
	expect_bystander
}

drops_listener()
{
	ask listen 127.0.0.1 7001
	ask connect bystander 127.0.0.1 7002
	run tcpdrop sport=7001 state=listen
	expect_exit 0
	expect_err
	expect_out "127.0.0.1 7001 0.0.0.0 0: dropped"
	expect_equal "listeners" "$(ss -Htln 'sport = :7001')" ""
	expect_bystander
}

# What only looks, and what machines read.

claim_looks()
{
	claim "-l prints commands, which drop these ($shell)" "${under[@]}" prints_commands
	claim "-n prints how many match ($shell)" "${under[@]}" prints_count
	claim "-j prints what a commit did as JSON ($shell)" "${under[@]}" prints_json
	claim "-j prints that max was exceeded as JSON ($shell)" "${under[@]}" prints_json_of_none
	claim "-l -j prints connections as JSON ($shell)" "${under[@]}" prints_json_list
	claim "-n -j prints how many as JSON ($shell)" "${under[@]}" prints_json_count
	claim "what cannot be printed is a failure ($shell)" "${under[@]}" needs_output
	claim "-h prints the usage and where to read more ($shell)" "${under[@]}" prints_help
	claim "-V prints the version of the module ($shell)" "${under[@]}" prints_version
}

prints_commands()
{
	make_clients
	run tcpdrop -l dport=7001
	expect_listed "$first" "$second"
	expect_alive target 2
	mv "$tmp/out" "$tmp/commands"
	run sh "$tmp/commands"
	expect_exit 0
	expect_answer 0 alive target
	run tcpdrop -l dport=7001
	expect_success
	expect_bystander
}

prints_count()
{
	make_clients
	run tcpdrop -n dport=7001
	expect_success 2
	run tcpdrop -n port=7003
	expect_success 0
	expect_alive target 2
	expect_bystander
}

# expect_json EXPRESSION VALUE: of the variable said, which is standard output.
expect_json()
{
	expect_equal "$1" "$(python3 -c '
import json, sys
said = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$tmp/out" "$1")" "$2"
}

prints_json()
{
	make_clients
	run tcpdrop -j dport=7001
	expect_exit 0
	expect_err
	expect_json 'list(said)' \
		"['matched', 'dropped', 'failed', 'remaining', 'elapsed_us', 'states']"
	expect_json '[said[n] for n in ("matched", "dropped", "failed", "remaining")]' '[2, 2, 0, 0]'
	expect_json 'said["elapsed_us"] > 0' True
	expect_json 'said["states"]' "{'ESTABLISHED': 2}"
	expect_answer 0 alive target
	expect_equal "the number of lines" "$(wc -l <"$tmp/out")" 1

	make_half_closed
	run tcpdrop -j state=fin-wait-2,close-wait
	expect_exit 0
	expect_json 'sum(said["states"].values()) == said["dropped"] > 0' True
	run tcpdrop -j dport=7001
	expect_exit 0
	expect_json '[said["matched"], said["states"]]' '[0, {}]'
	expect_bystander
}

# A program that reads it has something to read, and need not guess from an empty line.
prints_json_of_none()
{
	make_clients
	run tcpdrop -j max=1 dport=7001
	expect_exit 1
	expect_err "tcpdrop: more sockets match than max allows: 2"
	expect_json '[said[n] for n in ("matched", "dropped", "failed", "remaining", "states")]' \
		'[2, 0, 0, 2, {}]'
	expect_alive target 2
	expect_bystander
}

prints_json_list()
{
	local six

	make_clients
	ask connect six ::1 7001
	six=$answer
	run tcpdrop -l -j dport=7001
	expect_exit 0
	expect_err
	expect_json 'sorted((c["laddr"], c["lport"], c["faddr"], c["fport"], c["state"]) for c in said)' \
		"$(printf '%s\n' "$first" "$second" "$six" | python3 -c '
import sys
ends = [line.split() for line in sys.stdin]
print(sorted((a, int(p), b, int(q), "ESTABLISHED") for a, p, b, q in ends))')"
	run tcpdrop -lj port=7003
	expect_exit 0
	expect_json said '[]'
	expect_alive target 2
	expect_bystander
}

prints_json_count()
{
	make_clients
	run tcpdrop -nj dport=7001
	expect_exit 0
	expect_json said "{'matched': 2}"
	expect_alive target 2
	expect_bystander
}

# What only looks comes first; what is dropped all the same is dropped.
needs_output()
{
	local words

	make_clients
	for words in -h -V "-l dport=7001" "-lj dport=7001" "-n dport=7001" "-nj dport=7001" "-la" \
		"-j dport=7001" dport=7002; do
		echo "$words"
		# shellcheck disable=SC2086 # into words
		run writes_to_full tcpdrop $words
		expect_exit 1
	done
	expect_answer 0 alive target
	expect_answer 0 alive bystander
	ask connect target 127.0.0.1 7001
	# shellcheck disable=SC2086 # into words
	run writes_to_full tcpdrop $answer
	expect_exit 1
	ask connect target 127.0.0.1 7001
	run writes_to_full tcpdrop -a
	expect_exit 1
	expect_answer 0 alive target
}

prints_help()
{
	run tcpdrop -h
	expect_exit 0
	expect_err
	slurp "$tmp/out"
	[[ $text == "$usage"* ]]
	[[ $text == *"tcpdrop(8)"* ]]
	run tcpdrop -l -h dport=7001
	expect_exit 0
	expect_equal "the rules" "$(rules_there)" ""
}

prints_version()
{
	run tcpdrop -V
	expect_success "tcpdrop $(</sys/module/tcpdrop/version)"
}

# Lists in files.

claim_lists()
{
	claim "a list in a file, with comments, blank lines and all ($shell)" \
		"${under[@]}" takes_list
	claim "a list as other systems write it ($shell)" "${under[@]}" takes_foreign_list
	claim "a list with the ends of lines of long ago ($shell)" "${under[@]}" takes_list_of_old
	claim "variables of the caller's that have names of its own ($shell)" \
		"${under[@]}" is_not_hurt_by_environment
	claim "a list from standard input ($shell)" "${under[@]}" takes_standard_input
	claim "a single value from a file ($shell)" "${under[@]}" takes_a_single_value
	claim "a list of thousands ($shell)" "${under[@]}" takes_thousands
	claim "lists of names and states ($shell)" "${under[@]}" takes_other_lists
	claim "a bad item is named with its line ($shell)" "${under[@]}" names_bad_item
	claim "a bad item far down a long list ($shell)" "${under[@]}" names_bad_item_of_many
	claim "what is no list at all ($shell)" "${under[@]}" refuses_other_files
	claim "a list without items is not everything ($shell)" "${under[@]}" refuses_empty_list
	claim "a list that is not there ($shell)" "${under[@]}" refuses_missing_list
}

# From 127.1.0.1 to port 7001, and a bystander from 127.3.0.1.
make_sources()
{
	ask connect target 127.0.0.1 7001 from=127.1.0.1
	ask connect target 127.0.0.1 7001 from=127.2.0.1
	ask connect bystander 127.0.0.1 7001 from=127.3.0.1
}

# drops_sources OPERAND...
drops_sources()
{
	run tcpdrop "$@"
	expect_exit 0
	expect_err
	expect_equal "the number of lines" "$(grep -c '^127\.[12]\.0\.1 .*: dropped$' "$tmp/out")" 2
	expect_equal "the number of lines" "$(wc -l <"$tmp/out")" 2
	expect_answer 0 alive target
	expect_bystander
}

takes_list()
{
	cat >"$tmp/list" <<-'END'
		; networks
		127.1.0.0/24 ; one

		  # indented
		127.2.0.1,, 127.4.0.1 # two # and more
		2001:db8::/32,
	END
	make_sources
	drops_sources dport=7001 "saddr=@$tmp/list"
}

takes_foreign_list()
{
	printf '\357\273\277; a mark\r\n127.1.0.1\r\n\r\n\t127.2.0.1\t; two\r\n127.4.0.1' >"$tmp/a list"
	make_sources
	cd "$tmp"
	drops_sources "saddr=@a list" dport=7001
}

takes_list_of_old()
{
	printf '# all of them\r127.1.0.1 # one\r\r127.2.0.1\r127.4.0.1 # three\r' >"$tmp/list"
	make_sources
	drops_sources "saddr=@$tmp/list" dport=7001
}

# A list that is longer than what a program can be started with, in variables of the command's own.
is_not_hurt_by_environment()
{
	local i

	for i in {0..39}; do
		seq -f "10.$i.%.0f.0/24" 0 255
	done >"$tmp/list"
	printf '127.1.0.1\n127.2.0.1\n127.4.0.1\n' >>"$tmp/list"
	make_sources
	export text=x packed=x selected=x remaining=x standing=x lines=x listing=x
	drops_sources "saddr=@$tmp/list" dport=7001
}

takes_standard_input()
{
	printf '127.1.0.1\n127.2.0.1\n' >"$tmp/list"
	make_sources
	exec <"$tmp/list"
	drops_sources saddr=@- dport=7001
}

# fails_with_max TEXT MESSAGE: with max from a file with this text.
fails_with_max()
{
	printf '%b' "$1" >most
	run tcpdrop max=@most dport=7001
	expect_exit 1
	expect_err "tcpdrop: $2"
}

# Nothing can be added to what has one value.
takes_a_single_value()
{
	make_sources
	cd "$tmp"
	fails_with_max '# the most\n\n 2\r\n' "more sockets match than max allows: 3"
	fails_with_max '1\n\n2\n' "most:3: max: given twice"
	fails_with_max '\n2x\n' 'most:2: "2x": not a number'
	fails_with_max 'any\n' 'most:1: "any,any": not a number'
	printf '3\n' >most
	printf 'yes' >silent
	drops_sources saddr=127.1.0.1,127.2.0.1 max=@most reset=@silent
}

many_networks()
{
	python3 -c 'for i in range(6000): print("10.%d.%d.0/25" % (i // 256, i % 256))'
}

takes_thousands()
{
	{
		many_networks
		echo 127.1.0.1
		many_networks
		echo 127.2.0.1
	} >"$tmp/list"
	make_sources
	drops_sources "saddr=@$tmp/list"
}

takes_other_lists()
{
	printf '%s\n' established '# no more' >"$tmp/states"
	printf '%s\n' 7001 7005-7009 >"$tmp/ports"
	make_clients
	run tcpdrop "dport=@$tmp/ports" "state=@$tmp/states"
	expect_exit 0
	expect_out_sorted "$(dropped "$first" "$second")"
	expect_bystander
}

# expect_list_refused MESSAGE: a list beside what would match by itself.
expect_list_refused()
{
	run tcpdrop dport=7001 "saddr=@list" state=all
	expect_failure "$1"
	expect_alive target 2
	expect_bystander
}

names_bad_item()
{
	make_sources
	cd "$tmp"
	printf '127.1.0.1 ; a\n\n# b\n127.2.0.1, x,127.3.0.1\nx\n' >list
	expect_list_refused 'tcpdrop: list:4: "x": not an address'
	printf '127.1.0.1\n127.1.0.1-127.0.0.1\n' >list
	expect_list_refused 'tcpdrop: list:2: "127.1.0.1-127.0.0.1": a reversed range'
	printf 'any\n' >list
	expect_list_refused 'tcpdrop: list:1: "any": not an address'
	printf '\n127.1.0.1\r\n127.1.0.1\001\r\n' >list
	expect_list_refused 'tcpdrop: list:3: "127.1.0.1?": not an address'
	printf '127.1.0.1\n127.2.0.1\0\n' >list
	expect_list_refused 'tcpdrop: list:2: "127.2.0.1?": not an address'
	printf '127.1.0.1\nx\n' >"$tmp/list"
	exec <list
	run tcpdrop saddr=@- dport=7001
	expect_failure 'tcpdrop: standard input:2: "x": not an address'
	expect_alive target 2
	expect_bystander
}

names_bad_item_of_many()
{
	make_sources
	cd "$tmp"
	{
		many_networks
		echo 127.1.0.1/99
		many_networks
	} >list
	expect_list_refused 'tcpdrop: list:6001: "127.1.0.1/99": not a prefix length'
}

# A page of HTML, a line without end, a picture.
refuses_other_files()
{
	make_sources
	cd "$tmp"
	printf '<!DOCTYPE html>\n<p>127.1.0.1' >list
	expect_list_refused 'tcpdrop: list:1: "<!DOCTYPE": not an address'
	{ echo 127.1.0.1; head -c 9000 /dev/zero | tr '\0' x; } >list
	run tcpdrop dport=7001 saddr=@list
	expect_exit 1
	expect_out
	expect_err_like 'tcpdrop: list:2: "xxxxxx*...": too long an item'
	head -c 5000 "$(command -v bash)" >list
	run tcpdrop dport=7001 saddr=@list
	expect_exit 1
	expect_err_like 'tcpdrop: list:1: "*": *'
	expect_alive target 2
	expect_bystander
}

refuses_empty_list()
{
	make_sources
	cd "$tmp"
	: >list
	expect_list_refused 'tcpdrop: saddr: list has no items, and no items would be any'
	printf '# nothing\n\n;\n , \n\v\f\n' >list
	expect_list_refused 'tcpdrop: saddr: list has no items, and no items would be any'
	run tcpdrop dport=7001 saddr=@-
	expect_failure 'tcpdrop: saddr: standard input has no items, and no items would be any'
	expect_alive target 2
	expect_bystander
}

refuses_missing_list()
{
	make_sources
	cd "$tmp"
	rm -f list
	expect_list_refused 'tcpdrop: list: No such file or directory'
	mkdir list
	expect_list_refused 'tcpdrop: list: Is a directory'
	rmdir list
	run tcpdrop dport=7001 saddr=@
	expect_failure 'tcpdrop: saddr: @ without a file'
	expect_alive target 2
	expect_bystander
}

# Rules that are left, and rules that are not to be.

claim_rules()
{
	claim "what fails within is a 1, and nothing is dropped ($shell)" "${under[@]}" fails_with_1
	claim "results that cannot be read are a 1 ($shell)" "${under[@]}" reads_results
	claim "no rule is left behind by a signal ($shell)" "${under[@]}" leaves_no_rule
	claim "a signal ends the commit ($shell)" "${under[@]}" ends_commit
	claim "a commit that a signal stops is told of ($shell)" "${under[@]}" tells_of_stopped
	claim "what a kill -9 leaves goes with the next call ($shell)" "${under[@]}" removes_left_rule
	claim "a rule whose commit still runs holds nobody up ($shell)" "${under[@]}" passes_busy_rule
	claim "two at a time do not meddle ($shell)" "${under[@]}" two_at_a_time
	claim "a hang-up does not end the drop ($shell)" "${under[@]}" survives_hangup
}

# Holds "tcpdrop -l" where it prints the first of very many.
hold_listing()
{
	ask connect many 127.0.0.1 7003 count=2000
	make_fifo
	start_command tcpdrop -l dport=7003
	exec 9<"$tmp/fifo"
	read -r <&9
	not rules_are "$1"
}

leaves_no_rule()
{
	local signal

	ask connect many 127.0.0.1 7003 count=2000
	make_fifo
	for signal in HUP INT QUIT TERM TRAP ABRT USR1 USR2 ALRM XCPU XFSZ VTALRM PROF IO \
		PWR SYS; do
		start_command tcpdrop -l dport=7003
		exec 9<"$tmp/fifo"
		read -r <&9
		not rules_are ""
		kill "-$signal" "-$command"
		end_command
		expect_exit $((128 + $(kill -l "$signal")))
		rules_are ""
	done
	expect_alive many 2000
}

# The one rule that there is has found the connection whose owner is stuck.
commit_has_begun()
{
	[ "$(cat "$rules"/tcpdrop.*/result/matched 2>/dev/null)" = 1 ]
}

has_ended()
{
	commit_has_begun || not kill -0 "$command" 2>/dev/null
}

# Whether the signal comes before the commit gives up is a matter of time, so it is tried again.
signal_in_commit()
{
	start_command tcpdrop dport=7001 saddr=127.0.0.1 "sport=$stuck_port"
	exec 9<"$tmp/fifo"
	wait_for has_ended
	kill "-$1" "$command" 2>/dev/null
	end_command
	rules_are ""
	[ "$status" = $((128 + $(kill -l "$1"))) ]
}

ends_commit()
{
	local stuck_port signal

	make_clients
	ask stick target client
	read -r _ stuck_port _ <<<"$second"
	make_fifo
	for signal in INT TERM; do
		wait_for signal_in_commit "$signal"
	done
	ask let_go
	expect_bystander
}

has_dropped_some()
{
	[ "$(cat "$rules"/tcpdrop.*/result/dropped 2>/dev/null)" -ge 2 ] 2>/dev/null
}

# stopped_by SIGNAL OPERAND...: the command, which has dropped a few of many by then.
stopped_by()
{
	ask connect "$1" 127.0.0.1 7003 count=60
	start_command tcpdrop "${@:2}" rate=2 dport=7003
	exec 9<"$tmp/fifo"
	wait_for has_dropped_some
	kill "-$1" "$command"
	end_command
	expect_exit $((128 + $(kill -l "$1")))
	rules_are ""
}

# What the report says is just what is gone.
tells_of_stopped()
{
	local signal number

	make_clients
	make_fifo
	for signal in INT ALRM; do
		stopped_by "$signal"
		number=$(grep -c ': dropped$' "$tmp/report")
		expect_err "tcpdrop: interrupted by a signal: $number dropped"
		run tcpdrop -n dport=7003
		expect_success $((60 - number))
		[ "$number" -ge 2 ] && [ "$number" -lt 60 ]
		run tcpdrop dport=7003
		expect_exit 0
	done
	stopped_by QUIT -j
	expect_err_like 'tcpdrop: interrupted by a signal: * dropped'
	number=$(sed -n 's/^{.*"dropped":\([0-9]*\),"failed":0,"remaining":\([0-9]*\),.*}$/\1+\2/p' \
		"$tmp/report")
	[ $((number)) = 60 ]
	expect_bystander
}

removes_left_rule()
{
	local user

	make_clients
	hold_listing ""
	kill -KILL "-$command"
	end_command
	not rules_are ""
	for user in web tcpdrop.web tcpdrop.1.web tcpdrop.999999999 tcpdrop.1.1.1; do
		mkdir "$rules/$user"
		defer rmdir "$rules/$user"
	done

	run tcpdrop -n dport=7001
	expect_success 2
	expect_equal "the rules" "$(rules_there | sort)" \
		"$(printf '%s\n' web tcpdrop.web tcpdrop.1.web tcpdrop.999999999 tcpdrop.1.1.1 | sort)"
	expect_alive bystander
}

# The shell is killed, but not what it has begun. A rule that is busy cannot be told from one that is
# not, should the commit have ended by then: so a run of this may show less than another.
passes_busy_rule()
{
	make_clients
	ask stick target client
	make_fifo
	start_command tcpdrop dport=7001
	exec 9<"$tmp/fifo"
	wait_for has_ended
	kill -KILL "$command" 2>/dev/null || true
	run tcpdrop -n dport=7002
	expect_success 1
	ask let_go
	end_command
	run tcpdrop -n dport=7002
	expect_success 1
	expect_bystander
}

two_at_a_time()
{
	make_clients
	hold_listing ""
	run tcpdrop dport=7001
	expect_exit 0
	expect_err
	expect_out_sorted "$(dropped "$first" "$second")"
	not rules_are ""
	end_command
	expect_exit 0
	expect_equal "the number of commands" "$(wc -l <"$tmp/report")" 1999
	expect_alive many 2000
	expect_bystander
}

survives_hangup()
{
	ask connect many 127.0.0.1 7003 count=2000
	ask connect bystander 127.0.0.1 7002
	make_fifo
	start_command tcpdrop dport=7003
	exec 9<"$tmp/fifo"
	read -r <&9
	kill -HUP "-$command"
	end_command
	expect_exit 0
	expect_equal "the number of lines" "$(wc -l <"$tmp/report")" 1999
	expect_answer 0 alive many
	expect_bystander
}

# Who looks on.

claim_progress()
{
	claim "a long commit shows its progress on a terminal ($shell)" "${under[@]}" shows_progress
	claim "the line of progress goes, whenever the commit ends ($shell)" "${under[@]}" clears_line
}

# on_terminal COMMAND...: what it prints there.
on_terminal()
{
	python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$@"
}

# A commit with somebody who is stuck takes two seconds; whether the line comes in this time depends
# on the machine, so it is tried again.
progress_shows()
{
	on_terminal tcpdrop dport=7001 >"$tmp/out" </dev/null || true
	expect_equal "the rules" "$(rules_there)" ""
	grep -q $'\rtcpdrop: [0-9]* of [12] dropped' "$tmp/out"
}

shows_progress()
{
	make_clients
	ask stick target client
	wait_for progress_shows
	tr '\r' '\n' <"$tmp/out" >"$tmp/lines"
	grep -q "^.\[K.*tcpdrop: 1 of 1 connections could not be dropped\|^.\[Ktcpdrop: 1 of [12] conn" \
		"$tmp/lines" || {
		cat -v "$tmp/lines"
		false
	}
	ask let_go
	expect_bystander
}

# run_progress COMMAND: which is carried out when the line has just been written.
run_progress()
{
	mkdir -p "$tmp/rule/result"
	echo 1 >"$tmp/rule/result/dropped"
	{
		echo "rule=$tmp/rule total=2"
		sed -n '/^show_progress()/,/^}/p' "$the_command"
		cat <<-END
			printf()
			{
				command printf "\$@"
				[ -n "\$ended" ] || { ended=1; $1; }
			}
			show_progress
		END
	} >"$tmp/script"
	# shellcheck disable=SC2086 # into words
	run $shell "$tmp/script"
	expect_err $'\rtcpdrop: 1 of 2 dropped\e[K\r\e[K'
}

# By its signal, and where that has only ended read.
clears_line()
{
	# shellcheck disable=SC2016 # for the script
	run_progress 'kill -TERM $$'
	# shellcheck disable=SC2016
	run_progress ': >"$rule/result/dropped"'
}

# Where there is no configfs.

claim_containers()
{
	claim "in a plain user's container: dropped, and nothing is printed ($shell)" \
		"${under[@]}" serves_container
	claim "in a container without /sys ($shell)" "${under[@]}" serves_container_without_sys
	claim "in a container that has the rules of the host ($shell)" \
		"${under[@]}" serves_container_with_rules
	claim "in a container: what is refused ($shell)" "${under[@]}" refuses_in_container
	claim "in a container: lists ($shell)" "${under[@]}" takes_list_in_container
	claim "in a container: lists of thousands ($shell)" "${under[@]}" takes_long_list_in_container
	claim "in a container: -s ($shell)" "${under[@]}" drops_state_in_container
	claim "in a container: values that have not been read to their end ($shell)" \
		"${under[@]}" needs_whole_value_in_container
}

# make_container COMMAND...: a user namespace and a network namespace, made by that command, with a
# puppet in it, and connections as those here.
make_container()
{
	chmod 755 "$tmp"
	# shellcheck disable=SC2016 # for that shell
	start_puppet container "$@" unshare --user --map-root-user --net \
		sh -c 'ip link set lo up && exec "$@"' sh
	ask_of container connect target 127.0.0.1 7001 sport=7009
	ask_of container connect bystander 127.0.0.1 7002
	ask connect bystander 127.0.0.1 7001 sport=7009
}

# Its root is nobody outside, who may not make rules.
make_container_of_nobody()
{
	make_container "${nobody[@]}"
}

in_container()
{
	nsenter --user --net --target "${puppet_pid[container]}" "$@"
}

# expect_alive_there NAME COUNT
expect_alive_there()
{
	ask_of container alive "$1"
	expect_equal "those alive in the container" "$answer" "$2"
}

# drops_there COMMAND...
drops_there()
{
	run in_container "$@" tcpdrop dport=7001
	expect_success
	expect_alive_there target 0
	run in_container "$@" tcpdrop dport=7001
	expect_exit 2
	expect_out
	expect_err
	expect_alive_there bystander 1
	expect_bystander
}

serves_container()
{
	make_container_of_nobody
	drops_there
}

serves_container_without_sys()
{
	make_container env
	# shellcheck disable=SC2016 # for that shell
	drops_there unshare --mount sh -c 'mount -t tmpfs none /sys && exec "$@"' sh
}

serves_container_with_rules()
{
	make_container env
	run in_container tcpdrop dport=7001
	expect_success "$(dropped "127.0.0.1 7009 127.0.0.1 7001")"
	expect_alive_there target 0
	expect_alive_there bystander 1
	expect_bystander
}

# refused_there MESSAGE ARGUMENT...
refused_there()
{
	local message=$1
	shift

	run in_container tcpdrop "$@"
	expect_failure "tcpdrop: $message"
	expect_alive_there target 1
	expect_alive_there bystander 1
	expect_bystander
}

refuses_in_container()
{
	local option configfs="need configfs: mount -t configfs none /sys/kernel/config"

	make_container_of_nobody
	refused_there "state=timewait: Invalid argument" state=timewait
	refused_there "dport=7001 foo=1: Invalid argument" dport=7001 foo=1
	refused_there "dport=7001 netns=all: Invalid argument" dport=7001 netns=all
	refused_there "max=7: Invalid argument" max=7
	refused_there "dport: given twice" dport=7001 dport=7001
	refused_there "daddr: no value" daddr= dport=7001
	refused_there "daddr: no value" 'daddr= ' dport=7001
	refused_there "more sockets match than max allows" dport=7001,7002 max=1
	for option in -l -n -j -lj; do
		refused_there "-l, -n and -j $configfs" "$option" dport=7001
	done
}

is_half_closed_there()
{
	[ -n "$(in_container ss -Htan state close-wait)" ]
}

# One of two has another state by the time of the drop.
drops_state_in_container()
{
	make_container_of_nobody
	hold_drop
	chmod 666 "$tmp/ready" "$tmp/go"
	in_container "$tmp/held/tcpdrop" -s ESTABLISHED >"$tmp/late" 2>&1 &
	await_drop $!
	ask_of container shut bystander client
	wait_for is_half_closed_there
	let_drop
	expect_equal "what it says" "$(sort "$tmp/late")" \
		"$(both_dropped "127.0.0.1 7009 127.0.0.1 7001" | sort)"
	expect_alive_there target 0
	ask_of container fate bystander server
	expect_equal "what the bystander's server sees" "$answer" eof
	expect_bystander
}

takes_list_in_container()
{
	local item

	make_container_of_nobody
	cd "$tmp"
	# By one.
	refused_there "too long for a line of $proc, which has 4094 bytes: needs configfs" \
		"dport=$(printf '7999,%.0s' {1..817})7999"
	: >list
	refused_there "saddr: list has no items, and no items would be any" saddr=@list dport=7001
	for item in any +127.0.0.2 ::g '!'; do
		printf '# a\n127.0.0.1\n%s # b\n' "$item" >list
		refused_there "list:3: \"$item\": Invalid argument" saddr=@list dport=7001
	done
	refused_there "foo=@list dport=7001: Invalid argument" foo=@list dport=7001
	echo 65536 >ports
	for item in port sport dport; do
		refused_there 'ports:1: "65536": Invalid argument' saddr=127.0.0.1 "$item=@ports"
	done
	printf '# a\n127.0.0.2 ; b\r\n127.0.0.1,\n' >list
	run in_container tcpdrop 'dport=7001, 7003 7004' saddr=@list
	expect_success
	expect_alive_there target 0
	expect_alive_there bystander 1
	expect_bystander
}

# Several lines: what matches is in the first, as long as the last excludes it, and then in the last.
takes_long_list_in_container()
{
	make_container_of_nobody
	cd "$tmp"
	{
		echo 127.0.0.1
		many_networks
		echo x
	} >list
	refused_there 'list:6002: "x": Invalid argument' saddr=@list dport=7001
	sed -i 's/^x$/!127.0.0.1/' list
	run in_container tcpdrop saddr=@list dport=7001
	expect_exit 2
	expect_out
	expect_alive_there target 1
	sed -i '$d' list
	refused_there "too long for a line of $proc, which has 4094 bytes: needs configfs" \
		saddr=@list dport=7001 max=5
	sed 's/^/!/' list >excluded
	refused_there "too long for a line of $proc, which has 4094 bytes: needs configfs" \
		saddr=@excluded dport=7001
	sed -i 1d list
	echo 127.0.0.1 >>list
	run in_container tcpdrop saddr=@list dport=7001
	expect_success
	expect_alive_there target 0
	expect_alive_there bystander 1
	expect_bystander
}

# make_failing_awk: the command with an awk that does all it should, and fails in the end. A function,
# since busybox has an awk of its own and looks for no other.
make_failing_awk()
{
	mkdir -p "$tmp/failing"
	sed '1a awk() { command awk "$@"; return 2; }' "$(command -v tcpdrop)" >"$tmp/failing/tcpdrop"
	chmod +x "$tmp/failing/tcpdrop"
}

# With 1: 2 is for what was not there in a container. And nothing is dropped.
fails_with_1()
{
	local words

	make_clients
	make_failing_awk
	cd "$tmp"
	echo 127.0.0.1 >list
	for words in "saddr=@list" "-l -s ESTABLISHED"; do
		# shellcheck disable=SC2086 # into words
		run "$tmp/failing/tcpdrop" $words
		expect_failure ""
		expect_alive target 2
	done
	expect_bystander
}

# There are no results where a commit should have left them.
reads_results()
{
	local name

	mkdir -p "$tmp/rule"
	{
		echo "rule=$tmp/rule status=0 watcher= stopped=; set -u"
		for name in warn see_to_the_end commit_rule tell_commit_error; do
			sed -n "/^$name()/,/^}/p" "$the_command"
		done
		# shellcheck disable=SC2016 # for that shell
		echo 'commit_rule; exit "$status"'
	} >"$tmp/script"
	# shellcheck disable=SC2086 # into words
	run $shell "$tmp/script"
	expect_exit 1
	expect_out
}

needs_whole_value_in_container()
{
	local words

	make_container_of_nobody
	make_failing_awk
	cd "$tmp"
	echo 127.0.0.1 >list
	for words in dport=7001 saddr=@list "-s ESTABLISHED"; do
		# shellcheck disable=SC2086 # into words
		run in_container "$tmp/failing/tcpdrop" $words
		expect_failure ""
		expect_alive_there target 1
	done
	expect_alive_there bystander 1
	expect_bystander
}

in_own_namespaces "$@"
the_command=$(find_command tcpdrop)
# Under bash, which is what these two have in common and more, command.sh is enough.
for shell in dash "busybox sh"; do
	wants_shell "$shell" || continue
	bin=$tmp/${shell// /-}
	make_command "$bin" "$shell"
	under=(under "$shell" "$bin")
	claim_refusals
	claim_drops
	claim_looks
	claim_lists
	claim_rules
	claim_progress
	claim_containers
done
run_claims
