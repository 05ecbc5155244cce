"""Term structure on quotes: futures against futures by the minute, a perpetual against its spot.

A file of minutes becomes one quote a minute, at its close. Legs may have stood up to a minute apart, so a decision
fills a minute later (`latency_s`), at the quotes of the next close, and no P&L is claimed. A book that is crossed in
itself is marked and never traded on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import CROSSED, EVENT, FUNDING, LAST, NO_PRICE, TOP
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.execution.package import PackagePolicy
from oneprice.market.header import Header
from oneprice.market.importers.columns import filtered, read_columns
from oneprice.market.importers.generic import Layout, quotes_from
from oneprice.market.tape import Tape, join_events, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.signals.parity.perpetual import funding_rate
from oneprice.signals.parity.relations import Relation
from oneprice.strategies.term_structure import term_structure
from oneprice.study.term_cash import financed
from oneprice.study.term_fit import fixed
from oneprice.study.term_ladder import relation_ladder
from oneprice.study.term_parts import Ladder, term_parts
from oneprice.study.term_replay import TermRun, strip_limits

MINUTE_NS = 60 * 10**9
HOUR_NS = 3600 * 10**9
COLUMNS = {"time": "ts_utc", "bid": "bid_close", "ask": "ask_close", "bid_qty": "bid_size", "ask_qty": "ask_size"}
CLAIM_WHY = "quotes at the close of a minute: legs are not known to have stood at one moment; filled a minute later"


def minute_tape(
    path: str | Path,
    symbol: str,
    *,
    where: dict[str, str],
    tick: str,
    lot: str,
    fees: Fees,
    multiplier: str = "1",
    period: tuple[str, str] | None = None,
    underlying: str = "",
    quote: str = "USD",
    notes: dict[str, int] | None = None,
) -> Tape:
    """Closing quotes of one instrument in a file of minutes.

    Parameters
    ----------
    where : columns of the file that name the instrument, as {"contract": "GC201312"}.
    lot : unit of the file's sizes; `multiplier` units of underlying a lot, where sizes are in contracts.
    period : first and last instant (ISO, UTC), both inclusive: a file may hold more than one sample.

    Raises DataError for a file without such rows, or with prices off the tick.
    """
    c = read_columns(path, COLUMNS, required=("time", "bid", "ask", "bid_qty", "ask_qty", *where))
    c = filtered(c, **where)
    about = Header(
        source=Path(path).name, licence="see data", period=" to ".join(period) if period else "as in the file",
        side="both", simultaneity="one quote at the close of a minute", survivorship="contracts of the file", tries=1,
        claim=False, claim_why=CLAIM_WHY,
    )  # fmt: skip
    one = Instrument(
        symbol=symbol, underlying=underlying or symbol.split(":", 1)[1], quote=quote, tick=tick, lot=lot, fees=fees,
        multiplier=multiplier, stale_ns=3 * MINUTE_NS,
    )  # fmt: skip
    tape = quotes_from(c, one, header=about, layout=Layout(bar_ns=MINUTE_NS), notes=notes)
    if period is None:
        return tape
    low, high = (int(np.datetime64(t, "ns").astype(np.int64)) for t in period)
    keep = (tape.events["receive_ns"] >= low) & (tape.events["receive_ns"] <= high)
    if not keep.any():
        raise DataError(f"{path}: no quote of {symbol} from {period[0]} to {period[1]}")
    return make_tape(one, tape.events[keep].copy(), header=about)


def crossed_share(tape: Tape) -> float:
    """Share of quotes whose own book was crossed; they are marked on the tape and never traded on."""
    rows = tape.events[tape.events["kind"] == TOP]
    return float(((rows["flag_bits"] & CROSSED) != 0).mean()) if len(rows) else 0.0


def with_funding(perpetual: Tape, spot: Tape, *, hours: float = 8.0, cap: float = 0.0075) -> Tape:
    """The perpetual's tape with funding each `hours`, by the venue's rule from the premium of these very quotes.

    Rate = P + clamp(0.01 % - P, +-0.05 %), P the mean premium over the interval that ends: computed, not the venue's.
    """
    if not hours > 0:
        raise ConfigError(f"funding: expected hours above 0, got {hours}")
    (tp, p), (ts, s) = _mids(perpetual), _mids(spot)
    at = np.searchsorted(ts, tp, side="right") - 1
    tp, p, at = tp[at >= 0], p[at >= 0], at[at >= 0]
    premium = p / s[at] - 1.0
    step = int(hours * HOUR_NS)
    rows = []
    for end in range((int(tp[0]) // step + 1) * step, int(tp[-1]), step):
        inside = premium[(tp > end - step) & (tp <= end)]
        if len(inside):
            row = np.zeros(1, EVENT)
            row["receive_ns"] = row["exchange_ns"] = end + 1
            row["kind"], row["flag_bits"] = FUNDING, LAST
            row["rate_e12"] = round(funding_rate(float(inside.mean()), 1e-4, 5e-4, cap) * 1e12)
            row["interval_ns"] = step
            rows.append(row)
    events = join_events([perpetual.events, *rows])
    return make_tape(
        perpetual.instrument, events[np.argsort(events["receive_ns"], kind="stable")], header=perpetual.header
    )


def _mids(tape: Tape) -> tuple[np.ndarray, np.ndarray]:
    rows = tape.events
    rows = rows[(rows["kind"] == TOP) & (rows["bid"] != NO_PRICE) & (rows["ask"] != NO_PRICE)]
    if len(rows) == 0:
        raise DataError(f"{tape.instrument.symbol}: expected quotes, got none")
    return rows["exchange_ns"].astype(np.int64), 0.5 * (rows["bid"] + rows["ask"]) * float(str(tape.instrument.tick))


def replay_quotes(
    tapes: Sequence[Tape],
    relations: Sequence[Relation],
    ladder: Ladder | None = None,
    *,
    word: str,
    latency_s: float = 60.0,
    participation: float = 0.5,
    slip_bp: float = 20.0,
    capital: float = 10_000_000.0,
    seed: int = 0,
    out: str | Path | None = None,
) -> TermRun:
    """Replay relations whose bands are known beforehand; `word` is what lies outside them is called.

    Spots are charged interest at the rates their relations state, a day after the other (`market/financing.py`).
    Without a `ladder` the parts hold each future against its own relation's first leg (`relation_ladder`).

    Raises ConfigError for a leg that has no tape.
    """
    chosen = financed(tapes, relations)
    symbols = [t.instrument.symbol for t in chosen]
    first = max(int(t.events["receive_ns"][0]) for t in chosen)
    fit = Fit(estimator=fixed(relations, symbols), first_ns=first, every_ns=1 << 61, latency_ns=1)
    wait = int(latency_s * 1e9)
    patience = 10 * wait + MINUTE_NS
    run = replay(
        term_structure(participation=participation, slip_bp=slip_bp),
        chosen,
        latency=constant(latency_s * 1e6, 1000.0),
        limits=strip_limits(capital),
        settings=Settings(capital=capital, sample_ns=MINUTE_NS),
        policy=PackagePolicy(
            response_ns=patience, retry_ns=wait, retry_cap_ns=4 * wait + 1, max_age_ns=patience,
            residual_age_ns=patience, band_bp=100.0, unwind_band_bp=200.0, accumulate=False,
        ),
        fits=[fit],
        seed=seed,
        out=out,
    )  # fmt: skip
    kinds = "/".join(sorted({r.kind for r in relations}))
    ladder = ladder or relation_ladder(chosen, relations)
    return TermRun(run, term_parts(run, chosen, ladder), tuple(chosen), None, word, (), kinds)
