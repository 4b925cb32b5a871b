"""Check plain values against a pydantic model, and say in a user's words what is wrong."""

import difflib
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tinypose.errors import UserError

Schema = TypeVar("Schema", bound=BaseModel)


def validate(schema: type[Schema], values: Any, origins: dict[tuple[str, ...], str], source: str) -> Schema:
    """Check `values` against `schema`; an error says file, field, what was expected, what was found.

    Args:
        schema: the pydantic model.
        values: plain containers, as YAML or JSON gives them.
        origins: which file or option set a key, for error messages; keys are paths from the root.
        source: the file to name where `origins` says nothing.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            location = tuple(str(part) for part in problem["loc"])
            key = _without_tags(location, values)
            where = next((origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins), source)
            if problem["type"] == "extra_forbidden":
                hint = _renamed(schema, key) or _nearest(schema, location)
                lines.append(f"{where}: unknown key '{'.'.join(key)}'{hint}")
            else:
                found = "" if problem["type"] == "missing" else f", found {problem['input']!r}"
                lines.append(f"{where}: {'.'.join(key) or 'the file'}: {problem['msg']}{found}")
        raise UserError("\n".join(lines)) from None


def _without_tags(location: tuple[str, ...], values: Any) -> tuple[str, ...]:
    """Drop what pydantic puts into a location to say which member of a union it tried."""
    key = []
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(values, dict) and part in values:
            values = values[part]
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        elif not last:
            continue
        key.append(part)
    return tuple(key)


def _renamed(schema: type[BaseModel], key: tuple[str, ...]) -> str:
    """Answer the name that a section had with the one it has."""
    new = {("heatmap",): "output", ("boxes",): "output"}.get(key, "")
    return f"; this section is called '{new}' now" if new in schema.model_fields else ""


def _nearest(schema: type[BaseModel], location: tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` or the list of known keys at this place of the schema."""
    level: list[type[BaseModel]] = [schema]
    for part in location[:-1]:
        found = [
            m
            for each in level
            if part in each.model_fields
            for m in _models(each.model_fields[part].annotation)
        ]
        tagged = [
            m
            for m in level
            if "name" in m.model_fields and part in get_args(m.model_fields["name"].annotation)
        ]
        level = found or tagged or level
    known = sorted({name for each in level for name in each.model_fields})
    close = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known here: {', '.join(known)}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None:
        return []
    return [m for each in get_args(annotation) for m in _models(each)]
