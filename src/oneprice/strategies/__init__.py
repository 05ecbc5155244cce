"""One decorated function a file. Strategies import intents, features and signals: never risk, venues or modes."""

from oneprice.strategies.cross_market import cross_market
from oneprice.strategies.hedged_making import hedged_making
from oneprice.strategies.latency_arb import latency_arb
from oneprice.strategies.market_making import market_making
from oneprice.strategies.stat_arb import stat_arb
from oneprice.strategies.term_structure import term_structure

__all__ = ["cross_market", "hedged_making", "latency_arb", "market_making", "stat_arb", "term_structure"]
