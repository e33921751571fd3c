# Everything runs in .venv, which is made and brought up to date when a requirements file changes.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet
# More than two cores: tests that wait for processes and servers leave room for others.
TEST_WORKERS ?= 3

.PHONY: help setup demo demo-style test test-thorough lint bench

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## .venv with everything the framework needs (no work if up to date)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' || \
	  { echo "error: $(PYTHON) is older than 3.11.4; give a newer one: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt requirements-visdom.txt build-constraints.txt | $(VENV)/.python
	$(PIP) -r requirements.txt
	PIP_CONSTRAINT=$(CURDIR)/build-constraints.txt \
	PIP_BUILD_CONSTRAINT=$(CURDIR)/build-constraints.txt \
	$(PIP) --use-pep517 -r requirements-visdom.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-export.txt requirements-huggingface.txt \
  requirements-serve.txt requirements-trackers.txt requirements-video.txt $(VENV)/.installed
	$(PIP) -r requirements-dev.txt
	@touch $@

demo: setup ## build demo data, train pix2pix for two minutes, test it, say where the page is
	$(PY) scripts/demo.py

demo-style: setup ## paint a photograph as stained glass; PERCEPTUAL_WEIGHTS=FILE for real weights
	$(PY) scripts/demo_style.py

test: $(VENV)/.installed-dev ## the test suite, in four minutes on two cores
	$(PY) -m pytest -n $(TEST_WORKERS)

test-thorough: $(VENV)/.installed-dev ## what takes seconds each: tests/thorough.txt
	$(PY) -m pytest -n $(TEST_WORKERS) -m thorough

lint: $(VENV)/.installed-dev ## style and mistakes
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) scripts/write_options_reference.py --check

bench: setup ## speed, in ten minutes at most, as tables and benchmark.json; BENCH="--against PATH"
	$(PY) benchmarks/run.py $(BENCH)
