# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables for the other files
# What all of the VM's scripts share: messages, the cache and host tools here, the rest by subject.

set -euo pipefail
shopt -s inherit_errexit

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_dir=$(cd "$vm_dir/../.." && pwd)
cache_dir=${TCPDROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tcpdrop}

say()
{
	echo "tcpdrop-vm: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# The first 16 digits of the SHA-256 of standard input: a cache key.
digest()
{
	sha256sum | cut -c1-16
}

# Run a command with file owners as root sees them. Outside of a user namespace the files of an
# image made by a plain user would belong to that user.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		unshare --map-root-user "$@" || die "no root, and no user namespaces? $1 failed"
	fi
}

# set_in_tree TREE PROGRAM: sets in_tree to the command that runs a program of an extracted package
# tree with that tree's own libraries.
set_in_tree()
{
	local tree=$1 prog=$2 target

	target=$(readlink "$tree/usr/$prog" || echo "/usr/$prog")
	[[ $target == /* ]] || target=/usr/${prog%/*}/$target
	in_tree=("$tree/lib64/ld-linux-x86-64.so.2" --argv0 "$prog" --library-path
		"$tree/usr/lib/x86_64-linux-gnu:$tree/usr/lib/x86_64-linux-gnu/systemd"
		"$tree$target")
}

run_in_tree()
{
	local in_tree

	set_in_tree "$1" "$2"
	"${in_tree[@]}" "${@:3}"
}

# with_lock NAME COMMAND...: one process at a time makes the cache entries called NAME.
with_lock()
{
	local name=$1 fd
	shift

	mkdir -p "$cache_dir/lock"
	exec {fd}>"$cache_dir/lock/$name"
	flock "$fd"
	"$@"
	exec {fd}>&-
}

# Old versions go when nobody has used them for a week: a running guest may still need one.
forget_old_versions()
{
	find "$cache_dir" -maxdepth 1 -name "$1.????????????????" ! -path "$2" -mtime +7 \
		-exec rm -rf {} +
}

make_entry()
{
	local name=$1 dir=$2 tmp
	shift 2

	[ ! -d "$dir" ] || return 0
	tmp=$(mktemp -d "$cache_dir/tmp.XXXXXX")
	# shellcheck disable=SC2064 # this name, now
	trap "rm -rf '$tmp'" EXIT
	"$@" "$tmp/new"
	mv "$tmp/new" "$dir"
	rm -rf "$tmp"
	trap - EXIT
	forget_old_versions "$name" "$dir"
}

# cached NAME KEY COMMAND...: print the directory NAME.KEY of the cache. Where it is missing,
# "COMMAND... DIR" makes it elsewhere first, so that it is complete or absent.
cached()
{
	local name=$1 dir=$cache_dir/$1.$2
	shift 2

	[ -d "$dir" ] || (with_lock "$name" make_entry "$name" "$dir" "$@") >&2
	touch "$dir"
	echo "$dir"
}

# need_host PACKAGE...: install what this Debian machine lacks, or say what to install.
need_host()
{
	with_lock host install_missing "$@"
}

install_missing()
{
	local package missing=() sudo=()

	for package; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
			grep -q '^installed' || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || die "please install: ${missing[*]}"
		sudo=(sudo)
	fi
	say "installing ${missing[*]}"
	[ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 2>/dev/null)" ] ||
		"${sudo[@]}" apt-get -qq update
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		install "${missing[@]}" </dev/null >"$cache_dir/apt-install.log" 2>&1 || {
		tail -n 20 "$cache_dir/apt-install.log" >&2
		die "could not install ${missing[*]}"
	}
}

mkdir -p "$cache_dir"

. "$vm_dir/apt.sh"
. "$vm_dir/kernels.sh"
. "$vm_dir/sanitizers.sh"
. "$vm_dir/images.sh"
. "$vm_dir/qemu.sh"
. "$vm_dir/source.sh"
. "$vm_dir/build.sh"
. "$vm_dir/coverage.sh"
