"""The experiments of this process, in order of starting."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from crucible_nb.experiment.experiment import Experiment

_ALIVE = ("running", "paused")


class LiveExperiments:
    """Every experiment of this process; one that ended, or is only read here, stays as long as somebody holds it.

    Attributes:
        warned: Whether it was said that nothing is recorded.
    """

    def __init__(self) -> None:
        self._all: list[Callable[[], Experiment | None]] = []
        self.warned = False

    def add(self, experiment: Experiment) -> None:
        """One more."""
        self._all.append((lambda: experiment) if _owned(experiment) else weakref.ref(experiment))

    def known(self) -> list[Experiment]:
        """Those that are still there."""
        self._all = [self._loosened(holder) for holder in self._all if holder() is not None]
        return [experiment for holder in self._all if (experiment := holder()) is not None]

    @staticmethod
    def _loosened(holder: Callable[[], Experiment | None]) -> Callable[[], Experiment | None]:
        experiment = holder()
        if experiment is None or isinstance(holder, weakref.ref) or experiment.status in _ALIVE:
            return holder
        return weakref.ref(experiment)

    def living(self, name: str) -> Experiment | None:
        """The newest of a name that has not ended, among those that are this process's to end."""
        return next((one for one in self._living() if one.name == name), None)

    def hosting(self, identity: str) -> Experiment | None:
        """The one of this id, where this process is the one that writes it."""
        return next((one for one in self._living() if one.id == identity), None)

    def _living(self) -> list[Experiment]:
        return [one for one in reversed(self.known()) if _owned(one) and one.status in _ALIVE]


def _owned(experiment: Experiment) -> bool:
    """Whether it is neither read nor joined here."""
    if experiment._attached is None:
        return True
    return experiment._writer is not None and experiment._writer.writer_id == 0


KERNEL = LiveExperiments()
