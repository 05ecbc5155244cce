"""Audits of perpetuals against their spot, and of par yields against a fitted curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.market.chains import DAYS_A_YEAR, TWO_SIDED
from oneprice.market.header import Header
from oneprice.market.rates import Treasury, zeros_of
from oneprice.signals.curve.fit_svensson import fit_svensson
from oneprice.signals.curve.parametric import Svensson
from oneprice.signals.parity.perpetual import perpetual_band
from oneprice.study import term_audit_kernel as kernel
from oneprice.study.term_audit import CarryTerms, Implied, TermAudit, finish
from oneprice.study.term_audit_quotes import good_quotes
from oneprice.study.term_audit_sources import DAY_NS, MINUTE_NS, Panel

FUNDINGS_A_DAY = 3.0
LEAST_FREE = 0.02  # one less leverage: below it the curve of the others is no opinion on a tenor
LEAST_TENORS = 8  # of a day's yields, for a Svensson curve with an error


def audit_perpetuals(
    path: str | Path, terms: CarryTerms | None = None, *, fee_bp: float = 10.0, hold_days: float = 30.0,
    fundings_a_day: float = FUNDINGS_A_DAY,
) -> TermAudit:  # fmt: skip
    """Perpetuals against the spot of the same venue and quote currency, at the close of the same minute.

    The band is that of `perpetual_band`: rates of money `terms.rate` (0 when left out) plus `borrow_bp` and less
    `lend_bp`, of the coin `terms.lease`; four trades of `fee_bp` spread over `hold_days`; the margin posted for the
    perpetual costs `terms.margin` times `terms.margin_rate` a year. A perpetual without such a spot is listed.

    Raises
    ------
    DataError
        No perpetual of the file has a spot to be compared with.
    """
    t = terms or CarryTerms()
    rows, notes = good_quotes(path, ("venue", "instrument"), above_zero=True)
    have = {(v, i) for v, i in rows.select("venue", "instrument").unique().rows()}
    pairs, lost = [], []
    for venue, name in sorted(have):
        if name.endswith("-PERP"):
            spot = name.removesuffix("-PERP") + "-SPOT"
            if (venue, spot) in have:
                pairs.append((venue, name, spot))
            else:
                lost.append(f"{venue} {name}: no quotes of its spot ({spot}) at the venue, not compared")
    if not pairs:
        raise DataError(
            f"{path}: no perpetual (NAME-PERP) with quotes of NAME-SPOT at the same venue: "
            f"{'; '.join(lost) or ', '.join(sorted(n for _, n in have))}"
        )
    made = [_joined(rows, *pair) for pair in pairs]
    empty = [pair for pair, (minutes, _) in zip(pairs, made, strict=True) if not len(minutes)]
    lost += [f"{venue} {name}: no minute with quotes of both" for venue, name, _ in empty]
    if not any(len(m[0]) for m in made):
        raise DataError(f"{path}: no minute has quotes of a perpetual and of its spot: {'; '.join((*notes, *lost))}")
    time_ns = np.unique(np.concatenate([m[0] for m in made]))
    shape = (len(time_ns), len(pairs))
    price, size, spot = np.full((2, *shape), np.nan), np.full(shape, np.nan), np.full((2, *shape), np.nan)
    for j, (stamps, values) in enumerate(made):
        at = np.searchsorted(time_ns, stamps)
        price[:, at, j], spot[:, at, j], size[at, j] = values[:2], values[2:4], values[4]
    names = tuple(f"{v} {n}" for v, n, _ in pairs)
    panel = _quote_panel(Path(path).name, "perpetuals against spot", time_ns, names, price, size, (*notes, *lost))
    rate, a_year = t.rate or 0.0, fundings_a_day * 365.0
    words: dict[str, Any] = {
        "asset_rates": (-t.lease, t.lease), "hold_years": hold_days / DAYS_A_YEAR,
        "cost": 4.0 * fee_bp * 1e-4 + t.margin * t.margin_rate * hold_days / DAYS_A_YEAR,
    }  # fmt: skip
    low, high = perpetual_band((1.0, 1.0), a_year, (rate - t.lend_bp * 1e-4, rate + t.borrow_bp * 1e-4), **words)
    out = np.full((kernel.N_OUT, *shape), np.nan)
    out[kernel.LOW], out[kernel.HIGH] = low * spot[0], high * spot[1]
    out[kernel.OUTSIDE] = _outside(price, out)
    mid, under = price.mean(axis=0), spot.mean(axis=0)
    implied = (Implied("implied_carry", "a year", a_year * (mid - under) / mid),)
    inputs = {
        "prices": "quotes of perpetual and spot",
        "rate": f"{rate:g} a year, {'stated' if t.rate is not None else 'assumed'}, {t.borrow_bp:g} bp above and "
        f"{t.lend_bp:g} bp below it to borrow and lend",
        "fee of borrowing the coin": f"{t.lease:g} a year, stated",
        "funding": f"the premium is paid {fundings_a_day:g} times a day (k = {a_year:g} a year), caps left out",
        "margin": f"{100 * t.margin:g} % at {t.margin_rate:g} a year, stated" if t.margin else "none stated",
        "crossing": f"four trades of {fee_bp:g} bp over {hold_days:g} days: nothing says when the gap closes",
    }
    return finish(panel, t, out, implied, inputs, panel.excluded)


def _joined(rows: Any, venue: str, perp: str, spot: str) -> tuple[np.ndarray, np.ndarray]:
    """(minutes, float64[5, n]: bid, ask of the perpetual, bid, ask of the spot, size at the touch) of good quotes."""
    import polars as pl

    of = rows.filter(pl.col("venue") == venue)
    both = (
        of.filter(pl.col("instrument") == perp)
        .join(of.filter(pl.col("instrument") == spot), on="ts_utc")
        .sort("ts_utc")
    )
    size = np.minimum(
        np.minimum(both["bid_size"].to_numpy(), both["ask_size"].to_numpy()),
        np.minimum(both["bid_size_right"].to_numpy(), both["ask_size_right"].to_numpy()),
    )
    names = ("bid_close", "ask_close", "bid_close_right", "ask_close_right")
    return both["ts_utc"].dt.epoch("ns").to_numpy(), np.stack([*(both[n].to_numpy() for n in names), size])


def _quote_panel(
    source: str, label: str, time_ns: np.ndarray, names: tuple[str, ...], price: np.ndarray, size: np.ndarray,
    lost: tuple[str, ...],
) -> Panel:  # fmt: skip
    first, last = (str(np.datetime64(int(time_ns[i]), "ns"))[:16] for i in (0, -1))
    about = Header(
        source=source, licence="see data", period=f"{first} to {last} UTC", side="both",
        simultaneity="quotes at the close of one minute: up to a minute apart",
        survivorship="the markets of the file", tries=1, claim=False,
        claim_why="minute quotes: both legs are not known to have stood at one moment",
    )  # fmt: skip
    key = np.where(np.isfinite(price[0]), np.arange(len(names))[None, :], -1)
    return Panel(
        label=label, boundary=TWO_SIDED, header=about, time_ns=time_ns, names=names, places=names, price=price,
        years=np.full(key.shape, np.nan), key=key, cost=np.zeros(key.shape), size=size, step_ns=MINUTE_NS,
        quoted=True, unit="quote currency", excluded=lost,
    )  # fmt: skip


def audit_yields(
    treasury: Treasury, terms: CarryTerms | None = None, *, errors: float = 3.0, cost_bp: float = 1.0
) -> TermAudit:
    """Zero rates of each tenor against a Svensson curve through the others: `errors` standard errors and `cost_bp`.

    Prices are zero rates in per cent, continuously compounded. Outside is rich or cheap against a smooth curve, never
    arbitrage: the yields are smoothed themselves. Days with fewer than LEAST_TENORS yields are listed. Raises
    ConfigError for a band below 0, DataError when no day can be fitted.
    """
    if not (errors >= 0 and cost_bp >= 0):
        raise ConfigError(f"yields: expected errors and cost_bp of 0 or more, got {errors} and {cost_bp}")
    t = terms or CarryTerms()
    n_days, n = treasury.par.shape
    shape = (n_days, n)
    zero, fitted, wide = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    short = negative = 0
    for d in range(n_days):
        have = np.isfinite(treasury.par[d])
        if have.sum() < LEAST_TENORS:
            short += 1
            continue
        at = treasury.tenors[have]
        nodes, r = zeros_of(at, treasury.par[d][have])
        negative += bool((np.diff(-r * nodes, prepend=0.0) > 1e-12).any())
        zero[d, have] = np.interp(at, nodes, r)
        curve = fit_svensson(at, zero[d, have]).curve  # from no start: the day before's trough may be old
        fitted[d, have], spread = left_out(curve, at, zero[d, have])
        wide[d, have] = errors * spread + cost_bp * 1e-4
    if not np.isfinite(fitted).any():
        raise DataError(f"{treasury.source}: no day has {LEAST_TENORS} yields: no curve can be fitted with an error")
    price = 100.0 * np.stack([zero, zero])
    out = np.full((kernel.N_OUT, *shape), np.nan)
    out[kernel.LOW], out[kernel.HIGH] = 100.0 * (fitted - wide), 100.0 * (fitted + wide)
    out[kernel.OUTSIDE] = _outside(price, out)
    panel = _yield_panel(treasury, price)
    implied = (Implied("off_the_curve", "bp", 1e4 * (zero - fitted)),)
    notes = [f"{short} days with fewer than {LEAST_TENORS} yields: no curve"] if short else []
    notes.append(f"{negative} days on which a forward rate of the curve is below 0")
    notes.append("above the band is a rate higher than the curve: cheap; below it rich")
    inputs = {
        "prices": "par yields, smoothed by the Treasury; made zero rates (see market.rates), per cent",
        "curve": f"Svensson of the day through the other tenors (decays of all); band {errors:g} standard errors "
        f"and {cost_bp:g} bp",
    }
    return finish(panel, t, out, implied, inputs, tuple(notes))


def left_out(curve: Svensson, years: np.ndarray, zero: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(what the curve of the other tenors says of each tenor, standard error of that), both float64[n].

    At the decays of `curve` the model is linear, so leaving a tenor out is exact: its residual over one less its
    leverage. NaN where the others say next to nothing of a tenor. Needs two more tenors than betas. Source: Cook and
    Weisberg, Residuals and Influence in Regression (1982), ch. 2.
    """
    x, z = years / curve.u1, years / curve.u2
    near, far = -np.expm1(-x) / x, -np.expm1(-z) / z
    q, _ = np.linalg.qr(np.column_stack([np.ones_like(x), near, near - np.exp(-x), far - np.exp(-z)]))
    residual = zero - q @ (q.T @ zero)
    free = 1.0 - (q * q).sum(axis=1)
    free = np.where(free < LEAST_FREE, np.nan, free)
    rest = np.maximum(residual @ residual - residual**2 / free, 0.0) / (len(years) - 5)
    return zero - residual / free, np.sqrt(rest / free)


def _yield_panel(treasury: Treasury, price: np.ndarray) -> Panel:
    names = tuple(f"{12 * x:.3g}M" if x < 1 else f"{x:g}Y" for x in treasury.tenors.tolist())
    first, last = (str(np.datetime64(int(d), "D")) for d in treasury.days[[0, -1]])
    about = Header(
        source=treasury.source, licence="see data", period=f"{first}..{last}", side="not stated",
        simultaneity="one curve a day, told after its close", survivorship="all tenors told", tries=1, claim=False,
        claim_why="smoothed yields, not prices: a study of curves, never P&L",
    )  # fmt: skip
    key = np.where(np.isfinite(price[0]), np.arange(len(names))[None, :], -1)
    years = np.broadcast_to(treasury.tenors, key.shape).copy()
    return Panel(
        label="par yields", boundary=TWO_SIDED, header=about, time_ns=treasury.days * DAY_NS, names=names, places=names,
        price=price, years=years, key=key, cost=np.zeros(key.shape), size=np.empty((0, 0)), step_ns=DAY_NS,
        quoted=False, unit="per cent",
    )  # fmt: skip


def _outside(price: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Bid less high above 0, ask less low below 0, else 0; NaN where price or band are not known."""
    low, high = out[kernel.LOW], out[kernel.HIGH]
    known = np.isfinite(price).all(axis=0) & np.isfinite(low) & np.isfinite(high)
    x = np.where(price[0] > high, price[0] - high, np.where(price[1] < low, price[1] - low, 0.0))
    return np.where(known, x, np.nan)
