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

# 'make soak TECHNIQUES="gae ppo"' takes these alone; 'make soak ANEW=1' also what is proved, or has passed, as it is.
soak: tools ## prove everything thoroughly, and run the slow tests; it goes on where it was interrupted
	@.venv/bin/learn author check $(or $(TECHNIQUES),--all) --thorough $(if $(ANEW),--anew)
	@$(PYTEST) -m soak $(if $(ANEW),,--go-on) $(if $(TECHNIQUES),--techniques "$(TECHNIQUES)") || test $$? = 5

bench: set-up ## measure the performance figures that the project claims
	@$(PYTHON) benchmarks/run.py

docs: set-up ## generate the pages on the plugin contract, from docstrings, and on soundness, from the proofs
	@.venv/bin/learn contract > docs/authors/contract.md
	@.venv/bin/learn author soundness > docs/soundness.md

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
