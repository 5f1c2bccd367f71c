"""Copies of an experiment in PostgreSQL databases and object storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from crucible_nb.errors import CrucibleError
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.archive import Remote, without_credentials
from crucible_nb.store.layout import PRICES
from crucible_nb.store.log import EventLog, StoredLog, View
from crucible_nb.store.postgres.address import Address
from crucible_nb.store.postgres.changes import Source
from crucible_nb.store.postgres.replicator import Replicator


class Copies:
    """Keeps copies of an experiment up to date.

    Args:
        log: Log of the experiment.
        lock: Lock of the experiment.
        view: Returns a view of the experiment; called with the lock held.
        apply: Applies a verb.
        summary: Gives `Experiment.summary()`.

    Attributes:
        replicator: Replicator to a database; None without a database.
    """

    def __init__(
        self,
        log: EventLog,
        lock: AbstractContextManager[Any],
        view: Callable[[], View],
        apply: Callable[[str], None],
        summary: Callable[[], dict[str, Any]],
    ) -> None:
        self._log, self._lock, self._view, self._apply, self._summary = log, lock, view, apply, summary
        self._archives: dict[str, tuple[Remote, dict[str, Any]]] = {}
        self.replicator: Replicator | None = None
        if isinstance(log, StoredLog):
            log.on_sealed.append(self._push_all)
            log.on_finished.append(self._ended)

    # -- databases ----------------------------------------------------------------------------------------------------

    def replicate(self, address: Address, *, once: bool = False) -> Replicator:
        """Start copying to a database.

        Args:
            address: The database.
            once: Whether to end after everything recorded so far was copied.
        """
        log = self._log
        writes = isinstance(log, StoredLog)
        source = Source(
            identity=log.identity,
            config=log.config,
            lock=self._lock,
            streams=self._streams,
            evicted_rows=log.evicted_rows,
            summary=self._summary,
            prices=(log.folder_for(f"copy {log.config.name!r}").path / PRICES).read_bytes(),
            began={log.writer.writer_id: log.writer.began} if writes else {},  # type: ignore[attr-defined]
        )
        self.replicator = Replicator(address, source, once=once)
        return self.replicator

    def _streams(self) -> Sequence[Stream]:
        """Return the current state of each writer."""
        with self._lock:
            view = self._view()
            return list(view.streams.values())

    def _ended(self) -> None:
        if self.replicator is not None:
            self.replicator.ended()

    def wait(self, timeout: float | None) -> bool:
        """Wait until everything recorded so far is in the database; return whether it is."""
        return self.replicator is None or self.replicator.wait(timeout)

    def lag(self) -> str:
        """Describe the lag of the database for a repr; "" without a database."""
        return "" if self.replicator is None else self.replicator.describe()

    # -- object storage -----------------------------------------------------------------------------------------------

    def archive(self, url: str) -> str:
        """Copy sealed files to object storage, or all files of an ended experiment; return its URL there."""
        name = self._log.config.name
        folder = self._log.folder_for(f"archive {name!r} to {without_credentials(url)!r}")
        remote, facts = self._archives.setdefault(without_credentials(url), (Remote(url, folder.path.name), {}))
        self._push(remote, facts)
        with self._lock:
            view = self._view()
            status = view.experiment.status
        if status in ("stopped", "failed"):
            self._apply("archive")
            self._push(remote, facts)
        return remote.url

    def _push(self, remote: Remote, facts: dict[str, Any]) -> None:
        try:
            done = remote.push(self._log.folder_for("archive"), whole=self._log.ended)
            facts.update(files=done.files, events=done.events, failure=None)
        except CrucibleError as error:
            facts.update(failure=str(error))
            raise

    def _push_all(self) -> None:
        """Copy newly sealed files, in the background."""
        for remote, facts in list(self._archives.values()):
            with suppress(CrucibleError):
                self._push(remote, facts)

    # -- state --------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Return the state of each copy, by its address."""
        copied: dict[str, Any] = {url: dict(facts) for url, (_, facts) in self._archives.items()}
        if self.replicator is not None:
            copied[repr(self.replicator.address)] = self.replicator.facts()
        return copied

    def after_in_child(self) -> None:
        """Drop the replicator in a forked process; its threads are in the parent."""
        self.replicator = None
