// SPDX-License-Identifier: GPL-2.0
/*
 * For bench-icount only: what tcp_abort() itself takes, in instructions.  A port
 * written to the parameter "port" aborts all sockets with this remote port, which
 * have been looked for before; the parameter "taken" says what that took.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/timex.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>
#include <net/tcp.h>

#define MOST	131072

static unsigned long long taken;
module_param(taken, ullong, 0400);

static unsigned int find(struct inet_hashinfo *table, __be16 port, struct sock **found)
{
	unsigned int bucket, number = 0;
	struct hlist_nulls_node *node;
	struct sock *sk;

	for (bucket = 0; bucket <= table->ehash_mask; bucket++) {
		spinlock_t *lock = inet_ehash_lockp(table, bucket);

		spin_lock_bh(lock);
		sk_nulls_for_each(sk, node, &table->ehash[bucket].chain) {
			if (sk->sk_dport != port || number == MOST)
				continue;
			sock_hold(sk);
			found[number++] = sk;
		}
		spin_unlock_bh(lock);
		cond_resched();
	}
	return number;
}

static void abort_all(struct sock **found, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++) {
		tcp_abort(found[i], ECONNABORTED);
		sock_gen_put(found[i]);
		cond_resched();
	}
}

static int set_port(const char *text, const struct kernel_param *param)
{
	struct sock **found;
	cycles_t start;
	unsigned int n;
	u16 port;
	int err;

	err = kstrtou16(text, 10, &port);
	if (err)
		return err;
	found = kvcalloc(MOST, sizeof(*found), GFP_KERNEL);
	if (!found)
		return -ENOMEM;
	n = find(init_net.ipv4.tcp_death_row.hashinfo, htons(port), found);
	start = get_cycles();
	abort_all(found, n);
	taken = get_cycles() - start;
	kvfree(found);
	return 0;
}

static const struct kernel_param_ops port_ops = { .set = set_port };
module_param_cb(port, &port_ops, NULL, 0200);

MODULE_DESCRIPTION("What tcp_abort() takes, for a benchmark");
MODULE_LICENSE("GPL");
