"""Exhibit "A gap that is money": a simulated two-venue world traded through the whole engine and scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.records import FILL, FILL_ROW
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.market.header import Header
from oneprice.market.synthetic import World, two_venues
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.study.audit import Audit, audit
from oneprice.study.oracle import Score, score, worths
from oneprice.study.sweep import Sweep, sweep
from oneprice.study.truth import confusion

TITLE = "A gap that is money"
SEED, MINUTES = 7, 5.0
LATENCY_MS = 2.0
SWEEP_LATENCY_MS = (0.0, 2.0, 20.0, 100.0, 400.0)
SWEEP_FEES = (0.0, 1.0, 3.0, 6.0)
SWEEP_SHARES = (0.25, 1.0)  # of the strategy's own size
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Traded:
    """All that exhibit 2 says: the world, the audit's view of it, the run, its score, the break-even map."""

    world: World
    audit: Audit
    confusion: dict[str, dict[str, int]]  # kind of plant -> class the audit gave it -> how many
    run: Run
    score: Score
    sweep: Sweep

    @property
    def header(self) -> Header:
        return self.world.tapes[0].header

    @property
    def verdict(self) -> str:
        """One sentence: what was made of the planted gaps, and whether the books close."""
        s = self.score
        books = "the books close exactly" if self.run.closes() == 0 else "THE BOOKS DO NOT CLOSE"
        return (
            f"{s.real_traded} of {s.real_worth} planted gaps worth it were traded, {s.decoys_traded} decoys;"
            f" {100.0 * s.share:.0f} % of what the oracle makes with one package a gap and equal latency;"
            f" {books}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        s = self.score
        return {
            "title": TITLE,
            "header": dict(self.header.lines()),
            "world": {
                "seed": self.world.seed,
                "digest": self.world.digest(),
                "plants": len(self.world.plants),
            },
            "audit": self.audit.to_dict(),
            "plants_by_class": self.confusion,
            "run": self.run.to_dict(),
            "score": {
                "available": s.available,
                "captured": s.captured,
                "share": s.share,
                "real_traded": s.real_traded,
                "real_worth": s.real_worth,
                "decoys_traded": s.decoys_traded,
                "decoys": {k: list(v) for k, v in s.decoys.items()},
                "elsewhere": list(s.elsewhere),
            },
            "sweep": self.sweep.to_dict(),
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        lines = [f"2. {TITLE} (simulated)", ""]
        lines += [f"  {label:<20} {text}" for label, text in self.header.lines()]
        lines += ["", "  What was planted, and what the audit calls it:"]
        for kind, classes in self.confusion.items():
            told = ", ".join(f"{name} {n}" for name, n in sorted(classes.items(), key=lambda c: -c[1]))
            lines.append(f"    {kind:<10} {sum(classes.values()):>3}   {told}")
        lines += ["", *("  " + line for line in self.run.summary().splitlines()), ""]
        lines += ["  " + line for line in str(self.score).splitlines()]
        lines += ["", *("  " + line for line in break_even_text(self.sweep).splitlines())]
        return "\n".join([*lines, "", f"  {self.verdict}"])


def traded(
    strategy: Strategy,
    *,
    out: str | Path | None = None,
    seed: int = SEED,
    minutes: float = MINUTES,
    limits: Limits | None = None,
    ready: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Traded:
    """Make the world, audit it, replay the strategy on it, score it, and map where its profit ends.

    `out` receives journal, manifest and sweep.json. `ready` is called before the replay (it may wait for
    an engine that is being compiled elsewhere). `progress` is called with the share done.
    """
    say = progress or (lambda share: None)
    world = two_venues(seed, minutes)
    say(0.15)
    tapes = tuple(world.tapes)
    found = audit(tapes)
    say(0.3)
    if ready is not None:
        ready()
    latency = Latency(round(LATENCY_MS * 1e6), round(LATENCY_MS * 1e6))
    bounds = limits or Limits()
    run = replay(strategy, tapes, limits=bounds, latency=latency, seed=seed, out=out)
    say(0.6)
    size = strategy.parameters["qty"]
    grid = sweep(
        strategy,
        tapes,
        limits=bounds,
        seed=seed,
        latency_ms=SWEEP_LATENCY_MS,
        fee_scale=SWEEP_FEES,
        qty=[size * share for share in SWEEP_SHARES],
        progress=lambda done, total: say(0.6 + 0.4 * done / total),
    )
    if out is not None:
        grid.write(out)
    return Traded(world, found, confusion(world, found), run, judge(world, run, strategy), grid)


def judge(world: World, run: Run, strategy: Strategy) -> Score:
    """The run's fills against the oracle under the run's own latency, fees and largest position."""
    most = float(strategy.parameters.get("limit", np.inf))
    entry = [round(LATENCY_MS * 1e6)] * len(world.tapes)
    worth = worths(world, entry_latency_ns=entry, exit=strategy.exit, max_qty=most)
    return score(world, worth, fills_of(run))


def fills_of(run: Run) -> dict[str, np.ndarray]:
    """Fills as `study.oracle.score` reads them: currency and underlying units, package number from 1 up."""
    rows = run.rows[run.rows["kind"] == FILL_ROW]
    answers = run.events[run.events["kind"] == FILL]  # they carry the fee; a row carries the decision's mid
    assert np.array_equal(rows["client_id"], answers["client_id"]), "each fill is booked once, in order"
    leg = rows["leg"].astype(np.int64)
    one = run.engine.instruments
    tick = np.array([float(i.tick) for i in one])
    lot = np.array([float(i.lot) * float(i.multiplier) for i in one])
    scale = 10.0 ** -np.array(
        [run.engine.scales.scale[int(c)] for c in run.engine.legs()["currency"]], np.float64
    )
    return {
        "time_ns": rows["time_ns"],
        "leg": leg,
        "side": rows["side"].astype(np.int64),
        "price": rows["price"] * tick[leg],
        "qty": np.abs(rows["qty"]) * lot[leg],
        "fee": answers["fee"] * scale[leg],
        "package": rows["owner"].astype(np.int64),
    }


def break_even_text(found: Sweep) -> str:
    """The break-even map as text: P&L at each latency (rows) and taker fee (columns), one block a size."""
    cells = found.map()
    lines = []
    for size in sorted({c["size"] for c in cells}):
        fees = sorted({c["fee_bp"] for c in cells})
        lines.append(f"P&L in {found.currency}, size {size:g}; columns: taker fee of a fill")
        lines.append("latency".rjust(10) + "".join(f"{f:g} bp".rjust(12) for f in fees))
        for ms in sorted({c["latency_ms"] for c in cells}):
            here = {c["fee_bp"]: c["pnl"] for c in cells if c["size"] == size and c["latency_ms"] == ms}
            lines.append(f"{ms:g} ms".rjust(10) + "".join(f"{here[f]:,.2f}".rjust(12) for f in fees))
    return "\n".join([*lines, f"{found.tries} tries"])
