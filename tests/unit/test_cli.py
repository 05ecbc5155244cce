"""The command line: every verb has help with an example, JSON alone on stdout, one clear message on error."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from oneprice.cli import common, inputs
from oneprice.cli.main import VERBS, app
from oneprice.core.errors import ConfigError, StrategyError
from oneprice.core.journal import Journal

sys.path.insert(0, str(Path(__file__).parent))
import report_rows

ROOT = Path(__file__).resolve().parents[2]
VERB_NAMES = [
    *("demo", "import", "screen", "replay", "paper", "recover", "audit", "sweep", "fit", "walk", "explain"),
    *("report", "verify", "bench", "doctor", "warm", "diagram"),
]


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run made by hand."""
    run = report_rows.run()
    with Journal.create(tmp_path / "journal.op", run.manifest, durability="async") as journal:
        journal.append_rows(run.rows)
    return tmp_path


def test_verbs_are_all_there() -> None:
    """The verbs of the design, no more and no less, each with a page in the guide."""
    assert list(VERBS) == VERB_NAMES
    assert {p.stem for p in (ROOT / "docs" / "guide").glob("*.md")} == set(VERB_NAMES)


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_help_has_an_example_and_json(verb: str) -> None:
    """`--help` works without importing the engine, and shows an example and `--json`."""
    done = call(verb, "--help")
    assert done.exit_code == 0
    assert f"Example: oneprice {verb}" in done.stdout and "--json" in done.stdout


def test_report_and_explain_from_a_folder(folder: Path) -> None:
    """Both read the journal alone; with --json stdout is one object."""
    made = json.loads(call("report", str(folder), "--json").stdout)
    assert made["difference"] == 0 and Path(made["report"]).is_file()
    listed = json.loads(call("explain", str(folder), "--json").stdout)
    assert [p["package"] for p in listed["packages"]] == [5]
    story = json.loads(call("explain", str(folder), "--package", "5", "--json").stdout)
    assert story["naked_ms"] == pytest.approx(3.0) and len(story["story"]) == 8
    assert "refused" in call("explain", str(folder), "--package", "5").stdout


def test_errors_are_one_message_and_status_2(folder: Path, tmp_path: Path) -> None:
    """An error of ours is one message on stderr, an object on stdout with --json, and status 2."""
    done = call("explain", str(folder), "--package", "99")
    assert done.exit_code == 2 and done.stdout == "" and "ConfigError: package 99" in done.stderr
    done = call("report", str(tmp_path / "nowhere"), "--json")
    assert done.exit_code == 2 and json.loads(done.stdout)["error"] == "JournalError"


def test_bugs_keep_their_traceback() -> None:
    """What is no OnePriceError is not swallowed."""

    @common.verb
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        broken()


def test_ctrl_c_is_status_130() -> None:
    """Ctrl-C ends a verb with the status shells expect."""

    @common.verb
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as left:
        stopped()
    assert left.value.exit_code == 130


def test_verify_status(tmp_path: Path) -> None:
    """Without data every row is no-data and the status is 0; an unknown group is an error."""
    done = call("verify", "--data", str(tmp_path), "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 0 and answer["counts"]["fail"] == 0 and answer["counts"]["no-data"] >= 1
    assert call("verify", "nothing-such").exit_code == 2


def test_verify_fails_with_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One failing row makes the status 1."""
    from oneprice.study import verify as harness

    row = harness.Row("a", "here", 1.0, 2.0, 0.1, harness.FAIL)
    monkeypatch.setattr(harness, "verify", lambda **_: [row])
    assert call("verify").exit_code == 1


def test_doctor_says_what_it_found() -> None:
    """Each part is there, figures are figures, and the advice follows from them."""
    answer = json.loads(call("doctor", "--json").stdout)
    assert set(answer) == {"versions", "cache", "packs", "compiled", "disk", "clock", "advice"}
    assert answer["disk"]["fsync_ms"] > 0 and answer["clock"]["resolution_ns"] > 0
    cold = "cold" in answer["compiled"].values()
    assert cold == any("warm" in line for line in answer["advice"])


def test_diagram_writes_and_prints(tmp_path: Path) -> None:
    """The drawing goes to a file, the Mermaid text to stdout."""
    done = call("diagram", "--out", str(tmp_path / "a.svg"), "--json")
    assert json.loads(done.stdout)["flow"] and (tmp_path / "a.svg").read_text().startswith("<svg")
    assert call("diagram", "--mermaid").stdout.startswith("flowchart TD")


@pytest.mark.parametrize(
    ("given", "wanted"), [("3", 3), ("0.5", 0.5), ("-1e-3", -0.001), ("alpha", "alpha"), ("007", 7)]
)
def test_numbers(given: str, wanted: Any) -> None:
    """Values are ints where they are, then floats, then text."""
    assert common.number(given) == wanted and type(common.number(given)) is type(wanted)


def test_pairs_and_grids_say_how_to_write_them() -> None:
    """A word without an equals sign is refused with the way to write it."""
    assert common.pairs(["a=1", "b=x=y"], what="--set") == {"a": 1, "b": "x=y"}
    assert common.grid(["a=1,2.5"], what="--over") == {"a": [1, 2.5]}
    for wrong in ("a", "=1"):
        with pytest.raises(ConfigError, match="expected name=value"):
            common.pairs([wrong], what="--set")
    with pytest.raises(ConfigError, match="expected name=v1"):
        common.grid(["a="], what="--over")


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinity become null, at any depth; numpy values become plain."""
    import numpy as np

    common.print_json({"a": [float("nan"), {"b": float("inf")}], "c": np.float64(2.0), "d": np.arange(2)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, {"b": None}], "c": 2.0, "d": [0, 1]}


def test_inputs_are_checked(tmp_path: Path) -> None:
    """Data, strategies and fees that cannot be are refused with the fix."""
    with pytest.raises(ConfigError, match="expected a folder of tapes"):
        inputs.tapes_of(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="synthetic:SEED"):
        inputs.tapes_of("synthetic:x")
    with pytest.raises(ConfigError, match="MAKER_BP,TAKER_BP"):
        inputs.fees_of("1")
    with pytest.raises(ConfigError, match="did you mean 'cross_market'"):
        inputs.strategy_of("cross_markt")
    own = tmp_path / "mine_for_test.py"
    own.write_text(
        "import oneprice as op\n\n@op.strategy(x=1.0)\ndef f(event, legs, p, m, orders):\n    pass\n"
    )
    assert inputs.strategy_of(f"{own}:f", ["x=2"]).parameters == {"x": 2.0}
    with pytest.raises(ConfigError, match="strategy in"):
        inputs.strategy_of(f"{own}:g")


INSTRUMENT = ("symbol=a:X", "underlying=X", "quote=USD", "tick=0.1", "lot=0.01")


def test_a_strategy_file_that_python_refuses(tmp_path: Path) -> None:
    """File, line and reason instead of a traceback."""
    path = tmp_path / "broken_strategy.py"
    path.write_text("import oneprice as op\n@op.strategy(a=1.0\ndef f(): ...\n")
    with pytest.raises(StrategyError, match=r"broken_strategy\.py:2: .*never closed"):
        inputs.strategy_of(f"{path}:f")
    path.write_text("import a_module_that_is_not_there\n")
    with pytest.raises(StrategyError, match="a_module_that_is_not_there"):
        inputs.strategy_of(f"{path}:f")


def test_import_from_the_command_line(tmp_path: Path) -> None:
    """A table with a column map becomes a tape; the depth to assume and the fees reach its instrument."""
    from oneprice.market.tapeset import open_tapes

    path = tmp_path / "q.csv"
    path.write_text("ts,b,ask\n1700000000000,1.0,1.1\n1700000000500,1.0,1.2\n")
    words = [w for fact in INSTRUMENT for w in ("--instrument", fact)]
    words += ["--column", "time=ts", "--column", "bid=b", "--time-unit", "ms", "--fees", "0,1.5"]
    out = ["--out", str(tmp_path / "tapes"), "--json"]
    refused = call("import", str(path), "--format", "quotes", *words, *out)
    assert refused.exit_code == 2 and "--assumed-depth-lots" in refused.stderr
    done = call("import", str(path), "--format", "quotes", *words, *out, "--assumed-depth-lots", "7")
    assert done.exit_code == 0 and len(json.loads(done.stdout)["tapes"]) == 1
    (tape,) = open_tapes(tmp_path / "tapes")
    assert tape.instrument.assumed_depth_lots == 7 and str(tape.instrument.fees.taker_bp) == "1.5"
    assert tape.events["ask"].tolist() == [11, 12]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "quote", "--fees", "0,1"), "did you mean 'quotes'"),
        (("--format", "binance"), "fees are required"),
        (("--format", "binance", "--fees", "0,1"), "expected a name like spot_btcusdt_20240808.gz"),
        (("--format", "fx", "--fees", "0,1", "--column", "a=b"), "--column: expected none with --format fx"),
        (("--format", "parquet", "--fees", "0,1"), "--fees: expected none with --format parquet"),
        (("--format", "quotes", "--fees", "0,1", "--instrument", "symbl=a"), "facts are symbol, underlying"),
        (("--format", "quotes", "--fees", "0,1", "@"), "--column time=THEIRS"),
        (("--format", "binance", "--fees", "0,1", "@", "cut.gz"), "the gzip stream ends early"),
        (("--format", "binance", "--fees", "0,1", "gone.gz"), "gone.gz: no such file"),
    ],
)
def test_import_says_what_is_wrong(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """One message that names the file and the fix, status 2, and nothing is written."""
    import gzip

    (tmp_path / "q.csv").write_text("ts,bid,ask\n1,1.0,1.1\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1723161255208050000 {}\n" * 5_000)[:-9])
    facts = [w for fact in INSTRUMENT for w in ("--instrument", fact)]
    given = [v for w in words for v in (facts if w == "@" else [w])]
    file = next((w for w in words if w.endswith(".gz")), "q.csv")
    given = [w for w in given if w != file]
    done = call("import", str(tmp_path / file), *given, "--out", str(tmp_path / "tapes"))
    assert done.exit_code == 2 and says in done.stderr, done.output
    assert not (tmp_path / "tapes").exists()


def test_import_shows_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is told how far a long file is, in bytes."""
    from oneprice.market import importers

    told: list[tuple[float, float]] = []

    def read(files: Any, out: Any, *, progress: Any, **_: Any) -> list[Path]:
        progress("a.gz", 5, 10)
        return []

    monkeypatch.setattr(importers, "import_files", read)
    monkeypatch.setattr("oneprice.cli.import_.progress", lambda *_, **__: _told(told))
    assert call("import", "a.gz", "--format", "binance", "--fees", "0,1").exit_code == 0
    assert told[-1] == (5, 10)


def _told(into: list[tuple[float, float]]) -> Any:
    from contextlib import nullcontext

    return nullcontext(lambda done, of: into.append((done, of)))
