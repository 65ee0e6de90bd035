# tradecloud-webhook. `make help` lists what there is.

# --- what may be set on the command line, as in `make install DESTDIR=/tmp/x prefix=/usr` ---
CC         = gcc
CFLAGS     = -O2 -g
SERVER     = apache
PORT       = 8443
prefix     = /usr/local
bindir     = $(prefix)/bin
libexecdir = $(prefix)/libexec
unitdir    = $(prefix)/lib/systemd/system
datadir    = $(prefix)/share
docdir     = $(datadir)/doc/tradecloud-webhook
mandir     = $(datadir)/man
sysconfdir = /etc
spooldir   = /var/spool/tradecloud
DESTDIR    =

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
            -DFETCH_PROGRAM='"$(libexecdir)/tradecloud/tradecloud-fetch"'

COMMON    = $(notdir $(basename $(wildcard common/*.c)))
UNIT      = $(notdir $(basename $(wildcard tests/unit/test_*.c)))
HEADERS   = $(wildcard common/*.h)
TEST_HEADERS = $(wildcard tests/unit/*.h)
UNITS     = $(notdir $(wildcard cgi/*.service cgi/*.path))
CONSUMERS = $(addprefix cgi/consumers/,import-files load-postgresql post-http)

# The program that receives is wholly static: loading shared libraries would take several times as
# long as receiving an event.
WEBHOOK_LINK = -static-pie -Wl,-z,relro,-z,now -lcrypto
FETCH_LINK   = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -lcurl -ljson-c -lcrypto
SPOOL_LINK   = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -ljson-c -lcrypto

# The whole command lines are shown by `make V=1`.
Q$(V) = @

.PHONY: always all programs run check check-unit check-system lint format install uninstall clean help

.SECONDARY:

all: programs ## build the programs into build/

programs: build/tradecloud-webhook build/tradecloud-fetch build/tradecloud-spool

build/%.o: common/%.c $(HEADERS) Makefile | build
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(CPPFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

# The path of one program is built into the other, so another prefix needs another one.
build/config.o: build/paths
build/paths: always | build
	@echo '$(libexecdir)' | cmp -s - $@ || echo '$(libexecdir)' >$@

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

build build/unit:
	mkdir -p $@

run: ## try it: an own server on https://localhost:8443/tradecloud (SERVER=nginx for nginx)
	@tests/deps build site
	@$(MAKE) --no-print-directory programs
	@PORT=$(PORT) /usr/bin/python3 -B tests/system/run.py $(SERVER)

check: ## run all tests
	@tests/deps build site check
	@$(MAKE) --no-print-directory -j2 programs $(UNIT:%=build/unit/%)
	@$(MAKE) --no-print-directory check-unit
	@$(MAKE) --no-print-directory check-system

check-unit: $(UNIT:%=build/unit/%) # each module, under the sanitizers
	@for test in $^; do $$test || exit 1; done

check-system: programs # the programs behind the real web servers
	/usr/bin/python3 -B -m pytest -p no:cacheprovider -q -n 4 tests/stub tests/system

lint: ## look for mistakes without running anything
	@tests/deps build check lint
	@# Its versions differ in details, so one must decide.
	@case "$$(clang-format --version)" in \
	*' version 14.'*) clang-format --dry-run --Werror cgi/*.c common/*.[ch] tests/unit/*.[ch] ;; \
	*) echo 'The format is not checked: that needs clang-format 14, as Debian 12 has it.' ;; \
	esac
	clang-tidy --quiet cgi/*.c common/*.c -- $(CSTD)
	cppcheck --quiet --enable=warning,style,performance,portability --error-exitcode=1 \
	    --suppress=normalCheckLevelMaxBranches --inline-suppr --std=c11 -Icommon cgi common
	shellcheck tests/deps .ci/run $(CONSUMERS)
	mandoc -T lint -W warning cgi/*.[18]

format: ## format the sources
	clang-format -i cgi/*.c common/*.[ch] tests/unit/*.[ch]

install: programs ## install the program, its manual, and the web servers' configuration
	install -d '$(DESTDIR)$(libexecdir)/tradecloud' '$(DESTDIR)$(datadir)/tradecloud' \
	    '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(mandir)/man8' '$(DESTDIR)$(docdir)' '$(DESTDIR)$(sysconfdir)/tradecloud'
	install -m 755 build/tradecloud-webhook build/tradecloud-fetch '$(DESTDIR)$(libexecdir)/tradecloud'
	install -m 644 apache/unavailable.asis '$(DESTDIR)$(datadir)/tradecloud'
	install -m 644 cgi/tradecloud-fetch.1 '$(DESTDIR)$(mandir)/man1'
	install -m 644 cgi/tradecloud-webhook.8 '$(DESTDIR)$(mandir)/man8'
	install -m 644 README.md LICENSE '$(DESTDIR)$(docdir)'
	install -m 755 -D -t '$(DESTDIR)$(docdir)/examples' $(CONSUMERS)
	install -m 644 cgi/consumers/schema.sql '$(DESTDIR)$(docdir)/examples'
	install -m 644 -D -t '$(DESTDIR)$(unitdir)' $(UNITS:%=cgi/%)
	sed -i -e 's|/usr/local/bin|$(bindir)|g' -e 's|/etc/tradecloud|$(sysconfdir)/tradecloud|g' \
	    -e 's|/var/spool/tradecloud|$(spooldir)|g' $(UNITS:%='$(DESTDIR)$(unitdir)/%')
	$(call install_configuration,apache/apache-location.conf,tradecloud/apache-location.conf)
	$(call install_configuration,nginx/nginx-location.conf,tradecloud/nginx-location.conf)
	$(call install_configuration,apache/tradecloud-webhook.conf,apache2/sites-available/tradecloud-webhook.conf)
	$(call install_configuration,nginx/tradecloud-webhook.conf,nginx/sites-available/tradecloud-webhook.conf)
	$(call install_configuration,nginx/tradecloud-fcgiwrap.service,systemd/system/tradecloud-fcgiwrap.service)
	$(call install_configuration,nginx/tradecloud-fcgiwrap.socket,systemd/system/tradecloud-fcgiwrap.socket)

# What an administrator has changed stays: the new version is put beside it.
define install_configuration
@target='$(DESTDIR)$(sysconfdir)/$(2)'; mkdir -p "$$(dirname "$$target")"; \
sed -e 's|/usr/local/libexec|$(libexecdir)|g' -e 's|/usr/local/share|$(datadir)|g' \
    -e 's|/etc/tradecloud|$(sysconfdir)/tradecloud|g' -e 's|/var/spool/tradecloud|$(spooldir)|g' \
    $(1) >"$$target.new" && chmod 644 "$$target.new" && \
if [ ! -e "$$target" ] || cmp -s "$$target" "$$target.new"; then mv "$$target.new" "$$target"; \
    echo "installed $$target"; \
else echo "kept $$target as it was; the new version is $$target.new"; fi
endef

uninstall: ## remove what install installed, but for the configuration
	rm -f '$(DESTDIR)$(libexecdir)/tradecloud/tradecloud-webhook' \
	    '$(DESTDIR)$(libexecdir)/tradecloud/tradecloud-fetch' \
	    '$(DESTDIR)$(mandir)/man1/tradecloud-fetch.1' \
	    '$(DESTDIR)$(datadir)/tradecloud/unavailable.asis' \
	    '$(DESTDIR)$(mandir)/man8/tradecloud-webhook.8' \
	    '$(DESTDIR)$(docdir)/README.md' '$(DESTDIR)$(docdir)/LICENSE' \
	    $(patsubst cgi/consumers/%,'$(DESTDIR)$(docdir)/examples/%',$(CONSUMERS) cgi/consumers/schema.sql) \
	    $(UNITS:%='$(DESTDIR)$(unitdir)/%')
	-rmdir '$(DESTDIR)$(docdir)/examples'
	-rmdir '$(DESTDIR)$(libexecdir)/tradecloud' '$(DESTDIR)$(datadir)/tradecloud' '$(DESTDIR)$(docdir)'

clean: ## remove build/
	rm -rf build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
