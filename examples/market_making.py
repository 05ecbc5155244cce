"""Quote on a simulated venue, hedge on another, and read what it earned: spread, markouts, break-even fee."""

from __future__ import annotations

import oneprice as op
from oneprice.strategies import hedged_making, market_making
from oneprice.study.making import making


def main() -> None:
    """Quotes alone are picked off where a second venue leads; hedged ones live off the gap between both."""
    tapes = op.two_venues(seed=7, minutes=2).tapes
    how = {"latency": op.latency.constant(500, 500), "limits": op.Limits()}
    alone = making(market_making(gamma=0.5, k_decay=2.0, limit=0.05), tapes, **how)
    print(alone)
    hedged = making(hedged_making(edge_bp=0.5), tapes, **how)
    print(hedged)
    assert all(run.closes for made in (alone, hedged) for run in made.runs)
    assert [run.name for run in alone.runs] == ["as given", "symmetric"]
    assert alone.runs[0].markout_bp[1] < alone.runs[0].spread_bp, "the price answers a fill"


if __name__ == "__main__":
    main()
