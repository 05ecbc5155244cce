"""Fair values of a strip by a factor model fitted on the past: each contract's value and what it may be off by.

    ln F_ti = d_ti + z_ti' x_t + v_ti,   v_ti ~ N(0, h_p(i))     p: the contract's place in the chain that day

`schwartz_smith`: two factors, by likelihood from the last optimum and fresh starts (`signals/state_space/refit.py`).
`diebold_li`: level, slope and curvature of the log strip at a fixed decay; the laws of the factors are taken from their
daily least squares (two steps), not by likelihood. Both are then filtered day by day, so a day knows the days up to it.
A price of 0 or below has no log: it is left out of the day, the others stay.

Sources: Schwartz and Smith (2000), doi:10.1287/mnsc.46.7.893.12034; Diebold and Li (2006),
doi:10.1016/j.jeconom.2005.03.005.
"""

from __future__ import annotations

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.chains import Chain
from oneprice.signals.state_space.diebold_li import loadings
from oneprice.signals.state_space.filter import filtered, state_variance
from oneprice.signals.state_space.refit import refit_schwartz_smith
from oneprice.signals.state_space.schwartz_smith import NAMES, SchwartzSmith, arrays, start_of

MODELS = ("schwartz_smith", "diebold_li")
FACTORS = {"schwartz_smith": 2, "diebold_li": 3}
DAY_YEARS, WEEK_YEARS = 1.0 / 252.0, 5.0 / 252.0
EVERY_FIFTH = 5  # rows of the likelihood: weeks, as in the paper
LOG_DECAY = 1.5  # a year; of the log strip of two years
LEAST_SD = 1e-5


class ByPlace(msgspec.Struct, frozen=True, eq=False):
    """A strip by place: `days` int64[T]; `price`, `years` float64[T, P] (NaN: none); `at` int64[T, P] contracts."""

    days: np.ndarray
    price: np.ndarray
    years: np.ndarray
    at: np.ndarray


class Factors(msgspec.Struct, frozen=True, eq=False):
    """A factor model of a strip of P places, as the filter takes it a day at a time. `text`: its numbers."""

    name: str
    text: str
    noise: np.ndarray  # float64[P], standard deviation of a log price
    step: np.ndarray  # float64[m, 2m + 1] a day: c, G, W
    smith: SchwartzSmith | None = None
    shape: tuple[np.ndarray, np.ndarray] = (np.zeros(1), np.zeros(1))  # years and mean residual of a log price there
    around: np.ndarray | None = None  # float64[P], deviation around the shape; None: the noise

    @property
    def shock(self) -> np.ndarray:
        """float64[m, m], variance of the factors' moves of a day."""
        m = len(self.step)
        return np.ascontiguousarray(self.step[:, m + 1 :])


class Fair(msgspec.Struct, frozen=True, eq=False):
    """What a model says of each day. `value` float64[T, P] in money, given the prices up to that day and the shape;
    of the last day `loads` float64[P, m], `variance` float64[m, m] of the factors, and `error` float64[P], the standard
    error of a log price off its value (its place's deviation around the shape, and the factors' variance)."""

    value: np.ndarray
    loads: np.ndarray
    variance: np.ndarray
    error: np.ndarray


def by_place(chain: Chain, columns: np.ndarray, days: np.ndarray, price: np.ndarray, places: int) -> ByPlace:
    """The first `places` contracts of each day.

    columns int64[N]: the place in the chain of each column of price float64[T, N] (NaN: none), rising.
    """
    ends = chain.last_trade_days
    at = np.searchsorted(ends, days)[:, None] + np.arange(places)
    column = np.full(len(ends), -1, np.int64)
    column[columns] = np.arange(len(columns))
    inside = at < len(ends)
    where = np.where(inside, column[np.where(inside, at, 0)], -1)
    seen = np.where(where >= 0, np.take_along_axis(price, np.where(where >= 0, where, 0), axis=1), np.nan)
    years = (ends[np.where(inside, at, 0)] - days[:, None]) / 365.0
    return ByPlace(days, seen, np.where(inside, years, 0.0), np.where(inside, at, -1))


def shaped(model: Factors, strip: ByPlace) -> Factors:
    """The model with what it has had wrong at each time to delivery: mean log residual a place, joined by lines.

    Two factors bend one way only; without this a contract's residual drifts as it comes nearer.
    """
    fair = fair_values(model, strip)
    off = np.log(np.where(strip.price > 0, strip.price, np.nan) / fair.value)
    seen = np.isfinite(off)
    n = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, off, 0.0).sum(axis=0) / n
    around = np.sqrt(np.where(seen, (off - mean) ** 2, 0.0).sum(axis=0) / n)
    years = np.where(seen, strip.years, 0.0).sum(axis=0) / n
    return msgspec.structs.replace(model, shape=(years, mean), around=around)


def fitted(name: str, strip: ByPlace, previous: Factors | None, fresh: tuple[float, ...]) -> tuple[Factors, str]:
    """A model of a strip, and which start it came from. Raises DataError for prices without logs in a whole place."""
    log = np.log(np.where(strip.price > 0, strip.price, np.nan))
    if not np.isfinite(log).sum(axis=0).all():
        raise DataError(f"{name}: place {int(np.argmin(np.isfinite(log).sum(axis=0))) + 1} has no price above 0")
    if name == "diebold_li":
        return _two_steps(log, strip.years), "least squares"
    rows = slice((len(log) - 1) % EVERY_FIFTH, None, EVERY_FIFTH)  # counted back from the last
    before = previous.smith if previous is not None else None
    found = refit_schwartz_smith(
        np.exp(log[rows]), strip.years[rows], previous=before, fresh=fresh, dt_years=WEEK_YEARS
    )
    smith = found.model
    p = np.array([getattr(smith, n) for n in NAMES])
    step = np.empty((2, 5))
    arrays(p, np.zeros((1, 1)), DAY_YEARS, np.empty((1, 1, 2)), np.empty((1, 1)), step)
    text = ", ".join(f"{n} {getattr(smith, n):.3g}" for n in ("kappa", "sigma_chi", "sigma_xi", "rho"))
    return Factors(name, text, np.array(smith.noise), step, smith), found.won


def _two_steps(log: np.ndarray, years: np.ndarray) -> Factors:
    """Factors of each day by least squares, then a first-order law of each with correlated shocks."""
    rows = [t for t in range(len(log)) if np.isfinite(log[t]).sum() > FACTORS["diebold_li"]]
    if len(rows) < 10:
        raise DataError(f"diebold_li: expected 10 days with four prices above 0, got {len(rows)}")
    x, off = np.empty((len(rows), 3)), np.full((len(rows), log.shape[1]), np.nan)
    for i, t in enumerate(rows):
        keep = np.isfinite(log[t])
        z = loadings(years[t, keep], LOG_DECAY)
        x[i] = np.linalg.lstsq(z, log[t, keep], rcond=None)[0]
        off[i, keep] = log[t, keep] - z @ x[i]
    mean = x.mean(axis=0)
    now, before = x[1:] - mean, x[:-1] - mean
    a = np.clip((now * before).sum(axis=0) / np.maximum((before**2).sum(axis=0), 1e-300), 0.0, 0.9999)
    shock = np.cov((now - a * before).T) + 1e-12 * np.eye(3)
    noise = np.maximum(np.sqrt(np.nanmean(off**2, axis=0) * log.shape[1] / (log.shape[1] - 3.0)), LEAST_SD)
    text = ", ".join(f"{n} {v:.3g}" for n, v in zip(("level", "slope", "curvature"), a, strict=True))
    step = np.column_stack([mean * (1.0 - a), np.diag(a), shock])
    return Factors("diebold_li", f"persistence of {text}", noise, np.ascontiguousarray(step))


def fair_values(model: Factors, strip: ByPlace) -> Fair:
    """Filter a strip day by day at a model's numbers. NaN where there is no price."""
    log = np.log(np.where(strip.price > 0, strip.price, np.nan))
    years = np.ascontiguousarray(strip.years)
    m = len(model.step)
    if model.smith is not None:
        p = np.array([getattr(model.smith, n) for n in NAMES])
        z, d = np.empty((*years.shape, 2)), np.empty(years.shape)
        arrays(p, years, DAY_YEARS, z, d, np.empty((2, 5)))
        start = start_of(log)
    else:
        z = loadings(years.ravel(), LOG_DECAY).reshape(*years.shape, 3)
        d = np.zeros(years.shape)
        start = np.column_stack([model.step[:, 0] / (1.0 - np.diag(model.step[:, 1:4])), np.eye(3)])
    h, start = model.noise**2, np.ascontiguousarray(start)
    run = filtered(log, np.ascontiguousarray(z), d, h, model.step, start)
    value = np.exp(d + np.einsum("tpm,tm->tp", z, run.states) + np.interp(years, *model.shape))
    variance = np.empty((m, m))
    state_variance(log, np.ascontiguousarray(z), h, model.step, start, variance)
    own = model.noise if model.around is None else model.around
    error = np.sqrt(own**2 + np.einsum("pi,ij,pj->p", z[-1], variance, z[-1]))
    return Fair(np.where(np.isfinite(strip.price), value, np.nan), z[-1].copy(), variance, error)
