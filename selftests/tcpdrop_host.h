/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of harm to others share: pages that never arrive, users without
 * rights, control groups, and the module as root has it.
 */
#ifndef TCPDROP_HOST_H
#define TCPDROP_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include "tcpdrop_util.h"

/* Memory of which each page is missing until page_bring(). */
struct pages {
	char *at;
	int faults;
};

int pages_make(struct pages *pages, int count);
char *pages_get(const struct pages *pages, int i);
bool pages_wait(const struct pages *pages);
int page_bring(const struct pages *pages, int i);

int user_become(uid_t uid);
bool thread_sleeps(pid_t tid);

int cgroup_set(const char *cgroup, const char *file, const char *text);
bool cgroup_says(const char *cgroup, const char *line);

/* Network namespaces, and sockets of TCP in all of them. */
struct living {
	long nets;
	long socks;
};

long slab_objects(const char *name);
int living_read(struct living *living);

/* In the setup of a fixture: set @path to where the module is, to load it again. */
#define REQUIRE_MODULE(path) do {						\
	(path) = getenv("TCPDROP_KO");						\
	if (!(path))								\
		SKIP(return, "TCPDROP_KO does not say where the module is");	\
} while (0)

int module_unload(void);
int module_load(const char *path);

#endif
