"""Results as they come: a list in a JSON file, and what was seen of a video so far, to resume it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tinypose.errors import UserError
from tinypose.files import parse_json, write_whole, writing
from tinypose.inference.follow import Seen
from tinypose.skeleton import Skeleton


class JsonList:
    """Writes a JSON list entry by entry, so that a long video's results need no memory."""

    def __init__(self, file: TextIO):
        """Begin the list in an open file."""
        self._file, self._count = file, 0
        file.write("[")

    def add(self, entry: Any) -> None:
        """Append an entry of plain containers."""
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        self._file.write(("," if self._count else "") + "\n" + text)
        self._count += 1

    def close(self) -> None:
        """End the list."""
        self._file.write("\n]\n")


@contextmanager
def json_list(path: str | Path) -> Iterator[JsonList]:
    """Write a JSON list to `path`, whole or not at all."""
    with write_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        entries = JsonList(file)
        yield entries
        entries.close()


class SeenLog:
    """A file that holds what the networks saw in each frame of a video that is not finished.

    One line a frame, written at once; a line that was cut off is dropped. The first line says what
    video and which networks and settings: with others, the file is begun anew.
    """

    def __init__(self, path: str | Path, origin: dict[str, Any], skeleton: Skeleton, overwrite: bool = False):
        """Open or begin the file.

        Args:
            path: of the file.
            origin: plain containers that say what the results depend on.
            skeleton: of the people.
            overwrite: begin anew where frames of another origin are in it.

        Raises:
            UserError: there are, and may not be replaced.
        """
        self.path = Path(path)
        self.seen: list[Seen] = []
        lines = self._lines()
        if lines and lines[0] == origin:
            self.seen = list(_frames(lines[1:], skeleton))
        elif len(lines) > 1 and not overwrite:
            raise UserError(
                f"{self.path}: holds {len(lines) - 1} frames of an interrupted run with another video, other "
                "networks or settings; go on with that, name another --output, or give --overwrite"
            )
        self.count = len(self.seen)
        # Written anew: a line that was cut off must not stay in the middle.
        with write_whole(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            for entry in [origin, *(seen.to_json() for seen in self.seen)]:
                file.write(json.dumps(entry) + "\n")
        self._file = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed by close)

    def add(self, seen: Seen) -> None:
        """Append a frame."""
        self.count += 1
        with writing(self.path):
            self._file.write(json.dumps(seen.to_json()) + "\n")

    def close(self) -> None:
        """Keep the file for the next time, if there is anything in it."""
        self._file.close()
        if not self.count:
            self.path.unlink(missing_ok=True)

    def _lines(self) -> list[Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return []
        entries = []
        for line in text.splitlines(keepends=True):
            try:
                entries.append(parse_json(line) if line.endswith("\n") else None)
            except ValueError:
                break
            if not isinstance(entries[-1], dict):
                entries.pop()
                break
        return entries


def _frames(lines: list[Any], skeleton: Skeleton) -> Iterator[Seen]:
    """Yield the frames up to the first line that is none."""
    for line in lines:
        try:
            yield Seen.from_json(line, skeleton)
        except (KeyError, TypeError, ValueError, OverflowError):
            return
