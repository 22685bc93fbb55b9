# Commands for developers. Each target makes .venv first if there is none.

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadgroup

.PHONY: help set-up tools test check soak bench docs messages clean
.NOTPARALLEL:

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 16

set-up: ## make .venv, or repair it
	@./learn --set-up

test: tools ## run the tests, except the slow ones
	@$(PYTEST)

check: tools ## lint, format and type checks, then the tests: every change must pass them
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTEST)

soak: tools ## run the tests that are too slow for every change
	@$(PYTEST) -m soak

bench: set-up ## measure the performance figures that the project claims
	@$(PYTHON) benchmarks/run.py

docs: set-up ## generate the plugin contract page from docstrings
	@.venv/bin/learn contract > docs/authors/contract.md

messages: tools ## update the catalogues of other languages from the sources
	@$(PYTHON) -m groundup.cli.messages

clean: ## delete generated files and caches; keep .venv and your workspace
	rm -rf build/lib build/bdist.* dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . \( -name .git -o -name .venv -o -path ./workspace \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

# Installs what only developers need, in addition to ./learn. The record is inside .venv, so it disappears with it.
tools: set-up
	@cmp -s pyproject.toml .venv/dev.toml || { \
	  echo "installing what 'make check' needs" >&2 && \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]' && \
	  cp pyproject.toml .venv/dev.toml; }
