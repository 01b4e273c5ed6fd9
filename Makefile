# Every target does its own set-up from a bare clone with Python 3.11 and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BASE_PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO_SEED ?= 1
SEED ?= 1
RUNS ?= 4
# Two OpenMP threads beside other work spin on each other; the tests and the services use one.
export OMP_NUM_THREADS ?= 1

RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
# TRL and Liger bring a gigabyte that the product never needs: an environment of their own.
BENCHMARK_VENV := .venv-bench
BENCHMARK := $(BENCHMARK_VENV)/.benchmark
# MLflow, to compare with; its pins are not ours.
BENCHMARK_API_VENV := .venv-bench-api
BENCHMARK_API := $(BENCHMARK_API_VENV)/.benchmark
# For instance `make bench-trainer BENCH_OPTIONS="--only head --repeats 3"`.
BENCH_OPTIONS ?=

.PHONY: help demo up test chaos lint builtin-models bench-trainer bench-latency bench-api protos protos-release lock clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

demo: $(RUNTIME) ## Distil the built-in student four ways and print what it gained (DEMO_SEED=1)
	$(BIN)/driftgate demo --seed $(DEMO_SEED)

up: $(RUNTIME) ## Start broker, API, gRPC, worker and reconciler until Ctrl-C
	$(BIN)/driftgate up

# Every process of tests starts its own servers, so there are four at most; what a file's tests share stays in one.
test: $(DEVELOPMENT) chromium ## The whole test suite; starts the servers that it needs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Each run takes its own seed, from SEED on, by turns on SQLite and on PostgreSQL; CHAOS_KEEP=FOLDER keeps what failed.
chaos: $(DEVELOPMENT) ## Break everything at random, and check that nothing is lost (SEED=1 RUNS=4)
	GRPC_VERBOSITY=NONE $(BIN)/python -m tests.chaos --seed $(SEED) --runs $(RUNS)

lint: $(DEVELOPMENT) ## Style, types, import contracts and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd proto && $(abspath $(BIN))/buf lint
	cd proto && $(abspath $(BIN))/buf breaking --against released.binpb

builtin-models: $(RUNTIME) ## Train the built-in student and teacher from nothing (two minutes)
	$(BIN)/python -m worker.builtin_models

bench-trainer: $(BENCHMARK) ## Measure the trainer against full logits, generate, TRL and Liger (half an hour)
	$(BENCHMARK_VENV)/bin/python -m benchmarks.trainer $(BENCH_OPTIONS)

bench-latency: $(RUNTIME) ## Measure POST to first update, with nothing loaded and warm (two minutes)
	$(BIN)/python -m benchmarks.latency

bench-api: $(DEVELOPMENT) $(BENCHMARK_API) ## Measure requests against a lean app and MLflow's server (ten minutes)
	$(BIN)/python -m benchmarks.api $(BENCH_OPTIONS)

protos: $(DEVELOPMENT) ## Generate service/rpc/generated from proto/
	$(BIN)/python -m service.rpc.generate

# The contract as it was released last, which `make lint` holds proto/ against: it may only be added to. Renewed in the
# commit of a release, and in no other.
protos-release: $(DEVELOPMENT) ## Write proto/released.binpb, at a release only
	cd proto && $(abspath $(BIN))/buf build --exclude-source-info -o released.binpb

# The browser tests skip, with the reason, where no Chromium can be had.
.PHONY: chromium
chromium:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 \
	    || echo "Chromium could not be installed: the browser tests will be skipped"; \
	fi

# torch comes first and alone: any open range would bring several GB of CUDA packages.
$(RUNTIME): pyproject.toml requirements/main.txt
	@$(BASE_PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Driftgate needs Python 3.11 to 3.13; set BASE_PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(BASE_PYTHON) -m venv $(VENV)
	$(PIP) install $(shell grep '^torch==' requirements/main.txt)
	$(PIP) install --no-deps -r requirements/main.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements/dev.txt
	$(PIP) install --no-deps -r requirements/dev.txt
	@touch $@

$(BENCHMARK): pyproject.toml requirements/main.txt benchmarks/requirements.txt
	test -x $(BENCHMARK_VENV)/bin/python || $(BASE_PYTHON) -m venv $(BENCHMARK_VENV)
	$(BENCHMARK_VENV)/bin/python -m pip --disable-pip-version-check --quiet install $(shell grep '^torch==' requirements/main.txt)
	$(BENCHMARK_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -r requirements/main.txt -r benchmarks/requirements.txt
	$(BENCHMARK_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	@touch $@

$(BENCHMARK_API): benchmarks/api/requirements.txt
	test -x $(BENCHMARK_API_VENV)/bin/python || $(BASE_PYTHON) -m venv $(BENCHMARK_API_VENV)
	$(BENCHMARK_API_VENV)/bin/python -m pip --disable-pip-version-check --quiet install -r benchmarks/api/requirements.txt
	@touch $@

lock: ## Resolve pyproject.toml's ranges anew into requirements/*.txt
	rm -rf build/lock && $(BASE_PYTHON) -m venv build/lock
	build/lock/bin/pip install -q torch==2.13.0
	build/lock/bin/pip install -q hatchling==1.33.0 '.[embedded]'
	build/lock/bin/pip freeze --exclude driftgate | sed 's/+cpu$$//' > requirements/main.txt
	build/lock/bin/pip install -q '.[dev]'
	build/lock/bin/pip freeze --exclude driftgate | sed 's/+cpu$$//' | grep -vxFf requirements/main.txt > requirements/dev.txt
	rm -rf build/lock

clean: ## Remove the environment and everything that was written
	rm -rf $(VENV) $(BENCHMARK_VENV) $(BENCHMARK_API_VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
