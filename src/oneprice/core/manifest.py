"""The manifest: everything a journal needs beside its events to be read, replayed and explained elsewhere.

It is the first frame of each journal, as JSON. A dashboard or a report reads the journal and nothing else.
"""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import JournalError
from oneprice.core.records import CAUSES, REASONS

FORMAT = 1


class StrategyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One strategy of the table: what ran, with which parameters, from which text."""

    name: str
    params: dict[str, float | int | bool] = {}
    memory_digest: str = ""  # digest of the memory record's layout
    source: str = ""
    sha256: str = ""  # of `source`
    exit: str = "converge"
    legs: list[int] = []  # global leg numbers, in the strategy's own order


class TapeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tape by digest: rows are not copied into a replay journal."""

    leg: int
    path: str
    digest: str
    rows: int
    clock_offset_ns: int = 0
    clock_bound_ns: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen description of a run; `to_json` and `from_json` are inverse."""

    format: int = FORMAT
    mode: str = "replay"  # replay | paper | live
    seed: int = 0
    policy: str = ""  # what to do at the end and on faults, e.g. "flatten"
    fit_latency_ns: int | None = None
    oneprice: str = ""
    python: str = ""
    numba: str = ""
    numpy: str = ""
    git_commit: str = ""
    strategies: list[StrategyEntry] = []
    legs: list[dict[str, Any]] = []  # instrument dicts, by leg number
    scales: dict[str, int] = {}  # currency -> decimals of one ledger unit
    causes: list[str] = msgspec.field(default_factory=lambda: list(CAUSES))
    reasons: list[str] = msgspec.field(default_factory=lambda: list(REASONS))
    tapes: list[TapeEntry] = []
    latency: dict[str, Any] = {}
    fees: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    capital: dict[str, int] = {}  # currency -> ledger units
    layout_digest: str = ""  # of the STATE record and its sections
    headers: list[dict[str, Any]] = []  # source, licence, period, side, simultaneity, claims
    extra: dict[str, Any] = {}

    def to_json(self) -> bytes:
        """This manifest as JSON; equal manifests give equal bytes."""
        return msgspec.json.encode(self, order="deterministic")

    @staticmethod
    def from_json(raw: bytes) -> Manifest:
        """Read a manifest; JournalError names the field that is wrong, or a format of another version."""
        try:
            version = msgspec.json.decode(raw, type=_Version).format
            if version != FORMAT:
                raise JournalError(
                    f"manifest: expected format {FORMAT}, got {version}: use the oneprice that wrote it"
                )
            return msgspec.json.decode(raw, type=Manifest)
        except msgspec.MsgspecError as error:
            raise JournalError(f"manifest: {error}") from error


class _Version(msgspec.Struct):
    format: int


def manifest(**fields: Any) -> Manifest:
    """A Manifest with the versions of this process and the commit of the working folder, and `fields`."""
    import numba

    from oneprice import __version__

    found = {
        "oneprice": __version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "git_commit": git_commit(Path.cwd()),
    }
    return Manifest(**{**found, **fields})


def strategy_entry(
    name: str, params: dict[str, Any], source: str, memory: np.dtype, **rest: Any
) -> StrategyEntry:
    """An entry with the digests of its source text and of its memory layout."""
    return StrategyEntry(
        name=name,
        params={k: _plain(v) for k, v in params.items()},
        memory_digest=dtype_digest(memory),
        source=source,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
        **rest,
    )


def dtype_digest(dtype: np.dtype, sections: dict[str, int] | None = None) -> str:
    """Digest of a layout: names, formats and offsets all the way down, then section names and bytes."""
    h = hashlib.sha256(repr(_layout(dtype)).encode())
    for name, length in (sections or {}).items():
        h.update(f"|{name}={length}".encode())
    return h.hexdigest()


def git_commit(folder: Path) -> str:
    """The commit checked out in `folder` or above it, read without running git; "" when there is none."""
    for here in (folder, *folder.parents):
        head = here / ".git" / "HEAD"
        if not head.is_file():
            continue
        text = head.read_text().strip()
        if not text.startswith("ref: "):
            return text
        ref = text[5:]
        if (head.parent / ref).is_file():
            return (head.parent / ref).read_text().strip()
        packed = head.parent / "packed-refs"
        lines = packed.read_text().splitlines() if packed.is_file() else []
        return next((line.split(" ")[0] for line in lines if line.endswith(" " + ref)), "")
    return ""


def _layout(dtype: np.dtype) -> Any:
    if dtype.subdtype is not None:
        return (_layout(dtype.subdtype[0]), dtype.subdtype[1])
    if dtype.fields is None:
        return dtype.str
    named = [(name, _layout(dtype.fields[name][0]), dtype.fields[name][1]) for name in dtype.names or ()]
    return (tuple(named), dtype.itemsize)


def _plain(value: Any) -> float | int | bool:
    return value.item() if isinstance(value, np.generic) else value
