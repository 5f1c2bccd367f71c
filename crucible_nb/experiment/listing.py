"""The table of experiments: a DataFrame with a compact repr."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from crucible_nb.utils import html
from crucible_nb.utils.text import brief

_HEADER = ("name", "status", "condition", "events", "kept", "active s", "errors")


class Experiments(pd.DataFrame):
    """The result of `cr.experiments()`: a DataFrame with its own repr; slices are plain DataFrames."""

    _picture: Callable[[str], str] | None = None

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _lines(self) -> list[list[str]]:
        columns = ("name", "status", "condition", "total_events", "kept_events", "active_duration", "errors")
        return [
            [brief(name, 40), status, "–" if pd.isna(condition) else brief(condition, 20), _number(total),
             _number(kept), _number(active, ",.1f"), _number(errors)]
            for name, status, condition, total, kept, active, errors in zip(*map(self.get, columns), strict=True)
        ]  # fmt: skip

    def __repr__(self) -> str:
        if not len(self):
            return "no experiments"
        rows = [list(_HEADER), *self._lines()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        draw = self._picture or (lambda _: "")
        rows = [[*line, html.Raw(draw(str(key)))] for line, key in zip(self._lines(), self.index, strict=True)]
        return html.view(html.table(rows, (*_HEADER, "latency and success"), f"{len(rows)} experiments"))


def _number(value: Any, spec: str = ",") -> str:
    """Format a number; a text, as of an unreadable experiment, is shown as it is, a missing value as a dash."""
    if isinstance(value, str):
        return brief(value, 40)
    return "–" if pd.isna(value) else f"{value:{spec}}" if spec != "," else f"{int(value):,}"


def make_listing(
    rows: Sequence[Mapping[str, Any]], ids: Sequence[str], columns: Sequence[str], picture: Callable[[str], str]
) -> Experiments:
    """Build the table of experiments.

    Args:
        rows: Facts, one mapping per experiment.
        ids: Ids of the experiments.
        columns: Names of the facts.
        picture: Callable (id) -> small picture of the experiment, or "".
    """
    table = Experiments(list(rows), index=pd.Index(list(ids), name="id", dtype="str"), columns=list(columns))
    object.__setattr__(table, "_picture", picture)
    return table
