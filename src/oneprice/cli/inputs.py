"""What verbs read from the command line: tapes, a strategy, fees, latency and limits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oneprice.cli.common import floats, pairs
from oneprice.core.errors import ConfigError, StrategyError, unknown_name

DATA = Annotated[
    str, typer.Argument(help="Folder of tapes, or `synthetic:SEED` for a simulated two-venue world.")
]
LEGS = Annotated[list[str] | None, typer.Option("--leg", help="venue:symbol; repeat for more. None: all.")]
DAYS = Annotated[str | None, typer.Option(help="A day or `first..last`. None: all.")]
STRATEGY = Annotated[str, typer.Option(help="A strategy of this package, or `file.py:name`.")]
SET = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the strategy, name=value; repeat.")
]
FEES = Annotated[
    str | None, typer.Option(help="`MAKER_BP,TAKER_BP` for all legs. None: those of the instruments.")
]
QUEUE = Annotated[
    str | None,
    typer.Option(
        "--queue",
        help="Queue model of every leg: risk_averse (default), prob_log, prob_power, touch, or fifo on tapes that"
        " name their orders.",
    ),
]
LATENCY = Annotated[float, typer.Option("--latency-ms", help="Order latency each way, milliseconds.")]
LIMITS = Annotated[list[str] | None, typer.Option("--limit", help="A limit of the gate, name=value; repeat.")]
SEED = Annotated[int, typer.Option(help="Seed of everything random.")]
MODEL = Annotated[
    Path | None, typer.Option(help="A fitted model (`oneprice fit`): of pairs for prices, of quotes for tapes.")
]
OUT = Annotated[Path | None, typer.Option(help="Folder for the journal. None: nothing is written.")]


def span_of(days: str | None) -> tuple[str | None, str | None]:
    """First and last day of `--days`, both included; (None, None) for all.

    Raises
    ------
    ConfigError
        Not a day or first..last, or the last before the first.
    """
    from datetime import date

    if not days:
        return None, None
    first, dots, last = (part.strip() for part in days.partition(".."))
    last = last if dots else first
    for day in (first, last):
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ConfigError(f"--days {days}: expected a day or first..last as YYYY-MM-DD, got {day!r}") from None
    if last < first:
        raise ConfigError(f"--days {days}: expected first..last, got them reversed; write --days {last}..{first}")
    return first, last


def tapes_of(data: str, legs: list[str] | None = None, days: str | None = None) -> list[Any]:
    """The tapes a verb works on.

    Raises
    ------
    ConfigError, DataError
        No such folder or leg, or `synthetic:` without a number.
    """
    span_of(days)
    if data.startswith("synthetic"):
        from oneprice.market.synthetic import two_venues

        _, _, seed = data.partition(":")
        if seed and not seed.isdigit():
            raise ConfigError(f"data: expected synthetic:SEED with a whole number, got {data!r}")
        return list(two_venues(int(seed or 0)).tapes)
    from oneprice.market.tapeset import open_tapes

    if not Path(data).is_dir():
        raise ConfigError(
            f"data: expected a folder of tapes or synthetic:SEED, got {data!r}; see `oneprice import`"
        )
    return list(open_tapes(data, legs=legs or None, days=days))


def strategy_of(text: str, settings: list[str] | None = None) -> Any:
    """A strategy by name, or from a file of yours as `file.py:name`, with parameters set.

    Raises
    ------
    ConfigError
        The file or the name is not there, or a parameter is misspelt.
    """
    path, colon, name = text.rpartition(":")
    found = _from_file(Path(path), name) if colon else _shipped(text)
    return found(**pairs(settings, what="--set"))


def _shipped(name: str) -> Any:
    from oneprice import strategies

    known = list(strategies.__all__)
    if name not in known:
        raise unknown_name("strategy", name, known)
    return getattr(strategies, name)


def _from_file(path: Path, name: str) -> Any:
    from oneprice.execution.strategy import Strategy

    if not path.is_file():
        raise ConfigError(f"--strategy: expected a file {path}, found none; write it as file.py:name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--strategy: expected a Python file, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        text = (error.text or "").strip()
        raise StrategyError(f"{error.filename}:{error.lineno}: {error.msg}: {text}") from error
    except ImportError as error:
        raise StrategyError(f"{path}: {error}; install it or put it beside the strategy") from error
    known = [k for k, v in vars(module).items() if isinstance(v, Strategy)]
    if name not in known:
        raise unknown_name(f"strategy in {path}", name, known)
    return getattr(module, name)


def is_quoting(strategy: Any) -> bool:
    """Whether a strategy quotes by the rules of `strategies.desk`, so that its quotes can be reported on."""
    return "said" in (strategy.memory.fields or {}) and "requote_ticks" in strategy.names


_TWO_LEGS = ("cross_market", "hedged_making", "latency_arb")


def _need_two(strategy: Any, tapes: list[Any]) -> None:
    """Refuse one tape for a strategy of this package that trades one leg against another."""
    shipped = strategy.function.__module__.startswith("oneprice.strategies")
    if shipped and strategy.name in _TWO_LEGS and len(tapes) < 2:
        legs = ", ".join(t.leg for t in tapes)
        raise ConfigError(f"{strategy.name}: expected tapes of two legs or more, got {legs}; repeat --leg")


def quoting_of(strategy: Any, tapes: list[Any], model: Path | None) -> tuple[Any, list[Any]]:
    """A quoting strategy checked, and the fits that put its model in force; another strategy as it is.

    With a model its own k_decay counts for nothing: there is no quote before the model is in force.

    Raises
    ------
    ConfigError
        Parameters that cannot quote, one leg where two are needed, or a model fitted on all of these tapes or of
        another leg.
    """
    _need_two(strategy, tapes)
    if not is_quoting(strategy):
        return strategy, []
    from oneprice.study.fit_making import read_quoting
    from oneprice.study.making import check_quoting

    if model is None:
        check_quoting(strategy)
        return strategy, []
    if "k_decay" not in strategy.names:
        raise ConfigError(f"--model: {strategy.name} takes no model; set its parameters with --set")
    found, last_ns = read_quoting(model), max(int(t.events["receive_ns"][-1]) for t in tapes)
    quoted = strategy.legs[0] if strategy.legs else tapes[0].instrument.symbol
    if found.leg and found.leg not in (quoted, next((t.leg for t in tapes if t.instrument.symbol == quoted), quoted)):
        raise ConfigError(f"--model: {model} was fitted on {found.leg}, the leg quoted is {quoted}")
    if found.fit_ns >= last_ns:
        raise ConfigError(f"--model: {model} was fitted on all of these tapes: nothing is left to quote on")
    first_ns = max(int(t.events["receive_ns"][0]) for t in tapes)
    chosen = strategy(k_decay=0.0)
    check_quoting(chosen, fitted=True)
    return chosen, [found.fit(first_ns)]


def fees_of(text: str | None) -> Any:
    """`"1,5"` as Fees(maker_bp=1, taker_bp=5); None leaves the instruments' own."""
    from oneprice.core.instruments import Fees

    if text is None:
        return None
    numbers = floats(text, what="--fees")
    if len(numbers) != 2:
        raise ConfigError(f"--fees: expected MAKER_BP,TAKER_BP, got {text!r}; write for example --fees 1,5")
    maker, taker = text.split(",")
    return Fees(maker_bp=maker.strip(), taker_bp=taker.strip())


def fills_of(queue: str | None) -> Any:
    """The fill model with this queue model, None where none was asked for."""
    from oneprice.execution.venue import FillModel

    return None if queue is None else FillModel(queue=queue)


def latency_of(ms: float) -> Any:
    """The same latency each way."""
    from oneprice.execution.latency import constant

    if not 0.0 <= ms < 1e9:
        raise ConfigError(f"--latency-ms: expected milliseconds of 0 or more, got {ms:g}")
    return constant(ms * 1e3, ms * 1e3)


def limits_of(settings: list[str] | None) -> Any:
    """Limits of the gate; what is not named keeps its default."""
    from oneprice.risk.limits import limits_from

    return limits_from(pairs(settings, what="--limit"), "--limit")
