"""Deflated Sharpe ratio against the numbers of its authors, and its laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.signals.validation.deflated import Moments, deflated_sharpe, expected_max, moments, probabilistic_sharpe

PAPER = Moments(2.5 / math.sqrt(250), -3.0, 10.0, 1250)


def test_published_deflated_sharpe() -> None:
    """Bailey and Lopez de Prado 2014: SR 2.5 a year, variance .5, 100 tries, 1250 days, skew -3."""
    dsr, bar = deflated_sharpe(PAPER, tries=100, variance=0.5 / 250)
    assert dsr == pytest.approx(0.9003968344493905, abs=1e-12)
    assert bar == pytest.approx(0.113172, abs=5e-7)
    assert expected_max(100) == pytest.approx(2.5306028932, abs=1e-10)
    assert deflated_sharpe(PAPER, tries=46, variance=0.5 / 250)[0] == pytest.approx(0.9505, abs=5e-5)


def test_published_probabilistic_sharpe() -> None:
    """PSR of 1.585 a year on 24 months, skew -2.448, kurtosis 10.164, against 0."""
    m = Moments(1.585 / math.sqrt(12), -2.448, 10.164, 24)
    assert probabilistic_sharpe(m) == pytest.approx(0.9132343069, abs=1e-9)


def test_more_tries_never_help() -> None:
    """The probability falls with the number of tries and equals the plain one for a single try."""
    found = [deflated_sharpe(PAPER, tries=n, variance=0.002)[0] for n in (1, 2, 10, 100, 1000)]
    assert found[0] == probabilistic_sharpe(PAPER)
    assert all(a > b for a, b in itertools.pairwise(found))


def test_moments_of_a_known_series() -> None:
    """Ratio with ddof 1, raw kurtosis; a series that does not move has no ratio."""
    m = moments(np.array([1.0, -1.0, 3.0, 1.0]))
    assert m.sharpe == pytest.approx(1.0 / math.sqrt(8.0 / 3.0))
    assert m.kurtosis == pytest.approx(2.0)
    assert m.skewness == pytest.approx(0.0)
    assert math.isnan(moments(np.ones(5)).sharpe)
    assert math.isnan(deflated_sharpe(moments(np.ones(5)), tries=3, variance=0.1)[0])


def test_bad_input_is_refused() -> None:
    """No tries, negative variance and returns that are not finite."""
    with pytest.raises(ConfigError, match="tries"):
        expected_max(0)
    with pytest.raises(ConfigError, match="variance"):
        deflated_sharpe(PAPER, tries=2, variance=-1.0)
    with pytest.raises(ConfigError, match="finite"):
        moments(np.array([1.0, np.nan]))
