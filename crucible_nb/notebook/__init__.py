"""The notebook interface: magics, dashboard, figures. Importing it imports neither IPython, widgets nor plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.extensions import register
from crucible_nb.experiment.listing import VIEWERS
from crucible_nb.notebook import figures
from crucible_nb.notebook.choices import common_groupings
from crucible_nb.utils import checks

__all__ = ["dashboard", "figures", "track_iter"]


def _table_of_runs(listing: Any) -> dict[str, Any]:
    from crucible_nb.notebook import runs_table  # noqa: PLC0415  widgets come with the first table

    return runs_table.bundle(listing)


VIEWERS[:] = [_table_of_runs]


@register("dashboard")
def dashboard(
    self: Experiment,
    refresh: float = 0.5,
    *,
    compare: Experiment | Sequence[Experiment] | None = None,
    by: str | None = None,
    severity: str | None = None,
    show: bool = True,
) -> Any:
    """Show a live dashboard in the notebook; it is updated while cells run, also during blocking code.

    It is shown at once, also in the middle of a cell. A dashboard of the same experiment is reused; one of an earlier
    experiment with the same name is closed, so that cells can be run again.

    Args:
        refresh: Seconds between two updates, at least 0.1.
        compare: Another experiment, or a list of up to five, to show the arms side by side, and the running comparison
            of each with this one.
        by: Column to break down by at first: event, model or one of `cr.start(by=)` of every arm; the page has a picker
            for it.
        show: Whether to show it here; False for a dashboard that is put into a box, a tab or an `Output`.
        severity: Least severity of an incident that is shown: "low", "medium", "high" or "critical". None shows all.

    Returns:
        The Dashboard, an ipywidget with `figure()` and `close()`. Without widgets (in a terminal, with
        CRUCIBLE_UI=off) an object whose repr is one status line.

    Raises:
        ConfigError: `refresh` is below 0.1, `compare` is not another experiment or a list of them, the groups of
            `by` are not counted live, or no such severity.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo", sample_size=4) as exp:
        ...     _ = exp.record("llm.request", latency_ms=120.0, success=True)
        >>> exp.dashboard()
        'demo', stopped, 1 of 4 events, p95 120 ms, success 100 %
    """
    from crucible_nb.notebook import dashboards  # noqa: PLC0415  widgets come with the first dashboard

    checks.number("refresh", refresh, ge=0.1)
    others = _others(self, compare)
    if by is not None:
        checks.one_of("by", by, common_groupings([self, *others]))
    least = "low" if severity is None else checks.one_of("severity", severity, SEVERITIES)
    return dashboards.open_dashboard((self, *others), float(refresh), least, by=by or "", show=bool(show))


_MAX_ARMS = 6


def _others(control: Experiment, compare: Any) -> list[Experiment]:
    """Return the experiments to compare with."""
    if compare is None:
        return []
    others = [compare] if isinstance(compare, Experiment) else list(checks.iterable("compare", compare))
    arms = [control, *others]
    known = all(isinstance(one, Experiment) for one in others)
    if isinstance(compare, str) or not known or len({id(one) for one in arms}) < len(arms) or len(arms) > _MAX_ARMS:
        raise checks.wrong("compare", compare, f"another Experiment, or a list of up to {_MAX_ARMS - 1} others")
    return others


@register("track_iter")
def track_iter(
    self: Experiment, xs: Any, total: int | None = None, desc: str | None = None, event: str | None = None
) -> Any:
    """Iterate over `xs` with a progress bar, ending early when `exp.should_stop` is set.

    The bar is tqdm's (`pip install 'crucible_nb[lab]'`), with remaining time, rate, success rate and p95 latency.
    Without tqdm, and with CRUCIBLE_UI=off, the loop is the same without a bar.

    Args:
        xs: An iterable, also an asynchronous one, or a tqdm bar, which is then used.
        total: Number of items; None uses `len(xs)` if it exists.
        desc: Text before the bar; None uses the name of the experiment.
        event: Record each iteration as an event of this name with its latency; None records nothing. An iteration left
            by `break` or an error has no `success`, since the loop does not know its outcome.

    Returns:
        An iterator (an async one for an async `xs`) over the items.

    Raises:
        ConfigError: `xs` is not iterable, or another argument is not accepted.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("limited")
        >>> exp.budget(usd=5, action="stop")
        >>> done = []
        >>> for question in exp.track_iter(range(100)):
        ...     _ = exp.record("llm.request", cost_usd=1.5)
        ...     done.append(question)
        >>> done, exp.status
        ([0, 1, 2, 3], 'stopped')
    """
    from crucible_nb.notebook import progress  # noqa: PLC0415  tqdm comes with the first bar

    return progress.track_iterable(self, xs, total, desc, event)
