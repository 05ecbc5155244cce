"""A tape of touches and sweeps whose reaches are exponential: what tests of a maker's calibration share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine_kit import FEED_NS, HEADER, START, S, instrument
from oneprice.core.records import EVENT, LAST, TOP, TRADE
from oneprice.market.tape import Tape, make_tape

TICK = 0.1


def exponential_tape(
    seed: int, seconds: int, *, rate: float = 2.0, k: float = 2.0, sigma: float = 0.2, **words: Any
) -> Tape:
    """TOP rows every half second (spread 1 or 2 ticks, sigma quote currency a root second), and TRADE rows.

    Orders of either side come `rate` exp(-k d) a second and side at distance d from the mid; each prints at every
    level it reaches, in one nanosecond.
    """
    rng = np.random.default_rng(seed)
    n = 2 * seconds
    spread = 1 + (rng.random(n) < 0.4).astype(np.int64)
    bid = 1_000 + np.round(np.cumsum(rng.standard_normal(n)) * sigma * math.sqrt(0.5) / TICK).astype(np.int64)
    tops = np.zeros(n, EVENT)
    tops["kind"], tops["exchange_ns"] = TOP, START + np.arange(n) * (S // 2)
    tops["bid"], tops["ask"] = bid, bid + spread
    tops["bid_qty"], tops["ask_qty"] = rng.integers(500, 1_500, (2, n))
    count = rng.poisson(2.0 * rate * math.exp(-k * 0.5 * TICK) * (seconds - 1))
    at = np.sort(rng.integers(S // 4, (seconds - 1) * S, count))
    which = at // (S // 2)
    reach = 0.5 * TICK + rng.exponential(1.0 / k, count)
    levels = np.floor((reach - 0.5 * TICK * spread[which]) / TICK + 1e-9).astype(np.int64)
    side = rng.choice([-1, 1], count)
    prints = [
        (START + t + 1, int(b + s + i if d > 0 else b - i), int(d))
        for t, b, s, d, top in zip(at, bid[which], spread[which], side, levels, strict=True)
        for i in range(top + 1)
    ]
    trades = np.zeros(len(prints), EVENT)
    trades["kind"], trades["qty"] = TRADE, 3
    trades["exchange_ns"], trades["price"], trades["side"] = np.array(prints).T
    trades["trade_id"] = np.arange(len(prints)) + 1
    raw = np.concatenate([tops.view(np.uint8), trades.view(np.uint8)]).view(EVENT)
    events = raw[np.argsort(raw["exchange_ns"], kind="stable")]
    events["receive_ns"] = events["exchange_ns"] + FEED_NS
    events["flag_bits"] = LAST
    return make_tape(instrument("a", **words), events, header=HEADER)
