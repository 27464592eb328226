# Needs make and Python 3.11 or newer. Uses uv where it is installed, else venv and pip.

SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test study lint lock clean

help:  ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1@/p' Makefile | column -t -s @ 2>/dev/null || grep '##' Makefile

demo: $(READY)  ## the whole loop on simulated traffic; ends with a report to open
	@$(BIN)/fairlead demo demo

test: $(READY) browser servers lint  ## linters, types, architecture, then every test
	@echo "pytest: every test, a real Prefect server among them"
	@$(BIN)/python -m pytest -n auto $(PYTEST)

study: $(READY) servers  ## the tests that take minutes: every system call of a load is made to fail
	@$(BIN)/python -m pytest -m study $(PYTEST)

lint: $(READY)  ## linters, types, architecture
	@echo "ruff, mypy, import-linter"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "some files are not formatted: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log 2>&1 || { cat $(VENV)/imports.log; exit 1; }

setup: $(READY)  ## .venv with everything that requirements.lock names

# The lock file names versions and hashes and no index, so it installs from wherever pip or uv is set to.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..."; exit 1; }
	@$(call debian,$(PYTHON) -c 'import ctypes; ctypes.CDLL("libgomp.so.1")',libgomp1,LightGBM)
	@rm -f $@
	@if uv --version >/dev/null 2>&1; then \
	    echo "setting up $(VENV) with uv, about 200 packages"; \
	    { [ -x $(BIN)/python ] || uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); } && \
	    uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements.lock && \
	    uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .; \
	else \
	    echo "setting up $(VENV) with pip, about 200 packages; this takes a few minutes"; \
	    { $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV); } && \
	    $(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=24' && \
	    $(BIN)/python -m pip install -qq --require-hashes --requirement requirements.lock && \
	    $(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

.PHONY: browser
browser:
	@$(call debian,command -v chromium || command -v chromium-browser || command -v google-chrome,chromium,the tests that open the report)

.PHONY: servers
servers:
	@$(call debian,ls /usr/lib/postgresql/*/bin/initdb || command -v initdb,postgresql,the tests of PostgreSQL)
	@$(call debian,command -v redis-server,redis-server,the tests of live state across machines)
	@$(call debian,command -v haproxy,haproxy,the tests of the front)
	@$(call debian,command -v strace,strace,the tests that make system calls fail)

# debian(check, package, what needs it): install it where we may; say so and go on where we may not.
debian = { $(1); } >/dev/null 2>&1 || { \
	    [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing $(2) for $(3)" && \
	    apt-get update -qq >/dev/null 2>&1; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2) >/dev/null 2>&1; \
	} || echo "$(2) is missing and could not be installed; $(3) will need it"

lock:  ## rebuild requirements.lock from pyproject.toml; delete it first to move every version
	@uv --version >/dev/null 2>&1 || { echo "make lock needs uv: pip install uv"; exit 1; }
	@echo "resolving for Python 3.11 and newer, on every platform"
	@uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock
	@! grep -n '://' requirements.lock || { echo "requirements.lock must name no host"; exit 1; }

clean:  ## remove .venv, the demo, caches and builds; var/ stays
	@rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean"
