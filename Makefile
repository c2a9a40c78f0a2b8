# Everything a developer does. `make` or `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
T ?= tests

.PHONY: help setup demo test check format map bench schema lock clean

help:  ## List these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup:  ## Make .venv with everything for development; does nothing when it is up to date
	@PYTHON=$(PYTHON) ./setup

demo: setup  ## Run the main job on real data: from a table to a rollback, in under four minutes
	@$(BIN)/python demo/demo.py

test: setup  ## Run the whole test suite (T=tests/engine for a part)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(T)

check: setup  ## Check format, lint, types and import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup  ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

map: setup  ## Print the module map with sizes and the import graph; fails on a ring
	@$(BIN)/python scripts/map.py

bench: setup  ## Run the benchmarks
	@$(BIN)/python bench/walk.py

schema: setup  ## Write the published JSON schema of the project file again
	@$(BIN)/tenure schema > docs/reference/tenure.schema.json

lock: setup  ## Pin all dependencies again, with hashes and without addresses
	@./scripts/lock

clean:  ## Remove the environment and everything that was built
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .hypothesis
