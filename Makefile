# Shortcuts only: the build is CMakeLists.txt, the tests are ctest's.
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
SOURCES = $(shell find base copier manifest snapshot cli bench tests -name '*.[ch]')

.PHONY: all demo test format format-check install clean

all: # installs what a build needs, builds build/release/bin/pbcopy
	scripts/install-dependencies build
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target pbcopy origin

demo: all # backs up, verifies and restores a bucket of its own
	scripts/demo

test: # installs what the tests need, builds, runs every test
	scripts/install-dependencies build test
	cmake --preset dev
	cmake --build --preset dev --parallel $(JOBS)
	ctest --preset dev --output-on-failure --parallel 2

format:
	@clang-format -i $(SOURCES)

format-check:
	@clang-format --dry-run --Werror $(SOURCES)

install:
	@test -x build/release/bin/pbcopy || { echo "install: run make first"; exit 1; }
	install -D -m 755 build/release/bin/pbcopy $(DESTDIR)$(PREFIX)/bin/pbcopy

clean:
	rm -rf build
