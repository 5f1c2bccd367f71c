"""`exp.trace`: the spans of one trace as a tree with bars of time, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.utils import checks, html
from crucible_nb.utils.text import brief

_BAR, _NAME = 30, 44  # characters of the text form
_WIDTH, _HEIGHT = 240, 12  # pixels of a bar
_LIMIT = 1_000
_COLUMNS = (
    "name",
    "event",
    "model",
    "latency_ms",
    "total_tokens",
    "cost_usd",
    "success",
    "error",
    "span_id",
    "parent_id",
)


class _Line(NamedTuple):
    """One span of the tree: its place in the tree, and its share of the time of the trace."""

    stem: str
    depth: int
    row: dict[str, Any]
    start: float
    length: float


class Trace:
    """The spans of a trace; printed as a tree, in a notebook and as text.

    Attributes:
        trace_id: The trace.
        frame: Its events, in order of their start.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo", clock="events") as exp:
        ...     _ = exp.record("llm.request", name="chat", trace_id="ab", span_id="2", parent_id="1", latency_ms=400.0,
        ...         prompt_tokens=21, completion_tokens=9, cost_usd=0.001, time=900_000_000)
        ...     _ = exp.record("trace.span", name="agent", trace_id="ab", span_id="1", latency_ms=1000.0, time=10**9)
        >>> print(exp.trace("ab"))
        trace ab: 2 spans in 1,000.0 ms, 30 tokens, 0.001 USD
        agent                                          1,000.0 ms |##############################|
        └─ chat                                          400.0 ms |               ############   | 30 tokens 0.001 USD
    """

    def __init__(self, trace_id: str, frame: pd.DataFrame) -> None:
        self.trace_id = trace_id
        ends = frame.index.asi8 / 1e6  # type: ignore[attr-defined]
        lengths = frame["latency_ms"].fillna(0.0).to_numpy(np.float64)
        order = np.argsort(ends - lengths, kind="stable")
        self.frame = frame.iloc[order]
        self._begins, self._lengths = (ends - lengths)[order], lengths[order]
        self._whole = max(float(ends.max() - (ends - lengths).min()), 1e-6)

    def _rows(self) -> list[dict[str, Any]]:
        known = self.frame.reindex(columns=list(_COLUMNS))
        rows: list[dict[str, Any]] = known.astype(object).where(known.notna(), None).to_dict("records")  # type: ignore[assignment]
        return rows

    def _lines(self) -> Iterator[_Line]:
        """Yield the spans, each below its parent; one whose parent is not there, or in a circle, is a root."""
        rows = self._rows()
        by_id = {row["span_id"]: at for at, row in enumerate(rows) if row["span_id"] is not None}
        below: dict[int | None, list[int]] = {}
        for at, row in enumerate(rows):
            parent = by_id.get(row["parent_id"]) if row["parent_id"] is not None else None
            below.setdefault(None if parent == at else parent, []).append(at)
        done: set[int] = set()
        pending = [(at, "", "", 0) for at in reversed(below.get(None, []))]
        left = iter(range(len(rows)))
        while len(done) < len(rows):
            if not pending:
                pending = [(next(at for at in left if at not in done), "", "", 0)]
            at, stem, rest, depth = pending.pop()
            if at in done:
                continue
            done.add(at)
            begin = (float(self._begins[at]) - float(self._begins[0])) / self._whole
            yield _Line(stem, depth, rows[at], begin, float(self._lengths[at]) / self._whole)
            children = below.get(at, [])
            for place, child in enumerate(reversed(children)):
                last = place == 0
                pending.append((child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), depth + 1))

    def _title(self) -> str:
        tokens, cost = self.frame.get("total_tokens"), self.frame.get("cost_usd")
        words = [f"trace {self.trace_id}: {len(self.frame):,} spans in {self._whole:,.1f} ms"]
        if tokens is not None and tokens.notna().any():
            words.append(f"{int(tokens.sum()):,} tokens")
        if cost is not None and cost.notna().any():
            words.append(f"{cost.sum():.4g} USD")
        return ", ".join(words)

    def __repr__(self) -> str:
        lines = [self._title()]
        for count, line in enumerate(self._lines()):
            if count == _LIMIT:
                lines.append(f"and {len(self.frame) - _LIMIT:,} more")
                break
            begin = min(int(line.start * _BAR), _BAR - 1)
            length = max(1, min(round(line.length * _BAR), _BAR - begin))
            bar = (" " * begin + "#" * length).ljust(_BAR)
            name = brief(line.stem + _name(line.row), _NAME).ljust(_NAME)
            lines.append(f"{name} {_duration(line.row):>10} |{bar}| {_facts(line.row)}".rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for line, _ in zip(self._lines(), range(_LIMIT), strict=False):
            name = f'<span style="padding-left:{1.2 * line.depth:.1f}em">{escape(brief(_name(line.row), 80))}</span>'
            color = "#c4314b" if line.row["success"] is False else "#4c78a8"
            bar = (
                f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{_duration(line.row)}">'
                f'<rect x="{line.start * _WIDTH:.1f}" y="2" width="{max(line.length * _WIDTH, 1.5):.1f}" '
                f'height="{_HEIGHT - 4}" fill="{color}"/></svg>'
            )
            cells = (html.Raw(name), line.row["event"], _duration(line.row), html.Raw(bar))
            rows.append((*cells, _facts(line.row)))
        header = ("span", "event", "duration", "time", "")
        return html.view(html.table(rows, header, self._title()))


def _name(row: dict[str, Any]) -> str:
    name = str(row["name"] or row["event"])
    model = row["model"]
    return name if model is None or str(model) in name else f"{name} ({model})"


def _duration(row: dict[str, Any]) -> str:
    return "" if row["latency_ms"] is None else f"{row['latency_ms']:,.1f} ms"


def _facts(row: dict[str, Any]) -> str:
    words = []
    if row["total_tokens"] is not None:
        words.append(f"{row['total_tokens']:,} tokens")
    if row["cost_usd"] is not None:
        words.append(f"{row['cost_usd']:.4g} USD")
    if row["success"] is False:
        words.append(f"failed: {brief(str(row['error'] or 'no class'), 40)}")
    return " ".join(words)


@register("trace")
def trace(self: Experiment, trace_id: str) -> Trace:
    """Show the spans of a trace as a tree with bars of time, tokens and cost.

    Args:
        trace_id: Trace, as in the column `trace_id`, or the beginning of one.

    Returns:
        The Trace; `.frame` has its events.

    Raises:
        SchemaError: No kept event is part of this trace, or of several.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("tool.call", name="search", trace_id="ab12", span_id="1", latency_ms=20.0)
        >>> len(exp.trace("ab").frame)
        1
    """
    wanted = checks.text("trace_id", trace_id)
    frame = self.frame()
    if "trace_id" not in frame.columns:
        raise SchemaError(f"trace_id={wanted!r}: no event has a trace; cr.capture.otel records them")
    ids = frame["trace_id"].dropna()
    found = [one for one in dict.fromkeys(ids) if one == wanted] or [
        one for one in dict.fromkeys(ids) if one.startswith(wanted)
    ]
    if len(found) != 1:
        several = f"{len(found)} traces begin so" if found else "no event of this trace"
        raise SchemaError(f"trace_id={wanted!r}: {several}; the newest is {ids.iloc[-1]!r}" if len(ids) else several)
    return Trace(found[0], frame[frame["trace_id"] == found[0]])
