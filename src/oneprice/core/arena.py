"""One arena of bytes holds all the state of the local half; its bytes are the snapshot.

Layout: the STATE record (fixed part: head and the bounded pools of the layers), then the sections whose length is
known only when an engine is built (legs, views, positions, books...), then the sink of rows going out. Sections are
reached by offsets from the base. Everything before the sink is state; the sink is not (how often it is drained
must not change a snapshot).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import carray

from oneprice.core.address import address_of, pointer, record_at
from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.core.records import CAUSES, EVENT, LEG, ROW, VIEW, record

MAGIC = 0x6F6E6570_00000001

HEAD = [
    ("magic", "i8"),
    ("now_ns", "i8"),  # receive time of the event being folded
    ("n_events", "i8"),
    ("halt", "i8"),  # ACTIVE | REDUCING | HALTED
    ("epoch", "i8"),  # session epoch, top 20 bits of client ids
    ("next_counter", "i8"),  # next client id counter
    ("n_legs", "i8"),
    ("n_strategies", "i8"),
    ("n_currencies", "i8"),
    ("n_venues", "i8"),
    ("n_underlyings", "i8"),
    ("legs_off", "i8"),  # LEG[n_legs]
    ("positions_off", "i8"),  # POSITION[n_strategies * n_legs], strategy-major
    ("strategies_off", "i8"),  # STRATEGY[n_strategies]
    ("sink_off", "i8"),  # SINK, then ROW[capacity]
    ("sample_ns", "i8"),  # period of SAMPLE and EQUITY rows
    ("next_sample_ns", "i8"),
    ("stopping", "i8"),  # OP_STOP seen: no new intents, what works is cancelled
    ("gate_value", "i8"),  # what the gate last saw and the limit it broke
    ("gate_limit", "i8"),
]

STRATEGY = record(
    [
        ("n_legs", "i8"),
        ("views_off", "i8"),  # VIEW[n_legs]
        ("params_off", "i8"),
        ("params_bytes", "i8"),
        ("params_digest", "u8"),
        ("memory_off", "i8"),
        ("memory_bytes", "i8"),
        ("model_off", "i8"),  # the last model update, inside memory
        ("model_bytes", "i8"),
        ("stage_off", "i8"),  # where the driver lays a model's bytes before its MODEL event
        ("calls", "i8"),
        ("faults", "i8"),
        ("halt", "i8"),
        ("guard", "i8"),  # 0 while the strategy runs: still 0 after the call means that it raised
        ("decision_ns", "i8"),
        ("called", "i8"),  # on what: CALL_ALL, CALL_FILLS, CALL_MARKET or CALL_TIMERS
    ]
)
CALL_ALL, CALL_MARKET, CALL_TIMERS, CALL_FILLS = 0, 1, 2, 3  # "all", "market", "timers", "fills" of the contract

POSITION = record(
    [
        ("lots", "i8"),
        ("open_buy_lots", "i8"),
        ("open_sell_lots", "i8"),
        ("budget_lots", "i8"),
        ("inventory_lots", "i8"),  # lots past their markout horizon
        ("inventory_mark2_ticks", "i8"),  # doubled mark at which inventory was last posted
        ("cash", "i8"),  # ledger units: -sum of V(q, fill price)
        ("fills", "i8"),
        ("bought_lots", "i8"),
        ("sold_lots", "i8"),
        ("causes", "i8", (len(CAUSES),)),  # ledger units of the leg's currency
        ("spare", "i8", (2,)),
    ]
)

SINK = record([("n_rows", "i8"), ("capacity", "i8"), ("lost", "i8"), ("spare", "i8", (5,))])


def state_dtype(*nested: tuple[str, np.dtype]) -> np.dtype:
    """The STATE record: HEAD plus one nested record a layer, e.g. ("blotter", BLOTTER)."""
    return record([*HEAD, *nested])


_leg_at, _position_at, _strategy_at, _view_at = (record_at(d) for d in (LEG, POSITION, STRATEGY, VIEW))
_sink_at, row_at, event_at = record_at(SINK), record_at(ROW), record_at(EVENT)
SINK_BYTES, ROW_BYTES, EVENT_BYTES = SINK.itemsize, ROW.itemsize, EVENT.itemsize
_LEG_BYTES, _POSITION_BYTES, _STRATEGY_BYTES, _VIEW_BYTES = (d.itemsize for d in (LEG, POSITION, STRATEGY, VIEW))


@njit
def leg_of(s: Any, i: int) -> Any:
    """LEG i: the record itself, cheaper than an array of all and one of them."""
    return _leg_at(address_of(s) + s.legs_off + i * _LEG_BYTES)


@njit
def position_of(s: Any, at: int) -> Any:
    """POSITION `k * s.n_legs + i` of strategy k and leg i."""
    return _position_at(address_of(s) + s.positions_off + at * _POSITION_BYTES)


@njit
def strategy_row(s: Any, k: int) -> Any:
    """STRATEGY k."""
    return _strategy_at(address_of(s) + s.strategies_off + k * _STRATEGY_BYTES)


@njit
def view_of(s: Any, k: int, slot: int) -> Any:
    """VIEW of strategy k on its leg `slot`."""
    return _view_at(address_of(s) + strategy_row(s, k).views_off + slot * _VIEW_BYTES)


@njit
def legs_of(s: Any) -> Any:
    """LEG[n_legs] of the engine."""
    return carray(pointer(address_of(s) + s.legs_off), s.n_legs, LEG)


@njit
def views_of(s: Any, k: int) -> Any:
    """VIEW[n_legs] of strategy k."""
    t = strategy_row(s, k)
    return carray(pointer(address_of(s) + t.views_off), t.n_legs, VIEW)


@njit
def sink_of(s: Any) -> Any:
    """The sink's header."""
    return _sink_at(address_of(s) + s.sink_off)


@njit
def emit(s: Any, kind: int) -> Any:
    """A zeroed row at the end of the sink, stamped with now; the caller fills it in.

    The driver leaves room for one event's rows before each event; if a single event still overflows, the last
    row is reused and `lost` counts it, which the driver treats as a fault.
    """
    sink = sink_of(s)
    i = sink.n_rows
    if i >= sink.capacity:
        sink.lost += 1
        i = sink.capacity - 1
    else:
        sink.n_rows = i + 1
    row = row_at(address_of(s) + s.sink_off + SINK_BYTES + i * ROW_BYTES)
    row.time_ns = s.now_ns
    row.ref = 0
    row.a = 0
    row.b = 0
    row.c = 0
    row.d = 0
    row.e = 0
    row.leg = -1
    row.kind = kind
    row.side = 0
    row.strategy = 0
    row.code = 0
    row.aux = 0
    return row


@dataclass(frozen=True)
class Arena:
    """The bytes, the STATE record over them, and where each section lies."""

    buffer: np.ndarray  # uint8, 64-byte aligned
    state: np.ndarray  # STATE[1], a view
    sections: dict[str, tuple[int, int]]  # name -> (offset, bytes)

    @property
    def address(self) -> int:
        return int(self.buffer.ctypes.data)

    def section(self, name: str, dtype: np.dtype) -> np.ndarray:
        """A section as an array of `dtype` (a view)."""
        offset, length = self.sections[name]
        return self.buffer[offset : offset + length].view(dtype)

    def snapshot(self) -> bytes:
        """The state's bytes: everything before the sink."""
        return self.buffer[: self.sections["sink"][0]].tobytes()

    def restore(self, raw: bytes) -> None:
        """Lay a snapshot back; the layout must be the same."""
        n = self.sections["sink"][0]
        if len(raw) != n:
            raise ConfigError(f"snapshot: expected {n} bytes for this layout, got {len(raw)}")
        self.buffer[:n] = np.frombuffer(raw, np.uint8)

    def waiting(self) -> np.ndarray:
        """The rows in the sink, a view that holds until the next event; empties the sink."""
        offset, _ = self.sections["sink"]
        head = self.buffer[offset : offset + SINK_BYTES].view(SINK)[0]
        n = int(head["n_rows"])
        head["n_rows"] = 0
        first = offset + SINK_BYTES
        return self.buffer[first : first + n * ROW.itemsize].view(ROW)

    def drain(self) -> np.ndarray:
        """Copy of the rows in the sink; empties it."""
        return copied(self.waiting())


def build_arena(state: np.dtype, sections: dict[str, int], *, sink_rows: int = 1 << 16) -> Arena:
    """Allocate an arena: STATE, the named sections (bytes each, 64-byte aligned), then the sink.

    Offsets named `<section>_off` in STATE are filled in; the caller fills the counts.
    """
    offsets: dict[str, tuple[int, int]] = {}
    at = _up(state.itemsize)
    for name, length in sections.items():
        offsets[name] = (at, length)
        at = _up(at + length)
    sink_bytes = SINK_BYTES + sink_rows * ROW.itemsize
    offsets["sink"] = (at, sink_bytes)
    buffer = aligned_bytes(at + sink_bytes)
    view = buffer[: state.itemsize].view(state)
    view["magic"] = MAGIC
    for name, (offset, _) in offsets.items():
        if f"{name}_off" in (state.names or ()):
            view[f"{name}_off"] = offset
    buffer[at : at + SINK_BYTES].view(SINK)["capacity"] = sink_rows
    return Arena(buffer, view, offsets)


def aligned_bytes(n: int) -> np.ndarray:
    """`n` zero bytes on a 64-byte boundary."""
    raw = np.zeros(n + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n]


def copied(rows: np.ndarray) -> np.ndarray:
    """A copy of records as bytes: numpy would copy overlaid words field by field."""
    return rows.view(np.uint8).copy().view(rows.dtype)


def _up(n: int) -> int:
    return (n + 63) // 64 * 64
