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
from oneprice.study.term_audit_sources import DAY_NS, Panel, day_of, flat_rows, rate_rows

ASSUMED_STORAGE = {"CL": 0.50, "BRN": 0.50, "HO": 0.012, "RB": 0.012, "NG": 0.05}  # money a unit and month
KINDS = {TWO_SIDED: kernel.TWO_SIDED, UPPER: kernel.UPPER, NO_BOUNDARY: kernel.NEITHER}
ARBITRAGE, RELATIVE = "arbitrage", "relative value"


class CarryTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What carrying is taken to cost. Rates a year, continuously compounded; `storage` money a unit and month.

    `rate` is stated flat where no yields are given; `borrow_bp` and `lend_bp` lie above and below the curve. `observed`
    says that storage, lease and rates are what the reader can deal at: without it nothing is called arbitrage. `reach`
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
    open: float = 0.0
    back: float = 0.0
    confirm: int = 2
    gap: int = 5
    curve_error: bool = True
    observed: bool = False

    def __post_init__(self) -> None:
        for name in ("borrow_bp", "lend_bp", "storage_rate", "lease", "open"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"audit terms: expected {name} of 0 or more, got {value}")
        if self.storage is not None and not (math.isfinite(self.storage) and self.storage >= 0):
            raise ConfigError(f"audit terms: expected storage of 0 or more a unit and month, got {self.storage}")
        if not (math.isfinite(self.asset_yield) and math.isfinite(self.back)):
            raise ConfigError(f"audit terms: expected finite yield and back, got {self.asset_yield} and {self.back}")
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
        """The strip of one row: bid, ask, band, outside, implied, and the parts of its upper bound."""
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

    def stamp(self, row: int) -> str:
        """Day, or minute, of a row."""
        text = str(np.datetime64(int(self.panel.time_ns[row]), "ns"))
        return text[:10] if self.panel.step_ns >= DAY_NS else text[:16]

    def worst_row(self) -> int:
        """The row with the price farthest outside; the last when there is none."""
        x = np.where(self.compared, np.abs(self.out[kernel.OUTSIDE]), 0.0).max(axis=1)
        return int(np.argmax(x)) if x.max() > 0 else len(self.panel) - 1

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
            "worst_row": {"at": self.stamp(worst), "strip": self.day_rows(worst)},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        from oneprice.study.term_audit_text import text

        return text(self)


def audit_strip(panel: Panel, terms: CarryTerms | None = None, treasury: Treasury | None = None) -> TermAudit:
    """The band of each contract from the contracts before it, on every row of a panel of futures.

    Parameters
    ----------
    treasury : yields to carry on, those told before each row's day; without them `terms.rate` must be stated.

    Raises
    ------
    ConfigError
        Neither yields nor a rate.
    DataError
        No row of the panel has rates.
    """
    t = terms or CarryTerms()
    grid, logs, told = _rates(panel, t, treasury)
    root = panel.label.split()[0]
    store = t.storage if t.storage is not None else ASSUMED_STORAGE.get(root, 0.0)
    packed = np.zeros(kernel.N_TERMS)
    packed[kernel.BORROW], packed[kernel.LEND] = t.borrow_bp * 1e-4, t.lend_bp * 1e-4
    packed[kernel.STORAGE_RATE], packed[kernel.STORAGE] = t.storage_rate, 12.0 * store
    packed[kernel.YIELD], packed[kernel.FEE] = t.asset_yield, t.lease
    packed[kernel.BOUND] = KINDS[panel.boundary]
    packed[kernel.REACH] = t.reach or (len(panel.places) if panel.quoted else 1)
    price, years, cost = (np.ascontiguousarray(a, np.float64) for a in (panel.price, panel.years, panel.cost))
    out = kernel.history(price, years, cost, grid, logs, packed)
    money = f"{panel.unit} a unit and month"
    implied: tuple[Implied, ...]
    if panel.boundary == TWO_SIDED:
        implied = (Implied("implied_repo", "a year", out[kernel.IMPLIED] + out[kernel.RATE]),)
    elif panel.boundary == UPPER:
        implied = (
            Implied("implied_storage", money, out[kernel.MONEY]),
            Implied("implied_rate", "a year", out[kernel.IMPLIED]),
        )
    else:
        implied = (Implied("roll", "a year", out[kernel.IMPLIED] + out[kernel.RATE]),)
    inputs = {
        "prices": "quotes of the file" if panel.quoted else "settlements: no bid or ask",
        "rate": told,
        "borrow and lend": f"{t.borrow_bp:g} bp above, {t.lend_bp:g} bp below the curve, stated",
        "storage": f"{store:g} {money}, {'stated' if t.storage is not None else 'assumed'}, and {t.storage_rate:g} a "
        f"year" if panel.boundary != NO_BOUNDARY else "cannot be stored",
        "fee of borrowing the asset": f"{t.lease:g} a year" if panel.boundary == TWO_SIDED else "cannot be lent",
        "crossing": "fee alone" if panel.quoted else "assumed half spread of place and era, and fee",
    }  # fmt: skip
    return finish(panel, t, out, implied, inputs, _notes(panel, out))


def finish(
    panel: Panel, terms: CarryTerms, out: np.ndarray, implied: tuple[Implied, ...], inputs: dict[str, str],
    notes: tuple[str, ...],
) -> TermAudit:  # fmt: skip
    """Confirm what lies outside and gather its episodes."""
    n_keys, key = len(panel.names), np.ascontiguousarray(panel.key, np.int64)
    rule = (terms.open, terms.back, terms.confirm)
    low, high = np.ascontiguousarray(out[kernel.LOW]), np.ascontiguousarray(out[kernel.HIGH])
    side = kernel.confirmed(np.ascontiguousarray(panel.price), key, low, high, n_keys, rule)
    outside = np.ascontiguousarray(out[kernel.OUTSIDE])
    depth = panel.size if panel.size.size else None
    rows = kernel.episodes(side, key, outside, n_keys, terms.gap, depth)
    return TermAudit(panel, terms, out, side, rows, implied, inputs, notes)


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
        raise DataError(f"{panel.label}: no row has rates: {treasury.source} has none of the days before; state rate=")
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
            f"{panel.price[0, t, j]:g}): they carry no rate, the bound behind them is storage and cost alone"
        )
    if panel.boundary == NO_BOUNDARY:
        notes.append("no boundary: nothing can lie outside; the roll of the curve is all there is to report")
    return tuple(notes)


def _median(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if len(good) else math.nan


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else math.nan
