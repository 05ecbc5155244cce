"""Style as a test: what the house rules say is checked here, so a review need not."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "oneprice"
ROOMS = [
    "core",
    "market",
    "features",
    "signals",
    "execution",
    "risk",
    "strategies",
    "engine",
    "venues",
    "modes",
    "study",
]
RANK = {room: i for i, room in enumerate(ROOMS)} | {"dashboard": len(ROOMS), "cli": len(ROOMS) + 1}
EDGES = ("modes", "cli", "dashboard", "market.bus")  # and venues/*/session.py
STOPWATCHES = {
    "study.bench_time",
    "engine.loop",
}  # a benchmark's output is time; a chunk's length follows it, no result
USER_CODE = {
    "engine.loop",
    "study.check",
}  # run a strategy's text, which may raise anything: it is bound and reported
MODULE_LINES, FUNCTION_LINES, POSITIONAL = 500, 70, 8
CLOCKS = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
    "thread_time",
    "thread_time_ns",
    "clock_gettime_ns",
}
SEEDED = {"default_rng", "Generator", "PCG64", "Philox", "SeedSequence", "BitGenerator"}
NOT_GIVEN = {"self", "cls", "typing_context"}  # parameters that callers do not write
BROAD = {"Exception", "BaseException"}
ENTRY_POINTS = {"oneprice", "oneprice.cli.main"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    out = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = ["oneprice", *path.relative_to(SRC).with_suffix("").parts]
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def imported(name: str) -> tuple[tuple[str, int, bool], ...]:
    """(module or module.attribute, line, at module level) of every import in a module, lazy ones too."""
    found = []
    top = tree(modules()[name])
    outer = {id(n) for n in top.body}
    for node in ast.walk(top):
        here = id(node) in outer
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno, here) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} relative import: write the full name"
            found += [(f"{node.module}.{a.name}", node.lineno, here) for a in node.names]
    return tuple(found)


def ours(target: str) -> str | None:
    """The module of ours that an import names: `oneprice.core.jit.njit` is `oneprice.core.jit`."""
    while target:
        if target in modules():
            return target
        target = target.rpartition(".")[0]
    return None


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def short(name: str) -> str:
    return name.removeprefix("oneprice.")


def is_edge(name: str) -> bool:
    inner = short(name)
    session = room(name) == "venues" and inner.endswith(".session")
    return session or inner in STOPWATCHES or any(inner == e or inner.startswith(e + ".") for e in EDGES)


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def span(node: ast.stmt) -> int:
    """Lines from the first to the last of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def report(faults: list[str], rule: str) -> None:
    assert not faults, rule + "\n" + "\n".join(faults)


def test_imports_point_left() -> None:
    """A file imports only from its own room or from rooms to its left, lazily or not."""
    faults = []
    for name in modules():
        for target, line, _ in imported(name):
            other = ours(target)
            if not room(name) or other is None or not room(other):
                continue
            if RANK[room(other)] > RANK[room(name)]:
                faults.append(f"{name}:{line} imports {other}")
    report(faults, "import direction: " + " <- ".join([*ROOMS, "dashboard", "cli"]))


def test_rooms_are_known() -> None:
    """Each folder under oneprice is a room of the layout."""
    assert {room(n) for n in modules()} - {""} <= set(RANK)


def test_strategies_cannot_reach_risk_or_mode() -> None:
    """A strategy never imports risk, venues or modes: it cannot loosen its own limit or know its mode."""
    banned = {"risk", "venues", "modes", "engine"}
    faults = [
        f"{name}:{line} {target}"
        for name in modules()
        if room(name) == "strategies"
        for target, line, _ in imported(name)
        if (other := ours(target)) and room(other) in banned
    ]
    report(faults, "strategies never import risk, venues, modes or engine")


def test_venues_do_not_import_each_other() -> None:
    """Venue folders are islands."""
    faults = []
    for name in modules():
        if room(name) != "venues" or name.count(".") < 3:
            continue
        mine = name.split(".")[2]
        for target, line, _ in imported(name):
            parts = target.split(".")
            if parts[:2] == ["oneprice", "venues"] and len(parts) > 3 and parts[2] != mine:
                faults.append(f"{name}:{line} {target}")
    report(faults, "venues never import each other")


def test_third_parties_stay_in_their_rooms() -> None:
    """jax in signals.learned and study; sockets and asyncio at the edges; data frames only at the surface."""
    faults = []
    for name in modules():
        inner = short(name)
        for target, line, top in imported(name):
            root = target.split(".")[0]
            if root in {"jax", "optax", "numpyro"} and not inner.startswith(("signals.learned", "study")):
                faults.append(f"{name}:{line} {root} belongs in signals.learned or study")
            if root in {"asyncio", "socket", "selectors"} and not is_edge(name):
                faults.append(f"{name}:{line} {root} belongs at the edges")
            if root in {"polars", "pandas", "pyarrow"}:
                if top:
                    faults.append(f"{name}:{line} {root} at module level: import it inside the function")
                if room(name) in {"core", "features", "execution", "risk", "strategies", "engine"}:
                    faults.append(f"{name}:{line} {root}: data frames only at the surface")
            if root in {"scipy", "rich"} and top:
                faults.append(f"{name}:{line} {root} at module level: import it inside the function")
    report(faults, "third-party imports")


def test_sizes() -> None:
    """A module has at most 500 lines, a function at most 70 (docstring aside) and 8 positional parameters."""
    faults = []
    for name, path in modules().items():
        lines = len(path.read_text().splitlines())
        if lines > MODULE_LINES:
            faults.append(f"{name} has {lines} lines")
        for f in functions(path):
            doc = f.body[0] if ast.get_docstring(f) else None
            length = span(f) - (span(doc) if doc else 0)
            if length > FUNCTION_LINES:
                faults.append(f"{name}:{f.lineno} {f.name} has {length} lines")
            count = len([a for a in f.args.posonlyargs + f.args.args if a.arg not in NOT_GIVEN])
            if count > POSITIONAL:
                faults.append(f"{name}:{f.lineno} {f.name} has {count} positional parameters")
    report(
        faults, f"at most {MODULE_LINES} lines a module, {FUNCTION_LINES} a function, {POSITIONAL} positional"
    )


def test_no_broad_except() -> None:
    """Errors are caught by name; a broad handler may only add to an error that it raises again."""
    faults = []
    for name, path in modules().items():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "everything"
            broad = node.type is None or bool(BROAD & set(re.findall(r"\w+", caught)))
            last = node.body[-1]
            reported = short(name) in USER_CODE and node.name is not None
            if broad and not reported and not (isinstance(last, ast.Raise) and last.exc is None):
                faults.append(f"{name}:{node.lineno} catches {caught}")
    report(faults, "no broad except")


def test_time_is_data() -> None:
    """No wall clock, no unseeded randomness outside the edges: time comes from events, chance from a seed."""
    faults = []
    for name, path in modules().items():
        if is_edge(name):
            continue
        for target, line, _ in imported(name):
            if target.split(".")[0] in {"random", "secrets", "uuid"}:
                faults.append(f"{name}:{line} imports {target}")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and (fault := _impure(node)):
                faults.append(f"{name}:{node.lineno} {fault}")
    report(faults, "clock or randomness outside the edges")


def _impure(node: ast.Call) -> str:
    text = ast.unparse(node.func)
    head, _, last = text.rpartition(".")
    if head == "time" and last in CLOCKS:
        return text
    if last in {"now", "utcnow", "today"} and re.search(r"\b(datetime|date|dt)\b", head):
        return text
    if head.endswith("random") and head.split(".")[0] in {"np", "numpy"}:
        if last not in SEEDED:
            return text
        if last == "default_rng" and not node.args and not node.keywords:
            return text + " without a seed"
    return text if text == "os.urandom" else ""


def test_no_dead_module() -> None:
    """Each module is imported by another one (or named in a table of lazy names), or is an entry point."""
    alive = ENTRY_POINTS | {n for n, p in modules().items() if 'if __name__ == "__main__"' in p.read_text()}
    for name, path in modules().items():
        alive |= {o for t, _, _ in imported(name) if (o := ours(t)) and o != name}
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.startswith("oneprice.")
            ):
                alive |= {o} if (o := ours(node.value.partition(":")[0])) else set()
    for name in list(alive):
        while "." in name:
            name = name.rpartition(".")[0]
            alive.add(name)
    dead = [
        n
        for n, p in modules().items()
        if n not in alive and not (p.name == "__init__.py" and not tree(p).body[1:])
    ]
    report(dead, "modules that nothing imports")


def test_modules_say_why_they_exist() -> None:
    """Each module and each public function or class has a docstring (typer verbs show theirs as help)."""
    faults = []
    for name, path in modules().items():
        if not ast.get_docstring(tree(path)):
            faults.append(f"{name} has no docstring")
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    faults.append(f"{name}:{node.lineno} {node.name} has no docstring")
    report(faults, "docstrings")


def texts() -> list[Path]:
    """Every text file that is part of the project."""
    folders = ["src", "tests", "docs", "examples", "changelog.d", ".ci"]
    found = [
        p
        for f in folders
        for p in (ROOT / f).rglob("*")
        if p.suffix in {".py", ".md", ".toml", ".svg", ".mmd", ""}
    ]
    found += [p for p in ROOT.iterdir() if p.suffix in {".md", ".toml"} or p.name == "Makefile"]
    return sorted(p for p in found if p.is_file() and "__pycache__" not in p.parts)


def test_no_forbidden_words() -> None:
    """No unfinished business in the text, no host of a package registry, no work-in-progress marks."""
    words = [
        "TO" + "DO",
        "FIX" + "ME",
        "XX" + "X",
        "pypi" + ".org",
        "python" + "hosted",
        "conda.anaconda" + ".org",
    ]
    pattern = re.compile("|".join(rf"\b{re.escape(w)}\b" for w in words))
    faults = []
    for path in texts():
        for i, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if hit := pattern.search(line):
                faults.append(f"{path.relative_to(ROOT)}:{i} {hit.group()}")
    report(faults, "forbidden words")


def headings_and_code(path: Path) -> tuple[list[int], list[str]]:
    """Levels of the headings and the code blocks of a Markdown file, in order."""
    text = path.read_text()
    blocks = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [len(h) for h in re.findall(r"^(#+) ", plain, re.MULTILINE)], blocks


def test_readme_twins() -> None:
    """README.md and README.zh-CN.md have the same headings and the very same code blocks."""
    english, chinese = (headings_and_code(ROOT / n) for n in ("README.md", "README.zh-CN.md"))
    assert len(english[0]) > 5 and english[1], "README.md has no content"
    assert english[0] == chinese[0], "heading levels differ"
    assert english[1] == chinese[1], "code blocks differ"


def markdown() -> list[Path]:
    return [p for p in texts() if p.suffix == ".md"]


def test_links_lead_somewhere() -> None:
    """Each relative link in a Markdown file names a file that exists."""
    faults = []
    for path in markdown():
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in link and not link.startswith("mailto:") and not (path.parent / link).exists():
                faults.append(f"{path.relative_to(ROOT)} -> {link}")
    report(faults, "broken links")


def test_assumptions_are_pinned() -> None:
    """Each line of docs/assumptions names a test (`tests/...::name`) and that test exists."""
    faults = []
    pages = sorted((ROOT / "docs" / "assumptions").glob("*.md"))
    assert {p.stem for p in pages} >= {"fills", "latency", "fees", "queue", "bars"}
    for page in pages:
        for i, line in enumerate(page.read_text().splitlines(), 1):
            named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", line)
            if line.startswith("- ") and not named:
                faults.append(f"{page.name}:{i} names no test")
            for file, test in named:
                path = ROOT / file
                if not path.is_file() or not re.search(rf"^\s*def {test}\(", path.read_text(), re.MULTILINE):
                    faults.append(f"{page.name}:{i} {file}::{test} does not exist")
    report(faults, "assumptions without a test")


def test_public_list_is_complete() -> None:
    """Each public name resolves, the list is sorted, and nothing public is missing from it."""
    import oneprice

    listed = list(oneprice.__all__)
    assert listed == sorted(listed), "__all__ is not sorted"
    for name in listed:
        assert getattr(oneprice, name) is not None, f"oneprice.{name} does not resolve"
    table = {n for n in dir(oneprice) if not n.startswith("_")}
    rooms = set(RANK)  # submodules appear as attributes once they are imported
    missing = sorted(table - rooms - {"annotations"} - set(listed))
    assert not missing, f"public but not listed: {missing}"


def test_import_is_light() -> None:
    """`import oneprice` loads no compiler and no data frames."""
    heavy = ("numba", "polars", "scipy", "rich", "typer")
    code = f"import sys, oneprice; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folders", [("src", "tests", "examples")])
def test_ruff(folders: tuple[str, ...]) -> None:
    """Lint is clean."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_mypy() -> None:
    """Types hold over the whole package."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
