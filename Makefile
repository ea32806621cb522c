# Two commands: `make reproduce` (the smoke preset, everything) and `make test`. Each sets itself up.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
BIN = .venv/bin
READY = .venv/installed
# One thread a job and two jobs at once beat two threads a job: tests run side by side too.
export OMP_NUM_THREADS ?= 1

.PHONY: reproduce mini claims prior plan test test-slow test-slurm test-gpu check bench faults gc clean \
  slurm-packages gpu-packages browser-packages

reproduce: $(READY)
	$(BIN)/python -m piti reproduce --config preset=smoke

mini: $(READY)
	$(BIN)/python -m piti reproduce --config preset=mini

claims: $(READY) # half a day; can be stopped and continued
	$(BIN)/python -m piti reproduce --config preset=claims

prior: $(READY) # the small prior made again, base model and upsampler: hours; can be stopped and continued
	$(BIN)/snakemake --quiet rules host --config preset=prior -- prior

plan: $(READY) # what everything takes; TABLE=table3a, PRESET=mini, GPU=H100
	$(BIN)/python -m piti plan $(TABLE) $(if $(PRESET),--config preset=$(PRESET)) $(if $(GPU),--gpu $(GPU))

test: $(READY) check
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

test-slow: $(READY) # whole flows: one column from nothing, killed and started again, faults, a plug-in, the pages in a browser
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

test-slurm: $(READY) slurm-packages # on a real SLURM, brought up here and taken down again; needs root
	$(BIN)/python -m pytest -rs tests/slurm

test-gpu: $(READY) gpu-packages # the paper preset through CUDA's code paths, without a card
	$(BIN)/python -m tests.gpu -n 2

# Debian's packages for these two, and for the tests of pages: $(call packages,commands,packages that bring them). Where they
# cannot be installed, the tests say what is missing.
packages = which $(1) > /dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive \
  apt-get install -y --no-install-recommends $(2); } > /dev/null 2>&1 || true
slurm-packages:
	$(call packages,slurmd slurmdbd,slurmctld slurmd slurm-client munge slurmdbd slurm-wlm-mysql-plugin mariadb-server)
gpu-packages:
	$(call packages,cc nm,gcc libc6-dev binutils)
browser-packages:
	$(call packages,chromium,chromium chromium-driver)

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules

bench: $(READY)
	env -u OMP_NUM_THREADS $(BIN)/python -m bench # all cores: one job alone

faults: $(READY) # kills, damage, full disks … in every step; again by their seed: FAULTS="--seed 2 --count 500"
	$(BIN)/python -m tests.faults $(FAULTS)

gc: $(READY) # what no card refers to: list it; DELETE=1 puts it into a bin, PRESET=smoke looks there
	$(BIN)/python -m piti gc $(if $(PRESET),--config preset=$(PRESET)) $(if $(DELETE),--delete)

# Reinstalled only when what is installed changes.
$(READY): envs/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed, found " + sys.version.split()[0] + "; try: make PYTHON=python3.12" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r envs/requirements.txt
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	touch $@

clean: # the environment; results are never removed
	rm -rf .venv
