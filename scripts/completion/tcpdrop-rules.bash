# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of tcpdrop-rules(8) for bash.

# The rules there are that begin so, but for those that the commands make for a moment.
_tcpdrop_rules_names()
{
	local rule name

	for rule in /sys/kernel/config/tcpdrop/*/; do
		name=${rule%/}
		name=${name##*/}
		[[ ! $name =~ ^tcpdrop(-rules)?\.[0-9]+\.[0-9]+(\.|$) ]] || continue
		[[ $name != "*" && $name == "$1"* ]] || continue
		printf '%q\n' "$name"
	done
}

_tcpdrop_rules()
{
	local word=${COMP_WORDS[COMP_CWORD]} command="" words i

	for ((i = 1; i < COMP_CWORD && ${#command} == 0; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] || command=${COMP_WORDS[i]}
	done
	case $command in
	"")
		words="check apply remove commit show save -h -j -V"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		;;
	check | apply)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	remove) mapfile -t COMPREPLY < <(_tcpdrop_rules_names "$word"; compgen -f -- "$word") ;;
	commit | show)
		mapfile -t COMPREPLY < <(_tcpdrop_rules_names "$word"; compgen -W "-j" -- "$word")
		;;
	*) COMPREPLY=() ;;
	esac
}

complete -F _tcpdrop_rules tcpdrop-rules
