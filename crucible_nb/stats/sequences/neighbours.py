"""Do neighbouring events resemble each other? Then a sequence promises more than it can keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.stats.sequences.running_sums import RunningSums

_CORRELATED = 0.1


class Neighbours:
    """Correlation of each value with the one before, on a scale on which one huge value does not drown the rest.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> walk = np.exp(np.cumsum(rng.normal(0, 0.1, 1000)))
        >>> Neighbours().update(walk).warnings("control")[0][:48]
        'control: neighbouring events correlate (0.99), a'
        >>> Neighbours().update(rng.permutation(walk)).warnings()
        ()
    """

    def __init__(self) -> None:
        self.scale, self.sums = 0.0, RunningSums()

    def update(self, x: np.ndarray) -> Self:
        """Take finite values in, in place."""
        if not self.scale and np.any(x):
            self.scale = abs(float(x[np.flatnonzero(x)[0]]))
        self.sums.update(np.arcsinh(x / self.scale) if self.scale else x)
        return self

    def warnings(self, name: str = "") -> tuple[str, ...]:
        """A sentence where they correlate above 0.1 and more than chance makes them."""
        found = self.sums.lag1
        if not found > max(_CORRELATED, 2 / np.sqrt(max(self.sums.n, 1))):
            return ()
        said = (
            f"neighbouring events correlate ({found:.2f}), and the guarantee is one for independent events: "
            "take one value per session or time block"
        )
        return (f"{name}: {said}" if name else said,)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"kind": "neighbours", "version": 1, "scale": self.scale, "sums": self.sums.to_dict()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The state that `to_dict` gave; StoreError when it is broken."""
        opened, new = StateReader(state, "neighbours"), cls()
        new.scale, new.sums = opened.weight("scale"), RunningSums.from_dict(opened.part("sums"))
        return new
