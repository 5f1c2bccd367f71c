"""The experiments of this process, in order of starting."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crucible_nb.store.log import EventLog
from crucible_nb.utils.interrupts import let_pass
from crucible_nb.utils.runtime import RUNTIME

if TYPE_CHECKING:
    from crucible_nb.experiment.experiment import Experiment

_ALIVE = ("running", "paused")


class _Entry(NamedTuple):
    """References to an experiment, None after it was deleted, and to its log."""

    get: Callable[[], Experiment | None]
    log: weakref.ref[EventLog]


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

    def find_running(self, name: str, store: Path | None = None) -> Experiment | None:
        """Find the newest experiment with a name that has not ended and is owned by this process.

        Args:
            name: Name of the experiment.
            store: Folder of the store that it has to be in; None: any store, or none.
        """
        for experiment, log in self._with_flag("owned"):
            if experiment.name == name and experiment.status in _ALIVE:
                folder = log.location
                if store is None or (folder is not None and _is_same(folder.parent, store)):
                    return experiment
        return None

    def find_owned(self, folder: Path) -> Experiment | None:
        """Find the experiment in a folder, if it has not ended and is owned by this process."""
        experiment = self._find("owned", folder)
        return experiment if experiment is not None and experiment.status in _ALIVE else None

    def find_recording(self, folder: Path) -> Experiment | None:
        """Find the experiment in a folder, if this process records into it."""
        return self._find("records", folder)

    def _find(self, flag: str, folder: Path) -> Experiment | None:
        """Find an experiment by its folder; the id alone does not tell a copy from the original."""
        for experiment, log in self._with_flag(flag):
            if log.location is not None and _is_same(log.location, folder):
                return experiment
        return None

    def _with_flag(self, flag: str) -> Iterator[tuple[Experiment, EventLog]]:
        """Yield the experiments with a flag of the log set, and their logs, the newest first."""
        self.known()
        for entry in reversed(self._entries):
            experiment, log = entry.get(), entry.log()
            if experiment is not None and log is not None and getattr(log, flag):
                yield experiment, log

    def reset(self) -> None:
        """Stop running experiments, and remove all."""
        for experiment, _ in list(self._with_flag("owned")):
            if experiment.status in _ALIVE:
                experiment.stop()
        self._entries, self.warned = [], False


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths name the same folder, by whatever links."""
    try:
        return one.samefile(other)
    except OSError as error:
        let_pass(error)
        return one.absolute() == other.absolute()


LIVE = RUNTIME.add(LiveExperiments())
