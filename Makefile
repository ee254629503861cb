# Every target makes what it needs: on a fresh machine python3 and make are enough.

# The file the demo reads, and further arguments for the command of a target, as in
#   make demo FILE=notes.txt      make test ARGS="tests/unit -x"      make serve ARGS="--port 8000"
FILE ?= README.md
ARGS ?=
# How many times bigger the rounds of `make chaos` are than those of `make test`.
CHAOS_FACTOR ?= 20
# Tests wait more than they compute: three processes on two cores; WORKERS=0 runs them in one.
WORKERS ?= 3

BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo serve test coverage check docs bench bench-smoke bench-peers chaos lock clean run-env test-env

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: run-env ## send a file to the built-in agent, kill parts of the system, show that nothing is lost
	@$(BIN)/jetrun demo $(ARGS) "$(FILE)"

serve: run-env ## NATS server, gateway, worker and sink on this machine
	@$(BIN)/jetrun serve $(ARGS)

test: test-env ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

coverage: test-env ## all tests, a third slower, and which lines and branches they reach
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term $(ARGS)

check: test-env ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The variable silences advice on which successor of MkDocs to take. Quiet, it would not count warnings.
docs: test-env ## the documentation as a site in build/site; fails at a link that leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build $(ARGS)

bench: test-env ## all benchmarks beside their baselines
	$(BIN)/python -m bench $(ARGS)

bench-smoke: test-env ## the benchmarks at a size that only shows that they run
	$(BIN)/python -m bench --smoke $(ARGS)

bench-peers: test-env ## jetrun beside other servers of its protocol, installed into .venv-peers
	$(BIN)/python -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
	$(BIN)/python -m bench.peers $(ARGS)

# The limit is per test; the rounds of one test take many minutes here.
chaos: test-env ## the tests that kill processes, with rounds CHAOS_FACTOR times bigger
	CHAOS_FACTOR=$(CHAOS_FACTOR) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m chaos --timeout=7200 $(ARGS)

lock: test-env ## write both lock files anew; ARGS=--upgrade takes newer versions
	scripts/lock.sh $(ARGS)

clean: ## remove caches and reports; .venv and data stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist htmlcov
	rm -f .coverage .coverage.* coverage.xml
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +

run-env:
	@scripts/setup.sh run

test-env:
	@scripts/setup.sh test
