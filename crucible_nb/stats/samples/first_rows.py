"""The first row of each item: repeats that arrive later must not change what a sequence has counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb.events.ids import id_codes
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import has_columns, known_rows


def first_rows(frame: pd.DataFrame, metric: Metric, by: str) -> pd.DataFrame:
    """Leave out later rows of the same item.

    A sequence of items is valid if each item counts once, with a value that stays: its first. The mean over all its
    repeats changes with every repeat. Rows without an item or a value are kept, to be counted by the reader.

    Args:
        frame: Rows in order of arrival.
        metric: Metric whose first value counts.
        by: Column of item ids; a frame without it is returned as it is.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> arm = pd.DataFrame({"sample_id": [1, 2, 1, 2], "score": [0.0, None, 1.0, 0.5]})
        >>> first_rows(arm, metric_of("score", arm), "sample_id").score.tolist()
        [0.0, nan, 0.5]
    """
    if by not in frame.columns or not has_columns(frame, metric):
        return frame
    code = id_codes(frame[by], by)[0]
    known = known_rows(frame, metric) & (code >= 0)
    again = pd.Series(np.where(known, code, -1 - np.arange(len(frame)))).duplicated().to_numpy()
    return frame[~again] if again.any() else frame
