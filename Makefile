# Two commands for a fresh machine with Rust, Python 3.11 and make: `make demo`, `make test`.

PYTHON ?= python3.11
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Other versions whose bytecode is known, as far as the machine has them.
python_of = $(firstword $(shell python$(1) -c 'import sys; print(sys.executable)' 2>/dev/null) \
	$(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1)))
OTHER_PYTHONS := $(foreach version,3.12 3.13,$(if $(call python_of,$(version)),$(version)))
WHEEL_BYTES_MAX := 47185920
FUZZ_PROGRAMS ?= 100000
FUZZ_CHAINS ?= 10000
DEVELOP := VIRTUAL_ENV=$(CURDIR)/$(VENV) PATH=$(BIN):$$PATH $(BIN)/maturin develop --quiet

# Where cargo builds.
CARGO_TARGET_DIR ?= $(CURDIR)/target

# The tests of the native module link the interpreter that runs them.
export PYO3_PYTHON := $(BIN)/python
export LD_LIBRARY_PATH := $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR") or "")'):$(LD_LIBRARY_PATH)

.PHONY: test demo docs bench bench-smoke bench-check fuzz check rust-test python-test \
	versions-test develop release-check deny pins clean

# Everything, cheapest first.
test: check docs rust-test python-test bench-check versions-test
	@echo "make test: all passed"

# Formatting, the house's own rules, lints.
check: $(VENV)/.ready
	cargo fmt --all --check
	cargo run --quiet --package xtask
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff check python demo benches
	$(BIN)/ruff format --check python demo benches

# Units, properties, simulations, conformance, the examples in the documentation, and the example
# program, which the tests have built.
rust-test: $(VENV)/.ready
	cargo test --workspace
	folder=$$(mktemp -d); $(CARGO_TARGET_DIR)/debug/examples/sensor_report $$folder >$$folder/out; \
		status=$$?; test $$status = 0 || cat $$folder/out; rm -rf $$folder; exit $$status

# The Python face: types, doctests and tests against the module as built.
python-test: develop
	$(BIN)/mypy
	$(BIN)/pytest

# The tests of the Python face with the other versions: one native module serves all of them. How
# workers are killed does not depend on the version.
versions-test: $(OTHER_PYTHONS:%=versions-test-%)
versions-test-%: .venv-%/.ready develop
	PYTHONPATH=$(CURDIR)/python .venv-$*/bin/python -m pytest --ignore python/tests/test_kills.py

.PRECIOUS: .venv-%/.ready
.venv-%/.ready: requirements-dev.txt
	test -x .venv-$*/bin/python || $(call python_of,$*) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

# Builds the native module in the tests' own profile and installs it in the environment.
develop: $(VENV)/.ready
	$(DEVELOP)

# One pipeline on real data; see demo/run.py. Results land in ./demo-out.
demo: develop $(VENV)/.demo
	$(BIN)/python demo/run.py

# The documentation as a site, in ./site; its examples run with the Python tests.
docs: .venv-docs/.ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet

# Figures against the peers, kept in benches/results, and docs/benchmarks.md made from them;
# `make bench WORKLOADS="sort join"` measures some. Installs the peers in benches/.venv. Bytecode is
# made as pip makes it when it installs a wheel.
WORKLOADS ?=
bench: benches/.venv/.ready
	VIRTUAL_ENV=$(CURDIR)/benches/.venv PATH=$(CURDIR)/benches/.venv/bin:$$PATH \
		benches/.venv/bin/maturin develop --release --quiet
	benches/.venv/bin/python -m compileall -q python/raceline
	benches/.venv/bin/python benches/run.py $(WORKLOADS)
	benches/.venv/bin/python benches/report.py

# Every cell of the benchmarks once at a hundredth of the size: do all engines agree? And does the
# page say what the results say?
bench-smoke: develop benches/.venv/.ready
	PYTHONPATH=$(CURDIR)/python benches/.venv/bin/python benches/run.py --smoke $(WORKLOADS)
	$(BIN)/python benches/report.py --check

# The same with those peers only that are small to install and quick to start.
bench-check: develop $(VENV)/.bench
	$(BIN)/python benches/run.py --smoke --engines raceline,duckdb,polars,python
	$(BIN)/python benches/report.py --check

# The night-long forms of the fuzz of the compiler, and of chains of methods; for another version
# of Python, `make fuzz PYTHON=python3.13 VENV=.venv-3.13`.
fuzz: develop
	RACELINE_FUZZ_PROGRAMS=$(FUZZ_PROGRAMS) $(BIN)/pytest python/tests/test_lambda_fuzz.py
	RACELINE_FUZZ_CHAINS=$(FUZZ_CHAINS) $(BIN)/pytest python/tests/test_chain_fuzz.py

# The wheel as released, and whether it is small enough.
release-check: $(VENV)/.ready
	rm -rf dist
	$(BIN)/maturin build --release --out dist
	@size=$$(stat -c %s dist/*.whl); echo "release wheel: $$size bytes of $(WHEEL_BYTES_MAX)"; \
		test $$size -le $(WHEEL_BYTES_MAX)

# Licences, advisories and sources of all dependencies.
deny:
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check

# Pins the newest versions of what the tests use.
pins:
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements-dev.in
	(echo '# Tools and libraries of the tests, pinned. Made by `make pins` from requirements-dev.in.'; \
		$(BIN)/pip freeze) > requirements-dev.txt

clean:
	cargo clean
	rm -rf $(VENV) .venv-* benches/.venv dist demo-out site

$(VENV)/.ready: requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

$(VENV)/.demo: demo/requirements.txt $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement demo/requirements.txt
	touch $@

$(VENV)/.bench: benches/requirements-check.txt $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement benches/requirements-check.txt
	touch $@

.venv-docs/.ready: docs/requirements.txt
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt
	touch $@

benches/.venv/.ready: benches/requirements.txt
	test -x benches/.venv/bin/python || $(PYTHON) -m venv benches/.venv
	benches/.venv/bin/pip install --quiet --disable-pip-version-check --requirement benches/requirements.txt
	touch $@
