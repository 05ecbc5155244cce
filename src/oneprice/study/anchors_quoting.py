"""Anchors of quoting for `oneprice verify`.

A01 the average spread of Avellaneda and Stoikov, A02 profit and inventory of both makers (2008 journal version), A05
what the fill rule costs, A06 GLFT's digits, A08 the drift's inventory; the total-spread trap; exact quotes of the
paper's figure; A and k recovered.

A row of the simulated world stands beside the published population value twice: 2,000 x 5 seeded paths, and the
moments of infinitely many by recursion.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from oneprice.signals.intensity.fit import fit_intensity
from oneprice.signals.quoting.exact import glft_exact
from oneprice.signals.quoting.glft import glft_half_spread, glft_skew
from oneprice.signals.quoting.stoikov import inventory_target
from oneprice.study.anchors_market import Anchor
from oneprice.study.making_world import World, population, simulate

JOURNAL, RECOMPUTED, NOTEBOOK = "Avellaneda-Stoikov 2008", "recomputed", "hftbacktest GLFT notebook"
SPREADS = {0.1: 1.4908, 0.01: 1.3489, 1.0: 3.0217}
TABLE = {"inventory": (65.0, 6.6, 2.9, 64.91, 6.54, 2.93), "symmetric": (68.4, 12.7, 8.4, 68.29, 13.49, 8.40)}
TRAP = {0.01: 56.2, 0.1: 52.2, 1.0: -5.2}
PATHS, SEED = 10_000, 2008
PAPER = (0.01, 0.3, 0.9, 0.3)  # gamma, k, A, sigma (in ticks) of the paper's figures
GRID = (0.05, 0.042_357_411_150_840_49, 2.986_162_360_812_285, 10.69)  # gamma = xi, k, A, sigma


def quoting_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module; nothing is read from `data`."""
    return [*spread_rows(), *world_rows(), *trap_rows(), *glft_rows(), *exact_rows(), *intensity_rows()]


def spread_rows() -> list[Anchor]:
    """The average-spread column, closed form."""
    return [
        Anchor(f"A01.spread.gamma_{g:g}", JOURNAL, want, World(gamma=g).average_spread, 1e-4)
        for g, want in SPREADS.items()
    ]


def world_rows() -> list[Anchor]:
    """Both makers at gamma 0.1: simulated within 3 standard errors of the published population; exact moments."""
    rows = []
    for maker, (profit, profit_sd, q_sd, mean, sd, sq) in TABLE.items():
        seen, exact = simulate(World(maker=maker), paths=PATHS, seed=SEED), population(World(maker=maker))
        se = seen.errors()[0]
        root = 3.0 / math.sqrt(2.0 * PATHS)  # of a deviation, 3 relative standard errors
        three = 3.0 * exact.profit_sd / math.sqrt(1e5)  # of the published mean itself, 1e5 paths
        rows += [
            Anchor(f"A02.{maker}.profit", JOURNAL, profit, seen.profit, 0.5),
            Anchor(f"A02.{maker}.profit_sd", JOURNAL, profit_sd, seen.profit_sd, 0.10 * profit_sd),
            Anchor(f"A02.{maker}.q_sd", JOURNAL, q_sd, seen.q_sd, 0.05 * q_sd),
            Anchor(f"A02.{maker}.profit.population", RECOMPUTED, mean, seen.profit, 3.0 * se, "3 standard errors"),
            Anchor(f"A02.{maker}.profit_sd.population", RECOMPUTED, sd, seen.profit_sd, root * sd),
            Anchor(f"A02.{maker}.q_sd.population", RECOMPUTED, sq, seen.q_sd, root * sq),
            Anchor(f"A02.{maker}.profit.exact", RECOMPUTED, mean, exact.profit, three, "by recursion, no paths"),
        ]
    gap = simulate(World(exact_fills=True), paths=PATHS, seed=SEED)
    return [
        *rows,
        Anchor("A05.exact_poisson.profit", RECOMPUTED, 57.19, gap.profit, 0.2, "1 - exp(-lambda dt)"),
        Anchor("A05.exact_poisson.exact", RECOMPUTED, 57.19, population(World(exact_fills=True)).profit, 0.06),
    ]


def trap_rows() -> list[Anchor]:
    """Profit of a maker who takes the half spread for the whole one."""
    return [
        Anchor(f"trap.total_spread.gamma_{g:g}", RECOMPUTED, want, population(World(gamma=g, share=0.5)).profit, 0.2)
        for g, want in TRAP.items()
    ]


def glft_rows() -> list[Anchor]:
    """The closed form with a xi and an order size, to its digits; the drift's inventory."""
    gamma, k, arrivals, sigma = GRID
    mu, aversion, deviation = 0.002, 0.01, 0.3
    drifted = glft_exact(*PAPER, mu=mu).neutral()
    return [
        Anchor("A06.half_spread", NOTEBOOK, 20.47208533844371, glft_half_spread(gamma, gamma, k, arrivals, sigma, 1.0),
               1e-9),
        Anchor("A06.skew", NOTEBOOK, 9.76326865029227, glft_skew(gamma, gamma, k, arrivals, sigma, 1.0), 1e-9),
        Anchor("A08.target", "GLFT ODE", 2.22222, inventory_target(mu, aversion, deviation, 30.0), 1e-3),
        Anchor("A08.zero_skew_inventory", "GLFT ODE", 2.22222, drifted, 1e-3, "of the exact quotes"),
    ]  # fmt: skip


def exact_rows() -> list[Anchor]:
    """Bid distances of the exact matrix at the parameters of the paper's figures."""
    far, near = glft_exact(*PAPER, left_s=600.0), glft_exact(*PAPER, left_s=100.0)
    return [
        Anchor("glft.exact.T600.q0", RECOMPUTED, 3.31305, far.at(0)[0], 5e-6),
        Anchor("glft.exact.T600.q5", RECOMPUTED, 3.65348, far.at(5)[0], 5e-6),
        Anchor("glft.exact.T100.q5", RECOMPUTED, 3.60369, near.at(5)[0], 5e-6),
    ]


def intensity_rows() -> list[Anchor]:
    """A and k from 1e5 simulated arrivals: within 3 standard errors and 5 %."""
    rate, k = 1.5, 0.3
    distance = np.linspace(0.5, 20.0, 40)
    seconds = np.full(40, 1e5 / (rate * np.exp(-k * distance)).sum())
    arrivals = np.random.default_rng(SEED).poisson(rate * np.exp(-k * distance) * seconds)
    found = fit_intensity(distance, seconds, arrivals)
    return [
        Anchor("intensity.A", "the truth", rate, found.arrivals_per_s, 3.0 * rate * found.log_arrivals_se),
        Anchor("intensity.k", "the truth", k, found.k_decay, 3.0 * k * found.log_k_se),
        Anchor("intensity.A.share", "the truth", 1.0, found.arrivals_per_s / rate, 0.05),
        Anchor("intensity.k.share", "the truth", 1.0, found.k_decay / k, 0.05),
    ]
