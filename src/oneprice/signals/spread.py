"""A spread in logs and a spread in prices are different trades; each is sized, held and booked in its own way.

    log    x = sum w_i ln p_i - c    w_i shares of the notional, which is kept: a leg is bought as it falls
    level  x = sum w_i p_i - c       w_i units of the asset, held: nothing is traded between entry and exit

With k currency units a unit of spread, held shares k w_i earn k dx exactly. Kept notionals k w_i earn
k sum w_i (p'/p - 1), which is k dx up to k sum |w_i| r_i^2 / 2: the spread's P&L, the better the finer the steps. The
constant c carries no position in either. A `Sized` made for one space is refused by a spread of the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name

SPACES = ("log", "level")


class Spread(msgspec.Struct, frozen=True):
    """Which legs in which ratio, in which space. `constant` is in the spread's own unit."""

    symbols: tuple[str, ...]
    weights: tuple[float, ...]
    space: str
    constant: float = 0.0

    def __post_init__(self) -> None:
        where = f"spread {'/'.join(self.symbols)}"
        if self.space not in SPACES:
            raise unknown_name("space", self.space, list(SPACES))
        if len(self.symbols) < 2 or len(set(self.symbols)) != len(self.symbols):
            raise ConfigError(f"{where}: expected two or more different symbols, got {list(self.symbols)}")
        if len(self.weights) != len(self.symbols) or not all(math.isfinite(w) and w != 0 for w in self.weights):
            raise ConfigError(f"{where}: expected a finite weight other than 0 a symbol, got {self.weights}")
        if not math.isfinite(self.constant):
            raise ConfigError(f"{where}: expected a finite constant, got {self.constant}")


class Sized(msgspec.Struct, frozen=True):
    """Positions of one unit of a trade: `amounts` are currency values kept (log) or units held (level), a symbol.

    `scale` is k, currency a unit of spread; `capital` the gross value at the prices it was sized at.
    """

    symbols: tuple[str, ...]
    space: str
    amounts: tuple[float, ...]
    scale: float
    capital: float


def pair(symbols: Sequence[str], beta: float, alpha: float, space: str) -> Spread:
    """The spread y - beta x - alpha of a regression of symbols[0] on symbols[1], in the space it was fitted in."""
    if len(symbols) != 2:
        raise ConfigError(f"pair: expected two symbols, got {list(symbols)}")
    return Spread((symbols[0], symbols[1]), (1.0, -float(beta)), space, float(alpha))


def values(spread: Spread, close: np.ndarray) -> np.ndarray:
    """The spread itself, float64[T], from prices [T, n] in the order of its symbols."""
    p = _prices(spread, close)
    return np.asarray((np.log(p) if spread.space == "log" else p) @ np.array(spread.weights) - spread.constant)


def positions(spread: Spread, capital: float, close: np.ndarray) -> Sized:
    """Positions whose gross value at the prices `close` [n] is `capital`; a negative capital sells the spread.

    log: k = capital / sum |w_i|; level: k = capital / sum |w_i p_i|.
    """
    if not math.isfinite(capital) or capital == 0:
        raise ConfigError(f"positions: expected a finite capital other than 0, got {capital}")
    p = _prices(spread, np.asarray(close, np.float64)[None, :])[0]
    w = np.array(spread.weights)
    scale = capital / float(np.abs(w if spread.space == "log" else w * p).sum())
    return Sized(spread.symbols, spread.space, tuple((scale * w).tolist()), scale, abs(capital))


def units(spread: Spread, sized: Sized, close: np.ndarray) -> np.ndarray:
    """Units of each asset held at each time, [T, n]: constant in level, amount / price in log."""
    p = _prices(spread, close)
    amounts = _amounts(spread, sized)
    return amounts / p if spread.space == "log" else np.broadcast_to(amounts, p.shape)


def pnl(spread: Spread, sized: Sized, close: np.ndarray) -> np.ndarray:
    """Profit since the first row, float64[T], of holding `sized` over prices [T, n]; costs are not in it.

    Raises
    ------
    ConfigError
        The positions were sized for the other space, or for other legs.
    """
    p = _prices(spread, close)
    step = (units(spread, sized, p)[:-1] * np.diff(p, axis=0)).sum(axis=1)
    return np.concatenate([[0.0], np.cumsum(step)])


def traded_value(spread: Spread, sized: Sized, close: np.ndarray) -> np.ndarray:
    """Currency value traded at each time to keep the positions, float64[T]; the entry counts at row 0, no exit.

    This is what rebalancing costs are charged on: 0 after entry in level, about sum |k w_i r_i| a step in log.
    """
    p = _prices(spread, close)
    held = units(spread, sized, p)
    return np.concatenate([[np.abs(held[0] * p[0]).sum()], (np.abs(np.diff(held, axis=0)) * p[1:]).sum(axis=1)])


def add(a: Spread, b: Spread) -> Spread:
    """Both at once, a symbol's weights added. Spreads of two spaces do not add: their units differ."""
    if a.space != b.space:
        raise ConfigError(f"spread: cannot add a {a.space} spread and a {b.space} spread: shares of value and units")
    total = dict(zip(a.symbols, a.weights, strict=True))
    for symbol, w in zip(b.symbols, b.weights, strict=True):
        total[symbol] = total.get(symbol, 0.0) + w
    left = {s: w for s, w in total.items() if w != 0.0}
    return Spread(tuple(left), tuple(left.values()), a.space, a.constant + b.constant)


def _amounts(spread: Spread, sized: Sized) -> np.ndarray:
    if sized.space != spread.space:
        raise ConfigError(
            f"spread {'/'.join(spread.symbols)} is in {spread.space}, the positions were sized in {sized.space}: "
            "size them anew with positions(); a hedge ratio of values is none of units"
        )
    if sized.symbols != spread.symbols:
        raise ConfigError(f"spread has legs {list(spread.symbols)}, the positions {list(sized.symbols)}")
    return np.array(sized.amounts)


def _prices(spread: Spread, close: np.ndarray) -> np.ndarray:
    p = np.asarray(close, np.float64)
    if p.ndim != 2 or p.shape[1] != len(spread.symbols):
        raise DataError(f"spread {'/'.join(spread.symbols)}: expected prices [T, {len(spread.symbols)}], got {p.shape}")
    bad = ~np.isfinite(p) if spread.space == "level" else ~(np.isfinite(p) & (p > 0))
    if bad.any():
        t, i = (int(v) for v in np.argwhere(bad)[0])
        what = "finite prices" if spread.space == "level" else "finite prices above 0 in logs"
        raise DataError(f"spread: expected {what}, got {p[t, i]:g} of {spread.symbols[i]} in row {t}")
    return p
