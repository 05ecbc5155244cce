"""Import quotes from a CSV of yours: name the columns, say what the instrument is, and get a checked tape."""

from __future__ import annotations

import tempfile
from pathlib import Path

import oneprice as op
from oneprice.market.importers import import_files

ROWS = """when,bid,bid_size,ask,ask_size
1700000000000,100.10,3,100.20,5
1700000000250,100.10,2,100.20,5
1700000000900,100.20,4,100.30,1
"""


def main() -> None:
    """Three quotes in milliseconds become three events; a price off the tick is refused with its row."""
    instrument = op.Instrument(
        symbol="alpha:X",
        underlying="X",
        quote="USD",
        tick="0.1",
        lot="1",
        fees=op.Fees(maker_bp=0, taker_bp=1),
    )
    columns = {"time": "when", "bid": "bid", "bid_qty": "bid_size", "ask": "ask", "ask_qty": "ask_size"}
    how = {"format": "quotes", "instrument": instrument, "columns": columns, "time_unit": "ms"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "q.csv").write_text(ROWS)
        import_files([folder / "q.csv"], folder / "tapes", **how)
        tape = op.tape(folder / "tapes")["alpha:X"]
        print(f"{len(tape)} events, first bid {int(tape.events['bid'][0])} ticks")
        assert len(tape) == 3 and int(tape.events["bid"][0]) == 1001

        (folder / "bad.csv").write_text(ROWS.replace("100.30", "100.33"))
        try:
            import_files([folder / "bad.csv"], folder / "more", **how)
        except op.errors.DataError as error:
            print(error)
            assert "bad.csv" in str(error) and not (folder / "more").exists()


if __name__ == "__main__":
    main()
