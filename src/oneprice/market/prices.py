"""The price panel: many series on one time axis, with where they come from and what was left out and why.

`load` reads a wide or long table (file, frame or arrays), checks it and says everything it changed: a series that
cannot be used is listed in `excluded`, a suspicious one in `flagged`; nothing is dropped in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market import prices_checks as checks
from oneprice.market.header import SIDES
from oneprice.market.prices_checks import Excluded, Flag
from oneprice.market.prices_read import Table, Wanted, read_table, time_text

SPACES = ("log", "level")
ALIGN = ("intersection", "as_of", "union")
LEAST_TIMES = 20


NO_CLAIM = "side, adjustment and survivorship of the prices are not stated"
SAID = {"yes": True, "true": True, "no": False, "false": False}


class PriceHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be said above any number made from a panel.

    `adjusted` says for what the prices were adjusted (splits, dividends, rolls), `survivorship` how the names were
    chosen; `claim` answers "can P&L be claimed?".
    """

    source: str
    licence: str = "not stated"
    period: str = ""
    side: str = "not stated"
    simultaneity: str = "not stated"
    adjusted: str = "not stated"
    survivorship: str = "not stated"
    claim: bool = False
    claim_why: str = NO_CLAIM

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ConfigError(f"header side {self.side!r}: expected one of {', '.join(SIDES)}")
        if not isinstance(self.claim, bool):
            raise ConfigError(f"header claim {self.claim!r}: expected yes or no")
        if not self.claim_why or (self.claim and self.claim_why == NO_CLAIM):
            raise ConfigError("header claim_why is empty: say why P&L can or cannot be claimed on these prices")

    def lines(self) -> list[tuple[str, str]]:
        """(label, text) pairs in the order in which they are printed."""
        names = ("source", "licence", "period", "side", "simultaneity", "adjusted", "survivorship")
        claim = f"{'yes' if self.claim else 'no'}, {self.claim_why}"
        return [*((n, getattr(self, n)) for n in names), ("can P&L be claimed?", claim)]


class Prices(msgspec.Struct, frozen=True, eq=False):
    """A checked panel.

    `time_ns` int64[T], rising; `close` float64[T, N], NaN where there is no price; `step_ns` the median step.
    `excluded` lists the series left out, `flagged` what is suspicious in those kept, `notes` what alignment did.
    """

    symbols: tuple[str, ...]
    time_ns: np.ndarray
    close: np.ndarray
    step_ns: int
    header: PriceHeader
    excluded: tuple[Excluded, ...] = ()
    flagged: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def width(self) -> int:
        """Number of series."""
        return len(self.symbols)

    def columns(self, space: str = "log") -> np.ndarray:
        """Float64[N, T], C order: the series as rows, in logs or as they are (what kernels take).

        Raises
        ------
        DataError
            A price is missing, or not positive and `space` is "log" (says which).
        """
        require_space(space)
        rows = np.ascontiguousarray(self.close.T)
        bad = ~np.isfinite(rows)
        if bad.any():
            i, t = np.argwhere(bad)[0]
            raise DataError(
                f"prices: {self.symbols[i]} has no price at {time_text(self.time_ns[t])} (row {t}), one of "
                f"{int(bad.sum())} gaps; load with align='intersection' or 'as_of', or leave the series out"
            )
        if space == "level":
            return rows
        if (rows <= 0).any():
            i, t = np.argwhere(rows <= 0)[0]
            raise DataError(
                f"prices: expected prices above 0 for space='log', got {rows[i, t]:g} of {self.symbols[i]} at "
                f"{time_text(self.time_ns[t])} (row {t}); use space='level' or leave the series out"
            )
        return np.log(rows)

    def select(self, symbols: Sequence[str]) -> Prices:
        """The panel of some of its series, in the order given."""
        at = {s: i for i, s in enumerate(self.symbols)}
        for s in symbols:
            if s not in at:
                raise unknown_name("series", s, list(self.symbols))
        pick = [at[s] for s in symbols]
        return msgspec.structs.replace(self, symbols=tuple(symbols), close=np.ascontiguousarray(self.close[:, pick]))

    def rows(self, start: int, stop: int) -> Prices:
        """The panel of rows start..stop-1 (views of the same memory)."""
        if not 0 <= start < stop <= len(self):
            raise ConfigError(f"prices: expected 0 <= start < stop <= {len(self)}, got {start}, {stop}")
        time_ns = self.time_ns[start:stop]
        header = msgspec.structs.replace(self.header, period=period_of(time_ns))
        return msgspec.structs.replace(self, time_ns=time_ns, close=self.close[start:stop], header=header)

    def between(self, start: str | int, stop: str | int) -> Prices:
        """Rows with start <= time < stop; ISO dates (UTC) or nanoseconds."""
        low, high = (np.searchsorted(self.time_ns, _moment(x)) for x in (start, stop))
        if low >= high:
            raise ConfigError(f"prices: no row in {start} <= time < {stop}; the panel covers {self.header.period}")
        return self.rows(int(low), int(high))

    def digest(self) -> str:
        """Content key: names, times and prices."""
        h = hashlib.sha256("\0".join(self.symbols).encode())
        h.update(np.ascontiguousarray(self.time_ns).tobytes())
        h.update(np.ascontiguousarray(self.close).tobytes())
        return h.hexdigest()

    def __str__(self) -> str:
        head = f"{self.width} series, {len(self)} times, {self.header.period}"
        lines = [head, *(f"{k}: {v}" for k, v in self.header.lines() if k != "period"), *self.notes]
        lines += [f"excluded {e.symbol}: {e.reason}" for e in self.excluded]
        lines += [f"flagged {f.symbol}: {f.kind}: {f.text}" for f in self.flagged]
        return "\n".join(lines)


def require_space(space: str) -> str:
    """`space` itself, or the error that lists the two."""
    if space not in SPACES:
        raise unknown_name("space", str(space), list(SPACES))
    return space


def load(
    source: Any,
    *,
    time: Any = None,
    time_format: str | None = None,
    symbols: Sequence[str] | None = None,
    align: str = "intersection",
    max_age_steps: int = 5,
    most_missing: float = 0.05,
    sort: bool = False,
    header: PriceHeader | Mapping[str, Any] | None = None,
) -> Prices:
    """Read and check a panel of prices.

    Parameters
    ----------
    source : path of a CSV or Parquet file (wide: a time column and one column a series; long: time, symbol and
        price columns), a polars or pandas frame of such a table, a mapping name -> prices, or an array [T, N].
    time : name of the time column; or, for arrays and mappings, the times (ISO texts, datetime64 or integers in
        nanoseconds). Without it a table's time column is recognised; arrays count rows as days from 1970.
    time_format : of times that are text, e.g. "%m/%d/%Y"; ISO times and dates that can be read in one way only need
        none.
    symbols : names of an array's columns, or the series wanted from a table.
    align : "intersection" keeps the times at which every series has a price; "as_of" carries the last price forward
        at most `max_age_steps` rows and then intersects; "union" keeps gaps as NaN.
    most_missing : a series with a larger share of missing prices is excluded (not with "union": there a gap is data).
    sort : put the times in order instead of refusing a table whose time goes back.
    header : what is known of the data; what is not given is "not stated".

    Raises
    ------
    DataError
        No time column, a time that goes back or comes twice, text or infinite prices (row and column are said), too
        short, or fewer than two series are left.
    """
    if align not in ALIGN:
        raise unknown_name("align", align, list(ALIGN))
    if not 0 <= most_missing < 1:
        raise ConfigError(f"load: most_missing: expected a share in [0, 1), got {most_missing}")
    if max_age_steps < 1:
        raise ConfigError(f"load: max_age_steps: expected 1 or more, got {max_age_steps}")
    wanted = Wanted(time=time, time_format=time_format, symbols=symbols, sort=sort)
    table = read_table(source, wanted)
    return checked(table, align=align, max_age_steps=max_age_steps, most_missing=most_missing, header=header)


def checked(
    table: Table,
    *,
    align: str,
    max_age_steps: int,
    most_missing: float,
    header: PriceHeader | Mapping[str, Any] | None,
) -> Prices:
    """A table as a panel: exclusions, alignment, exclusions that need complete series, flags."""
    names, close, time_ns = list(table.symbols), table.close, table.time_ns
    excluded: list[Excluded] = []
    notes: list[str] = []

    def leave_out(found: list[Excluded]) -> None:
        nonlocal names, close
        gone = {e.symbol for e in found}
        keep = [i for i, n in enumerate(names) if n not in gone]
        excluded.extend(found)
        if gone:
            names, close = [names[i] for i in keep], np.ascontiguousarray(close[:, keep])

    leave_out(checks.empty_series(names, close))
    if align == "as_of":
        close, filled = checks.carry_forward(close, max_age_steps)
        if filled:
            notes.append(f"as_of: {filled} missing prices carried from at most {max_age_steps} rows before")
    if align != "union":
        leave_out(checks.gappy_series(names, close, most_missing))
        whole = np.isfinite(close).all(axis=1) if names else np.ones(len(time_ns), bool)
        if not whole.all():
            first = time_text(time_ns[int(np.flatnonzero(~whole)[0])])
            notes.append(
                f"{align}: {int((~whole).sum())} of {len(whole)} times left out, at which not every series has "
                f"a price (first {first})"
            )
        time_ns, close = time_ns[whole], np.ascontiguousarray(close[whole])
    leave_out(checks.constant_series(names, close))
    leave_out(checks.duplicated_series(names, close))
    _require_enough(table, names, time_ns, excluded)
    flagged = tuple(checks.flags(names, time_ns, close))
    step_ns = int(np.median(np.diff(time_ns)))
    about = _header(table.source, header, time_ns)
    return Prices(tuple(names), time_ns, close, step_ns, about, tuple(excluded), flagged, tuple(notes))


def _require_enough(table: Table, names: list[str], time_ns: np.ndarray, excluded: list[Excluded]) -> None:
    listed = "; ".join(f"{e.symbol}: {e.reason}" for e in excluded[:5])
    why = f"; excluded: {listed}" + (" ..." if len(excluded) > 5 else "") if excluded else ""
    if len(names) < 2:
        raise DataError(f"{table.source}: expected at least 2 series, {len(names)} left{why}")
    if len(time_ns) < LEAST_TIMES:
        raise DataError(
            f"{table.source}: expected at least {LEAST_TIMES} times, {len(time_ns)} of {len(table.time_ns)} left{why}; "
            "with unequal calendars try align='as_of' or a smaller most_missing"
        )


def _header(source: str, given: PriceHeader | Mapping[str, Any] | None, time_ns: np.ndarray) -> PriceHeader:
    if isinstance(given, PriceHeader):
        return given if given.period else msgspec.structs.replace(given, period=period_of(time_ns))
    words = {"source": source, "period": period_of(time_ns), **(given or {})}
    for name in words:
        if name not in PriceHeader.__struct_fields__:
            raise unknown_name("header field", name, list(PriceHeader.__struct_fields__))
    claim = words.get("claim", False)
    return PriceHeader(**{**words, "claim": SAID.get(claim.lower(), claim) if isinstance(claim, str) else claim})


def period_of(time_ns: np.ndarray) -> str:
    """First and last time as text."""
    return f"{time_text(time_ns[0])}..{time_text(time_ns[-1])}"


def _moment(value: str | int) -> int:
    if isinstance(value, str):
        try:
            return int(np.datetime64(value, "ns").astype(np.int64))
        except ValueError as error:
            raise ConfigError(f"prices: expected an ISO date, got {value!r}") from error
    return int(value)


def panel(close: np.ndarray, symbols: Sequence[str] | None = None, *, source: str | Path = "made in memory") -> Prices:
    """A panel of an array [T, N] of simulated prices: daily times, "intersection", every check made."""
    return load(np.asarray(close, np.float64), symbols=symbols, header={"source": str(source)})
