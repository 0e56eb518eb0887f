# libdecai: one non-recursive Makefile. `make help` lists the targets.
#
# Every object lives under $(BUILD); the kind of build is MODE. Sources are
# found by folder: a new room needs no line here, only its row in lib/rooms.txt.

MODE   ?= release
CC     ?= cc
AR     ?= ar
NM     ?= nm
PYTHON ?= python3
PKG_CONFIG ?= pkg-config
BUILD  ?= build/$(MODE)
prefix ?= /usr/local
bindir  = $(prefix)/bin
libdir  = $(prefix)/lib
includedir = $(prefix)/include
datadir = $(prefix)/share
mandir  = $(datadir)/man

# clang owns the modes that need its runtime; CC can still be given by hand.
ifeq ($(MODE),msan)
ifeq ($(origin CC),default)
CC = clang
endif
endif

VERSION := $(shell sed -n 's/^\#define DECAI_VERSION_M[AI][JN]OR \([0-9]*\)$$/\1/p' include/decai/base.h | tr '\n' '.')$(shell sed -n 's/^\#define DECAI_VERSION_PATCH \([0-9]*\)$$/\1/p' include/decai/base.h)
SOMAJOR := 0
SONAME  := libdecai.so.$(SOMAJOR)

# ---- dependencies --------------------------------------------------------
DEPS_REQUIRED := libcrypto libsecp256k1 libcjson OpenCL sqlite3
DEPS_APT_libcrypto := libssl-dev
DEPS_APT_libsecp256k1 := libsecp256k1-dev
DEPS_APT_libcjson := libcjson-dev
DEPS_APT_OpenCL := ocl-icd-opencl-dev
DEPS_APT_sqlite3 := libsqlite3-dev
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
$(if $(shell command -v $(PKG_CONFIG)),,$(error pkg-config is missing: install the package pkg-config))
$(foreach d,$(DEPS_REQUIRED),$(if $(shell $(PKG_CONFIG) --exists $(d) && echo y),,$(error $(d) is missing: install the package $(DEPS_APT_$(d)) (Debian, Ubuntu))))
DEP_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(DEPS_REQUIRED))
DEP_LIBS   := $(shell $(PKG_CONFIG) --libs $(DEPS_REQUIRED))
endif

# `make V=1` shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)  $(2)")

# ---- flags ---------------------------------------------------------------
WARN  := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef
BASE_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -Iinclude -Ilib -I$(BUILD)/gen -fvisibility=hidden -fPIC -pthread \
	-ffile-prefix-map=$(CURDIR)=. -fno-common
# After the user's CFLAGS: the numeric contract is not negotiable.
CONTRACT_CFLAGS := -ffp-contract=off -fno-fast-math -fexcess-precision=standard
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null | head -n1)),)
CONTRACT_CFLAGS := -ffp-contract=off -fno-fast-math
else
# gcc's own words: under instrumentation these two warn about impossible values.
ifneq ($(filter asan ubsan tsan,$(MODE)),)
WARN += -Wno-format-truncation -Wno-maybe-uninitialized
endif
endif
CFLAGS_release := -O3 -g -DNDEBUG -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS_debug   := -O0 -g3 -DDECAI_DEBUG
CFLAGS_asan    := -O1 -g -DDECAI_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_ubsan   := -O1 -g -DDECAI_DEBUG -fsanitize=undefined -fno-sanitize-recover=all
CFLAGS_tsan    := -O1 -g -DDECAI_DEBUG -fsanitize=thread
CFLAGS_msan    := -O1 -g -DDECAI_DEBUG -fsanitize=memory -fsanitize-memory-track-origins -fno-omit-frame-pointer
CFLAGS_cov     := -O0 -g --coverage -DDECAI_DEBUG
CFLAGS_stress  := -O2 -g -DDECAI_DEBUG -DDECAI_STRESS
SAN_asan := -fsanitize=address,undefined
SAN_ubsan := -fsanitize=undefined
SAN_tsan := -fsanitize=thread
SAN_msan := -fsanitize=memory
SAN_cov := --coverage
# libFuzzer follows coverage: without it a target ends at once.
FUZZ_CFLAGS := $(if $(filter 1,$(FUZZ)),-fsanitize=fuzzer-no-link)
ALL_CFLAGS  = $(BASE_CFLAGS) $(WARN) $(DEP_CFLAGS) $(CFLAGS_$(MODE)) $(FUZZ_CFLAGS) $(CFLAGS) $(CONTRACT_CFLAGS)
ALL_LDFLAGS = -pthread $(SAN_$(MODE)) $(LDFLAGS)
LIBS = $(DEP_LIBS) -lm -ldl

# ---- sources -------------------------------------------------------------
ROOM_DIRS := $(sort $(patsubst %/,%,$(dir $(wildcard lib/*/*.c))))
LIB_SRC   := $(sort $(wildcard lib/*/*.c))
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o)
KERNELS   := $(sort $(wildcard kernels/*.cl))
OPTS_DEF  := $(sort $(wildcard lib/*/opts.def))
HEADERS   := $(sort $(wildcard include/decai.h include/decai/*.h))
GEN := $(BUILD)/gen/options.inc $(BUILD)/gen/errors.inc $(BUILD)/gen/constants.inc $(BUILD)/gen/api_json.inc \
	$(BUILD)/gen/kernels.inc $(BUILD)/gen/sweeps.inc
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
API_SRC  := $(sort $(wildcard tests/api/*_test.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
API_BIN  := $(API_SRC:%.c=$(BUILD)/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
TOOL_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/tools/support*.c)))
SWEEP_SRC := $(filter-out %/sweep_test.c,$(sort $(wildcard tests/api/sweep_*.c)))
# decai serve needs libmicrohttpd; without it the tool is built and serve says so.
MICROHTTPD := $(shell $(PKG_CONFIG) --exists 'libmicrohttpd >= 0.9.71' 2>/dev/null && echo yes)
CLI_LEFT := $(if $(filter yes,$(MICROHTTPD)),%/serve_missing.c,$(filter-out %/serve_missing.c,$(wildcard examples/decai/serve*.c)))
CLI_LIBS := $(if $(filter yes,$(MICROHTTPD)),$(shell $(PKG_CONFIG) --libs libmicrohttpd 2>/dev/null))
CLI_SRC  := $(filter-out $(CLI_LEFT),$(sort $(wildcard examples/decai/*.c)))
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
EX_SRC   := $(sort $(wildcard examples/*.c))
EX_BIN   := $(EX_SRC:%.c=$(BUILD)/%)
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:%.c=$(BUILD)/%)

SO  := $(BUILD)/libdecai.so.$(VERSION)
LIB := $(BUILD)/libdecai.a
CLI := $(if $(CLI_SRC),$(BUILD)/decai)

.PHONY: all lib check check-deep check-abi check-unit bench bench-infer bindings examples install uninstall dist clean help fuzz print-%
.DEFAULT_GOAL := all

all: lib examples ## build the library, the command-line tool and the examples
lib: $(SO) $(LIB) $(BUILD)/libdecai.so $(BUILD)/libdecai.pc

# ---- generated tables ----------------------------------------------------
# Rewritten only when they change, so that a touched header does not rebuild all.
define put
@mkdir -p $(@D); if cmp -s $@.tmp $@; then rm $@.tmp; else mv $@.tmp $@; fi
endef

$(BUILD)/gen/options.inc: $(OPTS_DEF)
	@mkdir -p $(@D); cat $(OPTS_DEF) >$@.tmp
	$(put)
$(BUILD)/gen/errors.inc: $(HEADERS)
	@mkdir -p $(@D); sed -n 's/^#define \(DECAI_E_[A-Z0-9_]*\) *(\(-[0-9]*\)).*/ERROR_NAME(\2, "\1")/p' $(HEADERS) >$@.tmp
	$(put)
$(BUILD)/gen/constants.inc: $(HEADERS)
	@mkdir -p $(@D); sed -n 's/^#define \(DECAI_[A-Z0-9_]*\)  *(\{0,1\}\(-\{0,1\}[0-9][0-9xXa-fA-F]*\)u\{0,1\})\{0,1\}\( .*\)\{0,1\}$$/CONSTANT("\1", \2)/p' $(HEADERS) >$@.tmp
	$(put)
$(BUILD)/gen/api_json.inc: bindings/api.json
	@mkdir -p $(@D); od -An -v -tx1 $< | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' >$@.tmp
	$(put)
$(BUILD)/gen/kernels.inc: $(KERNELS)
	@mkdir -p $(@D); : >$@.tmp; for k in $(KERNELS); do n=$$(basename $$k .cl); \
	  printf 'KERNEL_BEGIN(%s)\n' $$n >>$@.tmp; od -An -v -tx1 $$k | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' >>$@.tmp; \
	  printf 'KERNEL_END(%s)\n' $$n >>$@.tmp; done
	$(put)
$(BUILD)/gen/sweeps.inc: $(SWEEP_SRC) Makefile
	@mkdir -p $(@D); printf 'SWEEP(%s)\n' $(patsubst tests/api/sweep_%.c,%,$(SWEEP_SRC)) >$@.tmp
	$(put)

# ---- library -------------------------------------------------------------
$(BUILD)/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/decai.map: lib/rooms.txt
	@mkdir -p $(@D); printf 'DECAI_%s {\n  global: decai_[a-z]*;\n  local: *;\n};\n' $(SOMAJOR) >$@

# `decai_[a-z]*` cannot match decai__internal names: hidden visibility says the same.
$(SO): $(LIB_OBJ) $(BUILD)/decai.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -o $@ $(LIB_OBJ) $(ALL_LDFLAGS) -Wl,-soname,$(SONAME) \
	  $(if $(filter asan ubsan tsan msan,$(MODE)),,-Wl$(comma)-z$(comma)defs) \
	  -Wl,-z,relro,-z,now,--as-needed -Wl,--version-script,$(BUILD)/decai.map -Wl,--build-id=sha1 $(LIBS)
	@ln -sf libdecai.so.$(VERSION) $(BUILD)/$(SONAME)
comma := ,
$(BUILD)/libdecai.so: $(SO)
	@ln -sf $(SONAME) $@
$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	@rm -f $@; $(AR) rcsD $@ $(LIB_OBJ)
$(BUILD)/libdecai.pc: pkgconfig/libdecai.pc.in $(HEADERS)
	@mkdir -p $(@D); sed -e 's|@prefix@|$(prefix)|; s|@version@|$(VERSION)|; s|@requires@|$(DEPS_REQUIRED)|' $< >$@

# ---- command-line tool and examples: the public interface only -------------
PUBLIC_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Iinclude $(WARN) $(CFLAGS_$(MODE)) $(CFLAGS)
$(BUILD)/examples/%.o: examples/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(PUBLIC_CFLAGS) -I$(BUILD)/gen -MMD -MP -c -o $@ $<
$(BUILD)/gen/serve_page.inc: examples/decai/serve_page.html
	@mkdir -p $(@D); od -An -v -tx1 $< | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' >$@.tmp
	$(put)
$(BUILD)/examples/decai/serve_routes.o: $(BUILD)/gen/serve_page.inc
$(BUILD)/decai: $(CLI_OBJ) $(SO)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $(CLI_OBJ) $(ALL_LDFLAGS) -L$(BUILD) -Wl,-rpath,'$$ORIGIN' -Wl,-rpath,'$$ORIGIN/../lib' -l:libdecai.so.$(VERSION) -lm $(CLI_LIBS)
$(EX_BIN): $(BUILD)/%: $(BUILD)/%.o $(SO)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(ALL_LDFLAGS) -L$(BUILD) -Wl,-rpath,'$$ORIGIN/..' -l:libdecai.so.$(VERSION) -lm
examples: $(CLI) $(EX_BIN) ## build the command-line tool and the small examples

# ---- tests ---------------------------------------------------------------
# Unit tests see the internals (static library); API tests see only the .so.
TEST_CFLAGS = -Itests/tools -DDECAI_TEST_BUILD
$(BUILD)/tests/%.o: tests/%.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -Wno-missing-prototypes -MMD -MP -c -o $@ $<
$(UNIT_BIN): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TOOL_OBJ) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(TOOL_OBJ) $(LIB) $(ALL_LDFLAGS) $(LIBS) -lcmocka
$(filter-out %/sweep_test,$(API_BIN)): $(BUILD)/tests/api/%: $(BUILD)/tests/api/%.o $(TOOL_OBJ) $(SO)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(TOOL_OBJ) $(ALL_LDFLAGS) -L$(BUILD) -Wl,-rpath,'$$ORIGIN/../..' -l:libdecai.so.$(VERSION) -lcmocka -lm -ldl
$(BUILD)/tests/api/sweep_test: $(BUILD)/tests/api/sweep_test.o $(SWEEP_SRC:%.c=$(BUILD)/%.o) $(TOOL_OBJ) $(SO)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $(filter %.o,$^) $(ALL_LDFLAGS) -L$(BUILD) -Wl,-rpath,'$$ORIGIN/../..' -l:libdecai.so.$(VERSION) -lcmocka -lm -ldl
# Fuzz targets: corpus replay here; FUZZ=1 with clang gives libFuzzer binaries.
ifeq ($(FUZZ),1)
$(FUZZ_BIN): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(LIB) -fsanitize=fuzzer $(ALL_LDFLAGS) $(LIBS)
else
$(FUZZ_BIN): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(BUILD)/tests/fuzz/replay.o $(LIB) $(ALL_LDFLAGS) $(LIBS)
endif
fuzz: $(FUZZ_BIN) ## build the fuzz targets (FUZZ=1 CC=clang MODE=asan: libFuzzer)
$(BENCH_BIN): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(LIB) $(ALL_LDFLAGS) $(LIBS)
bench: $(BENCH_BIN) lib examples ## build the benchmarks; tests/bench/README.md says how to run each
bench-infer: bench ## the engine beside llama.cpp and ONNX Runtime (BENCH_INFER="--quick": small; --help)
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench_infer.py $(BENCH_INFER)

test-programs: lib examples $(UNIT_BIN) $(API_BIN) $(FUZZ_BIN)
check: test-programs ## every gate: unit, API, Python, symbols, ABI, rooms, headers, lint, fuzz corpus, sweep
	@BUILD=$(BUILD) MODE=$(MODE) CC="$(CC)" PYTHON="$(PYTHON)" NM="$(NM)" sh tests/tools/check.sh
check-unit: test-programs ## unit and API tests and the fuzz corpora only (what the sanitizer builds run)
	@BUILD=$(BUILD) MODE=$(MODE) CC="$(CC)" PYTHON="$(PYTHON)" NM="$(NM)" sh tests/tools/check.sh unit
check-deep: test-programs ## the long sweeps: mutations, kills, power cuts, determinism
	@BUILD=$(BUILD) MODE=$(MODE) CC="$(CC)" PYTHON="$(PYTHON)" NM="$(NM)" DECAI_DEEP=1 sh tests/tools/check.sh deep
check-abi: lib ## compare the ABI with bindings/abi and run the planted controls
	@BUILD=$(BUILD) CC="$(CC)" sh tests/tools/abi.sh
bindings: ## regenerate bindings/ from the headers
	@CC="$(CC)" $(PYTHON) tests/tools/api.py --write
	@$(MAKE) --no-print-directory lib
	@BUILD=$(BUILD) CC="$(CC)" NM="$(NM)" sh tests/tools/bindings.sh

# ---- install -------------------------------------------------------------
INSTALL ?= install
install: all ## install under $(DESTDIR)$(prefix)
	$(INSTALL) -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/decai $(DESTDIR)$(bindir) $(DESTDIR)$(datadir)/decai $(DESTDIR)$(mandir)/man1
	$(INSTALL) -m 644 include/decai.h $(DESTDIR)$(includedir)/
	$(INSTALL) -m 644 $(wildcard include/decai/*.h) $(DESTDIR)$(includedir)/decai/
	$(INSTALL) -m 755 $(SO) $(DESTDIR)$(libdir)/
	ln -sf libdecai.so.$(VERSION) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libdecai.so
	$(INSTALL) -m 644 $(LIB) $(DESTDIR)$(libdir)/
	sed -e 's|@prefix@|$(prefix)|; s|@version@|$(VERSION)|; s|@requires@|$(DEPS_REQUIRED)|' pkgconfig/libdecai.pc.in \
	  >$(DESTDIR)$(libdir)/pkgconfig/libdecai.pc
	chmod 644 $(DESTDIR)$(libdir)/pkgconfig/libdecai.pc
	$(if $(CLI),$(INSTALL) -m 755 $(CLI) $(DESTDIR)$(bindir)/)
	$(if $(wildcard examples/model/decai-actions.q8_0.gguf),$(INSTALL) -m 644 examples/model/decai-actions.q8_0.gguf $(DESTDIR)$(datadir)/decai/model.gguf)
	$(if $(wildcard examples/decai/decai.1),$(INSTALL) -m 644 examples/decai/decai.1 $(DESTDIR)$(mandir)/man1/)
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(includedir)/decai.h $(DESTDIR)$(libdir)/libdecai.so* $(DESTDIR)$(libdir)/libdecai.a \
	  $(DESTDIR)$(libdir)/pkgconfig/libdecai.pc $(DESTDIR)$(bindir)/decai $(DESTDIR)$(mandir)/man1/decai.1
	rm -rf $(DESTDIR)$(includedir)/decai $(DESTDIR)$(datadir)/decai
dist: ## a source archive of HEAD
	@mkdir -p build; git archive --format=tar --prefix=libdecai-$(VERSION)/ HEAD | gzip -n >build/libdecai-$(VERSION).tar.gz
	@echo build/libdecai-$(VERSION).tar.gz
clean: ## remove build/
	rm -rf build
help: ## this list
	@echo "make [MODE=release|debug|asan|ubsan|tsan|msan|cov|stress] [BUILD=dir] [prefix=/usr/local] [DESTDIR=dir] TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1: \2/p' Makefile
print-%:
	@echo $($*)

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(patsubst %,%.d,$(UNIT_BIN) $(API_BIN) $(EX_BIN) $(FUZZ_BIN) $(BENCH_BIN)) $(SWEEP_SRC:%.c=$(BUILD)/%.d) $(TOOL_OBJ:.o=.d)
