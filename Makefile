# From a bare checkout with Python 3.11 and pip alone: every target makes the virtual environment it needs.
PYTHON ?= python3
PARTIES ?= 5
MINUTES ?= 30
EXAMPLES ?= 30
SEED ?= 1
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# The client is a package of its own, used from where it lies.
export PYTHONPATH := $(CURDIR)/client/src

# What reads the settings without a server: a database that isn't there, a key that signs nothing.
WITHOUT_SERVERS := DATABASE_URL=postgresql://lint@%2Fnonexistent/lint REDIS_URL=redis://localhost \
	VERTEX_SECRET_KEY=lint VERTEX_DB_POOL=0

.PHONY: install demo test model cluster bench coverage mutants faults soak fuzz load lint schema format lock clean

install: $(INSTALLED)

$(INSTALLED): requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(INSTALLED)
	$(PY) -m cluster.demo

test: $(INSTALLED)
	$(PY) -m tests.stages

# The commit rule at the sizes that take longer than a test run may; WORDS="2-of-3 liar" names some of them.
model: $(INSTALLED)
	$(PY) -m tests.reshare.model $(WORDS)

cluster: $(INSTALLED)
	@exec $(PY) -m cluster --parties $(PARTIES)

bench: $(INSTALLED)
	@exec $(PY) -m cluster.bench

# Lines and branches of mpc/ that its own tests reach; fails below the bar in pyproject.toml.
coverage: $(INSTALLED)
	$(PY) -m coverage run -m pytest -q tests/mpc
	$(PY) -m coverage report

# Changes of the checks of mpc/ that no test notices: up to an hour. MODULES="mpc.sign mpc.mul" for some only.
mutants: $(INSTALLED)
	@exec $(PY) -m tests.mutants $(MODULES)

# FAULTS: options of it, e.g. FAULTS="--minutes 10 --only relay --seed 1".
faults: $(INSTALLED)
	@exec $(PY) -m tests.faults $(FAULTS)

soak: $(INSTALLED)
	@exec $(PY) -m tests.faults.soak --minutes $(MINUTES)

# schemathesis at length; SEED=n for other requests.
fuzz: $(INSTALLED)
	VERTEX_FUZZ_EXAMPLES=$(EXAMPLES) VERTEX_FUZZ_SEED=$(SEED) $(PY) -m pytest -q --timeout=3600 tests/fuzz

load: $(INSTALLED)
	@exec $(PY) -m tests.faults.load

lint: $(INSTALLED)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(WITHOUT_SERVERS) $(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(WITHOUT_SERVERS) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

# The OpenAPI document as a file, for clients and reviews; a test fails where it differs from what a vertex serves.
schema: $(INSTALLED)
	$(WITHOUT_SERVERS) $(PY) -W ignore::RuntimeWarning manage.py spectacular \
		--validate --fail-on-warn --format openapi-json --file docs/openapi.json

format: $(INSTALLED)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# Needs uv; the only target that does.
lock:
	for name in requirements requirements-dev; do \
		uv pip compile $$name.txt --output-file $$name.lock --quiet --universal --python-version 3.11 \
			--generate-hashes --no-header --no-annotate || exit 1; \
	done

clean:
	rm -rf $(VENV) .cluster staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
