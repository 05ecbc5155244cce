"""From intents to requests: rounding, keys, and checks of every leg before any is sent."""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.arena import emit, leg_of, legs_of, position_of, strategy_row, view_of
from oneprice.core.jit import njit
from oneprice.core.records import (
    BUY,
    N_INTENTS,
    N_PACKAGE_LEGS,
    NO_SHORT,
    R_BAD_INTENT,
    R_BUDGET,
    R_LEG_CLOSED,
    R_MIN_SIZE,
    R_NO_QUOTE,
    R_OK,
    R_POOL_FULL,
    R_SHORT_BAN,
    R_UNSETTLED,
    REFIT,
    REFUSED,
    SELL,
)
from oneprice.execution import blotter
from oneprice.execution.blotter import ROLE_QUOTE, ROLE_TARGET, cool, cooling_until, set_timer
from oneprice.execution.intents import I_CANCEL, I_CANCEL_ALL, I_LEG, I_PACKAGE, I_QUOTE, I_REFIT, I_TARGET, I_TIMER
from oneprice.execution.legging import order_lots, tradable
from oneprice.execution.lifecycle import clear, clear_leg, commit, open_slot
from oneprice.execution.order_pool import refuse
from oneprice.execution.package import give_up, is_open, let_go, review
from oneprice.execution.quoting import remember, said_again, want, withdraw, withdraw_all
from oneprice.execution.residual import find_residual, release, report_residual
from oneprice.execution.rounding import BIG, common_lots, price_to_ticks, qty_to_lots, unit_qty
from oneprice.execution.settlement import free_to_sell, locked_lots, settled
from oneprice.execution.working import send_first

SILENT = -1  # nothing to do, nothing to say
MAX_TIF = 7


@njit
def on_intents(s: Any, k: int) -> None:
    """Turn the intents of strategy k's call into requests, in order; bad ones become REFUSED rows."""
    b = s.blotter
    intents = b.intents
    n = min(max(intents.count, 0), N_INTENTS)
    if intents.overflow != 0:
        refuse(s, k, -1, 0, (0, intents.overflow), 0, R_POOL_FULL)
        intents.overflow = 0
    for i in range(n):
        it = intents.intent[i]
        kind = it.kind
        if kind == I_PACKAGE:
            _on_package(s, k, i)
        elif kind == I_QUOTE:
            _on_quote(s, k, it)
        elif kind == I_TARGET:
            _on_target(s, k, it)
        elif kind == I_TIMER:
            if it.at_ns <= 0 or not set_timer(s, k, it.key, max(it.at_ns, s.now_ns + 1), 0):
                _bad(s, k, it, R_BAD_INTENT if it.at_ns <= 0 else R_POOL_FULL)
        elif kind == I_CANCEL:
            withdraw(s, k, it.key)
            give_up(s, k, it.key, False)
        elif kind == I_CANCEL_ALL:
            withdraw_all(s, k)
            give_up(s, k, 0, True)
        elif kind == I_REFIT:
            _on_refit(s, k, it)
        elif kind == I_LEG:
            if it.parent < 0 or it.parent >= i or intents.intent[it.parent].kind != I_PACKAGE:
                _bad(s, k, it, R_BAD_INTENT)
        else:
            _bad(s, k, it, R_BAD_INTENT)
    intents.count = 0


@njit
def _on_refit(s: Any, k: int, it: Any) -> None:
    """A request for a fit leaves as a row: what fits runs beside the fold, and its model comes as an event."""
    if strategy_row(s, k).model_bytes == 0:
        _bad(s, k, it, R_BAD_INTENT)
        return
    s.blotter.n_fit_requests += 1
    row = emit(s, REFIT)
    row.a = it.key
    row.b = s.blotter.n_fit_requests
    row.aux = it.bits & 0xFFFF
    row.leg = -1
    row.strategy = k


@njit
def _bad(s: Any, k: int, it: Any, reason: int) -> None:
    """A REFUSED row of an intent: qty and leg are unusable, so `limit` is the key, `aux` the kind of
    intent."""
    row = emit(s, REFUSED)
    row.limit = it.key
    row.leg = _leg_of(s, k, it.leg)
    row.side = 1 if it.side > 0 else (-1 if it.side < 0 else 0)
    row.strategy = k
    row.code = reason
    row.aux = it.kind


@njit
def _leg_of(s: Any, k: int, index: int) -> int:
    """The engine's leg of a strategy's leg index, or -1 when there is none."""
    if index < 0 or index >= strategy_row(s, k).n_legs:
        return -1
    i = view_of(s, k, index).leg  # lies in memory that the strategy can write to
    return i if i >= 0 and i < s.n_legs else -1


@njit
def _ticks_ok(price: float, leg: Any) -> bool:
    return abs(price) < BIG * leg.tick


# ---------------------------------------------------------------- quotes and targets


@njit
def _on_quote(s: Any, k: int, it: Any) -> None:
    i = _leg_of(s, k, it.leg)
    if i < 0 or (it.side != BUY and it.side != SELL) or not (it.qty >= 0.0) or it.bits < 0 or it.bits > MAX_TIF:
        _bad(s, k, it, R_BAD_INTENT)
        return
    if it.qty == 0.0:
        withdraw(s, k, it.key)
        return
    if said_again(s, k, i, it):
        return
    leg = leg_of(s, i)
    if not _ticks_ok(it.price, leg):
        _bad(s, k, it, R_BAD_INTENT)
        return
    unit = unit_qty(leg)
    if not (unit > 0.0):
        _bad(s, k, it, R_NO_QUOTE)
        return
    price = price_to_ticks(it.price, leg.tick, it.side)
    lots = qty_to_lots(it.qty, unit, leg.lot_step)
    if lots < 0:
        _bad(s, k, it, R_BAD_INTENT)
    elif order_lots(leg, lots, price) == 0:
        if s.now_ns >= cooling_until(s, k, it.key):
            cool(s, k, it.key, True)
            refuse(s, k, i, it.side, (price, lots), it.key, R_MIN_SIZE)
        withdraw(s, k, it.key)
    else:
        at = want(s, k, ROLE_QUOTE, it.key, i, it.side, price, (lots, it.bits))
        if at >= 0:
            remember(s, at, it, price, lots)


@njit
def _on_target(s: Any, k: int, it: Any) -> None:
    i = _leg_of(s, k, it.leg)
    if i < 0 or not math.isfinite(it.qty):
        _bad(s, k, it, R_BAD_INTENT)
        return
    leg = leg_of(s, i)
    unit = unit_qty(leg)
    if not _ticks_ok(it.price, leg):
        _bad(s, k, it, R_BAD_INTENT)
        return
    if not (unit > 0.0):
        _bad(s, k, it, R_NO_QUOTE)
        return
    lots = qty_to_lots(abs(it.qty), unit, 1)
    if lots < 0:
        _bad(s, k, it, R_BAD_INTENT)
        return
    wanted = lots if it.qty >= 0.0 else -lots
    need = wanted - position_of(s, k * s.n_legs + i).lots
    if need == 0:
        return
    side = BUY if need > 0 else SELL
    price = price_to_ticks(it.price, leg.tick, side)
    fit = order_lots(leg, abs(need), price)
    if fit > 0:
        want(s, k, ROLE_TARGET, i, i, side, price, (wanted - side * (abs(need) - fit), 0))


# ---------------------------------------------------------------- packages


@njit
def _on_package(s: Any, k: int, i: int) -> None:
    """Plan a package: every leg is checked before any order is asked for. A no-op while the key is open or
    cooling."""
    b = s.blotter
    it = b.intents.intent[i]
    if is_open(s, k, it.key) or s.now_ns < cooling_until(s, k, it.key):
        return
    slot = open_slot(s)
    if slot < 0:
        _bad(s, k, it, R_POOL_FULL)
        return
    p = b.packages[slot]
    clear(p, k, it.key)
    p.rest_ns = max(it.at_ns, 0)
    reason = _read_legs(s, k, i, p)
    if reason == R_OK:
        p.maker = _maker(s, k, it, p)
        reason = R_BAD_INTENT if p.maker < -1 else _plan(s, p, it.qty, it.bits & 1)
    if reason == R_OK and b.order_free < p.n_legs:
        reason = R_POOL_FULL
    if reason == R_OK:
        for j in range(p.n_legs):
            _carry(s, p, j)
        commit(s, slot)
        send_first(s, slot)
    elif reason != SILENT:
        cool(s, k, it.key, True)
        _bad(s, k, it, reason)


@njit
def _read_legs(s: Any, k: int, i: int, p: Any) -> int:
    """Collect the legs of intent i into the package; returns a reason."""
    b = s.blotter
    legs = legs_of(s)
    n = 0
    for j in range(i + 1, min(b.intents.count, N_INTENTS)):
        part = b.intents.intent[j]
        if part.kind != I_LEG or part.parent != i:
            continue
        at = _leg_of(s, k, part.leg)
        if at < 0 or n >= N_PACKAGE_LEGS or (part.side != BUY and part.side != SELL):
            return R_BAD_INTENT
        if not (part.ratio > 0.0 and part.ratio < BIG) or not _ticks_ok(part.price, legs[at]):
            return R_BAD_INTENT
        for m in range(n):
            if p.legs[m].leg == at:
                return R_BAD_INTENT
        clear_leg(p.legs[n], at, part.side, price_to_ticks(part.price, legs[at].tick, part.side))
        b.scratch_units[n] = part.ratio
        n += 1
    p.n_legs = n
    return R_OK if n >= 2 else R_BAD_INTENT


@njit
def _maker(s: Any, k: int, it: Any, p: Any) -> int:
    """Index in the package of the leg to post first, -1 for none, -2 for a leg that is not in the package."""
    if it.leg < 0:
        return 0 if s.blotter.policies[k].maker_first != 0 else -1
    at = _leg_of(s, k, it.leg)
    for j in range(p.n_legs):
        if p.legs[j].leg == at:
            return j
    return -2


@njit
def _plan(s: Any, p: Any, qty: float, reduce: int) -> int:
    """Planned lots of each leg, checked against status, minimum, short ban, settlement and budget; a reason.

    A package that only reduces is cut to what may be sold today, all legs in their ratio.
    """
    b = s.blotter
    legs = legs_of(s)
    if not (qty > 0.0 and qty < BIG):
        return R_BAD_INTENT
    for j in range(p.n_legs):
        a = p.legs[j]
        leg = legs[a.leg]
        if not tradable(leg, a.side):
            return R_NO_QUOTE if tradable_later(leg) else R_LEG_CLOSED
        unit = unit_qty(leg)
        if not (unit > 0.0):
            return R_NO_QUOTE
        ratio = b.scratch_units[j]
        b.scratch_units[j] = unit / ratio
        b.scratch_steps[j] = max(leg.lot_step, 1)
        if reduce != 0:
            here = position_of(s, p.strategy * s.n_legs + a.leg).lots
            if here * a.side >= 0:
                return SILENT
            most = abs(here)
            if a.side == SELL and locked_lots(leg, s.now_ns) != 0:
                most = min(most, free_to_sell(leg, s.now_ns))
                if most <= 0:
                    return R_UNSETTLED
            qty = min(qty, most * unit / ratio)
    p.units = common_lots(qty, b.scratch_units, b.scratch_steps, p.n_legs, b.scratch_lots)
    if p.units <= 0:
        return R_MIN_SIZE
    for j in range(p.n_legs):
        a = p.legs[j]
        leg = legs[a.leg]
        a.planned = b.scratch_lots[j]
        if order_lots(leg, a.planned, a.limit) != a.planned:
            return R_MIN_SIZE
        own = position_of(s, p.strategy * s.n_legs + a.leg)
        if leg.trading == NO_SHORT and a.side == SELL:
            if leg.position_lots - leg.open_sell_lots < a.planned:
                return R_SHORT_BAN
        if not settled(leg, a.side, a.planned, s.now_ns):
            return R_UNSETTLED
        after = own.lots + a.side * a.planned + (own.open_buy_lots if a.side == BUY else -own.open_sell_lots)
        if own.budget_lots > 0 and abs(after) > own.budget_lots and abs(after) > abs(own.lots):
            return R_BUDGET
    return R_OK


@njit
def tradable_later(leg: Any) -> bool:
    """Is the leg open and only without a quote?"""
    return tradable(leg, BUY) or tradable(leg, SELL) or leg.trading == 0


@njit
def _carry(s: Any, p: Any, j: int) -> None:
    """Start leg j with what stands unhedged there: same direction counts as filled, opposite as yet to be
    traded."""
    a = p.legs[j]
    at = find_residual(s, p.strategy, a.leg)
    if at < 0:
        return
    r = s.blotter.residuals[at]
    lots = r.lots * a.side
    if lots > a.planned:
        lots = a.planned
    rest = a.planned - lots
    if rest > 0 and order_lots(leg_of(s, a.leg), rest, a.limit) != rest:
        return
    a.filled = lots
    a.carried = lots
    r.lots -= lots * a.side
    report_residual(s, p.strategy, a.leg, -lots * a.side, p.key, blotter.RES_CARRIED)


# ---------------------------------------------------------------- the operator


@njit
def cancel_everything(s: Any, k: int) -> None:
    """Withdraw all quotes and give up all packages of strategy k, or of all (-1)."""
    withdraw_all(s, k)
    give_up(s, k, 0, True)


@njit
def flatten_everything(s: Any, k: int) -> None:
    """Cancel everything, then bring every position of strategy k (or all, -1) to zero with immediate orders.

    Prices are the far touch within the policy's unwind band. A leg that is closed or has no quote is left
    and its REFUSED row says so.
    """
    cancel_everything(s, k)
    legs = legs_of(s)
    for q in range(s.n_strategies):
        if k >= 0 and q != k:
            continue
        release(s, q)
        let_go(s, q)
        band_bp = s.blotter.policies[q].unwind_band_bp
        for i in range(s.n_legs):
            lots = position_of(s, q * s.n_legs + i).lots
            if lots == 0:
                continue
            side = SELL if lots > 0 else BUY
            leg = legs[i]
            if not tradable(leg, side):
                refuse(s, q, i, side, (0, abs(lots)), 0, R_LEG_CLOSED)
                continue
            touch = leg.ask_ticks if side == BUY else leg.bid_ticks
            price = touch + side * max(int(abs(touch) * band_bp * 1e-4), 1)
            want(s, q, ROLE_TARGET, i, i, side, price, (0, 0))
    review(s)
