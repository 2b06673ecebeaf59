# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# What a guest boots from: a Debian bookworm root, an image for each kernel as it holds the modules.

guest_packages="bash coreutils grep sed gawk findutils procps util-linux kmod iproute2 iputils-ping
	busybox-static strace tcpdump curl nginx-light redis-server redis-tools openssh-server
	openssh-client postgresql-15 postgresql-client python3 ethtool nftables libcap2-bin
	netcat-openbsd netbase mandoc dash diffutils hostname mount mawk perl-base net-tools lsof
	rpcbind trace-cmd nfs-kernel-server samba fail2ban keepalived ansible-core systemd"

guest_passwd()
{
	cat <<-END
		root:x:0:0:root:/root:/bin/bash
		daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
		www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
		sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
		redis:x:101:101::/var/lib/redis:/usr/sbin/nologin
		postgres:x:102:102::/var/lib/postgresql:/bin/bash
		_rpc:x:103:65534::/run/rpcbind:/usr/sbin/nologin
		user:x:1000:1000:user:/home/user:/bin/bash
		nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	END
}

# No maintainer script has run: write the files that they would have written.
finish_guest()
{
	local tree=$1/tree type

	mkdir -p "$tree"/{dev,proc,sys,run,tmp,root,payload,results,home/user} \
		"$tree"/var/{lib/redis,log/redis,lib/postgresql,log/nginx,lib/nginx,www}
	guest_passwd >"$tree/etc/passwd"
	cut -d: -f1,3 "$tree/etc/passwd" | grep -v '^sshd\|^_rpc' | sed 's/:/:x:/; s/$/:/' |
		sed 's/^nobody/nogroup/' >"$tree/etc/group"
	sed 's/:.*/:*:19000:0:99999:7:::/' "$tree/etc/passwd" >"$tree/etc/shadow"
	echo tcpdrop >"$tree/etc/hostname"
	printf '%s\n' '127.0.0.1 localhost tcpdrop' '::1 localhost ip6-localhost' \
		>"$tree/etc/hosts"
	printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' 'services: files' \
		'protocols: files' >"$tree/etc/nsswitch.conf"
	for type in auth account password session; do
		echo "$type required pam_permit.so" >"$tree/etc/pam.d/common-$type"
	done
	cp "$tree"/etc/pam.d/common-session{,-noninteractive}
	cp "$tree/usr/share/openssh/sshd_config" "$tree/etc/ssh/"
	ln -sf gawk "$tree/usr/bin/awk"
	ln -sf nc.openbsd "$tree/usr/bin/nc"
	ln -sf cat "$tree/usr/bin/pager"
	ln -sf /proc/self/mounts "$tree/etc/mtab"
	rm -rf "$tree/var/run"
	ln -s /run "$tree/var/run"
	as_root ldconfig -r "$tree"
}

guest_dir()
{
	deb_tree guest bookworm install "$guest_packages" finish_guest
}

# image_from DIR IMAGE FREE-MEGABYTES
image_from()
{
	local dir=$1 image=$2 free=$3 used in_tree

	used=$(du -sm --apparent-size "$dir" | cut -f1)

	truncate -s $((used * 5 / 4 + free))M "$image"
	set_in_tree "$(tools_dir)/tree" sbin/mke2fs
	as_root "${in_tree[@]}" -q -F -t ext4 -O ^has_journal -m 0 -d "$dir" "$image"
}

# The modules that it takes to mount the root, in the order of loading: none if they are built in.
boot_modules()
{
	local kernel=$1

	run_in_tree "$(tools_dir)/tree" sbin/modprobe -d "$kernel/tree" -S "$(<"$kernel/release")" \
		--show-depends -a nvme ext4 | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }'
}

# make_initrd GUEST INITRD MODULE...: load these and go on with the root.
make_initrd()
{
	local guest=$1 initrd=$2 tree=$2.tree module number=100
	shift 2

	mkdir -p "$tree"/{bin,dev,root,modules}
	cp "$guest/tree/usr/bin/busybox" "$tree/bin/"
	for module; do
		cp "$module" "$tree/modules/$number.ko"
		number=$((number + 1))
	done
	install -m 755 "$vm_dir/initrd-init" "$tree/init"
	(cd "$tree" && find . | bin/busybox cpio -o -H newc) >"$initrd"
	rm -rf "$tree"
}

make_root_image()
{
	local guest=$1 kernel=$2 dir=$3 modules
	local tree=$dir/tree

	say "making the root image for $(<"$kernel/release")"
	mkdir -p "$dir"
	cp -al "$guest/tree" "$tree"
	cp -al "$kernel/tree/usr/lib/modules" "$tree/usr/lib/"
	install -m 755 "$vm_dir/guest-init" "$tree/usr/sbin/init"
	image_from "$tree" "$dir/image" 512
	rm -rf "$tree"
	mapfile -t modules < <(boot_modules "$kernel")
	[ ${#modules[@]} = 0 ] || make_initrd "$guest" "$dir/initrd" "${modules[@]}"
}

# root_image KERNEL-DIR: print the path of the image that this kernel boots from; next to it is the
# initrd where it takes one.
root_image()
{
	local kernel=$1 guest key name dir

	guest=$(guest_dir)
	key=$({ echo "$guest $kernel"; cat "$vm_dir"/{guest,initrd}-init; } | digest)
	name=${kernel##*/kernel-}
	dir=$(cached "root-${name%.*}" "$key" make_root_image "$guest" "$kernel")
	echo "$dir/image"
}
