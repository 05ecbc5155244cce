"""Kernels of the screen: unit-root statistics of thousands of residuals from their moments alone.

The residual of a pair is e = y - b x, so any moment of e is quadratic in b: S(e) = S(y) - b S(y, x) + b^2 S(x), and
the cross moments of all pairs of two blocks are matrix products. What the regression

    d_t = rho e_t + sum_{i=1..p} g_i d_{t-i} + eps_t,   t = s .. m-1,   d_t = e_{t+1} - e_t,   m = T - 1

needs follows from its first row c_k = sum_t d_t d_{t-k}, sum_t e_t^2, and the observations at both ends:

    D_{i+1,j+1} = D_{i,j} + d_{s-1-i} d_{s-1-j} - d_{m-1-i} d_{m-1-j}        (products of differences)
    B_0 = (e_m^2 - e_s^2 - D_{0,0}) / 2,  B_{j+1} = B_j + D_{0,j} + e_s d_{s-1-j} - e_m d_{m-1-j}   (with the level)

so that the cost of a pair does not depend on T. Pairs are worked on LANES at a time, arrays [quantity, lane].
One Cholesky factor holds the residual sums of squares of all nested lags.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oneprice.core.jit import njit

LANES = 32
SURE = 7e-7  # 1 - R^2 at or below which moments suffice to say that the pair is collinear (the rule's bound: 1.49e-6)
NEAR = 1e-4  # share of a square left by a subtraction below which moments have lost too many digits: the direct kernel


@njit
def own_moments(e: Any, d: Any, own: Any, edges: Any) -> None:
    """Differences d [n, T-1] of series e [n, T], their moments own [L+2, n] and their edges (head, tail, ends)."""
    head, tail, ends = edges
    p = len(head)
    for i in range(len(e)):
        x, steps = e[i], d[i]
        m = len(steps)
        for t in range(m):
            steps[t] = x[t + 1] - x[t]
        for k in range(p + 1):
            own[k, i] = np.dot(steps[p:], steps[p - k : m - k])
        own[p + 1, i] = np.dot(x, x)
        for k in range(p):
            head[k, i] = steps[p - 1 - k]
            tail[k, i] = steps[m - 1 - k]
        for t in range(p + 1):
            ends[t, i] = x[t]
        ends[p + 1, i] = x[m]


@njit
def products_of(c: Any, head: Any, tail: Any, d: Any, w: int) -> None:
    """D [p+1, p+1, lane] from its first row c [p+1, lane]; head[i] = d_{s-1-i}, tail[i] = d_{m-1-i}. Upper half."""
    p = len(c) - 1
    for k in range(p + 1):
        for a in range(w):
            d[0, k, a] = c[k, a]
    for i in range(p):
        for j in range(i, p):
            for a in range(w):
                d[i + 1, j + 1, a] = d[i, j, a] + head[i, a] * head[j, a] - tail[i, a] * tail[j, a]


@njit
def level_of(c: Any, head: Any, tail: Any, ends: Any, level: Any, w: int) -> None:
    """B [p+1, lane]; ends = (e_s, e_m, sum e^2) by lane."""
    p = len(c) - 1
    for a in range(w):
        level[0, a] = 0.5 * (ends[1, a] * ends[1, a] - ends[0, a] * ends[0, a] - c[0, a])
    for j in range(p):
        for a in range(w):
            level[j + 1, a] = level[j, a] + c[j, a] + ends[0, a] * head[j, a] - ends[1, a] * tail[j, a]


@njit
def dot_lanes(g: Any, j: int, k: int, upto: int, w: int) -> None:
    """g[j, k] -= sum_{r < upto} g[j, r] g[k, r], lane by lane; four r a pass."""
    r = 0
    out = g[j, k]
    while r + 3 < upto:
        for a in range(w):
            out[a] -= (g[j, r, a] * g[k, r, a] + g[j, r + 1, a] * g[k, r + 1, a]) + (
                g[j, r + 2, a] * g[k, r + 2, a] + g[j, r + 3, a] * g[k, r + 3, a]
            )
        r += 4
    while r < upto:
        for a in range(w):
            out[a] -= g[j, r, a] * g[k, r, a]
        r += 1


@njit
def factor_lanes(g: Any, m: int, w: int) -> None:
    """Cholesky of g [m+1, m+1, lane] (lower half given) in place but for the last pivot, which stays squared."""
    for k in range(m):
        dot_lanes(g, k, k, k, w)
        for a in range(w):
            g[k, k, a] = 1.0 / math.sqrt(g[k, k, a])
        for j in range(k + 1, m + 1):
            dot_lanes(g, j, k, k, w)
            for a in range(w):
                g[j, k, a] *= g[k, k, a]
    dot_lanes(g, m, m, m, w)


@njit
def stat_lanes(lane: Any, work: Any, n_obs: int, out: Any, kept: Any, w: int) -> None:
    """t of the level with p fixed lags; `kept` falls to the regression's 1 - R^2.

    lane: (c, head, tail, ends); work: (D, B, g).
    """
    c, head, tail, ends = lane
    d, level, g = work
    p = len(c) - 1
    products_of(c, head, tail, d, w)
    level_of(c, head, tail, ends, level, w)
    for i in range(p):
        for j in range(i, p):
            g[j, i, :w] = d[i + 1, j + 1, :w]
        g[p, i, :w] = level[i + 1, :w]
        g[p + 1, i, :w] = d[0, i + 1, :w]
    g[p, p, :w] = ends[2, :w]
    g[p + 1, p, :w] = level[0, :w]
    g[p + 1, p + 1, :w] = d[0, 0, :w]
    factor_lanes(g, p + 1, w)
    df = float(n_obs - p - 1)
    for a in range(w):
        out[a] = g[p + 1, p, a] / math.sqrt(g[p + 1, p + 1, a] / df)
        kept[a] = min(kept[a], g[p + 1, p + 1, a] / d[0, 0, a])


@njit
def best_lanes(lane: Any, work: Any, penalty: Any, chosen: Any, kept: Any, w: int) -> None:
    """Lags of smallest ssr_k penalty[k] (penalty = exp(2k/n): AIC without logarithms); chosen int64 [lane]."""
    c, head, tail, ends = lane
    d, level, g = work
    p = len(c) - 1
    products_of(c, head, tail, d, w)
    level_of(c, head, tail, ends, level, w)
    g[0, 0, :w] = ends[2, :w]
    for i in range(p):
        g[i + 1, 0, :w] = level[i + 1, :w]
        for j in range(i, p):
            g[j + 1, i + 1, :w] = d[i + 1, j + 1, :w]
        g[p + 1, i + 1, :w] = d[0, i + 1, :w]
    g[p + 1, 0, :w] = level[0, :w]
    g[p + 1, p + 1, :w] = d[0, 0, :w]
    factor_lanes(g, p + 1, w)
    for a in range(w):
        left = d[0, 0, a] - g[p + 1, 0, a] * g[p + 1, 0, a]
        best = left
        chosen[a] = 0
        for k in range(1, p + 1):
            left -= g[p + 1, k, a] * g[p + 1, k, a]
            if left * penalty[k] < best:
                best = left * penalty[k]
                chosen[a] = k
        kept[a] = min(kept[a], left / d[0, 0, a])


@njit
def final_stat(lane: Any, a: int, p: int, m: int, g: Any, b: Any) -> float:
    """t of the level with p <= L lags on the sample that p allows, of lane a whose moments are those of L lags.

    Adds the rows t = p .. L-1 to the moments. g [p+2, p+2], b [L+1]: work.
    """
    c, head, tail, ends = lane
    most = len(c) - 1
    first = ends[0, a]  # e_p in the end
    squares = ends[2, a]
    for t in range(most - 1, p - 1, -1):
        first -= head[most - 1 - t, a]
        squares += first * first
    for k in range(p + 1):
        total = c[k, a]
        for t in range(p, most):
            total += head[most - 1 - t, a] * head[most - 1 - t + k, a]
        b[k] = total
    shift = most - p  # head[shift + i] = d_{p-1-i}
    last = ends[1, a]
    target = 0.5 * (last * last - first * first - b[0])
    g[p + 1, p] = target
    level = target
    for i in range(p):
        level += b[i] + first * head[shift + i, a] - last * tail[i, a]
        g[p, i] = level
        g[p + 1, i] = b[i + 1]
    g[p, p] = squares
    g[p + 1, p + 1] = b[0]
    for k in range(p):  # diagonals: the recursion along each
        value = b[k]
        for i in range(p - k):
            value += head[shift + i, a] * head[shift + i + k, a] - tail[i, a] * tail[i + k, a]
            g[i + k, i] = value
    for k in range(p + 1):
        for r in range(k):
            g[k, k] -= g[k, r] * g[k, r]
        inverse = 1.0 / math.sqrt(g[k, k])
        for j in range(k + 1, p + 2):
            for r in range(k):
                g[j, k] -= g[j, r] * g[k, r]
            g[j, k] *= inverse
    left = g[p + 1, p + 1]
    for r in range(p + 1):
        left -= g[p + 1, r] * g[p + 1, r]
    return g[p + 1, p] / math.sqrt(left / (m - p - p - 1))


@njit
def pair_lanes(a_rows: Any, b_rows: Any, cross: Any, at: Any, lane: Any, beta: Any) -> int:
    """Moments of the residuals of series i of A on series j0.. of B into `lane`; slope, 1 - R^2 and digits to `beta`.

    a_rows, b_rows: (own [K+2, n], head [K, n], tail [K, n], ends [K+2, n], total [n]) of `Moments`;
    cross [K+2, nA, nB]; at (i, j0, most lags). beta [3, lane]: its last row is the smallest share that a subtraction
    of moments has left, of levels or of differences. Returns the number of lanes in use.
    """
    own_a, head_a, tail_a, level_a, total = a_rows
    own_b, head_b, tail_b, level_b, _ = b_rows
    c, head, tail, ends = lane
    i, j0, p = at
    w = min(LANES, own_b.shape[1] - j0)
    b, short, kept = beta[0], beta[1], beta[2]
    yy = own_a[p + 1, i]
    for a in range(w):
        xy = cross[p + 1, i, j0 + a]
        b[a] = xy / own_b[p + 1, j0 + a]
        ends[2, a] = yy - b[a] * xy
        short[a] = ends[2, a] / total[i]
    for k in range(p + 1):
        y = own_a[k, i]
        row, own = cross[k, i], own_b[k]
        for a in range(w):
            c[k, a] = y - b[a] * (row[j0 + a] - b[a] * own[j0 + a])
    for a in range(w):
        kept[a] = min(short[a], c[0, a] / max(own_a[0, i], b[a] * b[a] * own_b[0, j0 + a]))
    for k in range(p):
        y, z = head_a[k, i], tail_a[k, i]
        for a in range(w):
            head[k, a] = y - b[a] * head_b[k, j0 + a]
            tail[k, a] = z - b[a] * tail_b[k, j0 + a]
    for t in range(p):  # levels outside the sample: t < p, and the last
        y = level_a[t, i]
        for a in range(w):
            e = y - b[a] * level_b[t, j0 + a]
            ends[2, a] -= e * e
    for a in range(w):
        ends[0, a] = level_a[p, i] - b[a] * level_b[p, j0 + a]
        ends[1, a] = level_a[p + 1, i] - b[a] * level_b[p + 1, j0 + a]
        ends[2, a] -= ends[1, a] * ends[1, a]
    return w


@njit
def lane_room(p: int) -> Any:
    """Work arrays for p lags: lane = (c, head, tail, ends), work = (D, B, g), beta."""
    lane = (np.empty((p + 1, LANES)), np.empty((p, LANES)), np.empty((p, LANES)), np.empty((3, LANES)))
    work = (np.empty((p + 1, p + 1, LANES)), np.empty((p + 1, LANES)), np.empty((p + 2, p + 2, LANES)))
    return lane, work, np.empty((3, LANES))


@njit
def fixed_pairs(a_rows: Any, b_rows: Any, cross: Any, settings: Any, out: Any) -> int:
    """Every pair of two blocks at fixed lags. settings (T, 1 for pairs i < j only); out (stat, beta [nA, nB], near).

    Pairs left to the direct kernel go to `near` [room, 2]; returns their number (those beyond the room are not listed).
    """
    n_obs, upper = settings
    stat, out_beta, near = out
    p = len(cross) - 2
    lane, work, beta = lane_room(p)
    left = 0
    for i in range(cross.shape[1]):
        for j0 in range((i + 1) // LANES * LANES if upper == 1 else 0, cross.shape[2], LANES):
            w = pair_lanes(a_rows, b_rows, cross, (i, j0, p), lane, beta)
            stat_lanes(lane, work, n_obs - 1 - p, stat[i, j0:], beta[2], w)
            for a in range(w):
                out_beta[i, j0 + a] = beta[0, a]
                if beta[1, a] <= SURE:
                    stat[i, j0 + a] = -math.inf
                elif not (beta[2, a] > NEAR and math.isfinite(stat[i, j0 + a])):
                    left = note(near, left, i, j0 + a)
    return left


@njit
def chosen_pairs(a_rows: Any, b_rows: Any, cross: Any, penalty: Any, settings: Any, out: Any) -> int:
    """Every pair with lags by information criterion; penalty [L+1] by lags; out (stat, beta, lags, near).

    settings and the number returned as in `fixed_pairs`.
    """
    n_obs, upper = settings
    stat, out_beta, lags, near = out
    p = len(cross) - 2
    lane, work, beta = lane_room(p)
    chosen = np.empty(LANES, np.int64)
    g, b = np.empty((p + 2, p + 2)), np.empty(p + 1)
    left = 0
    for i in range(cross.shape[1]):
        for j0 in range((i + 1) // LANES * LANES if upper == 1 else 0, cross.shape[2], LANES):
            w = pair_lanes(a_rows, b_rows, cross, (i, j0, p), lane, beta)
            best_lanes(lane, work, penalty, chosen, beta[2], w)
            for a in range(w):
                out_beta[i, j0 + a] = beta[0, a]
                lags[i, j0 + a] = chosen[a]
                if beta[1, a] <= SURE:
                    stat[i, j0 + a] = -math.inf
                    lags[i, j0 + a] = 0
                    continue
                stat[i, j0 + a] = final_stat(lane, a, chosen[a], n_obs - 1, g, b)
                if not (beta[2, a] > NEAR and math.isfinite(stat[i, j0 + a])):
                    left = note(near, left, i, j0 + a)
    return left


@njit
def note(near: Any, left: int, i: int, j: int) -> int:
    """List a pair for the direct kernel."""
    if left < len(near):
        near[left, 0] = i
        near[left, 1] = j
    return left + 1
