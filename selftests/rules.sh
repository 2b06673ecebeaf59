#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tcpdrop-rules(8): rules in files, under dash and busybox.
# shellcheck disable=SC2317 # the functions are called by claims

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$DIR/command_lib.sh"

usage='usage: tcpdrop-rules check file ...
       tcpdrop-rules apply file ...
       tcpdrop-rules remove file|name ...
       tcpdrop-rules commit [-j] name ...
       tcpdrop-rules show [-j] [name ...]
       tcpdrop-rules save
       tcpdrop-rules -h | -V'

# In a claim, first: a directory for its files, and no rules at its end.
begin()
{
	rm -rf "$tmp/files"
	mkdir -p "$tmp/files/lists"
	cd "$tmp/files"
	defer remove_all
}

remove_all()
{
	find "$rules" -mindepth 1 -maxdepth 1 -type d -exec rmdir {} ';'
}

# write_file NAME LINE...
write_file()
{
	printf '%s\n' "${@:2}" >"$1"
}

succeeds()
{
	run tcpdrop-rules "$@"
	expect_exit 0
	expect_err
}

# applies LINE...
applies()
{
	write_file applied "$@"
	succeeds apply applied
	expect_out
}

# All that can be seen of all rules but what the last commit did.
state_of_rules()
{
	(cd "$rules" && grep -r . --exclude-dir=result --exclude=stats --exclude=count \
		--exclude=list --exclude=commit --exclude=last_error . | sort)
}

# fails MESSAGE ARGUMENT...: and changes nothing. What runs the command can be something else.
runner=()
fails()
{
	local before message=$1
	shift

	before=$(state_of_rules)
	run "${runner[@]}" tcpdrop-rules "$@"
	expect_exit 1
	expect_out
	expect_err "tcpdrop-rules: $message"
	expect_equal "the rules" "$(state_of_rules)" "$before"
}

# Commands.

takes_ends_of_lines_of_long_ago()
{
	begin
	printf '# all\r[web]\rsport = 80 # one\rdaddr = @lists/block\r' >web.rules
	mkdir -p lists
	printf '127.1.0.0/16 # one\r127.2.0.1\r' >lists/block
	succeeds apply web.rules
	succeeds show
	expect_out $'[web]\ndaddr = 127.1.0.0/16,127.2.0.1\nsport = 80'
}

makes_rules()
{
	local words

	begin
	write_file lists/block '127.1.0.0/16 # one' '; none' '127.2.0.1,,2001:db8::/32'
	printf '\357\273\277# a mark\r\n\r\n  [web] ; one\r\nsport=443, 80 # and more\r\n' >web.rules
	printf 'daddr = 203.0.113.0/24\r\ndaddr = @lists/block\r\n[empty]' >>web.rules
	write_file ssh.rules '[ssh]' 'port = 22' 'protect = yes'

	succeeds check web.rules ssh.rules
	expect_out
	succeeds check web.rules ssh.rules <&-
	rules_are ""
	cd /
	succeeds apply "$tmp/files/web.rules" "$tmp/files/ssh.rules"
	expect_out
	succeeds show
	expect_out "[empty]

[ssh]
port = 22
protect = yes

[web]
daddr = 127.1.0.0/16,127.2.0.1,203.0.113.0/24,2001:db8::/32
sport = 80,443"
	succeeds show ssh
	expect_out $'[ssh]\nport = 22\nprotect = yes'
	succeeds show -j web ssh
	expect_out '{"rule":"web","daddr":["127.1.0.0/16","127.2.0.1","203.0.113.0/24",'\
'"2001:db8::/32"],"sport":["80","443"]}
{"rule":"ssh","port":["22"],"protect":"yes"}'
	cd "$tmp/files"
	fails "nothing: no such rule" remove ssh nothing

	printf '[web]\nsport=443,80\ndaddr = @-\n' >input.rules
	cd /
	for words in check apply; do
		run tcpdrop-rules "$words" "$tmp/files/input.rules" <<<"203.0.113.0/24 # one"
		expect_exit 0
		expect_err
	done
	succeeds show web
	expect_out $'[web]\ndaddr = 203.0.113.0/24\nsport = 80,443'
	run tcpdrop-rules apply "$tmp/files/input.rules" <<<$'\n203.0.113.0/33'
	expect_exit 1
	expect_err 'tcpdrop-rules: standard input:2: daddr: "203.0.113.0/33": not a prefix length'
	cd "$tmp/files"
	succeeds remove ssh web.rules ./ssh.rules
	rules_are ""
	succeeds show
	expect_out
}

needs_output()
{
	local words

	begin
	make_clients
	applies '[web]' 'dport = 7001'
	for words in -h -V show "show -j" save "commit web" "commit -j web"; do
		echo "$words"
		# shellcheck disable=SC2086 # into words
		run writes_to_full tcpdrop-rules $words
		expect_exit 1
	done
	expect_answer 0 alive target
}

# Two connections to port 7001, one to port 7002.
make_clients()
{
	ask connect target 127.0.0.1 7001
	ask connect target 127.0.0.1 7001
	ask connect bystander 127.0.0.1 7002
}

commits_rules()
{
	begin
	make_clients
	applies '[web]' 'dport = 7001' '[none]' 'dport = 7009' '[all]' 'state = all' 'max = 1' \
		'[keep]' 'port = 7002' 'protect = yes'
	run tcpdrop-rules commit all keep none web
	expect_exit 1
	expect_out "all: 4 matched, 0 dropped, 0 failed, 4 remaining
none: 0 matched, 0 dropped, 0 failed, 0 remaining
web: 2 matched, 2 dropped, 0 failed, 0 remaining"
	expect_err "tcpdrop-rules: all: more sockets match than max allows: 4
tcpdrop-rules: keep: the rule protects what matches, and drops nothing"
	expect_aborted target client
	expect_alive bystander

	ask connect again 127.0.0.1 7001
	mkdir -p "$tmp/elsewhere"
	echo mine >"$tmp/elsewhere/commit"
	run tcpdrop-rules commit nothing "../../../..$tmp/elsewhere" '' .. web
	expect_exit 1
	expect_out "web: 1 matched, 1 dropped, 0 failed, 0 remaining"
	expect_err "tcpdrop-rules: nothing: no such rule
tcpdrop-rules: ../../../..$tmp/elsewhere: not a name of a rule
tcpdrop-rules: : not a name of a rule
tcpdrop-rules: ..: not a name of a rule"
	expect_equal "another file" "$(cat "$tmp/elsewhere/commit")" mine
	expect_aborted again client

	ask connect again 127.0.0.1 7001
	run tcpdrop-rules -j commit web keep
	expect_exit 1
	python3 - "$tmp/out" <<-'END'
		import json, sys
		web, keep = map(json.loads, open(sys.argv[1]))
		assert web.pop("elapsed_us") > 0
		assert web == {"rule": "web", "matched": 1, "dropped": 1, "failed": 0, "remaining": 0,
			       "states": {"ESTABLISHED": 1}}, web
		assert keep == {"rule": "keep",
				"error": "the rule protects what matches, and drops nothing"}, keep
	END
	expect_alive bystander
}

# A commit that was not made is not told of by what another has left.
tells_of_none()
{
	begin
	make_clients
	applies '[all]' 'state = all' 'max = 1'
	run tcpdrop-rules commit all
	expect_exit 1
	chmod 755 "$tmp"
	run "${nobody[@]}" tcpdrop-rules commit all
	expect_failure "tcpdrop-rules: all: Permission denied"
	run "${nobody[@]}" tcpdrop-rules commit -j all
	expect_exit 1
	expect_out '{"rule":"all","error":"Permission denied"}'
	expect_alive target 2
}

# A rule with all that there is, in any order.
takes_all_attributes()
{
	local attr

	begin
	write_file all.rules '[a rule-1.x]' 'saddr = !10.0.0.1, 127.0.0.0/8' 'daddr = ::/0' \
		'sport=1-65535' 'dport = !22' 'port = !23' 'state = all, listen' 'netns = all' \
		'dev = eth0, eth#1 # one' 'mark = 7/0xff' 'uid = 0-999' "pid = $$" 'cgroup = / # all' \
		'congestion = cubic' 'ulp = tls' 'idle = 1h' 'retrans = 2' 'sendq = 3' 'recvq = 4' \
		'orphan = no' 'kernel = yes' 'max = 5' 'rate = 6' 'reset = no'
	succeeds apply all.rules
	succeeds show
	cp "$tmp/out" shown
	grep -q '^dev = .*eth#1' shown
	# protect does not go with pid.
	for attr in "$rules/a rule-1.x"/*; do
		[ ! -f "$attr" ] || [[ $(stat -c %A "$attr") != -rw* ]] || [ "${attr##*/}" = protect ] ||
			grep -q "^${attr##*/} = " shown
	done
	succeeds remove 'a rule-1.x'
	succeeds apply - <shown
	succeeds save
	cmp "$tmp/out" shown
	write_file two '[two]' 'sport = 1' 'pid = 1' 'protect = yes'
	fails 'two:4: protect: "yes": protect and pid do not go together' apply two
}

leaves_out_tcpdrop()
{
	begin
	mkdir "$rules/tcpdrop.7.8" "$rules/tcpdrop.7"
	succeeds show
	expect_out '[tcpdrop.7]'
}

ignores_quoting_style()
{
	begin
	write_file web.rules '[web]' 'dport = 7001'
	mkdir "$rules/tcpdrop-rules.999999999.$(readlink /proc/self/ns/pid | tr -dc 0-9).1"
	export QUOTING_STYLE=c
	succeeds apply web.rules
	rules_are web
	succeeds show
	expect_out $'[web]\ndport = 7001'
}

says_how()
{
	local words

	for words in "" foo check apply remove commit "save x" "-j save" "-j apply x" "check -j x" \
		"-x show" "commit -x web" "apply,x web" "show,x web" "apply,1, web"; do
		# shellcheck disable=SC2086 # into words
		run tcpdrop-rules $words
		expect_exit 2
		expect_out
		expect_err "$usage"
	done
	succeeds -V
	succeeds -h
}

# What is refused.

refuses_what_is_wrong()
{
	begin
	applies '[web]' 'sport = 443' '[old]' 'state = all' 'max = 9'
	write_file good '[web]' 'sport = 80' '[new]' 'state = listen'
	write_file lists/block 127.0.0.1 '# a' '127.0.0.2 x'
	write_file lists/none '# nothing'

	# What is wrong, and where: at the end of two files, the first of which is good.
	refuses 3 'sport: "80x": not a port number' '[last]' 'sport = 80' 'sport = 81,80x,82'
	refuses 2 'state: "timewait": not a TCP state' '[last]' 'state = timewait'
	refuses 2 'max: "many": not a number' '[last]' 'max = many'
	refuses 2 'sport: "+80": not a port number' '[last]' 'sport = +80'
	refuses 3 'sport: "any": not a port number' '[last]' 'sport = 80' 'sport = any'
	refuses 3 'cgroup: "/no/such": no such cgroup' '[last]' 'sport = 80' 'cgroup = /no/such'
	fails_with 'lists/block:3: daddr: "x": not an address' '[last]' 'daddr = @lists/block'
	refuses 2 'daddr: lists/none has no items, and no items would be any' \
		'[last]' 'daddr = @lists/none'
	printf ' \v\f\n' >lists/blank
	refuses 2 'daddr: lists/blank has no items, and no items would be any' \
		'[last]' 'daddr = @lists/blank'
	printf '# all\nany\n' >lists/any
	fails_with 'lists/any:2: daddr: "any": not an address' '[last]' 'daddr = @lists/any'
	refuses 2 'daddr: no value' '[last]' $'daddr = \v'
	refuses 2 'lists/gone: No such file or directory' '[last]' 'daddr = @lists/gone'
	refuses 2 'lists: Is a directory' '[last]' 'daddr = @lists'
	refuses 2 'daddr: @ without a file' '[last]' 'daddr = @'
	refuses 2 'daddr: no value' '[last]' 'daddr = # none'
	refuses 2 'dev: "@devs": a list or a comment behind a comma' '[last]' 'dev = eth0, @devs'
	refuses 2 'congestion: ";x": a list or a comment behind a comma' '[last]' 'congestion = cubic,;x'
	refuses 2 'sport: "80,,81": an empty item' '[last]' 'sport = 80,,81'
	refuses 1 '"sport": before the first [rule]' 'sport = 80'
	refuses 2 '"sport 80": neither [rule] nor attribute = value' '[last]' 'sport 80'
	refuses 2 'Sport: no such attribute' '[last]' 'Sport = 80'
	refuses 2 'commit: no such attribute' '[last]' 'commit = 1'
	refuses 3 'max: given twice' '[last]' 'max = 80' 'max = 80'
	refuses 2 '[last]: there is one already, in bad:1' '[last]' '[last]'
	refuses 1 '[new]: there is one already, in good:3' '[new]'
	refuses 1 '"a/b": not a name for a rule' '[a/b]'
	refuses 1 '"stats": not a name for a rule' '[stats]'
	refuses 1 '"[last": no ] behind the name of a rule' '[last'
	refuses 1 '"[last] x": something behind the name of a rule' '[last] x'
	fails 'gone: No such file or directory' apply good gone
	fails 'bad:1: "[last] x": something behind the name of a rule' remove bad
}

# fails_with MESSAGE LINE...: a file of these lines, behind a good one.
fails_with()
{
	write_file bad "${@:2}"
	fails "$1" apply good bad
}

# refuses LINE MESSAGE TEXT...
refuses()
{
	fails_with "bad:$1: $2" "${@:3}"
}

# Without CAP_NET_ADMIN, at a rule that only a change of protection stands for.
puts_back()
{
	begin
	make_clients
	applies '[web]' 'sport = 443' 'max = 3' '[keep]' 'port = 7002' 'protect = yes' 'rate = 8'
	write_file changed '[web]' 'sport = 80' '[new]' 'sport = 81' '[keep]' 'port = 7003'
	runner=(setpriv --bounding-set -net_admin --inh-caps -net_admin)
	fails 'keep: protect: "yes": needs CAP_NET_ADMIN over each network namespace' apply changed
	runner=()
	succeeds commit web
	mkdir "$rules/all"
	echo all >"$rules/all/state"
	succeeds commit all
	expect_answer 0 alive target
	expect_alive bystander
}

# In changes.

# Commits a rule again and again.
start_commits()
{
	while [ -d "$rules/$1" ]; do
		echo 1 >"$rules/$1/commit" || true
		sleep 0.05
	done 2>/dev/null &
	commits=$!
	defer wait "$commits"
	defer rmdir "$rules/$1"
}

protects_in_changes()
{
	local i

	begin
	ask connect bystander 127.0.0.1 7002
	applies '[keep]' 'port = 7002' 'protect = yes' '[all]' 'state = established'
	write_file wide '[keep]' 'saddr = 127.0.0.1' 'port = 7001-7010' 'protect = yes'
	write_file other '[keep]' 'daddr = 127.0.0.0/8' 'port = 7002-7003' 'max = 4' 'protect = yes'
	start_commits all
	for i in 1 2; do
		succeeds apply wide
		expect_alive bystander
		succeeds apply other
		expect_alive bystander
	done
	rmdir "$rules/all"
	wait "$commits"
	expect_equal "the rules" "$(rules_there)" keep
}

# The change fails when the old rule does not protect any more, and at that moment another is committed.
protects_in_undone_change()
{
	begin
	ask connect bystander 127.0.0.1 7002
	applies '[keep]' 'port = 7002' 'protect = yes' '[all]' 'state = established'
	write_file changed '[keep]' 'port = 7003' 'protect = yes' '[last]' 'sport = 1'
	mkdir shims
	write_file shims/mkdir '#!/bin/sh' "[ \"\$1\" = $rules/last ] || exec $(command -v mkdir) \"\$@\"" \
		"echo 1 >$rules/all/commit" 'echo "mkdir: No space left on device" >&2' 'exit 1'
	chmod +x shims/mkdir
	runner=(env "PATH=$PWD/shims:$PATH")
	fails 'last: No space left on device' apply changed
	runner=()
	expect_alive bystander
	expect_equal "commits" "$(<"$rules/all/result/matched")" 0
}

# fails_in_the_middle PROGRAM LINE...: a change, where one of its programs begins with these lines
# of a shell, and which has its files in small.
fails_in_the_middle()
{
	local before program=$1
	shift

	begin
	ask connect bystander 127.0.0.1 7002
	applies '[keep]' 'port = 7002' 'protect = yes' '[web]' 'sport = 443' 'max = 3'
	write_file changed '[new]' 'sport = 81' '[web]' 'sport = 80' '[keep]' 'port = 7003' \
		'protect = yes'
	mkdir small shims
	mount -t tmpfs tmpfs small
	defer umount -l "$PWD/small"
	write_file "shims/$program" '#!/bin/sh' "$@" "exec $(command -v "$program") \"\$@\""
	chmod +x "shims/$program"
	before=$(state_of_rules)
	run env "PATH=$PWD/shims:$PATH" "TMPDIR=$PWD/small" tcpdrop-rules apply changed
	expect_exit 1
	expect_out
	expect_err_like "tcpdrop-rules: *: cannot write to $PWD/small/*"
	expect_equal "the rules" "$(state_of_rules)" "$before"
	expect_alive bystander
	ask forget
}

# There is no place for files, or none for a byte more. A commit needs none.
needs_room()
{
	local full command before

	begin
	applies '[web]' 'sport = 443'
	write_file changed '[web]' 'sport = 80'
	mkdir full
	mount -t tmpfs -o size=4k tmpfs full
	defer umount "$PWD/full"
	printf '%4096s' "" >full/fill
	for full in "$PWD/full" /proc/no/such; do
		for command in "check changed" "apply changed" "remove changed" "remove web"; do
			echo "$command in $full"
			before=$(state_of_rules)
			# shellcheck disable=SC2086 # into words
			run env "TMPDIR=$full" tcpdrop-rules $command
			expect_exit 1
			expect_out
			expect_err_like '*?*'
			expect_equal "the rules" "$(state_of_rules)" "$before"
		done
		run env "TMPDIR=$full" tcpdrop-rules commit web
		expect_success "web: 0 matched, 0 dropped, 0 failed, 0 remaining"
	done
}

# With every amount of room that there can be, page by page: all of the change, or none.
needs_all_room()
{
	local before room=1

	begin
	printf '10.1.%s\n' {0..7}.{0..249..2} >before.list
	printf '10.2.%s\n' {0..7}.{0..249..2} >after.list
	applies '[web]' 'sport = 443' 'saddr = @before.list'
	# What other systems write is copied once more.
	printf '[web]\r\nsport = 80\r\ndaddr = @after.list\r\n' >changed
	sed -i 's/$/\r/' after.list
	before=$(state_of_rules)
	mkdir small
	defer umount "$PWD/small"
	mount -t tmpfs -o size=4k tmpfs small
	until run env "TMPDIR=$PWD/small" tcpdrop-rules apply changed && [ "$status" = 0 ]; do
		expect_exit 1
		expect_out
		expect_err_like '*?*'
		expect_equal "the rules with $room pages" "$(state_of_rules)" "$before"
		expect_equal "what is left" "$(ls small)" ""
		room=$((room + 1))
		mount -o "remount,size=$((4 * room))k" small
	done
	echo "enough: $room pages"
	[ "$room" -gt 12 ]
	before=$(state_of_rules)
	succeeds apply changed
	expect_equal "the rules" "$(state_of_rules)" "$before"
}

# An awk that leaves an empty file where it should write the last port, and says nothing.
refuses_what_is_not_written()
{
	local before

	begin
	applies '[web]' 'sport = 443'
	write_file changed '[web]' 'sport = 80' '[new]' 'state = all' 'dport = 81'
	mkdir shims
	# shellcheck disable=SC2016 # for that shell
	write_file shims/awk '#!/bin/sh' "$(command -v awk) \"\$@\"" 'said=$?' \
		'case "$*" in *mode=pack*) true >"$tmp/new.2.dport" ;; esac' 'exit $said'
	chmod +x shims/awk
	before=$(state_of_rules)
	run env "PATH=$PWD/shims:$PATH" tcpdrop-rules apply changed
	expect_exit 1
	expect_out
	expect_err_like "tcpdrop-rules: cannot write to */tcpdrop-rules.*"
	expect_equal "the rules" "$(state_of_rules)" "$before"
}

# Where a rule is to be made, where one that protects is to be relieved, and where it is written down
# how a rule was.
puts_back_without_tmp()
{
	local path

	for path in "$rules/new" '*.old'; do
		fails_in_the_middle mkdir "case \$1 in $path) mount -o remount,ro \"\$TMPDIR\" ;; esac"
		umount -l "$PWD/small"
		remove_all
	done
	# shellcheck disable=SC2016 # for that shell
	fails_in_the_middle awk '[ $# != 2 ] || case $2 in */old.*) exit 2 ;; esac'
}

# Each of two files has another address and another port: half of one and half of the other match.
means_no_more_in_changes()
{
	local i

	begin
	ask connect bystander 127.0.0.1 7001 from=127.2.0.1
	ask connect bystander 127.0.0.1 7002 from=127.1.0.1
	write_file one '[web]' 'saddr = 127.1.0.1' 'dport = 7001'
	write_file two '[web]' 'saddr = 127.2.0.1' 'dport = 7002'
	succeeds apply one
	start_commits web
	for i in 1 2; do
		until_applied two
		until_applied one
	done
	expect_alive bystander 2
	rmdir "$rules/web"
	wait "$commits"
	expect_alive bystander 2
}

# A commit that runs refuses the change.
until_applied()
{
	wait_for tcpdrop-rules apply "$1"
}

# What was refused last is gone when anything is written.
leaves_unchanged()
{
	local attr

	begin
	write_file web '[web]' 'max = 5' 'netns = self' 'kernel = no' 'sport = any'
	succeeds apply web
	run cat "$rules/web/max"
	expect_out 5
	not commits "$rules/web"
	expect_last_error 'commit: "1": no selector is set; state=all is everything'
	succeeds apply web
	expect_last_error 'commit: "1": no selector is set; state=all is everything'
	write_file web '[web]' 'state = listen'
	succeeds apply web
	expect_last_error ''
	commits "$rules/web"
	# What was refused is mended, though nothing else has changed.
	for attr in state protect; do
		not write timewait "$rules/web/$attr"
		not commits "$rules/web"
		succeeds apply web
		commits "$rules/web"
	done
	# So is what a kill -9 leaves of a rule that was being changed.
	write 1 "$rules/web/max"
	not write "being changed by tcpdrop-rules" "$rules/web/rate"
	write listen "$rules/web/state"
	not commits "$rules/web"
	succeeds apply web
	commits "$rules/web"
	expect_equal "the rule" "$(<"$rules/web/rule")" "state = LISTEN"
}

commits()
{
	write 1 "$1/commit"
}

write()
{
	echo "$1" >"$2"
}

expect_last_error()
{
	expect_equal "last_error" "$(<"$rules/web/last_error")" "$1"
}

# A commit at a rate of one a second takes long enough.
leaves_busy_rule()
{
	local committer

	begin
	ask connect target 127.0.0.1 7001 count=40
	applies '[web]' 'dport = 7001' 'rate = 1'
	write_file changed '[new]' 'sport = 1' '[web]' 'dport = 7001' 'max = 50'
	commits "$rules/web" &
	committer=$!
	defer wait "$committer"
	wait_for has_dropped web
	fails 'web: a commit of this rule is running' apply changed
	kill "$committer"
	wait_for is_committable web
	expect_equal "the rule" "$(<"$rules/web/rule")" $'dport = 7001\nrate = 1'
	succeeds apply changed
	succeeds commit web
	expect_answer 0 alive target
}

has_dropped()
{
	[ "$(<"$rules/$1/result/dropped")" != 0 ]
}

# Not refused for anything but what is written.
is_committable()
{
	not write 0 "$rules/$1/commit"
	[ "$(<"$rules/$1/last_error")" = 'commit: "0": only 1 can be written' ]
}

# Long lists.

takes_long_list()
{
	begin
	python3 -c 'for i in range(50000): print("10.%d.%d.0/25 # %d" % (i // 256, i % 256, i))' >long
	echo 127.0.0.1 >>long
	make_clients
	write_file long.rules '[long]' 'saddr = @long' 'dport = 7001'
	succeeds apply long.rules
	succeeds save
	cp "$tmp/out" saved
	expect_equal "the number of networks" "$(grep -o '10\.[0-9.]*/25' saved | sort -u | wc -l)" 50000
	not write 0 "$rules/long/commit"
	succeeds apply saved
	expect_equal "last_error" "$(<"$rules/long/last_error")" 'commit: "0": only 1 can be written'
	succeeds commit long
	expect_answer 0 alive target
	expect_alive bystander
}

# What the manual page shows, as it stands there.

# from_manual NAME: the lines of a block.
from_manual()
{
	local page

	for page in "$DIR/tcpdrop-rules.8" "$DIR/../Documentation/man/tcpdrop-rules.8"; do
		[ ! -e "$page" ] || break
	done
	awk -v marker=".\\\\\" recipe: $1" '
		$0 == marker { state = 1; next }
		state == 1 && sub(/^\.Dl # /, "") { print; exit }
		state == 1 && /^\.Bd / { state = 2; next }
		/^\.Ed/ { state = 0 }
		state == 2' "$page" | sed 's/\\-/-/g'
}

# There is no other machine.
ssh()
{
	shift
	"$@"
}

shows_examples()
{
	begin
	mkdir -p /etc/tcpdrop.d
	defer rm -r /etc/tcpdrop.d
	from_manual file >/etc/tcpdrop.d/web.rules
	write_file /etc/tcpdrop.d/blocklist '192.0.2.0/24 # one'
	run eval "$(from_manual apply)"
	expect_success ""
	succeeds show
	expect_out "[ssh]
port = 22
protect = yes

[web]
daddr = 192.0.2.0/24,203.0.113.0/24,2001:db8:f00d::/48
sport = 443"
	run eval "$(from_manual copy)"
	expect_success ""
}

# Signals.

# Holds tcpdrop-rules where it reads a list.
hold_check()
{
	write_file held '[held]' 'daddr = @fifo' '[keep]' 'port = 7002' 'protect = yes'
	rm -f fifo
	mkfifo fifo
	make_fifo
	start_command tcpdrop-rules "$1" held
	exec 9<"$tmp/fifo"
	wait_for not rules_are ""
}

leaves_no_rule()
{
	local signal

	begin
	for signal in TERM INT ALRM; do
		hold_check check
		kill "-$signal" "-$command"
		end_command
		expect_exit $((128 + $(kill -l "$signal")))
		rules_are ""
		rm "$tmp/fifo"
	done
	hold_check apply
	kill -KILL "-$command"
	end_command
	not rules_are ""
	succeeds show
	rules_are ""
}

# The commit of the first rule is stopped, and the second is not begun.
tells_of_stopped()
{
	local number

	begin
	ask connect target 127.0.0.1 7001 count=60
	applies '[web]' 'dport = 7001' 'rate = 2' '[db]' 'dport = 7002'
	make_fifo
	start_command tcpdrop-rules commit web db
	exec 9<"$tmp/fifo"
	wait_for has_dropped web
	kill -INT "$command"
	end_command
	expect_exit 130
	number=$(<"$rules/web/result/dropped")
	expect_equal "the report" "$(<"$tmp/report")" \
		"web: $(<"$rules/web/result/matched") matched, $number dropped, 0 failed, $((60 - number)) remaining"
	expect_err "tcpdrop-rules: web: interrupted by a signal"
	expect_equal "drops of the other rule" "$(<"$rules/db/result/matched")" 0
}

# What mkdir and the module take, and a rule file does not.
leaves_out_unwritable()
{
	local name

	begin
	applies '[web]' 'dport = 7001'
	for name in 'a]b' ' a' 'a ' tcpdrop-rules.web; do
		mkdir "$rules/$name"
		run tcpdrop-rules save
		rmdir "$rules/$name"
		expect_exit 1
		expect_out $'[web]\ndport = 7001'
		expect_err "tcpdrop-rules: $name: a file cannot say: its name"
	done
	mkdir "$rules/dev"
	for name in @x '#x' ';x' '6in4,@x' '6in4,;x'; do
		echo "$name" >"$rules/dev/dev"
		run tcpdrop-rules show
		expect_exit 1
		expect_out $'[web]\ndport = 7001'
		expect_err "tcpdrop-rules: dev: a file cannot say: dev = $name"
		run tcpdrop-rules show -j dev
		expect_success "{\"rule\":\"dev\",\"dev\":[\"${name//,/\",\"}\"]}"
	done
	echo 'x@#;' >"$rules/dev/dev"
	run tcpdrop-rules show dev
	expect_success $'[dev]\ndev = x@#;'
	rmdir "$rules/dev"
	mkdir "$rules/"$'a\tb\001"'
	run tcpdrop-rules show -j $'a\tb\001"'
	expect_success '{"rule":"a\u0009b\u0001\""}'
	rmdir "$rules/"$'a\tb\001"'
}

# As a plain user cannot, who sees that the rule is there.
shows_what_can_be_read()
{
	local option

	begin
	applies '[web]' 'dport = 7001'
	chmod 755 "$tmp"
	chmod 600 "$rules/web/rule"
	for option in "" -j; do
		# shellcheck disable=SC2086 # into words
		run "${nobody[@]}" tcpdrop-rules show $option web
		expect_exit 1
		expect_out
		expect_err_like 'cat: *: Permission denied'
	done
}

# Who commits may well drop the session that he works in.
goes_on_after_hangup()
{
	begin
	ask connect target 127.0.0.1 7001 count=3
	ask connect other 127.0.0.1 7003
	applies '[slow]' 'dport = 7001' 'rate = 1' '[other]' 'dport = 7003'
	make_fifo
	start_command tcpdrop-rules commit slow other
	exec 9<"$tmp/fifo"
	wait_for has_dropped slow
	kill -HUP "-$command"
	end_command
	expect_exit 0
	slurp "$tmp/report"
	expect_equal "the report" "$text" "slow: 3 matched, 3 dropped, 0 failed, 0 remaining
other: 1 matched, 1 dropped, 0 failed, 0 remaining"
	expect_answer 0 alive other
}

goes_on_without_reader()
{
	begin
	ask connect target 127.0.0.1 7001
	ask connect other 127.0.0.1 7003
	applies '[web]' 'dport = 7001' '[other]' 'dport = 7003'
	{
		sleep 0.5
		status=0
		tcpdrop-rules commit web other 2>/dev/null || status=$?
		echo "$status" >"$tmp/status"
	} | :
	expect_equal "its exit status" "$(<"$tmp/status")" 1
	expect_answer 0 alive target
	expect_answer 0 alive other
}

saves_hidden()
{
	begin
	applies '[.hidden]' 'dport = 7001'
	run tcpdrop-rules save
	expect_success $'[.hidden]\ndport = 7001'
}

# One that has come to where it changes rules, as far as another can see.
is_alone()
{
	local pid mark

	begin
	write_file web '[web]' 'dport = 7001'
	bash -c 'exec -a "tcpdrop-rules -- apply" sleep 600' &
	pid=$!
	defer kill "$pid"
	mark=$rules/tcpdrop-rules.$pid.$(readlink /proc/self/ns/pid | tr -dc 0-9).0
	mkdir "$mark"
	wait_for is_called_rules "$pid"
	fails "another apply is running: $pid" apply web
	expect_equal "the rules" "$(rules_there)" "${mark##*/}"
	succeeds check web
	kill "$pid"
	wait "$pid" || :
	succeeds apply web
	expect_equal "the rules" "$(rules_there)" web
}

is_called_rules()
{
	grep -q "tcpdrop-rules -- apply" "/proc/$1/cmdline"
}

# Of [web], which another rule that is committed keeps from being mended.
remembers_refusal()
{
	local committer

	begin
	ask connect target 127.0.0.1 7001 count=40
	applies '[web]' 'state = listen' '[slow]' 'dport = 7001' 'rate = 1'
	{ not echo timewait >"$rules/web/state"; } 2>"$tmp/refused"
	write_file changed '[web]' 'state = listen' '[slow]' 'dport = 7001' 'rate = 1' 'max = 50'
	commits "$rules/slow" &
	committer=$!
	defer wait "$committer"
	wait_for has_dropped slow
	fails 'slow: a commit of this rule is running' apply changed
	kill "$committer"
	wait_for is_committable slow
	succeeds apply changed
	succeeds commit web
}

# Completion, as bash asks for it: a ":" and a "=" are words of their own.

# What there is to choose from behind a line.
offered()
{
	local COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMP_CWORD COMPREPLY=() function

	set +eE
	trap - ERR
	mapfile -t COMP_WORDS < <(grep -oE '[:=]|[^:= ]+' <<<"$1")
	[[ $1 != *[[:space:]] ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	function=_${COMP_WORDS[0]//-/_}
	"$function"
	printf '%s\n' "${COMPREPLY[@]}"
}

# completes LINE WORD...: these are offered, or nothing at all.
completes()
{
	local word offered

	offered=$(offered "$1")
	echo "$1: $offered"
	for word in "${@:2}"; do
		grep -qxF -- "$word" <<<"$offered"
	done
	[ $# -gt 1 ] || [ -z "$offered" ]
}

completes_words()
{
	local file lport lport6 fport inode

	begin
	for file in tcpdrop tcpdrop-rules; do
		# shellcheck source=/dev/null
		. "$completion/$file.bash"
	done
	compopt() { :; }
	ask connect target 127.0.0.1 7001
	read -r _ lport _ fport <<<"$answer"
	ask connect target ::1 7001
	read -r _ lport6 _ <<<"$answer"
	inode=$(readlink /proc/self/ns/net | tr -dc 0-9)

	completes "tcpdrop 127.0.0.1:${lport%?}" "$lport"
	completes "tcpdrop 127.0." "127.0.0.1:$lport"
	completes "tcpdrop ::1:${lport6%????}" "$lport6"
	completes "tcpdrop 127.0.0.1:$lport " "127.0.0.1:$fport"
	completes "tcpdrop 127.0.0.1:$lport 127.0.0.1:7" "7001"
	completes "tcpdrop stat" state=
	completes "tcpdrop state=time" time_wait
	completes "tcpdrop -s TIME" TIME_WAIT
	completes "tcpdrop dev=l" lo
	completes "tcpdrop congestion=" "$(</proc/sys/net/ipv4/tcp_congestion_control)"
	completes "tcpdrop netns=${inode%?}" "$inode"
	completes "tcpdrop netns=a" all

	# A device whose name is a command to a shell.
	mount -t tmpfs tmpfs /sys/class/net
	defer umount /sys/class/net
	# shellcheck disable=SC2016 # for that shell
	touch '/sys/class/net/t$(>run)'
	completes "tcpdrop dev=t" 't\$\(\>run\)'
	completes "tcpdrop dev=u"
	[ ! -e run ]

	mkdir "$rules/web" "$rules/a b" "$rules/tcpdrop-rules.1.1.1"
	write_file web.rules
	completes "tcpdrop-rules " check apply remove commit show save
	completes "tcpdrop-rules ap" apply
	completes "tcpdrop-rules commit " web 'a\ b' -j
	completes "tcpdrop-rules -j show w" web
	completes "tcpdrop-rules show tcp"
	completes "tcpdrop-rules apply we" web.rules
	completes "tcpdrop-rules remove we" web web.rules
}

in_own_namespaces "$@"
the_command=$(find_command tcpdrop-rules)
completion=${the_command%/*}/completion
# All of them on the only kernel on which this runs.
[ -n "${TCPDROP_BRIEF:-}" ] || TCPDROP_SHELLS=
for shell in dash "busybox sh"; do
	wants_shell "$shell" || continue
	bin=$tmp/${shell// /-}
	make_command "$bin" "$shell"
	under=(under "$shell" "$bin")
	claim "rules are checked, applied, shown and removed ($shell)" "${under[@]}" makes_rules
	claim "files with the ends of lines of long ago ($shell)" "${under[@]}" takes_ends_of_lines_of_long_ago
	claim "commits drop what matches and tell the result ($shell)" "${under[@]}" commits_rules
	claim "nothing is written where nothing changes ($shell)" "${under[@]}" leaves_unchanged
	claim "no rule is left behind by a signal ($shell)" "${under[@]}" leaves_no_rule
	claim "a hang-up does not end the commits ($shell)" "${under[@]}" goes_on_after_hangup
	claim "that nobody reads what commits print does not end them ($shell)" \
		"${under[@]}" goes_on_without_reader
	claim "a rule whose name begins with a period is saved ($shell)" "${under[@]}" saves_hidden
	claim "what cannot be printed is a failure ($shell)" "${under[@]}" needs_output
	claim "without room for files nothing is done, and that is a failure ($shell)" \
		"${under[@]}" needs_room
	claim "a change is made whole or not at all, whatever room there is ($shell)" \
		"${under[@]}" needs_all_room
	# What depends neither on the shell nor on its awk, or makes an awk, which busybox would pass by.
	[ "$shell" = dash ] || continue
	claim "a commit that a signal stops is told of" "${under[@]}" tells_of_stopped
	claim "a rule that cannot be read is not shown as an empty one" \
		"${under[@]}" shows_what_can_be_read
	claim "a commit that was not made is told of as such" "${under[@]}" tells_of_none
	claim "what no file can say is named and left out" "${under[@]}" leaves_out_unwritable
	claim "what is wrong is named, and nothing changes" "${under[@]}" refuses_what_is_wrong
	claim "completion in bash" "${under[@]}" completes_words
	claim "the examples of the manual page" "${under[@]}" shows_examples
	claim "names are as they are, however ls is to quote them" \
		"${under[@]}" ignores_quoting_style
	claim "usage, help and version" "${under[@]}" says_how
	claim "all attributes, there and back" "${under[@]}" takes_all_attributes
	claim "rules that tcpdrop(8) has made for a moment are not shown" \
		"${under[@]}" leaves_out_tcpdrop
	claim "what cannot be done to its end is undone" "${under[@]}" puts_back
	claim "a rule protects while it is changed" "${under[@]}" protects_in_changes
	claim "a rule protects while a change of it is undone" \
		"${under[@]}" protects_in_undone_change
	claim "what has no room in a file is no rule for everything" \
		"${under[@]}" refuses_what_is_not_written
	claim "what cannot be kept in a file in the middle of a change is undone" \
		"${under[@]}" puts_back_without_tmp
	claim "a rule never matches more while it is changed" "${under[@]}" means_no_more_in_changes
	claim "a rule that is being committed is not changed" "${under[@]}" leaves_busy_rule
	claim "of two applies at a time one gives up" "${under[@]}" is_alone
	claim "a refusal is not forgotten by an apply that gives up" "${under[@]}" remembers_refusal
	claim "a list of 50,000 networks, there and back" "${under[@]}" takes_long_list
done
run_claims
