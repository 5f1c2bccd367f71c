"""The open dashboards of this process: one per experiment name, also when a cell runs again."""

from __future__ import annotations

from typing import Any

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.line import StatusLine
from crucible_nb.utils import ui

_OPEN: dict[tuple[str, ...], Any] = {}
_REGISTERED: list[Any] = []  # IPython event managers with `_save_all` registered


def open_dashboard(
    experiments: tuple[Experiment, ...], refresh: float, severity: str = "low", *, by: str = "", show: bool = True
) -> Any:
    """Show a dashboard of these experiments and return it; a status line where there are no widgets."""
    if not ui.has_widgets():
        return StatusLine(experiments, severity)
    from crucible_nb.notebook.widget import Dashboard  # noqa: PLC0415  imports ipywidgets

    key = tuple(experiment.name for experiment in experiments)
    dashboard = _OPEN.get(key)
    if dashboard is None or dashboard.comm is None or dashboard.experiments != experiments:
        if dashboard is not None:
            dashboard.close()
        dashboard = _OPEN[key] = Dashboard(experiments, refresh)
    for state in dashboard.refresher.composer.states:
        state.severity = severity
    dashboard.refresher.refresh = dashboard.refresher.composer.refresh = refresh
    if by:
        with dashboard.refresher.composer.lock:
            dashboard.refresher.composer.choices.break_down(by)
    if ui.shell() is not None and show:
        _register_save()
        dashboard.show()
    else:
        dashboard.keep_still()
    return dashboard


def close_all() -> None:
    """Close every dashboard."""
    while _OPEN:
        _OPEN.popitem()[1].close()


def _register_save() -> None:
    """Update the pictures saved in the notebook after each cell."""
    events = ui.shell().events
    if events not in _REGISTERED:
        _REGISTERED.append(events)
        events.register("post_run_cell", _save_all)


def _save_all(_: Any) -> None:
    for dashboard in list(_OPEN.values()):
        dashboard.save_picture()
