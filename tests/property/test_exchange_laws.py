"""Laws of the simulated venue over random tapes and commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.records import (
    AMEND,
    BOOK,
    CANCEL,
    CANCELED,
    CLEAR,
    EVENT,
    FILL,
    GTC,
    IOC,
    LAST,
    NEW,
    POST_ONLY,
    ROW,
    TOP,
    TRADE,
)
from oneprice.execution.exchange import FillModel, ex_ledger, ex_query
from oneprice.execution.latency import Latency

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))
from venue_kit import START, leg_row, venue

SPAN = 200_000


def random_tape(rng: np.random.Generator, n: int, cancels: float = 0.3) -> np.ndarray:
    """Depth around 100 with trades, cancels, a few snapshots and TOPs; exchange times repeat and go back a
    little."""
    rows = np.zeros(n, EVENT)
    rows["exchange_ns"] = START + np.sort(rng.integers(0, SPAN, n)) - rng.integers(0, 50, n)
    rows["receive_ns"] = rows["exchange_ns"] + 100
    rows["seq"] = np.arange(1, n + 1)
    rows["flag_bits"] = np.where(rng.random(n) < 0.8, LAST, 0)
    shown: dict[tuple[int, int], int] = {}
    for i in range(n):
        u, side = rng.random(), int(rng.choice([1, -1]))
        price = 100 - side * int(rng.integers(1, 6)) + int(rng.integers(-1, 2))
        qty = int(rng.integers(1, 20))
        if u < 0.25:
            rows[i]["kind"], rows[i]["side"], rows[i]["price"], rows[i]["qty"] = TRADE, -side, price, qty
        elif u < 0.28:
            rows[i]["kind"] = TOP
            rows[i]["bid"], rows[i]["bid_qty"], rows[i]["ask"], rows[i]["ask_qty"] = 99, qty, 101, qty + 1
        else:
            if rng.random() < cancels and shown:
                side, price = list(shown)[int(rng.integers(len(shown)))]
                qty = int(rng.integers(0, shown[(side, price)] + 1))
            rows[i]["kind"], rows[i]["side"], rows[i]["price"], rows[i]["qty"] = BOOK, side, price, qty
            if u > 0.995:
                rows[i]["flag_bits"] |= CLEAR
                shown.clear()
            shown[(side, price)] = qty
    rows["flag_bits"][-1] |= LAST
    return rows


def random_commands(rng: np.random.Generator, n: int, n_legs: int) -> np.ndarray:
    rows = np.zeros(n, ROW)
    rows["time_ns"] = START + np.sort(rng.integers(0, SPAN, n))
    for i in range(n):
        r = rows[i]
        r["leg"] = int(rng.integers(n_legs))
        u = rng.random()
        if i and u < 0.35:
            old = rows[int(rng.integers(i))]
            r["client_id"], r["leg"], r["side"] = old["client_id"], old["leg"], old["side"]
            r["code"] = CANCEL if u < 0.25 else AMEND
        else:
            r["client_id"], r["code"], r["side"] = i + 1, NEW, int(rng.choice([1, -1]))
            r["tif"] = int(rng.choice([GTC, GTC, IOC, POST_ONLY]))
        r["price"], r["qty"] = 100 + int(rng.integers(-4, 5)), int(rng.integers(1, 25))
    return rows


def words(answers: np.ndarray) -> list[bytes]:
    return [a.tobytes() for a in answers]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from(["risk_averse", "prob_log", "prob_power", "touch"]), st.booleans()
)
def test_lazy_legs_equal_eager_ones(seed: int, queue: str, dense: bool) -> None:
    """Catching up when a command comes gives the same answers and ledgers as stepping every event of every
    leg."""
    rng = np.random.default_rng(seed)
    tapes = [random_tape(rng, 300) for _ in range(3)]
    commands = random_commands(rng, 40, 3)
    fills = FillModel(queue=queue, refill_half_life_ms=0.02)
    latency = [
        Latency(100, 0),
        Latency(7, 300, 3, 150),
        Latency(0, 0, table=((START, 50, 90), (START + SPAN, 900, 20))),
    ]

    def run(step: int) -> tuple[Any, Any]:
        v = venue(tapes, np.concatenate([leg_row()] * 3), fills, latency, 8 if dense else 0)
        return words(v.run(commands, 2 * SPAN, step)), ex_ledger(v.half)

    lazy, eager, coarse = run(0), run(500), run(7919)
    assert lazy == eager == coarse
    assert len(lazy[0]) >= 40


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["risk_averse", "prob_log", "touch"]))
def test_fills_are_conserved(seed: int, queue: str) -> None:
    """Answers, order records, executions and the ledger tell one story; no order fills more than it asked
    for."""
    rng = np.random.default_rng(seed)
    v = venue([random_tape(rng, 400)], fills=FillModel(queue=queue))
    commands = random_commands(rng, 60, 1)
    out = v.run(commands, 2 * SPAN)
    fills = out[out["kind"] == FILL]
    ledger = ex_ledger(v.half)[0]
    assert ledger.net_lots == int((fills["qty"].astype(int) * fills["side"]).sum())
    assert ledger.fees == int(fills["fee"].sum()) and ledger.n_executions == len(fills)
    assert len(np.unique(fills["seq"])) == len(fills)
    assert np.all(np.diff(out["receive_ns"]) >= 0)
    for cid, order in ex_query(v.half, sorted(set(commands["client_id"].tolist()))).items():
        mine = fills[fills["client_id"] == cid]
        assert order.filled == mine["qty"].sum() <= order.lots
        assert [e["exec_id"] for e in order.executions] == mine["seq"].tolist()
        gone = out[(out["client_id"] == cid) & (out["kind"] == CANCELED)]
        if len(gone):
            assert order.state == "canceled" and order.filled + gone["qty"][0] == order.lots
    for order in ex_query(v.half).values():
        assert order.state == "working" and order.filled < order.lots


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_fills_never_exceed_what_was_there(seed: int) -> None:
    """Taker fills of a standing book stay below its depth, passive ones below the volume traded at or
    through us."""
    rng = np.random.default_rng(seed)
    tape = random_tape(rng, 200)
    book = tape["kind"] == BOOK
    tape["exchange_ns"][book] = START  # the book stands still; only trades follow
    tape["kind"][tape["kind"] == TOP] = TRADE
    tape["qty"][~book] = rng.integers(1, 20, int((~book).sum()))
    tape["price"][~book] = rng.integers(96, 105, int((~book).sum()))
    tape["side"][~book] = rng.choice([1, -1], int((~book).sum()))
    tape["flag_bits"] &= 0xFFFFFFFF ^ CLEAR
    order = np.argsort(tape["exchange_ns"], kind="stable")
    tape = tape[order].copy()
    v = venue([tape], fills=FillModel(cross_fills=False))
    out = v.run(random_commands(rng, 60, 1), 2 * SPAN)
    fills = out[out["kind"] == FILL]
    maker = (fills["flag_bits"] >> 16) & 1 == 1
    shown: dict[tuple[int, int], int] = {}
    for r in tape[tape["kind"] == BOOK]:
        shown[(int(r["side"]), int(r["price"]))] = int(r["qty"])
    for side in (1, -1):
        for price in np.unique(fills["price"][~maker & (fills["side"] == side)]):
            taken = fills["qty"][~maker & (fills["side"] == side) & (fills["price"] == price)].sum()
            assert taken <= shown[(-side, int(price))]
        passive = fills["qty"][maker & (fills["side"] == side)].sum()
        assert passive <= tape["qty"][(tape["kind"] == TRADE) & (tape["side"] == -side)].sum()


def one_quote(rng: np.random.Generator, tape: np.ndarray, queue: str) -> int:
    v = venue([tape], fills=FillModel(queue=queue))
    rows = np.zeros(1, ROW)
    rows["time_ns"], rows["client_id"], rows["code"], rows["side"] = START + 2000, 1, NEW, 1
    rows["price"], rows["qty"] = 99, 60
    v.run(rows, 2 * SPAN)
    return ex_ledger(v.half)[0].net_lots


def queue_tape(rng: np.random.Generator) -> np.ndarray:
    """A level of 99 that trades and cancels make smaller and arrivals larger; the ask stays away."""
    n = 120
    rows = np.zeros(n, EVENT)
    rows["exchange_ns"] = START + np.arange(n) * 1000
    rows["flag_bits"], rows["seq"] = LAST, np.arange(1, n + 1)
    level = 40
    for i in range(n):
        r = rows[i]
        what = 3 if i < 2 else int(rng.integers(0, 3))
        r["kind"], r["side"], r["price"] = BOOK, 1, 99
        if i == 0:
            r["qty"] = level
        elif i == 1:
            r["side"], r["price"], r["qty"] = -1, 105, 10
        elif what == 0:
            r["kind"], r["side"], r["qty"] = TRADE, -1, int(rng.integers(1, 4))
        elif what == 1:
            level = max(20, level - int(rng.integers(1, 8)))
            r["qty"] = level
        else:
            level += int(rng.integers(1, 8))
            r["qty"] = level
    return rows


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_queue_models_are_ordered(seed: int) -> None:
    """fills(risk-averse) <= fills(prob) <= fills(touch) on any tape."""
    rng = np.random.default_rng(seed)
    tape = queue_tape(rng) if seed % 2 else random_tape(rng, 300)
    averse, log, power, touch = (
        one_quote(rng, tape, q) for q in ("risk_averse", "prob_log", "prob_power", "touch")
    )
    assert averse <= log <= touch and averse <= power <= touch


def test_queue_models_differ_on_a_cancel_heavy_tape() -> None:
    """Strictly: risk-averse < probability < touch where the level is cancelled often."""
    rng = np.random.default_rng(3)
    tapes = [queue_tape(rng) for _ in range(20)]
    total = {
        q: sum(one_quote(rng, t, q) for t in tapes)
        for q in ("risk_averse", "prob_log", "prob_power", "touch")
    }
    assert total["risk_averse"] < total["prob_log"] < total["touch"]
    assert total["risk_averse"] < total["prob_power"] < total["touch"]


@pytest.mark.parametrize("queue", ["risk_averse", "prob_power"])
def test_same_commands_same_bytes(queue: str) -> None:
    """The exchange half is deterministic: two runs leave the same bytes."""
    rng = np.random.default_rng(9)
    tape, commands = random_tape(rng, 500), random_commands(rng, 80, 1)
    images = []
    for _ in range(2):
        v = venue([tape], fills=FillModel(queue=queue))
        v.run(commands, 2 * SPAN)
        images.append(v.half.buffer.tobytes())
    assert images[0] == images[1]


def test_exchange_order_index_equals_a_sorted_tape() -> None:
    """A leg read through its exchange-order index matches as the same rows sorted by exchange time."""
    rng = np.random.default_rng(4)
    tape, commands = random_tape(rng, 400), random_commands(rng, 60, 1)
    order = np.argsort(tape["exchange_ns"], kind="stable").astype(np.int32)
    assert np.any(np.diff(order) < 0)
    by_index, by_copy = venue([tape]), venue([tape[order].copy()])
    by_index.table[0, 2] = order.ctypes.data
    assert words(by_index.run(commands, 2 * SPAN)) == words(by_copy.run(commands, 2 * SPAN))


def test_first_row_starts_a_leg_inside_its_tape() -> None:
    """A leg that starts at a row matches as the rest of the tape alone."""
    rng = np.random.default_rng(6)
    tape, commands = random_tape(rng, 400), random_commands(rng, 60, 1)
    part, rest = venue([tape]), venue([tape[150:].copy()])
    part.table[0, 3] = 150
    assert words(part.run(commands, 2 * SPAN)) == words(rest.run(commands, 2 * SPAN))
