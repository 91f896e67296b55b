# Each target does its own set-up; Python 3.11 or newer is all that must be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
INPUTS := pyproject.toml constraints.txt
# Workers of pytest. A file's tests stay together, since they share what its fixtures made; the files
# that take longest begin (tests/support/selection.py).
WORKERS ?= 2
# Compiled modules are kept, whatever the shell says: tests start some two hundred processes.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The branches that need an accelerator, and the demo, are not among what `make test` can reach.
COVERAGE_FLOOR := 95

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test coverage test-demo lint type architecture docs site check clean

help:
	@echo "make demo          the whole path on MovieLens-100K (sets itself up)"
	@echo "make quick         the tests that train nothing and start no process: about a minute"
	@echo "make test          every test but the demo (sets itself up)"
	@echo "make coverage      make test, with the lines that no test reaches; before a release"
	@echo "make test-demo     the demo, as a test"
	@echo "make check         lint, types, architecture, site, tests"
	@echo "make site          the documentation as a web site, in site/; any warning fails"
	@echo "make lint | type | architecture | docs | setup | clean"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: cllm4rec needs Python 3.11 or newer, '$(PYTHON)' is $$($(PYTHON) --version 2>&1); try 'make PYTHON=python3.12 ...'" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

# The stamps are written last: an interrupted set-up is done again.
$(VENV)/.demo-is-set-up: $(INPUTS) | $(BIN)/python
	@echo "setting up $(VENV) for the demo (some minutes, once)" >&2
	@$(PIP) -e '.[ials]'
	@touch $@

$(VENV)/.is-set-up: $(INPUTS) | $(BIN)/python
	@echo "setting up $(VENV) (some minutes, once)" >&2
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo-is-set-up

setup: $(VENV)/.is-set-up

demo: $(VENV)/.demo-is-set-up
	$(BIN)/cllm4rec demo --run runs/demo

quick: setup
	$(PYTEST) -m quick

test: setup
	$(PYTEST) -m "not demo"

coverage: setup
	$(PYTEST) -m "not demo" --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR)

test-demo: setup
	$(BIN)/python -m pytest -m demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

type: setup
	$(BIN)/mypy

architecture: setup
	$(BIN)/lint-imports --no-cache

docs: setup
	$(BIN)/python docs/generate.py

# Nothing is fetched, here or by the pages; the cache is cleaned, since a page that is not built anew is silent.
site: setup
	$(BIN)/zensical build --clean --strict

check: lint type architecture site test

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage site .cache
