"""Commands and arguments of `%crucible` as data, from which parser, help and completion are built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ValueType = Literal[
    "switch",
    "text",
    "integer",
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
        flags: Name of a positional argument, or its options such as ("-o", "--output").
        description: Text for the help.
        value_type: Type of the value; decides how it is parsed and completed.
        choices: The accepted values; with `multiple` only those offered for completion.
        multiple: Whether it takes several values, separated by commas.
        required: Whether a positional argument must be given.
    """

    flags: tuple[str, ...]
    description: str
    value_type: ValueType = "text"
    choices: tuple[str, ...] = ()
    multiple: bool = False
    required: bool = True

    @property
    def positional(self) -> bool:
        """Whether the argument is positional rather than an option."""
        return not self.flags[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        description: Text for the help.
        arguments: Its arguments in order.
    """

    description: str
    arguments: tuple[Argument, ...] = ()


_NAME = Argument(("name",), "any text; quoted if it contains spaces", "experiment")
_OUTPUT = Argument(("-o", "--output"), "store the result in this variable", "variable")
_EXPERIMENT = Argument(("-e", "--experiment"), "the experiment (default: the current one)", "experiment")
_BY = Argument(("--by",), "columns to group by, such as model,event", "column", multiple=True)
_COMMON = (_EXPERIMENT, _OUTPUT)
_STORE = Argument(("--store",), "folder or postgresql://... that stores it durably", "path")
_NEW = (
    Argument(("--condition",), "arm of a comparison, such as treatment"),
    Argument(("--hypothesis",), "what you expect"),
    Argument(("--tags",), "labels, such as ab,pilot", multiple=True),
    Argument(("--sample-size",), "target number of events", "integer"),
    Argument(
        ("--sampling",), "which events are kept as rows (default: all)",
        choices=("uniform", "reservoir", "stratified", "adaptive", "importance"),
    ),
    Argument(("--sampling-config",), "arguments of the sampler, such as rate=0.1", "pairs"),
    Argument(
        ("--anomaly",), "detectors, such as z_score,iqr", multiple=True,
        choices=("auto", "z_score", "modified_z_score", "iqr", "ewma", "cusum", "isolation_forest"),
    ),
    Argument(("--anomaly-config",), "arguments of the detectors, such as threshold=4,action=alert", "pairs"),
    Argument(("--windows",), "live sliding windows (default: 1min,5min,1h)", "duration", multiple=True),
    Argument(("--by",), "columns whose groups are counted live, besides event and model", "column", multiple=True),
    Argument(("--unit",), "column of the items, of which there may be several rows", "column"),
    Argument(("--cluster",), "column of clusters of similar items", "column"),
    Argument(("--max-events",), "rows held in memory", "integer"),
    Argument(("--seed",), "seed for reproducible sampling", "integer"),
    _STORE,
    Argument(
        ("--durability",), "recorded events survive a crash of the kernel (os, the default), a power loss (disk), or "
        "are written within a second (memory)", choices=("os", "disk", "memory"),
    ),
)  # fmt: skip

COMMANDS = {
    "start": Command(
        "Start an experiment; it becomes the default and is bound to the variable `exp` (or -o).",
        (
            _NAME, *_NEW,
            Argument(("--on-exists",), "what to do if this name is running", choices=("new", "resume", "error")),
            _OUTPUT,
        ),
    ),
    "pause": Command("Pause collection; paused time does not count as active.", _COMMON),
    "resume": Command("Resume collection.", _COMMON),
    "stop": Command("End the experiment; everything recorded stays readable.", _COMMON),
    "status": Command("Show the status of the experiment.", _COMMON),
    "attach": Command(
        "Attach to an experiment in a store; it becomes the default and is bound to the variable `exp` (or -o).",
        (
            Argument(("name",), "its name (the newest of that name), id or handle", "stored"),
            Argument(("--store",), "store of the experiment (default: the --store last given)", "path"),
            Argument(
                ("--mode",), "resume it, read only, or write beside its process (default: resume if it is dead)",
                choices=("resume", "read", "join"),
            ),
            _OUTPUT,
        ),
    ),
    "list": Command(
        "List all experiments of this kernel, or of a store.",
        (Argument(("--store",), "path of the store", "path"), _OUTPUT),
    ),
    "metrics": Command(
        "Show latency, cost, success and tokens over all events.",
        (Argument(("--last",), "only the last events of this duration, such as 5min", "duration"), _BY, *_COMMON),
    ),
    "windows": Command(
        "Show metrics of each time window.",
        (
            Argument(("window",), "length, such as 5min", "duration"),
            Argument(("step",), "time between two window starts (default: the length)", "duration", required=False),
            _BY,
            Argument(("--columns",), "other numeric columns to measure, such as loss", "column", multiple=True),
            *_COMMON,
        ),
    ),
    "anomalies": Command("Show anomalies and their reasons.", _COMMON),
    "compare": Command(
        "Test whether B is better than A: experiments, or variables that hold an experiment or a DataFrame.",
        (
            Argument(("a",), "the control", "arm"),
            Argument(("b",), "the treatment", "arm"),
            Argument(("--metrics", "--metric"), "such as p95_latency_ms,success_rate", "metric", multiple=True),
            Argument(("--direction",), "which direction is better, such as score=up", "pairs"),
            Argument(("--margin",), 'smallest relevant difference, such as 20 or "5%%"'),
            Argument(("--pair-by",), "column with item ids (default: sample_id)", "column"),
            Argument(("--sequential",), "use an anytime-valid test", "switch"),
            _OUTPUT,
        ),
    ),
    "dashboard": Command(
        "Show a live dashboard, updated also while cells run.",
        (
            Argument(("--refresh",), "seconds between updates (default: 0.5)", "number"),
            Argument(("--compare",), "experiments to compare with, up to five", "experiment", multiple=True),
            Argument(("--by",), "column to break down by: event, model or one of `start --by`", "column"),
            *_COMMON,
        ),
    ),
    "export": Command(
        "Write the events and the experiment's facts to a file.",
        (
            Argument(("path",), ".parquet, .csv or .jsonl", "path"),
            Argument(("--format",), "format, if the suffix does not tell it", choices=("parquet", "csv", "jsonl")),
            *_COMMON,
        ),
    ),
    "report": Command(
        "Write a report of the experiment, one HTML file without scripts.",
        (
            Argument(("path",), "file that ends in .html", "path"),
            Argument(("--compare",), "experiments to compare with", "experiment", multiple=True),
            Argument(("--data",), "embed the events, to be saved from the page", choices=("parquet", "csv")),
            *_COMMON,
        ),
    ),
}  # fmt: skip

CELL = Command(
    "Record the cell as one `cell` event of a running NAME; else run it in a new experiment that ends with it.",
    (_NAME, *_NEW, Argument(("-o", "--output"), "variable for a new experiment (default: exp)", "variable")),
)
"""The arguments of `%%crucible`."""
