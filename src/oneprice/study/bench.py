"""Benchmarks: every figure is measured in one run with interleaved repeats, as a ratio wherever there is one to take.

Absolute times depend on the machine and on what else it does; bounds on them are those of an idle machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneprice.study.bench_engine import gating, live, merging, nothing_working
from oneprice.study.bench_process import processes
from oneprice.study.bench_rival import fills_by_rule, real, versus
from oneprice.study.bench_time import Figure

ROWS, QUICK_ROWS = 5_000_000, 400_000
PART_ROWS, QUICK_PART_ROWS = 1_000_000, 200_000
LIVE_ROWS = 200_000


def bench(
    rows: int = ROWS,
    repeats: int = 3,
    *,
    quick: bool = False,
    data: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> list[Figure]:
    """All figures. `rows` of the comparison, `quick` for small sizes, `data` the folder with the Binance captures."""
    whole = min(rows, QUICK_ROWS) if quick else rows
    part = min(whole, QUICK_PART_ROWS if quick else PART_ROWS)
    steps: list[Callable[[], list[Figure]]] = [
        lambda: versus(whole, repeats),
        lambda: real(data, repeats),
        lambda: nothing_working(part, repeats),
        lambda: merging(part, repeats),
        lambda: gating(part, repeats),
        lambda: live(min(part, LIVE_ROWS), repeats),
        lambda: processes(whole),
    ]
    out: list[Figure] = []
    for i, step in enumerate(steps):
        if progress is not None:
            progress(i, len(steps))
        out += step()
    return out


def fills(rows: int = QUICK_ROWS, data: Path | None = None) -> list[dict[str, Any]]:
    """Fills of both engines rule by rule, on simulated rows and, where there are data, on Binance BTC."""
    from oneprice.core.instruments import Fees
    from oneprice.market.importers import read_files
    from oneprice.market.synthetic import market_making_world
    from oneprice.study.bench_rival import REAL, REAL_DAY, depth_and_trades

    out = [{"tape": "simulated", **r} for r in fills_by_rule(market_making_world(rows, 1).tapes[0])]
    for name, what in REAL:
        path = data / "binance_l2" / f"{name}_{REAL_DAY}.gz" if data is not None else None
        if path is not None and path.is_file():
            tape = read_files([path], format="binance", fees=Fees(maker_bp=2, taker_bp=5))[0]
            out += [{"tape": what, **r} for r in fills_by_rule(depth_and_trades(tape))]
    return out
