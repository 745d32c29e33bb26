# What can be done here: make help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
# two processes more than two cores: they work while the others wait for a clock, a page or a switch. More cost
# more than they fill: the same pages took 100 s of CPU in two processes, 125 in four, 147 in six; with three the
# cores were idle for 30 % of the run;
# N=0 keeps everything in one, to read the output as it comes
N ?= 4
# where it is set, each of a site's processes would compile everything again
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup setup-dev run test test-sqlite test-postgres bench soak lint types compiled messages rules vendor lock migration

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with what running needs (nothing happens when it is there already)
	@bash scripts/setup.sh run

setup-dev: ## Make .venv with what working on CALLTREE needs
	@bash scripts/setup.sh dev

run: setup ## Start everything on this machine; Ctrl-C stops it (PORT=8001 make run for another port)
	@exec $(PY) -m calltree.launch --with-parent

test: setup-dev ## Lint, types, import rules, then the suite on SQLite and on Postgres
	@$(MAKE) -j 2 --output-sync=target types lint compiled
	@echo "== tests on SQLite and on Postgres"
	@$(PY) -m scripts.suite --database both -n $(N) --dist worksteal

test-sqlite: setup-dev ## The whole suite on SQLite
	@echo "== tests on SQLite"
	@$(PY) -m scripts.suite --database sqlite -n $(N) --dist worksteal

test-postgres: setup-dev ## The tests that touch the database, on a Postgres of their own
	@echo "== tests on Postgres"
	@$(PY) -m scripts.suite --database postgres -n $(N) --dist worksteal

bench: setup-dev ## Measure; NAME=import for one (python -m bench NAME --json for its options)
	@$(PY) -m bench $(or $(NAME),all)

soak: setup-dev ## An hour of a campaign at 4x while every role is killed (docs/performance.md)
	@$(PY) -m bench hour

lint: setup-dev ## ruff, import-linter, djlint
	@echo "== lint"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m djlint calltree/templates --check --lint
	@$(PY) -m scripts.messages check

types: setup-dev ## mypy --strict
	@echo "== types"
	@$(PY) -m mypy

# what is wrong with a test is left to the suite to tell
compiled: setup-dev ## Compile once what each of the suite's processes would compile by itself
	@[ -d tests/pages/__pycache__ ] || $(PY) -m pytest --collect-only -q > /dev/null || true

messages: setup-dev ## Merge and compile the catalogues; fails on a message without Japanese
	@$(PY) -m scripts.messages update

rules: ## Write docs/reference/rules-and-tests.md from the names of the tests
	@python3 -m scripts.rules

vendor: setup-dev ## Fetch the pinned browser assets into calltree/static/vendor (needs npm)
	@$(PY) -m scripts.vendor

lock: ## Lock requirements*.in with hashes (on the oldest Python that is supported)
	@rm -rf .venv/lock && python3 -m venv .venv/lock && .venv/lock/bin/python -m pip install -q pip-tools
	@for name in requirements requirements-dev; do \
	  .venv/lock/bin/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-header \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --output-file $$name.txt $$name.in; \
	done

migration: setup-dev ## Write a migration for what changed in the models; M="what changed"
	@test -n "$(M)" || { echo 'migration: say what changed: make migration M="Add …"'; exit 2; }
	@$(PY) -m flask --app wsgi db migrate -m "$(M)"
