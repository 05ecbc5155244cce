"""Hedge ratios by fit: total least squares, and the likelihood of the dynamic hedge whose state holds the spread."""
