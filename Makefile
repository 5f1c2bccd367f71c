# Needs make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
# uv installs in seconds what takes pip minutes; where it cannot be had or finds no packages, pip does it
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
install = { test -x $(BIN)/uv || $(PIP) uv; } && $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) || $(PIP) $(1)
MAIN := -e '.[all]'
TEST := -e '.[all,test,docs]'

.PHONY: demo test check coverage explore lint bench docs notebooks browser bundle release clean

JS := crucible_nb/notebook/js
KERNELS := 6.31.0 7.1.0 7.2.0 7.3.0

demo: $(VENV)/.main
	$(BIN)/python -m crucible_nb demo --digits $(DEMO_ARGS)

# a few minutes: every test but the long ones, the laws with few examples
test: $(VENV)/.test
	@make --no-print-directory lint >$(VENV)/lint.log 2>&1 & lint=$$!; \
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not check" tests; tests=$$?; \
	wait $$lint; lint=$$?; cat $(VENV)/lint.log; exit $$((tests + lint))

# what `make test` leaves out: the laws with more examples, long suites, doctests, tutorials, browsers
check: $(VENV)/.test
	$(BIN)/python -m pytest --hypothesis-profile=check -n auto --dist worksteal -m "(check or hypothesis or seeded) and not browser" tests
	$(BIN)/python -m pytest --doctest-modules --doctest-glob="*.md" -n auto --dist worksteal README.md docs crucible_nb
	$(BIN)/python -m pytest -n auto --dist loadfile --nbval -q notebooks
	$(BIN)/python -m pytest --hypothesis-profile=check tests/notebook tests/site -m browser

# which lines the tests reach
coverage: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal --doctest-modules --doctest-glob="*.md" --cov --cov-report=term -m "not browser"

# the laws with new random examples; what fails becomes an explicit example
explore: $(VENV)/.test
	$(BIN)/python -m pytest --hypothesis-profile=explore -n auto --dist worksteal -m "hypothesis or seeded" tests

# the documentation site; a name without a page, a dead link or a broken docstring is an error
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -W -n --keep-going -q -E -d docs/_build/doctrees docs docs/_build/html

notebooks: $(VENV)/.test
	$(BIN)/python tools/build_notebooks.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

bench: $(VENV)/.test
	$(call install,-r benchmarks/requirements.txt)
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
	$(call install,--no-deps --upgrade --target $@ ipykernel==$*)
	touch $@

# what a release uploads, into dist/, and a look at it; it uploads nothing
release:
	rm -rf dist
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(call install,build twine)
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python tools/check_dist.py dist

clean:
	rm -rf $(VENV) .ipykernels $(JS)/node_modules out build dist docs/_build docs/api docs/tutorials .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.main: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(call install,$(MAIN))
	touch $@

$(VENV)/.test: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(call install,$(TEST))
	touch $(VENV)/.main $@
