# make demo   the main job on embedded defaults, then a dashboard
# make test   everything that must hold before a change lands
#
# Both install what is missing (they say what) and share one build directory
# outside the tree, so that a fresh clone reuses an earlier build.

XDG_CACHE_HOME ?= $(HOME)/.cache
export CARGO_TARGET_DIR ?= $(XDG_CACHE_HOME)/taptrail-target
TAPTRAIL = $(CARGO_TARGET_DIR)/debug/taptrail

# clippy-driver in rustc's place lints while it compiles: one build serves
# the lints and the tests.
LINTED = RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__"

# Properties are tried on the same cases each time, so that a change is judged
# by its own faults; others: make test PROPTEST_RNG_SEED=$$RANDOM
export PROPTEST_RNG_SEED ?= 7

.PHONY: demo test test-fast golden bench build tarball install-build install-test fmt

build: install-build
	cargo build --locked

demo: build
	$(TAPTRAIL) demo

test: install-test
	cargo fmt --all --check
	$(LINTED) cargo build --locked --workspace --all-targets
	$(LINTED) cargo test --locked --workspace

# Everything but the whole-product tests.
test-fast: install-build
	cargo test --locked --workspace --exclude taptrail

# Writes the golden decodes beside the sample captures anew; look at the diff.
golden: build
	UPDATE_GOLDEN=1 cargo test --locked --test product golden

# A capture node to unpack at /: binary, unit, example configuration, pages.
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
TARBALL = taptrail-$(VERSION)-$(shell uname -m)
tarball: build
	rm -rf $(CARGO_TARGET_DIR)/$(TARBALL)
	install -D -m 755 -s $(TAPTRAIL) $(CARGO_TARGET_DIR)/$(TARBALL)/usr/bin/taptrail
	install -D -m 644 scripts/taptrail-capture.service $(CARGO_TARGET_DIR)/$(TARBALL)/usr/lib/systemd/system/taptrail-capture.service
	install -D -m 644 scripts/node.toml $(CARGO_TARGET_DIR)/$(TARBALL)/etc/taptrail/node.toml.example
	install -D -m 644 -t $(CARGO_TARGET_DIR)/$(TARBALL)/usr/share/doc/taptrail README.md DESIGN.md LICENSE NOTICE capture/OPERATING.md
	tar -C $(CARGO_TARGET_DIR)/$(TARBALL) --owner=0 --group=0 -czf $(CARGO_TARGET_DIR)/$(TARBALL).tar.gz usr etc
	@echo $(CARGO_TARGET_DIR)/$(TARBALL).tar.gz

bench: install-build
	benches/run.sh

install-build:
	scripts/install-missing.sh build

install-test:
	scripts/install-missing.sh build test

fmt:
	cargo fmt --all
