"""Ratios of the filters: Kalman regression against filterpy, GARCH against arch, rolling factors against plain eigh.

Processor seconds, interleaved, medians; each at equal results, the largest difference beside the ratio.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.core.errors import OnePriceError
from oneprice.features import kalman_regression
from oneprice.signals.factors.avellaneda_lee import residual_scores
from oneprice.signals.factors.pca import pca_factors
from oneprice.signals.volatility.garch_fit import fit_garch
from oneprice.study.bench_time import LEAST, NONE, Figure, absent, cpu_timed, interleaved

LEAST_KALMAN, LEAST_GARCH, LEAST_FACTORS = 300.0, 5.0, 2.0
PAIRS, RETURNS, ASSETS, WINDOW, DAYS, QUICK_DAYS = 2000, 2000, 500, 252, 6, 2
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CODE = "import sys; from oneprice.study.bench_filters import factor_child; factor_child(*sys.argv[1:])"
Run = Callable[[], tuple[float, Any]]
INNER = 50  # a compiled loop is too short for the clock


def filter_figures(repeats: int = 3, *, quick: bool = False) -> list[Figure]:
    """All figures; a rival that is not installed gives a figure that says so."""
    days = QUICK_DAYS if quick else DAYS
    return [kalman_figure(repeats), garch_figure(repeats), *factor_figures(repeats, ASSETS, days)]


def _processor(call: Callable[[], Any], inner: int = 1) -> Run:
    """A run for `interleaved`: processor seconds of one call, and its last result."""

    def several() -> Any:
        for _ in range(inner):
            result = call()
        return result

    def run() -> tuple[float, Any]:
        seconds, result = cpu_timed(several)
        return seconds / inner, result

    return run


def _measured(runs: dict[str, Run], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    interleaved(runs, 1)  # compiles
    return interleaved(runs, repeats)


# ---------------------------------------------------------------- Kalman
def _pair(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = 3.0 + np.cumsum(rng.normal(0.0, 0.01, n))
    return 0.5 + 1.2 * x + rng.normal(0.0, 0.02, n), x


def filterpy_regression(y: np.ndarray, x: np.ndarray, q: tuple[float, float], r: float, prior: float) -> np.ndarray:
    """Forecast errors, then the last beta and mu, of filterpy's filter over (beta, mu)."""
    from filterpy.kalman import KalmanFilter

    f = KalmanFilter(dim_x=2, dim_z=1)
    f.P = np.eye(2) * prior
    f.F, f.Q, f.R = np.eye(2), np.diag(q), np.array([[r]])
    seen = np.column_stack([x, np.ones(len(x))])[:, None, :]
    out = np.empty(len(y) + 2)
    for i in range(len(y)):
        if i > 0:
            f.predict()
        f.update(y[i], H=seen[i])
        out[i] = f.y[0, 0]
    out[-2:] = f.x[:, 0]
    return out


def kalman_figure(repeats: int = 3, n: int = PAIRS) -> Figure:
    """Processor seconds of filterpy over ours on the same pairs."""
    name = f"Kalman regression, {n:,} pairs, against filterpy"
    try:
        import filterpy  # noqa: F401
    except ImportError as error:
        return absent(name, "x", LEAST_KALMAN, error)
    y, x = _pair(n)
    q, r, prior = (1e-6, 1e-5), 4e-4, 1.0
    fold = kalman_regression.FOLD

    def ours() -> np.ndarray:
        state = fold.fresh()
        out = fold.scan(y, x, state=state, q_beta=q[0], q_mu=q[1], r=r, prior_var=prior)
        return np.concatenate([out, state["beta"], state["mu"]])

    runs = {"ours": _processor(ours, INNER), "filterpy": _processor(lambda: filterpy_regression(y, x, q, r, prior))}
    seconds, result = _measured(runs, repeats)
    apart = float(np.max(np.abs(result["ours"] - result["filterpy"])))
    detail = {"ours_ns_a_pair": 1e9 * seconds["ours"] / n, "filterpy_ns_a_pair": 1e9 * seconds["filterpy"] / n}
    ratio = seconds["filterpy"] / seconds["ours"]
    return Figure(name, ratio, "x", LEAST_KALMAN, LEAST, f"estimates within {apart:.0e}", {**detail, "apart": apart})


# ---------------------------------------------------------------- GARCH
def garch_returns(n: int = RETURNS, seed: int = 0) -> np.ndarray:
    """Returns in per cent: omega .05, alpha .08, beta .87."""
    rng = np.random.default_rng(seed)
    out, h = np.empty(n), 1.0
    for i in range(n):
        out[i] = np.sqrt(h) * rng.normal()
        h = 0.05 + 0.08 * out[i] ** 2 + 0.87 * h
    return out


def garch_figure(repeats: int = 3, n: int = RETURNS) -> Figure:
    """Processor seconds of arch's fit over ours, both started from mean e^2; ours includes three kinds of errors."""
    name = f"GARCH(1,1) fit, {n:,} returns, against arch"
    try:
        from arch import arch_model
    except ImportError as error:
        return absent(name, "x", LEAST_GARCH, error)
    r = garch_returns(n)
    start = float(np.mean((r - fit_garch(r).params()["mu"]) ** 2))
    model = arch_model(r, rescale=False)

    def rival() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(disp="off", backcast=start)

    runs = {"ours": _processor(lambda: fit_garch(r), 5), "arch": _processor(rival)}
    seconds, result = _measured(runs, max(3, repeats))
    gain = float(result["ours"].log_likelihood - result["arch"].loglikelihood)
    note = f"log likelihood {gain:+.1e} of arch's"
    detail = {"ours_ms": 1e3 * seconds["ours"], "arch_ms": 1e3 * seconds["arch"], "likelihood_gain": gain}
    return Figure(name, seconds["arch"] / seconds["ours"], "x", LEAST_GARCH, LEAST, note, detail)


# ---------------------------------------------------------------- factors
def panel(assets: int, days: int, seed: int = 0) -> np.ndarray:
    """Returns (assets, days) with 20 common factors."""
    rng = np.random.default_rng(seed)
    loads = rng.normal(0.0, 0.4, (assets, 20)) * np.linspace(1.0, 0.2, 20)
    loads[:, 0] += 1.0
    return loads @ rng.normal(0.0, 0.01, (20, days)) + rng.normal(0.0, 0.015, (assets, days))


def _plain(r: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation matrix and its whole eigendecomposition: (eigenvalues, projector on the first `count`)."""
    values, vectors = np.linalg.eigh(np.corrcoef(r))
    top = vectors[:, ::-1][:, :count]
    return values[::-1][:count], top @ top.T


def factor_seconds(repeats: int, assets: int, days: int) -> dict[str, float]:
    """Processor seconds a day of each way, and `apart`, the largest difference to the plain decomposition."""
    r = panel(assets, WINDOW + days - 1)
    windows = [r[:, i : i + WINDOW] for i in range(days)]
    runs = {
        "plain": _processor(lambda: [np.linalg.eigh(np.corrcoef(w)) for w in windows]),
        "ours": _processor(lambda: [pca_factors(w) for w in windows]),
        "share": _processor(lambda: [pca_factors(w, share=0.55) for w in windows]),
        "scores": _processor(lambda: [residual_scores(w) for w in windows]),
    }
    seconds, result = _measured(runs, repeats)
    apart = 0.0
    for w, found in zip(windows, result["ours"], strict=True):
        values, projector = _plain(w, len(found.eigenvalues))
        apart = max(apart, float(np.max(np.abs(values - found.eigenvalues))))
        apart = max(apart, float(np.max(np.abs(projector - found.vectors.T @ found.vectors))))
    return {**{k: v / days for k, v in seconds.items()}, "apart": apart}


def factor_child(repeats: str, assets: str, days: str) -> None:
    """Runs in the child: one line of JSON."""
    print(json.dumps(factor_seconds(int(repeats), int(assets), int(days))), flush=True)


def factor_figures(repeats: int = 3, assets: int = ASSETS, days: int = DAYS) -> list[Figure]:
    """A rolling window's factors against a plain eigendecomposition a day; and what a whole day of scores costs.

    In a process of its own with one thread of linear algebra: threads that wait in a spin would be counted.
    """
    command = [sys.executable, "-c", CODE, str(repeats), str(assets), str(days)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OnePriceError(f"bench of factors: the child process failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    note = f"eigenvalues and eigenspaces within {told['apart']:.0e}"
    what = f"{assets} assets, {WINDOW} days"
    plain = f"rolling PCA, 15 factors, {what}, against a plain eigendecomposition"
    return [
        Figure(plain, told["plain"] / told["ours"], "x", LEAST_FACTORS, LEAST, note, told),
        Figure(f"the same, 55 % of variance, {what}", told["plain"] / told["share"], "x", LEAST_FACTORS, LEAST),
        Figure(f"Avellaneda-Lee scores, {what}", 1e3 * told["scores"], "ms a day", None, NONE),
    ]
