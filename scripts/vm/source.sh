# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# What only the kernel's source package has: the kselftest framework and the style checkers. Always
# of the newest kernel: older kselftest runners exit with 0 whatever happens.

source_suites="trixie trixie-backports"

# Paths below the source's top directory.
source_parts=(
	scripts/subarch.include
	'tools/testing/selftests/Makefile'
	'tools/testing/selftests/lib.mk'
	'tools/testing/selftests/*.h'
	'tools/testing/selftests/*.sh'
	'tools/testing/selftests/kselftest'
	'tools/testing/selftests/net/lib.sh'
	'tools/testing/selftests/net/lib'
	'tools/include/uapi'
	scripts/checkpatch.pl
	scripts/spelling.txt
	scripts/const_structs.checkpatch
	scripts/kernel-doc
	tools/docs
	'scripts/coccinelle'
	'tools/lib/python'
	'scripts/lib'
)

finish_source()
{
	local dir=${!#} src top

	mkdir "$dir/linux"
	src=$(echo "$dir"/tree/usr/src/linux-source-*.tar.xz)
	top=$(basename "$src" .tar.xz)
	set -- "${@:1:$#-1}"
	# Not every kernel has every path: what must be there is looked for below.
	xz -dc -T0 "$src" | tar -x -C "$dir/linux" --strip-components=1 --no-same-owner \
		--wildcards --no-wildcards-match-slash "${@/#/$top/}" 2>"$dir/missing" ||
		grep -q 'Not found in archive' "$dir/missing"
	rm -rf "$dir/tree" "$dir/missing"
	[ -s "$dir/linux/tools/testing/selftests/lib.mk" ] || die "no kselftest in $top"
	[ -s "$dir/linux/scripts/checkpatch.pl" ] || die "no checkpatch in $top"
}

newest_source()
{
	local root=$1

	APT_CONFIG=$root/apt.conf apt-cache search --names-only '^linux-source-[0-9.]+$' |
		cut -d' ' -f1 | sort -V | tail -n 1
}

# Print the top directory of what was extracted.
source_dir()
{
	local root dir

	need_host xz-utils
	root=$(apt_root "$source_suites")
	dir=$(deb_tree linux-source "$source_suites" download "$(newest_source "$root")" \
		finish_source "${source_parts[@]}")
	echo "$dir/linux"
}

ksft_dir()
{
	echo "$(source_dir)/tools/testing/selftests"
}
