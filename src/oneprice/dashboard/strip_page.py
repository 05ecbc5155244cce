"""The exhibit of a term-structure run in `report.html`: carry, roll, curve, residual and cost of its trades."""

from __future__ import annotations

from typing import Any

from oneprice.dashboard import charts
from oneprice.dashboard.exhibits import Exhibit, Table
from oneprice.study.term_parts import PARTS


def strip_exhibit(found: dict[str, Any]) -> Exhibit:
    """The exhibit of a `strips.json`."""
    unit, currency, trades = float(found["unit"]), found["currency"], found["trades"]
    sums = {name: found["units"][name] * unit for name in (*PARTS, "total")}
    drawing = charts.waterfall([(n, sums[n]) for n in PARTS], ("total", sums["total"]), unit=currency)
    rows: list[list[Any]] = [
        [" / ".join(leg.split(":", 1)[-1] for leg in t["legs"]), t["from"], "open" if t["open"] else t["to"],
         *(t[name] * unit for name in (*PARTS, "total"))]
        for t in sorted(trades, key=lambda t: -abs(t["total"]))
    ]  # fmt: skip
    rows.append([f"all {len(trades)}", "", "", *(sums[name] for name in (*PARTS, "total"))])
    closes = "to the unit" if found["exact"] else "NOT: the parts miss the ledger"
    note = f"{currency}, largest first. The parts of each leg sum to its P&L in the ledger: {closes}."
    says = (
        f"What the {found['kind']} trades were made of ({found['word']}): time at the rate told, the unchanged curve, "
        "its move, each contract against its curve, and what trading cost."
    )
    if found.get("none"):
        says = f"{says} N{found['none'][1:]}."
    columns = ["trade", "from", "to", *PARTS, "total"]
    made = Table("", columns, rows, note=note, last_is_sum=True)
    return Exhibit("Carry, roll, curve and residual", says, [drawing], [made])
