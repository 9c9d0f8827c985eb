# The single entry. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
LOCK := uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	--python-platform x86_64-manylinux_2_28 --custom-compile-command 'make lock'
# Byte code is kept, whatever the environment says, and not between the sources.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(VENV)/.installed: requirements/dev.txt requirements/build.txt
	"$${PYTHON:-$$(scripts/choose-python)}" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.ready: $(VENV)/.installed pyproject.toml sources/release.lock
	$(BIN)/python -m airgap_bundle.build.native_wheel --install-into $(BIN)/python
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: venv
venv: $(VENV)/.ready ## Python environment with everything that builds and tests

.PHONY: system-packages
system-packages: ## Install the Debian packages that building and all tests need (root)
	scripts/system-packages

.PHONY: demo
demo: venv ## Build, sign, verify, install and serve the assistant; ONCE=1 plays two users and stops
	$(BIN)/python -m demo $(if $(ONCE),--once)

.PHONY: lint
lint: venv ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test-unit
test-unit: venv ## Tests without a network, in seconds
	$(BIN)/pytest tests/unit tests/property

.PHONY: attack
attack: venv ## What an attacker tries; the last line counts
	$(BIN)/python -m tests.attacks

.PHONY: vectors
vectors: venv ## Write the format's vectors anew, then ask about each in a process of its own; the last line counts
	$(BIN)/python -m tests.vectors.generate
	$(BIN)/python -m tests.conformance

.PHONY: bench-bundle
bench-bundle: venv ## Measure building and verifying the demonstration's release; the last line is JSON
	$(BIN)/python -m tests.bench.bundle

.PHONY: bench-images
bench-images: venv ## Weigh the cluster's images and time their assembly; COLD=1 compiles all of it before; the last line is JSON
	$(BIN)/python -m tests.bench.images $(if $(COLD),--cold)

.PHONY: bench-cluster
bench-cluster: venv ## From the bundle to the first answer on two lab hosts, and their memory idle; the last line is JSON (root)
	$(BIN)/python -m tests.bench.cluster

KILLS ?= 200
SITE_KILLS ?= 60
.PHONY: chaos
chaos: venv ## Kill the log's writer and its callers KILLS times, a whole site's services SITE_KILLS times; last lines say what was left
	$(BIN)/python -m tests.audit.chaos $(KILLS)
	$(BIN)/python -m tests.audit.site_storm $(SITE_KILLS)

.PHONY: bench-audit
bench-audit: venv ## What the audit log costs, and how long a million entries take to check and count; last line JSON
	$(BIN)/python -m tests.bench.audit

SECONDS ?= 300
.PHONY: fuzz
fuzz: venv ## Fuzz every reader of hostile bytes for SECONDS each; the last line counts
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

WORKERS ?= 2
.PHONY: test
test: lint ## All that this machine can test, by two workers or WORKERS; the last line counts
	$(BIN)/python -m tests --workers $(WORKERS)

N ?= 2
.PHONY: lab-up
lab-up: venv ## Boot N test hosts on a bridge with no way out (root)
	$(BIN)/python -m lab up $(N)

.PHONY: lab-down
lab-down: venv ## Stop the test hosts and remove all that lab-up made
	$(BIN)/python -m lab down

HOST ?= node1
.PHONY: lab-ssh
lab-ssh: venv ## Enter a test host by ssh; HOST=node2 for another
	@$(BIN)/python -m lab ssh $(HOST)

.PHONY: test-cluster
test-cluster: venv ## Journeys on two hosts with no way out (root)
	$(BIN)/pytest -m cluster tests/e2e/two_hosts

.PHONY: test-cluster-ha
test-cluster-ha: N = 3
test-cluster-ha: venv ## Three control planes behind a shared address, or a balancer's (BALANCED=1), one cut off; N=4 adds and removes a worker (root)
	SOVEREIGN_TEST_HOSTS=$(N) SOVEREIGN_TEST_BALANCED=$(BALANCED) $(BIN)/pytest -m cluster tests/e2e/cluster_ha

.PHONY: test-cluster-upgrade
test-cluster-upgrade: venv ## A cluster from Kubernetes 1.36.2 to 1.36.3 by a delta, and back (root)
	$(BIN)/pytest -m cluster tests/e2e/cluster_upgrade

REQUESTS ?= 50000
.PHONY: soak
soak: venv ## Ask one small engine REQUESTS times under eviction, failures and departures; the last line is JSON
	$(BIN)/python -m tests.soak $(REQUESTS)

.PHONY: bench-confinement
bench-confinement: venv ## What confining an engine costs, measured in alternating rounds
	$(BIN)/python -m tests.bench.confinement

.PHONY: bench-engine
bench-engine: venv ## Measure the engine beside llama-server of the same sources; QUICK=1 only tries it, FRESH=1 forgets former runs; the last line is JSON
	$(BIN)/python -m tests.bench.engine $(if $(QUICK),--quick) $(if $(FRESH),--fresh)

.PHONY: test-gpu
test-gpu: venv ## Tests of the engine with every model on this host's first GPU, where the wheel has code for it
	$(BIN)/pytest tests/integration/engine/test_gpu.py
	SOVEREIGN_TEST_GPU=0 $(BIN)/pytest tests/integration/engine/test_small_model.py tests/integration/engine/test_adapters.py tests/integration/engine/test_soak.py

.PHONY: test-llama-server
test-llama-server: venv ## Tests of llama-server out of a release's wheel, which is compiled first: some ten minutes
	$(BIN)/python -m tests.engine.llama_server_wheel
	$(BIN)/pytest tests/integration/engine/test_llama_server_of_a_release.py tests/integration/engine/test_llama_server_start.py

.PHONY: bench-gpu
bench-gpu: venv ## The engine on this host's first GPU beside llama-server on it; the last line is JSON
	$(BIN)/python -m tests.bench.gpu

.PHONY: bench-learning
bench-learning: venv ## What documents, a night and the loop are worth on Debian's manuals; QUICK=1 only tries it; LOOKUPS=1, EMBEDDING, MEANING; the last line is JSON
	$(BIN)/python -m tests.bench.learning $(if $(QUICK),--quick) $(if $(LOOKUPS),--lookups) $(if $(EMBEDDING),--embedding $(EMBEDDING)) $(if $(MEANING),--meaning $(MEANING))

.PHONY: bench-confidence
bench-confidence: venv ## How far confidence is off after calibration; QUICK=1 for minutes; the last line is JSON
	$(BIN)/python -m tests.bench.confidence $(if $(MODEL),--model $(MODEL)) $(if $(QUICK),--minutes 2.5)

.PHONY: bench-gate
bench-gate: venv ## How often the gate stops a change of nothing, and which falls it sees; the last line is JSON
	$(BIN)/python -m tests.bench.gate

.PHONY: bench-gateway
bench-gateway: venv ## Measure what sign-in, policy, quota and log add to an answer; the last line is JSON
	$(BIN)/python -m tests.bench.gateway

.PHONY: reproducible
reproducible: venv ## Compile the native wheels and the bundle twice and compare digests
	$(BIN)/python -m airgap_bundle.build.reproducible

.PHONY: docs
docs: venv ## Write the reference pages again from the code
	$(BIN)/python -m docs.generate

.PHONY: keycloak-schema
keycloak-schema: venv ## Write the schema of Keycloak's empty database again, after a change of its version
	$(BIN)/python -m tests.integration.keycloak_schema

.PHONY: lock
lock: ## Resolve requirements again (needs uv) and write hash-locked lists
	$(LOCK) requirements/runtime.in -o requirements/runtime.txt
	$(LOCK) requirements/build.in -o requirements/build.txt
	$(LOCK) requirements/cuda.in -o requirements/cuda.txt
	$(LOCK) --no-emit-package llama-cpp-python requirements/dev.in -o requirements/dev.txt

.PHONY: clean
clean: ## Remove what make made here (caches under ~/.cache/sovereign stay)
	rm -rf $(VENV) .demo dist
