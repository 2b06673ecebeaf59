# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# What goes into a guest: the module, the selftests and the project's scripts.

# quietly WHAT LOG COMMAND...: the output is worth showing only when the command fails.
quietly()
{
	local what=$1 log=$2 status
	shift 2

	say "$what"
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	status=$?
	set -e
	[ $status = 0 ] || {
		cat "$log" >&2
		die "$what: failed"
	}
}

# module_digest DIR: what tells whether two modules come from the same source.
module_digest()
{
	(cd "$1" && find . \( -name '*.[ch]' -o -name Kbuild \) ! -name '*.mod.c' -print0 |
		sort -z | xargs -0 sha256sum) | digest
}

# build_module SERIES DIR [ARGUMENT...]: DIR/module/tcpdrop.ko from a copy of the sources at hand,
# so that builds for several kernels do not meet, and DIR/source, the digest of that copy.
build_module()
{
	local series=$1 dir=$2
	shift 2

	[ -e "$top_dir/module/Kbuild" ] || die "no module/Kbuild"
	mkdir -p "$dir/module"
	(cd "$top_dir/module" && find . \( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) \
		! -name '*.mod.c' -print0 | tar -c --null -T -) | tar -x -C "$dir/module"
	module_digest "$dir/module" >"$dir/source"
	kernel_make "$series" "M=$dir/module" "$@" modules
	[ -s "$dir/module/tcpdrop.ko" ] || die "the build left no tcpdrop.ko"
}

# build_selftests DIR: the framework and the tests, installed as DIR/kselftest.
build_selftests()
{
	local dir=$1 linux

	need_host make gcc libc6-dev rsync
	linux=$(source_dir)
	mkdir -p "$dir/framework"
	cp -a "$linux/scripts" "$linux/tools" "$dir/framework/"
	export KSFT=$dir/framework/tools/testing/selftests
	ln -sfn "$top_dir/selftests" "$KSFT/tcpdrop"
	make -C "$KSFT" TARGETS=tcpdrop FORCE_TARGETS=1 "O=$dir/build" \
		"KSFT_INSTALL_PATH=$dir/kselftest" install
}

# The module that gives the kernel of SERIES an old tcp_abort(), for series of that name.
build_old_abort()
{
	local series=$1 dir=$2

	cp -a "$vm_dir/old-abort" "$dir/"
	kernel_make "$series" "M=$dir/old-abort" modules
}

# build_modules SERIES DIRECTORY DIR: the modules of a directory, from a copy of it, to DIR.
build_modules()
{
	local series=$1 work=$3.work

	mkdir -p "$work"
	cp -a "$2" "$work/modules"
	kernel_make "$series" "M=$work/modules" modules
	mv "$work"/modules/*.ko "$3/"
	rm -rf "$work"
}

# stage SERIES DIR: the module and the scripts, as every guest wants them.
stage()
{
	local series=$1 dir=$2 scratch=$2.work arguments=()

	mkdir -p "$dir" "$scratch"
	! has_coverage "$series" || arguments=(GCOV_PROFILE=y)
	[[ $series != *-old ]] || arguments+=(KCFLAGS=-DTCPDROP_EHASH_GAP)
	quietly "building the module for $series" "$scratch/log" \
		build_module "$series" "$scratch" "${arguments[@]}"
	mv "$scratch/module/tcpdrop.ko" "$scratch/source" "$dir/"
	if [[ $series == *-old ]]; then
		quietly "building an old tcp_abort() for $series" "$scratch/log" \
			build_old_abort "$series" "$scratch"
		mv "$scratch/old-abort/old_abort.ko" "$dir/"
	fi
	cp -a "$top_dir/scripts" "$dir/"
	[ -n "${COVERAGE:-}" ] || rm -rf "$scratch"
}
