"""Design of a comparison, read from the rows: pairs, clusters, weights, time blocks."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.errors import StatError
from crucible_nb.utils import checks

_SHARED = 0.5
_CLUSTERS = ("session_id",)


@dataclass(frozen=True)
class Design:
    """Dependence of the rows of two arms.

    Attributes:
        pair_by: Column of the item ids that both arms share; None for independent arms.
        cluster: Column of clusters of similar rows; None for independent rows.
        sampled: Whether rows are a weighted sample of the events.
        resample: Width of time blocks; None for rows.
        notes: Sentences on how the design was chosen.
    """

    pair_by: str | None
    cluster: str | None
    sampled: bool
    resample: str | None
    notes: tuple[str, ...]


def read_design(
    control: Arm, treatment: Arm, pair_by: str | None, cluster: str | None, resample: str | None, *, paired: bool | None
) -> Design:
    """Read the design from the rows and the arguments of `cr.compare`.

    Args:
        control, treatment: The arms.
        pair_by: Column of item ids.
        cluster: Column of clusters; None uses `session_id` if sessions have several rows.
        resample: Width of time blocks.
        paired: True requires pairs, False independent arms; None pairs if at least half of the items of the smaller
            arm are in both.

    Raises:
        StatError: Pairs are required and there are no common items, or independent arms and there are many.
    """
    notes: list[str] = []
    shared = None if resample is not None else _shared_items(control.frame, treatment.frame, pair_by)
    if paired and shared is None:
        raise StatError(f"paired=True: both arms need a column {pair_by!r} with items in common")
    if paired is False and shared is not None and shared >= _SHARED:
        raise StatError(
            f"paired=False: {shared:.0%} of the items ({pair_by}) are in both arms, so the arms are not independent; "
            "leave out paired, or use cr.t_test(..., paired=False) to test them as independent arms nevertheless"
        )
    by = pair_by if shared is not None and (paired or shared >= _SHARED) else None
    if by is not None:
        notes.append(f"paired: {shared:.0%} of the items ({by}) are in both arms")
    elif shared:
        notes.append(f"independent arms: only {shared:.0%} of the items ({pair_by}) are in both arms")
    if resample is not None:
        notes.append(f"time blocks of {resample} in place of rows")
        return Design(None, None, _is_sampled(control, treatment), resample, tuple(notes))
    group, cluster_notes = _choose_cluster(control, treatment, cluster, by)
    return Design(by, group, _is_sampled(control, treatment), None, (*notes, *cluster_notes))


def _shared_items(first: pd.DataFrame, second: pd.DataFrame, by: str | None) -> float | None:
    """Proportion of the items of the smaller arm that are in both arms; None without common items."""
    if by is None or by not in first.columns or by not in second.columns:
        return None
    if not first[by].notna().any() or not second[by].notna().any():
        return None
    one, two = (pd.Index(side[by].dropna().unique()).astype(object) for side in (first, second))
    common = len(one.intersection(two))
    return common / min(len(one), len(two)) if common else None


def _choose_cluster(
    control: Arm, treatment: Arm, cluster: str | None, by: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """Choose the column of clusters: as given, otherwise the first one with several rows per value; with notes."""
    if cluster is not None:
        for arm in (control, treatment):
            checks.columns("cluster", cluster, arm.frame.columns)
        return cluster, (f"clustered by {cluster}",)
    notes: list[str] = []
    for column in (*_CLUSTERS, *([] if by is not None else ["sample_id"])):
        counts = [_count_rows_and_values(arm.frame, column) for arm in (control, treatment)]
        if not any(rows > clusters for rows, clusters in counts):
            continue
        fewest = min(clusters for _, clusters in counts)
        if fewest >= 2:
            return column, (*notes, f"clustered by {column}, which has several rows each")
        notes.append(f"rows taken as independent: an arm has only one {column}")
    return None, tuple(notes)


def _count_rows_and_values(frame: pd.DataFrame, column: str) -> tuple[int, int]:
    """Number of rows with a value in this column, and number of different values."""
    if column not in frame.columns:
        return 0, 0
    known = frame[column].dropna()
    return len(known), int(known.nunique())


def _is_sampled(*arms: Arm) -> bool:
    return any("weight" in arm.frame.columns and bool((arm.frame["weight"] != 1).any()) for arm in arms)
