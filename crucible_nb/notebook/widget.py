"""The live dashboard: one widget and one thread, with no state in the browser that could be stale."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import environment, static_page, wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.refresh import Refresher
from crucible_nb.utils import ui

_SAVE_INTERVAL = 60.0  # seconds between two updates of the saved picture of a running experiment
_STATIC = Path(__file__).with_name("static")
_PUSHES = 3  # times the program is sent unasked, where a busy kernel hears no page
_CHILD = ".jp-OutputArea-child"
_LEFT = ">.jp-OutputArea-output>.crucible-left"  # of this output itself, not of one that holds it
_BROKEN = f"{_CHILD}:has(>.jp-OutputArea-output.jupyter-widgets)"  # JupyterLab found no model for the widget
_HIDDEN = f"{_CHILD}:has({_LEFT}):not({_BROKEN}+*),{_BROKEN}:has(+{_CHILD}{_LEFT})"
_SHOWN = f"{_BROKEN}+{_CHILD}{_LEFT}"
_FALLBACK_STYLE = f"<style>{_HIDDEN}{{display:none}}{_SHOWN}{{display:block!important}}</style>"


class Dashboard(anywidget.AnyWidget):
    """The live widget returned by `exp.dashboard()`.

    A notebook saves only a loader and the still picture: a page asks the kernel for the program, once.

    Args:
        experiments: One, or several to compare with the first.
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

    _esm = (_STATIC / "loader.js").read_text(encoding="utf-8")
    _code = traitlets.Unicode().tag(sync=True)  # which program: pages keep one of each
    _still = traitlets.Unicode().tag(sync=True)  # shown until the program has come, and where no kernel can send it

    def __init__(self, experiments: Sequence[Experiment], refresh: float) -> None:
        super().__init__(_code=_program()[0])
        self.layout.flex, self.layout.min_width = "1 1 auto", "min(100%, 480px)"  # in a row it has no width of its own
        self.experiments = tuple(experiments)
        self._shown_in_cell: object = None
        self._display: Any = None  # IPython's handle of the live view
        self._fallback: Any = None  # IPython's handle of the output for a restarted kernel
        self._saved_state: tuple[list[str], list[int]] = ([], [])
        self._saved_at = 0.0
        environment.handle_messages_while_busy(self.comm)
        composer = Composer(self.experiments, refresh, environment.button_note())
        pushes = _PUSHES if composer.note else 0
        self.refresher = Refresher(composer, self._send_message, refresh, self._send_code, pushes)
        self.on_msg(self._on_message)
        self.refresher.start()

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:  # noqa: ARG002  as ipywidgets calls it
        self.refresher.on_message(wire.parse_browser_message(content))

    def _send_message(self, message: Any, buffers: Sequence[bytes]) -> None:
        if self.comm is not None:
            self.send(message, list(buffers))

    def _send_code(self) -> None:
        self._send_message({"kind": "code"}, _program()[1])

    def close(self) -> None:
        """End the updates and replace the view by a static picture; the experiment keeps running."""
        if self.comm is not None and hasattr(self, "refresher"):
            self.refresher.close()
            if self._display is not None:
                with suppress(Exception):  # the output may be gone
                    self._display.update(self._static_bundle(), raw=True)
        super().close()

    def figure(self, theme: str | None = None) -> Any:
        """Draw the present charts as one plain plotly figure, for papers and export; both arms of a comparison.

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
        """Show the widget in the running cell at once; as the result of that cell it is not shown again."""
        from IPython.display import display  # noqa: PLC0415  with the first dashboard

        show = partial(display, display_id=True)
        self._display = self._show_and_save(show)
        self._fallback = show(self._fallback_bundle(), raw=True)
        self._shown_in_cell = _running_cell()

    def _ipython_display_(self) -> None:
        """Show the widget once per cell: `exp.dashboard()` as the last line has shown it already."""
        if self._shown_in_cell is not None and self._shown_in_cell == _running_cell():
            self._shown_in_cell = None
            return
        raise NotImplementedError  # IPython then uses the MIME bundle

    def save_picture(self) -> None:
        """Update the picture saved in the notebook; called from the main thread after each cell.

        It happens rarely, since the browser rebuilds its view: when a status has changed, or after a minute.
        """
        if self.comm is None or self._saved_state == self._state():
            return
        if self._display is None or self._fallback is None:  # not shown by itself, but in a box
            self.keep_still()
            return
        if self._saved_state[0] != self._state()[0] or time.monotonic() - self._saved_at > _SAVE_INTERVAL:
            self._show_and_save(self._display.update)
            self._fallback.update(self._fallback_bundle(), raw=True)

    def keep_still(self) -> None:
        """Update the picture that is shown until the program of the page has come."""
        self._saved_state, self._still = self._state(), self._static_bundle()["text/html"]

    def _show_and_save(self, show: Callable[[Dashboard], Any]) -> Any:
        self._shown_in_cell, self._saved_at = None, time.monotonic()
        self.keep_still()
        return show(self)

    @property
    def _severity(self) -> str:
        """Least severity of an incident that is shown."""
        return self.refresher.composer.states[0].severity

    def _state(self) -> tuple[list[str], list[int]]:
        """Return the status and the event count of each experiment."""
        return [exp.status for exp in self.experiments], [exp.summary()["total_events"] for exp in self.experiments]

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """Return the live view, and a static table with pictures for a notebook without a kernel."""
        bundle: Any = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is None:
            return None
        data = {**data, **self._static_bundle()}
        return (data, bundle[1]) if isinstance(bundle, tuple) else data

    def _static_bundle(self) -> dict[str, str]:
        composer = self.refresher.composer
        with composer.lock:
            composer.update(with_metrics=True)
            while composer.has_backlog:
                composer.update(with_metrics=True)
            page = static_page.page(composer.states, composer.compared)
        return {"text/html": page, "text/plain": static_page.line(self.experiments, self._severity)}

    def _fallback_bundle(self) -> dict[str, str]:
        """Return a second output, hidden unless a page finds no widget for the first, as after a kernel restart."""
        when = static_page.clock(max(state.now for state in self.refresher.composer.states))
        hint = f"The kernel of this dashboard has ended: as of {when}. Run the cell again."
        static = self._static_bundle()["text/html"]
        page = f'{_FALLBACK_STYLE}<div class="crucible-left" style="display:none"><p>{hint}</p>{static}</div>'
        return {"text/html": page, "text/plain": ""}

    def __repr__(self) -> str:
        return f"<Dashboard of {static_page.line(self.experiments, self._severity)}>"


@cache
def _program() -> tuple[str, list[bytes]]:
    """Return a name for the program of the page, which changes with it; and its code and stylesheet."""
    parts = [(_STATIC / f"dashboard.{kind}").read_bytes() for kind in ("js", "css")]
    return f"{wire.VERSION}-{zlib.crc32(b''.join(parts)):08x}", parts


def _running_cell() -> object:
    """Return the execution count of the running cell; None outside of IPython."""
    shell = ui.shell()
    return None if shell is None else shell.execution_count
