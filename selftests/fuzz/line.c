// SPDX-License-Identifier: GPL-2.0
/*
 * Lines as they are written to /proc/net/tcp_drop: two ends of a connection, or
 * a rule for once.
 *
 * What a line names is compared with a second reading of it, and is printed as
 * a line that names the same, whatever is put around it.
 */
#include "fuzz.h"
#include "reference.h"

#include "../../module/once.c"

/* The longest end, as the module has it. */
#define LONGEST_END 127

/* What procfs.c has cut off a line already. */
#define LONGEST_LINE 4094

/* A second reading of two ends. */

static bool is_blank_here(char c)
{
	return c && strchr(" \t\v\f\r", c);
}

/* Blanks or "->" are between two words. */
static struct piece next_word_of(struct piece *rest)
{
	struct piece word;
	size_t i = 0;

	for (;;) {
		if (i < rest->len && is_blank_here(rest->text[i]))
			i++;
		else if (i + 1 < rest->len && !memcmp(rest->text + i, "->", 2))
			i += 2;
		else
			break;
	}
	word.text = rest->text + i;
	while (i < rest->len && !is_blank_here(rest->text[i]) &&
	       !(i + 1 < rest->len && !memcmp(rest->text + i, "->", 2)))
		i++;
	word.len = rest->text + i - word.text;
	rest->text += i;
	rest->len -= i;
	return word;
}

static size_t last_colon(struct piece word)
{
	size_t i = word.len;

	while (i && word.text[i - 1] != ':')
		i--;
	return i;
}

static bool ends_in(struct piece word, const char *what)
{
	size_t len = strlen(what);

	return word.len >= len && !memcmp(word.text + word.len - len, what, len);
}

static bool ends_in_number(struct piece word)
{
	size_t colon = last_colon(word), i;

	for (i = colon; i < word.len; i++)
		if (word.text[i] < '0' || word.text[i] > '9')
			return false;
	return colon && colon < word.len;
}

/* "ADDR%ZONE", "[ADDR%ZONE]" or "[ADDR]%ZONE": a zone is not empty, and does not count. */
static bool ref_end(struct piece word, ref_number *addr, unsigned int *port)
{
	size_t colon = last_colon(word), zone, i;
	char text[LONGEST_END + 1];
	size_t len = 0;
	bool ipv4;

	if (!ends_in_number(word) || word.len > LONGEST_END)
		return false;
	for (*port = 0, i = colon; i < word.len; i++) {
		*port = *port * 10 + word.text[i] - '0';
		if (*port > 65535)
			return false;
	}
	for (i = 0; i < colon - 1 && word.text[i] != '%'; i++)
		text[len++] = word.text[i];
	if (i < colon - 1) {
		for (zone = i; i < colon - 1 && word.text[i] != ']'; i++)
			if (word.text[i] == ':')
				return false;
		if (i - zone < 2)
			return false;
		for (; i < colon - 1; i++)
			text[len++] = word.text[i];
	}
	return *port && ref_parse_addr(text, len, addr, &ipv4);
}

static bool is_word(struct piece word, const char *what)
{
	return word.len == strlen(what) && ends_in(word, what);
}

static unsigned int colons(struct piece word)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < word.len; i++)
		n += word.text[i] == ':';
	return n;
}

static size_t letters(struct piece word)
{
	size_t i, n = 0;

	for (i = 0; i < word.len; i++)
		n += (word.text[i] >= 'a' && word.text[i] <= 'z') ||
		     (word.text[i] >= 'A' && word.text[i] <= 'Z');
	return n;
}

static bool is_decimal(struct piece word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.text[i] < '0' || word.text[i] > '9')
			return false;
	return word.len;
}

/* lsof: "PID USER ... NODE NAME" behind the name of a program, with the node TCP. */
static bool is_rest_of_lsof(struct piece rest)
{
	struct piece pid = next_word_of(&rest), word = next_word_of(&rest);
	bool node = false;

	if (!is_decimal(pid) || !word.len || is_decimal(word) || word.text[0] == '[')
		return false;
	for (; word.len; word = next_word_of(&rest)) {
		if (node && colons(word))
			return true;
		node = is_word(word, "TCP");
	}
	return false;
}

/* As the first column of ss and netstat has them, but for those of TCP, with what is around it. */
static bool is_of_others(struct piece word, struct piece rest)
{
	static const char * const list[] = {
		"udp", "udp6", "udpl", "udpl6", "udplite", "udplite6", "raw", "raw6", "icmp",
		"icmp6", "sctp", "dccp", "nl", "tipc", "xdp", "unix", "u_str", "u_dgr", "u_seq",
		"p_raw", "p_dgr", "v_str", "v_dgr", "ti_st", "ti_dg", "ti_rd", "ti_sq", "udp4",
		"udp46", NULL,
	};
	size_t from = 0, to = word.len;
	const char * const *name;

	while (from < to && !isalnum((unsigned char)word.text[from]))
		from++;
	while (to > from && !isalnum((unsigned char)word.text[to - 1]))
		to--;
	word = (struct piece){ word.text + from, to - from };
	for (name = list; *name && !is_word(word, *name); name++)
		;
	return *name && !is_rest_of_lsof(rest);
}

/* Have the columns of netstat been too narrow for one of them, as far as that can be told? */
static bool has_narrow_end(struct piece local, struct piece remote)
{
	if (local.len > 23 || remote.len > 23)
		return false;
	return (local.len == 23 && colons(local) > 1 && *local.text != '[') ||
	       (remote.len == 23 && colons(remote) > 1 && *remote.text != '[');
}

/* A path, or the type of a socket that has one, where lsof has them. */
static bool is_path(struct piece word, size_t nr)
{
	if (nr >= 3 && is_word(word, "unix"))
		return true;
	return nr >= 1 && strchr("/@", word.text[0]);
}

/* One that no port and no group of an address follows. */
static bool has_strange_colon(struct piece word)
{
	size_t i = 0;
	char c;

	while (i < word.len && word.text[i] != ':')
		i++;
	if (i == word.len)
		return false;
	if (i + 1 == word.len)
		return true;
	c = word.text[i + 1];
	return c != ':' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
	       !(c >= 'A' && c <= 'Z');
}

/* Before its first colon is neither the name of a host nor a number, were it hexadecimal. */
static bool is_named(struct piece word)
{
	bool named = false;
	size_t i;

	for (i = 0; i < word.len && word.text[i] != ':'; i++) {
		char c = word.text[i];

		if (c == '.' || c == '[' || c == '%')
			return false;
		named |= !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
			   (c >= 'A' && c <= 'F'));
	}
	return named && i < word.len;
}

static bool has_inside(struct piece word, const char *what)
{
	for (; word.len >= strlen(what); word.text++, word.len--)
		if (!memcmp(word.text, what, strlen(what)))
			return true;
	return false;
}

/* NAME, behind a number of the line or not, from one to four numbers, and another word. */
static bool is_lsofs(struct piece line)
{
	struct piece words[7];
	size_t n, first, numbers = 0;

	for (n = 0; n < 7; n++)
		words[n] = next_word_of(&line);
	first = letters(words[0]) ? 1 : 2;
	while (first + numbers < 7 && is_decimal(words[first + numbers]))
		numbers++;
	if (numbers < 1 || numbers > 4 || !words[first + numbers].len)
		return false;
	words[0] = words[first + numbers];
	if (words[0].text[0] == '[')
		return false;
	return !colons(words[0]) || has_strange_colon(words[0]) || is_named(words[0]);
}

/*
 * What is in front of the ends: nothing, columns, or what lsof has, the name of a program first.
 * It says whether the ends are to be refused.
 */
static int ref_local(struct piece *rest, struct piece *local, bool *netstat, bool *value)
{
	struct piece line = *rest, word = next_word_of(rest), ahead;
	size_t nr, place = 0;

	if (word.len && memchr(word.text, '=', word.len))
		return -EINVAL;
	for (nr = 0; word.len && !colons(word); nr++) {
		if ((place == nr && is_of_others(word, *rest)) ||
		    is_word(word, "UDPLITE") ||
		    (is_word(word, "UDP") && !(place == nr && is_rest_of_lsof(*rest))) ||
		    is_path(word, nr))
			return -ENODATA;
		if (!nr && !letters(word))
			place = 1;
		*value |= !!memchr(word.text, '=', word.len);
		*netstat |= has_inside(word, "tcp6");
		word = next_word_of(rest);
	}
	*local = word;
	if (word.len && is_path(word, nr))
		return -ENODATA;
	if ((!has_strange_colon(word) && !is_named(word)) || !is_lsofs(line))
		return 0;
	ahead = *rest;
	for (word = next_word_of(&ahead), nr = 1; word.len; nr++) {
		if (colons(word) && !has_strange_colon(word) && !is_named(word))
			break;
		if (is_word(word, "TCP")) {
			*local = next_word_of(&ahead);
			*rest = ahead;
			return 0;
		}
		if (is_word(word, "UDP") || is_word(word, "UDPLITE") || is_path(word, nr))
			return -ENODATA;
		word = next_word_of(&ahead);
	}
	return 0;
}

static int ref_ends(struct piece line, ref_number addrs[2], unsigned int ports[2])
{
	struct piece rest = line, local, remote, word;
	bool netstat = false, value = false;
	int ret;

	ret = ref_local(&rest, &local, &netstat, &value);
	if (ret)
		return ret;
	remote = next_word_of(&rest);
	if (ref_end(local, &addrs[0], &ports[0]) && ref_end(remote, &addrs[1], &ports[1])) {
		if (value || (netstat && has_narrow_end(local, remote)) || is_rest_of_lsof(rest))
			return -EINVAL;
		return ref_is_ipv4(addrs[0]) == ref_is_ipv4(addrs[1]) ? 0 : -EINVAL;
	}

	if (ends_in(local, ":*") || ends_in(remote, ":*") ||
	    (remote.len >= 7 && !memcmp(remote.text, "(LISTEN", 7)))
		return -ENODATA;
	if (ends_in(remote, ":0") && is_word(next_word_of(&rest), "LISTEN"))
		return -ENODATA;
	for (rest = line, word = next_word_of(&rest); word.len; word = next_word_of(&rest))
		if (ends_in_number(word) || ends_in(word, ":*"))
			return -EINVAL;
	return -ENODATA;
}

static ref_number number_of_key(const struct tcpdrop_range_key *key)
{
	if (key->space == CONN_IPV4)
		return (ref_number)0xffff << 32 | key->lo;
	return (ref_number)key->hi << 64 | key->lo;
}

/* Other ways to write a connection. */

static void check_names(const char *line, const char *printed)
{
	struct tcpdrop_conn ends = { .state = TCP_TIME_WAIT };
	char again[CONN_LINE_MAX];

	claim(!tcpdrop_conn_parse_ends(line, &ends), "%s", line);
	tcpdrop_conn_print(again, &ends);
	claim(!strcmp(again, printed), "%s is %s", line, again);
}

static void check_spellings(const char *printed)
{
	char text[2 * CONN_LINE_MAX + 64];
	char local[CONN_LINE_MAX], remote[CONN_LINE_MAX];

	claim(sscanf(printed, "%127s %127s TIME_WAIT", local, remote) == 2, "%s", printed);
	snprintf(text, sizeof(text), "%s->%s", local, remote);
	check_names(text, printed);
	snprintf(text, sizeof(text), "ESTAB\t0 0 \v%s -> %s \r", local, remote);
	check_names(text, printed);
	snprintf(text, sizeof(text), "tcp 0 0 %s %s x:1 users:((\"a\",pid=1))", local, remote);
	check_names(text, printed);
	if (*local != '[') {
		snprintf(text, sizeof(text), "[::ffff:%.*s]%%eth0%s %s",
			 (int)strcspn(local, ":"), local, strchr(local, ':'), remote);
		check_names(text, printed);
	}
}

static void check_ends(struct piece line)
{
	struct tcpdrop_conn ends = { .state = TCP_TIME_WAIT };
	char *text = string_of(line), printed[CONN_LINE_MAX];
	unsigned int ports[2];
	ref_number addrs[2];
	int ret, len;

	ret = tcpdrop_conn_parse_ends(text, &ends);
	claim(ret == ref_ends(line, addrs, ports), "%d: %s", ret, text);
	if (!ret) {
		claim(number_of_key(&ends.saddr) == addrs[0] &&
		      number_of_key(&ends.daddr) == addrs[1] &&
		      ends.sport == ports[0] && ends.dport == ports[1], "%s", text);
		len = tcpdrop_conn_print(printed, &ends);
		claim(len < CONN_LINE_MAX - 1 && (size_t)len == strlen(printed) &&
		      printed[len - 1] == '\n', "%s", printed);
		check_names(printed, printed);
		check_spellings(printed);
	}
	free(text);
}

/* Rules */

/* What the last rule that would have been committed prints. */
static char *committed;

int tcpdrop_commit_net(const char *name, const struct tcpdrop_rule *rule, struct net *net,
		       struct task_struct *task, struct tcpdrop_drop_result *result)
{
	struct tcpdrop_rule copy = *rule;
	long allocations = shim_allocations;

	shim_allocations = -1;
	committed = whole_of(&copy);
	shim_allocations = allocations;
	return 0;
}

static int commit(const char *line, long allocations)
{
	int ret;

	free(committed);
	committed = NULL;
	shim_allocations = allocations;
	ret = tcpdrop_once_commit(NULL, line, NULL, NULL);
	claim(!ret || ret == -EINVAL || (ret == -ENOMEM && !shim_allocations), "%d: %s", ret, line);
	claim(!ret == !!committed, "%d: %s", ret, line);
	shim_allocations = -1;
	return ret;
}

/* What concerns one namespace. The last two are no selectors. */
static bool may_be_in_a_line(struct piece name)
{
	static const char *const names[] = {
		"saddr", "daddr", "sport", "dport", "port", "state", "dev", "mark", "congestion",
		"ulp", "idle", "retrans", "sendq", "recvq", "orphan", "max", "reset",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (name.len == strlen(names[i]) && ends_in(name, names[i]))
			return true;
	return false;
}

/* A second reading: attribute=value, each at most once, one of them a selector. */
static int ref_commit(struct piece line)
{
	struct tcpdrop_rule_error error;
	struct tcpdrop_rule rule;
	unsigned long had = 0;
	int ret = 0;

	tcpdrop_rule_init(&rule);
	while (!ret) {
		struct piece value, name;
		unsigned int attr;

		for (; line.len && is_blank_here(*line.text); line.len--)
			line.text++;
		if (!line.len)
			break;
		for (value = line; line.len && !is_blank_here(*line.text); line.len--)
			line.text++;
		value.len -= line.len;
		name = next_piece(&value, '=');
		attr = attr_of_piece(name);
		if (!may_be_in_a_line(name) || !value.len || had & BIT(attr))
			ret = -EINVAL;
		else
			ret = tcpdrop_rule_store(&rule, attr, value.text, value.len, &error);
		had |= BIT(attr);
	}
	if (!ret && !tcpdrop_rule_selects(&rule))
		ret = -EINVAL;
	tcpdrop_rule_destroy(&rule);
	return ret;
}

/* The lines that a rule prints, as one. */
static char *one_line(const char *lines)
{
	struct piece rest = { lines, strlen(lines) }, before = {}, line, name;
	char *text = malloc(rest.len + 2);
	size_t len = 0;

	while (rest.len) {
		line = next_piece(&rest, '\n');
		name = next_piece(&line, ' ');
		line.text += 2;
		line.len -= 2;
		if (name.len == before.len && !memcmp(name.text, before.text, name.len))
			len += sprintf(text + len, ",%.*s", (int)line.len, line.text);
		else
			len += sprintf(text + len, " %.*s=%.*s", (int)name.len, name.text,
				       (int)line.len, line.text);
		before = name;
	}
	return text;
}

static void check_rule(struct piece line, size_t size)
{
	char *text = string_of(line), *whole, *again;
	int ret;

	commit(text, size % 8);
	ret = commit(text, -1);
	claim(ret == ref_commit(line), "%d: %s", ret, text);
	if (!ret) {
		whole = committed;
		committed = NULL;
		again = one_line(whole);
		claim(tcpdrop_once_is_rule(again, strlen(again)), "%s", again);
		claim(!commit(again, -1), "%s", again);
		claim(!strcmp(committed, whole), "%s is %s", again, committed);
		free(again);
		free(whole);
	}
	free(text);
}

/* An "=" in the first word. */
static bool is_rule(struct piece line)
{
	size_t i = 0;

	while (i < line.len && is_blank_here(line.text[i]))
		i++;
	if (i < line.len && (line.text[i] == '#' || line.text[i] == ';'))
		return false;
	for (; i < line.len && !is_blank_here(line.text[i]); i++)
		if (line.text[i] == '=')
			return true;
	return false;
}

/* Lines with a NUL, and those that are too long, come no further than procfs.c. */
int fuzz_one(const uint8_t *data, size_t size)
{
	struct piece rest = { (const char *)data, size }, line;

	while (rest.len) {
		line = next_piece(&rest, '\n');
		if (memchr(line.text, '\0', line.len) || line.len > LONGEST_LINE)
			continue;
		claim(tcpdrop_once_is_rule(line.text, line.len) == is_rule(line), "%.*s",
		      (int)line.len, line.text);
		if (is_rule(line))
			check_rule(line, size);
		else
			check_ends(line);
	}
	return 0;
}
