# What a developer runs. Each target makes .venv first where there is none.

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadgroup

.PHONY: help set-up tools test check soak bench docs messages clean
.NOTPARALLEL:

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 16

set-up: ## make .venv, or repair it
	@./learn --set-up

test: tools ## the tests, but for the slow ones
	@$(PYTEST)

check: tools ## lint, format, types, then the tests: what every change must pass
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTEST)

soak: tools ## the tests that are too slow for every change
	@$(PYTEST) -m soak

bench: set-up ## measure what the project promises to be fast
	@$(PYTHON) benchmarks/run.py

docs: set-up ## write the page of the plugin contract from its docstrings
	@.venv/bin/learn contract > docs/authors/contract.md

messages: tools ## bring the catalogues of other languages in step with the sources
	@$(PYTHON) -m groundup.cli.messages

clean: ## delete what is made from the sources; .venv and your workspace stay
	rm -rf build/lib build/bdist.* dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . \( -name .git -o -name .venv -o -path ./workspace \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

# What only developers need, on top of what ./learn installs. Kept inside .venv, the record goes where .venv goes.
tools: set-up
	@cmp -s pyproject.toml .venv/dev.toml || { \
	  echo "installing what 'make check' needs" >&2 && \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]' && \
	  cp pyproject.toml .venv/dev.toml; }
