# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# Debian packages without touching the host: a private apt root for each set of suites, signatures
# checked by apt as usual, packages extracted into the cache.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# URIs of the machine's own apt sources, one-line and deb822 format.
host_uris()
{
	local files=()

	mapfile -t files < <(find /etc/apt -maxdepth 2 \
		\( -name '*.list' -o -name '*.sources' \) ! -path '*/mirrors/*')
	[ ${#files[@]} -gt 0 ] || return 0
	sed -n -E -e 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' \
		-e 's/^URIs:[[:space:]]*//p' "${files[@]}" | tr -s '[:blank:]' '\n'
}

# mirror debian|debian-security: where this machine gets that archive from.
mirror()
{
	local uri

	while read -r uri; do
		[[ $uri =~ /$1(\.list)?/?$ ]] || continue
		echo "$uri"
		return
	done < <(host_uris)
	echo "http://deb.debian.org/$1"
}

apt_sources()
{
	local suite archive

	for suite; do
		archive=debian
		[[ $suite != *-security ]] || archive=debian-security
		echo "deb [signed-by=$keyring] $(mirror $archive) $suite main"
	done
}

# The host's hooks must not run, but its proxies are needed.
apt_config()
{
	local root=$1

	apt-config dump | grep '^Acquire::'
	cat <<-END
		Dir::Etc::Main "/dev/null";
		Dir::Etc::Parts "/dev/null";
		Dir::Etc::SourceList "$root/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State "$root";
		Dir::State::status "$root/status";
		Dir::Cache "$root";
		Dir::Log "$root";
		APT::Architecture "amd64";
		APT::Sandbox::User "";
		APT::Install-Recommends "false";
		APT::Default-Release "${!#}";
		Acquire::Languages "none";
	END
}

apt_make_root()
{
	local root=$1
	shift

	mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/uris" &&
		: >"$root/status" &&
		apt_sources "$@" >"$root/sources.list" &&
		apt_config "$root" "$@" >"$root/apt.conf" &&
		APT_CONFIG=$root/apt.conf apt-get -qq --error-on=any update
}

# The lists are made anew as a whole: what was there stays if the mirror cannot be reached.
apt_refresh_locked()
{
	local root=$1 max_age=$2
	shift 2

	[ -z "$(find "$root/stamp" -mmin "-$max_age" 2>/dev/null)" ] || return 0
	say "reading the package lists of $*"
	rm -rf "$root.new"
	if (apt_make_root "$root.new" "$@"); then
		rm -rf "$root"
		mv "$root.new" "$root"
		apt_config "$root" "$@" >"$root/apt.conf"
	elif [ ! -d "$root" ]; then
		die "no package lists of $*"
	else
		say "no newer package lists: going on with the old ones"
	fi
	touch "$root/stamp"
}

# apt_refresh MINUTES SUITES: print the private apt root, its lists no older than that.
apt_refresh()
{
	local max_age=$1 root=$cache_dir/apt/${2// /+}

	mkdir -p "$cache_dir/apt"
	# shellcheck disable=SC2086 # a list
	(with_lock apt apt_refresh_locked "$root" "$max_age" $2) >&2
	echo "$root"
}

apt_root()
{
	apt_refresh 1440 "$1"
}

# apt_uris ROOT WHAT PACKAGE...: the files that "apt-get WHAT" would fetch, kept until the next
# refresh as apt takes its time.
apt_uris()
{
	local root=$1 memo
	memo=$root/uris/$(echo "${*:2}" | digest)
	shift

	if [ ! -s "$memo" ]; then
		(cd "$root/uris" && APT_CONFIG=$root/apt.conf apt-get -qq -y --print-uris "$@") |
			sort >"$memo.$$"
		[ -s "$memo.$$" ] || die "apt knows no files for: $*"
		mv "$memo.$$" "$memo"
	fi
	cat "$memo"
}

# With --keep-directory-symlink a package that has /lib still follows the merged-usr link.
extract_debs()
{
	local tree=$1 dir deb
	shift

	mkdir -p "$tree"
	for dir in bin sbin lib lib32 lib64 libx32; do
		mkdir -p "$tree/usr/$dir"
		ln -sfn "usr/$dir" "$tree/$dir"
	done
	for deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x -p --keep-directory-symlink -C "$tree"
	done
}

# fetch_tree ROOT WHAT "PACKAGE..." [FINISH...] DIR: DIR becomes the extracted packages.
fetch_tree()
{
	local root=$1 what=$2 packages finish=("${@:4:$#-4}") dir=${!#}
	read -d '' -ra packages <<<"$3" || true

	mkdir -p "$dir/debs/partial"
	say "fetching ${packages[*]:0:3}$([ ${#packages[@]} -le 3 ] || echo " ...")"
	(cd "$dir/debs" && APT_CONFIG=$root/apt.conf apt-get -qq -y --download-only \
		-o "Dir::Cache::archives=$dir/debs" "$what" "${packages[@]}" >/dev/null)
	extract_debs "$dir/tree" "$dir"/debs/*.deb
	rm -rf "$dir/debs"
	[ ${#finish[@]} = 0 ] || "${finish[@]}" "$dir"
}

deb_tree_key()
{
	local root=$1 what=$2 packages finish=("${@:4}")
	read -d '' -ra packages <<<"$3" || true

	{
		apt_uris "$root" "$what" "${packages[@]}"
		echo "${finish[*]}"
		declare -f extract_debs ${finish[0]:+"${finish[0]}"}
	} | digest
}

# deb_tree NAME SUITES WHAT "PACKAGE..." [FINISH...]: print the cache directory with the packages
# extracted to its tree/ and then completed by "FINISH... DIR". WHAT is "download" for these
# packages alone or "install" to include all that they depend on. The key covers each file's
# version and the code that makes the tree.
deb_tree()
{
	local name=$1 suites=$2 root key dir max_age
	shift 2

	for max_age in 1440 5; do
		root=$(apt_refresh $max_age "$suites")
		key=$(deb_tree_key "$root" "$@")
		# No "if" or "||": below them "set -e" would be off, and a half-made tree kept.
		set +e
		dir=$(set -e; cached "$name" "$key" fetch_tree "$root" "$@")
		set -e
		[ -z "$dir" ] || break
	done
	[ -n "$dir" ] || die "could not fetch $name"
	echo "$dir"
}
