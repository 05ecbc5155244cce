"""Fixed probe orders under every queue model: the same orders, placed at the same moments, nothing else of ours.

Quoting strategies cannot compare queue models: a fill changes the inventory, the inventory the quotes. Here orders
are fixed beforehand: one at the touch of each side in turn, every `every_s`, cancelled after `life_s`. Each lane is
a leg of its own over the same tape, so no probe meets another. On a tape that names its orders `fifo` is the truth
(as far as others would have done the same with our order there); pathwise fills(risk_averse) <= fills(fifo)
<= fills(touch) and fills(risk_averse) <= fills(prob_*) <= fills(touch).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, to_legs
from oneprice.core.jit import njit
from oneprice.core.records import CANCEL, FILL, NEW, NO_PRICE, ROW
from oneprice.execution.exchange import ex_advance, ex_send, exchange_at, ring_head, ring_head_ns, ring_pop
from oneprice.execution.latency import Latency
from oneprice.execution.queue import need_stamps
from oneprice.execution.venue import FillModel, build_exchange
from oneprice.market.book import book_bytes, book_init_at
from oneprice.market.quality import FAR_LOG2
from oneprice.market.tape import Tape
from oneprice.modes.replay import tape_table
from oneprice.study.quotes import TOUCH, touches

MODELS = ("risk_averse", "prob_log", "prob_power", "fifo", "touch")
LANES = 32
BOOK_LOG2 = 14  # window of the book that says where the touch is


class Probes(msgspec.Struct, frozen=True):
    """What became of the probes under one model, probe by probe."""

    model: str
    side: np.ndarray  # 1 buy, -1 sell
    price: np.ndarray  # ticks
    lots: int
    filled: np.ndarray  # lots
    fill_s: np.ndarray  # seconds to the first fill, NaN without any

    @property
    def fills(self) -> int:
        """Probes filled whole."""
        return int(np.count_nonzero(self.filled == self.lots))


def queue_probes(
    tape: Tape,
    *,
    every_s: float,
    life_s: float,
    lots: int = 1,
    models: Sequence[str] | None = None,
    cross_fills: bool = True,
) -> dict[str, Probes]:
    """Send the same probes under each queue model; the default models are all (fifo only where orders are named).

    Probes join the touch as the venue has it then (no latency), so that they are the same under every model.

    Raises ConfigError for times that are not positive, more probes alive at once than LANES lanes hold, or fifo on a
    tape that does not name its orders.
    """
    if not (0.0 < every_s < np.inf and 0.0 < life_s < np.inf and lots >= 1):
        got = f"{every_s}, {life_s}, {lots}"
        raise ConfigError(f"probes: expected every_s and life_s above 0 and lots of 1 or more, got {got}")
    lanes = int(np.ceil(life_s / every_s)) + 1
    if lanes > LANES:
        raise ConfigError(f"probes: {lanes} would be alive at once, at most {LANES} may: raise every_s or lower life_s")
    if models is None:
        models = [one for one in MODELS if one != "fifo" or tape.header.depth == "orders"]
    for model in models:
        need_stamps(model, tape.header.depth, tape.instrument.symbol)
    at, side, price = _placed(tape, every_s)
    commands = _commands(at, side, price, lots, round(life_s * 1e9), lanes)
    out = {}
    for model in models:
        filled, first = _run(tape, FillModel(queue=model, cross_fills=cross_fills), lanes, commands, len(at))
        seconds = np.where(first > 0, (first - at) / 1e9, np.nan)
        out[model] = Probes(model, side, price, lots, filled, seconds)
    return out


def probe_table(probes: dict[str, Probes]) -> str:
    """The comparison as text: fills and the mean time to the first fill."""
    lines = [f"{'queue model':<14}{'probes':>8}{'filled':>8}{'share':>8}{'lots':>14}{'to fill, s':>12}"]
    for name, one in probes.items():
        n = len(one.side)
        mean = float(np.nanmean(one.fill_s)) if np.isfinite(one.fill_s).any() else float("nan")
        lines.append(f"{name:<14}{n:>8}{one.fills:>8}{one.fills / n:>8.3f}{int(one.filled.sum()):>14}{mean:>12.2f}")
    return "\n".join(lines)


def _placed(tape: Tape, every_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(time ns, side, touch ticks) of each probe; moments with an empty side are left out."""
    room = np.zeros(book_bytes(BOOK_LOG2, FAR_LOG2) + 64, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 64
    book_init_at(address, BOOK_LOG2, FAR_LOG2)
    table = np.zeros(len(tape.events), TOUCH)
    table = table[: touches(address, np.asarray(tape.events), 0, table)]
    if len(table) == 0:
        raise ConfigError("probes: the tape has no quotes; expected BOOK or TOP rows")
    step = round(every_s * 1e9)
    at = np.arange(int(table["exchange_ns"][0]) + step, int(table["exchange_ns"][-1]), step)
    if len(at) == 0:
        raise ConfigError(f"probes: the tape is shorter than every_s = {every_s:g}")
    stamps = np.maximum.accumulate(table["exchange_ns"])
    row = table[np.searchsorted(stamps, at, side="right") - 1]
    side = np.where(np.arange(len(at)) % 2 == 0, 1, -1)
    price = np.where(side > 0, row["bid_ticks"], row["ask_ticks"])
    good = (row["bid_ticks"] != NO_PRICE) & (row["ask_ticks"] != NO_PRICE)
    return at[good] + tape.clock_offset_ns, side[good], price[good]


def _commands(at: np.ndarray, side: np.ndarray, price: np.ndarray, lots: int, life_ns: int, lanes: int) -> np.ndarray:
    """ROW[2 n]: each probe's NEW and CANCEL in time order; client id = probe + 1, lanes in turn."""
    n = len(at)
    rows = np.zeros(2 * n, ROW)
    for half, code, when in ((rows[:n], NEW, at), (rows[n:], CANCEL, at + life_ns)):
        half["time_ns"], half["client_id"], half["code"] = when, np.arange(1, n + 1), code
        half["side"], half["price"], half["qty"], half["leg"] = side, price, lots, np.arange(n) % lanes
    order = np.argsort(rows["time_ns"], kind="stable")
    return rows.view(np.uint8).reshape(2 * n, -1)[order].copy().view(ROW).reshape(-1)


def _run(tape: Tape, fills: FillModel, lanes: int, commands: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(lots filled, time of the first fill or 0) of each probe."""
    one = msgspec.structs.replace(tape.instrument, fees=tape.instrument.fees or Fees(maker_bp=0, taker_bp=0))
    legs, _ = to_legs([one])
    legs = np.repeat(legs, lanes)
    legs["clock_offset_ns"] = tape.clock_offset_ns
    half = build_exchange(legs, Latency(0, 0), fills, book_log2=one.book_log2)
    table = np.repeat(tape_table([tape]), lanes, axis=0)
    filled, first = np.zeros(n, np.int64), np.zeros(n, np.int64)
    _probe(half.address, commands, table, int(commands["time_ns"][-1]) + 1, filled, first)
    return filled, first


@njit
def _probe(address: int, commands: Any, tapes: Any, until_ns: int, filled: Any, first: Any) -> None:
    """Send each command at its time and book the fills that come back."""
    x = exchange_at(address)
    for k in range(len(commands) + 1):
        to = commands[k].time_ns if k < len(commands) else until_ns
        if x.next_due_ns <= to:
            ex_advance(x, tapes, to)
        while ring_head_ns(x) <= to:
            ev = ring_head(x)
            if ev.kind == FILL:
                i = ev.client_id - 1
                filled[i] += ev.qty
                if first[i] == 0:
                    first[i] = ev.receive_ns
            ring_pop(x)
        if k < len(commands):
            ex_send(x, to, commands[k])
