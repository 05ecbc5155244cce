"""Real captures through the whole engine: a standing basis is not traded, and nothing survives stated costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import data_root
from oneprice.core.instruments import Fees
from oneprice.engine.state import Settings
from oneprice.execution.intents import package
from oneprice.execution.latency import constant
from oneprice.execution.strategy import Strategy, strategy
from oneprice.market.importers import import_files, read_files
from oneprice.market.tape import Tape, read_tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.strategies.cross_market import cross_market

pytestmark = pytest.mark.data

CAPTURES = ("spot_btcusdt", "usdm_btcusdt", "cm_btcusd_perp", "spot_ethusdt", "usdm_ethusdt", "cm_ethusd_perp")
PAIRS = ((0, 1), (0, 2), (3, 4), (3, 5))  # spot with each of its perpetuals
SPOT_FEES, PERP_FEES = Fees(maker_bp=10, taker_bp=10), Fees(maker_bp=2, taker_bp=5)  # base tier
RATES = {"BTC": 61_700, "ETH": 2_680}  # USDT for one; the coin perpetuals settle in coin
LATENCY = constant(2_000, 2_000)
TICKS = Path("fx_two_venues") / "eurusd_fxcm_oanda_ticks_201405.parquet"
RETAIL_BP = 0.7  # each crossing of each leg: commission and mark-up of about one pip a round turn
ROWS_OF_TICKS = 1_677_709


@strategy(qty=0.01, limit=0.05)
def naive(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """The trap: sell spot and buy the perpetual whenever spot's bid stands above the perpetual's ask."""
    spot, perp = legs[0], legs[1]
    if spot.bid > perp.ask and perp.position < p.limit - 0.5 * p.qty:
        package(orders, 1, (1, perp.ask * 1.0001), (0, spot.bid / 1.0001), p.qty)


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> list[Tape]:
    """The six captures, imported once with corrected clocks, written and mapped again."""
    root = data_root() / "binance_l2"
    if not root.is_dir():
        return []
    paths = [root / f"{name}_20240808.gz" for name in CAPTURES]
    folder = tmp_path_factory.mktemp("tapes")
    return [read_tape(p) for p in import_files(paths, folder, format="binance", fees=SPOT_FEES)]


def run_pairs(tapes: Sequence[Tape], chosen: Strategy, *, free: bool = False) -> Run:
    """One engine over all six tapes, the strategy once a pair."""
    symbols = [t.instrument.symbol for t in tapes]
    fees = {s: Fees(0, 0) if free else SPOT_FEES if i % 3 == 0 else PERP_FEES for i, s in enumerate(symbols)}
    return replay(
        [chosen.on(symbols[a], symbols[b]) for a, b in PAIRS],
        tapes,
        latency=LATENCY,
        limits=Limits(),
        fees=fees,
        settings=Settings(report="USDT", fx=RATES),
    )


def test_basis_is_not_traded_at_base_fees(data_dir: Path, tapes: list[Tape]) -> None:
    """All rows are folded, nothing is bought and the books close: 30 bp of crossings against a swing of 8 bp."""
    for crossings in (4, 2):
        run = run_pairs(tapes, cross_market(qty=0.01, limit=0.05, crossings=crossings))
        assert run.n_market == sum(len(t) for t in tapes) == 1_866_329
        assert len(run.commands()) == 0
        assert run.refusals() == {}
        assert run.closes() == 0
        assert run.pnl()["total"] == 0.0


def test_without_fees_it_trades(data_dir: Path, tapes: list[Tape]) -> None:
    """The same run free of fees trades (so the test above can fail), fills on real books close to the unit."""
    run = run_pairs(tapes, cross_market(qty=0.01, limit=0.05), free=True)
    assert len(run.fills()) > 20
    assert run.closes() == 0
    assert run.pnl()["fee"] == 0.0


def test_naive_rule_pays_the_fees_for_nothing(data_dir: Path, tapes: list[Tape]) -> None:
    """Spot bid above perp ask fires at once and fills to its limit: what it loses is the fees."""
    symbols = [tapes[0].instrument.symbol, tapes[1].instrument.symbol]
    fees = dict(zip(symbols, (SPOT_FEES, PERP_FEES), strict=True))
    run = replay(naive.on(*symbols), tapes[:2], latency=LATENCY, limits=Limits(), fees=fees)
    pnl = run.pnl()
    traded = 0.05 * RATES["BTC"]
    assert len(run.fills()) >= 10
    assert run.closes() == 0
    assert pnl["fee"] == pytest.approx(-traded * 15e-4, rel=0.05)
    assert pnl["total"] < 0.5 * pnl["fee"] < 0.0


def test_dealers_leave_nothing_after_retail_costs(data_dir: Path) -> None:
    """FXCM and OANDA, sixteen days: closing both legs or holding them, what is traded loses."""
    ticks = read_files([data_dir / TICKS], format="fx", fees=Fees(0, RETAIL_BP), assumed_depth_lots=1)
    for chosen in (
        cross_market(qty=1_000.0, limit=5_000.0),
        cross_market(qty=1_000.0, limit=5_000.0, crossings=2, edge_bp=0.5),
    ):
        run = replay(chosen, ticks, latency=constant(100_000, 100_000), limits=Limits())
        assert run.n_market == ROWS_OF_TICKS
        assert run.closes() == 0
        assert len(run.fills()) <= 10
        assert run.pnl()["total"] <= 0.0
        assert all(lots == 0 for lots in run.to_dict()["positions"].values())
