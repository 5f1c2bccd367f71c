"""The compiled algorithms (extra `[fast]`): loaded in the background once enough was judged to be worth it.

Loading costs a second, the first time on a machine some more. Until then, and without numba, numpy does the same work
to the same bits, so it does not matter when the change comes.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np

from crucible_nb.utils.optional import have

_WORTH = 50_000  # values


class Kernel:
    """The compiled walk, when it is there."""

    def __init__(self) -> None:
        self._walk: Any = None
        self._judged, self._asked = 0, False

    def pays(self, values: int) -> bool:
        """Whether it is there; counts the values that are judged."""
        self._judged += values
        if self._judged > _WORTH and not self._asked:
            self._asked = True
            threading.Thread(target=self._quietly, name="crucible-compile", daemon=True).start()
        return self._walk is not None

    def load(self) -> bool:
        """Load it now; returns whether it is there."""
        self._asked = True
        if self._walk is None and have("numba"):
            from crucible_nb.anomaly import _compiled  # noqa: PLC0415  numba is heavy, and an extra

            score, where, at = np.empty(0), np.empty(0, np.int64), np.empty((0, 6))
            given = np.empty(0), np.empty(0, np.int64), np.empty((0, 6)), np.empty(0), np.zeros(3)
            _compiled.walk(0, *given, 0.0, score, where, at)
            self._walk = _compiled.walk
        return self._walk is not None

    def _quietly(self) -> None:
        with contextlib.suppress(Exception):  # numpy goes on
            self.load()

    def walk(
        self,
        kind: int,
        x: np.ndarray,
        codes: np.ndarray,
        state: np.ndarray,
        params: tuple[float, ...],
        warm_up: int,
        floor: float | None,
        patience: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, places of the alarms, and the states before them; `state` moves on."""
        score, where, at = np.empty(len(x)), np.empty(len(x), np.int64), np.empty((len(x), state.shape[1]))
        given = np.array([warm_up, np.nan if floor is None else max(floor, 1e-100), 1e-100])
        count = self._walk(kind, x, codes, state, np.array(params), given, float(patience), score, where, at)
        return score, where[:count], at[:count]


KERNEL = Kernel()
