# make run: install and start.  make test: install what the tests need and run everything.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
PIP = $(BIN)/pip install --disable-pip-version-check --quiet

.PHONY: run test lint audit clean
run: $(VENV)/.app
	$(BIN)/python app.py

# talks are in real time and wait more than they compute: four processes for two cores, and the linters beside them
test: $(VENV)/.dev
	sh scripts/ensure-browser.sh $(BIN)/python
	sh scripts/ensure-nginx.sh
	$(MAKE) --no-print-directory lint >$(VENV)/lint.log 2>&1 & lint=$$!; \
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder; tested=$$?; \
	wait $$lint || { cat $(VENV)/lint.log; exit 1; }; exit $$tested

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/pip check

audit: $(VENV)/.dev
	$(BIN)/pip-audit --requirement requirements.txt

$(VENV)/.app: requirements.txt
	sh scripts/ensure-venv.sh $(PYTHON) $(VENV)
	$(PIP) --requirement requirements.txt
	touch $@

# moshi, the tests' oracle and the benchmarks' peer, and Resemblyzer, of which only the weights are used, ask for what the app has newer or
# does without: they come alone, in a folder of their own
$(VENV)/.dev: requirements-dev.txt requirements-personaplex.txt requirements-zerogpu.txt $(VENV)/.app
	$(PIP) --no-compile --requirement requirements-dev.txt
	$(PIP) --no-compile --no-deps --upgrade --target $(VENV)/oracle moshi==0.2.13 Resemblyzer==0.1.4
	touch $@

clean:
	rm -rf $(VENV)
