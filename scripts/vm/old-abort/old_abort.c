// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: gives a newer kernel the tcp_abort() that 5.10 has, and 6.1
 * had before 6.1.132, in what it does to a socket.
 */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <net/inet_connection_sock.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

/* Not exported. */
static void (*send_active_reset)(struct sock *sk, gfp_t priority);
static void (*write_queue_purge)(struct sock *sk);

static void end_owned(struct sock *sk, int err)
{
	const int reset = TCPF_ESTABLISHED | TCPF_CLOSE_WAIT | TCPF_FIN_WAIT1 |
			  TCPF_FIN_WAIT2 | TCPF_SYN_RECV;

	sk->sk_err = err;
	/* Pairs with tcp_poll(). */
	smp_wmb();
	sk_error_report(sk);
	if ((1 << sk->sk_state) & reset)
		send_active_reset(sk, GFP_ATOMIC);
	tcp_done(sk);
}

static int old_abort(struct sock *sk, int err)
{
	struct request_sock *req = inet_reqsk(sk);

	if (sk->sk_state == TCP_NEW_SYN_RECV) {
		local_bh_disable();
		inet_csk_reqsk_queue_drop(req->rsk_listener, req);
		local_bh_enable();
		return 0;
	}
	if (!sk_fullsock(sk))
		return -EOPNOTSUPP;

	lock_sock(sk);
	if (sk->sk_state == TCP_LISTEN) {
		tcp_set_state(sk, TCP_CLOSE);
		inet_csk_listen_stop(sk);
	}
	local_bh_disable();
	bh_lock_sock(sk);
	if (!sock_flag(sk, SOCK_DEAD))
		end_owned(sk, err);
	bh_unlock_sock(sk);
	local_bh_enable();
	write_queue_purge(sk);
	release_sock(sk);
	return 0;
}

static void notrace divert(unsigned long ip, unsigned long parent_ip,
			   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	ftrace_instruction_pointer_set(fregs, (unsigned long)old_abort);
}

static struct ftrace_ops ops = {
	.func = divert,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
};

static void *address_of(const char *symbol)
{
	struct kprobe probe = { .symbol_name = symbol };
	void *addr;

	if (register_kprobe(&probe))
		return NULL;
	addr = probe.addr;
	unregister_kprobe(&probe);
	return addr;
}

static int __init old_abort_init(void)
{
	int ret;

	send_active_reset = address_of("tcp_send_active_reset");
	write_queue_purge = address_of("tcp_write_queue_purge");
	if (!send_active_reset || !write_queue_purge)
		return -ENOENT;

	ret = ftrace_set_filter(&ops, "tcp_abort", strlen("tcp_abort"), 1);
	return ret ? ret : register_ftrace_function(&ops);
}

static void __exit old_abort_exit(void)
{
	unregister_ftrace_function(&ops);
}

module_init(old_abort_init);
module_exit(old_abort_exit);

MODULE_DESCRIPTION("The tcp_abort() of old kernels");
MODULE_LICENSE("GPL");
