"""The architecture as the code says it: folders, imports, the fold's WIRING and its calls in order.

Everything is read from source text, so a picture can be drawn without compiling or importing the engine.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from oneprice.core.errors import DataError

PACKAGE = Path(__file__).resolve().parents[1]
FOLD_FILE = "engine/local.py"


@dataclass(frozen=True)
class Step:
    """One call that a handler of the fold makes into another room."""

    room: str
    call: str  # module.function


@dataclass(frozen=True)
class Handler:
    """A branch of the fold: its function, what it is for, and its calls in the order of the text."""

    name: str
    purpose: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Architecture:
    """What the pictures are drawn from."""

    flow: tuple[tuple[str, str, str], ...]  # (from, to, what)
    handlers: tuple[Handler, ...]
    rooms: dict[str, str]  # room -> what it is for
    imports: dict[str, set[str]]  # room -> rooms that it imports


def read_architecture(package: Path = PACKAGE) -> Architecture:
    """Read folders, imports and wiring from the source under `package`.

    Raises
    ------
    DataError
        The fold's file has no WIRING of (from, to, what) tuples.
    """
    path = package / FOLD_FILE
    tree = ast.parse(path.read_text(), str(path))
    return Architecture(wiring_of(tree, str(path)), handlers_of(tree), rooms_of(package), imports_of(package))


def wiring_of(tree: ast.Module, where: str) -> tuple[tuple[str, str, str], ...]:
    """The literal value of WIRING in a module."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(t, ast.Name) and t.id == "WIRING" for t in targets):
            return tuple((str(a), str(b), str(c)) for a, b, c in ast.literal_eval(node.value))
    raise DataError(f"{where}: expected WIRING, a tuple of (from, to, what); there is none")


def handlers_of(tree: ast.Module) -> tuple[Handler, ...]:
    """The functions that `fold` calls, each with its calls into other rooms in the order of the text.

    A helper of the file that several of them share is a card of its own, named as a step by its callers.
    """
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    if "fold" not in functions:
        return ()
    rooms = _rooms_of_names(tree)
    reach = {name: _reached(name, functions) for name in functions}
    top = _local_calls(functions["fold"], functions)
    users = {name: sum(name in reach[t] for t in top) for name in functions}
    shared = [n for n in functions if users[n] > 1 and n not in top and _direct(functions[n], rooms)]
    out = []
    for name in ["fold", *top, *shared]:
        steps = _steps(functions[name], functions, rooms, set(top) | set(shared) | {"fold"})
        purpose = (ast.get_docstring(functions[name]) or "").split("\n")[0].rstrip(".")
        out.append(Handler(name, purpose, tuple(dict.fromkeys(steps))))
    return tuple(h for h in out if h.steps)


def _reached(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for other in _local_calls(functions[waiting.pop()], functions):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def _direct(function: ast.FunctionDef, rooms: dict[str, str]) -> bool:
    """Whether a function itself calls into another room or calls a strategy."""
    return bool(_steps(function, {}, rooms, set()))


def _rooms_of_names(tree: ast.Module) -> dict[str, str]:
    """Imported module name -> room, e.g. `gate` -> `risk`."""
    out = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("oneprice."):
            parts = node.module.split(".")
            for alias in node.names:
                if parts[1] != "core":
                    out[alias.asname or alias.name] = parts[1]
    return out


def _calls(function: ast.FunctionDef) -> list[ast.Call]:
    found = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))


def _local_calls(function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> list[str]:
    names = [c.func.id for c in _calls(function) if isinstance(c.func, ast.Name) and c.func.id in functions]
    return list(dict.fromkeys(names))


def _steps(
    function: ast.FunctionDef, functions: dict[str, ast.FunctionDef], rooms: dict[str, str], cards: set[str]
) -> list[Step]:
    """Calls of a function; helpers with a card are steps, other helpers of the file are read through."""
    out = []
    for call in _calls(function):
        target = call.func
        if (
            isinstance(target, ast.Attribute)
            and isinstance(target.value, ast.Name)
            and target.value.id in rooms
        ):
            out.append(Step(rooms[target.value.id], f"{target.value.id}.{target.attr}"))
        elif not isinstance(target, ast.Name):
            continue
        elif target.id == "call_entry":
            out.append(Step("strategies", "your strategy, by address"))
        elif target.id in cards:
            out.append(Step("engine", f"{target.id} ↓"))
        elif target.id in functions:
            out += _steps(functions[target.id], functions, rooms, cards)
    return out


def rooms_of(package: Path) -> dict[str, str]:
    """Each folder of the package with the first line of its docstring ("" where it has none)."""
    out = {}
    for folder in sorted(p for p in package.iterdir() if p.is_dir() and any(p.rglob("*.py"))):
        init = folder / "__init__.py"
        text = ast.get_docstring(ast.parse(init.read_text())) if init.is_file() else None
        out[folder.name] = (text or "").split("\n")[0]
    return out


def imports_of(package: Path) -> dict[str, set[str]]:
    """Which rooms each room imports, lazily or not."""
    out: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        if len(parts) < 2:
            continue
        found = out.setdefault(parts[0], set())
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{a.name}" for a in node.names]
            for name in names:
                pieces = name.split(".")
                if pieces[0] == "oneprice" and len(pieces) > 1 and (package / pieces[1]).is_dir():
                    found.add(pieces[1])
        found.discard(parts[0])
    return out
