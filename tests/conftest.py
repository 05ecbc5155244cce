"""Shared fixtures: where the market data for tests lie, and what happens when they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# One tree, one verdict: the examples of a run follow from the code. ONEPRICE_HYPOTHESIS=random looks further.
settings.register_profile("fixed", derandomize=True, deadline=None)  # a busy machine is no fault
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("ONEPRICE_HYPOTHESIS", "fixed"))

_skipped: list[str] = []


def data_root() -> Path:
    """The folder named by ONEPRICE_DATA, else ../shared/data beside the project."""
    named = os.environ.get("ONEPRICE_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The shared data folder; absent: the test is skipped and counted, or fails when data are required."""
    root = data_root()
    if root.is_dir():
        return root
    if os.environ.get("ONEPRICE_REQUIRE_DATA") == "1":
        pytest.fail(f"ONEPRICE_REQUIRE_DATA=1 but {root} does not exist: set ONEPRICE_DATA to the shared data folder")
    _skipped.append(request.node.nodeid)
    pytest.skip(f"no shared data at {root} (set ONEPRICE_DATA)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run for want of data."""
    if _skipped:
        n = len(_skipped)
        terminalreporter.write_line(f"{n} tests did not run: shared market data not found (set ONEPRICE_DATA)")
