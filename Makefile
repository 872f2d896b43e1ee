# Everything needs only Python 3.11 or newer, make and git; the environment is built in $(VENV).

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2

RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed
DOCS_STAMP := $(VENV)/.docs-installed
FAST_STAMP := $(VENV)/.fast-installed
PRODUCTION := .venv-production
PRODUCTION_STAMP := $(PRODUCTION)/.installed
TOOLS := $(VENV)/tools
TOOLS_STAMP := $(TOOLS)/.installed
LOCK := requirements-dev.lock
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Nothing may fall back to the user's own Airflow home.
export AIRFLOW_HOME := $(abspath $(VENV))/airflow-home

# The oldest Python that is supported; the pins hold for all of them, so nothing is resolved.
locked = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-deps --no-annotate \
  --no-header --output-file $(1) constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install lock verify-lock sbom test test-fast test-fast-transport test-matrix test-oldest test-production test-wheel lint guarantees reference security-table schema demo demo-ui docs bench bench-quick clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-19s  %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)  ## build the environment, if anything it is made from has changed

lock: $(TOOLS_STAMP)  ## write requirements-dev.lock: the pins of constraints.txt with the hashes of their files
	@$(call locked,$(LOCK))

verify-lock: $(TOOLS_STAMP)  ## check the lock against constraints.txt and against what is published
	@mkdir -p build
	@$(call locked,build/$(LOCK))
	@sed 's/ *\\$$//' build/$(LOCK) | LC_ALL=C sort > build/published
	@sed 's/ *\\$$//' $(LOCK) | LC_ALL=C sort > build/kept
	@LC_ALL=C comm -23 build/kept build/published > build/strange  # not published, or not pinned any more
	@LC_ALL=C comm -13 build/kept build/published | grep -v hash >> build/strange || true  # not locked
	@test ! -s build/strange || { echo "$(LOCK) does not match constraints.txt; run make lock. Strange:" >&2; \
	  cat build/strange >&2; exit 1; }
	@echo "$(LOCK) matches: $$(grep -c == $(LOCK)) pins, $$(grep -c sha256 $(LOCK)) hashes"

sbom: $(STAMP) $(TOOLS_STAMP)  ## write build/sbom.cdx.json: what the environment holds, as CycloneDX
	@mkdir -p build
	@$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible \
	  --output-file build/sbom.cdx.json $(RUN)

test: lint  ## lint, then run all tests
	$(RUN) -m pytest -n $(JOBS) --dist worksteal

test-fast: lint  ## lint, then the unit tests; less than two minutes
	$(RUN) -m pytest -n $(JOBS) --dist worksteal -q tests/unit

test-fast-transport: $(FAST_STAMP)  ## the tests of the network and of its faults, over aiohttp in place of httpx
	$(RUN) -m pytest -n $(JOBS) --dist worksteal -q --transport=aiohttp tests/unit/transport tests/security/test_hostile_servers.py tests/faults

test-matrix:  ## run the tests that face Airflow with Airflow 3.1 to 3.3; takes hours; writes docs/compatibility.md
	$(PYTHON) tests/matrix/run.py

test-oldest:  ## run a slice of them with the oldest Airflow, in an environment of its own
	$(PYTHON) tests/matrix/run.py --oldest --jobs $(JOBS) --minutes 15

test-production: $(PRODUCTION_STAMP)  ## two Celery workers, Postgres, Redis, S3; kills and outages; writes docs/production.md
	$(PRODUCTION)/bin/python tests/production/run.py $(SCENARIOS)

test-wheel: $(STAMP)  ## build the wheel, and import all of it in an environment that holds nothing else of ours
	$(RUN) tests/matrix/wheel.py

guarantees: $(STAMP)  ## write docs/guarantees.md from the table that the tests assert
	@$(RUN) tests/guarantees/table.py

reference: $(STAMP)  ## write docs/configuration.md, docs/errors.md and docs/spec.md from the code
	@$(RUN) tests/support/reference_pages.py

security-table: $(STAMP)  ## search for leaked canaries, light bombs; write docs/security-audit.md
	@{ $(RUN) tests/security/leaks.py && $(RUN) tests/security/bombs.py; } | tee docs/security-audit.md

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

docs: $(DOCS_STAMP)  ## build the documentation site in build/docs; a warning is an error
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -b html docs build/docs
	@echo "Open build/docs/index.html"

bench: $(BENCH_STAMP)  ## measure the provider beside what one would write instead; takes most of an hour
	@$(RUN) benchmarks/run.py

bench-quick: $(BENCH_STAMP)  ## the same with small sizes, in less than two minutes
	@$(RUN) benchmarks/run.py --quick

clean:  ## remove the environment and all caches
	rm -rf $(VENV) $(PRODUCTION) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt provider/airflow_voice_agents/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Building the environment in $(VENV); this takes some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) pip hatchling editables
	$(PIP_INSTALL) --no-build-isolation --editable '.[emulator,phonenumbers,redis]' --group dev
	@touch $@

# An environment of its own: aiobotocore, behind s3fs, does not allow the python-dateutil of constraints.txt.
$(PRODUCTION_STAMP): pyproject.toml constraints-production.txt
	$(PYTHON) -m venv --clear $(PRODUCTION)
	$(PRODUCTION)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-production.txt \
	  pip hatchling editables
	$(PRODUCTION)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-production.txt \
	  --no-build-isolation --editable '.[emulator,phonenumbers,redis]' --group production
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(PIP_INSTALL) --group docs
	@touch $@

$(FAST_STAMP): $(STAMP)
	$(PIP_INSTALL) aiohttp httpx-aiohttp
	@touch $@

$(BENCH_STAMP): $(STAMP)
	$(PIP_INSTALL) --group bench
	@touch $@

$(TOOLS_STAMP): constraints-tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-tools.txt uv cyclonedx-bom
	@touch $@
