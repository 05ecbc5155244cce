"""The edge of buying on one leg and selling on another, read off both ladders: the form strategies call.

A unit bought at `a` on the cheap leg and sold at `d` on the dear leg earns

    d (1 - k f_d - o/2) - a (1 + k f_a + o/2) - x

with f the taker fee of each leg, k = crossings / 2 (each leg is crossed once to enter and, with `converge`,
once to leave), o other costs (amortised rebalancing, carry, tax) as a fraction of the mean price, and x the
half spreads paid when leaving at converged mids ((crossings - 2) / 2 of them a leg). Entry prices are
touches and deeper levels, so no half spread is charged on entry. It falls along both ladders, so the greedy
walk is the best size.

VIEW records give prices in quote currency per unit of underlying and quantities in underlying units; a leg
with `book_rel` != 0 is walked through its book, any other has the size of its touch. Lots of an inverse leg
are valued at the mid.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.address import address_of
from oneprice.core.jit import njit
from oneprice.core.records import NO_PRICE
from oneprice.market.book import book_at, book_level, book_next


@njit
def next_level(view: Any, side: int, ticks: int) -> tuple[int, int]:
    """(ticks, lots) of the level of `side` (+1 bids, -1 asks) after `ticks`; NO_PRICE asks for the best and
    says none.
    """
    if view.book_rel == 0:
        if ticks != NO_PRICE:
            return NO_PRICE, 0
        if side > 0:
            return view.bid_ticks, view.bid_lots
        return view.ask_ticks, view.ask_lots
    b = book_at(address_of(view) + view.book_rel)
    at = book_next(b, side, ticks)
    if at == NO_PRICE:
        return NO_PRICE, 0
    return at, book_level(b, side, at)


@njit
def unit_costs(
    legs: Any, cheap: int, dear: int, exit_crossings: int, rebalance_bp: float
) -> tuple[float, float, float]:
    """(factor on what is paid, factor on what is received, half spreads of the exit in price) of one unit."""
    a = legs[cheap]
    d = legs[dear]
    k = exit_crossings * 0.5
    paid = 1.0 + (k * a.taker_fee_bp + 0.5 * rebalance_bp) * 1e-4
    received = 1.0 - (k * d.taker_fee_bp + 0.5 * rebalance_bp) * 1e-4
    leave = (k - 1.0) * 0.5
    spread = 0.0
    if leave > 0.0:
        spread = leave * ((a.ask - a.bid) + (d.ask - d.bid))
    return paid, received, spread


@njit
def walk(
    legs: Any, cheap: int, dear: int, qty: float, exit_crossings: int, rebalance_bp: float, stop: bool
) -> tuple[float, float, float, float]:
    """Walk asks of `cheap` and bids of `dear` together: (quantity not filled, sum paid, sum received),
    before fees.

    `stop` ends the walk at the first pair of levels whose unit earns nothing after costs. Less than a billionth
    of a lot is what rounding leaves of a level, not depth.
    """
    a = legs[cheap]
    d = legs[dear]
    dust = 1e-9 * min(a.lot_qty, d.lot_qty)
    on_paid, on_received, spread = unit_costs(legs, cheap, dear, exit_crossings, rebalance_bp)
    left = qty
    filled = 0.0
    paid = 0.0
    received = 0.0
    a_ticks, a_lots = next_level(a, -1, NO_PRICE)
    d_ticks, d_lots = next_level(d, 1, NO_PRICE)
    a_qty = a_lots * a.lot_qty
    d_qty = d_lots * d.lot_qty
    while left > dust and a_ticks != NO_PRICE and d_ticks != NO_PRICE:
        buy = a_ticks * a.tick
        sell = d_ticks * d.tick
        if stop and not (sell * on_received - buy * on_paid - spread > 0.0):
            break
        take = min(left, a_qty, d_qty)
        left -= take
        filled += take
        paid += take * buy
        received += take * sell
        a_qty -= take
        d_qty -= take
        if a_qty <= dust:
            a_ticks, a_lots = next_level(a, -1, a_ticks)
            a_qty = a_lots * a.lot_qty
        if d_qty <= dust:
            d_ticks, d_lots = next_level(d, 1, d_ticks)
            d_qty = d_lots * d.lot_qty
    if left <= dust:
        left = 0.0
    return filled, left, paid, received


@njit
def net_edge_bp(
    legs: Any, cheap: int, dear: int, qty: float, exit_crossings: int = 4, rebalance_bp: float = 0.0
) -> float:
    """Edge in bp of buying `qty` on leg `cheap` and selling it on leg `dear` now, after all crossings.

    legs: VIEW array; qty in underlying units; `exit_crossings` 4 (`converge`: both legs are closed again)
    or 2 (`inventory`: nothing is closed, `rebalance_bp` is the amortised cost of moving it back). In bp of
    the mean of the two average prices. NaN when a side is missing, `qty` is not positive or the shown depth
    is short of it, so that every comparison with it is false.
    """
    if not qty > 0.0:
        return math.nan
    _, left, paid, received = walk(legs, cheap, dear, qty, exit_crossings, rebalance_bp, False)
    if left > 0.0:
        return math.nan
    on_paid, on_received, spread = unit_costs(legs, cheap, dear, exit_crossings, rebalance_bp)
    return 1e4 * (received * on_received - paid * on_paid - qty * spread) / (0.5 * (paid + received))


@njit
def size_at_zero_edge(
    legs: Any, cheap: int, dear: int, max_qty: float, exit_crossings: int = 4, rebalance_bp: float = 0.0
) -> float:
    """Quantity (underlying units, 0 to `max_qty`) at which the next unit would earn nothing after costs.

    Arguments as `net_edge_bp`. 0 when the touches do not pay, a side is missing or `max_qty` is not positive.
    """
    if not max_qty > 0.0:
        return 0.0
    filled, _, _, _ = walk(legs, cheap, dear, max_qty, exit_crossings, rebalance_bp, True)
    return filled


@njit
def mid_gap_bp(legs: Any, cheap: int, dear: int) -> float:
    """Mid of `dear` above mid of `cheap`, bp of their mean; NaN when a side is missing. What `converge`
    waits for.
    """
    a = legs[cheap].mid
    d = legs[dear].mid
    return 1e4 * (d - a) / (0.5 * (a + d))
