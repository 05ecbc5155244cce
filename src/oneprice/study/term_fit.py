"""Relations and their bands for futures strips: what `term_structure` is given, from rows received by the request.

    calendar   two neighbours, F2 <= F1 e^(r_b t) + storage; also from below where the chain can be lent (two_sided)
    butterfly  three neighbours; what they are off a fitted curve, by quantiles of the past (relative value)
    crack      products of a barrel against its crude, a stated band (relative value)
    fitted     neighbours weighted neutral to the factors of a curve refitted on the past (`term_fitted.py`)
    carry      a spot and a future; perpetual: a spot and a perpetual

Every band holds the way back as well: half spreads to leave, fees and taxes both ways; the way in is at the touch.
Neighbours are paired by their place in the chain, so a contract keeps its relation for life and no leg is in two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Fees
from oneprice.core.records import NO_PRICE, TOP
from oneprice.market.chains import NO_BOUNDARY, TWO_SIDED, Chain, Contract, Roll, day_text
from oneprice.market.financing import Cash
from oneprice.market.rates import Treasury
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread
from oneprice.signals.parity.perpetual import perpetual_ratio
from oneprice.signals.parity.relations import N_RELATIONS, Relation, pack_relations
from oneprice.signals.state_space.schwartz_smith import SchwartzSmith, run_schwartz_smith
from oneprice.study.term_curve import DECAY_YEARS, day_curves

STRIP_KINDS = ("calendar", "butterfly", "crack", "fitted")
FITTED_MODELS = ("schwartz_smith", "diebold_li")
LEGS, LISTED_SPREAD = "legs", "listed"
BARREL = {"CL": 1.0, "BRN": 1.0, "HO": 42.0, "RB": 42.0}  # units of the quote in a barrel
TRADING_DAYS = 252.0
LEAST_HISTORY = 20  # curves behind a quantile


class StripRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a strip is bounded. Rates a year, continuously compounded; money in quote currency a unit.

    `storage` a unit and month is *assumed*, never observed in these files: what a strip pays above it is relative
    value. `borrow_bp` and `lend_bp` lie around the Treasury rate; `lease` is the fee of borrowing the metal.
    """

    kind: str = "calendar"
    spread: str = LEGS  # a calendar spread as two contracts, or as the exchange's listed spread
    lots: int = 5
    storage: float = 0.5
    borrow_bp: float = 50.0
    lend_bp: float = 25.0
    lease: float = 0.01
    places: int = 12  # contracts from the front
    roll: Roll = Roll()
    margin_days: int = 5  # closing begins so long before the last day a contract may be held
    open: float = 0.0
    back: float = 0.0
    confirm: int = 1
    window_days: int = 250  # of curves behind quantiles
    quantile: float = 0.99
    decay_years: float = DECAY_YEARS
    crack: tuple[tuple[str, float], ...] = (("RB", 2.0), ("HO", 1.0), ("CL", -3.0))  # barrels
    crack_low: float = 0.0  # a barrel of crude
    crack_high: float = 40.0
    schwartz_smith: SchwartzSmith | None = None  # butterflies off this model instead of Nelson-Siegel
    spreads: bool = False  # relations where there is no boundary at all (volatility, power)
    model: str = "schwartz_smith"  # fitted: the factor model, refitted every so many days on so many trading days
    refit_days: int = 91
    fit_days: int = 500
    errors: float = 2.0  # half width of a fitted band, standard errors of the residual
    spacing: int = 1  # places between the legs of a package
    false_share: float = 0.1  # of packages admitted at a refit that do not revert; 1: no test refuses any
    half_life_days: float = 30.0  # the slowest residual that is waited for

    def __post_init__(self) -> None:
        if self.kind not in STRIP_KINDS:
            raise unknown_name("kind of relation", self.kind, list(STRIP_KINDS))
        if self.spread not in (LEGS, LISTED_SPREAD):
            raise unknown_name("way to trade a spread", self.spread, [LEGS, LISTED_SPREAD])
        if self.spread == LISTED_SPREAD and self.kind != "calendar":
            raise ConfigError(f"strip rules: only calendar spreads are listed, got a {self.kind}: write spread={LEGS}")
        if self.model not in FITTED_MODELS:
            raise unknown_name("model of a fitted band", self.model, list(FITTED_MODELS))
        for name in (
            "lots", "places", "confirm", "window_days", "decay_years", "refit_days", "fit_days", "errors", "spacing",
            "half_life_days",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ConfigError(f"strip rules: expected {name} above 0, got {getattr(self, name)}")
        least = {"calendar": 2, "butterfly": 3}.get(self.kind, 1)
        if self.places < least:
            raise ConfigError(
                f"strip rules: expected places of {least} or more, since a {self.kind} has so many contracts, got "
                f"{self.places}: write places={least}"
            )
        for name in ("storage", "borrow_bp", "lend_bp", "lease", "margin_days", "open"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"strip rules: expected {name} of 0 or more, got {value}")
        if not 0.5 < self.quantile < 1:
            raise ConfigError(f"strip rules: expected a quantile between 0.5 and 1, got {self.quantile}")
        if not 0 < self.false_share <= 1:
            raise ConfigError(f"strip rules: expected a false_share above 0 and up to 1, got {self.false_share}")
        if not self.crack_low <= self.crack_high:
            raise ConfigError(
                f"strip rules: expected crack_low <= crack_high, got {self.crack_low} and {self.crack_high}"
            )


class Costs(msgspec.Struct, frozen=True):
    """What crossings of a contract cost: an assumed half spread in ticks, and the fees of the venue."""

    spread: HalfSpread
    fees: Fees

    def unit(self, chain: Chain, place: int, day: int, price: float) -> float:
        """Of one unit to its last cent: half a spread to leave, fees and taxes in and out."""
        half = float(self.spread.ticks(np.array([place]), np.array([day]))[0]) * chain.tick
        fee = self.fees
        rate = 2.0 * float(fee.taker_bp) + float(fee.buy_tax_bp) + float(fee.sell_tax_bp)
        return half + abs(price) * rate * 1e-4 + 2.0 * float(fee.per_lot) / chain.multiplier


Rate = Treasury | float


def financing(rate: Rate, day: int, start: float, end: float) -> float:
    """Rate from `start` to `end` years from a day, by what was told before it. DataError where yields are absent."""
    return rate if isinstance(rate, float) else rate.forward(day, max(start, 0.0), end)


def leave_day(contract: Contract, rules: StripRules) -> int:
    """From this day on a contract is only closed: `margin_days` before the last day it may be held.

    Between two settlements lie at most four days, so the first decision from here on fills by the last day.
    """
    return rules.roll.last_day(contract) - rules.margin_days


def calendar_terms(chain: Chain, places: tuple[int, int], rules: StripRules, rate: Rate, day: int) -> dict[str, Any]:
    """Fields of the relation of two contracts (nearer, later) that do not depend on how it is traded."""
    one, two = (chain.contracts[p] for p in places)
    base = financing(rate, day, one.years_left(day), two.years_left(day))
    return {
        "qty": rules.lots * chain.multiplier, "growth_low": base - rules.lend_bp * 1e-4 - rules.lease,
        "growth_high": base + rules.borrow_bp * 1e-4, "store": 12.0 * rules.storage,
        "two_sided": chain.boundary == TWO_SIDED, "near_ns": one.last_trade_day * DAY_NS,
        "expiry_ns": two.last_trade_day * DAY_NS, "leave_ns": leave_day(one, rules) * DAY_NS, "apart_ns": DAY_NS // 2,
        "open": rules.open, "back": rules.back, "confirm": rules.confirm,
    }  # fmt: skip


class StripEstimator:
    """The estimator of one chain, or of the chains of a crack, for `modes.fit.Fit`.

    `legs` are (chain, contract place) in the order of the tapes. Depends on the windows it is given, on the tables of
    expiries, and on yields told before the day; `notes` says why a day has no relation.
    """

    def __init__(
        self, legs: Sequence[tuple[Chain, int]], symbols: Sequence[str], rules: StripRules, rate: Rate, costs: Costs
    ) -> None:
        if len(legs) != len(symbols):
            raise ConfigError(f"estimator: expected a symbol a leg, got {len(symbols)} of {len(legs)}")
        self.legs, self.symbols, self.rules, self.rate, self.costs = tuple(legs), tuple(symbols), rules, rate, costs
        self.at = {(chain.root, place): i for i, (chain, place) in enumerate(legs)}
        self.chains = {chain.root: chain for chain, _ in legs}
        self.notes: dict[str, int] = {}
        for chain in self.chains.values():
            if chain.boundary == NO_BOUNDARY and rules.kind != "crack" and not rules.spreads:
                asked = "" if rules.kind == "calendar" else " unless spreads=true asks for one"
                self._note(f"{chain.root} has no boundary: nothing is called arbitrage, no relation is made{asked}")

    def __call__(self, windows: list[np.ndarray]) -> dict[str, Any]:
        """The model of a request."""
        seen = [w for w in windows if len(w)]
        if not seen:
            return pack_relations([], self.symbols, 1)
        now_ns = max(int(w["receive_ns"][-1]) for w in seen)
        found = self.relations(windows, now_ns)
        if len(found) > N_RELATIONS:
            self._note(f"more than {N_RELATIONS} relations: the nearest are kept")
        return pack_relations(found[:N_RELATIONS], self.symbols, now_ns // DAY_NS, fit_ns=now_ns)

    def relations(self, windows: list[np.ndarray], now_ns: int) -> list[Relation]:
        """Relations that may be held from now on, the nearest first."""
        day = now_ns // DAY_NS
        prices = last_prices(windows, [chain.tick for chain, _ in self.legs], now_ns)
        if self.rules.kind == "crack":
            return self._cracks(prices, day)
        out: list[Relation] = []
        for chain in self.chains.values():
            if chain.boundary == NO_BOUNDARY and not self.rules.spreads:
                continue
            if self.rules.kind == "calendar" and chain.boundary != NO_BOUNDARY:
                out += self._calendars(chain, prices, day)
            else:
                out += self._flies(chain, windows, prices, day)
        return out

    def _group(self, chain: Chain, width: int, prices: np.ndarray, day: int) -> list[list[int]]:
        """Places in the chain, `width` neighbours each, priced and with time left to live."""
        first = chain.first_on(day)
        groups = []
        for head in range(first - first % width, min(first + self.rules.places, len(chain.contracts)), width):
            places = list(range(head, head + width))
            if head < first or places[-1] >= len(chain.contracts):
                continue
            if day < leave_day(chain.contracts[head], self.rules) and self._priced(chain, places, prices):
                groups.append(places)
        return groups

    def _priced(self, chain: Chain, places: Sequence[int], prices: np.ndarray) -> bool:
        """All of them have a tape and a price."""
        at = [self.at.get((chain.root, p), -1) for p in places]
        return min(at) >= 0 and bool(np.isfinite(prices[at]).all())

    def _calendars(self, chain: Chain, prices: np.ndarray, day: int) -> list[Relation]:
        out = []
        for near, far in self._group(chain, 2, prices, day):
            if isinstance(self.rate, Treasury) and not self.rate.covers(day):
                self._note(f"no yields were told in the ten days before a fit of {day_text(day)[:7]}: no relation")
                break
            out.append(self._calendar(chain, (near, far), prices, day))
        return out

    def _calendar(self, chain: Chain, places: tuple[int, int], prices: np.ndarray, day: int) -> Relation:
        """Two neighbours as two legs."""
        symbols = (self._symbol(chain, places[0]), self._symbol(chain, places[1]))
        terms = calendar_terms(chain, places, self.rules, self.rate, day)
        return Relation(kind="carry", symbols=symbols, cost=self._cost(chain, places, (1.0, 1.0), prices, day), **terms)

    def _flies(self, chain: Chain, windows: list[np.ndarray], prices: np.ndarray, day: int) -> list[Relation]:
        r = self.rules
        groups = self._group(chain, 3, prices, day)
        if not groups:
            return []
        own = [i for i, (c, _) in enumerate(self.legs) if c.root == chain.root]
        days, price = panel_of([windows[i] for i in own], chain.tick, r.window_days)
        ends = np.array([chain.contracts[self.legs[i][1]].last_trade_day for i in own])
        years = (ends[None, :] - days[:, None]) / 365.0
        column = {self.legs[i][1]: j for j, i in enumerate(own)}
        model = self._model(chain, days, price, years)
        if model is None:
            return []
        out = []
        for places in groups:
            weights = np.array([-1.0, 2.0, -1.0])
            at = [column[p] for p in places]
            off = (price[:, at] - model[:, at]) @ weights
            off = off[np.isfinite(off)]
            now = float(model[-1, at] @ weights)
            if len(off) < LEAST_HISTORY or not math.isfinite(now):
                continue
            low, high = np.quantile(off, [1.0 - r.quantile, r.quantile])
            out.append(self._spread(chain, places, weights, (now + float(low), now + float(high)), prices, day))
        return out

    def _model(self, chain: Chain, days: np.ndarray, price: np.ndarray, years: np.ndarray) -> np.ndarray | None:
        """What the model says each contract is worth on each day, float64[T, N]; None: the model has no price then.

        Schwartz-Smith at given parameters where the rules have them (filtered: each day by the days up to it), else
        Nelson-Siegel.
        """
        given = self.rules.schwartz_smith
        if given is None:
            curves = day_curves(days, price, years, decay_years=self.rules.decay_years)
            return np.array([curves.value(t, years[t]) for t in range(len(days))])
        seen = np.where(years >= 0, price, np.nan)
        if len(days) < LEAST_HISTORY or (seen <= 0).any():
            self._note(f"{chain.root}: a price of 0 or below, or too few days, for a model of logs: no relation")
            return None
        noise = tuple(given.noise[min(j, len(given.noise) - 1)] for j in range(price.shape[1]))
        model = msgspec.structs.replace(given, noise=noise)
        off = run_schwartz_smith(seen, np.maximum(years, 0.0), model, dt_years=1.0 / TRADING_DAYS).residuals
        return np.asarray(seen * np.exp(-off))

    def _spread(
        self, chain: Chain, places: Sequence[int], weights: np.ndarray, band: tuple[float, float], prices: np.ndarray,
        day: int,
    ) -> Relation:  # fmt: skip
        r = self.rules
        first = chain.contracts[min(places)]
        return Relation(
            kind="spread", symbols=tuple(self._symbol(chain, p) for p in places), weights=tuple(weights.tolist()),
            qty=r.lots * chain.multiplier, low=band[0], high=band[1],
            cost=self._cost(chain, places, np.abs(weights), prices, day),
            leave_ns=leave_day(first, r) * DAY_NS, apart_ns=DAY_NS // 2, open=r.open, back=r.back, confirm=r.confirm,
        )  # fmt: skip

    def _cracks(self, prices: np.ndarray, day: int) -> list[Relation]:
        """One a delivery month that all roots of the crack have; a unit is a barrel of the crude."""
        r, out = self.rules, list[Relation]()
        missing = [root for root, _ in r.crack if root not in self.chains]
        if missing:
            raise ConfigError(f"crack: expected settlements of {', '.join(n for n, _ in r.crack)}, none of {missing}")
        root, n = min(r.crack, key=lambda leg: leg[1])
        crude, unit = abs(n), self.chains[root].multiplier
        by_month = {
            root: {c.delivery_month: p for p, c in enumerate(self.chains[root].contracts) if c.delivery_month}
            for root, _ in r.crack
        }
        months = sorted(set.intersection(*(set(found) for found in by_month.values())))
        for month in months:
            legs = [(self.chains[root], by_month[root][month], n) for root, n in r.crack]
            if any((c.root, p) not in self.at or c.first_on(day) > p for c, p, _ in legs):
                continue
            if not all(math.isfinite(prices[self.at[(c.root, p)]]) for c, p, _ in legs):
                continue
            leave = min(leave_day(c.contracts[p], r) for c, p, _ in legs)
            if day >= leave or len(out) == N_RELATIONS or legs[0][1] - legs[0][0].first_on(day) >= r.places:
                continue
            weights = [n / crude * BARREL.get(c.root, 1.0) for c, _, n in legs]
            cost = sum(
                abs(w) * self._cost(c, (p,), (1.0,), prices, day) for (c, p, _), w in zip(legs, weights, strict=True)
            )
            relation = Relation(
                kind="spread", symbols=tuple(self._symbol(c, p) for c, p, _ in legs), weights=tuple(weights),
                qty=r.lots * crude * unit, low=r.crack_low, high=r.crack_high, cost=cost, leave_ns=leave * DAY_NS,
                apart_ns=DAY_NS // 2, open=r.open, back=r.back, confirm=r.confirm,
            )  # fmt: skip
            out.append(relation)
        return out

    def _cost(self, chain: Chain, places: Sequence[int], sizes: Any, prices: np.ndarray, day: int) -> float:
        first = chain.first_on(day)
        return float(
            sum(
                size * self.costs.unit(chain, p - first + 1, day, prices[self.at[(chain.root, p)]])
                for p, size in zip(places, sizes, strict=True)
            )
        )

    def _symbol(self, chain: Chain, place: int) -> str:
        return self.symbols[self.at[(chain.root, place)]]

    def _note(self, text: str) -> None:
        self.notes[text] = self.notes.get(text, 0) + 1


def last_prices(windows: Sequence[np.ndarray], ticks: Sequence[float], now_ns: int, old_days: int = 12) -> np.ndarray:
    """float64[n]: the mid of each leg's last quote; NaN without one, or with one older than `old_days`."""
    out = np.full(len(windows), np.nan)
    for i, w in enumerate(windows):
        n = len(w) - 1
        while n >= 0 and not (int(w["kind"][n]) == TOP and int(w["bid"][n]) != NO_PRICE):  # an expiry, no settlement
            n -= 1
        if n >= 0 and now_ns - int(w["exchange_ns"][n]) <= old_days * DAY_NS:
            out[i] = 0.5 * (int(w["bid"][n]) + int(w["ask"][n])) * ticks[i]
    return out


def panel_of(windows: Sequence[np.ndarray], tick: float, n_days: int) -> tuple[np.ndarray, np.ndarray]:
    """(days int64[T], mids float64[T, N]) of the last `n_days` days in windows of settlements; NaN: none."""
    recent = [w[-(n_days + 2) :] for w in windows]
    rows = [w[(w["kind"] == TOP) & (w["bid"] != NO_PRICE)] for w in recent]
    stamps = [r["exchange_ns"] // DAY_NS for r in rows]
    days = np.unique(np.concatenate(stamps)) if rows else np.zeros(0, np.int64)
    days = days[-n_days:]
    out = np.full((len(days), len(rows)), np.nan)
    for j, (r, at) in enumerate(zip(rows, stamps, strict=True)):
        keep = at >= days[0] if len(days) else np.zeros(len(at), bool)
        out[np.searchsorted(days, at[keep]), j] = 0.5 * (r["bid"][keep] + r["ask"][keep]) * tick
    return days, out


def carry_relation(
    spot: str, future: str, *, expiry_ns: int, rates: tuple[float, float], qty: float, cost: float,
    terms: Mapping[str, float] | None = None,
) -> Relation:  # fmt: skip
    """Cash-and-carry and its reverse: a spot and a future.

    rates (lend, borrow) a year; `terms`: any of storage_rate, yield_rate, borrow_fee (a year), store (money a unit and
    year), open, back, confirm, apart_ns, leave_ns. Rates, fee and storage are also what a replay charges the spot
    (`Relation.cash`). Without the reverse (the spot cannot be lent): two_sided=0.
    """
    t = dict(terms or {})
    known = ("storage_rate", "yield_rate", "borrow_fee", "store", "open", "back", "confirm", "apart_ns", "leave_ns",
             "two_sided")  # fmt: skip
    for name in t:
        if name not in known:
            raise unknown_name("term of carry", name, list(known))
    paid = t.get("yield_rate", 0.0)
    return Relation(
        kind="carry", symbols=(spot, future), qty=qty, growth_low=rates[0] - t.get("borrow_fee", 0.0) - paid,
        growth_high=rates[1] + t.get("storage_rate", 0.0) - paid, store=t.get("store", 0.0), cost=cost,
        expiry_ns=expiry_ns, leave_ns=int(t.get("leave_ns", expiry_ns)), apart_ns=int(t.get("apart_ns", 0)),
        open=t.get("open", 0.0), back=t.get("back", 0.0), confirm=int(t.get("confirm", 2)),
        two_sided=bool(t.get("two_sided", 1)),
        cash=Cash(
            lend=rates[0], borrow=rates[1], fee=t.get("borrow_fee", 0.0), storage_rate=t.get("storage_rate", 0.0),
            store=t.get("store", 0.0),
        ),
    )  # fmt: skip


def perpetual_relation(
    spot: str, perpetual: str, *, funding_a_year: float, rates: tuple[float, float],
    asset_rates: tuple[float, float] = (0.0, 0.0), qty: float, cost_share: float, hold_years: float,
    cost: float = 0.0, confirm: int = 2, apart_ns: int = 0,
) -> Relation:  # fmt: skip
    """A spot and a perpetual whose long pays `funding_a_year` times the premium a year (1095: each 8 hours).

    `cost_share` of the notional for the four trades is spread over `hold_years` of funding; `cost`, money a unit, is
    asked of the price itself. Who may be out tomorrow, when the price is back, charges all of it as `cost`.
    """
    if not (hold_years > 0 and cost_share >= 0):
        raise ConfigError(
            f"perpetual: expected hold_years above 0 and cost_share of 0 or more, got {hold_years}, {cost_share}"
        )
    spread = cost_share / hold_years
    low = perpetual_ratio(funding_a_year, rates[0] - asset_rates[1] - spread)
    high = perpetual_ratio(funding_a_year, rates[1] - asset_rates[0] + spread)
    if not math.isfinite(high):
        raise ConfigError(f"perpetual: funding {funding_a_year} a year cannot hold a price against {spread:g} a year")
    return Relation(
        kind="perpetual", symbols=(spot, perpetual), qty=qty, growth_low=low, growth_high=high, cost=cost,
        confirm=confirm, apart_ns=apart_ns, cash=Cash(lend=rates[0], borrow=rates[1]),
    )  # fmt: skip


def fixed(relations: Sequence[Relation], symbols: Sequence[str]) -> Callable[[list[np.ndarray]], dict[str, Any]]:
    """An estimator that always gives these relations: bands whose inputs are known beforehand."""
    values = pack_relations(relations, symbols, 1)

    def known(windows: list[np.ndarray]) -> dict[str, Any]:
        return values

    return known
