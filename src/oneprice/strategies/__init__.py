"""One decorated function a file. Strategies import intents, features and signals: never risk, venues or modes."""

from oneprice.strategies.cross_market import cross_market
from oneprice.strategies.stat_arb import stat_arb

__all__ = ["cross_market", "stat_arb"]
