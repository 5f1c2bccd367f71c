"""The live dashboard: one widget, one thread, no state in the browser that could be stale."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import environment, static_page, wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.refresh import Refresher

_MINUTE = 60.0
_STATIC = Path(__file__).with_name("static")
_CHILD = ".jp-OutputArea-child"
_BROKEN = f"{_CHILD}:has(>.jp-OutputArea-output.jupyter-widgets)"  # JupyterLab found no model for the widget
_HIDDEN = f"{_CHILD}:has(.crucible-left):not({_BROKEN}+*),{_BROKEN}:has(+{_CHILD} .crucible-left)"
_SHOWN = f"{_BROKEN}+{_CHILD} .crucible-left"
_ONE_OF_THEM = f"<style>{_HIDDEN}{{display:none}}{_SHOWN}{{display:block!important}}</style>"


class Dashboard(anywidget.AnyWidget):
    """What `exp.dashboard()` gives where there are widgets.

    Args:
        experiments: One, or two to compare.
        refresh: Seconds between two updates.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=120.0)
        >>> dashboard = Dashboard([exp], refresh=0.5)
        >>> dashboard
        <Dashboard of 'demo', stopped, 1 events, p95 120 ms>
        >>> dashboard.close()
    """

    _esm = (_STATIC / "dashboard.js").read_text(encoding="utf-8")
    _css = (_STATIC / "dashboard.css").read_text(encoding="utf-8")

    def __init__(self, experiments: Sequence[Experiment], refresh: float) -> None:
        super().__init__()
        self.experiments = tuple(experiments)
        self._shown_in: object = None
        self._handle: Any = None
        self._left: Any = None
        self._saved: tuple[list[str], list[int]] = ([], [])
        self._saved_at = 0.0
        environment.answer_anywhere(self.comm)
        composer = Composer(self.experiments, refresh, environment.note())
        self.refresher = Refresher(composer, self._deliver, refresh)
        self.on_msg(lambda _, content, buffers: self.refresher.hear(wire.said(content)))  # noqa: ARG005
        self.refresher.start()

    def _deliver(self, message: Any, buffers: Sequence[bytes]) -> None:
        if self.comm is not None:
            self.send(message, list(buffers))

    def close(self) -> None:
        """End the refresh; a static picture takes the place of the view, and the experiment goes on."""
        if self.comm is not None and hasattr(self, "refresher"):
            self.refresher.close()
            if self._handle is not None:
                self._handle.update(self._still(), raw=True)
        super().close()

    def figure(self, theme: str | None = None) -> Any:
        """The charts of now as one plain plotly figure, for papers and export; of two experiments both arms.

        Args:
            theme: None for no background and colours readable on light and dark, "light" or "dark".

        Raises:
            ConfigError: No such theme.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     _ = exp.record("call", latency_ms=120.0)
            >>> dashboard = Dashboard([exp], refresh=0.5)
            >>> [trace.name for trace in dashboard.figure().data]
            ['p50', 'p95', 'p99']
            >>> dashboard.close()
        """
        from crucible_nb.notebook.figures.panels import panels  # noqa: PLC0415  imports plotly

        return panels(self.experiments, None, (), theme)

    # -- showing --------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show it in the running cell, now; as that cell's result it is not shown again."""
        from IPython.display import display  # noqa: PLC0415  with the first dashboard

        show = partial(display, display_id=True)
        self._handle = self._save(show)
        self._left = show(self._behind(), raw=True)
        self._shown_in = _cell()

    def _ipython_display_(self) -> None:
        """Once a cell: `exp.dashboard()` as its last line shows it where it was called."""
        if self._shown_in is not None and self._shown_in == _cell():
            self._shown_in = None
            return
        raise NotImplementedError  # IPython goes on to the bundle

    def settle(self) -> None:
        """Bring the picture that is saved in the notebook up to date; from the main thread, after each cell.

        Seldom, since the browser makes its view anew: when a run has changed its status, or a minute has gone by.
        """
        if self._handle is None or self.comm is None or self._saved == self._state():
            return
        if self._saved[0] != self._state()[0] or time.monotonic() - self._saved_at > _MINUTE:
            self._save(self._handle.update)
            self._left.update(self._behind(), raw=True)

    def _save(self, show: Callable[[Dashboard], Any]) -> Any:
        self._shown_in, self._saved, self._saved_at = None, self._state(), time.monotonic()
        return show(self)

    def _state(self) -> tuple[list[str], list[int]]:
        return [one.status for one in self.experiments], [one.summary()["total_events"] for one in self.experiments]

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """The live view, and beside it what stays when there is no kernel: a table and pictures."""
        bundle: Any = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is None:
            return None
        data = {**data, **self._still()}
        return (data, bundle[1]) if isinstance(bundle, tuple) else data

    def _still(self) -> dict[str, str]:
        composer = self.refresher.composer
        with composer.lock:
            composer.look(anew=True)
            while composer.behind:
                composer.look(anew=True)
            page = static_page.page(composer.readers)
        return {"text/html": page, "text/plain": static_page.line(self.experiments)}

    def _behind(self) -> dict[str, str]:
        """A second output, hidden until a page finds no widget for the first: the kernel was started again."""
        when = max(reader.now for reader in self.refresher.composer.readers)
        said = f"The kernel that drew this is gone. So it was at {pd.Timestamp(when):%H:%M:%S} UTC; run the cell again."
        still = self._still()["text/html"].replace(' class="crucible"', "")  # that is what a live view is called
        page = f'{_ONE_OF_THEM}<div class="crucible-left" style="display:none"><p>{said}</p>{still}</div>'
        return {"text/html": page, "text/plain": ""}

    def __repr__(self) -> str:
        return f"<Dashboard of {static_page.line(self.experiments)}>"


def _cell() -> object:
    """What tells the running cell from others; None outside of one."""
    shell = environment.shell()
    return None if shell is None else shell.execution_count
