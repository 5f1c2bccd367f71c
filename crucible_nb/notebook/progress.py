"""`exp.track_iter`: a loop with a progress bar that ends early when `exp.should_stop` is set."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crucible_nb.errors import CrucibleWarning
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.static_page import number
from crucible_nb.utils import checks, optional, ui

_POSTFIX_INTERVAL = 0.5  # s between two reads of the metrics
_NO_TQDM = "no progress bar: it needs tqdm (pip install 'crucible_nb[lab]')"


def track_iterable(experiment: Experiment, xs: Any, total: int | None, desc: str | None, event: str | None) -> Any:
    """Build the iterator of `exp.track_iter`; wrong arguments raise at once."""
    checks.whole("total", total, optional=True)
    checks.text("desc", desc, optional=True)
    checks.text("event", event, optional=True)
    is_bar = hasattr(xs, "set_postfix_str")
    is_async = hasattr(xs.iterable if is_bar else xs, "__aiter__")
    if not is_async:
        checks.iterable("xs", xs)
    length = len(xs) if total is None and hasattr(xs, "__len__") else total

    def bar() -> Bar:
        return Bar(experiment, xs, counts=True) if is_bar else make_bar(experiment, length, desc or experiment.name)

    return (iterate_async if is_async else iterate)(experiment, xs, bar, event)


class Bar:
    """A tqdm bar that also shows the success rate and p95 latency of an experiment.

    Args:
        experiment: The experiment whose metrics are shown.
        bar: A tqdm bar; None for no bar.
        on_close: Called after the bar has closed.
        counts: Whether the bar counts the iterations by itself.
    """

    def __init__(
        self, experiment: Experiment, bar: Any, on_close: Callable[[], Any] | None = None, *, counts: bool = False
    ) -> None:
        self._experiment, self._bar, self._on_close, self._counts = experiment, bar, on_close, counts
        self._read_at = time.monotonic()

    def step(self) -> None:
        """Count one iteration."""
        if self._bar is None:
            return
        if not self._counts:
            self._bar.update()
        if time.monotonic() - self._read_at >= _POSTFIX_INTERVAL:
            self._bar.set_postfix_str(postfix(self._experiment), refresh=False)
            self._read_at = time.monotonic()

    def close(self) -> None:
        """Show the final metrics and close the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(postfix(self._experiment))
            self._bar.close()
            if self._on_close is not None:
                self._on_close()


def postfix(experiment: Experiment) -> str:
    """Format the metrics shown after a bar.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("loop") as exp:
        ...     _ = exp.record("call", latency_ms=812.4, success=True)
        >>> postfix(exp)
        'success 100 %, p95 812.4 ms'
    """
    metrics = experiment.metrics()
    known, latency = metrics.reliability, metrics.latency
    parts = [f"success {number(100 * known.success_rate)} %"] if known.total_requests else []
    return ", ".join([*parts, *([f"p95 {number(latency.p95)} ms"] if latency.count else [])])


def make_bar(experiment: Experiment, total: int | None, desc: str | None) -> Bar:
    """Build a bar for the environment: a widget in a kernel, text in a terminal, none with CRUCIBLE_UI=off."""
    if os.environ.get("CRUCIBLE_UI", "").lower() == "off":
        return Bar(experiment, None)
    if optional.have("tqdm") is None:
        warnings.warn(_NO_TQDM, CrucibleWarning, stacklevel=4)
        return Bar(experiment, None)
    if ui.has_widgets() and ui.shell() is not None:
        return _widget(experiment, total, desc)
    from tqdm import tqdm  # noqa: PLC0415  optional

    return Bar(experiment, tqdm(total=total, desc=desc))


def _widget(experiment: Experiment, total: int | None, desc: str | None) -> Bar:
    """Build a tqdm widget whose final state is saved in the notebook; tqdm alone saves the initial one."""
    from IPython.display import display  # noqa: PLC0415  in a kernel
    from tqdm.notebook import tqdm  # noqa: PLC0415  optional

    bar = tqdm(total=total, desc=desc, display=False)
    handle = display(bar.container, display_id=True)  # type: ignore[no-untyped-call]
    return Bar(experiment, bar, None if handle is None else lambda: handle.update(bar.container))


@contextmanager
def _timed(experiment: Experiment, event: str | None) -> Iterator[None]:
    """Record one event per iteration if `event` is given; an iteration left early has no known success."""
    if event is None:
        yield
        return
    with experiment.span(event) as span:
        try:
            yield
        except GeneratorExit:
            span.set(success=None)
            raise


def iterate(experiment: Experiment, xs: Any, bar: Callable[[], Bar], event: str | None) -> Iterator[Any]:
    """Yield the items of `xs`; `should_stop` is checked before taking an item, so that none is lost."""
    source, shown = iter(xs), bar()
    try:
        while not experiment.should_stop:
            try:
                x = next(source)
            except StopIteration:
                break
            with _timed(experiment, event):
                yield x
            shown.step()
    finally:
        shown.close()


async def iterate_async(
    experiment: Experiment, xs: Any, bar: Callable[[], Bar], event: str | None
) -> AsyncIterator[Any]:
    """Yield the items of an asynchronous `xs`; see `iterate`."""
    source, shown = aiter(xs), bar()
    try:
        while not experiment.should_stop:
            try:
                x = await anext(source)
            except StopAsyncIteration:
                break
            with _timed(experiment, event):
                yield x
            shown.step()
    finally:
        shown.close()
