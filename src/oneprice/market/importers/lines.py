"""Numbered lines of a text, gzip or xz file, with clear errors where the file is cut or broken."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oneprice.core.errors import DataError

Progress = Callable[[str, int, int], None]  # what, done, of
_EVERY = 4096


def read_lines(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line without its end); gzip and xz are told by their first bytes.

    `progress(name, done, of)` is called every few thousand lines with bytes of the file on disk.

    Raises DataError for a missing, empty, truncated or damaged file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    of = path.stat().st_size
    if of == 0:
        raise DataError(f"{path}: the file is empty; expected at least one line")
    number = 0
    with open(path, "rb") as raw:
        first = raw.read(6)
        zipped, packed = first[:2] == b"\x1f\x8b", first == b"\xfd7zXZ\x00"
        kind = "xz" if packed else "gzip"
        raw.seek(0)
        try:
            unpack: Any = {"gzip": gzip.open, "xz": lzma.open}[kind]
            for line in unpack(raw) if zipped or packed else raw:
                number += 1
                if progress is not None and number % _EVERY == 0:
                    progress(path.name, raw.tell(), of)
                yield number, line.rstrip(b"\r\n")
        except EOFError as error:
            raise DataError(
                f"{path}, after line {number}: the {kind} stream ends early; the file is truncated, fetch it"
                f" again"
            ) from error
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
            raise DataError(
                f"{path}, after line {number}: damaged {kind} data ({error}); fetch the file again"
            ) from error
    if number == 0:
        raise DataError(f"{path}: the file is empty; expected at least one line")
    if progress is not None:
        progress(path.name, of, of)
