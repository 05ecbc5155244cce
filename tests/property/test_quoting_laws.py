"""Laws of quotes: never crossed, never nearer than fees allow, never beyond a bound, monotone in what is held."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from oneprice.signals.quoting.glft import glft_half_spread, glft_skew
from oneprice.signals.quoting.rules import (
    ask_price,
    ask_qty,
    bid_price,
    bid_qty,
    cap_share,
    floor_near,
    floor_share,
    floor_to,
)
from oneprice.signals.quoting.stoikov import half_spread, inventory_target, margin, reservation, shrunk_drift

size = st.floats(1e-6, 1e3)
held = st.floats(-1e3, 1e3)
law = settings(deadline=None, max_examples=150)  # the first call compiles


@law
@given(size, size, size, st.floats(-10.0, 1e4), held)
def test_avellaneda_stoikov(gamma: float, k: float, sigma: float, left_s: float, q: float) -> None:
    """The half spread is at least the margin, which is at most 1 / k; more held, lower centre."""
    half = half_spread(gamma, k, sigma, left_s)
    assert half >= margin(gamma, k) > 0.0 and margin(gamma, k) <= 1.0 / k * (1.0 + 1e-12)
    centre = reservation(100.0, q, 0.0, gamma, sigma, left_s)
    assert reservation(100.0, q + 1.0, 0.0, gamma, sigma, left_s) <= centre
    assert centre - half < centre + half


@law
@given(size, size, size, size, st.floats(1e-3, 10.0))
def test_glft(gamma: float, k: float, arrivals: float, sigma: float, order: float) -> None:
    """Finite for all positive parameters; wider and steeper with volatility, narrower with arrivals."""
    half, skew = (f(gamma, gamma, k, arrivals, sigma, order) for f in (glft_half_spread, glft_skew))
    assert math.isfinite(half) and half > 0.0 and skew >= 0.0
    assert glft_half_spread(gamma, gamma, k, arrivals, 2.0 * sigma, order) >= half
    assert glft_skew(gamma, gamma, k, 2.0 * arrivals, sigma, order) <= skew


@law
@given(
    st.floats(90.0, 110.0), st.floats(0.0, 5.0), st.integers(900, 1_100), st.integers(1, 20), st.floats(-2.0, 10.0),
    st.floats(0.0, 10.0), st.sampled_from([0.01, 0.1, 0.25]),
)  # fmt: skip
def test_sent_prices(
    centre: float, half: float, bid: int, wide: int, fee_bp: float, edge_bp: float, tick: float
) -> None:
    """On the grid, behind the other side, not nearer than fee and edge allow, never crossed with each other."""
    best_bid, best_ask = bid * 0.1, (bid + wide) * 0.1
    fair = 0.5 * (best_bid + best_ask)
    cap, floor = fair * cap_share(fee_bp, edge_bp), fair * floor_share(fee_bp, edge_bp)
    b = bid_price(centre - half, cap, best_ask, tick)
    a = ask_price(centre + half, floor, best_bid, tick)
    slack = 1e-6 * tick
    assert b <= min(centre - half, cap, best_ask - tick) + slack
    assert a >= max(centre + half, floor, best_bid + tick) - slack
    assert abs(b / tick - round(b / tick)) < 1e-6 and abs(a / tick - round(a / tick)) < 1e-6
    if half > 0.0:
        assert b <= a + slack


@law
@given(
    st.floats(-1e6, 1e6), st.sampled_from([1e-8, 0.001, 0.01, 0.1, 0.25, 1 / 3, 5.0]), st.integers(-2, 2),
    st.sampled_from([0.0, 1e-12, 1e-10, 1e-9, 3e-9, 1e-7, 0.5]), st.sampled_from([-1.0, 1.0]),
)  # fmt: skip
def test_a_guess_changes_no_rounding(x: float, step: float, off: int, near: float, side: float) -> None:
    """With any multiple of the step as the guess, at and beside whole numbers of steps, the result is the same."""
    at = floor_to(x, step)
    guess = floor_to(at + (off + 0.5) * step, step)
    for value in (x, at, at + side * near * max(step, abs(at)), at + side * near * step):
        assert floor_near(value, step, guess) == floor_to(value, step)
        assert floor_near(value, step, math.nan) == floor_to(value, step)


@law
@given(held, st.floats(1e-3, 10.0), st.floats(0.0, 100.0), st.sampled_from([0.001, 0.1, 1.0]))
def test_bounds(q: float, order: float, limit: float, lot: float) -> None:
    """What may be bought never takes the position above the limit, what may be sold never below minus it."""
    b, a = bid_qty(q, order, limit, lot), ask_qty(q, order, limit, lot)
    assert 0.0 <= b <= order * (1 + 1e-9) + 1e-9 and 0.0 <= a <= order * (1 + 1e-9) + 1e-9
    assert b == 0.0 or q + b <= limit + 1e-6
    assert a == 0.0 or q - a >= -limit - 1e-6


@law
@given(st.floats(-10.0, 10.0), size, size, st.floats(0.0, 50.0), size)
def test_targets(mu: float, gamma: float, sigma: float, limit: float, seen_s: float) -> None:
    """Within the limit and on the side of the drift; shrinking never turns the sign nor adds."""
    target = inventory_target(mu, gamma, sigma, limit)
    assert abs(target) <= limit and target * mu >= 0.0
    small = shrunk_drift(mu, sigma, seen_s)
    assert small * mu >= 0.0 and abs(small) <= abs(mu)
