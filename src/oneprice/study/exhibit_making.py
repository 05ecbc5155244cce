"""Exhibit "Thirty minutes of single orders": what a maker could have done on a real order-by-order tape, and could not.

The tape is small and the exhibit says what follows from that: no intensity can be fitted on it, no profit claimed. What
it can carry is shown: a replay in the true queue, fixed probe orders under each queue model, hidden orders whose fate
is known. Whether any round trip could have paid needs no model: the best one that hindsight finds is beside the fees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.instruments import Fees
from oneprice.core.records import BOOK, CLEAR, FILL_ROW, NO_PRICE, TRADE
from oneprice.engine.entry import compile_entry
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import FillModel
from oneprice.market import packs
from oneprice.market.header import Header
from oneprice.market.tape import Tape
from oneprice.modes.replay import replay
from oneprice.strategies.market_making import market_making
from oneprice.study.exhibit_making_text import maker_text, maker_verdict
from oneprice.study.fill_truth import FillTruth, fill_truth
from oneprice.study.fit_making import Calibration, calibrate
from oneprice.study.making import Making, Quoted, making, quoted
from oneprice.study.making_marks import venue_touches
from oneprice.study.queue_probes import Probes, queue_probes

TITLE = "Thirty minutes of single orders: what a maker could not earn"
ORDERS = "btcusd_orders"
BASE_TIER = Fees(maker_bp=30, taker_bp=40)  # Bitstamp below 10,000 USD a month
LATENCY_MS = 50.0  # each way
QTY, LIMIT = 0.01, 0.05  # BTC
K_DECAY = 2.5  # 1 / USD: a half spread of 0.4, so that a flat maker joins a touch one tick wide
GAMMA, ARRIVALS_PER_S = 0.1, 0.06  # one order held leans by a tenth of a tick to a few, as volatility goes
TRIES = 4  # looked at on this tape: half spreads of 0.5 and 0.4, each with the fee in the quotes and without
PROBE_EVERY_S, PROBE_LIFE_S = 2.0, 30.0
LEAST_LIFE_S = 1.0  # of hidden orders: most orders of this tape are gone sooner, and no model errs on those
DEPTH_BP, DEPTH_POINTS = 5.0, 240
DROPPED = ("ghosts", "far_orders", "unknown_orders")
Progress = Callable[[float], None]


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """All that exhibit 4 says; every number is computed from the tape."""

    header: Header
    tape: dict[str, float]  # rows, orders, trades, seconds, low, high (quote currency), spread_bp, one_tick
    dropped: dict[str, int]  # messages left out, by reason
    fees: Fees
    fit: Calibration
    kept: Quoted  # quotes that keep the fee's distance
    told: Making  # told to ignore the fee; its symmetric twin beside it
    best_trip_bp: float  # best round trip of hindsight, filled at the touch on both sides, before fees
    probes: dict[str, Probes]
    truth: FillTruth | None
    no_truth: str  # why not
    fills: dict[str, list[float]]  # of the first run: time_ns, price, side
    lot: float  # units
    depth: dict[str, list[float]]  # time_ns, bid and ask: units shown within DEPTH_BP of the mid

    @property
    def trip_cost_bp(self) -> float:
        """What the venue takes of a round trip of resting orders."""
        return 2.0 * float(self.fees.maker_bp)

    @property
    def verdict(self) -> str:
        """One paragraph."""
        return maker_verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        probes = {
            name: {"probes": len(p.side), "filled": p.fills, "lots": int(p.filled.sum())}
            for name, p in self.probes.items()
        }
        return {
            "title": TITLE,
            "header": dict(self.header.lines()),
            "tape": self.tape,
            "dropped": self.dropped,
            "fees_bp": [float(self.fees.maker_bp), float(self.fees.taker_bp)],
            "fit_refused": self.fit.refused,
            "arrivals": self.fit.to_dict()["parts"]["arrivals"],
            "kept_fills": self.kept.fills,
            "kept_pnl": self.kept.net,
            "told": self.told.to_dict(),
            "best_trip_bp": self.best_trip_bp,
            "trip_cost_bp": self.trip_cost_bp,
            "probes": probes,
            "truth": self.truth.to_dict() if self.truth else {"missing": self.no_truth},
            "fills": self.fills,
            "depth": self.depth,
            "depth_bp": DEPTH_BP,
            "lot": self.lot,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        return f"4. {TITLE}\n\n{maker_text(self)}\n\n  {self.verdict}"


def rehearse_maker() -> None:
    """Each step but the replays, on little of the pack, so that its kernels lie compiled in the cache."""
    tape = packs.orders_tape(ORDERS)
    compile_entry(_minds())
    calibrate(tape)
    venue_touches(tape)
    fill_truth(tape, least_life_s=LEAST_LIFE_S, most=20)
    queue_probes(tape, every_s=PROBE_LIFE_S, life_s=PROBE_LIFE_S, models=["fifo"])


def _minds() -> Strategy:
    """Quotes that join a touch one tick wide, but for the fee, which they mind."""
    return market_making(gamma=GAMMA, k_decay=K_DECAY, arrivals_per_s=ARRIVALS_PER_S, qty=QTY, limit=LIMIT)


def making_exhibit(
    tape: Tape | None = None,
    *,
    fees: Fees = BASE_TIER,
    strategy: Strategy | None = None,
    ready: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Maker:
    """Quote on the tape of single orders and say what it can carry; the default is the pack's half hour.

    Parameters
    ----------
    tape : one that names its orders. fees : of the venue, bp of value. strategy : of quotes that mind the fee.
    ready : called before the first number is made (it may wait for kernels that are being compiled elsewhere).
    progress : called with the share done.

    Raises
    ------
    DataError
        The pack is neither in the cache nor fetchable (the text says how to get it), or the tape has no trades.
    ConfigError
        The tape does not name its orders.
    """
    say = progress or (lambda share: None)
    notes: dict[str, int] = {}
    if ready is not None:
        ready()
    found = tape if tape is not None else packs.orders_tape(ORDERS, notes=notes)
    say(0.3)
    fit = calibrate(found)
    minds = strategy or _minds()
    one_way = round(LATENCY_MS * 1e6)
    how: dict[str, Any] = {"latency": Latency(one_way, one_way), "fees": fees, "fills": FillModel(queue="fifo")}
    kept = quoted(replay(minds, [found], **how), [found], name="minds the fee")
    ignores = minds(edge_bp=-float(fees.maker_bp))
    run = replay(ignores, [found], **how)
    told = making(ignores, [found], run=run, **how)
    say(0.5)
    truth, why = None, ""
    try:
        truth = fill_truth(found, least_life_s=LEAST_LIFE_S)
    except DataError as error:
        why = str(error)
    say(0.9)
    rows = run.rows[run.rows["kind"] == FILL_ROW]
    tick = float(found.instrument.tick)
    touch = _touches(found)
    return Maker(
        header=msgspec.structs.replace(found.header, tries=TRIES),
        tape=_facts(found, touch),
        dropped={name: notes[name] for name in DROPPED if notes.get(name)},
        fees=fees,
        fit=fit,
        kept=kept,
        told=told,
        best_trip_bp=best_trip_bp(touch["bid_ticks"], touch["ask_ticks"]),
        probes=queue_probes(found, every_s=PROBE_EVERY_S, life_s=PROBE_LIFE_S),
        truth=truth,
        no_truth=why,
        fills={
            "time_ns": [float(t) for t in rows["time_ns"]],
            "price": [float(p) * tick for p in rows["price"]],
            "side": [float(s) for s in rows["side"]],
        },
        lot=float(found.instrument.lot),
        depth=depth_near(found),
    )


def _touches(tape: Tape) -> np.ndarray:
    """The two-sided touches of a tape in venue time; DataError where there is none."""
    still = venue_touches(tape)
    still = still[(still["bid_ticks"] != NO_PRICE) & (still["ask_ticks"] != NO_PRICE)]
    if len(still) == 0:
        raise DataError(f"{tape.leg}: expected a book with both sides, the tape has none")
    return still


def _facts(tape: Tape, touch: np.ndarray) -> dict[str, float]:
    """What the tape is, in numbers; the spread as it is most of the time."""
    ev = tape.events
    book = ev["kind"] == BOOK
    bid, ask = touch["bid_ticks"].astype(float), touch["ask_ticks"].astype(float)
    tick = float(tape.instrument.tick)
    held = np.diff(touch["at_ns"], append=int(touch["at_ns"][-1])).astype(float)
    total = float(held.sum()) or 1.0
    return {
        "rows": len(ev),
        "orders": len(np.unique(ev["order_id"][book & (ev["order_id"] > 0)])),
        "trades": int((ev["kind"] == TRADE).sum()),
        "seconds": float(ev["receive_ns"][-1] - ev["receive_ns"][0]) * 1e-9,
        "low": float(bid.min()) * tick,
        "high": float(ask.max()) * tick,
        "spread_bp": float(np.sum(2e4 * (ask - bid) / (ask + bid) * held)) / total,
        "one_tick": float(held[ask - bid == 1.0].sum()) / total,
    }


def best_trip_bp(bid: np.ndarray, ask: np.ndarray) -> float:
    """The best round trip of hindsight, bp of the first price: bought at a bid and sold at a later ask, or the reverse.

    Both rest at the touch and are filled at once; a sweep fills no resting order beyond the touch it leaves, so nothing
    that rests does better. Prices above 0 in order of time; a single touch gives its own spread.
    """
    bought = np.minimum.accumulate(np.asarray(bid, float))
    sold = np.maximum.accumulate(np.asarray(ask, float))
    return 1e4 * max(float(np.max(ask / bought - 1.0)), float(np.max(1.0 - bid / sold)))


def depth_near(tape: Tape) -> dict[str, list[float]]:
    """Units shown within DEPTH_BP of the mid on each side, at DEPTH_POINTS moments: time_ns, bid, ask."""
    ev = tape.events[tape.events["kind"] == BOOK]
    lot = float(tape.instrument.lot)
    names = ("receive_ns", "price", "qty", "side", "flag_bits")
    columns = zip(*(ev[name].tolist() for name in names), strict=True)
    first, last = int(ev["receive_ns"][0]), int(ev["receive_ns"][-1])
    at = [first + (last - first) * k // DEPTH_POINTS for k in range(1, DEPTH_POINTS + 1)]
    levels: dict[int, dict[int, int]] = {1: {}, -1: {}}
    out: dict[str, list[float]] = {"time_ns": [], "bid": [], "ask": []}
    k = 0
    for time_ns, price, qty, side, flags in columns:
        while time_ns > at[k]:
            _sample(levels, at[k], lot, out)
            k += 1
        if flags & CLEAR:
            levels[1].clear()
            levels[-1].clear()
        if qty > 0:
            levels[side][price] = qty
        else:
            levels[side].pop(price, None)
    _sample(levels, last, lot, out)
    return out


def _sample(levels: dict[int, dict[int, int]], at_ns: int, lot: float, out: dict[str, list[float]]) -> None:
    """One moment of `depth_near`; none where a side is empty."""
    if not levels[1] or not levels[-1]:
        return
    mid = 0.5 * (max(levels[1]) + min(levels[-1]))
    near = mid * DEPTH_BP * 1e-4
    out["time_ns"].append(float(at_ns))
    for name, side in (("bid", 1), ("ask", -1)):
        out[name].append(lot * sum(q for price, q in levels[side].items() if abs(price - mid) <= near))
