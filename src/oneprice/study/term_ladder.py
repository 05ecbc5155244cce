"""Ladders of `term_parts`: a strip by its curve and the money market, a relation's future by the spot and its carry.

A dated future F held against a spot S, with tau years from the spot's date to its own, stands at the carry

    y = ln(F / S) / tau

and over an interval its model is S e^(y tau) at the y of its beginning: time alone makes the roll, the spot alone the
curve, and what is left is the change of y, the residual:

    roll      S_t   (e^(y tau_t+1) - e^(y tau_t))
    curve    (S_t+1 - S_t) e^(y tau_t+1)
    residual  F_t+1 - S_t+1 e^(y tau_t+1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from oneprice.core.errors import DataError, unknown_name
from oneprice.core.records import NO_PRICE, TOP
from oneprice.market.chains import Chain
from oneprice.market.rates import Treasury
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.market.settlements import Settlements
from oneprice.market.tape import Tape
from oneprice.signals.parity.relations import YEAR_NS, Relation
from oneprice.study.term_curve import DECAY_YEARS, DayCurves, curve_value, day_curves

Rate = Treasury | float


class StripLadder(msgspec.Struct, frozen=True):
    """Curves and rates of the days of one or several strips, by root.

    Where no yields were told, time carries nothing and the whole way down the curve is roll; prices of 0 or below
    carry no rate either.
    """

    chains: Mapping[str, Chain]
    curves: Mapping[str, DayCurves]
    rate: Rate
    told: dict[int, float] = {}  # three-month rates by day, as they are asked for

    def steps(self, tape: Tape, time_ns: np.ndarray, price: np.ndarray) -> np.ndarray:
        """float64[T - 1, 3] of one contract: carry, carry and roll, and the move of the curve on top."""
        symbol = tape.instrument.symbol.split(":", 1)[1]
        chain, curves = self.chains[tape.instrument.underlying], self.curves[tape.instrument.underlying]
        contract = chain.contracts[chain.place(symbol)]
        days = time_ns // DAY_NS
        row = np.minimum(np.searchsorted(curves.days, days), len(curves.days) - 1)
        if not (curves.days[row] == days).all():
            raise DataError(f"ladder of {symbol}: expected a curve for each of its days")
        out = np.zeros((max(len(days) - 1, 0), 3))
        years = (contract.last_trade_day - days) / 365.0
        if len(out) == 0:
            return out
        rates = np.array([self._rate(int(d)) for d in days[:-1]])
        old, new, u = curves.betas[row[:-1]].T, curves.betas[row[1:]].T, curves.decay_years
        here, later = curve_value(old, years[:-1], u), curve_value(old, years[1:], u)
        moved = curve_value(new, years[1:], u) - later
        out[:, 0] = np.where(price[:-1] > 0, price[:-1] * np.expm1(-rates * -np.diff(years)), 0.0)
        out[:, 1] = np.where(np.isfinite(later - here), later - here, out[:, 0])
        out[:, 2] = out[:, 1] + np.where(np.isfinite(moved), moved, 0.0)
        return out

    def _rate(self, day: int) -> float:
        if not isinstance(self.rate, Treasury):
            return float(self.rate)
        if day not in self.told:
            self.told[day] = self.rate.rate(day, 0.25) if self.rate.covers(day) else 0.0
        return self.told[day]


def strip_ladder(panels: Sequence[Settlements], rate: Rate, decay_years: float = DECAY_YEARS) -> StripLadder:
    """The ladder of strips: a curve a day and root, of all contracts that have a price."""
    curves = {p.chain.root: day_curves(p.days, p.price, p.years_left(), decay_years=decay_years) for p in panels}
    return StripLadder({p.chain.root: p.chain for p in panels}, curves, rate)


class SpotLadder(msgspec.Struct, frozen=True):
    """Legs of one underlying: the model of each is the spot. What a leg does beyond the spot is residual.

    `time_ns` int64[T] rising and `spot` float64[T] in the quote currency of all legs.
    """

    time_ns: np.ndarray
    spot: np.ndarray

    def steps(self, tape: Tape, time_ns: np.ndarray, price: np.ndarray) -> np.ndarray:
        """No carry and no roll (funding is cash); the curve is the move of the spot."""
        at = np.maximum(np.searchsorted(self.time_ns, time_ns, side="right") - 1, 0)
        out = np.zeros((max(len(time_ns) - 1, 0), 3))
        out[:, 2] = np.diff(self.spot[at])
        return out


def spot_ladder(tape: Tape) -> SpotLadder:
    """The mids of a spot's tape. Raises DataError for a tape without quotes."""
    return SpotLadder(*_mids(tape))


class Tie(msgspec.Struct, frozen=True):
    """What a leg is held against: `time_ns` int64[T] rising and `spot` float64[T] in quote currency of that leg.

    `expiry_ns` of the leg itself (0: it has none, a perpetual or the spot) and `near_ns`, the spot's own date where it
    is a nearer future (0: it is a spot): as long as that lives tau stands still, and nothing rolls.
    """

    time_ns: np.ndarray
    spot: np.ndarray
    near_ns: int = 0
    expiry_ns: int = 0

    def years(self, time_ns: np.ndarray) -> np.ndarray:
        """tau at times, 0 from the expiry on and without one."""
        return np.maximum(self.expiry_ns - np.maximum(time_ns, self.near_ns), 0) / YEAR_NS


class RelationLadder(msgspec.Struct, frozen=True):
    """Each leg of relations by what it is held against, by symbol; the move of a leg that has no tie is residual.

    Without a date, behind it, and where a price is 0 or below there is no carry: the curve is the move of the spot, and
    the change of the basis is residual.
    """

    ties: Mapping[str, Tie]

    def steps(self, tape: Tape, time_ns: np.ndarray, price: np.ndarray) -> np.ndarray:
        """No carry (interest, dividends and funding are cash), the roll, and the move of the spot on top."""
        out = np.zeros((max(len(time_ns) - 1, 0), 3))
        tie = self.ties.get(tape.instrument.symbol)
        if tie is None or len(out) == 0:
            return out
        now = np.maximum.accumulate(time_ns)
        spot = tie.spot[np.maximum(np.searchsorted(tie.time_ns, now, side="right") - 1, 0)]
        left = tie.years(now)
        here, later, start, end = spot[:-1], spot[1:], left[:-1], left[1:]
        known = (start > 0) & (here > 0) & (later > 0) & (price[:-1] > 0)
        share = np.where(known, end, 1.0) / np.where(known, start, 1.0)
        ratio = np.where(known, price[:-1], 1.0) / np.where(known, here, 1.0)
        grown = ratio**share  # e^(y tau) at the end, in [S, F] / S: no y that runs off as tau ends
        out[:, 1] = np.where(known, here * grown - price[:-1], 0.0)
        out[:, 2] = np.where(known, later * grown - price[:-1], later - here)
        return out


def relation_ladder(tapes: Sequence[Tape], relations: Sequence[Relation]) -> RelationLadder:
    """Each future or perpetual of relations against its own relation's first leg, and that leg against itself.

    Legs of spreads, which have no spot, are tied to nothing. Raises DataError for a first leg that has no quotes,
    ConfigError for one that has no tape.
    """
    of = {t.instrument.symbol: t for t in tapes}
    ties: dict[str, Tie] = {}
    for r in relations:
        if r.kind not in ("carry", "perpetual"):
            continue
        if r.symbols[0] not in of:
            raise unknown_name("leg of a relation", r.symbols[0], list(of))
        mids = _mids(of[r.symbols[0]])
        ties[r.symbols[0]] = Tie(*mids)
        ties[r.symbols[1]] = Tie(*mids, r.near_ns, r.expiry_ns if r.kind == "carry" else 0)
    return RelationLadder(ties)


def dated_ladder(spot: Tape, future: Tape, expiry_ns: int) -> RelationLadder:
    """One dated future against one spot. Raises DataError for a spot without quotes."""
    mids = _mids(spot)
    return RelationLadder({spot.instrument.symbol: Tie(*mids), future.instrument.symbol: Tie(*mids, 0, expiry_ns)})


def _mids(tape: Tape) -> tuple[np.ndarray, np.ndarray]:
    """(exchange times, made never to go back; mids) of a tape."""
    events = tape.events
    rows = events[(events["kind"] == TOP) & (events["bid"] != NO_PRICE) & (events["ask"] != NO_PRICE)]
    if len(rows) == 0:
        raise DataError(f"ladder: {tape.instrument.symbol}: expected quotes, got none")
    mid = 0.5 * (rows["bid"] + rows["ask"]) * float(str(tape.instrument.tick))
    return np.maximum.accumulate(rows["exchange_ns"].astype(np.int64)), mid.astype(np.float64)
