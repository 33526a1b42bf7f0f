# Two commands: `make demo` runs the whole story on this machine, `make test` runs every test.
# Both need nothing but Python 3.10+ and make; what they need beside goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test real lint clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[demo,dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'; \
	fi
	@touch $(READY)

demo: setup
	@$(BIN)/airflow-cd demo $(ARGS)

# The story is told with nothing beside it, since what else runs would decide how fast its fleet answers. Exit code 5
# is pytest's for "none of these were asked for".
test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m 'not alone' $(ARGS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -m alone $(ARGS) || [ $$? -eq 5 ]

# What takes a Docker daemon, and minutes the first time: root and Debian's docker.io, docker-compose, mmdebstrap.
real: setup
	$(BIN)/python -m pytest -m real tests/real $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
