#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# /proc/net/tcp_drop: what it lists, what it takes, what it refuses, and for whom.
# shellcheck disable=SC2317,SC2119 # functions that claims call
# shellcheck disable=SC2016 # commands and scripts for eval and others
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
	ask finish finished client
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
	claim "a line of netstat" drops_line 127.0.0.1 'tcp        0      0 %s ESTABLISHED \n'
	claim "a line of netstat, of IPv6" drops_line ::1 'tcp6       0      0 %s ESTABLISHED\n'
	claim "a line of ss" drops_line 127.0.0.1 'ESTAB 0 0 %s users:(("nc",pid=1,fd=3)) \n'
	claim "a line of ss, with timers" \
		drops_line ::1 'tcp FIN-WAIT-1 0  1 %s timer:(keepalive,4min,0) ino:1 sk:2\n'
	claim "a line of lsof" drops_arrow 127.0.0.1
	claim "a line of lsof, of IPv6" drops_arrow ::1
	claim "words without a colon before the first end" drops_line 127.0.0.1 '! a,b/c %s\n'
	claim "a carriage return right behind the second port" drops_line 127.0.0.1 '%s\r\n'
	claim "a carriage return behind the second port of IPv6" drops_line ::1 '%s\r\n'
	claim "a line of lsof, of a program with a colon in its name" \
		drops_line 127.0.0.1 'gunicorn: 13 root 7u IPv4 81 0t0 TCP %s (ESTABLISHED)\n'
	claim "a comment that is indented is skipped too" skips_comment '  #' '\t#'
	claim "a comment that begins with a semicolon is skipped too" skips_comment ';' ' ; '
	claim "a comment behind a byte order mark is skipped too" skips_comment '\xef\xbb\xbf#'
	claim "a line behind a byte order mark" drops_line 127.0.0.1 '\xef\xbb\xbf%s\n'
	claim "what netstat may have cut is no connection" refuses_cut_ends
	claim "lines of other protocols drop nothing of TCP" takes_no_other_protocol
	claim "a file of rules is not one rule for each line of it" refuses_sections
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

drops_arrow()
{
	ask connect bystander "$1"
	connect_line target "$1"
	run put "java 1234 app 87u IPv6 812345 0t0 TCP ${line/ /->} (ESTABLISHED)\n"
	expect_taken
	expect_aborted target client
	expect_alive bystander
}

# skips_comment BEGINNING...
skips_comment()
{
	local begin

	connect_line bystander 127.0.0.1
	for begin; do
		run put "$begin$line\n"
		expect_taken
		run put "127.0.0.1:9 127.0.0.1:9\n$begin $line\n127.0.0.1:9 127.0.0.1:9\n"
		expect_taken
	done
	expect_alive bystander
}

# The address that is left of one with more digits is somebody else's.
refuses_cut_ends()
{
	ip addr add 2001:db8:85a3:77::1/128 dev lo
	defer ip addr del 2001:db8:85a3:77::1/128 dev lo
	ask connect bystander 2001:db8:85a3:77::1 443 sport=7002 from=::1
	run put "tcp6       0      0 2001:db8:85a3:77::1:443 ::1:7002                ESTABLISHED\n"
	expect_refused "Invalid argument"
	run put "tcp6       0      0 ::1:7002                2001:db8:85a3:77::1:443 ESTABLISHED\n"
	expect_refused "Invalid argument"
	expect_alive bystander
	run put "tcp6 0 0 [2001:db8:85a3:77::1]:443 ::1:7002 ESTABLISHED\n"
	expect_taken
	expect_answer ECONNRESET fate bystander client
}

takes_no_other_protocol()
{
	local text

	connect_line bystander 127.0.0.1
	for text in "udp 0 0 %s ESTABLISHED" "udp ESTAB 0 0 %s" "x 1 u 5u IPv4 9 0t0 UDP %s"; do
		run put "${text/\%s/$line}\n"
		expect_refused "Invalid argument"
		run put "${text/\%s/$line}\n127.0.0.1:9 127.0.0.1:9\n"
		expect_taken
	done
	expect_alive bystander
}

refuses_sections()
{
	ask connect bystander 127.0.0.1 7001 sport=7002
	connect_line target 127.0.0.1 7001
	run put "[web]\nsport=7002\ndport=7001\n"
	expect_refused "Invalid argument"
	run put "# mine\n [ssh] ; keep\r\nport=7001\nprotect=yes\n$line\n"
	expect_refused "Invalid argument"
	expect_aborted target client
	run put "[s]#\nstate=all\n"
	expect_refused "Invalid argument"
	expect_pieces "EINVAL EINVAL ok EINVAL" '[web]\n' 'sport=7002\n' '# mine\n' 'dport=7001\n'
	run put "saddr = ::1:7002 ::1:7001\n"
	expect_refused "Invalid argument"
	expect_alive bystander
	run put "sport=7002 dport=7001\n"
	expect_taken
	expect_aborted bystander client
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
	'127.0.0.1:7002 x 127.0.0.1:7001'
	'127.0.0.1:70x2 127.0.0.1:7002 127.0.0.1:7001'
	'127.0.0.1: 127.0.0.1:7002 127.0.0.1:7001'
	'04:29:17 127.0.0.1:7002 127.0.0.1:7001'
	'sshd: 127.0.0.1:7002 127.0.0.1:7001'
	'[0:0:1::ffff:127.0.0.1]:7002 127.0.0.1:7001'
	'daddr=127.0.0.x'
	'x=1 127.0.0.1:7002 127.0.0.1:7001'
)

# What is no connection at all, or a listener: malformed when it is all that is written.
no_connections=(
	'tcpdrop 127.0.0.1 7002 127.0.0.1 7001'
	'x'
	'127.0.0.1:7x 127.0.0.1:http'
	'State      Recv-Q Send-Q     Local Address:Port      Peer Address:Port  Process'
	'State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess'
	'Local Address:Port'
	'Active Internet connections (servers and established)'
	'Proto Recv-Q Send-Q Local Address           Foreign Address         State      '
	'COMMAND  PID USER   FD   TYPE DEVICE SIZE/OFF NODE NAME\r'
	'LISTEN     0      128              127.0.0.1:7002             127.0.0.1:*           '
	'tcp6       0      0 :::7001                 :::*                    LISTEN     '
	'*:* 127.0.0.1:7002'
	'127.0.0.1:7001 [::]:*'
	'sshd 1 root 3u IPv4 15290 0t0 TCP 127.0.0.1:7001 (LISTEN)'
)

claim_malformed()
{
	local text

	for text in "${malformed[@]}"; do
		claim "EINVAL: '${text//#/}'" refuses_malformed "$text"
	done
	for text in "${no_connections[@]}"; do
		claim "EINVAL if it is all: '${text//#/}'" refuses_malformed "$text"
		claim "no error among others: '${text//#/}'" takes_no_connection "$text"
	done
	claim "EINVAL: binary junk" refuses_junk
	for text in '127.0.0.1\0:7002 127.0.0.1:7001' '\0' '\0\0' ' \0' '# \0' '#\0x' 'x \0' \
		'\0127.0.0.1:7002 127.0.0.1:7001' '127.0.0.1:7002 127.0.0.1:7001\0' \
		'127.0.0.1:7002 127.0.0.1:7001 \0' '\0 0.0.0.0:7001 0.0.0.0:*'; do
		claim "EINVAL: a NUL: '${text//#/(comment)}'" refuses_malformed "$text"
		claim "EINVAL: a NUL among others: '${text//#/(comment)}'" \
			refuses_among_others "$text"
	done
	claim "EINVAL among others too: a port that is none" \
		refuses_among_others '127.0.0.1:8x0 127.0.0.1:7001'
	claim "EINVAL among others too: a port of 0" \
		refuses_among_others '127.0.0.1:0 127.0.0.1:7001'
	claim "EINVAL among others too: an address that is none" \
		refuses_among_others '127.0.0.x:7002 127.0.0.1:7001'
	claim "EINVAL among others too: a single end" refuses_among_others '127.0.0.1:7002'
	claim "EINVAL among others too: a rule that is none" refuses_among_others 'sport=7002x'
	claim "EINVAL: a line over 256 bytes, and no part of it is carried out" refuses_long_line
	claim "EINVAL: such a line in pieces" refuses_long_line_in_pieces
	claim "EINVAL: a megabyte without a newline" refuses_endless_line
	claim "a line of 255 bytes is carried out" drops_longest_line 255
	claim "a line of 256 bytes is carried out" drops_longest_line 256
	claim "EINVAL: a line of 257 bytes" refuses_longer_line 257
	claim "EINVAL: a comment of 257 bytes" refuses_longer_comment
	claim "a refused write does not spoil the next one" goes_on_after_refusal
	claim "EINVAL: a NUL behind the newline, or instead of it" tells_of_nul_at_the_end
	claim "what became of a line with blanks behind its newline" tells_before_blanks
	claim "a line that a block has cut is not carried out if its writer gives up" \
		leaves_line_of_who_gave_up
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

# takes_no_connection LINE: before, between and behind two that are.
takes_no_connection()
{
	ask connect six ::1 7001 sport=7002
	ask connect four 127.0.0.1 7001 sport=7003
	ask connect bystander 127.0.0.1 7001 sport=7002
	run put "$1\n127.0.0.1:7003 127.0.0.1:7001\n$1\n[::1]:7002 [::1]:7001\n$1\n"
	expect_taken
	expect_aborted four client
	expect_aborted six client
	expect_alive bystander
	run put "$1\n127.0.0.1:9 127.0.0.1:9\n"
	expect_taken
	run put "127.0.0.1:9 127.0.0.1:9\n$1\n"
	expect_taken
	run put "$1\n$1\n"
	expect_taken
	expect_alive bystander
}

# refuses_among_others LINE: and carries out the others, wherever it stands.
refuses_among_others()
{
	local texts text

	texts=("$1\n%s\n" "%s\n$1\n" "127.0.0.1:9 127.0.0.1:9\n$1\n%s\n" "x\n$1\n%s\n")
	ask connect bystander 127.0.0.1 7001 sport=7002
	for text in "${texts[@]}"; do
		connect_line target 127.0.0.1 7001
		run put "${text/\%s/$line}"
		expect_refused "Invalid argument"
		expect_aborted target client
	done
	run put "127.0.0.1:9 127.0.0.1:9\n$1\n"
	expect_refused "Invalid argument"
	run put "$1\n127.0.0.1:9 127.0.0.1:9\n"
	expect_refused "Invalid argument"
	expect_alive bystander
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
	printf "%-$1s\n" "$line" >"$tmp/lines"
	run write_file 1000
	expect_taken
	expect_aborted target client
	connect_line target 127.0.0.1
	printf "# a comment\n%-$1s\n%-$1s\n" "$line" x >"$tmp/lines"
	run write_file 1000
	expect_taken
	expect_aborted target client
}

refuses_longer_line()
{
	connect_line target 127.0.0.1
	printf "%-$1s\n" "$line" >"$tmp/lines"
	run write_file 1000
	expect_refused "Invalid argument"
	expect_alive target
	connect_line other 127.0.0.1
	printf "%s\n%-$1s\n" "$line" x >"$tmp/lines"
	run write_file 1000
	expect_refused "Invalid argument"
	expect_aborted other client
}

refuses_longer_comment()
{
	printf '#%256s\n' x >"$tmp/lines"
	run write_file 1000
	expect_refused "Invalid argument"
	printf '#%255s\n' x >"$tmp/lines"
	run write_file 1000
	expect_taken
}

# As programs in C write that count the NUL at the end of a string.
tells_of_nul_at_the_end()
{
	connect_line target 127.0.0.1
	run put "$line\0"
	expect_refused "Invalid argument"
	expect_alive target
	run put "$line\n\0"
	expect_refused "Invalid argument"
	expect_aborted target client
}

tells_before_blanks()
{
	connect_line target 127.0.0.1
	run put "127.0.0.1:9 127.0.0.1:9\n \t"
	expect_refused "No such process"
	run put "$line\n \t"
	expect_taken
	expect_aborted target client
	run put "127.0.0.1:9 127.0.0.1:9\n127.0.0.1:9 127.0.0.1:9\n "
	expect_taken
}

# The first block of a longer text ends in the middle of a port.
leaves_line_of_who_gave_up()
{
	connect_line bystander 127.0.0.1
	python3 - "$line" >"$tmp/lines" <<-'END'
		import sys
		first, last = "127.0.0.1:8x0 127.0.0.1:9\n", sys.argv[1]
		padding = 4096 - len(first) - len(last)
		lines = ("#" + "x" * 98 + "\n") * (padding // 100)
		print(end=first + lines + "#" * (padding - len(lines) - 1) + "\n" + last + "9\n")
	END
	run dd if="$tmp/lines" of="$proc" bs=4096 count=1 status=none
	expect_refused "Invalid argument"
	expect_alive bystander
	tail -n +2 "$tmp/lines" | head -c -2 >"$tmp/rest"
	run dd if="$tmp/rest" of="$proc" bs=4096 count=1 status=none
	expect_taken
	expect_aborted bystander client
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
	run put "$first\n127.0.0.1:8x0 127.0.0.1:80\n\n127.0.0.1:1 127.0.0.1:2\n$line\n"
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

# Lines that come in pieces, a write each.

claim_pieces()
{
	claim "a line in two pieces is one line: ESRCH" \
		expect_pieces "ok ESRCH" '127.0.0.1:1 127.0.' '0.1:2\n'
	claim "a heading in two pieces is all that is written: EINVAL" \
		expect_pieces "ok EINVAL" 'Local Addr' 'ess:Port\n'
	claim "a write of one line is one whatever was written before" \
		expect_pieces "ok ESRCH EINVAL ESRCH" '127.0.0.1:1 127.0.0.1:2\nx\n' \
		'127.0.0.1:1 127.0.0.1:2\n' 'Local Address:Port\n' '127.0.0.1:1 127.0.0.1:2\n'
	claim "what goes on with several lines is of several" \
		expect_pieces "ok ok ok ESRCH" 'Local Address:Port\n127.0.0.1:1 127' \
		'.0.0.1:2\nLocal Addr' 'ess:Port\n' '127.0.0.1:1 127.0.0.1:2\n'
	claim "a line and the beginning of another are two" \
		expect_pieces "ok ok ESRCH" '127.0.0.1:1 127.0.0.1:2\n127' '.0.0.1:1 127.0.0.1:2\n' \
		'127.0.0.1:1 127.0.0.1:2\n'
	claim "a malformed line is told of by the write that completes it" \
		expect_pieces "ok EINVAL ok ESRCH" '127.0.0.1:1 127.0.0.1:2\n127.0.0.1:8x' \
		'0 127.0.0.1:80\n127' '.0.0.1:1 127.0.0.1:2\n' '127.0.0.1:1 127.0.0.1:2\n'
	claim "comments and blank lines are no lines: ESRCH" \
		expect_pieces "ESRCH EINVAL ok" '# comment\n\n127.0.0.1:1 127.0.0.1:2\n \n' \
		'#\nx\n#\n' '#\n\n'
	claim "however a text of several lines is cut, only a whole line alone is refused" \
		takes_any_cut
}

# Writes each argument, where \n is a newline, and says what became of it.
pieces_script='
import errno, os, sys
fd = os.open("/proc/net/tcp_drop", os.O_WRONLY)
def put(text):
    try:
        os.write(fd, text.encode())
        return "ok"
    except OSError as err:
        return errno.errorcode[err.errno]
'

# expect_pieces ANSWERS PIECE...
expect_pieces()
{
	local expected=$1
	shift

	run python3 -c "$pieces_script"'
print(*(put(text.replace("\\n", "\n")) for text in sys.argv[1:]))' "$@"
	expect_exit 0
	expect_out "$expected"
}

# A heading, a listener and connections that are not there, in three pieces. What a piece ends
# within goes on in the next; a whole line, be it in pieces, is alone where that is all.
takes_any_cut()
{
	run python3 -c "$pieces_script"'
lines = ["Local Address:Port\n", "127.0.0.1:1 127.0.0.1:2\n", "*:22 *:*\n",
         "[::1]:1 [::1]:2\n", "x\n"]
text = "".join(lines)
count = 0
for i in range(1, len(text)):
    for j in range(i, len(text)):
        pieces = [text[:i], text[i:j], text[j:]]
        begun = ""
        for piece in pieces:
            answer = put(piece)
            begun += piece
            alone = begun in lines
            if (answer != "ok") != alone:
                print(pieces, piece, answer)
            if begun.endswith("\n"):
                begun = ""
            count += alone
print(count > len(lines))'
	expect_exit 0
	expect_out "True"
}

# Whole outputs, by all that people write them with. A listing has each connection twice, headings
# and listeners.

listings=(
	"ss -tan"
	"ss -tanp"
	"ss -4 -tan state established state time-wait; ss -6 -tan"
	"netstat -tanW"
	"netstat -tanpeW"
	"netstat -tnW"
	"busybox netstat -tan"
	"lsof -nP -iTCP"
	"cat $proc"
)

writers=(
	"cat"
	"busybox cat"
	"tee"
	"tee /dev/stderr"
	"busybox tee"
	"dd"
	"dd bs=4k"
	"busybox dd"
	"cp /dev/stdin"
	"busybox cp /dev/stdin"
	"gawk 1"
	"mawk 1"
	"busybox awk 1"
	"sed s/x/x/"
	"sed -E s/x/x/"
	"busybox sed s/x/x/"
	"grep :"
	"perl -pe s/x/x/"
	"python3 -c 'import sys; [sys.stdout.write(line) for line in sys.stdin]'"
	"python3 -c 'import sys; print(sys.stdin.read())'"
	"sort"
	"tail -n +1"
)

# These leave the two ends, of ss and netstat alike.
columns=(
	"gawk '{ print \$4, \$5 }'"
	"mawk '{ print \$4, \$5 }'"
	"busybox awk '{ print \$4, \$5 }'"
	"sed 's/^[^ ]* *[0-9]* *[0-9]* *//'"
	"sed -E 's/^([^ ]+ +){3}//'"
	"busybox sed -E 's/^([^ ]+ +){3}//'"
	"perl -lane 'print \"@F[3,4]\"'"
	"tr -s ' ' | cut -d ' ' -f 4,5"
)

# Those write line by line, and go on after a line that is refused.
loops=(bash dash "busybox sh")

# What programs do differently does not depend on the kernel, see TCPDROP_BRIEF: one of each kind.
keep_one_of_each()
{
	listings=("ss -tan" "cat $proc")
	writers=("gawk 1")
	columns=("${columns[0]}")
	loops=(dash)
}

claim_whole_outputs()
{
	local listing writer shell

	[ -z "${TCPDROP_BRIEF:-}" ] || keep_one_of_each
	for listing in "${listings[@]}"; do
		claim "$listing: straight into the file" drops_output "$listing" ""
		claim "$listing: by gawk" drops_output "$listing" "gawk 1"
	done
	for writer in "${writers[@]}"; do
		claim "ss -tan, written by $writer" drops_output "ss -tan" "$writer"
	done
	for writer in "${columns[@]}"; do
		claim "ss -tan, columns written by $writer" drops_output "ss -tan" "$writer"
		claim "netstat -tan, columns written by $writer" \
			drops_output "netstat -tanW" "$writer"
	done
	for shell in "${loops[@]}"; do
		claim "ss -tan, columns written by a loop of $shell" drops_by_loop "$shell"
		claim "ss -tan | awk, run by $shell" drops_by_shell "$shell"
	done
	claim "ss -tan, columns written by python's for and write" drops_by_python
	claim "ss -tan with carriage returns" drops_output "ss -tan" "sed 's/\$/\r/'"
}

is_count()
{
	[ "$(ss -Htan state "$1" | wc -l)" = "$2" ]
}

# Of both families and of one that speaks both, some with an end in TIME_WAIT.
make_crowd()
{
	defer clear_all
	ask listen 0.0.0.0 7000
	ask connect four 127.0.0.1 7001 count=60
	ask connect six ::1 7002 count=60
	ask connect dual 127.0.0.1 7003 count=30 dual=1
	ask connect closed 127.0.0.1 7001 count=20
	ask connect closed ::1 7002 count=20
	ask finish closed client
	wait_for is_count time-wait 40
	expect_sockets 340
}

# lsof shows what a process holds, and that is no connection in TIME_WAIT.
expect_crowd_gone()
{
	if [[ $1 == lsof* ]]; then
		is_count time-wait 40
		expect_sockets 40
		return
	fi
	expect_sockets 0
}

expect_listeners()
{
	ask connect after-any 0.0.0.0 7000
	ask connect after-four 127.0.0.1 7001
	ask connect after-six ::1 7002
	ask connect after-dual 127.0.0.1 7003 dual=1
	expect_alive after-any
	expect_alive after-four
	expect_alive after-six
	expect_alive after-dual
}

# drops_output LISTING WRITER: a writer with the file as its output, or as its argument.
drops_output()
{
	local writer=$2

	make_crowd
	if [ -z "$writer" ]; then
		run bash -c "($1) >$proc"
	elif [[ $writer == *tee* || $writer == *"cp "* ]]; then
		run bash -c "($1) | $writer $proc"
	else
		[ "$1" != "cat $proc" ] || set -- "cat $proc >$tmp/lines; cat $tmp/lines" "$2"
		run bash -c "($1) | $writer >$proc"
	fi
	cat "$tmp/err"
	expect_crowd_gone "$1"
	expect_listeners
}

drops_by_loop()
{
	make_crowd
	run $1 -c 'ss -tan | while read -r _ _ _ local remote _; do echo "$local $remote"; done >"$1"' \
		shell "$proc"
	expect_crowd_gone
	expect_listeners
}

drops_by_shell()
{
	make_crowd
	run $1 -c "ss -tan | awk '{ print \$4, \$5 }' >$proc"
	expect_crowd_gone
	expect_listeners
}

python_script='
import subprocess
lines = subprocess.run(["ss", "-tan"], stdout=subprocess.PIPE, text=True).stdout.splitlines()
with open("/proc/net/tcp_drop", "w") as file:
    for line in lines:
        words = line.split()
        file.write(words[3] + " " + words[4] + "\n")
'

drops_by_python()
{
	make_crowd
	run python3 -c "$python_script"
	expect_crowd_gone
	expect_listeners
}

# Seeking, and what opens to append.

claim_append()
{
	claim "tee -a" drops_appended 'echo "$line" | tee -a "$proc"'
	claim "busybox tee -a" drops_appended 'echo "$line" | busybox tee -a "$proc"'
	claim "a shell's >>" drops_appended 'echo "$line" >>"$proc"'
	claim "python's open to append" drops_appended \
		'python3 -c "open(\"$proc\", \"a\").write(\"$line\\n\")"'
	claim "python's open to append in binary" drops_appended \
		'python3 -c "open(\"$proc\", \"ab\").write(b\"$line\\n\")"'
	claim "perl's open to append" drops_appended \
		'perl -e "open F, q(>>), q($proc) or die; print F qq($line\n) or die; close F or die"'
	claim "gawk's >>" drops_appended 'echo "$line" | gawk "{ print >> \"$proc\" }"'
	claim "dd that appends" drops_appended \
		'echo "$line" | dd of="$proc" oflag=append conv=notrunc status=none'
	claim "seeking to the end leaves a reader where it is" reads_on_after_seek
	claim "the end is the only place from there" seeks_to_end_only
	claim "the last lines are read by tail" reads_by_tail
}

drops_appended()
{
	ask connect bystander 127.0.0.1
	connect_line target 127.0.0.1
	run eval "$1"
	expect_taken
	expect_aborted target client
	expect_alive bystander
}

seek_script='
import os
fd = os.open("/proc/net/tcp_drop", os.O_RDWR)
def read_all():
    pieces = []
    while not pieces or pieces[-1]:
        pieces.append(os.read(fd, 65536))
    return b"".join(pieces)
'

reads_on_after_seek()
{
	ask connect four 127.0.0.1 count=300
	run python3 -c "$seek_script"'
os.lseek(fd, 0, os.SEEK_END)
whole = read_all()
assert whole.count(b"\n") == 600
os.lseek(fd, 0, os.SEEK_SET)
for size in (1, 100, 5000):
    os.lseek(fd, 0, os.SEEK_SET)
    begin = os.read(fd, size)
    assert os.lseek(fd, 0, os.SEEK_END) == len(begin)
    assert begin + read_all() == whole
with open("/proc/net/tcp_drop", "a+") as file:
    file.seek(0)
    assert file.read() == whole.decode()'
	expect_taken
}

seeks_to_end_only()
{
	run python3 -c "$seek_script"'
for offset in (-1, 1, -2**62, 2**62):
    try:
        os.lseek(fd, offset, os.SEEK_END)
        print(offset)
    except OSError as err:
        assert err.errno == 22
try:
    os.lseek(fd, 0, os.SEEK_DATA)
    print("data")
except OSError as err:
    assert err.errno == 22'
	expect_taken
	expect_out
}

reads_by_tail()
{
	ask connect four 127.0.0.1 count=50
	expect_equal "the last lines" "$(tail -n 3 "$proc")" "$(grep . "$proc" | tail -n 3)"
	expect_equal "the last bytes" "$(tail -c 7 "$proc")" "$(grep . "$proc" | tail -c 7)"
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
	run "${nobody[@]}" cat "$proc"
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
	run "${nobody[@]}" "$@" sh -c \
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
	run "${nobody[@]}" bash -c 'echo "$1" >&7' bash "$line"
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
claim_pieces
claim_whole_outputs
claim_append
claim_access
run_claims
