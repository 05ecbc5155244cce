"""What is wrong with a series of prices, said in words: missing, constant, twice there, split, stale.

An `Excluded` series cannot be tested (its statistic would mean nothing); a `Flag` can, but a person should look.
"""

from __future__ import annotations

import msgspec
import numpy as np

from oneprice.market.prices_read import time_text

SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0, 1000.0)
SPLIT_TOLERANCE = 0.04  # of the log ratio: the share's own move on the day of a split
QUIET_MARKET = 0.03  # median move of the panel above which a jump is no split
STALE_SHARE = 0.5
JUMP = 20.0  # robust deviations of its own moves: one step of a series that is not positive throughout
SAME = 1e-9  # relative distance below which two series are one


class Excluded(msgspec.Struct, frozen=True):
    """A series left out, and why."""

    symbol: str
    reason: str


class Flag(msgspec.Struct, frozen=True):
    """Something suspicious in a series that stays: `kind` is split, jump, stale or non-positive."""

    symbol: str
    kind: str
    text: str


def empty_series(names: list[str], close: np.ndarray) -> list[Excluded]:
    """Series without a single price."""
    none = ~np.isfinite(close).any(axis=0)
    return [Excluded(names[i], "no price at all") for i in np.flatnonzero(none)]


def gappy_series(names: list[str], close: np.ndarray, most_missing: float) -> list[Excluded]:
    """Series of which more than `most_missing` is missing."""
    missing = (~np.isfinite(close)).mean(axis=0)
    return [
        Excluded(names[i], f"{100 * missing[i]:.1f} % of prices missing, more than {100 * most_missing:g} %")
        for i in np.flatnonzero(missing > most_missing)
    ]


def carry_forward(close: np.ndarray, most_steps: int) -> tuple[np.ndarray, int]:
    """(panel, count filled): each gap takes the last price before it, if at most `most_steps` rows old."""
    good = np.isfinite(close)
    at = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(good, at, -1), axis=0)
    fill = ~good & (last >= 0) & (at - last <= most_steps)
    carried = np.take_along_axis(close, np.maximum(last, 0), axis=0)
    return np.where(fill, carried, close), int(fill.sum())


def constant_series(names: list[str], close: np.ndarray) -> list[Excluded]:
    """Series that never move."""
    if not names or not len(close):
        return []
    low, high = np.fmin.reduce(close, axis=0), np.fmax.reduce(close, axis=0)
    return [Excluded(names[i], f"constant at {low[i]:g}") for i in np.flatnonzero(low == high)]


def duplicated_series(names: list[str], close: np.ndarray) -> list[Excluded]:
    """Series that equal an earlier one, or an exact multiple of it: their pair would be a perfect "discovery".

    Candidates share a signature (the mean of the series over its largest value), so the cost is that of a sort.
    """
    if len(names) < 2 or not len(close):
        return []
    peak = np.nanargmax(np.abs(close), axis=0)
    top = close[peak, np.arange(len(names))]
    unit = close / np.where(top == 0, 1.0, top)
    signature = np.nanmean(unit, axis=0)
    order = np.argsort(signature, kind="stable")
    found: dict[int, tuple[int, float]] = {}
    for k, i in enumerate(order):
        for j in order[k + 1 :]:
            if signature[j] - signature[i] > SAME:
                break
            first, second = (i, j) if i < j else (j, i)
            if second not in found and np.allclose(unit[:, i], unit[:, j], rtol=0, atol=SAME, equal_nan=True):
                found[int(second)] = (int(first), float(top[second] / top[first]))
    return [Excluded(names[j], _twin(names[found[j][0]], found[j][1])) for j in sorted(found)]


def _twin(name: str, factor: float) -> str:
    if abs(factor - 1) < SAME:
        return f"identical to {name}"
    return f"exactly {factor:.6g} times {name}"


def flags(names: list[str], time_ns: np.ndarray, close: np.ndarray) -> list[Flag]:
    """Suspected splits, stale series and prices at or below zero, in the order of the series."""
    found = [*split_flags(names, time_ns, close), *jump_flags(names, time_ns, close), *stale_flags(names, close)]
    for i in np.flatnonzero((close <= 0).any(axis=0)):
        t = int(np.flatnonzero(close[:, i] <= 0)[0])
        text = f"{close[t, i]:g} at {time_text(time_ns[t])}: only space='level' can use it"
        found.append(Flag(names[i], "non-positive", text))
    place = {n: i for i, n in enumerate(names)}
    return sorted(found, key=lambda f: place[f.symbol])


def split_flags(names: list[str], time_ns: np.ndarray, close: np.ndarray) -> list[Flag]:
    """One-step ratios near 2, 3, 1/2, ... at a time when the panel as a whole stood still.

    The ratio must be far outside the series' own moves (ten times their robust deviation), so that a wild series is
    not taken for one that splits every week. A series that is not positive throughout has no ratios: near zero any
    step is one of 2. `jump_flags` looks at it.
    """
    safe = np.where(~(close <= 0).any(axis=0) & (close > 0), close, np.nan)
    move = np.diff(np.log(safe), axis=0)
    if not move.size:
        return []
    some = np.flatnonzero(np.isfinite(move).any(axis=0))
    market = np.zeros_like(move) if len(some) < 2 else np.repeat(_row_median(move)[:, None], move.shape[1], axis=1)
    if len(some) == 2:  # of two, the other
        market[:, some] = move[:, some[::-1]]
    own = move - market
    spread = 1.4826 * _row_median(np.abs(own).T)
    near = np.abs(np.abs(own)[:, :, None] - np.log(SPLITS)).min(axis=2) if own.size < 1e6 else _nearest(own)
    hit = (near < SPLIT_TOLERANCE) & (np.abs(market) < QUIET_MARKET) & (np.abs(own) > 10 * spread)
    out = []
    for t, i in np.argwhere(hit):
        ratio = float(np.exp(own[t, i]))
        out.append(Flag(names[i], "split", f"ratio {ratio:.4g} at {time_text(time_ns[t + 1])} (row {t + 1})"))
    return out


def jump_flags(names: list[str], time_ns: np.ndarray, close: np.ndarray) -> list[Flag]:
    """Shifts beyond JUMP robust deviations in one step that last, of series that are zero or below somewhere.

    A shift that the next step takes back by half is one odd price, not a change of the unit.
    """
    out = []
    for i in np.flatnonzero((close <= 0).any(axis=0)):
        step = np.diff(close[:, i])
        good = np.isfinite(step)
        if not good.any():
            continue
        middle = float(np.median(step[good]))
        spread = 1.4826 * float(np.median(np.abs(step[good] - middle)))
        if spread > 0.0:
            move = np.where(good, step, 0.0)
            back = np.append(-move[1:] / np.where(move[:-1] == 0.0, np.inf, move[:-1]), 0.0)
            far = good & (np.abs(move - middle) > JUMP * spread)
            hit = far & (back < 0.5)
            hit[1:] &= ~(far[:-1] & (np.sign(move[1:]) != np.sign(move[:-1])))
            for t in np.flatnonzero(hit):
                when = f"{time_text(time_ns[t + 1])} (row {t + 1})"
                out.append(Flag(names[i], "jump", f"{step[t]:+.4g} in one step at {when}, above {JUMP:g} of its moves"))
    return out


def _nearest(own: np.ndarray) -> np.ndarray:
    """Distance of |own| to the nearest log split, without a third axis."""
    table = np.log(SPLITS)
    size = np.abs(own)
    best = np.abs(size - table[0])
    for value in table[1:]:
        np.minimum(best, np.abs(size - value), out=best)
    return best


def _row_median(values: np.ndarray) -> np.ndarray:
    """Median of each row over what is finite; 0 where nothing is."""
    good = np.isfinite(values)
    if good.all():
        return np.median(values, axis=1)
    out = np.zeros(len(values))
    some = good.any(axis=1)
    out[some] = np.nanmedian(values[some], axis=1)
    return out


def stale_flags(names: list[str], close: np.ndarray) -> list[Flag]:
    """Series that stand still in more than half of their steps."""
    step = np.diff(close, axis=0)
    count = np.isfinite(step).sum(axis=0)
    share = np.where(count > 0, (step == 0).sum(axis=0) / np.maximum(count, 1), 0.0)
    return [
        Flag(names[i], "stale", f"unchanged in {100 * share[i]:.0f} % of steps")
        for i in np.flatnonzero(share > STALE_SHARE)
    ]
