# SfBC, step by step. `make` alone lists the targets.
#
# Variables, on the command line or in the environment:
#   PROFILE   smoke, quick or full: how long the chapters compute      (make book PROFILE=smoke)
#   JOBS      chapters or tests that run side by side                  (make book JOBS=4)
#   PYTHON    the interpreter that makes .venv, if not python3.11      (make test PYTHON=/opt/python3.11/bin/python3)
#   UPGRADE   take the newest versions that pyproject.toml allows       (make lock UPGRADE=1)
#   SUITE     which stored results to complete                         (make results SUITE=maze2d PROFILE=quick)
#   TASKS     which tasks of a table, by name, all if not given         (make table1 TASKS="bidirectional-car")
#   FORMAT    of a table: markdown, latex, html or csv                  (make table1 FORMAT=latex)
#   KIND      which kinds of faults, by a part of their name           (make faults KIND="full disk")
#   OPTIONS   of JupyterLab                                            (make lab OPTIONS=--no-browser)
#   PORT      where `make serve` listens                               (make serve PORT=9000)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PROFILE ?= quick
JOBS ?= 2
PORT ?= 8000
KIND ?=
TASKS ?=
FORMAT ?= markdown
BIN := .venv/bin
VENV := .venv/.installed

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "; print "Targets:"} /^[a-z0-9 -]+:.*## / {sub(/ .*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PROFILE=$(PROFILE) (smoke, quick, full)  JOBS=$(JOBS)  PORT=$(PORT)  PYTHON=$(PYTHON)"
	@echo "           SUITE (of results)  TASKS, FORMAT (of a table)  KIND (of faults)  OPTIONS (of lab)  UPGRADE=1 (of lock); the head of the Makefile says more"

# ---- the reader's targets ---------------------------------------------------------------------------------------

.PHONY: book
book: $(VENV) ## execute every chapter and build the book into _build/html
	$(BIN)/python book/build.py --profile $(PROFILE) --jobs $(JOBS)
	$(BIN)/python book/check_html.py _build/html

.PHONY: serve
serve: $(VENV) ## serve the built book on http://127.0.0.1:8000
	@test -f _build/html/index.html || { echo "There is no built book yet: run 'make book' first." >&2; exit 1; }
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

.PHONY: results
results: $(VENV) ## run those trials behind a chapter that are not stored, hours (SUITE=toy-maze, drivers, bandit, maze2d, …)
	@test -n "$(SUITE)" || { echo "Say which: make results SUITE=maze2d (or toy-maze, drivers, bandit, simulators, locomotion, fidelity, ablations, table-1, beyond)." >&2; exit 1; }
	$(BIN)/python -m sfbc_core.experiments run $(SUITE) --profile $(PROFILE) --jobs $(JOBS)

# At PROFILE=smoke the table is made from nothing, in minutes.
.PHONY: table1 table2 table4
table1 table2 table4: $(VENV) ## print Table 1 of the paper from stored results, also table2 and table4 (FORMAT=latex TASKS=bidirectional-car)
	@$(BIN)/python -m sfbc_core.experiments table $(@:table%=%) --profile $(PROFILE) --format $(FORMAT) \
	  $(if $(TASKS),--tasks $(TASKS))

.PHONY: lab
lab: $(VENV) ## open the chapters in JupyterLab (OPTIONS=--allow-root in a container)
	$(BIN)/python -m jupyterlab --notebook-dir=notebooks $(OPTIONS)

# ---- checks -----------------------------------------------------------------------------------------------------

# One thread a worker: two workers with two threads each would fight over two cores.
.PHONY: test
test: $(VENV) ## run the tests (all but those of the built book and the faults)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) tests

# Each kind of fault that is run becomes its line of the record, which the book shows.
.PHONY: faults
faults: $(VENV) ## kill, fill the disk and damage files many times at random, and record what came of it (KIND=killed)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m nightly tests/faults --kind "$(KIND)" \
	  --record book/results/faults.jsonl

.PHONY: check-book
check-book: $(VENV) ## check the built book: links, alt text, accessibility, no network
	$(BIN)/python book/check_html.py _build/html
	$(BIN)/python -m pytest -n $(JOBS) -m book tests

.PHONY: lint
lint: $(VENV) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: benchmark
benchmark: $(VENV) ## time the hot paths
	@shopt -s nullglob; for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

# ---- housekeeping -----------------------------------------------------------------------------------------------

# Packages that come with CUDA builds of torch are left out, so that the pins fit machines with and without a GPU;
# packages without wheels for Python 3.12 get a marker. The header of requirements.txt is kept, and so are, without
# UPGRADE, the pins that still fit.
NOT_PINNED := ^(nvidia-|cuda-|triton|sfbc)
OLD_PYTHON_ONLY := ^(d4rl|dm-control|gym|labmaze|mujoco|mujoco-py|pybullet)==.*

.PHONY: lock
lock: ## pin requirements.txt again from pyproject.toml
	@$(find_python); scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$$make_venv "$$scratch/venv"; \
	"$$scratch/venv/bin/python" -m pip install -e '.[all]' $(if $(UPGRADE),,-c requirements.txt); \
	"$$scratch/venv/bin/python" -m pip check; \
	sed -n '/^#/p' requirements.txt > "$$scratch/requirements.txt"; \
	"$$scratch/venv/bin/python" -m pip freeze --all --exclude-editable --exclude pip \
	  | sed -E -e '/$(NOT_PINNED)/d' -e 's/\+[a-z0-9.]+$$//' -e 's/$(OLD_PYTHON_ONLY)/&; python_version < "3.12"/' \
	  >> "$$scratch/requirements.txt"; \
	mv "$$scratch/requirements.txt" requirements.txt

.PHONY: clean
clean: ## remove what was built (not .venv)
	rm -rf _build .pytest_cache .ruff_cache .hypothesis build dist
	find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints -o -name '*.egg-info' \) \
	  -type d -print0 | xargs -0 rm -rf

# Without the folder `build` of an earlier build: what lies there goes into the wheel, also what is gone from the package.
.PHONY: wheel
wheel: $(VENV) ## make dist/sfbc_core-*.whl, the package with the stored results, to be installed elsewhere
	rm -rf build
	$(BIN)/python -m pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist
	rm -rf build
	@ls -l dist/*.whl

# ---- the environment --------------------------------------------------------------------------------------------

# Sets $make_venv to a command that makes a virtual environment of Python 3.11 in the folder that follows it. A
# candidate must be able to make one: Debian's python3 cannot without the package python3-venv.
define find_python
is_311() { command -v "$$1" >/dev/null && "$$1" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }; \
if [ -n "$(PYTHON)" ]; then make_venv="$(PYTHON) -m venv"; \
elif is_311 python3.11; then make_venv="python3.11 -m venv"; \
elif is_311 python3; then make_venv="python3 -m venv"; \
elif command -v uv >/dev/null; then make_venv="uv venv --python 3.11 --seed"; \
else \
  echo "Python 3.11 with its venv module is needed and was not found. Get it in one of these ways:" >&2; \
  echo "  Debian, Ubuntu   apt install python3.11 python3.11-venv" >&2; \
  echo "  macOS            brew install python@3.11" >&2; \
  echo "  anywhere         install uv (https://docs.astral.sh/uv); it fetches Python 3.11 by itself" >&2; \
  echo "or name an interpreter: make ... PYTHON=/path/to/python3.11" >&2; \
  exit 1; \
fi
endef

$(VENV): requirements.txt pyproject.toml
	@if [ ! -x $(BIN)/python ]; then $(find_python); $$make_venv .venv; fi
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The folder .venv was made with $$($(BIN)/python --version 2>&1), and the pinned packages need 3.11." >&2; \
	  echo "Remove it and name another interpreter: rm -rf .venv; make ... PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@
