# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # variables of lib.sh and for its users
# Kernels that look for faults, built from Debian's source with the settings in config/: base, what
# the version needs, what those of .ci/run go without, and those of the flavour.

# fragments VERSION FLAVOUR: what a later one says of a setting goes.
fragments()
{
	local names=(base "$1")

	! is_cut || names+=(cut)
	(cd "$vm_dir/config" && cat "${names[@]}" "$2") | awk -F = '
		{ name = /^CONFIG_/ ? $1 : NR }
		!(name in line) { names[++n] = name }
		{ line[name] = $0 }
		END { for (i = 1; i <= n; i++) print line[names[i]] }'
}

# has_setting SERIES SETTING: does the flavour of that kernel ask for it?
has_setting()
{
	grep -q -s -x "$2" "$vm_dir/config/${1##*-}"
}

# A setting that depends on another is dropped without a word: say which.
configure()
{
	local linux=$1 setting missing=()

	KCONFIG_ALLCONFIG=all.config make -s -C "$linux" "CC=$compiler" allnoconfig
	while read -r setting; do
		case $setting in
		CONFIG_*=n) ! grep -q "^${setting%n}" "$linux/.config" || missing+=("$setting") ;;
		CONFIG_*) grep -q -x -F "$setting" "$linux/.config" || missing+=("$setting") ;;
		esac
	done <"$linux/all.config"
	[ ${#missing[@]} = 0 ] || die "the kernel's configuration lacks ${missing[*]}"
}

# finish_sanitizer VERSION FLAVOUR COMPILER DIGEST DIR: what is made depends on the fragments by their
# digest. What modules are built with stays, without what the kernel was built from.
finish_sanitizer()
{
	local version=$1 flavour=$2 compiler=$3 dir=$5 linux=$5/linux headers

	mkdir "$linux"
	xz -dc -T0 "$dir"/tree/usr/src/linux-source-*.tar.xz |
		tar -x -C "$linux" --strip-components=1 --no-same-owner
	rm -rf "$dir/tree"
	fragments "$version" "$flavour" >"$linux/all.config"
	echo "-$flavour" >"$linux/localversion-flavour"
	configure "$linux"
	make -s -C "$linux" "CC=$compiler" -j "$(nproc)" bzImage modules
	take_build "$linux" "$dir"
	headers=$dir/tree/usr/src/linux-headers-$(<"$dir/release")
	rm "$headers"
	find "$linux" -depth -mindepth 1 \( -name '*.[oa]' -o -name 'vmlinux*' \) \
		! -path "$linux/scripts/*" ! -path "$linux/tools/*" ! -name vmlinux.symvers -delete
	rm -rf "$linux"/{Documentation,drivers,fs,net,samples,sound}
	mv "$linux" "$headers"
}

# sanitizer_dir SERIES: see kernel_dir; kernel_row has set the rest. It takes ten minutes or more on
# two CPUs the first time.
sanitizer_dir()
{
	need_host make "$compiler" libc6-dev flex bison bc libelf-dev libssl-dev xz-utils
	deb_tree "kernel-$1" "$suites" download "linux-source-$version" finish_sanitizer \
		"$version" "$flavour" "$compiler" "$(fragments "$version" "$flavour" | digest)"
}
