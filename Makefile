# Two commands matter: `make demo` and `make test`. Each sets up what it needs, from nothing, in .venv.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SMALTI := $(BIN)/smalti
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test check lint unit e2e test-native test-package test-web soak bench tools docs web serve system clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The package with its run-time dependencies; the kernels are compiled where there is a C compiler.
$(VENV)/.installed: pyproject.toml hatch_build.py $(wildcard native/*.c native/*.h) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

# What the tests need on top: exact versions, so that a run tomorrow is the run of today.
$(VENV)/.tested: $(VENV)/.installed requirements/test.txt requirements/clearml-2.1.7.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/test.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target $(VENV)/clearml-2.1.7 -r requirements/clearml-2.1.7.txt
	touch $@

demo: $(VENV)/.installed
	$(SMALTI) demo smalti-demo

system:
	sh scripts/system-packages.sh

lint: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Chromium gets the machine to itself; a test fails when it fails twice, because a busy machine may starve a browser or
# a killed process once. What failed first is named in the output.
unit: $(VENV)/.tested
	$(BIN)/python -m pytest -m "not soak and not e2e" -n 2 --dist loadfile -q || $(BIN)/python -m pytest -m "not soak and not e2e" --lf -q

e2e: $(VENV)/.tested $(VENV)/.web
	$(BIN)/python -m pytest -m "e2e and not soak" -q || $(BIN)/python -m pytest -m "e2e and not soak" --lf -q

$(VENV)/.web: $(VENV)/.tested
	sh scripts/test-web.sh $(BIN)/python
	touch $@

# What a person runs while working: everything quick, under a few minutes.
check: lint
	$(BIN)/python -m pytest -m "not soak and not e2e and not postgres and not s3" -n 2 --dist loadfile -q

test-native: $(VENV)/.tested
	PYTHON=$(BIN)/python sh native/fuzz/run.sh

test-package: $(VENV)/.tested
	sh scripts/test-package.sh $(BIN)/python

test-web: $(VENV)/.web

test: system lint test-native test-web unit e2e test-package

soak: $(VENV)/.tested
	$(BIN)/python -m pytest -m soak -q -s

bench: $(VENV)/.tested
	sh scripts/bench.sh

tools:
	sh scripts/foreign_tools.sh

web: $(VENV)/.installed
	$(BIN)/python hatch_build.py web

serve: $(VENV)/.installed
	$(SMALTI) demo smalti-demo --serve

clean:
	rm -rf $(VENV) build dist smalti-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
