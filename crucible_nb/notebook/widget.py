"""The live dashboard: one widget, one thread, no state in the browser that could be stale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget

from crucible_nb.experiment import Experiment
from crucible_nb.notebook import place, static, wire
from crucible_nb.notebook.compose import Composer
from crucible_nb.notebook.refresh import Refresher

_STATIC = Path(__file__).with_name("static")


class Dashboard(anywidget.AnyWidget):  # type: ignore[misc]
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
        <Dashboard of 'demo', stopped, 1 events>
        >>> dashboard.close()
    """

    _esm = (_STATIC / "dashboard.js").read_text(encoding="utf-8")
    _css = (_STATIC / "dashboard.css").read_text(encoding="utf-8")

    def __init__(self, experiments: Sequence[Experiment], refresh: float) -> None:
        super().__init__()
        self.experiments = tuple(experiments)
        self._shown_in: object = None
        self._handle: Any = None
        self._static_of: object = None
        place.answer_anywhere(self.comm)
        composer = Composer(self.experiments, refresh, place.note())
        self.refresher = Refresher(composer, self._deliver, refresh)
        self.on_msg(lambda _, content, buffers: self.refresher.hear(wire.said(content)))  # noqa: ARG005
        self.refresher.start()

    def _deliver(self, message: Any, buffers: Sequence[bytes]) -> None:
        if self.comm is not None:
            self.send(message, list(buffers))

    def close(self) -> None:
        """End the refresh and take the view away; the experiment goes on."""
        if hasattr(self, "refresher"):
            self.refresher.close()
        super().close()

    # -- showing --------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show it in the running cell, now; as that cell's result it is not shown again."""
        from IPython.display import display  # noqa: PLC0415  with the first dashboard

        self._shown_in = None
        self._handle = display(self, display_id=True)
        self._static_of = self._state()
        self._shown_in = _cell()

    def _ipython_display_(self) -> None:
        """Once a cell: `exp.dashboard()` as its last line shows it where it was called."""
        if self._shown_in is not None and self._shown_in == _cell():
            self._shown_in = None
            return
        raise NotImplementedError  # IPython goes on to the bundle

    def settle(self) -> None:
        """Bring the static picture in the notebook up to date, when it is not; from the main thread."""
        if self._handle is not None and self.comm is not None and self._static_of != self._state():
            self._static_of = self._state()
            self._handle.update(self)

    def _state(self) -> object:
        return [(one.status, one.summary()["total_events"]) for one in self.experiments]

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """The live view, and beside it what stays when there is no kernel: a table and pictures."""
        bundle = super()._repr_mimebundle_()
        if bundle is None:
            return None
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data = {**data, "text/html": self._page(), "text/plain": static.line(self.experiments)}
        return (data, bundle[1]) if isinstance(bundle, tuple) else data

    def _page(self) -> str:
        composer = self.refresher.composer
        with composer.lock:
            composer.look()
            while composer.behind:
                composer.look()
            return static.page(composer.readers)

    def __repr__(self) -> str:
        return f"<Dashboard of {static.line(self.experiments)}>"


def _cell() -> object:
    """What tells the running cell from others; None outside of one."""
    shell = place.shell()
    return None if shell is None else shell.execution_count
