"""What an audit of a term structure reads: settlements by place, VIX futures, minute quotes of futures, par yields.

Each becomes a `Panel`: rows of time by places, with bid and ask (a settlement stands for both), time to expiry, what
one crossing costs, and which contract stands at each place. A file tells by its columns what it is.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.market.chains import (
    BOUNDARIES,
    BOUNDARY_OF,
    DAYS_A_YEAR,
    NO_BOUNDARY,
    TWO_SIDED,
    UPPER,
    day_number,
    day_text,
)
from oneprice.market.header import Header
from oneprice.market.rates import Treasury, zeros_of
from oneprice.market.settlement_tapes import HalfSpread
from oneprice.market.settlements import TICK, Settlements, read_chain, read_settlements, read_vix
from oneprice.signals.curve.fit_svensson import fit_svensson
from oneprice.signals.curve.parametric import Svensson
from oneprice.study.term_audit_quotes import good_quotes

DAY_NS, MINUTE_NS = 86_400 * 10**9, 60 * 10**9
LONGEST_YEARS = 5.0  # of the curve that strips are carried on
ANEW = 5  # days between fits from no start
FIT_YEARS = 10.0  # of the zero rates whose fit tells the curve's error
LAYOUTS = {
    "settlements": ("date", "series", "value"),
    "vix": ("date", "expiry", "settle", "close"),
    "quotes": ("ts_utc", "bid_close", "ask_close", "bid_size", "ask_size", "contract"),
    "perpetuals": ("ts_utc", "bid_close", "ask_close", "bid_size", "ask_size", "venue", "instrument"),
}


class Panel(msgspec.Struct, frozen=True, eq=False):
    """Rows of time by places.

    `time_ns` int64[T] rising; `names` of contracts by key, `places` of columns; `price` float64[2, T, N] bid and ask,
    NaN: none; `years`, `cost`, `size` float64[T, N] to the last trade, of one crossing, dealt at the touch (empty:
    unknown); `key` int64[T, N] contract at a place, -1: none. `quoted` says whether bid and ask are quotes.
    """

    label: str
    boundary: str
    header: Header
    time_ns: np.ndarray
    names: tuple[str, ...]
    places: tuple[str, ...]
    price: np.ndarray
    years: np.ndarray
    key: np.ndarray
    cost: np.ndarray
    size: np.ndarray
    step_ns: int
    quoted: bool
    unit: str = "USD"
    excluded: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time_ns)


def layout_of(path: str | Path) -> str:
    """Which of LAYOUTS a Parquet file has; `yields` for a CSV of par yields.

    Raises DataError for a file that is not there or has other columns: the text names the layouts.
    """
    import polars as pl

    at = Path(path)
    if not at.is_file():
        raise DataError(f"{at}: no such file")
    if at.suffix == ".csv":
        return "yields"
    try:
        columns = set(pl.read_parquet_schema(at))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{at}: expected Parquet or a CSV of yields: {str(error).splitlines()[0]}") from error
    for name, wanted in LAYOUTS.items():
        if set(wanted) <= columns:
            return name
    known = "; ".join(f"{name}: {', '.join(wanted)}" for name, wanted in LAYOUTS.items())
    raise DataError(f"{at}: columns {', '.join(sorted(columns))} are none of the layouts known ({known})")


def boundary_of(root: str, stated: str | None) -> str:
    """The boundary stated, else that of the root."""
    if stated is not None and stated not in BOUNDARIES:
        raise unknown_name("boundary", stated, list(BOUNDARIES))
    if stated is None and root not in BOUNDARY_OF:
        raise ConfigError(
            f"root {root}: state its boundary (one of {', '.join(BOUNDARIES)}): two_sided can be lent and stored, "
            f"upper only stored, none neither; known are {', '.join(BOUNDARY_OF)}"
        )
    return stated or BOUNDARY_OF[root]


def roots_of(path: str | Path) -> list[str]:
    """Roots of a file of settlements that have three places or more."""
    import polars as pl

    names = pl.read_parquet(path, columns=["series"])["series"].drop_nulls().cast(pl.String).unique().to_list()
    stems = [n.rstrip("0123456789") for n in names if n[-2:].isdigit()]
    return sorted({s for s in stems if stems.count(s) >= 3})


def strip_of(
    path: str | Path, expiry: str | Path | None, root: str, *, places: int = 36, fee: float = 0.0,
    half_spread: HalfSpread | None = None, boundary: str | None = None, about: dict[str, str] | None = None,
) -> Panel:  # fmt: skip
    """Settlements of a root by place. `expiry` is the table of expiries; left out, expiry_table.parquet beside."""
    known = roots_of(path)
    if not known:
        raise DataError(f"{path}: expected series of a root by place (CL01, CL02, CL03 or more), got none")
    if root not in known:
        raise unknown_name(f"root in {Path(path).name}", root, known)
    kind = boundary_of(root, boundary)
    table = Path(expiry) if expiry is not None else Path(path).parent / "expiry_table.parquet"
    if not table.is_file():
        raise DataError(f"{table}: no such file: settlements by place need their table of expiries")
    chain = read_chain(table, root, kind)
    panel = read_settlements(path, chain)
    if about:
        panel = msgspec.structs.replace(panel, header=msgspec.structs.replace(panel.header, **about))
    return settled(panel, places=places, fee=fee, half_spread=half_spread, boundary=kind)


def settled(
    panel: Settlements, *, places: int = 36, fee: float = 0.0, half_spread: HalfSpread | None = None,
    boundary: str | None = None,
) -> Panel:  # fmt: skip
    """Settlements as a panel: a crossing costs the assumed half spread of its place and era, and a fee a unit."""
    if places < 2:
        raise ConfigError(f"places: expected 2 or more, got {places}")
    chain = panel.chain
    price, at = panel.by_place(places)
    seen = np.isfinite(price).any(axis=0)
    price, at = np.ascontiguousarray(price[:, seen]), np.ascontiguousarray(at[:, seen])
    ends = chain.last_trade_days
    years = np.where(at >= 0, (ends[np.maximum(at, 0)] - panel.days[:, None]) / DAYS_A_YEAR, np.nan)
    spread = half_spread or HalfSpread()
    nth = np.flatnonzero(seen) + 1
    ticks = spread.ticks(nth[None, :] + 0 * at, panel.days[:, None] + 0 * at)
    cost = ticks * TICK.get(chain.root, chain.tick) + fee
    side = f"{panel.header.side}"
    why = f"{panel.header.claim_why}; {spread.text()}"
    return Panel(
        label=f"{chain.root} settlements", boundary=boundary or chain.boundary,
        header=msgspec.structs.replace(panel.header, side=side, claim_why=why),
        time_ns=panel.days * DAY_NS, names=tuple(c.symbol for c in chain.contracts),
        places=tuple(f"{chain.root}{n:02d}" for n in nth.tolist()),
        price=np.stack([price, price]), years=years, key=at, cost=np.ascontiguousarray(cost, np.float64),
        size=np.empty((0, 0)), step_ns=DAY_NS, quoted=False,
        excluded=(*chain.notes, *(e.reason for e in panel.excluded)),
    )  # fmt: skip


def vix_of(path: str | Path, *, places: int = 9, fee: float = 0.0) -> Panel:
    """VIX futures: an index that cannot be stored has no boundary."""
    return msgspec.structs.replace(settled(read_vix(path), places=places, fee=fee), boundary=NO_BOUNDARY)


def quotes_of(
    path: str | Path, *, root: str | None = None, boundary: str | None = None, fee: float = 0.0, places: int = 36,
) -> Panel:  # fmt: skip
    """Minute quotes of futures (contract GC201312): bid and ask at each minute's close, both sides and sizes above 0.

    The last trade of a contract is the third last weekday of its delivery month (of the metals; holidays are not known
    here). A quote serves its own minute only. What `good_quotes` leaves out, other roots, quotes after the last trade
    and contracts behind the first `places` are counted in `excluded`.
    """
    import polars as pl

    if places < 2:
        raise ConfigError(f"places: expected 2 or more, got {places}")
    rows, notes = good_quotes(path, ("contract",))
    stems = rows["contract"].str.replace(r"\d+$", "")
    if root is None:
        root = str(stems[0])
    if not (stems == root).any():
        raise unknown_name(f"root in {Path(path).name}", root, stems.unique().to_list())
    kind = boundary_of(root, boundary)
    if not (stems == root).all():
        others = ", ".join(sorted(set(stems.to_list()) - {root}))
        notes.append(f"{int((stems != root).sum())} quotes of other roots ({others}): left out")
    rows = rows.filter(stems == root)
    whole = rows.height
    rows = _largest_block(rows)
    if rows.height < whole:
        notes.append(f"{whole - rows.height} quotes of other stretches of time than the longest: left out")
    ends = {n: third_last_weekday(n) for n in rows["contract"].unique().to_list()}
    left = rows["contract"].replace_strict(ends, return_dtype=pl.Float64) + 0.75
    late = left * DAY_NS < rows["ts_utc"].dt.epoch("ns")
    if late.any():
        first = rows["contract"][late.arg_max()]
        notes.append(f"{int(late.sum())} quotes after the last trade (first: {first}): left out")
    rows = rows.filter(~late)
    names = sorted(rows["contract"].unique().to_list(), key=lambda n: ends[n])
    if len(names) > places:
        notes.append(f"{len(names) - places} contracts behind the first {places}: left out")
        rows = rows.filter(pl.col("contract").is_in(names[:places]))
    if rows.height == 0:
        raise DataError(f"{path}: no quote of {root} can be used: {'; '.join(notes)}")
    return _quote_panel(Path(path).name, root, kind, rows, (names[:places], ends, fee, notes))


def _quote_panel(
    source: str, root: str, kind: str, rows: Any, about: tuple[list[str], dict[str, int], float, list[str]]
) -> Panel:
    """Rows of quotes that can be used as a panel; `about` is (contracts, their last trades, fee, notes)."""
    names, last, fee, notes = about
    ends = np.array([last[n] for n in names], np.int64)
    stamps = rows["ts_utc"].dt.epoch("ns").to_numpy()
    time_ns, at_t = np.unique(stamps, return_inverse=True)
    place = {n: i for i, n in enumerate(names)}
    at_n = np.array([place[n] for n in rows["contract"].to_list()], np.int64)
    shape = (len(time_ns), len(names))
    price, size = np.full((2, *shape), np.nan), np.full(shape, np.nan)
    price[0, at_t, at_n], price[1, at_t, at_n] = rows["bid_close"].to_numpy(), rows["ask_close"].to_numpy()
    size[at_t, at_n] = np.minimum(rows["bid_size"].to_numpy(), rows["ask_size"].to_numpy())
    years = (ends[None, :] + 0.75 - time_ns[:, None] / DAY_NS) / DAYS_A_YEAR
    key = np.where((years >= 0) & np.isfinite(price[0]), np.arange(len(names))[None, :], -1)
    header = Header(
        source=source, licence="see data", period=f"{_stamp(time_ns[0])} to {_stamp(time_ns[-1])} UTC",
        side="both", simultaneity="quotes at the close of one minute: up to a minute apart",
        survivorship="all contracts of the root in the file", tries=1, claim=False,
        claim_why="minute quotes: both legs are not known to have stood at one moment",
    )  # fmt: skip
    return Panel(
        label=f"{root} quotes", boundary=kind, header=header, time_ns=time_ns, names=tuple(names),
        places=tuple(names), price=price, years=years, key=key, cost=np.full(shape, fee), size=size,
        step_ns=MINUTE_NS, quoted=True, excluded=tuple(notes),
    )  # fmt: skip


def _largest_block(rows: Any) -> Any:
    """The longest stretch of rows without a hole of ten days: files hold more than one sample."""
    stamps = rows["ts_utc"].dt.epoch("ns").to_numpy()
    cut = np.flatnonzero(np.diff(stamps) > 10 * DAY_NS) + 1
    edges = [0, *cut.tolist(), len(stamps)]
    size, start = max((b - a, a) for a, b in pairwise(edges))
    return rows.slice(start, size)


def third_last_weekday(contract: str) -> int:
    """Day number of the third last weekday of the month that ends a contract's name (GC201312)."""
    try:
        year, month = int(contract[-6:-2]), int(contract[-2:])
        if not 1 <= month <= 12:
            raise ValueError(contract)
        after = np.datetime64(f"{year + month // 12:04d}-{month % 12 + 1:02d}-01", "D")
    except ValueError:
        raise DataError(f"contract {contract!r}: expected a name that ends in YYYYMM, like GC201312") from None
    return int(np.busday_offset(after, -3, roll="forward").astype(np.int64))


def _stamp(time_ns: Any) -> str:
    return str(np.datetime64(int(time_ns), "ns"))[:16]


# ---------------------------------------------------------------- rates
def grid_of(treasury: Treasury) -> np.ndarray:
    """Years of the nodes that strips are carried on: the bills, then half years up to LONGEST_YEARS."""
    bills = treasury.tenors[treasury.tenors <= 0.5 + 1e-9]
    return np.unique(np.round(np.concatenate([bills, np.arange(0.5, LONGEST_YEARS + 1e-9, 0.5)]), 9))


def rate_rows(treasury: Treasury, days: np.ndarray, *, fit_error: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(grid float64[K], logs float64[T, K + 1]): ln P by the yields told before each day, and the curve's error.

    The error is the root mean square residual, for its degrees of freedom, of a Svensson curve through the zero rates
    up to ten years: what a smooth curve leaves open. A day without rates (see `Treasury.known`) is NaN.
    """
    grid = grid_of(treasury)
    logs = np.full((len(days), len(grid) + 1), np.nan)
    start: Svensson | None = None  # a fit begun from the day before stays in old troughs: made anew now and then
    made: dict[int, np.ndarray] = {}
    for t, day in enumerate(days.tolist()):
        if not treasury.covers(day):
            continue
        row = treasury.known(day)
        if row not in made:
            have = np.isfinite(treasury.par[row]) & (treasury.tenors <= (FIT_YEARS if fit_error else LONGEST_YEARS))
            years, r = zeros_of(treasury.tenors[have], treasury.par[row][have])
            at = np.interp(grid, np.concatenate([[0.0], years]), np.concatenate([[0.0], -r * years]))
            at = np.where(grid > years[-1], -r[-1] * grid, at)
            begun = start if len(made) % ANEW else None
            error, start = _fit_error(treasury.tenors[have], years, r, begun) if fit_error else (0.0, None)
            made[row] = np.append(at, error)
        logs[t] = made[row]
    return grid, logs


def _fit_error(
    tenors: np.ndarray, years: np.ndarray, r: np.ndarray, start: Svensson | None
) -> tuple[float, Svensson | None]:
    """(error of a Svensson curve at the published tenors, the curve to begin the next day from)."""
    zero = np.interp(tenors, years, r)
    if len(tenors) < 8:
        return 0.0, start
    fit = fit_svensson(tenors, zero, start=start)
    return fit.rmse * float(np.sqrt(fit.n / (fit.n - 6.0))), fit.curve


def flat_rows(rate: float, n_rows: int, error: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The same of one stated rate."""
    if not -1.0 < rate < 1.0:
        raise ConfigError(f"rate: expected a share such as 0.03, got {rate}")
    return np.array([1.0]), np.tile([-rate, error], (n_rows, 1))


def within(panel: Panel, first: Any = None, last: Any = None) -> Panel:
    """The rows of a panel from one day to another, both included; all when left out. Raises DataError for no row."""
    if first is None and last is None:
        return panel
    days = panel.time_ns // DAY_NS
    low, high = (day_number(d) if d is not None else int(days[i]) for d, i in ((first, 0), (last, -1)))
    keep = (days >= low) & (days <= high)
    if not keep.any():
        span = f"{day_text(int(days[0]))}..{day_text(int(days[-1]))}"
        raise DataError(f"{panel.label}: no row from {day_text(low)} to {day_text(high)}: the panel has {span}")
    period = f"{day_text(int(days[keep][0]))}..{day_text(int(days[keep][-1]))} of {panel.header.period}"
    return msgspec.structs.replace(
        panel, header=msgspec.structs.replace(panel.header, period=period), time_ns=panel.time_ns[keep],
        price=panel.price[:, keep], years=panel.years[keep], key=panel.key[keep], cost=panel.cost[keep],
        size=panel.size[keep] if panel.size.size else panel.size,
    )  # fmt: skip


def day_of(panel: Panel, day: Any) -> int:
    """Row of the last moment of a day. Raises DataError when the panel has none."""
    wanted = day_number(day)
    rows = np.flatnonzero(panel.time_ns // DAY_NS == wanted)
    if len(rows) == 0:
        span = f"{day_text(int(panel.time_ns[0] // DAY_NS))}..{day_text(int(panel.time_ns[-1] // DAY_NS))}"
        raise DataError(f"{panel.label}: no row on {day_text(wanted)}: the panel has {span}")
    return int(rows[-1])


__all__ = [
    "BOUNDARIES", "LAYOUTS", "NO_BOUNDARY", "TWO_SIDED", "UPPER", "Panel", "boundary_of", "day_of", "flat_rows",
    "layout_of", "quotes_of", "rate_rows", "settled", "strip_of", "third_last_weekday", "vix_of", "within",
]  # fmt: skip
