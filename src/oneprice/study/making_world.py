"""The world of Avellaneda and Stoikov, exactly as published: seeded paths of one maker, and its moments without any.

A step of dt: quotes are made for the inventory held; each side is filled with probability A exp(-k distance) dt; then
the mid moves by +-sigma sqrt(dt). What matters to the published tables:

- the probability is the literal lambda dt (`exact_fills` False): at the best quotes it is 0.7 and it is cut at 1 where
  a quote crosses the mid. 1 - exp(-lambda dt) is the probability of an arrival in dt, right in production, and earns
  10 to 16 % less here;
- the symmetric maker quotes the time average of the inventory maker's spread around the mid;
- inventory has no bound.

`share` of the half spread is quoted: 1 is the paper; 0.5 is what one does who takes half_spread for the whole spread.

The quotes of either maker depend on inventory and time alone, so inventory is a Markov chain and profit has moments by
recursion over it: `population` gives mean and deviations of an infinite number of paths, for any parameters.

Source: Avellaneda and Stoikov (2008), High-frequency trading in a limit order book, tables 1 to 3.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit
from oneprice.signals.quoting.stoikov import half_spread, margin

INVENTORY, SYMMETRIC = 0, 1
MAKERS = ("inventory", "symmetric")
MAX_CELLS = 50_000_000  # steps x inventories of `population`
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX1, MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the paper's simulation; units as in `signals.quoting.stoikov`, time in horizons."""

    gamma: float = 0.1
    sigma: float = 2.0
    k_decay: float = 1.5
    arrivals_per_s: float = 140.0
    horizon_s: float = 1.0
    dt_s: float = 0.005
    s: float = 100.0
    maker: str = "inventory"
    share: float = 1.0  # of the half spread that is quoted
    exact_fills: bool = False  # True: 1 - exp(-lambda dt)

    def __post_init__(self) -> None:
        for name in ("sigma", "k_decay", "arrivals_per_s", "horizon_s", "dt_s", "share", "gamma"):
            value = getattr(self, name)
            low_ok = value >= 0.0 if name in ("sigma", "gamma") else value > 0.0
            if not (low_ok and math.isfinite(value)):
                raise ConfigError(f"world: {name}: expected a finite number above 0, got {value!r}")
        if self.maker not in MAKERS:
            raise ConfigError(f"world: maker: expected one of {', '.join(MAKERS)}, got {self.maker!r}")
        if not 1 <= self.steps <= 100_000:
            raise ConfigError(f"world: expected 1 to 100,000 steps of dt_s in horizon_s, got {self.steps}")

    @property
    def steps(self) -> int:
        """Number of steps."""
        return round(self.horizon_s / self.dt_s)

    @property
    def average_spread(self) -> float:
        """Whole spread averaged over time, closed form: share (gamma sigma^2 T / 2 + (2 / gamma) ln(1 + gamma / k))."""
        return 2.0 * self.share * half_spread(self.gamma, self.k_decay, self.sigma, 0.5 * self.horizon_s)

    def words(self) -> np.ndarray:
        """The parameters as the kernels take them."""
        return np.array([
            self.gamma, self.sigma, self.k_decay, self.arrivals_per_s, self.horizon_s, self.dt_s, self.s,
            float(MAKERS.index(self.maker)), self.share, float(self.exact_fills), margin(self.gamma, self.k_decay),
        ])  # fmt: skip


class Moments(msgspec.Struct, frozen=True):
    """What a maker ends with: profit in quote currency, inventory in orders, the average whole spread it quoted."""

    profit: float
    profit_sd: float
    q: float
    q_sd: float
    spread: float
    n: int = 0  # paths; 0: the population

    def errors(self) -> tuple[float, float]:
        """Standard errors of the mean profit and mean inventory over `n` paths."""
        return self.profit_sd / math.sqrt(self.n), self.q_sd / math.sqrt(self.n)


@njit
def distances(w: Any, q: float, left_s: float) -> Any:
    """(bid distance, ask distance) from the mid of the maker described by `words`, holding q, left_s before the end.

    These are `half_spread` and `reservation` with what does not change in a path, the margin, kept in `words`.
    """
    if w[7] == SYMMETRIC:
        half = w[8] * (0.25 * w[0] * w[1] * w[1] * w[4] + w[10])
        return half, half
    lean = w[0] * w[1] * w[1] * left_s
    half = w[8] * (0.5 * lean + w[10])
    return half + q * lean, half - q * lean


@njit
def fill_chance(w: Any, distance: float) -> float:
    """Probability of a fill in one step at a distance from the mid."""
    rate = w[3] * math.exp(-w[2] * distance) * w[5]
    if w[9] != 0.0:
        return 1.0 - math.exp(-rate)
    return min(rate, 1.0)


@njit
def mixed(state: Any) -> Any:
    """The next 64 bits of a splitmix64 counter (uint64, shape (1,))."""
    state[0] += GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * MIX1
    z = (z ^ (z >> np.uint64(27))) * MIX2
    return z ^ (z >> np.uint64(31))


@njit
def drawn(state: Any) -> float:
    """The next number in [0, 1)."""
    return float(mixed(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit
def run_paths(w: Any, seed: int, n_steps: int, profit: Any, final_q: Any, spread: Any) -> None:
    """Profit, last inventory and mean whole spread of each path; arrays of shape (paths,)."""
    state = np.empty(1, np.uint64)
    move = w[1] * math.sqrt(w[5])
    for i in range(len(profit)):
        state[0] = np.uint64(seed)
        state[0] = mixed(state) ^ np.uint64(i)
        state[0] = mixed(state)  # a path begins at a place of its own, not at a step of the path before
        s, q, cash, wide = w[6], 0.0, 0.0, 0.0
        for step in range(n_steps):
            bid, ask = distances(w, q, w[4] - step * w[5])
            wide += bid + ask
            bought = drawn(state) < fill_chance(w, bid)
            sold = drawn(state) < fill_chance(w, ask)
            if bought:
                q += 1.0
                cash -= s - bid
            if sold:
                q -= 1.0
                cash += s + ask
            s += move if drawn(state) < 0.5 else -move
        profit[i] = cash + q * s
        final_q[i] = q
        spread[i] = wide / n_steps


def simulate(world: World, *, paths: int, seed: int) -> Moments:
    """Moments over `paths` seeded paths.

    Raises
    ------
    ConfigError
        Fewer than 2 paths or a negative seed.
    """
    if paths < 2 or seed < 0:
        raise ConfigError(f"simulate: expected at least 2 paths and a seed >= 0, got {paths} and {seed}")
    profit, q, spread = np.empty(paths), np.empty(paths), np.empty(paths)
    run_paths(world.words(), seed, world.steps, profit, q, spread)
    return Moments(
        float(profit.mean()), float(profit.std(ddof=1)), float(q.mean()), float(q.std(ddof=1)), float(spread.mean()),
        paths,
    )  # fmt: skip


def population(world: World) -> Moments:
    """The moments of an infinite number of paths, by recursion over the chain of inventories (no random numbers).

    With p, m, v the probability and the first two moments of wealth on the paths that hold q, a step with outcome
    (probability c, gain g, q') adds c p, c (m + g p) and c (v + 2 g m + g^2 p) to q'; then the mid moves and v grows by
    sigma^2 dt q'^2 p.
    """
    n = world.steps
    if n * (2 * n + 3) > MAX_CELLS:
        raise ConfigError(f"population: expected at most 5,000 steps, got {n}: give a longer dt_s")
    w = world.words()
    q = np.arange(-n - 1, n + 2, dtype=np.float64)
    p: np.ndarray = np.where(q == 0.0, 1.0, 0.0)
    m: np.ndarray = np.zeros(len(q))
    v: np.ndarray = np.zeros(len(q))
    spread = 0.0
    for step in range(n):
        bid, ask = _distances(world, q, world.horizon_s - step * world.dt_s)
        spread += float(bid[n + 1] + ask[n + 1]) / n
        up, down = _chances(w, bid), _chances(w, ask)
        nothing = [a * (1.0 - up) * (1.0 - down) for a in (p, m, v)]
        for chance, gain, by in (
            (up * (1.0 - down), bid, 1), (down * (1.0 - up), ask, -1), (up * down, bid + ask, 0),
        ):  # fmt: skip
            parts = (chance * p, chance * (m + gain * p), chance * (v + 2.0 * gain * m + gain**2 * p))
            for total, part in zip(nothing, parts, strict=True):
                total += np.roll(part, by)
        p, m, v = nothing
        v = v + world.sigma**2 * world.dt_s * q**2 * p
    mean, mean_q = float(m.sum()), float(p @ q)
    return Moments(mean, math.sqrt(v.sum() - mean**2), mean_q, math.sqrt(p @ q**2 - mean_q**2), spread)


def _distances(world: World, q: np.ndarray, left_s: float) -> tuple[np.ndarray, np.ndarray]:
    """`distances` over inventories, written with the formulas of the paper."""
    base = margin(world.gamma, world.k_decay)
    if world.maker == "symmetric":
        half = np.full(len(q), world.share * (0.25 * world.gamma * world.sigma**2 * world.horizon_s + base))
        return half, half
    tilt = world.gamma * world.sigma**2 * left_s
    half = np.full(len(q), world.share * (0.5 * tilt + base))
    return half + q * tilt, half - q * tilt


def _chances(w: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """`fill_chance` over an array."""
    rate = w[3] * np.exp(np.minimum(-w[2] * distance, 700.0)) * w[5]
    return np.asarray(-np.expm1(-rate) if w[9] else np.minimum(rate, 1.0))
