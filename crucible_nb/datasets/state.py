"""The one seam of datasets: the state of record batches, and the merge of two states.

Every executor runs these two functions: threads, processes, dask, or a loop of one's own. States are exact, so they may
be merged in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import pandas as pd

from crucible_nb.datasets.batches import Batch, Shape
from crucible_nb.datasets.units import ANYWHERE, Place, Unit, naming
from crucible_nb.errors import StoreError
from crucible_nb.events.where import Where, select


class State(Protocol):
    """Mergeable summary of rows, from which a question is answered."""

    def add(self, rows: pd.DataFrame, first: int) -> None:
        """Add rows, in place; `first` is the number of the first one in the dataset."""

    def close(self) -> None:
        """Reduce what no other unit can change: called once, after the last row of a unit."""

    def merge(self, other: Self) -> Self:
        """Add the state of other rows, in place; return this state."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base class of questions about the rows of a dataset, in a form that can be sent to another process.

    Attributes:
        columns: Columns that it reads; None for all.
        where: Condition on the rows.
        shape: How rows are brought into one shape.
    """

    columns: tuple[str, ...] | None = None
    where: Where = None
    shape: Shape = field(default_factory=Shape)

    def empty(self, place: Place) -> Any:
        """Return the state of no rows, for a unit at a place."""
        raise NotImplementedError


class Measured(NamedTuple):
    """Result of a unit.

    Attributes:
        state: Its state.
        rows: Rows read, before any condition.
    """

    state: Any
    rows: int


def state_of(batches: Iterable[Batch], spec: Spec, place: Place = ANYWHERE) -> Any:
    """Compute the state of record batches, or of frames.

    Args:
        batches: Rows of one unit, in order.
        spec: The question.
        place: Place of the unit in the dataset.

    Raises:
        SchemaError: Values that are no numbers, or cannot be told apart.

    Examples:
        >>> import pyarrow as pa
        >>> from crucible_nb.datasets.metrics import MetricsSpec
        >>> batches = [pa.record_batch({"latency_ms": values}) for values in ([1.0, 2.0], [6.0])]
        >>> state = merge(*(state_of([batch], MetricsSpec()) for batch in batches))
        >>> state.groups.total().column("latency_ms").mean
        3.0
    """
    return _measured(batches, spec, place, lambda: False).state


def merge(one: Any, other: Any) -> Any:
    """Merge the states of different rows, in any order; the first is changed and returned.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.datasets.metrics import MetricsSpec
        >>> one, two = (state_of([pd.DataFrame({"cost_usd": [x]})], MetricsSpec()) for x in (1.0, 2.0))
        >>> merge(one, two).groups.total().event_count
        2
    """
    return one.merge(other)


class Stopped(Exception):  # noqa: N818  no error
    """Work that was given up because its result is no longer wanted."""


def measure(spec: Spec, unit: Unit, stopped: Callable[[], bool] = lambda: False) -> Measured:
    """Compute the state of a unit; any error names it.

    Args:
        spec: The question.
        unit: The unit.
        stopped: Function that tells between two batches whether to give up.

    Raises:
        StoreError: The unit cannot be read, or has another number of rows than its footer says.
        Stopped: The result is no longer wanted.
    """
    columns = None if spec.columns is None else [spec.shape.stored(name) for name in spec.columns]
    measured = _measured(unit.batches(columns), spec, unit.place, stopped, unit.name)
    if unit.rows is not None and measured.rows != unit.rows:
        raise StoreError(f"{unit.name}: it has {measured.rows:,} rows, its footer says {unit.rows:,}")
    return measured


def _measured(
    batches: Iterable[Batch], spec: Spec, place: Place, stopped: Callable[[], bool], name: str = ""
) -> Measured:
    state, rows = spec.empty(place), 0
    for frame in spec.shape.frames(batches, spec.columns or ()):
        if stopped():
            raise Stopped
        chosen = select(frame, spec.where)  # an error of the condition is not one of the unit
        if len(chosen):
            with naming(name):
                state.add(chosen, place.number + rows)
        rows += len(frame)
    state.close()
    return Measured(state, rows)
