"""Clock offset and one-way delay of a feed, from receive and exchange stamps alone.

For each row `receive = exchange + offset + delay` with an unknown constant offset (between the venue's clock
and the collector's) and a delay of at least `floor_ns`. One-way stamps identify only the sum: the least of
(receive - exchange) over the tape is offset plus the least delay. Taking that delay to be `floor_ns` gives
the largest offset that lets no row arrive before it could; the true one may be smaller by as much as the
fastest message was slower than the floor. That doubt (`doubt_ns`, said by the caller) is part of the bound
and no data can remove it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import ESTIMATED
from oneprice.market.tape import Tape, with_clock

WINDOW_NS = 10_000_000_000


@dataclass(frozen=True)
class Clock:
    """`exchange_ns + offset_ns` is on the collector's clock, give or take `bound_ns`.

    `delay_p50_ns`, `delay_p99_ns` are of the corrected feed delay of stamped rows. `drift_ppb` is the slope
    of the windows' minima; NaN with fewer than three windows. `n` counts stamped rows.
    """

    offset_ns: int
    bound_ns: int
    delay_p50_ns: int
    delay_p99_ns: int
    drift_ppb: float
    n: int

    def to_dict(self) -> dict[str, float]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def estimate_clock(tape: Tape, *, floor_ns: int = 1_000_000, doubt_ns: int = 5_000_000) -> Clock:
    """Clock of one tape.

    Parameters
    ----------
    floor_ns : least one-way delay that is possible; every row's corrected feed delay is at least this.
    doubt_ns : how much slower than the floor the fastest message may have been.

    Notes
    -----
    offset = min(receive - exchange) - floor over all rows (estimated stamps too: they may not travel back
    either). bound = doubt + step of the exchange stamps (s, ms or us, when all are whole) + spread of the
    minima of 10 s windows (drift and changes of route).
    """
    return estimate_clocks([tape], floor_ns=floor_ns, doubt_ns=doubt_ns)[tape.leg]


def estimate_clocks(
    tapes: Sequence[Tape], *, floor_ns: int = 1_000_000, doubt_ns: int = 5_000_000
) -> dict[str, Clock]:
    """Clocks of legs that one collector recorded, by leg; legs of one venue share the venue's clock.

    A venue's offset is the least over its legs, so that no leg's data arrive before they could.
    """
    if floor_ns < 0 or doubt_ns < 0:
        raise ConfigError(f"clock: floor_ns and doubt_ns: expected 0 or more, got {floor_ns} and {doubt_ns}")
    found: dict[str, Clock] = {}
    for venue in dict.fromkeys(t.instrument.venue for t in tapes):
        legs = [t for t in tapes if t.instrument.venue == venue]
        least = min(int(_lags(t).min()) for t in legs)
        for tape in legs:
            found[tape.leg] = _clock(tape, least - floor_ns, doubt_ns)
    return found


def correct_clocks(
    tapes: Sequence[Tape], *, floor_ns: int = 1_000_000, doubt_ns: int = 5_000_000
) -> list[Tape]:
    """The tapes with their estimated clocks (events untouched)."""
    clocks = estimate_clocks(tapes, floor_ns=floor_ns, doubt_ns=doubt_ns)
    return [with_clock(t, offset_ns=clocks[t.leg].offset_ns, bound_ns=clocks[t.leg].bound_ns) for t in tapes]


def _lags(tape: Tape) -> np.ndarray:
    if len(tape) == 0:
        raise DataError(f"tape {tape.leg}: no rows to estimate a clock from")
    return tape.events["receive_ns"] - tape.events["exchange_ns"]


def _clock(tape: Tape, offset_ns: int, doubt_ns: int) -> Clock:
    stamped = (tape.events["flag_bits"] & ESTIMATED) == 0
    if not stamped.any():
        stamped[:] = True
    receive, exchange = tape.events["receive_ns"][stamped], tape.events["exchange_ns"][stamped]
    lag = receive - exchange
    window = (receive - receive[0]) // WINDOW_NS
    starts = np.flatnonzero(np.diff(window, prepend=-1))
    minima = np.minimum.reduceat(lag, starts)
    step = next(u for u in (1_000_000_000, 1_000_000, 1_000, 1) if not (exchange % u).any())
    spread = int(minima.max() - minima.min())
    slope = float("nan")
    if len(minima) >= 3:
        slope = float(
            np.polyfit(window[starts] * (WINDOW_NS / 1e9), (minima - minima[0]).astype(float), 1)[0]
        )
    half, most = np.percentile(lag - offset_ns, [50, 99])
    return Clock(
        offset_ns,
        doubt_ns + (step if step > 1 else 0) + spread,
        int(half),
        int(most),
        slope,
        int(stamped.sum()),
    )
