"""What a screen has counted so far, and the file that lets it go on after a kill.

The file is written aside and renamed, so it is whole or the one before. It carries the digest of the series and of
every setting: a screen of anything else refuses it.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.validation.multiplicity import harmonic
from oneprice.study.screen_blocks import MOST_REFUSED, Part, join

VERSION = 1
LEVELS = (0.05, 0.01, 1e-3, 1e-4)


class Tally(msgspec.Struct, eq=False):
    """Exact counts over all tests done, the best pairs, and which batches are in. Arrays as in `Part`."""

    done: np.ndarray
    counts: np.ndarray
    stat: np.ndarray
    pairs: np.ndarray
    beta: np.ndarray
    refused: np.ndarray
    n_refused: int
    keep: int

    @property
    def tests(self) -> int:
        """Tests with a finite statistic."""
        return int(self.counts.sum())

    @property
    def bound(self) -> float:
        """No pair above it can enter the list any more."""
        return float(self.stat[-1]) if len(self.stat) == self.keep else np.inf

    @property
    def p_values(self) -> np.ndarray:
        """The p-value of each bin of `counts`, rising."""
        return np.arange(1, len(self.counts) + 1) / len(self.counts)

    def below(self, level: float) -> int:
        """Tests with p <= level, exactly."""
        return int(self.counts[self.p_values <= level].sum())

    def add(self, number: int, part: Part) -> None:
        """Take in the result of a batch; the order of batches does not matter."""
        self.done[number] = True
        self.counts += part.counts
        mine, new = (self.stat, self.pairs, self.beta), (part.stat, part.pairs, part.beta)
        self.stat, self.pairs, self.beta = join([mine, new], self.keep)
        refused = np.concatenate([self.refused, part.refused])
        self.refused = refused[np.lexsort((refused[:, 1], refused[:, 0]))][:MOST_REFUSED]
        self.n_refused += part.n_refused

    def q_of_bins(self, declared: int, method: str) -> np.ndarray:
        """Adjusted p-value (BH or BY over `declared` hypotheses) of each bin: exact, for p takes no other values."""
        reached = np.cumsum(self.counts)
        if not declared:
            return np.ones(len(reached))
        with np.errstate(divide="ignore"):
            raw = declared * self.p_values / reached
        if method == "by":
            raw = raw * harmonic(declared)
        return np.minimum(1.0, np.minimum.accumulate(raw[::-1])[::-1])

    def significant(self, declared: int, method: str, level: float) -> int:
        """Tests whose adjusted p-value is at most `level`."""
        return int(self.counts[self.q_of_bins(declared, method) <= level].sum()) if declared else 0


def new_tally(batches: int, draws: int, keep: int) -> Tally:
    """Nothing counted yet."""
    none = np.empty((0, 2), np.int64)
    empty = np.empty(0)
    return Tally(np.zeros(batches, bool), np.zeros(draws + 1, np.int64), empty, none, empty, none, 0, keep)


def save(path: Path, tally: Tally, digest: str) -> None:
    """Write the tally whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fields: dict[str, Any] = {name: np.asarray(getattr(tally, name)) for name in Tally.__struct_fields__}
    with scratch.open("wb") as file:
        np.savez(file, **fields, version=np.array(VERSION), digest=np.array(digest))
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def restore(path: Path, digest: str) -> Tally | None:
    """The tally in a file; None if there is no file.

    Raises
    ------
    DataError
        The file is no checkpoint of a screen.
    ConfigError
        It belongs to other prices or settings.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected the checkpoint of a screen, got something else: {error}") from error
    if "digest" not in held or int(held.get("version", -1)) != VERSION:
        raise DataError(f"{path}: expected a checkpoint of version {VERSION}; delete it to start anew")
    if str(held["digest"]) != digest:
        raise ConfigError(
            f"{path}: this checkpoint belongs to other prices or settings; resume with the same call, or delete it "
            "to start anew"
        )
    fields = {name: held[name] for name in Tally.__struct_fields__}
    return Tally(**{**fields, "n_refused": int(fields["n_refused"]), "keep": int(fields["keep"])})
