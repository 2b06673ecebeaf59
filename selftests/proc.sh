#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# /proc/net/tcp_drop: what it lists, what it takes, what it refuses, and for whom.
# shellcheck disable=SC2317,SC2119 # functions that claims call
# shellcheck disable=SC2086,SC2094 # words on purpose, files written to themselves on purpose

. "$(dirname "$(readlink -f "$0")")/lib.sh"

# put TEXT: with printf's escapes, in one write. The shell itself would write line by line.
put()
{
	printf '%b' "$1" | dd of="$proc" obs=1M status=none
}

# In large blocks: of what cat writes the last piece may be a single line, whose connection has gone
# with its other end, and that line's fate would be ESRCH.
clear_all()
{
	dd if="$proc" of="$proc" obs=1M status=none
}

expect_refused()
{
	expect_exit 1
	expect_err_like "*: $1"
}

expect_taken()
{
	expect_exit 0
	expect_err
}

# connect_line NAME ARGUMENT...: a connection, and in line the line that is the client's end.
connect_line()
{
	ask connect "$@"
	line=$(as_line $answer)
}

reversed_line()
{
	echo "${1#* } ${1% *}"
}

expect_listing()
{
	expect_equal "the listing" "$(sort "$proc")" "$(printf '%s\n' "$@" | sort)"
}

has_attribute()
{
	local status=0

	mkdir "$rules/probe"
	[ -e "$rules/probe/$1" ] || status=1
	rmdir "$rules/probe"
	return $status
}

# Reading.

claim_reading()
{
	claim "a namespace without connections has an empty listing" lists_nothing
	claim "both ends of an IPv4 connection are listed" lists_both_ends 127.0.0.1
	claim "both ends of an IPv6 connection are listed, in brackets" lists_both_ends ::1
	claim "a long IPv6 address is listed in its shortest spelling" lists_long_addr
	claim "the ends of a dual-stack socket are IPv4" lists_dual_stack
	claim "a listener is not listed" lists_no_listener
	claim "half-closed connections are listed by their states" lists_half_closed
	claim "TIME_WAIT is listed" lists_time_wait
	claim "SYN_SENT is listed" lists_syn_sent
	claim "reading in small pieces lists the same" lists_in_pieces
	claim "a reader may stop early" lists_to_impatient
	claim "under churn the listing has every lasting connection, and none twice" lists_under_churn
	if has_attribute protect; then
		claim "protected connections are not listed" lists_no_protected
	fi
	claim "a rule's list has the same lines" lists_as_rule
}

lists_nothing()
{
	ask listen 127.0.0.1
	expect_equal "the size" "$(wc -c <"$proc")" 0
}

lists_both_ends()
{
	connect_line target "$1"
	expect_listing "$line ESTABLISHED" "$(reversed_line "$line") ESTABLISHED"
}

lists_long_addr()
{
	ip addr add 2001:db8:0:0:1::5/128 dev lo
	defer ip addr del 2001:db8:0:0:1::5/128 dev lo
	ask connect target 2001:db8:0:0:1::5 443 sport=50000
	grep -qxF '[2001:db8::1:0:0:5]:50000 [2001:db8::1:0:0:5]:443 ESTABLISHED' "$proc"
}

lists_dual_stack()
{
	connect_line target 127.0.0.1 dual=1
	expect_listing "$line ESTABLISHED" "$(reversed_line "$line") ESTABLISHED"
}

lists_no_listener()
{
	ask listen 127.0.0.1 7001
	connect_line target 127.0.0.1 7001
	expect_listing "$line ESTABLISHED" "$(reversed_line "$line") ESTABLISHED"
}

is_in()
{
	[ -n "$(ss -Htan state "$1")" ]
}

make_half_closed()
{
	connect_line half 127.0.0.1
	ask shut half client
	wait_for is_in fin-wait-2
	wait_for is_in close-wait
}

make_time_wait()
{
	connect_line finished "${1:-127.0.0.1}"
	ask close finished client
	ask close finished server
	wait_for is_in time-wait
}

make_syn_sent()
{
	make_syn_client
	line=$(as_line $answer)
}

lists_half_closed()
{
	make_half_closed
	expect_listing "$line FIN_WAIT_2" "$(reversed_line "$line") CLOSE_WAIT"
}

lists_time_wait()
{
	make_time_wait
	expect_listing "$line TIME_WAIT"
	make_time_wait ::1
	grep -qxF "$line TIME_WAIT" "$proc"
	clear_all
}

lists_syn_sent()
{
	make_syn_sent
	expect_listing "$line SYN_SENT"
}

lists_in_pieces()
{
	ask connect four 127.0.0.1 count=300
	ask connect six ::1 count=300
	expect_equal "the number of lines" "$(wc -l <"$proc")" 1200
	for size in 1 7 100 5000; do
		expect_equal "the listing in pieces of $size" \
			"$(dd if="$proc" bs=$size status=none | sort)" "$(sort "$proc")"
	done
}

lists_to_impatient()
{
	ask connect many 127.0.0.1 count=1000
	expect_equal "the first line" "$(head -n 1 "$proc" | wc -l)" 1
	expect_equal "the number of lines" "$(wc -l <"$proc")" 2000
}

# check_churned: of the lasting connections, to port 7001, each end once; no line twice.
check_churned()
{
	expect_equal "lasting ends" "$(grep -cE '[:.]7001( |$)' "$1")" 600
	expect_equal "lines that come twice" "$(sort "$1" | uniq -d)" ""
}

lists_under_churn()
{
	local i

	ask connect lasting 127.0.0.1 7001 count=300
	start_puppet churner
	ask_of churner churn 127.0.0.1 4 &
	for i in {1..20}; do
		cat "$proc" >"$tmp/listing"
		check_churned "$tmp/listing"
	done
	wait $!
	clear_all
}

lists_no_protected()
{
	mkdir "$rules/guard"
	defer rmdir "$rules/guard"
	ask listen 127.0.0.1 7001
	connect_line guarded 127.0.0.1 7001
	echo 7001 >"$rules/guard/port"
	echo yes >"$rules/guard/protect"
	defer eval "echo no >$rules/guard/protect"

	expect_listing ''
	run put "$line\n"
	expect_exit 1
	expect_alive guarded
}

lists_as_rule()
{
	ask connect four 127.0.0.1 count=10
	ask connect six ::1 count=10
	make_half_closed
	mkdir "$rules/everything"
	defer rmdir "$rules/everything"
	echo all >"$rules/everything/state"
	expect_equal "the rule's list" "$(sort "$rules/everything/list")" "$(sort "$proc")"
}

# Writing a line.

claim_lines()
{
	claim "a line drops that connection alone" drops_line 127.0.0.1 '%s\n'
	claim "an IPv6 line, in brackets" drops_line ::1 '%s\n'
	claim "an IPv6 line without brackets" drops_bare_ipv6
	claim "a line as the listing has it" drops_line 127.0.0.1 '%s ESTABLISHED\n'
	claim "what follows the second end is ignored" \
		drops_line 127.0.0.1 '%s users:(("nc",pid=1,fd=3)) 1 2 : [\n'
	claim "blanks before a line" drops_line 127.0.0.1 '  \t %s\n'
	claim "blanks behind a line" drops_line ::1 '%s \t \n'
	claim "blanks and tabs between the ends, as netstat has them" drops_aligned
	claim "a last line without a newline is carried out at close" drops_line 127.0.0.1 '%s'
	claim "blank lines and comments are skipped" \
		drops_line 127.0.0.1 '\n# a comment\n  \n\t\n#\n%s\n\n#127.0.0.1\n'
	claim "a v4-mapped line is the IPv4 connection" drops_mapped
	claim "the server's end of a dual-stack socket" drops_dual_stack
	claim "IPv6 spelt at length" drops_long_ipv6
	claim "a half-closed connection" drops_half_closed
	claim "TIME_WAIT" drops_time_wait 127.0.0.1
	claim "TIME_WAIT of IPv6" drops_time_wait ::1
	claim "SYN_SENT" drops_syn_sent
	claim "a line drops the socket on every device: VRF" drops_on_vrfs
	claim "a line drops the socket on every device: link-local" drops_on_links
	claim "a connection that is not there: ESRCH" refuses_absent
	claim "a listener is not touched: ESRCH" refuses_listener
	claim "half a match is none: ESRCH" refuses_half_match
	claim "a connection goes once: the second time ESRCH" refuses_second_time
	claim "nothing but blank lines and comments is no error" takes_comments
}

# drops_line ADDRESS FORMAT: for the client's line.
drops_line()
{
	ask connect bystander "$1"
	connect_line target "$1"
	run put "${2/\%s/$line}"
	expect_taken
	expect_aborted target client
	expect_answer ECONNRESET fate target server
	expect_alive bystander
}

drops_bare_ipv6()
{
	ask connect target ::1 7001 sport=7002
	run put "::1:7002 ::1:7001\n"
	expect_taken
	expect_aborted target client
}

drops_aligned()
{
	connect_line target 127.0.0.1
	run put "${line% *} \t\t   ${line#* }\t\tESTABLISHED  \n"
	expect_taken
	expect_aborted target client
}

drops_mapped()
{
	connect_line target 127.0.0.1 7001 sport=7002
	run put "[::ffff:127.0.0.1]:7002 ::ffff:7f00:1:7001\n"
	expect_taken
	expect_aborted target client
}

drops_dual_stack()
{
	connect_line target 127.0.0.1 dual=1
	run put "$(reversed_line "$line")\n"
	expect_taken
	expect_aborted target server
}

drops_long_ipv6()
{
	connect_line target ::1 7001 sport=7002
	run put "[0:0:0:0:0:0:0:1]:7002 0000:0000::0001:7001\n"
	expect_taken
	expect_aborted target client
}

drops_half_closed()
{
	make_half_closed
	run put "$line\n"
	expect_taken
	expect_aborted half client
}

drops_time_wait()
{
	make_time_wait "$1"
	run put "$line\n"
	expect_taken
	not is_in time-wait
}

drops_syn_sent()
{
	make_syn_sent
	run put "$line\n"
	expect_taken
	expect_aborted target client
}

# Two connections of the same ends, on two devices.
drops_on_vrfs()
{
	local i

	for i in 1 2; do
		ip link add vrf$i type vrf table 10$i || skip "no VRF"
		defer ip link del vrf$i
		ip link set vrf$i up
		ip addr add 192.0.2.1/32 dev vrf$i
		connect_line target$i 192.0.2.1 7001 sport=7002 dev=vrf$i
	done
	expect_equal "the number of equal lines" "$(grep -cxF "$line ESTABLISHED" "$proc")" 2

	run put "$line\n"
	expect_taken
	expect_aborted target1 client
	expect_aborted target2 client
	expect_listing ''
}

drops_on_links()
{
	local i

	for i in 1 2; do
		make_dummy tcpdrop$i fe80::1/64 nodad
		ask connect target$i fe80::1%tcpdrop$i 7001 sport=7002
	done
	run put "[fe80::1]:7002 [fe80::1]:7001\n"
	expect_taken
	expect_aborted target1 client
	expect_aborted target2 client
}

refuses_absent()
{
	ask connect bystander 127.0.0.1
	run put "127.0.0.1:1 127.0.0.1:2\n"
	expect_refused "No such process"
	run put "[::1]:1 [::1]:2\n"
	expect_refused "No such process"
	expect_alive bystander
}

refuses_listener()
{
	ask listen 127.0.0.1 7001
	run put "127.0.0.1:7001 127.0.0.1:7002\n"
	expect_refused "No such process"
	run put "0.0.0.0:7001 0.0.0.0:7002\n"
	expect_refused "No such process"
	ask connect after 127.0.0.1 7001
	expect_alive after
}

refuses_half_match()
{
	ask connect bystander 127.0.0.1 7001 sport=7002
	run put "127.0.0.1:7002 127.0.0.1:7003\n"
	expect_refused "No such process"
	run put "127.0.0.2:7002 127.0.0.1:7001\n"
	expect_refused "No such process"
	run put "[::1]:7002 [::1]:7001\n"
	expect_refused "No such process"
	expect_alive bystander
}

refuses_second_time()
{
	connect_line target 127.0.0.1
	run put "$line\n"
	expect_taken
	run put "$line\n"
	expect_refused "No such process"
}

takes_comments()
{
	run put '\n\n   \n\t\n# 127.0.0.1:1 127.0.0.1:2\n#\n'
	expect_taken
	run put '# no newline'
	expect_taken
}

# Malformed lines.

malformed=(
	'127.0.0.1:7002'
	'127.0.0.1:7002 '
	'127.0.0.1 7002 127.0.0.1 7001'
	'127.0.0.1:7002 127.0.0.1'
	'127.0.0.1:7002 127.0.0.1:'
	'127.0.0.1: 127.0.0.1:7001'
	':7002 :7001'
	':7002 127.0.0.1:7001'
	'127.0.0.1:7002,127.0.0.1:7001'
	'127.0.0.1:7002-127.0.0.1:7001'
	'127.0.0.1:7002x 127.0.0.1:7001'
	'127.0.0.1:7002 127.0.0.1:7001x'
	'127.0.0.1:+7002 127.0.0.1:7001'
	'127.0.0.1:-7002 127.0.0.1:7001'
	'127.0.0.1:0x1b5a 127.0.0.1:7001'
	'127.0.0.1:0 127.0.0.1:7001'
	'127.0.0.1:65536 127.0.0.1:7001'
	'127.0.0.1:72538 127.0.0.1:7001'
	'127.0.0.1:4294974298 127.0.0.1:7001'
	'127.0.0.1:18446744073709558618 127.0.0.1:7001'
	'127.0.0.1:http 127.0.0.1:7001'
	'127.0.0.1.7002 127.0.0.1.7001'
	'127.0.0:7002 127.0.0.1:7001'
	'127.1:7002 127.0.0.1:7001'
	'2130706433:7002 127.0.0.1:7001'
	'256.0.0.1:7002 127.0.0.1:7001'
	'127.0.0.1.1:7002 127.0.0.1:7001'
	'localhost:7002 127.0.0.1:7001'
	'*:7002 127.0.0.1:7001'
	'127.0.0.1:* 127.0.0.1:7001'
	'[127.0.0.1]:7002 127.0.0.1:7001'
	'127.0.0.1:7002 [::1]:7001'
	'[::1]:7002 127.0.0.1:7001'
	'[::1:7002 [::1]:7001'
	'::1]:7002 [::1]:7001'
	'[::1]7002 [::1]:7001'
	'[::1]: [::1]:7001'
	'[]:7002 [::1]:7001'
	'[::1::1]:7002 [::1]:7001'
	'[12345::1]:7002 [::1]:7001'
	'[1:2:3:4:5:6:7:8:9]:7002 [::1]:7001'
	'[1:2:3]:7002 [::1]:7001'
	'[::g]:7002 [::1]:7001'
	'tcp 0 0 127.0.0.1:7002 127.0.0.1:7001'
	'! 127.0.0.1:7002 127.0.0.1:7001'
	'tcpdrop 127.0.0.1 7002 127.0.0.1 7001'
	'x'
)

claim_malformed()
{
	local text

	for text in "${malformed[@]}"; do
		claim "EINVAL: '${text//#/}'" refuses_malformed "$text"
	done
	claim "EINVAL: binary junk" refuses_junk
	claim "EINVAL: a NUL in an address" refuses_malformed '127.0.0.1\0:7002 127.0.0.1:7001'
	claim "EINVAL: a line over 256 bytes, and no part of it is carried out" refuses_long_line
	claim "EINVAL: such a line in pieces" refuses_long_line_in_pieces
	claim "EINVAL: a megabyte without a newline" refuses_endless_line
	claim "a line of 255 bytes is carried out" drops_longest_line
	claim "a refused write does not spoil the next one" goes_on_after_refusal
}

refuses_malformed()
{
	ask connect four 127.0.0.1 7001 sport=7002
	ask connect six ::1 7001 sport=7002
	run put "$1\n"
	expect_refused "Invalid argument"
	expect_alive four
	expect_alive six
}

# write_file SIZE: what is in $tmp/lines, SIZE bytes at a time.
write_file()
{
	dd if="$tmp/lines" of="$proc" bs="$1" status=none
}

refuses_junk()
{
	ask connect bystander 127.0.0.1
	head -c 100000 /dev/urandom >"$tmp/lines"
	for size in 100000 1000 10; do
		run write_file $size
		expect_refused "Invalid argument"
	done
	expect_alive bystander
}

make_long_line()
{
	ask connect target 127.0.0.1 7001 sport=7002
	{
		printf '127.0.0.1:9%0300d 127.0.0.1:9 ' 9
		printf '127.0.0.1:7002 127.0.0.1:7001 %0300d\n' 0
	} >"$tmp/lines"
}

refuses_long_line()
{
	make_long_line
	run write_file 100000
	expect_refused "Invalid argument"
	printf '127.0.0.1:7002 127.0.0.1:7001 %0300d\n' 0 >"$tmp/lines"
	run write_file 100000
	expect_refused "Invalid argument"
	expect_alive target
}

refuses_long_line_in_pieces()
{
	local size status=0

	make_long_line
	for size in 1 10 257 327; do
		run write_file $size
		expect_refused "Invalid argument"
		expect_alive target
	done
}

refuses_endless_line()
{
	ask connect target 127.0.0.1 7001 sport=7002
	{
		head -c 1000000 /dev/zero | tr '\0' x
		printf '\n127.0.0.1:7002 127.0.0.1:7001'
	} >"$tmp/lines"
	run write_file 2000000
	expect_refused "Invalid argument"
	expect_aborted target client
}

drops_longest_line()
{
	connect_line target 127.0.0.1
	printf '%-254s\n' "$line" >"$tmp/lines"
	run write_file 1000
	expect_taken
	expect_aborted target client
}

goes_on_after_refusal()
{
	connect_line target 127.0.0.1
	exec 7>"$proc"
	not eval 'printf "nonsense\n" >&7'
	not eval 'printf "127.0.0.1:1 127.0.0.1:2\n" >&7'
	printf '%s\n' "$line" >&7
	expect_aborted target client
	exec 7>&-
}

# Several lines, and lines that come in pieces.

claim_many()
{
	claim "several lines in one write drop several connections" drops_several
	claim "of several lines, those whose connection has gone are no error" takes_gone
	claim "of several lines the good ones are carried out, EINVAL for the bad" drops_good_of_several
	claim "a line counts when its newline arrives" drops_at_newline
	claim "lines may be cut anywhere" drops_cut_lines
	claim "an unfinished line of an opener that writes no more is carried out at close" \
		drops_at_close
	claim "what a filter leaves of the listing can be written back" drops_filtered
	claim "what grep leaves of a rule's list can be written" drops_grepped
	claim "the whole listing written back drops everything" drops_all
	claim "megabytes of lines in one write" drops_megabytes
	claim "two writers at once drop everything once" drops_by_two_writers
}

expect_gone()
{
	expect_equal "the number of lines" "$(wc -l <"$proc")" 0
	expect_answer 0 alive "$1"
}

drops_several()
{
	local several=

	ask connect bystander 127.0.0.1
	for i in {1..50}; do
		ask connect targets 127.0.0.1
			several+="$(as_line $answer)\n"
	done
	run put "$several"
	expect_taken
	expect_answer 0 alive targets
	expect_alive bystander
}

takes_gone()
{
	connect_line target 127.0.0.1
	run put "127.0.0.1:1 127.0.0.1:2\n$line\n127.0.0.1:3 127.0.0.1:4\n"
	expect_taken
	expect_aborted target client
	run put "127.0.0.1:1 127.0.0.1:2\n$line\n"
	expect_taken
}

drops_good_of_several()
{
	local first

	connect_line first 127.0.0.1
	first=$line
	connect_line second ::1
	run put "$first\nnonsense\n\n127.0.0.1:1 127.0.0.1:2\n$line\n"
	expect_refused "Invalid argument"
	expect_aborted first client
	expect_aborted second client
}

drops_at_newline()
{
	connect_line target 127.0.0.1
	exec 7>"$proc"
	printf '%s' "${line:0:5}" >&7
	printf '%s' "${line:5}" >&7
	expect_alive target
	printf ' and more' >&7
	expect_alive target
	printf '\n# and the next' >&7
	expect_aborted target client
	exec 7>&-
}

drops_cut_lines()
{
	for size in 1 2 13 64; do
		ask connect targets 127.0.0.1 7001 count=5
		grep ' 127.0.0.1:7001 ' "$proc" >"$tmp/lines"
		run write_file $size
		expect_taken
		expect_gone targets
	done
}

drops_at_close()
{
	connect_line target 127.0.0.1
	exec 7>"$proc"
	printf '%s' "$line" >&7
	expect_alive target
	exec 7>&-
	expect_aborted target client
}

make_web_and_ssh()
{
	ask connect web 127.0.0.1 8443 count=20
	ask connect ssh 127.0.0.1 22 count=2
}

# GNU grep does not read the file that it writes to; sed does.
drops_filtered()
{
	make_web_and_ssh
	run eval 'sed -n /:8443/p "$proc" >"$proc"'
	expect_taken
	expect_alive web 0
	expect_alive ssh 2
}

drops_grepped()
{
	make_web_and_ssh
	mkdir "$rules/everything"
	defer rmdir "$rules/everything"
	echo all >"$rules/everything/state"
	run eval 'grep :8443 "$rules/everything/list" >"$proc"'
	expect_taken
	expect_alive web 0
	expect_alive ssh 2
}

drops_all()
{
	ask connect targets 127.0.0.1 count=500
	ask connect more ::1 count=500
	run clear_all
	expect_taken
	expect_gone targets
	expect_gone more
}

drops_megabytes()
{
	ask connect targets 127.0.0.1 count=10
	awk 'BEGIN {
		for (i = 0; i < 100000; i++)
			printf "10.%d.%d.%d:%d 192.0.2.1:443\n", i / 65536, i / 256 % 256, i % 256, i % 60000 + 1
	}' >"$tmp/lines"
	cat "$proc" >>"$tmp/lines"
	run write_file 16M
	expect_taken
	expect_gone targets
}

drops_by_two_writers()
{
	local other

	ask connect targets 127.0.0.1 count=500
	cp "$proc" "$tmp/lines"
	write_file 1M &
	other=$!
	run write_file 1M
	wait $other
	expect_taken
	expect_gone targets
}

# Where and by whom.

claim_access()
{
	claim "the file belongs to root and to nobody else" has_mode
	claim "each namespace has its own file" has_own_file
	claim "a connection of another namespace: ESRCH" refuses_other_namespace
	claim "the file of another namespace, by a path to it" drops_through_path
	claim "a plain user's container drops its own" serves_plain_container \
		unshare --user --map-root-user --net
	claim "so does one whose user namespace was there first" serves_plain_container \
		unshare --user --map-root-user unshare --net
	claim "root of a container that shares the network may not: EPERM" refuses_user_namespace
	claim "root without CAP_NET_ADMIN may not: EPERM" refuses_weak_root
	claim "what root opened a plain user may not write: EPERM" refuses_weak_writer
	claim "what was opened without CAP_NET_ADMIN root may not write: EPERM" refuses_weak_opener
}

has_mode()
{
	expect_equal "mode and owner" "$(stat -L -c '%a %u %g' "$proc")" "600 0 0"
	run setpriv --reuid 65534 --regid 65534 --clear-groups cat "$proc"
	expect_refused "Permission denied"
}

# A namespace with a puppet called other.
make_other()
{
	ip netns add tcpdrop-test
	defer ip netns del tcpdrop-test
	ip -n tcpdrop-test link set lo up
	start_puppet other ip netns exec tcpdrop-test
	ask_of other connect target 127.0.0.1 7001 sport=7002
}

has_own_file()
{
	make_other
	expect_listing ''
	expect_equal "the other's listing" \
		"$(ip netns exec tcpdrop-test cat "$proc" | sort | head -n 1)" \
		"127.0.0.1:7001 127.0.0.1:7002 ESTABLISHED"
}

refuses_other_namespace()
{
	make_other
	run put "127.0.0.1:7002 127.0.0.1:7001\n"
	expect_refused "No such process"
	ask_of other alive target
	expect_equal "the number of those alive" "$answer" 1
}

drops_through_path()
{
	ask connect bystander 127.0.0.1 7001 sport=7002
	make_other
	printf '127.0.0.1:7002 127.0.0.1:7001\n' >"/proc/${puppet_pid[other]}/net/tcp_drop"
	ask_of other fate target client
	expect_equal "the fate of the other" "$answer" ECONNABORTED
	expect_alive bystander
}

# Opens a connection of its own, drops it, and cannot reach that of the host.
container_script='
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 7001))
listener.listen()
client = socket.create_connection(("127.0.0.1", 7001), source_address=("127.0.0.1", 7002))
line = b"127.0.0.1:7002 127.0.0.1:7001\n"
with open("/proc/net/tcp_drop", "r+b", buffering=0) as file:
    assert line.replace(b"\n", b" ESTABLISHED\n") in file.read(4096)
    file.write(line)
try:
    client.recv(1)
except ConnectionAbortedError:
    print("dropped its own")
'

# serves_plain_container COMMAND...: that makes it
serves_plain_container()
{
	ask connect bystander 127.0.0.1 7001 sport=7002
	# shellcheck disable=SC2016 # for that shell
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$@" sh -c \
		'ip link set lo up && exec python3 -c "$1"' sh "$container_script"
	expect_exit 0
	expect_out "dropped its own"
	expect_alive bystander
}

# is_refused_to COMMAND...: as whom to read and to write.
is_refused_to()
{
	connect_line bystander 127.0.0.1
	run "$@" cat "$proc"
	expect_refused "Operation not permitted"
	# shellcheck disable=SC2016 # for that shell
	run "$@" bash -c 'echo "$1" >/proc/net/tcp_drop' bash "$line"
	expect_refused "Operation not permitted"
	expect_alive bystander
}

refuses_user_namespace()
{
	is_refused_to unshare --user --map-root-user
}

refuses_weak_root()
{
	is_refused_to setpriv --bounding-set -net_admin --inh-caps -net_admin
}

refuses_weak_writer()
{
	connect_line bystander 127.0.0.1
	exec 7>"$proc"
	# shellcheck disable=SC2016 # for that shell
	run setpriv --reuid 65534 --regid 65534 --clear-groups bash -c 'echo "$1" >&7' bash "$line"
	exec 7>&-
	expect_refused "Operation not permitted"
	expect_alive bystander
}

# Takes descriptor 7 of a process and writes a line to it.
borrow_script='
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438
fd = libc.syscall(PIDFD_GETFD, os.pidfd_open(int(sys.argv[1])), 7, 0)
assert fd >= 0
try:
    os.write(fd, sys.argv[2].encode() + b"\n")
except PermissionError as err:
    print(os.strerror(err.errno))
'

is_up_or_gone()
{
	[ -s "$tmp/opener" ] || ! kill -0 "$1"
}

# Refusing to open the file would be as good.
refuses_weak_opener()
{
	connect_line bystander 127.0.0.1
	setpriv --bounding-set -net_admin --inh-caps -net_admin \
		sh -c "exec 7>$proc || exit; echo \$\$ >$tmp/opener; exec sleep 60" &
	defer kill $!
	wait_for is_up_or_gone $!
	kill -0 $! || return 0
	run python3 -c "$borrow_script" $! "$line"
	expect_out "Operation not permitted"
	kill $!
	rm "$tmp/opener"
	expect_alive bystander
}

in_own_namespaces "$@"
claim_reading
claim_lines
claim_malformed
claim_many
claim_access
run_claims
