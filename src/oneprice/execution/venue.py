"""Building the exchange half, and asking it what a venue would tell us after a reconnect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from oneprice.core.arena import aligned_bytes
from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.records import EVENT, LEG, NO_PRICE, OPEN
from oneprice.execution.latency import Latency
from oneprice.execution.queue import QUEUE_MODELS
from oneprice.execution.venue_state import (
    EXECUTION,
    EXHEAD,
    EXLEG,
    INF,
    KNOWN,
    MAGIC,
    N_EXECUTIONS,
    N_KNOWN,
    N_RING,
    V_WORKING,
    VENUE_STATES,
)
from oneprice.market.book import book_bytes, book_init_at

STATIC = (
    "tick", "lot", "money_num", "maker_fee_e9", "taker_fee_e9", "buy_tax_e9", "sell_tax_e9", "fee_per_lot",
    "min_lots", "lot_step", "min_notional", "clock_offset_ns", "assumed_depth_lots",
    "venue", "currency", "underlying", "contract",
)  # fmt: skip


class FillModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The assumptions of a fill on one leg; each default is the pessimistic one.

    `queue`: risk_averse | prob_log | prob_power (exponent `power`) | touch | fifo (tapes that name orders:
    the true place in the queue; never taken unless asked for). `deplete`: what we take stays
    taken, and refills with `refill_half_life_ms` (0: only when the market empties the level; see
    `depletion.fit_refill`). `cross_fills`: an opposite touch that reaches a resting order fills it.
    `bound_by_displayed`: lots no longer shown cannot be ahead of us. Bars: `slippage_bp` on the open, at
    most `participation` of the volume.
    """

    queue: str = "risk_averse"
    power: float = 3.0
    deplete: bool = True
    refill_half_life_ms: float = 0.0
    cross_fills: bool = True
    bound_by_displayed: bool = True
    slippage_bp: float = 1.0
    participation: float = 0.1

    def __post_init__(self) -> None:
        if self.queue not in QUEUE_MODELS:
            raise unknown_name("queue model", self.queue, list(QUEUE_MODELS))
        for name in ("power", "refill_half_life_ms", "slippage_bp", "participation"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise ConfigError(f"fills.{name}: expected a number of 0 or more, got {value}")
        if self.participation > 1:
            raise ConfigError(f"fills.participation: expected at most 1 (a share), got {self.participation}")


@dataclass(frozen=True)
class ExchangeHalf:
    """The exchange half's bytes and the records over them (views)."""

    buffer: np.ndarray  # uint8, 64-byte aligned
    head: np.ndarray  # EXHEAD[1]
    legs: np.ndarray  # EXLEG[n_legs]

    @property
    def address(self) -> int:
        return int(self.buffer.ctypes.data)


@dataclass(frozen=True)
class VenueOrder:
    """What the venue knows of one client id."""

    client_id: int
    leg: int
    side: int
    price: int
    lots: int
    filled: int
    state: str  # working | filled | canceled | rejected
    reason: int
    executions: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class VenueLedger:
    """A leg's account at the venue: lots and ledger units."""

    net_lots: int
    bought_lots: int
    sold_lots: int
    fees: int
    taxes: int
    n_executions: int


def build_exchange(
    legs: np.ndarray,
    latency: Latency | Sequence[Latency],
    fills: FillModel | Sequence[FillModel] | None = None,
    *,
    book_log2: int | Sequence[int] = 0,
    far_log2: int = 12,
) -> ExchangeHalf:
    """An exchange half for these LEGs (static words are copied).

    `latency` and `fills` (default: all pessimistic): one for all legs, or one a leg. `book_log2` is the
    width of each leg's dense book window (0: top of book only; the least is 2^8). Raises ConfigError when
    the counts differ.
    """
    n = len(legs)
    if n == 0 or legs.dtype != LEG:
        raise ConfigError(f"exchange: expected LEG[1 or more], got {legs.dtype}[{n}]")
    lat = _each("latency", latency, n)
    fill = _each("fills", fills if fills is not None else FillModel(), n)
    widths = [w and max(w, 8) for w in _each("book_log2", book_log2, n)]
    sizes = {
        "legs": n * EXLEG.itemsize,
        "active": 8 * n,
        "pool": N_RING * EVENT.itemsize,
        "order": 16 * N_RING,
        "executions": N_EXECUTIONS * EXECUTION.itemsize,
        "known": N_KNOWN * KNOWN.itemsize,
    }
    at = _up(EXHEAD.itemsize)
    offsets = {}
    for name, length in sizes.items():
        offsets[name] = at
        at = _up(at + length)
    tables, books = [], []
    for i in range(n):
        tables.append(at)
        at = _up(at + lat[i].rows().nbytes)
        books.append(at if widths[i] else 0)
        at = _up(at + (book_bytes(widths[i], far_log2) if widths[i] else 0))
    buffer = aligned_bytes(at)
    head = buffer[: EXHEAD.itemsize].view(EXHEAD)
    head["magic"], head["n_legs"], head["next_due_ns"], head["n_free"] = MAGIC, n, INF, N_RING
    for name, offset in offsets.items():
        head[f"{name}_off"] = offset
    order = buffer[offsets["order"] : offsets["order"] + 16 * N_RING].view(np.int64)
    order[N_RING:] = np.arange(N_RING)
    rows = buffer[offsets["legs"] : offsets["legs"] + sizes["legs"]].view(EXLEG)
    head["least_entry_ns"] = min(one.least_entry_ns() for one in lat)
    for i in range(n):
        _fill_leg(rows[i], legs[i], lat[i], fill[i])
        table = lat[i].rows()
        buffer[tables[i] : tables[i] + table.nbytes] = table.reshape(-1).view(np.uint8)
        rows[i]["table_off"], rows[i]["n_table"], rows[i]["book_off"] = tables[i], len(table), books[i]
        if books[i]:
            book_init_at(int(buffer.ctypes.data) + books[i], widths[i], far_log2)
    return ExchangeHalf(buffer, head, rows)


def _each(name: str, given: Any, n: int) -> list[Any]:
    out = list(given) if isinstance(given, list | tuple) else [given] * n
    if len(out) != n:
        raise ConfigError(f"exchange: {name}: expected one for all or one a leg ({n} legs), got {len(out)}")
    return out


def _fill_leg(row: Any, leg: Any, latency: Latency, fill: FillModel) -> None:
    for name in STATIC:
        row["leg"][name] = leg[name]
    row["leg"]["bid_ticks"] = row["leg"]["ask_ticks"] = row["leg"]["mid2_ticks"] = NO_PRICE
    row["leg"]["trading"] = OPEN
    row["entry_ns"], row["response_ns"] = latency.entry_ns, latency.response_ns
    row["cancel_entry_ns"], row["cancel_response_ns"] = latency.cancel_entry_ns, latency.cancel_response_ns
    row["least_response_ns"] = latency.least_response_ns()
    row["queue_model"], row["power"] = QUEUE_MODELS[fill.queue], fill.power
    row["half_life_ns"] = fill.refill_half_life_ms * 1e6
    row["deplete"], row["cross_fills"] = int(fill.deplete), int(fill.cross_fills)
    row["bound_by_displayed"] = int(fill.bound_by_displayed)
    row["slippage_bp"], row["participation"] = fill.slippage_bp, fill.participation
    row["row_ns"] = row["low_sell"] = INF
    row["top_buy"] = NO_PRICE


def _up(n: int) -> int:
    return (n + 63) // 64 * 64


def _section(x: ExchangeHalf, name: str, dtype: np.dtype, n: int) -> np.ndarray:
    at = int(x.head[f"{name}_off"][0])
    return x.buffer[at : at + n * dtype.itemsize].view(dtype)


def executions(x: ExchangeHalf) -> np.ndarray:
    """EXECUTION rows the venue still holds, oldest first (the last N_EXECUTIONS)."""
    ring = _section(x, "executions", EXECUTION, N_EXECUTIONS)
    total = int(x.head["n_executions"][0])
    if total <= N_EXECUTIONS:
        return ring[:total].copy()
    return np.roll(ring, -(total % N_EXECUTIONS)).copy()


def ex_query(x: ExchangeHalf, client_ids: Sequence[int] | None = None) -> dict[int, VenueOrder]:
    """What the venue answers when asked about orders: of these client ids, or every open order.

    A client id it has never seen (or forgot: it keeps the last N_KNOWN) is absent from the answer.
    Executions carry `exec_id`, the `seq` of the FILL event, for deduplication.
    """
    open_orders = {}
    for i, e in enumerate(x.legs):
        for slot in e["rank"][: int(e["n_resting"])]:
            o = e["orders"][slot]
            open_orders[int(o["client_id"])] = (i, o)
    log = executions(x)
    known = _section(x, "known", KNOWN, N_KNOWN)
    out = {}
    for cid in open_orders if client_ids is None else client_ids:
        fills = tuple({k: int(r[k]) for k in EXECUTION.names or ()} for r in log[log["client_id"] == cid])
        if cid in open_orders:
            leg, o = open_orders[cid]
            state, reason = VENUE_STATES[V_WORKING], 0
        else:
            o = known[cid & (N_KNOWN - 1)]
            if int(o["client_id"]) != cid or not o["state"]:
                continue
            leg, state, reason = int(o["leg"]), VENUE_STATES[int(o["state"])], int(o["reason"])
        side, price, lots, filled = (int(o[k]) for k in ("side", "price", "lots", "filled"))
        out[cid] = VenueOrder(cid, leg, side, price, lots, filled, state, reason, fills)
    return out


def ex_ledger(x: ExchangeHalf) -> list[VenueLedger]:
    """Each leg's account at its venue."""
    return [VenueLedger(*(int(e[k]) for k in VenueLedger.__dataclass_fields__)) for e in x.legs]
