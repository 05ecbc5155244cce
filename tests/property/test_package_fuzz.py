"""Laws of orders and packages under venues that answer in any order, twice, late, partly or not at all."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_harness import MS, SECOND, World
from oneprice.core import records as R
from oneprice.execution.intents import cancel, package_begin, package_leg
from oneprice.execution.package import PackagePolicy

OVER = ("flat", "closed")


class Venue:
    """Knows what it was sent; answers one order at a time as the drawn numbers say."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.rest: dict[int, list[int]] = {}  # client id -> [lots left, asked to cancel]
        self.rows: dict[int, np.void] = {}
        self.sent: dict[int, int] = {}
        self.fills: list[tuple[np.void, int, int]] = []

    def read(self) -> None:
        for c in self.w.take():
            cid = int(c["client_id"])
            if c["code"] == R.NEW:
                assert cid not in self.rows, "a client id is used once"
                self.rows[cid], self.rest[cid] = c, [int(c["qty"]), 0]
            elif c["code"] == R.CANCEL and cid in self.rest:
                self.rest[cid][1] = 1

    def answer(self, pick: int, what: int, part: int) -> None:
        self.read()
        if what == 9 and self.fills:  # the same fill again
            c, lots, exec_id = self.fills[pick % len(self.fills)]
            assert self.w.fill(c, lots, exec_id=exec_id) == -1
        elif self.rest:
            cid = sorted(self.rest)[pick % len(self.rest)]
            c, (left, asked) = self.rows[cid], self.rest[cid]
            if what <= 3:
                lots = max(1, left * part // 4)
                self.w.fill(c, lots)
                self.fills.append((c, lots, self.w.exec_id))
                self.rest[cid][0] -= lots
                if self.rest[cid][0] == 0:
                    del self.rest[cid]
                    if asked:
                        self.w.cancel_reject(c)
            elif what == 4:
                self.w.ack(c)
            elif what == 5 and not (asked or left < int(c["qty"])):
                del self.rest[cid]
                self.w.reject(c)
            elif what in (6, 7) and (asked or int(c["tif"]) & R.IOC):
                del self.rest[cid]
                self.w.canceled(c)
                if what == 7:  # a fill from before the cancel arrives after it
                    lots = max(1, left * part // 4)
                    self.w.fill(c, lots)
            elif what == 8 and asked:
                self.rest[cid][1] = 0
                self.w.cancel_reject(c)
        self.read()


answers = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9), st.integers(1, 4)), max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n_legs=st.integers(2, 4),
    maker=st.booleans(),
    mins=st.lists(st.integers(1, 6), min_size=4, max_size=4),
    lots=st.lists(st.sampled_from([0.001, 0.002, 0.004]), min_size=4, max_size=4),
    moves=st.lists(st.integers(-60, 60), min_size=4, max_size=4),
    script=answers,
    give_up=st.booleans(),
)
def test_no_lot_is_lost_whatever_the_venues_answer(
    n_legs: int, maker: bool, mins: list, lots: list, moves: list, script: list, give_up: bool
) -> None:
    """Positions = held + residual + in packages after every answer; in the end no order is live, open counts
    are zero, each package is over, and what is unhedged has RESIDUAL rows that add up to the ledger."""
    w = World(n_legs=n_legs, policy=PackagePolicy(max_age_ns=500 * MS, rest_ns=SECOND))
    for i in range(n_legs):
        w.legs[i]["min_lots"], w.legs[i]["lot"] = mins[i], lots[i]
    venue = Venue(w)
    for key in (1, 2):
        k = package_begin(w.orders, key, 0.04, 0 if maker else -1)
        for i in range(n_legs):
            side = 1 if i % 2 == 0 else -1
            package_leg(w.orders, k, i, side, 1.0, 100.02 if side > 0 else 100.0)
        w.ask()
        w.check()
        for n, (pick, what, part) in enumerate(script):
            venue.answer(pick, what, part)
            w.check()
            if n % 5 == 4:
                i = n % n_legs
                w.quote(i, 10_000 + moves[i], 10_002 + moves[i], dt_ns=30 * MS)
                w.wait(50 * MS)
                w.check()
        if give_up:
            cancel(w.orders, key)
            w.ask()
    _settle(w, venue)
    w.check()
    assert not w.live_orders()
    assert int(w.legs["open_buy_lots"].sum()) == int(w.legs["open_sell_lots"].sum()) == 0
    assert int(w.b["n_open_packages"]) == 0
    for i in range(n_legs):
        told = sum(int(row["a"]) for row in w.of_kind(R.RESIDUAL_ROW) if row["leg"] == i and row["code"] != 6)
        rescued = sum(_taken(w, i))
        assert w.residual(i) == told - rescued
    last: dict[int, int] = {}
    for row in w.of_kind(R.PACKAGE_ROW):
        last[int(row["package"])] = int(row["code"])
    assert all(code in (6, 7) for code in last.values()), "each package says how it ended"


def _taken(w: World, leg: int) -> list[int]:
    """Lots that rescue packages took out of the ledger: the first row of each says so."""
    seen: set[int] = set()
    out = []
    for row in w.of_kind(R.PACKAGE_ROW):
        if int(row["package"]) not in seen:
            seen.add(int(row["package"]))
            p = w.b["packages"][int(row["package"]) % R.N_PACKAGES]
            if int(p["id"]) == int(row["package"]) and p["rescue"] > 0 and p["legs"][0]["leg"] == leg:
                out.append(int(p["legs"][0]["side"] * p["legs"][0]["carried"]))
    return out


def _settle(w: World, venue: Venue) -> None:
    """From now on the venues are kind: immediate orders fill, cancels are confirmed, time passes."""
    for _ in range(400):
        venue.read()
        for cid in sorted(venue.rest):
            c, (left, asked) = venue.rows[cid], venue.rest.pop(cid)
            if asked:
                w.canceled(c)
            elif int(c["tif"]) & R.IOC:
                w.fill(c, left)
            else:
                venue.rest[cid] = [left, 0]
        venue.read()
        if not venue.rest and not int(w.b["n_open_packages"]):
            return
        w.wait(500 * MS)
