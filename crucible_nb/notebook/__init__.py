"""The notebook face: what knows IPython, widgets and plotly; importing it imports none of them."""

from __future__ import annotations

from typing import Any

from crucible_nb import checks
from crucible_nb.experiment import Experiment
from crucible_nb.faces import register

__all__ = ["dashboard"]


@register("dashboard")
def dashboard(self: Experiment, refresh: float = 0.5, *, compare: Experiment | None = None) -> Any:
    """A live dashboard in the notebook; it goes on while cells run, also ones that never yield.

    It is shown at once, in the middle of a cell too. One that shows the same already is shown again; one of a
    namesake that has ended is closed, so that running a cell again leaves nothing behind.

    Args:
        refresh: Seconds between two updates, from 0.1.
        compare: Another experiment: both arms side by side, and their running comparison.

    Returns:
        The Dashboard, an ipywidget with `figure()` and `close()`. Where there are no widgets (a terminal,
        CRUCIBLE_UI=off) an object whose text is one status line.

    Raises:
        ConfigError: A refresh below 0.1, or `compare` is no other experiment.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo", sample_size=4) as exp:
        ...     _ = exp.record("llm.request", latency_ms=120.0, success=True)
        >>> exp.dashboard()
        'demo', stopped, 1 of 4 events, p95 120 ms, success 100 %
    """
    from crucible_nb.notebook import opening  # noqa: PLC0415  widgets come with the first dashboard

    checks.number("refresh", refresh, least=0.1)
    checks.other("compare", compare, self)
    return opening.opened((self,) if compare is None else (self, compare), float(refresh))
