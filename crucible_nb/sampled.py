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
        facts: sampled (True), sampler, sized_by; for a whole sample also seen and kept, numbers of events and rows.

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
