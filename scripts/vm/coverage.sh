# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# Which lines and branches of the module have run, by gcov: for kernels that have it, see
# config/gcov and config/small.

# has_coverage SERIES: does that kernel count what runs, if the module is built for it?
has_coverage()
{
	has_setting "$1" CONFIG_GCOV_KERNEL=y
}

# For the guest, behind the tests: what the kernel has counted, also in modules that have gone.
# shellcheck disable=SC2016 # for the guest
collect_coverage='mkdir /results/gcov
find /sys/kernel/debug/gcov -name "*.gcda" | while read -r file; do
	cat "$file" >"/results/gcov/${file##*/}"
done'

# How much has to run, in percent: by all selftests on the kernel that is there for it, and by those that
# .ci/run has time for.
least_of()
{
	case $1 in
	*-gcov) echo --fail-under-line 95 --fail-under-branch 90 ;;
	*-small) echo --fail-under-line 92 --fail-under-branch 74 ;;
	esac
}

# report_coverage SERIES BUILD COUNTS TO: the numbers on standard output, and as pages in the
# directory TO. BUILD is where the module was compiled, COUNTS has what collect_coverage has left.
# Fails if that is too little.
report_coverage()
{
	local series=$1 build=$2 counts=$3 to=$4 dir bounds=()

	[ -n "${TESTS:-}" ] || read -ra bounds < <(least_of "$series")
	need_host gcovr gcc-12
	cp "$counts"/*.gcda "$build/"
	# The kernel's headers have been named as from their own directory.
	for dir in include arch; do
		ln -s "$(header_dir "$series")/$dir" "$build/"
	done
	mkdir -p "$to"
	gcovr --gcov-executable gcov-12 --root "$build" --exclude '.*\.mod\.c$' \
		--exclude '.*/(include|arch)/.*' --exclude-unreachable-branches \
		--html-details "$to/index.html" --html-title tcpdrop \
		--txt "$to/coverage.txt" --branches --print-summary "${bounds[@]}" "$build"
}
