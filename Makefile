# Every target uses a virtual environment in this checkout. It only needs python3 (3.11 or newer) and make.
# To use another Python: make PYTHON=/path/to/python3 test

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
# The stamps contain a checksum of directory and PYTHON: after a move, a copy or a change of PYTHON, the environment is rebuilt.
PLACE := $(shell echo "$$(pwd) $(PYTHON)" | cksum | cut -d ' ' -f 1)
RUN_STAMP := $(VENV)/.run-$(PLACE)
DEV_STAMP := $(VENV)/.dev-$(PLACE)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# Exactly the versions of a lock file, without packages that need a build with tools outside of the lock files.
LOCKED := $(PIP_INSTALL) --require-hashes --no-deps --only-binary :all:
CHECKOUT := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
WORKERS ?= 2
TESTS ?= tests
PYTEST = $(PY) -m pytest -n $(WORKERS) --dist loadgroup
UV := .cache/uv/bin/uv
DOCS_STAMP := .cache/docs/.stamp-$(PLACE)
SITE ?= build/site
RELEASE_STAMP := .cache/release/.stamp-$(PLACE)
DIST ?= dist
COMPILE = $(UV) pip compile --quiet --upgrade --generate-hashes --no-annotate --no-emit-index-url \
  --custom-compile-command "make lock"
# COVERAGE=yes measures branch coverage and fails below the floor. It doubles the work of many tests: .ci/run does it.
COVERAGE ?=
COVERAGE_FLOOR ?= 94
MEASURED = $(if $(COVERAGE),--cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR))

# Finds a Python that is new enough and can create environments. Skips shims of versions that are not installed.
define ENSURE_VENV
works() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
version() { "$$1" -c 'import sys; print(sys.version.split()[0])' 2>&1; }
if [ -n "$$WANTED_PYTHON" ] && ! works "$$WANTED_PYTHON"; then
  echo "$$WANTED_PYTHON is not Python 3.11 or newer with its venv module: $$(version "$$WANTED_PYTHON" | tail -n 1)" >&2
  exit 1
fi
if works $(PY) && $(PY) -m pip --version >/dev/null 2>&1; then
  if [ -z "$$WANTED_PYTHON" ] || [ "$$(version "$$WANTED_PYTHON")" = "$$(version $(PY))" ]; then exit 0; fi
fi
for python in "$$WANTED_PYTHON" python3 python3.14 python3.13 python3.12 python3.11 \
    /usr/bin/python3 /usr/bin/python3.12 /usr/bin/python3.11 /usr/local/bin/python3 /opt/homebrew/bin/python3; do
  if [ -n "$$python" ] && works "$$python"; then exec "$$python" -m venv --clear $(VENV); fi
done
echo "ckfunc needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3 python3-venv);" >&2
echo "found: $$(command -v python3 || echo no python3) $$(python3 --version 2>&1 | tail -n 1). Another one: make PYTHON=/path/to/python3" >&2
exit 1
endef
export ENSURE_VENV
# Compiled files make every start of Python twice as fast, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
export WANTED_PYTHON := $(PYTHON)

.NOTPARALLEL:
.PHONY: help demo test test-slow test-newest test-oldest lint lock docs pictures screens dist bench bench-peers format clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(RUN_STAMP)  ## Deploy the example project to an embedded emulator and fire its functions
	@$(PY) example-project/demo.py

test: lint  ## Run every check except the slow tests: lint, types, layers, tests
	@$(PYTEST) -m "not slow" $(MEASURED) $(TESTS)

test-slow: $(DEV_STAMP)  ## Run the slow tests: full fault matrices, large amounts of data
	@$(PYTEST) -m slow $(TESTS)

lint: $(DEV_STAMP)  ## Check style, types and layers
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check . || { echo "The code is not formatted: run make format" >&2; exit 1; }
	@printf '%s\n' linux win32 darwin | xargs -P 3 -I '{}' $(PY) -m mypy --no-error-summary --platform '{}' --cache-dir '.mypy_cache/{}'
	@$(PY) -m mypy --no-error-summary --platform linux --cache-dir .mypy_cache/linux bench
	@$(VENV)/bin/lint-imports --no-logo >/dev/null 2>&1 || $(VENV)/bin/lint-imports
	@PYTHONPATH=tests $(PY) -m support.house

bench: $(RUN_STAMP)  ## Measure ckfunc and print one table
	@$(PY) -m bench

bench-peers: $(RUN_STAMP)  ## Measure wrangler and miniflare too
	@$(PY) -m bench.peers

docs: $(DOCS_STAMP)  ## Build the documentation site in build/site; broken links are errors
	@NO_MKDOCS_2_WARNING=1 .cache/docs/bin/python -m mkdocs build --quiet --strict --site-dir "$(abspath $(SITE))"

pictures: $(DOCS_STAMP)  ## Record the pictures in docs/images/ again; needs a POSIX terminal and Chromium
	@.cache/docs/bin/python website/badges.py
	@.cache/docs/bin/python website/pictures.py
	@PYTHONPATH=tests .cache/docs/bin/python website/screens.py --docs
	@.cache/docs/bin/python website/charts.py

screens: $(DOCS_STAMP)  ## Take screenshots of every page of the dashboard in build/screens/; needs Chromium
	@PYTHONPATH=tests .cache/docs/bin/python website/screens.py

dist: $(RELEASE_STAMP)  ## Build wheel, source archive and list of components in dist/
	@.cache/release/bin/python -m build --no-isolation --outdir "$(DIST)" . >/dev/null
	@.cache/release/bin/python -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file "$(DIST)/ckfunc.cdx.json" requirements/run.txt

format: $(DEV_STAMP)  ## Format the code
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format --quiet .

clean:  ## Remove the environment and everything that was generated
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.* build dist

# An environment with only what ckfunc needs to run, so that a first demo does not wait for development tools.
$(RUN_STAMP): pyproject.toml requirements/run.txt
	@sh -c "$$ENSURE_VENV"
	@$(PY) $(LOCKED) -r requirements/run.txt
	@$(PY) $(CHECKOUT)
	@touch "$@"

$(DEV_STAMP): pyproject.toml requirements/dev.txt
	@sh -c "$$ENSURE_VENV"
	@$(PY) $(LOCKED) -r requirements/dev.txt
	@$(PY) $(CHECKOUT)
	@touch "$(RUN_STAMP)" "$@"

# MkDocs, with everything that the generated pages import.
$(DOCS_STAMP): pyproject.toml requirements/docs.txt
	@sh -c "$$ENSURE_VENV"
	@$(PY) -m venv --clear .cache/docs
	@.cache/docs/bin/python $(LOCKED) -r requirements/docs.txt
	@.cache/docs/bin/python $(CHECKOUT)
	@touch "$@"

$(RELEASE_STAMP): pyproject.toml requirements/release.txt
	@sh -c "$$ENSURE_VENV"
	@$(PY) -m venv --clear .cache/release
	@.cache/release/bin/python $(LOCKED) -r requirements/release.txt
	@touch "$@"

# uv resolves versions; pip installs them, because it follows the user's configuration of indexes.
$(UV): requirements/uv.txt
	@sh -c "$$ENSURE_VENV"
	@$(PY) -m venv --clear .cache/uv
	@.cache/uv/bin/python $(LOCKED) -r requirements/uv.txt
	@touch "$@"

lock: $(UV) $(DEV_STAMP)  ## Update the lock files to the newest versions in the declared ranges
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/run.txt --group build pyproject.toml
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/dev.txt --group build --extra dev \
	  --constraint requirements/run.txt pyproject.toml
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/docs.txt --group build --group docs \
	  --constraint requirements/run.txt pyproject.toml
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/release.txt --group build --group release \
	  --constraint requirements/run.txt
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/conformance.txt --group conformance
	@$(COMPILE) --universal --python-version 3.11 --output-file requirements/uv.txt --group lock
	@PYTHONPATH=tests $(PY) -m support.npm_packages

test-newest: RESOLUTION = highest
test-newest:  ## Run the tests with the newest versions in the declared ranges
test-oldest: RESOLUTION = lowest-direct
test-oldest:  ## Run the tests with the oldest versions in the declared ranges
test-newest test-oldest: test-%: $(UV)
	@$(PY) -m venv --clear .cache/$*
	@$(COMPILE) --python .cache/$*/bin/python --resolution $(RESOLUTION) --output-file .cache/$*-run.txt pyproject.toml
	@$(COMPILE) --python .cache/$*/bin/python --output-file .cache/$*.txt --group build --extra dev \
	  --constraint .cache/$*-run.txt pyproject.toml
	@.cache/$*/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r .cache/$*.txt
	@.cache/$*/bin/python $(CHECKOUT)
	@.cache/$*/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(TESTS)
