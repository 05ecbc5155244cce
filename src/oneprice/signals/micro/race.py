"""Calibration and test of the queue race: size of one order, balance of the flow, predicted against seen moves.

`unit_qty` of `features.queue_race` is the mean change of a queue at an unchanged price. The model takes additions and
removals at equal rates (`balance` 1) and queues as independent; what it predicts is then set against the direction of
the mid's next move, in deciles and by Brier score. Only touches one tick wide count: the model has no wider ones.

Each touch is scored, so neighbours share one outcome: `moves` (not `n`) is the number of independent outcomes.

Reference: R. Cont, A. de Larrard (2013), doi:10.1137/110856605.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.features import queue_race

BINS = 10


class RaceFit(msgspec.Struct, frozen=True):
    """Result of `fit_race`; arrays are over bins of the predicted probability, NaN where a bin is empty."""

    unit_qty: float
    balance: float  # additions over removals, counts of queue changes at unchanged prices
    predicted: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    slope: float  # of up (0 or 1) on P - 1/2: 1 is calibrated
    brier: float
    brier_flat: float  # of always saying the share of moves up
    n: int
    moves: int

    def __str__(self) -> str:
        return (
            f"queue race: order size {self.unit_qty:.4g}, additions/removals {self.balance:.2f}, {self.moves:,} moves;"
            f" Brier {self.brier:.4f} against {self.brier_flat:.4f} flat, calibration slope {self.slope:.2f}"
        )


def fit_race(
    bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, *, tick: float, unit_qty: float | None = None
) -> RaceFit:
    """Calibrate and test on touches in the order in which they came.

    Parameters
    ----------
    bid, ask, bid_qty, ask_qty : (n,). Touches that are not finite, empty or not one tick wide are not scored.
    unit_qty : size of one order; None: the mean change of a queue.

    Raises
    ------
    DataError
        Different shapes, no change of a queue at an unchanged price, or a mid that never moves.
    ConfigError
        tick or unit_qty not positive.
    """
    if not tick > 0.0 or (unit_qty is not None and not unit_qty > 0.0):
        raise ConfigError(f"fit_race: expected tick and unit_qty > 0, got {tick} and {unit_qty}")
    b, a, bq, aq = (np.asarray(x, np.float64) for x in (bid, ask, bid_qty, ask_qty))
    if b.ndim != 1 or any(x.shape != b.shape for x in (a, bq, aq)):
        raise DataError(f"fit_race: expected four arrays of shape (n,), got {[x.shape for x in (b, a, bq, aq)]}")
    good = np.isfinite(b) & np.isfinite(a) & (bq > 0.0) & (aq > 0.0) & (a > b)
    b, a, bq, aq = b[good], a[good], bq[good], aq[good]
    change = np.concatenate([np.diff(bq)[np.diff(b) == 0.0], np.diff(aq)[np.diff(a) == 0.0]])
    change = change[change != 0.0]
    if len(change) == 0:
        raise DataError("fit_race: no queue changes at an unchanged price; expected sizes at the touch")
    unit = float(np.mean(np.abs(change))) if unit_qty is None else float(unit_qty)
    removed = int((change < 0.0).sum())
    balance = (len(change) - removed) / removed if removed else math.inf
    mid2 = np.round(b / tick) + np.round(a / tick)
    moved = np.flatnonzero(np.diff(mid2) != 0.0)
    if len(moved) == 0:
        raise DataError("fit_race: the mid never moves; expected a longer tape")
    following = np.searchsorted(moved, np.arange(len(b)))  # the next move after each touch
    use = (following < len(moved)) & (np.round((a - b) / tick) == 1.0)
    if not use.any():
        raise DataError("fit_race: no touch one tick wide before a move; the model does not apply to this tape")
    up = (np.diff(mid2)[moved[following[use]]] > 0.0).astype(np.float64)
    p = queue_race.FOLD.scan(bq[use], aq[use], unit_qty=unit)
    return _scored(p, up, unit, balance, len(np.unique(following[use])))


def _scored(p: np.ndarray, up: np.ndarray, unit: float, balance: float, moves: int) -> RaceFit:
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bins, p, BINS) / counts
        seen = np.bincount(bins, up, BINS) / counts
    d = p - p.mean()
    slope = float(d @ up) / float(d @ d) if float(d @ d) > 0.0 else math.nan
    flat = float(up.mean())
    return RaceFit(
        unit_qty=unit, balance=balance, predicted=predicted, seen=seen, counts=counts, slope=slope,
        brier=float(np.mean((p - up) ** 2)), brier_flat=flat * (1.0 - flat), n=len(p), moves=moves,
    )  # fmt: skip
