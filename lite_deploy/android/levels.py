"""Which of Android's methods and fields an app's dex refers to, and since which API level each is there.

The levels are those of the declarations in @nativescript/types-android 9.1.1 (npm), by its `@since` comments.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "@nativescript/types-android@9.1.1"
# Behind a look at Build.VERSION.SDK_INT: member, and the level that the look asks for.
GUARDED = {("android.os.PowerManager", "getCurrentThermalStatus"): 29}
_CONSTRUCTOR = "constructor"


@dataclass
class Dex:
    """What a dex file refers to."""

    members: set[tuple[str, str]]  # class and name
    parents: dict[str, str | None]  # of the classes that it defines


@dataclass
class Levels:
    """Since when things are there."""

    members: dict[tuple[str, str], int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)


def read_dex(path: Path) -> Dex:
    """Read the references of a dex file (format: dex_file.h of Android)."""
    data = path.read_bytes()
    if data[:4] != b"dex\n":
        raise ValueError(f"{path}: not a dex file")

    def four(at: int) -> int:
        return struct.unpack_from("<I", data, at)[0]

    def two(at: int) -> int:
        return struct.unpack_from("<H", data, at)[0]

    sizes = struct.unpack_from("<12I", data, 56)
    _, strings, _, types, _, _, field_count, fields, method_count, methods, class_count, classes = sizes

    def text(index: int) -> str:
        at = four(strings + 4 * index)
        while data[at] & 0x80:
            at += 1
        return data[at + 1 : data.index(b"\0", at + 1)].decode("utf-8", "replace")

    def kind(index: int) -> str:
        name = text(four(types + 4 * index))
        return name.removeprefix("L").removesuffix(";").replace("/", ".").replace("$", ".")

    members = set()
    for count, start in ((method_count, methods), (field_count, fields)):
        for i in range(count):
            at = start + 8 * i
            members.add((kind(two(at)), text(four(at + 4)).replace("<init>", _CONSTRUCTOR)))
    parents = {}
    for i in range(class_count):
        at = classes + 32 * i
        above = four(at + 8)
        parents[kind(four(at))] = None if above == 0xFFFFFFFF else kind(above)
    return Dex(members, parents)


def read_levels(path: Path) -> Levels:
    """Read the declarations (a .d.ts file) of one API level with their `@since` comments."""
    levels, stack, since = Levels(), [], 1
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = line.strip()
            if match := re.match(r"/\*\* @since (\d+) \*/", text):
                since = int(match[1])
                continue
            if match := re.match(r"(?:declare|export) module ([\w.]+) \{", text):
                stack.append(match[1])
            elif text.endswith("{") and (
                match := re.match(r"export (?:abstract )?(?:class|interface) (\w+)", text)
            ):
                stack.append(match[1])
                name = ".".join(stack)
                levels.classes.setdefault(name, since)
                bare = re.sub(r"<.*?>", "", text)
                above = re.findall(r"(?<=[ ,])((?:android|java|javax|org|dalvik)\.[\w.]+)", bare)
                levels.parents.setdefault(name, above)
            elif text == "}":
                del stack[-1:]
            elif stack and (
                match := re.match(
                    r"(?:public |protected |static |abstract )*(constructor|[\w$]+)\s*[(:<]", text
                )
            ):
                key = (".".join(stack), match[1])
                levels.members[key] = min(levels.members.get(key, 99), since)
            since = 1
    return levels


def too_new(dex: Dex, levels: Levels, least: int) -> tuple[list[str], list[str]]:
    """Compare an app with what the oldest Android that it runs on has.

    Args:
        dex: the app.
        levels: of `read_levels`.
        least: its minSdkVersion.

    Returns:
        What is newer, and what the table does not know.
    """
    parents = {**levels.parents, **{name: [above] for name, above in dex.parents.items() if above}}

    def find(name: str, member: str, seen: frozenset[str]) -> tuple[int, str] | None:
        if (name, member) in levels.members:
            return max(levels.members[name, member], levels.classes.get(name, 1)), name
        for above in parents.get(name, ()):
            if above not in seen and (found := find(above, member, seen | {name})):
                return found
        return None

    newer, unknown = [], []
    for name, member in sorted(dex.members):
        found = find(name, member, frozenset())
        if found is None:
            if name not in dex.parents and not name.startswith("["):
                unknown.append(f"{name}.{member}")
        elif found[0] > max(least, GUARDED.get((found[1], member), 0)):
            newer.append(f"{found[1]}.{member} needs API {found[0]}")
    return newer, unknown
