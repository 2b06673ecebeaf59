#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tcpdrop together with the services of a machine, each of them the real program: systemd, fail2ban,
# nftables, keepalived, and what Prometheus reads. Commands and settings are those that services.rst
# shows, as they stand there.
# shellcheck disable=SC2317,SC2119 # functions that claims call

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/command_lib.sh"
. "$DIR/recipe_lib.sh"

need()
{
	local command

	for command; do
		command -v "$command" >/dev/null || skip "needs $command"
	done
}

# type_block NAME: its commands, which print nothing.
type_block()
{
	block services.rst "$1"
	run dash -e "$tmp/block"
	expect_exit 0
	expect_err
}

# cover DIRECTORY: what is written there stays in this claim; a new one has the content of the old.
cover()
{
	local copy

	copy=$(mktemp -d "$tmp/cover.XXXXXX")
	chmod 755 "$copy"
	[ ! -d "$1" ] || cp -a "$1/." "$copy"
	if [ ! -d "$1" ]; then
		mkdir -p "$1"
		defer rmdir "$1"
	fi
	mount --bind "$copy" "$1"
	defer umount -l "$1"
}

# cover_empty DIRECTORY
cover_empty()
{
	if [ ! -d "$1" ]; then
		mkdir -p "$1"
		defer rmdir "$1"
	fi
	mount -t tmpfs -o mode=755 tmpfs "$1"
	defer umount -l "$1"
}

# As make install leaves them, and then by the document.
install_examples()
{
	cover /usr/local
	mkdir -p /usr/local/sbin /usr/local/share/doc/tcpdrop/examples
	cp "$scripts/tcpdrop" /usr/local/sbin/
	cp "$scripts"/examples/* /usr/local/share/doc/tcpdrop/examples/
	type_block install
	PATH=/usr/local/sbin:$PATH
}

has_line()
{
	grep -q -- "$2" "$1"
}

# none_open FILTER...
none_open()
{
	local open

	open=$(ss -Htn state connected "$@") && [ -z "$open" ]
}

# systemd

units_are_well_formed()
{
	need systemd-analyze
	cover /usr/local
	mkdir -p /usr/local/sbin "$tmp/units"
	cp "$scripts/tcpdrop" /usr/local/sbin/tcpdrop-rules
	cp "$scripts"/systemd/*.service "$scripts"/systemd/*.timer "$tmp/units/"
	run systemd-analyze verify --man=no "$tmp/units/tcpdrop-rules.service" \
		"$tmp/units/tcpdrop-commit@web.service" "$tmp/units/tcpdrop-commit@web.timer"
	expect_exit 0
	expect_out
	expect_err
	expect_equal "the modules" "$(grep -v '^#' "$scripts/systemd/modules-load.conf")" tcpdrop
}

# The units as they are installed, in a machine of their own that has no other: systemd is its first
# process, and the network is that of the test.
start_systemd()
{
	local group=/sys/fs/cgroup/tcpdrop-systemd dir

	need systemctl /lib/systemd/systemd
	[ -e /sys/fs/cgroup/cgroup.procs ] || skip "no cgroup v2 in /sys/fs/cgroup"
	cover /usr/local
	for dir in /run /etc/systemd/system /etc/tcpdrop.d /lib/systemd/system/*.target.wants; do
		cover_empty "$dir"
	done
	mkdir -p /usr/local/lib/systemd/system /usr/local/sbin
	cp "$scripts"/systemd/*.service "$scripts"/systemd/*.timer /usr/local/lib/systemd/system/
	cp "$scripts/tcpdrop-rules" "$scripts/tcpdrop" /usr/local/sbin/
	printf '%s\n' '[Unit]' 'DefaultDependencies=no' >/etc/systemd/system/nothing.target
	[ -e /etc/machine-id ] || touch /etc/machine-id
	tr -d - </proc/sys/kernel/random/uuid >"$tmp/machine-id"
	mkdir "$group"
	defer wait_for remove_group
	# shellcheck disable=SC2016 # for that shell
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" \
		unshare --pid --fork --kill-child --mount --propagation private --cgroup --ipc --uts sh -c '
		mount -t proc proc /proc
		umount -l /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount --bind "$1" /etc/machine-id
		exec env container=other /lib/systemd/systemd --system --unit=nothing.target \
			--show-status=no --log-target=null' - "$tmp/machine-id" \
		>"$tmp/systemd.log" 2>&1 &
	defer cat "$tmp/systemd.log"
	defer wait_for_end $!
	defer kill -s KILL $!
	wait_for [ -S /run/systemd/private ]
	systemd=$(pgrep -P $!)
}

in_systemd()
{
	nsenter --target "$systemd" --pid --mount --cgroup -- "$@"
}

remove_group()
{
	find /sys/fs/cgroup/tcpdrop-systemd -depth -type d -exec rmdir {} + 2>/dev/null
}

# says_state UNIT STATE
says_state()
{
	expect_equal "the state of $1" "$(in_systemd systemctl show -P ActiveState "$1")" "$2"
}

# Those that a claim left which has failed.
remove_rules()
{
	rules_left | xargs -r rmdir
}

clients_of_rule_web()
{
	ask forget
	ask connect target 192.0.2.1 7000 from=203.0.113.11
	ask connect bystander 192.0.2.1 22
	ask connect bystander 192.0.2.1 7001 from=203.0.113.11
}

none_to_web()
{
	none_open src 192.0.2.1 sport = 7000
}

units_follow_the_files()
{
	in_systemd systemctl start tcpdrop-rules
	says_state tcpdrop-rules.service inactive
	expect_no_rules

	printf '%s\n' '[web]' 'sport = 7000' >/etc/tcpdrop.d/web.rules
	in_systemd systemctl start tcpdrop-rules
	mkdir "$rules/by-hand"
	printf '%s\n' '[web]' 'sport = 7001' >/etc/tcpdrop.d/web.rules
	in_systemd systemctl reload tcpdrop-rules
	expect_equal "sport" "$(<"$rules/web/sport")" 7001
	printf '%s\n' '[web]' 'sport = 70000' >/etc/tcpdrop.d/web.rules
	not in_systemd systemctl reload tcpdrop-rules
	says_state tcpdrop-rules.service active
	expect_equal "sport" "$(<"$rules/web/sport")" 7001
	printf '%s\n' '[web]' 'sport = 7001' >/etc/tcpdrop.d/web.rules
	in_systemd systemctl restart tcpdrop-rules
	expect_equal "the rules" "$(rules_there | sort | xargs)" "by-hand web"
	in_systemd systemctl stop tcpdrop-rules
	says_state tcpdrop-rules.service inactive
	expect_equal "the rules" "$(rules_there | xargs)" by-hand
	rmdir "$rules/by-hand"

	printf '%s\n' '[web]' 'sport = 70000' >/etc/tcpdrop.d/web.rules
	not in_systemd systemctl start tcpdrop-rules
	says_state tcpdrop-rules.service failed
	expect_no_rules
}

# Rules at boot, one that protects among them, then a commit now and one on a timer.
units_work()
{
	cat >/etc/tcpdrop.d/web.rules <<-END
		[web]
		sport = 7000
	END
	cat >/etc/tcpdrop.d/ssh.rules <<-END
		[ssh]
		port = 22
		protect = yes
	END
	clients_of_rule_web
	block services.rst units
	head -n 2 "$tmp/block" >"$tmp/first"
	tail -n 1 "$tmp/block" >"$tmp/second"
	expect_equal "the commands" "$(wc -l <"$tmp/block")" 3
	in_systemd bash -e "$tmp/first"
	says_state tcpdrop-rules.service active
	expect_equal "the rules" "$(rules_there | sort | xargs)" "ssh web"
	expect_equal "protect" "$(<"$rules/ssh/protect")" yes
	none_to_web
	expect_answer 0 alive target
	expect_alive bystander 2

	clients_of_rule_web
	block services.rst interval
	in_systemd dash -e "$tmp/block"
	in_systemd bash -e "$tmp/second"
	wait_for none_to_web
	clients_of_rule_web
	wait_for none_to_web
	expect_alive bystander 2
	in_systemd systemctl stop tcpdrop-commit@web.timer

	not in_systemd systemctl start tcpdrop-commit@nobody
	says_state tcpdrop-commit@nobody.service failed
	expect_equal "the rules" "$(rules_there | sort | xargs)" "ssh web"
}

a_machine_with_systemd()
{
	start_systemd
	defer remove_rules
	units_follow_the_files
	units_work
}

wait_for_end()
{
	wait "$1" 2>/dev/null || true
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

# fail2ban

# log_says ADDRESS
log_says()
{
	echo "$(date '+%F %T') login failed from $1" >>"$tmp/web.log"
}

# Jails: one for the ports of a service, two for all ports, one whose port nobody knows, one with a
# comma for a port, and one that is not about TCP.
start_fail2ban()
{
	need fail2ban-server fail2ban-client nft
	cover /etc/fail2ban
	rm -rf "$tmp/fail2ban" "$tmp/fail2ban.log"
	mkdir "$tmp/fail2ban"
	cp "$scripts/fail2ban/tcpdrop.conf" /etc/fail2ban/action.d/
	rm -f /etc/fail2ban/jail.d/*
	block services.rst fail2ban
	cp "$tmp/block" /etc/fail2ban/jail.local
	block services.rst fail2ban-nftables
	cp "$tmp/block" /etc/fail2ban/action.d/nftables.local
	printf '%s\n' '[Definition]' 'failregex = ^\s*login failed from <ADDR>$' \
		>/etc/fail2ban/filter.d/web.conf
	: >"$tmp/web.log"
	defer nft flush ruleset
	cat >>/etc/fail2ban/jail.local <<-END
		backend = polling
		logpath = $tmp/web.log
		filter = web
		maxretry = 1
		bantime = 1h
		[web]
		enabled = true
		port = http-alt,6380:6389
		[all]
		enabled = true
		maxretry = 1000
		action = tcpdrop
		[range]
		enabled = true
		maxretry = 1000
		action = tcpdrop[port="0:65535"]
		[unknown]
		enabled = true
		maxretry = 1000
		action = tcpdrop[port="http-alt,nobody-knows"]
		[comma]
		enabled = true
		maxretry = 1000
		action = tcpdrop[port=","]
		[datagrams]
		enabled = true
		maxretry = 1000
		action = tcpdrop[protocol=udp]
	END
	cat >/etc/fail2ban/fail2ban.local <<-END
		[DEFAULT]
		loglevel = DEBUG
		logtarget = $tmp/fail2ban.log
		socket = $tmp/fail2ban/socket
		pidfile = $tmp/fail2ban/pid
		dbfile = None
	END
	fail2ban-server -xf start >"$tmp/fail2ban.out" 2>&1 &
	fail2ban=$!
	defer grep 'ERROR\|Ban\|std' "$tmp/fail2ban.log"
	defer wait_for_end "$fail2ban"
	defer kill -s KILL "$fail2ban"
	wait_for has_started
}

has_started()
{
	has_line "$tmp/fail2ban.log" "Jail 'datagrams' started" 2>/dev/null
}

is_blocked()
{
	not nc -z -w 1 -s "$1" "$2" "$3"
}

is_let_in()
{
	nc -z -w 1 -s "$1" "$2" "$3"
}

# The one who is banned has connections to the service, and to what the jail is not about; so has
# somebody else.
a_ban_ends_what_is_open()
{
	start_fail2ban
	ask connect target 192.0.2.1 8080 from=203.0.113.11 count=2
	ask connect target 192.0.2.1 6385 from=203.0.113.11
	ask connect bystander 192.0.2.1 22 from=203.0.113.11
	ask connect bystander 192.0.2.1 8080 from=203.0.113.12
	ask connect bystander 203.0.113.11 8080 from=192.0.2.1
	ask connect target6 2001:db8::1 8080 from=2001:db8:f00d::13

	log_says 203.0.113.11
	wait_for none_open dst 203.0.113.11 '( sport = 8080 or sport = 6385 )' src 192.0.2.1
	expect_answer 0 alive target
	expect_alive bystander 3
	expect_alive target6
	is_blocked 203.0.113.11 192.0.2.1 8080
	is_let_in 203.0.113.12 192.0.2.1 8080
	wait_for no_rules

	log_says 2001:db8:f00d::13
	wait_for none_open dst '[2001:db8:f00d::13]' sport = 8080
	expect_answer 0 alive target6
	expect_alive bystander 3

	fail2ban-client set web unbanip 203.0.113.11
	wait_for is_let_in 203.0.113.11 192.0.2.1 8080
	ask connect again 192.0.2.1 6385 from=203.0.113.11
	wait_for no_rules
	stop_fail2ban
	expect_alive bystander 3
	expect_alive again
	expect_no_rules
	expect_equal "what nftables has left" "$(nft list ruleset)" ""
	not has_line "$tmp/fail2ban.log" ERROR
}

stop_fail2ban()
{
	fail2ban-client stop
	wait_for has_ended "$fail2ban"
}

networks_are_banned()
{
	ask connect target 192.0.2.1 8080 from=203.0.113.11
	ask connect target 192.0.2.1 8080 from=203.0.113.12
	ask connect target 2001:db8::1 8080 from=2001:db8:f00d::13
	ask connect bystander 192.0.2.1 22 from=203.0.113.12
	ask connect bystander 192.0.2.1 8080 from=198.51.100.20
	ask connect bystander 2001:db8::1 8080 from=2001:db8::1
	block services.rst banip
	run dash -e "$tmp/block"
	expect_exit 0
	expect_err
	wait_for none_open dst 203.0.113.0/24 sport = 8080
	wait_for none_open dst '[2001:db8:f00d::/48]' sport = 8080
	expect_answer 0 alive target
	expect_alive bystander 3
	is_blocked 203.0.113.11 192.0.2.1 8080
	is_blocked 2001:db8:f00d::13 2001:db8::1 8080
	expect_no_rules
	not has_line "$tmp/fail2ban.log" ERROR
	fail2ban-client unban --all
	expect_alive bystander 3
}

# Without ports everything of the address goes; in a jail whose port is unknown or a comma, and in
# one that is not about TCP, nothing does.
ports_are_understood()
{
	ask connect target 192.0.2.1 8080 from=203.0.113.11
	ask connect target 192.0.2.1 22 from=203.0.113.11
	ask connect other 192.0.2.1 65535 from=203.0.113.12
	ask connect bystander 192.0.2.1 8080 from=198.51.100.20
	fail2ban-client set unknown banip 203.0.113.11
	wait_for has_line "$tmp/fail2ban.log" 'ERROR.*Failed to execute ban.*unknown'
	has_line "$tmp/fail2ban.log" 'tcpdrop: sport: "unknown": not a port number'
	fail2ban-client set comma banip 203.0.113.11
	wait_for has_line "$tmp/fail2ban.log" 'ERROR.*Failed to execute ban.*comma'
	ask connect bystander 192.0.2.1 8080 from=198.51.100.8
	fail2ban-client set datagrams banip 198.51.100.8
	wait_for has_line "$tmp/fail2ban.log" 'NOTICE.*\[datagrams\] Ban'
	expect_alive target 2
	fail2ban-client set range banip 203.0.113.12
	wait_for none_open dst 203.0.113.12
	expect_answer 0 alive other
	expect_alive target 2
	fail2ban-client set all banip 203.0.113.11
	wait_for none_open dst 203.0.113.11
	expect_answer 0 alive target
	stop_fail2ban
	expect_alive bystander 2
	expect_no_rules
}

bans_by_hand()
{
	start_fail2ban
	networks_are_banned
	ask forget
	ports_are_understood
}

# nftables

a_set_is_kept_out()
{
	need nft
	install_examples
	type_block nft-table
	defer nft flush ruleset
	run tcpdrop-nft-set inet filter blocked
	expect_exit 0
	expect_out
	expect_err

	ask connect target 192.0.2.1 8080 from=203.0.113.11
	ask connect target 192.0.2.1 443 from=203.0.113.12
	ask connect target 192.0.2.1 443 from=198.51.100.8
	ask connect target 2001:db8::1 443 from=2001:db8:f00d::13
	ask connect bystander 192.0.2.1 8080 from=198.51.100.20
	ask connect bystander 2001:db8::1 443
	block services.rst nft-set
	run dash -e "$tmp/block"
	expect_exit 0
	expect_err
	expect_equal "the lines" "$(grep -c ': dropped$' "$tmp/out")" 4
	none_open dst 203.0.113.0/24
	expect_answer 0 alive target
	expect_alive bystander 2
	is_blocked 203.0.113.11 192.0.2.1 8080
	is_blocked 2001:db8:f00d::13 2001:db8::1 443
	is_let_in 198.51.100.20 192.0.2.1 8080
	expect_no_rules
}

# With timeouts, counters and comments; attributes are handed on; what is no address is refused.
sets_of_all_kinds()
{
	need nft
	install_examples
	nft add table ip other
	defer nft flush ruleset
	nft add set ip other long \
		'{ type ipv4_addr; flags timeout; comment "elements = { 198.51.100.20 }"; }'
	nft add set ip other ports '{ type inet_service; elements = { 22, 443 }; }'
	nft add set ip other pairs '{ type ipv4_addr . inet_service; elements = { 203.0.113.11 . 443 }; }'
	nft add set ip other names '{ type ifname; elements = { "eth0", "lo" }; }'
	seq -f '10.1.0.%g comment "a, } b"' 1 200 | paste -sd , |
		sed 's/.*/add element ip other long { & }/' | nft -f -
	nft add element ip other long \
		'{ 203.0.113.11 timeout 1h comment "198.51.100.20, }", 203.0.113.12 timeout 2h }'
	ask connect target 192.0.2.1 443 from=203.0.113.11
	ask connect target 192.0.2.1 443 from=203.0.113.12
	ask connect bystander 192.0.2.1 22 from=203.0.113.11
	ask connect bystander 192.0.2.1 443 from=198.51.100.20

	for set in ports pairs names none; do
		run tcpdrop-nft-set ip other "$set"
		expect_exit 1
		expect_out
		[ -s "$tmp/err" ]
	done
	run tcpdrop-nft-set ip other
	expect_exit 2
	expect_alive target 2

	run tcpdrop-nft-set ip other long sport=443
	expect_exit 0
	expect_err
	expect_equal "the lines" "$(grep -c ': dropped$' "$tmp/out")" 2
	expect_answer 0 alive target
	expect_alive bystander 2
	expect_no_rules
}

# keepalived

# in_router NAME COMMAND...
in_router()
{
	nsenter --net="/run/netns/tcpdrop-$1" "${@:2}"
}

# make_router NAME ADDRESS: on the bridge, with a server that echoes.
make_router()
{
	local name=$1

	defer ip netns del "tcpdrop-$name"
	defer ip link del "tcpdrop-$name"
	add_netns "tcpdrop-$name" "tcpdrop-$name"
	ip link set "tcpdrop-$name" master tcpdrop-br up
	in_router "$name" ip link set eth0 up
	in_router "$name" ip addr add "$2/24" dev eth0
	in_router "$name" ip link add watched type veth peer name watcher
	in_router "$name" ip link set watched up
	in_router "$name" ip link set watcher up
	nsenter --net="/run/netns/tcpdrop-$name" python3 -c '
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64
Server(("", 8080), Echo).serve_forever()' &
	defer wait_for_end $!
	defer kill $!
	wait_for nc -z "$2" 8080
}

# start_keepalived NAME PRIORITY
start_keepalived()
{
	local name=$1

	echo 0 >"$tmp/$name.weight"
	block services.rst keepalived
	cat >"$tmp/$name.conf" <<-END
		global_defs {
			script_user root
			enable_script_security
			vrrp_garp_master_delay 0
		}
		track_file weight {
			file $tmp/$name.weight
		}
		vrrp_instance web {
			interface eth0
			state BACKUP
			virtual_router_id 51
			priority $2
			advert_int 3
			virtual_ipaddress {
				192.0.2.10/24
			}
			track_interface {
				watched
			}
			track_file {
				weight weight 1
			}
		$(<"$tmp/block")
		}
	END
	nsenter --net="/run/netns/tcpdrop-$name" keepalived --dont-fork --log-console --no-syslog --vrrp \
		-f "$tmp/$name.conf" -p "$tmp/$name.pid" -r "$tmp/$name.vrrp" \
		>"$tmp/$name.log" 2>&1 &
	keepalived[$name]=$!
	defer cat "$tmp/$name.log"
	defer wait_for_end $!
	defer kill $!
}

has_address()
{
	in_router "$1" ip -o addr show to 192.0.2.10 | grep -q .
}

# talk FD: a line goes there and comes back.
talk()
{
	local line

	echo hello >&"$1" && read -r -t 60 line <&"$1" && [ "$line" = hello ]
}

served()
{
	in_router "$1" ss -Htn state established sport = 8080 src "$2" | wc -l
}

none_served()
{
	[ "$(served "$@")" = 0 ]
}

declare -A keepalived

make_routers()
{
	need keepalived nc
	install_examples
	chmod 755 "$tmp"
	ip link add tcpdrop-br type bridge || skip "no bridges"
	defer ip link del tcpdrop-br
	ip addr add 192.0.2.100/24 dev tcpdrop-br
	ip link set tcpdrop-br up
	make_router a 192.0.2.2
	make_router b 192.0.2.3
	start_keepalived a 150
	wait_for has_address a
	start_keepalived b 100
	wait_for has_line "$tmp/b.log" 'BACKUP STATE'
}

# Of this machine, which is the clients'.
connected_to_address()
{
	ss -Htn state established dst 192.0.2.10 | wc -l
}

# move_by COMMAND...: it makes the address move from a to b. A client that waits, one that sends,
# and bystanders who talk to addresses that stay. Nothing leaves a any more that could tell the clients.
move_by()
{
	local waiting sending a b again

	echo "$*:"
	exec {waiting}<>/dev/tcp/192.0.2.10/8080 {sending}<>/dev/tcp/192.0.2.10/8080
	exec {a}<>/dev/tcp/192.0.2.2/8080 {b}<>/dev/tcp/192.0.2.3/8080
	talk "$waiting"
	talk "$sending"
	talk "$a"
	talk "$b"
	expect_equal "the connections of a" "$(served a 192.0.2.10)" 2
	"$@"
	wait_for has_address b
	not has_address a
	wait_for none_served a 192.0.2.10
	wait_for no_rules
	expect_equal "the clients that know nothing" "$(connected_to_address)" 2
	talk "$a"
	talk "$b"
	not talk "$sending"
	exec {again}<>/dev/tcp/192.0.2.10/8080
	talk "$again"
	expect_equal "the connections of b" "$(served b 192.0.2.10)" 1
	exec {waiting}>&- {sending}>&- {a}>&- {b}>&- {again}>&-
}

# As before a planned move: clients are told, and connect again.
drop_before_the_move()
{
	local first second bystander

	exec {first}<>/dev/tcp/192.0.2.10/8080 {second}<>/dev/tcp/192.0.2.10/8080
	exec {bystander}<>/dev/tcp/192.0.2.2/8080
	talk "$first"
	talk "$second"
	block services.rst keepalived-planned
	in_router a dash -e "$tmp/block" >"$tmp/out"
	expect_equal "the lines" "$(grep -c ': dropped$' "$tmp/out")" 2
	wait_for [ "$(connected_to_address)" = 0 ]
	talk "$bystander"
	exec {first}>&- {second}>&- {bystander}>&-
}

an_address_moves()
{
	make_routers
	drop_before_the_move
	move_by eval "echo -100 >'$tmp/a.weight'"
	echo 0 >"$tmp/a.weight"
	wait_for has_address a
	move_by in_router a ip link set watched down
	in_router a ip link set watched up
	wait_for has_address a
	move_by kill "${keepalived[a]}"
}

# An address that is here is not dropped, whatever keepalived has said.
an_address_that_is_here_is_spared()
{
	install_examples
	ask connect bystander 192.0.2.1 8080
	run tcpdrop-moved 192.0.2.1 2001:db8::1
	expect_exit 0
	expect_out
	expect_err
	expect_alive bystander
}

# Where ip says nothing, the address may still be here.
an_address_is_spared_where_ip_fails()
{
	install_examples
	ask connect bystander 192.0.2.1 8080
	mkdir "$tmp/failing"
	printf '#!/bin/sh\necho "ip: no memory" >&2\nexit 1\n' >"$tmp/failing/ip"
	chmod +x "$tmp/failing/ip"
	run env "PATH=$tmp/failing:$PATH" tcpdrop-moved 192.0.2.1
	expect_exit 1
	expect_out
	expect_err "ip: no memory"
	expect_alive bystander
}

# A connection to 192.0.2.77, which is not here any more, and one to what is.
connect_to_what_moves()
{
	install_examples
	ip addr add 192.0.2.77/32 dev lo
	ask connect target 192.0.2.77 8080
	ask connect bystander 192.0.2.1 8080
	ip addr del 192.0.2.77/32 dev lo
}

# With the prefix that the address had, in which others are still here.
an_address_is_dropped_without_its_prefix()
{
	connect_to_what_moves
	run tcpdrop-moved 192.0.2.77/24
	expect_exit 0
	expect_err
	expect_equal "what was dropped" "$(grep -c ': dropped$' "$tmp/out")" 2
	expect_alive bystander
}

# When keepalived stops it ends its scripts a second later: this one is at its first look then.
an_address_is_dropped_to_the_end()
{
	connect_to_what_moves
	mkdir "$tmp/slow"
	printf '#!/bin/sh\ntouch %s/looks\nsleep 2\nexec %s "$@"\n' "$tmp" "$(command -v ip)" \
		>"$tmp/slow/ip"
	chmod +x "$tmp/slow/ip"
	PATH=$tmp/slow:$PATH setsid env --default-signal tcpdrop-moved 192.0.2.77 >"$tmp/out" &
	wait_for [ -e "$tmp/looks" ]
	kill $!
	wait $!
	expect_equal "what was dropped" "$(grep -c ': dropped$' "$tmp/out")" 2
	expect_alive bystander
}

# Prometheus

# Text format: each metric has its HELP and its TYPE once, before its samples, which are together.
parse_metrics()
{
	python3 - "$1" <<-'END'
		import re, sys
		text = open(sys.argv[1]).read()
		assert text.endswith("\n") and "\n\n" not in text
		helped, typed, seen, current = set(), {}, set(), None
		for line in text.splitlines():
		    if match := re.fullmatch(r"# HELP ([a-z_]+) (\S.*\S)", line):
		        name = match[1]
		        assert name not in helped, line
		        helped.add(name)
		        current = name
		    elif match := re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge)", line):
		        assert match[1] == current and match[1] not in typed, line
		        assert match[2] != "counter" or match[1].endswith("_total"), line
		        typed[match[1]] = match[2]
		    else:
		        match = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"\\]*"\})? ([0-9]+)', line)
		        assert match and match[1] == current and current in typed, line
		        assert (match[1], match[2]) not in seen, line
		        seen.add((match[1], match[2]))
		        print(match[1] + (match[2] or ""), match[3])
		assert helped == set(typed) == {name for name, label in seen}
	END
}

metric()
{
	awk -v name="$2" '$1 == name { print $2 }' "$1"
}

# What has moved since before is what was dropped.
expect_moved()
{
	expect_equal "$1" "$(($(metric "$tmp/after" "$1") - $(metric "$tmp/before" "$1")))" "$2"
}

metrics_are_counters()
{
	local dir=/var/lib/prometheus/node-exporter file

	install_examples
	mkdir -p "$dir"
	mount -t tmpfs tmpfs "$dir"
	defer umount "$dir"
	file=$dir/tcpdrop.prom
	type_block metrics
	parse_metrics "$file" >"$tmp/before"
	expect_equal "the number of samples" "$(wc -l <"$tmp/before")" 15
	ask connect target 192.0.2.1 8080 count=3 from=203.0.113.11
	tcpdrop daddr=203.0.113.11
	type_block metrics
	parse_metrics "$file" >"$tmp/after"
	expect_moved 'tcpdrop_dropped_total{state="ESTABLISHED"}' 3
	expect_moved 'tcpdrop_dropped_total{state="TIME_WAIT"}' 0
	expect_moved tcpdrop_matched_total 3
	expect_moved tcpdrop_commits_total 1
	expect_moved tcpdrop_failed_total 0
	expect_equal "the files" "$(ls "$dir")" tcpdrop.prom
	expect_equal "its mode" "$(stat -c %a "$file")" 644
	run tcpdrop-metrics
	cmp "$tmp/out" "$file"
	# Under a shell whose awk does not tell that its output was lost.
	run writes_to_full busybox sh "$(command -v tcpdrop-metrics)"
	expect_exit 1
}

# Without the module's numbers the old file stays, and nothing lies beside it.
no_metrics_leave_the_file()
{
	install_examples
	mkdir "$tmp/metrics"
	echo old >"$tmp/metrics/tcpdrop.prom"
	# shellcheck disable=SC2016 # for that shell
	run unshare --mount sh -c 'umount /sys/kernel/config && tcpdrop-metrics "$1"' - \
		"$tmp/metrics/tcpdrop.prom"
	[ "$status" != 0 ]
	[ -s "$tmp/err" ]
	expect_equal "the files" "$(ls "$tmp/metrics")" tcpdrop.prom
	run sh -c 'umask 077; tcpdrop-metrics "$1"' - "$tmp/metrics/other.prom"
	expect_exit 0
	expect_equal "who may read it" "$(stat -c %a "$tmp/metrics/other.prom")" 644
	expect_equal "the file" "$(<"$tmp/metrics/tcpdrop.prom")" old
}

in_own_namespaces "$@"
the_command=$(find_command tcpdrop)
scripts=${the_command%/*}
[ -d "$scripts/examples" ] || skip_all "needs the project's scripts"
need_recipes services.rst
for address in 192.0.2.1 203.0.113.11 203.0.113.12 198.51.100.8 198.51.100.20 2001:db8::1 \
	2001:db8:f00d::13; do
	ip addr add $address dev lo
done

claim "fail2ban: a ban ends what is open to the jail's ports, and leaves nothing behind" \
	a_ban_ends_what_is_open
claim "fail2ban: networks are banned; ports are numbers, ranges, names or none" bans_by_hand
claim "nftables: what is added to a set is blocked, and what it has open ends" a_set_is_kept_out
claim "nftables: elements with timeouts and comments, and sets that are refused" sets_of_all_kinds
claim "keepalived: an address moves from a machine that is worse, has a fault, stops" \
	an_address_moves
claim "keepalived: an address that is here is spared" an_address_that_is_here_is_spared
claim "keepalived: an address is spared where ip fails" an_address_is_spared_where_ip_fails
claim "keepalived: an address is dropped, and not its prefix" an_address_is_dropped_without_its_prefix
claim "keepalived: what has moved is dropped, though keepalived stops" an_address_is_dropped_to_the_end
claim "Prometheus: what is written are counters, and they count" metrics_are_counters
claim "Prometheus: without the module the old file stays" no_metrics_leave_the_file
claim "systemd: the units are well-formed" units_are_well_formed
if [ -e "$scripts/tcpdrop-rules" ]; then
	claim "systemd: rules at boot, committed now and on a timer, changed as the files say" \
		a_machine_with_systemd
fi
run_claims
