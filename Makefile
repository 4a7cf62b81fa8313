# Two commands: `make demo` and `make test`. Both begin with nothing but Python, pip and make.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test engines lint docs figures bench clean

demo: $(READY)
	$(BIN)/isthmus demo --output demo

test: lint
	$(BIN)/python -m pytest

# stores on a real PostgreSQL and a real Milvus, which are installed for it: some 150 MB, minutes
engines: $(READY)
	$(BIN)/python -m pip install --quiet --requirement tests/hashing/requirements-engines.txt
	ISTHMUS_ENGINES=1 $(BIN)/python -m pytest tests/hashing

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	ISTHMUS_WRITE_DOCS=1 $(BIN)/python -m pytest tests/test_docs.py -k help

figures: $(READY)
	$(BIN)/python docs/figures.py

bench: $(READY) .peers/.ready
	$(BIN)/python benchmarks/training.py --write-docs

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

.peers/.ready: benchmarks/requirements-peers.txt requirements.lock
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --requirement benchmarks/requirements-peers.txt
	touch .peers/.ready

clean:
	rm -rf .venv .peers demo
