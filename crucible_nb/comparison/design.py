"""The design of a comparison, read off the rows: pairs, clusters, repeats, samples."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.errors import StatError
from crucible_nb.stats.estimates.intervals import CLUSTERS
from crucible_nb.utils import checks

_SHARED = 0.5
_CLUSTERS = ("session_id",)


@dataclass(frozen=True)
class Design:
    """How rows hang together.

    Attributes:
        pair_by: Column of items that both arms share; None for independent arms.
        cluster: Column of groups of rows that are alike; None for independent rows.
        sampled: Whether rows stand for others.
        resample: Width of time blocks; None for rows.
        said: Why, in sentences.
    """

    pair_by: str | None
    cluster: str | None
    sampled: bool
    resample: str | None
    said: tuple[str, ...]


def design_of(
    control: Arm, treatment: Arm, pair_by: str | None, cluster: str | None, resample: str | None, *, paired: bool | None
) -> Design:
    """Read the design.

    Args:
        control, treatment: The arms.
        pair_by: Column that names items.
        cluster: Column of clusters; None takes `session_id` where sessions have several rows.
        resample: Width of time blocks.
        paired: True insists on pairs, False on independent arms; None pairs where at least half of the items of the
            smaller arm are in both.

    Raises:
        StatError: Pairs that cannot be made, or shared items that are to be taken as independent.
    """
    said: list[str] = []
    shared = None if resample is not None else _share(control.frame, treatment.frame, pair_by)
    if paired and shared is None:
        raise StatError(f"paired=True: both arms need a column {pair_by!r} with items in common")
    if paired is False and shared is not None and shared >= _SHARED:
        raise StatError(
            f"paired=False: {shared:.0%} of the items ({pair_by}) are in both arms, so that the arms are not "
            "independent; leave it out, or ask cr.t_test(..., paired=False) for the number all the same"
        )
    by = pair_by if shared is not None and (paired or shared >= _SHARED) else None
    if by is not None:
        said.append(f"paired: {shared:.0%} of the items ({by}) are in both arms")
    elif shared:
        said.append(f"independent arms: only {shared:.0%} of the items ({pair_by}) are in both arms")
    if resample is not None:
        said.append(f"time blocks of {resample} in place of rows")
        return Design(None, None, _sampled(control, treatment), resample, tuple(said))
    group = _cluster(control, treatment, cluster, by, said)
    return Design(by, group, _sampled(control, treatment), None, tuple(said))


def _share(first: pd.DataFrame, second: pd.DataFrame, by: str | None) -> float | None:
    """Share of the items of the smaller arm that are in both; None without items in common."""
    if by is None or by not in first.columns or by not in second.columns:
        return None
    if not first[by].notna().any() or not second[by].notna().any():
        return None
    one, two = (pd.Index(side[by].dropna().unique()).astype(object) for side in (first, second))
    common = len(one.intersection(two))
    return common / min(len(one), len(two)) if common else None


def _cluster(control: Arm, treatment: Arm, cluster: str | None, by: str | None, said: list[str]) -> str | None:
    if cluster is not None:
        for arm in (control, treatment):
            checks.columns("cluster", cluster, arm.frame.columns)
        said.append(f"clustered by {cluster}")
        return cluster
    for column in (*_CLUSTERS, *([] if by is not None else ["sample_id"])):
        counts = [_repeats(arm.frame, column) for arm in (control, treatment)]
        if not any(rows > groups for rows, groups in counts):
            continue
        least = min(groups for _, groups in counts)
        if least >= 2:
            few = "" if least >= CLUSTERS else f"; only {least} clusters in an arm, intervals may be too narrow"
            said.append(f"clustered by {column}, which has several rows each{few}")
            return column
        said.append(f"rows taken as independent: an arm is one single {column}")
    return None


def _repeats(frame: pd.DataFrame, column: str) -> tuple[int, int]:
    """Rows with a name in this column, and different names."""
    if column not in frame.columns:
        return 0, 0
    known = frame[column].dropna()
    return len(known), int(known.nunique())


def _sampled(*arms: Arm) -> bool:
    return any("weight" in arm.frame.columns and bool((arm.frame["weight"] != 1).any()) for arm in arms)
