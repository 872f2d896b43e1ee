# Everything needs only Python 3.11 or newer, make and git; the environment is built in $(VENV).

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2

RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Nothing may fall back to the user's own Airflow home.
export AIRFLOW_HOME := $(abspath $(VENV))/airflow-home

.DEFAULT_GOAL := help
.PHONY: help install test test-fast lint guarantees security-table schema demo demo-ui bench bench-quick clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s  %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)  ## build the environment, if anything it is made from has changed

test: lint  ## lint, then run all tests
	$(RUN) -m pytest -n $(JOBS)

test-fast: lint  ## lint, then the unit tests; less than two minutes
	$(RUN) -m pytest -n $(JOBS) -q tests/unit

guarantees: $(STAMP)  ## write docs/guarantees.md from the table that the tests assert
	@$(RUN) tests/guarantees/table.py

security-table: $(STAMP)  ## search for leaked canaries in every spelling; write docs/security-audit.md
	@$(RUN) tests/security/leaks.py | tee docs/security-audit.md

schema: $(STAMP)  ## write the JSON Schema of promotion specs
	@$(RUN) -m airflow_voice_agents.polyai.spec_schema > provider/airflow_voice_agents/polyai/promotion.schema.json

lint: $(STAMP)  ## ruff, mypy and the layering of the packages
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

demo: $(STAMP)  ## promote three projects to live in a real Airflow, against a local server
	@$(RUN) demo/run.py

demo-ui: $(STAMP)  ## the same with Airflow's web interface left up; Ctrl-C ends it
	@$(RUN) demo/run.py --ui

bench: $(BENCH_STAMP)  ## measure the provider beside what one would write instead; takes most of an hour
	@$(RUN) benchmarks/run.py

bench-quick: $(BENCH_STAMP)  ## the same with small sizes, in less than two minutes
	@$(RUN) benchmarks/run.py --quick

clean:  ## remove the environment and all caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt provider/airflow_voice_agents/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Building the environment in $(VENV); this takes some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) pip hatchling editables
	$(PIP_INSTALL) --no-build-isolation --editable '.[emulator,phonenumbers,redis]' --group dev
	@touch $@

$(BENCH_STAMP): $(STAMP)
	$(PIP_INSTALL) --group bench
	@touch $@
