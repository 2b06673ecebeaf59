// SPDX-License-Identifier: GPL-2.0
/*
 * An attribute of a rule and what is written to it: "sport|80|+443,!22".
 *
 * What is refused leaves it as it was, and says why.  What is taken is shown,
 * and what is shown is taken by a new rule, which shows the same.
 */
#include "fuzz.h"

/* Shows into @size bytes, behind which the sanitizer sees everything. */
static const char *show_in(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, size_t size)
{
	static char *page;
	char *text;
	int len;

	if (!page)
		page = malloc(PAGE);
	text = page + PAGE - size;
	len = tcpdrop_rule_show(rule, attr, text, size);
	claim(len > 0 && (size_t)len < size && strlen(text) == (size_t)len, "%d of %zu", len, size);
	return text;
}

/* A line, and one that can be written back. */
static void check_line(const char *text)
{
	size_t len = strlen(text), i;

	claim(len > 1 && len <= WRITE_MAX, "%zu", len);
	claim(text[len - 1] == '\n', "%s", text);
	for (i = 0; i < len - 1; i++)
		claim(text[i] >= ' ' && text[i] <= '~', "%s", text);
}

static bool is_cut(const char *text)
{
	return strstr(text, " ... ");
}

static size_t count_items(const char *text)
{
	const char *more = strstr(text, " ... ");
	size_t items = 1;

	for (; *text && text != more; text++)
		items += *text == ',';
	return items;
}

/* What does not fit is counted. A path is no list, and no page is too short for it. */
static void check_cut(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, const char *whole,
		      size_t size)
{
	size_t items = is_cut(whole) ? 0 : count_items(whole), more;
	const char *text;

	if (attr == RULE_CGROUP)
		return;
	text = show_in(rule, attr, size);
	claim(text[strlen(text) - 1] == '\n', "%s", text);
	if (!is_cut(text)) {
		claim(!strcmp(text, whole), "%s", text);
		return;
	}
	claim(sscanf(strstr(text, " ... "), " ... %zu more", &more) == 1, "%s", text);
	claim(!items || (*text == ' ' ? 0 : count_items(text)) + more == items, "%s", text);
}

/* A new rule takes @text, with its newline or without, and shows it. */
static void check_taken_back(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
			     const char *text, size_t len)
{
	struct tcpdrop_rule_error error = {};
	struct tcpdrop_rule again;
	const char *shown;
	int ret;

	tcpdrop_rule_init(&again);
	ret = tcpdrop_rule_store(&again, attr, text, len, &error);
	if (is_cut(text)) {
		claim(ret == -EINVAL, "%s", text);
	} else {
		claim(!ret, "%s", error.text);
		shown = show_in(&again, attr, PAGE);
		claim(!strcmp(shown, text), "%s shows %s", text, shown);
		claim_same_lists(rule, &again);
	}
	tcpdrop_rule_destroy(&again);
}

static void check_copy(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, const char *text)
{
	struct tcpdrop_rule copy;
	const char *shown;

	claim(!tcpdrop_rule_copy(&copy, rule), "out of memory");
	shown = show_in(&copy, attr, PAGE);
	claim(!strcmp(shown, text), "%s shows %s", text, shown);
	tcpdrop_rule_destroy(&copy);
}

/* Adding all that a list has changes nothing. What cannot be added to refuses it. */
static void check_added_again(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr,
			      const char *text)
{
	char *more = malloc(strlen(text) + 2);
	struct tcpdrop_rule_error error;

	if (!is_cut(text)) {
		more[0] = '+';
		strcpy(more + 1, text);
		tcpdrop_rule_store(rule, attr, more, strlen(more), &error);
		claim(!strcmp(show_in(rule, attr, PAGE), text), "%s", text);
	}
	free(more);
}

static void check_error(const char *name, const char *text)
{
	size_t len = strlen(text), i;

	claim(len < RULE_ERROR_MAX && !strncmp(text, name, strlen(name)) &&
	      !strncmp(text + strlen(name), ": \"", 3) && strstr(text, "\": "), "%s", text);
	for (i = 0; i < len; i++)
		claim(text[i] >= ' ' && text[i] <= '~', "%s", text);
}

/* What a rule holds that its first write has set: nothing, or what it shows. */
static void check_selects(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, const char *text)
{
	claim(tcpdrop_rule_selects(rule) == (attr < RULE_NR_SELECTORS && strcmp(text, "any\n")),
	      "%s", text);
}

static void check_taken(struct tcpdrop_rule *rule, enum tcpdrop_rule_attr attr, const char *text,
			size_t size)
{
	check_line(text);
	check_cut(rule, attr, text, size);
	check_taken_back(rule, attr, text, strlen(text) - size % 2);
	check_copy(rule, attr, text);
	check_added_again(rule, attr, text);
	check_selects(rule, attr, text);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct piece rest = { (const char *)data, size };
	struct piece name = next_piece(&rest, '|'), piece;
	enum tcpdrop_rule_attr attr = attr_of_piece(name);
	struct tcpdrop_rule_refusals refusals = {};
	struct tcpdrop_rule_error error;
	bool failed, refused = false;
	struct tcpdrop_rule rule;
	char *shown;
	int ret;

	tcpdrop_rule_init(&rule);
	shown = strdup(show_in(&rule, attr, PAGE));
	while (rest.len) {
		piece = next_piece(&rest, '|');
		ret = write_attr(&rule, attr, piece, &error, &failed);
		take_allocations(&piece);
		claim(!ret || ret == -EINVAL || ret == -ENOMEM || attr == RULE_CGROUP, "%d", ret);
		claim(ret || !memchr(piece.text, '\0', piece.len), "a NUL is taken");
		if (ret) {
			check_error(tcpdrop_rule_attr_name(attr), error.text);
			claim(!strcmp(show_in(&rule, attr, PAGE), shown), "was %s", shown);
		} else {
			free(shown);
			shown = strdup(show_in(&rule, attr, PAGE));
			check_taken(&rule, attr, shown, 48 + size % 256);
		}

		tcpdrop_rule_written(&refusals, attr, piece.text, piece.len, ret ? &error : NULL);
		if (ret)
			refused = true;
		else if (!piece.len || *piece.text != '+')
			refused = false;
		claim(tcpdrop_rule_refused(&refusals, &error) == refused, "%s", error.text);
	}
	free(shown);
	tcpdrop_rule_destroy(&rule);
	return 0;
}
