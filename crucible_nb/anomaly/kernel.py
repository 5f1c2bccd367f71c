"""The compiled algorithms (extra `[fast]`), loaded in the background after enough values.

Loading takes a second, more the first time on a machine. Until then, and without numba, numpy computes the same bits,
so the moment of the switch does not matter.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from crucible_nb.utils.optional import have
from crucible_nb.utils.threads import COMPILER

_LOAD_AFTER = 50_000  # scored values


class Kernel:
    """The compiled algorithms, once they are loaded."""

    def __init__(self) -> None:
        self._walk: Any = None
        self._walk_auto: Any = None
        self._scored, self._requested = 0, False

    def ready_for(self, values: int) -> bool:
        """Count values to be scored, start loading after enough, and return whether the kernel is loaded."""
        self._scored += values
        if self._scored > _LOAD_AFTER and not self._requested:
            self._requested = True
            COMPILER.submit(self._load_in_background)
        return self._walk is not None

    def load(self) -> bool:
        """Load the kernel now; return whether it is loaded."""
        self._requested = True
        if self._walk is None and have("numba"):
            from crucible_nb.anomaly.compiled import walk  # noqa: PLC0415  numba is heavy, and an extra

            walk(  # compiles
                kind=0,
                x=np.empty(0),
                codes=np.empty(0, np.int64),
                state=np.empty((0, 6)),
                params=np.empty(0),
                limits=np.zeros(3),
                patience=0.0,
                score=np.empty(0),
                alarm_index=np.empty(0, np.int64),
                alarm_state=np.empty((0, 6)),
            )
            from crucible_nb.anomaly.auto_kernel import walk as walk_auto  # noqa: PLC0415

            walk_auto(  # compiles
                x=np.empty(0),
                codes=np.empty(0, np.int64),
                state=np.empty((0, 6)),
                limits=np.zeros(4),
                patience=0.0,
                score=np.empty(0),
                alarm_index=np.empty(0, np.int64),
                alarm_parts=np.empty((0, 6)),
            )
            self._walk_auto = walk_auto
            self._walk = walk
        return self._walk is not None

    def _load_in_background(self) -> None:
        with contextlib.suppress(Exception):  # numpy continues
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
        """Return scores, indices of the alarms, and the states before them; `state` is updated in place."""
        score, alarm_index = np.empty(len(x)), np.empty(len(x), np.int64)
        alarm_state = np.empty((len(x), state.shape[1]))
        count = self._walk(
            kind=kind,
            x=x,
            codes=codes,
            state=state,
            params=np.array(params),
            limits=np.array([warm_up, np.nan if floor is None else max(floor, 1e-100), 1e-100]),
            patience=float(patience),
            score=score,
            alarm_index=alarm_index,
            alarm_state=alarm_state,
        )
        return score, alarm_index[:count], alarm_state[:count]

    def walk_auto(
        self,
        x: np.ndarray,
        codes: np.ndarray,
        state: np.ndarray,
        parts: int,
        warm_up: int,
        floor: float | None,
        threshold: float,
        patience: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same for `auto`, with `parts` numbers of each alarm in place of the states."""
        score, alarm_index, alarm_parts = np.empty(len(x)), np.empty(len(x), np.int64), np.empty((len(x), parts))
        fixed = np.nan if floor is None else max(floor, 1e-100)
        count = self._walk_auto(
            x=x,
            codes=codes,
            state=state,
            limits=np.array([warm_up, fixed, 1e-100, threshold]),
            patience=float(patience),
            score=score,
            alarm_index=alarm_index,
            alarm_parts=alarm_parts,
        )
        return score, alarm_index[:count], alarm_parts[:count]


KERNEL = Kernel()
"""The kernel of this process."""
