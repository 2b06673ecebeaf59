# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of tcpdrop(8) for bash.

_tcpdrop_words_of()
{
	local file words=()

	for file; do
		[ ! -r "$file" ] || words+=("$(<"$file")")
	done
	echo "${words[*]}"
}

# _tcpdrop_matching PREFIX WORD CHOICES: those that begin so, behind the prefix, as they are typed.
# What has a "$(" in its name, as a device can, compgen -W would run.
_tcpdrop_matching()
{
	local choice choices

	read -r -d "" -a choices <<<"$3"
	for choice in "${choices[@]}"; do
		[[ $choice != "$2"* ]] || printf '%s%q\n' "$1" "$choice"
	done
}

_tcpdrop_states="SYN_SENT SYN_RCVD ESTABLISHED CLOSE_WAIT FIN_WAIT_1 CLOSING LAST_ACK FIN_WAIT_2
	TIME_WAIT"
# All of a rule but protect, by which nothing is dropped.
_tcpdrop_attributes="saddr daddr sport dport port state netns dev mark uid cgroup pid congestion ulp
	idle retrans sendq recvq orphan kernel max rate reset"

# The values of an attribute, behind its "=": the last item of a list, or a file behind an "@".
_tcpdrop_values()
{
	local attribute=$1 value=$2 before item choices=""
	local sysctl=/proc/sys/net/ipv4

	if [[ $value == @* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -P @ -- "${value#@}")
		return
	fi
	before=${value%"${value##*[,!]}"}
	item=${value##*[,!]}
	case $attribute in
	state) choices="${_tcpdrop_states,,} listen all synchronized bucket big" ;;
	orphan | kernel | reset) choices="yes no" ;;
	netns) choices="self all $(lsns --noheadings --type net --output NS 2>/dev/null)" ;;
	congestion) choices=$(_tcpdrop_words_of "$sysctl/tcp_available_congestion_control") ;;
	ulp) choices=$(_tcpdrop_words_of "$sysctl/tcp_available_ulp") ;;
	dev) choices=$(cd /sys/class/net && echo *) ;;
	esac
	mapfile -t COMPREPLY < <(_tcpdrop_matching "$before" "$item" "$choices")
}

# The ends of the connections there are: ADDRESS:PORT ADDRESS:PORT, a line each. Who is not root
# sees them by ss only.
_tcpdrop_connections()
{
	{ cat /proc/net/tcp_drop 2>/dev/null || ss -Htan | awk '$1 != "LISTEN" { print $4, $5 }'; } |
		awk '{ gsub(/[][]/, ""); print $1, $2 }'
}

# The local ends, or behind a local end the foreign ends that it is connected to. To bash a colon
# is a word of its own, and what is offered takes the place of what is behind the last one only.
_tcpdrop_ends()
{
	local line=${COMP_LINE:0:COMP_POINT} word before choices

	word=${line##*[[:blank:]]}
	line=${line%"$word"}
	before=${line%"${line##*[![:blank:]]}"}
	before=${before##*[[:blank:]]}
	if [[ $before == *[0-9a-fA-F]:[0-9]* ]]; then
		choices=$(_tcpdrop_connections | awk -v end="$before" '$1 == end { print $2 }')
	else
		choices=$(_tcpdrop_connections | awk '{ print $1 }')
	fi
	before=
	[[ $word != *:* ]] || before=${word%:*}:
	_tcpdrop_matching "" "$word" "$choices" | sort -u | while read -r word; do
		echo "${word#"$before"}"
	done
}

_tcpdrop()
{
	local word=${COMP_WORDS[COMP_CWORD]} sysctl=/proc/sys/net/ipv4 words
	local algorithms=$sysctl/tcp_available_congestion_control

	# A "=" is a word of its own to bash.
	if [[ $word == = ]]; then
		_tcpdrop_values "${COMP_WORDS[COMP_CWORD - 1]}" ""
		return
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		_tcpdrop_values "${COMP_WORDS[COMP_CWORD - 2]}" "$word"
		return
	fi

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-*C) words=$(_tcpdrop_words_of "$algorithms") ;;
	-*S) words=$(_tcpdrop_words_of "$algorithms" "$sysctl/tcp_available_ulp") ;;
	-*s) words=$_tcpdrop_states ;;
	*)
		words="-a -C -h -j -l -n -S -s -V $(compgen -A hostname)"
		mapfile -t COMPREPLY < <(_tcpdrop_matching "" "$word" "$words"
			compgen -S = -W "$_tcpdrop_attributes" -- "$word"; _tcpdrop_ends)
		[[ ${COMPREPLY[*]-} != *= ]] || compopt -o nospace
		return
		;;
	esac
	mapfile -t COMPREPLY < <(_tcpdrop_matching "" "$word" "$words")
}

complete -F _tcpdrop tcpdrop
