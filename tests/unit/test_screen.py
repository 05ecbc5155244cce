"""The screen: counts, correction, refusals, held-out test, resuming, executors."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oneprice as op
from oneprice.core.errors import ConfigError, DataError
from oneprice.market.prices import Prices, load, panel
from oneprice.signals.cointegration.engle_granger import engle_granger, engle_granger_null
from oneprice.signals.reversion.hurst import hurst_percentile
from oneprice.signals.reversion.ornstein import half_life_beyond_noise
from oneprice.signals.reversion.variance_ratio import ratio_percentile, variance_ratio
from oneprice.signals.unit_root.adf import adf
from oneprice.signals.validation.multiplicity import adjusted
from oneprice.study import screen_blocks
from oneprice.study.screen import screen
from oneprice.study.screen_families import declare
from oneprice.study.screen_result import ScreenResult
from oneprice.study.screen_rows import PairRow
from oneprice.study.screen_store import new_tally

T = 240
CUT = 168  # 70 %


@lru_cache(maxsize=1)
def world() -> tuple[Prices, dict[str, str]]:
    """Five groups of one planted pair and three walks."""
    rng = np.random.default_rng(11)
    columns, names, groups = [], [], {}
    for g in range(5):
        common = np.cumsum(rng.normal(0, 0.01, T))
        spread, shocks = np.zeros(T), rng.normal(0, 0.004, T)
        for t in range(1, T):
            spread[t] = 0.6 * spread[t - 1] + shocks[t]
        near = common * (1 + 0.2 * g) + spread
        for k, path in enumerate([common, near, *np.cumsum(rng.normal(0, 0.01, (3, T)), axis=1)]):
            name = f"G{g}{'ABWXY'[k]}"
            columns.append(path)
            names.append(name)
            groups[name] = f"g{g}"
    return panel(np.exp(3 + np.array(columns).T), names), groups


def plain(result: ScreenResult) -> dict[str, Any]:
    """Everything but the speed."""
    out = result.to_dict()
    out.pop("pairs_per_s")
    return out


def reference(prices: Prices, groups: dict[str, str] | None) -> dict[tuple[str, str], Any]:
    """Each pair tested on its own, the series that is more like a walk on the left."""
    x = dict(zip(prices.symbols, prices.columns("log"), strict=True))
    share = {s: round(float(variance_ratio(v, (8,))["ratio"][0]), 9) for s, v in x.items()}
    out = {}
    for i, a in enumerate(prices.symbols):
        for b in prices.symbols[i + 1 :]:
            if groups is None or groups[a] == groups[b]:
                y, z = (a, b) if share[a] >= share[b] else (b, a)
                out[y, z] = engle_granger(x[y], x[z], lags=1)
    return out


def test_a_family_is_judged_as_a_whole() -> None:
    """Statistic, p, beta and q of each pair equal pair-by-pair tests corrected together; planted pairs are found."""
    prices, groups = world()
    found = op.screen(prices, family=groups, half_life=(0.5, 100))
    want = reference(prices, groups)
    assert found.declared == found.tests == len(want) == 50 and not found.ranking
    q = dict(zip(want, adjusted([t.p for t in want.values()], "bh"), strict=True))
    assert {(r.y, r.x) for r in found.pairs} == set(want)
    for r in found.pairs:
        one = want[r.y, r.x]
        assert r.stat == pytest.approx(one.stat, abs=1e-8) and r.beta == pytest.approx(one.hedge[0])
        assert r.p == one.p and r.q == pytest.approx(q[r.y, r.x])
        assert (r.verdict == "discovery") == (r.q <= 0.10 and not r.reason)
    assert (
        found.significant
        == sum(v <= 0.10 for v in q.values())
        == len(found.discoveries) + len([r for r in found.pairs if r.reason and r.q <= 0.10])
    )
    assert screen(prices, family=groups, keep=2).significant == found.significant
    planted = {frozenset((f"G{g}A", f"G{g}B")) for g in range(5)}
    assert planted <= {frozenset((r.y, r.x)) for r in found.discoveries}
    for level, count in found.below.items():
        assert count == sum(t.p <= float(level) for t in want.values())


def test_a_grid_is_a_ranking_with_exact_counts() -> None:
    """Every pair once, counts equal brute force, whatever the blocks; nothing is called a discovery."""
    prices, _ = world()
    want = reference(prices.rows(0, CUT), None)
    one, many = (screen(prices, family="grid", block=b, keep=30) for b in (500, 7))
    assert plain(one) == plain(many)
    assert one.ranking and not one.discoveries and one.tests == one.declared == 300 == len(want)
    assert one.below["0.05"] == sum(t.p <= 0.05 for t in want.values())
    best = sorted(want, key=lambda k: want[k].stat)[:30]
    assert [(r.y, r.x) for r in one.pairs] == best
    assert "ranking" in one.label and "by chance" in str(one)


def test_the_held_out_test_has_weights_fixed_before() -> None:
    """p_out is the ADF of the later spread with the earlier weights, corrected over the pairs tested there only."""
    prices, _ = world()
    found = screen(prices, family=None, keep=20)
    later = prices.rows(CUT, T)
    assert found.held_out == T - CUT
    series = dict(zip(later.symbols, later.columns("log"), strict=True))
    tested = [r for r in found.pairs if math.isfinite(r.p_out)]
    assert tested == [r for r in found.pairs if r.verdict == "candidate"]
    for r in tested:
        assert r.p_out == adf(series[r.y] - r.beta * series[r.x], lags=1, trend="c").p
    np.testing.assert_allclose([r.q_out for r in tested], adjusted([r.p_out for r in tested], "bh"))
    assert found.survivors == found.confirmed == tuple(r for r in tested if r.q_out <= 0.10)
    assert any(r.y[:2] == r.x[:2] for r in found.confirmed)
    bare = screen(prices, family=None, confirm=0)
    assert not bare.survivors and "not confirmed: no pair here is a discovery" in str(bare)


def test_later_prices_change_nothing_of_the_search() -> None:
    """Prices after the cut move neither the ranking nor any number of it."""
    prices, _ = world()
    close = prices.close.copy()
    close[CUT:] *= np.linspace(1, 3, T - CUT)[:, None] ** np.arange(prices.width)
    changed = panel(close, prices.symbols)
    keys = ("y", "x", "stat", "p", "q", "beta", "alpha", "half_life", "hurst", "stability", "edge_bp")
    a, b = (screen(p, family=None, keep=15).pairs for p in (prices, changed))
    assert [[getattr(r, k) for k in keys] for r in a] == [[getattr(r, k) for k in keys] for r in b]


def test_columns_in_any_order_give_the_same_pairs() -> None:
    """A permutation of the columns changes no pair, no orientation and no cluster."""
    prices, _ = world()
    turned = prices.select(list(np.random.default_rng(0).permutation(prices.symbols)))
    for family in ("clusters", "grid"):
        a, b = (screen(p, family=family, keep=20) for p in (prices, turned))
        assert {(r.y, r.x, r.verdict) for r in a.pairs} == {(r.y, r.x, r.verdict) for r in b.pairs}
        assert sorted(a.families.values()) == sorted(b.families.values())


def test_what_is_refused_says_why() -> None:
    """Collinear pairs, half-lives outside the range, too little edge, a hedge ratio below zero."""
    prices, groups = world()
    close = np.column_stack([prices.close, prices.close[:, 0] * (1 + 1e-9 * np.arange(T)), 1e4 / prices.close[:, 6]])
    names = [*prices.symbols, "G0T", "G1I"]
    more = {**groups, "G0T": "g0", "G1I": "g1"}
    found = screen(panel(close, names), family=more, half_life=(1, "5d"), least_edge_over_cost=8.0, cost_bp=30.0)
    reasons = {frozenset((r.y, r.x)): r.reason for r in found.refused}
    assert reasons[frozenset(("G0A", "G0T"))].startswith("collinear")
    assert reasons[frozenset(("G1B", "G1I"))].startswith("collinear")
    assert reasons[frozenset(("G1A", "G1I"))].startswith("hedge ratio -")
    assert any("outside 1..5" in r for r in reasons.values()) and any("times the cost" in r for r in reasons.values())
    assert found.n_collinear == 2 and found.tests == found.declared - 2
    assert all(1 <= r.half_life_unbiased <= 5 for r in found.discoveries)


def test_few_series_and_no_clusters() -> None:
    """Below ten series all are one family; where no cluster is found nothing is tested, and that is said."""
    prices, _ = world()
    two = screen(prices.select(["G0A", "G0B"]), half_life=(0.5, 100))
    assert two.tests == 1 and len(two.discoveries) == 1 and not two.ranking
    assert two.label == "one family of all 2 series, too few to cluster"
    walks = np.cumsum(np.random.default_rng(3).normal(0, 0.01, (10, T)), axis=1)
    none = screen(panel(np.exp(3 + walks.T)), family={"s0": "a", "s1": "b", "absent": "a"})
    assert (none.tests, none.declared, none.significant, none.pairs) == (0, 0, 0, ())
    assert "0 tests of 0 pairs" in str(none) and "1 names are not in the panel" in none.label


def test_bad_series_are_listed() -> None:
    """Gaps, prices that are not positive and constants are excluded in the result; level can use the negative one."""
    prices, groups = world()
    close = prices.close.copy()
    close[3, 0] = np.nan
    close[4, 1] = -1.0
    bad = load(close, symbols=list(prices.symbols), align="union")
    found = screen(bad, family=groups)
    assert {e.symbol for e in found.excluded} == {"G0A", "G0B"}
    assert "1 of 240 prices missing" in str(found) and "which space='log' needs" in str(found)
    level = screen(bad, family=groups, space="level")
    assert {e.symbol for e in level.excluded} == {"G0A"} and level.space == "level"
    assert all(r.spread().space == "level" for r in level.pairs)
    with pytest.raises(DataError, match="at least 2 usable series, 0 left"):
        screen(load(np.where(np.arange(T)[:, None] == 5, -1.0, close[:, 5:8]), align="union"))


def test_impossible_settings() -> None:
    """Names are checked before anything is tested."""
    prices, groups = world()
    for settings, why in (
        ({"space": "ratio"}, "unknown space"),
        ({"correction": "holm"}, "unknown correction"),
        ({"false_discovery": 1.0}, "false_discovery"),
        ({"half_life": (5, 5)}, "least < most"),
        ({"half_life": ("1w", 5)}, "expected steps or a number with d"),
        ({"family": "sectors"}, "unknown family"),
        ({"confirm": 0.9}, "at least 40 each"),
        ({"confirm": 1.0}, r"share in \[0, 1\)"),
        ({"cost_bp": {"G0A": 1.0}}, "no cost for"),
        ({"cost_bp": -1.0}, "0 or more"),
        ({"lags": "hq"}, "rule for lags"),
    ):
        with pytest.raises(ConfigError, match=why):
            screen(prices, **{"family": groups, **settings})  # type: ignore[arg-type]


def test_a_row_describes_its_pair() -> None:
    """Cost, edge and neutrality of a pair by hand; half-life, Hurst and stability of a true pair look the part."""
    prices, groups = world()
    found = screen(prices, family=groups, cost_bp={s: 2.0 if s.endswith("A") else 4.0 for s in prices.symbols})
    r: PairRow = next(p for p in found.pairs if {p.y, p.x} == {"G2A", "G2B"})
    weights = np.array([1.0, -r.beta])
    share = np.abs(weights) / np.abs(weights).sum()
    costs = np.array([2.0 if s.endswith("A") else 4.0 for s in (r.y, r.x)])
    assert r.round_trip_bp == pytest.approx(2 * share @ costs)
    assert r.edge_bp == pytest.approx(1e4 * 2 * r.sigma / (1 + r.beta))
    assert r.net_share == pytest.approx((1 - r.beta) / (1 + r.beta))
    assert r.half_life_low <= r.half_life <= r.half_life_high < 10 and r.walk_percentile < 1
    assert r.hurst < 0.5 and r.hurst_percentile < 5 and r.variance_ratio < 0.5 and r.stability == 1.0
    assert r.hurst_percentile == hurst_percentile(r.hurst, T, "dfa", series=2)
    assert r.ratio_percentile == ratio_percentile(r.variance_ratio, 8, T, series=2) < 1
    x = dict(zip(prices.symbols, prices.columns(), strict=True))
    assert r.half_life_beyond_noise == pytest.approx(half_life_beyond_noise(x[r.y] - r.beta * x[r.x], 1.0))
    assert 0 < r.half_life_beyond_noise < 3
    assert r.beta_low <= r.beta <= r.beta_high and 0 < r.beta_se < 0.2
    assert r.sector == "g2"
    mixed = screen(prices, family=groups, sectors={"G2A": "tin", "G2B": "lead", "G0A": "tin"}, keep=50).pairs
    assert {p.sector for p in mixed} in ({"", "lead|tin"}, {"", "tin|lead"})
    assert r.p_text.startswith("< ") and abs(r.zscore) < 6


def test_noise_in_single_closes_shows_beside_the_half_life() -> None:
    """Stale or bouncing closes shorten the fitted half-life of 13 steps by half; the column beside it says so."""
    rng = np.random.default_rng(2)
    common, gap, shocks = np.cumsum(rng.normal(0, 0.01, 1000)), np.zeros(1000), rng.normal(0, 0.005, 1000)
    for t in range(1, 1000):
        gap[t] = 0.95 * gap[t - 1] + shocks[t]
    bounce = rng.normal(0, 0.007, 1000)
    clean, dirty = (
        screen(panel(np.exp(3 + np.column_stack([common, common + gap + e])), ["A", "B"])).pairs[0]
        for e in (np.zeros(1000), bounce)
    )
    assert dirty.half_life < 0.6 * clean.half_life and dirty.half_life_high < clean.half_life
    assert dirty.half_life_beyond_noise == pytest.approx(clean.half_life, rel=0.35)
    assert clean.half_life_beyond_noise == pytest.approx(clean.half_life, rel=0.2)
    columns, rows = screen(panel(np.exp(3 + np.column_stack([common, common + gap + bounce])), ["A", "B"])).table()
    assert rows[0][columns.index("no noise")] == f"{dirty.half_life_beyond_noise:.1f}"


@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_the_more_walk_like_series_is_the_regressand(scale: float) -> None:
    """Whatever its name, place and size; equal ones go by name; the spread is that of the row's weights."""
    rng = np.random.default_rng(4)
    common, noise = np.cumsum(rng.normal(0, 0.01, T)), rng.normal(0, 0.01, T)
    for names in (("A", "B"), ("B", "A")):
        prices = panel(np.exp(3 + np.column_stack([common, scale * (common + noise)])), names)
        r = screen(prices).pairs[0]
        assert (r.y, r.x) == names
        x = dict(zip(prices.symbols, prices.columns(), strict=True))
        left = x[r.y] - r.beta * x[r.x] - r.alpha
        assert abs(left.mean()) < 1e-9 and abs(left @ (x[r.x] - x[r.x].mean())) < 1e-9
    rows = np.stack([common, -common])
    for symbols in (("A", "B"), ("B", "A")):
        assert [symbols[i] for i in declare(symbols, rows, None).order] == ["A", "B"]


def test_no_asset_twice_among_the_matched() -> None:
    """Matched pairs share no asset and weigh no less than a greedy choice."""
    prices, _ = world()
    found = screen(prices, family=None, confirm=0)
    rows = [r for r in found.pairs if r.p < 0.2]
    chosen = found.matched(rows)
    ends = [s for r in chosen for s in (r.y, r.x)]
    assert len(chosen) >= 5 and len(set(ends)) == len(ends) and found.matched() == ()
    used: set[str] = set()
    greedy = 0.0
    for r in rows:
        if not used & {r.y, r.x}:
            used |= {r.y, r.x}
            greedy -= math.log10(r.p)
    assert sum(-math.log10(r.p) for r in chosen) >= greedy - 1e-9


class Stop(Exception):
    """What a kill looks like from inside."""


def test_a_killed_screen_goes_on(tmp_path: Path) -> None:
    """Stopped at any batch, the checkpoint is whole, only the rest is tested again, and the result is the same."""
    prices, _ = world()
    whole = screen(prices, family=None, block=5)
    batches = screen_blocks.plan([25], 5)
    assert len(batches) == 1, "small families travel together"
    path = tmp_path / "deep" / "c.npz"
    before, screen_blocks.BATCH_PAIRS = screen_blocks.BATCH_PAIRS, 20
    try:
        total = len(screen_blocks.plan([25], 5))
        assert total > 10
        seen: list[float] = []

        def stop(done: float, all_pairs: float) -> None:
            seen.append(done)
            if len(seen) == 4:
                raise Stop

        with pytest.raises(Stop):
            screen(prices, family=None, block=5, resume=path, progress=stop)
        later: list[float] = []
        resumed = screen(prices, family=None, block=5, resume=path, progress=lambda d, _: later.append(d))
        assert later[0] > seen[3] and later[-1] == 300 and len(seen) + len(later) == total
        assert plain(resumed) == plain(whole)
        again: list[float] = []
        done = screen(prices, family=None, block=5, resume=path, progress=lambda d, _: again.append(d))
        assert not again and plain(done) == plain(whole)
        assert [p.name for p in path.parent.iterdir()] == ["c.npz"]
    finally:
        screen_blocks.BATCH_PAIRS = before


KILLED = """
import os, sys
import numpy as np
from oneprice.market.prices import panel
from oneprice.study import screen_blocks
from oneprice.study import screen as module
screen_blocks.BATCH_PAIRS = 20
module.screen.__globals__["SAVE_EVERY"] = 2
file = np.load(sys.argv[1])
seen = []
def tick(done, total):
    seen.append(done)
    if len(seen) == 7:
        os._exit(9)
module.screen(panel(file["close"], [str(s) for s in file["symbols"]]), family=None, block=5, resume=sys.argv[2],
              progress=tick)
"""


def test_a_process_that_dies_leaves_a_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended without a last word at batch 7, with a save every 2: six batches are kept, and the result is the same."""
    prices, _ = world()
    np.savez(tmp_path / "p.npz", close=prices.close, symbols=np.array(prices.symbols))
    path = tmp_path / "c.npz"
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "p.npz"), str(path)], check=False)
    assert done.returncode == 9 and path.is_file()
    monkeypatch.setattr(screen_blocks, "BATCH_PAIRS", 20)
    ticks: list[float] = []
    resumed = screen(prices, family=None, block=5, resume=path, progress=lambda d, _: ticks.append(d))
    assert len(ticks) == len(screen_blocks.plan([25], 5)) - 6
    assert plain(resumed) == plain(screen(prices, family=None, block=5))


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    """Other prices, other lags, another length of list; a file that is no checkpoint."""
    prices, _ = world()
    path = tmp_path / "c.npz"
    screen(prices, family=None, resume=path)
    close = prices.close.copy()
    close[0, 0] *= 1.0001
    for other, more in ((panel(close, prices.symbols), {}), (prices, {"keep": 9}), (prices, {"lags": 0})):
        with pytest.raises(ConfigError, match="belongs to other prices or settings"):
            screen(other, family=None, resume=path, **more)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="expected the checkpoint of a screen"):
        screen(prices, family=None, resume=path)


def test_executors_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and processes give the very result of the plain run, block by block in any order."""
    monkeypatch.setattr(screen_blocks, "BATCH_PAIRS", 40)
    monkeypatch.setattr(screen_blocks, "IN_FLIGHT", 3)
    prices, _ = world()
    here = screen(prices, family=None, block=6)
    with ThreadPoolExecutor(3) as threads:
        assert plain(screen(prices, family=None, block=6, executor=threads)) == plain(here)
    with ProcessPoolExecutor(2) as processes:
        assert plain(screen(prices, family=None, block=6, executor=processes)) == plain(here)
    with pytest.raises(Stop), ThreadPoolExecutor(2) as threads:
        screen(prices, family=None, block=6, executor=threads, progress=_stop)


def _stop(done: float, total: float) -> None:
    raise Stop


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_dask_changes_nothing(processes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local Dask cluster, in threads and with a worker process of its own, through the executor of its client."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(screen_blocks, "BATCH_PAIRS", 100)
    prices, _ = world()
    with distributed.Client(processes=processes, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        there = screen(prices, family=None, block=10, executor=client.get_executor())
    assert plain(there) == plain(screen(prices, family=None, block=10))


def test_lags_by_criterion() -> None:
    """AIC for each pair: lags and statistic equal the direct test's."""
    prices, groups = world()
    found = screen(prices.rows(0, 100), family=groups, lags="aic", keep=10)
    x = dict(zip(prices.symbols, prices.rows(0, 100).columns(), strict=True))
    for r in found.pairs[:5]:
        one = engle_granger(x[r.y], x[r.x], lags="aic")
        assert (r.lags, r.stat) == (one.lags, pytest.approx(one.stat))
        assert r.p == one.p


def test_every_pair_is_planned_once() -> None:
    """Blocks of any size over families of any size cover each pair within a family once, and no pair across."""
    for sizes in ((1,), (2, 1, 3), (17, 4), (30,)):
        for block in (1, 4, 7, 100):
            seen = []
            for batch in screen_blocks.plan(sizes, block):
                for a, b, c, d in batch:
                    seen += [(i, j) for i in range(a, b) for j in range(c, d) if a != c or i < j]
            edges = np.concatenate([[0], np.cumsum(sizes)])
            want = [(i, j) for lo, hi in zip(edges, edges[1:]) for i in range(lo, hi) for j in range(i + 1, hi)]  # noqa: B905, RUF007
            assert sorted(seen) == want
            assert sum(map(screen_blocks.pairs_of, screen_blocks.plan(sizes, block))) == len(want)


def test_q_of_bins_is_the_step_up_rule() -> None:
    """From the histogram alone, BH and BY over more hypotheses than tests equal the sorted formula."""
    null = engle_granger_null(60, lags=0, draws=999)
    stat = np.random.default_rng(0).normal(-2.2, 1.2, 400)
    tally = new_tally(1, 999, 5)
    place = np.searchsorted(null.draws, stat, side="right")
    np.add.at(tally.counts, place, 1)
    p = null.p(stat)
    np.testing.assert_allclose(tally.p_values[place], p)
    for method in ("bh", "by"):
        np.testing.assert_allclose(tally.q_of_bins(410, method)[place], adjusted(p, method, size=410))


def test_result_is_written_and_printed(tmp_path: Path) -> None:
    """JSON has no NaN; the frame has a row a pair; the page stands alone and names its source."""
    from oneprice.dashboard.screen_page import write_screen_page

    prices, groups = world()
    found = screen(prices, family=groups, confirm=0.3, baskets=True, half_life=(1, 100))
    read = json.loads(found.write(tmp_path / "s.json").read_text())
    assert read["tests"] == 50 and len(read["pairs"]) == 50 and read["header"]["claim"] is False
    assert found.to_frame().height == 50
    page = write_screen_page(found, prices, tmp_path / "s.html").read_text()
    assert page.count("<svg") >= 6 and "http" not in page.replace("http://www.w3.org", "")
    for words in ("Can P&amp;L be claimed? No", "Refused pairs", "Baskets", "held out, same weights", found.pairs[0].y):
        assert words in page
    assert len(found.baskets) == 5 and all(b.q >= b.p for b in found.baskets)
    assert str(found.baskets[0]) in str(found)


def test_a_price_of_zero_in_levels_leaves_the_row_finite() -> None:
    """Units earn moves, not ratios: a price that touches 0 does not spoil the market beta, and warns of nothing."""
    walks = np.cumsum(np.random.default_rng(4).normal(0, 1, (300, 3)), axis=0) + 60
    walks[150, 0] = 0.0
    found = screen(load(walks), space="level", family="grid", confirm=0)
    assert len(found.pairs) == 3
    assert all(np.isfinite(row.market_beta) for row in found.pairs)


def test_short_panels_have_no_hurst_exponent() -> None:
    """Below the 100 observations that it needs the Hurst exponent is empty, and everything else is there."""
    walks = np.cumsum(np.random.default_rng(3).normal(0, 0.01, (3, 60)), axis=1)
    found = screen(panel(np.exp(3 + walks.T), ["A", "B", "C"]))
    assert len(found.pairs) == 3 and all(math.isnan(r.hurst) and math.isnan(r.hurst_percentile) for r in found.pairs)
    assert all(math.isfinite(r.variance_ratio) and math.isfinite(r.p) for r in found.pairs)
    assert "nan" in str(found) and json.loads(json.dumps(found.to_dict()))["pairs"][0]["hurst"] is None


@pytest.mark.parametrize("space", ["log", "level"])
def test_what_no_arithmetic_can_use_is_listed(space: str) -> None:
    """What moves by rounding alone, what overflows when squared, what stands still in the period searched; a leg that
    stands still later is searched and not confirmed, since later is not known then.
    """
    rng = np.random.default_rng(8)
    close = np.exp(4 + np.cumsum(rng.normal(0, 0.01, (300, 6)), axis=0))
    close[:, 1] = 7.0 * (1 + 1e-15 * rng.normal(size=300))
    close[:, 2] = np.repeat([1e-300, 1e300], 150)
    close[:-1, 3] = close[0, 3]
    found = screen(panel(close, list("ABCDEF")), family="grid", space=space)
    told = {e.symbol: e.reason for e in found.excluded}
    assert set(told) == {"B", "C", "D"} and found.tests == 3
    assert told["B"].startswith("constant") and "cannot be squared" in told["C"] and "searched period" in told["D"]
    close[:, 3] = close[:, 4] * np.exp(rng.normal(0, 0.01, 300))
    close[210:, 3] = close[210, 3]
    later = screen(panel(close[:, [0, 3, 4, 5]], list("ADEF")), family="grid", space=space, half_life=(0.01, 1e9))
    assert later.tests == 6 and later.pairs[0].p < 1e-3 and {later.pairs[0].y, later.pairs[0].x} == {"D", "E"}
    assert all(math.isnan(r.p_out) == ("D" in (r.y, r.x)) for r in later.pairs if r.verdict != "refused")
    close[:-1, 3] = close[0, 3]
    close[:, 4] = close[0, 4]
    close[:, 5] *= np.where(np.arange(300) < 150, 1.0, 0.01)
    with pytest.raises(DataError, match=r"at least 2 usable series, 1 left.*C: prices outside.*D: constant"):
        screen(panel(close[:, :5], list("ABCDE")), family="grid", space=space)
    flagged = panel(close[:, [0, 5]], ["A", "F"]).flagged
    assert [(f.symbol, f.kind) for f in flagged] == [("F", "split")], "pence, then pounds, in a panel of two"
