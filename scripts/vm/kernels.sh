# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# The stock Debian kernels that tcpdrop is tried on, and kernels of one's own: what is said of a
# series below goes for the absolute path of a build directory too (make O=DIRECTORY bzImage modules).

# name, use, version, flavour, suites, compiler. "trixie" is gcc 14 and the tools of trixie, for
# kernels whose build tools do not run on bookworm. Guests boot those whose use is "boot"; for
# "build" the module is built only, and those of "deb" are for deb-test alone. NAME-old is NAME with
# the tcp_abort() of older kernels, see old-abort/, and the module takes it for one whose table may have
# empty chains that are none. Those of "sanitizer" are built, see sanitizers.sh; their flavour is what
# they look for. Those of "ci" and "late" are others of them, which lack what config/cut names, and for
# which not all tests are; .ci/run has time for the "late" ones on a fast machine only.
kernel_table()
{
	cat <<-END
		5.10 boot 5.10 cloud bullseye,bullseye-security gcc-12
		6.1 boot 6.1 cloud bookworm,bookworm-security gcc-12
		6.1-old boot 6.1 cloud bookworm,bookworm-security gcc-12
		6.1-rt boot 6.1 rt bookworm,bookworm-security gcc-12
		6.12 boot 6.12 cloud bookworm,bookworm-security gcc-12
		6.12-trixie deb 6.12 cloud trixie,trixie-security trixie
		7.2 build 7.2 cloud trixie,trixie-backports trixie
		7.3 boot 7.3 cloud trixie,trixie-backports trixie
		6.12-kasan sanitizer 6.12 kasan bookworm,bookworm-security gcc-12
		6.12-lockdep sanitizer 6.12 lockdep bookworm,bookworm-security gcc-12
		6.12-kcsan sanitizer 6.12 kcsan bookworm,bookworm-security gcc-12
		6.12-small ci 6.12 small bookworm,bookworm-security gcc-12
		6.12-locks late 6.12 locks bookworm,bookworm-security gcc-12
		6.12-gcov sanitizer 6.12 gcov bookworm,bookworm-security gcc-12
		7.3-kasan sanitizer 7.3 kasan trixie,trixie-backports gcc-12
		7.3-lockdep sanitizer 7.3 lockdep trixie,trixie-backports gcc-12
	END
}

# parameters_for SERIES: those of the kernel in guests that run selftests. On one of them the table is as
# large as on a machine with more memory, so that helpers take part in each walk.
parameters_for()
{
	case $1 in
	6.12) echo thash_entries=32768 ;;
	esac
}

# kernels_for USE: print the names of the kernels of that use; "all" is boot and build.
kernels_for()
{
	kernel_table | awk -v use="${1/#all/boot build}" 'index(" " use " ", " " $2 " ") { print $1 }' |
		xargs
}

# kernel_row SERIES: sets use, version, flavour, suites and compiler.
kernel_row()
{
	local name

	compiler=gcc
	use=own
	[[ $1 != /* ]] || return 0
	while read -r name use version flavour suites compiler; do
		[ "$name" != "$1" ] || break
	done < <(kernel_table)
	[ "$name" = "$1" ] || die "no kernel $1: known are $(kernels_for all)"
	suites=${suites//,/ }
}

# Whether the row is that of one of .ci/run's own.
is_cut()
{
	[ "$use" = ci ] || [ "$use" = late ]
}

# Whether the row is that of a kernel that looks for faults, which is built.
is_built()
{
	[ "$use" = sanitizer ] || is_cut
}

# Whether the kernel of a name is such a one.
is_sanitizer()
{
	local use version flavour suites compiler

	kernel_row "$1"
	is_built
}

# The newest release of a version and flavour, such as 6.1.0-56-cloud-amd64.
newest_release()
{
	local root=$1 version=$2 flavour=$3

	APT_CONFIG=$root/apt.conf apt-cache search --names-only \
		"^linux-image-${version//./\\.}\\.[0-9].*-$flavour-amd64\$" |
		sed 's/^linux-image-//; s/ .*//' | sort -V | tail -n 1
}

# Image, headers and those of their dependencies that come from the kernel's own source.
kernel_packages()
{
	local root=$1 version=$2 release=$3

	APT_CONFIG=$root/apt.conf apt-cache depends --recurse --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances \
		"linux-image-$release" "linux-headers-$release" |
		grep -E "^linux-(image|headers|kbuild|binary|modules|base)-${version//./\\.}" |
		sort -u | xargs
}

# Header packages name each other by absolute paths in one place only.
finish_kernel()
{
	local release=$1 dir=$2 tree=$2/tree

	find "$tree" -path "$tree/usr/src" -prune -o -name 'vmlinuz*' -type f \
		-exec mv {} "$dir/vmlinuz" \;
	[ -s "$dir/vmlinuz" ] || die "linux-image-$release has no vmlinuz"
	# shellcheck disable=SC2016 # for make
	sed -i 's,/usr/src/,$(dir $(lastword $(MAKEFILE_LIST)))../,' \
		"$tree/usr/src/linux-headers-$release/Makefile"
	rm -f "$tree/usr/lib/modules/$release"/{build,source}
	run_in_tree "$(tools_dir)/tree" sbin/depmod -b "$tree" "$release"
	echo "$release" >"$dir/release"
}

# take_build BUILD DIR: the same from a build directory, where the headers stay.
take_build()
{
	local build=$1 dir=$2 release
	release=$(<"$build/include/config/kernel.release")

	say "taking $release from $build"
	make -s -C "$build" "INSTALL_MOD_PATH=$dir/tree/usr" DEPMOD=true modules_install
	cp "$build/arch/x86/boot/bzImage" "$dir/vmlinuz"
	mkdir -p "$dir/tree/usr/src"
	ln -s "$build" "$dir/tree/usr/src/linux-headers-$release"
	rm -f "$dir/tree/usr/lib/modules/$release"/{build,source}
	ln -s usr/lib "$dir/tree/lib"
	run_in_tree "$(tools_dir)/tree" sbin/depmod -b "$dir/tree" "$release"
	echo "$release" >"$dir/release"
}

# A build directory is taken anew when its kernel was linked anew.
built_kernel_dir()
{
	local build=$1 key

	[ -s "$build/arch/x86/boot/bzImage" ] || die "no kernel was built in $build"
	key=$({ echo "$build"; stat -c %Y "$build/arch/x86/boot/bzImage"; } | digest)
	cached "kernel-$(basename "$build")" "$key" take_build "$build"
}

# Print the directory of a kernel: vmlinuz, release, and the packages under tree/.
kernel_dir()
{
	local series=${1%-old} root release use version flavour suites compiler

	if [[ $series == /* ]]; then
		built_kernel_dir "$series"
		return
	fi
	kernel_row "$series"
	if is_built; then
		sanitizer_dir "$series"
		return
	fi
	root=$(apt_root "$suites")
	release=$(newest_release "$root" "$version" "$flavour")
	[ -n "$release" ] || die "the archive has no kernel $series"
	deb_tree "kernel-$series" "$suites" download \
		"$(kernel_packages "$root" "$version" "$release")" finish_kernel "$release"
}

# Print what KDIR is for a kernel.
header_dir()
{
	local dir

	dir=$(kernel_dir "$1")
	echo "$dir/tree/usr/src/linux-headers-$(<"$dir/release")"
}

finish_toolchain()
{
	ln -s mawk "$1/tree/usr/bin/awk"
}

# The tools of trixie run in their own tree, which sees the cache and the temporary directory.
toolchain_make()
{
	local tree enter=(unshare --mount)

	tree=$(deb_tree toolchain trixie install "gcc-14 make bash dash coreutils sed grep mawk
		findutils diffutils libelf1t64 libssl3t64 pahole xz-utils kmod" \
		finish_toolchain)/tree
	[ "$(id -u)" = 0 ] || enter+=(--map-root-user)
	# shellcheck disable=SC2016 # for the inner shell
	"${enter[@]}" bash -e -c '
		tree=$1
		for dir in /proc /dev "$2" "$3"; do
			mkdir -p "$tree$dir"
			mount --rbind "$dir" "$tree$dir"
		done
		shift 3
		exec chroot "$tree" "$@"' enter \
		"$tree" "$cache_dir" "${TMPDIR:-/tmp}" make CC=gcc-14 "$@"
}

# kernel_make SERIES ARGUMENT...: make in the header tree, with the compiler that it wants. For
# trixie's, the arguments may name files in the cache and the temporary directory only.
kernel_make()
{
	local series=$1 headers use version flavour suites compiler
	shift

	kernel_row "$series"
	headers=$(header_dir "$series")
	if [ "$compiler" = trixie ]; then
		toolchain_make -C "$headers" "$@"
	else
		need_host make "$compiler" libelf-dev pahole
		make -C "$headers" "CC=$compiler" "$@"
	fi
}
