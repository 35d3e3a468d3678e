# The two commands that a newcomer needs: `make demo` and `make test`. The rest is listed by `make help`.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Some images set it: then each of the hundreds of processes that the tests start would compile this program anew.
unexport PYTHONDONTWRITEBYTECODE

# One test at a time for each processor, and one for while another waits. Each process has a Postgres of its own.
TESTS_AT_ONCE := $(shell n=$$(($$(getconf _NPROCESSORS_ONLN) + 1)); echo $$((n < 4 ? n : 4)))

.PHONY: help
help: ## Show what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 16

.PHONY: demo
demo: $(INSTALLED) ## Sync three workspaces' data from a sandbox through Dagster and show the result.
	@$(BIN)/cyphera demo

.PHONY: clean-demo
clean-demo: $(INSTALLED) ## Delete what the demo made, and nothing else.
	@$(BIN)/cyphera demo --forget

.PHONY: test
test: lint validate ## Run every check and every test but the slow ones.
	@echo "The tests take about ten minutes on two cores that do nothing else."
	@# The types take a minute of one processor: beside the tests, which now and then wait. What they lack is told at once.
	@$(MAKE) --no-print-directory --jobs=2 types quick-tests

.PHONY: quick-tests
quick-tests: $(INSTALLED)
	@# In the order of the folders: in that of their sizes, what a folder's tests share would be made for nearly each file.
	@started=$$(date +%s); $(BIN)/pytest -m "not slow" --numprocesses=$(TESTS_AT_ONCE) --dist=loadfile --no-loadscope-reorder --durations=15 --durations-min=5; ended=$$?; \
		echo "That took $$((($$(date +%s) - started) / 60)) min $$((($$(date +%s) - started) % 60)) s."; exit $$ended

.PHONY: test-slow
test-slow: $(INSTALLED) ## Run the tests that take long: real processes broken on purpose, planted secrets, each benchmark in small.
	$(BIN)/pytest -m slow --timeout 900 --numprocesses=auto --maxprocesses=4 --dist=loadfile --durations=15 --durations-min=5

.PHONY: test-tools
test-tools: ## Install Debian's Chromium and promtool, which some tests look with and are skipped without (needs root; Debian's package may start a Prometheus).
	@command -v chromium >/dev/null && command -v promtool >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		chromium fonts-dejavu-core prometheus >/dev/null; }

.PHONY: check
check: lint types ## Run what needs no database: lint, format, layers, types.

.PHONY: lint
lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/lint-imports

.PHONY: types
types: $(INSTALLED)
	$(BIN)/mypy

.PHONY: migration
migration: $(INSTALLED) ## Write the next migration from what changed in the tables' definitions: make migration name="add tax ids".
	@test -n "$(name)" || { echo 'Say what it does: make migration name="add tax ids"'; exit 1; }
	@file=$$($(BIN)/python -m cyphera_pipelines.store.migrations.new "$(name)" | tail -1) && \
		$(BIN)/ruff check --quiet --fix --select F401 "$$file" && $(BIN)/ruff format --quiet "$$file" && \
		echo "Wrote $$file: read it before you keep it."

.PHONY: bench
bench: $(INSTALLED) ## Measure what a sync takes and draw docs/benchmark.svg; about six minutes on a machine that does nothing else.
	$(BIN)/python -m cyphera_pipelines_tests.benchmarks --chart docs/benchmark.svg

.PHONY: report-picture
report-picture: $(INSTALLED) ## Draw docs/report.png, the report of a generated account (needs Chromium).
	$(BIN)/python -m cyphera_pipelines_tests.report_picture docs/report.png

.PHONY: ops-pictures
ops-pictures: $(INSTALLED) ## Draw docs/operations-*.png, the pages at /ops of a small fleet (needs Chromium).
	$(BIN)/python -m cyphera_pipelines_tests.ops.pictures docs

.PHONY: validate
validate: $(INSTALLED) ## Let Dagster load and check the definitions, in a home of their own.
	home=$$(mktemp -d) && trap "rm -rf $$home" EXIT && \
		PYTHONWARNINGS=ignore DAGSTER_HOME="$(CURDIR)" CYPHERA_HOME="$$home" $(BIN)/dagster definitions validate --log-level info

.PHONY: lock
lock: ## Write requirements.lock anew from pyproject.toml (needs uv).
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock

.PHONY: install
install: $(INSTALLED) ## Make .venv with the pinned dependencies.

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 ..."; exit 1; }
	@echo "Installing the pinned dependencies into .venv; the first time takes about a minute."
	@$(PYTHON) -m venv .venv
	@# The lock names everything that is needed, so nothing has to be resolved: pip would stumble over extras.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
