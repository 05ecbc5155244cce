"""Anchors of filters, volatility and factors for `oneprice verify`.

B06 Chan's Kalman hedge. B07 the white-noise trap. B08 the Nile local level. B16 Avellaneda-Lee: the rule, what its
cut lets through, eigenportfolios of a third party's test. K01 the GARCH benchmark of Fiorentini, Calzolari and
Panattoni. K02 an EGARCH benchmark.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from oneprice.core.errors import DataError
from oneprice.features import kalman_regression
from oneprice.signals.factors.avellaneda_lee import LEAST_KAPPA, next_position, residual_scores, walk_pass_share
from oneprice.signals.factors.pca import pca_factors
from oneprice.signals.hedge.level import fit_level, level_log_likelihood
from oneprice.signals.hedge.likelihood import HedgeFit, fit_hedge, fit_regression
from oneprice.signals.hedge.report import hedge_path
from oneprice.signals.volatility.egarch_fit import fit_egarch
from oneprice.signals.volatility.garch_fit import fit_garch
from oneprice.study.anchors_market import Anchor

CHAN = Path("chan") / "inputData_EWA_EWC_IGE.csv"
MARKS = Path("econometrics") / "dem2gbp.csv"
ETFS = Path("pairs") / "stock_prices.csv"
# Annual flow of the Nile at Aswan 1871-1970, 1e8 m^3: G. W. Cobb (1978), doi:10.1093/biomet/65.2.243; public domain.
NILE = np.fromstring(
    """
    1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140
    1100 1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969
    831 726 456 824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759
    781 865 845 944 984 897 822 1010 771 676 649 846 812 742 801 1040 860 874 848 890
    744 749 838 1050 918 986 797 923 975 815 1020 906 901 1170 912 746 919 718 714 740
    """,
    sep=" ",
)
FCP = {
    "mu": (-0.00619041, 0.00846212),
    "omega": (0.0107613, 0.00285271),
    "alpha": (0.153134, 0.0265228),
    "beta": (0.805974, 0.0335527),
}
EGARCH = {
    "mu": -0.01167873487,
    "omega": -0.12633933747,
    "gamma": -0.03845788444,
    "beta": 0.91265373928,
    "alpha": 0.33305592776,
}
LRE = 1e-4  # four digits
TRAP_SEEDS = 8


def filter_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder. Raises DataError when a file is missing or torn."""
    data = Path(data)
    return [
        *chan_anchors(data / CHAN),
        *trap_anchors(),
        *level_anchors(),
        *rule_anchors(),
        *portfolio_anchors(data / ETFS),
        *volatility_anchors(data / MARKS),
    ]


def _columns(path: Path, names: tuple[str, ...] | None = None) -> np.ndarray:
    """Columns of a CSV file as float64 (k, rows): those named, or all but the first."""
    import polars as pl

    try:
        frame = pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: expected a CSV file, got {error}") from error
    wanted = list(names) if names else frame.columns[1:]
    missing = [n for n in wanted if n not in frame.columns]
    if missing:
        raise DataError(f"{path}: expected columns {', '.join(wanted)}, got no {missing[0]}")
    return np.ascontiguousarray(frame.select(wanted).to_numpy().T, np.float64)


# ---------------------------------------------------------------- B06
def chan_kalman(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(annual return, Sharpe) of Chan's rule on closes: enter at one forecast deviation, out on the way back.

    delta = 1e-4, noise variance .001, no prior variance; in sample, gross, without costs.
    """
    walk = 1e-4 / (1.0 - 1e-4)
    fold = kalman_regression.FOLD
    state = fold.fresh()
    params = {"q_beta": walk, "q_mu": walk, "r": 1e-3, "prior_var": 0.0}
    n = len(x)
    e, root, beta = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        e[i] = fold.scan(y[i : i + 1], x[i : i + 1], state=state, **params)[0]
        root[i] = math.sqrt(state["innovation_var"][0])
        beta[i] = state["beta"][0]
    units = np.zeros(n)
    for side, entry in ((1.0, e < -root), (-1.0, e > root)):
        leave = e > -root if side > 0 else e < root
        held = 0.0
        for i in range(n):
            held = side if entry[i] else 0.0 if leave[i] else held
            units[i] += held
    money = units * np.stack([-beta * x, y])
    moves = np.stack([np.diff(x) / x[:-1], np.diff(y) / y[:-1]])
    gross = np.abs(money[:, :-1]).sum(axis=0)
    gain = (money[:, :-1] * moves).sum(axis=0)
    ret = np.concatenate([[0.0], np.where(gross > 0.0, gain / np.where(gross > 0.0, gross, 1.0), 0.0)])
    return float(np.prod(1.0 + ret) ** (252.0 / n) - 1.0), float(math.sqrt(252.0) * ret.mean() / ret.std(ddof=1))


def chan_anchors(path: Path) -> list[Anchor]:
    """B06."""
    x, y = _columns(path, ("EWA", "EWC"))
    apr, sharpe = chan_kalman(x, y)
    source = "Chan 2013, KF_beta_EWA_EWC.m"
    return [
        Anchor("B06-apr", source, 0.262252, apr, 1e-6, "in sample, gross"),
        Anchor("B06-sharpe", source, 2.361162, sharpe, 1e-6, "in sample, gross"),
    ]


# ---------------------------------------------------------------- the trap
def planted_pair(
    seed: int, n: int = 1500, *, phi: float = 0.95, beta_step: float = 0.0, level: float = 0.0, sigma: float = 0.01,
    rise: float = 0.0, origin: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(y, x, spread): log prices, y = beta (x - origin) + spread, spread AR(1).

    beta goes from 1 by `rise` plus steps of sd `beta_step`; x starts at `level`.
    """
    rng = np.random.default_rng(seed)
    x = level + np.cumsum(rng.normal(0.0, 0.01, n))
    shock = rng.normal(0.0, sigma, n)
    spread = np.empty(n)
    spread[0] = shock[0] / math.sqrt(1.0 - phi * phi)
    for t in range(1, n):
        spread[t] = phi * spread[t - 1] + shock[t]
    beta = 1.0 + np.cumsum(rng.normal(0.0, 1.0, n)) * beta_step + rise * np.arange(n)
    return beta * (x - origin) + spread, x, spread


def found_against_true(seed: int, *, white: bool = False, **world: float) -> float:
    """Correlation of the fitted filter's spread with the planted one, first 20 left out."""
    y, x, spread = planted_pair(seed, **world)  # type: ignore[arg-type]
    path = hedge_path(y, x, fit_regression(y, x) if white else fit_hedge(y, x))
    return float(np.corrcoef(path.spread[20:], spread[20:])[0, 1])


def true_found(seed: int, **world: float) -> float:
    """The same with the planted parameters in place of a fit: what no filter of this kind can be expected to pass."""
    y, x, spread = planted_pair(seed, **world)  # type: ignore[arg-type]
    get = world.get
    no_error = (math.nan,) * 4
    fit = HedgeFit(
        get("beta_step", 0.0) ** 2, 0.0, get("phi", 0.95), get("sigma", 0.01), no_error, math.nan, len(x), "planted",
        {}, get("rise", 0.0), origin=get("origin", 0.0),
    )  # fmt: skip
    return float(np.corrcoef(hedge_path(y, x, fit).spread[20:], spread[20:])[0, 1])


def trap_anchors() -> list[Anchor]:
    """B07: means over seeds; the stated numbers are one path's."""
    white = float(np.mean([found_against_true(s, white=True) for s in range(TRAP_SEEDS)]))
    held = float(np.mean([found_against_true(s) for s in range(TRAP_SEEDS)]))
    source = "AR(.95) residual, n = 1500, both by likelihood"
    return [
        Anchor("B07-white-noise", source, 0.18, white, 0.05, "correlation of its spread with the true one"),
        Anchor("B07-spread-in-state", source, 0.987, held, 0.03, "the same; stated for one path"),
    ]


# ---------------------------------------------------------------- B08
def level_anchors() -> list[Anchor]:
    """B08: parameters, and the likelihood at the published ones."""
    fit = fit_level(NILE)
    source = "Durbin-Koopman 2012, KFAS"
    return [
        Anchor("B08-noise", source, 15098.53, fit.r, 0.005 * 15098.53),
        Anchor("B08-level", source, 1469.178, fit.q, 0.005 * 1469.178),
        Anchor("B08-loglik", source, -632.5456, level_log_likelihood(NILE, 1469.178, 15098.53), 1e-3),
        Anchor("B08-loglik-max", source, -632.5456, fit.log_likelihood, 1e-3),
    ]


# ---------------------------------------------------------------- B16
def _edge(position: int, low: float, high: float) -> float:
    """The score between low and high at which the rule's answer from `position` changes."""
    first = next_position(position, low, 100.0, LEAST_KAPPA)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if next_position(position, middle, 100.0, LEAST_KAPPA) == first:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def rule_anchors() -> list[Anchor]:
    """B16: where the rule changes its mind, found by bisection, and how many random walks pass its cut."""
    source = "Avellaneda-Lee 2010, eq. 16"
    cut = LEAST_KAPPA
    opens = next_position(0, 2.0, cut, cut) == 0 and next_position(0, 2.0, math.nextafter(cut, 9.0), cut) == -1
    kappa_edge = cut if opens else math.nan
    return [
        Anchor("B16-open-short", source, 1.25, _edge(0, 0.0, 3.0), 1e-12),
        Anchor("B16-open-long", source, -1.25, _edge(0, 0.0, -3.0), 1e-12),
        Anchor("B16-close-short", source, 0.75, _edge(-1, 3.0, 0.0), 1e-12),
        Anchor("B16-close-long", source, -0.50, _edge(1, -3.0, 0.0), 1e-12),
        Anchor("B16-kappa", source, 8.4, kappa_edge, 0.0),
        Anchor("B16-walks-pass", "60-day random walks", 0.78, walk_pass_share(1, 100_000, 60, cut), 0.005),
    ]


def portfolio_anchors(path: Path) -> list[Anchor]:
    """B16: eigenportfolio weights, loadings, intercepts and scores of 23 ETFs, as a third party's test states them."""
    import polars as pl

    names = pl.read_csv(path, n_rows=1).columns[1:]
    close = _columns(path)
    returns = close[:, 1:] / close[:, :-1] - 1.0
    scores = residual_scores(returns, window=returns.shape[1], share=0.55)
    weights = pca_factors(returns, share=0.55).weights.mean(axis=0)
    at = names.index
    source = "arbitragelab test_pca_approach.py"
    fast = scores.kappa > 4.0  # that test centres m over these
    s = (scores.m[fast].mean() - scores.m) / scores.sigma_eq
    note = "its drift term is per day, ours per year: left out"
    stated = {"EEM": 11.384, "XLF": 8.9781, "SPY": 18.425}
    intercepts = {"XLF": 0.0000956, "XLE": 0.0000527, "XLK": 0.0002801}
    loadings = {"XLF": 0.0051443, "XLE": 0.0045190, "XLK": 0.0033304}
    return [
        *(Anchor(f"B16-weight-{k}", source, v, float(weights[at(k)]), 1e-3) for k, v in stated.items()),
        *(Anchor(f"B16-loading-{k}", source, v, float(scores.loadings[at(k), 0]), 1e-7) for k, v in loadings.items()),
        *(Anchor(f"B16-alpha-{k}", source, v, float(scores.alpha[at(k)]) / 252.0, 1e-7) for k, v in intercepts.items()),
        Anchor("B16-score-VPL", source, -0.739174, float(s[at("VPL")]), 2e-3, note),
        Anchor("B16-score-CSJ", source, -1.773595, float(s[at("CSJ")]), 2e-3, note),
    ]


# ---------------------------------------------------------------- K01, K02
def volatility_anchors(path: Path) -> list[Anchor]:
    """K01: parameters and Hessian standard errors to four digits, likelihood. K02: parameters to one per cent."""
    returns = _first_column(path)
    fit = fit_garch(returns)
    source = "Fiorentini-Calzolari-Panattoni 1996"
    rows = [Anchor("K01-loglik", source, -1106.6079, fit.log_likelihood, 1e-4)]
    for name, (value, error) in FCP.items():
        rows.append(Anchor(f"K01-{name}", source, value, fit.params()[name], LRE * abs(value)))
        rows.append(Anchor(f"K01-se-{name}", source, error, fit.se_of(name, "hessian"), LRE * error))
    found = fit_egarch(returns).params()
    note = "how the recursion was started is not stated"
    for name, value in EGARCH.items():
        rows.append(Anchor(f"K02-{name}", "rugarch-benchmarks.R", value, found[name], 0.01 * abs(value), note))
    return rows


def _first_column(path: Path) -> np.ndarray:
    """The numbers of a one-column CSV file with a heading."""
    try:
        values = np.loadtxt(path, skiprows=1)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected one column of numbers below a heading, got {error}") from error
    if values.ndim != 1:
        raise DataError(f"{path}: expected one column, got shape {values.shape}")
    return values
