"""Who asks for a fit, and how often by mistake: five monitors listen in `stat_arb`, and the report says which fired."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slot_kit import made, row_of, run_slots, slot, state_of, tied

from oneprice.core.errors import ConfigError
from oneprice.core.records import REFIT
from oneprice.signals.drift import watch
from oneprice.strategies import stat_arb

NAMES = ("A", "B")
SIGMA = 0.01 / math.sqrt(1.0 - math.exp(-0.2))  # of `tied` with its defaults
ALONE = {
    "cusum": {"cusum_h": 7.0},
    "growth": {"growth_h": 25.0},
    "page_hinkley": {"page_h": 16.0},
    "adwin": {"adwin_delta": 0.002},
    "bocpd": {"bocpd_limit": 0.86},
}


def shocks(rng: np.random.Generator, n: int, kappa: float) -> np.ndarray:
    """Standardised shocks of a stationary Ornstein-Uhlenbeck spread, taken as the strategy takes them."""
    phi = math.exp(-kappa)
    z = np.empty(n + 1)
    z[0] = rng.standard_normal()
    for t in range(1, n + 1):
        z[t] = phi * z[t - 1] + math.sqrt(1.0 - phi * phi) * rng.standard_normal()
    return np.asarray((z[1:] - phi * z[:-1]) / math.sqrt(1.0 - phi * phi))


def test_the_budget_of_false_refits_holds_for_all_monitors_together() -> None:
    """Stationary OU spreads of three speeds, 1,000 steps each: no more have an alarm of any of the five than a mean run
    of BUDGET allows (39 %), and not so few that the monitors would be asleep.
    """
    rng = np.random.default_rng(11)
    fired = [bool(watch.scan(shocks(rng, 1_000, kappa))[-1]) for kappa in (0.05, 0.2, 0.6) for _ in range(150)]
    allowed = 1.0 - math.exp(-1_000 / watch.BUDGET)
    assert 0.5 * allowed < np.mean(fired) < allowed + 2.0 * math.sqrt(allowed * (1.0 - allowed) / len(fired))


def test_stationary_slots_ask_within_the_budget_through_the_engine() -> None:
    """Twenty-four true slots over 480 bars, all monitors, fan and stops as by default: refits within the budget."""
    asked = 0
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        close = np.exp(np.column_stack([tied(rng, 480) for _ in range(8)])) * 50.0
        names = tuple(f"{s}{k}" for k in range(8) for s in "yx")
        prices = made(close, names)
        slots = [slot(names[2 * k : 2 * k + 2], (1, -1), sigma=SIGMA, capital=10_000.0) for k in range(8)]
        run, _ = run_slots(prices, {20: slots}, stat_arb)
        rows = run.rows[run.rows["kind"] == REFIT]
        by_shocks = rows[(rows["aux"] & (watch.FAN - 1)) != 0]
        asked += len(np.unique(by_shocks["a"]))
    mean = 24 * (1.0 - math.exp(-460 / watch.BUDGET))
    assert asked <= mean + 2.0 * math.sqrt(mean), (asked, mean)


@pytest.mark.parametrize("name", sorted(ALONE))
def test_each_monitor_asks_on_its_own_and_is_named(name: str) -> None:
    """Only one listens, the spread breaks (its mean drifts, or its shocks widen): it asks, after the break, by name;
    the slot is closed; with none listening nothing is asked.
    """
    rng = np.random.default_rng(4)
    logs = tied(rng, 420)
    t = np.arange(420)
    if name == "growth":
        logs[200:, 0] += rng.normal(0, 0.04, 220)
    else:
        logs[:, 0] += 0.02 * np.clip(t - 200, 0, 60)
    prices = made(np.exp(logs) * 50.0, NAMES)
    one = slot(NAMES, (1, -1), sigma=SIGMA)
    run, _ = run_slots(prices, {20: [one]}, stat_arb(**{**watch.SILENT, **ALONE[name], "fan_width": 90.0}))
    rows = run.rows[run.rows["kind"] == REFIT]
    assert len(rows) and {watch.names_of(int(v)) for v in rows["aux"]} == {name}
    assert 200 <= int(row_of(prices, rows["time_ns"][0])) < 280 and set(rows["a"].tolist()) == {one.id}
    assert state_of(run, one)["broken"] == next(bit for bit, n in watch.MONITORS.items() if n == name)
    assert all(leg["position_lots"] == 0 for leg in run.engine.legs())
    quiet, _ = run_slots(prices, {20: [one]}, stat_arb(**watch.SILENT, fan_width=90.0))
    assert not (quiet.rows["kind"] == REFIT).any()


def test_two_stops_ask_as_fan_or_stop() -> None:
    """A relation given up twice without a homecoming is asked about; the row says that the stop did it."""
    z = np.array([0.3 * (-1) ** i for i in range(25)] + [2.0, 2.5, 3.2, 0.1, 0.1, 0.1, 2.0, 2.5, 3.2, 2.0, 2.1, 2.0])
    b = np.full(len(z), 50.0) * (1.0 + 1e-4 * (np.arange(len(z)) % 2))
    prices = made(np.column_stack([b * np.exp(0.02 * z), b]), NAMES)
    one = slot(NAMES, (1, -1), stop=3.0, exit=-0.2)
    run, _ = run_slots(prices, {20: [one]}, stat_arb(**watch.SILENT, fan_width=90.0))
    rows = run.rows[run.rows["kind"] == REFIT]
    assert [watch.names_of(int(v)) for v in rows["aux"]] == ["stop"]


def test_a_cleared_bank_is_a_fresh_one_and_nan_changes_nothing() -> None:
    """`clear` leaves nothing of an alarm; a shock that is not finite leaves every monitor as it was."""
    rng = np.random.default_rng(2)
    x = np.r_[rng.standard_normal(200), 4.0 + rng.standard_normal(60)]
    holes = np.r_[x[:100], [math.nan, math.inf], x[100:]]
    assert watch.scan(x)[-1] == watch.scan(holes)[-1] == sum(watch.MONITORS)
    used, rules = np.zeros(1, watch.STATE), watch.rules_of({})
    out = np.zeros(len(x), np.int64)
    watch._scan(used, x, rules, out)
    watch._clear(used)
    watch._scan(used, x, rules, out)
    assert (out == watch.scan(x)).all()


def test_limits_that_no_monitor_has_are_refused() -> None:
    """Named, with what was expected."""
    for name, value in (("growth", 1.0), ("adwin_delta", 1.5), ("cusum_h", -1.0), ("bocpd_limit", math.nan)):
        with pytest.raises(ConfigError, match=name):
            watch.rules_of({name: value})
