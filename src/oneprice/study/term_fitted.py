"""`kind=fitted`: bands of residual packages around a curve that is refitted inside the replay, on the past alone.

At each refit (every `refit_days` from the first row): the factor model is fitted to the rows received by then, packages
neutral to its factors are made of neighbours in the chain, their residuals go through the tests of reversion, and only
those are admitted that pass for the number tried. Between refits each update filters the days since at unchanged
numbers. Of a package of value V = sum w_j F_j with fair value M = sum w_j M_j:

    centre = M + mean of V - M over the days before;  half width = errors x s;  band = centre -+ (half width + cost)

s is the standard error of the residual: its deviation over these days, and what the variance of the factors adds to it
where whole lots are not quite neutral. A position is left at the centre. A package keeps its lots from its first
admission to its end. All of it is relative value: nothing but the past says that a residual comes back.

What is returned depends on the rows of the request alone: earlier refits are found again from rows received by their
own time, so a session that is recovered comes to the same models. What is kept between calls only saves time.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.chains import NO_BOUNDARY, Chain, day_text
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.signals.parity.relations import N_RELATIONS, Relation
from oneprice.signals.state_space.refit import FRESH
from oneprice.study.term_fit import StripEstimator, last_prices, leave_day, panel_of
from oneprice.study.term_fitted_admit import LENGTHS, Reversion, admit, reversion
from oneprice.study.term_fitted_fair import FACTORS, ByPlace, Factors, Fair, by_place, fair_values, fitted, shaped
from oneprice.study.term_fitted_package import Package, neutral_package

BEHIND = 3  # places behind those traded, in the model and for the histories (`term_replay.MORE_PLACES`)
LEAST_FIT = 120  # days behind a fit


class Refitted(msgspec.Struct, frozen=True, eq=False):
    """One refit: rows received by `time_ns`, the model, where its search came from, packages by their first place in
    the chain with the tests of all that were tried."""

    time_ns: int
    model: Factors
    won: str
    packages: dict[tuple[int, ...], Package]
    tested: tuple[Reversion, ...]


class FittedEstimator(StripEstimator):
    """The estimator of `kind=fitted`, for `modes.fit.Fit`; `refits` are those so far, by root and number."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.refits: dict[tuple[str, int], Refitted | None] = {}
        self._begin_ns = -1

    def relations(self, windows: list[np.ndarray], now_ns: int) -> list[Relation]:
        """Packages in force, the nearest first."""
        begin_ns = min(int(w["receive_ns"][0]) for w in windows if len(w))
        if begin_ns != self._begin_ns:  # rows of another session
            self.refits, self._begin_ns = {}, begin_ns
        every = self.rules.refit_days * DAY_NS
        out: list[Relation] = []
        for chain in self.chains.values():
            if chain.boundary == NO_BOUNDARY and not self.rules.spreads:
                continue
            found = self._refit(chain, windows, begin_ns, (now_ns - begin_ns) // every)
            if found is not None:
                out += self._in_force(chain, found, windows, now_ns)
        return out[:N_RELATIONS]

    def _refit(self, chain: Chain, windows: list[np.ndarray], begin_ns: int, number: int) -> Refitted | None:
        """Refit `number` of a root; those before it first, each by the rows received by its time."""
        missing = [k for k in range(number + 1) if (chain.root, k) not in self.refits]
        for k in missing:
            time_ns = begin_ns + k * self.rules.refit_days * DAY_NS
            seen = [w[: int(np.searchsorted(w["receive_ns"], time_ns, side="right"))] for w in windows]
            before = self.refits.get((chain.root, k - 1))
            self.refits[(chain.root, k)] = self._fit(chain, seen, time_ns, before)
        return self.refits[(chain.root, number)]

    def _strip(self, chain: Chain, windows: list[np.ndarray]) -> ByPlace:
        own = [i for i, (c, _) in enumerate(self.legs) if c.root == chain.root]
        days, price = panel_of([windows[i] for i in own], chain.tick, self.rules.fit_days)
        columns = np.array([self.legs[i][1] for i in own])
        return by_place(chain, columns, days, price, self.rules.places + BEHIND)

    def _fit(self, chain: Chain, windows: list[np.ndarray], time_ns: int, before: Refitted | None) -> Refitted | None:
        strip = self._strip(chain, windows)
        if len(strip.days) < LEAST_FIT:
            return None
        low = int((strip.price <= 0).sum())
        if low:
            self._note(f"{chain.root}: {low} prices of 0 or below in the rows of a fit have no log: left out")
        try:
            model, won = fitted(self.rules.model, strip, before.model if before else None, FRESH)
            model = shaped(model, strip)
        except DataError as error:
            self._note(f"{chain.root}: no fit: {error}")
            return None
        fair = fair_values(model, strip)
        prices = last_prices(windows, [c.tick for c, _ in self.legs], time_ns)
        tried, kept = [], before.packages if before else {}
        for places in self._candidates(chain, prices, time_ns // DAY_NS):
            package = kept.get(tuple(places)) or self._package(model, fair, strip, places)
            if package is None:
                self._note(f"{chain.root}: loads without a neutral direction: no package")
                continue
            off = residual_of(strip, fair, places, self._weights(package))[-LENGTHS[-1] :]
            if np.isfinite(off).sum() >= LENGTHS[0]:
                tried.append((tuple(places), package, reversion(off, [self._symbol(chain, p) for p in places])))
        tested = admit(
            [t for _, _, t in tried], false_share=self.rules.false_share, most_half_life_days=self.rules.half_life_days
        )
        packages = {places: p for (places, p, _), t in zip(tried, tested, strict=True) if t.admitted}
        return Refitted(time_ns, model, won, packages, tuple(tested))

    def _candidates(self, chain: Chain, prices: np.ndarray, day: int) -> list[list[int]]:
        """Contracts of a package: one more than the model has factors, `spacing` apart, no contract in two."""
        width, gap = FACTORS[self.rules.model] + 1, self.rules.spacing
        first, out = chain.first_on(day), list[list[int]]()
        for block in range(first - first % (width * gap), first + self.rules.places, width * gap):
            for head in range(block, block + gap):
                places = [head + gap * k for k in range(width)]
                if head < first or places[-1] >= min(first + self.rules.places, len(chain.contracts)):
                    continue
                at = [self.at.get((chain.root, p), -1) for p in places]
                if min(at) < 0 or not np.isfinite(prices[at]).all() or prices[at].min() <= 0:
                    continue
                if day < leave_day(chain.contracts[head], self.rules):
                    out.append(places)
        return out

    def _package(self, model: Factors, fair: Fair, strip: ByPlace, places: list[int]) -> Package | None:
        at = np.array(places) - int(strip.at[-1, 0])
        value = fair.value[-1, at]
        if not np.isfinite(value).all():
            return None
        width = 2 * self.rules.lots
        return neutral_package(value, fair.loads[at], fair.error[at], model.shock, width)

    def _weights(self, package: Package) -> np.ndarray:
        """Units of each leg a unit of the relation, of which `lots` lots are held."""
        return np.array(package.lots, np.float64) / self.rules.lots

    def _in_force(self, chain: Chain, found: Refitted, windows: list[np.ndarray], now_ns: int) -> list[Relation]:
        """The packages of a refit with their bands by the rows up to now."""
        if not found.packages:
            return []
        day, strip = now_ns // DAY_NS, self._strip(chain, windows)
        prices = last_prices(windows, [c.tick for c, _ in self.legs], now_ns)
        fair = fair_values(found.model, strip)
        out = []
        for places, package in sorted(found.packages.items()):
            at = [self.at[(chain.root, p)] for p in places]
            if day >= leave_day(chain.contracts[min(places)], self.rules) or not np.isfinite(prices[at]).all():
                continue
            w = self._weights(package)
            centre, s = self._centre(strip, fair, list(places), w)
            if not (math.isfinite(centre) and s > 0):
                continue
            half = self.rules.errors * s
            made = self._spread(chain, places, w, (centre - half, centre + half), prices, day)
            out.append(msgspec.structs.replace(made, back=self.rules.back or half + made.cost))
        return out

    def _centre(self, strip: ByPlace, fair: Fair, places: list[int], w: np.ndarray) -> tuple[float, float]:
        """(centre, standard error of the residual) of a package now; NaN where a leg has no value."""
        off = residual_of(strip, fair, places, w)[-self.rules.window_days :]
        off = off[np.isfinite(off)]
        at = np.array(places) - int(strip.at[-1, 0])
        value = fair.value[-1, at]
        if len(off) < LENGTHS[0] or (at < 0).any() or not np.isfinite(value).all():
            return math.nan, math.nan
        left = (w * value) @ fair.loads[at]  # of the factors, by whole lots
        return float(w @ value + off.mean()), math.sqrt(float(off.var(ddof=1) + left @ fair.variance @ left))

    def summary(self) -> list[str]:
        """Lines of a report: refits, starts that won, packages tried and admitted, refusals by reason."""
        done = [(root, r) for (root, _), r in sorted(self.refits.items()) if r is not None]
        if not done:
            return [f"fitted bands: no refit: fewer than {LEAST_FIT} days"]
        tests = [t for _, r in done for t in r.tested]
        admitted = sum(t.admitted for t in tests)
        won: dict[str, int] = {}
        why: dict[str, int] = {}
        for _, r in done:
            won[r.won] = won.get(r.won, 0) + 1
        for t in tests:
            if not t.admitted:
                why[t.why] = why.get(t.why, 0) + 1
        span = f"{day_text(done[0][1].time_ns // DAY_NS)} to {day_text(done[-1][1].time_ns // DAY_NS)}"
        told = ", ".join(f"{name} {n}" for name, n in sorted(won.items()))
        refused = ", ".join(f"{name} {n}" for name, n in sorted(why.items())) or "none"
        last, share = done[-1][1].model.text, self.rules.false_share
        return [
            f"fitted bands, {self.rules.model}: {len(done)} refits, {span}; best from {told}; last: {last}",
            f"residual packages tried {len(tests)}, admitted {admitted} (false share {share:g} a refit, "
            f"Benjamini-Yekutieli over those tried); refused: {refused}",
        ]


def residual_of(strip: ByPlace, fair: Fair, places: list[int], w: np.ndarray) -> np.ndarray:
    """float64[T]: price less fair value of a package of contracts on each day, money a unit; NaN without all legs."""
    off, total = strip.price - fair.value, np.zeros(len(strip.days))
    for place, weight in zip(places, w, strict=True):
        at = place - strip.at[:, 0]
        inside = (at >= 0) & (at < off.shape[1])
        column = np.take_along_axis(off, np.where(inside, at, 0)[:, None], axis=1)[:, 0]
        total += weight * np.where(inside, column, np.nan)
    return total


def strip_estimator(*how: Any) -> StripEstimator:
    """The estimator of the rules' kind: arguments of `StripEstimator`."""
    return FittedEstimator(*how) if how[2].kind == "fitted" else StripEstimator(*how)
