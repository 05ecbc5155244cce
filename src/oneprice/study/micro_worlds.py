"""Worlds in which the truth of a microstructure model is known: what anchors and tests fit models on.

- `touch_chain`: the touch is exactly the Markov chain of the microprice, so its fitted table must be the martingale.
- `queue_world`: Cont and de Larrard's queues: unit orders come and go at equal rates, the emptied side moves the price
  by a tick and both queues are drawn anew. A chain over single orders, so buckets of imbalance are an approximation.
- `race_frequency`: how often the ask empties first, by simulation of two balanced queues.

Nothing here is market data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit

TICK, LEVEL = 0.01, 100.0
MIRRORED = 0.25  # after a move of the whole touch: the share in which the queues lean the other way, else any way


@njit
def _chain(rng: Any, columns: int, move: float, pull: float, widen: float, out: Any) -> None:
    """out[4, n]: bid, ask (ticks), queues; imbalance column c has bid share (c + 1/2) / columns."""
    bid = 0
    spread = 1
    c = columns // 2
    for i in range(out.shape[1]):
        share = (c + 0.5) / columns
        out[0, i] = bid
        out[1, i] = bid + spread
        out[2, i] = share
        out[3, i] = 1.0 - share
        up = rng.random() < 0.5 + pull * (share - 0.5)
        u = rng.random()
        if u < move:  # the touch moves by a tick, the queues behind it lean the other way
            bid += 1 if up else -1
            c = columns - 1 - c if rng.random() < MIRRORED else int(rng.random() * columns)
        elif u < move + widen:  # one side moves alone: half a tick of the mid
            wide = spread == 1
            if up == wide:
                spread += 1 if wide else -1
            else:
                bid += -1 if wide else 1
                spread += 1 if wide else -1
        else:
            c = min(columns - 1, max(0, c + (1 if rng.random() < 0.5 else -1)))


def touch_chain(
    seed: int, n: int, *, columns: int = 10, move: float = 0.05, pull: float = 0.9, widen: float = 0.03
) -> np.ndarray:
    """Touches [4, n]: bid, ask (quote currency, tick 0.01), bid and ask quantity. Spreads are 1 and 2 ticks.

    pull: how strongly imbalance decides the direction of a move (0: not at all). Raises ConfigError for rates that are
    no probabilities.
    """
    if not (move > 0.0 and widen >= 0.0 and move + widen < 1.0 and 0.0 <= pull <= 1.0 and columns >= 2 and n >= 2):
        raise ConfigError(
            f"touch_chain: expected 0 < move, 0 <= widen, move + widen < 1, 0 <= pull <= 1, got {move}, {widen}, {pull}"
        )
    out = np.empty((4, n))
    _chain(np.random.default_rng(seed), columns, move, pull, widen, out)
    out[:2] = LEVEL + TICK * out[:2]
    return out


@njit
def _queues(rng: Any, most: int, out: Any) -> None:
    bid = 0
    nb = 1 + int(rng.random() * most)
    na = 1 + int(rng.random() * most)
    for i in range(out.shape[1]):
        out[0, i] = bid
        out[1, i] = bid + 1
        out[2, i] = nb
        out[3, i] = na
        change = 1 if rng.random() < 0.5 else -1
        if rng.random() < 0.5:
            nb += change
        else:
            na += change
        if nb == 0 or na == 0:
            bid += 1 if na == 0 else -1
            nb = 1 + int(rng.random() * most)
            na = 1 + int(rng.random() * most)


def queue_world(seed: int, n: int, *, most: int = 12) -> np.ndarray:
    """Touches [4, n] of balanced queues with fresh queues of 1 to `most` orders, spread one tick."""
    if n < 2 or most < 1:
        raise ConfigError(f"queue_world: expected n >= 2 and most >= 1, got {n} and {most}")
    out = np.empty((4, n))
    _queues(np.random.default_rng(seed), most, out)
    out[:2] = LEVEL + TICK * out[:2]
    return out


@njit
def _race(rng: Any, bid: int, ask: int, paths: int, most: int) -> Any:
    up = 0
    open_ends = 0
    for _ in range(paths):
        n = bid
        p = ask
        steps = 0
        while n > 0 and p > 0 and steps < most:
            u = int(rng.random() * 4.0)
            if u == 0:
                n += 1
            elif u == 1:
                n -= 1
            elif u == 2:
                p += 1
            else:
                p -= 1
            steps += 1
        if n > 0 and p > 0:
            open_ends += 1
        elif p == 0:
            up += 1
    return up, open_ends


def race_frequency(seed: int, bid_orders: int, ask_orders: int, paths: int, *, most: int = 1_000_000) -> float:
    """Share of simulated races in which the ask empties first; races longer than `most` steps count as half."""
    if min(bid_orders, ask_orders, paths) < 1:
        raise ConfigError(f"race_frequency: expected whole numbers >= 1, got {bid_orders}, {ask_orders}, {paths}")
    up, left = _race(np.random.default_rng(seed), bid_orders, ask_orders, paths, most)
    return (up + 0.5 * left) / paths
