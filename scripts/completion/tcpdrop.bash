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

_tcpdrop()
{
	local word=${COMP_WORDS[COMP_CWORD]} sysctl=/proc/sys/net/ipv4 words
	local algorithms=$sysctl/tcp_available_congestion_control

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-*C) words=$(_tcpdrop_words_of "$algorithms") ;;
	-*S) words=$(_tcpdrop_words_of "$algorithms" "$sysctl/tcp_available_ulp") ;;
	-*s) words="SYN_SENT SYN_RCVD ESTABLISHED CLOSE_WAIT FIN_WAIT_1 CLOSING LAST_ACK
		FIN_WAIT_2 TIME_WAIT" ;;
	*) words="-a -C -l -S -s $(compgen -A hostname)" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _tcpdrop tcpdrop
