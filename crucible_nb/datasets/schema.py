"""One schema of many files: columns that are missing in some, types that differ between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from crucible_nb.errors import SchemaError
from crucible_nb.events.dtypes import Family, family_of, is_text
from crucible_nb.metrics.columns import is_own
from crucible_nb.utils.checks import suggestion

_NUMBERS: frozenset[str] = frozenset({"integer", "float", "decimal"})


class Use(NamedTuple):
    """The type of a column in a part of a dataset.

    Attributes:
        kind: Arrow type.
        part: Name of the first part with this type.
    """

    kind: Any
    part: str


class Schema:
    """The columns of all parts, with every type that each has.

    Examples:
        >>> schema = Schema()
        >>> schema.see("a.parquet", pa.schema({"latency_ms": pa.int64()}))
        >>> schema.see("b.parquet", pa.schema({"latency_ms": pa.string(), "model": pa.string()}))
        >>> schema.names
        ['latency_ms', 'model']
        >>> schema.check(["latency_ms"])
        Traceback (most recent call last):
        ...
        crucible_nb.errors.SchemaError: latency_ms is int64 in a.parquet and string in b.parquet; \
expected one type in all
    """

    def __init__(self) -> None:
        self._uses: dict[str, dict[Any, Use]] = {}

    def see(self, part: str, schema: Iterable[pa.Field]) -> None:
        """Add the schema of a part; columns without a value have no type yet."""
        for field in schema:
            uses = self._uses.setdefault(field.name, {})
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if not pa.types.is_null(kind):
                uses.setdefault(str(kind), Use(kind, part))

    @property
    def names(self) -> list[str]:
        """Names of all columns, in order of first appearance."""
        return list(self._uses)

    def types(self, name: str) -> list[Any]:
        """Return the different types of a column; none if it has no value anywhere."""
        return [use.kind for use in self._uses[name].values()]

    def require(self, columns: Iterable[str], argument: str) -> None:
        """Refuse columns that are in no part.

        Raises:
            SchemaError: The message names the column, and the nearest one.
        """
        for name in columns:
            if name not in self._uses:
                near, shown = suggestion(name, self._uses), ", ".join(self._uses) or "none"
                raise SchemaError(f"{argument}={name!r}: no such column; available: {shown}{near}")

    def check(self, columns: Iterable[str]) -> None:
        """Refuse columns that are text in one part and numbers in another.

        Raises:
            SchemaError: The message names the column and the parts.
        """
        for name in columns:
            uses = list(self._uses[name].values())
            other = next((use for use in uses if _class(use.kind) != _class(uses[0].kind)), None)
            if other is not None:
                raise SchemaError(
                    f"{name} is {uses[0].kind} in {uses[0].part} and {other.kind} in {other.part}; "
                    "expected one type in all"
                )

    def casts(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the type to which each column is converted whose types differ: groups are equal in all parts."""
        return {name: kind for name in names if name in self._uses and (kind := _common(self.types(name))) is not None}

    def numbers(self) -> list[str]:
        """Return the numeric columns that are not standard ones, without those that are something else in a part."""
        return [
            name
            for name, uses in self._uses.items()
            if is_own(name)
            and not name.startswith("_")
            and uses
            and all(_class(use.kind) in ("number", "duration") for use in uses.values())
        ]

    def texts(self, names: Iterable[str]) -> list[str]:
        """Return which of these columns hold text."""
        return [name for name in names if name in self._uses and any(map(is_text, self.types(name)))]


def _family(kind: Any) -> Family:
    import pandas as pd  # noqa: PLC0415  the dtype of pandas for an Arrow type

    return family_of(pd.ArrowDtype(kind))


def _class(kind: Any) -> str:
    """Return a name that is equal for types whose values mean the same: all numbers, or all text."""
    family = _family(kind)
    if family in _NUMBERS or family == "boolean":
        return "number"
    return str(kind) if family == "other" else family


def _common(types: Sequence[Any]) -> Any:
    """Return the type that holds the values of all; None if they need no conversion."""
    families = {_family(kind) for kind in types}
    if len(types) < 2 or families <= {"text"} or not families <= {*_NUMBERS, "boolean"}:
        return None
    return pa.float64() if families != {"integer"} else None
