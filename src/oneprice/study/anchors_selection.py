"""Anchors of drift monitors and selection control for `oneprice verify`; none needs a file.

B13 deflated and probabilistic Sharpe ratios, record lengths. B14 the fifteen p-values of Benjamini and Hochberg.
J01 run lengths of CUSUM (Montgomery). J02 alarms of ADWIN and Page-Hinkley on the stream of river's documentation.
J04 combinatorial purged splits (skfolio).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.random import RandomState

from oneprice.signals.drift import adwin, page_hinkley
from oneprice.signals.drift.design import cusum_arl, cusum_run_lengths
from oneprice.signals.validation.deflated import (
    Moments,
    deflated_sharpe,
    expected_max,
    expected_max_exact,
    probabilistic_sharpe,
)
from oneprice.signals.validation.multiplicity import adjusted
from oneprice.signals.validation.overfit import backtest_overfit
from oneprice.signals.validation.record_length import min_backtest_length, min_track_record
from oneprice.signals.validation.splits import combinatorial, paths
from oneprice.study.anchors_market import Anchor

BH_P = (
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1.0,
)
BH_REJECTED = {"bonferroni": 3, "holm": 3, "hochberg": 3, "bh": 4, "by": 3}
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
RUN_LENGTHS = {  # as printed: the digits say how exact they are
    4.0: "167.7 74.2 26.6 13.3 8.38 4.75 3.34 2.19 1.71",
    5.0: "465.4 139.5 38.0 17.05 10.38 5.75 4.01 2.57 2.01",
}
PATHS, SEED = 20_000, 20_240_917


def selection_anchors(data: Path) -> list[Anchor]:
    """All rows. `data` is not used: these anchors are formulas, tables and a stream made from a seed."""
    return [*sharpe_anchors(), *multiplicity_anchors(), *run_length_anchors(), *stream_anchors(), *split_anchors()]


def sharpe_anchors() -> list[Anchor]:
    """B13: Sharpe 2.5 a year, variance .5 a year, 100 tries, 1250 days, skew -3, kurtosis 10; records; maxima."""
    book = "Bailey, Lopez de Prado 2014"
    paper = Moments(2.5 / math.sqrt(250.0), -3.0, 10.0, 1250)
    dsr, bar = deflated_sharpe(paper, tries=100, variance=0.5 / 250.0)
    fewer = deflated_sharpe(paper, tries=46, variance=0.5 / 250.0)[0]
    psr = probabilistic_sharpe(Moments(1.585 / math.sqrt(12.0), -2.448, 10.164, 24))
    record = {
        "daily": (2.7311878, min_track_record(2.0 / math.sqrt(250), 1.0 / math.sqrt(250)) / 250, 1e-7),
        "weekly": (2.8288336, min_track_record(2.0 / math.sqrt(52), 1.0 / math.sqrt(52)) / 52, 1e-7),
        "monthly": (
            27.352920,
            min_track_record(3.0 / math.sqrt(12), 2.5 / math.sqrt(12), skewness=-0.72, kurtosis=5.78) / 12,
            1e-6,
        ),
    }
    return [
        Anchor("B13.dsr", book, 0.9003968344493905, dsr, 1e-8),
        Anchor("B13.sr0", book, 0.113172, bar, 5e-7, "per day, six printed digits"),
        Anchor("B13.dsr_46", book, 0.9505, fewer, 5e-5, "46 tries"),
        Anchor("B13.psr", "Bailey, Lopez de Prado 2012", 0.9132343069, psr, 1e-8),
        *(Anchor(f"B13.mintrl.{k}", "MinTRL in years", *v) for k, v in record.items()),
        Anchor("B13.max100", "expected maximum of 100, approximation", 2.5306028932, expected_max(100), 1e-8),
        Anchor("B13.max100_exact", "the same, integral", 2.50759, expected_max_exact(100), 5e-6),
        Anchor("B13.minbtl", "Bailey et al. 2014: 45 tries, 5 years", 4.998, min_backtest_length(45), 5e-4),
    ]


def multiplicity_anchors() -> list[Anchor]:
    """B14: rejections at 5 % of fifteen p-values, and the least adjusted values of BH."""
    source = "Benjamini, Hochberg 1995, section 3.2"
    rows = [
        Anchor(f"B14.{m}", source, n, int(np.count_nonzero(adjusted(BH_P, m) <= 0.05)), 0)
        for m, n in BH_REJECTED.items()
    ]
    found = adjusted(BH_P, "bh")
    return rows + [
        Anchor(f"B14.bh_adjusted.{i + 1}", source, p, float(found[i]), 1e-12)
        for i, p in enumerate((0.0015, 0.003, 0.0095, 0.035625))
    ]


def run_length_anchors() -> list[Anchor]:
    """J01: average run lengths, k = .5, by Markov chain at every shift and by simulation of the fold at 0 and 1."""
    source = "Montgomery, table 9.3"
    rows = []
    for h, printed in RUN_LENGTHS.items():
        row = dict(zip(SHIFTS, printed.split(), strict=True))
        for shift, text in row.items():
            half_digit = 0.51 * 10.0 ** -len(text.partition(".")[2])
            arl = cusum_arl(shift, k=0.5, h=h)
            rows.append(Anchor(f"J01.chain.h{h:g}.shift{shift:g}", source, float(text), arl, half_digit))
        for shift in (0.0, 1.0):
            arl = float(row[shift])
            found = float(cusum_run_lengths(shift, k=0.5, h=h, paths=PATHS, seed=SEED).mean())
            note = f"{PATHS} paths, seed {SEED}"
            rows.append(Anchor(f"J01.simulated.h{h:g}.shift{shift:g}", source, arl, found, 0.03 * arl, note))
    return rows


def river_stream() -> np.ndarray:
    """2000 integers that jump at 1000, as in the documentation of river's drift detectors.

    They are choices([0, 1], k=1000) + choices(range(4, 8), k=1000) of Python's Random(12345), which seeds the Mersenne
    Twister as numpy does from a list of one word.
    """
    draws = RandomState([12345]).random_sample(2000)
    return np.r_[np.floor(2.0 * draws[:1000]), 4.0 + np.floor(4.0 * draws[1000:])]


def stream_anchors() -> list[Anchor]:
    """J02: index of the first alarm."""
    x = river_stream()
    first = {f.name: float(np.flatnonzero(f.scan(x) > 0.0)[0]) for f in (adwin.FOLD, page_hinkley.FOLD)}
    return [
        Anchor("J02.adwin", "river documentation", 1023, first["adwin"], 32),
        Anchor("J02.page_hinkley", "river documentation", 1006, first["page_hinkley"], 0),
        Anchor("J02.page_hinkley.value", "river documentation", 5, float(x[int(first["page_hinkley"])]), 0),
    ]


def split_anchors() -> list[Anchor]:
    """J04: numbers of splits and paths, train rows of the small case, splits of CSCV."""
    source = "skfolio, tests of CombinatorialPurgedCV"
    rows = []
    for groups, tested, splits, n_paths in ((3, 2, 3, 2), (6, 2, 15, 5), (10, 2, 45, 9), (16, 8, 12_870, 6435)):
        found = sum(1 for _ in combinatorial(16, groups, tested))
        rows.append(Anchor(f"J04.splits.{groups}_{tested}", source, splits, found, 0))
        rows.append(Anchor(f"J04.paths.{groups}_{tested}", source, n_paths, len(paths(groups, tested)), 0))
    for purge, first in ((0, 8), (1, 9)):
        train = next(combinatorial(12, 3, 2, end=np.arange(12) + purge)).train
        good = train.tolist() == list(range(first, 12))
        rows.append(Anchor(f"J04.train.purge{purge}", source, first, float(train[0]) if good else math.nan, 0))
    noise = backtest_overfit(np.random.default_rng(SEED).standard_normal((64, 4)), blocks=16)
    rows.append(Anchor("J04.cscv", "C(16, 8); the 12,780 of the paper is a misprint", 12_870, noise.splits, 0))
    return rows
