"""Two planted pairs among four unrelated walks: select, fit, trade and watch them, and say what was left."""

from __future__ import annotations

import numpy as np

import oneprice as op


def world(seed: int, n: int = 520) -> np.ndarray:
    """Prices [n, 8]: A and B, C and D hold together (half-life about 3.5 days), the others do not."""
    rng = np.random.default_rng(seed)
    logs = np.cumsum(rng.normal(0, 0.01, (n, 8)), axis=0)
    for left in (0, 2):
        spread = np.zeros(n)
        for t in range(1, n):
            spread[t] = 0.82 * spread[t - 1] + rng.normal(0, 0.012)
        logs[:, left] = logs[:, left + 1] + spread
    return 40.0 * np.exp(logs)


def main() -> None:
    """The funnel finds the planted pairs; what is left is told net of costs, and the books close."""
    prices = op.load(world(3), symbols=list("ABCDEFGH"), header={"source": "simulated: two pairs, four walks"})
    walk = op.walk_forward(
        op.strategies.stat_arb(),
        prices,
        train="200d",
        step="60d",
        fees=op.Fees(maker_bp=0, taker_bp=2),
    )
    print(walk)
    first = walk.funnel()[0]
    assert first.tests == 28 and first.survivors <= first.tests
    assert {r.symbols for r in walk.pairs() if r.net > 0} & {("A", "B"), ("B", "A"), ("C", "D"), ("D", "C")}
    assert walk.closes()


if __name__ == "__main__":
    main()
