"""Anchors of the cointegration tests for `oneprice verify`: published statistics beside what this code computes.

Danish money demand (Johansen and Juselius 1990), LeSage's eight-series file, MacKinnon's critical values, Chan's EWA,
EWC and IGE, monthly WTI and Brent. The eight-series file and the crude prices come with statsmodels and arch; where
those are not installed their rows say so.
"""

from __future__ import annotations

import csv
import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.cointegration.engle_granger import engle_granger
from oneprice.signals.cointegration.johansen import johansen
from oneprice.signals.cointegration.phillips_ouliaris import phillips_ouliaris
from oneprice.signals.unit_root.surfaces import mackinnon_critical

DENMARK = Path("econometrics") / "denmark.csv"
CHAN = Path("chan") / "inputData_EWA_EWC_IGE.csv"
JPLV = ("statsmodels", "tsa/vector_ar/tests/Matlab_results/test_coint.csv")
CRUDE = ("arch", "data/crude/crude.csv.gz")
QUICK = 199  # draws: the rows here are statistics, not p-values

DANISH_TRACE = (49.144, 19.057, 8.695, 2.352)
DANISH_LARGEST = (30.087, 10.362, 6.343, 2.352)
DANISH_LAMBDA = (0.4331654, 0.1775836, 0.1127905, 0.0434113)
DANISH_BETA = (1.0, -1.03295, 5.20692, -4.21588, -6.05993)
JPLV_TRACE = (241.98545, 166.47815, 110.32980, 70.79802, 44.90887, 27.22385, 11.74205, 3.29544)
CRITICAL = {2: (-3.89644, -3.33613, -3.04445), 3: (-4.29374, -3.74066, -3.45218), 4: (-4.64332, -4.09600, -3.81020)}
CHAN_TRACE = (34.42862, 17.53172, 4.47102)
CHAN_LARGEST = (16.89690, 13.06070, 4.47102)
CHAN_VECTOR = (1.046027, -0.759964, -0.223306)
CHAN_PAIR = (19.98322, 3.98276)
CRUDE_TESTS = {"za": -53.531, "zt": -5.35734, "pu": 102.868, "pz": 114.601}
EG_ROWS = (
    ("EWC", "EWA", 1, -3.643514600, 1e-7, "MATLAB prints -3.64346635"),
    ("EWA", "EWC", 1, -3.6406, 1e-4, "the other order"),
    ("EWC", "EWA", "aic", -3.2219, 1e-4, "lags chosen: the verdict at 5 % flips"),
    ("EWA", "EWC", "aic", -3.0635, 1e-4, "the other order, lags chosen"),
)


class Anchor(msgspec.Struct, frozen=True):
    """One row of verification. `missing` says which data are not there: the row is then not judged."""

    id: str
    source: str
    published: float
    computed: float
    tolerance: float
    note: str = ""
    missing: str = ""


def cointegration_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder. Raises DataError when a file there is not what it was."""
    root = Path(data)
    return [
        *danish_anchors(root / DENMARK),
        *jplv_anchors(),
        *critical_anchors(),
        *chan_anchors(root / CHAN),
        *crude_anchors(),
    ]


def listed(key: str, source: str, published: Any, computed: Any, tolerance: float, note: str = "") -> list[Anchor]:
    """One row an entry of two lists."""
    pairs = zip(published, computed, strict=True)
    return [Anchor(f"{key}.{i}", source, float(p), float(c), tolerance, note) for i, (p, c) in enumerate(pairs)]


def read_columns(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """The named columns of a CSV file (gzip or not) as float64 [len(names), T]."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    absent = [n for n in names if not rows or n not in rows[0]]
    if absent:
        raise DataError(f"{path}: expected columns {', '.join(names)}, got no {', '.join(absent)}")
    return np.array([[float(r[n]) for r in rows] for n in names])


def installed(where: tuple[str, str]) -> Path | None:
    """A data file of an installed package, found without importing it; None when it is not there."""
    found = find_spec(where[0])
    path = Path(found.origin).parent / where[1] if found and found.origin else None
    return path if path is not None and path.is_file() else None


def danish_anchors(path: Path) -> list[Anchor]:
    """B01: money, income, bond and deposit rate; two lags, restricted constant, centred seasonals."""
    r = johansen(read_columns(path, ("LRM", "LRY", "IBO", "IDE")), lags=1, det="rc", seasons=4, draws=QUICK)
    source = "Johansen and Juselius 1990, Danish money demand (urca ca.jo)"
    return [
        *listed("B01.trace", source, DANISH_TRACE, r.trace, 1e-3),
        *listed("B01.largest", source, DANISH_LARGEST, r.largest, 1e-3),
        *listed("B01.lambda", source, DANISH_LAMBDA, r.eigenvalues, 1e-6),
        *listed("B01.beta", source, DANISH_BETA, r.beta, 1e-4),
        Anchor("B01.rows", source, 53, r.n_obs, 0),
    ]


def jplv_anchors() -> list[Anchor]:
    """B02: eight series, two lags, detrended."""
    source = "LeSage's toolbox (MATLAB), eight series, order 1, two lags"
    path = installed(JPLV)
    if path is None:
        note = f"not installed: {JPLV[0]} with {JPLV[1]}"
        return [Anchor("B02", source, JPLV_TRACE[0], float("nan"), 1e-4, missing=note)]
    r = johansen(np.loadtxt(path).T, lags=2, det="ct", draws=QUICK)
    return listed("B02.trace", source, JPLV_TRACE, r.trace, 1e-4)


def critical_anchors() -> list[Anchor]:
    """B03: asymptotic critical values of residual tests with a constant."""
    source = "MacKinnon 2010, constant, asymptotic: 1, 5, 10 %"
    out = []
    for n, published in CRITICAL.items():
        out += listed(f"B03.N{n}", source, published, mackinnon_critical(trend="c", n_series=n), 1e-4)
    return out


def chan_anchors(path: Path) -> list[Anchor]:
    """B04: the pair by Engle-Granger in both orders and with two lag rules; pair and triplet by Johansen."""
    prices = dict(zip(("EWA", "EWC", "IGE"), read_columns(path, ("EWA", "EWC", "IGE")), strict=True))
    source = "Chan 2013, EWA and EWC 2006-04..2012-04"
    out = []
    for y, x, lags, published, tolerance, note in EG_ROWS:
        r = engle_granger(prices[y], prices[x], lags=lags, null="surface")
        out.append(Anchor(f"B04.eg.{y}_{x}.{lags}", source, published, r.stat, tolerance, note))
        if y == "EWC" and lags == 1:
            out.append(Anchor("B04.hedge", source, 0.9624293987, r.hedge[0], 1e-9))
            out.append(Anchor("B04.constant", source, 6.41133139, r.constant, 1e-7))
    pair = johansen(np.stack([prices["EWC"], prices["EWA"]]), draws=QUICK)
    three = johansen(np.stack([prices["EWC"], prices["EWA"], prices["IGE"]]), draws=QUICK)
    return [
        *out,
        *listed("B04.pair.trace", source, CHAN_PAIR, pair.trace, 1e-4),
        *listed("B04.trace", source, CHAN_TRACE, three.trace, 1e-3),
        *listed("B04.largest", source, CHAN_LARGEST, three.largest, 1e-3),
        *listed("B04.vector", source, CHAN_VECTOR, three.vectors[:, 0], 1e-5, "EWC, EWA, IGE"),
    ]


def crude_anchors() -> list[Anchor]:
    """Phillips-Ouliaris and Engle-Granger without constant on log monthly crude."""
    source = "log WTI on Brent, monthly 1987-2020"
    path = installed(CRUDE)
    if path is None:
        note = f"not installed: {CRUDE[0]} with {CRUDE[1]}"
        return [Anchor("PO", source, CRUDE_TESTS["za"], float("nan"), 1e-3, missing=note)]
    wti, brent = np.log(read_columns(path, ("WTI", "Brent")))
    r = phillips_ouliaris(wti, brent, draws=QUICK)
    names = list(CRUDE_TESTS)
    out = [Anchor(f"PO.{n}", source, CRUDE_TESTS[n], getattr(r, n), 6e-4) for n in names]
    e = engle_granger(wti, brent, trend="n", lags="bic", null="surface")
    return [*out, Anchor("EG.crude", source, -3.46765, e.stat, 1e-5)]
