"""The table of orders against a plain dictionary, over messages good and bad; levels are the sums of their orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import DataError
from oneprice.core.records import BOOK, CLEAR, LAST, NO_PRICE, STATUS, TRADE
from oneprice.market.orders import (
    levels_of,
    messages_of,
    new_orders,
    place_of,
    queue_of,
    rows_of,
    snapshot_rows,
    troubles_of,
)
from oneprice.market.orders import records as K
from oneprice.market.orders.world import OrderWorld, order_messages


class Plain:
    """The same rules on a dictionary: id -> [side, price, lots, stamp]; rows as tuples."""

    def __init__(self) -> None:
        self.live: dict[int, list[int]] = {}
        self.gone: set[int] = set()
        self.stamps = 0
        self.rows: list[tuple[int, ...]] = []
        self.troubles: dict[str, int] = {}

    def bad(self, name: str) -> None:
        self.troubles[name] = self.troubles.get(name, 0) + 1

    def total(self, side: int, price: int) -> int:
        return sum(o[2] for o in self.live.values() if o[:2] == [side, price])

    def book(self, ident: int, o: list[int]) -> None:
        self.rows.append((BOOK, o[0], o[1], self.total(o[0], o[1]), ident, o[3]))

    def shrink(self, ident: int, lots: int) -> None:
        o = self.live[ident]
        o[2] -= lots
        if o[2] <= 0:
            del self.live[ident]
        self.book(ident, o)

    def join(self, ident: int, side: int, price: int, lots: int) -> None:
        self.stamps += 2
        self.live[ident] = [side, price, lots, self.stamps]
        self.book(ident, self.live[ident])

    def add(self, ident: int, side: int, price: int, lots: int) -> None:
        if lots <= 0:
            self.bad("zero_quantities")
        elif ident in self.gone:
            self.gone.remove(ident)
            self.bad("deletes_before_adds")
        elif ident in self.live:
            self.bad("duplicate_adds")
        else:
            self.join(ident, side, price, lots)

    def trade(self, ident: int, lots: int, price: int, also_level: bool, trade_id: int) -> None:
        o = self.live[ident]
        if lots <= 0:
            self.bad("zero_quantities")
            return
        if lots > o[2]:
            self.bad("over_executed")
            lots = o[2]
        self.rows.append((TRADE, -o[0], o[1] if price == NO_PRICE else price, lots, trade_id, ident))
        if also_level:
            self.shrink(ident, lots)

    def modify(self, ident: int, price: int, lots: int) -> None:
        o = self.live[ident]
        price = o[1] if price == NO_PRICE else price
        if lots <= 0:
            self.bad("zero_quantities")
            self.shrink(ident, o[2])
        elif price == o[1] and lots <= o[2]:
            if lots < o[2]:
                self.shrink(ident, o[2] - lots)
        else:
            side = o[0]
            self.shrink(ident, o[2])
            self.join(ident, side, price, lots)

    def unknown(self, kind: int, ident: int, side: int, price: int, lots: int, other: int) -> None:
        if kind in (K.EXECUTE, K.FILLED):
            if lots <= 0:
                self.bad("zero_quantities")
                return
            if price != NO_PRICE:
                self.rows.append((TRADE, -side, price, lots, other, ident))
            self.bad("trades_without_maker")
            return
        self.bad("unknown_orders")
        if kind == K.CANCEL or (kind == K.LEFT and lots == 0):
            self.gone.add(ident)

    def take(self, kind: int, ident: int, side: int, price: int, lots: int, other: int) -> None:
        if kind == K.ADD:
            self.add(ident, side, price, lots)
        elif kind == K.PRINT:
            if lots <= 0:
                self.bad("zero_quantities")
            else:
                self.bad("trades_without_maker")
                self.rows.append((TRADE, side, price, lots, other, 0))
        elif ident not in self.live:
            self.unknown(kind, ident, side, price, lots, other)
            if kind == K.REPLACE:
                self.add(other, side, price, lots)
        elif kind == K.CANCEL:
            self.shrink(ident, self.live[ident][2])
        elif kind == K.REDUCE:
            if lots <= 0:
                self.bad("zero_quantities")
                return
            if lots > self.live[ident][2]:
                self.bad("over_executed")
            self.shrink(ident, min(lots, self.live[ident][2]))
        elif kind == K.MODIFY:
            self.modify(ident, price, lots)
        elif kind == K.LEFT:
            lost = self.live[ident][2] - lots
            if lots < 0:
                self.bad("zero_quantities")
            elif lots > 0 and (lost < 0 or (price != NO_PRICE and price != self.live[ident][1])):
                self.modify(ident, price, lots)
            elif lost > 0:
                self.trade(ident, lost, NO_PRICE, True, other)
        elif kind == K.REPLACE:
            mine = self.live[ident][0]
            self.shrink(ident, self.live[ident][2])
            self.add(other, mine, price, lots)
        else:
            self.trade(ident, lots, price, kind == K.EXECUTE, other)


def told(rows: np.ndarray) -> list[tuple[int, ...]]:
    """EVENT rows as the tuples of Plain."""
    out = []
    for r in rows:
        last = (r["order_id"], r["count"]) if r["kind"] == BOOK else (r["trade_id"], r["maker_id"])
        out.append(tuple(int(x) for x in (r["kind"], r["side"], r["price"], r["qty"], *last)))
    return out


def messages(given: list[tuple[int, ...]]) -> np.ndarray:
    m = messages_of(len(given))
    for k, name in enumerate(("kind", "order_id", "side", "price", "qty", "other")):
        m[name] = [one[k] for one in given]
    m["receive_ns"] = np.arange(1, len(given) + 1)
    m["line"] = np.arange(1, len(given) + 1)
    return m


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([K.ADD] * 6 + list(range(K.REDUCE, K.FILLED + 1))),
        st.integers(1, 12),
        st.sampled_from([1, -1]),
        st.sampled_from([NO_PRICE, 98, 99, 100, 101]),
        st.integers(-1, 6),
        st.integers(13, 20),
    ).filter(lambda m: m[3] != NO_PRICE or m[0] not in (K.ADD, K.REPLACE, K.PRINT)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_table_is_the_dictionary(given_messages: list[tuple[int, ...]]) -> None:
    """Rows, stamps, levels, places and counted troubles are those of the plain rules, whatever comes."""
    plain = Plain()
    for one in given_messages:
        plain.take(*one)
    orders, rows = rows_of(new_orders(8), messages(given_messages))
    assert told(rows) == plain.rows
    assert troubles_of(orders) == plain.troubles
    assert len(orders) == len(plain.live)
    for side in (1, -1):
        prices = sorted({o[1] for o in plain.live.values() if o[0] == side}, reverse=side > 0)
        wanted = [[p, plain.total(side, p), sum(o[:2] == [side, p] for o in plain.live.values())] for p in prices]
        assert levels_of(orders, side).tolist() == wanted
        for price in prices:
            queue = sorted((o[3], i, o[2]) for i, o in plain.live.items() if o[:2] == [side, price])
            assert queue_of(orders, side, price) == [(i, lots, stamp) for stamp, i, lots in queue]
            ahead = 0
            for k, (_, i, lots) in enumerate(queue):
                place = place_of(orders, i)
                assert place is not None and (place.lots_ahead, place.orders_ahead) == (ahead, k)
                ahead += lots


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.sampled_from([0, 3, 1_000]))
def test_levels_are_sums_and_held_rows_never_cross(given_messages: list[tuple[int, ...]], hold_ns: int) -> None:
    """With crossing orders held, any messages: each level is the sum of its orders, a book of the rows is the table's
    and never crosses, and stamps of joinings rise."""
    orders, rows = rows_of(new_orders(8, hold_ns=hold_ns), messages(given_messages))
    book: dict[tuple[int, int], int] = {}
    joined = 0
    for r in rows:
        if r["kind"] != BOOK:
            continue
        side, price, lots = int(r["side"]), int(r["price"]), int(r["qty"])
        if lots > book.get((side, price), 0):
            assert r["count"] > joined
            joined = int(r["count"])
        book[side, price] = lots
        if r["flag_bits"] & LAST:
            bids = [p for (s, p), n in book.items() if s > 0 and n > 0]
            asks = [p for (s, p), n in book.items() if s < 0 and n > 0]
            assert not bids or not asks or max(bids) < min(asks)
    for side in (1, -1):
        table = {int(p): (int(lots), int(n)) for p, lots, n in levels_of(orders, side)}
        of_rows = {p: n for (s, p), n in book.items() if s == side and n > 0}
        assert {p: lots for p, (lots, _) in table.items()} == of_rows
        for price, (lots, n) in table.items():
            queue = queue_of(orders, side, price)
            assert sum(q[1] for q in queue) == lots and len(queue) == n
            assert [q[2] for q in queue] == sorted(q[2] for q in queue)


def test_world_through_the_dictionary_and_growth() -> None:
    """A whole world, fed in pieces to a table that starts too small: the dictionary's rows, no trouble at all."""
    m = order_messages(OrderWorld(n_messages=3_000, seed=5, orders_a_side=60))
    plain = Plain()
    for one in m:
        plain.take(*(int(one[f]) for f in ("kind", "order_id", "side", "price", "qty", "other")))
    orders, rows = new_orders(1), []
    for part in np.array_split(np.arange(len(m)), 7):
        orders, got = rows_of(orders, m[part])
        rows += told(got)
    assert rows == plain.rows and troubles_of(orders) == {}
    many = messages([(K.ADD, i, 1, 100 + i % 700, 1, 0) for i in range(1, 12_001)])
    grown, got = rows_of(new_orders(1), many)
    assert len(grown) == 12_000 and len(got) == 12_000
    assert levels_of(grown, 1)[:, 2].sum() == 12_000
    gone = messages([(K.CANCEL, i, 1, 0, 0, 0) for i in range(12_000, 0, -1)])
    empty, got = rows_of(grown, gone)
    assert len(empty) == 0 and len(got) == 12_000 and len(levels_of(empty, 1)) == 0


def test_snapshot_rows_build_the_same_book() -> None:
    """A snapshot holds one row an order in order of joining; its last row of each level is the level's total."""
    orders, _ = rows_of(new_orders(), order_messages(OrderWorld(n_messages=500, seed=2)))
    rows = snapshot_rows(orders, 7, 8)
    assert rows["flag_bits"][0] & CLEAR and rows["flag_bits"][-1] & LAST and len(rows) == len(orders)
    assert (np.diff(rows["count"]) > 0).all()
    for side in (1, -1):
        book = {int(r["price"]): int(r["qty"]) for r in rows if r["side"] == side}
        assert book == {int(p): int(lots) for p, lots, _ in levels_of(orders, side)}


def test_empty_clears_and_status_passes() -> None:
    """EMPTY takes every order out with one CLEAR row (or owes it to the next); a status becomes a STATUS row."""
    orders, rows = rows_of(
        new_orders(),
        messages(
            [
                (K.EMPTY, 0, 0, 0, 0, 0),
                (K.ADD, 1, 1, 99, 5, 0),
                (K.ADD, 2, -1, 101, 5, 0),
                (K.EMPTY, 0, 0, 0, 0, 0),
                (K.STATUS_IS, 0, 0, 0, 2, 0),
                (K.ADD, 1, -1, 99, 4, 0),
            ]
        ),
    )
    assert [bool(r["flag_bits"] & CLEAR) for r in rows] == [True, False, True, False, False]
    assert int(rows[2]["qty"]) == 0 and int(rows[3]["kind"]) == STATUS and int(rows[3]["value"]) == 2
    assert levels_of(orders, -1).tolist() == [[99, 4, 1]] and len(levels_of(orders, 1)) == 0


@pytest.mark.parametrize("hold_ns", [5, -1])
def test_a_cross_that_persists_drops_its_older_side(hold_ns: int) -> None:
    """A bid through an old ask waits; when the cross has lasted hold_ns the ask is a ghost. Not held, both stand."""
    m = messages(
        [
            (K.ADD, 1, -1, 101, 5, 0),
            (K.ADD, 2, -1, 103, 5, 0),
            (K.ADD, 3, 1, 102, 7, 0),
            (K.ADD, 4, 1, 98, 1, 0),
            (K.ADD, 5, 1, 97, 1, 0),
        ]
    )
    m["receive_ns"] = [1, 2, 10, 15, 16]
    orders, rows = rows_of(new_orders(hold_ns=hold_ns), m)
    if hold_ns < 0:
        assert levels_of(orders, -1)[0, 0] == 101 and levels_of(orders, 1)[0, 0] == 102
        return
    assert troubles_of(orders) == {"held": 1, "ghosts": 1}
    assert levels_of(orders, -1)[:, 0].tolist() == [103] and levels_of(orders, 1)[:, 0].tolist() == [102, 98, 97]
    ghost = orders.incidents[1]
    assert int(ghost["order_id"]) == 1 and int(ghost["line"]) == 5 and int(ghost["receive_ns"]) == 16
    assert rows["receive_ns"].tolist() == [1, 2, 15, 16, 16, 16]


def test_the_younger_side_of_a_cross_stays() -> None:
    """If an order younger than the one held rests against it, the held one was the ghost."""
    adds = [(1, -1, 101, 5), (3, 1, 102, 7), (4, -1, 101, 2), (5, 1, 90, 1)]
    m = messages([(K.ADD, *one, 0) for one in adds])
    m["receive_ns"] = [1, 2, 3, 50]
    orders, _ = rows_of(new_orders(hold_ns=5), m)
    assert place_of(orders, 3) is None and place_of(orders, 1) is None and place_of(orders, 4) is not None
    assert troubles_of(orders) == {"held": 1, "ghosts": 2}


def test_what_the_venue_shows_is_learned_and_forgotten() -> None:
    """Lots nobody named stand first and go first; too many named ones make the level nameless; unseen levels go."""
    empty = [NO_PRICE, 0]
    given = [
        ((K.ADD, 1, 1, 100, 5, 0), [[100, 5], empty], [[103, 7], empty]),
        ((K.ADD, 2, -1, 103, 2, 0), [[100, 5], empty], [[103, 9], empty]),
        ((K.CANCEL, 99, -1, 103, 4, 0), [[100, 5], empty], [[103, 5], empty]),
        ((K.EXECUTE, 98, -1, 103, 1, 0), [[100, 5], [98, 3]], [[103, 4], empty]),
        ((K.ADD, 3, 1, 100, 1, 0), [[100, 4], [98, 3]], [[103, 2], empty]),
        ((K.CANCEL, 1, 1, 100, 1, 0), [[100, 3], empty], [empty, empty]),
    ]
    shown = np.array([[bids, asks] for _, bids, asks in given], np.int64)
    seen = np.zeros(3, np.int64)
    orders = new_orders()
    stands = []
    for k, (one, _, _) in enumerate(given):
        orders, _ = rows_of(orders, messages([one]), shown=shown[k : k + 1], seen=seen)
        stands.append(([(q[0] > 0, q[1]) for q in queue_of(orders, -1, 103)], [q[1] for q in queue_of(orders, 1, 100)]))
        for s, side in enumerate((1, -1)):
            wanted = [level for level in shown[k, s].tolist() if level[0] != NO_PRICE]
            assert levels_of(orders, side)[:, :2].tolist() == wanted
    assert stands[0] == ([(False, 7)], [5])
    assert stands[1][0] == [(False, 7), (True, 2)]
    assert stands[2][0] == [(False, 3), (True, 2)] and stands[3][0] == [(False, 2), (True, 2)]
    assert stands[4] == ([(True, 2)], [4]) and stands[5] == ([], [3])
    assert troubles_of(orders) == {"levels_learned": 2, "levels_over": 1}
    assert seen.tolist() == [7, 2, 3]
    with pytest.raises(DataError, match=r"shown: expected int64\[1, 2, levels, 2\]"):
        rows_of(orders, messages([given[0][0]]), shown=shown)


def test_a_level_out_of_sight_stays_and_comes_back_without_names() -> None:
    """What leaves the shown levels is kept; shown again it is one nameless order, in a row without a stamp."""
    asks = [[110, 1]]
    given = [
        ((K.ADD, 1, 1, 100, 5, 0), [[100, 5]]),
        ((K.ADD, 2, 1, 101, 2, 0), [[101, 2]]),
        ((K.CANCEL, 2, 1, 101, 2, 0), [[100, 7]]),
        ((K.ADD, 3, 1, 100, 1, 0), [[100, 8]]),
        ((K.CANCEL, 1, 1, 100, 5, 0), [[100, 3]]),
        ((K.ADD, 4, 1, 102, 1, 0), [[102, 1]]),
        ((K.CANCEL, 4, 1, 102, 1, 0), [[99, 4]]),
    ]
    shown = np.array([[bids, asks] for _, bids in given], np.int64)
    seen = np.zeros(3, np.int64)
    orders, rows = rows_of(new_orders(), messages([one for one, _ in given]), shown=shown, seen=seen)
    bids = [
        (int(r["price"]), int(r["qty"]), int(r["order_id"]) > 0, int(r["count"]) > 0) for r in rows if r["side"] > 0
    ]
    assert bids == [
        (100, 5, True, True),
        (101, 2, True, True),
        (101, 0, True, True),
        (100, 7, False, False),
        (100, 8, True, True),
        (100, 3, False, True),
        (102, 1, True, True),
        (102, 0, True, True),
        (100, 2, True, True),
        (100, 0, False, True),
        (99, 4, False, True),
    ]
    assert seen.tolist() == [10, 4, 0] and troubles_of(orders) == {"levels_learned": 3}
    assert levels_of(orders, 1).tolist() == [[99, 4, 1]]
