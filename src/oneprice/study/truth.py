"""The audit held against a world whose truth is known: which class each plant was given."""

from __future__ import annotations

import numpy as np

from oneprice.market.synthetic import World
from oneprice.study.audit import CLASSES, Audit


def confusion(world: World, found: Audit, *, slack_ns: int = 20_000_000) -> dict[str, dict[str, int]]:
    """For each kind of plant, how many got which class: that of the longest episode that overlaps it.

    Episodes are timed by receipt, plants by the exchange: `slack_ns` covers the feed between them.
    """
    e = found.episodes
    buy = np.array([d.buy for d in found.directions])[e["direction"]] if len(e) else np.array([])
    out: dict[str, dict[str, int]] = {}
    for p in world.plants:
        cheap = world.tapes[p.leg_cheap].leg
        over = np.minimum(e["end_ns"], p.end_ns + slack_ns) - np.maximum(e["start_ns"], p.start_ns)
        over = np.where(buy == cheap, over, -1)
        best = int(np.argmax(over)) if len(over) else -1
        label = CLASSES[e["label"][best]] if best >= 0 and over[best] >= 0 else "no gap seen"
        kinds = out.setdefault(p.kind, {})
        kinds[label] = kinds.get(label, 0) + 1
    return dict(sorted(out.items(), key=lambda kv: (kv[0] != "real", kv[0])))
