# Every target does its own set-up: Python 3.11 or later, git and make are all it needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
# Airflow without bytecode takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

BIN := .venv/bin
UV := .uv/bin/uv
# One more than there are cores: some tests wait much. With four, the suite takes a tenth longer.
JOBS := 3
PARALLEL = -n $(JOBS) --dist loadgroup --no-loadscope-reorder
FAST := tests/unit tests/conformance tests/client tests/devnet_own \
	--ignore=tests/client/chipotle --ignore=tests/client/test_processes.py --ignore=tests/conformance/test_folder.py
# Two stamps on one environment: what the demo runs, and all that the tests need beside it.
DEMO := .venv/.demo
READY := .venv/.ready

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

# A python3 that is too old is passed over; the first good one wins.
$(UV):
	@set -e; for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then py="$$p"; break; fi; done; \
	if [ -z "$$py" ]; then echo "Python 3.11 to 3.14 is needed; name one with PYTHON=…" >&2; exit 2; fi; \
	echo "setting up uv in .uv with $$("$$py" --version)"; \
	"$$py" -m venv --clear --without-pip .uv; sed -n '/^uv==/,/# via/p' constraints.txt >.uv/requirements.txt; \
	if "$$py" -c 'import pip' 2>/dev/null; then set -- "$$py" -m pip --python .uv/bin/python; \
	elif .uv/bin/python -m ensurepip >/dev/null; then set -- .uv/bin/python -m pip; \
	else echo "pip is missing; install it (Debian: apt install python3-pip)" >&2; exit 2; fi; \
	"$$@" install -q --disable-pip-version-check --require-hashes -r .uv/requirements.txt

$(BIN)/python: | $(UV)
	@echo "setting up .venv with $$(.uv/bin/python --version)"
	@$(UV) venv -q --clear --python .uv/bin/python .venv

# Versions and hashes are those of constraints.txt here too, the build back end's included.
$(DEMO): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the package and what the demo needs: about 500 MB the first time"
	@$(UV) pip install -q --python .venv --compile-bytecode --constraints constraints.txt \
		--build-constraints constraints.txt -e '.[sandbox]'
	@touch $@

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the package and what the tests need: more than 1 GB the first time"
	@$(UV) pip sync -q --python .venv --require-hashes --compile-bytecode constraints.txt
	@$(UV) pip install -q --python .venv --no-deps --no-build-isolation -e .
	@touch $(DEMO) $@

setup: $(READY)  ## make .venv with the pinned dependencies

demo: $(DEMO)  ## run the main job on real parts and show the decrypted report; NETWORK=chipotle for that network
	@$(BIN)/lit-airflow demo $(if $(NETWORK),--network $(NETWORK))

check: $(READY)  ## format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers auto

machine: $(UV)  ## say what this machine lacks for the tests; install a Chromium if it has none
	@.uv/bin/python tests/machine.py

fast: check  ## before each commit: lint, types, and the tests that need neither Airflow, Deno nor processes of their own
	$(BIN)/pytest -q --no-header $(PARALLEL) $(FAST)

test: machine check  ## everything CI runs
	$(BIN)/pytest $(PARALLEL)

soak: machine $(READY)  ## the long runs, an hour at most; some of them: make soak PARTS="load fuzzing"
	@$(BIN)/python -m tests.soak $(PARTS)

pictures: machine $(READY)  ## take the pictures in docs/images anew
	LIT_PICTURES=docs/images $(BIN)/pytest -q tests/installation/test_connection_form.py \
		tests/installation/test_sessions_page.py

mutants: $(READY)  ## try every mutant of the gate's text; takes hours
	$(BIN)/pytest -q -m soak tests/gate/test_mutants.py

docs: $(READY)  ## build the documentation site into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q && echo build/site/index.html

docs-serve: $(READY)  ## serve the documentation site, with its search, at http://127.0.0.1:8000
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve -q --dev-addr 127.0.0.1:8000

matrix: machine $(READY)  ## the tests on every supported Python and Airflow; some pairs: make matrix PAIRS="3.11-3.1 3.13-3.3"
	@$(BIN)/python -m tests.matrix $(PAIRS)

fuzz: $(READY)  ## coverage-guided fuzzing of every reader: make fuzz [SECONDS=300] [TARGET=name]
	@for target in $(or $(TARGET),$$($(BIN)/python -m tests.fuzz.names)); do \
		echo "fuzzing $$target"; $(BIN)/python -m tests.fuzz $$target -max_total_time=$(or $(SECONDS),30) || exit 1; done

vectors: $(READY)  ## conformance tests over another folder of vectors: make vectors DIR=path [GATE=file]
	@test -n "$(DIR)" || { echo "make vectors needs a folder: make vectors DIR=path" >&2; exit 2; }
	@$(BIN)/pytest -q --no-header tests/conformance --vectors "$(DIR)" $(if $(GATE),--gate "$(GATE)")

bench: $(READY)  ## ratios, as a table and in build/bench.json; medians of five short runs: make bench RUNS=5
	@$(BIN)/python -m tests.bench $(if $(RUNS),--runs $(RUNS))

constraints: $(READY)  ## resolve the dependencies anew
	$(UV) pip compile -q --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-header --upgrade -o constraints.txt pyproject.toml

audit: $(READY)  ## ask whether a pinned dependency has a known weakness; needs the network
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r constraints.txt

clean:  ## remove what the other targets made
	rm -rf .venv .uv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

.PHONY: help setup demo check machine fast test soak mutants pictures fuzz docs docs-serve matrix vectors bench constraints audit clean

