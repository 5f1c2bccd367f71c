"""A buffer whose rows stay in the database until somebody wants them all."""

from __future__ import annotations

from collections.abc import Callable

from crucible_nb.buffer import Buffer
from crucible_nb.cells import Batch, Dictionary


class Distant(Buffer):
    """Rows that stay in the database until somebody wants them all.

    Args:
        dictionaries: Of the category columns.
        held: How many there are.
        fetch: Gives them as a batch.
    """

    def __init__(self, dictionaries: dict[str, Dictionary], held: int, fetch: Callable[[], Batch | None]) -> None:
        super().__init__(dictionaries)
        self._held, self._fetch = held, fetch
        self._away = held > 0

    def __len__(self) -> int:
        return self._held if self._away else super().__len__()

    def _settle(self) -> None:
        if self._away:
            self._away = False
            batch = self._fetch()
            if batch is not None:
                self.append(batch)
        super()._settle()
