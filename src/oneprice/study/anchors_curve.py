"""Anchors of curves for `oneprice verify`: a Svensson curve of the Federal Reserve, Chan's roll yield of crude, and the
Schwartz-Smith parameters of WTI.

F01 Gurkaynak-Sack-Wright file, 2024-08-30. F05 Chan, Algorithmic Trading (2013), ch. 5. F07 Schwartz and Smith (2000):
published parameters within two of our standard errors, likelihood at our optimum not below that at theirs.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from oneprice.core.errors import DataError
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.curve.rates import par_rate, zero_rate
from oneprice.signals.curve.roll import roll_yield
from oneprice.signals.state_space.schwartz_smith import SchwartzSmith, fit_schwartz_smith, run_schwartz_smith
from oneprice.signals.unit_root.adf import adf
from oneprice.study.anchors_market import Anchor

GSW = Svensson(
    b0=0.0477055671441905, b1=0.00729178277946686, b2=-0.019426462553785, b3=-0.0286579891708572,
    u1=0.902377839254897, u2=3.16069975337781,
)  # fmt: skip
ZERO = {1: 4.3103, 2: 3.8930, 3: 3.7472, 5: 3.7100, 10: 3.9147, 20: 4.2688, 30: 4.4324}
FORWARD = {1: 3.6398, 2: 3.4176, 5: 3.7992, 10: 4.3870, 30: 4.7685}
PAR = {1: 4.3619, 2: 3.9419, 5: 3.7538, 10: 3.9338, 30: 4.3391}
CRUDE = "chan/inputDataDaily_CL_20120502.csv"
WTI = "wti_oracle/stitched_futures.parquet"
WTI_YEARS = tuple(m / 12 for m in (1, 5, 9, 13, 17))
PUBLISHED = {
    "kappa": 1.49, "sigma_chi": 0.286, "lambda_chi": 0.157, "mu": -0.0125, "sigma_xi": 0.145, "mu_star": 0.0115,
    "rho": 0.30,
}  # fmt: skip
PUBLISHED_NOISE = (0.042, 0.006, 0.003, 1e-5, 0.004)  # the fourth is printed as .0000


def curve_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module."""
    return [*svensson_anchors(), *roll_anchors(Path(data)), *schwartz_smith_anchors(Path(data))]


def svensson_anchors() -> list[Anchor]:
    """Zero, forward and par yields of 2024-08-30 in per cent, four digits as published."""
    source = "Federal Reserve, feds200628.csv, 2024-08-30 (%)"
    rows = [(f"zero.{t}", v, zero_rate(GSW, t, "continuous")) for t, v in ZERO.items()]
    rows += [(f"forward.{t}", v, GSW.instantaneous(t)) for t, v in FORWARD.items()]
    rows += [(f"par.{t}", v, par_rate(GSW, t, "semiannual")) for t, v in PAR.items()]
    fly = 1e4 * (2 * GSW.zero(5) - GSW.zero(2) - GSW.zero(10))
    butterfly = Anchor("F01.fly_2_5_10", "zero butterfly of the same curve (bp)", -38.77, fly, 0.005)
    return [
        *(Anchor(f"F01.{name}", source, published, 100 * value, 5e-5) for name, published, value in rows),
        butterfly,
    ]


def crude_contracts(path: Path) -> np.ndarray:
    """float64[T, N] of Chan's file: a row a day, a column a contract, NaN where there is no price."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    return np.genfromtxt(path, delimiter=",", skip_header=1)[:, 1:]


def roll_anchors(data: Path) -> list[Anchor]:
    """The unit-root test of crude's roll yield and its half-life."""
    gamma = roll_yield(crude_contracts(data / CRUDE), 5)
    gamma = gamma[np.isfinite(gamma)]
    slope = np.polyfit(gamma[:-1], np.diff(gamma), 1)[0]
    return [
        Anchor(
            "F05.adf", "Chan 2013, calendar spreads of CL, ADF with one lag", -4.586684, adf(gamma, lags=1).stat, 1e-4
        ),
        Anchor("F05.half_life", "the same series, days", 41.10, -math.log(2) / slope, 0.01),
    ]


def schwartz_smith_anchors(data: Path) -> list[Anchor]:
    """How many standard errors each published parameter is from ours, and how much likelihood we gain on them."""
    import polars as pl

    price = pl.read_parquet(data / WTI).select("F1", "F5", "F9", "F13", "F17").to_numpy()
    theirs = run_schwartz_smith(price, WTI_YEARS, SchwartzSmith(**PUBLISHED, noise=PUBLISHED_NOISE))
    ours = fit_schwartz_smith(price, WTI_YEARS)
    source = "Schwartz-Smith 2000, WTI 1990-95: standard errors from ours"
    rows = [Anchor(f"F07.{name}", source, 0.0, apart, 2.0) for name, apart in ours.within(PUBLISHED).items()]
    gain = ours.loglik - theirs.loglik
    note = f"at theirs {theirs.loglik:.2f}, at ours {ours.loglik:.2f}; initial states vague, dt 1/52"
    least = Anchor("F07.loglik_gain", "our optimum is not below theirs (0 if so)", 0.0, min(gain, 0.0), 0.0, note)
    at = Anchor(
        "F07.loglik_published", "at the published parameters; a second filter agrees", 4019.540, theirs.loglik, 0.01
    )
    return [*rows, least, at]
