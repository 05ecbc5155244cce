"""What the engine's own parts cost: an event with nothing working, many legs, the gate, a plain pass, a live step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from oneprice.core.address import address_of, words_at
from oneprice.core.arena import EVENT_BYTES, event_at, leg_of, strategy_row
from oneprice.core.jit import njit
from oneprice.core.records import BUY, EVENT, LAST, SELL, TIMER, TOP
from oneprice.engine.entry import call_entry
from oneprice.engine.live import live_step
from oneprice.engine.local import EVENT_WORDS, fold, refresh
from oneprice.engine.state import Engine, Settings, state_at
from oneprice.execution.intents import quote, timer
from oneprice.execution.strategy import strategy
from oneprice.market import book, touch
from oneprice.market.synthetic import market_making_world
from oneprice.market.tape import Tape, join_events
from oneprice.modes.replay import engine_for
from oneprice.study.bench_rival import EVERY_NS, LIMIT, QTY, WIDE, ours, quote_every
from oneprice.study.bench_time import MOST, Figure, interleaved, timed

FEW, MANY = 2, 64
MOST_EVENT_NS, MOST_MERGE, MOST_GATE = 15.0, 4.0, 2.0


@strategy(unused=0)
def nothing(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Does nothing: what the engine itself costs."""


@strategy(interval_ns=EVERY_NS, qty=QTY, limit=LIMIT, memory={"started": "i8"})
def quote_two_legs(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Join both touches of two legs every `interval_ns`, inside +-limit."""
    if m.started == 0:
        m.started = 1
        timer(orders, 1, event.receive_ns + p.interval_ns)
    if event.kind != TIMER:
        return
    timer(orders, 1, event.receive_ns + p.interval_ns)
    for i in range(2):
        a = legs[i]
        quote(orders, 1 + 2 * i, i, BUY, a.bid, p.qty if a.position < p.limit else 0.0, 0)
        quote(orders, 2 + 2 * i, i, SELL, a.ask, p.qty if a.position > -p.limit else 0.0, 0)


@njit
def plain_pass(rows: Any) -> int:
    """Read every word of every record once: the floor."""
    total = 0
    for i in range(len(rows)):
        r = rows[i]
        total += r.receive_ns + r.exchange_ns + r.seq + r.price + r.qty + r.order_id + r.count + r.leg
    return total


@njit
def bare_rows(state: int, rows: int, n: int, entries: int) -> int:
    """What no engine can leave out, for `n` rows at an address: book, touch, the strategy's view, its call."""
    s = state_at(state)
    calls = 0
    for i in range(n):
        ev = event_at(rows + i * EVENT_BYTES)
        leg = leg_of(s, ev.leg)
        s.now_ns = ev.receive_ns
        if ev.kind <= TOP:
            b = book.book_at(address_of(s) + leg.book_off)
            book.book_row(b, ev)
            if ev.flag_bits & LAST == 0:
                continue
            touch.touch_from_book(leg, b, ev)
        else:
            touch.touch_from_top(leg, ev)
            if ev.flag_bits & LAST == 0:
                continue
        refresh(s, 0, 0, ev.leg)
        bare_call(s, ev, entries)
        calls += 1
    return calls


@njit
def bare_call(s: Any, ev: Any, entries: int) -> None:
    """The strategy's entry on a copy of the event; whatever it asks for is not looked at."""
    st = strategy_row(s, 0)
    s.blotter.intents.count = 0
    words = words_at(address_of(ev))
    for i in range(EVENT_WORDS):
        s.seen.words[i] = words[i]
    base = address_of(s)
    call_entry(
        words_at(entries)[0],
        address_of(s.seen),
        base + st.views_off,
        st.n_legs,
        base + st.params_off,
        base + st.memory_off,
        address_of(s.blotter.intents),
        address_of(st),
    )


@njit
def fold_rows(state: int, rows: int, n: int, entries: int) -> int:
    """The whole local half on `n` rows at an address."""
    s = state_at(state)
    for i in range(n):
        fold(s, event_at(rows + i * EVENT_BYTES), entries)
    return n


def fresh_engine(tape: Tape, chosen: Any = nothing) -> Engine:
    """An engine over one tape with room for all its samples, not run yet."""
    return engine_for([tape], [chosen], limits=WIDE, settings=Settings(sink_rows=1 << 18))


def nothing_working(n_rows: int, repeats: int) -> list[Figure]:
    """A market event with nothing working: the engine less what no engine can leave out."""
    tape = market_making_world(n_rows, 2).tapes[0]
    rows = int(tape.events.ctypes.data)

    def bare() -> tuple[float, Any]:
        engine = fresh_engine(tape)
        return timed(lambda: bare_rows(engine.arena.address, rows, n_rows, int(engine.entries.ctypes.data)))

    def local() -> tuple[float, Any]:
        engine = fresh_engine(tape)
        return timed(lambda: fold_rows(engine.arena.address, rows, n_rows, int(engine.entries.ctypes.data)))

    runs = {
        "bare": bare,
        "local": local,
        "whole": lambda: ours([tape], nothing),
        "pass": lambda: timed(lambda: plain_pass(tape.events)),
    }
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    ns = {name: spent / n_rows * 1e9 for name, spent in seconds.items()}
    detail = {"ns_row": ns, "rows": n_rows, "calls": last["bare"]}
    return [
        Figure(
            "market event, nothing working: gate + ledger + execution (whole run less book, touch, view, call)",
            ns["whole"] - ns["bare"], "ns a row", MOST_EVENT_NS, MOST, detail=detail,
        ),
        Figure("the same, local half alone", ns["local"] - ns["bare"], "ns a row", MOST_EVENT_NS, MOST, detail=detail),
        Figure("whole run with an idle strategy", ns["whole"] / ns["pass"], "x plain pass", detail=detail),
        Figure("plain pass over the records", ns["pass"], "ns a row", detail=detail),
    ]  # fmt: skip


def named(tape: Tape, i: int, n_rows: int = 0) -> Tape:
    """A copy as leg i, of the first `n_rows` rows (0: all)."""
    events = join_events([tape.events[: n_rows or len(tape)]])
    events["leg"] = i
    one = msgspec.structs.replace(tape.instrument, symbol=f"alpha:L{i:02d}-USD")
    return replace(tape, instrument=one, events=events, path=None)


def opening(tape: Tape) -> int:
    """How many rows the first whole batch has."""
    return 1 + int(np.flatnonzero((tape.events["flag_bits"] & LAST) != 0)[0])


def merging(n_rows: int, repeats: int) -> list[Figure]:
    """Cost of a row with 64 legs over that with 2, equal rows in all; the strategy idles on a further, quiet leg."""
    sets = {}
    for k in (FEW, MANY):
        each = [market_making_world(n_rows // k, 10 + i).tapes[0] for i in range(k)]
        legs = [named(each[0], 0, opening(each[0])), *(named(t, 1 + i) for i, t in enumerate(each))]
        sets[k] = legs
    idle = nothing.on(sets[FEW][0].instrument.symbol)
    runs = {str(k): (lambda legs=legs: ours(legs, idle)) for k, legs in sets.items()}
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    ns = {f"ns_row_{k}_legs": seconds[str(k)] / sum(len(t) for t in legs) * 1e9 for k, legs in sets.items()}
    ratio = ns[f"ns_row_{MANY}_legs"] / ns[f"ns_row_{FEW}_legs"]
    name = f"merge: a row with {MANY} legs over a row with {FEW}"
    return [Figure(name, ratio, "x", MOST_MERGE, MOST, detail={**ns, **{k: v["events"] for k, v in last.items()}})]


def gating(n_rows: int, repeats: int) -> list[Figure]:
    """Cost of an order on two touched legs with 62 silent ones beside them, over that without (less idle runs)."""
    busy = [named(market_making_world(n_rows // 2, 30 + i).tapes[0], i) for i in range(FEW)]
    silent = [named(busy[0], i, opening(busy[0])) for i in range(FEW, MANY)]
    runs: dict[str, Any] = {}
    two = [t.instrument.symbol for t in busy]
    for k, legs in ((FEW, busy), (MANY, busy + silent)):
        for name, chosen in (("idle", nothing.on(*two)), ("quoting", quote_two_legs.on(*two))):
            runs[f"{name} {k}"] = lambda legs=legs, chosen=chosen: ours(legs, chosen)
    interleaved(runs, 1)
    seconds, last = interleaved(runs, repeats)
    ns = {}
    for k in (FEW, MANY):
        n = last[f"quoting {k}"]["commands"]
        ns[f"ns_command_{k}_legs"] = (seconds[f"quoting {k}"] - seconds[f"idle {k}"]) / n * 1e9
    ratio = ns[f"ns_command_{MANY}_legs"] / ns[f"ns_command_{FEW}_legs"]
    detail = {**ns, "commands": [last[f"quoting {k}"]["commands"] for k in (FEW, MANY)]}
    name = f"gate and strategy: a command with {MANY} legs over one with {FEW}"
    return [Figure(name, ratio, "x", MOST_GATE, MOST, detail=detail)]


def live(n_rows: int, repeats: int) -> list[Figure]:
    """One event at a time from Python through `live_step`, as paper and live do it."""
    tape = market_making_world(n_rows, 3).tapes[0]
    first = int(tape.events.ctypes.data)

    def steps() -> tuple[float, Any]:
        engine = fresh_engine(tape, quote_every)
        return timed(lambda: feed_steps(engine, first, n_rows))

    steps()
    seconds, _ = interleaved({"live": steps}, repeats)
    return [Figure("live step from Python", seconds["live"] / n_rows * 1e9, "ns an event", note="about 1,000 expected")]


def feed_steps(engine: Engine, first: int, n_rows: int) -> int:
    """Fold rows at an address one by one; returns the rows that came out."""
    state, entries = engine.arena.address, int(engine.entries.ctypes.data)
    out = 0
    for address in range(first, first + n_rows * EVENT.itemsize, EVENT.itemsize):
        if live_step(state, address, entries):
            out += len(engine.arena.drain())
    return out
