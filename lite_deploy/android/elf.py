"""What a shared library needs and how it is laid out."""

from dataclasses import dataclass
from pathlib import Path

from tinypose.errors import UserError

PAGE = 16384  # Android 15 has devices whose memory pages are of this size


@dataclass(frozen=True)
class Elf:
    """The facts about an ELF file that decide whether Android loads it."""

    machine: str  # for example EM_AARCH64
    soname: str
    needed: tuple[str, ...]
    undefined: frozenset[str]  # symbols that it asks for
    defined: frozenset[str]
    versions: bool  # whether it asks for versions of symbols, which Android's libraries do not have
    relocated_text: bool  # TEXTREL, which Android refuses
    interpreter: bool  # a program and no library
    alignment: int  # the least of what is loaded


def read_elf(path: Path) -> Elf:
    """Read a shared library.

    Raises:
        UserError: not one.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as file:
            return _facts(ELFFile(file))
    except (ELFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: expected a shared library (ELF): {error}") from None


def _facts(elf) -> Elf:
    dynamic = elf.get_section_by_name(".dynamic")
    tags = list(dynamic.iter_tags()) if dynamic else []
    symbols = elf.get_section_by_name(".dynsym")
    every = [each for each in (symbols.iter_symbols() if symbols else ()) if each.name]
    alignments = [each["p_align"] for each in elf.iter_segments() if each["p_type"] == "PT_LOAD"]
    return Elf(
        machine=elf["e_machine"],
        soname=next((tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"), ""),
        needed=tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
        undefined=frozenset(each.name for each in every if each["st_shndx"] == "SHN_UNDEF"),
        defined=frozenset(each.name for each in every if each["st_shndx"] != "SHN_UNDEF"),
        versions=any(tag.entry.d_tag in ("DT_VERNEED", "DT_VERDEF") for tag in tags),
        relocated_text=any(
            tag.entry.d_tag == "DT_TEXTREL" or (tag.entry.d_tag == "DT_FLAGS" and tag.entry.d_val & 4)
            for tag in tags
        ),
        interpreter=any(each["p_type"] == "PT_INTERP" for each in elf.iter_segments()),
        alignment=min(alignments, default=0),
    )


def count_words(path: Path, word: int, mask: int) -> int:
    """Count the instructions of a 64-bit ARM library that are `word` where `mask` has bits."""
    import numpy as np
    from elftools.elf.elffile import ELFFile

    with open(path, "rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        data = text.data() if text else b""
    return int(((np.frombuffer(data[: len(data) // 4 * 4], "<u4") & mask) == word).sum())


def check_pages(path: Path) -> None:
    """Raise UserError if a library cannot be loaded on devices with pages of 16 KB."""
    found = read_elf(path).alignment
    if found < PAGE or found % PAGE:
        raise UserError(
            f"{path}: aligned to {found} bytes; devices with memory pages of 16 KB need {PAGE}: link it with "
            "-Wl,-z,max-page-size=16384, or leave such devices out with --allow-4k"
        )
