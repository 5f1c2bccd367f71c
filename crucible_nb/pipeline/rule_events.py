"""Events of a batch for the rules: numbers, conditions and groups, each read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import CrucibleError
from crucible_nb.events.batch import Batch, Categories
from crucible_nb.events.conditions import Cells, parse_condition
from crucible_nb.events.durations import begins_of
from crucible_nb.events.ids import identifiers
from crucible_nb.pipeline.rule_terms import Observed, Terms

NEVER = int(np.iinfo(np.int64).max)


class Past(NamedTuple):
    """Edges of the time of all events before a batch.

    Attributes:
        newest: Newest time, UTC nanoseconds; None without an event.
        began: First start of an event (time - latency), UTC nanoseconds; the largest integer without one.
    """

    newest: int | None = None
    began: int = NEVER


Known = tuple[np.ndarray, np.ndarray]
"""Numbers, float64[n], and which of them are known, bool[n]."""


class RuleEvents:
    """A batch as the rules read it.

    Args:
        batch: Events in recording order, at least one.
        dictionaries: Dictionary of each category column.
        past: Edges of the time of the events before the batch.
        report: Called with a sentence where a condition cannot be evaluated; its events are then unknown.

    Attributes:
        after: Edges of the time of all events up to the end of the batch.
    """

    def __init__(
        self,
        batch: Batch,
        dictionaries: Mapping[str, Categories],
        past: Past = Past(),  # noqa: B008  a constant
        report: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.batch, self._dictionaries, self._report = batch, dictionaries, report
        self.past, newest = past, np.maximum.accumulate(batch.time)
        self.clock = newest if past.newest is None else np.maximum(newest, past.newest)
        latency = batch.cells.get("latency_ms")
        begins = begins_of(batch.time, None if latency is None else latency.floats())
        began = np.minimum.accumulate(np.concatenate(([past.began], begins)))
        self.after = Past(int(self.clock[-1]), int(began[-1]))
        self._moments = (batch.time, self.clock, np.arange(len(batch)), begins, began[:-1])
        self._read: dict[tuple[str | None, bool, str | None], Known] = {}

    def observe(self, terms: Terms) -> Observed:
        """Return the events with the numbers that count for a statistic."""
        key = (terms.column, terms.outcome, terms.condition)
        if key not in self._read:
            self._read[key] = self._values(terms)
        values, known = self._read[key]
        if terms.per_column is None:
            return Observed(*self._moments, values, known)
        per, both = self._numbers(terms.per_column)
        return Observed(*self._moments, values, known & both, per)

    def observe_given(self, column: str) -> Observed:
        """Return the events with a column, of which NaN that was given counts as well."""
        values, known = self._numbers(column)
        given = self.batch.nans.get(column)
        known = known if given is None else known | given
        return Observed(*self._moments, values, known)

    def _values(self, terms: Terms) -> Known:
        if terms.condition is not None:
            return self._condition(terms.condition)
        if terms.column is None:
            return np.ones(len(self.batch)), np.ones(len(self.batch), np.bool_)
        values, known = self._numbers(terms.column)
        if terms.column == "success" and terms.statistic in ("share", "count"):
            values = np.where(known, (values == terms.outcome).astype(np.float64), np.nan)
        return values, known

    def _numbers(self, column: str) -> Known:
        cells = self.batch.cells.get(column)
        if cells is None or cells.kind in ("category", "string"):
            return np.full(len(self.batch), np.nan), np.zeros(len(self.batch), np.bool_)
        values = cells.floats()
        return values, ~np.isnan(values)

    def _condition(self, text: str) -> Known:
        try:
            values, known = parse_condition(text, "rule").evaluate(self._cells)
        except CrucibleError as error:
            self._report(f"a rule could not be evaluated: {error}")
            values, known = np.zeros(1, np.bool_), np.zeros(1, np.bool_)
        shape = len(self.batch)
        known = np.broadcast_to(known, shape)
        return np.where(known, np.broadcast_to(values, shape), np.nan).astype(np.float64), known.copy()

    def _cells(self, name: str) -> Cells:
        if name == "time":
            return Cells(self.batch.time.view("datetime64[ns]"), np.ones(len(self.batch), np.bool_))
        cells = self.batch.cells.get(name)
        if cells is None:
            return Cells(np.zeros(len(self.batch)), np.zeros(len(self.batch), np.bool_))
        if cells.kind in ("category", "string"):
            texts = self._texts(name)
            return Cells(texts, np.array([text is not None for text in texts.tolist()], np.bool_))
        if cells.kind in ("boolean", "flag"):
            return Cells(np.asarray(cells.values, np.bool_), cells.known())
        values = cells.floats()
        return Cells(values, ~np.isnan(values))

    def _texts(self, name: str) -> np.ndarray:
        cells = self.batch.cells[name]
        if cells.kind == "category":
            labels = np.array([*self._dictionaries[name].values, None], object)
            return np.asarray(labels[cells.values])
        return np.array(cells.values.to_pylist(), object)

    def groups(self, by: str) -> np.ndarray:
        """Return the group of each event as text, None where it has none; whole numbers are their digits."""
        cells = self.batch.cells.get(by)
        if cells is None:
            return np.full(len(self.batch), None, object)
        if cells.kind in ("category", "string"):
            return self._texts(by)
        if cells.kind in ("boolean", "flag"):
            labels = np.array(["False", "True", None], object)
            return np.asarray(labels[np.where(cells.known(), cells.values.astype(np.int64), 2)])
        texts, is_no_id = identifiers(cells)
        texts[is_no_id] = [repr(value) for value in cells.values[is_no_id].tolist()]
        texts[~cells.known()] = None
        return texts
