# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PY := .venv/bin/python
UV := .venv/bin/uv
export PYTHONPATH := plugins
# Airflow is thousands of modules and each of its processes imports them: compiled once, not at every start.
unexport PYTHONDONTWRITEBYTECODE
# A process a CPU, each with whole files, the longest first; TESTS='-n 0' runs all in one, as a debugger needs it.
TESTS ?= -n logical --maxprocesses 4
PYTEST = $(PY) -m pytest --dist loadfile --no-loadscope-reorder $(TESTS)

.PHONY: help setup demo up cds airflow test coverage model train parity lint types imports check lock clean foreign
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: .venv/.ready ## make .venv from requirements.lock
.venv/.ready: requirements.lock pyproject.toml
	@command -v python3.11 >/dev/null || { echo "python3.11 is needed: install it and run make again" >&2; exit 1; }
	@test -x $(UV) || { python3.11 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check uv; }
	$(UV) pip sync --quiet --python $(PY) requirements.lock
	@mkdir -p .venv/tmp && TMPDIR=$(CURDIR)/.venv/tmp $(UV) pip install --quiet --python $(PY) --no-deps --editable .
	@touch $@

lock: ## resolve requirements*.txt anew into requirements.lock
	$(UV) pip compile requirements-dev.txt -o requirements.lock --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --quiet

demo: setup ## screen a synthetic hospital through a real Airflow and print the result
	@$(PY) -m local_stack demo

up: setup ## Airflow, the FHIR sandbox, the CDS Hooks sidecar and their pages, until Ctrl-C
	@$(PY) -m local_stack up

cds: setup ## the CDS Hooks sidecar alone, on port 8091 of this machine, until Ctrl-C; CDS_… variables are passed on
	@$(PY) -m local_stack cds

airflow: setup ## Airflow's command line on what `make up` runs: make airflow ARGS='backfill create …'
	@$(PY) -m local_stack airflow $(ARGS)

test: setup ## the whole suite
	$(PYTEST)

model: setup ## rebuild the demo model, byte for byte: XGBoost on the invented hospital
	@$(PY) -m screening train --candidates xgboost

train: setup ## train from MIMIC-IV (MIMIC_DIR=…; without it, a synthetic hospital), judge and publish: ARGS='--allow-tiny' …
	@$(PY) -m screening train $(if $(MIMIC_DIR),--mimic "$(MIMIC_DIR)") $(ARGS)

parity: setup ## MIMIC-IV's tables against the same on FHIR: make parity MIMIC=DIR FHIR=DIR
	@test -n "$(MIMIC)" -a -n "$(FHIR)" || { echo "give both folders: make parity MIMIC=DIR FHIR=DIR" >&2; exit 2; }
	@$(PY) -m screening parity --mimic "$(MIMIC)" --fhir "$(FHIR)"

foreign: setup .venv/healthchain/.ready ## make .venv/healthchain: HealthChain's client, for the tests in tests/foreign
.venv/healthchain/.ready: tests/foreign/requirements.txt
	$(UV) venv --quiet --clear --python python3.11 .venv/healthchain
	$(UV) pip sync --quiet --python .venv/healthchain/bin/python $<
	@touch $@

coverage: setup ## the suite with coverage of plugins/
	$(PYTEST) --cov --cov-report=term

lint: setup ## ruff: rules and format
	.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: setup ## mypy strict on plugins/ and dags/
	.venv/bin/mypy

imports: setup ## import-linter: the arrows run one way
	.venv/bin/lint-imports

check: lint types imports ## all static checks

clean: ## remove what was made here
	rm -rf .venv var .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
