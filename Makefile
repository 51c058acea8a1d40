# `make all`: set up, then the whole pipeline. `make test`: set up, then the tests. Needs GNU make and Python >= 3.11.
PYTHON ?= python3
CORES ?= 4
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: all flat setup test bench audit lint format

all: setup
	@$(call unlock)
	@$(BIN)/snakemake --cores $(CORES) all

flat: setup
	@$(call unlock)
	@$(BIN)/snakemake --cores $(CORES) flat

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "Installing the locked packages into $(VENV) (once; one to two minutes) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Three processes for two cores: one of them waits for Slurm, most of the time.
test: setup
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# What speed is measured against, librosa, is installed for this alone. docs/performance.md explains the table.
bench: setup
	@$(BIN)/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.lock
	@$(BIN)/python benchmarks/bench.py $(ARGS)

# That what is installed is what is locked, no secrets in the repository, and, where it can be reached, what is known
# against what is locked. SECURITY.md has more of it.
audit: setup
	@$(BIN)/python audit/audit.py

# `snakemake --lint` is among the tests (tests/test_graphs.py): all that it may find is that rules have no conda environment.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# A run that was killed leaves Snakemake's lock behind. Another clone's run is none of this one's.
define unlock
if [ -n "$$(ls .snakemake/locks 2>/dev/null)" ] && $(BIN)/python workflow/idle.py; then \
  $(BIN)/snakemake --cores 1 --unlock --quiet >/dev/null 2>&1 || true; fi
endef
