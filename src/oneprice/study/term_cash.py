"""Interest on the spot legs of relations: one whose first leg is a spot states the rates at which its cash is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oneprice.core.errors import unknown_name
from oneprice.market.financing import with_cash
from oneprice.market.tape import Tape
from oneprice.signals.parity.relations import Relation


def financed(
    tapes: Sequence[Tape], relations: Sequence[Relation], *, base: Callable[[int], float] | None = None
) -> list[Tape]:
    """The tapes, with interest rows on each spot whose relation states its `cash`; `base` as `with_cash`.

    Raises ConfigError for a spot that has no tape.
    """
    out = list(tapes)
    at = {t.instrument.symbol: i for i, t in enumerate(out)}
    for r in relations:
        if r.cash is None:
            continue
        if r.symbols[0] not in at:
            raise unknown_name("leg of a relation", r.symbols[0], list(at))
        out[at[r.symbols[0]]] = with_cash(out[at[r.symbols[0]]], r.cash, base=base)
    return out
