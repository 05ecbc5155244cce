"""Audit a world before writing any strategy: which gaps are clean, which only look like money."""

from __future__ import annotations

import oneprice as op


def main() -> None:
    """Planted gaps are found clean; self-crossed books, stale legs and a standing basis are told apart."""
    world = op.two_venues(seed=7, minutes=4)
    found = op.audit(world.tapes, latency_ms=(0.0, 10.0))
    print(found)
    assert found.count("clean") >= 1
    assert sum(r.count for r in found.rows) == len(found.episodes)


if __name__ == "__main__":
    main()
