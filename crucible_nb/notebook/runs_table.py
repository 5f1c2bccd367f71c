"""The interactive table of `cr.experiments()` in a notebook: a widget that asks the kernel for its rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd

from crucible_nb.comparison import compare
from crucible_nb.errors import CrucibleError
from crucible_nb.experiment import session
from crucible_nb.experiment.attach import attach
from crucible_nb.experiment.listing import Experiments
from crucible_nb.notebook import environment
from crucible_nb.utils import html, ui

_STATIC = Path(__file__).with_name("static")
_FIXED = ("name", "status", "condition", "tags", "started", "duration", "events", "errors")
_SINGLE = ("mean_latency_ms", "success_rate", "total_cost_usd")
_KINDS = ("last", "min", "mean")


class RunsTable(anywidget.AnyWidget):
    """The table of runs: sorted, filtered and compared in the page; nothing of the rows is saved in the notebook.

    Args:
        listing: Result of `cr.experiments()`.
    """

    _esm = (_STATIC / "runs.js").read_text(encoding="utf-8")
    _css = (_STATIC / "runs.css").read_text(encoding="utf-8")

    def __init__(self, listing: Experiments) -> None:
        super().__init__()
        self._listing = listing
        environment.handle_messages_while_busy(self.comm)
        self.on_msg(self._on_message)

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:  # noqa: ARG002  as ipywidgets calls it
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "rows":
            self.send(rows_of(self._listing))
        elif kind == "compare":
            self.send({"kind": "compared", "html": self._compared(content.get("ids"))})

    def _compared(self, ids: Any) -> str:
        """Return the comparison of two runs as HTML, or why there is none."""
        try:
            one, two = map(self._run, ids)
            return str(compare(one, two)._repr_html_())
        except (CrucibleError, TypeError, ValueError) as error:
            return html.view(html.points([f"{error}"]))

    def _run(self, identity: Any) -> Any:
        if identity not in self._listing.index:
            raise ValueError("there is no such run")
        if self._listing.store is not None:
            return attach(identity, self._listing.store, "read")
        return next(experiment for experiment in session.known() if experiment.id == identity)


def rows_of(listing: Experiments) -> dict[str, Any]:
    """Return the message with all runs, and the names of their columns.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs, metadata={"lr": 0.1}) as exp:
        ...     _ = exp.record("train.step", loss=0.5)
        >>> [name for name in rows_of(cr.experiments(runs))["columns"] if "l" in name]
        ['lr', 'last_loss', 'min_loss', 'mean_loss']
    """
    summaries = listing.summaries()
    runs = [
        _run_of(str(identity), facts, summaries) for identity, facts in zip(listing.index, _facts(listing), strict=True)
    ]
    own = dict.fromkeys(name for run in runs for name in run["values"] if name not in _FIXED)
    used = [name for name in (*_FIXED, *own) if any(run["values"].get(name) not in (None, "", []) for run in runs)]
    return {"kind": "rows", "columns": [*_FIXED[:2], *(name for name in used if name not in _FIXED[:2])], "runs": runs}


def _facts(listing: Experiments) -> list[dict[str, Any]]:
    return [dict(zip(listing.columns, row, strict=True)) for row in listing.itertuples(index=False, name=None)]


def _run_of(identity: str, facts: dict[str, Any], summaries: dict[str, Any]) -> dict[str, Any]:
    summary = summaries.get(identity) or {"values": {}, "columns": [], "facts": {}, "main": {"metric": "", "line": []}}
    started = facts["started_at"]
    values: dict[str, Any] = {
        "name": facts["name"], "status": facts["status"], "condition": _plain(facts["condition"]),
        "tags": ", ".join(facts["tags"]) if isinstance(facts["tags"], list) else None,
        "started": None if pd.isna(started) else pd.Timestamp(started).value / 1e6,
        "duration": _plain(facts["active_duration"]), "events": _plain(facts["total_events"]),
        "errors": _plain(facts["errors"]) or None,
    }  # fmt: skip
    metadata = summary["facts"].get("metadata") or {}
    values |= {f"metadata.{name}" if name in _FIXED else name: _plain(value) for name, value in metadata.items()}
    wanted = [*(f"{kind}_{column}" for column in summary["columns"] for kind in _KINDS), *_SINGLE]
    values |= {name: summary["values"][name] for name in wanted if name in summary["values"]}
    return {"id": identity, "values": values, "main": summary["main"]["metric"], "line": summary["main"]["line"]}


def _plain(value: Any) -> Any:
    """Return a value that JSON holds; None for a missing one."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or value is pd.NA or value is pd.NaT:
        return None
    return (
        value.item() if hasattr(value, "item") else value if isinstance(value, (str, bool, int, float)) else str(value)
    )


def bundle(listing: Experiments) -> dict[str, Any]:
    """Return the MIME bundle of the widget; {} where there are no widgets."""
    if not ui.has_widgets():
        return {}
    found: Any = RunsTable(listing)._repr_mimebundle_()
    return dict(found[0] if isinstance(found, tuple) else found or {})
