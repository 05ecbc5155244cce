"""Seeded worlds whose truth is known: two venues with planted real gaps and decoys, and one venue for
benchmarks.

Two venues quote one efficient price (a Gaussian random walk) plus a small mean-reverting deviation each. A
*real* gap dislocates the whole book of one venue for a short life and depth. Decoys look like gaps to a
careless reader:

- `basis`   one venue is offset by less than the round trip costs, for long;
- `stale`   one venue's feed stalls for seconds while the price moves (its book at the exchange moves on);
- `crossed` one venue's own bids stand above its own asks;
- `delayed` rows of one venue arrive late in a burst while the price jumps: a gap in receive time only.

Nothing here is market data: profit made in these worlds proves the machinery, not a market.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.records import BOOK, LAST
from oneprice.market.header import Header
from oneprice.market.quality import mark_crossed
from oneprice.market.tape import Tape, make_tape
from oneprice.market.tapeset import TapeSet
from oneprice.market.worlds import VISIT, feed

KINDS = ("real", "basis", "stale", "crossed", "delayed")
EPOCH_NS = 1_700_000_000_000_000_000  # start of every world on the local clock
GRID_NS = 1_000_000  # step of the efficient price
LEVELS = 10
LIFE_S = {"real": (0.02, 2.0), "stale": (1.5, 4.0), "crossed": (0.2, 2.0), "delayed": (0.05, 0.4)}


class Plant(msgspec.Struct, frozen=True):
    """One planted gap or decoy: buy on `leg_cheap`, sell on `leg_dear`, if it is real. Times are of the
    local clock.
    """

    kind: str
    leg_cheap: int
    leg_dear: int
    leg: int  # the leg that was tampered with
    start_ns: int
    end_ns: int
    gap_bp: float  # mid to mid
    depth_lots: int  # lots displayed on the side that is executable (real) at the start


class Market(msgspec.Struct, frozen=True):
    """How the venues of a world look. Prices in quote currency, quantities in lots."""

    price: float = 10_000.0
    tick: float = 0.2
    lot: float = 0.001
    half_spread_bp: float = 0.4
    sigma_bp_sqrt_s: float = 0.6  # efficient price
    deviation_bp: float = 0.15  # standard deviation of a venue's own mean-reverting part
    reversion_s: float = 5.0
    visits_per_s: float = 60.0


class Wire(msgspec.Struct, frozen=True):
    """Feed latency and clock of one venue, nanoseconds: receive = exchange + offset + base + exponential
    jitter.
    """

    base_ns: int = 2_000_000
    jitter_ns: int = 500_000
    clock_offset_ns: int = 0
    clock_bound_ns: int = 100_000


class World(msgspec.Struct, frozen=True):
    """Tapes of a world's legs and the truth about them. `start_ns`, `end_ns` on the local clock."""

    name: str
    seed: int
    tapes: TapeSet
    plants: tuple[Plant, ...]
    start_ns: int
    end_ns: int

    def digest(self) -> str:
        """sha256 of all rows and plants: equal seeds give equal worlds."""
        h = hashlib.sha256(msgspec.json.encode(self.plants))
        for tape in self.tapes:
            h.update(tape.digest.encode())
        return h.hexdigest()

    def of_kind(self, kind: str) -> tuple[Plant, ...]:
        """The plants of one kind (real, basis, stale, crossed, delayed)."""
        if kind not in KINDS:
            raise unknown_name("kind of plant", kind, list(KINDS))
        return tuple(p for p in self.plants if p.kind == kind)


def two_venues(
    seed: int,
    minutes: float = 10.0,
    *,
    real_per_minute: float = 4.0,
    decoys_per_minute: float = 1.0,
    gap_bp: tuple[float, float] = (8.0, 25.0),
    market: Market | None = None,
    wires: tuple[Wire, Wire] | None = None,
    fees_bp: tuple[float, float] = (0.2, 1.0),
) -> World:
    """A world of two venues, A and B, with planted gaps and decoys.

    Parameters
    ----------
    seed: everything is drawn from it; `minutes` of tape; `real_per_minute` and `decoys_per_minute` (each of
    stale, crossed, delayed; one basis period a world); `gap_bp` bounds of a real gap, mid to mid; `fees_bp`
    (maker, taker).

    Raises
    ------
    ConfigError when the plants do not fit into the time or a size is not positive.
    """
    look = market or Market()
    pair = wires or (Wire(), Wire(base_ns=5_000_000, jitter_ns=1_500_000, clock_offset_ns=3_000_000))
    _check(minutes=minutes, tick=look.tick, lot=look.lot, price=look.price, visits_per_s=look.visits_per_s)
    narrowest = gap_bp[0] * 1e-4 * look.price / look.tick
    if not (gap_bp[1] >= gap_bp[0] and narrowest > 2 * LEVELS):
        raise ConfigError(
            f"gap_bp: expected (low, high) with low more than {2 * LEVELS} ticks"
            f" ({2e4 * LEVELS * look.tick / look.price:g} bp), got {gap_bp}: narrow the tick or widen gaps"
        )
    rng = np.random.default_rng(seed)
    basis_bp = 2.0 * look.half_spread_bp + 2e4 * look.tick / look.price + 0.8 * fees_bp[1]
    plants = _schedule(rng, minutes, (real_per_minute, decoys_per_minute), gap_bp, basis_bp)
    end_ns = EPOCH_NS + int(minutes * 60e9)
    n = int(minutes * 60e9) // GRID_NS + 2
    efficient = _efficient(rng, n, look, plants)
    about = (f"two_venues(seed={seed}, minutes={minutes:g})", EPOCH_NS, end_ns)
    tapes = []
    for i, name in enumerate(("alpha", "beta")):
        fair = efficient * np.exp(_deviation(rng, n, look) * 1e-4) / look.tick
        rows = _venue(rng, i, fair, plants, look, end_ns)
        plants = [_with_depth(p, rows) if p.leg == i and p.kind == "real" else p for p in plants]
        holds = [p for p in plants if p.leg == i and p.kind in ("stale", "delayed")]
        rows = _receive(rng, rows, pair[i], holds)
        tapes.append(_tape(name, rows, look, pair[i], fees_bp, about))
    return World("two_venues", seed, TapeSet(tuple(tapes)), tuple(plants), EPOCH_NS, end_ns)


def market_making_world(
    n_rows: int, seed: int = 0, *, market: Market | None = None, wire: Wire | None = None
) -> World:
    """One venue's feed of exactly `n_rows` rows: depth updates and trades, nothing planted (for
    benchmarks).
    """
    look, line = market or Market(tick=0.1, half_spread_bp=0.05, visits_per_s=100.0), wire or Wire()
    _check(n_rows=n_rows, tick=look.tick, lot=look.lot, price=look.price, visits_per_s=look.visits_per_s)
    rng = np.random.default_rng(seed)
    visits = max(64, n_rows // 2)  # a visit writes at least two rows on average
    gaps = rng.exponential(1e9 / look.visits_per_s, visits)
    plan = np.zeros(visits, VISIT)
    plan["at_ns"] = EPOCH_NS + np.cumsum(np.maximum(gaps.astype(np.int64), 1))
    steps = rng.normal(0.0, 1.0, visits) * look.sigma_bp_sqrt_s * 1e-4 * np.sqrt(gaps * 1e-9)
    plan["fair_ticks"] = look.price * np.exp(np.cumsum(steps)) / look.tick
    plan["depth_lots"] = 50.0
    rows = feed(
        plan,
        seed=int(rng.integers(1 << 62)),
        half_ticks=look.half_spread_bp * 1e-4 * look.price / look.tick,
        trade_share=0.25,
        max_rows=n_rows,
    )
    assert len(rows) == n_rows, "each visit writes about 2.4 rows or more"
    rows["flag_bits"][-1] |= LAST
    rows = _receive(rng, rows, line, [])
    end_ns = int(rows["receive_ns"][-1])
    about = (f"market_making_world({n_rows}, seed={seed})", EPOCH_NS, end_ns)
    tape = _tape("alpha", rows, look, line, (-0.5, 2.0), about)
    return World("market_making", seed, TapeSet((tape,)), (), EPOCH_NS, end_ns)


def _check(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{name}: expected a positive finite number, got {value!r}")


def _tape(
    venue: str,
    rows: np.ndarray,
    look: Market,
    wire: Wire,
    fees_bp: tuple[float, float],
    about: tuple[str, int, int],
) -> Tape:
    """Instrument, header and quality marks around a feed's rows."""
    source, start_ns, end_ns = about
    at = [str(np.datetime64(t, "ns"))[:19] for t in (start_ns, end_ns)]
    instrument = Instrument(
        symbol=f"{venue}:XYZ-USD",
        underlying="XYZ",
        quote="USD",
        tick=look.tick,
        lot=look.lot,
        fees=Fees(maker_bp=fees_bp[0], taker_bp=fees_bp[1]),
        stale_ns=500_000_000,
        book_log2=12,
    )
    header = Header(
        source=f"simulated: {source}",
        licence="Apache-2.0 (generated by this package)",
        period=f"{at[0]} to {at[1]} UTC (simulated)",
        side="both",
        simultaneity="exchange and receive times of each venue, simulated",
        survivorship="not applicable",
        tries=1,
        claim=False,
        claim_why="simulated data: profit here proves the machinery, not a market",
    )
    mark_crossed(rows, instrument.book_log2)
    offset, bound = wire.clock_offset_ns, wire.clock_bound_ns
    return make_tape(instrument, rows, header=header, clock_offset_ns=offset, clock_bound_ns=bound)


def _with_depth(plant: Plant, rows: np.ndarray) -> Plant:
    """The plant with the lots its first visit displays on the executable side (every level there is new)."""
    a, b = np.searchsorted(rows["exchange_ns"], [plant.start_ns, plant.start_ns + 1])
    side = -1 if plant.leg == plant.leg_cheap else 1
    shown = {int(r["price"]): int(r["qty"]) for r in rows[a:b] if r["kind"] == BOOK and r["side"] == side}
    return msgspec.structs.replace(plant, depth_lots=sum(shown.values()))


def _schedule(
    rng: np.random.Generator,
    minutes: float,
    per_minute: tuple[float, float],
    gap_bp: tuple[float, float],
    basis_bp: float,
) -> list[Plant]:
    """Plants in random order, laid end to end with random pauses of at least half a second."""
    real, decoys = per_minute
    kinds = ["real"] * round(real * minutes)
    for kind in ("stale", "crossed", "delayed"):
        kinds += [kind] * round(decoys * minutes)
    if decoys > 0:
        kinds.append("basis")
    rng.shuffle(kinds)
    total_s = minutes * 60.0
    lives = []
    for kind in kinds:
        low, high = LIFE_S.get(kind, (0.08 * total_s, 0.12 * total_s))
        lives.append(math.exp(rng.uniform(math.log(low), math.log(high))))
    free = total_s - sum(lives) - 0.5 * (len(kinds) + 1)
    if free < 0:
        raise ConfigError(
            f"{len(kinds)} plants take {sum(lives):.0f} s and do not fit into {total_s:.0f} s: "
            "expected fewer per minute (real_per_minute, decoys_per_minute) or more minutes"
        )
    pauses = rng.dirichlet(np.ones(len(kinds) + 1)) * free + 0.5
    plants, at = [], 0.0
    for kind, life, pause in zip(kinds, lives, pauses[:-1], strict=True):
        at += float(pause)
        start = EPOCH_NS + int(at * 1e9)
        at += life
        leg, gap = int(rng.integers(2)), float(rng.uniform(*gap_bp))
        cheap = int(rng.integers(2))
        depth = int(rng.integers(20, 400)) if kind == "real" else 0
        if kind == "basis":
            gap = basis_bp  # crosses both spreads and is still less than two taker fees
        if kind == "crossed":
            cheap = 1 - leg  # the venue that is crossed shows the dear bid
        plants.append(Plant(kind, cheap, 1 - cheap, leg, start, start + int(life * 1e9), gap, depth))
    return plants


def _jump(p: Plant) -> np.ndarray:
    """Grid indices at which the efficient price jumps during a stale or delayed plant: the first fifth of
    its life.
    """
    first = (p.start_ns - EPOCH_NS) // GRID_NS + 1
    return np.arange(first, first + max(1, (p.end_ns - p.start_ns) // GRID_NS // 5))


def _efficient(rng: np.random.Generator, n: int, look: Market, plants: list[Plant]) -> np.ndarray:
    """The efficient price on the grid; while a feed is stalled or late it jumps by the plant's gap, and
    stays.
    """
    steps = rng.normal(0.0, look.sigma_bp_sqrt_s * math.sqrt(GRID_NS * 1e-9), n)
    for p in plants:
        if p.kind in ("stale", "delayed"):
            # The silent leg keeps showing the old price: it looks cheap when the price rises.
            up = 1.0 if p.leg == p.leg_cheap else -1.0
            at = _jump(p)
            steps[at] += up * p.gap_bp / len(at)
    return look.price * np.exp(np.cumsum(steps) * 1e-4)


def _deviation(rng: np.random.Generator, n: int, look: Market) -> np.ndarray:
    """A venue's own part in bp: an AR(1) on the grid with that standard deviation and reversion time."""
    from scipy.signal import lfilter

    phi = math.exp(-GRID_NS * 1e-9 / look.reversion_s)
    noise = rng.normal(0.0, look.deviation_bp * math.sqrt(1.0 - phi * phi), n)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise))


def _venue(
    rng: np.random.Generator, leg: int, fair: np.ndarray, plants: list[Plant], look: Market, end_ns: int
) -> np.ndarray:
    """Rows of one venue in exchange time on the local clock: fair price, plus what is planted on it."""
    span = end_ns - EPOCH_NS
    count = rng.poisson(look.visits_per_s * span * 1e-9)
    edges = [t for p in plants if p.leg == leg for t in (p.start_ns, p.end_ns)]
    # Both venues follow a jump at the same instants, or a true gap would open where a decoy is meant.
    jumps = [EPOCH_NS + GRID_NS * _jump(p) for p in plants if p.kind in ("stale", "delayed")]
    drawn = EPOCH_NS + rng.integers(1, span, count)
    times = np.concatenate([[EPOCH_NS], drawn, np.array(edges, np.int64), *jumps])
    times = np.unique(times)
    plan = np.zeros(len(times), VISIT)
    plan["at_ns"] = times
    plan["fair_ticks"] = fair[(times - EPOCH_NS) // GRID_NS]
    plan["depth_lots"] = 40.0
    for p in plants:
        if p.leg != leg:
            continue
        during = (times >= p.start_ns) & (times < p.end_ns)
        if p.kind in ("real", "basis"):
            plan["fair_ticks"][during] *= 1.0 + (-1.0 if leg == p.leg_cheap else 1.0) * p.gap_bp * 1e-4
        if p.kind == "real":
            plan["depth_lots"][during] = p.depth_lots / LEVELS
        if p.kind == "crossed":
            plan["cross_ticks"][during] = max(1, round(p.gap_bp * 1e-4 * look.price / look.tick))
    half_ticks = look.half_spread_bp * 1e-4 * look.price / look.tick
    return feed(plan, seed=int(rng.integers(1 << 62)), leg=leg, levels=LEVELS, half_ticks=half_ticks)


def _receive(rng: np.random.Generator, rows: np.ndarray, wire: Wire, holds: list[Plant]) -> np.ndarray:
    """Stamp receive times (one a visit, never going back); exchange stamps move to the venue's own clock."""
    sent = rows["exchange_ns"]
    first = np.concatenate([[True], sent[1:] != sent[:-1]])
    visit = np.cumsum(first) - 1
    jitter = rng.exponential(max(wire.jitter_ns, 1), int(visit[-1]) + 1).astype(np.int64)
    at = sent[first] + wire.base_ns + jitter
    for p in holds:
        held = (sent[first] >= p.start_ns) & (sent[first] < p.end_ns)
        at[held] = np.maximum(at[held], p.end_ns + wire.base_ns)
    rows["receive_ns"] = np.maximum.accumulate(at)[visit]
    rows["exchange_ns"] = sent - wire.clock_offset_ns
    return rows


def to_hftbacktest(
    events: np.ndarray, tick: float, lot: float, clock_offset_ns: int = 0, *, split: bool = False
) -> np.ndarray:
    """BOOK and TRADE rows as hftbacktest's event array (its `event_dtype`, both processors flagged).

    Prices become floats of quote currency, quantities of the base unit. A CLEAR flag becomes a row of its
    own that empties the book. Raises ConfigError when a row is of another kind or times go back (one row
    could then not serve both processors). With `split` a row whose exchange time goes back becomes two, one for
    each processor at its own place.
    """
    for name in ("receive_ns",) if split else ("exchange_ns", "receive_ns"):
        back = np.flatnonzero(np.diff(events[name]) < 0)
        if len(back):
            raise ConfigError(f"row {int(back[0]) + 1}: expected {name} that does not go back")
    strange = np.flatnonzero((events["kind"] != 1) & (events["kind"] != 3))
    if len(strange):
        i = int(strange[0])
        raise ConfigError(f"row {i}: expected BOOK or TRADE rows, got kind {int(events['kind'][i])}")
    both = np.uint64(1 << 31 | 1 << 30)
    out = np.zeros(len(events), HFTBACKTEST_EVENT)
    snapshot = (events["flag_bits"] & 2) != 0
    what = np.where(events["kind"] == 3, 2, np.where(snapshot, 4, 1)).astype(np.uint64)
    out["ev"] = what | both | np.where(events["side"] > 0, 1 << 29, 1 << 28).astype(np.uint64)
    out["exch_ts"] = events["exchange_ns"] + clock_offset_ns
    out["local_ts"] = events["receive_ns"]
    out["px"] = events["price"] * tick
    out["qty"] = events["qty"] * lot
    clears = np.flatnonzero((events["flag_bits"] & 4) != 0)
    if len(clears):
        empty = out[clears].copy()
        empty["ev"] = both | np.uint64(3)
        empty["px"], empty["qty"] = 0.0, 0.0
        out = np.insert(out, clears, empty)
    return _split_late(out) if split else out


def _split_late(rows: np.ndarray) -> np.ndarray:
    """Rows later than one before them by exchange time: for the local side where they are, for the exchange earlier."""
    highest = np.maximum.accumulate(rows["exch_ts"])
    late = rows["exch_ts"] < highest
    if not late.any():
        return rows
    early = rows[late][np.argsort(rows["exch_ts"][late], kind="stable")]
    early["ev"] &= ~np.uint64(1 << 30)
    rows = rows.copy()
    rows["ev"][late] &= ~np.uint64(1 << 31)
    return np.insert(rows, np.searchsorted(highest, early["exch_ts"], side="right"), early)


HFTBACKTEST_EVENT: Any = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)
