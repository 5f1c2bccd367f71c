"""Warning of correlated neighbours, which a sequence of independent events does not allow for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.stats.sequences.running_sums import RunningSums

_CORRELATED = 0.1


class Neighbours:
    """Correlation of each value with the one before, on an arcsinh scale, so that single large values do not dominate.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> walk = np.exp(np.cumsum(rng.normal(0, 0.1, 1000)))
        >>> Neighbours().update(walk).warnings("control")[0][:48]
        'control: neighbouring events correlate (0.99), b'
        >>> Neighbours().update(rng.permutation(walk)).warnings()
        ()
    """

    def __init__(self) -> None:
        self.scale, self.sums = 0.0, RunningSums()

    def update(self, x: np.ndarray) -> Self:
        """Add finite values, in order of arrival."""
        if not self.scale and np.any(x):
            self.scale = abs(float(x[np.flatnonzero(x)[0]]))
        self.sums.update(np.arcsinh(x / self.scale) if self.scale else x)
        return self

    def warnings(self, name: str = "") -> tuple[str, ...]:
        """Warn if the correlation of neighbours is above 0.1 and significant."""
        correlation = self.sums.lag1
        if not correlation > max(_CORRELATED, 2 / np.sqrt(max(self.sums.n, 1))):
            return ()
        warning = (
            f"neighbouring events correlate ({correlation:.2f}), but the guarantee holds for independent events: "
            "use one value per session or time block"
        )
        return (f"{name}: {warning}" if name else warning,)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"kind": "neighbours", "version": 1, "scale": self.scale, "sums": self.sums.to_dict()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Load the state that `to_dict` gave; StoreError if it is broken."""
        reader, new = StateReader(state, "neighbours"), cls()
        new.scale, new.sums = reader.weight("scale"), RunningSums.from_dict(reader.part("sums"))
        return new
