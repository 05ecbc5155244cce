"""Raw Binance captures (spot, USD-M and COIN-M futures) to a tape.

A line is `local_ns json`, gzip or plain: websocket messages depthUpdate, bookTicker and trade as the combined
stream sends them, and the REST depth snapshot `{"lastUpdateId": ...}`. Rules:

- A diff takes effect when a snapshot exists: diffs that came before the snapshot line are held, those with
  `u > lastUpdateId` follow it in order, stamped with the receive time of the snapshot (no one could have used
  them earlier), the others are superseded. The same happens again at a later snapshot.
- A hole in the numbers (`U != u + 1` on spot, `pu != u` on futures) flags GAP on the first row after it.
- exchange_ns is the matching time T, or the sending time E where the message has no T; without either it is
  estimated (`build.estimate_exchange`) and flagged ESTIMATED.
- seq is the update id; 0 for a trade, whose id is `trade_id`. A trade's side is that of the aggressor.
- Prices and quantities are exact: text to integer, refused when no whole multiple of the tick or lot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from oneprice.core import records as R
from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Fees, Instrument
from oneprice.market.header import Header
from oneprice.market.importers.build import Messages, estimate_exchange, mark_backward, note, refuse_unsorted
from oneprice.market.importers.lines import Progress, read_lines
from oneprice.market.quality import mark_crossed
from oneprice.market.tape import Tape, make_tape

HELD_MESSAGES = 16_384
LATEST_NS = 9_000_000_000_000_000_000
_Id = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_Ms = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
_Levels = list[tuple[str, str]]


class _Data(msgspec.Struct, gc=False):
    e: str = ""
    E: _Ms = 0
    T: _Ms = 0
    s: str = ""
    U: _Id = 0
    u: _Id = 0
    pu: _Id | None = None
    b: str | _Levels = ""
    a: str | _Levels = ""
    B: str = ""
    A: str = ""
    p: str = ""
    q: str = ""
    t: _Id = 0
    m: bool = False
    X: str = "MARKET"


class _Line(msgspec.Struct, gc=False):
    stream: str = ""
    data: _Data | None = None
    lastUpdateId: _Id | None = None
    E: _Ms = 0
    T: _Ms = 0
    bids: _Levels = []
    asks: _Levels = []


@dataclass
class _Diff:
    receive_ns: int
    line: int
    data: _Data


@dataclass
class _State:
    """Where the importer stands in one file."""

    out: Messages
    notes: dict[str, int] | None
    snapshot_id: int = -1
    held: deque[_Diff] = field(default_factory=lambda: deque(maxlen=HELD_MESSAGES))
    last_u: int = -1  # of the diffs as they came
    applied_u: int = -1
    gap: bool = False
    last_trade: int = -1
    symbol: str = ""
    known: list[tuple[int, int]] = field(default_factory=list)  # (u, exchange_ns) of stamped diffs


def import_binance(
    path: str | Path,
    instrument: Instrument,
    *,
    progress: Progress | None = None,
    notes: dict[str, int] | None = None,
) -> Tape:
    """Read one raw capture file of one symbol.

    Parameters
    ----------
    path : the capture, `local_ns json` lines, gzip or plain.
    instrument : tick, lot, contract; see `binance_instrument`. `book_log2=0` takes top of book and trades
        only.
    progress : called as (name, bytes done, bytes) every few thousand lines.
    notes : counts of what was met (held, superseded, gaps, estimated, backward, duplicates, skipped) are
        added here.

    Raises
    ------
    DataError
        Truncated or damaged file, malformed line, number off the tick or lot grid, receive time going back,
        diffs without any snapshot, another symbol in the file; the text says line and field.
    """
    path = Path(path)
    qty_unit = instrument.lot if instrument.contract == "linear" else "1"
    state = _State(Messages(str(path), instrument.tick, qty_unit), notes)
    decode = msgspec.json.Decoder(_Line).decode
    before = -1
    for number, raw in read_lines(path, progress):
        head, _, text = raw.partition(b" ")
        if not head.isdigit() or len(head) > 19 or int(head) > LATEST_NS:
            raise DataError(f"{path}, line {number}: expected `local_ns json`, got {raw[:40]!r}")
        receive_ns = int(head)
        refuse_unsorted(receive_ns, before, f"{path}, line {number}")
        before = receive_ns
        try:
            line = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}, line {number}: not a Binance message ({error})") from error
        _message(state, line, receive_ns, number, instrument.book_log2 > 0)
    if state.snapshot_id < 0 and state.held:
        raise DataError(
            f"{path}: {len(state.held)} depth updates but no snapshot line (`lastUpdateId`), so there is no"
            " book to apply them to; add the snapshot, or set book_log2=0 on the instrument to take top of"
            " book and trades only"
        )
    events = _finish(state, instrument, str(path))
    return make_tape(instrument, events, header=capture_header(path))


def _message(state: _State, line: _Line, receive_ns: int, number: int, with_book: bool) -> None:
    where = f"{state.out.where}, line {number}"
    if line.lastUpdateId is not None:
        if with_book:
            _snapshot(state, line, receive_ns, number)
        return
    d = line.data
    if d is None:
        note(state.notes, "skipped")
        return
    if d.s:
        if state.symbol and d.s != state.symbol:
            raise DataError(
                f"{where}, field s: expected symbol {state.symbol!r} as before, got {d.s!r}; split the file"
                f" by symbol"
            )
        state.symbol = d.s
    if d.e == "depthUpdate":
        if with_book:
            _diff(state, _Diff(receive_ns, number, d))
    elif d.e == "trade":
        _trade(state, d, receive_ns, number)
    elif (d.e == "bookTicker" or not d.e) and isinstance(d.b, str) and isinstance(d.a, str) and d.b and d.a:
        state.out.texts += (d.b, d.B, d.a, d.A)
        state.out.add(R.TOP, (receive_ns, (d.T or d.E) * 1_000_000, d.u), (1, 1), number)
    elif d.e == "bookTicker":
        raise DataError(
            f"{where}, fields b, a: expected a price each, got {str(d.b)[:40]!r} and {str(d.a)[:40]!r}"
        )
    else:
        note(state.notes, "skipped")


def _trade(state: _State, d: _Data, receive_ns: int, number: int) -> None:
    if d.X != "MARKET":  # liquidation transfers and the like: no order met another
        note(state.notes, "trades_off_market")
        return
    if d.t <= state.last_trade:
        note(state.notes, "duplicates")
        return
    state.last_trade = d.t
    state.out.texts += (d.p, d.q)
    stamps = (receive_ns, (d.T or d.E) * 1_000_000, 0)
    state.out.add(R.TRADE, stamps, (1, 0), number, side=R.SELL if d.m else R.BUY, ident=d.t)


def _diff(state: _State, diff: _Diff) -> None:
    d = diff.data
    if isinstance(d.b, str) or isinstance(d.a, str) or d.u < d.U:
        raise DataError(
            f"{state.out.where}, line {diff.line}, fields U, u, b, a: expected U <= u and two lists of levels"
        )
    if d.u <= state.last_u:
        note(state.notes, "duplicates")
        return
    state.last_u = d.u
    if d.T or d.E:
        state.known.append((d.u, (d.T or d.E) * 1_000_000))
    state.held.append(diff)
    if state.snapshot_id < 0:
        note(state.notes, "held")
    elif d.u > state.snapshot_id:
        _apply(state, diff, diff.receive_ns)
    else:
        note(state.notes, "superseded")


def _snapshot(state: _State, line: _Line, receive_ns: int, number: int) -> None:
    assert line.lastUpdateId is not None
    state.snapshot_id = state.applied_u = line.lastUpdateId
    state.gap = False
    if line.bids or line.asks:
        state.out.texts.extend(chain.from_iterable(chain(line.bids, line.asks)))
        stamps = (receive_ns, (line.T or line.E) * 1_000_000, line.lastUpdateId)
        counts = (len(line.bids), len(line.asks))
        state.out.add(R.BOOK, stamps, counts, number, flag_bits=R.SNAPSHOT | R.CLEAR)
    for diff in state.held:
        if diff.data.u > state.snapshot_id:
            _apply(state, diff, receive_ns)
            note(state.notes, "applied_after_snapshot")
        else:
            note(state.notes, "superseded")


def _apply(state: _State, diff: _Diff, receive_ns: int) -> None:
    d = diff.data
    first = state.applied_u == state.snapshot_id
    if d.pu is not None:
        broken = d.pu > state.applied_u if first else d.pu != state.applied_u
    else:
        broken = state.applied_u + 1 < d.U if first else state.applied_u + 1 != d.U
    if broken:
        state.gap = True
        note(state.notes, "gaps")
    state.applied_u = d.u
    if not d.b and not d.a:
        return  # nothing changed; a gap is marked on the next row
    state.out.texts.extend(chain.from_iterable(chain(d.b, d.a)))
    stamps = (receive_ns, (d.T or d.E) * 1_000_000, d.u)
    state.out.add(R.BOOK, stamps, (len(d.b), len(d.a)), diff.line, flag_bits=R.GAP if state.gap else 0)
    state.gap = False


def _finish(state: _State, instrument: Instrument, where: str) -> np.ndarray:
    events = state.out.events()
    if len(events) == 0:
        raise DataError(
            f"{where}: no depth, top-of-book or trade message in the file; expected a Binance capture"
        )
    known = np.array(state.known, np.int64).reshape(-1, 2)
    note(state.notes, "estimated", estimate_exchange(events, known[:, 0], known[:, 1]))
    note(state.notes, "backward", mark_backward(events))
    note(state.notes, "crossed", mark_crossed(events, instrument.book_log2))
    return events


# ---------------------------------------------------------------- instruments of the captures
_FAMILIES = {"spot": "binance", "usdm": "binance_usdm", "cm": "binance_cm"}
# (tick, lot or contract value, lots a step of our orders, min notional in settlement currency), August 2024.
# Spot lots are a tenth of the venue's step: orders older than its last change still rest at finer sizes.
_KNOWN = {
    ("spot", "BTCUSDT"): ("0.01", "0.000001", 10, "5"),
    ("spot", "ETHUSDT"): ("0.01", "0.00001", 10, "5"),
    ("usdm", "BTCUSDT"): ("0.10", "0.001", 1, "100"),
    ("usdm", "ETHUSDT"): ("0.01", "0.001", 1, "20"),
    ("cm", "BTCUSD_PERP"): ("0.1", "100", 1, "0"),
    ("cm", "ETHUSD_PERP"): ("0.01", "10", 1, "0"),
}


def binance_instrument(family: str, symbol: str, *, fees: Fees, book_log2: int = 15) -> Instrument:
    """The instrument of a capture: family spot, usdm or cm and the symbol as Binance writes it.

    A book window of 2^15 ticks holds over 99 % of the updates of the six captures; far levels go to the hash.
    """
    key = (family, symbol.upper())
    if key not in _KNOWN:
        known = ", ".join(f"{f}:{s}" for f, s in sorted(_KNOWN))
        raise ConfigError(
            f"no built-in Binance instrument {family}:{symbol}: expected one of {known}; else pass your own"
            f" Instrument"
        )
    tick, lot, step, min_notional = _KNOWN[key]
    return Instrument(
        symbol=f"{_FAMILIES[family]}:{key[1]}",
        venue=_FAMILIES[family],
        underlying=key[1][:3],
        quote="USD" if family == "cm" else "USDT",
        contract="inverse" if family == "cm" else "linear",
        tick=tick,
        lot=lot,
        min_lots=step,
        lot_step=step,
        min_notional=min_notional,
        fees=fees,
        book_log2=book_log2,
    )


def instrument_of_file(path: str | Path, *, fees: Fees, book_log2: int = 15) -> Instrument:
    """The instrument named by a file `<family>_<symbol>_<date>.gz`, e.g. `cm_btcusd_perp_20240808.gz`."""
    parts = Path(path).name.split(".")[0].split("_")
    if len(parts) < 3 or parts[0] not in _FAMILIES:
        raise ConfigError(
            f"{path}: expected a name like spot_btcusdt_20240808.gz; pass the instrument yourself"
            " (--instrument)"
        )
    return binance_instrument(parts[0], "_".join(parts[1:-1]), fees=fees, book_log2=book_log2)


def capture_header(path: Path, tries: int = 0) -> Header:
    """The header of a raw capture."""
    return Header(
        source=f"raw Binance capture {path.name}",
        licence="that of the capture; no grant of the exchange",
        period="as recorded",
        side="both",
        simultaneity="one collector; exchange stamps of this venue's clock",
        survivorship="none: one instrument that traded throughout",
        tries=tries,
        claim=False,
        claim_why="minutes of one day: enough to test mechanics, not profit",
    )


def import_binance_files(
    paths: Sequence[str | Path], *, fees: Fees, progress: Progress | None = None
) -> list[Tape]:
    """Each file by the instrument its name says."""
    return [import_binance(p, instrument_of_file(p, fees=fees), progress=progress) for p in paths]
