"""What a frame remembers of having been sampled, so that lost weights are noticed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd

from crucible_nb.errors import CrucibleWarning

_KEY = "crucible"


def mark(frame: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """Have the frame remember facts of its sample, in `attrs`; they follow its slices and go into files.

    Args:
        frame: The frame, changed in place.
        facts: sampled (True), sampler, sized_by; for a whole sample also seen and kept, numbers of events and rows;
            windowed (True) for rows of a window of time.

    Returns:
        The frame.
    """
    frame.attrs[_KEY] = dict(facts)
    return frame


def facts_of(frame: pd.DataFrame) -> dict[str, Any]:
    """The facts of its sample; {} for a frame that was never sampled. Those of the whole leave with the first row."""
    facts = frame.attrs.get(_KEY)
    if not isinstance(facts, dict):
        return {}
    if facts.get("kept") != len(frame):
        facts = {name: value for name, value in facts.items() if name not in {"seen", "kept"}}
    return dict(facts)


def check_weights(frame: pd.DataFrame) -> None:
    """Warn when rows were sampled and their weights are gone, so that numbers would be about the rows alone."""
    if facts_of(frame).get("sampled") and "weight" not in frame.columns:
        warnings.warn(
            "these rows were sampled but their 'weight' column is gone: what follows is about the rows, not about "
            "the events they stand for; keep 'weight' when selecting columns",
            CrucibleWarning,
            stacklevel=4,
        )


_REVISED = ("Reservoir", "Importance")


def not_whole(frame: pd.DataFrame) -> str | None:
    """Why these rows are not everything that happened so far, in order; None where nothing says so.

    What is looked at again and again has to grow by appending only: a window slides, a reservoir lets rows go.
    """
    facts = facts_of(frame)
    if frame.attrs.get("evicted_events"):
        return f"{frame.attrs['evicted_events']:,} older events have left memory (max_events)"
    if facts.get("windowed"):
        return "the rows are those of a window of time"
    sampler = str(facts.get("sampler", ""))
    if sampler.startswith(_REVISED) or sampler == "merge":
        return f"the rows are a sample that revises what it kept ({sampler})"
    if facts.get("sampled"):
        return f"the rows are a sample ({sampler}), and what it left out is not there"
    return None
