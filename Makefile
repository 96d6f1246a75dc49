# Everything runs in .venv, which is made when it is missing. With another Python: make PYTHON=python3.12 test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
# How many tests run at once.
WORKERS ?= 2
VERSIONS := 3.11 3.12 3.13
# The newest redis-py is tested on 3.11, older ones beside it.
OLDER-3.12 := redis~=7.0
OLDER-3.13 := redis~=5.0
# What another Python cannot change is tested by `make test` alone: what servers do, what files look like.
SAME := tests/chaos tests/contract/test_database_answers.py tests/contract/test_mariadb* tests/contract/test_postgres* \
  *_kills.py tests/qtest/test_servers.py tests/test_architecture.py tests/test_benchmarks.py tests/test_docs.py

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all $(VERSIONS:%=test-%) test-here lint format types floors docs package check bench bench-peers chaos clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Run jobs on a real file, from two processes; needs nothing but Python
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev ## Run all tests and measure what they cover
	@.ci/install-missing
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) -m 'not packaging'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-all: $(VERSIONS:%=test-%) ## Run what depends on the Python on every one that is supported

$(VERSIONS:%=test-%): test-%:
	@if python=$$(.ci/find-python $*); then \
	  $(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-$* OLDER='$(OLDER-$*)' test-here; \
	elif [ "$(CI)" = true ]; then echo "There is no Python $* here." >&2; exit 1; \
	else echo "SKIPPED: there is no Python $* here, so nothing was tested on it." >&2; fi

test-here: $(VENV)/.dev
	@.ci/install-missing
	$(PYTEST) -q -n $(WORKERS) -m 'not packaging' --backends=memory $(SAME:%=--ignore-glob='$(CURDIR)/%')

lint: $(VENV)/.dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Mend what can be mended of it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

floors: $(VENV)/.dev ## Check who imports whom
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.dev ## Run the examples in the documents
	$(PYTEST) -q tests/test_docs.py

package: $(VENV)/.dev ## Build the wheel, install it elsewhere and try it
	$(PYTEST) -q -m packaging tests/test_packaging.py

check: lint types floors test package ## Do all of the above, as before a submission

bench: $(VENV)/.dev ## Measure speed, as ratios within one run, beside others too; installs those in .venv-peers-*
	$(BIN)/python benchmarks/run.py --rows all

bench-peers: $(VENV)/.dev ## Measure beside others only: their test modes, and their workers on redis
	$(BIN)/python benchmarks/run.py --rows peers,workers

chaos: $(VENV)/.dev ## Kill workers and servers for minutes: SEED=1 SECONDS=300 BACKENDS=sqlite
	@.ci/install-missing
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(BACKENDS),--backends $(BACKENDS))

clean: ## Remove what was made here; data in .qcore stays
	rm -rf .venv .venv-3.* .venv-peers-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build
	find qcore qtest tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.runtime: pyproject.toml | $(BIN)/pip
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/pip
	$(PIP) install --editable '.[dev,test]' $(if $(OLDER),'$(OLDER)')
# Compiled once, whatever the environment says of bytecode: tests start hundreds of processes, of pytest too.
	@$(BIN)/python -m compileall -q qcore qtest
	@PYTHONDONTWRITEBYTECODE= $(PYTEST) -q --collect-only tests/test_exports.py >/dev/null
	@touch $@ $(VENV)/.runtime

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "qcore needs Python 3.11 or newer, and this is $$($(PYTHON) --version 2>&1): say make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
