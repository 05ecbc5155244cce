"""What every verb shares: one way to print results, one way to fail, one progress bar."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from oneprice.cli.options import VERBS, in_options
from oneprice.core.errors import ConfigError, OnePriceError

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
SHOW_BAR_AFTER_S = 2.0
PIPE_WIDTH = 132  # of tables that go to a file
EXIT_FAIL, EXIT_ERROR, EXIT_INTERRUPT = 1, 2, 130


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an OnePriceError into one message on stderr and exit status 2.

    With `--json` the error is also an object on stdout. Any other exception is a bug and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except OnePriceError as error:
            if function.__name__ in VERBS:
                error = type(error)(in_options(str(error), function))
            fail(error, as_json=bool(kwargs.get("as_json")))
        except KeyboardInterrupt:
            typer.echo("stopped by Ctrl-C", err=True)
            raise typer.Exit(EXIT_INTERRUPT) from None

    return wrapped


def fail(error: OnePriceError, *, as_json: bool) -> NoReturn:
    """Print the error once and leave with status 2."""
    name = type(error).__name__
    if as_json:
        print_json({"error": name, "message": str(error)})
    typer.echo(f"{name}: {error}", err=True)
    raise typer.Exit(EXIT_ERROR)


def print_json(value: Any) -> None:
    """One JSON object, then a line end. NaN and infinity become null; arrays become lists."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(_finite(value), enc_hook=_plain).decode() + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _finite(value.to_dict())
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"cannot write {type(value).__name__} as JSON")


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table on stdout; numbers are right aligned. Wide cells wrap rather than vanish."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(r[i], int | float) for r in rows)
        justify: Any = "right" if numeric else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(_cell(v) for v in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "–" if not math.isfinite(value) else f"{value:,.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    from rich.markup import escape

    return escape(str(value))


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[float, float], None]]:
    """A bar on stderr that appears only after two seconds: call the yielded function with (done, total).

    A total of 0 shows a moving bar: the amount of work is not known.
    """
    if quiet:
        yield lambda done, total: None
        return
    import time

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    start = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=None)
    shown = False

    def update(done: float, total: float) -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > SHOW_BAR_AFTER_S:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total or None)

    try:
        yield update
    finally:
        if shown:
            bar.stop()


def pairs(values: list[str] | None, *, what: str) -> dict[str, Any]:
    """`["edge_bp=4", "qty=0.1"]` as `{"edge_bp": 4, "qty": 0.1}`; anything else is refused with the fix."""
    out: dict[str, Any] = {}
    for text in values or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{what}: expected name=value, got {text!r}; write {what} edge_bp=4")
        out[name.strip()] = number(value.strip())
    return out


def grid(values: list[str] | None, *, what: str) -> dict[str, list[Any]]:
    """`["edge_bp=1,2,4"]` as `{"edge_bp": [1, 2, 4]}`."""
    out: dict[str, list[Any]] = {}
    for text in values or []:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ConfigError(f"{what}: expected name=v1,v2,..., got {text!r}; write {what} edge_bp=1,2,4")
        out[name.strip()] = [number(v.strip()) for v in value.split(",")]
    return out


def page_told(path: Path, *, what: str = "--page") -> str:
    """What to say once a page is written to `path`; the page's writer makes a missing folder.

    Raises ConfigError before any work is done where no file can be: the path is a folder, or a file is in its way.
    """
    if path.is_dir():
        raise ConfigError(f"{what}: expected a file such as {path / 'page.html'}, got the folder {path}")
    above = next((p for p in path.parents if p.exists()), Path("."))
    if not above.is_dir():
        raise ConfigError(f"{what}: expected a folder above {path}, but {above} is a file: choose another place")
    new = "" if path.parent.is_dir() else f" (made the folder {path.parent})"
    return f"wrote {path}{new}"


def floats(text: str, *, what: str) -> list[float]:
    """`"0,1,10"` as `[0.0, 1.0, 10.0]`."""
    try:
        return [float(v) for v in text.split(",") if v.strip()]
    except ValueError as error:
        raise ConfigError(f"{what}: expected numbers separated by commas, got {text!r}") from error


def number(text: str) -> Any:
    """An int where it is one, a float where it is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
