# Needs make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench notebooks clean

demo: $(VENV)/.main
	$(BIN)/python -m crucible_nb demo $(DEMO_ARGS)

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term
	$(BIN)/python -m pytest -n auto --dist loadfile --nbval -q notebooks

notebooks: $(VENV)/.test
	$(BIN)/python tools/build_notebooks.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

bench: $(VENV)/.test
	$(PIP) -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks --write

clean:
	rm -rf $(VENV) out build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.main: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[all]'
	touch $@

$(VENV)/.test: $(VENV)/.main
	$(PIP) -e '.[all,test]'
	touch $@
