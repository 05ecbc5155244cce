"""The books close exactly, whatever happens: random fills, fees, taxes, funding, borrow, dividends, transfers, FX
and marks.

The reference below is plain Python on fractions and lists; it shares no code with the kernels.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.arena import POSITION, Arena
from oneprice.core.instruments import Instrument
from oneprice.core.records import CAUSES, NO_PRICE, POSTING, ROUNDING
from oneprice.risk import accounts, attribution, close_check, ledger
from oneprice.risk.closure import balances, closure
from oneprice.risk.records import CURRENCY, N_CAUSES
from risk_bench import COIN, PERP, SECOND, SPOT, STOCK, bench, borrow, dividend, expiry, fill, funding, quote

LEGS: tuple[Instrument, ...] = (SPOT, PERP, COIN, STOCK)
MIDS = (6_000_000, 600_000, 600_000, 1_500)
N_STRATEGIES = 2


class Reference:
    """What each cause of each strategy and leg must be, in ledger units of the leg's currency."""

    def __init__(self) -> None:
        self.causes: dict[tuple[int, int, str], int] = defaultdict(int)
        self.pending: list[list[int]] = []  # strategy, leg, lots, mark2, due
        self.inventory: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.mids: dict[int, int] = {}

    @staticmethod
    def value(leg: int, lots: int, p2: int) -> int:
        one = LEGS[leg]
        price, lot = Fraction(one.tick) * p2 / 2, Fraction(one.lot)
        amount = -lots * lot / price if one.contract == "inverse" else lots * lot * price
        return round(amount * 10**8)

    def add(self, k: int, leg: int, cause: str, amount: int) -> None:
        self.causes[k, leg, cause] += amount

    def fill(
        self, k: int, leg: int, q: int, price: int, mid2: int, touch: int, now: int, maker: bool
    ) -> None:
        paid, at_touch = self.value(leg, q, 2 * price), self.value(leg, q, 2 * touch)
        self.add(k, leg, "edge", self.value(leg, q, mid2) - at_touch)
        self.add(k, leg, "slippage", at_touch - paid)
        fees = LEGS[leg].fees
        assert fees is not None
        rate = Fraction(str(fees.maker_bp if maker else fees.taker_bp)) / 10_000
        tax = Fraction(str(fees.buy_tax_bp if q > 0 else fees.sell_tax_bp)) / 10_000
        self.add(
            k, leg, "fee", -round(abs(paid) * rate) - round(Fraction(str(fees.per_lot)) * abs(q) * 10**8)
        )
        self.add(k, leg, "tax", -round(abs(paid) * tax))
        self.pending.append([k, leg, q, mid2, now + SECOND])

    def due(self, now: int) -> None:
        while self.pending and self.pending[0][4] <= now:
            self.join(self.pending.pop(0))

    def join(self, part: list[int]) -> None:
        k, leg, q, mark2, _ = part
        mid2 = self.mids[leg]
        self.add(k, leg, "adverse", self.value(leg, q, mid2) - self.value(leg, q, mark2))
        self.mark_inventory(k, leg)
        self.inventory[k, leg] = [self.inventory[k, leg][0] + q, mid2]

    def mark_inventory(self, k: int, leg: int) -> None:
        lots, mark2 = self.inventory[k, leg]
        mid2 = self.mids[leg]
        if lots:
            self.add(k, leg, "inventory", self.value(leg, lots, mid2) - self.value(leg, lots, mark2))
        self.inventory[k, leg] = [lots, mid2]

    def mark(self) -> None:
        for part in self.pending:
            k, leg, q, mark2, _ = part
            self.add(k, leg, "adverse", self.value(leg, q, self.mids[leg]) - self.value(leg, q, mark2))
            part[3] = self.mids[leg]
        for k, leg in list(self.inventory):
            self.mark_inventory(k, leg)

    def settle(self, leg: int) -> None:
        self.mark()
        self.pending = [part for part in self.pending if part[1] != leg]
        self.inventory = defaultdict(
            lambda: [0, 0], {at: held for at, held in self.inventory.items() if at[1] != leg}
        )

    def charge(self, leg: int, cause: str, rate_e12: int, mid2: int, lots: list[int]) -> None:
        for k, own in enumerate(lots):
            held = (max(-own, 0)) if cause == "borrow" else own
            notional = self.value(leg, held, mid2) * (-1 if LEGS[leg].contract == "inverse" else 1)
            self.add(k, leg, cause, -round(Fraction(notional * rate_e12, 10**12)))

    def dividend(self, leg: int, ticks_e12: int, lots: list[int]) -> None:
        if LEGS[leg].contract == "inverse":
            return
        amount = Fraction(ticks_e12, 10**12) * Fraction(LEGS[leg].tick) * Fraction(LEGS[leg].lot)
        for k, own in enumerate(lots):
            self.add(k, leg, "dividend", round(own * amount * 10**8))


legs = st.integers(0, 3)
step = st.one_of(
    st.tuples(
        st.just("fill"), legs, st.integers(-40, 40).filter(bool), st.integers(-30, 30), st.integers(0, 1)
    ),
    st.tuples(
        st.just("fill"), legs, st.integers(-40, 40).filter(bool), st.integers(-30, 30), st.integers(0, 1)
    ),
    st.tuples(st.just("quote"), legs, st.integers(-200, 200), st.integers(1, 9)),
    st.tuples(st.just("wait"), st.integers(1, 3 * SECOND)),
    st.tuples(st.just("funding"), legs, st.integers(-(10**9), 10**9)),
    st.tuples(st.just("borrow"), legs, st.integers(0, 10**9)),
    st.tuples(st.just("dividend"), legs, st.integers(0, 3 * 10**14)),
    st.tuples(st.just("fx"), st.integers(1, 2), st.integers(1, 10**14)),
    st.tuples(st.just("transfer"), st.integers(0, 2), st.integers(-(10**10), 10**10), st.integers(0, 999)),
    st.tuples(st.just("deposit"), st.integers(0, 2), st.integers(-(10**9), 10**12)),
    st.tuples(st.just("settle"), legs),
    st.tuples(st.just("mark")),
)


def play(arena: Arena, steps: list[tuple[Any, ...]], after: Any = lambda: None) -> Reference:
    """Run the steps on the kernels and on the reference."""
    s = arena.state[0]
    ref = Reference()
    for leg, mid in enumerate(MIDS):
        quote(arena, leg, mid, mid + 1)
        ref.mids[leg] = 2 * mid + 1
    positions = arena.section("positions", POSITION).reshape(N_STRATEGIES, -1)
    for name, *args in steps:
        now = int(s["now_ns"])
        if name == "fill":
            leg, q, away, k = args
            mid2 = ref.mids[leg]
            touch = mid2 // 2 + (1 if q > 0 else 0)
            price, maker = max(touch + away, 1), away % 2
            decided = mid2 + 2 * (away % 5)
            fill(arena, leg, q, price, mid2=decided, touch=touch, strategy=k, maker=maker)
            ref.fill(k, leg, q, price, decided, touch, now, bool(maker))
        elif name == "quote":
            leg, move, width = args
            bid = max(ref.mids[leg] // 2 + move, 1)
            quote(arena, leg, bid, bid + width)
            ref.mids[leg] = 2 * bid + width
        elif name == "wait":
            s["now_ns"] = now + args[0]
            attribution.due(s)
            ref.due(now + args[0])
        elif name == "funding":
            leg, rate = args
            ref.charge(
                leg, "funding", rate, 2 * (ref.mids[leg] // 2), [int(x) for x in positions[:, leg]["lots"]]
            )
            funding(arena, leg, rate, ref.mids[leg] // 2)
        elif name == "borrow":
            leg, rate = args
            ref.charge(leg, "borrow", rate, ref.mids[leg], [int(x) for x in positions[:, leg]["lots"]])
            borrow(arena, leg, rate)
        elif name == "dividend":
            leg, ticks_e12 = args
            ref.dividend(leg, ticks_e12, [int(x) for x in positions[:, leg]["lots"]])
            dividend(arena, leg, ticks_e12)
        elif name == "fx":
            ledger.set_fx(s, *args)
        elif name == "transfer":
            c, amount, fee = args
            ledger.on_transfer(s, c, 0, 1, amount, fee, 7)
        elif name == "settle":
            ref.settle(args[0])
            ledger.settle(s, args[0])
        elif name == "deposit":
            accounts.deposit(s, 2, *args)
        else:
            attribution.mark_all(s)
            ref.mark()
            after()
    attribution.mark_all(s)
    ref.mark()
    return ref


def new() -> Arena:
    return bench(LEGS, n_strategies=N_STRATEGIES, sink_rows=1 << 13)[0]


@settings(max_examples=120, deadline=None)
@given(st.lists(step, max_size=40))
def test_every_run_closes(steps: list[tuple[Any, ...]]) -> None:
    """Residuals are 0 after any history, each cause equals the reference, and the journal alone gives the
    balances.
    """
    arena = new()
    opening = arena.section("accounts", np.dtype("i8")).copy()

    def closed() -> None:
        assert {k: v for k, v in closure(arena).items() if v} == {}

    ref = play(arena, steps, closed)

    closed()
    assert close_check(arena) == 0
    positions = arena.section("positions", POSITION).reshape(N_STRATEGIES, -1)
    for k in range(N_STRATEGIES):
        for leg in range(len(LEGS)):
            for at, cause in enumerate(CAUSES):
                if cause != "rounding":
                    assert int(positions[k, leg]["causes"][at]) == ref.causes[k, leg, cause], (k, leg, cause)
    rows = arena.drain()
    assert (balances(rows, opening) == arena.section("accounts", np.dtype("i8"))).all()
    assert int(arena.section("accounts", np.dtype("i8")).sum()) == 0
    postings = rows[rows["kind"] == POSTING]
    assert len(postings) == int(arena.state[0]["ledger"]["n_postings"])


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=40))
def test_rounding_is_bounded(steps: list[tuple[Any, ...]]) -> None:
    """A rounding posting is at most one unit; only the gap of inverse parts pending together may be one a
    part.
    """
    arena = new()
    play(arena, steps)
    rows = arena.drain()
    postings = rows[rows["kind"] == POSTING]
    parts = 1 + sum(1 for one in steps if one[0] == "fill" and one[1] == 2)
    native_accounts = (1 + N_CAUSES) * 3 + 9 + 4
    before_native = False
    for row in postings:
        native = row["debit"] < native_accounts and row["credit"] < native_accounts
        translated = before_native and not native  # a native unit of rounding, in report units
        if row["code"] == ROUNDING and not translated:
            assert row["amount"] <= (parts if native and row["leg"] == 2 else 1), row
        before_native = native and row["code"] == ROUNDING


@settings(max_examples=25, deadline=None)
@given(st.lists(step, min_size=8, max_size=25), st.integers(0, 2**31))
def test_a_dropped_posting_is_found(steps: list[tuple[Any, ...]], pick: int) -> None:
    """Take back any one posting and the closure fails: no cause is what is left over."""
    arena = new()
    play(arena, [("fill", 2, 3, 5, 0), ("fill", 0, -2, 1, 1), *steps])
    assert close_check(arena) == 0
    rows = arena.drain()
    postings = rows[rows["kind"] == POSTING]
    balance = arena.section("accounts", np.dtype("i8"))
    for row in {pick % len(postings), 0, len(postings) - 1}:
        one = postings[row]
        balance[one["debit"]] -= one["amount"]
        balance[one["credit"]] += one["amount"]
        assert sum(map(abs, closure(arena).values())) > 0, one
        balance[one["debit"]] += one["amount"]
        balance[one["credit"]] -= one["amount"]
    assert sum(map(abs, closure(arena).values())) == 0


def test_report_equity_is_capital_plus_causes() -> None:
    """A worked case: coin profit, then the coin's rate moves; fx is the revaluation of what was earned."""
    arena = new()
    s = arena.state[0]
    quote(arena, 2, 600_000, 600_000)
    fill(
        arena, 2, 600, 600_000, mid2=1_200_000, touch=600_000, fee=0
    )  # 60,000 USD of coin contracts at 60,000
    quote(arena, 2, 750_000, 750_000)
    attribution.mark_all(s)
    earned = 20_000_000  # 60,000 x (1/60,000 - 1/75,000) = 0.2 BTC
    assert int(arena.section("currencies", CURRENCY)["equity"][1]) == earned
    assert accounts.equity(s) == (1_000_000 + 12_000) * 10**8
    ledger.set_fx(s, 1, 75_000 * 10**9)
    attribution.mark_all(s)
    assert accounts.equity(s) == (1_000_000 + 15_000) * 10**8
    assert accounts.cause_total(s, CAUSES.index("fx")) == 3_000 * 10**8
    assert accounts.cause_total(s, CAUSES.index("adverse")) == 12_000 * 10**8
    assert close_check(arena) == 0


def test_longs_pay_a_positive_rate() -> None:
    """Funding of 1 bp on 1 BTC long at 60,000 costs 6 USDT; a short earns it; inverse longs pay in coin."""
    arena = new()
    for leg, lots, want in ((1, 1000, -6 * 10**8), (1, -2000, 6 * 10**8), (2, 600, -10_000)):
        quote(arena, leg, 600_000, 600_000)
        fill(arena, leg, lots, 600_000, fee=0)
        before = int(arena.section("positions", POSITION)[leg]["causes"][6])
        funding(arena, leg, 100_000_000, 600_000)
        assert int(arena.section("positions", POSITION)[leg]["causes"][6]) - before == want
    assert close_check(arena) == 0


def test_settlement_closes_in_cash() -> None:
    """After expiry nothing is held, all value is cash, and a later mark moves nothing."""
    arena = new()
    s = arena.state[0]
    for leg in (1, 2):
        quote(arena, leg, 600_000, 600_001)
        fill(arena, leg, 7, 600_003, mid2=1_200_001, touch=600_001, strategy=1)
        fill(arena, leg, -3, 599_999, mid2=1_200_001, touch=600_000)
        expiry(arena, leg, 610_000)
    assert close_check(arena) == 0
    before = accounts.equity(s)
    assert (arena.section("positions", POSITION)["lots"] == 0).all()
    s["now_ns"] = 5 * SECOND
    attribution.due(s)
    for leg in (1, 2):
        quote(arena, leg, 500_000, 500_001)
    assert close_check(arena) == 0
    assert accounts.equity(s) == before
    assert int(s["ledger"]["n_early"]) == 0


def test_a_full_ring_marks_out_the_oldest() -> None:
    """More fills than the ring holds: the oldest leave early, are counted, and the books still close."""
    arena = bench(LEGS, n_strategies=N_STRATEGIES, markouts=4)[0]
    s = arena.state[0]
    for leg in (0, 2):
        quote(arena, leg, MIDS[leg], MIDS[leg] + 1)
    for n in range(10):
        fill(
            arena, 2 * (n % 2), 1, MIDS[2 * (n % 2)], mid2=2 * MIDS[2 * (n % 2)] + 1, touch=MIDS[2 * (n % 2)]
        )
    assert int(s["ledger"]["n_early"]) == 6
    assert close_check(arena) == 0


def test_fill_before_any_quote() -> None:
    """An order taken over without a decision: edge and slippage are 0, it is counted, and the last fill is
    the mark.
    """
    arena = new()
    fill(arena, 0, 5, 6_000_000, mid2=NO_PRICE, touch=NO_PRICE)
    assert int(arena.state[0]["ledger"]["n_unmarked"]) == 1
    assert close_check(arena) == 0
    causes = arena.section("positions", POSITION)[0]["causes"]
    assert list(causes[:4]) == [0, 0, 0, 0] and causes[4] < 0 and len(causes) == N_CAUSES
