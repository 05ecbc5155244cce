"""Volatility by likelihood: GARCH(1,1) and EGARCH(1,1), with the standard errors each assumption pays for."""
