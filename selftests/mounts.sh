#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shellcheck disable=SC2317 # the functions are called by claims
#
# The kernel's own connections dropped by a rule with kernel = yes, of the two kinds that operators
# ask for, with the real programs: what an NFS server keeps of a client whose address has moved, and
# a CIFS mount whose server is silent. No more is lost than the connection.

. "$(dirname "$0")/lib.sh"

in_own_namespaces "$@"

# In a claim: what it takes to serve.
need()
{
	local command

	for command; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null ||
			skip "needs $command"
	done
}

need_modules()
{
	local module

	for module; do
		modprobe "$module" || lacks "the kernel has no $module"
	done
}

# make_rule NAME ATTRIBUTE=VALUE...
make_rule()
{
	local name=$1 pair
	shift

	mkdir "$rules/$name"
	defer rmdir "$rules/$name"
	for pair; do
		echo "${pair#*=}" >"$rules/$name/${pair%%=*}"
	done
}

expect_result()
{
	expect_equal "result/$2" "$(<"$rules/$1/result/$2")" "$3"
}

is_served()
{
	nc -z "$@" </dev/null
}

has_connection()
{
	[ -n "$(connections "$@")" ]
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

expect_content()
{
	expect_equal "the content of $1" "$(<"$1")" "$2"
}

# CIFS

smb=$tmp/smb

write_smb_conf()
{
	cat <<-END
		[global]
		server role = standalone server
		map to guest = bad user
		guest account = nobody
		smb ports = 445
		disable netbios = yes
		load printers = no
		log file = $smb/log
		private dir = $smb/private
		lock directory = $smb/lock
		state directory = $smb/state
		cache directory = $smb/cache
		pid directory = $smb/run
		ncalrpc dir = $smb/ncalrpc
		[share]
		path = $smb/share
		guest ok = yes
		read only = no
	END
}

smbd_group()
{
	kill "-$1" -- "-$smbd"
}

start_smbd()
{
	mkdir -p "$smb"/{private,lock,state,cache,run,ncalrpc,share}
	chmod 755 "$tmp" "$smb"
	chmod 777 "$smb/share"
	write_smb_conf >"$smb/conf"
	setsid smbd --foreground --no-process-group --configfile="$smb/conf" \
		--debug-stdout >"$smb/out" 2>&1 &
	smbd=$!
	defer wait_for_end "$smbd"
	defer smbd_group KILL
	wait_for is_served 127.0.0.1 445
}

wait_for_end()
{
	wait "$1" 2>/dev/null || true
}

mount_share()
{
	mkdir -p "$tmp/mnt"
	mount -i -t cifs //127.0.0.1/share "$tmp/mnt" \
		-o unc=//127.0.0.1/share,ip=127.0.0.1,username=user,password=x,vers=3.0,hard,cache=none
	defer umount -l "$tmp/mnt"
	defer smbd_group CONT
}

# A process's own connection to the server is the bystander. The client connects anew at once, and what
# it has then may be dropped as well.
a_silent_cifs_server()
{
	local port=":445" user reader before mounted

	need smbd
	need_modules cifs
	start_smbd
	exec {user}<>/dev/tcp/127.0.0.1/445
	before=$(connections "( dport = $port )")
	expect_equal "the number of connections" "$(wc -l <<<"$before")" 1
	mount_share
	echo before >"$tmp/mnt/file"
	make_rule cifs kernel=yes dport=445
	expect_equal count "$(<"$rules/cifs/count")" 1
	mounted=$(connections "( dport = $port )" | grep -vxF "$before")

	smbd_group STOP
	cat "$tmp/mnt/file" >"$tmp/read" &
	reader=$!
	echo 1 >"$rules/cifs/commit"
	[ "$(<"$rules/cifs/result/dropped")" -ge 1 ]
	expect_result cifs failed 0
	connections "( dport = $port )" >"$tmp/connections"
	not grep -qxF "$mounted" "$tmp/connections"

	smbd_group CONT
	wait_for has_ended "$reader"
	expect_content "$tmp/read" before
	echo after >"$tmp/mnt/file"
	expect_content "$smb/share/file" after
	connections "( dport = $port )" | grep -qxF "$before"
	exec {user}>&-
}

# NFS: the server in this namespace, each client in one of its own.

start_nfsd()
{
	mount -t tmpfs tmpfs /var/lib/nfs
	defer umount -l /var/lib/nfs
	mkdir -p "$tmp/export" /var/lib/nfs/{v4recovery,rpc_pipefs,nfsdcld}
	touch /var/lib/nfs/{etab,rmtab,state}
	mount -t nfsd nfsd /proc/fs/nfsd
	defer umount /proc/fs/nfsd
	rpcbind -f &
	defer kill $!
	wait_for is_served 127.0.0.1 111
	exportfs -i -o rw,fsid=0,no_root_squash,insecure,no_subtree_check "*:$tmp/export"
	defer exportfs -ua
	rpc.mountd -F -N 3 &
	defer kill $!
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	rpc.nfsd -N 3 -V 4 2
	defer rpc.nfsd 0
	wait_for is_served 127.0.0.1 2049
}

# in_client N COMMAND...
in_client()
{
	nsenter --net="/run/netns/tcpdrop-client$1" "${@:2}"
}

# start_client N: client N has the address 10.9.N.2, the server 10.9.N.1, and has mounted its export.
start_client()
{
	local n=$1

	defer ip netns del "tcpdrop-client$n"
	add_netns "tcpdrop-client$n" "tcpdrop$n"
	ip addr add "10.9.$n.1/24" dev "tcpdrop$n"
	ip link set "tcpdrop$n" up
	in_client "$n" ip addr add "10.9.$n.2/24" dev eth0
	in_client "$n" ip link set eth0 up
	mkdir -p "$tmp/client$n"
	in_client "$n" mount -i -t nfs "10.9.$n.1:/" "$tmp/client$n" \
		-o "vers=4.2,addr=10.9.$n.1,clientaddr=10.9.$n.2,noac"
	defer umount -f -l "$tmp/client$n"
}

# The second client is the bystander.
a_moved_nfs_client()
{
	local reader other

	need exportfs rpc.mountd rpc.nfsd rpcbind nc
	need_modules nfsd nfsv4
	start_nfsd
	start_client 1
	start_client 2
	echo before >"$tmp/client1/file"
	expect_content "$tmp/client2/file" before
	other=$(connections "( sport = :2049 )" dst 10.9.2.2)

	in_client 1 ip addr add 10.9.1.3/24 dev eth0
	in_client 1 ip addr del 10.9.1.2/24 dev eth0
	in_client 1 ip addr add 10.9.1.3/24 dev eth0 2>/dev/null || true
	make_rule moved kernel=yes sport=2049 daddr=10.9.1.2
	echo 1 >"$rules/moved/commit"
	expect_result moved matched 1
	expect_result moved dropped 1
	expect_result moved remaining 0

	expect_equal "the other client's connection" \
		"$(connections "( sport = :2049 )" dst 10.9.2.2)" "$other"
	echo meanwhile >"$tmp/client2/file"

	make_rule client kernel=yes dport=2049 saddr=10.9.1.2 \
		"netns=$(in_client 1 readlink /proc/self/ns/net)"
	echo 1 >"$rules/client/commit"
	expect_result client dropped 1
	cat "$tmp/client1/file" >"$tmp/read" &
	reader=$!
	wait_for has_ended "$reader"
	expect_content "$tmp/read" meanwhile
	has_connection "( sport = :2049 )" dst 10.9.1.3
}

claim "a rule with kernel = yes drops a CIFS mount's connection to a silent server, and the mount goes on" \
	a_silent_cifs_server
claim "a rule with kernel = yes drops what nfsd keeps of a client that has moved, and all are served on" \
	a_moved_nfs_client

run_claims
