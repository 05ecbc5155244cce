"""`oneprice replay FILE --strategy term_structure`: settlements by the names on a command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from oneprice.core.errors import ConfigError, DataError, unknown_name
from oneprice.core.instruments import Fees
from oneprice.core.records import TOP
from oneprice.market.rates import read_treasury
from oneprice.market.settlement_tapes import HalfSpread
from oneprice.market.settlements import Settlements, read_chain, read_settlements, read_vix
from oneprice.market.spread_tapes import LISTED_HALF, SpreadMarket
from oneprice.market.tape import Tape
from oneprice.modes.fit import Fit
from oneprice.modes.run import Run
from oneprice.risk.limits import Limits
from oneprice.signals.parity.relations import Relation
from oneprice.strategies.term_structure import term_structure
from oneprice.study.term_cash import financed
from oneprice.study.term_compare import WAYS, TwoWays, compare_ways
from oneprice.study.term_file import strips_of, write_strips
from oneprice.study.term_fit import LISTED_SPREAD, Rate, StripRules, fixed
from oneprice.study.term_ladder import relation_ladder
from oneprice.study.term_parts import term_parts
from oneprice.study.term_replay import CAPITAL, FEES, TermRun, replay_term, wide_price

FILES = ("root", "expiries", "rates", "roll_days", "every_days", "capital", "half", "spread_half", "spread_tick")
BOTH = "both"  # ways to trade a spread, beside each other
RULES = tuple(n for n in StripRules.__struct_fields__ if n not in ("roll", "crack", "schwartz_smith"))


def panels_of(data: str | Path, options: Mapping[str, Any]) -> list[Settlements]:
    """Settlements of the roots named (`root=CL`, or `root=RB/HO/CL` for a crack) from a file.

    `root=VX` reads a file by contract; all others a file by place and the table `expiries=`.
    """
    roots = str(options.get("root", "")).split("/")
    if not roots[0]:
        raise ConfigError("replay of settlements: state the root, for example --set root=CL (VX, or RB/HO/CL)")
    if roots == ["VX"]:
        return [read_vix(data)]
    if not options.get("expiries"):
        raise ConfigError("replay of settlements: state the table of expiries, --set expiries=expiry_table.parquet")
    for path in (data, str(options["expiries"])):
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file")
    return [read_settlements(data, read_chain(str(options["expiries"]), root)) for root in roots]


def rate_of(text: Any) -> Rate:
    """A rate a year, or Treasury yields from CSV files joined with `+`. Raises ConfigError when nothing is said."""
    if text is None:
        raise ConfigError("replay of settlements: state what money costs, --set rates=treasury.csv or --set rates=0.03")
    if isinstance(text, int | float):
        return float(text)
    return read_treasury(*str(text).split("+"))


def replay_settings(
    data: str | Path,
    options: Mapping[str, Any],
    *,
    period: tuple[Any, Any] = (None, None),
    fees: Fees | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> TermRun | TwoWays:
    """Replay strips by options: those of FILES, of RULES (fields of `StripRules`), or parameters of the strategy.

    `spread=legs` trades a calendar spread as two contracts, `spread=listed` as the listed spread, `spread=both` shows
    the two beside each other, their journals below OUT/legs and OUT/listed. `half` and `spread_half` are half spreads
    in ticks, of contracts and of listed spreads: one number, or five by place (`1/1/2/4/8`); `spread_tick` is the
    listed spread's own tick.

    Raises ConfigError for a name that is none of them, and as `replay_term`.
    """
    known = (*FILES, *RULES, *term_structure.names)
    for name in options:
        if name not in known:
            raise unknown_name("setting of term_structure", name, list(known))
    picked: dict[str, Any] = {name: options[name] for name in RULES if name in options}
    picked["roll"] = {"days": _number(options, "roll_days", 5, whole=True)}
    both = picked.get("spread") == BOTH
    if both:
        picked["spread"] = LISTED_SPREAD  # checked as such: both ways need what the listed one needs
    elif "spread" in picked and picked["spread"] not in WAYS:
        raise unknown_name("way to trade a spread", str(picked["spread"]), [*WAYS, BOTH])
    every, capital = _number(options, "every_days", 7, whole=True), _number(options, "capital", CAPITAL)
    try:
        rules = msgspec.convert(picked, StripRules, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong_type(picked, error) from None
    panels, rate = panels_of(data, options), rate_of(options.get("rates"))
    own = {name: options[name] for name in term_structure.names if name in options}
    filling = {"slip_bp": 5_000.0, "slip_price": wide_price(panels), "participation": 1.0, **own}
    how: dict[str, Any] = {
        "rules": rules, "rate": rate, "half_spread": _half(options, "half", HalfSpread()), "market": _market(options),
        "fees": fees or FEES, "strategy": term_structure(**filling), "period": period, "every_days": int(every),
        "limits": limits, "seed": seed, "progress": progress, "capital": capital,
    }  # fmt: skip
    return (compare_ways if both else replay_term)(panels, out=out, **how)


def _half(options: Mapping[str, Any], name: str, usual: HalfSpread) -> HalfSpread:
    """Half spreads by place as told, else the usual. Raises ConfigError for what is neither one number nor five."""
    if name not in options:
        return usual
    told = [_plain(part) for part in str(options[name]).split("/")]
    many = len(usual.places) + 1
    if len(told) not in (1, many) or not all(value >= 0 for value in told):
        raise ConfigError(
            f"setting {name}: expected ticks of 0 or more, one number or {many} with / between them, "
            f"got {options[name]!r}"
        )
    return msgspec.structs.replace(usual, by_place=tuple(told) if len(told) == many else tuple(told) * many)


def _market(options: Mapping[str, Any]) -> SpreadMarket:
    tick = _number(options, "spread_tick", 0.01) if "spread_tick" in options else 0.0
    return SpreadMarket(tick=tick, half_spread=_half(options, "spread_half", LISTED_HALF))


def _plain(text: str) -> float:
    """A finite number; NaN for another text."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _wrong_type(picked: Mapping[str, Any], error: msgspec.ValidationError) -> ConfigError:
    """A setting of another type: its name, what it takes with an example, what came."""
    name = str(error).rpartition("$.")[2].rstrip("`")
    usual = {f.name: f.default for f in msgspec.structs.fields(StripRules)}.get(name)
    if name not in picked or not isinstance(usual, bool | int | float | str):
        return ConfigError(f"settings of strips: {error}")
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}[type(usual)]
    example = str(usual).lower() if isinstance(usual, bool) else usual
    return ConfigError(f"setting {name}: expected {words}, got {picked[name]!r}; write --set {name}={example}")


def _number(options: Mapping[str, Any], name: str, default: float, *, whole: bool = False) -> float:
    """An option above 0, a whole number where it must be. Raises ConfigError for anything else."""
    told = options.get(name, default)
    try:
        value = float(told)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0) or (whole and value != int(value)):
        raise ConfigError(f"setting {name}: expected a {'whole ' if whole else ''}number above 0, got {told!r}")
    return int(value) if whole else value


def read_relations(path: str | Path) -> list[Relation]:
    """Relations of a JSON file (a list of objects with the fields of `Relation`). Raises DataError for another file."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file}: no such file; write a list of relations as JSON")
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Relation])
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise DataError(f"{file}: not a list of relations ({error})") from error


def write_relations(relations: list[Relation], path: str | Path) -> Path:
    """The file that `read_relations` reads."""
    target = Path(path)
    target.write_bytes(msgspec.json.format(msgspec.json.encode(relations)))
    return target


def tapes_with_cash(path: str | Path, tapes: Sequence[Tape]) -> list[Tape]:
    """The tapes with interest on the spots whose relations in the file state their cash."""
    return financed(tapes, read_relations(path))


def parts_on_tapes(path: str | Path, run: Run, tapes: list[Tape], out: str | Path | None) -> dict[str, Any]:
    """The trades of a run of the relations of a file split by parts, also as `strips.json`.

    A future or perpetual is held against its own relation's first leg. Empty where a relation is a spread, which has
    no such leg, for legs of several currencies, and for tapes of whole books, which have no rows of quotes to read the
    marks from.
    """
    relations = read_relations(path)
    tied = all(r.kind in ("carry", "perpetual") for r in relations)
    quoted = all((t.events["kind"] == TOP).any() for t in tapes)
    if not (relations and tied and quoted) or len(set(run.engine.scales.currencies)) > 1:
        return {}
    kinds = "/".join(sorted({r.kind for r in relations}))
    spot = next(t for t in tapes if t.instrument.symbol == relations[0].symbols[0])
    parts = term_parts(run, tapes, relation_ladder(tapes, relations))
    found = strips_of(parts, kinds, "relations as told", spot.header.claim_why)
    if out is not None:
        write_strips(found, out)
    return found


def relations_fit(path: str | Path, tapes: list[Any]) -> Fit:
    """A fit that puts the relations of a file in force from the first moment at which all legs have data."""
    symbols = [t.instrument.symbol for t in tapes]
    first = max(int(t.events["receive_ns"][0]) for t in tapes)
    return Fit(estimator=fixed(read_relations(path), symbols), first_ns=first, every_ns=1 << 61, latency_ns=1)
