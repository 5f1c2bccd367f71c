"""Importance sampling: a fixed number of events, with probabilities that grow with their size (priority sampling)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from crucible_nb.accumulators import LogHistogram
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.stratified import By, check_by
from crucible_nb.utils import checks

_REFRESH = 4096


class Priorities:
    """A priority sample: the `size` events with the largest priority, size / random number.

    The event with the next priority t, the threshold, is stored too; an event of size w has the weight max(1, t / w).
    New events above the threshold wait until they are as many as the sample; then the smallest are removed at once.
    `settle` removes them now. The final sample does not depend on when that happens.

    Args:
        size: Number of events to keep.

    References:
        Duffield, Lund, Thorup: Priority sampling for estimation of arbitrary subset sums. JACM 54 (2007).
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self.threshold = 0.0
        # sequence number, size and random number of the sample; the last column is the first event outside of it
        self._rows = np.empty((3, 0))
        self._waiting: list[np.ndarray] = []

    def add(self, seq: np.ndarray, w: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add events with their sizes > 0 and random numbers in (0, 1].

        Returns:
            Positions of the events that enter, and sequence numbers of the events removed, possibly of the same block.
        """
        self.seen += len(seq)
        entering = np.flatnonzero(w / u > self.threshold)
        self._waiting.append(np.stack((seq[entering], w[entering], u[entering])))
        full = sum(rows.shape[1] for rows in self._waiting) > self.size
        return entering, self.settle() if full else np.empty(0, np.int64)

    def settle(self) -> np.ndarray:
        """Reduce the sample to `size` events; return the sequence numbers of the removed events."""
        if not self._waiting:
            return np.empty(0, np.int64)
        outside = self._rows[0, self.size :]  # removed already
        rows = np.concatenate((self._rows, *self._waiting), axis=1)
        self._waiting = []
        priority = rows[1] / rows[2]
        order = np.argsort(-priority, kind="stable")
        self._rows, removed = rows[:, order[: self.size + 1]], rows[0, order[self.size :]]
        if len(removed):
            self.threshold = float(priority[order[self.size]])
        return np.asarray(removed[np.isin(removed, outside, invert=True)], np.int64)

    def set_sizes(self, size: float) -> None:
        """Set the size of all events so far, which have been of one size, so that their order stays."""
        for rows in (self._rows, *self._waiting):
            rows[1] = size
        self.threshold = size / self._rows[2, self.size] if self._rows.shape[1] > self.size else 0.0

    def members(self) -> tuple[np.ndarray, np.ndarray]:
        """Return sequence numbers and weights of the sample, ascending; call `settle` first."""
        seq, w, _ = self._rows[:, : self.size]
        order = np.argsort(seq)
        return seq[order].astype(np.int64), self.weight_of(w[order])

    def weight_of(self, w: np.ndarray) -> np.ndarray:
        """Return the weights of events of these sizes."""
        return np.maximum(1.0, self.threshold / w)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data, waiting events included."""
        rows = np.concatenate((self._rows, *self._waiting), axis=1)
        return {"seen": self.seen, "settled": self._rows.shape[1], "rows": rows.tolist(), "threshold": self.threshold}

    @classmethod
    def from_dict(cls, size: int, state: dict[str, Any]) -> Priorities:
        """Rebuild a sample from the result of `to_dict`."""
        sample, rows, settled = cls(size), np.array(state["rows"], np.float64).reshape(3, -1), state["settled"]
        sample.seen, sample.threshold = state["seen"], state["threshold"]
        sample._rows, waiting = rows[:, :settled], rows[:, settled:]
        sample._waiting = [waiting] if waiting.shape[1] else []
        return sample


@dataclass(eq=False)
class Importance(Sampler):
    """Keep a fixed number of events, with probabilities that grow with their size (priority sampling).

    The size of an event is its value plus the mean of the values before it, so that every event has a positive
    probability; missing and negative values are replaced by that mean. Events above a quantile of the values before
    them form a separate sample, the tail: at most `size` further rows, all kept until there are more.

    Args:
        size: Number of rows to keep.
        by: Column of numbers, such as "cost_usd" or "latency_ms", or a callable DataFrame -> one size per row.
        keep_above: Quantile at which the tail begins: "p99", "p99.9", a number in (0, 1), or None for no tail.

    Raises:
        ConfigError: An argument is not accepted.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> frame = pd.DataFrame({"cost_usd": np.random.default_rng(0).pareto(1.5, 10_000)})
        >>> rows = cr.sampling.sample(frame, cr.sampling.Importance(400), seed=1)
        >>> len(rows) <= 800, bool(abs((rows.weight * rows.cost_usd).sum() / frame.cost_usd.sum() - 1) < 0.05)
        (True, True)
    """

    size: int
    by: By = "cost_usd"
    keep_above: str | float | None = "p99"
    revises = True
    restorable = True

    def __post_init__(self) -> None:
        self.size, self.by = checks.whole("size", self.size, ge=1), check_by(self.by)
        self._quantile = None if self.keep_above is None else _check_quantile("keep_above", self.keep_above)
        self.sized_by = None if callable(self.by) else self.by

    def start(self) -> None:
        self._body, self._tail = Priorities(self.size), Priorities(self.size)
        self._values, self._refresh, self._tail_start = LogHistogram(), 32, np.inf
        self._total, self._known = 0.0, 0

    def choose(self, events: EventColumns) -> Choice:
        values = self._values_of(events)
        w, u = self._sizes(values), 1.0 - self.random.next(len(events))
        tail = self._in_tail(values)
        keep, weight, removals = np.zeros(len(events), np.bool_), np.ones(len(events)), []
        for sample, inside in ((self._body, ~tail), (self._tail, tail)):
            rows = np.flatnonzero(inside)
            entering, removed = sample.add(events.seq[rows], w[rows], u[rows])
            keep[rows[entering]] = True
            weight[rows] = sample.weight_of(w[rows])
            removals.append(removed)
        removed = np.concatenate(removals)
        if len(removed):
            in_block = removed >= events.seq[0]
            keep[removed[in_block] - events.seq[0]] = False
            removed = removed[~in_block]
        return Choice(keep, weight, removed)

    def settle(self) -> np.ndarray:
        return np.concatenate((self._body.settle(), self._tail.settle()))

    def _values_of(self, events: EventColumns) -> np.ndarray:
        """Return the value of each event; NaN where missing, negative or infinite."""
        values = pd.Series(self.by(events.frame())) if callable(self.by) else events[self.by]
        values = np.asarray(values, np.float64)
        if values.shape != (len(events),):
            raise checks.wrong("by", self.by, f"one size per event ({len(events)}), got {values.shape}")
        with np.errstate(invalid="ignore"):
            return np.where((values >= 0) & (values < np.inf), values, np.nan)

    def _sizes(self, values: np.ndarray) -> np.ndarray:
        """Add the mean of the values before to each value; the sum starts with the carry, so no cut changes a bit."""
        known = ~np.isnan(values)
        x = np.where(known, values, 0.0)
        total = np.cumsum(np.concatenate(([self._total], x)))
        count = np.cumsum(np.concatenate(([self._known], known)))
        mean = total[:-1] / np.maximum(count[:-1], 1)
        w: np.ndarray = np.where(known, x, mean) + mean
        if not self._total > 0:
            self._set_first_sizes(w, x)
        self._total, self._known = float(total[-1]), int(count[-1])
        return w

    def _set_first_sizes(self, w: np.ndarray, x: np.ndarray) -> None:
        """Set the sizes of all events before the first positive value: its size, or 1 until it is known."""
        first = int(np.argmax(x > 0)) if (x > 0).any() else len(x)
        size = x[first] if first < len(x) else 1.0
        w[:first] = size
        self._body.set_sizes(size)

    def _in_tail(self, values: np.ndarray) -> np.ndarray:
        """Return which values exceed the quantile of the past; it is recomputed at fixed numbers of events."""
        tail, done = np.zeros(len(values), np.bool_), 0
        if self._quantile is None:
            return tail
        while done < len(values):
            stop = min(len(values), done + self._refresh - self._values.count - self._values.missing)
            part = values[done:stop]
            tail[done:stop] = part > self._tail_start
            self._values.update(part)
            done = stop
            if self._values.count + self._values.missing == self._refresh:
                start = self._values.quantile(self._quantile)
                self._tail_start = np.inf if np.isnan(start) else float(start)  # no tail before the first value
                self._refresh += min(_REFRESH, self._refresh // 2)
        return tail

    def weights(self, seq: np.ndarray) -> np.ndarray:
        parts = [self._body.members(), self._tail.members()]
        seqs, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(seqs)
        return np.asarray(weight[order[np.searchsorted(seqs, seq, sorter=order)]])

    def strata(self) -> dict[Any, tuple[int, int]]:
        """Return the numbers of events seen and rows kept, of the body and of the tail."""
        samples = {"body": self._body, "tail": self._tail}
        return {label: (sample.seen, len(sample.members()[0])) for label, sample in samples.items() if sample.seen}

    def to_dict(self) -> dict[str, Any]:
        tail_start = None if np.isinf(self._tail_start) else self._tail_start
        return {
            **super().to_dict(),
            "body": self._body.to_dict(),
            "tail": self._tail.to_dict(),
            "values": self._values.to_dict(),
            "past": [self._refresh, tail_start, self._total, self._known],
        }

    def from_dict(self, state: dict[str, Any]) -> Self:
        sampler = super().from_dict(state)
        sampler._body = Priorities.from_dict(self.size, state["body"])
        sampler._tail = Priorities.from_dict(self.size, state["tail"])
        sampler._values = LogHistogram.from_dict(state["values"])
        sampler._refresh, tail_start, sampler._total, sampler._known = state["past"]
        sampler._tail_start = np.inf if tail_start is None else tail_start
        return sampler


def _check_quantile(name: str, value: Any) -> float:
    """Check for a quantile: "p99", "p99.9" or a number in (0, 1); return the number."""
    if isinstance(value, str):
        match = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", value)
        value = float(match[1]) / 100 if match else value
    if isinstance(value, str):
        raise checks.wrong(name, value, "a quantile such as 'p99', a number in (0, 1), or None")
    return checks.number(name, value, gt=0, lt=1)
