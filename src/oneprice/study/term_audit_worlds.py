"""Made strips of an index whose dividends fall between expiries: does the audit leave them alone and find the rest?

A dividend that goes ex between two last trades lowers the later contract by its value: to an audit that does not know
of it, a contract below its band. That is the decoy; planted are contracts moved beyond their band for some settlements.
Run as a program it prints both audits of many worlds.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from oneprice.market.chains import DAYS_A_YEAR, TWO_SIDED, make_chain
from oneprice.market.header import Header
from oneprice.market.settlements import settlements
from oneprice.study.term_audit import CarryTerms, TermAudit, audit_strip
from oneprice.study.term_audit_cash import Payments
from oneprice.study.term_audit_sources import DAY_NS, Panel, settled

RATE, N_DAYS, MONTH, PLACES, VIOLATIONS = 0.03, 250, 30, 8, 6
TERMS = CarryTerms(rate=RATE, borrow_bp=50.0, lend_bp=25.0, storage=0.0, margin=0.06, margin_rate=0.02)
ABOUT = Header("simulated", "own", "made", "not stated", "one settlement a day", "all", 1, False, "simulated")


class Violation(msgspec.Struct, frozen=True):
    """A contract moved beyond its band on settlements from `first` to `last` (days)."""

    contract: str
    first: int
    last: int


class DividendWorld(msgspec.Struct, frozen=True, eq=False):
    """Settlements of a strip, what the index pays, what was planted, and how many contract-days have a dividend between
    them and the contract before them.
    """

    panel: Panel
    paid: Payments
    truth: tuple[Violation, ...]
    between: int


class DividendScore(msgspec.Struct, frozen=True):
    """Episodes of an audit against truth: planted ones found, episodes of something planted, and of nothing."""

    planted: int
    found: int
    right: int
    wrong: int

    @property
    def precision(self) -> float:
        """Share of episodes that are of something planted."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else math.nan

    @property
    def recall(self) -> float:
        """Share of what was planted that has an episode."""
        return self.found / self.planted if self.planted else math.nan


def dividend_world(seed: int, violations: int = VIOLATIONS) -> DividendWorld:
    """One world: an index on a random walk, a dividend of 0.3 to 1 % every five to nine weeks, monthly contracts."""
    rng = np.random.default_rng(seed)
    days = np.array([d for d in range(4, 4 + N_DAYS) if d % 7 < 5], np.int64)
    chain = make_chain("XX", [20 + MONTH * k for k in range(N_DAYS // MONTH + PLACES + 2)], boundary=TWO_SIDED)
    ends = chain.last_trade_days
    ex = np.cumsum(rng.integers(35, 64, 20))
    ex = ex[ex < ends[-1]].astype(np.int64)
    amounts = np.round(100.0 * rng.uniform(0.003, 0.01, len(ex)), 2)
    spot = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.008, len(days))))
    years = (ends[None, :] - days[:, None]) / DAYS_A_YEAR
    owed = np.zeros_like(years)
    for day, amount in zip(ex.tolist(), amounts.tolist(), strict=True):
        ahead = (day - days) / DAYS_A_YEAR
        owed += np.where((ahead > 0)[:, None] & (ends >= day)[None, :], (amount * np.exp(-RATE * ahead))[:, None], 0.0)
    price = (spot[:, None] - owed) * np.exp(RATE * years) + rng.normal(0.0, 0.01, years.shape)
    truth = []
    for start in np.linspace(10, len(days) - 20, violations).astype(int).tolist():
        at = int(chain.first_on(int(days[start + 6]))) + int(rng.integers(1, PLACES - 2))
        length, up = int(rng.integers(3, 7)), 1.0 if rng.random() < 0.5 else -1.0
        price[start : start + length, at] += up * rng.uniform(0.6, 1.5)
        truth.append(Violation(chain.contracts[at].symbol, int(days[start]), int(days[start + length - 1])))
    price[years < 0] = np.nan
    t, j = np.nonzero(np.isfinite(price))
    symbols = [chain.contracts[i].symbol for i in j]
    table = settlements(chain, days[t], symbols, np.round(price[t, j], 2), header=ABOUT)
    panel = settled(table, places=PLACES)
    last = np.where(panel.key >= 0, ends[np.maximum(panel.key, 0)], -1)
    gone = np.searchsorted(ex, last, side="right")
    between = int((np.diff(gone, axis=1) > 0).sum())
    return DividendWorld(panel, Payments(ex, amounts, "made"), tuple(truth), between)


def audited(world: DividendWorld, *, told: bool) -> TermAudit:
    """The audit of a world, told of its dividends or not."""
    return audit_strip(world.panel, TERMS, dividends=world.paid if told else None)


def dividend_score(world: DividendWorld, audit: TermAudit) -> DividendScore:
    """Episodes that touch a planted violation on its days, at its contract or at the one that it bounds, are right."""
    names = list(world.panel.names)
    hit: set[int] = set()
    right = wrong = 0
    for row in audit.rows:
        first, last = (int(world.panel.time_ns[int(row[k])] // DAY_NS) for k in ("first", "last"))
        mine = [
            i for i, v in enumerate(world.truth)
            if v.first <= last and first <= v.last and int(row["key"]) - names.index(v.contract) in (0, 1)
        ]  # fmt: skip
        hit.update(mine)
        right += bool(mine)
        wrong += not mine
    return DividendScore(len(world.truth), len(hit), right, wrong)


def dividend_table(n_worlds: int = 20, seed: int = 0) -> dict[str, DividendScore]:
    """Scores over many worlds: `told` of the dividends, and `untold`."""
    out = {}
    for name in ("told", "untold"):
        made = [dividend_world(seed + k) for k in range(n_worlds)]
        scores = [dividend_score(w, audited(w, told=name == "told")) for w in made]
        out[name] = DividendScore(*(sum(getattr(s, f) for s in scores) for f in DividendScore.__struct_fields__))
    return out


if __name__ == "__main__":
    for name, score in dividend_table().items():
        print(f"{name}: {score}, precision {score.precision:.3f}, recall {score.recall:.3f}")
