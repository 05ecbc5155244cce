"""A strategy of your own: one plain function, compiled when an engine is built, sweepable by its names."""

from __future__ import annotations

from typing import Any

import oneprice as op
from oneprice import fresh, mid_gap_bp, package


@op.strategy(gap_bp=8.0, qty=0.05)
def simple(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Buy the cheap leg and sell the dear one, as one package, while the gap is wide."""
    a, b = legs[0], legs[1]
    if not fresh(event, a, b):
        return
    gap = mid_gap_bp(legs, 0, 1)
    if gap > p.gap_bp:
        package(orders, 1, (0, a.ask), (1, b.bid), p.qty)
    elif gap < -p.gap_bp:
        package(orders, 2, (1, b.ask), (0, a.bid), p.qty)


def main() -> None:
    """A wider trigger trades less; a misspelt parameter is an error that lists the right ones."""
    tapes = op.two_venues(seed=7, minutes=2).tapes
    latency = op.latency.constant(500, 500)
    fills = {}
    for gap_bp in (8.0, 1000.0):
        run = op.replay(simple(gap_bp=gap_bp), tapes, limits=op.Limits(), latency=latency)
        fills[gap_bp] = len(run.fills())
        assert run.closes() == 0
    print(fills)
    assert fills[8.0] > fills[1000.0] == 0
    try:
        simple(gap_bips=1.0)
    except op.errors.ConfigError as error:
        print(error)
        assert "did you mean 'gap_bp'" in str(error)


if __name__ == "__main__":
    main()
