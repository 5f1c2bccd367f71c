"""Base class of the samplers: they see every event, select the rows to keep and set their weights."""

from __future__ import annotations

from copy import copy
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from crucible_nb.errors import ConfigError
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.random_numbers import RandomStream

_NONE = np.empty(0, np.int64)


class Choice(NamedTuple):
    """Decision of a sampler for consecutive events.

    Attributes:
        keep: Whether each event is kept, bool[n].
        weight: 1 / probability of being kept, float64[n]; used where `keep`.
        dropped: Sequence numbers of events kept earlier that are now removed, int64.
    """

    keep: np.ndarray
    weight: np.ndarray
    dropped: np.ndarray = _NONE


class Sampler:
    """Base class of samplers; a subclass defines `rates`, the probability that each event is kept.

    An instance holds parameters only; `begin` returns a running copy, so one instance serves many experiments. The
    decision for an event may depend on it and on earlier events, never on where a block ends or on earlier random
    numbers.

    Attributes:
        revises: Whether kept events may be removed later; such a sampler overrides `choose` and `weights`, and
            `settle` if it delays removal.
        restorable: Whether `to_dict` holds the whole running state; not inherited. A class that does not declare it is
            restorable if it defines `to_dict` and `from_dict` itself.
        random: Random stream of the running copy; all random numbers come from it.
        sized_by: Column whose size determines the probabilities; None if there is none.

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
    restorable: ClassVar[bool]
    sized_by: str | None = None
    random: RandomStream
    _strata: dict[Any, list[int]]

    def begin(self, seed: int, stream: int = 0) -> Self:
        """Return a running copy, before its first event.

        Args:
            seed: Seed of the random numbers.
            stream: Number of the random stream, such as a writer id; streams share no random numbers.
        """
        sampler = copy(self)
        sampler.random = RandomStream(seed, stream)
        sampler._strata = {}
        sampler.start()
        return sampler

    def start(self) -> None:
        """Set up the state of a subclass before the first event."""

    def rates(self, events: EventColumns) -> np.ndarray:
        """Return the probability that each event is kept, in (0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} has neither rates() nor choose()")

    def choose(self, events: EventColumns) -> Choice:
        """Decide on consecutive events; blocks may end anywhere.

        Raises:
            ConfigError: A rate is not in (0, 1].
        """
        rates = np.broadcast_to(np.asarray(self.rates(events), np.float64), len(events))
        if not ((rates > 0) & (rates <= 1)).all():
            raise ConfigError(f"{type(self).__name__}.rates: expected numbers in (0, 1], got {rates.min(initial=1):g}")
        keep = self.random.next(len(events)) < rates
        self.count("all", len(events), int(np.count_nonzero(keep)))
        return Choice(keep, 1 / rates)

    def settle(self) -> np.ndarray:
        """Return the sequence numbers to remove now, for samplers that delay removal; called before each read."""
        return _NONE

    def weights(self, seq: np.ndarray) -> np.ndarray | None:
        """Return the current weights of kept events, for samplers that revise; None means unchanged weights."""
        del seq
        return None

    def count(self, label: Any, seen: int, kept: int) -> None:
        """Add to the counts of a stratum."""
        counts = self._strata.setdefault(label, [0, 0])
        counts[0] += seen
        counts[1] += kept

    def strata(self) -> dict[Any, tuple[int, int]]:
        """Return the numbers of events seen and kept, by stratum."""
        return {label: (seen, kept) for label, (seen, kept) in self._strata.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the running state as plain data."""
        return {"draws": self.random.to_dict(), "strata": [[label, *counts] for label, counts in self._strata.items()]}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """Return a running copy that continues from the result of `to_dict`."""
        sampler = self.begin(state["draws"]["seed"], state["draws"]["stream"])
        sampler.random = RandomStream(**state["draws"])
        sampler._strata = {label: [seen, kept] for label, seen, kept in state["strata"]}
        return sampler
