# Needs make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench notebooks browser bundle clean

JS := crucible_nb/notebook/js
KERNELS := 6.31.0 7.1.0 7.2.0 7.3.0

demo: $(VENV)/.main
	$(BIN)/python -m crucible_nb demo $(DEMO_ARGS)

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term -m "not browser"
	$(BIN)/python -m pytest -n auto --dist loadfile --nbval -q notebooks
	$(BIN)/python -m pytest tests/notebook -m browser

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

# the dashboard's JavaScript, when it was changed; needs Node
bundle:
	cd $(JS) && npm ci --no-audit --no-fund --ignore-scripts && npm run build

# what browser tests want beside Chromium: the bundle's tools, and other versions of ipykernel
browser: $(JS)/node_modules $(KERNELS:%=.ipykernels/%)

$(JS)/node_modules: $(JS)/package-lock.json
	cd $(JS) && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

.ipykernels/%: $(VENV)/.test
	$(PIP) --no-deps --upgrade --target $@ ipykernel==$*
	touch $@

clean:
	rm -rf $(VENV) .ipykernels $(JS)/node_modules out build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.main: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[all]'
	touch $@

$(VENV)/.test: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[all,test]'
	touch $(VENV)/.main $@
