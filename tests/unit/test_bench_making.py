"""The benchmark of quoting compares like with like: one strategy, its parameters, fills explained by rules."""

from __future__ import annotations

import math
import sys

import pytest

from oneprice.market.synthetic import market_making_world
from oneprice.study.bench_making import AT_TOUCH, compare, fills_by_rule, making_bench, ours, quoting, theirs
from oneprice.study.bench_rival import converted
from oneprice.study.bench_time import LEAST

TAPE = market_making_world(20_000, 9).tapes[0]


def test_the_horizon_is_the_tape_and_the_fee_is_left_out() -> None:
    """Both sides quote to the end of the tape; the maker fee, which only moves quotes away, is taken out."""
    p = quoting(TAPE).parameters
    span = float(TAPE.events["receive_ns"][-1] - TAPE.events["receive_ns"][0]) * 1e-9
    assert p["horizon_s"] == pytest.approx(span + 1.0) and p["edge_bp"] == 0.5 and p["sigma"] == 0.0
    assert quoting(TAPE, k_decay=3.0).parameters["k_decay"] == 3.0


def test_without_data_or_the_other_engine_the_lines_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure and the reason."""
    monkeypatch.setitem(sys.modules, "hftbacktest", None)
    found = making_bench(None, n_rows=1_000, repeats=1)
    assert [f.verdict for f in found] == ["not measured"] * 3
    assert "install oneprice[bench]" in found[0].note and all("no data" in f.note for f in found[1:])


@pytest.mark.slow
def test_both_engines_quote_alike() -> None:
    """With the other engine there: nearly the same orders, and what differs is within the rules that differ."""
    pytest.importorskip("hftbacktest")
    chosen = quoting(TAPE, k_decay=AT_TOUCH)
    rows = converted(TAPE)
    _, mine = ours(TAPE, chosen)
    _, other = theirs(rows, TAPE, chosen)
    assert mine["fills"] > 50 and other["fills"] > 50
    assert mine["lots"] == pytest.approx(other["lots"], rel=0.25)
    assert abs(mine["position"]) <= 100 >= abs(other["position"]), "within the limit on both sides"
    found = compare(TAPE, "few rows", 1, k_decay=AT_TOUCH)
    assert found.figure is not None and math.isfinite(found.figure) and found.side == LEAST
    told = fills_by_rule(TAPE)
    assert {"ours", "theirs", "theirs: new order at once"} <= {r["rule"] for r in told}
