"""The slot: one traded relation as a fixed record, and what a strategy remembers of each.

A slot says which legs, in which ratio, in which space, how the spread behaves and when it is traded. A model update
replaces all slots at once; `slot_book` lays them over what is open: a slot that is gone is closed and then
forgotten, one that is changed goes on as it was entered until it is flat, then takes what is new.

    log    x = sum w_i ln p_i    w_i is a share of the notional: legs are sized by value and held at that value
    level  x = sum w_i p_i       w_i is a number of units a unit of spread: legs are sized by count and held
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
from oneprice.features import kalman_hedge
from oneprice.signals.drift import fan, watch

N_SLOTS = 16  # in a model
N_BOOK = 32  # in memory: those of the model, and those that are still being closed
N_SLOT_LEGS = 4
LOG, LEVEL = 0, 1
SPACES = ("log", "level")

SLOT = record(
    [
        ("id", "i8"),  # of the relation, the same from fit to fit; 0: empty
        ("version", "i8"),  # of the fit it comes from
        ("n_legs", "i8"),
        ("leg", "i8", (N_SLOT_LEGS,)),  # index in the strategy's legs
        ("weight", "f8", (N_SLOT_LEGS,)),
        ("space", "i8"),  # LOG or LEVEL
        ("dynamic", "i8"),  # 1: weight[1] and the centre follow `kalman_hedge` (two legs, weight[0] = 1)
        ("pivot", "f8"),  # dynamic hedge: the second leg's price (or its log) around which beta turns
        (
            "centre",
            "f8",
        ),  # of the spread, in its units; dynamic hedge: of the first leg where the second is at its pivot
        ("sigma", "f8"),  # stationary standard deviation of the spread
        ("kappa", "f8"),  # reversion a step
        ("kappa_se", "f8"),
        ("entry", "f8"),  # in sigmas: |z| at which it is entered
        ("exit", "f8"),  # z at which it is left, on the side of entry (negative: beyond the centre)
        ("stop", "f8"),  # |z| at which it is given up; 0: never
        ("hold_steps", "i8"),  # longest holding; 0: no end
        ("step_ns", "i8"),  # a step on ticks; on bars a step is a bar
        ("capital", "f8"),  # most gross value of a position, quote currency
        ("rebalance", "f8"),  # share of the gross a leg may drift from its ratio; 0: never rebalanced
        ("strength", "f8"),  # how good the relation is, 0 to 1: scales capital
        ("liquidity", "f8"),  # value traded a step in the thinnest leg, quote currency; 0: not known
        ("q_beta", "f8"),  # dynamic hedge: variances a step of beta and mu
        ("q_mu", "f8"),
        ("beta_se", "f8"),
        ("spread_se", "f8"),  # dynamic hedge: of the spread as the fit left it, and its covariance with beta
        ("beta_spread_cov", "f8"),
        ("mature_ns", "i8"),  # no entry before this time; 0: at once
    ]
)

STATE = record(
    [
        ("slot", SLOT),  # as it is in force
        ("hedge", kalman_hedge.STATE),
        ("fan", fan.STATE),
        ("watch", watch.STATE),
        ("seen_ns", "i8"),  # when it was last looked at
        ("z", "f8"),
        ("side", "i8"),  # wanted: 1 long the spread, -1 short, 0 none
        ("steps", "i8"),  # since entry
        ("scale", "f8"),  # of the open trade: value (log) or units (level) a unit of weight
        ("rearm", "i8"),  # after a stop: 1 until the spread has been at its centre
        ("owns", "i8"),  # 1: what its legs hold is its own, from an entry until they are flat again
        ("broken", "i8"),  # bits of `watch.ASKERS` that fired: no entry until a new version
        ("gone", "i8"),  # not in the model any more
        ("asked", "i8"),  # steps since a monitor fired
        ("pnl", "f8"),  # marked at what was seen, quote currency
        ("peak", "f8"),
        ("mark", "f8", (N_SLOT_LEGS,)),  # price of each leg when last looked at
        ("lots", "f8", (N_SLOT_LEGS,)),  # signed lots to trade now
        ("entries", "i8"),
        ("stops", "i8"),
        ("losses", "i8"),  # stops since the spread last came home
    ]
)
MODEL = record([("fit_ns", "i8"), ("slots", SLOT, (N_SLOTS,))])


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One relation as a fit gives it; `pack` turns a list of them into the model of `stat_arb`.

    `weights` belong to `space`: shares of the notional ("log") or units a unit of spread ("level"). `centre` and
    `sigma` are of the spread in that space, `kappa` and `kappa_se` a step, `entry`, `exit` and `stop` in sigmas,
    `capital` the most gross value of a position. With a dynamic hedge the spread is y - beta (x - pivot) - centre: the
    ratio turns around the pivot (the middle of what was fitted), not around a price of 1. Raises ConfigError for what
    cannot be traded.
    """

    symbols: tuple[str, ...]
    weights: tuple[float, ...]
    space: str
    centre: float
    sigma: float
    kappa: float
    kappa_se: float = 0.0
    entry: float = 2.0
    exit: float = 0.0
    stop: float = 0.0
    hold_steps: int = 0
    step_ns: int = 0
    capital: float = 100_000.0
    rebalance: float = 0.0
    strength: float = 1.0
    liquidity: float = 0.0
    dynamic: bool = False
    pivot: float = 0.0
    q_beta: float = 0.0
    q_mu: float = 0.0
    beta_se: float = 0.0
    spread_se: float = 0.0
    beta_spread_cov: float = 0.0

    def __post_init__(self) -> None:
        where = f"slot {'/'.join(self.symbols)}"
        if not 2 <= len(self.symbols) <= N_SLOT_LEGS or len(set(self.symbols)) != len(self.symbols):
            raise ConfigError(f"{where}: expected 2 to {N_SLOT_LEGS} different symbols, got {list(self.symbols)}")
        if len(self.weights) != len(self.symbols) or not all(math.isfinite(w) and w != 0.0 for w in self.weights):
            raise ConfigError(f"{where}: weights: expected a finite weight other than 0 a leg, got {self.weights}")
        if self.space not in SPACES:
            raise unknown_name("space", self.space, list(SPACES))
        for name in ("sigma", "kappa", "entry", "capital"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"{where}: {name}: expected more than 0, got {value}")
        for name in (
            "kappa_se", "stop", "hold_steps", "step_ns", "rebalance", "strength", "liquidity", "q_beta", "q_mu",
            "beta_se", "spread_se",
        ):  # fmt: skip
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"{where}: {name}: expected 0 or more, got {value}")
        finite = all(math.isfinite(v) for v in (self.centre, self.exit, self.pivot, self.beta_spread_cov))
        if not (finite and self.exit < self.entry):
            raise ConfigError(
                f"{where}: expected a finite centre and pivot, exit < entry {self.entry}, got exit {self.exit}"
            )
        if self.stop and self.stop <= self.entry:
            raise ConfigError(f"{where}: stop: expected more than entry = {self.entry} (or 0), got {self.stop}")
        if self.dynamic and (len(self.symbols) != 2 or self.weights[0] != 1.0):
            raise ConfigError(f"{where}: a dynamic hedge has two legs and weights (1, -beta), got {self.weights}")

    @property
    def id(self) -> int:
        """The same for the same legs and space, whatever the fit: 1 to 2^40."""
        text = "\0".join((self.space, *sorted(self.symbols)))
        return 1 + (zlib.crc32(text.encode()) << 8 | zlib.adler32(text.encode()) & 0xFF)


def pack(slots: Sequence[Slot], symbols: Sequence[str], version: int, *, fit_ns: int = 0) -> dict[str, Any]:
    """The model of `stat_arb`: values for a MODEL record, SLOT[16] with the empty ones at the end.

    Raises
    ------
    ConfigError
        More than 16, the same relation twice, or a symbol the strategy does not trade.
    """
    if len(slots) > N_SLOTS:
        raise ConfigError(f"slots: expected at most {N_SLOTS}, got {len(slots)}: keep the best")
    if version < 1:
        raise ConfigError(f"slots: version: expected 1 or more, got {version}")
    rows = np.zeros(N_SLOTS, SLOT)
    at = {symbol: i for i, symbol in enumerate(symbols)}
    for row, slot in zip(rows, slots, strict=False):
        for symbol in slot.symbols:
            if symbol not in at:
                raise unknown_name("leg of a slot", symbol, list(symbols))
        if slot.id in rows["id"]:
            raise ConfigError(f"slots: {'/'.join(slot.symbols)} in {slot.space} is there twice (or its number is)")
        n = len(slot.symbols)
        row["id"], row["version"], row["n_legs"] = slot.id, version, n
        row["leg"][:n] = [at[s] for s in slot.symbols]
        row["weight"][:n] = slot.weights
        row["space"] = SPACES.index(slot.space)
        row["dynamic"] = int(slot.dynamic)
        for name in (
            "centre", "sigma", "kappa", "kappa_se", "entry", "exit", "stop", "hold_steps", "step_ns",
            "capital", "rebalance", "strength", "liquidity", "q_beta", "q_mu", "beta_se", "pivot",
            "spread_se", "beta_spread_cov",
        ):  # fmt: skip
            row[name] = getattr(slot, name)
    return {"fit_ns": fit_ns, "slots": rows}
