"""Turn a `%%crucible` line into a call and run the rest of the cell unchanged.

So `await`, `%time`, `!` and the cell's last value work as usual, and errors show once, with the traceback of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from IPython.core.inputtransformer2 import cell_magic

from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils.interrupts import unbroken

_HEADER = re.compile(r"%%crucible(?:[ \t]+(?P<arguments>.*[^?\s]))?[ \t]*\n?\Z")


def transform_header(lines: list[str]) -> list[str]:
    r"""Input transformer: replace a first line `%%crucible ...` by a call; other lines stay.

    Blank lines and comments may come before it, and another cell magic, such as `%%time`, may follow.

    Args:
        lines: Lines of the cell, with their line ends.

    Examples:
        >>> transform_header(["%%crucible demo\n", "1 + 1\n"])
        ["get_ipython().run_line_magic('crucible', '%% demo')\n", '1 + 1\n']
    """
    at = _first_code(lines, 0)
    match = _HEADER.match(lines[at]) if at < len(lines) else None
    if match is None:
        return lines
    line = f"%% {match['arguments'] or ''}".rstrip()
    body = _first_code(lines, at + 1)
    rest = [*lines[at + 1 : body], *cell_magic(lines[body:])]  # type: ignore[no-untyped-call]
    return [*lines[:at], f"get_ipython().run_line_magic('crucible', {line!r})\n", *rest]


def _first_code(lines: list[str], start: int) -> int:
    """Return the index of the first line from `start` on that is neither blank nor a comment."""
    return next((i for i in range(start, len(lines)) if lines[i].strip() and lines[i].lstrip()[0] != "#"), len(lines))


@contextmanager
def cell_span(experiment: Experiment) -> Iterator[None]:
    """Make the experiment current inside the block, and record the block as one `cell` event.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("spanned")
        >>> with cell_span(exp):
        ...     _ = cr.record("tick")
        >>> exp.df.event.tolist()
        ['tick', 'cell']
        >>> exp.stop()
    """
    try:
        CURRENT.push(experiment)
        with experiment.span("cell"):
            yield
    finally:
        CURRENT.pop(experiment)


class OpenCells:
    """The context managers of cells whose header has run and which have not ended, innermost last."""

    def __init__(self) -> None:
        self._open: list[AbstractContextManager[Any]] = []

    def begin(self, context: AbstractContextManager[Any]) -> None:
        """Enter the context of the running cell."""
        with unbroken():  # what was entered is left
            context.__enter__()
            self._open.append(context)

    def end(self, result: Any) -> None:
        """Leave the context after its cell (`post_run_cell`), with the cell's error if there was one."""
        if not self._open or "%%crucible" not in (result.info.raw_cell or ""):
            return
        error = result.error_before_exec or result.error_in_exec
        kind, trace = (None, None) if error is None else (type(error), error.__traceback__)
        self._open.pop().__exit__(kind, error, trace)
