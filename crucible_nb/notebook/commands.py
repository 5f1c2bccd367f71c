"""What can be said after `%crucible`, as data: the parser, the help and the completion are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Takes = Literal[
    "switch",
    "text",
    "whole",
    "number",
    "experiment",
    "stored",
    "arm",
    "metric",
    "column",
    "duration",
    "path",
    "variable",
    "pairs",
]


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    Attributes:
        flags: Its name, or its options such as ("-o", "--output").
        says: What it is, for the help.
        takes: What its value is; it says how to read it and what to offer.
        choices: The only values there are; for several at once those that are offered.
        many: Several values, parted by commas.
        needed: Whether a positional one has to be there.
    """

    flags: tuple[str, ...]
    says: str
    takes: Takes = "text"
    choices: tuple[str, ...] = ()
    many: bool = False
    needed: bool = True

    @property
    def positional(self) -> bool:
        """Whether it is told by its place."""
        return not self.flags[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """One command: what it does, and its arguments in order."""

    says: str
    arguments: tuple[Argument, ...] = ()


_NAME = Argument(("name",), "any text; quote it where it has spaces", "experiment")
_OUTPUT = Argument(("-o", "--output"), "keep the result in this variable", "variable")
_WHOSE = Argument(("-e", "--experiment"), "of this one (default: the current one)", "experiment")
_BY = Argument(("--by",), "columns to group by, such as model,event", "column", many=True)
_OF = (_WHOSE, _OUTPUT)
_STORE = Argument(("--store",), "folder or postgresql://... that keeps it beyond this kernel", "path")
_NEW = (
    Argument(("--condition",), "arm of a comparison, such as treatment"),
    Argument(("--hypothesis",), "what you expect"),
    Argument(("--tags",), "labels, such as ab,pilot", many=True),
    Argument(("--sample-size",), "target number of events", "whole"),
    Argument(
        ("--sampling",), "which events stay as rows (default: all)",
        choices=("uniform", "reservoir", "stratified", "adaptive", "importance"),
    ),
    Argument(("--sampling-config",), "its arguments, such as rate=0.1", "pairs"),
    Argument(
        ("--anomaly",), "what to look out for, such as z_score,iqr", many=True,
        choices=("auto", "z_score", "modified_z_score", "iqr", "ewma", "cusum", "isolation_forest"),
    ),
    Argument(("--anomaly-config",), "its arguments, such as threshold=4,action=alert", "pairs"),
    Argument(("--windows",), "live sliding windows (default: 1min,5min,1h)", "duration", many=True),
    Argument(("--by",), "columns whose groups are counted live, beside event and model", "column", many=True),
    Argument(("--max-events",), "rows held in memory", "whole"),
    Argument(("--seed",), "makes sampling reproducible", "whole"),
    _STORE,
    Argument(("--durability",), "what survives what (default: os)", choices=("os", "disk", "memory")),
)  # fmt: skip

COMMANDS = {
    "start": Command(
        "Start an experiment; it becomes the default, and the variable `exp` (or -o) is it.",
        (
            _NAME, *_NEW,
            Argument(("--on-exists",), "what to do about a running namesake", choices=("new", "resume", "error")),
            _OUTPUT,
        ),
    ),
    "pause": Command("Stop collecting for a while; that time does not count as active.", _OF),
    "resume": Command("Collect again.", _OF),
    "stop": Command("End the experiment; everything recorded stays readable.", _OF),
    "status": Command("Where the experiment stands.", _OF),
    "attach": Command(
        "Come back to an experiment of a store; it becomes the default, and the variable `exp` (or -o) is it.",
        (
            Argument(("name",), "its name (the newest of that name), id or handle", "stored"),
            Argument(("--store",), "where it is kept (default: the --store that was last given)", "path"),
            Argument(
                ("--mode",), "go on with it, look on, or write beside its process (default: resume when it is dead)",
                choices=("resume", "read", "join"),
            ),
            _OUTPUT,
        ),
    ),
    "list": Command(
        "All experiments of this kernel, or of a store.", (Argument(("--store",), "its path", "path"), _OUTPUT)
    ),
    "metrics": Command(
        "Latency, cost, success and tokens, over every event.",
        (Argument(("--last",), "only this long, such as 5min", "duration"), _BY, *_OF),
    ),
    "windows": Command(
        "Metrics of every window of time.",
        (
            Argument(("window",), "length, such as 5min", "duration"),
            Argument(("step",), "from start to start (default: the length)", "duration", needed=False),
            _BY,
            Argument(("--columns",), "other numeric columns to measure, such as loss", "column", many=True),
            *_OF,
        ),
    ),
    "anomalies": Command("What was out of line, and why.", _OF),
    "compare": Command(
        "Is B better than A? Each is an experiment, or a variable that holds one or a DataFrame.",
        (
            Argument(("a",), "the control", "arm"),
            Argument(("b",), "the treatment", "arm"),
            Argument(("--metric",), "what to compare, such as p95_latency_ms,success_rate", "metric", many=True),
            Argument(("--direction",), "which way is better, such as score=up", "pairs"),
            Argument(("--margin",), 'difference that would matter, such as 20 or "5%%"'),
            Argument(("--pair-by",), "column that names items (default: sample_id)", "column"),
            Argument(("--sequential",), "by a test that is valid at every look", "switch"),
            _OUTPUT,
        ),
    ),
    "dashboard": Command(
        "A live view that goes on while cells run.",
        (
            Argument(("--refresh",), "seconds between updates (default: 0.5)", "number"),
            Argument(("--compare",), "a second experiment beside it", "experiment"),
            *_OF,
        ),
    ),
    "export": Command(
        "Write the events and the facts to a file.",
        (
            Argument(("path",), ".parquet, .csv or .jsonl", "path"),
            Argument(("--format",), "where the name does not say", choices=("parquet", "csv", "jsonl")),
            *_OF,
        ),
    ),
}  # fmt: skip

CELL = Command(
    "The cell is one `cell` event of a running NAME; else a new experiment begins and ends with the cell.",
    (_NAME, *_NEW, Argument(("-o", "--output"), "the variable of a new one (default: exp)", "variable")),
)
"""What can be said after `%%crucible`."""
