"""A and k of lambda(d) = A exp(-k d) by maximum likelihood, each distance weighted by how long it was exposed.

An observation is a cell: arrivals that reached a distance in [near, far), counted while it was exposed for T seconds,

    arrivals ~ Poisson(A T (exp(-k near) - exp(-k far)))

far = inf is a quote at `near`: all that reach it fill it (`fit_intensity`). The arrivals of one tape at several
distances are nested (who reaches 10 reached 5), so there each counts once, in the cell where it stopped
(`reach.fit_reaches`). A is profiled out, k is found on a line; a regression of log counts, which this replaces, gives a
cell with 3 arrivals the weight of one with 3,000 and must drop those with none.

A fit comes with its intervals and goodness of fit, and with `refused`: why it must not be used (empty: it may).
Distances in quote currency from the mid, time in seconds.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import DataError

MIN_ARRIVALS = 200  # fewer, and clustered arrivals leave A exp(-k d) uncertain by a quarter and more
MIN_GROUPS = 4  # distances, merged to MIN_EXPECTED, that two parameters are tested on
MIN_EXPECTED = 8.0
MISFIT = 0.25  # share by which fitted and counted arrivals may differ beyond sampling error
P_REJECT = 0.01
WIDEST_A, WIDEST_K = 4.0, 2.0  # upper over lower end of 95 %: the skew goes by 1 / sqrt(A), the half spread by 1 / k
Z95 = 1.959963984540054
GRID = 161


class Intensity(msgspec.Struct, frozen=True, kw_only=True):
    """lambda(d) = arrivals_per_s exp(-k_decay d) on one side, with what is known about it.

    Intervals are 95 %, on the log scale. `clustering` is the variance of the number of arrivals over that of a Poisson
    number (from blocks of time; 1 where there are none): errors are widened by its root. `misfit` is the largest
    share by which counted arrivals differ from fitted ones beyond two standard errors, at any distance of the fit.
    """

    arrivals_per_s: float
    k_decay: float
    log_arrivals_se: float  # of ln A
    log_k_se: float  # of ln k
    near: float  # distances of the fit, quote currency
    far: float
    n: int  # arrivals used
    n_seen: int  # arrivals there were
    deviance: float
    df: int
    p_value: float
    dispersion: float  # Pearson's chi square over df
    misfit: float
    clustering: float
    refused: str = ""
    cells: tuple[tuple[float, float, float], ...] = ()  # (distance, arrivals counted beyond it, fitted)

    @property
    def arrivals_interval(self) -> tuple[float, float]:
        """95 % of A, 1 / s."""
        wide = math.exp(Z95 * self.log_arrivals_se)
        return self.arrivals_per_s / wide, self.arrivals_per_s * wide

    @property
    def k_interval(self) -> tuple[float, float]:
        """95 % of k, 1 / quote currency."""
        wide = math.exp(Z95 * self.log_k_se)
        return self.k_decay / wide, self.k_decay * wide

    def rate(self, distance: float) -> float:
        """lambda at a distance from the mid, 1 / s."""
        return self.arrivals_per_s * math.exp(-self.k_decay * distance)


class Cells(msgspec.Struct, frozen=True):
    """Cells of one fit, sorted by distance: group g holds the cells from `starts[g]` to `starts[g + 1]`."""

    near: np.ndarray
    far: np.ndarray
    exposure_s: np.ndarray
    starts: np.ndarray
    arrivals: np.ndarray  # by group
    nested: bool  # an arrival beyond a group's near edge also fills quotes at all nearer ones
    block_exposure_s: np.ndarray | None = None  # [blocks, cells]
    block_arrivals: np.ndarray | None = None  # [blocks, groups]
    n_seen: int = 0
    reach: float = math.nan  # far end of the range that was fitted


def fit_intensity(distance: np.ndarray, exposure_s: np.ndarray, arrivals: np.ndarray) -> Intensity:
    """Fit independent observations of quotes: at each distance, arrivals (fills) while exposed for so many seconds.

    Parameters
    ----------
    distance, exposure_s, arrivals : shape (n,); equal distances may repeat. Exposure 0 only with 0 arrivals.

    Raises
    ------
    DataError
        Shapes differ, a number is not finite, an exposure or count is negative, no arrivals, or fewer than two
        distances.
    """
    d, t, n = checked(distance, exposure_s, arrivals)
    order = np.argsort(d, kind="stable")
    values, starts = np.unique(d[order], return_index=True)
    if len(values) < 2:
        raise DataError(f"intensity: expected at least two distances, got {len(values)}: k cannot be seen")
    counts = np.add.reduceat(n[order], starts)
    far = np.full(len(d), math.inf)
    cells = Cells(d[order], far, t[order], starts, counts, False, n_seen=int(n.sum()), reach=float(values[-1]))
    return fit_cells(cells)


def checked(distance: np.ndarray, exposure_s: np.ndarray, arrivals: np.ndarray) -> tuple[np.ndarray, ...]:
    """Float arrays of one shape, or DataError that says which row is wrong."""
    named = {
        "distance": np.asarray(distance, np.float64),
        "exposure_s": np.asarray(exposure_s, np.float64),
        "arrivals": np.asarray(arrivals, np.float64),
    }
    shape = named["distance"].shape
    for name, x in named.items():
        if x.ndim != 1 or x.shape != shape:
            raise DataError(f"intensity: {name}: expected shape (n,) like distance {shape}, got {x.shape}")
        low = -math.inf if name == "distance" else 0.0
        wrong = ~np.isfinite(x) | (x < low)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"intensity: {name}, row {row}: expected a finite number >= {low:g}, got {x[row]!r}")
    impossible = (named["exposure_s"] == 0.0) & (named["arrivals"] > 0.0)
    if impossible.any():
        row = int(np.flatnonzero(impossible)[0])
        raise DataError(f"intensity: exposure_s, row {row}: expected more than 0 where arrivals were counted, got 0")
    if not named["arrivals"].sum() > 0.0:
        raise DataError("intensity: expected arrivals, got none: there is nothing to fit")
    return tuple(named.values())


def fit_cells(cells: Cells) -> Intensity:
    """The fit of cells, with its judgement."""
    base = float(cells.near[0])
    scale = _scale(cells)
    k = _best_k(cells, base, scale)
    shares = expected_shares(cells, base, np.array([k]))[0]
    total = float(cells.arrivals.sum())
    level = total / float(shares.sum())  # A exp(-k base)
    mu = level * shares
    slope = _slopes(cells, base, k)  # d ln mu / dk
    (var_level, var_k, cov), clustering = _covariance(cells, base, k, mu, slope)
    log_a = math.log(level) + k * base
    var_a = max(var_level + 2.0 * base * cov + base * base * var_k, 0.0)
    deviance, df, p_value, dispersion, misfit = _goodness(cells, mu)
    found = Intensity(
        arrivals_per_s=math.exp(min(log_a, 700.0)), k_decay=k, log_arrivals_se=math.sqrt(var_a),
        log_k_se=math.sqrt(var_k) / k, near=base, far=cells.reach, n=int(total), n_seen=cells.n_seen,
        deviance=deviance, df=df, p_value=p_value, dispersion=dispersion, misfit=misfit, clustering=clustering,
        cells=_curve(cells, mu),
    )  # fmt: skip
    edge = ""
    if k * scale <= 1.0001e-4:
        edge = "no decay with distance can be seen"
    elif k * scale >= 0.999e4 or not cells.arrivals[1:].any():
        edge = "no arrival beyond the nearest distance: k cannot be seen"
    return msgspec.structs.replace(found, refused=edge or refusal(found))


def refusal(found: Intensity) -> str:
    """Why a fit must not be used, in words; empty when it may."""
    reasons = []
    if found.n < MIN_ARRIVALS:
        reasons.append(f"{found.n} distinct arrivals, expected at least {MIN_ARRIVALS}")
    if found.df < MIN_GROUPS - 2:
        reasons.append(f"arrivals at {found.df + 2} distances, expected at least {MIN_GROUPS} with enough arrivals")
    ends = (("A", found.arrivals_interval, WIDEST_A), ("k", found.k_interval, WIDEST_K))
    for name, (low, high), widest in ends:
        if not high <= widest * low:
            reasons.append(f"95 % interval of {name} {low:.4g} to {high:.4g}, expected within a factor of {widest:g}")
    if found.p_value < P_REJECT and found.misfit > MISFIT:
        reasons.append(
            f"not exponential: counted arrivals are off the fitted curve by {share_text(found.misfit)} beyond sampling"
            f" error (p {found.p_value:.2g})"
        )
    return "; ".join(reasons)


def fit_words(i: Intensity) -> str:
    """The goodness of fit in words, for a verdict: how likely a misfit so large is, and how large it is."""
    return f"goodness of fit p {i.p_value:.2g}, misfit beyond sampling error {share_text(i.misfit)}"


def share_text(x: float) -> str:
    """A misfit as a percentage, or as a factor where it is far."""
    return f"{x:.0%}" if x < 10.0 else f"a factor of {x:.3g}"


def expected_shares(cells: Cells, base: float, ks: np.ndarray) -> np.ndarray:
    """Expected arrivals by group for A exp(-k base) = 1, [len(ks), groups]."""
    near = np.exp(-np.outer(ks, cells.near - base))
    far = np.exp(-np.outer(ks, np.where(np.isinf(cells.far), 0.0, cells.far - base)))
    far[:, np.isinf(cells.far)] = 0.0
    return np.asarray(np.add.reduceat((near - far) * cells.exposure_s, cells.starts, axis=1))


def _slopes(cells: Cells, base: float, k: float) -> np.ndarray:
    """d ln(expected) / dk by group."""
    a = cells.near - base
    b = np.where(np.isinf(cells.far), 0.0, cells.far - base)
    inside = np.isfinite(cells.far)
    low, high = np.exp(-k * a), np.where(inside, np.exp(-k * b), 0.0)
    share = np.add.reduceat((low - high) * cells.exposure_s, cells.starts)
    change = np.add.reduceat((b * high - a * low) * cells.exposure_s, cells.starts)
    return np.asarray(np.divide(change, share, out=np.zeros(len(share)), where=share > 0.0))


def _scale(cells: Cells) -> float:
    """A length of the problem: the mean distance of arrivals beyond the nearest cell."""
    edges = cells.near[cells.starts] - cells.near[0]
    mean = float(edges @ cells.arrivals / cells.arrivals.sum())
    step = float(np.diff(cells.near[cells.starts]).min()) if len(cells.starts) > 1 else 1.0
    return max(mean, 0.1 * step, 1e-300)


def _best_k(cells: Cells, base: float, scale: float) -> float:
    """k of the largest profile likelihood, between 1e-4 and 1e4 over the scale."""
    from scipy.optimize import minimize_scalar

    total = cells.arrivals.sum()
    seen = cells.arrivals > 0.0

    def minus(log_ks: np.ndarray) -> np.ndarray:
        shares = expected_shares(cells, base, np.exp(log_ks) / scale)
        with np.errstate(divide="ignore"):
            return np.asarray(total * np.log(shares.sum(axis=1)) - np.log(shares[:, seen]) @ cells.arrivals[seen])

    grid = np.linspace(math.log(1e-4), math.log(1e4), GRID)
    values = minus(grid)
    at = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    bounds = (grid[max(at - 1, 0)], grid[min(at + 1, GRID - 1)])
    found = minimize_scalar(lambda x: float(minus(np.array([x]))[0]), bounds=bounds, method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    return math.exp(float(found.x)) / scale


def _covariance(
    cells: Cells, base: float, k: float, mu: np.ndarray, slope: np.ndarray
) -> tuple[tuple[float, float, float], float]:
    """(var ln level, var k, cov), and by how much blocks of time widened the first (1: not at all).

    It is the inverse information, widened to what the scores of blocks of time show where they show more.
    """
    info = np.array([[mu.sum(), mu @ slope], [mu @ slope, mu @ slope**2]])
    if not np.linalg.det(info) > 0.0:
        return (math.inf, math.inf, 0.0), 1.0
    plain = np.linalg.inv(info)
    if cells.block_arrivals is None or cells.block_exposure_s is None:
        return (float(plain[0, 0]), float(plain[1, 1]), float(plain[0, 1])), 1.0
    from scipy.stats import t

    one = np.exp(-k * (cells.near - base)) - np.where(np.isinf(cells.far), 0.0, np.exp(-k * (cells.far - base)))
    level = mu.sum() / (one @ cells.exposure_s)
    mus = level * np.add.reduceat(cells.block_exposure_s * one, cells.starts, axis=1)
    over = cells.block_arrivals - mus
    scores = np.stack([over.sum(axis=1), over @ slope], axis=1)
    n = len(scores)
    robust = plain @ (scores.T @ scores * n / (n - 1)) @ plain
    more = np.maximum(1.0, np.diag(robust) / np.diag(plain))
    wide = (float(t.ppf(0.975, n - 1)) / Z95) ** 2  # few blocks: Student's interval
    grow = np.sqrt(np.where(more > 1.0, more * wide, 1.0))
    both = plain * np.outer(grow, grow)
    return (float(both[0, 0]), float(both[1, 1]), float(both[0, 1])), float(more[0])


def _goodness(cells: Cells, mu: np.ndarray) -> tuple[float, int, float, float, float]:
    """(deviance, df, p, dispersion, misfit); misfit is looked for at every distance of the range, beyond two standard
    errors of independent arrivals.
    """
    from scipy.stats import chi2

    seen, want = merged(cells.arrivals, mu)
    df = len(want) - 2
    logs = np.where(seen > 0.0, seen * np.log(np.maximum(seen, 1e-300) / want), 0.0)
    deviance = float(2.0 * (logs - (seen - want)).sum())
    pearson = float(((seen - want) ** 2 / want).sum())
    at = np.array([c[1:] for c in _curve(cells, mu)])
    allowed = 2.0 * np.sqrt(at.max(axis=1))
    off = (np.abs(at[:, 0] - at[:, 1]) - allowed) / np.maximum(at[:, 1], 1e-300)
    p = float(chi2.sf(deviance, df)) if df > 0 else math.nan
    return deviance, df, p, pearson / df if df > 0 else math.nan, max(0.0, float(off.max()))


def merged(seen: np.ndarray, want: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring groups added up until each is expected to have MIN_EXPECTED arrivals; the rest joins the last."""
    counts, means, a, b = [], [], 0.0, 0.0
    for x, m in zip(seen, want, strict=True):
        a, b = a + float(x), b + float(m)
        if b >= MIN_EXPECTED:
            counts.append(a)
            means.append(b)
            a = b = 0.0
    if counts:
        counts[-1] += a
        means[-1] += b
    else:
        counts, means = [a], [b]
    return np.array(counts), np.array(means)


def _curve(cells: Cells, mu: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    """(distance, arrivals counted, fitted) by group: at or beyond the distance where cells are nested."""
    seen, want = cells.arrivals, mu
    if cells.nested:
        seen, want = np.cumsum(seen[::-1])[::-1], np.cumsum(want[::-1])[::-1]
    edges = cells.near[cells.starts]
    return tuple((float(d), float(x), float(m)) for d, x, m in zip(edges, seen, want, strict=True))
