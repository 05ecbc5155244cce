"""`oneprice demo`: a gap that looks like money, one that is, twenty real stocks in a funnel, half an hour of orders,
and a curve of oil beyond full carry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneprice.core.beside import beside
from oneprice.core.errors import DataError
from oneprice.core.jit import cache_home, digest_of
from oneprice.engine.warm import EXECUTION, compile_layers, is_compiled
from oneprice.strategies.cross_market import cross_market
from oneprice.study.exhibit_feeds import Feeds, feeds
from oneprice.study.exhibit_funnel import Funnel, funnel, rehearse
from oneprice.study.exhibit_making import Maker, making_exhibit, rehearse_maker
from oneprice.study.exhibit_term import TITLE as TERM_TITLE
from oneprice.study.exhibit_term import TermExhibit, term_exhibit
from oneprice.study.exhibit_world import Traded, traded

STATISTICS = "oneprice.study.demo:compile_statistics"
MAKER = "oneprice.study.demo:compile_maker"
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Demo:
    """The exhibits and where their files lie. `missing` says why exhibits 1 and 3 have no data, if they have none,
    `no_maker` and `no_term` the same of exhibits 4 and 5.
    """

    feeds: Feeds | None
    missing: str
    traded: Traded
    funnel: Funnel | None
    folder: Path
    report: Path | None
    maker: Maker | None = None
    no_maker: str = ""
    term: TermExhibit | None = None
    no_term: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the exhibits."""
        return {
            "looks_like_money": self.feeds.to_dict() if self.feeds else {"missing": self.missing},
            "is_money": self.traded.to_dict(),
            "funnel": self.funnel.to_dict() if self.funnel else {"missing": self.missing},
            "maker": self.maker.to_dict() if self.maker else {"missing": self.no_maker},
            "term": self.term.to_dict() if self.term else {"missing": self.no_term},
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
        quoted = self.maker.verdict if self.maker else f"not shown: {self.no_maker}"
        rows.append(("thirty minutes of single orders", "no", quoted))
        rows.append((TERM_TITLE, "no", self.term.verdict if self.term else f"not shown: {self.no_term}"))
        return rows

    def __str__(self) -> str:
        first = str(self.feeds) if self.feeds else f"1. not shown: {self.missing}"
        last = str(self.funnel) if self.funnel else f"3. not shown: {self.missing}"
        fourth = str(self.maker) if self.maker else f"4. not shown: {self.no_maker}"
        fifth = str(self.term) if self.term else f"5. not shown: {self.no_term}"
        lines = [first, "", str(self.traded), "", last, "", fourth, "", fifth, "", f"files: {self.folder}"]
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
    with _compiling() as (engine_ready, ready):
        try:
            found = feeds()
            speak(str(found))
        except DataError as error:  # without a network the second exhibit still runs
            missing = str(error)
            speak(f"1. not shown: {missing}")
        say(0.2, 1.0)
        second = traded(
            cross_market, out=folder, ready=engine_ready, progress=lambda share: say(0.2 + 0.4 * share, 1.0)
        )
        speak(str(second))
        third: Funnel | None = None
        try:
            third = funnel(ready=lambda: ready(STATISTICS), progress=lambda share: say(0.6 + 0.25 * share, 1.0))
            speak(str(third))
        except DataError as error:
            missing = missing or str(error)
            speak(f"3. not shown: {error}")
        fourth: Maker | None = None
        no_maker = ""
        try:
            fourth = making_exhibit(ready=lambda: ready(MAKER), progress=lambda share: say(0.85 + 0.08 * share, 1.0))
            speak(str(fourth))
        except DataError as error:
            no_maker = str(error)
            speak(f"4. not shown: {no_maker}")
    fifth: TermExhibit | None = None
    no_term = ""
    try:
        fifth = term_exhibit()
        speak(str(fifth))
    except DataError as error:
        no_term = str(error)
        speak(f"5. not shown: {no_term}")
    report = write_report(folder) if write_report else None
    made = Demo(found, missing, second, third, folder, report, fourth, no_maker, fifth, no_term)
    (folder / "demo.json").write_text(json.dumps(made.to_dict(), indent=1, default=str))
    say(1.0, 1.0)
    return made


@contextmanager
def _compiling() -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Compile in a second process meanwhile: half of the engine, then other exhibits, as far as the cache lacks them.

    Yields two functions to call before a first replay and before an exhibit (with its task): the first compiles the
    other half of the engine here, both wait. Should the second process fail, this one compiles by itself.
    """
    engine = not is_compiled()
    others = [task for task in (STATISTICS, MAKER) if not _mark(task).is_file()]
    tasks = [EXECUTION] * engine + others
    with beside(*tasks) if tasks else nullcontext(lambda task: True) as wait:

        def engine_ready() -> None:
            if engine:
                compile_layers(wait)

        def ready(task: str) -> None:
            if task in others:
                wait(task)

        yield engine_ready, ready


def compile_statistics() -> None:
    """The kernels of exhibit 3."""
    rehearse()
    _done(STATISTICS)


def compile_maker() -> None:
    """The kernels of exhibit 4."""
    rehearse_maker()
    _done(MAKER)


def _done(task: str) -> None:
    mark = _mark(task)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _mark(task: str) -> Path:
    return cache_home() / digest_of(Path(__file__).resolve()) / f"{task.partition(':')[2]}d"
