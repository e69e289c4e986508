# cctgate: `make help` lists the targets.
#
# VARIANT picks the build: release (default), asan (ASan + UBSan), tsan, fuzz. Each has a folder of its own below BUILD.
# V=1 shows the commands. CC=clang works as well as gcc. It builds in parallel unless -j says otherwise.
VARIANT ?= release
BUILD   ?= build
V       ?= 0
OUT     := $(BUILD)/$(VARIANT)
Q       := $(if $(filter 1,$(V)),,@)
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(VARIANT)),clang,gcc)
endif

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

# pkg-config is asked while the file is read. On a machine that lacks the libraries that gives nothing, which is why `run` and
# `test` install first and then call make again.
PACKAGES := libh2o-evloop lmdb jansson libxml-2.0 libcurl librhonabwy libsystemd
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DH2O_USE_LIBUV=0 $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion -Werror
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fPIE
CFLAGS_tsan    := -O1 -g -fsanitize=thread -fPIE
CFLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan    := -pie -fsanitize=address,undefined
LDFLAGS_tsan    := -pie -fsanitize=thread
LDFLAGS_fuzz    := -pie -fsanitize=fuzzer,address,undefined
CFLAGS  += -std=gnu11 -MMD -MP -pthread $(WARNINGS) -include cctgate/banned.h $(CFLAGS_$(VARIANT))
LDFLAGS += $(LDFLAGS_$(VARIANT))
LDLIBS  += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lwslay -lssl -lcrypto -lm -lpthread

LIB_SOURCES  := $(sort $(filter-out gateway/main.c,$(wildcard gateway/*.c gateway/*/*.c cache/*.c)))
MAIN_SOURCES := $(wildcard gateway/main.c)
SIM_SOURCES  := $(sort $(wildcard tests/simulator/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(sort $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c)))
BENCH_SOURCES := $(sort $(wildcard tests/bench/bench_*.c tests/bench/ws_clients.c))
BENCH_HELPERS := $(sort $(filter-out $(BENCH_SOURCES),$(wildcard tests/bench/*.c)))
SHIM_SOURCES := $(sort $(wildcard tests/integration/*_shim.c))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAY  := tests/fuzz/replay.c
FUZZ_HELPERS := $(sort $(filter-out $(FUZZ_SOURCES) $(FUZZ_REPLAY),$(wildcard tests/fuzz/*.c)))
PROGRAM_TESTS := $(sort $(wildcard tests/simulator/test_*.py tests/integration/test_*.py tests/browser/test_*.py))

ALL_SOURCES := $(LIB_SOURCES) $(MAIN_SOURCES) $(SIM_SOURCES) $(UNIT_SOURCES) $(UNIT_HELPERS) $(BENCH_SOURCES) $(BENCH_HELPERS) $(FUZZ_SOURCES) \
    $(FUZZ_HELPERS) $(FUZZ_REPLAY) $(SHIM_SOURCES)
ALL_HEADERS := $(sort $(wildcard include/cctgate/*.h gateway/*.h gateway/*/*.h cache/*.h tests/*/*.h))
SCRIPTS     := $(sort $(wildcard deploy/*.sh tests/*.sh tests/*/*.sh .ci/run))

comma := ,
objects = $(patsubst %.c,$(OUT)/%.o,$(1))
LIBRARY := $(OUT)/libcctgate.a
UNITS   := $(patsubst %.c,$(OUT)/%,$(UNIT_SOURCES))
BENCHES := $(patsubst %.c,$(OUT)/%,$(BENCH_SOURCES))
FUZZERS := $(patsubst %.c,$(OUT)/%,$(FUZZ_SOURCES))
SHIMS   := $(patsubst %.c,$(OUT)/%.so,$(SHIM_SOURCES))

# Threaded code that `make test` also runs under ThreadSanitizer; `make tsan` runs everything. TSAN_PROGRAM are parts of the tests of
# the whole gateway, as tests/run.sh takes it.
TSAN_UNITS   ?= mailbox loop log store_threads durable upstream_transport_queue upstream_transport_tls events_hub control_disk
TSAN_PROGRAM ?= tests/integration/test_cache.py:Cache tests/integration/test_live.py:ManySessions tests/integration/test_outbound.py:Contacts
TSAN_QUICK := $(addprefix tests/unit/test_,$(TSAN_UNITS))

FUZZ_SECONDS ?= 30

.PHONY: all build run test tests-of-variant bench bench-events bench-hostile benches lint format-check format asan tsan crash storm soak fuzz fuzzers clean help FORCE
all: build

build: $(OUT)/cctgate $(OUT)/cctsim ## compile the gateway and the simulator of VARIANT (the default target)

run: ## install what is missing, build, start the simulator with the gateway in front of it, say what to try
	@deploy/install-deps.sh run
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build
	@OUT=$(BUILD)/release deploy/run.sh

test: ## install what is missing, build, run all tests under ASan and UBSan and the threaded ones under TSan
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=asan OUT=$(BUILD)/asan tests-of-variant fuzzers
	@$(MAKE) VARIANT=tsan OUT=$(BUILD)/tsan build $(addprefix $(BUILD)/tsan/,$(TSAN_QUICK))
	@BUILD=$(BUILD) tests/run.sh $(addprefix asan:,$(UNIT_SOURCES:.c=) $(FUZZ_SOURCES:.c=) $(PROGRAM_TESTS)) \
	    $(addprefix tsan:,$(TSAN_QUICK) $(TSAN_PROGRAM))

asan: ## run all tests under ASan and UBSan
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=asan OUT=$(BUILD)/asan tests-of-variant fuzzers
	@BUILD=$(BUILD) tests/run.sh $(addprefix asan:,$(UNIT_SOURCES:.c=) $(FUZZ_SOURCES:.c=) $(PROGRAM_TESTS))

tsan: ## run all tests under ThreadSanitizer
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=tsan OUT=$(BUILD)/tsan tests-of-variant
	@BUILD=$(BUILD) tests/run.sh $(addprefix tsan:,$(UNIT_SOURCES:.c=) $(PROGRAM_TESTS))

tests-of-variant: build $(UNITS) $(SHIMS)

bench: ## measure the store and the codec alone, the gateway against nginx and Varnish, and its events
	@deploy/install-deps.sh bench
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build benches
	@OUT=$(BUILD)/release tests/bench/run.sh

bench-events: ## the part of bench that measures events, with 1,000 WebSocket clients
	@deploy/install-deps.sh bench
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build benches
	@OUT=$(BUILD)/release tests/bench/run.sh --events

bench-hostile: ## what slow, silent and malicious clients cost the others
	@deploy/install-deps.sh bench
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build
	@OUT=$(BUILD)/release tests/bench/run.sh --hostile

storm: ## lose 1,000 sessions at once, with 3,000 dashboards and commands (STORM: options of tests/integration/storm.py)
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build
	@CCTGATE=$(BUILD)/release/cctgate CCTSIM=$(BUILD)/release/cctsim python3 tests/integration/storm.py $(STORM)

benches: $(BENCHES)

lint: ## clang-tidy, cppcheck and shellcheck
	@deploy/install-deps.sh lint
	@$(MAKE) lint-c lint-sh

# The flags that gcc alone knows are not for clang-tidy.
TIDY_FLAGS = $(CPPFLAGS) -std=gnu11 -include cctgate/banned.h
# cppcheck is spared what it cannot read (__VA_OPT__ in log_write, macros that are loops) and variables that another function
# fills in, which the compilers know better.
CPPCHECK_FLAGS = --quiet -j $(shell nproc) --std=c11 --error-exitcode=1 --enable=warning,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=uninitvar --include=tests/cppcheck.h \
    -Iinclude -I. -D_GNU_SOURCE -Ulog_write
.PHONY: lint-c lint-sh
lint-c:
	@echo "  LINT  clang-tidy"
	$(Q)printf '%s\n' $(ALL_SOURCES) | xargs -P $(shell nproc) -n 4 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- $(TIDY_FLAGS) 2>/dev/null' tidy
	@echo "  LINT  cppcheck"
	$(Q)cppcheck $(CPPCHECK_FLAGS) $(ALL_SOURCES)
lint-sh:
	@echo "  LINT  shellcheck"
	$(Q)shellcheck $(SCRIPTS)

format-check: ## fail if a C file is not laid out as .clang-format says
	@deploy/install-deps.sh lint
	$(Q)clang-format --dry-run -Werror $(ALL_SOURCES) $(ALL_HEADERS)

format: ## lay out all C files as .clang-format says
	@deploy/install-deps.sh lint
	$(Q)clang-format -i $(ALL_SOURCES) $(ALL_HEADERS)

crash: ## kill -9 of the gateway under load, CRASH_ROUNDS (500) times, with a comparison after each
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build
	@CCTGATE=$(BUILD)/release/cctgate CCTSIM=$(BUILD)/release/cctsim python3 -u tests/crash/crash.py

soak: ## SOAK_SECONDS (600) of 25 contacts a second; memory, descriptors and store stay as they were after the first minute
	@deploy/install-deps.sh test
	@$(MAKE) VARIANT=release OUT=$(BUILD)/release build
	@CCTGATE=$(BUILD)/release/cctgate CCTSIM=$(BUILD)/release/cctsim python3 -u tests/soak/soak.py

fuzz: ## run every fuzz target for FUZZ_SECONDS (30), with libFuzzer and its corpus in tests/fuzz/corpus
ifeq ($(FUZZ_SOURCES),)
	@echo "no fuzz targets: tests/fuzz/fuzz_*.c matches nothing"
else
	@deploy/install-deps.sh fuzz
	@$(MAKE) VARIANT=fuzz OUT=$(BUILD)/fuzz CC=clang fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) OUT=$(BUILD)/fuzz tests/fuzz.sh $(notdir $(FUZZ_SOURCES:.c=))
endif

fuzzers: $(FUZZERS)

clean: ## remove everything that was built
	$(Q)rm -rf $(BUILD)

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name what; do \
	    printf '  %-13s %s\n' "$$name" "$$what"; done

ifneq ($(filter clean,$(MAKECMDGOALS)),)
$(OUT)/flags $(OUT)/sources: | clean
endif

# What was compiled with other flags, another compiler or another set of files is compiled again.
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)' > $@
$(OUT)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(LIB_SOURCES) $(SIM_SOURCES)' | cmp -s - $@ || echo '$(LIB_SOURCES) $(SIM_SOURCES)' > $@

$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(LIBRARY): $(call objects,$(LIB_SOURCES)) $(OUT)/sources
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(OUT)/cctgate: $(call objects,$(MAIN_SOURCES)) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OUT)/cctsim: $(call objects,$(SIM_SOURCES)) $(OUT)/sources
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@

$(UNITS): $(OUT)/%: $(OUT)/%.o $(call objects,$(UNIT_HELPERS)) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(WRAPPED) $^ -lcmocka $(LDLIBS) -o $@

# What allocates is taken over by tests/unit/test_allocation_fixture.h.
$(OUT)/tests/unit/test_allocation_%: WRAPPED := $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc reallocarray strdup strndup free \
    asprintf getcwd realpath)
$(OUT)/tests/unit/test_allocation_cores: WRAPPED += $(addprefix -Wl$(comma)--wrap=,r_jws_init r_jwk_init r_jwk_import_from_json_str \
    r_jwk_key_type r_jws_advanced_compact_parsen r_jws_verify_signature)
$(OUT)/tests/unit/test_allocation_store: WRAPPED += $(addprefix -Wl$(comma)--wrap=mdb_,env_create env_open txn_begin txn_commit dbi_open \
    cursor_open cursor_del put del)
$(OUT)/tests/unit/test_store_overtaken: WRAPPED := -Wl,--wrap=mdb_txn_renew
$(OUT)/tests/unit/test_allocation_contract: WRAPPED += $(addprefix -Wl$(comma)--wrap=,arena_alloc arena_array arena_strdup arena_strndup \
    arena_join list_push map_put)

# Loaded before everything else, sanitizers included, so without any.
$(SHIMS): $(OUT)/%.so: %.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARNINGS) -O2 -fPIC -shared $< -o $@

$(BENCHES): $(OUT)/%: $(OUT)/%.o $(call objects,$(BENCH_HELPERS)) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# With libFuzzer in VARIANT=fuzz; elsewhere without a fuzzer, to run the corpus and some mutations of it. What the targets share is
# a library, so that its stand-ins are in those alone that name them.
FUZZ_LIBRARY := $(OUT)/tests/fuzz/libfuzz.a
$(FUZZ_LIBRARY): $(call objects,$(FUZZ_HELPERS))
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(FUZZERS): $(OUT)/%: $(OUT)/%.o $(if $(filter fuzz,$(VARIANT)),,$(call objects,$(FUZZ_REPLAY))) $(FUZZ_LIBRARY) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

.PRECIOUS: $(OUT)/%.o
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
