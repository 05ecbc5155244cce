"""One decorated function a file. Strategies import intents, features and signals: never risk, venues or modes."""

from oneprice.strategies.cross_market import cross_market

__all__ = ["cross_market"]
