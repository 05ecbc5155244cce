"""Capital = f(signal strength, liquidity, drawdown), over all candidates at once, and as budgets the gate enforces.

Each candidate asks for `f_i = min(shrink * gain_i / (sd_i^2 + se_i^2), most)` of the surplus over the drawdown floor
(`signals/capital.py` has the equations). If the sum exceeds `leverage`, all are scaled by `leverage / sum f`, so what
they ask for keeps its proportions; then each is cut to what its legs can take. Candidates are treated as independent:
correlation between them is not in this version, `leverage` bounds what that can cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.signals import capital as sizing


class Allocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule. All numbers are shares; ConfigError for what is no rule.

    `shrink` of Kelly (a quarter: estimates are worse than their errors say), `most` gross value of one candidate and
    `leverage` of all, a unit of surplus; `participation` of the displayed depth or the bar volume of each leg; `floor`
    of the highest wealth: at and below it nothing is allocated.
    """

    shrink: float = 0.25
    most: float = 1.0
    leverage: float = 2.0
    participation: float = 0.05
    floor: float = 0.8

    def __post_init__(self) -> None:
        for name in ("shrink", "most", "leverage", "participation"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"allocation.{name}: expected a finite number above 0, got {value}")
        for name in ("shrink", "participation"):
            if getattr(self, name) > 1.0:
                raise ConfigError(f"allocation.{name}: expected a share of at most 1, got {getattr(self, name)}")
        if not 0.0 <= self.floor < 1.0:
            raise ConfigError(f"allocation.floor: expected 0 to below 1, got {self.floor}")

    def rule(self) -> np.ndarray:
        """The RULE record of the kernels, one element (`memory` of a strategy may hold it)."""
        out = np.zeros(1, sizing.RULE)
        for name in sizing.RULE.names or ():
            out[name] = getattr(self, name)
        return out


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One position that could be taken.

    `gain` expected by the end of the holding net of cost, `sd` its deviation and `se` the error of the estimate, all
    as shares of the gross value. `weights` are signed shares of the notional by symbol, `depth` what each of these legs
    shows or trades, as value. `strategy` names who would hold it.
    """

    strategy: str
    gain: float
    sd: float
    weights: Mapping[str, float]
    depth: Mapping[str, float]
    se: float = 0.0

    def __post_init__(self) -> None:
        where = f"candidate of {self.strategy}"
        if not self.weights or set(self.weights) != set(self.depth):
            raise ConfigError(f"{where}: expected a depth for each of {sorted(self.weights)}, got {sorted(self.depth)}")
        for name, value in (("gain", self.gain), ("sd", self.sd), ("se", self.se)):
            if not math.isfinite(value) or (name != "gain" and value < 0.0):
                raise ConfigError(f"{where}: {name}: expected a finite number (sd, se: 0 or more), got {value}")
        for symbol, weight in self.weights.items():
            if not (math.isfinite(weight) and weight != 0.0 and self.depth[symbol] >= 0.0):
                raise ConfigError(
                    f"{where}: {symbol}: expected a weight other than 0 and a depth of 0 or more, got {weight} and"
                    f" {self.depth[symbol]}"
                )


class Allocated(msgspec.Struct, frozen=True):
    """What a candidate gets: gross value, and what bound it.

    `bound` is signal (its own Kelly share), most, leverage, liquidity, drawdown (no surplus) or nothing (no gain).
    """

    candidate: Candidate
    fraction: float  # of the surplus, before liquidity
    capital: float
    bound: str

    def values(self) -> dict[str, float]:
        """Signed value by symbol."""
        total = sum(abs(w) for w in self.candidate.weights.values())
        return {symbol: self.capital * w / total for symbol, w in self.candidate.weights.items()}


def allocate(
    candidates: Sequence[Candidate], wealth: float, peak: float | None = None, *, rule: Allocation | None = None
) -> tuple[Allocated, ...]:
    """Capital for each candidate, in order; `peak` is the highest wealth so far (default: `wealth`).

    Raises ConfigError for wealth or peak that are no finite numbers.
    """
    rule = rule or Allocation()
    peak = wealth if peak is None else peak
    if not (math.isfinite(wealth) and math.isfinite(peak)):
        raise ConfigError(f"wealth, peak: expected finite numbers, got {wealth}, {peak}")
    row = rule.rule()[0]
    left = float(sizing.surplus(wealth, peak, rule.floor))
    asked = [float(sizing.kelly(one.gain, one.sd, one.se, row)) for one in candidates]
    scale = min(1.0, rule.leverage / sum(asked)) if sum(asked) > 0.0 else 1.0
    out = []
    for one, f in zip(candidates, asked, strict=True):
        symbols = list(one.weights)
        depth = np.array([one.depth[s] for s in symbols], np.float64)
        weight = np.array([one.weights[s] for s in symbols], np.float64)
        most = float(sizing.liquid(depth, weight, len(symbols), rule.participation))
        capital = float(sizing.capital(f * scale, left, most))
        if f <= 0.0:
            bound = "nothing"
        elif left <= 0.0:
            bound = "drawdown"
        elif most < f * scale * left:
            bound = "liquidity"
        elif scale < 1.0:
            bound = "leverage"
        else:
            bound = "most" if f >= rule.most else "signal"
        out.append(Allocated(one, f * scale, capital, bound))
    return tuple(out)


def budgets(allocated: Sequence[Allocated], prices: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Underlying units each strategy may hold on each leg: `Limits(budgets=...)` takes them.

    What several candidates of one strategy want of a leg adds up, long or short. Raises ConfigError where a leg has
    no price above 0.
    """
    out: dict[str, dict[str, float]] = {}
    for one in allocated:
        mine = out.setdefault(one.candidate.strategy, {})
        for symbol, value in one.values().items():
            price = prices.get(symbol, math.nan)
            if not (math.isfinite(price) and price > 0.0):
                raise ConfigError(f"prices: expected one above 0 for {symbol}, got {prices.get(symbol)}")
            mine[symbol] = mine.get(symbol, 0.0) + abs(value) / price
    return out
