# Everything is set up in .venv; `make demo` and `make test` need nothing before them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip is run from outside, as some systems ship venv without it.
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet
# Two more than there are processors: one for what does nothing but wait, which ends with that.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')
export PATH := $(CURDIR)/$(VENV)/tools:$(PATH)
# The tests start the product more than a hundred times, which would compile it each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check lint tests rules generate bench soak lock tools clean

demo: $(VENV)/run.stamp
	$(BIN)/python deploy/demo.py

test: tools check

check: lint tests

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(VENV)/dev.stamp
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The rules and their tests as shipped, which `make test` runs in parts.
rules:
	promtool check rules deploy/prometheus/rules.yml
	promtool test rules deploy/prometheus/rules_test*.yml

generate: $(VENV)/dev.stamp
	$(BIN)/python -m exporter.catalogue
	$(BIN)/python -m grafana.build
	$(BIN)/python -m deploy.prometheus_rule
	PYTHONPATH=.:tests $(BIN)/python tests/failures_page.py

bench: $(VENV)/dev.stamp
	$(BIN)/python bench/exposition.py
	$(BIN)/python bench/process.py
	PYTHONPATH=.:tests $(BIN)/python bench/quiet_life.py
	if command -v go >/dev/null; then PYTHONPATH=.:tests $(BIN)/python bench/dashboards.py; fi

# Ten minutes: the exporter's life a hundred times faster, among all that can go wrong.
soak: $(VENV)/dev.stamp
	PYTHONPATH=.:tests $(BIN)/python bench/soak.py

lock: $(VENV)/dev.stamp
	$(PIP) 'uv>=0.5,<1'
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --constraint requirements.lock --group dev \
	  pyproject.toml -o requirements-dev.lock

# The wheel and the sdist, as a release has them.
.PHONY: dist
dist: $(VENV)/dev.stamp
	rm -rf dist
	$(BIN)/python -m hatchling build

# Prometheus and promtool for the tests that ask the real thing, where apt can bring them.
tools:
	@tests/bring-prometheus.sh $(VENV)/tools

$(VENV)/bin/python:
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
