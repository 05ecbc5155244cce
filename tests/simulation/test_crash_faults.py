"""Failing venues: whatever is dropped, delayed, doubled, reordered or cut off, ledger = venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneprice.core.errors import ConfigError
from oneprice.core.records import FILL_ROW
from oneprice.execution.latency import constant
from oneprice.execution.venue import executions
from oneprice.market.synthetic import two_venues
from oneprice.modes.faults import Faults, faulty
from oneprice.modes.paper import paper
from oneprice.modes.reconcile import SimulatedVenue, reconcile
from oneprice.modes.rerun import rerun
from oneprice.strategies.cross_market import cross_market

LATENCY = constant(5_000, 8_000)
STRATEGY = cross_market(warm=50, k_sigma=1.5, edge_bp=0.5, alpha=0.01)
KINDS = {
    "drop": Faults(drop=0.2),
    "delay": Faults(delay=0.5),
    "duplicate": Faults(duplicate=0.6),
    "disconnect": Faults(disconnect=0.1),
    "everything": Faults(drop=0.1, delay=0.2, duplicate=0.2, disconnect=0.05),
}


def world(seed: int) -> list:
    return list(two_venues(seed, 0.15, real_per_minute=20.0).tapes)


def test_no_faults_is_paper() -> None:
    """With all probabilities 0 the faulty session sends what a paper session sends."""
    tapes = world(2)
    run, struck = faulty(STRATEGY, tapes, latency=LATENCY, faults=Faults(check_ns=1 << 60))
    assert run.commands().tobytes() == paper(STRATEGY, tapes, latency=LATENCY, speed=0).commands().tobytes()
    assert not any(struck.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ledger_equals_venue_whatever_fails(kind: str, seed: int, tmp_path: Path) -> None:
    """In the end every execution is booked once, no order is open, P&L closes, the journal replays."""
    import msgspec

    tapes = world(seed)
    faults = msgspec.structs.replace(KINDS[kind], seed=seed)
    run, struck = faulty(STRATEGY, tapes, latency=LATENCY, faults=faults, out=tmp_path)
    assert sum(struck.values()) > 0
    told = reconcile(run.engine, SimulatedVenue(run.venue))
    assert told.equal, f"{struck}\n{told}"
    log = executions(run.venue)
    booked = run.rows[run.rows["kind"] == FILL_ROW]
    assert len(booked) == len(log) > 0
    assert int(booked["qty"].sum()) == int(log["lots"].sum())
    blotter = run.engine.state["blotter"]
    assert int(blotter["n_open_orders"]) == 0 and int(blotter["n_open_packages"]) == 0
    assert int(run.engine.legs()["position_lots"].sum()) == int(blotter["residuals"]["lots"].sum())
    assert run.closes() == 0
    assert rerun(tmp_path, tapes=tapes, strategies=[STRATEGY]).equal


def test_same_seed_same_faults() -> None:
    """The faults come from the seed: equal seeds give equal sessions, others do not."""
    tapes = world(1)
    one, two, other = (
        faulty(STRATEGY, tapes, latency=LATENCY, faults=Faults(drop=0.2, delay=0.3, seed=seed))[
            0
        ].events.tobytes()
        for seed in (4, 4, 5)
    )
    assert one == two != other


def test_a_difference_is_seen() -> None:
    """Answers that are lost and never asked for again show in the reconciliation: it can fail."""
    tapes = world(2)
    run, struck = faulty(STRATEGY, tapes, latency=LATENCY, faults=Faults(drop=0.3, check_ns=1 << 60))
    told = reconcile(run.engine, SimulatedVenue(run.venue))
    assert struck["drop"] > 0 and not told.equal
    assert "DIFFER" in str(told) and told.to_dict()["equal"] is False


def test_wrong_faults_are_refused() -> None:
    """Probabilities outside 0 to 1 and times below 1 ns are errors that name the field."""
    with pytest.raises(ConfigError, match=r"faults\.drop"):
        Faults(drop=1.5)
    with pytest.raises(ConfigError, match=r"faults\.down_ns"):
        Faults(down_ns=0)
