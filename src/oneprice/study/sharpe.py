"""Sharpe ratios corrected for how many were tried, for studies; the mathematics is `signals.validation.deflated`."""

from __future__ import annotations

from oneprice.signals.validation.deflated import (
    EULER,
    Moments,
    deflated_sharpe,
    expected_max,
    moments,
    probabilistic_sharpe,
)

__all__ = ["EULER", "Moments", "deflated_sharpe", "expected_max", "moments", "probabilistic_sharpe"]
