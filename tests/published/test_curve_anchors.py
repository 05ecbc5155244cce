"""The Federal Reserve's curve, Chan's roll yield and Schwartz-Smith's parameters are rows that pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oneprice.core.errors import ConfigError
from oneprice.signals.curve.roll import roll_yield
from oneprice.signals.state_space.filter import checked_panel
from oneprice.signals.state_space.schwartz_smith import NAMES, _matrices, start_of
from oneprice.study.anchors_curve import (
    PUBLISHED,
    PUBLISHED_NOISE,
    WTI,
    WTI_YEARS,
    curve_anchors,
    svensson_anchors,
)


def test_every_row_passes(data_dir: Path) -> None:
    """All rows hold; a Svensson row would not if its number were off in the fourth digit."""
    rows = curve_anchors(data_dir)
    assert [r.id for r in rows if not r.passed] == []
    assert len(rows) == 29
    assert not any(replace(r, published=r.published + 2 * r.tolerance).passed for r in svensson_anchors())


def test_the_likelihood_of_the_oracle_by_another_filter(data_dir: Path) -> None:
    """statsmodels, given the same matrices and start, has the likelihood at the published parameters."""
    pl = pytest.importorskip("polars")
    statespace = pytest.importorskip("statsmodels.tsa.statespace.mlemodel")
    price = pl.read_parquet(data_dir / WTI).select("F1", "F5", "F9", "F13", "F17").to_numpy()
    y, years = checked_panel("WTI", np.log(price), WTI_YEARS)
    z, d, step = _matrices(np.array([PUBLISHED[n] for n in NAMES]), years, 1 / 52)
    start, g = start_of(y), step[:, 1:3]
    model = statespace.MLEModel(y, k_states=2)
    model["design"], model["obs_intercept"] = z[0], d[0][:, None]
    model["transition"], model["state_intercept"] = g, step[:, :1]
    model["selection"], model["state_cov"] = np.eye(2), step[:, 3:]
    model["obs_cov"] = np.diag(np.array(PUBLISHED_NOISE) ** 2)
    model.ssm.initialize_known(step[:, 0] + g @ start[:, 0], g @ start[:, 1:] @ g.T + step[:, 3:])
    model.ssm.tolerance = 0
    assert float(model.ssm.filter().llf_obs.sum()) == pytest.approx(4019.540, abs=0.01)


def test_roll_yield_of_a_known_strip() -> None:
    """A strip that falls 1 % a contract rolls at 12 % a year; gaps are stepped over, non-positive prices give NaN."""
    strip = 50 * np.exp(-0.01 * np.arange(7))
    rows = np.array([strip, np.r_[np.nan, strip[:6]], np.r_[-1.0, strip[1:]], np.r_[strip[:3], [np.nan] * 4]])
    got = roll_yield(rows)
    assert got[:2] == pytest.approx([0.12, 0.12])
    assert np.isnan(got[2:]).all()
    with pytest.raises(ConfigError, match="2 contracts or more"):
        roll_yield(rows, 1)
