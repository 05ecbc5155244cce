"""What must be said above any exhibit, tape or report page before its numbers."""

from __future__ import annotations

import msgspec

from oneprice.core.errors import ConfigError

SIDES = ("bid", "ask", "mid", "last", "both", "not stated")


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the data come from and whether a profit computed on them may be believed.

    `side` is one of bid, ask, mid, last, both, "not stated". `claim` answers "can P&L be claimed?";
    `claim_why` may not be empty. `tries` is the number of parameter sets looked at before this one was shown.
    """

    source: str
    licence: str
    period: str
    side: str
    simultaneity: str
    survivorship: str
    tries: int
    claim: bool
    claim_why: str
    depth: str = ""  # "orders": each BOOK row names its order and its stamp, each TRADE row its maker

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ConfigError(f"header side {self.side!r}: expected one of {', '.join(SIDES)}")
        if self.depth not in ("", "orders"):
            raise ConfigError(f"header depth {self.depth!r}: expected nothing (levels) or 'orders'")
        if not self.claim_why:
            raise ConfigError("header claim_why is empty: say why P&L can or cannot be claimed on these data")
        if self.tries < 0:
            raise ConfigError(f"header tries {self.tries}: expected a count, 0 or more")

    def lines(self) -> list[tuple[str, str]]:
        """(label, text) pairs in the order in which they are printed."""
        claim = f"{'yes' if self.claim else 'no'}, {self.claim_why}"
        names = [("depth", "each row names its order")] if self.depth == "orders" else []
        return [
            ("source", self.source),
            ("licence", self.licence),
            ("period", self.period),
            ("side", self.side),
            *names,
            ("simultaneity", self.simultaneity),
            ("survivorship", self.survivorship),
            ("tries", str(self.tries)),
            ("can P&L be claimed?", claim),
        ]
