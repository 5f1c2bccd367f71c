"""Units on a cluster of dask: scheduling, memory and retries are its work."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from crucible_nb.datasets.executors import Outcome
from crucible_nb.datasets.state import Spec, measure
from crucible_nb.datasets.units import Unit
from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.utils import checks, optional


class Cluster:
    """A cluster that a client of dask is connected to. Its workers need to see the files, and crucible_nb.

    A unit whose worker is killed runs on another one; dask gives up after `distributed.scheduler.allowed-failures`.

    Args:
        client: `dask.distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._distributed: Any = optional.need("distributed", "dask", "client=")
        if not isinstance(client, self._distributed.Client):
            raise checks.wrong("client", client, "a dask.distributed.Client")
        self._client = client

    def run(self, units: Sequence[Unit], spec: Spec) -> Generator[Outcome, None, None]:
        """Compute the states of units; the client holds few states at a time."""
        ahead = 2 * max(1, sum(self._client.nthreads().values()))
        waiting = iter(units)
        running: dict[Any, Unit] = {}
        done = self._distributed.as_completed(loop=self._client.loop)
        try:
            while len(running) < ahead and self._submit(waiting, spec, running, done):
                pass
            for future in done:
                unit = running.pop(future)
                yield unit, self._found(future, unit)
                future.release()
                self._submit(waiting, spec, running, done)
        finally:
            self._client.cancel(list(running), force=True)

    def _submit(self, waiting: Iterator[Unit], spec: Spec, running: dict[Any, Unit], done: Any) -> bool:
        unit = next(waiting, None)
        if unit is None:
            return False
        future = self._client.submit(measure, spec, unit, pure=False)
        running[future] = unit
        done.add(future)
        return True

    def _found(self, future: Any, unit: Unit) -> Any:
        try:
            return future.result()
        except CrucibleError as error:
            return error
        except self._distributed.KilledWorker:
            return StoreError(f"{unit.name}: the workers that computed it died")
