"""Hidden orders: who knows the orders is always right; paths are those of the engine's queue; sizes add up."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import BOOK, CLEAR, TRADE, record
from oneprice.execution.queue import (
    FIFO,
    PROB_LOG,
    PROB_POWER,
    RISK_AVERSE,
    TOUCH,
    queue_join,
    queue_level,
    queue_trade,
)
from oneprice.market.orders.world import OrderWorld, order_tape, without_names
from oneprice.market.tape import Tape
from oneprice.study.fill_sizes import MOST, cancel, eat, path_by_size, push, queue_before, rows_of_level, shrink
from oneprice.study.fill_truth import CANCEL_SEEN, _path, fill_truth, fit_power, probes_of, scored

NONE = np.zeros(0, CANCEL_SEEN)
RULES = record([("queue_model", "i8"), ("power", "f8"), ("bound_by_displayed", "i8")])
PLACE = record([("level_lots", "i8"), ("traded_lots", "i8"), ("ahead", "f8"), ("behind_stamp", "i8")])


def world(seed: int, n: int = 4_000) -> Tape:
    return order_tape(OrderWorld(n_messages=n, seed=seed))


def by_engine(tape: Tape, probe: np.void, model: int) -> int:
    """The path with the functions that the simulated venue uses, on the rows without the hidden order."""
    e, o = np.zeros(1, RULES)[0], np.zeros(1, PLACE)[0]
    e["queue_model"], e["power"], e["bound_by_displayed"] = model, 3.0, 1
    queue_join(e, o, int(probe["ahead"]), True)
    side, price, left, total = (
        int(probe["side"]),
        int(probe["price"]),
        int(probe["lots"]),
        int(probe["ahead"] + probe["lots"]),
    )
    for row in tape.events[int(probe["row"]) + 1 : int(probe["end_row"]) + 1]:
        if row["kind"] == TRADE and row["side"] != side:
            beyond = row["price"] < price if side > 0 else row["price"] > price
            if beyond or (row["price"] == price and queue_trade(o, int(row["qty"])) > 0):
                return int(row["exchange_ns"]) + tape.clock_offset_ns
        elif row["kind"] == BOOK and row["price"] == price and row["side"] == side:
            if row["count"] == probe["stamp"]:
                gone, total = total - int(row["qty"]), int(row["qty"])
                left -= gone
                o["traded_lots"] = max(o["traded_lots"] - gone, 0)
                continue
            total = int(row["qty"])
            queue_level(e, o, total - left, int(row["count"]))
    return 0


@pytest.mark.parametrize("seed", range(4))
def test_fifo_is_the_truth(seed: int) -> None:
    """For every hidden order the model that knows the orders fills when the real one did, and never else."""
    tape = world(seed)
    probes = probes_of(tape, at_touch=False)
    assert len(probes) > 100
    got = [_path(tape.events, p, tape.clock_offset_ns, p["end_row"] + 1, (FIFO, 1.0), 0, NONE)[0] for p in probes]
    assert (np.array(got) == probes["first_fill_ns"]).all()
    assert (probes["first_fill_ns"] > 0).any() and (probes["first_fill_ns"] == 0).any()


@pytest.mark.parametrize("model", [RISK_AVERSE, PROB_LOG, PROB_POWER, TOUCH, FIFO])
def test_paths_are_those_of_the_venue(model: int) -> None:
    """The place of an order moves as `execution/queue.py` moves it: the same fill time for each of 120 orders."""
    tape = world(7)
    for p in probes_of(tape, at_touch=False)[:120]:
        ours = _path(tape.events, p, tape.clock_offset_ns, p["end_row"] + 1, (model, 3.0), 0, NONE)[0]
        assert ours == by_engine(tape, p, model), p


def test_a_pessimist_is_never_earlier() -> None:
    """risk_averse <= fifo <= touch in fills, order by order."""
    tape = world(9)
    for p in probes_of(tape, at_touch=False):
        averse, fifo, touch = (
            _path(tape.events, p, 0, p["end_row"] + 1, (m, 1.0), 0, NONE)[0] for m in (RISK_AVERSE, FIFO, TOUCH)
        )
        assert not averse or 0 < fifo <= averse
        assert not fifo or 0 < touch <= fifo


def of_level(tape: Tape, probe: np.void) -> tuple[np.ndarray, np.void, int]:
    """(rows of a probe's level, the probe placed among them, where it stops) until it left."""
    one, rows = np.array([probe]), np.empty(len(tape.events), tape.events.dtype)
    one["stop_row"] = one["end_row"] + 1
    n, before, stop = rows_of_level(np.asarray(tape.events), one[0], int(one["stop_row"][0]), rows)
    one["row"] = before
    assert n == stop
    return rows[:n], one[0], stop


def test_rows_of_a_level_are_those_of_the_tape() -> None:
    """Its own BOOK rows and trades against it at its price or beyond, since the level was last empty; no other."""
    tape = world(7)
    ev = np.asarray(tape.events)
    for p in probes_of(tape)[:100]:
        got, one, _ = of_level(tape, p)
        here = (ev["kind"] == BOOK) & (ev["price"] == p["price"]) & (ev["side"] == p["side"])
        beyond = (ev["price"] - p["price"]) * p["side"] <= 0
        wanted = here | ((ev["kind"] == TRADE) & (ev["side"] != p["side"]) & beyond)
        rows = np.arange(len(ev))
        empty = np.flatnonzero(here & (rows < p["row"]) & ((ev["qty"] == 0) | (ev["flag_bits"] & CLEAR != 0)))
        wanted &= (rows > (empty[-1] if len(empty) else -1)) & (rows <= p["end_row"])
        assert got.tobytes() == ev[wanted].tobytes() and int(one["row"]) == int(wanted[: p["row"]].sum())


def test_sizes_add_up() -> None:
    """The list of sizes before a hidden order holds exactly the lots that stood before it."""
    tape = world(3)
    state, work = np.ones(1, np.uint64), np.empty((3, MOST), np.int64)
    for probe in probes_of(tape)[:200]:
        rows, p, _ = of_level(tape, probe)
        n = queue_before(rows, p, state, work[0], work[2])
        assert work[0][:n].sum() == p["ahead"] and (work[0][:n] > 0).all()


def test_the_parts_of_a_queue_of_sizes() -> None:
    """Trades eat the front, parts leave the youngest, a cancel takes an order of its size wherever it stands."""
    front, back = np.zeros(8, np.int64), np.zeros(8, np.int64)
    n = push(front, push(front, push(front, 0, 5), 3), 7)
    n = eat(front, n, 6)
    assert front[:n].tolist() == [2, 7]
    n = shrink(front, n, 1)
    assert front[:n].tolist() == [2, 6]
    m = push(back, 0, 4)
    state = np.ones(1, np.uint64)
    assert cancel(front, n, back, m, 4, 8, state) == (2, 0, 8)  # only the order behind has that size
    assert cancel(front, 2, back, 0, 6, 8, state) == (1, 0, 2) and front[0] == 2
    full = np.ones(2, np.int64)
    assert push(full, 2, 9) == 2 and full.tolist() == [1, 10]


def test_one_order_ahead_of_a_known_size() -> None:
    """Sizes that differ tell the truth: with every size its own, the queue of sizes fills exactly when fifo does."""
    tape = order_tape(OrderWorld(n_messages=3_000, seed=5, lots=5_000, shrinks=0.0))
    work, wrong, n = np.empty((3, MOST), np.int64), 0, 0
    for p in probes_of(tape):
        truth = _path(tape.events, p, 0, p["end_row"] + 1, (FIFO, 1.0), 0, NONE)[0]
        rows, one, stop = of_level(tape, p)
        got = path_by_size(rows, one, 0, stop, 1, work)
        wrong += (truth > 0) != (got > 0)
        n += 1
    assert n > 50 and wrong <= 0.03 * n


def test_the_power_of_cancels_is_found() -> None:
    """Cancels drawn with p = x^n / (x^n + (1 - x)^n) give n back, within three errors; too few are refused."""
    rng = np.random.default_rng(0)
    seen = np.zeros(20_000, CANCEL_SEEN)
    seen["share"] = rng.uniform(0.01, 0.99, len(seen))
    x = seen["share"] ** 1.7
    seen["was_ahead"] = rng.random(len(seen)) < x / (x + (1 - seen["share"]) ** 1.7)
    power, low, high = fit_power(seen)
    assert low < power < high < low + 0.2 and abs(power - 1.7) < 0.75 * (high - low)
    with pytest.raises(DataError, match="30 or more cancels"):
        fit_power(seen[:20])


def test_scores_by_hand() -> None:
    """Brier, bins and lateness of four predictions."""
    got = scored("x", np.array([[1.0, 2e9], [0.5, 9e9], [0.0, 0.0], [1.0, 4e9]]), np.array([10**9, 0, 0, 5 * 10**9]))
    assert got.brier == pytest.approx(0.0625) and got.predicted == pytest.approx(0.625)
    assert got.bins == ((0.0, 0.0, 1), (0.5, 0.0, 1), (1.0, 1.0, 2))
    assert (got.late_s, got.apart_s, got.both) == (0.0, 1.0, 2)


def test_what_cannot_be_judged_is_refused() -> None:
    """Depth tapes, unknown models and horizons, tapes with too few orders."""
    tape = world(1)
    with pytest.raises(DataError, match="shows levels only"):
        fill_truth(without_names(tape))
    with pytest.raises(ConfigError, match="did you mean 'prob_log'"):
        fill_truth(tape, models=("prob_lg",))
    with pytest.raises(ConfigError, match="horizon"):
        fill_truth(tape, horizon="rest")
    with pytest.raises(ConfigError, match="most of 20 or more"):
        fill_truth(tape, most=3)
    short = replace(tape, events=tape.events[:400], exchange_order=None)
    with pytest.raises(DataError, match="fill truth"):
        fill_truth(short)


def test_a_simulated_world_ranks_the_models() -> None:
    """Long queues full of cancels: sizes beat shares, shares beat trades alone, and probabilities are calibrated."""
    found = fill_truth(world(11, 40_000), horizon="rests", most=800)
    brier = {s.model: s.brier for s in found.scores}
    assert brier["fifo"] == 0.0
    assert brier["by_size"] < 0.8 * brier["prob_log"] < 0.8 * brier["risk_averse"] < brier["touch"]
    assert found.best().model == "by_size"
    ours = next(s for s in found.scores if s.model == "by_size")
    assert abs(ours.predicted - found.filled / found.probes) < 0.02
    assert msgspec.json.encode(found.to_dict())
    assert "others are taken as they came" in str(found)
