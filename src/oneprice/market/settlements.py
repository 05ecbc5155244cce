"""Settlement prices by contract: a day has one price a contract, without bid, ask or size.

A file that says `CL02` names a place in the chain, not a contract; `by_place` maps it with the expiry table. Zero is
a missing price unless the root trades around zero (spreads); negative prices pass. What was left out is listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.chains import Chain, Contract, day_number, day_text, make_chain
from oneprice.market.header import Header
from oneprice.market.prices_checks import Excluded

PREFIX_OF = {"BRN": "LCO"}  # name in the expiry table where it is not that of the prices
MULTIPLIER = {"CL": 1000.0, "BRN": 1000.0, "HO": 42_000.0, "RB": 42_000.0, "NG": 10_000.0, "VX": 1000.0, "GC": 100.0}
TICK = {"CL": 0.01, "BRN": 0.01, "HO": 0.0001, "RB": 0.0001, "NG": 0.001, "VX": 0.05, "GC": 0.1}
CLAIM_WHY = "settlements have no bid, ask or size: trades are charged a stated half spread at a later settlement"


class Settlements(msgspec.Struct, frozen=True, eq=False):
    """Settlements of one chain.

    `days` int64[T], rising; `price` float64[T, N] by contract of the chain, NaN where there is none; `excluded` lists
    rows left out and why.
    """

    chain: Chain
    days: np.ndarray
    price: np.ndarray
    header: Header
    excluded: tuple[Excluded, ...] = ()

    def __len__(self) -> int:
        return len(self.days)

    def by_place(self, n_places: int) -> tuple[np.ndarray, np.ndarray]:
        """(float64[T, n_places], int64[T, n_places]): price and place in the chain of the n-th contract of each day.

        NaN and -1 where the chain or the file has none.
        """
        first = np.searchsorted(self.chain.last_trade_days, self.days)
        at = first[:, None] + np.arange(n_places)
        inside = at < len(self.chain.contracts)
        price = np.where(inside, np.take_along_axis(self.price, np.where(inside, at, 0), axis=1), np.nan)
        return price, np.where(inside, at, -1)

    def years_left(self, days_a_year: float = 365.0) -> np.ndarray:
        """float64[T, N]: time to the last trade; negative after it."""
        return (self.chain.last_trade_days[None, :] - self.days[:, None]) / days_a_year


def settlements(
    chain: Chain,
    days: Any,
    symbols: Sequence[str],
    price: Any,
    *,
    header: Header,
    zero_is_missing: bool = True,
) -> Settlements:
    """Settlements from long columns: a day, a contract symbol and a price each row.

    Rows after a contract's last trade, zeros and missing prices are listed in `excluded`, a kind a line.

    Raises
    ------
    DataError
        Columns of unequal length, an unknown contract, a price that is infinite, a contract twice on a day.
    """
    day = np.array([day_number(d) for d in days], np.int64)
    value = np.asarray(price, np.float64)
    if not len(day) == len(symbols) == len(value):
        raise DataError(f"settlements of {chain.root}: {len(day)} days, {len(symbols)} contracts, {len(value)} prices")
    place = {c.symbol: i for i, c in enumerate(chain.contracts)}
    unknown = next((s for s in symbols if s not in place), None)
    if unknown is not None:
        row = list(symbols).index(unknown)
        raise DataError(f"settlements of {chain.root}: row {row}: contract {unknown!r} is not in the chain")
    at = np.array([place[s] for s in symbols], np.int64)
    return _panel(chain, day, at, value, header, zero_is_missing)


def _panel(
    chain: Chain, day: np.ndarray, at: np.ndarray, value: np.ndarray, header: Header, zero_is_missing: bool
) -> Settlements:
    """Rows by place in the chain as a panel; refuses what cannot be, lists what is left out."""
    infinite = np.flatnonzero(np.isinf(value))
    if len(infinite):
        i = infinite[0]
        where = f"row {i}, {day_text(day[i])}"
        raise DataError(f"settlements of {chain.root}: {where}: expected a finite price, got {value[i]}")
    excluded = []
    keep = np.ones(len(day), bool)
    for name, bad in (
        ("after the last trade", day > chain.last_trade_days[at]),
        ("price 0, taken as missing", (value == 0.0) & zero_is_missing),
        ("no price", np.isnan(value)),
    ):
        rows = np.flatnonzero(bad & keep)
        keep &= ~bad
        if len(rows):
            i = rows[0]
            first = f"{chain.contracts[at[i]].symbol} on {day_text(day[i])}"
            excluded.append(Excluded(chain.root, f"{len(rows)} rows: {name} (first: {first})"))
    day, at, value = day[keep], at[keep], value[keep]
    if len(day) == 0:
        why = "; ".join(e.reason for e in excluded)
        raise DataError(f"settlements of {chain.root}: no usable price is left: {why}")
    key = day * len(chain.contracts) + at
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[order]) == 0)
    if len(twice):
        i = order[twice[0]]
        raise DataError(
            f"settlements of {chain.root} ({header.source}): {chain.contracts[at[i]].symbol} twice on "
            f"{day_text(day[i])}: expected one price a contract and day; drop the double"
        )
    days = np.unique(day)
    out = np.full((len(days), len(chain.contracts)), np.nan)
    out[np.searchsorted(days, day), at] = value
    return Settlements(chain, days, out, header, tuple(excluded))


# ---------------------------------------------------------------- files
def _table(path: str | Path, columns: Sequence[str]) -> Any:
    """A Parquet file that has the columns. Raises DataError for no file, another format, columns that lack."""
    import polars as pl

    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected Parquet: {str(error).splitlines()[0]}") from error
    lacking = [c for c in columns if c not in table.columns]
    if lacking:
        raise DataError(f"{path}: expected columns {', '.join(lacking)}, got {', '.join(table.columns)}")
    return table


def _checked(
    path: str | Path, rows: Any, *, dates: Sequence[str], numbers: Sequence[str], whole: Sequence[str]
) -> None:
    """Raises DataError for a column of another type, and for a row without a value in a column that must be whole."""
    for kind, columns in (("dates", dates), ("numbers", numbers)):
        for name in columns:
            told = rows.schema[name]
            if not (told.is_temporal() if kind == "dates" else told.is_numeric()):
                raise DataError(f"{path}: column {name}: expected {kind}, got {told}; convert the column first")
    for name in whole:
        lost = rows[name].is_null()
        if lost.any():
            where = rows.row(lost.arg_max() or 0)
            raise DataError(f"{path}: column {name}: {int(lost.sum())} rows without a value (first: {where})")


def _no_root(path: str | Path, what: str, root: str, known: Sequence[str]) -> DataError:
    """The error for a root that a file does not have: those it has, and the nearest."""
    near = get_close_matches(root, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return DataError(f"{path}: no {what} of {root}: the file has {', '.join(sorted(known)) or 'none by place'}{hint}")


def read_chain(path: str | Path, root: str, boundary: str | None = None) -> Chain:
    """The chain of a root from an expiry table (columns tick.prefix, Last.Trade, First.Notice, Year, Month).

    `boundary` is that of the root when left out; a root that is not known must state it (see `make_chain`).
    """
    import polars as pl

    prefix = PREFIX_OF.get(root, root)
    table = _table(path, ("tick.prefix", "Last.Trade", "First.Notice", "Year", "Month"))
    table = table.filter(pl.col("tick.prefix") == prefix)
    _checked(path, table, dates=("Last.Trade",), numbers=("Year", "Month"), whole=("Last.Trade", "Year", "Month"))
    rows = table.filter(pl.col("tick.prefix") == prefix).sort("Last.Trade", "Year", "Month")
    if rows.height == 0:
        prefixes = pl.read_parquet(path, columns=["tick.prefix"])["tick.prefix"].drop_nulls().unique().to_list()
        names = {own: root for root, own in PREFIX_OF.items()}
        raise _no_root(path, "contract", root, [names.get(p, p) for p in prefixes])
    kept = rows.unique("Last.Trade", keep="last", maintain_order=True)  # two vintages: the later delivery is the newer
    notes = []
    if kept.height < rows.height:
        notes.append(f"{rows.height - kept.height} expiries stated twice: the later delivery month taken")
    chain = make_chain(
        root,
        kept["Last.Trade"].dt.date().to_list(),
        first_notice=kept["First.Notice"].dt.date().to_list(),
        delivery=_months(kept, notes),
        boundary=boundary,
        multiplier=MULTIPLIER.get(root, 1.0),
        tick=TICK.get(root, 0.01),
    )
    return msgspec.structs.replace(chain, notes=tuple(notes))


def _months(rows: Any, notes: list[str]) -> list[tuple[int, int]] | None:
    """Delivery months; None, said in the notes, where a table gives one month to two contracts."""
    stated = [(int(y), int(m)) for y, m in zip(rows["Year"], rows["Month"], strict=True)]
    if len(set(stated)) == len(stated):
        return stated
    notes.append("delivery months repeat in the table: contracts are named by their last trading day")
    return None


def read_settlements(path: str | Path, chain: Chain) -> Settlements:
    """Settlements of a root from a long table (date, series, value) whose series name places: CL01 is the front.

    The n-th place on a date is the n-th contract with last trade on that date or later; a place that the chain does
    not reach is listed.
    """
    import polars as pl

    rows = _table(path, ("date", "series", "value"))
    pattern = re.compile(rf"{re.escape(chain.root)}(\d+)")
    names = [s for s in rows["series"].unique().to_list() if pattern.fullmatch(str(s))]
    front = [s for s in names if int(s[len(chain.root) :]) < 1]
    if front:
        raise DataError(f"{path}: series {front[0]}: expected places from {chain.root}01, the front")
    if not names:
        fronts = [str(s) for s in rows["series"].unique().to_list() if str(s).endswith("01")]
        raise _no_root(path, "series", chain.root, [s[:-2] for s in fronts])
    unnamed = rows["series"].null_count()
    rows = rows.filter(pl.col("series").is_in(names)).sort("date", "series")
    _checked(path, rows, dates=("date",), numbers=("value",), whole=("date",))
    day = rows["date"].cast(pl.Date).cast(pl.Int32).to_numpy().astype(np.int64)
    number = {name: int(name[len(chain.root) :]) for name in names}
    place = rows["series"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    at = np.searchsorted(chain.last_trade_days, day) + place - 1
    beyond = at >= len(chain.contracts)
    if beyond.all():
        last = chain.contracts[-1]
        raise DataError(
            f"{path}: the table of expiries of {chain.root} ends on {day_text(last.last_trade_day)} ({last.symbol}), "
            f"before the prices of {day_text(day.min())}..{day_text(day.max())}"
        )
    unknown = _unknown_place(chain.last_trade_days, day, at) & ~beyond
    if (beyond | unknown).all():
        raise DataError(
            f"{path}: the table of expiries of {chain.root} has no contracts for the prices of "
            f"{day_text(day.min())}..{day_text(day.max())}: it begins with {chain.contracts[0].symbol} "
            f"({day_text(chain.contracts[0].last_trade_day)}), or lacks contracts in between"
        )
    about = Header(
        source=str(Path(path).name), licence="see data", period=f"{day_text(day.min())}..{day_text(day.max())}",
        side="not stated", simultaneity="one settlement a day", survivorship="all contracts of the root", tries=1,
        claim=False, claim_why=CLAIM_WHY,
    )  # fmt: skip
    keep = ~(beyond | unknown)
    out = _panel(chain, day[keep], at[keep], rows["value"].to_numpy()[keep], about, True)
    lost = []
    if unnamed:
        lost.append(Excluded(chain.root, f"{unnamed} rows of the file: no series name, of which root is not known"))
    if unknown.any():
        span = f"{day_text(day[unknown].min())}..{day_text(day[unknown].max())}"
        lost.append(
            Excluded(
                chain.root, f"{int(unknown.sum())} rows ({span}): the table of expiries lacks contracts before them, so"
                f" that their place names none"
            )
        )
    if beyond.any():
        lost.append(Excluded(chain.root, f"{int(beyond.sum())} rows: beyond the last contract of the expiry table"))
    return msgspec.structs.replace(out, excluded=(*out.excluded, *lost))


def _unknown_place(ends: np.ndarray, day: np.ndarray, at: np.ndarray) -> np.ndarray:
    """bool[n]: rows whose place cannot be told, since the table of expiries begins too late for their day, or lacks
    contracts between the front and them.

    A hole is more than twice the usual time between last trades, with the usual time again behind it (contracts far out
    may be listed for some months only). Behind a hole, and at the start, a contract is the front only as long before
    its last trade as contracts usually lie apart.
    """
    if len(ends) < 4:
        return np.zeros(len(day), bool)
    apart = np.diff(ends)
    usual = float(np.median(apart))
    widest = int(apart[apart <= 1.5 * usual].max())
    hole = (apart > 2.0 * usual) & (np.append(apart[1:], usual) <= 1.5 * usual)
    before = np.concatenate([[0], np.cumsum(hole)])  # holes before each contract
    front = np.minimum(np.searchsorted(ends, day), len(ends) - 1)
    crossed = before[np.minimum(at, len(ends) - 1)] > before[front]
    begins = np.concatenate([[True], hole])[front]
    return np.asarray(crossed | (begins & (ends[front] - day > widest)))


def read_vix(path: str | Path) -> Settlements:
    """VIX futures by contract (date, expiry, close, settle): the settle, or the close where the file has a settle of 0.

    Rows dated after their expiry are listed and left out; how many closes stand in is listed too.
    """
    import polars as pl

    rows = _table(path, ("date", "expiry", "close", "settle")).sort("date", "expiry")
    if rows.height == 0:
        raise DataError(f"{path}: expected a row a contract and day, got none")
    _checked(path, rows, dates=("date", "expiry"), numbers=("close", "settle"), whole=("date", "expiry"))
    days = rows["date"].cast(pl.Date).cast(pl.Int32).to_numpy().astype(np.int64)
    expiry = rows["expiry"].cast(pl.Date).cast(pl.Int32).to_numpy().astype(np.int64)
    ends = np.unique(expiry)
    contracts = tuple(
        Contract(symbol=f"VX{day_text(e)}", root="VX", last_trade_day=int(e)) for e in ends
    )  # weeklies share months with monthlies: the expiry names the contract
    chain = Chain("VX", contracts, "none", MULTIPLIER["VX"], TICK["VX"])
    settle, close = rows["settle"].to_numpy(), rows["close"].to_numpy()
    stands_in = (settle == 0) & (close > 0)
    period = f"{day_text(days.min())}..{day_text(days.max())}"
    about = Header(
        source=str(Path(path).name), licence="public exchange files", period=period,
        side="not stated", simultaneity="one settlement a day", survivorship="all contracts", tries=1,
        claim=False, claim_why=CLAIM_WHY,
    )  # fmt: skip
    price = np.where(stands_in, close, settle)
    out = _panel(chain, days, np.searchsorted(ends, expiry), price, about, True)
    if not stands_in.any():
        return out
    until = day_text(days[stands_in].max())
    note = Excluded("VX", f"{int(stands_in.sum())} rows: settle 0, close taken (up to {until})")
    return msgspec.structs.replace(out, excluded=(*out.excluded, note))
