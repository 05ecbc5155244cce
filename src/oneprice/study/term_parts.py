"""Where each cent of a term-structure trade came from: carry, roll, curve, residual and cost, exact in ledger units.

A lot held from one mark to the next is carried up a ladder of levels, each computed on its own:

    L0 = F_t
    L1 = L0 + F_t (e^(-r dt) - 1)                    carry      time alone, at the financing rate
    L2 = L0 + M_t(T - t - dt) - M_t(T - t)           roll       down the model curve as it stood
    L3 = L2 + M_t+1(T - t - dt) - M_t(T - t - dt)    curve      the model curve moved
    L4 = F_t+1                                       residual   what the contract is off its curve changed

Each part is the value of the lots at one level less that at the level before, each level rounded once: no part is what
the others left. Funding, borrow and dividends of spot legs are carry; mid less fill price, fees and taxes are cost.
A listed spread is climbed as its two contracts, one held and one owed; its fills are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.instruments import exact
from oneprice.core.money import V, mul_rate_e9, mul_rate_e12
from oneprice.core.records import (
    BORROW,
    COMMAND,
    DIVIDEND,
    EXPIRY,
    FILL,
    FILL_ROW,
    FUNDING,
    INVERSE,
    NEW,
    NO_PRICE,
    TOP,
)
from oneprice.market.tape import Tape
from oneprice.modes.run import Run

PARTS = ("carry", "roll", "curve", "residual", "cost")


class Ladder(Protocol):
    """What a price is split by: increments of the levels over each interval between the marks of a leg."""

    def steps(self, tape: Tape, time_ns: np.ndarray, price: np.ndarray) -> np.ndarray:
        """float64[T - 1, 3] in quote currency a unit: L1 - L0, L2 - L0, L3 - L0 (NaN: the model has no value)."""
        ...


class Trade(msgspec.Struct, frozen=True):
    """One holding of a relation, flat to flat. `open` at the end.

    `by_leg` are ledger units by the names of PARTS of each leg; of a listed spread those of its two contracts and,
    under its own name, what its fills cost.
    """

    key: int
    legs: tuple[str, ...]
    first_ns: int
    last_ns: int
    fills: int
    by_leg: dict[str, dict[str, int]]
    open: bool

    @property
    def units(self) -> dict[str, int]:
        """Ledger units by the names of PARTS, of all legs."""
        return {name: sum(own[name] for own in self.by_leg.values()) for name in PARTS}

    @property
    def total(self) -> int:
        """Ledger units."""
        return sum(self.units.values())


class Parts(msgspec.Struct, frozen=True):
    """Trades, and by how many ledger units their parts miss the ledger's P&L of each leg (all 0, or it is wrong)."""

    trades: tuple[Trade, ...]
    gaps: dict[str, int]
    currency: str
    unit: float

    @property
    def exact(self) -> bool:
        """Whether every leg's parts sum to its P&L in the ledger, to the unit."""
        return not any(self.gaps.values())

    def totals(self) -> dict[str, float]:
        """Money by part, and its total."""
        sums = {name: self.unit * sum(t.units[name] for t in self.trades) for name in PARTS}
        return {**sums, "total": self.unit * sum(t.total for t in self.trades)}


class Move(msgspec.Struct, frozen=True):
    """Lots (signed) that a leg gained at a doubled price; `charge` in ledger units, None at an expiry."""

    time_ns: int
    leg: int
    lots: int
    price2: int
    charge: int | None


class _Money:
    """A leg's static numbers as Python integers, which the kernels of money take uncompiled."""

    def __init__(self, row: np.void) -> None:
        self.contract, self.money_num, self.tick = int(row["contract"]), int(row["money_num"]), float(row["tick"])
        self.fee_e9 = (int(row["taker_fee_e9"]), int(row["maker_fee_e9"]))
        self.tax_e9 = {1: int(row["buy_tax_e9"]), -1: int(row["sell_tax_e9"])}
        self.fee_per_lot = int(row["fee_per_lot"])

    def value(self, lots: int, p2: int) -> int:
        return int(V.py_func(self, int(lots), int(p2)))

    def notional(self, lots: int, p2: int) -> int:
        """Positive for a long at a positive price."""
        return -self.value(lots, p2) if self.contract == INVERSE else self.value(lots, p2)

    def charges(self, side: int, lots: int, ticks: int, maker: int, fee: int) -> int:
        """Fee (as the venue says, or by the schedule) and tax of a fill, as the ledger books them."""
        value = abs(self.value(lots, 2 * ticks))
        own = int(mul_rate_e9(value, self.fee_e9[maker])) + self.fee_per_lot * lots
        return (own if fee == NO_PRICE else fee) + int(mul_rate_e9(value, self.tax_e9[side]))

    def level(self, lots: int, p2: float) -> int:
        """Value at a level that may lie between half ticks, rounded once."""
        if self.contract == INVERSE:
            return -round(lots * self.money_num / p2)
        return round(lots * self.money_num * p2)


class _Leg:
    """Marks, steps of the ladder and cash of one leg of a run."""

    def __init__(self, tape: Tape, row: np.void, ladder: Ladder, last2: int) -> None:
        self.money, self.symbol = _Money(row), tape.instrument.symbol
        events = tape.events
        quoted = np.flatnonzero((events["kind"] == TOP) & (events["bid"] != NO_PRICE) & (events["ask"] != NO_PRICE))
        top = events[quoted]
        self.time_ns = top["exchange_ns"].astype(np.int64)
        self.mark2 = (top["bid"] + top["ask"]).astype(np.int64)
        if len(top) == 0:
            raise DataError(f"parts of {self.symbol}: expected quotes on its tape, got none")
        self.steps = ladder.steps(tape, self.time_ns, 0.5 * self.mark2 * self.money.tick)
        self.last2 = last2
        end = events[events["kind"] == EXPIRY]
        self.expiry = (int(end["receive_ns"][0]), 2 * int(end["price"][0])) if len(end) else None
        posted = np.flatnonzero(np.isin(events["kind"], (FUNDING, BORROW, DIVIDEND)))
        self.cash = events[posted]
        self.cash_at = np.maximum(np.searchsorted(quoted, posted) - 1, 0)  # the mark received before each, as booked

    def at(self, time_ns: int) -> int:
        """The last mark no later than a time (the first before any)."""
        return max(int(np.searchsorted(self.time_ns, time_ns, side="right")) - 1, 0)

    def climb(self, lots: int, first: int, last: int, by_leg: dict[str, dict[str, int]]) -> None:
        """Carry `lots` from mark `first` to mark `last`, a part at a time."""
        _climb(self.money, (self.mark2, self.steps), lots, (first, last), by_leg[self.symbol])

    def held_cash(self, lots: int, first_ns: int, last_ns: int) -> int:
        """What funding, borrow and dividends paid on lots between two receive times."""
        total = 0
        inside = (self.cash["receive_ns"] > first_ns) & (self.cash["receive_ns"] <= last_ns)
        for ev, at in zip(self.cash[inside], self.cash_at[inside], strict=True):
            m2 = 2 * int(ev["mark"])
            if ev["kind"] == DIVIDEND:
                total += int(mul_rate_e12(self.money.notional(lots, 2), int(ev["ticks_e12"])))
                continue
            if int(ev["mark"]) in (NO_PRICE, 0):
                m2 = int(self.mark2[at])
            size = lots if ev["kind"] == FUNDING else min(lots, 0)
            sign = -1 if ev["kind"] == FUNDING else 1
            total += sign * int(mul_rate_e12(self.money.notional(size, m2), int(ev["rate_e12"])))
        return total


def _climb(
    money: _Money, marks: tuple[np.ndarray, np.ndarray], lots: int, span: tuple[int, int], units: dict[str, int]
) -> None:
    """`lots` up the ladder of each interval from mark `span[0]` to mark `span[1]`; `marks` are (mark2, steps)."""
    mark2, steps = marks
    half = 0.5 * money.tick
    for t in range(*span):
        base, end = int(mark2[t]), int(mark2[t + 1])
        levels = [money.value(lots, base)]
        for up in steps[t]:
            known = np.isfinite(up) and (money.contract != INVERSE or base + up / half > 0)
            levels.append(money.level(lots, base + float(up) / half) if known else levels[-1])
        levels.append(money.value(lots, end))
        carry, roll, curve = levels[1] - levels[0], levels[2] - levels[1], levels[3] - levels[2]
        for name, value in zip(PARTS, (carry, roll, curve, levels[4] - levels[3]), strict=False):
            units[name] += value


class _SpreadLeg(_Leg):
    """A listed spread: its marks are its own, what moved them is told of its contracts (nearer, later)."""

    def __init__(self, tape: Tape, row: np.void, ladder: Ladder, last2: int, contracts: tuple[Tape, Tape]) -> None:
        super().__init__(tape, row, _Flat(), last2)
        self.sides: list[tuple[str, int, _Money, tuple[np.ndarray, np.ndarray]]] = []
        told = np.zeros(len(self.mark2), np.int64)
        for sign, contract in zip((-1, 1), contracts, strict=True):
            money, mark2 = _Money(row), self._marks(contract)
            ticks = exact(contract.instrument.tick, "tick") / exact(tape.instrument.tick, "tick")
            money.money_num, money.tick = int(money.money_num * ticks), float(str(contract.instrument.tick))
            steps = ladder.steps(contract, self.time_ns, 0.5 * mark2 * money.tick)
            self.sides.append((contract.instrument.symbol, sign, money, (mark2, steps)))
            told += sign * int(ticks) * mark2
        if not np.array_equal(told, self.mark2):
            raise DataError(f"parts of {self.symbol}: its marks are not those of its contracts, one less the other")

    def _marks(self, contract: Tape) -> np.ndarray:
        """Doubled marks of a contract at the times of the spread's."""
        rows = contract.events[(contract.events["kind"] == TOP) & (contract.events["bid"] != NO_PRICE)]
        at = np.searchsorted(rows["exchange_ns"], self.time_ns)
        if (at >= len(rows)).any() or (rows["exchange_ns"][np.minimum(at, len(rows) - 1)] != self.time_ns).any():
            raise DataError(f"parts of {self.symbol}: {contract.instrument.symbol} has no price at one of its times")
        return np.asarray(rows["bid"][at] + rows["ask"][at], np.int64)

    def climb(self, lots: int, first: int, last: int, by_leg: dict[str, dict[str, int]]) -> None:
        """Lots of the later contract up its ladder, as many of the nearer one down its own."""
        for symbol, sign, money, marks in self.sides:
            _climb(money, marks, sign * lots, (first, last), by_leg.setdefault(symbol, dict.fromkeys(PARTS, 0)))


class _Flat:
    """The ladder of what is not climbed itself."""

    def steps(self, tape: Tape, time_ns: np.ndarray, price: np.ndarray) -> np.ndarray:
        return np.zeros((max(len(time_ns) - 1, 0), 3))


def term_parts(
    run: Run, tapes: list[Tape], ladder: Ladder, contracts: Mapping[str, tuple[Tape, Tape]] | None = None
) -> Parts:
    """The trades of a run, split; `contracts` are (nearer, later) of each listed spread, by its symbol.

    Legs settle in one currency. Holdings of a leg belong to the relation whose order filled them (the intent's key).
    Raises DataError for a run whose legs settle in more than one currency.
    """
    if len(set(run.engine.scales.currencies)) > 1:
        raise DataError(f"parts: expected legs of one currency, got {', '.join(run.engine.scales.currencies)}")
    run.closes()  # marks everything
    rows = run.engine.legs()
    legs = [
        _leg_of(tape, rows[i], ladder, (contracts or {}).get(tape.instrument.symbol)) for i, tape in enumerate(tapes)
    ]
    trades = _trades(run, legs)
    told: dict[int, int] = {}
    done = tuple(_split(trade, legs, told) for trade in trades)
    booked = run.engine.positions()["causes"].sum(axis=(0, 2))
    gaps = {leg.symbol: int(booked[i]) - told.get(i, 0) for i, leg in enumerate(legs)}
    scales = run.engine.scales
    return Parts(done, gaps, scales.currencies[0], 10.0 ** -scales.scale[0])


def _leg_of(tape: Tape, row: np.void, ladder: Ladder, contracts: tuple[Tape, Tape] | None) -> _Leg:
    last2 = int(row["mid2_ticks"])
    return _Leg(tape, row, ladder, last2) if contracts is None else _SpreadLeg(tape, row, ladder, last2, contracts)


def _trades(run: Run, legs: list[_Leg]) -> list[tuple[int, list[Move]]]:
    """(key, moves) flat to flat; an expiry is a move without cost."""
    sent = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == NEW)]
    key_of = dict(zip(sent["client_id"].tolist(), sent["limit"].tolist(), strict=True))
    answers = run.events[run.events["kind"] == FILL]
    fills = run.rows[run.rows["kind"] == FILL_ROW]
    moves: list[tuple[Move, int]] = []
    for row, ev in zip(fills, answers, strict=True):
        i, side, lots = int(row["leg"]), int(row["side"]), int(row["qty"])
        money = legs[i].money
        charge = money.charges(side, lots, int(row["price"]), int(row["tif"]), int(ev["fee"]))
        key = int(key_of[int(row["client_id"])])
        moves.append((Move(int(row["time_ns"]), i, side * lots, 2 * int(row["price"]), charge), key))
    held: dict[tuple[int, int], int] = {}
    out: list[tuple[int, list[Move]]] = []
    current: dict[int, list[Move]] = {}
    ends = [(leg.expiry[0], i) for i, leg in enumerate(legs) if leg.expiry is not None]
    timeline: list[tuple[int, int, Any]] = [(m[0].time_ns, 0, m) for m in moves] + [(t, 1, i) for t, i in ends]
    for time_ns, kind, what in sorted(timeline, key=lambda x: (x[0], x[1])):
        if kind == 0:
            move, key = what
            current.setdefault(key, []).append(move)
            held[key, move.leg] = held.get((key, move.leg), 0) + move.lots
            touched = [key]
        else:
            touched = [k for k, i in held if i == what and held[k, i] != 0]
            for key in touched:
                expiry = legs[what].expiry
                assert expiry is not None
                current[key].append(Move(time_ns, what, -held[key, what], expiry[1], None))
                held[key, what] = 0
        for key in touched:
            if not any(n for (k, _), n in held.items() if k == key):
                out.append((key, current.pop(key)))
                for at in [at for at in held if at[0] == key]:
                    del held[at]
    return out + list(current.items())


def _split(trade: tuple[int, list[Move]], legs: list[_Leg], told: dict[int, int]) -> Trade:
    """The parts of one trade; adds each leg's units to `told`."""
    key, fills = trade
    by_leg: dict[str, dict[str, int]] = {}
    names: list[str] = []
    is_open = False
    for i in sorted({f.leg for f in fills}):
        leg = legs[i]
        part: dict[str, dict[str, int]] = {leg.symbol: dict.fromkeys(PARTS, 0)}
        own = part[leg.symbol]
        names.append(leg.symbol)
        lots, before, before_ns = 0, 0, 0
        for move in (f for f in fills if f.leg == i):
            now = leg.at(move.time_ns)
            if lots:
                leg.climb(lots, before, now, part)
                own["carry"] += leg.held_cash(lots, before_ns, move.time_ns)
            mark2 = int(leg.mark2[now])  # of all lots less those before: inverse values are rounded one by one
            gain = leg.money.value(lots + move.lots, mark2) - leg.money.value(lots, mark2)
            gain -= leg.money.value(move.lots, move.price2)
            own["cost" if move.charge is not None else "residual"] += gain - (move.charge or 0)
            lots, before, before_ns = lots + move.lots, now, move.time_ns
        if lots:
            is_open = True
            leg.climb(lots, before, len(leg.mark2) - 1, part)
            own["carry"] += leg.held_cash(lots, before_ns, 1 << 62)
            own["residual"] += leg.money.value(lots, leg.last2) - leg.money.value(lots, int(leg.mark2[-1]))
        told[i] = told.get(i, 0) + sum(sum(units.values()) for units in part.values())
        by_leg |= part
    times = [f.time_ns for f in fills]
    return Trade(key, tuple(names), min(times), max(times), len(fills), by_leg, is_open)
