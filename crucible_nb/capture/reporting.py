"""Tell an experiment what became of spans that were mapped: counts of its summary, each warned of once."""

from __future__ import annotations

from collections.abc import Mapping

from crucible_nb.experiment.experiment import Experiment, intake_of

SENTENCES = {
    "twins": (
        "calls were recorded by two libraries, each in a trace of its own; the inner ones are trace.span events with "
        "twin_of (twins='keep' of cr.capture.otel counts both)"
    ),
    "dropped_attributes": "spans lost attributes to the limit of the SDK (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT)",
}
"""What is said of each count that the summary has."""


def report(experiment: Experiment, counts: Mapping[str, int]) -> None:
    """Add counts by name, those of `SENTENCES`, to the summary of an experiment.

    Examples:
        >>> import warnings
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp, warnings.catch_warnings(action="ignore"):
        ...     report(exp, {"twins": 2, "dropped_attributes": 0})
        >>> exp.summary()["twins"]
        2
    """
    for kind, sentence in SENTENCES.items():
        if counts.get(kind):
            intake_of(experiment).log.stream.problems.report(kind, sentence, counts[kind])
