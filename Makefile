# make          sets up, builds a release of the programs into build/bin
# make test     sets up, builds, runs all tests
# make build    builds the programs, tests and benchmarks
# make demo     sets up, builds the programs, starts a cluster and runs a few TPC-H queries on it
# make lint     checks format, dependencies between folders and static analysis
# make asan     builds with AddressSanitizer and UBSan, runs the unit tests and the SQL corpus on a cluster
# make tsan     builds with ThreadSanitizer what has threads and stands without DuckDB, runs its unit tests
# make fuzz     fuzzes what reads bytes from outside, in the tree of `make asan`
# make bench    measures against single-process DuckDB, side by side
# make install  installs the release below PREFIX (/usr/local), with DESTDIR before it
# make package  makes the Debian package, build/package/ballista_VERSION_amd64.deb
BUILD ?= build
CMAKE_FLAGS ?=
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

.PHONY: all setup build programs test demo lint bench asan tsan fuzz format clean docs install package

all: programs

setup:
	@bash scripts/setup

$(BUILD)/build.ninja: | setup
	@cmake -G Ninja -B $(BUILD) -S . $(CMAKE_FLAGS) > $(BUILD)-configure.log 2>&1 || \
	  { cat $(BUILD)-configure.log; exit 1; }
	@mv $(BUILD)-configure.log $(BUILD)/configure.log

build: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)

test: build
	@BUILD=$(BUILD) bash scripts/run-tests

programs: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) scheduler executor ballista tpch

demo: programs
	@BUILD=$(BUILD) bash scripts/demo

lint: setup $(BUILD)/build.ninja
	@bash scripts/lint
	@# What is generated is made first; nothing else is built.
	@ninja -C $(BUILD) cmake_object_order_depends_target_ballista_proto \
	  cmake_object_order_depends_target_ballista_substrait_proto \
	  generated/ballista/config/executor_config.h generated/ballista/config/scheduler_config.h >/dev/null
	@python3 scripts/clang_tidy.py --build $(BUILD)

asan tsan: setup
	@bash scripts/sanitize $@

format: setup
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

bench: build
	@.deps/venv/bin/python benchmarks/run.py --build $(BUILD)

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX) --strip

package: build
	@cpack --config $(BUILD)/CPackConfig.cmake -B $(BUILD)/package && rm -rf $(BUILD)/package/_CPack_Packages

fuzz: setup
	@bash tests/fuzz/run

clean:
	rm -rf $(BUILD)
