"""Limits of the gate, as a user writes them: money in the report currency, quantities in underlying units.

Values are conservative for an account of about a million; raise them on purpose. None means no limit of that
kind beyond what the arithmetic needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.arena import POSITION, Arena
from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Instrument, Scales
from oneprice.core.records import LEG, NO_PRICE
from oneprice.risk.records import LEG_LIMITS, NO_LIMIT, VENUE_LIMITS


class LegLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one leg changes of `Limits`; a field left out is taken from there."""

    order_qty: float | None = None
    order_value: float | None = None
    position_qty: float | None = None
    position_value: float | None = None
    price_band_bp: int | None = None
    stale_s: float | None = None
    orders_per_s: int | None = None
    burst: int | None = None
    allow_short: bool | None = None

    def __post_init__(self) -> None:
        _check(self, "LegLimits")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate lets through. `legs` overrides by symbol.

    `budgets` gives strategies (by name, or by index as text where a name is not the only one) their own share of
    legs: underlying units by symbol, 0 to let it only close there. Legs that are not named have that of the leg.

    Raises ConfigError for numbers that cannot be limits; use `limits_from` to read them from a mapping with
    errors that name the nearest valid field.
    """

    order_qty: float | None = None  # underlying units (inverse: contracts x contract value) of one order
    order_value: float | None = 100_000.0  # value of one order at its price
    position_qty: float | None = None  # underlying units held in one leg, working orders counted as filled
    position_value: float | None = 500_000.0  # the same at the mid
    gross_value: float | None = 2_000_000.0  # sum over legs of the larger side, working orders as filled
    net_value: float | None = 500_000.0  # signed sum over legs, working orders counted as filled
    venue_gross_value: float | None = 1_000_000.0  # gross on any one venue
    residual_value_s: float | None = 500_000.0  # unhedged value x age in seconds; above: only hedges, closing
    drawdown_value: float | None = 50_000.0  # fall of equity from its peak; beyond it the engine only reduces
    price_band_bp: int | None = 500  # how far from the mid a limit price may lie
    stale_s: float | None = None  # age at which a quote is not traded on; None: the instrument's own stale_ns
    orders_per_s: int | None = 50  # new and amended orders a leg, sustained
    burst: int = 100  # and at once
    venue_orders_per_s: int | None = 200
    venue_burst: int = 400
    messages_per_day: int | None = 500_000  # new, amend and cancel messages to a venue in a UTC day
    legs: Mapping[str, LegLimits] = {}
    budgets: Mapping[str, Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        _check(self, "Limits")


def limits_from(values: Mapping[str, Any], where: str = "limits") -> Limits:
    """Limits from a mapping (of TOML or JSON); a misspelt name is refused with the nearest."""
    known = list(Limits.__struct_fields__)
    legs: dict[str, LegLimits] = {}
    for name in values:
        if name not in known:
            raise unknown_name(f"limit in {where}", name, known)
    for symbol, own in dict(values.get("legs", {})).items():
        if isinstance(own, LegLimits):
            legs[symbol] = own
            continue
        for name in own:
            if name not in LegLimits.__struct_fields__:
                raise unknown_name(f"limit in {where}.legs.{symbol}", name, list(LegLimits.__struct_fields__))
        legs[symbol] = _convert(own, LegLimits, f"{where}.legs.{symbol}")
    plain = {name: value for name, value in values.items() if name != "legs"}
    return msgspec.structs.replace(_convert(plain, Limits, where), legs=legs)


def _convert(values: Mapping[str, Any], kind: type, where: str) -> Any:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check(limits: Any, where: str) -> None:
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if name in ("legs", "budgets") or value is None or isinstance(value, bool):
            continue
        if isinstance(value, str) or not math.isfinite(value) or value < 0:
            raise ConfigError(
                f"{where}.{name}: expected a finite number of 0 or more, or None, got {value!r}"
            )
        if name in ("burst", "venue_burst", "stale_s") and value <= 0:
            raise ConfigError(f"{where}.{name}: expected more than 0, got {value!r}")


def fill_limits(
    arena: Arena,
    limits: Limits,
    instruments: Sequence[Instrument],
    scales: Scales,
    strategies: Sequence[str] = (),
) -> None:
    """Write limits into the gate, and each strategy's budget: its own where given, else the leg's position limit.

    `strategies` are the names that budgets may use, in order. Needs `records.lay` first. Raises ConfigError for a
    leg or strategy that does not exist, a name that several strategies have, and a position limit beyond what
    `to_legs` proved safe from overflow.
    """
    symbols = [one.symbol for one in instruments]
    for name in limits.legs:
        if name not in symbols:
            raise unknown_name("leg in limits.legs", name, symbols)
    report = scales.currencies[int(arena.state[0]["ledger"]["report"])]
    gate = arena.state[0]["gate"]
    for field, value in (
        ("gross_limit", limits.gross_value),
        ("net_limit", limits.net_value),
        ("residual_limit", limits.residual_value_s),
        ("drawdown_limit", limits.drawdown_value),
    ):
        gate[field] = _units(scales, report, value, field)
    legs = arena.section("legs", LEG)
    rows = arena.section("leg_limits", LEG_LIMITS)
    for i, symbol in enumerate(symbols):
        own = limits.legs.get(symbol, LegLimits())
        _leg_row(rows[i], legs[i], _merged(limits, own), instruments[i], scales, i, report)
        arena.section("positions", POSITION).reshape(-1, len(legs))["budget_lots"][:, i] = rows[i][
            "position_lots"
        ]
    _fill_budgets(arena, limits.budgets, strategies, symbols)
    for row in arena.section("venue_limits", VENUE_LIMITS):
        row["gross_limit"] = _units(scales, report, limits.venue_gross_value, "venue_gross_value")
        row["rate_per_s"] = NO_LIMIT if limits.venue_orders_per_s is None else limits.venue_orders_per_s
        row["burst"] = limits.venue_burst
        row["tokens_e9"] = limits.venue_burst * 1_000_000_000
        row["message_cap"] = NO_LIMIT if limits.messages_per_day is None else limits.messages_per_day


def _fill_budgets(
    arena: Arena, budgets: Mapping[str, Mapping[str, float]], strategies: Sequence[str], symbols: Sequence[str]
) -> None:
    """Each budget in lots, no more than the leg's position limit."""
    legs, rows = arena.section("legs", LEG), arena.section("leg_limits", LEG_LIMITS)
    positions = arena.section("positions", POSITION).reshape(-1, len(legs))
    for name, own in budgets.items():
        at = [k for k, known in enumerate(strategies) if name in (known, str(k))]
        if not at:
            raise unknown_name("strategy in limits.budgets", name, list(strategies))
        if len(at) > 1:
            raise ConfigError(f"limits.budgets: {len(at)} strategies are called {name!r}: use their index, e.g. '0'")
        for symbol, qty in own.items():
            if symbol not in symbols:
                raise unknown_name(f"leg in limits.budgets[{name!r}]", symbol, list(symbols))
            if not (math.isfinite(qty) and qty >= 0):
                raise ConfigError(f"limits.budgets[{name!r}][{symbol!r}]: expected a finite 0 or more, got {qty!r}")
            i = symbols.index(symbol)
            room = int(rows[i]["position_lots"])
            positions[at[0], i]["budget_lots"] = min(_lots(legs[i], qty, room), room)


def _merged(limits: Limits, own: LegLimits) -> dict[str, Any]:
    """The limits of one leg: its own where given, else those of all."""
    out = {name: getattr(own, name) for name in LegLimits.__struct_fields__}
    for name, value in out.items():
        if value is None and name != "allow_short":
            out[name] = getattr(limits, name)
    return out


def _leg_row(
    row: np.void, leg: np.void, values: dict[str, Any], one: Instrument, scales: Scales, i: int, report: str
) -> None:
    room = scales.max_lots[i]
    row["order_lots"] = min(_lots(leg, values["order_qty"], room), room)
    row["position_lots"] = _lots(leg, values["position_qty"], room)
    if row["position_lots"] > room:
        raise ConfigError(
            f"limits: position_qty {values['position_qty']} of {one.symbol!r} is {row['position_lots']} lots,"
            f" at most {room} are proved safe from overflow at prices up to {scales.max_price_ticks[i]}"
            " ticks: lower it, or build legs with max_lots"
        )
    row["order_value"] = _units(scales, report, values["order_value"], "order_value")
    row["position_value"] = _units(scales, report, values["position_value"], "position_value")
    row["price_band_bp"] = NO_LIMIT if values["price_band_bp"] is None else values["price_band_bp"]
    row["stale_ns"] = one.stale_ns if values["stale_s"] is None else round(values["stale_s"] * 1e9)
    row["rate_per_s"] = NO_LIMIT if values["orders_per_s"] is None else values["orders_per_s"]
    row["burst"] = values["burst"]
    row["tokens_e9"] = values["burst"] * 1_000_000_000
    row["own_bid_cap"], row["own_ask_floor"] = NO_LIMIT, NO_PRICE  # unknown: the first check looks
    short = one.allow_short if values["allow_short"] is None else values["allow_short"]
    row["no_short"] = 0 if short else 1


def _lots(leg: np.void, qty: float | None, room: int) -> int:
    """Whole lots of a quantity in underlying units (an inverse leg: in quote currency)."""
    if qty is None:
        return room
    return math.floor(qty / float(leg["lot"]) * (1 + 1e-12))


def _units(scales: Scales, report: str, value: float | None, name: str) -> int:
    if value is None:
        return NO_LIMIT
    units = scales.units(report, value)
    if units >= NO_LIMIT // 2:
        raise ConfigError(
            f"limits.{name}: {value} {report} is beyond 2^62 ledger units; use None for no limit"
        )
    return units
