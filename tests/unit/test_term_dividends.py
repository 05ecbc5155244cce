"""Dated dividends, margin and tax in the bands of a strip: against a plain loop, part by part, and as a decoy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import day_number
from oneprice.market.header import Header
from oneprice.signals.parity.carry import Terms, carry_band
from oneprice.study import term_audit_kernel as kernel
from oneprice.study import term_audit_worlds as worlds
from oneprice.study.term_audit import CarryTerms, audit_strip
from oneprice.study.term_audit_cash import Payments, paid_by, read_dividends
from oneprice.study.term_audit_parts import Carried, log_discount
from oneprice.study.term_audit_sources import Panel

ABOUT = Header("made", "none", "none", "mid", "made", "none", 1, False, "made by hand")
GRID = np.array([0.25, 0.5, 1.0, 2.0])
FULL = CarryTerms(
    rate=0.03, borrow_bp=60, lend_bp=40, storage=0.2, storage_rate=0.01, lease=0.004, asset_yield=0.012, tax=0.001,
    margin=0.08, margin_rate=0.02,
)  # fmt: skip


def strip(seed: int, *, quoted: bool, n: int = 6, n_days: int = 25) -> Panel:
    """Random prices with holes, one below zero, and times that are not evenly apart."""
    rng = np.random.default_rng(seed)
    mid = 50.0 + rng.normal(0.0, 2.0, (n_days, n))
    mid[rng.random(mid.shape) < 0.1] = np.nan
    mid[min(3, n_days - 1), 1] = -12.5
    first = np.sort(rng.uniform(25.0, 500.0, n))
    years = (first[None, :] - np.arange(n_days)[:, None]) / 365.0
    half = 0.05 if quoted else 0.0
    return Panel(
        label="XX made", boundary="two_sided", header=ABOUT, time_ns=np.arange(n_days) * 86_400 * 10**9,
        names=tuple(f"X{i}" for i in range(n)), places=tuple(f"XX{i + 1:02d}" for i in range(n)),
        price=np.stack([mid - half, mid + half]), years=years,
        key=np.where(np.isfinite(mid), np.arange(n)[None, :], -1), cost=rng.uniform(0.01, 0.03, mid.shape),
        size=np.empty((0, 0)), step_ns=86_400 * 10**9, quoted=quoted,
    )  # fmt: skip


PAID = Payments(np.array([3, 40, 41, 130, 300, 480]), np.array([0.4, 0.7, 0.1, 1.1, 0.9, 2.0]), "made")


def plain(p: Panel, made: Carried, t: CarryTerms, paid: Payments) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) by `carry_band`, pair by pair: the same words in another program."""
    n_days, n = p.years.shape
    low, high = np.full((n_days, n), np.nan), np.full((n_days, n), np.nan)
    for day in range(n_days):
        for j in range(n):
            for i in range(j - 1, -1, -1) if p.quoted else [j - 1]:
                near_bid, near_ask = p.price[:, day, i] if i >= 0 else (np.nan, np.nan)
                if math.isnan(near_bid):
                    continue
                first, last = float(p.years[day, i]), float(p.years[day, j])
                tau, begin = last - first, log_discount(first, made.grid, made.logs[day])
                g = (begin - log_discount(last, made.grid, made.logs[day])) / tau
                flows = [((x - day) / 365.0 - first, float(a)) for x, a in zip(paid.days, paid.amounts, strict=True)]
                more = float(p.cost[day, i] + p.cost[day, j])
                bound = []
                for spread, spot in ((t.borrow_bp * 1e-4, near_ask), (-t.lend_bp * 1e-4, near_bid)):

                    def value(x: float, a: float = spread, s: float = first, b: float = begin, d: int = day) -> float:
                        return math.exp(log_discount(s + x, made.grid, made.logs[d]) - b - a * x)

                    flow = tuple((x, a) for x, a in flows if x > 0)
                    terms = Terms(
                        lend_rate=g + spread, borrow_rate=g + spread, borrow_fee=t.lease, dividend_yield=t.asset_yield,
                        storage_rate=t.storage_rate, dividends=flow, tax=t.tax, cost=more,
                    )  # fmt: skip
                    if spot > 0:
                        bound.append(carry_band(spot, spot, tau, terms, discount=value))
                        continue
                    owed = sum(a * value(x) for x, a in flow if x <= tau)
                    flat = abs(spot) * t.tax
                    bound.append(_Flat(spot - flat - owed - more, spot + flat - owed + more))
                posted = t.margin * t.margin_rate * (first + last)
                up = bound[0].high + 12 * t.storage * tau + posted * abs(near_ask)
                down = bound[1].low - posted * abs(near_bid)
                high[day, j] = up if math.isnan(high[day, j]) else min(high[day, j], up)
                low[day, j] = down if math.isnan(low[day, j]) else max(low[day, j], down)
    return low, high


class _Flat:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high


@pytest.mark.parametrize("quoted", [False, True])
def test_bounds_with_all_frictions_are_those_of_a_plain_loop(quoted: bool) -> None:
    """Dividends between expiries, margin of both legs, tax, fee, yield and storage: the kernel against `carry_band`."""
    p = strip(1, quoted=quoted)
    found = audit_strip(p, FULL, dividends=PAID)
    assert found.carried is not None
    low, high = plain(p, found.carried, FULL, PAID)
    assert np.isfinite(high).sum() > 60
    for plane, want in ((kernel.LOW, low), (kernel.HIGH, high)):
        got = np.where(np.isfinite(found.out[plane]), found.out[plane], np.nan)
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert np.nanmax(np.abs(got - want)) < 1e-11


@pytest.mark.parametrize("quoted", [False, True])
def test_parts_of_each_bound_sum_to_it(quoted: bool) -> None:
    """Every finite bound is the sum of its parts, and each friction is in the part that has its name."""
    p = strip(2, quoted=quoted)
    found = audit_strip(p, FULL, dividends=PAID)
    seen = 0
    for t in range(len(p)):
        for r in found.part_rows(t):
            j = int(np.flatnonzero(p.key[t] == p.names.index(r["contract"]))[0])
            plane = kernel.HIGH if r["bound"] == "high" else kernel.LOW
            assert r["bound_at"] == pytest.approx(found.out[plane, t, j], abs=1e-11)
            sign = 1.0 if r["bound"] == "high" else -1.0
            assert all(sign * r[name] > 0 for name in ("margin", "tax", "costs"))
            assert r["dividend"] <= 0 or r["near"] <= 0
            assert (r["borrow"] < 0) == (sign < 0 and r["near"] > 0) and (r["storage"] > 0) == (sign > 0)
            seen += 1
    assert seen == int(np.isfinite(found.out[[kernel.LOW, kernel.HIGH]])[:, p.key >= 0].sum())


def test_a_dividend_counts_between_its_two_expiries_alone() -> None:
    """Ex on the near last trade or before: not ours; after it, up to the far last trade: ours, valued there."""
    years = np.array([[30.0, 60.0]]) / 365.0
    p = strip(3, quoted=False, n=2, n_days=1)
    price = np.full((2, 1, 2), 100.0)
    p = msgspec.structs.replace(p, years=years, price=price, cost=np.zeros((1, 2)), key=np.array([[0, 1]]))
    terms = CarryTerms(rate=0.03, borrow_bp=0, lend_bp=0, storage=0.0)
    fair = float(audit_strip(p, terms).out[kernel.HIGH, 0, 1])
    for ex, owed in ((30, 0.0), (31, 1.0), (60, 1.0), (61, 0.0), (-5, 0.0)):
        paid = Payments(np.array([ex]), np.array([1.0]), "made")
        found = audit_strip(p, terms, dividends=paid)
        want = fair - owed * math.exp(0.03 * (60 - ex) / 365.0)
        assert found.out[kernel.HIGH, 0, 1] == pytest.approx(want, abs=1e-12)
        assert found.out[kernel.LOW, 0, 1] == pytest.approx(want, abs=1e-12)


def test_without_input_nothing_changes() -> None:
    """No dividends, margin or tax: the very same numbers, and the inputs say that none were stated."""
    p = strip(4, quoted=True)
    terms = CarryTerms(rate=0.03, storage=0.2, lease=0.004)
    none = audit_strip(p, terms)
    later = audit_strip(p, terms, dividends=Payments(np.array([9_000]), np.array([5.0]), "made"))
    assert np.array_equal(none.out, later.out, equal_nan=True)
    assert none.inputs["dividends"] == none.inputs["margin"] == none.inputs["tax"] == "none stated"
    assert "hindsight" in later.inputs["dividends"]


def test_margin_of_both_legs_widens_both_bounds() -> None:
    """A tenth of the price at 2 % a year, each leg until its own last trade."""
    p = strip(5, quoted=False)
    wide = audit_strip(p, CarryTerms(rate=0.03, margin=0.1, margin_rate=0.02)).out
    thin = audit_strip(p, CarryTerms(rate=0.03)).out
    near = np.abs(p.price[0][:, :-1])
    want = 0.002 * near * (p.years[:, :-1] + p.years[:, 1:])
    for plane, sign in ((kernel.HIGH, 1.0), (kernel.LOW, -1.0)):
        apart = sign * (wide[plane] - thin[plane])[:, 1:]
        good = np.isfinite(apart)
        assert good.sum() > 60 and np.allclose(apart[good], want[good], atol=1e-11)
    for words in ({"margin": 0.1}, {"margin_rate": 0.02}):
        with pytest.raises(ConfigError, match="together"):
            CarryTerms(rate=0.03, **words)


def test_dividends_are_valued_on_the_curve() -> None:
    """The cumulated values of a row are the plain sum over payments, by log-linear discounts and the stated spread."""
    years = np.array([[0.05, 0.4, 3.0]])
    logs = np.array([[-0.01, -0.02, -0.05, -0.12, 0.0]])
    got = paid_by(PAID, np.array([10 * 86_400 * 10**9]), years, (GRID, logs), (0.006, 0.004))
    for side, spread in enumerate((-0.006, 0.004)):
        for j, last in enumerate(years[0].tolist()):
            want = sum(
                a * math.exp(log_discount(x, GRID, logs[0]) + spread * x)
                for x, a in (((d - 10) / 365.0, a) for d, a in zip(PAID.days, PAID.amounts, strict=True))
                if 0 < x <= last
            )
            assert got[side, 0, j] == pytest.approx(want, abs=1e-12)


def test_ex_dividend_between_expiries_is_no_violation() -> None:
    """Planted truth: told of the dividends the audit finds what is planted and no more; untold it falls for them."""
    scores = worlds.dividend_table(5)
    told, untold = scores["told"], scores["untold"]
    assert told.recall >= 0.95 and told.precision >= 0.95 and told.planted == 30
    assert untold.precision < 0.7 and untold.wrong > 20, "the decoys do look like violations"
    empty = worlds.dividend_world(77, violations=0)
    assert empty.between > 100 and len(worlds.audited(empty, told=True).rows) == 0
    quiet = worlds.audited(empty, told=False)
    assert len(quiet.rows) > 5 and set(quiet.rows["side"].tolist()) == {-1}


def table(path: Path, rows: list[tuple[Any, ...]], names: list[str]) -> Path:
    """A CSV."""
    pl.DataFrame(rows, schema=names, orient="row").write_csv(path)
    return path


def test_files_of_dividends(tmp_path: Path) -> None:
    """Rows of the root are taken in order of date, two of one day added, other series counted; words do as well."""
    rows = [("2024-06-14", 1.5, "ES"), ("2024-03-15", 1.0, "ES"), ("2024-03-15", 0.25, "ES"), ("2024-03-15", 9.0, "NQ")]
    path = table(tmp_path / "d.csv", rows, ["date", "amount", "series"])
    got = read_dividends([path], "ES")
    assert got.days.tolist() == [day_number("2024-03-15"), day_number("2024-06-14")]
    assert got.amounts.tolist() == [1.25, 1.5] and got.source == "d.csv"
    for said in ("1 rows of d.csv are of other series", "added up"):
        assert any(said in n for n in got.notes)
    words = read_dividends(["2024-03-15=1.25", "2024-06-14=1.5"], "ES")
    assert words.amounts.tolist() == got.amounts.tolist() and words.days.tolist() == got.days.tolist()


@pytest.mark.parametrize(
    ("rows", "names", "says"),
    [
        ([("2024-03-15", 1.0)], ["day", "amount"], "expected columns date, amount"),
        ([("2024-03-15", 1.0, "NQ")], ["date", "amount", "series"], "no dividend of series ES: the file has NQ"),
        ([("2024-13-15", 1.0)], ["date", "amount"], "row 1: field date"),
        ([("2024-03-15", -1.0)], ["date", "amount"], "row 1: field amount: expected money a unit above 0, got -1.0"),
        ([("2024-03-15", "much")], ["date", "amount"], "got 'much'"),
        ([("2024-03-15", None)], ["date", "amount"], "row 1: field amount"),
        ([(None, 1.0)], ["date", "amount"], "row 1: field date"),
    ],
)
def test_dividends_that_are_none_are_refused(
    tmp_path: Path, rows: list[tuple[Any, ...]], names: list[str], says: str
) -> None:
    """File, row and field are named, with what was expected."""
    with pytest.raises(DataError, match=says):
        read_dividends([table(tmp_path / "d.csv", rows, names)], "ES")


def test_dividends_from_nowhere_are_refused(tmp_path: Path) -> None:
    """No file, no words, an empty file, a word without an amount."""
    for given, says in (
        (["none.csv"], "no such file"), (["2024-03-15=x"], "field amount"), (["soon=1"], "field date"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=says):
            read_dividends(given, "ES")
    with pytest.raises(ConfigError, match="got none"):
        read_dividends([], "ES")
    (tmp_path / "e.csv").write_text("")
    with pytest.raises(DataError, match=r"e\.csv: expected CSV"):
        read_dividends([tmp_path / "e.csv"], "ES")
