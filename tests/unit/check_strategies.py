"""Strategies that each break one rule of conformance, and one that breaks none."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from oneprice.execution.intents import fresh, package, quote
from oneprice.execution.strategy import strategy

assert time


@strategy(edge_bp=5.0, qty=0.01, memory={"calls": "i8"})
def good(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    m.calls += 1
    a, b = legs[0], legs[1]
    if fresh(event, a, b) and b.bid > a.ask * (1.0 + p.edge_bp * 1e-4):
        package(orders, 1, (0, a.ask), (1, b.bid), p.qty)


@strategy(qty=0.01)
def writes_p(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    p.qty += 1.0


@strategy(qty=0.01)
def floods_keys(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    if legs[0].bid > 0.0:
        quote(orders, event.seq, 0, 1, legs[0].bid, p.qty)


@strategy(qty=0.01)
def floods_list(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    if legs[0].bid > 0.0:
        for i in range(40):
            quote(orders, i, 0, 1, legs[0].bid, p.qty)


@strategy(qty=0.01)
def ignores_missing_sides(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    quote(orders, 1, 0, 1, legs[0].bid, p.qty)


@strategy(qty=0.01)
def wild_leg(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    if legs[2].bid > 0.0:
        quote(orders, 1, 0, 1, legs[2].bid, p.qty)


@strategy(qty=0.01, memory={"x": "f8"})
def by_chance(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    m.x = np.random.random()  # noqa: NPY002


@strategy(qty=0.01)
def names_the_clock(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    time  # noqa: B018


@strategy(qty=0.01)
def raises_when_empty(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    if legs[0].bid != legs[0].bid and legs[0].ask != legs[0].ask:
        raise ValueError("the book is empty")


@strategy(far=8.0, memory={"n": "i8"})
def overflows(event: Any, legs: Any, p: Any, m: Any, orders: Any) -> None:
    """Compiled, 64-bit integers wrap; as plain text this one's shift of a Python int does not."""
    wide = 1
    for _ in range(70):
        wide *= 2
    m.n = wide % 1000
