"""A run told from its journal: series, causes, packages and refusals, from rows and manifest alone.

Tapes are not needed, so a run can be reported where its data are not. Amounts are ledger units
(integers) until they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import JournalError
from oneprice.core.journal_read import MAGIC
from oneprice.core.manifest import Manifest
from oneprice.core.records import (
    EQUITY,
    FILL_ROW,
    NO_PRICE,
    REFUSED,
    SAMPLE,
)

BAND_SHARE, BAND_SIGMAS = 20, 2.0


@dataclass(frozen=True)
class RunData:
    """What a journal says: ROW[n], EVENT[m], the manifest, and a sweep's result where one lies beside it."""

    name: str
    rows: np.ndarray
    events: np.ndarray
    manifest: Manifest
    sweep: dict[str, Any] | None = None
    demo: dict[str, Any] | None = None  # demo.json beside the journal
    making: dict[str, Any] | None = None  # making.json beside the journal
    strips: dict[str, Any] | None = None  # strips.json beside the journal
    notes: tuple[str, ...] = ()  # what was odd about the file, e.g. a torn tail

    def of_kind(self, kind: int) -> np.ndarray:
        """The rows of one kind, in order."""
        return self.rows[self.rows["kind"] == kind]


@dataclass(frozen=True)
class LegSeries:
    """One leg as sampled: times (ns) and prices in quote currency (NaN: no quote), position in lots."""

    name: str
    time_ns: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    mid: np.ndarray
    lots: np.ndarray


@dataclass(frozen=True)
class Gap:
    """Difference of two mids in basis points of their mean, with its own rolling band.

    `a_over_b` and `b_over_a` are what can be executed: the bid of one over the ask of the other, in bp.
    """

    names: tuple[str, str]
    time_ns: np.ndarray
    mid_bp: np.ndarray
    low_bp: np.ndarray
    high_bp: np.ndarray
    a_over_b: np.ndarray
    b_over_a: np.ndarray
    cost_bp: float  # taker fees of both legs, one crossing each; NaN where the manifest names none


@dataclass(frozen=True)
class CauseTable:
    """P&L by cause in ledger units of one currency, and the proof that it adds up."""

    currency: str
    scale: int  # a ledger unit is 10^-scale
    causes: list[tuple[str, int]]
    equity: int

    @property
    def total(self) -> int:
        """Sum of the causes."""
        return sum(v for _, v in self.causes)

    @property
    def difference(self) -> int:
        """Sum of the causes less the change in equity: 0 when the books close."""
        return self.total - self.equity

    def exact(self, units: int) -> str:
        """Ledger units as a decimal with every digit."""
        return f"{Decimal(units).scaleb(-self.scale):f}"

    def amount(self, units: int) -> float:
        """Ledger units as currency."""
        return units / 10**self.scale


def read_run(path: str | Path) -> RunData:
    """Read a run from its folder or from the journal file itself.

    Raises
    ------
    JournalError
        There is no journal, or more than one, or it cannot be trusted.
    """
    from oneprice.core.journal_read import JournalReader

    file = find_journal(Path(path))
    reader = JournalReader(file)
    names = ("sweep.json", "demo.json", "making.json", "strips.json")
    sweep, demo, making, strips = (_json_beside(file, name) for name in names)
    notes = (str(reader.torn),) if reader.torn else ()
    if not notes and not reader.closed:
        notes = ("the session was not ended in order: figures are those of the last whole frame",)
    rows, events, manifest = reader.read_rows(), reader.read_events(), reader.manifest()
    return RunData(file.parent.name, rows, events, manifest, sweep, demo, making, strips, notes)


def _json_beside(file: Path, name: str) -> dict[str, Any] | None:
    import json

    path = file.parent / name
    return dict(json.loads(path.read_text())) if path.is_file() else None


def find_journal(path: Path) -> Path:
    """The journal file in a folder, or the file itself."""
    if path.is_file():
        return path
    found = [f for f in sorted(path.iterdir()) if f.is_file() and _is_journal(f)] if path.is_dir() else []
    if len(found) != 1:
        names = ", ".join(f.name for f in found) or "none"
        raise JournalError(
            f"{path}: expected one journal in this folder, found {names}; name the file itself"
        )
    return found[0]


def _is_journal(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def leg_name(manifest: Manifest, i: int) -> str:
    """The symbol of a leg by number."""
    return str(manifest.legs[i].get("symbol", f"leg {i}")) if i < len(manifest.legs) else f"leg {i}"


def tick_of(manifest: Manifest, i: int) -> float:
    """Quote currency a tick of a leg."""
    return float(manifest.legs[i].get("tick", 1.0)) if i < len(manifest.legs) else 1.0


def legs(run: RunData) -> list[LegSeries]:
    """Each leg's sampled quotes and position."""
    samples = run.of_kind(SAMPLE)
    out = []
    for i in range(len(run.manifest.legs)):
        own = samples[samples["leg"] == i]
        tick = tick_of(run.manifest, i)
        mid = np.where(own["d"] == NO_PRICE, np.nan, own["d"] * (0.5 * tick))
        bid, ask = (np.where(own[k] == NO_PRICE, np.nan, own[k] * tick) for k in ("a", "b"))
        both = np.isfinite(bid) & np.isfinite(ask)
        name = leg_name(run.manifest, i)
        out.append(LegSeries(name, own["time_ns"], bid, ask, np.where(both, mid, np.nan), own["c"]))
    return out


def shown_legs(run: RunData, most: int) -> list[int]:
    """Numbers of the legs that a chart draws, in order: all where they are few, else those traded most (in lots)."""
    n = len(run.manifest.legs)
    if n <= most:
        return list(range(n))
    rows = run.of_kind(FILL_ROW)
    lots = np.bincount(rows["leg"], weights=np.abs(rows["qty"]).astype(float), minlength=n)[:n]
    ranked = np.argsort(-lots, kind="stable")[:most]
    return sorted(int(i) for i in ranked if lots[i] > 0)


def gap(run: RunData, a: int = 0, b: int = 1) -> Gap | None:
    """The gap between legs a and b, or None where the run has no such pair of samples."""
    series = legs(run)
    if max(a, b) >= len(series):
        return None
    one, two = series[a], series[b]
    n = min(len(one.time_ns), len(two.time_ns))
    if n == 0:
        return None
    mean = 0.5 * (one.mid[:n] + two.mid[:n])
    mid_bp = (one.mid[:n] - two.mid[:n]) / mean * 1e4
    centre, width = rolling(mid_bp, max(10, n // BAND_SHARE))
    return Gap(
        names=(one.name, two.name),
        time_ns=one.time_ns[:n],
        mid_bp=mid_bp,
        low_bp=centre - BAND_SIGMAS * width,
        high_bp=centre + BAND_SIGMAS * width,
        a_over_b=(one.bid[:n] - two.ask[:n]) / mean * 1e4,
        b_over_a=(two.bid[:n] - one.ask[:n]) / mean * 1e4,
        cost_bp=taker_bp(run.manifest, a) + taker_bp(run.manifest, b),
    )


def taker_bp(manifest: Manifest, i: int) -> float:
    """The taker fee of a leg in basis points, NaN where the manifest names none."""
    fees = (manifest.legs[i].get("fees") or {}) if i < len(manifest.legs) else {}
    return float(fees["taker_bp"]) if "taker_bp" in fees else float("nan")


def rolling(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the last `window` finite values at each row (NaN for the first two).

    Sums are of deviations from the first finite value, so a large level with small moves keeps its digits.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    base = values[finite][0]
    x = np.where(finite, values - base, 0.0)
    counts, sums, squares = (_trailing(v, window) for v in (finite.astype(float), x, x * x))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / counts
        var = np.maximum(squares / counts - mean * mean, 0.0)
    few = counts < 3
    return np.where(few, np.nan, mean + base), np.where(few, np.nan, np.sqrt(var))


def _trailing(values: np.ndarray, window: int) -> np.ndarray:
    total = np.cumsum(values)
    total[window:] -= total[:-window].copy()
    return total


@dataclass(frozen=True)
class EquityCurve:
    """Equity in ledger units of the report currency, and the causes (n, n_causes) that it is the sum of."""

    time_ns: np.ndarray
    equity: np.ndarray
    causes: np.ndarray


def equity_curve(run: RunData) -> EquityCurve:
    """The EQUITY rows put together: code 0 has equity, codes 1, 2 and 3 the causes 0-4, 5-9, 10 and 11."""
    rows = run.of_kind(EQUITY)
    heads = rows[rows["code"] == 0]
    n_causes = len(run.manifest.causes)
    causes = np.zeros((len(heads), n_causes), np.int64)
    for part in range(3):
        own = rows[rows["code"] == part + 1]
        if len(own) != len(heads):
            raise JournalError(
                f"equity rows: expected {len(heads)} of code {part + 1}, got {len(own)}: rows are missing"
            )
        for j, word in enumerate("abcde"):
            if 5 * part + j < n_causes:
                causes[:, 5 * part + j] = own[word]
    return EquityCurve(heads["time_ns"], heads["a"], causes)


def cause_table(run: RunData) -> CauseTable:
    """Last total of each cause beside the change in equity since the first sample (both in ledger units)."""
    curve = equity_curve(run)
    currency = report_currency(run.manifest)
    scale = int(run.manifest.scales.get(currency, 0))
    if len(curve.equity) == 0:
        return CauseTable(currency, scale, [], 0)
    earned = curve.causes[-1] - curve.causes[0]
    causes = [(n, int(v)) for n, v in zip(run.manifest.causes, earned, strict=True)]
    return CauseTable(currency, scale, causes, int(curve.equity[-1] - curve.equity[0]))


def report_currency(manifest: Manifest) -> str:
    """The currency in which the ledger reports: named in the manifest, else that of the first leg."""
    named = manifest.extra.get("report_currency")
    first = manifest.legs[0].get("currency", "") if manifest.legs else ""
    return str(named or first)


def drawdown(values: np.ndarray) -> int:
    """Largest fall of a series from an earlier peak (0 for a series that never falls)."""
    return int((np.maximum.accumulate(values) - values).max()) if len(values) else 0


def refusals(run: RunData) -> list[tuple[str, int]]:
    """How often the gate refused, by reason, most frequent first."""
    names = run.manifest.reasons
    codes, counts = np.unique(run.of_kind(REFUSED)["code"], return_counts=True)
    found = [
        (names[c] if c < len(names) else f"reason {c}", int(n)) for c, n in zip(codes, counts, strict=True)
    ]
    return sorted(found, key=lambda f: (-f[1], f[0]))


def fills(run: RunData) -> list[dict[str, Any]]:
    """Each fill with its leg's name, price in quote currency, signed lots and package (0: none)."""
    out = []
    for r in run.of_kind(FILL_ROW):
        i = int(r["leg"])
        out.append(
            {
                "time_ns": int(r["time_ns"]),
                "leg": leg_name(run.manifest, i),
                "leg_index": i,
                "side": "buy" if r["side"] > 0 else "sell",
                "price": float(r["price"]) * tick_of(run.manifest, i),
                "lots": int(r["qty"]),
                "maker": bool(r["tif"]),
                "owner": int(r["owner"]),
                "client_id": int(r["client_id"]),
            }
        )
    return out
