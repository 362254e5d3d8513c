# Shortcuts only: the build is CMakeLists.txt, the tests are ctest's.
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
SOURCES = $(shell find base copier manifest cluster snapshot cli bench tests -name '*.[ch]')

.PHONY: all demo test bench bench-check bench-baseline cost format format-check install clean

all: # installs what a build needs, builds build/release/bin/pbcopy
	scripts/install-dependencies build
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target pbcopy origin

demo: all # backs up, verifies and restores a bucket of its own
	scripts/demo

test: # installs what the tests need, builds, runs every test; where Go is, builds real servers for them, once
	scripts/install-dependencies build test
	tests/support/go_servers/build || [ $$? -eq 77 ]
	cmake --preset dev
	cmake --build --preset dev --parallel $(JOBS)
	ctest --preset dev --output-on-failure --parallel 4

# BENCH passes options on: make bench BENCH="--scenario 'copy*' --runs 5". See docs/internals/bench.md.
bench: all # measures pbcopy beside the peers on PATH: a table, build/bench.json, build/bench.svg; 20 minutes
	scripts/install-dependencies bench
	bench/bench.py --json build/bench.json --svg build/bench.svg $(BENCH)

BASELINE_BENCH = bench/bench.py --client pbcopy --scale 0.1 --scenario 'list-*' --scenario 'copy*' \
	--scenario 'relay-4k*' --scenario 'relay-1m*' --scenario unchanged --scenario 'verify*' --scenario restore
bench-check: all # fails where CPU per unit is 25 % over bench/baseline.json; 2 minutes
	scripts/install-dependencies bench
	$(BASELINE_BENCH) --check $(BENCH)

bench-baseline: all # measures again what bench-check holds against
	scripts/install-dependencies bench
	$(BASELINE_BENCH) --save-baseline

cost: all # instructions of one small copy, one listed key, ...; fails 25 % over bench/cost.json; 2 minutes
	scripts/install-dependencies bench
	bench/cost.py

format:
	@clang-format -i $(SOURCES)

format-check:
	@clang-format --dry-run --Werror $(SOURCES)

install:
	@test -x build/release/bin/pbcopy || { echo "install: run make first"; exit 1; }
	install -D -m 755 build/release/bin/pbcopy $(DESTDIR)$(PREFIX)/bin/pbcopy
	build/release/bin/pbcopy help man >build/release/pbcopy.1
	install -D -m 644 build/release/pbcopy.1 $(DESTDIR)$(PREFIX)/share/man/man1/pbcopy.1
	build/release/bin/pbcopy help completion-bash >build/release/completion-bash
	install -D -m 644 build/release/completion-bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pbcopy

clean:
	rm -rf build
