"""Curves that move by a few hidden factors: linear state-space models, filtered and fitted by likelihood."""
