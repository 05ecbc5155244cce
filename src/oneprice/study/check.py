"""Conformance of a strategy: what every strategy must hold before it is replayed, found without an exchange.

A seeded script of events and quotes (gaps, missing sides, empty books, stale and crossed quotes, positions
that come and go) is played to the compiled strategy and to its plain text. Last, it is replayed twice on a
small world.
"""

from __future__ import annotations

import ast
import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.arena import STRATEGY
from oneprice.core.errors import ConfigError, OnePriceError
from oneprice.core.plain import plain_event
from oneprice.core.records import BOOK, EVENT, FILL, LAST, N_PACKAGES, NO_PRICE, TIMER, TRADE, VIEW
from oneprice.engine.entry import compile_entry
from oneprice.execution.intents import I_LEG, I_PACKAGE, I_QUOTE, I_TARGET, INTENTS
from oneprice.execution.strategy import Strategy

START_NS = 1_700_000_000_000_000_000
STEP_NS = 10_000_000
TICK, LOT = 0.5, 0.001
FORBIDDEN = {
    "time": "read event.receive_ns",
    "datetime": "read event.receive_ns",
    "random": "keep a seeded state in m",
    "open": "a strategy has no files",
    "print": "use the journal and run.explain",
    "socket": "a strategy has no network",
    "os": "a strategy does not know where it runs",
    "global": "keep state in m",
}
NUMPY_MATH = ("exp", "log", "log1p", "expm1", "sin", "cos", "tan", "tanh", "power", "random")
ROOMS = ("oneprice.risk", "oneprice.venues", "oneprice.modes")


@dataclass(frozen=True)
class Rule:
    """One rule and whether the strategy holds it."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Check:
    """All rules. Prints as a table; `ok` is true when each is held."""

    strategy: str
    calls: int
    rules: tuple[Rule, ...]

    @property
    def ok(self) -> bool:
        return all(r.ok for r in self.rules)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        rules = [{"rule": r.name, "ok": r.ok, "detail": r.detail} for r in self.rules]
        return {"strategy": self.strategy, "ok": self.ok, "calls": self.calls, "rules": rules}

    def __str__(self) -> str:
        wide = max(len(r.name) for r in self.rules)
        lines = [f"{self.strategy}: {'conforms' if self.ok else 'does NOT conform'} ({self.calls:,} calls)"]
        lines += [
            f"  {'ok  ' if r.ok else 'FAIL'}  {r.name.ljust(wide)}  {r.detail}".rstrip() for r in self.rules
        ]
        return "\n".join(lines)


@dataclass
class Trace:
    """What a strategy did on the script: intents and memory after each call."""

    intents: list[bytes]
    memory: list[bytes]
    overflow: int = 0
    raised: str = ""


def check(
    strategy: Strategy, *, legs: int = 0, calls: int = 1_500, seed: int = 0, replays: bool = True
) -> Check:
    """Play the script to a strategy and say which rules it holds.

    Parameters
    ----------
    legs : how many legs it trades; 0 takes those it names, else 2.
    calls : length of the script.
    replays : also replay it twice on a small simulated world (only with two legs).

    Raises
    ------
    ConfigError
        Something that is no Strategy, or a script too short to hold every condition.
    """
    if not isinstance(strategy, Strategy):
        raise ConfigError(
            f"check: expected a function decorated with @op.strategy, got {type(strategy).__name__}"
        )
    if calls < 100:
        raise ConfigError(f"check: calls: expected 100 or more, got {calls}")
    n = legs or len(strategy.legs) or 2
    rules = [_names(strategy)]
    script = make_script(n, calls, seed)
    first = _play_compiled(strategy, script)
    rules.append(Rule("raises nothing", not first.raised, first.raised))
    if not first.raised:
        rules.append(_same("deterministic", first, _play_compiled(strategy, script), "two plays differ"))
        rules.append(
            _same("compiled = plain", first, _play_plain(strategy, script), "the plain text did otherwise")
        )
        rules.append(_restart(strategy, script, first))
        rules.append(_parameters(strategy, script))
        rules.append(_sound(first, script))
        rules.append(_quiet(first))
        if replays and n == 2:
            rules.append(_replays(strategy, seed))
    return Check(strategy.name, calls, tuple(rules))


# ---------------------------------------------------------------- the script
def make_script(n_legs: int, calls: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(EVENT[1], VIEW[n_legs]) by call: a walk of one price, legs that leave it, bad quotes of every kind."""
    rng = np.random.default_rng(seed)
    views = np.zeros(n_legs, VIEW)
    _still(views)
    price = 10_000.0
    gap = np.zeros(n_legs)
    out = []
    for i in range(calls):
        now = START_NS + i * STEP_NS
        price *= math.exp(rng.normal(0.0, 0.2e-4))
        leg = int(rng.integers(n_legs))
        if rng.random() < 0.02:
            gap[leg] = rng.choice([-1.0, 1.0]) * rng.uniform(5.0, 40.0) if gap[leg] == 0.0 else 0.0
        _quote(views[leg], price * (1.0 + gap[leg] * 1e-4), now, rng)
        if rng.random() < 0.05:
            _position(views, rng)
        ev = np.zeros(1, EVENT)
        kind = int(rng.choice([BOOK, BOOK, BOOK, BOOK, TRADE, TIMER, FILL]))
        ev["receive_ns"], ev["exchange_ns"], ev["seq"] = now, now - 2_000_000, i + 1
        ev["leg"], ev["kind"], ev["side"], ev["flag_bits"] = leg, kind, rng.choice([1, -1]), LAST
        ev["price"], ev["qty"] = round(price / TICK), 10
        out.append((ev, views.copy()))
    return out


def _still(views: np.ndarray) -> None:
    """What does not change: sizes, fees, bounds."""
    views["tick"], views["lot_qty"], views["min_qty"] = TICK, LOT, LOT
    views["maker_fee_bp"], views["taker_fee_bp"] = 0.2, 1.0
    views["stale_ns"], views["budget"] = 1_000_000_000, 10.0
    views["leg"] = views["venue"] = np.arange(len(views))
    for name in ("bid", "ask", "mid", "last"):
        views[name] = np.nan
    views["bid_ticks"] = views["ask_ticks"] = NO_PRICE


def _quote(v: Any, price: float, now: int, rng: np.random.Generator) -> None:
    """A new touch: mostly sane; sometimes a side or both are missing, or it is crossed, or old."""
    half = rng.integers(1, 4)
    bid, ask = round(price / TICK) - half, round(price / TICK) + half
    draw = rng.random()
    if 0.90 <= draw < 0.93:
        bid, ask = ask, bid
    sides = (not (0.80 <= draw < 0.84 or 0.88 <= draw < 0.90), not (0.84 <= draw < 0.90))
    for name, ticks, there in (("bid", bid, sides[0]), ("ask", ask, sides[1])):
        lots = int(rng.integers(1, 300)) if there else 0
        v[f"{name}_ticks"] = ticks if there else NO_PRICE
        v[name] = ticks * TICK if there else np.nan
        v[f"{name}_lots"], v[f"{name}_qty"] = lots, lots * LOT
    if all(sides):
        v["mid"] = v["last"] = 0.5 * (bid + ask) * TICK
    v["quote_ns"] = now - (5_000_000_000 if 0.93 <= draw < 0.96 else 0)
    for name in ("venue_ns", "quote_exchange_ns"):
        if name in (VIEW.names or ()):
            v[name] = v["quote_ns"] - 2_000_000


def _position(views: np.ndarray, rng: np.random.Generator) -> None:
    """Flat, hedged, or one leg alone."""
    lots = int(rng.integers(1, 200)) * int(rng.choice([-1, 0, 1]))
    views["position_lots"] = 0
    views["position_lots"][0] = lots
    if len(views) > 1 and rng.random() < 0.7:
        views["position_lots"][1] = -lots
    views["position"] = views["position_lots"] * LOT


# ---------------------------------------------------------------- plays
def _blank(strategy: Strategy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return strategy.values.copy(), np.zeros(1, strategy.memory), np.zeros(1, INTENTS)


def _play_compiled(
    strategy: Strategy, script: list[tuple[np.ndarray, np.ndarray]], memory: bytes = b""
) -> Trace:
    """Call the machine code as the engine does; stops at the call that raises."""
    call = ctypes.CFUNCTYPE(None, *(ctypes.c_ssize_t,) * 7)(compile_entry(strategy).address)
    params, held, orders = _blank(strategy)
    if memory:
        held = np.frombuffer(memory, strategy.memory).copy()
    st = np.zeros(1, STRATEGY)
    trace = Trace([], [])
    for i, (event, views) in enumerate(script):
        seen = views.copy()
        orders["count"] = orders["overflow"] = 0
        call(
            *(a.ctypes.data for a in (event, seen)),
            len(seen),
            *(a.ctypes.data for a in (params, held, orders, st)),
        )
        if st[0]["guard"] == 0:
            trace.raised = f"call {i + 1} ({_what(event, views)}): {_why(strategy, event, views, trace)}"
            return trace
        _note(trace, orders, held)
    return trace


def _play_plain(strategy: Strategy, script: list[tuple[np.ndarray, np.ndarray]]) -> Trace:
    """Call the function itself on records; stops at the call that raises."""
    params, held, orders = _blank(strategy)
    trace = Trace([], [])
    for i, (event, views) in enumerate(script):
        orders["count"] = orders["overflow"] = 0
        trace.raised = _call_plain(strategy, event, views, (params, held, orders))
        if trace.raised:
            trace.raised = f"call {i + 1} ({_what(event, views)}): {trace.raised}"
            return trace
        _note(trace, orders, held)
    return trace


def _call_plain(
    strategy: Strategy, event: np.ndarray, views: np.ndarray, rest: tuple[np.ndarray, ...]
) -> str:
    """One call of the plain text; returns what it raised. Division by zero is no error, as compiled."""
    records = [a.view(np.recarray)[0] for a in rest]
    try:
        with np.errstate(all="ignore"):
            strategy.function(plain_event(event), views.copy().view(np.recarray), *records)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; it is reported
        return f"{type(error).__name__}: {error}"
    return ""


def _note(trace: Trace, orders: np.ndarray, held: np.ndarray) -> None:
    n = int(orders[0]["count"])
    trace.intents.append(orders["intent"][0, :n].tobytes())
    trace.memory.append(held.tobytes())
    trace.overflow += int(orders[0]["overflow"])


def _what(event: np.ndarray, views: np.ndarray) -> str:
    bid, ask = views["bid"].tolist(), views["ask"].tolist()
    return f"kind {int(event[0]['kind'])}, leg {int(event[0]['leg'])}, bids {bid}, asks {ask}"


def _why(strategy: Strategy, event: np.ndarray, views: np.ndarray, trace: Trace) -> str:
    """The exception of the plain text on the same call."""
    params, held, orders = _blank(strategy)
    if trace.memory:
        held = np.frombuffer(trace.memory[-1], strategy.memory).copy()
    said = _call_plain(strategy, event, views, (params, held, orders))
    return said or "raised in compiled code only; most likely an index beyond its legs"


# ---------------------------------------------------------------- rules
def _names(strategy: Strategy) -> Rule:
    """No clock, chance or files, nothing of layers a strategy may not know, no numpy transcendentals."""
    found = []
    for node in (
        ast.walk(ast.parse(strategy.source)) if strategy.source.lstrip().startswith(("@", "def")) else ()
    ):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN:
            found.append(f"{node.id} ({FORBIDDEN[node.id]})")
        if isinstance(node, ast.Global):
            found.append(f"global {', '.join(node.names)} ({FORBIDDEN['global']})")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in ("np", "numpy") and node.attr in NUMPY_MATH:
                found.append(f"np.{node.attr} (use math: numpy's is not the same number compiled and plain)")
    for name in strategy.function.__code__.co_names:
        module = getattr(strategy.function.__globals__.get(name), "__module__", "") or ""
        if module.startswith(ROOMS):
            found.append(f"{name} of {module} (a strategy knows neither its limits nor its mode)")
    return Rule("no forbidden names", not found, "; ".join(dict.fromkeys(found)))


def _same(name: str, a: Trace, b: Trace, says: str) -> Rule:
    for what, x, y in (("intents", a.intents, b.intents), ("memory", a.memory, b.memory)):
        at = next((i for i, (u, v) in enumerate(zip(x, y, strict=False)) if u != v), -1)
        if at >= 0 or len(x) != len(y):
            return Rule(name, False, f"{says}: {what} first differ at call {at + 1}")
    return Rule(name, True, "")


def _restart(strategy: Strategy, script: list[tuple[np.ndarray, np.ndarray]], first: Trace) -> Rule:
    """From its memory's bytes alone it goes on as before: it keeps nothing elsewhere."""
    half = len(script) // 2
    again = _play_compiled(strategy, script[half:], memory=first.memory[half - 1])
    rest = Trace(first.intents[half:], first.memory[half:])
    return _same("restarts from its memory", rest, again, f"after a restart at call {half + 1}")


def _parameters(strategy: Strategy, script: list[tuple[np.ndarray, np.ndarray]]) -> Rule:
    """It does not write to p."""
    call = ctypes.CFUNCTYPE(None, *(ctypes.c_ssize_t,) * 7)(compile_entry(strategy).address)
    params, held, orders = _blank(strategy)
    st = np.zeros(1, STRATEGY)
    before = params.tobytes()
    for i, (event, views) in enumerate(script):
        orders["count"] = 0
        seen = views.copy()
        call(
            *(a.ctypes.data for a in (event, seen)),
            len(seen),
            *(a.ctypes.data for a in (params, held, orders, st)),
        )
        if params.tobytes() != before:
            changed = [n for n in strategy.names if params[n][0] != strategy.values[n][0]]
            return Rule(
                "does not write to p", False, f"call {i + 1} changed {', '.join(changed)}; keep state in m"
            )
    return Rule("does not write to p", True, "")


def _sound(trace: Trace, script: list[tuple[np.ndarray, np.ndarray]]) -> Rule:
    """Each intent names a leg, a side, a finite price and quantity, also when quotes are missing."""
    for i, (raw, (event, views)) in enumerate(zip(trace.intents, script, strict=True)):
        for it in np.frombuffer(raw, INTENTS["intent"].base):
            kind, at = int(it["kind"]), f"call {i + 1} ({_what(event, views)})"
            if kind in (I_LEG, I_QUOTE, I_TARGET) and not 0 <= int(it["leg"]) < len(views):
                return Rule("sound intents", False, f"{at}: leg {int(it['leg'])} of {len(views)}")
            if kind in (I_LEG, I_QUOTE) and int(it["side"]) not in (1, -1):
                return Rule("sound intents", False, f"{at}: side {int(it['side'])}")
            wanted = {
                I_PACKAGE: ("qty",),
                I_LEG: ("price", "ratio"),
                I_QUOTE: ("price", "qty"),
                I_TARGET: ("price", "qty"),
            }
            for field in wanted.get(kind, ()):
                if not math.isfinite(it[field]):
                    return Rule(
                        "sound intents", False, f"{at}: {field} is {it[field]}; test for missing sides"
                    )
    return Rule("sound intents", True, "missing sides, empty, crossed and stale books included")


def _quiet(trace: Trace) -> Rule:
    """It fits its list of intents and uses few keys: a key is a level, not a message."""
    if trace.overflow:
        return Rule("does not flood", False, f"{trace.overflow} intents found their list full")
    keys = {int(k) for raw in trace.intents for k in np.frombuffer(raw, INTENTS["intent"].base)["key"]}
    if len(keys) > N_PACKAGES:
        return Rule("does not flood", False, f"{len(keys)} keys; expected at most {N_PACKAGES}: reuse keys")
    asked = sum(1 for raw in trace.intents if raw)
    return Rule("does not flood", True, f"{asked:,} calls with intents, {len(keys)} keys")


def _replays(strategy: Strategy, seed: int) -> Rule:
    """Twice through the whole engine on a small world: the same commands and state, and books that close."""
    from oneprice.execution.latency import Latency
    from oneprice.market.synthetic import two_venues
    from oneprice.modes.replay import replay
    from oneprice.risk.limits import Limits

    name = "replays"
    world = two_venues(seed + 1, 0.75)
    alone = strategy.on() if strategy.legs else strategy
    try:
        runs = [
            replay(
                alone, tuple(world.tapes), limits=Limits(), latency=Latency(1_000_000, 1_000_000), seed=seed
            )
            for _ in range(2)
        ]
    except OnePriceError as error:
        return Rule(name, False, f"{type(error).__name__}: {error}")
    if runs[0].rows.tobytes() != runs[1].rows.tobytes():
        return Rule(name, False, "two replays of one tape gave different rows")
    if runs[0].engine.state_digest() != runs[1].engine.state_digest():
        return Rule(name, False, "two replays of one tape ended in different states")
    if runs[0].closes() != 0:
        return Rule(name, False, f"the causes of P&L miss the change of equity by {runs[0].closes()} units")
    return Rule(name, True, f"{len(runs[0].commands())} commands, {len(runs[0].fills())} fills, books close")
