"""The queue model of a paper session is the one asked for."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app


@pytest.mark.parametrize(
    "queue, said", [("fifo", "needs a tape that names its orders"), ("fifoo", "did you mean 'fifo'")]
)
def test_the_queue_model_reaches_the_session(queue: str, said: str) -> None:
    """`paper --queue` is checked as in replay: `fifo` on a depth tape and a misspelt name are refused."""
    done = CliRunner().invoke(app, ["paper", "synthetic:7", "--queue", queue, "--speed", "0"])
    assert done.exit_code == 2 and said in " ".join(done.output.split())
