"""Anchors of microstructure for `oneprice verify`: flow regressions, the queue race, Hawkes moments, the microprice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oneprice.features.queue_race import up_probability
from oneprice.market.importers.binance import import_binance, instrument_of_file
from oneprice.signals.micro.bars import flow_bars
from oneprice.signals.micro.flow import fit_flow, line
from oneprice.signals.micro.hawkes import fit_hawkes, simulate_hawkes
from oneprice.signals.micro.microprice import fit_microprice, martingale_slope
from oneprice.study.anchors_market import _NO_FEES, CAPTURES, Anchor
from oneprice.study.micro_worlds import TICK, race_frequency, touch_chain

CAPTURE_R2 = {  # capture: R^2 of order flow imbalance, of trade imbalance, one-second bars of bookTicker
    "ETH USDT perp": (0.555, 0.332),
    "BTC USDT perp": (0.380, 0.522),
    "BTC spot": (0.333, 0.161),
}
SAME = "contemporaneous: flow and price change of the same second; not predictive"
AHEAD = "one second ahead: at most .01, flow predicts nothing a trader could use"
RACES = {(1, 2): 0.30235, (2, 1): 0.69765, (3, 5): 0.34524}
PATHS, RACE_STEPS = 60_000, 20_000
MU, ALPHA, BETA = 0.5, 0.8, 1.2
LONG_S, WINDOW_S, SHORT_S = 1_000_000.0, 400.0, 4000.0


def micro_anchors(data: str | Path) -> list[Anchor]:
    """All rows of this module from the shared data folder. Raises DataError when a file is missing."""
    return [*flow_anchors(Path(data)), *race_anchors(), *hawkes_anchors(), *microprice_anchors()]


def flow_anchors(data: Path) -> list[Anchor]:
    """G01: R^2 of the Binance captures, same second and next; a made sample whose R^2 is known exactly."""
    source = "R^2 of 1 s bars, Binance capture 2024-08-08 (Cont-Kukanov-Stoikov regression)"
    out = []
    for name, (ofi, trade) in CAPTURE_R2.items():
        path = data / "binance_l2" / CAPTURES[name]
        fit = fit_flow(flow_bars(import_binance(path, instrument_of_file(path, fees=_NO_FEES)), source="top"))
        key = name.replace(" ", "_")
        out += [
            Anchor(f"G01.ofi_r2.{key}", source, ofi, fit.ofi.r2, 0.02, SAME),
            Anchor(f"G01.trade_r2.{key}", source, trade, fit.trade.r2, 0.02, SAME),
            Anchor(f"G01.ofi_lead_r2.{key}", source, 0.0, fit.ofi_lead.r2, 0.01, AHEAD),
        ]
    x, y = exact_sample(0.65)
    return [*out, Anchor("G01.simulated_r2", "made with R^2 .65 (the equities' mean)", 0.65, line(x, y).r2, 1e-12)]


def exact_sample(r2: float, n: int = 2000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Flow x and moves y whose R^2 is `r2` to rounding: the noise is made orthogonal to a constant and x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, n)
    noise = rng.normal(size=n)
    base = np.column_stack([np.ones(n), x])
    noise -= base @ np.linalg.lstsq(base, noise, rcond=None)[0]
    d = x - x.mean()
    noise *= np.sqrt((d @ d) * (1.0 - r2) / r2 / (noise @ noise))
    return x, 3.0 + x + noise


def race_anchors() -> list[Anchor]:
    """G02: which queue empties first, by quadrature and by simulation."""
    paper = "Cont, de Larrard (2013), proposition 2"
    out = []
    for i, ((bid, ask), p) in enumerate(RACES.items()):
        out.append(Anchor(f"G02.p_up.{bid}_{ask}", paper, p, up_probability(bid, ask), 1e-5))
        seen = race_frequency(10 + i, bid, ask, PATHS, most=RACE_STEPS)
        out.append(Anchor(f"G02.simulated.{bid}_{ask}", f"{paper}, {PATHS:,} races", p, seen, 0.005))
    return out


def hawkes_anchors() -> list[Anchor]:
    """G03: mean rate and Fano factor of a simulated stream; its parameters by maximum likelihood, within 3 errors."""
    rng = np.random.default_rng(3)
    t = simulate_hawkes(rng, mu=MU, alpha=ALPHA, beta=BETA, horizon_s=LONG_S)
    counts = np.bincount((t / WINDOW_S).astype(int), minlength=int(LONG_S / WINDOW_S))[1:]
    n = ALPHA / BETA
    source = f"Hawkes mu {MU}, alpha {ALPHA}, beta {BETA}"
    fano = float(counts.var(ddof=1) / counts.mean())
    fit = fit_hawkes(
        simulate_hawkes(rng, mu=MU, alpha=ALPHA, beta=BETA, horizon_s=SHORT_S), horizon_s=SHORT_S
    )
    truth = {"mu": (MU, fit.mu), "alpha": (ALPHA, fit.alpha), "beta": (BETA, fit.beta)}
    return [
        Anchor("G03.mean", f"{source}: mu / (1 - n)", MU / (1 - n), len(t) / LONG_S, 0.03 * 1.5),
        Anchor("G03.fano", f"{source}: 1 / (1 - n)^2", 1 / (1 - n) ** 2, fano, 0.1 * 9, f"windows of {WINDOW_S:g} s"),
        *(
            Anchor(f"G03.mle.{k}", f"{source}, T {SHORT_S:g} s", want, got, 3.0 * se, "tolerance: 3 of its own errors")
            for (k, (want, got)), se in zip(truth.items(), fit.se, strict=True)
        ),
        Anchor("G03.residuals", "time rescaling: exponential, KS p >= .01", 1.0, fit.residual_p, 0.99),
    ]


def microprice_anchors() -> list[Anchor]:
    """The fitted microprice on a chain that is the model: its laws, and the martingale on touches it has not seen."""
    touch = touch_chain(1, 400_000, move=0.15, widen=0.1)
    fit = fit_microprice(*touch, tick=TICK, n_spreads=2)
    other = touch_chain(2, 1_000_000, move=0.15, widen=0.1)
    chain = martingale_slope(fit.table, *other, tick=TICK, moves=3)
    source = "Stoikov (2018)"
    return [
        Anchor("microprice.row_sums", f"{source}: rows of B sum to 1", 0.0, fit.row_sum_error, 1e-12),
        Anchor("microprice.antisymmetry", f"{source}: G(1 - I) = -G(I), ticks", 0.0, fit.asymmetry, 1e-12),
        Anchor("microprice.next_term", f"{source}: |dG| after {fit.terms} terms, ticks", 0.0, fit.next_term, 1e-4),
        Anchor("microprice.martingale", f"{source}: slope 1", 1.0, chain.slope, 0.05, f"simulated, se {chain.se:.3f}"),
    ]
