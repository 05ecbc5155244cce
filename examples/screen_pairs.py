"""Screen a panel whose truth is known: two planted pairs among walks, groups declared before the first test."""

from __future__ import annotations

import numpy as np

import oneprice as op

rng = np.random.default_rng(7)
n_obs = 500
columns: dict[str, np.ndarray] = {}
groups: dict[str, str] = {}
for sector in ("steel", "banks"):
    common, shocks, gap = np.cumsum(rng.normal(0, 0.01, n_obs)), rng.normal(0, 0.005, n_obs), np.zeros(n_obs)
    for t in range(1, n_obs):
        gap[t] = 0.85 * gap[t - 1] + shocks[t]  # half-life: ln 2 / -ln .85 = 4.3 days
    paths = [common, common + gap, *np.cumsum(rng.normal(0, 0.01, (3, n_obs)), axis=1)]
    for letter, path in zip("ABCDE", paths, strict=True):
        columns[f"{sector}{letter}"] = 30 * np.exp(path)
        groups[f"{sector}{letter}"] = sector

prices = op.load(columns, header={"source": "simulated", "claim_why": "simulated prices"})
found = op.screen(prices, family=groups, half_life=("1d", "30d"), cost_bp=5)
print(found)

planted = {("steelA", "steelB"), ("banksA", "banksB")}
chosen = {tuple(sorted((r.y, r.x))) for r in found.matched()}
print(f"{found.tests} tests, {found.significant} survive, chosen so that no asset is in two pairs: {sorted(chosen)}")
assert planted <= chosen
