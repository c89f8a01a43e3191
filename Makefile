# The commands of the project. 'make up' and 'make test' do all the set-up they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
STACK ?= local
DAGS ?= dags
# settings for this run only: make up CONFIG="airflow.metrics.enabled=true airflow.cleanup.pods=true"
CONFIG ?=
SETTINGS = $(addprefix --config=,$(CONFIG))
KIND ?= notice
NOTICE_SCALE ?= 1
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OPERATE = eval "$$($(BIN)/python -m embedded --stack $(STACK) env)" && $(BIN)/python -m operations --stack $(STACK)

$(READY): requirements.txt requirements-dev.txt
	@echo "== Python virtual environment (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, found $$($(PYTHON) --version)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -q && apt-get install -y -q python3-venv; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.PHONY: trials sleep wake bench-scale promote docs discard lint-dags help up preview cost report policy refresh down status nodes run-example drill password env check format unit engine e2e test
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY) ## deploy the stack onto the embedded cloud on this machine (STACK=local)
	@$(BIN)/python -m embedded --stack $(STACK) $(SETTINGS) up
preview: $(READY) ## show the plan, where its pods can land and what it costs
	@$(BIN)/python -m embedded --stack $(STACK) $(SETTINGS) preview
cost: $(READY) ## what the stack would cost; COMPARE=dev WORKERS=20 MWAA=1 HOURS=8: beside what; LIVE=1: present prices
	@$(BIN)/python -m embedded --stack $(STACK) $(SETTINGS) cost $(if $(COMPARE),--compare $(COMPARE)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(MWAA),--mwaa) $(if $(HOURS),--hours $(HOURS)) $(if $(LIVE),--live)
cost-docs: $(READY) ## rewrite the figures of docs/alternatives.md from the shipped stacks
	@$(BIN)/python -m embedded cost-docs
report: $(READY) ## report.html: cost, placement, what the stack is built from, its last drill
	@$(BIN)/python -m embedded --stack $(STACK) $(SETTINGS) report
policy: $(READY) ## every policy over the plan; fails on a finding
	@$(BIN)/python -m embedded --stack $(STACK) $(SETTINGS) policy
refresh: $(READY) ## compare the stack with what exists; fails on drift
	@$(BIN)/python -m embedded --stack $(STACK) refresh
down: $(READY) ## destroy the stack, prove that nothing is left, stop everything
	@$(BIN)/python -m embedded --stack $(STACK) down
discard: $(READY) ## switch the embedded cloud off as it is, when 'make down' cannot
	@$(BIN)/python -m embedded discard
status: $(READY) ## what runs
	@$(BIN)/python -m embedded --stack $(STACK) status
password: $(READY) ## the web UI's password
	@$(BIN)/python -m embedded --stack $(STACK) password
env: $(READY) ## shell settings for kubectl, aws, psql: eval "$$(make -s env)"
	@$(BIN)/python -m embedded --stack $(STACK) env
nodes: $(READY) ## nodes and pods by lifecycle
	@$(OPERATE) nodes
sleep: $(READY) ## take away all nodes and stop the database; FORCE=1 stops running tasks
	@$(OPERATE) sleep $(if $(FORCE),--force)
wake: $(READY) ## bring a sleeping stack back with all it had
	@$(OPERATE) wake
run-example: $(READY) ## run example_bash_operator; succeeds only if every task ran on a Spot node
	@$(OPERATE) run-example
drill: $(READY) ## lose something under load: KIND=notice|sudden|all-spot|scheduler|api-server|database; fails unless nothing was lost
	@$(OPERATE) drill --kind $(KIND) --notice-scale $(NOTICE_SCALE) $(if $(CONFIRM),--confirm $(CONFIRM)) $(if $(OUTPUT),--output $(OUTPUT))
.PHONY: cost-docs cost-runs
cost-runs: $(READY) ## what each of the latest DAG runs cost, Spot beside On-Demand
	@$(OPERATE) cost-runs

.PHONY: preflight
preflight: $(READY) ## ask AWS whether the account of the shell has what STACK=dev needs; fails on a shortfall
	@$(BIN)/python -m operations.preflight --stack $(STACK)
promote: $(READY) ## move what runs in FROM=dev to TO=staging, in the Pulumi backend of the shell; YES=1 asks nobody
	@$(BIN)/python -m operations.promotion --from "$(FROM)" --to "$(TO)" --digest "$(DIGEST)" $(if $(YES),--yes)

lint-dags: $(READY) ## name each task of DAGS=dags that would not survive losing its Spot node
	@$(BIN)/python -m operations.dag_lint $(DAGS)

check: $(READY) ## formatting, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
docs: $(READY) ## rewrite the settings table of the README and the schema of plugin/
	@$(BIN)/python -m operations.settings_table
	@$(BIN)/python -m plugin.packaged > plugin/schema.json.new && mv plugin/schema.json.new plugin/schema.json
format: $(READY) ## put the code in shape
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
unit: $(READY) ## fast tests: no root, no cloud
	@$(BIN)/python -m pytest -q -n auto --dist worksteal tests/unit
engine: $(READY) ## the real Pulumi engine and Kubernetes API, simulated nodes
	@$(BIN)/python -m pytest -q -p no:hypothesispytest tests/engine
e2e: $(READY) ## the whole stack with real nodes, PostgreSQL, Airflow and a browser
	@$(BIN)/python -m pytest -q -p no:hypothesispytest tests/e2e
trials: $(READY) ## drills and kills of every kind on the whole stack; half an hour, ends with the figures
	@$(BIN)/python -m pytest -v -rP -p no:hypothesispytest tests/e2e/trial_drills.py tests/e2e/trial_interruptions.py
bench-scale: $(READY) ## 1,000 Spot nodes, 5,000 tasks: where they land, what pinning costs the scheduler, half of the nodes lost
	@$(BIN)/python -m bench.scale
test: $(READY) ## every tier
	@echo "== programs of the embedded cloud (built once; ten minutes)"
	@$(BIN)/python -m embedded.toolchain
	@$(BIN)/python -m pytest -q -n auto --dist worksteal tests/unit
	@$(BIN)/python -m pytest -v -p no:hypothesispytest --durations=15 tests/engine tests/e2e
