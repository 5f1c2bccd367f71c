"""The cells of a staged row from what callers hand in: fields that are no scalars, values in mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crucible_nb.events.rows import STANDARD
from crucible_nb.events.scalars import EXTRA, Rest, settle, to_json
from crucible_nb.utils.problems import Problems


def settled(fields: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Fields with scalars as they are; what is none goes to `metadata`, counted."""
    plain, strangers = settle(fields)
    if strangers:
        said = f"values that are no scalars went to `metadata` as JSON (first: {', '.join(strangers[:3])})"
        problems.report("misfits", said, len(strangers))
    return plain  # type: ignore[return-value]


def merged(
    time: int, values: Any, standard: tuple[Any, ...], extra: dict[Any, Any] | None, problems: Problems
) -> tuple[Any, ...]:
    """A staged row whose values came in a mapping; keywords win over it."""
    if not isinstance(values, Mapping):
        values = {"values": values}
    found: dict[Any, Any] = settled({str(name): value for name, value in values.items()}, problems)
    given = dict(zip(STANDARD, standard, strict=True))
    for name in STANDARD[1:]:
        value = found.pop(name, None)
        given[name] = value if given[name] is None else given[name]
    row: dict[Any, Any] = {**found, **(extra or {})}
    if EXTRA in row:
        row[EXTRA] = row.pop(EXTRA)  # last, as without a mapping
    if extra is not None and EXTRA in extra and EXTRA in found:
        both = to_json({**json.loads(found[EXTRA]), **json.loads(extra[EXTRA])})
        row[EXTRA] = Rest(both, found[EXTRA].strangers + extra[EXTRA].strangers)
    return (time, *given.values(), row or None)


def row_of(time: int, event: str | None, fields: dict[str, Any], problems: Problems) -> tuple[Any, ...]:
    """A staged row from one mapping, as `extend` takes them from a list."""
    name = fields.pop("event", None) if event is None else event
    return merged(time, fields, (name, *[None] * (len(STANDARD) - 1)), None, problems)
