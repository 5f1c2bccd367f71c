"""Check of the sample ratio: whether two concurrent arms got as many units as they should, valid at every look."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.events.ids import id_codes

_UNITS = ("user_id", "session_id")
_WEIGHT = 1000.0
"""Weight of the prior, in units: it has most power against deviations of about 1.6 percentage points."""
_LEVEL = 0.01
_OVERLAP = 0.5


def ratio_pvalue(control: int, treatment: int, share: float = 0.5) -> float:
    """P-value of the treatment getting `share` of the units, valid at every look.

    Args:
        control, treatment: Number of units of each arm.
        share: Share of the treatment.

    References:
        Lindon, Malek: Anytime-valid inference for multinomial count data. NeurIPS (2022), with a Beta prior at the
        planned share.

    Examples:
        >>> ratio_pvalue(4000, 4010)
        1.0
        >>> ratio_pvalue(4000, 3500) < 1e-4
        True
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    a, b = _WEIGHT * share, _WEIGHT * (1 - share)
    evidence = special.betaln(a + treatment, b + control) - special.betaln(a, b)
    evidence -= treatment * math.log(share) + control * math.log1p(-share)
    return float(min(1.0, math.exp(min(700.0, -evidence))))


def ratio_mismatch(control: Arm, treatment: Arm, unit: str | None = None) -> str | None:
    """Sentence on arms whose numbers of units do not fit equal shares; None if they do, or if it cannot be told.

    The check is for arms that were recorded at the same time: of others the numbers say nothing.

    Args:
        control, treatment: The arms, which share no items.
        unit: Column of what was assigned to the arms; None uses user_id, else session_id, else rows.
    """
    if not _are_concurrent(control.frame, treatment.frame):
        return None
    columns = [unit] if unit is not None else _UNITS
    column = next((name for name in columns if all(_has(arm.frame, name) for arm in (control, treatment))), None)
    counts = [_units(arm.frame, column) for arm in (control, treatment)]
    pvalue = ratio_pvalue(counts[0], counts[1])
    if pvalue >= _LEVEL:
        return None
    what = "rows" if column is None else f"values of {column}"
    return (
        f"the arms have {counts[0]:,} and {counts[1]:,} {what} where equal numbers are expected (p = {pvalue:.2g} at "
        "every look): something assigns or loses them unequally"
    )


def _are_concurrent(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Return whether the spans of time of two frames overlap by at least half of the whole."""
    spans = [frame.index for frame in (first, second)]
    if not all(isinstance(index, pd.DatetimeIndex) and len(index) for index in spans):
        return False
    starts, ends = [index.min() for index in spans], [index.max() for index in spans]
    whole = max(ends) - min(starts)
    return bool(whole > pd.Timedelta(0) and (min(ends) - max(starts)) / whole >= _OVERLAP)


def _has(frame: pd.DataFrame, column: str) -> bool:
    return column in frame.columns and bool(frame[column].notna().any())


def _units(frame: pd.DataFrame, column: str | None) -> int:
    if column is None:
        return len(frame)
    codes = id_codes(frame[column], column)[0]
    return len(np.unique(codes[codes >= 0]))
