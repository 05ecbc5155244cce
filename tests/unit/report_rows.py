"""A run made by hand, with known figures, for tests of the report and of the story of a package."""

from __future__ import annotations

import numpy as np

from oneprice.core.manifest import Manifest, StrategyEntry, TapeEntry
from oneprice.core.records import (
    CAUSES,
    COMMAND,
    EQUITY,
    FILL_ROW,
    IOC,
    NEW,
    NO_PRICE,
    PACKAGE_ROW,
    R_STALE_QUOTE,
    REFUSED,
    RESIDUAL_ROW,
    ROW,
    SAMPLE,
)
from oneprice.execution.blotter import P_CLOSED, P_WORKING, RES_LEFT
from oneprice.study.report import RunData

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def manifest() -> Manifest:
    """Two linear legs of BTC in USD, tick 0.1, lot 0.001, ledger units of 1e-8 USD."""
    leg = {
        "underlying": "BTC",
        "quote": "USD",
        "currency": "USD",
        "tick": "0.1",
        "lot": "0.001",
        "multiplier": "1",
    }
    fees = {"maker_bp": 0, "taker_bp": "1.0"}
    header = {
        "source": "made by hand",
        "licence": "Apache-2.0",
        "period": "2023-11-14",
        "side": "both",
        "simultaneity": "one clock",
        "survivorship": "none",
        "tries": 1,
        "claim": False,
        "claim_why": "the prices are <invented>",
    }
    return Manifest(
        seed=7,
        strategies=[StrategyEntry("cross_market", {"edge_bp": 2.0}, source="def f(): ...", legs=[0, 1])],
        legs=[leg | {"symbol": "alpha:BTC", "fees": fees}, leg | {"symbol": "beta:BTC", "fees": fees}],
        scales={"USD": 8},
        tapes=[TapeEntry(0, "a.ev", "ab" * 32, 10), TapeEntry(1, "b.ev", "cd" * 32, 10)],
        headers=[header, header],
    )


def rows(n: int = 300, seed: int = 3) -> np.ndarray:
    """Samples each second, one package (number 5) bought on beta and sold on alpha, equity that closes."""
    rng = np.random.default_rng(seed)
    out: list[np.void] = []
    mid = 600_000 + np.cumsum(rng.integers(-6, 7, n))
    gap = np.round(30 * np.exp(-(((np.arange(n) - 120) / 20.0) ** 2))).astype(int) + rng.integers(-4, 5, n)
    for i in range(n):
        now = START_NS + i * SECOND
        held = 40 if 110 <= i < 160 else 0
        for leg in (0, 1):
            centre = int(mid[i]) + (int(gap[i]) if leg == 0 else 0)
            empty = leg == 1 and 40 <= i < 45
            out.append(_row(SAMPLE, now, leg=leg, a=centre - 5, b=NO_PRICE if empty else centre + 5,
                            c=held * (1 if leg else -1), d=2 * centre))  # fmt: skip
        causes = np.zeros(len(CAUSES), np.int64)
        if i >= 110:
            causes[:5] = (-4_000_000_00, -35_000_000, 250_000_00 * (i - 110), 9_000_000_00, -4_800_000_01)
        total = int(causes.sum())
        out.append(_row(EQUITY, now, a=10_000 * 10**8 + total, b=10_000 * 10**8, c=i))
        for part in range(3):
            words = dict(zip("abcde", causes[5 * part : 5 * part + 5].tolist(), strict=False))
            out.append(_row(EQUITY, now, code=part + 1, **words))
        if i == 110:
            out += package_rows(now, int(mid[i]))
    return np.array(out, ROW)


def package_rows(now: int, mid: int) -> list[np.void]:
    """Leg 1 is bought at once, leg 0 is refused, then sold 3 ms later in two fills of 30 and 10 lots."""
    mid2, ms = 2 * mid, 1_000_000
    order = {"owner": 6, "tif": IOC, "qty": 40}
    sold = {"owner": 6, "side": -1, "price": mid + 20}
    return [
        _row(PACKAGE_ROW, now, package=5, code=P_WORKING),
        _row(COMMAND, now, client_id=1, leg=1, side=1, price=mid + 5, code=NEW, **order),
        _row(REFUSED, now, client_id=2, leg=0, side=-1, price=mid + 20, code=R_STALE_QUOTE, **order),
        _row(FILL_ROW, now + ms, client_id=1, owner=6, leg=1, side=1, price=mid + 5, qty=40, limit=mid2),
        _row(COMMAND, now + 2 * ms, client_id=3, leg=0, side=-1, price=mid + 20, code=NEW, **order),
        _row(FILL_ROW, now + 3 * ms, client_id=3, leg=0, qty=30, limit=mid2, **sold),
        _row(FILL_ROW, now + 4 * ms, client_id=3, leg=0, qty=10, limit=mid2 - 20, **sold),
        _row(RESIDUAL_ROW, now + 4 * ms, package=-1, leg=0, side=-1, a=-2, b=ms, c=-2, code=RES_LEFT),
        _row(PACKAGE_ROW, now + 5 * ms, package=5, code=P_CLOSED),
    ]


def run() -> RunData:
    """The run as the report reads it, with a sweep beside it."""
    cells = [
        {"latency_ms": d, "fee_bp": f, "size": s, "pnl": 4.0 - 0.02 * d - 1.3 * f - s}
        for d in (0.0, 1.0, 10.0, 100.0)
        for f in (0.0, 1.0, 2.0, 5.0)
        for s in (0.1, 0.5)
    ]
    return RunData("by-hand", rows(), np.zeros(0), manifest(), {"map": cells, "tries": 32, "unit": "USD"})


def _row(kind: int, time_ns: int, **words: int) -> np.void:
    row = np.zeros(1, ROW)
    row["kind"], row["time_ns"] = kind, time_ns
    for name, value in words.items():
        row[name] = value
    return row[0]
