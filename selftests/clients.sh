#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Clients that people use: they see that their connection was reset, and connect anew.
# shellcheck disable=SC2317 # the functions are called by claims

. "$(dirname "$(readlink -f "$0")")/lib.sh"

port=6399

is_listening()
{
	[ -n "$(ss -Htln "sport = :$port")" ]
}

# The client's end of the only connection to the port, as "LADDR:LPORT FADDR:FPORT".
connection()
{
	connections "dport = :$port"
}

is_connected()
{
	[ -n "$(connection)" ]
}

stop()
{
	kill "$1"
	wait "$1"
}

# start COMMAND...: a server, until the claim ends.
start()
{
	"$@" >"$tmp/server" 2>&1 &
	defer stop $!
	wait_for is_listening
}

# drop_end WHICH: the client's or the server's end of the connection.
drop_end()
{
	local ends

	wait_for is_connected
	read -ra ends < <(connection)
	[ "$1" = client ] || ends=("${ends[1]}" "${ends[0]}")
	echo "${ends[*]}" >"$proc"
}

# redis-cli connects anew only where somebody types, so at a terminal.
typed_redis_cli()
{
	TERM=dumb exec python3 -c 'import pty, sys; pty.spawn(["redis-cli"] + sys.argv[1:])' "$@"
}

# answer_of TEXT: wait for it in what redis-cli prints.
answer_of()
{
	local line

	while read -r -t 60 line <&9; do
		echo "redis-cli: $line"
		[[ $line != *$1* ]] || return 0
	done
	return 1
}

# redis_survives ADDRESS
redis_survives()
{
	local before

	command -v redis-server >/dev/null || skip "no redis-server"
	start redis-server --bind "$1" --port "$port" --save '' --dir "$tmp"
	coproc typed_redis_cli -h "$1" -p "$port"
	# shellcheck disable=SC2154 # coproc's
	defer kill "$COPROC_PID"
	# shellcheck disable=SC2154 # coproc's
	exec 8>&"${COPROC[1]}" 9<&"${COPROC[0]}"
	echo "set question forty-two" >&8
	answer_of OK
	before=$(connection)

	drop_end server
	wait_for not is_connected
	echo "get question" >&8
	answer_of "Connection reset by peer"
	echo "getrange question 2 99" >&8
	answer_of '"rty-two"'
	not [ "$(connection)" = "$before" ]
	exec 8>&- 9<&-
}

# A file that does not fit in the sockets' buffers, slowly: slow_curl ADDRESS OPTION...
slow_curl()
{
	local host=$1
	shift

	[[ $host != *:* ]] || host=[$host]
	curl --silent --show-error --noproxy '*' --output "$tmp/copy" --limit-rate 2M "$@" \
		"http://$host:$port/original" 2>"$tmp/err"
}

# What it asks for has begun to come.
has_some()
{
	[ -s "$tmp/copy" ]
}

start_web_server()
{
	command -v curl >/dev/null || skip "no curl"
	mkdir -p "$tmp/web"
	head -c 20000000 /dev/urandom >"$tmp/web/original"
	start python3 -m http.server --bind "$1" --directory "$tmp/web" "$port"
}

# curl_sees_reset ADDRESS
curl_sees_reset()
{
	local status=0 curl

	start_web_server "$1"
	rm -f "$tmp/copy"
	slow_curl "$1" --limit-rate 200k &
	curl=$!
	wait_for has_some
	drop_end server
	wait "$curl" || status=$?
	expect_equal "curl's exit status" "$status" 56
	expect_err_like "*Connection reset by peer"
}

# curl_tries_again ADDRESS WHICH
curl_tries_again()
{
	local curl

	start_web_server "$1"
	rm -f "$tmp/copy"
	slow_curl "$1" --retry 3 --retry-delay 1 --retry-all-errors &
	curl=$!
	wait_for has_some
	drop_end "$2"
	wait "$curl"
	cmp "$tmp/web/original" "$tmp/copy"
	expect_equal "the number of requests" "$(grep -c 'GET /original' "$tmp/server")" 2
}

in_own_namespaces "$@"
for address in 127.0.0.1 ::1; do
	claim "redis-cli sees a reset and connects anew when the server's end was dropped: $address" \
		redis_survives $address
	claim "curl sees a reset when the server's end was dropped: $address" curl_sees_reset $address
	claim "curl tries again when its end was dropped: $address" curl_tries_again $address client
	claim "curl tries again when the server's end was dropped: $address" \
		curl_tries_again $address server
done
run_claims
