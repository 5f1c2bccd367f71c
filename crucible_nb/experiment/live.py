"""The experiments of this process, in order of starting."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from crucible_nb.store.log import EventLog
from crucible_nb.utils.runtime import RUNTIME

if TYPE_CHECKING:
    from crucible_nb.experiment.experiment import Experiment

_ALIVE = ("running", "paused")


class _Entry(NamedTuple):
    """References to an experiment, None after it was deleted, and to its log."""

    get: Callable[[], Experiment | None]
    log: weakref.ref[EventLog]

    def has(self, flag: str) -> bool:
        """Return whether a flag of the log is set: `owned` or `records`."""
        log = self.log()
        return log is not None and bool(getattr(log, flag))


class LiveExperiments:
    """Registry of experiments: owned ones are referenced until they end; ended and read-only ones only weakly.

    Attributes:
        warned: Whether the warning that no experiment is running was shown.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self.warned = False

    def add(self, experiment: Experiment, log: EventLog) -> None:
        """Add an experiment and its log."""
        get = (lambda: experiment) if log.owned else weakref.ref(experiment)
        self._entries.append(_Entry(get, weakref.ref(log)))

    def known(self) -> list[Experiment]:
        """Return all experiments that still exist."""
        self._entries = [self._weakened(entry) for entry in self._entries if entry.get() is not None]
        return [experiment for entry in self._entries if (experiment := entry.get()) is not None]

    @staticmethod
    def _weakened(entry: _Entry) -> _Entry:
        """Replace the reference to an ended experiment by a weak one."""
        experiment = entry.get()
        if experiment is None or isinstance(entry.get, weakref.ref) or experiment.status in _ALIVE:
            return entry
        return entry._replace(get=weakref.ref(experiment))

    def find_running(self, name: str) -> Experiment | None:
        """Find the newest experiment with a name that has not ended and is owned by this process."""
        return next((one for one in self._alive("owned") if one.name == name), None)

    def find_owned(self, identity: str) -> Experiment | None:
        """Find the experiment with an id, if it has not ended and is owned by this process."""
        return next((one for one in self._alive("owned") if one.id == identity), None)

    def find_recording(self, identity: str) -> Experiment | None:
        """Find the experiment with an id, if this process records into it."""
        return next((one for one in self._with_flag("records") if one.id == identity), None)

    def _with_flag(self, flag: str) -> list[Experiment]:
        self.known()
        experiments = [entry.get() for entry in reversed(self._entries) if entry.has(flag)]
        return [experiment for experiment in experiments if experiment is not None]

    def _alive(self, flag: str) -> list[Experiment]:
        return [experiment for experiment in self._with_flag(flag) if experiment.status in _ALIVE]

    def reset(self) -> None:
        """Stop running experiments, and remove all."""
        for experiment in self._alive("owned"):
            experiment.stop()
        self._entries, self.warned = [], False


LIVE = RUNTIME.add(LiveExperiments())
