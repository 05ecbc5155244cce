"""What latency arbitrage is worth at each latency: who wins the race for a stale quote, and what losing it costs.

At each latency the same strategy is replayed. One order is one race: an immediate-or-cancel order at the price of the
quote that looked stale. On the venue's own timeline between our decision and our order's arrival:

- **won**      the quote still stood when the order arrived, and it filled;
- **lost**     the quote had gone; nothing filled;
- **run over** it filled only because the price had come back through our limit: the quote it aimed at had gone, or
  better ones had come, so what we got is what others no longer wanted.

The set of races changes with latency (a position is held longer, a gap is seen again), so `stood` follows one set: of
the quotes that the first latency aimed at, the share that still stood so long after the decision.

`break_even_fee_bp` is the taker fee a fill (each way) at which all that was won pays for all that was not.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.jit import njit
from oneprice.core.records import COMMAND, FILL, NEW, NO_PRICE
from oneprice.execution.latency import Latency
from oneprice.execution.strategy import Strategy
from oneprice.market.tape import Tape
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.strategies.latency_arb import latency_arb
from oneprice.study.making_marks import mid_at, mids, value_of, venue_touches

LATENCIES_MS = (0.0, 0.1, 1.0, 5.0, 10.0, 50.0)
LAG_S = 1.0
WON, LOST, RUN_OVER = 0, 1, 2


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """One latency. Basis points are gross of fees, > 0 earned, by the mid of the laggard `LAG_S` after arrival."""

    latency_ms: float
    orders: int
    won: int
    lost: int
    run_over: int
    won_bp: float
    run_over_bp: float
    missed_bp: float  # what the lost ones would have earned at the price aimed at
    gross: float  # of the run, before fees
    fee: float
    net: float
    traded: float  # settlement currency
    break_even_fee_bp: float
    stood: float  # of the races of the first latency: share whose quote still stood this latency after the decision
    refused: dict[str, int] = {}  # orders the gate did not let through, by reason: the other columns miss them

    @property
    def win_probability(self) -> float:
        """Share of races won; NaN without any."""
        return self.won / self.orders if self.orders else math.nan

    @property
    def win_error(self) -> float:
        """Standard error of the win probability."""
        p = self.win_probability
        return math.sqrt(p * (1.0 - p) / self.orders) if self.orders else math.nan


class Races(msgspec.Struct, frozen=True, kw_only=True):
    """The table over latencies, on one pair of tapes."""

    leader: str
    laggard: str
    header: dict[str, str]
    taker_bp: float
    parameters: dict[str, float]
    rows: tuple[Race, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        rows = [
            {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in msgspec.to_builtins(r).items()}
            | {"win_probability": r.win_probability if r.orders else None}
            for r in self.rows
        ]
        return {**msgspec.to_builtins(self), "rows": rows}

    def write(self, path: str | Path) -> Path:
        """Write as JSON (whole or not at all); returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(self.to_dict(), indent=1))
        os.replace(scratch, target)
        return target

    @property
    def refusals(self) -> list[str]:
        """What the gate held back at each latency, and how to lift it; empty where nothing was."""
        held = [
            f"{r.latency_ms:g} ms: " + ", ".join(f"{why} {n:,}" for why, n in r.refused.items())
            for r in self.rows
            if r.refused
        ]
        if not held:
            return []
        lift = "--limit orders_per_s=100000 --limit burst=10000, and venue_orders_per_s and venue_burst alike"
        return ["Refused by the gate at " + "; ".join(held) + f". Limits of rate are lifted with {lift}."]

    @property
    def verdict(self) -> str:
        """One sentence on whether speed pays here after the fee."""
        best = max(self.rows, key=lambda r: r.break_even_fee_bp if r.orders else -math.inf)
        if not best.orders:
            return "No quote ever looked stale by so much: there was no race."
        word = "pays" if best.break_even_fee_bp > self.taker_bp else "loses"
        return (
            f"At the venue's taker fee of {self.taker_bp:g} bp it {word} even at its best latency "
            f"({best.latency_ms:g} ms): it breaks even at {best.break_even_fee_bp:.3f} bp a fill."
        )

    def __str__(self) -> str:
        head = ["latency ms", "stood %", "races", "won %", "+-", "lost", "run over", "won bp", "over bp", "missed bp"]
        head.append("even bp")
        lines = [f"{self.leader} leads, {self.laggard} is taken", "  " + "".join(f"{h:>12}" for h in head)]
        for r in self.rows:
            cells = [
                f"{r.latency_ms:g}", _share(r.stood), f"{r.orders:,}", _share(r.win_probability),
                _share(r.win_error), f"{r.lost:,}", f"{r.run_over:,}",
                _bp(r.won_bp), _bp(r.run_over_bp), _bp(r.missed_bp), _bp(r.break_even_fee_bp),
            ]  # fmt: skip
            lines.append("  " + "".join(f"{c:>12}" for c in cells))
        return "\n".join([*lines, "", "  " + self.verdict, *(f"  {line}" for line in self.refusals)])


def _bp(x: float) -> str:
    return f"{x:.3f}" if math.isfinite(x) else "-"


def _share(x: float) -> str:
    return f"{100.0 * x:.1f}" if math.isfinite(x) else "-"


def races(
    leader: Tape,
    laggard: Tape,
    *,
    latencies_ms: Sequence[float] = LATENCIES_MS,
    strategy: Strategy | None = None,
    fees: Fees | None = None,
    limits: Limits | None = None,
) -> Races:
    """Replay the strategy at each one-way latency and count who won.

    Parameters
    ----------
    strategy : `latency_arb` or one like it on (leader, laggard); None: triggered by the gap alone (`fee_share` 0), so
        that each latency meets the same races whatever the fee.
    fees : of the laggard in the P&L; None: its own.

    Raises ConfigError for a latency that is negative or not finite, a leader that is the laggard, or no fees anywhere.
    """
    for ms in latencies_ms:
        if not (ms >= 0.0 and math.isfinite(ms)):
            raise ConfigError(f"latencies_ms: expected finite numbers of 0 or more, got {ms!r}")
    names = (leader.instrument.symbol, laggard.instrument.symbol)
    if names[0] == names[1]:
        raise ConfigError(f"races: expected two legs, got {names[0]} twice")
    chosen = strategy if strategy is not None else latency_arb(fee_share=0.0)
    charged = fees if fees is not None else laggard.instrument.fees
    if charged is None:
        raise ConfigError(f"races: fees are required, got none: {names[1]} states none")
    dust = chosen.parameters.get("dust", 0.0) * chosen.parameters.get("qty", 0.0)
    still = venue_touches(laggard)
    rows: list[Race] = []
    probes: np.ndarray | None = None
    for ms in latencies_ms:
        ns = round(ms * 1e6)
        run = replay(
            chosen.on(*names), [leader, laggard], latency=Latency(ns, ns), limits=limits or Limits(),
            fees={names[0]: leader.instrument.fees or charged, names[1]: charged},
        )  # fmt: skip
        own = _openers(run, dust / float(laggard.instrument.lot))
        probes = own if probes is None else probes
        rows.append(_race(run, laggard, still, ms, own, _stood(still, probes, ns)))
    return Races(
        leader=names[0], laggard=names[1], header=dict(laggard.header.lines()), taker_bp=float(charged.taker_bp),
        parameters=dict(chosen.parameters), rows=tuple(rows),
    )  # fmt: skip


@njit
def outcomes(still: Any, start_ns: Any, arrive_ns: Any, price: Any, side: Any, filled: Any, out: Any) -> None:
    """WON, LOST or RUN_OVER of each order, by the touch of the venue from the decision to the arrival.

    A quote stood if the venue's touch on the far side never left the price aimed at in between; better than aimed at
    counts as gone: it means that the price came to us.
    """
    for k in range(len(out)):
        if not filled[k]:
            out[k] = LOST
            continue
        out[k] = WON
        i = np.searchsorted(still["at_ns"], start_ns[k], side="right") - 1
        i = max(i, 0)
        while i < len(still) and still[i].at_ns <= arrive_ns[k]:
            far = still[i].ask_ticks if side[k] > 0 else still[i].bid_ticks
            if far == NO_PRICE or far != price[k]:
                out[k] = RUN_OVER
                break
            i += 1


def _openers(run: Run, dust_lots: float) -> np.ndarray:
    """The races of a run, ROW[n]: orders on the laggard sent while no more than dust was held."""
    sent = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == NEW) & (run.rows["leg"] == 1)]
    lots = _filled_lots(run)
    opens, held = np.zeros(len(sent), bool), 0
    for i, c in enumerate(sent):
        opens[i] = abs(held) <= dust_lots
        held += int(c["side"]) * lots.get(int(c["client_id"]), 0)
    return np.asarray(sent[opens])


def _filled_lots(run: Run) -> dict[int, int]:
    lots: dict[int, int] = {}
    for e in run.events[(run.events["kind"] == FILL) & (run.events["leg"] == 1)]:
        lots[int(e["client_id"])] = lots.get(int(e["client_id"]), 0) + abs(int(e["qty"]))
    return lots


def _outcomes(still: np.ndarray, own: np.ndarray, latency_ns: int, filled: np.ndarray) -> np.ndarray:
    out = np.zeros(len(own), np.int64)
    start = own["time_ns"].astype(np.int64)
    outcomes(still, start, start + latency_ns, own["price"].astype(np.int64), own["side"].astype(np.int64), filled, out)
    return out


def _stood(still: np.ndarray, own: np.ndarray, latency_ns: int) -> float:
    """Share of the quotes aimed at that stood from the decision until `latency_ns` after it; NaN without any."""
    found = _outcomes(still, own, latency_ns, np.ones(len(own), bool))
    return float((found == WON).mean()) if len(own) else math.nan


def _race(run: Run, tape: Tape, still: np.ndarray, latency_ms: float, own: np.ndarray, stood: float) -> Race:
    """What became of the races of one run."""
    one, lots = tape.instrument, _filled_lots(run)
    told = run.events[(run.events["kind"] == FILL) & (run.events["leg"] == 1)]
    latency_ns = round(latency_ms * 1e6)
    filled = np.array([int(c) in lots for c in own["client_id"]], bool)
    out = _outcomes(still, own, latency_ns, filled)
    start = own["time_ns"].astype(np.int64)
    tick = float(one.tick)
    mid = mids(still, tick)
    later = mid_at(still, mid, start + latency_ns + round(LAG_S * 1e9))
    paid = own["price"] * tick
    for i, c in enumerate(own["client_id"]):
        if filled[i]:
            mine = told[told["client_id"] == c]
            paid[i] = float((mine["price"] * np.abs(mine["qty"])).sum()) / lots[int(c)] * tick
    earned = own["side"] * (later - paid) / paid * 1e4
    pnl = run.pnl()
    traded = float(value_of(np.abs(told["qty"]).astype(float), told["price"] * tick, one).sum())
    gross = pnl["total"] - pnl["fee"] - pnl["tax"]
    return Race(
        latency_ms=latency_ms, orders=len(own), won=int((out == WON).sum()), lost=int((out == LOST).sum()),
        run_over=int((out == RUN_OVER).sum()), won_bp=_mean(earned[out == WON]),
        run_over_bp=_mean(earned[out == RUN_OVER]), missed_bp=_mean(earned[out == LOST]), gross=gross, fee=pnl["fee"],
        net=pnl["total"], traded=traded, break_even_fee_bp=gross / traded * 1e4 if traded else math.nan,
        stood=stood, refused=run.refusals(),
    )  # fmt: skip


def _mean(x: np.ndarray) -> float:
    good = x[np.isfinite(x)]
    return float(good.mean()) if len(good) else math.nan
