"""Sentences of a comparison, row by row, for the notes below a table."""

from __future__ import annotations

from collections.abc import Iterator

from crucible_nb.comparison.result import Comparison
from crucible_nb.stats.estimates.notes import Said


def said_of(comparison: Comparison, group: str) -> Iterator[Said]:
    """Yield the sentences of a comparison; those on one of its arms are of that arm.

    Args:
        comparison: The comparison.
        group: Text that follows the names of arms, such as " (phone)".
    """
    pair = f"{comparison.treatment} against {comparison.control}{group}"
    for text in (*comparison.design, *filter(None, (comparison.decision, comparison.plan)), *comparison.looked):
        yield Said(text, "", pair)
    for text in comparison.design_warnings:
        yield Said(f"warning: {text}", "", pair)
    arms = {"control": f"{comparison.control}{group}", "treatment": f"{comparison.treatment}{group}"}
    for name, metric in comparison.items():
        for text in dict.fromkeys(metric.warnings):
            side, found, rest = text.partition(": ")
            of_arm = bool(found) and side in arms
            yield Said(f"warning: {rest if of_arm else text}", name, arms[side] if of_arm else pair)
        for text in dict.fromkeys(metric.exclusions):
            yield Said(text, name, pair)
