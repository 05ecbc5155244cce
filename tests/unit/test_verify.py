"""The harness of published numbers: what passes, what fails, what has no data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from oneprice.core.errors import ConfigError, DataError
from oneprice.study import verify as harness
from oneprice.study.verify import Group, Row, judge


def _row(
    computed: float, *, published: float = 1.0, tolerance: float = 0.1, name: str = "a"
) -> SimpleNamespace:
    return SimpleNamespace(
        id=name, source="here", published=published, computed=computed, tolerance=tolerance
    )


def two_rows(data: Path) -> list[SimpleNamespace]:
    """One row that passes, one that fails."""
    return [_row(1.05), _row(1.2, name="b")]


def refuses(data: Path) -> list[SimpleNamespace]:
    """Refuses its data."""
    raise DataError("row 3: expected a price")


@pytest.mark.parametrize(
    ("computed", "verdict"),
    [(1.0, "pass"), (1.1, "pass"), (1.2, "fail"), (float("nan"), "fail"), (float("inf"), "fail")],
)
def test_verdict(computed: float, verdict: str) -> None:
    """A row passes within its tolerance; a number that is not finite fails."""
    assert judge(_row(computed, tolerance=0.1 + 1e-12)).verdict == verdict


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_row_that_could_not_fail_is_refused(tolerance: float) -> None:
    """A tolerance must be a finite number of 0 or more."""
    with pytest.raises(ConfigError, match="tolerance"):
        judge(_row(1.0, tolerance=tolerance))


def test_groups(tmp_path: Path) -> None:
    """Missing data is no-data, refused data is a fail with the reason, the rest is judged row by row."""
    groups = [
        Group("good", f"{__name__}:two_rows"),
        Group("bad", f"{__name__}:refuses"),
        Group("gone", f"{__name__}:two_rows", ("nowhere.csv",)),
    ]
    rows: list[Row] = harness.verify(data=tmp_path, groups=groups)
    assert [r.verdict for r in rows] == ["pass", "fail", "fail", "no-data"]
    assert rows[2].note == "row 3: expected a price" and "nowhere.csv" in rows[3].note


def test_names_are_checked(tmp_path: Path) -> None:
    """An unknown group lists the known ones; two rows of one id are refused."""
    one = Group("good", f"{__name__}:two_rows")
    with pytest.raises(ConfigError, match=r"goood.*good"):
        harness.verify(names=["goood"], data=tmp_path, groups=[one])
    with pytest.raises(ConfigError, match="two of a, b"):
        harness.verify(data=tmp_path, groups=[one, Group("again", f"{__name__}:two_rows")])
