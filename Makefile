# make evals   everything for a first report: environment, suites on the embedded model, the page
# make pilot   the learning curve of tuning on the demo's query suite: trains for minutes, goes on where it was
# make test    everything that must hold: environment, format, lint, types, layers, tests
# make docs    the documentation as a site, in build/site
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: evals pilot test docs lint types layers clean

evals: $(INSTALLED)
	$(BIN)/pytest evals/

pilot: $(INSTALLED)
	$(BIN)/rung pilot query

test: $(INSTALLED) lint types layers
	$(BIN)/pytest tests/ -n 2 --dist worksteal

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
	$(BIN)/lint-imports

# torch comes first and pinned: asked for by another package, pip would fetch gigabytes of CUDA.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .rung .pytest_cache .mypy_cache .ruff_cache
