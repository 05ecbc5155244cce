"""Queue model fifo: our place in the queue by the stamps of a tape, against a queue kept by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import FILL, LAST, NEW, ROW
from oneprice.execution.exchange import FillModel
from oneprice.execution.latency import Latency
from oneprice.execution.queue import FIFO, NOBODY, need_stamps, queue_join, queue_level
from oneprice.execution.venue_state import EXLEG, EXORDER
from oneprice.market.orders import new_orders, queue_of, rows_of
from oneprice.market.orders import records as K
from oneprice.market.orders.world import OrderWorld, order_messages, order_tape, without_names
from oneprice.study.queue_probes import probe_table, queue_probes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))
from venue_kit import leg_row, venue


def by_hand(m: np.ndarray, at: int, side: int, price: int, lots: int) -> list[tuple[int, int]]:
    """(time, lots) of our fills if we join behind the queue at a price after message `at`.

    Ahead are the orders that stand there then; we fill when a trade reaches us and none of them is left, or when a
    trade goes through our price.
    """
    orders, _ = rows_of(new_orders(), m[: at + 1])
    ahead = {ident: n for ident, n, _ in queue_of(orders, side, price)}
    out = []
    for one in m[at + 1 :]:
        kind, ident, n = int(one["kind"]), int(one["order_id"]), int(one["qty"])
        if kind == K.EXECUTE and one["side"] == side:
            reach = 0
            if ident in ahead:
                ahead[ident] -= n
            elif int(one["price"]) * side < price * side or (int(one["price"]) == price and not ahead):
                reach = min(n, lots)
            if reach:
                out.append((int(one["receive_ns"]), reach))
                lots -= reach
        elif ident in ahead:
            if kind == K.REDUCE:
                ahead[ident] -= n
            elif kind == K.CANCEL or n > ahead[ident]:  # it leaves, or grows and goes to the back
                ahead[ident] = 0
            elif kind == K.MODIFY:
                ahead[ident] = n
        ahead = {i: n for i, n in ahead.items() if n > 0}
        if lots == 0:
            break
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.sampled_from([1, -1]), st.integers(1, 40))
def test_fifo_is_the_queue_kept_by_hand(seed: int, behind: int, side: int, lots: int) -> None:
    """An order fills exactly when every order before it has gone and a trade reaches it, lot for lot and in time."""
    world = OrderWorld(n_messages=700, seed=seed, orders_a_side=30, trades=0.12)
    m = order_messages(world)
    tape = order_tape(world)
    rng = np.random.default_rng(seed)
    at = int(rng.integers(60, 260))
    while not m["flag_bits"][at] & LAST:
        at += 1
    orders, _ = rows_of(new_orders(), m[: at + 1])
    index = orders.index[0 if side > 0 else 1]
    best = int(index[int(orders.head[0]["n_bids" if side > 0 else "n_asks"]) - 1, 0]) * side
    price = best - side * behind
    one = np.zeros(1, ROW)
    one["time_ns"], one["client_id"], one["code"] = m["receive_ns"][at], 7, NEW
    one["side"], one["price"], one["qty"] = side, price, lots
    v = venue([tape.events], leg_row(), FillModel(queue="fifo", cross_fills=False), Latency(0, 0), book_log2=12)
    until = int(m["receive_ns"][-1]) + 1 - 1_000_000_000  # the kit counts from its own start
    answers = v.run(one, until)
    got = [(int(a["receive_ns"]), int(a["qty"])) for a in answers[answers["kind"] == FILL]]
    assert got == by_hand(m, at, side, price, lots)


@pytest.mark.parametrize("seed", [3, 11])
def test_fixed_probes_keep_the_order_of_the_models(seed: int) -> None:
    """The same probes: risk_averse <= prob_* <= touch and risk_averse <= fifo <= touch, probe by probe."""
    tape = order_tape(OrderWorld(n_messages=40_000, seed=seed))
    probes = queue_probes(tape, every_s=2.0, life_s=10.0, lots=5)
    filled = {name: one.filled for name, one in probes.items()}
    for less, more in (
        ("risk_averse", "prob_log"),
        ("risk_averse", "prob_power"),
        ("risk_averse", "fifo"),
        ("prob_log", "touch"),
        ("prob_power", "touch"),
        ("fifo", "touch"),
    ):
        assert (filled[less] <= filled[more]).all(), (less, more)
    total = {name: int(n.sum()) for name, n in filled.items()}
    assert total["risk_averse"] < total["fifo"] < total["touch"]
    assert "fifo" in probe_table(probes)


def test_names_do_not_change_other_models_and_fifo_needs_them() -> None:
    """Without names the same market gives every other model the same fills; fifo is refused and says what to use."""
    tape = order_tape(OrderWorld(n_messages=10_000, seed=4))
    bare = without_names(tape)
    named = queue_probes(tape, every_s=2.0, life_s=10.0)
    plain = queue_probes(bare, every_s=2.0, life_s=10.0)
    assert set(named) - set(plain) == {"fifo"}
    for name, one in plain.items():
        assert (one.filled == named[name].filled).all()
    with pytest.raises(ConfigError, match=r"needs a tape that names its orders.*import order messages.*risk_averse"):
        queue_probes(bare, every_s=2.0, life_s=10.0, models=["fifo"])
    with pytest.raises(ConfigError, match="'fifo' needs"):
        need_stamps("fifo", "", "a:B")
    need_stamps("fifo", "orders", "a:B")
    need_stamps("risk_averse", "", "a:B")
    with pytest.raises(ConfigError, match="depth"):
        msgspec.structs.replace(tape.header, depth="levels")
    for bad in ({"every_s": 0.0, "life_s": 1.0}, {"every_s": 0.1, "life_s": 100.0}, {"every_s": 1e9, "life_s": 1.0}):
        with pytest.raises(ConfigError, match="probes"):
            queue_probes(tape, **bad)


@njit
def through(e: Any, o: Any, steps: Any, out: Any) -> None:
    """An order joins behind the first level, then sees the others; out: lots ahead after each."""
    queue_join(e[0], o[0], steps[0, 0], True)
    out[0] = o[0].ahead
    for k in range(1, len(steps)):
        queue_level(e[0], o[0], steps[k, 0], steps[k, 1])
        out[k] = o[0].ahead


def test_rows_without_a_stamp_end_what_fifo_knows() -> None:
    """After a change nobody names (a resync) cancels move us no more, trades and what is displayed still do."""
    e, o = np.zeros(1, EXLEG), np.zeros(1, EXORDER)
    e["queue_model"], e["bound_by_displayed"] = FIFO, 1
    steps = np.array(
        [
            (100, 0),
            (90, 4),  # one ahead of us leaves
            (95, 12),  # someone joins behind
            (92, 12),  # and shrinks
            (80, 6),  # one ahead leaves
            (79, 0),  # a change nobody names
            (78, 6),  # no longer believed
            (70, 6),  # but what is not displayed cannot be ahead
        ],
        np.int64,
    )
    out = np.zeros(len(steps))
    through(e, o, steps, out)
    assert out.tolist() == [100, 90, 90, 90, 78, 78, 78, 70]
    assert o["behind_stamp"][0] == 0
    through(e, o, steps[:1], out)
    assert o["behind_stamp"][0] == NOBODY
