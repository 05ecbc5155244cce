"""Quoting: the formulas at their limits and for bad input; what rounding, fees and bounds leave of a quote."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.features.microprice_fitted import TABLE, price
from oneprice.signals.quoting.exact import glft_exact, glft_matrix
from oneprice.signals.quoting.glft import glft_half_spread, glft_margin, glft_reservation, glft_skew, growth
from oneprice.signals.quoting.model import QUOTING, pack
from oneprice.signals.quoting.rules import (
    ask_price,
    ask_qty,
    bid_price,
    bid_qty,
    cap_share,
    ceil_to,
    floor_share,
    floor_to,
)
from oneprice.signals.quoting.sigma import sigma_of, two_scales
from oneprice.signals.quoting.skew import clipped, signal_shift
from oneprice.signals.quoting.stoikov import (
    frozen_ask,
    frozen_bid,
    gbm_sigma,
    half_spread,
    inventory_target,
    margin,
    reservation,
    risk,
    shrunk_drift,
)

NAN, INF = math.nan, math.inf


def test_quotes_are_r_plus_minus_the_half_spread() -> None:
    """Table parameters of the paper: the whole spread is twice `half_spread`, r leans against the inventory."""
    gamma, k, sigma = 0.1, 1.5, 2.0
    half = half_spread(gamma, k, sigma, 1.0)
    assert 2.0 * half == pytest.approx(gamma * sigma**2 + 2.0 / gamma * math.log(1.0 + gamma / k), rel=1e-15)
    r = reservation(100.0, 3.0, 0.0, gamma, sigma, 0.5)
    assert r == pytest.approx(100.0 - 3.0 * gamma * sigma**2 * 0.5)
    assert reservation(100.0, 3.0, 3.0, gamma, sigma, 0.5) == 100.0, "at the target there is no lean"
    mid = 0.5 * (frozen_bid(100.0, 3.0, gamma, sigma, 0.5) + frozen_ask(100.0, 3.0, gamma, sigma, 0.5))
    assert mid == pytest.approx(r), "the frozen quotes are centred on the same r"
    assert frozen_ask(100.0, 0.0, gamma, sigma, 0.5) - frozen_bid(100.0, 0.0, gamma, sigma, 0.5) == pytest.approx(
        risk(gamma, sigma, 0.5)
    )


@pytest.mark.parametrize("left_s", [0.0, -1e-9, -5.0, -INF])
def test_at_and_after_the_horizon_risk_is_gone(left_s: float) -> None:
    """left_s <= 0: the half spread is the margin, r is s whatever is held; never a spread that shrinks below it."""
    assert half_spread(0.1, 1.5, 2.0, left_s) == margin(0.1, 1.5)
    assert reservation(100.0, 7.0, 0.0, 0.1, 2.0, left_s) == 100.0
    assert gbm_sigma(100.0, 0.02, left_s) == 2.0


def test_limits() -> None:
    """gamma -> 0: 1 / k; sigma = 0: no lean; both without a jump."""
    for gamma in (0.0, 1e-300, 1e-14, 1e-9):
        assert margin(gamma, 1.5) == pytest.approx(1.0 / 1.5, rel=1e-8)
        assert growth(gamma) == pytest.approx(math.e, rel=1e-8)
        assert glft_margin(gamma, 1.5, 2.0) == pytest.approx(1.0 / 1.5, rel=1e-8)
    assert half_spread(0.1, 1.5, 0.0, 1.0) == margin(0.1, 1.5)
    assert reservation(100.0, 7.0, 0.0, 0.1, 0.0, 1.0) == 100.0
    assert glft_skew(0.0, 0.1, 1.5, 140.0, 2.0, 1.0) == 0.0 and glft_skew(0.1, 0.1, 1.5, 140.0, 0.0, 1.0) == 0.0
    assert glft_half_spread(0.1, 0.1, 1.5, 140.0, 0.0, 1.0) == margin(0.1, 1.5)
    assert gbm_sigma(100.0, 1e-4, 1.0) == pytest.approx(1e-2, rel=1e-6)
    assert gbm_sigma(100.0, 0.5, 2.0) == pytest.approx(100.0 * math.sqrt(math.expm1(0.5) / 2.0))


@pytest.mark.parametrize(
    "got",
    [
        margin(-0.1, 1.5), margin(0.1, 0.0), margin(0.1, -1.0), margin(NAN, 1.5), margin(0.1, NAN),
        risk(-0.1, 2.0, 1.0), risk(0.1, -2.0, 1.0), risk(0.1, NAN, 1.0), risk(0.1, 2.0, NAN),
        half_spread(0.1, 0.0, 2.0, 1.0), half_spread(0.1, 1.5, 2.0, NAN), reservation(NAN, 0.0, 0.0, 0.1, 2.0, 1.0),
        reservation(100.0, NAN, 0.0, 0.1, 2.0, 1.0), inventory_target(NAN, 0.1, 2.0, 5.0),
        inventory_target(0.1, -0.1, 2.0, 5.0), inventory_target(0.1, 0.1, 2.0, -1.0), shrunk_drift(0.1, 1.0, 0.0),
        shrunk_drift(NAN, 1.0, 1.0), shrunk_drift(0.1, -1.0, 1.0), gbm_sigma(0.0, 0.1, 1.0), gbm_sigma(1.0, -0.1, 1.0),
        glft_margin(0.1, 1.5, 0.0), glft_skew(-0.1, 0.1, 1.5, 1.0, 1.0, 1.0), glft_skew(0.1, -0.1, 1.5, 1.0, 1.0, 1.0),
        glft_skew(0.1, 0.1, 0.0, 1.0, 1.0, 1.0), glft_skew(0.1, 0.1, 1.5, 0.0, 1.0, 1.0),
        glft_skew(0.1, 0.1, 1.5, 1.0, -1.0, 1.0), glft_half_spread(0.1, 0.1, 1.5, 1.0, NAN, 1.0),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_nan(got: float) -> None:
    """gamma < 0, k <= 0, sigma < 0, A <= 0, NaN: NaN, so no quote; never a number."""
    assert math.isnan(got)


def test_the_target_is_shrunk_and_clipped() -> None:
    """q* = mu / (gamma sigma^2) within the limits; no drift is 0; no risk is the limit; below one error is 0."""
    assert inventory_target(0.002, 0.01, 0.3, 30.0) == pytest.approx(2.2222222222)
    assert inventory_target(-0.002, 0.01, 0.3, 1.5) == -1.5
    assert inventory_target(0.0, 0.01, 0.0, 5.0) == 0.0
    assert inventory_target(1e-9, 0.01, 0.0, 5.0) == 5.0 and inventory_target(-1e-9, 0.0, 1.0, 5.0) == -5.0
    assert inventory_target(INF, 0.01, 0.3, 5.0) == 5.0
    assert shrunk_drift(0.5, 2.0, 16.0) == 0.0, "one standard error is no evidence"
    assert shrunk_drift(1.0, 2.0, 16.0) == pytest.approx(0.75)
    assert shrunk_drift(-1.0, 2.0, 16.0) == pytest.approx(-0.75) and shrunk_drift(0.3, 0.0, 1.0) == 0.3
    rng = np.random.default_rng(4)
    raw = rng.normal(0.0, 2.0 / math.sqrt(16.0), 4_000)
    q = [inventory_target(shrunk_drift(float(m), 2.0, 16.0), 0.1, 2.0, 1e9) for m in raw]
    assert np.std(q) < 0.65 * np.std(raw / 0.4), "shrinking takes most of what the error of a mean puts in"


def test_closed_form_against_the_exact_matrix() -> None:
    """Small gamma sigma: the closed form is within 1 % of the exact quotes without a horizon near q = 0."""
    gamma, k, arrivals, sigma = 0.01, 0.3, 0.9, 0.3
    exact = glft_exact(gamma, k, arrivals, sigma)
    half = glft_half_spread(gamma, gamma, k, arrivals, sigma, 1.0)
    skew = glft_skew(gamma, gamma, k, arrivals, sigma, 1.0)
    for q in range(-10, 11):
        bid = 100.0 - (glft_reservation(100.0, q, 0.0, skew) - half)
        assert bid == pytest.approx(exact.at(q)[0], rel=0.01), q
    assert exact.at(4)[0] == pytest.approx(exact.at(-4)[1], rel=1e-12), "mirror"
    assert math.isnan(exact.at(30)[0]) and math.isnan(exact.at(-30)[1]), "no bid at the bound"


def test_exact_quotes_have_their_horizon() -> None:
    """At the horizon all distances are the margin; they go to the stationary ones; huge horizons do not overflow."""
    at_end = glft_exact(0.01, 0.3, 0.9, 0.3, left_s=0.0)
    assert np.nanmax(np.abs(at_end.bid - margin(0.01, 0.3))) < 1e-12
    assert glft_exact(0.01, 0.3, 0.9, 0.3, left_s=-3.0).at(2) == at_end.at(2)
    far, none = glft_exact(0.01, 0.3, 0.9, 0.3, left_s=1e9), glft_exact(0.01, 0.3, 0.9, 0.3)
    assert np.nanmax(np.abs(far.bid - none.bid)) < 1e-9
    flat = glft_exact(0.0, 0.3, 0.9, 0.3, bound=3, left_s=100.0)
    assert flat.at(0)[0] == pytest.approx(flat.at(0)[1]) and flat.at(0)[0] > 1.0 / 0.3, "the bound alone keeps away"


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (dict(gamma=-0.1), "gamma"), (dict(k_decay=0.0), "k_decay"), (dict(arrivals_per_s=NAN), "arrivals_per_s"),
        (dict(sigma=-1.0), "sigma"), (dict(mu=INF), "mu"), (dict(bound=0), "bound"), (dict(bound=201), "bound"),
        (dict(left_s=NAN), "left_s"), (dict(sigma=1e4, bound=200), "range of floats"),
    ],
)  # fmt: skip
def test_exact_quotes_refuse_nonsense(words: dict[str, float], match: str) -> None:
    """Each parameter without a meaning is named."""
    given = dict(gamma=0.01, k_decay=0.3, arrivals_per_s=0.9, sigma=0.3) | words
    with pytest.raises(ConfigError, match=match):
        glft_exact(**given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="inventory"):
        glft_exact(0.01, 0.3, 0.9, 0.3, bound=2).at(3)


def test_prices_are_rounded_away_and_kept_from_crossing() -> None:
    """Bids down, asks up, a price on the grid stays; caps, floors and the other side bind; NaN is no quote."""
    assert floor_to(0.3, 0.1) == pytest.approx(0.3) and floor_to(0.29999, 0.1) == pytest.approx(0.2)
    assert ceil_to(0.3, 0.1) == pytest.approx(0.3) and ceil_to(0.30001, 0.1) == pytest.approx(0.4)
    assert bid_price(100.07, 100.2, 100.5, 0.1) == pytest.approx(100.0)
    assert bid_price(100.37, 100.25, 100.5, 0.1) == pytest.approx(100.2), "the cap binds"
    assert bid_price(101.0, 102.0, 100.5, 0.1) == pytest.approx(100.4), "one tick below the ask"
    assert ask_price(100.07, 99.0, 99.9, 0.1) == pytest.approx(100.1)
    assert ask_price(99.0, 100.21, 99.9, 0.1) == pytest.approx(100.3)
    assert ask_price(99.0, 98.0, 99.9, 0.1) == pytest.approx(100.0)
    assert bid_price(100.07, 100.2, NAN, 0.1) == pytest.approx(100.0), "no ask: nothing to cross"
    for bad in (bid_price(NAN, 100.0, 100.5, 0.1), bid_price(100.0, NAN, 100.5, 0.1), bid_price(1.0, 1.0, 2.0, 0.0)):
        assert math.isnan(bad)
    assert math.isnan(ask_price(INF, 100.0, 99.0, 0.1)) and math.isnan(ask_price(NAN, 100.0, 99.0, 0.1))


def test_fees_leave_the_edge_that_was_asked_for() -> None:
    """A fill at the cap or floor earns exactly min_edge_bp of fair value after the fee of its own price."""
    for fee, edge in ((2.0, 1.0), (-0.5, 0.0), (0.0, 3.0)):
        bid, ask = 60_000.0 * cap_share(fee, edge), 60_000.0 * floor_share(fee, edge)
        assert 60_000.0 - bid * (1.0 + 1e-4 * fee) == pytest.approx(6.0 * edge, abs=1e-9)
        assert ask * (1.0 - 1e-4 * fee) - 60_000.0 == pytest.approx(6.0 * edge, abs=1e-9)
    assert 100.0 * cap_share(-1.0, 0.0) > 100.0, "a rebate may pay for a bid above fair value"


def test_inventory_bounds() -> None:
    """No quantity takes the position beyond +-limit; lots are rounded down; NaN and no room are 0."""
    assert bid_qty(0.0, 1.0, 5.0, 0.1) == 1.0 and ask_qty(0.0, 1.0, 5.0, 0.1) == 1.0
    assert bid_qty(4.75, 1.0, 5.0, 0.1) == pytest.approx(0.2) and ask_qty(-4.75, 1.0, 5.0, 0.1) == pytest.approx(0.2)
    assert bid_qty(5.0, 1.0, 5.0, 0.1) == 0.0 and bid_qty(6.0, 1.0, 5.0, 0.1) == 0.0
    assert ask_qty(6.0, 1.0, 5.0, 0.1) == 1.0
    for bad in (bid_qty(NAN, 1.0, 5.0, 0.1), bid_qty(0.0, NAN, 5.0, 0.1), bid_qty(0.0, 1.0, NAN, 0.1),
                bid_qty(0.0, 1.0, 5.0, 0.0)):  # fmt: skip
        assert bad == 0.0


def test_signals_move_the_centre_by_their_gains_up_to_the_cap() -> None:
    """A gain of 0 and a missing signal count as 0; a cap of 0 moves nothing."""
    m = np.zeros(1, QUOTING)[0:1].view(np.recarray)[0]
    m.gain_ofi, m.gain_lead, m.gain_micro, m.skew_cap = 0.5, 0.25, 1.0, 2.0
    assert signal_shift(m, 1.0, 2.0, 0.25) == pytest.approx(1.25)
    assert signal_shift(m, 1.0, NAN, INF) == pytest.approx(0.5)
    assert signal_shift(m, 100.0, 0.0, 0.0) == 2.0 and signal_shift(m, -100.0, 0.0, 0.0) == -2.0
    m.skew_cap = 0.0
    assert signal_shift(m, 1.0, 2.0, 3.0) == 0.0
    assert math.isnan(clipped(NAN, 1.0)) and clipped(3.0, NAN) == 0.0


def test_the_model_record() -> None:
    """`pack` fills what a strategy reads, the table of the microprice included, and refuses what makes no quotes."""
    assert QUOTING.itemsize % 8 == 0
    table = np.linspace(-2.0, 2.0, 20).reshape(2, 10)
    values = pack(fit_ns=7, sigma=1.0, arrivals_per_s=2.0, k_decay=3.0, gains={"micro": 1.0}, skew_cap=0.1, micro=table)
    row = np.zeros(1, QUOTING)
    for name, value in values.items():
        row[name] = value
    assert row["ready"] == 1.0 and row["micro"].shape == (1, *TABLE)
    assert (row["micro"][0, 3] == table[1]).all(), "the last row stands for wider spreads"
    assert price(row["micro"][0], 99.0, 100.0, 9.0, 1.0, 1.0) == pytest.approx(99.5 + table[0, 9])
    good = dict(fit_ns=7, sigma=1.0, arrivals_per_s=2.0, k_decay=3.0)
    for bad, match in (
        (dict(sigma=0.0), "sigma"), (dict(k_decay=NAN), "k_decay"), (dict(arrivals_per_s=-1.0), "arrivals_per_s"),
        (dict(mu=NAN), "mu"), (dict(skew_cap=-1.0), "skew_cap"), (dict(gains={"ofi": INF}), "gain_ofi"),
        (dict(gains={"vpin": 1.0}), "vpin"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=match):
            pack(**{**good, **bad})
    for wrong in (np.zeros((2, 3)), np.full((1, 10), NAN)):
        with pytest.raises(DataError, match="microprice table"):
            pack(**good, micro=wrong)


def walk(seed: int, n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """A Brownian mid of sigma 2 over an hour at n random times, with independent noise."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, 3_600_000_000_000, n))
    steps = rng.standard_normal(n) * 2.0 * np.sqrt(np.diff(at, prepend=0) * 1e-9)
    return at, 100.0 + np.cumsum(steps) + rng.normal(0.0, noise, n)


def test_volatility_sees_through_the_bounce() -> None:
    """Two scales: unbiased with and without noise, 95 % intervals cover; the plain sum is far off; refusals."""
    hits, found = 0, []
    for seed in range(60):
        at, mid = walk(seed, 4_000, 1.5)
        s = sigma_of(at, mid)
        found.append(s.sigma)
        hits += s.low < 2.0 < s.high
        assert not s.refused and s.signature[0][1] > 1.4 * 2.0, "every change: the bounce counts as movement"
    assert np.mean(found) == pytest.approx(2.0, rel=0.02) and hits >= 54
    clean = [sigma_of(*walk(s, 4_000, 0.0)).sigma for s in range(20)]
    assert np.mean(clean) == pytest.approx(2.0, rel=0.03)
    x = np.array([0.0, 1.0, 3.0, 2.0])
    assert two_scales(x, 1) == 6.0
    assert sigma_of(*walk(1, 150, 0.1)).refused.startswith("149 changes")
    at, mid = walk(2, 500, 0.1)
    assert sigma_of(at, np.where(np.arange(500) % 7 == 0, NAN, mid)).n < 500
    for bad in ((at[:5], mid), (at[::-1].copy(), mid), (at, np.full(500, 3.0)), (at, np.full(500, NAN))):
        with pytest.raises(DataError, match="sigma"):
            sigma_of(*bad)


def test_the_matrix() -> None:
    """Its entries, as published."""
    m = glft_matrix(0.01, 0.3, 0.9, 0.3, mu=0.002, bound=2)
    alpha, beta, eta = 0.5 * 0.3 * 0.01 * 0.09, 0.3 * 0.002, 0.9 * (1 + 0.01 / 0.3) ** -(1 + 0.3 / 0.01)
    assert np.diag(m) == pytest.approx([4 * alpha + 2 * beta, alpha + beta, 0.0, alpha - beta, 4 * alpha - 2 * beta])
    assert np.diag(m, 1) == pytest.approx(-eta) and np.count_nonzero(m) == 12
