// SPDX-License-Identifier: GPL-2.0
/*
 * A rule as a file: lines such as "sport = 80", of which one that names an
 * attribute again adds to its list.
 *
 * What the rule prints makes a rule that prints and shows the same, and lacks
 * nothing if there is memory for it.
 */
#include "fuzz.h"

/* As tcpdrop-rules(8) reads it: a comment, or an attribute and its value. */
static bool split_line(struct piece line, struct piece *name, struct piece *value)
{
	*value = line;
	*name = next_piece(value, '=');
	if (name->len == line.len)
		return false;
	while (name->len && name->text[name->len - 1] == ' ')
		name->len--;
	while (value->len && *value->text == ' ') {
		value->text++;
		value->len--;
	}
	return true;
}

/* Returns what the rule prints by then, for @before. */
static char *write_line(struct tcpdrop_rule *rule, struct piece name, struct piece value,
			unsigned long *written, char *before)
{
	enum tcpdrop_rule_attr attr = attr_of_piece(name);
	bool again = *written & BIT(attr), failed;
	struct tcpdrop_rule_error error;
	struct piece added;
	char *after, *text;
	int ret;

	*written |= BIT(attr);
	text = malloc(value.len + 2);
	added = (struct piece){ text, 0 };
	if (value.len >= 2 && *value.text == '~') {
		memcpy(text, value.text, 2);
		value.text += 2;
		value.len -= 2;
		added.len = 2;
	}
	/* What stood before the "+" still does. */
	text = realloc(text, added.len + again + value.len + 1);
	added.text = text;
	if (again)
		text[added.len++] = '+';
	memcpy(text + added.len, value.text, value.len);
	added.len += value.len;

	ret = write_attr(rule, attr, added, &error, &failed);
	after = whole_of(rule);
	claim(!ret || !strcmp(before, after), "%s was %s", after, before);
	free(before);
	free(text);
	return after;
}

/* Lines of an attribute's name, each no longer than a screen unless it is one item. */
static void check_lines(const char *whole)
{
	struct piece rest = { whole, strlen(whole) }, line, name, value;

	claim(!rest.len || whole[rest.len - 1] == '\n', "%s", whole);
	while (rest.len) {
		line = next_piece(&rest, '\n');
		claim(split_line(line, &name, &value) && name.len && value.len, "%s", whole);
		claim(!memcmp(name.text + name.len, " = ", 3), "%s", whole);
		claim(line.len <= 100 || !memchr(value.text, ',', value.len), "%s", whole);
	}
}

/* Without memory it prints nothing, and nothing leaks. */
static void check_memory(struct tcpdrop_rule *rule, const char *whole, long allocations)
{
	char *text;

	shim_allocations = allocations;
	text = print_whole(rule);
	claim(text || !shim_allocations, "%s", whole);
	shim_allocations = -1;
	claim(!text || !strcmp(text, whole), "%s was %s", text, whole);
	free(text);
}

static void check_same(struct tcpdrop_rule *a, struct tcpdrop_rule *b)
{
	char one[PAGE], other[PAGE];
	unsigned int attr;

	for (attr = 0; attr < RULE_NR_ATTRS; attr++) {
		tcpdrop_rule_show(a, attr, one, PAGE);
		tcpdrop_rule_show(b, attr, other, PAGE);
		claim(!strcmp(one, other), "%s and %s", one, other);
	}
	claim_same_lists(a, b);
	claim(tcpdrop_rule_selects(a) == tcpdrop_rule_selects(b), "%d", tcpdrop_rule_selects(a));
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct piece rest = { (const char *)data, size }, name, value;
	struct tcpdrop_rule_error error = {};
	struct tcpdrop_rule rule, again;
	char *whole, *lines, *twice;
	unsigned long written = 0;

	tcpdrop_rule_init(&rule);
	whole = whole_of(&rule);
	while (rest.len)
		if (split_line(next_piece(&rest, '\n'), &name, &value))
			whole = write_line(&rule, name, value, &written, whole);

	check_lines(whole);
	check_memory(&rule, whole, size % 4);

	lines = strdup(whole);
	claim(!store_lines(&again, lines, &error), "%s of %s", error.text, whole);
	twice = whole_of(&again);
	claim(!strcmp(whole, twice), "%s prints %s", whole, twice);
	check_same(&rule, &again);

	free(lines);
	free(twice);
	free(whole);
	tcpdrop_rule_destroy(&again);
	tcpdrop_rule_destroy(&rule);
	return 0;
}
