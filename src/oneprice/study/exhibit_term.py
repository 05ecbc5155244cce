"""Exhibit "A curve beyond full carry": crude oil's curve joined with the Treasury's, and what storage was implied.

ln(F2 / F1) / dT - r is implied storage less convenience. When tanks are full it rises far above what storage usually
costs: the curve is beyond full carry, and yet nothing is free, for the storage that would close it is the one thing
not quoted. Two wheels hold the data; the rates of one end before the prices of the other.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.market import packs
from oneprice.market.chains import DAYS_A_YEAR, day_number, day_text
from oneprice.market.header import Header
from oneprice.market.rates import Treasury, read_treasury
from oneprice.market.settlements import read_chain, read_settlements
from oneprice.study.term_audit_sources import rate_rows

TITLE = "A curve beyond full carry: what oil in tanks was worth"
ROWS, EXPIRIES, YIELDS = "futures_settlements_1d", "futures_expiries", "treasury_par_1d"
ROOT = "CL"
STORAGE = 0.50  # USD a barrel and month, assumed: what leased onshore tanks are often said to cost
ERAS = (
    ("2008-12-01", "2009-06-30", "super-contango of 2009"),
    ("2015-01-01", "2016-12-31", "glut of 2015-16"),
    ("2020-03-01", "2020-05-31", "spring of 2020"),
)
EVENT = "2020-04-20"
AROUND = 45  # rows each side of the event, drawn
LEAST_YEARS = 0.02  # between the two expiries


class Era(msgspec.Struct, frozen=True):
    """A stretch of days: how many had a value, share of them above STORAGE, median and highest (USD a barrel and
    month), the day of the highest. `rate` says whether financing was taken off.
    """

    period: str
    days: int
    beyond_share: float
    median: float
    highest: float
    highest_on: str
    rate: str


class TermExhibit(msgspec.Struct, frozen=True, eq=False):
    """All that exhibit 5 says; `days` int64[T], `implied` float64[T] USD a barrel and month less financing where there
    are rates (NaN elsewhere), `implied_rate` the same as a rate, `spread` float64[T] second less first contract.
    """

    header: Header
    days: np.ndarray
    implied: np.ndarray
    implied_rate: np.ndarray
    spread: np.ndarray
    first: np.ndarray
    eras: tuple[Era, ...]
    rates_until: str
    storage: float = STORAGE

    @property
    def share(self) -> float:
        """Of the days with rates, those above the assumed storage."""
        have = np.isfinite(self.implied)
        return float((self.implied[have] > self.storage).mean())

    @property
    def event(self) -> tuple[float, float]:
        """(first contract, spread) on EVENT."""
        at = int(np.searchsorted(self.days, day_number(EVENT)))
        return float(self.first[at]), float(self.spread[at])

    @property
    def verdict(self) -> str:
        """One paragraph."""
        glut, later = self.eras[0], self.eras[1]
        price, spread = self.event
        return (
            f"On {100 * self.share:.0f} % of the days with rates the second contract stood above the first by "
            f"more than financing and {self.storage:g} USD a barrel and month: up to {glut.highest:.2f} on "
            f"{glut.highest_on}, "
            f"up to {later.highest:.2f} in 2015-16. On {EVENT} the first contract settled at {price:.2f}, {spread:.2f} "
            f"below the second; the rates end on {self.rates_until}, so nothing is taken off there and no bound is "
            f"drawn. Beyond full carry is not arbitrage: the price of a free tank is not in the file. No P&L is "
            f"claimed."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the history thinned to a week."""
        near = np.abs(np.arange(len(self.days)) - int(np.searchsorted(self.days, day_number(EVENT)))) <= AROUND
        keep = (np.arange(len(self.days)) % 5 == 0) | near
        return {
            "title": TITLE,
            "header": dict(self.header.lines()),
            "storage": self.storage,
            "share_beyond": self.share,
            "rates_until": self.rates_until,
            "eras": [msgspec.structs.asdict(e) for e in self.eras],
            "event": {"day": EVENT, "first": self.event[0], "spread": self.event[1]},
            "notes": list(notes(self)),
            "history": {
                "day": [day_text(int(d)) for d in self.days[keep]],
                "implied_storage": [_plain(v) for v in self.implied[keep]],
                "implied_rate": [_plain(v) for v in self.implied_rate[keep]],
                "spread": [_plain(v) for v in self.spread[keep]],
            },
            "event_window": [day_text(int(self.days[i])) for i in np.flatnonzero(near)[[0, -1]]],
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        lines = [f"5. {TITLE}", "", *(f"  {name:20s} {value}" for name, value in self.header.lines()), ""]
        lines.append("  period                                     days  beyond %   median  highest  on")
        for e in self.eras:
            name = f"{e.period}{'' if e.rate == 'taken off' else ' *'}"
            lines.append(
                f"  {name:40s} {e.days:6d} {100 * e.beyond_share:9.0f} {e.median:8.2f} {e.highest:8.2f}  {e.highest_on}"
            )
        lines.append("  USD a barrel and month, storage less convenience; * financing not taken off: no rates")
        return "\n".join([*lines, *(f"  note: {n}" for n in notes(self)), "", f"  {self.verdict}"])


def notes(found: TermExhibit) -> tuple[str, ...]:
    """What these data are not."""
    return (
        "settlements: one price a day, no bid, ask or size",
        "par yields are smoothed by the Treasury, those told before each day are used; who stores oil pays more",
        f"storage of {found.storage:g} is assumed; the convenience of having oil is not observed, so only the "
        f"difference of the two is known",
    )


def term_exhibit() -> TermExhibit:
    """Fetch the two wheels, join them and compute what the first two contracts of crude imply.

    Raises
    ------
    DataError
        A pack is neither in the cache nor fetchable; the text says what is missing and how to get it.
    """
    rows, expiries, yields = packs.table(ROWS), packs.table(EXPIRIES), packs.table(YIELDS)
    panel = read_settlements(rows, read_chain(expiries, ROOT))
    treasury = read_treasury(yields)
    price, at = panel.by_place(2)
    ends = panel.chain.last_trade_days
    years = np.where(at >= 0, (ends[np.maximum(at, 0)] - panel.days[:, None]) / DAYS_A_YEAR, np.nan)
    growth = growth_of(treasury, panel.days, years)
    tau = years[:, 1] - years[:, 0]
    apart = tau > LEAST_YEARS
    first, second = price[:, 0], price[:, 1]
    good = apart & (first > 0.0) & (second > 0.0)
    money, rate = np.full(len(first), np.nan), np.full(len(first), np.nan)
    money[apart] = (second - first * growth)[apart] / (12.0 * tau[apart])
    rate[good] = (np.log(second[good] / first[good]) - np.log(growth[good])) / tau[good]
    gross = np.where(apart, (second - first) / (12.0 * np.where(apart, tau, 1.0)), np.nan)
    eras = tuple(_era(panel.days, money, gross, *e) for e in ERAS)
    until = day_text(int(treasury.days[-1]))
    return TermExhibit(_header(panel.days, until), panel.days, money, rate, second - first, first, eras, until)


def growth_of(treasury: Treasury, days: np.ndarray, years: np.ndarray) -> np.ndarray:
    """float64[T]: what one unit lent from the first to the second expiry grows to, by the yields told before each day.

    NaN on days without yields; expiries are nearer than the last node.
    """
    grid, logs = rate_rows(treasury, days, fit_error=False)
    out = np.full(len(days), np.nan)
    for t in np.flatnonzero(np.isfinite(logs[:, 0]) & np.isfinite(years).all(axis=1)):
        near, far = np.interp(years[t], np.append(0.0, grid), np.append(0.0, logs[t, :-1]))
        out[t] = math.exp(near - far)
    return out


def _era(days: np.ndarray, money: np.ndarray, gross: np.ndarray, first: str, last: str, name: str) -> Era:
    inside = (days >= day_number(first)) & (days <= day_number(last))
    rated = bool(np.isfinite(money[inside]).any())
    used = np.where(inside & np.isfinite(money if rated else gross), money if rated else gross, np.nan)
    have = np.flatnonzero(np.isfinite(used))
    top = int(have[np.argmax(used[have])])
    return Era(
        period=f"{name} ({first[:7]}..{last[:7]})", days=len(have),
        beyond_share=float((used[have] > STORAGE).mean()), median=float(np.median(used[have])),
        highest=float(used[top]), highest_on=day_text(int(days[top])), rate="taken off" if rated else "no rates",
    )  # fmt: skip


def _header(days: np.ndarray, until: str) -> Header:
    prices, yields = packs.pack(ROWS), packs.pack(YIELDS)
    wheels = " and ".join(f"{p.member} inside the wheel {p.wheel} {p.version}" for p in (prices, yields))
    return Header(
        source=f"{wheels}; the vendors are not named",
        licence=f"{prices.licence} and {yields.licence} (of the wheels, not a grant of the exchange)",
        period=f"{day_text(int(days[0]))}..{day_text(int(days[-1]))}, rates to {until}",
        side="not stated",
        simultaneity="one settlement a day; yields of the day before",
        survivorship="one commodity, known for these episodes and chosen in hindsight",
        tries=1,
        claim=False,
        claim_why="settlements and smoothed yields: neither is a price at which anyone could deal, storage is assumed",
    )


def _plain(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
