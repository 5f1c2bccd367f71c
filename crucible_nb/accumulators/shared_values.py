"""Known values in read-only memory that several sketches share."""

from __future__ import annotations

import numpy as np

from crucible_nb.accumulators.inputs import Chunk
from crucible_nb.accumulators.loghistogram import LogHistogram


class SharedValues:
    """Known values and their weights, binned once for all sketches that hold them.

    Args:
        values: float64[n] without NaN, never modified again.
        weights: float64[n], finite and > 0; None means 1 each.
        missing: Number of missing values removed from them.

    Examples:
        >>> import numpy as np
        >>> SharedValues(np.array([1.0, 2.0])).binned(8).count
        2
    """

    __slots__ = ("_bins", "missing", "values", "weights")

    def __init__(self, values: np.ndarray, weights: np.ndarray | None = None, missing: int = 0) -> None:
        self.values, self.weights, self.missing = values, weights, missing
        self._bins: LogHistogram | None = None

    @property
    def chunk(self) -> Chunk:
        """The values and their weights."""
        return self.values, self.weights

    def binned(self, bits: int) -> LogHistogram:
        """Return the values as a histogram; computed at the first call."""
        if self._bins is None or self._bins.bits != bits:
            self._bins = LogHistogram(bits).update(self.values, self.weights)
        return self._bins
