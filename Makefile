# ResilientRedis: everything a user or a developer runs. `make help` lists it.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# Debian keeps phpenmod, php-fpm and their kin where a user's PATH does not look. (Recipes only: make 4.3 runs
# $$(shell) with the PATH that it was given.)
export PATH := $(PATH):/usr/sbin:/sbin

PHP        ?= php
PHP_CONFIG ?= php-config
PHPUNIT    ?= phpunit
CARGO      ?= cargo
PYTHON     ?= python3

# The build wants paths, and only where somebody chose another PHP than the system's.
ifneq ($(origin PHP),file)
override PHP := $(or $(shell command -v $(PHP)),$(PHP))
export PHP
endif
ifneq ($(origin PHP_CONFIG),file)
override PHP_CONFIG := $(or $(shell command -v $(PHP_CONFIG)),$(PHP_CONFIG))
export PHP_CONFIG
endif

NAME       := resilient_redis
COMMA      := ,
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
# The product, as an absolute path: PHP resolves a relative one against its extension directory.
LIBRARY    := $(TARGET_DIR)/release/lib$(NAME).so

# PHP with the freshly built extension. Should the extension be installed on this machine as well (`make install`),
# its ini file is left out, so that what runs is always what was built.
define with_extension
scan='' ; \
if $(PHP) -m 2>/dev/null | grep -x $(NAME) >/dev/null; then \
    scan='build/php-ini'; rm -rf "$$scan"; mkdir -p "$$scan"; \
    $(PHP) -r 'foreach (explode(",", (string) php_ini_scanned_files()) as $$file) { echo trim($$file), "\n"; }' \
        | sed '/$(NAME)/d' | while read -r file; do [ -z "$$file" ] || ln -sf "$$file" "$$scan/"; done; \
    export PHP_INI_SCAN_DIR="$$PWD/$$scan"; \
fi; \
$(PHP) -d extension=$(LIBRARY)
endef

# What needs rights asks for them; with DESTDIR nothing does.
AS_ROOT := $(if $(DESTDIR),,$(shell [ "$$(id -u)" = 0 ] || command -v sudo || true))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14 | sort

.PHONY: setup
setup: ## install all that is missing: PHP, clang, Redis, PHPUnit (Debian packages)
	@.ci/setup test

.PHONY: setup-build
setup-build:
	@.ci/setup build

.PHONY: setup-demo
setup-demo:
	@.ci/setup demo

.PHONY: build
build: setup-build ## build the extension (release)
	$(CARGO) rustc --release --lib --crate-type cdylib
	@test -f $(LIBRARY) && echo "built: $(if $(CARGO_TARGET_DIR),$(LIBRARY),target/release/lib$(NAME).so)"

.PHONY: demo
demo: setup-demo build ## watch a program go on while its primary is killed
	@$(with_extension) examples/failover/run.php

.PHONY: test
test: setup lint deny table-check tokens-check rust-tests php-tests php-settings guard ## run everything that checks the project

.PHONY: lint
lint: setup ## rustfmt and clippy, with and without the PHP room
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --all-targets --no-default-features -- -D warnings

.PHONY: deny
deny: setup ## licences, refused crates and double versions among the dependencies (deny.toml)
	@.ci/deny check -D warnings licenses bans sources

.PHONY: table-check
table-check: setup ## are the command table, the stub and docs/commands.md up to date?
	$(PYTHON) src/command/generate.py --check

# Debian's botocore belongs to Debian's Python, which need not be the first one in PATH.
.PHONY: tokens-check
tokens-check: setup ## does botocore sign the tokens that our own are compared with?
	@python="$$(command -v $(PYTHON))"; "$$python" -c 'import botocore' 2>/dev/null || python=/usr/bin/python3; \
	"$$python" -B src/aws/sign_tokens.py --check

.PHONY: rust-tests
rust-tests: setup ## all that is below the PHP room
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    set -x; $(CARGO) nextest run --no-default-features; \
	else \
	    set -x; $(CARGO) test --no-default-features; \
	fi

# Random cases, the same for the same SEED; `make test` runs a number of them that is fixed. Overflows and assertions are
# checked, and the rest is fast.
.PHONY: fuzz
fuzz: setup ## hostile peers and random faults for MINUTES=10; SEED=n runs the one case that failed (FILTER=name)
	$(if $(SEED),SEED=$(SEED),MINUTES=$(or $(MINUTES),10)) $(CARGO) test --profile fuzz --no-default-features --lib -- \
	    --nocapture $(or $(FILTER),hostile storms no_mutation)

.PHONY: php-tests
php-tests: setup build ## PHPUnit against real servers; FILTER=name runs some
	@$(with_extension) $(SETTINGS) "$$(command -v $(PHPUNIT))" -c php-tests/phpunit.xml $(if $(FILTER),--filter '$(FILTER)')

# Two settings that change how PHP runs, and classes that call most of the PHP room. The whole suite runs under them with
# `make php-tests SETTINGS='...'`.
JIT        := -d opcache.enable=1 -d opcache.enable_cli=1 -d opcache.jit=tracing -d opcache.jit_buffer_size=64M
ASSERTIONS := -d zend.assertions=1 -d assert.exception=1
VARIED     := (Command|Pipeline|Transaction|Iterators|Containers|Predis|Prefix|Signature|RequestEnd)Test::

.PHONY: php-settings
php-settings: setup build ## a part of PHPUnit under opcache's JIT, and under assertions
	@$(PHP) $(JIT) -r 'exit(opcache_get_status(false)["jit"]["on"] ? 0 : 1);' || { echo "$(PHP) does not switch the JIT on" >&2; exit 1; }
	@$(with_extension) $(JIT) "$$(command -v $(PHPUNIT))" -c php-tests/phpunit.xml --filter '$(VARIED)'
	@$(with_extension) $(ASSERTIONS) "$$(command -v $(PHPUNIT))" -c php-tests/phpunit.xml --filter '$(VARIED)'

# ROUNDS: how often each way of ending a request comes; SEED: the order of a run that failed.
.PHONY: hostile-requests
hostile-requests: setup build ## requests that end badly in every way, at length (ROUNDS=200)
	@ROUNDS=$(or $(ROUNDS),200) $(with_extension) "$$(command -v $(PHPUNIT))" -c php-tests/phpunit.xml --filter HostileRequestTest

# ONLY: names of test classes, with commas between. The debug build stands beside the release in the target folder.
.PHONY: valgrind
valgrind: setup ## the PHPUnit suite under memcheck (ONLY=ClassTest,ClassTest)
	$(CARGO) rustc --lib --crate-type cdylib
	@$(PYTHON) platforms/valgrind/run.py $(TARGET_DIR)/debug/lib$(NAME).so $(subst $(COMMA), ,$(ONLY))

.PHONY: test-zts
test-zts: ## a thread-safe PHP is built; the suite on it, and real threads (20 minutes the first time)
	@.ci/setup zts
	@platforms/zts/build-php build/zts
	@FILTER='$(FILTER)' platforms/zts/run build/zts

# SERVERS: redis-server or valkey-server instead of both.
.PHONY: test-trixie
test-trixie: ## the suite on Debian 13: PHP 8.4 with Redis 8.0, and with Valkey 8.1 (needs root or sudo)
	@.ci/setup trixie
	@platforms/trixie/make-root build/trixie
	@FILTER='$(FILTER)' SERVERS='$(SERVERS)' platforms/trixie/run build/trixie

.PHONY: guard
guard: setup build ## count the instructions that commands take, against ceilings
	@$(with_extension) benches/guard.php

# PHPREDIS_SO: another phpredis than Debian's; ONLY: parts, with commas between, while the rest stays as it was measured last.
.PHONY: bench
bench: setup build ## compare with phpredis, Predis and hiredis; writes docs/performance.md (QUICK=1 PHPREDIS_SO=file ONLY=part)
	@.ci/setup bench
	@$(with_extension) benches/compare.php --page=docs/performance.md $(if $(QUICK),--quick) $(if $(ONLY),--only=$(ONLY))

.PHONY: bench-rust
bench-rust: ## criterion benches of what needs no PHP (FILTER=name)
	$(CARGO) bench --manifest-path benches/criterion/Cargo.toml --target-dir $(TARGET_DIR) $(if $(FILTER),-- '$(FILTER)')

.PHONY: bench-calls
bench-calls: setup build ## measure what a call costs beside an empty method in C
	@$(with_extension) benches/calls.php

# RUNS: how often each scenario runs; ONLY: names, with commas between; PEERS=1: phpredis and Predis besides.
.PHONY: failover-lab
failover-lab: setup build ## measure failovers; writes docs/failover-results.md (RUNS=5 ONLY=name,name PEERS=1)
	@$(if $(PEERS),.ci/setup peers)
	@$(with_extension) php-tests/failover/lab.php $(if $(RUNS),--runs=$(RUNS)) $(if $(ONLY),--only=$(ONLY),--page=docs/failover-results.md) $(if $(PEERS),--peers)

# PHP and ARCH say what the layer is for: 8.2 or 8.4, x86_64 or arm64.
.PHONY: bref-layer
bref-layer: ## build a layer of AWS Lambda for Bref, and check it (PHP=8.2 ARCH=x86_64)
	@.ci/setup layer
	@bref/build-layer $(if $(filter file,$(origin PHP)),8.2,$(PHP)) $(or $(ARCH),x86_64)

.PHONY: table
table: setup ## generate the command table, the stub and docs/commands.md again
	$(PYTHON) src/command/generate.py

# Where the system's PHP keeps its extensions and its ini files. With Debian's phpenmod the ini file is a module that
# is switched on for every SAPI; elsewhere it goes to the directory that PHP scans.
EXTENSION_DIR = $(shell $(PHP_CONFIG) --extension-dir)
PHP_VERSION   = $(shell $(PHP) -n -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')
MODULES       = /etc/php/$(PHP_VERSION)/mods-available
HAS_PHPENMOD  = $(shell PATH="$$PATH:/usr/sbin"; command -v phpenmod >/dev/null && [ -d $(MODULES) ] && echo yes)
INI_DIR       = $(if $(HAS_PHPENMOD),$(MODULES),$(shell $(PHP_CONFIG) --ini-dir))
INSTALLED_LIBRARY = $(DESTDIR)$(EXTENSION_DIR)/$(NAME).so
INSTALLED_INI     = $(DESTDIR)$(INI_DIR)/$(NAME).ini

.PHONY: install
install: build ## install the extension for the system's PHP (DESTDIR is honoured)
	@test -n "$(EXTENSION_DIR)" && test -n "$(INI_DIR)" || { echo "$(PHP_CONFIG) names no extension or ini directory" >&2; exit 1; }
	@test -n "$(AS_ROOT)$(DESTDIR)" || [ "$$(id -u)" = 0 ] || { echo "installing needs root, and there is no sudo: run this as root, or name a DESTDIR" >&2; exit 1; }
	$(AS_ROOT) install -D -m 0644 $(LIBRARY) "$(INSTALLED_LIBRARY)"
	@ini="$$(mktemp)"; trap 'rm -f "$$ini"' EXIT; \
	printf '; priority=30\nextension=%s.so\n' $(NAME) > "$$ini"; set -x; \
	$(AS_ROOT) install -D -m 0644 "$$ini" "$(INSTALLED_INI)"
ifeq ($(DESTDIR),)
	$(if $(HAS_PHPENMOD),$(AS_ROOT) phpenmod -v $(PHP_VERSION) $(NAME))
	@$(PHP) -m | grep -x $(NAME) >/dev/null || { echo "$(PHP) does not load $(NAME)" >&2; exit 1; }
	@echo "$(NAME) is installed for $(PHP)$(if $(HAS_PHPENMOD), and every other SAPI of PHP $(PHP_VERSION)); running php-fpm services load it when they are restarted"
else
	$(if $(HAS_PHPENMOD),@echo "to switch it on there: phpenmod -v $(PHP_VERSION) $(NAME)")
endif

.PHONY: uninstall
uninstall: ## undo `make install`
ifeq ($(DESTDIR),)
	$(if $(HAS_PHPENMOD),@for sapi in $$(phpquery -S -v $(PHP_VERSION)); do \
	    $(AS_ROOT) phpdismod -p -v $(PHP_VERSION) -s "$$sapi" $(NAME); \
	done)
endif
	$(AS_ROOT) rm -f "$(INSTALLED_INI)" "$(INSTALLED_LIBRARY)"

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
	@# What is Debian 13 in there belongs to root.
	rm -rf build 2>/dev/null || $(AS_ROOT) rm -rf build
