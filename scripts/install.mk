# SPDX-License-Identifier: GPL-2.0
# make install and make uninstall; the top Makefile includes this and knows KDIR and all.
#
# PREFIX            where the commands, their completion, the manual pages and what services need go
# sysconfdir        /etc, where fail2ban looks for actions
# DESTDIR           a directory that stands for /: nothing outside of it changes
# INSTALL_MOD_PATH  the same for the module alone

PREFIX ?= /usr/local
sysconfdir ?= /etc

sbin_dir = $(DESTDIR)$(PREFIX)/sbin
man_dir = $(DESTDIR)$(PREFIX)/share/man
completion_dir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
unit_dir = $(DESTDIR)$(PREFIX)/lib/systemd/system
modules_load_dir = $(DESTDIR)$(PREFIX)/lib/modules-load.d
fail2ban_dir = $(DESTDIR)$(sysconfdir)/fail2ban/action.d
example_dir = $(DESTDIR)$(PREFIX)/share/doc/tcpdrop/examples
units = $(notdir $(wildcard scripts/systemd/*.service scripts/systemd/*.timer))
examples = $(notdir $(wildcard scripts/examples/*))
mod_root = $(or $(INSTALL_MOD_PATH),$(DESTDIR))
utsrelease = $(KDIR)/include/generated/utsrelease.h
kernel_release = $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)".*/\1/p' $(wildcard $(utsrelease)) \
	</dev/null),$(shell uname -r))

install: install-module install-command install-services

install-module: all
	$(MAKE) -C $(KDIR) M=$(CURDIR)/module INSTALL_MOD_PATH=$(mod_root) modules_install
	$(if $(mod_root),,depmod $(kernel_release))

install-command:
	install -D -m 755 scripts/tcpdrop $(sbin_dir)/tcpdrop
	install -D -m 755 scripts/tcpdrop-rules $(sbin_dir)/tcpdrop-rules
	install -D -m 644 scripts/completion/tcpdrop.bash $(completion_dir)/tcpdrop
	install -D -m 644 scripts/completion/tcpdrop-rules.bash $(completion_dir)/tcpdrop-rules
	install -D -m 644 Documentation/man/tcpdrop.4 $(man_dir)/man4/tcpdrop.4
	install -D -m 644 Documentation/man/tcpdrop.8 $(man_dir)/man8/tcpdrop.8
	install -D -m 644 Documentation/man/tcpdrop-rules.8 $(man_dir)/man8/tcpdrop-rules.8

install-services:
	install -d $(unit_dir) $(example_dir)
	install -m 644 $(addprefix scripts/systemd/,$(units)) $(unit_dir)
	install -D -m 644 scripts/systemd/modules-load.conf $(modules_load_dir)/tcpdrop.conf
	install -D -m 644 scripts/fail2ban/tcpdrop.conf $(fail2ban_dir)/tcpdrop.conf
	install -m 755 $(addprefix scripts/examples/,$(examples)) $(example_dir)

command_files = $(foreach dir,$(sbin_dir) $(completion_dir),$(addprefix $(dir)/,tcpdrop tcpdrop-rules))
command_files += $(man_dir)/man4/tcpdrop.4 $(addprefix $(man_dir)/man8/,tcpdrop.8 tcpdrop-rules.8)
service_files = $(addprefix $(unit_dir)/,$(units)) $(modules_load_dir)/tcpdrop.conf
service_files += $(fail2ban_dir)/tcpdrop.conf $(addprefix $(example_dir)/,$(examples))
# Kernels differ in the directory that they put modules from elsewhere in.
mod_dir = $(mod_root)/lib/modules/$(kernel_release)
module_files = $(addprefix $(mod_dir)/,extra/tcpdrop.ko* updates/tcpdrop.ko*)
installed = $(wildcard $(command_files) $(service_files) $(module_files))

uninstall:
	$(if $(installed),rm -f $(installed),@echo 'nothing to remove: no tcpdrop in' \
		'$(DESTDIR)$(PREFIX) and $(mod_dir)')
	$(if $(mod_root)$(if $(installed),,none),,depmod $(kernel_release))

.PHONY: install install-module install-command install-services uninstall
