"""What the microstructure of a tape explains, and what it predicts: the two side by side, feature by feature.

`micro(tape)` cuts a tape into bars and regresses the mid's move on each feature of the same bar and of the bar before.
Flow explains its own bar and says nearly nothing about the next one; what stands in the book at the end of a bar
(imbalance, microprice, queue race) can only be judged on the next. Models that are fitted (the microprice's table) see
the first half of the tape and are judged on the second. What the tape cannot carry is refused with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.records import BOOK, TOP, TRADE
from oneprice.features import bipower, imbalance, microprice_fitted, queue_race, tick_garch, vpin
from oneprice.market.tape import Tape
from oneprice.signals.micro.bars import FlowBars, TouchColumns, flow_bars, touch_columns
from oneprice.signals.micro.flow import Impact, fit_flow, impact_by_depth, joint_r2, line
from oneprice.signals.micro.hawkes import HawkesFit, fit_hawkes
from oneprice.signals.micro.microprice import Microprice, Slope, fit_microprice, martingale_slope
from oneprice.signals.micro.race import RaceFit, fit_race
from oneprice.signals.volatility.garch_fit import fit_garch

ORIGINS = 10  # starts of bars over which the R^2 of flow is told
MERGE_S = 0.001  # prints closer than this are one order that walked the book
VPIN_BUCKETS = 200  # buckets a tape is cut into
TERMS = 30  # of the microprice's sum: where a move of the mid is many ticks, six do not suffice
CAVEAT = (
    "R2 of the same bar is contemporaneous, not predictive; only the next bar's column could be traded, and chance"
    " alone gives it 1/{n} = {floor:.4f} a regressor"
)


class Explained(msgspec.Struct, frozen=True):
    """One feature: R^2 of the mid's move in the same bar and in the next. NaN: it does not apply."""

    name: str
    r2_same: float
    r2_next: float
    slope: float  # ticks a unit of the feature: same bar for flows, next bar for what stands in the book
    slope_se: float
    n: int


class Micro(msgspec.Struct, frozen=True):
    """Everything `micro` found; None where it was refused, with the reason in `refused`."""

    leg: str
    source: str  # of the touch: top or book
    bar_s: float
    bars: int
    touches: int
    trades: int
    explained: tuple[Explained, ...]
    ofi_r2_range: tuple[float, float, float]  # least, median, most over ORIGINS starts of the bars
    impact: Impact | None
    price: Microprice | None
    price_slope: Slope | None  # martingale regression, on the half that the table has not seen
    race: RaceFit | None
    hawkes: HawkesFit | None  # of prints merged within MERGE_S
    realised: float  # fraction per sqrt second, at the end of the tape, decayed over it
    bipower: float
    jump_share: float
    garch: float  # volatility in tick time, fraction per sqrt second
    vpin: float
    refused: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values of what is told of it; numbers that are not finite become None."""
        words = ("source", "bar_s", "bars", "touches", "trades", "realised", "bipower", "jump_share", "garch", "vpin")
        rows = [msgspec.structs.asdict(row) for row in self.explained]
        found = {name: getattr(self, name) for name in words} | {"ofi_r2_range": list(self.ofi_r2_range)}
        plain = [
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
            for row in (found, *rows)
        ]
        return {**plain[0], "explained": plain[1:], "refused": self.refused}

    def __str__(self) -> str:
        return text_of(self)


def micro(tape: Tape, *, bar_s: float = 1.0, levels: int = 5, source: str = "auto") -> Micro:
    """Fit and judge every microstructure feature on one tape.

    Parameters
    ----------
    bar_s : bars of the regressions. levels : of multi-level flow, where the tape has a book. source : of the touch.

    Raises
    ------
    DataError
        No quotes, or too few bars for any regression (the part that fails is named); other parts are refused one by
        one in `refused`.
    ConfigError
        Levels or bars that are not positive.
    """
    if levels < 1:
        raise ConfigError(f"micro: expected levels >= 1, got {levels}")
    bars = flow_bars(tape, bar_s=bar_s, source=source)
    touch = touch_columns(tape, source=source)
    refused: dict[str, str] = {}

    def attempt(name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except DataError as error:
            refused[name] = str(error)
            return None

    half = len(touch.time_ns) // 2
    head, tail = (
        tuple(x[part] for x in (touch.bid, touch.ask, touch.bid_qty, touch.ask_qty))
        for part in (slice(None, half), slice(half, None))
    )
    price = attempt("microprice", lambda: fit_microprice(*head, tick=touch.tick, min_visits=20, terms=TERMS))
    race = attempt("queue race", lambda: fit_race(*head, tick=touch.tick))
    explained = flow_rows(bars) + standing_rows(bars, touch, price, race, half)
    if (tape.events["kind"] == BOOK).any() and levels > 1:
        deep = attempt("multi-level flow", lambda: flow_bars(tape, bar_s=bar_s, source="book", levels=levels))
        explained += attempt("multi-level flow", lambda: level_rows(deep)) or [] if deep is not None else []
    slope = None
    if price is not None:
        slope = attempt("martingale", lambda: martingale_slope(price.table, *tail, tick=touch.tick))
    realised, robust, jumps, garch = volatilities(touch, attempt)
    return Micro(
        leg=bars.leg, source=bars.source, bar_s=bars.bar_s, bars=len(bars), touches=len(touch.time_ns),
        trades=int(bars.trades.sum()), explained=tuple(explained),
        ofi_r2_range=_origins(tape, bars), impact=attempt("impact by depth", lambda: impact_by_depth(bars)),
        price=price, price_slope=slope, race=race, hawkes=attempt("hawkes", lambda: fit_hawkes(print_times(tape))),
        realised=realised, bipower=robust, jump_share=jumps, garch=garch,
        vpin=attempt("vpin", lambda: _vpin(tape)) or math.nan, refused=refused,
    )  # fmt: skip


def flow_rows(bars: FlowBars) -> list[Explained]:
    """Order flow and trade imbalance; trades are left out of a tape that has none."""
    x, y = bars.ofi, bars.move
    pairs = [("order flow imbalance", x)]
    if bars.trades.any():
        pairs.append(("trade imbalance", bars.trade_flow))
    out = []
    for name, x in pairs:
        same, following = line(x, y), line(x[:-1], y[1:])
        out.append(Explained(name, same.r2, following.r2, same.b, same.b_se, same.n))
    return out


def level_rows(bars: FlowBars) -> list[Explained]:
    """Multi-level flow: all levels together, beside the best alone, both from the book."""
    fit = fit_flow(bars)
    many = len(fit.level_r2)
    return [
        Explained("flow at the best, book", fit.ofi.r2, fit.ofi_lead.r2, fit.ofi.b, fit.ofi.b_se, fit.ofi.n),
        Explained(
            f"flow of {many} levels, book", fit.level_r2[-1], fit.level_lead_r2[-1], math.nan, math.nan, fit.n
        ),
    ]


def standing_rows(
    bars: FlowBars, touch: TouchColumns, price: Microprice | None, race: RaceFit | None, half: int
) -> list[Explained]:
    """What stands at the end of each bar of the second half against the move of the next one."""
    end = bars.start_ns + round(bars.bar_s * 1e9)
    at = np.searchsorted(touch.time_ns, end, side="left") - 1
    features = {"queue imbalance": imbalance.FOLD.scan(touch.bid_qty, touch.ask_qty)}
    quotes = (touch.bid, touch.ask, touch.bid_qty, touch.ask_qty)
    if price is not None:
        state = microprice_fitted.FOLD.fresh()
        microprice_fitted.load(state, price.table)
        fitted = microprice_fitted.FOLD.scan(*quotes, state=state, tick=touch.tick)
        features["fitted microprice"] = (fitted - touch.mid) / touch.tick
    if race is not None:
        features["queue race P(up)"] = queue_race.FOLD.scan(*quotes[2:], unit_qty=race.unit_qty) - 0.5
    use = np.flatnonzero(at[:-1] >= half)
    out = []
    for name, x in features.items():
        try:
            found = line(x[at[use]], bars.move[use + 1])
        except DataError:
            continue
        out.append(Explained(f"{name}, end of bar", math.nan, found.r2, found.b, found.b_se, found.n))
    return out


def _origins(tape: Tape, bars: FlowBars) -> tuple[float, float, float]:
    """R^2 of flow when bars start at ORIGINS places of one bar: least, median, most."""
    first, width = int(bars.start_ns[0]), round(bars.bar_s * 1e9)
    found = []
    for i in range(ORIGINS):
        one = flow_bars(tape, bar_s=bars.bar_s, source=bars.source, origin_ns=first + i * width // ORIGINS)
        found.append(joint_r2(one.level_ofi, one.move))
    return min(found), float(np.median(found)), max(found)


def print_times(tape: Tape, *, merge_s: float = MERGE_S) -> np.ndarray:
    """Times of prints in seconds from the first quote; one that follows within `merge_s` of the one before is dropped.

    Raises DataError when the tape has no trades.
    """
    kinds = tape.events["kind"]
    times = tape.events["receive_ns"][(kinds == TRADE) & (tape.events["qty"] > 0)]
    quotes = np.flatnonzero((kinds == TOP) | (kinds == BOOK))
    if len(times) == 0 or len(quotes) == 0:
        raise DataError("print_times: expected trades and quotes, the tape has none")
    t = (times - min(int(tape.events["receive_ns"][quotes[0]]), int(times[0]))) * 1e-9
    return np.asarray(t[np.concatenate([[True], np.diff(t) > merge_s])])


def volatilities(touch: TouchColumns, attempt: Callable[..., Any]) -> tuple[float, float, float, float]:
    """(realised, bipower, share of jumps, GARCH in tick time) of the mid, at the end, over the whole tape."""
    good = np.isfinite(touch.mid)
    t, mid = np.ascontiguousarray(touch.time_ns[good]), touch.mid[good]
    state = bipower.FOLD.fresh()
    robust = bipower.FOLD.scan(t, mid, state=state, tau_s=max(1.0, (t[-1] - t[0]) * 1e-9)) if len(t) else np.array([])
    s = state[0]
    got = float(robust[-1]) if len(robust) else math.nan

    def fitted() -> float:
        fit = fit_garch(tick_garch.bucket_returns(t, mid))
        if not fit.converged:
            raise DataError(f"tick GARCH: the fit of {fit.n} bucket returns has no inner maximum; use a longer tape")
        p, begun = fit.params(), tick_garch.FOLD.fresh()
        begun["variance"] = fit.first_variance
        return float(
            tick_garch.FOLD.scan(t, mid, state=begun, omega=p["omega"], alpha=p["alpha"], beta=p["beta"])[-1]
        )

    found = attempt("tick GARCH", fitted)
    garch = math.nan if found is None else found
    return float(bipower.realised_volatility(s)), got, float(bipower.jump_share(s)), garch


def _vpin(tape: Tape) -> float:
    """VPIN at the end, buckets of 1 / VPIN_BUCKETS of the tape's volume."""
    rows = tape.events[(tape.events["kind"] == TRADE) & (tape.events["qty"] > 0)]
    if len(rows) < VPIN_BUCKETS:
        raise DataError(f"vpin: expected at least {VPIN_BUCKETS} trades, got {len(rows)}")
    qty = rows["qty"].astype(np.float64)
    fold = vpin.FOLD
    return float(fold.scan(rows["receive_ns"], rows["price"], qty, bucket_qty=qty.sum() / VPIN_BUCKETS)[-1])


def text_of(m: Micro) -> str:
    """The table as plain text, with its caveats."""
    out = [
        f"{m.leg}: {m.bars:,} bars of {m.bar_s:g} s, {m.touches:,} touches ({m.source}), {m.trades:,} trades",
        f"{'feature':34s} {'R2 same bar':>12s} {'R2 next bar':>12s} {'slope (ticks)':>14s} {'se':>9s}",
    ]
    for row in m.explained:
        cells = [f"{v:12.4f}" if math.isfinite(v) else f"{'-':>12s}" for v in (row.r2_same, row.r2_next)]
        slope = f"{row.slope:14.4g} {row.slope_se:9.2g}" if math.isfinite(row.slope) else f"{'-':>14s} {'-':>9s}"
        out.append(f"{row.name:34s} {cells[0]} {cells[1]} {slope}")
    low, middle, high = m.ofi_r2_range
    caveat = CAVEAT.format(n=m.bars, floor=1.0 / m.bars)
    out += [caveat, f"R2 of flow over {ORIGINS} starts of the bars: {low:.3f} to {high:.3f}, median {middle:.3f}"]
    if m.impact is not None:
        i = m.impact
        out.append(f"impact: slope = {i.c:.3g} / depth^{i.power:.2f} ({i.power_se:.2f}), {i.windows} windows")
    out += [str(x) for x in (m.price, m.race, m.hawkes) if x is not None]
    if m.price_slope is not None:
        s = m.price_slope
        out.append(f"microprice on the other half: slope {s.slope:.2f} ({s.se:.2f}); a martingale has 1")
    out.append(
        f"volatility (bp / sqrt s): realised {1e4 * m.realised:.3f}, bipower {1e4 * m.bipower:.3f}, jumps"
        f" {100 * m.jump_share:.0f} % of variance"
        + (f", tick GARCH {1e4 * m.garch:.3f}" if math.isfinite(m.garch) else "")
    )
    if math.isfinite(m.vpin):
        out += [f"VPIN {m.vpin:.3f}", vpin.CAVEAT]
    out += [f"refused {name}: {why}" for name, why in m.refused.items()]
    return "\n".join(out)
