"""Staged rows into a batch of typed columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from crucible_nb.errors import ConfigError
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.coerce import EXACT, fit, kind_of, text_cells
from crucible_nb.events.scalars import EXTRA, to_json
from crucible_nb.events.schema import COLUMNS, RESERVED, Kind
from crucible_nb.utils import checks
from crucible_nb.utils.checks import text_of
from crucible_nb.utils.problems import Problems

STANDARD = ("event", "latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens")
"""The columns that have a place of their own in a staged row, in order, after the clock reading."""

WIDTH = len(STANDARD) + 2
"""Cells of a staged row: clock reading, the standard columns, a mapping of all other keywords or None."""

_WHOLE = {int, type(None)}


class Columns:
    """What the columns of one experiment are: kinds of the known ones, kinds that others took, dictionaries.

    A column takes the kind of its first value. Whole numbers that meet a fraction become floats, as long as
    every number so far is exact as one.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {name: column.kind for name, column in COLUMNS.items()}
        self.dictionaries: dict[str, Categories] = {
            name: Categories() for name, column in COLUMNS.items() if column.kind == "category"
        }
        self._large: set[str] = set()

    def dictionary(self, name: str) -> Categories | None:
        """The dictionary of a category column, None for others."""
        return self.dictionaries.get(name)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        labels = {name: list(dictionary.values) for name, dictionary in self.dictionaries.items()}
        return {"kinds": dict(self.kinds), "large": sorted(self._large), "labels": labels}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over; dictionaries stay the same objects, for others hold them."""
        self.kinds, self._large = dict(state["kinds"]), set(state["large"])
        for name, labels in state["labels"].items():
            dictionary = self.dictionaries.setdefault(name, Categories())
            for label in labels:
                dictionary.code(label)

    def fit(self, name: str, values: list[Any]) -> tuple[Column | None, dict[int, Any]]:
        """Cells of a column from Python values, None when all are missing; and what did not fit, by row."""
        kind = self.kinds.get(name)
        if kind is None:
            first = next((value for value in values if value is not None), None)
            if first is None:
                return None, {}
            kind = self.kinds[name] = kind_of(first)
        if kind != "integer" or name in COLUMNS or name in self._large:
            return fit(name, kind, values, self.dictionary(name))
        if not set(map(type, values)) <= _WHOLE:
            return fit(name, self._promoted(name, values), values, self.dictionary(name))
        cells, strangers = fit(name, kind, values, self.dictionary(name))
        if strangers or _rounds(cells.values):
            self._large.add(name)
        return cells, strangers

    def _promoted(self, name: str, values: list[Any]) -> Kind:
        """An inferred whole-number column turns to floats at its first fraction, unless that would round."""
        for value in values:
            if isinstance(value, float):
                self.kinds[name] = "float"
                return "float"
            if isinstance(value, int) and abs(value) > EXACT:
                self._large.add(name)
                break
        return "integer"


def _rounds(numbers: np.ndarray) -> bool:
    """Whether any of the whole numbers is not exact as a float."""
    return bool(((numbers > EXACT) | (numbers < -EXACT)).any())


def batch_of_rows(rows: list[Any], first_seq: int, columns: Columns, problems: Problems) -> Batch:
    """The typed batch of `len(rows) / WIDTH` staged rows, in order of recording; times are still raw."""
    batch = Batch(np.array(rows[0::WIDTH], np.int64), first_seq)
    misfits: dict[int, dict[str, Any]] = {}
    for place, name in enumerate(STANDARD, 1):
        values = rows[place::WIDTH]
        if values[0] is None and _empty(values):
            continue
        _settle(batch, name, values, columns, misfits)
    extras = rows[WIDTH - 1 :: WIDTH]
    if extras.count(None) < len(extras):
        _extras(batch, extras, columns, misfits)
    if misfits:
        _metadata(batch, misfits)
        names = sorted({name for row in misfits.values() for name in row})
        said = f"values that do not fit their column went to `metadata` (first: {', '.join(names[:3])})"
        problems.report("misfits", said, sum(map(len, misfits.values())))
    return batch


def _empty(values: list[Any]) -> bool:
    """Whether all values are missing."""
    try:
        return values.count(None) == len(values)
    except ValueError:  # an array does not say whether it equals None
        return False


def _settle(batch: Batch, name: str, values: list[Any], columns: Columns, misfits: dict[int, dict[str, Any]]) -> None:
    cells, strangers = columns.fit(name, values)
    if cells is not None:
        batch.cells[name] = cells
    for row, value in strangers.items():
        misfits.setdefault(row, {})[name] = value


def _extras(
    batch: Batch, extras: list[dict[Any, Any] | None], columns: Columns, misfits: dict[int, dict[str, Any]]
) -> None:
    for key, values in _by_name(extras).items():
        if key is EXTRA:
            batch.cells["metadata"] = text_cells(values)
            continue
        name = text_of(key)
        if name == "time":
            _times(batch, values, misfits)
        elif name in RESERVED or name == "metadata":
            for row, value in enumerate(values):
                if value is not None:
                    misfits.setdefault(row, {})[name] = value
        else:
            _settle(batch, name, values, columns, misfits)


def _by_name(extras: list[dict[Any, Any] | None]) -> dict[Any, list[Any]]:
    """Rows of mappings turned into columns, in order of first appearance."""
    first = extras[0]
    if first is not None and extras.count(None) == 0:
        try:
            table = {name: [extra[name] for extra in extras] for name in first}  # type: ignore[index]
        except KeyError:
            table = {}
        if table and sum(map(len, extras)) == len(first) * len(extras):  # type: ignore[arg-type]
            return table
    table = {}
    for row, extra in enumerate(extras):
        for name, value in (extra or {}).items():
            table.setdefault(name, [None] * len(extras))[row] = value
    return table


def _times(batch: Batch, values: list[Any], misfits: dict[int, dict[str, Any]]) -> None:
    """Times given by the caller; the batch remembers which, because they are not steadied."""
    given = np.zeros(len(batch), np.bool_)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            batch.time[row] = checks.instant("time", value)
            given[row] = True
        except (ConfigError, OverflowError):
            misfits.setdefault(row, {})["time"] = value
    batch.given = given


def _metadata(batch: Batch, misfits: Mapping[int, dict[str, Any]]) -> None:
    """Add what did not fit to the JSON of its row."""
    cells = batch.cells.get("metadata")
    texts = [None] * len(batch) if cells is None else cells.values.to_pylist()
    for row, values in misfits.items():
        text = texts[row]
        texts[row] = to_json({**(json.loads(text) if text else {}), **values})
    batch.cells["metadata"] = text_cells(texts)
