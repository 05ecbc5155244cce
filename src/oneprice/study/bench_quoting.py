"""Ratios of quoting and calibration: the intensity against statsmodels' GLM, exact quotes against expm, paths.

Both sides of a ratio compute the same numbers; a figure is 0 where they differ (for simulated paths: beyond four
standard errors). None is claimed as a speed: all three are fast enough, and the figures say that nothing was paid for
intervals, digits and seeds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from oneprice.signals.intensity.fit import fit_intensity
from oneprice.signals.quoting.exact import glft_exact, glft_matrix
from oneprice.signals.quoting.stoikov import margin
from oneprice.study.bench_time import Figure, absent, interleaved, thread_timed
from oneprice.study.making_world import World, population, simulate

REPEATS, SEED = 5, 20_080_416
CELLS, FITS, PATHS = 200, 20, 5_000
PAPER = (0.01, 0.3, 0.9, 0.3)  # gamma, k, A, sigma


def quoting_figures(*, repeats: int = REPEATS) -> list[Figure]:
    """The figures of this module; those whose rival is not installed say so."""
    return [glm_figure(repeats), expm_figure(repeats), paths_figure(repeats)]


def glm_figure(repeats: int) -> Figure:
    """Processor seconds of a Poisson GLM with exposures over `fit_intensity` on the same cells (shown, no bound).

    Ours also judges the fit; equal to 1e-6 in A and k.
    """
    name = f"intensity of {CELLS} cells against statsmodels GLM"
    try:
        import statsmodels.api as sm
    except ImportError as error:
        return absent(name, "x", None, error)
    rng = np.random.default_rng(SEED)
    d = np.linspace(0.5, 20.0, CELLS)
    seconds = rng.uniform(2_000.0, 9_000.0, CELLS)
    draws = [rng.poisson(1.5 * np.exp(-0.3 * d) * seconds) for _ in range(FITS)]
    design = sm.add_constant(-d)

    def theirs() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = [sm.GLM(n, design, family=sm.families.Poisson(), exposure=seconds).fit(tol=1e-12) for n in draws]
        return np.array([[math.exp(f.params[0]), f.params[1]] for f in fits])

    def ours() -> np.ndarray:
        fits = [fit_intensity(d, seconds, n) for n in draws]
        return np.array([[f.arrivals_per_s, f.k_decay] for f in fits])

    return _ratio(name, theirs, ours, repeats)


def expm_figure(repeats: int) -> Figure:
    """Processor seconds of scipy's expm with the lowest eigenvalue shifted away, over ours; 61 inventories, T = 600
    (shown)."""
    from scipy.linalg import eigvalsh, expm

    gamma, k, arrivals, sigma = PAPER

    def theirs() -> np.ndarray:
        m = glft_matrix(gamma, k, arrivals, sigma)
        v = expm(-(m - float(eigvalsh(m)[0]) * np.eye(len(m))) * 600.0).sum(axis=1)
        return np.asarray(np.log(v[:-1] / v[1:]) / k + margin(gamma, k))

    def ours() -> np.ndarray:
        return glft_exact(gamma, k, arrivals, sigma, left_s=600.0).bid[:-1]

    return _ratio("exact GLFT quotes, Q 30, against scipy expm", theirs, ours, repeats)


def paths_figure(repeats: int) -> Figure:
    """Processor seconds of the Avellaneda-Stoikov world written on numpy arrays over all paths, over the kernel's."""
    world = World()

    def theirs() -> np.ndarray:
        rng = np.random.default_rng(SEED)
        s, q, cash = np.full(PATHS, world.s), np.zeros(PATHS), np.zeros(PATHS)
        for step in range(world.steps):
            lean = world.gamma * world.sigma**2 * (world.horizon_s - step * world.dt_s)
            half = 0.5 * lean + margin(world.gamma, world.k_decay)
            bid, ask = half + q * lean, half - q * lean
            bought = rng.random(PATHS) < world.arrivals_per_s * np.exp(-world.k_decay * bid) * world.dt_s
            sold = rng.random(PATHS) < world.arrivals_per_s * np.exp(-world.k_decay * ask) * world.dt_s
            q += bought.astype(np.float64) - sold
            cash += np.where(sold, s + ask, 0.0) - np.where(bought, s - bid, 0.0)
            s += np.where(rng.random(PATHS) < 0.5, 1.0, -1.0) * world.sigma * math.sqrt(world.dt_s)
        return np.array([float((cash + q * s).mean())])

    def ours() -> np.ndarray:
        return np.array([simulate(world, paths=PATHS, seed=SEED).profit])

    near = 4.0 * math.sqrt(2.0 / PATHS) * population(world).profit_sd / population(world).profit
    return _ratio(f"Avellaneda-Stoikov world, {PATHS:,} paths, against numpy", theirs, ours, repeats, near)


def _ratio(
    name: str,
    theirs: Callable[[], np.ndarray],
    ours: Callable[[], np.ndarray],
    repeats: int,
    near: float = 1e-6,
) -> Figure:
    """A ratio of processor seconds; 0 where the results differ by `near` or more of ours."""
    theirs(), ours()
    runs = {"theirs": lambda: thread_timed(theirs), "ours": lambda: thread_timed(ours)}
    seconds, values = interleaved(runs, repeats)
    off = float(np.max(np.abs(values["theirs"] / values["ours"] - 1.0)))
    ratio = seconds["theirs"] / seconds["ours"] if off < near else 0.0
    return Figure(name, ratio, "x", None, note=f"largest relative difference {off:.1e}", detail={"seconds": seconds})
