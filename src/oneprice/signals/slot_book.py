"""What a strategy does with its slots, a bar or a tick at a time: take models, observe, decide, size.

A spread is looked at when all its legs are known at one moment; then its z-score, its monitors and what is wanted of
it (long, short, none) move by one step. Wanting is a level: as long as it differs from what is held, the strategy
asks again, and what is in flight is left alone. A leg belongs to one slot at a time.
"""

from __future__ import annotations

import math
from typing import Any

from oneprice.core.jit import njit
from oneprice.features import kalman_hedge
from oneprice.signals import capital as sizing
from oneprice.signals.drift import fan, watch
from oneprice.signals.slots import LOG, N_BOOK, N_SLOTS

ASK_STEPS = 20
STOPS = 2  # stops without a homecoming between them after which a relation is not believed any more


@njit
def flat(st: Any, legs: Any) -> bool:
    """No leg of the slot is held or being traded."""
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        if v.position_lots != 0 or v.open_lots != 0:
            return False
    return True


@njit
def in_flight(st: Any, legs: Any) -> bool:
    """An order of one of its legs is working."""
    n = 0
    for j in range(st.slot.n_legs):
        n += 1 if legs[st.slot.leg[j]].open_lots != 0 else 0
    return n > 0


@njit
def copy_slot(to: Any, new: Any) -> None:
    """Write one slot over another."""
    to.id, to.version, to.n_legs = new.id, new.version, new.n_legs
    for j in range(len(to.leg)):
        to.leg[j] = new.leg[j]
        to.weight[j] = new.weight[j]
    to.space, to.dynamic, to.pivot = new.space, new.dynamic, new.pivot
    to.centre, to.sigma, to.kappa, to.kappa_se = new.centre, new.sigma, new.kappa, new.kappa_se
    to.entry, to.exit, to.stop, to.hold_steps = new.entry, new.exit, new.stop, new.hold_steps
    to.step_ns, to.capital, to.rebalance = new.step_ns, new.capital, new.rebalance
    to.strength, to.liquidity = new.strength, new.liquidity
    to.q_beta, to.q_mu, to.beta_se, to.mature_ns = new.q_beta, new.q_mu, new.beta_se, new.mature_ns
    to.spread_se, to.beta_spread_cov = new.spread_se, new.beta_spread_cov


@njit
def adopt(st: Any, new: Any) -> None:
    """Begin with a slot afresh; what was earned with its id before is kept."""
    if st.slot.id != new.id:
        st.pnl, st.peak, st.entries, st.stops, st.rearm = 0.0, 0.0, 0, 0, 0
        for j in range(len(st.mark)):
            st.mark[j] = math.nan
    copy_slot(st.slot, new)
    st.hedge.n, st.hedge.known = 0, 0
    watch.clear(st.watch)
    fan.enter(st.fan, 0.0)
    st.z = math.nan
    st.side, st.steps, st.losses, st.broken, st.gone, st.asked = 0, 0, 0, 0, 0, 0
    st.owns = 0


@njit
def find(slots: Any, n: int, wanted: int) -> int:
    """Index of the slot with this id among the first n of a model, or -1."""
    for i in range(n):
        if slots[i].id == wanted:
            return i
    return -1


@njit
def take_model(m: Any, legs: Any) -> None:
    """Lay the model over the book: missing slots are gone, changed ones change when flat, new ones get a place.

    `m.waiting` counts what is not as the model says yet (still held, or without a place); call again until it is 0.
    """
    m.waiting = 0
    for k in range(N_BOOK):
        st = m.book[k]
        if st.slot.id == 0:
            continue
        at = find(m.model.slots, N_SLOTS, st.slot.id)
        idle = flat(st, legs) and st.side == 0
        st.gone = 1 if at < 0 else 0
        if at < 0 and idle:
            st.slot.id = 0
        elif at < 0:
            st.side = 0
            m.waiting += 1
        elif m.model.slots[at].version != st.slot.version:
            if idle:
                adopt(st, m.model.slots[at])
            else:
                m.waiting += 1
    for i in range(N_SLOTS):
        new = m.model.slots[i]
        if new.id == 0 or new.n_legs < 2 or _placed(m, new.id) or not _known(new, legs):
            continue
        free = _free_place(m)
        if free < 0:
            m.waiting += 1
        else:
            adopt(m.book[free], new)


@njit
def _placed(m: Any, wanted: int) -> bool:
    n = 0
    for k in range(N_BOOK):
        n += 1 if m.book[k].slot.id == wanted else 0
    return n > 0


@njit
def _free_place(m: Any) -> int:
    for k in range(N_BOOK):
        if m.book[k].slot.id == 0:
            return k
    return -1


@njit
def _known(slot: Any, legs: Any) -> bool:
    strange = 0
    for j in range(slot.n_legs):
        strange += 1 if slot.leg[j] < 0 or slot.leg[j] >= len(legs) else 0
    return strange == 0


# ---------------------------------------------------------------- seeing


@njit
def has_leg(st: Any, leg: int, legs: Any) -> bool:
    """Whether the engine's leg of an event is one of the slot's."""
    n = 0
    for j in range(st.slot.n_legs):
        n += 1 if legs[st.slot.leg[j]].leg == leg else 0
    return n > 0


@njit
def bars_complete(st: Any, legs: Any) -> bool:
    """Every leg has a bar of one end (`venue_ns`), and the slot has not been looked at since."""
    at_ns = legs[st.slot.leg[0]].venue_ns
    if st.seen_ns >= at_ns:
        return False
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        if v.venue_ns != at_ns or v.quote_ns <= 0:
            return False
    return True


@njit
def step_due(st: Any, now_ns: int) -> bool:
    """Whether a step of the slot has gone by since it was last looked at (on ticks)."""
    return now_ns >= st.seen_ns + max(st.slot.step_ns, 1)


@njit
def observe(m: Any, k: int, legs: Any, p: Any) -> None:
    """Take in the legs' prices of this moment: z, marks, hedge and monitors of slot k move by one step.

    A price that is missing, or not positive where logs are taken, leaves everything and makes z NaN.
    """
    st = m.book[k]
    slot = st.slot
    before = st.z
    st.z = math.nan
    x = 0.0
    for j in range(slot.n_legs):
        price = legs[slot.leg[j]].mid
        if not math.isfinite(price) or (slot.space == LOG and price <= 0.0):
            return
        x += slot.weight[j] * (math.log(price) if slot.space == LOG else price)
    earned = st.pnl
    _mark(st, legs)
    m.earned += st.pnl - earned
    sizing.observe(m.purse, p.wealth + m.earned)
    shock = math.nan
    phi = math.exp(-slot.kappa)
    noise = slot.sigma * math.sqrt(1.0 - phi * phi)
    if slot.dynamic != 0:
        shock = _follow(st, legs, (phi, noise))
        x = st.hedge.spread + slot.centre
    z = (x - slot.centre) / slot.sigma
    if slot.dynamic == 0:
        shock = (z - phi * before) / math.sqrt(1.0 - phi * phi)
    st.z = z
    if st.side != 0:
        st.steps += 1
        cv = slot.kappa_se / slot.kappa
        fan.step(st.fan, z, slot.kappa, cv, p.fan_width, p.fan_steps, 1)
    st.broken |= watch.step(st.watch, shock, p)


@njit
def _follow(st: Any, legs: Any, law: Any) -> float:
    """One step of the dynamic hedge; weight[1] becomes -beta. Returns the standardised forecast error."""
    slot = st.slot
    y = legs[slot.leg[0]].mid
    x = legs[slot.leg[1]].mid
    if slot.space == LOG:
        y = math.log(y)
        x = math.log(x)
    x -= slot.pivot
    h = st.hedge
    if h.n == 0:
        spread = y + slot.weight[1] * x - slot.centre
        kalman_hedge.start(h, y, x, -slot.weight[1], slot.beta_se, spread, slot.spread_se)
        h.beta_spread_cov = slot.beta_spread_cov
        return math.nan
    kalman_hedge.step(h, y, x, slot.q_beta, slot.q_mu, law[0], law[1])
    slot.weight[1] = -h.beta
    return h.innovation / math.sqrt(h.innovation_var) if h.innovation_var > 0.0 else math.nan


@njit
def _mark(st: Any, legs: Any) -> None:
    """Add what the slot's legs earned since they were last looked at, and remember their prices."""
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        if st.owns != 0 and math.isfinite(st.mark[j]):
            st.pnl += v.position * (v.mid - st.mark[j])
        st.mark[j] = v.mid
    st.peak = max(st.peak, st.pnl)


# ---------------------------------------------------------------- deciding


@njit
def edge_bp(st: Any, legs: Any) -> float:
    """What reverting from z to the exit earns, in basis points of the gross value of the legs."""
    gross = 0.0
    for j in range(st.slot.n_legs):
        w = abs(st.slot.weight[j])
        gross += w if st.slot.space == LOG else w * abs(legs[st.slot.leg[j]].mid)
    return (abs(st.z) - st.slot.exit) * st.slot.sigma / gross * 1e4


@njit
def round_trip_bp(st: Any, legs: Any, slip_bp: float) -> float:
    """Taker fees and slippage of opening and closing, in basis points of the gross value of the legs."""
    gross = 0.0
    paid = 0.0
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        w = abs(st.slot.weight[j])
        w *= 1.0 if st.slot.space == LOG else abs(v.mid)
        gross += w
        paid += 2.0 * w * (v.taker_fee_bp + slip_bp + 0.5e4 * (v.ask - v.bid) / abs(v.mid))
    return paid / gross


@njit
def decide(st: Any, legs: Any, p: Any) -> int:
    """Move what is wanted of the slot by what was observed; 1 when a monitor fired: a fit should look at it again.

    Out: at the exit, at the stop, after `hold_steps`, when the spread has left its fan, when a monitor says that the
    relation changed. After a stop the spread must have been at its centre before it is entered again; after a
    monitor, or STOPS stops in a row, a new version of the slot must come.
    """
    slot = st.slot
    z = st.z
    idle = flat(st, legs)
    if st.side != 0 and idle and st.steps > 0:  # refused, or not filled
        st.side = 0
    if st.side == 0 and idle:  # not before: the last step of a trade ends with its fill, not with the wish
        st.owns = 0
    stopped = False
    if st.side != 0:
        stopped = (slot.stop > 0.0 and -st.side * z >= slot.stop) or st.fan.alarm > 0.0
        late = slot.hold_steps > 0 and st.steps >= slot.hold_steps
        if stopped or late:
            st.stops += 1
            st.losses += 1
            st.rearm = 1
            if st.losses >= STOPS:
                st.broken |= watch.FAN if st.fan.alarm > 0.0 else watch.STOP
        home = st.side * z >= -slot.exit
        st.losses = 0 if home else st.losses
        if home or stopped or late or st.broken != 0 or st.gone != 0:
            st.side = 0
    elif idle:
        if st.rearm != 0 and abs(z) < max(0.5, slot.exit):
            st.rearm = 0
        beyond = slot.stop > 0.0 and abs(z) >= slot.stop
        ready = st.broken == 0 and st.gone == 0 and st.rearm == 0 and not beyond
        if ready and abs(z) >= slot.entry and edge_bp(st, legs) > p.edge * round_trip_bp(st, legs, p.slip_bp):
            st.side = 1 if z < 0.0 else -1
            st.steps = 0
            fan.enter(st.fan, z)
    if st.broken == 0 or st.gone != 0:
        return 0
    st.asked += 1  # again after a while: a request soon after another fit is not answered
    return 1 if st.asked % ASK_STEPS == 1 else 0


@njit
def enter(m: Any, k: int, legs: Any, p: Any) -> None:
    """Size the trade that slot k wants to begin; want it no more where another slot has a leg or nothing is left.

    `scale` is what a unit of weight is worth from now on: value (log) or units (level).
    """
    st = m.book[k]
    total = 0.0
    for j in range(st.slot.n_legs):
        w = abs(st.slot.weight[j])
        total += w if st.slot.space == LOG else w * abs(legs[st.slot.leg[j]].mid)
    value = gross_value(m, k, legs, total, round_trip_bp(st, legs, p.slip_bp), p) if legs_free(m, k, legs) else 0.0
    if value <= 0.0:
        st.side = 0
        return
    st.scale = value / total
    st.owns = 1
    st.entries += 1
    m.earned -= value * round_trip_bp(st, legs, p.slip_bp) * 1e-4


@njit
def shown_value(st: Any, legs: Any, total: float) -> float:
    """Gross value of a trade of `st.side` that takes all that the touch shows of its thinnest leg."""
    least = math.inf
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        w = st.side * st.slot.weight[j]
        share = abs(w) * (1.0 if st.slot.space == LOG else abs(v.mid)) / total
        qty = v.ask_qty if w > 0.0 else v.bid_qty
        least = min(least, qty * abs(v.mid) / share)
    return least


@njit
def gross_value(m: Any, k: int, legs: Any, total: float, cost_bp: float, p: Any) -> float:
    """Gross value of a trade of slot k: what its signal deserves of the surplus (`signals/capital.py`), at most its
    capital, its share of what its legs trade and, on ticks, of what their touches show. Without `wealth` the signal
    and drawdowns have no say.
    """
    slot = m.book[k].slot
    cap = slot.capital * slot.strength
    if slot.liquidity > 0.0:
        thick = 0.0
        weights = 0.0
        for j in range(slot.n_legs):
            thick = max(thick, abs(slot.weight[j]))
            weights += abs(slot.weight[j])
        cap = min(cap, p.participation * slot.liquidity * weights / thick)
    if slot.step_ns > 0:
        cap = min(cap, p.depth * shown_value(m.book[k], legs, total))
    if p.wealth <= 0.0:
        return cap
    sigma = slot.sigma / total
    steps = math.inf if slot.hold_steps == 0 else float(slot.hold_steps)
    z = abs(m.book[k].z)
    gain = sizing.net_gain(z, sigma, slot.kappa, steps, cost_bp * 1e-4)
    until = 1.0 / slot.kappa if slot.hold_steps == 0 else float(slot.hold_steps)
    se = sigma * z * until * math.exp(-slot.kappa * until) * slot.kappa_se  # d gain / d kappa times its error
    share = sizing.kelly(gain, sizing.gain_sd(sigma, slot.kappa, steps), se, p)
    return sizing.capital(share, sizing.surplus(m.purse.wealth, m.purse.peak, p.floor), cap)


@njit
def legs_free(m: Any, k: int, legs: Any) -> bool:
    """No other slot wants, holds or trades a leg of slot k."""
    slot = m.book[k].slot
    for j in range(slot.n_legs):
        v = legs[slot.leg[j]]
        if v.position_lots != 0 or v.open_lots != 0:
            return False
        for i in range(N_BOOK):
            other = m.book[i]
            if i == k or other.slot.id == 0 or other.side == 0:
                continue
            for n in range(other.slot.n_legs):
                if other.slot.leg[n] == slot.leg[j]:
                    return False
    return True


# ---------------------------------------------------------------- sizing


@njit
def want_lots(st: Any, legs: Any, j: int) -> int:
    """Signed lots of leg j that the wanted side asks for, to the nearest lot."""
    v = legs[st.slot.leg[j]]
    units = st.side * st.slot.weight[j] * st.scale
    if st.slot.space == LOG:
        units /= v.mid
    lots = units / v.lot_qty
    return math.floor(abs(lots) + 0.5) * (1 if lots > 0.0 else -1)


@njit
def plan(st: Any, legs: Any) -> int:
    """Write the lots to trade now into `st.lots`; returns how many legs trade (fewer than two: nothing is sent).

    From nothing to the wanted side (a leg below its minimum: nothing), from what is held to nothing, or, while the
    side stays, back to the ratio once a leg has drifted from it by more than `rebalance` of the gross value.
    """
    n = 0
    worst = 0.0
    gross = 0.0
    held = False
    for j in range(st.slot.n_legs):
        v = legs[st.slot.leg[j]]
        wanted = want_lots(st, legs, j) if st.side != 0 else 0
        if st.side != 0 and wanted == 0:
            return 0
        off = wanted - v.position_lots
        held = held or v.position_lots != 0
        worst = max(worst, abs(off) * v.lot_qty * abs(v.mid))
        gross += abs(wanted) * v.lot_qty * abs(v.mid)
        st.lots[j] = off
        n += 1 if off != 0 else 0
    if held and st.side != 0 and (st.slot.rebalance <= 0.0 or worst <= st.slot.rebalance * gross):
        return 0
    return n


@njit
def first_leg(st: Any) -> int:
    """The first leg of the slot that trades now."""
    for j in range(st.slot.n_legs):
        if st.lots[j] != 0.0:
            return j
    return 0
