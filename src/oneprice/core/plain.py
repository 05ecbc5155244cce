"""An event for uncompiled calls.

Payload words of EVENT have several names each, and such a record has no buffer, without which numba cannot
take it as an argument: a helper called from plain Python would refuse it. A plain event has a word a name.
"""

from __future__ import annotations

import numpy as np

from oneprice.core.records import EVENT, record

PLAIN_EVENT = record([(name, EVENT[name].str) for name in EVENT.names or ()])


def plain_event(event: np.ndarray) -> np.record:
    """A record with the values of EVENT[1] under all their names: a copy to read, writes go nowhere."""
    out = np.zeros(1, PLAIN_EVENT)
    for name in PLAIN_EVENT.names or ():
        out[name] = event[name]
    found: np.record = out.view(np.recarray)[0]
    return found
