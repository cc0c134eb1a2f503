# One Makefile for the whole tree.  make help
#
# VARIANT picks flags and build folder: debug release asan tsan cov fuzz arm64
# SPDX-License-Identifier: Apache-2.0
VARIANT ?= release
OUT     ?= build
B       := $(OUT)/$(VARIANT)
GEN     := $(OUT)/gen

ROOMS    := base data model model/loss model/ops model/kernels model/int8 \
            model/onnx model/reduce model/zoo compress compress/commands \
            compress/model compress/update secure secure/commands secure/mask \
            secure/session proto net client client/board client/doctor client/feed \
            client/state client/trainer aggregator aggregator/http \
            aggregator/joining sim
PROGRAMS := client aggregator sim compress secure
SRC      := $(wildcard $(ROOMS:=/*.c))
HDR      := $(wildcard $(ROOMS:=/*.h))
MAIN     := $(wildcard $(PROGRAMS:=/main.c))
TEST     := $(wildcard tests/*/*_test.c)
FUZZ     := $(wildcard tests/fuzz/*_fuzz.c)
# Where there is one thread, the sanitizer of threads has nothing to look at.
ifeq ($(VARIANT),tsan)
TEST     := $(shell grep -lE -e 'thread|fl_(pool|team|net_tcp|signals|control)_' \
              -e 'fl_(evaluation|http|server|service|simulation)_' $(TEST))
endif
BENCH    := $(wildcard tests/bench/*_bench.c)
PEER     := $(wildcard tests/bench/*_xnnpack.c)
TESTLIB  := $(wildcard tests/support/*.c)
PROTOS   := $(wildcard proto/*.proto model/onnx/*.proto)

# Debian's arm64 libraries: unpacked here, not installed (tools/sysroot).
ifeq ($(VARIANT),arm64)
CC      := aarch64-linux-gnu-gcc --sysroot=$(OUT)/sysroot/arm64
AR      := aarch64-linux-gnu-ar
endif
DIGEST  := tests/arm64/digest.c
# Of the tests those of code that depends on the CPU: what `make arm64` runs.
FEW     := arm64/digest base/cpu_test $(addsuffix _test,$(addprefix model/, \
           qkernels int8 conv channels act pool elementwise) \
           $(addprefix compress/,hadamard rotation support digits sketch) \
           secure/mask secure/addend)

LIB     := $B/libfedge.a
SUPPORT := $B/libsupport.a
BIN     := $(subst fedge-secure,fedge-keys,$(MAIN:%/main.c=$B/fedge-%))
TESTS   := $(TEST:%.c=$B/%)
FUZZS   := $(FUZZ:%.c=$B/%)
BENCHES := $(BENCH:%.c=$B/%)
REWRITE := $B/tests/e2e/onnxruntime/rewrite
SHIM    := tests/e2e/failing_disk.c
DRIVEN  := $(addprefix tests/,secure/constant_time.c secure/session_peer.c \
             soak/herd.c)
PEERS   := $(PEER:%.c=$B/%)
ABSENT  := packaging/static/absent.c
STATIC  := $(BIN:$B/%=$B/static/%)
PBC     := $(PROTOS:%.proto=$(GEN)/%.pb-c.c)
obj      = $(patsubst %.c,$B/%.o,$(1))
pbobj   := $(PROTOS:%.proto=$B/%.pb-c.o)
# Called by the sanitizers alone, so no linker would look for it in an archive.
SANITIZER := $(call obj,tests/support/sanitizer.c)

VERSION  := 0.1.0
CPPFLAGS += -I. -I$(GEN) -D_POSIX_C_SOURCE=200809L -MMD -MP \
            -DFL_VERSION='"$(VERSION)"'
CFLAGS   += -std=c11 -g1 -fno-common -ffp-contract=off $(WARN) \
            $(CFLAGS_$(VARIANT))
LDFLAGS  += $(LDFLAGS_$(VARIANT))
LDLIBS   += -Wl,--as-needed -lnng -lsodium -lprotobuf-c -lsqlite3 -ljansson \
            -linih -lqrencode -lpng -ljpeg -lcsv -lz -lzstd -llapacke \
            -lopenblas -l:libmicrohttpd.a $(LIB) -lm -pthread
# Shared libraries bring these along by themselves. The linker would warn of
# getaddrinfo, which looks in files and in the DNS all the same.
LDLIBS_static = -Wl,--no-warnings $(filter-out -lqrencode,$(LDLIBS)) \
                -lmbedtls -lmbedx509 -lmbedcrypto -latomic
# What an initializer leaves out is zero, and meant to be.
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion \
        -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wold-style-definition -Wvla -Wundef -Wwrite-strings -Wcast-qual \
        -Wcast-align -Wpointer-arith -Wswitch-enum -Wdouble-promotion \
        -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers
ifeq ($(findstring clang,$(CC)),)
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wnull-dereference
else
# double x = INFINITY; assert(!"a sentence"); gcc checks the rest.
WARN += -Wno-double-promotion -Wno-string-conversion
endif

# Lines are enough for who reads a backtrace: tables for a debugger take as long
# to make as the code.
CFLAGS_debug    := -O1 -g2
CFLAGS_release  := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
# Instrumented code makes gcc doubt pointers that it is sure of elsewhere.
CFLAGS_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
                   -fno-omit-frame-pointer -Wno-null-dereference
LDFLAGS_asan    := -fsanitize=address,undefined
CFLAGS_arm64    := $(CFLAGS_release)
LDFLAGS_arm64   := $(LDFLAGS_release)
CFLAGS_tsan     := -O1 -fsanitize=thread -Wno-null-dereference
LDFLAGS_tsan    := -fsanitize=thread
CFLAGS_cov      := -O0 --coverage
LDFLAGS_cov     := --coverage
CFLAGS_fuzz     := -O1 -fsanitize=fuzzer-no-link,address,undefined \
                   -fno-sanitize-recover=all
LDFLAGS_fuzz    := -fsanitize=fuzzer,address,undefined

# One short line a command; `make V=1` shows the commands.
run = $(if $(V),,@echo "  $(1) $@";) $(2)

.PHONY: all programs set-up demo test unit e2e interop bench fuzz fuzz-run lint
.PHONY: arm64 arm64-suite arm64-programs bench-train bench-infer bench-secure
.PHONY: bench-footprint bench-compression bench-compress-model bench-run
.PHONY: dashboard-test dashboard-uplot boot-test operating-test trainer-test soak
.PHONY: install deb static static-programs package-test
.PHONY: layers format help clean generated tool-tests constant-time
.DELETE_ON_ERROR:
.SECONDARY:

all: set-up               ## programs and library, after installing what is missing
	@$(MAKE) --no-print-directory programs
programs: $(BIN) $(LIB)   ## programs and library; installs nothing
set-up:                   ## install the Debian packages that building needs
	@tools/install-packages build $(filter arm64,$(VARIANT))
	@$(if $(filter arm64,$(VARIANT)),tools/sysroot arm64)

demo:                     ## set up, build, run a real federation, simulate one
	@tools/install-packages build demo
	@$(MAKE) --no-print-directory programs
	@tests/e2e/demo.sh

test:                     ## set up, build, pass the unit and end-to-end tests
	@tools/install-packages build demo test
	@$(MAKE) --no-print-directory programs unit tool-tests constant-time e2e
# The longest comes first, for no core to wait for it in the end.
unit: $(TESTS) $B/tests/secure/session_peer ## unit tests: make unit VARIANT=asan
	@B=$B tools/run-tests tests/secure/python_session_test.sh $(TESTS)
tool-tests:               ## tests of the scripts that check this tree
	@tools/run-tests $(sort $(wildcard tests/tools/*_test.sh))
constant-time: $B/tests/secure/constant_time ## nothing's time depends on a secret
	@B=$B tools/run-tests tests/secure/constant_time_test.sh
# One more than there are cores: they wait more than they compute.
e2e: programs $(SHIM:%.c=$B/%.so) ## real processes on loopback
	@B=$B TEST_SECONDS=480 TEST_JOBS=$$(($$(nproc) + 1)) tools/run-tests \
	    $(sort $(wildcard tests/e2e/*_e2e.sh))
boot-test: programs       ## the services under a real systemd, in a container
	@B=$B tests/systemd/boot_test.sh
operating-test:           ## docs/operating.md, every command, in containers
	@tests/systemd/operating_test.sh
interop: programs $(REWRITE) ## exported models in ONNX Runtime
	@tools/install-packages interop
	@B=$B tests/e2e/onnxruntime_networks.sh
	@B=$B tests/e2e/onnxruntime_int8.sh
	@B=$B tests/e2e/onnxruntime.sh
dashboard-test: programs  ## the dashboard in a headless browser; build/dashboard
	@tools/install-packages dashboard
	@B=$B tests/e2e/dashboard_browser.sh
trainer-test: programs     ## the PyTorch example in federations with the engine
	@tools/install-packages trainer
	@B=$B tests/e2e/pytorch_trainer.sh
dashboard-uplot:          ## the dashboard's charts are npm's, byte for byte
	@tools/install-packages interop
	@tools/check-uplot

soak: programs $B/tests/soak/herd ## 1,000 clients, churn, loss; 10,000 idle ones
	@tools/install-packages build demo soak
	@B=$B tests/soak/soak.py

bench:                    ## federation: ratios against peers, measured in one run
	@tools/install-packages build demo test bench
	@$(MAKE) --no-print-directory bench-run
bench-train:              ## training: ratios against PyTorch
	@tools/install-packages build demo test bench
	@$(MAKE) --no-print-directory bench-run PURPOSE=.train
bench-infer:              ## inference: ratios against ONNX Runtime and XNNPACK
	@tools/install-packages build demo test bench-infer interop
	@tools/install-onnxruntime
	@$(MAKE) --no-print-directory bench-run PURPOSE=.infer NEEDS='$(PEERS)'
bench-secure:             ## secure aggregation: masks and sessions against bounds
	@tools/install-packages build test
	@$(MAKE) --no-print-directory bench-run PURPOSE=.secure
bench-footprint:          ## memory and idle CPU time of the real programs
	@tools/install-packages build demo
	@$(MAKE) --no-print-directory programs
	@B=$B tests/bench/run tests/bench/figures.footprint
bench-compression:        ## accuracy against bytes, every codec (WHICH=settings)
	@tools/install-packages build demo test
	@$(MAKE) --no-print-directory programs
	@B=$B tests/bench/compression.py
	@$(MAKE) --no-print-directory bench-run PURPOSE=.compression
bench-compress-model:     ## smaller models: pruning, INT8, students (PARTS=hqp)
	@tools/install-packages build demo test bench-compress-model
	@$(MAKE) --no-print-directory programs
	@B=$B tests/bench/compress_model.py
bench-run: programs $(BENCHES) $(NEEDS)
	@B=$B tests/bench/run tests/bench/figures$(PURPOSE)

arm64:                    ## kernels, masks, a mixed federation on arm64, by qemu
	@tools/install-packages build demo test arm64
	@tools/sysroot arm64
	@$(MAKE) --no-print-directory VARIANT=arm64 $(FEW:%=$(OUT)/arm64/tests/%) \
	    $(OUT)/arm64/fedge-client
	@$(MAKE) --no-print-directory programs $B/tests/arm64/digest
	@B=$B tests/arm64/run $(filter %_test,$(FEW))
arm64-suite:              ## every test on arm64, by qemu (CPUS=cortex-a72)
	@tools/install-packages build demo test arm64
	@tools/sysroot arm64
	@$(MAKE) --no-print-directory VARIANT=arm64 arm64-programs
	@$(MAKE) --no-print-directory programs
	@B=$B tests/arm64/suite $(TESTS:$B/%=%)
arm64-programs: $(BIN) $(TESTS) $(addprefix $B/tests/,secure/session_peer \
    arm64/digest e2e/failing_disk.so)

install: programs         ## into DESTDIR and PREFIX (/usr/local)
	@B=$B DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) NATIVE=$(NATIVE) packaging/install
deb:                      ## Debian packages in build/deb (ARCH=arm64)
	@tools/install-packages build package $(if $(ARCH),package-$(ARCH))
	@packaging/deb $(ARCH)
static:                   ## programs without libraries, a tarball (ARCH=arm64)
	@tools/install-packages build package-static \
	    $(if $(ARCH),package-$(ARCH))
	@packaging/tarball $(ARCH)
static-programs: $(STATIC)
package-test: programs    ## install, update, remove the packages on a bare Debian
	@tools/install-packages build package package-test
	@B=$B tests/e2e/packages.sh

fuzz:                     ## every fuzzer for FUZZ_SECONDS (30)
	@tools/install-packages build test fuzz
	@$(MAKE) --no-print-directory CC=clang-14 VARIANT=fuzz fuzz-run
fuzz-run: $(FUZZS)
	@tests/fuzz/run $^

layers:                   ## includes follow docs/architecture.md
	@tools/check-layers
lint: layers              ## format, clang-tidy, cppcheck, shell, spelling
	@tools/install-packages build lint
	@$(MAKE) --no-print-directory generated
	@tools/lint "$(SRC)" "$(HDR)" \
	    "$(TEST) $(FUZZ) $(BENCH) $(PEER) $(TESTLIB) $(DIGEST) $(DRIVEN) $(SHIM) $(ABSENT) \
	    $(wildcard tests/*.h tests/*/*.h)"
format:                   ## rewrite the sources in place
	clang-format-14 -i $(SRC) $(HDR) $(TEST) $(FUZZ) $(BENCH) $(PEER) \
	    $(TESTLIB) $(DIGEST) $(DRIVEN) $(SHIM) $(ABSENT) $(wildcard tests/*.h tests/*/*.h)
help:                     ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12
clean:                    ## remove build/
	rm -rf $(OUT)

$(LIB): $(call obj,$(filter-out $(MAIN),$(SRC))) $(pbobj)
$(SUPPORT): $(filter-out $(SANITIZER),$(call obj,$(TESTLIB)))
$(LIB) $(SUPPORT):
	@rm -f $@
	$(call run,AR,$(AR) rcs $@ $^)
$(filter-out %/fedge-keys,$(BIN)): $B/fedge-%: $B/%/main.o $(LIB)
$B/fedge-keys: $B/secure/main.o $(LIB)
$(BIN):
	$(call run,LD,$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS))
$(filter-out %/fedge-keys,$(STATIC)): $B/static/fedge-%: $B/%/main.o \
    $(call obj,$(ABSENT)) $(LIB)
$B/static/fedge-keys: $B/secure/main.o $(LIB)
$(STATIC):
	@mkdir -p $(@D)
	$(call run,LD,$(CC) $(filter-out -pie,$(LDFLAGS)) -static -o $@ $^ \
	    $(LDLIBS_static))
$(TESTS) $(FUZZS) $(BENCHES) $(REWRITE) $(DIGEST:%.c=$B/%) \
    $(DRIVEN:%.c=$B/%): %: %.o $(SANITIZER) $(SUPPORT) $(LIB)
	$(call run,LD,$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka)
$(SHIM:%.c=$B/%.so): $(SHIM)
	@mkdir -p $(@D)
	$(call run,LD,$(CC) -std=c11 -O1 $(WARN) -fPIC -shared -o $@ $<)
$(PEERS): %: %.o $(call obj,tests/support/measure.c)
	$(call run,LD,$(CC) $(LDFLAGS) -o $@ $^ -lXNNPACK -lm)

# cmocka's assertions do not return, but do not say so to the compiler.
$(call obj,$(TEST) $(TESTLIB) $(DIGEST)): WARN += -Wno-null-dereference

# gcc 12 for arm64 breaks off at vectors of fmax(most, fabs(x)).
ifeq ($(VARIANT),arm64)
$(call obj,$(TEST) $(TESTLIB)): CFLAGS += -fno-tree-vectorize
endif

# The one test that holds our numbers against another library's.
$B/tests/model/xnnpack_test: LDLIBS += -lXNNPACK

# gcc's redundancy elimination keeps the sums of an unrolled tile in registers
# and in memory, which costs a store a product.
ifeq ($(findstring clang,$(CC)),)
$(call obj,$(wildcard model/int8/q*.c)): CFLAGS += -fno-tree-pre
# Redzones keep the sums in memory, too, and each use of them is checked: training
# takes four times as long. -fsanitize=bounds checks their indexes without.
$(call obj,$(wildcard model/kernels/*.c)): CFLAGS_asan += -O2 --param asan-stack=0
$(call obj,$(wildcard model/kernels/*.c)): CFLAGS_tsan += -O2
endif

# The dashboard's files are in the program (page.c).
$B/aggregator/http/page.o: $(wildcard aggregator/web/* aggregator/web/uplot/*)

# clang takes many minutes to instrument unrolled tiles. They parse nothing, and
# the unit tests run them under asan.
ifeq ($(VARIANT),fuzz)
$(call obj,$(wildcard model/kernels/*.c model/int8/q*.c)): CFLAGS_fuzz := -O1
endif

# Generated code comes first, since nearly everything may include it.
generated: $(PBC)
$(call obj,$(SRC) $(TEST) $(FUZZ) $(BENCH) $(TESTLIB) $(DIGEST) $(DRIVEN)) \
    $(REWRITE).o: | $(PBC)
$(GEN)/%.pb-c.c: %.proto
	@mkdir -p $(@D)
	$(call run,PB,protoc-c --c_out=$(GEN) $<)
$B/%.pb-c.o: $(GEN)/%.pb-c.c
	@mkdir -p $(@D)
	$(call run,CC,$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<)
$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call run,CC,$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<)

-include $(patsubst %.c,$B/%.d,$(SRC) $(TEST) $(FUZZ) $(BENCH) $(PEER) $(TESTLIB) $(DIGEST) $(DRIVEN) $(ABSENT))
