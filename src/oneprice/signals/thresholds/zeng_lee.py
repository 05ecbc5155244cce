"""Zeng and Lee's bands: both sides are traded, closing at the level or by reversing at the other band.

With u = entry / (sqrt 2 sigma_eq) one round trip takes, on the average, (pi / 2 kappa) erfi(u) when it closes at
the level (from the band to the level, then to either band) and (pi / kappa) erfi(u) when it reverses (from band
to band). So

    close at the level:   (x - c) / E[T],   u - D(u) = c / (sqrt 2 s)
    reverse:              (2x - c) / E[T],  u - D(u) = c / (2 sqrt 2 s)

The reversing rule pays the cost once for twice the distance and is never worse; the other is flat at times and
has room for a stop.

Source: Zeng and Lee (2014), Pairs trading: optimal thresholds and profitability, doi:10.1080/14697688.2014.917806.
"""

from __future__ import annotations

import math

from oneprice.core.errors import unknown_name
from oneprice.signals.thresholds.band import ROOT_2, Band, ou_units, over_erfi, widest_root

RULES = {"level": 1.0, "reverse": 2.0}  # distance earned over the distance of the band


def zeng_lee(kappa: float, sigma_eq: float, cost: float, rule: str = "reverse") -> Band:
    """The band of the chosen rule with the largest expected profit a unit of time net of `cost`.

    Parameters
    ----------
    kappa: 1 / time. sigma_eq: stationary deviation, units of the spread. cost: a round trip, same units.
    rule: "level" (close at the level) or "reverse" (close and open the other side at the other band).
    """
    if rule not in RULES:
        raise unknown_name("Zeng-Lee rule", rule, list(RULES))
    times = RULES[rule]
    u = widest_root(ou_units(kappa, sigma_eq, cost) / times)
    x = ROOT_2 * sigma_eq * u
    per_time = 2.0 * kappa / (math.pi * times)
    if u == 0.0:
        return Band(0.0, 0.0, per_time * times * ROOT_2 * sigma_eq * over_erfi(0.0, 0.0), 0.0, cost)
    rate = per_time * over_erfi(times * x - cost, u)
    return Band(-x, x if rule == "reverse" else 0.0, rate, (times * x - cost) / rate, cost)
