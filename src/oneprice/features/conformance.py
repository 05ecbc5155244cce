"""What every fold must hold, checked on any fold: `check_fold(fold)` returns the list of what it breaks.

The rules: streaming = batch, bit for bit, values and state; altering the future leaves the past unchanged;
compiled = plain, bit for bit; a large level with small moves (60,000 +- 0.001) agrees with extended
precision; inputs that are not finite leave the state unchanged and give NaN, and the rest is as if they had
not been; a state restored from its bytes goes on the same; no input, no change; misspelt parameters are
refused.
"""

from __future__ import annotations

import math
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from oneprice.core.errors import ConfigError
from oneprice.features.fold import Fold

TOLERANCE = 1e-5  # of the largest value, against extended precision


def sample(
    fold: Fold, n: int = 400, *, seed: int = 0, level: float = 60_000.0, move: float = 1e-3
) -> list[np.ndarray]:
    """Inputs for a fold by the names of its inputs: prices near `level` moving by `move`, queues, times,
    gaps.
    """
    rng = np.random.default_rng(seed)
    walk = level + move * np.cumsum(rng.normal(0.0, 0.3, n))
    made: dict[str, np.ndarray] = {
        "x": level + rng.normal(0.0, move, n),
        "price": walk,
        "bid": walk,
        "ask": walk + move * (1.0 + rng.random(n)),
        "bid_qty": rng.integers(1, 500, n) * 0.001,
        "ask_qty": rng.integers(1, 500, n) * 0.001,
        "time_ns": 1_700_000_000_000_000_000 + np.cumsum(rng.integers(0, 200_000_000, n)),
        "gap": level + rng.normal(0.0, move, n),
        "edge_bp": rng.normal(0.0, 2.0, n),
    }
    made["y"] = level + 0.5 * (made["x"] - level) + rng.normal(0.0, move, n)
    made["ret"] = rng.normal(0.0, move, n)
    made["qty"] = rng.integers(1, 500, n) * 0.001
    made["side"] = rng.choice([-1.0, 1.0], n)
    made["stream"] = rng.integers(0, 2, n).astype(np.float64)
    made["low"] = level - move * (1.0 + 0.1 * rng.random(n))
    made["high"] = level + move * (1.0 + 0.1 * rng.random(n))
    away = move * np.arange(5)[None, :]
    sizes = rng.integers(1, 500, (2, n, 5)) * 0.001
    made["level_rows"] = np.stack(
        [made["bid"][:, None] - away, made["ask"][:, None] + away, sizes[0], sizes[1]], axis=2
    ).reshape(n, 20)
    missing = [name for name in fold.inputs if name not in made]
    if missing:
        raise ConfigError(
            f"{fold.name}: no sample for input {missing[0]!r}: expected `xs`, or one of {', '.join(made)}"
        )
    return [made[name] for name in fold.inputs]


def check_fold(fold: Fold, xs: list[np.ndarray] | None = None, **params: Any) -> list[str]:
    """Run every rule; an empty list means that the fold conforms.

    xs: inputs of at least 100 observations (drawn by input name when left out). params: as for `scan`; those
    without a default that are left out get the middle of sensible values (alpha 0.05).
    """
    if "alpha" in (fold.param.names or ()) and "alpha" not in fold.defaults:
        params.setdefault("alpha", 0.05)
    columns = sample(fold) if xs is None else xs
    args = fold.params(**params)[0].item()
    base = fold.scan(*columns, **params)
    broken: list[str] = []
    broken += _streams(fold, columns, args, base)
    broken += _past(fold, columns, params, base)
    broken += _precise(fold, columns, args, base)
    broken += _missing(fold, columns, params)
    broken += _restart(fold, columns, params, base)
    state = fold.fresh()
    if (
        len(fold.scan(*(c[:0] for c in columns), state=state, **params))
        or state.tobytes() != fold.fresh().tobytes()
    ):
        broken.append("no input: expected no values and an unchanged state")
    try:
        fold.params(not_a_parameter=1.0)
        broken.append("misspelt parameter: expected ConfigError")
    except ConfigError:
        pass
    if not np.isfinite(base).any():
        broken.append("values: expected some finite ones on the sample")
    return broken


def plain_of(kernel: Any) -> Any:
    """The Python function behind a kernel, in which the kernels it calls are plain too."""
    made: dict[int, Any] = {}

    def plain(one: Any) -> Any:
        if id(one) not in made:
            f = one.py_func
            names = dict(f.__globals__)
            made[id(one)] = FunctionType(f.__code__, names, f.__name__, f.__defaults__, f.__closure__)
            names.update({k: plain(v) for k, v in f.__globals__.items() if hasattr(v, "py_func")})
        return made[id(one)]

    return plain(kernel)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit equal; NaN equals NaN whatever its payload."""
    nan = np.isnan(a) & np.isnan(b)
    return bool(a.shape == b.shape and np.all(nan | (a.view(np.int64) == b.view(np.int64))))


def _streams(fold: Fold, columns: list[np.ndarray], args: tuple[Any, ...], base: np.ndarray) -> list[str]:
    """One observation at a time, compiled and plain, against the batch."""
    batch = fold.fresh()
    again = np.empty(len(base))
    fold.loop(batch, *columns, *args, again)
    out = []
    plain = plain_of(fold.step)
    for name, step in (("streaming = batch", fold.step), ("compiled = plain", plain)):
        state = fold.fresh().view(np.recarray)
        values = np.array(
            [step(state[0], *(c[i] for c in columns), *args) for i in range(len(base))], np.float64
        )
        if not same(values, base):
            out.append(f"{name}: values differ first at {_first(values, base)}")
        if state.tobytes() != batch.tobytes():
            out.append(f"{name}: final states differ")
    return out


def _past(fold: Fold, columns: list[np.ndarray], params: dict[str, Any], base: np.ndarray) -> list[str]:
    """Another future from the middle on must leave the values before it."""
    k = len(base) // 2
    other = [c.copy() for c in columns]
    for c in other:
        c[k:] = c[k:][::-1] + np.asarray(7).astype(c.dtype)
    changed = fold.scan(*other, **params)
    return (
        []
        if same(changed[:k], base[:k])
        else [f"future: a change at {k} altered {_first(changed[:k], base[:k])}"]
    )


def _precise(fold: Fold, columns: list[np.ndarray], args: tuple[Any, ...], base: np.ndarray) -> list[str]:
    """The plain step in extended precision, where the machine has it, against the compiled one."""
    fields: dict[str, Any] = {}
    born = fold.fresh()[0]
    for name in fold.state.names or ():
        dtype = fold.state[name]
        if dtype.shape:
            fields[name] = born[name].astype(np.longdouble if dtype.base.kind == "f" else np.int64)
        else:
            fields[name] = np.longdouble(born[name]) if dtype.kind == "f" else int(born[name])
    s = SimpleNamespace(**fields)
    wide = [[np.longdouble(v) for v in c] if c.dtype.kind == "f" else [int(v) for v in c] for c in columns]
    step = plain_of(fold.step)
    exact = np.array([float(step(s, *(c[i] for c in wide), *args)) for i in range(len(base))])
    both = np.isfinite(exact) & np.isfinite(base)
    if (np.isfinite(exact) != np.isfinite(base)).any():
        return [
            "large level, small move: values are missing where extended precision has them, or the reverse"
        ]
    error = np.abs(exact[both] - base[both])
    scale = max(float(np.max(np.abs(exact[both]), initial=0.0)), 1e-300)
    worst = float(np.max(error, initial=0.0)) / scale
    if worst > TOLERANCE:
        return [f"large level, small move: off extended precision by {worst:.1e} of the largest value"]
    return []


def _missing(fold: Fold, columns: list[np.ndarray], params: dict[str, Any]) -> list[str]:
    """NaN and inf in each float input: NaN out, nothing remembered."""
    out = []
    holes = np.zeros(len(columns[0]), bool)
    holes[[0, 7, 8, len(holes) // 2, len(holes) - 1]] = True
    kept = fold.fresh()
    rest = fold.scan(*(c[~holes] for c in columns), state=kept, **params)
    for j, name in enumerate(fold.inputs):
        if columns[j].dtype.kind != "f" or name == "edge_bp":  # an edge is a condition, not an observation
            continue
        for bad in (math.nan, math.inf, -math.inf):
            torn = [c.copy() for c in columns]
            torn[j][holes] = bad
            state = fold.fresh()
            values = fold.scan(*torn, state=state, **params)
            if not np.isnan(values[holes]).all():
                out.append(f"{name} = {bad}: expected NaN")
            if not same(np.ascontiguousarray(values[~holes]), rest) or state.tobytes() != kept.tobytes():
                out.append(f"{name} = {bad}: expected the state to be left unchanged")
    return out


def _restart(fold: Fold, columns: list[np.ndarray], params: dict[str, Any], base: np.ndarray) -> list[str]:
    """A state restored from its bytes goes on as if nothing had happened; `scan` in two pieces is one scan.
    """
    out = []
    for k in (1, len(base) // 3, len(base) - 1):
        state = fold.fresh()
        head = fold.scan(*(c[:k] for c in columns), state=state, **params)
        restored = np.frombuffer(bytearray(state.tobytes()), fold.state)
        tail = fold.scan(*(c[k:] for c in columns), state=restored, **params)
        if not same(np.concatenate([head, tail]), base):
            out.append(f"restart at {k}: values differ from an unbroken run")
    return out


def _first(a: np.ndarray, b: np.ndarray) -> str:
    wrong = np.flatnonzero(~((np.isnan(a) & np.isnan(b)) | (a.view(np.int64) == b.view(np.int64))))
    return (
        f"observation {int(wrong[0])}: {a[wrong[0]]!r} against {b[wrong[0]]!r}" if len(wrong) else "nowhere"
    )
