// SPDX-License-Identifier: GPL-2.0
/*
 * A rule for once: a line such as "daddr=203.0.113.0/24 state=time-wait".
 *
 * It is for who has no configfs, as root in a container has none, and is about
 * one namespace, the right to which the caller has looked at.  So only those
 * attributes can be had that ask for no further rights.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "commit.h"
#include "once.h"
#include "text.h"
#include "rule.h"

#define BLANKS	" \t\v\f\r"

/*
 * The attributes that a line can have, where the rule has them.  Not those that
 * reach beyond the namespace or its owner: netns, uid, pid, cgroup, kernel and
 * protect.
 */
static const char * const allowed[] = {
	"saddr", "daddr", "sport", "dport", "port", "state", "dev", "mark", "congestion",
	"ulp", "idle", "retrans", "sendq", "recvq", "orphan", "max", "reset",
};

/**
 * struct once - a rule that is being made of a line
 * @rule: the rule
 * @copy: a copy of it, to match
 * @written: the attributes that the line has had, by bit
 */
struct once {
	struct tcpdrop_rule rule;
	struct tcpdrop_rule copy;
	unsigned long written;
};

static bool is_allowed(const char *name)
{
	return match_string(allowed, ARRAY_SIZE(allowed), name) >= 0;
}

/* The allowed attribute of a name, @len characters; RULE_NR_ATTRS if there is none. */
static unsigned int attr_of(const char *text, size_t len)
{
	unsigned int attr;
	const char *name;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++) {
		name = tcpdrop_rule_attr_name(attr);
		if (!strncmp(name, text, len) && !name[len] && is_allowed(name))
			break;
	}
	return attr;
}

/*
 * Takes a word, attribute=value.  A value that is empty, as that of a shell's
 * variable that is not set, is not to mean any.
 */
static int take_word(struct once *once, const char *word, size_t len)
{
	const char *value = memchr(word, '=', len);
	struct tcpdrop_rule_error unused;
	unsigned int attr;

	if (!value || ++value == word + len)
		return -EINVAL;
	attr = attr_of(word, value - 1 - word);
	if (attr == RULE_NR_ATTRS || once->written & BIT(attr))
		return -EINVAL;
	once->written |= BIT(attr);
	return tcpdrop_rule_store(&once->rule, attr, value, word + len - value, &unused);
}

static int take_words(struct once *once, const char *line)
{
	size_t len;
	int ret;

	for (line += strspn(line, BLANKS); *line; line += len + strspn(line + len, BLANKS)) {
		len = strcspn(line, BLANKS);
		ret = take_word(once, line, len);
		if (ret)
			return ret == -ENOMEM ? ret : -EINVAL;
	}
	return tcpdrop_rule_selects(&once->rule) ? 0 : -EINVAL;
}

/**
 * tcpdrop_once_is_rule() - is a line one that has a rule?
 * @line: the line, or as much of it as there is
 * @len: its length
 *
 * Context: any.
 * Return: true if there is a "=" in its first word.
 */
bool tcpdrop_once_is_rule(const char *line, size_t len)
{
	const char *end = line + len;

	while (line < end && tcpdrop_is_blank(*line))
		line++;
	if (line < end && (*line == '#' || *line == ';'))
		return false;
	for (; line < end && *line && !tcpdrop_is_blank(*line); line++)
		if (*line == '=')
			return true;
	return false;
}

/**
 * tcpdrop_once_commit() - drop every socket that matches the rule of a line
 * @net: the namespace that the rule is about, on which the caller has a
 *       reference; whether he may is up to the caller, too
 * @line: the line, without its newline
 * @task: a signal to whom ends the commit; NULL if none does
 * @result: told what was done
 *
 * Context: process context; may sleep, for long if there is much to drop.
 * Return: 0, however many sockets matched; -EINVAL if the line is malformed, or
 * has no selector, and nothing was done; the error of tcpdrop_commit_net().
 */
int tcpdrop_once_commit(struct net *net, const char *line, struct task_struct *task,
			struct tcpdrop_drop_result *result)
{
	struct once *once;
	int ret;

	once = kzalloc(sizeof(*once), GFP_KERNEL_ACCOUNT);
	if (!once)
		return -ENOMEM;

	tcpdrop_rule_init(&once->rule);
	ret = take_words(once, line);
	if (!ret)
		ret = tcpdrop_rule_copy(&once->copy, &once->rule);
	if (!ret) {
		ret = tcpdrop_commit_net("proc", &once->copy, net, task, result);
		tcpdrop_rule_destroy(&once->copy);
	}
	tcpdrop_rule_destroy(&once->rule);
	kfree(once);
	return ret;
}
