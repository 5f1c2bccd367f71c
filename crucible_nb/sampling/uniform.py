"""Uniform (Bernoulli) sampling: all events have the same probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Sampler
from crucible_nb.utils import checks


@dataclass(eq=False)
class Uniform(Sampler):
    """Keep every event with the same probability (Bernoulli sampling).

    Args:
        rate: Probability that an event is kept, in (0, 1].

    Raises:
        ConfigError: `rate` is not in (0, 1].

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> rows = cr.sampling.sample(pd.DataFrame({"x": range(1000)}), cr.sampling.Uniform(0.1), seed=1)
        >>> rows.weight.unique().tolist()
        [10.0]
    """

    rate: float
    restorable = True

    def __post_init__(self) -> None:
        self.rate = checks.number("rate", self.rate, gt=0, le=1)

    def rates(self, events: EventColumns) -> np.ndarray:
        return np.full(len(events), self.rate)
