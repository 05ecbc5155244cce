"""Static or dynamic hedge of a pair, decided on the training window: the likelihood of one-step forecasts, by BIC.

    static    y = beta (x - pivot) + mu + s        beta, mu fixed, s an AR(1)
    dynamic   the same with a beta (and, if it pays, a mu) that walks: `features/kalman_hedge.py`

Both are one filter and one likelihood, that of the forecast errors of y a step ahead, so their BIC compare. The hedge
is dynamic where its BIC is lower by more than MARGIN, Raftery's "strong" evidence (of eight worlds with a ratio that
stands still none passes it, a test); following costs turnover. Which series is y matters to a filter, not to a
regression of levels: the passing part of y must not be in x, or the ratio of moves is biased (errors in the regressor)
and its repair looks like drift. So both orders are fitted with a static hedge, and the one of larger joint likelihood,
x a walk, is compared. The pivot is the mean of x: a ratio that walks turns around the middle of the data, whatever the
unit of a price.

Reference: A. E. Raftery (1995), Bayesian model selection in social research, doi:10.2307/271063, table 6.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.features import kalman_hedge
from oneprice.signals.hedge.likelihood import HedgeFit, fit_hedge, free_of
from oneprice.signals.hedge.report import BURN
from oneprice.signals.slots import Slot

MARGIN = 6.0
DYNAMIC = ("beta", "both")
HEDGES = ("auto", "static", "dynamic")
REBALANCE = 0.05  # of the gross: a ratio that moves is followed beyond this


class Followed(msgspec.Struct, frozen=True, eq=False):
    """A dynamic hedge at the end of a window: its filter's state and the spread that it saw, float64[n]."""

    beta: float
    beta_se: float
    spread_se: float
    cov: float  # of the errors of beta and of the spread
    mu: float
    pivot: float
    q_beta: float
    q_mu: float
    phi: float  # of the spread's law, and the deviation of its shocks
    noise: float
    spread: np.ndarray


def bic(fit: HedgeFit) -> float:
    """-2 log likelihood + (2 + variances that are free) ln n."""
    return -2.0 * fit.log_likelihood + (2 + sum(free_of(fit.model))) * math.log(fit.n)


def compare(pair: np.ndarray) -> tuple[float, HedgeFit, tuple[int, int]]:
    """(BIC of the static hedge less that of the best dynamic one, that one, which row is y and which x) of [2, n].

    A positive difference favours the dynamic hedge. Raises DataError for series that no hedge can be fitted to.
    """
    turned = pair - pair.mean(axis=1, keepdims=True)
    still = {(a, b): fit_hedge(turned[a], turned[b], model="constant") for a, b in ((0, 1), (1, 0))}
    order = max(still, key=lambda o: still[o].log_likelihood + walk_log_likelihood(turned[o[1]]))
    y, x = turned[order[0]], turned[order[1]]
    moving = min((fit_hedge(y, x, model=m) for m in DYNAMIC), key=bic)
    return bic(still[order]) - bic(moving), moving, order


def walk_log_likelihood(x: np.ndarray) -> float:
    """Of a walk with normal steps around 0, their variance at its best."""
    steps = np.diff(x)
    return -0.5 * len(steps) * (math.log(2.0 * math.pi * float(np.mean(steps * steps))) + 1.0)


def follow(y: Any, x: Any, fit: HedgeFit) -> Followed:
    """Run the fitted filter through the window; the first BURN steps, where it learns beta, are not in the spread."""
    pivot = float(np.mean(x))
    state = kalman_hedge.FOLD.fresh()
    spread = kalman_hedge.FOLD.scan(
        np.ascontiguousarray(y, np.float64), np.ascontiguousarray(x, np.float64) - pivot, state=state, **fit.params()
    )
    end: Any = state[0]
    return Followed(
        beta=float(end["beta"]), beta_se=float(end["beta_se"]), spread_se=float(end["spread_se"]),
        cov=float(end["beta_spread_cov"]), mu=float(end["mu"]), pivot=pivot, q_beta=fit.q_beta, q_mu=fit.q_mu,
        phi=fit.phi, noise=fit.sigma, spread=spread[BURN:],
    )  # fmt: skip


def dynamic_slot(slot: Slot, seen: Followed, least_entry: float, rebalance: float) -> Slot:
    """A slot fitted to the filtered spread, put under the filter's own law.

    The filtered spread varies less than the spread does, so z and shocks are measured in the deviations of the law by
    likelihood; the band, found on what was filtered, keeps its distances.
    """
    sigma = seen.noise / math.sqrt(1.0 - seen.phi * seen.phi)
    scale = slot.sigma / sigma
    return msgspec.structs.replace(
        slot, dynamic=True, pivot=seen.pivot, centre=seen.mu, q_beta=seen.q_beta, q_mu=seen.q_mu, beta_se=seen.beta_se,
        spread_se=seen.spread_se, beta_spread_cov=seen.cov, kappa=-math.log(seen.phi), sigma=sigma,
        entry=max(slot.entry * scale, least_entry), exit=slot.exit * scale, stop=slot.stop * max(1.0, scale),
        rebalance=min(rebalance or REBALANCE, REBALANCE),
    )  # fmt: skip
