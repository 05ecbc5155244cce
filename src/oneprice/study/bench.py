"""Benchmarks: every figure is measured in one run with interleaved repeats, as a ratio wherever there is one to take.

The parts of the engine are timed by the clock: absolute times depend on the machine and on what else it does, and
bounds on them are those of an idle machine. Statistics and
microstructure are timed in processor seconds, comparisons at equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.study.bench_time import Figure

ROWS, QUICK_ROWS = 5_000_000, 400_000
PART_ROWS, QUICK_PART_ROWS = 1_000_000, 200_000
LIVE_ROWS = 200_000
SERIES, QUICK_SERIES = 10_000, 2_000


class Sizes(msgspec.Struct, frozen=True):
    """How much to measure: `rows` of the comparison, `part` of the engine's own parts, `data` the captures' folder."""

    rows: int
    part: int
    repeats: int
    quick: bool = False
    data: Path | None = None


def sizes_of(rows: int, repeats: int, *, quick: bool = False, data: Path | None = None) -> Sizes:
    """The sizes of a full run of `rows`, or of a quick one."""
    whole = min(rows, QUICK_ROWS) if quick else rows
    return Sizes(whole, min(whole, QUICK_PART_ROWS if quick else PART_ROWS), repeats, quick, data)


def simulated(s: Sizes) -> list[Figure]:
    """Whole simulations beside hftbacktest on simulated rows."""
    from oneprice.study.bench_rival import versus

    return versus(s.rows, s.repeats)


def captures(s: Sizes) -> list[Figure]:
    """The same on Binance captures."""
    from oneprice.study.bench_rival import real

    return real(s.data, s.repeats)


def rows_alone(s: Sizes) -> list[Figure]:
    """A row with nothing working."""
    from oneprice.study.bench_engine import nothing_working

    return nothing_working(s.part, s.repeats)


def legs(s: Sizes) -> list[Figure]:
    """Merge and gate with 64 legs over 2."""
    from oneprice.study.bench_engine import gating, merging

    return merging(s.part, s.repeats) + gating(s.part, s.repeats)


def steps(s: Sizes) -> list[Figure]:
    """One event at a time from Python."""
    from oneprice.study.bench_engine import live

    return live(min(s.part, LIVE_ROWS), s.repeats)


def starts(s: Sizes) -> list[Figure]:
    """Memory of a replay, first compile, warm start: processes of their own."""
    from oneprice.study.bench_process import processes

    return processes(s.rows)


def cointegration(s: Sizes) -> list[Figure]:
    """Engle-Granger and Johansen beside statsmodels."""
    from oneprice.study.bench_cointegration import cointegration_bench

    return cointegration_bench(repeats=s.repeats)


def filters(s: Sizes) -> list[Figure]:
    """Kalman beside filterpy, GARCH beside arch, rolling factors beside a plain eigendecomposition."""
    from oneprice.study.bench_filters import filter_figures

    return filter_figures(s.repeats, quick=s.quick)


def reversion(s: Sizes) -> list[Figure]:
    """Hurst beside the hurst package, variance ratios beside arch, what a fit costs."""
    from oneprice.study.bench_reversion import reversion_figures

    return reversion_figures(repeats=s.repeats)


def grid(s: Sizes) -> list[Figure]:
    """The z-score grid beside vectorbt."""
    from oneprice.study.bench_screen import grid_figure

    return [grid_figure(s.repeats)]


def scale(s: Sizes) -> list[Figure]:
    """A screen of every pair, in a process of its own: 50 million pairs, or 2 million in a quick run."""
    from oneprice.study.bench_screen import scale_figures

    return scale_figures(QUICK_SERIES if s.quick else SERIES)


def term(s: Sizes) -> list[Figure]:
    """The audit of a history of futures beside pandas, Svensson beside QuantLib, a curve after one quote moved."""
    from oneprice.study.bench_term import term_figures

    return term_figures(s.repeats, quick=s.quick)


def making(s: Sizes) -> list[Figure]:
    """Avellaneda-Stoikov quoting at every event beside hftbacktest, on simulated rows and on Binance captures."""
    from oneprice.study.bench_making import making_bench

    return making_bench(s.data, s.part, s.repeats)


def orders(s: Sizes) -> list[Figure]:
    """A tape of single orders in the true queue beside the same market as depth; the table of orders."""
    from oneprice.study.bench_orders import QUICK_ROWS, order_figures

    return order_figures(min(s.part, QUICK_ROWS) if s.quick else s.part, s.repeats)


def features(s: Sizes) -> list[Figure]:
    """What each microstructure feature costs over a plain pass."""
    from oneprice.study.bench_micro import QUICK_RECORDS, RECORDS, micro_figures

    return micro_figures(s.repeats, records=QUICK_RECORDS if s.quick else RECORDS)


def calibration(s: Sizes) -> list[Figure]:
    """The intensity beside statsmodels, exact quotes beside scipy, the quoting world beside numpy."""
    from oneprice.study.bench_quoting import quoting_figures

    return quoting_figures(repeats=s.repeats)


Part = Callable[[Sizes], list[Figure]]
GROUPS: dict[str, dict[str, Part]] = {
    "engine": {
        "simulated": simulated,
        "captures": captures,
        "rows": rows_alone,
        "legs": legs,
        "steps": steps,
        "starts": starts,
    },
    "statistics": {
        "cointegration": cointegration,
        "filters": filters,
        "reversion": reversion,
        "grid": grid,
        "scale": scale,
        "term": term,
    },
    "microstructure": {
        "making": making,
        "orders": orders,
        "features": features,
        "calibration": calibration,
    },
}


def chosen(only: Iterable[str] = ()) -> dict[str, Part]:
    """The parts named by `only`, groups or single ones, each once and in the order of GROUPS; without names all.

    ConfigError lists the names when one is misspelt.
    """
    parts = {name: part for group in GROUPS.values() for name, part in group.items()}
    wanted: set[str] = set()
    for name in only:
        if name not in parts and name not in GROUPS:
            raise unknown_name("part of the benchmarks", name, [*GROUPS, *parts])
        wanted |= set(GROUPS.get(name, (name,)))
    return {name: part for name, part in parts.items() if not wanted or name in wanted}


def bench(
    rows: int = ROWS,
    repeats: int = 3,
    *,
    only: Iterable[str] = (),
    quick: bool = False,
    data: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> list[Figure]:
    """The figures of the parts in `only` (see `chosen`). `rows` of the comparison, `quick` for small sizes, `data` the
    folder with the Binance captures. A part whose oracle is not installed says so in its note and has no figure.
    """
    sizes = sizes_of(rows, repeats, quick=quick, data=data)
    parts = chosen(only)
    out: list[Figure] = []
    for i, part in enumerate(parts.values()):
        if progress is not None:
            progress(i, len(parts))
        out += part(sizes)
    return out


def fills(rows: int = QUICK_ROWS, data: Path | None = None) -> list[dict[str, Any]]:
    """Fills of both engines rule by rule, on simulated rows and, where there are data, on Binance BTC."""
    try:
        import hftbacktest  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"bench: fills need hftbacktest, got {error}: install oneprice[bench]") from error
    from oneprice.core.instruments import Fees
    from oneprice.market.importers import read_files
    from oneprice.market.synthetic import market_making_world
    from oneprice.study.bench_rival import REAL, REAL_DAY, depth_and_trades, fills_by_rule

    out = [{"tape": "simulated", **r} for r in fills_by_rule(market_making_world(rows, 1).tapes[0])]
    for name, what in REAL:
        path = data / "binance_l2" / f"{name}_{REAL_DAY}.gz" if data is not None else None
        if path is not None and path.is_file():
            tape = read_files([path], format="binance", fees=Fees(maker_bp=2, taker_bp=5))[0]
            out += [{"tape": what, **r} for r in fills_by_rule(depth_and_trades(tape))]
    return out
