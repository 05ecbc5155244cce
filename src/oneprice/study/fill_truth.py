"""Fill truth: a real resting order is taken out of a tape, ours put in its stead, and each queue model says its fate.

A probe is a real order that joined a level at the touch (or better) behind others. Its rows are taken out: the level is
what the others leave. A model then sees depth only, and moves our place by the trades at our price and, as it
believes, by what leaves the level; a trade beyond our price fills us. Predicted is whether the first fill comes before
the horizon; `brier` is the mean squared error of that probability. A model of the place alone says 0 or 1. A belief
about single cancels (each stood ahead with the model's probability) gives a probability: its share of many draws. What
became of the order is known; the model that knows the orders (`fifo`) has to be right, which is a check.

Horizons: "left" is when the real order left, by fill or by cancel: hard, since a model a moment late is wrong, and
probabilities read low for orders that were filled. "rests" lets a filled order rest on for a life drawn from those of
cancelled orders that lived longer: what a trader who does not know its fill would ask, and calibrated.

Caveat: others are taken as they came. They may have answered to the order that is hidden here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.jit import njit
from oneprice.core.records import BOOK, CLEAR, NO_PRICE, SNAPSHOT, TRADE, record
from oneprice.execution.queue import (
    FIFO,
    PROB_LOG,
    PROB_POWER,
    QUEUE_MODELS,
    TOUCH,
    share_ahead,
)
from oneprice.market.book import book_at, book_bytes, book_init_at, book_row
from oneprice.market.quality import FAR_LOG2
from oneprice.market.tape import Tape
from oneprice.study.fill_sizes import predict_by_size

CAVEAT = "others are taken as they came: they may have answered to the order that is hidden here"
MODELS = ("risk_averse", "prob_log", "prob_power", "fitted", "by_size", "fifo", "touch")
PARTICLES = 100
BOOK_LOG2 = 16
SECOND = 1_000_000_000

PROBE = record(
    [
        ("row", "i8"),  # of the tape, at which it joined
        ("end_row", "i8"),  # at which it left
        ("order_id", "i8"),
        ("stamp", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("ahead", "i8"),  # lots shown at its level before it joined
        ("executed", "i8"),
        ("first_fill_ns", "i8"),  # venue time, 0: none
        ("join_ns", "i8"),
        ("end_ns", "i8"),
        ("stop_row", "i8"),  # the first row after which the order would not have been there
        ("until_ns", "i8"),
        ("side", "i8"),
    ]
)
# one cancel seen while a probe waited, for fitting: share of the level that stood ahead, and whether the cancel did
CANCEL_SEEN = record([("share", "f8"), ("was_ahead", "i8")])


class ModelScore(msgspec.Struct, frozen=True):
    """One model on one set of probes. `bins` are (mean probability, share filled, probes) by predicted probability;
    `late_s` is the median of predicted less true time of the first fill where both are, `apart_s` of its size.
    """

    model: str
    brier: float
    predicted: float  # mean probability
    bins: tuple[tuple[float, float, int], ...]
    late_s: float
    apart_s: float
    both: int


HORIZONS = ("left", "rests")


class FillTruth(msgspec.Struct, frozen=True):
    """What each model made of the same hidden orders. `power` is fitted on the first half of the tape (`fitted_on`
    cancels), scores are of the second half only; `filled` of `probes` were filled there.
    """

    probes: int
    filled: int
    seconds: float
    power: float
    power_low: float
    power_high: float
    fitted_on: int
    scores: tuple[ModelScore, ...]
    horizon: str
    source: str

    def best(self) -> ModelScore:
        """The lowest Brier score of our models that see depth only (`fifo` sees the orders: it is the check)."""
        ours = (s for s in self.scores if s.model in MODELS and s.model != "fifo")
        return min(ours, key=lambda s: s.brier)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**msgspec.to_builtins(self), "best": self.best().model, "caveat": CAVEAT}

    def __str__(self) -> str:
        until = "until it left" if self.horizon == "left" else "as long as it would have rested"
        lines = [
            f"fill truth: {self.probes} hidden orders, {self.filled} filled, in {self.seconds / 3600:.2f} h of",
            f"{self.source}; horizon: {until}",
            f"power of a cancel's place {self.power:.2f} [{self.power_low:.2f}, {self.power_high:.2f}] from "
            f"{self.fitted_on} cancels of the first half; scores are of the second",
            "",
            f"{'model':<25}{'Brier':>9}{'mean p':>9}{'late, s':>10}{'apart, s':>10}  predicted -> filled (probes)",
        ]
        for s in sorted(self.scores, key=lambda one: one.brier):
            bins = "  ".join(f"{p:.2f} -> {y:.2f} ({n})" for p, y, n in s.bins)
            lines.append(f"{s.model:<25}{s.brier:>9.4f}{s.predicted:>9.3f}{s.late_s:>10.2f}{s.apart_s:>10.2f}  {bins}")
        return "\n".join([*lines, "", f"fifo knows the orders and is the check; {CAVEAT}"])


def probes_of(tape: Tape, *, least_life_s: float = 0.0, at_touch: bool = True) -> np.ndarray:
    """PROBE[n]: orders that joined behind others, by row; `at_touch` keeps those at the best price or better.

    Orders of the opening snapshot, those that moved (a new stamp) and those still there at the end are left out.
    Raises DataError for a tape that does not name its orders.
    """
    if tape.header.depth != "orders":
        raise DataError(
            f"fill truth: {tape.instrument.symbol} shows levels only (header depth {tape.header.depth!r}); import a "
            "source of single orders: oneprice import --format bitstamp, lobster or mbo"
        )
    ev = np.asarray(tape.events)
    rows = np.flatnonzero(ev["kind"] == BOOK)
    room = np.zeros(book_bytes(BOOK_LOG2, FAR_LOG2) + 64, np.uint8)
    address = room.ctypes.data + -room.ctypes.data % 64
    book_init_at(address, BOOK_LOG2, FAR_LOG2)
    found = np.zeros(len(rows), PROBE)
    left = np.zeros(len(rows), np.int64)
    n = _find(ev, _changes(ev, rows), (address, tape.clock_offset_ns, int(at_touch)), left, found)
    found = found[:n]
    life = found["end_ns"] - found["join_ns"]
    return found[(found["end_row"] >= 0) & (found["ahead"] > 0) & (life > least_life_s * SECOND)]


def _changes(ev: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """int64[n]: by how much each BOOK row changed its level; a CLEAR starts levels again."""
    clears = np.cumsum((ev["flag_bits"][rows] & CLEAR) != 0)
    key = np.stack([clears, ev["price"][rows], ev["side"][rows]])
    order = np.lexsort((np.arange(len(rows)), *key))
    qty, key = ev["qty"][rows][order], key[:, order]
    first = np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)]
    out = np.empty(len(rows), np.int64)
    out[order] = qty - np.where(first, 0, np.r_[0, qty[:-1]])
    return out


@njit
def _find(ev: Any, change: Any, where: Any, left: Any, out: Any) -> int:
    """Follow every order by its stamp; fill PROBE rows by joining and return how many.

    `where` is (address of an empty book, clock offset, touch only); `left` int64[n] what remains of each.
    """
    address, offset_ns, at_touch = where
    b = book_at(address)
    by_stamp = {np.int64(-1): np.int64(-1)}
    by_id = {np.int64(-1): np.int64(-1)}
    n, at = 0, 0
    for i in range(len(ev)):
        e = ev[i]
        if e.kind == TRADE and e.maker_id > 0 and e.maker_id in by_id:
            k = by_id[e.maker_id]
            if out[k].first_fill_ns == 0:
                out[k].first_fill_ns = e.exchange_ns + offset_ns
            out[k].executed += e.qty
        if e.kind != BOOK:
            continue
        moved = change[at]
        at += 1
        if e.flag_bits & CLEAR:
            by_stamp.clear()
            by_id.clear()
        touch = b.bid_ticks if e.side > 0 else b.ask_ticks
        near = touch == NO_PRICE or (e.price >= touch if e.side > 0 else e.price <= touch)
        if moved > 0 and e.count > 0 and e.count not in by_stamp and (e.flag_bits & SNAPSHOT) == 0:
            if near or at_touch == 0:
                p = out[n]
                p.row, p.end_row, p.order_id, p.stamp = i, -1, e.order_id, e.count
                p.price, p.lots, p.ahead, p.side = e.price, moved, e.qty - moved, e.side
                p.join_ns = e.exchange_ns + offset_ns
                left[n] = moved
                by_stamp[e.count] = np.int64(n)
                by_id[e.order_id] = np.int64(n)
                n += 1
        elif moved < 0 and e.count in by_stamp:
            k = by_stamp[e.count]
            left[k] += moved
            if left[k] <= 0:
                out[k].end_row = i
                out[k].end_ns = e.exchange_ns + offset_ns
                by_stamp.pop(e.count)
                by_id.pop(e.order_id, np.int64(-1))
        book_row(b, e)
    return n


# ---------------------------------------------------------------- what a model makes of a probe
@njit
def _path(ev: Any, probe: Any, offset_ns: int, stop_row: int, how: Any, seed: int, seen: Any) -> Any:
    """(time of our first fill or 0, number of cancels in `seen`): one model along the rows of a life.

    `how` is (model, power). `seed` 0 moves our place by the expected share of each cancel; above 0 each cancel stood
    ahead of us whole or not at all, drawn. FIFO tells cancels by their stamps; `seen` gets where we stood at each.
    """
    model, power = how
    price, side = probe.price, probe.side
    ahead = 0.0 if model == TOUCH else float(probe.ahead)
    shown, total, own = probe.ahead, probe.ahead + probe.lots, probe.lots  # without the hidden order, with it, it alone
    traded, n_seen = 0, 0
    state = np.uint64(seed)
    for i in range(probe.row + 1, stop_row):
        e = ev[i]
        if e.kind == TRADE and e.side != side:
            beyond = e.price < price if side > 0 else e.price > price
            if e.price == price:
                ahead -= e.qty
                traded += e.qty
            if beyond or math.floor(-ahead + 1e-9) >= 1.0:
                return e.exchange_ns + offset_ns, n_seen
            ahead = max(ahead, 0.0)
        elif e.kind == BOOK and e.price == price and e.side == side:
            if e.count == probe.stamp:  # the hidden order's own row: its trades met us, not the others
                own -= total - e.qty
                traded = max(traded - (total - e.qty), 0)
                total = e.qty
                continue
            total = e.qty
            now = total - own
            gone = shown - now - traded
            if gone > 0 and ahead > 0.0:
                behind = max(shown - traded - ahead, 0.0)
                if model == FIFO:
                    before = e.count < probe.stamp
                    if n_seen < len(seen) and behind > 0.0:
                        seen[n_seen].share = ahead / (ahead + behind)
                        seen[n_seen].was_ahead = 1 if before else 0
                        n_seen += 1
                    ahead -= gone if before else 0
                elif seed > 0:
                    state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                    draw = float(state >> np.uint64(11)) / 9007199254740992.0
                    ahead -= gone if draw < share_ahead(model, power, ahead, behind) else 0
                else:
                    ahead -= gone * share_ahead(model, power, ahead, behind)
            ahead = min(max(ahead, 0.0), float(now))
            shown, traded = now, 0
    return 0, n_seen


@njit
def _predict(ev: Any, probes: Any, times: Any, how: Any, draws: int, out: Any) -> None:
    """out[i] = (probability of a fill before the order left, time of the first fill or 0).

    `times` is (clock offset, how much longer a fill is looked for); `draws` 0: the model's expected place, 0 or 1.
    """
    offset_ns, late_ns = times
    seen = np.empty(0, CANCEL_SEEN)
    for i in range(len(probes)):
        p = probes[i]
        stop = p.stop_row
        while stop < len(ev) and ev[stop].exchange_ns + offset_ns <= p.until_ns + late_ns:
            stop += 1
        out[i, 1] = _path(ev, p, offset_ns, stop, how, 0, seen)[0]
        if draws == 0:
            out[i, 0] = 1.0 if _path(ev, p, offset_ns, p.stop_row, how, 0, seen)[0] > 0 else 0.0
            continue
        hits = 0
        for d in range(draws):
            when = _path(ev, p, offset_ns, p.stop_row, how, 1 + d + draws * i, seen)[0]
            hits += 1 if when > 0 else 0
        out[i, 0] = hits / draws


@njit
def _cancels(ev: Any, probes: Any, offset_ns: int, seen: Any) -> int:
    """Where probes stood at each cancel of others in their levels, by the truth; returns how many."""
    n = 0
    for i in range(len(probes)):
        n += _path(ev, probes[i], offset_ns, probes[i].end_row + 1, (FIFO, 1.0), 0, seen[n:])[1]
    return n


def fit_power(seen: np.ndarray) -> tuple[float, float, float]:
    """(power, lower, upper 95 %) of p = x^n / (x^n + (1 - x)^n), x the share of the level ahead, by likelihood.

    In logs p = 1 / (1 + e^(-n ln(x / (1 - x)))): one slope, no constant. Cancels at x of 0 or 1 say nothing. Raises
    DataError for fewer than 30 that do.
    """
    x, y = seen["share"], seen["was_ahead"].astype(np.float64)
    inside = (x > 0) & (x < 1)
    x, y = np.log(x[inside] / (1 - x[inside])), y[inside]
    if len(x) < 30:
        raise DataError(f"fill truth: expected 30 or more cancels with orders before and behind a probe, got {len(x)}")
    n = 1.0
    for _ in range(60):
        p = 1.0 / (1.0 + np.exp(-n * x))
        information = float((p * (1 - p) * x * x).sum())
        step = float(((y - p) * x).sum()) / max(information, 1e-12)
        n += max(min(step, 1.0), -1.0)
        if abs(step) < 1e-10:
            break
    n = max(n, 0.01)  # a model has a power above 0: cancels fall on either side alike
    half = 1.96 / math.sqrt(max(information, 1e-12))
    return n, n - half, n + half


def fill_truth(
    tape: Tape,
    *,
    models: Sequence[str] = MODELS,
    at_touch: bool = True,
    least_life_s: float = 0.0,
    most: int = 5_000,
    horizon: str = "left",
    late_s: float = 60.0,
    rivals: bool = False,
    seed: int = 0,
) -> FillTruth:
    """Hide real orders one at a time and score what each queue model says of ours in their stead.

    Parameters
    ----------
    at_touch : only orders that joined at the best price or better. most : probes scored, drawn evenly over time.
    horizon : "left" or "rests", see above.
    late_s : how long after the horizon a fill is still looked for, for the error of its time.
    rivals : score the queue models of hftbacktest (which must be installed) on the same orders, in its own engine.

    Raises
    ------
    DataError
        A tape that does not name its orders, or with fewer than 20 probes in its second half.
    """
    for name in models:
        if name not in MODELS:
            raise unknown_name("queue model", name, list(MODELS))
    if horizon not in HORIZONS:
        raise unknown_name("horizon", horizon, list(HORIZONS))
    if most < 20 or not late_s >= 0:
        raise ConfigError(f"fill truth: expected most of 20 or more and late_s of 0 or more, got {most}, {late_s}")
    found = probes_of(tape, least_life_s=least_life_s, at_touch=at_touch)
    ev = np.asarray(tape.events)
    middle = int(ev["exchange_ns"][len(ev) // 2]) + tape.clock_offset_ns
    everywhere = found if not at_touch else probes_of(tape, at_touch=False)  # cancels are learnt of at any level
    fit, score = everywhere[everywhere["end_ns"] < middle], found[found["join_ns"] >= middle]
    if len(score) < 20:
        raise DataError(
            f"fill truth: expected 20 or more orders to hide in the second half of the tape, got {len(score)}"
        )
    seen = np.zeros(1_000_000, CANCEL_SEEN)
    seen = seen[: _cancels(ev, fit, tape.clock_offset_ns, seen)]
    power, low, high = fit_power(seen)
    score["stop_row"], score["until_ns"] = score["end_row"] + 1, score["end_ns"]
    if horizon == "rests":
        let_rest(ev, score, fit, tape.clock_offset_ns, seed)
    if len(score) > most:
        score = score[np.linspace(0, len(score) - 1, most).astype(np.int64)]
    true_ns = np.where(
        (score["first_fill_ns"] > 0) & (score["first_fill_ns"] <= score["end_ns"]), score["first_fill_ns"], 0
    )
    scores = []
    for name in models:
        out = np.empty((len(score), 2))
        times = (tape.clock_offset_ns, round(late_s * SECOND))
        if name == "by_size":
            predict_by_size(ev, score, times, PARTICLES, out)
            scores.append(scored(name, out, true_ns))
            continue
        code = PROB_POWER if name == "fitted" else QUEUE_MODELS[name]
        draws = PARTICLES if code in (PROB_LOG, PROB_POWER) else 0
        how = (code, power if name == "fitted" else 3.0)
        _predict(ev, score, times, how, draws, out)
        scores.append(scored(name, out, true_ns))
    if rivals:
        from oneprice.study.rival_queue import rival_scores

        scores += rival_scores(tape, score)
    span = float(ev["exchange_ns"][-1] - ev["exchange_ns"][0]) / SECOND
    filled = int(np.count_nonzero(true_ns))
    return FillTruth(len(score), filled, span, power, low, high, len(seen), tuple(scores), horizon, tape.header.source)


def let_rest(ev: np.ndarray, score: np.ndarray, fit: np.ndarray, offset_ns: int, seed: int) -> None:
    """Move the horizon of orders that were filled: a life drawn from the orders of `fit` that were cancelled after
    longer than it lived; where none was, twice its own.
    """
    rng = np.random.default_rng(seed)
    lives = np.sort((fit["end_ns"] - fit["join_ns"])[fit["executed"] == 0])
    lived = score["end_ns"] - score["join_ns"]
    filled = score["first_fill_ns"] > 0
    first = np.searchsorted(lives, lived, side="right")
    pick = first + (rng.random(len(score)) * np.maximum(len(lives) - first, 1)).astype(np.int64)
    longer = np.where(
        first < len(lives), lives[np.minimum(pick, max(len(lives) - 1, 0))] if len(lives) else 0, 2 * lived
    )
    score["until_ns"] = np.where(filled, score["join_ns"] + longer, score["until_ns"])
    stamps = np.maximum.accumulate(ev["exchange_ns"]) + offset_ns
    later = np.searchsorted(stamps, score["until_ns"], side="right")
    score["stop_row"] = np.where(filled, np.maximum(later, score["stop_row"]), score["stop_row"])


def scored(name: str, predicted: np.ndarray, true_ns: np.ndarray) -> ModelScore:
    """Scores of predictions float64[n, 2] (probability, time of the first fill or 0) against true times (0: none)."""
    p, y = predicted[:, 0], (true_ns > 0).astype(np.float64)
    both = (predicted[:, 1] > 0) & (true_ns > 0)
    late = (predicted[both, 1] - true_ns[both]) / SECOND
    edges = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0 + 1e-9)
    bins = []
    for a, b in itertools.pairwise(edges):
        at = (p >= a) & (p < b)
        if at.any():
            bins.append((float(p[at].mean()), float(y[at].mean()), int(at.sum())))
    nothing = len(late) == 0
    return ModelScore(
        name, float(np.mean((p - y) ** 2)), float(p.mean()), tuple(bins),
        math.nan if nothing else float(np.median(late)), math.nan if nothing else float(np.median(np.abs(late))),
        int(both.sum()),
    )  # fmt: skip
