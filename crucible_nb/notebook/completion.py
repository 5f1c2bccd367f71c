"""Tab completion after `%crucible`: commands, options, and the values that they take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.errors import CrucibleError
from crucible_nb.experiment import session
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.commands import CELL, COMMANDS, Argument, Command
from crucible_nb.notebook.parser import path
from crucible_nb.store.catalog import names

_CALL = re.compile(r"\s*(?:[\w, ]+=\s*)?(?P<sign>%{0,2})crucible\s+(?P<said>.*)\Z", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))+""")
_DURATIONS = ("30s", "1min", "5min", "15min", "1h", "1D")
_STATISTICS = ("mean", "p50", "p95", "p99", "total")


class Offer(NamedTuple):
    """What is offered in place of the fragment before the cursor."""

    fragment: str
    texts: list[str]


def offer(line: str, values: Callable[[Argument, list[str]], Iterable[str]]) -> Offer | None:
    """What could follow.

    Args:
        line: The text before the cursor.
        values: Says what an argument could be, given the words so far.

    Returns:
        None where the line is not about `%crucible`.

    Examples:
        >>> offer("%crucible me", lambda argument, said: [])
        Offer(fragment='me', texts=['metrics'])
        >>> offer("%crucible metrics --last 5", lambda argument, said: ["1min", "5min"])
        Offer(fragment='5', texts=['5min'])
    """
    call = _CALL.match(line)
    if call is None:
        return None
    said = [match.group() for match in _WORD.finditer(call["said"])]
    fragment = said.pop() if said and call["said"].endswith(said[-1]) else ""
    if call["sign"] == "%%":
        command: Command | None = CELL
    elif not said:
        return _of(fragment, COMMANDS)
    else:
        command = COMMANDS.get(said.pop(0))
    if command is None:
        return Offer(fragment, [])
    argument, fragment = _asked(command, said, fragment)
    if argument is not None:
        fragment = fragment.rpartition(",")[2] if argument.many else fragment
        found = _of(fragment, argument.choices or values(argument, said))
        if found.texts or fragment or not argument.positional or argument.takes == "path":
            return found
    return _of(fragment, _flags(command, said))


def _asked(command: Command, said: list[str], fragment: str) -> tuple[Argument | None, str]:
    """The argument whose value is being written, and as much of it as there is."""
    options = {flag: one for one in command.arguments for flag in one.flags if not one.positional}
    flag, equals, rest = fragment.partition("=")
    if equals and flag in options:
        return options[flag], rest
    before = options.get(said[-1]) if said else None
    if before is not None and before.takes != "switch":
        return before, fragment
    if fragment.startswith("-"):
        return None, fragment
    places = [one for one in command.arguments if one.positional]
    taken = {at + 1 for at, word in enumerate(said) if word in options and options[word].takes != "switch"}
    done = sum(not word.startswith("-") for at, word in enumerate(said) if at not in taken)
    return (places[done] if done < len(places) else None), fragment


def _flags(command: Command, said: list[str]) -> list[str]:
    """Options that are not there yet, long."""
    free = (one for one in command.arguments if not one.positional and not set(one.flags) & set(said))
    return [*(one.flags[-1] for one in free), "--help"]


def _of(fragment: str, texts: Iterable[str]) -> Offer:
    start = fragment.lstrip("\"'")
    fitting = [text for text in dict.fromkeys(texts) if text.startswith(start)]
    return Offer(fragment, [shlex.quote(text) if _needs_quotes(text) else text for text in fitting])


def _needs_quotes(text: str) -> bool:
    return not text or any(char.isspace() or char in "\"'" for char in text)


class Values:
    """What arguments could be in this shell now.

    Args:
        magic: The magic whose experiments and variables they are.
    """

    def __init__(self, magic: Any) -> None:
        self._magic = magic

    def __call__(self, argument: Argument, said: list[str]) -> Iterable[str]:
        """Values for an argument, given the words so far."""
        if argument.takes in ("experiment", "arm"):
            held = self._variables() if argument.takes == "arm" else []
            return [*(one.name for one in reversed(session.known())), *held]
        if argument.takes == "stored":
            return self._stored(said)
        if argument.takes == "duration":
            return _DURATIONS
        if argument.takes in ("column", "metric"):
            frame = self._frame(said)
            return map(str, frame.columns) if argument.takes == "column" else metrics(frame)
        return []

    def _stored(self, said: list[str]) -> list[str]:
        """Names in the store that was said, else in the last one; of a folder, which answers at once."""
        given = [after.strip("\"'") for word, after in pairwise(said) if word == "--store"]
        given += [word.partition("=")[2].strip("\"'") for word in said if word.startswith("--store=")]
        where = path(given[-1]) if given else self._magic.store
        if where is None or "://" in where:
            return []
        with suppress(CrucibleError):
            return names(Path(where))
        return []

    def _variables(self) -> list[str]:
        held = self._magic.shell.user_ns.items()
        return [name for name, value in held if name[0] != "_" and isinstance(value, (Experiment, pd.DataFrame))]

    def _frame(self, said: list[str]) -> pd.DataFrame:
        """The rows that columns are of: of a named experiment, else of the current one."""
        named = [word.strip("\"'") for word in said]
        found: list[Any] = [one for one in reversed(session.known()) if one.name in named]
        held = (self._magic.shell.user_ns.get(name) for name in named)
        found += [one for one in held if isinstance(one, (Experiment, pd.DataFrame))]
        one = found[0] if found else session.current()
        return one.frame() if isinstance(one, Experiment) else pd.DataFrame() if one is None else one


def metrics(frame: pd.DataFrame) -> list[str]:
    """Names of what a frame could be compared by.

    Examples:
        >>> metrics(pd.DataFrame({"loss": [0.5], "name": ["a"]}))
        ['loss', 'mean_loss', 'p50_loss', 'p95_loss', 'p99_loss', 'total_loss']
    """
    rate = ["success_rate"] if "success" in frame else []
    columns = [str(name) for name, kind in frame.dtypes.items() if pd.api.types.is_numeric_dtype(kind)]
    apart = {"success", "seq", "weight", "anomaly", "anomaly_score"}
    used = [name for name in columns if name not in apart]
    return [*rate, *used, *(f"{statistic}_{name}" for name in used for statistic in _STATISTICS)]
