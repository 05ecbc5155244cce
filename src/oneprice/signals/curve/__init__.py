"""Curves of rates: nodes or a formula, one discount function, and rates whose compounding is always named."""
