"""Read a YAML file as plain values, over the one that it inherits, and with overrides laid over both."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tinypose.errors import UserError
from tinypose.files import LONGEST_NUMBER, read_text

DEEPEST = 100  # mappings and lists within each other in a YAML file
LONGEST = 1_000_000  # characters of a YAML file, and plain values in it

# Which file or option set a key, by its path from the root.
Origins = dict[tuple[str, ...], str]
# Finds the config of a name, seen from a folder: `tinypose.config.find_config`.
Find = Callable[[str, Path], Path]


def read_values(path: Path, overrides: Sequence[str], find: Find) -> tuple[dict[str, Any], Origins]:
    """Read a config's values, with what it inherits, and lay overrides of the form `key.key=value` over them.

    Args:
        path: of the config.
        overrides: in their order.
        find: where a config is that another one inherits.

    Returns:
        Plain values, and for error messages which file or option set each.

    Raises:
        UserError: a missing or malformed file or override, or a circle of inheritance.
    """
    values, origins = _read_chain(path, (), find)
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise UserError(f"-o {text}: expected KEY=VALUE, for example -o eval.flip=false")
        try:
            parsed = parse_yaml(value)
        except ValueError as error:
            raise UserError(f"-o {text:.200}: the value is not YAML: {error}") from None
        tree: Any = parsed
        for part in reversed(key.strip().split(".")):
            tree = {part: tree}
        values = _merge(values, tree, f"-o {text}", origins, ())
    return values, origins


def _read_chain(path: Path, seen: tuple[Path, ...], find: Find) -> tuple[dict, Origins]:
    """Read a YAML file over the one it inherits; also say which file set each key."""
    resolved = path.resolve()
    if resolved in seen:
        circle = " -> ".join(str(each) for each in (*seen, resolved))
        raise UserError(f"{path}: inherits from itself: {circle}")
    values = read_yaml(path, "config")
    parent = values.pop("inherits", None)
    if parent is None:
        base, origins = {}, {}
    elif isinstance(parent, str):
        try:
            parent_path = find(parent, path.parent)
        except UserError as error:
            raise UserError(f"{path}: inherits: {error}") from None
        base, origins = _read_chain(parent_path, (*seen, resolved), find)
    else:
        raise UserError(f"{path}: inherits: expected the name of one file, found {parent!r}")
    return _merge(base, values, str(path), origins, ()), origins


def _merge(base: Any, over: Any, source: str, origins: dict, at: tuple[str, ...]) -> Any:
    """Lay `over` on `base`: mappings key by key, anything else as a whole."""
    origins[at] = source
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    # A model of another family shares no keys with the inherited one, so it takes its whole place; so does
    # an output of another kind. Outputs without a name are heatmaps.
    if at in (("model",), ("output",)) and "name" in over and over["name"] != base.get("name", "heatmap"):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merge(base.get(key, {}), value, source, origins, (*at, str(key)))
    return merged


def read_yaml(path: str | Path, what: str) -> dict:
    """Read a YAML file that holds a mapping; `what` names its role in errors."""
    try:
        values = parse_yaml(read_text(path, what))
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a {what} with `key: value` lines, found {type(values).__name__}")
    return values


def parse_yaml(text: str) -> Any:
    """Read YAML as plain containers, text, numbers and dates, nested no deeper than makes sense.

    Raises:
        ValueError: not YAML, a list or mapping within itself, or text or numbers beyond all use.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text):,} characters; no config has more than {LONGEST:,}")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # before the reader recurses
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"more than {DEEPEST} lists and mappings within each other")
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (ArithmeticError, LookupError, TypeError, RecursionError, AttributeError) as error:
        raise ValueError(f"a value that is none ({error})") from None  # a tag or a date that does not fit
    for number, value in enumerate(_every(values, 0)):
        if number > LONGEST:
            raise ValueError("aliases that make it endless")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"a NUL in {value!r:.60}")
        if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
            raise ValueError(f"a whole number of {value.bit_length()} bits")
        if not isinstance(value, str | float | int | None):
            raise ValueError(
                f"a {type(value).__name__}, {str(value):.60}; expected text, numbers, lists and mappings"
            )
    return values


def _every(value: Any, depth: int) -> Iterator[Any]:
    """Yield every plain value in containers."""
    if depth > DEEPEST:
        raise ValueError("a list or mapping within itself")
    if isinstance(value, dict):
        for item in value.values():
            yield from _every(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _every(item, depth + 1)
    else:
        yield value
