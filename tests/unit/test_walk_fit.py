"""What a selection does with pairs that pass every test and cannot be traded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oneprice as op
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.market.prices import panel
from oneprice.study.walk_fit import PairSelection
from oneprice.study.walk_forward import walk_forward

T = 300


@pytest.mark.parametrize("root", [-0.6, 0.0, 0.3])
def test_a_spread_faster_than_a_step_is_named_and_not_traded(root: float) -> None:
    """Bouncing quotes (negative root, no kappa at all) or noise: the strongest p there is, gone before the next bar."""
    rng = np.random.default_rng(2)
    walk, noise = np.cumsum(rng.normal(0, 0.01, T)), rng.normal(0, 0.01, T)
    for t in range(1, T):
        noise[t] += root * noise[t - 1]
    other = np.cumsum(rng.normal(0, 0.01, T))
    close = np.column_stack([50 * np.exp(walk), 60 * np.exp(walk + noise), 40 * np.exp(other)])
    picked = PairSelection()(panel(close), np.full(3, 4.0))
    (found,) = [s for s in picked.survivors if set(s.symbols) == {"s0", "s1"}]
    assert found.half_life < 1.0
    assert found.verdict.startswith("half-life below one step")
    assert not any(set(s.symbols) == {"s0", "s1"} for s in picked.slots)


@pytest.mark.parametrize("by_era", [False, True])
def test_fees_a_share_are_refused(by_era: bool) -> None:
    """One fee for all of the time or by era: adjusted prices do not know how many shares were traded."""
    close = 50 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, (T, 3)), axis=0))
    share = Fees(maker_bp=0, taker_bp=1, per_lot="0.01")
    fees: Any = [("1970-01-01", share)] if by_era else share
    with pytest.raises(ConfigError, match="fees a share"):
        walk_forward(op.strategies.stat_arb(), panel(close), train="100d", step="60d", fees=fees)
