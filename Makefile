# The commands of the project. Each is a few lines in scripts/ or a cargo command; nothing is built by make itself.
# `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help demo wheel install uninstall test mutants models sanitize soak bench docs header clean

# Where `make install` puts things; see scripts/install.
export PREFIX LIBDIR DESTDIR PROFILE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: ## build library, header and wheel; load a million records and rows, kill the loaders, lose nothing
	@scripts/prepare python
	@build/venv/bin/python scripts/demo.py

wheel: ## the Python package, into build/wheels
	@scripts/prepare python
	@scripts/wheel

install: ## libraries, headers, command, manuals: PREFIX=/usr/local LIBDIR=PREFIX/lib DESTDIR= PROFILE=release
	@scripts/install

uninstall: ## take away what was installed, with the same PREFIX, LIBDIR and DESTDIR
	@scripts/install uninstall

test: ## every test: Rust, C, Python, examples, header, symbols, layers
	@scripts/test

mutants: ## break the engine on purpose, one feature at a time: a test must notice each
	@cargo xtask mutants

models: ## the code without locks under loom, which tries the orders of the threads' steps
	@scripts/test models

sanitize: ## the C and C++ examples and tests under valgrind and the sanitizers of gcc and clang
	@scripts/sanitize

soak: ## everything at once for SSTORE_SOAK_MINUTES (30) on the real disk, every answer checked, what it holds printed
	@scripts/soak

bench: ## measure, beside the limits of this machine, into bench/RESULTS.md
	@scripts/prepare
	@scripts/bench

docs: ## docs/options.md, the site for users in build/site, the C and C++ reference in build/reference, and the Rust documentation
	@cargo xtask option-docs
	@scripts/prepare docs
	@scripts/prepare python
	@scripts/c_reference
	@scripts/site
	@RUSTDOCFLAGS="-D warnings" cargo doc --no-deps -p sstore

header: ## include/sstore.h from ffi/, to be reviewed and committed
	@cargo xtask header

clean: ## remove what was built
	@cargo clean
	@rm -rf build
