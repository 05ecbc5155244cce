"""Bond futures: conversion factors, basis, implied repo, and which bond is cheapest to deliver.

The conversion factor is the price at which the bond would yield the notional coupon, on whole quarters, rounded to four
digits (CBOT rules, long bonds). Prices a unit of face.
"""

from __future__ import annotations

import math

import msgspec

from oneprice.core.errors import ConfigError

NOTIONAL = 0.06


class Deliverable(msgspec.Struct, frozen=True):
    """One bond of the basket: `clean` price now, accrued now and at delivery, conversion `factor`; coupons paid in
    between as (years left to delivery, amount)."""

    name: str
    clean: float
    accrued: float
    accrued_delivery: float
    factor: float
    coupons: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if not (self.clean > 0 and self.factor > 0 and self.accrued >= 0 and self.accrued_delivery >= 0):
            raise ConfigError(f"deliverable {self.name}: expected price and factor above 0, accrued of 0 or more")


class Basis(msgspec.Struct, frozen=True):
    """`gross` = clean - factor x future; `net` = gross less carry at the repo stated: what delivery options are worth;
    `implied_repo` simple, a year: what buying the bond and delivering it earns."""

    name: str
    gross: float
    net: float
    implied_repo: float


def conversion_factor(coupon: float, years: int, months: int, *, notional: float = NOTIONAL) -> float:
    """Of a bond with whole `years` and `months` (0 to 11) left from the first day of the delivery month.

    Months are rounded down to whole quarters. Raises ConfigError for negative coupon or time.
    """
    if not (coupon >= 0 and years >= 0 and 0 <= months < 12 and years + months > 0 and notional > 0):
        raise ConfigError(f"conversion factor: expected coupon >= 0 and time left, got {coupon}, {years} y {months} m")
    z = months // 3 * 3
    v = z if z < 7 else 3
    a = 1.0 / (1.0 + notional / 2.0) ** (v / 6.0)
    b = coupon / 2.0 * (6 - v) / 6.0
    c = 1.0 / (1.0 + notional / 2.0) ** (2 * years if z < 7 else 2 * years + 1)
    d = coupon / notional * (1.0 - c)
    return round(a * (coupon / 2.0 + c + d) - b, 4)


def basis_of(bond: Deliverable, future: float, years: float, repo: float) -> Basis:
    """Basis of one bond against a future that delivers in `years`. Raises ConfigError for years or future <= 0."""
    if not (years > 0 and future > 0 and math.isfinite(repo)):
        raise ConfigError(f"basis of {bond.name}: expected a future and years above 0, got {future}, {years}")
    paid = bond.clean + bond.accrued
    received = bond.factor * future + bond.accrued_delivery
    coupons = math.fsum(amount for _, amount in bond.coupons)
    weighted = math.fsum(amount * left for left, amount in bond.coupons)
    implied = (received + coupons - paid) / (paid * years - weighted)
    income = coupons + weighted * repo + bond.accrued_delivery - bond.accrued
    gross = bond.clean - bond.factor * future
    return Basis(bond.name, gross, gross - (income - paid * repo * years), implied)


def cheapest_to_deliver(basket: list[Deliverable], future: float, years: float, repo: float) -> list[Basis]:
    """The basket by implied repo, the cheapest to deliver first. Raises ConfigError for an empty basket."""
    if not basket:
        raise ConfigError("cheapest to deliver: expected at least one bond, got none")
    return sorted((basis_of(b, future, years, repo) for b in basket), key=lambda b: -b.implied_repo)
