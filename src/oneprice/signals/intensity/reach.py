"""The intensity of a tape from the reaches of its arrivals, on a range of distances that is chosen and said.

Cells are the finest there are: half ticks, [h, h + 2) with the exposure of h. An arrival counts in the cell in which it
stopped; those that went beyond the far end of the range count together, so that the fitted curve is held to the number
of fills a quote in the range would have had, not to their decline alone.

Few tapes are exponential from the touch to the last sweep: nearer, small orders stop at the touch; farther, sweeps are
of another kind. The range is the one with the most arrivals among those a fit is not refused on: near ends are the
touch and quantiles of the reaches that went through it, far ends those that a half to a hundredth of the arrivals from
the near end on went beyond. Where every range is refused, the widest is returned with its reason. Choosing makes
intervals a little too narrow.

Where hardly an order goes through the touch, distances are told apart by nothing but the changing spread, and k would
be how activity goes with the spread, not how far orders reach: such a tape is refused too. (On a venue that stamps the
prints of one order apart, join them: `join_ns`.)
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.signals.intensity.count import Counts
from oneprice.signals.intensity.fit import MIN_ARRIVALS, Cells, Intensity, fit_cells

MIN_THROUGH = 50  # arrivals that went deeper than the touch they met
NEARER = (0.0, 0.1, 0.25, 0.5)  # share of the arrivals that went through the touch and stopped before the near end
BEYOND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # share of those at or beyond the near end that pass the far end


def fit_reaches(counts: Counts, *, near: float | None = None, far: float | None = None) -> Intensity:
    """The intensity of a tape's arrivals.

    Parameters
    ----------
    near, far : ends of the range of distances, quote currency; None: chosen as above.

    Raises
    ------
    ConfigError
        Ends that are negative or no numbers, or near not below far.
    DataError
        No arrival matched a touch, or a range that holds nothing.
    """
    check_range(near, far)
    reach = counts.reach[counts.reach >= counts.spread]
    if len(reach) == 0:
        raise DataError(
            f"intensity: expected arrivals that reached the touch before them, got none: of {counts.prints} prints "
            f"{counts.unmatched} orders met a book that was one-sided, crossed or not known yet and {counts.inside} "
            "printed inside the touch; is the tape's book two-sided, and are its clocks aligned?"
        )
    if near is not None or far is not None:
        low = 0 if near is None else math.ceil(near / counts.half_tick - 1e-9)
        high = int(reach.max()) if far is None else math.floor(far / counts.half_tick + 1e-9)
        return fit_range(counts, low, high)
    fits = [fit_range(counts, low, high) for low, high in ranges(reach, counts.spread[counts.reach >= counts.spread])]
    good = [f for f in fits if not f.refused]
    if good:
        return max(good, key=lambda f: (f.n, f.far))
    return max(fits, key=lambda f: (f.n, f.far))


def check_range(near: float | None, far: float | None) -> None:
    """Refuse ends of a range of distances that are none."""
    for name, value in (("near", near), ("far", far)):
        if value is not None and not (value >= 0.0 and math.isfinite(value)):
            raise ConfigError(f"intensity: {name}: expected a distance of 0 or more in quote currency, got {value:g}")
    if far is not None and not (near or 0.0) < far:
        raise ConfigError(f"intensity: near must be below far, got near {near or 0.0:g} and far {far:g}")


def ranges(reach: np.ndarray, spread: np.ndarray) -> list[tuple[int, int]]:
    """(near, far) in half ticks: the candidates, those with the most arrivals first."""
    found: list[tuple[int, int]] = []
    through = reach[reach > spread]
    nears = [int(reach.min())]
    if len(through):
        nears += sorted({int(np.quantile(through, share, method="lower")) for share in NEARER} - set(nears))
    for near in nears:
        left = reach[reach >= near]
        if found and len(left) < MIN_ARRIVALS:
            continue
        for beyond in BEYOND:
            far = int(np.quantile(left, 1.0 - beyond, method="higher"))
            if far > near + 2 and (near, far) not in found:
                found.append((near, far))
        if not found:  # nothing goes through the touch: the fit says so
            found.append((near, near + 3))
    return found


def fit_range(counts: Counts, near: int, far: int) -> Intensity:
    """The fit on distances [near, far] in half ticks, with one open cell beyond.

    Raises
    ------
    DataError
        No arrivals or no exposure in the range.
    """
    h = np.arange(near, counts.exposure_s.shape[1])
    exposed = counts.exposure_s[:, h] if len(h) else np.zeros((1, 0))
    keep = exposed.sum(axis=0) > 0.0
    h, exposed = h[keep], exposed[:, keep]
    hit = (counts.reach >= counts.spread) & (counts.reach >= near)
    if len(h) < 2 or not hit.any():
        most = float(counts.reach.max(initial=0)) * counts.half_tick
        raise DataError(
            f"intensity: range {near * counts.half_tick:g} to {far * counts.half_tick:g}: expected exposed distances "
            f"with arrivals, got {len(h)} distances and {int(hit.sum())} arrivals; the farthest of this tape reached "
            f"{most:g}, give a nearer near"
        )
    inner = min(max(int(np.searchsorted(h, far, side="right")), 1), len(h) - 1)
    by_block = np.zeros((len(exposed), inner + 1))
    np.add.at(by_block, (counts.block[hit], np.minimum(np.searchsorted(h, counts.reach[hit]), inner)), 1.0)
    end = np.where(h + 2 > h[-1], math.inf, (h + 2) * counts.half_tick)
    last = float(h[inner - 1] * counts.half_tick)
    first = np.append(np.arange(inner), _merged(h, exposed, inner))
    for parity in (0, 1):  # a merged cell ends where the next of its parity begins
        mine = first[inner:][h[first[inner:]] % 2 == parity]
        end[mine] = np.append(h[mine[1:]] * counts.half_tick, [math.inf] * min(len(mine), 1))
    cells = Cells(
        h[first] * counts.half_tick, end[first], exposed[:, first].sum(axis=0), np.arange(inner + 1),
        by_block.sum(axis=0), True, exposed[:, first], by_block, len(counts.reach), last,
    )  # fmt: skip
    found = msgspec.structs.replace(fit_cells(cells), near=float(h[0] * counts.half_tick))
    through = int((counts.reach[hit] > counts.spread[hit]).sum())
    if through >= MIN_THROUGH:
        return found
    why = f"{through} arrivals went through the touch, expected at least {MIN_THROUGH}: the rest tells nothing of depth"
    return msgspec.structs.replace(found, refused="; ".join(filter(None, [found.refused, why])))


def _merged(h: np.ndarray, exposed: np.ndarray, inner: int) -> np.ndarray:
    """Indices from `inner` on at which the exposure of a parity changes: between them cells are one, and sums equal."""
    keep = []
    for parity in (0, 1):
        mine = inner + np.flatnonzero(h[inner:] % 2 == parity)
        if len(mine):
            changed = (np.diff(exposed[:, mine], axis=1) != 0.0).any(axis=0)
            keep.append(mine[np.append(True, changed)])
    return np.sort(np.concatenate(keep))
