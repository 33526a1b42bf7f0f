# `make demo` runs the whole story on this machine, `make test` every test that needs no root.
# Both need nothing but Python 3.10+ and make; what they need beside goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Three processes on two processors: that of the worlds waits more than it works.
WORKERS ?= 3
# Each has a daemon or a cluster of its own, and one of them an Airflow as well: more than two are slower than two.
REAL_WORKERS ?= 2
# Where the machine keeps Python from it: else every process of an Airflow compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=
QUICK := not (e2e or browser or postgres or server or alone or real)

.PHONY: setup demo quick test real built lint clean

setup: $(READY)

# pip compiles with one processor, compileall with all; what a package has for other versions of Python may fail there.
# What is installed as editable nobody else compiles, until every process of an Airflow does so at once.
$(READY): pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[demo,dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt \
			--editable '.[demo,dev]' && \
		{ $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true; }; \
	fi
	@$(BIN)/python -m compileall -qq -j 0 airflow_cd
	@touch $(READY)

demo: setup
	@$(BIN)/airflow-cd demo $(ARGS)

# No server, no browser; and enough of the tasks is tested here to see a mistake in minutes.
quick: setup
	$(BIN)/python -m pytest --numprocesses 2 -m '$(QUICK)' --cov --cov-report=term $(ARGS)

# One run: the story's processes have priority over the others', see tests/tiers.py.
test: setup
	$(BIN)/python -m pytest --numprocesses $(WORKERS) -m 'not real' $(ARGS)

# What takes a Docker daemon, a whole Kubernetes or a server of logs, and minutes the first time: root, Go, Java with
# Maven, and Debian's docker.io,
# docker-compose, mmdebstrap, haproxy, docker-registry, etcd-server, containernetworking-plugins, conntrack, iptables,
# busybox-static.
real: built
	$(BIN)/python -m pytest --numprocesses $(REAL_WORKERS) -m real tests/real $(ARGS)

# What `make real` builds first of all, for whoever has something else to do meanwhile.
built: setup
	$(BIN)/python -m tests.real.building .cache/real

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .cache .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
