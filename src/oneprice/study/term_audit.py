"""Audit of a term structure: for every row the no-arbitrage band of each contract, which lie outside, and for how long.

The instrument says which boundary there is: `two_sided`, `upper` (what is consumed is not lent) or `none`. The word
arbitrage is kept for bounds whose inputs are observed; else what lies outside is relative value, and what the prices
imply of the unobserved input (storage less convenience, repo) is reported with its history.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import NO_BOUNDARY, TWO_SIDED, UPPER
from oneprice.market.rates import Treasury
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.term_audit_cash import Payments, paid_by, told
from oneprice.study.term_audit_parts import Carried, part_rows
from oneprice.study.term_audit_sources import DAY_NS, Panel, day_of, flat_rows, rate_rows

ASSUMED_STORAGE = {"CL": 0.50, "BRN": 0.50, "HO": 0.012, "RB": 0.012, "NG": 0.05}  # money a unit and month
KINDS = {TWO_SIDED: kernel.TWO_SIDED, UPPER: kernel.UPPER, NO_BOUNDARY: kernel.NEITHER}
ARBITRAGE, RELATIVE = "arbitrage", "relative value"


class CarryTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What carrying is taken to cost. Rates a year, continuously compounded; `storage` money a unit and month.

    `rate` is stated flat where no yields are given; `borrow_bp` and `lend_bp` lie above and below the curve. `observed`
    says that storage, lease and rates are what the reader can deal at: without it nothing is called arbitrage. `tax` is
    a share of what is bought and delivered; `margin` the share of the price posted for a future, `margin_rate` what
    posting it costs a year: both legs are margined until their own last trade, without a credit for spreads. `reach`
    is how many earlier contracts bound a contract (None: the neighbour for settlements, all for quotes). `open`,
    `back`, `confirm` are those of `features.boundary`; `gap` rows unseen end an episode. None for storage: that of
    ASSUMED_STORAGE, 0 for other roots.
    """

    rate: float | None = None
    borrow_bp: float = 50.0
    lend_bp: float = 25.0
    storage: float | None = None
    storage_rate: float = 0.0
    lease: float = 0.0
    asset_yield: float = 0.0
    reach: int | None = None
    tax: float = 0.0
    margin: float = 0.0
    margin_rate: float = 0.0
    open: float = 0.0
    back: float = 0.0
    confirm: int = 2
    gap: int = 5
    curve_error: bool = True
    observed: bool = False

    def __post_init__(self) -> None:
        for name in ("borrow_bp", "lend_bp", "storage_rate", "lease", "tax", "margin", "margin_rate", "open"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"audit terms: expected {name} of 0 or more, got {value}")
        if self.storage is not None and not (math.isfinite(self.storage) and self.storage >= 0):
            raise ConfigError(f"audit terms: expected storage of 0 or more a unit and month, got {self.storage}")
        if not (math.isfinite(self.asset_yield) and math.isfinite(self.back)):
            raise ConfigError(f"audit terms: expected finite yield and back, got {self.asset_yield} and {self.back}")
        if self.rate is not None and not -1.0 < self.rate < 1.0:
            raise ConfigError(f"audit terms: rate: expected a share such as 0.03, got {self.rate}")
        for name in ("lease", "tax", "margin", "margin_rate"):
            if getattr(self, name) > 1.0:
                raise ConfigError(f"audit terms: expected {name} as a share such as 0.01, got {getattr(self, name)}")
        if (self.margin > 0) != (self.margin_rate > 0):
            raise ConfigError(
                f"audit terms: expected margin (a share of the price, such as 0.08) and margin_rate (a share a year, "
                f"such as 0.02) together, got {self.margin:g} and {self.margin_rate:g}: one alone costs nothing"
            )
        for name in ("confirm", "gap", "reach"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"audit terms: expected {name} of 1 or more, got {value}")


class Implied(msgspec.Struct, frozen=True):
    """What the prices imply of the input that is not observed: its name, unit and float64[T, N]."""

    name: str
    unit: str
    value: np.ndarray


class TermAudit(msgspec.Struct, frozen=True, eq=False):
    """An audited panel: `out` float64[6, T, N] (see `term_audit_kernel.bounds`), `side` int8[T, N] confirmed,
    `rows` EPISODE[n]; `inputs` says of each input of the bound where it comes from.
    """

    panel: Panel
    terms: CarryTerms
    out: np.ndarray
    side: np.ndarray
    rows: np.ndarray
    implied: tuple[Implied, ...]
    inputs: dict[str, str]
    notes: tuple[str, ...]
    carried: Carried | None = None

    @property
    def word(self) -> str:
        """arbitrage only where there is a boundary, quotes have two sides and each input can be dealt at."""
        good = self.terms.observed and self.panel.quoted and self.panel.boundary != NO_BOUNDARY
        return ARBITRAGE if good else RELATIVE

    @property
    def compared(self) -> np.ndarray:
        """bool[T, N]: where a price was held against a bound."""
        return np.isfinite(self.out[kernel.OUTSIDE]) & (self.panel.boundary != NO_BOUNDARY)

    @property
    def share_of_rows(self) -> float:
        """Of the rows with a bound, those with a contract confirmed outside; NaN without a bound."""
        have = self.compared.any(axis=1)
        return float((self.side[have] != 0).any(axis=1).mean()) if have.any() else math.nan

    def place_rows(self) -> list[dict[str, Any]]:
        """A dictionary of each place: rows compared, shares outside and confirmed, worst, what is implied."""
        out = []
        outside, compared = self.out[kernel.OUTSIDE], self.compared
        for j, name in enumerate(self.panel.places):
            have = compared[:, j]
            implied = {i.name: _median(i.value[:, j]) for i in self.implied}
            if not have.any() and not any(math.isfinite(v) for v in implied.values()):
                continue
            x = np.where(have, outside[:, j], 0.0)
            worst = int(np.argmax(np.abs(x)))
            out.append(
                {
                    "place": name,
                    "rows": int(have.sum()),
                    "above": float((x[have] > 0).mean()) if have.any() else math.nan,
                    "below": float((x[have] < 0).mean()) if have.any() else math.nan,
                    "confirmed": float((self.side[have, j] != 0).mean()) if have.any() else math.nan,
                    "worst": float(x[worst]),
                    "worst_at": self.stamp(worst) if x[worst] else "",
                    **implied,
                }
            )
        return out

    def episode_rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """The runs outside, farthest first."""
        order = np.argsort(-np.abs(self.rows["worst"]), kind="stable")[:most]
        return [
            {
                "contract": self.panel.names[int(r["key"])],
                "side": "above" if r["side"] > 0 else "below",
                "from": self.stamp(int(r["first"])),
                "to": self.stamp(int(r["last"])),
                "rows": int(r["n"]),
                "worst": float(r["worst"]),
                "worst_at": self.stamp(int(r["worst_row"])),
                "mean": float(r["total"] / r["n"]),
                "capacity": float(r["worst_size"]),
            }
            for r in self.rows[order]
        ]

    def day_rows(self, row: int) -> list[dict[str, Any]]:
        """The strip of one row: bid, ask, band, outside, implied."""
        p, out = self.panel, self.out
        rows = []
        for j in range(len(p.places)):
            if p.key[row, j] < 0 or not np.isfinite(p.price[:, row, j]).any():
                continue
            rows.append(
                {
                    "contract": p.names[int(p.key[row, j])],
                    "years": float(p.years[row, j]),
                    "bid": float(p.price[0, row, j]),
                    "ask": float(p.price[1, row, j]),
                    "low": _finite(out[kernel.LOW, row, j]),
                    "high": _finite(out[kernel.HIGH, row, j]),
                    "outside": float(out[kernel.OUTSIDE, row, j]),
                    "side": int(self.side[row, j]),
                    **{i.name: float(i.value[row, j]) for i in self.implied},
                }
            )
        return rows

    def part_rows(self, row: int) -> list[dict[str, Any]]:
        """What each bound of one row is made of (see `term_audit_parts.PARTS`); empty without a carried strip."""
        return part_rows(self.panel, self.carried, row)

    def stamp(self, row: int) -> str:
        """Day, or minute, of a row."""
        text = str(np.datetime64(int(self.panel.time_ns[row]), "ns"))
        return text[:10] if self.panel.step_ns >= DAY_NS else text[:16]

    def worst_row(self) -> int:
        """The row with the price farthest outside; where none is, the last of those with the most compared."""
        x = np.where(self.compared, np.abs(self.out[kernel.OUTSIDE]), 0.0).max(axis=1)
        if x.max() > 0:
            return int(np.argmax(x))
        held = self.compared.sum(axis=1)
        return int(np.flatnonzero(held == held.max())[-1])

    def row_of(self, day: Any) -> int:
        """The last row of a day."""
        return day_of(self.panel, day)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        worst = self.worst_row()
        return {
            "label": self.panel.label,
            "boundary": self.panel.boundary,
            "word": self.word,
            "header": dict(self.panel.header.lines()),
            "inputs": self.inputs,
            "terms": msgspec.structs.asdict(self.terms),
            "rows": len(self.panel),
            "compared": int(self.compared.sum()),
            "share_of_rows": self.share_of_rows,
            "places": self.place_rows(),
            "episodes": self.episode_rows(),
            "worst_row": {"at": self.stamp(worst), "strip": self.day_rows(worst), "parts": self.part_rows(worst)},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        from oneprice.study.term_audit_text import text

        return text(self)


def audit_strip(
    panel: Panel, terms: CarryTerms | None = None, treasury: Treasury | None = None, *,
    dividends: Payments | None = None,
) -> TermAudit:  # fmt: skip
    """The band of each contract from the contracts before it, on every row of a panel of futures.

    Parameters
    ----------
    treasury : yields to carry on, those told before each row's day; without them `terms.rate` must be stated. Neither
        is used where there is no boundary.
    dividends : of single dates, from `read_dividends`; a yield is `terms.asset_yield`.

    Raises
    ------
    ConfigError
        Neither yields nor a rate; dividends or margin of what has no boundary.
    DataError
        No row of the panel has rates.
    """
    t = terms or CarryTerms()
    root = panel.label.split()[0]
    store = t.storage if t.storage is not None else ASSUMED_STORAGE.get(root, 0.0)
    if panel.boundary == NO_BOUNDARY:
        grid, logs = flat_rows(0.0, len(panel))
        source = "not needed: without a boundary nothing is carried"
        if dividends is not None or t.margin:
            raise ConfigError(f"{panel.label}: no boundary exists, so dividends and margin have nothing to widen")
    else:
        grid, logs, source = _rates(panel, t, treasury)
    packed = _packed(t, panel, 12.0 * store)
    price, years, cost = (np.ascontiguousarray(a, np.float64) for a in (panel.price, panel.years, panel.cost))
    cash = kernel.NO_CASH
    if dividends is not None:
        cash = paid_by(dividends, panel.time_ns, years, (grid, logs), (packed[kernel.BORROW], packed[kernel.LEND]))
    out = kernel.history(price, years, cost, grid, logs, packed, cash=cash)
    inputs = _inputs(panel, t, store, source, dividends)
    notes = (*_notes(panel, out), *(dividends.notes if dividends is not None else ()))
    return finish(panel, t, out, _implied(panel, out), inputs, notes, carried=Carried(grid, logs, packed, cash))


def _packed(t: CarryTerms, panel: Panel, storage_a_year: float) -> np.ndarray:
    """The terms as the kernel takes them."""
    packed = np.zeros(kernel.N_TERMS)
    packed[kernel.BORROW], packed[kernel.LEND] = t.borrow_bp * 1e-4, t.lend_bp * 1e-4
    packed[kernel.STORAGE_RATE], packed[kernel.STORAGE] = t.storage_rate, storage_a_year
    packed[kernel.YIELD], packed[kernel.FEE] = t.asset_yield, t.lease
    packed[kernel.BOUND] = KINDS[panel.boundary]
    packed[kernel.REACH] = t.reach or (len(panel.places) if panel.quoted else 1)
    packed[kernel.TAX], packed[kernel.MARGIN] = t.tax, t.margin * t.margin_rate
    return packed


def _implied(panel: Panel, out: np.ndarray) -> tuple[Implied, ...]:
    """What prices imply of the input that this boundary leaves unobserved."""
    if panel.boundary == TWO_SIDED:
        return (Implied("implied_repo", "a year", out[kernel.IMPLIED] + out[kernel.RATE]),)
    if panel.boundary == UPPER:
        return (
            Implied("implied_storage", f"{panel.unit} a unit and month", out[kernel.MONEY]),
            Implied("implied_rate", "a year", out[kernel.IMPLIED]),
        )
    return (Implied("roll", "a year", out[kernel.IMPLIED] + out[kernel.RATE]),)


def _inputs(panel: Panel, t: CarryTerms, store: float, rate: str, dividends: Payments | None) -> dict[str, str]:
    """Where each input of the bound comes from."""
    prices = "quotes of the file" if panel.quoted else "settlements: no bid or ask"
    if panel.boundary == NO_BOUNDARY:
        return {"prices": prices, "rate": rate, "storage": "cannot be stored"}
    word = "stated" if t.storage is not None else "assumed"
    lent = f"{t.lease:g} a year" if panel.boundary == TWO_SIDED else "cannot be lent"
    posted = f"{100 * t.margin:g} % of the price of both legs, each until its last trade, at {t.margin_rate:g} a year"
    return {
        "prices": prices,
        "rate": rate,
        "borrow and lend": f"{t.borrow_bp:g} bp above, {t.lend_bp:g} bp below the curve, stated",
        "storage": f"{store:g} {panel.unit} a unit and month, {word}, and {t.storage_rate:g} a year",
        "fee of borrowing the asset": lent,
        "dividends": told(dividends) + (f", and a yield of {t.asset_yield:g} a year" if t.asset_yield else ""),
        "margin": f"{posted}, stated" if t.margin else "none stated",
        "tax": f"{t.tax:g} of what is bought and delivered, stated" if t.tax else "none stated",
        "crossing": "fee alone" if panel.quoted else "assumed half spread of place and era, and fee",
    }


def finish(
    panel: Panel, terms: CarryTerms, out: np.ndarray, implied: tuple[Implied, ...], inputs: dict[str, str],
    notes: tuple[str, ...], carried: Carried | None = None,
) -> TermAudit:  # fmt: skip
    """Confirm what lies outside and gather its episodes."""
    n_keys, key = len(panel.names), np.ascontiguousarray(panel.key, np.int64)
    rule = (terms.open, terms.back, terms.confirm)
    low, high = np.ascontiguousarray(out[kernel.LOW]), np.ascontiguousarray(out[kernel.HIGH])
    side = kernel.confirmed(np.ascontiguousarray(panel.price), key, low, high, n_keys, rule)
    outside = np.ascontiguousarray(out[kernel.OUTSIDE])
    depth = panel.size if panel.size.size else None
    rows = kernel.episodes(side, key, outside, n_keys, terms.gap, depth)
    return TermAudit(panel, terms, out, side, rows, implied, inputs, notes, carried)


def _rates(panel: Panel, t: CarryTerms, treasury: Treasury | None) -> tuple[np.ndarray, np.ndarray, str]:
    """(grid, ln P of each row, where they come from)."""
    if t.rate is not None:
        grid, logs = flat_rows(t.rate, len(panel))
        return grid, logs, f"{t.rate:g} a year, stated"
    if treasury is None:
        raise ConfigError(f"{panel.label}: carrying needs rates: state rate= or give Treasury yields")
    days, at = np.unique(panel.time_ns // DAY_NS, return_inverse=True)
    grid, logs = rate_rows(treasury, days, fit_error=t.curve_error)
    if not np.isfinite(logs).all(axis=1).any():
        raise DataError(
            f"{panel.label}: no row has rates: {treasury.source} has none of the days before; state a rate: --rate"
        )
    error = " with the error of a Svensson fit of the day" if t.curve_error else ""
    return grid, np.ascontiguousarray(logs[at]), f"Treasury yields told before each day ({treasury.source}){error}"


def _notes(panel: Panel, out: np.ndarray) -> tuple[str, ...]:
    """What a reader must know: rows without rates, prices without a log, what the source left out."""
    notes = list(panel.excluded)
    dark = np.isfinite(panel.price).any(axis=(0, 2)) & ~np.isfinite(out[kernel.RATE]).any(axis=1)
    if dark.any():
        first, last = (str(np.datetime64(int(panel.time_ns[i]), "ns"))[:10] for i in np.flatnonzero(dark)[[0, -1]])
        notes.append(f"{int(dark.sum())} rows have no band, for want of rates or of a second price ({first} to {last})")
    bad = np.argwhere(panel.price[0] <= 0.0)
    if len(bad):
        t, j = bad[0]
        day = str(np.datetime64(int(panel.time_ns[t]), "ns"))[:10]
        notes.append(
            f"{len(bad)} prices not above 0 (first: {panel.names[int(panel.key[t, j])]} on {day}, "
            f"{panel.price[0, t, j]:g}): they carry no rate"
            + ("" if panel.boundary == NO_BOUNDARY else ", the bound behind them is storage and cost alone")
        )
    if not panel.quoted and panel.boundary != NO_BOUNDARY:
        lone = np.isfinite(panel.price[0]) & np.isnan(out[kernel.OUTSIDE]) & ~dark[:, None]
        lone[:, 0] = False
        lone[:, 1:] &= panel.key[:, :-1] >= 0
        if lone.any():
            t, j = np.argwhere(lone)[0]
            day = str(np.datetime64(int(panel.time_ns[t]), "ns"))[:10]
            notes.append(
                f"{int(lone.sum())} prices are held against no bound: the contract before had none that day "
                f"(first: {panel.names[int(panel.key[t, j])]} on {day})"
            )
    if panel.boundary == NO_BOUNDARY:
        notes.append(
            "no boundary: what cannot be stored or lent cannot be bought today and delivered later, so no rate is "
            "needed and nothing can lie outside; the roll of the curve is all there is to report"
        )
    return tuple(notes)


def _median(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if len(good) else math.nan


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else math.nan
