"""`oneprice demo`: a gap that looks like money, one that is, and the pairs of twenty real stocks through a funnel."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneprice.core.errors import DataError
from oneprice.strategies.cross_market import cross_market
from oneprice.study.exhibit_feeds import Feeds, feeds
from oneprice.study.exhibit_funnel import Funnel, funnel
from oneprice.study.exhibit_world import Traded, traded

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Demo:
    """The exhibits and where their files lie. `missing` says why exhibits 1 and 3 have no data, if they have none."""

    feeds: Feeds | None
    missing: str
    traded: Traded
    funnel: Funnel | None
    folder: Path
    report: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the exhibits."""
        return {
            "looks_like_money": self.feeds.to_dict() if self.feeds else {"missing": self.missing},
            "is_money": self.traded.to_dict(),
            "funnel": self.funnel.to_dict() if self.funnel else {"missing": self.missing},
            "folder": str(self.folder),
            "report": str(self.report) if self.report else None,
        }

    def summary(self) -> list[tuple[str, str, str]]:
        """(exhibit, can P&L be claimed, verdict) of each."""
        rows = []
        if self.feeds:
            rows.append(("a gap that looks like money", "no", self.feeds.verdict))
        else:
            rows.append(("a gap that looks like money", "no", f"not shown: {self.missing}"))
        rows.append(("a gap that is money (simulated)", "no: simulated", self.traded.verdict))
        left = self.funnel.verdict if self.funnel else f"not shown: {self.missing}"
        rows.append(("the pairs of twenty stocks", "no", left))
        return rows

    def __str__(self) -> str:
        first = str(self.feeds) if self.feeds else f"1. not shown: {self.missing}"
        last = str(self.funnel) if self.funnel else f"3. not shown: {self.missing}"
        lines = [first, "", str(self.traded), "", last, "", f"files: {self.folder}"]
        return "\n".join(lines + ([f"report: {self.report}"] if self.report else []))


def run_demo(
    out: str | Path = "runs/demo",
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    write_report: Callable[[Path], Path] | None = None,
) -> Demo:
    """Run the exhibits and write journal, manifest, sweep.json and demo.json below `out`.

    Parameters
    ----------
    progress : called with (done, total).
    tell : called with the text of each exhibit as soon as it is there.
    write_report : makes `report.html` of the run's folder (`dashboard.html.write_report`).
    """
    say = progress or (lambda done, total: None)
    speak = tell or (lambda text: None)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    say(0.0, 1.0)
    found: Feeds | None = None
    missing = ""
    with _compiling() as compiled:
        try:
            found = feeds()
            speak(str(found))
        except DataError as error:  # without a network the second exhibit still runs
            missing = str(error)
            speak(f"1. not shown: {missing}")
        say(0.2, 1.0)
        second = traded(
            cross_market, out=folder, ready=compiled, progress=lambda share: say(0.2 + 0.4 * share, 1.0)
        )
    speak(str(second))
    third: Funnel | None = None
    try:
        third = funnel(progress=lambda share: say(0.6 + 0.35 * share, 1.0))
        speak(str(third))
    except DataError as error:
        missing = missing or str(error)
        speak(f"3. not shown: {error}")
    report = write_report(folder) if write_report else None
    made = Demo(found, missing, second, third, folder, report)
    (folder / "demo.json").write_text(json.dumps(made.to_dict(), indent=1, default=str))
    say(1.0, 1.0)
    return made


@contextmanager
def _compiling() -> Iterator[Callable[[], None]]:
    """Compile the engine in a second process meanwhile; yields a function that waits for it.

    Numba compiles one function at a time in a process; its cache on disk is safe between processes. Should
    the second process fail, the first compiles by itself.
    """
    code = "from oneprice.study.demo import compile_engine; compile_engine()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    def wait() -> None:
        child.wait()

    try:
        yield wait
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait()


def compile_engine() -> None:
    """Replay two quotes a leg, so that the engine lies compiled in the cache."""
    import tempfile

    import numpy as np

    from oneprice.core.instruments import Fees, Instrument
    from oneprice.core.records import EVENT, LAST, TOP
    from oneprice.engine.warm import warm
    from oneprice.execution.latency import Latency
    from oneprice.market.header import Header
    from oneprice.market.tape import make_tape
    from oneprice.modes.replay import replay

    rows = np.zeros(2, EVENT)
    rows["receive_ns"] = rows["exchange_ns"] = 1_700_000_000_000_000_000 + np.array([0, 1_000_000])
    rows["bid"], rows["ask"], rows["bid_qty"], rows["ask_qty"] = 9_999, 10_001, 10, 10
    rows["kind"], rows["flag_bits"] = TOP, LAST
    header = Header("two quotes", "none", "none", "both", "made by hand", "none", 1, False, "made by hand")
    tapes = []
    for name in ("a", "b"):
        one = Instrument(
            symbol=f"{name}:X",
            underlying="X",
            quote="USD",
            tick="1",
            lot="0.1",
            fees=Fees(0, 0),
            book_log2=10,
        )
        tapes.append(make_tape(one, rows.copy(), header=header))
    with tempfile.TemporaryDirectory() as scratch:
        warm(lambda: replay(cross_market, tapes, latency=Latency(0, 0), out=scratch))
