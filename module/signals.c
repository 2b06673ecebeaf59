// SPDX-License-Identifier: GPL-2.0
/*
 * Which signals end what a task has begun.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>

#include "signals.h"

/*
 * Would the task take notice of it, or is it ignored, only stops it, or only
 * tells something?  A shell handles the end of its children, which comes at any
 * time and is no reason to leave off.
 */
static bool is_noticed(const struct task_struct *task, int sig)
{
	const struct sighand_struct *sighand = rcu_dereference_raw(task->sighand);
	__sighandler_t handler = READ_ONCE(sighand->action[sig - 1].sa.sa_handler);

	if (sig == SIGSTOP || sig_kernel_ignore(sig) || handler == SIG_IGN)
		return false;
	return handler != SIG_DFL || !sig_kernel_stop(sig);
}

/**
 * tcpdrop_signal_seen() - is there a signal that the task will see?
 * @task: current, or a task that waits in the kernel for the caller
 *
 * signal_pending() says yes as well when the task is to be frozen, traced or
 * stopped and when io_uring has work for it, after which it goes on as if
 * nothing had happened.
 *
 * Context: any; no lock is needed, and none makes the answer last.
 * Return: true if a signal is pending that is neither blocked nor ignored and
 * does more than to stop the task, and is none of those that are ignored unless
 * there is a handler.
 */
bool tcpdrop_signal_seen(const struct task_struct *task)
{
	sigset_t set;
	int sig;

	if (!signal_pending((struct task_struct *)task))
		return false;

	sigorsets(&set, &task->pending.signal, &task->signal->shared_pending.signal);
	sigandnsets(&set, &set, &task->blocked);
	if (sigisemptyset(&set))
		return false;
	for (sig = 1; sig <= _NSIG; sig++)
		if (sigismember(&set, sig) && is_noticed(task, sig))
			return true;
	return false;
}
