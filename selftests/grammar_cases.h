/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each attribute takes and what it refuses.  The kernel is asked about
 * every case, and so is the rule model compiled for user space.
 */
#ifndef TCPDROP_GRAMMAR_CASES_H
#define TCPDROP_GRAMMAR_CASES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * The attributes that are lists, with two items each as they read back, the
 * first of which is sorted before the second. The tests look at a connection
 * whose attribute is @has, one of the two.
 */
static const struct list_attr {
	const char *attr;
	const char *first;
	const char *second;
	const char *has;
} list_attrs[] = {
	{ "saddr", "127.0.0.1", "2001:db8::/32", "127.0.0.1" },
	{ "daddr", "10.0.0.0/8", "127.0.0.2", "127.0.0.2" },
	{ "sport", "1-1023", "7001", "7001" },
	{ "dport", "7002", "60000-65535", "7002" },
	{ "port", "22", "7002", "7002" },
	{ "state", "ESTABLISHED", "TIME_WAIT", "ESTABLISHED" },
	{ "congestion", "cubic", "reno", "reno" },
	{ "ulp", "mptcp", "tls", "tls" },
	{ "dev", "eth0", "lo", "lo" },
	{ "mark", "0x7/0xff", "0x10", "0x10" },
	{ "uid", "0", "1000-1999", "0" },
	{ "pid", "1", "4194303", "1" },
};

/* The attributes that are a value, no list, and unset unless it is written. */
static const struct value_attr {
	const char *attr;
	const char *value;
} value_attrs[] = {
	{ "idle", "1h" },
	{ "retrans", "3" },
	{ "sendq", "1000" },
	{ "recvq", "1000" },
	{ "orphan", "yes" },
	{ "cgroup", "/" },
};

/* The attributes that select nothing by themselves, and what they are unset. */
static const struct value_attr option_attrs[] = {
	{ "netns", "self" },
	{ "max", "0" },
	{ "rate", "0" },
	{ "reset", "yes" },
	{ "kernel", "no" },
	{ "protect", "no" },
};

/*
 * To each list @before is written and then @write, and @read is read back; "1"
 * and "2" are the list's items. If the connection has the first item the rule
 * matches it if @first says so, and so on.
 */
static const struct list_case {
	const char *before;
	const char *write;
	const char *read;
	bool first;
	bool second;
} list_cases[] = {
	{ "any", "1", "1", true, false },
	{ "any", "!1", "!1", false, true },
	{ "any", "2,1", "1,2", true, true },
	{ "any", "!2 !1", "!1,!2", false, false },
	{ "any", "!2,1", "1,!2", true, false },
	{ "any", "1,!1", "1,!1", false, false },
	{ "any", "+1", "1", true, false },
	{ "any", "+!1", "!1", false, true },
	{ "1", "2", "2", false, true },
	{ "1", "+2", "1,2", true, true },
	{ "1", "+1", "1", true, false },
	{ "1", "+!2", "1,!2", true, false },
	{ "1", "+!1", "1,!1", false, false },
	{ "!1", "2", "2", false, true },
	{ "!1", "!2", "!2", true, false },
	{ "!1", "+2", "2,!1", false, true },
	{ "!1", "+!2", "!1,!2", false, false },
	{ "!1", "+!1", "!1", false, true },
	{ "1,!2", "+2", "1,2,!2", true, false },
	{ "!1", "any", "any", true, true },
	{ "1,!2", "\n", "any", true, true },
};

/* @text with the items of @list in the place of their numbers. */
static inline const char *list_text(const struct list_attr *list, const char *text,
				    char *into, size_t size)
{
	size_t len = 0;

	for (into[0] = '\0'; *text && len < size; text++) {
		if (*text == '1' || *text == '2')
			len += snprintf(into + len, size - len, "%s",
					*text == '1' ? list->first : list->second);
		else
			len += snprintf(into + len, size - len, "%c", *text);
	}
	return into;
}

static inline bool list_matches(const struct list_attr *list, const struct list_case *c)
{
	return strcmp(list->has, list->first) ? c->second : c->first;
}

/*
 * To a rule with nothing set, or with @first written to @attr if given,
 * @write is written. If @err is 0 that succeeds and @read is read back;
 * otherwise it fails so, last_error is @attr and @error with ": " between, and
 * @attr is as it was.
 */
struct grammar_case {
	const char *attr;
	const char *first;
	const char *write;
	int err;
	const char *read;
	const char *error;
};

#define NINE_STATES \
	"SYN_SENT,SYN_RCVD,ESTABLISHED,CLOSE_WAIT,FIN_WAIT_1,CLOSING,LAST_ACK,FIN_WAIT_2,TIME_WAIT"

#define GOOD(_attr, _write, _read) \
	{ .attr = (_attr), .write = (_write), .read = (_read) }
#define THEN(_attr, _first, _write, _read) \
	{ .attr = (_attr), .first = (_first), .write = (_write), .read = (_read) }
#define BAD(_attr, _write, _item, _reason) \
	{ .attr = (_attr), .write = (_write), .err = EINVAL, \
	  .error = "\"" _item "\": " _reason }

#define NONE(_attr, _write, _item, _reason) \
	{ .attr = (_attr), .write = (_write), .err = ENOENT, \
	  .error = "\"" _item "\": " _reason }

#define BAD_THEN(_attr, _first, _write, _item, _reason) \
	{ .attr = (_attr), .first = (_first), .write = (_write), .err = EINVAL, \
	  .error = "\"" _item "\": " _reason }

#define NO_ADDR "not an address"
#define NO_PORT "not a port number"
#define NO_NAME "not a name"
#define NO_MARK "not a mark"
#define NO_UID "not a user id"
#define NO_DURATION "not a duration"
#define NO_NUMBER "not a number"
#define NO_ANSWER "neither yes nor no"
#define NO_PID "not a process id"
#define NO_PATH "not an absolute path"
#define NO_NETNS "not self, all or the inode number of a namespace"
#define ALONE "self and all stand alone"
#define EMPTY "an empty item"

static const struct grammar_case grammar_cases[] = {
	/* Lists */
	GOOD("sport", "80\n", "80"),
	GOOD("sport", "80", "80"),
	GOOD("sport", "443,80", "80,443"),
	GOOD("sport", "443 80", "80,443"),
	GOOD("sport", " 443 ,\t80  22 \n", "22,80,443"),
	GOOD("sport", "80,80,80", "80"),
	GOOD("sport", "!22", "!22"),
	GOOD("sport", "!22,80,!21", "80,!21,!22"),
	GOOD("sport", "80,!80", "80,!80"),
	GOOD("sport", "any", "any"),
	GOOD("sport", "\n", "any"),
	GOOD("sport", "  \n", "any"),
	THEN("sport", "80", "443", "443"),
	THEN("sport", "80", "any", "any"),
	THEN("sport", "80", " any \n", "any"),
	THEN("sport", "80", "\n", "any"),
	THEN("sport", "80", "+443", "80,443"),
	THEN("sport", "80", "+ 443 22", "22,80,443"),
	THEN("sport", "80", "+!22", "80,!22"),
	THEN("sport", "80", "+80", "80"),
	THEN("sport", "any", "+80", "80"),
	THEN("sport", "!22", "+!23", "!22,!23"),
	THEN("sport", "!22", "+80", "80,!22"),
	GOOD("sport", "80\r\n", "80"),
	BAD("sport", "80 ... 12 more", "...", NO_PORT),
	BAD("sport", "80,...", "...", NO_PORT),
	BAD("saddr", "10.0.0.1 ... 1 more\n", "...", NO_ADDR),
	BAD("state", "ESTABLISHED ... 1 more", "...", "not a TCP state"),
	BAD("sport", "+", "", EMPTY),
	BAD("sport", "+\n", "", EMPTY),
	BAD("sport", "+any", "any", NO_PORT),
	BAD("sport", "80,any", "any", NO_PORT),
	BAD("sport", "!any", "!any", NO_PORT),
	BAD("sport", ",", "", EMPTY),
	BAD("sport", ",80", "", EMPTY),
	BAD("sport", "80,", "", EMPTY),
	BAD("sport", "80,,443", "", EMPTY),
	BAD("sport", "80, ,443", "", EMPTY),
	BAD("sport", "!", "!", EMPTY),
	BAD("sport", "! 22", "!", EMPTY),
	BAD("sport", "80 + 443", "+", NO_PORT),
	BAD("sport", "!!22", "!!22", NO_PORT),
	BAD("sport", "80\001", "80?", NO_PORT),

	/* Ports */
	GOOD("sport", "1", "1"),
	GOOD("sport", "65535", "65535"),
	GOOD("sport", "1-65535", "1-65535"),
	GOOD("sport", "0080", "80"),
	GOOD("sport", "7-7", "7"),
	GOOD("sport", "10-20,15-30", "10-30"),
	GOOD("sport", "10-20,12", "10-20"),
	GOOD("sport", "10-20,21", "10-20,21"),
	GOOD("dport", "8000-8100,!8080", "8000-8100,!8080"),
	GOOD("port", "22", "22"),
	BAD("sport", "0", "0", NO_PORT),
	BAD("sport", "65536", "65536", NO_PORT),
	BAD("sport", "99999999999999999999999", "99999999999999999999999", NO_PORT),
	BAD("sport", "80x", "80x", NO_PORT),
	BAD("sport", "0x50", "0x50", NO_PORT),
	BAD("sport", "http", "http", NO_PORT),
	BAD("sport", "-80", "-80", NO_PORT),
	BAD("sport", "80-", "80-", NO_PORT),
	BAD("sport", "80-90-100", "80-90-100", NO_PORT),
	BAD("sport", "80-0", "80-0", NO_PORT),
	BAD("sport", "90-80", "90-80", "a reversed range"),
	BAD("sport", "22,80x,443", "80x", NO_PORT),
	BAD("dport", "1.5", "1.5", NO_PORT),
	BAD("port", "*", "*", NO_PORT),

	/* IPv4 */
	GOOD("saddr", "10.1.2.3", "10.1.2.3"),
	GOOD("saddr", "10.1.2.3/32", "10.1.2.3"),
	GOOD("saddr", "10.1.2.3/8", "10.0.0.0/8"),
	GOOD("saddr", "0.0.0.0/0", "0.0.0.0/0"),
	GOOD("saddr", "1.2.3.4/0", "0.0.0.0/0"),
	GOOD("saddr", "255.255.255.255", "255.255.255.255"),
	GOOD("saddr", "10.0.0.5-10.0.0.9", "10.0.0.5-10.0.0.9"),
	GOOD("saddr", "10.0.0.0-10.0.0.255", "10.0.0.0/24"),
	GOOD("saddr", "10.0.0.2,10.0.0.1", "10.0.0.1,10.0.0.2"),
	GOOD("saddr", "10.0.0.0/8,10.1.0.0/16", "10.0.0.0/8"),
	GOOD("saddr", "!192.168.0.0/16,10.0.0.0/8", "10.0.0.0/8,!192.168.0.0/16"),
	BAD("saddr", "10.1.2", "10.1.2", NO_ADDR),
	BAD("saddr", "10.1.2.3.4", "10.1.2.3.4", NO_ADDR),
	BAD("saddr", "10.1.2.256", "10.1.2.256", NO_ADDR),
	BAD("saddr", "010.1.2.3", "010.1.2.3", NO_ADDR),
	BAD("saddr", "0x0a.1.2.3", "0x0a.1.2.3", NO_ADDR),
	BAD("saddr", "10.1.2.3x", "10.1.2.3x", NO_ADDR),
	BAD("saddr", "167837955", "167837955", NO_ADDR),
	BAD("saddr", "localhost", "localhost", NO_ADDR),
	BAD("saddr", "[10.1.2.3]", "[10.1.2.3]", NO_ADDR),
	BAD("saddr", "10.1.2.3:80", "10.1.2.3:80", NO_ADDR),
	BAD("saddr", "10.1.2.3/33", "10.1.2.3/33", "not a prefix length"),
	BAD("saddr", "10.1.2.3/", "10.1.2.3/", "not a prefix length"),
	BAD("saddr", "10.1.2.3/255.0.0.0", "10.1.2.3/255.0.0.0", "not a prefix length"),
	BAD("saddr", "10.1.2.3/-1", "10.1.2.3/-1", "not a prefix length"),
	BAD("saddr", "10.1.2.3/8/8", "10.1.2.3/8/8", "not a prefix length"),
	BAD("saddr", "/8", "/8", NO_ADDR),
	BAD("saddr", "-10.1.2.3", "-10.1.2.3", NO_ADDR),
	BAD("saddr", "10.1.2.3-", "10.1.2.3-", NO_ADDR),
	BAD("saddr", "10.1.2.3-10.1.2.2", "10.1.2.3-10.1.2.2", "a reversed range"),
	BAD("saddr", "10.1.2.3-::1", "10.1.2.3-::1", "a range of both IPv4 and IPv6"),
	BAD("saddr", "10.0.0.0/8-11.0.0.0/8", "10.0.0.0/8-11.0.0.0/8",
	    "not a prefix length"),

	/* IPv6 */
	GOOD("daddr", "::1", "::1"),
	GOOD("daddr", "::", "::"),
	GOOD("daddr", "[::1]", "::1"),
	GOOD("daddr", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
	GOOD("daddr", "2001:db8::1/32", "2001:db8::/32"),
	GOOD("daddr", "[2001:db8::1]/32", "2001:db8::/32"),
	GOOD("daddr", "2001:db8::1/65", "2001:db8::/65"),
	GOOD("daddr", "2001:db8::1/64", "2001:db8::/64"),
	GOOD("daddr", "::1/128", "::1"),
	GOOD("daddr", "::/0", "::/0"),
	GOOD("daddr", "::1-::ff", "::1-::ff"),
	GOOD("daddr", "[::1]-[::ff]", "::1-::ff"),
	GOOD("daddr", "10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2"),
	GOOD("daddr", "::1-::2", "::1-::2"),
	GOOD("daddr", "::1:0:0:0:0-::2:ffff:ffff:ffff:ffff",
	     "0:0:0:1::-::2:ffff:ffff:ffff:ffff"),
	GOOD("daddr", "64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
	GOOD("daddr", "::1,10.0.0.1,fe80::/10", "10.0.0.1,::1,fe80::/10"),
	GOOD("daddr", "::/0,0.0.0.0/0", "0.0.0.0/0,::/0"),
	GOOD("daddr", "::ffff:10.0.0.1", "10.0.0.1"),
	GOOD("daddr", "::ffff:a00:1", "10.0.0.1"),
	GOOD("daddr", "::ffff:10.0.0.1/128", "10.0.0.1"),
	GOOD("daddr", "::ffff:10.0.0.1/104", "10.0.0.0/8"),
	GOOD("daddr", "::ffff:0:0/96", "0.0.0.0/0"),
	GOOD("daddr", "::ffff:10.0.0.1/80", "::/80"),
	GOOD("daddr", "::ffff:10.0.0.1/90", "::ffc0:0:0/90"),
	GOOD("daddr", "::ffff:10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
	GOOD("daddr", "::fffe:0:0-::ffff:10.0.0.1", "::fffe:0:0-::ffff:10.0.0.1"),
	GOOD("daddr", "::ffff:10.0.0.1-::1:0:0:0", "::ffff:10.0.0.1-::1:0:0:0"),
	GOOD("daddr", "0:0:1::ffff:1.2.3.4", "::1:0:0:ffff:102:304"),
	GOOD("daddr", "1::ffff:1.2.3.4", "1::ffff:102:304"),
	GOOD("daddr", "0:0:0:1::ffff:1.2.3.4", "::1:0:ffff:102:304"),
	GOOD("daddr", "0:0:0:0:1:ffff:1.2.3.4", "::1:ffff:102:304"),
	GOOD("daddr", "::fffe:1.2.3.4", "::fffe:102:304"),
	GOOD("daddr", "::ffff:0:1.2.3.4", "::ffff:0:102:304"),
	BAD("daddr", ":", ":", NO_ADDR),
	BAD("daddr", ":::", ":::", NO_ADDR),
	BAD("daddr", ":1", ":1", NO_ADDR),
	BAD("daddr", "1:", "1:", NO_ADDR),
	BAD("daddr", "::1::", "::1::", NO_ADDR),
	BAD("daddr", "1::2::3", "1::2::3", NO_ADDR),
	BAD("daddr", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7", NO_ADDR),
	BAD("daddr", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:9", NO_ADDR),
	BAD("daddr", "12345::", "12345::", NO_ADDR),
	BAD("daddr", "::00001", "::00001", NO_ADDR),
	BAD("daddr", "00001::", "00001::", NO_ADDR),
	BAD("daddr", "::g", "::g", NO_ADDR),
	BAD("daddr", "::1.2.3", "::1.2.3", NO_ADDR),
	BAD("daddr", "::ffff:1.2.3.04", "::ffff:1.2.3.04", NO_ADDR),
	BAD("daddr", "::1%lo", "::1%lo", NO_ADDR),
	BAD("daddr", "[::1", "[::1", NO_ADDR),
	BAD("daddr", "::1]", "::1]", NO_ADDR),
	BAD("daddr", "[]", "[]", NO_ADDR),
	BAD("daddr", "[[::1]]", "[[::1]]", NO_ADDR),
	BAD("daddr", "[::1]:80", "[::1]:80", NO_ADDR),
	BAD("daddr", "::1/129", "::1/129", "not a prefix length"),
	BAD("daddr", "::ff-::1", "::ff-::1", "a reversed range"),

	/* States */
	GOOD("state", "ESTABLISHED", "ESTABLISHED"),
	GOOD("state", "established", "ESTABLISHED"),
	GOOD("state", "estab", "ESTABLISHED"),
	GOOD("state", "SYN_SENT", "SYN_SENT"),
	GOOD("state", "syn-sent", "SYN_SENT"),
	GOOD("state", "SYN_RECV", "SYN_RCVD"),
	GOOD("state", "Syn-Rcvd", "SYN_RCVD"),
	GOOD("state", "FIN_WAIT1", "FIN_WAIT_1"),
	GOOD("state", "fin-wait-1", "FIN_WAIT_1"),
	GOOD("state", "FIN_WAIT2", "FIN_WAIT_2"),
	GOOD("state", "fin-wait-2", "FIN_WAIT_2"),
	GOOD("state", "close-wait", "CLOSE_WAIT"),
	GOOD("state", "last-ack", "LAST_ACK"),
	GOOD("state", "closing", "CLOSING"),
	GOOD("state", "time-wait", "TIME_WAIT"),
	GOOD("state", "LISTEN", "LISTEN"),
	GOOD("state", "all", NINE_STATES),
	GOOD("state", "connected", NINE_STATES),
	GOOD("state", "synchronized",
	     "SYN_RCVD,ESTABLISHED,CLOSE_WAIT,FIN_WAIT_1,CLOSING,LAST_ACK,FIN_WAIT_2,TIME_WAIT"),
	GOOD("state", "bucket", "SYN_RCVD,TIME_WAIT"),
	GOOD("state", "BIG",
	     "SYN_SENT,ESTABLISHED,CLOSE_WAIT,FIN_WAIT_1,CLOSING,LAST_ACK,FIN_WAIT_2"),
	GOOD("state", "TIME_WAIT,ESTAB", "ESTABLISHED,TIME_WAIT"),
	GOOD("state", "!bucket", "!SYN_RCVD,!TIME_WAIT"),
	GOOD("state", "any", "any"),
	THEN("state", "ESTAB", "+closing", "ESTABLISHED,CLOSING"),
	BAD("state", "CLOSED", "CLOSED", "not a TCP state"),
	BAD("state", "FIN_WAIT", "FIN_WAIT", "not a TCP state"),
	BAD("state", "ESTABLISHEDX", "ESTABLISHEDX", "not a TCP state"),
	BAD("state", "1", "1", "not a TCP state"),

	/* Names */
	GOOD("congestion", "cubic", "cubic"),
	GOOD("congestion", "reno,cubic bbr", "bbr,cubic,reno"),
	GOOD("congestion", "!cubic", "!cubic"),
	GOOD("congestion", "reno,!cubic,reno", "reno,!cubic"),
	GOOD("congestion", "no_such.one-2", "no_such.one-2"),
	GOOD("congestion", "CUBIC,cubic,cubic1", "CUBIC,cubic,cubic1"),
	GOOD("congestion", "123456789012345", "123456789012345"),
	GOOD("congestion", "12345678,123456789", "12345678,123456789"),
	GOOD("congestion", "any", "any"),
	GOOD("congestion", "anyone", "anyone"),
	GOOD("ulp", "tls", "tls"),
	GOOD("ulp", "!tls,mptcp", "mptcp,!tls"),
	THEN("congestion", "cubic", "+reno", "cubic,reno"),
	THEN("ulp", "tls", "\n", "any"),
	BAD("congestion", "1234567890123456", "1234567890123456", NO_NAME),
	BAD("congestion", "cubic,averyveryverylongname", "averyveryverylongname", NO_NAME),
	BAD("congestion", "cubi\001", "cubi?", NO_NAME),
	BAD("congestion", "cubi\xe7", "cubi?", NO_NAME),
	BAD("congestion", "!!cubic", "!!cubic", NO_NAME),
	BAD("congestion", "!", "!", EMPTY),
	BAD("congestion", "cubic,,reno", "", EMPTY),
	BAD("congestion", "cubic,any", "any", NO_NAME),
	BAD("congestion", "cubic +reno", "+reno", NO_NAME),
	BAD("congestion", "cubic ...", "...", NO_NAME),
	BAD("congestion", "cubic ... 3 more", "...", NO_NAME),
	BAD("congestion", "...", "...", NO_NAME),
	BAD("congestion", "!...", "!...", NO_NAME),
	BAD("congestion", "+...", "...", NO_NAME),
	BAD("ulp", "...", "...", NO_NAME),
	BAD("ulp", "!tls,!...", "!...", NO_NAME),
	BAD("ulp", "a-name-that-is-too-long", "a-name-that-is-too-long", NO_NAME),

	GOOD("dev", "eth0", "eth0"),
	GOOD("dev", "vrf-blue,eth0.100 br-1a2b3c4d5e6f", "br-1a2b3c4d5e6f,eth0.100,vrf-blue"),
	GOOD("dev", "!lo", "!lo"),
	BAD("dev", "a-device-so-long", "a-device-so-long", NO_NAME),

	/* Marks */
	GOOD("mark", "7", "0x7"),
	GOOD("mark", "0x7", "0x7"),
	GOOD("mark", "0XfF", "0xff"),
	GOOD("mark", "0", "0x0"),
	GOOD("mark", "010", "0xa"),
	GOOD("mark", "4294967295", "0xffffffff"),
	GOOD("mark", "0xffffffff/0xffffffff", "0xffffffff"),
	GOOD("mark", "1/1", "0x1/0x1"),
	GOOD("mark", "0x11/0x1", "0x1/0x1"),
	GOOD("mark", "0x5/15", "0x5/0xf"),
	GOOD("mark", "0/0", "0x0/0x0"),
	GOOD("mark", "9,8,9", "0x8,0x9"),
	GOOD("mark", "2 1/3 !4", "0x1/0x3,0x2,!0x4"),
	THEN("mark", "1", "+2/0xf", "0x2/0xf,0x1"),
	BAD("mark", "4294967296", "4294967296", NO_MARK),
	BAD("mark", "0x100000000", "0x100000000", NO_MARK),
	BAD("mark", "-1", "-1", NO_MARK),
	BAD("mark", "1/+1", "1/+1", NO_MARK),
	BAD("mark", "+1/1+", "1/1+", NO_MARK),
	BAD("mark", "ff", "ff", NO_MARK),
	BAD("mark", "0x", "0x", NO_MARK),
	BAD("mark", "0xg", "0xg", NO_MARK),
	BAD("mark", "0x0x1", "0x0x1", NO_MARK),
	BAD("mark", "1/", "1/", NO_MARK),
	BAD("mark", "/1", "/1", NO_MARK),
	BAD("mark", "1/2/3", "1/2/3", NO_MARK),
	BAD("mark", "1-2", "1-2", NO_MARK),

	/* Users */
	GOOD("uid", "0", "0"),
	GOOD("uid", "1000-1999,33", "33,1000-1999"),
	GOOD("uid", "!0", "!0"),
	GOOD("uid", "4294967294", "4294967294"),
	GOOD("uid", "5-5", "5"),
	BAD("uid", "4294967295", "4294967295", NO_UID),
	BAD("uid", "-1", "-1", NO_UID),
	BAD("uid", "root", "root", NO_UID),
	BAD("uid", "0x0", "0x0", NO_UID),
	BAD("uid", "10-", "10-", NO_UID),
	BAD("uid", "10-20-30", "10-20-30", NO_UID),
	BAD("uid", "20-10", "20-10", "a reversed range"),

	/* Durations */
	GOOD("idle", "0", "0s"),
	GOOD("idle", "0d", "0s"),
	GOOD("idle", "30", "30s"),
	GOOD("idle", "30s", "30s"),
	GOOD("idle", "60", "1m"),
	GOOD("idle", "90m", "90m"),
	GOOD("idle", "3600", "1h"),
	GOOD("idle", "24h", "1d"),
	GOOD("idle", "25h\n", "25h"),
	GOOD("idle", "500ms", "500ms"),
	GOOD("idle", "2000ms", "2s"),
	GOOD("idle", "007d", "7d"),
	GOOD("idle", "18446744073709551615ms", "18446744073709551615ms"),
	GOOD("idle", "213503982334d", "213503982334d"),
	THEN("idle", "1h", "2h", "2h"),
	THEN("idle", "1h", "any", "any"),
	THEN("idle", "1h", "\n", "any"),
	BAD("idle", "213503982335d", "213503982335d", NO_DURATION),
	BAD("idle", "18446744073709551616ms", "18446744073709551616ms", NO_DURATION),
	BAD("idle", "1000000000000000000000000000s", "1000000000000000000000000000s", NO_DURATION),
	BAD("idle", "1w", "1w", NO_DURATION),
	BAD("idle", "1H", "1H", NO_DURATION),
	BAD("idle", "1sec", "1sec", NO_DURATION),
	BAD("idle", "1h30m", "1h30m", NO_DURATION),
	BAD("idle", "1 h", "1 h", NO_DURATION),
	BAD("idle", "1.5h", "1.5h", NO_DURATION),
	BAD("idle", "-1", "-1", NO_DURATION),
	BAD("idle", "h", "h", NO_DURATION),
	BAD("idle", "ms", "ms", NO_DURATION),
	BAD("idle", "1,2", "1,2", NO_DURATION),
	BAD("idle", "!1h", "!1h", NO_DURATION),
	BAD("idle", "+1h", "+1h", NO_DURATION),

	/* Counts */
	GOOD("retrans", "3", "3"),
	GOOD("retrans", "0", "0"),
	GOOD("retrans", "003", "3"),
	GOOD("sendq", "1048576\n", "1048576"),
	GOOD("recvq", "18446744073709551615", "18446744073709551615"),
	THEN("sendq", "1", "any", "any"),
	THEN("recvq", "1", "2", "2"),
	BAD("retrans", "-1", "-1", NO_NUMBER),
	BAD("retrans", "+1", "+1", NO_NUMBER),
	BAD("retrans", "!1", "!1", NO_NUMBER),
	BAD("retrans", "1-2", "1-2", NO_NUMBER),
	BAD("sendq", "1 2", "1 2", NO_NUMBER),
	BAD("sendq", "1,2", "1,2", NO_NUMBER),
	BAD("sendq", "1k", "1k", NO_NUMBER),
	BAD("recvq", "18446744073709551616", "18446744073709551616", NO_NUMBER),
	BAD("recvq", "0x10", "0x10", NO_NUMBER),

	/* Yes and no */
	GOOD("orphan", "yes", "yes"),
	GOOD("orphan", "no\n", "no"),
	THEN("orphan", "yes", "no", "no"),
	THEN("orphan", "yes", "any", "any"),
	BAD("orphan", "1", "1", NO_ANSWER),
	BAD("orphan", "Yes", "Yes", NO_ANSWER),
	BAD("orphan", "yes no", "yes no", NO_ANSWER),
	BAD("orphan", "yes,", "yes,", NO_ANSWER),
	BAD("orphan", "!no", "!no", NO_ANSWER),
	BAD("orphan", "+yes", "+yes", NO_ANSWER),
	GOOD("kernel", "yes", "yes"),
	GOOD("kernel", "no", "no"),
	THEN("kernel", "yes", "any", "no"),
	THEN("kernel", "yes", "\n", "no"),
	BAD("kernel", "1", "1", NO_ANSWER),
	BAD("kernel", "yess", "yess", NO_ANSWER),
	BAD("kernel", "yes no", "yes no", NO_ANSWER),
	BAD("kernel", "!yes", "!yes", NO_ANSWER),
	GOOD("protect", "yes", "yes"),
	GOOD("protect", " no \n", "no"),
	THEN("protect", "yes", "no", "no"),
	THEN("protect", "yes", "yes", "yes"),
	THEN("protect", "yes", "any", "no"),
	THEN("protect", "yes", "\n", "no"),
	BAD("protect", "1", "1", NO_ANSWER),
	BAD("protect", "YES", "YES", NO_ANSWER),
	BAD("protect", "yes,no", "yes,no", NO_ANSWER),
	BAD("protect", "+yes", "+yes", NO_ANSWER),
	BAD("protect", "!no", "!no", NO_ANSWER),

	/* Paths */
	GOOD("cgroup", "/", "/"),
	GOOD("cgroup", " / \n", "/"),
	GOOD("cgroup", "///", "/"),
	GOOD("cgroup", "!/", "!/"),
	GOOD("cgroup", "any", "any"),
	THEN("cgroup", "/", "!/", "!/"),
	THEN("cgroup", "!/", "/", "/"),
	THEN("cgroup", "/", "\n", "any"),
	THEN("cgroup", "!/", "any", "any"),
	NONE("cgroup", "/no/such/cgroup", "/no/such/cgroup", "no such cgroup"),
	NONE("cgroup", "!/no/such/cgroup\n", "!/no/such/cgroup", "no such cgroup"),
	NONE("cgroup", "/..", "/..", "no such cgroup"),
	NONE("cgroup", "/cgroup.procs", "/cgroup.procs", "no such cgroup"),
	BAD("cgroup", "/,/", "/,/", "more than one path"),
	BAD("cgroup", "/ /", "/ /", "more than one path"),
	BAD("cgroup", "/\n/", "/?/", "more than one path"),
	BAD("cgroup", "web", "web", NO_PATH),
	BAD("cgroup", "web/", "web/", NO_PATH),
	BAD("cgroup", "!", "!", NO_PATH),
	BAD("cgroup", "! /", "! /", NO_PATH),
	BAD("cgroup", "!!/", "!!/", NO_PATH),
	BAD("cgroup", "+/", "+/", NO_PATH),
	BAD("cgroup", "0::/", "0::/", NO_PATH),
	BAD("cgroup", "!any", "!any", NO_PATH),

	/* Processes */
	GOOD("pid", "1", "1"),
	GOOD("pid", "20 3,100", "3,20,100"),
	GOOD("pid", "007", "7"),
	GOOD("pid", "7,8,7", "7,8"),
	GOOD("pid", "!1", "!1"),
	GOOD("pid", "2147483647", "2147483647"),
	THEN("pid", "7", "+1 !8", "1,7,!8"),
	BAD("pid", "0", "0", NO_PID),
	BAD("pid", "2147483648", "2147483648", NO_PID),
	BAD("pid", "-1", "-1", NO_PID),
	BAD("pid", "1-2", "1-2", NO_PID),
	BAD("pid", "0x1", "0x1", NO_PID),
	BAD("pid", "self", "self", NO_PID),
	BAD("pid", "1,x", "x", NO_PID),
	BAD("pid", "1 ... 2 more", "...", NO_PID),

	/* Limits */
	GOOD("rate", "0", "0"),
	GOOD("rate", "500\n", "500"),
	GOOD("rate", "18446744073709551615", "18446744073709551615"),
	THEN("rate", "10", "any", "0"),
	THEN("rate", "10", "\n", "0"),
	BAD("rate", "18446744073709551616", "18446744073709551616", "not a number"),
	BAD("rate", "-1", "-1", "not a number"),
	BAD("rate", "+1", "+1", "not a number"),
	BAD("rate", "0.5", "0.5", "not a number"),
	BAD("rate", "10/s", "10/s", "not a number"),
	BAD("rate", "1 2", "1 2", "not a number"),

	GOOD("reset", "yes", "yes"),
	GOOD("reset", "no", "no"),
	GOOD("reset", " no\n", "no"),
	THEN("reset", "no", "any", "yes"),
	THEN("reset", "no", "\n", "yes"),
	BAD("reset", "0", "0", NO_ANSWER),
	BAD("reset", "No", "No", NO_ANSWER),
	BAD("reset", "nope", "nope", NO_ANSWER),
	BAD("reset", "no yes", "no yes", NO_ANSWER),
	BAD("reset", "!no", "!no", NO_ANSWER),
	BAD("reset", "+no", "+no", NO_ANSWER),

	GOOD("max", "0", "0"),
	GOOD("max", "10\n", "10"),
	GOOD("max", "18446744073709551615", "18446744073709551615"),
	THEN("max", "10", "any", "0"),
	THEN("max", "10", "\n", "0"),
	BAD("max", "18446744073709551616", "18446744073709551616", "not a number"),
	BAD("max", "-1", "-1", "not a number"),
	BAD("max", "+1", "+1", "not a number"),
	BAD("max", "0x10", "0x10", "not a number"),
	BAD("max", "1 2", "1 2", "not a number"),
	BAD("max", "ten", "ten", "not a number"),

	/* Namespaces */
	GOOD("netns", "self", "self"),
	GOOD("netns", "all\n", "all"),
	GOOD("netns", "self,self", "self"),
	GOOD("netns", "all all", "all"),
	GOOD("netns", "4026531840", "4026531840"),
	GOOD("netns", "net:[4026531840]\n", "4026531840"),
	GOOD("netns", "1", "1"),
	GOOD("netns", "0010", "10"),
	GOOD("netns", "4294967295", "4294967295"),
	GOOD("netns", "4026532000,net:[9] 4026531840", "9,4026531840,4026532000"),
	GOOD("netns", "5,net:[5],5", "5"),
	GOOD("netns", "5,6,7", "5,6,7"),
	GOOD("netns", "+5", "5"),
	GOOD("netns", "+all", "all"),
	GOOD("netns", "+self", "self"),
	THEN("netns", "self", "any", "self"),
	THEN("netns", "all", "any", "self"),
	THEN("netns", "all", "\n", "self"),
	THEN("netns", "7", "any", "self"),
	THEN("netns", "7", "self", "self"),
	THEN("netns", "self", "7", "7"),
	THEN("netns", "all", "7", "7"),
	THEN("netns", "7", "all", "all"),
	THEN("netns", "7", "+5 net:[9]", "5,7,9"),
	THEN("netns", "7", "+7", "7"),
	THEN("netns", "all", "+all", "all"),
	THEN("netns", "self", "+self", "self"),
	BAD("netns", "here", "here", NO_NETNS),
	BAD("netns", "Self", "Self", NO_NETNS),
	BAD("netns", "any,5", "any", NO_NETNS),
	BAD("netns", "0", "0", NO_NETNS),
	BAD("netns", "net:[0]", "net:[0]", NO_NETNS),
	BAD("netns", "4294967296", "4294967296", NO_NETNS),
	BAD("netns", "99999999999999999999999", "99999999999999999999999", NO_NETNS),
	BAD("netns", "-5", "-5", NO_NETNS),
	BAD("netns", "5-9", "5-9", NO_NETNS),
	BAD("netns", "0x5", "0x5", NO_NETNS),
	BAD("netns", "5x", "5x", NO_NETNS),
	BAD("netns", "net:[5", "net:[5", NO_NETNS),
	BAD("netns", "net:5", "net:5", NO_NETNS),
	BAD("netns", "net:[]", "net:[]", NO_NETNS),
	BAD("netns", "net:[5]]", "net:[5]]", NO_NETNS),
	BAD("netns", "net:[5x]", "net:[5x]", NO_NETNS),
	BAD("netns", "net:[net:[5]]", "net:[net:[5]]", NO_NETNS),
	BAD("netns", "[5]", "[5]", NO_NETNS),
	BAD("netns", "5]", "5]", NO_NETNS),
	BAD("netns", "pid:[5]", "pid:[5]", NO_NETNS),
	BAD("netns", "NET:[5]", "NET:[5]", NO_NETNS),
	BAD("netns", "/run/netns/blue", "/run/netns/blue", NO_NETNS),
	BAD("netns", "5,,6", "", EMPTY),
	BAD("netns", "5,", "", EMPTY),
	BAD("netns", "!", "!", EMPTY),
	BAD("netns", "5 ... 1 more", "...", NO_NETNS),
	BAD("netns", "!5", "!5", "cannot be excluded"),
	BAD("netns", "6,!net:[5]", "!net:[5]", "cannot be excluded"),
	BAD("netns", "!self", "!self", "cannot be excluded"),
	BAD("netns", "+!all", "!all", "cannot be excluded"),
	BAD("netns", "self,all", "all", ALONE),
	BAD("netns", "all self", "self", ALONE),
	BAD("netns", "self,5", "5", ALONE),
	BAD("netns", "5,6,self,7", "self", ALONE),
	BAD("netns", "all,5", "5", ALONE),
	BAD("netns", "5,all", "all", ALONE),
	BAD_THEN("netns", "all", "+5", "5", ALONE),
	BAD_THEN("netns", "self", "+5", "5", ALONE),
	BAD_THEN("netns", "5", "+all", "all", ALONE),
	BAD_THEN("netns", "5,6", "+self", "self", ALONE),
	BAD_THEN("netns", "all", "+self", "self", ALONE),
	BAD_THEN("netns", "self", "+all", "all", ALONE),
};

#endif /* TCPDROP_GRAMMAR_CASES_H */
