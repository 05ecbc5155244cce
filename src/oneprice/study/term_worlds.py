"""Made curves with known violations and decoys: does the boundary detection find the first and leave the second?

Planted: a contract beyond its band by more than all costs for some days. Decoys look like it and are none: a roll, an
ex-dividend day, a holiday on one leg, a settlement repeated from the day before, a price in another unit for a day.
A detection is a position opened by the strategy through the whole engine, judged by the settlement it was decided on.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.instruments import Fees
from oneprice.engine.state import Settings
from oneprice.execution.latency import constant
from oneprice.market.chains import TWO_SIDED, UPPER, Roll, make_chain
from oneprice.market.corporate import with_dividends
from oneprice.market.financing import Cash, with_cash
from oneprice.market.header import Header
from oneprice.market.settlement_tapes import DAY_NS, HalfSpread, settlement_tapes
from oneprice.market.settlements import Settlements, settlements
from oneprice.modes.fit import Fit
from oneprice.modes.replay import replay
from oneprice.modes.run import Run
from oneprice.signals.parity.relations import Relation, pack_relations
from oneprice.strategies.term_structure import term_structure
from oneprice.study.term_fit import Costs, StripEstimator, StripRules, carry_relation, last_prices
from oneprice.study.term_ladder import spot_ladder
from oneprice.study.term_parts import Trade, term_parts
from oneprice.study.term_replay import LATENCY_US, strip_limits, strip_policy

DECOYS = ("roll", "ex-dividend", "holiday", "stale settle", "multiplier")
RATE, STORAGE, N_DAYS, MONTH = 0.03, 0.5, 300, 30
RULES = StripRules(lots=2, storage=STORAGE, places=10, roll=Roll(days=5))
FEES = Fees(maker_bp=0, taker_bp=0, per_lot="2.5")
SPREAD = HalfSpread()
CASH = Cash(lend=RATE - 0.0025, borrow=RATE + 0.005, fee=0.002)
STOCK, FUTURE = "SP", "SF"
ABOUT = Header(
    source="simulated", licence="own", period="made", side="not stated", simultaneity="one settlement a day",
    survivorship="all", tries=1, claim=False, claim_why="simulated",
)  # fmt: skip


class Planted(msgspec.Struct, frozen=True):
    """A violation of the relation of `symbols` on settlements from `first` to `last` (days)."""

    symbols: tuple[str, ...]
    first: int
    last: int


class World(msgspec.Struct, frozen=True, eq=False):
    """Settlements of a strip, of a stock and its future, what was planted, and the days of each decoy by legs."""

    panels: tuple[Settlements, ...]
    truth: tuple[Planted, ...]
    decoys: dict[str, tuple[tuple[str, int], ...]]
    dividends: tuple[tuple[int, float], ...]
    days: np.ndarray


class Score(msgspec.Struct, frozen=True):
    """Detections against truth. `wrong` counts detections of nothing planted, by the decoy they fell for."""

    planted: int
    found: int
    right: int
    wrong: dict[str, int]
    decoys: dict[str, int]

    @property
    def precision(self) -> float:
        """Share of detections that are of something planted."""
        total = self.right + sum(self.wrong.values())
        return self.right / total if total else math.nan

    @property
    def recall(self) -> float:
        """Share of what was planted that was detected."""
        return self.found / self.planted if self.planted else math.nan


def world_of(seed: int, *, violations: int = 6, decoys: int = 4) -> World:
    """One world: a strip of months on a random spot, a stock with quarterly dividends and its future."""
    rng = np.random.default_rng(seed)
    days = np.array([d for d in range(4, 4 + N_DAYS) if d % 7 < 5], np.int64)  # weekends have no settlement
    n = len(days)
    spot = 60.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, n)))
    chain = make_chain("XX", [25 + MONTH * k for k in range(26)], boundary=UPPER, multiplier=1000.0, tick=0.01)
    ends = chain.last_trade_days
    years = (ends[None, :] - days[:, None]) / 365.0
    paid = 12.0 * (0.2 + 0.08 * np.sin(np.cumsum(rng.normal(0.0, 0.1, n))))  # storage that the curve pays, a year
    price = spot[:, None] * np.exp(RATE * years) + paid[:, None] * years + rng.normal(0.0, 0.01, years.shape)
    price[years < 0] = np.nan
    truth: list[Planted] = []
    taken: dict[tuple[int, int], str] = {}
    _violate(rng, price, days, chain, truth, taken, violations)
    found = _decoys(rng, price, days, chain, spot, taken, decoys)
    strip = _panel(chain, days, price)
    stock, future, planted, ex = _stock(rng, days)
    truth += planted
    found["roll"] = tuple((c.symbol, int(c.last_trade_day)) for c in chain.contracts if c.last_trade_day < days[-1])
    found["ex-dividend"] = tuple((f"{FUTURE}600", d) for d, _ in ex)
    return World((strip, stock, future), tuple(truth), found, ex, days)


def _panel(chain: Any, days: np.ndarray, price: np.ndarray) -> Settlements:
    t, at = np.nonzero(np.isfinite(price))
    symbols = [chain.contracts[i].symbol for i in at]
    return settlements(chain, days[t], symbols, np.round(price[t, at], 2), header=ABOUT)


def _free(rng: np.random.Generator, days: np.ndarray, chain: Any, taken: dict[tuple[int, int], str]) -> tuple[int, int]:
    """(row, place of the far leg) of a pair that is near the front and has had nothing planted in ten days."""
    while True:
        row = int(rng.integers(20, len(days) - 20))
        front = chain.first_on(int(days[row]))
        near = front + (front % 2) + 2 * int(rng.integers(0, 4))
        left = int(chain.contracts[near].last_trade_day - days[row])
        close = any(p == near + 1 and abs(r - row) < 14 for r, p in taken)
        if left > 30 and not close:
            return row, near + 1


def _violate(
    rng: np.random.Generator, price: np.ndarray, days: np.ndarray, chain: Any, truth: list[Planted],
    taken: dict[tuple[int, int], str], count: int,
) -> None:  # fmt: skip
    """Lift the far leg of a pair beyond full carry, storage and all costs for one to eight settlements."""
    for _ in range(count):
        row, far = _free(rng, days, chain, taken)
        taken[row, far] = "violation"
        length, size = int(rng.integers(1, 9)), float(rng.uniform(0.02, 0.6))
        tau = (chain.last_trade_days[far] - chain.last_trade_days[far - 1]) / 365.0
        grow = math.exp((RATE + RULES.borrow_bp * 1e-4) * tau)
        for t in range(row, row + length):
            price[t, far] = (price[t, far - 1] + 0.02) * grow + 12.0 * STORAGE * tau * grow + _cost(far, days, t) + size
        pair = (f"futures:{chain.contracts[far - 1].symbol}", f"futures:{chain.contracts[far].symbol}")
        truth.append(Planted(pair, int(days[row]), int(days[row + length - 1])))


def _cost(far: int, days: np.ndarray, t: int) -> float:
    """An upper bound of what the crossings of a pair cost a unit: the widest half spreads and the fees."""
    return 0.01 * float(SPREAD.ticks(np.array([24]), days[t : t + 1])[0]) * 2.0 + 0.02


def _decoys(
    rng: np.random.Generator, price: np.ndarray, days: np.ndarray, chain: Any, spot: np.ndarray,
    taken: dict[tuple[int, int], str], count: int,
) -> dict[str, tuple[tuple[str, int], ...]]:  # fmt: skip
    """Holidays, repeated settlements and prices in another unit, on days that make each look like a violation."""
    out: dict[str, list[tuple[str, int]]] = {name: [] for name in DECOYS}
    for kind in ("holiday", "stale settle", "multiplier"):
        while len(out[kind]) < count:
            row, far = _free(rng, days, chain, taken)
            fell = spot[row] / spot[row - 1] < 0.985
            if kind != "multiplier" and not fell:
                continue
            taken[row, far] = kind
            if kind == "holiday":
                price[row, far] = np.nan
            elif kind == "stale settle":
                price[row : row + int(rng.integers(1, 3)), far] = price[row - 1, far]
            else:
                price[row, far] *= 10.0
            out[kind].append((chain.contracts[far].symbol, int(days[row])))
    return {name: tuple(rows) for name, rows in out.items()}


def _stock(
    rng: np.random.Generator, days: np.ndarray
) -> tuple[Settlements, Settlements, list[Planted], tuple[tuple[int, float], ...]]:
    """A stock that pays 1.5 each quarter and its future of a year and a half, with two violations."""
    ex = tuple((int(days[row]), 1.5) for row in range(40, len(days), 62))
    end = 600
    value = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.008, len(days))))  # of the share and all it paid
    gone = np.array([sum(d for day, d in ex if day <= t) for t in days])
    share = value - gone
    fair = np.empty(len(days))
    for i, t in enumerate(days):
        owed = sum(d * math.exp(-RATE * (day - t) / 365.0) for day, d in ex if day > t)
        fair[i] = (share[i] - owed) * math.exp(RATE * (end - t) / 365.0)
    fair += rng.normal(0.0, 0.01, len(days))
    planted = []
    for begin in (20, 120):
        up = 1.0 if rng.random() < 0.5 else -1.0
        fair[begin : begin + 6] += up * (3.0 + rng.uniform(0.0, 1.0))
        legs = (f"futures:{STOCK}9000", f"futures:{FUTURE}600")
        planted.append(Planted(legs, int(days[begin]), int(days[begin + 5])))
    panels = []
    for root, last, column in ((STOCK, 9000, share), (FUTURE, end, fair)):
        chain = make_chain(root, [last], boundary=TWO_SIDED, multiplier=100.0, tick=0.01)
        chain = msgspec.structs.replace(
            chain, contracts=(msgspec.structs.replace(chain.contracts[0], symbol=f"{root}{last}"),)
        )
        panels.append(_panel(chain, days, column[:, None]))
    return panels[0], panels[1], planted, ex


class _Estimator:
    """Calendar spreads of the strip, and cash-and-carry of the stock with the dividends still to come."""

    def __init__(self, world: World, tapes: list[Any], confirm: int) -> None:
        chains = {p.chain.root: p.chain for p in world.panels}
        self.symbols = [t.instrument.symbol for t in tapes]
        legs = [(chains[t.instrument.underlying], t.instrument.symbol.split(":", 1)[1]) for t in tapes]
        rules = msgspec.structs.replace(RULES, confirm=confirm)
        own = [i for i, (chain, _) in enumerate(legs) if chain.root == "XX"]
        self.own, self.world, self.confirm = own, world, confirm
        self.strip = StripEstimator(
            [(legs[i][0], legs[i][0].place(legs[i][1])) for i in own], [self.symbols[i] for i in own], rules, RATE,
            Costs(SPREAD, FEES),
        )  # fmt: skip

    def __call__(self, windows: list[np.ndarray]) -> dict[str, Any]:
        now_ns = max(int(w["receive_ns"][-1]) for w in windows if len(w))
        found = self.strip.relations([windows[i] for i in self.own], now_ns)
        found.append(self._carry(windows, now_ns))
        return pack_relations(found, self.symbols, now_ns // DAY_NS, fit_ns=now_ns)

    def _carry(self, windows: list[np.ndarray], now_ns: int) -> Relation:
        at = self.symbols.index(f"futures:{STOCK}9000")
        share = float(last_prices([windows[at]], [0.01], now_ns)[0])
        day = now_ns // DAY_NS
        owed = sum(d * math.exp(-RATE * (t - day) / 365.0) for t, d in self.world.dividends if t > day)
        years = (600 - day) / 365.0
        return carry_relation(
            f"futures:{STOCK}9000", f"futures:{FUTURE}600", expiry_ns=600 * DAY_NS,
            rates=(CASH.lend, CASH.borrow), qty=200.0, cost=0.2,
            terms={"yield_rate": -math.log1p(-owed / share) / years, "apart_ns": DAY_NS // 2,
                   "confirm": self.confirm, "borrow_fee": CASH.fee, "leave_ns": 590 * DAY_NS},
        )  # fmt: skip


def _paid(tape: Any, world: World) -> Any:
    """The tape of the stock with its interest, lender's fee and dividends; any other as it is."""
    if tape.instrument.underlying != STOCK:
        return tape
    return with_cash(with_dividends(tape, [(day * DAY_NS, amount) for day, amount in world.dividends]), CASH)


def replay_world(world: World, confirm: int = 2) -> tuple[Run, tuple[Trade, ...]]:
    """The world through the engine, refitted each day, and its trades."""
    tapes = [_paid(t, world) for p in world.panels for t in settlement_tapes(p, half_spread=SPREAD, fees=FEES)]
    first_ns = min(int(t.events["receive_ns"][0]) for t in tapes)
    run = replay(
        term_structure(slip_bp=5_000.0, slip_price=20.0, participation=1.0),
        tapes,
        latency=constant(LATENCY_US, LATENCY_US),
        limits=strip_limits(50_000_000.0),
        settings=Settings(capital=50_000_000, sample_ns=DAY_NS, max_price_ticks=1_000_000),
        policy=strip_policy(),
        fits=[Fit(estimator=_Estimator(world, tapes, confirm), latency_ns=1, first_ns=first_ns, every_ns=DAY_NS)],
    )
    return run, term_parts(run, tapes, spot_ladder(tapes[0])).trades


def score(world: World, trades: tuple[Trade, ...]) -> Score:
    """Each trade against what was planted: decided on one of its settlements or wrong, and then why."""
    hit: set[int] = set()
    right, wrong = 0, dict.fromkeys((*DECOYS, "other"), 0)
    for trade in trades:
        filled = int(np.searchsorted(world.days, trade.first_ns // DAY_NS))
        decided = int(world.days[max(filled - 1, 0)])
        mine = [
            i for i, p in enumerate(world.truth)
            if set(p.symbols) == set(trade.legs) and p.first <= decided <= p.last
        ]  # fmt: skip
        if mine:
            right += 1
            hit.update(mine)
            continue
        wrong[_blamed(world, trade, decided)] += 1
    return Score(len(world.truth), len(hit), right, wrong, {k: len(v) for k, v in world.decoys.items()})


def _blamed(world: World, trade: Trade, decided: int) -> str:
    chain = world.panels[0].chain
    names = {leg.split(":", 1)[1] for leg in trade.legs}  # of a package that filled on one leg: the near one counts too
    names |= {chain.contracts[chain.place(n) + 1].symbol for n in names if n.startswith(chain.root)}
    for kind in (*DECOYS[1:], "roll"):
        if any(symbol in names and 0 <= decided - day <= 4 for symbol, day in world.decoys[kind]):
            return kind
    return "other"


def summed(scores: list[Score]) -> Score:
    """The scores of many worlds as one."""
    return Score(
        sum(s.planted for s in scores), sum(s.found for s in scores), sum(s.right for s in scores),
        {k: sum(s.wrong[k] for s in scores) for k in scores[0].wrong},
        {k: sum(s.decoys[k] for s in scores) for k in scores[0].decoys},
    )  # fmt: skip


def table(n_worlds: int = 20, confirms: tuple[int, ...] = (1, 2, 3), seed: int = 0) -> dict[int, Score]:
    """Scores of `n_worlds` worlds by how many settlements in a row confirm a violation."""
    worlds = [world_of(seed + k) for k in range(n_worlds)]
    return {c: summed([score(w, replay_world(w, c)[1]) for w in worlds]) for c in confirms}


if __name__ == "__main__":
    for confirm, found in table().items():
        print(f"confirmed by {confirm}: {found}")
