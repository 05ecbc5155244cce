"""The text of a calibration: what was counted, what was fitted, how well, and what the quotes would be."""

from __future__ import annotations

import math
from typing import Any

from oneprice.signals.intensity.fit import fit_words, share_text

SHOWN = 12  # distances of the curve
BP = 1e4


def text(found: Any) -> str:
    """Tables of a Calibration and the verdict, most important last."""
    parts = found.parts
    lines = [f"{found.leg}: {found.period}", *counted(parts.arrivals), "", *fitted(found), "", *curve(parts.intensity)]
    lines += ["", *signature(parts.sigma), *leaning(parts.micro, found.flow), ""]
    if found.refused:
        return "\n".join([*lines, f"REFUSED: {found.refused}"])
    return "\n".join([*lines, *quoting(found)])


def counted(a: Any) -> list[str]:
    """How prints became arrivals."""
    return [
        f"{a.prints:,} prints are {a.distinct:,} distinct arrivals in {a.seconds:,.0f} s; {a.at_touch:.0%} stop at the"
        f" touch ({a.median_spread_ticks:g} ticks wide at the median), {a.inside} printed inside it, {a.unmatched} met"
        " no two-sided book"
    ]


def fitted(found: Any) -> list[str]:
    """Parameters with intervals, and the goodness of fit."""
    i, s = found.parts.intensity, found.parts.sigma
    rows = [
        ("A, arrivals a side", i.arrivals_per_s, *i.arrivals_interval, "1/s"),
        ("k_decay", i.k_decay, *i.k_interval, "1/quote currency"),
        ("1/k", 1.0 / i.k_decay, 1.0 / i.k_interval[1], 1.0 / i.k_interval[0], "quote currency"),
        ("1/k of the mid", *(BP / found.mid / x for x in (i.k_decay, *i.k_interval[::-1])), "bp"),
        ("sigma", s.sigma, s.low, s.high, "quote currency/sqrt(s)"),
        ("sigma of the mid", *(BP * x / found.mid for x in (s.sigma, s.low, s.high)), "bp/sqrt(s)"),
    ]
    lines = [f"{'':<22}{'value':>12}{'95 % low':>12}{'high':>12}"]
    lines += [f"{name:<22}{v:>12.5g}{a:>12.5g}{b:>12.5g}  {unit}" for name, v, a, b, unit in rows]
    lines += [
        f"intensity fitted on {i.near:.5g} to {i.far:.5g} from the mid with {i.n:,} of {i.n_seen:,} arrivals:"
        f" deviance {i.deviance:.1f} on {i.df} (p {i.p_value:.2g}), dispersion {i.dispersion:.2f}",
        f"  largest misfit beyond sampling error {share_text(i.misfit)}; arrivals vary {i.clustering:.1f} times as much"
        " as independent ones would (intervals are widened for it)",
        f"volatility over {s.step} of {s.n:,} changes of the mid; bounce {s.noise:.3g}",
    ]
    return lines


def curve(i: Any) -> list[str]:
    """Arrivals at or beyond a distance, counted and fitted."""
    rows = [c for c in i.cells if c[0] <= i.far]
    step = max(1, math.ceil(len(rows) / SHOWN))
    lines = [f"{'distance':>12}{'counted':>10}{'fitted':>10}   arrivals at or beyond it"]
    return lines + [f"{d:>12.5g}{n:>10.0f}{m:>10.1f}" for d, n, m in rows[::step]]


def signature(s: Any) -> list[str]:
    """Plain volatility by the length of a step."""
    head = "volatility signature (mean step: plain sigma): "
    return [head + ", ".join(f"{t:.3g} s: {v:.4g}" for t, v in s.signature)]


def leaning(m: Any, f: Any) -> list[str]:
    """What the microprice and order flow are worth, and what the model leans on."""
    if not m.table:
        lines = [f"microprice: not fitted: {m.refused}"]
    else:
        edge = ", ".join(f"{v:.3g}" for v in m.table[0][len(m.table[0]) // 2 :])
        verdict = f"gain {m.gain:.2f}" if not m.refused else f"gain 0: {m.refused}"
        lines = [
            f"microprice: {m.moves:,} moves of the mid; adjustment at one tick, balanced to one-sided: {edge} ticks;"
            f" out of sample slope {m.slope:.2f} +- {m.slope_se:.2f} (R2 {m.r2:.3f}): {verdict}"
        ]
    if f.refused:
        return [*lines, f"order flow: not fitted: {f.refused}"]
    return [
        *lines,
        f"order flow, {f.bar_s:g} s bars: R2 {f.r2:.3f} of the same bar ({f.impact:.4g} +- {f.impact_se:.2g} ticks a"
        f" unit), {f.r2_next:.3f} of the next; trades {f.trade_r2:.3f} and {f.trade_r2_next:.3f}: no forecast, gain 0",
    ]


def quoting(found: Any) -> list[str]:
    """What the model makes of it for a maker without aversion, and what it does not say."""
    i = found.parts.intensity
    wide = 2.0 / i.k_decay
    return [
        f"usable, {fit_words(i)}",
        f"a maker without risk aversion quotes {wide:.5g} wide ({BP * wide / found.mid:.2f} bp), plus what"
        " inventory risk adds",
        f"the fit says nothing of distances below {i.near:.5g} (at the touch a queue decides) or beyond {i.far:.5g}",
    ]
