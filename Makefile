PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test live ui check bench bench-day bench-gates bench-products bench-triggers bench-year lock clean
.DEFAULT_GOAL := run

run: .venv/ready        ## replay the first twelve weeks of the flights of 2013, or go on where that stopped
	$(BIN)/evergreen replay flights

test: .venv/ready       ## the tests: two workers, of one thread each
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

live: .venv/ready       ## the tests on real servers: the daemon on today's date, killed and started again; PostgreSQL
	$(BIN)/pytest -n 2 tests/live

ui: .venv/ready         ## the Dagster UI and the MLflow UI on that history, on loopback
	$(BIN)/evergreen ui

check: .venv/ready      ## format, lint, types, import contracts
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: bench-day bench-gates bench-products bench-triggers ## all four, about an hour

bench-day: .venv/ready  ## what a day costs beside a script that does the same by hand; what importing costs, and the disk
	$(BIN)/python benchmarks/day.py

bench-products: .venv/ready ## what loading the code location costs with one product, and with twenty
	$(BIN)/python benchmarks/products.py

bench-gates: .venv/ready ## what the gates let through and refuse, and what refitting gives back: simulated decisions
	$(BIN)/python benchmarks/gates.py && $(BIN)/python benchmarks/refit.py

bench-triggers: .venv/ready ## how often the performance trigger fires for nothing, and what it sees: simulated days
	$(BIN)/python benchmarks/false_alarms.py

bench-year: .venv/ready ## the same over all of 2013
	$(BIN)/python benchmarks/day.py 2013-12-31

lock: .venv/ready       ## resolve the dependencies anew, with hashes and without hosts
	$(BIN)/uv pip compile -q pyproject.toml --extra sample --extra postgres --extra dev --override overrides.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header -o requirements.lock
	test ! -f own/requirements.in || $(BIN)/uv pip compile -q own/requirements.in -c requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header -o own/requirements.lock

clean:                  ## forget the environment; data in .evergreen stays
	rm -rf .venv

# the clone's own packages come first: where an older lock of theirs names one of ours too, ours is what stays
.venv/ready: requirements.lock bootstrap.lock pyproject.toml $(wildcard own/requirements.lock)
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Evergreen needs Python 3.11 to 3.13: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r bootstrap.lock
	test ! -f own/requirements.lock || $(BIN)/uv pip install -q --no-deps --require-hashes -r own/requirements.lock -p .venv
	$(BIN)/uv pip install -q --compile-bytecode --no-deps --require-hashes -r requirements.lock -p .venv
	$(BIN)/uv pip install -q --no-deps --no-build-isolation -e . -p .venv
	touch .venv/ready
