"""`%crucible`: parse, call the core, done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.error import UsageError

from crucible_nb.comparison import compare
from crucible_nb.errors import CrucibleError
from crucible_nb.experiment import session
from crucible_nb.experiment.attach import attach
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.live import LIVE
from crucible_nb.notebook import static_page
from crucible_nb.notebook.cell_spans import Cells, spanned
from crucible_nb.notebook.parser import HelpWanted, cell_parser, manual, parser, words

_ACTIONS = ("start", "attach", "pause", "resume", "stop")


class Magic:
    """What the extension keeps for one shell.

    Args:
        shell: An IPython shell.

    Attributes:
        held: The newest experiment of each name that a magic started or attached: without a variable it would be
            forgotten.
        cells: Those that run under a `%%crucible` header.
        store: The last that a magic was given.
    """

    def __init__(self, shell: Any) -> None:
        self.shell, self.cells = shell, Cells()
        self.parsers = {False: parser(), True: cell_parser()}
        self.held: dict[str, Experiment] = {}
        self.store: str | None = None

    def function(self) -> Any:
        """The function to register, with all of the help as its docstring."""

        def crucible(line: str, cell: str | None = None) -> Any:
            if cell is not None:
                raise UsageError("%%crucible: expected as the first line of a cell")
            return self.run(line)

        crucible.__doc__ = manual()
        return crucible

    def run(self, line: str) -> Any:
        """Do what a line says; what a user can mend is one line, with no traceback."""
        said, silent = words(line)
        header = said[:1] == ["%%"]  # see `cell.header`
        try:
            asked = vars(self.parsers[header].parse_args(said[1:] if header else said or ["--help"]))
            command, output = asked.pop("command", "cell"), asked.pop("output", None)
            result = getattr(self, f"_{command}")(**asked)
        except HelpWanted as wanted:
            print(wanted)  # noqa: T201
            return None
        except CrucibleError as error:
            raise UsageError(" ".join(str(error).split())) from None
        if output is None and result is not None and command in ("start", "attach", "cell"):
            output = "exp"
        if output is not None:
            self.shell.push({output: result}, interactive=True)
        if command in _ACTIONS:
            print(static_page.line([result]))  # noqa: T201
        return None if silent or command in (*_ACTIONS, "cell") else result

    def one(self, name: str | None) -> Experiment:
        """The newest experiment of this name or id; of None the one that is meant."""
        if name is None:
            return self._meant()
        known = session.known()
        for one in reversed(known):
            if name in (one.name, one.id):
                return one
        names = ", ".join(dict.fromkeys(repr(one.name) for one in known)) or "none"
        raise UsageError(f"no experiment {name!r} in this kernel; there are: {names}")

    def _meant(self) -> Experiment:
        """The current one while it runs, else the last that a magic started."""
        current, last = session.current(), next(reversed(self.held.values()), None)
        found = current if current is not None and (last is None or _alive(current)) else last
        if found is None:
            raise UsageError("no experiment is current: `%crucible start NAME` makes one, `-e NAME` names one")
        return found

    def _arm(self, name: str) -> Any:
        """An experiment, else a variable with something to compare."""
        if all(name not in (one.name, one.id) for one in session.known()):
            held = self.shell.user_ns.get(name)
            if isinstance(held, (Experiment, pd.DataFrame, pd.Series, np.ndarray, list)):
                return held
        return self.one(name)

    # -- commands -------------------------------------------------------------------------------------------------

    def _begun(self, name: str, *, default: bool, store: str | None = None, **options: Any) -> Experiment:
        return self._hold(session.start(name, default=default, store=store, **options), store)

    def _hold(self, experiment: Experiment, store: str | None) -> Experiment:
        self.store = store or self.store
        self.held.pop(experiment.name, None)  # the newest is the last
        self.held[experiment.name] = experiment
        return experiment

    def _start(self, name: str, **options: Any) -> Experiment:
        return self._begun(name, default=True, **options)

    def _attach(self, name: str, store: str | None = None, mode: str | None = None) -> Experiment:
        if store is None and not Path(name).is_absolute():  # as a handle is
            if self.store is None:
                raise UsageError(f"cannot attach to {name!r}: expected --store PATH, which says where it is kept")
            store = self.store
        CURRENT.default = found = self._hold(attach(name, store, mode), store)
        return found

    def _cell(self, name: str, **options: Any) -> Experiment | None:
        """Of a running NAME the cell is a span; the answer is a new experiment, or None."""
        running = LIVE.find_running(name)
        if running is None:
            begun = self._begun(name, default=False, **options)
            self.cells.begin(begun)
            return begun
        if options:
            given = ", ".join(f"--{option.replace('_', '-')}" for option in options)
            raise UsageError(f"{name!r} is {running.status}: expected no options of a new one, got {given}")
        self.cells.begin(spanned(running))
        return None

    def _pause(self, experiment: str | None = None) -> Experiment:
        return self._moved("pause", experiment)

    def _resume(self, experiment: str | None = None) -> Experiment:
        return self._moved("resume", experiment)

    def _stop(self, experiment: str | None = None) -> Experiment:
        return self._moved("stop", experiment)

    def _moved(self, verb: str, name: str | None) -> Experiment:
        one = self.one(name)
        getattr(one, verb)()
        return one

    def _status(self, experiment: str | None = None) -> Experiment:
        return self.one(experiment)

    def _list(self, store: str | None = None) -> pd.DataFrame:
        return session.experiments(store)

    def _metrics(self, experiment: str | None = None, **options: Any) -> Any:
        return self.one(experiment).metrics(**options)

    def _windows(self, window: str, step: str | None = None, experiment: str | None = None, **options: Any) -> Any:
        return self.one(experiment).windowed_metrics(window, step, **options)

    def _anomalies(self, experiment: str | None = None) -> pd.DataFrame:
        return self.one(experiment).anomalies()

    def _compare(self, a: str, b: str, metric: tuple[str, ...] | None = None, **options: Any) -> Any:
        if "margin" in options:
            options["margin"] = _float(options["margin"])
        return compare(self._arm(a), self._arm(b), metric, **options)

    def _dashboard(self, experiment: str | None = None, compare: str | None = None, refresh: float = 0.5) -> Any:
        other = None if compare is None else self.one(compare)
        return self.one(experiment).dashboard(refresh, compare=other)

    def _export(self, path: str, experiment: str | None = None, **options: Any) -> Path:
        return self.one(experiment).export(path, **options)


def _alive(experiment: Experiment) -> bool:
    return experiment.status in ("running", "paused")


def _float(text: str) -> float | str:
    """A margin: a number, or "5%" as it is."""
    try:
        return float(text)
    except ValueError:
        return text
