# Everything is set up in .venv; `make demo` and `make test` need nothing before them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip is run from outside, as some systems ship venv without it.
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
# Exactly what a lock lists: pip resolves nothing, so no other project's release changes the result.
# Without wheels it would build, and what builds is not in the lock.
INSTALL_LOCK := $(PIP) install --quiet --no-deps --only-binary :all: --require-hashes -r
# This project itself: no index is asked, neither for it nor for what builds it.
INSTALL_SELF := $(PIP) install --quiet --no-index --no-deps --no-build-isolation
# Two more than there are processors: one for what does nothing but wait, which ends with that.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')
export PATH := $(CURDIR)/$(VENV)/tools:$(PATH)
# The tests start the product more than a hundred times, which would compile it each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo install test check lint lint-extra needs-extra tests rules generate chart bench soak lock dist docs sbom packages tools clean

help:                                     ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/run.stamp                  ## run the exporter against its simulated API, with Prometheus, 90 days of history, and Grafana
	@$(BIN)/python -m deploy.demo $(VENV)/tools

install: $(VENV)/build $(VENV)/bin/python ## install the exporter alone: make install VENV=/opt/devin-exporter/venv
	$(INSTALL_LOCK) requirements.lock
	PYTHONPATH=$(abspath $(VENV))/build $(INSTALL_SELF) .
	$(PIP) check
	rm -rf $(VENV)/build

test: tools check                        ## lint and tests, as CI runs them

check: lint tests                        ## the same without bringing the tools of the end-to-end tests

lint: $(VENV)/dev.stamp                  ## formatting, lint, types, import rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

# By hand, as root, where Go and debootstrap are: these need more than a fresh machine has.
lint-extra: needs-extra tools $(VENV)/extra.stamp    ## workflows by actionlint and zizmor; the chart by Helm and kubeconform; packages by nfpm; Thanos; both commands on fresh Debians
	$(BIN)/zizmor --offline --persona=auditor .
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	tests/machines/chart.sh $(BIN)/python
	tests/machines/packages.sh $(PYTHON) $(BIN)/python
	tests/machines/thanos.sh $(BIN)/python
	tests/machines/fresh-machine.sh

needs-extra:
	@for each in go debootstrap; do command -v $$each >/dev/null || { echo "lint-extra needs $$each" >&2; exit 2; }; done

tests: $(VENV)/dev.stamp                 ## the tests and their coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

rules:                                   ## check the alert rules and run their tests with promtool
	promtool check rules deploy/prometheus/rules.yml
	promtool test rules deploy/prometheus/tests/*.yml

generate: $(VENV)/dev.stamp              ## write the generated files: documents, dashboards, manifests
	$(BIN)/python -m exporter.cli.catalogue
	$(BIN)/python -m grafana.build
	$(BIN)/python -m deploy.manifests.prometheus_rule
	$(BIN)/python -m deploy.manifests.files
	$(BIN)/python -m tests.failures.page
	$(BIN)/python -m tests.docs.architecture

chart: $(VENV)/dev.stamp                 ## render the golden texts of the Helm chart again, and the plain manifests; needs Go
	$(BIN)/python -m deploy.manifests.rendered --write go run helm.sh/helm/v3/cmd/helm@v3.22.0
	$(BIN)/python -m deploy.manifests.files

bench: $(VENV)/dev.stamp                 ## speed and memory, as ratios on this machine
	$(BIN)/python -m bench.exposition
	$(BIN)/python -m bench.scrape
	$(BIN)/python -m bench.process
	$(BIN)/python -m bench.polling
	$(BIN)/python -m bench.polling.restart
	$(BIN)/python -m bench.backtest
	if command -v go >/dev/null; then $(BIN)/python -m bench.dashboards; fi

soak: $(VENV)/dev.stamp                  ## half an hour of faults and restarts at a hundred times the speed of time
	$(BIN)/python -m bench.soak

# The locks, one after the other, so that what stands in two has one version.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --no-annotate --no-emit-index-url $(UPGRADE)
lock: $(VENV)/extra.stamp                ## renew the lock files; UPGRADE=--upgrade takes new releases
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --constraint requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock --group build -o requirements-build.lock
	$(LOCK) --constraint requirements-dev.lock --group extra -o requirements-extra.lock
	$(LOCK) --constraint requirements-dev.lock --group docs -o requirements-docs.lock

dist: $(VENV)/dev.stamp                  ## build the wheel and the sdist, as a release has them
	rm -rf dist
	$(BIN)/python -m hatchling build

docs: $(VENV)/docs/stamp                 ## the documentation as a site with search: site/index.html
	$(VENV)/docs/bin/python -m deploy.release.site $(VENV)/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet --config-file mkdocs.yml

sbom: $(VENV)/extra.stamp                ## what the exporter is made of, from its lock, as CycloneDX: devin-exporter.cdx.json
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --spec-version 1.6 --output-file devin-exporter.cdx.json

packages: $(VENV)/dev.stamp              ## a deb and an rpm for this machine's Python, into dist; needs Go
	deploy/packages/build.sh $(PYTHON) $(BIN)/python dist go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

tools:                                   ## unpack what the end-to-end tests need into .venv/tools
	@tests/machines/bring-prometheus.sh $(VENV)/tools

$(VENV)/bin/python:
	$(PYTHON) -m venv --without-pip $(VENV)

# What builds the package, beside the environment and not in it.
$(VENV)/build: requirements-build.lock | $(VENV)/bin/python
	rm -rf $@
	$(INSTALL_LOCK) requirements-build.lock --target $@

$(VENV)/run.stamp: requirements.lock pyproject.toml $(VENV)/build | $(VENV)/bin/python
	$(INSTALL_LOCK) requirements.lock
	PYTHONPATH=$(abspath $(VENV))/build $(INSTALL_SELF) --editable .
	$(PIP) check
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(INSTALL_LOCK) requirements-dev.lock
	$(INSTALL_SELF) --editable .
	$(PIP) check
	@touch $@ $(VENV)/run.stamp

# What maintainers run by hand: it is not needed for the tests.
$(VENV)/extra.stamp: requirements-extra.lock $(VENV)/dev.stamp
	$(INSTALL_LOCK) requirements-extra.lock
	@touch $@

# The site's own environment: nothing of it is needed elsewhere.
$(VENV)/docs/stamp: requirements-docs.lock
	$(PYTHON) -m venv --without-pip $(VENV)/docs
	$(PYTHON) -m pip --python $(VENV)/docs/bin/python --disable-pip-version-check install --quiet --no-deps \
	  --only-binary :all: --require-hashes -r requirements-docs.lock
	@touch $@

clean:                                   ## remove what these commands created
	rm -rf $(VENV) site .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
