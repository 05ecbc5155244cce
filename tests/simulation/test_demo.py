"""The demo: exhibits 1 and 3 on the real packs where they can be had, exhibit 2 on a short world."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from oneprice.core.errors import DataError
from oneprice.market import packs
from oneprice.strategies.cross_market import cross_market
from oneprice.study import demo
from oneprice.study.exhibit_feeds import feeds
from oneprice.study.exhibit_funnel import funnel
from oneprice.study.exhibit_world import traded


@pytest.fixture
def wheels() -> None:
    """Every pack in the cache, or the test is not run."""
    try:
        for name in packs.PACKS:
            packs.fetch(name)
    except DataError as error:
        pytest.skip(f"data packs are neither cached nor reachable: {str(error).splitlines()[0]}")


@pytest.mark.usefixtures("wheels")
def test_gap_that_looks_like_money() -> None:
    """On real feeds: one clock, a constant side bias, no clean gap, a profit that dies by named steps."""
    found = feeds()
    assert found.bars == 4_356
    assert found.clock.best_hours == 0 and found.clock.runner_up < 0.1
    assert min(found.week_end) > 0.9
    assert found.constant_side and found.offset == pytest.approx(2e-5)
    assert all(v > 0 for v in found.monthly_offset)
    assert found.audit.count("clean") == 0
    assert found.audit.count("side_bias") > found.audit.count("non_simultaneous") > 0
    pnl = [s.pnl for s in found.stages]
    assert pnl[0] == pytest.approx(10_153.0, abs=0.5)
    assert all(a > b for a, b in pairwise(pnl)) and pnl[-1] < 0.0
    assert 1.0 < found.lag_s < 10.0
    text = str(found)
    for part in (
        "can P&L be claimed?",
        "no, one feed is asks",
        "NOT an arbitrage",
        "MIT and AGPL-3.0",
        "tries",
    ):
        assert part in text


def test_gap_that_is_money(tmp_path: Path) -> None:
    """A short world through the whole engine: journal, manifest and sweep are written and the books close."""
    found = traded(cross_market, out=tmp_path, minutes=2.0)
    assert found.run.closes() == 0
    assert found.confusion["real"].get("clean", 0) >= 0.8 * sum(found.confusion["real"].values())
    assert found.score.real_traded > 0 and found.score.captured > 0.0
    assert found.score.real_traded > found.score.decoys_traded
    assert {p.name for p in tmp_path.iterdir()} >= {"journal.op", "manifest.json", "sweep.json"}
    assert json.loads((tmp_path / "sweep.json").read_text())["tries"] == len(found.sweep.points) == 40
    assert "simulated" in str(found)
    again = traded(cross_market, minutes=2.0)
    assert again.run.rows.tobytes() == found.run.rows.tobytes()
    assert again.to_dict()["score"] == found.to_dict()["score"]


@pytest.mark.usefixtures("wheels")
def test_the_funnel_counts_every_step() -> None:
    """Twenty stocks: more tests than discoveries than survivors than trades' pairs, none lately; the books close."""
    steps: list[float] = []
    found = funnel(progress=steps.append)
    c = found.counts
    assert steps == sorted(steps)
    assert c["tests"] > c["nominal"] > c["survivors"] > c["traded"] > 0
    assert c["by_chance"] == pytest.approx(0.05 * c["tests"])
    assert c["recent_empty"] >= c["recent_windows"] - 2 and c["recent_windows"] >= 12
    assert found.walk.closes() and found.walk.tries > 1 and len(found.walk.eras()) == 3
    assert found.banned.get("short_ban", 0) > 0
    power = [p.power for p in found.power]
    assert power == sorted(power, reverse=True) and power[0] > 0.9 and power[-1] < 0.3
    for part in ("can P&L be claimed?: no", "chosen in hindsight", "Power of a window", "short_ban", "BSD-3-Clause"):
        assert part in str(found)


def test_demo_without_packs_still_shows_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without data for exhibit 1 the demo says what is missing and how to get it, and goes on."""

    def missing() -> None:
        raise DataError("data pack 'eurusd_1h' is not in the cache; to get it, run ...")

    def none_either(**_: object) -> None:
        missing()

    monkeypatch.setattr(demo, "feeds", missing)
    monkeypatch.setattr(demo, "funnel", none_either)
    monkeypatch.setattr(demo, "making_exhibit", none_either)
    monkeypatch.setattr(demo, "term_exhibit", none_either)
    monkeypatch.setattr(
        demo, "traded", lambda *a, **k: traded(cross_market, out=k["out"], ready=k["ready"], minutes=1.0)
    )
    told: list[str] = []
    steps: list[float] = []
    made = demo.run_demo(tmp_path, tell=told.append, progress=lambda done, total: steps.append(done / total))
    assert "to get it" in told[0] and "not shown" in str(made)
    assert steps == sorted(steps) and steps[-1] == 1.0
    text = json.loads((tmp_path / "demo.json").read_text())
    assert text["looks_like_money"] == {"missing": made.missing}
    assert text["is_money"]["run"]["closes_exactly"] is True
    assert text["funnel"] == {"missing": made.missing} and told[-3].startswith("3. not shown")
    assert text["maker"] == {"missing": made.no_maker} and told[-2].startswith("4. not shown")
    assert text["term"] == {"missing": made.no_term} and told[-1].startswith("5. not shown")
    assert [row[1] for row in made.summary()] == ["no", "no: simulated", "no", "no", "no"]
