"""A fitted model of slots as a file: written by `oneprice fit`, put in force by `oneprice replay --model`.

The file says what was tested to get it (tests, nominal discoveries, survivors), on which prices, until when; a replay
puts the slots in force at that time, or from the first bar where the bars begin later.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Number
from oneprice.execution.strategy import Strategy
from oneprice.market.bars import bar_tapes
from oneprice.market.prices import Prices
from oneprice.market.prices_checks import Excluded
from oneprice.modes.fit import Fit
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.signals.slots import Slot, pack
from oneprice.study.walk_estimator import later, span
from oneprice.study.walk_fit import PairSelection, Picked, too_few
from oneprice.study.walk_forward import bar_replay
from oneprice.study.walk_report import ALONE

FORMAT = 1


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Slots and what they come from. `digest` is that of the panel; `fit_ns` the last row seen."""

    strategy: str
    symbols: tuple[str, ...]
    fit_ns: int
    first_ns: int
    digest: str
    header: dict[str, str]
    tests: int
    by_chance: float
    nominal: int
    survivors: tuple[dict[str, Any], ...]
    excluded: tuple[dict[str, str], ...]
    slots: tuple[Slot, ...]
    flagged: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        return {"format": FORMAT, **_finite(msgspec.to_builtins(self))}

    def write(self, path: str | Path) -> Path:
        """Write as JSON (whole or not at all); returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict(), indent=1))
        os.replace(scratch, target)
        return target

    def __str__(self) -> str:
        rows = [
            f"  {'/'.join(s.symbols)}: weights {', '.join(f'{w:.4f}' for w in s.weights)} ({s.space}), half-life "
            f"{math.log(2.0) / s.kappa:.1f} steps, in at {s.entry:.2f} and out at {s.exit:.2f} sigmas"
            for s in self.slots
        ]
        seen = (
            f"{len(self.symbols)} series, {self.tests:,} tests, {self.nominal} nominal ({self.by_chance:.1f} by chance)"
        )
        told = [
            f"  {'/'.join(r['symbols'])}: p {r['p']:.3g}, q {r['adjusted']:.3g}: {r['verdict']}" for r in self.survivors
        ]
        left = [f"  excluded {e['symbol']}: {e['reason']}" for e in self.excluded]
        left += [f"  flagged {f['symbol']}: {f['kind']}: {f['text']}" for f in self.flagged]
        left += [f"  note: {note}" for note in self.notes]
        return "\n".join([seen, f"{len(self.survivors)} survive, {len(self.slots)} slots", *told, *rows, *left])


def fit_model(strategy: Strategy, prices: Prices, *, train: str = "", select: PairSelection, cost_bp: float) -> Model:
    """Select and fit on the last `train` of a panel ("": all of it). `cost_bp`: fee and slippage of one fill.

    Raises
    ------
    ConfigError
        A training length the panel does not have.
    DataError
        Fewer than two series can be tested.
    """
    last = int(prices.time_ns[-1])
    window = prices
    if train:
        months, ns = span(train)
        start = later(last, (-months, -ns))
        if start < int(prices.time_ns[0]):
            raise ConfigError(f"fit: train {train}: expected at most the panel ({prices.header.period})")
        window = prices.rows(int(np.searchsorted(prices.time_ns, start, side="right")), len(prices))
    picked: Picked = select(window, np.full(prices.width, cost_bp))
    if prices.width - len(picked.excluded) < 2:
        raise DataError(f"fit: {too_few([(e.symbol, e.reason) for e in picked.excluded], select.space)}")
    return Model(
        strategy=strategy.name,
        symbols=prices.symbols,
        fit_ns=last,
        first_ns=int(window.time_ns[0]),
        digest=window.digest(),
        header=dict(window.header.lines()),
        tests=picked.tests,
        by_chance=picked.by_chance,
        nominal=picked.nominal,
        survivors=tuple(msgspec.to_builtins(r) for r in picked.survivors),
        excluded=tuple(
            {"symbol": e.symbol, "reason": e.reason}
            for e in (*prices.excluded, *picked.excluded, *(Excluded(s, ALONE) for s in picked.untested))
        ),
        flagged=tuple(msgspec.to_builtins(f) for f in prices.flagged),
        notes=prices.notes,
        slots=picked.slots,
    )


def read_model(path: str | Path) -> Model:
    """The model of a file; DataError where it is none (the text says which field)."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file}: no such model; make one with `oneprice fit stat_arb prices.parquet --out {file}`")
    try:
        found = json.loads(file.read_text())
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise DataError(f"{file}: expected a model of format {FORMAT}, got something else; fit again")
        return msgspec.convert(found, Model)
    except (json.JSONDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{file}: not a model ({error}); fit again") from error


def replay_model(
    strategy: Strategy,
    prices: Prices,
    model: Model,
    *,
    fees: Fees | None,
    opens: str | np.ndarray = "close",
    capital: Number = 1_000_000,
    slippage_bp: float = 1.0,
    limits: Limits | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Replay a panel with a model in force from the end of its fit on (from the first bar where that is later).

    Raises
    ------
    ConfigError
        The model is of another strategy, fees are not stated, or the panel lacks a leg of a slot.
    """
    if model.strategy != strategy.name:
        raise ConfigError(f"model: it was fitted for {model.strategy}, the strategy is {strategy.name}")
    if fees is None:
        raise ConfigError(
            "replay of prices: fees are required, got none: a panel states none (--fees MAKER_BP,TAKER_BP)"
        )
    values = pack(model.slots, prices.symbols, 1, fit_ns=model.fit_ns)
    at = max(model.fit_ns, int(prices.time_ns[0]))
    if at >= int(prices.time_ns[-1]):
        raise ConfigError(
            f"model: it was fitted on all of these prices ({prices.header.period}): nothing is left to trade"
        )
    fit = Fit(estimator=lambda windows: values, first_ns=at, every_ns=1 << 61, latency_ns=1)
    tapes = bar_tapes(prices, opens=opens, fees=fees)
    return bar_replay(
        strategy, tapes, [fit], step_ns=prices.step_ns, limits=limits, capital=capital, slippage_bp=slippage_bp,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
