# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# QEMU, and the tools that make what it boots. QEMU 7.2, bookworm's own, emulates cmpxchg16b wrongly
# and loses races when each guest CPU has a thread: it is the last resort.

# Print the directory of host tools that do not have to be installed. Each suite's programs run with
# their own libraries, whatever the host has.
tools_dir()
{
	local suites dir

	for suites in "bookworm bookworm-backports" trixie bookworm; do
		# See deb_tree for why this is no "if".
		set +e
		dir=$(set -e; deb_tree tools "$suites" install "qemu-system-x86 kmod e2fsprogs")
		set -e
		[ -z "$dir" ] || break
	done
	[ -n "$dir" ] || die "no QEMU"
	echo "$dir"
}

# is_new QEMU...: is that command version 10 or newer?
is_new()
{
	local version

	version=$("$@" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
	[ "${version:-0}" -ge 10 ]
}

# find_qemu: sets qemu to the command and its first arguments.
find_qemu()
{
	local tree in_tree

	qemu=(qemu-system-x86_64)
	! is_new "${qemu[@]}" || return 0
	tree=$(tools_dir)/tree
	set_in_tree "$tree" bin/qemu-system-x86_64
	qemu=(env "QEMU_MODULE_DIR=$tree/usr/lib/x86_64-linux-gnu/qemu" "${in_tree[@]}"
		-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
}

# KVM is of use only where the CPU has it: /dev/kvm alone says nothing.
have_kvm()
{
	grep -q -w -E 'vmx|svm' /proc/cpuinfo && [ -r /dev/kvm ] && [ -w /dev/kvm ]
}

# qemu_accel QEMU...: the options for the fastest that can be relied on.
qemu_accel()
{
	if have_kvm; then
		echo "-accel kvm -cpu host"
	elif is_new "$@"; then
		echo "-accel tcg,thread=multi -cpu max"
	else
		echo "-accel tcg,thread=single -cpu max,cx16=off"
	fi
}

# qemu_speed QEMU...: the same, or where ICOUNT is set those for a clock that counts instructions,
# which is the same in every run.
qemu_speed()
{
	if [ -n "${ICOUNT:-}" ]; then
		echo "-accel tcg,thread=single -cpu max,cx16=off,rdrand=off,rdseed=off" \
			"-icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01,clock=vm"
	else
		qemu_accel "$@"
	fi
}
