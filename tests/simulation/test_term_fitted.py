"""Fitted bands inside a replay: planted residuals, no look-ahead, refits as model updates, refusals, exact parts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.plain import plain_event
from oneprice.core.records import COMMAND, EVENT, MODEL, TOP, VIEW
from oneprice.execution.intents import I_PACKAGE, INTENTS
from oneprice.market.chains import make_chain
from oneprice.market.header import Header
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.market.settlements import Settlements, read_chain, read_settlements, settlements
from oneprice.modes.rerun import rerun
from oneprice.signals.parity.relations import Relation, pack_relations
from oneprice.strategies.term_structure import term_structure
from oneprice.study import term_replay
from oneprice.study.term_cli import replay_settings
from oneprice.study.term_fit import StripRules
from oneprice.study.term_fitted import FittedEstimator
from oneprice.study.term_fitted import strip_estimator as made_estimator
from oneprice.study.term_replay import TermRun, replay_term

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
    assert isinstance(got, TermRun) and got.parts.exact
    assert "term_structure, fitted (relative value)" in text and "arbitrage" not in text
    assert "fitted bands, diebold_li: 3 refits" in text and "residual packages tried" in text
    with pytest.raises(ConfigError, match="model of a fitted band"):
        replay_settings(curves / "dflong.parquet", {**options, "model": "svensson"})


def test_a_relation_dropped_while_its_orders_are_under_way_is_still_closed() -> None:
    """The model that drops a package comes before any view shows its orders: its place is kept, and it is closed."""
    names = ("a", "b", "c")
    made = Relation(kind="spread", symbols=names, weights=(-1.0, 2.0, -1.0), qty=5.0, low=-9.0, high=-8.0, confirm=1)
    chosen = term_structure(slip_bp=0.0)
    memory, orders = np.zeros(1, chosen.memory), np.zeros(1, INTENTS)
    params, m, out = (x.view(np.recarray)[0] for x in (chosen.values.copy(), memory, orders))
    views, event = np.zeros(3, VIEW), np.zeros(1, EVENT)
    views["leg"], views["lot_qty"], views["min_qty"], views["stale_ns"] = np.arange(3), 1.0, 1.0, 10**12
    views["bid"], views["ask"], views["bid_qty"], views["ask_qty"] = 10.0, 10.1, 1e3, 1e3

    def told(kind: int, leg: int, time_ns: int) -> list[tuple[int, int]]:
        """(kind, reduce) of the packages asked for at an event."""
        event["kind"], event["leg"], event["receive_ns"] = kind, leg, time_ns
        views["quote_ns"] = views["venue_ns"] = time_ns
        orders["count"] = 0
        chosen.function(plain_event(event), views.view(np.recarray), params, m, out)
        asked = orders["intent"][0, : int(orders["count"][0])]
        return [(int(x["side"]), int(x["bits"]) & 1) for x in asked if x["kind"] == I_PACKAGE]

    memory["model"]["relations"] = pack_relations([made], names, 1)["relations"]
    told(MODEL, -1, 1)
    assert [reduce for _, reduce in told(TOP, 2, 2)] == [0], "above its band: sold"
    memory["model"]["relations"] = pack_relations([], names, 2)["relations"]
    told(MODEL, -1, 3)
    assert memory["book"]["now"]["id"][0, 0] == made.id, "not free while nobody knows what became of the orders"
    views["position"], views["position_lots"] = [5.0, -10.0, 5.0], [5, -10, 5]
    assert [reduce for _, reduce in told(TOP, 0, 4)] == [1], "what was filled is closed"
    views["position"], views["position_lots"] = 0.0, 0
    told(TOP, 0, 5)
    told(TOP, 0, 6)
    assert memory["book"]["now"]["id"][0, 0] == 0, "and then the place is free"
