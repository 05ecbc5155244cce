"""Anchors of quoting through the engine for `oneprice verify`: the paper's maker, and a race with a closed form."""

from __future__ import annotations

from pathlib import Path

from oneprice.strategies.latency_arb import latency_arb
from oneprice.study.anchors_market import Anchor
from oneprice.study.bench_rival import WIDE
from oneprice.study.making_paths import SHORT_S, limit_profit, paper_outcome
from oneprice.study.making_world import World, population
from oneprice.study.race import races
from oneprice.study.race_world import race_world, win_probability

PATHS, SEED = 150, 2008
LATENCIES_MS = (0.0, 1.0, 5.0, 10.0)
LAG_MS, WIRE_MS, SECONDS = 10.0, 1.0, 300.0
ERRORS = 3.5  # standard errors


def making_anchors(data: str | Path) -> list[Anchor]:
    """All rows; no data are needed."""
    return [*paper_anchors(), *race_anchors()]


def paper_anchors() -> list[Anchor]:
    """The shipped strategy on the paper's market, gamma 0.1, in the limit of short steps."""
    w = World()
    low, high = limit_profit(w)
    end = population(World(dt_s=SHORT_S))
    found = paper_outcome(w, PATHS, SEED)
    source = "Avellaneda and Stoikov (2008), table 1, in the limit of short steps"
    note = f"{PATHS} paths through the engine, seed {SEED}"
    room = 0.5 * (high - low) + ERRORS * found.error
    return [
        Anchor("making profit", source, 0.5 * (low + high), float(found.profit.mean()), room, note),
        Anchor("making sd profit", source, end.profit_sd, float(found.profit.std()), 0.2 * end.profit_sd, note),
        Anchor("making sd inventory", source, end.q_sd, float(found.held.std()), 0.2 * end.q_sd, note),
    ]


def race_anchors() -> list[Anchor]:
    """Win probabilities of the race against exp(-(wire + latency) / lag)."""
    leader, laggard = race_world(SEED, SECONDS, lag_ms=LAG_MS, wire_ms=WIRE_MS)
    chosen = latency_arb(fee_share=0.0, warm=100)
    found = races(leader, laggard, strategy=chosen, latencies_ms=LATENCIES_MS, limits=WIDE)
    out = []
    for r in found.rows:
        expected = win_probability(r.latency_ms, lag_ms=LAG_MS, wire_ms=WIRE_MS)
        room = ERRORS * (expected * (1.0 - expected) / max(r.orders, 1)) ** 0.5
        note = f"{r.orders} races, seed {SEED}"
        name = f"race won at {r.latency_ms:g} ms"
        out.append(Anchor(name, "exponential delay, closed form", expected, r.win_probability, room, note))
    return out
