"""`%crucible`: parse the line and call the public API."""

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
from crucible_nb.notebook.cell_spans import OpenCells, cell_span
from crucible_nb.notebook.parser import HelpRequested, cell_parser, full_help, parser, refuse_unfilled, split_line

_ACTIONS = ("start", "attach", "pause", "resume", "stop")


class Magic:
    """The `%crucible` magic of one shell and its state.

    Args:
        shell: An IPython shell.

    Attributes:
        experiments: The newest experiment of each name started or attached by the magic. The reference keeps it
            alive when no variable does.
        cells: Cells running under a `%%crucible` header.
        store: The store last given to the magic; None before.
    """

    def __init__(self, shell: Any) -> None:
        self.shell, self.cells = shell, OpenCells()
        self.parsers = {False: parser(), True: cell_parser()}
        self.experiments: dict[str, Experiment] = {}
        self.store: str | None = None

    def function(self) -> Any:
        """Return the function to register, with the full help as its docstring."""

        def crucible(line: str, cell: str | None = None) -> Any:
            if cell is not None:
                raise UsageError("%%crucible: expected as the first line of a cell")
            return self.run(line)

        crucible.__doc__ = full_help()
        return crucible

    def run(self, line: str) -> Any:
        """Execute a line; errors the user can correct are one line without a traceback."""
        words, silent = split_line(line)
        refuse_unfilled(line)
        header = words[:1] == ["%%"]  # see `cell_spans.transform_header`
        try:
            arguments = vars(self.parsers[header].parse_args(words[1:] if header else words or ["--help"]))
            command, output = arguments.pop("command", "cell"), arguments.pop("output", None)
            result = getattr(self, f"_{command}")(**arguments)
        except HelpRequested as request:
            print(request)  # noqa: T201
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

    def find_experiment(self, name: str | None) -> Experiment:
        """Return the newest experiment of this name or id; the default one if `name` is None."""
        if name is None:
            return self._default_experiment()
        known = session.known()
        for experiment in reversed(known):
            if name in (experiment.name, experiment.id):
                return experiment
        names = ", ".join(dict.fromkeys(repr(experiment.name) for experiment in known)) or "none"
        raise UsageError(f"no experiment {name!r} in this kernel; available: {names}")

    def _default_experiment(self) -> Experiment:
        """Return the current experiment while it runs, else the last one started by the magic."""
        current, last = session.current(), next(reversed(self.experiments.values()), None)
        default = current if current is not None and (last is None or _is_live(current)) else last
        if default is None:
            raise UsageError("no current experiment: start one with `%crucible start NAME`, or name one with -e NAME")
        return default

    def _find_arm(self, name: str) -> Any:
        """Return an experiment, else a variable that can be compared."""
        if all(name not in (experiment.name, experiment.id) for experiment in session.known()):
            value = self.shell.user_ns.get(name)
            if isinstance(value, (Experiment, pd.DataFrame, pd.Series, np.ndarray, list)):
                return value
        return self.find_experiment(name)

    # -- commands -------------------------------------------------------------------------------------------------

    def _start_new(self, name: str, *, default: bool, store: str | None = None, **options: Any) -> Experiment:
        return self._keep(session.start(name, default=default, store=store, **options), store)

    def _keep(self, experiment: Experiment, store: str | None) -> Experiment:
        self.store = store or self.store
        self.experiments.pop(experiment.name, None)  # so that the newest comes last
        self.experiments[experiment.name] = experiment
        return experiment

    def _start(self, name: str, **options: Any) -> Experiment:
        return self._start_new(name, default=True, **options)

    def _attach(self, name: str, store: str | None = None, mode: str | None = None) -> Experiment:
        if store is None and not Path(name).is_absolute():  # an absolute path is a handle
            if self.store is None:
                raise UsageError(f"cannot attach to {name!r}: no store is known; pass --store PATH")
            store = self.store
        CURRENT.default = attached = self._keep(attach(name, store, mode), store)
        return attached

    def _cell(self, name: str, **options: Any) -> Experiment | None:
        """Record the cell as a span of a running NAME and return None; else start and return a new experiment."""
        running = LIVE.find_running(name)
        if running is None:
            experiment = self._start_new(name, default=False, **options)
            self.cells.begin(experiment)
            return experiment
        if options:
            given = ", ".join(f"--{option.replace('_', '-')}" for option in options)
            raise UsageError(f"{name!r} is {running.status}: options apply to a new experiment only, got {given}")
        self.cells.begin(cell_span(running))
        return None

    def _pause(self, experiment: str | None = None) -> Experiment:
        return self._change_status("pause", experiment)

    def _resume(self, experiment: str | None = None) -> Experiment:
        return self._change_status("resume", experiment)

    def _stop(self, experiment: str | None = None) -> Experiment:
        return self._change_status("stop", experiment)

    def _change_status(self, verb: str, name: str | None) -> Experiment:
        experiment = self.find_experiment(name)
        getattr(experiment, verb)()
        return experiment

    def _status(self, experiment: str | None = None) -> Experiment:
        return self.find_experiment(experiment)

    def _list(self, store: str | None = None) -> pd.DataFrame:
        return session.experiments(store)

    def _metrics(self, experiment: str | None = None, **options: Any) -> Any:
        return self.find_experiment(experiment).metrics(**options)

    def _windows(self, window: str, step: str | None = None, experiment: str | None = None, **options: Any) -> Any:
        return self.find_experiment(experiment).windowed_metrics(window, step, **options)

    def _anomalies(self, experiment: str | None = None) -> pd.DataFrame:
        return self.find_experiment(experiment).anomalies()

    def _compare(self, a: str, b: str, metrics: tuple[str, ...] | None = None, **options: Any) -> Any:
        if "margin" in options:
            options["margin"] = _margin(options["margin"])
        return compare(self._find_arm(a), self._find_arm(b), metrics, **options)

    def _dashboard(self, experiment: str | None = None, compare: tuple[str, ...] = (), **options: Any) -> Any:
        others = [self.find_experiment(name) for name in compare]
        return self.find_experiment(experiment).dashboard(compare=others or None, **options)

    def _export(self, path: str, experiment: str | None = None, **options: Any) -> Path:
        return self.find_experiment(experiment).export(path, **options)

    def _report(self, path: str, experiment: str | None = None, compare: tuple[str, ...] = (), **options: Any) -> Path:
        others = [self.find_experiment(name) for name in compare]
        return self.find_experiment(experiment).report(path, compare=others or None, **options)


def _is_live(experiment: Experiment) -> bool:
    return experiment.status in ("running", "paused")


def _margin(text: str) -> float | str:
    """Parse a margin: a number, or text such as "5%" unchanged."""
    try:
        return float(text)
    except ValueError:
        return text
