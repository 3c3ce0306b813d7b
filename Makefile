# make demo    set everything up, train LeNet on 1,797 real handwritten digits and evaluate it
# make test    set everything up, then lint, format check, types and tests
# make proofs  the longer proofs; with BIOCLASS_TEST_DATA=DIR also those on real data, with BIOCLASS_TEST_WEIGHTS=DIR
#              those with real weights
# make bench   speed beside PyTorch, in an environment of its own; make bench-scale: from 1,000 to 1,000,000 images;
#              make bench-augment: augmentation beside albumentations and torchvision, and its cost in training;
#              make bench-features: many heads on cached features beside one pass over the images;
#              make bench-backbones: GluonCV's networks from files to weights and answers beside PyTorch

EXTRA ?= cpu
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready-$(EXTRA)
FITS = import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)

.PHONY: demo test proofs bench bench-scale bench-augment bench-features bench-backbones format clean

demo: $(READY)
	@rm -rf runs/demo
	$(BIN)/bioclass fit digits-lenet --run runs/demo
	$(BIN)/bioclass evaluate runs/demo
	@echo
	@echo "The run is in runs/demo: evaluation/test/report.html is to be read, beside it are metrics and predictions,"
	@echo "history.jsonl the epochs, recipe.toml what was done. Next: $(BIN)/bioclass recipes list"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

proofs: $(READY)
	$(BIN)/python -m pytest -m slow

bench: $(READY)
	$(BIN)/python tests/bench/training.py

bench-scale: $(READY)
	$(BIN)/python tests/bench/scale.py

bench-augment: $(READY)
	$(BIN)/python tests/bench/augmentation.py

bench-features: $(READY)
	$(BIN)/python tests/bench/features.py

bench-backbones: $(READY)
	$(BIN)/python tests/bench/backbones.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "bioclass needs Python 3.10, 3.11 or 3.12 with venv (Debian: python3-venv); \
	none is on the PATH. Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@ldconfig -p 2>/dev/null | grep -q libgomp.so.1 || { echo "MXNet needs libgomp.so.1: install the system \
	package libgomp1 (Debian, Ubuntu) or libgomp (Fedora)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRA)]" --group dev
	@# GluonCV asks for opencv-python, which needs libGL; the headless build is the same module without it.
	$(BIN)/python -m pip uninstall --quiet --yes opencv-python
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps "opencv-python-headless<4.12"
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
