"""The folder of a training run: what it is, where it stands, and the weights it has made.

    run.json         the config and the data it is a run of
    state.npz        everything that is needed to go on exactly; arrays and JSON, nothing that could run
    last.pdparams    the weights after the last epoch, beside last.json with the config
    best.pdparams    those of the best measurement, beside best.json
    epochs.jsonl     a line of JSON an epoch
    curves.png       loss, learning rate and accuracy

`state.npz` is written after everything it speaks of and takes the place of its predecessor in one step.
So a run that is killed at any moment stands either before or after a save.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tinypose.config import Config
from tinypose.errors import UserError
from tinypose.files import parse_json, read_arrays, read_json, write_json, write_text, write_whole
from tinypose.models.weights import write_params
from tinypose.validation import validate

# They may differ when a run goes on: they change nothing that is computed.
FREE = {"train.workers", "train.save_minutes", "train.visualdl"}


def start_run(output: Path, config: Config, facts: dict[str, Any], resume: bool) -> bool:
    """Make the folder of a run, or check that the one that is there can go on.

    Args:
        output: the folder.
        config: of the run.
        facts: plain values that must be the same when it goes on, such as a digest of the data.
        resume: go on with the run in the folder, if there is one.

    Returns:
        Whether there is a state to go on from.

    Raises:
        UserError: the folder holds something else, or another run than this.
    """
    record = {"config": config.model_dump(mode="json"), **facts}
    run = output / "run.json"
    if not run.exists():
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UserError(f"{output}: not empty, and no run of training; give a new folder")
        write_json(run, record)
        return False
    if not resume:
        raise UserError(f"{output}: holds a run already; give another folder, or --resume to go on with it")
    before = read_json(run, "record of a run")
    if not isinstance(before, dict):
        raise UserError(f"{run}: damaged: expected a record of a run, found {type(before).__name__}")
    before["config"] = validate(type(config), before.get("config"), {}, str(run)).model_dump(mode="json")
    old, new = _flat(before), _flat(json.loads(json.dumps(record)))
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    changed = [key.removeprefix("config.") for key in keys if key.removeprefix("config.") not in FREE]
    if changed:
        lines = [f"  {key}: {old.get(_key(old, key))!r}, now {new.get(_key(new, key))!r}" for key in changed]
        raise UserError("\n".join([f"{run}: the run that is there differs from this one:", *lines]))
    return (output / "state.npz").exists()


def save_state(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write named arrays and plain values, whole or not at all."""
    with write_whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays, __facts__=np.array(json.dumps(facts)))


def load_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_state` wrote.

    Raises:
        UserError: the file is damaged.
    """
    arrays = read_arrays(path, "state to go on from")
    try:
        facts = parse_json(str(arrays.pop("__facts__")[()]))
        if not isinstance(facts, dict):
            raise ValueError("its facts are none")
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{path}: damaged, cannot go on from it ({type(error).__name__}: {error})") from None
    return arrays, facts


def write_checkpoint(
    path: Path, params: dict[str, np.ndarray], config: Config, facts: dict[str, Any]
) -> None:
    """Write weights as `.pdparams` and, beside them, JSON with the config and what is known of them."""
    write_params(path, params)
    write_json(path.with_suffix(".json"), {"config": config.model_dump(mode="json"), **facts})


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write a line of JSON an epoch."""
    write_text(path, "".join(json.dumps(line) + "\n" for line in history))


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    items = [_flat(value, f"{prefix}.{key}" if prefix else key) for key, value in tree.items()]
    return {key: value for item in items for key, value in item.items()}


def _key(flat: dict[str, Any], key: str) -> str:
    return key if key in flat else f"config.{key}"
