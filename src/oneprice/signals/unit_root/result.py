"""What the tests of a unit root tell, of a series or of the residual of a relation: fields and p in one place."""

from __future__ import annotations

import msgspec

from oneprice.signals.unit_root.null import Null, p_text

NULLS = ("simulated", "surface")


class RootTest(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic and its place in a null; no verdict: that needs the number of tries.

    `floor` is the smallest p that the null can state (0 for a surface); `criticals` at 1, 5, 10 %; `n_obs` the rows
    of the test regression; `lags` those used; `null` which null was asked.
    """

    stat: float
    p: float
    floor: float
    lags: int
    trend: str
    n_obs: int
    null: str
    criticals: tuple[float, float, float]

    @property
    def p_text(self) -> str:
        """p, or "< floor" when it lies at the floor."""
        return p_text(self.p, self.floor)


class UnitRoot(RootTest, frozen=True, kw_only=True):
    """Result of `adf` or `kpss`; `test` says which."""

    test: str


def judged(law: Null, stat: float) -> tuple[float, float, tuple[float, float, float]]:
    """(p, floor, criticals) of a statistic by a simulated null."""
    return law.p(stat), law.floor, (law.critical(0.01), law.critical(0.05), law.critical(0.10))
