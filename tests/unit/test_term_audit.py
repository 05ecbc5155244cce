"""The audit of a term structure: its kernel against plain formulas, its episodes, its sources and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.dashboard.svg import number_text, span_of
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.rates import Treasury
from oneprice.market.settlements import settlements
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.parity.carry import Terms, carry_band
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.term_audit import CarryTerms, audit_strip
from oneprice.study.term_audit_other import audit_perpetuals, audit_yields, left_out
from oneprice.study.term_audit_sources import Panel, layout_of, quotes_of, rate_rows, settled, third_last_weekday

RATE, DAYS = 0.03, 40
ABOUT = Header("made", "none", "none", "mid", "made", "none", 1, False, "made by hand")


def panel_of(price: list[list[float]], *, boundary: str = "upper", quoted: bool = False, half: float = 0.0) -> Panel:
    """Rows of prices of contracts a month apart, each row one day; quotes lie `half` either side."""
    mid = np.array(price, float)
    n_days, n = mid.shape
    years = (30.0 * np.arange(1, n + 1)[None, :] + 40.0 - np.arange(n_days)[:, None]) / 365.0
    key = np.where(np.isfinite(mid), np.arange(n)[None, :], -1)
    return Panel(
        label="CL made", boundary=boundary, header=ABOUT, time_ns=np.arange(n_days) * 86_400 * 10**9,
        names=tuple(f"CL{i}" for i in range(n)), places=tuple(f"CL{i + 1:02d}" for i in range(n)),
        price=np.stack([mid - half, mid + half]), years=years, key=key, cost=np.full(mid.shape, 0.01),
        size=np.full(mid.shape, 7.0) if quoted else np.empty((0, 0)), step_ns=86_400 * 10**9, quoted=quoted,
    )  # fmt: skip


def carried(n_days: int, n: int = 3, slope: float = 0.0) -> np.ndarray:
    """Prices that rise along the strip by `slope` a contract."""
    return 50.0 + slope * np.arange(n)[None, :] + 0.0 * np.arange(n_days)[:, None]


TERMS = CarryTerms(rate=RATE, storage=0.5, borrow_bp=50, lend_bp=25, lease=0.01)


@pytest.mark.parametrize("boundary", ["two_sided", "upper"])
def test_bounds_are_those_of_the_carry_band(boundary: str) -> None:
    """The kernel's low and high of a contract are `carry_band` of its neighbour with the same terms."""
    p = panel_of(carried(3, slope=0.3).tolist(), boundary=boundary)
    out = audit_strip(p, TERMS).out
    tau = 30.0 / 365.0
    terms = Terms(
        lend_rate=RATE - 0.0025, borrow_rate=RATE + 0.005, borrow_fee=0.01, storage=((tau, 6.0 * tau),), cost=0.02
    )
    want = carry_band(50.0, 50.0, tau, terms, boundary)
    assert out[kernel.HIGH, 0, 1] == pytest.approx(want.high, abs=1e-12)
    if boundary == "two_sided":
        assert out[kernel.LOW, 0, 1] == pytest.approx(want.low, abs=1e-12)
    else:
        assert out[kernel.LOW, 0, 1] == -math.inf and math.isnan(want.low)
    assert np.isnan(out[:, 0, 0]).all()


def test_several_neighbours_bound_tighter() -> None:
    """With quotes every earlier contract bounds a later one; the tightest holds."""
    p = panel_of([[50.0, 80.0, 50.5, 50.6]], boundary="two_sided", quoted=True, half=0.05)
    out = audit_strip(p, TERMS).out
    lone = audit_strip(p, CarryTerms(rate=RATE, storage=0.5, lease=0.01, reach=1)).out
    for j in (2, 3):
        bounds = []
        for i in range(j):
            tau = (p.years[0, j] - p.years[0, i]).item()
            bounds.append(p.price[1, 0, i] * math.exp((RATE + 0.005) * tau) + 6.0 * tau + 0.02)
        assert out[kernel.HIGH, 0, j] == pytest.approx(min(bounds), abs=1e-12)
    assert lone[kernel.HIGH, 0, 2] > 80 > out[kernel.HIGH, 0, 2]
    assert out[kernel.OUTSIDE, 0, 1] == pytest.approx(p.price[0, 0, 1] - out[kernel.HIGH, 0, 1])


def test_implied_storage_is_what_was_planted() -> None:
    """A strip built from a rate and a storage of .80 a month implies .80 back; its rate form is ln F2/F1 less r."""
    tau = 30.0 / 365.0
    far = 50.0 * math.exp(RATE * tau) + 0.80 * 12 * tau
    found = audit_strip(panel_of([[50.0, far]] * 3), TERMS)
    money, rate = (i.value for i in found.implied)
    assert money[0, 1] == pytest.approx(0.80, abs=1e-12)
    assert rate[0, 1] == pytest.approx(math.log(far / 50.0) / tau - RATE, abs=1e-12)
    assert found.implied[0].unit == "USD a unit and month"


def test_negative_prices_have_a_bound_and_no_log() -> None:
    """-37.63 is a price: the bound behind it is storage and cost alone, implied money is finite, the rate is not."""
    found = audit_strip(panel_of([[-37.63, 20.43]] * 2), TERMS)
    tau = 30.0 / 365.0
    assert found.out[kernel.HIGH, 0, 1] == pytest.approx(-37.63 + 6.0 * tau + 0.02, abs=1e-12)
    assert found.implied[0].value[0, 1] == pytest.approx(58.06 / (12 * tau), abs=1e-9)
    assert math.isnan(found.implied[1].value[0, 1])
    assert any("not above 0" in n and "-37.63" in n for n in found.notes)


def test_episodes_are_confirmed_and_end_inside_or_unseen() -> None:
    """One row outside is none, three are one; a row inside ends it; a long absence ends it; each side by itself."""
    price = carried(30, slope=0.3)
    price[3, 1] += 5  # alone: not confirmed
    price[6:9, 1] += 5
    price[8, 1] += 3
    price[12:14, 1] += 5
    price[14:21, 1] = math.nan  # seven rows unseen
    price[21:24, 1] += 5
    price[26:28, 1] -= 5  # below: no bound there for `upper`
    found = audit_strip(panel_of(price.tolist()), TERMS)
    rows = [r for r in found.rows if r["key"] == 1]
    assert [(int(r["first"]), int(r["last"]), int(r["n"]), int(r["side"])) for r in rows] == [
        (7, 8, 2, 1), (13, 13, 1, 1), (21, 23, 3, 1),
    ]  # fmt: skip
    assert rows[0]["worst_row"] == 8 and rows[0]["worst"] == pytest.approx(found.out[kernel.OUTSIDE, 8, 1])
    assert rows[0]["total"] == pytest.approx(found.out[kernel.OUTSIDE, 7:9, 1].sum())
    assert math.isnan(rows[0]["worst_size"])
    both = audit_strip(panel_of(price.tolist(), boundary="two_sided"), TERMS)
    assert [int(r["side"]) for r in both.rows if r["key"] == 1] == [1, 1, 1, -1]


def test_capacity_is_the_size_at_the_worst() -> None:
    """Where there is depth an episode says what could be dealt."""
    price = carried(6)
    price[2:5, 1] += 5
    found = audit_strip(panel_of(price.tolist(), quoted=True, half=0.01), TERMS)
    assert found.episode_rows()[0]["capacity"] == 7.0


def test_a_page_of_nothing_outside_shows_the_fullest_row() -> None:
    """Where no price is outside, the row shown is the last of those with the most prices, not a thin last one."""
    price = carried(6)
    price[4:, 2] = np.nan
    audit = audit_strip(panel_of(price.tolist()), TERMS)
    assert len(audit.rows) == 0 and audit.worst_row() == 3
    assert span_of([np.zeros(5)], zero=True) == (-1.0, 1.0) and number_text(-1e-9, 4) == "0.0000"


def test_a_wide_quote_is_not_outside() -> None:
    """A mid beyond the band with a bid inside it is no violation, and starts no episode."""
    p = panel_of([[50.0, 60.0]] * 5, quoted=True)
    wide = p.price.copy()
    wide[0, :, 1], wide[1, :, 1] = 50.0, 70.0
    import msgspec

    found = audit_strip(msgspec.structs.replace(p, price=wide), TERMS)
    assert (found.out[kernel.OUTSIDE, :, 1] == 0).all() and not found.side.any() and len(found.rows) == 0


def test_word_needs_observed_inputs_quotes_and_a_boundary() -> None:
    """Settlements, assumed inputs or no boundary are relative value; quotes with stated inputs are arbitrage."""
    price = carried(4).tolist()
    observed = CarryTerms(rate=RATE, observed=True)
    assert audit_strip(panel_of(price, boundary="two_sided", quoted=True), observed).word == "arbitrage"
    assert audit_strip(panel_of(price, boundary="two_sided", quoted=True), TERMS).word == "relative value"
    assert audit_strip(panel_of(price, boundary="two_sided"), observed).word == "relative value"
    assert audit_strip(panel_of(price, boundary="none", quoted=True), observed).word == "relative value"


def test_no_boundary_reports_roll_and_no_violation() -> None:
    """VIX and power: bounds are infinite, nothing is compared, the roll is reported."""
    price = carried(4)
    price[2, 1] = 500.0
    found = audit_strip(panel_of(price.tolist(), boundary="none"), TERMS)
    assert not found.compared.any() and math.isnan(found.share_of_rows) and len(found.rows) == 0
    assert found.implied[0].name == "roll"
    assert found.implied[0].value[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert "No boundary" in str(found)


def test_rates_are_those_told_before_the_day() -> None:
    """A day uses the yields of the day before; days without yields are dark and noted; log-linear between nodes."""
    tenors = np.array([0.25, 0.5, 1.0, 2.0])
    treasury = Treasury(np.array([0, 1, 2]), tenors, np.array([[0.01] * 4, [0.02] * 4, [0.05] * 4]), "made")
    grid, logs = rate_rows(treasury, np.array([0, 1, 2, 3, 40]), fit_error=False)
    assert np.isnan(logs[0]).all() and np.isnan(logs[4]).all()
    quarter = int(np.flatnonzero(grid == 0.25)[0])
    assert logs[1:4, quarter].tolist() == pytest.approx([-math.log1p(0.25 * y) for y in (0.01, 0.02, 0.05)])
    with pytest.raises(DataError, match="no row has rates"):
        audit_strip(panel_of(carried(3).tolist()), CarryTerms(), Treasury(np.array([9000]), tenors, treasury.par[:1]))
    with pytest.raises(ConfigError, match="carrying needs rates"):
        audit_strip(panel_of(carried(3).tolist()))


def test_settlements_by_place_pay_their_half_spread() -> None:
    """The panel of settlements carries place, contract, time left and the assumed half spread of place and era."""
    chain = make_chain("CL", ["2020-01-31", "2020-02-28", "2020-03-31", "2020-04-30"], boundary="upper")
    days = ["2020-01-30"] * 3 + ["2020-02-03"] * 3
    names = [chain.contracts[i].symbol for i in (0, 1, 2, 1, 2, 3)]
    made = settlements(chain, days, names, [50, 51, 52, 51, 52, 53], header=ABOUT)
    p = settled(made, places=3)
    assert p.places == ("CL01", "CL02", "CL03") and p.key.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert p.price[0].tolist() == [[50, 51, 52], [51, 52, 53]] and (p.cost == 0.01).all()
    assert p.years[0, 0] == pytest.approx(1 / 365)
    with pytest.raises(ConfigError, match="2 or more"):
        settled(made, places=1)


def test_leaving_out_a_tenor_is_exact() -> None:
    """The short cut equals refitting the betas without each tenor in turn."""
    years = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30.0])
    curve = Svensson(0.05, -0.02, 0.01, 0.01, 1.5, 8.0)
    zero = np.array([curve.zero(t) for t in years]) + np.random.default_rng(3).normal(0, 3e-4, 10)
    fitted, error = left_out(curve, years, zero)
    x, z = years / curve.u1, years / curve.u2
    near, far = -np.expm1(-x) / x, -np.expm1(-z) / z
    a = np.column_stack([np.ones(10), near, near - np.exp(-x), far - np.exp(-z)])
    for i in range(10):
        rest = np.arange(10) != i
        b = np.linalg.lstsq(a[rest], zero[rest], rcond=None)[0]
        s2 = ((zero[rest] - a[rest] @ b) ** 2).sum() / (9 - 4)
        wide = math.sqrt(s2 * (1 + a[i] @ np.linalg.inv(a[rest].T @ a[rest]) @ a[i]))
        assert fitted[i] == pytest.approx(a[i] @ b, abs=1e-10) and error[i] == pytest.approx(wide, rel=1e-6)


def test_a_planted_yield_is_found() -> None:
    """One tenor 40 bp off a smooth curve for ten days is one episode on that tenor."""
    tenors = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30.0])
    rng = np.random.default_rng(5)
    par = 0.03 + 0.01 * np.log1p(tenors)[None, :] / 3 + rng.normal(0, 1e-5, (30, 10))
    par[10:20, 5] += 4e-3
    found = audit_yields(Treasury(np.arange(30), tenors, par, "made"))
    worst = found.episode_rows()[0]
    assert worst["contract"] == "5Y" and worst["side"] == "above" and worst["rows"] == 9
    assert found.word == "relative value"


def test_perpetual_against_spot(tmp_path: Path) -> None:
    """A perpetual 1 % above its spot is outside; one inside the costs is not; one without a spot is listed."""
    n = 6
    stamps = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1, 0, n - 1), "1m", eager=True)
    rows = []
    for name, mid in (("A-PERP", 101.0), ("A-SPOT", 100.0), ("B-PERP", 50.0), ("C-PERP", 10.0001), ("C-SPOT", 10.0)):
        for t in stamps:
            rows.append((t, mid - 1e-4, mid + 1e-4, 3.0, 4.0, "v", name))
    names = ["ts_utc", "bid_close", "ask_close", "bid_size", "ask_size", "venue", "instrument"]
    path = tmp_path / "q.parquet"
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)
    assert layout_of(path) == "perpetuals"
    found = audit_perpetuals(path, CarryTerms(rate=0.0))
    assert [e["contract"] for e in found.episode_rows()] == ["v A-PERP"]
    assert found.episode_rows()[0]["capacity"] == 3.0
    assert found.implied[0].value[0, 0] == pytest.approx(1095 * 1.0 / 101.0, rel=1e-6)
    assert any("v B-PERP: no quotes of its spot" in n for n in found.notes)
    pl.DataFrame(rows[:6], schema=names, orient="row").write_parquet(path)
    with pytest.raises(DataError, match="no perpetual"):
        audit_perpetuals(path)


def test_bad_words_are_refused(tmp_path: Path) -> None:
    """Negative spreads, impossible counts, unknown boundaries, files that are none of the layouts."""
    for words, text in (
        ({"borrow_bp": -1}, "borrow_bp"), ({"storage": -0.1}, "storage"), ({"confirm": 0}, "confirm"),
        ({"back": math.nan}, "finite"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=text):
            CarryTerms(**words)
    with pytest.raises(ConfigError, match="rate: expected a share"):
        audit_strip(panel_of(carried(3).tolist()), CarryTerms(rate=3.0))
    with pytest.raises(DataError, match="no such file"):
        layout_of(tmp_path / "none.parquet")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="expected Parquet"):
        layout_of(tmp_path / "x.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "y.parquet")
    with pytest.raises(DataError, match="none of the layouts"):
        layout_of(tmp_path / "y.parquet")
    assert str(np.datetime64(third_last_weekday("GC201312"), "D")) == "2013-12-27"
    with pytest.raises(DataError, match="YYYYMM"):
        third_last_weekday("GCZ3")


def test_own_quotes_that_cross_are_left_out(tmp_path: Path) -> None:
    """A crossed quote and one without a size are counted and not used."""
    stamps = pl.datetime_range(pl.datetime(2013, 10, 7), pl.datetime(2013, 10, 7, 0, 3), "1m", eager=True)
    rows = [
        (t, 1300.0 + k, 1300.2 + k, 5.0, 5.0, name)
        for t in stamps
        for k, name in enumerate(["GC201312", "GC201402"])
    ]
    rows[0] = (*rows[0][:1], 1301.0, 1300.0, 5.0, 5.0, "GC201312")
    rows[3] = (*rows[3][:3], 0.0, 5.0, "GC201402")
    path = tmp_path / "gc.parquet"
    names = ["ts_utc", "bid_close", "ask_close", "bid_size", "ask_size", "contract"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)
    p = quotes_of(path)
    assert p.boundary == "two_sided" and np.isnan(p.price[0, 0, 0]) and p.key[0, 0] == -1 and np.isnan(p.price[0, 1, 1])
    assert "2 quotes without a side or a size, or crossed in themselves (1)" in p.excluded[0]
    with pytest.raises(ConfigError, match="boundary 'x'"):
        quotes_of(path, boundary="x")
