"""Fit of Stoikov's microprice: the table that `features.microprice_fitted` reads.

The touch is a Markov chain over x = (spread, imbalance bucket). Until the mid moves it wanders by Q; a move of the mid
has mean k(x) ticks (times its probability) and lands in a new state by T. Then

    g1 = (1 - Q)^-1 k,   B = (1 - Q)^-1 T,   G* = sum_n B^n g1

is the expected move of the mid in the long run, and mid + G* a martingale. Each transition is counted twice, as seen
and mirrored (bid and ask swapped, the move negated): G*(1 - I) = -G*(I) holds exactly and the sum converges, for
B^n g1 is antisymmetric and B's limit is symmetric.

Moves of any size count, not only those of a tick. States with fewer visits than `min_visits`, and those from which no
move of the mid was seen, are left out of the chain; transitions into them are not counted. Their adjustment is that of
their neighbours in the row, or of the next narrower spread.

Reference: S. Stoikov (2018), The micro-price, Quantitative Finance 18(12), doi:10.1080/14697688.2018.1489139.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.jit import njit
from oneprice.features.microprice_fitted import N_IMBALANCES, N_SPREADS, imbalance_bucket, price, spread_bucket

TERMS, N_BLOCKS = 6, 20


class Microprice(msgspec.Struct, frozen=True):
    """A fitted table and what it was made of; matrices are over states row * columns + column that stay in."""

    table: np.ndarray  # [spreads, imbalances] ticks
    first: np.ndarray  # [spreads, imbalances] ticks: g1, the expected next move; NaN where a state is left out
    b: np.ndarray  # B over the states of `states`
    states: np.ndarray  # int64, the states that stay in the chain
    visits: np.ndarray  # [spreads, imbalances] int64, symmetrised
    tick: float
    terms: int
    next_term: float  # ticks: the largest entry of the first term left out
    row_sum_error: float  # of B: max |sum - 1|
    asymmetry: float  # ticks: max |G(I) + G(1 - I)| as computed
    n_transitions: int
    n_moves: int
    n_dropped: int  # transitions into or out of states left out

    def __str__(self) -> str:
        return (
            f"microprice: {self.n_transitions:,} transitions, {self.n_moves:,} moves of the mid, {len(self.states)} of"
            f" {self.table.size} states; largest adjustment {np.abs(self.table).max():.3f} ticks, next term"
            f" {self.next_term:.1e} ticks after {self.terms}"
        )


@njit
def _count(touch: Any, tick: float, rows: int, columns: int, stay: Any, jump: Any, moves: Any) -> Any:
    """Transitions between good touches (NaN breaks the chain), each also mirrored; (transitions, moves of the mid)."""
    before = -1
    mid2 = 0
    n = 0
    moved = 0
    half = columns // 2
    for i in range(touch.shape[1]):
        bid, ask, bid_qty, ask_qty = touch[0, i], touch[1, i], touch[2, i], touch[3, i]
        queues = bid_qty + ask_qty
        good = math.isfinite(bid) and math.isfinite(ask) and math.isfinite(queues) and ask > bid
        if not (good and bid_qty >= 0.0 and ask_qty >= 0.0 and queues > 0.0):
            before = -1
            continue
        column = imbalance_bucket(bid_qty, ask_qty, columns)
        if column < 0:
            column = half
        row = spread_bucket(bid, ask, tick, rows)
        here = row * columns + column
        now2 = round(bid / tick) + round(ask / tick)
        if before >= 0:
            mirrored = here + columns - 1 - 2 * column
            old = before % columns
            before_mirrored = before + columns - 1 - 2 * old
            n += 1
            if now2 == mid2:
                stay[before, here] += 1
                stay[before_mirrored, mirrored] += 1
            else:
                moved += 1
                jump[before, here] += 1
                jump[before_mirrored, mirrored] += 1
                moves[before, here] += 0.5 * (now2 - mid2)
                moves[before_mirrored, mirrored] -= 0.5 * (now2 - mid2)
        before = here
        mid2 = now2
    return n, moved


def fit_microprice(
    bid: Any,
    ask: Any,
    bid_qty: Any,
    ask_qty: Any,
    *,
    tick: float,
    n_spreads: int = N_SPREADS,
    n_imbalances: int = N_IMBALANCES,
    terms: int = TERMS,
    min_visits: int = 1,
) -> Microprice:
    """Fit the table on touches in the order in which they came.

    Parameters
    ----------
    bid, ask : (n,) prices; NaN, locked or crossed touches break the chain (no transition over them).
    bid_qty, ask_qty : (n,) queues. tick : the price grid. terms : of G*'s sum, at least 1.
    min_visits : states seen less often (counting mirrors) are left out.

    Raises
    ------
    DataError
        Arrays of different length, fewer than two good touches in a row, or a mid that never moves.
    ConfigError
        A grid or a number of terms that is not positive.
    """
    if not (tick > 0.0 and math.isfinite(tick)) or min(n_spreads, terms, min_visits) < 1 or n_imbalances < 2:
        raise ConfigError(
            f"fit_microprice: expected tick > 0, n_spreads, terms and min_visits >= 1, n_imbalances >= 2, got tick"
            f" {tick}, {n_spreads}, {terms}, {min_visits}, {n_imbalances}"
        )
    columns = [np.asarray(x, np.float64) for x in (bid, ask, bid_qty, ask_qty)]
    if columns[0].ndim != 1 or any(c.shape != columns[0].shape for c in columns):
        raise DataError(f"fit_microprice: expected four arrays of shape (n,), got {[c.shape for c in columns]}")
    size = n_spreads * n_imbalances
    stay, jump, moves = (np.zeros((size, size)) for _ in range(3))
    n, moved = _count(np.stack(columns), float(tick), n_spreads, n_imbalances, stay, jump, moves)
    if moved == 0:
        raise DataError(f"fit_microprice: the mid never moves in {n} transitions of good touches; expected moves of it")
    visits = (stay + jump).sum(axis=1)
    states = _kept(stay, jump, min_visits)
    if len(states) == 0:
        raise DataError(f"fit_microprice: no state has {min_visits} visits; expected a longer tape or fewer visits")
    inside = np.ix_(states, states)
    total = (stay[inside] + jump[inside]).sum(axis=1)
    system = np.eye(len(states)) - stay[inside] / total[:, None]
    g1 = np.linalg.solve(system, moves[inside].sum(axis=1) / total)
    b = np.linalg.solve(system, jump[inside] / total[:, None])
    term: np.ndarray = g1
    adjustment: np.ndarray = np.zeros(len(states))
    for _ in range(terms):
        adjustment = adjustment + term
        term = b @ term
    shape = (n_spreads, n_imbalances)
    first = np.full(size, np.nan)
    first[states] = g1
    table, asymmetry = _table(states, adjustment, shape)
    return Microprice(
        table=table,
        first=first.reshape(shape),
        b=b,
        states=states,
        visits=visits.astype(np.int64).reshape(shape),
        tick=float(tick),
        terms=terms,
        next_term=float(np.abs(term).max()),
        row_sum_error=float(np.abs(b.sum(axis=1) - 1.0).max()),
        asymmetry=asymmetry,
        n_transitions=int(n),
        n_moves=int(moved),
        n_dropped=round(0.5 * float(visits.sum() - total.sum())),
    )


def _kept(stay: np.ndarray, jump: np.ndarray, min_visits: int) -> np.ndarray:
    """States visited often enough from which a move of the mid can be reached through kept states."""
    kept = (stay + jump).sum(axis=1) >= min_visits
    while True:
        both = kept[:, None] & kept[None, :]
        reach = (jump * both).sum(axis=1) > 0.0
        while True:
            more = reach | ((stay * both) @ reach > 0.0)
            if (more == reach).all():
                break
            reach = more
        if (reach & kept == kept).all():
            return np.flatnonzero(kept)
        kept = kept & reach


def _table(states: np.ndarray, adjustment: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Adjustments on the whole grid, antisymmetric bit for bit, and how far from it they came out."""
    rows, columns = shape
    flat = np.full(rows * columns, np.nan)
    flat[states] = adjustment
    grid = flat.reshape(shape)
    asymmetry = float(np.nanmax(np.abs(grid + grid[:, ::-1])))
    known = np.isfinite(grid)
    place = np.arange(columns)
    out = np.zeros(shape)
    for i in range(rows):
        if known[i].any():
            out[i] = np.interp(place, place[known[i]], grid[i, known[i]])
        elif i > 0:
            out[i] = out[i - 1]
    return 0.5 * (out - out[:, ::-1]), asymmetry


class Slope(msgspec.Struct, frozen=True):
    """Regression of what the mid did on what the microprice said; a martingale has slope 1."""

    slope: float
    se: float  # over blocks of touches
    n: int
    moves: int


def martingale_slope(
    table: np.ndarray, bid: Any, ask: Any, bid_qty: Any, ask_qty: Any, *, tick: float, moves: int = 3
) -> Slope:
    """Slope of (mid after the next `moves` moves of it - mid) on (microprice - mid), touches other than the fit's.

    Every good touch counts; the error is over 20 blocks in time, for neighbours share their outcome. Raises DataError
    with fewer than 20 * moves moves of the mid, or a table that says nothing on these touches.
    """
    b, a, bq, aq = (np.ascontiguousarray(x, np.float64) for x in (bid, ask, bid_qty, ask_qty))
    said = np.empty(len(b))
    _prices(np.ascontiguousarray(table, np.float64), np.stack([b, a, bq, aq]), float(tick), said)
    good = np.isfinite(said)
    mid = (b + 0.5 * (a - b))[good]
    x = said[good] - mid
    at = np.flatnonzero(np.diff(np.round(2.0 * mid / tick)) != 0.0)  # the mid moves after touch at[i]
    if len(at) < N_BLOCKS * moves:
        raise DataError(f"martingale_slope: expected at least {N_BLOCKS * moves} moves of the mid, got {len(at)}")
    end = np.searchsorted(at, np.arange(len(mid))) + moves - 1
    use = end < len(at)
    x, y = x[use], mid[at[end[use]] + 1] - mid[use]
    xy, xx = (np.array([part.sum() for part in np.array_split(v, N_BLOCKS)]) for v in (x * y, x * x))
    if not xx.sum() > 0.0:
        raise DataError("martingale_slope: the table says nothing on these touches; expected some that are not 0")
    slope = float(xy.sum() / xx.sum())
    se = float(np.sqrt(((xy - slope * xx) ** 2).sum()) / xx.sum())
    return Slope(slope, se, len(x), len(at))


@njit
def _prices(table: Any, touch: Any, tick: float, out: Any) -> None:
    for i in range(len(out)):
        out[i] = price(table, touch[0, i], touch[1, i], touch[2, i], touch[3, i], tick)
