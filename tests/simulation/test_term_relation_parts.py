"""Parts of a relation's future against its own spot: roll at constant carry, curve the spot, residual the carry."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import EVENT, FUNDING, LAST, TOP
from oneprice.market.header import Header
from oneprice.market.tape import Tape, make_tape, write_tape
from oneprice.signals.parity.relations import Relation
from oneprice.study.term_cli import write_relations
from oneprice.study.term_ladder import RelationLadder, Tie, dated_ladder, relation_ladder
from oneprice.study.term_parts import PARTS
from oneprice.study.term_quotes import replay_quotes

DAY_NS, YEAR = 86_400 * 10**9, 365.0
ABOUT = Header(
    source="made", licence="own", period="made", side="both", simultaneity="one clock", survivorship="all", tries=1,
    claim=False, claim_why="simulated",
)  # fmt: skip
TICK, N, END = 1e-3, 60, 61
NOW = (1 + np.arange(N)) * DAY_NS
PRICE = st.integers(-500, 10**7).map(lambda ticks: ticks * TICK)
LEFT = (END * DAY_NS - NOW) / (YEAR * DAY_NS)


def tape(symbol: str, mid: np.ndarray, *, late_ns: int = 0) -> Tape:
    """A quote a day, two ticks wide, around mids in quote currency; received `late_ns` after the venue's time."""
    one = Instrument(
        symbol=symbol, underlying="X", quote="USD", tick="0.001", lot="0.001", fees=Fees(maker_bp=1, taker_bp=2),
        stale_ns=3 * DAY_NS,
    )  # fmt: skip
    ticks = np.rint(np.asarray(mid) / TICK).astype(np.int64)
    rows = np.zeros(len(ticks), EVENT)
    rows["exchange_ns"] = NOW[: len(ticks)]
    rows["receive_ns"] = rows["exchange_ns"] + late_ns
    rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = ticks - 1, ticks + 1, 100_000, 100_000
    rows["kind"], rows["flag_bits"], rows["seq"] = TOP, LAST, 1 + np.arange(len(ticks))
    return make_tape(one, rows, header=ABOUT)


def carry(spot: str, future: str, **how: Any) -> Relation:
    """A band far below the future: it is sold at once, and held."""
    own = {"growth_low": -9.0, "growth_high": -8.0, "expiry_ns": END * DAY_NS, "qty": 5.0, "confirm": 1} | how
    return Relation(kind="carry", symbols=(spot, future), **own)


def money(parts: Any, leg: str) -> dict[str, float]:
    """The parts of a leg in quote currency, of the one trade there is."""
    (trade,) = parts.trades
    return {name: parts.unit * trade.by_leg[leg][name] for name in PARTS}


@pytest.mark.parametrize("moves", [0.0, 0.8])
def test_held_to_near_expiry_at_constant_carry(moves: float) -> None:
    """ln(F / S) / tau stays: no residual, the roll is the convergence, the curve the spot's move grown by the carry."""
    y = 0.5
    walk = np.random.default_rng(3).normal(0.0, moves, N)
    walk[:5] = 0.0  # both legs are bought while it stands
    spot = np.round(100.0 + np.cumsum(walk), 3)
    future = np.round(spot * np.exp(y * LEFT), 3)
    got = replay_quotes([tape("x:S", spot), tape("x:F", future)], [carry("x:S", "x:F")], word="test", latency_s=1.0)
    assert got.parts.exact and got.run.closes() == 0
    (trade,) = got.parts.trades
    assert trade.open and trade.fills == 2
    own, other = money(got.parts, "x:F"), money(got.parts, "x:S")
    first = int(np.searchsorted(NOW, trade.first_ns, side="right")) - 1
    grown = np.exp(y * LEFT)
    s = spot[first:]
    roll = -5.0 * float(np.sum(s[:-1] * np.diff(grown[first:])))
    curve = -5.0 * float(np.sum(np.diff(s) * grown[first + 1 :]))
    slack = 5.0 * TICK * 6  # a half tick of each mark, of which tau_t+1 / tau_t of the one before is known
    assert own["roll"] == pytest.approx(roll, abs=slack) and own["curve"] == pytest.approx(curve, abs=slack)
    assert abs(own["residual"]) < slack and roll > 30.0
    assert other["residual"] == other["roll"] == 0.0
    if moves == 0.0:
        assert own["curve"] == 0.0 and own["roll"] + own["residual"] == pytest.approx(
            5.0 * (future[first] - future[-1])
        )
    else:
        assert other["curve"] == pytest.approx(5.0 * (spot[-1] - spot[first])) and abs(curve) > 1.0


def test_a_change_of_the_carry_is_residual() -> None:
    """The spot stands and the carry jumps from 0.5 to 0.4 on one day: S (e^(0.4 tau) - e^(0.5 tau)) of that day."""
    y = np.where(np.arange(N) < 30, 0.5, 0.4)
    future = 100.0 * np.exp(y * LEFT)
    got = replay_quotes(
        [tape("x:S", np.full(N, 100.0)), tape("x:F", future)], [carry("x:S", "x:F")], word="test", latency_s=1.0
    )
    own = money(got.parts, "x:F")
    want = -5.0 * 100.0 * (math.exp(0.4 * LEFT[30]) - math.exp(0.5 * LEFT[30]))
    assert own["residual"] == pytest.approx(want, abs=0.03) and want > 4.0 and got.parts.exact


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), near=st.integers(0, 80), expiry=st.integers(1, 90), spread=st.booleans())
def test_random_marks_sum_to_the_ledger(seed: int, near: int, expiry: int, spread: bool) -> None:
    """Any marks, expiries inside the tapes, a nearer future or a perpetual: parts sum to the ledger, to the unit."""
    rng = np.random.default_rng(seed)
    spot = 20.0 + np.cumsum(rng.normal(0.0, 0.7, N))
    future = spot + rng.normal(0.0, 1.5, N)
    tapes = [
        tape("x:S", np.maximum(spot, 0.01)),
        tape("x:F", np.maximum(future, 0.01), late_ns=int(rng.integers(0, 2))),
    ]
    date = {"near_ns": near * DAY_NS, "expiry_ns": (near + expiry) * DAY_NS, "growth_low": -0.01, "growth_high": 0.01}
    one = carry("x:S", "x:F", **date)
    if spread:
        one = Relation(kind="perpetual", symbols=("x:S", "x:F"), qty=5.0, growth_low=0.99, growth_high=1.01, confirm=1)
    got = replay_quotes(tapes, [one], word="test", latency_s=1.0)
    assert got.parts.exact, got.parts.gaps
    assert got.run.closes() == 0
    rolls = [t.by_leg[leg]["roll"] for t in got.parts.trades for leg in t.by_leg]
    if spread or near >= N:
        assert not any(rolls), "no date, or one that stands still: nothing rolls"


@settings(max_examples=200, deadline=None)
@given(
    marks=st.lists(st.tuples(PRICE, PRICE, st.integers(0, 10**17)), min_size=2, max_size=12),
    expiry=st.integers(0, 10**17),
)
def test_steps_are_known_for_any_marks(marks: list[tuple[float, float, int]], expiry: int) -> None:
    """Each interval by the plain formula; prices of 0 or below and time that is over leave the spot's move alone."""
    price, spot = (np.array([m[i] for m in marks]) for i in (0, 1))
    when = np.sort(np.array([m[2] for m in marks], np.int64))
    when = when + np.arange(len(when))
    ladder = RelationLadder({"x:F": Tie(when, spot, 0, expiry)})
    got = ladder.steps(tape("x:F", np.full(3, 1.0)), when, price)
    assert np.isfinite(got).all() and not got[:, 0].any()
    for t in range(len(marks) - 1):
        a, b = (max(expiry - int(when[i]), 0) / (YEAR * DAY_NS) for i in (t, t + 1))
        if a > 0 and price[t] > 0 and spot[t] > 0 and spot[t + 1] > 0:
            grown = math.exp(math.log(price[t] / spot[t]) * (b / a))
            want = (spot[t] * grown - price[t], spot[t + 1] * grown - price[t])
        else:
            want = (0.0, spot[t + 1] - spot[t])
        assert got[t, 1:] == pytest.approx(want, rel=1e-9, abs=1e-6)


def test_ladders_of_what_is_tied() -> None:
    """A nearer future as the first leg keeps tau; a spread's leg is tied to nothing; a leg without a tape is named."""
    mid = 100.0 + 0.25 * np.arange(N)
    s, f = tape("x:S", mid), tape("x:F", mid * 1.1)
    near = relation_ladder([s, f], [carry("x:S", "x:F", near_ns=70 * DAY_NS, expiry_ns=90 * DAY_NS)])
    got = near.steps(f, NOW, mid * 1.1)
    assert np.allclose(got[:, 1], 0.0, atol=1e-9) and np.allclose(got[:, 2], np.diff(mid) * 1.1)
    two = Relation(kind="spread", symbols=("x:S", "x:F"), qty=1.0, low=0.0, high=1.0)
    assert not relation_ladder([s, f], [two]).steps(f, NOW, mid).any()
    assert np.allclose(dated_ladder(s, f, END * DAY_NS).steps(f, NOW, mid * 1.1)[-1, 1], mid[-2] * (1.1**0.5 - 1.1))
    with pytest.raises(ConfigError, match="x:S"):
        relation_ladder([f], [carry("x:S", "x:F")])


def test_funding_is_taken_at_the_mark_received_before_it() -> None:
    """Quotes that the venue stamped before a funding and that came after it are not its mark: parts stay exact."""
    mid = 40.0 + np.arange(N) * 0.5
    perp = tape("x:P", mid + 3.0, late_ns=1000)
    paid = np.zeros(2, EVENT)
    paid["exchange_ns"] = paid["receive_ns"] = NOW[[20, 40]] + 500
    paid["kind"], paid["flag_bits"], paid["rate_e12"] = FUNDING, LAST, (10**8, -(10**7))
    rows = np.concatenate([perp.events.view(np.uint8), paid.view(np.uint8)]).view(EVENT)
    perp = make_tape(perp.instrument, rows[np.argsort(rows["receive_ns"], kind="stable")].copy(), header=ABOUT)
    one = Relation(kind="perpetual", symbols=("x:S", "x:P"), qty=5.0, growth_low=0.5, growth_high=0.6, confirm=1)
    got = replay_quotes([tape("x:S", mid), perp], [one], word="test", latency_s=1.0)
    assert got.parts.exact, got.parts.gaps
    own = money(got.parts, "x:P")
    assert own["carry"] == pytest.approx(5.0 * (1e-4 * (mid[19] + 3.0) - 1e-5 * (mid[39] + 3.0)), abs=1e-6)
    assert own["roll"] == 0.0 and own["carry"] == pytest.approx(got.run.pnl()["funding"], abs=1e-7)


def test_two_relations_with_a_spot_each_from_the_command_line(tmp_path: Path) -> None:
    """Each future is held against its own spot: the trades of both have their roll, and the page its file."""
    from typer.testing import CliRunner

    rng = np.random.default_rng(5)
    relations = []
    for name, y in (("A", 0.5), ("B", 0.3)):
        spot = np.round(100.0 + np.cumsum(rng.normal(0.0, 0.5, N)), 3)
        for leg, mid in ((f"x:{name}", spot), (f"x:{name}F", np.round(spot * np.exp(y * LEFT), 3))):
            write_tape(tmp_path / "tapes", tape(leg, mid))
        relations.append(carry(f"x:{name}", f"x:{name}F"))
    file, out = write_relations(relations, tmp_path / "relations.json"), tmp_path / "run"
    words = ["replay", str(tmp_path / "tapes"), "--strategy", "term_structure", "--model", str(file), "--json"]
    got = CliRunner().invoke(app, [*words, "--fees", "0,0", "--set", "slip_bp=50", "--out", str(out)])
    assert got.exit_code == 0, got.output
    strips = json.loads(got.output)["strips"]
    assert strips == json.loads((out / "strips.json").read_text())
    assert strips["exact"] and json.loads(got.output)["closes_exactly"]
    held = [t for t in strips["trades"] if t["open"]]
    assert sorted(t["legs"] for t in held) == [["x:A", "x:AF"], ["x:B", "x:BF"]]
    for trade in held:
        assert trade["roll"] > 0 and abs(trade["residual"]) < 0.02 * trade["roll"], trade
