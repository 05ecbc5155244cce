"""Rerun a journal: fold its tapes and private events again and compare every command and the final state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.arena import copied
from oneprice.core.errors import ConfigError, JournalError, StrategyError
from oneprice.core.instruments import Instrument
from oneprice.core.journal_read import JournalReader
from oneprice.core.manifest import Manifest
from oneprice.core.records import COMMAND, ROW
from oneprice.engine.loop import Loop, run
from oneprice.engine.state import Engine, Settings, build
from oneprice.execution.package import PackagePolicy
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape, read_tape
from oneprice.modes.replay import tagged, tape_table
from oneprice.modes.run import Run
from oneprice.risk.limits import limits_from


@dataclass(frozen=True)
class Rerun:
    """A recorded session folded again. `equal`: each command and the final state's bytes are the same."""

    run: Run
    commands_recorded: int
    commands_again: int
    first_difference: int  # index of the first command that differs, -1 = none
    state_equal: bool
    fault: str = ""  # what the strategy raised, and where, if that ended the session

    @property
    def equal(self) -> bool:
        same = self.first_difference < 0 and self.commands_recorded == self.commands_again
        return same and self.state_equal

    def to_dict(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "commands_recorded": self.commands_recorded,
            "commands_again": self.commands_again,
            "first_difference": self.first_difference,
            "state_equal": self.state_equal,
            "fault": self.fault,
            "run": self.run.to_dict(),
        }

    def __str__(self) -> str:
        verdict = "byte for byte the same" if self.equal else "NOT the same"
        return (
            f"{self.commands_again:,} commands against {self.commands_recorded:,} recorded: {verdict}"
            + (f"; the first difference is command {self.first_difference}" * (self.first_difference >= 0))
            + ("" if self.state_equal else "; the final state differs")
            + (f"; the session ended with a fault: {self.fault}" if self.fault else "")
        )


def rerun(
    folder: str | Path,
    *,
    tapes: Sequence[Tape] | None = None,
    strategies: Sequence[Strategy] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Rerun:
    """Fold a journal again.

    Parameters
    ----------
    folder : of `journal.op`.
    tapes : the tapes by leg, if they are not where the journal says or lived in memory.
    strategies : the strategies, if they are not those of `oneprice.strategies`.

    Raises
    ------
    JournalError, ConfigError
        Another tape digest or strategy text than recorded, a session that was not ended.
    """
    reader = JournalReader(Path(folder) / "journal.op")
    text = reader.manifest()
    ends = [mark for mark in reader.read_sessions() if not mark.start]
    if not ends:
        raise JournalError(f"{folder}: the session was not ended (killed?): recover it first")
    end = ends[-1]
    chosen = tagged(tapes if tapes is not None else recorded_tapes(text))
    check_tapes(text, chosen)
    if strategies is not None and len(strategies) != len(text.strategies):
        names = ", ".join(entry.name for entry in text.strategies)
        raise ConfigError(f"strategies: expected {len(text.strategies)} ({names}), got {len(strategies)}")
    engine = engine_of(text, strategies or named_strategies(text))
    first = min(int(t.events["receive_ns"][0]) for t in chosen)
    engine.state["next_sample_ns"] = first
    engine.state["epoch"] = reader.read_sessions()[0].epoch  # later ones come as events
    loop = Loop(engine, tape_table(chosen), reader.read_events(), keep=chosen)
    loop.drive["n_market_end"] = int(sum(end.cursors))
    rows: list[np.ndarray] = []
    fault = ""
    try:
        run(loop, lambda out, _: rows.append(copied(out)), progress=progress)
    except StrategyError as error:  # the session ended there too, or the comparison will tell
        fault = str(error)
    again = np.concatenate(rows, dtype=ROW) if rows else np.zeros(0, ROW)
    result = _compared(engine, text, reader, again, int(loop.drive[0]["n_market"]), str(end.digest))
    return replace(result, fault=fault)


def _compared(
    engine: Engine, text: Manifest, reader: JournalReader, again: np.ndarray, n: int, digest: str
) -> Rerun:
    recorded = reader.read_rows()
    before, after = (rows[rows["kind"] == COMMAND] for rows in (recorded, again))
    shared = min(len(before), len(after))
    same = _bytes(before[:shared]) == _bytes(after[:shared])
    bad = np.flatnonzero(~same.all(axis=1))
    first = int(bad[0]) if len(bad) else (-1 if len(before) == len(after) else shared)
    result = Run(engine, text, again, reader.read_events(), n)
    return Rerun(result, len(before), len(after), first, engine.state_digest() == digest)


def _bytes(rows: np.ndarray) -> np.ndarray:
    """uint8 (n, 64)."""
    return rows.view(np.uint8).reshape(len(rows), ROW.itemsize)


def engine_of(text: Manifest, strategies: Sequence[Strategy]) -> Engine:
    """The engine a manifest describes."""
    extra = text.extra
    settings = Settings(**{**extra["settings"], "sample_ns": extra["sample_ns"]})
    clocks = {
        text.legs[t.leg]["symbol"]: (t.clock_offset_ns, t.clock_bound_ns) for t in text.tapes
    }
    settings = Settings(**{**settings.__dict__, "clocks": clocks})
    instruments = [msgspec.convert(leg, Instrument) for leg in text.legs]
    policy = msgspec.convert(extra["policy"], PackagePolicy)
    engine = build(instruments, strategies, limits=limits_from(text.limits), policy=policy, settings=settings)
    if engine.layout_digest() != text.layout_digest:
        raise JournalError(
            f"layout: expected {text.layout_digest[:12]}, got {engine.layout_digest()[:12]}:"
            f" rerun with oneprice {text.oneprice}"
        )
    return engine


def named_strategies(text: Manifest) -> list[Strategy]:
    """The strategies of this package that a manifest names, with the parameters it records."""
    import oneprice.strategies as room

    found: list[Strategy] = []
    for entry in text.strategies:
        try:
            module = __import__(f"{room.__name__}.{entry.name}", fromlist=[entry.name])
        except ModuleNotFoundError:
            raise ConfigError(f"strategy {entry.name!r} is not one of ours: pass strategies=[...]") from None
        found.append(getattr(module, entry.name))
    return as_recorded(text, found)


def as_recorded(text: Manifest, strategies: Sequence[Strategy]) -> list[Strategy]:
    """These strategies with the parameters and legs of a manifest; each must be the text that ran."""
    if len(strategies) != len(text.strategies):
        names = ", ".join(entry.name for entry in text.strategies)
        raise ConfigError(f"strategies: expected {len(text.strategies)} ({names}), got {len(strategies)}")
    out = []
    for entry, one in zip(text.strategies, strategies, strict=True):
        if one.source != entry.source:
            raise ConfigError(f"strategy {entry.name}: its text is not what ran (sha256 {entry.sha256[:12]})")
        symbols = [text.legs[i]["symbol"] for i in entry.legs]
        out.append(one.with_params(**entry.params).on(*symbols))
    return out


def recorded_tapes(text: Manifest) -> list[Tape]:
    """The tapes from where a manifest says that they lie."""
    for entry in text.tapes:
        if not entry.path:
            raise ConfigError(
                f"tape of leg {entry.leg}: it lived in memory (simulated, or several days): pass tapes=[...]"
                " (oneprice recover: --data)"
            )
    return [read_tape(entry.path) for entry in text.tapes]


def check_tapes(text: Manifest, tapes: Sequence[Tape]) -> None:
    """Each tape must be, byte for byte, the one that was recorded."""
    if len(tapes) != len(text.tapes):
        raise ConfigError(f"tapes: expected {len(text.tapes)}, got {len(tapes)}")
    for entry, tape in zip(text.tapes, tapes, strict=True):
        if tape.digest != entry.digest:
            raise ConfigError(
                f"tape of leg {entry.leg}: expected sha256 {entry.digest[:16]}, got {tape.digest[:16]}"
            )
