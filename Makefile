# Two commands are all that a fresh Debian 12 or 13 needs: `make demo` and `make test`.
#
#   make demo [KEEP=1]      the whole way of a message, shown in a lab of its own
#   make test [WHEEL=1]     linters, types, layers, all tests; WHEEL=1: against the built wheel. The first time a
#                           Debian is fetched, on which a play is tried, and kept in ~/.cache/postmask
#   make test TESTS=tests/unit PYTEST_ARGS=-x
#   make lint               linters, types and layers only
#   make test-ansible       the plays, on Debian 12 and 13 booted from root trees, which are made once (minutes)
#   make fixtures           attach, sync and detach killed at every step on every kind of host, and our programs
#                           and the database out on each of them; `make test` has a choice of it
#   make soak [SOAK_MESSAGES=10000] [SOAK_SEED=1]
#                           messages by the thousand while everything is killed at random, and the
#                           spam engine is frozen for two minutes
#   make bench              throughput and CPU, ours beside the limit
#   make bench-database     throughput with Postgres stopped, frozen, slow, read-only and full
#   make bench-spam         throughput with a spam engine that takes 0.2 s a message
#   make bench-directory    a directory of 1,000,000 aliases beside one of 1,000
#   make bench-nodes        what ten nodes cost one Postgres, and each program in memory
#   make wheel              the wheel, into dist/
#   make lock               requirements.lock anew, and what the play installs of it (needs uv)

SHELL := /bin/sh
export PATH := $(PATH):/usr/sbin:/sbin
# The tests start programs by the hundred: where this is set, each of them would compile SQLAlchemy anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
TESTS ?=
PYTEST_ARGS ?= -n 3 --dist loadgroup --no-loadscope-reorder

.PHONY: help demo test lint checks test-ansible fixtures soak bench bench-database bench-directory bench-spam bench-nodes wheel lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@scripts/bootstrap demo
	@$(BIN)/python scripts/demo.py $(if $(KEEP),--keep)

lint:
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory checks

checks:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" && yamllint --strict . && ansible-lint -q

ifdef WHEEL
test: lint wheel
	@BOOTSTRAP_VENV=.venv-wheel BOOTSTRAP_WHEEL=$$(ls -t dist/*.whl | head -1) scripts/bootstrap test
	.venv-wheel/bin/pytest $(PYTEST_ARGS) $(TESTS)
else
test: lint
	$(BIN)/pytest $(PYTEST_ARGS) $(TESTS)
endif

test-ansible:
	@scripts/bootstrap test
	$(BIN)/pytest -q -s --timeout 3600 $(or $(TESTS),tests/ansible)

fixtures:
	@scripts/bootstrap test
	FIXTURES_ALL=1 $(BIN)/pytest $(PYTEST_ARGS) tests/e2e/test_attach.py

soak:
	@scripts/bootstrap test
	SOAK_MESSAGES=$(or $(SOAK_MESSAGES),10000) SOAK_SEED=$(or $(SOAK_SEED),0) SOAK_FROZEN=120 \
	  $(BIN)/pytest -q -s tests/e2e/test_soak.py

bench:
	@scripts/bootstrap test
	@$(BIN)/python tests/bench/bench.py $(BENCH_ARGS)

bench-database bench-directory bench-spam bench-nodes:
	@scripts/bootstrap test
	@$(BIN)/python tests/bench/$(@:bench-%=%).py $(BENCH_ARGS)

wheel:
	@scripts/bootstrap wheel
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --wheel .

LOCK = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --no-annotate --quiet
ROLE_LOCK = ansible/roles/postmask_mx/files/requirements.lock

lock:
	$(LOCK) pyproject.toml --extra dev -o requirements.lock
	echo setuptools | $(LOCK) pyproject.toml - -c requirements.lock -o $(ROLE_LOCK)

clean:
	rm -rf dist build .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .venv-wheel
