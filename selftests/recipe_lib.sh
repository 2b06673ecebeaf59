# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for its users
# shellcheck disable=SC2086,SC2016 # words on purpose, text for other shells
# Blocks of the documentation, for tests that type them as they stand; lib.sh comes first.
#
# A block belongs to the line "recipe: NAME" in a comment before it; those of one name are one text.
# A block with prompts is a transcript: commands and what they print.

# After in_own_namespaces: what it takes to type what is in this document.
need_recipes()
{
	doc "$1" >/dev/null 2>&1 || skip_all "needs the documentation"
	command -v dash >/dev/null || skip_all "needs dash"
	command -v busybox >/dev/null || skip_all "needs busybox"
	rules_before=$(find "$rules" -maxdepth 1)
}

# Installed next to the tests, or in the project's tree.
doc()
{
	local file

	for file in "$DIR/$1" "$DIR/../$1" "$DIR/../Documentation/$1" "$DIR/../Documentation/man/$1"; do
		if [ -f "$file" ]; then
			echo "$file"
			return
		fi
	done
	echo "no $1" >&2
	return 1
}

# rst_block DOCUMENT NAME
rst_block()
{
	awk -v marker=".. recipe: $2" '
		$0 == marker { state = 1; next }
		state == 1 && /::$/ { state = 2; next }
		state == 2 && /^[^ ]/ { state = 0 }
		state == 2 && NF { sub(/^  /, ""); print }' "$(doc "$1")"
}

# man_block PAGE NAME: a display of one line, or of several.
man_block()
{
	awk -v marker=".\\\\\" recipe: $2" '
		$0 == marker { state = 1; next }
		state == 1 && sub(/^\.Dl /, "") { print; state = 0; next }
		state == 1 && /^\.Bd / { state = 2; next }
		/^\.Ed/ { state = 0 }
		state == 2' "$(doc "$1")" | sed "s/\\\\(aq/'/g; s/\\\\e/\\\\/g; s/\\\\-/-/g"
}

# block DOCUMENT NAME: one that is missing is an error.
block()
{
	case $1 in
	*.[0-9]) man_block "$@" ;;
	*) rst_block "$@" ;;
	esac >"$tmp/block"
	if [ ! -s "$tmp/block" ]; then
		echo "$1 has no recipe $2"
		return 1
	fi
}

# Transcripts.

# What differs from one run to the next, and the order of listings.
normalise()
{
	sed -E -e 's/^bash: line [0-9]+: /bash: /' -e 's/((elapsed_us|netns)[:=])[0-9]+/\1N/' \
		-e 's/[0-9]+ more$/N more/' -e 's/[[:blank:]]+/ /g' | sort
}

# transcript_holds DOCUMENT NAME: its commands, typed into bash, print what it shows.
transcript_holds()
{
	block "$@"
	sed -n 's/^# //p' "$tmp/block" >"$tmp/typed"
	(cd "$tmp"; bash <"$tmp/typed") >"$tmp/said" 2>&1 || true
	expect_equal "what $1 shows of $2" "$(normalise <"$tmp/said")" \
		"$(sed '/^# /d' "$tmp/block" | normalise)"
	expect_no_rules
}

# Recipes.

# Those that have been made since the test began.
rules_left()
{
	find "$rules" -mindepth 1 -maxdepth 1 | grep -vxF "$rules_before" || true
}

no_rules()
{
	[ -z "$(rules_left)" ]
}

# One that was left is not to fail the claims after this one.
expect_no_rules()
{
	local left

	left=$(rules_left)
	[ -z "$left" ] || rmdir $left
	expect_equal "the rules left" "$left" ""
}

expect_out_like()
{
	slurp "$tmp/out"
	# shellcheck disable=SC2053 # a pattern
	[[ $text == $1 ]] || {
		printf 'standard output is\n%s\nand should be like\n%s\n' "$text" "$1"
		cat "$tmp/err"
		return 1
	}
}

# In the ways that people run a script, and with a command after it that must be reached.
ways=("dash -e" "bash" "busybox sh -e" "and dash" "and busybox sh")

run_recipe()
{
	local way=$1

	if [[ $way != "and "* ]]; then
		run $way "$tmp/recipe"
		return
	fi
	run ${way#and } -c "{ $(<"$tmp/recipe")
		} && touch $tmp/reached"
	[ "$status" != 0 ] || rm "$tmp/reached"
}

# recipe_works DOCUMENT NAME FIRST AGAIN FUNCTION: the function makes the connections, those called
# target to be dropped, those called bystander not; FIRST and AGAIN are patterns of what is printed
# when there are some and when there are none left.
recipe_works()
{
	local set_up=$5 way

	block "$1" "$2"
	mv "$tmp/block" "$tmp/recipe"
	for way in "${ways[@]}"; do
		echo "$way:"
		$set_up
		run_recipe "$way"
		expect_out_like "$3"
		expect_exit 0
		expect_err
		expect_dropped
		run_recipe "$way"
		expect_out_like "$4"
		expect_exit 0
		expect_err
		expect_dropped
		expect_no_rules
		ask forget
	done
}

# The targets are gone, the bystanders carry data both ways. A set-up may say more by is_dropped.
expect_dropped()
{
	${is_dropped:-expect_answer 0 alive target}
	expect_alive bystander "$bystanders"
}

bystanders=1

bystander()
{
	ask connect bystander "$@"
}

# A recipe of commands that print a line for each connection, and nothing when there are none left.
recipe_lines_work()
{
	local set_up=$1 way

	for way in "${ways[@]}"; do
		echo "$way:"
		$set_up
		run_recipe "$way"
		expect_exit 0
		expect_err
		grep -q ': dropped$' "$tmp/out"
		expect_dropped
		run_recipe "$way"
		expect_exit 0
		expect_err
		expect_out
		expect_no_rules
		ask forget
	done
}
