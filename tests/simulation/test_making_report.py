"""What a quoting run is said to have earned: figures worked out by hand on a small tape, and told alike everywhere."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from engine_kit import FEED_NS, LATENCY, MS, S, row, tape, top
from oneprice.cli.main import app
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import SELL, TRADE
from oneprice.dashboard.html import write_report
from oneprice.execution.venue import FillModel
from oneprice.market.orders.world import OrderWorld, order_tape
from oneprice.market.synthetic import market_making_world
from oneprice.market.tape import Tape, write_tape
from oneprice.modes.replay import replay
from oneprice.risk.limits import Limits
from oneprice.strategies import hedged_making, market_making
from oneprice.study.making import Making, making, quoted
from oneprice.study.making_marks import QUOTE_LIFE, STILL, mid_at, mids, touch_time, venue_touches
from oneprice.study.report import read_run

TICK, LOT, QTY = 0.1, 0.01, 0.05
LIMITS = Limits(orders_per_s=100_000, burst=10_000, venue_orders_per_s=100_000, venue_burst=10_000)
WIDE = Limits(
    order_value=1e9, position_value=1e9, gross_value=1e9, net_value=1e9, venue_gross_value=1e9, orders_per_s=100_000,
    burst=10_000, venue_orders_per_s=100_000, venue_burst=10_000,
)  # fmt: skip
FREE = Fees(maker_bp=0, taker_bp=0)
CHOSEN = market_making(gamma=0.0, k_decay=2.0, sigma=0.3, qty=QTY, limit=0.2)  # 0.5 from the mid: 5 ticks away
REBATE = Fees(maker_bp=-1, taker_bp=2)


def one_fill() -> Tape:
    """Mid 100.05; a seller trades through our bid of 99.5 at 50 ms; mids 100.15, 100.25 and 99.95 at 0.1, 1, 10 s."""
    at = [(0, 1_000), (40, 1_000), (60, 1_001), (500, 1_002), (5_000, 999), (12_000, 999)]
    rows = [top(ms * MS, bid, bid + 1) for ms, bid in at]
    rows.insert(2, row(TRADE, 50 * MS, price=990, qty=1_000, side=SELL))
    return tape("alpha", rows)


def measured(**words: Any) -> Making:
    return making(CHOSEN, [one_fill()], latency=LATENCY, limits=LIMITS, fees=REBATE, **words)


def test_a_fill_by_hand() -> None:
    """Spread captured, markouts and the break-even fee of one fill, to the digit."""
    run = measured().runs[0]
    price, value = 99.5, 99.5 * QTY
    assert run.fills == 1 and run.value == pytest.approx(value)
    bp = 1e4 / 100.05
    assert run.spread_bp == pytest.approx((100.05 - price) * bp)
    assert run.markout_bp == pytest.approx(((100.15 - price) * bp, (100.25 - price) * bp, (99.95 - price) * bp))
    assert run.curve_bp[run.curve_s.index(0.1)] == pytest.approx(run.markout_bp[0])
    assert math.isnan(run.curve_bp[run.curve_s.index(30.0)]), "the tape ends before"
    gross = (99.95 - price) * QTY
    assert run.gross == pytest.approx(gross, abs=1e-7) and run.break_even_fee_bp == pytest.approx(gross / value * 1e4)
    assert run.fee_paid_bp == pytest.approx(-1.0, abs=1e-3) and run.pnl["fee"] > 0, "a rebate"
    assert run.net == pytest.approx(gross + value * 1e-4, abs=1e-7) and run.closes
    assert run.maker_share == 1.0


def test_what_was_held_and_for_how_long() -> None:
    """One order from about 50 ms to the end at 12 s; messages a fill are commands over fills."""
    run = measured().runs[0]
    share = (12_000 - 50) / 12_000
    assert run.held["mean_absolute"] == pytest.approx(QTY * share, rel=1e-3)
    assert run.held["most"] == QTY and run.held["last"] == QTY
    assert run.held["deviation"] == pytest.approx(QTY * math.sqrt(share * (1 - share)), rel=1e-2)
    assert run.messages_a_fill == run.messages >= 2


def test_time_at_the_touch_by_hand() -> None:
    """A bid at 100 from 10 to 90, another at 98 from 100 to 150; the best bid is 100, 101 from 50, 98 from 120."""
    still = np.zeros(3, STILL)
    still["at_ns"], still["bid_ticks"], still["ask_ticks"] = [0, 50, 120], [100, 101, 98], 105
    life = np.zeros(3, QUOTE_LIFE)
    life["start_ns"], life["end_ns"], life["price"] = [10, 30, 100], [90, 200, 150], [100, 104, 98]
    life["side"] = [1, -1, 1]
    out = np.zeros((2, 2), np.int64)
    touch_time(still, life, 160, out)
    assert out[0].tolist() == [80 + 50, 40 + 30], "10 to 50 at 100, 120 to 150 at 98"
    assert out[1].tolist() == [130, 130], "an offer inside the spread until the tape ends"


def test_the_clock_is_the_venues() -> None:
    """Touches are stamped with the exchange's time on our clock; a mid before a stamp is the one before its rows."""
    still = venue_touches(one_fill())
    assert int(still["at_ns"][1] - still["at_ns"][0]) == 40 * MS
    mid = mids(still, TICK)
    at = still["at_ns"][[2]]
    assert mid_at(still, mid, at)[0] == pytest.approx(100.15)
    assert mid_at(still, mid, at, before=True)[0] == pytest.approx(100.05)
    assert np.isnan(mid_at(still, mid, still["at_ns"][[0]] - FEED_NS)[0])
    assert np.isnan(mid_at(still, mid, still["at_ns"][[-1]] + S)[0]), "nothing is known past the end"


@pytest.fixture(scope="module")
def busy() -> Making:
    made = market_making_world(60_000, 5).tapes
    chosen = market_making(gamma=0.5, k_decay=12.0, warm_s=1.0, qty=0.01, limit=0.05)
    return making(chosen, made, latency=LATENCY, limits=LIMITS)


def test_parts_add_up_on_a_busy_tape(busy: Making) -> None:
    """Groups hold every fill once and average to the whole; the twin is measured alike; causes sum to the total."""
    assert [r.name for r in busy.runs] == ["as given", "symmetric"]
    for run in busy.runs:
        assert run.fills > 100 and run.closes
        assert run.net == pytest.approx(sum(v for k, v in run.pnl.items() if k != "total"), abs=1e-9)
        for key, groups in run.groups.items():
            assert len(groups) >= 5 or key == "queue"
            assert sum(g.fills for g in groups) <= run.fills
            lows = [g.low for g in groups]
            assert lows == sorted(lows) and all(g.low <= g.high for g in groups)
        assert sum(g.fills for g in run.groups["imbalance"]) == run.fills
        mean = sum(g.fills * g.spread_bp for g in run.groups["imbalance"]) / run.fills
        assert mean == pytest.approx(run.spread_bp, abs=0.05), "values of fills differ a little"
        assert 0.0 < run.quoting[0] <= 1.0 and 0.0 <= run.at_touch[0] <= run.quoting[0]
    first, twin = busy.runs
    assert first.held["mean_absolute"] < twin.held["mean_absolute"], "leaning against inventory holds less"


def test_intensity_is_what_the_tape_did(busy: Making) -> None:
    """Arrivals that reach a distance can only become fewer with distance; the model's line is A exp(-k d)."""
    counted = busy.intensity["counted"]
    assert all(b <= a for a, b in itertools.pairwise(counted)) and counted[0] > 0
    for d, rate in zip(busy.intensity["distance"], busy.intensity["model"], strict=True):
        assert rate == pytest.approx(math.exp(-12.0 * d))


def test_the_text_says_whether_it_pays(busy: Making) -> None:
    """The table has a column a run and doing nothing last; the verdict names the break-even fee."""
    text = str(busy)
    assert "as given" in text and "symmetric" in text and "nothing" in text
    assert f"breaks even at a fee of {busy.runs[0].break_even_fee_bp:.3f} bp" in text
    assert ("It pays" in text) == (busy.runs[0].net > 0)
    assert "never quoted: the gate refused its orders: price_band" in str(measured_far())
    run = busy.runs[0]
    lucky = {**run.pnl, "inventory": run.net - 1.0 if run.net < 0 else run.net + 1.0}
    told = str(msgspec.structs.replace(busy, runs=(msgspec.structs.replace(run, pnl=lucky),)))
    assert "Without what prices did to the position later" in told


def measured_far() -> Making:
    far = market_making(gamma=0.0, k_decay=0.01, sigma=0.3, qty=QTY, limit=0.2)
    return making(far, [one_fill()], latency=LATENCY, limits=LIMITS, fees=REBATE)


def test_the_report_page_shows_it(tmp_path: Path) -> None:
    """making.json lies beside the journal, and report.html draws it; without it the page is as before."""
    made = measured(out=tmp_path / "run")
    told = json.loads((tmp_path / "run" / "making.json").read_text())
    assert told["runs"][0]["fills"] == 1 and told["runs"][0]["curve_bp"][-1] is None
    page = write_report(tmp_path / "run").read_text()
    assert "What quoting earned" in page and "Markouts" in page and "Intensity" in page and "nan" not in page.lower()
    assert f"{made.runs[0].break_even_fee_bp:.3f} bp" in page
    (tmp_path / "run" / "making.json").unlink()
    assert "What quoting earned" not in write_report(tmp_path / "run").read_text()


def test_a_journal_tells_the_same_as_the_run(tmp_path: Path) -> None:
    """Read back from its folder the run is measured alike: counts equal, amounts to the last sample."""
    made = market_making_world(30_000, 5).tapes
    chosen = market_making(gamma=0.5, k_decay=12.0, warm_s=1.0, qty=0.01, limit=0.05)
    run = replay(chosen, made, latency=LATENCY, limits=LIMITS, out=tmp_path / "run")
    first, again = quoted(run, made), quoted(read_run(tmp_path / "run"), made)
    for name in ("fills", "value", "spread_bp", "markout_bp", "groups", "held", "quoting", "at_touch", "messages"):
        assert getattr(first, name) == getattr(again, name), name
    assert first.fills > 50 and again.closes
    assert again.pnl["fee"] == pytest.approx(first.pnl["fee"], rel=0.02)
    assert making(chosen, made, run=read_run(tmp_path / "run"), latency=LATENCY, limits=LIMITS, twin=False).runs


def test_an_order_by_order_tape_is_quoted_on_with_its_true_queue() -> None:
    """On L3 the true queue fills between the pessimist and no queue at all; every quote knows what it joined behind."""
    made = order_tape(OrderWorld(n_messages=15_000, seed=2))
    chosen = market_making(gamma=0.0, k_decay=200.0, sigma=1.0, qty=1.0, limit=20.0)
    fills = {}
    for queue in ("risk_averse", "fifo", "touch"):
        run = replay(chosen, [made], latency=LATENCY, limits=WIDE, fees=FREE, fills=FillModel(queue=queue))
        found = quoted(run, [made])
        fills[queue] = found.fills
        assert found.closes and found.fills > 0
        assert sum(g.fills for g in found.groups["queue"]) == found.fills
    assert fills["risk_averse"] <= fills["fifo"] < fills["touch"]


def test_a_hedged_run_counts_the_fills_of_both_legs_against_the_fee() -> None:
    """Fills and markouts are those of the quoted leg; the break-even fee is a fill of either."""
    from oneprice.market.synthetic import two_venues

    world = two_venues(seed=3, minutes=1)
    found = making(hedged_making(edge_bp=0.5), world.tapes, latency=LATENCY, limits=Limits())
    run = found.runs[0]
    assert len(found.runs) == 1 and 0.5 < run.maker_share <= 1.0, "an unwind takes"
    assert run.gross / run.break_even_fee_bp * 1e4 > 1.9 * run.value


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_the_verbs_quote_by_parameters_or_by_a_model(tmp_path: Path) -> None:
    """replay and paper take both; what a model was fitted on is not traded; a wrong leg is refused."""
    made = market_making_world(12_000, 6).tapes[0]
    write_tape(tmp_path / "tapes", made)
    words = ("replay", str(tmp_path / "tapes"), "--strategy", "market_making", "--latency-ms", "0.1")
    done = json.loads(call(*words, "--set", "k_decay=12", "--set", "gamma=0.5", "--set", "warm_s=1", "--json").stdout)
    assert done["closes_exactly"] and [r["name"] for r in done["making"]["runs"]] == ["as given", "symmetric"]
    assert done["making"]["runs"][0]["fills"] == done["fills"] > 0
    model = tmp_path / "model.json"
    values = {"fit_ns": int(made.events["receive_ns"][200]), "sigma": 0.6, "arrivals_per_s": 2.5, "k_decay": 12.0}
    model.write_text(json.dumps({"format": 1, "kind": "quoting", "values": values, "fit": {"leg": made.leg}}))
    told = json.loads(call(*words, "--model", str(model), "--json").stdout)
    assert told["fits"]["run"] == 1 and told["commands"] > 0
    shown = told["making"]["parameters"]
    assert (shown["arrivals_per_s"], shown["k_decay"], shown["sigma"]) == (2.5, 12.0, 0.6), "the model's"
    assert "arrivals_per_s 2.5," in call(*words, "--model", str(model)).stdout
    curve = told["making"]["intensity"]
    assert curve["model"] == pytest.approx([2.5 * math.exp(-12.0 * d) for d in curve["distance"]])
    again = json.loads(call("paper", *words[1:], "--model", str(model), "--speed", "0", "--json").stdout)
    assert (again["commands"], again["fills"], again["pnl"]) == (told["commands"], told["fills"], told["pnl"])
    late = {**values, "fit_ns": int(made.events["receive_ns"][-1])}
    model.write_text(json.dumps({"format": 1, "kind": "quoting", "values": late, "fit": {"leg": made.leg}}))
    assert "nothing is left to quote" in call(*words, "--model", str(model)).stderr
    model.write_text(json.dumps({"format": 1, "kind": "quoting", "values": values, "fit": {"leg": "other:ABC-USD"}}))
    assert "was fitted on other:ABC-USD" in call(*words, "--model", str(model)).stderr
    assert "k_decay: expected more than 0" in call(*words, "--set", "k_decay=0").stderr


def test_parameters_that_cannot_quote_are_refused() -> None:
    """Before anything runs, with the name of the parameter."""
    with pytest.raises(ConfigError, match="market_making: k_decay: expected more than 0, got -1"):
        making(market_making(k_decay=-1.0), [one_fill()], latency=LATENCY, fees=REBATE)
    with pytest.raises(ConfigError, match="hedged_making: rest_s"):
        making(hedged_making(rest_s=0.0), [one_fill()], latency=LATENCY, fees=REBATE)


@pytest.mark.data
def test_binance_answers_a_fill_within_a_tenth_of_a_second(data_dir: Path) -> None:
    """Quotes near the mid of the real perpetual are filled often and lose at once what they captured and more: the
    break-even fee is a rebate, inventory-neutral quoting holds less than its twin, and the books close."""
    from oneprice.market.importers import read_files

    path = data_dir / "binance_l2" / "usdm_btcusdt_20240808.gz"
    (real,) = read_files([path], format="binance", fees=Fees(maker_bp=2, taker_bp=5))
    chosen = market_making(gamma=0.05, k_decay=1.0, arrivals_per_s=2.0, qty=0.01, limit=0.1, edge_bp=-2.0)
    found = making(chosen, [real], latency=LATENCY, limits=LIMITS)
    first, twin = found.runs
    assert first.fills > 300 and 0.0 < first.spread_bp < 0.5
    assert all(-1.5 < m < -0.3 for m in first.markout_bp) and -2.0 < first.break_even_fee_bp < 0.0
    assert first.held["deviation"] < twin.held["deviation"]
    assert first.closes and twin.closes and first.net < 0


@pytest.mark.data
def test_bitstamp_order_by_order_cannot_pay_at_base_tier(data_dir: Path) -> None:
    """Five hours of 2015, the true queue: quotes near the mid capture a few basis points and pay twenty; those that
    keep the fee's distance are never met. The break-even fee lies between."""
    from oneprice.market.importers import read_files

    path = data_dir / "bitstamp_l3" / "2015-05-01.log.xz"
    (real,) = read_files([path], format="bitstamp", fees=Fees(maker_bp=20, taker_bp=25))
    slow = replace(real, instrument=msgspec.structs.replace(real.instrument, stale_ns=60 * S))
    chosen = market_making(
        gamma=0.5, k_decay=5.0, arrivals_per_s=0.02, qty=0.1, limit=1.0, warm_s=300.0, tau_s=600.0, edge_bp=-20.0
    )
    found = making(chosen, [slow], latency=LATENCY, fills=FillModel(queue="fifo"))
    first, twin = found.runs
    assert 20 < first.fills < 80 and first.closes and first.spread_bp > first.markout_bp[0] > 0.0
    assert 0.0 < first.break_even_fee_bp < 15.0 and first.net < 0 and twin.net < 0
    far = making(chosen(edge_bp=0.0), [slow], latency=LATENCY, fills=FillModel(queue="fifo"), twin=False)
    assert far.runs[0].fills == 0 and "never filled" in str(far)
