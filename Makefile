# Import Gateway. `make demo` and `make test` set themselves up; nothing else is needed first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGE ?=

.PHONY: demo serve test lint bench fuzz faults stores matrix nightly interop front setup clean

demo: $(VENV)/.runtime
	@$(BIN)/python -m examples.demo $(if $(IMAGE),--image "$(IMAGE)")

serve: $(VENV)/.runtime
	@$(BIN)/import-gateway serve --demo

test: $(VENV)/.dev
	@.ci/media
	@$(BIN)/pytest -q -n auto --maxprocesses 8 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.policy.fuzz --seconds 60

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults
	$(BIN)/python -m tests.fleet

stores: $(VENV)/.dev
	$(BIN)/python -m tests.stores

matrix: $(VENV)/.dev
	$(BIN)/python -m tests.matrix

nightly: $(VENV)/.dev
	$(BIN)/python -m tests.isolation --steps 20000
	$(BIN)/python -m tests.schema_fuzz --cases 20000
	$(BIN)/python -m tests.policy.campaign --cases 20000
	$(BIN)/python -m tests.policy.campaign --mutants
	$(BIN)/python -m tests.images.campaign --mutations 20000
	$(BIN)/python -m tests.faults --kills 300

interop: $(VENV)/.dev
	$(BIN)/python -m tests.interop

front: $(VENV)/.dev
	$(BIN)/python -m tests.interop --front
	$(BIN)/python -m tests.fronting --kills 40

setup: $(VENV)/.dev

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) .ci/venv.py $(VENV) .
	@touch $@

$(VENV)/.dev: pyproject.toml
	@$(PYTHON) .ci/venv.py $(VENV) ".[dev]"
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) .venv-interop .venv-runtime .venv-swift dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
