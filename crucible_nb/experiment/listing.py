"""The table of experiments: a DataFrame with a compact repr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from crucible_nb.utils import html
from crucible_nb.utils.text import brief

_MOST = 100  # rows of the HTML
_HEADER = ("name", "status", "condition", "events", "kept", "active s", "errors")


VIEWERS: list[Callable[[Any], dict[str, Any]]] = []
"""The function of the notebook that shows a table; without it, as in a terminal, there is none."""


class Experiments(pd.DataFrame):
    """The result of `cr.experiments()`: a DataFrame with its own repr; slices are plain DataFrames."""

    _summaries: Callable[[], dict[str, Any]] = staticmethod(dict)
    _root: Any = None
    _picture: Callable[[str], str] | None = None
    _empty = "no experiments"

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002  IPython's names
        """Return the interactive table where a notebook can show one; IPython adds text and HTML."""
        return VIEWERS[0](self) if VIEWERS and len(self) else {}

    @property
    def store(self) -> Any:
        """The store that was listed; None for the experiments of this process."""
        return self._root

    def summaries(self) -> dict[str, Any]:
        """Return the summary of each run that can be read, by id; see `run_summary`."""
        return self._summaries()

    def set_summaries(self, summaries: Callable[[], dict[str, Any]], root: Any = None) -> None:
        """Keep a function that gives the summaries by id, and the store, for the interactive table."""
        object.__setattr__(self, "_summaries", summaries)
        object.__setattr__(self, "_root", root)

    def _lines(self) -> list[list[str]]:
        columns = ("name", "status", "condition", "total_events", "kept_events", "active_duration", "errors")
        return [
            [brief(name, 40), status, "–" if pd.isna(condition) else brief(condition, 20), _number(total),
             _number(kept), _number(active, ",.1f"), _number(errors)]
            for name, status, condition, total, kept, active, errors in zip(*map(self.get, columns), strict=True)
        ]  # fmt: skip

    def __repr__(self) -> str:
        if not len(self):
            return self._empty
        rows = [list(_HEADER), *self._lines()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        draw = self._picture or (lambda _: "")
        lines = list(zip(self._lines(), self.index, strict=True))[-_MOST:]
        rows = [[*line, html.Raw(draw(str(key)))] for line, key in lines]
        shown = f"{len(self)} experiments" if len(self) <= _MOST else f"the last {_MOST} of {len(self)} experiments"
        return html.view(html.table(rows, (*_HEADER, "latency and success"), shown))


def _number(value: Any, spec: str = ",") -> str:
    """Format a number; a text, as of an unreadable experiment, is shown as it is, a missing value as a dash."""
    if isinstance(value, str):
        return brief(value, 40)
    return "–" if pd.isna(value) else f"{value:{spec}}" if spec != "," else f"{int(value):,}"


_SHOWN = (
    "name", "status", "condition", "tags", "started_at", "stopped_at", "total_events", "kept_events",
    "wall_clock_duration", "active_duration", "errors",
)  # fmt: skip


def make_listing(
    experiments: Mapping[str, Mapping[str, Any]],
    values: Mapping[str, Mapping[str, float]] | None = None,
    picture: Callable[[str], str] = lambda _: "",
    empty: str = "no experiments",
) -> Experiments:
    """Build the table of experiments.

    Args:
        experiments: Summaries by id.
        values: Values of metrics by id, as further columns.
        picture: Callable (id) -> small picture of the experiment, or "".
        empty: Text of the repr without experiments.

    Returns:
        One row per experiment: facts, a column for every key of `metadata` (with "metadata." in front of a name that is
        taken), and the metrics.
    """
    values = values or {}
    metrics = list(dict.fromkeys(name for own in values.values() for name in own))
    taken = {*_SHOWN, *metrics}
    rows = [
        {key: facts.get(key) for key in _SHOWN}
        | {_free(str(key), taken): value for key, value in (facts.get("metadata") or {}).items()}
        | dict(values.get(identity, {}))
        for identity, facts in experiments.items()
    ]
    own = dict.fromkeys(key for row in rows for key in row if key not in taken)
    columns = [*_SHOWN, *own, *metrics]
    table = Experiments(rows, index=pd.Index(list(experiments), name="id", dtype="str"), columns=columns)
    object.__setattr__(table, "_picture", picture)
    object.__setattr__(table, "_empty", empty)
    return table


def _free(key: str, taken: set[str]) -> str:
    return f"metadata.{key}" if key in taken else key
