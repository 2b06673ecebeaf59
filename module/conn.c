// SPDX-License-Identifier: GPL-2.0
/*
 * Names of TCP states, and connections as text: printed and parsed.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/inet.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#include "conn.h"
#include "text.h"

#define STATES_SYNCHRONIZED	(CONN_STATES_ALL & ~TCPF_SYN_SENT)
#define STATES_BUCKET		(TCPF_TIME_WAIT | TCPF_SYN_RECV)
#define STATES_BIG		(CONN_STATES_ALL & ~STATES_BUCKET)

/* "[ADDR%ZONE]:PORT", with room for an address and a port spelt at length. */
#define END_MAX		128

/* In the order in which BSD numbers them, which is that of a connection's life. */
static const struct {
	const char *name;
	unsigned int state;
} state_names[CONN_STATE_RANKS] = {
	{ "LISTEN",	 TCP_LISTEN },
	{ "SYN_SENT",	 TCP_SYN_SENT },
	{ "SYN_RCVD",	 TCP_SYN_RECV },
	{ "ESTABLISHED", TCP_ESTABLISHED },
	{ "CLOSE_WAIT",	 TCP_CLOSE_WAIT },
	{ "FIN_WAIT_1",	 TCP_FIN_WAIT1 },
	{ "CLOSING",	 TCP_CLOSING },
	{ "LAST_ACK",	 TCP_LAST_ACK },
	{ "FIN_WAIT_2",	 TCP_FIN_WAIT2 },
	{ "TIME_WAIT",	 TCP_TIME_WAIT },
};

/* What else a state or a group of states is called, in ss and in Linux. */
static const struct {
	const char *name;
	unsigned int states;
} state_aliases[] = {
	{ "SYN_RECV",	  TCPF_SYN_RECV },
	{ "ESTAB",	  TCPF_ESTABLISHED },
	{ "FIN_WAIT1",	  TCPF_FIN_WAIT1 },
	{ "FIN_WAIT2",	  TCPF_FIN_WAIT2 },
	{ "ALL",	  CONN_STATES_ALL },
	{ "CONNECTED",	  CONN_STATES_ALL },
	{ "SYNCHRONIZED", STATES_SYNCHRONIZED },
	{ "BUCKET",	  STATES_BUCKET },
	{ "BIG",	  STATES_BIG },
};

/**
 * tcpdrop_conn_ipv6_key() - the key of an IPv6 address
 * @addr: the address; one that is v4-mapped has the key of the IPv4 address
 *
 * Return: the key.
 */
struct tcpdrop_range_key tcpdrop_conn_ipv6_key(const struct in6_addr *addr)
{
	const __be32 *w = addr->s6_addr32;

	if (!w[0] && !w[1] && w[2] == htonl(0xffff))
		return tcpdrop_conn_ipv4_key(w[3]);

	return (struct tcpdrop_range_key){
		.space = CONN_IPV6,
		.hi = (u64)ntohl(w[0]) << 32 | ntohl(w[1]),
		.lo = (u64)ntohl(w[2]) << 32 | ntohl(w[3]),
	};
}

/**
 * tcpdrop_conn_ipv6_addr() - the address that an IPv6 key stands for
 * @key: a key of space CONN_IPV6
 *
 * Return: the address.
 */
struct in6_addr tcpdrop_conn_ipv6_addr(const struct tcpdrop_range_key *key)
{
	struct in6_addr addr;

	addr.s6_addr32[0] = htonl(key->hi >> 32);
	addr.s6_addr32[1] = htonl((u32)key->hi);
	addr.s6_addr32[2] = htonl(key->lo >> 32);
	addr.s6_addr32[3] = htonl((u32)key->lo);
	return addr;
}

/**
 * tcpdrop_conn_state_name() - what a state is called, in BSD's spelling
 * @state: a TCP_* state that a connection or a listener can be in
 *
 * Return: its name, or "?".
 */
const char *tcpdrop_conn_state_name(unsigned int state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(state_names); i++)
		if (state_names[i].state == state)
			return state_names[i].name;
	return "?";
}

/**
 * tcpdrop_conn_state_by_rank() - the states in the order in which they are printed
 * @rank: 0 to CONN_STATE_RANKS - 1
 *
 * Return: the TCP_* state of that rank.
 */
unsigned int tcpdrop_conn_state_by_rank(unsigned int rank)
{
	return state_names[rank].state;
}

/* State names know no case, and a dash is as good as an underscore. */
static bool state_name_eq(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char c = *a == '-' ? '_' : toupper(*a);

		if (c != *b)
			return false;
	}
	return *a == *b;
}

/**
 * tcpdrop_conn_states_by_name() - the states that a name stands for
 * @name: a state or a group of states, as ss, BSD or Linux spell it
 *
 * Return: the states as TCPF_* bits, 0 if there are none of that name.
 */
unsigned int tcpdrop_conn_states_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(state_names); i++)
		if (state_name_eq(name, state_names[i].name))
			return 1U << state_names[i].state;
	for (i = 0; i < ARRAY_SIZE(state_aliases); i++)
		if (state_name_eq(name, state_aliases[i].name))
			return state_aliases[i].states;
	return 0;
}

/*
 * Lines of listings are made and taken apart by hand, as far as IPv4 goes: printf()
 * and in4_pton() would take more time than all the rest that is done for a line.
 */

static char *put_text(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	return p;
}

static char *put_number(char *p, u16 number)
{
	char digits[5];
	unsigned int nr = 0;

	do {
		digits[nr++] = '0' + number % 10;
	} while (number /= 10);
	while (nr)
		*p++ = digits[--nr];
	return p;
}

static char *put_ipv4(char *p, u32 addr)
{
	p = put_number(p, addr >> 24);
	*p++ = '.';
	p = put_number(p, addr >> 16 & 0xff);
	*p++ = '.';
	p = put_number(p, addr >> 8 & 0xff);
	*p++ = '.';
	return put_number(p, addr & 0xff);
}

static char *put_ipv6(char *p, const struct tcpdrop_range_key *addr)
{
	struct in6_addr in6 = tcpdrop_conn_ipv6_addr(addr);

	return p + scnprintf(p, CONN_ADDR_MAX, "%pI6c", &in6);
}

/**
 * tcpdrop_conn_print_addr() - an address as text, without brackets
 * @buf: where to; CONN_ADDR_MAX is enough
 * @addr: the key of an address
 *
 * Return: the characters written, the final NUL not counted.
 */
int tcpdrop_conn_print_addr(char *buf, const struct tcpdrop_range_key *addr)
{
	char *end;

	if (addr->space == CONN_IPV4)
		end = put_ipv4(buf, addr->lo);
	else
		end = put_ipv6(buf, addr);
	*end = '\0';
	return end - buf;
}

static char *put_end(char *p, const struct tcpdrop_range_key *addr, u16 port)
{
	if (addr->space == CONN_IPV4) {
		p = put_ipv4(p, addr->lo);
	} else {
		*p++ = '[';
		p = put_ipv6(p, addr);
		*p++ = ']';
	}
	*p++ = ':';
	return put_number(p, port);
}

/**
 * tcpdrop_conn_print() - a connection as the line that listings consist of
 * @buf: where to; CONN_LINE_MAX is enough
 * @conn: the connection
 *
 * Return: the characters written, with the newline, without the final NUL.
 */
int tcpdrop_conn_print(char *buf, const struct tcpdrop_conn *conn)
{
	char *p;

	p = put_end(buf, &conn->saddr, conn->sport);
	*p++ = ' ';
	p = put_end(p, &conn->daddr, conn->dport);
	*p++ = ' ';
	p = put_text(p, tcpdrop_conn_state_name(conn->state));
	*p++ = '\n';
	*p = '\0';
	return p - buf;
}

/* Up to 255 and no zero before it, which is octal to some and decimal to others. */
static const char *parse_byte(const char *p, u32 *byte)
{
	unsigned int digits;

	*byte = 0;
	for (digits = 0; digits < 3 && isdigit(*p); digits++)
		*byte = 10 * *byte + (*p++ - '0');
	if (!digits || *byte > 255 || (digits > 1 && p[-(int)digits] == '0'))
		return NULL;
	return p;
}

/* Returns what is behind the address, or NULL. */
static const char *take_ipv4(const char *text, struct tcpdrop_range_key *key)
{
	u32 addr = 0, byte;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (i && *text++ != '.')
			return NULL;
		text = parse_byte(text, &byte);
		if (!text)
			return NULL;
		addr = addr << 8 | byte;
	}
	*key = tcpdrop_conn_ipv4_key(htonl(addr));
	return text;
}

static int parse_ipv4(const char *text, struct tcpdrop_range_key *key)
{
	const char *end = take_ipv4(text, key);

	return end && !*end ? 0 : -EINVAL;
}

/* in6_pton() does not mind leading zeros, however many. */
static bool groups_are_canonical(const char *text)
{
	struct tcpdrop_range_key ipv4;
	size_t len;

	for (; (len = strcspn(text, ":")), text[len]; text += len + 1)
		if (len > 4)
			return false;
	return len <= 4 || !parse_ipv4(text, &ipv4);
}

static int parse_ipv6(const char *text, struct in6_addr *addr)
{
	const char *end;

	if (!in6_pton(text, -1, addr->s6_addr, -1, &end) || *end ||
	    !groups_are_canonical(text))
		return -EINVAL;
	return 0;
}

/* Takes "[ADDR]" apart; only an IPv6 address has brackets. */
static int strip_brackets(char **text)
{
	char *end = strchr(*text, ']');

	if (**text != '[')
		return 0;
	if (!end || end[1] || !strchr(*text, ':'))
		return -EINVAL;

	*end = '\0';
	(*text)++;
	return 0;
}

/**
 * tcpdrop_conn_parse_addr() - an address from text
 * @text: an IPv4 or an IPv6 address, the latter with or without brackets; is
 *        taken apart by that
 * @key: set to its key; one that is v4-mapped has the key of the IPv4 address
 *
 * Return: 0 or -EINVAL.
 */
int tcpdrop_conn_parse_addr(char *text, struct tcpdrop_range_key *key)
{
	struct in6_addr addr;

	if (strip_brackets(&text))
		return -EINVAL;
	if (!strchr(text, ':'))
		return parse_ipv4(text, key);
	if (parse_ipv6(text, &addr))
		return -EINVAL;

	*key = tcpdrop_conn_ipv6_key(&addr);
	return 0;
}

/**
 * tcpdrop_conn_parse_port() - a port from text
 * @text: decimal digits and nothing else: no sign, no base prefix
 * @port: set to the port
 *
 * Return: 0; -EINVAL if it is not from 1 to 65535.
 */
int tcpdrop_conn_parse_port(const char *text, u16 *port)
{
	return isdigit(*text) && !kstrtou16(text, 10, port) && *port ? 0 : -EINVAL;
}

/* Removes the "%ZONE" of "ADDR%ZONE", "[ADDR%ZONE]" and "[ADDR]%ZONE". */
static int strip_zone(char *text)
{
	char *zone = strchr(text, '%');
	size_t len;

	if (!zone)
		return 0;
	len = strcspn(zone, "]");
	if (len < 2 || memchr(zone, ':', len))
		return -EINVAL;
	while ((*zone = zone[len]))
		zone++;
	return 0;
}

/* "ADDR:PORT": the last colon starts the port. */
static int parse_end(const char *text, size_t len, struct tcpdrop_range_key *addr,
		     u16 *port)
{
	char end[END_MAX];
	char *colon;

	if (len >= sizeof(end))
		return -EINVAL;
	memcpy(end, text, len);
	end[len] = '\0';

	colon = strrchr(end, ':');
	if (!colon)
		return -EINVAL;
	*colon++ = '\0';
	if (tcpdrop_conn_parse_port(colon, port) || strip_zone(end))
		return -EINVAL;
	return tcpdrop_conn_parse_addr(end, addr);
}

/* A word of a line; refers to the line. */
struct word {
	const char *text;
	size_t len;
};

/* The length of what separates two words: a blank, or the arrow of lsof. */
static size_t separator(const char *p)
{
	if (*p == '-')
		return p[1] == '>' ? 2 : 0;
	return tcpdrop_is_blank(*p);
}

/* The word at the start of @line, which moves on behind it; empty at the end. */
static struct word next_word(const char **line)
{
	const char *p = *line;
	struct word word;
	size_t len;

	while ((len = separator(p)))
		p += len;
	word.text = p;
	while (*p && !separator(p))
		p++;
	word.len = p - word.text;
	*line = p;
	return word;
}

static bool word_has(const struct word *word, char c)
{
	return memchr(word->text, c, word->len);
}

/* Does a word end in a colon and a number? */
static bool has_number(const struct word *word)
{
	size_t digits = 0;

	while (digits < word->len && isdigit(word->text[word->len - 1 - digits]))
		digits++;
	return digits && digits < word->len && word->text[word->len - 1 - digits] == ':';
}

static bool word_ends(const struct word *word, const char *text)
{
	size_t len = strlen(text);

	return word->len >= len && !memcmp(word->text + word->len - len, text, len);
}

static bool has_any_port(const struct word *word)
{
	return word_ends(word, ":*");
}

static bool word_starts(const struct word *word, const char *text)
{
	size_t len = strlen(text);

	return word->len >= len && !memcmp(word->text, text, len);
}

static bool word_is(const struct word *word, const char *text)
{
	return word->len == strlen(text) && word_starts(word, text);
}

/*
 * A listener has any port at its other end in ss and netstat, 0 in our listings, and no such end
 * in lsof, which may have more to tell behind its state.  @rest is behind both ends.
 */
static bool is_listening(const struct word *local, const struct word *remote, const char *rest)
{
	struct word state = next_word(&rest);

	return has_any_port(local) || has_any_port(remote) || word_starts(remote, "(LISTEN") ||
	       (word_ends(remote, ":0") && word_is(&state, "LISTEN"));
}

static bool is_number(const struct word *word)
{
	size_t i;

	for (i = 0; i < word->len && isdigit(word->text[i]); i++)
		;
	return i && i == word->len;
}

/*
 * What is in front of @rest is the name of a program if that is as in lsof: a process, a user, and
 * further on the ends behind the word TCP.  Nothing else has a number and then none there, but for
 * UNIX domain sockets in netstat, whose names may say anything: behind their number is a bracket.
 */
static bool follows_program(const char *rest)
{
	struct word process = next_word(&rest), user, before, word;

	if (!is_number(&process))
		return false;
	user = next_word(&rest);
	if (!user.len || is_number(&user) || *user.text == '[')
		return false;
	for (before = user, word = next_word(&rest); word.len; word = next_word(&rest)) {
		if (word_is(&before, "TCP") && word_has(&word, ':'))
			return true;
		before = word;
	}
	return false;
}

static bool is_alnum_ascii(char c)
{
	return isascii(c) && isalnum(c);
}

static bool has_letter(const struct word *word)
{
	size_t i;

	for (i = 0; i < word->len; i++)
		if (isascii(word->text[i]) && isalpha(word->text[i]))
			return true;
	return false;
}

/* Of a word that is quoted, or has a comma behind it. */
static struct word core_of(const struct word *word)
{
	struct word core = *word;

	while (core.len && !is_alnum_ascii(*core.text)) {
		core.text++;
		core.len--;
	}
	while (core.len && !is_alnum_ascii(core.text[core.len - 1]))
		core.len--;
	return core;
}

/* What is not TCP's, as ss and netstat call it. */
static bool has_other_name(const struct word *word)
{
	static const char * const names[] = {
		"udp", "udp4", "udp6", "udp46", "udpl", "udpl6", "udplite", "udplite6", "raw",
		"raw6", "icmp", "icmp6", "sctp", "dccp", "nl", "u_str", "u_dgr", "u_seq", "p_raw",
		"p_dgr", "v_str", "v_dgr", "ti_st", "ti_dg", "ti_rd", "ti_sq", "tipc", "xdp",
		"unix",
	};
	struct word core = core_of(word);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (word_is(&core, names[i]))
			return true;
	return false;
}

/*
 * What is not TCP's has its name in front (@first) in ss and netstat, and further on in lsof,
 * where a program may have such a name.
 */
static bool is_other_protocol(const struct word *word, bool first, const char *rest)
{
	if (word_is(word, "UDP") || (first && has_other_name(word)))
		return !first || !follows_program(rest);
	return word_is(word, "UDPLITE");
}

/*
 * lsof names other files, too, and anybody may have given one the name of a connection: they begin
 * with "/" or, in a namespace of sockets, "@", but for a socket bound to a relative path.  A
 * program may have such a name, and a user the other.
 */
static bool is_other_file(const struct word *word, size_t nr)
{
	return (nr > 0 && (*word->text == '/' || *word->text == '@')) ||
	       (nr > 2 && word_is(word, "unix"));
}

static bool word_contains(const struct word *word, const char *text)
{
	size_t i, len = strlen(text);

	for (i = 0; i + len <= word->len; i++)
		if (!memcmp(word->text + i, text, len))
			return true;
	return false;
}

/*
 * The end that netstat has cut, without -W, has this many characters, and may name another
 * host, or another port.  There are whole ones that are as long.
 */
#define CUT_END 23

static bool may_be_cut(const struct word *end)
{
	const char *colon = memchr(end->text, ':', end->len);

	return end->len == CUT_END && *end->text != '[' &&
	       memchr(colon + 1, ':', end->text + end->len - (colon + 1));
}

/* Where nothing is longer than that. */
static bool has_cut_end(const struct word *local, const struct word *remote)
{
	return local->len <= CUT_END && remote->len <= CUT_END &&
	       (may_be_cut(local) || may_be_cut(remote));
}

/* Is there before the first colon what is in no number, and nothing that hosts have? */
static bool starts_with_name(const struct word *word)
{
	bool name = false;
	size_t i;

	for (i = 0; i < word->len && word->text[i] != ':'; i++) {
		if (strchr(".[%", word->text[i]))
			return false;
		name |= !isxdigit(word->text[i]);
	}
	return name && i < word->len;
}

/* Has a word a colon that neither a port nor more of an address is behind? */
static bool has_other_colon(const struct word *word)
{
	const char *colon = memchr(word->text, ':', word->len);

	if (!colon)
		return false;
	if (colon + 1 == word->text + word->len)
		return true;
	return colon[1] != ':' && !is_alnum_ascii(colon[1]);
}

/* A word with a colon that is no end, nor one with a typing error. */
static bool is_no_end(const struct word *word)
{
	return starts_with_name(word) || has_other_colon(word);
}

/*
 * A program, be the line numbered, up to four numbers of processes and threads, and then no number:
 * a thread, a label or a user.
 */
static bool begins_as_lsof(const char *line)
{
	struct word word = next_word(&line);
	unsigned int nr;

	if (!has_letter(&word))
		next_word(&line);
	word = next_word(&line);
	for (nr = 0; is_number(&word); nr++)
		word = next_word(&line);
	return nr && nr <= 4 && word.len && *word.text != '[' &&
	       (!word_has(&word, ':') || is_no_end(&word));
}

/*
 * A line of lsof begins with the name of a program, which may have a colon, as that of a
 * thread and what SELinux has to say of it.  Nothing else has one before the word TCP, behind
 * which the ends are.  Returns 0 or -ENODATA.
 */
static int pass_program(struct word *local, const char **rest)
{
	const char *p = *rest;
	struct word word = next_word(&p);
	size_t nr;

	for (nr = 1; word.len && !word_is(&word, "TCP"); nr++) {
		if (word_has(&word, ':') && !is_no_end(&word))
			return 0;
		if (is_other_protocol(&word, false, p) || is_other_file(&word, nr))
			return -ENODATA;
		word = next_word(&p);
	}
	if (word.len) {
		*rest = p;
		*local = next_word(rest);
	}
	return 0;
}

/* The headings of ss, netstat and lsof have no number where a port would be, and no "*". */
static bool is_heading(const char *line)
{
	struct word word;

	do {
		word = next_word(&line);
		if (has_number(&word) || has_any_port(&word))
			return false;
	} while (word.len);
	return true;
}

/* "A.B.C.D:PORT" at a glance, as most ends are; false if it may be another kind of end. */
static bool parse_plain_end(const struct word *word, struct tcpdrop_range_key *addr, u16 *port)
{
	const char *p = take_ipv4(word->text, addr), *end = word->text + word->len;
	unsigned int digits, number = 0;

	if (!p || *p++ != ':')
		return false;
	for (digits = 0; digits < 5 && p < end && isdigit(*p); digits++)
		number = 10 * number + (*p++ - '0');
	*port = number;
	return p == end && number && number <= U16_MAX;
}

static int parse_word(const struct word *word, struct tcpdrop_range_key *addr, u16 *port)
{
	if (parse_plain_end(word, addr, port))
		return 0;
	return parse_end(word->text, word->len, addr, port);
}

/* What is said in front of the ends. */
struct front {
	bool assigns;	/* a value to something */
	bool netstat;	/* "tcp6", be it quoted or numbered: netstat, which may have cut an end */
	size_t words;	/* how many there are */
};

/* Passes over words without a colon, to the first end.  Returns 0; -ENODATA if that is none. */
static int pass_front(struct word *local, const char **rest, struct front *front)
{
	bool first = true;
	size_t nr;

	for (nr = 0; local->len && !word_has(local, ':'); nr++) {
		if (is_other_protocol(local, first, *rest) || is_other_file(local, nr))
			return -ENODATA;
		/* In front of it may be the number of the line, or what quotes it. */
		first = !nr && !has_letter(local);
		front->assigns |= word_has(local, '=');
		front->netstat |= word_contains(local, "tcp6");
		*local = next_word(rest);
	}
	front->words = nr;
	return is_other_file(local, nr) ? -ENODATA : 0;
}

/* Is there nothing behind the ends, or a state, as our own listings have it, or a comment? */
static bool is_own_rest(const char *rest)
{
	while (tcpdrop_is_blank(*rest))
		rest++;
	while (isupper(*rest) || isdigit(*rest) || *rest == '_')
		rest++;
	while (tcpdrop_is_blank(*rest))
		rest++;
	return !*rest || *rest == '#' || *rest == ';';
}

/**
 * tcpdrop_conn_parse_row() - the two ends that a line names, and whether it is another program's
 * @line: "ADDR:PORT ADDR:PORT" or "ADDR:PORT->ADDR:PORT", behind words without
 *        a colon, and with anything behind it: a line of a listing, of ss,
 *        netstat or lsof
 * @ends: filled, except for the state
 * @row: set to whether the line has anything in front of its ends, or more behind them than a
 *       state and a comment, or is about what is not TCP's: then it may have names that anybody
 *       has chosen, and what is behind a newline in one of them looks like a line of its own
 *
 * The first word with a colon has to be the first end: to look for one further
 * on would find another connection in a line with a typing error.
 *
 * An address may have a zone, as ss prints it, which does not count: a
 * connection matches on whichever device it is.
 *
 * Return: 0; -ENODATA if the line plainly names no connection of TCP, as a heading
 * or a listener, or one of lsof that has another file; -EINVAL if it names one wrongly, by
 * ends that may have been cut, or behind a "=", as the value of an attribute, or by the name of
 * a program, where lsof has the ends further on.
 */
int tcpdrop_conn_parse_row(const char *line, struct tcpdrop_conn *ends, bool *row)
{
	struct word local, remote;
	struct front front = {};
	const char *rest = line;

	*row = false;
	local = next_word(&rest);
	if (word_has(&local, '='))
		return -EINVAL;
	*row = true;
	if (pass_front(&local, &rest, &front))
		return -ENODATA;
	if (is_no_end(&local) && begins_as_lsof(line) && pass_program(&local, &rest))
		return -ENODATA;
	remote = next_word(&rest);

	if (!parse_word(&local, &ends->saddr, &ends->sport) &&
	    !parse_word(&remote, &ends->daddr, &ends->dport)) {
		*row = front.words || !is_own_rest(rest);
		if (front.assigns || (front.netstat && has_cut_end(&local, &remote)) ||
		    follows_program(rest))
			return -EINVAL;
		return ends->saddr.space == ends->daddr.space ? 0 : -EINVAL;
	}
	*row = front.words && !is_heading(line);
	return is_listening(&local, &remote, rest) || is_heading(line) ? -ENODATA : -EINVAL;
}

/**
 * tcpdrop_conn_parse_ends() - the two ends that a line names
 * @line: as for tcpdrop_conn_parse_row()
 * @ends: likewise
 *
 * Return: as tcpdrop_conn_parse_row().
 */
int tcpdrop_conn_parse_ends(const char *line, struct tcpdrop_conn *ends)
{
	bool row;

	return tcpdrop_conn_parse_row(line, ends, &row);
}
