"""What a quoting run earned and why, beside the same spread without a view and beside doing nothing.

`quoted(run, tapes)` measures one run; `making(strategy, tapes, ...)` runs a strategy and its symmetric twin (the same
half spread around the mid, whatever is held or signalled) and puts them side by side. `break_even_fee_bp` is the fee a
fill at which the run would have earned nothing: where it is below what the venue charges, no quoting by this rule pays
there.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.arena import STRATEGY
from oneprice.core.errors import ConfigError
from oneprice.core.records import CAUSES, COMMAND, FILL_ROW, SAMPLE
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.strategies import desk
from oneprice.study.making_marks import MARK, STILL, marks, mid_at, mids, touch_time, value_of
from oneprice.study.report import RunData, cause_table

LAGS_S = (0.1, 1.0, 10.0)
CURVE_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
DECILES, LEAST_A_GROUP = 10, 5
FILE = "making.json"
SHOWN_POINTS = 600


class Group(msgspec.Struct, frozen=True):
    """Fills whose signal (or queue) lies between `low` and `high`: how many, and their markouts by lag in bp."""

    low: float
    high: float
    fills: int
    spread_bp: float
    markout_bp: tuple[float, ...]


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Fills are those of resting quotes; basis points are of their value; amounts in the report currency.

    `spread_bp` is the distance of the fill from the mid just before it, `markout_bp` at a lag that of the fill from the
    mid then (both > 0: earned), so their difference is what the price took back.
    """

    name: str
    fills: int
    maker_share: float  # of all fills of the leg; the rest were taken (an unwind)
    value: float  # of the fills, settlement currency of the leg
    spread_bp: float
    lags_s: tuple[float, ...]
    markout_bp: tuple[float, ...]
    curve_s: tuple[float, ...]
    curve_bp: tuple[float, ...]
    pnl: dict[str, float]
    gross: float  # before fees
    break_even_fee_bp: float
    fee_paid_bp: float  # < 0: a rebate
    messages: int
    messages_a_fill: float
    quoting: tuple[float, float]  # share of the time with a bid, with an offer
    at_touch: tuple[float, float]  # share of the time with a bid, an offer at the touch or inside
    held: dict[str, float]  # mean absolute, deviation and most of the position, underlying units
    groups: dict[str, tuple[Group, ...]]  # flow, imbalance, queue -> deciles
    closes: bool
    why_not: str = ""  # of a run that never quoted: what stood against it at its last look

    @property
    def net(self) -> float:
        """P&L after everything."""
        return self.pnl["total"]


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """A quoting strategy beside its symmetric twin; doing nothing earns 0 and is the bar."""

    strategy: str
    parameters: dict[str, float]
    leg: str
    header: dict[str, str]
    currency: str
    seconds: float
    runs: tuple[Quoted, ...]
    series: dict[str, list[float | None]]  # for plots: time_ns, bid, ask, mid, lots and the quotes of the first run
    intensity: dict[str, list[float]]  # distance, rate counted, rate of the model (quote currency, arrivals a second)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        return dict(_finite(msgspec.to_builtins(self)))

    def write(self, folder: str | Path) -> Path:
        """Write as `making.json` in a run's folder, where the report finds it (whole or not at all)."""
        target = Path(folder) / FILE
        scratch = target.with_name(f".{FILE}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict()))
        os.replace(scratch, target)
        return target

    def __str__(self) -> str:
        from oneprice.study.making_table import making_table

        return making_table(self)


class Told(msgspec.Struct, frozen=True):
    """What is measured of a run, from memory or from its journal."""

    rows: np.ndarray  # ROW[n]
    events: np.ndarray  # private EVENT[n]
    pnl: dict[str, float]
    currency: str
    closes: bool


def told(run: Run | RunData) -> Told:
    """A finished run, or one read from its journal (`study.report.read_run`)."""
    if isinstance(run, Run):
        return Told(run.rows, run.events, run.pnl(), run.report_currency, run.closes() == 0)
    table = cause_table(run)
    pnl = dict.fromkeys(CAUSES, 0.0) | {name: table.amount(v) for name, v in table.causes}
    pnl["total"] = table.amount(table.total)
    return Told(run.rows, run.events, pnl, table.currency, table.difference == 0)


def quoted(run: Run | RunData, tapes: Sequence[Tape], *, leg: int = 0, name: str = "as given") -> Quoted:
    """Measure a finished run, or one read from its journal, against the tape of the leg it quoted on."""
    return _measured(told(run), tapes, leg, name)[0]


def making(
    strategy: Strategy,
    tapes: Sequence[Tape],
    *,
    twin: bool = True,
    run: Run | RunData | None = None,
    out: str | Path | None = None,
    **how: Any,
) -> Making:
    """Run a quoting strategy (or take its `run`) and its symmetric twin; measure both.

    Parameters
    ----------
    how : what `modes.replay.replay` takes (latency is required). out : folder of the journal and `making.json`.
    twin : also run the strategy with `symmetric=1`, where it has that parameter.

    Raises ConfigError for parameters that cannot quote (see `check_quoting`).
    """
    check_quoting(strategy, fitted=bool(how.get("fits")))
    given = run if run is not None else replay(strategy, tapes, out=out, **how)
    first, leg = told(given), leg_quoted(strategy, tapes)
    found, lives = _measured(first, tapes, leg, "as given")
    if not any(share > 0.0 for share in found.quoting) and isinstance(given, Run):
        found = msgspec.structs.replace(found, why_not=last_reason(given, strategy))
    runs = [found]
    if twin and "symmetric" in strategy.names and not strategy.parameters["symmetric"]:
        runs.append(quoted(replay(strategy(symmetric=1), tapes, **how), tapes, leg=leg, name="symmetric"))
    tape, parameters = tapes[leg], in_force(strategy, given, how.get("fits"))
    made = Making(
        strategy=strategy.name,
        parameters=parameters,
        leg=tape.instrument.symbol,
        header=dict(tape.header.lines()),
        currency=first.currency,
        seconds=_seconds(tape),
        runs=tuple(runs),
        series=_series(first, tape, leg, lives),
        intensity=_intensity(parameters, tape),
    )
    folder = out if out is not None or not isinstance(given, Run) else given.folder
    if folder is not None:
        made.write(folder)
    return made


REASONS = {
    desk.OK: "its orders were not accepted",
    desk.NO_TOUCH: "the touch was one-sided, locked, crossed or empty",
    desk.STALE: "the touch was stale",
    desk.PAST_HORIZON: "the horizon had passed",
    desk.NO_VOLATILITY: "no volatility was known: a mid that does not move, or not for warm_s",
    desk.TOXIC: "flow was toxic by toxic_burst or toxic_flow",
    desk.NO_QUOTE: "no price was finite: no model in force, or numbers that give none",
}


def last_reason(run: Run, strategy: Strategy) -> str:
    """What stood against a quote, in words: the gate, or what the strategy saw when it last looked.

    After its end a tape's touch is stale whatever was the matter before: then the reasons that last are looked at.
    """
    if refused := run.refusals():
        return "the gate refused its orders: " + ", ".join(f"{why} {n:,}" for why, n in refused.items())
    m = _memory(run, strategy)
    why, p = int(m["said"]["why"]), strategy.parameters
    horizon_s = p.get("horizon_s", 0.0)
    if why == desk.STALE and len(run.rows) and "seen" in (strategy.memory.names or ()):
        if 0.0 < horizon_s <= (int(run.rows["time_ns"][-1]) - int(m["said"]["start_ns"])) * 1e-9:
            why = desk.PAST_HORIZON
        warm = m["seen"]["sigma"] > 0.0 and m["seen"]["slow"]["sum_s"] >= p["warm_s"]
        if why == desk.STALE and not warm and m["model"]["sigma"] == 0.0:
            why = desk.NO_VOLATILITY
    return REASONS[why]


def in_force(strategy: Strategy, run: Run | RunData, fits: Any) -> dict[str, Any]:
    """The parameters, those that a fitted model replaces as it had them: the last model that was in force.

    Without a fit, or where no model came, they are those given.
    """
    told = dict(strategy.parameters)
    if not fits or not isinstance(run, Run):
        return told
    memory = _memory(run, strategy)
    names = (memory["model"].dtype.names or ()) if "model" in (strategy.memory.names or ()) else ()
    return told | {name: float(memory["model"][name]) for name in told if name in names}


def _memory(run: Run, strategy: Strategy) -> Any:
    """What the run's strategy remembered at its end, a record of its memory."""
    arena = run.engine.arena
    at = int(arena.section("strategies", STRATEGY)[0]["memory_off"])
    return arena.buffer[at : at + strategy.memory.itemsize].view(strategy.memory)[0]


def leg_quoted(strategy: Strategy, tapes: Sequence[Tape]) -> int:
    """Which tape the strategy's first leg is."""
    symbols = [tape.instrument.symbol for tape in tapes]
    return symbols.index(strategy.legs[0]) if strategy.legs and strategy.legs[0] in symbols else 0


def check_quoting(strategy: Strategy, *, fitted: bool = False) -> None:
    """Refuse parameters under which a quoting strategy could only stay withdrawn.

    Raises ConfigError naming the parameter, what was expected and what came.
    """
    p = strategy.parameters
    above = {"qty", "limit", "tau_s", "flow_s", "requote_ticks", "share", "rest_s"}
    above |= set() if fitted else {"k_decay", "arrivals_per_s"}
    for name, value in p.items():
        if not math.isfinite(value):
            raise ConfigError(f"{strategy.name}: {name}: expected a finite number, got {value!r}")
        if name in above and not value > 0:
            raise ConfigError(f"{strategy.name}: {name}: expected more than 0, got {value!r}")
    for name in ("gamma", "sigma", "horizon_s", "warm_s", "toxic_burst", "toxic_flow", "pause_s", "skew_cap"):
        if p.get(name, 0.0) < 0:
            raise ConfigError(f"{strategy.name}: {name}: expected 0 or more, got {p[name]!r}")
    if p.get("limit", math.inf) < p.get("qty", 0.0):
        raise ConfigError(f"{strategy.name}: limit: expected at least one order (qty {p['qty']}), got {p['limit']!r}")


def _measured(
    run: Told, tapes: Sequence[Tape], leg: int, name: str
) -> tuple[Quoted, np.ndarray]:
    """What was measured of a run, and its quotes (QUOTE_LIFE)."""
    tape, one = tapes[leg], tapes[leg].instrument
    every, lives, still = marks(run.rows, run.events, tape, leg)
    fills = every[every["maker"] != 0]
    mid = mids(still, float(one.tick))
    value = value_of(fills["lots"].astype(float), fills["price"], one)
    later = {lag: _markout(fills, still, mid, lag) for lag in (*LAGS_S, *CURVE_S)}
    spread = fills["side"] * (fills["mid"] - fills["price"]) / fills["mid"] * 1e4
    shares = np.zeros((2, 2), np.int64)
    seconds = _seconds(tape)
    touch_time(still, lives, int(tape.events["receive_ns"][-1]), shares)
    parts = shares / max(seconds * 1e9, 1.0)  # a tape of one moment has no time to share
    pnl = run.pnl
    traded = _traded(run, tapes)
    gross = pnl["total"] - pnl["fee"] - pnl["tax"]
    messages = int((run.rows["kind"] == COMMAND).sum())
    by = {"flow": fills["flow"], "imbalance": fills["imbalance"], "queue": fills["queue_lots"] * float(one.lot)}
    found = Quoted(
        name=name,
        fills=len(fills),
        maker_share=len(fills) / len(every) if len(every) else math.nan,
        value=float(value.sum()),
        spread_bp=_mean(spread, value),
        lags_s=LAGS_S,
        markout_bp=tuple(_mean(later[lag], value) for lag in LAGS_S),
        curve_s=CURVE_S,
        curve_bp=tuple(_mean(later[lag], value) for lag in CURVE_S),
        pnl=pnl,
        gross=gross,
        break_even_fee_bp=gross / traded * 1e4 if traded > 0 else math.nan,
        fee_paid_bp=0.0 - pnl["fee"] / traded * 1e4 if traded > 0 else math.nan,
        messages=messages,
        messages_a_fill=messages / len(fills) if len(fills) else math.inf,
        quoting=(float(parts[0, 0]), float(parts[1, 0])),
        at_touch=(float(parts[0, 1]), float(parts[1, 1])),
        held=_held(run, tape, leg),
        groups={k: _groups(x, spread, [later[lag] for lag in LAGS_S], value) for k, x in by.items()},
        closes=run.closes,
    )
    return found, lives


def _markout(fills: np.ndarray, still: np.ndarray, mid: np.ndarray, lag_s: float) -> np.ndarray:
    """Of each fill: side x (mid a lag later - price) over the mid before, bp; NaN past the end of the tape."""
    assert fills.dtype == MARK and still.dtype == STILL
    then = mid_at(still, mid, fills["at_ns"] + round(lag_s * 1e9))
    return np.asarray(fills["side"] * (then - fills["price"]) / fills["mid"] * 1e4)


def _mean(x: np.ndarray, weight: np.ndarray) -> float:
    good = np.isfinite(x) & (weight > 0)
    return float(np.average(x[good], weights=weight[good])) if good.any() else math.nan


def _groups(by: np.ndarray, spread: np.ndarray, later: list[np.ndarray], value: np.ndarray) -> tuple[Group, ...]:
    """Deciles of the fills by a number (fewer groups where there are few fills), least first; ties stay together."""
    good = np.flatnonzero(np.isfinite(by))
    n = min(DECILES, len(good) // LEAST_A_GROUP)
    if n < 2:
        return ()
    edges = np.unique(np.quantile(by[good], np.linspace(0.0, 1.0, n + 1)))
    which = np.clip(np.searchsorted(edges, by[good], side="right") - 1, 0, max(len(edges) - 2, 0))
    out = []
    for g in np.unique(which):
        own = good[which == g]
        marked = tuple(_mean(x[own], value[own]) for x in later)
        low, high = float(by[own].min()), float(by[own].max())
        out.append(Group(low, high, len(own), _mean(spread[own], value[own]), marked))
    return tuple(out)


def _traded(run: Told, tapes: Sequence[Tape]) -> float:
    """Value of all fills of all legs, settlement currency."""
    total = 0.0
    for i, tape in enumerate(tapes):
        own = run.rows[(run.rows["kind"] == FILL_ROW) & (run.rows["leg"] == i)]
        price = own["price"] * float(tape.instrument.tick)
        total += float(value_of(np.abs(own["qty"]).astype(float), price, tape.instrument).sum())
    return total


def _held(run: Told, tape: Tape, leg: int) -> dict[str, float]:
    """Mean absolute, deviation and most of the position, weighted by time, underlying units (inverse: contracts)."""
    own = run.rows[(run.rows["kind"] == FILL_ROW) & (run.rows["leg"] == leg)]
    first, last = int(tape.events["receive_ns"][0]), int(tape.events["receive_ns"][-1])
    at = np.concatenate([[first], own["time_ns"], [last]]).clip(first, last)
    lots = np.concatenate([[0], np.cumsum(own["side"].astype(np.int64) * np.abs(own["qty"]))]) * float(
        tape.instrument.lot
    )
    w = np.diff(at) / max(last - first, 1)
    mean = float((lots * w).sum())
    return {
        "mean_absolute": float((np.abs(lots) * w).sum()),
        "deviation": math.sqrt(max(float((lots * lots * w).sum()) - mean * mean, 0.0)),
        "most": float(np.abs(lots).max()),
        "last": float(lots[-1]),
    }


def _seconds(tape: Tape) -> float:
    stamps = tape.events["receive_ns"]
    return float(stamps[-1] - stamps[0]) * 1e-9


def _series(run: Told, tape: Tape, leg: int, lives: np.ndarray) -> dict[str, list[float | None]]:
    """Samples of touch, position and our quotes for plots, at most about SHOWN_POINTS."""
    rows = run.rows[(run.rows["kind"] == SAMPLE) & (run.rows["leg"] == leg)]
    rows = rows[:: max(1, len(rows) // SHOWN_POINTS)]
    tick = float(tape.instrument.tick)
    out: dict[str, list[float | None]] = {"time_ns": [float(t) for t in rows["time_ns"]]}
    for name, word, scale in (("bid", "a", tick), ("ask", "b", tick), ("mid", "d", 0.5 * tick)):
        out[name] = [float(v) * scale if v > -(1 << 62) else None for v in rows[word]]
    out["lots"] = [float(v) for v in rows["c"]]
    for name, side in (("our_bid", 1), ("our_ask", -1)):
        own = lives[lives["side"] == side]
        at = np.searchsorted(own["start_ns"], rows["time_ns"], side="right") - 1
        live = (at >= 0) & (own["end_ns"][np.maximum(at, 0)] > rows["time_ns"]) if len(own) else at > len(rows)
        price = own["price"][np.maximum(at, 0)] * tick if len(own) else np.zeros(len(rows))
        out[name] = [float(p) if good else None for p, good in zip(price, live, strict=True)]
    return out


def _intensity(p: dict[str, Any], tape: Tape) -> dict[str, list[float]]:
    """Arrivals a second and side that reach a distance, counted on the tape, beside A exp(-k distance)."""
    from oneprice.core.records import TRADE
    from oneprice.signals.intensity.count import count_arrivals
    from oneprice.study.making_marks import venue_touches

    still = venue_touches(tape)
    trades = tape.events[tape.events["kind"] == TRADE]
    if len(trades) == 0 or len(still) == 0:
        return {}
    order = np.argsort(trades["exchange_ns"], kind="stable")
    tick = float(tape.instrument.tick)
    found = count_arrivals(
        still["at_ns"],
        still["bid_ticks"],
        still["ask_ticks"],
        (trades["exchange_ns"] + tape.clock_offset_ns)[order],
        trades["price"][order],
        trades["side"][order].astype(np.int64),
        tick=tick,
    )
    reach = found.reach[found.reach >= 0]
    if len(reach) == 0:
        return {}
    far = int(np.quantile(reach, 0.99)) + 1
    at = np.unique(np.linspace(1, max(far, 2), 40).astype(int))
    distance = at * found.half_tick
    counted = [float((reach >= h).sum()) / (2.0 * found.seconds) for h in at]
    out = {"distance": [float(d) for d in distance], "counted": counted}
    if p.get("k_decay", 0.0) > 0.0:
        out["model"] = [float(p["arrivals_per_s"] * math.exp(-p["k_decay"] * d)) for d in distance]
    return out


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
