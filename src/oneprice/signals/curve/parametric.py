"""Nelson-Siegel and Svensson curves: zero rates by formula, continuously compounded.

    y(t) = b0 + b1 f(t/u1) + b2 (f(t/u1) - e^(-t/u1)) + b3 (f(t/u2) - e^(-t/u2)),   f(x) = (1 - e^(-x)) / x

u1, u2 are times of decay in years; b3 = 0 is Nelson-Siegel. Rates are shares (0.05): the tables of central banks give
per cent. Sources: Nelson and Siegel, Journal of Business 60 (1987), doi:10.1086/296409; Svensson, NBER 4871 (1994);
Gurkaynak, Sack and Wright, JME 54 (2007), doi:10.1016/j.jmoneco.2007.06.029.
"""

from __future__ import annotations

import math

import msgspec

from oneprice.core.errors import ConfigError
from oneprice.core.jit import njit


@njit
def loading(x: float) -> float:
    """(1 - e^-x) / x, 1 at 0."""
    return -math.expm1(-x) / x if x > 1e-10 else 1.0 - 0.5 * x


class Svensson(msgspec.Struct, frozen=True):
    """A Svensson curve; Nelson-Siegel when b3 is 0. Raises ConfigError for a decay that is not above 0."""

    b0: float
    b1: float
    b2: float
    b3: float = 0.0
    u1: float = 1.0
    u2: float = 1.0

    def __post_init__(self) -> None:
        if not (self.u1 > 0 and self.u2 > 0 and all(math.isfinite(b) for b in (self.b0, self.b1, self.b2, self.b3))):
            raise ConfigError(f"Svensson curve: expected finite betas and decays above 0 years, got {self}")

    def zero(self, years: float) -> float:
        """Zero rate, continuously compounded; b0 + b1 at 0."""
        x, z = years / self.u1, years / self.u2
        near, far = loading(x), loading(z)
        return self.b0 + self.b1 * near + self.b2 * (near - math.exp(-x)) + self.b3 * (far - math.exp(-z))

    def discount(self, years: float) -> float:
        """Value now of one unit in `years`."""
        return math.exp(-self.zero(years) * years)

    def instantaneous(self, years: float) -> float:
        """Instantaneous forward, continuously compounded."""
        x, z = years / self.u1, years / self.u2
        return self.b0 + (self.b1 + self.b2 * x) * math.exp(-x) + self.b3 * z * math.exp(-z)
