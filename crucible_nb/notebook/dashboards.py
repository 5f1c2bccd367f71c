"""Which dashboards are open: one for each name, whatever is run again."""

from __future__ import annotations

from typing import Any

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import environment
from crucible_nb.notebook.line import StatusLine

_OPEN: dict[tuple[str, ...], Any] = {}
_HOOKED: list[Any] = []


def opened(experiments: tuple[Experiment, ...], refresh: float) -> Any:
    """A dashboard that shows these, shown now; or a status line where there are no widgets."""
    if not environment.widgets():
        return StatusLine(experiments)
    from crucible_nb.notebook.widget import Dashboard  # noqa: PLC0415  imports ipywidgets

    key = tuple(one.name for one in experiments)
    found = _OPEN.get(key)
    if found is None or found.comm is None or found.experiments != experiments:
        if found is not None:
            found.close()
        found = _OPEN[key] = Dashboard(experiments, refresh)
    found.refresher.refresh = found.refresher.composer.refresh = refresh
    if environment.shell() is not None:
        _hook()
        found.show()
    return found


def close_all() -> None:
    """Close every dashboard."""
    while _OPEN:
        _OPEN.popitem()[1].close()


def _hook() -> None:
    """After each cell the pictures that are saved in the notebook are brought up to date."""
    events = environment.shell().events
    if events not in _HOOKED:
        _HOOKED.append(events)
        events.register("post_run_cell", _settle)


def _settle(_: Any) -> None:
    for one in list(_OPEN.values()):
        one.settle()
