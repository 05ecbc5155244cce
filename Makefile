# One word a command, the same on a laptop and in continuous integration.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
ONEPRICE := $(VENV)/bin/oneprice

.PHONY: demo test check bench verify docs clean

demo: $(VENV)/.user
	$(ONEPRICE) demo

test: $(VENV)/.dev
	$(RUN) pytest $(TESTS)

check: $(VENV)/.dev
	$(RUN) ruff check src tests examples
	$(RUN) mypy
	$(RUN) pytest tests/test_tidy.py

bench: $(VENV)/.bench
	$(ONEPRICE) bench

verify: $(VENV)/.user
	$(ONEPRICE) verify

docs: $(VENV)/.dev
	$(RUN) oneprice.dashboard.pages

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: $(VENV)/bin/python pyproject.toml
	$(RUN) pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(RUN) pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.user

$(VENV)/.bench: $(VENV)/bin/python pyproject.toml
	$(RUN) pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@ $(VENV)/.user

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
