"""Whole replays over tapes that name their orders."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneprice.cli.main import app
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.execution.latency import Latency
from oneprice.execution.venue import FillModel
from oneprice.market.orders.world import OrderWorld, order_messages, order_tape, without_names
from oneprice.market.tape import write_tape
from oneprice.modes.replay import replay
from oneprice.study.bench_orders import LIMIT, QTY, order_figures
from oneprice.study.bench_rival import WIDE, quote_every

FEES = Fees(maker_bp=0, taker_bp=1)


def test_whole_replay_with_the_true_queue() -> None:
    """fifo is asked for by name, fills otherwise than the default, and is refused where rows name no orders."""
    tape = order_tape(OrderWorld(n_messages=20_000, seed=3), fees=FEES)
    bare = without_names(tape)
    lots = {}
    for name, one, fills in (
        ("default", tape, None),
        ("bare", bare, None),
        ("fifo", tape, FillModel(queue="fifo")),
    ):
        done = replay(quote_every(qty=QTY, limit=LIMIT), [one], latency=Latency(0, 0), limits=WIDE, fills=fills)
        lots[name] = int(done.venue.legs["bought_lots"].sum() + done.venue.legs["sold_lots"].sum())
    assert lots["default"] == lots["bare"] > 0 and lots["fifo"] > 0 and lots["fifo"] != lots["default"]
    with pytest.raises(ConfigError, match=r"sim:ORDERS: queue model 'fifo' needs a tape that names its orders"):
        replay(
            quote_every(qty=QTY, limit=LIMIT),
            [bare],
            latency=Latency(0, 0),
            limits=WIDE,
            fills=FillModel(queue="fifo"),
        )


def test_worlds_are_seeded_and_checked() -> None:
    """The same seed is the same world, another is not; both sides always quote; senseless parameters are refused."""
    world = OrderWorld(n_messages=4_000, seed=1, orders_a_side=40)
    one = order_messages(world)
    assert (one == order_messages(world)).all()
    other = order_messages(OrderWorld(n_messages=4_000, seed=2, orders_a_side=40))
    assert (one[:2000]["price"] != other[:2000]["price"]).any()
    for bad in ({"n_messages": 0}, {"orders_a_side": 3}, {"trades": 0.9}, {"depth": 0.0}, {"gap_ms": 0.0}, {"lots": 0}):
        with pytest.raises(ConfigError, match="world of orders"):
            order_messages(OrderWorld(**bad))


def test_benchmark_says_what_it_measured() -> None:
    """Each figure has its rows, fills and rates; the depth tape and the named one fill alike under one model."""
    figures = order_figures(3_000, 1)
    assert len(figures) == 5 and all(f.figure is not None and f.figure > 0 for f in figures)
    assert 0.5 < (figures[3].figure or 0.0) <= 1.0 and "fifo" in figures[3].note
    fills = figures[0].detail["fills"]
    assert fills["orders, risk averse"] == fills["depth, risk averse"]


def test_replay_verb_takes_the_queue_model(tmp_path: Path) -> None:
    """`--queue fifo` replays a tape that names its orders; a depth tape, a misspelt name and a model refuse it."""
    write_tape(tmp_path / "orders", order_tape(OrderWorld(n_messages=2_000, seed=3)))
    file = tmp_path / "mine.py"
    file.write_text("from oneprice.study.bench_rival import quote_every as mine\n")
    ours = ("--strategy", f"{file}:mine", "--set", "qty=5", "--set", "limit=50", "--fees", "0,1", "--latency-ms", "0")
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "orders"), *ours, "--queue", "fifo"])
    assert done.exit_code == 0 and "quote_every on sim:ORDERS" in done.stdout
    for words, text in (
        (["synthetic:7", "--queue", "fifo"], "needs a tape that names its orders"),
        ([str(tmp_path / "orders"), *ours, "--queue", "fif"], "did you mean 'fifo'"),
        ([str(tmp_path / "orders"), *ours, "--queue", "fifo", "--model", "m.json"], "--queue: expected none"),
    ):
        done = CliRunner().invoke(app, ["replay", *words])
        assert done.exit_code != 0 and text in (done.stderr or done.output)
