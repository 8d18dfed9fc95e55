# The name of every check. People and CI call only these; each does its own set-up.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STATE  ?= state/demo
PYTEST_WORKERS ?= 2
# CI=1 in the environment makes a missing program to compare with an error instead of a skip

.PHONY: help run test check lint types yang bench fuzz docs dist clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# One stamp per set of dependencies, so that running does not wait for the tests' packages.
$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "eman-netconf needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no venv: apt-get install python3-venv"; exit 1; }
	@echo "installing eman-netconf into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable '.[fast]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --group test --group check
	@$(BIN)/python -m pip install --quiet --no-compile --group clients
	@touch $@

$(VENV)/.bench: $(VENV)/.run
	@$(PYTHON) -m venv $(VENV)-peer && $(VENV)-peer/bin/python -m pip install --quiet "pip>=25.1" && $(VENV)-peer/bin/python -m pip install --quiet --group bench
	@touch $@

run: $(VENV)/.run  ## the demo site, served on 127.0.0.1:8300 (ARGS="--port 0" and the like)
	@$(BIN)/eman-netconf run --demo --state $(STATE) $(ARGS)

test: $(VENV)/.dev  ## all tests (ARGS="-k name" and the like)
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

check: lint types yang  ## style, types and models

lint: $(VENV)/.dev  ## the style of the code
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.dev  ## the types of the code
	@$(BIN)/mypy

yang: $(VENV)/.dev  ## the models: pyang strict and lint, canonical form, yanglint, trees
	@$(BIN)/python tools/yang_checks.py

bench: $(VENV)/.bench  ## the measured promises, a few minutes
	@$(BIN)/python -m bench --peer-python $(VENV)-peer/bin/python $(ARGS)

fuzz: $(VENV)/.dev  ## the parsers under generated garbage, longer than in the tests
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) tests/fuzz --hypothesis-profile fuzz --timeout 900 $(ARGS)

docs: $(VENV)/.dev  ## what is generated: trees, state machines, conformance
	@$(BIN)/python tools/yang_checks.py --write
	@$(BIN)/python -m tools.docs

dist: $(VENV)/.dev  ## a wheel in dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:  ## take away all that the others made, but not the state of the demo
	@rm -rf $(VENV) $(VENV)-peer dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
