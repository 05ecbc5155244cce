"""The story of a package from a journal's rows: what was sent, refused and filled, how long legs stood naked.

Rows know packages by number: COMMAND, REFUSED and FILL_ROW as owner - 1, PACKAGE_ROW as package.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.core.manifest import Manifest
from oneprice.core.records import (
    ACTIVE,
    AMEND,
    BORROW_CAUSE,
    CANCEL,
    CAUSES,
    COMMAND,
    DIVIDEND_CAUSE,
    FILL_ROW,
    HALTED,
    IOC,
    NEW,
    PACKAGE_ROW,
    POST_ONLY,
    POSTING,
    REDUCE_ONLY,
    REDUCING,
    REFUSED,
)
from oneprice.execution.blotter import PACKAGE_STATES, RESIDUAL_CODES

HALTS = {ACTIVE: "active", REDUCING: "reducing", HALTED: "halted"}
RESIDUAL_WHY = tuple(c.replace("_", " ") for c in RESIDUAL_CODES)
ACTIONS = {NEW: "send", CANCEL: "cancel", AMEND: "amend"}
FLAT_SHARE = 1e-9  # of the gross quantity: less than this is float dust, not a naked leg


@dataclass
class Package:
    """One package as its rows tell it. Times in ns, quantities in underlying units, money in quote."""

    number: int
    strategy: int = 0
    opened_ns: int = 0
    last_ns: int = 0
    state: str = "not reported"
    opens: bool = True  # its first fill added to a position or began one
    n_orders: int = 0
    n_fills: int = 0
    n_refused: int = 0
    planned: dict[int, int] = field(default_factory=dict)  # leg -> signed lots of its first order
    filled: dict[int, int] = field(default_factory=dict)  # leg -> signed lots
    decision_mid2: dict[int, int] = field(
        default_factory=dict
    )  # leg -> doubled mid behind its first filled order
    worst_naked: float = 0.0
    naked_ms: float = 0.0
    legging_cost: float = 0.0
    cost_currency: str = ""
    borrow: float = 0.0  # on what it left held until it was closed: borrow paid, dividends received (a short pays)
    dividend: float = 0.0
    rows: list[Any] = field(default_factory=list, repr=False)

    @property
    def life_ms(self) -> float:
        """From the first row to the last."""
        return (self.last_ns - self.opened_ns) / 1e6

    @property
    def filled_text(self) -> str:
        """Signed lots filled by leg."""
        return ", ".join(f"{v:+d}" for _, v in sorted(self.filled.items())) or "0"

    @property
    def planned_text(self) -> str:
        """Signed lots first ordered by leg."""
        return ", ".join(f"{v:+d}" for _, v in sorted(self.planned.items()))


def packages_of(rows: np.ndarray, manifest: Manifest) -> list[Package]:
    """All packages of a run, by number."""
    found: dict[int, Package] = {}
    positions: dict[tuple[int, int], int] = defaultdict(int)
    wanted = np.isin(rows["kind"], (COMMAND, REFUSED, FILL_ROW, PACKAGE_ROW))
    for row in rows[wanted]:
        number = _number(row)
        kind = int(row["kind"])
        before = 0
        if kind == FILL_ROW:
            place = (int(row["strategy"]), int(row["leg"]))
            before = positions[place]
            positions[place] += int(row["side"]) * int(row["qty"])
        if number < 0:
            continue
        p = found.get(number)
        if p is None:
            p = found[number] = Package(number, int(row["strategy"]), int(row["time_ns"]))
        _take(p, row, kind, before)
    for p in found.values():
        measure_legging(p, manifest)
    _carry(rows, found, manifest)
    return sorted(found.values(), key=lambda p: p.number)


def _number(row: Any) -> int:
    """The number of the package that a row belongs to, -1 for none."""
    return int(row["package"]) if int(row["kind"]) == PACKAGE_ROW else int(row["owner"]) - 1


def _take(p: Package, row: Any, kind: int, before: int) -> None:
    p.rows.append(row)
    p.last_ns = int(row["time_ns"])
    lots = int(row["side"]) * int(row["qty"])
    leg = int(row["leg"])
    if kind == COMMAND and int(row["code"]) == NEW:
        p.n_orders += 1
        p.planned.setdefault(leg, lots)
    elif kind == REFUSED:
        p.n_refused += 1
    elif kind == FILL_ROW:
        if p.n_fills == 0:
            p.opens = before * lots >= 0
        p.n_fills += 1
        p.filled[leg] = p.filled.get(leg, 0) + lots
    elif kind == PACKAGE_ROW:
        p.state = state_name(int(row["code"]))


def _carry(rows: np.ndarray, found: dict[int, Package], manifest: Manifest) -> None:
    """Borrow and dividends of a holding to the package that opened it, or that added to it last."""
    carried = (rows["kind"] == POSTING) & np.isin(rows["code"], (BORROW_CAUSE, DIVIDEND_CAUSE))
    if not carried.any():
        return
    causes = len(manifest.scales) * (1 + len(CAUSES))  # accounts below this are capital and P&L, cash lies above
    owner: dict[tuple[int, int], int] = {}
    positions: dict[tuple[int, int], int] = defaultdict(int)
    for row in rows[carried | (rows["kind"] == FILL_ROW)]:
        place = (int(row["strategy"]), int(row["leg"]))
        if int(row["kind"]) == FILL_ROW:
            lots = int(row["side"]) * int(row["qty"])
            if positions[place] * lots >= 0 or place not in owner:
                owner[place] = _number(row)
            positions[place] += lots
            continue
        p = found.get(owner.get(place, -1))
        cause = min(int(row["credit"]), int(row["debit"]))
        if p is None or cause >= causes:  # of no package, or the same amount carried into the report currency
            continue
        currency = str(manifest.legs[place[1]].get("currency") or manifest.legs[place[1]].get("quote", ""))
        amount = int(row["amount"]) * 10.0 ** -manifest.scales.get(currency, 0)
        amount *= 1.0 if int(row["credit"]) == cause else -1.0
        if int(row["code"]) == BORROW_CAUSE:
            p.borrow -= amount
        else:
            p.dividend += amount


def state_name(code: int) -> str:
    """The state of a package in words."""
    return PACKAGE_STATES[code].replace("_", " ") if code < len(PACKAGE_STATES) else f"state {code}"


def measure_legging(p: Package, manifest: Manifest) -> None:
    """Fill in worst naked quantity, naked time and the cost of legging from the package's fills.

    With net(t) the signed sum of filled quantities over legs of one underlying, the package is naked while
    net is not 0. The cost is the sum over fills of q (mid_0 - mid_d): mid_d is the mid behind the fill's
    order, mid_0 that behind the first filled order of the same leg. A minus is a cost.
    """
    net: dict[str, float] = defaultdict(float)
    gross = 0.0
    since = 0
    for row in (r for r in p.rows if int(r["kind"]) == FILL_ROW):
        leg, now = int(row["leg"]), int(row["time_ns"])
        facts = manifest.legs[leg]
        quantity = int(row["side"]) * int(row["qty"]) * unit(facts, int(row["price"]))
        mid2 = int(row["limit"])
        tick = float(facts.get("tick", 1.0))
        p.legging_cost += quantity * 0.5 * tick * (p.decision_mid2.setdefault(leg, mid2) - mid2)
        p.cost_currency = str(facts.get("quote", ""))
        if since:
            p.naked_ms += (now - since) / 1e6
        net[str(facts.get("underlying", ""))] += quantity
        gross += abs(quantity)
        naked = sum(abs(v) for v in net.values())
        since = now if naked > FLAT_SHARE * gross else 0
        p.worst_naked = max(p.worst_naked, naked if since else 0.0)
    if since:
        p.naked_ms += (p.last_ns - since) / 1e6


def unit(facts: dict[str, Any], price_ticks: int) -> float:
    """Underlying units a lot of a leg (inverse: at that price)."""
    lot = float(facts.get("lot", 1.0)) * float(facts.get("multiplier", 1.0))
    if facts.get("contract") == "inverse":
        return lot / (price_ticks * float(facts.get("tick", 1.0)))
    return lot


def explain_package(rows: np.ndarray, manifest: Manifest, package: int) -> str:
    """The story of one package, line by line, with the time since it was opened.

    Raises
    ------
    ConfigError
        No row of the run belongs to a package of that number.
    """
    p = find_package(packages_of(rows, manifest), package)
    name = manifest.strategies[p.strategy].name if p.strategy < len(manifest.strategies) else str(p.strategy)
    lines = [f"package {p.number} of {name}: {p.state}, {p.life_ms:,.3f} ms from first row to last", ""]
    lines += [
        f"  {(int(r['time_ns']) - p.opened_ns) / 1e6:>+14,.3f} ms  {sentence(r, manifest)}" for r in p.rows
    ]
    legs = ", ".join(f"{symbol(manifest, leg)} {lots:+d} lots" for leg, lots in sorted(p.filled.items()))
    lines += ["", f"  filled: {legs or 'nothing'}"]
    if p.n_fills:
        lines += [
            f"  worst naked {p.worst_naked:.8g} units, naked for {p.naked_ms:,.3f} ms, "
            f"legging {p.legging_cost:+.8g} {p.cost_currency}"
        ]
    if p.borrow or p.dividend:
        lines.append(f"  while it was held: borrow paid {p.borrow:.8g}, dividends received {p.dividend:+.8g}")
    return "\n".join(lines)


def find_package(packages: list[Package], number: int) -> Package:
    """The package of a number; ConfigError says which there are."""
    for p in packages:
        if p.number == number:
            return p
    known = f"{packages[0].number} to {packages[-1].number}" if packages else "none"
    raise ConfigError(f"package {number}: expected one that the journal has ({known})")


def symbol(manifest: Manifest, leg: int) -> str:
    """The symbol of a leg."""
    return str(manifest.legs[leg].get("symbol", leg)) if 0 <= leg < len(manifest.legs) else f"leg {leg}"


def sentence(row: Any, manifest: Manifest) -> str:
    """One row in words."""
    kind, leg = int(row["kind"]), int(row["leg"])
    if kind == PACKAGE_ROW:
        return f"package is {state_name(int(row['code']))}"
    tick = float(manifest.legs[leg].get("tick", 1.0)) if 0 <= leg < len(manifest.legs) else 1.0
    side = "buy" if int(row["side"]) > 0 else "sell"
    what = f"{side} {int(row['qty'])} lots of {symbol(manifest, leg)} at {int(row['price']) * tick:.10g}"
    if kind == COMMAND:
        return f"{ACTIONS.get(int(row['code']), '?')}: {what}{_flags(int(row['tif']))}"
    if kind == FILL_ROW:
        return f"fill: {what} as {'maker' if row['tif'] else 'taker'}"
    code = int(row["code"])
    reason = manifest.reasons[code] if code < len(manifest.reasons) else str(code)
    action = ACTIONS.get(int(row["aux"]), "send")
    return f"refused ({reason}: saw {int(row['tif'])}, limit {int(row['limit'])}): {action} {what}"


def _flags(tif: int) -> str:
    names = [
        n for bit, n in ((IOC, "IOC"), (POST_ONLY, "post-only"), (REDUCE_ONLY, "reduce-only")) if tif & bit
    ]
    return f" ({', '.join(names)})" if names else ""
