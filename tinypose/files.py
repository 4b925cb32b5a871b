"""Files that are written whole or not at all, folders that belong to one run at a time, and checksums."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tinypose.errors import UserError

LONGEST_NAME = 255  # bytes of a file's name, on every usual file system
LONGEST_NUMBER = 400  # digits; nothing that is measured has more, and reading one takes their square
_TEMPORARY = re.compile(r"^\..*\.part-[a-z0-9_]{8}(\.[^.]*)?$", re.DOTALL)
_TRIAL = 4096  # bytes that have to fit before long work begins


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write `path`, which may not name it, into a UserError that does."""
    try:
        yield
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else None
        other = f" ({name})" if name and name != str(path) and not _TEMPORARY.match(Path(name).name) else ""
        raise UserError(f"{path}: cannot write it: {error.strerror or error}{other}") from None
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise UserError(f"{str(path)!r}: cannot write it: {error}") from None


@contextmanager
def write_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path` in one step.

    The temporary name keeps the suffix of `path`, because some writers choose the format by it.
    On any error the temporary file is removed and `path` stays as it was. Should the process be killed,
    the file stays until `clear_dead` finds that nobody holds its lock any more.

    Raises:
        UserError: the system refuses: a full disk, a folder that is not there or not writable.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=path.suffix[:20], dir=path.parent)
        temporary = Path(name)
        try:
            _lock(handle)
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes it private
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(beside: str | Path) -> Iterator[Path]:
    """Give a new folder beside `beside`, on the same disk, which is removed at the end.

    Raises:
        UserError: the system refuses.
    """
    beside = Path(beside)
    with writing(beside):
        beside.parent.mkdir(parents=True, exist_ok=True)
        clear_dead(beside.parent)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(beside), dir=beside.parent))
        handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(handle)
            yield folder
        finally:
            os.close(handle)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def claim_folder(folder: str | Path) -> Iterator[Path]:
    """Make a folder this run's own until the end, and clear away what dead runs left half written in it.

    The lock is the system's (`flock`) on the folder itself: it leaves no file, and dies with its process.
    A folder that was made here and is still empty at the end is removed.

    Raises:
        UserError: another run holds the folder, or nothing can be written into it.
    """
    folder = Path(folder)
    with writing(folder):
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _lock(handle):
            raise UserError(
                f"{folder}: another run is writing into this folder; wait for its end, or name another folder"
            )
        clear_dead(folder)
        check_room(folder)
        yield folder
    finally:
        if made:
            with suppress(OSError):  # not empty
                folder.rmdir()
        os.close(handle)


def check_room(folder: Path) -> None:
    """Raise a UserError if not even a small file can be written into a folder."""
    with writing(folder):
        handle, name = tempfile.mkstemp(prefix=".trial.part-", dir=folder)
        try:
            os.write(handle, bytes(_TRIAL))
            os.fsync(handle)
        finally:
            os.close(handle)
            os.unlink(name)


def clear_dead(folder: str | Path) -> None:
    """Remove temporary files and folders that killed runs left in a folder; those of living ones stay."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for path in (Path(folder) / name for name in names if _TEMPORARY.match(name)):
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if _lock(handle):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def check_output(path: str | Path, reads: Iterable[str | Path | None] = ()) -> None:
    """Say before the long work if its result could not be written, or would take the place of an input.

    Args:
        path: the file that will be written.
        reads: files that are read; those that are not there do not matter.

    Raises:
        UserError: the path is a folder, its folder cannot be written to, or it is one of `reads`.
    """
    path = Path(path)
    with writing(path):
        if path.is_dir():
            raise UserError(f"{path}: cannot write there: it is a folder; expected the name of a file")
        check_not_read([path], reads)
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_dead(path.parent)
        check_room(path.parent)


def check_not_read(outputs: Iterable[Path], reads: Iterable[str | Path | None]) -> None:
    """Raise a UserError if a file that will be written is one of those that are read."""
    inputs = {identity: path for path in reads if path is not None and (identity := _identity(Path(path)))}
    for output in outputs:
        if (identity := _identity(output)) is not None and identity in inputs:
            raise UserError(
                f"{inputs[identity]}: is read here, and the results would take its place ({output}); name "
                "another --output"
            )


def check_new(outputs: Iterable[Path], overwrite: bool) -> None:
    """Raise a UserError if one of the results is there already, unless they may be replaced."""
    there = [] if overwrite else [path for path in outputs if os.path.lexists(path)]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(
            f"{there[0]}{more}: there already, from another run; name another --output, or give --overwrite"
        )


def write_text(path: str | Path, text: str) -> None:
    r"""Write UTF-8 `text` to `path`, whole or not at all.

    What cannot be UTF-8, a byte of a file's name, becomes an escape, `\udcff`, which JSON reads back.
    """
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path, what: str = "JSON file") -> Any:
    """Read a JSON file; `what` names its role in the error message.

    Raises:
        UserError: the file is missing, unreadable, not JSON, or nested or with numbers beyond all use.
    """
    path = Path(path)
    text = read_text(path, what)
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); expected a {what}") from None


def parse_json(text: str) -> Any:
    """Read JSON; NaN and Infinity, which some writers put into it, are read as such.

    Raises:
        ValueError: no JSON, or nested or with numbers beyond all use.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("far too many brackets within brackets") from None


def read_text(path: str | Path, what: str) -> str:
    """Read a file as UTF-8; a byte order mark is left out.

    Raises:
        UserError: the file is missing, unreadable, or no text in UTF-8.
    """
    path = Path(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this {what}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot read this {what}: not text in UTF-8 ({error})") from None
    except ValueError as error:  # a name with a NUL in it
        raise UserError(f"{str(path)!r}: cannot read this {what}: {error}") from None


def read_arrays(path: str | Path, what: str) -> dict[str, Any]:
    """Read the named numpy arrays of an `.npz` file that `numpy.savez` wrote; nothing in it is run.

    Raises:
        UserError: the file is missing or damaged, or asks for more memory than it has bytes.
    """
    import zipfile

    import numpy as np

    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > path.stat().st_size:
                raise ValueError("it is compressed, which is not how it was written")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}") from None
    except Exception as error:  # zipfile, zlib and numpy each report damage in their own way
        raise UserError(f"{path}: damaged, not a readable {what} ({type(error).__name__}: {error})") from None


def cache_folder() -> Path:
    """Return $EDGE_POSE_CACHE, or edge-pose under $XDG_CACHE_HOME, or under ~/.cache."""
    if own := os.environ.get("EDGE_POSE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-pose"


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content_digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of plain containers, whatever the order of keys: 64 lower-case hex digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _prefix(path: Path) -> str:
    """Return how temporary names for `path` begin; the rest has to fit as well."""
    return "." + os.fsdecode(os.fsencode(path.stem)[: LONGEST_NAME // 2]) + ".part-"


def _lock(handle: int) -> bool:
    """Take the lock of an open file or folder; return False if another process has it.

    Where the file system knows no locks, there are none to respect.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others however it is named, or None if it is not there."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
