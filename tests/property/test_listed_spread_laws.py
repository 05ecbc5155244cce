"""Laws of listed spreads: nothing opened inside the band, the P&L of two legs to the unit, told in two contracts."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.core.instruments import Fees
from oneprice.core.plain import plain_event
from oneprice.core.records import EVENT, MODEL, TOP, VIEW
from oneprice.engine.entry import compile_entry
from oneprice.engine.state import STRATEGY
from oneprice.execution.intents import I_CANCEL_ALL, I_TARGET, INTENTS
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.settlement_tapes import HalfSpread
from oneprice.market.settlements import Settlements, settlements
from oneprice.market.spread_tapes import SpreadMarket
from oneprice.signals.parity.relations import ONE_LEG, YEAR_NS, Relation, pack_relations
from oneprice.strategies import term_structure
from oneprice.study.term_fit import StripRules
from oneprice.study.term_parts import PARTS
from oneprice.study.term_replay import TermRun, replay_term

SECOND = 10**9
NAMES = ("near", "far-near")
FREE = HalfSpread(by_place=(0.0,) * 5)
NOTHING = Fees(maker_bp=0, taker_bp=0)
ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip


def relation_of(rng: np.random.Generator) -> Relation:
    """A random listed relation: costs and storage may be 0, the lower bound may be missing, rates negative."""
    low = float(rng.uniform(-0.05, 0.02))
    return Relation(
        kind="listed", symbols=NAMES, weights=ONE_LEG, qty=5.0, growth_low=low,
        growth_high=low + float(rng.uniform(0.0, 0.1)), store=float(rng.choice([0.0, 2.0])),
        cost=float(rng.choice([0.0, 0.3, 1.0])), open=float(rng.choice([0.0, 0.2])), confirm=int(rng.integers(1, 3)),
        two_sided=bool(rng.integers(2)), near_ns=SECOND, expiry_ns=YEAR_NS, apart_ns=int(rng.choice([0, 2])) * SECOND,
    )  # fmt: skip


def script_of(rng: np.random.Generator, level: float, calls: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The model, then quotes of the near contract and of the spread around 0; what is held changes between calls."""
    out = []
    views = np.zeros(2, VIEW)
    views["leg"], views["tick"], views["lot_qty"], views["min_qty"] = np.arange(2), 0.01, 1.0, 1.0
    views["bid_qty"] = views["ask_qty"] = 1_000.0
    views["stale_ns"] = 100 * SECOND
    views["bid"] = views["ask"] = math.nan
    for i in range(calls):
        event = np.zeros(1, EVENT)
        now = (i + 1) * SECOND
        event["receive_ns"], event["kind"] = now, MODEL if i == 0 else TOP
        if i:
            leg = int(rng.integers(2))
            mid, half = (level if leg == 0 else 0.0) + rng.normal(0.0, 2.0), abs(rng.normal(0.0, 0.3))
            half = -half if rng.random() < 0.1 else half  # a book crossed in itself
            views["bid"][leg], views["ask"][leg] = mid - half, mid + half
            if rng.random() < 0.05:
                views["bid"][leg] = math.nan
            views["quote_ns"][leg] = views["venue_ns"][leg] = now
            views["position_lots"][1] = int(rng.choice([0, 0, 5, -5, 3, -2]))
            views["position"][1] = views["position_lots"][1]
            event["leg"] = leg
        out.append((event, views.copy()))
    return out


def played(script: list[tuple[np.ndarray, np.ndarray]], model: dict[str, Any], plain: bool) -> list[np.ndarray]:
    """Intents of each call, uncompiled or by the address the engine calls."""
    chosen = term_structure(slip_bp=0.0)
    params, held, orders = chosen.values.copy(), np.zeros(1, chosen.memory), np.zeros(1, INTENTS)
    held["model"]["relations"] = model["relations"]
    guard, out = np.zeros(1, STRATEGY), []
    call = ctypes.CFUNCTYPE(None, *(ctypes.c_ssize_t,) * 7)(compile_entry(chosen).address)
    for event, views in script:
        orders["count"] = 0
        if plain:
            records = [a.view(np.recarray)[0] for a in (params, held, orders)]
            chosen.function(plain_event(event), views.copy().view(np.recarray), *records)
        else:
            seen = views.copy()
            call(event.ctypes.data, seen.ctypes.data, 2, *(a.ctypes.data for a in (params, held, orders, guard)))
            assert guard[0]["guard"] != 0
        out.append(orders["intent"][0, : int(orders["count"][0])].copy())
    return out


def pays(r: Relation, side: int, views: np.ndarray) -> float:
    """What opening now earns a unit after all costs: sold, the near contract is carried into the later one."""
    years = (YEAR_NS - r.near_ns) / YEAR_NS
    near = 0.5 * float(views["bid"][0] + views["ask"][0])
    interest = max(near, 0.0)
    if side < 0:
        carried = interest * (math.exp(r.growth_high * years) - 1.0)
        stored = r.store * years * math.exp(max(r.growth_high, 0.0) * years)
        return float(views["bid"][1]) - carried - stored - r.cost
    lent = interest * (math.exp(r.growth_low * years) - 1.0)
    return lent - r.cost - float(views["ask"][1]) if r.two_sided else -math.inf


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), level=st.sampled_from([100.0, 1.0, -40.0]))
def test_a_listed_round_trip_inside_the_band_is_never_proposed(seed: int, level: float) -> None:
    """What is opened pays at the touch after all costs; the near contract is never traded; compiled = plain."""
    rng = np.random.default_rng(seed)
    r = relation_of(rng)
    script = script_of(rng, level, 60)
    model = pack_relations([r], NAMES, 1)
    compiled = played(script, model, plain=False)
    assert [x.tobytes() for x in compiled] == [x.tobytes() for x in played(script, model, plain=True)]
    for (_, views), asked in zip(script, compiled, strict=True):
        for one in asked[asked["kind"] != I_CANCEL_ALL]:
            assert one["kind"] == I_TARGET and one["leg"] == 1, "one order in the spread, no package, no near leg"
            have, want = float(views["position"][1]), float(one["qty"])
            assert np.isfinite(views["bid"]).all() and np.isfinite(views["ask"]).all(), "a missing side is no quote"
            if abs(want) > abs(have) or want * have < 0:
                assert abs(want) <= r.qty
                assert want * have >= 0, "a turn is closed first"
                assert pays(r, 1 if want > 0 else -1, views) > -1e-9


def test_the_listed_law_is_not_empty() -> None:
    """The random worlds above open both ways, close, and forget their targets when a model comes."""
    opened, closed, forgot = set[int](), 0, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        r = relation_of(rng)
        script = script_of(rng, 100.0, 60)
        for (_, views), asked in zip(script, played(script, pack_relations([r], NAMES, 1), plain=False), strict=True):
            forgot += int((asked["kind"] == I_CANCEL_ALL).sum())
            for one in asked[asked["kind"] == I_TARGET]:
                have, want = float(views["position"][1]), float(one["qty"])
                opened |= {int(np.sign(want))} if abs(want) > abs(have) else set()
                closed += int(abs(want) < abs(have))
    assert opened == {-1, 1} and closed > 0 and forgot == 12


# ---------------------------------------------------------------- through the engine
def strip_of(seed: int, level: float, holes: float = 0.0, n_days: int = 120) -> Settlements:
    """Settlements of eight monthly contracts: a level, a slope and noise, below zero where the level is."""
    rng = np.random.default_rng(seed)
    chain = make_chain("XX", [20 + 30 * k for k in range(8)], boundary="two_sided", multiplier=1000.0, tick=0.01)
    rows: list[tuple[int, str, float]] = []
    walk = level + np.cumsum(rng.normal(0.0, 1.0, n_days))
    slope = np.cumsum(rng.normal(0.0, 0.3, n_days))
    for t in range(n_days):
        if t % 7 >= 5:
            continue
        for c in chain.contracts:
            if c.last_trade_day >= t and rng.random() >= holes:
                years = (c.last_trade_day - t) / 365.0
                rows.append((t, c.symbol, round(walk[t] + (5.0 + slope[t]) * years + rng.normal(0.0, 0.6), 2) or 0.01))
    return settlements(chain, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], header=ABOUT)


def replayed(panel: Settlements, spread: str, **how: Any) -> TermRun:
    lots = how.pop("lots", 3)
    rules = StripRules(spread=spread, lots=lots, storage=0.1, lease=0.0, places=8)
    return replay_term(panel, rules=rules, rate=0.05, every_days=3, **how)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), level=st.sampled_from([60.0, 2.0, -30.0]), finer=st.sampled_from([1, 5]))
def test_without_costs_a_listed_spread_is_its_two_legs(seed: int, level: float, finer: int) -> None:
    """No half spread, no fee: the same trades, and of each the same parts of the same contracts, to the unit."""
    panel = strip_of(seed, level)
    two = replayed(panel, "legs", half_spread=FREE, fees=NOTHING)
    market = SpreadMarket(tick=0.01 / finer, half_spread=FREE)
    one = replayed(panel, "listed", half_spread=FREE, market=market, fees=NOTHING)
    assert len(two.parts.trades) > 3 and two.parts.exact and one.parts.exact
    scale = 10 ** (two.run.engine.scales.scale[0] - one.run.engine.scales.scale[0])
    assert two.parts.unit * scale == one.parts.unit == 1e-8
    assert [(t.first_ns, t.last_ns) for t in two.parts.trades] == [(t.first_ns, t.last_ns) for t in one.parts.trades]
    for a, b in zip(two.parts.trades, one.parts.trades, strict=True):
        assert b.by_leg.pop(b.legs[0]) == dict.fromkeys(PARTS, 0), "without a half spread a fill costs nothing"
        assert a.by_leg == b.by_leg and a.total == b.total
        assert a.fills == 2 * b.fills
    assert two.run.pnl()["total"] == one.run.pnl()["total"]


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), level=st.sampled_from([60.0, -30.0]), lots=st.integers(1, 7),
    holes=st.sampled_from([0.0, 0.1]), finer=st.sampled_from([1, 2]),
)  # fmt: skip
def test_parts_of_listed_trades_sum_to_the_ledger(seed: int, level: float, lots: int, holes: float, finer: int) -> None:
    """With costs, holidays of one leg and a tick of its own: parts are the ledger's P&L of each spread to the unit."""
    panel = strip_of(seed, level, holes)
    market = SpreadMarket(tick=0.01 / finer)
    got = replayed(panel, "listed", market=market, fees=Fees(maker_bp=0, taker_bp=0, per_lot="2.35"), lots=lots)
    assert got.parts.exact, got.parts.gaps
    assert got.run.closes() == 0 and len(got.parts.trades) > 0
    scale = got.run.engine.scales.scale[0]
    assert sum(t.total for t in got.parts.trades) == round(got.run.pnl()["total"] * 10**scale)
    for trade in got.parts.trades:
        assert len(trade.legs) == 1 and len(trade.by_leg) == 3, (
            "one leg traded; told in its two contracts and its fills"
        )
        assert trade.units["cost"] < 0
    told = got.crossings
    assert told is not None
    assert -got.parts.totals()["cost"] <= told.listed + 1e-6, "where all filled at the settlement they are equal"
    assert holes > 0 or abs(got.parts.totals()["cost"] + told.listed) < 1e-6
    assert told.as_legs > told.listed * (1.0 if finer == 1 else 1.2)
