# Everything runs in .venv, which is built with Python 3.10 and the versions of requirements.lock.
PYTHON ?= python3.10
BIN := .venv/bin

.PHONY: setup lock demo test slow lint bench android clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' || { \
	  echo "error: Python 3.10 is needed (paddlelite has no wheel for others) and '$(PYTHON)' is not it."; \
	  echo "Get it with one of:"; \
	  echo "  apt-get install python3.10 python3.10-venv    (Ubuntu 22.04)"; \
	  echo "  pyenv install 3.10                            (any Linux)"; \
	  echo "  conda create -n py310 python=3.10             (then: make PYTHON=/path/to/that/bin/python)"; \
	  exit 2; } >&2
	@echo "making .venv and installing 1.5 GB of packages into it: some minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
ifdef GPU
	@test -n "$(PADDLE_INDEX)" || { echo "error: GPU=1 needs PADDLE_INDEX=ADDRESS of Paddle's CUDA wheels (docs/training.md)" >&2; exit 2; }
	$(BIN)/python -m pip uninstall --yes --disable-pip-version-check paddlepaddle
	$(BIN)/python -m pip install --disable-pip-version-check --extra-index-url $(PADDLE_INDEX) paddlepaddle-gpu==$$( \
	  sed -n 's/^paddlepaddle==\([0-9.]*\).*/\1/p' requirements.lock) numpy==$$(sed -n 's/^numpy==\([0-9.]*\).*/\1/p' requirements.lock)
endif
	@touch $@

demo: setup
	$(BIN)/python scripts/demo.py

# A file's tests stay together, as they share what is made for them; each process takes some gigabytes.
test: setup lint
	$(BIN)/python -m pytest -rs --numprocesses auto --maxprocesses 4 --dist loadfile

slow: setup
	$(BIN)/python -m pytest -m slow

# Gives every line of requirements.lock the sum of its file.
lock: setup
	$(BIN)/python scripts/lock.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: setup
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# The app by Debian's packages, without Gradle (docs/android.md).
android: setup
	$(BIN)/python scripts/android.py

clean:
	rm -rf .venv build output
