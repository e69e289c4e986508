# cctgate: `make help` lists the targets.
#
# VARIANT picks the build: release (default), asan (ASan + UBSan), tsan. Each has a folder of its own below build/.
VARIANT ?= release
CC      ?= gcc
V       ?= 0
OUT     := build/$(VARIANT)
Q       := $(if $(filter 1,$(V)),,@)

PACKAGES := libh2o-evloop lmdb jansson libxml-2.0 libcurl
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DH2O_USE_LIBUV=0 $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion -Werror
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fPIE
CFLAGS_tsan    := -O1 -g -fsanitize=thread -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan    := -pie -fsanitize=address,undefined
LDFLAGS_tsan    := -pie -fsanitize=thread
CFLAGS  += -std=gnu11 -MMD -MP -pthread $(WARNINGS) $(CFLAGS_$(VARIANT))
LDFLAGS += $(LDFLAGS_$(VARIANT))
LDLIBS  += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lwslay -lssl -lcrypto -lm -lpthread

LIB_SOURCES  := $(sort $(filter-out gateway/main.c,$(wildcard gateway/*.c gateway/*/*.c cache/*.c)))
MAIN_SOURCES := $(wildcard gateway/main.c)
SIM_SOURCES  := $(sort $(wildcard tests/simulator/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(sort $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c)))
BENCH_SOURCES := $(sort $(wildcard tests/bench/*.c))

objects = $(patsubst %.c,$(OUT)/%.o,$(1))
LIBRARY := $(OUT)/libcctgate.a
UNITS   := $(patsubst %.c,$(OUT)/%,$(UNIT_SOURCES))
BENCHES := $(patsubst %.c,$(OUT)/%,$(BENCH_SOURCES))

.PHONY: all build
all: build
build: $(OUT)/cctgate $(OUT)/cctsim

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(LIBRARY): $(call objects,$(LIB_SOURCES))
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(OUT)/cctgate: $(call objects,$(MAIN_SOURCES)) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OUT)/cctsim: $(call objects,$(SIM_SOURCES))
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(UNITS): $(OUT)/%: $(OUT)/%.o $(call objects,$(UNIT_HELPERS)) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

$(BENCHES): $(OUT)/%: $(OUT)/%.o $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

.PRECIOUS: $(OUT)/%.o
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
