"""What a screen found, how many looks it took, and what it left out; prints as a table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.market.prices import PriceHeader
from oneprice.market.prices_checks import Excluded, Flag
from oneprice.signals.clusters.matching import match
from oneprice.signals.unit_root.null import p_text
from oneprice.study.screen_judge import Refusal
from oneprice.study.screen_rows import DISCOVERY, REFUSED, PairRow, to_dict

SHOWN = 20
COLUMNS = (
    "pair", "verdict", "beta", "s.e.", "stat", "p", "q", "half-life", "interval", "no noise", "walks %",
    "Hurst", "VR(8)", "stable", "cost bp", "edge/cost", "net", "mkt beta", "sector", "held out",
)  # fmt: skip


class ScreenResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything a screen says. `pairs` are the best by statistic with their verdicts; half-lives are in steps.

    `declared` counts the hypotheses, `tests` those with a statistic, `below` how many p-values lie at or under each
    level (chance alone gives level x tests), `significant` how many survive the correction, exactly, listed or not.
    In a `ranking` no pair is a discovery: see `confirmed`.
    """

    header: PriceHeader
    space: str
    label: str
    ranking: bool
    n_series: int
    n_obs: int
    step_ns: int
    lags: int | str
    families: dict[str, tuple[str, ...]]
    pairs: tuple[PairRow, ...]
    refused: tuple[Refusal, ...]
    n_collinear: int
    declared: int
    tests: int
    below: dict[str, int]
    significant: int
    false_discovery: float
    correction: str
    held_out: int
    excluded: tuple[Excluded, ...]
    flagged: tuple[Flag, ...]
    notes: tuple[str, ...]
    pairs_per_s: float
    baskets: tuple[Any, ...] = ()

    @property
    def discoveries(self) -> tuple[PairRow, ...]:
        """Pairs that survive the correction over the declared family; none in a ranking."""
        return tuple(r for r in self.pairs if r.verdict == DISCOVERY)

    @property
    def confirmed(self) -> tuple[PairRow, ...]:
        """Pairs that survive the correction on the held-out period."""
        return tuple(r for r in self.pairs if r.confirmed)

    @property
    def survivors(self) -> tuple[PairRow, ...]:
        """What may be traded on: confirmed where a period was held out, else discoveries."""
        return self.confirmed if self.held_out else self.discoveries

    def matched(self, rows: Sequence[PairRow] | None = None) -> tuple[PairRow, ...]:
        """Of the survivors (or of `rows`), the heaviest choice in which no asset is in two pairs.

        A pair weighs the logarithm of the odds against it, -log10 p (at least its floor's).
        """
        chosen = list(self.survivors if rows is None else rows)
        names = sorted({s for r in chosen for s in (r.y, r.x)})
        at = {s: i for i, s in enumerate(names)}
        edges = np.array([(at[r.y], at[r.x]) for r in chosen], np.int64).reshape(-1, 2)
        weight = np.array([-math.log10(max(r.p, r.floor, 1e-300)) for r in chosen])
        return tuple(chosen[k] for k in match(edges, weight))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        out = {f: getattr(self, f) for f in self.__struct_fields__ if f not in ("pairs", "baskets")}
        plain = msgspec.to_builtins(out)
        plain["pairs"] = [to_dict(r) for r in self.pairs]
        plain["baskets"] = [msgspec.to_builtins(b) for b in self.baskets]
        plain["survivors"] = [f"{r.y}/{r.x}" for r in self.survivors]
        return dict(_finite(plain))

    def to_frame(self) -> Any:
        """A polars frame, one row a pair."""
        import polars as pl

        return pl.DataFrame([to_dict(r) for r in self.pairs], infer_schema_length=None)

    def write(self, path: str | Path) -> Path:
        """Write the result as JSON (whole or not at all); returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict(), indent=1))
        os.replace(scratch, target)
        return target

    def headline(self) -> list[str]:
        """The sentences that must stand above the table."""
        tried = f"{self.n_series} series x {self.n_obs} times, {self.tests:,} tests of {self.declared:,} pairs"
        counts = ", ".join(
            f"p <= {level}: {n:,} ({_chance(float(level) * self.tests)} by chance)" for level, n in self.below.items()
        )
        rule = f"{self.correction.upper()} at {self.false_discovery:g}"
        if self.ranking:
            end = f"ranking only: {len(self.confirmed)} confirmed by {rule} on {self.held_out} later times"
            verdict = end if self.held_out else "ranking only, not confirmed: no pair here is a discovery"
        else:
            verdict = f"{self.significant:,} of them survive {rule}; of the {len(self.pairs):,} best, described here, "
            verdict += f"{len(self.discoveries):,} are discoveries that nothing speaks against"
            if self.held_out:
                verdict += f", {len(self.confirmed)} confirmed on {self.held_out} later times"
        speed = f"{self.pairs_per_s:,.0f} pairs/s" if math.isfinite(self.pairs_per_s) else ""
        return [f"{self.label}, space {self.space}", tried, counts, verdict, speed]

    def table(self, most: int = SHOWN) -> tuple[list[str], list[list[str]]]:
        """(columns, rows of text) of the best that were not refused."""
        shown = [r for r in self.pairs if r.verdict != REFUSED][:most]
        return list(COLUMNS), [cells(r) for r in shown]

    def __str__(self) -> str:
        lines = [*(f"{k}: {v}" for k, v in self.header.lines()), *(s for s in self.headline() if s)]
        columns, rows = self.table()
        widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
        lines += ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in [columns, *rows]]
        lines += [str(b) for b in self.baskets]
        lines += [f"excluded {e.symbol}: {e.reason}" for e in self.excluded]
        lines += [f"flagged {f.symbol}: {f.kind}: {f.text}" for f in self.flagged]
        lines += [f"refused {r.y}/{r.x}: {r.reason}" for r in self.refused[:SHOWN]]
        if len(self.refused) > SHOWN:
            lines.append(f"... and {len(self.refused) - SHOWN} more refused pairs")
        return "\n".join([*lines, *self.notes])


def _chance(count: float) -> str:
    return f"{count:,.0f}" if count >= 10.0 else f"{count:.2g}"


def cells(r: PairRow) -> list[str]:
    """One row of the table as text."""
    verdict = "confirmed" if r.confirmed else r.verdict
    out = p_text(r.p_out, r.floor_out) if math.isfinite(r.p_out) else "-"
    return [
        f"{r.y}/{r.x}", verdict, f"{r.beta:.4f}", f"{r.beta_se:.4f}", f"{r.stat:.2f}", r.p_text, f"{r.q:.3g}",
        f"{r.half_life:.1f}", f"{r.half_life_low:.1f}..{r.half_life_high:.1f}",
        f"{r.half_life_beyond_noise:.1f}", f"{r.walk_percentile:.2f}", f"{r.hurst:.2f}", f"{r.variance_ratio:.2f}",
        f"{r.stability:.2f}", f"{r.round_trip_bp:.1f}", f"{r.edge_over_cost:.1f}", f"{r.net_share:+.2f}",
        f"{r.market_beta:+.3f}", r.sector or "-", out,
    ]  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
