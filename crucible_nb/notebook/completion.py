"""Tab completion after `%crucible`: commands, options and their values."""

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
from crucible_nb.notebook.parser import expand_path
from crucible_nb.store.catalog import names

_CALL = re.compile(r"\s*(?:[\w, ]+=\s*)?(?P<sign>%{0,2})crucible\s+(?P<arguments>.*)\Z", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))+""")
_DURATIONS = ("30s", "1min", "5min", "15min", "1h", "1D")
_STATISTICS = ("mean", "p50", "p95", "p99", "total")


class Completions(NamedTuple):
    """Completions of the fragment before the cursor.

    Attributes:
        fragment: The text they replace.
        texts: The completions.
        is_path: Whether a path is typed, which IPython completes.
    """

    fragment: str
    texts: list[str]
    is_path: bool = False


def complete(line: str, values: Callable[[Argument, list[str]], Iterable[str]]) -> Completions | None:
    """Complete a line of `%crucible`.

    Args:
        line: The text before the cursor.
        values: Callable (argument, previous words) -> possible values of the argument.

    Returns:
        The completions; None if the line is not a `%crucible` line.

    Examples:
        >>> complete("%crucible me", lambda argument, words: []).texts
        ['metrics']
        >>> complete("%crucible metrics --last 5", lambda argument, words: ["1min", "5min"]).texts
        ['5min']
    """
    call = _CALL.match(line)
    if call is None:
        return None
    words = [match.group() for match in _WORD.finditer(call["arguments"])]
    fragment = words.pop() if words and call["arguments"].endswith(words[-1]) else ""
    if call["sign"] == "%%":
        command: Command | None = CELL
    elif not words:
        return _matching(fragment, COMMANDS)
    else:
        command = COMMANDS.get(words.pop(0))
    if command is None:
        return Completions(fragment, [])
    argument, fragment = _argument_at_cursor(command, words, fragment)
    if argument is not None:
        fragment = fragment.rpartition(",")[2] if argument.multiple else fragment
        matching = _matching(fragment, argument.choices or values(argument, words))
        is_path = argument.value_type == "path"
        if matching.texts or fragment or not argument.positional or is_path:
            return matching._replace(is_path=is_path)
    return _matching(fragment, _unused_options(command, words))


def _argument_at_cursor(command: Command, words: list[str], fragment: str) -> tuple[Argument | None, str]:
    """Return the argument whose value is at the cursor, and the part typed so far."""
    options = {flag: argument for argument in command.arguments for flag in argument.flags if not argument.positional}
    flag, equals, rest = fragment.partition("=")
    if equals and flag in options:
        return options[flag], rest
    before = options.get(words[-1]) if words else None
    if before is not None and before.value_type != "switch":
        return before, fragment
    if fragment.startswith("-"):
        return None, fragment
    positional = [argument for argument in command.arguments if argument.positional]
    option_values = {i + 1 for i, word in enumerate(words) if word in options and options[word].value_type != "switch"}
    done = sum(not word.startswith("-") for i, word in enumerate(words) if i not in option_values)
    return (positional[done] if done < len(positional) else None), fragment


def _unused_options(command: Command, words: list[str]) -> list[str]:
    """Return the long names of the options not used yet."""
    unused = (
        argument for argument in command.arguments if not argument.positional and not set(argument.flags) & set(words)
    )
    return [*(argument.flags[-1] for argument in unused), "--help"]


def _matching(fragment: str, texts: Iterable[str]) -> Completions:
    start = fragment.lstrip("\"'")
    matching = [text for text in dict.fromkeys(texts) if text.startswith(start)]
    return Completions(fragment, [shlex.quote(text) if _needs_quotes(text) else text for text in matching])


def _needs_quotes(text: str) -> bool:
    return not text or any(char.isspace() or char in "\"'" for char in text)


class ArgumentValues:
    """Possible values of arguments, from the experiments and variables of a shell.

    Args:
        magic: The magic of the shell.
    """

    def __init__(self, magic: Any) -> None:
        self._magic = magic

    def __call__(self, argument: Argument, words: list[str]) -> Iterable[str]:
        """Return possible values of an argument, given the previous words."""
        value_type = argument.value_type
        if value_type in ("experiment", "arm"):
            variables = self._variables() if value_type == "arm" else []
            return [*(experiment.name for experiment in reversed(session.known())), *variables]
        if value_type == "stored":
            return self._stored(words)
        if value_type == "duration":
            return _DURATIONS
        if value_type in ("column", "metric"):
            frame = self._frame(words)
            return map(str, frame.columns) if value_type == "column" else metric_names(frame)
        return []

    def _stored(self, words: list[str]) -> list[str]:
        """Return experiment names of the store given, else of the last one; folders only, since a database is slow."""
        given = [after.strip("\"'") for word, after in pairwise(words) if word == "--store"]
        given += [word.partition("=")[2].strip("\"'") for word in words if word.startswith("--store=")]
        store = expand_path(given[-1]) if given else self._magic.store
        if store is None or "://" in store:
            return []
        with suppress(CrucibleError):
            return names(Path(store))
        return []

    def _variables(self) -> list[str]:
        variables = self._magic.shell.user_ns.items()
        return [name for name, value in variables if name[0] != "_" and isinstance(value, (Experiment, pd.DataFrame))]

    def _frame(self, words: list[str]) -> pd.DataFrame:
        """Return the rows of the first experiment or variable named, else of the current experiment."""
        named = [word.strip("\"'") for word in words]
        sources: list[Any] = [experiment for experiment in reversed(session.known()) if experiment.name in named]
        variables = (self._magic.shell.user_ns.get(name) for name in named)
        sources += [value for value in variables if isinstance(value, (Experiment, pd.DataFrame))]
        known = session.known()
        source = sources[0] if sources else session.current() or (known[-1] if known else None)
        if source is None:
            return pd.DataFrame()
        return source.frame() if isinstance(source, Experiment) else source


def metric_names(frame: pd.DataFrame) -> list[str]:
    """Return the metrics that can be compared on a frame.

    Examples:
        >>> metric_names(pd.DataFrame({"loss": [0.5], "name": ["a"]}))
        ['loss', 'mean_loss', 'p50_loss', 'p95_loss', 'p99_loss', 'total_loss']
    """
    rate = ["success_rate"] if "success" in frame else []
    numeric = [str(name) for name, dtype in frame.dtypes.items() if pd.api.types.is_numeric_dtype(dtype)]
    excluded = {"success", "seq", "weight", "anomaly", "anomaly_score"}
    columns = [name for name in numeric if name not in excluded]
    return [*rate, *columns, *(f"{statistic}_{name}" for name in columns for statistic in _STATISTICS)]
