"""The strategy on fixed slots, through the whole engine: when it fills, what it earns, what it does when slots go."""

from __future__ import annotations

import numpy as np
import pytest
import slot_kit as kit
from slot_kit import QUIET, fills_of, made, row_of, run_slots, slot, state_of, tied

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import BAR, COMMAND, REASONS, REFUSED, TOP
from oneprice.execution.latency import constant
from oneprice.market.bars import Ban
from oneprice.market.tape import join_events, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.risk.limits import Limits
from oneprice.signals import spread as spreads
from oneprice.signals.drift import watch
from oneprice.signals.slots import SLOT, Slot, pack
from oneprice.strategies import stat_arb

NAMES = ("A", "B")


def step_panel(z: list[float], sigma: float = 0.02, base: float = 50.0) -> np.ndarray:
    """Prices [n, 2] whose log spread A - B has these z-scores; B does not move."""
    b = np.full(len(z), base) * (1.0 + 1e-4 * (np.arange(len(z)) % 2))
    return np.column_stack([b * np.exp(sigma * np.array(z)), b])


def flat_then(*tail: float, n: int = 25) -> list[float]:
    return [0.3 * (-1) ** i for i in range(n)] + list(tail)


def test_a_decision_on_a_bar_fills_at_the_next_open_with_slippage() -> None:
    """z passes the entry on bar t: commands at t, fills at open(t + 1) plus slippage, known when bar t + 1 ends."""
    z = flat_then(1.0, 2.0, 1.9, 1.8, 1.0, -0.2, -0.1, 0.1, 0.0)
    close = step_panel(z)
    opens = close * (1.0 + 0.003 * np.sin(np.arange(len(z)))[:, None] * [1.0, -1.0])
    prices = made(close, NAMES)
    run, tapes = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, opens=opens, slippage_bp=5.0)
    sent = run.rows[run.rows["kind"] == COMMAND]
    decided = row_of(prices, sent["time_ns"])
    assert decided.tolist() == [26, 26, 30, 30] and z[26] >= 1.5 > z[25] and z[30] <= 0.0 < z[29]
    got = fills_of(run, prices)
    assert [(t, leg, np.sign(q)) for t, leg, q in got] == [(27, 0, -1), (27, 1, 1), (31, 0, 1), (31, 1, -1)]
    for fill, (t, leg, lots) in zip(run.fills(), got, strict=True):
        tick = float(str(tapes[leg].instrument.tick))
        opened = round(opens[t, leg] / tick)
        worse = np.ceil(opened * 5e-4 - 1e-9)
        assert int(fill["price"]) == opened + np.sign(lots) * worse, "the open of the next bar, slippage against us"
        assert int(fill["time_ns"]) == int(prices.time_ns[t]) + 1_000_000, "told when the bar is over"


@pytest.mark.parametrize("weights", [(1.0, -0.8), (1.0, -2.5)])
def test_level_package_earns_the_spread_in_units(weights: tuple[float, float]) -> None:
    """space="level": shares are held, so the P&L before costs is units x change of the spread, within a lot."""
    rng = np.random.default_rng(5)
    x = 40.0 + np.cumsum(rng.normal(0, 0.4, 400))
    s = tied(rng, 400, 0.0, 0.1, 0.5)[:, 0]
    close = np.column_stack([-weights[1] * x + 60.0 + s, x])
    prices = made(close, NAMES)
    one = slot(NAMES, weights, "level", centre=60.0, sigma=0.5 / np.sqrt(1 - np.exp(-0.2)), capital=200_000.0)
    run, _ = run_slots(prices, {30: [one]})
    trades = holdings(fills_of(run, prices))
    assert len(trades) >= 6
    relation = spreads.Spread(NAMES, weights, "level", 60.0)
    total = 0.0
    for first, last in trades:
        at = slice(first - 1, last)  # filled at the close decided on: the open of the next bar is the close before
        side = -np.sign(spreads.values(relation, close)[first - 1])
        sized = spreads.positions(relation, side * 200_000.0, close[first - 1])
        total += spreads.pnl(relation, sized, close[at])[-1]
        lots = [q for t, leg, q in fills_of(run, prices) if t == first]
        assert lots == [round(a / 0.01) for a in sized.amounts], "units held are the weights, to the nearest lot"
    assert run.pnl()["total"] == pytest.approx(total, rel=2e-4), "half a lot of 2,000 a leg"


@pytest.mark.parametrize("beta", [1.0, 0.6])
def test_log_package_rebalanced_earns_the_spread_in_values(beta: float) -> None:
    """space="log" with rebalance on every bar: the P&L is that of notionals kept, as `signals.spread` has it."""
    rng = np.random.default_rng(6)
    close = np.exp(tied(rng, 400, beta)) * [50.0, 30.0]
    prices = made(close, NAMES)
    centre = float(np.log(50.0) - beta * np.log(30.0))
    one = slot(NAMES, (1.0, -beta), centre=centre, capital=500_000.0, rebalance=1e-9)
    run, _ = run_slots(prices, {30: [one]})
    relation = spreads.Spread(NAMES, (1.0, -beta), "log", centre)
    total = 0.0
    trades = holdings(fills_of(run, prices))
    assert len(trades) >= 6 and any(last - first > 5 for first, last in trades)
    for first, last in trades:
        side = -np.sign(spreads.values(relation, close)[first - 1])
        sized = spreads.positions(relation, side * 500_000.0, close[first - 1])
        total += spreads.pnl(relation, sized, close[first - 1 : last])[-1]
    assert run.pnl()["total"] == pytest.approx(total, rel=1e-4)
    held = one_without_rebalance(prices, one)
    assert abs(held - total) > 1e-3 * abs(total), "a held log package is another trade: the test can fail"


def one_without_rebalance(prices: object, one: Slot) -> float:
    import msgspec

    run, _ = run_slots(prices, {30: [msgspec.structs.replace(one, rebalance=0.0)]})  # type: ignore[arg-type]
    return run.pnl()["total"]


def holdings(fills: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """(first row, row after the last) of each time something was held, flat to flat."""
    held = {0: 0, 1: 0}
    out, first = [], -1
    for t, leg, q in fills:
        if not any(held.values()):
            first = t
        held[leg] += q
        if not any(held.values()):
            out.append((first, t))
    return out


# ---------------------------------------------------------------- models that change
def test_a_dropped_slot_is_closed_on_both_legs() -> None:
    """A model without the slot arrives while it is held: both legs leave in one package, at the next open."""
    prices = made(step_panel(flat_then(2.0, 2.0, 2.1, 2.0, 2.1, 2.0, 2.1, 2.0, 2.1)), NAMES)
    one = slot(NAMES, (1, -1))
    run, _ = run_slots(prices, {20: [one], 28: []})
    got = fills_of(run, prices)
    assert [t for t, _, _ in got] == [26, 26, 29, 29]
    assert sum(q for _, leg, q in got if leg == 0) == sum(q for _, leg, q in got if leg == 1) == 0
    assert not (kit.book_of(run)["slot"]["id"] == one.id).any(), "closed, then forgotten"


def test_an_updated_slot_keeps_its_position_and_changes_when_flat() -> None:
    """A new version while a position is open: nothing is traded for it; once flat the new numbers are in force."""
    z = flat_then(2.0, 2.0, 2.1, 2.0, 1.0, -0.1, 0.2, 0.1, -0.1, 0.2)
    prices = made(step_panel(z), NAMES)
    one = slot(NAMES, (1, -1))
    new = slot(NAMES, (1, -1), entry=3.0, centre=0.001)
    run, _ = run_slots(prices, {20: [one], 27: [new]})
    assert [t for t, _, _ in fills_of(run, prices)] == [26, 26, 31, 31], "left where the old slot said"
    st = state_of(run, new)
    assert st["slot"]["entry"] == 3.0 and st["slot"]["version"] == 2 and st["entries"] == 1


def test_a_slot_that_comes_back_before_it_is_closed_goes_on() -> None:
    """Dropped and brought back within one bar: nothing was sent yet, nothing is left to close."""
    z = flat_then(*[2.0, 2.1] * 6)
    prices = made(step_panel(z), NAMES)
    one = slot(NAMES, (1, -1))
    run, _ = run_slots(prices, {20: [one], 29: (1, []), 32: (2, [one])})
    rows = [t for t, _, _ in fills_of(run, prices)]
    assert rows[:4] == [26, 26, 30, 30] and rows[4:6] == [34, 34], "closed, then entered anew as it is still far"


def test_a_leg_belongs_to_one_slot_at_a_time() -> None:
    """Two slots share a leg and both signal: the second waits until the first has left."""
    n = 60
    z = np.array(flat_then(*[2.0, 2.1] * 5, *[0.0, 0.3] * 3, *[2.0, 2.1] * 10, n=20)[:n])
    close = step_panel(list(z))
    prices = made(np.column_stack([close, close[:, 1] * 1.5 * np.exp(1e-5 * np.arange(len(z)))]), ("A", "B", "C"))
    first, second = slot(("A", "B"), (1, -1)), slot(("A", "C"), (1, -1), centre=float(np.log(1 / 1.5)))
    run, _ = run_slots(prices, {15: [first, second]})
    keys = {int(c["limit"]) for c in run.commands()}
    assert keys == {first.id}, "the first in the book has it whenever both want"
    assert state_of(run, second)["entries"] == 0


def test_three_and_four_legs_trade_as_one_package() -> None:
    """A basket is sized by its weights and opens and closes on one bar."""
    rng = np.random.default_rng(8)
    logs = np.cumsum(rng.normal(0, 0.01, (300, 4)), axis=0)
    s = tied(rng, 300, 0.0)[:, 0]
    logs[:, 0] = 0.5 * logs[:, 1] + 0.3 * logs[:, 2] - 0.2 * logs[:, 3] + s
    names = ("A", "B", "C", "D")
    prices = made(50.0 * np.exp(logs), names)
    weights = (1.0, -0.5, -0.3, 0.2)
    centre = float(np.log(50.0) * sum(weights))
    run, _ = run_slots(prices, {20: [slot(names, weights, centre=centre, capital=400_000.0)]})
    got = fills_of(run, prices)
    assert len(got) >= 8 and len(got) % 4 == 0
    t0 = got[0][0]
    opening = {leg: q for t, leg, q in got if t == t0}
    values = np.array([opening[i] * 0.01 * prices.close[t0 - 1, i] for i in range(4)])
    assert np.allclose(values / values[0], weights, rtol=1e-3) and abs(np.abs(values).sum() - 400_000.0) < 100.0


# ---------------------------------------------------------------- stops and monitors
def test_stop_time_stop_and_rearm() -> None:
    """Beyond the stop it leaves and does not come back until the spread has been home; so after `hold_steps`."""
    z = flat_then(2.0, 2.5, 3.1, 2.0, 2.2, 2.0, 0.1, 2.0, 2.1, 2.0, 2.2, 2.1, 2.0, 2.0)
    prices = made(step_panel(z), NAMES)
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1), stop=3.0, hold_steps=4)]})
    rows = [t for t, leg, _ in fills_of(run, prices) if leg == 0]
    assert rows == [26, 28, 33, 37], "in at 25, stopped at 27; home at 31, in at 32, out after four bars"
    assert state_of(run, slot(NAMES, (1, -1)))["stops"] == 2


def test_the_fan_stops_a_spread_that_does_not_revert() -> None:
    """z stays at its entry for long: E[z_t | z_0] has decayed, the fan is left, the trade ends before any stop."""
    z = flat_then(*[2.0, 2.05] * 25)
    prices = made(step_panel(z), NAMES)
    patient = slot(NAMES, (1, -1), kappa=0.15, kappa_se=0.01)
    fan = stat_arb(**watch.SILENT, fan_width=1.7, fan_steps=3)
    run, _ = run_slots(prices, {20: [patient]}, fan)
    rows = [t for t, leg, _ in fills_of(run, prices) if leg == 0]
    assert len(rows) == 2 and 5 < rows[1] - rows[0] < 35
    assert len(fills_of(*_again(prices, patient))) == 2, "without the fan it is still held at the end"


def _again(prices: object, one: Slot) -> tuple:
    run, _ = run_slots(prices, {20: [one]})  # type: ignore[arg-type]
    return run, prices


def test_a_monitor_closes_the_trade_and_asks_for_a_fit() -> None:
    """The mean of the spread shifts: CUSUM of its innovations fires, the slot is closed and not entered again."""
    rng = np.random.default_rng(4)
    close = np.exp(tied(rng, 300)) * [50.0, 50.0]
    close[180:, 0] *= np.exp(0.02 * np.minimum(np.arange(120), 10))  # two sigmas of its shocks a bar, for ten bars
    prices = made(close, NAMES)
    one = slot(NAMES, (1, -1), sigma=0.0235)
    run, _ = run_slots(prices, {20: [one]}, stat_arb(**{**watch.SILENT, "cusum_h": 8.0}))
    st = state_of(run, one)
    asked = run.rows[run.rows["kind"] == 10]
    assert st["broken"] == 1 and len(asked) >= 1
    fired = int(row_of(prices, asked["time_ns"][0]))
    assert 180 < fired < 200 and int(asked["a"][0]) == one.id
    assert all(t <= fired + 2 for t, _, _ in fills_of(run, prices))
    assert all(p["position_lots"] == 0 for p in run.engine.legs())


# ---------------------------------------------------------------- frictions
def test_a_missing_bar_is_not_looked_at_and_a_series_that_leaves_is_settled() -> None:
    """A bar of one leg alone decides nothing; a series gone for ten rows expires at its last price, the other leg
    is traded back, and the slot is not traded again.
    """
    z = flat_then(0.0, 2.0, 2.0, 2.1, 2.0, *[2.0, 2.1] * 20)
    close = step_panel(z)
    close[26, 0] = np.nan  # the bar that would have triggered
    close[30:, 0] = np.nan
    prices = made(close, NAMES)
    run, tapes = run_slots(prices, {20: [slot(NAMES, (1, -1))]})
    got = fills_of(run, prices)
    assert [t for t, _, _ in got][:2] == [28, 28], "decided on bar 27, the first with both"
    assert not (tapes[0].events["receive_ns"] > prices.time_ns[39]).any()
    assert got[2][:2] == (40, 1) or got[2][:2] == (41, 1), "the other leg is traded back at the next open"
    assert all(p["position_lots"] == 0 for p in run.engine.legs())
    assert len(got) == 3


def test_a_short_ban_is_a_refusal_and_the_pair_is_not_opened_one_legged() -> None:
    """During the ban the package is refused whole, with its reason; after it the pair is opened."""
    z = flat_then(*[2.0, 2.1] * 8)
    prices = made(step_panel(z), NAMES)
    day = [str(np.datetime64(int(prices.time_ns[i]), "ns"))[:10] for i in range(len(z))]
    ban = Ban(first=day[26], last=day[30], symbols=("A",))
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, bans=[ban])
    refused = run.rows[run.rows["kind"] == REFUSED]
    assert {REASONS[c] for c in refused["code"]} == {"short_ban"}
    assert row_of(prices, refused["time_ns"]).tolist() == [25, 26, 27, 28, 29], "sales that would fill on banned days"
    assert [t for t, _, _ in fills_of(run, prices)][:2] == [31, 31]


def test_costs_above_the_edge_keep_it_out() -> None:
    """|z - exit| sigma must exceed the round trip: with 60 bp a fill a two-sigma spread of 2 % is not entered."""
    prices = made(step_panel(flat_then(2.0, 2.1, 2.0, 2.1)), NAMES)
    cheap, _ = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, fees=Fees(maker_bp=0, taker_bp=10))
    dear, _ = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, fees=Fees(maker_bp=0, taker_bp=120))
    assert len(fills_of(cheap, prices)) == 2 and not fills_of(dear, prices)


def test_borrow_and_dividends_are_charged_to_the_short_leg() -> None:
    """Both come as events of the tape and stand in the P&L under their own names."""
    prices = made(step_panel(flat_then(*[2.0, 2.1] * 8)), NAMES)
    paid = {"A": [(int(prices.time_ns[30]), 0.5)]}
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, dividends=paid, borrow_bp_year=360.0)
    pnl = run.pnl()
    short = -next(q for _, leg, q in fills_of(run, prices) if leg == 0) * 0.01
    assert pnl["dividend"] == pytest.approx(-0.5 * short, rel=1e-9)
    nights = len(prices) - 1 - 26
    assert pnl["borrow"] == pytest.approx(-short * prices.close[30, 0] * 1e-4 * nights, rel=0.05)


# ---------------------------------------------------------------- ticks, dynamic hedge, rerun
def test_on_ticks_it_looks_once_a_step_and_only_at_fresh_quotes() -> None:
    """The same slot on quotes: decisions fall on the grid of its step; a stale leg stops them."""
    z = np.repeat(flat_then(2.0, 2.1, 2.0, 2.1, -0.1, 0.0, 0.1), 10)
    close = step_panel(list(z))
    base = made(close, NAMES)
    tapes = []
    for tape in kit.bar_tapes(base, fees=kit.FREE, opens="previous"):
        rows = join_events([tape.events])
        price = tape.events["close"].copy()
        rows["kind"] = TOP
        rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = price - 5, price + 5, 10**6, 10**6
        rows["receive_ns"] = rows["exchange_ns"] = tape.events["receive_ns"] // 86_400 + 1_700_000_000_000_000_000
        tapes.append(make_tape(tape.instrument, rows, header=tape.header))
    second = 1_000_000_000
    one = slot(NAMES, (1, -1), step_ns=10 * second)
    at = int(tapes[0].events["receive_ns"][5])
    fit = Fit(estimator=lambda w: pack([one], NAMES, 1), first_ns=at, every_ns=1 << 61, latency_ns=1_000)
    run = replay(QUIET, tapes, latency=constant(1_000, 1_000), fits=[fit], limits=Limits(price_band_bp=2000))
    sent = run.commands()
    assert len(sent) == 4 and len(run.fills()) == 4
    first_ns = int(tapes[0].events["receive_ns"][0])
    rows = (sent["time_ns"] - first_ns) // second
    assert z[rows[0]] == 2.0 and z[rows[2]] <= 0.0 and rows[0] - 250 < 10, "within a step of the signal"
    st = state_of(run, one)
    assert st["fan"]["n"] + 32 >= 30 and st["entries"] == 1


def test_a_dynamic_hedge_follows_a_drifting_ratio() -> None:
    """beta moves away from its fit, by 0.09 in 900 bars: the static slot loses, the dynamic one follows and earns."""
    rng = np.random.default_rng(11)
    n = 900
    beta = 1.0 + 1e-4 * np.arange(n)
    x = np.cumsum(rng.normal(0, 0.01, n)) + 3.0
    s = tied(rng, n, 0.0)[:, 0]
    y = beta * x + s
    close = np.exp(np.column_stack([y, x]))
    prices = made(close, NAMES)
    sigma = 0.01 / np.sqrt(1 - np.exp(-0.2))
    words = dict(sigma=sigma, rebalance=0.05, capital=100_000.0)
    dynamic = slot(NAMES, (1.0, -1.0), dynamic=True, q_beta=5e-4**2, beta_se=0.001, **words)
    run, _ = run_slots(prices, {30: [dynamic]})
    static, _ = run_slots(prices, {30: [slot(NAMES, (1.0, -1.0), **words)]})
    st = state_of(run, dynamic)
    assert abs(-st["slot"]["weight"][1] - beta[-1]) < 0.01 and st["entries"] > 5
    assert run.pnl()["total"] > 5_000 > 0 > static.pnl()["total"]


def test_a_recorded_run_reruns_byte_for_byte(tmp_path: object) -> None:
    """Models, slots and packages are in the journal: a rerun without an estimator leaves the same state."""
    rng = np.random.default_rng(3)
    prices = made(np.exp(tied(rng, 250)) * [50.0, 50.0], NAMES)
    tapes = kit.bar_tapes(prices, fees=kit.FREE)
    fit = Fit(
        estimator=lambda w: pack([slot(NAMES, (1, -1))], NAMES, 1), first_ns=int(prices.time_ns[20]),
        every_ns=1 << 61, latency_ns=1_000,
    )  # fmt: skip
    run = replay(stat_arb, tapes, latency=constant(1_000, 1_000), fits=[fit], out=str(tmp_path))
    assert len(run.commands()) > 4
    again = rerun(str(tmp_path), tapes=kit.bar_tapes(prices, fees=kit.FREE), strategies=[stat_arb])
    assert again.equal, str(again)


# ---------------------------------------------------------------- slots as nouns
def test_slots_that_cannot_be_traded_are_refused() -> None:
    """Each impossible slot is an error that names the field and what it holds."""
    bad = [
        (dict(weights=(1.0, 0.0)), "weight other than 0"),
        (dict(weights=(1.0,)), "weight other than 0"),
        (dict(symbols=("A", "A")), "different symbols"),
        (dict(space="logs"), "space"),
        (dict(sigma=0.0), "sigma"),
        (dict(kappa=float("nan")), "kappa"),
        (dict(exit=1.5), "exit < entry"),
        (dict(stop=1.0), "stop"),
        (dict(dynamic=True, weights=(2.0, -1.0)), "dynamic hedge"),
    ]
    for words, text in bad:
        given = dict(symbols=NAMES, weights=(1.0, -1.0), space="log", centre=0.0, sigma=0.02, kappa=0.1, entry=1.5)
        with pytest.raises(ConfigError, match=text):
            Slot(**{**given, **words})
    one = slot(NAMES, (1, -1))
    with pytest.raises(ConfigError, match="leg of a slot"):
        pack([one], ("A", "C"), 1)
    with pytest.raises(ConfigError, match="twice"):
        pack([one, slot(("B", "A"), (1, -1))], NAMES, 1)
    with pytest.raises(ConfigError, match="at most 16"):
        pack([slot((f"A{i}", "B"), (1, -1)) for i in range(17)], [*(f"A{i}" for i in range(17)), "B"], 1)


def test_the_id_is_of_the_relation_not_of_its_fit() -> None:
    """Same legs in any order, same space: one id; another space or leg: another. All fields are whole words."""
    a, b = slot(NAMES, (1, -1)), slot(("B", "A"), (1, -2), sigma=0.5)
    assert a.id == b.id != slot(NAMES, (1, -1), "level").id
    assert len({slot((f"S{i}", f"S{j}"), (1, -1)).id for i in range(40) for j in range(i)}) == 780
    assert SLOT.itemsize % 8 == 0 and all(SLOT[n].base.itemsize == 8 for n in SLOT.names or ())


def test_bars_have_no_price_of_the_future() -> None:
    """Ticks come from the first price, opens from the rule given; a panel's other rows have no say."""
    close = np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.02, (50, 2)), axis=0)) * [20.0, 0.3]
    whole = kit.bar_tapes(made(close, NAMES), fees=kit.FREE)
    half = kit.bar_tapes(made(close[:30], NAMES), fees=kit.FREE)
    for a, b in zip(whole, half, strict=True):
        assert a.instrument == b.instrument and a.events[:30].tobytes() == b.events.tobytes()
    bars = whole[0].events
    assert (bars["kind"] == BAR).all() and (bars["open_off"] == 0).all(), "the default waits for the next close"
    before = kit.bar_tapes(made(close, NAMES), fees=kit.FREE, opens="previous")[0].events
    opened = before["close"] + before["open_off"]
    assert (opened[1:] == before["close"][:-1]).all()


def test_borrow_and_dividends_are_in_the_story_and_overlay_of_their_package() -> None:
    """What a holding was charged and paid stands with the package that opened it, and in its strategy's overlay; the
    sums are the ledger's.
    """
    from oneprice.modes.explain import packages_of
    from oneprice.risk.closure import overlay_table

    prices = made(step_panel(flat_then(*[2.0, 2.1] * 8)), NAMES)
    paid = {"A": [(int(prices.time_ns[30]), 0.5)]}
    run, _ = run_slots(prices, {20: [slot(NAMES, (1, -1))]}, dividends=paid, borrow_bp_year=360.0)
    pnl = run.pnl()
    first, *others = packages_of(run.rows, run.manifest)
    assert first.borrow == pytest.approx(-pnl["borrow"], rel=1e-9) and first.borrow > 0.0
    assert first.dividend == pytest.approx(pnl["dividend"], rel=1e-9) and first.dividend < 0.0
    assert all(p.borrow == p.dividend == 0.0 for p in others)
    scale = 10.0 ** -run.engine.scales.scale[0]
    total = overlay_table(run.engine.arena)[0]
    assert total["borrow"] * scale == pytest.approx(first.borrow) and total["fees"] == 0
    assert total["dividend"] * scale == pytest.approx(first.dividend)
