"""Term structure on quotes: real minutes of gold futures, a real perpetual against its spot, an inverse one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import EVENT, FUNDING, LAST, TOP
from oneprice.market.header import Header
from oneprice.market.tape import Tape, join_events, make_tape
from oneprice.signals.parity.relations import Relation
from oneprice.study.term_fit import perpetual_relation
from oneprice.study.term_ladder import spot_ladder
from oneprice.study.term_quotes import MINUTE_NS, crossed_share, minute_tape, replay_quotes, with_funding

FEES = Fees(maker_bp=0, taker_bp=0, per_lot="2.5")
WEEK = ("2013-10-07", "2013-10-12")
PAIRS = (("GC201312", "2013-12-27", "GC201402", "2014-02-26"), ("GC201404", "2014-04-28", "GC201406", "2014-06-26"))


def gold(folder: Path, name: str, notes: dict[str, int] | None = None) -> Tape:
    file = folder / "gold_minute" / "gc_minute_quote_by_contract.parquet"
    return minute_tape(
        file, f"comex:{name}", where={"contract": name}, tick="0.1", lot="1", multiplier="100", fees=FEES, period=WEEK,
        underlying="GC", notes=notes,
    )  # fmt: skip


def day_ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def calendars(low: float, high: float, cost: float) -> list[Relation]:
    return [
        Relation(
            kind="carry", symbols=(f"comex:{near}", f"comex:{far}"), qty=500.0, growth_low=low, growth_high=high,
            cost=cost, near_ns=day_ns(a), expiry_ns=day_ns(b), apart_ns=MINUTE_NS,
        )
        for near, a, far, b in PAIRS
    ]  # fmt: skip


def test_gold_minutes_inside_their_two_sided_band(data_dir: Path) -> None:
    """With rates, lease and costs not one minute lies outside; without them trades happen and lose their crossings."""
    notes: dict[str, int] = {}
    tapes = [gold(data_dir, name, notes) for near, _, far, _ in PAIRS for name in (near, far)]
    shares = [crossed_share(t) for t in tapes]
    assert max(shares) < 0.03 and shares[0] == pytest.approx(0.028, abs=0.001) and notes["crossed"] > 100
    inside = replay_quotes(tapes, calendars(-0.004, 0.0055, 0.25), spot_ladder(tapes[0]), word="relative value: lease")
    assert len(inside.run.commands()) == 0
    tight = replay_quotes(tapes, calendars(0.0, 0.002, 0.05), spot_ladder(tapes[0]), word="relative value: lease")
    totals = tight.parts.totals()
    assert len(tight.parts.trades) > 50 and tight.parts.exact and tight.run.closes() == 0
    assert totals["cost"] < 0 and totals["total"] < 0


def bybit(folder: Path, spot: bool) -> Tape:
    file = folder / "crypto_minute" / "crypto_minute_quotes.parquet"
    name, symbol = ("BTCUSDT-SPOT", "bybit:BTCUSDT") if spot else ("BTCUSDT-PERP", "bybit-perp:BTCUSDT")
    tick, lot, fee = ("0.01", "0.000001", 10) if spot else ("0.05", "0.0005", 6)
    return minute_tape(
        file, symbol, where={"venue": "bybit", "instrument": name}, tick=tick, lot=lot,
        fees=Fees(maker_bp=fee, taker_bp=fee), period=("2022-12-13", "2022-12-13T12:00"), underlying="BTC",
        quote="USDT",
    )  # fmt: skip


def test_perpetual_against_spot_with_funding(data_dir: Path) -> None:
    """7 bp under spot: outside when funding alone must pay, inside once the price itself must pay the four trades."""
    spot = bybit(data_dir, True)
    perp = with_funding(bybit(data_dir, False), spot)
    paid = perp.events[perp.events["kind"] == FUNDING]
    assert len(paid) == 1 and -0.0004 < paid["rate_e12"][0] * 1e-12 < 0
    how = {"funding_a_year": 1095.0, "rates": (0.0, 0.1), "qty": 0.01, "hold_years": 7 / 365, "apart_ns": MINUTE_NS}
    symbols = ("bybit:BTCUSDT", "bybit-perp:BTCUSDT")
    waits = perpetual_relation(*symbols, cost_share=32e-4, **how)  # type: ignore[arg-type]
    got = replay_quotes([spot, perp], [waits], spot_ladder(spot), word="relative value: persistence assumed")
    totals = got.parts.totals()
    assert len(got.parts.trades) > 3 and got.parts.exact
    assert got.run.pnl()["funding"] == pytest.approx(totals["carry"], abs=1e-9) and totals["carry"] != 0.0
    at_once = perpetual_relation(*symbols, cost_share=0.0, cost=32e-4 * 17_170.0, **how)  # type: ignore[arg-type]
    none = replay_quotes([spot, perp], [at_once], spot_ladder(spot), word="arbitrage")
    assert len(none.run.commands()) == 0


def made(symbol: str, mid: np.ndarray, *, contract: str = "linear", extra: np.ndarray | None = None) -> Tape:
    """Quotes a tick wide each minute around mids in ticks of 0.5."""
    one = Instrument(
        symbol=symbol, underlying="BTC", quote="USD", currency="BTC" if contract == "inverse" else "USD", tick="0.5",
        lot="1" if contract == "inverse" else "0.001", contract=contract, fees=Fees(maker_bp=1, taker_bp=2),
        stale_ns=3 * MINUTE_NS,
    )  # fmt: skip
    rows = np.zeros(len(mid), EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = (1 + np.arange(len(mid))) * MINUTE_NS
    rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = mid - 1, mid + 1, 100_000, 100_000
    rows["kind"], rows["flag_bits"], rows["seq"] = TOP, LAST, 1 + np.arange(len(mid))
    if extra is not None:
        rows = join_events([rows, extra])
        rows = rows[np.argsort(rows["receive_ns"], kind="stable")]
    about = Header(
        source="made", licence="own", period="made", side="both", simultaneity="one clock", survivorship="all", tries=1,
        claim=False, claim_why="simulated",
    )  # fmt: skip
    return make_tape(one, rows, header=about)


def test_inverse_contracts_split_exactly_with_funding() -> None:
    """Two inverse contracts of one coin: funding of both signs, halves of ledger units and all, to the unit."""
    rng = np.random.default_rng(9)
    walk = 40_000 + np.cumsum(rng.integers(-20, 21, 400))
    funding = np.zeros(4, EVENT)
    funding["receive_ns"] = funding["exchange_ns"] = (50 + 90 * np.arange(4)) * MINUTE_NS + 1
    funding["kind"], funding["flag_bits"] = FUNDING, LAST
    funding["rate_e12"] = np.array([1e8, -3e8, 2e8, -1e8]).astype(np.int64)
    near = made("x:NEAR", walk, contract="inverse")
    far = made("x:PERP", walk + rng.integers(-60, 61, 400), contract="inverse", extra=funding)
    one = Relation(
        kind="perpetual", symbols=("x:NEAR", "x:PERP"), qty=0.5, growth_low=0.9998, growth_high=1.0002, confirm=1,
        apart_ns=MINUTE_NS // 2,
    )  # fmt: skip
    got = replay_quotes([near, far], [one], spot_ladder(near), word="test", capital=1e6)
    assert len(got.run.fills()) > 100 and got.run.pnl()["funding"] != 0.0
    assert got.parts.exact, got.parts.gaps
    assert got.run.closes() == 0


def test_quotes_that_cannot_be_read(data_dir: Path) -> None:
    """Another period, no such contract, a leg without a tape, two currencies: refused by name."""
    file = data_dir / "gold_minute" / "gc_minute_quote_by_contract.parquet"
    how = {"tick": "0.1", "lot": "1", "fees": FEES}
    with pytest.raises(ConfigError, match="GC201312"):
        minute_tape(file, "comex:X", where={"contract": "GC209912"}, **how)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no quote of"):
        minute_tape(file, "comex:X", where={"contract": "GC201312"}, period=("2001-01-01", "2001-01-02"), **how)  # type: ignore[arg-type]
    tape = made("x:A", np.full(5, 1000))
    with pytest.raises(ConfigError, match="comex:GC201312"):
        replay_quotes([tape], calendars(0.0, 0.1, 0.0)[:1], spot_ladder(tape), word="test")
    with pytest.raises(ConfigError, match="hours above 0"):
        with_funding(tape, tape, hours=0.0)
