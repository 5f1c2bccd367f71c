"""The sampling stage: it selects the events that are stored as rows, and sets their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.events.sampling_info import sampling_facts
from crucible_nb.pipeline.buffer import Buffer
from crucible_nb.sampling import Sampler
from crucible_nb.utils.problems import Problems


class SamplingStage:
    """Samples batches by a policy that may change during a run; earlier rows keep the weights of their policy.

    Args:
        dictionaries: Categories by column name.
        buffer: Buffer of the rows; rows that a policy removes later are removed from it.
        problems: Counter of problems.
        seed: Seed of all random numbers.
        stream: Writer id; writers use different random numbers.

    Attributes:
        policy: The sampler with its parameters; None keeps all events.
        sampler: The running copy of the policy.
        since: Sequence number of the first event under this policy.
        changes: Number of times a policy was set.
    """

    def __init__(
        self, dictionaries: Mapping[str, Categories], buffer: Buffer, problems: Problems, seed: int, stream: int = 0
    ) -> None:
        self.stream = stream
        self.dictionaries, self.buffer, self.problems, self.seed = dictionaries, buffer, problems, seed
        self.policy: Sampler | None = None
        self.sampler: Sampler | None = None
        self.since = 0
        self.changes = 0

    def set_policy(self, policy: Sampler | None, seq: int) -> None:
        """Sample by this policy from event `seq` on; None keeps all events."""
        self.buffer.frame()  # fixes the weights of the previous policy
        self.policy, self.since = policy, seq
        self.sampler = None if policy is None else policy.begin(self.seed, (self.stream << 16) + self.changes)
        self.changes += 1
        self.buffer.sample = self if self.sampler is not None and self.sampler.revises else None

    def __call__(self, batch: Batch) -> Batch:
        """Return the sampled events of a batch, with their weights."""
        if self.sampler is None:
            return batch
        own_weight = batch.cells.get("weight")
        try:
            choice = self.sampler.choose(EventColumns.of_batch(batch, self.dictionaries))
        except Exception as error:  # noqa: BLE001  a failing user-defined sampler must not lose events
            self.problems.report("errors", f"the sampler failed, all events are kept: {type(error).__name__}: {error}")
            return batch
        weight = choice.weight if own_weight is None else choice.weight * own_weight.values
        batch.cells["weight"] = Column("float", weight)
        if self.sampler.revises:
            self.buffer.discard(choice.dropped)
            self.buffer.needs_reweighting = True
            if own_weight is not None:
                batch.cells["_weight"] = own_weight
        return batch if choice.keep.all() else batch.take(np.flatnonzero(choice.keep))

    def to_dict(self) -> dict[str, Any]:
        """Return the running state as plain data, without the policy."""
        running = None if self.sampler is None else self.sampler.to_dict()
        return {"since": self.since, "changes": self.changes, "sampler": running}

    def load(self, policy: Sampler | None, state: dict[str, Any]) -> None:
        """Continue with a policy from a state of `to_dict`."""
        self.policy, self.since, self.changes = policy, int(state["since"]), int(state["changes"])
        self.sampler = None if policy is None else policy.from_dict(state["sampler"])
        revises = self.sampler is not None and self.sampler.revises
        self.buffer.sample, self.buffer.needs_reweighting = self if revises else None, revises

    def settle(self) -> np.ndarray:
        """Return the sequence numbers of rows to remove before a read."""
        return np.empty(0, np.int64) if self.sampler is None else self.sampler.settle()

    def current_weights(self, seq: np.ndarray) -> np.ndarray:
        """Return the current weights: revised by the running policy for its rows, as stored for earlier rows."""
        buffer, sampler = self.buffer, self.sampler
        weight = np.array(buffer.numbers("weight"))
        current = np.flatnonzero(seq >= self.since)
        revised = None if sampler is None else sampler.weights(seq[current])
        if revised is not None:
            own_weight = buffer.numbers("_weight")[current] if buffer.has("_weight") else 1.0
            weight[current] = revised * own_weight
        return weight

    @property
    def is_sampling(self) -> bool:
        """Whether a row may represent more than one event."""
        return self.changes > 1 or self.policy is not None

    def facts(self) -> dict[str, Any]:
        """Return the sampling information for `frame.attrs`; empty if nothing was sampled."""
        if not self.is_sampling:
            return {}
        return sampling_facts(
            self.policy,
            sized_by=self.policy.sized_by if self.policy is not None and self.changes == 1 else None,
            revises=self.policy is not None and self.policy.revises,
        )

    def effective_size(self) -> float:
        """Return Kish's effective sample size of the sampled rows."""
        weight = self.buffer.numbers("weight")
        if weight.strides == (0,):  # one weight for all rows: no need to read them
            return float(len(weight))
        return float(weight.sum() ** 2 / np.square(weight).sum()) if len(weight) else 0.0

    def strata(self) -> dict[Any, dict[str, int]]:
        """Return the numbers of events seen and rows kept by the running policy, by stratum."""
        strata = {} if self.sampler is None else self.sampler.strata()
        return {label: {"seen": int(seen), "kept": int(kept)} for label, (seen, kept) in strata.items()}
