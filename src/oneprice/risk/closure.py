"""Does it close? Accounts against positions, prices and the venues' cash, and the table of causes; off the
hot path.

Equity is computed a second way, from positions at marks and cash as stated, without reading a single posting.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oneprice.core.arena import POSITION, Arena
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Scales
from oneprice.core.money import E9, V, mul_div
from oneprice.core.records import CAUSES, LEG, N_PACKAGES, NO_PRICE, POSTING
from oneprice.risk.attribution import mark_all
from oneprice.risk.records import CURRENCY, MARKOUT, N_CAUSES, OVERLAY_TOTAL


class _Leg:
    """A leg's numbers as Python integers, which cannot overflow."""

    def __init__(self, row: np.void) -> None:
        self.contract, self.money_num = int(row["contract"]), int(row["money_num"])


def close_check(arena: Arena) -> int:
    """Mark everything, then the sum of the sizes of all residuals of `closure`: 0, or something was lost."""
    mark_all(arena.state[0])
    return sum(abs(residual) for residual in closure(arena).values())


def closure(arena: Arena) -> dict[str, int]:
    """Each law of the books and by how many ledger units it fails; call `mark_all` first."""
    state = arena.state[0]
    ledger = state["ledger"]
    n_legs, n_currencies, n_venues = (int(state[name]) for name in ("n_legs", "n_currencies", "n_venues"))
    accounts = [int(x) for x in arena.section("accounts", np.dtype("i8"))]
    statement = [int(x) for x in arena.section("statement", np.dtype("i8"))]
    legs = arena.section("legs", LEG)
    rates = arena.section("currencies", CURRENCY)
    report = int(ledger["report"])
    cash0 = n_currencies * (1 + N_CAUSES)
    position0 = cash0 + n_venues * n_currencies
    worth0 = position0 + n_legs
    out: dict[str, int] = {}
    held = _held(arena, legs, out)
    for i in range(n_legs):
        out[f"position account of leg {i} = value at the mark"] = accounts[position0 + i] - held[i]
    for at, stated in enumerate(statement):
        out[f"cash account {at} = as stated"] = accounts[cash0 + at] - stated
    value = 0
    for c in range(n_currencies):
        mine = [i for i in range(n_legs) if legs[i]["currency"] == c]
        cash = sum(statement[v * n_currencies + c] for v in range(n_venues))
        native = cash + sum(held[i] for i in mine)
        gains = [-accounts[n_currencies + c * N_CAUSES + k] for k in range(N_CAUSES)]
        out[f"equity of currency {c} = capital + causes"] = native + accounts[c] - sum(gains)
        out[f"equity of currency {c} as carried"] = native - int(rates[c]["equity"])
        worth = native
        if c != report:
            num, den = int(rates[c]["carried_e9"]) * int(rates[c]["up"]), E9 * int(rates[c]["down"])
            worth = mul_div.py_func(native, num, den)
            out[f"worth of currency {c} = converted equity"] = accounts[worth0 + c] - worth
        value += worth
    home = worth0 + n_currencies
    foreign = [-accounts[home + 1 + k] for k in range(N_CAUSES)]
    gains = [-accounts[n_currencies + report * N_CAUSES + k] + foreign[k] for k in range(N_CAUSES)]
    out["report equity = report capital + causes"] = value + accounts[report] + accounts[home] - sum(gains)
    _tables(arena, accounts, gains, out)
    return out


def _held(arena: Arena, legs: np.ndarray, out: dict[str, int]) -> list[int]:
    """Value of each leg's positions at its mark, and whether its lots agree wherever they stand."""
    positions = arena.section("positions", POSITION).reshape(-1, len(legs))
    fallback = arena.section("fallback", np.dtype("i8"))
    ledger = arena.state[0]["ledger"]
    ring = arena.section("markouts", MARKOUT)
    pending = np.zeros((len(positions), len(legs)), np.int64)
    for at in range(int(ledger["head"]), int(ledger["tail"])):
        row = ring[at % int(ledger["capacity"])]
        pending[row["strategy"], row["leg"]] += row["lots"]
    held = []
    for i, leg in enumerate(legs):
        m2 = int(leg["mid2_ticks"])
        if m2 == NO_PRICE or (leg["contract"] and m2 <= 0):
            m2 = int(fallback[i])
        lots = [int(x) for x in positions[:, i]["lots"]]
        held.append(0 if m2 == NO_PRICE else sum(V.py_func(_Leg(leg), q, m2) for q in lots))
        out[f"lots of leg {i}"] = int(leg["position_lots"]) - sum(lots)
        gap = positions[:, i]["lots"] - positions[:, i]["inventory_lots"] - pending[:, i]
        out[f"pending lots of leg {i}"] = int(np.abs(gap).sum())
    return held


def _tables(arena: Arena, accounts: list[int], gains: list[int], out: dict[str, int]) -> None:
    """The attribution by strategy and leg adds up to the accounts, in native and in report units."""
    legs = arena.section("legs", LEG)
    positions = arena.section("positions", POSITION).reshape(-1, len(legs))
    n_currencies = int(arena.state[0]["n_currencies"])
    loose = arena.section("loose", np.dtype("i8")).reshape(-1, N_CAUSES)
    reported = arena.section("reported", np.dtype("i8")).reshape(-1, N_CAUSES)
    for k, cause in enumerate(CAUSES):
        for c in range(n_currencies):
            mine = sum(int(x) for x in positions[:, legs["currency"] == c]["causes"][:, :, k].ravel())
            total = -accounts[n_currencies + c * N_CAUSES + k]
            out[f"{cause} of currency {c} by strategy and leg"] = mine + int(loose[c, k]) - total
        out[f"{cause} in the report"] = sum(int(x) for x in reported[:, k]) - gains[k]


def balances(rows: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Account balances after the POSTING rows of a journal, from opening balances; refuses broken ones."""
    out = opening.astype(np.int64).copy()
    posted = rows[rows["kind"] == POSTING]
    if (posted["amount"] <= 0).any() or (posted["debit"] == posted["credit"]).any():
        raise ConfigError(
            "postings: expected amounts above 0 between two accounts, got a row that is neither"
        )
    np.add.at(out, posted["debit"], posted["amount"])
    np.subtract.at(out, posted["credit"], posted["amount"])
    return out


def attribution_table(arena: Arena, scales: Scales) -> list[dict[str, Any]]:
    """P&L by strategy index, symbol and cause: exact ledger units and the amount in the report currency.

    Rows of no strategy (`strategy` -1, `symbol` ""): fx, transfers, rounding of totals. Zero rows are left
    out; the `units` of all rows sum to equity minus capital exactly (after `mark_all`).
    """
    legs = arena.section("legs", LEG)
    reported = arena.section("reported", np.dtype("i8")).reshape(-1, N_CAUSES)
    positions = arena.section("positions", POSITION)
    report = scales.currencies[int(arena.state[0]["ledger"]["report"])]
    rows: list[dict[str, Any]] = []
    for cell, values in enumerate(reported):
        loose = cell == len(positions)
        k, i = (-1, -1) if loose else divmod(cell, len(legs))
        for cause, units in enumerate(values):
            native = 0 if loose else int(positions[cell]["causes"][cause])
            if units == 0 and native == 0:
                continue
            rows.append(
                {
                    "strategy": k,
                    "symbol": "" if loose else scales.symbols[i],
                    "cause": CAUSES[cause],
                    "units": int(units),
                    "amount": scales.amount(report, int(units)),
                    "currency": "" if loose else scales.currencies[int(legs[i]["currency"])],
                    "native_units": native,
                }
            )
    return rows


def overlay_table(arena: Arena) -> list[dict[str, Any]]:
    """Package overlay in report units: a row of totals by strategy (`ref` -1), then one by package still in
    its slot.

    `legging = market + execution` is what filling late and in pieces made of the plan (negative: it cost). A
    slot keeps its last package until it is used again; the totals include it.
    """
    carried = ("borrow", "dividend")  # of what is held after a package, so of no slot
    names = [n for n in OVERLAY_TOTAL.names or () if n != "packages" and n not in carried]
    totals: dict[int, dict[str, Any]] = {}
    for k, total in enumerate(arena.section("overlays", OVERLAY_TOTAL)):
        numbers = _numbers(total, [*names, *carried])
        totals[k] = {"strategy": k, "ref": -1, "packages": int(total["packages"]), **numbers}
    rows: list[dict[str, Any]] = []
    for slot in range(N_PACKAGES):
        p = arena.state[0]["ledger"]["packages"][slot]
        if not p["active"]:
            continue
        numbers = {**_numbers(p, names), **dict.fromkeys(carried, 0)}
        row = {"strategy": int(p["strategy"]), "ref": int(p["ref"]), "packages": 1, **numbers}
        rows.append(row)
        total = totals[row["strategy"]]
        worst = max(total["worst_naked_value"], row["worst_naked_value"])
        for name in ("packages", *names, "legging"):
            total[name] += row[name]
        total["worst_naked_value"] = worst
    return [*(t for t in totals.values() if t["packages"]), *rows]


def _numbers(row: np.void, names: list[str]) -> dict[str, Any]:
    out = {name: row[name].item() for name in names}
    out["legging"] = out["market"] + out["execution"]
    return out
