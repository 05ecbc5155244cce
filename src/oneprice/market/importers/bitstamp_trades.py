"""Which order each published trade of a Bitstamp log hit: the losses before it, claimed once each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from oneprice.market.importers.build import note
from oneprice.market.orders.records import EXECUTE, REDUCE

MATCH_MS = 2_000  # how long before a trade its losses are looked for
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
    ident: int
    side: int
    price: int
    lots: int
    claimed: bool = False


def losses_of(events: Events, k: int, left: dict[int, int]) -> _Loss | None:
    """What the order of event k lost by it, if anything; `left` is kept up."""
    action, ident, now = int(events.action[k]), int(events.ident[k]), int(events.left[k])
    if action == CREATED:
        left.setdefault(ident, now)
        return None
    before = left.get(ident, -1)
    if action == DELETED:
        left.pop(ident, None)
        if now > 0:
            return None  # it was cancelled
    else:
        left[ident] = now
    lost = before - now if before >= 0 else -1
    if lost == 0 or lost < -1:
        return None
    return _Loss(k, int(events.receive_ms[k]), ident, int(events.side[k]), int(events.price[k]), lost)


def label_trades(events: Events, m: np.ndarray, notes: dict[str, int] | None) -> np.ndarray:
    """Give each trade its maker and its taker among the losses before it, in place.

    A maker's message becomes EXECUTE with the trade's id, a taker's REDUCE. Returns the mask of trades that are told
    by their maker's message now; the others stay prints, with their taker's side where one was seen. Counts in
    `notes`: trades, trades_matched, maker_before_the_log, only_taker_seen, nobody_seen, executions_without_trade.
    """
    told = np.zeros(len(m), bool)
    if not (events.action == TRADED).any():
        return told
    left: dict[int, int] = {}
    recent: deque[_Loss] = deque()
    unsold = 0
    for k in range(len(events)):
        now_ms = int(events.receive_ms[k])
        while recent and recent[0].ms < now_ms - MATCH_MS:
            gone = recent.popleft()
            unsold += not gone.claimed and gone.lots > 0
        if events.action[k] != TRADED:
            lost = losses_of(events, k, left)
            if lost is not None:
                recent.append(lost)
            continue
        note(notes, "trades")
        maker, taker = _pair(recent, int(events.price[k]), int(events.left[k]))
        for side in (maker, taker):
            if side is not None:
                side.claimed = True
        if taker is not None and taker.lots > 0:
            m["kind"][taker.k], m["qty"][taker.k] = REDUCE, taker.lots
        if maker is not None:
            told[k] = True
            note(notes, "trades_matched" if maker.lots > 0 else "maker_before_the_log")
            m["kind"][maker.k], m["qty"][maker.k] = EXECUTE, events.left[k]
            m["price"][maker.k], m["other"][maker.k] = events.price[k], events.ident[k]
        else:
            note(notes, "only_taker_seen" if taker is not None else "nobody_seen")
            m["side"][k] = taker.side if taker is not None else 0
            m["other"][k] = events.ident[k]
    note(notes, "executions_without_trade", unsold + sum(not r.claimed and r.lots > 0 for r in recent))
    return told


def _pair(recent: deque[_Loss], price: int, lots: int) -> tuple[_Loss | None, _Loss | None]:
    """(maker, taker) of a trade: the latest losses of its lots, one a side; the maker's price is the trade's.

    Where both stood at the trade's price the older order is the maker. A loss of unknown size (an order from before
    the recording that ended with nothing left) counts only at the trade's own price.
    """
    found: list[_Loss] = []
    for r in reversed(recent):
        if r.claimed or not (r.lots == lots or (r.lots < 0 and r.price == price)):
            continue
        if all(r.side != other.side for other in found):
            found.append(r)
        if len(found) == 2:
            break
    makers = sorted((r for r in found if r.price == price), key=lambda r: r.ident)
    maker = makers[0] if makers else None
    taker = next((r for r in found if r is not maker), None)
    return maker, taker
