"""Who was hit and who came: each published trade of a Bitstamp log claims the losses around it; where no trade is
published, two losses that are one trade's are paired.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from oneprice.market.importers.build import note
from oneprice.market.orders.records import EXECUTE, REDUCE

BEFORE_MS = 2_000  # how long before a trade its losses are looked for
AFTER_MS = 50  # and how long after it: the feed tells some of them a few ms late
APART_MS = 250  # how far apart two losses of one trade are told (35 ms on the days we know)
ROUNDED = 1  # lots by which two losses of one trade may differ in a file without trades: its volumes were rounded
CREATED, CHANGED, DELETED, TRADED = 0, 1, 2, 3


@dataclass
class Events:
    """A file's events as columns; `left` is what is left of the order, of a trade its lots."""

    line: np.ndarray
    receive_ms: np.ndarray
    exchange_ms: np.ndarray  # 0: not told
    ident: np.ndarray  # order id; of a trade its id
    price: np.ndarray  # ticks
    left: np.ndarray  # lots
    action: np.ndarray  # CREATED, CHANGED, DELETED, TRADED
    side: np.ndarray

    def __len__(self) -> int:
        return len(self.line)

    def where(self, keep: np.ndarray) -> Events:
        """The events of a mask."""
        return Events(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


@dataclass
class _Loss:
    """An order lost lots at event k; -1: how many is not known, its beginning was not recorded."""

    k: int
    ms: int
    joined: int  # event at which it came to this price, -1: before the recording
    side: int
    price: int
    lots: int
    claimed: bool = False


@dataclass
class _Trade:
    """A published trade and the losses claimed for it, at most one a side."""

    k: int
    ms: int
    price: int
    lots: int
    found: list[_Loss] = field(default_factory=list)

    def claim(self, r: _Loss) -> None:
        """Take a loss if it may be of this trade; one of unknown size only at the trade's own price."""
        fits = r.lots == self.lots or (r.lots < 0 and r.price == self.price)
        if fits and not r.claimed and len(self.found) < 2 and all(r.side != other.side for other in self.found):
            r.claimed = True
            self.found.append(r)


@dataclass
class _Known:
    """What is left of an order, where it stands, and since which event."""

    left: int
    price: int
    joined: int


def loss_of(events: Events, k: int, known: dict[int, _Known]) -> _Loss | None:
    """What the order of event k lost by it, if anything; `known` is kept up."""
    action, ident, now = int(events.action[k]), int(events.ident[k]), int(events.left[k])
    price = int(events.price[k])
    if action == CREATED:
        known.setdefault(ident, _Known(now, price, k))
        return None
    before = known.pop(ident, None) if action == DELETED else known.get(ident)
    lost = before.left - now if before is not None else -1
    joined = before.joined if before is not None else -1
    if action == CHANGED:
        moved = before is not None and before.price != price
        known[ident] = _Known(now, price, k if moved else joined)
        if moved:
            return None  # what it lost it lost by moving
    elif now > 0:
        return None  # it was cancelled
    if lost == 0 or lost < -1 or (before is not None and lost < 0):
        return None
    return _Loss(k, int(events.receive_ms[k]), joined, int(events.side[k]), price, lost)


def label_trades(events: Events, m: np.ndarray, notes: dict[str, int] | None) -> np.ndarray:
    """Give each trade its maker and its taker among the losses around it, in place.

    A maker's message becomes EXECUTE with the trade's id, a taker's REDUCE. Returns the mask of trades that are told
    by their maker's message now; the others stay prints, with their taker's side where one was seen. Counts in
    `notes`: trades, trades_matched, maker_before_the_log, only_taker_seen, nobody_seen, executions_without_trade.
    """
    told = np.zeros(len(m), bool)
    if not (events.action == TRADED).any():
        pair_losses(events, m, notes)
        return told
    known: dict[int, _Known] = {}
    recent: deque[_Loss] = deque()
    waiting: deque[_Trade] = deque()
    unsold = 0
    for k in range(len(events)):
        now_ms = int(events.receive_ms[k])
        while waiting and waiting[0].ms < now_ms - AFTER_MS:
            _settle(waiting.popleft(), events, m, told, notes)
        while recent and recent[0].ms < now_ms - BEFORE_MS:
            gone = recent.popleft()
            unsold += not gone.claimed and gone.lots > 0
        if events.action[k] == TRADED:
            trade = _Trade(k, now_ms, int(events.price[k]), int(events.left[k]))
            for r in reversed(recent):
                trade.claim(r)
            waiting.append(trade)
            continue
        lost = loss_of(events, k, known)
        if lost is not None:
            for trade in waiting:
                trade.claim(lost)
            recent.append(lost)
    for trade in waiting:
        _settle(trade, events, m, told, notes)
    note(notes, "executions_without_trade", unsold + sum(not r.claimed and r.lots > 0 for r in recent))
    return told


def _settle(trade: _Trade, events: Events, m: np.ndarray, told: np.ndarray, notes: dict[str, int] | None) -> None:
    """Who of those that lost was the maker: at the trade's price, and of two the one that came there first."""
    note(notes, "trades")
    makers = sorted((r for r in trade.found if r.price == trade.price), key=lambda r: r.joined)
    maker = makers[0] if makers else None
    taker = next((r for r in trade.found if r is not maker), None)
    if taker is not None and taker.lots > 0:
        m["kind"][taker.k], m["qty"][taker.k] = REDUCE, taker.lots
    if maker is None:
        note(notes, "only_taker_seen" if taker is not None else "nobody_seen")
        m["side"][trade.k] = taker.side if taker is not None else 0
        m["other"][trade.k] = events.ident[trade.k]
        return
    told[trade.k] = True
    note(notes, "trades_matched" if maker.joined >= 0 else "maker_before_the_log")
    m["kind"][maker.k], m["qty"][maker.k] = EXECUTE, trade.lots
    m["price"][maker.k], m["other"][maker.k] = trade.price, events.ident[trade.k]


def pair_losses(events: Events, m: np.ndarray, notes: dict[str, int] | None) -> None:
    """A file without trades: two losses of opposite sides and equal lots, prices crossing, are maker and taker.

    The one that came to its price first is the maker: its message becomes EXECUTE, the other's REDUCE, in place.
    Without this a taker whose maker's loss was told first would stand in the cleared book for a moment, and its loss
    be a second trade. A loss with no other half stays LEFT: a trade if the order rests. An order older than the file
    lost what its taker did. Counts in `notes`: losses_paired, maker_before_the_log.
    """
    known: dict[int, _Known] = {}
    recent: deque[_Loss] = deque()
    for k in range(len(events)):
        lost = loss_of(events, k, known)
        if lost is None:
            continue
        while recent and recent[0].ms < lost.ms - APART_MS:
            recent.popleft()
        other = _other_half(lost, recent)
        recent.append(lost)
        if other is None:
            continue
        lost.claimed = other.claimed = True
        maker, taker = sorted((lost, other), key=lambda r: r.joined)
        note(notes, "losses_paired" if maker.joined >= 0 else "maker_before_the_log")
        lots = maker.lots if maker.lots > 0 else taker.lots
        m["kind"][maker.k], m["qty"][maker.k] = EXECUTE, lots
        m["kind"][taker.k], m["qty"][taker.k] = REDUCE, taker.lots


def _other_half(lost: _Loss, recent: deque[_Loss]) -> _Loss | None:
    """The nearest loss before it that may be of the same trade; one of unknown size only if none of its size is."""
    unknown = None
    for r in reversed(recent):
        buy, sell = (lost, r) if lost.side > r.side else (r, lost)
        met = r.k > lost.joined and buy.price >= sell.price  # both were there, at prices that cross
        if r.claimed or r.side == lost.side or not met:
            continue
        if lost.lots > 0 and r.lots > 0:
            if abs(r.lots - lost.lots) <= ROUNDED:
                return r
        elif unknown is None and max(lost.lots, r.lots) > 0:
            unknown = r
    return unknown
