"""A fold whose inputs are columns and one matrix: a row of it is one observation of many numbers (levels of a book)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from oneprice.core.errors import DataError
from oneprice.features.fold import Fold


@dataclass(frozen=True)
class RowFold(Fold):
    """As Fold; inputs whose names end in `_rows` are float64 of shape (n, width)."""

    width: int = 1

    def scan(self, *xs: Any, state: np.ndarray | None = None, **params: Any) -> np.ndarray:
        """The step over whole inputs; as `Fold.scan`, errors too."""
        if len(xs) != len(self.inputs):
            raise DataError(f"{self.name}: expected inputs {', '.join(self.inputs)}, got {len(xs)} arrays")
        columns: list[np.ndarray] = []
        for name, x in zip(self.inputs, xs, strict=True):
            column = np.ascontiguousarray(x, np.int64 if name.endswith("_ns") else np.float64)
            n = len(columns[0]) if columns else len(column)
            want = (n, self.width) if name.endswith("_rows") else (n,)
            if column.shape != want:
                raise DataError(f"{self.name}: expected {name} of shape {want}, got {column.shape}")
            columns.append(column)
        states = self.fresh() if state is None else state
        if states.dtype != self.state or states.shape != (1,):
            raise DataError(f"{self.name}: expected a state of shape (1,) from fresh(), got {states.shape}")
        out = np.empty(len(columns[0]), np.float64)
        self.loop(states, *columns, *self.params(**params)[0].item(), out)
        return out
