"""Who wins the race for a stale quote: a simulated laggard, each latency against its closed form."""

from __future__ import annotations

import tempfile
from pathlib import Path

from oneprice.dashboard.race_page import write_race_page
from oneprice.strategies import latency_arb
from oneprice.study.race import races
from oneprice.study.race_world import race_world, win_probability


def main() -> None:
    """The leader jumps, the laggard follows 10 ms later on average; a millisecond more costs a tenth of the wins."""
    leader, laggard = race_world(seed=1, seconds=120.0, lag_ms=10.0, wire_ms=1.0)
    found = races(leader, laggard, latencies_ms=(0.0, 1.0, 10.0), strategy=latency_arb(fee_share=0.0, warm=100))
    print(found)
    for row in found.rows:
        expected = win_probability(row.latency_ms, lag_ms=10.0, wire_ms=1.0)
        print(f"{row.latency_ms:g} ms: won {row.win_probability:.3f}, closed form {expected:.3f}")
        assert abs(row.win_probability - expected) < 4.0 * row.win_error
    assert all(row.net < 0.0 < row.gross for row in found.rows), "a taker fee of 5 bp eats all of it"
    with tempfile.TemporaryDirectory() as folder:
        page = write_race_page(found, Path(folder) / "race.html")
        print(f"page of {page.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
