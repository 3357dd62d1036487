# Every target sets up what it needs in .venv: only Python (3.11 or newer) and make are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready
NOTEBOOKS_READY := $(VENV)/.notebooks-ready

# Five files of 2 M rows to learn from, and what is left to evaluate on.
DEMO_ROWS ?= 10_500_000
DEMO_BUDGET ?= 512MB
DEMO ?= demo

# What test-floors runs: everything, if nothing is said.
FLOOR_TESTS ?=

# Processes that run tests side by side; memory tests start processes of their own.
WORKERS ?= 2

.PHONY: help install test check lint types layers doctest test-slow test-floors demo catalogue speed notebooks docs clean

help:
	@echo "make test         set up, check everything, run the tests"
	@echo "make test-slow    the tests at full size"
	@echo "make test-floors  the tests with the oldest supported dependencies"
	@echo "make demo         generate taxi-like data larger than the budget, fit, evaluate, report"
	@echo "make catalogue    measure every transformer of scikit-learn, and write docs/catalogue.md"
	@echo "make speed        measure us beside the peers, and write docs/speed.md: about an hour"
	@echo "make notebooks    run the notebooks at full size, and keep their outputs: five minutes"
	@echo "make docs         build the site, into site/"
	@echo "make check        lint, format, types, layers, doctests, tests"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(READY)

test: check

check: lint types layers doctest
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

doctest: $(READY)
	$(BIN)/python -m pytest --doctest-modules streamlearn

test-slow: $(READY)
	$(BIN)/python -m pytest -m 'slow or not slow'

test-floors:
	$(PYTHON) -m venv .venv-floors
	.venv-floors/bin/python -m pip install --quiet --disable-pip-version-check -c tests/floors.txt -e '.[dev]'
	# Old releases warn of each other; what they warn of is not ours.
	.venv-floors/bin/python -m pytest -W default -n $(WORKERS) $(FLOOR_TESTS)

demo: $(READY)
	rm -rf $(DEMO)
	$(BIN)/streamlearn generate taxi --rows $(DEMO_ROWS) -o $(DEMO)/data
	$(BIN)/streamlearn fit '$(DEMO)/data/part-0000[0-4].parquet' --target duration \
	  --derive "date_diff('second', lpep_pickup_datetime, lpep_dropoff_datetime) / 60.0 AS duration" \
	  --where "duration BETWEEN 1 AND 60 AND trip_distance BETWEEN 0 AND 100" \
	  --features PULocationID,DOLocationID,trip_distance,passenger_count,payment_type,store_and_fwd_flag,lpep_pickup_datetime \
	  --categorical PULocationID,DOLocationID,payment_type \
	  --model sgd-regressor --epochs 2 --validation 0.05 --memory-budget $(DEMO_BUDGET) -o $(DEMO)/run
	$(BIN)/streamlearn evaluate $(DEMO)/run '$(DEMO)/data/part-00005.parquet' --memory-budget $(DEMO_BUDGET)
	@echo
	@echo "The report: $(DEMO)/run/report.html"

catalogue: $(READY)
	$(BIN)/python -m benchmarks.catalogue

# lale wants a scikit-learn before 1.8, and so a venv of its own. SPEED may name works and options.
speed: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(PYTHON) -m venv .venv-lale
	.venv-lale/bin/python -m pip install --quiet --disable-pip-version-check lale pandas pyarrow
	$(BIN)/python -m benchmarks --venv lale=.venv-lale $(SPEED)

$(NOTEBOOKS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[notebooks]'
	@touch $@

# Runs all, or those named: make notebooks NOTEBOOKS=05_zarr.ipynb
notebooks: $(NOTEBOOKS_READY)
	$(BIN)/python notebooks/run.py $(NOTEBOOKS)

# What builds the site is installed for it alone.
$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(DOCS_READY)
	rm -rf site
	$(BIN)/python -m sphinx -q --fail-on-warning --keep-going -E -d $(VENV)/.doctrees docs site
	@echo "The site: site/index.html"

clean:
	rm -rf $(VENV) .venv-floors .venv-lale $(DEMO) site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
