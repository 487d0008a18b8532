# The only door a user needs. Everything is installed, built and run from here; see README.md.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
PRESETS := release dev tsan

.PHONY: help deps build demo test test-nightly bench install format clean
help:
	@echo "make deps      install what building and testing needs (Debian 12 packages; root)"
	@echo "make build     build/release/holdfast"
	@echo "make demo      real data out, destroyed, back, compared"
	@echo "make test      every test; its last line is 'N passed, N failed'"
	@echo "make bench     compare with restic, kopia, Borg and rustic"
	@echo "make install   program, man page and completions below PREFIX ($(PREFIX))"

deps:
	@tools/deps.sh

build: deps
	@cmake --preset release -DHF_TESTS=OFF > build.log 2>&1 || (cat build.log; false)
	@cmake --build --preset release -j $(JOBS) -- --quiet
	@mkdir -p build && mv -f build.log build/configure.log

demo: build
	@tools/demo.sh

test: deps
	@tools/test.sh

test-nightly: deps
	@HOLDFAST_SCALE=20 HOLDFAST_SIM_SCALE=20 tools/test.sh

bench: build
	@cmake --build --preset release --target hf_limit hf_many_chunks -- --quiet
	@bench/peers.sh && bench/trees.sh && bench/bench.py --markdown doc/benchmarks.md --gate
	@bench/nightly.py --holdfast build/release/holdfast

install: build
	@cmake --install build/release --prefix $(PREFIX)

format: deps
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
