"""Quoting through the whole engine: prices of the formulas, when quotes are kept, and when there must be none."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine_kit import FEES, LATENCY, MS, START, S, instrument, row, tape, top
from oneprice.core.errors import ConfigError
from oneprice.core.instruments import Fees
from oneprice.core.records import (
    BUY,
    CANCEL,
    COMMAND,
    LAST,
    NEW,
    NO_PRICE,
    POST_ONLY,
    REASONS,
    REFUSED,
    SELL,
    TOP,
    TRADE,
)
from oneprice.market.synthetic import market_making_world, two_venues
from oneprice.market.tape import Tape, join_events, make_tape
from oneprice.modes.fit import Fit
from oneprice.modes.paper import paper
from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.signals.quoting.model import pack
from oneprice.strategies import desk, hedged_making, latency_arb, market_making
from oneprice.study.making import check_quoting

TICK, LOT, QTY = 0.1, 0.01, 0.05
FREE = Fees(maker_bp=0, taker_bp=2)
LIMITS = Limits(orders_per_s=100_000, burst=10_000, venue_orders_per_s=100_000, venue_burst=10_000)
GIVEN = {"gamma": 0.4, "k_decay": 2.0, "arrivals_per_s": 0.5, "sigma": 0.3, "qty": QTY, "limit": 0.2}


def run_on(made: Tape, *, fees: Fees = FREE, fits: list[Fit] | None = None, **parameters: float) -> Run:
    return replay(
        market_making(**{**GIVEN, **parameters}), [made], latency=LATENCY, limits=LIMITS, fees=fees, fits=fits or []
    )


def sent(run: Run, code: int = NEW) -> list[tuple[int, int, int]]:
    """(ms after the start, side, ticks) of the commands of a code."""
    own = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == code)]
    return [((int(r["time_ns"]) - START) // MS, int(r["side"]), int(r["price"])) for r in own]


def refused(run: Run) -> set[str]:
    own = run.rows[run.rows["kind"] == REFUSED]
    return {REASONS[c] for c in own["code"]}


def glft(gamma: float, k: float, a: float, sigma: float, qty: float) -> tuple[float, float]:
    """(half spread, skew an order held) as they stand in the paper, for orders of `qty` (gamma a unit)."""
    g = gamma * qty
    c1 = math.log(1 + g / k) / g
    c2 = math.sqrt(gamma / (2 * a * qty * k) * (1 + g / k) ** (1 + k / g))
    return c1 + qty * sigma * c2 / 2, sigma * c2 * qty


def down(price: float) -> int:
    return math.floor(price / TICK + 1e-9)


def up(price: float) -> int:
    return math.ceil(price / TICK - 1e-9)


def steady(n: int = 20, step_ns: int = 10 * MS, **words: Any) -> Tape:
    return tape("alpha", [top(i * step_ns) for i in range(n)], **words)


def test_stationary_quotes_are_those_of_the_paper() -> None:
    """Without a horizon: mid +- c1 + size sigma c2 / 2 on ticks away from the touch; sent once, then kept."""
    half, _ = glft(gamma=0.4, k=2.0, a=0.5, sigma=0.3, qty=QTY)
    run = run_on(steady())
    assert sent(run) == [(0, BUY, down(100.05 - half)), (0, SELL, up(100.05 + half))]
    own = run.rows[run.rows["kind"] == COMMAND]
    assert (own["tif"] == POST_ONLY).all() and (own["qty"] == round(QTY / LOT)).all()


@pytest.mark.parametrize(("gamma", "sigma"), [(0.4, 0.3), (2.0, 1.0), (0.01, 5.0)])
def test_a_horizon_gives_avellaneda_and_stoikov(gamma: float, sigma: float) -> None:
    """gamma sigma^2 (T - t) / 2 + ln(1 + gamma / k) / gamma is the HALF spread, and it shrinks towards the horizon."""
    run = run_on(steady(4, 2_000 * MS), gamma=gamma, sigma=sigma, horizon_s=10.0)
    g = gamma * QTY
    wanted = []
    for at_s in (0.0, 2.0, 4.0, 6.0):
        half = g * sigma**2 * (10.0 - at_s) / 2 + math.log(1 + g / 2.0) / g
        wanted.append((down(100.05 - half), up(100.05 + half)))
    got = sent(run)
    assert (got[0][2], got[1][2]) == wanted[0]
    moves = 1 + sum(a != b for a, b in itertools.pairwise(wanted))
    assert len({p for _, side, p in got if side == BUY}) == moves
    assert [p for _, side, p in got if side == BUY][-1] == wanted[-1][0]


def test_a_fill_moves_both_quotes_down_by_the_skew() -> None:
    """Bought one order: the centre leans by sigma c2 an order; the other side of the same trade does not."""
    half, skew = glft(gamma=4.0, k=2.0, a=0.5, sigma=2.0, qty=QTY)
    hit = down(100.05 - half)
    rows = [top(0), top(10 * MS)]
    rows += [row(TRADE, 20 * MS, price=hit - 1, qty=1_000, side=SELL)]
    rows += [top(t * MS) for t in range(30, 60, 10)]
    run = run_on(tape("alpha", rows), gamma=4.0, sigma=2.0)
    assert [int(f["qty"]) for f in run.fills()] == [round(QTY / LOT)]
    later = [(side, p) for at, side, p in sent(run) if at >= 19]
    ask = max(up(100.05 - skew + half), 1_001)  # never on the bid
    assert (BUY, down(100.05 - skew - half)) in later and (SELL, ask) in later
    level = run_on(tape("alpha", rows), gamma=4.0, sigma=2.0, symmetric=1)
    assert {p for _, side, p in sent(level) if side == SELL} == {up(100.05 + half)}, "no view of what is held"
    assert run.closes() == 0 and level.closes() == 0


def test_the_edge_after_the_fee_is_kept() -> None:
    """With a maker fee of 30 bp nothing is quoted nearer than that to the fair price; `edge_bp` adds to it."""
    fair = 100.05
    for edge_bp in (0.0, 20.0):
        run = run_on(steady(), fees=Fees(maker_bp=30, taker_bp=40), k_decay=50.0, edge_bp=edge_bp)
        (_, _, bid), (_, _, ask) = sent(run)
        assert bid == down(fair * (1 - edge_bp * 1e-4) / (1 + 30e-4))
        assert ask == up(fair * (1 + edge_bp * 1e-4) / (1 - 30e-4))


def test_quotes_are_never_marketable() -> None:
    """A half spread of a fraction of a tick inside a wide book still rests inside it, a tick from the other side."""
    rows = [top(i * 10 * MS, 1_000, 1_001) for i in range(5)]
    run = run_on(tape("alpha", rows), k_decay=1e6, sigma=1e-9)
    assert [(side, p) for _, side, p in sent(run)] == [(BUY, 1_000), (SELL, 1_001)]
    assert refused(run) == set()


def test_a_quote_moves_only_when_it_is_worth_its_place() -> None:
    """The touch drifts a tick at a time: with a threshold of three ticks the first two moves send nothing."""
    rows = [top(100 * MS * i, 1_000 + i, 1_001 + i) for i in range(7)]
    moved = {step: sorted({p for _, side, p in sent(run_on(tape("alpha", rows), requote_ticks=step)) if side == BUY})
             for step in (1, 3)}  # fmt: skip
    first = moved[1][0]
    assert moved[1] == [first + i for i in range(7)]
    assert moved[3] == [first, first + 3, first + 6]


def test_the_limit_is_never_passed() -> None:
    """However often one side is hit, the position stays within the limit and the full side is withdrawn."""
    rows = [top(0)]
    for i in range(1, 60):
        rows += [row(TRADE, i * 10 * MS, price=900, qty=3, side=SELL), top(i * 10 * MS + MS)]
    run = run_on(tape("alpha", rows), limit=0.12, symmetric=1)
    held = np.cumsum([int(f["side"]) * abs(int(f["qty"])) for f in run.fills()])
    assert held.max() == 12 and len(run.fills()) >= 3
    assert not [1 for at, side, _ in sent(run) if side == BUY and at > 500]


BAD_TOUCHES = {
    "no bid": {"bid": NO_PRICE, "bid_qty": 0},
    "no ask": {"ask": NO_PRICE, "ask_qty": 0},
    "nothing": {"bid": NO_PRICE, "ask": NO_PRICE, "bid_qty": 0, "ask_qty": 0},
    "crossed": {"bid": 1_003},
    "locked": {"bid": 1_001},
}


@pytest.mark.parametrize("what", sorted(BAD_TOUCHES))
def test_a_bad_touch_withdraws_both_quotes(what: str) -> None:
    """Empty, one-sided, locked or crossed: both are cancelled at once, and come back when the touch does."""
    good = {"bid": 1_000, "ask": 1_001, "bid_qty": 50, "ask_qty": 50}
    bad = {**good, **BAD_TOUCHES[what]}
    rows = [row(TOP, 0, **good), row(TOP, 50 * MS, **bad), row(TOP, 60 * MS, **bad), row(TOP, 90 * MS, **good)]
    rows += [row(TOP, 100 * MS, **good)]
    run = run_on(tape("alpha", rows))
    assert [(at, side) for at, side, _ in sent(run, CANCEL)] == [(50, BUY), (50, SELL)]
    assert [(at, side) for at, side, _ in sent(run)] == [(0, BUY), (0, SELL), (90, BUY), (90, SELL)]
    assert "bad_intent" not in refused(run)


def test_silence_withdraws_by_a_timer() -> None:
    """Nothing is heard for longer than the quote may be old: a timer withdraws, with no event of the market."""
    one = instrument("alpha", stale_ns=200 * MS)
    events = join_events([top(0), top(10 * MS), top(5 * S), top(5 * S + MS)])
    run = run_on(make_tape(one, events, header=steady().header))
    gone = [at for at, _, _ in sent(run, CANCEL)]
    assert len(gone) >= 2 and 200 <= gone[0] <= 420
    assert [at for at, _, _ in sent(run)][-1] >= 5_000, "back with the market"


def test_behind_the_horizon_there_are_no_quotes() -> None:
    """At the horizon both are withdrawn and none is sent again."""
    run = run_on(steady(60, 50 * MS), horizon_s=1.0)
    assert {at for at, _, _ in sent(run, CANCEL)} == {1_000} and max(at for at, _, _ in sent(run)) < 1_000


def test_without_volatility_there_are_no_quotes() -> None:
    """sigma 0 means as it is seen: a price that never moved, or moved for less than `warm_s`, gives none."""
    still = run_on(steady(200), sigma=0.0, warm_s=0.5)
    assert len(sent(still)) == 0
    rows = [top(i * 10 * MS, 1_000 + i % 2, 1_001 + i % 2) for i in range(300)]
    moving = run_on(tape("alpha", rows), sigma=0.0, warm_s=0.5)
    assert sent(moving) and min(at for at, _, _ in sent(moving)) >= 500


@pytest.mark.parametrize(
    "bad",
    [{"k_decay": 0.0}, {"k_decay": -1.0}, {"gamma": -0.1}, {"arrivals_per_s": 0.0}, {"sigma": -1.0},
     {"k_decay": math.nan}, {"gamma": math.nan}, {"sigma": math.nan}, {"gamma": math.inf}, {"sigma": math.inf}],
)  # fmt: skip
def test_impossible_parameters_quote_nothing(bad: dict[str, float]) -> None:
    """In the engine: no order and no broken intent, ever. At the surface: a ConfigError that names the parameter."""
    run = run_on(steady(), **bad)
    assert sent(run) == [] and refused(run) == set() and run.closes() == 0
    with pytest.raises(ConfigError, match=next(iter(bad))):
        check_quoting(market_making(**{**GIVEN, **bad}))


def test_a_limit_below_an_order_is_refused_at_the_surface() -> None:
    """Nothing could ever be quoted in whole orders."""
    with pytest.raises(ConfigError, match="limit: expected at least one order"):
        check_quoting(market_making(qty=1.0, limit=0.5))
    check_quoting(market_making())


def test_gamma_zero_is_risk_neutral() -> None:
    """The limit of both formulas: 1 / k around the mid, whatever is held."""
    run = run_on(steady(), gamma=0.0)
    assert [(side, p) for _, side, p in sent(run)] == [(BUY, down(99.55)), (SELL, up(100.55))]


def test_a_burst_of_volatility_withdraws_for_a_time() -> None:
    """The mid jumps ten times its usual step: both quotes go on that very event and stay away for `pause_s`."""
    rows = [top(i * 50 * MS, 1_000 + i % 2, 1_001 + i % 2) for i in range(100)]
    rows += [top(5 * S + i * 50 * MS, 1_030 + i % 2, 1_031 + i % 2) for i in range(100)]
    run = run_on(tape("alpha", rows), toxic_burst=4.0, pause_s=1.0, tau_s=20.0, warm_s=1.0)
    gone = [at for at, _, _ in sent(run, CANCEL) if at >= 5_000]
    assert gone[0] == 5_000 and gone[1] >= 6_000, "the offer was taken by the jump itself"
    back = min(at for at, _, _ in sent(run) if at >= 5_000)
    assert back >= 6_000
    calm = run_on(tape("alpha", rows), toxic_burst=0.0, tau_s=20.0)
    assert min(at for at, _, _ in sent(calm) if at >= 5_000) < 5_100


def test_one_sided_flow_withdraws_for_a_time() -> None:
    """Ten queues arrive at the bid and none at the ask."""
    rows = [top(i * 50 * MS) for i in range(10)]
    for i in range(8):
        rows.append(row(TOP, 500 * MS + i * MS, bid=1_000, ask=1_001, bid_qty=1_000 + 900 * i, ask_qty=1_000))
    rows += [top(600 * MS + i * 50 * MS) for i in range(60)]
    run = run_on(tape("alpha", rows), toxic_flow=1.5, pause_s=0.5)
    gone = [at for at, _, _ in sent(run, CANCEL)]
    assert gone and 500 <= gone[0] <= 510


def test_signals_move_the_centre_within_their_cap() -> None:
    """A microprice a quarter tick above the mid moves both quotes by its gain; the cap holds it."""
    rows = [row(TOP, i * 10 * MS, bid=1_000, ask=1_010, bid_qty=300, ask_qty=100) for i in range(5)]
    plain = [p for _, _, p in sent(run_on(tape("alpha", rows)))]
    leaned = [p for _, _, p in sent(run_on(tape("alpha", rows), gain_micro=1.0))]
    capped = [p for _, _, p in sent(run_on(tape("alpha", rows), gain_micro=1.0, skew_cap=0.1))]
    assert leaned[0] - plain[0] in (2, 3) and leaned[1] - plain[1] in (2, 3), "0.25 of a spread of ten ticks"
    assert capped[0] - plain[0] == 1 and capped[1] - plain[1] == 1


def test_order_flow_leans_by_its_gain() -> None:
    """300 units more at the bid in the last second, at 0.001 a unit: three ticks up; without decay to speak of."""
    rows = [row(TOP, i * 10 * MS, bid=1_000, ask=1_010, bid_qty=10_000, ask_qty=10_000) for i in range(3)]
    rows += [row(TOP, (30 + i) * MS, bid=1_000, ask=1_010, bid_qty=40_000, ask_qty=10_000) for i in range(3)]
    plain = [p for _, _, p in sent(run_on(tape("alpha", rows)))]
    leaned = [p for _, _, p in sent(run_on(tape("alpha", rows), gain_ofi=0.001, flow_s=1_000.0))]
    assert len(plain) == 2 and leaned[:2] == plain, "the same until the flow"
    assert leaned[2:] == [plain[0] + 3, plain[1] + 3]


def test_the_lead_of_a_second_leg_moves_quotes_by_its_share() -> None:
    """The other venue jumps by ten ticks and we have not followed: half of it is half of ten ticks."""
    a = tape("alpha", [top(i * 10 * MS) for i in range(60)])
    b = tape("beta", [top(i * 10 * MS, 1_000 + 10 * (i >= 30), 1_001 + 10 * (i >= 30)) for i in range(60)])
    chosen = market_making(**{**GIVEN, "gain_lead": 0.5, "lead_alpha": 1e-6})
    run = replay(chosen, [a, b], latency=LATENCY, limits=LIMITS, fees=FREE)
    bids = [(at, p) for at, side, p in sent(run) if side == BUY]
    assert len(bids) == 2 and bids[1] == (300, bids[0][1] + 5)


def test_a_model_replaces_the_parameters_and_an_empty_one_withdraws() -> None:
    """Quotes follow the model from the event it comes with; a model of zeros (a refused fit) takes them away."""
    half, _ = glft(gamma=0.4, k=1.0, a=2.0, sigma=0.9, qty=QTY)
    answers = [pack(fit_ns=1, sigma=0.9, arrivals_per_s=2.0, k_decay=1.0), {}]
    fits = [Fit(estimator=lambda w: answers.pop(0), first_ns=START + 100 * MS, every_ns=200 * MS, latency_ns=MS)]
    run = run_on(steady(40), fits=fits[:1], k_decay=0.0)
    assert min(at for at, _, _ in sent(run)) == 101, "k_decay 0: nothing before the model"
    assert [(side, p) for _, side, p in sent(run)][:2] == [(BUY, down(100.05 - half)), (SELL, up(100.05 + half))]
    assert {at for at, _, _ in sent(run, CANCEL)} == {301}


def test_wild_markets_never_get_a_wild_order() -> None:
    """Random touches, a third of them broken, and random parameters: every order is sane, every limit holds."""
    rng = np.random.default_rng(11)
    for _ in range(12):
        rows, mid = [], 1_000
        for i in range(300):
            mid = max(mid + int(rng.integers(-3, 4)), 5)
            words = {"bid": mid - int(rng.integers(0, 4)), "ask": mid + int(rng.integers(-1, 4)), "bid_qty": 40,
                     "ask_qty": int(rng.integers(0, 50))}  # fmt: skip
            if rng.random() < 0.15:
                words["bid"] = NO_PRICE
            if rng.random() < 0.15:
                words["ask"] = NO_PRICE
            rows.append(row(TOP, i * 7 * MS, **words))
            if rng.random() < 0.3:
                side = int(rng.choice((BUY, SELL)))
                rows.append(row(TRADE, i * 7 * MS + MS, price=max(mid + 4 * side, 1), qty=2, side=side))
        chosen = {
            "gamma": float(10 ** rng.uniform(-3, 2)), "k_decay": float(10 ** rng.uniform(-2, 3)),
            "sigma": float(rng.choice([0.0, 0.5, 50.0])), "horizon_s": float(rng.choice([0.0, 1.0])),
            "toxic_burst": float(rng.choice([0.0, 3.0])), "gain_ofi": float(rng.normal(0, 5)),
            "requote_ticks": int(rng.integers(1, 5)), "warm_s": 0.2,
        }  # fmt: skip
        run = run_on(tape("alpha", rows), fees=FEES, **chosen)
        own = run.rows[(run.rows["kind"] == COMMAND) & (run.rows["code"] == NEW)]
        assert (own["qty"] > 0).all() and (np.abs(own["price"] - 1_000) < 2_000_000).all()
        assert "bad_intent" not in refused(run)
        held = np.cumsum([int(f["side"]) * abs(int(f["qty"])) for f in run.fills()] or [0])
        assert np.abs(held).max() <= 20
        assert run.closes() == 0


def test_depth_tapes_and_paper_trade_alike() -> None:
    """A depth tape is quoted on as a tape of touches is; paper does to the row what replay does; the books close."""
    made = market_making_world(20_000, 5).tapes[0]
    chosen = market_making(gamma=0.5, k_decay=8.0, warm_s=1.0, qty=0.01, limit=0.05, toxic_burst=6.0)
    first = replay(chosen, [made], latency=LATENCY, limits=LIMITS)
    again = paper(chosen, [made], latency=LATENCY, limits=LIMITS, speed=0.0)
    assert len(first.fills()) > 0 and first.closes() == 0
    assert np.array_equal(first.commands(), again.commands()) and np.array_equal(first.fills(), again.fills())
    assert (np.asarray(made.events["flag_bits"]) & LAST).any()


def test_reasons_are_told_apart() -> None:
    """The codes of `desk.reason` are distinct: a report can say why there was no quote."""
    codes = [desk.OK, desk.NO_TOUCH, desk.STALE, desk.PAST_HORIZON, desk.NO_VOLATILITY, desk.TOXIC, desk.NO_QUOTE]
    assert len(set(codes)) == len(codes) and desk.OK == 0


@pytest.mark.parametrize("name", ["market_making", "hedged_making", "latency_arb"])
def test_a_journal_folds_to_the_same_commands(name: str, tmp_path: Path) -> None:
    """What a strategy keeps and asks for follows from its journal alone: rerun gives the same bytes."""
    world = two_venues(seed=5, minutes=0.5)
    chosen = {
        "market_making": market_making(gamma=0.5, k_decay=4.0, warm_s=1.0, gain_ofi=0.01, toxic_burst=5.0),
        "hedged_making": hedged_making(edge_bp=0.2),
        "latency_arb": latency_arb(fee_share=0.0, warm=100),
    }[name]
    run = replay(chosen, world.tapes, latency=LATENCY, limits=LIMITS, out=tmp_path)
    assert len(run.commands()) > 10
    again = rerun(tmp_path, tapes=list(world.tapes))
    assert again.equal, str(again)
