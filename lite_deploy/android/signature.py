"""Reads Android's public interface from a signature file (format 2.0, api/current.txt of frameworks/base).

A line is a package, the beginning of a class, or a member:

    package android.view {
      public abstract class View implements android.graphics.drawable.Drawable.Callback {
        ctor public View(android.content.Context);
        method @CallSuper protected void onDetachedFromWindow();
        field public static final int VISIBLE = 0; // 0x0
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

_MODIFIERS = {
    "public", "protected", "private", "abstract", "static", "final", "default", "synchronized", "native",
    "transient", "volatile", "strictfp",
}  # fmt: skip
_ANNOTATION = re.compile(r"@(?!interface\b)[\w.]+\s*")


@dataclass
class Method:
    """A method, or a constructor, which has no `result` and no `name`."""

    modifiers: list[str]
    variables: str  # type variables, as <T>
    result: str
    name: str
    parameters: list[str]
    throws: str
    default: str  # of an annotation's element


@dataclass
class Field:
    """A field; `value` is None where the file gives none."""

    modifiers: list[str]
    type: str
    name: str
    value: str | None


@dataclass
class Class:
    """A class, interface, enum or @interface; `name` holds the dots of those it stands in."""

    package: str
    kind: str
    name: str
    modifiers: list[str]
    variables: str
    extends: list[str]
    implements: list[str]
    constructors: list[Method] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    inner: list["Class"] = field(default_factory=list)

    @property
    def full(self) -> str:
        """Its name with the package."""
        return f"{self.package}.{self.name}"

    @property
    def short(self) -> str:
        """Its name alone."""
        return self.name.rsplit(".", 1)[-1]


def read_signatures(path: Path) -> dict[str, Class]:
    """Return the classes of a signature file, by full name, in its order."""
    classes: dict[str, Class] = {}
    package, current = "", None
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if not line or line.startswith("//"):
            continue
        if line.startswith("package "):
            package = line.split()[1]
        elif line == "}":
            current = None
        elif current is None:
            current = _class(package, line)
            classes[current.full] = current
        else:
            _member(current, line)
    for each in classes.values():
        if "." in each.name:
            classes[f"{each.package}.{each.name.rsplit('.', 1)[0]}"].inner.append(each)
    return classes


def _closing(text: str) -> int:
    """Return where the bracket that `text` begins with is closed; strings are stepped over."""
    pairs = {"(": ")", "<": ">"}
    depth, quote, i = 0, "", 0
    opening, closing = text[0], pairs[text[0]]
    while True:
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return i
        i += 1


def _without_annotations(text: str, all_of_them: bool = True) -> str:
    """Leave annotations out: all, or those at the beginning."""
    out = ""
    while match := (_ANNOTATION.search(text) if all_of_them else _ANNOTATION.match(text)):
        out += text[: match.start()]
        text = text[match.end() :]
        if text.startswith("("):
            text = text[_closing(text) + 1 :].lstrip()
    return out + text


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split where no bracket is open."""
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == separator and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()] if current.strip() else parts


def _modifiers(text: str) -> tuple[list[str], str]:
    found = []
    while (match := re.match(r"(\w+)\s+", text)) and match[1] in _MODIFIERS:
        found.append(match[1])
        text = text[match.end() :]
    return found, text


def _variables(text: str) -> tuple[str, str]:
    if not text.startswith("<"):
        return "", text
    end = _closing(text)
    return text[: end + 1], text[end + 1 :].lstrip()


def _class(package: str, line: str) -> Class:
    modifiers, text = _modifiers(_without_annotations(line).rstrip("{").strip())
    kind, text = text.split(None, 1)
    name = re.match(r"[\w.]+", text)[0]
    variables, text = _variables(text[len(name) :].lstrip())
    extends, implements = [], []
    if match := re.match(r"extends\s+(.*?)(?=\s+implements\s|$)", text):
        extends = split_list(match[1], " ")
        text = text[match.end() :].lstrip()
    if match := re.match(r"implements\s+(.*)", text):
        implements = split_list(match[1], " ")
    return Class(package, kind, name, modifiers, variables, extends, implements)


def _member(current: Class, line: str) -> None:
    what, text = line.split(None, 1)
    if what == "field":
        text = _without_annotations(text, all_of_them=False)
        match = re.match(r'((?:[^"=]|"(?:\\.|[^"\\])*")*?)(?:\s*=\s*(.*))?;(?:\s*//.*)?$', text)
        modifiers, declared = _modifiers(match[1].strip())
        kind, name = declared.rsplit(None, 1)
        current.fields.append(Field(modifiers, kind, name, match[2]))
    elif what == "enum_constant":
        bare = _without_annotations(text).split("//")[0].strip().rstrip(";")
        current.constants.append(bare.rsplit(None, 1)[1])
    else:
        method = _method(_without_annotations(text).rstrip(";").strip(), what == "ctor")
        (current.constructors if what == "ctor" else current.methods).append(method)


def _method(text: str, constructor: bool) -> Method:
    modifiers, text = _modifiers(text)
    variables, text = _variables(text)
    opening = text.index("(")
    end = opening + _closing(text[opening:])
    head, parameters, tail = (
        text[:opening].strip(),
        split_list(text[opening + 1 : end]),
        text[end + 1 :].strip(),
    )
    throws = default = ""
    if match := re.match(r"throws\s+([\w., ]+?)(?=\s+default\s|$)", tail):
        throws, tail = match[1], tail[match.end() :].strip()
    if tail.startswith("default "):
        default = tail[8:]
    result, name = ("", "") if constructor else head.rsplit(None, 1)
    return Method(modifiers, variables, result, name, parameters, throws, default)
