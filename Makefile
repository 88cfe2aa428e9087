# `make` lists what there is. `make demo` and `make test` set up all they need, in .venv, once.

PYTHON ?= python3
RUN = .venv/bin/python
# -qq: pip says something only when it fails. No byte-compiling: it costs more than it saves the first start.
PIP = $(RUN) -m pip install -qq --disable-pip-version-check --prefer-binary --no-compile

# What the tests need of Debian: voices, a sound server, media tools, a C compiler for the C example, namespaces.
DEBIAN = espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts festvox-italp16k \
	pulseaudio pulseaudio-utils libasound2-plugins libportaudio2 libgl1 ffmpeg gcc libc6-dev libzmq3-dev \
	iproute2 asterisk-core-sounds-en-g722 klettres-data saytime

.PHONY: help demo test lint types bench figures clean debian
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/runtime ## see and hear it work: a rendered face says a sentence, its words appear
	@$(RUN) launch.py demo

# What goes by the clock runs alone; the rest runs on every core.  Promises in seconds may be broken by other work on
# the machine: what failed by the clock is named and run once more, with the same limits.
test: debian .venv/development lint types ## everything CI checks: style, types, tests
	@$(RUN) -m pytest -m "not live" --numprocesses auto
	@$(RUN) -m pytest -m live || { echo "once more, what failed by the clock:"; \
		$(RUN) -m pytest -m live --last-failed --last-failed-no-failures none; }

lint: .venv/development ## ruff: mistakes and style
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check

types: .venv/development ## mypy
	@$(RUN) -m mypy

bench: ## what can be measured, each a command
	@for file in benchmarks/[a-z]*.py; do name=$${file#benchmarks/}; \
		printf '%s -m benchmarks.%-12s %s\n' "$(RUN)" "$${name%.py}" "$$(sed -n '1s/^"""\([^"`]*\).*/\1/p' $$file)"; done

figures: .venv/development ## measure the recogniser again and put its figures into the pages (half an hour)
	@rm -rf runs/figures
	@$(RUN) -m nodes.sources.talker.generate runs/strangers --many 20
	@$(RUN) -m benchmarks.speech --clips 0 --folder runs/figures || true
	@$(RUN) -m engines.speech.figures runs/figures/grid
	@$(RUN) -m benchmarks.never_worse --clips 0 --strangers runs/strangers --out runs/figures/never_worse || true
	@$(RUN) -m benchmarks.words
	@$(RUN) -m benchmarks.footprint

clean: ## remove .venv and everything made here
	rm -rf .venv build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "hearsee needs Python 3.11 or newer, $(PYTHON) is not; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; run: sudo apt-get install python3-venv" >&2; exit 1; }
	@test -x .venv/bin/python && $(RUN) -c 'import pip' 2>/dev/null || { \
		echo "making a virtual environment in .venv ..."; $(PYTHON) -m venv --clear .venv; }
	@touch $@

# Only the dependencies are installed: the project itself runs where it stands.
define REQUIREMENTS
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
lists = [project["dependencies"], *(project["optional-dependencies"][name] for name in sys.argv[1:])]
print(*(wanted for each in lists for wanted in each if not wanted.startswith("hearsee[")), sep="\n")
endef
export REQUIREMENTS

# EXTRAS=gpu adds what a GPU needs.
.venv/runtime: .venv/made pyproject.toml
	@echo "installing packages into .venv (once, 240 MB, about a minute) ..."
	@$(RUN) -c "$$REQUIREMENTS" $(EXTRAS) > .venv/runtime.txt
	@$(PIP) -r .venv/runtime.txt
	@touch $@

.venv/development: .venv/made pyproject.toml
	@echo "installing packages for development into .venv (once, with torch: some minutes) ..."
	@$(RUN) -c "$$REQUIREMENTS" gpu train test > .venv/development.txt
	@$(PIP) -r .venv/development.txt
	@touch $@

# Debian packages that are missing, installed where this user may.
debian:
	@command -v dpkg-query > /dev/null || { echo "not Debian: the tests need $(DEBIAN)" >&2; exit 0; }; \
	missing=$$(for name in $(DEBIAN); do \
		dpkg-query -W -f '$${Status}' $$name 2> /dev/null | grep -q 'ok installed' || printf '%s ' $$name; done); \
	test -n "$$missing" || exit 0; \
	if test "$$(id -u)" = 0; then as=env; elif sudo -n true 2> /dev/null; then as='sudo env'; \
	else echo "the tests need Debian packages; run: sudo apt-get install $$missing" >&2; exit 1; fi; \
	echo "installing Debian packages: $$missing..."; \
	install="$$as DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing"; \
	$$install > /dev/null 2>&1 || { $$as apt-get update -qq && $$install > /dev/null; }
