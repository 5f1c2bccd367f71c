"""Known values in memory that nobody writes to again, for several sketches to hold at once."""

from __future__ import annotations

import numpy as np

from crucible_nb.accumulators.inputs import Chunk
from crucible_nb.accumulators.loghistogram import LogHistogram


class Kept:
    """Known values and their weights; binned once for everybody who holds them.

    Args:
        values: float64[n] without NaN.
        weights: float64[n], finite and > 0; None is 1 each.
        missing: How many missing values came with them.

    Examples:
        >>> import numpy as np
        >>> Kept(np.array([1.0, 2.0])).binned(8).count
        2
    """

    __slots__ = ("_bins", "missing", "values", "weights")

    def __init__(self, values: np.ndarray, weights: np.ndarray | None = None, missing: int = 0) -> None:
        self.values, self.weights, self.missing = values, weights, missing
        self._bins: LogHistogram | None = None

    @property
    def chunk(self) -> Chunk:
        """Values and weights."""
        return self.values, self.weights

    def binned(self, bits: int) -> LogHistogram:
        """The values as a histogram."""
        if self._bins is None or self._bins.bits != bits:
            self._bins = LogHistogram(bits).update(self.values, self.weights)
        return self._bins
