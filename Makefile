# Two commands for a fresh machine that has Python 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/installed
EXTRAS := .venv/extras-installed

.PHONY: demo test test-slow extras lint clean

demo: $(STAMP)
	$(BIN)/pixelrnn train

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(EXTRAS)
	$(BIN)/python -m pytest -m 'slow or long'

extras: $(EXTRAS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

$(EXTRAS): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,joblib,slurm,ray,optuna,dashboard,codecs,mnist5k]'
	touch $(EXTRAS)

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
