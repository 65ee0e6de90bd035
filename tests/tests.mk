# Further builds of the programs and the tests that need them; a part of the Makefile.
# tests/README.md tells what each proves.

FUZZ       = $(notdir $(basename $(wildcard tests/fuzz/fuzz_*.c)))
FUZZING    = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
             -fno-sanitize-recover=all -Wno-unknown-warning-option
COUNTING   = $(CSTD) -O0 -g --coverage
ENDINGS    = -Wl,--wrap=_exit,--wrap=execvpe,--wrap=sigaction,--wrap=__gcov_fork
REPORTS    = /tmp/tradecloud-sanitize
PYTEST     = /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -rs
SANITIZED  = $(PROGRAMS:%=build/sanitize/%)
VALGRINDED = $(PROGRAMS:%=build/valgrind/%)
COVERED    = $(PROGRAMS:%=build/coverage/%) $(UNIT:%=build/coverage/%)

# Seconds for which each harness is fuzzed, and for which each web server is stormed, with and
# without consumers.
TIME       = 60
DURATION   = 600

.PHONY: proof-deps check-proof check-crash check-load check-sanitize fuzz coverage

# The programs under the sanitizers, which need the dynamic linker; for tests only.
build/sanitize/tradecloud-%.o: cgi/%.c $(HEADERS) Makefile | build/sanitize
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(WARNINGS) $(SANITIZE) -c -o $@ $<

build/sanitize/options.o: tests/crash/options.c Makefile | build/sanitize
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(WARNINGS) -DREPORTS='"$(REPORTS)"' -c -o $@ $<

build/sanitize/common.a: $(COMMON:%=build/unit/%.o)
	@echo '  AR   $@'
	$(Q)rm -f $@ && ar rcs $@ $^

build/sanitize/tradecloud-%: build/sanitize/tradecloud-%.o build/sanitize/options.o build/sanitize/common.a
	@echo '  LINK $@'
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -Wl,--as-needed -lcurl -ljson-c -lcrypto

# The programs as they are shipped, but with shared libraries, as valgrind follows no malloc() in
# a static program; for tests only.
build/valgrind/tradecloud-%.o: cgi/%.c $(HEADERS) Makefile | build/valgrind
	@echo '  CC   $@'
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

build/valgrind/tradecloud-%: build/valgrind/tradecloud-%.o build/common.a
	@echo '  LINK $@'
	$(Q)$(CC) $(CFLAGS) -pie -o $@ $^ -Wl,--as-needed -lcurl -ljson-c -lcrypto

# Everything once more, counting what is executed; for tests only. The unit tests with ASan, as those
# of memory that runs out need its allocator.
build/coverage/%.o: common/%.c $(HEADERS) Makefile | build/coverage
	$(Q)$(CC) $(COUNTING) -c -o $@ $<

build/coverage/tradecloud-%.o: cgi/%.c $(HEADERS) Makefile | build/coverage
	$(Q)$(CC) $(COUNTING) -c -o $@ $<

build/coverage/test_%.o: tests/unit/test_%.c $(HEADERS) $(TEST_HEADERS) Makefile | build/coverage
	$(Q)$(CC) $(CSTD) -O0 -g -fsanitize=address -c -o $@ $<

build/coverage/counts.o: tests/crash/counts.c Makefile | build/coverage
	$(Q)$(CC) $(CSTD) -O0 -g -c -o $@ $<

build/coverage/common.a: $(COMMON:%=build/coverage/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^

build/coverage/test_%: build/coverage/test_%.o build/coverage/common.a
	$(Q)$(CC) $(COUNTING) -fsanitize=address -o $@ $^ -lcmocka -lcurl -ljson-c -lcrypto

build/coverage/tradecloud-%: build/coverage/tradecloud-%.o build/coverage/counts.o build/coverage/common.a
	$(Q)$(CC) $(COUNTING) -o $@ $^ $(ENDINGS) -Wl,--as-needed -lcurl -ljson-c -lcrypto

# Each harness brings its own main(), libFuzzer's, which only clang has.
build/fuzz/%.o: common/%.c $(HEADERS) Makefile | build/fuzz
	@echo '  CC   $@'
	$(Q)clang $(CSTD) $(FUZZING) -c -o $@ $<

build/fuzz/fuzz_%.o: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(TEST_HEADERS) common/http.c $(HEADERS) Makefile | build/fuzz
	@echo '  CC   $@'
	$(Q)clang $(CSTD) $(FUZZING) -Wall -Wextra -Werror -c -o $@ $<

build/fuzz/rapidjson.o: tests/fuzz/rapidjson.cc Makefile | build/fuzz
	@echo '  CXX  $@'
	$(Q)clang++ -O1 -g -DRAPIDJSON_HAS_STDSTRING=0 -c -o $@ $<

build/fuzz/common.a: $(COMMON:%=build/fuzz/%.o)
	@echo '  AR   $@'
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/fuzz_%.o build/fuzz/rapidjson.o build/fuzz/common.a
	@echo '  LINK $@'
	$(Q)clang++ -fsanitize=fuzzer,address,undefined -Wl,--as-needed -o $@ $^ \
	    -ljansson -ljson-c -lcurl -lcrypto

build/fuzz build/sanitize build/valgrind build/coverage:
	mkdir -p $@

proof-deps:
	@tests/deps build site check proof

# The short versions, as a part of `make check`.
check-proof: programs $(FUZZ:%=build/fuzz/%) build/sanitize/tradecloud-webhook $(VALGRINDED)
	$(PYTEST) tests/crash
	@$(MAKE) --no-print-directory fuzz TIME=6
	DURATION=6 $(PYTEST) -n 2 tests/load/test_storm.py

check-crash: proof-deps programs ## kill the programs before, and fail, each of their system calls (10 minutes)
	CRASH=full $(PYTEST) tests/crash
	CRASH=full $(PYTEST) -n 2 $(INJECTED)

check-load: proof-deps programs $(VALGRINDED) ## storm both web servers under load, four times DURATION seconds
	DURATION=$(DURATION) $(PYTEST) tests/load

fuzz: proof-deps $(FUZZ:%=build/fuzz/%) build/sanitize/tradecloud-webhook ## fuzz each harness for TIME seconds
	@printf '%s\n' $(FUZZ) program | \
	    xargs -P "$$(nproc)" -I'{}' tests/fuzz/fuzz '{}' $(TIME)

# What programs that are larger and slower than ours, and linked to libraries, cannot do: link none,
# run in 4 MB, 10 MB or 40 MB, let 200 requests take turns within seconds; and what builds them by itself.
SLOWED = --deselect tests/system/test_syscalls.py::test_links_no_libraries \
    --deselect tests/system/test_syscalls.py::test_memory_runs_out \
    --deselect tests/system/test_large.py::test_memory \
    --deselect tests/system/test_spool_list.py::test_memory_of_a_long_list \
    --deselect tests/system/test_fetch_many.py::test_two_hundred_at_once \
    --deselect tests/system/test_fetch_many.py::test_too_many_to_wait \
    --ignore tests/system/test_install.py

# What lets calls and allocations fail, which may also be those of the sanitizers, or of gcov.
INJECTED = tests/system/test_spool_calls.py tests/system/test_cgi_calls.py
SPARED   = $(INJECTED:%=--ignore %)

# The web servers pass no ASAN_OPTIONS on, so reports go where the programs were told when built.
check-sanitize: proof-deps $(SANITIZED) $(VALGRINDED) ## the system tests under ASan and UBSan; then valgrind
	rm -rf $(REPORTS) && mkdir -m 1777 $(REPORTS)
	BUILD=$(CURDIR)/build/sanitize $(PYTEST) -n 4 tests/system $(SLOWED) $(SPARED)
	@if ls $(REPORTS)/* 2>/dev/null; then cat $(REPORTS)/*; exit 1; fi
	BUILD=$(CURDIR)/build/valgrind $(PYTEST) tests/crash/memory.py

# Fails at a line that is executed by no test and not explained in coverage.py.
coverage: proof-deps $(COVERED) ## which lines and branches of common/ and cgi/ the tests execute
	find build/coverage -name '*.gcda' -delete
	@for program in $(PROGRAMS:%=build/coverage/%); do \
	    $$program --help >/dev/null 2>&1 </dev/null || true; done
	@# All of the users that tests run programs as add to the counts that are there now.
	chmod -R a+rwX build/coverage
	@# First those that make calls fail: when one of gcov's own does, counts so far are lost.
	CRASH=full BUILD=$(CURDIR)/build/coverage $(PYTEST) -n 4 $(INJECTED)
	@for test in $(UNIT:%=build/coverage/%); do $$test >/dev/null 2>&1 || exit 1; done
	BUILD=$(CURDIR)/build/coverage $(PYTEST) -n 4 tests/system $(SLOWED) $(SPARED)
	gcovr --root . --object-directory build/coverage --filter common/ --filter cgi/ \
	    --json build/coverage/report.json
	/usr/bin/python3 -B tests/coverage.py build/coverage/report.json
