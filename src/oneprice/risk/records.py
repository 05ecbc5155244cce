"""The records of the risk layer: what is nested in STATE (`s.gate`, `s.ledger`) and the sections behind it.

Accounts are numbered; every balance is debit-positive (cash and positions positive when owned, capital and
gains negative), so the accounts of a currency sum to zero. Two sets of books:

    native   by currency c:  capital(c) · cause(c, k) · cash(venue, c) · position(leg)
    report   foreign c only: worth(c) = convert(equity(c)) against report capital and report cause(k)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from oneprice.core.address import address_of, record_at
from oneprice.core.arena import Arena
from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Number, Scales, exact
from oneprice.core.jit import njit
from oneprice.core.money import E9, MONEY_MAX
from oneprice.core.records import CAUSES, N_PACKAGE_LEGS, N_PACKAGES, NO_PRICE, REASONS, record

N_CAUSES = len(CAUSES)
PRINCIPAL, CAPITAL, CASH_MOVE = N_CAUSES, N_CAUSES + 1, N_CAUSES + 2  # POSTING codes that are no P&L
NO_STRATEGY = 255
N_MARKOUTS = 4096
DUE_AT_ONCE = 128  # markouts an event: bounds the rows that one event can leave
NO_LIMIT = (1 << 63) - 1

GATE = record(
    [
        ("leg_limits_off", "i8"),  # LEG_LIMITS[n_legs]
        ("venue_limits_off", "i8"),  # VENUE_LIMITS[n_venues]
        ("gross_limit", "i8"),  # report units
        ("net_limit", "i8"),
        ("residual_limit", "i8"),  # report units x seconds
        ("residual_age_value", "i8"),  # as last measured, same unit
        ("drawdown_limit", "i8"),  # report units below the highest equity
        ("peak_equity", "i8"),
        ("n_approved", "i8"),
        ("refused", "i8", (len(REASONS),)),
    ]
)

LEG_LIMITS = record(
    [
        ("order_lots", "i8"),
        ("order_value", "i8"),  # report units
        ("position_lots", "i8"),
        ("position_value", "i8"),  # report units, at the mid
        ("price_band_bp", "i8"),
        ("stale_ns", "i8"),
        ("rate_per_s", "i8"),  # tokens a second
        ("burst", "i8"),
        ("tokens_e9", "i8"),
        ("tokens_ns", "i8"),  # when the bucket was last filled
        ("no_short", "i8"),
        ("own_bid_cap", "i8"),  # no own buy works above; NO_PRICE: none works
        ("own_ask_floor", "i8"),  # no own sell works below; NO_LIMIT: none works
        ("spare", "i8", (3,)),
    ]
)

VENUE_LIMITS = record(
    [
        ("gross_limit", "i8"),  # report units
        ("rate_per_s", "i8"),
        ("burst", "i8"),
        ("tokens_e9", "i8"),
        ("tokens_ns", "i8"),
        ("message_cap", "i8"),  # a day
        ("messages", "i8"),
        ("day", "i8"),  # days since 1970 that `messages` counts
    ]
)

CURRENCY = record(
    [
        ("rate_e9", "i8"),  # report currency for one of this, x 1e9, as last set
        ("carried_e9", "i8"),  # the rate at which `worth` was last posted
        ("up", "i8"),  # powers of ten between the two scales
        ("down", "i8"),
        ("equity", "i8"),  # native units: capital + sum of causes
        ("spare", "i8", (3,)),
    ]
)

MARKOUT = record(
    [
        ("due_ns", "i8"),
        ("lots", "i8"),  # signed
        ("mark2_ticks", "i8"),  # doubled price at which the lots are carried
        ("leg", "i4"),
        ("strategy", "i4"),
    ]
)

CARRY = record(  # one a strategy and leg
    [
        ("adverse", "i8"),  # of pending fills, summed up between their marks and the posting
        ("parts_value", "i8"),
        ("rounding", "i8"),
        ("spare", "i8"),
    ]
)

PACKAGE_OVERLAY = record(
    [
        ("ref", "i8"),
        ("active", "i8"),
        ("strategy", "i8"),
        ("opened_ns", "i8"),
        ("last_ns", "i8"),
        ("n_legs", "i8"),
        ("n_fills", "i8"),
        # report units
        ("planned", "i8"),  # value locked if all planned lots had filled at the touches of the decision
        ("planned_filled", "i8"),  # the same for the lots that did fill
        ("realised", "i8"),  # -sum of V(q, fill)
        ("market", "i8"),  # moved between the package's decision and that of the order
        ("execution", "i8"),  # paid beyond the plan once the order was decided
        ("fees", "i8"),
        ("naked_value", "i8"),  # signed value not offset by another leg, now
        ("worst_naked_value", "i8"),
        ("naked_value_s", "f8"),  # its size integrated over time
        ("leg", "i8", (N_PACKAGE_LEGS,)),
        ("touch_ticks", "i8", (N_PACKAGE_LEGS,)),
        ("mid2_ticks", "i8", (N_PACKAGE_LEGS,)),
        ("lots", "i8", (N_PACKAGE_LEGS,)),  # filled, signed
    ]
)

OVERLAY_TOTAL = record(  # one a strategy: closed packages
    [
        ("packages", "i8"),
        ("n_fills", "i8"),
        ("planned", "i8"),
        ("planned_filled", "i8"),
        ("realised", "i8"),
        ("market", "i8"),
        ("execution", "i8"),
        ("fees", "i8"),
        ("worst_naked_value", "i8"),
        ("naked_value_s", "f8"),
        ("borrow", "i8"),  # paid on what packages left short, and dividends on what they left held (a short pays)
        ("dividend", "i8"),
    ]
)

LEDGER = record(
    [
        ("accounts_off", "i8"),  # i8[n_accounts]
        ("currencies_off", "i8"),  # CURRENCY[n_currencies]
        ("markouts_off", "i8"),  # MARKOUT[capacity], a ring
        (
            "statement_off",
            "i8",
        ),  # i8[n_venues * n_currencies]: cash as the venues would state it, kept beside the postings
        (
            "reported_off",
            "i8",
        ),  # i8[(n_strategies * n_legs + 1) * causes]: report units; the last row is unallocated
        ("loose_off", "i8"),  # i8[n_currencies * causes]: native units of no leg
        ("carries_off", "i8"),  # CARRY[n_strategies * n_legs]
        ("fallback_off", "i8"),  # i8[n_legs]: doubled price of the last fill, the mark while no mid is known
        ("overlays_off", "i8"),  # OVERLAY_TOTAL[n_strategies]
        ("n_accounts", "i8"),
        ("report", "i8"),  # index of the report currency
        ("horizon_ns", "i8"),
        ("next_due_ns", "i8"),
        ("head", "i8"),  # markouts taken
        ("tail", "i8"),  # markouts put
        ("capacity", "i8"),
        ("n_early", "i8"),  # marked out before their horizon because the ring was full
        ("n_unmarked", "i8"),  # fills without a decision mid: edge and slippage are 0 by definition
        ("n_postings", "i8"),
        ("packages", PACKAGE_OVERLAY, (N_PACKAGES,)),
    ]
)


def sections(
    n_legs: int, n_strategies: int, n_currencies: int, n_venues: int, *, markouts: int = N_MARKOUTS
) -> dict[str, int]:
    """Names and bytes of the risk sections of an arena; `lay` finds them by these names."""
    cells = n_strategies * n_legs
    return {
        "accounts": 8 * n_accounts(n_legs, n_currencies, n_venues),
        "currencies": CURRENCY.itemsize * n_currencies,
        "markouts": MARKOUT.itemsize * markouts,
        "statement": 8 * n_venues * n_currencies,
        "reported": 8 * (cells + 1) * N_CAUSES,
        "loose": 8 * n_currencies * N_CAUSES,
        "carries": CARRY.itemsize * cells,
        "fallback": 8 * n_legs,
        "overlays": OVERLAY_TOTAL.itemsize * n_strategies,
        "leg_limits": LEG_LIMITS.itemsize * n_legs,
        "venue_limits": VENUE_LIMITS.itemsize * n_venues,
    }


def n_accounts(n_legs: int, n_currencies: int, n_venues: int) -> int:
    """How many accounts there are."""
    return n_currencies * (1 + N_CAUSES) + n_venues * n_currencies + n_legs + n_currencies + 1 + N_CAUSES


def lay(
    arena: Arena,
    scales: Scales,
    *,
    report: str = "",
    fx: Mapping[str, Number] | None = None,
    horizon_ns: int = 1_000_000_000,
) -> None:
    """Lay the offsets, the report currency and the first rates; LEG, HEAD counts and sections must be there.

    `report`: the currency of equity, limits and the report (default: the first leg's). `fx`: report currency
    for one unit of each other currency, required for each. `horizon_ns`: when a fill is marked out. Limits
    stay unset until `fill_limits`. Raises ConfigError for a missing, unknown or impossible rate.
    """
    state = arena.state[0]
    gate, ledger = state["gate"], state["ledger"]
    for name in sections(1, 1, 1, 1):
        target = gate if name in ("leg_limits", "venue_limits") else ledger
        target[f"{name}_off"] = arena.sections[name][0]
    report = report or scales.currencies[0]
    if report not in scales.currencies:
        raise unknown_name("report currency", report, list(scales.currencies))
    if horizon_ns <= 0:
        raise ConfigError(f"horizon_ns: expected more than 0, got {horizon_ns}")
    ledger["report"] = scales.currencies.index(report)
    ledger["n_accounts"] = arena.sections["accounts"][1] // 8
    ledger["horizon_ns"] = horizon_ns
    ledger["next_due_ns"] = NO_LIMIT
    ledger["capacity"] = arena.sections["markouts"][1] // MARKOUT.itemsize
    arena.section("fallback", np.dtype("i8"))[:] = NO_PRICE
    _init_rates(arena.section("currencies", CURRENCY), scales, report, fx or {})


def _init_rates(rows: np.ndarray, scales: Scales, report: str, fx: Mapping[str, Number]) -> None:
    for name in fx:
        if name not in scales.currencies:
            raise unknown_name("fx currency", name, list(scales.currencies))
    home = scales.scale[scales.currencies.index(report)]
    for i, currency in enumerate(scales.currencies):
        if currency != report and currency not in fx:
            raise ConfigError(
                f"fx: expected the price of one {currency} in {report}, got none:"
                f" pass fx={{{currency!r}: rate}}"
            )
        rate = exact(fx.get(currency, 1), f"fx[{currency!r}]")
        rate_e9 = round(rate * E9)
        if rate <= 0 or rate_e9 == 0 or (currency == report and rate != 1):
            raise ConfigError(
                f"fx[{currency!r}]: expected more than 0 (and 1 for {report} itself), got {fx[currency]}"
            )
        gap = home - scales.scale[i]
        up, down = 10 ** max(gap, 0), 10 ** max(-gap, 0)
        if rate_e9 * up * 1000 >= MONEY_MAX or E9 * down >= MONEY_MAX:
            raise ConfigError(
                f"fx[{currency!r}]: rate {rate} between scales {scales.scale[i]} and {home} leaves no"
                " room for a move by 1000: choose nearer scales"
            )
        rows[i]["up"], rows[i]["down"] = up, down
        rows[i]["rate_e9"] = rows[i]["carried_e9"] = rate_e9


def account_names(scales: Scales) -> list[str]:
    """The name of each account number, for the manifest."""
    names = [f"capital/{c}" for c in scales.currencies]
    names += [f"{cause}/{c}" for c in scales.currencies for cause in CAUSES]
    names += [f"cash/{venue}/{c}" for venue in scales.venues for c in scales.currencies]
    names += [f"position/{symbol}" for symbol in scales.symbols]
    names += [f"worth/{c}" for c in scales.currencies]
    return [*names, "report capital", *(f"report {cause}" for cause in CAUSES)]


@njit
def capital_account(s: Any, c: int) -> int:
    """Number of the capital account of currency c."""
    return c


@njit
def cause_account(s: Any, c: int, cause: int) -> int:
    """Number of the P&L account of a cause in currency c."""
    return s.n_currencies + c * N_CAUSES + cause


@njit
def cash_account(s: Any, venue: int, c: int) -> int:
    """Number of the cash account of a venue and currency."""
    return s.n_currencies * (1 + N_CAUSES) + venue * s.n_currencies + c


@njit
def position_account(s: Any, i: int) -> int:
    """Number of the account that carries the value of leg i's position."""
    return s.n_currencies * (1 + N_CAUSES + s.n_venues) + i


@njit
def worth_account(s: Any, c: int) -> int:
    """Number of the account that carries foreign equity c in report units; report capital, causes follow."""
    return s.n_currencies * (1 + N_CAUSES + s.n_venues) + s.n_legs + c


_currency_of = record_at(CURRENCY)
_CURRENCY_BYTES = CURRENCY.itemsize


@njit
def currency_of(s: Any, i: int) -> Any:
    """CURRENCY i."""
    return _currency_of(address_of(s) + s.ledger.currencies_off + i * _CURRENCY_BYTES)


_markout_of = record_at(MARKOUT)
_MARKOUT_BYTES = MARKOUT.itemsize


@njit
def markout_of(s: Any, i: int) -> Any:
    """MARKOUT i."""
    return _markout_of(address_of(s) + s.ledger.markouts_off + i * _MARKOUT_BYTES)


_carry_of = record_at(CARRY)
_CARRY_BYTES = CARRY.itemsize


@njit
def carry_of(s: Any, i: int) -> Any:
    """CARRY i."""
    return _carry_of(address_of(s) + s.ledger.carries_off + i * _CARRY_BYTES)


_leg_limit_of = record_at(LEG_LIMITS)
_LEG_LIMITS_BYTES = LEG_LIMITS.itemsize


@njit
def leg_limit_of(s: Any, i: int) -> Any:
    """LEG_LIMITS i."""
    return _leg_limit_of(address_of(s) + s.gate.leg_limits_off + i * _LEG_LIMITS_BYTES)


_venue_limit_of = record_at(VENUE_LIMITS)
_VENUE_LIMITS_BYTES = VENUE_LIMITS.itemsize


@njit
def venue_limit_of(s: Any, i: int) -> Any:
    """VENUE_LIMITS i."""
    return _venue_limit_of(address_of(s) + s.gate.venue_limits_off + i * _VENUE_LIMITS_BYTES)


_overlay_of = record_at(OVERLAY_TOTAL)
_OVERLAY_TOTAL_BYTES = OVERLAY_TOTAL.itemsize


@njit
def overlay_of(s: Any, i: int) -> Any:
    """OVERLAY_TOTAL i."""
    return _overlay_of(address_of(s) + s.ledger.overlays_off + i * _OVERLAY_TOTAL_BYTES)
