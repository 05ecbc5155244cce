"""The oracle of a synthetic world: what each planted gap was worth to one who knew it, and how a run
compares.

The oracle plays under the trader's own conditions: it learns of a gap when the dislocated venue's row is
received, its orders reach each venue one entry latency later, it takes what the books show there at that
time (exchange clock), and pays taker fees on every crossing. Its one privilege is to know which gaps are
real and when each ends. With `converge` it leaves one entry latency after it has seen the end, both legs
through their touches; with `inventory` it does not leave. Size is where the next unit earns nothing. Linear
legs with one quote currency.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import exact
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, NO_PRICE, TOP
from oneprice.market.book import book_at, book_bytes, book_init_at, book_level, book_next, book_row
from oneprice.market.synthetic import World
from oneprice.market.tape import Tape

FAR_LOG2 = 14
FILL_FIELDS = ("time_ns", "leg", "side", "price", "qty", "fee", "package")


class Worth(msgspec.Struct, frozen=True):
    """What one real plant was worth. Times on the local clock, quantity in underlying units, profit in
    currency.
    """

    plant: int  # index into the world's plants
    seen_ns: int
    end_seen_ns: int
    qty: float
    edge_bp: float  # profit over the value bought
    profit: float


class Score(msgspec.Struct, frozen=True):
    """A run against the oracle. Money in quote currency, net of fees; packages are counted once, at their
    entry.
    """

    available: float
    captured: float
    real_traded: int
    real_worth: int  # real plants with a positive worth
    missed: tuple[int, ...]  # indices of those not traded
    decoys: dict[str, tuple[int, float]]  # kind -> (packages, profit)
    elsewhere: tuple[int, float]  # packages outside every plant, and their profit
    open_qty: tuple[float, ...]  # signed quantity left open on each leg

    @property
    def share(self) -> float:
        """Captured over available; NaN when nothing was available."""
        return self.captured / self.available if self.available > 0.0 else float("nan")

    @property
    def decoys_traded(self) -> int:
        """Packages entered on decoys."""
        return sum(n for n, _ in self.decoys.values())

    def __str__(self) -> str:
        rows = [
            ("available to the oracle", f"{self.available:.4f}"),
            ("captured", f"{self.captured:.4f} ({100 * self.share:.1f} %)"),
            ("real gaps traded", f"{self.real_traded} of {self.real_worth} worth trading"),
        ]
        rows += [(f"decoy {k}", f"{n} packages, {p:.4f}") for k, (n, p) in self.decoys.items()]
        rows.append(("elsewhere", f"{self.elsewhere[0]} packages, {self.elsewhere[1]:.4f}"))
        rows.append(("left open", ", ".join(f"{q:g}" for q in self.open_qty)))
        return "\n".join(f"{name:<26}{value}" for name, value in rows)


def ladders_at(tape: Tape, times_ns: np.ndarray, *, levels: int = 32) -> np.ndarray:
    """The venue's own book at times of the local clock, from rows in exchange order.

    times_ns (q,) int64 ascending. Returns int64 (q, 2, levels, 2): bids then asks, best first, (ticks,
    lots), with (NO_PRICE, 0) where there is no level. Raises DataError when the times go back.
    """
    if np.any(np.diff(times_ns) < 0):
        raise DataError("times_ns: expected ascending times")
    log2 = max(tape.instrument.book_log2, 10)
    room = np.zeros(book_bytes(log2, FAR_LOG2) + 64, np.uint8)
    at = room.ctypes.data + (-room.ctypes.data) % 64
    book_init_at(at, log2, FAR_LOG2)
    order = tape.exchange_order
    rows = tape.events if order is None else tape.events[order]
    out = np.empty((len(times_ns), 2, levels, 2), np.int64)
    out[..., 0], out[..., 1] = NO_PRICE, 0
    _ladders(at, rows, np.asarray(times_ns, np.int64) - tape.clock_offset_ns, out)
    return out


@njit
def _ladders(address: int, events: Any, times: Any, out: Any) -> None:
    b = book_at(address)
    i = 0
    for q in range(len(times)):
        while i < len(events) and events[i].exchange_ns <= times[q]:
            ev = events[i]
            if ev.kind == BOOK or ev.kind == TOP:
                book_row(b, ev)
            i += 1
        for k in range(2):
            side = 1 - 2 * k
            ticks = book_next(b, side, NO_PRICE)
            n = 0
            while ticks != NO_PRICE and n < out.shape[2]:
                out[q, k, n, 0] = ticks
                out[q, k, n, 1] = book_level(b, side, ticks)
                ticks = book_next(b, side, ticks)
                n += 1


@njit
def best_package(
    asks: Any, bids: Any, out_bids: Any, out_asks: Any, fees: Any, max_qty: float
) -> tuple[float, float, float]:
    """(quantity, profit, value bought) of buying `asks` and selling `bids`, then leaving on `out_bids`,
    `out_asks`.

    Ladders are float (n, 2) of price and quantity, best first; an empty pair of exit ladders means that
    nothing is closed. fees (2,): fraction of value of the bought leg and the sold leg, each crossing. The
    unit's profit falls along the ladders, so taking units while it is positive is optimal.
    """
    leave = len(out_bids) > 0
    at = np.zeros(4, np.int64)
    left = np.zeros(4)
    qty = 0.0
    profit = 0.0
    value = 0.0
    left[0] = asks[0, 1] if len(asks) > 0 else 0.0
    left[1] = bids[0, 1] if len(bids) > 0 else 0.0
    if leave:
        left[2] = out_bids[0, 1]
        left[3] = out_asks[0, 1] if len(out_asks) > 0 else 0.0
    while qty < max_qty:
        if at[0] >= len(asks) or at[1] >= len(bids):
            break
        if leave and (at[2] >= len(out_bids) or at[3] >= len(out_asks)):
            break
        buy = asks[at[0], 0]
        unit = bids[at[1], 0] * (1.0 - fees[1]) - buy * (1.0 + fees[0])
        take = min(left[0], left[1], max_qty - qty)
        if leave:
            unit += out_bids[at[2], 0] * (1.0 - fees[0]) - out_asks[at[3], 0] * (1.0 + fees[1])
            take = min(take, left[2], left[3])
        if not unit > 0.0:
            break
        qty += take
        profit += take * unit
        value += take * buy
        for j in range(4 if leave else 2):
            left[j] -= take
            if left[j] <= 0.0:
                at[j] += 1
                ladder = asks if j == 0 else bids if j == 1 else out_bids if j == 2 else out_asks
                if at[j] < len(ladder):
                    left[j] = ladder[at[j], 1]
    return qty, profit, value


def worths(
    world: World,
    *,
    entry_latency_ns: Sequence[int],
    taker_fee_bp: Sequence[float] | None = None,
    exit: str = "converge",  # noqa: A002 - the field's word for it
    max_qty: float = float("inf"),
    decision_ns: int = 0,
) -> list[Worth]:
    """What each real plant of a world was worth, in the order of `world.plants`.

    Parameters
    ----------
    entry_latency_ns: one a leg, from decision to the venue's matching. taker_fee_bp: one a leg, those of
    the instruments when left out. exit: "converge" or "inventory". max_qty: cap in underlying units.
    decision_ns: time from receiving a row to sending orders.
    """
    if exit not in ("converge", "inventory"):
        raise unknown_name("exit", exit, ["converge", "inventory"])
    if len(entry_latency_ns) != len(world.tapes) or min(entry_latency_ns) < 0:
        raise ConfigError(
            f"entry_latency_ns: expected {len(world.tapes)} values >= 0, got {entry_latency_ns}"
        )
    found = [(i, p) for i, p in enumerate(world.plants) if p.kind == "real"]
    times = []  # of each plant: seen, end seen
    for _, p in found:
        times.append((_seen(world.tapes[p.leg], p.start_ns), _seen(world.tapes[p.leg], p.end_ns)))
    seen = np.array(times, np.int64).reshape(-1, 2) + decision_ns
    books = [_books(t, seen + lag) for t, lag in zip(world.tapes, entry_latency_ns, strict=True)]
    fees = taker_fee_bp or [
        float(t.instrument.fees.taker_bp) if t.instrument.fees else 0.0 for t in world.tapes
    ]
    none = np.zeros((0, 2))
    out = []
    for row, (i, p) in enumerate(found):
        cheap, dear = books[p.leg_cheap], books[p.leg_dear]
        ways = (cheap(row, 0, 1), dear(row, 0, 0))
        ways += (cheap(row, 1, 0), dear(row, 1, 1)) if exit == "converge" else (none, none)
        rates = np.array([fees[p.leg_cheap], fees[p.leg_dear]]) * 1e-4
        qty, profit, value = best_package(*ways, rates, max_qty)
        edge = 1e4 * profit / value if value > 0.0 else 0.0
        out.append(Worth(i, times[row][0], times[row][1], qty, edge, profit))
    return out


def _seen(tape: Tape, at_ns: int) -> int:
    """When the first row of `at_ns` or later (venue's time on the local clock) was received; the last row's
    if none.
    """
    order = tape.exchange_order
    rows = tape.events if order is None else tape.events[order]
    i = int(np.searchsorted(rows["exchange_ns"] + tape.clock_offset_ns, at_ns))
    return int(rows["receive_ns"][min(i, len(rows) - 1)])


def _books(tape: Tape, times: np.ndarray) -> Any:
    """A reader `(row, column, side) -> (n, 2) float ladder` of the venue's books at times (rows, columns)."""
    flat = times.ravel()
    by_time = np.argsort(flat, kind="stable")
    taken = np.empty(len(flat), np.int64)
    taken[by_time] = np.arange(len(flat))
    ladders = ladders_at(tape, flat[by_time])
    tick = float(exact(tape.instrument.tick, "tick"))
    lot = float(exact(tape.instrument.lot, "lot") * exact(tape.instrument.multiplier, "multiplier"))

    def ladder(row: int, column: int, side: int) -> np.ndarray:
        raw = ladders[taken[row * times.shape[1] + column], side]
        raw = raw[raw[:, 1] > 0]
        return raw * np.array([tick, lot])

    return ladder


def score(
    world: World,
    worth: Sequence[Worth],
    fills: Mapping[str, Any] | np.ndarray,
    *,
    grace_ns: int = 250_000_000,
) -> Score:
    """A run's fills against the plants.

    Parameters
    ----------
    worth: from `worths` under the run's latency and fees.
    fills: arrays (n,) by name, in order of time: time_ns (local clock), leg, side (+1 bought), price, qty
    (underlying units, > 0), fee (currency, a cost is positive), package (from 1, unique; 0: an order alone).
    grace_ns: a package belongs to the plant that was on when its first opening fill came, up to so much
    after it.

    A fill that reduces a leg's position closes the oldest open quantity, and its profit belongs to the
    package that opened it; so do both fees. Raises DataError for missing fields or fills out of time order.
    """
    columns = _columns(fills)
    legs = max(len(world.tapes), int(columns["leg"].max(initial=-1)) + 1)
    profit, first, open_qty = _by_package(columns, legs)
    windows = [(p.start_ns, p.end_ns + grace_ns) for p in world.plants]
    starts = np.array([a for a, _ in windows], np.int64)
    by_plant: dict[int, list[int]] = {}
    outside: list[int] = []
    for package, at in first.items():
        i = int(np.searchsorted(starts, at, side="right")) - 1
        if i >= 0 and at <= _window_end(world, worth, i, windows[i][1], grace_ns):
            by_plant.setdefault(i, []).append(package)
        else:
            outside.append(package)
    valuable = [w for w in worth if w.profit > 0.0]
    decoys = {}
    for kind in sorted({p.kind for p in world.plants} - {"real"}):
        held = [k for i, ks in by_plant.items() if world.plants[i].kind == kind for k in ks]
        decoys[kind] = (len(held), float(sum(profit[k] for k in held)))
    real = {i: ks for i, ks in by_plant.items() if world.plants[i].kind == "real"}
    return Score(
        available=float(sum(w.profit for w in valuable)),
        captured=float(sum(profit[k] for ks in real.values() for k in ks)),
        real_traded=sum(1 for w in valuable if w.plant in real),
        real_worth=len(valuable),
        missed=tuple(w.plant for w in valuable if w.plant not in real),
        decoys=decoys,
        elsewhere=(len(outside), float(sum(profit[k] for k in outside))),
        open_qty=tuple(open_qty),
    )


def _window_end(world: World, worth: Sequence[Worth], i: int, end_ns: int, grace_ns: int) -> int:
    """A real gap is on until its end has been seen; a decoy until it ends."""
    seen = next((w.end_seen_ns for w in worth if w.plant == i), 0)
    return max(end_ns, seen + grace_ns)


def _columns(fills: Mapping[str, Any] | np.ndarray) -> dict[str, np.ndarray]:
    names = fills.dtype.names or () if isinstance(fills, np.ndarray) else tuple(fills)
    missing = [name for name in FILL_FIELDS if name not in names]
    if missing:
        raise DataError(f"fills: expected fields {', '.join(FILL_FIELDS)}, missing {', '.join(missing)}")
    columns = {name: np.asarray(fills[name]) for name in FILL_FIELDS}
    back = np.flatnonzero(np.diff(columns["time_ns"]) < 0)
    if len(back):
        raise DataError(f"fills, row {int(back[0]) + 1}: expected time_ns that does not go back")
    strange = np.flatnonzero(~(columns["qty"] > 0) | ~np.isin(columns["side"], (1, -1)))
    if len(strange):
        raise DataError(f"fills, row {int(strange[0])}: expected qty > 0 and side +1 or -1")
    return columns


def _by_package(
    columns: dict[str, np.ndarray], legs: int
) -> tuple[dict[int, float], dict[int, int], list[float]]:
    """Profit and time of the first opening fill by package, and what is left open on each leg."""
    held: list[deque[list[Any]]] = [deque() for _ in range(legs)]  # [signed quantity, price, package]
    profit: dict[int, float] = {}
    first: dict[int, int] = {}
    rows = zip(*(columns[n].tolist() for n in FILL_FIELDS), strict=True)
    for i, (t, leg, side, price, qty, fee, number) in enumerate(rows):
        package = number if number > 0 else -1 - i
        left, queue = qty, held[leg]
        while left > 0.0 and queue and queue[0][0] * side < 0:
            lot = queue[0]
            n = min(left, abs(lot[0]))
            profit[lot[2]] += n * (price - lot[1]) * (1.0 if lot[0] > 0 else -1.0) - fee * n / qty
            lot[0] += n * side
            left -= n
            if abs(lot[0]) < 1e-9 * qty:
                queue.popleft()
            if left < 1e-9 * qty:
                left = 0.0
        if left > 0.0:
            profit[package] = profit.get(package, 0.0) - fee * left / qty
            first.setdefault(package, t)
            queue.append([left * side, price, package])
    return profit, first, [float(sum(lot[0] for lot in queue)) for queue in held]
