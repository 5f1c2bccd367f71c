"""Sampling information in `frame.attrs`, so that missing weights are noticed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd

from crucible_nb.errors import CrucibleWarning

_KEY = "crucible"


def sampling_facts(sampler: object, *, sized_by: str | None, revises: bool) -> dict[str, Any]:
    """Build the sampling information of sampled rows.

    Args:
        sampler: The sampler, or a text that names it.
        sized_by: Column whose size determined the probabilities, if any.
        revises: Whether later events may remove rows from the sample.
    """
    text = sampler if isinstance(sampler, str) else repr(sampler)
    return {"sampled": True, "sampler": text, "sized_by": sized_by, "revises": revises}


def mark(frame: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """Store sampling information in the `attrs` of a frame; its slices inherit it, and files store it.

    Args:
        frame: The frame, changed in place.
        facts: Result of `sampling_facts`; for a whole sample also seen and kept, the numbers of events and rows;
            windowed (True) for rows of a time window.

    Returns:
        The frame.
    """
    frame.attrs[_KEY] = dict(facts)
    return frame


def facts_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the sampling information, {} if the frame was not sampled; without seen and kept if rows were removed."""
    facts = frame.attrs.get(_KEY)
    if not isinstance(facts, dict):
        return {}
    if facts.get("kept") != len(frame):
        facts = {name: value for name, value in facts.items() if name not in {"seen", "kept"}}
    return dict(facts)


def check_weights(frame: pd.DataFrame) -> None:
    """Warn if rows were sampled and their weights are missing, so that results would ignore the sampling."""
    if facts_of(frame).get("sampled") and "weight" not in frame.columns:
        warnings.warn(
            "these rows were sampled, but the column 'weight' is missing: results describe the rows, not all events; "
            "keep 'weight' when selecting columns",
            CrucibleWarning,
            stacklevel=4,
        )


def not_whole(frame: pd.DataFrame) -> str | None:
    """Return why the rows are not all events so far in order; None if nothing indicates it.

    A sequential analysis needs data that only grow at the end: a window moves, a revising sampler removes rows.
    """
    facts = facts_of(frame)
    if frame.attrs.get("evicted_events"):
        return f"{frame.attrs['evicted_events']:,} older events have left memory (max_events)"
    if facts.get("windowed"):
        return "the rows are those of a time window"
    if facts.get("revises"):
        return f"the rows are a sample from which rows are removed later ({facts.get('sampler')})"
    if facts.get("sampled"):
        return f"the rows are a sample ({facts.get('sampler')}); the other events are missing"
    return None
