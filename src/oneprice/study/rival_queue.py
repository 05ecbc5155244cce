"""The queue models of hftbacktest on the hidden orders of `fill_truth`: the same orders, the same rows, its own engine.

Each probe is a small backtest of its own: the book without the hidden order as a snapshot, our order at its price
without latency, the rows until it left. hftbacktest sees what our models see: depth and trades.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.errors import unknown_name
from oneprice.core.records import BOOK, CLEAR, EVENT, LAST, SNAPSHOT, TRADE
from oneprice.market.synthetic import to_hftbacktest
from oneprice.market.tape import Tape
from oneprice.study.fill_truth import ModelScore, scored

RIVALS = ("risk_adverse", "log_prob", "log_prob2", "power_prob", "power_prob2", "power_prob3")
POWER = 3.0  # what its examples use
LEVELS = 30  # of each side in a snapshot
PAUSE_NS = 1_000  # between snapshot, order and rows, so that their order is certain
FILLED = 3


def rival_scores(tape: Tape, probes: np.ndarray, *, models: tuple[str, ...] = RIVALS) -> list[ModelScore]:
    """Score hftbacktest's models on PROBE rows with their horizons (as `fill_truth` sets them). Needs hftbacktest."""
    for name in models:
        if name not in RIVALS:
            raise unknown_name("queue model of hftbacktest", name, list(RIVALS))
    slices = rows_of_probes(tape, probes)
    one = tape.instrument
    first = probes["first_fill_ns"]  # what is sent is one lot, whole with its first fill
    true_ns = np.where((first > 0) & (first <= probes["end_ns"]), first, 0)
    out = []
    for name in models:
        got = np.zeros((len(probes), 2))
        for i, (p, rows) in enumerate(zip(probes, slices, strict=True)):
            at_ns = one_life(rows, name, int(p["side"]), int(p["price"]), float(one.tick), float(one.lot))
            got[i] = (float(at_ns > 0), at_ns)
        out.append(scored(f"hftbacktest {name}", got, true_ns))
    return out


def rows_of_probes(tape: Tape, probes: np.ndarray) -> list[np.ndarray]:
    """Rows of hftbacktest for each probe: snapshot without the hidden order, then what happened without it."""
    ev = np.asarray(tape.events)
    levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
    order = np.argsort(probes["row"], kind="stable")
    out: list[Any] = [None] * len(probes)
    at = 0
    for k in order:
        p = probes[k]
        for i in range(at, int(p["row"])):
            e = ev[i]
            if e["kind"] == BOOK:
                if e["flag_bits"] & CLEAR:
                    levels[0].clear()
                    levels[1].clear()
                _set(levels[int(e["side"] > 0)], int(e["price"]), int(e["qty"]))
        at = int(p["row"])
        out[k] = _slice(ev, p, levels, tape)
    return out


def _set(levels: dict[int, int], price: int, qty: int) -> None:
    if qty > 0:
        levels[price] = qty
    else:
        levels.pop(price, None)


def _slice(ev: np.ndarray, p: Any, levels: tuple[dict[int, int], dict[int, int]], tape: Tape) -> np.ndarray:
    rows = ev[int(p["row"]) + 1 : int(p["stop_row"])]
    rows = rows[(rows["kind"] == BOOK) | (rows["kind"] == TRADE)].copy()
    here = (rows["kind"] == BOOK) & (rows["price"] == p["price"]) & ((rows["side"] > 0) == (p["side"] > 0))
    own = here & (rows["count"] == p["stamp"])
    left = int(p["lots"]) + np.cumsum(np.where(own, _changes_at(rows, here, int(p["ahead"] + p["lots"])), 0))
    rows["qty"] = np.where(here, np.maximum(rows["qty"] - left, 0), rows["qty"])
    rows = rows[~own]
    start = int(p["join_ns"])
    times = np.maximum.accumulate(np.maximum(rows["exchange_ns"] + tape.clock_offset_ns, start)) + 2 * PAUSE_NS
    book = [(1, price, qty) for price, qty in sorted(levels[1].items(), reverse=True)[:LEVELS]]
    book += [(-1, price, qty) for price, qty in sorted(levels[0].items())[:LEVELS]]
    first = np.zeros(len(book), EVENT)
    for row, (side, price, qty) in zip(first, book, strict=True):
        row["side"], row["price"], row["qty"] = side, price, qty
    first["kind"], first["flag_bits"] = BOOK, SNAPSHOT
    both = np.zeros(len(first) + len(rows) + 1, EVENT)
    for name in ("kind", "side", "price", "qty", "flag_bits"):
        both[name][: len(first)], both[name][len(first) : -1] = first[name], rows[name]
    both["flag_bits"] |= LAST
    both["flag_bits"][len(first) :] &= ~np.uint32(SNAPSHOT | CLEAR)
    both["exchange_ns"][: len(first)], both["exchange_ns"][len(first) : -1] = start, times
    end = both[-1]  # a far level keeps the clock running until answers have come
    end["kind"], end["side"], end["price"], end["flag_bits"] = BOOK, 1, 1, LAST
    end["exchange_ns"] = (times[-1] if len(times) else start) + 10 * PAUSE_NS
    both["receive_ns"] = both["exchange_ns"]
    return to_hftbacktest(both, float(tape.instrument.tick), float(tape.instrument.lot))


def _changes_at(rows: np.ndarray, here: np.ndarray, before: int) -> np.ndarray:
    """By how much each row at the probe's level changed it."""
    out = np.zeros(len(rows), np.int64)
    qty = rows["qty"][here]
    out[here] = np.diff(qty, prepend=before)
    return out


def one_life(rows: np.ndarray, model: str, side: int, price: int, tick: float, lot: float) -> int:
    """When hftbacktest fills one lot at a price while the rows last, venue time ns; 0: it does not."""
    from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest

    asset = BacktestAsset().data([rows]).linear_asset(1.0).constant_order_latency(0, 0)
    asset = {
        "risk_adverse": asset.risk_adverse_queue_model,
        "log_prob": asset.log_prob_queue_model,
        "log_prob2": asset.log_prob_queue_model2,
        "power_prob": lambda: asset.power_prob_queue_model(POWER),
        "power_prob2": lambda: asset.power_prob_queue_model2(POWER),
        "power_prob3": lambda: asset.power_prob_queue_model3(POWER),
    }[model]()
    asset = asset.no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(tick).lot_size(lot)
    engine = HashMapMarketDepthBacktest([asset.last_trades_capacity(0)])
    engine.elapse(PAUSE_NS)
    send = engine.submit_buy_order if side > 0 else engine.submit_sell_order
    send(0, 1, price * tick, lot, 0, 0, False)
    engine.elapse(int(rows["exch_ts"][-1] - rows["exch_ts"][0]) + 5 * PAUSE_NS)
    order = engine.orders(0).get(1)
    at_ns = int(order.exch_timestamp) - 2 * PAUSE_NS if order is not None and order.status == FILLED else 0
    engine.close()
    return at_ns
