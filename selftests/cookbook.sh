#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The recipes of cookbook.rst do what they say, as they stand there, with the programs that they are
# about; who is not meant keeps his connections, and no rule stays behind.
# shellcheck disable=SC2317,SC2119 # functions that claims call
# shellcheck disable=SC2154 # variables of the libraries
# shellcheck disable=SC2016 # text for other shells
#
# This namespace is the machine. "outside" has its clients, "blue" is a container on it, "db1" and
# "db2" are database servers, "web1" to "web3" the machines that Ansible talks to.

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/recipe_lib.sh"
. "$DIR/command_lib.sh"

# What shells do differently is shown by recipes.sh and oneline.sh.
ways=("dash -e")

# The network.

# make_machine NAME NUMBER: a namespace, and a cable to it, 10.79.NUMBER.1 here, 10.79.NUMBER.2 there.
make_machine()
{
	add_netns "$1" "$1"
	ip addr add "10.79.$2.1/24" dev "$1"
	ip link set "$1" up
	ip -n "$1" addr add "10.79.$2.2/24" dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" route add default via "10.79.$2.1"
}

make_network()
{
	local address

	# The names of the namespaces are gone with this mount.
	mkdir -p /run/netns
	mount -t tmpfs tmpfs /run/netns
	make_machine outside 0
	ip route add default via 10.79.0.2
	for address in 203.0.113.7 203.0.113.9 198.51.100.20; do
		ip -n outside addr add $address dev lo
	done
	for address in 192.0.2.1 203.0.113.11 198.51.100.21 2001:db8::1 2001:db8:f00d::13; do
		ip addr add $address dev lo
	done
	ip netns add blue
	ip -n blue link set lo up
	ip -n blue addr add 203.0.113.12 dev lo
	make_machine db1 1
	make_machine db2 2
	for address in 1 2 3; do
		make_machine web$address 1$address
		ip -n web$address addr add 203.0.113.12 dev lo
	done
}

in_netns()
{
	local name=$1
	shift

	nsenter --net="/run/netns/$name" "$@"
}

# is_in STATE PORT: one whose end here has that port.
is_in()
{
	[ -n "$(ss -Htan state "$1" "sport = :$2")" ]
}

is_listening()
{
	[ -n "$(ss -Htln "sport = :$1")" ]
}

stop()
{
	kill "$@"
	wait "$@"
}

# The page says so.
page_has()
{
	grep -qxF "  $1" "$(doc cookbook.rst)"
}

# Types the block once: what is named target goes, what is named bystander stays.
type_block()
{
	block cookbook.rst "$1"
	run dash -e "$tmp/block"
	expect_exit 0
	expect_err
	expect_no_rules
}

expect_lines()
{
	expect_equal "the number of connections dropped" "$(grep -c ': dropped$' "$tmp/out")" "$1"
}

# lines_work NAME FUNCTION: twice, the second time there is nothing to drop.
lines_work()
{
	block cookbook.rst "$1"
	mv "$tmp/block" "$tmp/recipe"
	recipe_lines_work "$2"
}

# Keeping somebody out.

# can_come ADDRESS SECONDS: a new connection, within that time.
can_come()
{
	in_netns outside nc -z -w "$2" -s "$1" 192.0.2.1 6379
}

# block_ends NAME FATE: what the peer sees.
block_ends()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.7 netns=outside count=2
	ask connect bystander 192.0.2.1 6379 from=198.51.100.20 netns=outside
	type_block "$1"
	expect_lines 2
	# The block alone stops the data, too.
	expect_equal "what is open" "$(connections dst 203.0.113.7)" ""
	expect_aborted target server
	wait_for expect_answer "$2" fate target client
	expect_dropped
	not can_come 203.0.113.7 1
	can_come 198.51.100.20 10
}

nft_block_works()
{
	command -v nft >/dev/null || skip "no nft"
	defer nft delete table inet ban
	block_ends nft ECONNRESET
}

route_block_works()
{
	defer ip route del blackhole 203.0.113.0/24
	block_ends blackhole alive
}

# 50,000 networks, and what people write around them.
write_blocklist()
{
	awk 'BEGIN {
		printf "; networks, 2026/11/25, 50000 of them\r\n#\r\n\r\n"
		for (i = 0; i < 49998; i++) {
			net = sprintf("11.%d.%d.0/25", i / 256, i % 256)
			if (i % 5 == 0)
				printf "%s ; SBL%d\r\n", net, i
			else if (i % 5 == 1)
				printf "%s,", net
			else if (i % 5 == 2)
				printf "  %s\t# scanner, twice\n", net
			else
				print net
			if (i == 30000)
				print "203.0.113.0/24 #" i
		}
		printf "\n2001:db8:f00d::/48;IPv6"
	}' >/run/blocklist
	expect_equal "the networks in the list" \
		"$(sed 's/[#;].*//' /run/blocklist | grep -o '[^, 	]*/[0-9]*' | wc -l)" 50000
}

clients_of_two_networks()
{
	ask connect target 192.0.2.1 443 from=203.0.113.11
	ask connect target 192.0.2.1 443 from=203.0.113.7 netns=outside
	ask connect target 2001:db8::1 443 from=2001:db8:f00d::13
	ask connect bystander 192.0.2.1 443 from=198.51.100.20 netns=outside
	ask connect bystander 192.0.2.1 443 from=198.51.100.21
	bystanders=2
}

blocklist_works()
{
	local bad='tcpdrop: /run/blocklist:17: "203.0.113.x": not an address'

	defer rm -f /run/blocklist
	clients_of_two_networks
	write_blocklist
	sed -i '17i 203.0.113.x' /run/blocklist
	page_has "$bad"
	block cookbook.rst blocklist
	run dash -e "$tmp/block"
	expect_exit 1
	expect_err "$bad"
	expect_alive target 3
	echo '; nothing' >/run/blocklist
	run dash -e "$tmp/block"
	expect_exit 1
	expect_alive target 3
	ask forget

	write_blocklist
	lines_work blocklist clients_of_two_networks
}

# Moving clients.

pg_bin=$(echo /usr/lib/postgresql/*/bin)

as_postgres()
{
	setpriv --reuid postgres --regid postgres --clear-groups "$@"
}

# Takes its time, so it is begun before the first claim.
make_databases()
{
	[ -x "$pg_bin/initdb" ] || return 0
	chmod 711 "$tmp"
	mkdir "$tmp/pg"
	chown postgres "$tmp/pg"
	(
		as_postgres "$pg_bin/initdb" -D "$tmp/pg/db1" -U postgres -A trust -N --no-locale
		echo 'host all all all trust' >>"$tmp/pg/db1/pg_hba.conf"
		cp -a "$tmp/pg/db1" "$tmp/pg/db2"
		touch "$tmp/pg/made"
	) >"$tmp/initdb" 2>&1 </dev/null &
}

databases_are_made()
{
	[ -e "$tmp/pg/made" ]
}

sql()
{
	"$pg_bin/psql" -XAt -U postgres "$@"
}

answers()
{
	[ "$(sql -h "$1" -c 'show cluster_name')" = "$2" ]
}

# At once, whoever is connected.
stop_database()
{
	kill -s QUIT "$1"
	wait "$1"
}

# start_database NAME NUMBER
start_database()
{
	nsenter --net="/run/netns/$1" setpriv --reuid postgres --regid postgres --clear-groups \
		"$pg_bin/postgres" -D "$tmp/pg/$1" -c cluster_name="$1" -c listen_addresses='*' \
		-c unix_socket_directories= -c shared_buffers=16MB -c fsync=off \
		-c autovacuum=off >"$tmp/$1.log" 2>&1 &
	defer stop_database $!
	wait_for answers "10.79.$2.2" "$1"
}

# The address is that of NAME from now on.
move_address()
{
	local name=$1 number=${1#db}

	ip -n db1 addr del 192.0.2.10/32 dev lo || true
	ip -n db2 addr del 192.0.2.10/32 dev lo || true
	ip -n "$name" addr add 192.0.2.10/32 dev lo
	ip route replace 192.0.2.10 via "10.79.$number.2"
}

# A psql where somebody types.
typed_psql()
{
	TERM=dumb exec python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' \
		"$pg_bin/psql" -X -n -P pager=off -U postgres "$@"
}

# terminal_says TEXT: wait for it.
terminal_says()
{
	local line

	while IFS= read -r -t 60 line <&9; do
		echo "terminal: $line"
		[[ $line != *$1* ]] || return 0
	done
	return 1
}

# The sessions of a server that wait for as long as ours does.
sleepers="from pg_stat_activity where wait_event = 'PgSleep' and query like '%600%'"

sleepers_are()
{
	expect_equal "the sleepers" "$(sql -h "$1" -c "select count(*) $sleepers")" "$2"
}

# fail_over FROM TO NUMBER-OF-FROM: sets took to the milliseconds that psql needs after the drop, and
# fresh to those that one needs which has just been started.
fail_over()
{
	local before

	echo "select pg_sleep(600);" >&8
	wait_for sleepers_are "10.79.$3.2" 1
	move_address "$2"
	type_block failover
	expect_lines 1
	before=$(date +%s%3N)
	terminal_says "could not receive data from server: Software caused connection abort"
	terminal_says "The connection to the server was lost. Attempting reset: Succeeded."
	echo "show cluster_name;" >&8
	terminal_says " $2"
	took=$(($(date +%s%3N) - before))
	echo "$took ms from $1 to $2"
	before=$(date +%s%3N)
	answers 192.0.2.10 "$2"
	fresh=$(($(date +%s%3N) - before))
	echo "$fresh ms for a new client of $2"
	# The old server does not know.
	sleepers_are "10.79.$3.2" 1
	in_netns "$1" dash -e <(rst_block cookbook.rst failover-server) >"$tmp/out" 2>"$tmp/err"
	expect_lines 1
	sql -h "10.79.$3.2" -c "select pg_terminate_backend(pid) $sleepers"
}

# The machine may be slow for once, but not always.
is_back_soon()
{
	[ "$took" -lt $((10 * fresh)) ]
}

failover_works()
{
	local took fresh bystander

	[ -d "$tmp/pg" ] || skip "no PostgreSQL"
	wait_for databases_are_made || wait_for databases_are_made || wait_for databases_are_made
	start_database db1 1
	start_database db2 2
	move_address db1
	page_has "could not receive data from server: Software caused connection abort"
	page_has "The connection to the server was lost. Attempting reset: Succeeded."
	bystander 192.0.2.1 5432
	sql -h 10.79.1.2 -c "select pg_sleep(599)" &
	defer kill $!
	wait_for is_connected_to 10.79.1.2
	bystander=$(connections dst 10.79.1.2)
	coproc typed_psql -h 192.0.2.10
	exec 8>&"${COPROC[1]}" 9<&"${COPROC[0]}"
	defer kill "$COPROC_PID"
	for _ in 1 2 3; do
		fail_over db1 db2 1
		! is_back_soon || break
		fail_over db2 db1 2
		! is_back_soon || break
	done
	is_back_soon
	expect_alive bystander
	expect_equal "the session that went elsewhere" "$(connections dst 10.79.1.2)" "$bystander"
}

is_connected_to()
{
	[ -n "$(connections dst "$1")" ]
}

# What is printed, or shown on the page, with N for numbers and in one line.
shape()
{
	tr -d '\n' | sed 's/[0-9][0-9]*/N/g; s/, */,/g; s/^ *//'
}

draining_works()
{
	local elapsed

	ask connect target 192.0.2.1 8080 count=300
	bystander 192.0.2.1 6379
	type_block drain
	expect_out_like '{"matched":300,"dropped":300,"failed":0,"remaining":0,"elapsed_us":*'
	elapsed=$(grep -o '"elapsed_us":[0-9]*' "$tmp/out")
	elapsed=${elapsed#*:}
	echo "$elapsed us"
	[ "$elapsed" -ge 550000 ]
	expect_equal "what the page shows" \
		"$(grep -A 1 '^  {"matched"' "$(doc cookbook.rst)" | shape)" "$(shape <"$tmp/out")"
	expect_dropped
}

# A session of its own, and the key for it.

make_keys()
{
	[ -x /usr/sbin/sshd ] || skip "no sshd"
	mkdir -p /run/sshd
	rm -f "$tmp/host_key"* "$tmp/key"*
	ssh-keygen -q -t ed25519 -N '' -f "$tmp/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$tmp/key"
	cat >"$tmp/sshd_config" <<-END
		HostKey $tmp/host_key
		AuthorizedKeysFile $tmp/key.pub
		PermitRootLogin yes
		StrictModes no
		UsePAM no
		UseDNS no
		PidFile none
	END
	cat >"$tmp/ssh_config" <<-END
		Host web1
		  HostName 10.79.11.2
		Host web2
		  HostName 10.79.12.2
		Host web3
		  HostName 10.79.13.2
		Host *
		  User root
		  IdentityFile $tmp/key
		  StrictHostKeyChecking no
		  UserKnownHostsFile /dev/null
		  LogLevel ERROR
		  BatchMode yes
	END
}

# start_sshd COMMAND...: the command runs it, elsewhere.
start_sshd()
{
	"$@" /usr/sbin/sshd -D -e -f "$tmp/sshd_config" 2>>"$tmp/sshd.log" &
	defer stop $!
}

# session ADDRESS: of somebody who sits there, at a terminal.
session()
{
	exec nsenter --net=/run/netns/outside ssh -F "$tmp/ssh_config" -b "$1" -tt 192.0.2.1
}

sessions_are()
{
	expect_equal "the sessions" "$(connections "sport = :22 and dst $1" | wc -l)" "$2"
}

only_session_is_left()
{
	sessions_are 203.0.113.7 1
	sessions_are 198.51.100.20 0
}

own_session_survives()
{
	local line before

	make_keys
	start_sshd env
	wait_for is_listening 22
	# Other sessions that type nothing.
	mkfifo "$tmp/others"
	exec 5<>"$tmp/others"
	(session 203.0.113.7) <&5 >"$tmp/other1" 2>&1 &
	defer kill $!
	(session 198.51.100.20) <&5 >"$tmp/other2" 2>&1 &
	defer kill $!
	wait_for sessions_are 203.0.113.7 1
	wait_for sessions_are 198.51.100.20 1
	ask connect target 192.0.2.1 6379 from=203.0.113.7 netns=outside
	ask connect target 192.0.2.1 6379
	ask connect target 2001:db8::1 443

	# Not by the environment of somebody who tests this over ssh.
	block cookbook.rst ssh
	run env -u SSH_CONNECTION dash "$tmp/block"
	[ "$status" != 0 ]
	expect_out
	expect_alive target 3

	coproc session 203.0.113.7
	exec 8>&"${COPROC[1]}" 9<&"${COPROC[0]}"
	defer kill "$COPROC_PID"
	echo 'export PS1= TERM=dumb; echo "I am $((40 + 2))"' >&8
	terminal_says "I am 42"
	wait_for sessions_are 203.0.113.7 2
	before=$(connections sport = :22 and dst 203.0.113.7)
	while read -r line; do
		echo "$line" >&8
	done <"$tmp/block"
	echo 'echo "I am $((41 + 2))"' >&8
	terminal_says "I am 43"
	expect_answer 0 alive target
	only_session_is_left
	grep -qF "$(connections sport = :22 and dst 203.0.113.7 | awk '{ print $2 }')" <<<"$before"
	echo 'echo "I am $((42 + 2))"' >&8
	terminal_says "I am 44"
	expect_no_rules
}

# Whose connections.

# Both ends are of the service.
make_service()
{
	start_puppet_in other system.slice/app.service
	is_dropped=other_has_none
}

other_has_none()
{
	ask_of other alive target
	expect_equal "the connections of the other" "$answer" 0
}

target_of_other()
{
	ask_of other forget
	ask_of other connect target 192.0.2.1 6379
	bystander 192.0.2.1 6380
}

service_works()
{
	make_service
	lines_work service target_of_other
}

user_works()
{
	# Where he may read it.
	chmod 711 "$tmp"
	cp "$DIR/puppet.py" "$tmp/"
	DIR=$tmp start_puppet other setpriv --reuid www-data --clear-groups
	defer kill "${puppet_pid[other]}"
	is_dropped=other_has_none
	lines_work user target_of_other
}

# start_redis COMMAND...: the command runs it, elsewhere.
start_redis()
{
	command -v redis-server >/dev/null || skip "no redis-server"
	not pgrep -x redis-server || skip "there is a redis-server"
	"$@" redis-server --bind '*' --port 6379 --protected-mode no --save '' --dir "$tmp" \
		>"$tmp/redis" 2>&1 &
	defer stop $!
}

client_is_told()
{
	ask fate target client
	[ "$answer" != alive ]
}

redis_has_none()
{
	wait_for client_is_told
	not is_in established 6379
}

# Accepted, so that it is the process's.
redis_has_one()
{
	ss -Htnp state established 'sport = :6379' | grep redis
}

client_of_redis()
{
	ask syn target 192.0.2.1 6379 from=192.0.2.1
	wait_for redis_has_one
	bystander 192.0.2.1 6380
}

process_works()
{
	start_redis env
	wait_for is_listening 6379
	is_dropped=redis_has_none
	lines_work process client_of_redis
}

target_in_blue()
{
	ask_of other forget
	ask_of other connect target 127.0.0.1 6380 from=203.0.113.12
	bystander 192.0.2.1 6379 from=203.0.113.11
}

make_blue()
{
	start_puppet other nsenter --net=/run/netns/blue
	defer kill "${puppet_pid[other]}"
	is_dropped=other_has_none
}

container_works()
{
	start_redis nsenter --net=/run/netns/blue
	wait_for pgrep -x redis-server
	make_blue
	lines_work container target_in_blue
}

target_here_and_in_blue()
{
	ask_of other forget
	ask_of other connect target 127.0.0.1 6380 from=203.0.113.12
	ask connect target 192.0.2.1 6379 from=203.0.113.11
	bystander 192.0.2.1 6379 from=198.51.100.21
}

none_here_and_in_blue()
{
	other_has_none
	expect_answer 0 alive target
}

everywhere_works()
{
	make_blue
	is_dropped=none_here_and_in_blue
	lines_work everywhere target_here_and_in_blue
}

containers_work()
{
	make_blue
	lines_work containers target_in_blue
}

# No good any more.

# start_talking COMMAND...: again and again, until end_talking.
start_talking()
{
	rm -f "$tmp/silence"
	until [ -e "$tmp/silence" ]; do
		"$@"
		sleep 0.1
	done >"$tmp/talk" 2>&1 &
	talking=$!
}

end_talking()
{
	touch "$tmp/silence"
	wait "$talking"
}

count_is()
{
	local number=$1
	shift

	[ "$(tcpdrop -n "$@")" = "$number" ]
}

# First as it stands, when nobody has been idle for so long; then with another number.
idle_works()
{
	start_puppet other
	defer kill "${puppet_pid[other]}"
	ask_of other connect bystander 127.0.0.1 5432
	ask connect target 192.0.2.1 5432
	ask connect neighbour 192.0.2.1 5433
	start_talking ask_of other alive bystander
	type_block idle
	expect_out
	expect_equal "the number of clients" "$(connections sport = :5432 | wc -l)" 2
	wait_for count_is 1 sport=5432 idle=5s
	grep -q 'idle=1h' "$tmp/block"
	sed -i 's/idle=1h/idle=5s/' "$tmp/block"
	run dash -e "$tmp/block"
	expect_exit 0
	expect_err
	expect_lines 1
	end_talking
	expect_answer 0 alive target
	expect_alive neighbour
	ask_of other alive bystander
	expect_equal "the connections that talk" "$answer" 1
}

# The service has another client, somebody else has another socket in CLOSE_WAIT.
leaked_by_service()
{
	ask_of other forget
	ask_of other connect target 192.0.2.1 8080
	ask_of other connect well 192.0.2.1 8080
	ask connect neighbour 192.0.2.1 8081
	ask_of other shut target client
	ask shut neighbour client
	wait_for is_in close-wait 8080
	wait_for is_in close-wait 8081
	bystander 192.0.2.1 6379
}

only_leaked_are_gone()
{
	not is_in close-wait 8080
	is_in close-wait 8081
	ask_of other alive well
	expect_equal "the other client of the service" "$answer" 1
	other_has_none
}

close_wait_works()
{
	make_service
	is_dropped=only_leaked_are_gone
	lines_work close-wait leaked_by_service
}

# A peer that was there, and is not: nobody answers for its address.
retransmits()
{
	ss -Htno dst 203.0.113.9 | grep 'timer:(on,[^,]*,[4-9])'
}

dead_peer_works()
{
	ask connect target 192.0.2.1 6379 from=203.0.113.9 netns=outside
	bystander 192.0.2.1 6379 from=198.51.100.20 netns=outside
	ip -n outside addr del 203.0.113.9/32 dev lo
	defer ip -n outside addr add 203.0.113.9/32 dev lo
	ask fill target server
	wait_for count_is 1 retrans=4
	# There is no timer while it is being handled.
	wait_for retransmits
	expect_alive bystander
	type_block retrans
	expect_lines 1
	expect_aborted target server
	expect_dropped
}

# A slow reader is one who reads.
read_slowly()
{
	ask_of other sip bystander client
	ask_of other fill bystander server
}

probes()
{
	ss -Htno dst 203.0.113.9 | grep 'timer:(persist,'
}

# What is sent goes into the buffers of the peer as long as there is room.
window_is_shut()
{
	ask fill target server
	probes
}

hoarders_are_dropped()
{
	start_puppet other
	defer kill "${puppet_pid[other]}"
	ask_of other connect bystander 127.0.0.1 8080
	ask_of other fill bystander server
	start_talking read_slowly
	ask connect target 192.0.2.1 8080 from=203.0.113.9 netns=outside
	bystander 192.0.2.1 8080 from=198.51.100.20 netns=outside
	wait_for window_is_shut
	ask fill target server
	wait_for count_is 1 sport=8080 sendq=10000 idle=10s
	wait_for probes
	type_block hoarder
	expect_lines 1
	end_talking
	expect_aborted target server
	expect_dropped
	ask_of other fate bystander server
	expect_equal "the end of the slow reader" "$answer" alive
}

# A server that does not set SO_REUSEADDR, and closes first.
impolite_server()
{
	exec python3 -uc 'import socket
server = socket.socket()
server.bind(("", 7000))
server.listen()
print("serving")
while True:
    server.accept()[0].close()'
}

serves()
{
	grep -q serving "$tmp/server"
}

bind_works()
{
	local server

	impolite_server >"$tmp/server" 2>&1 &
	server=$!
	defer kill "$server"
	wait_for serves
	nc 192.0.2.1 7000 </dev/null
	ask syn half 192.0.2.1 7000 from=192.0.2.1
	ask connect neighbour 192.0.2.1 7001
	ask finish neighbour server
	bystander 192.0.2.1 6379
	wait_for is_in time-wait 7000
	wait_for is_in fin-wait-2 7000
	wait_for is_in time-wait 7001
	kill "$server"
	wait "$server" || true
	run python3 -c 'import socket; socket.socket().bind(("", 7000))'
	expect_exit 1
	expect_err_like '*Address already in use'
	type_block bind
	expect_lines 2
	is_in time-wait 7001
	expect_alive bystander

	impolite_server >"$tmp/server" 2>&1 &
	defer stop $!
	wait_for serves
}

# Many machines.

play()
{
	env -C "$tmp" HOME="$tmp" LC_ALL=C.UTF-8 ANSIBLE_SSH_ARGS="-F $tmp/ssh_config" \
		ANSIBLE_LOCAL_TEMP="$tmp" ANSIBLE_NOCOLOR=1 "$@"
}

recap_of()
{
	sed -n "s/^$1  *: *//p" "$tmp/out"
}

# Two of the machines have a client to drop.
ansible_works()
{
	local machine

	command -v ansible-playbook >/dev/null || skip "no ansible"
	make_keys
	for machine in web1 web2 web3; do
		start_sshd nsenter "--net=/run/netns/$machine"
		start_puppet "$machine" nsenter "--net=/run/netns/$machine"
		defer kill "${puppet_pid[$machine]}"
		ask_of "$machine" connect bystander 127.0.0.1 6379
		[ "$machine" = web2 ] || ask_of "$machine" connect target 127.0.0.1 6379 from=203.0.113.12
	done
	bystander 192.0.2.1 6379 from=203.0.113.11
	block cookbook.rst playbook
	mv "$tmp/block" "$tmp/drop.yml"
	block cookbook.rst ansible
	run play dash -e "$tmp/block"
	cat "$tmp/out" "$tmp/err"
	expect_exit 0
	for machine in web1 web2 web3; do
		ask_of "$machine" alive bystander
		expect_equal "the bystander of $machine" "$answer" 1
	done
	[[ $(recap_of web1) == "ok=1 "*"changed=1 "*"failed=0 "* ]]
	[[ $(recap_of web2) == "ok=1 "*"changed=0 "*"failed=0 "* ]]
	[[ $(recap_of web3) == "ok=1 "*"changed=1 "*"failed=0 "* ]]
	for machine in web1 web3; do
		ask_of "$machine" alive target
		expect_equal "the targets of $machine" "$answer" 0
	done
	expect_alive bystander
	expect_no_rules
}

blocks_are_narrow()
{
	not grep -n '^  .\{79\}' "$(doc cookbook.rst)"
}

in_own_namespaces "$@"
need_recipes cookbook.rst
the_command=$(find_command tcpdrop) || exit
# As if it were installed: a log-in gets the path of the system.
mkdir -p /usr/local/sbin
mount -t tmpfs tmpfs /usr/local/sbin
ln -s "$the_command" /usr/local/sbin/tcpdrop
PATH=/usr/local/sbin:$PATH
make_network
make_databases

claim "no block is wider than a terminal" blocks_are_narrow
claim "cookbook: a block by nftables that also ends what is open" nft_block_works
claim "cookbook: a block by a route that also ends what is open" route_block_works
claim "cookbook: a blocklist of 50,000 networks" blocklist_works
claim "cookbook: the address of a PostgreSQL server has moved" failover_works
claim "cookbook: clients drained at 500 a second" draining_works
claim "cookbook: everything but one's own SSH session" own_session_survives
claim "cookbook: a service" service_works
claim "cookbook: a user" user_works
claim "cookbook: a process" process_works
claim "cookbook: a container" container_works
claim "cookbook: the machine and all its containers" everywhere_works
claim "cookbook: all containers" containers_work
claim "cookbook: idle for too long" idle_works
claim "cookbook: CLOSE_WAIT of a service" close_wait_works
claim "cookbook: retransmitting into a dead peer" dead_peer_works
claim "cookbook: peers that do not read" hoarders_are_dropped
claim "cookbook: TIME_WAIT in the way of a bind" bind_works
# Takes its time, and what is special about it does not depend on the kernel.
if [ -z "${TCPDROP_BRIEF:-}" ]; then
	claim "cookbook: three machines by Ansible" ansible_works
fi
run_claims
