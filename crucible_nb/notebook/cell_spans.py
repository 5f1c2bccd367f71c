"""`%%crucible` is a header: its line becomes a call, and the body stays the cell that it was.

So `await`, `%time`, `!` and the cell's last value work as ever, and errors show once, with the traceback of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment

_HEADER = re.compile(r"%%crucible(?:[ \t]+(?P<said>.*[^?\s]))?[ \t]*\n?\Z")


def header(lines: list[str]) -> list[str]:
    r"""Input transformer: a first line `%%crucible ...` becomes a call, all else is left alone.

    Args:
        lines: Of the cell, with their ends.

    Examples:
        >>> header(["%%crucible demo\n", "1 + 1\n"])
        ["get_ipython().run_line_magic('crucible', '%% demo')\n", '1 + 1\n']
    """
    found = _HEADER.match(lines[0]) if lines else None
    if found is None:
        return lines
    said = f"%% {found['said'] or ''}".rstrip()
    return [f"get_ipython().run_line_magic('crucible', {said!r})\n", *lines[1:]]


@contextmanager
def spanned(experiment: Experiment) -> Iterator[None]:
    """The experiment is the current one, and what happens within is one `cell` event of it.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("spanned")
        >>> with spanned(exp):
        ...     _ = cr.record("tick")
        >>> exp.df.event.tolist()
        ['tick', 'cell']
        >>> exp.stop()
    """
    CURRENT.push(experiment)
    try:
        with experiment.span("cell"):
            yield
    finally:
        CURRENT.pop(experiment)


class Cells:
    """Cells whose header has run and that have not ended, innermost last."""

    def __init__(self) -> None:
        self._open: list[AbstractContextManager[Any]] = []

    def begin(self, around: AbstractContextManager[Any]) -> None:
        """Enter what is around the cell that runs."""
        around.__enter__()
        self._open.append(around)

    def end(self, result: Any) -> None:
        """After a cell (`post_run_cell`): leave what is around it, with its error if there was one."""
        if not self._open or "%%crucible" not in (result.info.raw_cell or ""):
            return
        error = result.error_before_exec or result.error_in_exec
        kind, trace = (None, None) if error is None else (type(error), error.__traceback__)
        self._open.pop().__exit__(kind, error, trace)
