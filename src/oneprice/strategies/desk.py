"""What quoting strategies share: what they saw of the market, why there may be no quote, and what last was asked for.

- `look`: volatility, order flow and the lead of a second leg, folded from the touches a strategy is shown;
- `reason`: why there is no quote now (a touch one-sided, crossed or stale, the horizon passed, volatility not known
  yet, a burst of volatility or one-sided flow a moment ago);
- `centre` and `half`: the quotes' middle and distance by `signals.quoting`;
- `rest`: state both quotes, but move one only where that is worth its place in the queue.

Nothing here sends a price that is not finite: what is not finite is withdrawn.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.core.records import BUY, FILL, GAP, LINK, MODEL, SELL, TIMER, record
from oneprice.execution.intents import fresh, quote, timer
from oneprice.features import ewma, microprice_fitted, ofi, realised
from oneprice.signals.quoting import glft, rules, skew, stoikov

WATCH = 9  # key of the timer that notices silence
RESTATE_NS = 100_000_000  # what rests is stated again so often
FAST = 0.05  # memory of the fast volatility over that of the slow
LONGEST_S = 60.0  # a silence longer than this is no return
OK, NO_TOUCH, STALE, PAST_HORIZON, NO_VOLATILITY, TOXIC, NO_QUOTE = 0, 1, 2, 3, 4, 5, 6

SEEN = record(
    [
        ("slow", realised.STATE),
        ("fast", realised.STATE),
        ("flow", ofi.STATE),
        ("gap", ewma.STATE),  # log of the second leg's mid over ours
        ("bid", "f8"),  # the touch at the last look
        ("ask", "f8"),
        ("sigma", "f8"),  # quote currency a root second
        ("burst", "f8"),  # fast volatility over the slow one before it
        ("lead", "f8"),  # how far the second leg stands above its usual distance, quote currency
    ]
)
GAP_STATE = record([("level", "f8"), ("at_ns", "i8"), ("n", "i8")])
SAID = record(
    [
        ("start_ns", "i8"),
        ("until_ns", "i8"),  # withdrawn until then
        ("watch_ns", "i8"),
        ("at_ns", "i8"),  # when all was stated last
        ("bid", "f8"),  # NaN or quantity 0: withdrawn
        ("ask", "f8"),
        ("bid_qty", "f8"),
        ("ask_qty", "f8"),
        ("why", "i8"),  # why there was no quote at the last call
        ("n_pauses", "i8"),
        ("margin", "f8"),  # (1 / gamma) ln(1 + gamma / k), kept until a model changes it
        ("risk", "f8"),  # glft: skew an order held and a unit of sigma
        ("fee_bp", "f8"),  # the maker fee of the two shares, NaN before the first
        ("cap_share", "f8"),  # of the fair price: the highest bid that pays
        ("floor_share", "f8"),  # and the lowest ask
    ]
)


@njit
def prepare(event: Any, p: Any, m: Any) -> None:
    """At the first call the parameters stand in for a model; then, and with each model, what only they decide."""
    said = m.said
    first = said.start_ns == 0
    if first:
        said.start_ns = event.receive_ns
        said.fee_bp = math.nan
        if m.model.ready == 0.0:
            m.model.sigma = p.sigma
            m.model.arrivals_per_s = p.arrivals_per_s
            m.model.k_decay = p.k_decay
            m.model.mu = p.mu
            m.model.gain_ofi = p.gain_ofi
            m.model.gain_lead = p.gain_lead
            m.model.gain_micro = p.gain_micro
            m.model.skew_cap = p.skew_cap
    if first or event.kind == MODEL:
        said.margin = glft.glft_margin(p.gamma, m.model.k_decay, p.qty)
        said.risk = p.qty * glft.glft_risk(p.gamma, p.gamma, m.model.k_decay, m.model.arrivals_per_s, p.qty)


@njit
def look(event: Any, legs: Any, p: Any, m: Any) -> None:
    """Fold the touch of leg 0, and the mid of leg 1 where there is one, into what was seen.

    `p`: tau_s of volatility, flow_s of order flow, lead_alpha. A touch with a side missing or crossed changes nothing.
    """
    v, seen, now_ns = legs[0], m.seen, event.receive_ns
    if len(legs) > 1 and v.mid > 0.0 and legs[1].mid > 0.0:
        gap = math.log(legs[1].mid / v.mid)
        seen.lead = v.mid * (gap - seen.gap.level) if seen.gap.n > 0 else 0.0
        ewma.step(seen.gap, gap, p.lead_alpha)
    if not (v.bid < v.ask):
        return
    if m.model.gain_ofi != 0.0 or p.toxic_flow > 0.0:
        if event.flag_bits & GAP != 0:
            ofi.forget(seen.flow)
        ofi.step(seen.flow, now_ns, v.bid, v.ask, v.bid_qty, v.ask_qty, p.flow_s)
    if v.bid != seen.bid or v.ask != seen.ask:
        seen.bid = v.bid
        seen.ask = v.ask
        if p.toxic_burst > 0.0:  # against what was usual before this step, which would count on both sides
            fast = realised.step(seen.fast, now_ns, v.mid, FAST * p.tau_s, LONGEST_S) * v.mid
            seen.burst = fast / seen.sigma if seen.sigma > 0.0 and seen.slow.sum_s >= p.warm_s else 0.0
        seen.sigma = realised.step(seen.slow, now_ns, v.mid, p.tau_s, LONGEST_S) * v.mid


@njit
def sigma_of(p: Any, m: Any) -> float:
    """Volatility in force, quote currency a root second: the model's, else as seen; NaN before `warm_s` and at 0."""
    if m.model.sigma != 0.0:
        return m.model.sigma
    return m.seen.sigma if m.seen.slow.sum_s >= p.warm_s and m.seen.sigma > 0.0 else math.nan


@njit
def reason(event: Any, v: Any, p: Any, m: Any) -> int:
    """OK, or why there is nothing to quote around now."""
    said, now_ns = m.said, event.receive_ns
    if not (v.bid < v.ask) or not (v.bid_qty > 0.0) or not (v.ask_qty > 0.0):
        return NO_TOUCH
    if not fresh(event, v, v):
        return STALE
    if p.horizon_s > 0.0 and now_ns >= said.start_ns + int(p.horizon_s * 1e9):
        return PAST_HORIZON
    if not (sigma_of(p, m) > 0.0):
        return NO_VOLATILITY
    flow = m.seen.flow
    hot = p.toxic_burst > 0.0 and m.seen.burst > p.toxic_burst
    if p.toxic_flow > 0.0 and abs(flow.flow) > p.toxic_flow * flow.depth:
        hot = True
    if hot:
        said.n_pauses += 1 if now_ns >= said.until_ns else 0
        said.until_ns = now_ns + int(p.pause_s * 1e9)
    return TOXIC if now_ns < said.until_ns else OK


@njit
def shift(v: Any, m: Any) -> float:
    """How far signals move the fair price from the mid, quote currency, by the model's gains and its cap."""
    model = m.model
    if model.gain_ofi == 0.0 and model.gain_lead == 0.0 and model.gain_micro == 0.0:
        return 0.0
    micro = 0.0
    if model.gain_micro != 0.0:
        if model.ready != 0.0:
            micro = microprice_fitted.price(model.micro, v.bid, v.ask, v.bid_qty, v.ask_qty, v.tick) - v.mid
        else:  # not fitted: the mid weighted by the queues
            micro = 0.5 * (v.ask - v.bid) * (v.bid_qty - v.ask_qty) / (v.bid_qty + v.ask_qty)
    return skew.signal_shift(model, m.seen.flow.flow, m.seen.lead, micro)


@njit
def quotes(now_ns: int, v: Any, p: Any, m: Any) -> tuple[float, float, float]:
    """(fair price, centre of the quotes, half spread), quote currency; the position is counted in orders of `qty`.

    With a horizon Avellaneda and Stoikov's, else the stationary ones of Gueant, Lehalle and Fernandez-Tapia.
    `symmetric`: the same half spread, centred on the mid.
    """
    sigma = sigma_of(p, m)
    if p.horizon_s > 0.0:
        left_s = p.horizon_s - (now_ns - m.said.start_ns) * 1e-9
        lean = stoikov.risk(p.gamma * p.qty, sigma, left_s)
    else:
        lean = sigma * m.said.risk
    half = m.said.margin + 0.5 * lean
    if p.symmetric != 0:
        return v.mid, v.mid, half
    fair = v.mid + shift(v, m)
    held = v.position / p.qty
    if m.model.mu != 0.0:
        held -= stoikov.inventory_target(m.model.mu, p.gamma * p.qty, sigma, p.limit / p.qty)
    return fair, fair - held * lean, half


@njit
def watch(event: Any, orders: Any, v: Any, said: Any) -> None:
    """Keep a timer for the moment at which the touch of `v` would be stale."""
    now_ns = event.receive_ns
    if said.watch_ns <= now_ns:
        said.watch_ns = max(v.quote_ns, now_ns - v.stale_ns) + max(v.stale_ns, 1_000_000) + 1_000_000
        timer(orders, WATCH, said.watch_ns)


@njit
def owed(event: Any, said: Any) -> bool:
    """Must the wish be stated whatever it is? A fill ends it; a model, a timer, a broken link; or it is long ago.

    Other answers leave it: what waited for them, or failed, is sent without being asked for again.
    """
    kind = event.kind
    if kind in (FILL, MODEL, TIMER, LINK):
        return True
    return event.receive_ns >= said.at_ns + RESTATE_NS


@njit
def withdraw(event: Any, orders: Any, said: Any, why: int) -> None:
    """No quotes, for this reason."""
    said.why = why
    if said.bid_qty != 0.0 or said.ask_qty != 0.0 or owed(event, said):
        said.bid_qty = 0.0
        said.ask_qty = 0.0
        said.at_ns = event.receive_ns
        quote(orders, 1, 0, BUY, 0.0, 0.0)
        quote(orders, 2, 0, SELL, 0.0, 0.0)


@njit
def rest(event: Any, orders: Any, v: Any, p: Any, m: Any, found: Any) -> None:
    """State both quotes of leg 0 around `found` = (fair, centre, half spread).

    Prices keep the least edge after the maker fee, stay passive and lie on ticks; a price that is off by less than
    `requote_ticks` stays where it is, and so does its place in the queue, while it keeps that edge.
    """
    fair, centre, half = found
    said = m.said
    if v.maker_fee_bp != said.fee_bp:
        said.fee_bp = v.maker_fee_bp
        said.cap_share = rules.cap_share(said.fee_bp, p.edge_bp)
        said.floor_share = rules.floor_share(said.fee_bp, p.edge_bp)
    cap, floor = fair * said.cap_share, fair * said.floor_share
    bid = rules.bid_price_near(centre - half, cap, v.ask, v.tick, said.bid)
    ask = rules.ask_price_near(centre + half, floor, v.bid, v.tick, said.ask)
    if not (math.isfinite(bid) and math.isfinite(ask)):
        withdraw(event, orders, said, NO_QUOTE)
        return
    said.why = OK
    least = (p.requote_ticks - 0.5) * v.tick
    if said.bid_qty > 0.0 and abs(bid - said.bid) < least and said.bid < v.ask and said.bid <= cap:
        bid = said.bid
    if said.ask_qty > 0.0 and abs(ask - said.ask) < least and said.ask > v.bid and said.ask >= floor:
        ask = said.ask
    bid_qty = rules.bid_qty_near(v.position, p.qty, p.limit, v.lot_qty, said.bid_qty)
    ask_qty = rules.ask_qty_near(v.position, p.qty, p.limit, v.lot_qty, said.ask_qty)
    again = owed(event, said)
    if again or bid_qty != said.bid_qty or (bid_qty > 0.0 and bid != said.bid):
        quote(orders, 1, 0, BUY, bid, bid_qty)
        said.bid = bid
        said.bid_qty = bid_qty
    if again or ask_qty != said.ask_qty or (ask_qty > 0.0 and ask != said.ask):
        quote(orders, 2, 0, SELL, ask, ask_qty)
        said.ask = ask
        said.ask_qty = ask_qty
    if again:
        said.at_ns = event.receive_ns


@njit
def hedged_quotes(a: Any, b: Any, p: Any, lean: float) -> tuple[float, float, float, float]:
    """(bid, ask, bid qty, ask qty) on `a` that earn `edge_bp` after both fees when hedged at the touch of `b`.

    A quantity is 0 where the other touch shows too little, or the limit leaves no room. What is not hedged yet may be
    traded back, so the position counts as it would be then where that leaves less room.
    """
    cost = (b.taker_fee_bp + p.edge_bp) * 1e-4
    fee = a.maker_fee_bp * 1e-4
    bid = rules.bid_price(b.bid * (1.0 - cost) / (1.0 + fee) - lean, math.inf, a.ask, a.tick)
    ask = rules.ask_price(b.ask * (1.0 + cost) / (1.0 - fee) - lean, -math.inf, a.bid, a.tick)
    bid_qty = rules.bid_qty(max(a.position, -b.position), min(p.qty, p.share * b.bid_qty), p.limit, a.lot_qty)
    ask_qty = rules.ask_qty(min(a.position, -b.position), min(p.qty, p.share * b.ask_qty), p.limit, a.lot_qty)
    return (
        bid,
        ask,
        bid_qty if bid_qty >= a.min_qty and math.isfinite(bid) else 0.0,
        ask_qty if ask_qty >= a.min_qty and math.isfinite(ask) else 0.0,
    )


@njit
def worst_hedge(price: float, side: int, a: Any, b: Any) -> float:
    """The limit of a hedge on `b` (1 buys, -1 sells) of a fill at `price` on `a`: there it earns and costs nothing."""
    fee = (a.maker_fee_bp + b.taker_fee_bp) * 1e-4
    return price * (1.0 - fee) if side > 0 else price * (1.0 + fee)


@njit
def expected(now_ns: int, a: Any, b: Any, gap: Any, tau_s: float) -> float:
    """Where the mid of `b` should be by that of `a` at their usual distance, quote currency.

    The usual distance is the mean log gap before this look, with exponential weights in time; then this look joins it.
    """
    x = math.log(b.mid / a.mid)
    if gap.n == 0:
        gap.level = x
    fair = a.mid * math.exp(gap.level)
    if gap.n > 0 and now_ns > gap.at_ns:
        gap.level += (x - gap.level) * -math.expm1((gap.at_ns - now_ns) * 1e-9 / tau_s)
    gap.at_ns = now_ns
    gap.n += 1
    return fair
