"""Which of two series should be regressed on the other: sizes and powers of the rules on pairs whose truth is known.

A leg may be a walk plus noise that passes (an AR(1) of given half-life). As regressand such a leg carries its noise
into the residual, where one lag does not absorb it, and unrelated series are "tied" too often (Schwert 1989,
doi:10.1080/07350015.1989.10509723). Each rule looks at the two series one at a time:

    "walk-like"  the larger variance ratio over 8 steps on the left (the screen's rule: no scale in it)
    "smaller"    the smaller one-step moves on the left
    "larger"     the larger ones, "noisy", "calm": the leg that is known to be so

p is of the null of one test in a fixed order. `python -m oneprice.study.pair_order` prints the table
of docs/theory/screen.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.signals.cointegration.engle_granger import engle_granger_null
from oneprice.signals.cointegration.kernels import null_tests
from oneprice.study.screen_families import walk_share

KINDS = ("walks", "one noisy, unrelated", "one noisy, tied", "both noisy, tied")
RULES = ("walk-like", "smaller", "larger", "calm", "noisy")
CHUNK = 1_000
LEVELS = (0.05, 0.001)


def pairs_of(
    kind: str, count: int, n_obs: int, rng: np.random.Generator, *, half_life: float = 5.0, noise: float = 1.0,
    scales: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """`count` pairs float64 [count, 2, n_obs]; of one-sided kinds the second leg is the noisy one.

    `noise`: deviation of the noise's shock over that of a walk's step; `scales`: each leg is multiplied by a factor
    between 1 / scales and scales. Raises ConfigError for an unknown kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind of pair", kind, list(KINDS))
    walk, other = np.cumsum(rng.normal(size=(2, count, n_obs)), axis=2)
    if kind != "walks":
        ratio = rng.uniform(0.6, 1.4, (count, 1))
        mine, theirs = (passing(rng, (count, n_obs), half_life, noise) for _ in range(2))
        if kind == "one noisy, unrelated":
            other = other + mine
        elif kind == "one noisy, tied":
            other = ratio * walk + mine
        else:
            walk, other = walk + theirs * math.sqrt(0.5), ratio * (walk + mine * math.sqrt(0.5))
    sizes = np.exp(rng.uniform(-1.0, 1.0, (2, count, 1)) * math.log(scales))
    return np.ascontiguousarray(np.stack([walk, other], axis=1) * sizes.transpose(1, 0, 2))


def passing(rng: np.random.Generator, shape: tuple[int, int], half_life: float, noise: float) -> np.ndarray:
    """Stationary AR(1) paths, one a row."""
    phi = 0.5 ** (1.0 / half_life)
    out = rng.normal(0.0, noise, shape)
    out[:, 0] /= math.sqrt(1.0 - phi * phi)
    for t in range(1, shape[1]):
        out[:, t] += phi * out[:, t - 1]
    return out


def order_rates(
    kind: str, n_obs: int, tests: int, world: Mapping[str, float] | None = None, *, lags: int = 1, seed: int = 0
) -> dict[str, tuple[float, ...]]:
    """Share of pairs rejected at each of LEVELS by each of RULES; `world`: half_life, noise, scales of `pairs_of`.

    Raises ConfigError for an unknown kind or fewer than one test.
    """
    if tests < 1:
        raise ConfigError(f"tests: expected 1 or more, got {tests}")
    rng = np.random.default_rng(np.random.SeedSequence([20_242, seed, n_obs]))
    law = engle_granger_null(n_obs, lags=lags)
    p: dict[str, list[Any]] = {rule: [] for rule in RULES}
    for at in range(0, tests, CHUNK):
        both = pairs_of(kind, min(CHUNK, tests - at), n_obs, rng, **(world or {}))
        stat = np.empty((2, len(both)))
        null_tests(both, (lags, 1, 0), stat[0])
        null_tests(np.ascontiguousarray(both[:, ::-1]), (lags, 1, 0), stat[1])
        moves = np.diff(both, axis=2).std(axis=2)
        share = np.stack([walk_share(np.ascontiguousarray(both[:, leg])) for leg in (0, 1)], axis=1)
        first = {
            "walk-like": share[:, 0] >= share[:, 1], "smaller": moves[:, 0] <= moves[:, 1],
            "larger": moves[:, 0] > moves[:, 1], "calm": np.ones(len(both), bool), "noisy": np.zeros(len(both), bool),
        }  # fmt: skip
        for rule in RULES:
            p[rule].append(law.p(np.where(first[rule], stat[0], stat[1])))
    return {rule: tuple(float(np.mean(np.concatenate(v) <= level)) for level in LEVELS) for rule, v in p.items()}


WORLDS: tuple[tuple[str, dict[str, float]], ...] = (
    ("walks", {}),
    ("one noisy, unrelated", {}),
    ("one noisy, unrelated", {"scales": 2.0}),
    ("one noisy, unrelated", {"scales": 4.0}),
    ("one noisy, unrelated", {"half_life": 2.0}),
    ("one noisy, unrelated", {"noise": 0.25}),
    ("one noisy, tied", {}),
    ("one noisy, tied", {"scales": 2.0}),
    ("one noisy, tied", {"half_life": 10.0}),
    ("both noisy, tied", {}),
    ("both noisy, tied", {"noise": 0.25}),
)


def order_text(tests: int = 20_000, lengths: tuple[int, ...] = (250, 500, 1000), rules: tuple[str, ...] = RULES) -> str:
    """The table of the docs page (Markdown), in percent rejected at 5 % and at 0.1 %."""
    out = ["| pair | T | " + " | ".join(rules) + " |", "|---|---:|" + "---:|" * len(rules)]
    for kind, world in WORLDS:
        name = ", ".join([kind, *(f"{k.replace('_', '-')} {v:g}" for k, v in world.items())])
        for n_obs in lengths:
            rates = order_rates(kind, n_obs, tests, world)
            cells = " | ".join(f"{100 * rates[r][0]:.1f} / {100 * rates[r][1]:.2f}" for r in rules)
            out.append(f"| {name} | {n_obs} | {cells} |")
    return "\n".join(out)


if __name__ == "__main__":
    print(order_text(20_000))
