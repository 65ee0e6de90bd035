# tradecloud-webhook. `make help` lists what there is.

# --- what may be set on the command line, as in `make install DESTDIR=/tmp/x prefix=/usr` ---
CC         = gcc
CFLAGS     = -O2 -g
SERVER     = apache
PORT       = 8443

# Where things are installed: as GNU's standards name it, and as the FHS has it for software that is
# built on the machine. The web servers' configuration and the spool are under no prefix. DESTDIR, in
# front of all, is left to the command line or the environment.
prefix        = /usr/local
exec_prefix   = $(prefix)
bindir        = $(exec_prefix)/bin
libexecdir    = $(exec_prefix)/libexec
cgidir        = $(libexecdir)/tradecloud
datarootdir   = $(prefix)/share
datadir       = $(datarootdir)
docdir        = $(datarootdir)/doc/tradecloud-webhook
mandir        = $(datarootdir)/man
completiondir = $(datadir)/bash-completion/completions
unitdir       = $(prefix)/lib/systemd/system
sysusersdir   = $(prefix)/lib/sysusers.d
tmpfilesdir   = $(prefix)/lib/tmpfiles.d
sysconfdir    = /etc
localstatedir = /var
spooldir      = $(localstatedir)/spool/tradecloud

INSTALL         = install
INSTALL_PROGRAM = $(INSTALL)
INSTALL_DATA    = $(INSTALL) -m 644

# --- how it is built ---
WARNINGS  = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wcast-align \
            -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wswitch-enum -Wnull-dereference \
            -Wdouble-promotion -Wimplicit-fallthrough -Werror
HARDENING = -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -fPIE
SANITIZE  = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
            -fno-sanitize-recover=all
VERSION   = 0.1.0
CSTD      = -std=c17 -D_GNU_SOURCE -Icommon -DPROGRAM_VERSION='"$(VERSION)"' \
            -DFETCH_PROGRAM='"$(libexecdir)/tradecloud/tradecloud-fetch"' \
            -DSPOOL_PATH='"$(spooldir)"' -DNETRC_PATH='"$(sysconfdir)/tradecloud/netrc"'

PROGRAMS  = $(patsubst cgi/%.c,tradecloud-%,$(wildcard cgi/*.c))
COMMON    = $(notdir $(basename $(wildcard common/*.c)))
UNIT      = $(notdir $(basename $(wildcard tests/unit/test_*.c)))
HEADERS   = $(wildcard common/*.h)
TEST_HEADERS = $(wildcard tests/unit/*.h)
CONSUMERS = $(addprefix cgi/consumers/,import-files load-postgresql post-http)
FORMATTED = cgi/*.c common/*.[ch] tests/unit/*.[ch] tests/bench/*.c tests/crash/*.c tests/fuzz/*.[ch]

# The program that receives is wholly static: loading shared libraries would take several times as
# long as receiving an event.
WEBHOOK_LINK = -static-pie -Wl,-z,relro,-z,now -lcrypto
FETCH_LINK   = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -lcurl -ljson-c -lcrypto
SPOOL_LINK   = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -ljson-c -lcrypto

# The whole command lines are shown by `make V=1`.
Q$(V) = @

.PHONY: always all programs run check check-unit check-system check-consume check-install bench lint format
.PHONY: check-tls install install-strip uninstall clean help

.SECONDARY:

all: programs ## build the programs into build/

programs: $(PROGRAMS:%=build/%)

build/%.o: common/%.c $(HEADERS) Makefile | build
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(CPPFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

# Paths are built into the programs, so others need other programs.
PATHS = $(libexecdir) $(spooldir) $(sysconfdir)
build/config.o build/tradecloud-spool.o: build/paths
build/paths: always | build
	@echo '$(PATHS)' | cmp -s - $@ || echo '$(PATHS)' >$@

build/%.o: cgi/%.c $(HEADERS) Makefile | build
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(CPPFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

# Not build/spool.o, which is the module of that name.
build/tradecloud-spool.o: cgi/spool.c $(HEADERS) Makefile | build
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(CPPFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

# An archive, so that each program gets only what it uses: libcurl is for tradecloud-fetch alone.
build/common.a: $(COMMON:%=build/%.o)
	@echo '  AR   $@'
	$(Q)rm -f $@ && ar rcs $@ $^

build/tradecloud-webhook: build/webhook.o build/common.a
	@echo '  LINK $@'
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(WEBHOOK_LINK) $(LDFLAGS)

build/tradecloud-fetch: build/fetch.o build/common.a
	@echo '  LINK $@'
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(FETCH_LINK) $(LDFLAGS)

build/tradecloud-spool: build/tradecloud-spool.o build/common.a
	@echo '  LINK $@'
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(SPOOL_LINK) $(LDFLAGS)

build/unit/%.o: common/%.c $(HEADERS) Makefile | build/unit
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(WARNINGS) $(SANITIZE) -c -o $@ $<

build/unit/test_%.o: tests/unit/test_%.c $(HEADERS) $(TEST_HEADERS) Makefile | build/unit
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(WARNINGS) $(SANITIZE) -c -o $@ $<

build/unit/test_%: build/unit/test_%.o $(COMMON:%=build/unit/%.o)
	@echo '  LINK $@'
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcmocka -lcurl -ljson-c -lcrypto

# The floor is what is measured against: the least a program can cost, so at fixed addresses.
BENCH = build/bench/floor build/bench/ordinary build/bench/scan build/bench/spawn
build/bench/floor build/bench/spawn: BENCH_LINK = -static -no-pie
build/bench/ordinary: BENCH_LINK = -lcurl -ljson-c -lcrypto
build/bench/scan: BENCH_LINK = build/common.a -ljson-c -lcrypto
build/bench/scan: build/common.a
build/bench/%: tests/bench/%.c Makefile | build/bench
	@echo '  LINK $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(CPPFLAGS) $(WARNINGS) -o $@ $< $(BENCH_LINK) $(LDFLAGS)

build build/unit build/bench:
	mkdir -p $@

# Crash injection, fuzzing, storms, sanitizers, coverage.
include tests/tests.mk

run: ## try it: an own server on https://localhost:8443/tradecloud (SERVER=nginx for nginx)
	@tests/deps build site
	@$(MAKE) --no-print-directory programs
	@PORT=$(PORT) /usr/bin/python3 -B tests/system/run.py $(SERVER)

check: ## run all tests
	@tests/deps build site check proof
	@$(MAKE) --no-print-directory -j2 programs $(UNIT:%=build/unit/%) $(BENCH)
	@$(MAKE) --no-print-directory check-unit
	@$(MAKE) --no-print-directory check-system
	@$(MAKE) --no-print-directory -j2 check-proof

check-unit: $(UNIT:%=build/unit/%) # each module, under the sanitizers
	@for test in $^; do $$test || exit 1; done

check-system: programs $(BENCH) # the programs behind the real web servers
	/usr/bin/python3 -B -m pytest -p no:cacheprovider -q -rs -n 4 tests/stub tests/system tests/bench

check-install: ## install as README.md says on Debian 12 and 13 of their own (as root; minutes)
	@tests/deps site check debian
	/usr/bin/python3 -B -m pytest -p no:cacheprovider -q -rP tests/install

check-tls: ## what testssl.sh finds in both servers as shipped; some minutes
	@tests/deps build site tls
	@$(MAKE) --no-print-directory programs
	/usr/bin/python3 -B tests/system/check_tls.py

bench: ## measure what an event costs, in 15 minutes (QUICK=1: in three)
	@tests/deps build site bench
	@$(MAKE) --no-print-directory programs $(BENCH)
	@/usr/bin/python3 -B tests/bench/bench.py $(if $(QUICK),--quick)

check-consume: programs ## run the long tests of tradecloud-spool run, for some minutes
	CONSUME_LONG=1 /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -s tests/system/test_run_crash.py \
	    tests/system/test_run_storm.py

lint: ## look for mistakes without running anything
	@tests/deps build check lint
	@# Its versions differ in details, so one must decide.
	@case "$$(clang-format --version)" in \
	*' version 14.'*) clang-format --dry-run --Werror $(FORMATTED) ;; \
	*) echo 'The format is not checked: that needs clang-format 14, as Debian 12 has it.' ;; \
	esac
	@# It leaves long comments alone.
	@! grep -nE '^.{101}' $(FORMATTED)
	clang-tidy --quiet cgi/*.c common/*.c tests/bench/*.c -- $(CSTD)
	@# Not of interest: headers of the system; functions that only tests use, or that it overlooks;
	@# what is suppressed for another version of it; its own limits.
	cppcheck --quiet --enable=all --error-exitcode=1 --suppress=missingIncludeSystem \
	    --suppress=unusedFunction --suppress=unmatchedSuppression \
	    --suppress=normalCheckLevelMaxBranches --inline-suppr --std=c11 -Icommon cgi common tests/bench
	@for source in common/*.c cgi/*.c; do \
	    gcc $(CSTD) -O2 -fanalyzer -Werror -c -o /dev/null $$source || exit 1; done
	shellcheck tests/deps tests/fuzz/fuzz tests/bench/store.sh .ci/run cgi/bash-completion/tradecloud-spool \
	    $(CONSUMERS)
	mandoc -T lint -W warning cgi/*.[158]

format: ## format the sources
	clang-format -i $(FORMATTED)

install: programs ## install programs, manual, units, and the web servers' configuration
	$(call INSTALLED,install)
	@echo 'What to do next stands in README.md, "Install it".'

install-strip: ## install, without the debugging symbols
	@$(MAKE) --no-print-directory install INSTALL_PROGRAM='$(INSTALL_PROGRAM) -s'

uninstall: | build ## remove what install installed, but for changed configuration and the spool
	@for site in '$(DESTDIR)$(sysconfdir)'/apache2/sites-enabled/tradecloud-webhook.conf \
	    '$(DESTDIR)$(sysconfdir)'/nginx/sites-enabled/tradecloud-webhook.conf; do \
	    if [ -L "$$site" ] || [ -e "$$site" ]; then \
	        echo "$$site: take this site out of service first: remove it, reload the server" >&2; \
	        exit 1; \
	    fi; \
	done
	$(call INSTALLED,uninstall)
	@for directory in $(OWN_DIRECTORIES:%='$(DESTDIR)%'); do \
	    [ ! -d "$$directory" ] || rmdir --ignore-fail-on-non-empty "$$directory"; \
	done
	@echo 'Left: the spool $(spooldir), the user and group tradecloud, and in $(sysconfdir)/tradecloud'
	@echo 'what make install has not put there.'

OWN_DIRECTORIES = $(libexecdir)/tradecloud $(datadir)/tradecloud $(docdir)/examples $(docdir) \
                  $(sysconfdir)/tradecloud

# All that is installed, a line each: what kind of file, its source, its directory.
#     program  a program
#     link     a link, to what is in the directory named last
#     text     data, with the paths of this installation in it
#     script   a text that can be run
#     setting  a text that the administrator may change: what was changed stays
define INSTALLED
$(call $(1)_program,build/tradecloud-webhook,$(cgidir))
$(call $(1)_program,build/tradecloud-fetch,$(libexecdir)/tradecloud)
$(call $(1)_link,tradecloud-fetch,$(bindir),$(libexecdir)/tradecloud)
$(call $(1)_program,build/tradecloud-spool,$(bindir))
$(call $(1)_text,cgi/tradecloud-fetch.1,$(mandir)/man1)
$(call $(1)_text,cgi/tradecloud-spool.1,$(mandir)/man1)
$(call $(1)_text,cgi/tradecloud-spool.5,$(mandir)/man5)
$(call $(1)_text,cgi/tradecloud-webhook.8,$(mandir)/man8)
$(call $(1)_text,README.md,$(docdir))
$(call $(1)_text,LICENSE,$(docdir))
$(call $(1)_text,cgi/bash-completion/tradecloud-spool,$(completiondir))
$(call $(1)_script,cgi/consumers/import-files,$(docdir)/examples)
$(call $(1)_script,cgi/consumers/load-postgresql,$(docdir)/examples)
$(call $(1)_script,cgi/consumers/post-http,$(docdir)/examples)
$(call $(1)_text,cgi/consumers/schema.sql,$(docdir)/examples)
$(call $(1)_text,apache/unavailable.asis,$(datadir)/tradecloud)
$(call $(1)_text,cgi/sysusers.d/tradecloud-webhook.conf,$(sysusersdir))
$(call $(1)_text,cgi/tmpfiles.d/tradecloud-webhook.conf,$(tmpfilesdir))
$(call $(1)_text,cgi/tradecloud-spool@.service,$(unitdir))
$(call $(1)_text,cgi/tradecloud-spool-once@.service,$(unitdir))
$(call $(1)_text,cgi/tradecloud-spool-once@.path,$(unitdir))
$(call $(1)_text,nginx/tradecloud-fcgiwrap.service,$(unitdir))
$(call $(1)_text,nginx/tradecloud-fcgiwrap.socket,$(unitdir))
$(call $(1)_setting,apache/apache-location.conf,$(sysconfdir)/tradecloud)
$(call $(1)_setting,apache/apache-oauth.conf,$(sysconfdir)/tradecloud)
$(call $(1)_setting,apache/tradecloud-webhook.conf,$(sysconfdir)/apache2/sites-available)
$(call $(1)_setting,nginx/nginx-location.conf,$(sysconfdir)/tradecloud)
$(call $(1)_setting,nginx/tradecloud-webhook.conf,$(sysconfdir)/nginx/sites-available)
endef

# The sources have the default paths in them, so that they can be read as they are.
define set_paths
sed -e 's|/usr/local/libexec/tradecloud/tradecloud-webhook|$(cgidir)/tradecloud-webhook|g' \
    -e 's|/usr/local/libexec|$(libexecdir)|g' -e 's|/usr/local/share|$(datadir)|g' \
    -e 's|/usr/local/bin|$(bindir)|g' -e 's|/usr/local/lib/tmpfiles.d|$(tmpfilesdir)|g' \
    -e 's|/etc/tradecloud|$(sysconfdir)/tradecloud|g' -e 's|/var/spool/tradecloud|$(spooldir)|g' \
    '$(1)' >build/text
endef

target = $(DESTDIR)$(2)/$(notdir $(1))

define install_program
$(INSTALL_PROGRAM) -D -t '$(DESTDIR)$(2)' '$(1)'
endef

define install_link
$(INSTALL) -d '$(DESTDIR)$(2)' && ln -sf '$(3)/$(1)' '$(target)'
endef

define install_text
@echo 'installing $(target)'
@$(set_paths) && $(INSTALL_DATA) -D build/text '$(target)' && rm build/text
endef

define install_script
@echo 'installing $(target)'
@$(set_paths) && $(INSTALL) -m 755 -D build/text '$(target)' && rm build/text
endef

define install_setting
@$(set_paths) && rm -f '$(target).new' && \
if [ ! -e '$(target)' ] || cmp -s build/text '$(target)'; then \
    echo 'installing $(target)'; \
    $(INSTALL_DATA) -D build/text '$(target)'; \
else \
    echo 'keeping $(target) as it is; the new version is $(target).new'; \
    $(INSTALL_DATA) build/text '$(target).new'; \
fi && rm build/text
endef

uninstall_program = rm -f '$(target)'
uninstall_link = $(uninstall_program)
uninstall_text = $(uninstall_program)
uninstall_script = $(uninstall_program)

define uninstall_setting
@$(set_paths) && rm -f '$(target).new' && \
if cmp -s build/text '$(target)'; then echo rm -f '$(target)'; rm -f '$(target)'; \
elif [ -e '$(target)' ]; then echo 'Left, as it was changed: $(target)'; fi; \
rm build/text
endef

clean: ## remove build/
	rm -rf build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
