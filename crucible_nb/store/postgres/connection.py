"""One connection of a reader."""

from __future__ import annotations

import io
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.store.postgres.address import Address


class Connection:
    """One connection of a reader, made again when it breaks.

    Args:
        address: The database.
    """

    def __init__(self, address: Address) -> None:
        self.address, self._lock = address, threading.RLock()
        self._connection: Any = None
        self._undo: Any = None

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer to a query.

        Raises:
            StoreError: The database cannot be reached, or does not answer.
        """
        return self._twice(lambda connection: connection.execute(query, values).fetchall())  # type: ignore[no-any-return]

    def copy(self, query: str, values: Sequence[Any] = ()) -> bytes:
        """The answer to COPY ... TO STDOUT."""

        def ask(connection: Any) -> bytes:
            out = io.BytesIO()
            with connection.cursor() as cursor, cursor.copy(query, values) as parts:
                for part in parts:
                    out.write(part)
            return out.getvalue()

        return self._twice(ask)  # type: ignore[no-any-return]

    def _twice(self, ask: Any) -> Any:
        """A connection that has broken meanwhile is made again, once."""
        said = ""
        with self._lock:
            for _ in range(2):
                if self._connection is None or self._connection.closed:
                    self._connection = self.address.connect()
                    self._undo = weakref.finalize(self, _close, self._connection)
                try:
                    return ask(self._connection)
                except Exception as error:  # noqa: BLE001  worded below, outside of the handler
                    said = self._said(error)
                    if not self._connection.closed:
                        break
        raise StoreError(f"cannot read {self.address!r}: {said}")

    def _said(self, error: Exception) -> str:
        if getattr(error, "sqlstate", None) in ("42P01", "3F000"):
            return "there are no experiments in it"
        return self.address.reason(error)


def _close(connection: Any) -> None:
    with suppress(Exception):
        connection.close()
