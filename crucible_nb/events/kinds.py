"""Kinds of the columns of an experiment: registered, or inferred from the first known value and widened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.batch import Categories, Column
from crucible_nb.events.coerce import fit, is_missing, kind_of, refit
from crucible_nb.events.dtypes import arrow_array
from crucible_nb.events.scalars import EXACT
from crucible_nb.events.schema import COLUMNS, Kind

Fitted = tuple[Column | None, dict[int, Any]]
"""A column (None when all values are missing), and the values that did not fit, by row."""

_WHOLE = {int, type(None)}
_FLAGS = {bool, type(None)}


class Columns:
    """Kinds of the columns of one experiment, and the dictionaries of its categories.

    A registered column has its kind, a column whose name ends in `_id` is text, any other takes the kind of its first
    known value. It widens from booleans to whole numbers to floats when it meets a number that it cannot hold, as
    long as every whole number so far is exact as a float.

    Attributes:
        kinds: Kind of each column.
        dictionaries: Dictionary of each category column.
        appeared: Columns that have been in a batch, whose order is fixed.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {name: column.kind for name, column in COLUMNS.items()}
        self.dictionaries: dict[str, Categories] = {
            name: Categories() for name, column in COLUMNS.items() if column.kind == "category"
        }
        self.appeared: set[str] = set()
        self._large: set[str] = set()

    def dictionary(self, name: str) -> Categories | None:
        """Return the dictionary of a category column, None for others."""
        return self.dictionaries.get(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        labels = {name: list(dictionary.values) for name, dictionary in self.dictionaries.items()}
        return {"kinds": dict(self.kinds), "large": sorted(self._large), "labels": labels}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state; dictionaries stay the same objects, because other stages refer to them."""
        self.kinds, self._large = dict(state["kinds"]), set(state["large"])
        for name, labels in state["labels"].items():
            dictionary = self.dictionaries.setdefault(name, Categories())
            for label in labels:
                dictionary.code(label)

    def fit(self, name: str, values: list[Any]) -> Fitted:
        """Convert plain Python values to the kind of a column."""
        kind = self.kinds.get(name)
        if kind is None:
            known = next((value for value in values if not is_missing(value)), None)
            if known is None:
                return _all_missing(values)
            kind = self.kinds[name] = "string" if name.endswith("_id") else kind_of(known)
        if kind not in ("integer", "boolean") or name in COLUMNS:
            return fit(name, kind, values, self.dictionary(name))
        types = set(map(type, values))
        if kind == "boolean" and types <= _FLAGS:
            return fit(name, kind, values, None)
        if kind == "boolean" or name in self._large or not types <= _WHOLE:
            return fit(name, self._widen(name, kind, values), values, None)
        column, misfits = fit(name, kind, values, None)
        if misfits or ((column.values > EXACT) | (column.values < -EXACT)).any():
            self._large.add(name)
        return column, misfits

    def _widen(self, name: str, kind: Kind, values: Iterable[Any]) -> Kind:
        """Return the kind that can hold the numbers among the values, taken in order."""
        for value in values:
            if type(value) is int and abs(value) > EXACT:
                self._large.add(name)
            if type(value) not in (int, float) or value != value or (kind == "boolean" and value in (0, 1)):
                continue
            fraction = type(value) is float and not (value.is_integer() and abs(value) <= EXACT)
            if fraction and name not in self._large:
                kind = "float"
                break
            kind = "integer"
        self.kinds[name] = kind
        return kind

    def refit(self, name: str, column: Column) -> Fitted:
        """Convert booleans, integers or floats to the kind of a column, as `fit` does, without a loop."""
        kind = self.kinds.get(name)
        if kind is None and not column.known().any():
            return column, {}
        if kind is None:
            kind = self.kinds[name] = "string" if name.endswith("_id") else column.kind
        if kind in ("integer", "boolean") and name not in COLUMNS:
            kind = self._widen_at_once(name, kind, column, column.known())
        return refit(name, kind, column, self.dictionary(name))

    def _widen_at_once(self, name: str, kind: Kind, column: Column, known: np.ndarray) -> Kind:
        """Widen for a typed column: all its numbers are integers, or all are floats, so their order does not matter."""
        values = column.values[known]
        if column.kind == "integer" and ((values > EXACT) | (values < -EXACT)).any():
            self._large.add(name)
        if column.kind == "boolean" or (kind == "boolean" and ((values == 0) | (values == 1)).all()):
            return kind
        fractions = column.kind == "float" and not ((values == np.floor(values)) & (np.abs(values) <= EXACT)).all()
        kind = self.kinds[name] = "float" if fractions and name not in self._large else "integer"
        return kind

    def fit_text(self, name: str, series: pd.Series) -> Fitted:
        """Convert a text column; in a column of another kind no value fits."""
        if series.isna().all() and name not in self.kinds:
            return None, {}
        kind = self.kinds.setdefault(name, "string")
        if kind == "category":
            return _codes(self.dictionaries[name], series), {}
        if kind == "string":
            return _texts(series), {}
        return fit(
            name, kind, [None if gone else value for value, gone in zip(series, series.isna(), strict=True)], None
        )


def _codes(dictionary: Categories, series: pd.Series) -> Column:
    """Return category codes; new labels are added in order of first appearance, as by `record`."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, values = series.cat.codes.to_numpy(), series.cat.categories
    else:
        codes, values = pd.factorize(series)
    last = int(codes.max(initial=-1))
    if any(value not in dictionary for value in values[: last + 1]):
        for code in pd.unique(codes[codes >= 0].astype(np.int64)).tolist():
            dictionary.code(values[code])
    mapped = [dictionary.find(value) for value in values[: last + 1]]
    if mapped == list(range(last + 1)):
        return Column("category", codes)
    return Column("category", np.array([*mapped, -1], np.int32)[codes])  # the last one is for -1, missing


def _texts(series: pd.Series) -> Column:
    text = series.astype("str") if isinstance(series.dtype, pd.CategoricalDtype) else series
    return Column("string", arrow_array(text).cast(pa.large_string()))


def _all_missing(values: list[Any]) -> Fitted:
    """Return a float column if any value is NaN (its kind is decided by the first known value), else no column."""
    if any(value is not None for value in values):
        return Column("float", np.full(len(values), np.nan)), {}
    return None, {}
