"""Try a model in a process of its own before this one opens it.

Engines are C++ that trusts what it reads: a changed model can end its process, and checksums can be made
anew. What a file does it does every time, so one trial a file is enough: what passed, and what was exported
here, is remembered by its content in the cache folder. `trial_program.py` is the trial itself.
"""

import importlib.metadata
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256 as digest
from pathlib import Path

from tinypose.errors import UserError
from tinypose.files import cache_folder, sha256, write_text

PROGRAM = Path(__file__).with_name("trial_program.py")
KEPT = 1000  # notes of what was tried
SECONDS = 600  # there for hangs; a trial takes one or two
_PACKAGES = {
    "paddle-lite": "paddlelite",
    "onnxruntime": "onnxruntime",
    "paddle-inference": "paddlepaddle",
    "openvino": "openvino",
    "mnn": "MNN",
    "ncnn": "ncnn",
}


def try_model(folder: str | Path, name: str, engine: str, paths: Sequence[Path]) -> None:
    """Let an engine load a model and compute with it once, in a process of its own; once for a file.

    Args:
        folder: with the description.
        name: of the model in it.
        engine: that runs it.
        paths: the model's files.

    Raises:
        UserError: the process dies, does not end, or says what is wrong.
    """
    note = _note(engine, paths)
    if note.is_file():
        return
    command = [sys.executable, PROGRAM, str(folder), name]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except OSError as error:
        raise UserError(
            f"{paths[0]}: was not made here and has to be tried in a process of its own, which cannot be "
            f"started: {error.strerror or error}"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{paths[0]}: {engine} does not end with this model; export again") from None
    if done.returncode == 2:
        raise UserError(done.stderr.strip() or f"{paths[0]}: {engine} cannot open this model")
    if done.returncode:
        how = f"exit code {done.returncode}"
        with suppress(ValueError):
            how = signal.Signals(-done.returncode).name
        if how == "SIGINT":
            raise KeyboardInterrupt
        raise UserError(
            f"{paths[0]}: {engine} ended its process ({how}) when it opened or ran this model, which is "
            "damaged or made by something else; export again"
        )
    _remember(note)


def trust(engine: str, paths: Sequence[Path]) -> None:
    """Remember a model that was made here and now, so that it is not tried."""
    _remember(_note(engine, paths))


def _note(engine: str, paths: Sequence[Path]) -> Path:
    """Return the file that says that a model was tried: its name is the content's and the engine's."""
    try:
        version = importlib.metadata.version(_PACKAGES[engine])
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"{engine}: not installed here; `pip install {_PACKAGES[engine]}`") from None
    about = [engine, version, *(sha256(path) for path in paths)]
    return cache_folder() / "tried" / digest(json.dumps(about).encode()).hexdigest()


def _remember(note: Path) -> None:
    with suppress(UserError, OSError):  # then it is tried again the next time
        write_text(note, "")
        for old in sorted(note.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink()
