"""The pre-trade gate: every order passes here in the compiled path, and a refusal says what was seen and the
limit.

Order of the checks: state of the engine, the leg and its quote, the order itself, positions, portfolio,
rates. Working orders count as filled. What lowers a position is never refused for being too much of it.
Values are in report units at carried rates; `s.gate_value` and `s.gate_limit` hold what was observed and what
it broke.
"""

from __future__ import annotations

from typing import Any

from oneprice.core.address import lowest_bit
from oneprice.core.arena import leg_of, position_of, strategy_row
from oneprice.core.jit import njit
from oneprice.core.money import V, exposure, mul_div
from oneprice.core.records import (
    ACTIVE,
    AMEND,
    CANCEL,
    DEGRADED,
    HALTED,
    INVERSE,
    N_ORDERS,
    NO_PRICE,
    NO_SHORT,
    OPEN,
    R_BAD_INTENT,
    R_BUDGET,
    R_GROSS,
    R_HALTED,
    R_LEG_CLOSED,
    R_MESSAGE_CAP,
    R_MIN_SIZE,
    R_NET,
    R_NO_QUOTE,
    R_NOTIONAL,
    R_OK,
    R_ORDER_RATE,
    R_POSITION,
    R_PRICE_BAND,
    R_QUANTITY,
    R_REDUCING,
    R_RESIDUAL,
    R_SELF_TRADE,
    R_SHORT_BAN,
    R_STALE_QUOTE,
    R_UNSETTLED,
    R_VENUE,
    REDUCE_ONLY,
)
from oneprice.execution.blotter import FILLED, IN_FLIGHT, PLANNED, ROLE_HEDGE, ROLE_OPEN, ROLE_UNWIND
from oneprice.execution.orders import count_open
from oneprice.execution.settlement import free_to_sell, settled
from oneprice.risk.accounts import to_report
from oneprice.risk.attribution import mark2_of
from oneprice.risk.records import GATE as GATE
from oneprice.risk.records import NO_LIMIT, leg_limit_of, venue_limit_of

DAY_NS = 86_400_000_000_000
E9 = 1_000_000_000


@njit
def check(s: Any, o: Any, action: int) -> int:
    """R_OK, or why order `o` must not be sent (a code of `core.records.REASONS`).

    `action`: NEW, AMEND (judged at `o.new_price`, `o.new_lots`) or CANCEL, which always passes and only
    counts as a message. `o.open_lots` is what the leg's and the position's open lots already hold of this
    order.
    """
    if action == CANCEL:
        _count_message(s, o.leg)
        return R_OK
    price = o.price
    lots = o.lots
    if action == AMEND:
        price = o.new_price
        lots = o.new_lots
    reason = _judge(s, o, price, lots)
    if reason == R_OK:
        _approve(s, o, price)
    else:
        s.gate.refused[reason] += 1
    return reason


@njit
def check_others(s: Any, at: int) -> int:
    """R_OK, or why a later opening leg of the package of request `at` would be refused: then none is sent.

    Each is judged as if those before it were at work and had taken their tokens; the counts are put back.
    """
    b = s.blotter
    first = b.orders[b.requests[at].order]
    if first.role != ROLE_OPEN or first.package < 0:
        return R_OK
    count_open(s, first, first.lots)
    _take_tokens(s, first.leg, 1)
    taken = 1
    reason = R_OK
    for j in range(at + 1, b.n_requests):
        o = b.orders[b.requests[j].order]
        if o.package != first.package or o.role != ROLE_OPEN or o.state != PLANNED:
            continue
        if reason == R_OK:
            reason = _judge(s, o, o.price, o.lots)
            count_open(s, o, o.lots)
            _take_tokens(s, o.leg, 1)
            taken += 1
    for j in range(at, b.n_requests):
        o = b.orders[b.requests[j].order]
        if o.package == first.package and o.role == ROLE_OPEN and o.state == PLANNED:
            count_open(s, o, 0)
            if taken > 0:  # the first `taken` of them, in this order
                _take_tokens(s, o.leg, -1)
                taken -= 1
    if reason != R_OK:
        s.gate.refused[reason] += 1
    return reason


@njit
def refuse(s: Any, reason: int, value: int, limit: int) -> int:
    """Note what was observed and the limit it broke."""
    s.gate_value = value
    s.gate_limit = limit
    return reason


@njit
def _judge(s: Any, o: Any, price: int, lots: int) -> int:
    remaining = lots - o.filled
    if remaining <= 0 or price == NO_PRICE:
        return refuse(s, R_BAD_INTENT, remaining, 1)
    reason = _state(s, o, remaining - o.open_lots)
    if reason == R_OK:
        reason = _quote(s, o, price)
    if reason == R_OK:
        reason = _order(s, o, price, lots, remaining)
    if reason == R_OK:
        reason = _position(s, o, remaining - o.open_lots)
    if reason == R_OK:
        reason = _portfolio(s, o, remaining - o.open_lots)
    if reason == R_OK:
        reason = _rates(s, o.leg)
    return reason


@njit
def reduces(s: Any, o: Any, add: int) -> bool:
    """Whether the strategy's position only shrinks if its working orders on that side and `add` more fill."""
    own = position_of(s, o.strategy * s.n_legs + o.leg)
    if o.side > 0:
        return own.open_buy_lots + add <= -own.lots
    return own.open_sell_lots + add <= own.lots


@njit
def _state(s: Any, o: Any, add: int) -> int:
    """Halts and the trading status of the leg."""
    halt = s.halt
    own = strategy_row(s, o.strategy).halt
    if own > halt:
        halt = own
    trading = leg_of(s, o.leg).trading
    if halt >= HALTED:
        return refuse(s, R_HALTED, halt, HALTED)
    if trading != OPEN and trading != NO_SHORT and trading != DEGRADED:
        return refuse(s, R_LEG_CLOSED, trading, OPEN)
    if halt != ACTIVE or trading == DEGRADED or (o.tif & REDUCE_ONLY) != 0:
        if not reduces(s, o, add):
            if halt == ACTIVE and trading == DEGRADED:
                return refuse(s, R_LEG_CLOSED, trading, OPEN)
            return refuse(s, R_REDUCING, position_of(s, o.strategy * s.n_legs + o.leg).lots, 0)
    return R_OK


@njit
def _quote(s: Any, o: Any, price: int) -> int:
    """A quote, young enough, and a limit price near it that crosses none of our own orders."""
    leg = leg_of(s, o.leg)
    limits = leg_limit_of(s, o.leg)
    m2 = leg.mid2_ticks
    if m2 == NO_PRICE:
        return refuse(s, R_NO_QUOTE, 0, 0)
    if leg.contract == INVERSE and (m2 <= 0 or price <= 0):
        return refuse(s, R_BAD_INTENT, price, 1)
    age = s.now_ns - leg.quote_ns
    if age > limits.stale_ns:
        return refuse(s, R_STALE_QUOTE, age, limits.stale_ns)
    if limits.price_band_bp != NO_LIMIT:
        gap = abs(2 * price - m2) * 10_000
        if gap > limits.price_band_bp * abs(m2):
            return refuse(s, R_PRICE_BAND, -(-gap // abs(m2)) if m2 != 0 else NO_LIMIT, limits.price_band_bp)
    return _self_trade(s, o, price)


@njit
def _self_trade(s: Any, o: Any, price: int) -> int:
    """Refuse what could trade with our own working order; bounds make a scan rare, a scan tightens them."""
    leg = leg_of(s, o.leg)
    limits = leg_limit_of(s, o.leg)
    if o.side > 0:
        if leg.open_sell_lots == 0:
            limits.own_ask_floor = NO_LIMIT
        if price < limits.own_ask_floor:
            return R_OK
        limits.own_ask_floor = best_own(s, o.leg, -1)
        if price >= limits.own_ask_floor:
            return refuse(s, R_SELF_TRADE, price, limits.own_ask_floor)
        return R_OK
    if leg.open_buy_lots == 0:
        limits.own_bid_cap = NO_PRICE
    if price > limits.own_bid_cap:
        return R_OK
    limits.own_bid_cap = best_own(s, o.leg, 1)
    if price <= limits.own_bid_cap:
        return refuse(s, R_SELF_TRADE, price, limits.own_bid_cap)
    return R_OK


@njit
def best_own(s: Any, leg: int, side: int) -> int:
    """The most aggressive price of our orders at work on a side; NO_PRICE (buys) or NO_LIMIT if none."""
    best = NO_PRICE if side > 0 else NO_LIMIT
    orders = s.blotter.orders
    for w in range(N_ORDERS >> 6):
        bits = s.blotter.live_bits[w]
        while bits != 0:
            x = orders[(w << 6) + lowest_bit(bits)]
            bits &= bits - 1
            if x.state >= IN_FLIGHT and x.state < FILLED and x.leg == leg and x.side == side:
                price = x.price
                if x.new_lots > 0:  # an amendment in flight: either price may be the one that stands
                    price = max(price, x.new_price) if side > 0 else min(price, x.new_price)
                best = max(best, price) if side > 0 else min(best, price)
    return best


@njit
def _order(s: Any, o: Any, price: int, lots: int, remaining: int) -> int:
    """The order's own size and value."""
    leg = leg_of(s, o.leg)
    limits = leg_limit_of(s, o.leg)
    if remaining < leg.min_lots or (leg.lot_step > 1 and lots % leg.lot_step != 0):
        return refuse(s, R_MIN_SIZE, remaining, leg.min_lots)
    if lots > limits.order_lots:
        return refuse(s, R_QUANTITY, lots, limits.order_lots)
    value = abs(V(leg, remaining, 2 * price))
    if value < leg.min_notional:
        return refuse(s, R_MIN_SIZE, value, leg.min_notional)
    if limits.order_value != NO_LIMIT:
        value = to_report(s, leg.currency, value)
        if value > limits.order_value:
            return refuse(s, R_NOTIONAL, value, limits.order_value)
    return R_OK


@njit
def _position(s: Any, o: Any, add: int) -> int:
    """What would be held if everything on that side filled: leg, short ban, budget of the strategy."""
    leg = leg_of(s, o.leg)
    limits = leg_limit_of(s, o.leg)
    own = position_of(s, o.strategy * s.n_legs + o.leg)
    if o.side > 0:
        held = leg.position_lots + leg.open_buy_lots + add
        mine = own.lots + own.open_buy_lots + add
    else:
        held = leg.open_sell_lots + add - leg.position_lots
        mine = own.open_sell_lots + add - own.lots
        if held > 0 and (limits.no_short != 0 or leg.trading == NO_SHORT):
            return refuse(s, R_SHORT_BAN, -held, 0)
        if not settled(leg, o.side, add, s.now_ns):
            return refuse(s, R_UNSETTLED, add, free_to_sell(leg, s.now_ns))
    if held > limits.position_lots:
        return refuse(s, R_POSITION, held, limits.position_lots)
    if mine > own.budget_lots and mine > 0:
        return refuse(s, R_BUDGET, mine, own.budget_lots)
    if limits.position_value != NO_LIMIT and held > 0:
        value = abs(to_report(s, leg.currency, V(leg, held, leg.mid2_ticks)))
        if value > limits.position_value:
            return refuse(s, R_POSITION, value, limits.position_value)
    return R_OK


@njit
def _portfolio(s: Any, o: Any, add: int) -> int:
    """Residual, net, gross and the venue's gross; what lowers one of them passes it."""
    gate = s.gate
    if s.blotter.n_residuals > 0 and measure_residual(s) > gate.residual_limit:
        if o.role != ROLE_HEDGE and o.role != ROLE_UNWIND and not reduces(s, o, add):
            return refuse(s, R_RESIDUAL, gate.residual_age_value, gate.residual_limit)
    venue = leg_of(s, o.leg).venue
    cap = venue_limit_of(s, venue).gross_limit
    if gate.net_limit == NO_LIMIT and gate.gross_limit == NO_LIMIT and cap == NO_LIMIT:
        return R_OK
    net, gross, at_venue = others(s, o.leg, venue)
    after, grown = leg_values(s, o.leg, add, 0) if o.side > 0 else leg_values(s, o.leg, 0, add)
    if abs(net + after) <= gate.net_limit and gross + grown <= gate.gross_limit and at_venue + grown <= cap:
        return R_OK
    mine, held = leg_values(s, o.leg, 0, 0)
    if gate.net_limit != NO_LIMIT:
        if abs(net + after) > gate.net_limit and abs(net + after) > abs(net + mine):
            return refuse(s, R_NET, net + after, gate.net_limit)
    if grown <= held:
        return R_OK
    if gate.gross_limit != NO_LIMIT and gross + grown > gate.gross_limit:
        return refuse(s, R_GROSS, gross + grown, gate.gross_limit)
    if cap != NO_LIMIT and at_venue + grown > cap:
        return refuse(s, R_VENUE, at_venue + grown, cap)
    return R_OK


@njit
def measure_residual(s: Any) -> int:
    """Sum over the residual ledger of value at the mid x age, in report units x seconds; kept in `s.gate`."""
    total = 0
    for j in range(s.blotter.n_residuals):
        r = s.blotter.residuals[j]
        if r.lots == 0:
            continue
        leg = leg_of(s, r.leg)
        m2 = mark2_of(s, r.leg)
        if m2 != NO_PRICE:
            value = to_report(s, leg.currency, abs(V(leg, r.lots, m2)))
            total += mul_div(value, max(s.now_ns - r.since_ns, 0), E9)
    s.gate.residual_age_value = total
    return total


@njit
def leg_values(s: Any, i: int, buys: int, sells: int) -> tuple[int, int]:
    """(signed value, value of the larger side) of leg i, report units: working orders and so many lots more filled."""
    leg = leg_of(s, i)
    m2 = mark2_of(s, i)
    if m2 == NO_PRICE:
        return 0, 0
    up = leg.position_lots + leg.open_buy_lots + buys
    down = leg.open_sell_lots + sells
    most = max(max(up, down - leg.position_lots), 0)
    net = to_report(s, leg.currency, exposure(leg, up - down, m2))
    return net, to_report(s, leg.currency, abs(V(leg, most, m2)))


@njit
def others(s: Any, but: int, venue: int) -> tuple[int, int, int]:
    """(net, gross, gross of a venue) over all legs but one in report units, working orders counted as filled.

    One pass, and one look at a leg where we hold and work nothing: most of many legs cost next to nothing.
    """
    net = gross = at_venue = 0
    for i in range(s.n_legs):
        leg = leg_of(s, i)
        if i == but or leg.position_lots | leg.open_buy_lots | leg.open_sell_lots == 0:
            continue
        one, larger = leg_values(s, i, 0, 0)
        net += one
        gross += larger
        if leg.venue == venue:
            at_venue += larger
    return net, gross, at_venue


@njit
def _rates(s: Any, i: int) -> int:
    """Token buckets of leg and venue in event time, and the venue's messages a day."""
    leg = leg_limit_of(s, i)
    venue = venue_limit_of(s, leg_of(s, i).venue)
    if not _has_token(leg, s.now_ns):
        return refuse(s, R_ORDER_RATE, leg.burst + 1, leg.burst)
    if not _has_token(venue, s.now_ns):
        return refuse(s, R_ORDER_RATE, venue.burst + 1, venue.burst)
    _new_day(venue, s.now_ns)
    if venue.messages >= venue.message_cap:
        return refuse(s, R_MESSAGE_CAP, venue.messages, venue.message_cap)
    return R_OK


@njit
def _has_token(bucket: Any, now_ns: int) -> bool:
    """Refill a bucket for the time gone by; whether a whole token is in it."""
    rate = bucket.rate_per_s
    if rate == NO_LIMIT:
        return True
    full = bucket.burst * E9
    gone = now_ns - bucket.tokens_ns
    bucket.tokens_ns = now_ns
    missing = full - bucket.tokens_e9
    if rate > 0 and gone > 0 and missing > 0:
        if (gone | rate) >> 31 == 0:  # the product fits: no division
            bucket.tokens_e9 = min(bucket.tokens_e9 + gone * rate, full)
        else:
            bucket.tokens_e9 = full if gone > missing // rate else bucket.tokens_e9 + gone * rate
    return bucket.tokens_e9 >= E9


@njit
def _new_day(venue: Any, now_ns: int) -> None:
    day = now_ns // DAY_NS
    if day != venue.day:
        venue.day = day
        venue.messages = 0


@njit
def _count_message(s: Any, i: int) -> None:
    venue = venue_limit_of(s, leg_of(s, i).venue)
    _new_day(venue, s.now_ns)
    venue.messages += 1


@njit
def _take_tokens(s: Any, i: int, n: int) -> None:
    """Take (n = 1) or give back (n = -1) the tokens and the message of one order on leg i."""
    leg = leg_limit_of(s, i)
    venue = venue_limit_of(s, leg_of(s, i).venue)
    if leg.rate_per_s != NO_LIMIT:
        leg.tokens_e9 -= n * E9
    if venue.rate_per_s != NO_LIMIT:
        venue.tokens_e9 -= n * E9
    _new_day(venue, s.now_ns)
    venue.messages += n


@njit
def _approve(s: Any, o: Any, price: int) -> None:
    """Take the tokens, count the message, widen the bound of our own prices."""
    i = o.leg
    leg = leg_limit_of(s, i)
    _take_tokens(s, i, 1)
    if o.side > 0:
        leg.own_bid_cap = max(leg.own_bid_cap, price)
    else:
        leg.own_ask_floor = min(leg.own_ask_floor, price)
    s.gate.n_approved += 1
