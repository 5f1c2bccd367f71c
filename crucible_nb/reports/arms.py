"""One arm of a report: everything that is read of an experiment, once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from crucible_nb.experiment.experiment import Experiment, log_of
from crucible_nb.metrics import Metrics
from crucible_nb.reports.words import Words
from crucible_nb.store.log import MemoryLog
from crucible_nb.store.redaction import Redaction, redaction_of

_OWN = 4  # numeric columns of one's own that are drawn
_COUNTERS = ("step", "epoch", "batch")  # they only count up


class ReportArm:
    """An experiment, its numbers and the way its texts are prepared.

    Args:
        experiment: The experiment.
        name: Name of the arm.
        redact: As in `cr.report`.

    Attributes:
        words: Prepares texts.
        name: Name of the arm, as shown.
    """

    def __init__(self, experiment: Experiment, name: str, redact: Any) -> None:
        self.experiment = experiment
        self.words = Words(_redaction(experiment, redact))
        self.name = self.words(name)

    @property
    def is_stored(self) -> bool:
        """Whether the experiment is in a store, where it can be found by its id."""
        return not isinstance(log_of(self.experiment), MemoryLog)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`experiment.summary()`."""
        return self.experiment.summary()

    @cached_property
    def metrics(self) -> Metrics:
        """`experiment.metrics()`."""
        return self.experiment.metrics()

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The kept events."""
        return self.experiment.frame()

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """`experiment.anomalies()`."""
        return self.experiment.anomalies()

    @cached_property
    def own_columns(self) -> list[str]:
        """Numeric columns that are drawn: not standard ones, no counters."""
        names = [name for name in self.metrics.columns if name not in _COUNTERS and name in self.rows.columns]
        return names[:_OWN]


def _redaction(experiment: Experiment, redact: Any) -> Redaction | None:
    """Return the redaction that was requested, else a copy of the experiment's own, else the built-in rules."""
    if redact is not None:
        return redaction_of(redact)
    own = log_of(experiment).journal()[1]
    return Redaction() if own is None else Redaction(own.hook, content=own.content, keep=own.keep)
