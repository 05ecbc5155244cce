"""Ratios of the cointegration tests to statsmodels, p-values included: all pairs by Engle-Granger, triples by Johansen.

Both sides run on one thread and are timed in processor seconds, interleaved; statsmodels on a sample of the pairs.
Simulated nulls are drawn once a length and kept on disk, so drawing them is not counted; looking p up is.
The figures are only given when both sides agree on the sample.
"""

from __future__ import annotations

import contextlib
import warnings
from itertools import combinations
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.cointegration.baskets import basket_moments, johansen_baskets
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.signals.cointegration.gram import pairs_within, prepare
from oneprice.signals.cointegration.johansen import johansen_null
from oneprice.signals.unit_root.inputs import AIC
from oneprice.study.bench_time import LEAST, Figure, absent, cpu_timed, interleaved

SERIES, LENGTH, SEED, REPEATS = 200, 1000, 20_241_122, 5
SAMPLE_FIXED, SAMPLE_CHOSEN, SAMPLE_TRIPLES = 60, 6, 40
TRIPLE_SERIES = 30
LEAST_FIXED, LEAST_CHOSEN, LEAST_JOHANSEN = 2_000.0, 4_000.0, 50.0
AGREE = 1e-8
UNIT = "x statsmodels a core"


def cointegration_bench(
    series: int = SERIES, length: int = LENGTH, repeats: int = REPEATS
) -> list[Figure]:
    """The three ratios; without statsmodels lines that say so. DataError when the sides disagree by more than 1e-8."""
    try:
        import statsmodels  # noqa: F401
    except ImportError as error:
        names = [pair_name(series, length, lags) for lags in (1, "aic")]
        names.append(triple_name(min(series, TRIPLE_SERIES), length))
        bounds = (LEAST_FIXED, LEAST_CHOSEN, LEAST_JOHANSEN)
        return [absent(name, UNIT, least, error) for name, least in zip(names, bounds, strict=True)]
    walks = np.cumsum(np.random.default_rng(SEED).standard_normal((series, length)), axis=1)
    with one_thread() as note:
        return [
            pair_ratio(walks, 1, SAMPLE_FIXED, LEAST_FIXED, repeats, note),
            pair_ratio(walks, "aic", SAMPLE_CHOSEN, LEAST_CHOSEN, repeats, note),
            triple_ratio(walks[:TRIPLE_SERIES], repeats, note),
        ]


@contextlib.contextmanager
def one_thread() -> Any:
    """Matrix products on one thread; yields a note when the library that can say so is not installed."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        yield "threads not limited: threadpoolctl is not installed"
        return
    with threadpool_limits(1):
        yield ""


def pair_name(series: int, length: int, lags: int | str) -> str:
    """What `pair_ratio` measures."""
    return f"Engle-Granger over all pairs of {series} x {length}, lags {lags}, p included"


def triple_name(series: int, length: int) -> str:
    """What `triple_ratio` measures."""
    return f"Johansen over all triples of {series} x {length}, p included"


def sampled_pairs(series: int, count: int) -> np.ndarray:
    """`count` pairs i < j int64 [count, 2]."""
    pairs = np.array(list(combinations(range(series), 2)), np.int64)
    return pairs[np.random.default_rng(SEED).choice(len(pairs), min(count, len(pairs)), replace=False)]


def pair_ratio(
    walks: np.ndarray, lags: int | str, sample: int, least: float, repeats: int, note: str
) -> Figure:
    """All pairs i < j, statistic and p, over statsmodels.coint: processor seconds a pair."""
    from statsmodels.tsa.stattools import coint

    n, length = walks.shape
    shape = (n, n)
    stat, beta, used = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
    count = prepare(walks[:1], lags).lags
    law = engle_granger_null(length, lags=count, criterion=0 if lags == 1 else AIC)
    pairs, above = sampled_pairs(n, sample), np.triu_indices(n, 1)
    settings = {"autolag": "aic"} if lags == "aic" else {"maxlag": lags, "autolag": None}

    def ours() -> Any:
        pairs_within(prepare(walks, lags), stat, beta, used)
        return law.p(stat[above])

    def theirs() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [coint(walks[i], walks[j], **settings)[0] for i, j in pairs]

    runs = {"ours": lambda: cpu_timed(ours), "statsmodels": lambda: cpu_timed(theirs)}
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    gap = float(np.max(np.abs(np.array(last["statsmodels"]) - stat[pairs[:, 0], pairs[:, 1]])))
    agreed(gap, f"Engle-Granger, lags {lags}")
    total = n * (n - 1) // 2
    each = {"ours": seconds["ours"] / total, "statsmodels": seconds["statsmodels"] / len(pairs)}
    detail = {"us_pair": {k: 1e6 * v for k, v in each.items()}, "pairs_per_s": 1.0 / each["ours"], "gap": gap}
    ratio = each["statsmodels"] / each["ours"]
    return Figure(pair_name(n, length, lags), ratio, UNIT, least, LEAST, note, detail)


def triple_ratio(walks: np.ndarray, repeats: int, note: str) -> Figure:
    """All triples, trace and largest with p, over statsmodels.coint_johansen (which has no p)."""
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    n, length = walks.shape
    triples = np.array(list(combinations(range(n), 3)), np.int64)
    laws = [johansen_null(length, 3 - r) for r in range(3)]
    sample = triples[:: max(1, len(triples) // SAMPLE_TRIPLES)][:SAMPLE_TRIPLES]

    def ours() -> Any:
        trace, largest, _ = johansen_baskets(basket_moments(walks), triples)
        p = [(law[0].p(trace[:, r]), law[1].p(largest[:, r])) for r, law in enumerate(laws)]
        return trace, p

    def theirs() -> Any:
        return [coint_johansen(walks[t].T, 0, 1).lr1 for t in sample]

    runs = {"ours": lambda: cpu_timed(ours), "statsmodels": lambda: cpu_timed(theirs)}
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    at = [int(np.flatnonzero((triples == t).all(axis=1))[0]) for t in sample]
    gap = float(np.max(np.abs(np.array(last["statsmodels"]) - last["ours"][0][at])))
    agreed(gap, "Johansen")
    each = {"ours": seconds["ours"] / len(triples), "statsmodels": seconds["statsmodels"] / len(sample)}
    detail = {"us_basket": {k: 1e6 * v for k, v in each.items()}, "gap": gap}
    ratio = each["statsmodels"] / each["ours"]
    return Figure(triple_name(n, length), ratio, UNIT, LEAST_JOHANSEN, LEAST, note, detail)


def agreed(gap: float, what: str) -> None:
    """Refuse figures of two sides that do not compute the same."""
    if not gap <= AGREE:
        raise DataError(f"{what}: expected statistics equal to statsmodels within {AGREE:g}, got a gap of {gap:g}")
