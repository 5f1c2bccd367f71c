"""Intervals that may be looked at as often as one likes; the one place that asks `crucible_nb.stats` for them."""

from __future__ import annotations

import math
from typing import Any

from crucible_nb import stats
from crucible_nb.errors import CrucibleError
from crucible_nb.experiment import Experiment

_UNKNOWN = (math.nan, math.nan)


class Safe:
    """Peek-safe statements about one experiment.

    Args:
        experiment: Whose outcomes they are about.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._asked: tuple[int, tuple[float, float]] = (-1, _UNKNOWN)

    def success(self) -> tuple[float, float]:
        """Bounds of the success rate of the whole run, 95 % over all looks together; NaN while nobody knows."""
        return _UNKNOWN


def _sequence() -> Any:
    return getattr(stats, "confidence_sequence", None)


__all__ = ["CrucibleError", "Safe"]
