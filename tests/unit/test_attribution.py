"""Worked cases of the split of P&L, the package overlay, and mutants that each drop one posting."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from oneprice.core.arena import POSITION, Arena
from oneprice.core.errors import ConfigError
from oneprice.core.records import CAUSES, EQUITY, LEG, NO_PRICE
from oneprice.risk import (
    account_names,
    accounts,
    attribution,
    attribution_table,
    close_check,
    init,
    ledger,
    overlay_table,
)
from oneprice.risk import overlay as packages
from oneprice.risk.closure import balances, closure
from oneprice.risk.records import CURRENCY
from risk_bench import COIN, FREE, PERP, SECOND, SPOT, STOCK, bench, event, event_at, fill, quote

E8 = 10**8


def causes(arena: Arena, leg: int, strategy: int = 0) -> dict[str, int]:
    """Ledger units by cause of a strategy and leg, zeros left out."""
    row = arena.section("positions", POSITION).reshape(-1, int(arena.state[0]["n_legs"]))[strategy, leg]
    return {cause: int(x) for cause, x in zip(CAUSES, row["causes"], strict=True) if x}


def test_a_fill_telescopes() -> None:
    """Buy 10 lots (0.01 BTC) at 60,000.3: the touch cost half a tick, latency 2 ticks, 5 adverse, 7 back."""
    arena, _ = bench()
    s = arena.state[0]
    quote(arena, 1, 600_000, 600_001)
    fill(arena, 1, 10, 600_003, mid2=1_200_001, touch=600_001, fee=0)
    tick = 10 * 2 * 5_000  # ledger units of a tick on 10 lots
    assert causes(arena, 1) == {"edge": -tick // 2, "slippage": -2 * tick}
    quote(arena, 1, 599_998, 599_999)
    attribution.mark_all(s)
    assert causes(arena, 1)["adverse"] == -2 * tick
    s["now_ns"] = SECOND
    quote(arena, 1, 599_995, 599_996)
    attribution.due(s)
    assert causes(arena, 1)["adverse"] == -5 * tick
    quote(arena, 1, 600_002, 600_003)
    attribution.mark(s, 1)
    assert causes(arena, 1)["inventory"] == 7 * tick
    assert sum(causes(arena, 1).values()) == -tick // 2  # bought at 600,003, worth 600,002.5
    assert close_check(arena) == 0


def test_nothing_due_before_the_horizon() -> None:
    """next_due_ns is the first horizon, and stands at never when no fill is pending."""
    arena, _ = bench()
    s = arena.state[0]
    never = int(s["ledger"]["next_due_ns"])
    quote(arena, 1, 600_000, 600_001)
    s["now_ns"] = 5
    fill(arena, 1, 1, 600_001, mid2=1_200_001, touch=600_001)
    s["now_ns"] = 9
    fill(arena, 1, 1, 600_001, mid2=1_200_001, touch=600_001)
    assert int(s["ledger"]["next_due_ns"]) == SECOND + 5
    s["now_ns"] = SECOND + 5
    attribution.due(s)
    assert int(s["ledger"]["next_due_ns"]) == SECOND + 9
    s["now_ns"] = SECOND + 9
    attribution.due(s)
    assert int(s["ledger"]["next_due_ns"]) == never > 2**62


def test_fee_is_what_the_venue_says() -> None:
    """A stated fee wins over the schedule, a rebate is negative, taxes come on top."""
    arena, _ = bench((PERP, STOCK))
    quote(arena, 0, 600_000, 600_001)
    fill(arena, 0, 10, 600_000, mid2=1_200_000, touch=600_000, fee=-77)
    assert causes(arena, 0)["fee"] == 77
    fill(arena, 0, 10, 600_000, mid2=1_200_000, touch=600_000, maker=1)
    assert causes(arena, 0)["fee"] == 77 + 3_000_000  # half a basis point of 600 back
    quote(arena, 1, 1_500, 1_500)
    fill(arena, 1, -2, 1_500, mid2=3_000, touch=1_500)
    assert causes(arena, 1) == {"fee": -60 * 10**6 - 60 * 10**6, "tax": -150 * 10**6}


def test_package_overlay_splits_legging() -> None:
    """Spot bought at once, the perp hedged a second later, 5.0 lower and 0.2 through the touch.

    Planned 0.099 USDT on 0.01 BTC, realised 0.047: the market took 0.050 and execution 0.002, while 600 USDT
    stood naked for a second.
    """
    arena, _ = bench()
    s = arena.state[0]
    quote(arena, 0, 6_000_000, 6_000_010)
    quote(arena, 1, 600_100, 600_101)
    packages.package_open(s, 7, 1234, 0)
    packages.package_plan(s, 7, 0, 1000, 6_000_010, 12_000_010)
    packages.package_plan(s, 7, 1, -10, 600_100, 1_200_201)
    fill(arena, 0, 1000, 6_000_010, mid2=12_000_010, touch=6_000_010, package=7, fee=5)
    s["now_ns"] = SECOND
    fill(arena, 1, -10, 600_048, mid2=1_200_101, touch=600_050, package=7, fee=6)
    total, row = overlay_table(arena)
    assert row["ref"] == 1234 and row["n_fills"] == 2 and row["fees"] == 11
    assert row["planned"] == row["planned_filled"] == 9_900_000
    assert row["realised"] == 4_700_000
    assert (row["market"], row["execution"], row["legging"]) == (-5_000_000, -200_000, -5_200_000)
    assert row["realised"] - row["planned_filled"] == row["legging"]
    assert row["worst_naked_value"] == 60_000_050_000
    assert row["naked_value_s"] == pytest.approx(60_000_050_000)
    assert int(s["ledger"]["packages"]["naked_value"][7]) == 60_000_050_000 - 60_010_050_000
    assert {name: total[name] for name in ("packages", "legging", "fees")} == {
        "packages": 1,
        "legging": -5_200_000,
        "fees": 11,
    }
    packages.package_close(s, 7)
    packages.package_open(s, 7, 1298, 0)
    (closed, _) = overlay_table(arena)
    assert closed["packages"] == 2 and closed["legging"] == -5_200_000
    assert close_check(arena) == 0


def test_equity_rows_carry_all_causes() -> None:
    """The four EQUITY rows: equity, then eleven causes that sum to equity minus capital."""
    arena, _ = bench((SPOT, COIN), capital=1_000)
    s = arena.state[0]
    quote(arena, 1, 600_000, 600_001)
    fill(arena, 1, 50, 600_001, mid2=1_200_001, touch=600_001)
    ledger.set_fx(s, 1, 59_000 * 10**9)
    attribution.mark_all(s)
    attribution.emit_equity(s)
    rows = arena.drain()
    rows = rows[rows["kind"] == EQUITY]
    assert list(rows["code"]) == [0, 1, 2, 3]
    parts = [int(row[name]) for row in rows[1:] for name in "abcde"][: len(CAUSES)]
    assert sum(parts) == int(rows[0]["a"]) - 1_000 * E8 == accounts.equity(s) - 1_000 * E8
    assert parts[0] == accounts.cause_total(s, 0) != 0


def test_table_sums_exactly() -> None:
    """Rows by strategy, leg and cause add up to equity minus capital, with fx of no strategy."""
    arena, scales = bench((SPOT, COIN, STOCK), n_strategies=2, capital=10)
    s = arena.state[0]
    for leg, mid in enumerate((6_000_000, 600_000, 1_500)):
        quote(arena, leg, mid, mid + 1)
        fill(arena, leg, 7, mid + 3, mid2=2 * mid + 1, touch=mid + 1, strategy=leg % 2)
    accounts.deposit(s, 1, 1, E8)
    ledger.set_fx(s, 1, 61_234 * 10**9 + 567)
    attribution.mark_all(s)
    rows = attribution_table(arena, scales)
    capital = 10 * E8 + 60_000 * E8
    assert sum(row["units"] for row in rows) == accounts.equity(s) - capital
    assert sum(row["amount"] for row in rows) == scales.amount("USDT", accounts.equity(s) - capital)
    assert {(row["strategy"], row["symbol"]) for row in rows if row["cause"] == "fx"} == {(-1, "")}
    assert {row["symbol"] for row in rows if row["cause"] == "fee"} == set(scales.symbols)


def test_rate_from_a_leg() -> None:
    """A leg that quotes a currency sets its rate: mid x tick, in billionths."""
    arena, _ = bench((SPOT, COIN))
    arena.section("legs", LEG)["fx_currency"][0] = 1
    ledger.set_fx_from_leg(arena.state[0], 0)  # no quote yet: the rate stays
    rates = arena.section("currencies", CURRENCY)
    assert int(rates["rate_e9"][1]) == 60_000 * 10**9
    quote(arena, 0, 6_100_000, 6_100_001)
    ledger.set_fx_from_leg(arena.state[0], 0)
    assert int(rates["rate_e9"][1]) == 61_000_005_000_000


def test_accounts_have_names_and_capital_has_places() -> None:
    """One name an account; opening capital by venue; a venue that is not there is refused."""
    arena, scales = bench((SPOT, COIN), capital=0)
    names = account_names(scales)
    assert len(names) == int(arena.state[0]["ledger"]["n_accounts"]) == len(set(names))
    init(arena, FREE, (SPOT, COIN), scales, capital={"a": 3, "b": "4.5"}, fx={"BTC": 60_000})
    balance = dict(zip(names, arena.section("accounts", np.dtype("i8")).tolist(), strict=True))
    assert (balance["cash/a/USDT"], balance["cash/b/USDT"], balance["capital/USDT"]) == (
        3 * E8,
        45 * E8 // 10,
        -75 * E8 // 10,
    )
    assert close_check(arena) == 0
    with pytest.raises(ConfigError, match="unknown venue of capital 'aa'"):
        init(arena, FREE, (SPOT, COIN), scales, capital={"aa": 1}, fx={"BTC": 60_000})
    with pytest.raises(ConfigError, match="expected 0 or more"):
        init(arena, FREE, (SPOT, COIN), scales, capital=-1, fx={"BTC": 60_000})


def test_doubled_postings_are_refused() -> None:
    """A POSTING row from an account to itself, or of nothing, is no posting."""
    arena, _ = bench()
    fill(arena, 0, 1, 6_000_000)
    rows = arena.drain()
    rows["credit"][0] = rows["debit"][0]
    with pytest.raises(ConfigError, match="between two accounts"):
        balances(rows, np.zeros(200, np.int64))


# ---------------------------------------------------------------- mutants

NAMES = ("accounts", "attribution", "overlay", "ledger")


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, ModuleType], list[str]]]:
    """The risk kernels with a switch at each call of `gain` and `post`: K drops the K-th posting."""
    folder = tmp_path_factory.mktemp("mutants")
    sites: list[str] = []
    loaded: dict[str, ModuleType] = {}

    def switch(match: re.Match[str]) -> str:
        sites.append(f"{name}: {match[2]}")
        return f"{match[1]}if s.gate.residual_age_value != {len(sites)}:\n{match[1]}    {match[2]}"

    for name in NAMES:
        text = Path(str(sys.modules[f"oneprice.risk.{name}"].__file__)).read_text(encoding="utf-8")
        text = re.sub(r"(?m)^( +)((?:gain|post)\(s, .*\))$", switch, text)
        for other in NAMES:
            text = text.replace(f"oneprice.risk.{other} ", f"mutant_{other} ")
        path = folder / f"mutant_{name}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(f"mutant_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"mutant_{name}"] = loaded[name] = module
        spec.loader.exec_module(module)
    yield loaded, sites
    for name in NAMES:
        del sys.modules[f"mutant_{name}"]


@pytest.mark.slow
def test_every_dropped_posting_fails_the_closure(mutants: tuple[dict[str, ModuleType], list[str]]) -> None:
    """Remove any single posting from the source and the books no longer close; with all of them they do."""
    modules, sites = mutants
    assert len(sites) >= 20
    play = _scenario(modules)

    assert play(0) == 0
    survivors = [site for k, site in enumerate(sites, 1) if play(k) == 0]
    assert "; ".join(survivors) == ""


def _scenario(modules: dict[str, ModuleType]) -> Any:
    """A history that reaches every posting, on the mutated kernels: its residual with posting k dropped."""
    book, split, money = modules["ledger"], modules["attribution"], modules["accounts"]

    @numba.njit
    def on_fill(s: Any, ev: int, mid2: int, touch: int) -> None:
        book.on_fill(s, event_at(ev), 0, mid2, touch, 0, -1)

    @numba.njit
    def on_funding(s: Any, ev: int) -> None:
        book.on_funding(s, event_at(ev))

    @numba.njit
    def on_expiry(s: Any, ev: int) -> None:
        book.on_expiry(s, event_at(ev))

    def residual(arena: Arena) -> int:
        split.mark_all(arena.state[0])
        return sum(abs(x) for x in closure(arena).values())

    def play(k: int) -> int:
        arena, _ = bench((SPOT, COIN, STOCK), n_strategies=2)
        s = arena.state[0]
        s["gate"]["residual_age_value"] = k
        money.deposit(s, 1, 1, 12_345)
        lost = 0
        for turn in range(30):
            for leg, bid in enumerate((6_000_000, 600_000, 1_500)):
                quote(arena, leg, bid + turn * 7, bid + 1 + turn * 7)
                touch = bid + 1 + turn * 7
                side = -1 if turn % 3 == 2 else 1
                ev = event(leg=leg, side=side, price=touch + 2, qty=3 + turn % 5)
                on_fill(s, ev.ctypes.data, 2 * touch - 1, touch)
            if turn % 4 == 1:
                lost += residual(arena)
            s["now_ns"] += SECOND // 3
            split.due(s)
            book.set_fx(s, 1, (60_000 + turn) * 10**9 + 123_456_789)
        for _ in range(3):  # three single coin contracts of a strategy of its own: thirds of a unit
            second(s, event(leg=1, side=1, price=600_003, qty=1).ctypes.data)
        quote(arena, 1, 600_000, 600_000)
        lost += residual(arena)
        for rate in range(10):
            on_funding(s, event(leg=1, rate_e12=123_456 * (7 + rate), mark=600_000).ctypes.data)
            lost += residual(arena)
        book.on_transfer(s, 1, 1, 0, 555, 3, 9)
        book.on_charge(s, 1, 1, 7, -77, 9)
        on_expiry(s, event(leg=1, price=600_000).ctypes.data)
        return lost + residual(arena)

    @numba.njit
    def second(s: Any, ev: int) -> None:
        book.on_fill(s, event_at(ev), 1, NO_PRICE, NO_PRICE, 0, -1)

    return play
