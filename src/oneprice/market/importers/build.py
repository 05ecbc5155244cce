"""Messages become EVENT rows: text pairs parsed in bulk, one message one atomic batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import DataError
from oneprice.core.instruments import Number
from oneprice.market.importers.decimals import parse_decimals, unit_of, why
from oneprice.market.tape import join_events

_FLUSH_TEXTS = 1 << 21
FIELDS = {R.TRADE: (("p", "q"),), R.TOP: (("b", "B"), ("a", "A"))}
LONGEST = (1 << 63) - 1


@dataclass
class Messages:
    """Collects messages as (price text, quantity text) pairs and turns them into EVENT rows.

    A BOOK message has `n_bids` then `n_asks` pairs, a TOP two (bid, ask), a TRADE one. Rows keep the order of
    the calls; LAST is set on the final row of each message.
    """

    where: str
    tick: Number
    qty_unit: Number
    texts: list[str] = field(default_factory=list)  # price, quantity, price, quantity...
    heads: list[tuple[int, ...]] = field(default_factory=list)  # see _HEAD
    done: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tick = unit_of(self.tick, f"{self.where}: tick")
        self._lot = unit_of(self.qty_unit, f"{self.where}: lot")

    def add(
        self, kind: int, stamps: tuple[int, int, int], counts: tuple[int, int], line: int, **more: int
    ) -> None:
        """One message whose pairs were just appended to `texts`.

        stamps: receive_ns, exchange_ns or 0, seq. counts: pairs of bids and of asks (TOP 1 and 1, TRADE 1 and
        0). more: flag_bits of the first row, spread over all rows for SNAPSHOT; side and ident of a TRADE.
        """
        head = (
            kind,
            *stamps,
            *counts,
            line,
            more.get("flag_bits", 0),
            more.get("side", 0),
            more.get("ident", 0),
        )
        self.heads.append(head)
        if len(self.texts) > _FLUSH_TEXTS:
            self.flush()

    def flush(self) -> None:
        """Parse what is pending; raises DataError with line and field of the first bad number."""
        if not self.heads:
            return
        head = np.array(self.heads, np.int64)
        pairs = head[:, 4] + head[:, 5]
        price = self._parse(self.texts[0::2], self._tick, self.tick, head, pairs, 0)
        qty = self._parse(self.texts[1::2], self._lot, self.qty_unit, head, pairs, 1)
        self._check(price, qty, head, pairs)
        self.done.append(_rows(price, qty, head, pairs))
        self.texts.clear()
        self.heads.clear()

    def events(self) -> np.ndarray:
        """All rows so far."""
        self.flush()
        return join_events(self.done)

    def _parse(
        self,
        texts: list[str],
        unit: tuple[int, int],
        of: Number,
        head: np.ndarray,
        pairs: np.ndarray,
        which: int,
    ) -> np.ndarray:
        values, bad, code = parse_decimals(texts, unit)
        if bad >= 0:
            line, name = _place(bad, head, pairs, which)
            raise DataError(
                f"{self.where}, line {line}, field {name}: {why(code, of)}, got {texts[bad][:40]!r}"
            )
        return values

    def _check(self, price: np.ndarray, qty: np.ndarray, head: np.ndarray, pairs: np.ndarray) -> None:
        """Prices above zero and no negative quantity; an absent side of a TOP is 0 at quantity 0."""
        kind = np.repeat(head[:, 0], pairs)
        low = (price <= 0) & ~((kind == R.TOP) & (price == 0) & (qty == 0))
        few = (qty < 0) | ((qty == 0) & (kind == R.TRADE))
        for bad, which, values, wanted in (
            (low, 0, price, "a price above 0"),
            (few, 1, qty, "a quantity of 0 or more (a trade: above 0)"),
        ):
            at = np.flatnonzero(bad)
            if len(at):
                line, name = _place(int(at[0]), head, pairs, which)
                raise DataError(
                    f"{self.where}, line {line}, field {name}: expected {wanted}, got {int(values[at[0]])}"
                    f" units"
                )


def _place(pair: int, head: np.ndarray, pairs: np.ndarray, which: int) -> tuple[int, str]:
    """(line, field name) of a pair."""
    ends = np.cumsum(pairs)
    m = int(np.searchsorted(ends, pair, side="right"))
    kind, k = int(head[m, 0]), pair - int(ends[m] - pairs[m])
    if kind == R.BOOK:
        n_bids = int(head[m, 4])
        name = f"bids[{k}][{which}]" if k < n_bids else f"asks[{k - n_bids}][{which}]"
    else:
        name = FIELDS[kind][k][which]
    return int(head[m, 6]), name


def _rows(price: np.ndarray, qty: np.ndarray, head: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    kind = head[:, 0]
    n_rows = np.where(kind == R.TOP, 1, pairs)
    of = np.repeat(np.arange(len(head)), n_rows)  # message of each row
    first_row = np.cumsum(n_rows) - n_rows
    first_pair = np.cumsum(pairs) - pairs
    k = np.arange(len(of)) - first_row[of]  # number of the row in its message
    at = first_pair[of] + k
    rows = np.zeros(len(of), R.EVENT)
    rows["receive_ns"], rows["exchange_ns"], rows["seq"] = head[of, 1], head[of, 2], head[of, 3]
    rows["kind"] = kind[of]
    rows["price"], rows["qty"] = price[at], qty[at]
    book, trade = kind[of] == R.BOOK, kind[of] == R.TRADE
    rows["side"] = np.where(book, np.where(k < head[of, 4], R.BUY, R.SELL), head[of, 8])
    rows["trade_id"][trade] = head[of, 9][trade]
    top = np.flatnonzero(kind[of] == R.TOP)
    if len(top):
        bid, ask = at[top], at[top] + 1
        for name, i in (("bid", bid), ("ask", ask)):
            rows[name][top] = np.where((price[i] == 0) & (qty[i] == 0), R.NO_PRICE, price[i])
            rows[f"{name}_qty"][top] = qty[i]
    bits = head[of, 7]
    rows["flag_bits"] = np.where(k == 0, bits, bits & R.SNAPSHOT)
    rows["flag_bits"][(first_row + n_rows - 1)[n_rows > 0]] |= R.LAST
    return rows


def estimate_exchange(events: np.ndarray, known_seq: np.ndarray, known_ns: np.ndarray) -> int:
    """Fill rows without an exchange time (0) in place, flag them ESTIMATED and return how many there were.

    An update with number x that a stamped batch (known_seq[k-1], known_seq[k]] covers happened between the
    stamps of the two: known_ns[k-1] < t <= known_ns[k]. Inside these bounds the estimate is its receive time
    plus the (exchange - receive) of the last stamped row before it. `known_seq` ascends. Estimates
    never fall as the number rises. Without any stamp in the file the receive time itself is taken.
    """
    missing = np.flatnonzero(events["exchange_ns"] == 0)
    if len(missing) == 0:
        return 0
    stamped = np.flatnonzero(events["exchange_ns"] != 0)
    receive = events["receive_ns"]
    guess = receive[missing].copy()
    if len(stamped):
        before = np.maximum(np.searchsorted(stamped, missing) - 1, 0)
        guess += (events["exchange_ns"] - receive)[stamped[before]]
    if len(known_seq):
        k = np.searchsorted(known_seq, events["seq"][missing], side="left")
        low = np.where(k > 0, known_ns[np.maximum(k - 1, 0)], -LONGEST)
        high = np.where(k < len(known_ns), known_ns[np.minimum(k, len(known_ns) - 1)], LONGEST)
        guess = np.clip(guess, low, np.maximum(low, high))
    by_number = np.argsort(events["seq"][missing], kind="stable")
    guess[by_number] = np.minimum.accumulate(guess[by_number[::-1]])[::-1]  # down: never nearer than possible
    events["exchange_ns"][missing] = guess
    events["flag_bits"][missing] |= R.ESTIMATED
    return len(missing)


def mark_backward(events: np.ndarray) -> int:
    """Flag rows whose exchange time is earlier than that of the row before; returns how many."""
    back = np.flatnonzero(events["exchange_ns"][1:] < events["exchange_ns"][:-1]) + 1
    events["flag_bits"][back] |= R.BACKWARD
    return len(back)


def refuse_unsorted(receive_ns: int, before_ns: int, where: str) -> None:
    """Receive time may stand still but never go back."""
    if receive_ns < before_ns:
        raise DataError(
            f"{where}, field receive_ns: expected at least {before_ns} (the line before), got {receive_ns};"
            " lines are shuffled or two captures were joined: sort or split the file"
        )


def note(notes: dict[str, int] | None, name: str, n: Any = 1) -> None:
    """Count something the importer met and dealt with."""
    if notes is not None and n:
        notes[name] = notes.get(name, 0) + int(n)
