"""The notebook face: what knows IPython, widgets and plotly; importing it imports none of them."""

from __future__ import annotations

from typing import Any

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.notebook import figures
from crucible_nb.utils import checks

__all__ = ["dashboard", "figures", "track_iter"]


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
    from crucible_nb.notebook import dashboards  # noqa: PLC0415  widgets come with the first dashboard

    checks.number("refresh", refresh, ge=0.1)
    checks.other("compare", compare, self)
    return dashboards.opened((self,) if compare is None else (self, compare), float(refresh))


@register("track_iter")
def track_iter(
    self: Experiment, xs: Any, total: int | None = None, desc: str | None = None, event: str | None = None
) -> Any:
    """Go through `xs` with a progress bar, and leave off when the experiment says so (`should_stop`).

    The bar is tqdm's (`pip install 'crucible_nb[lab]'`), with time left, pace, success rate and p95 latency; without
    tqdm, and with CRUCIBLE_UI=off, the loop is the same and there is no bar.

    Args:
        xs: Any iterable, also an asynchronous one; a tqdm bar of yours stays the bar.
        total: How many there will be; None asks `len(xs)`.
        desc: What stands before the bar; None is the name of the experiment.
        event: Record each iteration as an event of this name with its latency; None records nothing. An iteration that
            is left by `break` or an error has no `success`: the loop is not told how it went.

    Returns:
        An iterator (an async one for an async `xs`) over the items.

    Raises:
        ConfigError: `xs` cannot be gone through, or another argument is not what is accepted.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("asking")
        >>> exp.budget(usd=5, action="stop")
        >>> asked = []
        >>> for question in exp.track_iter(range(100)):
        ...     _ = exp.record("llm.request", cost_usd=1.5)
        ...     asked.append(question)
        >>> asked, exp.status
        ([0, 1, 2, 3], 'stopped')
    """
    from crucible_nb.notebook import progress  # noqa: PLC0415  tqdm comes with the first bar

    return progress.tracked(self, xs, total, desc, event)
