"""Laws of term structure: nothing is opened inside a band, compiled or not, and every trade's P&L splits exactly."""

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
from oneprice.execution.intents import I_PACKAGE, INTENTS
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.settlements import settlements
from oneprice.signals.parity.relations import YEAR_NS, Relation, pack_relations
from oneprice.strategies import term_structure
from oneprice.study.term_curve import curve_value, day_curves
from oneprice.study.term_fit import StripRules
from oneprice.study.term_ladder import strip_ladder
from oneprice.study.term_replay import replay_term

SECOND = 10**9
NAMES = ("a", "b", "c")
ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip


def relation_of(kind: str, rng: np.random.Generator) -> Relation:
    """A random relation: some of its costs are 0, some bands have one side only."""
    cost, open_ = float(rng.choice([0.0, 0.3, 1.0])), float(rng.choice([0.0, 0.2]))
    common: dict[str, Any] = {"qty": 5.0, "cost": cost, "open": open_, "confirm": int(rng.integers(1, 3))}
    if kind == "carry":
        low = float(rng.uniform(-0.05, 0.02))
        return Relation(
            kind="carry", symbols=NAMES[:2], growth_low=low, growth_high=low + float(rng.uniform(0.0, 0.1)),
            store=float(rng.choice([0.0, 2.0])), two_sided=bool(rng.integers(2)), near_ns=int(rng.integers(2)) * SECOND,
            expiry_ns=YEAR_NS, **common,
        )  # fmt: skip
    if kind == "perpetual":
        ratio = 1.0 + float(rng.uniform(-0.002, 0.0))
        return Relation(kind="perpetual", symbols=NAMES[:2], growth_low=ratio, growth_high=2.0 - ratio, **common)
    low = float(rng.uniform(-2.0, 1.0))
    return Relation(
        kind="spread", symbols=NAMES, weights=(-1.0, 2.0, -1.0), low=low if rng.integers(2) else None,
        high=low + float(rng.uniform(0.0, 2.0)), **common,
    )  # fmt: skip


def script_of(rng: np.random.Generator, calls: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The model's event, then quotes of three legs: wide, narrow or crossed in themselves, some sides missing."""
    out = []
    views = np.zeros(3, VIEW)
    views["leg"], views["tick"], views["lot_qty"], views["min_qty"] = np.arange(3), 0.01, 1.0, 1.0
    views["bid_qty"] = views["ask_qty"] = 1_000.0
    views["stale_ns"] = 100 * SECOND
    views["bid"] = views["ask"] = math.nan
    for i in range(calls):
        event = np.zeros(1, EVENT)
        now = (i + 1) * SECOND
        event["receive_ns"], event["kind"] = now, MODEL if i == 0 else TOP
        if i:
            leg = int(rng.integers(3))
            mid, half = 100.0 + rng.normal(0.0, 2.0), abs(rng.normal(0.0, 0.3))
            half = -half if rng.random() < 0.1 else half  # a book crossed in itself
            views["bid"][leg], views["ask"][leg] = mid - half, mid + half
            if rng.random() < 0.05:
                views["bid"][leg] = math.nan
            views["quote_ns"][leg] = views["venue_ns"][leg] = now
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
            call(event.ctypes.data, seen.ctypes.data, 3, *(a.ctypes.data for a in (params, held, orders, guard)))
            assert guard[0]["guard"] != 0
        out.append(orders["intent"][0, : int(orders["count"][0])].copy())
    return out


def pays(r: Relation, side: int, views: np.ndarray) -> float:
    """What opening now (side -1 sells the relation) earns a unit beyond its band, from the touches alone."""
    bid, ask = views["bid"], views["ask"]
    if r.kind == "carry":
        years = (YEAR_NS - (r.near_ns or int(views["venue_ns"][0]))) / YEAR_NS
        if side < 0:
            store = r.store * years * math.exp(max(r.growth_high, 0.0) * years)
            return float(bid[1] - ask[0] * math.exp(r.growth_high * years) - store - r.cost)
        return float(bid[0] * math.exp(r.growth_low * years) - r.cost - ask[1]) if r.two_sided else -math.inf
    if r.kind == "perpetual":
        return float(bid[1] - ask[0] * r.growth_high - r.cost if side < 0 else bid[0] * r.growth_low - r.cost - ask[1])
    if side < 0:
        return float(2 * bid[1] - ask[0] - ask[2]) - (r.high or 0.0) - r.cost
    return (r.low - r.cost if r.low is not None else -math.inf) - float(2 * ask[1] - bid[0] - bid[2])


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["carry", "perpetual", "spread"]), seed=st.integers(0, 2**32 - 1))
def test_a_round_trip_inside_the_band_is_never_proposed(kind: str, seed: int) -> None:
    """Whatever the quotes: what is opened pays beyond the band at the touch after all costs; compiled = plain."""
    rng = np.random.default_rng(seed)
    r = relation_of(kind, rng)
    script = script_of(rng, 60)
    model = pack_relations([r], NAMES, 1)
    compiled = played(script, model, plain=False)
    assert [x.tobytes() for x in compiled] == [x.tobytes() for x in played(script, model, plain=True)]
    for (_, views), asked in zip(script, compiled, strict=True):
        for head in np.flatnonzero(asked["kind"] == I_PACKAGE):
            used = asked["leg"][head + 1 : head + 1 + len(r.symbols)]
            assert (views["bid"][used] <= views["ask"][used]).all(), "a crossed book or a missing side is no quote"
            second = asked[head + 2]  # leg 1 has a weight above 0 in each kind
            assert pays(r, int(second["side"]), views) > 0.0


def test_the_law_is_not_empty() -> None:
    """The random worlds above do open packages on both sides, of each kind."""
    seen: set[tuple[str, int]] = set()
    for kind in ("carry", "perpetual", "spread"):
        for seed in range(8):
            rng = np.random.default_rng(seed)
            r = relation_of(kind, rng)
            for asked in played(script_of(rng, 60), pack_relations([r], NAMES, 1), plain=False):
                seen |= {(kind, int(asked[h + 2]["side"])) for h in np.flatnonzero(asked["kind"] == I_PACKAGE)}
    assert seen == {(k, s) for k in ("carry", "perpetual", "spread") for s in (-1, 1)}


# ---------------------------------------------------------------- parts
def strip_of(seed: int, level: float, n_days: int = 120) -> Any:
    """Settlements of eight monthly contracts: a level, a slope and noise, below zero where the level is."""
    rng = np.random.default_rng(seed)
    ends = [20 + 30 * k for k in range(8)]
    chain = make_chain("XX", ends, boundary="upper", multiplier=1000.0, tick=0.01)
    days, symbols, price = [], [], []
    walk = level + np.cumsum(rng.normal(0.0, 1.0, n_days))
    slope = np.cumsum(rng.normal(0.0, 0.3, n_days))
    for t in range(n_days):
        if t % 7 >= 5:
            continue
        for c in chain.contracts:
            if c.last_trade_day >= t and rng.random() > 0.02:
                years = (c.last_trade_day - t) / 365.0
                days.append(t)
                symbols.append(c.symbol)
                price.append(round(walk[t] + (10.0 + slope[t]) * years + rng.normal(0.0, 0.6), 2) or 0.01)
    return settlements(chain, days, symbols, price, header=ABOUT)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), level=st.sampled_from([60.0, 2.0, -30.0]),
    kind=st.sampled_from(["calendar", "butterfly"]), lots=st.integers(1, 7),
)  # fmt: skip
def test_parts_sum_to_the_ledger_to_the_unit(seed: int, level: float, kind: str, lots: int) -> None:
    """The parts of all trades are the P&L of each leg in the ledger, negative prices included."""
    panel = strip_of(seed, level)
    rules = StripRules(kind=kind, lots=lots, storage=0.1, places=8, quantile=0.7, window_days=60)
    got = replay_term(panel, rules=rules, rate=0.05, fees=Fees(maker_bp=1, taker_bp="1.5", per_lot="2.5"), every_days=3)
    assert got.parts.exact, got.parts.gaps
    assert got.run.closes() == 0
    scale = got.run.engine.scales.scale[0]
    assert sum(t.total for t in got.parts.trades) == round(got.run.pnl()["total"] * 10**scale)
    assert len(got.parts.trades) > 0
    for trade in got.parts.trades:
        assert trade.units["cost"] < 0 or trade.fills == 0, "each trade pays its crossings"


def test_each_part_is_its_own_level() -> None:
    """A lot of one contract held over three days: parts by hand from the curve's formula and the rate, to a cent."""
    panel = strip_of(3, 60.0)
    curves = day_curves(panel.days, panel.price, panel.years_left())
    ladder = strip_ladder([panel], 0.05)
    from oneprice.market.settlement_tapes import settlement_tapes

    tape = settlement_tapes(panel, [panel.chain.contracts[4].symbol])[0]
    time_ns = tape.events["exchange_ns"].astype(np.int64)
    rows = tape.events["kind"] == TOP
    price = 0.005 * (tape.events["bid"] + tape.events["ask"])[rows]
    steps = ladder.steps(tape, time_ns[rows], price)
    have = np.flatnonzero(np.isfinite(panel.price[:, 4]))
    for t in (0, 5, 20):
        a, b = have[t], have[t + 1]
        dt = (panel.days[b] - panel.days[a]) / 365.0
        y = (panel.chain.contracts[4].last_trade_day - panel.days[a]) / 365.0
        model = [float(curve_value(curves.betas[d], np.array(x), 0.75)) for d, x in ((a, y), (a, y - dt), (b, y - dt))]
        assert abs(steps[t, 0] - price[t] * math.expm1(-0.05 * dt)) < 1e-12
        assert abs(steps[t, 1] - (model[1] - model[0])) < 1e-9
        assert abs(steps[t, 2] - (model[2] - model[0])) < 1e-9
        off = (price[t + 1] - model[2]) - (price[t] - model[0])
        assert abs((price[t + 1] - price[t]) - steps[t, 2] - off) < 1e-9, "what is left is the change of the residual"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_curve_is_least_squares(seed: int) -> None:
    """The kernel's betas are those of numpy's least squares; fewer than four prices have no curve."""
    rng = np.random.default_rng(seed)
    years, price = rng.uniform(0.0, 3.0, (3, 9)), rng.normal(0.0, 50.0, (3, 9))
    price[1, :6] = np.nan
    price[2, 0] = np.nan
    got = day_curves(np.arange(3), price, years)
    assert np.isnan(got.betas[1]).all()
    for t in (0, 2):
        keep = np.isfinite(price[t])
        columns = [curve_value(np.eye(3)[k], years[t, keep], got.decay_years) for k in range(3)]
        want, *_ = np.linalg.lstsq(np.column_stack(columns), price[t, keep], rcond=None)
        fit = got.value(t, years[t, keep])
        assert np.allclose(fit, np.column_stack(columns) @ want, atol=1e-6 * np.abs(price[t, keep]).max())
