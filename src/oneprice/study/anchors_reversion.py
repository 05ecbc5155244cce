"""Anchors of mean reversion and thresholds for `oneprice verify`.

B05 Chan's triplet; the USO-GLD line. B09 Bertram, B10 Leung-Li, B12 ANZ-ADB, B15 what kappa looks like on 60 days,
D01 Box-Tiao, and the closed forms of partial cointegration and of variance ratios.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.cointegration.johansen import reduced_rank, residuals
from oneprice.signals.reversion.box_tiao import box_tiao
from oneprice.signals.reversion.ornstein import fit_ou, ou_block
from oneprice.signals.reversion.partial import pvmr
from oneprice.signals.reversion.slopes import ar1_slopes, walk_slopes
from oneprice.signals.reversion.variance_ratio import ratio_of_correlations, variance_ratio
from oneprice.signals.thresholds.bertram import bertram, bertram_sharpe, sharpe
from oneprice.signals.thresholds.leung_li import leung_li
from oneprice.study.anchors_market import Anchor
from oneprice.study.chan import linear_rule, rolling_hedge, yearly

TRIPLET = Path("chan") / "inputData_EWA_EWC_IGE.csv"
OIL_GOLD = Path("chan") / "inputData_GLD_USO.csv"
BANKS = Path("pairs") / "ANZ-ADB.csv"
COUNTRIES = Path("pairs") / "Country_ETF.csv"
ETFS = ("EGPT", "ARGT", "EWZ", "EWW", "GXG", "ECH", "EWY", "TUR")
LEAST = (0.1207307, -0.0278675, 0.2693310, 0.5115483, -0.7883157, 0.1206775, -0.0236125, -0.117747)
CHAN, LAB = "Chan 2013", "arbitragelab tests"
DAY = 1.0 / 252.0
SEED = 20_240_221
FGN = {0.3: (0.7579, 0.5743, 0.4353, 0.3299), 0.7: (1.3195, 1.7411, 2.2974, 3.0314)}
AR_9 = (0.95, 0.8598, 0.7119, 0.5092)
STEPS = (2, 4, 8, 16)


def reversion_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder. Raises DataError when a file is missing or torn."""
    data = Path(data)
    return [
        *chan_rows(data), *threshold_rows(), *bank_rows(data), *bias_rows(), *box_tiao_rows(data), *closed_forms(),
    ]  # fmt: skip


def columns(path: Path, names: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """(first column as text, the named columns as rows [N, T]) of a CSV file."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [next(iter(r.values())) for r in rows], np.array([[float(r[n]) for r in rows] for n in names])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected CSV with numbers in {', '.join(names)}, got {error!r}") from error


def relation(levels: np.ndarray) -> np.ndarray:
    """First Johansen relation (unrestricted constant, one lagged difference) of levels [N, T]."""
    return np.asarray(reduced_rank(*residuals(levels, 1, "c", 0), 0.0)[1][:, 0])


def chan_rows(data: Path) -> list[Anchor]:
    """The linear rules on the triplet and on USO-GLD, to the digits printed."""
    prices = columns(data / TRIPLET, ("EWA", "EWC", "IGE"))[1]
    weights = relation(prices)
    weights = weights * np.sign(weights[1])
    spread = weights @ prices
    slope = float(fit_ou(spread, 1.0).slope)
    half_life = math.log(2.0) / (1.0 - slope)  # the book's: of the linear regression, not of its exponential
    growth, ratio = yearly(linear_rule(prices, weights, round(half_life)))
    gold, oil = columns(data / OIL_GOLD, ("GLD", "USO"))[1]
    width = 20
    hedge = rolling_hedge(oil, gold, width)[width:]
    pair = np.stack([gold, oil])[:, width:]
    growth_2, ratio_2 = yearly(linear_rule(pair, np.stack([-hedge, np.ones(len(hedge))]), width))
    rows = [("EWC", 1.046027, weights[1]), ("EWA", -0.759964, weights[0]), ("IGE", -0.223306, weights[2])]
    return [
        *(Anchor(f"B05.weight.{name}", CHAN, want, float(got), 1e-6) for name, want, got in rows),
        Anchor("B05.half_life_days", CHAN, 22.66258, half_life, 1e-5),
        Anchor("B05.apr", CHAN, 0.125739, growth, 1e-6),
        Anchor("B05.sharpe", CHAN, 1.391310, ratio, 1e-6),
        Anchor("chan.uso_gld.apr", CHAN, 0.108335, growth_2, 1e-6),
        Anchor("chan.uso_gld.sharpe", CHAN, 0.589651, ratio_2, 1e-6),
    ]


def threshold_rows() -> list[Anchor]:
    """Bertram's and Leung-Li's optimal bands."""
    alpha, eta, cost = 180.9670, 0.1538, 0.001
    s = eta / math.sqrt(2.0 * alpha)
    band = bertram(alpha, s, cost)
    best = bertram_sharpe(alpha, s, cost, 0.01)
    one = leung_li(6.306, 0.71758, math.sqrt(0.00698), rate=0.05, cost=0.02)
    return [
        Anchor("B09.entry", LAB, -0.00471518, band.entry, 1e-8),
        Anchor("B09.rate", LAB, 0.4923583, band.rate, 1e-7),
        Anchor("B09.cycle_years", LAB, 0.0171224, band.cycle, 1e-7),
        Anchor("B09.variance_rate", LAB, 0.0021862, band.variance_rate, 1e-6),
        Anchor("B09.sharpe", LAB, 3.862, sharpe(alpha, s, best.entry, best.exit, cost, 0.01), 1e-3),
        Anchor("B10.close", LAB, 0.7443618, one.close, 1e-6),
        Anchor("B10.open", LAB, 0.6510471, one.high, 1e-6),
    ]


def bank_rows(data: Path) -> list[Anchor]:
    """Slope of ANZ on ADB in 2001 by least squares and by Johansen."""
    dates, (anz, adb) = columns(data / BANKS, ("ANZ", "ADB"))
    year = np.array([d.endswith("/2001") for d in dates])
    y, x = anz[year], adb[year]
    v = relation(np.stack([y, x]))
    d = x - x.mean()
    return [
        Anchor("B12.least_squares", LAB, 1.8378837810, float(d @ y / (d @ d)), 1e-8),
        Anchor("B12.johansen", LAB, 1.8647763423, float(-v[1] / v[0]), 1e-8),
    ]


def bias_rows() -> list[Anchor]:
    """What the raw kappa shows on short windows, of a known OU and of walks; the corrected one beside it."""
    rng = np.random.default_rng(SEED)
    slopes = np.array([math.exp(-8.4 * DAY)])
    drawn = np.empty((1, 40_000))
    ar1_slopes(rng.standard_normal((drawn.shape[1], 60)), slopes, drawn)
    seen = np.median(-np.log(np.maximum(drawn[0], 1e-9))) / DAY
    five = np.array([math.exp(-5.0 * DAY)])
    medians = []
    for years in (1, 10):
        some = np.empty((1, 4_000))
        ar1_slopes(rng.standard_normal((some.shape[1], 252 * years)), five, some)
        medians.append(float(np.median(-np.log(some[0])) / DAY))
    shares = [
        Anchor(f"walks.half_life_30d.T{n}", "recomputed", share, _reverting_share(n, 30.0), 1.0, "% of walks")
        for n, share in ((120, 69.0), (250, 37.0), (500, 9.0))
    ]
    return [
        Anchor("B15.kappa_median", "recomputed", 25.0, float(seen), 2.0, "true kappa 8.4 a year, 60 days"),
        Anchor("B15.kappa_median_corrected", "the truth", 8.4, _corrected_median(rng), 1.5, "median-unbiased"),
        Anchor("ou.kappa_5.1y", "recomputed", 8.5, medians[0], 0.3),
        Anchor("ou.kappa_5.10y", "recomputed", 5.3, medians[1], 0.15),
        Anchor("walks.kappa_cut.60d", "recomputed", 78.0, float(100.0 * np.mean(_kappas(60) > 8.4)), 1.5, "% of walks"),
        *shares,
    ]


def _kappas(n: int) -> np.ndarray:
    """Raw kappa a year of walks of n days; inf where the slope is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(walk_slopes(n) > 0.0, -np.log(walk_slopes(n)) / DAY, np.inf))


def _reverting_share(n: int, days: float) -> float:
    """Percent of walks of n days that show a half-life below `days`."""
    return float(100.0 * np.mean(_kappas(n) > math.log(2.0) / days / DAY))


def _corrected_median(rng: np.random.Generator) -> float:
    """Median of the corrected kappa on 2,000 windows of 60 days of an OU with kappa 8.4."""
    b = math.exp(-8.4 * DAY)
    x = rng.standard_normal((2_000, 60))
    x[:, 1:] *= math.sqrt(1.0 - b * b)
    for t in range(1, 60):
        x[:, t] += b * x[:, t - 1]
    return float(np.median(ou_block(x, DAY)["kappa_unbiased"]))


def box_tiao_rows(data: Path) -> list[Anchor]:
    """The least predictable portfolio of eight country funds."""
    prices = columns(data / COUNTRIES, tuple(f"{n} US Equity" for n in ETFS))[1]
    found = box_tiao(prices)
    w = found.least * np.sign(found.least[0])
    fit = fit_ou(w @ prices, DAY)
    return [
        Anchor("D01.ratio", LAB, 0.927249, float(found.ratios[0]), 1e-5),
        Anchor("D01.kappa", LAB, 9.526, float(fit.kappa), 1e-3),
        Anchor("D01.half_life_days", LAB, 18.336, float(fit.half_life) / DAY, 1e-3),
        *(Anchor(f"D01.weight.{n}", LAB, v, float(g), 1e-4) for n, v, g in zip(ETFS, LEAST, w, strict=True)),
    ]


def closed_forms() -> list[Anchor]:
    """Variance share of a partial cointegration; variance ratios of known processes, and one estimated."""
    k = np.arange(1, 16)
    rows = [Anchor("partial.pvmr", "partialCI vignette", 0.52401, pvmr(0.3549, 0.0937, 0.1085), 5e-6)]
    for h, wanted in FGN.items():
        power = 2.0 * h
        rho = 0.5 * ((k + 1.0) ** power - 2.0 * k**power + (k - 1.0) ** power)
        for q, value in zip(STEPS, wanted, strict=True):
            rows.append(Anchor(f"vr.fgn_{h:g}.q{q}", "q^(2H-1)", value, ratio_of_correlations(rho, q), 5e-5))
    rho = 0.9**k * (0.9 - 1.0) / (2.0 * 0.9)  # of the increments of an AR(1), lag 1 on
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal(400_000)
    for t in range(1, len(x)):
        x[t] += 0.9 * x[t - 1]
    seen = variance_ratio(x, STEPS)["ratio"]
    for i, (q, value) in enumerate(zip(STEPS, AR_9, strict=True)):
        rows.append(Anchor(f"vr.ar_0.9.q{q}", "(1-phi^q)/(q(1-phi))", value, ratio_of_correlations(rho, q), 5e-5))
        rows.append(Anchor(f"vr.ar_0.9.q{q}.seen", "400,000 simulated", value, float(seen[i]), 0.01))
    return rows
