"""Which queue empties first: the probability that the next price move is up, from the two queues alone.

Both queues gain and lose one order at equal rates, independently (Cont and de Larrard's balanced flow). With n orders
at the bid and p at the ask the next move is up, the ask empties first, with probability

    P(n, p) = 1/pi int_0^pi (2 - cos t - sqrt((2 - cos t)^2 - 1))^p sin(n t) cos(t/2) / sin(t/2) dt

`up_probability` computes it. The fold reads a table of P for up to REACH orders, bilinear between whole orders, and
beyond it the expansion

    P = 2/pi atan(n / p) + sin(4 atan(n / p)) / (6 pi (n^2 + p^2)) + O(1 / (n^2 + p^2)^2)

(the lattice correction of the harmonic function of the quarter plane), below 1e-6 off there.

Reference: R. Cont, A. de Larrard (2013), Price dynamics in a Markovian limit order market, SIAM Journal on Financial
Mathematics 4(1), proposition 2, doi:10.1137/110856605.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.core.jit import njit
from oneprice.core.records import record
from oneprice.features.fold import Fold

REACH = 32
STATE = record([("n", "i8")])
PARAMS = record([("unit_qty", "f8")])


def _integral(bid: np.ndarray, ask: np.ndarray, nodes: int) -> np.ndarray:
    """The integral by Gauss-Legendre on (0, pi) for whole bid[:, None] and ask[None, :]."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    t = 0.5 * np.pi * (x + 1.0)
    edge = 2.0 * np.sin(0.5 * t) ** 2  # 1 - cos t, with its digits near 0
    base = 1.0 / (1.0 + edge + np.sqrt(edge * (2.0 + edge)))  # the smaller root: product of both is 1
    waves = np.sin(np.outer(bid, t)) * (0.5 * w / np.tan(0.5 * t))
    out: np.ndarray = waves @ (base[None, :] ** np.asarray(ask, np.float64)[:, None]).T
    return out


def up_probability(bid_orders: int, ask_orders: int) -> float:
    """P(n, p) by quadrature, to 1e-11 for queues up to some hundreds of orders.

    0 orders at the ask: 1; at the bid: 0; at neither: 0.5. Raises DataError for negative or broken numbers.
    """
    n, p = int(bid_orders), int(ask_orders)
    if n != bid_orders or p != ask_orders or n < 0 or p < 0:
        raise DataError(f"up_probability: expected whole orders >= 0, got {bid_orders} and {ask_orders}")
    if n == 0 or p == 0:
        return 0.5 if n == p else float(p == 0)
    return float(_integral(np.array([n]), np.array([p]), 96 + 2 * n + p)[0, 0])


def _table() -> np.ndarray:
    whole = np.arange(1, REACH + 1)
    out = np.zeros((REACH + 1, REACH + 1))
    out[1:, 1:] = _integral(whole, whole, 160)
    out[1:, 0] = 1.0
    out[0, 0] = 0.5
    return out


TABLE = _table()


@njit
def up(bid: float, ask: float) -> float:
    """P for queues in units of one order (>= 0, not both 0), within 1e-6 at whole numbers."""
    if bid >= REACH or ask >= REACH:
        angle = math.atan2(bid, ask)
        return angle * (2.0 / math.pi) + math.sin(4.0 * angle) / (6.0 * math.pi * (bid * bid + ask * ask))
    i = int(bid)
    j = int(ask)
    x = bid - i
    y = ask - j
    low = TABLE[i, j] + y * (TABLE[i, j + 1] - TABLE[i, j])
    high = TABLE[i + 1, j] + y * (TABLE[i + 1, j + 1] - TABLE[i + 1, j])
    return low + x * (high - low)


@njit
def step(s: Any, bid_qty: float, ask_qty: float, unit_qty: float) -> float:
    """Probability that the next move of the mid is up; `unit_qty` is the mean size of an order.

    Queues below one order count as one: someone stands there. NaN (state unchanged) when a queue is not positive and
    finite (an empty side).
    """
    if not (math.isfinite(bid_qty) and math.isfinite(ask_qty) and bid_qty > 0.0 and ask_qty > 0.0):
        return math.nan
    s.n += 1
    return up(max(1.0, bid_qty / unit_qty), max(1.0, ask_qty / unit_qty))


@njit
def loop(states: Any, bid_qty: Any, ask_qty: Any, unit_qty: float, out: Any) -> None:
    """`step` over arrays."""
    for i in range(len(out)):
        out[i] = step(states[0], bid_qty[i], ask_qty[i], unit_qty)


FOLD = Fold(
    "queue_race",
    STATE,
    PARAMS,
    step,
    loop,
    ("bid_qty", "ask_qty"),
    {"unit_qty": 0.1},
    {"unit_qty": (1e-300, 1e300)},
)
