"""The table of experiments: a DataFrame that shows what people look for first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from crucible_nb.utils import html
from crucible_nb.utils.text import brief

_HEADER = ("name", "status", "condition", "events", "kept", "active s", "errors")


class Experiments(pd.DataFrame):
    """What `cr.experiments()` gives: a DataFrame like any other, with a repr of its own; slices are plain."""

    _picture: Callable[[str], str] | None = None

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _lines(self) -> list[list[str]]:
        shown = zip(
            self["name"], self["status"], self["condition"], self["total_events"], self["kept_events"],
            self["active_duration"], self["errors"], strict=True,
        )  # fmt: skip
        return [
            [brief(name, 40), status, "–" if pd.isna(condition) else brief(condition, 20), _number(total),
             _number(kept), _number(active, ",.1f"), _number(errors)]
            for name, status, condition, total, kept, active, errors in shown
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
        rows = [[*line, html.Raw(draw(str(one)))] for line, one in zip(self._lines(), self.index, strict=True)]
        return html.view(html.table(rows, (*_HEADER, "latency and success"), f"{len(rows)} experiments"))


def _number(value: Any, shape: str = ",") -> str:
    """A number; of an experiment that cannot be read a word, or nothing."""
    if isinstance(value, str):
        return brief(value, 40)
    return "–" if pd.isna(value) else f"{value:{shape}}" if shape != "," else f"{int(value):,}"


def listed(
    rows: Sequence[Mapping[str, Any]], ids: Sequence[str], columns: Sequence[str], picture: Callable[[str], str]
) -> Experiments:
    """A table of experiments.

    Args:
        rows: Facts, one mapping an experiment.
        ids: Their ids.
        columns: Names of the facts.
        picture: Callable (id) -> a small picture of it, or "".
    """
    made = Experiments(list(rows), index=pd.Index(list(ids), name="id", dtype="str"), columns=list(columns))
    object.__setattr__(made, "_picture", picture)
    return made
