"""Anchors of carry and parity for `oneprice verify`: Hull's examples, the perpetual's identity, and how often oil stood
beyond full carry.

F03 Hull, Options, Futures and Other Derivatives, ch. 5. F04 He, Manela, Ross and von Wachter (2022).
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from oneprice.market.settlements import read_chain, read_settlements
from oneprice.signals.parity.carry import Terms, carry_band, carry_profit, strip
from oneprice.signals.parity.foreign import Rates, forward_band, forward_profit
from oneprice.signals.parity.perpetual import annualised, perpetual_ratio
from oneprice.study.anchors_market import Anchor

HULL = "Hull, ch. 5"
FUTURES = ("futures_curves/dflong.parquet", "futures_curves/expiry_table.parquet")
CL_RATE = 0.03
CL_SHARES = {0.30: 26.0, 0.50: 18.0, 0.75: 13.0, 1.00: 10.0}  # $ a barrel and month -> % of dates
CL_BACKWARDATED = 36.0
CL_SOURCE = "CL settlements 2007-2025, share of dates (%)"


def flat(rate: float, **more: object) -> Terms:
    """Terms without a gap between lending and borrowing."""
    return Terms(lend_rate=rate, borrow_rate=rate, **more)  # type: ignore[arg-type]


def parity_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module."""
    return [*hull_anchors(), *perpetual_anchors(), *crude_anchors(Path(data))]


def hull_anchors() -> list[Anchor]:
    """Forward prices of six assets, and what the arbitrage of a wrong one pays."""
    coupons = ((4 / 12, 40.0),)
    bond = carry_band(900, 900, 0.75, flat(0.04, dividends=coupons), discount=lambda t: math.exp(-0.03 * t))
    stock = carry_band(50, 50, 10 / 12, flat(0.08, dividends=((0.25, 0.75), (0.5, 0.75), (0.75, 0.75))))
    index = carry_band(1300, 1300, 0.25, flat(0.05, dividend_yield=0.01))
    gold = carry_band(450, 450, 1.0, flat(0.07, storage=((1.0, 2.0),)))
    low, high = forward_band(0.62, 0.62, 2.0, Rates(0.07, 0.07), Rates(0.05, 0.05))
    buys = 1000 * forward_profit(0.62, 0.63, 2.0, 0.07, 0.05)[0]
    sells = 1000 * forward_profit(0.62, 0.66, 2.0, 0.07, 0.05)[1]
    rows = (
        ("stock", 40.5031, carry_band(40, 40, 0.25, flat(0.05)).high, 1e-3),
        ("stock.dear", 2.4969, carry_profit(40, 43, 0.25, flat(0.05)), 1e-3),
        ("stock.cheap", 1.5031, carry_profit(40, 39, 0.25, flat(0.05)), 1e-3),
        ("bond", 886.601, bond.high, 1e-3),
        ("dividends", 51.1358, stock.high, 1e-3),
        ("index", 1313.065, index.high, 1e-3),
        ("gold", 484.629, gold.high, 1e-3),
        ("aud.low", 0.645300, low, 1e-5),
        ("aud.high", 0.645300, high, 1e-5),
        ("aud.cheap", 16.912, buys, 1e-3),
        ("aud.dear", 26.198, sells, 1e-3),
    )
    return [
        Anchor(f"F03.{name}", HULL, published, computed, tolerance) for name, published, computed, tolerance in rows
    ]


def perpetual_anchors() -> list[Anchor]:
    """The identity of price and funding, and what 1 bp each eight hours is a year."""
    source = "He-Manela-Ross-von Wachter 2022"
    ratio = perpetual_ratio(3 * 365.0, 0.05)
    simple, compounded = annualised(1e-4)
    return [
        Anchor("F04.ratio", source, 1.0000456641855793, ratio, 1e-12),
        Anchor("F04.funding", f"{source}: funding paid is r F", 0.05 * ratio, 1095.0 * (ratio - 1.0), 1e-12),
        Anchor("F04.simple", "0.01 % each 8 h, a year (%)", 10.95, 100 * simple, 1e-9),
        Anchor("F04.compounded", "0.01 % each 8 h, a year (%)", 11.571, 100 * compounded, 5e-4),
    ]


class CrudeShares(msgspec.Struct, frozen=True):
    """How often CL02 stood beyond the full carry of CL01: counts of days, by storage assumed, and what they are out of.

    `dates` are all dates of the file, `days` those with a settlement of crude: on the others (a New York holiday on
    which London settled) nothing is beyond anything, and a share of `dates` counts them so.
    """

    dates: int
    days: int
    backwardated: int
    beyond: dict[float, int]

    def of_dates(self, count: int) -> float:
        """% of all dates of the file: what the published shares are out of."""
        return 100.0 * count / self.dates

    def of_days(self, count: int) -> float:
        """% of the days with a settlement of crude."""
        return 100.0 * count / self.days


def crude_shares(data: Path) -> CrudeShares:
    """Days on which CL02 < CL01, and on which CL02 - CL01 is above CL01 (e^(r/12) - 1) and a month of storage."""
    import polars as pl

    panel = read_settlements(data / FUTURES[0], read_chain(data / FUTURES[1], "CL"))
    dates = pl.read_parquet(data / FUTURES[0], columns=["date"])["date"].n_unique()
    price, place = panel.by_place(2)
    month = np.tile([0.0, 1 / 12], (len(panel), 1))
    beyond = {}
    for storage in CL_SHARES:
        terms = np.tile([CL_RATE, 12 * storage, 0.0, 0.0], (len(panel), 1))
        beyond[storage] = int((strip(price, month, place, terms)[:, 1] > 0).sum())
    return CrudeShares(dates, len(panel), int((price[:, 1] < price[:, 0]).sum()), beyond)


def crude_anchors(data: Path) -> list[Anchor]:
    """How often the second contract of crude stood beyond full carry, by what storage is assumed to cost."""
    got = crude_shares(data)
    stated = {f"full_carry.{s:.2f}": (CL_SHARES[s], n) for s, n in got.beyond.items()}
    stated["backwardated"] = (CL_BACKWARDATED, got.backwardated)
    note = "% of all {} dates of the file, stated in whole per cent; {:.1f} % of the {} days of crude"
    return [
        Anchor(f"F06.{name}", CL_SOURCE, share, got.of_dates(n), 0.5, note.format(got.dates, got.of_days(n), got.days))
        for name, (share, n) in stated.items()
    ]
