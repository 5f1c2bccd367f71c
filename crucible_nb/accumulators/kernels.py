"""Compiled code, loaded in the background once there was enough work for it."""

from __future__ import annotations

import contextlib
from types import ModuleType

from crucible_nb.utils.optional import have
from crucible_nb.utils.runtime import RUNTIME
from crucible_nb.utils.threads import COMPILER

_PAYS = 100_000  # rows; loading takes about half a second, compiling some seconds once


class Kernels:
    """The module `compiled`, if numba is installed; until it is loaded, numpy does the same work.

    Examples:
        >>> Kernels().after(10) is None
        True
    """

    def __init__(self) -> None:
        self._module: ModuleType | None = None
        self._begin()
        RUNTIME.in_child(self._begin)

    def _begin(self) -> None:
        self._rows, self._asked = 0, False

    def after(self, rows: int) -> ModuleType | None:
        """Return the module if it is loaded, after so many more rows of work; ask for it once that pays."""
        self._rows += rows
        if self._module is None and self._rows >= _PAYS and not self._asked:
            self._asked = True
            COMPILER.submit(self._load_quietly)
        return self._module

    def load(self) -> ModuleType | None:
        """Load the module now; None without numba."""
        if self._module is None and have("numba"):
            from crucible_nb.accumulators import compiled  # noqa: PLC0415  numba is heavy, and an extra

            compiled.compile_all()
            self._module = compiled
        return self._module

    def _load_quietly(self) -> None:
        with contextlib.suppress(Exception):  # numpy goes on; numba fails where it may not write its cache
            self.load()


KERNELS = Kernels()
"""The compiled code of this process."""
