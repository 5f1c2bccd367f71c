"""The first row of each item: repeats that arrive later must not change what a sequence has counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crucible_nb.events.ids import joint_codes
from crucible_nb.stats.samples.metric_names import Metric


def first_rows(
    frames: Sequence[pd.DataFrame], names: Sequence[str], metric: Metric, by: str
) -> tuple[list[pd.DataFrame], tuple[str, ...]]:
    """Leave out later rows of the same item.

    A sequence of items is valid if each item counts once, with a value that stays: its first. The mean over all its
    repeats changes with every repeat. Rows without an item or a value are kept, to be counted by the reader.

    Args:
        frames: Rows of the arms, in order of arrival, with the column `by`.
        names: Names of the arms.
        metric: Metric whose first value counts.
        by: Column of item ids.

    Returns:
        The rows of each arm, and sentences on those left out.

    Examples:
        >>> from crucible_nb.stats.samples.metric_names import metric_of
        >>> arm = pd.DataFrame({"sample_id": [1, 2, 1, 2], "score": [0.0, None, 1.0, 0.5]})
        >>> (rows,), notes = first_rows([arm], ["control"], metric_of("score", arm), "sample_id")
        >>> rows.score.tolist(), notes[0][:39]
        ([0.0, nan, 0.5], '1 rows of control are repeats of items')
    """
    rows, notes = [], []
    for frame, name, code in zip(frames, names, joint_codes([frame[by] for frame in frames], by), strict=True):
        columns = [column for column in (metric.column, metric.per) if column is not None]
        known = frame[columns].notna().all(axis=1).to_numpy() & (code >= 0)
        again = pd.Series(np.where(known, code, -1 - np.arange(len(frame)))).duplicated().to_numpy()
        rows.append(frame[~again] if again.any() else frame)
        if again.any():
            notes.append(
                f"{int(again.sum()):,} rows of {name} are repeats of items ({by}) and do not count: an item has the "
                "value of its first row, which later ones do not change; to use all repeats, pass their mean as one row"
            )
    return rows, tuple(notes)
