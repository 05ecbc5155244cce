"""What a venue says when asked after a broken link, as events: missed fills, then how each order stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from oneprice.core.records import ACK, CANCEL_REJECT, CANCELED, EVENT, FILL, REJECT
from oneprice.engine.state import Engine
from oneprice.execution.blotter import UNKNOWN
from oneprice.execution.venue import VenueOrder
from oneprice.execution.venue_state import MAKER, X_UNKNOWN
from oneprice.modes.reconcile import Venue, VenueAnswer, live_orders


@dataclass(frozen=True)
class Answers:
    """Events to feed, and what no answer could settle."""

    events: np.ndarray  # EVENT[n], receive_ns left 0
    n_fills: int
    n_never_arrived: int
    unresolved: list[str] = field(default_factory=list)  # in words


def answers_of(engine: Engine, venue: Venue, events: np.ndarray) -> Answers:
    """Ask about every leg.

    `events` are all private events so far, EVENT[n]: an execution among them was seen. Only ambiguous orders
    are judged; an order sent since the link came back is none of them.
    """
    fills = events[events["kind"] == FILL]
    seen = set(zip(fills["client_id"].tolist(), fills["seq"].tolist(), strict=True))
    missed: list[np.ndarray] = []
    standing: list[np.ndarray] = []
    unresolved: list[str] = []
    n_never = 0
    for i, symbol in enumerate(engine.scales.symbols):
        live = live_orders(engine, i)
        answer = venue.query(i, [int(c) for c in live["client_id"]])
        new = _missed(i, answer, seen)
        before: list[np.ndarray] = []
        after: list[np.ndarray] = []
        for o in live[live["state"] == UNKNOWN]:
            told = answer.orders.get(int(o["client_id"]))
            lots = int(new["qty"][new["client_id"] == o["client_id"]].sum())
            if told is not None and told.filled == int(o["filled"]) + lots:
                _stands(i, o, told, before, after)
            elif told is not None:
                unresolved.append(
                    f"{symbol} order {told.client_id}: the venue has {told.filled} lots filled and"
                    f" executions for {int(o['filled']) + lots}"
                )
            elif o["acked"] or o["filled"] or lots:
                unresolved.append(f"{symbol} order {int(o['client_id'])}: it was working, now it is unknown")
            else:
                n_never += 1
                after.append(_event(i, REJECT, o, reason=X_UNKNOWN))
        ours = set(live["client_id"].tolist())
        unresolved += [
            f"{symbol} order {cid}: working at the venue, not here"
            for cid, told in answer.orders.items()
            if told.state == "working" and cid not in ours
        ]
        missed += [*before, new]
        standing += after
    parts = [*missed, *standing, np.zeros(0, EVENT)]
    out = np.concatenate(parts, dtype=EVENT)
    return Answers(out, int((out["kind"] == FILL).sum()), n_never, unresolved)


def _missed(leg: int, answer: VenueAnswer, seen: set[tuple[int, int]]) -> np.ndarray:
    """FILL events of executions that were not seen, oldest first."""
    log = answer.executions
    keys = zip(log["client_id"].tolist(), log["exec_id"].tolist(), strict=True)
    new = log[np.array([key not in seen for key in keys], bool)]
    out = np.zeros(len(new), EVENT)
    for name, source in (
        ("exchange_ns", "venue_ns"), ("seq", "exec_id"), ("price", "price"), ("qty", "lots"),
        ("client_id", "client_id"), ("fee", "fee"), ("side", "side"),
    ):  # fmt: skip
        out[name] = new[source]
    out["kind"], out["leg"] = FILL, leg
    out["flag_bits"] = np.where(new["maker"] != 0, MAKER, 0)
    return out


def _stands(
    leg: int, o: np.void, told: VenueOrder, before: list[np.ndarray], after: list[np.ndarray]
) -> None:
    """How an order stands: an amendment that took effect goes before its fills, its end behind them."""
    changed = told.price != int(o["price"]) or told.lots != int(o["lots"])
    if told.state == "rejected":
        after.append(_event(leg, REJECT, o, reason=told.reason))
        return
    if changed:
        before.append(_event(leg, ACK, o, price=told.price, qty=told.lots))
    if told.state == "canceled":
        after.append(_event(leg, CANCELED, o, qty=told.lots - told.filled, reason=told.reason))
    elif told.state == "working":
        if o["cancel_sent"]:
            after.append(_event(leg, CANCEL_REJECT, o))  # it never arrived, or it would not be working
        after.append(_event(leg, ACK, o, price=told.price, qty=told.lots))


def _event(leg: int, kind: int, o: np.void, **words: int) -> np.ndarray:
    out = np.zeros(1, EVENT)
    out["kind"], out["leg"], out["client_id"], out["side"] = kind, leg, o["client_id"], o["side"]
    for name, value in words.items():
        out[name] = value
    return out
