// SPDX-License-Identifier: GPL-2.0
/*
 * The skin: rules as directories of configfs.
 *
 *	/sys/kernel/config/tcpdrop/
 *	  web/			mkdir makes a rule, rmdir removes it
 *	    saddr ... protect	what the rule means (rw)
 *	    rule		all that is set of these (ro)
 *	    count list		what it would drop now (ro)
 *	    commit		drop it (wo)
 *	    last_error		why the last refused write was refused (ro)
 *	    result/		what the last commit did (ro)
 *	  stats			what was done since the module was loaded (ro)
 *
 * configfs calls show and store with the rule's directory alive, and rmdir
 * waits for them; so nothing here takes a reference on the rule.
 */
#include <linux/capability.h>
#include <linux/configfs.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "commit.h"
#include "configfs.h"
#include "drop.h"
#include "nets.h"
#include "protect.h"
#include "rule.h"
#include "stats.h"
#include "text.h"
#include "walk.h"
#include "who.h"

/* configfs cuts a longer write and hands on the rest as a second one. */
#define WRITE_CUT	4095

/* How many tasks of a user may be between the two calls that read a list or a rule. */
#define LISTINGS_MAX	16

/* And of all users, but root: one may have many user ids. */
#define LISTINGS_TOTAL	256

/* How much of a list is kept, uncharged, for whom a namespace of their own gives the right. */
#define LIST_UNCHARGED	4096

/**
 * struct rule_item - a rule's directory
 * @group: the directory
 * @result_group: its subdirectory
 * @lock: protects @rule, @protection, @refusals, @error, @committing and @listings
 * @rule: the rule
 * @protection: what it protects, NULL if nothing
 * @refusals: the attributes that were refused something
 * @error: why the last refused write was refused
 * @committing: a commit runs, on a copy of @rule; writes are refused meanwhile
 * @listings: texts made and not yet read, the latest first, see text_read()
 * @result: of the last commit or the one that runs; needs no lock
 */
struct rule_item {
	struct config_group group;
	struct config_group result_group;
	struct mutex lock; /* see above */
	struct tcpdrop_rule rule;
	struct tcpdrop_protection *protection;
	struct tcpdrop_rule_refusals refusals;
	struct tcpdrop_rule_error error;
	bool committing;
	struct list_head listings;
	struct tcpdrop_drop_result result;
};

/* The text of a list or a rule file between the two calls that read it. */
struct listing {
	struct list_head entry;
	const struct task_struct *reader;
	kuid_t user;
	char *text;
	size_t len;
};

/* Makes the text of a listing; what there is of it is freed by the caller. */
typedef int (*make_text_t)(struct rule_item *ri, struct listing *listing);

static struct rule_item *to_rule_item(struct config_item *item)
{
	return container_of(to_config_group(item), struct rule_item, group);
}

static struct tcpdrop_drop_result *to_result(struct config_item *item)
{
	return &container_of(to_config_group(item), struct rule_item,
			     result_group)->result;
}

/* Returns @ret, or @count for a write that succeeded, and keeps the reason. */
static ssize_t write_done(struct rule_item *ri, int ret, size_t count)
{
	lockdep_assert_held(&ri->lock);

	if (ret)
		return ret;
	ri->error.text[0] = '\0';
	return count;
}

/* The reasons for which any write to the file @name is refused. */
static int check_write(struct rule_item *ri, const char *name,
		       const char *page, size_t count)
{
	lockdep_assert_held(&ri->lock);

	if (count >= WRITE_CUT) {
		tcpdrop_rule_error_set(&ri->error, name, page, count,
				       "too long for one write");
		return -EFBIG;
	}
	if (ri->committing) {
		tcpdrop_rule_error_set(&ri->error, name, page, strcspn(page, "\n"),
				       "a commit of this rule is running");
		return -EBUSY;
	}
	return 0;
}

static const char *why(int err)
{
	switch (err) {
	case -EPERM:
		return "needs CAP_NET_ADMIN over each network namespace";
	case -EOPNOTSUPP:
		return "not by io_uring, whose workers may be in another namespace";
	case -E2BIG:
		return "more sockets match than max allows";
	case -ENOENT:
		return "the cgroup does not exist any more";
	case -EINTR:
		return "interrupted by a signal";
	case -EINVAL:
		return "protect and pid do not go together";
	case -EBUSY:
		return "a socket that matches is being dropped";
	default:
		return "out of memory";
	}
}

static int protect(struct rule_item *ri, struct tcpdrop_rule *rule,
		   enum tcpdrop_rule_attr attr, const char *page)
{
	int ret = tcpdrop_protect_update(&ri->protection, rule, attr);

	if (ret)
		tcpdrop_rule_error_set(&ri->error, tcpdrop_rule_attr_name(attr), page,
				       strcspn(page, "\n"), why(ret));
	return ret;
}

/* Takes a write and protects what it comes to, or leaves all as it was. */
static int store_and_protect(struct rule_item *ri, enum tcpdrop_rule_attr attr,
			     const char *page, size_t count)
{
	struct tcpdrop_rule rule;
	int ret;

	lockdep_assert_held(&ri->lock);

	ret = tcpdrop_rule_copy(&rule, &ri->rule);
	if (ret) {
		tcpdrop_rule_error_set(&ri->error, tcpdrop_rule_attr_name(attr), page,
				       strcspn(page, "\n"), why(ret));
		return ret;
	}
	ret = tcpdrop_rule_store(&rule, attr, page, count, &ri->error);
	if (!ret)
		ret = protect(ri, &rule, attr, page);
	if (ret) {
		tcpdrop_rule_destroy(&rule);
		return ret;
	}
	tcpdrop_rule_destroy(&ri->rule);
	ri->rule = rule;
	return 0;
}

static int store(struct rule_item *ri, enum tcpdrop_rule_attr attr, const char *page,
		 size_t count)
{
	if (attr == RULE_PROTECT || (ri->protection && attr < RULE_NR_LISTS))
		return store_and_protect(ri, attr, page, count);
	return tcpdrop_rule_store(&ri->rule, attr, page, count, &ri->error);
}

static ssize_t attr_store(struct config_item *item, enum tcpdrop_rule_attr attr,
			  const char *page, size_t count)
{
	struct rule_item *ri = to_rule_item(item);
	ssize_t ret;

	mutex_lock(&ri->lock);
	ret = check_write(ri, tcpdrop_rule_attr_name(attr), page, count);
	if (!ret)
		ret = store(ri, attr, page, count);
	tcpdrop_rule_written(&ri->refusals, attr, page, count, ret ? &ri->error : NULL);
	ret = write_done(ri, ret, count);
	mutex_unlock(&ri->lock);
	return ret;
}

static ssize_t attr_show(struct config_item *item, enum tcpdrop_rule_attr attr, char *page)
{
	struct rule_item *ri = to_rule_item(item);
	int len;

	mutex_lock(&ri->lock);
	len = tcpdrop_rule_show(&ri->rule, attr, page, PAGE_SIZE);
	mutex_unlock(&ri->lock);
	return len;
}

/* The store comes last, since a macro is not to end in a semicolon. */
#define ATTR(NAME, name)							\
static ssize_t rule_##name##_store(struct config_item *item,			\
				   const char *page, size_t count);		\
										\
static ssize_t rule_##name##_show(struct config_item *item, char *page)		\
{										\
	return attr_show(item, RULE_##NAME, page);				\
}										\
										\
CONFIGFS_ATTR(rule_, name);							\
										\
static ssize_t rule_##name##_store(struct config_item *item,			\
				   const char *page, size_t count)		\
{										\
	return attr_store(item, RULE_##NAME, page, count);			\
}

#define SELECTOR(NAME, name, ...) ATTR(NAME, name)
#define OPTION(NAME, name) ATTR(NAME, name)
#include "attrs.h"

static void look_end(struct tcpdrop_rule *rule, struct tcpdrop_walk *walk)
{
	tcpdrop_walk_exit(walk);
	tcpdrop_who_put(rule);
	tcpdrop_rule_destroy(rule);
}

/* To look for what the rule means now, while it may be written to. */
static int look_begin(struct rule_item *ri, struct tcpdrop_rule *rule,
		      struct tcpdrop_walk *walk)
{
	int ret;

	mutex_lock(&ri->lock);
	ret = tcpdrop_rule_copy(rule, &ri->rule);
	mutex_unlock(&ri->lock);
	if (ret)
		return ret;

	ret = tcpdrop_walk_init(walk, rule);
	if (ret) {
		tcpdrop_rule_destroy(rule);
		return ret;
	}
	ret = tcpdrop_who_find(rule);
	if (ret)
		look_end(rule, walk);
	return ret;
}

static ssize_t rule_count_show(struct config_item *item, char *page)
{
	struct tcpdrop_walk walk;
	struct tcpdrop_rule rule;
	u64 count;
	int ret;

	ret = look_begin(to_rule_item(item), &rule, &walk);
	if (ret)
		return ret;

	count = tcpdrop_walk_count(&walk);
	look_end(&rule, &walk);
	return scnprintf(page, PAGE_SIZE, "%llu\n", count);
}
CONFIGFS_ATTR_RO(rule_, count);

static void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	kvfree(listing->text);
	kfree(listing);
}

/* Takes the listing that the current task has made out of the list, if any. */
static struct listing *listing_take(struct rule_item *ri)
{
	struct listing *listing, *found = NULL;

	mutex_lock(&ri->lock);
	list_for_each_entry(listing, &ri->listings, entry) {
		if (listing->reader == current) {
			list_del(&listing->entry);
			found = listing;
			break;
		}
	}
	mutex_unlock(&ri->lock);
	return found;
}

/* configfs keeps what was read as long as the file is open: that much of any file. */
static size_t list_limit(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_NET_ADMIN) ? SIZE_MAX : LIST_UNCHARGED;
}

static int make_list(struct rule_item *ri, struct listing *listing)
{
	struct tcpdrop_walk walk;
	struct tcpdrop_rule rule;
	int ret;

	ret = look_begin(ri, &rule, &walk);
	if (ret)
		return ret;

	ret = tcpdrop_walk_list(&walk, list_limit(), &listing->text, &listing->len);
	look_end(&rule, &walk);
	return ret;
}

static int make_rule_text(struct rule_item *ri, struct listing *listing)
{
	struct tcpdrop_text text;
	int ret;

	mutex_lock(&ri->lock);
	ret = tcpdrop_rule_print(&ri->rule, &text);
	mutex_unlock(&ri->lock);
	listing->text = text.buf;
	listing->len = text.len;
	return ret;
}

/*
 * Adds a listing.  If there are too many of its user, the oldest of these goes; if there are
 * of all together, the oldest that is not root's.
 */
static void listing_add(struct rule_item *ri, struct listing *listing)
{
	struct listing *it, *own = NULL, *others = NULL;
	unsigned int nr = 0, total = 0;

	mutex_lock(&ri->lock);
	list_add(&listing->entry, &ri->listings);
	list_for_each_entry(it, &ri->listings, entry) {
		total++;
		if (!uid_eq(it->user, GLOBAL_ROOT_UID))
			others = it;
		if (uid_eq(it->user, listing->user)) {
			nr++;
			own = it;
		}
	}
	it = nr > LISTINGS_MAX ? own : total > LISTINGS_TOTAL ? others : NULL;
	if (it) {
		list_del(&it->entry);
		listing_free(it);
	}
	mutex_unlock(&ri->lock);
}

static ssize_t listing_make(struct rule_item *ri, make_text_t make_text)
{
	struct listing *listing;
	ssize_t ret;

	listing = kzalloc(sizeof(*listing), GFP_KERNEL_ACCOUNT);
	if (!listing)
		return -ENOMEM;

	ret = make_text(ri, listing);
	if (ret || !listing->len) {
		listing_free(listing);
		return ret;
	}

	ret = listing->len;
	listing->reader = current;
	listing->user = current_uid();
	listing_add(ri, listing);
	return ret;
}

/*
 * configfs reads a binary attribute by two calls in a row, one without @buf
 * for the length and one for the content, which it keeps for the open file.
 * Both must speak of one moment, so the first makes the text and the second
 * hands it over.  The second does not come if the task is killed or there is
 * no memory; the text is freed then when there are too many such.  No user must take
 * away those of another, least of all root's.
 */
static ssize_t text_read(struct rule_item *ri, void *buf, size_t len, make_text_t make_text)
{
	struct listing *listing = listing_take(ri);
	ssize_t ret = -EIO;

	if (!buf) {
		listing_free(listing);
		return listing_make(ri, make_text);
	}
	if (listing && listing->len == len) {
		memcpy(buf, listing->text, len);
		ret = len;
	}
	listing_free(listing);
	return ret;
}

static ssize_t rule_list_read(struct config_item *item, void *buf, size_t len)
{
	return text_read(to_rule_item(item), buf, len, make_list);
}
CONFIGFS_BIN_ATTR_RO(rule_, list, NULL, 0);

static ssize_t rule_rule_read(struct config_item *item, void *buf, size_t len)
{
	return text_read(to_rule_item(item), buf, len, make_rule_text);
}

/*
 * Not for everybody to read, as CONFIGFS_BIN_ATTR_RO() would have it: it asks for no right,
 * and configfs keeps the text, which can be long, for each open file.
 */
static struct configfs_bin_attribute rule_attr_rule = {
	.cb_attr	= {
		.ca_name	= "rule",
		.ca_mode	= 0400,
		.ca_owner	= THIS_MODULE,
	},
	.read		= rule_rule_read,
};

/* Says why a commit did not come to its end, unless that is known. */
static void commit_error(struct rule_item *ri, int err)
{
	tcpdrop_rule_error_set(&ri->error, "commit", "1", 1, why(err));
}

/* "1", with blanks and a carriage return behind it as terminals and editors leave them. */
static bool is_one(const char *page, size_t count)
{
	size_t len;

	if (*page != '1')
		return false;
	len = 1 + strspn(page + 1, " \t\r");
	return len + (page[len] == '\n') == count;
}

/* @rule is a copy of the rule. */
static int check_commit(struct rule_item *ri, const char *page, size_t count,
			const struct tcpdrop_rule *rule)
{
	int ret;

	lockdep_assert_held(&ri->lock);

	ret = tcpdrop_nets_permitted(rule);
	if (ret) {
		commit_error(ri, ret);
		return ret;
	}
	ret = check_write(ri, "commit", page, count);
	if (ret)
		return ret;

	if (!is_one(page, count)) {
		tcpdrop_rule_error_set(&ri->error, "commit", page, strcspn(page, "\n"),
				       "only 1 can be written");
		return -EINVAL;
	}
	if (rule->options.protect) {
		tcpdrop_rule_error_set(&ri->error, "commit", "1", 1,
				       "the rule protects what matches, and drops nothing");
		return -EPERM;
	}
	if (tcpdrop_rule_refused(&ri->refusals, &ri->error))
		return -EINVAL;
	if (!tcpdrop_rule_selects(rule)) {
		tcpdrop_rule_error_set(&ri->error, "commit", "1", 1,
				       "no selector is set; state=all is everything");
		return -EINVAL;
	}
	return 0;
}

static int commit_begin(struct rule_item *ri, const char *page, size_t count,
			struct tcpdrop_rule *rule)
{
	int ret;

	lockdep_assert_held(&ri->lock);

	ret = tcpdrop_rule_copy(rule, &ri->rule);
	if (ret) {
		commit_error(ri, ret);
		return ret;
	}
	ret = check_commit(ri, page, count, rule);
	if (ret)
		tcpdrop_rule_destroy(rule);
	else
		ri->committing = true;
	return ret;
}

static ssize_t rule_commit_store(struct config_item *item, const char *page,
				 size_t count)
{
	struct rule_item *ri = to_rule_item(item);
	struct tcpdrop_rule rule;
	ssize_t ret;

	mutex_lock(&ri->lock);
	ret = commit_begin(ri, page, count, &rule);
	mutex_unlock(&ri->lock);
	if (ret) {
		tcpdrop_commit_refused(config_item_name(item), ret);
		return ret;
	}

	ret = tcpdrop_who_find(&rule);
	if (ret)
		tcpdrop_commit_refused(config_item_name(item), ret);
	else
		ret = tcpdrop_commit_rule(config_item_name(item), &rule, &ri->result);
	tcpdrop_who_put(&rule);
	tcpdrop_rule_destroy(&rule);

	mutex_lock(&ri->lock);
	ri->committing = false;
	if (ret)
		commit_error(ri, ret);
	ret = write_done(ri, ret, count);
	mutex_unlock(&ri->lock);
	return ret;
}
CONFIGFS_ATTR_WO(rule_, commit);

static ssize_t rule_last_error_show(struct config_item *item, char *page)
{
	struct rule_item *ri = to_rule_item(item);
	int len = 0;

	mutex_lock(&ri->lock);
	if (ri->error.text[0])
		len = scnprintf(page, PAGE_SIZE, "%s\n", ri->error.text);
	mutex_unlock(&ri->lock);
	return len;
}
CONFIGFS_ATTR_RO(rule_, last_error);

static struct configfs_attribute *rule_attrs[] = {
#define SELECTOR(NAME, name, ...) \
	[RULE_##NAME] = &rule_attr_##name,
#define OPTION(NAME, name) \
	[RULE_##NAME] = &rule_attr_##name,
#include "attrs.h"
	[RULE_NR_ATTRS] = &rule_attr_count,
	&rule_attr_commit,
	&rule_attr_last_error,
	NULL,
};

static struct configfs_bin_attribute *rule_bin_attrs[] = {
	&rule_attr_list,
	&rule_attr_rule,
	NULL,
};

static ssize_t counter_show(const atomic_long_t *counter, char *page)
{
	return scnprintf(page, PAGE_SIZE, "%ld\n", atomic_long_read(counter));
}

static ssize_t result_matched_show(struct config_item *item, char *page)
{
	return counter_show(&to_result(item)->matched, page);
}
CONFIGFS_ATTR_RO(result_, matched);

static ssize_t result_dropped_show(struct config_item *item, char *page)
{
	return counter_show(&to_result(item)->dropped, page);
}
CONFIGFS_ATTR_RO(result_, dropped);

static ssize_t result_failed_show(struct config_item *item, char *page)
{
	return counter_show(&to_result(item)->failed, page);
}
CONFIGFS_ATTR_RO(result_, failed);

static ssize_t result_remaining_show(struct config_item *item, char *page)
{
	return counter_show(&to_result(item)->remaining, page);
}
CONFIGFS_ATTR_RO(result_, remaining);

static ssize_t result_elapsed_us_show(struct config_item *item, char *page)
{
	return counter_show(&to_result(item)->elapsed_us, page);
}
CONFIGFS_ATTR_RO(result_, elapsed_us);

static ssize_t result_states_show(struct config_item *item, char *page)
{
	const struct tcpdrop_drop_result *result = to_result(item);
	unsigned int rank, state;
	long dropped;
	int len = 0;

	for (rank = 0; rank < CONN_STATE_RANKS; rank++) {
		state = tcpdrop_conn_state_by_rank(rank);
		dropped = atomic_long_read(&result->states[state]);
		if (dropped)
			len += scnprintf(page + len, PAGE_SIZE - len, "%s %ld\n",
					 tcpdrop_conn_state_name(state), dropped);
	}
	return len;
}
CONFIGFS_ATTR_RO(result_, states);

static struct configfs_attribute *result_attrs[] = {
	&result_attr_matched,
	&result_attr_dropped,
	&result_attr_failed,
	&result_attr_remaining,
	&result_attr_elapsed_us,
	&result_attr_states,
	NULL,
};

static const struct config_item_type result_type = {
	.ct_attrs	= result_attrs,
	.ct_owner	= THIS_MODULE,
};

static void rule_release(struct config_item *item)
{
	struct rule_item *ri = to_rule_item(item);
	struct listing *listing, *next;

	list_for_each_entry_safe(listing, next, &ri->listings, entry)
		listing_free(listing);
	tcpdrop_protect_end(&ri->protection);
	tcpdrop_rule_destroy(&ri->rule);
	mutex_destroy(&ri->lock);
	kfree(ri);
}

static struct configfs_item_operations rule_item_ops = {
	.release	= rule_release,
};

static const struct config_item_type rule_type = {
	.ct_item_ops	= &rule_item_ops,
	.ct_attrs	= rule_attrs,
	.ct_bin_attrs	= rule_bin_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *make_rule(struct config_group *parent, const char *name)
{
	struct rule_item *ri;

	ri = kzalloc(sizeof(*ri), GFP_KERNEL_ACCOUNT);
	if (!ri)
		return ERR_PTR(-ENOMEM);

	tcpdrop_rule_init(&ri->rule);
	mutex_init(&ri->lock);
	INIT_LIST_HEAD(&ri->listings);
	config_group_init_type_name(&ri->group, name, &rule_type);
	if (!config_item_name(&ri->group.cg_item)) {
		mutex_destroy(&ri->lock);
		kfree(ri);
		return ERR_PTR(-ENOMEM);
	}
	config_group_init_type_name(&ri->result_group, "result", &result_type);
	configfs_add_default_group(&ri->result_group, &ri->group);
	return &ri->group;
}

static struct configfs_group_operations rules_group_ops = {
	.make_group	= make_rule,
};

static ssize_t rules_stats_show(struct config_item *item, char *page)
{
	return tcpdrop_stats_print(page, PAGE_SIZE);
}
CONFIGFS_ATTR_RO(rules_, stats);

static struct configfs_attribute *rules_attrs[] = {
	&rules_attr_stats,
	NULL,
};

static const struct config_item_type rules_type = {
	.ct_group_ops	= &rules_group_ops,
	.ct_attrs	= rules_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem rules_subsystem = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= "tcpdrop",
			.ci_type	= &rules_type,
		},
	},
};

/**
 * tcpdrop_configfs_init() - make /sys/kernel/config/tcpdrop
 *
 * Context: process context, when the module is loaded.
 * Return: 0 or a negative errno.
 */
int __init tcpdrop_configfs_init(void)
{
	config_group_init(&rules_subsystem.su_group);
	mutex_init(&rules_subsystem.su_mutex);
	return configfs_register_subsystem(&rules_subsystem);
}

/**
 * tcpdrop_configfs_exit() - take /sys/kernel/config/tcpdrop away
 *
 * A rule keeps the module loaded, so there are none left.
 *
 * Context: process context, when the module is unloaded or failed to load.
 */
void tcpdrop_configfs_exit(void)
{
	configfs_unregister_subsystem(&rules_subsystem);
}
