"""Cash-and-carry and its reverse on settlements: a spot that is paid for, with its interest, and its future.

The band is `carry_relation` at the rates of a `Cash`, on top of what money costs where that is told by day; the same
rates are charged to the spot as it is held, so what the band counts on is what the ledger books.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.market.chains import Chain, Roll
from oneprice.market.financing import Cash, with_cash
from oneprice.market.rates import Treasury
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread, settlement_tapes
from oneprice.market.settlements import Settlements
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.signals.parity.relations import Relation, pack_relations
from oneprice.strategies.term_structure import term_structure
from oneprice.study.term_fit import Costs, Rate, carry_relation, financing, last_prices
from oneprice.study.term_ladder import dated_ladder
from oneprice.study.term_parts import term_parts
from oneprice.study.term_replay import (
    CAPITAL,
    FEES,
    LATENCY_US,
    MOST_TICKS,
    TermRun,
    strip_limits,
    strip_policy,
    wide_price,
)

WORD = "relative value: rates and lease assumed"
MARGIN_DAYS = 5  # closing begins so long before the last day the future may be held


def replay_carry(
    spot: Settlements,
    future: Settlements,
    *,
    cash: Cash,
    rate: Rate = 0.0,
    lots: int = 5,
    confirm: int = 1,
    terms: dict[str, float] | None = None,
    half_spread: HalfSpread | None = None,
    fees: Fees = FEES,
    roll: Roll | None = None,
    every_days: int = 7,
    capital: float = CAPITAL,
    seed: int = 0,
    out: str | Path | None = None,
) -> TermRun:
    """Replay a spot against the first future of a chain.

    Parameters
    ----------
    spot : settlements of one line that is paid for. future: of a chain; the first contract of each is traded.
    cash : lent and borrowed rates beyond `rate`, the lender's fee, storage: part of the band, and charged.
    rate : Treasury yields, as told before each day, or a rate a year.
    terms : more of `carry_relation`: yield_rate, open, back, two_sided.

    Raises DataError for no settlement of either, ConfigError as `carry_relation` and for lots or days below 1.
    """
    for name, value in (("lots", lots), ("every_days", every_days)):
        if value < 1:
            raise ConfigError(f"cash and carry: expected {name} of 1 or more, got {value}")
    costs = Costs(half_spread or HalfSpread(), fees)
    legs = [_first(p, costs) for p in (spot, future)]
    symbols = [t.instrument.symbol for t in legs]
    base = _told(rate)
    tapes = [with_cash(legs[0], cash, base=base), legs[1]]
    estimator = _Carry((spot.chain, future.chain), symbols, (cash, rate, costs), roll or Roll(), lots, confirm, terms)
    run = replay(
        term_structure(slip_bp=5_000.0, slip_price=wide_price([spot, future]), participation=1.0),
        tapes,
        latency=constant(LATENCY_US, LATENCY_US),
        limits=strip_limits(capital),
        settings=Settings(capital=capital, sample_ns=DAY_NS, max_price_ticks=MOST_TICKS),
        policy=strip_policy(),
        fits=[
            Fit(
                estimator=estimator, latency_ns=1, first_ns=max(int(t.events["receive_ns"][0]) for t in tapes),
                every_ns=every_days * DAY_NS,
            )
        ],
        seed=seed,
        out=out,
    )  # fmt: skip
    hour_ns = int(tapes[1].events["exchange_ns"][0]) % DAY_NS  # the future ends as it settles, not at midnight
    ladder = dated_ladder(tapes[0], tapes[1], future.chain.contracts[0].last_trade_day * DAY_NS + hour_ns)
    return TermRun(run, term_parts(run, tapes, ladder), tuple(tapes), None, WORD, (), "carry")


def _first(panel: Settlements, costs: Costs) -> Tape:
    symbol = panel.chain.contracts[0].symbol
    return settlement_tapes(panel, [symbol], half_spread=costs.spread, fees=costs.fees)[0]


def _told(rate: Rate) -> Callable[[int], float]:
    """The rate of a day for what is charged overnight: three months, as told before it; 0 where none is told."""
    if not isinstance(rate, Treasury):
        return lambda day: float(rate)
    return lambda day: rate.rate(day, 0.25) if rate.covers(day) else 0.0


class _Carry:
    """One relation, at the rates told by each fit."""

    def __init__(
        self, chains: tuple[Chain, Chain], symbols: list[str], what: tuple[Cash, Rate, Costs], roll: Roll, lots: int,
        confirm: int, terms: dict[str, float] | None,
    ) -> None:  # fmt: skip
        self.chains, self.symbols, self.roll, self.lots, self.confirm = chains, symbols, roll, lots, confirm
        self.cash, self.rate, self.costs = what
        self.terms = dict(terms or {})

    def __call__(self, windows: list[np.ndarray]) -> dict[str, Any]:
        now_ns = max(int(w["receive_ns"][-1]) for w in windows if len(w))
        found = self.relation(windows, now_ns)
        return pack_relations([found] if found else [], self.symbols, max(now_ns // DAY_NS, 1), fit_ns=now_ns)

    def relation(self, windows: list[np.ndarray], now_ns: int) -> Relation | None:
        day, one = now_ns // DAY_NS, self.chains[1].contracts[0]
        last = self.roll.last_day(one) - MARGIN_DAYS
        prices = last_prices(windows, [c.tick for c in self.chains], now_ns)
        untold = isinstance(self.rate, Treasury) and not self.rate.covers(day)
        if day >= last or untold or not np.isfinite(prices).all():
            return None
        base, c = financing(self.rate, day, 0.0, one.years_left(day)), self.cash
        cost = sum(self.costs.unit(chain, 1, day, float(p)) for chain, p in zip(self.chains, prices, strict=True))
        own = {"borrow_fee": c.fee, "storage_rate": c.storage_rate, "store": c.store, "confirm": self.confirm}
        return carry_relation(
            *self.symbols, expiry_ns=one.last_trade_day * DAY_NS, rates=(base + c.lend, base + c.borrow),
            qty=self.lots * self.chains[0].multiplier, cost=cost,
            terms={"apart_ns": DAY_NS // 2, "leave_ns": last * DAY_NS, **own, **self.terms},
        )  # fmt: skip
