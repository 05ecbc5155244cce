"""Sweep: one strategy over parameters, latency, fees and size, each point a whole replay, each try counted.

Points run on any `concurrent.futures` executor, here or elsewhere, or one after another. The count of tries
goes into the result and into every report made of it.
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Fees, exact
from oneprice.core.records import EQUITY
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape, read_tape
from oneprice.modes.replay import replay
from oneprice.risk.limits import Limits
from oneprice.signals.validation.deflated import Moments, deflated_sharpe, moments

FRAME = ("latency_ms", "fee_scale")  # axes that are not parameters of the strategy
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Point:
    """One try: what was set and what came out. P&L in the report currency, ratios per equity sample."""

    setting: Mapping[str, float]
    pnl: Mapping[str, float]  # by cause, and total
    fills: int
    commands: int
    closes: bool  # the causes sum to the change of equity exactly
    moments: Moments


@dataclass(frozen=True)
class Deflated:
    """The best ratio against what so many tries would show by luck."""

    setting: Mapping[str, float]
    sharpe: float  # per equity sample
    expected_best: float  # SR0
    probability: float  # DSR: near 1 is good; NaN when no try has a ratio
    tries: int
    periods: int

    def __str__(self) -> str:
        chosen = ", ".join(f"{k}={v:g}" for k, v in self.setting.items())
        return (
            f"best of {self.tries} tries: {chosen}\n"
            f"Sharpe {self.sharpe:.4f} a sample over {self.periods:,} samples; luck alone would show "
            f"{self.expected_best:.4f}\nprobability that it is more than luck (DSR): {self.probability:.4f}"
        )


@dataclass(frozen=True)
class Sweep:
    """All tries. Prints as a table; `.to_frame()`, `.to_dict()` and `.write(folder)` hold the same."""

    strategy: str
    axes: Mapping[str, tuple[float, ...]]
    points: tuple[Point, ...]
    tries: int  # of this sweep and of those before it
    currency: str
    taker_bp: float  # mean over the legs, before scaling
    qty: float  # the strategy's own size where it is not swept; 0 when it has none

    def best(self) -> Point:
        """The try with the largest total P&L."""
        return max(self.points, key=lambda p: p.pnl["total"])

    def deflated(self) -> Deflated:
        """The best Sharpe ratio corrected for the number of tries (Bailey and Lopez de Prado 2014)."""
        rated = [p for p in self.points if math.isfinite(p.moments.sharpe)]
        if not rated:
            return Deflated({}, math.nan, math.nan, math.nan, self.tries, 0)
        best = max(rated, key=lambda p: p.moments.sharpe)
        ratios = np.array([p.moments.sharpe for p in rated])
        variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
        dsr, bar = deflated_sharpe(best.moments, tries=self.tries, variance=variance)
        return Deflated(best.setting, best.moments.sharpe, bar, dsr, self.tries, best.moments.periods)

    def map(self) -> list[dict[str, float]]:
        """Total P&L over latency x fee x size, the other parameters held at those of the best try.

        One cell each: `latency_ms`, `fee_bp` (taker fee of a fill, mean over legs), `size` (the strategy's
        `qty`; 0 when it has none), `pnl`.
        """
        held = {k: v for k, v in self.best().setting.items() if k not in (*FRAME, "qty")}
        cells = []
        for p in self.points:
            if all(p.setting[k] == v for k, v in held.items()):
                cells.append(
                    {
                        "latency_ms": p.setting["latency_ms"],
                        "fee_bp": round(self.taker_bp * p.setting["fee_scale"], 5),
                        "size": p.setting.get("qty", self.qty),
                        "pnl": p.pnl["total"],
                    }
                )
        return cells

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        d = self.deflated()
        return _finite(
            {
                "strategy": self.strategy,
                "tries": self.tries,
                "unit": self.currency,
                "axes": {k: list(v) for k, v in self.axes.items()},
                "rows": [
                    {**p.setting, **{f"pnl_{k}": v for k, v in p.pnl.items()}, "fills": p.fills,
                     "commands": p.commands, "closes": p.closes, "sharpe": p.moments.sharpe}
                    for p in self.points
                ],
                "map": self.map(),
                "deflated": {
                    "setting": dict(d.setting),
                    "sharpe": d.sharpe,
                    "expected_best": d.expected_best,
                    "probability": d.probability,
                    "tries": d.tries,
                    "periods": d.periods,
                },
            }
        )  # fmt: skip

    def to_frame(self) -> Any:
        """A polars frame, one row a try."""
        import polars as pl

        return pl.DataFrame(self.to_dict()["rows"], infer_schema_length=None)

    def write(self, folder: str | Path) -> Path:
        """Write `sweep.json` into a run's folder (whole or not at all), where its report looks for it."""
        path = Path(folder) / "sweep.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".sweep.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict(), indent=1))
        os.replace(scratch, path)
        return path

    def __str__(self) -> str:
        varied = [k for k, v in self.axes.items() if len(v) > 1] or list(self.axes)
        columns = [*varied, f"P&L {self.currency}", "fees", "fills", "Sharpe"]
        rows = [
            [*(f"{p.setting[k]:g}" for k in varied), f"{p.pnl['total']:,.4f}", f"{p.pnl['fee']:,.4f}",
             f"{p.fills:,}", f"{p.moments.sharpe:.4f}"]
            for p in self.points
        ]  # fmt: skip
        widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
        lines = ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in [columns, *rows]]
        return "\n".join([*lines, f"{self.tries} tries", str(self.deflated())])


def sweep(
    strategy: Strategy,
    tapes: Sequence[Tape],
    *,
    limits: Limits | None = None,
    fees: Fees | Mapping[str, Fees] | None = None,
    latency_ms: Iterable[float] = (1.0,),
    fee_scale: Iterable[float] = (1.0,),
    executor: Executor | None = None,
    seed: int = 0,
    tries_before: int = 0,
    progress: Progress | None = None,
    **parameters: Iterable[float] | float,
) -> Sweep:
    """Replay a strategy at every point of a grid.

    Parameters
    ----------
    latency_ms : order latency each way, of all venues. fee_scale : factors on all fees.
    parameters : values of the strategy's own parameters (`edge_bp=range(1, 11)`, `qty=[0.1, 1]`).
    executor : any `concurrent.futures` executor; None runs here, one after another. Other processes need a
        strategy that can be imported by name, and do best with tapes on disk.
    tries_before : tries made earlier on the same data; they count against the result.

    Raises
    ------
    ConfigError
        A parameter the strategy does not have (all are listed), an empty axis, a negative latency or fee
        factor, or fees that are nowhere stated.
    """
    axes = _axes(strategy, {**parameters, "latency_ms": latency_ms, "fee_scale": fee_scale})
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    base = fees_of(tapes, fees)
    risk = limits or Limits()
    points: list[Point | None] = [None] * len(grid)
    currency = tapes[0].instrument.currency
    if executor is None:
        for i, setting in enumerate(grid):
            points[i] = run_point(strategy, tapes, setting, base, risk, seed)
            if progress:
                progress(i + 1, len(grid))
    else:
        name, sent = _name_of(strategy), [_send(t) for t in tapes]
        jobs: list[Future[Point]] = [executor.submit(_remote, name, sent, s, base, risk, seed) for s in grid]
        try:
            for i, job in enumerate(jobs):
                points[i] = job.result()
                if progress:
                    progress(i + 1, len(grid))
        finally:
            for job in jobs:
                job.cancel()
    taker_bp = float(np.mean([float(f.taker_bp) for f in base.values()]))
    done = tuple(p for p in points if p)
    qty = float(strategy.parameters.get("qty", 0.0))
    return Sweep(strategy.name, axes, done, len(grid) + tries_before, currency, taker_bp, qty)


def run_point(
    strategy: Strategy,
    tapes: Sequence[Tape],
    setting: Mapping[str, float],
    fees: Mapping[str, Fees],
    limits: Limits,
    seed: int,
) -> Point:
    """One try."""
    own = {k: v for k, v in setting.items() if k not in FRAME}
    ns = round(setting["latency_ms"] * 1e6)
    scaled = {symbol: scale_fees(f, setting["fee_scale"]) for symbol, f in fees.items()}
    run = replay(
        strategy.with_params(**own), tapes, limits=limits, latency=Latency(ns, ns), fees=scaled, seed=seed
    )
    heads = run.rows[(run.rows["kind"] == EQUITY) & (run.rows["code"] == 0)]
    scales = run.engine.scales
    decimals = scales.scale[scales.currencies.index(run.report_currency)]
    steps = np.diff(heads["a"]).astype(np.float64) * 10.0**-decimals
    return Point(
        dict(setting), run.pnl(), len(run.fills()), len(run.commands()), run.closes() == 0, moments(steps)
    )


def fees_of(tapes: Sequence[Tape], fees: Fees | Mapping[str, Fees] | None) -> dict[str, Fees]:
    """The fees of each tape's symbol: those given, else the instrument's own; fees are required."""
    out = {}
    for tape in tapes:
        symbol = tape.instrument.symbol
        own = fees.get(symbol) if isinstance(fees, Mapping) else fees
        own = own or tape.instrument.fees
        if own is None:
            raise ConfigError(f"sweep: {symbol} states no fees; give fees (0 where trading is free)")
        out[symbol] = own
    return out


def scale_fees(fees: Fees, factor: float) -> Fees:
    """All rates and charges times a factor, rounded to 5 decimals of a basis point."""
    changed = {}
    for name in ("maker_bp", "taker_bp", "per_lot", "buy_tax_bp", "sell_tax_bp"):
        changed[name] = str(round(float(exact(getattr(fees, name), name)) * factor, 5))
    return Fees(**changed)


def _axes(strategy: Strategy, given: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    axes = {}
    for name, values in given.items():
        if name not in FRAME and name not in strategy.names:
            raise unknown_name(f"parameter of {strategy.name}", name, [*strategy.names, *FRAME])
        axes[name] = tuple(values) if isinstance(values, Iterable) else (values,)
        if not axes[name]:
            raise ConfigError(f"sweep: {name}: expected at least one value, got none")
        if name in FRAME and not all(math.isfinite(v) and v >= 0 for v in axes[name]):
            raise ConfigError(f"sweep: {name}: expected finite values of 0 or more, got {axes[name]}")
    return axes


# ---------------------------------------------------------------- other processes
def _name_of(strategy: Strategy) -> tuple[str, str, dict[str, Any], tuple[str, ...]]:
    """(module, attribute, parameters, legs) from which another process can make this strategy."""
    module = strategy.function.__module__
    holder = importlib.import_module(module)
    for attribute, value in vars(holder).items():
        if isinstance(value, Strategy) and value.source_hash == strategy.source_hash:
            return module, attribute, strategy.parameters, strategy.legs
    raise ConfigError(
        f"sweep: {strategy.name} is no attribute of {module}, so an executor cannot import it; "
        "define it at the top level of a module, or sweep without an executor"
    )


def _send(tape: Tape) -> Tape | tuple[str, int, int]:
    """A tape on disk goes by path, one in memory as it is."""
    return tape if tape.path is None else (str(tape.path), tape.clock_offset_ns, tape.clock_bound_ns)


@lru_cache(maxsize=8)
def _open(path: str) -> Tape:
    return read_tape(path, verify=False)


def _remote(
    name: tuple[str, str, dict[str, Any], tuple[str, ...]],
    sent: Sequence[Tape | tuple[str, int, int]],
    setting: Mapping[str, float],
    fees: Mapping[str, Fees],
    limits: Limits,
    seed: int,
) -> Point:
    from oneprice.market.tape import with_clock

    module, attribute, parameters, legs = name
    made: Strategy = getattr(importlib.import_module(module), attribute).with_params(**parameters)
    made = made.on(*legs) if legs else made
    tapes = [
        t if isinstance(t, Tape) else with_clock(_open(t[0]), offset_ns=t[1], bound_ns=t[2]) for t in sent
    ]
    return run_point(made, tapes, setting, fees, limits, seed)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
