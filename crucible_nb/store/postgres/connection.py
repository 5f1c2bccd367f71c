"""Connection of a reader, which is reopened when it breaks."""

from __future__ import annotations

import io
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.store.postgres.address import Address
from crucible_nb.store.postgres.tables import find_version
from crucible_nb.utils.interrupts import let_pass


class Connection:
    """Connection of a reader, shared by threads and reopened when it breaks.

    Args:
        address: Address of the database.
    """

    def __init__(self, address: Address) -> None:
        self.address, self._lock = address, threading.RLock()
        self._connection: Any = None
        self._finalizer: Any = None

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a query gives.

        Raises:
            StoreError: The database cannot be reached, or the query fails.
        """
        return self._with_reconnect(lambda connection: connection.execute(query, values).fetchall())  # type: ignore[no-any-return]

    def copy(self, query: str, values: Sequence[Any] = ()) -> bytes:
        """Return the output of COPY ... TO STDOUT."""

        def ask(connection: Any) -> bytes:
            out = io.BytesIO()
            with connection.cursor() as cursor, cursor.copy(query, values) as chunks:
                for chunk in chunks:
                    out.write(chunk)
            return out.getvalue()

        return self._with_reconnect(ask)  # type: ignore[no-any-return]

    def _with_reconnect(self, ask: Any) -> Any:
        """Call `ask` with the connection; if it has broken, reconnect and call it once more."""
        why = ""
        with self._lock:
            for _ in range(2):
                if self._connection is None or self._connection.closed:
                    self._connect()
                try:
                    return ask(self._connection)
                except Exception as error:  # noqa: BLE001  raised below, outside the handler
                    let_pass(error)
                    why = self._reason(error)
                    if not self._connection.closed:
                        break
        raise StoreError(f"cannot read {self.address!r}: {why}")

    def _connect(self) -> None:
        """Connect to a database whose tables have a version that can be read; one without tables has none to misread.

        Raises:
            StoreError: It cannot be reached, or its tables cannot be read.
        """
        connection, why = self.address.connect(), ""
        try:
            find_version(connection)
        except Exception as error:  # noqa: BLE001  raised below, outside the handler
            why = self._reason(error)
        if why:
            _close(connection)
            raise StoreError(f"cannot read {self.address!r}: {why}")
        self._connection = connection
        self._finalizer = weakref.finalize(self, _close, connection)

    def _reason(self, error: Exception) -> str:
        if getattr(error, "sqlstate", None) in ("42P01", "3F000"):
            return "there are no experiments in it"
        return self.address.reason(error)


def _close(connection: Any) -> None:
    with suppress(Exception):
        connection.close()
