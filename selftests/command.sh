#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tcpdrop(8): FreeBSD's forms, its messages, its exit codes and what it drops, under each shell at hand.
# shellcheck disable=SC2317 # the functions are called by claims

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/command_lib.sh"

# What is typed wrong.

is_usage_error()
{
	ask connect bystander 127.0.0.1
	run tcpdrop "$@"
	expect_failure "$usage"
	expect_alive bystander
}

claim_usage_error()
{
	claim "a usage error: $1 ($shell)" "${under[@]}" is_usage_error "${@:2}"
}

claim_usage_errors()
{
	claim_usage_error "no operand"
	claim_usage_error "one operand" 127.0.0.1:80
	claim_usage_error "three operands" 127.0.0.1 80 127.0.0.1
	claim_usage_error "five operands" 127.0.0.1 80 127.0.0.1 81 82
	claim_usage_error "two operands of which the first has no port" localhost 127.0.0.1:80
	claim_usage_error "two operands of which the second has no port" 127.0.0.1:80 localhost
	claim_usage_error "two operands of which one is empty" 127.0.0.1:80 ''
	claim_usage_error "-l alone" -l
	claim_usage_error "-l with operands" -l 127.0.0.1 80 127.0.0.1 81
	claim_usage_error "-a with operands" -a 127.0.0.1:80 127.0.0.1:81
	claim_usage_error "-s with operands" -s ESTABLISHED 127.0.0.1:80 127.0.0.1:81
	claim_usage_error "-C with operands" -C cubic 127.0.0.1 80 127.0.0.1 81
	claim_usage_error "-S with an operand" -S tls cubic
	claim_usage_error "-a with -s" -a -s ESTABLISHED
	claim_usage_error "-a with -C" -C cubic -a
	claim_usage_error "-a with -S" -a -S tls
	claim_usage_error "an unknown option" -x
	claim_usage_error "-n alone" -n
	claim_usage_error "-j alone" -j
	claim_usage_error "-j with operands" -j 127.0.0.1 80 127.0.0.1 81
	claim_usage_error "-j with -a" -j -a
	claim_usage_error "--help" --help
	claim_usage_error "an unknown option beside a good one" -a -n
	claim_usage_error "-s without its argument" -s
	claim_usage_error "-C without its argument" -C
	claim_usage_error "-S without its argument" -l -S
	claim_usage_error "-s with an empty argument" -s ''
	claim_usage_error "-C with an empty argument" -C ''
	claim_usage_error "-S with an empty argument" -S ''
	claim_usage_error "-S with an empty argument beside -s" -s ESTABLISHED -S ''
	claim_usage_error "-s LISTEN" -s LISTEN
	claim_usage_error "-s CLOSED" -s CLOSED
	claim_usage_error "a state in lower case" -s established
	claim_usage_error "a state as ss spells it" -s FIN-WAIT-1
	claim_usage_error "a group of states" -s all
	claim_usage_error "two states at once" -s ESTABLISHED,TIME_WAIT
	claim_usage_error "a bad state before a good one" -s BOGUS -s ESTABLISHED
	claim_usage_error "an option behind four operands" 127.0.0.1 80 127.0.0.1 81 -l
	claim_usage_error "an option behind --" -- -a
}

# The forms of operands.

# drops_form ADDRESS COMMAND...: in the command, LPORT and FPORT stand for the ports.
drops_form()
{
	local ends ports words
	ask connect target "$1"
	ends=$answer
	ask connect bystander "$1"
	shift

	read -ra ports <<<"$ends"
	words=("${@//LPORT/${ports[1]}}")
	run "${words[@]//FPORT/${ports[3]}}"
	expect_success "$(dropped "$ends")"
	expect_aborted target client
	expect_alive bystander
}

claim_form()
{
	claim "$1 ($shell)" "${under[@]}" drops_form "${@:2}"
}

claim_forms()
{
	claim_form "four operands" 127.0.0.1 tcpdrop 127.0.0.1 LPORT 127.0.0.1 FPORT
	claim_form "two operands with colons" 127.0.0.1 tcpdrop 127.0.0.1:LPORT 127.0.0.1:FPORT
	claim_form "two operands with periods" 127.0.0.1 tcpdrop 127.0.0.1.LPORT 127.0.0.1.FPORT
	claim_form "a colon here and a period there" 127.0.0.1 tcpdrop 127.0.0.1:LPORT 127.0.0.1.FPORT
	claim_form "operands behind --" 127.0.0.1 tcpdrop -- 127.0.0.1:LPORT 127.0.0.1:FPORT
	claim_form "four operands, IPv6" ::1 tcpdrop ::1 LPORT ::1 FPORT
	claim_form "two operands with colons, IPv6" ::1 tcpdrop ::1:LPORT ::1:FPORT
	claim_form "two operands with periods, IPv6" ::1 tcpdrop ::1.LPORT ::1.FPORT
	claim_form "IPv6 in brackets, with a colon" ::1 tcpdrop '[::1]:LPORT' '[::1]:FPORT'
	claim_form "IPv6 in brackets, with a period" ::1 tcpdrop '[::1].LPORT' '[::1].FPORT'
	claim_form "IPv6 in brackets, four operands" ::1 tcpdrop '[::1]' LPORT '[::1]' FPORT
	claim_form "IPv6 spelt at length is printed short" ::1 \
		tcpdrop 0:0:0:0:0:0:0:1 LPORT 0000::0001 FPORT
	claim_form "a v4-mapped address is the IPv4 address" 127.0.0.1 \
		tcpdrop ::ffff:127.0.0.1 LPORT ::FFFF:7f00:1 FPORT
	claim_form "a port with leading zeros" 127.0.0.1 tcpdrop 127.0.0.1 000LPORT 127.0.0.1 FPORT
	claim_form "an IPv4 address and a name" 127.0.0.1 tcpdrop 127.0.0.1 LPORT ip4.test FPORT
	claim_form "a name with periods before a period and the port" 127.0.0.1 \
		tcpdrop ip4.test.LPORT ip4.test.FPORT
	claim_form "a name with periods before a colon and the port" ::1 \
		tcpdrop ip6.test:LPORT ip6.test:FPORT
	claim_form "of a name the addresses of the other end's family count" ::1 \
		tcpdrop localhost LPORT ::1 FPORT
	claim "service names ($shell)" "${under[@]}" drops_by_service
	claim "the server's end of a dual-stack socket ($shell)" "${under[@]}" drops_dual_stack
	claim "a link-local address with its interface ($shell)" "${under[@]}" drops_link_local
	claim "an IPv4 address with its interface ($shell)" "${under[@]}" drops_with_device
	claim "every pair of the names' addresses is tried, local first ($shell)" \
		"${under[@]}" tries_every_pair
	claim "an address that a name has twice is tried once ($shell)" \
		"${under[@]}" tries_address_once
	claim "an IPv4 address without a port is none: its last part is the port ($shell)" \
		"${under[@]}" bare_address_has_no_host
	claim "every pair is tried though nobody reads of them ($shell)" "${under[@]}" goes_on_without_reader
	claim "every pair is tried though a hang-up comes half way ($shell)" \
		"${under[@]}" tries_pairs_after_hangup
}

drops_by_service()
{
	local ends
	ask connect target 127.0.0.1 80 sport=5432
	ends=$answer

	run tcpdrop 127.0.0.1 postgresql 127.0.0.1 http
	expect_success "$(dropped "$ends")"
	expect_aborted target client
}

drops_dual_stack()
{
	local ends
	ask connect target 127.0.0.1 dual=1
	ends=$(reversed "$answer")

	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_success "$(dropped "$ends")"
	expect_aborted target server
}

drops_link_local()
{
	local ends

	make_dummy tcpdrop0 fe80::1/64 nodad
	ask connect target fe80::1%tcpdrop0
	ends=$answer

	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_success "$(dropped "$ends")"
	expect_aborted target client
	run tcpdrop fe80::1%nonesuch 1 fe80::1%tcpdrop0 2
	expect_failure "tcpdrop: getaddrinfo: fe80::1%nonesuch port 1: Name or service not known"
}

# As ss prints the end that is bound to a device.
drops_with_device()
{
	local ends

	ask connect target 127.0.0.1
	read -ra ends <<<"$answer"
	run tcpdrop "127.0.0.1%lo:${ends[1]}" "127.0.0.1:${ends[3]}"
	expect_success "$(dropped "127.0.0.1%lo ${ends[1]} 127.0.0.1 ${ends[3]}")"
	expect_aborted target client
}

addresses_of()
{
	getent ahosts "$1" | awk '$2 == "STREAM" { print $1 }'
}

tries_every_pair()
{
	local here there expected=()

	ask connect target 127.2.0.1 7001 from=127.1.0.2 sport=7002
	for here in $(addresses_of local.test); do
		for there in $(addresses_of foreign.test); do
			expected+=("$here 7002 $there 7001")
		done
	done
	expect_equal "the number of pairs" ${#expected[@]} 4

	run tcpdrop local.test 7002 foreign.test 7001
	expect_exit 1
	expect_out "$(dropped "127.1.0.2 7002 127.2.0.1 7001")"
	expect_err "$(no_such_process "${expected[@]}" | grep -v ' 127.1.0.2 7002 127.2.0.1 7001:')"
	expect_aborted target client
}

tries_address_once()
{
	ask connect target 127.0.0.1 7001 sport=7002
	run tcpdrop twice.test 7002 127.0.0.1 7001
	expect_success "$(dropped "127.0.0.1 7002 127.0.0.1 7001")"
}

# getaddrinfo(3) takes 127.1 for 127.0.0.1, which has this connection.
bare_address_has_no_host()
{
	ask connect target 127.0.0.1 2 sport=1
	run tcpdrop 127.1.1 127.0.0.1:2
	expect_failure "tcpdrop: getaddrinfo: 127.1 port 1: Name or service not known"
	run tcpdrop 127.0.0.1:1 127.1.2
	expect_failure "tcpdrop: getaddrinfo: 127.1 port 2: Name or service not known"
	run tcpdrop 127.0.0.1 127.0.0.2
	expect_failure "tcpdrop: getaddrinfo: 127.0.0 port 1: Name or service not known"
	expect_alive target
}

# A pipe that is full keeps the command where it reports the first one.
tries_pairs_after_hangup()
{
	ask connect first 127.2.0.1 7001 from=127.1.0.1 sport=7002
	ask connect last 127.2.0.2 7001 from=127.1.0.2 sport=7002
	make_fifo
	exec 8<>"$tmp/fifo"
	head -c 65536 /dev/zero >&8
	start_command tcpdrop local.test 7002 foreign.test 7001
	wait_for sockets_are 2

	kill -HUP "-$command"
	exec 9<"$tmp/fifo" 8>&-
	end_command
	expect_exit 1
	tr -d '\0' <"$tmp/report" >"$tmp/out"
	expect_out "$(dropped "127.1.0.1 7002 127.2.0.1 7001" "127.1.0.2 7002 127.2.0.2 7001")"
	expect_err "$(no_such_process "127.1.0.1 7002 127.2.0.2 7001" \
		"127.1.0.2 7002 127.2.0.1 7001")"
	expect_sockets 0
}

# no_reader: 8 is a pipe that nobody reads from.
no_reader()
{
	make_fifo
	exec 9<>"$tmp/fifo"
	exec 8>"$tmp/fifo" 9>&-
}

goes_on_without_reader()
{
	local status=0

	ask connect first 127.2.0.1 7001 from=127.1.0.1 sport=7002
	ask connect last 127.2.0.2 7001 from=127.1.0.2 sport=7002
	no_reader
	tcpdrop local.test 7002 foreign.test 7001 >&8 2>/dev/null || status=$?
	expect_equal "its exit status" "$status" 1
	expect_sockets 0
}

# What cannot be dropped.

claim_failures()
{
	claim "no such connection ($shell)" "${under[@]}" fails_without_connection
	claim "a listener is no connection ($shell)" "${under[@]}" leaves_listener
	claim "a connection is dropped once ($shell)" "${under[@]}" drops_once
	claim "a connection that is not to be dropped is there ($shell)" "${under[@]}" spares_repair
	claim "a connection whose owner is stuck ($shell)" "${under[@]}" reports_stuck
	claim "ends of different address families ($shell)" "${under[@]}" fails_across_families
	claim "a v4-mapped address and an IPv6 one ($shell)" "${under[@]}" fails_across_mapped
}

fails_without_connection()
{
	ask connect bystander 127.0.0.1
	run tcpdrop 127.0.0.1 1 127.0.0.1 2
	expect_failure "$(no_such_process "127.0.0.1 1 127.0.0.1 2")"
	run tcpdrop ::1.1 ::1.2
	expect_failure "$(no_such_process "::1 1 ::1 2")"
	expect_alive bystander
}

leaves_listener()
{
	ask listen 127.0.0.1 7001
	run tcpdrop 127.0.0.1 7001 127.0.0.1 7002
	expect_failure "$(no_such_process "127.0.0.1 7001 127.0.0.1 7002")"
	ask connect after 127.0.0.1 7001
	expect_alive after
}

drops_once()
{
	local ends
	ask connect target 127.0.0.1
	ends=$answer

	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_success "$(dropped "$ends")"
	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_failure "$(no_such_process "$ends")"
}

spares_repair()
{
	local ends
	ask connect target 127.0.0.1
	ends=$answer
	ask repair target client 1

	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	ask repair target client 0
	expect_failure "tcpdrop: $ends: Operation not permitted"
	expect_alive target
	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_success "$(dropped "$ends")"
}

reports_stuck()
{
	local ends
	ask connect target 127.0.0.1
	ends=$answer
	ask stick target client

	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_failure "tcpdrop: $ends: Device or resource busy"
	ask let_go
	expect_answer data fate target server
	expect_answer alive fate target client
	# shellcheck disable=SC2086 # into words
	run tcpdrop $ends
	expect_success "$(dropped "$ends")"
}

fails_across_families()
{
	run tcpdrop 127.0.0.1 80 ::1 81
	expect_failure "tcpdrop: 127.0.0.1 80 ::1 81: different address families"
	run tcpdrop ip6.test:http ip4.test.81
	expect_failure "tcpdrop: ip6.test http ip4.test 81: different address families"
}

fails_across_mapped()
{
	run tcpdrop ::ffff:127.0.0.1 80 ::1 81
	expect_failure "tcpdrop: ::ffff:127.0.0.1 80 ::1 81: different address families"
}

# fails_to_look_up HOST PORT REASON
fails_to_look_up()
{
	ask connect bystander 127.0.0.1
	run tcpdrop 127.0.0.1 1 "$1" "$2"
	expect_failure "tcpdrop: getaddrinfo: $1 port $2: $3"
	expect_alive bystander
}

# fails_as_two OPERAND HOST PORT REASON
fails_as_two()
{
	run tcpdrop "$1" 127.0.0.1:1
	expect_failure "tcpdrop: getaddrinfo: $2 port $3: $4"
	run tcpdrop 127.0.0.1:1 "$1"
	expect_failure "tcpdrop: getaddrinfo: $2 port $3: $4"
}

claim_look_up_failures()
{
	local no_host="Name or service not known"
	local no_port="Servname not supported for ai_socktype"
	local host port

	for host in nonesuch.test '' '*' '-a' 'a b' '127.0.0.1 ' 256.0.0.1 127.0.1 127.1 2130706433 \
		0x7f000001 0x7f.0.0.1 127.0.0.0x1 0177.0.0.1 127.0.0.01 127.0.0.1. '[127.0.0.1]' \
		'[localhost]' '[::1' '::1]' ::1::1 1:2:3:4:5:6:7 12345::1 ::g ::1%nonesuch '%lo' \
		127.0.0.1%nonesuch 127.0.0%lo; do
		claim "a host that is none: '$host' ($shell)" "${under[@]}" \
			fails_to_look_up "$host" 80 "$no_host"
	done
	for port in '' '*' 0 00 65536 99999 4294967376 18446744073709551696 80x 0x50 +80 -80 ' 80' \
		'80 ' 80.0 nonesuch http/tcp http/udp 80/tcp '#'; do
		claim "a port that is none: '$port' ($shell)" "${under[@]}" \
			fails_to_look_up 127.0.0.1 "$port" "$no_port"
	done
	claim "an empty port behind a colon ($shell)" "${under[@]}" \
		fails_as_two 127.0.0.1: 127.0.0.1 '' "$no_port"
	claim "an empty port behind a period ($shell)" "${under[@]}" \
		fails_as_two localhost. localhost '' "$no_port"
	claim "an empty host before a colon ($shell)" "${under[@]}" \
		fails_as_two :80 '' 80 "$no_host"
	claim "an asterisk for a host before a colon ($shell)" "${under[@]}" \
		fails_as_two '*:80' '*' 80 "$no_host"
	claim "an asterisk for a port behind a period ($shell)" "${under[@]}" \
		fails_as_two '127.0.0.1.*' 127.0.0.1 '*' "$no_port"
}

# All connections.

claim_all()
{
	claim "-a drops every connection and leaves the listener ($shell)" "${under[@]}" drops_all
	claim "-a without any connection is silent ($shell)" "${under[@]}" finds_nothing tcpdrop -a
	claim "-l -a lists and drops nothing ($shell)" "${under[@]}" lists_all
	claim "-la is -l -a ($shell)" "${under[@]}" lists_all_at_once
	claim "what -l -a prints, a shell carries out ($shell)" "${under[@]}" list_is_a_script
	claim "-l -a without the lines of a port spares that port ($shell)" "${under[@]}" spares_port
	claim "-l -a may be cut short ($shell)" "${under[@]}" list_may_be_cut
	claim "-a drops 2000 connections, 4000 ends, and reports each ($shell)" \
		"${under[@]}" drops_thousands
	claim "-a tries what still stands once more and reports it ($shell)" \
		"${under[@]}" reports_what_stands -a
	claim "-C does so, too ($shell)" "${under[@]}" reports_what_stands -C reno
	claim "-s does so, too ($shell)" "${under[@]}" reports_what_stands -s ESTABLISHED
	claim "-a reports all that it dropped though a hang-up comes half way ($shell)" \
		"${under[@]}" reports_after_hangup -a
	claim "-C does so, too, and leaves no rule ($shell)" \
		"${under[@]}" reports_after_hangup -C reno
	claim "-a stays in its network namespace ($shell)" "${under[@]}" stays_in_namespace
}

finds_nothing()
{
	ask listen 127.0.0.1 7001
	run "$@"
	expect_success
}

drops_all()
{
	local four six
	ask connect four 127.0.0.1 7001
	four=$answer
	ask connect six ::1
	six=$answer

	run tcpdrop -a
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$four")" "$(both_dropped "$six")"
	expect_answer 0 alive four
	expect_sockets 0
	ask connect after 127.0.0.1 7001
	expect_alive after
}

lists_all()
{
	local four six
	ask connect four 127.0.0.1
	four=$answer
	ask connect six ::1
	six=$answer

	run tcpdrop -l -a
	expect_listed "$four" "$(reversed "$four")" "$six" "$(reversed "$six")"
	expect_alive four
	expect_alive six
}

lists_all_at_once()
{
	local ends
	ask connect target 127.0.0.1
	ends=$answer

	run tcpdrop -la
	expect_listed "$ends" "$(reversed "$ends")"
	expect_alive target
}

list_is_a_script()
{
	ask connect four 127.0.0.1 count=3
	ask connect six ::1 count=3
	tcpdrop -l -a >"$tmp/script"
	expect_equal "the number of lines" "$(wc -l <"$tmp/script")" 12
	run sh "$tmp/script"
	expect_sockets 0
}

spares_port()
{
	ask connect ssh 127.0.0.1 22 count=2
	ask connect web 127.0.0.1 8022 count=2

	tcpdrop -l -a | grep -vw 22 | run sh
	expect_alive ssh 2
	expect_alive web 0
	expect_sockets 4
}

list_may_be_cut()
{
	ask connect many 127.0.0.1 count=1000
	{ tcpdrop -l -a 2>"$tmp/err" || true; } | head -n 1 >"$tmp/out"
	expect_equal "the number of lines" "$(wc -l <"$tmp/out")" 1
	expect_err
	expect_alive many 1000
}

drops_thousands()
{
	ask connect many 127.0.0.1 7001 count=2000
	run tcpdrop -a
	expect_exit 0
	expect_err
	expect_equal "the number of lines" "$(sort -u "$tmp/out" | wc -l)" 4000
	expect_equal "the number of reports" "$(grep -c ': dropped$' "$tmp/out")" 4000
	expect_sockets 0
	ask connect after 127.0.0.1 7001
	expect_alive after
}

# reports_what_stands OPTION...
reports_what_stands()
{
	local ends all=()
	ask connect many 127.0.0.1 count=50 cc=reno
	ask connect target 127.0.0.1 cc=reno
	ends=$answer
	mapfile -t all < <(tcpdrop -l "$@" | sed 's/^tcpdrop //')
	expect_equal "the number of ends" ${#all[@]} 102
	ask stick target client

	run tcpdrop "$@"
	expect_exit 1
	expect_err "tcpdrop: $ends: Device or resource busy"
	expect_out_sorted "$(dropped "${all[@]}" | grep -vx "$ends: dropped")"
	expect_answer 0 alive many
	rules_are ""
}

# Until somebody reads the report, the command stands between its write and its end.
reports_after_hangup()
{
	ask connect many 127.0.0.1 count=2000 cc=reno
	make_fifo
	start_command tcpdrop "$@"
	exec 9<"$tmp/fifo"
	wait_for sockets_are 0

	kill -HUP "-$command"
	end_command
	expect_exit 0
	expect_err
	expect_equal "the number of reports" "$(sort -u "$tmp/report" | grep -c ': dropped$')" 4000
	rules_are ""
}

stays_in_namespace()
{
	ask connect bystander 127.0.0.1
	run unshare --net tcpdrop -a
	expect_success
	expect_alive bystander
}

# By state.

claim_states()
{
	claim "-s ESTABLISHED drops these alone ($shell)" "${under[@]}" drops_established
	claim "-s CLOSE_WAIT drops these alone ($shell)" "${under[@]}" drops_half_closed CLOSE_WAIT
	claim "-s FIN_WAIT_2 drops these alone ($shell)" "${under[@]}" drops_half_closed FIN_WAIT_2
	claim "-s TIME_WAIT drops these alone ($shell)" "${under[@]}" drops_time_wait
	claim "-s SYN_SENT drops these alone ($shell)" "${under[@]}" drops_syn_sent
	claim "-s spares what has left the state since it was listed ($shell)" \
		"${under[@]}" spares_what_left_state
	claim "of two -s the last one counts ($shell)" "${under[@]}" last_state_counts
	for state in SYN_SENT SYN_RCVD CLOSE_WAIT FIN_WAIT_1 CLOSING LAST_ACK FIN_WAIT_2 TIME_WAIT; do
		claim "-s $state without any is silent ($shell)" "${under[@]}" drops_none -s $state
	done
}

drops_none()
{
	ask connect bystander 127.0.0.1
	run tcpdrop "$@"
	expect_success
	expect_alive bystander
}

drops_established()
{
	local ends
	make_half_closed
	make_time_wait
	ask connect target 127.0.0.1
	ends=$answer

	run tcpdrop -s ESTABLISHED
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$ends")"
	is_in time-wait
	expect_answer eof fate half server
	run tcpdrop -a
	expect_exit 0
}

drops_half_closed()
{
	local ends
	make_half_closed
	ends=$half_closed
	[ "$1" != CLOSE_WAIT ] || ends=$(reversed "$ends")
	ask connect bystander 127.0.0.1

	run tcpdrop -l -s "$1"
	expect_success "tcpdrop $ends"
	run tcpdrop -s "$1"
	expect_success "$(dropped "$ends")"
	expect_alive bystander
}

drops_time_wait()
{
	make_time_wait
	ask connect bystander 127.0.0.1

	run tcpdrop -l -s TIME_WAIT
	expect_success "tcpdrop $time_wait"
	run tcpdrop -s TIME_WAIT
	expect_success "$(dropped "$time_wait")"
	not is_in time-wait
	expect_alive bystander
}

drops_syn_sent()
{
	local ends

	make_syn_client
	ends=$answer
	ask connect bystander 127.0.0.1

	run tcpdrop -s SYN_SENT
	expect_success "$(dropped "$ends")"
	expect_aborted target client
	expect_alive bystander
}

# Between the listing and the drop one of two is half closed.
spares_what_left_state()
{
	local ends

	ask connect target 127.0.0.1
	ends=$answer
	ask connect half 127.0.0.1
	hold_drop
	"$tmp/held/tcpdrop" -s ESTABLISHED >"$tmp/late" 2>&1 &
	await_drop $!
	ask shut half client
	wait_for is_in close-wait
	let_drop
	expect_equal "what it says" "$(sort "$tmp/late")" "$(both_dropped "$ends" | sort)"
	is_in fin-wait-2
	is_in close-wait
	run tcpdrop -a
}

last_state_counts()
{
	ask connect bystander 127.0.0.1
	run tcpdrop -s ESTABLISHED -s TIME_WAIT
	expect_success
	expect_alive bystander
}

# By congestion control and ULP.

claim_stacks()
{
	claim "-C drops the connections of an algorithm ($shell)" "${under[@]}" drops_algorithm -C
	claim "-S with an algorithm does so, too ($shell)" "${under[@]}" drops_algorithm -S
	claim "-l -C lists and drops nothing ($shell)" "${under[@]}" lists_algorithm
	claim "-S drops the connections of a ULP ($shell)" "${under[@]}" drops_ulp
	claim "-C and -S: both must hold ($shell)" "${under[@]}" drops_algorithm_and_ulp
	claim "-C and -S of one name ($shell)" "${under[@]}" drops_algorithm_twice
	claim "-C and -s: both must hold ($shell)" "${under[@]}" drops_algorithm_in_state
	for options in "-C reno -s TIME_WAIT" "-S reno -s TIME_WAIT" "-C tls" "-S reno -C cubic"; do
		# shellcheck disable=SC2086 # into words
		claim "$options selects nothing ($shell)" "${under[@]}" drops_no_reno $options
	done
	for name in nonesuch any ANY none all '*' '!reno' +reno ,reno 'reno,cubic' 'reno cubic' \
		RENO reno1 ren 'a name of many words' averyveryverylongname '../reno' "reno'" \
		... -n -e -E -ne; do
		claim "no stack is called '$name': silent ($shell)" "${under[@]}" drops_no_reno -S "$name"
	done
	for name in nonesuch any '!reno' ... -n -e -E -ne; do
		claim "no algorithm is called '$name': silent ($shell)" "${under[@]}" \
			drops_no_reno -C "$name"
	done
	claim "a rule is left behind neither by success nor by a signal ($shell)" \
		"${under[@]}" leaves_no_rule
	claim "-C in a namespace that ip netns exec enters ($shell)" "${under[@]}" drops_in_named_netns
}

# Two connections, of reno and of cubic, the second one a bystander.
make_algorithms()
{
	ask connect reno 127.0.0.1 cc=reno
	reno=$answer
	ask connect cubic 127.0.0.1 cc=cubic || skip "no cubic"
}

drops_algorithm()
{
	make_algorithms
	run tcpdrop "$1" reno
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$reno")"
	expect_answer 0 alive reno
	expect_alive cubic
}

lists_algorithm()
{
	make_algorithms
	run tcpdrop -l -C reno
	expect_listed "$reno" "$(reversed "$reno")"
	expect_alive reno
	expect_equal "the rules" "$(rules_there)" ""
}

have_tls()
{
	grep -q -w tls /proc/sys/net/ipv4/tcp_available_ulp || modprobe -q tls
}

make_ulps()
{
	have_tls || lacks "no kTLS"
	ask connect tls 127.0.0.1 cc=reno ulp=tls
	tls=$answer
	ask connect tls_cubic 127.0.0.1 cc=cubic ulp=tls || skip "no cubic"
	tls_cubic=$answer
	make_algorithms
}

drops_ulp()
{
	make_ulps
	run tcpdrop -S tls
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$tls")" "$(both_dropped "$tls_cubic")"
	expect_alive reno
	expect_alive cubic
}

drops_algorithm_and_ulp()
{
	make_ulps
	run tcpdrop -C reno -S tls
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$tls")"
	expect_equal "the number of cubic's ends" "$(tcpdrop -l -S tls -C cubic | wc -l)" 2
	expect_alive reno
	expect_alive cubic
}

drops_algorithm_twice()
{
	make_algorithms
	run tcpdrop -S reno -C reno
	expect_exit 0
	expect_out_sorted "$(both_dropped "$reno")"
	expect_alive cubic
}

drops_algorithm_in_state()
{
	make_algorithms
	make_half_closed
	run tcpdrop -C reno -s CLOSE_WAIT
	expect_success
	run tcpdrop -S reno -s ESTABLISHED
	expect_exit 0
	expect_out_sorted "$(both_dropped "$reno")"
	expect_alive cubic
	run tcpdrop -a
}

drops_no_reno()
{
	ask connect reno 127.0.0.1 cc=reno
	run tcpdrop "$@"
	expect_success
	expect_alive reno
}

# A list that nobody reads keeps the command and its rule waiting.
leaves_no_rule()
{
	local signal

	ask connect many 127.0.0.1 count=2000 cc=reno
	mkdir "$rules/others"
	defer rmdir "$rules/others"

	run tcpdrop -C nonesuch
	expect_equal "the rules" "$(rules_there)" others
	make_fifo
	for signal in HUP INT QUIT TERM; do
		start_command tcpdrop -l -C reno
		exec 9<"$tmp/fifo"
		read -r <&9
		not rules_are others
		kill "-$signal" "-$command"
		end_command
		expect_exit $((128 + $(kill -l "$signal")))
		rules_are others
	done
	expect_alive many 2000
}

drops_in_named_netns()
{
	local ends

	ip netns add tcpdrop-test
	defer ip netns del tcpdrop-test
	ip -n tcpdrop-test link set lo up
	start_puppet other ip netns exec tcpdrop-test
	ask_of other connect target 127.0.0.1 cc=reno
	ends=$answer
	ask connect bystander 127.0.0.1 cc=reno

	run ip netns exec tcpdrop-test "$(command -v tcpdrop)" -C reno
	expect_exit 0
	expect_err
	expect_out_sorted "$(both_dropped "$ends")"
	expect_alive bystander
}

# Who may, and where.

claim_access()
{
	claim "without the module the message says how to load it ($shell)" \
		"${under[@]}" needs_module
	claim "a plain user is refused ($shell)" "${under[@]}" refuses_plain_user
	claim "root without CAP_NET_ADMIN is refused ($shell)" "${under[@]}" refuses_weak_root
	claim "root of a container drops its own ($shell)" "${under[@]}" serves_container
	claim "a syntax problem comes before any other ($shell)" "${under[@]}" usage_comes_first
}

without_module()
{
	# shellcheck disable=SC2016 # for that shell
	unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"
}

needs_module()
{
	local words

	for words in "127.0.0.1 1 127.0.0.1 2" "::1.1 ::1.2" -a "-l -a" "-s TIME_WAIT" "-C reno" \
		"-l -S nonesuch"; do
		# shellcheck disable=SC2086 # into words
		run without_module tcpdrop $words
		expect_exit 1
		expect_out
		expect_err_like 'tcpdrop: *modprobe tcpdrop*'
	done
}

refuses_plain_user()
{
	local ends words
	ask connect bystander 127.0.0.1
	ends=$answer
	chmod 755 "$tmp"

	for words in "$ends" -a "-l -a" "-s ESTABLISHED" "-C reno"; do
		# shellcheck disable=SC2086 # into words
		run "${nobody[@]}" tcpdrop $words
		expect_failure "tcpdrop: $proc: Permission denied (only root may)"
	done
	expect_alive bystander
}

refuses_weak_root()
{
	local ends words
	ask connect bystander 127.0.0.1
	ends=$answer

	for words in "$ends" -a "-l -a" "-s ESTABLISHED" "-C reno"; do
		# shellcheck disable=SC2086 # into words
		run setpriv --bounding-set -net_admin --inh-caps -net_admin tcpdrop $words
		expect_exit 1
		expect_out
		expect_err_like 'tcpdrop: *: Operation not permitted'
	done
	expect_alive bystander
	expect_equal "the rules" "$(rules_there)" ""
}

# A new user namespace with a network namespace of its own.
serves_container()
{
	chmod 755 "$tmp"
	ask connect bystander 127.0.0.1
	run unshare --user --map-root-user --net tcpdrop -a
	expect_success
	run unshare --user --map-root-user --net tcpdrop 127.0.0.1 1 127.0.0.1 2
	expect_failure "$(no_such_process "127.0.0.1 1 127.0.0.1 2")"
	expect_alive bystander
}

usage_comes_first()
{
	run without_module tcpdrop -a -s ESTABLISHED
	expect_failure "$usage"
	run without_module tcpdrop nonesuch.test 80 127.0.0.1 80
	expect_err_like 'tcpdrop: getaddrinfo: nonesuch.test port 80: *'
}

in_own_namespaces "$@"
the_command=$(find_command tcpdrop)
write_hosts
for shell in dash "bash --posix" "busybox sh"; do
	wants_shell "$shell" || continue
	bin=$tmp/${shell// /-}
	make_command "$bin" "$shell"
	under=(under "$shell" "$bin")
	claim_usage_errors
	claim_forms
	claim_failures
	claim_look_up_failures
	claim_all
	claim_states
	claim_stacks
	claim_access
done
run_claims
