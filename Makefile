# SPDX-License-Identifier: GPL-2.0
KDIR ?= /lib/modules/$(shell uname -r)/build
KERNELS ?= 6.1
DEB_DIR ?= ../tcpdrop-deb
COVERAGE_DIR ?= ../tcpdrop-coverage
BENCH_DIR ?= ../tcpdrop-bench

all: headers
	$(MAKE) -C $(KDIR) M=$(CURDIR)/module modules

headers:
	@[ -e $(KDIR)/Makefile ] || { \
		echo 'No kernel headers in $(KDIR): install linux-headers-$(shell uname -r),' >&2; \
		echo 'or name those of another kernel: make KDIR=/path/to/headers' >&2; \
		exit 1; }

clean: headers
	$(MAKE) -C $(KDIR) M=$(CURDIR)/module clean

include scripts/install.mk

load: all
	modprobe configfs
	insmod module/tcpdrop.ko

unload:
	rmmod tcpdrop

demo:
	scripts/demo

bench:
	BENCH_DIR="$(abspath $(BENCH_DIR))" scripts/bench

bench-selectors:
	scripts/bench-selectors

bench-icount:
	scripts/bench-icount $(if $(BUDGET),--check)

shell:
	scripts/vm/shell

kselftest:
	KERNELS="$(KERNELS)" scripts/kselftest

kselftest-all:
	KERNELS="$$(scripts/vm/kernels boot ci)" scripts/kselftest

mutate:
	scripts/mutate

check:
	scripts/check

fuzz:
	scripts/fuzz

prove:
	scripts/prove

coverage:
	COVERAGE="$(abspath $(COVERAGE_DIR))" KERNELS=6.12-gcov scripts/kselftest

deb:
	scripts/deb $(DEB_DIR)

help:
	@echo 'all            the module for the running kernel, or KDIR=/path/to/headers'
	@echo 'clean          remove what all has made'
	@echo 'install        the module, for modprobe, the commands and their manual pages, systemd'
	@echo '               units, modules-load.d, the fail2ban action and examples for other services;'
	@echo '               PREFIX, DESTDIR and INSTALL_MOD_PATH are honoured'
	@echo 'uninstall      remove these'
	@echo 'load, unload   insert the module into the running kernel, remove it'
	@echo 'demo           real connections dropped by rules, in a virtual machine'
	@echo 'shell          a virtual machine with the module and a prompt'
	@echo 'kselftest      all selftests in a virtual machine: KERNELS="6.1 ..." TESTS="name ..."'
	@echo 'kselftest-all  the same on all kernels, with a table at the end'
	@echo 'bench          how fast it is, and its rivals, in a virtual machine: a table, and CSV and plots'
	@echo '               in ../tcpdrop-bench or BENCH_DIR'
	@echo 'bench-selectors  what each selector costs, in instructions'
	@echo 'bench-icount   how much work it is and for its rivals, in instructions: FULL=1 with more sockets,'
	@echo '               CSV=FILE, BUDGET=1 fails where it is more than scripts/bench-budget says'
	@echo 'mutate         do the selftests notice defects? COUNT=N picks some, ONLY="name ..." these'
	@echo 'deb            Debian packages, in ../tcpdrop-deb or DEB_DIR'
	@echo 'check          style and static checks of the sources'
	@echo 'fuzz           the rule model under libFuzzer: FUZZ_SECONDS=300, or RUNS=, JOBS=, TARGETS='
	@echo 'prove          kernels that look for faults, storms and random input, for hours'
	@echo 'coverage       what the selftests run of the module: pages in ../tcpdrop-coverage, or'
	@echo '               COVERAGE_DIR'

.PHONY: all headers clean load unload demo bench bench-selectors bench-icount shell kselftest
.PHONY: kselftest-all check fuzz prove coverage mutate deb help
