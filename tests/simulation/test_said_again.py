"""A quote stated again word for word takes a short way; it is the same wish as one stated in other words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.core.records import AMEND, BUY, COMMAND, EVENT, REFUSED, SELL, TIMER
from oneprice.engine.loop import Loop, run
from oneprice.execution.intents import quote, timer
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import strategy
from oneprice.market.synthetic import two_venues
from oneprice.market.tape import Tape
from oneprice.modes.replay import engine_for, last_ns, tape_table, venues_for
from oneprice.risk.limits import Limits

FAR = 1e9
WIDE = Limits(order_value=FAR, position_value=FAR, gross_value=FAR, net_value=FAR, venue_gross_value=FAR)


def joins(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """States both quotes of both legs at every call; with `other`, no two in a row are word for word the same."""
    m.n += 1
    held = legs[0].position + legs[1].position
    for i in range(2):
        a = legs[i]
        if not (a.bid < a.ask):
            continue
        more = 1.0 + 1e-13 * (m.n % 2) if p.other != 0 else 1.0
        wide = a.tick * (m.n // 64 % 3)
        quote(orders, 1 + 2 * i, i, BUY, a.bid - wide, p.qty * more if held < p.limit else 0.0)
        quote(orders, 2 + 2 * i, i, SELL, a.ask + wide, p.qty * more if held > -p.limit else 0.0)


def shrinks(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """A far bid of ten lots, wished down to four a moment later, and never spoken of again."""
    a = legs[0]
    if m.n == 0 and a.bid > 0.0:
        m.n = 1
        m.price = a.bid - 500 * a.tick
        quote(orders, 1, 0, BUY, m.price, p.qty)
        timer(orders, 1, event.receive_ns + 200_000_000)
    elif m.n == 1 and event.kind == TIMER:
        m.n = 2
        quote(orders, 1, 0, BUY, m.price, 0.4 * p.qty)


def rows_of(tapes: list[Tape], other: int) -> bytes:
    chosen = strategy(memory={"n": "i8"}, exit="inventory", qty=0.02, limit=0.1, other=other)(joins)
    engine = engine_for(tapes, [chosen], limits=WIDE)
    half = venues_for(engine, tapes, Latency(1_000_000, 1_000_000), None)
    loop = Loop(engine, tape_table(tapes), np.zeros(0, EVENT), exchange=half, keep=tapes)
    loop.drive["end_ns"] = last_ns(tapes)
    parts: list[bytes] = []
    run(loop, lambda rows, events: parts.append(rows.tobytes()))
    return b"".join(parts)


@pytest.mark.parametrize("least", ["0", "150"])
def test_the_same_wish_in_other_words(least: str) -> None:
    """Fills, partial fills, cancels and new prices in between: the same rows leave, byte for byte."""
    given = two_venues(3, 0.2).tapes
    tapes = [replace(t, instrument=msgspec.structs.replace(t.instrument, min_notional=least)) for t in given]
    plain = rows_of(tapes, 0)
    assert plain == rows_of(tapes, 1) and len(plain) > 64 * 500


def test_a_refused_change_is_tried_again_until_it_passes() -> None:
    """The gate's rate refuses the amendment; the strategy, which is called on fills alone, need not ask again."""
    tapes = two_venues(3, 0.2).tapes
    chosen = strategy(memory={"n": "i8", "price": "f8"}, exit="inventory", calls="fills", qty=0.01)(shrinks)
    slow = msgspec.structs.replace(WIDE, orders_per_s=1, burst=1)
    engine = engine_for(tapes, [chosen], limits=slow)
    half = venues_for(engine, tapes, Latency(1_000_000, 1_000_000), None)
    loop = Loop(engine, tape_table(tapes), np.zeros(0, EVENT), exchange=half, keep=tapes)
    loop.drive["end_ns"] = last_ns(tapes)
    parts: list[np.ndarray] = []
    run(loop, lambda rows, events: parts.append(rows.copy()))
    rows = np.concatenate(parts)
    sent = rows[(rows["kind"] == COMMAND) & (rows["code"] == AMEND)]
    assert (rows["kind"] == REFUSED).any(), "the first try came too soon"
    assert sent["qty"].tolist() == [4]
