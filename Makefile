# Each target calls a command that also works by itself.
SHELL := /bin/bash
PYTHON := .venv/bin/python
SETUP := python3 kmes/supervision/setup.py
.DEFAULT_GOAL := help
.PHONY: help run test demo bench faults screenshots lint fmt types lock audit sbom clean

help: ## List the targets
	@echo "usage: make <target>"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST)

# exec: the supervisor is then make's own child, and gets its SIGTERM and Ctrl-C.
run: ## Install what is missing and run the console on this machine (Ctrl-C stops it)
	@$(SETUP) && exec $(PYTHON) -m kmes.supervision run

test: ## Run every check and test, as CI does
	@$(SETUP) --tests && exec $(PYTHON) -m kmes.devtools.checks all

demo: ## Show the main job end to end on a temporary instance
	@$(SETUP) && exec $(PYTHON) -m kmes.devtools.demo

bench: ## Measure pushes, memory, and pages at full size on PostgreSQL, one JSON line each
	@$(SETUP) && exec $(PYTHON) -m kmes.devtools.bench

faults: ## Run all fault tests and print the matrix
	@$(SETUP) --tests && exec $(PYTHON) -m tests.faults

screenshots: ## Take the pictures of docs/tour.md again
	@$(SETUP) --tests && SCREENSHOTS=1 $(PYTHON) -m pytest -q tests/browser/test_tour.py

lint: ## Run the linters, without changing a file
	@$(SETUP) --tests && exec $(PYTHON) -m kmes.devtools.checks lint

types: ## Run the type checker
	@$(SETUP) --tests && exec $(PYTHON) -m kmes.devtools.checks types

fmt: ## Format the code and apply the linter's fixes
	@$(SETUP) --tests && $(PYTHON) -m ruff check --fix-only --quiet . ; $(PYTHON) -m ruff format .

LOCK := .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q
lock: ## Pin the requirements from pyproject.toml
	@$(SETUP) --tests
	$(LOCK) pyproject.toml -o requirements/base.txt
	$(LOCK) pyproject.toml --group dev -c requirements/base.txt -o requirements/dev.txt
	$(LOCK) requirements/node.in -o requirements/node.txt

audit: ## Check all pinned packages for known vulnerabilities (needs the internet)
	@$(SETUP) --tests && $(PYTHON) -m pip_audit --strict --disable-pip --progress-spinner off -r requirements/dev.txt \
		&& npm audit

sbom: ## Write the software bill of materials to var/sbom.cdx.json
	@$(SETUP) --tests && mkdir -p var && $(PYTHON) -m kmes.devtools.sbom --output var/sbom.cdx.json

clean: ## Remove generated files (never var/, the state)
	rm -rf .venv node_modules staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './node_modules/*' -prune -exec rm -rf {} +
