"""Lay the risk layer into an arena: offsets, rates, limits, opening capital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oneprice.core.arena import Arena
from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Instrument, Number, Scales
from oneprice.risk.limits import Limits, fill_limits
from oneprice.risk.records import CURRENCY, N_CAUSES, lay


def init(
    arena: Arena,
    limits: Limits,
    instruments: Sequence[Instrument],
    scales: Scales,
    *,
    capital: Number | Mapping[str, Number] = 0,
    report: str = "",
    fx: Mapping[str, Number] | None = None,
    horizon_ns: int = 1_000_000_000,
    strategies: Sequence[str] = (),
) -> None:
    """Make `s.gate` and `s.ledger` ready; the arena must have its HEAD counts, legs, positions and our
    sections.

    `capital` in the report currency, on the first venue or by venue: an opening balance, not a posting.
    `report`, `fx` and `horizon_ns` as in `records.lay`; `strategies` are the names that `limits.budgets` may use.
    Raises ConfigError for what is missing, misspelt or impossible.
    """
    lay(arena, scales, report=report, fx=fx, horizon_ns=horizon_ns)
    fill_limits(arena, limits, instruments, scales, strategies)
    state = arena.state[0]
    c = int(state["ledger"]["report"])
    n_currencies = len(scales.currencies)
    accounts = arena.section("accounts", np.dtype("i8"))
    statement = arena.section("statement", np.dtype("i8"))
    places = capital if isinstance(capital, Mapping) else {scales.venues[0]: capital}
    for venue, amount in places.items():
        if venue not in scales.venues:
            raise unknown_name("venue of capital", venue, list(scales.venues))
        units = scales.units(scales.currencies[c], amount)
        if units < 0:
            raise ConfigError(f"capital on {venue!r}: expected 0 or more, got {amount}")
        v = scales.venues.index(venue)
        accounts[c] -= units
        accounts[n_currencies * (1 + N_CAUSES) + v * n_currencies + c] += units
        statement[v * n_currencies + c] += units
        arena.section("currencies", CURRENCY)[c]["equity"] += units
    state["gate"]["peak_equity"] = int(arena.section("currencies", CURRENCY)[c]["equity"])
