#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The commands that the documentation shows do what it says, as they stand there: in every shell, once
# and again, leaving no rule behind and everybody else's connections alone.
# shellcheck disable=SC2317,SC2119 # functions that claims call
# shellcheck disable=SC2086,SC2016 # words on purpose, text for other shells

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/recipe_lib.sh"

clients_of_two_networks()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.11
	ask connect target 192.0.2.1 6379 from=203.0.113.12
	ask connect target 2001:db8::1 6379 from=2001:db8:f00d::13
	bystander 192.0.2.1 6379 from=198.51.100.20
}

blocklist_is_dropped()
{
	block tcpdrop.rst blocklist-input
	defer rm -f /tmp/blocklist
	dash -e "$tmp/block"
	recipe_works tcpdrop.rst blocklist 3 0 clients_of_two_networks
}

# bad_item_stops SHELL...: one in the middle of a list.
bad_item_stops()
{
	local way

	block tcpdrop.rst blocklist
	mv "$tmp/block" "$tmp/recipe"
	defer rm -f /tmp/blocklist
	printf '%s\n' 203.0.113.11 203.0.113.x 203.0.113.12 >/tmp/blocklist
	clients_of_two_networks
	for way in dash "${ways[@]}"; do
		run_recipe "$way"
		[ "$status" != 0 ]
		expect_err_like '*daddr was refused: "203.0.113.x": not an address'
		expect_alive target 3
		expect_no_rules
	done
}

everybody()
{
	ask connect target 192.0.2.1 6379 count=2
	ask connect target 2001:db8::1 443
	bystander 192.0.2.1 22
}

too_many_are_spared()
{
	local way

	block tcpdrop.rst all
	mv "$tmp/block" "$tmp/recipe"
	ask connect target 192.0.2.1 6379 count=251
	for way in "${ways[@]}"; do
		run_recipe "$way"
		[ "$status" != 0 ]
		expect_err_like '*commit: "1": more sockets match than max allows'
		expect_no_rules
	done
	expect_alive target 251
}

# The recipe twice, and then a rule for everything: the bystander is what is protected.
protected_sessions_stay()
{
	local way rules=/sys/kernel/config/tcpdrop

	block tcpdrop.rst protect
	defer rmdir "$rules/ssh" "$rules/everything"
	mv "$tmp/block" "$tmp/recipe"
	for way in "${ways[@]}"; do
		everybody
		for _ in first again; do
			run_recipe "$way"
			expect_exit 0
			expect_err
		done
		mkdir "$rules/everything"
		echo all >"$rules/everything/state"
		echo 1 >"$rules/everything/commit"
		rmdir "$rules/everything" "$rules/ssh"
		expect_dropped
		expect_no_rules
		ask forget
	done
}

server_that_moved()
{
	ask connect target 192.0.2.10 5432 count=2
	bystander 192.0.2.1 5432
}

is_in()
{
	[ -n "$(ss -Htan state "$1" "sport = :$2")" ]
}

# Still there: the connection of a neighbour.
only_neighbour_is_in()
{
	not is_in "$1" "$2"
	is_in "$1" "$3"
}

leaked_connections()
{
	is_dropped="only_neighbour_is_in close-wait 8080 8081"
	ask connect target 192.0.2.1 8080
	ask connect neighbour 192.0.2.1 8081
	ask shut target client
	ask shut neighbour client
	wait_for is_in close-wait 8080
	wait_for is_in close-wait 8081
	bystander 192.0.2.1 8080
}

finished_connections()
{
	is_dropped="only_neighbour_is_in time-wait 7000 7001"
	ask connect target 192.0.2.1 7000
	ask connect neighbour 192.0.2.1 7001
	ask finish target server
	ask finish neighbour server
	wait_for is_in time-wait 7000
	wait_for is_in time-wait 7001
	bystander 192.0.2.1 7000
}

clients_to_drain()
{
	ask connect target 192.0.2.1 8080 count=4
	bystander 192.0.2.1 6379
}

half_open_connections()
{
	is_dropped="only_neighbour_is_in syn-recv 80 8080"
	ask defer target 192.0.2.1 80
	ask defer neighbour 192.0.2.1 8080
	wait_for is_in syn-recv 80
	wait_for is_in syn-recv 8080
	bystander 192.0.2.1 443
}

tls_clients()
{
	ask connect target 192.0.2.1 443 count=3
	bystander 192.0.2.1 6379
}

# The guest has no sudo, and needs none.
tee_works()
{
	mkdir "$tmp/sudo"
	printf '%s\n' '#!/bin/sh' 'exec "$@"' >"$tmp/sudo/sudo"
	chmod +x "$tmp/sudo/sudo"
	PATH=$tmp/sudo:$PATH
	recipe_works tcpdrop.rst tee '*' '' leaked_connections
}

# In one line.

# job_works DOCUMENT N FUNCTION: the Nth of the six lines, which all are short.
job_works()
{
	local line

	block "$1" jobs
	line=$(sed -n "$2p" "$tmp/block" | sed 's/ *#.*//')
	expect_equal "the number of jobs" "$(wc -l <"$tmp/block")" 6
	[[ $line == "tcpdrop "* ]]
	[ ${#line} -le 50 ]
	printf '%s\n' "$line" >"$tmp/recipe"
	recipe_lines_work "$3"
}

client_of_a_network()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.11
	bystander 192.0.2.1 6379 from=198.51.100.20
}

clients_of_one_port()
{
	ask connect target 192.0.2.1 6379 count=2
	bystander 192.0.2.1 443
}

# Both ends are in the cgroup, and in a network namespace of its own.
make_container()
{
	start_puppet_in container machine.slice/web.scope \
		unshare --net sh -c 'ip link set lo up && exec "$@"' sh
	is_dropped=container_is_dropped
}

container_is_dropped()
{
	ask_of container alive target
	expect_equal "the connections left in the container" "$answer" 0
}

client_in_container()
{
	ask_of container forget
	ask_of container connect target 127.0.0.1 6379
	bystander 192.0.2.1 6380
}

container_job_works()
{
	make_container
	job_works "$1" 5 client_in_container
}

clients_and_blocklist()
{
	block tcpdrop.rst blocklist-input
	dash -e "$tmp/block"
	ask connect target 192.0.2.1 443 from=203.0.113.11
	ask connect target 192.0.2.1 443 from=203.0.113.12
	ask connect bystander 192.0.2.1 443 from=198.51.100.20
	ask connect bystander 192.0.2.1 6379 from=203.0.113.11
}

list_job_works()
{
	defer rm -f /tmp/blocklist
	bystanders=2
	block tcpdrop.rst job-list
	mv "$tmp/block" "$tmp/recipe"
	recipe_lines_work clients_and_blocklist
}

# line_rule_drops DOCUMENT: a line for /proc/net/tcp_drop.
line_rule_drops()
{
	block "$1" line-rule
	sed 's/^# //' "$tmp/block" >"$tmp/recipe"
	ask connect target 192.0.2.1 7000 from=203.0.113.11
	ask connect bystander 192.0.2.1 7000 from=203.0.113.11
	ask finish target server
	wait_for is_in time-wait 7000
	run dash "$tmp/recipe"
	expect_exit 0
	expect_err
	not is_in time-wait 7000
	expect_alive bystander
}

# Elsewhere.

target_is_in_blue()
{
	ask_of blue forget
	ask_of blue connect target 127.0.0.1 6379
	bystander 192.0.2.1 6379
}

target_in_blue_is_dropped()
{
	ask_of blue alive target
	expect_equal "the connections left in blue" "$answer" 0
}

make_blue()
{
	ip netns add blue || skip "no network namespaces"
	defer ip netns del blue
	ip -n blue link set lo up
	# That of the claim before may still run.
	cp --remove-destination "$(type -P sleep)" "$tmp/redis-server"
	nsenter --net=/run/netns/blue "$tmp/redis-server" 600 &
	defer kill $!
	wait_for grep -q -x redis-server "/proc/$!/comm"
	start_puppet blue nsenter --net=/run/netns/blue
	is_dropped=target_in_blue_is_dropped
}

# elsewhere NAME: both ends of the target are in that namespace.
elsewhere()
{
	make_blue
	recipe_works tcpdrop.rst "$1" '[12]' 0 target_is_in_blue
}

# What goes wrong.

# A cat that waits in the middle of the recipe, when the rule is set and committed. It is a single
# process: a shell might start another one that has not seen the signal, and wait for it.
make_slow_cat()
{
	mkdir -p "$tmp/slow"
	cat >"$tmp/slow/cat" <<-END
		#!/usr/bin/env python3
		import os, signal, sys
		if "/result/" not in sys.argv[1]:
		    os.execv("/bin/cat", sys.argv)
		signal.signal(signal.SIGINT, signal.SIG_DFL)
		open("$tmp/in_the_middle", "w").write("here\\n")
		signal.pause()
	END
	chmod +x "$tmp/slow/cat"
}

# As by Ctrl-C or a lost terminal: everything in the foreground gets the signal.
interrupted_leaves_nothing()
{
	local shell signal pid middle

	block tcpdrop.rst blocked
	make_slow_cat
	rm -f "$tmp/in_the_middle"
	mkfifo "$tmp/in_the_middle"
	exec {middle}<>"$tmp/in_the_middle"
	for shell in dash bash; do
		for signal in TERM HUP INT; do
			# In the background a shell would ignore SIGINT, and so would its children.
			PATH=$tmp/slow:$PATH setsid python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' $shell "$tmp/block" &
			pid=$!
			defer kill -s KILL -- -$pid
			read -r -t 60 _ <&$middle
			kill -s $signal -- -$pid
			wait_for no_rules
			not wait $pid
		done
	done
}

# The column of the table, between double backquotes.
losing_writers()
{
	awk '/^this leaves only the last line/ { rows = 1; getline; next }
		rows && /^===/ { exit }
		rows && match($0, /^``.*``/) { print }' "$(doc tcpdrop.rst)" |
		sed 's/^``//; s/``.*//'
}

# Each row of the table is true.
writers_lose()
{
	local command count=0

	seq -f 10.0.%g.1 1 250 >"$tmp/list"
	mkdir "$rules/long"
	defer rmdir "$rules/long"
	while read -r command; do
		echo any >"$rules/long/daddr"
		count=$((count + 1))
		run bash -c "cd $rules/long && ${command//list/$tmp/list}"
		expect_exit 0
		expect_equal "daddr after $command" "$(<"$rules/long/daddr")" 10.0.250.1
	done < <(losing_writers)
	[ $count -ge 5 ]
}

# says MESSAGE COMMAND...: that message, which the table explains.
says()
{
	local message=$1
	shift

	run "$@"
	[ "$status" != 0 ]
	expect_err_like "*$message*"
	grep -q "^\`\`$message\`\`" "$(doc tcpdrop.rst)"
}

messages_are_explained()
{
	seq -f 10.0.%g.1 1 1000 >"$tmp/list"
	ask connect target 192.0.2.1 6379
	mkdir "$rules/words"
	defer rmdir "$rules/words"
	cd "$rules/words"
	says "I/O error" dash -c 'echo timewait > state'
	says "Invalid argument" bash -c 'echo timewait > state'
	says "Invalid argument" busybox sh -c 'echo timewait > state'
	says "Permission denied" dash -c 'echo timewait > status'
	says "File too large" bash -c 'cat "$1" > daddr' - "$tmp/list"
	says "File exists" mkdir ../words
	says "Operation not permitted" rm -r ../words
	says "No such file or directory" cat ../nobody/count
	says "No such process" bash -c 'echo 192.0.2.1:1 192.0.2.1:2 > /proc/net/tcp_drop'
	says "No such process" /bin/bash -c '/bin/echo 192.0.2.1:1 192.0.2.1:2 > /proc/net/tcp_drop'
	says "Module tcpdrop is in use" rmmod tcpdrop
	bash -c 'echo any > daddr; echo all > state; echo 1 > max'
	says "Argument list too long" bash -c 'echo 1 > commit'
	says "Operation not permitted" setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
		bash -c 'echo 1 > commit'
	cd /
}

# Nothing is dropped; what is written is each number once, as the kernel gives it.
metrics_are_written()
{
	local dir=/var/lib/prometheus/node-exporter

	mkdir -p $dir
	mount -t tmpfs tmpfs $dir
	defer umount $dir
	recipe_works tcpdrop.rst metrics '' '' bystander_alone
	sed 's/^/tcpdrop_/' "$rules/stats" | cmp - $dir/tcpdrop.prom
	[ "$(grep -c -E '^tcpdrop_[a-zA-Z_1-2]+ [0-9]+$' $dir/tcpdrop.prom)" = 16 ]
	[ "$(ls $dir)" = tcpdrop.prom ]
}

# Events.

events=/sys/kernel/tracing/events/tcpdrop

need_events()
{
	[ -d $events ] || skip "no tracefs in /sys/kernel/tracing"
	defer eval "echo >/sys/kernel/tracing/trace"
	defer eval "echo 0 | tee $events/tcpdrop_drop/filter >$events/tcpdrop_commit/filter"
	defer eval "echo 0 >$events/enable"
}

is_on()
{
	[ "$(<$events/enable)" = 1 ]
}

# As a block has it, until its output has an event.
events_come()
{
	need_events
	block tcpdrop.rst trace
	ask connect target 192.0.2.1 6379 from=203.0.113.11 sport=44158
	bystander 192.0.2.1 22
	bash "$tmp/block" >"$tmp/events" 2>&1 &
	defer kill $!
	defer pkill -P $!
	wait_for is_on
	echo 192.0.2.1:6379 203.0.113.11:44158 >$proc
	wait_for grep -q "tcpdrop_drop: rule=proc .* sport=6379 dport=44158 .* result=dropped" \
		"$tmp/events"
	expect_dropped
}

events_look()
{
	need_events
	session_holds tcpdrop.rst events
}

events_are_filtered()
{
	need_events
	recipe_works tcpdrop.rst trace-filter '' '' bystander_alone
	mkdir "$rules/web"
	defer rmdir "$rules/web"
	ask connect target 192.0.2.1 7000
	not dash -c "echo 1 > $rules/web/commit"
	echo 7000 >"$rules/web/port"
	echo 1 >"$rules/web/commit"
	expect_equal "the number of events" "$(grep -c tcpdrop_ $events/../../trace)" 1
	grep -q "tcpdrop_commit: rule=web .* error=-22$" $events/../../trace
}

clients_of_rule_web()
{
	mkdir -p "$rules/web"
	echo 7000 >"$rules/web/sport"
	ask connect target 192.0.2.1 7000
	bystander 192.0.2.1 22
}

trace_cmd_records()
{
	command -v trace-cmd >/dev/null || skip "needs trace-cmd"
	need_events
	block tcpdrop.rst trace-cmd
	mv "$tmp/block" "$tmp/recipe"
	defer rmdir "$rules/web"
	clients_of_rule_web
	run bash -e "$tmp/recipe"
	expect_exit 0
	expect_dropped
	grep -q "tcpdrop_drop: .*sport=7000 .*saddr=192.0.2.1 .*state=ESTABLISHED result=dropped" \
		"$tmp/out"
	grep -q "tcpdrop_commit: .*rule=web .*dropped=1 .*error=0" "$tmp/out"
}

# The module under its name, as it is when installed.
module_loads_by_name()
{
	local dir

	dir=/lib/modules/$(uname -r)/tcpdrop-selftest
	if [ -n "${TCPDROP_KO:-}" ]; then
		mkdir "$dir"
		defer depmod
		defer rm -r "$dir"
		cp "$TCPDROP_KO" "$dir/"
		depmod
	elif ! modinfo tcpdrop; then
		skip "the module is not installed"
	fi
	umount "${rules%/tcpdrop}"
	recipe_works "$1" "$2" '' '' bystander_alone
	[ -d "$rules" ]
}

bystander_alone()
{
	is_dropped=true
	bystander 192.0.2.1 22
}

# Sessions.

clients_of_the_session()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.11 sport=44158
	ask connect target 192.0.2.1 6379 from=203.0.113.12 sport=35678
	ask connect target 2001:db8::1 6379 from=2001:db8:f00d::13 sport=55942
	bystander 192.0.2.1 6379 from=198.51.100.20
}

session_holds()
{
	clients_of_the_session
	transcript_holds "$1" "$2"
	expect_answer 0 alive target
	expect_alive bystander
}

command_holds()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.11 sport=44158
	ask connect target 192.0.2.1 6379 from=203.0.113.12 sport=35678
	bystander 192.0.2.1 22
	transcript_holds "$1" "$2"
	expect_answer 0 alive target
	expect_alive bystander
}

# imap_holds DOCUMENT NAME: the connection that the manual pages use, its end on this machine first.
imap_holds()
{
	ask connect target 192.168.0.1 143 from=10.31.1.141 sport=51436
	bystander 192.0.2.1 22
	transcript_holds "$1" "$2"
	expect_answer 0 alive target
	expect_alive bystander
}

served_imap_holds()
{
	ask connect target 10.31.1.141 143 from=192.168.0.1 sport=51436
	bystander 192.0.2.1 22
	transcript_holds "$1" "$2"
	expect_answer 0 alive target
	expect_alive bystander
}

# man_example_drops PAGE NAME FUNCTION: the function makes the connections, as for recipes.
man_example_drops()
{
	man_example_runs "$@"
	expect_exit 0
	expect_err
}

# Of a connection within this namespace the second end has gone when its turn comes.
man_pipe_drops()
{
	man_example_runs "$@"
	sed -i '/^tcpdrop: .*: No such process$/d' "$tmp/err"
	expect_err
}

man_example_runs()
{
	local set_up=$3

	$set_up
	man_block "$1" "$2" >"$tmp/block"
	[ -s "$tmp/block" ]
	sed -n 's/^# //p' "$tmp/block" >"$tmp/recipe"
	run bash -e "$tmp/recipe"
	expect_dropped
	expect_no_rules
}

clients_and_list()
{
	defer rm -f /tmp/list
	clients_of_two_networks
}

blocked_client()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.7
	bystander 192.0.2.1 6379 from=203.0.113.77
}

algorithm_is_changed()
{
	sysctl -n net.ipv4.tcp_available_congestion_control | grep -qw bbr || modprobe tcp_bbr ||
		skip "no bbr"
	ask connect target 192.0.2.1 6379
	ask connect bystander 192.0.2.1 22 cc=bbr
}

finished_in_blue()
{
	make_blue
	is_dropped=nothing_waits_in_blue
	ask_of blue connect target 127.0.0.1 7000
	ask_of blue close target client
	ask_of blue close target server
	wait_for waits_in_blue
	bystander 192.0.2.1 22
}

waits_in_blue()
{
	[ -n "$(ip netns exec blue ss -Htan state time-wait)" ]
}

nothing_waits_in_blue()
{
	not waits_in_blue
}

all_in_time_wait()
{
	is_dropped="not is_in time-wait 7000"
	ask connect target 192.0.2.1 7000
	ask finish target server
	wait_for is_in time-wait 7000
	bystander 192.0.2.1 7000
}

in_own_namespaces "$@"
need_recipes tcpdrop.rst
for address in 192.0.2.1 192.0.2.10 203.0.113.7 203.0.113.11 203.0.113.12 203.0.113.77 198.51.100.20 \
	10.31.1.141 192.168.0.1 2001:db8::1 2001:db8:f00d::13; do
	ip addr add $address dev lo
done

claim "tcpdrop.rst: the session prints what is shown" session_holds tcpdrop.rst session
claim "README: the session prints what is shown" session_holds README session
claim "README: single connections are dropped as is shown" command_holds README command
claim "tcpdrop.rst: the command drops as is shown" imap_holds tcpdrop.rst command
claim "tcpdrop.rst: the module loads and configfs is mounted" module_loads_by_name tcpdrop.rst load
claim "README: configfs is mounted" module_loads_by_name README mount

claim "recipe: what a new block has left open" \
	recipe_works tcpdrop.rst blocked 3 0 clients_of_two_networks
claim "recipe: a list in a file" blocklist_is_dropped
claim "a bad item in a list stops the recipe, and nothing is dropped" bad_item_stops
claim "recipe: everything but one's own session" \
	recipe_works tcpdrop.rst all 'ESTABLISHED [3-6]' '' everybody
claim "recipe: everything, when that is more than the limit, drops nothing" too_many_are_spared
claim "recipe: never the sessions of administrators" protected_sessions_stay
claim "recipe: a server has moved" \
	recipe_works tcpdrop.rst failover 'ESTABLISHED 2' '' server_that_moved
claim "recipe: draining a server" recipe_works tcpdrop.rst drain 4 0 clients_to_drain
claim "recipe: a peer that is not to know" \
	recipe_works tcpdrop.rst silent 3 0 clients_of_two_networks
claim "recipe: CLOSE_WAIT that a program has leaked" \
	recipe_works tcpdrop.rst leaked 1 0 leaked_connections
claim "recipe: TIME_WAIT in the way of a restart" \
	recipe_works tcpdrop.rst restart 1 0 finished_connections
claim "recipe: half-open connections" recipe_works tcpdrop.rst halfopen 1 0 half_open_connections
claim "recipe: a namespace that has a name" elsewhere netns
claim "recipe: the namespace of a process" elsewhere container
claim "recipe: what ss prints" recipe_works tcpdrop.rst paste-ss '' '' leaked_connections
claim "recipe: what ss prints, by tee -a" tee_works
claim "recipe: chosen from the listing" recipe_works tcpdrop.rst listing '' '' tls_clients
claim "a recipe that is interrupted leaves no rule" interrupted_leaves_nothing

for document in README tcpdrop.rst; do
	claim "$document: what a block has left open, in one line" \
		job_works $document 1 client_of_a_network
	claim "$document: the clients of one port, in one line" \
		job_works $document 2 clients_of_one_port
	claim "$document: everything but ssh, in one line" job_works $document 3 everybody
	claim "$document: TIME_WAIT, in one line" job_works $document 4 finished_connections
	claim "$document: a container, in one line" container_job_works $document
	claim "$document: CLOSE_WAIT, in one line" job_works $document 6 leaked_connections
	claim "$document: a rule as a line of /proc/net/tcp_drop" line_rule_drops $document
done
claim "tcpdrop.rst: a list in a file, in one line" list_job_works
claim "tcpdrop.rst: a mistake is explained as is shown" transcript_holds tcpdrop.rst job-mistake

claim "recipe: totals for a collector of metrics" metrics_are_written
claim "recipe: events as they come" events_come
claim "tcpdrop.rst: events look as is shown" events_look
claim "recipe: events of what went wrong" events_are_filtered
claim "recipe: what happens during a command, by trace-cmd" trace_cmd_records
claim "a long list reads back as is shown" transcript_holds tcpdrop.rst check-list
claim "the writers that are said to lose a list lose it" writers_lose
claim "the messages that programs print are explained" messages_are_explained

claim "tcpdrop(4): a connection" imap_holds tcpdrop.4 line
claim "tcpdrop(4): an address that is blocked" \
	man_example_drops tcpdrop.4 blocked blocked_client
claim "tcpdrop(4): a rule" man_example_drops tcpdrop.4 rule leaked_connections
claim "tcpdrop(4): a list" man_example_drops tcpdrop.4 list clients_and_list
claim "tcpdrop(8): a connection that ss shows" served_imap_holds tcpdrop.8 ss
claim "tcpdrop(4): a rule as a line" line_rule_drops tcpdrop.4
claim "tcpdrop(8): an address that is blocked" man_example_drops tcpdrop.8 address blocked_client
claim "tcpdrop(8): a list" man_example_drops tcpdrop.8 list clients_and_list
claim "tcpdrop(8): CLOSE_WAIT" man_example_drops tcpdrop.8 rule leaked_connections
claim "tcpdrop(8): everything but port 22" man_example_drops tcpdrop.8 all-but-ssh everybody
claim "tcpdrop(8): everything but port 22, one by one" man_pipe_drops tcpdrop.8 all everybody
claim "tcpdrop(8): TIME_WAIT" man_example_drops tcpdrop.8 time-wait all_in_time_wait
claim "tcpdrop(8): TIME_WAIT of another namespace" man_example_drops tcpdrop.8 netns finished_in_blue
claim "tcpdrop(8): connections of an algorithm" \
	man_example_drops tcpdrop.8 algorithm algorithm_is_changed
run_claims
