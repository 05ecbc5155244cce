"""Trade a futures strip that pays more than full carry, on settlements made here, and split what came of it."""

from __future__ import annotations

from oneprice.study.term_replay import replay_term
from oneprice.study.term_worlds import RATE, RULES, replay_world, score, world_of


def main() -> None:
    """One made world: planted violations are traded, parts sum to the ledger, and no P&L is claimed."""
    world = world_of(3)
    done = replay_term(world.panels[0], rules=RULES, rate=RATE)
    print(done)
    assert done.parts.exact and done.run.closes() == 0
    _, trades = replay_world(world, confirm=2)
    found = score(world, trades)
    print(f"\nconfirmed twice: recall {found.recall:.2f}, precision {found.precision:.2f} of {found.planted} planted")
    assert found.recall > 0.5


if __name__ == "__main__":
    main()
