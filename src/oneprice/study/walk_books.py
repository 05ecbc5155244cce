"""Who earned what in a replay of slots: each posting, fill and bar belongs to the pair that held the leg.

A leg belongs to one slot at a time and every command carries the slot's id as its key, so a posting on a leg belongs to
the pair that sent the latest command on it. Sums over pairs are therefore the ledger's own, to the last unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.records import BAR, BORROW_CAUSE, CAUSES, COMMAND, EXPIRY, FEE, FILL_ROW, POSTING, TAX
from oneprice.market.tape import Tape
from oneprice.modes.run import Run

COSTS = (FEE, TAX, BORROW_CAUSE)


@dataclass(frozen=True)
class Trade:
    """One holding of a pair, flat to flat: times of the first and last fill, side of the first leg, net P&L."""

    key: int
    open_ns: int
    close_ns: int
    side: int  # +1: long the spread
    pnl: float  # net of fees and taxes; borrow and dividends are not in it
    value: float  # gross value of the opening fills
    open: bool = False  # still held at the end: `close_ns` is its last fill, `pnl` the cash paid and received so far


@dataclass(frozen=True)
class Series:
    """P&L by bar in the report currency, float64[T] each: net of all, and what costs took; `gross = net + costs`."""

    time_ns: np.ndarray
    net: np.ndarray
    costs: np.ndarray
    traded: np.ndarray  # value of fills
    held: np.ndarray  # gross value at the close

    @property
    def gross(self) -> np.ndarray:
        """Before fees, taxes, borrow and the slippage assumed."""
        return self.net + self.costs


def owners(run: Run) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each leg: times and keys of its commands, in order."""
    sent = run.rows[run.rows["kind"] == COMMAND]
    out = []
    for leg in range(len(run.engine.instruments)):
        own = sent[sent["leg"] == leg]
        out.append((own["time_ns"].copy(), own["limit"].copy()))
    return out


def owner_at(owned: tuple[np.ndarray, np.ndarray], time_ns: np.ndarray) -> np.ndarray:
    """Key of the latest command up to each time, 0 before the first."""
    times, keys = owned
    at = np.searchsorted(times, time_ns, side="right") - 1
    return np.where(at >= 0, keys[np.maximum(at, 0)] if len(keys) else 0, 0)


def gains(run: Run) -> np.ndarray:
    """Rows (time_ns, leg, cause, units) of every posting that is P&L, int64[n, 4]; a gain is positive."""
    if int(run.engine.state["n_currencies"]) != 1:
        raise ConfigError("books by pair: expected one currency, as bar tapes have")
    rows = run.rows[(run.rows["kind"] == POSTING) & (run.rows["code"] < len(CAUSES))]
    account = 1 + rows["code"].astype(np.int64)
    sign = np.where(rows["credit"] == account, 1, -1)
    out = np.empty((len(rows), 4), np.int64)
    out[:, 0], out[:, 1], out[:, 2] = rows["time_ns"], rows["leg"], rows["code"]
    out[:, 3] = sign * rows["amount"]
    return out


def causes_by_pair(run: Run) -> dict[int, np.ndarray]:
    """Ledger units by cause, int64[causes], of each key; key 0 is what belongs to none. They sum to the attribution."""
    owned = owners(run)
    out: dict[int, np.ndarray] = {}
    found = gains(run)
    for leg in np.unique(found[:, 1]):
        mine = found[found[:, 1] == leg]
        keys = owner_at(owned[leg], mine[:, 0]) if leg >= 0 else np.zeros(len(mine), np.int64)
        for key in np.unique(keys):
            cell = out.setdefault(int(key), np.zeros(len(CAUSES), np.int64))
            np.add.at(cell, mine[keys == key, 2], mine[keys == key, 3])
    return out


def series_by_pair(run: Run, tapes: Sequence[Tape], time_ns: np.ndarray) -> dict[int, Series]:
    """P&L bar by bar of each key, from fills, closes and charges: it adds up to the ledger's total of the pair."""
    owned = owners(run)
    fills = run.rows[run.rows["kind"] == FILL_ROW]
    charges = gains(run)
    charges = charges[charges[:, 2] >= FEE]  # fee, tax, funding, borrow, fx, transfer, rounding, dividend
    unit = 10.0 ** -int(run.engine.scales.scale[0])
    keys = sorted({int(k) for _, known in owned for k in np.unique(known)})
    out = {k: Series(time_ns, *(np.zeros(len(time_ns)) for _ in range(4))) for k in keys}
    for leg, tape in enumerate(tapes):
        close, opened, last_row = _bars(tape, time_ns)
        size = float(run.engine.legs()[leg]["lot"])
        own = fills[fills["leg"] == leg]
        row = _row(own["time_ns"], time_ns)
        keys_of = owner_at(owned[leg], own["time_ns"])
        for key in np.unique(keys_of):
            mine = keys_of == key
            _book(out[int(key)], own[mine], row[mine], (close, opened, last_row), size, _tick(tape))
        of_leg = charges[charges[:, 1] == leg]
        at, who = _row(of_leg[:, 0], time_ns), owner_at(owned[leg], of_leg[:, 0])
        for key in np.unique(who):
            if int(key) not in out:
                continue
            s = out[int(key)]
            mine = who == key
            amount = of_leg[mine, 3] * unit
            np.add.at(s.net, at[mine], amount)
            paid = np.isin(of_leg[mine, 2], COSTS)
            np.add.at(s.costs, at[mine][paid], -amount[paid])
    return out


def _book(s: Series, fills: np.ndarray, row: np.ndarray, bars: Any, size: float, tick: float) -> None:
    """Add one leg's fills of a pair: marks from the fill to the close, then close to close until the leg expires."""
    close, opened, last_row = bars
    q = fills["side"].astype(np.float64) * fills["qty"] * size
    price = fills["price"] * tick
    np.add.at(s.net, row, q * (close[row] - price))
    np.add.at(s.costs, row, q * (price - opened[row]))
    np.add.at(s.traded, row, np.abs(q) * price)
    moved = np.zeros(len(close))
    np.add.at(moved, row, q)
    held = np.cumsum(moved)
    held[last_row:] = 0.0
    s.net[1:] += held[:-1] * np.diff(close)
    s.held[:] += np.abs(held * close)


def _bars(tape: Tape, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(close, open, row of expiry) of a leg on the panel's rows; where there is no bar, the last close."""
    bars = tape.events[tape.events["kind"] == BAR]
    tick = _tick(tape)
    at = np.searchsorted(time_ns, bars["receive_ns"])
    close = np.full(len(time_ns), np.nan)
    opened = close.copy()
    close[at] = bars["close"] * tick
    opened[at] = (bars["close"] + bars["open_off"]) * tick
    good = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(len(close)), 0))
    close = np.nan_to_num(close[good])
    gone = tape.events["receive_ns"][tape.events["kind"] == EXPIRY]
    last = int(np.searchsorted(time_ns, gone[0])) if len(gone) else len(time_ns)
    return close, np.where(np.isfinite(opened), opened, close), last


def _tick(tape: Tape) -> float:
    return float(str(tape.instrument.tick))


def _row(at_ns: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    """The bar at or before each time."""
    return np.maximum(np.searchsorted(time_ns, at_ns, side="right") - 1, 0)


def trades_of(run: Run, tapes: Sequence[Tape], keys: Sequence[int]) -> list[Trade]:
    """Every holding of each key from flat to flat, in order of opening; one still open at the end is marked `open`.

    A leg that expires is settled at its last close, as the ledger does it.
    """
    owned = owners(run)
    fills = run.rows[run.rows["kind"] == FILL_ROW]
    key_of = np.zeros(len(fills), np.int64)
    for leg in range(len(tapes)):
        mine = fills["leg"] == leg
        key_of[mine] = owner_at(owned[leg], fills["time_ns"][mine])
    unit = 10.0 ** -int(run.engine.scales.scale[0])
    paid = gains(run)
    paid = paid[np.isin(paid[:, 2], (FEE, TAX))]
    sizes = run.engine.legs()["lot"]
    ends = [_end(tape) for tape in tapes]
    out = []
    for key in keys:
        out += _holdings(int(key), fills[key_of == key], sizes, tapes, (paid, owned, unit), ends)
    return sorted(out, key=lambda t: (t.open_ns, t.key))


def _end(tape: Tape) -> tuple[int, float]:
    """(time of a leg's expiry, or one beyond all times; its last close before it)."""
    gone = tape.events["receive_ns"][tape.events["kind"] == EXPIRY]
    bars = tape.events[tape.events["kind"] == BAR]
    if not len(gone):
        return 1 << 62, 0.0
    return int(gone[0]), float(bars["close"][bars["receive_ns"] <= gone[0]][-1]) * _tick(tape)


@dataclass
class _Holding:
    """What a key holds while its fills are read."""

    opened: int = 0
    side: int = 0
    cash: float = 0.0
    value: float = 0.0
    opening: bool = True
    last: int = 0


def _holdings(
    key: int, fills: np.ndarray, sizes: np.ndarray, tapes: Sequence[Tape], charged: Any, ends: list[tuple[int, float]]
) -> list[Trade]:
    held: dict[int, int] = {}
    now = _Holding()
    out = []

    def settle(until_ns: int) -> None:
        for leg, lots in held.items():
            if lots and ends[leg][0] <= until_ns:
                now.cash += lots * float(sizes[leg]) * ends[leg][1]
                now.last = max(now.last, ends[leg][0])
                held[leg] = 0
        close(False)

    def close(still: bool) -> None:
        if now.opened and (still or not any(held.values())):
            costs = _charges(key, list(held), (now.opened, now.last), charged)
            out.append(Trade(key, now.opened, now.last, now.side, now.cash + costs, now.value, still))
            now.opened = 0

    for f in fills:
        leg, at = int(f["leg"]), int(f["time_ns"])
        settle(at)
        if not now.opened:
            held.clear()
            now = _Holding(opened=at, side=int(f["side"]))
        lots = int(f["side"]) * int(f["qty"])
        now.opening = now.opening and held.get(leg, 0) * lots >= 0
        worth = lots * float(sizes[leg]) * int(f["price"]) * _tick(tapes[leg])
        now.cash -= worth
        now.value += abs(worth) if now.opening else 0.0
        now.last = at
        held[leg] = held.get(leg, 0) + lots
        close(False)
    settle(1 << 61)
    close(True)
    return out


def _charges(key: int, legs: list[int], span_ns: tuple[int, int], charged: Any) -> float:
    """Fees and taxes of a key on its legs within a span, a charge negative."""
    paid, owned, unit = charged
    mine = paid[(paid[:, 0] >= span_ns[0]) & (paid[:, 0] <= span_ns[1])]
    units = 0
    for i in legs:
        rows = mine[mine[:, 1] == i]
        units += int(rows[owner_at(owned[i], rows[:, 0]) == key, 3].sum())
    return units * float(unit)
