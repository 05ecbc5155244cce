"""Fitted bands inside a replay: planted residuals, no look-ahead, refits as model updates, refusals, exact parts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.records import COMMAND, MODEL
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.settlement_tapes import DAY_NS, settlement_tapes
from oneprice.market.settlements import Settlements, read_chain, read_settlements, settlements
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.signals.parity.relations import Relation, pack_relations
from oneprice.strategies.term_structure import term_structure
from oneprice.study import term_replay
from oneprice.study.term_cli import replay_settings
from oneprice.study.term_fit import StripRules
from oneprice.study.term_fitted import FittedEstimator
from oneprice.study.term_fitted import strip_estimator as made_estimator
from oneprice.study.term_replay import FEES, TermRun, replay_term, strip_limits, strip_policy

ABOUT = Header(
    source="made", licence="own", period="made", side="not stated", simultaneity="one a day", survivorship="all",
    tries=1, claim=False, claim_why="simulated",
)  # fmt: skip
DAYS, CONTRACTS, KAPPA = 560, 34, 1.2
RULES = StripRules(kind="fitted", places=9, lots=3, fit_days=250, refit_days=91, errors=1.0)


@cache
def strip(seed: int, kept: float, jump_day: int = DAYS, low_day: int = DAYS) -> Settlements:
    """Two factors and a residual a contract with `kept` of it left each day (1: a walk); altered from `jump_day` on."""
    rng = np.random.default_rng(seed)
    ends = np.array([20 + 30 * k for k in range(CONTRACTS)])
    chain = make_chain("XX", ends.tolist(), boundary="upper", multiplier=1000.0, tick=0.01)
    chi, xi = 0.0, float(np.log(60.0))
    off: np.ndarray = np.zeros(CONTRACTS)
    rows: list[tuple[int, str, float]] = []
    for t in range(DAYS):
        if t % 7 >= 5:
            continue
        if t == jump_day:
            rng = np.random.default_rng(seed + 1000)
        chi = chi * np.exp(-KAPPA / 252) + rng.normal(0, 0.3 / 252**0.5)
        xi += rng.normal(0, 0.15 / 252**0.5)
        off = kept * off + rng.normal(0, 0.004, CONTRACTS)
        years = (ends - t) / 365.0
        price = np.exp(chi * np.exp(-KAPPA * years) + xi - 0.03 * years + off)
        alive = np.flatnonzero(years >= 0)
        for i in alive[:14]:
            value = -37.63 if t == low_day and i == alive[0] else round(float(price[i]), 2)
            rows.append((t, chain.contracts[i].symbol, value))
    return settlements(chain, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], header=ABOUT)


def run_of(panel: Settlements, rules: StripRules = RULES, **how: Any) -> tuple[TermRun, FittedEstimator]:
    """A replay and the estimator it ran."""
    held: list[Any] = []

    def kept(*args: Any) -> Any:
        held.append(made_estimator(*args))
        return held[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(term_replay, "strip_estimator", kept)
        got = replay_term(panel, rules=rules, rate=0.01, **how)
    return got, held[0]


@cache
def reverting() -> tuple[TermRun, FittedEstimator]:
    return run_of(strip(1, 0.7))


def test_planted_residuals_are_traded_and_pay() -> None:
    """Residuals with a half-life of two days: packages are admitted, traded, and what they earn is in the residual."""
    got, estimator = reverting()
    parts = got.parts.totals()
    assert got.run.closes() == 0 and got.parts.exact
    assert len(got.parts.trades) > 8
    assert parts["residual"] > 10 * abs(parts["roll"]) and parts["residual"] > 3 * abs(parts["curve"])
    assert parts["total"] > 0 > parts["cost"]
    assert got.word == "relative value" and "arbitrage" not in str(got)
    assert any("Benjamini-Yekutieli" in note for note in got.notes), "what was tried and refused is told"
    tested = [t for r in estimator.refits.values() if r for t in r.tested]
    assert np.mean([t.admitted for t in tested]) > 0.5
    assert all(0.5 < t.half_life_days < 6.0 for t in tested if t.admitted)


def test_residuals_that_never_come_back_are_refused() -> None:
    """The same world with walks as residuals: nothing is admitted, nothing traded; without the tests it would be."""
    got, estimator = run_of(strip(1, 1.0))
    tested = [t for r in estimator.refits.values() if r for t in r.tested]
    assert len(tested) > 6 and not any(t.admitted for t in tested)
    assert all(t.adjusted >= t.p for t in tested) and len(got.run.commands()) == 0
    free, _ = run_of(strip(1, 1.0), msgspec.structs.replace(RULES, false_share=1.0), period=(0, 420))
    assert len(free.run.commands()) > 0, "the tests are what refuses"


def test_later_settlements_do_not_change_models_or_orders() -> None:
    """Another world from day 400 on, refits included: models and commands up to then are the same bytes."""
    one, _ = reverting()
    two, _ = run_of(strip(1, 0.7, jump_day=400))
    told = 400 * DAY_NS + 19 * 3600 * 10**9
    for rows in (lambda r: r.run.commands(), lambda r: r.run.events[r.run.events["kind"] == MODEL]):
        stamp = "time_ns" if "time_ns" in rows(one).dtype.names else "receive_ns"
        a, b = (rows(r)[rows(r)[stamp] < told] for r in (one, two))
        assert len(a) > 4 and a.tobytes() == b.tobytes()
        assert rows(one).tobytes() != rows(two).tobytes(), "the alteration does matter later"


def test_refits_come_as_model_updates_on_their_schedule() -> None:
    """A refit each 91 days from the first row; weights of a package stay from its admission to its end."""
    got, estimator = reverting()
    first = min(int(t.events["receive_ns"][0]) for t in got.tapes)
    done = {k: r for (_, k), r in estimator.refits.items() if r is not None}
    assert [r.time_ns for r in done.values()] == [first + 91 * DAY_NS * k for k in done] and len(done) >= 4
    assert min(done) == 2, "120 days of settlements are asked before the first"
    models = got.run.events[got.run.events["kind"] == MODEL]
    assert len(np.unique(models["version"])) == 1 + (DAYS - 7) // 7
    assert len({r.model.text for r in done.values()}) == len(done), "each refit has its own numbers"
    seen: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for r in done.values():
        for places, package in r.packages.items():
            seen.setdefault(places, set()).add(package.lots)
    both = [r.packages.keys() & done[k + 1].packages.keys() for k, r in done.items() if k + 1 in done]
    assert any(both) and all(len(lots) == 1 for lots in seen.values())


def test_a_model_depends_on_its_rows_alone() -> None:
    """A new estimator asked late, as in a recovered session, gives the model of the one that was always there."""
    got, old = reverting()
    windows = [t.events[t.events["receive_ns"] <= 500 * DAY_NS] for t in got.tapes]
    new = FittedEstimator(old.legs, old.symbols, old.rules, old.rate, old.costs)
    late, early = new(windows), old(windows)
    assert late["relations"].tobytes() == early["relations"].tobytes() and (late["relations"]["id"] != 0).any()


def test_packages_are_neutral_to_both_factors() -> None:
    """A day's move of a package with the factors is small beside its residual; 1:2:1 of the same legs leaves more."""
    _, estimator = reverting()
    left = [p.left / p.noise for r in estimator.refits.values() if r for p in r.packages.values()]
    assert max(left) < 0.2


def test_what_was_journalled_runs_again(tmp_path: Path) -> None:
    """The journal holds the models: a rerun without the estimator sends the same commands."""
    got, _ = run_of(strip(1, 0.7), period=(0, 420), out=tmp_path)
    assert len(got.run.commands()) > 0
    again = rerun(tmp_path, tapes=list(got.tapes))
    assert again.equal, str(again)
    assert again.run.commands().tobytes() == got.run.rows[got.run.rows["kind"] == COMMAND].tobytes()


def test_diebold_li_has_packages_of_four() -> None:
    """Level, slope and curvature are three factors: four legs, admitted on planted residuals, exact parts."""
    got, estimator = run_of(strip(1, 0.7), msgspec.structs.replace(RULES, model="diebold_li"))
    packages = [p for r in estimator.refits.values() if r for p in r.packages.values()]
    assert packages and all(len(p.lots) == 4 for p in packages) and got.parts.exact and len(got.parts.trades) > 0


def test_a_price_below_zero_is_left_out(data_dir: Path) -> None:
    """The 20th of April 2020 has no log: its reading is left out and told, the rest of the strip is fitted."""
    made, _ = run_of(strip(2, 0.7, low_day=308))
    assert any("of 0 or below" in note for note in made.notes) and made.parts.exact and len(made.parts.trades) > 0
    curves = data_dir / "futures_curves"
    panel = read_settlements(curves / "dflong.parquet", read_chain(curves / "expiry_table.parquet", "CL"))
    rules = StripRules(kind="fitted", places=6, errors=1.0, false_share=1.0, half_life_days=60.0)
    got, estimator = run_of(panel, rules, period=("2019-07-01", "2020-08-31"), every_days=28)
    assert got.run.closes() == 0 and got.parts.exact and np.isfinite(list(got.parts.totals().values())).all()
    assert any("of 0 or below" in note for note in got.notes)
    assert sum(r is not None for r in estimator.refits.values()) == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model": "nelson"}, "model of a fitted band"),
        ({"false_share": 0.0}, "false_share above 0"),
        ({"errors": 0.0}, "errors above 0"),
        ({"refit_days": 0}, "refit_days above 0"),
    ],
)
def test_rules_that_cannot_be_are_refused(change: dict[str, Any], text: str) -> None:
    """Unknown models and numbers out of range."""
    with pytest.raises(ConfigError, match=text):
        StripRules(kind="fitted", **change)


def test_by_the_names_of_a_command_line(data_dir: Path) -> None:
    """`--set kind=fitted` and its rules reach the replay; the report says relative value and what was tried."""
    curves = data_dir / "futures_curves"
    options = {
        "root": "BRN", "expiries": str(curves / "expiry_table.parquet"), "rates": 0.02, "kind": "fitted", "places": 6,
        "errors": 1.0, "refit_days": 120, "model": "diebold_li", "false_share": 0.5,
    }  # fmt: skip
    got = replay_settings(curves / "dflong.parquet", options, period=("2008-01-01", "2009-06-30"))
    text = str(got)
    assert got.parts.exact and "term_structure, fitted (relative value)" in text and "arbitrage" not in text
    assert "fitted bands, diebold_li: 3 refits" in text and "residual packages tried" in text
    with pytest.raises(ConfigError, match="model of a fitted band"):
        replay_settings(curves / "dflong.parquet", {**options, "model": "svensson"})


def test_a_relation_dropped_while_its_orders_are_under_way_is_still_closed() -> None:
    """The model that drops a package comes a nanosecond after its orders: the position is known, and left in time."""
    panel = strip(1, 0.7)
    day, first = 150, []

    def dropped(windows: list[np.ndarray]) -> dict[str, Any]:
        now_ns = max(int(w["receive_ns"][-1]) for w in windows if len(w))
        made = Relation(kind="spread", symbols=symbols, weights=(-1.0, 2.0, -1.0), qty=2000.0, low=-900.0, high=-800.0,
                        confirm=1)  # fmt: skip
        first.append(now_ns)
        return pack_relations([made] if len(first) == 1 else [], names, len(first), fit_ns=now_ns)

    tapes = settlement_tapes(
        panel, [c.symbol for c in panel.chain.contracts[7:10]], first=day, last=day + 30, fees=FEES
    )
    names = [t.instrument.symbol for t in tapes]
    symbols = tuple(names)
    rows = sorted({int(x) for t in tapes for x in t.events["receive_ns"]})
    fit = Fit(estimator=dropped, first_ns=rows[0], every_ns=rows[1] - rows[0], latency_ns=1)
    got = replay(
        term_structure(slip_bp=5_000.0, slip_price=20.0, participation=1.0), tapes, fits=[fit],
        latency=constant(1000.0, 1000.0), limits=strip_limits(1e7), policy=strip_policy(),
        settings=Settings(capital=1e7, sample_ns=DAY_NS, max_price_ticks=1_000_000),
    )  # fmt: skip
    fills = got.fills()
    assert len(fills) == 6, "opened once, and closed as soon as the next settlement stands"
    held = {i: int((fills["side"] * fills["qty"])[fills["leg"] == i].sum()) for i in range(3)}
    assert held == {0: 0, 1: 0, 2: 0} and got.closes() == 0
