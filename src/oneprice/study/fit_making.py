"""The calibration behind `oneprice fit market_making`: what a tape says of arrivals, volatility and the microprice.

Each part comes with its interval, its goodness of fit and, where the data cannot carry it, the reason. The whole is
refused when arrivals or volatility are: without them there are no quotes to make. A part that is refused beside those
(microprice, order flow) is left out of the model: quotes then lean on nothing.

`making_estimator` is the same calibration as an estimator of `modes.fit.Fit`: it sees the rows received up to the
request and nothing else. Where they cannot carry a fit its answer is a model of zeros: the strategy withdraws.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError
from oneprice.core.instruments import Instrument
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.signals.intensity.count import JOIN_NS, Counts, count_arrivals
from oneprice.signals.intensity.fit import Intensity
from oneprice.signals.intensity.reach import fit_reaches
from oneprice.signals.quoting.model import QUOTING, pack
from oneprice.signals.quoting.sigma import Sigma, sigma_of
from oneprice.study.making_micro import FlowPart, MicroPart, flow_part, micro_part
from oneprice.study.making_streams import Streams, streams_of

FORMAT, KIND = 1, "quoting"


class Arrivals(msgspec.Struct, frozen=True):
    """What was counted to fit the intensity."""

    prints: int
    distinct: int  # aggressive orders
    inside: int  # that printed nearer than the touch before them
    at_touch: float  # share that stopped at the touch
    unmatched: int
    seconds: float
    median_spread_ticks: float


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The fitted parts of one tape; `refused` is why no model comes of them (empty: one may be used)."""

    tick: float
    arrivals: Arrivals
    intensity: Intensity
    sigma: Sigma
    micro: MicroPart

    @property
    def refused(self) -> str:
        """Reasons, by part."""
        parts = (("intensity", self.intensity.refused), ("volatility", self.sigma.refused))
        return "; ".join(f"{name}: {why}" for name, why in parts if why)

    def values(self, fit_ns: int) -> dict[str, Any]:
        """Values of a QUOTING record. Raises DataError when they are refused."""
        if self.refused:
            raise DataError(f"no model: {self.refused}")
        leans = self.micro.gain > 0.0
        return pack(
            fit_ns=fit_ns, sigma=self.sigma.sigma, arrivals_per_s=self.intensity.arrivals_per_s,
            k_decay=self.intensity.k_decay, gains={"micro": self.micro.gain} if leans else None,
            micro=np.array(self.micro.table) if leans else None,
            skew_cap=self.tick * float(np.abs(self.micro.table).max()) if leans else 0.0,
        )  # fmt: skip


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What one tape says, and what tape it was."""

    leg: str
    digest: str
    period: str
    fit_ns: int
    mid: float  # last
    parts: Parts
    flow: FlowPart

    @property
    def refused(self) -> str:
        """Why there is no model; empty when there is."""
        return self.parts.refused

    def model(self) -> dict[str, Any]:
        """Values of a QUOTING record. Raises DataError when the calibration is refused."""
        return self.parts.values(self.fit_ns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; numbers that are not finite become None."""
        found = msgspec.to_builtins(self)
        intensity, sigma = self.parts.intensity, self.parts.sigma
        found["parts"]["intensity"] |= {
            "arrivals_interval": intensity.arrivals_interval, "k_interval": intensity.k_interval,
        }  # fmt: skip
        found["parts"]["sigma"] |= {"interval": (sigma.low, sigma.high)}
        return dict(_finite(found | {"refused": self.refused}))


def calibrate(
    tape: Tape,
    *,
    near: float | None = None,
    far: float | None = None,
    join_ns: int = JOIN_NS,
    first_ns: int = 0,
) -> Calibration:
    """Calibrate on one tape.

    Parameters
    ----------
    first_ns : only the rows received in the first so many nanoseconds, so that the rest can be quoted on; 0: all.
    near, far : range of distances of the intensity, quote currency; None: chosen (see `signals.intensity.reach`).
    join_ns : prints of one side at most so far apart are one arrival.

    Raises
    ------
    DataError
        The tape has no quotes, no prints, or a mid that does not move.
    """
    tape = first_part(tape, first_ns)
    s = streams_of(tape.events, tape.instrument)
    seen = s.mid[np.isfinite(s.mid)]
    return Calibration(
        leg=tape.leg, digest=tape.digest, period=tape.header.period, fit_ns=s.last_ns,
        mid=float(seen[-1]) if len(seen) else math.nan, parts=_parts(s, join_ns, near, far), flow=flow_part(tape),
    )  # fmt: skip


def first_part(tape: Tape, first_ns: int) -> Tape:
    """The rows received in the first so many nanoseconds; 0: all."""
    if not first_ns:
        return tape
    stamps = tape.events["receive_ns"]
    n = int(np.searchsorted(stamps, int(stamps[0]) + first_ns, side="right"))
    return replace(tape, events=tape.events[:n], exchange_order=None)


def _parts(s: Streams, join_ns: int, near: float | None = None, far: float | None = None) -> Parts:
    counts = counts_of(s, join_ns)
    return Parts(
        tick=s.tick, arrivals=arrivals_of(counts), intensity=fit_reaches(counts, near=near, far=far),
        sigma=sigma_of(s.touch_ns, s.mid), micro=micro_part(s),
    )  # fmt: skip


def counts_of(s: Streams, join_ns: int) -> Counts:
    """Arrivals of the streams of a tape."""
    return count_arrivals(
        s.touch_ns, s.bid, s.ask, s.trade_ns, s.trade_price, s.trade_side, tick=s.tick, join_ns=join_ns
    )


def arrivals_of(c: Counts) -> Arrivals:
    """The facts of the count."""
    n = len(c.reach)
    return Arrivals(
        c.prints, n, c.inside, float(np.mean(c.reach == c.spread)) if n else math.nan, c.unmatched, c.seconds,
        float(np.median(c.spread)) if n else math.nan,
    )  # fmt: skip


def making_estimator(
    instrument: Instrument, *, lookback_s: float = 0.0, leg: int = 0, join_ns: int = JOIN_NS
) -> MakingEstimator:
    """An estimator for `modes.fit.Fit(estimator=..., ...)` of a strategy whose model is QUOTING.

    Parameters
    ----------
    instrument : of the leg that is quoted. leg : its number among the strategy's.
    lookback_s : only what happened in the last so many seconds counts; 0: all since the start. Let `window_ns` of the
        Fit be 0 on depth tapes: a book is built from its snapshot on.
    """
    return MakingEstimator(instrument, lookback_s, leg, join_ns)


class MakingEstimator:
    """Answers a request with the values of a QUOTING record, from the rows received by then and nothing else.

    Where they cannot carry a fit the answer is a model of zeros (`ready` 0), on which strategies withdraw. `refused`
    has the reasons by time of the last row; it is for reports and never read here.
    """

    def __init__(self, instrument: Instrument, lookback_s: float, leg: int, join_ns: int) -> None:
        if not lookback_s >= 0.0:
            raise ConfigError(f"making_estimator: lookback_s: expected 0 or more seconds, got {lookback_s!r}")
        self.instrument, self.lookback_ns = instrument, int(lookback_s * 1e9)
        self.leg, self.join_ns = leg, join_ns
        self.refused: dict[int, str] = {}

    def __call__(self, windows: list[np.ndarray]) -> dict[str, Any]:
        """Values of a QUOTING record; none (zeros) where the fit is refused."""
        events = windows[self.leg]
        at = int(events["receive_ns"][-1]) if len(events) else 0
        try:
            s = streams_of(events, self.instrument)
            if self.lookback_ns:
                s = s.since(int(s.touch_ns[-1]) - self.lookback_ns)
            return _parts(s, self.join_ns).values(at)
        except DataError as error:
            self.refused[at] = str(error)
            return {}


def write_model(found: Calibration, path: str | Path) -> Path:
    """Write the model of a calibration as JSON (whole or not at all); returns the path.

    Raises DataError when the calibration is refused.
    """
    values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.model().items()}
    whole = {"format": FORMAT, "kind": KIND, "strategy": "market_making", "values": values, "fit": found.to_dict()}
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    scratch.write_text(json.dumps(whole, indent=1))
    os.replace(scratch, target)
    return target


class QuotingModel(msgspec.Struct, frozen=True):
    """A model of a file: the leg it was fitted on, the time of the last row it saw, values of a QUOTING record."""

    leg: str
    fit_ns: int
    values: dict[str, Any]

    def fit(self, first_ns: int, *, strategy: int = 0) -> Fit:
        """It as a Fit that puts it in force once, at the first row after both `first_ns` and the end of its own tape.

        A replay of the tape it was fitted on would quote with what it could not have known: `first_ns` at or before
        the last row of the fit is moved behind it.
        """
        values = self.values
        return Fit(
            estimator=lambda windows: values, first_ns=max(first_ns, self.fit_ns), every_ns=1 << 61, latency_ns=1,
            strategy=strategy,
        )  # fmt: skip


def read_quoting(path: str | Path) -> QuotingModel:
    """The quoting model of a file; DataError where it is none (the text says what is wrong)."""
    file = Path(path)
    hint = f"make one with `oneprice fit market_making --tape tapes --out {file}`"
    if not file.is_file():
        raise DataError(f"{file}: no such model; {hint}")
    try:
        found = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not a model ({error}); {hint}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("kind") != KIND:
        raise DataError(f"{file}: expected a quoting model of format {FORMAT}, got something else; {hint}")
    values = found.get("values")
    names = set(QUOTING.names or ())
    if not isinstance(values, dict) or not {"fit_ns", "sigma", "arrivals_per_s", "k_decay"} <= set(values) <= names:
        raise DataError(f"{file}: values: expected words of a quoting model, got {values!r:.80}; {hint}")
    gains = {k.removeprefix("gain_"): v for k, v in values.items() if k.startswith("gain_")}
    rest = {k: v for k, v in values.items() if not k.startswith("gain_") and k != "ready"}
    try:
        packed = pack(gains=gains, **rest)
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: values: expected numbers, got {values!r:.80}; {hint}") from error
    except ConfigError as error:
        raise DataError(f"{file}: values: {error}; {hint}") from error
    return QuotingModel(str(found.get("fit", {}).get("leg", "")), int(packed["fit_ns"]), packed)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
