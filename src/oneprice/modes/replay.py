"""Replay a strategy over tapes through the whole engine: simulated venues, gate, ledger, journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from oneprice.core.errors import ConfigError, DataError, StrategyError, unknown_name
from oneprice.core.instruments import Fees, Instrument
from oneprice.core.manifest import Manifest, TapeEntry, manifest, strategy_entry
from oneprice.core.records import EVENT, OPERATOR
from oneprice.engine.loop import Loop, run
from oneprice.engine.simulate import ROWS_AN_EVENT
from oneprice.engine.state import Engine, Settings, build
from oneprice.execution.latency import Latency, check_feed_latency
from oneprice.execution.package import PackagePolicy
from oneprice.execution.queue import need_stamps
from oneprice.execution.strategy import Strategy
from oneprice.execution.venue import ExchangeHalf, FillModel, build_exchange
from oneprice.market.quality import gap_warning
from oneprice.market.tape import Tape, join_events
from oneprice.modes.fit import Fit, Fitter, fits_dict
from oneprice.modes.run import Run
from oneprice.modes.store import Store
from oneprice.risk.limits import Limits

SAMPLES = 2_000
GRACE_NS = 5_000_000_000  # after the last market row: answers in flight still arrive, timers still fire


def replay(
    strategy: Strategy | Sequence[Strategy],
    tapes: Sequence[Tape],
    *,
    latency: Latency | Mapping[str, Latency],
    limits: Limits | None = None,
    fees: Fees | Mapping[str, Fees] | None = None,
    settings: Settings | None = None,
    policy: PackagePolicy | None = None,
    fills: FillModel | Mapping[str, FillModel] | None = None,
    fits: Sequence[Fit] = (),
    seed: int = 0,
    operator: np.ndarray | None = None,
    out: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Replay one strategy, or several in one engine, over tapes (one a leg).

    Parameters
    ----------
    fees : one for all legs, or by symbol; they replace those of the instruments. Fees are required somewhere.
    latency : one for all venues, or by symbol; both ways.
    fits : estimators that run off the hot path, on a schedule or on request, and come back as model-update events.
    operator : EVENT[n] of the operator, sorted by receive_ns.
    out : folder for `journal.op` and `manifest.json`; nothing is written without it.

    Raises
    ------
    ConfigError, DataError before anything is folded; StrategyError with the line that raised.
    """
    chosen, engine, half, text = opened(
        strategy,
        tapes,
        latency=latency,
        limits=limits,
        fees=fees,
        settings=settings,
        policy=policy,
        fills=fills,
        fits=fits,
        seed=seed,
        mode="replay",
    )
    ext = operator_words(operator)
    fitter = Fitter(fits, chosen, engine)
    loop = Loop(engine, tape_table(chosen), ext, exchange=half, keep=chosen)
    store = Store(out, text, engine)
    loop.drive["end_ns"] = last_ns(chosen) + GRACE_NS
    if fits:
        loop.drive["pause_ns"] = fitter.next_ns
        loop.drive["fit_requests"] = 0 if fitter.takes_requests else -1
    try:
        run(loop, store.drain, on_fit=fitter.fit, progress=progress)
    except StrategyError:
        store.finish(engine, loop.cursor, 0)  # the journal ends at the fault and can be rerun up to it
        raise
    except BaseException:
        store.abandon()
        raise
    n_market = int(loop.drive[0]["n_market"])
    store.finish(engine, loop.cursor, n_market)
    extra = {"fits": fitter.counts()} if fits else {}
    return Run(engine, text, store.rows(), store.events(), n_market, store.folder, half, extra)


def operator_words(given: np.ndarray | None) -> np.ndarray:
    """The operator's events, checked: EVENT[n] of kind OPERATOR, in time order."""
    if given is None:
        return np.zeros(0, EVENT)
    if given.dtype != EVENT or given.ndim != 1:
        raise DataError(f"operator: expected a one-dimensional EVENT array, got {given.dtype}")
    for bad, what in (
        (np.flatnonzero(given["kind"] != OPERATOR), "kind OPERATOR (22)"),
        (1 + np.flatnonzero(np.diff(given["receive_ns"]) < 0), "receive_ns not before the row before"),
    ):
        if len(bad):
            raise DataError(f"operator, row {bad[0]}: expected {what}, got {given[bad[0]]}")
    return given


def opened(
    strategy: Strategy | Sequence[Strategy],
    tapes: Sequence[Tape],
    *,
    latency: Latency | Mapping[str, Latency],
    limits: Limits | None,
    fees: Fees | Mapping[str, Fees] | None,
    settings: Settings | None,
    policy: PackagePolicy | None,
    fills: FillModel | Mapping[str, FillModel] | None,
    seed: int,
    mode: str,
    fits: Sequence[Fit] = (),
) -> tuple[list[Tape], Engine, ExchangeHalf, Manifest]:
    """What replay and paper begin with: tagged tapes, the engine, its simulated venues, the manifest."""
    strategies = (strategy,) if isinstance(strategy, Strategy) else tuple(strategy)
    chosen = tagged(tapes)
    bounds = limits or Limits()
    engine = engine_for(chosen, strategies, limits=bounds, fees=fees, settings=settings, policy=policy)
    half = venues_for(engine, chosen, latency, fills)
    text = describe(
        engine,
        chosen,
        limits=bounds,
        latency=latency,
        policy=policy,
        settings=settings,
        seed=seed,
        mode=mode,
        fills=fills,
        fits=fits,
    )
    return chosen, engine, half, text


def engine_for(
    tapes: Sequence[Tape],
    strategies: Sequence[Strategy],
    *,
    limits: Limits,
    fees: Fees | Mapping[str, Fees] | None = None,
    settings: Settings | None = None,
    policy: PackagePolicy | None = None,
) -> Engine:
    """The engine a set of tapes asks for: instruments with fees, clocks, sample period, price bounds."""
    if not tapes:
        raise ConfigError("tapes: expected at least one, got none: import data first (oneprice import)")
    instruments = [with_fees(tape.instrument, fees) for tape in tapes]
    known = [one.symbol for one in instruments]
    if isinstance(fees, Mapping):
        for symbol in fees:
            if symbol not in known:
                raise unknown_name("symbol in fees", symbol, known)
    first = min(int(t.events["receive_ns"][0]) for t in tapes)
    last = last_ns(tapes)
    use = settings or Settings()
    if use.sample_ns < 0:
        raise ConfigError(
            f"settings.sample_ns: expected 0 (2,000 samples a run) or more, got {use.sample_ns}"
        )
    if use.sink_rows <= ROWS_AN_EVENT:
        raise ConfigError(
            f"settings.sink_rows: expected more than {ROWS_AN_EVENT} (room for one event),"
            f" got {use.sink_rows}"
        )
    use = replaced(
        use,
        clocks={t.instrument.symbol: (t.clock_offset_ns, t.clock_bound_ns) for t in tapes},
        sample_ns=use.sample_ns or max(1, (last - first) // SAMPLES),
    )
    engine = build(instruments, strategies, limits=limits, policy=policy, settings=use)
    engine.state["next_sample_ns"] = first
    return engine


def venues_for(
    engine: Engine,
    tapes: Sequence[Tape],
    latency: Latency | Mapping[str, Latency],
    fills: FillModel | Mapping[str, FillModel] | None,
    floor_ns: int = 0,
) -> ExchangeHalf:
    """The simulated venues of an engine; a leg whose data arrive before its venue had them is refused."""
    for tape in tapes:
        check_feed_latency(tape.events, tape.clock_offset_ns, floor_ns, leg=tape.instrument.symbol)
    symbols = list(engine.scales.symbols)
    each = _by_symbol("latency", latency, symbols)
    models = _by_symbol("fills", fills if fills is not None else FillModel(), symbols)
    for tape, model in zip(tapes, models, strict=True):
        need_stamps(model.queue, tape.header.depth, tape.instrument.symbol)
    widths = [one.book_log2 for one in engine.instruments]
    return build_exchange(engine.legs(), each, models, book_log2=widths)


def _by_symbol(name: str, given: Any, symbols: list[str]) -> list[Any]:
    """One value a leg from one for all or a mapping by symbol, which must name each."""
    if not isinstance(given, Mapping):
        return [given] * len(symbols)
    for symbol in given:
        if symbol not in symbols:
            raise unknown_name(f"symbol in {name}", symbol, symbols)
    missing = [symbol for symbol in symbols if symbol not in given]
    if missing:
        raise ConfigError(f"{name}: expected one for each leg, none for {', '.join(missing)}")
    return [given[symbol] for symbol in symbols]


def last_ns(tapes: Sequence[Tape]) -> int:
    """Receive time of the last market row."""
    return max(int(t.events["receive_ns"][-1]) for t in tapes)


def with_fees(instrument: Instrument, fees: Fees | Mapping[str, Fees] | None) -> Instrument:
    """The instrument with the fees given for it, if any."""
    own = fees.get(instrument.symbol) if isinstance(fees, Mapping) else fees
    return instrument if own is None else msgspec.structs.replace(instrument, fees=own)


def tagged(tapes: Sequence[Tape]) -> list[Tape]:
    """The tapes with rows tagged by their leg; rows tagged otherwise are copied, the caller's stay."""
    out = []
    for i, tape in enumerate(tapes):
        if (tape.events["leg"] != i).any():
            events = join_events([tape.events])
            events["leg"] = i
            tape = replaced(tape, events=events)
        out.append(tape)
    return out


def tape_table(tapes: Sequence[Tape]) -> np.ndarray:
    """int64 (n_legs, 4) as the kernels take it: rows, how many, exchange order or 0, first row.

    Rows are tagged by leg.
    """
    table = np.zeros((len(tapes), 4), np.int64)
    for i, tape in enumerate(tapes):
        events = tape.events
        if len(events) and (events["leg"] != i).any():
            events["leg"] = i  # copy on write: the file is not touched
        order = tape.exchange_order
        table[i] = (events.ctypes.data, len(events), order.ctypes.data if order is not None else 0, 0)
    return table


def describe(
    engine: Engine,
    tapes: Sequence[Tape],
    *,
    limits: Limits,
    latency: Any,
    policy: PackagePolicy | None,
    settings: Settings | None,
    seed: int,
    mode: str,
    fills: FillModel | Mapping[str, FillModel] | None = None,
    fits: Sequence[Fit] = (),
) -> Manifest:
    """The manifest of a run about to start."""
    return manifest(
        mode=mode,
        seed=seed,
        extra={
            "settings": asdict(settings or Settings()),
            "policy": msgspec.to_builtins(policy or PackagePolicy()),
            "sample_ns": int(engine.state["sample_ns"]),
            "fills": fills_dict(fills),
            "fits": fits_dict(fits),
            "warnings": [text for text in map(gap_warning, tapes) if text],
            "report_currency": engine.scales.currencies[int(engine.state["ledger"]["report"])],
        },
        strategies=[
            strategy_entry(s.name, s.parameters, s.source, s.memory, exit=s.exit, legs=list(legs))
            for s, legs in zip(engine.strategies, engine.legs_of_strategy, strict=True)
        ],
        legs=[msgspec.to_builtins(one) for one in engine.instruments],
        scales=dict(zip(engine.scales.currencies, engine.scales.scale, strict=True)),
        tapes=[
            TapeEntry(i, str(t.path or ""), t.digest, len(t.events), t.clock_offset_ns, t.clock_bound_ns)
            for i, t in enumerate(tapes)
        ],
        latency=latency_dict(latency),
        limits=msgspec.to_builtins(limits),
        layout_digest=engine.layout_digest(),
        headers=[msgspec.to_builtins(t.header) for t in tapes],
    )


def latency_dict(latency: Any) -> dict[str, Any]:
    """Latency as plain values, by symbol or under `all`."""
    return _plain(latency)


def fills_dict(fills: FillModel | Mapping[str, FillModel] | None) -> dict[str, Any]:
    """Fill models as plain values, by symbol or under `all`."""
    return _plain(fills if fills is not None else FillModel())


def _plain(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {symbol: msgspec.to_builtins(one) for symbol, one in given.items()}
    return {"all": msgspec.to_builtins(given)}


def venues_of(text: Manifest, engine: Engine, tapes: Sequence[Tape]) -> ExchangeHalf:
    """The simulated venues that a manifest describes, with nothing sent to them yet."""
    latency = {name: msgspec.convert(one, Latency) for name, one in text.latency.items()}
    fills = {name: msgspec.convert(one, FillModel) for name, one in text.extra["fills"].items()}
    return venues_for(engine, tapes, latency.get("all", latency), fills.get("all", fills))
