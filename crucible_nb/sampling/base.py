"""What a sampler is: told of every event, it says which rows stay and what each stands for."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.errors import ConfigError
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.random_numbers import Draws

_NONE = np.empty(0, np.int64)


class Choice(NamedTuple):
    """What a sampler says of some events.

    Attributes:
        keep: bool, one an event.
        weight: float64, one an event: 1 / probability of being kept; read where `keep`.
        dropped: int64, numbers of earlier kept events that leave the sample.
    """

    keep: np.ndarray
    weight: np.ndarray
    dropped: np.ndarray = _NONE


class Sampler:
    """A sampler by probabilities: a subclass says in `rates` how probable it is that an event stays.

    An instance that users make holds parameters only; `begin` gives a copy that runs, so one instance serves many
    experiments. What is said of an event may depend on it and on earlier events, never on where a block ends or on
    earlier coins.

    Attributes:
        revises: Whether earlier choices may be revised; such a sampler overrides `choose` and `weights`, and `settle`
            where it puts off letting events go.
        sized_by: Column whose size made the probabilities, None where there is none.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> class Slow(cr.sampling.Sampler):
        ...     def rates(self, events):
        ...         return np.where(events["latency_ms"] > 1000, 1.0, 0.01)
        >>> frame = pd.DataFrame({"latency_ms": [2000.0] * 3 + [10.0] * 7})
        >>> cr.sampling.sample(frame, Slow()).weight.tolist()
        [1.0, 1.0, 1.0]

    References:
        Horvitz, Thompson: A generalization of sampling without replacement from a finite universe. JASA 47 (1952).
    """

    revises: bool = False
    sized_by: str | None = None
    _draws: Draws
    _strata: dict[Any, list[int]]

    def begin(self, seed: int, stream: int = 0) -> Self:
        """A copy that runs from its first event on.

        Args:
            seed: Of the coins.
            stream: Ordinal of a writer; streams share no coins.
        """
        sampler = copy(self)
        sampler._draws = Draws(seed, stream)
        sampler._strata = {}
        sampler.start()
        return sampler

    def start(self) -> None:
        """Set up the state before the first event; nothing unless a subclass has some."""

    def rates(self, events: EventColumns) -> np.ndarray:
        """Probability of each event to stay, in (0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} has neither rates() nor choose()")

    def choose(self, events: EventColumns) -> Choice:
        """Judge consecutive events; blocks may end anywhere.

        Raises:
            ConfigError: A rate is not in (0, 1].
        """
        rates = np.broadcast_to(np.asarray(self.rates(events), np.float64), len(events))
        if not ((rates > 0) & (rates <= 1)).all():
            raise ConfigError(f"{type(self).__name__}.rates: expected numbers in (0, 1], got {rates.min(initial=1):g}")
        keep = self._draws.next(len(events)) < rates
        self.count("all", len(events), int(np.count_nonzero(keep)))
        return Choice(keep, 1 / rates)

    def settle(self) -> np.ndarray:
        """Before a look: numbers of kept events that leave the sample, where letting them go was put off."""
        return _NONE

    def weights(self, seq: np.ndarray) -> np.ndarray | None:
        """Weights now of kept events, for samplers that revise; None: as they were."""
        del seq
        return None

    def count(self, label: Any, seen: int, kept: int) -> None:
        """Add to the counts of a stratum."""
        counts = self._strata.setdefault(label, [0, 0])
        counts[0] += seen
        counts[1] += kept

    def strata(self) -> dict[Any, tuple[int, int]]:
        """Events seen and kept, by stratum."""
        return {label: (seen, kept) for label, (seen, kept) in self._strata.items()}

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        return {"draws": self._draws.to_dict(), "strata": [[label, *counts] for label, counts in self._strata.items()]}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        sampler = self.begin(state["draws"]["seed"], state["draws"]["stream"])
        sampler._draws = Draws(**state["draws"])
        sampler._strata = {label: [seen, kept] for label, seen, kept in state["strata"]}
        return sampler
