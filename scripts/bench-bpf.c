// SPDX-License-Identifier: GPL-2.0
/*
 * bench-bpf - an iterator that drops connections by bpf_sock_destroy(), for
 * bench-icount
 *
 * usage: bench-bpf PORT FILE
 *
 * Makes FILE, in a file system of type bpf: to read it goes through TCP's
 * sockets and destroys those with this remote port, from Linux 6.5 on.  The
 * program is written down as instructions, four of them for a socket that is to
 * stay and two to return: a compiler makes no fewer, and no library has to be
 * there.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define CTX_SK		8	/* of struct bpf_iter__tcp: sk_common */
#define SK_DPORT	12	/* of struct sock_common: skc_dport, user space knows it */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* What follows a type, in bytes. */
static size_t btf_tail(const struct btf_type *type)
{
	size_t number = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return number * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return number * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return number * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return number * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return number * sizeof(struct btf_var_secinfo);
	default:
		return 0;
	}
}

static unsigned int function_id(const void *btf, const char *name)
{
	const struct btf_header *header = btf;
	const char *base = (const char *)btf + header->hdr_len;
	const char *at = base + header->type_off, *end = at + header->type_len;
	const char *names = base + header->str_off;
	unsigned int id;

	for (id = 1; at < end; id++) {
		const struct btf_type *type = (const struct btf_type *)at;

		if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC &&
		    !strcmp(names + type->name_off, name))
			return id;
		at += sizeof(*type) + btf_tail(type);
	}
	errx(1, "this kernel has no %s()", name);
}

static int load_program(unsigned int iterator, unsigned int destroy, in_port_t port)
{
	const struct bpf_insn program[] = {
		/* r1 = ctx->sk_common; if (!r1) goto out; */
		{ BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, CTX_SK, 0 },
		{ BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 3, 0 },
		/* if (r1->skc_dport != port) goto out; */
		{ BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_1, SK_DPORT, 0 },
		{ BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 1, htons(port) },
		/* bpf_sock_destroy(r1); */
		{ BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, destroy },
		/* out: return 0; */
		{ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	static char log[1 << 16];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.expected_attach_type = BPF_TRACE_ITER,
		.attach_btf_id = iterator,
		.insns = (uintptr_t)program,
		.insn_cnt = sizeof(program) / sizeof(*program),
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		err(1, "%sprogram", log);
	return fd;
}

static int make_link(int program)
{
	union bpf_attr attr = {
		.link_create = { .prog_fd = program, .attach_type = BPF_TRACE_ITER },
	};
	int fd = bpf(BPF_LINK_CREATE, &attr);

	if (fd < 0)
		err(1, "link");
	return fd;
}

static void pin(int link, const char *path)
{
	union bpf_attr attr = { .pathname = (uintptr_t)path, .bpf_fd = link };

	if (bpf(BPF_OBJ_PIN, &attr))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	unsigned int iterator, destroy;
	size_t length;
	char *btf;

	if (argc != 3)
		errx(1, "usage: bench-bpf PORT FILE");
	btf = file_text("/sys/kernel/btf/vmlinux", &length);
	iterator = function_id(btf, "bpf_iter_tcp");
	destroy = function_id(btf, "bpf_sock_destroy");
	free(btf);
	pin(make_link(load_program(iterator, destroy, strtoul(argv[1], NULL, 10))), argv[2]);
	return 0;
}
