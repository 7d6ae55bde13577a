# Two commands: `make run` trains and shows, `make test` checks.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml CMakeLists.txt $(wildcard kernel/*) $(shell find src -name '*.py' -o -name '*.pyi')

.PHONY: run setup test test-long lint sanitize clean

run: setup
	$(BIN)/longlag train --recipe robust --save-dir run --overwrite
	$(BIN)/longlag figures run
	$(BIN)/longlag animate run
	@$(BIN)/longlag evaluate run
	@echo
	@echo "figures    run/training_curve.png run/sample_sequences.png run/cell_state.png run/pred_vs_target.png"
	@echo "animation  run/animation.gif"

setup: .venv/installed

.venv/installed: $(SOURCES) | .venv/bin/python
	$(BIN)/python -m pip install --quiet --upgrade .
	@$(BIN)/longlag doctor
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --upgrade '.[test]'
	@touch $@

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest -m "not long" --cov --cov-report=term --cov-fail-under=90

test-long: .venv/tested
	$(BIN)/python -m pytest -m long

clean:
	rm -rf .venv build run
