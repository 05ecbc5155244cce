"""Ladders of `term_parts`: a strip by its curve and the money market, a spot and a perpetual by the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from oneprice.core.errors import DataError
from oneprice.market.chains import Chain
from oneprice.market.rates import Treasury
from oneprice.market.settlement_tapes import DAY_NS
from oneprice.market.settlements import Settlements
from oneprice.market.tape import Tape
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
    from oneprice.core.records import NO_PRICE, TOP

    events = tape.events
    rows = events[(events["kind"] == TOP) & (events["bid"] != NO_PRICE) & (events["ask"] != NO_PRICE)]
    if len(rows) == 0:
        raise DataError(f"ladder: {tape.instrument.symbol}: expected quotes, got none")
    mid = 0.5 * (rows["bid"] + rows["ask"]) * float(str(tape.instrument.tick))
    return SpotLadder(rows["exchange_ns"].astype(np.int64), mid.astype(np.float64))
