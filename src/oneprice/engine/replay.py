"""Replay: a recorded session through the local half alone. Tapes and private events in, the same commands out."""

from __future__ import annotations

from typing import Any

from oneprice.core.address import address_of
from oneprice.core.arena import EVENT_BYTES, event_at, sink_of
from oneprice.core.jit import njit
from oneprice.engine import merge
from oneprice.engine.local import fold
from oneprice.engine.simulate import CHUNK, DONE, GUARD, ROWS_AN_EVENT, SINK_FULL, head_ns, leaders


@njit
def replay(s: Any, d: Any, merged: Any, private: Any, entries: Any, n_max: int) -> int:
    """Fold up to `n_max` events of tapes and recorded private events; says why it stopped.

    Private events (own responses, timers, models, operator) follow venue data of the same nanosecond and keep their
    recorded order: the tie rule needs no more, so the journal stores no interleaving. `d.ext_cursor` is the next one.
    """
    tapes, cursor, keys, tree = merged
    sink = sink_of(s)
    w, second = leaders(keys, tree)
    many = len(keys) > merge.SCAN_UP_TO
    n = 0
    while n < n_max:
        if sink.n_rows > sink.capacity - ROWS_AN_EVENT:
            return SINK_FULL
        t_market = keys[w]
        t_own = private[d.ext_cursor].receive_ns if d.ext_cursor < len(private) else merge.INF
        t = min(t_market, t_own)
        if t == merge.INF or t > d.end_ns:
            return DONE
        if t_market == t:
            if d.n_market >= d.n_market_end:
                if t_own == merge.INF:
                    return DONE
                keys[w] = merge.INF  # the session ended here: what is left of the tapes was not folded
                merge.tree_update(keys, tree, w)
                w, second = leaders(keys, tree)
                continue
            ev = event_at(tapes[w, 0] + cursor[w] * EVENT_BYTES)
            d.n_market += 1
            cursor[w] += 1
            keys[w] = head_ns(tapes, cursor, w)
            if many:
                merge.tree_update(keys, tree, w)
            if second >= 0 and (keys[w] > keys[second] or (keys[w] == keys[second] and second < w)):
                w, second = leaders(keys, tree)
        else:
            ev = private[d.ext_cursor]
            d.ext_cursor += 1
        d.event_address = address_of(ev)
        fault = fold(s, ev, entries)
        n += 1
        d.last_ns = t
        if fault != 0:
            d.fault = fault
            return GUARD
    return CHUNK
