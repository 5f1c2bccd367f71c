"""The sampling stage: which events stay as rows, and what weight each carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.pipeline.buffer import Buffer
from crucible_nb.sampling import Sampler
from crucible_nb.utils.problems import Problems


class SamplingStage:
    """Thins batches by a policy that may change in mid-run; rows kept earlier keep the weight they had then.

    Args:
        dictionaries: Column name to the dictionary of its categories.
        buffer: Where the rows go; rows that a policy disowns are taken out again.
        notes: Where trouble is counted.
        seed: Of all coins.
        stream: Ordinal of the writer; writers share no coins.
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
        """From event `seq` on, keep by this policy; None keeps everything."""
        self.buffer.frame()  # settles the weights of the policy that ends
        self.policy, self.since = policy, seq
        self.sampler = None if policy is None else policy.begin(self.seed, (self.stream << 16) + self.changes)
        self.changes += 1
        self.buffer.sample = self if self.sampler is not None and self.sampler.revises else None

    def __call__(self, batch: Batch) -> Batch:
        """The events of a batch that stay, with their weights."""
        if self.sampler is None:
            return batch
        brought = batch.cells.get("weight")
        try:
            choice = self.sampler.choose(EventColumns.of_batch(batch, self.dictionaries))
        except Exception as error:  # noqa: BLE001  a user's sampler must not lose events
            self.problems.report("errors", f"the sampler failed, all events are kept: {type(error).__name__}: {error}")
            return batch
        weight = choice.weight if brought is None else choice.weight * brought.values
        batch.cells["weight"] = Column("float", weight)
        if self.sampler.revises:
            self.buffer.discard(choice.dropped)
            self.buffer.needs_reweighting = True
            if brought is not None:
                batch.cells["_weight"] = brought
        return batch if choice.keep.all() else batch.take(np.flatnonzero(choice.keep))

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data; whoever loads it knows the policy."""
        running = None if self.sampler is None else self.sampler.to_dict()
        return {"since": self.since, "changes": self.changes, "sampler": running}

    def load(self, policy: Sampler | None, state: dict[str, Any]) -> None:
        """Go on by a policy from its state."""
        self.policy, self.since, self.changes = policy, int(state["since"]), int(state["changes"])
        self.sampler = None if policy is None else policy.from_dict(state["sampler"])
        revises = self.sampler is not None and self.sampler.revises
        self.buffer.sample, self.buffer.needs_reweighting = self if revises else None, revises

    def settle(self) -> np.ndarray:
        """Rows that leave the sample at a look."""
        return np.empty(0, np.int64) if self.sampler is None else self.sampler.settle()

    def current_weights(self, seq: np.ndarray) -> np.ndarray:
        """Weights now: of the running policy's rows as it says, of earlier rows as they were."""
        buffer, sampler = self.buffer, self.sampler
        weight = np.array(buffer.numbers("weight"))
        ours = np.flatnonzero(seq >= self.since)
        now = None if sampler is None else sampler.weights(seq[ours])
        if now is not None:
            weight[ours] = now * buffer.numbers("_weight")[ours] if buffer.has("_weight") else now
        return weight

    @property
    def is_sampling(self) -> bool:
        """Whether any row may stand for events that are not there."""
        return self.changes > 1 or self.policy is not None

    def facts(self) -> dict[str, Any]:
        """What a sampled frame remembers; {} while every row stands for itself."""
        if not self.is_sampling:
            return {}
        alone = self.policy if self.changes == 1 else None
        return {"sampled": True, "sampler": repr(self.policy), "sized_by": getattr(alone, "sized_by", None)}

    def effective_size(self) -> float:
        """Kish's effective sample size of the kept rows."""
        weight = self.buffer.numbers("weight")
        if weight.strides == (0,):  # one number for all: a look at many rows must cost nothing
            return float(len(weight))
        return float(weight.sum() ** 2 / np.square(weight).sum()) if len(weight) else 0.0

    def strata(self) -> dict[Any, dict[str, int]]:
        """Events seen and rows kept by the running policy, by stratum."""
        strata = {} if self.sampler is None else self.sampler.strata()
        return {label: {"seen": int(seen), "kept": int(kept)} for label, (seen, kept) in strata.items()}
