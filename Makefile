# Two commands: `make run` trains and shows, `make test` checks.

PYTHON ?= python3
TEST_EXTRAS ?= test,oracles,cluster,interop,jax,parquet,docs
BIN := .venv/bin
SOURCES := pyproject.toml CMakeLists.txt $(wildcard kernel/* benchmarks/*.py) $(shell find src -name '*.py' -o -name '*.pyi' -o -path '*/assets/*')

.PHONY: run setup test test-lowest test-long lint chromium arm docs docs-links sanitize clean

run: setup
	@mkdir -p build
	$(BIN)/longlag train --recipe robust --save-dir demo --overwrite > build/trained.txt
	@echo "drawing what it learned"
	@$(BIN)/longlag figures demo >/dev/null
	@$(BIN)/longlag animate demo >/dev/null
	@$(BIN)/longlag explore demo >/dev/null
	@echo
	@echo "Open       demo/training_curve.png    how it learned"
	@echo "           demo/sample_sequences.png  what it answers to five sequences"
	@echo "           demo/cell_state.png        how its cells carry the values"
	@echo "           demo/pred_vs_target.png    its answers to 256 sequences"
	@echo "           demo/animation.gif         all of it, in motion"
	@echo "           demo/explorer.html         a page to try it on: drag a value, see a cell carry it"
	@echo
	@cat build/trained.txt

setup: .venv/installed

.venv/installed: $(SOURCES) | .venv/bin/python
	@echo "installing into .venv, with the native kernel where a C++ compiler is found: a minute or two"
	rm -rf build/wheels
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheels .
	$(BIN)/python -m pip install --quiet build/wheels/*.whl
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall build/wheels/*.whl
	@$(BIN)/longlag doctor
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/tested: .venv/installed | chromium
	wheel=$$(echo build/wheels/*.whl) && \
		$(BIN)/python -m pip install --quiet "$$wheel[$(TEST_EXTRAS)]"
	@touch $@

# Debian's packages for the tests: of what cannot be installed, the tests are skipped.
AS_ROOT = $(shell test "$$(id -u)" = 0 || echo sudo -n) env DEBIAN_FRONTEND=noninteractive
define install
	@command -v $(1) >/dev/null || { echo "installing $(2)"; \
		{ $(AS_ROOT) apt-get -qq update; $(AS_ROOT) apt-get -qq install -y $(2); } >/dev/null 2>&1; } \
		|| echo "apt-get cannot install $(2): some tests are skipped"
endef

chromium:  # for the explorer's tests
	$(call install,chromium,chromium)

arm:  # a compiler and an emulator for test_neon.py
	$(call install,aarch64-linux-gnu-g++,g++-aarch64-linux-gnu)
	$(call install,qemu-aarch64-static,qemu-user-static)

PROSE = $(wildcard *.md docs/*.md docs/*/*.md results/*.md results/*/README.md)

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/codespell $(PROSE) src kernel tests benchmarks
	$(BIN)/proselint check --config docs/proselint.json $(PROSE)

# Two processes, a file of tests each at a time.
SIDE_BY_SIDE = -n 2 --dist loadfile
SHORT = -m "not long and not survives" $(SIDE_BY_SIDE)

test: lint
	$(BIN)/python -m pytest $(SHORT) --maxfail=10 --cov --cov-report=term --cov-fail-under=90

test-long: .venv/tested | arm
	$(BIN)/python -m pytest tests -m "long or survives" $(SIDE_BY_SIDE) \
		--reliability docs/reliability.md

# The core tests with the lowest version of all that pyproject.toml requires, in an environment of
# its own with the oldest Python; without those of commands, faults, fuzz, pages and types, which
# take long and hardly depend on versions. Old releases beside new ones warn that they are deprecated.
OLDEST_PYTHON ?= $(shell command -v python3.11 || echo $(PYTHON))
LOWEST = build/lowest/bin/python -m
APART = docs_site documented_commands ending explorer explorer_learning explorer_symbols faults \
	fuzz_commands fuzz_files packaging published silence terminal

test-lowest: build/lowest/installed | chromium
	$(LOWEST) ruff check .
	$(LOWEST) pytest $(SHORT) -W default::DeprecationWarning \
		$(APART:%=--ignore=tests/test_%.py)

build/lowest/installed: $(SOURCES) tests/lowest.py
	rm -rf build/lowest
	$(OLDEST_PYTHON) -m venv build/lowest
	$(OLDEST_PYTHON) tests/lowest.py > build/lowest/lowest.txt
	PIP_CONSTRAINT="$(CURDIR)/build/lowest/lowest.txt" $(LOWEST) pip install --quiet \
		-r build/lowest/lowest.txt . -C build-dir=build/lowest/kernel
	@build/lowest/bin/longlag doctor
	@touch $@

# The site; every warning, and every reference to what is not there, is an error.
SITE = $(BIN)/python -m sphinx -c docs -W --keep-going -n -q

docs: .venv/documented
	$(SITE) . build/docs
	@echo "Open build/docs/index.html"

docs-links: .venv/documented  # asks the network
	$(SITE) -b linkcheck . build/docs-links

.venv/documented: .venv/installed
	wheel=$$(echo build/wheels/*.whl) && $(BIN)/python -m pip install --quiet "$$wheel[docs]"
	@touch $@

# The kernel under AddressSanitizer and UBSan, in an environment and a build directory of its own.
UNDER_ASAN = ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(SANITIZERS)" build/asan/bin/python
SANITIZERS = $(shell g++ -print-file-name=libasan.so) $(shell g++ -print-file-name=libubsan.so)

sanitize: build/asan/bin/python
	build/asan/bin/python -m pip install --quiet '.[test]' --force-reinstall \
		-C cmake.define.LONGLAG_SANITIZE=ON -C build-dir=build/sanitize
	$(UNDER_ASAN) -c 'import longlag._kernel'  # the fallback would hide a failed build
	$(UNDER_ASAN) -m pytest tests/test_kernel_bindings.py tests/test_kernel_online.py \
		tests/test_kernel_plain.py tests/test_kernel_signals.py

build/asan/bin/python:
	$(PYTHON) -m venv build/asan

clean:
	rm -rf .venv build demo
