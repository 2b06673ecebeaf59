# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# QEMU 10 or newer, and the tools that make what it boots. QEMU 7.2, bookworm's own, emulates
# cmpxchg16b wrongly and loses races when each guest CPU has a thread.

tools_packages="qemu-system-x86 kmod e2fsprogs"

# Print the directory of host tools that do not have to be installed.
tools_dir()
{
	deb_tree tools "bookworm bookworm-backports" install \
		"$tools_packages"
}

host_qemu_is_new()
{
	local version

	version=$(qemu-system-x86_64 --version 2>/dev/null | grep -o -m1 '[0-9]\+' | head -n 1)
	[ "${version:-0}" -ge 10 ]
}

# KVM is of use only where the CPU has it: /dev/kvm alone says nothing.
have_kvm()
{
	grep -q -w -E 'vmx|svm' /proc/cpuinfo && [ -r /dev/kvm ] && [ -w /dev/kvm ]
}

qemu_accel()
{
	if have_kvm; then
		echo "-accel kvm -cpu host"
	else
		echo "-accel tcg,thread=multi -cpu max"
	fi
}

# find_qemu: sets qemu to the command and its first arguments.
find_qemu()
{
	local tree

	qemu=(qemu-system-x86_64)
	! host_qemu_is_new || return 0
	tree=$(tools_dir)/tree
	set_in_tree "$tree" bin/qemu-system-x86_64
	qemu=(env "QEMU_MODULE_DIR=$tree/usr/lib/x86_64-linux-gnu/qemu" "${in_tree[@]}"
		-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
}
