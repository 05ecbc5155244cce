"""Data packs: real market data (bars, closes, order events, settlements, yields) that ship inside Python wheels.

A pack names a wheel, its version, a platform tag and the wheel's sha256, so every machine reads the same
bytes. The wheel is fetched with pip, opened with `zipfile` and never imported, installed or passed on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import DataError, unknown_name
from oneprice.core.instruments import Instrument
from oneprice.core.records import BAR, EVENT, LAST
from oneprice.market.header import Header
from oneprice.market.importers.bitstamp import recorded_of
from oneprice.market.importers.orders import tape_of
from oneprice.market.pack_parsers import ORDERS_INSTRUMENT, PARSERS
from oneprice.market.prices import PriceHeader, Prices, period_of
from oneprice.market.tape import Tape, make_tape

PLATFORM = "manylinux2014_x86_64"
PYTHON = "3.11"
FETCH_TIMEOUT_S = 120.0
TICK = 1e-5  # quote currency; both files print five decimals
Progress = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True)
class Pack:
    """One file of real data inside one wheel."""

    name: str
    wheel: str  # project name
    version: str
    filename: str
    sha256: str  # of the wheel
    member: str  # path inside the wheel
    licence: str  # of the wheel; not a grant of the vendor of the prices
    parser: str  # name in PARSERS
    side: str  # one of market.header.SIDES
    platform: str = PLATFORM


PACKS: dict[str, Pack] = {
    p.name: p
    for p in (
        Pack(
            name="eurusd_ask_1h",
            wheel="gym-anytrading",
            version="2.0.0",
            filename="gym_anytrading-2.0.0-py3-none-any.whl",
            sha256="29e88b9d38272ea338c8cfcebc6a0f0302c7a8c02048331ad6a4d22cdd825e54",
            member="gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv",
            licence="MIT",
            parser="hourly_dotted",
            side="ask",
        ),
        Pack(
            name="eurusd_1h",
            wheel="backtesting",
            version="0.6.6",
            filename="backtesting-0.6.6-py3-none-any.whl",
            sha256="d2fc29ab6e10fbf44b05570720cef144d6d0d2ec8e183977114f2be9c5089b78",
            member="backtesting/test/EURUSD.csv",
            licence="AGPL-3.0",
            parser="hourly_iso",
            side="not stated",
        ),
        Pack(
            name="us_stocks_1d",
            wheel="skfolio",
            version="1.12.2",
            filename="skfolio-1.12.2-py3-none-any.whl",
            sha256="2d324c62a4188dc0b62a713f8d5cea177e208a5b45987e3d3f204dd56d3a669b",
            member="skfolio/datasets/data/sp500_dataset.csv.gz",
            licence="BSD-3-Clause",
            parser="daily_wide",
            side="last",
        ),
        Pack(
            name="btcusd_orders",
            wheel="ob-analytics",
            version="0.1.0",
            filename="ob_analytics-0.1.0-py3-none-any.whl",
            sha256="0326a93aaee4ea08356d8dea59868d68592623a2434bbe4d9be379fa855c9c62",
            member="ob_analytics/_sample_data/orders.csv.gz",
            licence="GPL-2.0-or-later",
            parser="order_events",
            side="both",
        ),
        Pack(
            name="futures_settlements_1d",
            wheel="risktools",
            version="0.2.8.7",
            filename="risktools-0.2.8.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            sha256="fae721c3cd7e82c141489d04ecf2c82c0e028b0184568587b9a99ec112de985d",
            member="risktools/data/dflong.json",
            licence="GPL-3.0-or-later",
            parser="settlement_rows",
            side="not stated",
        ),
        Pack(
            name="futures_expiries",
            wheel="risktools",
            version="0.2.8.7",
            filename="risktools-0.2.8.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            sha256="fae721c3cd7e82c141489d04ecf2c82c0e028b0184568587b9a99ec112de985d",
            member="risktools/data/expiry_table.json",
            licence="GPL-3.0-or-later",
            parser="expiry_rows",
            side="not stated",
        ),
        Pack(
            name="treasury_par_1d",
            wheel="zipline-reloaded",
            version="3.2.1",
            filename="zipline_reloaded-3.2.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
            ".manylinux_2_28_x86_64.whl",
            sha256="6a41044a659379058ef7d059f4b44a7d405918f3267ef8577f23c831c8b62386",
            member="zipline/resources/market_data/treasury_curves.csv",
            licence="Apache-2.0",
            parser="treasury_rows",
            side="not stated",
        ),
    )
}


def pack(name: str) -> Pack:
    """The pack of that name; a misspelt one is an error that lists them."""
    if name not in PACKS:
        raise unknown_name("data pack", name, list(PACKS))
    return PACKS[name]


def folder() -> Path:
    """Where wheels are kept: ONEPRICE_CACHE, else the user's cache folder."""
    base = os.environ.get("ONEPRICE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "oneprice"
    )
    return Path(base) / "packs"


def is_cached(name: str) -> bool:
    """Whether the pack's wheel lies in the cache (its digest is checked when it is read)."""
    return (folder() / pack(name).filename).is_file()


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """The path of the pack's wheel, fetched once and checked against its pinned sha256 every time.

    Raises
    ------
    DataError
        The wheel is not in the cache and pip cannot get it, or its bytes are not the pinned ones.
    """
    wanted = pack(name)
    home = folder()
    target = home / wanted.filename
    if not target.is_file():
        if progress:
            progress(f"fetching {wanted.wheel} {wanted.version}", 0, 1)
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            got = _download(wanted, Path(scratch))
            _check(wanted, got)
            os.replace(got, target)
    _check(wanted, target)
    if progress:
        progress(f"{wanted.wheel} {wanted.version}", 1, 1)
    return target


def read(name: str) -> bytes:
    """The bytes of the pack's member."""
    wanted = pack(name)
    path = fetch(name)
    with zipfile.ZipFile(path) as wheel:
        try:
            return wheel.read(wanted.member)
        except KeyError as error:
            raise DataError(f"{path}: expected the member {wanted.member}, which it does not hold") from error


def load(name: str) -> np.ndarray:
    """BARS[n] of a pack (see `pack_parsers`): prices in quote currency, `end_ns` in UTC, no NaN."""
    wanted = pack(name)
    return PARSERS[wanted.parser](read(name), f"{wanted.filename}/{wanted.member}")


def table(name: str) -> Path:
    """A pack of rows (settlements, expiries, yields) as a Parquet file, parsed once and kept beside its wheel.

    The readers of such tables (`read_settlements`, `read_chain`, `read_treasury`) take the path. The wheel's digest is
    in the name of the file, so what is kept is of the pinned bytes. Raises DataError as `fetch`, and for rows that do
    not parse.
    """
    wanted = pack(name)
    target = folder() / f"{name}-{wanted.sha256[:16]}.parquet"
    if not target.is_file():
        rows = PARSERS[wanted.parser](read(name), f"{wanted.filename}/{wanted.member}")
        with tempfile.TemporaryDirectory(dir=folder()) as scratch:
            rows.write_parquet(Path(scratch) / "rows")
            os.replace(Path(scratch) / "rows", target)
    return target


def tape(name: str) -> Tape:
    """A pack as a tape with its header: BAR events at bar ends (one tick is 0.00001 of the quote currency), or BOOK
    and TRADE events that name their orders.

    The files of bars hold no sizes, so no depth is assumed and nothing in their tapes is executable.
    """
    if pack(name).parser == "order_events":
        return orders_tape(name)
    wanted, bars = pack(name), load(name)
    rows = np.zeros(len(bars), EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = bars["end_ns"]
    ticks = {f: np.round(bars[f] / TICK).astype(np.int64) for f in ("open", "high", "low", "close")}
    rows["close"], rows["volume"] = ticks["close"], bars["volume"].astype(np.int64)
    for field, prices in (("open_off", "open"), ("high_off", "high"), ("low_off", "low")):
        rows[field] = ticks[prices] - ticks["close"]
    rows["kind"], rows["flag_bits"] = BAR, LAST
    symbol = f"{wanted.wheel}:EURUSD"
    one = Instrument(symbol=symbol, underlying="EUR", quote="USD", tick="0.00001", lot="1")
    return make_tape(one, rows, header=header(name, bars))


def orders_tape(name: str, *, persist_ms: int = 1_000, notes: dict[str, int] | None = None) -> Tape:
    """A pack of order events as a tape that names its orders; ghosts are dropped after `persist_ms` of a cross."""
    wanted = pack(name)
    events: Any = load(name)
    recorded = recorded_of(events, f"{wanted.filename}/{wanted.member}", notes)
    first, last = (str(np.datetime64(int(t), "ns"))[:19] for t in recorded.messages["receive_ns"][[0, -1]])
    about = Header(
        source=f"{wanted.member} inside the wheel {wanted.wheel} {wanted.version}: Bitstamp BTC/USD, one collector",
        licence=f"{wanted.licence} (of the wheel, not a grant of the exchange)",
        period=f"{first} to {last} UTC",
        side=wanted.side,
        simultaneity="one venue; receive times of one collector, whole milliseconds",
        survivorship="one market, half an hour chosen by the wheel's author",
        tries=1,
        claim=False,
        claim_why="284 trades of half an hour: too few to tell a profit from luck",
        depth="orders",
    )
    return tape_of(recorded, ORDERS_INSTRUMENT, header=about, hold_ns=persist_ms * 1_000_000, notes=notes)


def prices(name: str) -> Prices:
    """A pack of daily closes as a panel, with its header."""
    wanted = pack(name)
    symbols, end_ns, close = load(name)
    about = PriceHeader(
        source=f"{wanted.member} inside the wheel {wanted.wheel} {wanted.version}; the vendor is not named",
        licence=f"{wanted.licence} (of the wheel, not a grant of the vendor of the prices)",
        period=period_of(end_ns),
        side=wanted.side,
        simultaneity="closing prices of one exchange day, taken as known at 21:00 UTC",
        adjusted="splits and dividends, by the vendor: prices of the past are not those that were traded",
        survivorship=f"{len(symbols)} stocks of the index of 2022 that lived through it all, chosen in hindsight",
        claim=False,
        claim_why="adjusted closes of survivors, without bid, ask or size",
    )
    return Prices(symbols, end_ns, close, int(np.median(np.diff(end_ns))), about)


def header(name: str, bars: np.ndarray) -> Header:
    """What must be said above anything made of this pack."""
    wanted = pack(name)
    first, last = (str(np.datetime64(int(t), "ns"))[:16] for t in (bars["end_ns"][0], bars["end_ns"][-1]))
    return Header(
        source=f"{wanted.member} inside the wheel {wanted.wheel} {wanted.version}; the vendor is not named",
        licence=f"{wanted.licence} (of the wheel, not a grant of the vendor of the prices)",
        period=f"{first} to {last} UTC, bar ends",
        side=wanted.side,
        simultaneity="hourly bars: where in its hour a price was set is not known",
        survivorship="one currency pair, chosen by the wheel's author",
        tries=1,
        claim=False,
        claim_why="bars of one side, without sizes: no price in them is known to have been executable",
    )


def _download(wanted: Pack, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--platform", wanted.platform, "--python-version", PYTHON, "-d", str(scratch)]
    command += [f"{wanted.wheel}=={wanted.version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        said = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        said = [f"pip did not finish within {FETCH_TIMEOUT_S:.0f} s"]
    got = scratch / wanted.filename
    if not got.is_file():
        why = said[-1] if said else "pip wrote no such file"
        raise DataError(
            f"data pack {wanted.name!r} is not in the cache ({folder()}) and could not be fetched: {why}\n"
            f"  missing: {wanted.filename}, sha256 {wanted.sha256}\n"
            f"  to get it, run where there is a network:  python -m pip download "
            f"--no-deps --only-binary=:all: --platform {wanted.platform} --python-version {PYTHON} "
            f"-d {folder()} {wanted.wheel}=={wanted.version}"
        )
    return got


def _check(wanted: Pack, path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted.sha256:
        raise DataError(
            f"{path}: expected sha256 {wanted.sha256} for {wanted.wheel} {wanted.version}, got {found}; "
            "delete the file to fetch it again"
        )
