"""Pickles, read without running anything that is in them, in memory and time that their length bounds.

An ordinary unpickler calls whatever a file names. This one calls stand-ins that its readers give, and it is
the one of Python's two that is written in Python, because the table of remembered objects of the one in C is
as long as a file says. What a file of a few bytes could still ask for is refused: keys that take for ever to
hash, and long runs of zeros.
"""

import pickle
from io import BytesIO
from typing import Any


class Refused(Exception):
    """The file wants something that it may not have."""


class Fixed:
    """Stands for a function or class that a file names; the file cannot change it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise Refused("an object of an unknown kind")


class Budget:
    """What a file may still ask for, in bytes or items; it holds each once."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Take so much of it, or refuse."""
        self.left -= count
        if self.left < 0:
            raise Refused("more than it holds, the same data again and again")


class BoundedUnpickler(pickle._Unpickler):
    """Reads one pickle from where `file` stands; derived classes say what a file's names stand for."""

    keys: tuple[type, ...] = (str, bytes, int, float, type(None))

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name. Nothing does unless a derived class says so."""
        raise Refused(f"'{module}.{name}'")

    def check_key(self, key: Any) -> None:
        """Refuse keys but text and numbers: hashing tuples of tuples can take for ever."""
        if not isinstance(key, self.keys):
            raise Refused(f"a dict with a {type(key).__name__} as key")

    def _set_item(self) -> None:
        self.check_key(self.stack[-2])
        self.load_setitem()

    def _set_items(self) -> None:
        for key in self.stack[::2]:
            self.check_key(key)
        self.load_setitems()

    def _make_dict(self) -> None:
        for key in self.stack[::2]:
            self.check_key(key)
        self.load_dict()

    def _refuse(self) -> None:
        raise Refused("a set, or bytes that can change")

    dispatch = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _make_dict,
        pickle.EMPTY_SET[0]: _refuse,
        pickle.FROZENSET[0]: _refuse,
        pickle.BYTEARRAY8[0]: _refuse,  # as long as the file says, before a byte of it is read
    }
