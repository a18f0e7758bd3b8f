# One command per task. Each sets up what it needs in $(VENV), once: repeats start at once.
# `make test ARGS="-k adam"` hands arguments to what the task runs.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
ENGINE := setup.py pyproject.toml $(wildcard csrc/*.* csrc/isa/*) \
	$(wildcard tinygrad_lessons/_core/*.py tinygrad_lessons/_core/*.p[xy][xdi])
JOBS := $(shell getconf _NPROCESSORS_ONLN)
ISAS := baseline avx2 avx512

.PHONY: help demo test test-isa asan soak bench bench-compare parity package lint format clean

help:  ## list the tasks
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/built  ## train a convolutional net on handwritten digits, into a folder under runs/
	@echo "what each technique of this recipe adds: $(VENV)/bin/tgl ablate digits, and docs/ablation.md"
	@$(VENV)/bin/tgl train digits --model cnn $(ARGS)

test: $(VENV)/built  ## all tests but the long ones
	$(PY) -m pytest $(ARGS)

test-isa: $(VENV)/built  ## the tests that reach kernels, on each instruction set of this machine
	@for isa in $(ISAS); do \
		if [ $$isa = baseline ] || TGL_ISA=$$isa $(PY) -c 'import tinygrad_lessons' 2>/dev/null; \
		then echo "TGL_ISA=$$isa"; TGL_ISA=$$isa $(PY) -m pytest -m 'kernel and not soak' $(ARGS) || exit; \
		else echo "TGL_ISA=$$isa: not on this machine"; fi \
	done

asan:  ## the C kernels under the address and undefined-behaviour sanitizers
	$(MAKE) -C tests/c -j$(JOBS) asan

soak: $(VENV)/built  ## the tests that run long
	$(MAKE) -C tests/c -j$(JOBS) soak
	$(PY) -m pytest -m soak $(ARGS)

bench: $(VENV)/built $(VENV)/bench  ## times, their ratios to PyTorch's, NumPy's and JAX's, and a roofline
	$(PY) -m bench $(ARGS)

bench-compare: $(VENV)/built  ## which times moved since REF, a commit or branch: make bench-compare REF=main
	$(PY) -m bench.compare $(if $(REF),$(REF),$(error say what to compare with: make bench-compare REF=main)) $(ARGS)

parity: $(VENV)/parity  ## install PyTorch, so that `make test` compares with it

package: $(VENV)/built  ## build the source distribution, install it elsewhere, train with it
	rm -rf $(VENV)/sdist $(VENV)/installed
	$(PIP) build
	$(PY) -m build --sdist --outdir $(VENV)/sdist
	$(PYTHON) -m venv $(VENV)/installed
	$(VENV)/installed/bin/pip install --quiet $(VENV)/sdist/*.tar.gz
	cd $(VENV)/installed && bin/tgl info && bin/tgl train digits --model cnn --epochs 1 --out run

lint: $(VENV)/lint  ## check style and layout
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

format: $(VENV)/lint  ## mend style and layout
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

clean:  ## remove what the other tasks made, except runs/
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .ruff_cache .benchmarks
	rm -f tinygrad_lessons/_core/*.so tinygrad_lessons/_core/*.c tinygrad_lessons/_core/row*.pxi
	rm -f tinygrad_lessons/__init__.pyi tinygrad_lessons/_core/core.pyi
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/venv:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/built: $(VENV)/venv $(ENGINE)
	@echo "installing, and building the engine: this takes a few minutes"
	$(PIP) --editable '.[plot,test]'
	@touch $@

$(VENV)/parity $(VENV)/bench $(VENV)/lint: $(VENV)/%: requirements/%.txt $(VENV)/venv
	$(PIP) --requirement $<
	@touch $@
