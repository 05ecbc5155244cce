"""`fit`, `walk` and a replay of a fitted model, from files; what the words of a command are refused for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app

NAMES = list("ABCDEF")


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """420 days of six series, A/B and C/D tied together (half-life 2.3 days)."""
    rng = np.random.default_rng(5)
    logs = np.cumsum(rng.normal(0, 0.01, (420, 6)), axis=0)
    for left in (0, 2):
        spread = np.zeros(420)
        for t in range(1, 420):
            spread[t] = 0.74 * spread[t - 1] + rng.normal(0, 0.012)
        logs[:, left] = logs[:, left + 1] + spread
    close = 40.0 * np.exp(logs)
    days = np.datetime64("2010-01-01") + np.arange(420)
    folder = tmp_path_factory.mktemp("prices")
    for name, rows in (("all", slice(0, 420)), ("early", slice(0, 300)), ("late", slice(280, 420))):
        lines = ["date," + ",".join(NAMES)]
        lines += [f"{d}," + ",".join(f"{v:.6f}" for v in c) for d, c in zip(days[rows], close[rows], strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_fitted_model_is_written_and_traded_on_later_prices(table: Path, tmp_path: Path) -> None:
    """fit prints the funnel and writes the slots; replay puts them in force and its books close."""
    model = tmp_path / "model.json"
    done = call("fit", "stat_arb", str(table / "early.csv"), "--train", "200d", "--fees", "0,2", "--out", str(model))
    assert done.exit_code == 0, done.output
    assert "15 tests" in done.output and "by chance" in done.output
    assert "A/B" in done.output or "B/A" in done.output
    held = json.loads(model.read_text())
    assert held["tests"] == 15 and {tuple(sorted(s["symbols"])) for s in held["slots"]} >= {("A", "B"), ("C", "D")}
    run = call(
        "replay", str(table / "late.csv"), "--strategy", "stat_arb", "--model", str(model), "--fees", "0,2", "--json"
    )
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["closes_exactly"] and told["fills"] >= 4
    again = call("fit", "stat_arb", str(table / "early.csv"), "--train", "200d", "--fees", "0,2", "--json")
    assert json.loads(again.stdout) == held, "the same fit is the same file"


def test_walk_prints_the_funnel_and_writes_a_page(table: Path, tmp_path: Path) -> None:
    """The summary, walk.json, the journal, and walk.html with a page a pair."""
    out = tmp_path / "walk"
    words = ("walk", str(table / "all.csv"), "--train", "200d", "--step", "60d", "--fees", "0,2", "--out", str(out))
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "by chance" in done.output and "exactly" in done.output
    page = (out / "walk.html").read_text()
    for word in ("The funnel", "Gross and net", "Can P&amp;L be claimed?"):
        assert word in page
    asked = re.search(r"(\d+) fits asked for by monitors", done.output)
    assert asked and (int(asked[1]) > 0 or "fit asked for by a monitor" not in page)  # a mark is a request answered
    assert "A/B" in page or "B/A" in page
    held = json.loads((out / "walk.json").read_text())
    assert held["closes_exactly"] and len(held["funnel"]) == 4 and (out / "journal.op").is_file()


def test_words_that_cannot_be_are_refused(table: Path, tmp_path: Path) -> None:
    """Each is one message with the fix, exit status 2."""
    prices, late = str(table / "early.csv"), str(table / "late.csv")
    model = tmp_path / "model.json"
    assert call("fit", "stat_arb", prices, "--train", "200d", "--fees", "0,2", "--out", str(model)).exit_code == 0
    (tmp_path / "odd.json").write_text('{"format": 1}')
    for words, text in (
        (("fit", "stat_arb", prices), "--fees"),
        (("fit", "cross_market", prices, "--fees", "0,2"), "a model of slots"),
        (("fit", "stat_arb", prices, "--fees", "0,2", "--train", "9y"), "at most the panel"),
        (("fit", "stat_arb", prices, "--fees", "0,2", "--family", "grid"), "only a ranking"),
        (("replay", late, "--strategy", "stat_arb", "--model", str(model)), "fees are required"),
        (("replay", prices, "--strategy", "stat_arb", "--model", str(model), "--fees", "0,2"), "nothing is left"),
        (("replay", late, "--strategy", "stat_arb", "--model", "none.json"), "no such model"),
        (("replay", late, "--strategy", "stat_arb", "--model", str(tmp_path / "odd.json")), "not a model"),
        (("replay", late, "--model", str(model), "--fees", "0,2"), "name the strategy it was fitted for"),
        (("walk", prices, "--train", "9y", "--fees", "0,2"), "less than the panel"),
        (("walk", prices, "--fees", "0,2", "--ban", "2010-01-01"), "--ban"),
    ):
        done = call(*words)
        assert done.exit_code == 2 and text in done.output, (words, done.output)


def test_messages_name_options_not_arguments(table: Path, tmp_path: Path) -> None:
    """What the library calls sort=True, time_format=... or most_pairs is told as the option of the command that was
    used; text in place of a price, in any case of letters, is refused with its file, row and column.
    """
    rows = (table / "early.csv").read_text().splitlines()
    (tmp_path / "back.csv").write_text("\n".join([rows[0], rows[2], rows[1], *rows[3:]]) + "\n")
    slashed = [rows[0]] + [f"0{1 + k // 12}/0{1 + k % 9}/2020," + r.split(",", 1)[1] for k, r in enumerate(rows[1:13])]
    (tmp_path / "slashed.csv").write_text("\n".join(slashed) + "\n")
    verbs = (("screen",), ("fit", "stat_arb"), ("walk",))
    for verb in verbs:
        fees = () if verb == ("screen",) else ("--fees", "0,2")
        back = call(*verb, str(tmp_path / "back.csv"), *fees)
        assert back.exit_code == 2 and "pass --sort" in back.output and "sort=" not in back.output
        slash = call(*verb, str(tmp_path / "slashed.csv"), *fees)
        assert slash.exit_code == 2 and "--time-format" in slash.output and "time_format=" not in slash.output
    many = call("walk", str(table / "all.csv"), "--fees", "0,2", "--most-pairs", "17")
    assert many.exit_code == 2 and "--most-pairs: expected 1 to 16" in many.output
    for text in ("n/a", "N/a", "NAN", "Nan", "missing", "Null"):
        given = [*rows[:5], rows[5].split(",")[0] + f",{text}," + rows[5].split(",", 2)[2], *rows[6:]]
        (tmp_path / "odd.csv").write_text("\n".join(given) + "\n")
        odd = call("fit", "stat_arb", str(tmp_path / "odd.csv"), "--fees", "0,2")
        assert odd.exit_code == 2 and f"odd.csv: row 4: column 'A': expected a price, got {text!r}" in odd.output
    sorted_ones = call("fit", "stat_arb", str(tmp_path / "back.csv"), "--sort", "--fees", "0,2", "--json")
    same = call("fit", "stat_arb", str(table / "early.csv"), "--fees", "0,2", "--json")
    assert json.loads(sorted_ones.stdout)["slots"] == json.loads(same.stdout)["slots"] != []


def test_what_is_left_out_is_said_in_text_file_and_page(table: Path, tmp_path: Path) -> None:
    """Exclusions, flags and notes of the panel and of the windows are in the text of fit and walk, in JSON and page."""
    rows = (table / "all.csv").read_text().splitlines()
    given = [rows[0] + ",NONE,STILL,TWICE,SPLIT,MINUS,GONE"]
    for t, row in enumerate(rows[1:]):
        cells = row.split(",")
        split = float(cells[6]) * (1 + 0.003 * ((t * 7) % 5)) * (0.5 if t >= 290 else 1.0)
        minus = float(cells[5]) * (1 + 0.003 * ((t * 5) % 7)) * (-1.0 if t == 300 else 1.0)
        gone = f"{float(cells[4]) * (1 + 0.003 * ((t * 3) % 11)):.6f}" if t < 120 else ""
        given.append(f"{row},,7,{2 * float(cells[1]):.6f},{split:.6f},{minus:.6f},{gone}")
    prices = tmp_path / "dirty.csv"
    prices.write_text("\n".join(given) + "\n")
    panel = ("excluded NONE: no price at all", "excluded STILL: constant at 7", "excluded TWICE: exactly 2 times A")
    panel = (*panel, "flagged SPLIT: split: ratio 0.", "flagged MINUS: non-positive")
    fitted = call("fit", "stat_arb", str(prices), "--fees", "0,2", "--about", "survivorship=names of today")
    assert fitted.exit_code == 0, fitted.output
    for words in (*panel, "excluded GONE: 71.4 % of prices missing", "excluded SPLIT: looks split"):
        assert words in fitted.output, fitted.output
    plain = json.loads(call("fit", "stat_arb", str(prices), "--fees", "0,2", "--align", "as_of", "--json").stdout)
    assert {e["symbol"] for e in plain["excluded"]} >= {"NONE", "STILL", "TWICE", "GONE", "SPLIT", "MINUS"}
    assert {f["symbol"] for f in plain["flagged"]} == {"SPLIT", "MINUS"} and plain["notes"]
    out = tmp_path / "walk"
    done = call("walk", str(prices), "--train", "200d", "--step", "60d", "--fees", "0,2", "--about",
                "survivorship=names of today", "--out", str(out))  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "survivorship: names of today" in done.output
    windows = (
        "left out GONE in 4 of 4 windows",
        "left out SPLIT in 2 of 4 windows",
        "left out MINUS in 2 of 4 windows",
    )
    page = (out / "walk.html").read_text()
    for words in (*panel, *windows):
        assert words in done.output and words in page, (words, done.output)
    held = json.loads((out / "walk.json").read_text())
    assert {e["symbol"] for e in held["excluded"]} == {"NONE", "STILL", "TWICE"}
    assert {e["symbol"]: e["windows"] for e in held["left_out"]} == {"GONE": 4, "SPLIT": 2, "MINUS": 2}
    assert {f["symbol"] for f in held["flagged"]} == {"SPLIT", "MINUS"}


def test_a_panel_without_two_series_to_test_is_an_error_not_a_row_of_zeros(table: Path, tmp_path: Path) -> None:
    """Logs of prices below zero: screen, fit and walk say so with the option that helps; with it they run."""
    rows = (table / "all.csv").read_text().splitlines()
    below = [rows[0]] + [",".join([r.split(",")[0], *(f"-{v}" for v in r.split(",")[1:])]) for r in rows[1:]]
    prices = tmp_path / "below.csv"
    prices.write_text("\n".join(below) + "\n")
    walk = ("walk", str(prices), "--train", "200d", "--step", "60d", "--fees", "0,2")
    for words in (("screen", str(prices)), ("fit", "stat_arb", str(prices), "--fees", "0,2"), walk):
        done = call(*words)
        assert done.exit_code == 2 and "at least 2" in done.output, done.output
        assert "--space" in done.output and "A: " in done.output, done.output
    level = call(*walk, "--space", "level")
    assert level.exit_code == 0 and "exactly" in level.output, level.output


def test_a_claim_is_yes_or_no_and_says_why(table: Path) -> None:
    """`--about claim=no` is no, anything but yes and no an error, and a yes needs its reason."""
    prices = str(table / "early.csv")
    for words, text in ((("claim=perhaps",), "expected yes or no"), (("claim=yes",), "claim_why")):
        done = call("screen", prices, "--no-baskets", *(w for x in words for w in ("--about", x)))
        assert done.exit_code == 2 and text in done.output, done.output
    assert "can P&L be claimed?: no," in call("screen", prices, "--no-baskets", "--about", "claim=no").output
    both = call("screen", prices, "--no-baskets", "--about", "claim=yes", "--about", "claim_why=true closes")
    assert "can P&L be claimed?: yes, true closes" in both.output


def test_series_in_no_family_with_another_are_listed_and_a_ban_of_no_row_is_refused(
    table: Path, tmp_path: Path
) -> None:
    """A declaration that leaves series alone, or names others, says so; a ban outside the panel is an error."""
    groups = tmp_path / "groups.csv"
    groups.write_text("symbol,group\nA,x\nB,x\nC,y\nQ,y\n")
    prices = str(table / "all.csv")
    said = call("screen", prices, "--family", str(groups), "--no-baskets").output
    assert "in a family with no other series: C, D, E, F" in said and "not in the panel: Q" in said, said
    assert "p <= 0.05: 1 (0.05 by chance)" in said, said
    model = json.loads(call("fit", "stat_arb", prices, "--family", str(groups), "--fees", "0,2", "--json").stdout)
    assert {e["symbol"] for e in model["excluded"]} == {"C", "D", "E", "F"}
    walk = ("walk", prices, "--train", "200d", "--step", "60d", "--fees", "0,2", "--family", str(groups))
    told = json.loads(call(*walk, "--json").stdout)
    assert {e["symbol"] for e in told["left_out"]} == {"C", "D", "E", "F"}
    assert all("family with no other" in e["reason"] and e["windows"] == e["of"] for e in told["left_out"])
    never = call(*walk, "--ban", "2031-01-01..2031-02-01:A")
    assert never.exit_code == 2 and "rows of the panel" in never.output, never.output
