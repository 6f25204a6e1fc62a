# All that is needed: make, Python 3.11 or later, a package registry. `make` lists what there is.

PYTHON ?= python3.11 python3
VENV ?= .venv
JOBS ?= 5
MATRIXONE_URL ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
LIVE := tests/integration tests/past tests/server tests/alembic/test_at_once.py \
	tests/coverage/test_collection.py tests/coverage/test_histories.py
MATRIX ?= lowest alembic+sqlalchemy==2.0.*+sqlglot[c] alembic+sqlalchemy

BIN := $(VENV)/bin
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help demo quick test test-live lint types pytest coverage oldest matrix matrix-venvs bench clean

# without it each of hundreds of processes would compile all that it imports
unexport PYTHONDONTWRITEBYTECODE

# one failing check does not keep the others from being run
MAKEFLAGS += --keep-going

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## the package at work on its own emulator; no server needed
	@$(BIN)/mo-pitr demo

quick: lint types ## while you work: ruff, mypy, and a minute of tests, each once (JOBS=, PYTEST_ARGS=)
	env -u MATRIXONE_URL $(BIN)/python -m pytest -n $(JOBS) --once -m 'not slow' $(PYTEST_ARGS)

test: $(VENV)/.dev ## the next four: all that must pass
	@failed=0; \
	$(MAKE) --no-print-directory --jobs=2 types lint $(VENV)/.collected matrix-venvs MATRIX=lowest || failed=1; \
	$(MAKE) --no-print-directory pytest || failed=1; \
	$(MAKE) --no-print-directory oldest || failed=1; \
	exit $$failed

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

pytest: $(VENV)/.collected ## all tests, on the emulator; they build the wheel too (JOBS=5, PYTEST_ARGS=)
	env -u MATRIXONE_URL $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

coverage: $(VENV)/.dev ## all tests, with lines and branches counted; slower (JOBS=5, PYTEST_ARGS=)
	env -u MATRIXONE_URL $(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term-missing:skip-covered --cov-report=xml $(PYTEST_ARGS)

test-live: $(VENV)/.dev ## what can be shown on a real server, on one (MATRIXONE_URL=)
	@test -n '$(MATRIXONE_URL)' || { echo 'say which server: make test-live MATRIXONE_URL=mysql+pymysql://user:password@host:6001/' >&2; exit 2; }
	MATRIXONE_URL='$(MATRIXONE_URL)' $(BIN)/python -m pytest $(LIVE) $(PYTEST_ARGS)

oldest: ## tests of migrations and of the server's rules once more, each once, with the oldest release of all that pyproject.toml names
	@$(MAKE) --no-print-directory matrix MATRIX=lowest \
		PYTEST_ARGS="--once --turn 1 -m 'not any_alembic' $(PYTEST_ARGS)"

matrix: matrix-venvs ## the same with each set of releases in MATRIX, in venvs beside .venv
	@set -e; for set in $(foreach set,$(MATRIX),'$(set)'); do \
		echo "== $$set"; \
		env -u MATRIXONE_URL "$(call venv_of,$$set)/bin/python" -m pytest -n $(JOBS) tests/alembic tests/server $(PYTEST_ARGS); \
	done

matrix-venvs:
	@set -e; for set in $(foreach set,$(MATRIX),'$(set)'); do \
		venv="$(call venv_of,$$set)"; \
		$(MAKE) --no-print-directory VENV="$$venv" "$$venv/.dev"; \
		case "$$set" in \
			lowest) releases="--resolution lowest-direct --editable .[all]" ;; \
			*) releases=$$(printf %s "$$set" | tr + ' ') ;; \
		esac; \
		"$$venv/bin/uv" pip install --quiet --python "$$venv/bin/python" --upgrade $$releases; \
	done

venv_of = $(VENV)-$$(printf %s "$(1)" | tr -c 'a-z0-9.' _)

bench: ## the benchmarks, in a venv of their own with the SDK (MATRIXONE_URL= for a real server, BENCH_ARGS=)
	@$(MAKE) --no-print-directory VENV='$(VENV)-bench' '$(VENV)-bench/.bench'
	@$(VENV)-bench/bin/python -m benchmarks $(if $(MATRIXONE_URL),--url '$(MATRIXONE_URL)') $(BENCH_ARGS)

clean: ## remove .venv, build results and caches
	rm -rf $(VENV) $(VENV)-* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* coverage.xml
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@for python in $(PYTHON); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv --clear $(VENV) && touch $@; exit; \
		fi; \
	done; \
	echo 'Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ...' >&2; exit 1

$(VENV)/.uv: $(VENV)/.made
	$(BIN)/python -m pip --quiet --disable-pip-version-check install uv
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.uv
	$(INSTALL) --editable '.[aiomysql,cli,emulator,pymysql]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(INSTALL) matrixone-python-sdk
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.uv
	$(INSTALL) --editable '.[all]' --group dev
	@touch $@

# by one process first: else each worker would compile all modules, and rewrite the tests' assertions
$(VENV)/.collected: $(VENV)/.dev
	@$(BIN)/python -m pytest --collect-only --quiet --quiet > /dev/null 2>&1; touch $@
