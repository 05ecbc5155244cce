"""A tiny fake venue for execution tests: builds a STATE, plays strategy, gate, ledger and venue from plain
Python.

The gate approves everything unless a test says otherwise; the ledger is a sum of lots. Venue answers are
sent by the test in any order it likes. Not a simulation: the test is the venue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oneprice.core import records as R
from oneprice.core.address import record_at
from oneprice.core.arena import POSITION, STRATEGY, build_arena, state_dtype
from oneprice.core.jit import njit
from oneprice.execution import blotter as B
from oneprice.execution import orders, package, planner, residual
from oneprice.execution.orders import BLOTTER, init_blotter
from oneprice.execution.package import PackagePolicy

STATE = state_dtype(("blotter", BLOTTER))
_state, _event = record_at(STATE), record_at(R.EVENT)
MS = 1_000_000
SECOND = 1_000_000_000


@njit
def _response(s: int, ev: int) -> int:
    return orders.on_response(_state(s), _event(ev))


@njit
def _review(s: int) -> None:
    package.review(_state(s))


@njit
def _touch(s: int, leg: int) -> None:
    package.on_touch(_state(s), leg)


@njit
def _timer(s: int, ev: int) -> None:
    B.timer_fired(_state(s), _event(ev))
    package.on_timer(_state(s), _event(ev))


@njit
def _status(s: int, ev: int) -> None:
    package.on_status(_state(s), _event(ev))


@njit
def _intents(s: int, k: int) -> None:
    planner.on_intents(_state(s), k)


@njit
def _approved(s: int, o: int, action: int) -> None:
    orders.approved(_state(s), o, action)


@njit
def _refused(s: int, o: int, action: int, reason: int) -> None:
    orders.refused(_state(s), o, action, reason)


@njit
def _flatten(s: int, k: int) -> None:
    planner.flatten_everything(_state(s), k)


@njit
def _unhedged(s: int, underlying: int) -> float:
    return residual.unhedged(_state(s), underlying)


class World:
    """Two or more linear legs (one tick = 0.01, one lot = 0.001 unless told) and one or more strategies."""

    def __init__(
        self, n_legs: int = 2, n_strategies: int = 1, policy: PackagePolicy | None = None, **leg: Any
    ) -> None:
        self.arena = build_arena(
            STATE,
            {
                "legs": n_legs * R.LEG.itemsize,
                "positions": n_legs * n_strategies * POSITION.itemsize,
                "strategies": n_strategies * STRATEGY.itemsize,
                "views": n_strategies * n_legs * R.VIEW.itemsize,
            },
        )
        self.s = self.arena.state[0]
        self.s["n_legs"], self.s["n_strategies"], self.s["epoch"], self.s["now_ns"] = (
            n_legs,
            n_strategies,
            3,
            SECOND,
        )
        self.legs = self.arena.section("legs", R.LEG)
        for name, value in (
            dict(
                tick=0.01,
                lot=0.001,
                money_num=500,
                taker_fee_e9=500_000,
                min_lots=1,
                lot_step=1,
                stale_ns=SECOND,
            )
            | dict(bid_ticks=10_000, bid_lots=500, ask_ticks=10_002, ask_lots=500, mid2_ticks=20_002)
            | leg
        ).items():
            self.legs[name] = value
        views = self.arena.section("views", R.VIEW).reshape(n_strategies, n_legs)
        for k, table in enumerate(self.arena.section("strategies", STRATEGY)):
            table["n_legs"] = n_legs
            table["views_off"] = self.arena.sections["views"][0] + k * n_legs * R.VIEW.itemsize
            views[k]["leg"] = np.arange(n_legs)
        init_blotter(self.arena, policy or PackagePolicy())
        self.positions = self.arena.section("positions", POSITION).reshape(n_strategies, n_legs)
        self.b = self.s["blotter"]
        self.gate: Callable[[np.void, int], int] = lambda order, action: 0
        self.commands: list[np.void] = []
        self.rows: list[np.void] = []
        self.exec_id = 100
        self.a = self.arena.address

    # ---- the engine's part
    def _dispatch(self) -> None:
        i = 0
        while i < self.b["n_requests"]:
            o, action = (int(x) for x in self.b["requests"][i])
            reason = self.gate(self.b["orders"][o], action)
            if reason == 0:
                _approved(self.a, o, action)
            else:
                _refused(self.a, o, action, reason)
                _review(self.a)
            i += 1
            assert i < 2_000, "the gate and execution chase each other"
        self.b["n_requests"] = 0
        for row in self.arena.drain():
            self.rows.append(row)
            if row["kind"] == R.COMMAND:
                self.commands.append(row)

    def event(self, kind: int, **words: Any) -> np.ndarray:
        ev = np.zeros(1, R.EVENT)
        ev["kind"], ev["receive_ns"] = kind, self.now
        for name, value in words.items():
            ev[name] = value
        return ev

    @property
    def now(self) -> int:
        return int(self.s["now_ns"])

    def own(self, kind: int, **words: Any) -> int:
        """Fold an answer of the venue; a fill is booked to the ledger if execution says it is new."""
        ev = self.event(kind, **words)
        o = _response(self.a, ev.ctypes.data)
        if kind == R.FILL and o != -1:
            k = int(self.b["orders"][o]["strategy"]) if o >= 0 else -2 - o
            lots = int(ev["qty"][0]) * int(ev["side"][0])
            self.positions[k, ev["leg"][0]]["lots"] += lots
            self.legs[ev["leg"][0]]["position_lots"] += lots
        _review(self.a)
        self._dispatch()
        return int(o)

    def ask(self, k: int = 0) -> None:
        """Hand the intents that were written into `self.orders` to the planner."""
        self.b["intents"]["strategy"] = k
        _intents(self.a, k)
        self._dispatch()

    @property
    def orders(self) -> np.recarray:
        """The INTENTS record a strategy writes into."""
        return self.arena.state.view(np.recarray)[0].blotter.intents

    # ---- the venue's part; c is a COMMAND row
    def ack(self, c: np.void) -> int:
        return self.own(R.ACK, client_id=c["client_id"], leg=c["leg"], side=c["side"])

    def fill(
        self, c: np.void, lots: int, price: int | None = None, exec_id: int | None = None, flags: int = 0
    ) -> int:
        if exec_id is None:
            self.exec_id += 1
            exec_id = self.exec_id
        return self.own(
            R.FILL, client_id=c["client_id"], leg=c["leg"], side=c["side"], qty=lots, seq=exec_id,
            flag_bits=flags, price=c["price"] if price is None else price,
        )  # fmt: skip

    def canceled(self, c: np.void) -> int:
        return self.own(R.CANCELED, client_id=c["client_id"], leg=c["leg"], side=c["side"])

    def reject(self, c: np.void) -> int:
        return self.own(R.REJECT, client_id=c["client_id"], leg=c["leg"], side=c["side"], reason=1)

    def cancel_reject(self, c: np.void) -> int:
        return self.own(R.CANCEL_REJECT, client_id=c["client_id"], leg=c["leg"], side=c["side"])

    def quote(self, leg: int, bid: int, ask: int, dt_ns: int = MS) -> None:
        """Move a touch, `dt_ns` later."""
        self.s["now_ns"] += dt_ns
        row = self.legs[leg]
        row["bid_ticks"], row["ask_ticks"] = bid, ask
        if bid != R.NO_PRICE and ask != R.NO_PRICE:
            row["mid2_ticks"] = bid + ask
        row["quote_ns"] = self.now
        if self.b["n_attention"] > 0:
            _touch(self.a, leg)
        self._dispatch()

    def status(self, leg: int, trading: int, kind: int = R.STATUS) -> None:
        self.legs[leg]["trading"] = trading
        if kind == R.EXPIRY:
            self.positions[:, leg]["lots"] = 0
            self.legs[leg]["position_lots"] = 0
        ev = self.event(kind, leg=leg, value=trading)
        _status(self.a, ev.ctypes.data)
        self._dispatch()

    def wait(self, dt_ns: int, fires: int = 1_000) -> int:
        """Let time pass: timers fire at their deadlines; returns how many did."""
        end, n = self.now + dt_ns, 0
        while int(self.b["timer_next_ns"]) <= end and n < fires:
            t = self.b["timers"][int(self.b["timer_next"])]
            self.s["now_ns"] = max(self.now, int(t["at_ns"]))
            ev = self.event(R.TIMER, owner=t["owner"], key=t["key"], value=t["at_ns"])
            _timer(self.a, ev.ctypes.data)
            self._dispatch()
            n += 1
        self.s["now_ns"] = max(end, self.now)
        return n

    def flatten(self, k: int = -1) -> None:
        _flatten(self.a, k)
        self._dispatch()

    # ---- reading
    def take(self) -> list[np.void]:
        """Commands since the last look."""
        out, self.commands = self.commands, []
        return out

    def of_kind(self, kind: int) -> list[np.void]:
        return [row for row in self.rows if row["kind"] == kind]

    def package_states(self) -> list[str]:
        """States in the order of their rows."""
        return [B.PACKAGE_STATES[row["code"]] for row in self.of_kind(R.PACKAGE_ROW)]

    def position(self, leg: int, k: int = 0) -> int:
        return int(self.positions[k, leg]["lots"])

    def residual(self, leg: int, k: int = 0) -> int:
        """Signed unhedged lots in the ledger."""
        rows = self.b["residuals"][: int(self.b["n_residuals"])]
        return int(rows["lots"][(rows["leg"] == leg) & (rows["strategy"] == k)].sum())

    def held(self, leg: int, k: int = 0) -> int:
        """Signed lots held hedged."""
        total = 0
        for h in self.b["held"][: int(self.b["n_held"])]:
            if h["strategy"] == k:
                total += int(h["lots"][h["leg"] == leg].sum())
        return total

    def in_packages(self, leg: int, k: int = 0) -> int:
        """Signed lots inside open packages."""
        total = 0
        for slot in self.b["open_packages"][: int(self.b["n_open_packages"])]:
            p = self.b["packages"][slot]
            for a in p["legs"][: int(p["n_legs"])]:
                if a["leg"] == leg and p["strategy"] == k:
                    total += int(a["side"] * a["filled"])
        return total

    def live_orders(self) -> list[np.void]:
        got = self.b["orders"]
        return [o for o in got if B.PLANNED <= o["state"] <= B.UNKNOWN]

    def check(self) -> None:
        """Nothing forgotten: every lot is held, residual or inside a package; open lots are those of live
        orders."""
        for k in range(len(self.positions)):
            for leg in range(len(self.legs)):
                parts = (self.held(leg, k), self.residual(leg, k), self.in_packages(leg, k))
                assert self.position(leg, k) == sum(parts), (
                    f"leg {leg}: held, residual, in packages = {parts}"
                )
                for side, name in ((1, "open_buy_lots"), (-1, "open_sell_lots")):
                    live = [
                        o
                        for o in self.live_orders()
                        if (o["strategy"], o["leg"], o["side"]) == (k, leg, side)
                    ]
                    assert int(self.positions[k, leg][name]) == sum(int(o["open_lots"]) for o in live)
        assert int(self.b["n_open_orders"]) == len(self.live_orders())
        assert int(self.legs["open_buy_lots"].sum()) == int(self.positions["open_buy_lots"].sum())
        assert int(self.legs["open_sell_lots"].sum()) == int(self.positions["open_sell_lots"].sum())
        assert int(self.b["n_attention"]) >= int(self.b["n_open_packages"])
