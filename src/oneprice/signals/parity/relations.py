"""A priced relation between legs as a fixed record: what `term_structure` is given and what it remembers.

    carry      value F (the last leg), band [S_b e^(g_l T) - c, (S_a + u T) e^(g_h T) + c] around the first leg S
    perpetual  value F, band [S_b k_l, S_a k_h]: the ratios at which funding pays for carrying
    spread     value sum w_i P_i, band as fitted: calendar spreads, butterflies, cracks
    listed     value of a listed spread (the last leg), band of carry less the near contract, which is only looked at

T runs from the date of the first leg (0: now, it is a spot) to the expiry of the last. Buying one unit of a relation
buys w_i units of leg i; a carry or perpetual has w = (-1, 1): below its band the future is bought and the spot sold. No
leg is in two relations, so what a leg holds belongs to one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.records import record
from oneprice.features import boundary
from oneprice.market.financing import Cash

N_RELATIONS, N_RELATION_LEGS = 12, 4
CARRY, PERPETUAL, SPREAD, LISTED = 0, 1, 2, 3
KINDS = ("carry", "perpetual", "spread", "listed")
ONE_LEG = (0.0, 1.0)  # weights of a listed spread: a leg of weight 0 is looked at and never traded
YEAR_NS = 365 * 86_400 * 10**9

RELATION = record(
    [
        ("id", "i8"),  # the same from fit to fit; 0: empty
        ("version", "i8"),
        ("kind", "i8"),
        ("n_legs", "i8"),
        ("leg", "i8", (N_RELATION_LEGS,)),
        ("weight", "f8", (N_RELATION_LEGS,)),
        ("growth_low", "f8"),  # carry: rates a year · perpetual: ratios · spread: not used
        ("growth_high", "f8"),
        ("store", "f8"),  # carry: storage a unit and year
        ("low", "f8"),  # spread: the band; NO_LOW, NO_HIGH: none
        ("high", "f8"),
        ("two_sided", "i8"),  # carry: 0 has no lower bound
        ("cost", "f8"),  # of all crossings, a unit; part of carry bands, added to both sides of spread bands
        ("near_ns", "i8"),  # date of the first leg; 0: it is a spot
        ("expiry_ns", "i8"),  # of the last leg; 0: none
        ("leave_ns", "i8"),  # received from then on: only closing; roll, notice, delivery; 0: never
        ("apart_ns", "i8"),  # how far the venue times of the legs may be apart; 0: staleness alone decides
        ("open", "f8"),  # beyond the band, quote currency a unit
        ("back", "f8"),  # inside it, to leave
        ("confirm", "i8"),
        ("qty", "f8"),  # most units held
    ]
)
STATE = record(
    [
        ("now", RELATION),
        ("outside", boundary.STATE),
        ("side", "i8"),
        ("excess", "f8"),
        ("live", "i8"),
        ("asked", "i8"),  # orders went out and no event of a leg came since: its view may not show them yet
    ]
)
MODEL = record([("fit_ns", "i8"), ("relations", RELATION, (N_RELATIONS,))])


class Relation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One relation as a fit gives it; `pack_relations` makes the model of a list. Times in ns since 1970.

    Carry: `growth_low` = r_l - f - y and `growth_high` = r_b + u - y a year. Perpetual: the two ratios. Spread:
    `weights` with `low` and `high` (None: no bound). `cash` is at what rates the cash of a spot, the first leg, is lent
    and borrowed: a replay posts it (`study/term_cash.py`). Raises ConfigError for what cannot be traded.
    """

    kind: str
    symbols: tuple[str, ...]
    qty: float
    weights: tuple[float, ...] = (-1.0, 1.0)
    growth_low: float = 0.0
    growth_high: float = 0.0
    store: float = 0.0
    low: float | None = None
    high: float | None = None
    two_sided: bool = True
    cost: float = 0.0
    near_ns: int = 0
    expiry_ns: int = 0
    leave_ns: int = 0
    apart_ns: int = 0
    open: float = 0.0
    back: float = 0.0
    confirm: int = 2
    cash: Cash | None = None

    def __post_init__(self) -> None:
        where = f"relation {'/'.join(self.symbols)}"
        if self.kind not in KINDS:
            raise unknown_name(f"kind of {where}", self.kind, list(KINDS))
        n = len(self.symbols)
        if not 2 <= n <= N_RELATION_LEGS or len(set(self.symbols)) != n:
            raise ConfigError(f"{where}: expected 2 to {N_RELATION_LEGS} different symbols, got {list(self.symbols)}")
        if self.kind == "listed" and self.weights != ONE_LEG:
            raise ConfigError(f"{where}: a listed spread is bought as (0, 1), got weights {self.weights}")
        traded = self.weights[1:] if self.kind == "listed" else self.weights
        if len(self.weights) != n or not all(math.isfinite(w) and w != 0 for w in traded):
            raise ConfigError(f"{where}: expected a finite weight other than 0 a leg, got {self.weights}")
        if self.kind in ("carry", "perpetual") and self.weights != (-1.0, 1.0):
            raise ConfigError(f"{where}: a {self.kind} is bought as (-1, 1), got weights {self.weights}")
        if self.kind == "listed" and not self.near_ns > 0:
            raise ConfigError(f"{where}: expected near_ns, the last trade of the near contract, got {self.near_ns}")
        dated = self.growth_low <= self.growth_high and self.expiry_ns > self.near_ns >= 0
        if self.kind in ("carry", "listed") and not dated:
            raise ConfigError(f"{where}: expected growth_low <= growth_high and an expiry after the first leg's date")
        if self.kind == "perpetual" and not 0 < self.growth_low <= self.growth_high:
            raise ConfigError(f"{where}: expected ratios 0 < growth_low <= growth_high")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ConfigError(f"{where}: expected low <= high, got {self.low} and {self.high}")
        if self.cash is not None and (self.kind not in ("carry", "perpetual") or self.near_ns > 0):
            raise ConfigError(f"{where}: cash is stated, but its first leg is no spot: a future's is margined")
        for name in ("qty", "confirm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{where}: expected {name} above 0, got {getattr(self, name)}")
        for name in ("store", "cost", "open", "leave_ns", "apart_ns"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"{where}: expected {name} of 0 or more, got {getattr(self, name)}")

    @property
    def id(self) -> int:
        """The same for the same legs and kind, whatever the fit: 1 to 2^40."""
        text = "\0".join((self.kind, *self.symbols))
        return 1 + (zlib.crc32(text.encode()) << 8 | zlib.adler32(text.encode()) & 0xFF)


def pack_relations(
    relations: Sequence[Relation], symbols: Sequence[str], version: int, *, fit_ns: int = 0
) -> dict[str, Any]:
    """The model of `term_structure`.

    Raises
    ------
    ConfigError
        More than 12, a leg in two of them, a symbol that the strategy does not trade.
    """
    if len(relations) > N_RELATIONS:
        raise ConfigError(f"relations: expected at most {N_RELATIONS}, got {len(relations)}: keep the widest outside")
    if version < 1:
        raise ConfigError(f"relations: version: expected 1 or more, got {version}")
    rows, at = np.zeros(N_RELATIONS, RELATION), {s: i for i, s in enumerate(symbols)}
    taken: dict[str, Relation] = {}
    for row, r in zip(rows, relations, strict=False):
        for symbol in r.symbols:
            if symbol not in at:
                raise unknown_name("leg of a relation", symbol, list(symbols))
            if symbol in taken:
                other = "/".join(taken[symbol].symbols)
                raise ConfigError(
                    f"relations: {symbol} is in {other} and in {'/'.join(r.symbols)}: one leg, one relation"
                )
            taken[symbol] = r
        n = len(r.symbols)
        row["id"], row["version"], row["n_legs"], row["kind"] = r.id, version, n, KINDS.index(r.kind)
        row["leg"][:n] = [at[s] for s in r.symbols]
        row["weight"][:n] = r.weights
        row["low"] = boundary.NO_LOW if r.low is None else r.low
        row["high"] = boundary.NO_HIGH if r.high is None else r.high
        for name in (
            "growth_low", "growth_high", "store", "two_sided", "cost", "near_ns", "expiry_ns", "leave_ns", "apart_ns",
            "open", "back", "confirm", "qty",
        ):  # fmt: skip
            row[name] = getattr(r, name)
    return {"fit_ns": fit_ns, "relations": rows}
