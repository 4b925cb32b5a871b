"""Java stubs of Android's public interface, to compile an app against where no android.jar is at hand.

Each method throws "Stub!", as those of Google's own android.jar do; constants have their values. Of the 3,000
classes only what an app names is written, and what that needs: the compiler takes seconds for it, and minutes
for all.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lite_deploy.android.signature import Class, Method, read_signatures

PREFIXES = ("android", "dalvik", "javax.microedition", "org.json", "org.xmlpull", "org.apache.http")
_STUB = 'throw new java.lang.RuntimeException("Stub!");'
# A value that is no constant expression, so that the compiler does not copy it into the app.
_UNKNOWN = {
    "boolean": 'java.lang.Boolean.parseBoolean("")',
    "byte": 'java.lang.Byte.parseByte("0")',
    "short": 'java.lang.Short.parseShort("0")',
    "int": 'java.lang.Integer.parseInt("0")',
    "long": 'java.lang.Long.parseLong("0")',
    "float": 'java.lang.Float.parseFloat("0")',
    "double": 'java.lang.Double.parseDouble("0")',
    "char": '"0".charAt(0)',
}
_OF_OBJECT = ("hashCode", "equals", "toString")


def write_stubs(signatures: Path, sources: Iterable[Path], folder: Path) -> list[Path]:
    """Write a source file for each class of Android's own packages that is needed; return the files.

    Args:
        signatures: api/current.txt.
        sources: the app's Java files.
        folder: gets a folder for each package.
    """
    classes = read_signatures(signatures)
    own = [each for each in classes.values() if any(f"{each.package}.".startswith(f"{p}.") for p in PREFIXES)]
    _mend(classes, own)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    writer = _Writer(classes, set(re.findall(r"\w+", text)))
    named = [name.split(".") for name in set(re.findall(r"\b(?:android|org)(?:\.\w+)+", text))]
    starts = {".".join(words[:count]) for words in named for count in range(2, len(words) + 1)}
    writer.need(starts & classes.keys())
    files = []
    for each in (each for each in own if "." not in each.name and writer.needs(each)):
        path = folder.joinpath(*each.package.split("."), f"{each.name}.java")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "\n".join([f"package {each.package};", *writer.lines(each, "")]) + "\n", encoding="utf-8"
        )
        files.append(path)
    return files


def _mend(classes: dict[str, Class], kept: list[Class]) -> None:
    """Add what javac needs and the file leaves out."""
    for each in (each for each in kept if each.kind == "class"):
        for method in each.methods:  # of java.lang.Object: never missing
            if method.name in _OF_OBJECT and "abstract" in method.modifiers:
                method.modifiers.remove("abstract")
    for method in classes["android.hardware.camera2.params.OutputConfiguration"].constructors:
        if any("Class<T>" in parameter for parameter in method.parameters):
            method.variables = "<T>"
    classes["android.content.res.XmlResourceParser"].methods.append(
        Method(["public"], "", "String", "getAttributeNamespace", ["int"], "", "")
    )


def _is_abstract(each: Class, method: Method) -> bool:
    whole = {"static", "default"} & {*method.modifiers}
    return "abstract" in method.modifiers or (each.kind == "interface" and not whole)


def _raw(name: str) -> str:
    return re.sub(r"<.*>", "", name)


class _Writer:
    """Writes classes; knows all of them, to look up what they inherit."""

    def __init__(self, classes: dict[str, Class], words: set[str]) -> None:
        self._classes = classes
        self._words = words  # names of members that are written
        self._needed: set[str] = set()
        own = sorted(
            (each.name for each in classes.values() if each.package == "java.lang" and "." not in each.name),
            key=len,
            reverse=True,
        )
        # The file leaves "java.lang." out, and some of Android's classes are named like those.
        self._own = re.compile(r"(?<![\w.$])(" + "|".join(own) + r")(?![\w$])")

    def needs(self, each: Class) -> bool:
        """Say whether a class is written."""
        return each.full in self._needed

    def need(self, names: Iterable[str]) -> None:
        """Note these classes, and all that they need with the members that are written of them."""
        self._needed.update(names)
        before = None
        while before != (len(self._needed), len(self._words)):
            before = len(self._needed), len(self._words)
            for name in sorted(self._needed):
                each = self._classes[name]
                # What is abstract anywhere above has to be written wherever it is made whole.
                self._words.update(m.name for m in each.methods if _is_abstract(each, m))
                self._needed.update(self._mentioned(each))

    def _mentioned(self, each: Class) -> Iterator[str]:
        texts = [*each.extends, *each.implements, each.variables]
        texts += [field.type for field in each.fields if field.name in self._words]
        for method in (*each.constructors, *self._written(each)):
            texts += [method.result, method.variables, method.throws, *method.parameters]
        for name in re.findall(r"[\w.]+", " ".join(texts)):
            full = name if name in self._classes else f"java.lang.{name}"
            if full in self._classes:
                yield full
        if "." in each.name:
            yield each.full.rsplit(".", 1)[0]
        yield from (one.full for one in each.inner if one.short in self._words)

    def _written(self, each: Class) -> list[Method]:
        every = [*each.methods, *self._missing(each)]
        return [method for method in every if method.name in self._words or each.kind == "@interface"]

    def _qualified(self, text: str) -> str:
        return self._own.sub(r"java.lang.\1", text)

    def _bare(self, text: str) -> str:
        return _raw(self._qualified(text))

    def _parent(self, each: Class) -> Class | None:
        return self._classes.get(self._bare(each.extends[0])) if each.extends else None

    def lines(self, each: Class, indent: str) -> Iterator[str]:
        """Yield the source of a class and those in it."""
        yield f"{indent}{self._head(each)} {{"
        inner = indent + "  "
        if each.kind == "enum":
            yield f"{inner}{', '.join(each.constants)};"
        for field in (field for field in each.fields if field.name in self._words):
            yield f"{inner}{self._field(each, field)}"
        if each.kind == "class":
            yield from (inner + line for line in self._constructors(each))
        for method in self._written(each):
            if line := self._method(each, method):
                yield inner + line
        for other in (other for other in each.inner if self.needs(other)):
            yield from self.lines(other, inner)
        yield f"{indent}}}"

    def _head(self, each: Class) -> str:
        implied = {"abstract", "final", "static"} if each.kind != "class" else set()
        modifiers = [word for word in each.modifiers if word not in implied]
        if each.kind == "enum" and "static" in each.modifiers:
            modifiers.append("static")
        extends = each.extends if each.kind in ("class", "interface") else []
        implements = [] if each.kind == "@interface" else each.implements
        if each.kind == "interface":
            extends, implements = [*extends, *implements], []
        words = [*modifiers, each.kind, each.short + self._qualified(each.variables)]
        if extends:
            words += ["extends", ", ".join(map(self._qualified, extends))]
        if implements:
            words += ["implements", ", ".join(map(self._qualified, implements))]
        return " ".join(words)

    def _field(self, each: Class, field) -> str:
        kind, value = self._qualified(field.type), field.value
        if value is not None and kind in ("byte", "short", "char"):
            value = f"({kind}) {value}"
        elif value is None and ("final" in field.modifiers or each.kind in ("interface", "@interface")):
            value = _UNKNOWN.get(kind, "null")
        declared = f"{' '.join(field.modifiers)} {kind} {field.name}"
        return f"{declared};" if value is None else f"{declared} = {value};"

    def _constructors(self, each: Class) -> Iterator[str]:
        parents = self._super_call(each)
        if not each.constructors:
            yield f"{each.short}() {{ {parents}{_STUB} }}"
        for made in each.constructors:
            words = [
                *made.modifiers,
                self._qualified(made.variables),
                f"{each.short}({self._parameters(made)})",
            ]
            yield f"{' '.join(words)}{self._throws(made)} {{ {parents}{_STUB} }}"

    def _super_call(self, each: Class) -> str:
        """Return the call that a constructor must begin with, if the parent has none without parameters."""
        parent = self._parent(each)
        if parent is None or not parent.constructors or any(not c.parameters for c in parent.constructors):
            return ""
        best = min(parent.constructors, key=lambda made: (bool(made.throws), len(made.parameters)))
        variables = set(re.findall(r"\b[A-Z]\w*\b", parent.variables))
        values = []
        for kind in (self._bare(each).replace("...", "[]") for each in best.parameters):
            if kind in variables:
                values.append("null")
            elif kind == "boolean":
                values.append("false")
            else:
                values.append(f"({kind}) {0 if kind in _UNKNOWN else 'null'}")
        return f"super({', '.join(values)}); "

    def _missing(self, each: Class) -> list[Method]:
        """Return the abstract methods that a class inherits and does not name, as its own.

        The file leaves out an override that changes nothing, also one that makes an abstract method whole.
        """
        if each.kind != "class" or "abstract" in each.modifiers:
            return []
        have, found = set(), []
        current: Class | None = each
        while current is not None:
            for method in current.methods:
                key = (method.name, tuple(self._bare(one) for one in method.parameters))
                if "abstract" in method.modifiers and key not in have and method not in each.methods:
                    found.append(method)
                have.add(key)
            current = self._parent(current)
        return [
            Method([m for m in each.modifiers if m != "abstract"], each.variables, each.result, each.name,
                   each.parameters, each.throws, each.default)
            for each in found if each.name not in _OF_OBJECT and "T" not in each.parameters
        ]  # fmt: skip

    def _method(self, each: Class, method: Method) -> str:
        given = (("values", []), ("valueOf", ["String"]), ("valueOf", ["java.lang.String"]))
        if each.kind == "enum" and (method.name, method.parameters) in given:
            return ""
        modifiers = [word for word in method.modifiers if word not in ("synchronized", "native")]
        if each.kind == "enum":
            modifiers = [word for word in modifiers if word != "abstract"]
        if each.kind == "@interface":
            body = f" default {method.default};" if method.default else ";"
        elif "abstract" in modifiers or (
            each.kind == "interface" and not {"static", "default"} & {*modifiers}
        ):
            body = ";"
        else:
            body = f" {{ {_STUB} }}"
        words = [*modifiers, self._qualified(method.variables), self._qualified(method.result)]
        return f"{' '.join(words)} {method.name}({self._parameters(method)}){self._throws(method)}{body}"

    def _parameters(self, method: Method) -> str:
        name: Callable[[int], str] = "p{}".format
        return ", ".join(f"{self._qualified(kind)} {name(i)}" for i, kind in enumerate(method.parameters))

    def _throws(self, method: Method) -> str:
        return f" throws {self._qualified(method.throws)}" if method.throws else ""
