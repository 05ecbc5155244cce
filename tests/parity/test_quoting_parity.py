"""Quoting beside plain references: compiled against plain, squaring against expm and eigenvectors."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh, expm

from oneprice.signals.intensity.fit import fit_intensity
from oneprice.signals.quoting import glft, rules, stoikov
from oneprice.signals.quoting.exact import glft_exact, glft_matrix
from oneprice.study.making_world import MAKERS, World, distances, fill_chance, population

GRID = [math.nan, -1.0, 0.0, 1e-15, 0.3, 2.0, 1e6]


def kernels() -> list[tuple[str, Any]]:
    """Every compiled scalar function of the three modules."""
    return [
        (f"{m.__name__.rpartition('.')[2]}.{name}", f)
        for m in (stoikov, glft, rules)
        for name, f in vars(m).items()
        if hasattr(f, "py_func") and f.py_func.__module__ == m.__name__
    ]


@pytest.mark.parametrize(("name", "f"), kernels(), ids=[name for name, _ in kernels()])
def test_compiled_is_plain(name: str, f: Any) -> None:
    """Each compiled function equals its plain text on a grid that has NaN, negative, 0, tiny and large numbers."""
    n = len(inspect.signature(f.py_func).parameters)
    rng = np.random.default_rng(len(name))
    with np.errstate(all="ignore"):
        for _ in range(150):
            args = [float(v) for v in rng.choice(GRID, n)]
            got = f(*args)
            try:
                want = f.py_func(*args)
            except (ZeroDivisionError, OverflowError):
                assert not math.isfinite(got), args  # plain division raises where compiled gives inf or NaN
                continue
            assert got == pytest.approx(want, rel=1e-12, nan_ok=True), args


@pytest.mark.parametrize(("gamma", "sigma"), [(0.01, 0.3), (0.1, 30.0)])
@pytest.mark.parametrize("mu", [0.0, 0.002])
@pytest.mark.parametrize("left_s", [1.0, 60.0, 600.0])
def test_exact_quotes_against_expm(gamma: float, sigma: float, mu: float, left_s: float) -> None:
    """exp(-M (T - t)) 1 by scipy (shifted by its lowest eigenvalue): the same distances at every inventory."""
    m = glft_matrix(gamma, 0.3, 0.9, sigma, mu=mu, bound=30)
    low = float(eigh(m, eigvals_only=True)[0])
    v = expm(-(m - low * np.eye(len(m))) * left_s).sum(axis=1)
    got = glft_exact(gamma, 0.3, 0.9, sigma, mu=mu, left_s=left_s)
    base = stoikov.margin(gamma, 0.3)
    want = np.log(v[:-1] / v[1:]) / 0.3 + base
    assert got.bid[:-1] == pytest.approx(want, abs=1e-9)
    assert got.ask[1:] == pytest.approx(2.0 * base - want, abs=1e-9)


@pytest.mark.parametrize(("gamma", "sigma", "bound"), [(0.01, 0.3, 30), (0.01, 3.0, 10), (0.1, 30.0, 30)])
def test_exact_quotes_against_the_eigenvector(gamma: float, sigma: float, bound: int) -> None:
    """Without a horizon v is the eigenvector of the lowest eigenvalue, down to entries of 1e-116 of its peak."""
    m = glft_matrix(gamma, 0.3, 0.9, sigma, bound=bound)
    v = np.abs(eigh(m)[1][:, 0])
    want = np.log(v[:-1] / v[1:]) / 0.3 + stoikov.margin(gamma, 0.3)
    assert glft_exact(gamma, 0.3, 0.9, sigma, bound=bound).bid[:-1] == pytest.approx(want, abs=1e-9)


def test_closed_form_is_the_paper_s() -> None:
    """delta_b and delta_a as printed, with mu, for several inventories."""
    gamma, k, a, sigma, mu = 0.01, 0.3, 0.9, 0.3, 0.002
    root = math.sqrt(sigma**2 * gamma / (2.0 * k * a) * (1.0 + gamma / k) ** (1.0 + k / gamma))
    base = math.log(1.0 + gamma / k) / gamma
    half = glft.glft_half_spread(gamma, gamma, k, a, sigma, 1.0)
    skew = glft.glft_skew(gamma, gamma, k, a, sigma, 1.0)
    target = stoikov.inventory_target(mu, gamma, sigma, 100.0)
    drift = mu / (gamma * sigma**2)
    for q in (-5, 0, 3):
        r = glft.glft_reservation(100.0, q, target, skew)
        assert 100.0 - (r - half) == pytest.approx(base + (-drift + (2 * q + 1) / 2) * root, rel=1e-12)
        assert (r + half) - 100.0 == pytest.approx(base + (drift - (2 * q - 1) / 2) * root, rel=1e-12)


def plain_path(world: World, rng: np.random.Generator) -> tuple[float, float]:
    """One path of the paper's simulation, written from its text."""
    s, q, x = world.s, 0, 0.0
    spread = world.gamma * world.sigma**2 * world.horizon_s / 2 + 2 / world.gamma * math.log(
        1 + world.gamma / world.k_decay
    )
    for step in range(world.steps):
        left = world.horizon_s - step * world.dt_s
        if world.maker == "inventory":
            r = s - q * world.gamma * world.sigma**2 * left
            whole = world.gamma * world.sigma**2 * left + 2 / world.gamma * math.log(1 + world.gamma / world.k_decay)
        else:
            r, whole = s, spread
        bid, ask = r - whole / 2, r + whole / 2
        bought = rng.random() < world.arrivals_per_s * math.exp(-world.k_decay * (s - bid)) * world.dt_s
        sold = rng.random() < world.arrivals_per_s * math.exp(-world.k_decay * (ask - s)) * world.dt_s
        q, x = q + bought - sold, x - bought * bid + sold * ask
        s += world.sigma * math.sqrt(world.dt_s) * (1 if rng.random() < 0.5 else -1)
    return x + q * s, float(q)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_world_against_a_plain_one(maker: str) -> None:
    """1,000 paths of the paper's loop in plain Python: within 3 standard errors of the recursion's moments."""
    world = World(gamma=0.25, maker=maker)
    rng = np.random.default_rng(77)
    profit, q = np.array([plain_path(world, rng) for _ in range(1_000)]).T
    exact = population(world)
    assert abs(profit.mean() - exact.profit) < 3.0 * exact.profit_sd / math.sqrt(1_000)
    assert profit.std(ddof=1) == pytest.approx(exact.profit_sd, rel=0.12)
    assert q.std(ddof=1) == pytest.approx(exact.q_sd, rel=3.0 / math.sqrt(2_000))
    w = world.words()
    bid, ask = distances(w, 3.0, 0.5)
    assert fill_chance(w, bid) == pytest.approx(140.0 * math.exp(-1.5 * bid) * 0.005)
    assert (bid > ask) == (maker == "inventory")


def test_intensity_against_the_closed_form_of_two_distances() -> None:
    """With two distances the likelihood's top is exact: k = ln(rate ratio) / distance."""
    found = fit_intensity(np.array([1.0, 3.0]), np.array([100.0, 400.0]), np.array([500.0, 300.0]))
    k = math.log((500.0 / 100.0) / (300.0 / 400.0)) / 2.0
    assert found.k_decay == pytest.approx(k, rel=1e-7)
    assert found.arrivals_per_s == pytest.approx(5.0 * math.exp(k), rel=1e-7)


def test_intensity_against_a_poisson_glm() -> None:
    """statsmodels' Poisson regression with exposures: the same A, k, errors and deviance."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(8)
    d, seconds = np.linspace(0.5, 6.0, 30), rng.uniform(200.0, 900.0, 30)
    n = rng.poisson(1.5 * np.exp(-0.3 * d) * seconds)
    theirs = sm.GLM(n, sm.add_constant(-d), family=sm.families.Poisson(), exposure=seconds).fit(tol=1e-14)
    ours = fit_intensity(d, seconds, n)
    assert math.log(ours.arrivals_per_s) == pytest.approx(theirs.params[0], abs=1e-6)
    assert ours.k_decay == pytest.approx(theirs.params[1], rel=1e-6)
    assert ours.log_arrivals_se == pytest.approx(theirs.bse[0], rel=1e-5)
    assert ours.log_k_se * ours.k_decay == pytest.approx(theirs.bse[1], rel=1e-5)
    assert ours.deviance == pytest.approx(theirs.deviance, rel=1e-8) and ours.df == theirs.df_resid
