"""Ratios of the term structure: the audit of a whole history beside pandas, Svensson beside QuantLib, one quote moved.

All in processor seconds of one thread; a ratio counts only where both sides come to the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.market.rates import zeros_of
from oneprice.signals.curve.bootstrap import Quote, bootstrap
from oneprice.signals.curve.fit_svensson import fit_svensson
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.anchors_curve import GSW
from oneprice.study.bench_time import LEAST, Figure, absent, interleaved, thread_timed

DAYS, PLACES, SEED = 4_700, 36, 20_200_420
LEAST_AUDIT, LEAST_FIT, LEAST_MOVE = 50.0, 100.0, 10.0
EQUAL = 1e-9
CURVES, NOISE = 4, 1e-4  # of the fit: curves, and standard deviation of the yields around a published one
ANCHOR = "2024-08-30"
GRID = np.array([1 / 12, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
TERMS = np.array([0.005, 0.0025, 0.0, 6.0, 0.0, 0.0, kernel.UPPER, 1.0, 0.0, 0.0])


def term_figures(repeats: int = 3, *, quick: bool = False) -> list[Figure]:
    """The figures of this module; those whose rival is not installed say so."""
    return [*audit_figures(repeats, 600 if quick else DAYS), fit_figure(repeats), move_figure(repeats)]


# ---------------------------------------------------------------- the audit of a history
def planted_strip(n_days: int, places: int = PLACES) -> dict[str, np.ndarray]:
    """A strip of monthly contracts by place: level and slope of the curve wander through contango and backwardation."""
    rng = np.random.default_rng(SEED)
    day = np.arange(n_days) * 365 // 252
    first = day // 30
    key = first[:, None] + np.arange(places)
    years = (30 * (key + 1) - day[:, None]) / 365.0
    level = 60.0 * np.exp(0.02 * np.cumsum(rng.standard_normal(n_days)) * 0.5)
    slope = np.zeros(n_days)
    for t in range(1, n_days):
        slope[t] = 0.98 * slope[t - 1] + 0.03 * rng.standard_normal()
    price = level[:, None] * np.exp(slope[:, None] * (1 - np.exp(-years / 0.5)))
    price = np.round(price * (1 + 2e-4 * rng.standard_normal(price.shape)), 2)
    rate = np.clip(0.03 + 0.0005 * np.cumsum(rng.standard_normal(n_days)), 0.0, 0.08)
    logs = np.column_stack([-(rate[:, None] + 0.002 * GRID) * GRID, np.full(n_days, 5e-4)])
    return {
        "price": np.stack([price, price]), "years": years, "key": key.astype(np.int64),
        "cost": np.tile(np.where(np.arange(places) < 6, 0.01, 0.04), (n_days, 1)), "logs": logs,
    }  # fmt: skip


def ours(w: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(planes, side, episodes) of the whole history."""
    out = kernel.history(w["price"], w["years"], w["cost"], GRID, w["logs"], TERMS, out=w["out"])
    n = int(w["key"].max()) + 1
    side = kernel.confirmed(w["price"], w["key"], out[kernel.LOW], out[kernel.HIGH], n, (0.0, 0.0, 2))
    return out, side, kernel.episodes(side, w["key"], out[kernel.OUTSIDE], n, 5)


def long_frame(w: dict[str, np.ndarray]) -> Any:
    """The same history as pandas keeps it: a row a contract and day."""
    import pandas as pd

    n_days, places = w["years"].shape
    return pd.DataFrame(
        {
            "day": np.repeat(np.arange(n_days), places), "key": w["key"].ravel(), "price": w["price"][0].ravel(),
            "years": w["years"].ravel(), "cost": w["cost"].ravel(),
        }
    )  # fmt: skip


def pandas_audit(frame: Any, logs: np.ndarray, *, loops: bool = True) -> tuple[Any, int]:
    """The same audit in pandas: shifts within a day, the rule of a contract row by row, runs by cumsum.

    With `loops` each day is interpolated on its own curve and each contract confirmed by a loop, as one writes it.
    Without, both are done for all rows at once, which needs the nodes to be the same on all days and the rule to be two
    rows in a row with nothing held back.
    """
    import pandas as pd

    frame = frame.copy()
    frame["log_p"] = _each_day(frame, logs) if loops else _all_days(frame, logs)
    near = frame.groupby("day")[["price", "years", "cost", "log_p"]].shift(1)
    tau = frame["years"] - near["years"]
    g = near["log_p"] - frame["log_p"]
    error = frame["day"].map(pd.Series(logs[:, -1]))
    growth = np.exp(g + TERMS[0] * tau).where(near["price"] > 0, 1.0)
    frame["high"] = near["price"] * growth + TERMS[3] * tau + near["cost"] + frame["cost"]
    frame["high"] += error * near["price"].abs() * tau
    frame["outside"] = (frame["price"] - frame["high"]).clip(lower=0.0)
    frame["money"] = (frame["price"] - near["price"] * np.exp(g).where(near["price"] > 0, 1.0)) / (12.0 * tau)
    ratio = (frame["price"] / near["price"]).where((near["price"] > 0) & (frame["price"] > 0))
    frame["implied"] = (np.log(ratio) - g) / tau
    if loops:
        frame["side"] = frame.groupby("key", group_keys=False)[["price", "high"]].apply(_confirmed).sort_index()
    else:
        above = (frame["price"] > frame["high"])[frame["high"].notna()]
        before = above.groupby(frame["key"]).shift(1, fill_value=False)
        frame["side"] = (above & before).astype(int).reindex(frame.index, fill_value=0)
    rows = frame[frame["high"].notna()].sort_values(["key", "day"])
    changed = rows["side"].ne(rows.groupby("key")["side"].shift(1)) | rows["key"].ne(rows["key"].shift(1))
    runs = rows.assign(run=changed.cumsum())[rows["side"] != 0]
    table = runs.groupby("run").agg(key=("key", "first"), first=("day", "first"), worst=("outside", "max"))
    return frame, len(table)


def _each_day(frame: Any, logs: np.ndarray) -> np.ndarray:
    """ln P of each row, a day at a time."""
    nodes = np.append(0.0, GRID)
    days = frame.groupby("day")["years"]
    return np.concatenate([np.interp(years.to_numpy(), nodes, np.append(0.0, logs[day, :-1])) for day, years in days])


def _all_days(frame: Any, logs: np.ndarray) -> np.ndarray:
    """ln P of each row, all days at once."""
    nodes, years, day = np.append(0.0, GRID), frame["years"].to_numpy(), frame["day"].to_numpy()
    known = np.column_stack([np.zeros(len(logs)), logs[:, :-1]])
    k = np.clip(np.searchsorted(nodes, years), 1, len(nodes) - 1)
    share = (years - nodes[k - 1]) / (nodes[k] - nodes[k - 1])
    return np.asarray(known[day, k - 1] + share * (known[day, k] - known[day, k - 1]))


def _confirmed(rows: Any) -> Any:
    """Side of one contract: above for two rows in a row, until it is back inside."""
    import pandas as pd

    side, run, out = 0, 0, []
    for price, high in zip(rows["price"], rows["high"], strict=True):
        if math.isnan(high):
            out.append(0)
            continue
        if side and not price > high:
            side = 0
        run = run + 1 if price > high else 0
        if run >= 2:
            side = 1
        out.append(side)
    return pd.Series(out, index=rows.index)


def audit_figures(repeats: int, n_days: int) -> list[Figure]:
    """Processor seconds of two pandas versions over ours, and how many tenors we audit a second."""
    name = f"boundary audit of {n_days:,} days x {PLACES} tenors, against pandas"
    w = planted_strip(n_days)
    w["out"] = np.empty((kernel.N_OUT, n_days, PLACES))
    count = n_days * PLACES
    loops = max(1, DAYS // n_days)
    runs: dict[str, Callable[[], tuple[float, Any]]] = {"ours": lambda: _over(lambda: ours(w), 5 * loops)}
    try:
        frame = long_frame(w)
    except ImportError as error:
        interleaved(runs, 1)
        seconds, _ = interleaved(runs, repeats)
        return [absent(name, "x", LEAST_AUDIT, error), _rate(count, seconds)]
    runs["pandas"] = lambda: _over(lambda: pandas_audit(frame, w["logs"]), 1)
    runs["whole"] = lambda: _over(lambda: pandas_audit(frame, w["logs"], loops=False), 1)
    interleaved({"ours": runs["ours"]}, 1)
    seconds, last = interleaved(runs, repeats)
    ratios, notes = {}, {}
    for rival in ("pandas", "whole"):
        ratios[rival], notes[rival] = _judged(last["ours"], last[rival], seconds[rival] / seconds["ours"])
    whole = f"{name} without a loop over days or contracts"
    return [
        Figure(name, ratios["pandas"], "x", LEAST_AUDIT, LEAST, notes["pandas"], seconds),
        Figure(whole, ratios["whole"], "x", note=notes["whole"], detail=seconds),
        _rate(count, seconds),
    ]


def _rate(count: int, seconds: dict[str, float]) -> Figure:
    return Figure("tenors audited", count / seconds["ours"] / 1e6, "million a second", detail=seconds)


def _judged(mine: Any, other: Any, ratio: float) -> tuple[float, str]:
    """(the ratio, what was compared); a ratio of 0 where the results differ."""
    (out, side, rows), (theirs, n_runs) = mine, other
    apart = _apart(out[kernel.OUTSIDE].ravel(), theirs["outside"].to_numpy())
    apart = max(apart, _apart(out[kernel.MONEY].ravel(), theirs["money"].to_numpy()))
    apart = max(apart, _apart(out[kernel.IMPLIED].ravel(), theirs["implied"].to_numpy()))
    same = apart < EQUAL and bool((side.ravel() == theirs["side"].to_numpy()).all()) and n_runs == len(rows)
    note = f"largest difference {apart:.1e}, {len(rows)} episodes in both" if same else "the results differ"
    return ratio if same else 0.0, note


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference; infinite where one is missing and the other is not."""
    if (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    return float(np.nanmax(np.abs(a - b)))


# ---------------------------------------------------------------- Svensson
def noisy_zeros(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(years, zero rates): the Federal Reserve's curve of 2024-08-30 at one to thirty years, with noise."""
    years = np.arange(1.0, 31.0)
    noise = NOISE * np.random.default_rng(seed).standard_normal(len(years))
    return years, np.array([GSW.zero(t) for t in years.tolist()]) + noise


def par_coupons(zero: np.ndarray) -> np.ndarray:
    """Half-yearly coupons a year at which bonds of one to thirty years are worth 1 on these zero rates."""
    halves = np.arange(0.5, len(zero) + 0.25, 0.5)
    price = np.exp(-halves * np.interp(halves, np.arange(1.0, len(zero) + 1.0), zero))
    return np.array([(1.0 - price[2 * n - 1]) / (0.5 * price[: 2 * n].sum()) for n in range(1, len(zero) + 1)])


def quantlib_zeros(coupons: np.ndarray) -> np.ndarray:
    """Zero rates of QuantLib's SvenssonFitting (as it comes) through par bonds of one to thirty years."""
    import QuantLib as ql

    day = ql.Date(30, 8, 2024)
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = day
    try:
        count, calendar = ql.Actual365Fixed(), ql.NullCalendar()
        half, back = ql.Period(6, ql.Months), ql.DateGeneration.Backward
        helpers = []
        for n, coupon in enumerate(coupons.tolist(), 1):
            end = day + ql.Period(n, ql.Years)
            dates = ql.Schedule(day, end, half, calendar, ql.Unadjusted, ql.Unadjusted, back, False)
            quote = ql.QuoteHandle(ql.SimpleQuote(100.0))
            days = ql.Thirty360(ql.Thirty360.BondBasis)
            helpers.append(ql.FixedRateBondHelper(quote, 0, 100.0, dates, [coupon], days, ql.Unadjusted))
        curve = ql.FittedBondDiscountCurve(day, helpers, count, ql.SvenssonFitting())
        return np.array([-np.log(curve.discount(float(n))) / n for n in range(1, len(coupons) + 1)])
    finally:
        ql.Settings.instance().evaluationDate = before


def our_zeros(coupons: np.ndarray) -> np.ndarray:
    """Zero rates of our fit through the same bonds: solved upwards for zero rates, then a curve from no start."""
    years = np.arange(1.0, len(coupons) + 1.0)
    nodes, r = zeros_of(years, coupons)
    curve = fit_svensson(years, np.interp(years, nodes, r)).curve
    return np.array([curve.zero(t) for t in years.tolist()])


def fit_figure(repeats: int) -> Figure:
    """Processor seconds of QuantLib's fit over ours on the same par bonds; 0 when our error is the larger one.

    The error is that of the zero rates which the bonds were made of.
    """
    name = "Svensson curve of 30 par bonds from no start, against QuantLib's SvenssonFitting"
    zeros = [noisy_zeros(s)[1] for s in range(CURVES)]
    bonds = [par_coupons(z) for z in zeros]
    try:
        import QuantLib  # noqa: F401
    except ImportError as error:
        return absent(name, "x", LEAST_FIT, error)
    runs: dict[str, Callable[[], tuple[float, Any]]] = {
        "ours": lambda: _over(lambda: [our_zeros(c) for c in bonds], 5),
        "theirs": lambda: _over(lambda: [quantlib_zeros(c) for c in bonds], 1),
    }
    interleaved({"ours": runs["ours"]}, 1)
    seconds, last = interleaved(runs, repeats)
    mine, other = (
        [float(np.sqrt(np.mean((z - y) ** 2))) for z, y in zip(last[who], zeros, strict=True)] for who in runs
    )
    lower = all(a <= b for a, b in zip(mine, other, strict=True))
    note = (
        f"root mean square error of the zero rates {1e4 * np.mean(mine):.3f} bp, theirs {1e4 * np.mean(other):.3f} bp, "
        f"over {CURVES} curves" + ("" if lower else ": ours is larger")
    )
    return Figure(name, seconds["theirs"] / seconds["ours"] if lower else 0.0, "x", LEAST_FIT, LEAST, note, seconds)


# ---------------------------------------------------------------- one quote
def swap_quotes() -> list[Quote]:
    """Overnight-indexed swaps of 23 tenors around four per cent."""
    tenors = ["1W", "1M", "2M", "3M", "6M", "9M", "1Y", "18M", "2Y", "3Y", "4Y", "5Y", "6Y", "7Y", "8Y", "9Y", "10Y"]
    tenors += ["12Y", "15Y", "20Y", "25Y", "30Y"]
    bumps = 0.002 * np.cos(np.arange(len(tenors)) / 3.0)
    return [
        Quote("deposit", "1D", 0.0431),
        *(Quote("ois", t, 0.04 + float(b)) for t, b in zip(tenors, bumps, strict=True)),
    ]


def move_figure(repeats: int) -> Figure:
    """Processor seconds of a bootstrap made anew over one that follows a moved quote (each in turn)."""
    name = "curve after one quote moved, against a full rebuild"
    quotes = swap_quotes()
    try:
        made = bootstrap(ANCHOR, quotes, "SOFR")
    except ConfigError as error:
        return absent(name, "x", LEAST_MOVE, error)
    rates = [q.rate for q in made.quotes]

    def follow() -> Any:
        for place, rate in enumerate(rates):
            made.move(place, rate + 1e-4)
            curve = made.move(place, rate)
        return curve

    runs: dict[str, Callable[[], tuple[float, Any]]] = {
        "move": lambda: _per(_over(follow, 5), 2 * len(rates)),
        "rebuild": lambda: _over(lambda: bootstrap(ANCHOR, quotes, "SOFR").curve, 1),
    }
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    apart = float(np.abs(last["move"].log_discount - last["rebuild"].log_discount).max())
    ratio = seconds["rebuild"] / seconds["move"] if apart < EQUAL else 0.0
    note = f"largest difference of a log discount factor {apart:.1e}, {len(quotes)} quotes moved there and back"
    return Figure(name, ratio, "x", LEAST_MOVE, LEAST, note, seconds)


def _per(run: tuple[float, Any], n: int) -> tuple[float, Any]:
    """Seconds a unit of a run that holds n."""
    return run[0] / n, run[1]


def _over(call: Callable[[], Any], loops: int) -> tuple[float, Any]:
    """(processor seconds of this thread a call, result of the last)."""

    def many() -> Any:
        for _ in range(loops):
            result = call()
        return result

    seconds, result = thread_timed(many)
    return seconds / loops, result


__all__ = ["pandas_audit", "planted_strip", "term_figures"]
