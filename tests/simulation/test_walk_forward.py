"""The walk-forward as a whole: nothing looks ahead, planted relations are found and pay, walks cost, breaks end."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from slot_kit import DAY, gappy, made, tied

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import CAUSES, REFIT
from oneprice.market.prices import Prices, load
from oneprice.signals.drift import watch
from oneprice.strategies import stat_arb
from oneprice.study.walk_estimator import later, span
from oneprice.study.walk_fit import PairSelection, usable
from oneprice.study.walk_forward import walk_forward
from oneprice.study.walk_report import WalkForward

NAMES = tuple("ABCDEFGH")
CHEAP = Fees(maker_bp=0, taker_bp=2)


def world(seed: int, n: int = 520, pairs: int = 2, walks: int = 4, kappa: float = 0.15) -> np.ndarray:
    """Prices [n, 2 pairs + walks]: cointegrated pairs first, then unrelated walks."""
    rng = np.random.default_rng(seed)
    logs = [tied(rng, n, kappa=kappa, noise=0.012) for _ in range(pairs)]
    logs.append(np.cumsum(rng.normal(0, 0.01, (n, walks)), axis=0))
    return 40.0 * np.exp(np.column_stack(logs))


def walk(prices: Prices, **words: object) -> WalkForward:
    given: dict = dict(train="200d", step="60d", fees=CHEAP, select=PairSelection())
    return walk_forward(stat_arb(), prices, **{**given, **words})


@cache
def base() -> tuple[np.ndarray, WalkForward]:
    close = world(1)
    return close, walk(made(close, NAMES))


# ---------------------------------------------------------------- nothing looks ahead
def past(w: WalkForward, at_ns: int) -> tuple[bytes, bytes, list]:
    """Everything up to a moment: rows out, private events, and what the estimator answered."""
    run = w.parts[0].run
    rows, events = run.rows[run.rows["time_ns"] <= at_ns], run.events[run.events["receive_ns"] <= at_ns]
    log = [x for x in w.windows if x.at_ns <= at_ns]
    told = [(x.at_ns, x.first_ns, x.why, repr(x.picked), repr(x.slots), x.dropped) for x in log]
    return rows.tobytes(), events.tobytes(), told


@pytest.mark.parametrize("how", ["noise", "gone", "split"])
@pytest.mark.parametrize("share", [0.45, 0.63, 0.86])
def test_nothing_looks_ahead(share: float, how: str) -> None:
    """Altering prices after t leaves every statistic, fit, model, signal, order and posting up to t as it was."""
    close, w = base()
    row = int(share * len(close))
    changed = close.copy()
    if how == "noise":
        changed[row + 1 :] *= np.exp(np.random.default_rng(row).normal(0, 0.05, changed[row + 1 :].shape))
    elif how == "gone":
        changed[row + 1 :, ::2] = np.nan
    else:
        changed[row + 1 :, 0] /= 2.0
        changed[row + 1 :, 3] *= 3.0
    prices = gappy(changed, NAMES) if how == "gone" else made(changed, NAMES)
    at = int(prices.time_ns[row]) + 7_200_000_000_000  # a fit asked for at t has come back
    other = walk(prices)
    rows, events, told = past(w, at)
    assert len(rows) > 64 * 500 and len(told) >= 1
    assert past(other, at) == (rows, events, told)
    assert other.parts[0].run.rows.tobytes() != w.parts[0].run.rows.tobytes(), "the future did change"


def test_altering_the_past_does_change_what_follows() -> None:
    """The control of the law above: it can fail."""
    close, w = base()
    changed = close.copy()
    changed[150:, 0] *= 1.02
    at = int(w.time_ns[-1])
    assert past(walk(made(changed, NAMES)), at) != past(w, at)


def test_the_estimator_sees_the_training_rows_up_to_its_request() -> None:
    """Each window is the training length, ends with the request, and the model is in force one latency later."""
    seen: list[Prices] = []

    class Watch(PairSelection, frozen=True):
        def __call__(self, prices: Prices, costs_bp: np.ndarray):
            seen.append(prices)
            assert np.allclose(costs_bp, 3.0), "fee and slippage of one fill"
            return super().__call__(prices, costs_bp)

    close, _ = base()
    w = walk(made(close, NAMES), select=Watch(), fit_latency="2h")
    chosen = [x for x in w.windows if x.why == "schedule"]
    assert len(chosen) == len(seen) == 6
    for x, prices in zip(chosen, seen, strict=True):
        assert len(prices) == 200 and prices.time_ns[-1] == x.at_ns and prices.time_ns[0] == x.first_ns
        at = x.at_ns // DAY
        assert np.allclose(prices.close, close[at - 199 : at + 1], rtol=1e-6)
    models = w.parts[0].run.events[w.parts[0].run.events["kind"] == 21]
    assert set((models["receive_ns"] - 2 * 3_600_000_000_000).tolist()) == {x.at_ns for x in w.windows}


# ---------------------------------------------------------------- books
def test_causes_pairs_bars_and_trades_are_one_sum() -> None:
    """Pairs' units sum to the ledger's by cause; bars, trades, windows, eras to its total; gross is net + costs."""
    _, w = base()
    assert w.closes()
    total = w.pnl()
    scale = w.parts[0].run.engine.scales.scale[0]
    for cause in CAUSES:
        assert sum(r.units[cause] for r in w.pairs()) == round(total[cause] * 10**scale)
    assert w.net.sum() == pytest.approx(total["total"], abs=1e-6)
    assert sum(t.pnl for t in w.trades) == pytest.approx(total["total"], abs=1e-6)
    assert sum(r.net for r in w.funnel()) == pytest.approx(total["total"], abs=1e-6)
    assert sum(r.net for r in w.eras(["1970-01-01", "1971-01-01"])) == pytest.approx(total["total"], abs=1e-6)
    fees = -total["fee"]
    slip = w.costs.sum() - fees
    assert slip == pytest.approx(sum(s.traded.sum() for s in w.by_key.values()) * 1e-4, rel=0.01), "1 bp of the value"
    assert (w.gross - w.net >= -1e-9).all() and w.turnover_year() > 1.0
    for row in w.pairs():
        own = [t for t in w.trades if t.key == row.key]
        assert row.trades == len(own) and sum(t.pnl for t in own) == pytest.approx(row.net, abs=1e-6)
    assert all(leg["position_lots"] == 0 for leg in w.parts[0].run.engine.legs()), "flat at the end"


def test_the_summary_says_how_many_tests_and_what_is_left() -> None:
    """The text has the header, the funnel, causes, eras, pairs, refusals; to_dict is plain; pages have each pair."""
    _, w = base()
    text = str(w)
    for word in ("can P&L be claimed?", "by chance", "survive", "closes", "exactly", "DSR", "refused"):
        assert word in text, text
    assert "A/B" in text or "B/A" in text
    d = w.to_dict()
    assert d["funnel"][0]["tests"] == 28 and d["funnel"][0]["by_chance"] == pytest.approx(1.4)
    assert d["closes_exactly"] and d["gross"] == pytest.approx(d["net"] + d["costs"])
    pages = w.pages()
    assert {p["pair"]["symbols"] for p in pages} == {r.symbols for r in w.pairs()}
    assert all(p["fits"] and p["net"][-1] == pytest.approx(p["pair"]["net"]) for p in pages)


# ---------------------------------------------------------------- worlds with a truth
def test_planted_pairs_are_found_and_pay() -> None:
    """Two pairs among four walks, a spread of 2 % at 3 bp a fill: most are found, few others, the net is above zero.

    The spread's shock is larger than a walk's step: the screen's order of a pair (walk-like on the left) finds 6 of 10
    here, the order by larger moves 8, at the price of its false rate on such legs.
    """
    found = false = 0
    net = []
    for seed in range(1, 13):
        w = walk(made(world(seed, kappa=0.2), NAMES))
        for x in w.windows:
            if x.why == "schedule":
                mine = {tuple(sorted(s.symbols)) for s in x.slots}
                found += len(mine & {("A", "B"), ("C", "D")})
                false += len(mine - {("A", "B"), ("C", "D")})
        net.append(w.net.sum())
    windows = 12 * 6
    assert found >= 0.5 * 2 * windows and false <= 0.1 * (found + false), (found, false)
    assert np.mean(net) > 3.0 * np.std(net, ddof=1) / math.sqrt(len(net)) > 0.0


def test_walks_have_nothing_and_cost_what_trading_costs() -> None:
    """Unrelated walks: survivors at or below the nominal count; with control switched off the gross is noise
    around zero and the net is the gross less what was paid.
    """
    survivors = nominal = tests = 0
    gross, costs, noise = 0.0, 0.0, 0.0
    for seed in range(20, 26):
        prices = made(world(seed, pairs=0, walks=8), NAMES)
        w = walk(prices)
        for r in w.funnel():
            survivors, nominal, tests = survivors + r.survivors, nominal + r.nominal, tests + r.tests
        loose = walk(prices, select=PairSelection(level=0.999, longest_half_life=0.9, hedge="static"))
        assert loose.net.sum() == pytest.approx(loose.gross.sum() - loose.costs.sum())
        gross, costs = gross + loose.gross.sum(), costs + loose.costs.sum()
        noise += float(((loose.gross - loose.gross.mean()) ** 2).sum())
    assert survivors <= nominal and nominal < 0.05 * tests + 4.0 * math.sqrt(0.05 * tests * 3.0)
    assert survivors <= 0.02 * tests
    assert abs(gross) < 3.0 * math.sqrt(noise), "no edge in walks"
    assert costs > 0.0


def test_a_relation_that_dies_is_dropped_by_its_monitor() -> None:
    """The spread turns into a walk in the middle of a window: a monitor asks for a fit, the slot is dropped or
    refitted, and what is lost is bounded; before it the pair was traded.
    """
    rng = np.random.default_rng(12)
    logs = np.column_stack([tied(rng, 560, kappa=0.2, noise=0.01), np.cumsum(rng.normal(0, 0.01, (560, 2)), axis=0)])
    dead = 330
    logs[dead:, 0] += np.cumsum(rng.normal(0.004, 0.01, 560 - dead))
    w = walk(made(40.0 * np.exp(logs), NAMES[:4]), step="120d")
    key = next(k for k, s in w.slots.items() if set(s.symbols) == {"A", "B"})
    name = "/".join(w.slots[key].symbols)
    asked = w.parts[0].run.rows[w.parts[0].run.rows["kind"] == REFIT]
    after = asked["time_ns"][(asked["time_ns"] > dead * DAY) & (asked["a"] == key)]
    assert len(after) and after[0] < (dead + 60) * DAY
    assert any(x.why == "drift" and name in x.dropped for x in w.windows if x.at_ns > dead * DAY)
    opened = [t.open_ns // DAY for t in w.trades if t.key == key]
    assert any(t < dead for t in opened)
    gone = next(x.at_ns for x in w.windows if name in x.dropped and x.at_ns > dead * DAY) // DAY
    assert not any(gone + 2 < t for t in opened if t < 440), "not traded again before the next selection"


def test_monitors_that_asked_are_named_in_the_report() -> None:
    """Requests by monitor in the text, in the plain values, and beside each refit on the page of its pair."""
    rng = np.random.default_rng(12)
    logs = np.column_stack([tied(rng, 420, kappa=0.2, noise=0.01), np.cumsum(rng.normal(0, 0.01, (420, 2)), axis=0)])
    logs[330:, 0] += np.cumsum(rng.normal(0.004, 0.01, 90))
    w = walk(made(40.0 * np.exp(logs), NAMES[:4]), step="120d")
    asked = w.asked()
    assert asked and set(asked) <= set(watch.ASKERS.values()) and w.to_dict()["refits_by"] == asked
    assert all(f"{name} {n}" in str(w) for name, n in asked.items())
    told = {(f["why"], bool(f["asked"])) for page in w.pages() for f in page["fits"]}
    assert ("schedule", False) in told and ("schedule", True) not in told


def test_a_trade_open_at_the_end_is_counted_beside_the_closed_ones() -> None:
    """The last bars of one leg are missing, so what is held cannot be left: it is `open`, in its pair and its window,
    and the closed trades do not have it.
    """
    close = world(1, kappa=0.3)
    found = 0
    for last in range(430, 520, 6):
        gone = close[: last + 1].copy()
        gone[-5:, 0::2] = np.nan
        w = walk(gappy(gone, NAMES))
        assert len(w.held) == sum(r.open for r in w.pairs()) == sum(r.open for r in w.funnel()) == w.to_dict()["open"]
        assert all(t.open for t in w.held) and not any(t.open for t in w.trades)
        held = [leg["position_lots"] for leg in w.parts[0].run.engine.legs()]
        assert bool(w.held) == any(held)
        found += len(w.held)
        if found:
            break
    assert found > 0


# ---------------------------------------------------------------- bad input and frictions
def test_series_that_cannot_be_tested_are_listed_with_their_reason() -> None:
    """Gaps, constants, twins, splits and non-positive prices leave a window by name, never in silence."""
    close = world(3, n=220)
    close[100:120, 0] = np.nan
    close[:, 1] = 7.0
    close[:, 2] = 2.0 * close[:, 3]
    close[150:, 4] /= 2.0
    close[50, 5] = -1.0
    close[-1, 6] = np.nan
    prices = made(world(3, n=220), NAMES)
    panel, out = usable(msgspec.structs.replace(prices, close=close), "log")
    reasons = {e.symbol: e.reason for e in out}
    assert set(reasons) == {"A", "B", "D", "E", "F", "G"} and panel is not None and panel.symbols == ("C", "H")
    assert "missing in the window" in reasons["A"] and "constant" in reasons["B"] and "times C" in reasons["D"]
    assert "split" in reasons["E"] and "not positive" in reasons["F"] and "at the request" in reasons["G"]


def test_a_series_that_leaves_the_market_is_not_selected_again() -> None:
    """One leg of a traded pair ends: it expires, its slots stop, later windows do not test it."""
    close = world(1)
    close[330:, 0] = np.nan
    w = walk(gappy(close, NAMES))
    last = [x for x in w.windows if x.why == "schedule" and x.at_ns > 330 * DAY]
    assert last and all("A" in {e.symbol for e in x.picked.excluded} for x in last)
    assert not any("A" in s.symbols for x in last for s in x.slots)
    assert w.closes() and all(leg["position_lots"] == 0 for leg in w.parts[0].run.engine.legs())


def test_fees_by_era_are_replays_that_meet() -> None:
    """Two fee schedules: each era is flat at its ends, costs differ, and the whole adds up."""
    prices = made(world(1, kappa=0.3), NAMES)
    cut = str(np.datetime64(int(prices.time_ns[360]), "ns"))[:10]
    w = walk(prices, fees=[("1970-01-01", Fees(maker_bp=0, taker_bp=10)), (cut, Fees(maker_bp=0, taker_bp=1))])
    assert len(w.parts) == 2 and w.closes()
    first, second = w.eras()
    assert first.traded > 0.0 and second.traded > 0.0
    assert first.costs / first.traded > 4.0 * second.costs / second.traded
    assert w.net.sum() == pytest.approx(w.pnl()["total"], abs=1e-6)
    assert (np.diff(w.time_ns) > 0).all()
    with pytest.raises(ConfigError, match="fees a share"):
        walk(prices, fees=[("1970-01-01", Fees(maker_bp=0, taker_bp=1, per_lot="0.01"))])


def test_settings_that_cannot_be_are_refused() -> None:
    """Each with what was expected."""
    prices = made(base()[0], NAMES)
    for words, text in (
        (dict(train="5y"), "less than the panel"),
        (dict(train="three years"), "length of time"),
        (dict(step="0d"), "length of time"),
        (dict(fit_latency="2d"), "fit_latency"),
        (dict(tries=0), "tries"),
        (dict(fees=[("1990-01-01", CHEAP)]), "in order"),
    ):
        with pytest.raises(ConfigError, match=text):
            walk(prices, **words)
    for words, text in (
        (dict(space="logs"), "space"),
        (dict(correction="sidak"), "correction"),
        (dict(most_pairs=17), "most_pairs"),
        (dict(alpha=0.07), "alpha"),
        (dict(level=0.0), "level"),
        (dict(least_entry=5.0), "least_entry"),
    ):
        with pytest.raises(ConfigError, match=text):
            PairSelection(**words)


def test_calendar_lengths_keep_the_day_within_the_month() -> None:
    """Months and years by the calendar; weeks, days, hours in nanoseconds."""
    at = int(np.datetime64("2008-08-31", "ns").astype(np.int64))
    assert str(np.datetime64(later(at, span("6m")), "ns"))[:10] == "2009-02-28"
    assert str(np.datetime64(later(at, span("1y"), 4), "ns"))[:10] == "2012-08-31"
    assert later(at, span("2w")) - at == 14 * DAY and span("1h") == (0, DAY // 24)


# ---------------------------------------------------------------- a published pair
@pytest.mark.parametrize("space", ["level", "log"])
def test_the_textbook_country_funds_run_end_to_end(data_dir: Path, space: str) -> None:
    """EWA, EWC, IGE 2006-2012 walked forward: it runs, books close, and gross and net are two numbers."""
    import polars as pl

    frame = pl.read_csv(data_dir / "chan" / "inputData_EWA_EWC_IGE.csv")
    names = [c for c in frame.columns if c in ("EWA", "EWC", "IGE")]
    times = [f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in frame["Date"].cast(str).to_list()]
    prices = load(frame.select(names).to_numpy(), time=times, symbols=names)
    w = walk(prices, train="2y", step="6m", select=PairSelection(space=space, level=0.5))
    assert w.closes() and len(w.funnel()) >= 7 and all(r.tests == 3 + r.baskets for r in w.funnel())
    assert len(w.trades) >= 3 and w.costs.sum() > 0.0
    assert w.net.sum() == pytest.approx(w.pnl()["total"], abs=1e-6)
    assert all(s.space == space for s in w.slots.values())
