"""What `fit`, `replay`, `paper` and `audit --fills` say of bad input to a maker: one message, with the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from engine_kit import HEADER, MS, START, instrument
from oneprice.cli.main import app
from oneprice.core.records import BOOK, EVENT, LAST, TRADE
from oneprice.market.tape import make_tape, write_tape

ONE = msgspec.structs.replace(instrument("alpha"), book_log2=8)
LEG = "alpha:XYZ-USD"


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def book(n: int, mid: Any, *, bids: bool = True, asks: bool = True, crossed: int = 0) -> list[tuple[int, ...]]:
    """(kind, ms, side, price, qty) of a touch one tick each side of `mid(i)`, each 100 ms."""
    rows: list[tuple[int, ...]] = []
    for i in range(n):
        for side, shown in ((1, bids), (-1, asks)):
            price, last = (mid(j) - side + crossed * side for j in (i, max(i - 1, 0)))
            if shown and price != last:
                rows.append((BOOK, 100 * i, side, last, 0))
            if shown:
                rows.append((BOOK, 100 * i, side, price, 10))
    return rows


def moving(i: int) -> int:
    return 1000 + (i // 3) % 5


def trades(n: int, qty: int) -> list[tuple[int, ...]]:
    return [(TRADE, 100 * i + 50, 1, moving(i) + 1, qty) for i in range(1, n, 4)]


TAPES: dict[str, list[tuple[int, ...]]] = {
    "one row": [(BOOK, 0, 1, 1000, 5)],
    "one-sided": [*book(200, moving, asks=False), *trades(200, 3)],
    "crossed": [*book(200, lambda i: 1000, crossed=5), *trades(200, 3)],
    "no trades": book(200, moving),
    "trades of nothing": [*book(200, moving), *trades(200, 0)],
    "constant": [*book(200, lambda i: 1000), *trades(200, 3)],
}


def tape_in(folder: Path, name: str) -> str:
    spec: Any = sorted(TAPES[name], key=lambda r: r[1])
    ev = np.zeros(len(spec), EVENT)
    for row, (kind, ms, side, price, qty) in zip(ev, spec, strict=True):
        row["kind"], row["side"], row["price"], row["qty"], row["flag_bits"] = kind, side, price, qty, LAST
        row["exchange_ns"] = START + ms * MS
        row["receive_ns"] = row["exchange_ns"] + MS
    write_tape(folder, make_tape(ONE, ev, header=HEADER))
    return str(folder)


@pytest.mark.parametrize(
    ("name", "fit", "replay"),
    [
        ("one row", "expected a tape with quotes and trades, got 1 touches", "one-sided, locked, crossed or empty"),
        ("one-sided", "50 orders met a book that was one-sided", "one-sided, locked, crossed or empty"),
        ("crossed", "orders met a book that was one-sided, crossed", "one-sided, locked, crossed or empty"),
        ("no trades", "0 prints with a side and a quantity", ""),
        ("trades of nothing", "0 prints with a side and a quantity", ""),
        ("constant", "expected a mid that moves", "no volatility was known: a mid that does not move"),
    ],
)
def test_a_tape_that_cannot_be_quoted_on_says_why(tmp_path: Path, name: str, fit: str, replay: str) -> None:
    """A fit is refused with what was there; a replay runs, is flat, closes, and says why nothing was quoted."""
    where = tape_in(tmp_path / "tapes", name)
    done = call("fit", "market_making", "--tape", where)
    assert done.exit_code == 2 and fit in " ".join(done.stderr.split()), done.output
    words = ["--strategy", "market_making", "--set", "k_decay=20"]
    run = call("replay", where, *words)
    assert run.exit_code == 0 and "exactly" in run.stdout
    if replay:
        assert "It never quoted:" in run.stdout and replay in run.stdout and "0 commands" in run.stdout
    fills = call("audit", where, "--fills")
    assert fills.exit_code == 2 and "shows levels only" in fills.stderr
    assert "needs a tape that names its orders" in call("replay", where, *words, "--queue", "fifo").stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "horizon_s=0.5"), "the horizon had passed"),
        (("--set", "warm_s=500"), "no volatility was known"),
        (("--limit", "order_qty=0.0001"), "the gate refused its orders: quantity"),
    ],
)
def test_a_run_that_never_quotes_says_why(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """The horizon passed before volatility was known, a warm-up longer than the tape, a limit below the order."""
    where = tape_in(tmp_path / "tapes", "no trades")
    run = call("replay", where, "--strategy", "market_making", "--set", "k_decay=20", *words)
    assert run.exit_code == 0 and f"It never quoted: {says}" in run.stdout, run.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--near", "5", "--far", "1"), "near must be below far, got near 5 and far 1"),
        (("--near", "1", "--far", "1"), "near must be below far"),
        (("--far", "0"), "near must be below far, got near 0 and far 0"),
        (("--near", "-1"), "near: expected a distance of 0 or more"),
        (("--far", "nan"), "far: expected a distance of 0 or more in quote currency, got nan"),
        (("--join-ms", "-1"), "--join-ms: expected milliseconds of 0 or more, got -1"),
        (("--join-ms", "inf"), "--join-ms: expected milliseconds of 0 or more, got inf"),
        (("--first", "5"), "--first: expected a whole number and s, h, d or w, such as 200s or 1h, got '5'"),
        (("--first", "3m"), "--first: expected a whole number and s"),
        (("--leg", "alpha:XYZ"), "did you mean 'alpha:XYZ-USD'"),
    ],
)
def test_fit_says_which_word_is_wrong(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """Ranges, lengths of time and legs that are none: status 2, the option, what was expected and what came."""
    where = tape_in(tmp_path / "tapes", "constant")
    done = call("fit", "market_making", "--tape", where, *words)
    assert done.exit_code == 2 and says in " ".join(done.stderr.split()), done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "gama=1"), "did you mean 'gamma'"),
        (("--set", "gamma=-1"), "gamma: expected 0 or more, got -1"),
        (("--set", "gamma=nan"), "gamma: expected a finite number"),
        (("--set", "k_decay=0"), "k_decay: expected more than 0"),
        (("--set", "k_decay=-2"), "k_decay: expected more than 0, got -2"),
        (("--set", "sigma=-1"), "sigma: expected 0 or more"),
        (("--set", "horizon_s=-5"), "horizon_s: expected 0 or more"),
        (("--set", "qty=1", "--set", "limit=0.5"), "limit: expected at least one order (qty 1"),
        (("--queue", "fif"), "did you mean 'fifo'"),
        (("--latency-ms", "-1"), "--latency-ms: expected milliseconds of 0 or more, got -1"),
        (("--latency-ms", "nan"), "--latency-ms: expected milliseconds of 0 or more, got nan"),
        (("--model", "none.json"), "none.json: no such model"),
    ],
)
@pytest.mark.parametrize("verb", ["replay", "paper"])
def test_replay_and_paper_say_which_word_is_wrong(
    tmp_path: Path, verb: str, words: tuple[str, ...], says: str
) -> None:
    """The same words are refused alike by both, before anything runs."""
    where = tape_in(tmp_path / "tapes", "no trades")
    given = words if verb == "replay" else (*words, "--speed", "0")
    done = call(verb, where, "--strategy", "market_making", *given)
    assert done.exit_code == 2 and says in " ".join(done.stderr.split()), done.output


@pytest.mark.parametrize(
    ("word", "value", "says"),
    [
        ("sigma", 0.0, "sigma: expected a finite number > 0, got 0.0"),
        ("k_decay", -1.0, "k_decay: expected a finite number > 0, got -1.0"),
        ("arrivals_per_s", float("nan"), "arrivals_per_s: expected a finite number > 0, got nan"),
        ("sigma", "wide", "values: expected numbers"),
    ],
)
def test_a_model_that_cannot_quote_is_refused_by_its_file(tmp_path: Path, word: str, value: Any, says: str) -> None:
    """Numbers changed by hand: the file, the word, what was expected, and how to make one."""
    where = tape_in(tmp_path / "tapes", "no trades")
    values = {"fit_ns": START, "sigma": 0.1, "arrivals_per_s": 1.0, "k_decay": 2.0} | {word: value}
    path = tmp_path / "quotes.json"
    path.write_text(json.dumps({"format": 1, "kind": "quoting", "values": values, "fit": {"leg": LEG}}))
    done = call("replay", where, "--strategy", "market_making", "--model", str(path))
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and says in said and "quotes.json: values" in said and "oneprice fit" in said


def test_two_legs_are_asked_for_and_words_of_another_mode_refused(tmp_path: Path) -> None:
    """One tape for a strategy of two legs, a model for one that takes none, --rivals without --fills, no speed."""
    where = tape_in(tmp_path / "tapes", "no trades")
    for name in ("hedged_making", "latency_arb", "cross_market"):
        done = call("replay", where, "--strategy", name)
        assert done.exit_code == 2 and f"{name}: expected tapes of two legs" in " ".join(done.stderr.split())
    for name in ("latency_arb", "hedged_making"):
        done = call("replay", "synthetic:7", "--strategy", name, "--model", str(tmp_path / "m.json"))
        assert done.exit_code == 2 and f"{name} takes no model" in " ".join(done.stderr.split())
    for words in (("--rivals",), ("--horizon", "rests")):
        assert "add --fills" in call("audit", where, *words).stderr
    slow = call("paper", where, "--strategy", "market_making", "--speed", "nan")
    assert slow.exit_code == 2 and "speed: expected 0 (no waiting) or more, got nan" in slow.stderr
