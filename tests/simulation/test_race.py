"""The race for a stale quote: its win probability against a closed form, and what the strategy does around it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from engine_kit import LATENCY, MS, START, of_kind, row, tape, top
from oneprice.cli.main import app
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import BUY, COMMAND, IOC, NO_PRICE, SELL, TOP
from oneprice.dashboard.race_page import race_page, write_race_page
from oneprice.market.importers import read_files
from oneprice.market.tape import Tape, write_tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.strategies import latency_arb
from oneprice.study.race import Races, races
from oneprice.study.race_world import race_world, win_probability

FAST = latency_arb(fee_share=0.0, warm=100)
JUMP, SPREAD = 20, 2  # ticks of the simulated world
LIMITS = Limits(orders_per_s=100_000, burst=10_000, venue_orders_per_s=100_000, venue_burst=10_000)


@pytest.fixture(scope="module")
def found() -> Races:
    leader, laggard = race_world(4, 400.0, lag_ms=8.0, wire_ms=2.0)
    return races(leader, laggard, strategy=FAST, latencies_ms=(0.0, 1.0, 5.0, 20.0))


def test_win_probability_is_the_closed_form(found: Races) -> None:
    """exp(-(wire + latency) / lag) at each latency, within 3.5 standard errors; every jump is one race."""
    for r in found.rows:
        expected = win_probability(r.latency_ms, lag_ms=8.0, wire_ms=2.0)
        error = (expected * (1 - expected) / r.orders) ** 0.5
        assert abs(r.win_probability - expected) < 3.5 * error, (r.latency_ms, r.win_probability, expected)
        assert r.orders > 400 and r.won + r.lost + r.run_over == r.orders
        assert abs(r.stood - expected) < 3.5 * error
    stood = [r.stood for r in found.rows]
    assert stood == sorted(stood, reverse=True), "one set of quotes, and time only takes away"
    assert [r.orders for r in found.rows] == [found.rows[0].orders] * 4


def test_a_win_earns_the_jump_less_the_spread(found: Races) -> None:
    """Gross is wins x (jump - spread) x quantity to the last cent, and the break-even fee is half of that a fill."""
    for r in found.rows:
        each = (JUMP - SPREAD) * 0.1 * 0.01
        assert r.gross == pytest.approx(r.won * each, abs=1e-9)
        assert r.break_even_fee_bp == pytest.approx(r.gross / r.traded * 1e4)
        assert r.break_even_fee_bp == pytest.approx(0.9, abs=0.03), "1.8 of 10,000, both ways"


def test_the_fee_decides(found: Races) -> None:
    """5 bp a fill eats every win at every latency: the table says so; at half a basis point it pays."""
    assert all(r.net < 0 < r.gross for r in found.rows) and "loses" in found.verdict
    leader, laggard = race_world(4, 60.0, lag_ms=8.0, wire_ms=2.0)
    cheap = races(leader, laggard, strategy=FAST, latencies_ms=(0.0,), fees=Fees(maker_bp=0, taker_bp="0.5"))
    assert cheap.rows[0].net > 0 and "pays" in cheap.verdict


def test_with_the_fee_in_the_trigger_nothing_is_sent() -> None:
    """The strategy as shipped asks that a quote be better than fair by the taker fee: here none ever is."""
    leader, laggard = race_world(4, 30.0, taker_bp=50.0)
    run = replay(latency_arb(warm=100), [leader, laggard], latency=LATENCY, limits=Limits())
    assert len(run.commands()) == 0
    told = races(leader, laggard, strategy=latency_arb(warm=100), latencies_ms=(0.0,))
    assert "no race" in told.verdict and np.isnan(told.rows[0].win_probability)


def lag_run(b_rows: list[np.ndarray], a_rows: list[np.ndarray] | None = None, **words: float) -> Run:
    """The leader stands at 1000/1001 and jumps to 1030/1031 at 1 s."""
    a = a_rows or [top(i * 10 * MS, 1_000 + 30 * (i >= 100), 1_001 + 30 * (i >= 100)) for i in range(300)]
    chosen = latency_arb(**{"fee_share": 0.0, "warm": 50, "qty": 0.1, "limit": 0.1, "gap_s": 1_000.0, **words})
    return replay(chosen, [tape("alpha", a), tape("beta", b_rows)], latency=LATENCY, limits=LIMITS)


def orders_of(run: Run) -> list[tuple[int, int, int]]:
    own = of_kind(run.rows, COMMAND)
    assert (own["tif"] & IOC).all() and (own["leg"] == 1).all(), "only immediate orders, only on the laggard"
    return [((int(r["time_ns"]) - START) // MS, int(r["side"]), int(r["price"])) for r in own]


def test_a_stale_quote_is_taken_and_left_when_it_has_caught_up() -> None:
    """Bought at the old ask when the leader jumps, sold at the new bid as soon as the laggard has followed."""
    b = [top(i * 10 * MS, 1_000 + 30 * (i >= 120), 1_001 + 30 * (i >= 120)) for i in range(300)]
    run = lag_run(b)
    assert orders_of(run) == [(1_000, BUY, 1_001), (1_200, SELL, 1_030)]
    assert [int(leg["position_lots"]) for leg in run.engine.legs()] == [0, 0] and run.closes() == 0


def test_a_laggard_that_never_follows_is_left_after_the_hold() -> None:
    """`hold_s` after the trade the position is closed at what there is."""
    run = lag_run([top(i * 10 * MS) for i in range(300)], hold_s=0.5)
    first, second = orders_of(run)[:2]
    assert first == (1_000, BUY, 1_001) and second == (1_500, SELL, 1_000)


def test_a_lost_race_is_not_run_twice() -> None:
    """The quote is gone at the venue though we still see it: one order, no hammering on old news."""
    b = [top(i * 10 * MS) for i in range(101)]
    gone = top(1_010 * MS, 1_030, 1_031)
    gone["receive_ns"] += 500 * MS  # told late
    gone["exchange_ns"] = START + 999 * MS + MS // 2
    run = lag_run([*b, gone, top(1_600 * MS, 1_030, 1_031)])
    assert orders_of(run) == [(1_000, BUY, 1_001)] and len(run.fills()) == 0


@pytest.mark.parametrize("bad", [{"bid": NO_PRICE}, {"ask": NO_PRICE}, {"bid": 1_005}])
def test_a_broken_touch_is_no_signal(bad: dict[str, int]) -> None:
    """One-sided or crossed: nothing is sent, and the usual distance does not learn from it."""
    good = {"bid": 1_000, "ask": 1_001, "bid_qty": 100, "ask_qty": 100}
    b = [row(TOP, i * 10 * MS, **(good | (bad if i >= 99 else {}))) for i in range(200)]
    assert orders_of(lag_run(b)) == []


@pytest.mark.parametrize("bad", [{"edge_bp": np.nan}, {"qty": 0.0}, {"gap_s": np.nan}, {"fee_share": np.nan}])
def test_impossible_parameters_send_nothing(bad: dict[str, float]) -> None:
    """What compares with NaN is never stale."""
    run = lag_run([top(i * 10 * MS) for i in range(200)], **bad)
    assert orders_of(run) == [] and run.closes() == 0


def test_a_standing_basis_is_no_signal() -> None:
    """A laggard that always stands 2 % lower lags nothing."""
    b = [top(i * 10 * MS, 980, 981) for i in range(300)]
    a = [top(i * 10 * MS) for i in range(300)]
    assert orders_of(lag_run(b, a)) == []


def test_impossible_races_are_refused(tmp_path: Path) -> None:
    """A latency that is no time, one leg twice, jumps that overtake each other."""
    leader, laggard = race_world(1, 5.0)
    with pytest.raises(ConfigError, match="latencies_ms: expected finite numbers"):
        races(leader, laggard, latencies_ms=(-1.0,))
    with pytest.raises(ConfigError, match="two legs"):
        races(leader, leader)
    for words, what in (({"lag_ms": 0.0}, "lag_ms"), ({"jumps_per_s": 50.0}, "five lags apart")):
        with pytest.raises(ConfigError, match=what):
            race_world(1, 5.0, **words)
    assert isinstance(leader, Tape)


def test_the_table_is_a_page_and_a_file(found: Races, tmp_path: Path) -> None:
    """The page draws and tells every latency; the file is plain JSON."""
    page = write_race_page(found, tmp_path / "race.html").read_text()
    assert page.count("<svg") == 2 and "Win probability" in page and "NaN" not in page
    told = json.loads(found.write(tmp_path / "race.json").read_text())
    assert [r["latency_ms"] for r in told["rows"]] == [0.0, 1.0, 5.0, 20.0]
    assert "even bp" in str(found)


def test_the_verb_shows_the_race(tmp_path: Path) -> None:
    """`oneprice replay --strategy latency_arb` prints the table over latencies and leaves page and file."""
    for made in race_world(4, 30.0):
        write_tape(tmp_path / "tapes", made)
    words = ["replay", str(tmp_path / "tapes"), "--strategy", "latency_arb", "--set", "warm=100", "--json"]
    words += ["--leg", "leader:XYZ-USD", "--leg", "laggard:XYZ-USD", "--out", str(tmp_path / "run")]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert told["closes_exactly"] and len(told["race"]["rows"]) == 6
    stood = [r["stood"] for r in told["race"]["rows"]]
    assert stood == sorted(stood, reverse=True) and stood[0] > 0.8
    assert (tmp_path / "run" / "race.html").is_file() and (tmp_path / "run" / "race.json").is_file()
    with pytest.raises(ConfigError, match="fees are required"):
        races(*(replace(t, instrument=msgspec.structs.replace(t.instrument, fees=None)) for t in race_world(1, 5.0)))


@pytest.mark.data
def test_binance_spot_follows_the_perpetual_too_soon(data_dir: Path) -> None:
    """Both captures on the collector's clock: of the quotes that look stale four in ten are gone before any order could
    arrive, more with each millisecond, and what is won pays a small part of a basis point: at base tier it loses. Where
    the gate's limits of rate bind, at 0 ms, the table says so."""
    root = data_dir / "binance_l2"
    files = [root / f"{name}_20240808.gz" for name in ("usdm_btcusdt", "spot_btcusdt")]
    perp, spot = read_files(files, format="binance", fees=Fees(maker_bp=10, taker_bp=10))
    found = races(perp, spot, strategy=latency_arb(fee_share=0.0), latencies_ms=(0.0, 10.0, 50.0), limits=LIMITS)
    stood = [r.stood for r in found.rows]
    assert stood == pytest.approx([0.607, 0.522, 0.462], abs=0.03) and stood == sorted(stood, reverse=True)
    for r in found.rows:
        assert r.orders > 100 and r.won_bp > 0 > r.run_over_bp
        assert 0.0 < r.break_even_fee_bp < 0.3 and r.net < -40 * r.gross < 0
    assert "loses" in found.verdict
    assert not found.refusals
    held = races(perp, spot, strategy=latency_arb(fee_share=0.0), latencies_ms=(0.0, 10.0))
    assert held.rows[0].refused["order_rate"] > 0 and not held.rows[1].refused
    assert "order_rate" in held.refusals[0] and held.refusals[0] in str(held) and "at 0 ms" in held.refusals[0]
    assert held.refusals[0] in race_page(held) and held.rows[1].orders == found.rows[1].orders
    charged = races(perp, spot, latencies_ms=(0.0,), strategy=latency_arb(), limits=LIMITS)
    assert charged.rows[0].orders == 0, "no quote is ever stale by a taker fee of 10 bp"
