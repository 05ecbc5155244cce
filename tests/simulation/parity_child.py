"""One process of the million-event parity test: prints the digests of what it computed, as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile

from test_parity import LATENCY, stepped, tapes

from oneprice.modes.replay import replay
from oneprice.modes.rerun import rerun
from oneprice.strategies.cross_market import cross_market


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def main(minutes: float) -> None:
    """Simulate, step from Python, rerun compiled; each gives commands and state bytes."""
    chosen = tapes(minutes, seed=17)
    strategies = [cross_market, cross_market(edge_bp=1.0, k_sigma=2.0)]
    with tempfile.TemporaryDirectory() as folder:
        run = replay(strategies, chosen, latency=LATENCY, out=folder)
        again = rerun(folder, tapes=chosen, strategies=strategies)
    state, commands = stepped(chosen, run, strategies)
    found = {
        "rows": sum(len(t) for t in chosen),
        "commands": len(run.commands()),
        "fills": len(run.fills()),
        "closes": run.closes(),
        "simulated": [sha(run.commands().tobytes()), sha(run.engine.arena.snapshot())],
        "rerun": [sha(again.run.commands().tobytes()), sha(again.run.engine.arena.snapshot())],
        "stepped": [sha(commands.tobytes()), sha(state)],
        "events": sha(run.events.tobytes()),
        "rows_out": sha(run.rows.tobytes()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(float(sys.argv[1]))
