"""`exp.track_iter`: a loop with a progress bar that leaves off when the experiment says so."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crucible_nb.errors import CrucibleWarning
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import environment
from crucible_nb.notebook.static_page import number
from crucible_nb.utils import checks, optional

_OFTEN = 0.5  # s between two looks at the metrics
_ABSENT = "no progress bar: it needs tqdm (pip install 'crucible_nb[lab]')"


def tracked(experiment: Experiment, xs: Any, total: int | None, desc: str | None, event: str | None) -> Any:
    """The iterator behind `exp.track_iter`; says so at once when an argument is wrong."""
    checks.whole("total", total, optional=True)
    checks.text("desc", desc, optional=True)
    checks.text("event", event, optional=True)
    yours = hasattr(xs, "set_postfix_str")
    later = hasattr(xs.iterable if yours else xs, "__aiter__")
    if not later:
        checks.iterable("xs", xs)
    many = len(xs) if total is None and hasattr(xs, "__len__") else total

    def bar() -> Bar:
        return Bar(experiment, xs, counts=True) if yours else bar_of(experiment, many, desc or experiment.name)

    return (looped_async if later else looped)(experiment, xs, bar, event)


class Bar:
    """A tqdm bar with what the experiment says beside it; without tqdm, or unwanted, it is nothing.

    Args:
        experiment: Whose success rate and p95 latency are shown.
        drawn: A tqdm bar, or None.
        done: Called when the bar has closed.
        counts: Whether the bar counts by itself.
    """

    def __init__(
        self, experiment: Experiment, drawn: Any, done: Callable[[], Any] | None = None, *, counts: bool = False
    ) -> None:
        self._experiment, self._drawn, self._done, self._counts = experiment, drawn, done, counts
        self._looked = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        if self._drawn is None:
            return
        if not self._counts:
            self._drawn.update()
        if time.monotonic() - self._looked >= _OFTEN:
            self._drawn.set_postfix_str(said(self._experiment), refresh=False)
            self._looked = time.monotonic()

    def close(self) -> None:
        """Leave it as it is at the end."""
        if self._drawn is not None:
            self._drawn.set_postfix_str(said(self._experiment))
            self._drawn.close()
            if self._done is not None:
                self._done()


def said(experiment: Experiment) -> str:
    """What stands beside a bar.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("loop") as exp:
        ...     _ = exp.record("call", latency_ms=812.4, success=True)
        >>> said(exp)
        'success 100 %, p95 812.4 ms'
    """
    metrics = experiment.metrics()
    known, latency = metrics.reliability, metrics.latency
    parts = [f"success {number(100 * known.success_rate)} %"] if known.total_requests else []
    return ", ".join([*parts, *([f"p95 {number(latency.p95)} ms"] if latency.count else [])])


def bar_of(experiment: Experiment, total: int | None, desc: str | None) -> Bar:
    """A bar for where this runs: a widget in a kernel, text in a terminal, none with CRUCIBLE_UI=off."""
    if os.environ.get("CRUCIBLE_UI", "").lower() == "off":
        return Bar(experiment, None)
    if optional.have("tqdm") is None:
        warnings.warn(_ABSENT, CrucibleWarning, stacklevel=4)
        return Bar(experiment, None)
    if environment.widgets() and environment.shell() is not None:
        return _widget(experiment, total, desc)
    from tqdm import tqdm  # noqa: PLC0415  optional

    return Bar(experiment, tqdm(total=total, desc=desc))


def _widget(experiment: Experiment, total: int | None, desc: str | None) -> Bar:
    """The widget of tqdm; what is saved in the notebook is its end, where tqdm leaves its beginning."""
    from IPython.display import display  # noqa: PLC0415  in a kernel
    from tqdm.notebook import tqdm  # noqa: PLC0415  optional

    drawn = tqdm(total=total, desc=desc, display=False)
    handle = display(drawn.container, display_id=True)  # type: ignore[no-untyped-call]
    return Bar(experiment, drawn, None if handle is None else lambda: handle.update(drawn.container))


@contextmanager
def _timed(experiment: Experiment, event: str | None) -> Iterator[None]:
    """One event an iteration, when asked for; of one that was left early nobody knows how it went."""
    if event is None:
        yield
        return
    with experiment.span(event) as span:
        try:
            yield
        except GeneratorExit:
            span.set(success=None)
            raise


def looped(experiment: Experiment, xs: Any, bar: Callable[[], Bar], event: str | None) -> Iterator[Any]:
    """The items of `xs`; asks before each whether to go on, so that none is taken and lost."""
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


async def looped_async(
    experiment: Experiment, xs: Any, bar: Callable[[], Bar], event: str | None
) -> AsyncIterator[Any]:
    """The same for `async for`."""
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
