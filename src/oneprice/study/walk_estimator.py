"""The estimator of a walk-forward: a selection on a schedule and on request, as a function of the bars received.

On the schedule it selects anew. When a monitor has asked, relations that are quiet stay as they were; one whose
monitors fired is fitted anew and stays only if it still passes its one test and the monitors are quiet over the recent
past under the new fit; else it is dropped until the next selection. Asked twice at one moment it answers the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import BAR
from oneprice.execution.strategy import Strategy
from oneprice.features import kalman_hedge
from oneprice.market.prices import Prices
from oneprice.signals.drift import watch
from oneprice.signals.slots import Slot, pack
from oneprice.study.walk_fit import Picked, Select

QUIET_HALF_LIVES = 4.0  # how long a refitted relation's monitors must have been quiet
MONTHS = {"m": 1, "y": 12}
NS = {"w": 604_800_000_000_000, "d": 86_400_000_000_000, "h": 3_600_000_000_000, "s": 1_000_000_000}


def span(text: str) -> tuple[int, int]:
    """A length of time as (months, ns): "3y", "6m", "20w", "60d", "1h", "30s".

    Raises ConfigError for anything else.
    """
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or int(number) < 1 or unit not in (*MONTHS, *NS):
        raise ConfigError(f"length of time {text!r}: expected a whole number and y, m, w, d, h or s, e.g. '3y', '6m'")
    return (int(number) * MONTHS[unit], 0) if unit in MONTHS else (0, int(number) * NS[unit])


def later(at_ns: int, length: tuple[int, int], times: int = 1) -> int:
    """`times` lengths after a moment; months by the calendar (the day is held within the month)."""
    months, ns = length
    if not months:
        return at_ns + times * ns
    stamp = np.datetime64(at_ns, "ns")
    month = stamp.astype("M8[M]")
    inside = stamp - month.astype("M8[ns]")
    target = (month + times * months).astype("M8[ns]")
    room = (month + times * months + 1).astype("M8[ns]") - target - np.timedelta64(1, "ns")
    return int((target + min(inside, room)).astype(np.int64))


@dataclass(frozen=True)
class Window:
    """One request: when, on which rows, what was found, what was put in force."""

    at_ns: int
    first_ns: int  # first row of the window
    why: str  # "schedule", "drift" or "end"
    picked: Picked
    slots: tuple[Slot, ...]
    dropped: tuple[str, ...] = ()  # drift: relations taken out


@dataclass
class Estimator:
    """The selection on a schedule, as a function of the bars received; `log` remembers what it answered."""

    symbols: tuple[str, ...]
    ticks: np.ndarray
    select: Select
    strategy: Strategy
    prices: Prices  # header and step only: prices are read from the bars
    costs_bp: np.ndarray
    schedule: list[int]
    end_ns: int
    rows: int
    log: dict[int, Window] = field(default_factory=dict)

    def __call__(self, windows: list[np.ndarray]) -> dict[str, Any]:
        at = max(int(w["receive_ns"][-1]) for w in windows if len(w))
        k = int(np.searchsorted(self.schedule, at, side="right")) - 1
        panel = self.panel(windows, at)
        if at >= self.end_ns or k < 0:
            picked = Picked(slots=(), tests=0, by_chance=0.0, nominal=0)
            self.log[at] = Window(at, int(panel.time_ns[0]), "end", picked, ())
            return pack((), self.symbols, 1, fit_ns=at)
        due = self.schedule[k]
        if due not in self.log or self.log[due].why != "schedule":
            own = self.panel(windows, due)
            picked = self.select(own, self.costs_bp)
            self.log[due] = Window(due, int(own.time_ns[0]), "schedule", picked, picked.slots)
        base = self.log[due]
        if at == due:
            return pack(base.slots, self.symbols, k + 1, fit_ns=due)
        return self.again(panel, base, at, k)

    def again(self, panel: Prices, base: Window, at: int, k: int) -> dict[str, Any]:
        """What is left of a selection after a monitor fired: quiet slots as they were, the others refitted or gone."""
        kept: list[tuple[Slot, int]] = []
        dropped = []
        for slot in base.slots:
            if not self.fired(panel, slot, base.at_ns):
                kept.append((slot, k + 1))
                continue
            retest = getattr(self.select, "retest", None)
            anew = retest(panel, self.costs_bp, slot) if retest is not None else None
            since = at - math.ceil(QUIET_HALF_LIVES * math.log(2.0) / slot.kappa) * self.prices.step_ns
            if anew is None or self.fired(panel, anew, since):
                dropped.append("/".join(slot.symbols))
            else:
                kept.append((anew, len(self.schedule) + at // NS["s"]))
        slots = tuple(s for s, _ in kept)
        self.log[at] = Window(at, int(panel.time_ns[0]), "drift", base.picked, slots, tuple(dropped))
        model = pack(slots, self.symbols, 1, fit_ns=at)
        for row, (_, version) in zip(model["slots"], kept, strict=False):
            row["version"] = version
        return model

    def fired(self, panel: Prices, slot: Slot, since_ns: int) -> bool:
        """Whether one of the strategy's monitors of shocks fired after a moment, under this fit."""
        shocks = shocks_of(slot, panel.select(slot.symbols).close[panel.time_ns > since_ns])
        return bool(watch.scan(shocks, self.strategy.parameters).any())

    def panel(self, windows: list[np.ndarray], at_ns: int) -> Prices:
        """The last `rows` times of the bars up to a moment as a panel; NaN where a series had no bar."""
        bars = [w[(w["kind"] == BAR) & (w["receive_ns"] <= at_ns)][-self.rows :] for w in windows]
        times = np.unique(np.concatenate([b["receive_ns"] for b in bars]))[-self.rows :]
        close = np.full((len(times), len(bars)), np.nan)
        for i, b in enumerate(bars):
            row = np.searchsorted(times, b["receive_ns"])
            inside = b["receive_ns"] >= times[0]
            close[row[inside], i] = b["close"][inside] * self.ticks[i]
        return msgspec.structs.replace(self.prices, symbols=self.symbols, time_ns=times, close=close)


def shocks_of(slot: Slot, close: np.ndarray) -> np.ndarray:
    """The standardised shocks that the strategy sees under a slot on prices [T, legs]; rows with a gap are skipped.

    Static: of the AR(1) of z. Dynamic: forecast errors of the filter, started as the strategy starts it.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.log(close) if slot.space == "log" else close
    x = np.ascontiguousarray(x[np.isfinite(x).all(axis=1)])
    phi = math.exp(-slot.kappa)
    if not slot.dynamic:
        z = (x @ np.array(slot.weights) - slot.centre) / slot.sigma
        return np.asarray((z[1:] - phi * z[:-1]) / math.sqrt(1.0 - phi * phi))
    if len(x) < 2:
        return np.zeros(0)
    state = kalman_hedge.FOLD.fresh()
    y, turned, beta = x[:, 0].copy(), x[:, 1] - slot.pivot, -slot.weights[1]
    spread = y[0] - beta * turned[0] - slot.centre
    kalman_hedge.start(state[0], y[0], turned[0], beta, slot.beta_se, spread, slot.spread_se)
    state["beta_spread_cov"] = slot.beta_spread_cov
    out = np.empty(len(x) - 1)
    noise = slot.sigma * math.sqrt(1.0 - phi * phi)
    _follow(state, y, turned, np.array([slot.q_beta, slot.q_mu, phi, noise]), out)
    return out


@njit
def _follow(states: Any, y: Any, x: Any, law: Any, out: Any) -> None:
    s = states[0]
    for i in range(1, len(y)):
        kalman_hedge.step(s, y[i], x[i], law[0], law[1], law[2], law[3])
        out[i - 1] = s.innovation / math.sqrt(s.innovation_var) if s.innovation_var > 0.0 else math.nan
