"""Which of two markets moves first, and by how much: Hayashi-Yoshida correlation of their mids over a range of lags.

Mids are taken as the collector received them, on their own times (`features.hayashi_yoshida`). Lags are
multiples of several steps, fine near 0 and coarse far out. The lead is the lag of the largest correlation; its interval
is what it was in the middle nine tenths of PARTS parts of the time, a spread of days within the tape and no more. The
ratio of Huth and Abergel sums squared correlations at positive lags over those at negative ones.

What a feed is late by is in the lead: receive times say who is *seen* first.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.features import hayashi_yoshida
from oneprice.market.tape import Tape
from oneprice.signals.micro.bars import touch_columns

STEPS_MS = (1.0, 5.0, 25.0, 125.0)  # each with SIDE multiples either side
PARTS = 10
LEAST = 100  # changes of a mid, each leg


class LeadLag(msgspec.Struct, frozen=True, kw_only=True):
    """Two legs. `lead_ms` > 0: the first is seen to move first; lags likewise."""

    first: str
    second: str
    seconds: float
    changes: tuple[int, int]
    lags_ms: tuple[float, ...]
    correlation: tuple[float, ...]
    lead_ms: float
    at_lead: float
    low_ms: float
    high_ms: float
    parts: int  # in which both mids moved
    ratio: float

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.low_ms > 0.0 or self.high_ms < 0.0:
            ahead, behind = (self.first, self.second) if self.lead_ms > 0.0 else (self.second, self.first)
            return f"{ahead} is seen to move before {behind}"
        return "neither is seen to move first in nine parts of ten"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        found = {k: v if not isinstance(v, float) or math.isfinite(v) else None
                 for k, v in msgspec.to_builtins(self).items()}  # fmt: skip
        return found | {"verdict": self.verdict}

    def __str__(self) -> str:
        zero = self.correlation[self.lags_ms.index(0.0)]
        return (
            f"lead-lag (Hayashi-Yoshida, receive times): {self.first} ahead of {self.second} by {self.lead_ms:g} ms, "
            f"{self.low_ms:g} to {self.high_ms:g} in {self.parts} parts; correlation {self.at_lead:.3f} there, "
            f"{zero:.3f} at 0; ratio {self.ratio:.2f}: {self.verdict}; a feed's own delay is in it"
        )


def lead_lag(first: Tape, second: Tape) -> LeadLag:
    """Correlation by lag of two legs over the time that both cover.

    Raises
    ------
    ConfigError
        The same leg twice.
    DataError
        No time in common, or a mid that changes less than LEAST times in it.
    """
    if first.leg == second.leg:
        raise ConfigError(f"lead-lag: expected two legs, got {first.leg} twice")
    one, two = (_seen(t) for t in (first, second))
    begin, end = (int(f(x[0][-1 if f is min else 0] for x in (one, two))) for f in (max, min))
    one, two = ((t[(t >= begin) & (t <= end)], p[(t >= begin) & (t <= end)]) for t, p in (one, two))
    changes = _moves(one[1]), _moves(two[1])
    if min(changes) < LEAST:
        raise DataError(
            f"lead-lag: {first.leg} and {second.leg}: expected {LEAST} or more changes of each mid in the time that "
            f"both cover, got {changes[0]} and {changes[1]}"
        )
    whole = _by_lag(one, two)
    edges = np.linspace(begin, end, PARTS + 1)
    leads = []
    for a, b in itertools.pairwise(edges):
        part = [(t[(t >= a) & (t < b)], p[(t >= a) & (t < b)]) for t, p in (one, two)]
        found = _by_lag(*part) if min(_moves(p[1]) for p in part) > 0 else {}
        if any(math.isfinite(c) for c in found.values()):
            leads.append(_best(found))
    lags = sorted(whole)
    best = _best(whole)
    squares = [sum(whole[x] ** 2 for x in lags if x * sign > 0.0) for sign in (1.0, -1.0)]
    low, high = np.quantile(leads, (0.05, 0.95), method="closest_observation") if leads else (math.nan, math.nan)
    return LeadLag(
        first=first.leg, second=second.leg, seconds=1e-9 * (end - begin), changes=changes,
        lags_ms=tuple(lags), correlation=tuple(whole[x] for x in lags), lead_ms=best, at_lead=whole[best],
        low_ms=float(low), high_ms=float(high), parts=len(leads),
        ratio=squares[0] / squares[1] if squares[1] > 0.0 else math.nan,
    )  # fmt: skip


def _seen(tape: Tape) -> tuple[np.ndarray, np.ndarray]:
    """(receive time ns, mid) of each touch; those that are one-sided or crossed are passed over.

    Touches at which the mid did not change count: they say until when it had not, and so how sharp a lag is known.
    """
    t = touch_columns(tape)
    good = np.isfinite(t.bid) & np.isfinite(t.ask) & (t.ask > t.bid)
    at, mid = t.time_ns[good], 0.5 * (t.bid + t.ask)[good]
    if len(mid) == 0:
        raise DataError(f"lead-lag: {tape.leg}: expected two-sided quotes, got none")
    return at, mid


def _moves(mid: np.ndarray) -> int:
    return int(np.count_nonzero(np.diff(mid)))


def _by_lag(one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]) -> dict[float, float]:
    """Correlation by lag in ms, positive: the first leads."""
    at = np.concatenate([one[0], two[0]])
    stream = np.repeat((0.0, 1.0), (len(one[0]), len(two[0])))
    price = np.concatenate([one[1], two[1]])
    order = np.argsort(at, kind="stable")
    found: dict[float, float] = {}
    for step_ms in STEPS_MS:
        state = hayashi_yoshida.FOLD.fresh()
        lag_s = step_ms * 1e-3
        hayashi_yoshida.FOLD.scan(at[order], stream[order], price[order], state=state, lag_s=lag_s, tau_s=0.0)
        hayashi_yoshida.settle(state[0], lag_s, 0.0)
        for k in range(-hayashi_yoshida.SIDE, hayashi_yoshida.SIDE + 1):
            found.setdefault(k * step_ms, float(hayashi_yoshida.correlation(state[0], hayashi_yoshida.SIDE + k)))
    return found


def _best(found: dict[float, float]) -> float:
    """The lag of the largest correlation in size; of equal ones the nearest to 0."""
    return min(found, key=lambda lag: (-abs(found[lag]) if math.isfinite(found[lag]) else math.inf, abs(lag)))
