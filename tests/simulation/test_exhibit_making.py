"""Exhibit 4: what a maker could not earn, on a simulated market of orders and, where it can be had, on the pack."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees
from oneprice.core.records import BOOK, TRADE
from oneprice.dashboard.orders_page import orders_exhibits
from oneprice.market import packs
from oneprice.market.orders.world import OrderWorld, order_tape, without_names
from oneprice.market.tape import Tape
from oneprice.strategies.market_making import market_making
from oneprice.study import demo, exhibit_making
from oneprice.study.exhibit_making import ORDERS, Maker, best_trip_bp, depth_near, making_exhibit
from oneprice.study.exhibit_making_text import fee_text

WORLD = OrderWorld(n_messages=20_000, seed=11, gap_ms=5.0)  # 100 s
QUOTES = {"gamma": 0.01, "k_decay": 300.0, "arrivals_per_s": 1.0, "qty": 5.0, "limit": 25.0}


@pytest.fixture(scope="module")
def tape() -> Tape:
    """A simulated market that names its orders."""
    return order_tape(WORLD)


@pytest.fixture(scope="module")
def simulated(tape: Tape) -> Maker:
    """The exhibit on it, at a fee of 30 bp where a tick is 1 bp."""
    return making_exhibit(tape, strategy=market_making(**QUOTES))


@pytest.fixture(scope="module")
def real() -> Maker:
    """The exhibit on the pack, or the test is not run."""
    try:
        packs.fetch(ORDERS)
    except DataError as error:
        pytest.skip(f"the pack is neither cached nor reachable: {str(error).splitlines()[0]}")
    return making_exhibit()


def test_best_trip_of_hindsight() -> None:
    """Bought before sold, or sold before bought, never the same quote twice over; beside every pair by hand."""
    rng = np.random.default_rng(2)
    for _ in range(50):
        bid = 100 + rng.integers(-8, 9, 12)
        ask = bid + rng.integers(1, 4, 12)
        pairs = [(i, j) for i in range(12) for j in range(i, 12)]
        best = max(max(ask[j] / bid[i] - 1.0, 1.0 - bid[j] / ask[i]) for i, j in pairs)
        assert best_trip_bp(bid, ask) == pytest.approx(1e4 * best, rel=1e-12)
    assert best_trip_bp(np.array([100, 90]), np.array([101, 91])) == pytest.approx(1e4 * (1 - 90 / 101))


def test_depth_is_that_of_a_book_kept_by_hand(tape: Tape) -> None:
    """Units near the mid at each moment are those of the levels whose last row is not empty."""
    found = depth_near(tape)
    assert len(found["time_ns"]) == len(found["bid"]) == len(found["ask"]) == exhibit_making.DEPTH_POINTS
    for k in (10, 117, 239):
        ev = tape.events[(tape.events["kind"] == BOOK) & (tape.events["receive_ns"] <= found["time_ns"][k])]
        last = {(int(e["side"]), int(e["price"])): int(e["qty"]) for e in ev}
        shown = {key: q for key, q in last.items() if q > 0}
        mid = 0.5 * (max(p for s, p in shown if s == 1) + min(p for s, p in shown if s == -1))
        near = mid * exhibit_making.DEPTH_BP * 1e-4
        for name, side in (("bid", 1), ("ask", -1)):
            expected = sum(q for (s, p), q in shown.items() if s == side and abs(p - mid) <= near)
            assert found[name][k] == pytest.approx(expected)
    assert max(found["bid"]) > 0.0


def test_every_number_is_of_the_tape(simulated: Maker, tape: Tape) -> None:
    """Counts are the tape's; the fills told are the run's; the fee that breaks even is gross over value."""
    m, run = simulated, simulated.told.runs[0]
    assert m.tape["rows"] == len(tape) and m.tape["trades"] == int((tape.events["kind"] == TRADE).sum()) > 0
    assert 0.0 < m.tape["one_tick"] <= 1.0 and m.tape["low"] < m.tape["high"]
    assert len(m.fills["time_ns"]) >= run.fills > 20
    assert run.closes and m.kept.closes and run.fee_paid_bp == pytest.approx(30.0, rel=1e-6)
    assert run.net == pytest.approx((run.break_even_fee_bp - run.fee_paid_bp) * 1e-4 * run.gross / run.break_even_fee_bp
                                    * 1e4, rel=1e-6)  # fmt: skip
    assert m.kept.fills < run.fills
    filled = {name: p.fills for name, p in m.probes.items()}
    assert filled["risk_averse"] <= filled["fifo"] <= filled["touch"]


def test_the_fee_decides_the_verdict(tape: Tape) -> None:
    """With a fee below the range of prices a round trip could have paid, and the exhibit says so; above it none can."""
    cheap = making_exhibit(tape, fees=Fees(maker_bp=1, taker_bp=2), strategy=market_making(**QUOTES))
    assert cheap.best_trip_bp > 2.0 and "a round trip could have paid" in cheap.verdict
    fee = math.ceil(cheap.best_trip_bp / 2.0) + 1
    dear = making_exhibit(tape, fees=Fees(maker_bp=fee, taker_bp=fee), strategy=market_making(**QUOTES))
    assert dear.best_trip_bp == cheap.best_trip_bp and "no round trip can pay" in dear.verdict
    assert dear.kept.fills == 0 and "never filled: 0" in dear.verdict  # what keeps the fee's distance is not reached
    assert cheap.told.runs[0].fills == dear.told.runs[0].fills  # told to ignore it, the fee moves no quote


def test_words_and_page(simulated: Maker) -> None:
    """Every part stands in the text and on the page, whose data went through JSON."""
    text = str(simulated)
    for part in ("can P&L be claimed?", "distinct arrivals", "symmetric", "nothing", "break-even fee", "fifo", "Brier"):
        assert part in text
    assert text.rstrip().endswith(simulated.verdict)
    found = json.loads(json.dumps(simulated.to_dict(), allow_nan=False))
    (shown,) = orders_exhibits(found)
    assert shown.says == simulated.verdict and shown.header is not None
    assert len(shown.drawings) == 5 and all("<svg" in d for d in shown.drawings)
    assert [t.title for t in shown.tables][1:] == ["What quoting earned", "The same orders under each queue model",
                                                   "Fill truth"]  # fmt: skip
    assert all(t.rows for t in shown.tables)
    assert fee_text(-1.9) == "a rebate of 1.90 bp a fill" and fee_text(0.5) == "a fee of 0.50 bp a fill"


def test_a_tape_of_levels_is_refused(tape: Tape) -> None:
    """Without names there is no true queue: the error says so, nothing is guessed."""
    with pytest.raises(ConfigError, match="orders"):
        making_exhibit(without_names(tape), strategy=market_making(**QUOTES))


def test_without_the_wheel_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo goes on and says what is missing; the page too."""

    def missing(**_: object) -> Maker:
        raise DataError("data pack 'btcusd_orders' is not in the cache; to get it, run ...")

    monkeypatch.setattr(exhibit_making.packs, "orders_tape", lambda *a, **k: missing())
    with pytest.raises(DataError, match="to get it"):
        making_exhibit()
    (shown,) = orders_exhibits({"missing": "data pack 'btcusd_orders' is not in the cache"})
    assert shown.says.startswith("not shown: data pack") and not shown.drawings
    assert orders_exhibits({}) == []
    assert demo.Demo.__dataclass_fields__["no_maker"].default == ""


def test_the_half_hour(real: Maker) -> None:
    """284 prints, 160 arrivals, 2 ghosts: the fit is refused, no round trip pays at base tier, quotes lose."""
    m, run = real, real.told.runs[0]
    assert (m.tape["trades"], m.dropped["ghosts"]) == (284, 2)
    assert m.fit.parts.arrivals.prints == 284 and 100 <= m.fit.parts.arrivals.distinct <= 180
    assert "distinct arrivals, expected at least 200" in m.fit.refused
    assert m.best_trip_bp == pytest.approx(1e4 * 188 / 78_318, rel=2e-3) and m.trip_cost_bp == 60.0
    assert m.kept.fills == 0 and m.kept.net == 0.0
    assert run.fills > 50 and run.gross < 0.0 > run.break_even_fee_bp and run.net < -200.0
    assert run.markout_bp[0] > run.markout_bp[1] > run.markout_bp[2]
    assert len(m.told.runs) == 2 and m.told.runs[1].net < 0.0
    probes = {name: p.fills for name, p in m.probes.items()}
    assert probes["risk_averse"] <= probes["fifo"] <= probes["touch"] and len(m.probes["fifo"].side) > 800
    assert m.truth is not None and m.truth.filled < 100 and "tell no close models apart" in str(m)
    scores = {s.model: s.brier for s in m.truth.scores}
    assert scores["fifo"] == 0.0 < scores["touch"]
    assert not m.header.claim and m.header.tries == 4 and "GPL" in m.header.licence
    assert "no round trip can pay" in m.verdict and "as doing nothing" in m.verdict and "rebate" in m.verdict
