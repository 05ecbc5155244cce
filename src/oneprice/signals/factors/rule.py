"""The Avellaneda-Lee rule run through time: what it earns a day on its gross notional, and what it turns over.

Each day the scores of the last 252 days move each spread's position by `next_position`; the held spreads are added
up as notional weights of all assets (`Scores.hedges`), scaled to a gross of 1. Weights decided after day t earn
from day t + 1 + `delay_days`. Costs are turnover times a price a side: no borrow, no impact, no capital beyond gross.

Reference: M. Avellaneda, J.-H. Lee (2010), doi:10.1080/14697680903124632, section 5.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.factors.avellaneda_lee import DAYS_A_YEAR, LEAST_KAPPA, next_position, rolling_scores
from oneprice.signals.factors.pca import checked_panel


class RuleRun(msgspec.Struct, frozen=True):
    """A day each, float64 (n,): return before costs on gross notional, turnover (sum of changes of weights, gross of
    1), spreads held.
    """

    gross: np.ndarray
    turnover: np.ndarray
    held: np.ndarray

    def net(self, side_bp: float) -> np.ndarray:
        """Return a day after `side_bp` basis points on each unit traded."""
        return np.asarray(self.gross - 1e-4 * side_bp * self.turnover)

    def sharpe(self, side_bp: float = 0.0) -> float:
        """Yearly Sharpe ratio after costs; NaN when nothing varied."""
        r = self.net(side_bp)
        sd = float(r.std(ddof=1)) if len(r) > 1 else 0.0
        return float(r.mean()) / sd * math.sqrt(DAYS_A_YEAR) if sd > 0.0 else math.nan


def run_rule(
    returns: Any,
    *,
    correlation_window: int = 252,
    window: int = 60,
    count: int = 15,
    least_kappa: float = LEAST_KAPPA,
    delay_days: int = 0,
) -> RuleRun:
    """Run the rule over a panel of simple returns, float64 (N, T), without gaps.

    delay_days: 0 trades at the close that the scores were computed from, which nobody can; 1 at the next.

    Raises
    ------
    DataError for the panel or when no day is left to trade; ConfigError for windows, count or delay.
    """
    r = checked_panel(returns, correlation_window)
    n, days = r.shape
    if delay_days < 0:
        raise ConfigError(f"rule: expected delay_days >= 0, got {delay_days}")
    first = correlation_window + delay_days
    if days <= first:
        raise DataError(f"rule: expected more than {first} days, got {days}")
    position = np.zeros(n, np.int64)
    weights = np.zeros(n)
    waiting: list[tuple[np.ndarray, int]] = []
    gross, turnover, held = np.zeros(days - first), np.zeros(days - first), np.zeros(days - first)
    options = {"correlation_window": correlation_window, "window": window, "count": count}
    for t, scores in rolling_scores(r, **options):
        for i in range(n):
            position[i] = next_position(position[i], scores.s[i], scores.kappa[i], least_kappa)
        wanted = position @ np.where(position[:, None] != 0, scores.hedges(), 0.0)
        size = float(np.abs(wanted).sum())
        waiting.append((wanted / size if size > 0.0 else wanted, int(np.count_nonzero(position))))
        day = t + delay_days
        if day >= days:
            break
        target, count_held = waiting.pop(0)
        k = day - first
        turnover[k] = np.abs(target - weights).sum()
        gross[k] = target @ r[:, day]
        held[k] = count_held
        weights = target * (1.0 + r[:, day])
    return RuleRun(gross, turnover, held)
