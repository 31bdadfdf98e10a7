# make evals   everything for a first report: environment, suites on the embedded model, the page
# make pilot   the learning curve of tuning on the demo's query suite: trains for minutes, goes on where it was
# make test    everything that must hold: environment, format, lint, types, layers, tests
# make docs    the documentation as a site, in build/site
# make fuzz    the loaders and the page's data against arbitrary bytes, for minutes
# make kills   runs that are killed at 30 random points, serial and with two workers, and resumed
# make audit   known vulnerabilities of what constraints.txt pins, and the licences of all that is installed
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: evals pilot test docs lint types layers fuzz kills audit clean

evals: $(INSTALLED)
	$(BIN)/pytest evals/

pilot: $(INSTALLED)
	$(BIN)/rung pilot query --sizes 40,80,160,320

test: $(INSTALLED) lint types layers
	$(BIN)/pytest tests/ -n 2 --dist worksteal

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

fuzz: $(INSTALLED)
	$(BIN)/pytest tests/test_fuzz.py --hypothesis-profile=fuzz

kills: $(INSTALLED)
	RUNG_KILL_POINTS=120 $(BIN)/pytest tests/test_staying_power.py -k killed

# In an environment of their own: what they need must not bend the versions that are looked at.
audit: $(INSTALLED)
	test -x $(VENV)/audit/bin/pip-audit || $(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet pip-audit pip-licenses
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip --requirement constraints.txt
	$(VENV)/audit/bin/pip-licenses --python=$(BIN)/python --from=mixed --order=license --format=markdown --output-file=build/licences.md

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
